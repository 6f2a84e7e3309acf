package storetest

import (
	"path/filepath"
	"testing"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/sqlite"
	"github.com/stretchr/testify/require"
)

func TestTmpSQLite(t *testing.T) {
	Run(t, func(t testing.TB) mirror.Store {
		db, err := sqlite.Open(filepath.Join(t.TempDir(), "x.db"))
		require.NoError(t, err)
		t.Cleanup(func() { db.Close() })
		st, err := sqlite.New(db)
		require.NoError(t, err)
		return st
	})
}
