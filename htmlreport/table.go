package htmlreport

import (
	"cmp"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// What one page shows at most. A table has as many rows as a comparison sampled, which
// MaxSamples says, and a caller can ask for more than anybody opens.
const (
	maxRows = 12_000 // differing rows
	maxKeys = 20_000 // differing keys beside them
)

// tablesView are the tables that somebody has to look at.
type tablesView struct {
	Tables []tableView
	kinds  []kind
	rows   int // that the page has room for
	keys   int
	brief  bool // without what there is to open
}

type tableView struct {
	ID          string
	folded      string
	Name        template.HTML
	Class       string // of the verdict
	Verdict     string
	Counts      []tile
	Of          string // how many rows there are
	Notes       []template.HTML
	Strip       *strip
	Open        bool
	Inside      string // what Details are about
	Schema      []schemaView
	Columns     []item
	Left, Right string // what the sides are called
	Rows        []rowView
	RowsMore    string
	Keys        []list
	NotCompared []item
	Facts       []fact
}

type schemaView struct {
	What, Column   template.HTML
	Source, Mirror template.HTML
}

// rowView is a differing row with both sides, or several of which only the keys are known.
type rowView struct {
	Class, Kind string
	State       string
	Key         template.HTML
	Left, Right bool   // the side has the row
	Times       string // how often, where it is more than once
	Columns     []columnView
}

type columnView struct{ Name, Left, Right template.HTML }

// tablesOf are the tables of a report, those first that one looks at first: those that
// only names, or all but the identical and the never mirrored ones.
func tablesOf(r *mirror.Report, only map[string]bool) *tablesView {
	v := &tablesView{rows: maxRows, keys: maxKeys}
	v.fill(r, only, len(r.Tables))
	return v
}

// briefly are at most so many of the tables of a report, with nothing to open.
func briefly(r *mirror.Report, most int) (tables []tableView, more string) {
	v := &tablesView{brief: true}
	all := v.fill(r, nil, most)
	return v.Tables, moreThan(all, len(v.Tables))
}

// fill adds at most so many tables, and returns how many there are.
func (v *tablesView) fill(r *mirror.Report, only map[string]bool, most int) int {
	var order []int
	for i := range r.Tables {
		t := &r.Tables[i]
		switch {
		case only != nil && !only[store.FoldName(t.Table)]:
		case t.Verdict == mirror.VerdictNotMirrored:
		case t.Verdict == mirror.VerdictIdentical && !looked(t):
		default:
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(slices.Index(gravest, r.Tables[a].Verdict), slices.Index(gravest, r.Tables[b].Verdict))
	})
	for _, i := range order[:min(len(order), most)] {
		t := v.table(r, i)
		t.Open = len(order) == 1
		v.Tables = append(v.Tables, t)
	}
	v.kinds = shownBy(v.Tables)
	return len(order)
}

// shownBy are the kinds of differences that strips of tables show.
func shownBy(tables ...[]tableView) (used []kind) {
	shows := map[string]bool{}
	for _, t := range slices.Concat(tables...) {
		if t.Strip != nil {
			for _, k := range t.Strip.Kinds {
				shows[k.Name] = true
			}
		}
	}
	for _, k := range kinds {
		if shows[k.Name] {
			used = append(used, k)
		}
	}
	return used
}

func tableID(i int) string { return "t" + strconv.Itoa(i+1) }

func (v *tablesView) table(r *mirror.Report, i int) tableView {
	t := &r.Tables[i]
	tv := tableView{
		Left: "Source", Right: "Mirror", ID: tableID(i), folded: store.FoldName(t.Table), Name: shown(t.Table), Class: verdictClass[t.Verdict], Verdict: verdictName(t.Verdict), Strip: stripOf(t),
		Of: sizes(r, t), Notes: notes(t),
	}
	tv.Counts = countsOf(t, tv.Strip)
	if v.brief {
		return tv
	}
	tv.Columns, tv.Facts = changedColumns(t), tableFacts(r, t)
	for _, d := range t.Schema {
		tv.Schema = append(tv.Schema, schemaView{shown(d.What), shown(cmp.Or(d.Column, "–")), shown(cmp.Or(d.Source, "–")), shown(cmp.Or(d.Mirror, "–"))})
	}
	for _, o := range some(t.NotCompared) {
		tv.NotCompared = append(tv.NotCompared, item{shown(o.Column), shown(o.Reason)})
	}
	tv.Rows, tv.RowsMore = v.rowsOf(t)
	tv.Keys = v.keysOf(t)
	tv.Inside = inside(&tv)
	return tv
}

// inside says what there is to open.
func inside(t *tableView) string {
	switch {
	case t.Rows != nil && len(t.Schema) > 0:
		return "Columns and rows side by side"
	case t.Rows != nil:
		return "Rows side by side"
	case len(t.Schema) > 0:
		return "Columns side by side"
	default:
		return "Details"
	}
}

// countsOf are how many rows differ in each way, and where they are if that is known.
func countsOf(t *mirror.TableReport, s *strip) (ts []tile) {
	all := t.DifferingRows()
	for _, k := range []struct {
		kind string
		n    int64
	}{{"missing", t.Missing}, {"extra", t.Extra}, {"changed", t.Changed}, {"duplicate", t.Duplicate}, {"pending", t.Pending}} {
		if k.n == 0 {
			continue
		}
		c := tile{Class: k.kind, N: text.Count(k.n), Label: k.kind}
		switch {
		case k.kind == "pending" && k.n == all && all > 1:
			c.Where = "all of them: the next cycle mends them"
		case s != nil:
			c.Where = s.where[k.kind]
		}
		ts = append(ts, c)
	}
	return ts
}

// sizes says how many rows the table has, as far as it is known.
func sizes(r *mirror.Report, t *mirror.TableReport) string {
	switch {
	case r.Depth == mirror.DepthSchema, t.Verdict == mirror.VerdictFailed, t.Verdict == mirror.VerdictUnfinished:
		return ""
	case t.Verdict == mirror.VerdictMissing:
		return text.Rows(t.SourceRows) + " at the source"
	case t.Verdict == mirror.VerdictExtra:
		return text.Rows(t.MirrorRows) + " in the mirror"
	case t.SourceRows == 0 && t.MirrorRows == 0:
		return ""
	case t.SourceRows == t.MirrorRows:
		return text.Rows(t.SourceRows) + " on either side"
	default:
		return text.Rows(t.SourceRows) + " at the source, " + text.Count(t.MirrorRows) + " in the mirror"
	}
}

// notes are what is to be known of a table before its rows are looked at.
func notes(t *mirror.TableReport) (ns []template.HTML) {
	add := func(s string) {
		if s != "" {
			ns = append(ns, shown(s))
		}
	}
	add(t.Reason)
	if t.ResetRequested() && t.Verdict != mirror.VerdictIdentical {
		add("Its LSN is -1: the next cycle sends all of its rows.")
	}
	switch t.LSNState {
	case mirror.LSNExpired:
		add("Its LSN has expired: only a reset makes sure that the next cycle sends the table.")
	case mirror.LSNAhead:
		add("Its LSN is ahead of the source, which was restored: reset it.")
	}
	if t.Truncated {
		add("Comparing stopped at MaxDifferences: there may be more.")
	}
	if known := t.Diverged + t.Pending; t.Diverged > 0 {
		says := text.Rows(t.Diverged) + " diverged: no cycle mends them."
		if all := t.DifferingRows(); all > known {
			says += " Of " + text.Count(all-known) + " it is not known."
		}
		add(says)
	} else if t.Verdict == mirror.VerdictDifferent && known == 0 {
		add("It is not known yet whether the next cycle mends that.")
	}
	add(t.MetadataDoubt)
	add(t.Warning)
	return ns
}

func changedColumns(t *mirror.TableReport) (items []item) {
	for _, c := range some(t.ChangedColumns) {
		items = append(items, item{shown(c.Column), template.HTML(text.Rows(c.Rows))})
	}
	return items
}

func tableFacts(r *mirror.Report, t *mirror.TableReport) (facts []fact) {
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, shown(value)})
		}
	}
	if t.MirrorName != t.Table {
		add("In the mirror", t.MirrorName)
	}
	if t.LSN != nil {
		add("LSN", store.FormatLSN(t.LSN))
	}
	if len(t.Key) > 0 && !t.Keyless {
		facts = append(facts, fact{"Key", joined(t.Key)})
	}
	if t.Keyless {
		add("Key", "none: rows are told apart by all compared columns")
	}
	add("Compared by", string(t.Strategy))
	if r.Strategy != mirror.StrategyAuto {
		add("Because", t.StrategyReason)
	}
	if b := t.Basis; b != nil && b.Reason != "" {
		add("All rows read", b.Reason)
	} else if b != nil {
		add("Rows read", "of "+text.Count(b.Keys)+" keys, and a sample of "+text.Rows(b.Sampled))
	}
	if t.Elapsed > 0 {
		add("Took", text.Duration(t.Elapsed))
	}
	return facts
}

