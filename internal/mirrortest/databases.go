package mirrortest

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
)

// databaseScenarios are about a customer that has two mirrors with the same
// metadata rows, such as an old copy beside a new one: what is known of one is not
// taken for the other's.
func databaseScenarios() []scenario {
	return []scenario{
		{name: "a plan of another mirror", run: planOfAnother},
		{name: "a receipt of another mirror", run: receiptOfAnother},
		{name: "a journal of two mirrors", run: journalOfTwo},
	}
}

// twoMirrors returns two mirrors of one customer. Unless they tell which database they
// are, the scenario ends.
func twoMirrors(t *env) (one, other *env) {
	t.Helper()
	o := *t
	one, other = t, &o
	other.store = t.openSource(t)
	one.damaged()
	other.damaged()
	require.Equal(t, one.dump(), other.dump())
	a, b := one.identity(), other.identity()
	if a.ID == "" {
		t.Skip("the database does not tell which one it is")
	}
	require.NotEqual(t, a.ID, b.ID)
	return one, other
}

func (t *env) identity() store.Identity {
	t.Helper()
	id, err := store.IdentityOf(t.Context(), t.store)
	require.NoError(t, err)
	return id
}

// wrongDatabase demands that f is refused because of the database, and changes nothing.
func wrongDatabase(one, other *env, text string, f func() error) {
	one.Helper()
	one.unchanged(func() {
		other.unchanged(func() {
			err := f()
			require.ErrorIs(one, err, mirror.ErrWrongDatabase)
			require.ErrorContains(one, err, text)
		})
	})
}

// anonymous is a store that does not tell which database it serves.
type anonymous struct{ store.Store }

func (t *env) anonymous() *mirror.Mirror {
	t.Helper()
	return NewMirror(t, anonymous{t.store}, nil)
}

func planOfAnother(t *env) {
	one, other := twoMirrors(t)
	source := t.source(contact(store.Row{1, "A", day}), person(store.Row{1, "Ängström"}))
	report := other.compare(source, nil)
	plan := report.Plan()
	require.Equal(t, other.identity(), plan.Mirror)
	data, err := json.Marshal(plan)
	require.NoError(t, err)
	var read mirror.Plan
	require.NoError(t, json.Unmarshal(data, &read))
	dry := &mirror.ApplyOptions{Unknown: true, DryRun: true}
	opts := &mirror.ApplyOptions{Unknown: true}
	apply := func(m *mirror.Mirror, plan *mirror.Plan, opts *mirror.ApplyOptions) error {
		_, err := m.Apply(t.Context(), plan, opts)
		return err
	}
	const text = "apply plan of Cust10195: wrong database: the plan is of another database,"
	for _, p := range []*mirror.Plan{plan, &read} {
		for _, o := range []*mirror.ApplyOptions{opts, dry, nil} {
			wrongDatabase(one, other, text, func() error { return apply(one.mirror(nil), p, o) })
		}
	}
	require.NoError(t, apply(one.mirror(&mirror.Options{FormerIDs: []string{"x", plan.Mirror.ID}}), plan, dry), "it is known to be the same one")
	require.NoError(t, apply(one.anonymous(), plan, dry), "it cannot be told")
	report.Mirror.Identity = store.Identity{}
	require.NoError(t, apply(one.mirror(nil), report.Plan(), dry), "the plan does not tell")

	receipt, err := other.mirror(nil).Apply(t.Context(), &read, opts)
	require.NoError(t, err)
	require.Equal(t, other.identity(), receipt.Mirror)
}

