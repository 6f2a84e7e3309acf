package diff

import (
	"cmp"
	"database/sql/driver"
	"fmt"

	"github.com/so-mirror/mirror/store"
)

// merge walks two cursors in key order and counts what differs.
type merge struct {
	table      *Table
	maxSamples int
	keep       func() bool          // takes a place for a key in the report
	room       func(bytes int) bool // takes room for a sample or a key in the report
	found      Findings

	// stop is asked before each key whether to end there. The key that
	// the walk would have gone on with is then next.
	stop func(rows int64) bool
	next store.Row

	sized     bool       // it is known how many bytes a row has
	placed    bool       // what differs is counted by where it is
	keyed     store.Kind // of the first column of the key
	settles   bool
	open      []Open // to be settled
	openBytes int

	compared []int                          // columns to compare in rows with equal keys
	spelled  []int                          // columns whose equal values may be spelled differently
	equal    []func(a, b driver.Value) bool // by column; nil is equalPlain

	orderSource, orderMirror, orderBoth func(a, b store.Row) int
}

func newMerge(t *Table, maxSamples int) *merge {
	n := len(t.Source.Columns)
	m := &merge{table: t, maxSamples: maxSamples, placed: t.Placed(), equal: make([]func(a, b driver.Value) bool, n)}
	m.found.Columns = make([]int64, n)
	if m.placed {
		m.keyed = t.Source.Columns[0].Type.Kind()
	}
	for i := range t.Source.Columns {
		ts, tm := t.Source.Columns[i].Type, t.Mirror.Columns[i].Type
		switch k := ts.Kind(); {
		case k == store.KindDecimal || k == store.KindGUID || k == store.KindBytes || k == store.KindAny:
			m.equal[i] = equalBoxed(ts)
		case k == store.KindTimeOffset || store.IsTime(ts) && ts != tm:
			m.equal[i] = store.EqualFunc(ts, tm)
		case t.AnyValue:
			m.equal[i] = store.EqualFunc(ts, tm)
		}
		if t.decoder(i) != nil {
			m.equal[i] = m.equalDecoded(i)
		}
		if i >= t.Key || t.AnyValue || !store.OrderDecides(ts, tm) {
			m.compared = append(m.compared, i)
		}
		if t.manySpellings(i) {
			m.spelled = append(m.spelled, i)
		}
	}
	source, mirror := t.Source.Columns[:t.Key], t.Mirror.Columns[:t.Key]
	m.orderSource, m.orderMirror, m.orderBoth = keyOrder(source, source), keyOrder(mirror, mirror), keyOrder(source, mirror)
	return m
}

// keyOrder returns the order of keys of two sides. Nearly all of SuperOffice's
// keys are one integer.
func keyOrder(a, b []store.Column) func(x, y store.Row) int {
	general := func(x, y store.Row) int {
		for i := range a {
			if n := orderBoxed(a[i].Type, b[i].Type, x[i], y[i]); n != 0 {
				return n
			}
		}
		return 0
	}
	if len(a) != 1 || a[0].Type.Kind() != store.KindInt {
		return general
	}
	return func(x, y store.Row) int {
		i, ok := x[0].(int64)
		j, also := y[0].(int64)
		if ok && also {
			return cmp.Compare(i, j)
		}
		return general(x, y)
	}
}

// orderBoxed is orderValues for values of batches.
func orderBoxed(ta, tb store.Type, a, b driver.Value) int {
	x, ok := boxedBytes(a)
	y, also := boxedBytes(b)
	if ok && also {
		return store.CompareBytes(ta.Kind(), x, y)
	}
	return store.CompareValues(ta, tb, unbox(a), unbox(b))
}

// equalBoxed is the equality of the kinds whose values are []byte, for values of
// batches.
func equalBoxed(t store.Type) func(a, b driver.Value) bool {
	k, plain := t.Kind(), store.EqualFunc(t, t)
	return func(a, b driver.Value) bool {
		x, ok := bytesOf(a)
		y, also := bytesOf(b)
		if ok && also {
			return store.CompareBytes(k, x, y) == 0
		}
		return !ok && !also && plain(a, b)
	}
}

// sameValue compares one column of two rows.
func (m *merge) sameValue(i int, a, b store.Row) bool {
	if eq := m.equal[i]; eq != nil {
		return eq(a[i], b[i])
	}
	return store.SameValue(a[i], b[i])
}

func (m *merge) sameRow(a, b store.Row) bool {
	for _, i := range m.compared {
		// Most values are numbers and texts, and equal.
		switch x := a[i].(type) {
		case int64:
			if y, ok := b[i].(int64); ok && x == y {
				continue
			}
		case string:
			if y, ok := b[i].(string); ok && x == y {
				continue
			}
		case nil:
			if b[i] == nil {
				continue
			}
		}
		if !m.sameValue(i, a, b) {
			return false
		}
	}
	return true
}

