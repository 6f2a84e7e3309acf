package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// database makes a database with that SQL and returns its pool and its store.
func database(t *testing.T, script string) (*sqlx.DB, store.Store) {
	t.Helper()
	st, err := sqlite.Create(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	_, err = st.DB().Exec(script)
	require.NoError(t, err)
	return st.DB(), st
}

func compareOne(t *testing.T, source, target string) *mirror.TableReport {
	t.Helper()
	_, src := database(t, source)
	_, tgt := database(t, target)
	m, err := mirror.New("C1", tgt, nil)
	require.NoError(t, err)
	report, err := m.Compare(t.Context(), src, nil)
	require.NoError(t, err)
	require.Len(t, report.Tables, 1)
	return &report.Tables[0]
}

// everyWay are the ways of comparing rows.
func everyWay() []*mirror.CompareOptions {
	return []*mirror.CompareOptions{
		{Strategy: mirror.StrategyStream}, {Strategy: mirror.StrategyDigest}, {Strategy: mirror.StrategyAuto}, {Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 1}},
		{Strategy: mirror.StrategyJoin}, {Strategy: mirror.StrategyJoin, Tuning: mirror.Tuning{DigestRows: 1, Concurrency: 3}},
		{Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: 1}}, {Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{SplitRows: 7, DigestRows: 3}},
	}
}

