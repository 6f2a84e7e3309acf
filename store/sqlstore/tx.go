package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

const (
	defaultMaxParams = 900
	defaultMaxRows   = 1000
)

// tx is the store.Tx of one Update.
type tx struct {
	store *Store
	db    Execer
	done  bool
	err   error // of the first step that failed
}

var _ store.Renamer = (*tx)(nil)

var errTxDone = errors.New("transaction used after Update returned")

// run does one step of the transaction.
func (x *tx) run(ctx context.Context, doing string, t store.Table, step func(ctx context.Context) error) error {
	if x.done {
		return errTxDone
	}
	if x.err != nil {
		// The engine may have ended the transaction with that error, and what
		// follows would then be committed by itself.
		return x.err
	}
	err := x.store.wrap(ctx, limited(ctx, x.store.d.Timeout, step), doing+" "+t.String())
	return x.failed(err)
}

// failed keeps the first error of the transaction.
func (x *tx) failed(err error) error {
	if x.err == nil {
		x.err = err
	}
	return err
}

func (x *tx) Tables(ctx context.Context) (tables []store.Table, err error) {
	err = x.run(ctx, "list tables of", store.Table{Name: "the database"}, func(ctx context.Context) error {
		tables, err = x.store.d.Tables(ctx, x.db)
		return err
	})
	return tables, err
}

func (x *tx) Count(ctx context.Context, t store.Table) (n int64, err error) {
	err = x.run(ctx, "count rows of", t, func(ctx context.Context) error {
		n, err = count(ctx, x.db, x.store.d, t, "", x.store.d.hint(t, false))
		return err
	})
	return n, err
}

func (x *tx) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return sequence(func(yield func([]store.Row, error) bool) error {
		if x.done {
			return errTxDone
		}
		if x.err != nil {
			return x.err
		}
		r, err := newReader(x.store.d, q, frame{hint: x.store.d.hint(q.Table, true), exact: true})
		if err == nil {
			err = r.limited(ctx, x.store.d.Timeout, func(ctx context.Context) error { return r.readScan(ctx, x.db, yield) })
		}
		return x.failed(x.store.wrap(ctx, err, "read rows of "+q.Table.String()))
	})
}

