package mirrortest

import (
	"context"
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// damaged fills the store with two tracked tables and one that is not.
func (t *env) damaged() {
	t.Helper()
	t.load(t.store,
		contact(store.Row{1, "A", day}, store.Row{2, "B", nil}),
		person(store.Row{1, "Ängström"}),
		table{name: "own_notes", columns: []store.Column{notNull("id", "int")}, rows: []store.Row{{1}}},
		metadata("contact", 812, "PERSON", 900, "sale", 5),
	)
}

// lsns reads the metadata table back.
func (t *env) lsns() map[string]any {
	t.Helper()
	m := map[string]any{}
	for _, r := range t.rows(mirror.MetadataTableName(ContextID)) {
		m[r[0].(string)] = r[1]
	}
	return m
}

func resetScenarios() []scenario {
	return []scenario{
		{name: "all of the named tables", run: func(t *env) {
			t.damaged()
			r, err := t.mirror(nil).ResetTables(t.Context(), []string{"CONTACT", "person", "contact "}, nil)
			require.NoError(t, err)
			require.Equal(t, map[string]any{"contact": int64(-1), "PERSON": int64(-1), "sale": int64(5)}, t.lsns())
			require.Len(t, t.rows("contact"), 2)
			require.Len(t, r.Tables, 2)
			require.Equal(t, "contact", r.Tables[0].Table)
			require.Equal(t, []mirror.Action{mirror.ActionResetLSN}, r.Tables[0].Actions)
			require.Equal(t, lsn(812), r.Tables[0].LSN)
			require.EqualValues(t, 2, r.Tables[0].Rows)
			require.Equal(t, "person", r.Tables[1].Table)
			require.Equal(t, lsn(900), r.Tables[1].LSN)
		}},
		{name: "the rest of a metadata row is untouched", run: func(t *env) {
			t.damaged()
			before := t.rows("Cust10195_mirroring")
			_, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err)
			after := t.rows("Cust10195_mirroring")
			for i := range after {
				require.Equal(t, before[i][2], after[i][2])
			}
		}},
		{name: "truncate", run: func(t *env) {
			t.damaged()
			r, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact", "sale"}, &mirror.ResetOptions{Truncate: true})
			require.NoError(t, err)
			require.Equal(t, map[string]any{"contact": int64(-1), "PERSON": int64(900), "sale": int64(-1)}, t.lsns())
			require.Empty(t, t.rows("contact"))
			require.Len(t, t.rows("person"), 1)
			require.Equal(t, []mirror.Action{mirror.ActionResetLSN, mirror.ActionTruncate}, r.Tables[0].Actions)
			require.Equal(t, []mirror.Action{mirror.ActionResetLSN}, r.Tables[1].Actions, "an absent table has nothing to truncate")
		}},
		{name: "dry run", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				r, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{Truncate: true, DryRun: true})
				require.NoError(t, err)
				require.True(t, r.DryRun)
				require.Equal(t, []mirror.Action{mirror.ActionResetLSN, mirror.ActionTruncate}, r.Tables[0].Actions)
				require.EqualValues(t, 2, r.Tables[0].Rows)
			})
		}},
		{name: "all tables are the tracked ones", run: func(t *env) {
			t.damaged()
			r, err := t.mirror(nil).ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true, Truncate: true})
			require.NoError(t, err)
			require.Len(t, r.Tables, 3)
			require.Equal(t, map[string]any{"contact": int64(-1), "PERSON": int64(-1), "sale": int64(-1)}, t.lsns())
			require.Len(t, t.rows("own_notes"), 1, "a table that is not tracked is not ours to empty")
		}},
		{name: "a table without a metadata row", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				m := t.mirror(nil)
				r, err := m.ResetTables(t.Context(), []string{"own_notes"}, &mirror.ResetOptions{Truncate: true})
				require.NoError(t, err)
				require.Empty(t, r.Tables[0].Actions)
				require.Contains(t, r.Tables[0].Note, "no metadata row")
				r, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"own_notes"}, DropData: true})
				require.NoError(t, err)
				require.Empty(t, r.Tables[0].Actions, "rows that no cycle brings back are not dropped")
			})
		}},
		{name: "a metadata row about the metadata table", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}), metadata("contact", 7, "Cust10195_mirroring", 8))
			_, err := t.mirror(nil).ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true, Truncate: true})
			require.NoError(t, err)
			require.Equal(t, map[string]any{"contact": int64(-1), "Cust10195_mirroring": int64(8)}, t.lsns())
		}},
		{name: "NULL as LSN", run: func(t *env) {
			t.load(t.store, contact(), metadata("contact", nil))
			r, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err)
			require.Nil(t, r.Tables[0].LSN)
			require.Equal(t, map[string]any{"contact": int64(-1)}, t.lsns())
		}},
		{name: "unknown tables are all named", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				_, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact", "persom", "contact; drop table contact", "Cust10195_mirroring"}, nil)
				require.ErrorIs(t, err, store.ErrTableNotFound)
				var e *mirror.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, []mirror.TableError{
					{Table: "persom", Closest: "person"},
					{Table: "contact; drop table contact"},
					{Table: "Cust10195_mirroring", Reason: "is the metadata table: HardReset without Tables takes it away"},
				}, e.Tables)
				require.ErrorContains(t, err, `"persom" (did you mean "person"?)`)
			})
		}},
		{name: "no tables", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				for _, none := range [][]string{nil, {}} {
					_, err := t.mirror(nil).ResetTables(t.Context(), none, nil)
					require.ErrorIs(t, err, mirror.ErrNoTables)
				}
			})
		}},
		{name: "no metadata table", run: func(t *env) {
			t.load(t.store, contact())
			_, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.ErrorIs(t, err, mirror.ErrNoMetadata)
		}},
		{name: "a replica of the newer client", run: func(t *env) {
			state := table{name: "_REPLICATIONSTATE", columns: []store.Column{notNull("id", "int")}, rows: []store.Row{{1}}}
			t.load(t.store, contact(store.Row{1, "a", nil}), state)
			m := t.mirror(nil)
			t.unchanged(func() {
				_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
				require.ErrorIs(t, err, mirror.ErrReplica)
				require.ErrorContains(t, err, `resync-tables crm7.person, or POST /api/v1/replication/Cust10195/resync with {"tables": ["crm7.person"]}`)
				_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
				require.ErrorIs(t, err, mirror.ErrReplica)
			})
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, mirror.MirrorReplica, st.State)
			require.Len(t, st.Tables, 1)
			blobs := table{name: "BinaryObject", columns: []store.Column{notNull("id", "int")}, rows: []store.Row{{1}}}
			r := t.compare(t.source(contact(store.Row{1, "b", nil}), blobs), nil)
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictDifferent, "BinaryObject": mirror.VerdictNotMirrored}, verdicts(r))
			require.Empty(t, r.Stale())
			require.Contains(t, r.String(), "resync-tables ")
			require.Contains(t, r.String(), "/resync with {\"tables\": [\"")
		}},
		{name: "two metadata rows of one table", run: func(t *env) {
			t.load(t.store, contact(), person(), metadata("contact", 1, "Contact", 2, "person", 3))
			t.unchanged(func() {
				_, err := t.mirror(nil).ResetTables(t.Context(), []string{"person", "contact"}, nil)
				require.ErrorIs(t, err, mirror.ErrMetadata)
				require.ErrorContains(t, err, `"contact" has 2 rows in the metadata table`)
			})
		}},
		{name: "canceled", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				_, err := t.mirror(nil).ResetTables(canceled(t), []string{"contact"}, nil)
				require.Equal(t, context.Canceled, err)
			})
		}},
	}
}

