package diff

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// A group of rows with one key is matched exactly as long as its distinct rows
// fit into these bounds.
const (
	maxVariants     = 1000
	maxVariantBytes = 8 << 20
)

// group matches the rows that share the current key: those of the source for
// n < 0, of the mirror for n > 0, of both for 0. An engine delivers them in any
// order, so nothing that is reported depends on it: what is held of them are the
// least, and what is left pairs off in the order of orderRows. Rows beyond the
// bounds are only counted. Only those of a source whose key the mirror has must
// all be held.
func (m *merge) group(source, mirror *cursor, n int) error {
	left, right := m.newDistinct(), m.newDistinct()
	var both shared
	var err error
	switch {
	case n < 0:
		err = source.take("source", left.add)
	case n > 0:
		err = mirror.take("mirror", right.add)
	default:
		both.merge = m
		err = source.take("source", both.addSource)
		if err != nil {
			break
		}
		right.room, right.size = right.room-len(both.variants), both.size
		err = mirror.take("mirror", func(row store.Row) error {
			if both.addMirror(row) {
				return nil
			}
			return right.add(row)
		})
		both.leave(left, right)
	}
	if err == nil {
		surplus := Duplicate
		if n != 0 || m.table.Keyless {
			surplus = Extra
		}
		m.match(left, right, surplus)
	}
	return err
}

// take gives all rows of the current key to add, the last one when the cursor has
// moved behind them.
func (c *cursor) take(side string, add func(row store.Row) error) error {
	for again := true; again; {
		if err := add(c.row); err != nil {
			return err
		}
		again = c.repeats
		if err := c.advance(); err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	return nil
}

// variant is a row of the source and how often either side has it. Where a side
// spells it in several ways its row is the least of them.
type variant struct{ source, mirror tally }

// tally is a row and how often it is there.
type tally struct {
	row  store.Row
	rows int64
}

// shared are the different rows that the source has of a key of both sides.
type shared struct {
	merge         *merge
	variants      []variant
	size, largest int // in bytes
	last          int
}

// find returns the variant that equals a row of either side, nil for none.
func (s *shared) find(row store.Row) *variant {
	if s.last < len(s.variants) && s.merge.sameRow(s.variants[s.last].source.row, row) {
		return &s.variants[s.last]
	}
	for i := range s.variants {
		if s.merge.sameRow(s.variants[i].source.row, row) {
			s.last = i
			return &s.variants[i]
		}
	}
	return nil
}

func (s *shared) addSource(row store.Row) error {
	m := s.merge
	if v := s.find(row); v != nil {
		v.source.rows++
		if m.orderEqual(row, v.source.row) < 0 {
			v.source.row = kept(row)
		}
		return nil
	}
	s.last = len(s.variants)
	s.variants = append(s.variants, variant{source: tally{kept(row), 1}})
	size := rowSize(row)
	s.size, s.largest = s.size+size, max(s.largest, size)
	if len(s.variants) > maxVariants || s.size-s.largest > maxVariantBytes {
		return unsupported(fmt.Sprintf("too many different rows of the source share the key %s: more than %s, or %d MiB",
			store.FormatCells(m.cells(m.table.Source.Columns, m.table.plain(row), m.table.Key)), text.Count(maxVariants), maxVariantBytes>>20))
	}
	return nil
}

// addMirror reports whether the source has the row, too.
func (s *shared) addMirror(row store.Row) bool {
	v := s.find(row)
	if v == nil {
		return false
	}
	v.mirror.rows++
	switch {
	case v.mirror.row != nil && s.merge.orderEqual(row, v.mirror.row) >= 0:
	case s.merge.orderEqual(row, v.source.row) == 0:
		v.mirror.row = v.source.row
	default:
		v.mirror.row = kept(row)
	}
	return true
}

// leave adds what is left when equal rows are taken away.
func (s *shared) leave(left, right *distinct) {
	for _, v := range s.variants {
		switch n := v.source.rows - v.mirror.rows; {
		case n > 0:
			left.rows = append(left.rows, tally{v.source.row, n})
		case n < 0:
			right.rows = append(right.rows, tally{v.mirror.row, -n})
		}
	}
	left.sort()
	right.sort()
}

// distinct are the different rows of one side of a group, in order: the least of
// them, as many as there is room for.
type distinct struct {
	merge *merge
	room  int // for so many rows
	size  int // of what is held, in bytes
	rows  []tally
	last  int
	more  rest
}

func (m *merge) newDistinct() *distinct { return &distinct{merge: m, room: maxVariants} }

func (d *distinct) sort() {
	slices.SortFunc(d.rows, func(a, b tally) int { return d.merge.orderRows(a.row, b.row) })
}

func (d *distinct) add(row store.Row) error {
	m := d.merge
	if d.last < len(d.rows) && m.orderRows(d.rows[d.last].row, row) == 0 {
		d.rows[d.last].rows++
		return nil
	}
	i, found := slices.BinarySearchFunc(d.rows, row, func(t tally, row store.Row) int { return m.orderRows(t.row, row) })
	d.last = i
	switch {
	case found:
		d.rows[i].rows++
		return nil
	case d.more.rows > 0 && m.orderRows(row, d.more.row) >= 0:
		d.more.add(m, row, 1)
		return nil
	}
	d.rows = slices.Insert(d.rows, i, tally{kept(row), 1})
	d.size += rowSize(row)
	for n := len(d.rows) - 1; n >= 0; n-- {
		size := rowSize(d.rows[n].row)
		if len(d.rows) <= d.room && d.size-size <= maxVariantBytes {
			break
		}
		// The row is less than those that there was no room for before, and
		// no other row that is less than them will want for room.
		d.more.row = d.rows[n].row
		d.more.add(m, d.more.row, d.rows[n].rows)
		d.rows, d.size = slices.Delete(d.rows, n, n+1), d.size-size
	}
	return nil
}

// rest are the rows that a group had no room for.
type rest struct {
	row  store.Row // the least of them
	rows int64
	sum  [2]uint64 // of all, in any order
}

func (r *rest) add(m *merge, row store.Row, n int64) {
	r.rows += n
	if m.keep == nil || m.table.Keyless {
		return // nobody asks for the sum
	}
	sum, _ := hex.DecodeString(m.sum(Duplicate, nil, m.table.plain(row)))
	low, high := binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])
	carry, low := bits.Mul64(low, uint64(n))
	high = high*uint64(n) + carry
	r.sum[0], carry = bits.Add64(r.sum[0], low, 0)
	r.sum[1], _ = bits.Add64(r.sum[1], high, carry)
}

