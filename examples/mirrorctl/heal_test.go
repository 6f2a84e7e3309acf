package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// healing starts a heal in a new world, whose cycles are as many as the test plays.
func startHeal(t *testing.T, damages ...string) (dir string, p *process) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, makeWorld(t.Context(), dir, damages))
	return dir, start(t, dir, "heal", "--source", "customer.db", "--mirror", "mirror.db", "--context", "Cust1", "--confirm", "Cust1",
		"--every", "100ms", "--night", "none", "--rechecks", "1000", "--max-cycles", "1000", "--poll", "20ms")
}

// playCycle plays a cycle in another process.
func playCycle(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "mirrorctl", "cycle", "--source", "customer.db", "--mirror", "mirror.db", "--context", "Cust1")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// reset plays cycles until the heal has found out what no cycle brings, and reset it.
func (p *process) reset(dir string) {
	p.t.Helper()
	p.until("Play one, in another terminal: mirrorctl cycle --source customer.db --mirror mirror.db --context Cust1")
	for range 3 { // the first may have begun before the rows were read, and another table tells of them
		p.next("Some rows may come with the next cycle") // it was perhaps looking meanwhile
		p.next("Some rows may come with the next cycle")
		playCycle(p.t, dir)
	}
	p.until("requested: contact, person; the next cycle")
}

// TestHeal: from damage that no cycle repairs to a mirror that is the same.
func TestHeal(t *testing.T) {
	dir, p := startHeal(t, "lost", "old")
	p.reset(dir)
	playCycle(t, dir)
	require.Zero(t, p.wait(), &p.said)
	require.Contains(t, p.stdout.String(), "Cust1: nothing is left to repair")
	require.Contains(t, p.said.String(), "Reset: contact, person\nReceipt: ")
}

// TestHealInterrupted: who is interrupted has done what was done, and is told how to go on.
func TestHealInterrupted(t *testing.T) {
	for name, end := range map[string]struct {
		signal syscall.Signal
		code   int
	}{"INT": {syscall.SIGINT, exitError}, "KILL": {syscall.SIGKILL, -1}} {
		t.Run(name, func(t *testing.T) {
			dir, p := startHeal(t, "lost", "old")
			p.reset(dir)
			require.Equal(t, end.code, p.end(end.signal), &p.said)
			if end.signal == syscall.SIGINT {
				require.Contains(t, p.stdout.String(), "Cust1: not everything is repaired")
				require.Contains(t, p.said.String(), "what was reset stays reset. Go on by: mirrorctl heal --source customer.db")
			}
			receipts, err := filepath.Glob(filepath.Join(dir, "state", "receipts", "*.json"))
			require.NoError(t, err)
			require.Len(t, receipts, 1)

			playCycle(t, dir)
			after := start(t, dir, "wait", "--mirror", "mirror.db", "--context", "Cust1")
			require.Zero(t, after.wait(), &after.said)
			require.Contains(t, after.stdout.String(), "Cust1: 2 tables populated")
		})
	}
}

// TestHealInterruptedEarly: who is interrupted before anything was reset is told so.
func TestHealInterruptedEarly(t *testing.T) {
	_, p := startHeal(t, "lost")
	p.until("Some rows may come with the next cycle")
	require.Equal(t, exitError, p.end(syscall.SIGINT), &p.said)
	require.Contains(t, p.said.String(), "nothing was reset. Go on by: mirrorctl heal --source customer.db")
}

// TestHealCrash: whenever a heal is killed, its reset happened as a whole or not at all,
// and reconcile says which.
func TestHealCrash(t *testing.T) {
	t.Parallel()
	world := t.TempDir()
	require.NoError(t, makeWorld(t.Context(), world, []string{"lost", "old"}))
	execute(t, world, `PRAGMA journal_mode = DELETE`) // so that a reader keeps a writer from its commit
	args := []string{"heal", "--source", "customer.db", "--mirror", "mirror.db", "--context", "Cust1", "--confirm", "Cust1", "--unknown",
		"--rechecks", "1", "--every", "10ms", "--late", "10ms", "--night", "none", "--poll", "5ms", "--max-cycles", "1"}
	begin := func(t *testing.T) crash {
		t.Helper()
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS(world)))
		return crash{t, dir, contents(t, dir)}
	}
	whole := begin(t)
	p := start(t, whole.dir, args...)
	require.Equal(t, exitIncomplete, p.wait(), &p.said) // no cycle comes
	after := contents(t, whole.dir)
	require.NotEqual(t, whole.before, after)

	t.Run("killed in the commit", func(t *testing.T) { begin(t).killed(args) })
	t.Run("interrupted in the commit", func(t *testing.T) {
		c := begin(t)
		p, letGo := c.inCommit(append(args, "--late", "1h")) // it is still there when the signal comes
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
		letGo()
		require.Equal(t, exitError, p.wait(), &p.said)
		says := "nothing was reset. Go on by: mirrorctl heal "
		if contents(t, c.dir) != c.before {
			says = "what was reset stays reset. Go on by: mirrorctl heal "
		}
		require.Contains(t, p.said.String(), says)
		c.check(after)
	})
	t.Run("killed about the commit", func(t *testing.T) {
		c := begin(t)
		p := start(t, c.dir, args...)
		eventually(t, "its intent", func() bool { return c.intents() > 0 })
		_ = p.end(syscall.SIGKILL)
		c.check(after)
	})
}
