package console

import (
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

// The most that the page of what changed shows.
const (
	sinceTables  = 500
	sinceKeys    = 20  // of a table
	sinceAllKeys = 400 // of all of them
)

// sinceView is what changed between two comparisons: templates/since.gohtml.
type sinceView struct {
	Head     ui.Head
	Tabs     ui.Tabs
	Messages []ui.Message
	Tiles    []ui.Tile
	Table    *ui.Table
	More     string
	Empty    *ui.Empty
	Keys     []sinceKeysView
}

// sinceKeysView are the keys of a table that differ by now, or no longer do.
type sinceKeysView struct {
	Table string
	Lists []keyList
}

type keyList struct {
	Head, N string
	Keys    []ui.Fact // a key, and how it differs
	More    string
}

// sincePage shows what changed between two comparisons, from the earlier one to the later
// one, however the address has them.
func (c *Console) sincePage(v *visit) error {
	m, later, err := c.jobOf(v, "job", comparisons...)
	if err != nil {
		return err
	}
	_, earlier, err := c.jobOf(v, "before", comparisons...)
	if err != nil {
		return err
	}
	if later.ID == earlier.ID {
		return badRequest("That is one comparison: choose two.")
	}
	if before(later, earlier) {
		later, earlier = earlier, later
	}
	was, err := c.sinceReport(v, earlier)
	if err != nil {
		return err
	}
	is, err := c.sinceReport(v, later)
	if err != nil {
		return err
	}
	return c.show(v, page{
		name: "since", nav: "mirrors", title: fmt.Sprintf("What changed between %d and %d", earlier.ID, later.ID),
		crumbs: m.crumbs(ui.Link{Name: "Comparisons", URL: m.path("/comparisons")}, ui.Link{Name: "What changed"}),
		data:   c.sinceView(m, earlier, later, was, is),
	})
}

// before reports whether a comparison was made before another one. One that is made anew
// by going on keeps its number, so its time counts.
func before(j, other job) bool {
	if !j.Ended.Equal(other.Ended) && !j.Ended.IsZero() && !other.Ended.IsZero() {
		return j.Ended.Before(other.Ended)
	}
	return j.ID < other.ID
}

func (c *Console) sinceReport(v *visit, j job) (*mirror.Report, error) {
	if !j.Status.over() {
		return nil, httpError{http.StatusConflict, fmt.Sprintf("%s %d is not over: what changed can be told when it is.", kindName(j), j.ID)}
	}
	r, err := documentOf[mirror.Report](v.Context(), c.state, j.ID)
	if errors.Is(err, errNoDocument) {
		return nil, httpError{http.StatusNotFound, fmt.Sprintf("%s %d has no report, or it was cleaned up, so nothing can be told.", kindName(j), j.ID)}
	}
	return r, err
}

func (c *Console) sinceView(m *member, earlier, later job, was, is *mirror.Report) sinceView {
	changed, same := changesSince(was, is)
	view := sinceView{
		Tabs: c.tabs(m, tabComparisons), Messages: notAlike(earlier, later, was, is), Tiles: sinceTiles(changed, same),
		Head: ui.Head{
			Title: "What changed", Lead: "From " + c.momentOf(earlier) + " to " + c.momentOf(later) + ".",
			Actions: []ui.Button{{Name: fmt.Sprintf("The earlier one, %d", earlier.ID), URL: c.base + c.path(earlier)}, {Name: fmt.Sprintf("The later one, %d", later.ID), URL: c.base + c.path(later)}},
		},
	}
	if len(changed) == 0 {
		view.Empty = &ui.Empty{Title: "Nothing changed", Lead: "Each table is as the earlier comparison found it."}
		return view
	}
	view.Table = &ui.Table{Label: "Tables that changed", Columns: []ui.Column{{Name: "Table"}, {Name: "Since then"}, {Name: "Before"}, {Name: "After"}, {Name: "Why", Wide: true}}}
	left := sinceAllKeys
	for _, d := range changed[:min(len(changed), sinceTables)] {
		badge := becameBadges[d.Became]
		view.Table.Rows = append(view.Table.Rows, ui.Row{Class: badge.Class, Cells: []ui.Cell{
			{Text: shown(d.Table)}, {Badge: &badge}, sideCell(was, d.Before), sideCell(is, d.After), {Text: orDash(whyOf(d))},
		}})
		if keys := keysOf(d, &left); len(keys.Lists) > 0 {
			view.Keys = append(view.Keys, keys)
		}
	}
	if n := len(changed) - sinceTables; n > 0 {
		view.More = "And " + plural(n, "more table") + "."
	}
	return view
}

func (c *Console) momentOf(j job) string {
	when := c.moment(j.Ended)
	return fmt.Sprintf("%s %d (%s, %s)", strings.ToLower(kindName(j)), j.ID, when.Text, when.Ago)
}

// becameBadges say what happened to a table.
var becameBadges = map[became]ui.Badge{
	becameNew:     {Class: "bad", Text: "differs by now"},
	becameWorse:   {Class: "bad", Text: "worse"},
	becameOther:   {Class: "changed", Text: "differs otherwise"},
	becameBetter:  {Class: "waiting", Text: "better"},
	becameMended:  {Class: "good", Text: "mended"},
	becameUntold:  {Class: "unsure", Text: "cannot be told"},
	becameOnlyOld: {Class: "unsure", Text: "compared only before"},
	becameOnlyNow: {Class: "neutral", Text: "compared only after"},
	becameThere:   {Class: "neutral", Text: "new table"},
	becameGone:    {Class: "neutral", Text: "table gone"},
}

// whyOf says what else is to be known of what became of a table.
func whyOf(d difference) string {
	switch {
	case d.Why != "":
		return d.Why
	case d.Became == becameOnlyOld && d.After != nil && d.After.Reason != "":
		return notReached(d.After)
	case d.Became == becameOnlyOld && d.After == nil:
		return "the later one was not asked for it, or did not come to it"
	case d.Became == becameOnlyNow && d.Before != nil && d.Before.Reason != "":
		return notReached(d.Before)
	case d.Became == becameOnlyNow && d.Before == nil:
		return "the earlier one was not asked for it, or did not come to it"
	case d.Became == becameGone:
		return "neither side has it any more"
	default:
		return ""
	}
}

// notReached says why a table was not compared to its end.
func notReached(t *mirror.TableReport) string {
	if t.Verdict == mirror.VerdictUnfinished {
		return "that comparison was stopped before the end of the table"
	}
	return message(t.Reason)
}

// sideCell is what a comparison found of a table.
func sideCell(r *mirror.Report, t *mirror.TableReport) ui.Cell {
	if t == nil {
		return ui.Cell{Text: "–"}
	}
	found := verdictBadge(t.Verdict).Text
	if more := foundOf(r, t); more != "" {
		found += ": " + more
	}
	return ui.Cell{Text: found}
}

// foundOf is what a comparison counted of a table.
func foundOf(r *mirror.Report, t *mirror.TableReport) string {
	var all []string
	add := func(n int64, what string) {
		if n > 0 {
			all = append(all, count(n)+" "+what)
		}
	}
	add(t.Missing, "missing")
	add(t.Extra, "extra")
	add(t.Changed, "changed")
	add(t.Duplicate, "duplicate")
	add(t.Pending, "pending")
	if t.Truncated {
		all = append(all, "and more")
	}
	if t.DifferingRows() == 0 && t.SourceRows != t.MirrorRows && r.Depth != mirror.DepthSchema {
		all = append(all, text.Rows(t.SourceRows)+" at the source, "+count(t.MirrorRows)+" in the mirror")
	}
	if n := len(t.Schema); n > 0 {
		all = append(all, plural(n, "column or key")+" differs")
		if n > 1 {
			all[len(all)-1] = count(n) + " columns and keys differ"
		}
	}
	return strings.Join(all, ", ")
}

// sinceTiles count the tables by what became of them.
func sinceTiles(changed []difference, same int) (tiles []ui.Tile) {
	n := map[became]int{}
	for _, d := range changed {
		n[d.Became]++
	}
	for _, b := range becameOrder {
		if n[b] > 0 {
			tiles = append(tiles, ui.Tile{Class: becameBadges[b].Class, N: count(n[b]), Label: becameBadges[b].Text})
		}
	}
	return append(tiles, ui.Tile{Class: "neutral", N: count(same), Label: "as before"})
}

// notAlike says why two comparisons do not tell everything that changed.
func notAlike(earlier, later job, was, is *mirror.Report) (all []ui.Message) {
	add := func(level, head, text string) {
		all = append(all, ui.Message{Level: level, Head: head, Text: text})
	}
	if otherDatabase(was.Source, is.Source) || otherDatabase(was.Mirror, is.Mirror) {
		add("bad", "Other databases", "One of the sides was another database then, so what changed is hardly what happened to this one.")
	}
	if was.Depth != is.Depth {
		add("unsure", "Other depth", "The two did not look equally deep, so what changed cannot be told fully.")
	}
	if !slices.Equal(folded(was.IgnoreColumns), folded(is.IgnoreColumns)) || was.LooseTypes != is.LooseTypes || !slices.Equal(was.SchemaPrefixes, is.SchemaPrefixes) {
		add("unsure", "Other options", "Columns were left out, or types compared, in another way, so what changed cannot be told fully.")
	}
	for _, r := range []struct {
		job job
		is  *mirror.Report
	}{{earlier, was}, {later, is}} {
		if r.is.Incomplete || r.job.Status != statusDone {
			add("unsure", "Not to its end", fmt.Sprintf("%s %d did not come to its end: tables that it did not reach are not told.", kindName(r.job), r.job.ID))
		}
		if len(r.is.Mistakes) > 0 {
			add("unsure", "Wrong database", fmt.Sprintf("%s %d was hardly of the right database: %s", kindName(r.job), r.job.ID, message(r.is.Mistakes[0])))
		}
	}
	return all
}

func otherDatabase(was, is mirror.Side) bool { return was.ID != "" && is.ID != "" && was.ID != is.ID }

func folded(names []string) []string {
	all := each(names, store.FoldName)
	slices.Sort(all)
	return all
}

// keysOf are the keys of a table that are shown, of those that are left for all tables.
func keysOf(d difference, left *int) sinceKeysView {
	v := sinceKeysView{Table: shown(d.Table)}
	add := func(head string, all []mirror.Difference) {
		n := min(len(all), sinceKeys, *left)
		if n == 0 {
			return
		}
		*left -= n
		l := keyList{Head: head, N: count(len(all))}
		for _, k := range all[:n] {
			how := string(k.Kind)
			if k.State == mirror.DiffPending {
				how += ", pending"
			}
			l.Keys = append(l.Keys, ui.Fact{Name: shown(store.FormatCells(k.Key)), Value: how})
		}
		if more := len(all) - n; more > 0 {
			l.More = "And " + count(more) + " more."
		}
		v.Lists = append(v.Lists, l)
	}
	add("Rows that differ by now", d.New)
	add("Rows that no longer differ", d.Mended)
	return v
}
