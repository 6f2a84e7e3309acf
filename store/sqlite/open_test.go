package sqlite_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
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

func openSource(t *testing.T, path string) *sqlite.Source {
	t.Helper()
	src, err := sqlite.OpenSource(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

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

func TestSourceCannotWrite(t *testing.T) {
	var src any = openSource(t, contacts(t, "DELETE"))
	_, ok := src.(store.Store)
	require.False(t, ok)
	_, ok = src.(interface{ DB() *sqlx.DB })
	require.False(t, ok)
}

// A wrapper hides what it does not pass on.
func TestStoreOffersWhatSqlstoreOffers(t *testing.T) {
	inner, outer := methods(&sqlstore.Store{}), methods(&sqlite.Store{})
	for name := range inner {
		if name != "Query" { // for the packages of engines
			require.Contains(t, outer, name)
		}
	}
	outer = methods(&sqlite.Source{})
	for name := range inner {
		if name != "Query" && name != "Update" {
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

// Permissions, as a user who has only those of the file: root has all.
func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not in the mode of a file there")
	}
	dir := os.Getenv("SQLITE_TEST_DIR")
	if dir == "" {
		dir = permissionFiles(t)
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o700) })
		if os.Geteuid() == 0 {
			asNobody(t, dir)
			return
		}
	}
	for _, name := range []string{"delete.db", "wal.db", "log.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "closed", name)
			src := openSource(t, path)
			require.Equal(t, "abc", names(t, src))
			_, err := sqlite.Open(t.Context(), path)
			require.ErrorIs(t, err, store.ErrPermission)
			require.ErrorContains(t, err, "may not write the file: to only read it there is OpenSource")
			require.Equal(t, 1, strings.Count(err.Error(), "open "), err)
			_, err = sqlite.Create(t.Context(), filepath.Join(dir, "closed", "new.db"))
			require.ErrorIs(t, err, store.ErrPermission)
			require.ErrorContains(t, err, "may not write to its directory")
		})
	}
	t.Run("no permission to read", func(t *testing.T) {
		_, err := sqlite.OpenSource(t.Context(), filepath.Join(dir, "closed", "secret.db"))
		require.ErrorIs(t, err, store.ErrPermission)
		require.ErrorContains(t, err, "this user may not read the file")
		require.NotContains(t, err.Error(), "\n")
	})
	t.Run("a file that may be written in a directory that may not", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), filepath.Join(dir, "closed", "writable.db"))
		require.NoError(t, err)
		defer st.Close()
		err = st.Update(t.Context(), func(tx store.Tx) error { return tx.Truncate(t.Context(), contactTable(t, tx)) })
		require.ErrorIs(t, err, store.ErrPermission)
		require.NotContains(t, err.Error(), "\n")
	})
}

// permissionFiles makes a directory that nobody may write to, with files in it.
func permissionFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	add := func(name, path string, mode os.FileMode, suffixes ...string) {
		for _, suffix := range append(suffixes, "") {
			content, err := os.ReadFile(path + suffix)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(closed, name+suffix), content, 0o600))
			require.NoError(t, os.Chmod(filepath.Join(closed, name+suffix), mode))
		}
	}
	add("delete.db", contacts(t, "DELETE"), 0o444)
	add("wal.db", contacts(t, "WAL"), 0o444)
	logged := contacts(t, "WAL")
	_, err := raw(t, logged).Exec("UPDATE contact SET name = name")
	require.NoError(t, err)
	add("log.db", logged, 0o444, "-wal", "-shm")
	add("secret.db", contacts(t, "DELETE"), 0)
	add("writable.db", contacts(t, "DELETE"), 0o666)
	require.NoError(t, os.Chmod(closed, 0o555))
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	return dir
}

// asNobody runs the test again as a user without root's powers.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	program := filepath.Join(dir, "sqlite.test")
	content, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, content, 0o600))
	require.NoError(t, os.Chmod(program, 0o755))
	temp := filepath.Join(dir, "temp")
	require.NoError(t, os.Mkdir(temp, 0o700))
	require.NoError(t, os.Chmod(temp, 0o777))
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestPermissions$", "-test.v")
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), "SQLITE_TEST_DIR="+dir, "TMPDIR="+temp)
	runAs(cmd, 65534)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestPermissions/wal.db")
}

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

func memoryStore(t *testing.T) *sqlite.Store {
	t.Helper()
	st, err := sqlite.New(raw(t, ":memory:"))
	require.NoError(t, err)
	return st
}
