package memory

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// table is one version of a table. Neither its rows nor the values in them are
// ever changed: writers make a new version. Appending to rows is no change, as
// no other version looks behind its own length.
type table struct {
	def  store.Table
	key  columns
	rows []store.Row // in the order of key, if there is one
}

// newTable checks a definition and returns its table without rows.
func newTable(def store.Table) (*table, error) {
	def = cloneDef(def)
	if def.Name == "" {
		return nil, errors.New("the table has no name")
	}
	if len(def.Columns) == 0 {
		return nil, errors.New("the table has no columns")
	}
	seen := map[string]bool{}
	for _, c := range def.Columns {
		folded := store.FoldName(c.Name)
		if folded == "" || seen[folded] {
			return nil, fmt.Errorf("column %q: the name is empty or there twice", c.Name)
		}
		seen[folded] = true
	}
	t := &table{def: def}
	key, err := t.columns(def.Key)
	if err != nil {
		return nil, fmt.Errorf("primary key: %w", err)
	}
	for n, i := range key.index {
		if slices.Contains(key.index[:n], i) {
			return nil, fmt.Errorf("primary key: column %q is there twice", def.Key[n])
		}
		// As in SQL Server, where the key makes its columns NOT NULL.
		def.Columns[i].Nullable = false
	}
	t.key = key
	return t, nil
}

func cloneDef(t store.Table) store.Table {
	t.Columns = slices.Clone(t.Columns)
	t.Key = slices.Clone(t.Key)
	return t
}

// columns are some columns of a table and their positions in its rows.
type columns struct {
	cols  []store.Column
	index []int
}

// columns finds columns by their exact names, as SQL stores with a
// case-sensitive collation do.
func (t *table) columns(names []string) (columns, error) {
	var c columns
	for _, name := range names {
		i := slices.IndexFunc(t.def.Columns, func(c store.Column) bool { return c.Name == name })
		if i < 0 {
			return columns{}, fmt.Errorf("table %s has no column %q", t.def, name)
		}
		c.cols = append(c.cols, t.def.Columns[i])
		c.index = append(c.index, i)
	}
	return c, nil
}

// writable finds columns that get values.
func (t *table) writable(names []string) (columns, error) {
	if len(names) == 0 {
		return columns{}, errors.New("no columns named")
	}
	c, err := t.columns(names)
	if err != nil {
		return columns{}, err
	}
	for n, col := range c.cols {
		if col.Generated {
			return columns{}, fmt.Errorf("column %s: the database generates its values", col.Name)
		}
		if slices.Contains(c.index[:n], c.index[n]) {
			return columns{}, fmt.Errorf("column %s: named twice", col.Name)
		}
	}
	return c, nil
}

// compare orders whole rows by the columns.
func (c columns) compare(a, b store.Row) int {
	for n, i := range c.index {
		if r := store.CompareKeys(c.cols[n:n+1], a[i:i+1], b[i:i+1]); r != 0 {
			return r
		}
	}
	return 0
}

// compareBound orders a whole row and a row of only these columns.
func (c columns) compareBound(row, bound store.Row) int {
	for n, i := range c.index {
		if r := store.CompareKeys(c.cols[n:n+1], row[i:i+1], bound[n:n+1]); r != 0 {
			return r
		}
	}
	return 0
}

func (c columns) bound(row store.Row) (store.Row, error) {
	if row == nil {
		return nil, nil
	}
	if len(row) != len(c.cols) {
		return nil, fmt.Errorf("%d values for %d key columns", len(row), len(c.cols))
	}
	return c.values(row)
}

// values normalises a row of these columns.
func (c columns) values(row store.Row) (store.Row, error) {
	if len(row) != len(c.cols) {
		return nil, fmt.Errorf("%d values for %d columns", len(row), len(c.cols))
	}
	values := make(store.Row, len(row))
	for n, col := range c.cols {
		v, err := store.Normalize(col.Type, row[n])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", col.Name, err)
		}
		if p, ok := v.([]byte); ok && col.Type.Kind() == store.KindOther {
			v = bytes.Clone(p) // all other kinds are copies already
		}
		values[n] = v
	}
	return values, nil
}

func checkNull(c store.Column, v driver.Value) error {
	if v == nil && !c.Nullable {
		return fmt.Errorf("%w: column %s: NULL is not allowed", store.ErrConstraint, c.Name)
	}
	return nil
}

// insert returns the version of t with whole rows added.
func (t *table) insert(added []store.Row) (*table, error) {
	if len(t.key.index) == 0 {
		return t.with(append(t.rows, added...)), nil
	}
	slices.SortStableFunc(added, t.key.compare)
	rest := t.rows
	var merged []store.Row
	for _, row := range added {
		n, found := slices.BinarySearchFunc(rest, row, t.key.compare)
		if found || len(merged) > 0 && t.key.compare(merged[len(merged)-1], row) == 0 {
			return nil, t.duplicate(row)
		}
		if merged == nil && n == len(t.rows) {
			merged = t.rows // all of added come behind it: append
		} else {
			merged = append(slices.Grow(merged, n+1), rest[:n]...)
		}
		merged = append(merged, row)
		rest = rest[n:]
	}
	return t.with(append(merged, rest...)), nil
}

func (t *table) duplicate(row store.Row) error {
	key := make([]any, len(t.key.index))
	for n, i := range t.key.index {
		key[n] = row[i]
	}
	return fmt.Errorf("%w: primary key %v: the key (%s) is there already", store.ErrConstraint, key, strings.Join(t.def.Key, ", "))
}

// sorted puts rows, which the caller owns, into the order of the key.
func (t *table) sorted(rows []store.Row) (*table, error) {
	slices.SortStableFunc(rows, t.key.compare)
	for i := 1; i < len(rows); i++ {
		if t.key.compare(rows[i-1], rows[i]) == 0 {
			return nil, t.duplicate(rows[i])
		}
	}
	return t.with(rows), nil
}

func (t *table) with(rows []store.Row) *table {
	return &table{def: t.def, key: t.key, rows: rows}
}

// condition returns whether a row has all values of where.
func (t *table) condition(where []store.Cell) (func(store.Row) bool, error) {
	cols, values, err := t.cells(where)
	if err != nil {
		return nil, err
	}
	return func(row store.Row) bool {
		for n, i := range cols.index {
			if !store.EqualValues(cols.cols[n].Type, cols.cols[n].Type, row[i], values[n]) {
				return false
			}
		}
		return true
	}, nil
}

func (t *table) cells(cells []store.Cell) (columns, store.Row, error) {
	names, row := make([]string, len(cells)), make(store.Row, len(cells))
	for i, c := range cells {
		names[i], row[i] = c.Column, c.Value
	}
	cols, err := t.columns(names)
	if err != nil {
		return columns{}, nil, err
	}
	values, err := cols.values(row)
	return cols, values, err
}
