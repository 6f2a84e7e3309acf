package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// joinedSchema is the name by which a join's connections know the mirror's file.
const joinedSchema = "so_mirror_joined"

var _ store.Joiner = (*Source)(nil)

// Join implements store.Joiner for a mirror in another file, with connections of its
// own that read both.
func (s *Source) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	var other *Source
	switch m := mirror.(type) {
	case *Source:
		other = m
	case *Store:
		other = &m.Source
	default:
		return nil, fmt.Errorf("the mirror is not read by this package: %w", errors.ErrUnsupported)
	}
	c, err := s.joinable(ctx)
	if err == nil {
		c.joined, err = other.joinable(ctx)
	}
	if err != nil {
		return nil, err
	}
	db := sqlx.NewDb(sql.OpenDB(c), "sqlite")
	st, err := sqlstore.New(db, dialect())
	if err == nil {
		err = st.Query(ctx, "join", func(ctx context.Context, q sqlx.QueryerContext) error {
			var version int64
			return sqlx.GetContext(ctx, q, &version, "PRAGMA "+joinedSchema+".schema_version")
		})
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return sqlstore.NewJoin(st, joinedName, db.Close), nil
}

// joinable returns what opens the file once more, to read it. A pool that this
// package did not open may hold locks that closing a file would free, so its file is
// opened by SQLite alone.
func (s *Source) joinable(ctx context.Context) (*connector, error) {
	id, err := s.Identity(ctx)
	if err != nil {
		return nil, err
	}
	if id.ID == "" {
		return nil, fmt.Errorf("a database that is not in a file: %w", errors.ErrUnsupported)
	}
	c, err := newConnector(id.Database, toRead)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
	}
	c.foreign = !s.owned
	return c, nil
}

func joinedName(t store.Table) []string { return []string{joinedSchema, t.Name} }

// storedValue holds a value as it is stored, whatever the collation of its column.
// SQLite calls 5 and 5.0 equal, and 0.0 and -0.0, which columns of these kinds can hold.
func (f *file) storedValue(c store.Column, name string) ([]string, error) {
	exprs := []string{name + " COLLATE BINARY"}
	switch k := c.Type.Kind(); {
	case k == store.KindOther:
		return nil, fmt.Errorf("values of type %s: %w", c.Type, errors.ErrUnsupported)
	case strict(k):
		zero := f.call(hashFunction, string(letter(store.KindFloat)), name)
		exprs = append(exprs, "typeof("+name+")", fmt.Sprintf("CASE WHEN +%s = 0 THEN %s END", name, zero))
	}
	return exprs, nil
}
