package sqlite_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// contactQuery asks for all contacts.
func contactQuery(t *testing.T, src store.Source) store.Query {
	t.Helper()
	table := contactTable(t, src)
	return store.Query{Table: table, Columns: table.ColumnNames(), Key: table.Key}
}

// A connection that has a file open without locks outlives the locks of others, and
// lets go of those that it has on the other file.
func TestJoinKeepsTheLocksOfAStore(t *testing.T) {
	for _, modes := range [][2]string{{"WAL", "DELETE"}, {"DELETE", "WAL"}, {"WAL", "WAL"}} {
		sourcePath, mirrorPath := contacts(t, modes[0]), contacts(t, modes[1])
		source, target := openSource(t, sourcePath), openSource(t, mirrorPath)
		join, err := source.Join(t.Context(), target)
		require.NoError(t, err)
		_, err = join.Suspects(t.Context(), contactQuery(t, source), contactQuery(t, target), 10)
		require.NoError(t, err)
		var writers []*sqlite.Store
		for _, path := range []string{sourcePath, mirrorPath} {
			st, err := sqlite.Open(t.Context(), path)
			require.NoError(t, err)
			writers = append(writers, st)
		}
		require.NoError(t, join.Close())
		done := make(chan error, 1)
		go func() {
			for _, st := range writers {
				if err := st.Close(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			require.Fail(t, "the files wait for each other")
		}
	}
}

// Whatever a join opens and closes, a store of this process keeps its locks on either
// file: another process finds it locked.
func TestJoinFreesNoLock(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows frees a lock with the handle that took it")
	}
	for _, mode := range []string{"DELETE", "WAL"} {
		byPath := func(path string) *sqlite.Source { return openSource(t, path) }
		byPool := func(path string) *sqlite.Source {
			src, err := sqlite.NewSource(raw(t, path))
			require.NoError(t, err)
			return src
		}
		write := func(path string) (*sqlite.Store, error) { return sqlite.Open(t.Context(), path) }
		writeByPool := func(path string) (*sqlite.Store, error) { return sqlite.New(raw(t, path)) }
		for name, c := range map[string]struct {
			write func(path string) (*sqlite.Store, error)
			open  func(path string) *sqlite.Source
		}{"files": {write, byPath}, "a file and pools of the caller": {write, byPool}, "pools of the caller": {writeByPool, byPool}} {
			t.Run(mode+" "+name, func(t *testing.T) {
				path, otherPath := contacts(t, mode), contacts(t, mode)
				st, err := c.write(path)
				require.NoError(t, err)
				defer st.Close()
				require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
					one, other := c.open(path), c.open(otherPath)
					for _, sides := range [][2]*sqlite.Source{{one, other}, {other, one}} {
						join, err := sides[0].Join(t.Context(), sides[1])
						require.NoError(t, err)
						found, err := join.Suspects(t.Context(), contactQuery(t, sides[0]), contactQuery(t, sides[1]), 10)
						require.NoError(t, err)
						require.EqualValues(t, 3, found.MirrorRows)
						require.NoError(t, join.Close())
					}
					require.NoError(t, errors.Join(one.Close(), other.Close()))
					child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSourceKeepsTheLocksOfAStore$", "-test.count=1")
					child.Env = append(os.Environ(), "SQLITE_TEST_WRITE="+path)
					out, err := child.CombinedOutput()
					require.NoError(t, err, "%s", out)
					return nil
				}))
			})
		}
	}
}

// openFiles returns the files below a directory that this process has open, where the
// system tells.
func openFiles(t *testing.T, dir string) (open []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(to, dir) {
			open = append(open, to)
		}
	}
	return open
}

// joinSide is a way to have a database open.
type joinSide struct {
	name string
	open func(t *testing.T, script string) (src store.Source, path string)
	not  bool // one engine cannot read it together with a plain file
}

