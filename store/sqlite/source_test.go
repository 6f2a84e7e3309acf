package sqlite_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

func TestSourceLeavesNoTrace(t *testing.T) {
	for _, mode := range []string{"DELETE", "PERSIST", "WAL"} {
		t.Run(mode, func(t *testing.T) {
			path := contacts(t, mode)
			before := directory(t, filepath.Dir(path))
			src := openSource(t, path)
			require.Equal(t, "abc", names(t, src))
			m, err := mirror.New("C1", open(t), nil)
			require.NoError(t, err)
			_, err = m.Status(t.Context())
			require.NoError(t, err)
			n, err := src.Count(t.Context(), store.Table{Name: "contact"})
			require.NoError(t, err)
			require.EqualValues(t, 3, n)
			_, err = src.DigestEvery(t.Context(), store.Query{Table: contactTable(t, src), Key: []string{"contact_id"}}, 2)
			require.NoError(t, err)
			require.Equal(t, before, directory(t, filepath.Dir(path)), "while it is open")
			require.NoError(t, src.Close())
			require.Equal(t, before, directory(t, filepath.Dir(path)))
		})
	}
}

// What somebody else writes is seen, whatever the file looked like before.
func TestSourceSeesWhatIsWritten(t *testing.T) {
	for _, mode := range []string{"DELETE", "WAL"} {
		t.Run(mode, func(t *testing.T) {
			path := contacts(t, mode)
			src := openSource(t, path)
			require.Equal(t, "abc", names(t, src))
			writer := raw(t, path)
			for i, name := range []string{"x", "y"} {
				_, err := writer.Exec("UPDATE contact SET name = ? WHERE contact_id = 1", name)
				require.NoError(t, err)
				require.Equal(t, name+"bc", names(t, src), "while the writer is there, change %d", i)
			}
			require.NoError(t, writer.Close())
			require.Equal(t, "ybc", names(t, src), "after it")
			writer = raw(t, path)
			_, err := writer.Exec("UPDATE contact SET name = 'z' WHERE contact_id = 2")
			require.NoError(t, err)
			require.NoError(t, writer.Close())
			require.Equal(t, "yzc", names(t, src), "after another one that came and went")
		})
	}
}

// The log of a writer that lives, or that died, is part of the database.
func TestSourceReadsTheLog(t *testing.T) {
	path := contacts(t, "WAL")
	writer := raw(t, path)
	_, err := writer.Exec("UPDATE contact SET name = 'x'")
	require.NoError(t, err)
	require.Equal(t, "xxx", names(t, openSource(t, path)))

	dead := copyFiles(t, path, "", "-wal", "-shm")
	before := directory(t, filepath.Dir(dead))
	require.Equal(t, "xxx", names(t, openSource(t, dead)), "nobody holds its locks")
	require.Equal(t, before, directory(t, filepath.Dir(dead)))

	noIndex := copyFiles(t, path, "", "-wal")
	before = directory(t, filepath.Dir(noIndex))
	_, err = sqlite.OpenSource(t.Context(), noIndex)
	require.ErrorContains(t, err, "a write-ahead log, customer.db-wal, but not its index")
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, before, directory(t, filepath.Dir(noIndex)))
	_, err = raw(t, noIndex).Exec("SELECT * FROM contact") // the way out that the error names
	require.NoError(t, err)
	require.Equal(t, "xxx", names(t, openSource(t, noIndex)))
}

func TestSourceRefusesAHotJournal(t *testing.T) {
	for _, mode := range []string{"DELETE", "WAL"} {
		t.Run(mode, func(t *testing.T) {
			path := contacts(t, "DELETE")
			writer := raw(t, path)
			// A cache of one page writes to the file before the commit.
			_, err := writer.Exec("PRAGMA cache_size = 1; CREATE TABLE later (a); BEGIN; UPDATE contact SET name = 'x'; INSERT INTO later SELECT randomblob(3000) FROM contact a, contact b, contact c")
			require.NoError(t, err)
			dead := copyFiles(t, path, "", "-journal")
			if mode == "WAL" { // died while it left that mode
				file, err := os.OpenFile(dead, os.O_RDWR, 0)
				require.NoError(t, err)
				_, err = file.WriteAt([]byte{2, 2}, 18)
				require.NoError(t, errors.Join(err, file.Close()))
			}
			before := directory(t, filepath.Dir(dead))
			_, err = sqlite.OpenSource(t.Context(), dead)
			require.ErrorContains(t, err, "left a journal beside the file: open it once with a program that may write")
			require.NotContains(t, err.Error(), "\n")
			require.Equal(t, before, directory(t, filepath.Dir(dead)))
			if mode == "DELETE" {
				st, err := sqlite.Open(t.Context(), dead)
				require.NoError(t, err)
				defer st.Close()
				require.Equal(t, "abc", names(t, openSource(t, dead)), "the change was taken back")
			}
		})
	}
}

