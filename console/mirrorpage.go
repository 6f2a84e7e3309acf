package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

const (
	tablesShown = 200              // of a mirror, on a page
	lookTimeout = 25 * time.Second // of a look that a page waits for
	lookAge     = 30 * time.Minute // after which a look is old
)

// mirrorPage is one mirror with its tables.
type mirrorPage struct {
	Head     ui.Head
	Tabs     ui.Tabs
	Messages []ui.Message
	Jobs     *ui.Table
	Here     string // where the jobs are read anew
	Tiles    []ui.Tile
	Search   ui.Search
	Filters  ui.Tabs
	Table    ui.Table
	Pager    ui.Pager
	Empty    *ui.Empty
	None     bool // there is no table to look for
	Look     ui.Button
	Looked   ui.Moment
}

// mirrorTable is what is known of a table: what its mirror told, and what the last
// comparison found.
type mirrorTable struct {
	name   string
	folded string
	status *mirror.TableStatus // nil for one that the mirror does not have
	found  *tableSummary       // nil for one that was not compared
	at     int                 // of found in the comparison
	maybe  bool                // what was found may be so for now, or no longer
}

func (c *Console) mirrorPage(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	var g glance
	m.glance(&g)
	status, err := c.state.status(v.Context(), m.key)
	if err != nil {
		return fmt.Errorf("read the last status of %s: %w", m.ContextID, err)
	}
	var found []tableSummary
	if g.compared.ID > 0 {
		if found, err = c.state.tables(v.Context(), g.compared.ID); err != nil && err != errNotFound { // it was cleaned up
			return fmt.Errorf("read the last comparison of %s: %w", m.ContextID, err)
		}
	}
	p := mirrorPage{
		Head: c.mirrorHead(m, &g), Tabs: c.tabs(m, tabTables), Messages: c.mirrorMessages(&g, status), Jobs: c.mirrorJobs(m), Here: c.base + m.path(""),
		Look: ui.Button{Name: "Look now", URL: c.base + m.path("/look"), Post: true, Class: "small"}, Looked: *c.moment(g.look.Time),
	}
	all := tablesOfMirror(status, found)
	for _, t := range all {
		t.maybe = t.differs() && (g.superseded() || t.found.Verdict == mirror.VerdictDifferent && t.found.Diverged == 0 && !g.stale())
	}
	p.Tiles = mirrorTiles(&g, all)
	c.mirrorTables(v, &p, m, &g, all)
	return c.show(v, page{name: "mirror", title: m.ContextID, nav: "mirrors", crumbs: m.crumbs(), data: p})
}

// mirrorHead says how a mirror is, and what can be done.
func (c *Console) mirrorHead(m *member, g *glance) ui.Head {
	is := g.condition(c.now())
	head := ui.Head{Title: m.ContextID, Badge: &is.badge, Lead: is.means}
	at := func(rest string, args ...any) string { return c.base + m.path(rest, args...) }
	if is.rank == rankUnknown {
		head.Actions = append(head.Actions, ui.Button{Name: "Find out what happened", URL: at("/journal"), Class: "primary"})
	}
	if g.stale() && !g.superseded() && is.rank != rankUnknown && c.canReset(g) {
		head.Actions = append(head.Actions, ui.Button{Name: "Reset what differs", URL: at("/reset?of=%d", g.compared.ID), Class: "primary"})
	}
	switch busy := m.busy(comparisons...); {
	case busy != nil:
		j, _ := busy.now()
		head.Actions = append(head.Actions, ui.Button{Name: "See the " + strings.ToLower(kindName(j)), URL: c.base + c.path(j)})
	default:
		compare := ui.Button{Name: "Compare", URL: at("/comparisons"), Post: true}
		if len(head.Actions) == 0 && is.rank == rankOld {
			compare.Class = "primary"
		}
		head.Actions = append(head.Actions, compare)
		if g.compared.Summary.Differing > 0 && !g.superseded() {
			head.Actions = append(head.Actions, ui.Button{Name: "Recheck", URL: at("/comparisons/%d/recheck", g.compared.ID), Post: true})
		}
	}
	return head
}

