package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// Text in a column of another type is in the order of all sources, whatever the
// column's collation and the file's encoding.
func TestTextInKeysOfOtherTypes(t *testing.T) {
	const rows = "INSERT INTO t VALUES ('a', 1), ('B', 2), ('B ', 3), ('\U00010000', 4), ('\ufffd', 5), ('é', 6), (7, 7), (x'41', 8);"
	for _, typ := range []string{"int", "bit", "float", "float_blob", "varbinary(9)", "BLOB", "bigint"} {
		for name, change := range map[string]string{"": "", "NOCASE": "COLLATE NOCASE", "RTRIM": "COLLATE RTRIM", "UTF-16le": "PRAGMA", "UTF-16be": "PRAGMA"} {
			t.Run(typ+" "+name, func(t *testing.T) {
				script := fmt.Sprintf("CREATE TABLE t (k %s NOT NULL PRIMARY KEY, v int) WITHOUT ROWID;", typ) + rows
				other := strings.Replace(script, "NOT NULL", change+" NOT NULL", 1)
				if change == "PRAGMA" {
					other = "PRAGMA encoding = '" + name + "';" + script
				}
				if name == "RTRIM" { // to which two of the keys are one
					script, other = strings.Replace(script, "('B ', 3), ", "", 1), strings.Replace(other, "('B ', 3), ", "", 1)
				}
				_, source := database(t, script)
				_, store := database(t, other)
				for _, opts := range everyWay() {
					report, err := newMirror(t, store).Compare(t.Context(), source, opts)
					require.NoError(t, err)
					require.True(t, report.Identical(), "%+v: %s", *opts, report)
				}
				_, store = database(t, other+"DELETE FROM t WHERE v % 2 = 0; UPDATE t SET v = 0 WHERE v = 5")
				for _, opts := range everyWay() {
					report, err := newMirror(t, store).Compare(t.Context(), source, opts)
					require.NoError(t, err)
					tr := report.Table("t")
					require.Equal(t, []int64{4, 0, 1}, []int64{tr.Missing, tr.Extra, tr.Changed}, "%+v: %s", *opts, report)
				}
			})
		}
	}
}

// Rows in key order come by way of the key, not by sorting: the order is that of
// an ordinary column's index, and of the row's number.
func TestKeysAreReadInOrder(t *testing.T) {
	for _, encoding := range []string{"UTF-8", "UTF-16le"} {
		for _, column := range []string{"INTEGER PRIMARY KEY", "int NOT NULL PRIMARY KEY", "bigint NOT NULL PRIMARY KEY", "varbinary(9) NOT NULL PRIMARY KEY"} {
			t.Run(encoding+" "+column, func(t *testing.T) {
				db, _ := database(t, fmt.Sprintf("PRAGMA encoding = '%s'; CREATE TABLE t (k %s, v int); INSERT INTO t VALUES (1, 1), (2, 2)", encoding, column))
				order := ` COLLATE BINARY`
				if encoding != "UTF-8" {
					order = ""
				}
				const k = `"main"."t"."k"`
				var plan []struct {
					ID, Parent, NotUsed int
					Detail              string
				}
				require.NoError(t, db.Select(&plan, fmt.Sprintf(`EXPLAIN QUERY PLAN SELECT %[1]s FROM "main"."t" WHERE (%[1]s%[2]s >= ?1) AND (%[1]s%[2]s < ?2) ORDER BY %[1]s%[2]s`, k, order), 1, 2))
				require.Len(t, plan, 1, "%+v", plan)
				require.Contains(t, plan[0].Detail, "SEARCH main.t USING")
			})
		}
	}
}

// A temporary table of the connection does not stand before the one that is
// compared.
func TestTemporaryTable(t *testing.T) {
	db, st := database(t, "CREATE TABLE t (k int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
	db.SetMaxOpenConns(1)
	_, err := db.Exec("CREATE TEMP TABLE t (k int, w text); INSERT INTO temp.t VALUES (9, 'x')")
	require.NoError(t, err)
	_, source := database(t, "CREATE TABLE t (k int NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
	for _, opts := range everyWay() {
		report, err := newMirror(t, st).Compare(t.Context(), source, opts)
		require.NoError(t, err)
		require.True(t, report.Identical(), "%s", report)
	}
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	require.Len(t, tables, 1)
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Set(t.Context(), tables[0], []store.Cell{{Column: "k", Value: 1}}, []store.Cell{{Column: "v", Value: 5}}); err != nil {
			return err
		}
		if _, err := tx.Delete(t.Context(), tables[0], []store.Cell{{Column: "k", Value: 2}}); err != nil {
			return err
		}
		return tx.Insert(t.Context(), tables[0], []string{"k", "v"}, []store.Row{{3, 3}})
	}))
	var got []string
	require.NoError(t, db.Select(&got, "SELECT k || '=' || v FROM main.t ORDER BY k"))
	require.Equal(t, []string{"1=5", "3=3"}, got)
	require.NoError(t, db.Select(&got, "SELECT k || '=' || w FROM temp.t"))
	require.Equal(t, []string{"9=x"}, got)
}
