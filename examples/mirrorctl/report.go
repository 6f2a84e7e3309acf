package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// view is a report as people read it.
type view struct {
	a       *app
	cmd     *cobra.Command
	r       *mirror.Report
	plan    *mirror.Plan
	code    int
	context string

	planned            bool   // a plan says already that there is nothing to do
	report, checkpoint string // the files where they are kept, or ""
}

func (v *view) write(p *page) {
	v.answer(p)
	v.next(p)
	p.WriteString("\n")
	v.facts(p)
	if len(v.r.Tables) > 0 {
		p.WriteString("\n")
		v.grid(p)
	}
	v.omissions(p)
	for i := range v.r.Tables {
		p.details(&v.r.Tables[i])
	}
}

// answer is the sentence that one reads first.
func (v *view) answer(p *page) {
	color, sentence := v.sentence()
	p.wrap(color, "", sentence)
	if v.code == exitDiffers {
		v.besides(p)
	}
	for _, mistake := range v.r.Mistakes {
		p.warn("wrong database: %s", mistake)
	}
	for _, w := range v.r.Warnings {
		p.warn("%s", w)
	}
}

func (v *view) sentence() (text.Colors, string) {
	name := v.r.ContextID + ": "
	switch v.code {
	case exitDone:
		if came := v.arrived(); came != nil {
			return good, name + "identical by now: all that differed has arrived, in " + plural(len(came), "table") + ": " + few(came) + "."
		}
		return good, name + "identical, " + v.means() + ", in " + plural(len(v.of(mirror.VerdictIdentical)), "table") + "."
	case exitPending:
		return odd, name + v.those("differs", "differ", "and the next cycle brings what is missing", v.differing())
	case exitUnknown:
		return odd, name + v.those("differs", "differ", "and whether a cycle brings that is not known yet", v.unknown())
	case exitDiffers:
		return bad, name + v.those("differs", "differ", "and no cycle repairs that", v.acting())
	case exitRefused:
		return bad, name + "this is hardly the right pair of databases, so do nothing by this result."
	case exitError:
		return bad, name + v.those("was", "were", "not compared, because reading failed", v.of(mirror.VerdictFailed))
	default:
		if v.r.Incomplete && v.r.Scope.Tables == 0 {
			return odd, name + "nothing was compared: " + v.stoppedBy() + " before the tables were listed."
		}
		if v.r.Incomplete || len(v.of(mirror.VerdictUnfinished)) > 0 {
			return odd, name + fmt.Sprintf("not everything was compared: it was stopped after %d of %s.", v.r.Scope.Compared, plural(v.r.Scope.Tables, "table"))
		}
		return odd, name + "nothing differs, but not everything could be compared, as is said below."
	}
}

// stoppedBy says why a comparison was stopped.
func (v *view) stoppedBy() string {
	if v.cmd.Context().Err() == nil {
		return "the time of --max-duration was up"
	}
	return "it was interrupted"
}

// means says how much a result means.
func (v *view) means() string {
	switch v.r.Depth {
	case mirror.DepthSchema:
		return "as far as columns and keys go"
	case mirror.DepthCount:
		return "as far as numbers of rows go"
	default:
		return "row by row"
	}
}

// those says something about tables, and names the first ones.
func (v *view) those(one, more, what string, tables []string) string {
	verb := more
	if len(tables) == 1 {
		verb = one
	}
	sep := ", "
	if strings.HasPrefix(what, "not") {
		sep = " "
	}
	return fmt.Sprintf("%s %s%s%s: %s.", plural(len(tables), "table"), verb, sep, what, few(tables))
}

// of returns the tables with a verdict.
func (v *view) of(verdicts ...mirror.Verdict) (tables []string) {
	for _, t := range v.r.Tables {
		for _, is := range verdicts {
			if t.Verdict == is {
				tables = append(tables, t.Table)
			}
		}
	}
	return tables
}

func (v *view) differing() []string {
	return append(v.pending(), v.of(mirror.VerdictDifferent, mirror.VerdictSchemaDiffers, mirror.VerdictMissing, mirror.VerdictExtra)...)
}

