package main

import (
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
