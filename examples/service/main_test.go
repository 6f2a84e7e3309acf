package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

// files makes a customer's database and its mirror, and the file that names them.
func files(t *testing.T) (config string) {
	t.Helper()
	dir := t.TempDir()
	create := func(name string) *sqlite.Store {
		s, err := sqlite.Create(t.Context(), filepath.Join(dir, name))
		require.NoError(t, err)
		return s
	}
	source, to := create("customer.db"), create("mirror.db")
	contact := store.Table{Name: "contact", Columns: []store.Column{{Name: "contact_id", Type: store.MustType("int")}}, Key: []string{"contact_id"}}
	require.NoError(t, source.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Create(t.Context(), contact); err != nil {
			return err
		}
		return tx.Insert(t.Context(), contact, []string{"contact_id"}, []store.Row{{1}, {2}})
	}))
	_, err := (&cycle.Task{Customer: cycle.NewCustomer("Cust1", source), Mirror: to}).Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, source.Close())
	require.NoError(t, to.Close())
	config = filepath.Join(dir, "fleet.yaml")
	require.NoError(t, os.WriteFile(config, []byte("source: customer.db\nmirror: mirror.db\nmembers:\n  - Cust1\n"), 0o600))
	return config
}

type logLine struct{ Msg, Address, Summary, Error string }

// started runs the program until the test ends it, and returns its log and that end.
func started(t *testing.T, args ...string) (next func(msgs ...string) logLine, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, func(string) string { return "" }, w)
		w.Close()
		done <- err
	}()
	lines := bufio.NewScanner(r)
	next = func(msgs ...string) logLine {
		t.Helper()
		for lines.Scan() {
			var l logLine
			if require.NoError(t, json.Unmarshal(lines.Bytes(), &l), lines.Text()); slices.Contains(msgs, l.Msg) {
				return l
			}
		}
		require.NoError(t, <-done)
		require.Fail(t, "it ended before it said: "+strings.Join(msgs, " or "))
		return logLine{}
	}
	return next, func() error {
		cancel()
		_, err := io.Copy(io.Discard, r)
		require.NoError(t, err)
		return <-done
	}
}

func TestRun(t *testing.T) {
	// The console's sessions are cleaned up by a goroutine of scs that cannot be stopped safely.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	config := files(t)
	state := t.TempDir()
	next, stop := started(t, "-config", config, "-listen", "127.0.0.1:0", "-state", state)
	seen := map[string]logLine{}
	for len(seen) < 2 {
		l := next("listening", "compared") // in either order
		seen[l.Msg] = l
	}
	address := seen["listening"].Address
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{
		"/healthz":               "ok\n",
		"/health":                `{"status":"ok","mirrors":{"ok":1}}` + "\n",
		"/metrics":               "go_goroutines",
		"/console/mirrors/Cust1": "contact",
	} {
		response, err := client.Get("http://" + address + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
		require.Contains(t, string(body), want)
	}
	require.NoError(t, stop())
	require.FileExists(t, filepath.Join(state, "journal.jsonl"), "mirrorctl reconcile finds it")
}

func TestRunRefuses(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	config, alone := files(t), filepath.Join(t.TempDir(), "fleet.yaml")
	require.NoError(t, os.WriteFile(alone, []byte("mirror: mirror.db\nmembers: [Cust1]\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":      {[]string{"-config", "nowhere.yaml"}, "nowhere.yaml"},
		"no address":   {[]string{"-config", config, "-state", t.TempDir(), "-listen", "nowhere"}, "nowhere"},
		"no directory": {[]string{"-config", config, "-state", filepath.Join(t.TempDir(), "none")}, "none"},
		"no time":      {[]string{"-config", config, "-state", t.TempDir(), "-poll", "0s"}, "-poll"},
		"no such flag": {[]string{"-pol", "5m"}, "-pol"},
		"an argument":  {[]string{"-config", config, "x"}, `"x"`},
		"no source":    {[]string{"-config", alone}, "Cust1 has no source"},
		"no past":      {[]string{"-config", config, "-state", t.TempDir(), "-full", "-1h"}, "-full"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), append([]string{"-listen", "127.0.0.1:0"}, c.args...), func(string) string { return "" }, io.Discard)
			require.ErrorContains(t, err, c.want)
		})
	}
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, func(string) string { return "" }, io.Discard), flag.ErrHelp)
}

// A password that a driver quotes is in no log.
func TestSecretsAreHidden(t *testing.T) {
	secrets := &customers.Secrets{}
	secrets.AddOf("sqlserver://reader:geheim@crm.example.com?database=Cust1")
	var out strings.Builder
	log := newLog(&out, secrets).With("error", errors.New("dial: geheim"))
	log.Error("look failed", "error", fmt.Errorf("open: %w", errors.New("login with geheim")))
	require.NotContains(t, out.String(), "geheim")
	require.Contains(t, out.String(), "login with ***")
}
