package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
)

// jobsShown is how many jobs a page has.
const jobsShown = 50

// jobsPage lists what runs and what ran, of all mirrors.
type jobsPage struct {
	Head    ui.Head
	Filters ui.Tabs
	Table   ui.Table
	Pager   ui.Pager
	Empty   *ui.Empty
	Anew    string
}

func (c *Console) jobsPage(v *visit) error {
	running := v.FormValue("state") == stateRunning
	before, err := beforeOf(v)
	if err != nil {
		return err
	}
	query := jobQuery{Before: before, Limit: jobsShown + 1}
	if running {
		query.States = unfinished
	}
	jobs, err := c.state.jobs(v.Context(), query)
	if err != nil {
		return fmt.Errorf("read jobs: %w", err)
	}
	n := 0
	for _, m := range c.order {
		n += len(m.live())
	}
	p := jobsPage{Head: ui.Head{Title: "Jobs", Lead: "What runs and what ran, the newest first. Jobs go on when their page is closed."}}
	here := c.base + "/jobs"
	p.Filters = ui.Tabs{Label: "Jobs by state", Tabs: []ui.Tab{
		{Name: "All", URL: here, Current: !running}, {Name: "Running", URL: here + "?state=" + stateRunning, N: count(n), Class: "todo", Current: running},
	}}
	jobs, p.Pager = pagedBefore(jobs, before, jobsShown, here, running, "Pages of jobs", func(j job) int64 { return j.ID })
	p.Table = ui.Table{Label: "Jobs", Columns: []ui.Column{
		{Name: "Job"}, {Name: "State"}, {Name: "Mirror"}, {Name: "Asked for"}, {Name: "What came of it", Wide: true}, {Name: "Do"},
	}}
	for _, j := range jobs {
		p.Table.Rows = append(p.Table.Rows, c.jobRow(j))
	}
	if n > 0 && before == 0 {
		p.Anew = here
		if running {
			p.Anew += "?state=" + stateRunning
		}
	}
	if len(jobs) == 0 {
		p.Empty = &ui.Empty{Title: "No job has run yet", Lead: "Compare a mirror, and it stands here.", Actions: []ui.Button{{Name: "To the mirrors", URL: c.base + "/"}}}
		switch {
		case before > 0:
			p.Empty = &ui.Empty{Title: "No job is older", Actions: []ui.Button{{Name: "The newest jobs", URL: here}}}
		case running:
			p.Empty = &ui.Empty{Title: "Nothing is running", Lead: "Compare a mirror, and it stands here while that runs.", Actions: []ui.Button{{Name: "All jobs", URL: here}}}
		}
	}
	return c.show(v, page{name: "jobs", title: "Jobs", nav: "jobs", data: p})
}

// pagedBefore cuts off the entry that says that there are more, and links to the pages.
func pagedBefore[T any](all []T, before int64, size int, path string, running bool, label string, id func(T) int64) ([]T, ui.Pager) {
	pager := ui.Pager{Label: label}
	at := func(before int64) string {
		q := url.Values{}
		if running {
			q.Set("state", stateRunning)
		}
		if before > 0 {
			q.Set("before", strconv.FormatInt(before, 10))
		}
		if len(q) == 0 {
			return path
		}
		return path + "?" + q.Encode()
	}
	if before > 0 {
		pager.Text, pager.Previous = "Older ones", at(0)
	}
	if len(all) > size {
		all = all[:size]
		pager.Text, pager.Next = cmp.Or(pager.Text, "The newest ones"), at(id(all[size-1]))
	}
	return all, pager
}

