package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/htmlreport"
)

// findings shows what is found out about a fleet as it comes. Reports are not kept, but for
// a page.
type findings struct {
	a       *app
	ctx     context.Context
	m       *fleetRun
	part    shard
	members int
	began   time.Time

	columns []column
	widths  []int
	shown   []int

	done    int
	codes   map[int]int    // how many customers have which exit code
	results map[string]int // or which result
	left    int            // not looked at
	summary fleet.Summary
	first   []urgent
	page    []fleet.Result // for --html, empty without
}

// urgent is a customer who needs a hand.
type urgent struct {
	contextID, result string
	code              int
	what              string
	planFile          string
	hard              bool
}

// findings begins the output.
func (a *app) findings(ctx context.Context, m *fleetRun, part shard, places []place) (*findings, error) {
	f := &findings{a: a, ctx: ctx, m: m, part: part, members: len(places), began: a.now(), codes: map[int]int{}, results: map[string]int{}}
	if m.save != "" {
		if err := os.MkdirAll(m.save, 0o700); err != nil {
			return nil, fmt.Errorf("--save: %w", err)
		}
	}
	if a.json() {
		return f, f.print(fmt.Sprintf("{\n  \"command\": %q,\n  \"shard\": {\"index\": %d, \"of\": %d},\n  \"results\": [", m.command, part.index, part.of))
	}
	f.layOut(places)
	p := a.page()
	f.line(p, nil, true)
	if len(places) == 0 {
		p = a.page()
		p.line("None of the %s of %s is in part %s.", plural(len(a.config.Entries()), "customer"), a.config.Name, part)
	}
	return f, f.print(p.String())
}

// layOut fixes the widths of the columns, which the rows to come have to do with.
func (f *findings) layOut(places []place) {
	const state = len(mirror.MirrorAwaitingFirstCycle)
	number := func(title string, width int) {
		f.columns, f.widths = append(f.columns, column{title: title, number: true}), append(f.widths, width)
	}
	word := func(title string, width int) {
		f.columns, f.widths = append(f.columns, column{title: title}), append(f.widths, width)
	}
	word("CONTEXT", len("CONTEXT"))
	switch f.m.command {
	case "status":
		word("STATE", state)
		number("TABLES", 6)
		number("RESET", 5)
		number("ODD", 4)
		number("ROWS", 13)
	case "compare":
		word("RESULT", 13)
		number("TABLES", 6)
		number("DIFFER", 6)
		number("ROWS", 11)
		number("PENDING", 9)
	case "plan":
		word("RESULT", 13)
		number("RESET", 5)
		number("HARD", 5)
		number("UNKNOWN", 7)
		number("ROWS", 11)
	}
	number("TOOK", 6)
	rest := f.a.width
	for i := range f.columns {
		f.shown = append(f.shown, i)
		rest -= f.widths[i] + len(gap)
	}
	for _, p := range places {
		f.widths[0] = max(f.widths[0], min(len(p.Context), len("CONTEXT")+rest+len(gap)))
	}
}

// line writes a row, or the titles.
func (f *findings) line(p *page, cells []cell, titles bool) {
	if titles {
		for _, c := range f.columns {
			cells = append(cells, cell{c.title, dim})
		}
	}
	p.gridLine(f.columns, f.shown, f.widths, cells)
}

// print writes to the standard output, above the bars.
func (f *findings) print(s string) error {
	_, err := f.a.progress().above(func() (int, error) { return io.WriteString(f.a.out, s) })
	return err
}

// add shows one result.
func (f *findings) add(r fleet.Result) error {
	found := f.a.finding(f.ctx, f.m, r)
	f.done++
	f.results[found.Result]++
	f.codes[found.ExitCode]++
	if found.Result == notLookedAt {
		f.left++
		if !f.a.json() {
			return nil
		}
	} else {
		if r.Err != nil {
			r.Err = saidError{r.Err, f.a.harmless(r.Err)} // it is shown as it is from here on
		}
		f.summary.Add(r)
		if f.a.flags.html != "" {
			f.page = append(f.page, r)
		}
		f.a.looked(r.ContextID, f.done, f.members, f.began)
	}
	if f.m.command == "plan" && found.Plan != nil && !found.Plan.Empty() && found.ExitCode != exitRefused {
		var err error
		if found.PlanFile, err = f.keep(found); err != nil {
			return err
		}
	}
	notes := f.notes(found, r)
	if found.Result != notLookedAt && found.ExitCode != exitPending && notes != nil {
		f.first = append(f.first, urgent{found.ContextID, found.Result, found.ExitCode, strings.Join(notes, "; "), found.PlanFile, r.Plan != nil && r.Plan.Has(mirror.StepHardReset)})
	}
	if f.m.command == "plan" {
		found.Report = nil
	} else {
		found.Plan = nil
	}
	if f.a.json() {
		return f.addJSON(found)
	}
	p := f.a.page()
	f.line(p, f.cells(found, r), false)
	for _, n := range notes {
		p.note("%s", n)
	}
	if found.PlanFile != "" {
		p.WriteString("    " + p.paint(dim, "plan: "+p.clean(found.PlanFile)) + "\n") // whole, to be copied
	}
	return f.print(p.String())
}

