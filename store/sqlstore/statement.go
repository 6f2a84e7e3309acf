package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// statement is SQL text that grows together with its bound values.
type statement struct {
	strings.Builder
	d    *Dialect
	args []any
}

func (s *statement) printf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// bind adds a value and returns its placeholder.
func (s *statement) bind(v any) string {
	s.args = append(s.args, v)
	if s.d.Placeholder == nil {
		return "?"
	}
	return s.d.Placeholder(len(s.args))
}

// query runs the statement, and calls row for each row of its answer.
func (s *statement) query(ctx context.Context, db sqlx.QueryerContext, columns int, row func(store.Row) error) error {
	return s.answers(ctx, db, resultSet{columns, row})
}

// resultSet is what takes the rows that come for one SELECT of a batch. They are valid
// until it returns.
type resultSet struct {
	columns int
	row     func(store.Row) error
}

// answers runs a batch of as many SELECTs.
func (s *statement) answers(ctx context.Context, db sqlx.QueryerContext, sets ...resultSet) error {
	rows, err := db.QueryContext(ctx, s.String(), s.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for i, a := range sets {
		if i > 0 && !rows.NextResultSet() {
			return cmp.Or(rows.Err(), fmt.Errorf("%d of %d answers came: %w", i, len(sets), io.ErrUnexpectedEOF))
		}
		values, dest := make(store.Row, a.columns), make([]any, a.columns)
		for rows.Next() {
			if err := scanRow(rows, values, dest); err != nil {
				return err
			}
			if err := a.row(values); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// param binds a value of a column and returns the expression for it.
func (s *statement) param(c column, v any) string { return c.param(s.bind(v)) }

// column is one column of a statement.
type column struct {
	store.Column
	Codec
	quoted   string
	ref      string // as it is named where rows are read
	anyValue bool
}

func (d *Dialect) column(t store.Table, name string) (column, error) {
	for _, c := range t.Columns {
		if c.Name == name {
			return column{Column: c, Codec: d.Codec(c.Type), quoted: d.quote(c.Name), ref: d.ref(t, c.Name), anyValue: d.AnyValue}, nil
		}
	}
	return column{}, fmt.Errorf("table %s has no column %q", t, name)
}

func (d *Dialect) columns(t store.Table, names []string) ([]column, error) {
	cols := make([]column, len(names))
	for i, name := range names {
		c, err := d.column(t, name)
		if err != nil {
			return nil, err
		}
		cols[i] = c
	}
	return cols, nil
}

// ref names a column where rows are read.
func (d *Dialect) ref(t store.Table, name string) string {
	if !d.Qualified {
		return d.quote(name)
	}
	return d.table(t) + "." + d.quote(name)
}

// keyColumns returns the columns of a key. Plain says that their values are in
// order by themselves.
func (d *Dialect) keyColumns(t store.Table, names []string, plain bool) ([]column, error) {
	cols, err := d.columns(t, names)
	for i, c := range cols {
		if plain && c.Codec.Plain != nil {
			cols[i].Order, cols[i].Bound, cols[i].Respelled = nil, c.Codec.Plain, false
		}
	}
	return cols, err
}

func (c column) selected() string {
	if c.Select == nil {
		return c.ref
	}
	return c.Select(c.ref)
}

func (c column) param(placeholder string) string {
	if c.Param == nil {
		return placeholder
	}
	return c.Param(placeholder)
}

func (c column) order(expr string) []string {
	if c.Order == nil {
		return []string{expr}
	}
	return c.Order(expr)
}

// operand returns the expression of a part of the order for a bound.
func (c column) operand(v operand, part int) string {
	if c.Bound != nil {
		return v()
	}
	return c.order(v())[part]
}

// normal is a key's value before it is bound.
func (c column) normal(v any) (driver.Value, error) {
	normalize := store.Normalize
	if c.Bound != nil {
		normalize = store.StoredValue
	}
	n, err := normalize(c.Type, v)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", c.Name, err)
	}
	return n, nil
}

// boundValue converts what normal returned to what is bound.
func (c column) boundValue(v driver.Value) (any, error) {
	if c.Bound != nil {
		return c.Bound(v), nil
	}
	return c.value(v)
}

// boundParam binds what boundValue returned and returns the expression for it.
func (s *statement) boundParam(c column, v any) string {
	if c.Bound != nil {
		return s.bind(v)
	}
	return s.param(c, v)
}

// restored is decode for what Select delivers.
func (c column) restored(decode func(driver.Value) (driver.Value, error)) func(driver.Value) (driver.Value, error) {
	if c.Stored == nil {
		return decode
	}
	return func(v driver.Value) (driver.Value, error) {
		if v = c.Stored(v); decode == nil {
			return v, nil
		}
		return decode(v)
	}
}

// value normalises v for this column and converts it to what is bound.
func (c column) value(v any) (any, error) {
	bound, err := c.encoded(v)
	if err == nil && c.Check != nil {
		if err = c.Check(bound); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return bound, err
}

func (c column) encoded(v any) (any, error) {
	if as, ok := v.(store.Verbatim); ok {
		if !c.anyValue {
			return nil, fmt.Errorf("column %s: this engine holds no value that is not %s: %w", c.Name, c.Type, errors.ErrUnsupported)
		}
		if b, ok := as.Value.([]byte); ok && b == nil {
			return emptyBytes, nil
		}
		return as.Value, nil
	}
	n, err := store.Normalize(c.Type, v)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", c.Name, err)
	}
	if n == nil || c.Encode == nil {
		return n, nil
	}
	return c.Encode(n), nil
}

// verbatim decodes what the column's type gives back as it was, and leaves the
// rest alone.
func (c column) verbatim(stored driver.Value) (driver.Value, error) {
	v := stored
	if c.Decode != nil {
		var err error
		if v, err = c.Decode(stored); err != nil {
			v = nil
		}
	}
	back, err := c.value(v)
	if b, ok := back.(bool); ok { // which the engine stores as a number
		back = map[bool]int64{true: 1}[b]
	}
	if n, _ := store.Normalize(c.Type, v); err == nil && reflect.TypeOf(n) == reflect.TypeOf(v) && reflect.DeepEqual(back, stored) {
		return v, nil
	}
	if b, ok := stored.([]byte); ok {
		stored = bytes.Clone(b)
	}
	return store.Verbatim{Value: stored}, nil
}

// where adds the condition that the row has all values of cells.
func (s *statement) where(t store.Table, cells []store.Cell) error {
	for i, cell := range cells {
		c, err := s.d.column(t, cell.Column)
		if err != nil {
			return err
		}
		v, err := c.value(cell.Value)
		if err != nil {
			return err
		}
		s.WriteString([...]string{" WHERE ", " AND "}[min(i, 1)])
		switch {
		case v == nil:
			s.printf("%s IS NULL", c.ref)
		case c.Equal != nil:
			s.WriteString(c.Equal(c.ref, s.param(c, v)))
		default:
			s.printf("%s = %s", c.ref, s.param(c, v))
		}
	}
	return nil
}

// bounds adds the conditions of q.From and q.Before.
func (s *statement) bounds(key []column, q store.Query) error {
	sep := " WHERE "
	for _, b := range []struct {
		row store.Row
		op  string
	}{{q.From, ">="}, {q.Before, "<"}} {
		if b.row == nil {
			continue
		}
		s.WriteString(sep + "(")
		if err := s.bound(key, b.row, b.op); err != nil {
			return err
		}
		s.WriteString(")")
		sep = " AND "
	}
	return nil
}

// bound adds the condition that the key is at least (op ">=") or less than
// (op "<") the values of bound. Standard row comparison is not used: SQL Server
// has none, and NULL comes first here.
func (s *statement) bound(key []column, bound store.Row, op string) error {
	if len(bound) != len(key) {
		return fmt.Errorf("bound has %d values for %d key columns", len(bound), len(key))
	}
	operands := make([]operand, len(key))
	for i, c := range key {
		v, err := c.normal(bound[i])
		if err != nil {
			return err
		}
		if v != nil {
			value, err := c.boundValue(v)
			if err != nil {
				return err
			}
			operands[i] = func() string { return s.boundParam(c, value) }
		}
	}
	s.compare(key, operands, op)
	return nil
}

// operand returns what a column is compared with, anew for each time that it
// stands in the text, because a placeholder may not be repeated. Nil is NULL.
type operand func() string

// compare adds the condition of a bound.
func (s *statement) compare(key []column, bound []operand, op string) {
	end := s.leading(key, bound, op)
	terms := 0
	for i, c := range key {
		v := bound[i]
		last := i == len(key)-1
		parts := c.order(c.ref)
		for j := range parts {
			lastPart := last && j == len(parts)-1
			s.term(c, j, v, op, lastPart)
			if !lastPart {
				s.WriteString(" OR (")
				s.equalTerm(c, j, v)
				s.WriteString(" AND (")
				terms++
			}
		}
	}
	s.WriteString(strings.Repeat("))", terms) + end)
}

// leading adds the condition that the first expression of the order alone has
// to meet. It follows from the rest, but engines seek by it, which they cannot
// do by alternatives. It returns what ends the bound.
func (s *statement) leading(key []column, bound []operand, op string) (end string) {
	if len(key) == 0 {
		return ""
	}
	c, v := key[0], bound[0]
	parts := c.order(c.ref)
	if v == nil || len(key) == 1 && len(parts) == 1 {
		return ""
	}
	param := c.operand(v, 0)
	switch {
	case op == ">=":
		s.printf("%s >= %s AND (", parts[0], param)
	case c.Nullable:
		s.printf("(%s <= %s OR %s IS NULL) AND (", parts[0], param, c.ref)
	default:
		s.printf("%s <= %s AND (", parts[0], param)
	}
	return ")"
}

// term adds a comparison of one order expression that is strict unless it is
// the last one of a lower bound.
func (s *statement) term(c column, part int, v operand, op string, last bool) {
	expr := c.order(c.ref)[part]
	lower := op == ">="
	switch {
	case v == nil && lower && last:
		s.WriteString("1 = 1")
	case v == nil && lower:
		s.printf("%s IS NOT NULL", c.ref)
	case v == nil:
		s.WriteString("1 = 0")
	case lower && last:
		s.printf("%s >= %s", expr, c.operand(v, part))
	case lower:
		s.printf("%s > %s", expr, c.operand(v, part))
	case c.Nullable:
		s.printf("(%s < %s OR %s IS NULL)", expr, c.operand(v, part), c.ref)
	default:
		s.printf("%s < %s", expr, c.operand(v, part))
	}
}

func (s *statement) equalTerm(c column, part int, v operand) {
	if v == nil {
		s.printf("%s IS NULL", c.ref)
		return
	}
	s.printf("%s = %s", c.order(c.ref)[part], c.operand(v, part))
}
