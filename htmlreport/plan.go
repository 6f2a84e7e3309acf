package htmlreport

import (
	"html/template"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

type planView struct {
	Rows  []planRow
	Notes []string
}

type planRow struct {
	Table             template.HTML
	Class, Step       string
	Rows, MB, Batches string
	Reason, Meanwhile template.HTML
}

// stepClass has the class of a step's colour.
var stepClass = map[mirror.Step]string{
	mirror.StepNone: "none", mirror.StepUnknown: "unsure", mirror.StepReset: "extra", mirror.StepTruncate: "changed", mirror.StepHardReset: "missing",
}

// stepName is a step for people.
func stepName(t mirror.PlanTable) string {
	switch {
	case t.Step == mirror.StepNone:
		return "no step"
	case t.Step == mirror.StepUnknown:
		return "not known yet"
	case t.Step == mirror.StepTruncate:
		return "reset, truncate"
	case t.Step == mirror.StepHardReset && t.Drop:
		return "hard reset, drop"
	case t.Step == mirror.StepHardReset:
		return "hard reset"
	default:
		return plain(string(t.Step))
	}
}

const megabyte = 1_000_000

func planOf(p *mirror.Plan, ids links) *planView {
	v := &planView{}
	for _, t := range p.Tables {
		row := planRow{
			Table: linked(t.Table, ids), Class: stepClass[t.Step], Step: stepName(t), Reason: shown(t.Reason),
			Rows: text.Dash(t.Rows), MB: text.Dash((t.Bytes + megabyte/2) / megabyte), Batches: text.Dash(t.Batches),
		}
		switch {
		case t.Rows > 0 && t.Bytes == 0: // none was read
			row.MB, row.Batches = "?", "?"
		case t.Bytes > 0 && t.Bytes < megabyte/2:
			row.MB = "<1"
		}
		if t.Meanwhile != "" && t.Step != mirror.StepUnknown {
			row.Meanwhile = shown(t.Meanwhile)
		}
		v.Rows = append(v.Rows, row)
	}
	if p.Has(mirror.StepUnknown) {
		v.Notes = append(v.Notes, "What is not known yet is left alone unless that is asked for.")
	}
	if p.Has(mirror.StepHardReset) {
		v.Notes = append(v.Notes, "Hard resets have to be confirmed. What is dropped or truncated cannot be undone.")
	}
	return v
}

// links have where on the page tables stand, by their folded names.
type links struct {
	tables      map[string]string
	notCompared bool // there is a section about that
}

func (v *tablesView) links() links {
	ids := links{tables: map[string]string{}}
	if v == nil {
		return ids
	}
	for _, t := range v.Tables {
		ids.tables[t.folded] = t.ID
	}
	return ids
}

// linked is a table's name that leads to what is said about it.
func linked(table string, ids links) template.HTML {
	if id := ids.tables[store.FoldName(table)]; id != "" {
		return `<a href="#` + template.HTML(id) + `">` + shown(table) + `</a>`
	}
	return shown(table)
}

// nextOf are the steps that whoever reads the page takes, in their order.
func nextOf(r *mirror.Report, p *mirror.Plan, ids links) (steps []template.HTML) {
	if len(p.Mistakes) > 0 {
		return []template.HTML{"Find out which databases were meant. As long as this may be the wrong one nothing is reset, and nothing below says anything about the mirror."}
	}
	if r != nil && tooMuch(r) != nil {
		steps = append(steps, "<b>Make sure</b> that these are the right databases. So much differs that nothing is reset unless its limits are raised.")
	}
	steps = append(steps, planned(p, ids)...)
	if r != nil {
		steps = append(steps, besides(r, ids)...)
		if len(steps) == 0 {
			steps = append(steps, "Nothing to do.")
		}
	}
	return steps
}

// planned are the steps of a plan.
func planned(p *mirror.Plan, ids links) (steps []template.HTML) {
	add := func(s template.HTML) { steps = append(steps, s) }
	for _, s := range []struct {
		step     mirror.Step
		do, then string
	}{
		{mirror.StepReset, "Reset", "The next cycle populates %s anew"},
		{mirror.StepTruncate, "Reset and truncate", "Empty until the next cycle has populated %s"},
		{mirror.StepHardReset, "Hard reset", "It has to be confirmed, and what is dropped cannot be undone"},
	} {
		var names []string
		var rows int64
		for _, t := range p.Tables {
			if t.Step == s.step {
				names, rows = append(names, t.Table), rows+t.Rows
			}
		}
		if len(names) == 0 {
			continue
		}
		it := plural(int64(len(names)), "it", "them")
		says := strings.Replace(s.then, "%s", it, 1)
		if rows > 0 && s.step != mirror.StepHardReset {
			says += ", " + text.Rows(rows) + " in all"
		}
		add(template.HTML("<b>"+s.do+"</b> ") + fewLinked(names, ids) + template.HTML(". "+says+"."))
	}
	unknown, none := groups{}, groups{}
	for _, t := range p.Tables {
		switch t.Step {
		case mirror.StepUnknown:
			_, how, ok := strings.Cut(t.Reason, ": ") // behind what differs
			if !ok {
				how = t.Reason
			}
			unknown.add(how, t.Table)
		case mirror.StepNone:
			none.add(t.Reason, t.Table)
		}
	}
	for _, reason := range unknown.reasons {
		add("<b>Find out</b> about " + fewLinked(unknown.names[reason], ids) + ": " + shown(reason) + ".")
	}
	for _, reason := range none.reasons {
		add("<b>No reset</b> for " + fewLinked(none.names[reason], ids) + ": " + shown(reason) + ".")
	}
	return steps
}

// besides are the steps that no plan has.
func besides(r *mirror.Report, ids links) (steps []template.HTML) {
	add := func(s template.HTML) { steps = append(steps, s) }
	var pending []string
	for i := range r.Tables {
		if r.Tables[i].Verdict == mirror.VerdictPending {
			pending = append(pending, r.Tables[i].Table)
		}
	}
	if len(pending) > 0 {
		add("<b>Wait</b> for the next cycle: it brings " + fewLinked(pending, ids) + " up to date.")
	}
	if n := int64(r.Scope.LeftOut); n > 0 && r.Depth == mirror.DepthRows {
		see := ""
		if ids.notCompared {
			see = `: see <a href="#not-compared">what was not compared</a>`
		}
		add(template.HTML("<b>Check</b> the " + plural(n, "column", text.Count(n)+" columns") + " that nobody asked to leave out, or leave " +
			plural(n, "it", "them") + " out by request" + see + "."))
	}
	if r.Incomplete {
		add("<b>Resume</b> the comparison where it was stopped.")
	}
	return steps
}

const fewNames = 12 // that a sentence has

// fewLinked are names for a sentence.
func fewLinked(all []string, ids links) template.HTML {
	var parts []string
	for _, n := range all[:min(len(all), fewNames)] {
		parts = append(parts, string(linked(n, ids)))
	}
	if n := len(all) - len(parts); n > 0 {
		parts = append(parts, "and "+text.Count(int64(n))+" more")
	}
	return template.HTML(strings.Join(parts, ", "))
}

func planPage(plan *mirror.Plan, r *mirror.Report) *page {
	p := &page{Kind: "Plan", Subject: shown(plan.ContextID)}
	acts := 0
	for _, t := range plan.Tables {
		if t.Step.Acts() {
			acts++
		}
	}
	switch {
	case len(plan.Mistakes) > 0:
		p.Level, p.Verdict = bad, "This is hardly the right database: the plan is not applied"
	case acts > 0:
		p.Level, p.Verdict = todo, many(acts, "table is to be reset", "tables are to be reset")
	case plan.Has(mirror.StepUnknown):
		p.Level, p.Verdict = unsure, "Nothing to do yet"
	default:
		p.Level, p.Verdict = good, "Nothing to do"
	}
	p.Title = plain(plan.ContextID) + ": " + p.Verdict
	p.Lead = append(p.Lead, "From the comparison of "+moment(plan.Time)+".")
	for _, m := range some(plan.Mistakes) {
		p.Alerts = append(p.Alerts, alert{bad, "Wrong database", shown(m)})
	}
	p.Tiles = stepTiles(plan)
	var tables *tablesView
	if r != nil {
		p.addSides(r)
		only := map[string]bool{}
		for _, t := range plan.Tables {
			only[store.FoldName(t.Table)] = true
		}
		tables = tablesOf(r, only)
		p.Legend = tables.kinds
	}
	p.Next = nextOf(r, plan, tables.links())
	if len(plan.Tables) > 0 {
		p.Sections = append(p.Sections, section{ID: "plan", Head: "Plan", Plan: planOf(plan, tables.links())})
	}
	if tables != nil && len(tables.Tables) > 0 {
		p.Sections = append(p.Sections, section{ID: "tables", Head: "Why: the tables of the plan", Tables: tables})
	}
	return p
}

func stepTiles(p *mirror.Plan) (ts []tile) {
	n := map[mirror.Step]int{}
	for _, t := range p.Tables {
		n[t.Step]++
	}
	for _, s := range []struct {
		step  mirror.Step
		label string
	}{{mirror.StepReset, "to reset"}, {mirror.StepTruncate, "to reset and truncate"}, {mirror.StepHardReset, "to hard reset"},
		{mirror.StepUnknown, "not known yet"}, {mirror.StepNone, "without a step"}} {
		if n[s.step] > 0 {
			ts = append(ts, tile{Class: stepClass[s.step], N: text.Count(int64(n[s.step])), Label: s.label})
		}
	}
	return ts
}
