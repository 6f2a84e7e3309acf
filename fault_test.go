package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var errBoom = errors.New("boom")

// tables are the data tables of both sides: 40 contacts span batches, log has
// no key. The mirror differs in damage rows of each.
func tables(damage int) []memory.Table {
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219) null"}, Key: []string{"contact_id"}}
	log := memory.Table{Name: "log", Columns: []string{"what nvarchar(20)", "weight float"}}
	for i := range 40 {
		name := fmt.Sprint("Company ", i)
		if i < damage {
			name += "?"
		}
		contact.Rows = append(contact.Rows, store.Row{i, name})
		log.Rows = append(log.Rows, store.Row{name, float64(i / 3)})
	}
	return []memory.Table{contact, log,
		{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"}, Rows: []store.Row{{1, "Åse"}}}}
}

// world is a mirror that differs from customerDatabase: rows of contact and log
// do, person has a table of the mirror's own beside it.
func world() *memory.Store {
	st := memory.New(tables(3)...)
	metadata := memory.Metadata(customer, map[string]store.LSN{"contact": 812, "log": 900, "PERSON": 7})
	own := memory.Table{Name: "own_notes", Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{1}}}
	if err := st.Seed(metadata, own); err != nil {
		panic(err)
	}
	return st
}

func customerDatabase() *memory.Store { return memory.New(tables(0)...) }

// operation is one of the library's operations: prepare makes a mirror, and what
// do needs to work on it.
type operation struct {
	name    string
	prepare func(t testing.TB) *stage
	changes bool // whether it changes the mirror
}

// stage is a mirror on which an operation is about to run.
type stage struct {
	store, source *memory.Store
	do            func(ctx context.Context, m *mirror.Mirror) (*mirror.Report, error)
	opts          *mirror.Options
}

// run runs the operation through a store, which is that of the stage or wraps
// it. What failed is either the error or the error of a table of the report.
func (s *stage) run(ctx context.Context, t testing.TB, store store.Store) (*mirror.Report, error) {
	t.Helper()
	return s.do(ctx, newMirror(t, store, s.opts))
}