// canReset reports whether this console can reset tables of a mirror.
func (c *Console) canReset(g *glance) bool {
	return !c.opts.ReadOnly && g.look.State != mirror.MirrorReplica
}

// warningsShown is how many findings of a look a page says.
const warningsShown = 3

// mirrorMessages are what must not be overlooked.
func (c *Console) mirrorMessages(g *glance, status *mirror.Status) (all []ui.Message) {
	l := &g.look
	if l.Err != "" {
		failed := ui.Message{Level: "bad", Head: "The last look failed."}
		if g.condition(c.now()).rank != rankUnreadable { // or the head of the page has it
			failed.Text = message(l.Err)
		}
		if status != nil {
			failed.Text = strings.TrimSpace(failed.Text + " What is below is from " + ago(c.now().Sub(status.Time)) + ".")
		}
		if failed.Text != "" {
			all = append(all, failed)
		}
	}
	if status == nil {
		return all
	}
	switch status.State {
	case mirror.MirrorReplica:
		all = append(all, ui.Message{Level: "neutral", Head: "This is a replica of the newer client.", Text: "It can be compared. It has no LSN to set, so its own program re-synchronizes tables, and not this console."})
	case mirror.MirrorAwaitingFirstCycle:
		all = append(all, ui.Message{Level: "waiting", Head: "There is no metadata table yet.", Text: "The next cycle creates it and populates every table, so there is nothing to reset. Compare once it has run."})
	}
	for i, warning := range status.Warnings {
		if i == warningsShown {
			all = append(all, ui.Message{Level: "unsure", Text: "There are " + plural(len(status.Warnings)-i, "more warning") + "."})
			break
		}
		all = append(all, ui.Message{Level: "unsure", Head: "Warning.", Text: message(warning)})
	}
	if old := c.now().Sub(l.Time); l.Err == "" && old >= lookAge {
		all = append(all, ui.Message{Level: "unsure", Head: "This is old.", Text: "The mirror was last looked at " + ago(old) + ". Look now to see how it is."})
	}
	return all
}

// mirrorJobs lists what is going on, nil for nothing.
func (c *Console) mirrorJobs(m *member) *ui.Table {
	t := &ui.Table{Label: "What is going on", Columns: []ui.Column{{Name: "Job"}, {Name: "Asked by"}, {Name: "Progress"}}}
	for _, l := range m.live() {
		j, p := l.now()
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: kindName(j), URL: c.base + c.path(j), ID: fmt.Sprintf("j-%d", j.ID)}, {Text: text.Name(j.Actor)}, {Progress: jobProgress(j, p)}}})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// tablesOfMirror joins the tables of a status and of a comparison by their names.
func tablesOfMirror(status *mirror.Status, found []tableSummary) []*mirrorTable {
	byName := map[string]*mirrorTable{}
	var all []*mirrorTable
	of := func(name string) *mirrorTable {
		t := byName[store.FoldName(name)]
		if t == nil {
			t = &mirrorTable{name: name, folded: store.FoldName(name)}
			byName[t.folded] = t
			all = append(all, t)
		}
		return t
	}
	if status != nil {
		for i := range status.Tables {
			of(status.Tables[i].Table).status = &status.Tables[i]
		}
	}
	for i := range found {
		t := of(found[i].Table)
		t.found, t.at = &found[i], i
	}
	slices.SortFunc(all, func(x, y *mirrorTable) int {
		return cmp.Or(cmp.Compare(x.rank(), y.rank()), strings.Compare(x.folded, y.folded))
	})
	return all
}

// state is what the mirror told of the table, "" for nothing.
func (t *mirrorTable) state() mirror.TableState {
	if t.status == nil {
		return ""
	}
	return t.status.State
}

// differs reports whether the last comparison did not find what it should.
func (t *mirrorTable) differs() bool {
	return t.found != nil && gravity(t.found.Verdict) < gravity(mirror.VerdictPending)
}

// hand reports whether somebody is to see to the table.
func (t *mirrorTable) hand() bool {
	return t.state() == mirror.TableInvalid || t.differs() && !t.maybe && t.state() != mirror.TableResetRequested
}