func (x *tx) exec(ctx context.Context, s *statement) (int64, error) {
	res, err := x.db.ExecContext(ctx, s.String(), s.args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (x *tx) Create(ctx context.Context, t store.Table) error {
	return x.run(ctx, "create table", t, func(ctx context.Context) error {
		s, err := x.store.d.createTable(t)
		if err != nil {
			return err
		}
		_, err = x.exec(ctx, s)
		return err
	})
}

func (d *Dialect) createTable(t store.Table) (*statement, error) {
	if t.Name == "" || len(t.Columns) == 0 {
		return nil, errors.New("a table has a name and at least one column")
	}
	s := &statement{d: d}
	s.printf("CREATE TABLE %s (", d.table(t))
	for i, c := range t.Columns {
		if c.Name == "" {
			return nil, errors.New("a column has no name")
		}
		if _, err := store.ParseType(c.Type.String()); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		if i > 0 {
			s.WriteString(", ")
		}
		s.printf("%s %s", d.quote(c.Name), d.ColumnType(c.Type))
		if !c.Nullable {
			s.WriteString(" NOT NULL")
		}
		if c.Default != "" {
			expr, err := d.defaultOf(c)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
			s.printf(" DEFAULT %s", expr)
		}
	}
	if len(t.Key) > 0 {
		key, err := d.columns(t, t.Key)
		if err != nil {
			return nil, err
		}
		quoted := make([]string, len(key))
		for i, c := range key {
			quoted[i] = c.quoted
		}
		s.printf(", PRIMARY KEY (%s)", strings.Join(quoted, ", "))
	}
	s.WriteString(")")
	if d.CreateSuffix != nil {
		s.WriteString(d.CreateSuffix(t))
	}
	return s, nil
}

func (x *tx) Drop(ctx context.Context, t store.Table) error {
	return x.run(ctx, "drop table", t, func(ctx context.Context) error {
		_, err := x.db.ExecContext(ctx, "DROP TABLE "+x.store.d.table(t))
		return err
	})
}

// Rename implements store.Renamer.
func (x *tx) Rename(ctx context.Context, t store.Table, name string) error {
	return x.run(ctx, "rename table", t, func(ctx context.Context) error {
		if x.store.d.Rename == nil {
			return fmt.Errorf("this engine cannot: %w", errors.ErrUnsupported)
		}
		if name == "" {
			return errors.New("the new name is empty")
		}
		return x.store.d.Rename(ctx, x.db, t, x.store.d.table(t), name)
	})
}

func (x *tx) Truncate(ctx context.Context, t store.Table) error {
	return x.run(ctx, "truncate table", t, func(ctx context.Context) error {
		if x.store.d.Truncate != nil {
			return x.store.d.Truncate(ctx, x.db, x.store.d.table(t))
		}
		_, err := x.db.ExecContext(ctx, "DELETE FROM "+x.store.d.table(t))
		return err
	})
}

func (x *tx) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	return x.run(ctx, "insert into", t, func(ctx context.Context) error {
		cols, err := x.store.d.columns(t, columns)
		if err != nil {
			return err
		}
		if len(cols) == 0 {
			return errors.New("no columns named")
		}
		for i, name := range columns {
			if slices.Contains(columns[:i], name) {
				return fmt.Errorf("column %q is named twice", name)
			}
		}
		return x.insert(ctx, t, cols, rows)
	})
}

// insert writes rows in statements of as many rows as the engine takes. The
// statement of a full chunk is prepared once.
func (x *tx) insert(ctx context.Context, t store.Table, cols []column, rows []store.Row) error {
	d := x.store.d
	before, behind, err := x.aroundInsert(ctx, t, cols)
	if err != nil {
		return err
	}
	chunk := max(1, min(d.maxParams()/len(cols), cmp.Or(d.MaxRows, defaultMaxRows)))
	if len(rows) >= chunk {
		stmt, err := x.db.PrepareContext(ctx, before+d.insertText(t, cols, chunk)+behind)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for ; len(rows) >= chunk; rows = rows[chunk:] {
			args, err := insertArgs(cols, rows[:chunk])
			if err != nil {
				return err
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	args, err := insertArgs(cols, rows)
	if err != nil {
		return err
	}
	_, err = x.db.ExecContext(ctx, before+d.insertText(t, cols, len(rows))+behind, args...)
	return err
}

func (x *tx) aroundInsert(ctx context.Context, t store.Table, cols []column) (before, behind string, err error) {
	d := x.store.d
	if d.AroundInsert == nil {
		return "", "", nil
	}
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	return d.AroundInsert(ctx, x.db, d.table(t), names)
}

func (d *Dialect) insertText(t store.Table, cols []column, rows int) string {
	s := &statement{d: d}
	s.printf("INSERT INTO %s (", d.table(t))
	for i, c := range cols {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(c.quoted)
	}
	s.WriteString(") VALUES ")
	for i := range rows {
		s.WriteString([...]string{"(", ", ("}[min(i, 1)])
		for j, c := range cols {
			if j > 0 {
				s.WriteString(", ")
			}
			s.WriteString(s.param(c, nil))
		}
		s.WriteString(")")
	}
	return s.String()
}

func insertArgs(cols []column, rows []store.Row) ([]any, error) {
	args := make([]any, 0, len(rows)*len(cols))
	for _, row := range rows {
		if len(row) != len(cols) {
			return nil, fmt.Errorf("row has %d values for %d columns", len(row), len(cols))
		}
		for j, c := range cols {
			v, err := c.value(row[j])
			if err != nil {
				return nil, err
			}
			args = append(args, v)
		}
	}
	return args, nil
}

func (x *tx) Set(ctx context.Context, t store.Table, where, set []store.Cell) (n int64, err error) {
	err = x.run(ctx, "update", t, func(ctx context.Context) error {
		if len(set) == 0 {
			return errors.New("no columns to set")
		}
		s := &statement{d: x.store.d}
		s.printf("UPDATE %s", x.store.d.table(t))
		for i, cell := range set {
			c, err := x.store.d.column(t, cell.Column)
			if err != nil {
				return err
			}
			v, err := c.value(cell.Value)
			if err != nil {
				return err
			}
			s.printf("%s%s = %s", [...]string{" SET ", ", "}[min(i, 1)], c.quoted, s.param(c, v))
		}
		if err := s.where(t, where); err != nil {
			return err
		}
		n, err = x.exec(ctx, s)
		return err
	})
	return n, err
}

func (x *tx) Delete(ctx context.Context, t store.Table, where []store.Cell) (n int64, err error) {
	err = x.run(ctx, "delete from", t, func(ctx context.Context) error {
		if len(where) == 0 {
			return errors.New("no condition: Truncate deletes all rows")
		}
		s := &statement{d: x.store.d}
		s.printf("DELETE FROM %s", x.store.d.table(t))
		if err := s.where(t, where); err != nil {
			return err
		}
		n, err = x.exec(ctx, s)
		return err
	})
	return n, err
}
