package console

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/replica"
)

// validationView is the page of the checks of a replica.
type validationView struct {
	Head  ui.Head
	Tabs  ui.Tabs
	Table ui.Table
	Empty *ui.Empty
}

// validationsShown is how many checks the page lists.
const validationsShown = 100

// validationPage lists the checks of a replica, and starts one.
func (c *Console) validationPage(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	p := validationView{Tabs: c.tabs(m, tabValidation), Head: ui.Head{Title: "Validation", Lead: "Whether the replica of the newer client can take the place of the mirror."}}
	if c.opts.Replica == nil {
		p.Empty = &ui.Empty{Title: "No replica is configured", Lead: "Give the console's options a Replica, or name the replica of this customer in the file of customers."}
	} else if l := m.busy(kindValidation); l != nil {
		p.Head.Actions = []ui.Button{{Name: "The one that is running", URL: c.base + m.path("/validation/%d", l.id), Class: "primary"}}
	} else {
		p.Head.Actions = []ui.Button{{Name: "Check the replica", URL: c.base + m.path("/validation"), Post: true, Class: "primary"}}
	}
	all, err := c.state.jobs(v.Context(), jobQuery{Member: m.key, Kinds: []kind{kindValidation}, Limit: validationsShown})
	if err != nil {
		return err
	}
	p.Table = ui.Table{Label: "Checks of the replica", Columns: []ui.Column{{Name: "Check"}, {Name: "Outcome"}, {Name: "Asked for by"}, {Name: "Took"}, {Name: "Says", Wide: true}}}
	for _, j := range all {
		if l := c.jobs.get(j.ID); l != nil {
			j, _ = l.now()
		}
		badge := jobBadge(j)
		if j.Summary.Level != "" && j.Status.over() {
			badge = &ui.Badge{Class: j.Summary.Level, Text: decision(j.Summary.Level)}
		}
		says := j.Summary.Verdict
		if says == "" {
			says = message(j.Error)
		}
		p.Table.Rows = append(p.Table.Rows, ui.Row{Cells: []ui.Cell{
			{Text: c.moment(j.Asked).Text, URL: c.base + c.path(j), Note: c.moment(j.Asked).Ago}, {Badge: badge}, {Text: shown(j.Actor)}, {Text: c.took(j)}, {Text: text.Printable(says)},
		}})
	}
	if len(all) == 0 && p.Empty == nil {
		p.Empty = &ui.Empty{Title: "The replica was never checked", Lead: "A check reads both databases, and reads again what differs until it is known why."}
	}
	return c.show(v, page{name: "validation", title: "Validation of " + text.Name(m.ContextID), nav: "mirrors", data: p, crumbs: m.crumbs(ui.Link{Name: "Validation"})})
}

// decision is how good a check is in a word.
func decision(level string) string {
	switch level {
	case "good":
		return "go"
	case "bad":
		return "no-go"
	default:
		return "not yet"
	}
}

func (c *Console) startValidation(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	if c.opts.Replica == nil {
		return httpError{http.StatusConflict, "No replica is configured, so there is nothing to validate."}
	}
	j, err := c.jobs.start(v.Context(), job{Member: m.key, Kind: kindValidation, Actor: v.actor})
	if busy := (errBusy{}); errors.As(err, &busy) {
		return c.see(v, c.path(busy.job), "The replica is being checked already.")
	}
	if err != nil {
		return err
	}
	return c.see(v, c.path(j), "")
}

// validationReportPage shows a check of a replica.
func (c *Console) validationReportPage(v *visit) error {
	m, j, err := c.jobOf(v, "job", kindValidation)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("Validation %d", j.ID)
	view := comparisonView{Tabs: c.tabs(m, tabValidation)}
	p := page{name: "comparison", nav: "mirrors", title: title + " of " + text.Name(m.ContextID), crumbs: m.crumbs(ui.Link{Name: "Validation", URL: m.path("/validation")}, ui.Link{Name: title})}
	if !j.Status.over() {
		p.moves = true
		view.Head = &ui.Head{Title: title, Badge: jobBadge(j), Lead: fmt.Sprintf("%s asked for it %s. It goes on when this page is closed.", shown(j.Actor), c.moment(j.Asked).Ago),
			Actions: []ui.Button{{Name: "Stop", URL: fmt.Sprintf("%s/jobs/%d/stop", c.base, j.ID), Post: true, Class: "danger"}}}
		if view.Live, err = c.live(j, c.path(j)); err != nil {
			return err
		}
		p.data = view
		return c.show(v, p)
	}
	report, err := documentOf[replica.Report](v.Context(), c.state, j.ID)
	switch {
	case errors.Is(err, errNoDocument):
		view.Verdict = &ui.Verdict{Level: "unsure", Title: "This check has no report", Lead: []string{message(j.Error)}, Actions: []ui.Button{{Name: "All checks", URL: c.base + m.path("/validation")}}}
	case err != nil:
		return err
	default:
		var b bytes.Buffer
		if err := htmlreport.WriteValidationPart(&b, report); err != nil {
			return err
		}
		view.Report = template.HTML(b.String())
		at := c.moment(j.Ended)
		view.About = fmt.Sprintf("Asked for by %s, ended %s (%s) after %s.", shown(j.Actor), at.Text, at.Ago, c.took(j))
		if j.Status != statusDone {
			view.Messages = append(view.Messages, ui.Message{Level: "unsure", Head: "It did not come to its end.", Text: message(j.Error)})
		}
		view.Actions = []ui.Button{
			{Name: "Save as HTML", URL: c.base + c.path(j) + "/report.html", Class: "small"}, {Name: "Save as JSON", URL: c.base + c.path(j) + "/report.json", Class: "small"},
		}
	}
	p.data = view
	return c.show(v, p)
}