// rank orders tables, those first that need a hand.
func (t *mirrorTable) rank() int {
	switch {
	case t.state() == mirror.TableInvalid:
		return 0
	case t.hand():
		return 1 + gravity(t.found.Verdict)
	case t.state() == mirror.TableResetRequested:
		return 100
	case t.state() == mirror.TableAbsent:
		return 101
	case t.found != nil:
		return 102 + gravity(t.found.Verdict)
	default:
		return 200
	}
}

// tableFilter narrows the list of tables.
type tableFilter struct {
	key, name, class string
	is               func(t *mirrorTable) bool
}

var tableFilters = []tableFilter{
	{"", "All", "", func(*mirrorTable) bool { return true }},
	{"hand", "Need a hand", "bad", (*mirrorTable).hand},
	{"differs", "Differ", "changed", (*mirrorTable).differs},
	{"reset-requested", "Reset requested", "pending", stateIs(mirror.TableResetRequested)},
	{"invalid", "Invalid", "failed", stateIs(mirror.TableInvalid)},
	{"absent", "Absent", "missing", stateIs(mirror.TableAbsent)},
	{"no-metadata-row", "No metadata row", "none", stateIs(mirror.TableNoMetadata)},
	{"synced", "Synced", "same", stateIs(mirror.TableSynced)},
}

func stateIs(s mirror.TableState) func(t *mirrorTable) bool {
	return func(t *mirrorTable) bool { return t.state() == s }
}

func mirrorTiles(g *glance, all []*mirrorTable) []ui.Tile {
	if len(all) == 0 {
		return nil
	}
	hand, maybe := 0, 0
	for _, t := range all {
		switch {
		case t.hand():
			hand++
		case t.maybe && t.state() != mirror.TableResetRequested:
			maybe++
		}
	}
	tile := func(class string, n int64, one, many string) ui.Tile {
		if n == 0 {
			class = "neutral"
		}
		return ui.Tile{Class: class, N: count(n), Label: noun(n, one, many)}
	}
	tiles := []ui.Tile{tile("bad", int64(hand), "table needs a hand", "tables need a hand"), tile("waiting", int64(g.look.Tables[mirror.TableResetRequested]), "table waits for a cycle", "tables wait for a cycle"),
		tile("neutral", int64(len(all)), "table", "tables"), tile("neutral", g.look.Rows, "row", "rows")}
	if maybe > 0 {
		tiles = slices.Insert(tiles, 1, tile("unsure", int64(maybe), "table differs, maybe for now", "tables differ, maybe for now"))
	}
	if g.compared.Summary.Level != "" {
		tiles = append(tiles, tile("changed", g.compared.Summary.Differing, "row differed", "rows differed"))
	}
	return tiles
}

// mirrorTables adds the list of tables.
func (c *Console) mirrorTables(v *visit, p *mirrorPage, m *member, g *glance, all []*mirrorTable) {
	q, path := listOf(v.URL.Query()), c.base+m.path("")
	if !slices.ContainsFunc(tableFilters, func(f tableFilter) bool { return f.key == q.state }) {
		q.state = ""
	}
	p.Search = ui.Search{Action: path, Label: "Find a table", Value: q.q, Keep: listQuery{state: q.state}.hidden(), Live: "list"}
	match := slices.DeleteFunc(slices.Clone(all), func(t *mirrorTable) bool { return !q.matches(t.folded) })
	p.Filters.Label = "Tables by state"
	var found []*mirrorTable
	for _, f := range tableFilters {
		of := slices.DeleteFunc(slices.Clone(match), func(t *mirrorTable) bool { return !f.is(t) })
		if f.key == q.state {
			found = of
		}
		if len(of) > 0 || f.key == q.state || f.key == "" {
			p.Filters.Tabs = append(p.Filters.Tabs, ui.Tab{Name: f.name, URL: q.of(f.key).address(path), N: count(len(of)), Class: f.class, Current: f.key == q.state})
		}
	}
	switch {
	case len(all) == 0 && g.look.Time.IsZero():
		p.Empty = &ui.Empty{Title: "Nobody has looked at this mirror yet", Lead: "A look reads its metadata table and counts the rows of its tables.", Actions: []ui.Button{p.Look}}
	case len(all) == 0 && g.look.Err != "":
		p.Empty = &ui.Empty{Title: "Nothing is known of its tables", Lead: "The look at it failed. Mend that, and look again.", Actions: []ui.Button{p.Look}}
	case len(all) == 0:
		p.Empty = &ui.Empty{Title: "There are no tables", Lead: "The next cycle creates and populates them. Look again once it has run.", Actions: []ui.Button{p.Look}}
	case len(found) == 0:
		p.Empty = &ui.Empty{Title: "No table matches", Lead: "Look for a part of its name, or in every state.", Actions: []ui.Button{{Name: "All tables", URL: path}}}
	}
	p.None = len(all) == 0
	rows, pager := paged(found, &q, tablesShown, path, "Pages of tables")
	p.Pager = pager
	p.Table = ui.Table{Label: "Tables of " + m.ContextID, Columns: []ui.Column{
		{Name: "Table"}, {Name: "State"}, {Name: "LSN", Number: true}, {Name: "Rows", Number: true}, {Name: "Last verdict"}, {Name: "What differs", Wide: true}, {Name: "Compared"},
	}}
	for _, t := range rows {
		p.Table.Rows = append(p.Table.Rows, c.tableRow(m, g, t))
	}
}

