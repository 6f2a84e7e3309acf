package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// planned is a report whose tables need every kind of step.
func planned(t *testing.T) (*memory.Store, *mirror.Mirror, *mirror.Report) {
	t.Helper()
	table := func(name string, rows ...store.Row) memory.Table {
		return memory.Table{Name: name, Columns: []string{"id int", "name nvarchar(20)"}, Key: []string{"id"}, Rows: rows}
	}
	wider := table("wider", store.Row{1, "a"})
	wider.Columns[1] = "name nvarchar(30)"
	source := memory.New(table("different", store.Row{1, "a"}, store.Row{2, "b"}), table("requested", store.Row{1, "a"}),
		table("same", store.Row{1, "a"}), table("untracked", store.Row{1, "a"}), table("missing", store.Row{1, "a"}), wider, table("twice", store.Row{1, "a"}))
	st := memory.New(table("different", store.Row{1, "x"}), table("requested"), table("same", store.Row{1, "a"}),
		table("untracked"), table("extra", store.Row{1, "a"}), table("wider", store.Row{1, "a"}), table("twice", store.Row{1, "b"}))
	md := memory.Metadata(customer, map[string]store.LSN{
		"different": 812, "requested": -1, "same": 813, "missing": 5, "wider": 6, "twice": 7,
	})
	md.Key = nil
	md.Rows = append(md.Rows, store.Row{"TWICE", 8, nil})
	require.NoError(t, st.Seed(md))
	m := newMirror(t, st, nil)
	report, err := m.Compare(t.Context(), still{source}, nil)
	require.NoError(t, err)
	return st, m, report
}

func TestPlan(t *testing.T) {
	_, _, report := planned(t)
	var got []string
	for _, pt := range report.Plan().Tables {
		got = append(got, fmt.Sprintf("%s: %s, drop %t, %d rows, %d bytes, %d batches, %d cycles", pt.Table, pt.Step, pt.Drop, pt.Rows, pt.Bytes, pt.Batches, pt.Cycles))
		require.NotEmpty(t, pt.Reason)
		require.Equal(t, pt.Step != mirror.StepNone, pt.Meanwhile != "")
		require.Equal(t, pt.Table == "wider", pt.Schema)
	}
	require.Equal(t, []string{
		"different: reset, drop false, 2 rows, 34 bytes, 1 batches, 1 cycles",
		"extra: none, drop false, 0 rows, 0 bytes, 0 batches, 0 cycles",
		"missing: reset, drop false, 1 rows, 0 bytes, 1 batches, 1 cycles",
		"twice: hard-reset, drop false, 1 rows, 17 bytes, 1 batches, 1 cycles",
		"untracked: none, drop false, 0 rows, 0 bytes, 0 batches, 0 cycles",
		"wider: not-known-yet, drop false, 1 rows, 17 bytes, 1 batches, 1 cycles",
	}, got)
}

// The table is large enough for a truncation, or just not.
func TestPlanTruncates(t *testing.T) {
	for rows, want := range map[int64]mirror.Step{999_999: mirror.StepReset, 1_000_000: mirror.StepTruncate} {
		lsn := store.LSN(1)
		r := &mirror.Report{Tables: []mirror.TableReport{{Table: "t", Verdict: mirror.VerdictDifferent, HasMetadata: true, LSN: &lsn, MirrorRows: rows, Changed: 1, Diverged: 1}}}
		require.Equal(t, want, r.Plan().Tables[0].Step)
	}
}

