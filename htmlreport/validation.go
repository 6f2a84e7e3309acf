package htmlreport

import (
	"cmp"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// check is what a verdict of a validation looks like, and means.
type check struct {
	verdict      replica.Verdict
	class, means string
}

// checks are the verdicts, the gravest first.
var checks = []check{
	{replica.NewStale, "missing", "the replica lacks rows, or has old or damaged ones"},
	{replica.Ghosts, "extra", "the replica has rows that should be gone"},
	{replica.Undecided, "changed", "rows differ and may be late, or nothing tells which side is right"},
	{replica.OldStale, "pending", "the old mirror does not follow, the replica's rows are newer"},
	{replica.EqualAfterLag, "same", "rows that differed became the same while the check looked on"},
	{replica.Equal, "same", "all rows are the same"},
	{replica.Excluded, "none", "not compared"},
}

// rankOf is where a verdict stands among checks, -1 for none.
func rankOf(v replica.Verdict) int {
	return slices.IndexFunc(checks, func(c check) bool { return c.verdict == v })
}

func classOf(v replica.Verdict) string {
	if i := rankOf(v); i >= 0 {
		return checks[i].class
	}
	return "none"
}

// JudgeValidation is [Judge] of the check of a replica.
func JudgeValidation(r *replica.Report) (level, verdict string) {
	l, verdict := judgeValidation(r)
	return string(l), verdict
}

func judgeValidation(r *replica.Report) (level, string) {
	switch r.Decision {
	case replica.Go:
		return good, "Go: the replica is good"
	case replica.NoGo:
		return bad, "No-go: the replica is not good"
	default:
		return unsure, "Not yet: it is not known whether the replica is good"
	}
}

func validationPage(r *replica.Report) *page {
	p := &page{Kind: "Validation", Subject: shown(cmp.Or(r.ContextID, r.Replica.ContextID, "the replica"))}
	p.Level, p.Verdict = judgeValidation(r)
	p.Title = plain(cmp.Or(r.ContextID, r.Replica.ContextID, "replica")) + ": " + p.Verdict
	for _, reason := range some(r.Reasons) {
		p.Lead = append(p.Lead, shown(reason))
	}
	if r.Scope.Stopped != "" {
		p.Alerts = append(p.Alerts, alert{unsure, "No decision", "The check was stopped before its end: " + shown(r.Scope.Stopped)})
	}
	for _, w := range some(r.Warnings) {
		p.Alerts = append(p.Alerts, alert{unsure, "Warning", shown(w)})
	}
	for _, n := range some(r.Notes) {
		p.Alerts = append(p.Alerts, alert{neutral, "Note", shown(n)})
	}
	for _, step := range r.Next() {
		p.Next = append(p.Next, lines(step))
	}
	p.addValidated(r)
	counts := map[replica.Verdict]int{}
	for _, t := range r.Tables {
		counts[t.Verdict]++
	}
	for _, c := range checks {
		if n := counts[c.verdict]; n > 0 {
			p.Tiles = append(p.Tiles, tile{Class: c.class, N: text.Count(int64(n)), Label: string(c.verdict), Where: template.HTML(c.means)})
		}
	}
	if v := validated(r); len(v.Tables) > 0 {
		p.Sections = append(p.Sections, section{ID: "tables", Head: "Tables to look at", Tables: v})
	}
	if lists := unvalidated(r); len(lists) > 0 {
		p.Sections = append(p.Sections, section{ID: "not-compared", Head: "What was not compared, and what is equal", Lists: lists})
	}
	return p
}

// lines keeps the lines of a step apart, and those as they are that are to be copied.
func lines(s string) template.HTML {
	var out []string
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		if rest := strings.TrimLeft(line, " "); rest != line {
			out = append(out, `<code>`+string(shown(rest))+`</code>`)
		} else {
			out = append(out, string(shown(line)))
		}
	}
	return template.HTML(strings.Join(out, "<br>"))
}

func (p *page) addValidated(r *replica.Report) {
	for _, s := range []struct {
		name string
		side replica.Side
	}{{"Reference", r.Reference}, {"Replica", r.Replica}} {
		p.Sides = append(p.Sides, sideWith(s.name, mirror.Side(s.side), "", s.side.ID))
	}
	add := func(name string, value template.HTML) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value})
		}
	}
	add("Checked", moment(r.Started)+" to "+moment(r.Finished))
	if !r.AsOf.IsZero() {
		add("Backup of", moment(r.AsOf))
	}
	add("Waited at most", template.HTML(text.Duration(time.Duration(r.Scope.MaxWait*float64(time.Second)))))
	add("Only these tables", joined(r.Scope.OnlyTables))
	add("Tables left out by request", joined(r.Scope.SkipTables))
	add("Columns left out by request", joined(r.Scope.IgnoreColumns))
	switch {
	case r.State.Unknown != "":
		add("Client", shown(r.State.Unknown))
	case r.State.Moves == 0:
		add("Client", "its offsets did not move during the check")
	default:
		add("Client", template.HTML("its offsets moved "+many(r.State.Moves, "time", "times")+" during the check"))
	}
	add("Program", shownOr(r.Scope.Program))
}

