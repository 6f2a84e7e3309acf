package mirror

import (
	"errors"
	"slices"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
)

// Stretch is a stretch of a table's keys in which rows differ. Rows that have
// arrived since they were compared are no longer counted.
type Stretch struct {
	First []store.Cell `json:"first"` // the first and the last key in it that was found to differ
	Last  []store.Cell `json:"last"`

	// From and To are where these are between the first key of TableReport.Range, 0, and
	// its last, 1; without a Range between the first and the last key that differs.
	From float64 `json:"from"`
	To   float64 `json:"to"`

	Missing   int64 `json:"missing,omitempty"`
	Extra     int64 `json:"extra,omitempty"`
	Changed   int64 `json:"changed,omitempty"`
	Duplicate int64 `json:"duplicate,omitempty"`
	Pending   int64 `json:"pending,omitempty"` // of these
}

// KeyRange has the first and the last key that a table has on either side. With
// CompareOptions.Since they are those of the earlier report, further apart by what was
// read anew.
type KeyRange struct {
	First []store.Cell `json:"first"`
	Last  []store.Cell `json:"last"`
}

// stretchesOf returns the stretches in which rows differ. From and To are not known
// yet.
func stretchesOf(bins diff.Bins) []Stretch {
	var out []Stretch
	for _, b := range bins.Bins {
		if b.Rows() > 0 {
			out = append(out, Stretch{
				First: b.First, Last: b.Last, Missing: b.Missing, Extra: b.Extra, Changed: b.Changed, Duplicate: b.Duplicate, Pending: b.Pending,
			})
		}
	}
	return out
}

// Rows is how many rows differ.
func (s *Stretch) Rows() int64 { return s.Missing + s.Extra + s.Changed + s.Duplicate }

func (s *Stretch) count(kind DiffKind) *int64 {
	return diff.Counter(diff.Kind(kind), &s.Missing, &s.Extra, &s.Changed, &s.Duplicate)
}

// locate notes the range of keys, with that of an earlier report, nil for none, and
// where in it the stretches are.
func (t *TableReport) locate(run *diff.Run, earlier *KeyRange) {
	if !run.Placed() {
		t.Stretches = nil
		return
	}
	if len(t.Stretches) == 0 {
		return
	}
	first, last := run.Ends()
	if earlier != nil {
		was, err := run.KeyOf(earlier.First)
		if err == nil && was != nil && (first == nil || run.Order(was, first) < 0) {
			first = was
		}
		was, err = run.KeyOf(earlier.Last)
		if err == nil && was != nil && (last == nil || run.Order(was, last) > 0) {
			last = was
		}
	}
	if earlier == nil && !run.Whole() {
		t.spread(run.Table)
		return
	}
	t.Range = &KeyRange{First: shortCells(run.KeyCells(first)), Last: shortCells(run.KeyCells(last))}
	t.place(run.Table, run.Place(first), run.Place(last))
}

// spread notes where the stretches are between the first and the last key that differs.
func (t *TableReport) spread(table *diff.Table) {
	if n := len(t.Stretches); n > 0 {
		t.place(table, table.Place(placed(t.Stretches[0].First)), table.Place(placed(t.Stretches[n-1].Last)))
	}
}

// place notes where the stretches are between two places.
func (t *TableReport) place(table *diff.Table, from, to uint64) {
	for i := range t.Stretches {
		s := &t.Stretches[i]
		s.From = table.Share(from, to, table.Place(placed(s.First)))
		s.To = max(s.From, table.Share(from, to, table.Place(placed(s.Last))))
	}
}

func shortCells(cells []store.Cell) []store.Cell {
	for i := range cells {
		cells[i] = diff.Short(cells[i])
	}
	return cells
}

// placed returns of a key what its place depends on.
func placed(key []store.Cell) store.Row { return store.Row{key[0].Value} }

// settleStretches takes over what a Recheck found out about the differences that had the states
// before.
func (t *TableReport) settleStretches(table *diff.Table, before []DiffState) {
	if !table.Placed() {
		return
	}
	for i := range t.Differences {
		d := &t.Differences[i]
		key, err := table.KeyOf(d.Key)
		if d.State == before[i] || err != nil || key == nil {
			continue
		}
		s := t.stretchAt(table, table.Place(key))
		switch {
		case s == nil:
		case d.State == DiffPending:
			s.Pending = min(s.Pending+d.Rows, s.Rows())
		case d.State == DiffArrived:
			n := s.count(d.Kind)
			*n = max(0, *n-d.Rows)
			s.Pending = min(s.Pending, s.Rows())
		}
	}
	t.Stretches = slices.DeleteFunc(t.Stretches, func(s Stretch) bool { return s.Rows() == 0 })
	if t.Range == nil {
		t.spread(table)
	}
}

// stretchAt returns the stretch of a place, nil for none.
func (t *TableReport) stretchAt(table *diff.Table, place uint64) *Stretch {
	for i := range t.Stretches {
		if s := &t.Stretches[i]; table.Place(placed(s.First)) <= place && place <= table.Place(placed(s.Last)) {
			return s
		}
	}
	return nil
}

// checkStretches refuses stretches that no comparison can have made.
func (t *TableReport) checkStretches() error {
	if t.Range != nil && (len(t.Range.First) != len(t.Key) || len(t.Range.Last) != len(t.Key)) {
		return errors.New("its range of keys does not have its keys")
	}
	if len(t.Stretches) > 0 && len(t.Key) == 0 {
		return errors.New("it has stretches of keys, and no key")
	}
	bins := diff.Bins{Bins: make([]diff.Bin, len(t.Stretches))}
	end := 0.0
	for i := range t.Stretches {
		s := &t.Stretches[i]
		switch {
		case len(s.First) != len(t.Key) || len(s.Last) != len(t.Key):
			return errors.New("a stretch does not have its keys")
		case !(end <= s.From && s.From <= s.To && s.To <= 1): // nor is one of them NaN
			return errors.New("its stretches are not in order")
		case s.Rows() == 0:
			return errors.New("a stretch has no rows")
		}
		end = s.To
		bins.Bins[i] = diff.Bin{At: uint64(i), Missing: s.Missing, Extra: s.Extra, Changed: s.Changed, Duplicate: s.Duplicate, Pending: s.Pending}
	}
	return bins.Check(&diff.Findings{Missing: t.Missing, Extra: t.Extra, Changed: t.Changed, Duplicate: t.Duplicate, Pending: t.Pending})
}
