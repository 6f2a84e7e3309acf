package tdsreplay_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/tdsreplay"
)

const liveVariable = "MIRROR_TEST_SQLSERVER_DSN"

var record = flag.Bool("record", false, "record testdata from the server in "+liveVariable)

// scenarios are what a client does, with what it must see, whoever answers.
var scenarios = []struct {
	name string
	run  func(t testing.TB, db *sql.DB)
}{
	{"queries", queries},
	{"parameters", parameters},
	{"transactions", transactions},
	{"errors", serverErrors},
	{"cancelled query", cancelledQuery},
	{"cancelled rows", cancelledRows},
	{"pool", pool},
	{"bulk", bulk},
	{"identity", identity},
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			live := ""
			if *record {
				live = os.Getenv(liveVariable)
				require.NotEmpty(t, live, liveVariable)
			}
			s.run(t, open(t, tdsreplay.DSN(t, live, tdsreplay.File(t), "master")))
		})
	}
}

// TestLive records what is then replayed.
func TestLive(t *testing.T) {
	live := os.Getenv(liveVariable)
	if live == "" {
		t.Skip("needs a server: " + liveVariable)
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "live.tds")
			for _, live := range []string{live, ""} {
				require.True(t, t.Run("live="+map[bool]string{true: "yes", false: "no"}[live != ""], func(t *testing.T) {
					s.run(t, open(t, tdsreplay.DSN(t, live, file, "master")))
				}))
			}
		})
	}
}

// TestRefusedLogin records an error that names the user.
func TestRefusedLogin(t *testing.T) {
	live := ""
	if *record {
		live = os.Getenv(liveVariable)
		require.NotEmpty(t, live, liveVariable)
	}
	u, err := url.Parse(tdsreplay.DSN(t, live, tdsreplay.File(t), "master"))
	require.NoError(t, err)
	u.User = url.UserPassword("mirror_nobody", "wrong password")
	err = open(t, u.String()).PingContext(t.Context())
	var e mssql.Error
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, 18456, e.Number)
}

func open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func exec(t testing.TB, db *sql.DB, query string, args ...any) int64 {
	t.Helper()
	res, err := db.ExecContext(t.Context(), query, args...)
	require.NoError(t, err, query)
	n, err := res.RowsAffected()
	require.NoError(t, err)
	return n
}

func text(t testing.TB, db *sql.DB, query string, args ...any) string {
	t.Helper()
	var s string
	require.NoError(t, db.QueryRowContext(t.Context(), query, args...).Scan(&s), query)
	return s
}

func queries(t testing.TB, db *sql.DB) {
	exec(t, db, "DROP TABLE IF EXISTS dbo.tdsreplay_q")
	exec(t, db, "CREATE TABLE dbo.tdsreplay_q (id int NOT NULL PRIMARY KEY, name nvarchar(40), price decimal(10,2), at datetime2(3))")
	require.EqualValues(t, 2, exec(t, db, "INSERT INTO dbo.tdsreplay_q VALUES (1, N'Ærø', 12.50, '2024-02-29T13:14:15.123'), (2, NULL, NULL, NULL)"))
	read := "SELECT name FROM dbo.tdsreplay_q WHERE id = 1"
	require.Equal(t, "Ærø", text(t, db, read))
	require.EqualValues(t, 1, exec(t, db, "UPDATE dbo.tdsreplay_q SET name = N'𝄞' WHERE id = 1"))
	require.Equal(t, "𝄞", text(t, db, read))

	rows, err := db.QueryContext(t.Context(), "SELECT * FROM dbo.tdsreplay_q\nORDER BY id DESC  ")
	require.NoError(t, err)
	defer rows.Close()
	var ids []int
	for rows.Next() {
		var id int
		var name, price sql.NullString
		var at sql.NullTime
		require.NoError(t, rows.Scan(&id, &name, &price, &at))
		ids = append(ids, id)
		if id == 1 {
			require.Equal(t, "12.50", price.String)
			require.Equal(t, time.Date(2024, 2, 29, 13, 14, 15, 123e6, time.UTC), at.Time)
		}
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []int{2, 1}, ids)
	exec(t, db, "DROP TABLE dbo.tdsreplay_q")
}

func parameters(t testing.TB, db *sql.DB) {
	for _, tc := range []struct {
		arg  any
		want string
	}{
		{1, "1"}, {int64(1) << 40, "1099511627776"}, {"two\nlines", "two\nlines"}, {"", ""}, {true, "1"},
		{mssql.VarChar("narrow"), "narrow"}, {strings.Repeat("long ", 2000), strings.Repeat("long ", 2000)},
		{2.5, "2.5"}, {time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC), "2024-02-29"},
	} {
		got := text(t, db, "SELECT CAST(@p1 AS nvarchar(max))", tc.arg)
		require.True(t, strings.HasPrefix(got, tc.want), "%v: %.100q", tc.arg, got)
	}
	var null sql.NullString
	var bin []byte
	row := db.QueryRowContext(t.Context(), "SELECT CAST(@none AS nvarchar(5)), @bin", sql.Named("none", nil), sql.Named("bin", []byte{1, 2, 0}))
	require.NoError(t, row.Scan(&null, &bin))
	require.False(t, null.Valid)
	require.Equal(t, []byte{1, 2, 0}, bin)
}