// run walks to the end of both cursors, or to the key at which stop ends it.
func (m *merge) run(source, mirror *cursor) error {
	for source.ok || mirror.ok {
		n := 0
		switch {
		case !mirror.ok:
			n = -1
		case !source.ok:
			n = 1
		default:
			n = m.orderBoth(source.row, mirror.row)
		}
		if m.stop != nil && m.stop(source.rows+mirror.rows) {
			m.next = m.nextKey(source, mirror)
			return nil
		}
		if n <= 0 && source.repeats || n >= 0 && mirror.repeats {
			if err := m.group(source, mirror, n); err != nil {
				return err
			}
			continue
		}
		switch {
		case n < 0:
			m.differ(Missing, source.row, nil, 1)
		case n > 0:
			m.differ(Extra, nil, mirror.row, 1)
		case m.sameRow(source.row, mirror.row):
		case m.table.Keyless: // two rows that only the order cannot tell apart
			m.differ(Missing, source.row, nil, 1)
			m.differ(Extra, nil, mirror.row, 1)
		default:
			m.differ(Changed, source.row, mirror.row, 1)
		}
		if n <= 0 {
			if err := source.advance(); err != nil {
				return fmt.Errorf("source: %w", err)
			}
		}
		if n >= 0 {
			if err := mirror.advance(); err != nil {
				return fmt.Errorf("mirror: %w", err)
			}
		}
	}
	return nil
}

// full reports whether what differs has to be settled.
func (m *merge) full(s Steps) bool { return len(m.open) >= s.Open || m.openBytes >= s.OpenBytes }

// nextKey returns a copy of the lesser of the current keys, the first by which
// nothing is decided yet.
func (m *merge) nextKey(source, mirror *cursor) store.Row {
	if !source.ok || mirror.ok && m.orderBoth(source.row, mirror.row) > 0 {
		return m.table.plain(mirror.row[:m.table.Key]).Clone()
	}
	return m.table.plain(source.row[:m.table.Key]).Clone()
}

// restart forgets what was found, and goes on from the current keys.
func (m *merge) restart(source, mirror *cursor) {
	m.maxSamples -= len(m.found.Samples)
	m.found = Findings{Columns: make([]int64, len(m.table.Source.Columns))}
	source.rows, mirror.rows = source.rows-source.decided(), mirror.rows-mirror.decided()
}

// count takes over how many rows of either side are decided.
func (m *merge) count(source, mirror *cursor) {
	m.found.SourceRows, m.found.MirrorRows = source.decided(), mirror.decided()
}

// measure takes the size of rows of the source: of text and binary values their
// bytes, of others 8.
func (m *merge) measure(rows []store.Row) {
	for _, row := range rows {
		m.found.Sampled++
		m.found.Bytes += int64(rowSize(m.table.plain(row)) - 8*len(row))
	}
}

// differ counts n differing rows: source is nil for rows of the mirror alone,
// mirror for rows of the source alone.
func (m *merge) differ(kind Kind, source, mirror store.Row, n int64) {
	cols, row := m.table.Source.Columns, source
	if source == nil {
		cols, row = m.table.Mirror.Columns, mirror
	}
	*m.found.count(kind) += n
	if m.table.Differs != nil {
		m.table.Differs(kind, m.table.plain(source), m.table.plain(mirror), n)
	}
	where := uint64(0)
	if m.placed {
		where = m.binned(kind, row, n)
	}
	wanted := len(m.found.Samples) < m.maxSamples
	var columns []ChangedColumn
	if kind == Changed {
		for _, i := range m.compared {
			if m.sameValue(i, source, mirror) {
				continue
			}
			m.found.Columns[i] += n
			if wanted {
				columns = append(columns, ChangedColumn{
					Column: m.table.Source.Columns[i].Name,
					Source: Short(store.NewCell(m.table.Source.Columns[i], m.table.plainValue(i, source[i]))),
					Mirror: Short(store.NewCell(m.table.Mirror.Columns[i], m.table.plainValue(i, mirror[i]))),
				})
			}
		}
	}
	if !wanted && (m.keep == nil || m.table.Keyless) && !m.settles {
		return // nothing but the counts
	}
	source, mirror, row = m.table.plain(source), m.table.plain(mirror), m.table.plain(row)
	open := Open{Kind: kind, Rows: n, place: where, sample: -1, kept: -1}
	sum := ""
	if (wanted || m.keep != nil) && !m.table.Keyless {
		sum = m.sum(kind, source, mirror)
	}
	if wanted {
		open.sample = len(m.found.Samples)
		s := Difference{Kind: kind, Key: m.cells(cols, row, m.table.Key), Rows: n, Columns: columns, Sum: sum}
		if m.room(s.size()) {
			m.found.Samples = append(m.found.Samples, s)
		} else {
			open.sample, m.maxSamples = -1, 0
		}
	}
	if m.table.Keyless {
		return
	}
	switch {
	case m.keep == nil:
	case m.room(rowSize(row[:m.table.Key])) && m.keep():
		open.kept = len(m.found.Keys)
		key := make([]store.Cell, m.table.Key)
		for i := range key {
			key[i] = copied(store.NewCell(cols[i], row[i]))
		}
		m.found.Keys = append(m.found.Keys, Difference{Kind: kind, Key: key, Rows: n, Sum: sum})
	default:
		m.keep = nil
	}
	if m.settles {
		open.Key = row[:m.table.Key].Clone()
		m.open = append(m.open, open)
		m.openBytes += rowSize(open.Key)
	}
}
