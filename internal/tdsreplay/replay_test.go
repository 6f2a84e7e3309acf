package tdsreplay

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"
)

// fakeT is a test that may fail without failing the real one.
type fakeT struct {
	testing.TB

	mu           sync.Mutex
	errors, logs []string
	cleanups     []func()
}

func newFakeT(t *testing.T) *fakeT {
	f := &fakeT{TB: t}
	t.Cleanup(f.finish)
	return f
}

// finish ends the fake test; further calls do nothing.
func (f *fakeT) finish() {
	for len(f.cleanups) > 0 {
		last := f.cleanups[len(f.cleanups)-1]
		f.cleanups = f.cleanups[:len(f.cleanups)-1]
		last()
	}
}

func (f *fakeT) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

func (f *fakeT) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fakeT) Logf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}

func (f *fakeT) Failed() bool { return len(f.reported()) > 0 }

func (f *fakeT) reported() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.errors...)
}

// connecting are a recorded PRELOGIN and login.
func connecting(t *testing.T) []*exchange {
	t.Helper()
	text, err := os.ReadFile("testdata/TestScenarios-errors.tds")
	require.NoError(t, err)
	exchanges, err := parseTranscript(string(text))
	require.NoError(t, err)
	require.Equal(t, kindPrelogin, exchanges[0].kind)
	require.Equal(t, kindLogin, exchanges[1].kind)
	return exchanges[:2]
}

func batch(sql string, response []byte) *exchange {
	return &exchange{request: request{kindBatch, sql}, times: 1, response: response, complete: true, held: -1}
}

// value is the response to a SELECT of one int.
func value(n byte) []byte {
	b := []byte{0x81, 1, 0, 0, 0, 0, 0, 8, 0, 0x38, 1, 'n', 0, 0xD1, n, 0, 0, 0}
	return append(b, doneToken(doneCount)...)
}

// write makes a transcript of a connection and exchanges.
func write(t *testing.T, exchanges ...*exchange) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "x.tds")
	require.NoError(t, os.WriteFile(file, appendTranscript(nil, append(connecting(t), exchanges...)), 0o666))
	return file
}

func dsn(addr, user string) string {
	return "sqlserver://" + user + ":some%20password@" + addr + "?database=master&encrypt=disable"
}

// client connects to a replay of exchanges whose failures are in the fakeT.
func client(t *testing.T, exchanges ...*exchange) (*fakeT, *sql.DB) {
	t.Helper()
	f := newFakeT(t)
	db := connect(t, dsn(Replay(f, write(t, exchanges...)), "someone"))
	return f, db
}

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func ask(t *testing.T, db *sql.DB, query string, args ...any) (int, error) {
	t.Helper()
	var n int
	err := db.QueryRowContext(t.Context(), query, args...).Scan(&n)
	return n, err
}

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

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
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

// encrypting is a PRELOGIN response of a server that insists on encryption.
func encrypting(prelogin *exchange) *exchange {
	e := *prelogin
	e.response = bytes.Clone(e.response)
	for opt := e.response; opt[0] != 0xFF; opt = opt[5:] {
		if opt[0] == 1 {
			e.response[int(opt[1])<<8|int(opt[2])] = 3
		}
	}
	return &e
}

// TestNoSecrets looks through everything that is committed.
func TestNoSecrets(t *testing.T) {
	files, err := filepath.Glob("testdata/*.tds")
	require.NoError(t, err)
	stores, err := filepath.Glob("../../store/*/testdata/*.tds")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.NotEmpty(t, stores)
	files = append(files, stores...)
	words := []string{"babelfish_user", "mirror_nobody", "wrong password"}
	if dsn, err := url.Parse(os.Getenv("MIRROR_TEST_SQLSERVER_DSN")); err == nil && dsn.User != nil {
		password, _ := dsn.User.Password()
		words = append(words, password)
	}
	for _, file := range files {
		text := read(t, file)
		exchanges, err := parseTranscript(text)
		require.NoError(t, err)
		for _, w := range words {
			require.NotContains(t, strings.ToLower(text), strings.ToLower(w), file)
			for _, e := range exchanges {
				folded := bytes.ToLower(e.response)
				require.False(t, bytes.Contains(folded, []byte(strings.ToLower(w))), "%s: %q in %s %s", file, w, e.kind, e.text)
				require.False(t, bytes.Contains(folded, encodeUTF16(strings.ToLower(w))), "%s: wide %q in %s %s", file, w, e.kind, e.text)
			}
		}
	}
}