// made makes a file in a journal mode, and leaves nothing beside it.
func made(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.db")
	db := raw(t, path)
	db.MustExec(script)
	require.NoError(t, db.Close())
	return path
}

func joinSides() []joinSide {
	pool := func(t *testing.T, dsn string) store.Source {
		st, err := sqlite.New(raw(t, dsn))
		require.NoError(t, err)
		return st
	}
	return []joinSide{
		{name: "a file", open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, script)
			return openSource(t, path), path
		}},
		{name: "a file in WAL mode", open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, "PRAGMA journal_mode = WAL;"+script)
			return openSource(t, path), path
		}},
		{name: "a file with a log", open: func(t *testing.T, script string) (store.Source, string) {
			path := filepath.Join(t.TempDir(), "log.db")
			raw(t, path).MustExec("PRAGMA journal_mode = WAL;" + script)
			return openSource(t, path), path
		}},
		{name: "a file with the log of a writer that died", open: func(t *testing.T, script string) (store.Source, string) {
			path := filepath.Join(t.TempDir(), "log.db")
			raw(t, path).MustExec("PRAGMA journal_mode = WAL;" + script)
			dead := copyFiles(t, path, "", "-wal", "-shm")
			return openSource(t, dead), dead
		}},
		{name: "a store", open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, script)
			st, err := sqlite.Open(t.Context(), path)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st, path
		}},
		{name: "a store in WAL mode", open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, "PRAGMA journal_mode = WAL;"+script)
			st, err := sqlite.Open(t.Context(), path)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st, path
		}},
		{name: "a pool of the caller", open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, script)
			return pool(t, path), path
		}},
		{name: "a pool of the caller in WAL mode", open: func(t *testing.T, script string) (store.Source, string) {
			path := filepath.Join(t.TempDir(), "pool.db")
			src := pool(t, path)
			src.(*sqlite.Store).DB().MustExec("PRAGMA journal_mode = WAL;" + script)
			return src, path
		}},
		{name: "a pool of the caller that takes no locks", not: true, open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, "PRAGMA journal_mode = WAL;"+script)
			return pool(t, "file:"+path+"?immutable=1"), path
		}},
		{name: "a database in memory", not: true, open: func(t *testing.T, script string) (store.Source, string) {
			src := pool(t, ":memory:")
			src.(*sqlite.Store).DB().MustExec(script)
			return src, ""
		}},
		{name: "a file in UTF-16", not: true, open: func(t *testing.T, script string) (store.Source, string) {
			path := made(t, "PRAGMA encoding = 'UTF-16be';"+script)
			return openSource(t, path), path
		}},
	}
}

// traces are the files of a directory. What readers note in the index of a log is
// none.
func traces(t *testing.T, path string) map[string]string {
	t.Helper()
	if path == "" {
		return nil
	}
	files := directory(t, filepath.Dir(path))
	for name := range files {
		if strings.HasSuffix(name, "-shm") {
			files[name] = ""
		}
	}
	return files
}