func receiptOfAnother(t *env) {
	one, other := twoMirrors(t)
	for _, c := range []struct {
		name   string
		change func(m *mirror.Mirror, dryRun bool) (*mirror.Receipt, error)
	}{
		{"reset", func(m *mirror.Mirror, dryRun bool) (*mirror.Receipt, error) {
			return m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{DryRun: dryRun})
		}},
		{"metadata rows", func(m *mirror.Mirror, dryRun bool) (*mirror.Receipt, error) {
			return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}, DryRun: dryRun})
		}},
		{"metadata table", func(m *mirror.Mirror, dryRun bool) (*mirror.Receipt, error) {
			return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, DryRun: dryRun})
		}},
	} {
		name, change := c.name, c.change
		dry, err := change(other.mirror(nil), true)
		require.NoError(t, err, name)
		require.Equal(t, other.identity(), dry.Mirror, name)
		receipt, err := change(other.mirror(nil), false)
		require.NoError(t, err, name)
		require.Equal(t, other.identity(), receipt.Mirror, name)
		own, err := change(one.mirror(nil), false)
		require.NoError(t, err, name)
		require.NotEqual(t, own.ID, receipt.ID, "the database is part of what is recorded")

		m := one.mirror(nil)
		for _, r := range []*mirror.Receipt{receipt, t.throughJSON(receipt)} {
			wrongDatabase(one, other, "undo of Cust10195: wrong database: the receipt is of another database,", func() error { return m.Undo(t.Context(), r) })
			wrongDatabase(one, other, receipt.Mirror.ID, func() error { return m.Undo(t.Context(), r) })
			wrongDatabase(one, other, "wrong database", func() error { return m.CheckDatabase(t.Context(), r.Mirror) })
		}
		require.NoError(t, m.CheckDatabase(t.Context(), own.Mirror))
		require.NoError(t, m.CheckDatabase(t.Context(), store.Identity{Database: receipt.Mirror.Database}), "names do not tell")
		tampered := *receipt
		tampered.Mirror = own.Mirror
		require.ErrorIs(t, m.Undo(t.Context(), &tampered), mirror.ErrInvalidDocument)

		moved := one.mirror(&mirror.Options{FormerIDs: []string{receipt.Mirror.ID}})
		require.NoError(t, moved.CheckDatabase(t.Context(), receipt.Mirror))
		require.NoError(t, moved.Undo(t.Context(), receipt), "it is known to be the same one")
		require.NoError(t, other.anonymous().Undo(t.Context(), receipt), "it cannot be told")
		require.Equal(t, one.dump(), other.dump(), name)
	}
	receipt, err := one.anonymous().ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.Zero(t, receipt.Mirror)
	var text bytes.Buffer
	require.NoError(t, receipt.WriteJSON(&text))
	require.NotContains(t, text.String(), `"mirror":`)
	require.NoError(t, one.mirror(nil).Undo(t.Context(), t.throughJSON(receipt)), "the receipt does not tell")
}

// intents is a journal of processes that are killed: no entry tells an end.
type intents struct{ journal.Memory }

func (i *intents) Append(ctx context.Context, e mirror.JournalEntry) error {
	if e.Event != mirror.JournalIntent {
		return nil
	}
	return i.Memory.Append(ctx, e)
}

func journalOfTwo(t *env) {
	one, other := twoMirrors(t)
	killed := &intents{}
	reset := func(m *mirror.Mirror) *mirror.Receipt {
		t.Helper()
		receipt, err := m.WithJournal(killed).ResetTables(t.Context(), []string{"contact"}, nil)
		require.NoError(t, err)
		return receipt
	}
	outcomes := func(m *mirror.Mirror) (outcomes []string) {
		t.Helper()
		entries, err := killed.Entries()
		require.NoError(t, err)
		found, err := m.Reconcile(t.Context(), entries)
		require.NoError(t, err)
		for _, r := range found {
			outcomes = append(outcomes, string(r.Outcome)+" "+r.Proof)
			if r.Outcome == mirror.OutcomeUnknown {
				require.Contains(t, r.String(), ": unknown, because it is of another database: "+r.Receipt.Mirror.Engine)
			}
			if !r.Undo {
				require.Equal(t, r.Outcome, r.Receipt.Outcome)
			}
		}
		return outcomes
	}

	receipt := reset(other.mirror(nil)) // and the reset of the next saw what this one saw before
	reset(one.mirror(nil))
	require.Equal(t, []string{"done database", "unknown "}, outcomes(other.mirror(nil)))
	require.Equal(t, []string{"unknown ", "done database"}, outcomes(one.mirror(nil)))
	require.Equal(t, []string{"not-done database", "done database"}, outcomes(one.mirror(&mirror.Options{FormerIDs: []string{receipt.Mirror.ID}})),
		"as one database, whose second reset saw nothing of the first")
	require.Equal(t, []string{"done database", "done database"}, outcomes(one.anonymous()), "by its rows alone, when it cannot be told")

	require.NoError(t, other.mirror(&mirror.Options{Journal: killed}).Undo(t.Context(), receipt))
	require.Equal(t, []string{"done database", "unknown ", "done database"}, outcomes(other.mirror(nil)))
	require.Equal(t, []string{"unknown ", "done database", "unknown "}, outcomes(one.mirror(nil)))
}