func hardResetScenarios() []scenario {
	return []scenario{
		{name: "the whole mirror", run: func(t *env) {
			t.damaged()
			m := t.mirror(nil)
			r, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
			require.NoError(t, err)
			require.Len(t, r.Tables, 3)
			require.NotNil(t, r.Metadata)
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, mirror.MirrorAwaitingFirstCycle, st.State)
			require.Len(t, t.rows("contact"), 2)
		}},
		{name: "metadata rows of tables", run: func(t *env) {
			t.damaged()
			_, err := t.mirror(nil).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"Contact"}})
			require.NoError(t, err)
			require.Equal(t, map[string]any{"PERSON": int64(900), "sale": int64(5)}, t.lsns())
			require.Len(t, t.rows("contact"), 2)
		}},
		{name: "drop data", run: func(t *env) {
			t.damaged()
			r, err := t.mirror(nil).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact", "sale"}, DropData: true})
			require.NoError(t, err)
			require.Equal(t, map[string]any{"PERSON": int64(900)}, t.lsns())
			require.NotContains(t, t.dump(), "contact")
			require.Contains(t, t.dump(), "person")
			require.Equal(t, []mirror.Action{mirror.ActionDeleteMetadata, mirror.ActionDrop}, r.Tables[0].Actions)
			require.Equal(t, []mirror.Action{mirror.ActionDeleteMetadata}, r.Tables[1].Actions)
		}},
		{name: "two metadata rows of one table", run: func(t *env) {
			t.load(t.store, contact(), metadata("contact", 1, "Contact", 2, "contact", 1))
			r, err := t.mirror(nil).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}})
			require.NoError(t, err)
			require.Len(t, r.Tables[0].Metadata, 3)
			require.Empty(t, t.lsns())
		}},
		{name: "refusals change nothing", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				for _, c := range []struct {
					name string
					opts *mirror.HardResetOptions
					want error
				}{
					{"no options", nil, mirror.ErrNotConfirmed},
					{"wrong customer", &mirror.HardResetOptions{Confirm: "Cust10196"}, mirror.ErrNotConfirmed},
					{"other case", &mirror.HardResetOptions{Confirm: "cust10195"}, mirror.ErrNotConfirmed},
					{"unknown table", &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact", "contakt"}, DropData: true}, store.ErrTableNotFound},
					{"empty list", &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{}}, mirror.ErrNoTables},
					{"data without a table", &mirror.HardResetOptions{Confirm: ContextID, DropData: true}, mirror.ErrNoTables},
				} {
					_, err := t.mirror(nil).HardReset(t.Context(), c.opts)
					require.ErrorIs(t, err, c.want, c.name)
				}
			})
		}},
		{name: "dry run", run: func(t *env) {
			t.damaged()
			t.unchanged(func() {
				r, err := t.mirror(nil).HardReset(t.Context(), &mirror.HardResetOptions{DryRun: true})
				require.NoError(t, err)
				require.True(t, r.DryRun)
				require.Len(t, r.Tables, 3)
			})
		}},
	}
}

