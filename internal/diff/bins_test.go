package diff_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
)

// binsOf is brute force: all places are held, and bins grow until they are few.
func binsOf(keys []diff.Difference, place func(key []store.Cell) uint64) diff.Bins {
	var b diff.Bins
	for ; ; b.Shift++ {
		by := map[uint64]*diff.Bin{}
		for _, d := range keys {
			at := place(d.Key) >> b.Shift
			if by[at] == nil {
				by[at] = &diff.Bin{At: at, First: d.Key}
			}
			bin := by[at]
			bin.Last = d.Key
			switch d.Kind {
			case diff.Missing:
				bin.Missing += d.Rows
			case diff.Extra:
				bin.Extra += d.Rows
			case diff.Changed:
				bin.Changed += d.Rows
			case diff.Duplicate:
				bin.Duplicate += d.Rows
			}
			if d.State == diff.Pending {
				bin.Pending += d.Rows
			}
		}
		if len(by) > diff.MaxBins {
			continue
		}
		for _, bin := range by {
			b.Bins = append(b.Bins, *bin)
		}
		slices.SortFunc(b.Bins, func(x, y diff.Bin) int { return cmp.Compare(x.At, y.At) })
		return b
	}
}

// text has the columns of keys as a side spells them left out.
func text(t *testing.T, b diff.Bins) string {
	t.Helper()
	if b.IsZero() {
		b.Shift = 0
	}
	data, err := json.Marshal(b)
	require.NoError(t, err)
	return string(data)
}

// checkBins holds the bins to the keys, all of which were kept.
func checkBins(t *testing.T, name string, s *sides, got diff.Findings) {
	t.Helper()
	want := binsOf(got.Keys, func(key []store.Cell) uint64 { return s.table.Place(store.Row{key[0].Value}) })
	require.Equal(t, text(t, want), text(t, got.Bins), name)
}

// However many parts a table is compared in, all of them together hold hardly more
// bins than the table has in the end.
func TestBinsOfManyParts(t *testing.T) {
	var source []store.Row
	for n := range 20_000 {
		source = append(source, store.Row{n, n})
	}
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, source, nil)
	held, parts := 0, 0
	o := diff.Options{Strategy: diff.Stream, SplitRows: 100, Slots: make(chan struct{})}
	var run *diff.Run
	o.Save = func() {
		n, ranges := 0, run.Ranges()
		for _, r := range ranges {
			n += len(r.Found.Bins.Bins)
		}
		held, parts = max(held, n), len(ranges)
	}
	run = s.engine(o).Table(s.table)
	found, err := run.Compare(t.Context())
	require.NoError(t, err)
	require.Equal(t, 200, parts)
	require.Greater(t, held, diff.MaxBins/2)
	require.LessOrEqual(t, held, diff.MaxBins+parts)
	require.Len(t, found.Bins.Bins, 40, "of 512 keys")
	sum := int64(0)
	for _, b := range found.Bins.Bins {
		sum += b.Missing
	}
	require.EqualValues(t, 20_000, sum)
}

// Bins that no comparison can have made, or not of this table, are refused.
func TestBinsCheck(t *testing.T) {
	key := []store.Cell{{Column: "id", Value: int64(-1 << 63)}}
	bin := func(at uint64, missing, pending int64) diff.Bin {
		return diff.Bin{At: at, First: key, Last: key, Missing: missing, Pending: pending}
	}
	many := diff.Bins{}
	for n := range uint64(diff.MaxBins + 1) {
		many.Bins = append(many.Bins, bin(n, 1, 0))
	}
	for name, bins := range map[string]diff.Bins{
		"more than there can be":     many,
		"wider than all places":      {Shift: 65, Bins: []diff.Bin{bin(0, 1, 0)}},
		"negative":                   {Bins: []diff.Bin{bin(0, -1, 0)}},
		"more rows than any table":   {Bins: []diff.Bin{bin(0, diff.MaxCount+1, 0)}},
		"more pending than differ":   {Bins: []diff.Bin{bin(0, 1, 2)}},
		"not in order":               {Bins: []diff.Bin{bin(1, 1, 0), bin(0, 1, 0)}},
		"one twice":                  {Bins: []diff.Bin{bin(0, 1, 0), bin(0, 1, 0)}},
		"more rows than were found":  {Bins: []diff.Bin{bin(0, 100, 0), bin(1, 1, 0)}},
		"more pending than is known": {Bins: []diff.Bin{bin(0, 50, 11)}},
	} {
		t.Run(name, func(t *testing.T) {
			f := diff.Findings{SourceRows: 100, Missing: 100, Pending: 10, Bins: bins}
			require.Error(t, f.Check())
		})
	}
	sound := diff.Findings{SourceRows: 100, Missing: 100, Pending: 10, Bins: diff.Bins{Bins: []diff.Bin{bin(0, 50, 10)}}}
	require.NoError(t, sound.Check())

	s := newSides(t, []string{"id bigint", "n int"}, []string{"id"}, nil, nil)
	resumes := func(change func(r *diff.Range)) bool {
		r := diff.Range{Found: sound}
		r.Found.Bins.Bins = slices.Clone(sound.Bins.Bins)
		change(&r)
		return s.engine(diff.Options{Strategy: diff.Stream}).Table(s.table).Resume([]diff.Range{r})
	}
	other := []store.Cell{{Column: "id", Value: int64(5)}}
	require.True(t, resumes(func(*diff.Range) {}))
	require.False(t, resumes(func(r *diff.Range) { r.Found.Bins.Bins[0].At = 1 }))
	require.False(t, resumes(func(r *diff.Range) { r.Found.Bins.Bins[0].First = other }))
	require.False(t, resumes(func(r *diff.Range) { r.Found.Bins.Bins[0].Last = nil }))
	require.True(t, resumes(func(r *diff.Range) { r.First, r.Last = key, other }))
	require.False(t, resumes(func(r *diff.Range) { r.First, r.Last = other, key }))
	require.False(t, resumes(func(r *diff.Range) { r.First = key }))
}

// What has arrived is no longer counted where it was.
func TestBinsOfWhatArrived(t *testing.T) {
	s := newSides(t, []string{"id int", "n int"}, []string{"id"}, []store.Row{{1, 1}, {2, 2}, {3, 3}, {9, 9}}, []store.Row{{1, 1}, {5, 5}})
	s.table.Settler = func() diff.Settler { return inTurn{} }
	found, err := s.engine(diff.Options{Strategy: diff.Stream, MaxKeys: 10}).Table(s.table).Compare(t.Context())
	require.NoError(t, err)
	var got []string
	for _, b := range found.Bins.Bins {
		got = append(got, fmt.Sprint(b.First[0].Value, b.Missing, b.Extra, b.Pending))
	}
	require.Equal(t, []string{"2 1 0 1", "3 0 0 0", "5 0 1 0", "9 1 0 1"}, got)
	require.EqualValues(t, 3, found.Pending)
}

// inTurn finds differences to be pending, arrived and diverged in turn.
type inTurn struct{}

func (inTurn) Settle(_ context.Context, found *diff.Findings, open []diff.Open) error {
	for i, d := range open {
		found.Settle(d, []diff.State{diff.Pending, diff.Arrived, diff.Diverged}[i%3])
	}
	return nil
}
