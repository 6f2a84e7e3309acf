package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
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

// tracker is the customer, with something that happens around the nth question
// for changes.
type tracker struct {
	*cycle.Customer
	before, after func(n int)
	err           error
	asked         int
}

func (k *tracker) Changed(ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
	k.asked++
	if k.before != nil {
		k.before(k.asked)
	}
	if k.err != nil {
		return nil, k.err
	}
	changed, err := k.Customer.Changed(ctx, t, since, keys)
	if k.after != nil {
		k.after(k.asked)
	}
	return changed, err
}

func TestPending(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(f *mirrortest.Follower) store.Source // what happens, and what to compare with

		verdict                    mirror.Verdict
		differing, pending, stayed int64
		state                      mirror.LSNState
		stale                      bool
		unknown                    bool // it is not known yet whether it needs a reset
		warning                    string
	}{
		{name: "nothing happens", verdict: mirror.VerdictIdentical, do: func(*mirrortest.Follower) store.Source { return nil }},
		{name: "rows change at the source", verdict: mirror.VerdictPending, differing: 3, pending: 3, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 3, "renamed")
			f.Insert(f.Customer, store.Row{77, "new"})
			f.Remove(f.Customer, 5)
			return nil
		}},
		{name: "a row changes in the mirror", verdict: mirror.VerdictDifferent, differing: 1, stayed: 1, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Store, "contact", 3, "tampered")
			return nil
		}},
		{name: "a row is lost and one added in the mirror", verdict: mirror.VerdictDifferent, differing: 2, stayed: 2, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Remove(f.Store, 0)
			f.Insert(f.Store, store.Row{99, "own"})
			return nil
		}},
		{name: "some pending and some not", verdict: mirror.VerdictDifferent, differing: 4, pending: 2, stayed: 2, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 1, "renamed")
			f.Touch(f.Customer, "contact", 8, "renamed")
			f.Touch(f.Store, "contact", 2, "tampered")
			f.Touch(f.Store, "contact", 9, "tampered")
			return nil
		}},
		{name: "a tampered row that is sent anyway", verdict: mirror.VerdictPending, differing: 1, pending: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Store, "contact", 2, "tampered")
			f.Touch(f.Customer, "contact", 2, "renamed")
			return nil
		}},
		{name: "a cycle ends before the LSN is read again", verdict: mirror.VerdictPending, differing: 1, pending: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			return &tracker{Customer: f.Customer, after: func(n int) {
				if n == 1 {
					f.Cycle()
				}
			}}
		}},
		{name: "a cycle ends, and the row changes again", verdict: mirror.VerdictPending, differing: 1, pending: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			return &tracker{Customer: f.Customer, before: func(n int) {
				if n == 1 {
					f.Cycle()
					f.Touch(f.Customer, "contact", 2, "renamed again")
				}
			}}
		}},
		{name: "a cycle sent the row, and then it was tampered with", verdict: mirror.VerdictDifferent, differing: 1, stayed: 1, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			return &tracker{Customer: f.Customer, before: func(n int) {
				if n == 1 {
					f.Cycle()
					f.Touch(f.Store, "contact", 2, "tampered")
				}
			}}
		}},
		{name: "cycles end again and again", verdict: mirror.VerdictDifferent, differing: 1, unknown: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			return &tracker{Customer: f.Customer, before: func(n int) {
				f.Cycle()
				f.Touch(f.Customer, "contact", 2, fmt.Sprint("renamed ", n))
				f.Task.Mirror = tampering{f.Store, f}
			}}
		}},
		{name: "the metadata row vanishes meanwhile", verdict: mirror.VerdictDifferent, differing: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			return &tracker{Customer: f.Customer, after: func(int) { f.SetLSN(nil) }}
		}},
		{name: "the table is populated anew meanwhile, with the same LSN", verdict: mirror.VerdictIdentical, do: func(f *mirrortest.Follower) store.Source {
			f.Remove(f.Store, 4) // as a cycle that is not through yet would show it
			return &tracker{Customer: f.Customer, before: func(n int) {
				if n == 1 {
					f.Insert(f.Store, store.Row{4, "Company 4"})
				}
			}}
		}},
		{name: "the table is populated anew all the time", verdict: mirror.VerdictFailed, do: func(f *mirrortest.Follower) store.Source {
			f.Remove(f.Store, 4)
			return &tracker{Customer: f.Customer,
				before: func(int) { f.Insert(f.Store, store.Row{4, "Company 4"}) },
				after:  func(int) {},
			}
		}},
		{name: "the changes were forgotten", verdict: mirror.VerdictDifferent, differing: 1, state: mirror.LSNExpired, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			f.Forget()
			return nil
		}},
		{name: "the changes are forgotten meanwhile", verdict: mirror.VerdictDifferent, differing: 2, state: mirror.LSNExpired, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			f.Touch(f.Store, "contact", 3, "tampered")
			return &tracker{Customer: f.Customer, before: func(int) { f.Forget() }}
		}},
		{name: "an expired LSN and equal rows", verdict: mirror.VerdictIdentical, state: mirror.LSNExpired, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "person", 1, "renamed")
			f.Forget()
			return nil
		}},
		{name: "the source was restored", verdict: mirror.VerdictDifferent, differing: 1, state: mirror.LSNAhead, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 2, "renamed")
			f.Cycle()
			v, err := f.Customer.Version(f.T.Context())
			require.NoError(f.T, err)
			f.Customer.Restore(int64(v) - 1)
			f.Touch(f.Store, "contact", 2, "lost by it")
			return nil
		}},
		{name: "the source was restored, and the rows are equal", verdict: mirror.VerdictIdentical, state: mirror.LSNAhead, stale: true, do: func(f *mirrortest.Follower) store.Source {
			f.SetLSN(int64(1000))
			return nil
		}},
		{name: "a reset was requested", verdict: mirror.VerdictPending, differing: 1, pending: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.SetLSN(int64(-1))
			return nil
		}},
		{name: "a reset is requested meanwhile", verdict: mirror.VerdictPending, differing: 1, pending: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Store, "contact", 2, "tampered")
			return &tracker{Customer: f.Customer, after: func(int) { f.SetLSN(int64(-1)) }}
		}},
		{name: "no metadata row", verdict: mirror.VerdictDifferent, differing: 1, do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 3, "renamed")
			f.SetLSN(nil)
			return nil
		}},
		{name: "the changes cannot be read", verdict: mirror.VerdictDifferent, differing: 1, unknown: true, warning: "boom", do: func(f *mirrortest.Follower) store.Source {
			f.Touch(f.Customer, "contact", 3, "renamed")
			return &tracker{Customer: f.Customer, err: errBoom}
		}},
	} {
		for _, step := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, in steps of %d", c.name, step), func(t *testing.T) {
				defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
				f := mirrortest.Follow(t)
				source := c.do(f)
				if source == nil {
					source = f.Customer
				}
				m := newMirror(t, f.Store, nil)
				if step > 0 {
					m.SmallSteps(step)
				}
				if strings.HasSuffix(c.name, "all the time") {
					// Each reading meets the gap that the next question closes.
					m = newMirror(t, gap{f.Store, f}, nil)
				}
				report, err := m.Compare(t.Context(), source, nil)
				require.NoError(t, err)
				tr := report.Table("contact")
				require.Equal(t, c.verdict, tr.Verdict, "%s", report)
				require.Equal(t, c.differing, tr.Missing+tr.Extra+tr.Changed, "%s", report)
				require.Equal(t, []int64{c.pending, c.stayed}, []int64{tr.Pending, tr.Diverged}, "%s", report)
				require.Equal(t, c.state, tr.LSNState)
				require.Equal(t, c.stale, slices.Contains(report.Stale(), "contact"), "%v", report.Stale())
				require.Equal(t, c.unknown, stepOf(report.Plan(), "contact") == mirror.StepUnknown, "%s", report.Plan())
				require.Equal(t, c.warning != "", len(report.Warnings) > 0, "%v", report.Warnings)
				if c.warning != "" {
					require.Contains(t, report.Warnings[0], c.warning)
				}
				var pending, diverged int64
				for _, d := range tr.Differences {
					switch d.State {
					case mirror.DiffPending, mirror.DiffArrived:
						pending += d.Rows
					case mirror.DiffDiverged:
						diverged += d.Rows
					}
				}
				require.Equal(t, []int64{tr.Pending, tr.Diverged}, []int64{pending, diverged}, "each key says it, too")
				for i, s := range tr.Samples {
					require.Equal(t, tr.Differences[i].State, s.State)
				}
			})
		}
	}
}

