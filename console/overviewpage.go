package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/console/internal/ui"
)

// mirrorsShown is how many mirrors a page of the list has.
const mirrorsShown = 50

// overviewPage is the list of all mirrors.
type overviewPage struct {
	Head   ui.Head
	Search ui.Search
	List   overviewList
}

// overviewList is the part of it that is read anew by itself.
type overviewList struct {
	Tiles   []ui.Tile
	Filters ui.Tabs
	Table   ui.Table
	Pager   ui.Pager
	Empty   *ui.Empty
	Start   string // where a form goes that starts comparisons
	Hidden  []ui.Hidden
	All     string // the button for all mirrors that match
	Anew    string `json:"-"` // where the list is read anew
}

// listed is a mirror of the list.
type listed struct {
	m *member
	glance
	is condition
}

func (c *Console) overviewPage(v *visit) error {
	q := listOf(v.URL.Query())
	all := c.listed()
	p := overviewPage{
		Head:   ui.Head{Title: "Mirrors", Lead: plural(len(c.order), "mirror") + ", those first that need a hand."},
		Search: ui.Search{Action: c.base + "/", Label: "Find a mirror", Value: q.q, Keep: listQuery{state: q.state}.hidden(), Live: "list"},
	}
	if len(c.order) == 1 {
		p.Head.Lead = ""
	}
	p.List = c.overviewList(&q, all)
	hash, err := digest(p.List)
	if err != nil {
		return err
	}
	// The list stays as it is while somebody chooses, and where nothing is new.
	if seen := v.URL.Query().Get("seen"); seen != "" && v.Header.Get("HX-Request") != "" && (seen == hash || v.URL.Query().Has("mirror")) {
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	p.List.Anew = q.address(c.base+"/", "seen", hash)
	return c.show(v, page{name: "overview", title: "", nav: "mirrors", data: p})
}

// listed returns all mirrors, those first that need a hand.
func (c *Console) listed() []*listed {
	now := c.now()
	each, all := make([]listed, len(c.order)), make([]*listed, len(c.order))
	for i, m := range c.order {
		l := &each[i]
		l.m = m
		m.glance(&l.glance)
		l.is = l.condition(now)
		all[i] = l
	}
	slices.SortFunc(all, func(x, y *listed) int {
		return cmp.Or(cmp.Compare(x.is.rank, y.is.rank), cmp.Compare(y.compared.Summary.Differing, x.compared.Summary.Differing), cmp.Compare(x.m.key, y.m.key))
	})
	return all
}

// stateRunning narrows the list to mirrors with a job.
const stateRunning = "running"

// narrowed returns the mirrors whose names match, and those of them in the state that is
// asked for. One that there is not is none.
func narrowed(q *listQuery, all []*listed) (match, found []*listed) {
	if q.state != stateRunning && !slices.ContainsFunc(rankViews[:], func(r rankView) bool { return r.key == q.state }) {
		q.state = ""
	}
	for _, l := range all {
		if !q.matches(l.m.key) {
			continue
		}
		match = append(match, l)
		if l.isOf(q.state) {
			found = append(found, l)
		}
	}
	return match, found
}

// isOf reports whether a mirror is in a state that the list is narrowed to.
func (l *listed) isOf(state string) bool {
	switch state {
	case "":
		return true
	case stateRunning:
		return l.running != nil
	default:
		return rankViews[l.is.rank].key == state
	}
}

func (c *Console) overviewList(q *listQuery, all []*listed) overviewList {
	list := overviewList{Start: c.base + "/comparisons"}
	match, found := narrowed(q, all)
	list.Tiles, list.Filters = tilesOf(all), c.filtersOf(*q, match)
	rows, pager := paged(found, q, mirrorsShown, c.base+"/", "Pages of mirrors")
	list.Pager, list.Hidden = pager, q.hidden()
	list.All = "Compare all " + count(len(found)) + " that match"
	if len(found) == len(c.order) {
		list.All = "Compare all " + count(len(found))
	}
	if len(found) < 2 {
		list.All = ""
	}
	if len(found) == 0 {
		list.Empty = &ui.Empty{Title: "No mirror matches", Lead: "Look for a part of its context identifier, or in every state.", Actions: []ui.Button{{Name: "All mirrors", URL: c.base + "/"}}}
	}
	list.Table = ui.Table{Label: "Mirrors", Columns: []ui.Column{
		{Name: "Mirror"}, {Name: "State"}, {Name: "Compared"}, {Name: "Tables that differ", Number: true}, {Name: "Rows that differ", Number: true}, {Name: "Next", Wide: true},
	}}
	for _, l := range rows {
		list.Table.Rows = append(list.Table.Rows, c.overviewRow(l))
	}
	return list
}

// counted is how many mirrors there are of each rank, and how many with a job.
func counted(all []*listed) (n [ranks]int, running int) {
	for _, l := range all {
		n[l.is.rank]++
		if l.running != nil {
			running++
		}
	}
	return n, running
}

// tilesOf are the key figures of all mirrors.
func tilesOf(all []*listed) []ui.Tile {
	n, _ := counted(all)
	tile := func(class string, n int, one, many string) ui.Tile {
		return ui.Tile{Class: class, N: count(n), Label: noun(int64(n), one, many)}
	}
	tiles := []ui.Tile{
		tile("bad", n[rankUnknown]+n[rankUnreadable]+n[rankStale], "needs a hand", "need a hand"),
		tile("unsure", n[rankDiffers], "differs, maybe for now", "differ, maybe for now"),
		tile("waiting", n[rankWaiting], "waits for a cycle", "wait for a cycle"),
		tile("neutral", n[rankOld], "to be compared", "to be compared"),
		tile("good", n[rankGood], "as it should be", "as they should be"),
	}
	for i := range tiles {
		if tiles[i].N == "0" {
			tiles[i].Class = "neutral"
		}
	}
	return tiles
}

// filtersOf narrow a list to a state, with how many mirrors each has.
func (c *Console) filtersOf(q listQuery, match []*listed) ui.Tabs {
	n, running := counted(match)
	filters := ui.Tabs{Label: "Mirrors by state"}
	add := func(key, name, class string, n int) {
		if n > 0 || q.state == key {
			filters.Tabs = append(filters.Tabs, ui.Tab{Name: name, URL: q.of(key).address(c.base + "/"), N: count(n), Class: class, Current: q.state == key})
		}
	}
	add("", "All", "", len(match))
	for r, view := range rankViews {
		add(view.key, view.name, view.class, n[r])
	}
	add(stateRunning, "With a job", "todo", running)
	return filters
}

func (c *Console) overviewRow(l *listed) ui.Row {
	s := l.compared.Summary
	tables, rows := "–", "–"
	if l.compared.ID > 0 && s.Level != "" {
		tables, rows = count(s.tablesDiffering())+" of "+count(l.tables()), count(s.Differing)
	}
	class := ""
	if l.is.rank <= rankStale {
		class = l.is.badge.Class
	}
	return ui.Row{Class: class, Cells: []ui.Cell{
		{
			Check: &ui.Check{Name: "mirror", Value: l.m.ContextID, Label: "Choose " + l.m.ContextID, Heard: true, ID: "c-" + l.m.key},
			Text:  l.m.ContextID, URL: c.base + l.m.path(""), ID: "m-" + l.m.key,
		},
		{Badge: &l.is.badge, Note: l.about()},
		{Time: c.moment(l.compared.Ended)}, {Text: tables}, {Text: rows}, c.nextOf(l),
	}}
}

// nextOf is what to do about a mirror, or what goes on.
func (c *Console) nextOf(l *listed) ui.Cell {
	// That a job waits is less than what needs a hand.
	if l.running != nil && (l.running.kind != kindWaiting || l.is.rank >= rankWaiting) {
		j, p := l.running.now()
		return ui.Cell{Text: kindName(j), URL: c.base + c.path(j), ID: "n-" + l.m.key, Progress: jobProgress(j, p)}
	}
	next := ui.Cell{Text: l.is.next, ID: "n-" + l.m.key}
	switch {
	case l.is.rank == rankUnknown:
		next.URL = c.base + l.m.path("/journal")
	case l.is.rank == rankUnreadable && l.is.badge.Text == badgeFailed:
		next.Text, next.URL = l.is.means, c.base+c.path(l.compared)
	case l.is.rank == rankUnreadable:
		next.Text = l.is.means
	case l.is.rank == rankStale && c.canReset(&l.glance):
		next.URL = c.base + l.m.path("/reset?of=%d", l.compared.ID)
	case l.is.rank == rankOld && l.is.next != "":
		next.URL = c.base + l.m.path("") // where its button is
	case l.is.rank == rankStale, l.is.rank == rankDiffers && l.compared.Summary.Level != "good":
		next.Text, next.URL = "See what differs", c.base+c.path(l.compared)
	}
	return next
}

// startComparisons has the chosen mirrors compared, or all that the list shows on its pages.
func (c *Console) startComparisons(v *visit) error {
	q := listOf(v.PostForm)
	var chosen []*member
	if v.PostForm.Get("all") != "" {
		_, found := narrowed(&q, c.listed())
		for _, l := range found {
			chosen = append(chosen, l.m)
		}
	} else {
		for _, id := range v.PostForm["mirror"] {
			m := c.members[fold(id)]
			if m == nil {
				return badRequest("There is no mirror %s. Nothing was started.", shown(id))
			}
			if !slices.Contains(chosen, m) {
				chosen = append(chosen, m)
			}
		}
	}
	back := q.address("/")
	if len(chosen) == 0 {
		return c.see(v, back, "Nothing was chosen: tick the mirrors that are to be compared.")
	}
	started, busy := 0, 0
	for _, m := range chosen {
		if v.Context().Err() != nil {
			break
		}
		_, err := c.jobs.start(v.Context(), job{Member: m.key, Kind: kindComparison, Actor: v.actor})
		switch {
		case errors.As(err, new(errBusy)):
			busy++
		case err != nil:
			return fmt.Errorf("%s asked for, then: %w", plural(started, "comparison"), err)
		default:
			started++
		}
	}
	return c.see(v, back, startedText(started, busy, len(chosen)))
}

// startedText says what became of a wish for comparisons.
func startedText(started, busy, of int) string {
	var says []string
	if started > 0 {
		says = append(says, plural(started, "comparison")+" asked for: they run a few at a time, and go on when this page is closed.")
	}
	if busy > 0 {
		says = append(says, plural(busy, "mirror")+" had one already.")
	}
	if rest := of - started - busy; rest > 0 {
		says = append(says, plural(rest, "mirror")+" did not get one in time: ask once more.")
	}
	return strings.Join(says, " ")
}
