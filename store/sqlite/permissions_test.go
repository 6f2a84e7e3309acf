package sqlite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// Permissions, as a user who has only those of the file: root has all.
func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not in the mode of a file there")
	}
	dir := os.Getenv("SQLITE_TEST_DIR")
	if dir == "" {
		dir = permissionFiles(t)
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o700) })
		if os.Geteuid() == 0 {
			asNobody(t, dir)
			return
		}
	}
	for _, name := range []string{"delete.db", "wal.db", "log.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "closed", name)
			src := openSource(t, path)
			require.Equal(t, "abc", names(t, src))
			_, err := sqlite.Open(t.Context(), path)
			require.ErrorIs(t, err, store.ErrPermission)
			require.ErrorContains(t, err, "may not write the file: to only read it there is OpenSource")
			require.Equal(t, 1, strings.Count(err.Error(), "open "), err)
			_, err = sqlite.Create(t.Context(), filepath.Join(dir, "closed", "new.db"))
			require.ErrorIs(t, err, store.ErrPermission)
			require.ErrorContains(t, err, "may not write to its directory")
		})
	}
	t.Run("no permission to read", func(t *testing.T) {
		_, err := sqlite.OpenSource(t.Context(), filepath.Join(dir, "closed", "secret.db"))
		require.ErrorIs(t, err, store.ErrPermission)
		require.ErrorContains(t, err, "this user may not read the file")
		require.NotContains(t, err.Error(), "\n")
	})
	t.Run("a file that may be written in a directory that may not", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), filepath.Join(dir, "closed", "writable.db"))
		require.NoError(t, err)
		defer st.Close()
		err = st.Update(t.Context(), func(tx store.Tx) error { return tx.Truncate(t.Context(), contactTable(t, tx)) })
		require.ErrorIs(t, err, store.ErrPermission)
		require.NotContains(t, err.Error(), "\n")
	})
}

// permissionFiles makes a directory that nobody may write to, with files in it.
func permissionFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	add := func(name, path string, mode os.FileMode, suffixes ...string) {
		for _, suffix := range append(suffixes, "") {
			content, err := os.ReadFile(path + suffix)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(closed, name+suffix), content, 0o600))
			require.NoError(t, os.Chmod(filepath.Join(closed, name+suffix), mode))
		}
	}
	add("delete.db", contacts(t, "DELETE"), 0o444)
	add("wal.db", contacts(t, "WAL"), 0o444)
	logged := contacts(t, "WAL")
	_, err := raw(t, logged).Exec("UPDATE contact SET name = name")
	require.NoError(t, err)
	add("log.db", logged, 0o444, "-wal", "-shm")
	add("secret.db", contacts(t, "DELETE"), 0)
	add("writable.db", contacts(t, "DELETE"), 0o666)
	require.NoError(t, os.Chmod(closed, 0o555))
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	return dir
}

// asNobody runs the test again as a user without root's powers.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	program := filepath.Join(dir, "sqlite.test")
	content, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, content, 0o600))
	require.NoError(t, os.Chmod(program, 0o755))
	temp := filepath.Join(dir, "temp")
	require.NoError(t, os.Mkdir(temp, 0o700))
	require.NoError(t, os.Chmod(temp, 0o777))
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestPermissions$", "-test.v")
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), "SQLITE_TEST_DIR="+dir, "TMPDIR="+temp)
	runAs(cmd, 65534)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestPermissions/wal.db")
}