func TestScrub(t *testing.T) {
	var s secrets
	require.NoError(t, s.addLogin(login{user: "Jane", password: "hunter2"}))
	require.NoError(t, s.addLogin(login{user: "sa"}))
	require.Error(t, s.addLogin(login{user: "Jane", password: "abc"}))
	s.addServer("BOX")
	in := append([]byte("jane JANE hunter2 sa BOX "), encodeUTF16("jAnE HUNTER2 Janet BOX")...)
	in = append(append(in, 3), encodeUTF16("BOX")...)
	want := append([]byte("xxxx xxxx xxxxxxx sa BOX "), encodeUTF16("xxxx xxxxxxx xxxxt BOX")...)
	want = append(append(want, 3), encodeUTF16("xxx")...)
	require.Equal(t, string(want), string(s.scrub(in)))
	require.NotEqual(t, string(in), string(want), "scrub changes nothing of what it is given")
	for _, text := range []string{"GRANT SELECT TO jane", "0x68756e74657232", "0x" + fmt.Sprintf("%x", encodeUTF16("Jane"))} {
		require.Error(t, s.check(text), text)
	}
	require.NoError(t, s.check("SELECT 'sa'"))
}

func TestCoalesce(t *testing.T) {
	var s secrets
	login := &exchange{request: request{kindLogin, "x"}, times: 1, response: doneToken(0), complete: true, held: -1}
	refused := *login
	refused.response, refused.closed = doneToken(doneError), true
	got, err := s.clean([]*exchange{login, login, &refused, batch("a", doneToken(0)), batch("b", value(1)), batch("a", doneToken(0)), batch("b", value(2)), login})
	require.NoError(t, err)
	var text []string
	for _, e := range got {
		text = append(text, fmt.Sprintf("%s %s %d %v", e.kind, e.text, e.times, e.closed))
	}
	require.Equal(t, []string{"login x 1 false", "login x 1 false", "batch a 2 false", "batch b 1 false", "batch b 1 false", "login x 1 false"}, text)
}

func TestClean(t *testing.T) {
	s := secrets{words: []string{"jane"}}
	begin := func(id byte) []byte {
		return append([]byte{tokenEnvChange, 11, 0, envBegin, 8, id, 8, 7, 6, 5, 4, 3, 2, 0}, doneToken(0)...)
	}
	one, two := batch("begin", begin(7)), batch("begin", begin(9))
	got, err := s.clean([]*exchange{batch("who", errorResponse("it is Jane")), one, two})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, errorResponse("it is xxxx"), got[0].response)
	require.Equal(t, 2, got[1].times)
	require.Equal(t, begin(7), one.response, "what was recorded stays")
}

// TestLoginHidden looks at what a server gets to see.
func TestLoginHidden(t *testing.T) {
	seen := make(chan message, 1)
	up := listen(t, func(c net.Conn, _ *server) {
		if _, err := readMessage(c); err != nil {
			return
		}
		c.Write(appendPackets(nil, typeReply, connecting(t)[0].response, packetSize, true))
		m, err := readMessage(c)
		if err == nil {
			seen <- m
		}
	})
	t.Cleanup(up.close)
	db := connect(t, dsn(Record(newFakeT(t), up.addr(), filepath.Join(t.TempDir(), "x.tds")), "someone")+"&workstation+id=mine")
	require.Error(t, db.PingContext(t.Context()))
	m := <-seen
	l, ok := readLogin(m.data)
	require.True(t, ok)
	require.Equal(t, "xxxx", l.hostName)
	require.Equal(t, "someone", l.user)
	require.Equal(t, "some password", l.password)
	require.Equal(t, make([]byte, 4), m.data[loginPID:loginPID+4])
	require.Equal(t, make([]byte, 6), m.data[loginClientID:loginClientID+6])
}