// stepOf returns the step that a plan has for a table, "" for none.
func stepOf(p *mirror.Plan, table string) mirror.Step {
	for _, t := range p.Tables {
		if t.Table == table {
			return t.Step
		}
	}
	return ""
}

// tampering is a mirror in which a row never becomes what a cycle wrote.
type tampering struct {
	*memory.Store
	f *mirrortest.Follower
}

func (s tampering) Update(ctx context.Context, fn func(store.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	s.f.Touch(s.Store, "contact", 2, "tampered")
	return err
}

// gap is a mirror that lacks a row whenever the whole of contact is read.
type gap struct {
	*memory.Store
	f *mirrortest.Follower
}

func (s gap) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if q.Table.Name == "contact" && q.From == nil {
		s.f.Remove(s.Store, 4)
	}
	return s.Store.Rows(ctx, q)
}

func TestPendingDuplicates(t *testing.T) {
	f := mirrortest.Follow(t)
	require.NoError(t, f.Store.Seed(memory.Table{
		Name: "contact", Columns: []string{"contact_id int not null", "name nvarchar(20) not null"},
		Rows: []store.Row{{1, "Company 1"}, {1, "Company 1"}},
	}))
	f.Touch(f.Customer, "contact", 1, "Company 1")
	report, err := newMirror(t, f.Store, nil).Compare(t.Context(), f.Customer, nil)
	require.NoError(t, err)
	tr := report.Table("contact")
	require.EqualValues(t, 1, tr.Duplicate)
	require.EqualValues(t, 10, tr.Diverged, "nine were lost in the mirror, and the source has no second row to send")
	require.Zero(t, tr.Pending)
}

