package mirror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

func TestRecheck(t *testing.T) {
	states := func(r *mirror.Report) string {
		var texts []string
		for _, d := range r.Table("contact").Differences {
			texts = append(texts, fmt.Sprintf("%v %s", d.Key[0].Value, d.State))
		}
		return strings.Join(texts, ", ")
	}
	clock := func() time.Time { return noon }
	for _, c := range []struct {
		name    string
		do      func(f *mirrortest.Follower, again func() *mirror.Report)
		opts    *mirror.RecheckOptions
		want    string
		verdict mirror.Verdict
	}{
		{name: "no cycle ends", do: func(*mirrortest.Follower, func() *mirror.Report) {}, want: "2 , 3 ", verdict: mirror.VerdictDifferent},
		{name: "one cycle ends, which may have begun before", do: func(f *mirrortest.Follower, _ func() *mirror.Report) {
			f.Cycle()
		}, want: "2 arrived, 3 ", verdict: mirror.VerdictDifferent},
		{name: "one cycle ends, and that is enough", opts: &mirror.RecheckOptions{Cycles: 1}, do: func(f *mirrortest.Follower, _ func() *mirror.Report) {
			f.Cycle()
		}, want: "2 arrived, 3 diverged", verdict: mirror.VerdictDifferent},
		{name: "two cycles end", do: func(f *mirrortest.Follower, again func() *mirror.Report) {
			f.Cycle()
			again()
			f.Touch(f.Customer, "contact", 7, "moves the LSN")
			f.Cycle()
		}, want: "2 arrived, 3 diverged", verdict: mirror.VerdictDifferent},
		{name: "another table is sent three times", do: func(f *mirrortest.Follower, again func() *mirror.Report) {
			f.Cycle()
			again()
			for i := range 3 {
				f.Touch(f.Customer, "person", 1, fmt.Sprint("moves the LSN ", i))
				f.Cycle()
				again()
			}
		}, want: "2 arrived, 3 diverged", verdict: mirror.VerdictDifferent},
		{name: "another table is sent twice", do: func(f *mirrortest.Follower, again func() *mirror.Report) {
			for i := range 2 {
				f.Touch(f.Customer, "person", 1, fmt.Sprint("moves the LSN ", i))
				(&cycle.Task{Customer: f.Customer, Mirror: f.Store, SkipTables: []string{"contact"}}).Run(f.T.Context()) //nolint:errcheck // checked by what follows
				again()
			}
		}, want: "2 , 3 ", verdict: mirror.VerdictDifferent},
		{name: "time passes", opts: &mirror.RecheckOptions{After: time.Hour}, do: func(*mirrortest.Follower, func() *mirror.Report) {
			clock = func() time.Time { return noon.Add(time.Hour) }
		}, want: "2 diverged, 3 diverged", verdict: mirror.VerdictDifferent},
		{name: "less time passes", opts: &mirror.RecheckOptions{After: time.Hour}, do: func(*mirrortest.Follower, func() *mirror.Report) {
			clock = func() time.Time { return noon.Add(time.Hour - 1) }
		}, want: "2 , 3 ", verdict: mirror.VerdictDifferent},
		{name: "the difference is another one by now", opts: &mirror.RecheckOptions{Cycles: 1}, do: func(f *mirrortest.Follower, _ func() *mirror.Report) {
			f.Cycle()
			f.Touch(f.Store, "contact", 3, "tampered again")
		}, want: "2 arrived, 3 ", verdict: mirror.VerdictDifferent},
		{name: "all are equal by now", do: func(f *mirrortest.Follower, _ func() *mirror.Report) {
			f.Cycle()
			f.Touch(f.Store, "contact", 3, "Company 3")
		}, want: "2 arrived, 3 arrived", verdict: mirror.VerdictPending},
		{name: "a reset is requested", do: func(f *mirrortest.Follower, _ func() *mirror.Report) {
			f.SetLSN(int64(-1))
		}, want: "2 pending, 3 pending", verdict: mirror.VerdictPending},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			clock = func() time.Time { return noon }
			f := mirrortest.Follow(t)
			f.Touch(f.Customer, "contact", 2, "renamed")
			f.Touch(f.Store, "contact", 3, "tampered")
			m := newMirror(t, f.Store, &mirror.Options{Clock: mirrortest.Clock{Time: func() time.Time { return clock() }}})
			first, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
			require.NoError(t, err)
			require.Equal(t, "2 , 3 ", states(first))
			report := viaJSON(t, first)
			again := func() *mirror.Report {
				report, err = m.Recheck(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, report, c.opts)
				require.NoError(t, err)
				report = viaJSON(t, report)
				return report
			}
			c.do(f, again)
			again()
			require.Equal(t, c.want, states(report), "%s", report)
			tr := report.Table("contact")
			require.Equal(t, c.verdict, tr.Verdict)
			require.EqualValues(t, strings.Count(c.want, "pending")+strings.Count(c.want, "arrived"), tr.Pending)
			require.EqualValues(t, strings.Count(c.want+",", " ,"), report.Unknown())
			require.EqualValues(t, strings.Count(c.want, "diverged"), tr.Diverged)
			require.EqualValues(t, 2, tr.Changed, "the counts are those of the comparison")
			for i, s := range tr.Samples {
				require.Equal(t, tr.Differences[i].State, s.State)
			}
			changed, pending := 0, 0
			for _, s := range tr.Stretches {
				changed, pending = changed+int(s.Changed), pending+int(s.Pending)
			}
			require.Equal(t, 2-strings.Count(c.want, "arrived"), changed, "what arrived no longer differs: %s", strip(tr))
			require.Len(t, tr.Stretches, changed)
			require.Equal(t, strings.Count(c.want, "pending"), pending)
			require.Len(t, first.Table("contact").Stretches, 2)
			require.Equal(t, "2 , 3 ", states(first), "the first report stays as it is")
		})
	}
}

