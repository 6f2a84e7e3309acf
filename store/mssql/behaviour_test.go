package mssql_test

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

func openConfig(cfg msdsn.Config) *sql.DB { return sql.OpenDB(mssqldb.NewConnectorConfig(cfg)) }

func TestSourceCannotWrite(t *testing.T) {
	_, ok := any((*mssql.Source)(nil)).(store.Store)
	require.False(t, ok)
}

func TestIsolationIsReported(t *testing.T) {
	db := openDB(t)
	got, err := newStore(t, db, nil).Isolation(t.Context())
	require.NoError(t, err)
	require.Equal(t, "snapshot", got)
	got, err = newStore(t, db, &mssql.Options{Isolation: mssql.IsolationReadCommitted}).Isolation(t.Context())
	require.NoError(t, err)
	require.Contains(t, got, "read committed")
}

// TestSchemas: a store serves one schema, and tables that are named without one
// are of that schema and of no other.
func TestSchemas(t *testing.T) {
	db := openDB(t)
	t.Cleanup(func() {
		db.MustExec("DROP TABLE crm7.contact")
		db.MustExec("DROP SCHEMA crm7")
	})
	db.MustExec("CREATE SCHEMA crm7")
	db.MustExec("CREATE TABLE dbo.contact (id int NOT NULL PRIMARY KEY)")
	db.MustExec("CREATE TABLE dbo.person (id int NOT NULL PRIMARY KEY)")
	db.MustExec("CREATE TABLE crm7.contact (id int NOT NULL, name nvarchar(9) NULL, PRIMARY KEY (id))")
	db.MustExec("INSERT INTO crm7.contact (id) VALUES (1), (2)")

	st := newStore(t, db, &mssql.Options{Schema: "crm7"})
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	require.Len(t, tables, 1)
	require.Equal(t, "crm7.contact", tables[0].String())
	require.Equal(t, []string{"id", "name"}, tables[0].ColumnNames())
	n, err := st.Count(t.Context(), store.Table{Name: "contact"})
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	_, err = st.Count(t.Context(), store.Table{Name: "person"})
	require.ErrorIs(t, err, store.ErrTableNotFound, "the server would have looked in dbo")

	tables, err = newStore(t, db, nil).Tables(t.Context())
	require.NoError(t, err)
	require.Len(t, tables, 2)

	ids := map[string]bool{}
	for _, schema := range []string{"crm7", "dbo"} {
		id, err := newStore(t, db, &mssql.Options{Schema: schema}).Identity(t.Context())
		require.NoError(t, err)
		require.Equal(t, schema, id.Schema)
		ids[id.ID] = true
	}
	require.Len(t, ids, 2, "two schemas are two sets of tables")
}

// TestIdentities: a database is itself through any pool and options, and no other
// one of its server.
func TestIdentities(t *testing.T) {
	one, two := openDB(t), openDB(t)
	identity := func(db *sqlx.DB, opts *mssql.Options) store.Identity {
		id, err := newStore(t, db, opts).Identity(t.Context())
		require.NoError(t, err)
		return id
	}
	first := identity(one, nil)
	require.Contains(t, []string{"sqlserver", "azuresql", "babelfish"}, first.Engine)
	require.NotEmpty(t, first.Version)
	require.NotEmpty(t, first.Server)
	require.NotEmpty(t, first.Database)
	require.Equal(t, "dbo", first.Schema)
	require.NotEmpty(t, first.ID)
	require.Equal(t, first, identity(one, &mssql.Options{Schema: "dbo", Isolation: mssql.IsolationReadCommitted}))
	second := identity(two, nil)
	require.NotEqual(t, first.ID, second.ID)
	require.NotEqual(t, first.Database, second.Database)
	require.Equal(t, first.Server, second.Server)
}

// TestHostileNames are names that Babelfish can serve, too; the conformance
// suite has the others.
func TestHostileNames(t *testing.T) {
	st := newStore(t, openDB(t), nil)
	for _, name := range []string{"select", `quote"d`, "it's", "with blank", "dot.ted", "@at", "名前", "%s"} {
		def := store.Table{Name: name, Key: []string{name}, Columns: []store.Column{{Name: name, Type: store.MustType("int")}}}
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.Create(t.Context(), def); err != nil {
				return err
			}
			return tx.Insert(t.Context(), def, []string{name}, []store.Row{{2}, {1}})
		}), name)
		tab := tableOf(t, st, name)
		require.Equal(t, []store.Row{{int64(1)}, {int64(2)}}, rowsOf(t, st, store.Query{Table: tab, Key: []string{name}}))
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.Truncate(t.Context(), tab); err != nil {
				return err
			}
			return tx.Drop(t.Context(), tab)
		}), name)
	}
	_, err := st.Count(t.Context(), store.Table{Name: "contact; drop table x"})
	require.ErrorIs(t, err, store.ErrTableNotFound)
	require.ErrorContains(t, err, "the login may not see it")
}

