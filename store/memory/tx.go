package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/so-mirror/mirror/store"
)

// tx is the store.Tx of one Update: a copy of the map of tables, whose
// versions it replaces.
type tx struct {
	store  *Store
	db     database
	done   bool
	failed error // the first failure of a method

	anew map[tableID]bool // tables whose tracking begins anew
}

var _ store.Renamer = (*tx)(nil)

var errTxDone = errors.New("transaction used after Update returned")

func (x *tx) fail(err error) error {
	if x.failed == nil {
		x.failed = err
	}
	return err
}

func (x *tx) current() (database, error) {
	if x.done {
		return nil, errTxDone
	}
	return x.db, nil
}

// run does one step of the transaction.
func (x *tx) run(ctx context.Context, m Method, t store.Table, doing string, step func() error) error {
	if x.done {
		return errTxDone
	}
	if _, err := x.store.begin(ctx, m, t.String()); err != nil {
		return x.fail(err)
	}
	if err := step(); err != nil {
		return x.fail(fmt.Errorf("%s %s: %w", doing, t, err))
	}
	return nil
}

// change replaces the version of a table.
func (x *tx) change(ctx context.Context, m Method, t store.Table, doing string, step func(*table) (*table, error)) error {
	return x.run(ctx, m, t, doing, func() error {
		old, err := x.db.find(t)
		if err != nil {
			return err
		}
		changed, err := step(old)
		if err != nil {
			return err
		}
		x.db[idOf(t)] = changed
		return nil
	})
}

func (x *tx) Tables(ctx context.Context) ([]store.Table, error) {
	if x.done {
		return nil, errTxDone
	}
	if _, err := x.store.begin(ctx, Tables, ""); err != nil {
		return nil, x.fail(err)
	}
	return x.db.list(), nil
}

func (x *tx) Count(ctx context.Context, t store.Table) (int64, error) {
	if x.done {
		return 0, errTxDone
	}
	if _, err := x.store.begin(ctx, Count, t.String()); err != nil {
		return 0, x.fail(err)
	}
	n, err := x.db.count(t)
	if err != nil {
		return 0, x.fail(err)
	}
	return n, nil
}

func (x *tx) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		if err := x.store.stream(ctx, q, x.current, yield); err != nil {
			yield(nil, x.fail(err))
		}
	}
}

// restart makes the tracking of t begin anew when the transaction is committed.
func (x *tx) restart(t store.Table) {
	if x.anew == nil {
		x.anew = map[tableID]bool{}
	}
	x.anew[idOf(t)] = true
}

func (x *tx) Create(ctx context.Context, t store.Table) error {
	x.restart(t)
	return x.run(ctx, Create, t, "create table", func() error {
		if old, ok := x.db[idOf(t)]; ok {
			return fmt.Errorf("table %s exists", old.def)
		}
		created, err := newTable(t)
		if err != nil {
			return err
		}
		for i, c := range created.def.Columns {
			c.Generated = false
			if c.Type, err = store.ParseType(c.Type.String()); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
			if _, form := parseDefault(c.Default); form == otherDefault {
				return fmt.Errorf("column %s: default %q is neither a literal nor a known function", c.Name, c.Default)
			}
			created.def.Columns[i] = c
		}
		x.db[idOf(t)] = created
		return nil
	})
}

func (x *tx) Drop(ctx context.Context, t store.Table) error {
	x.restart(t)
	return x.run(ctx, Drop, t, "drop table", func() error {
		if _, err := x.db.find(t); err != nil {
			return err
		}
		delete(x.db, idOf(t))
		return nil
	})
}

// Rename implements store.Renamer.
func (x *tx) Rename(ctx context.Context, t store.Table, name string) error {
	return x.run(ctx, Rename, t, "rename table", func() error {
		old, err := x.db.find(t)
		if err != nil {
			return err
		}
		def := cloneDef(old.def)
		def.Name = name
		if taken, ok := x.db[idOf(def)]; ok {
			return fmt.Errorf("table %s exists", taken.def)
		}
		if store.FoldName(name) == "" {
			return errors.New("the new name is empty")
		}
		delete(x.db, idOf(t))
		x.db[idOf(def)] = &table{def: def, key: old.key, rows: old.rows}
		return nil
	})
}

func (x *tx) Truncate(ctx context.Context, t store.Table) error {
	x.restart(t)
	return x.change(ctx, Truncate, t, "truncate table", func(old *table) (*table, error) {
		return old.with(nil), nil
	})
}

func (x *tx) Insert(ctx context.Context, t store.Table, names []string, rows []store.Row) error {
	return x.change(ctx, Insert, t, "insert into", func(old *table) (*table, error) {
		cols, err := old.writable(names)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return old, nil
		}
		base, err := old.defaults(cols)
		if err != nil {
			return nil, err
		}
		added := make([]store.Row, len(rows))
		for r, row := range rows {
			values, err := cols.values(row)
			if err != nil {
				return nil, fmt.Errorf("row %d: %w", r, err)
			}
			added[r] = base.Clone()
			for n, i := range cols.index {
				added[r][i] = values[n]
			}
			for i, c := range old.def.Columns {
				if c.Generated {
					continue
				}
				if err := checkNull(c, added[r][i]); err != nil {
					return nil, fmt.Errorf("row %d: %w", r, err)
				}
			}
		}
		return old.insert(added)
	})
}

func (x *tx) Set(ctx context.Context, t store.Table, where, set []store.Cell) (n int64, err error) {
	err = x.change(ctx, Set, t, "update", func(old *table) (*table, error) {
		match, err := old.condition(where)
		if err != nil {
			return nil, err
		}
		cols, values, err := old.assignments(set)
		if err != nil {
			return nil, err
		}
		changed := make([]store.Row, len(old.rows))
		for r, row := range old.rows {
			if match(row) {
				n++
				row = row.Clone()
				for k, i := range cols.index {
					row[i] = values[k]
				}
			}
			changed[r] = row
		}
		if len(old.key.index) == 0 {
			return old.with(changed), nil
		}
		return old.sorted(changed)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// assignments checks the cells of a Set.
func (t *table) assignments(set []store.Cell) (columns, store.Row, error) {
	names := make([]string, len(set))
	for i, c := range set {
		names[i] = c.Column
	}
	if _, err := t.writable(names); err != nil {
		return columns{}, nil, err
	}
	cols, values, err := t.cells(set)
	if err != nil {
		return columns{}, nil, err
	}
	for i, c := range cols.cols {
		if err := checkNull(c, values[i]); err != nil {
			return columns{}, nil, err
		}
	}
	return cols, values, nil
}

func (x *tx) Delete(ctx context.Context, t store.Table, where []store.Cell) (n int64, err error) {
	err = x.change(ctx, Delete, t, "delete from", func(old *table) (*table, error) {
		if len(where) == 0 {
			return nil, errors.New("no condition: Truncate deletes all rows")
		}
		match, err := old.condition(where)
		if err != nil {
			return nil, err
		}
		var kept []store.Row
		for _, row := range old.rows {
			if match(row) {
				n++
			} else {
				kept = append(kept, row)
			}
		}
		return old.with(kept), nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