func (c *Console) jobRow(j job) ui.Row {
	var p progress
	if l := c.jobs.get(j.ID); l != nil {
		j, p = l.now()
	}
	name := ui.Cell{Text: fmt.Sprintf("%s %d", kindName(j), j.ID), ID: fmt.Sprintf("j-%d", j.ID)}
	of := ui.Cell{Text: text.Name(j.Member), Note: "no longer one of the console's"}
	m := c.members[j.Member]
	if m != nil {
		name.URL = c.base + c.path(j)
		of = ui.Cell{Text: m.ContextID, URL: c.base + m.path("")}
	}
	badge, class := jobBadge(j), ""
	if j.Status == statusFailed || j.Status == statusUnknown {
		class = badge.Class
	}
	if j.Status == statusUnknown {
		badge.Text = "end not known" // a column is narrow
	}
	came := ui.Cell{Text: cameOf(j)}
	if !j.Status.over() {
		came = ui.Cell{Progress: jobProgress(j, p)}
	}
	return ui.Row{Class: class, Cells: []ui.Cell{
		name, {Badge: badge, Note: c.took(j)}, of, {Time: c.moment(j.Asked), Note: "by " + shown(j.Actor)}, came, {Action: c.jobAction(m, j)},
	}}
}

// cameOf says in a few words what came of a job.
func cameOf(j job) string {
	switch {
	case j.Error != "":
		return message(j.Error)
	case j.Summary.Undone > 0:
		return fmt.Sprintf("Taken back by job %d.", j.Summary.Undone)
	case j.Summary.Differing > 0:
		return j.Summary.Verdict + ": " + plural(j.Summary.Differing, "row") + "."
	case j.Summary.Verdict != "":
		return j.Summary.Verdict + "."
	default:
		return ""
	}
}

// jobAction is what can be done with a job, nil for nothing.
func (c *Console) jobAction(m *member, j job) *ui.Button {
	b := &ui.Button{ID: fmt.Sprintf("b-%d", j.ID), Of: fmt.Sprintf("job %d", j.ID), Post: true, Class: "small"}
	at := fmt.Sprintf("%s/jobs/%d/", c.base, j.ID)
	switch {
	case m == nil || j.Kind == kindChange:
		return nil
	case !j.Status.over():
		b.Name, b.URL = "Stop", at+"stop"
	case !j.resumable():
		return nil
	case j.Summary.Resumable:
		b.Name, b.URL = "Go on", at+"resume"
	default:
		b.Name, b.URL = "Run again", at+"resume"
	}
	return b
}

// jobPage sends on to the page of what the job does.
func (c *Console) jobPage(v *visit) error {
	j, err := c.jobOfPath(v)
	if err != nil {
		return err
	}
	return c.see(v, c.path(j), "")
}

func (c *Console) jobOfPath(v *visit) (job, error) {
	id, err := jobID(v, "job")
	if err != nil {
		return job{}, err
	}
	return c.job(v.Context(), id)
}

func (c *Console) stopJob(v *visit) error {
	j, err := c.jobOfPath(v)
	if err != nil {
		return err
	}
	switch {
	case j.Kind == kindChange:
		return httpError{http.StatusConflict, "A change cannot be stopped: it is done whole, or not at all. It can be undone."}
	case j.Status.over() || !c.jobs.stop(j.ID):
		return c.see(v, c.path(j), "It had ended already.")
	}
	if l := c.jobs.get(j.ID); l != nil { // so that the page shows the end
		select {
		case <-l.done:
		case <-v.Context().Done():
		}
	}
	return c.see(v, c.path(j), "")
}

func (c *Console) resumeJob(v *visit) error {
	j, err := c.jobOfPath(v)
	if err != nil {
		return err
	}
	if c.members[j.Member] == nil {
		return httpError{http.StatusConflict, "This mirror is no longer one of the console's."}
	}
	was, err := c.jobs.resume(v.Context(), j.ID)
	switch busy := (errBusy{}); {
	case errors.As(err, &busy):
		return c.see(v, c.path(busy.job), "Another one of this mirror is running.")
	case errors.Is(err, errNotResumable):
		return httpError{http.StatusConflict, "This job cannot be gone on with: start a new one."}
	case err != nil:
		return err
	}
	return c.see(v, c.path(was), "")
}
