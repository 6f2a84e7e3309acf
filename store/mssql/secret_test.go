package mssql_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/so-mirror/mirror/fleet"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/internal/tdsreplay"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/mssql"
)

// secret is a password with what a URL, a connection string and JSON escape.
const secret = `Zw7 hemlig/%41+&<ø"`

// secretForms are the ways in which it could come to light.
func secretForms() map[string]string {
	var wide, obfuscated []byte
	for _, u := range utf16.Encode([]rune(secret)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for _, b := range wide { // as a login packet has it
		obfuscated = append(obfuscated, (b<<4|b>>4)^0xA5)
	}
	quoted, _ := json.Marshal(secret)
	_, userinfo, _ := strings.Cut(url.UserPassword("svc", secret).String(), ":")
	return map[string]string{
		"plain": secret, "query-escaped": url.QueryEscape(secret), "path-escaped": url.PathEscape(secret), "of a URL's user": userinfo,
		"UTF-16": string(wide), "of a login packet": string(obfuscated), "JSON": strings.Trim(string(quoted), `"`), "quoted": strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"hex": hex.EncodeToString([]byte(secret)), "hex of UTF-16": hex.EncodeToString(wide), "base64": base64.StdEncoding.EncodeToString([]byte(secret)),
		"a part of it": "hemlig",
	}
}

// requireSecret demands that a text does not give the password away.
func requireSecret(t testing.TB, text, what string) {
	t.Helper()
	for form, s := range secretForms() {
		require.False(t, strings.Contains(strings.ToLower(text), strings.ToLower(s)), "%s has the password, %s", what, form)
	}
}

// requireSecretError does so for an error, whatever is wrapped in it, in every
// way of printing it.
func requireSecretError(t testing.TB, err error) {
	t.Helper()
	require.Error(t, err)
	var visit func(err error)
	visit = func(err error) {
		if err == nil {
			return
		}
		what := fmt.Sprintf("%T", err)
		for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x"} {
			requireSecret(t, fmt.Sprintf(verb, err), what+" as "+verb)
		}
		data, _ := json.Marshal(err)
		requireSecret(t, string(data), what+" as JSON")
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			visit(e.Unwrap())
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				visit(inner)
			}
		}
	}
	visit(err)
	visit(errors.Join(err, fmt.Errorf("again: %w", err)))
}

// secretDSNs are the connection strings of a server, in every form.
func secretDSNs(addr string) map[string]string {
	host, port, _ := net.SplitHostPort(addr)
	return map[string]string{
		"URL":  (&url.URL{Scheme: "sqlserver", User: url.UserPassword("svc", secret), Host: addr, RawQuery: "database=d&encrypt=disable&dial+timeout=2"}).String(),
		"ADO":  "server=" + host + ";port=" + port + ";user id=svc;password=\"" + strings.ReplaceAll(secret, `"`, `""`) + "\";database=d;encrypt=disable;dial timeout=2",
		"ODBC": "odbc:server=" + host + ";port=" + port + ";user id=svc;password={" + secret + "};database=d;encrypt=disable;dial timeout=2",
	}
}

// cutting is a server that lets everybody in, and hangs up at the first SQL.
func cutting(t *testing.T) (addr string) {
	t.Helper()
	upstream := tdsreplay.Replay(t, filepath.Join("testdata", "TestIsolationIsReported.tds"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		conns.Wait()
	})
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { letIn(client, upstream) })
		}
	})
	return l.Addr().String()
}

// letIn passes what a client sends on until it has logged in.
func letIn(client net.Conn, upstream string) {
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		client.Close()
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		client.Close()
	})
	defer back.Wait()
	defer server.Close()
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		const prelogin, login = 0x12, 0x10
		if head[0] != prelogin && head[0] != login {
			return
		}
		rest := make([]byte, int(head[2])<<8+int(head[3])-len(head))
		if _, err := io.ReadFull(client, rest); err != nil {
			return
		}
		if _, err := server.Write(append(head, rest...)); err != nil {
			return
		}
	}
}

