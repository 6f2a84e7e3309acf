package mirrortest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// checkStretches holds the stretches of a report against brute force: each row that
// differs is counted in the one that its key is in.
func (s twoSides) checkStretches(t *testing.T, tr mirror.TableReport, about func() string) {
	t.Helper()
	if len(s.key) == 0 {
		require.Empty(t, tr.Stretches, about())
		require.Nil(t, tr.Range, about())
		return
	}
	var key []store.Column
	var at []int // of the columns of the report's key
	for _, name := range tr.Key {
		var i int
		_, err := fmt.Sscanf(name, "c%d", &i)
		require.NoError(t, err, about())
		key, at = append(key, store.Column{Name: name, Type: s.types[i]}), append(at, i)
	}
	rowOf := func(cells []store.Cell) (row store.Row) {
		require.Len(t, cells, len(key), about())
		for i, c := range cells {
			require.Equal(t, key[i].Name, c.Column, about())
			row = append(row, c.Value)
		}
		return row
	}
	order := func(a, b store.Row) int { return store.CompareKeys(key, a, b) }

	require.LessOrEqual(t, len(tr.Stretches), 64, about())
	counts, within := make([]tally, len(tr.Stretches)), make([]int, len(tr.Stretches))
	for i, st := range tr.Stretches {
		require.LessOrEqual(t, order(rowOf(st.First), rowOf(st.Last)), 0, about())
		require.True(t, 0 <= st.From && st.From <= st.To && st.To <= 1, about())
		if i > 0 {
			require.Negative(t, order(rowOf(tr.Stretches[i-1].Last), rowOf(st.First)), about())
			require.LessOrEqual(t, tr.Stretches[i-1].To, st.From, about())
		}
	}
	ends := 0
	var all []store.Row // keys, of either side
	for _, g := range s.groups() {
		row := g.rows[0]
		if row == nil {
			row = g.rows[1]
		}
		k := make(store.Row, len(at))
		for i, column := range at {
			k[i] = row[column]
		}
		all = append(all, k)
		n := g.tally(false)
		n.equal = 0
		for i, st := range tr.Stretches {
			first, last := order(rowOf(st.First), k), order(rowOf(st.Last), k)
			if n == (tally{}) || first > 0 || last < 0 {
				continue
			}
			counts[i].add(n)
			within[i]++
			if first == 0 || last == 0 {
				ends++
			}
		}
	}
	switch {
	case len(tr.Stretches) == 0:
		require.Nil(t, tr.Range, about())
	case tr.Range == nil:
		require.NotEqual(t, mirror.StrategyStream, tr.Strategy, about())
		require.Zero(t, tr.Stretches[0].From, about())
	default:
		require.Zero(t, order(rowOf(tr.Range.First), slices.MinFunc(all, order)), about())
		require.Zero(t, order(rowOf(tr.Range.Last), slices.MaxFunc(all, order)), about())
	}
	var sum tally
	for i, st := range tr.Stretches {
		require.Equal(t, counts[i], tally{0, st.Missing, st.Extra, st.Changed, st.Duplicate}, about())
		sum.add(counts[i])
		if ends--; within[i] > 1 {
			ends--
		}
	}
	require.Zero(t, ends, "stretches end at keys that differ: %s", about())
	require.Equal(t, tally{0, tr.Missing, tr.Extra, tr.Changed, tr.Duplicate}, sum, about())
}
