package diff

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"sync"

	"github.com/so-mirror/mirror/store"
)

// cursor reads one side of a comparison, row by row. Its own goroutine reads
// ahead by a few batches, so that neither side waits for the other or for the
// comparing.
type cursor struct {
	key     []store.Column
	order   func(a, b store.Row) int
	bytes   []int                                       // columns whose values are []byte
	onBatch func(ctx context.Context, rows int64) error // of each batch that was read; nil: nobody asks

	full, free chan *batch
	err        error // why full was closed; nil at the end of the rows

	batch, ahead *batch // ahead is the batch after batch, once it was needed
	at           int    // where in batch the row after row is
	ended        bool   // there is no batch after batch and ahead
	row          store.Row
	ok           bool // row is one
	repeats      bool // the row after it has the same key
	rows         int64

	first, last store.Row // keys of the first row, and of the last that was come to
}

// readAhead is how many batches of one side are held at the same time.
const readAhead = 3

// batch is a copy of a Source's batch. Only the slices and the values of type
// []byte are copied: strings cannot change, and numbers are values. A []byte
// becomes a *[]byte, which an interface holds without an allocation; nothing
// but a merge sees it (see [Table.plain]).
type batch struct {
	rows   []store.Row
	values store.Row
	bytes  []byte
	heads  [][]byte
}

func (b *batch) fill(rows []store.Row, bytes []int) {
	width := len(rows[0])
	if need := len(rows) * width; cap(b.values) < need {
		b.values = make(store.Row, need)
	}
	if need := len(rows) * len(bytes); cap(b.heads) < need {
		b.heads = make([][]byte, 0, need)
	}
	b.rows, b.bytes, b.heads = b.rows[:0], b.bytes[:0], b.heads[:0]
	values := b.values[:cap(b.values)]
	for _, row := range rows {
		copied := values[:width:width]
		values = values[width:]
		copy(copied, row)
		for _, i := range bytes {
			if v, ok := row[i].([]byte); ok {
				start := len(b.bytes)
				b.bytes = append(b.bytes, v...)
				b.heads = append(b.heads, b.bytes[start:len(b.bytes):len(b.bytes)])
				copied[i] = &b.heads[len(b.heads)-1]
			}
		}
		b.rows = append(b.rows, copied)
	}
}

// boxedBytes returns the bytes of a value of a batch.
func boxedBytes(v driver.Value) (b []byte, ok bool) {
	p, ok := v.(*[]byte)
	if !ok {
		return nil, false
	}
	return *p, true
}

// bytesOf returns the bytes of a value, be it of a batch or not.
func bytesOf(v driver.Value) ([]byte, bool) {
	if b, ok := boxedBytes(v); ok {
		return b, true
	}
	b, ok := v.([]byte)
	return b, ok
}

// unbox returns a value of a batch as a Source delivers it.
func unbox(v driver.Value) driver.Value {
	if b, ok := boxedBytes(v); ok {
		return b
	}
	return v
}

// kept returns a copy of a row of a batch that stays what it is.
func kept(r store.Row) store.Row {
	row := slices.Clone(r)
	for i, v := range r {
		if b, ok := bytesOf(v); ok {
			copied := append(make([]byte, 0, len(b)), b...)
			row[i] = &copied
		}
	}
	return row
}

// start begins reading and returns when the first row is there.
func (c *cursor) start(ctx context.Context, readers *sync.WaitGroup, src store.Source, q store.Query) error {
	c.full = make(chan *batch, readAhead)
	c.free = make(chan *batch, readAhead)
	for range readAhead {
		c.free <- new(batch)
	}
	readers.Go(func() {
		defer close(c.full)
		c.err = Guard(func() error { return c.read(ctx, src, q) })
	})
	return c.advance()
}

func (c *cursor) read(ctx context.Context, src store.Source, q store.Query) error {
	keeps := store.KeepsBatches(src, readAhead)
	for rows, err := range src.Rows(ctx, q) {
		if err != nil {
			return err
		}
		if len(rows) == 0 || len(rows[0]) != len(q.Columns) {
			return fmt.Errorf("a batch has no rows, or rows without the %d columns asked for", len(q.Columns))
		}
		if i := slices.IndexFunc(rows, func(r store.Row) bool { return len(r) != len(rows[0]) }); i >= 0 {
			return fmt.Errorf("row %d of a batch has %d values, not %d", i+1, len(rows[i]), len(rows[0]))
		}
		if c.onBatch != nil {
			if err := c.onBatch(ctx, int64(len(rows))); err != nil {
				return err
			}
		}
		select {
		case b := <-c.free:
			if keeps {
				b.rows = rows
			} else {
				b.fill(rows, c.bytes)
			}
			c.full <- b // there is room for every batch that is not free
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// peek returns the row after the current one, nil at the end.
func (c *cursor) peek() (store.Row, error) {
	if c.batch != nil && c.at < len(c.batch.rows) {
		return c.batch.rows[c.at], nil
	}
	if c.ahead == nil && !c.ended {
		b, ok := <-c.full
		if !ok {
			c.ended = true
			return nil, c.err
		}
		c.ahead = b
	}
	if c.ahead == nil {
		return nil, c.err
	}
	return c.ahead.rows[0], nil
}

// advance moves to the next row, and looks at the one behind it: whether it is
// in order and whether it repeats the key.
func (c *cursor) advance() error {
	row, err := c.peek()
	if err != nil || row == nil {
		c.row, c.ok, c.repeats = nil, false, false
		return err
	}
	if c.ahead != nil {
		if c.batch != nil {
			c.free <- c.batch
		}
		c.batch, c.ahead, c.at = c.ahead, nil, 0
	}
	c.row, c.ok = row, true
	c.at++
	c.rows++
	next, err := c.peek()
	if err != nil || next == nil {
		c.repeats = false
		return err
	}
	n := c.order(row, next)
	if n > 0 {
		return fmt.Errorf("%w: row %d: %s after %s", store.ErrOrder, c.rows+1, c.cells(next), c.cells(row))
	}
	c.repeats = n == 0
	return nil
}

// note keeps the key of the current row, or of the last one.
func (c *cursor) note(key *store.Row) {
	row := c.row
	if !c.ok {
		if c.batch == nil {
			return
		}
		row = c.batch.rows[len(c.batch.rows)-1]
	}
	kept := make(store.Row, len(c.key))
	for i := range kept {
		kept[i] = copied(store.Cell{Value: unbox(row[i])}).Value
	}
	*key = kept
}

// cells returns the key of a row for people.
func (c *cursor) cells(row store.Row) string {
	cells := make([]store.Cell, min(len(c.key), len(row)))
	for i := range cells {
		cells[i] = store.NewCell(c.key[i], unbox(row[i]))
	}
	return store.FormatCells(cells)
}

// decided is the number of rows before the current one.
func (c *cursor) decided() int64 {
	if c.ok {
		return c.rows - 1
	}
	return c.rows
}
