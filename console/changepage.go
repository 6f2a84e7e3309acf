package console

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// changeView is the page of a change.
type changeView struct {
	Tabs      ui.Tabs
	Steps     []ui.Step
	Verdict   ui.Verdict
	Live      *liveView
	Facts     []ui.Fact
	Refused   *ui.Table
	Done      string
	Table     *ui.Table
	NotUndone []string
	Undo      *undoView
	Detail    string // the error in full
}

// undoView says whether a change can be undone.
type undoView struct {
	Why       string // it cannot be
	Populated bool   // because a cycle has begun to populate it
	Button    *ui.Button
}

func (c *Console) changePage(v *visit) error {
	m, j, err := c.jobOf(v, "job", kindChange)
	if err != nil {
		return err
	}
	p := changeView{Tabs: c.tabs(m, tabReset), Facts: c.changeFacts(m, j), Detail: text.Printable(j.Error)}
	if !j.Status.over() {
		if p.Live, err = c.live(j, c.path(j)); err != nil {
			return err
		}
	}
	undo := j.Request.Change.Operation == opUndo
	receipt, err := c.receipt(v.Context(), j)
	if err != nil && !errors.Is(err, errNoDocument) {
		return err
	}
	if undo { // the journal has the receipt that was taken back
		receipt = nil
	}
	if !undo {
		p.Steps = resetSteps(3)
	}
	if refused, err := c.state.tables(v.Context(), j.ID); err == nil && len(refused) > 0 {
		p.Refused = reasons(refused)
	}
	if receipt != nil && j.Status.over() && j.Summary.Outcome != mirror.OutcomeNotDone {
		p.Done = "What was done"
		if j.Status == statusUnknown {
			p.Done = "What was to be done"
		}
		t := receiptTable(receipt, p.Done)
		p.Table = &t
		for _, s := range receipt.NotUndone {
			p.NotUndone = append(p.NotUndone, text.Printable(s)+".")
		}
		if p.Undo, err = c.undoOf(v, m, j, receipt); err != nil {
			return err
		}
	}
	p.Verdict = c.changeVerdict(m, j, receipt)
	if p.Undo != nil && p.Undo.Populated {
		p.Verdict.Lead[0] = "A cycle has begun to populate what was reset."
		p.Verdict.Actions[0].Name = "See how far it is"
	}
	title := fmt.Sprintf("%s %d", kindName(j), j.ID)
	return c.show(v, page{name: "change", title: title + " of " + text.Name(m.ContextID), nav: "mirrors", data: p, moves: p.Live != nil,
		crumbs: m.crumbs(ui.Link{Name: "Reset", URL: m.path("/reset")}, ui.Link{Name: title})})
}

// changeFacts says who asked for a change, and what it is from.
func (c *Console) changeFacts(m *member, j job) []ui.Fact {
	facts := []ui.Fact{{Name: "What", Value: kindName(j)}, {Name: "By", Value: text.Name(j.Actor)}, {Name: "Asked", Value: c.moment(j.Asked).Text}}
	if !j.Ended.IsZero() {
		facts = append(facts, ui.Fact{Name: "Ended", Value: c.moment(j.Ended).Text})
	}
	if j.Summary.Receipt != "" {
		facts = append(facts, ui.Fact{Name: "Receipt", Value: text.Name(j.Summary.Receipt)})
	}
	return facts
}

