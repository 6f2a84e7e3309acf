package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a run of mirrorctl that a test can end.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	lines  chan string     // of the standard error, as they come
	said   strings.Builder // those that were taken
}

// start runs mirrorctl in a directory.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // so that a mistake does not hang
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, "mirrorctl", args...), lines: make(chan string, 10_000)}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "COLUMNS=80", "HOME="+dir, "MIRRORCTL_STATE_DIR=state")
	p.cmd.Stdout = &p.stdout
	pipe, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	return p
}

// until waits for a line with a text.
func (p *process) until(text string) {
	p.t.Helper()
	for line := range p.lines {
		p.said.WriteString(line + "\n")
		if strings.Contains(line, text) {
			return
		}
	}
	p.t.Fatalf("it never said %q, but %s", text, &p.said)
}

// next waits for a line that is not there yet.
func (p *process) next(text string) {
	p.t.Helper()
	for range len(p.lines) {
		p.said.WriteString(<-p.lines + "\n")
	}
	p.until(text)
}

// end sends a signal and returns the exit code, -1 for a process that was killed.
func (p *process) end(s os.Signal) int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
	return p.wait()
}

func (p *process) wait() int {
	p.t.Helper()
	for line := range p.lines {
		p.said.WriteString(line + "\n")
	}
	if err, exit := p.cmd.Wait(), (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(p.t, err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// TestWait: what was reset is waited for while a cycle comes from another process.
func TestWait(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, makeWorld(t.Context(), dir, []string{"reset"}))
	p := start(t, dir, "wait", "--mirror", "mirror.db", "--table", "contact", "--poll", "50ms")
	p.until("requested: contact")
	playCycle(t, dir)
	require.Zero(t, p.wait(), &p.said)
	require.Regexp(t, `(?m)^Cust1: 1 table populated, in .*\.$`, p.stdout.String())
	require.Regexp(t, `(?m)^contact  populated    60         -    2$`, p.stdout.String())
	require.Regexp(t, `(?m)populated: contact$`, p.said.String())
}

// TestInterruptedWait: who stops waiting is told how far it is, and how to go on.
func TestInterruptedWait(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, makeWorld(t.Context(), dir, []string{"reset"}))
	p := start(t, dir, "wait", "--mirror", "mirror.db", "--table", "contact", "--poll", "1h")
	p.until("requested: contact")
	require.Equal(t, exitError, p.end(syscall.SIGINT), &p.said)
	require.Contains(t, p.stdout.String(), "Cust1: 1 of 1 table not populated yet.")
	require.Contains(t, p.said.String(), "Go on by: mirrorctl wait --mirror mirror.db --context Cust1 --poll 1h0m0s --table contact")
}