// stateName says what becomes of a difference.
var stateName = map[mirror.DiffState]string{
	mirror.DiffPending: "the next cycle mends it", mirror.DiffArrived: "equal by now", mirror.DiffDiverged: "no cycle mends it",
}

func (v *tablesView) rowsOf(t *mirror.TableReport) (rows []rowView, more string) {
	samples := t.Samples[:min(len(t.Samples), v.rows)]
	v.rows -= len(samples)
	mixed := slices.ContainsFunc(samples, func(d mirror.Difference) bool { return d.State != samples[0].State })
	var there int64
	for len(samples) > 0 {
		d, n := samples[0], alike(samples)
		row := rowView{
			Class: string(d.Kind), Kind: string(d.Kind), Key: keysHTML(samples[:n]),
			Left: d.Kind != mirror.DiffExtra, Right: d.Kind != mirror.DiffMissing,
		}
		if mixed {
			row.State = stateName[d.State]
		}
		if d.Rows > 1 {
			row.Times = text.Count(d.Rows) + " times"
		}
		for _, c := range d.Columns {
			left, right := pair(c.Source, c.Mirror)
			row.Columns = append(row.Columns, columnView{shown(c.Column), left, right})
		}
		rows = append(rows, row)
		for _, d := range samples[:n] {
			there += d.Rows
		}
		samples = samples[n:]
	}
	if all := t.DifferingRows(); all > there {
		more = text.Rows(all-there) + " more " + plural(all-there, "differs", "differ") + "."
	}
	return rows, more
}

