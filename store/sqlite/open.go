package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// Source reads a database. It has no method that writes.
type Source struct {
	reader
	db    *sqlx.DB
	owned bool // OpenSource, Open or Create made the pool

	file os.FileInfo // that a pool which writes has open, whatever comes to its path; nil: it reads
}

// reader is the part of a sqlstore.Store that reads.
type reader interface {
	store.Source
	store.Pool
	store.BatchKeeper
	store.AnyValuer
	store.Cutter
	store.Decoder
	store.Digester
	store.KeyReader
	store.Identifier
	store.Inventorier
}

// Store is a mirror's database.
type Store struct {
	Source
	sql *sqlstore.Store
}

var (
	_ store.Source      = (*Source)(nil)
	_ store.Identifier  = (*Source)(nil)
	_ store.Inventorier = (*Source)(nil)
	_ store.Digester    = (*Source)(nil)
	_ store.KeyReader   = (*Source)(nil)
	_ store.Store       = (*Store)(nil)
)

// New returns a store over a pool of the driver "sqlite". The caller owns the
// pool. For a database in memory every connection sees one of its own, so such
// a pool is limited to one connection and cannot be compared with itself; that two
// pools share one, as with cache=shared, cannot be told.
func New(db *sqlx.DB) (*Store, error) {
	st, err := sqlstore.New(db, dialect())
	if err != nil {
		return nil, err
	}
	return &Store{Source: Source{reader: st, db: db}, sql: st}, nil
}

// NewSource is [New] for a database that is only read. What reading does to the
// file and beside it is for the caller's pool to say: see [OpenSource].
func NewSource(db *sqlx.DB) (*Source, error) {
	st, err := New(db)
	if err != nil {
		return nil, err
	}
	return &st.Source, nil
}

// OpenSource opens the file at path for reading. It changes nothing in the file
// and makes none beside it, so a file that nobody may write, in a directory that
// nobody may write, is read like any other. [Source.Close] closes it.
//
// A file that others write meanwhile is read with SQLite's own locks. One in WAL
// mode is read with the log that lies beside it. Where there is no log, and none
// may be made, SQLite can take no lock: then a read ends with an error when the
// file was changed before it was done. Refused is what cannot be read as it is:
// the journal of a writer that died, and a log whose index is missing, as after a
// copy. Whoever opens the same file in the same process does so with this
// package: to close a file frees all locks that a process has on it.
func OpenSource(ctx context.Context, path string) (*Source, error) {
	st, err := open(ctx, path, toRead)
	if err != nil {
		return nil, err
	}
	return &st.Source, nil
}

// Open opens the file at path for reading and writing. The file must be there,
// and keeps its journal mode: in WAL mode readers and the writer do not wait for
// each other, in the others they do, for up to 10 seconds. [Source.Close] closes
// it.
func Open(ctx context.Context, path string) (*Store, error) { return open(ctx, path, toWrite) }

// Create makes a new file at path, in WAL mode, and opens it as [Open] does. A
// file that is there already is an error.
func Create(ctx context.Context, path string) (*Store, error) {
	if path == "" {
		return nil, errNoPath
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		err = file.Close()
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("create %s: %w: Open opens it", path, fs.ErrExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("create %s: %w: this user may not write to its directory", path, store.ErrPermission)
	case err != nil:
		return nil, fmt.Errorf("create database: %w", err)
	}
	st, err := open(ctx, path, toCreate)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return st, nil
}

func open(ctx context.Context, path string, p purpose) (*Store, error) {
	var l look
	c, err := newConnector(path, p)
	if err == nil {
		l, err = c.look()
	}
	if err != nil {
		return nil, err
	}
	st, err := New(sqlx.NewDb(sql.OpenDB(c), "sqlite"))
	if err != nil {
		return nil, err
	}
	st.owned = true
	if p != toRead {
		st.file = l.info
	}
	// SQLite looks at a file only when it is asked something about it.
	err = st.sql.Query(ctx, "open "+path, func(ctx context.Context, q sqlx.QueryerContext) error {
		var version int64
		return sqlx.GetContext(ctx, q, &version, "PRAGMA schema_version")
	})
	if err != nil {
		_ = st.Close()
		return nil, err
	}
	return st, nil
}

// Close closes the file if OpenSource, Open or Create opened it.
func (s *Source) Close() error {
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// DB returns the pool.
func (s *Store) DB() *sqlx.DB { return s.db }

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	return s.sql.Update(ctx, fn)
}
