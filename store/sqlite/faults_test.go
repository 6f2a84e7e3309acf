package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

func TestFaults(t *testing.T) { mirrortest.Faults(t, open) }

func TestJoinFaults(t *testing.T) { mirrortest.JoinFaults(t, open) }

func TestKills(t *testing.T) {
	mirrortest.Kills(t, func(t testing.TB, path string) (store.Store, func()) {
		t.Helper()
		open := sqlite.Open
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			open = sqlite.Create
		}
		st, err := open(context.Background(), path)
		require.NoError(t, err)
		var check []string
		require.NoError(t, st.DB().Select(&check, "PRAGMA integrity_check"))
		require.Equal(t, []string{"ok"}, check)
		return st, func() { require.NoError(t, st.Close()) }
	})
}