// validated are the tables that are not equal, or whose readers can fail.
func validated(r *replica.Report) *tablesView {
	v := &tablesView{rows: maxRows}
	var order []int
	for i := range r.Tables {
		switch t := &r.Tables[i]; {
		case t.Verdict == replica.Excluded:
		case t.Verdict != replica.Equal && t.Verdict != replica.EqualAfterLag, breaks(t):
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rankOf(r.Tables[a].Verdict), rankOf(r.Tables[b].Verdict)) })
	for _, i := range order {
		t := v.validatedTable(&r.Tables[i], tableID(i))
		t.Open = len(order) == 1
		v.Tables = append(v.Tables, t)
	}
	return v
}

func breaks(t *replica.TableReport) bool {
	return slices.ContainsFunc(t.Schema, func(f replica.SchemaFinding) bool { return f.Breaks })
}

func (v *tablesView) validatedTable(t *replica.TableReport, id string) tableView {
	tv := tableView{Left: "Reference", Right: "Replica", ID: id, folded: store.FoldName(t.Table), Name: shown(t.Table), Class: classOf(t.Verdict), Verdict: plain(string(t.Verdict))}
	if t.Reason != "" {
		tv.Notes = append(tv.Notes, shown(t.Reason))
	}
	for _, c := range []struct {
		class string
		n     int64
		label string
	}{
		{"missing", t.NewStale, "new stale"}, {"extra", t.Ghosts, "ghosts"}, {"changed", t.Conflicts, "conflicts"},
		{"changed", t.Open, "open"}, {"pending", t.OldStale, "old stale"}, {"none", t.Lag, "became equal"},
	} {
		if c.n > 0 {
			tv.Counts = append(tv.Counts, tile{Class: c.class, N: text.Count(c.n), Label: c.label})
		}
	}
	if t.Counted {
		tv.Of = text.Rows(t.ReferenceRows) + " in the reference, " + text.Count(t.ReplicaRows) + " in the replica"
	}
	for _, f := range t.Schema {
		what := f.What
		if f.Breaks {
			what += ": readers can fail"
		}
		tv.Schema = append(tv.Schema, schemaView{shown(what), shown(cmp.Or(f.Column, "primary key")), shown(cmp.Or(f.Reference, "–")), shown(cmp.Or(f.Replica, "–"))})
	}
	for _, c := range some(t.NotCompared) {
		tv.NotCompared = append(tv.NotCompared, item{Name: shown(c)})
	}
	tv.Rows = v.validatedRows(t)
	if t.Keyless {
		tv.Facts = append(tv.Facts, fact{"Key", "none: rows are told apart by all compared columns"})
	} else if len(t.Key) > 0 {
		tv.Facts = append(tv.Facts, fact{"Key", joined(t.Key)})
	}
	tv.Inside = inside(&tv)
	return tv
}

func (v *tablesView) validatedRows(t *replica.TableReport) (rows []rowView) {
	for _, s := range t.Samples[:min(len(t.Samples), v.rows)] {
		row := rowView{Class: whatClass(s.What), Kind: plain(string(s.What)), Key: key(s.Key), Left: s.What != replica.Extra, Right: s.What != replica.Missing}
		for _, c := range s.Columns {
			left, right := pair(c.Reference, c.Replica)
			row.Columns = append(row.Columns, columnView{shown(c.Column), left, right})
		}
		rows = append(rows, row)
	}
	v.rows -= len(rows)
	return rows
}

func whatClass(w replica.What) string {
	switch w {
	case replica.Missing:
		return "missing"
	case replica.Extra:
		return "extra"
	case replica.Newer, replica.AfterBackup:
		return "pending"
	default:
		return "changed"
	}
}

// unvalidated are the lists of what a validation says nothing bad about.
func unvalidated(r *replica.Report) (lists []list) {
	excluded, columns := groups{}, groups{}
	equal := list{Head: "Nothing differs in"}
	n := 0
	for i := range r.Tables {
		t := &r.Tables[i]
		for _, c := range t.NotCompared {
			columns.add(c, t.Table)
		}
		switch {
		case t.Verdict == replica.Excluded:
			excluded.add(t.Reason, t.Table)
		case (t.Verdict == replica.Equal || t.Verdict == replica.EqualAfterLag) && !breaks(t):
			if n++; n <= maxNames {
				equal.Items = append(equal.Items, item{shown(t.Table), template.HTML(text.Rows(t.ReferenceRows))})
			}
		}
	}
	if excluded.n > 0 {
		lists = append(lists, excluded.list("Tables that were not compared"))
	}
	if columns.n > 0 {
		lists = append(lists, columns.list("Columns that were not compared"))
	}
	if len(r.Lacks) > 0 {
		l := list{Head: "Objects that the replica's database lacks:", N: text.Count(int64(len(r.Lacks))), Wide: true, More: moreThan(len(r.Lacks), len(some(r.Lacks)))}
		for _, lack := range some(r.Lacks) {
			l.Items = append(l.Items, item{shown(lack.String()), shown(string(lack.Kind))})
		}
		lists = append(lists, l)
	}
	if n > 0 {
		equal.N, equal.More, equal.Open = many(n, "table", "tables"), moreThan(n, len(equal.Items)), n <= maxOpen
		lists = append(lists, equal)
	}
	return lists
}
