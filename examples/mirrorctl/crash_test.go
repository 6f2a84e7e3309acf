package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// eventually waits for something that another process does.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "it never came to %s", what)
	}
}

// paste runs the command that a page offers, as a shell takes it.
func paste(t *testing.T, dir, page, begin string, more ...string) *process {
	t.Helper()
	command := regexp.MustCompile(`(?m)^  (` + begin + `(?:.*\\\n)*.*)$`).FindStringSubmatch(page)
	require.NotNil(t, command, page)
	words := `set -- ` + strings.TrimPrefix(command[1], "mirrorctl") + `; for word in "$@"; do printf '%s\0' "$word"; done`
	out, err := exec.Command("sh", "-c", words).Output()
	require.NoError(t, err)
	return start(t, dir, append(strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), more...)...)
}

// TestInterruptedCompare: a comparison that was stopped goes on where it was, by the
// command that it offers; and so does one that was killed.
func TestInterruptedCompare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, makeWorldOf(t.Context(), dir, 250))
	execute(t, dir, "UPDATE person SET lastname = 'Old' WHERE person_id = 5")
	slow := []string{"compare", "--source", "customer.db", "--mirror", "mirror.db", "--strategy", "stream", "--max-rows-per-second", "200", "--checkpoint-every", "20ms"}
	checkpoints := func() []string {
		paths, err := filepath.Glob(filepath.Join(dir, "state", keptCheckpoints, "Cust1-*-compare.json"))
		require.NoError(t, err)
		return paths
	}
	comparing := func() bool {
		paths := checkpoints()
		if len(paths) == 0 {
			return false
		}
		info, err := os.Stat(paths[0])
		return err == nil && info.Size() > 0
	}

	p := start(t, dir, slow...)
	eventually(t, "a checkpoint", comparing)
	require.Equal(t, exitIncomplete, p.end(syscall.SIGINT), &p.said)
	require.Contains(t, p.stdout.String(), "Cust1: not everything was compared: it was stopped after ")
	require.Contains(t, p.stdout.String(), "Go on where it was stopped:")
	require.Len(t, checkpoints(), 1)
	p = paste(t, dir, p.stdout.String(), "mirrorctl compare", "--max-rows-per-second", "0")
	require.Equal(t, exitUnknown, p.wait(), &p.said)
	require.Contains(t, p.stdout.String(), "Cust1: 1 table differs, and whether a cycle brings that")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "state")))

	p = start(t, dir, slow...)
	eventually(t, "a checkpoint", comparing)
	require.Equal(t, -1, p.end(syscall.SIGKILL))
	left := checkpoints()[0]
	p = start(t, dir, "compare", "--source", "customer.db", "--mirror", "mirror.db", "--depth", "count")
	require.Equal(t, exitDone, p.wait(), &p.said)
	require.Contains(t, p.said.String(), "An earlier comparison of Cust1 did not end. To go on with it: --resume state/checkpoints/"+filepath.Base(left))
	p = start(t, dir, "compare", "--source", "customer.db", "--mirror", "mirror.db", "--resume", left)
	require.Equal(t, exitUnknown, p.wait(), &p.said)
	require.Empty(t, checkpoints(), "nothing is left to do")
}

// crash is a directory in which a command is ended, and what it held before.
type crash struct {
	t      *testing.T
	dir    string
	before string
}

// changing are the commands that change a mirror.
var changing = []struct {
	name  string
	first []string // what there must be before
	args  []string
}{
	{"apply", []string{"plan", "--source", "customer.db", "--mirror", "mirror.db", "--save", "plan.json"}, []string{"apply", "plan.json"}},
	{"reset", nil, []string{"reset", "contact", "person"}},
	{"reset, truncating", nil, []string{"reset", "contact", "person", "--truncate", "--confirm", "Cust1"}},
	{"hard reset", nil, []string{"hard-reset", "--confirm", "Cust1"}},
	{"hard reset, dropping", nil, []string{"hard-reset", "--table", "contact", "--drop-data", "--confirm", "Cust1"}},
	{"undo", []string{"reset", "contact", "person", "--mirror", "mirror.db", "--context", "Cust1"}, []string{"undo"}},
}