func operations() []operation {
	receiptOf := func(err error) (*mirror.Report, error) { return nil, err }
	reset := func(tables []string, opts *mirror.ResetOptions) func(context.Context, *mirror.Mirror) (*mirror.Receipt, error) {
		return func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.ResetTables(ctx, tables, opts)
		}
	}
	hardReset := func(opts mirror.HardResetOptions) func(context.Context, *mirror.Mirror) (*mirror.Receipt, error) {
		opts.Confirm = customer
		return func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) { return m.HardReset(ctx, &opts) }
	}
	var list []operation
	for _, w := range []struct {
		name string
		do   func(context.Context, *mirror.Mirror) (*mirror.Receipt, error)
		undo bool // whether it can be undone
	}{
		{"reset", reset([]string{"contact", "person"}, nil), true},
		{"reset all", reset(nil, &mirror.ResetOptions{All: true}), true},
		{"reset and truncate", reset([]string{"log", "contact"}, &mirror.ResetOptions{Truncate: true}), false},
		{"hard reset", hardReset(mirror.HardResetOptions{}), true},
		{"hard reset of tables", hardReset(mirror.HardResetOptions{Tables: []string{"contact", "log"}}), true},
		{"hard reset of tables with their data", hardReset(mirror.HardResetOptions{Tables: []string{"person", "contact"}, DropData: true}), false},
	} {
		list = append(list, operation{name: w.name, changes: true, prepare: func(testing.TB) *stage {
			return &stage{store: world(), do: func(ctx context.Context, m *mirror.Mirror) (*mirror.Report, error) {
				receipt, err := w.do(ctx, m)
				if (receipt != nil) != (err == nil || errors.Is(err, store.ErrOutcomeUnknown)) {
					return nil, fmt.Errorf("receipt %v with error %w", receipt, err)
				}
				return receiptOf(err)
			}}
		}})
		if !w.undo {
			continue
		}
		list = append(list, operation{name: "undo of " + w.name, changes: true, prepare: func(t testing.TB) *stage {
			s := &stage{store: world()}
			receipt, err := w.do(context.Background(), newMirror(t, s.store, nil))
			require.NoError(t, err)
			s.do = func(ctx context.Context, m *mirror.Mirror) (*mirror.Report, error) {
				return receiptOf(m.Undo(ctx, receipt))
			}
			return s
		}})
	}
	list = append(list, operation{name: "dry run", prepare: func(testing.TB) *stage {
		return &stage{store: world(), do: func(ctx context.Context, m *mirror.Mirror) (*mirror.Report, error) {
			_, err := m.HardReset(ctx, &mirror.HardResetOptions{All: true, DropData: true, DryRun: true})
			return receiptOf(err)
		}}
	}}, operation{name: "status", prepare: func(testing.TB) *stage {
		return &stage{store: world(), do: func(ctx context.Context, m *mirror.Mirror) (*mirror.Report, error) {
			_, err := m.Status(ctx)
			return receiptOf(err)
		}}
	}})
	for name, opts := range map[string]mirror.CompareOptions{
		"compare":         {Tuning: mirror.Tuning{Concurrency: 1}},
		"compare at once": {Tuning: mirror.Tuning{Concurrency: 4}, MaxSamples: -1},
		"compare counts":  {Tuning: mirror.Tuning{Concurrency: 1}, Depth: mirror.DepthCount},
	} {
		list = append(list, operation{name: name, prepare: func(testing.TB) *stage {
			s := &stage{store: world(), source: customerDatabase(), opts: &mirror.Options{Progress: func(mirror.Progress) {}}}
			s.do = func(ctx context.Context, m *mirror.Mirror) (*mirror.Report, error) {
				return m.Compare(ctx, s.source, &opts)
			}
			return s
		}})
	}
	return list
}

// strike is one call of a clean run: the nth of its method.
type strike struct {
	side   string // "mirror" or "source"
	method memory.Method
	n      int
}

func (s strike) of(st *stage) *memory.Store {
	if s.side == "source" {
		return st.source
	}
	return st.store
}

// cleanRun runs an operation without a fault and returns every call that it
// makes, and what it leaves behind.
func cleanRun(t *testing.T, op operation) (strikes []strike, after map[string][]string, report *mirror.Report) {
	t.Helper()
	s := op.prepare(t)
	before := mirrortest.Dump(t, s.store)
	s.store.ResetCalls()
	report, err := s.run(t.Context(), t, s.store)
	require.NoError(t, err)
	for side, store := range map[string]*memory.Store{"mirror": s.store, "source": s.source} {
		if store == nil {
			continue
		}
		seen := map[memory.Method]int{}
		for _, c := range store.Calls() {
			seen[c.Method]++
			strikes = append(strikes, strike{side, c.Method, seen[c.Method]})
		}
	}
	require.NotEmpty(t, strikes)
	after = mirrortest.Dump(t, s.store)
	if op.changes {
		require.NotEqual(t, before, after)
	} else {
		require.Equal(t, before, after)
	}
	return strikes, after, report
}

// failure returns the error that an operation ended with: a table's, if it is
// a report in which only one table failed and the others are as they were.
func failure(t *testing.T, clean, report *mirror.Report, err error) error {
	t.Helper()
	if report == nil || err != nil {
		return err
	}
	failed := 0
	for i, tr := range report.Tables {
		if tr.Verdict == mirror.VerdictFailed {
			failed++
			err = tr.Err
			require.NotEmpty(t, tr.Reason)
			require.Empty(t, tr.Stretches)
			require.Nil(t, tr.Range)
			continue
		}
		want := clean.Tables[i]
		want.Elapsed, tr.Elapsed = 0, 0
		want.ForgetLastLSN()
		tr.ForgetLastLSN()
		require.Equal(t, want, tr)
	}
	if failed == 0 { // the last look at the LSNs is worth no table
		require.Len(t, report.Warnings, len(clean.Warnings)+1)
		require.Contains(t, report.Warnings[len(clean.Warnings)], errBoom.Error())
		return errBoom
	}
	require.Equal(t, 1, failed, "one call fails one table")
	require.False(t, report.Identical())
	require.False(t, report.Incomplete)
	return err
}