// unknown returns the tables of which it is not known whether a cycle mends them.
func (v *view) unknown() (tables []string) {
	for _, t := range v.plan.Tables {
		if t.Step == mirror.StepUnknown {
			tables = append(tables, t.Table)
		}
	}
	if tables == nil { // a replica has no plan
		return v.of(mirror.VerdictDifferent, mirror.VerdictSchemaDiffers, mirror.VerdictMissing, mirror.VerdictExtra)
	}
	return tables
}

// acting returns the tables of which it is proven that they do not mend themselves.
func (v *view) acting() (tables []string) {
	acts := map[string]bool{}
	for _, t := range v.plan.Tables {
		acts[t.Table] = t.Step.Acts()
	}
	for _, t := range v.r.Tables {
		if acts[t.Table] || t.Diverged > 0 {
			tables = append(tables, t.Table)
		}
	}
	return tables
}

// next says what to do, as a command to paste.
func (v *view) next(p *page) {
	a, where := v.a, v.a.where(v.context)
	again := func(without ...string) commandLine {
		comparing := a.compareFlagNames()
		v.cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !comparing[f.Name] { // of plan, apply or recheck alone
				without = append(without, f.Name)
			}
		})
		return append(a.commandLine(where, "compare"), a.again(v.cmd, append(without, "resume")...)...)
	}
	switch v.code {
	case exitDiffers:
		if v.report != "" {
			a.todo(p, "See what repairs it:", a.commandLine(where, "plan", v.report))
		}
	case exitUnknown:
		switch {
		case v.r.Depth != mirror.DepthRows:
			a.todo(p, "Compare the rows:", again("depth"))
		case v.r.State == mirror.MirrorReplica:
			p.line("A replica is re-synchronized by the newer client's own program.")
		case v.r.Unknown() > 0 && v.report != "":
			a.todo(p, "Find out, after the next cycle:", a.commandLine(where, "recheck", v.report))
		default:
			a.todo(p, "Compare again, after the next cycle:", again())
		}
	case exitPending:
		what := "There is nothing to do. To be sure, after the next cycle:"
		if v.planned {
			what = "To be sure, compare after the next cycle:"
		}
		a.todo(p, what, again())
	case exitIncomplete:
		switch {
		case v.r.Incomplete && v.r.Scope.Tables == 0:
			a.todo(p, "Compare again, with more time if it was limited:", again("max-duration"))
		case v.checkpoint != "":
			a.todo(p, "Go on where it was stopped:", append(again(), "--resume "+quoted(v.checkpoint)))
		case len(v.of(mirror.VerdictUnfinished)) > 0:
			a.todo(p, "Compare those tables again:", append(again("table"), tableFlags(v.of(mirror.VerdictUnfinished))...))
		}
	case exitError:
		a.todo(p, "Mend what the table below says, and compare again:", append(again("table"), tableFlags(v.of(mirror.VerdictFailed))...))
	case exitRefused:
		p.line("Check --source, --mirror and --context.")
	}
}

func tableFlags(tables []string) (flags []string) {
	for _, t := range tables {
		flags = append(flags, "--table "+quoted(t))
	}
	return flags
}

// facts are what was compared, and how.
func (v *view) facts(p *page) {
	r := v.r
	p.fact("Source", "%s", side(r.Source, "taken for the customer's, as it has no metadata table"))
	p.fact("Mirror", "%s", side(r.Mirror, "taken for the mirror, though it has no metadata table"))
	when := r.Finished.UTC().Format(timeFormat)
	if took := r.Finished.Sub(r.Started); took >= time.Second {
		when += ", took " + took.Round(time.Second).String()
	}
	if !r.Rechecked.IsZero() {
		when += ", and what differed again " + r.Rechecked.UTC().Format(timeFormat)
	}
	p.fact("Compared", "%s", when)
	if len(r.Tables) > 0 || !r.Incomplete {
		p.fact("Tables", "%s", byNow(r).Summary())
	}
	if r.Depth == mirror.DepthRows && r.SourceIsolation+r.MirrorIsolation != "" {
		p.fact("Read", "source: %s, mirror: %s", cmp.Or(r.SourceIsolation, "isolation unknown"), cmp.Or(r.MirrorIsolation, "isolation unknown"))
	}
}

