package console

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/so-mirror/mirror/console/internal/ui"
)

// comparisonView is one comparison: templates/comparison.gohtml. It has a Head, a Verdict
// or a Report, each of which begins the page.
type comparisonView struct {
	Tabs     ui.Tabs
	Head     *ui.Head
	Verdict  *ui.Verdict
	Messages []ui.Message
	Live     *liveView
	About    string // above a report
	Actions  []ui.Button
	Report   template.HTML
}

func (c *Console) comparisonPage(v *visit) error {
	m, j, err := c.jobOf(v, "job", comparisons...)
	if err != nil {
		return err
	}
	view := comparisonView{Tabs: c.tabs(m, tabComparisons)}
	p := page{name: "comparison", nav: "mirrors", title: fmt.Sprintf("%s %d of %s", kindName(j), j.ID, m.ContextID)}
	p.crumbs = m.crumbs(ui.Link{Name: "Comparisons", URL: m.path("/comparisons")}, ui.Link{Name: fmt.Sprintf("%s %d", kindName(j), j.ID)})
	if !j.Status.over() {
		p.moves = true
		err = c.fillRunning(&view, m, j)
	} else {
		p.told = fmt.Sprintf("%s %d is over: %s.", kindName(j), j.ID, foundBadge(j).Text)
		err = c.fillOver(v, &view, m, j)
	}
	if err != nil {
		return err
	}
	p.data = view
	return c.show(v, p)
}

// fillRunning shows a comparison that is queued or running.
func (c *Console) fillRunning(view *comparisonView, m *member, j job) (err error) {
	asked := c.moment(j.Asked)
	view.Head = &ui.Head{
		Title: fmt.Sprintf("%s %d", kindName(j), j.ID), Badge: jobBadge(j),
		Lead:    fmt.Sprintf("%s, asked for by %s %s. It goes on when this page is closed.", whatOf(j), shown(j.Actor), asked.Ago),
		Actions: []ui.Button{{Name: "Stop", URL: fmt.Sprintf("%s/jobs/%d/stop", c.base, j.ID), Post: true, Class: "danger"}},
	}
	if j.Resumed > 0 {
		view.Messages = append(view.Messages, ui.Message{Level: "unsure", Head: "Gone on with", Text: "The process was started again while it ran, so it goes on from its checkpoint."})
	}
	view.Live, err = c.live(j, c.path(j))
	return err
}

// fillOver shows a comparison that is over, with its report if that is kept.
func (c *Console) fillOver(v *visit, view *comparisonView, m *member, j job) error {
	part, err := c.reportPart(v, j)
	if errors.Is(err, errNoDocument) {
		view.Verdict = c.noReport(m, j)
		return nil
	}
	if err != nil {
		return err
	}
	before, hasBefore, err := c.compared(v.Context(), m, j.ID, hasReport)
	if err != nil {
		return err
	}
	view.Report, view.About, view.Actions = part.html, c.aboutReport(j), c.reportActions(m, j, part)
	if j.Status != statusDone || j.Summary.Incomplete {
		view.Messages = append(view.Messages, ui.Message{Level: "unsure", Head: whyOver(j), Text: strings.Join(howFar(j, part), " ")})
	}
	if hasBefore {
		view.Actions = append(view.Actions, ui.Button{Name: "What changed since the one before", URL: c.base + m.since(j.ID, before.ID)})
	}
	return nil
}

// aboutReport says whose comparison it was, and when.
func (c *Console) aboutReport(j job) string {
	when := c.moment(j.Ended)
	about := fmt.Sprintf("%s, asked for by %s, ended %s (%s)", whatOf(j), shown(j.Actor), when.Text, when.Ago)
	if took := c.took(j); took != "" {
		about += " after " + took
	}
	if j.Request.Recorded {
		about += ", and was not made by this console"
	}
	return about + "."
}