const maxAbreast = 40 // keys that stand in one row

// alike is how many differences at the beginning of some can stand in one row, because
// all that is known of them is their keys.
func alike(some []mirror.Difference) int {
	simple := func(d mirror.Difference) bool {
		return (d.Kind == mirror.DiffMissing || d.Kind == mirror.DiffExtra) && d.Rows == 1 && len(d.Columns) == 0
	}
	n := 1
	for simple(some[0]) && n < min(len(some), maxAbreast) && simple(some[n]) && some[n].Kind == some[0].Kind && some[n].State == some[0].State {
		n++
	}
	return n
}

// keysHTML are keys that stand in one row, the names of their columns before the first.
func keysHTML(some []mirror.Difference) template.HTML {
	if len(some) == 1 || len(some[0].Key) != 1 {
		var parts []string
		for _, d := range some {
			parts = append(parts, string(key(d.Key)))
		}
		return template.HTML(strings.Join(parts, "; "))
	}
	out := key(some[0].Key)
	for _, d := range some[1:] {
		out += ", " + keyValues(d.Key)
	}
	return out
}

// keysOf are the keys that differ, where there are more of them than rows side by side.
func (v *tablesView) keysOf(t *mirror.TableReport) (lists []list) {
	if len(t.Differences) <= len(t.Samples) {
		return nil
	}
	for _, k := range []mirror.DiffKind{mirror.DiffMissing, mirror.DiffExtra, mirror.DiffChanged, mirror.DiffDuplicate} {
		l, n := list{Head: string(k) + ":", Dense: true}, 0
		for _, d := range t.Differences {
			if d.Kind != k {
				continue
			}
			if n++; v.keys > 0 {
				l.Items = append(l.Items, item{Name: keyValues(d.Key)})
				v.keys--
			}
		}
		if n > 0 {
			l.N, l.More = text.Count(int64(n)), moreThan(n, len(l.Items))
			lists = append(lists, l)
		}
	}
	return lists
}