// A file that no lock can be taken on must not change while it is read.
func TestSourceThatChangesWhileItIsRead(t *testing.T) {
	path := contacts(t, "WAL")
	writer := raw(t, path)
	_, err := writer.Exec("WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO contact SELECT i, 'n' FROM n")
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	src := openSource(t, path)
	table := contactTable(t, src)
	rows := 0
	var failed error
	for batch, err := range src.Rows(t.Context(), store.Query{Table: table, Key: table.Key}) {
		if failed = err; err != nil {
			break
		}
		if rows == 0 {
			writer := raw(t, path)
			_, err := writer.Exec("UPDATE contact SET name = 'new'")
			require.NoError(t, err)
			require.NoError(t, writer.Close())
		}
		rows += len(batch)
	}
	require.ErrorContains(t, failed, "was changed while it was read: read it again")
	require.NotContains(t, failed.Error(), "\n")
	require.NotErrorIs(t, failed, store.ErrConnection)
	n, err := src.Count(t.Context(), table)
	require.NoError(t, err)
	require.EqualValues(t, 20000, n)
	require.Equal(t, "newnew", names(t, src)[:6])
}

// Closing what was opened without locks must not free the locks of a store in
// this process: another process then takes the file for nobody's.
func TestSourceKeepsTheLocksOfAStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows frees a lock with the handle that took it")
	}
	path := contacts(t, "DELETE")
	if os.Getenv("SQLITE_TEST_WRITE") != "" {
		path = os.Getenv("SQLITE_TEST_WRITE")
		db := raw(t, path)
		_, err := db.Exec("PRAGMA busy_timeout = 0; UPDATE contact SET name = 'stolen'")
		require.ErrorContains(t, err, "locked")
		return
	}
	st, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	defer st.Close()
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		src, err := sqlite.OpenSource(t.Context(), path)
		require.NoError(t, err)
		require.Equal(t, "abc", names(t, src))
		require.NoError(t, src.Close())
		other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSourceKeepsTheLocksOfAStore$", "-test.count=1")
		other.Env = append(os.Environ(), "SQLITE_TEST_WRITE="+path)
		out, err := other.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return nil
	}))
}

func TestSourceCannotWrite(t *testing.T) {
	var src any = openSource(t, contacts(t, "DELETE"))
	_, ok := src.(store.Store)
	require.False(t, ok)
	_, ok = src.(interface{ DB() *sqlx.DB })
	require.False(t, ok)
}

// A Source over the caller's own pool reads, writes nothing, and leaves the pool open.
func TestNewSource(t *testing.T) {
	_, err := sqlite.NewSource(nil)
	require.ErrorContains(t, err, "db is nil")

	path := contacts(t, "DELETE")
	db := raw(t, path)
	src, err := sqlite.NewSource(db)
	require.NoError(t, err)
	for _, writer := range []any{(*store.Store)(nil), (*interface{ DB() *sqlx.DB })(nil)} {
		require.False(t, reflect.TypeOf(src).Implements(reflect.TypeOf(writer).Elem()), "%T", writer)
	}
	before := directory(t, filepath.Dir(path))
	st, err := sqlite.Open(t.Context(), copyFiles(t, path, ""))
	require.NoError(t, err)
	defer st.Close()
	for _, opts := range everyWay() {
		report, err := newMirror(t, st).Compare(t.Context(), src, opts)
		require.NoError(t, err)
		require.True(t, report.Identical(), "%s", report)
		require.Positive(t, report.Table("contact").SourceRows)
	}
	require.Equal(t, before, directory(t, filepath.Dir(path)))
	st.DB().MustExec("DELETE FROM contact WHERE contact_id = (SELECT min(contact_id) FROM contact)")
	report, err := newMirror(t, st).Compare(t.Context(), src, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Table("contact").Missing)

	require.NoError(t, src.Close())
	var n int64
	require.NoError(t, db.Get(&n, "SELECT count(*) FROM contact"), "the pool is the caller's")
	require.Equal(t, report.Table("contact").SourceRows, n)
	require.NoError(t, db.Close())
	_, err = src.Tables(t.Context())
	require.ErrorContains(t, err, "database is closed")
}