func TestEveryCallFails(t *testing.T) {
	faults := 0
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			strikes, after, clean := cleanRun(t, op)
			for _, strike := range strikes {
				t.Run(fmt.Sprint(strike), func(t *testing.T) {
					s := op.prepare(t)
					before := mirrortest.Dump(t, s.store)
					strike.of(s).FailAt(strike.method, strike.n, errBoom)
					report, err := s.run(t.Context(), t, s.store)
					require.ErrorIs(t, failure(t, clean, report, err), errBoom)
					require.Equal(t, before, mirrortest.Dump(t, s.store), "nothing is done")
					faults++

					report, err = s.run(t.Context(), t, s.store)
					require.NoError(t, err, "the fault is over")
					require.Equal(t, after, mirrortest.Dump(t, s.store), "all is done")
					if clean != nil {
						require.Equal(t, clean.Summary(), report.Summary())
					}
				})
			}
		})
	}
	t.Logf("%d calls failed, one at a time", faults)
	require.Greater(t, faults, 100)
}

func TestRowsFailMidway(t *testing.T) {
	faults := 0
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			strikes, _, clean := cleanRun(t, op)
			for _, side := range []string{"mirror", "source"} {
				if !slices.ContainsFunc(strikes, func(s strike) bool { return s.side == side && s.method == memory.Rows }) {
					continue
				}
				for _, rows := range []int{0, 1, 2, 16, 17, 1000} {
					s := op.prepare(t)
					before := mirrortest.Dump(t, s.store)
					strike{side: side}.of(s).FailAfterRows(rows, errBoom)
					report, err := s.run(t.Context(), t, s.store)
					require.ErrorIs(t, failure(t, clean, report, err), errBoom, "after %d rows of the %s", rows, side)
					require.Equal(t, before, mirrortest.Dump(t, s.store))
					faults++
				}
			}
		})
	}
	t.Logf("%d reads broke off", faults)
	require.Greater(t, faults, 50)
}

func TestAnswerOfTheCommitIsLost(t *testing.T) {
	faults := 0
	for _, op := range operations() {
		if !op.changes {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			_, after, _ := cleanRun(t, op)
			for name, c := range map[string]struct {
				err    error
				cancel bool
			}{
				"connection lost":                  {store.ErrOutcomeUnknown, false},
				"connection lost and canceled":     {store.ErrOutcomeUnknown, true},
				"connection lost by the canceling": {fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, context.Canceled), true},
			} {
				t.Run(name, func(t *testing.T) {
					s := op.prepare(t)
					s.store.FailAfterCommit(1, c.err)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					st := store.Store(s.store)
					if c.cancel {
						st = canceling{s.store, cancel}
					}
					_, err := s.run(ctx, t, st)
					require.ErrorIs(t, err, store.ErrOutcomeUnknown)
					require.Equal(t, after, mirrortest.Dump(t, s.store), "all is done, and none but the database knew")
					faults++
				})
			}
			t.Run("canceled when all is done", func(t *testing.T) {
				s := op.prepare(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				_, err := s.run(ctx, t, canceling{s.store, cancel})
				require.NoError(t, err, "what is committed is not a failure")
				require.Equal(t, after, mirrortest.Dump(t, s.store))
				faults++
			})
		})
	}
	t.Logf("%d answers were lost", faults)
	require.Greater(t, faults, 20)
}

