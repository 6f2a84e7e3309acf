package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden file anew")

// result is what one run of the command prints and returns.
type result struct {
	out, errOut string
	code        int
}

// migrate runs the command with a clock that does not wait.
func migrate(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	return migrateWith(t, t.Context(), env, args...)
}

func migrateWith(t *testing.T, ctx context.Context, env map[string]string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	p := &program{out: &out, errOut: &errOut, env: func(name string) string { return env[name] }, clock: &quick{}}
	code := p.exitCode(p.run(ctx, args))
	return result{out.String(), errOut.String(), code}
}

// quick is a clock that waiting moves.
type quick struct{ waited time.Duration }

func (q *quick) Now() time.Time { return time.Date(2026, 2, 3, 18, 0, 0, 0, time.UTC).Add(q.waited) }

func (q *quick) Sleep(ctx context.Context, d time.Duration) error {
	q.waited += d
	return ctx.Err()
}

// stable replaces what is another in each run.
func stable(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	return regexp.MustCompile(`SQLite [0-9.]+`).ReplaceAllString(text, "SQLite VERSION")
}

func TestStory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	got := migrate(t, nil)
	require.Equal(t, 0, got.code, got.errOut)
	require.Empty(t, got.errOut)
	require.NotContains(t, got.out, token)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left, "the databases are removed")

	dir := regexp.MustCompile(regexp.QuoteMeta(os.Getenv("TMPDIR")) + `/mirror-migrate-\d+`).FindString(got.out)
	require.NotEmpty(t, dir)
	text := stable(got.out, dir)
	golden := filepath.Join("testdata", "story.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "see what changed, then: go test ./examples/migrate -update")
}

// An operator has the files that the story leaves, and the exit code.
func TestOperator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	got := migrate(t, nil, "-keep", dir)
	require.Equal(t, 0, got.code, got.errOut)
	path := func(name string) string { return filepath.Join(dir, name) }
	customer, old, its := path("customer.db"), path("Mirror_Cust10195.db"), path("Replica_Cust10195.db")
	require.Contains(t, got.out, "mirrorctl validate --interval 1s --reference "+customer+" --replica "+its)

	for name, tc := range map[string]struct {
		args []string
		code int
		out  string // "" for nothing
		err  string
	}{
		"no-go": {[]string{"-reference", customer, "-replica", its}, 3, "NO-GO", ""},
		"no-go for the view alone: no cycle comes": {[]string{"-reference", old, "-replica", its, "-max-wait", "2m"}, 3, "NO-GO", ""},
		"not yet: read once":                       {[]string{"-reference", customer, "-replica", its, "-max-wait", "-1s"}, 4, "NOT YET", ""},
		"go: without the bad tables":               {[]string{"-reference", customer, "-replica", its, "-skip", "appointment,text"}, 0, "GO: ", ""},
		"exchanged":                                {[]string{"-reference", its, "-replica", old}, 1, "", "the database to check is an old mirror"},
		"the same":                                 {[]string{"-reference", its, "-replica", its}, 1, "", "the same database"},
		"no file":                                  {[]string{"-reference", path("none.db"), "-replica", its}, 1, "", "none.db"},
		"one database":                             {[]string{"-replica", its}, 2, "", "two databases are needed"},
		"no flag before a database":                {[]string{"-replica", its, "sqlserver://u:secret@h"}, 2, "", "by -reference or -replica"},
		"unknown flag":                             {[]string{"-source", its}, 2, "", "-source"},
		"no time":                                  {[]string{"-as-of", "yesterday"}, 2, "", "-as-of"},
		"keep and check":                           {[]string{"-keep", dir, "-replica", its}, 2, "", "-keep"},
		"keep in a directory that is there":        {[]string{"-keep", dir}, 1, "", "is there already: -keep makes a new directory"},
		"negative interval":                        {[]string{"-reference", customer, "-replica", its, "-interval", "-1s"}, 1, "", "Interval"},
		"help":                                     {[]string{"-h"}, 0, "", "-reference database"},
	} {
		t.Run(name, func(t *testing.T) {
			got := migrate(t, nil, tc.args...)
			require.Equal(t, tc.code, got.code, got.out+got.errOut)
			require.Contains(t, got.errOut, tc.err)
			require.NotContains(t, got.errOut, "secret")
			if tc.out == "" {
				require.Empty(t, got.out)
			}
			require.True(t, strings.HasPrefix(got.out, tc.out), got.out)
		})
	}

	t.Run("databases from the environment", func(t *testing.T) {
		got := migrate(t, map[string]string{envReference: customer, envReplica: its})
		require.Equal(t, 3, got.code, got.errOut)
	})
	t.Run("evidence", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "before.json")
		args := []string{"-reference", customer, "-replica", its, "-json", file}
		require.Equal(t, 3, migrate(t, nil, args...).code)
		report, err := readReport(file)
		require.NoError(t, err)
		require.Equal(t, replica.NoGo, report.Decision)
		require.Equal(t, its, report.Replica.Database)
		got := migrate(t, nil, args...)
		require.Equal(t, 1, got.code, "evidence is not written over")
		require.Contains(t, got.errOut, "is there already: name another file")
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Equal(t, 130, migrateWith(t, ctx, nil, "-reference", customer, "-replica", its).code)
	})
	t.Run("nothing is written beside a replica", func(t *testing.T) {
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, files, 3)
	})
}

