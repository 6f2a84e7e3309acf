package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// twoMirrors makes two mirrors of one customer in the working directory, of which the
// first is reset.
func twoMirrors(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, makeWorld(t.Context(), dir, []string{"old"}))
	data, err := os.ReadFile("mirror.db")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("other.db", data, 0o600))
	code, out := runAt(t, 80, "reset", "contact", "--mirror", "mirror.db", "--context", "Cust1")
	require.Equal(t, exitDone, code, out)
}

// TestReconcileAnotherMirror: what became of a change of one mirror is not told by another
// one, and stays open for its own.
func TestReconcileAnotherMirror(t *testing.T) {
	twoMirrors(t)
	path := filepath.Join("state", "journal.jsonl")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	intent, _, ok := strings.Cut(string(data), "\n")
	require.True(t, ok)
	require.NoError(t, os.WriteFile(path, []byte(intent+"\n"), 0o600)) // as a crash leaves it
	reconcile := func(mirror string) (int, string) {
		return runAt(t, 80, "reconcile", "--mirror", mirror, "--context", "Cust1", "-o", "json")
	}
	for range 2 {
		code, out := reconcile("other.db")
		require.Equal(t, exitUnknown, code, out)
		require.Contains(t, out, `"outcome": "unknown"`)
	}
	code, out := reconcile("mirror.db")
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, `"outcome": "done"`)
	code, out = reconcile("other.db")
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, `"proof": "reconcile"`)
}

// TestFormerIDs: a file says what the mirror's database was before it was moved.
func TestFormerIDs(t *testing.T) {
	twoMirrors(t)
	is, err := sqlite.Open(t.Context(), "mirror.db")
	require.NoError(t, err)
	id, err := is.Identity(t.Context())
	require.NoError(t, err)
	require.NoError(t, is.Close())
	data, err := os.ReadFile("mirror.db")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("moved.db", data, 0o600))
	code, out := runAt(t, 80, "undo", "--mirror", "moved.db", "--context", "Cust1")
	require.Equal(t, exitRefused, code, out)
	require.NoError(t, os.WriteFile("mirrors.yaml", []byte("context: Cust1\nmirror: moved.db\nformer-ids: ['"+id.ID+"']\n"), 0o600))
	code, out = runAt(t, 80, "undo", "--config", "mirrors.yaml")
	require.Equal(t, exitDone, code, out)
}

// TestOldReceipts: a receipt of an earlier version does not say which database it is of,
// but what that version wrote beside it does.
func TestOldReceipts(t *testing.T) {
	twoMirrors(t)
	st, err := sqlite.Open(t.Context(), "other.db")
	require.NoError(t, err)
	m, err := mirror.New("Cust1", struct{ store.Store }{st}, nil)
	require.NoError(t, err)
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.Zero(t, receipt.Mirror)
	id, err := st.Identity(t.Context())
	require.NoError(t, err)
	require.NoError(t, st.Close())
	require.NoError(t, writeFile("old.json", receipt))
	undo := func(mirror string) int {
		code, _ := runAt(t, 80, "undo", "old.json", "--mirror", mirror, "--context", "Cust1")
		return code
	}
	require.NoError(t, addLines(filepath.Join("state", "databases.jsonl"), changedDatabase{receipt.ID, id.ID}))
	require.Equal(t, exitRefused, undo("mirror.db"))
	require.Equal(t, exitDone, undo("other.db"))
}
