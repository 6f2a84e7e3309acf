package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// A writer gives up soon, so that being refused is among what happens.
func TestSoak(t *testing.T) {
	mirrortest.Soak(t, func(t testing.TB) store.Store {
		db, err := sqlx.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "db")+"?_pragma=busy_timeout(30)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		st, err := sqlite.New(db)
		require.NoError(t, err)
		return st
	}, mirrortest.SoakTime(t))
}
