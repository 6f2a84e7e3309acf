package htmlreport

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// strip is a table's range of keys from left to right, with a lane for each kind of
// difference that it has. Where that is not known it is the range of those that differ.
type strip struct {
	Label       string // for who cannot see it
	Lanes       []lane
	First, Last template.HTML
	Key         template.HTML // the names of its columns
	Whole       bool          // the range is the table's
	Stretches   []stretch
	Kinds       []kind // of the lanes, for the columns of Stretches

	where map[string]template.HTML // the rows of a kind are, by its name
}

// lane is where rows of one kind are.
type lane struct {
	Kind kind
	Bars []bar
}

// bar is a stretch of a lane, the higher the more rows it has. X and Width are shares of
// the strip.
type bar struct {
	X, Width  string
	Y, Height int
}

// stretch is a row of the list of stretches.
type stretch struct {
	First, Last template.HTML
	Place       string // in the table, if its range is known
	Counts      []string
}

// kind is a kind of difference: its name is the class of its colour and pattern, too.
type kind struct {
	Name  string
	Means string
	of    func(mirror.Stretch) int64
}

var kinds = []kind{
	{"missing", "only at the source", func(s mirror.Stretch) int64 { return s.Missing }},
	{"extra", "only in the mirror", func(s mirror.Stretch) int64 { return s.Extra }},
	{"changed", "on both sides, with other values", func(s mirror.Stretch) int64 { return s.Changed }},
	{"duplicate", "more often in the mirror", func(s mirror.Stretch) int64 { return s.Duplicate }},
	{"pending", "of these: the next cycle mends them", func(s mirror.Stretch) int64 { return s.Pending }},
}

const (
	laneHeight = 14
	minHeight  = 6
	minWidth   = 0.002 // of a bar, or nobody sees it
)

// stripOf is nil where it is not known where rows differ.
func stripOf(t *mirror.TableReport) *strip {
	if len(t.Stretches) == 0 {
		return nil
	}
	of, says := t.Range, []string{}
	if of == nil {
		of = &mirror.KeyRange{First: t.Stretches[0].First, Last: t.Stretches[len(t.Stretches)-1].Last}
		says = append(says, "The table may have other keys before and behind.")
	}
	s := &strip{First: keyValues(of.First), Last: keyValues(of.Last), Key: columnsOf(of.First), Whole: t.Range != nil, where: map[string]template.HTML{}}
	runs, most := map[string][]mirror.Stretch{}, int64(1000)
	for _, k := range kinds {
		runs[k.Name] = k.runs(t.Stretches)
		for _, r := range runs[k.Name] {
			most = max(most, k.of(r))
		}
	}
	for _, k := range kinds {
		if runs[k.Name] == nil {
			continue
		}
		s.Lanes, s.Kinds = append(s.Lanes, laneOf(k, runs[k.Name], most)), append(s.Kinds, k)
		html, plain := where(k, runs[k.Name], s.Whole)
		s.where[k.Name], says = html, append(says, plain)
	}
	s.Label = fmt.Sprintf("Where rows of %s differ, from %s to %s. %s", text.Name(t.Table), keyText(of.First), keyText(of.Last), strings.Join(says, " "))
	for _, at := range together(t.Stretches) {
		row := stretch{First: keyValues(at.First), Last: keyValues(at.Last)}
		if s.Whole {
			row.Place = place(at)
		}
		for _, k := range s.Kinds {
			row.Counts = append(row.Counts, text.Dash(k.of(at)))
		}
		s.Stretches = append(s.Stretches, row)
	}
	return s
}

// near is how far apart, as a share of the range, two stretches may be to be drawn and
// spoken of as one.
const near = 0.02

// runs are the stretches that have rows of a kind, those as one that are near each other.
func (k kind) runs(stretches []mirror.Stretch) (runs []mirror.Stretch) {
	for _, s := range stretches {
		if k.of(s) <= 0 {
			continue
		}
		s.From = within(s.From)
		s.To = max(s.From, within(s.To))
		n := len(runs)
		if n == 0 || s.From-runs[n-1].To > near {
			runs = append(runs, s)
			continue
		}
		join(&runs[n-1], s)
	}
	return runs
}

// join makes a stretch go on to the end of the next.
func join(s *mirror.Stretch, next mirror.Stretch) {
	s.Last, s.To = next.Last, max(s.To, next.To)
	s.Missing, s.Extra, s.Changed = s.Missing+next.Missing, s.Extra+next.Extra, s.Changed+next.Changed
	s.Duplicate, s.Pending = s.Duplicate+next.Duplicate, s.Pending+next.Pending
}

