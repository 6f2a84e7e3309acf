package mirror_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestStatusOf(t *testing.T) {
	only := func(name string, rows ...store.Row) memory.Table {
		return memory.Table{Name: name, Columns: []string{"id int"}, Rows: rows}
	}
	st := memory.New(only("contact", store.Row{1}), only("person"), only("own"),
		memory.Metadata(customer, map[string]store.LSN{"contact": 5, "person": -1, "gone": 7}))
	m := newMirror(t, st, nil)
	status, err := m.StatusOf(t.Context(), []string{"PERSON", "contact ", "gone", "never", "own"})
	require.NoError(t, err)
	lsn := func(n store.LSN) *store.LSN { return &n }
	require.Equal(t, []mirror.TableStatus{
		{Table: "PERSON", State: mirror.TableResetRequested, LSN: lsn(-1)},
		{Table: "contact ", State: mirror.TableSynced, Rows: 1, LSN: lsn(5)},
		{Table: "gone", State: mirror.TableAbsent, LSN: lsn(7)},
		{Table: "never", State: mirror.TableAbsent},
		{Table: "own", State: mirror.TableNoMetadata},
	}, status.Tables)

	st.FailTable(memory.Count, "contact", errBoom)
	status, err = m.StatusOf(t.Context(), []string{"contact", "person"})
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, "person", status.Tables[0].Table)
	require.Len(t, status.Tables, 1)

	for name, call := range map[string]func() error{
		"no source":       func() error { _, err := m.CheckSource(t.Context(), nil, nil); return err },
		"keys, no source": func() error { _, _, err := m.Unchanged(t.Context(), nil, &mirror.Report{}, "contact", 1); return err },
		"keys, no report": func() error { _, _, err := m.Unchanged(t.Context(), st, nil, "contact", 1); return err },
		"another customer": func() error {
			_, _, err := m.Unchanged(t.Context(), st, &mirror.Report{ContextID: "X"}, "contact", 1)
			return err
		},
	} {
		require.Error(t, call(), name)
	}
}
