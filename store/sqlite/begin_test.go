package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// A BEGIN that fails, as a cancelled one does, can have begun a transaction.
func TestFailedBeginLeavesNoTransaction(t *testing.T) {
	made, err := Create(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Close()) })
	db := made.DB()
	db.SetMaxOpenConns(1)
	d := dialect()
	d.Begin += "; SELECT 1 FROM nowhere"
	st, err := sqlstore.New(db, d)
	require.NoError(t, err)
	require.Error(t, st.Update(t.Context(), func(store.Tx) error { return nil }))
	_, err = db.Exec("BEGIN IMMEDIATE; COMMIT")
	require.NoError(t, err, "no transaction is left open")
}