// TestIdentity: the values of an identity column can be put back.
func TestIdentity(t *testing.T) {
	db := openDB(t)
	db.MustExec("CREATE TABLE dbo.meta (id int IDENTITY NOT NULL PRIMARY KEY, tablename nvarchar(128) NOT NULL)")
	db.MustExec("CREATE TABLE dbo.other (id int IDENTITY NOT NULL PRIMARY KEY, n int NULL)")
	st := newStore(t, db, nil)
	meta, other := tableOf(t, st, "meta"), tableOf(t, st, "other")
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		for _, step := range []func() error{
			func() error {
				return tx.Insert(t.Context(), meta, []string{"id", "tablename"}, []store.Row{{7, "a"}, {9, "b"}})
			},
			func() error { return tx.Insert(t.Context(), other, []string{"id", "n"}, []store.Row{{5, 1}}) },
			func() error { return tx.Insert(t.Context(), meta, []string{"tablename"}, []store.Row{{"c"}}) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}))
	got := rowsOf(t, st, store.Query{Table: meta, Key: meta.Key})
	require.Len(t, got, 3)
	require.Equal(t, store.Row{int64(7), "a"}, got[0])
	require.Equal(t, store.Row{int64(9), "b"}, got[1])
}

// TestTruncate falls back to DELETE for a table that another one references.
func TestTruncate(t *testing.T) {
	db := openDB(t)
	db.MustExec("CREATE TABLE dbo.parent (id int NOT NULL PRIMARY KEY, boss int NULL REFERENCES dbo.parent (id))")
	db.MustExec("CREATE TABLE dbo.child (id int NOT NULL PRIMARY KEY, parent int NULL REFERENCES dbo.parent (id))")
	db.MustExec("INSERT INTO dbo.parent (id) VALUES (1), (2)")
	db.MustExec("INSERT INTO dbo.child (id, parent) VALUES (1, NULL), (2, NULL)")
	st := newStore(t, db, nil)
	for _, name := range []string{"parent", "child"} {
		tab := tableOf(t, st, name)
		require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error { return tx.Truncate(t.Context(), tab) }), name)
		n, err := st.Count(t.Context(), tab)
		require.NoError(t, err)
		require.Zero(t, n)
	}
	err := st.Update(t.Context(), func(tx store.Tx) error { return tx.Truncate(t.Context(), store.Table{Name: "nobody"}) })
	require.Error(t, err)
}

func TestErrorsOfMissingTables(t *testing.T) {
	st := newStore(t, openDB(t), nil)
	err := st.Update(t.Context(), func(tx store.Tx) error { return tx.Drop(t.Context(), store.Table{Name: "nobody"}) })
	require.ErrorIs(t, err, store.ErrPermission, "the server does not tell the two apart")
	require.ErrorContains(t, err, "the object does not exist, or the login lacks a permission: Preflight lists what it lacks")
}

func TestChangeTracking(t *testing.T) {
	babelfish := waiting(t).babelfish
	db := openDB(t)
	st := newStore(t, db, nil)
	_, err := st.Version(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	loadNumbers(t, st)
	_, err = st.MinValidVersion(t.Context(), number)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = st.Changed(t.Context(), number, 0, []store.Row{{1}})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	if babelfish {
		t.Skip("Babelfish has no change tracking")
	}

	db.MustExec("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON")
	t.Cleanup(func() { db.MustExec("ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF") })
	db.MustExec("ALTER TABLE dbo.number ENABLE CHANGE_TRACKING")
	t.Cleanup(func() { db.MustExec("ALTER TABLE dbo.number DISABLE CHANGE_TRACKING") })
	tab := tableOf(t, st, "number")
	before, err := st.Version(t.Context())
	require.NoError(t, err)
	db.MustExec("INSERT INTO dbo.number (id, n) VALUES (2, 0), (3, 0)")
	db.MustExec("DELETE FROM dbo.number WHERE id = 3")
	after, err := st.Version(t.Context())
	require.NoError(t, err)
	require.Greater(t, after, before)
	changed, err := st.Changed(t.Context(), tab, before, []store.Row{{1}, {2}, {3}, {4}})
	require.NoError(t, err)
	require.Equal(t, []bool{false, true, true, false}, changed)
	changed, err = st.Changed(t.Context(), tab, after, []store.Row{{1}, {2}})
	require.NoError(t, err)
	require.Equal(t, []bool{false, false}, changed)
}

// TestReadsLeaveNothingBehind: what a read SETs must not reach whoever gets the
// connection from the pool next.
func TestReadsLeaveNothingBehind(t *testing.T) {
	db := openDB(t)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.SetMaxOpenConns(0) }) // the pool is lent to other tests, too
	st := newStore(t, db, nil)
	loadNumbers(t, st)
	type settings struct {
		Isolation   int `db:"transaction_isolation_level"`
		LockTimeout int `db:"lock_timeout"`
	}
	read := func() (s settings) {
		require.NoError(t, db.GetContext(t.Context(), &s, "SELECT transaction_isolation_level, @@LOCK_TIMEOUT AS lock_timeout FROM sys.dm_exec_sessions WHERE session_id = @@SPID"))
		return s
	}
	before := read()
	_, err := st.Count(t.Context(), number)
	require.NoError(t, err)
	require.Equal(t, before, read())
	for _, err := range st.Rows(t.Context(), store.Query{Table: number, Key: number.Key}) {
		require.NoError(t, err)
	}
	require.Equal(t, before, read())
	_, err = st.Preflight(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, read())
}
