package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

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
				checkStretches(t, tr)
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

func (still) ChangedKeys(context.Context, store.Table, store.LSN, store.Row, int) ([]store.Row, error) {
	return nil, nil
}

type deniedTracking struct{ *cycle.Customer }

func (deniedTracking) Version(context.Context) (store.LSN, error) {
	return 0, errors.New("no VIEW CHANGE TRACKING")
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
	report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}})
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
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}})
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
	checkStretches(t, report.Table("contact"))
	require.Equal(t, []string{"contact"}, report.Stale())
}