// reportActions are what can be done about a report.
func (c *Console) reportActions(m *member, j job, part *reportPart) (all []ui.Button) {
	own := c.base + c.path(j)
	if b, ok := c.goOn(j); ok {
		all = append(all, b)
	}
	if part.acts && !c.opts.ReadOnly {
		all = append(all, ui.Button{Name: "Reset what differs", URL: fmt.Sprintf("%s?of=%d", c.base+m.path("/reset"), j.ID), Class: "primary"})
	}
	if part.unknown > 0 {
		all = append(all, ui.Button{Name: "Recheck", Of: "what is not known to be pending", URL: own + "/recheck", Post: true})
	}
	return append(all, c.again(m, j),
		ui.Button{Name: "Save as HTML", URL: own + "/report.html"},
		ui.Button{Name: "Save as JSON", URL: own + "/report.json"})
}

// again asks for the same comparison once more; after a recheck, for all of the mirror.
func (c *Console) again(m *member, j job) ui.Button {
	return ui.Button{Name: "Compare again", URL: c.base + m.path("/comparisons"), Post: true, Hidden: j.Request.hidden()}
}

// goOn goes on with a comparison that did not come to its end.
func (c *Console) goOn(j job) (ui.Button, bool) {
	b := ui.Button{Name: "Go on", URL: fmt.Sprintf("%s/jobs/%d/resume", c.base, j.ID), Post: true, Class: "primary"}
	if !j.Summary.Resumable {
		b.Name = "Run again"
	}
	return b, j.resumable()
}

// whyOver says in short why a comparison came to no end of its own.
func whyOver(j job) string {
	switch j.Status {
	case statusStopped:
		return "It was stopped."
	case statusDone:
		return "Its time was up."
	default:
		return "It failed."
	}
}

// howFar says why a comparison is over, and how far it came.
func howFar(j job, part *reportPart) (all []string) {
	if j.Error != "" {
		all = append(all, message(j.Error))
	}
	if part != nil {
		all = append(all, fmt.Sprintf("%s of %s were compared to the end, and are below.", count(part.compared), plural(part.tables, "table")))
	}
	switch {
	case j.Kind == kindRecheck:
		return all
	case j.Summary.Resumable:
		return append(all, "Going on begins where it was.")
	default:
		return append(all, "It would begin anew: there was nothing to keep yet.")
	}
}

// noReport is the page of a comparison without a report.
func (c *Console) noReport(m *member, j job) *ui.Verdict {
	w := &ui.Verdict{Level: "unsure", Title: fmt.Sprintf("%s %d has no report any more", kindName(j), j.ID), Lead: []string{c.aboutReport(j)}}
	switch {
	case j.Status == statusFailed, j.Status == statusStopped:
		w.Title = fmt.Sprintf("%s %d was stopped", kindName(j), j.ID)
		if j.Status == statusFailed {
			w.Level, w.Title = "bad", fmt.Sprintf("%s %d failed", kindName(j), j.ID)
		}
		w.Lead = append(w.Lead, howFar(j, nil)...)
	default:
		w.Lead = append(w.Lead, "Its report was cleaned up. It had found: "+j.Summary.Verdict+".")
	}
	if j.Kind == kindRecheck && j.Request.Of > 0 {
		w.Actions = append(w.Actions, ui.Button{Name: fmt.Sprintf("Comparison %d", j.Request.Of), URL: c.base + m.path("/comparisons/%d", j.Request.Of)})
	}
	again := c.again(m, j)
	if b, ok := c.goOn(j); ok {
		again = b
	}
	w.Actions = append(w.Actions, again)
	return w
}

func (c *Console) startRecheck(v *visit) error {
	m, j, err := c.jobOf(v, "job", comparisons...)
	if err != nil {
		return err
	}
	if !j.Status.over() {
		return httpError{http.StatusConflict, "The comparison is not over: recheck it when it is."}
	}
	part, err := c.reportPart(v, j)
	switch {
	case errors.Is(err, errNoDocument):
		return httpError{http.StatusConflict, "This comparison has no report to recheck: compare again."}
	case err != nil:
		return err
	case part.unknown == 0:
		return httpError{http.StatusConflict, "Of each row that differs it is known whether a cycle brings it, so there is nothing to recheck."}
	}
	return c.begin(v, job{Member: m.key, Kind: kindRecheck, Actor: v.actor, Request: request{Of: j.ID}})
}