// changeVerdict says how a change ended, and what comes next.
func (c *Console) changeVerdict(m *member, j job, receipt *mirror.Receipt) ui.Verdict {
	undo := j.Request.Change.Operation == opUndo
	journal := ui.Button{Name: "Journal", URL: c.base + m.path("/journal")}
	d := ui.Verdict{}
	switch {
	case j.Status == statusQueued:
		d = ui.Verdict{Level: "waiting", Title: kindName(j) + " begins", Lead: []string{"It goes on when this page is closed."}}
	case j.Status == statusRunning:
		d = ui.Verdict{Level: "waiting", Title: kindName(j) + " is being made", Lead: []string{"It is done whole, or not at all. It goes on when this page is closed."}}
	case j.Status == statusUnknown && j.Summary.Outcome == mirror.OutcomeOvertaken:
		d = ui.Verdict{Level: "unsure", Title: "It can no longer be told whether it was done", Lead: []string{"The metadata rows were written since. Compare the mirror to find out how it is."}, Actions: []ui.Button{journal, {Name: "Compare", URL: c.base + m.path("/comparisons"), Class: "primary"}}}
	case j.Status == statusUnknown:
		d = ui.Verdict{Level: "unsure", Title: "Not known yet whether it was done", Lead: []string{"The process or the connection ended in the commit. It was done whole, or not at all: the database is asked which."}, Actions: []ui.Button{journal}}
		if !c.opts.ReadOnly {
			d.Actions = []ui.Button{{Name: "Find out", URL: c.base + m.path("/reconcile"), Post: true, Class: "primary"}, journal}
		}
	case j.Status == statusFailed:
		return c.failedVerdict(m, j)
	case undo:
		d = ui.Verdict{Level: "good", Title: "The change is undone", Lead: []string{"What was there before is back."}}
	case j.Summary.Undone > 0:
		d = ui.Verdict{Level: "neutral", Title: doneTitle(j, receipt) + ", and undone", Lead: []string{"What was there before is back."}, Actions: []ui.Button{{Name: "The undo", URL: c.base + m.path("/changes/%d", j.Summary.Undone)}}}
	default:
		d = ui.Verdict{Level: "good", Title: doneTitle(j, receipt), Lead: []string{"The next cycle populates what was reset."}, Actions: []ui.Button{{Name: "Wait for the cycle", URL: c.base + m.path("/waiting"), Class: "primary"}}}
		if !resets(receipt) {
			d.Level, d.Title, d.Lead, d.Actions = "neutral", "There was nothing to change", []string{"Each table says why."}, nil
		}
	}
	if j.Status.over() && j.Error != "" && j.Status == statusDone {
		d.Lead = append(d.Lead, text.Printable(j.Error))
	}
	switch {
	case undo && j.Request.Of > 0:
		d.Actions = append(d.Actions, ui.Button{Name: "What it takes back", URL: c.base + m.path("/changes/%d", j.Request.Of)})
	case j.Request.Of > 0:
		d.Actions = append(d.Actions, ui.Button{Name: "The comparison", URL: c.base + m.path("/comparisons/%d", j.Request.Of)})
	}
	if receipt != nil && j.Status.over() {
		d.Actions = append(d.Actions, ui.Button{Name: "Receipt as JSON", URL: c.base + m.path("/changes/%d/receipt.json", j.ID)})
	}
	return d
}

// failedVerdict says why nothing was changed, and what to do.
func (c *Console) failedVerdict(m *member, j job) ui.Verdict {
	d := ui.Verdict{Level: "bad", Title: "Failed: nothing was changed", Lead: []string{message(j.Error)}}
	if j.Summary.Outcome != mirror.OutcomeNotDone {
		d.Title = "Failed"
	}
	if r := j.Summary.Refused; r != "" {
		why := refusalText(r)
		d = ui.Verdict{Level: "unsure", Title: "Refused: nothing was changed", Lead: []string{why.title + ".", why.next}}
	}
	if j.Request.Change.Operation == opUndo {
		d.Actions = append(d.Actions, ui.Button{Name: "What it would take back", URL: c.base + m.path("/changes/%d", j.Request.Of)})
	} else {
		again := c.base + m.path("/reset")
		if j.Request.Of > 0 && j.Summary.Refused != refusedMoved {
			again += fmt.Sprintf("?of=%d", j.Request.Of)
		}
		d.Actions = append(d.Actions, ui.Button{Name: "Back to the plan", URL: again})
	}
	if slices.Contains([]refusal{refusedMoved, refusedUndo, refusedTooMuch}, j.Summary.Refused) {
		d.Actions = append(d.Actions, ui.Button{Name: "Compare again", URL: c.base + m.path("/comparisons"), Class: "primary"})
	}
	return d
}

func doneTitle(j job, r *mirror.Receipt) string {
	if r != nil && r.Metadata != nil {
		return "The whole mirror is reset"
	}
	n := 0
	if r != nil {
		n = len(acted(r))
	}
	if n == 0 {
		return kindName(j) + " done"
	}
	return fmt.Sprintf("%s reset", plural(n, "table")+noun(n, " is", " are"))
}

// receiptTable shows the tables of a receipt.
func receiptTable(r *mirror.Receipt, label string) ui.Table {
	t := ui.Table{Label: label, Columns: []ui.Column{{Name: "Table"}, {Name: "Done"}, {Name: "LSN before", Number: true}, {Name: "Rows before", Number: true}, {Name: "Note", Wide: true}}}
	for _, rt := range r.Tables {
		rows := count(rt.Rows)
		if !rt.Present {
			rows = "absent"
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: text.Name(rt.Table)}, {Badge: actionsBadge(rt.Actions)}, {Text: store.FormatLSN(rt.LSN)}, {Text: rows}, {Text: text.Printable(rt.Note)}}})
	}
	return t
}

