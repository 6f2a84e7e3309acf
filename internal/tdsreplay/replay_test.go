package tdsreplay

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"
)

func TestUnknownRequest(t *testing.T) {
	rpc := func(sql, decl, value string) *exchange {
		e := batch(fmt.Sprintf("sp_executesql\n  nvarchar(%d) %q\n  nvarchar(%d) %q\n  @p1 %s", 2*len(sql), sql, 2*len(decl), decl, value), value7)
		e.kind = kindRPC
		return e
	}
	f, db := client(t,
		batch("SELECT a\nFROM t\nWHERE id = 1", value(1)),
		batch("DROP TABLE other", doneToken(0)),
		rpc("SELECT a FROM t WHERE id = @p1", "@p1 bigint", "intn(8) 5"))
	for _, tc := range []struct {
		name, sql string
		args      []any
		want      []string
	}{
		{name: "sql", sql: "SELECT a\nFROM t\nWHERE id = 2", want: []string{
			"no answer to this batch",
			"    FROM t\n  - WHERE id = 1\n  + WHERE id = 2\n               ^",
		}},
		{name: "line more", sql: "SELECT a\nFROM t\nWHERE id = 1\nORDER BY a", want: []string{"  + ORDER BY a"}},
		{name: "parameter", sql: "SELECT a FROM t WHERE id = @p1", args: []any{6}, want: []string{
			"no answer to this rpc", "  -   @p1 intn(8) 5\n  +   @p1 intn(8) 6\n",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(f.reported())
			_, err := ask(t, db, tc.sql, tc.args...)
			var e mssql.Error
			require.ErrorAs(t, err, &e)
			require.Contains(t, e.Message, "no answer to this")
			reported := f.reported()
			require.Len(t, reported, before+1)
			for _, want := range tc.want {
				require.Contains(t, reported[before], want)
			}
		})
	}
	t.Run("nothing of its kind", func(t *testing.T) {
		_, err := db.BeginTx(t.Context(), nil)
		require.ErrorContains(t, err, "nor any other of its kind")
	})
	t.Run("known afterwards", func(t *testing.T) {
		got, err := ask(t, db, "SELECT a\nFROM t\nWHERE id = 1")
		require.NoError(t, err)
		require.Equal(t, 1, got)
		got, err = ask(t, db, "SELECT a FROM t WHERE id = @p1", 5)
		require.NoError(t, err)
		require.Equal(t, 7, got)
	})
	t.Run("another database", func(t *testing.T) {
		f, db := newFakeT(t), (*sql.DB)(nil)
		db = connect(t, strings.Replace(dsn(Replay(f, write(t)), "someone"), "master", "other", 1))
		require.ErrorContains(t, db.PingContext(t.Context()), "login")
		require.Len(t, f.reported(), 1)
		require.Contains(t, f.reported()[0], "- database=\"master\"\n  + database=\"other\"")
	})
	t.Run("unused", func(t *testing.T) {
		db.Close()
		f.finish()
		require.Len(t, f.logs, 1)
		require.Contains(t, f.logs[0], "1 of 3 recorded requests were not asked, the first of them: batch DROP TABLE other")
	})
}

var value7 = value(7)