func TestAnonymous(t *testing.T) {
	b := make([]byte, loginFixed)
	put := func(at int, s string) {
		b[at], b[at+1], b[at+2] = byte(len(b)), byte(len(b)>>8), byte(len(s))
		b = append(b, encodeUTF16(s)...)
	}
	put(loginHost, "workstation")
	put(loginUser, "jane")
	put(loginDatabase, "crm")
	b[loginPID], b[loginClientID], b[loginTypeFlags] = 7, 7, loginReadOnly
	l, ok := readLogin(anonymous(b))
	require.True(t, ok)
	require.Equal(t, login{database: "crm", user: "jane", hostName: "xxxxxxxxxxx", readOnly: true}, l)
	require.Equal(t, `database="crm" readonly`, l.text())
	require.Zero(t, anonymous(b)[loginPID])
	require.Zero(t, anonymous(b)[loginClientID])
}

func TestTokens(t *testing.T) {
	ack := []byte{tokenEnvChange, 3, 0, envResetAck, 0, 0}
	require.Equal(t, value(1), withoutResetAck(append(ack, value(1)...)))
	require.Equal(t, value(1), withoutResetAck(value(1)))
	require.True(t, onlyDone(append(ack, doneToken(0)...)))
	require.False(t, onlyDone(value(1)))
	require.False(t, onlyDone(errorResponse("no")))
	require.False(t, confirmsAttention(value(1)))
	require.True(t, confirmsAttention(append(value(1), doneToken(doneAttn)...)))

	begin := []byte{tokenEnvChange, 11, 0, envBegin, 8, 9, 8, 7, 6, 5, 4, 3, 2, 0}
	sameTransaction(begin)
	require.Equal(t, []byte{tokenEnvChange, 11, 0, envBegin, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0}, begin)
}

func TestTranscriptText(t *testing.T) {
	for name, text := range map[string]string{
		"plain": "SELECT 1", "empty": "", "lines": "a\nb\n\nc\n", "blanks": "a \n  b\t", "returns": "a\r\nb", "quotes": `"a"`,
		"marks": "| a\n< b\n# c\n\n= d", "not text": "\xff\x00", "wide": "Ærø 𝄞 \u00a0",
	} {
		t.Run(name, func(t *testing.T) {
			want := batch(text, bytes.Repeat([]byte("x"), 10000))
			want.times, want.held, want.closed, want.complete = 3, 17, true, false
			b := appendTranscript(nil, []*exchange{want, batch("b", []byte{1})})
			require.NotRegexp(t, `[ \t\r]\n`, string(b), "an editor may take that away")
			got, err := parseTranscript(string(b))
			require.NoError(t, err)
			require.Equal(t, []*exchange{want, batch("b", []byte{1})}, got)
			got, err = parseTranscript(strings.ReplaceAll(string(b), "\n", "\r\n"))
			require.NoError(t, err)
			require.Equal(t, want, got[0])
		})
	}
}

func TestDamagedTranscript(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "line 1",
		"tdsreplay 2\n":                       "line 1",
		magic + "\n\nquery\n":                 `line 3: "query" is not a kind`,
		magic + "\n\nbatch often\n":           `"often" is not a flag`,
		magic + "\n\nbatch times=0\n":         `"times=0" is not a flag`,
		magic + "\n\nbatch held=1\n":          "held=1 is beyond",
		magic + "\n\nbatch\nSELECT 1\n":       "unexpected line",
		magic + "\n\nbatch\n< AAAA\n| a":      "unexpected line",
		magic + "\n\nbatch\n< AAAA\n= AAAA\n": "unexpected line",
		magic + "\n\nbatch\n< !\n":            "decode response",
		magic + "\n\nbatch\n= AAAA\n":         "unpack response",
		magic + "\n\nbatch\n\"a\n":            "unquote",
	} {
		_, err := parseTranscript(text)
		require.ErrorContains(t, err, want, text)
	}
	long := string(appendTranscript(nil, []*exchange{batch("", make([]byte, 1000)), batch("", []byte{1})}))
	for room, want := range map[int]error{999: errRoom, 1000: errRoom, 1001: nil} {
		_, err := parseWithin(long, room)
		require.ErrorIs(t, err, want, room)
	}
}

func TestLongText(t *testing.T) {
	long := strings.Repeat("SELECT 'Ærø'\n", 1000)
	got := shorten(long)
	require.Less(t, len(got), maxText)
	require.True(t, strings.HasPrefix(long, got[:1000]))
	require.NotEqual(t, got, shorten(long+"x"))
	oneLine := shorten(strings.Repeat("Æ", 5000))
	require.NotContains(t, oneLine, "\uFFFD")
	require.Equal(t, "short", shorten("short"))
}