// side names a database. Unsaid is its role where its tables do not say it.
func side(s mirror.Side, unsaid string) string {
	role := unsaid
	switch s.Role {
	case "customer":
		role = "a customer's database"
	case "mirror":
		role = "the mirror of " + s.ContextID
	case "replica":
		role = "a replica of the newer client"
	}
	where := shortPath(s.Database)
	if s.Schema != "" {
		where += ", schema " + s.Schema
	}
	if s.Server != "" {
		where += " on " + s.Server
	}
	if where == "" {
		return role
	}
	return fmt.Sprintf("%s (%s, %s)", where, s.Engine, role)
}

// shortPath is a path relative to the working directory if it is below it.
func shortPath(path string) string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil && !strings.HasPrefix(path, dir) {
		dir = real
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return rel
}

// listed is up to how many tables each has its line, even the identical ones.
const listed = 30

func (v *view) grid(p *page) {
	columns := []column{{title: "TABLE"}, {title: "VERDICT"}, {title: "SOURCE", number: true}, {title: "MIRROR", number: true},
		{title: "MISSING", number: true, spare: true}, {title: "EXTRA", number: true, spare: true}, {title: "CHANGED", number: true, spare: true}, {title: "DUPLICATE", number: true, spare: true}}
	var rows []row
	hidden := map[string][]string{}
	var reasons []string
	hide := func(why, table string) {
		if hidden[why] == nil {
			reasons = append(reasons, why)
		}
		hidden[why] = append(hidden[why], table)
	}
	for i := range v.r.Tables {
		t := &v.r.Tables[i]
		switch {
		case t.Verdict == mirror.VerdictNotMirrored:
			why, _, _ := strings.Cut(t.Reason, ":")
			hide(why, t.Table)
		case t.Verdict == mirror.VerdictIdentical && len(v.r.Tables) > listed && t.Warning == "" && t.LSNState == "":
			hide("identical", t.Table)
		default:
			rows = append(rows, v.row(t))
		}
		if t.Basis != nil && t.Basis.Reason != "" {
			hide("of which all rows were read as "+t.Basis.Reason, t.Table)
		}
	}
	if rows != nil {
		p.grid(columns, rows)
	}
	for _, why := range reasons {
		p.line("%s, %s: %s", plural(len(hidden[why]), "table"), why, few(hidden[why]))
	}
}

var verdictColors = map[mirror.Verdict]text.Colors{
	mirror.VerdictIdentical: good, mirror.VerdictPending: odd, mirror.VerdictExtra: odd, mirror.VerdictDifferent: bad,
	mirror.VerdictMissing: bad, mirror.VerdictSchemaDiffers: bad, mirror.VerdictFailed: bad, mirror.VerdictUnfinished: odd, mirror.VerdictIncomparable: odd,
}

func (v *view) row(t *mirror.TableReport) row {
	source, mirrored := number(t.SourceRows), number(t.MirrorRows)
	unread := t.Verdict == mirror.VerdictFailed || t.Verdict == mirror.VerdictUnfinished || v.r.Depth == mirror.DepthSchema
	if unread || t.Verdict == mirror.VerdictExtra {
		source = "-"
	}
	if unread || t.Verdict == mirror.VerdictMissing {
		mirrored = "-"
	}
	verdict := cell{string(t.Verdict), verdictColors[t.Verdict]}
	if arrived(t) {
		verdict = cell{"identical by now", good}
	}
	return row{cells: []cell{plain(t.Table), verdict, plain(source), plain(mirrored),
		plain(count(t.Missing)), plain(count(t.Extra)), plain(count(t.Changed)), plain(count(t.Duplicate))}, notes: tableNotes(t)}
}

