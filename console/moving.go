package console

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/heal"
)

// liveView is what a page shows of a job that is queued or running: the template "live".
type liveView struct {
	Events string // where the stream of them is
	Page   string // that is loaded anew at the end
	Said   string
	Moving template.HTML
}

// live is what the page at a path shows of a job that is queued or running.
func (c *Console) live(j job, path string) (*liveView, error) {
	p := progress{}
	if l := c.jobs.get(j.ID); l != nil {
		j, p = l.now()
	}
	var b bytes.Buffer
	if err := c.renderLive(&b, j, p); err != nil {
		return nil, err
	}
	return &liveView{Events: fmt.Sprintf("%s/jobs/%d/events", c.base, j.ID), Page: c.base + path, Said: said(j, p), Moving: template.HTML(b.String())}, nil
}

// renderLive writes the part of a job's page that moves.
func (c *Console) renderLive(b *bytes.Buffer, j job, p progress) error {
	return c.pages.parts.ExecuteTemplate(b, "moving", c.moving(j, p))
}

// said is what somebody who listens is told, now and then.
func said(j job, p progress) string {
	switch {
	case j.Status == statusQueued:
		return kindName(j) + ": it waits for its turn."
	case p.Tables == 0:
		return kindName(j) + ": it is running."
	default:
		return fmt.Sprintf("%s: %d percent of the tables are done.", kindName(j), p.Percent()/10*10)
	}
}

// moving is the part that moves: the template "moving".
type moving struct {
	Line  string
	Bar   *ui.Progress
	Table *ui.Table
	More  string
}

func (c *Console) moving(j job, p progress) moving {
	switch {
	case j.Status == statusQueued:
		return moving{Line: "It waits for its turn: only some comparisons run at once."}
	case j.Kind == kindWaiting:
		return c.movingWait(j, p.Wait)
	case j.Kind == kindValidation:
		return c.movingCheck(j, p)
	case j.Kind == kindChange:
		return moving{Line: sentences("It is being made, whole or not at all", c.soFar(j)), Bar: &ui.Progress{Label: kindName(j)}}
	default:
		return c.movingTables(j, p)
	}
}

// soFar says how long a job runs.
func (c *Console) soFar(j job) string {
	ran := c.now().Sub(j.Started)
	if j.Started.IsZero() || ran < time.Second {
		return ""
	}
	return rough(ran) + " so far"
}

// sentences are the parts of a line that there are.
func sentences(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, ", ") + "."
}

// movingTables is how far a comparison is.
func (c *Console) movingTables(j job, p progress) moving {
	bar := &ui.Progress{Label: kindName(j)}
	switch {
	case p.Tables == 0 && j.Kind == kindRecheck:
		return moving{Line: sentences("What differed is read once more", c.soFar(j)), Bar: bar}
	case p.Tables == 0:
		return moving{Line: sentences("The databases are opened", c.soFar(j)), Bar: bar}
	}
	bar.Value, bar.Max = int64(min(p.TablesDone, p.Tables)), int64(p.Tables)
	rest := c.rest(j, p)
	if rest != "" {
		rest = "about " + rest + " left"
	}
	m := moving{Line: sentences(count(p.TablesDone)+" of "+plural(p.Tables, "table")+" done", plural(p.Rows, "row")+" read", c.soFar(j), rest), Bar: bar}
	if len(p.Reading) > 0 {
		m.Table = &ui.Table{Label: "Tables that are being read", Columns: []ui.Column{{Name: "Table"}, {Name: "Read"}}}
		for _, r := range p.Reading {
			m.Table.Rows = append(m.Table.Rows, ui.Row{Cells: []ui.Cell{{Text: shown(r.Table)}, {Progress: r.bar()}}})
		}
	}
	if len(p.Finished) > 0 {
		m.More = "Done last: " + named(p.Finished)
	}
	return m
}

// bar is how far the reading of a table is.
func (r reading) bar() *ui.Progress {
	bar := &ui.Progress{Label: shown(r.Table), Text: plural(r.Rows, "row")}
	if r.Expected > 0 {
		bar.Value, bar.Max = max(0, min(r.Rows, r.Expected)), r.Expected
		bar.Text = fmt.Sprintf("%s of about %s", count(r.Rows), plural(r.Expected, "row"))
	}
	if r.Remaining > 0 {
		bar.Text += ", about " + rough(r.Remaining) + " left"
	}
	return bar
}