// actionsBadge says what was done to a table.
func actionsBadge(actions []mirror.Action) *ui.Badge {
	var all []string
	class := "pending"
	for _, a := range actions {
		switch a {
		case mirror.ActionResetLSN:
			all = append(all, "reset")
		case mirror.ActionTruncate:
			all, class = append(all, "truncated"), "changed"
		case mirror.ActionDeleteMetadata:
			all, class = append(all, "metadata deleted"), "missing"
		case mirror.ActionDrop:
			all, class = append(all, "dropped"), "missing"
		}
	}
	if len(all) == 0 {
		return &ui.Badge{Class: "none", Text: "left alone"}
	}
	return &ui.Badge{Class: class, Text: strings.Join(all, ", ")}
}

// undoOf says whether a change can be undone, as far as it is known without asking the
// mirror's database: Undo itself knows better.
func (c *Console) undoOf(v *visit, m *member, j job, r *mirror.Receipt) (*undoView, error) {
	u := &undoView{}
	var gone []string
	for _, t := range r.Tables {
		if slices.Contains(t.Actions, mirror.ActionTruncate) || slices.Contains(t.Actions, mirror.ActionDrop) {
			gone = append(gone, t.Table)
		}
	}
	moved, err := c.movedSince(v, m, j, r)
	if err != nil {
		return nil, err
	}
	switch {
	case j.Summary.Undone > 0:
		u.Why = "It was undone already."
	case j.Status != statusDone:
		u.Why = "It is not known whether it was done. Find that out first."
	case !resets(r):
		u.Why = "Nothing was changed, so there is nothing to undo."
	case len(gone) > 0:
		u.Why = "The rows of " + named(gone) + " are gone. The next cycle brings them back."
	case len(moved) > 0:
		u.Why, u.Populated = "A cycle has begun to populate "+named(moved)+" since.", true
	case c.opts.ReadOnly:
		u.Why = "This console is read-only. Until the next cycle begins, mirrorctl can undo it with the receipt."
	default:
		u.Button = &ui.Button{Name: "Undo", URL: c.base + m.path("/changes/%d/undo", j.ID), Post: true, Hidden: []ui.Hidden{{Name: "once", Value: rand.Text()}}}
	}
	return u, nil
}

// movedSince are tables whose LSN was written after a change, as the last look at the mirror
// tells.
func (c *Console) movedSince(v *visit, m *member, j job, r *mirror.Receipt) (moved []string, err error) {
	status, err := c.state.status(v.Context(), m.key)
	if err != nil || status == nil || !status.Time.After(j.Ended) {
		return nil, err
	}
	for _, t := range r.Tables {
		s := statusFor(status, t.Table)
		switch {
		case s == nil || len(t.Actions) == 0:
		case slices.Contains(t.Actions, mirror.ActionResetLSN) && (s.LSN == nil || *s.LSN != store.ResendAll):
			moved = append(moved, t.Table)
		case slices.Contains(t.Actions, mirror.ActionDeleteMetadata) && s.LSN != nil:
			moved = append(moved, t.Table)
		}
	}
	return moved, nil
}

func (c *Console) startUndo(v *visit) error {
	m, j, err := c.jobOf(v, "job", kindChange)
	if err != nil {
		return err
	}
	once := v.PostForm.Get("once")
	switch {
	case !formOnce.MatchString(once):
		return httpError{http.StatusUnprocessableEntity, "The form was incomplete. Load its page anew."}
	case j.Request.Change.Operation == opUndo:
		return httpError{http.StatusConflict, "An undo cannot be undone: reset the tables again."}
	case j.Summary.Undone > 0:
		return c.see(v, m.path("/changes/%d", j.Summary.Undone), "It was undone already.")
	case j.Status != statusDone:
		return httpError{http.StatusConflict, "Only what was done can be undone."}
	}
	r := request{Of: j.ID, Once: once, Change: change{Operation: opUndo}}
	return c.startChange(v, m, r, func(was job) bool { return was.Request.Of == r.Of && was.Request.Change == r.Change })
}

func (c *Console) receiptJSON(v *visit) error {
	m, j, err := c.jobOf(v, "job", kindChange)
	if err != nil {
		return err
	}
	r, err := c.receipt(v.Context(), j)
	if errors.Is(err, errNoDocument) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	if j.Status == statusUnknown || j.Summary.Outcome == mirror.OutcomeNotDone {
		r.Outcome = j.Summary.Outcome
	}
	return keep(v, m, j, "json", r.WriteJSON)
}
