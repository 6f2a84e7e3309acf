package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// notes is a journal in memory that fails at the nth entry.
type notes struct {
	entries []mirror.JournalEntry
	failAt  int
	at      func(e mirror.JournalEntry)
}

func (n *notes) Append(_ context.Context, e mirror.JournalEntry) error {
	if n.at != nil {
		n.at(e)
	}
	if len(n.entries)+1 == n.failAt {
		n.failAt = 0
		return errBoom
	}
	n.entries = append(n.entries, e)
	return nil
}

func (n *notes) events() string {
	var texts []string
	for _, e := range n.entries {
		texts = append(texts, string(e.Event))
	}
	return strings.Join(texts, " ")
}

func TestJournal(t *testing.T) {
	journal := &notes{}
	store := world()
	m := newMirror(t, store, &mirror.Options{Journal: journal})
	before := mirrortest.Dump(t, store)
	journal.at = func(mirror.JournalEntry) {
		if len(journal.entries) == 0 {
			require.Equal(t, before, mirrortest.Dump(t, store), "the intent comes before the commit")
		} else {
			require.NotEqual(t, before, mirrortest.Dump(t, store))
		}
	}
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.Equal(t, "intent done", journal.events())
	require.Equal(t, receipt, journal.entries[0].Receipt)
	require.Equal(t, journal.entries[0].ID, journal.entries[1].ID)
	require.NotEmpty(t, receipt.ID)

	journal.at = nil
	require.NoError(t, m.Undo(t.Context(), receipt))
	require.Equal(t, "intent done intent done", journal.events())
	require.True(t, journal.entries[2].Undo)
	require.Equal(t, before, mirrortest.Dump(t, store))

	_, err = m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{DryRun: true})
	require.NoError(t, err)
	require.Len(t, journal.entries, 4, "a dry run changes nothing")
}

func TestJournalThatFails(t *testing.T) {
	for _, op := range operations() {
		if !op.changes {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			s := op.prepare(t)
			before := mirrortest.Dump(t, s.store)
			journal := &notes{failAt: 1}
			s.opts = &mirror.Options{Journal: journal}
			_, err := s.run(t.Context(), t, s.store)
			require.ErrorIs(t, err, mirror.ErrJournal)
			require.ErrorIs(t, err, errBoom)
			require.Equal(t, before, mirrortest.Dump(t, s.store), "without an intent nothing happens")
			require.Empty(t, journal.entries)

			journal.failAt = 2
			_, err = s.run(t.Context(), t, s.store)
			require.ErrorIs(t, err, mirror.ErrJournal)
			require.ErrorContains(t, err, "was done")
			require.NotEqual(t, before, mirrortest.Dump(t, s.store))
		})
	}
}

func TestJournalOfFailures(t *testing.T) {
	journal := &notes{}
	st := world()
	m := newMirror(t, st, &mirror.Options{Journal: journal})
	st.FailAt(memory.Commit, 1, errBoom)
	_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, "intent failed", journal.events())

	st.FailAfterCommit(1, store.ErrOutcomeUnknown)
	_, err = m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.ErrorIs(t, err, store.ErrOutcomeUnknown)
	require.Equal(t, "intent failed intent", journal.events(), "nobody knows yet")
	found, err := m.Reconcile(t.Context(), journal.entries)
	require.NoError(t, err)
	require.Equal(t, []mirror.Outcome{mirror.OutcomeNotDone, mirror.OutcomeDone}, []mirror.Outcome{found[0].Outcome, found[1].Outcome})
	require.Equal(t, []string{"journal", "database"}, []string{found[0].Proof, found[1].Proof})
	require.NoError(t, m.Undo(t.Context(), found[1].Receipt))
}

