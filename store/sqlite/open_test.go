package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// contacts makes a file with three contacts in a journal mode, and closes it.
func contacts(t *testing.T, mode string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "customer.db")
	db := raw(t, path)
	_, err := db.Exec("PRAGMA journal_mode = " + mode + "; CREATE TABLE contact (contact_id int PRIMARY KEY, name nvarchar(9)) WITHOUT ROWID; INSERT INTO contact VALUES (1, 'a'), (2, 'b'), (3, 'c')")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return path
}

// raw opens a file as any other program does.
func raw(t *testing.T, path string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite", path)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// directory returns the files of a directory with their sizes and contents.
func directory(t *testing.T, path string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	files := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(path, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = fmt.Sprintf("%d %x", len(content), sha256.Sum256(content))
	}
	return files
}

// names returns the text of every contact's name, by a new look at the source.
func names(t *testing.T, src store.Source) string {
	t.Helper()
	got, err := readNames(t.Context(), src)
	require.NoError(t, err)
	return got
}

func readNames(ctx context.Context, src store.Source) (string, error) {
	tables, err := src.Tables(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for rows, err := range src.Rows(ctx, store.Query{Table: tables[0], Key: []string{"contact_id"}}) {
		if err != nil {
			return "", err
		}
		for _, row := range rows {
			b.WriteString(row[1].(string))
		}
	}
	return b.String(), nil
}

func TestOpenKeepsTheJournalMode(t *testing.T) {
	for _, mode := range []string{"delete", "wal"} {
		path := contacts(t, mode)
		st, err := sqlite.Open(t.Context(), path)
		require.NoError(t, err)
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
			return tx.Insert(t.Context(), contactTable(t, tx), []string{"contact_id", "name"}, []store.Row{{4, "d"}})
		}))
		var got string
		require.NoError(t, st.DB().Get(&got, "PRAGMA journal_mode"))
		require.Equal(t, mode, got)
		require.NoError(t, st.Close())
		require.Len(t, directory(t, filepath.Dir(path)), 1, "a clean end leaves nothing beside the file")
		require.Equal(t, "abcd", names(t, openSource(t, path)))
	}
}

// A wrapper hides what it does not pass on.
func TestStoreOffersWhatSqlstoreOffers(t *testing.T) {
	inner, outer := methods(&sqlstore.Store{}), methods(&sqlite.Store{})
	for _, name := range []string{"Query", "ReadDerived"} { // for the packages of engines
		require.True(t, inner[name])
		delete(inner, name)
	}
	for name := range inner {
		require.Contains(t, outer, name)
	}
	outer = methods(&sqlite.Source{})
	for name := range inner {
		if name != "Update" {
			require.Contains(t, outer, name)
		}
	}
}

func TestPathsThatAreNone(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	require.NoError(t, os.WriteFile(foreign, []byte(strings.Repeat("no database, ", 100)), 0o600))
	short := filepath.Join(dir, "short.db")
	require.NoError(t, os.WriteFile(short, []byte("SQLite format 3\x00"), 0o600))
	for name, c := range map[string]struct{ path, want string }{
		"empty":          {"", "open database: the path is empty: name the file of the database"},
		"no file":        {filepath.Join(dir, "none.db"), "none.db: file does not exist: check the path"},
		"a directory":    {dir, "it is a directory: name the file of the database"},
		"a foreign file": {foreign, "it is no SQLite database, or an encrypted one: check the path"},
		"a short file":   {short, "it is no SQLite database"},
	} {
		t.Run(name, func(t *testing.T) {
			before := directory(t, dir)
			_, err := sqlite.OpenSource(t.Context(), c.path)
			_, err2 := sqlite.Open(t.Context(), c.path)
			for _, err := range []error{err, err2} {
				require.ErrorContains(t, err, c.want)
				require.Equal(t, 1, strings.Count(err.Error(), "open "), err)
				require.NotErrorIs(t, err, store.ErrConnection)
				require.NotContains(t, err.Error(), "\n")
				require.Equal(t, 1, strings.Count(err.Error(), "SQLite")+strings.Count(err.Error(), "file does not")+strings.Count(err.Error(), "directory:")+strings.Count(err.Error(), "empty"), err)
			}
			require.Equal(t, before, directory(t, dir))
		})
	}
	_, err := sqlite.OpenSource(t.Context(), filepath.Join(dir, "none.db"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = sqlite.Create(t.Context(), foreign)
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = sqlite.Create(t.Context(), "")
	require.ErrorContains(t, err, "the path is empty")

	done, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(dir, "new.db")
	_, err = sqlite.Create(done, path)
	require.ErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, path, "what could not be opened is not left behind")
}

// A file that is damaged further in.
func TestCorruptFile(t *testing.T) {
	path := contacts(t, "DELETE")
	writer := raw(t, path)
	_, err := writer.Exec("WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO contact SELECT i, 'n' FROM n")
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	_, err = file.WriteAt(make([]byte, info.Size()/2), info.Size()/2/4096*4096)
	require.NoError(t, errors.Join(err, file.Close()))
	src := openSource(t, path)
	_, err = readNames(t.Context(), src)
	require.ErrorContains(t, err, "malformed")
	require.NotErrorIs(t, err, store.ErrConnection)
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, 1, strings.Count(err.Error(), "malformed"), err)
	require.ErrorContains(t, err, "restore a backup")
}

func openSource(t *testing.T, path string) *sqlite.Source {
	t.Helper()
	src, err := sqlite.OpenSource(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

// methods returns the names of the methods of a value.
func methods(v any) map[string]bool {
	names := map[string]bool{}
	for m := range reflect.TypeOf(v).Methods() {
		names[m.Name] = true
	}
	return names
}

func contactTable(t *testing.T, src store.Source) store.Table {
	t.Helper()
	tables, err := src.Tables(t.Context())
	require.NoError(t, err)
	return tables[0]
}

func copyFiles(t *testing.T, path string, suffixes ...string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	for _, suffix := range suffixes {
		content, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, content, 0o600))
	}
	return to
}

func memoryStore(t *testing.T) *sqlite.Store {
	t.Helper()
	st, err := sqlite.New(raw(t, ":memory:"))
	require.NoError(t, err)
	return st
}
