package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// TestCommandLine: a command that is offered is what a shell makes of it, and no password
// is in it.
func TestCommandLine(t *testing.T) {
	url := "sqlserver://sa@host?database=Mirror&encrypt=true"
	a := &app{env: func(string) string { return "" }, width: 60}
	a.flags.source, a.flags.mirror = "sqlserver://sa:s3cret@host?database=Cust1", url
	a.flags.stateDir = "it's a $HOME of `state`"
	p := a.page()
	a.todo(p, "Do it:", append(a.commandLine(a.where("Cust1"), "plan", "a report.json"), "--table "+quoted("app*")))
	page := p.String()
	require.NotContains(t, page, "s3cret")
	require.Contains(t, page, "Set MIRRORCTL_SOURCE first: the URL holds a password")

	_, command, _ := strings.Cut(page, "mirrorctl")
	command, _, _ = strings.Cut(command, "    Set ")
	out, err := exec.Command("sh", "-c", "set -- "+command+"\nprintf '%s\\n' \"$@\"").Output()
	require.NoError(t, err)
	require.Equal(t, []string{"plan", "a report.json", "--mirror", url, "--context", "Cust1", "--state-dir", a.flags.stateDir, "--table", "app*"},
		strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"))
}

// TestAgain: a command that is offered once more has the flags that were given, but for
// those that are left out.
func TestAgain(t *testing.T) {
	a := &app{env: func(string) string { return "" }, width: 80}
	c := a.compareCommand()
	require.NoError(t, c.Flags().Parse([]string{"--table", "a b", "-t", "c", "--copy", "--max-duration", "2h", "--save", "x", "--loose-types=false"}))
	require.Equal(t, []string{"--copy", "--loose-types=false", "--max-duration 2h0m0s", "--table 'a b'", "--table c"}, a.again(c, "save"))
}

// TestStateIsPrivate: rows of customers are in what is kept, so only its owner reads it.
func TestStateIsPrivate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, makeWorld(t.Context(), dir, []string{"old"}))
	code, _ := runAt(t, 80, "compare", "--source", "customer.db", "--mirror", "mirror.db", "--save", "report.json", "--html", "report.html")
	require.Equal(t, exitUnknown, code)
	code, _ = runAt(t, 80, "compare", "--source", "customer.db", "--mirror", "mirror.db")
	require.Equal(t, exitUnknown, code)
	code, _ = runAt(t, 80, "reset", "contact", "--mirror", "mirror.db", "--context", "Cust1")
	require.Equal(t, exitDone, code)
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir || strings.HasSuffix(path, ".db") {
			return err
		}
		info, err := d.Info()
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		files = append(files, rel)
		require.Zero(t, info.Mode().Perm()&0o077, rel)
		return nil
	}))
	require.Subset(t, files, []string{"report.json", "report.html", "state", filepath.Join("state", "journal.jsonl")})
	require.Len(t, files, 8, "%s", files)
}

// TestPrune: what is kept does not grow, but for receipts.
func TestPrune(t *testing.T) {
	s := state{t.TempDir()}
	a := &app{env: func(string) string { return "" }}
	for _, kind := range []string{keptReports, keptReceipts} {
		for range keptMost + 2 {
			_, err := s.keep(kind, "Cust1", "report", stopped{}.Now(), jsonOf(a.flags))
			require.NoError(t, err)
		}
		_, err := s.keep(kind, "Cust1-b", "report", stopped{}.Now(), jsonOf(a.flags))
		require.NoError(t, err)
	}
	_, err := reserve(filepath.Join(s.dir, keptReceipts), "Cust1-20990101T000000.000Z", "apply-plan")
	require.NoError(t, err, "its writer died before it was written")
	require.Len(t, s.kept(keptReports, "Cust1"), keptMost)
	require.Len(t, s.kept(keptReports, "cust1-b"), 1, "a context identifier that begins like another one")
	receipts := s.kept(keptReceipts, "Cust1")
	require.Len(t, receipts, keptMost+2)
	require.Contains(t, receipts[len(receipts)-1], "-12-report.json", "the last one is the newest")
}

// TestLastCheckpoint: where the last checkpoint cannot be kept, the one before it is still
// there to go on from.
func TestLastCheckpoint(t *testing.T) {
	var said strings.Builder
	a := &app{err: &said, env: func(string) string { return "" }}
	a.flags.stateDir = t.TempDir()
	before := filepath.Join(a.flags.stateDir, "before.json")
	stopped := func(contextID string) *view {
		require.NoError(t, os.WriteFile(before, []byte("{}"), 0o600))
		a.stopped = rollingCheckpoint{a: a, path: before}
		r := &mirror.Report{Incomplete: true, Checkpoint: &mirror.Checkpoint{Version: 1, ContextID: contextID}}
		r.Scope.Tables = 1
		v := &view{a: a, r: r, context: contextID}
		require.NoError(t, a.saveReport(v, ""))
		return v
	}
	v := stopped("Cust1")
	require.NotEqual(t, before, v.checkpoint)
	require.FileExists(t, v.checkpoint)
	require.NoFileExists(t, before)
	require.Empty(t, said.String())

	v = stopped("../Cust1") // which names no file
	require.Equal(t, before, v.checkpoint)
	require.FileExists(t, before)
	require.Contains(t, said.String(), "goes on from the one before it")
}
