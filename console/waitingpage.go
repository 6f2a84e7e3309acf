package console

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// waitingView is the page of what waits for a cycle.
type waitingView struct {
	Head     ui.Head
	Tabs     ui.Tabs
	Steps    []ui.Step
	Messages []ui.Message
	Live     *liveView
	Facts    []ui.Fact
	Last     *ui.Table // how far the tables came when somebody waited last
	LastHead string
	Open     *ui.Table // tables that are not populated, as the mirror said last
	Empty    *ui.Empty
}

// waitingPage shows the tables that the next cycle populates.
func (c *Console) waitingPage(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	p := waitingView{Tabs: c.tabs(m, tabWaiting), Head: ui.Head{Title: "Waiting", Lead: "What was reset is emptied and filled by the next cycle of the Mirroring Task."}}
	status, err := c.state.status(v.Context(), m.key)
	if err != nil {
		return err
	}
	p.Open = openTables(status)
	start := ui.Button{Name: "Wait for the cycle", URL: c.base + m.path("/waiting"), Post: true, Class: "primary"}
	l := m.busy(kindWaiting)
	if l != nil {
		j, _ := l.now()
		p.Steps = resetSteps(4)
		p.Head.Badge = jobBadge(j)
		p.Head.Actions = []ui.Button{{Name: "Stop waiting", URL: fmt.Sprintf("%s/jobs/%d/stop", c.base, j.ID), Post: true}}
		if p.Live, err = c.live(j, m.path("/waiting")); err != nil {
			return err
		}
		p.Facts = c.waitFacts(m, j)
	} else if err := c.addLastWait(v, m, &p, status, start); err != nil {
		return err
	}
	p.Facts = append(p.Facts, ui.Fact{Name: "Cycles begin", Value: c.scheduled()})
	if status != nil {
		at := c.moment(status.Time)
		p.Facts = append(p.Facts, ui.Fact{Name: "Mirror looked at", Value: at.Text + " (" + at.Ago + ")"})
	}
	return c.show(v, page{name: "waiting", title: "Waiting for " + text.Name(m.ContextID), nav: "mirrors", moves: l != nil, data: p, crumbs: m.crumbs(ui.Link{Name: "Waiting"})})
}

// addLastWait shows how far the tables were when somebody waited last.
func (c *Console) addLastWait(v *visit, m *member, p *waitingView, status *mirror.Status, start ui.Button) error {
	j, ok := m.lastOf(kindWaiting)
	if ok {
		report, err := documentOf[heal.WaitReport](v.Context(), c.state, j.ID)
		if err != nil && !errors.Is(err, errNoDocument) && !errors.Is(err, errNotFound) {
			return err
		}
		at := c.moment(j.Ended)
		p.LastHead = fmt.Sprintf("When it was waited for last, %s", at.Ago)
		if report != nil {
			p.Last = c.movingWait(j, report).Table
		}
		p.Facts = c.waitFacts(m, j)
		if message := c.waitMessage(m, j); message != nil {
			p.Messages = append(p.Messages, *message)
		}
	}
	switch {
	case p.Open != nil:
		p.Head.Actions = []ui.Button{start}
	case !ok && status == nil:
		p.Empty = &ui.Empty{Title: "The mirror was not looked at yet", Lead: "Which tables wait for a cycle is known then.", Actions: []ui.Button{{Name: "Look now", URL: c.base + m.path("/look"), Post: true, Class: "primary"}}}
	case !ok:
		p.Empty = &ui.Empty{Title: "No table waits for a cycle", Lead: "What is reset is waited for here."}
	}
	return nil
}

// waitMessage says how waiting ended.
func (c *Console) waitMessage(m *member, j job) *ui.Message {
	switch {
	case strings.Contains(j.Error, heal.ErrLostReset.Error()):
		return &ui.Message{Level: "bad", Head: "A reset was lost.", Text: "A cycle that was running wrote its own LSN over the -1. Reset these tables again.", Link: &ui.Link{Name: "Reset", URL: c.base + m.path("/reset")}}
	case strings.Contains(j.Error, heal.ErrOverdue.Error()):
		return &ui.Message{Level: "bad", Head: "No cycle came in time.", Text: "Check whether the Mirroring Task is running, and wait again."}
	case j.Status == statusFailed:
		return &ui.Message{Level: "bad", Head: "Waiting failed.", Text: message(j.Error)}
	case j.Status == statusStopped:
		return &ui.Message{Level: "unsure", Head: "Waiting was stopped.", Text: message(cmp.Or(j.Error, "The tables are populated all the same; nobody looks on."))}
	case j.Summary.Level == "good":
		return &ui.Message{Level: "good", Head: "All is populated.", Text: "Compare again to be sure.", Link: &ui.Link{Name: "Compare", URL: c.base + m.path("/comparisons")}}
	}
	return nil
}

