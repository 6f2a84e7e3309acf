package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// A receipt of a commit whose answer was lost says so, also after it was kept as
// JSON, and Undo and Reconcile work with it as with any other.
func TestReceiptOfAnUnknownOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(s *memory.Store)
		want mirror.Outcome
		text string
	}{
		"it was done":     {func(s *memory.Store) { s.FailAfterCommit(1, store.ErrOutcomeUnknown) }, mirror.OutcomeDone, ": done, "},
		"it was not done": {func(s *memory.Store) { s.FailAt(memory.Commit, 1, store.ErrOutcomeUnknown) }, mirror.OutcomeNotDone, ": not done, "},
	} {
		t.Run(name, func(t *testing.T) {
			journal := &notes{}
			st := world()
			m := newMirror(t, st, &mirror.Options{Journal: journal})
			before := mirrortest.Dump(t, st)
			c.fail(st)
			receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
			require.ErrorIs(t, err, store.ErrOutcomeUnknown)
			require.Equal(t, mirror.OutcomeUnknown, receipt.Outcome)
			require.Contains(t, receipt.String(), ": not known whether it was done, ")
			data, err := json.Marshal(receipt)
			require.NoError(t, err)
			require.Contains(t, string(data), `"outcome":"unknown"`)
			var kept mirror.Receipt
			require.NoError(t, json.Unmarshal(data, &kept))
			require.Equal(t, receipt.String(), kept.String())

			found, err := m.Reconcile(t.Context(), journal.entries)
			require.NoError(t, err)
			require.Equal(t, c.want, found[0].Outcome)
			require.Equal(t, c.want, found[0].Receipt.Outcome)
			require.Contains(t, found[0].Receipt.String(), c.text)
			require.Empty(t, journal.entries[0].Receipt.Outcome, "the entry stays as it is")
			if err := m.Undo(t.Context(), &kept); c.want == mirror.OutcomeDone {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, mirror.ErrCannotUndo)
			}
			require.Equal(t, before, mirrortest.Dump(t, st))

			kept.Outcome = "perhaps"
			require.ErrorIs(t, m.Undo(t.Context(), &kept), mirror.ErrInvalidDocument)
		})
	}
	receipt, err := newMirror(t, world(), nil).ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.Empty(t, receipt.Outcome)
	require.Contains(t, receipt.String(), ": done, ")
}

// What is not known yet is applied only when it is asked for.
func TestApplyUnknown(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Store, "contact", 3, "tampered")
	m := newMirror(t, f.Store, nil)
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	plan := report.Plan()
	require.True(t, plan.Empty())
	require.Empty(t, report.Stale())
	require.Contains(t, plan.String(), "Nothing to do yet.")
	before := mirrortest.Dump(t, f.Store)
	_, err = m.Apply(t.Context(), plan, nil)
	require.ErrorIs(t, err, mirror.ErrNothingToDo)
	require.ErrorContains(t, err, "Recheck")
	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{"contact"}})
	require.ErrorIs(t, err, mirror.ErrNotPlanned)
	require.ErrorContains(t, err, "set Unknown")
	require.Equal(t, before, mirrortest.Dump(t, f.Store))
	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Unknown: true})
	require.NoError(t, err)
	lsn, _ := f.Store.LSN(customer, "contact")
	require.Equal(t, store.ResendAll, lsn)
}

// A table of which nobody knows which metadata row is its own does not keep the
// rest of a plan from being applied, and is never reset by it.
func TestApplyBesideADoubt(t *testing.T) {
	lsn := store.LSN(812)
	store := world()
	m := newMirror(t, store, nil)
	report, err := m.Compare(t.Context(), still{customerDatabase()}, &mirror.CompareOptions{Tables: []string{"contact"}})
	require.NoError(t, err)
	require.NotEmpty(t, report.Stale())
	report.Tables = append(report.Tables, mirror.TableReport{Table: "person", Verdict: mirror.VerdictDifferent, LSN: &lsn, Changed: 1,
		SourceRows: 1, MirrorRows: 1, MetadataDoubt: "two rows may be its own"})
	plan := report.Plan()
	require.Equal(t, mirror.StepUnknown, stepOf(plan, "person"))
	receipt, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Unknown: true, HardReset: true, Confirm: customer})
	require.NoError(t, err)
	require.Len(t, receipt.Tables, 1)
	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{"person"}, Unknown: true})
	require.ErrorIs(t, err, mirror.ErrNotPlanned)
	require.ErrorContains(t, err, "two rows may be its own")
}

// A refusal names the option that allows what was refused, and reaches the caller
// through a report that has other errors as well.
func TestErrOfSeveralKinds(t *testing.T) {
	report := measured(
		mirror.TableReport{Verdict: mirror.VerdictDifferent, SourceRows: 20, MirrorRows: 20, Changed: 20, Diverged: 20},
		mirror.TableReport{Verdict: mirror.VerdictFailed, Reason: "boom", Err: errBoom},
	)
	report.Mistakes = []string{"it is another customer's"}
	err := report.Err()
	require.ErrorIs(t, err, mirror.ErrTooMuch)
	require.ErrorIs(t, err, mirror.ErrWrongDatabase)
	require.ErrorIs(t, err, errBoom)
	var limit *mirror.LimitError
	require.True(t, errors.As(err, &limit))
	require.Equal(t, "compare of Cust10195: too much would be reset: 20 of 20 of the mirror's compared rows are not so at the source, "+
		"more than 50 %: is the source the right database? If it is, MaxRowShare of the options allows it", limit.Error())
}