// SQLite's typing is loose; what it lets in must not be taken for something else,
// and is decided alike by every strategy.
func TestLooseValues(t *testing.T) {
	const create = `CREATE TABLE t (id int, d decimal_text(20,2), f float_blob, at datetime, b bit, g uniqueidentifier,
		o datetimeoffset(3), tod time(0), i int, s nvarchar(2), PRIMARY KEY (id)) WITHOUT ROWID;`
	row := func(column, value string) string {
		return create + "INSERT INTO t (id, " + column + ") VALUES (1, " + value + ")"
	}
	for name, c := range map[string]struct {
		column, a, b string
		equal        bool
	}{
		"decimals of one value":          {"d", "'1.5'", "'1.50'", true},
		"a decimal with a sign":          {"d", "'+1.50'", "'1.5'", true},
		"no decimal":                     {"d", "''", "'0.00'", false},
		"a sign alone":                   {"d", "'-'", "'0'", false},
		"two signs":                      {"d", "'+-1'", "'-1'", false},
		"a decimal with an exponent":     {"d", "'1.0e+20'", "'100000000000000000000'", false},
		"bytes as decimal":               {"d", "x'312E35'", "'1.5'", false},
		"an integer as float":            {"f", "2", "2.0", true},
		"an integer no float can be":     {"f", "9007199254740993", "9007199254740992", false},
		"the greatest integer":           {"f", "9223372036854775807", "9.223372036854775807e18", false},
		"text as float":                  {"f", "'x'", "'y'", false},
		"a number and its text as float": {"f", "'1'", "1", false},
		"a time without its fraction":    {"at", "'2026-02-03T04:05:06'", "'2026-02-03 04:05:06.000'", true},
		"a time with its zone":           {"at", "'2026-02-03T04:05:06Z'", "'2026-02-03 04:05:06.000'", true},
		"a time of day as datetime":      {"at", "'04:05:06'", "'0001-01-01 04:05:06'", false},
		"a time of day with an offset":   {"o", "'04:05:06 +01:00'", "'0001-01-01 04:05:06 +01:00'", false},
		"a date in a time of day":        {"tod", "'0001-01-01 04:05:06'", "'04:05:06'", false},
		"a day that is not":              {"at", "'2026-02-30'", "'2026-03-02'", false},
		"an epoch":                       {"at", "1577836800", "'2020-01-01 00:00:00.000'", false},
		"two epochs":                     {"at", "1577836800", "1577836801", false},
		"two as bit":                     {"b", "2", "1", false},
		"a word as bit":                  {"b", "'true'", "1", false},
		"a GUID in lower case":           {"g", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", true},
		"a GUID as text":                 {"g", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "x'FF19966F868B11D0B42D00C04FC964FF'", true},
		"no GUID":                        {"g", "'6F9619FF'", "'6f9619ff'", false},
		"an offset without its fraction": {"o", "'2026-02-03 04:05:06 +01:00'", "'2026-02-03 04:05:06.000 +01:00'", true},
		"another offset":                 {"o", "'2026-02-03 04:05:06 +01:00'", "'2026-02-03 04:05:06.000 +02:00'", false},
		"a number of 64 bits":            {"i", "9223372036854775807", "9223372036854775806", false},
		"a number and its float":         {"i", "4503599627370496", "4503599627370496.0", true},
		"a number and another float":     {"i", "4503599627370497", "4503599627370496.0", false},
		"a time as two numbers":          {"at", "4503599627370496", "4503599627370496.0", true},
		"text as number":                 {"i", "'x'", "'y'", false},
		"text longer than declared":      {"s", "'abcd'", "'abce'", false},
		"text that is not UTF-8":         {"s", "CAST(x'ff' AS TEXT)", "CAST(x'fe' AS TEXT)", false},
		"text and bytes":                 {"s", "'a'", "x'61'", false},
	} {
		t.Run(name, func(t *testing.T) {
			var sides [4]store.Store
			for i := range sides {
				_, sides[i] = database(t, row(c.column, []string{c.a, c.b}[i%2]))
			}
			for i, target := range sides {
				source := sides[[...]int{1, 0, 0, 1}[i]] // another value to the first two, the same to the rest
				want := mirror.VerdictIdentical
				if i < 2 && !c.equal {
					want = mirror.VerdictDifferent
				}
				m, err := mirror.New("C1", target, nil)
				require.NoError(t, err)
				for _, opts := range everyWay() {
					report, err := m.Compare(t.Context(), source, opts)
					require.NoError(t, err)
					require.Equal(t, want, report.Tables[0].Verdict, "%d by %+v: %s", i, *opts, report)
				}
			}
		})
	}
}

// Two keys in one place of the order need not be equal.
func TestLooseKeys(t *testing.T) {
	for name, c := range map[string]struct {
		source, mirror, a, b string
		changed              int
	}{
		"the least integer and its float": {"int", "int", "-9223372036854775808", "-9223372036854775808.0", 0},
		"bytes of two lengths":            {"varbinary(10)", "BLOB", "1", "1.0", 1},
	} {
		t.Run(name, func(t *testing.T) {
			const create = "CREATE TABLE t (k %s NOT NULL PRIMARY KEY, v int); INSERT INTO t VALUES (%s, 1)"
			_, source := database(t, fmt.Sprintf(create, c.source, c.a))
			_, store := database(t, fmt.Sprintf(create, c.mirror, c.b))
			for _, opts := range everyWay() {
				opts.LooseTypes = true
				report, err := newMirror(t, store).Compare(t.Context(), source, opts)
				require.NoError(t, err)
				require.EqualValues(t, c.changed, report.Table("t").Changed, "%+v: %s", *opts, report)
			}
		})
	}
}

// The types of ordinary SQLite files, by the rules of SQLite.
func TestDeclaredTypes(t *testing.T) {
	for declared, want := range map[string]string{
		"INTEGER": "bigint", "INT": "int", "BIGINT": "bigint", "tinyint(1)": "bigint", "INT(11)": "bigint", "UNSIGNED BIG INT": "bigint", "INT8": "bigint",
		"VARCHAR": "varchar(max)", "VARCHAR(20)": "varchar(20)", "nvarchar(2147483647)": "nvarchar(max)", "VARYING CHARACTER(255)": "nvarchar(max)",
		"NATIVE CHARACTER(70)": "nvarchar(max)", "CHAR": "varchar(max)", "CLOB": "nvarchar(max)", "TEXT": "text", "VARCHAR(20000)": "nvarchar(max)",
		"decimal(9,2)": "decimal(9,2)", "NUMERIC(10,2)": "decimal(10,2)", "NUMERIC": "decimal(18,0)", "DECIMAL(10,5)": "decimal(10,5)", "numeric_text(9,2)": "decimal(9,2)",
		"REAL": "float", "DOUBLE": "float", "double precision": "float", "FLOAT": "float", "float_blob": "float", "real_blob": "real",
		"BLOB": "varbinary(max)", "varbinary(8)": "varbinary(8)",
		"BOOLEAN": "bit", "bool": "bit", "bit": "bit",
		"DATE": "date", "DATETIME": "datetime", "datetime(6)": "datetime2(6)", "datetime(12)": "datetime2(7)", "TIMESTAMP": "datetime2(7)", "timestamp(3)": "datetime2(3)", "TIME": "time(7)",
		"": "any", "ANY": "any", "any_blob": "any", "jsonb": "any", "STRING": "any", "UUID": "any", "FLOATING POINT": "bigint",
	} {
		require.Equal(t, want, fmt.Sprint(parseTypeOf(t, declared)), declared)
	}
}

func parseTypeOf(t *testing.T, declared string) store.Type {
	t.Helper()
	_, st := database(t, "CREATE TABLE t (c "+declared+")")
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	return tables[0].Columns[0].Type
}

func TestColumnsOfOneFoldedName(t *testing.T) {
	twins := func(plain, blank string) string {
		return fmt.Sprintf(`CREATE TABLE t (id int PRIMARY KEY, "name" nvarchar(9), "name " nvarchar(9)); INSERT INTO t VALUES (1, '%s', '%s')`, plain, blank)
	}
	require.Equal(t, mirror.VerdictIdentical, compareOne(t, twins("x", "z"), twins("x", "z")).Verdict)
	require.EqualValues(t, 1, compareOne(t, twins("x", "z"), twins("x", "WRONG")).Changed)
	require.EqualValues(t, 1, compareOne(t, twins("x", "z"), twins("WRONG", "z")).Changed)
}

func TestCollationOfAKey(t *testing.T) {
	const plain = `CREATE TABLE t (k nvarchar(9), PRIMARY KEY (k)) WITHOUT ROWID; INSERT INTO t VALUES ('B'), ('a'), ('a '), ('A ')`
	const folded = `CREATE TABLE t (k nvarchar(9) COLLATE NOCASE); INSERT INTO t VALUES ('a'), ('a '), ('A '), ('B')`
	tr := compareOne(t, folded, folded)
	require.Equal(t, mirror.VerdictIdentical, tr.Verdict, tr.Reason)
	tr = compareOne(t, plain, folded)
	require.Zero(t, tr.Missing+tr.Extra+tr.Changed+tr.Duplicate, tr.Reason)
	require.EqualValues(t, 4, tr.MirrorRows)
}

// What follows a step that ended the transaction must not be written by itself.
func TestStepThatEndsTheTransaction(t *testing.T) {
	_, st := database(t, `CREATE TABLE a (id int PRIMARY KEY ON CONFLICT ROLLBACK); INSERT INTO a VALUES (1); CREATE TABLE b (id int)`)
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	a, b := tables[0], tables[1]
	err = st.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			tx.Insert(t.Context(), b, []string{"id"}, []store.Row{{10}}),
			tx.Insert(t.Context(), a, []string{"id"}, []store.Row{{1}}),
			tx.Insert(t.Context(), b, []string{"id"}, []store.Row{{20}}),
		)
	})
	require.Error(t, err)
	n, err := st.Count(t.Context(), b)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestDatabaseInMemoryOutlivesAFailure(t *testing.T) {
	db, err := sqlx.Open("sqlite", ":memory:")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE a (id int PRIMARY KEY ON CONFLICT ROLLBACK); INSERT INTO a VALUES (1)`)
	require.NoError(t, err)
	st, err := sqlite.New(db)
	require.NoError(t, err)
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	require.Error(t, st.Update(t.Context(), func(tx store.Tx) error {
		return tx.Insert(t.Context(), tables[0], []string{"id"}, []store.Row{{1}})
	}))
	n, err := st.Count(t.Context(), tables[0])
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

// Comparisons in opposite directions over pools of one connection each.
func TestSmallPoolsDoNotWaitForEachOther(t *testing.T) {
	const script = `CREATE TABLE t (id int PRIMARY KEY) WITHOUT ROWID;
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i FROM n`
	db1, st1 := database(t, script)
	db2, st2 := database(t, script)
	db1.SetMaxOpenConns(1)
	db2.SetMaxOpenConns(1)
	compare := func(source, target store.Store) error {
		m, err := mirror.New("C1", target, nil)
		if err != nil {
			return err
		}
		for range 30 {
			report, err := m.Compare(t.Context(), source, nil)
			if err != nil || !report.Identical() {
				return errors.Join(err, report.Err())
			}
		}
		return nil
	}
	done := make(chan error, 2)
	go func() { done <- compare(st1, st2) }()
	go func() { done <- compare(st2, st1) }()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}

func TestOnePoolOfOneConnection(t *testing.T) {
	db, st := database(t, `CREATE TABLE t (id int)`)
	db.SetMaxOpenConns(1)
	m, err := mirror.New("C1", st, nil)
	require.NoError(t, err)
	_, err = m.Compare(t.Context(), st, nil)
	require.ErrorContains(t, err, "share a pool of 1 connection: allow 2 with SetMaxOpenConns")
}

func TestClosedDatabase(t *testing.T) {
	db, st := database(t, `CREATE TABLE t (id int)`)
	m, err := mirror.New("C1", st, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = m.Status(t.Context())
	require.ErrorContains(t, err, "status of C1: list tables: sql: database is closed")
	_, err = m.ResetTables(t.Context(), []string{"t"}, nil)
	require.ErrorContains(t, err, "database is closed")
	_, other := database(t, `CREATE TABLE t (id int)`)
	_, err = m.Compare(t.Context(), other, nil)
	require.ErrorContains(t, err, "database is closed")
}