// viaJSON is a report that was written down and read again.
func viaJSON(t *testing.T, r *mirror.Report) *mirror.Report {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var out mirror.Report
	require.NoError(t, json.Unmarshal(data, &out))
	return &out
}

// With change tracking the unknown keys are asked for at once.
func TestRecheckWithTracking(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Customer, "contact", 2, "renamed")
	f.Touch(f.Store, "contact", 3, "tampered")
	m := newMirror(t, f.Store, nil)
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	report, err = m.Recheck(t.Context(), f.Customer, report, nil)
	require.NoError(t, err)
	tr := report.Table("contact")
	require.Equal(t, []int64{1, 1}, []int64{tr.Pending, tr.Diverged}, "%s", report)
	require.Contains(t, report.String(), "1 diverged, 1 pending")
	require.Contains(t, report.String(), "read again")
}

func TestRecheckRefuses(t *testing.T) {
	f := mirrortest.Follow(t)
	m := newMirror(t, f.Store, nil)
	report, err := m.Compare(t.Context(), f.Customer, nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		source store.Source
		report *mirror.Report
		opts   *mirror.RecheckOptions
		want   string
	}{
		"no source":        {nil, report, nil, "nil"},
		"no report":        {f.Customer, nil, nil, "nil"},
		"another customer": {f.Customer, &mirror.Report{Version: 1, ContextID: "Cust2"}, nil, `"Cust2"`},
		"another version":  {f.Customer, &mirror.Report{Version: 2, ContextID: customer}, nil, "version 2"},
		"negative":         {f.Customer, report, &mirror.RecheckOptions{Cycles: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Recheck(t.Context(), c.source, c.report, c.opts)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, strings.HasPrefix(name, "another"), errors.Is(err, mirror.ErrInvalidDocument))
		})
	}
}

// Resets and undos move LSNs, and are no cycles.
func TestRecheckCountsNoResets(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Store, "contact", 3, "tampered")
	m := newMirror(t, f.Store, nil)
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	for range 3 {
		receipt, err := m.ResetTables(t.Context(), []string{"person"}, nil)
		require.NoError(t, err)
		report, err = m.Recheck(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, report, nil)
		require.NoError(t, err)
		require.NoError(t, m.Undo(t.Context(), receipt))
		report, err = m.Recheck(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, report, nil)
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, report.Unknown(), "%s", report)
}

func TestRecheckAKeyThatRepeats(t *testing.T) {
	source := memory.New(mirrortest.Companies(store.Row{1, "a"}))
	store := memory.New(memory.Table{Name: "contact", Columns: []string{"contact_id int not null", "name nvarchar(20) not null"},
		Rows: []store.Row{{1, "b"}, {1, "c"}}}, memory.Metadata(customer, map[string]store.LSN{"contact": 812}))
	m := newMirror(t, store, nil)
	report, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	report, err = m.Recheck(t.Context(), source, report, &mirror.RecheckOptions{After: 1})
	require.NoError(t, err)
	tr := report.Table("contact")
	require.EqualValues(t, 2, tr.Diverged, "%s", report)
}

