package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/mssql"
)

const envDSN = "MIRROR_TEST_SQLSERVER_DSN"

// live is a customer and a mirror on a T-SQL server.
type live struct {
	t              *testing.T
	dir            string
	source, mirror string // URLs
	password       string
	customer       *cycle.Customer
	store          *mssql.Store
}

// newLive makes two databases, which the end of the test drops, and fills the mirror.
func newLive(t *testing.T) *live {
	t.Helper()
	dsn := os.Getenv(envDSN)
	if dsn == "" {
		t.Skipf("needs a server: set %s", envDSN)
	}
	ctx := t.Context()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	admin, err := mssql.Open(ctx, dsn, nil)
	require.NoError(t, err)
	l := &live{t: t, dir: t.TempDir()}
	l.password, _ = u.User.Password()
	require.NotEmpty(t, l.password)
	open := func(side string) (string, *mssql.Store) {
		name := fmt.Sprintf("mirrorctl_%d_%s", os.Getpid(), side)
		_, err := admin.DB().ExecContext(ctx, "CREATE DATABASE ["+name+"]")
		require.NoError(t, err)
		at := *u
		q := at.Query()
		q.Set("database", name)
		at.RawQuery = q.Encode()
		s, err := mssql.Open(ctx, at.String(), nil)
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, s.Close())
			_, err := admin.DB().ExecContext(context.WithoutCancel(ctx), "DROP DATABASE ["+name+"]")
			require.NoError(t, err)
		})
		return at.String(), s
	}
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	var src *mssql.Store
	l.source, src = open("source")
	l.mirror, l.store = open("mirror")
	for _, table := range []string{"contact", "person", "country"} {
		require.NoError(t, crm.Load(ctx, src, crm.Options{Contacts: 50}, table))
	}
	l.customer = cycle.NewCustomer("Cust1", src)
	l.cycle()
	return l
}

// cycle plays a cycle of the Mirroring Task.
func (l *live) cycle() {
	l.t.Helper()
	_, err := (&cycle.Task{Customer: l.customer, Mirror: l.store}).Run(l.t.Context())
	require.NoError(l.t, err)
}

// run runs a command, which must end with a code, and returns what it printed.
func (l *live) run(code int, args ...string) string {
	l.t.Helper()
	ended, out := l.end(args...)
	require.Equal(l.t, code, ended, "%v\n%s", args, out)
	return out
}

// end runs a command, and returns its exit code and what it printed. The password is
// never part of that.
func (l *live) end(args ...string) (code int, out string) {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), "mirrorctl", args...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), envSource+"="+l.source, envMirror+"="+l.mirror, envContext+"=Cust1", envState+"="+filepath.Join(l.dir, "state"))
	said, err := cmd.CombinedOutput()
	require.NotNil(l.t, cmd.ProcessState, err)
	require.NotContains(l.t, string(said), l.password)
	return cmd.ProcessState.ExitCode(), string(said)
}

// TestLive is an operator's day, on a T-SQL server.
func TestLive(t *testing.T) {
	l := newLive(t)
	ctx := t.Context()
	code, out := l.end("preflight")
	require.Contains(t, []int{exitDone, exitRefused}, code, out) // Babelfish knows fewer permissions
	require.Regexp(t, `(?s)Mirror:\s.*Source:\s`, out)
	require.Contains(t, l.run(exitDone, "status"), "synced")
	require.Contains(t, l.run(exitDone, "compare"), "identical")

	require.NoError(t, damage(ctx, l.store, "lost"))
	require.NoError(t, damage(ctx, l.store, "ahead"))
	require.Contains(t, l.run(exitUnknown, "compare", "--html", "report.html", "--save", "report.json"), "contact")
	require.FileExists(t, filepath.Join(l.dir, "report.html"))
	l.run(exitUnknown, "compare", "--strategy", "stream", "-o", "json")

	l.run(exitUsage, "cycle")
	l.run(exitRefused, "hard-reset", "--confirm", "Cust2")
	require.Contains(t, l.run(exitDone, "reset", "contact", "--dry-run"), "Nothing was changed")
	require.NotContains(t, l.run(exitDone, "status"), "reset-requested")
	l.run(exitDone, "reset", "contact")
	require.Contains(t, l.run(exitDone, "status"), "reset-requested")
	l.run(exitDone, "undo")
	require.NotContains(t, l.run(exitDone, "status"), "reset-requested")
	l.run(exitDone, "reset", "contact")
	l.run(exitPending, "compare")
	l.cycle()
	l.run(exitDone, "compare")

	l.run(exitDone, "hard-reset", "--confirm", "Cust1")
	require.Contains(t, l.run(exitDone, "status"), "awaiting its first cycle")
	l.run(exitDone, "undo")
	l.run(exitDone, "compare")
	l.run(exitDone, "reconcile")

	var leaks []string
	require.NoError(t, filepath.WalkDir(l.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), l.password) {
			leaks = append(leaks, path)
		}
		return err
	}))
	require.Empty(t, leaks, "files that hold the password")
}
