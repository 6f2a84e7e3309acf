package diff

import (
	"bytes"
	"database/sql/driver"

	"github.com/so-mirror/mirror/store"
)

// decoders returns, by column, what decodes the values of those that both sides
// deliver as they are stored, nil for the others. What both store alike is equal,
// so that only values that differ are decoded.
func decoders(t *Table, source, mirror store.Source) []func(driver.Value) driver.Value {
	s, ok := source.(store.Decoder)
	m, also := mirror.(store.Decoder)
	if !ok || !also || s.StoredForm() == "" || s.StoredForm() != m.StoredForm() {
		return nil
	}
	decode := make([]func(driver.Value) driver.Value, len(t.Source.Columns))
	for i := t.Key; i < len(decode); i++ {
		if typ := t.Source.Columns[i].Type; typ == t.Mirror.Columns[i].Type {
			decode[i] = s.Decoder(typ)
		}
	}
	return decode
}

// decoder returns what decodes the values of a column, nil when they need none.
func (t *Table) decoder(i int) func(driver.Value) driver.Value {
	if t.decode == nil {
		return nil
	}
	return t.decode[i]
}

// stored asks for the columns with a decoder as they are stored.
func (t *Table) stored(q store.Query) store.Query {
	for i, name := range q.Columns {
		if t.decoder(i) != nil {
			q.Stored = append(q.Stored, name)
		}
	}
	return q
}

// plainValue returns a value of a batch as a Source delivers it to others.
func (t *Table) plainValue(i int, v driver.Value) driver.Value {
	v = unbox(v)
	if decode := t.decoder(i); decode != nil && v != nil {
		v = decode(v)
	}
	return v
}

// plain returns a row of a batch, or the first values of one, as a Source delivers
// it to others. Its bytes may still be those of the batch.
func (t *Table) plain(r store.Row) store.Row {
	if r == nil {
		return nil
	}
	plain := make(store.Row, len(r))
	for i, v := range r {
		plain[i] = t.plainValue(i, v)
	}
	return plain
}

// equalDecoded is the equality of a column with a decoder. Texts and numbers that
// are stored alike do not come here: see sameRow.
func (m *merge) equalDecoded(i int) func(a, b driver.Value) bool {
	equal := store.EqualFunc(m.table.Source.Columns[i].Type, m.table.Mirror.Columns[i].Type)
	return func(a, b driver.Value) bool {
		x, ok := bytesOf(a)
		y, also := bytesOf(b)
		if ok && also && bytes.Equal(x, y) {
			return true
		}
		return equal(m.table.plainValue(i, a), m.table.plainValue(i, b))
	}
}
