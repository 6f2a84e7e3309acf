package sqlite_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

func nullable(t *testing.T, st store.Source, table string) map[string]bool {
	t.Helper()
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	got := map[string]bool{}
	for _, tb := range tables {
		if tb.Name == table {
			for _, c := range tb.Columns {
				got[c.Name] = c.Nullable
			}
		}
	}
	return got
}

// Which columns of a key hold NULL is not what the catalogue says.
func TestKeysThatHoldNoNull(t *testing.T) {
	for script, want := range map[string]bool{
		"CREATE TABLE t (id INTEGER PRIMARY KEY, v)":               false,
		"CREATE TABLE t (id integer, v, PRIMARY KEY (id))":         false,
		"CREATE TABLE t (id INTEGER PRIMARY KEY DESC, v)":          true, // no alias of the row's number, by an old mistake that SQLite keeps
		"CREATE TABLE t (id INT PRIMARY KEY, v)":                   true,
		"CREATE TABLE t (id TEXT PRIMARY KEY, v)":                  true,
		"CREATE TABLE t (id INTEGER, v, PRIMARY KEY (id, v))":      true,
		"CREATE TABLE t (id TEXT PRIMARY KEY, v) WITHOUT ROWID":    false,
		"CREATE TABLE t (id TEXT PRIMARY KEY, v ANY) STRICT":       false,
		"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)": false,
	} {
		t.Run(script, func(t *testing.T) {
			db, st := database(t, script)
			require.Equal(t, want, nullable(t, st, "t")["id"])
			_, err := db.Exec("INSERT INTO t VALUES (NULL, 1)")
			var null bool
			if err == nil {
				require.NoError(t, db.Get(&null, "SELECT id IS NULL FROM t"))
			}
			require.Equal(t, want, null, "which is what SQLite does")
		})
	}
}

// The simulated task creates such a table once.
func TestCyclesKeepTablesOfOthers(t *testing.T) {
	const orders = `CREATE TABLE Orders (OrderID INTEGER PRIMARY KEY AUTOINCREMENT, Freight NUMERIC(10,2), Shipped DATETIME, Paid BOOLEAN, Photo BLOB, At TIMESTAMP, Share REAL);`
	for name, script := range map[string]string{"an empty mirror": "", "a mirror of the same tables": orders} {
		t.Run(name, func(t *testing.T) {
			_, source := database(t, orders+`INSERT INTO Orders VALUES (1, 9.9, '2026-01-01 00:00:00', 1, x'00', '2026-01-01 00:00:00', 0.5), (2, 10, NULL, 0, NULL, NULL, 1e300)`)
			_, target := database(t, script)
			task := &cycle.Task{Customer: cycle.NewCustomer("Cust1", source), Mirror: target}
			for range 3 {
				before, err := target.Tables(t.Context())
				require.NoError(t, err)
				_, err = task.Run(t.Context())
				require.NoError(t, err)
				if len(before) > 1 || script != "" {
					after, err := target.Tables(t.Context())
					require.NoError(t, err)
					require.Subset(t, after, before, "no table was made again")
				}
				m, err := mirror.New("Cust1", target, nil)
				require.NoError(t, err)
				report, err := m.Compare(t.Context(), source, nil)
				require.NoError(t, err)
				require.True(t, report.Identical(), "%s", report)
			}
		})
	}
}

// A price that changed is found, whatever type an ordinary file declares.
func TestOrdinaryColumnsAreCompared(t *testing.T) {
	for declared, values := range map[string][2]string{
		"NUMERIC(10,2)": {"0.99", "1.99"}, "DECIMAL": {"0.99", "'0.98'"}, "REAL": {"0.1", "0.2"}, "BLOB": {"x'00'", "x'01'"}, "BOOLEAN": {"0", "1"},
		"TIMESTAMP": {"'2026-01-01 00:00:00'", "'2026-01-01 00:00:01'"}, "datetime(6)": {"'2026-01-01 00:00:00.000001'", "'2026-01-01 00:00:00.000002'"},
		"": {"1", "'1'"}, "JSON": {"'{}'", "'[]'"}, "DOUBLE": {"0.1", "0.2"}, "CLOB": {"'a'", "'b'"}, "MONEY": {"1.5", "2"},
	} {
		t.Run(declared, func(t *testing.T) {
			script := func(value string) string {
				return "CREATE TABLE t (id INTEGER PRIMARY KEY, price " + declared + "); INSERT INTO t VALUES (1, " + value + ")"
			}
			_, source := database(t, script(values[0]))
			_, target := database(t, script(values[1]))
			m, err := mirror.New("C1", target, nil)
			require.NoError(t, err)
			for _, opts := range everyWay() {
				report, err := m.Compare(t.Context(), source, opts)
				require.NoError(t, err)
				require.EqualValues(t, 1, report.Tables[0].Changed, "%+v: %s", *opts, report)
				require.Empty(t, report.Tables[0].NotCompared)
			}
		})
	}
}

// A column that is gone is no string of its name.
func TestColumnRenamedMeanwhile(t *testing.T) {
	const script = `CREATE TABLE t (id int PRIMARY KEY, name nvarchar(9), at datetime); INSERT INTO t VALUES (1, 'a', NULL)`
	for _, column := range []string{"name", "id", "at"} {
		t.Run(column, func(t *testing.T) {
			db, st := database(t, script)
			tables, err := st.Tables(t.Context())
			require.NoError(t, err)
			_, err = db.Exec("ALTER TABLE t RENAME COLUMN " + column + " TO other")
			require.NoError(t, err)
			q := store.Query{Table: tables[0], Key: []string{"id"}, From: store.Row{0}}
			for _, err = range st.Rows(t.Context(), q) {
				break
			}
			require.ErrorContains(t, err, "no such column")
			_, err = st.(store.Digester).DigestEvery(t.Context(), q, 10)
			require.ErrorContains(t, err, "no such column")
			err = st.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Delete(t.Context(), tables[0], []store.Cell{{Column: column}})
				return err
			})
			require.ErrorContains(t, err, "no such column")
		})
	}
}