// addJSON writes a result as one of the array.
func (f *findings) addJSON(found finding) error {
	data, err := json.Marshal(found)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if f.done > 1 {
		b.WriteString(",")
	}
	b.WriteString("\n    ")
	if err := json.Indent(&b, data, "    ", "  "); err != nil {
		return err
	}
	return f.print(b.String())
}

// keep keeps a plan for apply.
func (f *findings) keep(found finding) (string, error) {
	if f.m.save == "" {
		path, err := f.a.state().keep(keptPlans, found.ContextID, "plan", f.a.now(), found.Plan)
		if err != nil {
			f.a.warn("the plan of %s cannot be kept: %v", found.ContextID, err)
		}
		return path, nil
	}
	path := filepath.Join(f.m.save, found.ContextID+".json")
	if err := writeFile(path, found.Plan); err != nil {
		return "", fmt.Errorf("save the plan of %s: %w", found.ContextID, err)
	}
	return path, nil
}

// colorOf is the colour of an exit code.
func colorOf(code int) text.Colors {
	switch code {
	case exitDone:
		return good
	case exitPending, exitUnknown:
		return odd
	default:
		return bad
	}
}

// cells are the values of a row, dashes where they are not known.
func (f *findings) cells(found finding, r fleet.Result) []cell {
	values := []string{"-", "-", "-", "-"}
	switch {
	case f.m.command == "status" && r.Status != nil:
		values = statusValues(r.Status)
	case f.m.command == "compare" && r.Report != nil:
		values = reportValues(r.Report)
	case f.m.command == "plan" && r.Plan != nil:
		values = planValues(r.Plan)
	}
	cells := []cell{plain(found.ContextID), {found.Result, colorOf(found.ExitCode)}}
	for _, v := range values {
		cells = append(cells, plain(v))
	}
	return append(cells, plain(took(r.Elapsed)))
}

func statusValues(s *mirror.Status) []string {
	var rows, reset, odd int64
	for _, t := range s.Tables {
		rows += t.Rows
		switch t.State {
		case mirror.TableSynced:
		case mirror.TableResetRequested:
			reset++
		default:
			odd++
		}
	}
	return []string{number(int64(len(s.Tables))), count(reset), count(odd), count(rows)}
}

func reportValues(r *mirror.Report) []string {
	var differ, rows, pending int64
	for _, t := range r.Tables {
		switch t.Verdict {
		case mirror.VerdictIdentical, mirror.VerdictPending, mirror.VerdictNotMirrored:
		default:
			differ++
		}
		rows += t.DifferingRows()
		pending += t.Pending
	}
	return []string{number(int64(r.Scope.Tables)), count(differ), count(rows), count(pending)}
}

func planValues(plan *mirror.Plan) []string {
	var reset, hard, unknown, rows int64
	for _, t := range plan.Tables {
		switch t.Step {
		case mirror.StepReset, mirror.StepTruncate:
			reset++
		case mirror.StepHardReset:
			hard++
		case mirror.StepUnknown:
			unknown++
		}
		if t.Step.Acts() {
			rows += t.Rows
		}
	}
	return []string{count(reset), count(hard), count(unknown), count(rows)}
}

// took is how long something took, as exactly as one wants to know it.
func took(d time.Duration) string {
	if d < time.Second {
		return "<1s"
	}
	return d.Round(time.Second).String()
}

// notes say what stands behind a row.
func (f *findings) notes(found finding, r fleet.Result) (notes []string) {
	if found.Error != "" {
		notes = append(notes, withoutName(found.Error, found.ContextID))
	}
	if found.ExitCode == exitRefused {
		return notes
	}
	tables := map[string][]string{}
	var order []string
	add := func(what, table string) {
		if tables[what] == nil {
			order = append(order, what)
		}
		tables[what] = append(tables[what], table)
	}
	if r.Status != nil {
		for _, t := range r.Status.Tables {
			if t.State != mirror.TableSynced && t.State != mirror.TableResetRequested {
				add(string(t.State), t.Table)
			}
		}
	}
	if r.Plan != nil {
		for _, t := range r.Plan.Tables {
			switch {
			case t.Step == mirror.StepHardReset:
				add("to hard reset", t.Table)
			case t.Step.Acts():
				add("to reset", t.Table)
			case t.Step == mirror.StepUnknown:
				add("not known yet", t.Table)
			}
		}
	}
	for _, what := range order {
		notes = append(notes, what+": "+few(tables[what]))
	}
	return notes
}

// exitCode is the worst one.
func (f *findings) exitCode() int {
	for _, code := range severity {
		if f.codes[code] > 0 {
			return code
		}
	}
	return exitDone
}