// One table that is populated meanwhile does not take the others' results away.
func TestRecheckOfATableThatIsPopulated(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Remove(f.Store, 4)
	f.Touch(f.Store, "person", 1, "tampered")
	m := newMirror(t, f.Store, nil)
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	source := &tracker{Customer: f.Customer, before: func(n int) {
		if n == 1 {
			f.Insert(f.Store, store.Row{4, "Company 4"})
		}
	}}
	report, err = m.Recheck(t.Context(), source, report, nil)
	require.NoError(t, err)
	require.Contains(t, report.Table("contact").Warning, "populated anew")
	require.EqualValues(t, 1, report.Table("person").Diverged)
}

// A table that is about to be sent, or was taken in hand while its keys were
// read, has the same difference and has not diverged.
func TestRecheckOfATableInSomebodysHands(t *testing.T) {
	for name, do := range map[string]func(f *mirrortest.Follower, m *mirror.Mirror) store.Source{
		"its metadata row is gone": func(f *mirrortest.Follower, _ *mirror.Mirror) store.Source {
			f.SetLSN(nil)
			return mirrortest.NoTracking{Customer: f.Customer}
		},
		"it is reset while its keys are read": func(f *mirrortest.Follower, _ *mirror.Mirror) store.Source {
			return mirrortest.Reading{NoTracking: mirrortest.NoTracking{Customer: f.Customer}, Do: func() { f.SetLSN(int64(-1)) }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := mirrortest.Follow(t)
			f.Remove(f.Store, 3)
			m := newMirror(t, f.Store, nil)
			report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
			require.NoError(t, err)
			report, err = m.Recheck(t.Context(), do(f, m), report, &mirror.RecheckOptions{After: 1})
			require.NoError(t, err)
			require.Zero(t, report.Table("contact").Diverged, "%s", report)
		})
	}
}

// A -1 promises that all rows come. When a running cycle writes its LSN over it,
// the promise is gone.
func TestRecheckOfAResetThatWasOverwritten(t *testing.T) {
	for name, source := range map[string]func(f *mirrortest.Follower) store.Source{
		"with change tracking":    func(f *mirrortest.Follower) store.Source { return f.Customer },
		"without change tracking": func(f *mirrortest.Follower) store.Source { return mirrortest.NoTracking{Customer: f.Customer} },
	} {
		t.Run(name, func(t *testing.T) {
			f := mirrortest.Follow(t)
			f.Touch(f.Store, "contact", 3, "tampered")
			m := newMirror(t, f.Store, nil)
			report, err := m.Compare(t.Context(), source(f), nil)
			require.NoError(t, err)
			look := func() *mirror.TableReport {
				t.Helper()
				report, err = m.Recheck(t.Context(), source(f), viaJSON(t, report), nil)
				require.NoError(t, err)
				return report.Table("contact")
			}
			f.SetLSN(int64(-1))
			look()
			require.NotContains(t, report.Stale(), "contact")
			require.False(t, report.Identical())
			f.SetLSN(int64(1))
			tr := look()
			require.Equal(t, mirror.VerdictDifferent, tr.Verdict, "%s", report)
			require.Zero(t, tr.Pending)
			require.Zero(t, tr.Populated, "it has the LSN that it had")
			require.NotEmpty(t, stepOf(report.Plan(), "contact"))
		})
	}
}

// An expired LSN is no proof: neither Recheck nor time makes what differs in its
// table pending, arrived or diverged; rows that are equal do, and a cycle that
// moves the LSN.
func TestRecheckOfAnExpiredLSN(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Store, "contact", 3, "tampered")
	f.Touch(f.Store, "contact", 4, "tampered")
	f.Forget()
	m := newMirror(t, f.Store, nil)
	report, err := m.Compare(t.Context(), f.Customer, nil)
	require.NoError(t, err)
	look := func() *mirror.TableReport {
		t.Helper()
		report, err = m.Recheck(t.Context(), f.Customer, report, &mirror.RecheckOptions{After: 1})
		require.NoError(t, err)
		return report.Table("contact")
	}
	f.Touch(f.Store, "contact", 4, "Company 4")
	tr := look()
	require.Equal(t, []int64{1, 0}, []int64{tr.Pending, tr.Diverged}, "%s", report)
	require.Equal(t, []string{"contact"}, report.Stale())
	version, err := f.Customer.Version(t.Context())
	require.NoError(t, err)
	f.SetLSN(int64(version)) // a cycle that did not send it after all
	tr = look()
	require.Equal(t, []int64{1, 1}, []int64{tr.Pending, tr.Diverged}, "%s", report)
}
