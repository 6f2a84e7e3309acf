package mirror

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

// cursor reads one side of a comparison, row by row. Its own goroutine reads
// ahead by a few batches, so that neither side waits for the other or for the
// comparing.
type cursor struct {
	order   func(a, b Row) int
	bytes   []int            // columns whose values are []byte
	onBatch func(rows int64) // nil: nobody asks

	full, free chan *batch
	err        error // why full was closed; nil at the end of the rows

	batch, ahead *batch // ahead is the batch after batch, once it was needed
	at           int    // where in batch the row after row is
	ended        bool   // there is no batch after batch and ahead
	row          Row
	ok           bool // row is one
	rows         int64
}

// readAhead is how many batches of one side are held at the same time.
const readAhead = 3

// batch is a copy of a Source's batch. Only the slices and the values of type
// []byte are copied: strings cannot change, and numbers are values.
type batch struct {
	rows   []Row
	values Row
	bytes  []byte
}

func (b *batch) fill(rows []Row, bytes []int) {
	width := len(rows[0])
	if need := len(rows) * width; cap(b.values) < need {
		b.values = make(Row, need)
	}
	b.rows, b.bytes = b.rows[:0], b.bytes[:0]
	values := b.values[:cap(b.values)]
	for _, row := range rows {
		copied := values[:width:width]
		values = values[width:]
		copy(copied, row)
		for _, i := range bytes {
			if v, ok := row[i].([]byte); ok {
				start := len(b.bytes)
				b.bytes = append(b.bytes, v...)
				copied[i] = b.bytes[start:len(b.bytes):len(b.bytes)]
			}
		}
		b.rows = append(b.rows, copied)
	}
}

// start begins reading and returns when the first row is there.
func (c *cursor) start(ctx context.Context, readers *sync.WaitGroup, src Source, q Query) error {
	c.full = make(chan *batch, readAhead)
	c.free = make(chan *batch, readAhead)
	for range readAhead {
		c.free <- new(batch)
	}
	readers.Go(func() {
		defer close(c.full)
		defer func() {
			// A Source that panics fails its table, not the whole service.
			if v := recover(); v != nil {
				c.err = fmt.Errorf("panic: %v", v)
			}
		}()
		c.err = c.read(ctx, src, q)
	})
	return c.advance()
}