// The whole way of an operator: the report before the swap is kept, and the one
// after it says whether the names were swapped.
func TestBeforeAndAfter(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	w, err := newWorld(ctx, dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, w.close()) }()
	a, b := w.old.path, w.new.path
	before := filepath.Join(t.TempDir(), "before.json")

	require.Equal(t, 0, migrate(t, nil, "-reference", a, "-replica", b, "-json", before).code)
	got := migrate(t, nil, "-reference", a, "-replica", b, "-before", before)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errOut, "the names were not swapped")

	require.NoError(t, w.swap(ctx))
	got = migrate(t, nil, "-reference", b, "-replica", a, "-before", before)
	require.Equal(t, 0, got.code, got.errOut)
	require.Contains(t, got.out, "The names were swapped.")
	require.Equal(t, 1, migrate(t, nil, "-reference", a, "-replica", b, "-before", before).code)

	require.NoError(t, os.WriteFile(before, []byte("{"), 0o600))
	require.Equal(t, 1, migrate(t, nil, "-reference", b, "-replica", a, "-before", before).code)
}

// The command asks the client itself, and looks on.
func TestResync(t *testing.T) {
	ctx := t.Context()
	w, err := newWorld(ctx, t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, w.close()) }()
	url, stop, err := serve(w.client)
	require.NoError(t, err)
	defer func() { require.NoError(t, stop()) }()
	require.NoError(t, own(ctx, w.new, `DELETE FROM "crm7.TEXT"`))

	run := func(given string, args ...string) result {
		var out, errOut bytes.Buffer
		p := &program{out: &out, errOut: &errOut, clock: w, env: func(name string) string { return map[string]string{envToken: given}[name] }}
		code := p.exitCode(p.run(ctx, append(args, "-reference", filepath.Join(filepath.Dir(w.new.path), "customer.db"), "-replica", w.new.path)))
		return result{out.String(), errOut.String(), code}
	}
	got := run("another-token", "-resync", url)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errOut, "resync refused: 401")
	require.NotContains(t, got.out+got.errOut, "another-token")

	got = run(token, "-resync", url)
	require.Equal(t, 3, got.code, got.errOut)
	require.Contains(t, got.out, "text equal, 60 of 60 rows")
	require.Contains(t, got.out, "These tables are equal now. Check again.")
	require.NotContains(t, got.out+got.errOut, token)
	got = run(token, "-resync", url)
	require.Equal(t, 0, got.code, got.out)
	require.NotContains(t, got.out, "The client was asked", "there is nothing to ask it for")
}

// No output holds a connection string, whatever is wrong with it.
func TestPasswordsAreNotShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.db")
	for _, dsn := range []string{
		"sqlserver://sa:hunter2@127.0.0.1:1?database=x&dial+timeout=1", "SQLSERVER://sa:hunter2@127.0.0.1:1", "postgres://u:hunter2@h/x",
		"server=127.0.0.1;port=1;user id=sa;password=hunter2", "sa:hunter2@127.0.0.1", "odbc:server=127.0.0.1,1;uid=sa;pwd=hunter2",
		"sqlserver://sa:hun%ter2@127.0.0.1:1/hunter2", "sqlserver://sa:hunter2;x@127.0.0.1:1",
	} {
		t.Run(dsn, func(t *testing.T) {
			for _, args := range [][]string{{"-reference", dsn, "-replica", file}, {"-replica", dsn}, {dsn}} {
				got := migrate(t, nil, args...)
				require.Contains(t, []int{1, 2}, got.code)
				require.NotContains(t, got.out+got.errOut, "hunter2")
			}
			require.NotContains(t, migrate(t, map[string]string{envReference: dsn}, "-h").errOut, "hunter2")
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv("TMPDIR", t.TempDir())
	require.Equal(t, 130, migrateWith(t, ctx, nil).code)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	p := &program{out: full, errOut: io.Discard, env: func(string) string { return "" }}
	require.ErrorIs(t, p.run(t.Context(), nil), syscall.ENOSPC)
}

// Before the swap the check after it refuses, which the story leans on.
func TestRefusal(t *testing.T) {
	w, err := newWorld(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, w.close()) }()
	_, err = check(t.Context(), w.new.path, w.old.path, &replica.Options{Clock: w})
	require.ErrorIs(t, err, mirror.ErrWrongDatabase)
	require.False(t, errors.Is(err, os.ErrNotExist))
}