// Whatever a side is, a join finds what a stream finds, or is none; it leaves no trace
// beside the files, and closes what it opens.
func TestJoinOfAnySides(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const create = "CREATE TABLE contact (contact_id int NOT NULL PRIMARY KEY, name nvarchar(9)) WITHOUT ROWID; INSERT INTO contact VALUES "
	const ofSource, ofMirror = create + "(1, 'a'), (2, 'b'), (3, 'ø'), (4, '')", create + "(1, 'A'), (2, 'b'), (3, 'ø '), (5, '')"
	for _, s := range joinSides() {
		for _, m := range joinSides() {
			t.Run(s.name+" and "+m.name, func(t *testing.T) {
				source, sourcePath := s.open(t, ofSource)
				target, mirrorPath := m.open(t, ofMirror)
				for _, src := range []store.Source{source, target} {
					_, err := src.Tables(t.Context())
					require.NoError(t, err)
				}
				before := []map[string]string{traces(t, sourcePath), traces(t, mirrorPath)}
				can := !s.not && !m.not || strings.HasSuffix(s.name, "UTF-16") && strings.HasSuffix(m.name, "UTF-16")
				join, err := store.JoinOf(t.Context(), source, target)
				if can {
					require.NoError(t, err)
					found, err := join.Suspects(t.Context(), contactQuery(t, source), contactQuery(t, target), 10)
					require.NoError(t, err)
					require.Equal(t, store.Suspects{SourceRows: 4, MirrorRows: 4, Keys: []store.Row{{int64(1)}, {int64(3)}, {int64(4)}, {int64(5)}}}, found)
					require.NoError(t, join.Close())
				} else {
					require.Error(t, err)
				}
				if st, ok := target.(store.Store); ok {
					joined, report := joinedLike(t, source, st, mirror.CompareOptions{Tuning: mirror.Tuning{DigestRows: 1}})
					require.EqualValues(t, []int64{1, 1, 2}, []int64{report.Tables[0].Missing, report.Tables[0].Extra, report.Tables[0].Changed}, "%s", report)
					require.Equal(t, can, joined == 1, "%s", report)
				}
				require.Equal(t, before, []map[string]string{traces(t, sourcePath), traces(t, mirrorPath)})
			})
		}
	}
	require.Empty(t, openFiles(t, filepath.Join(os.TempDir(), "TestJoinOfAnySides")), "all is closed")
}

// A pool that still reads the file that was at a path is not joined with the one that
// is there now.
func TestJoinOfAReplacedFile(t *testing.T) {
	path, other := contacts(t, "DELETE"), contacts(t, "DELETE")
	source, err := sqlite.NewSource(raw(t, path))
	require.NoError(t, err)
	require.Equal(t, "abc", names(t, source))
	replaced := copyFiles(t, path, "")
	raw(t, replaced).MustExec("UPDATE contact SET name = 'new'")
	require.NoError(t, os.Rename(replaced, path))
	require.Equal(t, "abc", names(t, source))
	target, err := sqlite.Open(t.Context(), other)
	require.NoError(t, err)
	defer target.Close()
	for _, sides := range [][2]store.Source{{source, target}, {target, source}} {
		_, err = store.JoinOf(t.Context(), sides[0], sides[1])
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorContains(t, err, "is not the one that its pool reads")
	}
	joined, report := joinedLike(t, source, target, mirror.CompareOptions{})
	require.Zero(t, joined)
	require.True(t, report.Identical(), "%s", report)
}

// during is a source of which somebody else does something after each answer of a join.
type during struct {
	*sqlite.Source
	do func(n int)
}

func (s during) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	join, err := s.Source.Join(ctx, mirror)
	return &duringJoin{Join: join, do: s.do}, err
}

type duringJoin struct {
	store.Join
	n  int
	do func(n int)
}

func (j *duringJoin) Suspects(ctx context.Context, source, mirror store.Query, limit int) (store.Suspects, error) {
	found, err := j.Join.Suspects(ctx, source, mirror, limit)
	j.n++
	j.do(j.n)
	return found, err
}

