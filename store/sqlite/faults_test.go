package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store/sqlite"
)

func TestFaults(t *testing.T) { mirrortest.Faults(t, open) }

func TestKills(t *testing.T) {
	mirrortest.Kills(t, func(t testing.TB, path string) (mirror.Store, func()) {
		t.Helper()
		db, err := sqlite.Open(path)
		require.NoError(t, err)
		var check []string
		require.NoError(t, db.Select(&check, "PRAGMA integrity_check"))
		require.Equal(t, []string{"ok"}, check)
		st, err := sqlite.New(db)
		require.NoError(t, err)
		return st, func() { require.NoError(t, db.Close()) }
	})
}
