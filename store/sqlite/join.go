package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

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
			if err := s.isIn(ctx, q, "main"); err != nil {
				return err
			}
			return other.isIn(ctx, q, joinedSchema)
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
	c.same = s.file
	if !s.owned {
		c.foreign, err = s.foreignFile(ctx, c.path)
	}
	return c, err
}

func errReplaced(path string) error {
	return fmt.Errorf("open %s: it is another file than before: %w", path, errors.ErrUnsupported)
}

// foreignFile is a file that a pool of the caller's has open, and that is not looked
// into: to close it would free the pool's locks.
type foreignFile struct {
	info os.FileInfo
	wal  bool
}

// firstPage has the version of the file's format, and the counter of its changes.
const firstPage = "SELECT COALESCE((SELECT data FROM sqlite_dbpage(?1) WHERE pgno = 1), x'')"

func (s *Source) foreignFile(ctx context.Context, path string) (*foreignFile, error) {
	var page []byte
	if err := s.db.GetContext(ctx, &page, firstPage, "main"); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	f := &foreignFile{info: info, wal: len(page) > readVersion && page[readVersion] == walVersion}
	return f, f.check(path)
}

// check refuses a file that came to the path later, and one that SQLite cannot read
// without making a log.
func (f *foreignFile) check(path string) error {
	info, err := statFile(path)
	switch {
	case err != nil:
		return err
	case !os.SameFile(info, f.info):
		return errReplaced(path)
	case f.wal && (sizeOf(path+"-wal") < 0 || sizeOf(path+"-shm") < 0):
		return fmt.Errorf("open %s: it has no log, and none is made for a pool of somebody else: %w", path, errors.ErrUnsupported)
	}
	return nil
}

// isIn makes sure that a connection reads the file of s by the name of a schema. Where
// a pool is the caller's, another file may have come to its path.
func (s *Source) isIn(ctx context.Context, q sqlx.QueryerContext, schema string) error {
	for range 3 { // somebody may write meanwhile
		var joined, own []byte
		if err := sqlx.GetContext(ctx, q, &joined, firstPage, schema); err != nil {
			return err
		}
		if s.owned {
			return nil
		}
		if err := s.db.GetContext(ctx, &own, firstPage, "main"); err != nil {
			return err
		}
		if bytes.Equal(joined, own) {
			return nil
		}
	}
	return fmt.Errorf("the file at the path of a database is not the one that its pool reads: %w", errors.ErrUnsupported)
}

func joinedName(t store.Table) []string { return []string{joinedSchema, t.Name} }

// keyed makes sure that a table has a primary key, of columns that are among those of
// key and never NULL. Another program may have made it anew since it was listed. Values
// of a key are alike on two sides only if the affinities of its columns are.
func keyed(ctx context.Context, q sqlx.QueryerContext, table, key []string) (alike string, err error) {
	var columns []struct {
		Name    string
		Type    string
		NotNull bool
		PK      int
		IsRowID bool `db:"is_rowid"` // which is never NULL, whatever the catalogue says
	}
	err = sqlx.SelectContext(ctx, q, &columns, `SELECT name, type, "notnull", pk,
		NOT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2) WHERE origin = 'pk') AS is_rowid
		FROM pragma_table_info(?1, ?2)`, table[1], table[0])
	switch {
	case err != nil:
		return "", err
	case len(columns) == 0:
		return "", fmt.Errorf("no such table: %s", table[1])
	}
	has := false
	affinities := make([]string, len(key))
	for _, c := range columns {
		i := slices.Index(key, c.Name)
		switch {
		case i < 0 && c.PK > 0:
			return "", fmt.Errorf("the primary key of %s is another one: %w", table[1], errors.ErrUnsupported)
		case i < 0:
			continue
		case !c.NotNull && (c.PK == 0 || !c.IsRowID):
			return "", fmt.Errorf("column %s of the key of %s may be NULL: %w", c.Name, table[1], errors.ErrUnsupported)
		}
		has = has || c.PK > 0
		affinities[i] = affinityOf(c.Type)
	}
	if !has {
		return "", fmt.Errorf("the primary key of %s is another one: %w", table[1], errors.ErrUnsupported)
	}
	return strings.Join(affinities, " "), nil
}

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