func TestOrderOfAnswers(t *testing.T) {
	t.Run("each once", func(t *testing.T) {
		f, db := client(t, batch("SELECT n", value(1)), batch("UPDATE", doneToken(0)), batch("SELECT n", value(2)))
		for want := 1; want <= 2; want++ {
			got, err := ask(t, db, "SELECT n")
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		_, err := ask(t, db, "SELECT n")
		require.ErrorContains(t, err, "answers this batch 2 times, and it was asked once more")
		require.Len(t, f.reported(), 1)
	})
	t.Run("the same several times", func(t *testing.T) {
		e := batch("SELECT n", value(1))
		e.times = 2
		f, db := client(t, e)
		for range 5 {
			_, err := ask(t, db, "SELECT n")
			require.NoError(t, err)
		}
		require.Empty(t, f.reported())
	})
	t.Run("first another", func(t *testing.T) {
		e := batch("SELECT n", value(2))
		e.times = 2
		f, db := client(t, batch("SELECT n", value(1)), e)
		for range 3 {
			_, err := ask(t, db, "SELECT n")
			require.NoError(t, err)
		}
		_, err := ask(t, db, "SELECT n")
		require.ErrorContains(t, err, "answers this batch 3 times")
		require.Len(t, f.reported(), 1)
	})
	t.Run("hung up several times", func(t *testing.T) {
		e := batch("SELECT n", nil)
		e.times, e.complete, e.closed = 2, false, true
		f, db := client(t, e)
		for range 2 {
			_, err := ask(t, db, "SELECT n")
			require.ErrorIs(t, err, io.EOF)
		}
		_, err := ask(t, db, "SELECT n")
		require.ErrorContains(t, err, "answers this batch 2 times")
		require.Len(t, f.reported(), 1)
	})
	t.Run("done twice", func(t *testing.T) {
		f, db := client(t, batch("DROP TABLE t", doneToken(0)))
		_, err := db.ExecContext(t.Context(), "DROP TABLE t")
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "DROP TABLE t")
		require.ErrorContains(t, err, "answers this batch once")
		require.Len(t, f.reported(), 1)
	})
	t.Run("settings", func(t *testing.T) {
		set := "SET XACT_ABORT ON;\nset lock_timeout 5;"
		f, db := client(t, batch(set, doneToken(0)))
		for range 3 {
			_, err := db.ExecContext(t.Context(), set)
			require.NoError(t, err)
		}
		require.Empty(t, f.reported())
	})
	t.Run("settings and more", func(t *testing.T) {
		set := "SET XACT_ABORT ON; DELETE FROM t"
		f, db := client(t, batch(set, doneToken(doneCount)))
		_, err := db.ExecContext(t.Context(), set)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), set)
		require.Error(t, err)
		require.Len(t, f.reported(), 1)
	})
	t.Run("settings that count rows", func(t *testing.T) {
		set := "SET ROWCOUNT 1 DELETE FROM t"
		f, db := client(t, batch(set, doneToken(doneCount)))
		_, err := db.ExecContext(t.Context(), set)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), set)
		require.Error(t, err)
		require.Len(t, f.reported(), 1)
	})
}

