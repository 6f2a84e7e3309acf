package console

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
)

const (
	operationsShown = 25  // on a page of the journal
	tablesNamed     = 500 // of an operation, when asked for
)

// journalView is what was done to one mirror, or to all.
type journalView struct {
	Head    ui.Head
	Tabs    *ui.Tabs
	Notice  *ui.Message
	FindOut *ui.Button
	Events  []ui.Event
	Pager   ui.Pager
	Empty   *ui.Empty
}

func (c *Console) journalPage(v *visit) error {
	view := journalView{Head: ui.Head{Title: "Journal", Lead: "What was done to the mirrors, and by whom, the newest first."}}
	open := 0
	for _, m := range c.order {
		open += m.openChanges()
	}
	if open > 0 {
		view.Notice = c.openNotice(open)
		view.Notice.Link = &ui.Link{Name: "See whose they are", URL: c.base + "/?state=" + rankViews[rankUnknown].key}
	}
	if err := c.journal(v, &view, "", c.base+"/journal"); err != nil {
		return err
	}
	return c.show(v, page{name: "journal", title: "Journal", nav: "journal", data: view})
}

func (c *Console) mirrorJournalPage(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	tabs := c.tabs(m, tabJournal)
	view := journalView{Head: ui.Head{Title: "Journal", Lead: "What was done to " + m.ContextID + ", and by whom, the newest first."}, Tabs: &tabs}
	if open := m.openChanges(); open > 0 {
		view.Notice = c.openNotice(open)
		if !c.opts.ReadOnly {
			view.FindOut = &ui.Button{Name: "Find out what happened", URL: c.base + m.path("/reconcile"), Post: true, Class: "primary"}
		}
	}
	if err := c.journal(v, &view, m.key, c.base+m.path("/journal")); err != nil {
		return err
	}
	return c.show(v, page{name: "journal", title: "Journal of " + m.ContextID, nav: "mirrors", crumbs: m.crumbs(ui.Link{Name: "Journal"}), data: view})
}

// openNotice says that changes have no known end.
func (c *Console) openNotice(n int) *ui.Message {
	msg := &ui.Message{Level: "unsure", Head: plural(n, "change") + " without a known end.", Text: "The process ended, or the connection was lost, before the answer came. The database tells what happened."}
	if c.opts.ReadOnly {
		msg.Text += " This console is read-only, so it does not ask."
	}
	return msg
}

// journal adds the operations of a member, or of all for "".
func (c *Console) journal(v *visit, view *journalView, member, path string) error {
	before, err := beforeOf(v)
	if err != nil {
		return err
	}
	all, err := c.state.operations(v.Context(), member, before, operationsShown+1)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	all, view.Pager = pagedBefore(all, before, operationsShown, path, false, "Pages of the journal", func(o operationEntry) int64 { return o.ID })
	for _, o := range all {
		view.Events = append(view.Events, c.operationEvent(o, member == ""))
	}
	switch {
	case len(all) > 0:
	case before > 0:
		view.Empty = &ui.Empty{Title: "Nothing is older", Actions: []ui.Button{{Name: "The newest", URL: path}}}
	case c.opts.ReadOnly:
		view.Empty = &ui.Empty{Title: "Nothing was done", Lead: "This console is read-only: it changes no mirror."}
	default:
		view.Empty = &ui.Empty{Title: "Nothing was done yet", Lead: "Resets and their undos stand here, with who asked for them.", Actions: []ui.Button{{Name: "To the mirrors", URL: c.base + "/"}}}
	}
	return nil
}

// operationEvent shows an operation on a timeline.
func (c *Console) operationEvent(o operationEntry, ofAll bool) ui.Event {
	e := ui.Event{Time: *c.moment(o.Entry.Time), Actor: text.Name(o.Actor)}
	m := c.members[fold(o.Entry.ContextID)]
	var tables []string
	if r := o.Entry.Receipt; r != nil {
		e.Title = receiptName(r, o.Entry.Undo)
		tables = each(acted(r), tableName)
		e.Title += " of " + plural(len(tables), "table")
		if r.Metadata != nil {
			e.Title = receiptName(r, o.Entry.Undo) + " of the whole mirror"
		}
	} else {
		e.Title = "A change"
	}
	if ofAll {
		e.Title += " in " + text.Name(o.Entry.ContextID)
	}
	if m != nil && o.There {
		e.URL = c.base + m.path("/changes/%d", o.Job)
	}
	line := func(s string) { e.Lines = append(e.Lines, template.HTML(template.HTMLEscapeString(s))) }
	if len(tables) > 0 {
		line(named(tables))
	}
	if len(tables) > maxNamed+1 {
		e.More = "All " + plural(len(tables), "table")
		e.Rest = allNamed(tables)
	}
	var says string
	e.Class, e.Badge, says = c.endOf(o, m)
	if says != "" {
		line(says)
	}
	if ofAll && o.isOpen() && m != nil && !c.opts.ReadOnly && m.busy(kindChange) == nil {
		e.Actions = []ui.Button{{Name: "Find out what happened", Of: "to " + m.ContextID, URL: c.base + m.path("/reconcile"), Post: true, Class: "small"}}
	}
	return e
}

