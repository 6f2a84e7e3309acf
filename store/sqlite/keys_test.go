package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

func copied(t *testing.T, src store.Source, q store.Query, keys []store.Row) []store.Row {
	t.Helper()
	batches := src.Rows(t.Context(), q)
	if keys != nil {
		batches = store.RowsAt(t.Context(), src, q, keys)
	}
	var rows []store.Row
	for batch, err := range batches {
		require.NoError(t, err)
		for _, r := range batch {
			rows = append(rows, r.Clone())
		}
	}
	return rows
}

// Every key that Rows delivers finds its rows, whatever is stored in its column
// and however it is spelled, collated and encoded.
func TestKeysFindTheirRows(t *testing.T) {
	const loose = "('a', 1), ('B', 2), ('B ', 3), ('\U00010000', 4), ('\ufffd', 5), ('é', 6), (7, 7), (x'41', 8), (7.5, 9), ('7', 10), ('', 11), (x'', 12), (0.0, 13), (-0.0, 14), (1, 15), ('b', 16)"
	const spelled = `('2026-02-03 04:05:06.007', 1), ('2026-02-03T04:05:06.007', 2), ('2026-02-03T04:05:06.007Z', 3), ('2026-02-03', 4), ('2026-02-03 00:00:00', 5), ('04:05:06', 6),
		('04:05:06.000', 7), ('6F9619FF-8B86-D011-B42D-00C04FC964FF', 8), ('6f9619ff-8b86-d011-b42d-00c04fc964ff', 9), (x'ff19966f868b11d0b42d00c04fc964ff', 10), ('1.50', 11), ('1.5', 12), (1.5, 13),
		('+1.5', 14), (2, 15), ('2.00', 16), ('2026-02-03 04:05:06 +01:00', 17), ('2026-02-03 03:05:06 +00:00', 18), ('2026-02-03 05:05:06.000 +02:00', 19)`
	for _, typ := range []string{"int", "bit", "float", "float_blob", "varbinary(9)", "BLOB", "nvarchar(9)", "decimal_text(9,2)", "NUMERIC", "datetime", "date", "time(3)", "datetimeoffset(3)", "uniqueidentifier", "TEXT", ""} {
		for _, change := range []string{"", "COLLATE NOCASE", "COLLATE RTRIM", "UTF-16le", "UTF-16be"} {
			t.Run(typ+" "+change, func(t *testing.T) {
				script := "CREATE TABLE t (k " + typ + " %s, v int); CREATE INDEX i ON t (k); INSERT INTO t VALUES " + loose + ", (NULL, 0), " + spelled
				if strings.HasPrefix(change, "UTF") {
					script = "PRAGMA encoding = '" + change + "';" + fmt.Sprintf(script, "")
				} else {
					script = fmt.Sprintf(script, change)
				}
				_, st := database(t, script)
				q := store.Query{Table: tableOf(t, st, "t"), Key: []string{"k"}}
				columns := q.Table.Columns[:1]
				var keys []store.Row
				want := map[int][]store.Row{} // by the number of the key
				all := copied(t, st, q, nil)[1:]
				for _, row := range all {
					if len(keys) == 0 || store.CompareKeys(columns, keys[len(keys)-1], row) != 0 {
						keys = append(keys, row[:1])
					}
					want[len(keys)-1] = append(want[len(keys)-1], row)
				}
				require.ElementsMatch(t, all, copied(t, st, q, keys))
				for i, key := range keys {
					require.ElementsMatch(t, want[i], copied(t, st, q, []store.Row{key}), "key %#v", key[0])
				}
				q.Key, columns = []string{"k", "v"}, q.Table.Columns
				slices.SortFunc(all, func(a, b store.Row) int { return store.CompareKeys(columns, a, b) })
				require.Equal(t, all, copied(t, st, q, all))
			})
		}
	}
}

// recorder is a pool of a file that remembers the last query, with its arguments.
type recorder struct {
	driver driver.Driver // which has this package's functions
	path   string
	query  *string
	args   *[]any
}

func (r recorder) Driver() driver.Driver { return r.driver }
func (r recorder) Connect(context.Context) (driver.Conn, error) {
	conn, err := r.driver.Open(r.path)
	return recording{conn, r}, err
}

type recording struct {
	driver.Conn
	to recorder
}

func (r recording) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	*r.to.query, *r.to.args = query, nil
	for _, a := range args {
		*r.to.args = append(*r.to.args, a.Value)
	}
	return r.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// Rows of keys are looked up in the index of the key. No row is looked at beside them.
func TestKeysAreLookedUp(t *testing.T) {
	const many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t (a, b, v) "
	for _, c := range []struct{ name, create, fill string }{
		{"a number", "CREATE TABLE t (a INTEGER PRIMARY KEY, b int, v int)", "SELECT i, i, i FROM n"},
		{"a clustered number", "CREATE TABLE t (a int NOT NULL PRIMARY KEY, b int, v int) WITHOUT ROWID", "SELECT i, i, i FROM n"},
		{"an index", "CREATE TABLE t (a bigint NOT NULL PRIMARY KEY, b int, v int)", "SELECT i, i, i FROM n"},
		{"text", "CREATE TABLE t (a nvarchar(9) NOT NULL PRIMARY KEY, b int, v int) WITHOUT ROWID", "SELECT 'k' || i, i, i FROM n"},
		{"bytes", "CREATE TABLE t (a varbinary(9) NOT NULL PRIMARY KEY, b int, v int) WITHOUT ROWID", "SELECT CAST('k' || i AS BLOB), i, i FROM n"},
		{"a time", "CREATE TABLE t (a datetime NOT NULL PRIMARY KEY, b int, v int) WITHOUT ROWID", "SELECT datetime('2026-01-01', i || ' seconds') || '.000', i, i FROM n"},
		{"two columns", "CREATE TABLE t (a int, b int, v int, PRIMARY KEY (a, b)) WITHOUT ROWID", "SELECT i / 10, i % 10, i FROM n"},
	} {
		for _, analyze := range []string{"", "; ANALYZE"} {
			t.Run(c.name+analyze, func(t *testing.T) {
				var query string
				var args []any
				path := filepath.Join(t.TempDir(), "keys.db")
				raw(t, path).MustExec(c.create + ";" + many + c.fill + analyze)
				db := sqlx.NewDb(sql.OpenDB(recorder{raw(t, path).Driver(), path, &query, &args}), "sqlite")
				t.Cleanup(func() { require.NoError(t, db.Close()) })
				st, err := sqlite.New(db)
				require.NoError(t, err)
				tab := tableOf(t, st, "t")
				all := copied(t, st, store.Query{Table: tab, Columns: tab.Key, Key: tab.Key}, nil)
				var keys []store.Row
				for i := 7; i < len(all); i += 60 {
					keys = append(keys, all[i])
				}
				require.Equal(t, keys, copied(t, st, store.Query{Table: tab, Columns: tab.Key, Key: tab.Key}, keys))
				var plan []struct {
					ID, Parent, NotUsed int
					Detail              string
				}
				require.NoError(t, raw(t, path).Select(&plan, "EXPLAIN QUERY PLAN "+query, args...))
				found := false
				for _, step := range plan {
					require.NotContains(t, step.Detail, "SCAN t", "%+v", plan)
					found = found || strings.HasPrefix(step.Detail, "SEARCH t USING")
				}
				require.True(t, found, "%+v", plan)
				if len(tab.Key) == 2 {
					require.Contains(t, fmt.Sprint(plan), "(a=? AND b=?)")
				}
			})
		}
	}
}