// TestCancelled replays responses that did not run to their end.
func TestCancelled(t *testing.T) {
	long := value(1)
	rows := len(long) - len(doneToken(0))
	for range 1000 {
		long = append(long[:len(long)-13], 0xD1, 2, 0, 0, 0)
		long = append(long, doneToken(doneCount)...)
	}
	confirmed := append(append([]byte(nil), long[:len(long)-13]...), doneToken(doneAttn)...)
	for _, tc := range []struct {
		name string
		e    exchange
	}{
		{"confirmed after", exchange{response: long, complete: true, held: rows + 10}},
		{"confirmed within", exchange{response: confirmed, complete: true, held: rows + 10}},
		{"in the middle of a row", exchange{response: confirmed, complete: true, held: rows + 13}},
		{"client hung up", exchange{response: long[:rows+10], held: -1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.e.request, tc.e.times = request{kindBatch, "SELECT n"}, 1
			f, db := client(t, &tc.e, batch("SELECT 1", value(1)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rows, err := db.QueryContext(ctx, "SELECT n")
			require.NoError(t, err)
			for range 3 {
				require.True(t, rows.Next())
			}
			time.AfterFunc(20*time.Millisecond, cancel)
			require.False(t, rows.Next(), "there is no fourth row before the client cancels")
			require.ErrorIs(t, rows.Err(), context.Canceled)
			if tc.e.complete {
				got, err := ask(t, db, "SELECT 1")
				require.NoError(t, err)
				require.Equal(t, 1, got)
			}
			require.Empty(t, f.reported())
		})
	}
	t.Run("at once", func(t *testing.T) {
		e := batch("SELECT n", value(1))
		e.held = 0
		f, db := client(t, e, batch("SELECT 1", value(1)))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := db.ExecContext(ctx, "SELECT n")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = ask(t, db, "SELECT 1")
		require.NoError(t, err)
		require.Empty(t, f.reported())
	})
	t.Run("not recorded as cancelled", func(t *testing.T) {
		f, db := client(t, batch("SELECT n", long), batch("SELECT 1", value(1)))
		got, err := ask(t, db, "SELECT n")
		require.NoError(t, err)
		require.Equal(t, 1, got)
		_, err = ask(t, db, "SELECT 1")
		require.NoError(t, err)
		require.Empty(t, f.reported())
	})
}

func TestServerGone(t *testing.T) {
	for _, tc := range []struct {
		name     string
		response []byte
	}{
		{"before the response", nil},
		{"in the response", value(1)[:10]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := batch("SELECT n", tc.response)
			e.complete, e.closed = false, true
			f, db := client(t, e, batch("SELECT 1", value(1)))
			_, err := ask(t, db, "SELECT n")
			require.Error(t, err)
			require.NotErrorAs(t, err, new(mssql.Error))
			_, err = ask(t, db, "SELECT 1")
			require.NoError(t, err, "the pool connects again")
			require.Empty(t, f.reported())
		})
	}
}

// TestRecordReplay records a replay, which gives the same transcript.
func TestRecordReplay(t *testing.T) {
	settings := batch("SET LOCK_TIMEOUT 1", doneToken(0))
	settings.times = 2
	gone := batch("KILL me", value(3)[:10])
	gone.complete, gone.closed = false, true
	last := batch("THROW 1, '', 1", errorResponse("fatal"))
	last.closed = true
	tooLate := batch("SELECT slow", value(9))
	tooLate.held = 0
	file := write(t, batch("SELECT n", value(1)), settings, batch("SELECT n", value(2)), gone, tooLate, last)
	again := filepath.Join(t.TempDir(), "sub", "again.tds")

	f := newFakeT(t)
	addr := Record(f, Replay(f, file), again)
	db := connect(t, dsn(addr, "someone"))
	for _, query := range []string{"SELECT n", settings.text, settings.text, "SELECT n", gone.text} {
		_, err := db.ExecContext(t.Context(), query)
		require.Equal(t, query == gone.text, err != nil, query)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(ctx, tooLate.text)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	db.Close()

	// The driver does not wait for a server to hang up.
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(appendPackets(nil, typeBatch, append([]byte{4, 0, 0, 0}, encodeUTF16(last.text)...), packetSize, true))
	require.NoError(t, err)
	m, err := readMessage(c)
	require.NoError(t, err)
	require.Equal(t, last.response, m.data)
	_, err = readMessage(c)
	require.ErrorIs(t, err, io.EOF)

	f.finish()
	require.Empty(t, f.reported())
	require.Equal(t, read(t, file), read(t, again))
}

func TestNotWritten(t *testing.T) {
	prelogin, login := connecting(t)[0], connecting(t)[1]
	routed := *login
	routed.response = append([]byte{tokenEnvChange, 1, 0, envRouting}, login.response...)
	for _, tc := range []struct {
		name  string
		first []*exchange
		user  string
		query string
		want  string
	}{
		{"the name of the user in SQL", nil, "someone", "SELECT n FROM SomeOnes", "contains the login's user name or password"},
		{"the password in SQL", nil, "someone", "SELECT 'some password'", "contains the login's user name or password"},
		{"encryption", []*exchange{encrypting(prelogin), login}, "someone", "SELECT 1", "encryption"},
		{"routed", []*exchange{prelogin, &routed}, "someone", "SELECT 1", "routes"},
		{"failed test", nil, "someone", "SELECT 1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			from, to := filepath.Join(dir, "from.tds"), filepath.Join(dir, "to.tds")
			first := tc.first
			if first == nil {
				first = connecting(t)
			}
			require.NoError(t, os.WriteFile(from, appendTranscript(nil, append(first, batch(tc.query, value(1)))), 0o666))
			f := newFakeT(t)
			db := connect(t, dsn(Record(f, Replay(t, from), to), tc.user))
			_, err := ask(t, db, tc.query)
			if tc.want == "" {
				require.NoError(t, err)
				f.Errorf("the test's own failure")
			}
			db.Close()
			f.finish()
			require.NoFileExists(t, to)
			require.Len(t, f.reported(), 1)
			require.Contains(t, f.reported()[0], tc.want)
		})
	}
}

func TestReplayMissing(t *testing.T) {
	f := &fatalT{fakeT: newFakeT(t)}
	require.PanicsWithValue(t, f, func() { Replay(f, "testdata/missing.tds") })
	require.Contains(t, f.reported()[0], "written by recording")
	require.PanicsWithValue(t, f, func() { DSN(f, "server=x;user id=jane;password=hunter2", "x", "master") })
	require.NotContains(t, f.reported()[1], "hunter2")
}