// waitFacts say who waits, and what for.
func (c *Console) waitFacts(m *member, j job) []ui.Fact {
	facts := []ui.Fact{{Name: "Asked for by", Value: text.Name(j.Actor)}, {Name: "Since", Value: c.moment(j.Asked).Text}}
	if n := len(j.Request.changes()); n > 0 {
		facts = append(facts, ui.Fact{Name: "Waits for", Value: links(each(j.Request.changes(), func(id int64) ui.Link {
			return ui.Link{Name: fmt.Sprintf("change %d", id), URL: c.base + m.path("/changes/%d", id)}
		}))})
	}
	return facts
}

// openTables are those that a cycle has not populated, as the mirror said last.
func openTables(s *mirror.Status) *ui.Table {
	if s == nil {
		return nil
	}
	t := &ui.Table{Label: "Tables that are not populated", Columns: []ui.Column{{Name: "Table"}, {Name: "State"}, {Name: "Rows", Number: true}, {Name: "Why", Wide: true}}}
	for _, row := range s.Tables {
		if isOpen(row) || row.State == mirror.TableNoMetadata {
			t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: shown(row.Table)}, {Badge: tableStateBadge(row.State)}, {Text: count(row.Rows)}, {Text: text.Printable(row.Reason)}}})
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// isOpen reports whether the next cycle populates a table. One without a metadata row may
// be one that the source does not have.
func isOpen(t mirror.TableStatus) bool {
	return t.State == mirror.TableResetRequested || t.State == mirror.TableAbsent || t.LSN != nil && *t.LSN == store.ResendAll
}

// scheduled says when cycles begin by the schedule. When the last one began nobody knows
// here, so that the next may begin at any moment of these.
func (c *Console) scheduled() string {
	s := c.opts.Schedule
	every := cmp.Or(s.Every, 20*time.Minute)
	from, to := s.NightFrom, s.NightTo
	if from == 0 && to == 0 {
		from, to = 23*time.Hour, 6*time.Hour
	}
	zone := "UTC"
	if s.Location != nil {
		zone = s.Location.String()
	}
	said := "every " + rough(every)
	if from != to {
		clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours())%24, int(d.Minutes())%60) }
		said += fmt.Sprintf(", none from %s to %s %s", clock(from), clock(to), zone)
	}
	next := c.moment(s.NextCycle(c.now()))
	return said + "; one is due by " + next.Text + " (" + next.Ago + ")"
}

// startWaiting waits for what the last change reset, and for the tables that wait besides.
func (c *Console) startWaiting(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	seen, err := c.state.status(v.Context(), m.key)
	if err != nil {
		return err
	}
	r := request{}
	if seen != nil {
		for _, t := range seen.Tables {
			if isOpen(t) || seen.State == mirror.MirrorAwaitingFirstCycle {
				r.Tables = append(r.Tables, t.Table)
			}
		}
	}
	changes, err := c.state.jobs(v.Context(), jobQuery{Member: m.key, Kinds: []kind{kindChange}, States: []status{statusDone}, Limit: 1})
	if err != nil {
		return err
	}
	if len(changes) > 0 && changes[0].Summary.Undone == 0 && changes[0].Request.Change.Operation != opUndo {
		r.Of = changes[0].ID
	}
	if r.Of == 0 && len(r.Tables) == 0 {
		return httpError{http.StatusConflict, "No table of this mirror is known to wait for a cycle. Have it looked at first."}
	}
	_, err = c.jobs.start(v.Context(), job{Member: m.key, Kind: kindWaiting, Actor: v.actor, Request: r})
	if err != nil && !errors.As(err, &errBusy{}) {
		return err
	}
	return c.see(v, m.path("/waiting"), "")
}

// links are links with commas between them.
func links(all []ui.Link) template.HTML {
	return template.HTML(strings.Join(each(all, func(l ui.Link) string {
		return `<a href="` + template.HTMLEscapeString(l.URL) + `">` + template.HTMLEscapeString(l.Name) + `</a>`
	}), ", "))
}
