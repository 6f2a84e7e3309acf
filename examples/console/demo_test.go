package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The demo serves its world, plays cycles on it, and leaves nothing behind.
func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	r := start(t, nil, "demo", "--cycle", "50ms")
	made, err := filepath.Glob(filepath.Join(tmp, "mirror-console-demo-*", "*.db"))
	require.NoError(t, err)
	require.Len(t, made, 3)
	code, _ := get(t, client(t), r.url+"assets/console.css")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, exitDone, r.exit(), r.err)
	require.NotContains(t, r.err.String(), "level=WARN")
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Who stops it while it is made waits no longer, and finds nothing left either.
func TestDemoIsInterrupted(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	p, out, errs := testProgram(nil)
	require.Equal(t, exitError, p.run(ctx, []string{"demo"}))
	require.Contains(t, errs.String(), "interrupted: make the demo's databases: context canceled")
	require.Empty(t, out.String())
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
}
