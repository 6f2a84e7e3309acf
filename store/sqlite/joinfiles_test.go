package sqlite_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