// isOpen reports whether nothing is known of an operation's end.
func (o *operationEntry) isOpen() bool { return o.Ended == "" && o.Outcome == "" }

// endOf says how an operation ended.
func (c *Console) endOf(o operationEntry, m *member) (class string, badge *ui.Badge, says string) {
	of := func(class, text, says string) (string, *ui.Badge, string) {
		return class, &ui.Badge{Class: class, Text: text}, says
	}
	found := ""
	if !o.EndAt.IsZero() {
		found = " That was found out " + ago(c.now().Sub(o.EndAt)) + "."
	}
	switch {
	case o.Ended == mirror.JournalFailed:
		return of("neutral", "not done", "It was rolled back: nothing was changed.")
	case o.Undone > 0:
		return of("neutral", "undone", fmt.Sprintf("Job %d took it back.", o.Undone))
	case o.Ended == mirror.JournalDone:
		return of("good", "done", "")
	case o.Outcome == mirror.OutcomeDone:
		return of("good", "done", "Its answer never came, and the database says that it was done."+found)
	case o.Outcome == mirror.OutcomeNotDone:
		return of("neutral", "not done", "Its answer never came, and the database says that nothing was changed."+found)
	case o.Outcome != "":
		return of("unsure", "nobody knows", "Its answer never came, and the database no longer tells: its metadata rows were written since. Compare the mirror."+found)
	case m != nil && c.jobs.get(o.Job) != nil:
		return of("todo", "being done", "")
	default:
		return of("unsure", "not known whether it was done", "The answer of the database never came.")
	}
}

// receiptName is what was done, for people.
func receiptName(r *mirror.Receipt, undo bool) string {
	name := operationName(map[mirror.Operation]operation{mirror.OperationApply: opApply, mirror.OperationReset: opReset, mirror.OperationHardReset: opHardReset}[r.Operation])
	if undo {
		return "Undo: " + strings.ToLower(name[:1]) + name[1:]
	}
	return name
}

// allNamed lists names as HTML.
func allNamed(names []string) template.HTML {
	var b strings.Builder
	for i, name := range names[:min(len(names), tablesNamed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(escaped(name)))
	}
	if more := len(names) - tablesNamed; more > 0 {
		fmt.Fprintf(&b, " and %s more, which the receipt has", count(more))
	}
	return template.HTML(b.String())
}

// reconcileNow asks the database of a mirror what became of changes without a known end.
func (c *Console) reconcileNow(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	found, err := c.reconcile(v.Context(), m, v.actor)
	switch {
	case errors.Is(err, errChanging):
		return c.see(v, m.path("/journal"), "A change is being made right now: ask again when it has ended.")
	case err != nil && len(found) == 0 && v.Context().Err() == nil:
		c.log.Warn("changes without an end not reconciled", "mirror", m.ContextID, "actor", v.actor, "error", err)
		return httpError{http.StatusBadGateway, "What happened could not be found out: " + message(err.Error()) + ". Ask again once that is mended."}
	case err != nil:
		return err
	}
	return c.see(v, m.path("/journal"), foundText(found))
}

// foundText says what was found out.
func foundText(found []mirror.Reconciled) string {
	if len(found) == 0 {
		return "Every change has a known end."
	}
	n := map[mirror.Outcome]int{}
	for _, f := range found {
		n[f.Outcome]++
	}
	var says []string
	for _, of := range []struct {
		outcome mirror.Outcome
		one     string
		many    string
	}{
		{mirror.OutcomeDone, "1 change was done", "changes were done"},
		{mirror.OutcomeNotDone, "1 change was not done", "changes were not done"},
		{mirror.OutcomeOvertaken, "of 1 change the database no longer tells", "changes are no longer told by the database"},
		{mirror.OutcomeUnknown, "1 change was of another database, which alone can tell", "changes were of other databases, which alone can tell"},
	} {
		switch k := n[of.outcome]; {
		case k == 1:
			says = append(says, of.one)
		case k > 1:
			says = append(says, count(k)+" "+of.many)
		}
		delete(n, of.outcome)
	}
	for range n {
		says = append(says, "others are as they were")
	}
	says = slices.Compact(says)
	says[0] = strings.ToUpper(says[0][:1]) + says[0][1:]
	return strings.Join(says, ", ") + "."
}
