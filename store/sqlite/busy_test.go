package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// Two processes reset the same mirror: one of them is told that it came second.
func TestTwoResetsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mirror.db")
	open := func() store.Store {
		db, err := sqlx.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(1)&_pragma=journal_mode(WAL)")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		st, err := sqlite.New(db)
		require.NoError(t, err)
		return st
	}
	first, second := open(), open()
	def, rows, _ := memory.New(memory.Metadata("Cust10195", map[string]store.LSN{"contact": 812})).Table("Cust10195_mirroring")
	require.NoError(t, first.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Create(t.Context(), def); err != nil {
			return err
		}
		return tx.Insert(t.Context(), def, def.ColumnNames(), rows)
	}))
	m, err := mirror.New("Cust10195", second, nil)
	require.NoError(t, err)
	require.NoError(t, first.Update(t.Context(), func(store.Tx) error {
		_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
		require.ErrorIs(t, err, store.ErrBusy)
		return nil
	}))
	_, err = m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err, "the other one is through")
}