// fleetDocument is what -o json writes, a result as soon as it is there.
type fleetDocument struct {
	Command string       `json:"command"`
	Shard   fleetShard   `json:"shard"`
	Results []finding    `json:"results"`
	Summary fleetSummary `json:"summary"`
}

type fleetShard struct {
	Index int `json:"index"` // from 0 on
	Of    int `json:"of"`
}

// fleetSummary is its end.
type fleetSummary struct {
	*fleet.Summary

	Results     map[string]int `json:"results"`
	NotLookedAt int            `json:"notLookedAt,omitempty"`
	ExitCode    int            `json:"exitCode"`
}

// finish shows the summary.
func (f *findings) finish() error {
	f.a.progress().end()
	code := f.exitCode()
	if f.a.json() {
		data, err := json.MarshalIndent(fleetSummary{&f.summary, f.results, f.left, code}, "  ", "  ")
		if err != nil {
			return err
		}
		end := "\n  ],"
		if f.done == 0 {
			end = "],"
		}
		if err := f.print(end + "\n  \"summary\": " + string(data) + "\n}\n"); err != nil {
			return err
		}
	} else if f.members > 0 {
		p := f.a.page()
		f.summarize(p)
		if err := f.print(p.String()); err != nil {
			return err
		}
	}
	if err := f.a.writeHTML(func(w io.Writer) error { return htmlreport.WriteFleet(w, f.page, &f.summary) }); err != nil {
		return err
	}
	if code == exitDone {
		return nil
	}
	return verdict(code)
}

// firstMost is how many customers are named again at the end.
const firstMost = 10

func (f *findings) summarize(p *page) {
	var parts []string
	for _, code := range slices.Backward(severity) {
		if n := f.codes[code]; n > 0 && (code != exitIncomplete || n > f.left) {
			word := resultWords[code]
			switch {
			case code == exitIncomplete:
				n -= f.left
			case code == exitDone && f.m.how == nil:
				word = "can be read"
			}
			parts = append(parts, number(int64(n))+" "+strings.ReplaceAll(word, "-", " "))
		}
	}
	p.WriteString("\n")
	if parts == nil {
		parts = []string{"nothing was found out"}
	}
	p.wrap(colorOf(f.exitCode()), "", plural(f.members, "customer")+": "+strings.Join(parts, ", ")+".")
	if len(f.summary.Tables) > 0 {
		p.line("Tables: %s", mirror.SummarizeVerdicts(f.summary.Tables))
	}
	if f.left > 0 {
		p.warn("interrupted: %s not looked at.", plural(f.left, "customer"))
	}
	f.firstOnes(p)
}

// firstOnes names what needs a hand first, the worst before the others.
func (f *findings) firstOnes(p *page) {
	if len(f.first) == 0 {
		return
	}
	slices.SortStableFunc(f.first, func(a, b urgent) int {
		return slices.Index(severity, a.code) - slices.Index(severity, b.code)
	})
	p.heading("First:")
	shown := f.first[:min(len(f.first), firstMost)]
	names, results := 0, 0
	for _, one := range shown {
		names, results = max(names, len(one.contextID)), max(results, len(one.result))
	}
	for _, one := range shown { // in a line each: what they need in full stands above
		lead := p.clean(fmt.Sprintf("  %-*s  %-*s  ", names, one.contextID, results, one.result))
		p.WriteString(lead + text.Snip(p.clean(noBreaks(inFlags(one.what))), max(p.width-text.StringWidth(lead), 20), "…") + "\n")
	}
	if more := len(f.first) - len(shown); more > 0 {
		p.line("  and %d more", more)
	}
	f.nextSteps(p)
}

// nextSteps says which commands go on from here: for all, and for the first one that
// these do nothing for.
func (f *findings) nextSteps(p *page) {
	a := f.a
	where := []string{"--config " + quoted(a.config.Name)}
	switch {
	case f.m.command == "compare" && f.codes[exitDiffers] > 0:
		p.WriteString("\n")
		a.todo(p, "What they need:", a.commandLine(where, "fleet", "plan"))
	case f.m.command == "plan":
		for _, one := range f.first {
			if one.planFile == "" {
				continue
			}
			c := a.commandLine(append(where, "--context "+quoted(one.contextID)), "apply", one.planFile)
			if one.hard {
				c = append(c, "--confirm "+quoted(one.contextID))
			}
			p.WriteString("\n")
			a.todo(p, "Do it, for the first one:", c)
			break
		}
	}
	i := slices.IndexFunc(f.first, func(one urgent) bool { return one.code != exitDiffers })
	if i < 0 {
		return
	}
	alone := "plan"
	if f.m.how == nil {
		alone = "status"
	}
	p.WriteString("\n")
	a.todo(p, "Look at "+f.first[i].contextID+" alone:", a.commandLine(append(where, "--context "+quoted(f.first[i].contextID)), alone))
}
