package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/store"
)

const (
	comparisonsShown = 50  // on a page of the history
	comparisonsAhead = 100 // that are looked through for one to compare with
)

// comparisonsView is the history of a mirror's comparisons: templates/comparisons.gohtml.
type comparisonsView struct {
	Head    ui.Head
	Tabs    ui.Tabs
	Running []ui.Message
	Form    compareForm
	Table   *ui.Table
	Empty   *ui.Empty
	Pager   *ui.Pager
}

// compareForm asks for a comparison.
type compareForm struct {
	Action string
	Tables ui.Field
	Depth  ui.Field
	Since  *ui.Field // where there is something to go on from
}

// asked is what a form asks for, as it was typed.
type asked struct {
	tables, tablesWrong string
	depth, depthWrong   string
	since               bool
}

func (c *Console) comparisonsPage(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	return c.showComparisons(v, m, asked{}, http.StatusOK)
}

// showComparisons shows the history, and the form as it was filled in.
func (c *Console) showComparisons(v *visit, m *member, a asked, code int) error {
	before, err := beforeOf(v)
	if err != nil {
		return err
	}
	all, err := c.state.jobs(v.Context(), jobQuery{Member: m.key, Kinds: comparisons, Before: before, Limit: comparisonsShown + comparisonsAhead})
	if err != nil {
		return err
	}
	since, hasSince, err := c.compared(v.Context(), m, 0, goesOnFrom)
	if err != nil {
		return err
	}
	view := comparisonsView{
		Head: ui.Head{Title: "Comparisons", Lead: "What of " + shown(m.ContextID) + " was compared with its source, the newest first."},
		Tabs: c.tabs(m, tabComparisons), Form: c.compareForm(m, a, since, hasSince),
	}
	if l := m.busy(comparisons...); l != nil {
		j, _ := l.now()
		view.Running = []ui.Message{{Level: "todo", Head: kindName(j), Text: jobBadge(j).Text + ", asked for by " + shown(j.Actor) + ".", Link: &ui.Link{Name: "See how far it is", URL: c.base + c.path(j)}}}
	}
	switch {
	case len(all) > 0:
		view.Table = c.historyTable(m, all)
	case before > 0:
		view.Empty = &ui.Empty{Title: "There are no older ones", Actions: []ui.Button{{Name: "The newest", URL: c.base + m.path("/comparisons")}}}
	default:
		view.Empty = &ui.Empty{Title: "This mirror was never compared", Lead: "A comparison reads both sides and writes to neither: start one above."}
	}
	if before > 0 || len(all) > comparisonsShown {
		view.Pager = &ui.Pager{Label: "Pages of comparisons", Text: plural(min(len(all), comparisonsShown), "comparison") + " on this page"}
		if before > 0 {
			view.Pager.Previous = c.base + m.path("/comparisons") // there is no way back but the beginning
		}
		if len(all) > comparisonsShown {
			view.Pager.Next = c.base + m.path("/comparisons?before=%d", all[comparisonsShown-1].ID)
		}
	}
	return c.show(v, page{name: "comparisons", title: "Comparisons of " + m.ContextID, nav: "mirrors", crumbs: m.crumbs(ui.Link{Name: "Comparisons"}), data: view, code: code})
}

// beforeOf is the job before which a page of a list begins, 0 for the newest.
func beforeOf(v *visit) (int64, error) {
	asked := v.URL.Query().Get("before")
	if asked == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(asked, 10, 64)
	if err != nil || id < 1 {
		return 0, badRequest("The list begins before a number, such as ?before=17.")
	}
	return id, nil
}

