package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenWrites are faults of Create, Drop, Truncate, Insert, Set and Delete.
var brokenWrites = []fault{
	{"Create replaces a table", func() store.Store {
		return &broken{Store: memory.New(), create: func(tx store.Tx, ctx context.Context, t store.Table) error {
			tables, err := tx.Tables(ctx)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(tables, func(old store.Table) bool { return old.Name == t.Name }) {
				if err := tx.Drop(ctx, t); err != nil {
					return err
				}
			}
			return tx.Create(ctx, t)
		}}
	}, []string{"write/create-existing"}},
	{"Create ignores a key that is not a column", func() store.Store {
		return creating(func(t *store.Table) {
			t.Key = slices.DeleteFunc(t.Key, func(name string) bool { return !slices.Contains(t.ColumnNames(), name) })
		})
	}, []string{"write/create-refuses"}},
	{"Create runs what a default says", func() store.Store {
		return creating(func(t *store.Table) {
			for i, c := range t.Columns {
				if strings.Contains(c.Default, "drop") {
					t.Columns[i].Default = ""
				}
			}
		})
	}, []string{"write/hostile-default", "write/defaults"}},
	{"Create makes text of what it does not know", func() store.Store {
		return creating(func(t *store.Table) {
			for i, c := range t.Columns {
				if c.Type.Kind() == store.KindOther {
					t.Columns[i].Type = store.MustType("nvarchar(max)")
				}
			}
		})
	}, []string{"write/hostile-type"}},
	{"Create ignores defaults", func() store.Store {
		return creating(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Default = ""
				t.Columns[i].Nullable = !slices.Contains(t.Key, t.Columns[i].Name)
			}
		})
	}, []string{"tables/defaults", "write/defaults", "write/insert-columns"}},
	{"Drop keeps the table", func() store.Store {
		return &broken{Store: memory.New(), drop: func(tx store.Tx, ctx context.Context, t store.Table) error { return tx.Truncate(ctx, t) }}
	}, []string{"write/drop", "write/create-again", "tx/commit", "tx/reads-own-writes"}},
	{"Truncate does nothing", func() store.Store {
		return &broken{Store: memory.New(), truncate: func(store.Tx, context.Context, store.Table) error { return nil }}
	}, []string{"write/truncate", "tx/commit"}},
	{"Insert goes by the order of the table", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			return tx.Insert(ctx, t, t.ColumnNames()[:min(len(columns), len(t.Columns))], rows)
		})
	}, []string{"write/insert-columns"}},
	{"Insert makes NULL of a column that is not named", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			columns = slices.Clone(columns)
			for _, c := range t.Columns {
				if c.Nullable && !slices.Contains(columns, c.Name) {
					columns = append(columns, c.Name)
				}
			}
			wide := make([]store.Row, len(rows))
			for i, r := range rows {
				wide[i] = append(slices.Clone(r), make(store.Row, max(len(columns)-len(r), 0))...)
			}
			return tx.Insert(ctx, t, columns, wide)
		})
	}, []string{"write/insert-columns"}},
	{"Insert of no rows is an error", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			if len(rows) == 0 {
				return errors.New("syntax error at end of input")
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/insert-nothing"}},
	{"Insert binds all values at once", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			if len(rows)*len(columns) > 32_766 {
				return errors.New("too many parameters")
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/insert-many", "write/insert-wide"}},
	{"Insert loses rows after the first 1,000", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			return tx.Insert(ctx, t, columns, rows[:min(len(rows), 1000)])
		})
	}, []string{"write/insert-many"}},
	{"Insert fills up short rows", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for i, r := range rows {
				if len(r) < len(columns) {
					rows[i] = append(slices.Clone(r), make(store.Row, len(columns)-len(r))...)
				}
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/insert-refuses"}},
	{"Insert replaces a row of the same key", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for _, r := range rows {
				var where []store.Cell
				for _, k := range t.Key {
					if i := slices.Index(columns, k); i >= 0 && i < len(r) {
						where = append(where, cell(k, r[i]))
					}
				}
				if len(where) > 0 {
					if _, err := tx.Delete(ctx, t, where); err != nil {
						return err
					}
				}
				if err := tx.Insert(ctx, t, columns, []store.Row{r}); err != nil {
					return err
				}
			}
			return nil
		})
	}, []string{"write/duplicate-key"}},
	{"Insert makes numbers of text", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for _, r := range rows {
				for i, name := range columns {
					c, _ := t.Column(name)
					if s, ok := r[i].(string); ok && c.Type.Kind() == store.KindInt {
						r[i], _ = strconv.Atoi(s)
					}
				}
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/wrong-values"}},
	{"writes to a missing table are lost", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			tables, err := tx.Tables(ctx)
			if err != nil || !slices.ContainsFunc(tables, func(old store.Table) bool { return old.Name == t.Name }) {
				return err
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/missing-table"}},
	{"Set returns 0", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			_, err := tx.Set(ctx, t, where, set)
			return 0, err
		}}
	}, []string{"write/set", "write/set-null", "write/where-*", "tx/lost-updates"}},
	{"Set counts only rows that change", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if !has(t, where) || !has(t, set) {
				return tx.Set(ctx, t, where, set)
			}
			same, err := tx.Set(ctx, t, slices.Concat(where, set), set)
			if err != nil {
				return 0, err
			}
			n, err := tx.Set(ctx, t, where, set)
			return n - same, err
		}}
	}, []string{"write/set"}},
	{"Set without a condition changes nothing", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if len(where) == 0 {
				return 0, nil
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"write/set", "concurrent/readers-and-writer"}},
	{"Set compares with NULL as SQL does", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if hasNull(where) {
				return 0, nil
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"write/set-null", "write/where-int", "values/null-empty-blank"}},
	{"Set ignores a column that does not exist", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if !has(t, set) {
				return 0, nil
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"write/set-refuses"}},
	{"Delete compares with NULL as SQL does", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			if hasNull(where) {
				return 0, nil
			}
			return tx.Delete(ctx, t, where)
		}}
	}, []string{"write/delete-null", "write/where-int"}},
	{"Delete takes NULL for no condition", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			given := slices.DeleteFunc(slices.Clone(where), func(c store.Cell) bool { return c.Value == nil })
			if len(given) == 0 {
				given = where
			}
			return tx.Delete(ctx, t, given)
		}}
	}, []string{"write/delete-null"}},
	{"Delete without a condition deletes all", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			if len(where) == 0 {
				return 0, tx.Truncate(ctx, t)
			}
			return tx.Delete(ctx, t, where)
		}}
	}, []string{"write/delete-without-where"}},
	{"Delete returns at most 1", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			n, err := tx.Delete(ctx, t, where)
			return min(n, 1), err
		}}
	}, []string{"write/delete"}},
	{"Delete ignores a column that does not exist", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			if !has(t, where) {
				return 0, nil
			}
			return tx.Delete(ctx, t, where)
		}}
	}, []string{"write/delete-refuses"}},
	{"a condition without case", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			n, err := tx.Set(ctx, t, where, set)
			if err != nil || len(where) != 1 || where[0].Column == set[0].Column {
				return n, err
			}
			for _, fold := range []func(string) string{strings.ToLower, strings.ToUpper} {
				other := mapText(where, fold)
				if fmt.Sprint(other) != fmt.Sprint(where) {
					more, err := tx.Set(ctx, t, other, set)
					if err != nil {
						return 0, err
					}
					n += more
				}
			}
			return n, nil
		}}
	}, []string{"write/where-is-exact"}},
}

func inserting(insert func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error) *broken {
	return &broken{Store: memory.New(), insert: insert}
}

func creating(change func(t *store.Table)) *broken {
	return &broken{Store: memory.New(), create: func(tx store.Tx, ctx context.Context, t store.Table) error {
		t.Columns, t.Key = slices.Clone(t.Columns), slices.Clone(t.Key)
		change(&t)
		return tx.Create(ctx, t)
	}}
}

// has reports whether all cells name columns of t.
func has(t store.Table, cells []store.Cell) bool {
	return !slices.ContainsFunc(cells, func(c store.Cell) bool {
		_, ok := t.Column(c.Column)
		return !ok
	})
}

func hasNull(cells []store.Cell) bool {
	return slices.ContainsFunc(cells, func(c store.Cell) bool { return c.Value == nil })
}

// mapText returns a copy of cells in which fn changed the text values.
func mapText(cells []store.Cell, fn func(string) string) []store.Cell {
	cells = slices.Clone(cells)
	for i := range cells {
		if s, ok := cells[i].Value.(string); ok {
			cells[i].Value = fn(s)
		}
	}
	return cells
}
