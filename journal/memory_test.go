package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestMemory(t *testing.T) {
	boom := errors.New("boom")
	fresh := func(j *journal.Memory) (*memory.Store, *mirror.Mirror) {
		s := memory.New(memory.Table{Name: "person", Columns: []string{"id int", "name nvarchar(50)"}, Key: []string{"id"}, Rows: []store.Row{{1, "a"}}}, memory.Metadata("C1", map[string]store.LSN{"person": 5}))
		m, err := mirror.New("C1", s, &mirror.Options{Journal: j})
		require.NoError(t, err)
		return s, m
	}
	events := func(j *journal.Memory) (list []mirror.JournalEvent) {
		entries, err := j.Entries()
		require.NoError(t, err)
		for _, e := range entries {
			list = append(list, e.Event)
		}
		return list
	}
	t.Run("done", func(t *testing.T) {
		var j journal.Memory
		_, m := fresh(&j)
		receipt, err := m.ResetTables(t.Context(), []string{"person"}, nil)
		require.NoError(t, err)
		require.Equal(t, []mirror.JournalEvent{mirror.JournalIntent, mirror.JournalDone}, events(&j))
		entries, err := j.Entries()
		require.NoError(t, err)
		receipt.Tables[0].Table = "changed by its owner"
		require.Equal(t, "person", entries[0].Receipt.Tables[0].Table)
		found, err := m.Reconcile(t.Context(), entries)
		require.NoError(t, err)
		require.Equal(t, mirror.OutcomeDone, found[0].Outcome)
	})
	t.Run("no intent, no reset", func(t *testing.T) {
		var j journal.Memory
		s, m := fresh(&j)
		j.FailAt(1, boom)
		_, err := m.ResetTables(t.Context(), []string{"person"}, nil)
		require.ErrorIs(t, err, mirror.ErrJournal)
		require.ErrorIs(t, err, boom)
		require.Empty(t, events(&j))
		lsn, _ := s.LSN("C1", "person")
		require.EqualValues(t, 5, lsn)
		_, err = m.ResetTables(t.Context(), []string{"person"}, nil)
		require.NoError(t, err, "once")
	})
	t.Run("an intent that was written all the same", func(t *testing.T) {
		var j journal.Memory
		_, m := fresh(&j)
		j.FailAfter(1, boom)
		_, err := m.ResetTables(t.Context(), []string{"person"}, nil)
		require.ErrorIs(t, err, mirror.ErrJournal)
		entries, err := j.Entries()
		require.NoError(t, err)
		require.Len(t, entries, 1)
		found, err := m.Reconcile(t.Context(), entries)
		require.NoError(t, err)
		require.Equal(t, mirror.OutcomeNotDone, found[0].Outcome)
	})
	t.Run("mistakes of the test", func(t *testing.T) {
		var j journal.Memory
		require.Panics(t, func() { j.FailAt(0, boom) })
		require.Panics(t, func() { j.FailAfter(1, nil) })
	})
}

// A reset whose intent cannot be written down does not happen.
func ExampleMemory() {
	ctx := context.Background()
	st := memory.New(
		memory.Table{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}},
		memory.Metadata("Cust10195", map[string]store.LSN{"contact": 812}))
	j := &journal.Memory{}
	m, _ := mirror.New("Cust10195", st, &mirror.Options{Journal: j})

	j.FailAt(1, errors.New("disk full"))
	_, err := m.ResetTables(ctx, []string{"contact"}, nil)
	lsn, _ := st.LSN("Cust10195", "contact")
	fmt.Println(errors.Is(err, mirror.ErrJournal), lsn)

	_, err = m.ResetTables(ctx, []string{"contact"}, nil)
	entries, _ := j.Entries()
	fmt.Println(err, entries[0].Event, entries[1].Event)

	// Output:
	// true 812
	// <nil> intent done
}
