package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/sqlite"
)

// database makes a database with that SQL and returns its pool and its store.
func database(t *testing.T, script string) (*sqlx.DB, mirror.Store) {
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

// SQLite's typing is loose; what it lets in must not be taken for something else.
func TestLooseValues(t *testing.T) {
	const create = `CREATE TABLE t (id int, d decimal_text(20,2), f float_blob, at datetime, b bit, PRIMARY KEY (id)) WITHOUT ROWID;`
	row := func(columns, values string) string {
		return create + "INSERT INTO t (id, " + columns + ") VALUES (1, " + values + ")"
	}
	for name, c := range map[string]struct {
		a, b string
		want mirror.Verdict
	}{
		"decimals of one value":       {row("d", "'1.5'"), row("d", "'1.50'"), mirror.VerdictIdentical},
		"no decimal":                  {row("d", "''"), row("d", "'0.00'"), mirror.VerdictFailed},
		"a sign alone":                {row("d", "'-'"), row("d", "'0'"), mirror.VerdictFailed},
		"a decimal with an exponent":  {row("d", "'1.0e+20'"), row("d", "'100000000000000000000'"), mirror.VerdictFailed},
		"an integer as float":         {row("f", "2"), row("f", "2.0"), mirror.VerdictIdentical},
		"an integer no float can be":  {row("f", "9007199254740993"), row("f", "9007199254740992"), mirror.VerdictFailed},
		"the greatest integer":        {row("f", "9223372036854775807"), row("f", "9.223372036854775807e18"), mirror.VerdictFailed},
		"text as float":               {row("f", "'x'"), row("f", "'x'"), mirror.VerdictFailed},
		"a time without its fraction": {row("at", "'2026-02-03T04:05:06'"), row("at", "'2026-02-03 04:05:06.000'"), mirror.VerdictIdentical},
		"a day that is not":           {row("at", "'2026-02-30'"), row("at", "'2026-03-02'"), mirror.VerdictFailed},
		"a number as time":            {row("at", "1"), row("at", "1"), mirror.VerdictFailed},
		"two as bit":                  {row("b", "2"), row("b", "1"), mirror.VerdictFailed},
	} {
		t.Run(name, func(t *testing.T) {
			tr := compareOne(t, c.a, c.b)
			require.Equal(t, c.want, tr.Verdict, tr.Reason)
		})
	}
}

func TestDeclaredTypes(t *testing.T) {
	_, st := database(t, `CREATE TABLE t (a INTEGER, b VARCHAR, c nvarchar(2147483647), d decimal(9,2), e REAL, f TEXT, g jsonb, h numeric_text(9,2), i double precision)`)
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	var got []string
	for _, c := range tables[0].Columns {
		got = append(got, fmt.Sprint(c.Type, " ", c.Type.Kind() == mirror.KindOther))
	}
	require.Equal(t, []string{"bigint false", "varchar(max) false", "nvarchar(max) false", "decimal(9,2) true", "REAL true",
		"text false", "jsonb true", "decimal(9,2) false", "double precision true"}, got)
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
	err = st.Update(t.Context(), func(tx mirror.Tx) error {
		return errors.Join(
			tx.Insert(t.Context(), b, []string{"id"}, []mirror.Row{{10}}),
			tx.Insert(t.Context(), a, []string{"id"}, []mirror.Row{{1}}),
			tx.Insert(t.Context(), b, []string{"id"}, []mirror.Row{{20}}),
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
	require.Error(t, st.Update(t.Context(), func(tx mirror.Tx) error {
		return tx.Insert(t.Context(), tables[0], []string{"id"}, []mirror.Row{{1}})
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
	compare := func(source, target mirror.Store) error {
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