// throughJSON returns the receipt as it comes back from a file.
func (t *env) throughJSON(r *mirror.Receipt) *mirror.Receipt {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back mirror.Receipt
	require.NoError(t, json.Unmarshal(data, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, string(data), string(again))
	return &back
}

func undoScenarios() []scenario {
	type operation = func(t *env, m *mirror.Mirror) (*mirror.Receipt, error)
	reset := func(t *env, m *mirror.Mirror) (*mirror.Receipt, error) {
		return m.ResetTables(t.Context(), []string{"contact", "person"}, nil)
	}
	truncate := func(t *env, m *mirror.Mirror) (*mirror.Receipt, error) {
		return m.ResetTables(t.Context(), []string{"contact", "person"}, &mirror.ResetOptions{Truncate: true})
	}
	dropMetadata := func(t *env, m *mirror.Mirror) (*mirror.Receipt, error) {
		return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
	}
	deleteRows := func(t *env, m *mirror.Mirror) (*mirror.Receipt, error) {
		return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}})
	}
	drop := func(t *env, m *mirror.Mirror) (*mirror.Receipt, error) {
		return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}, DropData: true})
	}
	var list []scenario
	for name, op := range map[string]operation{"reset": reset, "metadata table": dropMetadata, "metadata rows": deleteRows} {
		list = append(list, scenario{name: name, run: func(t *env) {
			t.damaged()
			before, def := t.dump(), t.table("Cust10195_mirroring")
			m := t.mirror(nil)
			r, err := op(t, m)
			require.NoError(t, err)
			require.NotEqual(t, before, t.dump())
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
			require.Equal(t, def, t.table("Cust10195_mirroring"))
		}})
	}
	for _, c := range []struct {
		name   string
		op     operation
		after  func(t *env, tx store.Tx) error
		reason string
	}{
		{"truncated", truncate, nil, `"contact", "person" each was truncated: its rows come back with the next cycle`},
		{"dropped", drop, nil, `"contact" was dropped`},
		{"LSN moved on", reset, func(t *env, tx store.Tx) error {
			_, err := tx.Set(t.Context(), t.table("Cust10195_mirroring"), []store.Cell{{Column: "tablename", Value: "contact"}}, []store.Cell{{Column: "LSN", Value: 950}})
			return err
		}, `"contact" has LSN 950 now`},
		{"metadata row changed", reset, func(t *env, tx store.Tx) error {
			_, err := tx.Set(t.Context(), t.table("Cust10195_mirroring"), []store.Cell{{Column: "tablename", Value: "contact"}}, []store.Cell{{Column: "schemahash", Value: []byte("new")}})
			return err
		}, `"contact" has another metadata row now`},
		{"rows wiped", reset, func(t *env, tx store.Tx) error {
			return tx.Truncate(t.Context(), t.table("person"))
		}, `"person" has 0 rows now and had 1`},
		{"columns changed", reset, func(t *env, tx store.Tx) error {
			def := t.table("person")
			if err := tx.Drop(t.Context(), def); err != nil {
				return err
			}
			def.Columns[1].Type = store.MustType("nvarchar(100)")
			return tx.Create(t.Context(), def)
		}, `"person" has other columns now`},
		{"table gone", reset, func(t *env, tx store.Tx) error {
			return tx.Drop(t.Context(), t.table("person"))
		}, `"person" no longer exists`},
		{"metadata table back", dropMetadata, func(t *env, tx store.Tx) error {
			md := metadata()
			return tx.Create(t.Context(), store.Table{Name: md.name, Columns: md.columns})
		}, `"Cust10195_mirroring" exists again`},
		{"metadata row back", deleteRows, func(t *env, tx store.Tx) error {
			return tx.Insert(t.Context(), t.table("Cust10195_mirroring"), []string{"tablename", "LSN"}, []store.Row{{"contact", 1}})
		}, `"contact" has a metadata row again`},
	} {
		list = append(list, scenario{name: "refused: " + c.name, run: func(t *env) {
			t.damaged()
			m := t.mirror(nil)
			r, err := c.op(t, m)
			require.NoError(t, err)
			if c.after != nil {
				require.NoError(t, t.store.Update(t.Context(), func(tx store.Tx) error { return c.after(t, tx) }))
			}
			t.unchanged(func() {
				err := m.Undo(t.Context(), r)
				require.ErrorIs(t, err, mirror.ErrCannotUndo)
				require.ErrorContains(t, err, c.reason)
			})
		}})
	}
	list = append(list, scenario{name: "invalid receipts", run: func(t *env) {
		t.damaged()
		m := t.mirror(nil)
		good, err := reset(t, m)
		require.NoError(t, err)
		t.unchanged(func() {
			require.ErrorIs(t, m.Undo(t.Context(), nil), mirror.ErrInvalidDocument)
			for name, edit := range map[string]func(*mirror.Receipt){
				"other customer":    func(r *mirror.Receipt) { r.ContextID = "Cust2" },
				"other version":     func(r *mirror.Receipt) { r.Version = 2 },
				"dry run":           func(r *mirror.Receipt) { r.DryRun = true },
				"unknown operation": func(r *mirror.Receipt) { r.Operation = "delete" },
				"unknown action":    func(r *mirror.Receipt) { r.Tables[0].Actions = []mirror.Action{"delete"} },
				"no metadata row":   func(r *mirror.Receipt) { r.Tables[0].Metadata = nil },
				"row of another":    func(r *mirror.Receipt) { r.Tables[0].Metadata = r.Tables[1].Metadata },
				"another LSN":       func(r *mirror.Receipt) { r.Tables[0].LSN = lsn(7) },
				"another metadata":  func(r *mirror.Receipt) { r.Metadata = &store.Table{Name: "contact"} },
			} {
				r := t.throughJSON(good)
				edit(r)
				require.ErrorIs(t, m.Undo(t.Context(), r), mirror.ErrInvalidDocument, name)
			}
		})
	}})
	return list
}