// A virtual table whose module is missing costs itself alone.
func TestVirtualTableWithoutItsModule(t *testing.T) {
	const script = `CREATE TABLE t (id INTEGER PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1);
		PRAGMA writable_schema = ON;
		INSERT INTO sqlite_schema VALUES ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING nomodule(x)');
		PRAGMA writable_schema = RESET;`
	_, source := database(t, script)
	_, target := database(t, script+`CREATE TABLE C1_mirroring (tablename nvarchar(100) PRIMARY KEY, LSN bigint); INSERT INTO C1_mirroring VALUES ('t', 5), ('places', 5)`)
	m, err := mirror.New("C1", target, nil)
	require.NoError(t, err)
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	require.Contains(t, status.String(), "no such module: nomodule")
	_, err = m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true, DryRun: true})
	require.NoError(t, err)
	for _, depth := range []mirror.Depth{mirror.DepthSchema, mirror.DepthCount, mirror.DepthRows} {
		report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Depth: depth})
		require.NoError(t, err)
		require.Equal(t, mirror.VerdictIdentical, report.Table("t").Verdict)
		require.False(t, report.Identical(), "%s: %s", depth, report)
	}
	report, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	require.Contains(t, report.String(), "no such module: nomodule")
}

// A default that is made through Create stores what the store itself would.
func TestDefaultsAreSpelledAsTheStoreSpells(t *testing.T) {
	types := []string{"date", "smalldatetime", "datetime", "datetime2(0)", "datetime2(2)", "datetime2(3)", "datetime2(7)", "time(0)", "time(3)", "time(7)", "datetimeoffset(0)", "datetimeoffset(7)"}
	def := store.Table{Name: "t", Columns: []store.Column{{Name: "id", Type: store.MustType("int")}}, Key: []string{"id"}}
	for _, typ := range types {
		for _, expr := range []string{"CURRENT_TIMESTAMP", "(getdate())"} {
			def.Columns = append(def.Columns, store.Column{Name: typ + expr, Type: store.MustType(typ), Default: expr})
		}
	}
	db, st := database(t, "")
	for range 2 { // the second time with what the catalogue gives back
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
			return tx.Create(t.Context(), def)
		}))
		_, err := db.Exec("INSERT INTO t (id) VALUES (1)")
		require.NoError(t, err)
		tables, err := st.Tables(t.Context())
		require.NoError(t, err)
		def = tables[0]
		stored := map[string]any{}
		require.NoError(t, db.QueryRowx("SELECT * FROM t").MapScan(stored))
		for batch, err := range st.Rows(t.Context(), store.Query{Table: def, Key: []string{"id"}}) {
			require.NoError(t, err)
			for i, c := range def.Columns[1:] {
				require.IsType(t, time.Time{}, batch[0][i+1], "%s stored %v", c.Name, stored[c.Name])
			}
			own := append(store.Row{2}, batch[0].Clone()[1:]...)
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				return tx.Insert(t.Context(), def, def.ColumnNames(), []store.Row{own})
			}))
			for _, c := range def.Columns[1:] {
				var both []string
				require.NoError(t, db.Select(&both, `SELECT "`+c.Name+`" || '' FROM t ORDER BY id`))
				require.Len(t, both, 2)
				require.Equal(t, digit.ReplaceAllString(both[1], "0"), digit.ReplaceAllString(both[0], "0"), c.Name)
			}
			break
		}
		_, err = db.Exec("DROP TABLE t")
		require.NoError(t, err)
	}
}

var digit = regexp.MustCompile("[0-9]")

// In a file of UTF-16 the engine's own order is another one.
func TestTextInUTF16(t *testing.T) {
	keys := []string{"'b'", "'Ā'", "'a'", "'\U00010000'", "'\ufffd'", "''", "'ab'", "'é'"}
	script := func(encoding string, lost int) string {
		s := "PRAGMA encoding = '" + encoding + "'; CREATE TABLE t (k nvarchar(9) PRIMARY KEY NOT NULL, v nvarchar(9));"
		for i, k := range keys {
			if i != lost {
				s += "INSERT INTO t VALUES (" + k + ", " + k + ");"
			}
		}
		return s
	}
	for _, encoding := range []string{"UTF-16le", "UTF-16be"} {
		t.Run(encoding, func(t *testing.T) {
			db, source := database(t, script(encoding, -1))
			var got string
			require.NoError(t, db.Get(&got, "PRAGMA encoding"))
			require.Equal(t, encoding, got)
			for lost := -1; lost < len(keys); lost++ {
				_, target := database(t, script([]string{"UTF-8", encoding}[(lost+1)%2], lost))
				m, err := mirror.New("C1", target, nil)
				require.NoError(t, err)
				for _, opts := range everyWay() {
					report, err := m.Compare(t.Context(), source, opts)
					require.NoError(t, err)
					tr := report.Tables[0]
					require.Equal(t, []int64{int64(min(1, lost+1)), 0, 0, int64(len(keys))}, []int64{tr.Missing, tr.Extra, tr.Changed, tr.SourceRows}, "%+v: %s", *opts, report)
				}
			}
		})
	}
}
