package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// A table of somebody else's that has the name of what is kept is not dropped.
func TestHardResetSparesOtherTables(t *testing.T) {
	db, st := database(t, `
		CREATE TABLE C1_mirroring (tablename nvarchar(128) NOT NULL, LSN bigint NOT NULL);
		INSERT INTO C1_mirroring VALUES ('contact', 812);
		CREATE TABLE before_hard_reset_C1 (id INTEGER PRIMARY KEY, precious text);
		INSERT INTO before_hard_reset_C1 VALUES (1, 'gold')`)
	m := newMirror(t, st)
	for _, o := range []mirror.HardResetOptions{{Confirm: "C1"}, {Confirm: "C1", NoUndo: true}, {DryRun: true}} {
		_, err := m.HardReset(t.Context(), &o)
		require.ErrorIs(t, err, mirror.ErrCannotUndo)
		require.ErrorContains(t, err, `"before_hard_reset_C1" is in the way`)
	}
	require.Equal(t, []string{"1 1 'gold'"}, dataOf(t, db, "before_hard_reset_C1", "id", "precious"))
	require.Equal(t, []string{"1 'contact' 812"}, dataOf(t, db, "C1_mirroring", "tablename", "LSN"))
}