func TestThePasswordIsInNoErrorOfOpen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	refused := filepath.Join("..", "..", "internal", "tdsreplay", "testdata", "TestRefusedLogin.tds")
	check := func(t *testing.T, dsn string, want error) {
		t.Helper()
		_, err := mssql.Open(t.Context(), dsn, nil)
		requireSecretError(t, err)
		if want != nil {
			require.ErrorIs(t, err, want)
		}
	}
	for form, dsn := range secretDSNs(nobody) {
		t.Run("nobody there, "+form, func(t *testing.T) {
			check(t, dsn, store.ErrConnection)
			_, err := mssql.OpenSource(t.Context(), dsn, &mssql.Options{QueryTimeout: time.Second})
			requireSecretError(t, err)
		})
	}
	for form := range secretDSNs("") {
		t.Run("refused, "+form, func(t *testing.T) {
			check(t, strings.Replace(secretDSNs(tdsreplay.Replay(t, refused))[form], "database=d", "database=master", 1), store.ErrLogin)
		})
		t.Run("cut, "+form, func(t *testing.T) {
			check(t, strings.Replace(secretDSNs(cutting(t))[form], "database=d", "database=mirror_replay_1", 1), store.ErrConnection)
		})
	}
	for name, dsn := range map[string]string{
		"not escaped":          "sqlserver://svc:" + secret + "@127.0.0.1:1?database=d",
		"a port that is none":  strings.Replace(secretDSNs("127.0.0.1:1")["URL"], ":1?", ":x?", 1),
		"a bad parameter":      secretDSNs("127.0.0.1:1")["URL"] + "&encrypt=" + url.QueryEscape(secret),
		"a bad port, ADO":      "server=127.0.0.1;port=" + secret + ";user id=svc;password=" + secret,
		"an open brace, ODBC":  "odbc:server=127.0.0.1;password={" + secret,
		"as the user":          (&url.URL{Scheme: "sqlserver", User: url.User(secret), Host: "127.0.0.1:x"}).String(),
		"a control character":  "sqlserver://svc:" + secret + "\x7f@127.0.0.1:1",
		"a scheme that is not": "postgres://svc:" + url.QueryEscape(secret) + "@127.0.0.1:1",
		"a timeout":            secretDSNs("127.0.0.1:1")["URL"] + "&connection+timeout=" + url.QueryEscape(secret),
		"a certificate":        secretDSNs("127.0.0.1:1")["URL"] + "&encrypt=true&certificate=/nowhere/x",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := mssql.Open(ctx, dsn, nil)
			requireSecretError(t, err)
		})
	}
}

