package mirror_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// change inserts, updates and deletes rows of contact, the same in all stores.
func change(t *testing.T, r *rand.Rand, n int, stores ...*memory.Store) {
	t.Helper()
	for range n {
		id, name, remove := r.IntN(120), fmt.Sprint("Name ", r.IntN(1000)), r.IntN(4) == 0
		for _, st := range stores {
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				where := []store.Cell{{Column: "contact_id", Value: id}}
				found, err := tx.Delete(t.Context(), contactOf(t, st), where)
				if err != nil || remove && found > 0 {
					return err
				}
				return tx.Insert(t.Context(), contactOf(t, st), []string{"contact_id", "name"}, []store.Row{{id, name}})
			}))
		}
	}
}

func contactOf(t *testing.T, st *memory.Store) store.Table {
	t.Helper()
	def, _, ok := st.Table("contact")
	require.True(t, ok)
	return def
}

// stored is the report as a file gives it back.
func stored(t *testing.T, r *mirror.Report) *mirror.Report {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back mirror.Report
	require.NoError(t, json.Unmarshal(data, &back))
	return &back
}

// found is what both ways of comparing must agree on.
func found(t *testing.T, r *mirror.Report) string {
	t.Helper()
	tr := mirrortest.WithoutRange(*r.Table("contact"))
	tr.Basis, tr.Strategy, tr.StrategyReason, tr.RowBytes = nil, "", "", 0
	if tr.Missing+tr.Extra+tr.Changed+tr.Duplicate == 0 {
		tr.SourceRows, tr.MirrorRows = 0, tr.MirrorRows-tr.SourceRows // nobody counts them
	}
	data, err := json.Marshal(tr)
	require.NoError(t, err)
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &fields))
	delete(fields, "elapsed")
	delete(fields, "standing")
	data, err = json.Marshal(fields)
	require.NoError(t, err)
	return string(bytes.TrimSpace(data))
}

// A chain of comparisons, each since the one before it, finds what a comparison of
// all rows finds: whatever changes at the source, or in a mirror that is tracked.
func TestSinceProperty(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 20
	}
	used := 0
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			source, st := twins(100, every(2+r.IntN(30)))
			source.TrackChanges(812, 800)
			tracked := r.IntN(2) == 0
			if tracked {
				st.TrackChanges(5, 0)
			}
			m := newMirror(t, st, nil)
			if r.IntN(2) == 0 {
				m.SmallSteps(1 + r.IntN(10))
			}
			before, err := m.Compare(t.Context(), source, nil)
			require.NoError(t, err)
			first := before.Started
			for range 1 + r.IntN(4) {
				change(t, r, r.IntN(10), source)     // on its way
				change(t, r, r.IntN(10), source, st) // arrived
				if tracked {
					change(t, r, r.IntN(5), st)
				}
				opts := &mirror.CompareOptions{Since: stored(t, before), SinceRows: int64(max(0, r.IntN(60)-20)), MaxSamples: 1000}
				got, err := m.Compare(t.Context(), source, opts)
				require.NoError(t, err)
				want, err := m.Compare(t.Context(), source, &mirror.CompareOptions{MaxSamples: 1000})
				require.NoError(t, err)
				require.Equal(t, found(t, want), found(t, got), "%s", got)
				basis := got.Table("contact").Basis
				require.Empty(t, basis.Reason)
				require.Equal(t, tracked, basis.MirrorTracked)
				require.Equal(t, first, basis.AllRows)
				used++
				before = got
			}
		})
	}
	require.Greater(t, used, seeds)
}

