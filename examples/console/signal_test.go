//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const envMain = "CONSOLE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// The first signal ends the program when what was asked is answered, the second at once.
func TestSignals(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute) // so that a mistake does not hang
	defer stop()
	cmd := exec.CommandContext(ctx, self, "--config", world(t, ""), "--listen", "127.0.0.1:0", "--look", "-1s",
		"--state", filepath.Join(t.TempDir(), "console.db"))
	cmd.Env = append(os.Environ(), envMain+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	errs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	where, err := url.Parse(strings.Fields(line)[4])
	require.NoError(t, err)

	// A request whose body does not come.
	conn, err := net.Dial("tcp", where.Host)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /mirrors/Cust1/comparisons HTTP/1.1\r\nHost: "+where.Host+
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	answer, err := bufio.NewReader(conn).ReadString('\n') // it is being read
	require.NoError(t, err)
	require.Contains(t, answer, "100 Continue")

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	log := bufio.NewScanner(errs)
	for log.Scan() && !strings.Contains(log.Text(), "stopping") {
	}
	require.Contains(t, log.Text(), "stopping: a second signal ends it at once")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for { // the program has a moment in which it still takes a signal for the first one
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-ended:
			require.ErrorContains(t, err, "signal: terminated")
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