// historyTable is a page of the history. Those that come after it are there for the last
// one's link.
func (c *Console) historyTable(m *member, all []job) *ui.Table {
	t := &ui.Table{Label: "Comparisons, the newest first", Columns: []ui.Column{
		{Name: "When"}, {Name: "Found"}, {Name: "Rows differ", Number: true}, {Name: "Tables differ", Number: true}, {Name: "What"}, {Name: "Took", Number: true}, {Name: "Since before"},
	}}
	for i, j := range all[:min(len(all), comparisonsShown)] {
		when, found := c.moment(j.Asked), foundBadge(j)
		row := ui.Row{Cells: []ui.Cell{
			{Text: when.Text, URL: c.base + c.path(j), Note: when.Ago}, {Badge: found}, {Text: "–"}, {Text: "–"},
			{Text: whatOf(j), Note: "by " + shown(j.Actor)}, {Text: orDash(c.took(j))}, {Text: "–"},
		}}
		if slices.Contains([]string{"bad", "unsure", "waiting"}, found.Class) {
			row.Class = found.Class
		}
		if hasReport(j) {
			row.Cells[2].Text, row.Cells[3].Text = count(j.Summary.Differing), count(j.Summary.tablesDiffering())
			if k := slices.IndexFunc(all[i+1:], hasReport); k >= 0 {
				row.Cells[6] = ui.Cell{Text: "What changed", URL: c.base + m.since(j.ID, all[i+1+k].ID)}
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// foundBadge shows what a comparison found, or that it did not come so far.
func foundBadge(j job) *ui.Badge {
	if j.Status != statusDone || j.Summary.Verdict == "" {
		return jobBadge(j)
	}
	return &ui.Badge{Class: j.Summary.Level, Text: j.Summary.Verdict}
}

// hasReport reports whether a comparison is over and found something out.
func hasReport(j job) bool { return j.Status.over() && j.Summary.Verdict != "" }

// whatOf says what a comparison looks at.
func whatOf(j job) string {
	what := []string{kindName(j)}
	if j.Kind == kindRecheck {
		return fmt.Sprintf("Recheck of %d", j.Request.Of)
	}
	if n := len(j.Request.Tables); n > 0 {
		what = append(what, plural(n, "table"))
	}
	switch j.Request.Depth {
	case mirror.DepthCount:
		what = append(what, "numbers of rows")
	case mirror.DepthSchema:
		what = append(what, "columns and keys")
	}
	if j.Request.Since {
		what = append(what, "only what changed")
	}
	return strings.Join(what, ", ")
}

// compared returns the last comparison of a mirror before another one, or of all for 0,
// that is wanted.
func (c *Console) compared(ctx context.Context, m *member, before int64, wanted func(job) bool) (job, bool, error) {
	all, err := c.state.jobs(ctx, jobQuery{Member: m.key, Kinds: comparisons, Before: before, Limit: comparisonsAhead})
	if err != nil {
		return job{}, false, err
	}
	if i := slices.IndexFunc(all, wanted); i >= 0 {
		return all[i], true, nil
	}
	return job{}, false, nil
}

// goesOnFrom reports whether a later comparison can read only what changed since.
func goesOnFrom(j job) bool {
	return j.Kind == kindComparison && j.Status == statusDone && j.Summary.Whole && !j.Summary.Incomplete
}

// compareForm is the form with what was asked for.
func (c *Console) compareForm(m *member, a asked, since job, hasSince bool) compareForm {
	f := compareForm{
		Action: c.base + m.path("/comparisons"),
		Tables: ui.Field{Name: "tables", Type: "textarea", Label: "Tables", Value: a.tables, Error: a.tablesWrong, Hint: "One a line, or with commas between. Without any, all are compared."},
		Depth: ui.Field{Name: "depth", Type: "select", Label: "Depth", Value: a.depth, Error: a.depthWrong, Choices: []ui.Hidden{
			{Name: "Every row by value", Value: string(mirror.DepthRows)}, {Name: "Numbers of rows", Value: string(mirror.DepthCount)}, {Name: "Columns and keys", Value: string(mirror.DepthSchema)},
		}},
	}
	if hasSince {
		f.Since = &ui.Field{
			Name: "since", Type: "checkbox", Label: "Only what changed since the last complete comparison", Checked: a.since,
			Hint: "That of " + c.moment(since.Ended).Text + ". What somebody changed in the mirror itself is only seen where its changes are tracked, too.",
		}
	}
	return f
}

func (c *Console) startComparison(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	known, err := c.knownTables(v.Context(), m)
	if err != nil {
		return err
	}
	a := asked{tables: strings.Join(v.PostForm["tables"], "\n"), depth: v.PostForm.Get("depth"), since: v.PostForm.Has("since")}
	q := request{Depth: mirror.Depth(a.depth), Since: a.since}
	q.Tables, a.tablesWrong = namedTables(a.tables, known)
	switch q.Depth {
	case mirror.DepthRows, mirror.DepthCount, mirror.DepthSchema:
	case "":
		q.Depth = mirror.DepthRows
	default:
		a.depthWrong = "There is no such depth: choose one of the list."
	}
	if a.since && q.Depth != mirror.DepthRows && a.depthWrong == "" {
		a.depthWrong = "What changed is read row by row: choose every row by value, or all of the mirror."
	}
	if a.since {
		since, ok, err := c.compared(v.Context(), m, 0, goesOnFrom)
		if err != nil {
			return err
		}
		q.Of, q.Since = since.ID, ok // there is none any more: all is read
	}
	if a.tablesWrong+a.depthWrong != "" {
		return c.showComparisons(v, m, a, http.StatusUnprocessableEntity)
	}
	return c.begin(v, job{Member: m.key, Kind: kindComparison, Actor: v.actor, Request: q})
}

// begin starts a job and shows its page, or that of the one that is there already.
func (c *Console) begin(v *visit, j job) error {
	started, err := c.jobs.start(v.Context(), j)
	switch busy := (errBusy{}); {
	case errors.As(err, &busy):
		return c.see(v, c.path(busy.job), "One is there already: this is it.")
	case err != nil:
		return err
	}
	return c.see(v, c.path(started), "")
}

// knownTables are the names of a mirror's tables by their folded form, as far as it was
// looked at or compared.
func (c *Console) knownTables(ctx context.Context, m *member) (map[string]string, error) {
	known := map[string]string{}
	status, err := c.state.status(ctx, m.key)
	if err != nil {
		return nil, err
	}
	if status != nil {
		for _, t := range status.Tables {
			known[store.FoldName(t.Table)] = t.Table
		}
	}
	for _, wanted := range []func(job) bool{goesOnFrom, hasReport} {
		j, ok, err := c.compared(ctx, m, 0, wanted)
		if err != nil || !ok {
			return known, err
		}
		tables, err := c.state.tables(ctx, j.ID)
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			known[store.FoldName(t.Table)] = t.Table
		}
	}
	return known, nil
}

// namedTables are the tables that somebody typed, one a line or with commas between, and
// what is wrong with that. Without any known ones every name is taken.
func namedTables(typed string, known map[string]string) (tables []string, wrong string) {
	var unknown []string
	add := func(name string) {
		as, ok := known[store.FoldName(name)]
		switch {
		case name == "":
		case !ok && len(known) > 0:
			unknown = append(unknown, name)
		case !ok:
			as = name
			fallthrough
		default:
			if !slices.Contains(tables, as) {
				tables = append(tables, as)
			}
		}
	}
	for line := range strings.Lines(typed) {
		line = strings.TrimSpace(line)
		if _, ok := known[store.FoldName(line)]; ok { // there may be a comma in it
			add(line)
			continue
		}
		for name := range strings.SplitSeq(line, ",") {
			add(strings.TrimSpace(name))
		}
	}
	if len(unknown) == 0 {
		return tables, ""
	}
	wrong = "No table is known as " + shown(unknown[0])
	names := make([]string, 0, len(known))
	for _, name := range known {
		names = append(names, name)
	}
	if near := match.Closest(unknown[0], names); near != "" {
		wrong += ": did you mean " + shown(near) + "?"
	} else {
		wrong += "."
	}
	if n := len(unknown) - 1; n > 0 {
		wrong += " " + plural(n, "other name") + " of these cannot be found, either."
	}
	return nil, wrong + " A comparison of all tables finds new ones."
}

// hidden are the fields that ask for the same once more.
func (q request) hidden() []ui.Hidden {
	var all []ui.Hidden
	for _, t := range q.Tables {
		all = append(all, ui.Hidden{Name: "tables", Value: t})
	}
	if q.Depth != "" {
		all = append(all, ui.Hidden{Name: "depth", Value: string(q.Depth)})
	}
	return all
}

// since is the path of what changed between two comparisons.
func (m *member) since(later, before int64) string {
	return m.path("/comparisons/%d/since/%d", later, before)
}