// tableNotes are what is to be known of a table besides its numbers.
func tableNotes(t *mirror.TableReport) (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if t.Reason != "" && !errors.Is(t.Err, context.Canceled) {
		add("%s", t.Reason)
	}
	if t.Err != nil && t.Reason == "" {
		add("%v", t.Err)
	}
	if t.ResetRequested() && t.Verdict != mirror.VerdictIdentical {
		add("its reset is requested: the next cycle sends all of its rows")
	}
	switch t.LSNState {
	case mirror.LSNExpired:
		add("its LSN has expired: only a reset makes sure that the next cycle sends the table")
	case mirror.LSNAhead:
		add("its LSN is ahead of the source, which was restored")
	}
	if states := statesOf(t); states != "" && t.Verdict != mirror.VerdictPending {
		add("%s", states)
	}
	if t.Warning != "" {
		add("%s", t.Warning)
	}
	return notes
}

// statesOf says of the differing rows of a table what is known.
func statesOf(t *mirror.TableReport) string {
	unknown, came := t.DifferingRows()-t.Pending-t.Diverged, arrivedRows(t)
	var parts []string
	for _, s := range []struct {
		rows int64
		what string
	}{{t.Diverged, "no cycle brings"}, {came, "equal by now"}, {t.Pending - came, "the next cycle brings"}, {unknown, "not known yet"}} {
		if s.rows > 0 {
			parts = append(parts, s.what+": "+plural(int(s.rows), "row"))
		}
	}
	return strings.Join(parts, ", ")
}

// omissions say which columns were not compared.
func (v *view) omissions(p *page) {
	if v.r.Depth != mirror.DepthRows {
		return
	}
	first := true
	for _, t := range v.r.Tables {
		byReason := map[string][]string{}
		var reasons []string
		for _, o := range t.NotCompared {
			if t.Verdict == mirror.VerdictIncomparable {
				continue // its note says so of all of them
			}
			if byReason[o.Reason] == nil {
				reasons = append(reasons, o.Reason)
			}
			byReason[o.Reason] = append(byReason[o.Reason], o.Column)
		}
		for _, reason := range reasons {
			if first {
				p.heading("Columns that were not compared")
				first = false
			}
			p.line("%s.%s: %s", t.Table, strings.Join(byReason[reason], ", "), reason)
		}
	}
}

// samplesShown is how many rows of a table are shown.
const samplesShown = 5

// details are what differs in a table: definitions, and the first rows.
func (p *page) details(t *mirror.TableReport) {
	if len(t.Schema)+len(t.Samples) == 0 {
		return
	}
	p.heading("%s", noBreaks(t.Table))
	var rows []row
	for _, d := range t.Schema {
		rows = append(rows, row{cells: []cell{plain(d.What), plain(""), plain(d.Column), plain(d.Source), plain(d.Mirror)}})
	}
	var shown int64
	for _, s := range t.Samples[:min(len(t.Samples), samplesShown)] {
		shown += s.Rows
		rows = append(rows, sampleRows(s)...)
	}
	p.grid([]column{{title: "WHAT"}, {title: "KEY", spare: true, cut: true}, {title: "COLUMN", spare: true, cut: true}, {title: "SOURCE", spare: true, cut: true}, {title: "MIRROR", spare: true, cut: true}}, rows)
	if more := t.DifferingRows() - shown; more > 0 {
		p.note("and %s more", plural(int(more), "row"))
	}
	if len(t.ChangedColumns) > 0 && t.Changed > 1 {
		var parts []string
		for _, c := range t.ChangedColumns {
			parts = append(parts, fmt.Sprintf("%s in %s", c.Column, plural(int(c.Rows), "row")))
		}
		p.note("changed: %s", few(parts))
	}
}

// sampleRows are the lines of a differing row: one for each column, both sides beside
// each other.
func sampleRows(s mirror.Difference) (rows []row) {
	what := string(s.Kind)
	if s.Rows > 1 {
		what += fmt.Sprintf(" (%s)", plural(int(s.Rows), "row"))
	}
	if s.State != mirror.DiffUnknown {
		what += ", " + string(s.State)
	}
	key := store.FormatCells(s.Key)
	if len(s.Columns) == 0 {
		return []row{{cells: []cell{plain(what), plain(key), plain(""), plain(""), plain("")}}}
	}
	for i, c := range s.Columns {
		if i > 0 {
			what, key = "", ""
		}
		rows = append(rows, row{cells: []cell{plain(what), plain(key), plain(c.Column), plain(c.Source.Text()), plain(c.Mirror.Text())}})
	}
	return rows
}
