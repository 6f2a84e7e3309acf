package tdsreplay

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

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

// fatalT panics with itself where a test would stop.
type fatalT struct{ *fakeT }

func (f *fatalT) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }
func (f *fatalT) Fatal(args ...any)                 { f.Errorf("%s", fmt.Sprint(args...)); panic(f) }