// Where it is not certain what changed, all rows are compared, and the report says
// why.
func TestSinceAllRows(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, source, st *memory.Store, r *mirror.Report, o *mirror.CompareOptions) (*memory.Store, *memory.Store)
		want string
	}{
		{"nothing happens", nil, ""},
		{"the changes are forgotten", func(_ *testing.T, source, st *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			change(t, rand.New(rand.NewPCG(1, 1)), 20, source)
			source.ForgetChanges(815)
			return source, st
		}, "the changes since the earlier report are no longer known"},
		{"the source was restored", func(_ *testing.T, source, st *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			source.TrackChanges(811, 800)
			return source, st
		}, "the source was restored"},
		{"tracking is off by now", func(t *testing.T, source, st *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			again, _ := twins(100, every(50))
			return again, st
		}, "the earlier report is about another source"},
		{"another mirror", func(t *testing.T, source, _ *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			_, other := twins(100, every(50))
			return source, other
		}, "the earlier report is about another mirror"},
		{"a side that cannot tell which it is", func(_ *testing.T, source, st *memory.Store, r *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			r.Source.ID = ""
			return source, st
		}, "it cannot be told whether the source is the database of the earlier report"},
		{"other columns", func(_ *testing.T, source, st *memory.Store, _ *mirror.Report, o *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			o.IgnoreColumns = []string{"name"}
			return source, st
		}, "its columns, its key or the options changed"},
		{"keys that were not kept", func(_ *testing.T, source, st *memory.Store, r *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			r.Table("contact").Differences = r.Table("contact").Differences[:1]
			return source, st
		}, "the earlier report does not have all keys that differ"},
		{"the table is sent anew", func(t *testing.T, source, st *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			setLSN(t, st, store.ResendAll)
			return source, st
		}, "the table is or was sent anew"},
		{"the table was sent anew", func(t *testing.T, source, st *memory.Store, r *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			lsn := store.ResendAll
			r.Table("contact").LSN = &lsn
			return source, st
		}, "the table is or was sent anew"},
		{"the LSN fell", func(t *testing.T, source, st *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			setLSN(t, st, 811)
			return source, st
		}, "the table is or was sent anew"},
		{"it ended early", func(_ *testing.T, source, st *memory.Store, r *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			r.Table("contact").Truncated = true
			return source, st
		}, "the earlier report is not of all rows"},
		{"the mirror's changes are forgotten", func(_ *testing.T, source, st *memory.Store, _ *mirror.Report, _ *mirror.CompareOptions) (*memory.Store, *memory.Store) {
			change(t, rand.New(rand.NewPCG(1, 1)), 20, st)
			st.ForgetChanges(15)
			return source, st
		}, "the changes in the mirror since the earlier report are no longer known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, st := twins(100, every(50))
			source.TrackChanges(812, 800)
			st.TrackChanges(5, 0)
			before, err := newMirror(t, st, nil).Compare(t.Context(), source, nil)
			require.NoError(t, err)
			o := &mirror.CompareOptions{Since: stored(t, before)}
			if c.do != nil {
				source, st = c.do(t, source, st, o.Since, o)
			}
			m := newMirror(t, st, nil)
			got, err := m.Compare(t.Context(), source, o)
			require.NoError(t, err)
			all := *o
			all.Since = nil
			want, err := m.Compare(t.Context(), source, &all)
			require.NoError(t, err)
			require.Equal(t, found(t, want), found(t, got))
			require.Contains(t, got.Table("contact").Basis.Reason, c.want)
			if c.want != "" {
				require.Equal(t, want.Table("contact").SourceRows, got.Table("contact").SourceRows)
				require.Equal(t, got.Started, got.Table("contact").Basis.AllRows)
			}
		})
	}
}

func setLSN(t *testing.T, st *memory.Store, lsn store.LSN) {
	t.Helper()
	require.NoError(t, st.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": lsn})))
}

// What it reads depends on what changed, and not on how many rows there are; and the
// samples come round.
func TestSinceReadsLittle(t *testing.T) {
	source, st := twins(3000, every(1000))
	source.TrackChanges(812, 800)
	m := newMirror(t, st, nil)
	report, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	change(t, rand.New(rand.NewPCG(1, 1)), 10, source)

	// Somebody writes to the mirror, which does not track that.
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), contactOf(t, st), []store.Cell{{Column: "contact_id", Value: 2500}}, []store.Cell{{Column: "name", Value: "oops"}})
		return err
	}))
	seen := 0
	for round := range 6 {
		reads := len(source.Calls())
		report, err = m.Compare(t.Context(), source, &mirror.CompareOptions{Since: stored(t, report), SinceRows: 1000})
		require.NoError(t, err)
		basis := report.Table("contact").Basis
		require.Empty(t, basis.Reason)
		require.InDelta(t, 1000, basis.Sampled, 10, "rows were deleted")
		require.LessOrEqual(t, basis.Keys, int64(20))
		require.Contains(t, report.String(), "a change that was made in the mirror itself since")
		counted := slices.ContainsFunc(source.Calls()[reads:], func(c memory.Call) bool { return c.Method == memory.Count })
		require.Equal(t, report.Table("contact").Verdict != mirror.VerdictIdentical, counted, "rows are counted where some differ, and only there")
		for _, d := range report.Table("contact").Differences {
			if d.Key[0].Value == int64(2500) {
				seen++
				require.GreaterOrEqual(t, round, 2, "it lies in the third sample")
			}
		}
	}
	require.Equal(t, 4, seen, "what differed is read again")
}

