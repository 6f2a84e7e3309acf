package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// window is a store in which something else commits right before each Update:
// what a cycle does that runs at the same time.
type window struct {
	store.Store
	before func()
}

func (w window) Update(ctx context.Context, fn func(store.Tx) error) error {
	w.before()
	return w.Store.Update(ctx, fn)
}

// A cycle begins to wipe the table between Undo's call and its transaction.
func TestUndoSeesACycleThatJustBegan(t *testing.T) {
	st := memory.New()
	customer := cycle.NewCustomer("C1", memory.New(mirrortest.Companies(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{3, "c"})))
	task := &cycle.Task{Customer: customer, Mirror: st, BatchSize: 1}
	_, err := task.Run(t.Context())
	require.NoError(t, err)

	for name, reset := range map[string]func(m *mirror.Mirror) (*mirror.Receipt, error){
		"reset": func(m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.ResetTables(t.Context(), []string{"contact"}, nil)
		},
		"hard reset": func(m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: []string{"contact"}})
		},
	} {
		m, err := mirror.New("C1", st, nil)
		require.NoError(t, err)
		receipt, err := reset(m)
		require.NoError(t, err)
		racing, err := mirror.New("C1", window{st, func() {
			broken := *task
			broken.FailAfterBatches = 1
			_, err := broken.Run(t.Context())
			require.ErrorIs(t, err, cycle.ErrInterrupted)
		}}, nil)
		require.NoError(t, err)
		require.ErrorIs(t, racing.Undo(t.Context(), receipt), mirror.ErrCannotUndo, name)
		_, err = task.Run(t.Context())
		require.NoError(t, err)
		report, err := m.Compare(t.Context(), customer, nil)
		require.NoError(t, err)
		require.True(t, report.Identical(), "%s: %s", name, report)
	}
}

// A cycle fills an empty table between the counting and the truncation.
func TestUndoNeverTakesBackATruncation(t *testing.T) {
	st := memory.New(mirrortest.Companies(), memory.Metadata("C1", map[string]store.LSN{"contact": 5}))
	racing, err := mirror.New("C1", window{st, func() {
		require.NoError(t, st.Seed(mirrortest.Companies(store.Row{1, "a"})))
	}}, nil)
	require.NoError(t, err)
	receipt, err := racing.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{Truncate: true})
	require.NoError(t, err)
	require.Zero(t, receipt.Tables[0].Rows, "it was empty when it was counted")
	m, err := mirror.New("C1", st, nil)
	require.NoError(t, err)
	require.ErrorIs(t, m.Undo(t.Context(), receipt), mirror.ErrCannotUndo)
	lsn, _ := st.LSN("C1", "contact")
	require.Equal(t, store.ResendAll, lsn)
}

// The LSN moves between the reading and the writing of a reset.
func TestResetSeesAnLSNThatMoved(t *testing.T) {
	st := memory.New(mirrortest.Companies(), memory.Metadata("C1", map[string]store.LSN{"contact": 5}))
	moved := false
	m, err := mirror.New("C1", window{st, func() {
		if !moved {
			moved = true
			require.NoError(t, st.Seed(memory.Metadata("C1", map[string]store.LSN{"contact": 6})))
		}
	}}, nil)
	require.NoError(t, err)
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.EqualValues(t, 6, *receipt.Tables[0].LSN, "the receipt holds what was there when it was written")
}

func TestTablesOfOneNameInTwoSchemas(t *testing.T) {
	inSchema := func(schema string) memory.Table {
		tb := mirrortest.Companies(store.Row{1, schema})
		tb.Schema = schema
		return tb
	}
	store := memory.New(inSchema("crm7"), inSchema("dbo"), memory.Metadata("C1", map[string]store.LSN{"contact": 5}))
	m, err := mirror.New("C1", store, nil)
	require.NoError(t, err)
	for _, name := range []string{"contact", "dbo.contact", "crm7.contact"} {
		_, err := m.ResetTables(t.Context(), []string{name}, &mirror.ResetOptions{Truncate: true})
		require.ErrorContains(t, err, "give the store one schema", name)
		_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: []string{name}, DropData: true})
		require.ErrorContains(t, err, "give the store one schema", name)
	}
	for _, name := range []string{"crm7.contact", "dbo.contact"} {
		_, rows, ok := store.Table(name)
		require.True(t, ok)
		require.Len(t, rows, 1)
	}
	st, err := m.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, st.Tables, 2)
	require.Equal(t, mirror.TableInvalid, st.Tables[0].State)
}

// A metadata row may name the schema, too.
func TestMetadataRowWithSchema(t *testing.T) {
	tb := mirrortest.Companies(store.Row{1, "a"})
	tb.Schema = "dbo"
	st := memory.New(tb, memory.Metadata("C1", map[string]store.LSN{"dbo.contact": 5}))
	m, err := mirror.New("C1", st, nil)
	require.NoError(t, err)
	receipt, err := m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true})
	require.NoError(t, err)
	require.Equal(t, []mirror.Action{mirror.ActionResetLSN}, receipt.Tables[0].Actions)
	lsn, _ := st.LSN("C1", "dbo.contact")
	require.Equal(t, store.ResendAll, lsn)
	require.NoError(t, m.Undo(t.Context(), receipt))
	lsn, _ = st.LSN("C1", "dbo.contact")
	require.EqualValues(t, 5, lsn)
}

// The rows are counted while the table is empty, and a cycle fills it before the
// LSN is read: the receipt has the rows of its LSN.
func TestUndoOfAnOldCount(t *testing.T) {
	st := memory.New()
	source := cycle.NewCustomer("C1", memory.New(mirrortest.Companies(store.Row{1, "a"}, store.Row{2, "b"})))
	task := &cycle.Task{Customer: source, Mirror: st}
	run := func() {
		_, err := task.Run(t.Context())
		require.NoError(t, err)
	}
	run()
	m, err := mirror.New("C1", st, nil)
	require.NoError(t, err)
	truncate := func() {
		_, err := m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{Truncate: true})
		require.NoError(t, err)
	}
	truncate()
	racing, err := mirror.New("C1", window{st, run}, nil)
	require.NoError(t, err)
	receipt, err := racing.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, receipt.Tables[0].Rows)
	truncate()
	require.ErrorIs(t, m.Undo(t.Context(), receipt), mirror.ErrCannotUndo)
}
