package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var errBoom = errors.New("boom")

// contact is a small keyed table with a column of each interesting kind.
func contact(rows ...store.Row) memory.Table {
	return memory.Table{
		Schema:  "crm7",
		Name:    "contact",
		Columns: []string{"contact_id int", "name nvarchar(20)", "logo varbinary(max)"},
		Key:     []string{"contact_id"},
		Rows:    rows,
	}
}

// numbered returns n rows of contact, last first.
func numbered(n int) []store.Row {
	rows := make([]store.Row, n)
	for i := range rows {
		id := n - i
		rows[i] = store.Row{id, fmt.Sprintf("name %d", id), []byte{byte(id)}}
	}
	return rows
}

func lookup(t *testing.T, s *memory.Store, name string) store.Table {
	t.Helper()
	def, _, ok := s.Table(name)
	require.True(t, ok, "table %s", name)
	return def
}

func stored(t *testing.T, s *memory.Store, name string) []store.Row {
	t.Helper()
	_, rows, ok := s.Table(name)
	require.True(t, ok, "table %s", name)
	return rows
}

// read collects the rows of q.
func read(t *testing.T, src store.Source, q store.Query) []store.Row {
	t.Helper()
	rows := []store.Row{}
	for batch, err := range src.Rows(t.Context(), q) {
		require.NoError(t, err)
		require.NotEmpty(t, batch)
		for _, row := range batch {
			rows = append(rows, row.Clone())
		}
	}
	return rows
}

// readErr returns the rows before the error that must end the reading.
func readErr(t *testing.T, ctx context.Context, src store.Source, q store.Query) (n int, err error) {
	t.Helper()
	for batch, e := range src.Rows(ctx, q) {
		require.NoError(t, err, "the iteration goes on after an error")
		n, err = n+len(batch), e
	}
	require.Error(t, err)
	return n, err
}

func update(t *testing.T, s *memory.Store, fn func(tx store.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), fn))
}