func TestPendingWithoutTracking(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Customer, "contact", 3, "renamed")
	report, err := newMirror(t, f.Store, nil).Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	require.Empty(t, report.Warnings)
	tr := report.Table("contact")
	require.Equal(t, mirror.VerdictDifferent, tr.Verdict)
	require.Zero(t, tr.Pending+tr.Diverged)

	report, err = newMirror(t, f.Store, nil).Compare(t.Context(), deniedTracking{f.Customer}, nil)
	require.NoError(t, err)
	require.Len(t, report.Warnings, 1)
	require.Contains(t, report.Warnings[0], "no VIEW CHANGE TRACKING")
	require.Equal(t, mirror.VerdictDifferent, report.Table("contact").Verdict)
}

// still is a source that tracks changes, and in which none came after any LSN:
// what differs has diverged.
type still struct{ store.Source }

func (still) Version(context.Context) (store.LSN, error) { return math.MaxInt64, nil }

func (still) MinValidVersion(context.Context, store.Table) (store.LSN, error) { return 0, nil }

func (still) Changed(_ context.Context, _ store.Table, _ store.LSN, keys []store.Row) ([]bool, error) {
	return make([]bool, len(keys)), nil
}

type deniedTracking struct{ *cycle.Customer }

func (deniedTracking) Version(context.Context) (store.LSN, error) {
	return 0, errors.New("no VIEW CHANGE TRACKING")
}

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