// What share of the rows differs decides whether the source is taken for the wrong
// database, so that it is told by how many rows there are, and not by how many there were.
func TestSinceCounts(t *testing.T) {
	source, st := twins(100, every(1000))
	source.TrackChanges(812, 800)
	m := newMirror(t, st, nil)
	compare := func(since *mirror.Report) *mirror.Report {
		report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Since: since})
		require.NoError(t, err)
		return report
	}
	before := stored(t, compare(nil))
	for id := range 900 {
		for _, side := range []*memory.Store{source, st} {
			require.NoError(t, side.Update(t.Context(), func(tx store.Tx) error {
				return tx.Insert(t.Context(), contactOf(t, side), []string{"contact_id", "name"}, []store.Row{{1000 + id, "new"}})
			}))
		}
	}
	change(t, rand.New(rand.NewPCG(1, 1)), 90, source)
	since, all := compare(before), compare(nil).Table("contact")
	contact := since.Table("contact")
	require.Empty(t, contact.Basis.Reason)
	require.Greater(t, all.SourceRows, int64(900))
	require.Equal(t, []int64{all.SourceRows, all.MirrorRows}, []int64{contact.SourceRows, contact.MirrorRows})
	require.NoError(t, since.Err())
}

// The text says what was read, and no number of rows that nobody counted.
func TestSinceText(t *testing.T) {
	source, st := twins(100, func(int) bool { return false })
	source.TrackChanges(812, 800)
	m := newMirror(t, st, nil)
	before, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	require.NotContains(t, before.String(), "Rows read:")
	require.Regexp(t, `contact +identical +100 +100 `, before.String())
	change(t, rand.New(rand.NewPCG(1, 1)), 1, source, st)
	o := &mirror.CompareOptions{Since: stored(t, before), SinceRows: 30}
	report, err := m.Compare(t.Context(), source, o)
	require.NoError(t, err)
	require.Contains(t, report.String(), "Rows read: those of 1 key and a sample of 30 rows, of 1 table\n")
	require.Regexp(t, `contact +identical +- +- `, report.String())
	o.IgnoreColumns = []string{"name"}
	report, err = m.Compare(t.Context(), source, o)
	require.NoError(t, err)
	require.Contains(t, report.String(), "Rows read: all of 1 table: its columns, its key or the options changed\n")
}

// Nothing is compared by a report that nobody can have written, or of another customer.
func TestSinceRefuses(t *testing.T) {
	source, st := twins(10, every(5))
	report, err := newMirror(t, st, nil).Compare(t.Context(), source, nil)
	require.NoError(t, err)
	for name, damage := range map[string]func(r *mirror.Report){
		"another version":  func(r *mirror.Report) { r.Version = 99 },
		"another customer": func(r *mirror.Report) { r.ContextID = "Cust99" },
		"counts":           func(r *mirror.Report) { r.Tables[0].Missing = -1 },
		"no key":           func(r *mirror.Report) { r.Tables[0].Differences[0].Key = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := stored(t, report)
			damage(r)
			_, err := newMirror(t, st, nil).Compare(t.Context(), source, &mirror.CompareOptions{Since: r})
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
		})
	}
	_, err = newMirror(t, st, nil).Compare(t.Context(), source, &mirror.CompareOptions{SinceRows: -1})
	require.ErrorContains(t, err, "SinceRows is negative")
}

// A cycle that sends all of a table can stop in the middle of it, which no LSN and no
// change of the source tells.
func TestSinceSentAnew(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, w *sinceWorld)
		want string
	}{
		{"its metadata row was deleted before the earlier report", func(t *testing.T, w *sinceWorld) {
			_, err := w.m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: customer, Tables: []string{"contact"}})
			require.NoError(t, err)
			w.compare()
			w.interrupted()
		}, "the table is or was sent anew"},
		{"its LSN is too old", func(t *testing.T, w *sinceWorld) {
			w.touch("person")
			w.compare()
			w.customer.Forget(1 << 30)
			w.interrupted()
		}, "the table is or was sent anew"},
		{"its LSN was too old", func(t *testing.T, w *sinceWorld) {
			w.touch("person")
			w.compare()
			w.customer.Forget(1 << 30)
			w.cycle()
			w.lose()
		}, "the table is or was sent anew"},
		{"Recheck saw it", func(t *testing.T, w *sinceWorld) {
			_, err := w.m.ResetTables(t.Context(), []string{"contact"}, nil)
			require.NoError(t, err)
			w.recheck()
			w.touch("person")
			w.cycle()
			w.recheck()
			w.lose()
		}, "the earlier report is not of all rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newSinceWorld(t)
			c.do(t, w)
			got, err := w.m.Compare(t.Context(), w.customer, &mirror.CompareOptions{Since: stored(t, w.report)})
			require.NoError(t, err)
			want, err := w.m.Compare(t.Context(), w.customer, nil)
			require.NoError(t, err)
			require.NotZero(t, want.Table("contact").Missing)
			require.Equal(t, found(t, want), found(t, got))
			require.Contains(t, got.Table("contact").Basis.Reason, c.want)
		})
	}
}

