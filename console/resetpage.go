package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// resetView is the page on which it is chosen what to reset.
type resetView struct {
	Head     ui.Head
	Tabs     ui.Tabs
	Steps    []ui.Step
	Messages []ui.Message
	URL      string
	ReadOnly bool
	Hidden   []ui.Hidden

	// Of a plan.
	Plan    bool
	Tiles   []ui.Tile
	Acts    bool
	Table   ui.Table
	Unknown *ui.Table // what is not known yet
	Options []ui.Field
	Left    ui.Table // what the plan leaves alone
	LeftN   string
	Empty   *ui.Empty

	// Without one.
	Other       []ui.Field
	OtherHidden []ui.Hidden
	OtherOpen   bool
}

// resetSteps says where a reset is.
func resetSteps(current int) []ui.Step {
	var all []ui.Step
	for i, name := range []string{"Compare", "Plan", "Confirm", "Receipt", "Wait"} {
		all = append(all, ui.Step{Name: name, Done: i < current, Current: i == current})
	}
	return all
}

// resetPage shows what a comparison found to be reset, and offers to reset something else.
func (c *Console) resetPage(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	return c.showReset(v, m, v.FormValue("of"), v.Form["table"], "", 0)
}

// showReset shows the page; wrong is what was wrong with what was chosen.
func (c *Console) showReset(v *visit, m *member, of string, tables []string, wrong string, code int) error {
	p := resetView{Tabs: c.tabs(m, tabReset), Steps: resetSteps(1), URL: c.base + m.path("/reset"), ReadOnly: c.opts.ReadOnly}
	p.Head = ui.Head{Title: "Reset", Lead: "A table that is reset is emptied and sent again by the next cycle."}
	if wrong != "" {
		p.Messages = append(p.Messages, ui.Message{Level: "bad", Text: wrong})
	}
	if c.opts.ReadOnly {
		p.Messages = append(p.Messages, ui.Message{Level: "neutral", Head: "Read-only.", Text: "This console changes nothing: whoever runs it can reset the tables with mirrorctl, or with a console that may."})
	}
	if l := m.busy(kindChange); l != nil {
		p.Messages = append(p.Messages, ui.Message{Level: "waiting", Text: "A change of this mirror is being made right now.", Link: &ui.Link{Name: "See how it ends", URL: c.base + m.path("/changes/%d", l.id)}})
	}
	if n := m.openChanges(); n > 0 {
		p.Messages = append(p.Messages, ui.Message{Level: "unsure", Text: "It is not known whether an earlier change was made. Find that out first.", Link: &ui.Link{Name: "Journal", URL: c.base + m.path("/journal")}})
	}
	j, newer, err := c.comparisonFor(v.Context(), m, of)
	switch {
	case errors.Is(err, errNoComparison):
		p.Steps = resetSteps(0)
		p.Empty = &ui.Empty{Title: "This mirror was never compared", Lead: "What differs, and what a reset repairs, is known after a comparison.", Actions: []ui.Button{{Name: "To the comparisons", URL: c.base + m.path("/comparisons"), Class: "primary"}}}
	case err != nil:
		return err
	default:
		part, err := c.reportPart(v, j)
		if err != nil {
			return err
		}
		c.addPlan(&p, m, j, part.plan, tables)
		if newer != nil {
			p.Messages = append(p.Messages, ui.Message{Level: "unsure", Text: fmt.Sprintf("There is a newer comparison, of %s.", c.moment(newer.Ended).Text), Link: &ui.Link{Name: "Plan from that one", URL: c.base + m.path("/reset")}})
		}
	}
	c.addOther(&p, m, tables)
	return c.show(v, page{name: "reset", title: "Reset " + text.Name(m.ContextID), nav: "mirrors", crumbs: m.crumbs(ui.Link{Name: "Reset"}), data: p, code: code})
}

// errNoComparison: nothing tells what differs.
var errNoComparison = errors.New("the mirror was never compared")