func (r *rest) hex() string {
	b := binary.LittleEndian.AppendUint64(nil, r.sum[0])
	return hex.EncodeToString(binary.LittleEndian.AppendUint64(b, r.sum[1]))
}

// unsupported is an error that says all by itself.
type unsupported string

func (u unsupported) Error() string { return string(u) }

func (u unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// match counts rows that the other side does not have. With a key, a row left on
// either side is a changed row; without one, two rows that differ have nothing to
// do with each other. Surplus is what rows of the mirror are then.
func (m *merge) match(source, mirror *distinct, surplus Kind) {
	left, right, more := source.rows, mirror.rows, &mirror.more
	for !m.table.Keyless && len(left) > 0 && len(right) > 0 {
		n := min(left[0].rows, right[0].rows)
		m.differ(Changed, left[0].row, right[0].row, n)
		if left[0].rows -= n; left[0].rows == 0 {
			left = left[1:]
		}
		if right[0].rows -= n; right[0].rows == 0 {
			right = right[1:]
		}
	}
	for _, t := range left {
		if n := min(t.rows, more.rows); n > 0 && !m.table.Keyless {
			m.differ(Changed, t.row, more.row, n)
			t.rows, more.rows = t.rows-n, more.rows-n
		}
		if t.rows > 0 {
			m.differ(Missing, t.row, nil, t.rows)
		}
	}
	for _, t := range right {
		m.differ(surplus, nil, t.row, t.rows)
	}
	m.differRest(Missing, &source.more)
	m.differRest(surplus, more)
}

// differRest is differ for rows that there was no room for, of either side.
func (m *merge) differRest(kind Kind, more *rest) {
	if more.rows == 0 {
		return
	}
	samples, keys := len(m.found.Samples), len(m.found.Keys)
	if kind == Missing {
		m.differ(kind, more.row, nil, more.rows)
	} else {
		m.differ(kind, nil, more.row, more.rows)
	}
	if len(m.found.Keys) == keys {
		return
	}
	m.found.Keys[keys].Sum = more.hex()
	if len(m.found.Samples) > samples {
		m.found.Samples[samples].Sum = more.hex()
	}
}
