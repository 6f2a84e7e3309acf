package mssql_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

func openConfig(cfg msdsn.Config) *sql.DB { return sql.OpenDB(mssqldb.NewConnectorConfig(cfg)) }

// waiting skips a test about waiting where nothing waits.
func waiting(t *testing.T) *testServer {
	t.Helper()
	if *record {
		t.Skip("a replay has no locks and no clock")
	}
	return liveServer(t)
}

var number = store.Table{Name: "number", Key: []string{"id"}, Columns: []store.Column{{Name: "id", Type: store.MustType("int")}, {Name: "n", Type: store.MustType("int"), Nullable: true}}}

// loadNumbers creates the table number with one row.
func loadNumbers(t testing.TB, st store.Store) {
	t.Helper()
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Create(t.Context(), number); err != nil {
			return err
		}
		return tx.Insert(t.Context(), number, number.ColumnNames(), []store.Row{{1, 0}})
	}))
}

func setNumber(ctx context.Context, n int) func(tx store.Tx) error {
	return func(tx store.Tx) error {
		_, err := tx.Set(ctx, number, []store.Cell{{Column: "id", Value: 1}}, []store.Cell{{Column: "n", Value: n}})
		return err
	}
}

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

func TestLockTimeout(t *testing.T) {
	waiting(t)
	db := openDB(t)
	st := newStore(t, db, &mssql.Options{LockTimeout: 300 * time.Millisecond})
	loadNumbers(t, st)
	t.Run("a row's lock", func(t *testing.T) {
		tx, err := db.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		defer tx.Rollback()
		_, err = tx.Exec("UPDATE dbo.number SET n = 5 WHERE id = 1")
		require.NoError(t, err)
		err = st.Update(t.Context(), setNumber(t.Context(), 6))
		require.ErrorIs(t, err, store.ErrLockTimeout)
		require.ErrorContains(t, err, "perhaps a running cycle")
	})
	t.Run("another update", func(t *testing.T) {
		err := st.Update(t.Context(), func(tx store.Tx) error {
			err := st.Update(t.Context(), setNumber(t.Context(), 7))
			require.ErrorIs(t, err, store.ErrBusy)
			require.ErrorContains(t, err, "another update of this mirror")
			return nil
		})
		require.NoError(t, err)
	})
	require.Equal(t, []store.Row{{int64(1), int64(0)}}, rowsOf(t, st, store.Query{Table: number}))
	require.NoError(t, st.Update(t.Context(), setNumber(t.Context(), 8)))
}

func TestQueryTimeout(t *testing.T) {
	if waiting(t).babelfish {
		t.Skip("Babelfish does not interrupt a query that runs")
	}
	db := openDB(t)
	st := newStore(t, db, &mssql.Options{QueryTimeout: 300 * time.Millisecond})
	loadNumbers(t, st)
	tx, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("UPDATE dbo.number SET n = 5 WHERE id = 1")
	require.NoError(t, err)
	err = st.Update(t.Context(), setNumber(t.Context(), 6))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "query timeout")
}

// TestDeadlock has two transactions want each other's rows; the store's gives
// way and is tried again.
func TestDeadlock(t *testing.T) {
	waiting(t)
	db := openDB(t)
	st := newStore(t, db, nil)
	loadNumbers(t, st)
	db.MustExec("INSERT INTO dbo.number (id, n) VALUES (2, 0)")
	other, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer other.Rollback()
	_, err = other.Exec("UPDATE dbo.number SET n = 10 WHERE id = 2")
	require.NoError(t, err)

	tries, done := 0, make(chan error, 1)
	err = st.Update(t.Context(), func(tx store.Tx) error {
		tries++
		if _, err := tx.Set(t.Context(), number, []store.Cell{{Column: "id", Value: 1}}, []store.Cell{{Column: "n", Value: 1}}); err != nil {
			return err
		}
		if tries == 1 {
			go func() {
				_, err := other.Exec("UPDATE dbo.number SET n = 11 WHERE id = 1")
				done <- errors.Join(err, other.Commit())
			}()
		}
		_, err := tx.Set(t.Context(), number, []store.Cell{{Column: "id", Value: 2}}, []store.Cell{{Column: "n", Value: 2}})
		return err
	})
	otherErr := <-done
	if otherErr != nil && isBabelfish(t) {
		require.NoError(t, err) // its deadlock priority is not that of SQL Server
	} else {
		require.NoError(t, errors.Join(err, otherErr))
		require.Equal(t, 2, tries)
	}
	require.Equal(t, []store.Row{{int64(1), int64(1)}, {int64(2), int64(2)}}, rowsOf(t, st, store.Query{Table: number, Key: number.Key}))
}

// TestCommitIsCut cuts the connection when a commit is on its way.
func TestCommitIsCut(t *testing.T) {
	s := waiting(t)
	d, err := s.take("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.give(d)) })
	loadNumbers(t, newStore(t, d.db, nil))
	for name, arrives := range map[string]bool{"before the server": false, "after the server": true} {
		t.Run(name, func(t *testing.T) {
			cfg := s.config
			cfg.Database = d.name
			cfg.Host, cfg.Port = cutAtCommit(t, net.JoinHostPort(cfg.Host, fmt.Sprint(cmp.Or(cfg.Port, 1433))), arrives)
			db := sqlx.NewDb(openConfig(cfg), "sqlserver")
			defer db.Close()
			runs := 0
			err := newStore(t, db, nil).Update(t.Context(), func(tx store.Tx) error {
				runs++
				return setNumber(t.Context(), 1)(tx)
			})
			require.ErrorIs(t, err, store.ErrOutcomeUnknown)
			require.Equal(t, 1, runs, "never tried again")
		})
	}
}

// cutAtCommit is a proxy that closes both connections at the first request of
// the transaction manager to commit, before or after the server has it.
func cutAtCommit(t *testing.T, upstream string, arrives bool) (host string, port uint64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				client.Close()
				return
			}
			var committing atomic.Bool
			wg.Go(func() {
				defer server.Close()
				defer client.Close()
				buf := make([]byte, 1<<15)
				for {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					if committing.Load() {
						client.Close()
					} else if _, err := client.Write(buf[:n]); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				// The server is told that there is no more, and its answer is
				// read to the end: a reset makes Babelfish crash.
				defer server.(*net.TCPConn).CloseWrite()
				defer client.Close()
				for forwardPacket(client, server, &committing, arrives) {
				}
			})
		}
	})
	addr := l.Addr().(*net.TCPAddr)
	return addr.IP.String(), uint64(addr.Port)
}

