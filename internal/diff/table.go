package diff

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror/store"
)

// Table says how the rows of a table are compared.
type Table struct {
	Source, Mirror Side

	// Key is how many of the columns are the key. Keyless says that the table
	// has none and the key is all columns.
	Key     int
	Keyless bool

	// Ranged says that a key means the same place on both sides, so that ranges
	// of keys can be compared, digested and continued by themselves.
	Ranged bool

	// AnyValue says that a value need not be of its column's type.
	AnyValue bool

	// MaxDifferences ends the comparison with ErrEnough after so many rows that
	// differ and are not pending; 0 is no limit.
	MaxDifferences int64

	// Settler returns what settles the differences of one range of keys. It is
	// asked before the range is read. Nil leaves all of them Unknown.
	Settler func() Settler

	// Differs is told of each difference and how many rows have it, by several
	// goroutines. The rows are those of either side, nil where there is none, and
	// valid until it returns. Nil: nobody asks.
	Differs func(kind Kind, source, mirror store.Row, rows int64)

	// Progress is told how many rows of the source are compared so far, by
	// several goroutines; nil: nobody asks.
	Progress func(rows int64)

	decode []func(stored driver.Value) driver.Value // by column; see decoders
}

// Side is one side of a table with the columns to compare, those of the key
// first. Both sides have as many, in the same order.
type Side struct {
	Table   store.Table
	Columns []store.Column
}

// Settler finds out what becomes of differences.
type Settler interface {
	// Settle gives those of open whose state it finds out that state, by
	// Findings.Settle. No rows are being read meanwhile. Its errors end the
	// comparison.
	Settle(ctx context.Context, found *Findings, open []Open) error
}

// Order is the order of the source's keys.
func (t *Table) Order(a, b store.Row) int { return store.CompareKeys(t.Source.Columns[:t.Key], a, b) }

// query reads the rows of a side from one key to before another.
func (t *Table) query(s Side, from, before store.Row) store.Query {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	return store.Query{Table: s.Table, Columns: names, Key: names[:t.Key], From: from, Before: before}
}

// KeyCells returns a key with the names of its columns, nil for no key.
func (t *Table) KeyCells(key store.Row) []store.Cell {
	if key == nil {
		return nil
	}
	cells := make([]store.Cell, len(key))
	for i, v := range key {
		cells[i] = store.NewCell(t.Source.Columns[i], v)
	}
	return cells
}

var errNotAKey = errors.New("not a key of the table")

// KeyOf returns the key that cells spell, nil for none. Those of another table,
// or of one whose key was another, are an error.
func (t *Table) KeyOf(cells []store.Cell) (store.Row, error) {
	if cells == nil {
		return nil, nil
	}
	if len(cells) != t.Key {
		return nil, errNotAKey
	}
	key := make(store.Row, t.Key)
	for i, c := range cells {
		col := t.Source.Columns[i]
		if store.FoldName(c.Column) != store.FoldName(col.Name) || c.Value == nil {
			return nil, errNotAKey
		}
		v, err := store.StoredValue(col.Type, c.Value)
		if !t.AnyValue {
			_, err = store.Normalize(col.Type, c.Value)
		}
		if err != nil {
			return nil, errNotAKey
		}
		key[i] = v
	}
	return key, nil
}

// bytesColumns returns the columns whose values are []byte, or may be.
func (t *Table) bytesColumns(s Side) []int {
	var at []int
	for i, c := range s.Columns {
		switch c.Type.Kind() {
		case store.KindBytes, store.KindDecimal, store.KindGUID, store.KindAny:
			at = append(at, i)
		default:
			if t.decoder(i) != nil {
				at = append(at, i)
			}
		}
	}
	return at
}

// Unranged says for people why the table is not Ranged.
func (t *Table) Unranged() string {
	if t.Keyless {
		return "the table has no primary key"
	}
	for i, s := range t.Source.Columns[:t.Key] {
		m := t.Mirror.Columns[i]
		switch {
		case s.Nullable || m.Nullable:
			return fmt.Sprintf("column %s of the key may be NULL", s.Name)
		case s.Type != m.Type:
			return fmt.Sprintf("column %s of the key is %s at the source and %s in the mirror", s.Name, s.Type, m.Type)
		}
	}
	return "the table has no key by which single rows can be read"
}
