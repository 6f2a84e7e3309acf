package cycle

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func TestBatches(t *testing.T) {
	w := newWorld(t, manyContacts(10))
	w.task.BatchSize = 60 // three rows of 20 bytes
	type batch struct {
		last bool
		lsn  string
	}
	var seen []batch
	var progress []int64
	w.task.BeforeCommit = func(_ string, last bool) { seen = append(seen, batch{last, strings.Join(w.metaRows(), ",")}) }
	w.task.Progress = func(_ string, rows int64) { progress = append(progress, rows) }
	got := requireTable(t, w.run(), "contact", Created, 10, 0, 0)

	require.Equal(t, 4, got.Batches)
	require.Equal(t, []batch{{false, ""}, {false, ""}, {false, ""}, {true, ""}}, seen, "only the last batch writes the LSN")
	require.Equal(t, []int64{3, 6, 9, 10}, progress)
	w.requireSame("contact")

	w.task.BeforeCommit = nil
	w.set(w.customer, "contact", cells("name", "0123456789"), cells("name", "changed  ."))
	got = requireTable(t, w.run(), "contact", Changes, 0, 10, 0)
	require.Greater(t, got.Batches, 1)
	w.requireSame("contact")
}

func TestInterruption(t *testing.T) {
	t.Run("while populating", func(t *testing.T) {
		w := newWorld(t, manyContacts(10), person(store.Row{1, "x"}))
		w.task.BatchSize = 60
		w.task.FailAfterBatches = 2
		res, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)
		require.Empty(t, res.Tables)
		require.Len(t, w.rows(w.mirror, "contact"), 6)
		require.Empty(t, w.metaRows())

		w.task.FailAfterBatches = 0
		res = w.run()
		requireTable(t, res, "contact", Wiped, 10, 0, 0)
		w.requireSame("contact", "person")
	})
	t.Run("while sending changes", func(t *testing.T) {
		w := newWorld(t, manyContacts(10))
		w.run()
		w.set(w.customer, "contact", cells("name", "0123456789"), cells("name", "0123456780"))
		w.task.BatchSize = 100
		w.task.FailAfterBatches = 1
		_, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)
		require.Equal(t, []string{"contact 1"}, w.metaRows(), "the LSN does not move")
		require.Contains(t, w.rows(w.mirror, "contact"), "0 0123456780", "what was committed stays")

		w.task.FailAfterBatches = 0
		requireTable(t, w.run(), "contact", Changes, 0, 10, 0)
		w.requireSame("contact")
	})
	t.Run("before a table that was created is populated", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
		w.run()
		w.drop(w.mirror, "person") // its metadata row stays, with an LSN that is valid
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.task.FailAfterBatches = 1
		res, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)
		requireTable(t, res, "contact", Changes, 1, 0, 0)

		requireTable(t, w.run(), "person", Wiped, 1, 0, 0)
		w.requireSame("contact", "person")
	})
	t.Run("a wipe is not forgotten when the source catches up", func(t *testing.T) {
		w := newWorld(t, manyContacts(10))
		w.run()
		w.setLSN("contact", 3)
		w.task.BatchSize = 60
		w.task.FailAfterBatches = 1
		_, err := w.task.Run(t.Context())
		require.ErrorIs(t, err, ErrInterrupted)

		for i := range 4 { // version 5: the LSN 3 would be valid now
			w.insert(w.customer, "contact", store.Row{100 + i, "n"})
		}
		w.task.FailAfterBatches = 0
		requireTable(t, w.run(), "contact", Wiped, 14, 0, 0)
		w.requireSame("contact")
	})
}

func TestRaces(t *testing.T) {
	t.Run("a reset during the cycle is lost", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}))
		w.run()
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.task.BeforeCommit = func(string, bool) { w.setLSN("contact", -1) }
		w.run()
		require.Equal(t, []string{"contact 2"}, w.metaRows())
	})
	t.Run("a reset before the table's turn is honoured", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
		w.run()
		w.insert(w.customer, "contact", store.Row{2, "b"})
		w.task.BeforeCommit = func(table string, _ bool) {
			if table == "contact" {
				w.setLSN("person", -1)
			}
		}
		requireTable(t, w.run(), "person", Wiped, 1, 0, 0)
	})
	t.Run("rows ahead of the LSN are sent again", func(t *testing.T) {
		w := newWorld(t, contact(store.Row{1, "a"}), person(store.Row{1, "x"}))
		w.task.BeforeCommit = func(table string, _ bool) {
			if table == "contact" {
				w.insert(w.customer, "contact", store.Row{2, "b"})
				w.set(w.customer, "person", cells("person_id", 1), cells("lastname", "y"))
			}
		}
		w.run()
		require.Equal(t, []string{"contact 1", "person 3"}, w.metaRows())
		w.task.BeforeCommit = nil
		res := w.run()
		requireTable(t, res, "contact", Changes, 1, 0, 0)
		requireTable(t, res, "person", Unchanged, 0, 0, 0)
		w.requireSame("contact", "person")
	})
}

func TestContextIsPassedThrough(t *testing.T) {
	w := newWorld(t, manyContacts(10))
	w.task.BatchSize = 60
	ctx, cancel := context.WithCancel(t.Context())
	w.task.BeforeCommit = func(string, bool) { cancel() }
	_, err := w.task.Run(ctx)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, w.metaRows())
}