// comparisonFor returns a comparison of a mirror, the last one that found anything out where
// none is named, and a newer one where there is one.
func (c *Console) comparisonFor(ctx context.Context, m *member, of string) (j job, newer *job, err error) {
	all, err := c.state.jobs(ctx, jobQuery{Member: m.key, Kinds: comparisons, Limit: 50})
	if err != nil {
		return j, nil, err
	}
	all = slices.DeleteFunc(all, func(j job) bool { return !j.Status.over() || j.Summary.Level == "" })
	if of == "" && len(all) == 0 {
		return j, nil, errNoComparison
	}
	if of == "" {
		return all[0], nil, nil
	}
	id, err := strconv.ParseInt(of, 10, 64)
	if err != nil {
		return j, nil, errNotFound
	}
	if j, err = c.state.job(ctx, id); err != nil {
		return j, nil, err
	}
	if j.Member != m.key || !slices.Contains(comparisons, j.Kind) || !j.Status.over() || j.Summary.Level == "" {
		return j, nil, errNotFound
	}
	if len(all) > 0 && all[0].ID > j.ID {
		newer = &all[0]
	}
	return j, newer, nil
}

// addPlan shows a plan, with the tables chosen that are named, or that it acts on.
func (c *Console) addPlan(p *resetView, m *member, j job, plan *mirror.Plan, named []string) {
	at := c.moment(j.Ended)
	p.Plan = true
	p.Head.Lead = fmt.Sprintf("From the comparison of %s, %s.", at.Text, at.Ago)
	p.Head.Actions = []ui.Button{{Name: "The comparison", URL: c.base + c.path(j)}}
	p.Hidden = []ui.Hidden{{Name: "mode", Value: modePlan}, {Name: "of", Value: strconv.FormatInt(j.ID, 10)}, {Name: "once", Value: rand.Text()}}
	columns := []ui.Column{{Name: "Table"}, {Name: "Step"}, {Name: "Rows", Number: true}, {Name: "MB", Number: true}, {Name: "Batches", Number: true}, {Name: "Why", Wide: true}}
	p.Table, p.Left = ui.Table{Label: "What the plan resets", Columns: columns}, ui.Table{Label: "What the plan leaves alone", Columns: []ui.Column{{Name: "Table"}, {Name: "Why", Wide: true}}}
	unknown := ui.Table{Label: "What is not known yet", Columns: columns}
	var sum proposed
	var acts int
	schema := false
	for _, t := range plan.Tables {
		if t.Step == mirror.StepNone {
			p.Left.Rows = append(p.Left.Rows, ui.Row{Cells: []ui.Cell{{Text: text.Name(t.Table)}, {Text: text.Printable(t.Reason)}}})
			continue
		}
		row := c.planRow(t, len(named) == 0 && t.Step.Acts() || hasName(named, t.Table))
		schema = schema || t.Schema
		if !t.Step.Acts() {
			unknown.Rows = append(unknown.Rows, row)
			continue
		}
		acts++
		sum.add(t)
		p.Table.Rows = append(p.Table.Rows, row)
	}
	p.Acts, p.LeftN = acts > 0, count(len(p.Left.Rows))
	if len(unknown.Rows) > 0 {
		p.Unknown = &unknown
	}
	for _, mistake := range plan.Mistakes {
		p.Messages = append(p.Messages, ui.Message{Level: "bad", Head: "Wrong database.", Text: text.Printable(mistake) + ": a plan from this comparison is refused."})
	}
	if len(plan.Mistakes) > 0 {
		p.ReadOnly = true
	}
	if acts == 0 && len(unknown.Rows) == 0 {
		p.Empty = &ui.Empty{Title: "There is nothing to reset", Lead: "The comparison found nothing that only a reset repairs."}
		return
	}
	p.Tiles = sum.tiles(acts)
	p.Options = planOptions(len(unknown.Rows), schema)
}

