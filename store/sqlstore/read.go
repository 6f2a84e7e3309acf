package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

const (
	// batchRows and batchBytes bound what a reader holds: a batch ends with
	// the row that reaches one of them.
	batchRows  = 128
	batchBytes = 1 << 20

	// keepBatches is for how many further iterations a batch stays as it is:
	// as many as Compare reads ahead.
	keepBatches = 3
)

// reader runs one query and cuts its rows into batches.
type reader struct {
	stmt    statement
	cols    []column
	decode  []int // columns with something to decode
	lengths []int // columns whose values can have a length; not every engine holds them to that of the type
	inexact []int // columns of text that the driver may not deliver exactly
	buffers *buffers
	started bool      // a batch was handed over
	broken  bool      // the connection cannot be used again
	late    *watchdog // nil without a time limit

	then func(rows *sql.Rows) error // reads what follows the rows

	texts []int // columns of the key that were read exactly
	tail  *tail // nil when the reading cannot go on by another one
	skip  *tail // what the reading before this one handed over
}

// scope is a parameter that no statement uses. With one the driver sends the
// statements as a call, so that what they SET ends with it and does not stay on
// a connection that the pool lends to somebody else.
const scope = int64(0)

// frame is what a query is read in.
type frame struct {
	before, behind string      // stand around it, in the same batch
	hint           string      // follows the name of its table
	derived        *Derived    // takes the place of its table
	keys           []store.Row // those of the rows, see chunk; nil for all rows
	exact          bool        // all text is read by Codec.Exact
	plain          bool        // what plainKey returned
}

// newReader prepares a query.
func newReader(d *Dialect, q store.Query, f frame) (*reader, error) {
	names := q.Columns
	if names == nil {
		names = q.Table.ColumnNames()
	}
	cols, err := d.columns(q.Table, names)
	if err != nil {
		return nil, err
	}
	key, err := d.keyColumns(q.Table, q.Key, f.plain)
	if err != nil {
		return nil, err
	}
	if f.keys != nil {
		qualify(cols)
		qualify(key)
	}
	for i, c := range cols {
		switch {
		case d.StoredForm != "" && slices.Contains(q.Stored, c.Name):
			cols[i].Decode = nil
		case q.Verbatim && d.AnyValue:
			cols[i].Decode = c.verbatim
		}
		cols[i].Decode = c.restored(cols[i].Decode)
	}
	r := &reader{stmt: statement{d: d}, cols: cols, buffers: &buffers{}}
	r.exactly(q, f.exact)
	for i, c := range cols {
		if c.Decode != nil {
			r.decode = append(r.decode, i)
		}
		k := c.Type.Kind()
		if d.AnyValue || k == store.KindString || k == store.KindBytes || k == store.KindOther {
			r.lengths = append(r.lengths, i)
		}
		if c.Exact != nil {
			r.inexact = append(r.inexact, i)
		}
	}
	head, tail := d.limit(q.Limit)
	s := &r.stmt
	s.printf("%sSELECT %s", f.before, head)
	for i, c := range cols {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(c.selected())
	}
	if len(cols) == 0 {
		return nil, errors.New("no columns to read")
	}
	s.WriteString(" FROM ")
	switch {
	case f.derived != nil:
		s.WriteString(f.derived.From(s.bind))
	case f.keys != nil:
		err = s.joined(d.table(q.Table)+" AS "+readTable+f.hint, key, f.keys)
	default:
		s.WriteString(d.table(q.Table) + f.hint)
	}
	if err == nil {
		err = s.bounds(key, q)
	}
	if err != nil {
		return nil, err
	}
	sep := " ORDER BY "
	for _, c := range key {
		if c.Unordered {
			return nil, fmt.Errorf("order by %s: type %s has no order here: %w", c.Name, c.Type, errors.ErrUnsupported)
		}
		for _, expr := range c.order(c.ref) {
			s.WriteString(sep + expr)
			sep = ", "
		}
	}
	s.WriteString(tail)
	if f.derived != nil {
		s.WriteString("; " + f.derived.Then(s.bind))
	}
	s.WriteString(f.behind)
	if f.before != "" && len(s.args) == 0 {
		s.bind(scope)
	}
	return r, nil
}

// readDriver reads driver rows into the batch without a copy. It returns
// driver.ErrSkip when this driver must be read through Scan.
func (r *reader) readDriver(ctx context.Context, dc any, yield func([]store.Row, error) bool) error {
	args, err := namedValues(dc, r.stmt.args)
	if err != nil {
		return err
	}
	rows, err := queryDriver(ctx, dc, r.stmt.String(), args)
	if err != nil {
		return err
	}
	err = r.batches(ctx, func(row store.Row) error { return rows.Next(row) }, yield)
	if cerr := rows.Close(); cerr != nil {
		r.broken = true
		switch {
		case err == nil:
			err = cerr
		case err.Error() != cerr.Error(): // SQLite says again why there are no more rows
			err = fmt.Errorf("%w; close: %w", err, cerr)
		}
	}
	return err
}