// TestCrash: whenever a command that changes a mirror ends, the mirror is as it was before
// or as it is after it, and reconcile says which.
func TestCrash(t *testing.T) {
	t.Parallel()
	world := t.TempDir()
	require.NoError(t, makeWorld(t.Context(), world, nil))
	execute(t, world, `DROP TABLE appointment`, `PRAGMA journal_mode = DELETE`) // so that a reader keeps a writer from its commit
	for _, c := range changing {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			begin := func(t *testing.T) crash {
				t.Helper()
				dir := t.TempDir()
				require.NoError(t, os.CopyFS(dir, os.DirFS(world)))
				if c.first != nil {
					p := start(t, dir, c.first...)
					require.Contains(t, []int{exitDone, exitDiffers}, p.wait(), &p.said)
				}
				return crash{t, dir, contents(t, dir)}
			}
			args := append(c.args, "--mirror", "mirror.db", "--context", "Cust1")
			whole := begin(t)
			p := start(t, whole.dir, args...)
			require.Equal(t, exitDone, p.wait(), &p.said)
			after := contents(t, whole.dir)
			require.NotEqual(t, whole.before, after)

			t.Run("interrupted in the commit", func(t *testing.T) { begin(t).interrupted(args, after) })
			t.Run("killed in the commit", func(t *testing.T) { begin(t).killed(args) })
			t.Run("killed about the commit", func(t *testing.T) {
				b := begin(t)
				n := b.intents()
				p := start(t, b.dir, args...)
				eventually(t, "its intent", func() bool { return b.intents() > n })
				_ = p.end(syscall.SIGKILL)
				b.check(after)
			})
		})
	}
}

// inCommit runs a command up to its commit, which a reader keeps it from until it is let go.
func (c crash) inCommit(args []string) (p *process, letGo func()) {
	t := c.t
	reader, err := sql.Open("sqlite", filepath.Join(c.dir, "mirror.db"))
	require.NoError(t, err)
	rows, err := reader.Query("SELECT tablename FROM Cust1_mirroring")
	require.NoError(t, err)
	require.True(t, rows.Next()) // it holds its lock until it is closed
	letGo = func() {
		require.NoError(t, rows.Close())
		require.NoError(t, reader.Close())
	}
	n := c.intents()
	p = start(t, c.dir, args...)
	eventually(t, "its intent", func() bool { return c.intents() > n })
	return p, letGo
}

// killed: what was not committed did not happen.
func (c crash) killed(args []string) {
	p, letGo := c.inCommit(args)
	require.Equal(c.t, -1, p.end(syscall.SIGKILL))
	letGo()
	require.Equal(c.t, c.before, contents(c.t, c.dir))
	c.check("")
}

// interrupted: a commit that has begun ends, and the command says whether it did.
func (c crash) interrupted(args []string, after string) {
	p, letGo := c.inCommit(args)
	require.NoError(c.t, p.cmd.Process.Signal(syscall.SIGINT))
	letGo()
	if code := p.wait(); code == exitDone {
		require.Equal(c.t, after, contents(c.t, c.dir))
	} else {
		require.Equal(c.t, exitError, code)
		require.Contains(c.t, p.said.String(), "interrupted: nothing was changed")
		require.Equal(c.t, c.before, contents(c.t, c.dir))
	}
	c.check(after)
}

// check says whether reconcile tells what the mirror holds: what it held before, or after.
func (c crash) check(after string) {
	t := c.t
	is := contents(t, c.dir)
	want := mirror.OutcomeNotDone
	if is != c.before {
		want = mirror.OutcomeDone
		require.Equal(t, after, is)
	}
	p := start(t, c.dir, "reconcile", "--mirror", "mirror.db", "--context", "Cust1", "-o", "json")
	require.Equal(t, exitDone, p.wait(), &p.said)
	var found struct{ Operations []happened }
	require.NoError(t, json.Unmarshal(p.stdout.Bytes(), &found))
	require.NotEmpty(t, found.Operations)
	last := found.Operations[len(found.Operations)-1]
	require.Equal(t, want, last.Outcome, p.stdout.String())
	require.Equal(t, is, contents(t, c.dir), "reconcile changes nothing")

	p = start(t, c.dir, "status", "--mirror", "mirror.db", "--context", "Cust1")
	require.Equal(t, exitDone, p.wait(), &p.said)
	require.Empty(t, p.said.String(), "all is known")
}

// intents is how many operations the journal knows.
func (c crash) intents() int {
	data, err := os.ReadFile(filepath.Join(c.dir, "state", "journal.jsonl"))
	if err != nil {
		return 0
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	return bytes.Count(whole, []byte(`"event":"intent"`))
}

func execute(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "mirror.db"))
	require.NoError(t, err)
	defer db.Close()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err)
	}
}

// contents is what a mirror holds: its tables with their numbers of rows, and its metadata
// rows. A name of a table that was kept is part of it.
func contents(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "mirror.db"))
	require.NoError(t, err)
	defer db.Close()
	var all []string
	for _, name := range queried(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
		all = append(all, name+" "+fmt.Sprint(queried(t, db, `SELECT count(*) FROM "`+name+`"`)))
		if strings.HasSuffix(name, metadataSuffix) {
			all = append(all, queried(t, db, `SELECT tablename || ' ' || LSN || ' ' || schemahash FROM "`+name+`" ORDER BY tablename`)...)
		}
	}
	return strings.Join(all, "\n")
}

func queried(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var v string
		require.NoError(t, rows.Scan(&v))
		values = append(values, v)
	}
	require.NoError(t, rows.Err())
	return values
}