// canceling is a store whose caller gives up while the commit is being answered.
type canceling struct {
	store.Store
	cancel context.CancelFunc
}

func (c canceling) Update(ctx context.Context, fn func(store.Tx) error) error {
	defer c.cancel()
	return c.Store.Update(ctx, fn)
}

func TestContextEndsAtEveryCall(t *testing.T) {
	faults := 0
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			strikes, _, clean := cleanRun(t, op)
			for _, strike := range strikes {
				for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
					t.Run(fmt.Sprint(strike, want), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							s := op.prepare(t)
							before := mirrortest.Dump(t, s.store)
							strike.of(s).DelayAt(strike.method, strike.n, time.Hour)
							ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
							defer cancel()
							if want == context.Canceled {
								time.AfterFunc(time.Second, cancel)
							}
							report, err := s.run(ctx, t, s.store)
							require.True(t, err == want, "%v comes as it is: %v", want, err)
							require.Equal(t, before, mirrortest.Dump(t, s.store), "nothing is done")
							if report != nil {
								checkIncomplete(t, clean, report, want)
							}
							faults++
						})
					})
				}
			}
		})
	}
	t.Logf("%d contexts ended", faults)
	require.Greater(t, faults, 200)
}

// checkIncomplete checks a report of a comparison that did not end.
func checkIncomplete(t *testing.T, clean, report *mirror.Report, want error) {
	t.Helper()
	require.False(t, report.Identical())
	failed := 0
	for i, tr := range report.Tables {
		if tr.Verdict == mirror.VerdictUnfinished {
			failed++
			require.True(t, tr.Err == want, "%v", tr.Err)
			continue
		}
		done := clean.Tables[i]
		done.Elapsed, tr.Elapsed = 0, 0
		done.ForgetLastLSN()
		tr.ForgetLastLSN()
		require.Equal(t, done, tr, "what was finished counts")
	}
	if failed == 0 && len(report.Tables) > 0 {
		require.False(t, report.Incomplete, "only the last look at the LSNs is missing")
		require.Len(t, report.Warnings, len(clean.Warnings)+1)
		return
	}
	require.True(t, report.Incomplete)
	if len(report.Tables) > 0 { // none are known when the catalogues could not be read
		require.Positive(t, failed)
		require.ErrorIs(t, report.Err(), want)
	}
	require.Error(t, report.Err())
}

// The mirror fails while the source has rows left and does not listen.
func TestReaderThatIgnoresItsContext(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	store := world()
	store.FailAt(memory.Rows, 2, errBoom) // the metadata table is read first
	report, err := newMirror(t, store, nil).Compare(t.Context(), stubborn{customerDatabase()}, &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}})
	require.NoError(t, err)
	require.ErrorIs(t, report.Table("contact").Err, errBoom)
	require.Equal(t, mirror.VerdictDifferent, report.Table("log").Verdict)
}

// The mirror fails while the source's second batch of 16 rows waits for the
// merge, which still has to get past a row of the mirror's own.
func TestReaderThatHasReadAhead(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	log := memory.Table{Name: "log", Columns: []string{"id int"}, Key: []string{"id"}}
	for i := range 40 {
		log.Rows = append(log.Rows, store.Row{10 * i})
	}
	extra := log
	extra.Rows = append(slices.Clone(log.Rows), store.Row{141})
	for range 50 { // whether the batch waits already is up to the scheduler
		store := memory.New(extra)
		store.FailAfterRows(16, errBoom)
		report, err := newMirror(t, store, nil).Compare(t.Context(), stubborn{memory.New(log)}, nil)
		require.NoError(t, err)
		require.ErrorIs(t, report.Table("log").Err, errBoom)
	}
}

// stubborn is a source that reads on when its context is done.
type stubborn struct{ store.Source }

func (s stubborn) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return s.Source.Rows(context.WithoutCancel(ctx), q)
}