func TestPlanOfStates(t *testing.T) {
	lsn := store.LSN(1)
	for name, c := range map[string]struct {
		report mirror.Report
		table  mirror.TableReport
		want   mirror.Step // "" for none at all
	}{
		"pending":              {table: mirror.TableReport{Verdict: mirror.VerdictPending}},
		"identical":            {table: mirror.TableReport{Verdict: mirror.VerdictIdentical}},
		"ahead":                {table: mirror.TableReport{Verdict: mirror.VerdictIdentical, LSNState: mirror.LSNAhead}, want: mirror.StepReset},
		"expired, and columns": {table: mirror.TableReport{Verdict: mirror.VerdictSchemaDiffers, LSNState: mirror.LSNExpired}, want: mirror.StepUnknown},
		"expired":              {table: mirror.TableReport{Verdict: mirror.VerdictDifferent, LSNState: mirror.LSNExpired, Changed: 1}, want: mirror.StepReset},
		"expired, and equal":   {table: mirror.TableReport{Verdict: mirror.VerdictIdentical, LSNState: mirror.LSNExpired}},
		"diverged":             {table: mirror.TableReport{Verdict: mirror.VerdictDifferent, Changed: 3, Diverged: 1}, want: mirror.StepReset},
		"unknown":              {table: mirror.TableReport{Verdict: mirror.VerdictDifferent, Changed: 3, Pending: 1}, want: mirror.StepUnknown},
		"missing":              {table: mirror.TableReport{Verdict: mirror.VerdictMissing}, want: mirror.StepReset},
		"columns":              {table: mirror.TableReport{Verdict: mirror.VerdictSchemaDiffers, Diverged: 1, Changed: 1}, want: mirror.StepUnknown},
		"columns, a cycle on":  {table: mirror.TableReport{Verdict: mirror.VerdictSchemaDiffers, Stayed: true}, want: mirror.StepReset},
		"columns, after reset": {table: mirror.TableReport{Verdict: mirror.VerdictSchemaDiffers, Stayed: true, Populated: 1}, want: mirror.StepHardReset},
		"two metadata rows":    {table: mirror.TableReport{Verdict: mirror.VerdictDifferent, MetadataRows: 2, Changed: 1}, want: mirror.StepHardReset},
		"failed":               {table: mirror.TableReport{Verdict: mirror.VerdictFailed, Reason: "boom"}, want: mirror.StepNone},
		"replica":              {report: mirror.Report{State: mirror.MirrorReplica}, table: mirror.TableReport{Verdict: mirror.VerdictDifferent}, want: mirror.StepNone},
		"first cycle":          {report: mirror.Report{State: mirror.MirrorAwaitingFirstCycle}, table: mirror.TableReport{Verdict: mirror.VerdictDifferent}, want: mirror.StepNone},
	} {
		t.Run(name, func(t *testing.T) {
			c.table.Table, c.table.HasMetadata, c.table.LSN = "t", true, &lsn
			c.report.Tables = []mirror.TableReport{c.table}
			plan := c.report.Plan()
			if c.want == "" {
				require.Empty(t, plan.Tables)
				return
			}
			require.Equal(t, c.want, plan.Tables[0].Step)
			require.Equal(t, c.want == mirror.StepNone || c.want == mirror.StepUnknown, plan.Empty())
			stale := c.want == mirror.StepReset || c.want == mirror.StepTruncate
			require.Equal(t, stale, len(c.report.Stale()) == 1, "Stale is what the plan resets")
		})
	}
}

func TestApply(t *testing.T) {
	st, m, report := planned(t)
	var plan *mirror.Plan
	data, err := json.Marshal(report.Plan())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &plan))
	require.Equal(t, report.Plan().String(), plan.String())

	before := mirrortest.Dump(t, st)
	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Confirm: "Cust2"})
	require.ErrorIs(t, err, mirror.ErrNotConfirmed, "it has hard resets")
	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{"twice"}})
	require.ErrorIs(t, err, mirror.ErrNotConfirmed, "it is all that was asked for")
	dry, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{DryRun: true})
	require.NoError(t, err)
	require.True(t, dry.DryRun)
	require.Equal(t, before, mirrortest.Dump(t, st))

	// The hard reset that nobody confirmed does not stop the rest.
	partly, err := m.Apply(t.Context(), plan, nil)
	require.NoError(t, err)
	require.Equal(t, "twice", partly.Tables[2].Table)
	require.Empty(t, partly.Tables[2].Actions)
	require.Equal(t, `left alone: a hard reset needs ApplyOptions.Confirm "Cust10195"`, partly.Tables[2].Note)
	require.Len(t, partly.Tables, 3)
	require.Equal(t, []mirror.Action{mirror.ActionResetLSN}, partly.Tables[0].Actions)
	require.NoError(t, m.Undo(t.Context(), partly))
	require.Equal(t, before, mirrortest.Dump(t, st))

	receipt, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Confirm: customer, HardReset: true, MaxTableShare: 1})
	require.NoError(t, err)
	var got []string
	for _, rt := range receipt.Tables {
		got = append(got, fmt.Sprint(rt.Table, rt.Actions))
	}
	require.Equal(t, []string{"different[reset-lsn]", "missing[reset-lsn]", "twice[delete-metadata]", "wider[delete-metadata drop]"}, got)
	lsn, _ := st.LSN(customer, "different")
	require.Equal(t, store.ResendAll, lsn)
	lsn, _ = st.LSN(customer, "same")
	require.EqualValues(t, 813, lsn)
	_, _, ok := st.Table("wider")
	require.False(t, ok)
	_, rows, _ := st.Table("twice")
	require.Len(t, rows, 1, "its data stays")

	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Confirm: customer})
	require.ErrorIs(t, err, mirror.ErrMoved, "it was applied already")
}