// rest says about how long a comparison goes on: as long as the tables that are left take
// at the pace of those that are done, and those that are being read; "" when there is
// nothing to go by.
func (c *Console) rest(j job, p progress) string {
	var rest time.Duration
	if p.TablesDone > 0 && !j.Started.IsZero() {
		rest = time.Duration(float64(c.now().Sub(j.Started)) / float64(p.TablesDone) * float64(p.Tables-p.TablesDone))
	}
	for _, r := range p.Reading {
		rest = max(rest, r.Remaining)
	}
	if rest < time.Second {
		return ""
	}
	return rough(rest)
}

// movingCheck is how far a validation is.
func (c *Console) movingCheck(j job, p progress) moving {
	bar := &ui.Progress{Label: kindName(j)}
	if p.Check == nil {
		return moving{Line: sentences("The databases are opened", c.soFar(j)), Bar: bar}
	}
	if p.TablesDone < p.Tables {
		bar.Value, bar.Max = int64(p.TablesDone), int64(p.Tables)
		return moving{Line: sentences(count(p.TablesDone)+" of "+plural(p.Tables, "table")+" compared", c.soFar(j)), Bar: bar}
	}
	m := moving{Line: sentences("All tables are compared", plural(p.Check.Open, "key")+" to be read again", c.soFar(j)), Bar: bar}
	if !p.Check.Next.IsZero() {
		m.More = "They are read again at " + c.moment(p.Check.Next).Text + "."
	}
	return m
}

// movingWait is how far the tables are that a cycle populates.
func (c *Console) movingWait(j job, r *heal.WaitReport) moving {
	if r == nil {
		return moving{Line: sentences("The mirror is looked at", c.soFar(j)), Bar: &ui.Progress{Label: kindName(j)}}
	}
	there := 0
	table := &ui.Table{Label: "Tables that are waited for", Columns: []ui.Column{{Name: "Table"}, {Name: "State"}, {Name: "Rows"}, {Name: "LSN", Number: true}}}
	for _, t := range r.Tables {
		if t.State == heal.WaitPopulated || t.State == heal.WaitNotRequested {
			there++
		}
		lsn := "–"
		if t.LSN != nil {
			lsn = count(int64(*t.LSN))
		}
		rows := reading{t.Table, t.Rows, t.Expected, t.Remaining}.bar()
		if t.State == heal.WaitRequested && t.Rows > 0 { // those of before, which the cycle wipes
			rows.Text = plural(t.Rows, "old row")
		}
		if t.Expected == 0 || t.State == heal.WaitRequested { // nobody knows how many, or nothing moves
			table.Rows = append(table.Rows, ui.Row{Cells: []ui.Cell{{Text: shown(t.Table)}, {Badge: waitBadge(t.State)}, {Text: rows.Text}, {Text: lsn}}})
			continue
		}
		table.Rows = append(table.Rows, ui.Row{Cells: []ui.Cell{{Text: shown(t.Table)}, {Badge: waitBadge(t.State)}, {Progress: rows}, {Text: lsn}}})
	}
	m := moving{
		Line:  sentences(count(there)+" of "+plural(len(r.Tables), "table")+" populated", c.soFar(j)),
		Bar:   &ui.Progress{Label: kindName(j), Value: int64(there), Max: int64(len(r.Tables))},
		Table: table,
	}
	if !r.Next.IsZero() && there < len(r.Tables) {
		next := c.moment(r.Next)
		m.More = "The next cycle is to be expected at " + next.Text + " (" + next.Ago + ")."
	}
	return m
}

// waitBadge shows how far a table is after a reset.
func waitBadge(s heal.WaitState) *ui.Badge {
	switch s {
	case heal.WaitRequested:
		return &ui.Badge{Class: "pending", Text: "waits for a cycle"}
	case heal.WaitFilling:
		return &ui.Badge{Class: "todo", Text: "filling"}
	case heal.WaitPopulated:
		return &ui.Badge{Class: "same", Text: "populated"}
	case heal.WaitLost:
		return &ui.Badge{Class: "bad", Text: "reset lost"}
	case heal.WaitNotRequested:
		return &ui.Badge{Class: "none", Text: "was not reset"}
	default:
		return &ui.Badge{Class: "neutral", Text: shown(string(s))}
	}
}
