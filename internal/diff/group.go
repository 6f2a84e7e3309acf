package diff

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// A group of rows with one key is matched exactly as long as its distinct rows
// fit into these bounds.
const (
	maxVariants     = 1000
	maxVariantBytes = 8 << 20
)

// variant is a distinct row of a group and how often either side has it.
type variant struct {
	row            store.Row
	source, mirror int64
}

// group matches the rows of both sides that share the mirror's current key, if
// both have it. Rows of the mirror beyond the bounds that equal none of the
// source's are only counted.
func (m *merge) group(source, mirror *cursor, both bool) error {
	var variants []variant
	size, last := 0, 0
	find := func(row store.Row) *variant {
		if last < len(variants) && m.sameRow(variants[last].row, row) {
			return &variants[last]
		}
		for i := range variants {
			if m.sameRow(variants[i].row, row) {
				last = i
				return &variants[i]
			}
		}
		if len(variants) >= maxVariants || size > maxVariantBytes {
			return nil
		}
		last = len(variants)
		row = kept(row)
		variants = append(variants, variant{row: row})
		size += rowSize(row)
		return &variants[last]
	}
	var more rest
	take := func(c *cursor, side string, count func(row store.Row) error) error {
		for again := true; again; {
			if err := count(c.row); err != nil {
				return err
			}
			again = c.repeats
			if err := c.advance(); err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
		}
		return nil
	}
	ofSource := func(row store.Row) error {
		v := find(row)
		if v == nil {
			return unsupported(fmt.Sprintf("too many different rows of the source share the key %s: more than %s, or %d MiB",
				store.FormatCells(m.cells(m.table.Source.Columns, m.table.plain(row), m.table.Key)), text.Count(maxVariants), maxVariantBytes>>20))
		}
		v.source++
		return nil
	}
	var err error
	if both {
		err = take(source, "source", ofSource)
	}
	if err == nil {
		err = take(mirror, "mirror", func(row store.Row) error {
			if v := find(row); v != nil {
				v.mirror++
			} else {
				more.add(m, row)
			}
			return nil
		})
	}
	if err == nil {
		surplus := Duplicate
		if !both || m.table.Keyless {
			surplus = Extra
		}
		m.match(variants, &more, surplus)
	}
	return err
}

// rest are rows of the mirror that a group had no room for.
type rest struct {
	row  store.Row // one of them
	rows int64
	sum  [16]byte // of all, in any order
}

func (r *rest) add(m *merge, row store.Row) {
	sum, _ := hex.DecodeString(m.sum(Duplicate, nil, m.table.plain(row)))
	carry := uint16(0)
	for i := range r.sum {
		carry += uint16(r.sum[i]) + uint16(sum[i])
		r.sum[i] = byte(carry)
		carry >>= 8
	}
	if r.rows++; r.row == nil {
		r.row = kept(row)
	}
}

// unsupported is an error that says all by itself.
type unsupported string

func (u unsupported) Error() string { return string(u) }

func (u unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// match counts what is left of a group when equal rows are taken away. With a
// key, a row left on either side is a changed row; without one, two rows that
// differ have nothing to do with each other. Surplus is what rows of the mirror
// are then.
func (m *merge) match(variants []variant, more *rest, surplus Kind) {
	var left, right []variant
	for _, v := range variants {
		switch n := v.source - v.mirror; {
		case n > 0:
			left = append(left, variant{row: v.row, source: n})
		case n < 0:
			right = append(right, variant{row: v.row, mirror: -n})
		}
	}
	for !m.table.Keyless && len(left) > 0 && len(right) > 0 {
		n := min(left[0].source, right[0].mirror)
		m.differ(Changed, left[0].row, right[0].row, n)
		if left[0].source -= n; left[0].source == 0 {
			left = left[1:]
		}
		if right[0].mirror -= n; right[0].mirror == 0 {
			right = right[1:]
		}
	}
	for _, v := range left {
		if n := min(v.source, more.rows); n > 0 && !m.table.Keyless {
			m.differ(Changed, v.row, more.row, n)
			v.source, more.rows = v.source-n, more.rows-n
		}
		if v.source > 0 {
			m.differ(Missing, v.row, nil, v.source)
		}
	}
	for _, v := range right {
		m.differ(surplus, nil, v.row, v.mirror)
	}
	if more.rows == 0 {
		return
	}
	kept := len(m.found.Keys)
	m.differ(surplus, nil, more.row, more.rows)
	if len(m.found.Keys) > kept {
		m.found.Keys[kept].Sum = hex.EncodeToString(more.sum[:])
	}
}