func TestApplyOnlyWhatThePlanSaw(t *testing.T) {
	for name, move := range map[string]store.Row{
		"the LSN moved":        {"different", 900},
		"it was reset already": {"different", -1},
	} {
		t.Run(name, func(t *testing.T) {
			st, m, report := planned(t)
			plan := report.Plan()
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Set(t.Context(), mirrortest.Definition(t, tx, mirror.MetadataTableName(customer)),
					[]store.Cell{{Column: "tablename", Value: move[0]}}, []store.Cell{{Column: "LSN", Value: move[1]}})
				return err
			}))
			before := mirrortest.Dump(t, st)
			tables := []string{"different", "missing"}
			_, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: tables})
			require.ErrorIs(t, err, mirror.ErrMoved)
			require.ErrorContains(t, err, `"different"`)
			require.NotContains(t, err.Error(), `"missing"`)
			require.Equal(t, before, mirrortest.Dump(t, st), "nothing else is changed either")

			receipt, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: tables, SkipMoved: true})
			require.NoError(t, err)
			require.Empty(t, receipt.Tables[0].Actions)
			require.Contains(t, receipt.Tables[0].Note, "left alone")
			require.Equal(t, []mirror.Action{mirror.ActionResetLSN}, receipt.Tables[1].Actions)
			require.NoError(t, m.Undo(t.Context(), receipt))
			require.Equal(t, before, mirrortest.Dump(t, st))

			_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: tables[:1], SkipMoved: true})
			require.ErrorIs(t, err, mirror.ErrMoved, "nothing is left to do")
		})
	}
}

func TestApplyForce(t *testing.T) {
	st, m, report := planned(t)
	plan := report.Plan()
	before := mirrortest.Dump(t, st)
	_, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{"same", "untracked"}})
	require.ErrorIs(t, err, mirror.ErrNotPlanned)
	require.ErrorContains(t, err, "Force")
	require.Equal(t, before, mirrortest.Dump(t, st))

	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{"SAME"}, Force: true})
	require.NoError(t, err)
	lsn, _ := st.LSN(customer, "same")
	require.Equal(t, store.ResendAll, lsn)

	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{"no such table"}, Force: true})
	require.ErrorIs(t, err, store.ErrTableNotFound)
	_, err = m.Apply(t.Context(), plan, &mirror.ApplyOptions{Tables: []string{}})
	require.ErrorIs(t, err, mirror.ErrNothingToDo)
}

func TestApplyRefusesPlans(t *testing.T) {
	store, m, report := planned(t)
	for name, c := range map[string]struct {
		alter func(p *mirror.Plan)
		want  string
	}{
		"another customer":     {func(p *mirror.Plan) { p.ContextID = "Cust2" }, `"Cust2"`},
		"another version":      {func(p *mirror.Plan) { p.Version = 2 }, "version is 2"},
		"an unknown step":      {func(p *mirror.Plan) { p.Tables[0].Step = "explode" }, `"explode"`},
		"a table twice":        {func(p *mirror.Plan) { p.Tables[1].Table = "DIFFERENT" }, "twice"},
		"no fingerprint":       {func(p *mirror.Plan) { p.Tables[0].Metadata = "" }, "fingerprint"},
		"a drop with a reset":  {func(p *mirror.Plan) { p.Tables[0].Drop = true }, "only a hard reset"},
		"a table without name": {func(p *mirror.Plan) { p.Tables[0].Table = "" }, "no name"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := report.Plan()
			c.alter(plan)
			before := mirrortest.Dump(t, store)
			_, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{Confirm: customer})
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, mirrortest.Dump(t, store))
		})
	}
	_, err := m.Apply(t.Context(), nil, nil)
	require.ErrorIs(t, err, mirror.ErrInvalidDocument)

	data, err := json.Marshal(report.Plan())
	require.NoError(t, err)
	var plan mirror.Plan
	err = json.Unmarshal([]byte(strings.Replace(string(data), `"step"`, `"stepp"`, 1)), &plan)
	require.ErrorIs(t, err, mirror.ErrInvalidDocument)
	require.ErrorContains(t, err, `"stepp"`)
}

func TestPlanPrints(t *testing.T) {
	_, _, report := planned(t)
	text := report.Plan().String()
	for _, want := range []string{"different  reset", "wider      not-known-yet", "Recheck after the next cycle", "left alone unless ApplyOptions.Unknown", "neither the source nor the metadata table has it", "need ApplyOptions.Confirm"} {
		require.Contains(t, text, want)
	}
	require.Contains(t, (&mirror.Report{ContextID: customer}).Plan().String(), "Nothing to do")
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte(`{"version":1,"contextId":"Cust10195","tables":[{"table":"contact","step":"reset","metadata":"x","lsn":null}]}`))
	f.Add([]byte(`{"version":1,"contextId":"Cust10195","tables":[{"table":"contact","step":"hard-reset","drop":true,"metadata":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var plan mirror.Plan
		if err := json.Unmarshal(data, &plan); err != nil {
			return
		}
		store := world()
		before := mirrortest.Dump(t, store)
		if _, err := newMirror(t, store, nil).Apply(t.Context(), &plan, &mirror.ApplyOptions{Confirm: customer}); err != nil {
			require.Equal(t, before, mirrortest.Dump(t, store))
		}
		_ = plan.String()
	})
}