func transactions(t testing.TB, db *sql.DB) {
	exec(t, db, "DROP TABLE IF EXISTS dbo.tdsreplay_t")
	exec(t, db, "CREATE TABLE dbo.tdsreplay_t (id int NOT NULL PRIMARY KEY)")
	count := "SELECT COUNT(*) FROM dbo.tdsreplay_t"
	for i, commit := range []bool{true, false, true} {
		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "INSERT INTO dbo.tdsreplay_t VALUES (@p1)", i)
		require.NoError(t, err)
		if commit {
			require.NoError(t, tx.Commit())
		} else {
			require.NoError(t, tx.Rollback())
		}
		require.Equal(t, []string{"1", "1", "2"}[i], text(t, db, count))
	}
	exec(t, db, "DROP TABLE dbo.tdsreplay_t")
}

func serverErrors(t testing.TB, db *sql.DB) {
	_, err := db.ExecContext(t.Context(), "SELECT * FROM dbo.tdsreplay_missing")
	var e mssql.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, e.Message, "tdsreplay_missing")
	_, err = db.ExecContext(t.Context(), "RAISERROR('no %s', 16, 3, 'bread')")
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, 50000, e.Number)
	require.EqualValues(t, 3, e.State)
	require.Equal(t, "no bread", e.Message)
	require.Equal(t, "1", text(t, db, "SELECT '1'"))
}

// cancelledQuery cancels what has not answered yet.
func cancelledQuery(t testing.TB, db *sql.DB) {
	db.SetMaxOpenConns(1)
	require.NoError(t, db.PingContext(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(ctx, `WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
SELECT COUNT(*) FROM n a CROSS JOIN n b OPTION (MAXRECURSION 0)`)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, "after", text(t, db, "SELECT 'after'"))
}

// cancelledRows cancels in the middle of a long response.
func cancelledRows(t testing.TB, db *sql.DB) {
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := db.QueryContext(ctx, `WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
SELECT i, REPLICATE('0123456789', 50) FROM n OPTION (MAXRECURSION 0)`)
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		if n++; n == 10 {
			cancel()
		}
	}
	require.ErrorIs(t, rows.Err(), context.Canceled)
	require.Less(t, n, 4000)
	require.Equal(t, "after", text(t, db, "SELECT 'after'"))
}

// pool asks the same over several connections at once.
func pool(t testing.TB, db *sql.DB) {
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			done <- func() error {
				conn, err := db.Conn(t.Context())
				if err != nil {
					return err
				}
				defer conn.Close()
				if _, err := conn.ExecContext(t.Context(), "SET LOCK_TIMEOUT 5000"); err != nil {
					return err
				}
				for i := range 3 {
					var got int
					if err := conn.QueryRowContext(t.Context(), "SELECT @p1 * 2", i).Scan(&got); err != nil {
						return err
					}
					if got != 2*i {
						return errors.New("wrong answer")
					}
				}
				return nil
			}()
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
}

func bulk(t testing.TB, db *sql.DB) {
	db.SetMaxOpenConns(1)
	exec(t, db, "DROP TABLE IF EXISTS dbo.tdsreplay_b")
	exec(t, db, "CREATE TABLE dbo.tdsreplay_b (id int NOT NULL, name nvarchar(40))")
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	stmt, err := conn.PrepareContext(t.Context(), mssql.CopyIn("dbo.tdsreplay_b", mssql.BulkOptions{}, "id", "name"))
	require.NoError(t, err)
	for i := range 100 {
		_, err := stmt.ExecContext(t.Context(), i, strings.Repeat("n", i%40))
		require.NoError(t, err)
	}
	_, err = stmt.ExecContext(t.Context())
	require.NoError(t, err)
	require.NoError(t, stmt.Close())
	require.NoError(t, conn.Close())
	require.Equal(t, "100", text(t, db, "SELECT COUNT(*) FROM dbo.tdsreplay_b"))
	exec(t, db, "DROP TABLE dbo.tdsreplay_b")
}

// identity reads what a transcript must not hold.
func identity(t testing.TB, db *sql.DB) {
	require.NotEmpty(t, text(t, db, "SELECT SUSER_SNAME()"))
	require.NotEmpty(t, text(t, db, "SELECT CAST(SUSER_SNAME() AS varchar(100))"))
	require.NotContains(t, text(t, db, "SELECT COALESCE(HOST_NAME(), '')"), hostName(t))
}

func hostName(t testing.TB) string {
	name, err := os.Hostname()
	require.NoError(t, err)
	return name
}