// A reset and the cycle after it populate the table while it is compared, and the
// source's version moves on.
func TestPopulatedAnewWhileTheVersionMoves(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Remove(f.Store, 4) // as it is seen in the middle of that
	source := &tracker{Customer: f.Customer, before: func(n int) {
		if n == 1 {
			f.Touch(f.Customer, "contact", 7, "renamed")
			f.SetLSN(int64(-1))
			f.Cycle()
		}
	}}
	report, err := newMirror(t, f.Store, nil).Compare(t.Context(), source, nil)
	require.NoError(t, err)
	require.Equal(t, mirror.VerdictIdentical, report.Table("contact").Verdict)
	require.Empty(t, report.Table("contact").LSNState, "the LSN is not ahead of the version of now")
	require.Empty(t, report.Stale())
}

// A reset is requested while Compare asks, and a cycle has wiped the table and
// sent a part of it. It is through before Compare is.
func TestWipedWhileItIsClassified(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Task.BatchSize = 1
	f.Touch(f.Store, "contact", 5, "tampered")
	began := false
	source := &tracker{Customer: f.Customer, before: func(n int) {
		if n == 1 {
			f.SetLSN(int64(-1))
			broken := *f.Task
			broken.FailAfterBatches = 1
			_, err := broken.Run(t.Context())
			require.ErrorIs(t, err, cycle.ErrInterrupted)
			began = true
		}
	}}
	m := newMirror(t, f.Store, &mirror.Options{Progress: func(p mirror.Progress) {
		if began && p.TablesDone == 1 {
			began = false
			f.Cycle()
		}
	}})
	m.SmallSteps(1)
	report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Concurrency: 1})
	require.NoError(t, err)
	tr := report.Table("contact")
	require.Zero(t, tr.Diverged, "%s", report)
	require.Empty(t, report.Stale())
}

// A table that is reset and populated after it was compared is not the one that
// the plan is for.
func TestPlanOfATableThatWasPopulatedSince(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Store, "contact", 4, "tampered")
	done := false
	m := newMirror(t, f.Store, &mirror.Options{Progress: func(p mirror.Progress) {
		if p.TablesDone == 1 && !done {
			done = true
			f.SetLSN(int64(-1))
			f.Touch(f.Customer, "contact", 9, "renamed")
			f.Cycle()
		}
	}})
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, &mirror.CompareOptions{Concurrency: 1})
	require.NoError(t, err)
	_, err = m.Apply(t.Context(), report.Plan(), &mirror.ApplyOptions{Unknown: true})
	require.ErrorIs(t, err, mirror.ErrMoved)
}

func TestStaleWithASchemaInTheMetadata(t *testing.T) {
	contact := mirrortest.Companies(store.Row{1, "a"})
	source := memory.New(contact)
	contact.Rows, contact.Schema = []store.Row{{1, "b"}}, "dbo"
	store := memory.New(contact, memory.Metadata(customer, map[string]store.LSN{"dbo.contact": 812}))
	m := newMirror(t, store, nil)
	report, err := m.Compare(t.Context(), still{source}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"contact"}, report.Stale())
	_, err = m.Apply(t.Context(), report.Plan(), nil)
	require.NoError(t, err)
}

func TestExpiredMeanwhileAndTruncated(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Touch(f.Customer, "contact", 2, "renamed")
	f.Touch(f.Store, "contact", 3, "tampered")
	source := &tracker{Customer: f.Customer, before: func(int) { f.Forget() }}
	report, err := newMirror(t, f.Store, nil).Compare(t.Context(), source, &mirror.CompareOptions{MaxDifferences: 1})
	require.NoError(t, err)
	require.Equal(t, mirror.VerdictDifferent, report.Table("contact").Verdict)
	require.Equal(t, mirror.LSNExpired, report.Table("contact").LSNState)
	require.Equal(t, []string{"contact"}, report.Stale())
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