func (c *cursor) read(ctx context.Context, src Source, q Query) error {
	for rows, err := range src.Rows(ctx, q) {
		if err != nil {
			return err
		}
		if len(rows) == 0 || len(rows[0]) != len(q.Columns) {
			return fmt.Errorf("a batch has no rows, or rows without the %d columns asked for", len(q.Columns))
		}
		select {
		case b := <-c.free:
			b.fill(rows, c.bytes)
			c.full <- b // there is room for every batch that is not free
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// look returns the row after the current one, nil at the end.
func (c *cursor) look() (Row, error) {
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
		if c.onBatch != nil {
			c.onBatch(c.rows)
		}
	}
	if c.ahead == nil {
		return nil, c.err
	}
	return c.ahead.rows[0], nil
}

// advance moves to the next row.
func (c *cursor) advance() error {
	if _, err := c.repeats(); err != nil { // checks the order
		return err
	}
	row, err := c.look()
	if err != nil || row == nil {
		c.row, c.ok = nil, false
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
	return nil
}

// repeats reports whether the row after the current one has the same key.
func (c *cursor) repeats() (bool, error) {
	if !c.ok {
		return false, nil
	}
	next, err := c.look()
	if err != nil || next == nil {
		return false, err
	}
	n := c.order(c.row, next)
	if n > 0 {
		return false, fmt.Errorf("%w: row %d", ErrOrder, c.rows+1)
	}
	return n == 0, nil
}

// merge walks two cursors in key order and counts what differs.
type merge struct {
	plan       tablePlan
	tr         *TableReport
	maxSamples int

	compared []int                          // columns to compare in rows with equal keys
	equal    []func(a, b driver.Value) bool // by column; nil is equalPlain
	changed  []int64                        // by column, how many rows differ in it
}

func newMerge(plan tablePlan, tr *TableReport, maxSamples int) *merge {
	n := len(plan.source)
	m := &merge{plan: plan, tr: tr, maxSamples: maxSamples, equal: make([]func(a, b driver.Value) bool, n), changed: make([]int64, n)}
	for i := range plan.source {
		ts, tm := plan.source[i].Type, plan.mirror[i].Type
		if k := ts.Kind(); k == KindDecimal || k == KindTimeOffset || isTime(ts) && ts != tm {
			m.equal[i] = equalFunc(ts, tm)
		}
		if i >= plan.key || !orderImpliesEqual(ts, tm) {
			m.compared = append(m.compared, i)
		}
	}
	return m
}

func (m *merge) orderSource(a, b Row) int { return CompareKeys(m.plan.source[:m.plan.key], a, b) }
func (m *merge) orderMirror(a, b Row) int { return CompareKeys(m.plan.mirror[:m.plan.key], a, b) }

// orderBoth compares a key of the source with a key of the mirror.
func (m *merge) orderBoth(source, mirror Row) int {
	for i := range m.plan.key {
		if n := orderValues(m.plan.source[i].Type, m.plan.mirror[i].Type, source[i], mirror[i]); n != 0 {
			return n
		}
	}
	return 0
}

// sameValue compares one column of two rows.
func (m *merge) sameValue(i int, a, b Row) bool {
	if eq := m.equal[i]; eq != nil {
		return eq(a[i], b[i])
	}
	return equalPlain(a[i], b[i])
}

func (m *merge) sameRow(a, b Row) bool {
	for _, i := range m.compared {
		if !m.sameValue(i, a, b) {
			return false
		}
	}
	return true
}

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
		if n == 0 {
			grouped, err := m.grouped(source, mirror)
			if err != nil {
				return err
			}
			if grouped {
				if err := m.group(source, mirror); err != nil {
					return err
				}
				continue
			}
		}
		switch {
		case n < 0:
			m.missing(source.row, 1)
		case n > 0:
			m.extra(mirror.row, 1)
		case m.sameRow(source.row, mirror.row):
		case m.plan.keyless: // two rows that only the order cannot tell apart
			m.missing(source.row, 1)
			m.extra(mirror.row, 1)
		default:
			m.change(source.row, mirror.row, 1)
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
	for i, n := range m.changed {
		if n > 0 {
			m.tr.ChangedColumns = append(m.tr.ChangedColumns, ColumnCount{Column: m.plan.source[i].Name, Rows: n})
		}
	}
	return nil
}

// grouped reports whether the current key stands in several rows of a side.
func (m *merge) grouped(source, mirror *cursor) (bool, error) {
	repeats, err := source.repeats()
	if err != nil {
		return false, fmt.Errorf("source: %w", err)
	}
	also, err := mirror.repeats()
	if err != nil {
		return false, fmt.Errorf("mirror: %w", err)
	}
	return repeats || also, nil
}

// A group of rows with one key is matched exactly as long as its distinct rows
// fit into these bounds.
const (
	maxVariants     = 1000
	maxVariantBytes = 8 << 20
)

// variant is a distinct row of a group and how often either side has it.
type variant struct {
	row            Row
	source, mirror int64
}

// group matches the rows of both sides that share the current key.
func (m *merge) group(source, mirror *cursor) error {
	var variants []variant
	size, last := 0, 0
	find := func(row Row) (*variant, error) {
		if last < len(variants) && m.sameRow(variants[last].row, row) {
			return &variants[last], nil
		}
		for i := range variants {
			if m.sameRow(variants[i].row, row) {
				last = i
				return &variants[i], nil
			}
		}
		last = len(variants)
		variants = append(variants, variant{row: row.Clone()})
		size += rowSize(row)
		if len(variants) > maxVariants || size > maxVariantBytes {
			return nil, fmt.Errorf("too many different rows share the key %s: %w",
				formatCells(m.cells(m.plan.source, row, m.plan.key)), errors.ErrUnsupported)
		}
		return &variants[last], nil
	}
	take := func(c *cursor, side string, count func(*variant) *int64) error {
		for more := true; more; {
			v, err := find(c.row)
			if err != nil {
				return err
			}
			*count(v)++
			if more, err = c.repeats(); err == nil {
				err = c.advance()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
		}
		return nil
	}
	if err := take(source, "source", func(v *variant) *int64 { return &v.source }); err != nil {
		return err
	}
	if err := take(mirror, "mirror", func(v *variant) *int64 { return &v.mirror }); err != nil {
		return err
	}
	m.match(variants)
	return nil
}

// match counts what is left of a group when equal rows are taken away. With a
// key, a row left on either side is a changed row; without one, two rows that
// differ have nothing to do with each other.
func (m *merge) match(variants []variant) {
	var left, right []variant
	for _, v := range variants {
		switch n := v.source - v.mirror; {
		case n > 0:
			left = append(left, variant{row: v.row, source: n})
		case n < 0:
			right = append(right, variant{row: v.row, mirror: -n})
		}
	}
	for !m.plan.keyless && len(left) > 0 && len(right) > 0 {
		n := min(left[0].source, right[0].mirror)
		m.change(left[0].row, right[0].row, n)
		if left[0].source -= n; left[0].source == 0 {
			left = left[1:]
		}
		if right[0].mirror -= n; right[0].mirror == 0 {
			right = right[1:]
		}
	}
	for _, v := range left {
		m.missing(v.row, v.source)
	}
	for _, v := range right {
		if m.plan.keyless {
			m.extra(v.row, v.mirror)
			continue
		}
		m.tr.Duplicate += v.mirror
		m.sample(Sample{Kind: DiffDuplicate, Key: m.cells(m.plan.mirror, v.row, m.plan.key)}, v.mirror)
	}
}

func (m *merge) missing(row Row, n int64) {
	m.tr.Missing += n
	if m.wanted() {
		m.sample(Sample{Kind: DiffMissing, Key: m.cells(m.plan.source, row, m.plan.key)}, n)
	}
}

func (m *merge) extra(row Row, n int64) {
	m.tr.Extra += n
	if m.wanted() {
		m.sample(Sample{Kind: DiffExtra, Key: m.cells(m.plan.mirror, row, m.plan.key)}, n)
	}
}

func (m *merge) change(source, mirror Row, n int64) {
	m.tr.Changed += n
	wanted := m.wanted()
	var columns []ChangedColumn
	for _, i := range m.compared {
		if m.sameValue(i, source, mirror) {
			continue
		}
		m.changed[i] += n
		if wanted {
			columns = append(columns, ChangedColumn{
				Column: m.plan.source[i].Name,
				Source: newCell(m.plan.source[i], source[i]).cut(),
				Mirror: newCell(m.plan.mirror[i], mirror[i]).cut(),
			})
		}
	}
	if wanted {
		m.sample(Sample{Kind: DiffChanged, Key: m.cells(m.plan.source, source, m.plan.key), Columns: columns}, n)
	}
}

func (m *merge) wanted() bool { return len(m.tr.Samples) < m.maxSamples }

func (m *merge) sample(s Sample, n int64) {
	if m.wanted() {
		s.Rows = n
		m.tr.Samples = append(m.tr.Samples, s)
	}
}

// cells returns the first n values of a row, cut to what a sample may hold.
func (m *merge) cells(cols []Column, row Row, n int) []Cell {
	cells := make([]Cell, n)
	for i := range cells {
		cells[i] = newCell(cols[i], row[i]).cut()
	}
	return cells
}

func rowSize(row Row) int {
	size := 16 * len(row)
	for _, v := range row {
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	return size
}