// Every operation meets a connection that breaks: its error, what it returns
// with it, what it logs and the journal are all that leaves the process.
func TestThePasswordIsInNothingThatLeaves(t *testing.T) {
	dsn := strings.Replace(secretDSNs(cutting(t))["URL"], "database=d", "database=mirror_replay_1", 1)
	db, err := sqlx.Open("sqlserver", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	st := newStore(t, db, nil)
	path := filepath.Join(t.TempDir(), "journal")
	journal, err := journal.Open(path)
	require.NoError(t, err)
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
	const customer = "Cust10195"
	opts := &mirror.Options{Logger: logger, Journal: journal, Clock: mirrortest.Clock{Wait: func(context.Context, time.Duration) error { return context.Canceled }}}
	m, err := mirror.New(customer, st, opts)
	require.NoError(t, err)

	// What a mirror that can be reached makes.
	tables := []memory.Table{
		{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}, Rows: []store.Row{{1}}},
		memory.Metadata(customer, map[string]store.LSN{"contact": 812}),
	}
	reachable := memory.New(tables...)
	near, err := mirror.New(customer, reachable, opts)
	require.NoError(t, err)
	ctx := t.Context()

	shown := func(v interface {
		fmt.Stringer
		WriteJSON(w io.Writer) error
	}, err error) {
		t.Helper()
		requireSecretError(t, err)
		logger.Error("failed", "error", err, "what", v)
		var b bytes.Buffer
		require.NoError(t, v.WriteJSON(&b))
		requireSecret(t, b.String(), fmt.Sprintf("%T as JSON", v))
		requireSecret(t, v.String(), fmt.Sprintf("%T", v))
		for _, verb := range []string{"%+v", "%#v"} {
			requireSecret(t, fmt.Sprintf(verb, v), fmt.Sprintf("%T as %s", v, verb))
		}
	}
	none := &fleet.Summary{}

	_, err = m.Status(ctx)
	require.ErrorIs(t, err, store.ErrConnection, "the server hangs up")
	shown(none, err)
	_, err = m.Compare(ctx, reachable, nil)
	shown(none, err)
	// The source is what cannot be reached, once its tables are known.
	report, err := near.Compare(ctx, halfThere{st, reachable}, &mirror.CompareOptions{SourceIsCopy: true})
	require.NoError(t, err)
	require.Equal(t, mirror.VerdictFailed, report.Table("contact").Verdict)
	shown(report, report.Err())
	shown(report, report.Table("contact").Err)
	_, err = m.Recheck(ctx, st, report, nil)
	shown(report, err)
	receipt, err := near.ResetTables(ctx, []string{"contact"}, nil)
	require.NoError(t, err)
	_, err = m.ResetTables(ctx, []string{"contact"}, nil)
	shown(receipt, err)
	_, err = m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer})
	shown(receipt, err)
	shown(receipt, m.Undo(ctx, receipt))
	lsn := store.LSN(812)
	plan := &mirror.Plan{Version: 1, ContextID: customer, Tables: []mirror.PlanTable{{Table: "contact", Step: mirror.StepReset, Metadata: "x", LSN: &lsn}}}
	_, err = m.Apply(ctx, plan, nil)
	shown(plan, err)
	waited, err := heal.Wait(ctx, m, receipt, nil)
	shown(waited, err)
	healed, err := heal.Run(ctx, m, reachable, nil)
	shown(healed, err)
	entries, err := journal.Entries()
	require.NoError(t, err)
	require.NotEmpty(t, entries, "there is something to look at")
	_, err = m.Reconcile(ctx, entries[:1])
	shown(none, err)
	all := &fleet.Fleet{Members: []fleet.Member{
		{ContextID: customer, Open: func(context.Context) (*fleet.Connection, error) {
			return &fleet.Connection{Mirror: m, Close: db.Close}, nil
		}},
		{ContextID: "Cust2", Open: func(ctx context.Context) (*fleet.Connection, error) {
			_, err := mssql.Open(ctx, dsn, nil)
			return nil, err
		}},
	}}
	summary := &fleet.Summary{}
	for r := range all.Status(ctx) {
		summary.Add(r)
		shown(summary, r.Err)
	}
	_, err = st.Preflight(ctx)
	requireSecretError(t, err)

	for what, v := range map[string]any{"the store": st, "the mirror": m, "the pool": db, "the source": &st.Source} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			requireSecret(t, fmt.Sprintf(verb, v), what+" as "+verb)
		}
		data, _ := json.Marshal(v)
		requireSecret(t, string(data), what+" as JSON")
		logger.Debug("printed", "what", v)
	}
	require.NoError(t, journal.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEmpty(t, data)
	requireSecret(t, string(data), "the journal")
	require.NotEmpty(t, log.String())
	requireSecret(t, log.String(), "the log")
}

// halfThere has the tables of one store and the rows of another.
type halfThere struct {
	store.Source
	tables store.Source
}

func (h halfThere) Tables(ctx context.Context) ([]store.Table, error) { return h.tables.Tables(ctx) }

// A transcript of a conversation holds no password, in its requests or in its
// answers.
func TestThePasswordIsInNoTranscript(t *testing.T) {
	file := filepath.Join(t.TempDir(), "transcript.tds")
	t.Run("record", func(t *testing.T) {
		upstream := tdsreplay.Replay(t, filepath.Join("testdata", "TestIsolationIsReported.tds"))
		dsn := strings.Replace(secretDSNs(tdsreplay.Record(t, upstream, file))["URL"], "database=d", "database=mirror_replay_1", 1)
		store, err := mssql.Open(t.Context(), dsn, nil)
		require.NoError(t, err)
		require.NoError(t, store.Close())
	})
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	requireSecret(t, string(data), "the transcript")
	blocks := strings.Split(string(data), "\n\n")
	require.Greater(t, len(blocks), 3, "there is a conversation")
	for _, block := range blocks {
		var coded strings.Builder
		packed := false
		for line := range strings.Lines(block) {
			if mark, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok && (mark == "<" || mark == "=") {
				coded.WriteString(text)
				packed = mark == "="
			}
		}
		answer, err := base64.StdEncoding.DecodeString(coded.String())
		require.NoError(t, err)
		if packed {
			z, err := gzip.NewReader(bytes.NewReader(answer))
			require.NoError(t, err)
			answer, err = io.ReadAll(z)
			require.NoError(t, err)
		}
		requireSecret(t, string(answer), "an answer of the transcript")
	}
}
