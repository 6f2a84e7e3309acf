package sqlite

import (
	"database/sql/driver"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// noRows ends at once.
type noRows struct{ end error }

func (noRows) Columns() []string           { return nil }
func (noRows) Close() error                { return nil }
func (r noRows) Next([]driver.Value) error { return r.end }

// The end of rows, and the error that ends them, count only when the file is as it
// was. Some callers look at Next alone and some at Close alone.
func TestFrozenRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	require.NoError(t, os.WriteFile(path, []byte("a"), 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	rows := func(end error) *frozenRows {
		return &frozenRows{Rows: noRows{end}, conn: &conn{opened: []openedFile{{connector: &connector{path: path}, look: look{info: info, way: frozen}}}}}
	}
	r := rows(io.EOF)
	require.Equal(t, io.EOF, r.Next(nil))
	require.NoError(t, r.Close())
	require.NoError(t, os.WriteFile(path, []byte("ab"), 0o600))
	for _, end := range []error{io.EOF, io.ErrNoProgress} {
		r = rows(end)
		require.ErrorContains(t, r.Next(nil), "a.db was changed while it was read")
		require.NoError(t, r.Close(), "it is said once")
	}
	require.ErrorContains(t, rows(nil).Close(), "a.db was changed while it was read")
}
