package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

func TestIdentityOfAFile(t *testing.T) {
	path := contacts(t, "WAL")
	id := func(src store.Identifier) store.Identity {
		t.Helper()
		id, err := src.Identity(t.Context())
		require.NoError(t, err)
		return id
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	require.NoError(t, err)
	want := id(openSource(t, path))
	require.Equal(t, "SQLite", want.Engine)
	require.Regexp(t, `^3\.`, want.Version)
	require.Equal(t, filepath.Join(dir, "customer.db"), want.Database)
	require.NotEmpty(t, want.ID)

	link, hard := filepath.Join(t.TempDir(), "link.db"), filepath.Join(dir, "hard.db")
	require.NoError(t, os.Symlink(path, link))
	require.NoError(t, os.Link(path, hard))
	t.Chdir(filepath.Dir(path))
	st, err := sqlite.Open(t.Context(), "customer.db")
	require.NoError(t, err)
	defer st.Close()
	own, err := sqlite.New(raw(t, path))
	require.NoError(t, err)
	for name, src := range map[string]store.Identifier{
		"a symbolic link": openSource(t, link), "a hard link": openSource(t, hard), "a relative path": st, "a pool of the caller": own,
	} {
		require.Equal(t, want.ID, id(src).ID, name)
	}
	require.NotEqual(t, want.ID, id(openSource(t, copyFiles(t, path, ""))).ID, "a copy")

	one := memoryStore(t)
	require.Equal(t, id(one), id(one))
	require.Equal(t, ":memory:", id(one).Database)
}

// A database in memory can be that of another pool, which cannot be told. It is the
// same for one pool, and another one is never taken for it.
func TestIdentityInMemory(t *testing.T) {
	const create = "CREATE TABLE contact (id int NOT NULL PRIMARY KEY)"
	pool := func(dsn string) *sqlx.DB {
		db := raw(t, dsn)
		db.SetMaxOpenConns(4)
		return db
	}
	source := func(db *sqlx.DB) *sqlite.Source {
		src, err := sqlite.NewSource(db)
		require.NoError(t, err)
		return src
	}
	for _, dsn := range []string{"file::memory:?cache=shared", "file:x?mode=memory&cache=shared", "file:/x?vfs=memdb"} {
		db, other := pool(dsn), pool(dsn)
		db.MustExec(create)
		st, err := sqlite.New(db)
		require.NoError(t, err)
		for name, src := range map[string]*sqlite.Source{"its pool": source(db), "another pool": source(other)} {
			id, err := src.Identity(t.Context())
			require.NoError(t, err)
			require.Empty(t, id.ID, "%s: %s", dsn, name)
		}
		_, err = newMirror(t, st).Compare(t.Context(), source(db), nil)
		require.ErrorIs(t, err, mirror.ErrWrongDatabase, dsn)
		require.ErrorContains(t, err, "the same database")
	}
	one, two := memoryStore(t), memoryStore(t)
	one.DB().MustExec(create)
	two.DB().MustExec(create + "; INSERT INTO contact VALUES (1)")
	report, err := newMirror(t, one).Compare(t.Context(), two, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Table("contact").Missing)
}
