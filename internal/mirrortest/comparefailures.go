package mirrortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// compareFailureScenarios are about comparisons that do not run to their end, and about how they tell.
func compareFailureScenarios() []scenario {
	return []scenario{
		{name: "a source that panics fails its table", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}), person())
			src := failing{Store: t.source(contact(store.Row{1, "a", nil}), person()), table: "contact", panics: true}
			r := t.compare(src, nil)
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictFailed, "person": mirror.VerdictIdentical}, verdicts(r))
			require.Equal(t, "source: panic: out of paper", r.Table("contact").Reason)
		}},
		{name: "one table's failure does not stop the others", run: func(t *env) {
			boom := errors.New("disk on fire")
			t.load(t.store, contact(store.Row{1, "a", nil}), person(store.Row{1, "A"}))
			src := failing{Store: t.source(contact(store.Row{1, "a", nil}), person(store.Row{1, "A"})), table: "contact", err: boom}
			r := t.compare(src, nil)
			require.Equal(t, map[string]mirror.Verdict{"contact": mirror.VerdictFailed, "person": mirror.VerdictIdentical}, verdicts(r))
			require.ErrorIs(t, r.Table("contact").Err, boom)
			require.Contains(t, r.Table("contact").Reason, "disk on fire")
			require.False(t, r.Identical())
			require.Empty(t, r.Stale())
		}},
		{name: "rows out of order", run: func(t *env) {
			rows := []store.Row{{1, "a", nil}, {2, "b", nil}, {3, "c", nil}}
			t.load(t.store, contact(rows...))
			src := failing{Store: t.source(contact(rows...)), table: "contact", reverse: true}
			tr := t.compare(src, nil).Table("contact")
			require.Equal(t, mirror.VerdictFailed, tr.Verdict)
			require.ErrorIs(t, tr.Err, store.ErrOrder)
		}},
		{name: "canceled midway", run: func(t *env) {
			var rows []store.Row
			for i := range 2000 {
				rows = append(rows, store.Row{i, "a", nil})
			}
			t.load(t.store, contact(rows...), person(store.Row{1, "A"}))
			src := t.source(contact(rows...), person(store.Row{1, "A"}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := t.mirror(&mirror.Options{Progress: func(p mirror.Progress) {
				if p.Rows > 0 {
					cancel()
				}
			}})
			r, err := m.Compare(ctx, src, &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}})
			require.Equal(t, context.Canceled, err)
			require.True(t, r.Incomplete)
			require.Equal(t, mirror.VerdictUnfinished, r.Table("contact").Verdict)
			require.Contains(t, r.String(), "Incomplete")
		}},
		{name: "canceled before", run: func(t *env) {
			t.load(t.store, contact())
			_, err := t.mirror(nil).Compare(canceled(t), t.source(contact()), nil)
			require.Equal(t, context.Canceled, err)
		}},
		{name: "progress", run: func(t *env) {
			t.load(t.store, contact(store.Row{1, "a", nil}), person())
			var last mirror.Progress
			m := t.mirror(&mirror.Options{Progress: func(p mirror.Progress) { last = p }})
			_, err := m.Compare(t.Context(), t.source(contact(store.Row{1, "a", nil}), person()), &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}})
			require.NoError(t, err)
			require.Equal(t, 2, last.TablesDone)
			require.Equal(t, 2, last.Tables)
		}},
		{name: "a report survives JSON", run: func(t *env) {
			mir := contact(store.Row{1, "a", day}, store.Row{2, "b", nil})
			mir.columns = []store.Column{mir.columns[0], col("name", "nvarchar(max)"), mir.columns[2]}
			t.load(t.store, mir, metadata("contact", 5))
			src := mir
			src.rows = []store.Row{{1, strings.Repeat("ø", 3000), nil}}
			r := t.compare(t.source(src), nil)
			var b bytes.Buffer
			require.NoError(t, r.WriteJSON(&b))
			var back mirror.Report
			require.NoError(t, json.Unmarshal(b.Bytes(), &back))
			require.Equal(t, r.Stale(), back.Stale())
			require.Equal(t, 6000, back.Tables[0].Samples[0].Columns[0].Source.Size)
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.JSONEq(t, b.String(), string(again))
		}},
	}
}

// failing is a source whose rows of one table cannot be read, or come in the
// wrong order.
type failing struct {
	store.Store
	table   string
	err     error
	reverse bool
	panics  bool
}

func (f failing) Identity(ctx context.Context) (store.Identity, error) {
	return identityOf(ctx, f.Store)
}

func (f failing) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	rows := f.Store.Rows(ctx, q)
	if q.Table.Name != f.table {
		return rows
	}
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range rows {
			if f.panics {
				panic("out of paper")
			}
			if f.reverse {
				slices.Reverse(batch)
			}
			if !yield(batch, err) {
				return
			}
		}
		if f.err != nil {
			yield(nil, f.err)
		}
	}
}