// sinceWorld is a customer with a mirror that cycles fill, and the report of a
// comparison.
type sinceWorld struct {
	t        *testing.T
	customer *cycle.Customer
	mirror   *memory.Store
	task     *cycle.Task
	m        *mirror.Mirror
	report   *mirror.Report
}

func newSinceWorld(t *testing.T) *sinceWorld {
	t.Helper()
	contact := mirrortest.Companies()
	for i := range 40 {
		contact.Rows = append(contact.Rows, store.Row{i, fmt.Sprint("Company ", i)})
	}
	person := memory.Table{Name: "person", Columns: []string{"person_id int"}, Key: []string{"person_id"}}
	w := &sinceWorld{t: t, customer: cycle.NewCustomer(customer, memory.New(contact, person)), mirror: memory.New()}
	w.task = &cycle.Task{Customer: w.customer, Mirror: w.mirror, BatchSize: 100}
	w.m = newMirror(t, w.mirror, nil)
	w.cycle()
	w.compare()
	require.True(t, w.report.Identical())
	return w
}

func (w *sinceWorld) cycle() {
	w.t.Helper()
	_, err := w.task.Run(w.t.Context())
	require.NoError(w.t, err)
}

// interrupted is a cycle that stops behind its first batch.
func (w *sinceWorld) interrupted() {
	w.t.Helper()
	w.task.FailAfterBatches = 1
	_, err := w.task.Run(w.t.Context())
	require.ErrorIs(w.t, err, cycle.ErrInterrupted)
}

func (w *sinceWorld) compare() {
	w.t.Helper()
	var err error
	w.report, err = w.m.Compare(w.t.Context(), w.customer, nil)
	require.NoError(w.t, err)
}

func (w *sinceWorld) recheck() {
	w.t.Helper()
	var err error
	w.report, err = w.m.Recheck(w.t.Context(), w.customer, w.report, nil)
	require.NoError(w.t, err)
}

// touch changes a table of the customer that has no rows.
func (w *sinceWorld) touch(table string) {
	w.t.Helper()
	require.NoError(w.t, w.customer.Update(w.t.Context(), func(tx store.Tx) error {
		return tx.Insert(w.t.Context(), store.Table{Name: table}, []string{table + "_id"}, []store.Row{{1}})
	}))
}

// lose deletes a row of the mirror, as a service that loses one does.
func (w *sinceWorld) lose() {
	w.t.Helper()
	require.NoError(w.t, w.mirror.Update(w.t.Context(), func(tx store.Tx) error {
		_, err := tx.Delete(w.t.Context(), contactOf(w.t, w.mirror), []store.Cell{{Column: "contact_id", Value: 7}})
		return err
	}))
}

// The report of a table is not that of another one that is matched instead of it.
func TestSinceOtherTable(t *testing.T) {
	source, st := twins(10, func(int) bool { return false })
	source.TrackChanges(812, 800)
	o := mirror.CompareOptions{SchemaPrefixes: []string{"crm7."}}
	before, err := newMirror(t, st, nil).Compare(t.Context(), source, &o)
	require.NoError(t, err)
	other := mirrortest.Companies()
	other.Name = "crm7.contact"
	require.NoError(t, st.Seed(other))
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error { return tx.Drop(t.Context(), contactOf(t, st)) }))
	o.Since = stored(t, before)
	got, err := newMirror(t, st, nil).Compare(t.Context(), source, &o)
	require.NoError(t, err)
	require.EqualValues(t, 10, got.Tables[0].Missing, "%s", got)
	require.Contains(t, got.Tables[0].Basis.Reason, "another table")
}