// together has neighbours as one that have rows of the same kinds and are near each other.
func together(stretches []mirror.Stretch) (all []mirror.Stretch) {
	same := func(a, b mirror.Stretch) bool {
		return !slices.ContainsFunc(kinds, func(k kind) bool { return (k.of(a) > 0) != (k.of(b) > 0) })
	}
	for _, s := range stretches {
		if n := len(all); n > 0 && same(all[n-1], s) && within(s.From)-within(all[n-1].To) <= near {
			join(&all[n-1], s)
		} else {
			all = append(all, s)
		}
	}
	return all
}

func laneOf(k kind, runs []mirror.Stretch, most int64) lane {
	l := lane{Kind: k}
	for _, r := range runs {
		// By the logarithm, so that one row beside thousands is still seen.
		high := minHeight + int(math.Round((laneHeight-minHeight)*math.Log1p(float64(k.of(r)))/math.Log1p(float64(most))))
		from := min(r.From, 1-minWidth)
		to := max(from+minWidth, r.To)
		l.Bars = append(l.Bars, bar{X: percent(from), Width: percent(to - from), Y: laneHeight - high, Height: high})
	}
	return l
}

// within is a share that a drawing can use, whatever a report has.
func within(share float64) float64 {
	if !(share > 0) {
		return 0
	}
	return min(share, 1)
}

func percent(share float64) string { return fmt.Sprintf("%.3f%%", 100*share) }

// place says where a stretch is.
func place(s mirror.Stretch) string {
	from, to := fmt.Sprintf("%.1f", 100*within(s.From)), fmt.Sprintf("%.1f%%", 100*within(s.To))
	if from+"%" == to {
		return to
	}
	return from + "–" + to
}

// where says where rows of a kind are, as HTML and as text. Whole says that the range is
// that of the whole table.
func where(k kind, runs []mirror.Stretch, whole bool) (template.HTML, string) {
	var rows int64
	for _, r := range runs {
		rows += k.of(r)
	}
	first, last := runs[0], runs[len(runs)-1]
	say := func(pattern string, keys ...[]store.Cell) (template.HTML, string) {
		html, plain := make([]any, len(keys)), make([]any, len(keys))
		for i, k := range keys {
			html[i], plain[i] = key(k), keyText(k)
			if i > 0 && len(k) == 1 { // its column was just named
				html[i] = keyValues(k)
			}
		}
		return template.HTML(fmt.Sprintf(pattern, html...)), k.Name + ": " + text.Rows(rows) + " " + fmt.Sprintf(pattern, plain...) + "."
	}
	const end = 0.9995
	// A run with rows of other kinds, too, does not say where in it those of this kind are.
	whole = whole && len(runs) == 1 && rows == first.Rows()
	switch {
	case keyText(first.First) == keyText(last.Last):
		return say("at %s", first.First)
	case whole && first.From <= 1-end && first.To >= end:
		return say("across the whole range")
	case whole && first.To >= end:
		return say("from %s to the end", first.First)
	case whole && first.From <= 1-end:
		return say("from the beginning to %s", first.Last)
	case len(runs) == 1:
		return say("between %s and %s", first.First, first.Last)
	default:
		return say("in "+many(len(runs), "place", "places")+" between %s and %s", first.First, last.Last)
	}
}

// key is a key as HTML.
func key(cells []store.Cell) template.HTML {
	var parts []string
	for _, c := range cells {
		parts = append(parts, `<span class="k">`+string(shown(c.Column))+`&nbsp;`+string(value(c))+`</span>`)
	}
	return template.HTML(strings.Join(parts, ", "))
}

// columnsOf names the columns of a key.
func columnsOf(cells []store.Cell) template.HTML {
	var names []string
	for _, c := range cells {
		names = append(names, c.Column)
	}
	return joined(names)
}

func keyText(cells []store.Cell) string { return text.Name(store.FormatCells(cells)) }

// keyValues is a key without the names of its columns.
func keyValues(cells []store.Cell) template.HTML {
	var parts []string
	for _, c := range cells {
		parts = append(parts, string(value(c)))
	}
	return template.HTML(strings.Join(parts, "&#8201;/&#8201;"))
}

func plural(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// many is a number with a word.
func many(n int, one, more string) string {
	return text.Count(int64(n)) + " " + plural(int64(n), one, more)
}
