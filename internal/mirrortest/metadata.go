package mirrortest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
)

// spelled fills the store with four tables whose metadata rows are spelled in
// other ways, and returns a source that has another row of each.
func (t *env) spelled() store.Store {
	t.Helper()
	row := func(name string, n int) table {
		return table{name: name, columns: []store.Column{notNull("id", "int"), col("v", "int")}, key: []string{"id"}, rows: []store.Row{{1, n}}}
	}
	t.load(t.store, row("contact", 1), row("person", 1), row("sale", 1), row("odd.na]me", 1),
		metadata("crm7.contact", 10, "[dbo].[Person] ", 11, `  "SALE"`, 12, "x..[odd.na]]me]", 13, "crm7.project", 14))
	return t.source(row("contact", 2), row("person", 2), row("sale", 2), row("odd.na]me", 2), row("project", 2))
}

func metadataScenarios() []scenario {
	spellings := map[string]string{"contact": "crm7.contact", "person": "[dbo].[Person] ", "sale": `  "SALE"`, "odd.na]me": "x..[odd.na]]me]", "project": "crm7.project"}
	list := []scenario{
		{name: "names with a schema, in brackets, in quotes", run: func(t *env) {
			source := t.spelled()
			m := t.mirror(nil)
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, []mirror.TableStatus{
				{Table: "contact", State: mirror.TableSynced, Rows: 1, LSN: lsn(10)},
				{Table: "odd.na]me", State: mirror.TableSynced, Rows: 1, LSN: lsn(13)},
				{Table: "person", State: mirror.TableSynced, Rows: 1, LSN: lsn(11)},
				{Table: "project", State: mirror.TableAbsent, LSN: lsn(14)},
				{Table: "sale", State: mirror.TableSynced, Rows: 1, LSN: lsn(12)},
			}, st.Tables)

			report, err := m.Compare(t.Context(), source, nil)
			require.NoError(t, err)
			for _, tr := range report.Tables {
				require.True(t, tr.HasMetadata, tr.Table)
				require.Equal(t, 1, tr.MetadataRows, tr.Table)
				require.Empty(t, tr.MetadataDoubt, tr.Table)
				require.NotNil(t, tr.LSN, tr.Table)
			}
			plan := report.Plan()
			require.Len(t, plan.Tables, 5)
			before := t.dump()
			for name, spelling := range spellings {
				want := map[string]any{}
				for n, s := range spellings {
					want[s] = map[string]any{"contact": int64(10), "person": int64(11), "sale": int64(12), "odd.na]me": int64(13), "project": int64(14)}[n]
				}
				want[spelling] = int64(-1)
				for _, given := range []string{name, spelling} {
					r, err := m.ResetTables(t.Context(), []string{given}, nil)
					require.NoError(t, err, given)
					require.Equal(t, want, t.lsns(), given)
					require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)), given)
					require.Equal(t, before, t.dump(), given)
				}
				r, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{name}})
				require.NoError(t, err)
				require.NotContains(t, t.lsns(), spelling)
				require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
				require.ElementsMatch(t, before["Cust10195_mirroring"], t.rows("Cust10195_mirroring"))
			}
			r, err := m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true})
			require.NoError(t, err)
			require.Len(t, r.Tables, 5)
			for s, n := range t.lsns() {
				require.EqualValues(t, -1, n, s)
			}
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
		}},
		{name: "the whole mirror, with names in other spellings", run: func(t *env) {
			t.spelled()
			m, before := t.mirror(nil), t.dump()
			r, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID})
			require.NoError(t, err)
			var names []string
			for _, rt := range r.Tables {
				names = append(names, rt.Table)
			}
			require.ElementsMatch(t, []string{"contact", "person", "sale", "odd.na]me", "project"}, names)
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
		}},
		{name: "a name that is bytes", run: func(t *env) {
			md := metadata()
			md.columns[0] = notNull("tablename", "varbinary(128)")
			md.rows = []store.Row{{[]byte("contact"), 10, nil}, {[]byte("d\x00b\x00o\x00.\x00p\x00e\x00r\x00s\x00o\x00n\x00"), 11, nil}}
			t.load(t.store, contact(), person(), md)
			m := t.mirror(nil)
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, []mirror.TableStatus{
				{Table: "contact", State: mirror.TableSynced, LSN: lsn(10)},
				{Table: "person", State: mirror.TableSynced, LSN: lsn(11)},
			}, st.Tables)
			before := t.rows("Cust10195_mirroring")
			r, err := m.ResetTables(t.Context(), []string{"contact", "person"}, nil)
			require.NoError(t, err)
			for _, row := range t.rows("Cust10195_mirroring") {
				require.EqualValues(t, -1, row[1])
			}
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.rows("Cust10195_mirroring"))
		}},
		{name: "a name that is bytes and no text", run: func(t *env) {
			md := metadata()
			md.columns[0] = notNull("tablename", "varbinary(128)")
			md.rows = []store.Row{{[]byte("contact"), 10, nil}, {[]byte{1, 0xff}, 11, nil}}
			t.load(t.store, contact(), person(), md)
			t.refusedFor("person", "0x01FF", map[string]string{"0x01FF": "whose name is no text"})
			_, err := t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err, "it has a row of its own")
		}},
	}
	for _, c := range []struct {
		name  string
		lsns  []any
		rows  string            // as the refusal names them
		state map[string]string // the reasons of other entries in Status
	}{
		{"two rows of one table in two spellings", []any{"contact", 10, "crm7.contact", 11}, `"crm7.contact"`,
			map[string]string{"crm7.contact": "may mean contact"}},
		{"two rows of one table with two schemas", []any{"crm7.contact", 10, "[other].contact", 11}, `"crm7.contact", "[other].contact"`,
			map[string]string{"crm7.contact": "may mean contact", "[other].contact": "may mean contact"}},
		{"a name with a bracket too few", []any{"[crm7.contact", 10, "person", 5}, `"[crm7.contact"`, map[string]string{"[crm7.contact": ""}},
		{"a name with a character that is not seen", []any{"contact\u200b", 10}, `"contact�"`, map[string]string{"contact\u200b": ""}},
		{"a name of five parts", []any{"a.b.c.d.contact", 10}, `"a.b.c.d.contact"`, map[string]string{"a.b.c.d.contact": ""}},
	} {
		list = append(list, scenario{name: c.name, run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "A", day}), person(), metadata(c.lsns...))
			t.refusedFor("contact", c.rows, c.state)
		}})
	}
	return append(list,
		scenario{name: "several rows of one spelling with a schema", run: func(t *env) {
			t.load(t.store, contact(), metadata("crm7.contact", 1, "CRM7.Contact", 2))
			m := t.mirror(nil)
			_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
			require.ErrorIs(t, err, mirror.ErrMetadata)
			require.ErrorContains(t, err, "has 2 rows in the metadata table")
			_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: []string{"contact"}})
			require.NoError(t, err)
			require.Empty(t, t.lsns())
		}},
		scenario{name: "a metadata table that cannot be read", run: func(t *env) {
			md := metadata()
			md.columns[1].Type = store.MustType("nvarchar(20)")
			t.load(t.store, contact(store.Row{1, "A", nil}), md)
			report, err := t.mirror(nil).Compare(t.Context(), t.source(contact(store.Row{1, "B", nil})), nil)
			require.NoError(t, err)
			plan := report.Plan()
			require.Len(t, plan.Tables, 1)
			require.Equal(t, mirror.StepUnknown, plan.Tables[0].Step)
			require.Contains(t, plan.Tables[0].Reason, `its metadata row cannot be read: unexpected metadata table "Cust10195_mirroring": column "LSN" is nvarchar(20)`)
			require.NotContains(t, plan.String(), "no metadata row")
			_, err = t.mirror(nil).ResetTables(t.Context(), []string{"contact"}, nil)
			require.ErrorIs(t, err, mirror.ErrMetadata)
		}},
		scenario{name: "an LSN of numeric(18,0)", run: func(t *env) {
			md := metadata("contact", "812", "person", nil, "sale", "-1")
			md.columns[1].Type = store.MustType("numeric(18,0)")
			t.load(t.store, contact(store.Row{1, "A", nil}), person(), md)
			m := t.mirror(nil)
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, []mirror.TableStatus{
				{Table: "contact", State: mirror.TableSynced, Rows: 1, LSN: lsn(812)},
				{Table: "person", State: mirror.TableInvalid, Reason: "its LSN is NULL: reset it"},
				{Table: "sale", State: mirror.TableAbsent, LSN: lsn(-1)},
			}, st.Tables)
			report, err := m.Compare(t.Context(), t.source(contact(store.Row{1, "B", nil}), person()), nil)
			require.NoError(t, err)
			require.Equal(t, lsn(812), report.Table("contact").LSN)
			before := t.dump()
			r, err := m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true})
			require.NoError(t, err)
			require.Equal(t, lsn(812), r.Tables[0].LSN)
			require.Equal(t, map[string]any{"contact": []byte("-1"), "person": []byte("-1"), "sale": []byte("-1")}, t.lsns())
			entry := func(undo bool) []mirror.JournalEntry {
				return []mirror.JournalEntry{{Version: 1, ContextID: ContextID, Event: mirror.JournalIntent, ID: "x", Receipt: t.throughJSON(r), Undo: undo}}
			}
			found, err := m.Reconcile(t.Context(), entry(false))
			require.NoError(t, err)
			require.Equal(t, mirror.OutcomeDone, found[0].Outcome)
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
			found, err = m.Reconcile(t.Context(), entry(true))
			require.NoError(t, err)
			require.Equal(t, mirror.OutcomeDone, found[0].Outcome)
		}},
		scenario{name: "an LSN that 64 bits cannot hold", run: func(t *env) {
			md := metadata("contact", "99999999999999999999")
			md.columns[1].Type = store.MustType("decimal(20,0)")
			t.load(t.store, contact(), md)
			m, before := t.mirror(nil), t.dump()
			const problem = "its LSN is 99999999999999999999, which 64 bits cannot hold"
			st, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, []mirror.TableStatus{{Table: "contact", State: mirror.TableInvalid, Reason: problem + ": reset it"}}, st.Tables)
			r, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err)
			require.Contains(t, r.String(), problem)
			require.Equal(t, map[string]any{"contact": []byte("-1")}, t.lsns())
			require.NoError(t, m.Undo(t.Context(), t.throughJSON(r)))
			require.Equal(t, before, t.dump())
		}},
		scenario{name: "an LSN of a type with a fraction", run: func(t *env) {
			for _, typ := range []string{"decimal(18,2)", "money", "float"} {
				md := metadata()
				md.name = "Cust10195_mirroring"
				md.columns[1].Type = store.MustType(typ)
				fill(t.T, t.store, []table{contact(), md})
				_, err := t.mirror(nil).Status(t.Context())
				require.ErrorIs(t, err, mirror.ErrMetadata)
				require.ErrorContains(t, err, `column "LSN" is `+typ+", not an integer")
			}
		}},
	)
}

