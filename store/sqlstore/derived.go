package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// Derived is what stands in the place of a table when rows are read that the
// table does not hold, such as those of its keys that changed. Bind binds a
// value and returns its placeholder.
type Derived struct {
	// From returns what follows FROM. It has the columns of the table that are
	// read, each under its own name and of its own type.
	From func(bind func(v any) string) string

	// Then returns a query for one value, which follows in the same batch: the
	// server runs it when all rows have been read.
	Then func(bind func(v any) string) string

	// Check is given that value, nil for NULL. With its error no rows come.
	Check func(v any) error
}

// ReadDerived returns the rows of a query whose table is replaced, as Rows would
// deliver them from the table. It is for use inside of [Store.Query].
func (s *Store) ReadDerived(ctx context.Context, db sqlx.QueryerContext, q store.Query, from Derived) ([]store.Row, error) {
	f := frame{derived: &from}
	f.before, f.behind = s.d.aroundRead(q.Table)
	table := s.d.table(q.Table)
	_, f.exact = s.exact.Load(table)
	for {
		r, err := newReader(s.d, q, f)
		if err != nil {
			return nil, err
		}
		r.then = func(rows *sql.Rows) error { return from.check(rows) }
		var all []store.Row
		err = r.readScan(ctx, db, func(batch []store.Row, _ error) bool {
			for _, row := range batch {
				all = append(all, row.Clone())
			}
			return true
		})
		if f.exact || !errors.Is(err, errInexact) {
			return all, err
		}
		s.exact.Store(table, true)
		f.exact = true
	}
}

// check reads the value that follows the rows.
func (d Derived) check(rows *sql.Rows) error {
	if !rows.NextResultSet() || !rows.Next() {
		return errors.Join(errors.New("the value that has to follow the rows did not come"), rows.Err())
	}
	var v any
	if err := rows.Scan(&v); err != nil {
		return err
	}
	for rows.Next() { // to the end, where errors of the rest of the batch are
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return d.Check(v)
}