func TestReplayMissing(t *testing.T) {
	f := &fatalT{fakeT: newFakeT(t)}
	require.PanicsWithValue(t, f, func() { Replay(f, "testdata/missing.tds") })
	require.Contains(t, f.reported()[0], "written by recording")
	require.PanicsWithValue(t, f, func() { DSN(f, "server=x;user id=jane;password=hunter2", "x", "master") })
	require.NotContains(t, f.reported()[1], "hunter2")
}

// fatalT panics with itself where a test would stop.
type fatalT struct{ *fakeT }

func (f *fatalT) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }
func (f *fatalT) Fatal(args ...any)                 { f.Errorf("%s", fmt.Sprint(args...)); panic(f) }

func TestFile(t *testing.T) {
	t.Run("a/b c", func(t *testing.T) {
		require.Equal(t, filepath.Join("testdata", "TestFile-a-b_c.tds"), File(t))
	})
}

func TestMalformed(t *testing.T) {
	f := newFakeT(t)
	addr := Replay(f, write(t))
	for _, b := range [][]byte{{1, 1, 0, 7, 0, 0, 1, 0}, {0x11, 1, 0, 8, 0, 0, 1, 0}} {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = c.Write(b)
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
		c.Close()
	}
	require.Len(t, f.reported(), 2)
	require.Contains(t, f.reported()[0], "shorter than its header")
	require.Contains(t, f.reported()[1], "type 0x11 is not supported")
}

func FuzzMessage(f *testing.F) {
	f.Add(appendPackets(nil, typeBatch, append([]byte{4, 0, 0, 0}, encodeUTF16("SELECT 1")...), 16, true))
	f.Add(appendPackets(nil, typeLogin, make([]byte, loginFixed), packetSize, true))
	f.Add(appendPackets(nil, typeTran, []byte{4, 0, 0, 0, 5, 0, 2, 0}, packetSize, true))
	rpc := []byte{4, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0xE7, 4, 0, 0, 0, 0, 0, 0, 4, 0, 'a', 0, 'b', 0}
	rpc = append(rpc, 0, 0, 0xE7, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 'a', 0, 0, 0, 0, 0)
	rpc = append(rpc, 0, 0, 0x6A, 5, 10, 2, 5, 1, 2, 3, 4, 5, 0, 1, 0x2A, 7, 0, 0, 0, 0x1F, 0, 0, 0x26, 8, 4, 1, 0, 0, 0)
	f.Add(appendPackets(nil, typeRPC, rpc, packetSize, true))
	f.Add(append([]byte{typeReply, 1, 0, 8, 0, 0, 0, 0}, errorResponse("x")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(bytes.NewReader(b))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(m.data)+headerSize, len(b))
		again, err := readMessage(bytes.NewReader(appendPackets(nil, m.typ, m.data, packetSize, true)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(m.data, again.data))
		req, err := describe(m)
		if err == nil {
			require.LessOrEqual(t, len(req.text), 2*maxText+2*len(b))
			again, err := parseTranscript(string(appendTranscript(nil, []*exchange{{request: req, times: 1, held: -1, complete: true}})))
			require.NoError(t, err)
			require.Equal(t, req, again[0].request)
		}
		if l, ok := readLogin(m.data); ok {
			hidden, ok := readLogin(anonymous(m.data))
			require.True(t, ok)
			require.Equal(t, len(encodeUTF16(l.hostName)), len(encodeUTF16(hidden.hostName)))
		}
		readLoginResponse(m.data)
		onlyDone(m.data)
		confirmsAttention(m.data)
		withoutResetAck(m.data)
		wantsTLS(m.data)
		sameTransaction(m.data)
	})
}

func FuzzTranscript(f *testing.F) {
	f.Add(string(appendTranscript(nil, []*exchange{batch("a \n\"b\"", value(1)), batch("c", make([]byte, 500))})))
	f.Add(magic + "\n\nrpc times=2 held=1 partial closed\n|\n| a\n\"\\x00\"\n< AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		exchanges, err := parseTranscript(text)
		if err != nil {
			return
		}
		again, err := parseTranscript(string(appendTranscript(nil, exchanges)))
		require.NoError(t, err)
		require.Equal(t, len(exchanges), len(again))
		for i, e := range exchanges {
			require.Equal(t, e.request, again[i].request)
			require.True(t, e.sameAnswer(again[i]) && e.times == again[i].times)
		}
	})
}
