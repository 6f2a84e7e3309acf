package sqlite_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// An empty value of a metadata row is put back as one, in whichever column it is.
func TestUndoOfEmptyBytes(t *testing.T) {
	for _, typ := range []string{"varbinary(16)", "blob", "nvarchar(9)", "datetime", "decimal(9,2)", "bigint", ""} {
		for _, viaJSON := range []bool{false, true} {
			for _, o := range []mirror.HardResetOptions{{Confirm: "C1"}, {Confirm: "C1", Tables: []string{"contact"}}} {
				db, st := database(t, fmt.Sprintf(`
					CREATE TABLE contact (contact_id int PRIMARY KEY);
					CREATE TABLE "C1_mirroring" (tablename nvarchar(128) NOT NULL, LSN bigint NOT NULL, x %s);
					INSERT INTO "C1_mirroring" VALUES ('contact', 812, x'')`, typ))
				m := newMirror(t, st)
				before := dataOf(t, db, "C1_mirroring", "x", "typeof(x)")
				require.Equal(t, []string{"1 X'' 'blob'"}, before)
				undo := func(r *mirror.Receipt, err error) {
					t.Helper()
					require.NoError(t, err)
					if viaJSON {
						r = throughJSON(t, r)
					}
					require.NoError(t, m.Undo(t.Context(), r), "%s, JSON %t", typ, viaJSON)
					require.Equal(t, before, dataOf(t, db, "C1_mirroring", "x", "typeof(x)"))
				}
				undo(m.HardReset(t.Context(), &o))
				undo(m.ResetTables(t.Context(), []string{"contact"}, nil))
			}
		}
	}
}
