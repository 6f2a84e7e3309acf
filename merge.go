package mirror

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/text"
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
}

// readAhead is how many batches of one side are held at the same time.
const readAhead = 3

// batch is a copy of a Source's batch. Only the slices and the values of type
// []byte are copied: strings cannot change, and numbers are values. A []byte
// becomes a *[]byte, which an interface holds without an allocation; nothing
// but a merge sees it (see unboxed).
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

// unboxed returns a row of a batch as a Source delivers it. Its bytes are still
// those of the batch.
func unboxed(r store.Row) store.Row {
	if r == nil {
		return nil
	}
	plain := make(store.Row, len(r))
	for i, v := range r {
		plain[i] = unbox(v)
	}
	return plain
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

// cells returns the key of a row for people.
func (c *cursor) cells(row store.Row) string {
	cells := make([]store.Cell, min(len(c.key), len(row)))
	for i := range cells {
		cells[i] = store.NewCell(c.key[i], unbox(row[i]))
	}
	return store.FormatCells(cells)
}

// merge walks two cursors in key order and counts what differs.
type merge struct {
	plan       tablePlan
	maxSamples int
	keep       func() bool          // takes a place for a key in the report
	room       func(bytes int) bool // takes room for a sample or a key in the report
	found      findings

	// stop is asked before each key whether to end there. The key that
	// the walk would have gone on with is then next.
	stop func(rows int64) bool
	next store.Row

	classifies bool
	open       []openDifference // to be classified
	openBytes  int

	compared []int                          // columns to compare in rows with equal keys
	equal    []func(a, b driver.Value) bool // by column; nil is equalPlain

	orderSource, orderMirror, orderBoth func(a, b store.Row) int
}

// openDifference is a difference whose state is not known yet.
type openDifference struct {
	kind   DiffKind
	key    store.Row
	rows   int64
	sample int // index in findings.Samples, or -1
	kept   int // index in findings.Keys, or -1
}

func newMerge(plan tablePlan, maxSamples int) *merge {
	n := len(plan.source)
	m := &merge{plan: plan, maxSamples: maxSamples, equal: make([]func(a, b driver.Value) bool, n)}
	m.found.Columns = make([]int64, n)
	for i := range plan.source {
		ts, tm := plan.source[i].Type, plan.mirror[i].Type
		switch k := ts.Kind(); {
		case k == store.KindDecimal || k == store.KindGUID || k == store.KindBytes || k == store.KindAny:
			m.equal[i] = equalBoxed(k)
		case k == store.KindTimeOffset || store.IsTime(ts) && ts != tm:
			m.equal[i] = store.EqualFunc(ts, tm)
		}
		if i >= plan.key || plan.anyValue || !store.OrderDecides(ts, tm) {
			m.compared = append(m.compared, i)
		}
	}
	source, mirror := plan.source[:plan.key], plan.mirror[:plan.key]
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
func equalBoxed(k store.Kind) func(a, b driver.Value) bool {
	return func(a, b driver.Value) bool {
		x, ok := bytesOf(a)
		y, also := bytesOf(b)
		if ok && also {
			return store.CompareBytes(k, x, y) == 0
		}
		return !ok && !also && store.SameValue(a, b)
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
		if n == 0 && (source.repeats || mirror.repeats) {
			if err := m.group(source, mirror); err != nil {
				return err
			}
			continue
		}
		switch {
		case n < 0:
			m.differ(DiffMissing, source.row, nil, 1)
		case n > 0:
			m.differ(DiffExtra, nil, mirror.row, 1)
		case m.sameRow(source.row, mirror.row):
		case m.plan.keyless: // two rows that only the order cannot tell apart
			m.differ(DiffMissing, source.row, nil, 1)
			m.differ(DiffExtra, nil, mirror.row, 1)
		default:
			m.differ(DiffChanged, source.row, mirror.row, 1)
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

// nextKey returns a copy of the lesser of the current keys, the first by which
// nothing is decided yet.
func (m *merge) nextKey(source, mirror *cursor) store.Row {
	if !source.ok || mirror.ok && m.orderBoth(source.row, mirror.row) > 0 {
		return unboxed(mirror.row[:m.plan.key]).Clone()
	}
	return unboxed(source.row[:m.plan.key]).Clone()
}

// restart forgets what was found, and goes on from the current keys.
func (m *merge) restart(source, mirror *cursor) {
	m.maxSamples -= len(m.found.Samples)
	m.found = findings{Columns: make([]int64, len(m.plan.source))}
	source.rows, mirror.rows = source.rows-source.decided(), mirror.rows-mirror.decided()
}

// count takes over how many rows of either side are decided.
func (m *merge) count(source, mirror *cursor) {
	m.found.SourceRows, m.found.MirrorRows = source.decided(), mirror.decided()
}

// measure takes the size of the first rows of the source: of text and binary
// values their bytes, of others 8.
func (m *merge) measure(source *cursor) {
	if source.batch == nil {
		return
	}
	for _, row := range source.batch.rows {
		m.found.Sampled++
		m.found.Bytes += int64(rowSize(row) - 8*len(row))
	}
}

// decided is the number of rows before the current one.
func (c *cursor) decided() int64 {
	if c.ok {
		return c.rows - 1
	}
	return c.rows
}

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

// group matches the rows of both sides that share the current key. Rows of the
// mirror beyond the bounds that equal none of the source's are only counted.
func (m *merge) group(source, mirror *cursor) error {
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
		row = unboxed(row).Clone()
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
	err := take(source, "source", func(row store.Row) error {
		v := find(row)
		if v == nil {
			return unsupported(fmt.Sprintf("too many different rows of the source share the key %s: more than %s, or %d MiB",
				store.FormatCells(m.cells(m.plan.source, unboxed(row), m.plan.key)), text.Count(maxVariants), maxVariantBytes>>20))
		}
		v.source++
		return nil
	})
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
		m.match(variants, &more)
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
	row = unboxed(row)
	sum, _ := hex.DecodeString(m.sum(DiffDuplicate, nil, row))
	carry := uint16(0)
	for i := range r.sum {
		carry += uint16(r.sum[i]) + uint16(sum[i])
		r.sum[i] = byte(carry)
		carry >>= 8
	}
	if r.rows++; r.row == nil {
		r.row = row.Clone()
	}
}

// unsupported is an error that says all by itself.
type unsupported string

func (u unsupported) Error() string        { return string(u) }
func (u unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// match counts what is left of a group when equal rows are taken away. With a
// key, a row left on either side is a changed row; without one, two rows that
// differ have nothing to do with each other.
func (m *merge) match(variants []variant, more *rest) {
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
		m.differ(DiffChanged, left[0].row, right[0].row, n)
		if left[0].source -= n; left[0].source == 0 {
			left = left[1:]
		}
		if right[0].mirror -= n; right[0].mirror == 0 {
			right = right[1:]
		}
	}
	for _, v := range left {
		if n := min(v.source, more.rows); n > 0 && !m.plan.keyless {
			m.differ(DiffChanged, v.row, more.row, n)
			v.source, more.rows = v.source-n, more.rows-n
		}
		if v.source > 0 {
			m.differ(DiffMissing, v.row, nil, v.source)
		}
	}
	for _, v := range right {
		kind := DiffDuplicate
		if m.plan.keyless {
			kind = DiffExtra
		}
		m.differ(kind, nil, v.row, v.mirror)
	}
	if more.rows == 0 {
		return
	}
	kept := len(m.found.Keys)
	kind := DiffDuplicate
	if m.plan.keyless {
		kind = DiffExtra
	}
	m.differ(kind, nil, more.row, more.rows)
	if len(m.found.Keys) > kept {
		m.found.Keys[kept].Sum = hex.EncodeToString(more.sum[:])
	}
}

// differ counts n differing rows: source is nil for rows of the mirror alone,
// mirror for rows of the source alone.
func (m *merge) differ(kind DiffKind, source, mirror store.Row, n int64) {
	cols, row := m.plan.source, source
	if source == nil {
		cols, row = m.plan.mirror, mirror
	}
	*m.found.count(kind) += n
	wanted := len(m.found.Samples) < m.maxSamples
	var columns []ChangedColumn
	if kind == DiffChanged {
		for _, i := range m.compared {
			if m.sameValue(i, source, mirror) {
				continue
			}
			m.found.Columns[i] += n
			if wanted {
				columns = append(columns, ChangedColumn{
					Column: m.plan.source[i].Name,
					Source: cut(store.NewCell(m.plan.source[i], unbox(source[i]))),
					Mirror: cut(store.NewCell(m.plan.mirror[i], unbox(mirror[i]))),
				})
			}
		}
	}
	if !wanted && (m.keep == nil || m.plan.keyless) && !m.classifies {
		return // nothing but the counts
	}
	source, mirror, row = unboxed(source), unboxed(mirror), unboxed(row)
	open := openDifference{kind: kind, rows: n, sample: -1, kept: -1}
	sum := ""
	if (wanted || m.keep != nil) && !m.plan.keyless {
		sum = m.sum(kind, source, mirror)
	}
	if wanted {
		open.sample = len(m.found.Samples)
		s := Sample{Kind: kind, Key: m.cells(cols, row, m.plan.key), Rows: n, Columns: columns, Sum: sum}
		if m.room(s.size()) {
			m.found.Samples = append(m.found.Samples, s)
		} else {
			open.sample, m.maxSamples = -1, 0
		}
	}
	if m.plan.keyless {
		return
	}
	switch {
	case m.keep == nil:
	case m.room(rowSize(row[:m.plan.key])) && m.keep():
		open.kept = len(m.found.Keys)
		key := make([]store.Cell, m.plan.key)
		for i := range key {
			key[i] = copied(store.NewCell(cols[i], row[i]))
		}
		m.found.Keys = append(m.found.Keys, Difference{Kind: kind, Key: key, Rows: n, Sum: sum})
	default:
		m.keep = nil
	}
	if m.classifies {
		open.key = row[:m.plan.key].Clone()
		m.open = append(m.open, open)
		m.openBytes += rowSize(open.key)
	}
}

// sum identifies a difference by the values of both rows.
func (m *merge) sum(kind DiffKind, source, mirror store.Row) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s", kind)
	for i, row := range []store.Row{source, mirror} {
		fmt.Fprintf(h, "|%d", i)
		for _, v := range row {
			writeValue(h, v)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// cells returns the first n values of a row, cut to what a sample may hold.
func (m *merge) cells(cols []store.Column, row store.Row, n int) []store.Cell {
	cells := make([]store.Cell, n)
	for i := range cells {
		cells[i] = cut(store.NewCell(cols[i], row[i]))
	}
	return cells
}

func rowSize(row store.Row) int {
	size := 16 * len(row)
	for _, v := range row {
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case *[]byte:
			size += len(*v)
		}
	}
	return size
}

// maxSampleValue bounds what a sample keeps of a value, in bytes.
const maxSampleValue = 1024

// cut returns the cell with a copy of its value that a sample may keep.
func cut(c store.Cell) store.Cell {
	switch v := c.Value.(type) {
	case string:
		if len(v) > maxSampleValue {
			// Half a surrogate pair is no UTF-8, and the difference may be there.
			n := maxSampleValue
			for n > maxSampleValue-utf8.UTFMax && !utf8.RuneStart(v[n]) {
				n--
			}
			c.Value, c.Size = strings.Clone(v[:n]), len(v)
		}
	case []byte:
		if len(v) > maxSampleValue {
			c.Size = len(v)
		}
		c.Value = slices.Clone(v[:min(len(v), maxSampleValue)])
		if len(v) == 0 {
			c.Value = []byte{}
		}
	}
	return c
}

// copied returns the cell with a copy of its value.
func copied(c store.Cell) store.Cell {
	if b, ok := c.Value.([]byte); ok {
		c.Value = append(make([]byte, 0, len(b)), b...)
	}
	return c
}