// planRow is a table of a plan.
func (c *Console) planRow(t mirror.PlanTable, checked bool) ui.Row {
	cell := ui.Cell{Text: text.Name(t.Table)}
	if !c.opts.ReadOnly {
		cell = ui.Cell{Check: &ui.Check{Name: "table", Value: t.Table, Label: text.Name(t.Table), Checked: checked, Disabled: t.Step == mirror.StepUnknown && t.Metadata == ""}}
	}
	why := ui.Cell{Text: text.Printable(t.Reason)}
	if t.Meanwhile != "" {
		why.Note = "Meanwhile: " + t.Meanwhile
	}
	return ui.Row{Cells: []ui.Cell{cell, {Badge: stepBadge(t.Step, t.Drop)}, {Text: count(t.Rows)}, {Text: megabytes(t.Rows, t.Bytes)}, {Text: batches(t.Rows, t.Bytes, t.Batches)}, why}}
}

// planOptions are what can be asked for besides.
func planOptions(unknown int, schema bool) []ui.Field {
	all := []ui.Field{{Name: "skipmoved", Type: "checkbox", Label: "Leave out tables that moved since", Hint: "Without this, one table that a cycle has sent since keeps all from being reset."}}
	if unknown > 0 {
		all = append(all, ui.Field{Name: "unknown", Type: "checkbox", Label: "Also reset all of which it is not known yet", Hint: "A cycle may bring by itself what differs in them."})
	}
	if schema {
		all = append(all, ui.Field{Name: "hardreset", Type: "checkbox", Label: "Drop the chosen tables whose columns or key differ", Hint: "A hard reset: the next cycle creates them anew. It cannot be undone."})
	}
	return all
}

// addOther offers what needs no comparison.
func (c *Console) addOther(p *resetView, m *member, named []string) {
	p.OtherHidden = []ui.Hidden{{Name: "once", Value: rand.Text()}}
	p.OtherOpen = p.Empty != nil && !c.opts.ReadOnly
	lines := ""
	for _, name := range named {
		lines += name + "\n"
	}
	p.Other = []ui.Field{
		{Name: "mode", Type: "select", Label: "What", Value: modeTables, Choices: []ui.Hidden{
			{Name: "Reset the tables named below", Value: modeTables}, {Name: "Reset all tables", Value: modeAll}, {Name: "Hard reset of the whole mirror", Value: modeMirror},
		}},
		{Name: "tables", Type: "textarea", Label: "Tables", Value: lines, Hint: "One a line. What is found wrong with a name is said before anything is done."},
		{Name: "truncate", Type: "checkbox", Label: "Empty the tables at once", Hint: "Spares the next cycle the wipe of a large table. It cannot be undone."},
	}
}

// stepBadge shows what is done to a table.
func stepBadge(s mirror.Step, drop bool) *ui.Badge {
	switch {
	case s == mirror.StepReset:
		return &ui.Badge{Class: "pending", Text: "reset"}
	case s == mirror.StepTruncate:
		return &ui.Badge{Class: "changed", Text: "reset and truncate"}
	case s == mirror.StepHardReset && drop:
		return &ui.Badge{Class: "missing", Text: "hard reset, drop"}
	case s == mirror.StepHardReset:
		return &ui.Badge{Class: "missing", Text: "hard reset"}
	case s == mirror.StepUnknown:
		return &ui.Badge{Class: "unsure", Text: "not known yet"}
	default:
		return &ui.Badge{Class: "none", Text: "left alone"}
	}
}

// hasName reports whether a table is among names.
func hasName(names []string, table string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return store.FoldName(n) == store.FoldName(table) })
}

const megabyte = 1_000_000 // the Mirroring Task's batch

func megabytes(rows, bytes int64) string {
	switch {
	case rows > 0 && bytes == 0: // none was read
		return "?"
	case bytes > 0 && bytes < megabyte/2:
		return "<1"
	default:
		return count((bytes + megabyte/2) / megabyte)
	}
}

func batches(rows, bytes, n int64) string {
	if rows > 0 && bytes == 0 {
		return "?"
	}
	return count(n)
}