// A file that is written to, goes into WAL mode or leaves it, or is replaced while it
// is joined: what was compared before is as it was then, what comes after as it is now.
func TestJoinOfAFileThatChanges(t *testing.T) {
	const rows = 400
	fill := func(t *testing.T, mode string) string {
		path := contacts(t, mode)
		writer := raw(t, path)
		writer.MustExec("WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO contact SELECT i, 'n' FROM n")
		require.NoError(t, writer.Close())
		return path
	}
	write := func(t *testing.T, path, script string) {
		writer := raw(t, path)
		writer.MustExec(script)
		require.NoError(t, writer.Close())
	}
	const change = "UPDATE contact SET name = 'new' WHERE contact_id IN (1, 2, 399);"
	for _, mode := range []string{"DELETE", "WAL"} {
		for name, do := range map[string]func(t *testing.T, path string){
			"written":      func(t *testing.T, path string) { write(t, path, change) },
			"out of WAL":   func(t *testing.T, path string) { write(t, path, change+"PRAGMA journal_mode = DELETE") },
			"into WAL":     func(t *testing.T, path string) { write(t, path, change+"PRAGMA journal_mode = WAL") },
			"with a log":   func(t *testing.T, path string) { raw(t, path).MustExec(change) },
			"other schema": func(t *testing.T, path string) { write(t, path, change+"CREATE TABLE another (a int)") },
			"vacuum":       func(t *testing.T, path string) { write(t, path, change+"VACUUM") },
			"replaced": func(t *testing.T, path string) {
				other := copyFiles(t, path, "")
				write(t, other, change)
				require.NoError(t, os.Rename(other, path))
			},
		} {
			t.Run(mode+" "+name, func(t *testing.T) {
				path := fill(t, mode)
				target, err := sqlite.Open(t.Context(), fill(t, mode))
				require.NoError(t, err)
				defer target.Close()
				asked := 0
				source := during{openSource(t, path), func(n int) {
					if asked = n; n == 1 {
						do(t, path)
					}
				}}
				o := &mirror.CompareOptions{Strategy: mirror.StrategyJoin, Tuning: mirror.Tuning{DigestRows: 25, Concurrency: 1}}
				report, err := newMirror(t, target).Compare(t.Context(), source, o)
				require.NoError(t, err)
				tr := report.Table("contact")
				require.Equal(t, 4, asked)
				require.Equal(t, mirror.StrategyJoin, tr.Strategy, "%s", report)
				require.EqualValues(t, []int64{1, rows, rows}, []int64{tr.Changed, tr.SourceRows, tr.MirrorRows}, "%s", report)
				require.EqualValues(t, 399, tr.Samples[0].Key[0].Value)
				require.Equal(t, "new", tr.Samples[0].Columns[0].Source.Value)
				joined, report := joinedLike(t, source.Source, target, mirror.CompareOptions{})
				require.Equal(t, 1, joined)
				require.EqualValues(t, 3, report.Table("contact").Changed)
			})
		}
	}
}

// A table that is dropped or made anew while it is joined fails, or is compared as it
// is then.
func TestJoinOfATableThatGoes(t *testing.T) {
	for name, script := range map[string]string{
		"dropped":            "DROP TABLE contact",
		"another column":     "ALTER TABLE contact RENAME COLUMN name TO title",
		"without the key":    "DROP TABLE contact; CREATE TABLE contact (contact_id int NOT NULL, name nvarchar(9)); INSERT INTO contact VALUES (1, 'a'), (1, 'a'), (3, 'c')",
		"a view of its name": "ALTER TABLE contact RENAME TO contacts; CREATE VIEW contact AS SELECT contact_id, 'x' AS name FROM contacts UNION ALL SELECT 7, 'x'",
	} {
		t.Run(name, func(t *testing.T) {
			path := contacts(t, "DELETE")
			source := openSource(t, path)
			target, err := sqlite.Open(t.Context(), contacts(t, "DELETE"))
			require.NoError(t, err)
			defer target.Close()
			report, err := newMirror(t, target).Compare(t.Context(), joinedLater{source, func() { raw(t, path).MustExec(script) }}, &mirror.CompareOptions{Strategy: mirror.StrategyJoin})
			require.NoError(t, err)
			tr := report.Table("contact")
			require.NotEqual(t, mirror.VerdictIdentical, tr.Verdict, "%s", report)
			t.Log(tr.Verdict, tr.Reason, tr.Strategy, tr.StrategyReason)
		})
	}
}

// joinedLater is a source to which something happens before it is joined.
type joinedLater struct {
	*sqlite.Source
	before func()
}

func (s joinedLater) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	s.before()
	return s.Source.Join(ctx, mirror)
}
