package mirrortest

import (
	"context"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// plainStore hides what the transactions of a store can do beyond store.Tx.
type plainStore struct{ store.Store }

func (s plainStore) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	return s.Store.Update(ctx, func(tx store.Tx) error { return fn(struct{ store.Tx }{tx}) })
}

const metadataName, keptTable = "Cust10195_mirroring", "before_hard_reset_Cust10195"

func keepScenarios() []scenario {
	hardReset := func(t *env, m *mirror.Mirror) *mirror.Receipt {
		t.Helper()
		r, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
		require.NoError(t, err)
		return r
	}
	// withVariant adds a column whose values are not read.
	withVariant := func(t *env) {
		md := metadata("contact", 812, "person", 900)
		md.columns = append(md.columns, col("extra", "sql_variant"))
		for i := range md.rows {
			md.rows[i] = append(md.rows[i], nil)
		}
		t.load(t.store, contact(), person(), md)
	}
	return []scenario{
		{name: "a hard reset keeps the metadata table", run: func(t *env) {
			t.damaged()
			before, def := t.dump(), t.table(metadataName)
			m := t.mirror(nil)
			dry, err := m.HardReset(t.Context(), &mirror.HardResetOptions{DryRun: true})
			require.NoError(t, err)
			require.Equal(t, keptTable, dry.Kept)
			require.Equal(t, before, t.dump())

			r := hardReset(t, m)
			require.Equal(t, keptTable, r.Kept)
			require.Empty(t, r.NotUndone)
			require.Equal(t, before[metadataName], t.dump()[keptTable])
			require.NotContains(t, t.dump(), metadataName)
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, mirror.MirrorAwaitingFirstCycle, st.State)
			require.Len(t, st.Tables, 3)
			require.Len(t, st.Warnings, 1, "%v", st.Warnings)
			require.Contains(t, st.Warnings[0], keptTable+" is a metadata table that a hard reset kept")
			source := t.source(contact(store.Row{1, "A", day}, store.Row{2, "B", nil}), person(store.Row{1, "Ängström"}))
			report, err := m.Compare(t.Context(), source, nil)
			require.NoError(t, err)
			require.Nil(t, report.Table(keptTable))
			require.NoError(t, report.Err())
			_, err = m.ResetTables(t.Context(), []string{keptTable}, nil)
			require.ErrorIs(t, err, mirror.ErrNoMetadata)

			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
			require.Equal(t, def, t.table(metadataName))
			require.ErrorIs(t, m.Undo(t.Context(), r), mirror.ErrCannotUndo)
		}},
		{name: "a hard reset drops what the one before kept", run: func(t *env) {
			t.damaged()
			m := t.mirror(nil)
			first := hardReset(t, m)
			t.load(t.store, metadata("contact", 1000)) // a cycle
			between := t.dump()
			_, err := m.ResetTables(t.Context(), []string{keptTable}, nil)
			require.ErrorIs(t, err, store.ErrTableNotFound)
			second := hardReset(t, m)
			require.Len(t, second.NotUndone, 1)
			require.Contains(t, second.String(), "Undo does not bring back\n  - what the hard reset before this one kept: "+keptTable+" is dropped.\n")
			t.unchanged(func() {
				err := m.Undo(t.Context(), first)
				require.ErrorIs(t, err, mirror.ErrCannotUndo)
				require.ErrorContains(t, err, "has other rows now")
			})
			require.NoError(t, m.Undo(t.Context(), second))
			delete(between, keptTable)
			require.Equal(t, between, t.dump())
		}},
		{name: "what was kept is gone", run: func(t *env) {
			t.damaged()
			m := t.mirror(nil)
			r := hardReset(t, m)
			require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error { return tx.Drop(t.Context(), t.table(keptTable)) }))
			t.unchanged(func() {
				err := m.Undo(t.Context(), r)
				require.ErrorIs(t, err, mirror.ErrCannotUndo)
				require.ErrorContains(t, err, "the table "+keptTable+" that it was kept as was dropped")
			})
		}},
		{name: "a receipt that kept another table", run: func(t *env) {
			t.damaged()
			m := t.mirror(nil)
			r := hardReset(t, m)
			t.unchanged(func() {
				for _, edit := range []func(r *mirror.Receipt){
					func(r *mirror.Receipt) { r.Kept = "contact" },
					func(r *mirror.Receipt) { r.Kept = "before_hard_reset_Cust10196" },
					func(r *mirror.Receipt) { r.MetadataTable = "person" },
					func(r *mirror.Receipt) { r.Metadata = nil },
				} {
					forged := t.throughJSON(r)
					edit(forged)
					require.ErrorIs(t, m.Undo(t.Context(), forged), mirror.ErrInvalidDocument)
				}
			})
		}},
		{name: "a store that cannot rename", run: func(t *env) {
			t.damaged()
			before := t.dump()
			m, err := mirror.New(ContextID, plainStore{t.store}, nil)
			require.NoError(t, err)
			dry, err := m.HardReset(t.Context(), &mirror.HardResetOptions{DryRun: true})
			require.NoError(t, err)
			require.Equal(t, before, t.dump())
			r := hardReset(t, m)
			for _, r := range []*mirror.Receipt{dry, r} {
				require.Empty(t, r.Kept)
				require.Len(t, r.NotUndone, 1)
				require.Contains(t, r.NotUndone[0], "IDENTITY, UNIQUE, CHECK, foreign keys, indexes, triggers and permissions of the metadata table")
				require.Contains(t, r.String(), "drop Cust10195_mirroring")
			}
			require.NotContains(t, t.dump(), keptTable)
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
		}},
		{name: "values that are not read, of the whole table", run: func(t *env) {
			withVariant(t)
			before, def := t.dump(), t.table(metadataName)
			m := t.mirror(nil)
			r := hardReset(t, m)
			require.Empty(t, r.NotUndone)
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
			require.Equal(t, def, t.table(metadataName))
		}},
		{name: "values that are not read, of rows", run: func(t *env) {
			withVariant(t)
			m := t.mirror(nil)
			opts := mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}}
			const reason = "column extra is sql_variant, whose values are not read"
			t.unchanged(func() {
				_, err := m.HardReset(t.Context(), &opts)
				require.ErrorIs(t, err, mirror.ErrCannotUndo)
				require.ErrorContains(t, err, reason)
				require.ErrorContains(t, err, "set NoUndo")
				dry := opts
				dry.DryRun = true
				r, err := m.HardReset(t.Context(), &dry)
				require.NoError(t, err)
				require.Contains(t, r.String(), "Undo does not bring back\n  - any of it: "+reason+".\n")
			})
			opts.NoUndo = true
			r, err := m.HardReset(t.Context(), &opts)
			require.NoError(t, err)
			require.Equal(t, map[string]any{"person": int64(900)}, t.lsns())
			require.ErrorIs(t, m.Undo(t.Context(), r), mirror.ErrCannotUndo)
		}},
		{name: "values that are not read, in a store that cannot rename", run: func(t *env) {
			withVariant(t)
			m, err := mirror.New(ContextID, plainStore{t.store}, nil)
			require.NoError(t, err)
			t.unchanged(func() {
				_, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
				require.ErrorIs(t, err, mirror.ErrCannotUndo)
			})
			_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, NoUndo: true})
			require.NoError(t, err)
			require.NotContains(t, t.dump(), metadataName)
		}},
		{name: "what is truncated or dropped is said before", run: func(t *env) {
			t.damaged()
			m := t.mirror(nil)
			r, err := m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true, Truncate: true, DryRun: true})
			require.NoError(t, err)
			require.Contains(t, r.String(), "Undo does not bring back\n  - 3 rows of the truncated tables")
			r, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Tables: []string{"contact"}, DropData: true, DryRun: true})
			require.NoError(t, err)
			require.Contains(t, r.String(), "Undo does not bring back\n  - the dropped tables with 2 rows, indexes, foreign keys")
			r, err = m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true, DryRun: true})
			require.NoError(t, err)
			require.Empty(t, r.NotUndone)
		}},
		{name: "a long context identifier", run: func(t *env) {
			id := "C" + strings.Repeat("x", 117)
			md := metadata("contact", 1)
			md.name = mirror.MetadataTableName(id)
			t.load(t.store, contact(), md)
			before := t.dump()
			m, err := mirror.New(id, t.store, nil)
			require.NoError(t, err)
			r, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: id})
			require.NoError(t, err)
			require.Len(t, r.Kept, 128)
			require.NoError(t, m.Undo(t.Context(), r))
			require.Equal(t, before, t.dump())
		}},
		{name: "an LSN that cannot be negative", run: func(t *env) {
			md := metadata("contact", 8, "person", 9)
			md.columns[1].Type = store.MustType("tinyint")
			t.load(t.store, contact(store.Row{1, "A", nil}), person(), md)
			t.constrained([]string{"contact"}, `"contact" cannot get LSN -1, because column "LSN" is tinyint: HardReset of that table`)
			_, err := t.mirror(nil).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}})
			require.NoError(t, err)
			require.Equal(t, map[string]any{"person": int64(9)}, t.lsns())
		}},
		{name: "an LSN that is unique", run: func(t *env) {
			md := metadata("contact", 8, "person", 9)
			md.columns[1].Nullable = false
			md.key = []string{"LSN"}
			t.load(t.store, contact(store.Row{1, "A", nil}), person(), md)
			t.constrained([]string{"contact", "person"}, `"person" cannot get LSN -1: `)
			r, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err)
			t.constrained([]string{"person"}, "HardReset of that table deletes its metadata row instead")
			require.NoError(t, t.mirror(nil).Undo(t.Context(), r))
		}},
	}
}

// constrained demands that a constraint which does not let tables have an LSN of
// -1 is found before anything is done.
func (t *env) constrained(tables []string, want string) {
	t.Helper()
	t.unchanged(func() {
		for _, opts := range []mirror.ResetOptions{{}, {DryRun: true}, {Truncate: true}, {Truncate: true, DryRun: true}} {
			_, err := t.mirror(nil).ResetTables(t.Context(), tables, &opts)
			require.ErrorIs(t, err, mirror.ErrMetadata)
			require.ErrorContains(t, err, want)
		}
	})
}