// Whatever the operation, an intent alone is enough to find out whether it
// happened, and to take it back.
func TestReconcileEveryOperation(t *testing.T) {
	for _, op := range operations() {
		if !op.changes {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			s := op.prepare(t)
			before := mirrortest.Dump(t, s.store)
			journal := &notes{}
			s.opts = &mirror.Options{Journal: journal}
			s.store.FailAt(memory.Commit, 1, errBoom)
			_, err := s.run(t.Context(), t, s.store)
			require.ErrorIs(t, err, errBoom)
			_, err = s.run(t.Context(), t, s.store)
			require.NoError(t, err)
			after := mirrortest.Dump(t, s.store)
			require.Equal(t, "intent failed intent done", journal.events())
			last := journal.entries[2:3]

			m := newMirror(t, s.store, nil)
			found, err := m.Reconcile(t.Context(), last)
			require.NoError(t, err)
			require.Equal(t, mirror.OutcomeDone, found[0].Outcome)
			require.Equal(t, after, mirrortest.Dump(t, s.store), "it only looks")

			fresh := op.prepare(t)
			require.Equal(t, before, mirrortest.Dump(t, fresh.store))
			restored := &mirror.Options{FormerIDs: []string{last[0].Receipt.Mirror.ID}}
			found, err = newMirror(t, fresh.store, restored).Reconcile(t.Context(), last)
			require.NoError(t, err)
			require.Equal(t, mirror.OutcomeNotDone, found[0].Outcome)
		})
	}
}

func TestReconcileOvertaken(t *testing.T) {
	journal := &notes{}
	st := world()
	m := newMirror(t, st, &mirror.Options{Journal: journal})
	_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.NoError(t, st.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": 1000, "log": 900, "PERSON": 7})))
	found, err := m.Reconcile(t.Context(), journal.entries[:1])
	require.NoError(t, err)
	require.Equal(t, mirror.OutcomeOvertaken, found[0].Outcome)
}

func TestReconcileRefuses(t *testing.T) {
	journal := &notes{}
	m := newMirror(t, world(), &mirror.Options{Journal: journal})
	_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		alter func(e []mirror.JournalEntry) []mirror.JournalEntry
		want  string
	}{
		"a version to come": {func(e []mirror.JournalEntry) []mirror.JournalEntry { e[0].Version = 2; return e }, "version is 2"},
		"an end alone":      {func(e []mirror.JournalEntry) []mirror.JournalEntry { return e[1:] }, "did not begin"},
		"twice":             {func(e []mirror.JournalEntry) []mirror.JournalEntry { return append(e[:1], e[0]) }, "begins twice"},
		"an unknown event":  {func(e []mirror.JournalEntry) []mirror.JournalEntry { e[1].Event = "maybe"; return e }, `"maybe"`},
		"no receipt":        {func(e []mirror.JournalEntry) []mirror.JournalEntry { e[0].Receipt = nil; return e }, "nil"},
	} {
		t.Run(name, func(t *testing.T) {
			entries := append([]mirror.JournalEntry(nil), journal.entries...)
			_, err := m.Reconcile(t.Context(), c.alter(entries))
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			require.ErrorContains(t, err, c.want)
		})
	}
	other, err := mirror.New("Cust2", memory.New(), nil)
	require.NoError(t, err)
	found, err := other.Reconcile(t.Context(), journal.entries)
	require.NoError(t, err)
	require.Empty(t, found, "one journal can serve many customers")
}

// A plan that left a table alone saw its metadata row all the same.
func TestReconcileByAPlanThatSkipped(t *testing.T) {
	journal := &notes{}
	st := world()
	m := newMirror(t, st, &mirror.Options{Journal: journal})
	report, err := m.Compare(t.Context(), customerDatabase(), nil)
	require.NoError(t, err)
	st.FailAt(memory.Commit, 1, store.ErrOutcomeUnknown) // and nothing is done
	_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: customer, Tables: []string{"contact"}})
	require.ErrorIs(t, err, store.ErrOutcomeUnknown)
	require.NoError(t, st.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": 950, "log": 900, "PERSON": 7})))
	_, err = m.Apply(t.Context(), report.Plan(), &mirror.ApplyOptions{SkipMoved: true, Unknown: true})
	require.NoError(t, err)
	found, err := m.Reconcile(t.Context(), journal.entries)
	require.NoError(t, err)
	require.Equal(t, mirror.OutcomeOvertaken, found[0].Outcome)
}
