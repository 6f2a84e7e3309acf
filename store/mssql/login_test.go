package mssql_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/microsoft/go-mssqldb/msdsn"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

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
		return dsnOf(s, cfg)
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
		var conns []*sql.Conn
		for range 4 {
			conn, err := st.DB().Conn(t.Context())
			require.NoError(t, err)
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			require.NoError(t, conn.Close())
		}
		require.Zero(t, st.DB().Stats().MaxIdleClosed, "connections are kept for the next question")
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

// dsnOf returns the connection string of a login to the server.
func dsnOf(s *testServer, cfg msdsn.Config) string {
	cfg.Parameters = nil
	u := cfg.URL()
	q := u.Query()
	q.Set("encrypt", s.config.Parameters["encrypt"])
	u.RawQuery = q.Encode()
	return u.String()
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