func (c *Console) tableRow(m *member, g *glance, t *mirrorTable) ui.Row {
	state, lsn, rows := ui.Cell{Text: "–"}, "–", "–"
	if t.status != nil {
		state = ui.Cell{Badge: tableStateBadge(t.status.State), Note: message(t.status.Reason)}
		rows = count(t.status.Rows)
		if t.status.LSN != nil {
			lsn = store.FormatLSN(t.status.LSN)
		}
	}
	verdict, what, at := ui.Cell{Text: "–"}, ui.Cell{}, ui.Cell{Time: &ui.Moment{}}
	if t.found != nil {
		verdict = ui.Cell{Badge: verdictBadge(t.found.Verdict)}
		what = ui.Cell{Text: differing(t.found), URL: c.base + m.path("/comparisons/%d#t%d", g.compared.ID, t.at+1)}
		at = ui.Cell{Time: c.moment(g.compared.Ended)}
	}
	class := ""
	if t.hand() {
		class = "bad"
		if t.differs() {
			class = verdict.Badge.Class
		}
	}
	return ui.Row{Class: class, Cells: []ui.Cell{{Text: text.Name(t.name)}, state, {Text: lsn}, {Text: rows}, verdict, what, at}}
}

// differing says in a few words what a comparison found of a table.
func differing(t *tableSummary) string {
	var says []string
	for _, of := range []struct {
		n    int64
		what string
	}{{t.Missing, "missing"}, {t.Extra, "extra"}, {t.Changed, "changed"}, {t.Duplicate, "duplicate"}} {
		if of.n > 0 {
			says = append(says, count(of.n)+" "+of.what)
		}
	}
	if t.Pending > 0 {
		says = append(says, count(t.Pending)+" of these pending")
	}
	if t.Schema > 0 {
		says = append(says, plural(t.Schema, "difference")+" of columns and keys")
	}
	switch {
	case len(says) > 0:
		return strings.Join(says, ", ")
	case t.Reason != "":
		return message(t.Reason)
	case t.Source != t.Mirror:
		return count(t.Source) + " rows in the source, " + count(t.Mirror) + " in the mirror"
	default:
		return "nothing"
	}
}

// lookNow reads the status of a mirror while the page waits.
func (c *Console) lookNow(v *visit) error {
	m, err := c.member(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(v.Context(), lookTimeout, fmt.Errorf("no answer in %s", lookTimeout))
	defer cancel()
	err = c.lookAt(ctx, m)
	switch {
	case v.Context().Err() != nil:
		return v.Context().Err() // nobody waits any more
	case ctx.Err() != nil:
		return c.see(v, m.path(""), "The mirror did not answer within "+text.Duration(lookTimeout)+". What the page shows is as old as it says.")
	case err != nil:
		return c.see(v, m.path(""), "") // the page says it
	default:
		return c.see(v, m.path(""), "The mirror was looked at.")
	}
}