// refusedFor demands that a table which a metadata row may mean is not reset, and
// never said to have no row.
func (t *env) refusedFor(table, rows string, others map[string]string) {
	t.Helper()
	m := t.mirror(nil)
	t.unchanged(func() {
		for _, names := range [][]string{{table}, {strings.ToUpper(table)}} {
			for _, opts := range []mirror.ResetOptions{{}, {DryRun: true}, {Truncate: true}} {
				_, err := m.ResetTables(t.Context(), names, &opts)
				require.ErrorIs(t, err, mirror.ErrMetadata)
				require.ErrorContains(t, err, "may be what the metadata row named "+rows+" means")
			}
			_, err := m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: ContextID, Tables: names, DropData: true})
			require.ErrorIs(t, err, mirror.ErrMetadata)
		}
	})
	st, err := m.Status(t.Context())
	require.NoError(t, err)
	at := slices.IndexFunc(st.Tables, func(ts mirror.TableStatus) bool { return ts.Table == table })
	require.Equal(t, mirror.TableInvalid, st.Tables[at].State)
	require.Contains(t, st.Tables[at].Reason, rows)
	for name, reason := range others {
		at := slices.IndexFunc(st.Tables, func(ts mirror.TableStatus) bool { return ts.Table == name })
		require.GreaterOrEqual(t, at, 0, "no entry for %q", name)
		require.Contains(t, st.Tables[at].Reason, reason)
	}
	source := t.source(contact(store.Row{7, "Z", day}), person(store.Row{7, "Z"}))
	report, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	plan := report.Plan()
	at = slices.IndexFunc(plan.Tables, func(pt mirror.PlanTable) bool { return pt.Table == table })
	require.Equal(t, mirror.StepUnknown, plan.Tables[at].Step)
	require.Contains(t, plan.Tables[at].Reason, rows)
	require.NotContains(t, plan.Tables[at].Reason, "no metadata row")
	require.Contains(t, plan.String(), "Nothing to do yet.")
	t.unchanged(func() {
		_, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Unknown: true, Tables: []string{table}})
		require.ErrorIs(t, err, mirror.ErrNotPlanned)
		require.ErrorContains(t, err, "cannot be reset by a plan: it may be what the metadata row named ")
		_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Force: true, Tables: []string{table}, MaxRowShare: 1, MaxTableShare: 1})
		require.ErrorIs(t, err, mirror.ErrMetadata)
	})
	rushed := t.mirror(&mirror.Options{Clock: Clock{Wait: func(context.Context, time.Duration) error { return nil }}})
	healed, err := heal.Run(t.Context(), rushed, source, &heal.Options{Rechecks: 1, MaxRowShare: 1, MaxTableShare: 1})
	require.False(t, healed.Healed, "%v", err)
}