// queryDriver runs a query on a driver's connection: at once, or by way of a
// statement, whichever it offers.
func queryDriver(ctx context.Context, dc any, query string, args []driver.NamedValue) (driver.Rows, error) {
	if q, ok := dc.(driver.QueryerContext); ok {
		rows, err := q.QueryContext(ctx, query, args)
		if !errors.Is(err, driver.ErrSkip) {
			return rows, err
		}
	}
	p, ok := dc.(driver.ConnPrepareContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	stmt, err := p.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	q, ok := stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.Join(driver.ErrSkip, stmt.Close())
	}
	rows, err := q.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, stmt.Close())
	}
	return &stmtRows{Rows: rows, stmt: stmt}, nil
}

// stmtRows closes its statement with itself.
type stmtRows struct {
	driver.Rows
	stmt driver.Stmt
}

func (r *stmtRows) Close() error { return errors.Join(r.Rows.Close(), r.stmt.Close()) }

// namedValues converts arguments as database/sql does for this driver.
func namedValues(dc any, args []any) ([]driver.NamedValue, error) {
	checker, _ := dc.(driver.NamedValueChecker)
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		err := driver.ErrSkip
		if checker != nil {
			err = checker.CheckNamedValue(&named[i])
		}
		if errors.Is(err, driver.ErrSkip) {
			named[i].Value, err = driver.DefaultParameterConverter.ConvertValue(a)
		}
		if err != nil {
			return nil, err
		}
	}
	return named, nil
}

// readScan reads through database/sql: inside a transaction, and for drivers
// without a query of their own.
func (r *reader) readScan(ctx context.Context, q sqlx.QueryerContext, yield func([]store.Row, error) bool) error {
	rows, err := q.QueryContext(ctx, r.stmt.String(), r.stmt.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	dest := make([]any, len(r.cols))
	err = r.batches(ctx, func(row store.Row) error {
		if !rows.Next() {
			if err := rows.Err(); err != nil {
				return err
			}
			return io.EOF
		}
		return scanRow(rows, row, dest)
	}, yield)
	if err == nil && r.then != nil {
		return r.then(rows)
	}
	return err
}

func scanRow(rows *sql.Rows, row store.Row, dest []any) error {
	for i := range row {
		dest[i] = (*any)(nil)
	}
	values := make([]any, len(row))
	for i := range values {
		dest[i] = &values[i]
	}
	if err := rows.Scan(dest...); err != nil {
		return err
	}
	for i, v := range values {
		row[i] = v
	}
	return nil
}

// emptyBytes is a value of no bytes.
var emptyBytes driver.Value = []byte{}

// lengthsOf returns how many bytes the values of these columns have. What a driver
// gives for no bytes becomes a value: SQLite's gives a nil slice, and binds that as
// NULL.
func lengthsOf(row store.Row, columns []int) (size int) {
	for _, i := range columns {
		switch v := row[i].(type) {
		case string:
			size += len(v)
		case []byte:
			if v == nil {
				row[i] = emptyBytes
			}
			size += len(v)
		}
	}
	return size
}

// batches fills batches from next until it returns io.EOF, the consumer stops,
// or the context is done.
func (r *reader) batches(ctx context.Context, next func(store.Row) error, yield func([]store.Row, error) bool) error {
	for {
		n, size, err := 0, 0, error(nil)
		r.late.start()
		for n < batchRows && size < batchBytes {
			row := r.buffers.row(n, len(r.cols))
			if err = next(row); err != nil {
				break
			}
			size += lengthsOf(row, r.lengths)
			for _, i := range r.decode {
				if row[i] == nil {
					continue
				}
				if row[i], err = r.cols[i].Decode(row[i]); err != nil {
					return fmt.Errorf("column %s: %w", r.cols[i].Name, err)
				}
			}
			if len(r.texts) > 0 {
				if err := r.checkKey(row); err != nil {
					return err
				}
			}
			if r.skip != nil && r.skip.take(row) {
				continue
			}
			for _, i := range r.inexact {
				if v, ok := row[i].(string); ok && strings.Contains(v, replacement) {
					return errInexact
				}
			}
			n++
		}
		r.late.stop()
		if err != nil && err != io.EOF { //nolint:errorlint // a lost connection wraps io.EOF; the end of the rows is io.EOF
			return err
		}
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if n > 0 {
			r.started = true
			batch := r.buffers.take(n)
			if r.tail != nil {
				r.tail.add(batch)
			}
			if !yield(batch, nil) {
				return nil
			}
		}
		if err == io.EOF { //nolint:errorlint // as above
			return nil
		}
	}
}

// buffers are what batches are filled in. Readers that follow each other in one
// iteration share them, so that batches of the last one stay as they are.
type buffers struct {
	rows    [keepBatches + 1][]store.Row
	current int // the one that is being filled
}

// row returns the nth row of the batch, which has that many columns. The batch
// grows with use, so that small tables stay cheap.
func (b *buffers) row(n, columns int) store.Row {
	batch := b.rows[b.current]
	if n == len(batch) {
		more := min(max(8, n), batchRows-n)
		values := make(store.Row, more*columns)
		for range more {
			batch = append(batch, values[:columns:columns])
			values = values[columns:]
		}
		b.rows[b.current] = batch
	}
	return batch[n]
}

// take returns the first n rows as a batch and turns to the next one.
func (b *buffers) take(n int) []store.Row {
	batch := b.rows[b.current][:n:n]
	b.current = (b.current + 1) % len(b.rows)
	return batch
}