// forwardPacket forwards one packet of the client and reports whether there may
// be more. What the server answers to a commit is lost.
func forwardPacket(client io.Reader, server net.Conn, committing *atomic.Bool, arrives bool) bool {
	const headerSize, transactionManager, commitRequest = 8, 0x0e, 7
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(client, header); err != nil {
		return false
	}
	body := make([]byte, int(binary.BigEndian.Uint16(header[2:]))-headerSize)
	if _, err := io.ReadFull(client, body); err != nil {
		return false
	}
	commit := header[0] == transactionManager && binary.LittleEndian.Uint16(body[binary.LittleEndian.Uint32(body):]) == commitRequest
	committing.Store(commit)
	if commit && !arrives {
		return false
	}
	if _, err := server.Write(append(header, body...)); err != nil {
		return false
	}
	if commit {
		_, _ = client.Read(make([]byte, 1)) // until the other direction closes it
	}
	return !commit
}

// TestLogins: what the server says to those who may not come in, or may not do
// everything.
func TestLogins(t *testing.T) {
	s := waiting(t)
	d, err := s.take("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.give(d)) })
	dsn := func(user, pass, database string) string {
		cfg := s.config
		cfg.User, cfg.Password, cfg.Database = user, pass, database
		cfg.Parameters = nil
		u := cfg.URL()
		q := u.Query()
		q.Set("encrypt", s.config.Parameters["encrypt"])
		u.RawQuery = q.Encode()
		return u.String()
	}
	t.Run("a wrong password", func(t *testing.T) {
		_, err := mssql.Open(t.Context(), dsn(s.config.User, "geheim", d.name), nil)
		require.ErrorIs(t, err, store.ErrLogin)
		require.ErrorContains(t, err, "check the login, its password and the database's name")
		require.NotContains(t, err.Error(), "geheim")
	})
	t.Run("no such database", func(t *testing.T) {
		_, err := mssql.Open(t.Context(), dsn(s.config.User, s.config.Password, "mirror_test_nobody"), nil)
		require.Error(t, err)
		require.NotContains(t, err.Error(), s.config.Password)
	})
	t.Run("a login that may do everything", func(t *testing.T) {
		st, err := mssql.Open(t.Context(), dsn(s.config.User, s.config.Password, d.name), nil)
		require.NoError(t, err)
		defer st.Close()
		loadNumbers(t, st)
		lacks, err := st.Preflight(t.Context())
		require.NoError(t, err)
		for _, l := range lacks {
			if !s.babelfish || l.Permission != "VIEW CHANGE TRACKING" && l.Permission != "VIEW DEFINITION" {
				require.Fail(t, "lacks something", "%s", l)
			}
		}
	})
	t.Run("a login that may read", func(t *testing.T) {
		const user, pass = "mirror_test_reader", "Geheim-12345"
		s.admin.MustExec("CREATE LOGIN [" + user + "] WITH PASSWORD = '" + pass + "'")
		t.Cleanup(func() { dropLogin(t, s.admin, user) })
		d.db.MustExec("CREATE USER [" + user + "] FOR LOGIN [" + user + "]")
		t.Cleanup(func() { d.db.MustExec("DROP USER [" + user + "]") })
		d.db.MustExec("GRANT SELECT ON dbo.number TO [" + user + "]")
		t.Cleanup(func() { d.db.MustExec("REVOKE SELECT ON dbo.number FROM [" + user + "]") })
		src, err := mssql.OpenSource(t.Context(), dsn(user, pass, d.name), &mssql.Options{Schema: "dbo"})
		require.NoError(t, err)
		defer src.Close()
		require.Len(t, rowsOf(t, src, store.Query{Table: tableOf(t, src, "number")}), 1)
		lacks, err := src.Preflight(t.Context())
		require.NoError(t, err)
		var text []string
		for _, l := range lacks {
			text = append(text, l.String())
		}
		all := strings.Join(text, "\n")
		require.Contains(t, all, "ResetTables needs UPDATE on SCHEMA::[dbo]: GRANT UPDATE ON SCHEMA::[dbo] TO ["+user+"]")
		require.NotContains(t, all, "Compare needs SELECT")

		st, err := mssql.Open(t.Context(), dsn(user, pass, d.name), &mssql.Options{Schema: "dbo"})
		require.NoError(t, err)
		defer st.Close()
		err = st.Update(t.Context(), setNumber(t.Context(), 9))
		require.ErrorIs(t, err, store.ErrPermission)
		require.ErrorContains(t, err, "Preflight lists what it lacks")
	})
}

// dropLogin waits for the server to notice that the login's sessions are closed.
func dropLogin(t *testing.T, admin *sqlx.DB, user string) {
	t.Helper()
	var err error
	for range 100 {
		if _, err = admin.Exec("DROP LOGIN [" + user + "]"); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	require.NoError(t, err)
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
