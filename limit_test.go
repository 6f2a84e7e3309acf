package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/so-mirror/mirror/fleet"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// measured is a report of as many tables as there are pairs of verdict and
// numbers of rows.
func measured(tables ...mirror.TableReport) *mirror.Report {
	lsn := store.LSN(5)
	r := &mirror.Report{Version: 1, ContextID: customer, Depth: mirror.DepthRows, Tables: tables, Finished: noon}
	for i := range r.Tables {
		t := &r.Tables[i]
		t.Table, t.HasMetadata, t.LSN = fmt.Sprint("t", i), true, &lsn
		t.SetMetadataSum("sha256:00")
	}
	return r
}

func TestLimits(t *testing.T) {
	rows := func(n, changed, extra, missing int64) mirror.TableReport {
		tr := mirror.TableReport{Verdict: mirror.VerdictDifferent, SourceRows: n + missing, MirrorRows: n + extra,
			Changed: changed, Extra: extra, Missing: missing, Diverged: changed + extra + missing}
		if changed+extra+missing == 0 {
			tr.Verdict = mirror.VerdictIdentical
		}
		return tr
	}
	pending := func(tr mirror.TableReport) mirror.TableReport {
		tr.Verdict, tr.Pending, tr.Diverged = mirror.VerdictPending, tr.Diverged, 0
		return tr
	}
	truncated := func(tr mirror.TableReport, read int64) mirror.TableReport {
		tr.Truncated = true
		tr.SetRead(read)
		return tr
	}
	counted := func(source, mir int64) mirror.TableReport {
		return mirror.TableReport{Verdict: mirror.VerdictDifferent, SourceRows: source, MirrorRows: mir}
	}
	missing := mirror.TableReport{Verdict: mirror.VerdictMissing, SourceRows: 7}
	ahead := mirror.TableReport{Verdict: mirror.VerdictIdentical, LSNState: mirror.LSNAhead, SourceRows: 1, MirrorRows: 1}
	same := rows(10, 0, 0, 0)
	for _, c := range []struct {
		name   string
		tables []mirror.TableReport
		want   string // the figures that are too much, "" when they are not
	}{
		{"nothing", nil, ""},
		{"two of two rows", []mirror.TableReport{rows(2, 2, 0, 0)}, ""},
		{"9 of 9 rows", []mirror.TableReport{rows(9, 9, 0, 0)}, ""},
		{"10 of 10 rows", []mirror.TableReport{rows(10, 10, 0, 0)}, "rows 10 of 10"},
		{"half of the rows", []mirror.TableReport{rows(20, 10, 0, 0)}, ""},
		{"more than half of the rows", []mirror.TableReport{rows(20, 11, 0, 0)}, "rows 11 of 20"},
		{"in one of several tables", []mirror.TableReport{rows(20, 20, 0, 0), rows(30, 0, 0, 0)}, ""},
		{"rows that the source does not have", []mirror.TableReport{rows(4, 0, 40, 0)}, "rows 40 of 44"},
		{"a table that was emptied", []mirror.TableReport{rows(0, 0, 0, 1000)}, ""},
		{"a small mirror of a large source", []mirror.TableReport{rows(3, 3, 0, 1000)}, "rows 3 of 3"},
		{"rows that changed at the source", []mirror.TableReport{pending(rows(40, 30, 0, 0))}, "rows 30 of 40"},
		{"stopped at MaxDifferences, all differ", []mirror.TableReport{truncated(rows(1000, 20, 0, 0), 20)}, "rows 1000 of 1000"},
		{"stopped at MaxDifferences before there were ten", []mirror.TableReport{truncated(rows(1000, 1, 0, 0), 1)}, "rows 1000 of 1000"},
		{"stopped at MaxDifferences, few differ", []mirror.TableReport{truncated(rows(1000, 20, 0, 0), 900)}, ""},
		{"by numbers of rows, the mirror has more", []mirror.TableReport{counted(10, 100)}, "rows 90 of 100"},
		{"by numbers of rows, the source has more", []mirror.TableReport{counted(100, 10)}, ""},
		{"rows that could not be compared", []mirror.TableReport{{Verdict: mirror.VerdictIncomparable, SourceRows: 0, MirrorRows: 100}}, ""},
		{"a table that the source lacks", []mirror.TableReport{{Verdict: mirror.VerdictExtra, MirrorRows: 100}, same}, ""},
		{"five tables of five", []mirror.TableReport{missing, ahead, missing, missing, missing}, ""},
		{"six tables of six", []mirror.TableReport{missing, ahead, missing, ahead, missing, ahead}, "tables 6 of 6"},
		{"six tables of twelve", []mirror.TableReport{ahead, ahead, ahead, ahead, ahead, ahead, same, same, same, same, same, same}, ""},
		{"six tables of eleven", []mirror.TableReport{ahead, ahead, ahead, ahead, ahead, missing, same, same, same, same, same}, "tables 6 of 11"},
		{"empty tables do not count", []mirror.TableReport{ahead, ahead, ahead, ahead, ahead, ahead, same, same, same, same, same, rows(0, 0, 0, 0)}, "tables 6 of 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := measured(c.tables...)
			err := report.Err()
			if c.want == "" {
				require.NotErrorIs(t, err, mirror.ErrTooMuch)
				return
			}
			require.ErrorIs(t, err, mirror.ErrTooMuch)
			var limit *mirror.LimitError
			require.ErrorAs(t, err, &limit)
			require.Equal(t, c.want, fmt.Sprintf("%s %d of %d", limit.What, limit.Count, limit.Of))
			require.Equal(t, 0.5, limit.Limit)
			require.ErrorContains(t, err, "more than 50 %: is the source the right database?")
		})
	}
}

// What is too much is held against what is really reset, and the options.
func TestApplyLimits(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	build := func(wrong func(table, row int) bool) (*memory.Store, *mirror.Mirror, *mirror.Plan) {
		source, st := memory.New(), memory.New()
		lsns := map[string]store.LSN{}
		for i, name := range names {
			for _, s := range []*memory.Store{source, st} {
				tb := memory.Table{Name: name, Columns: []string{"id int", "v nvarchar(9)"}, Key: []string{"id"}}
				for n := range 10 {
					v := "right"
					if s == st && wrong(i, n) {
						v = "wrong"
					}
					tb.Rows = append(tb.Rows, store.Row{n, v})
				}
				require.NoError(t, s.Seed(tb))
			}
			lsns[name] = 5
		}
		require.NoError(t, st.Seed(memory.Metadata(customer, lsns)))
		m := newMirror(t, st, nil)
		report, err := m.Compare(t.Context(), still{source}, nil)
		require.NoError(t, err)
		data, err := json.Marshal(report.Plan())
		require.NoError(t, err)
		var plan *mirror.Plan
		require.NoError(t, json.Unmarshal(data, &plan))
		return st, m, plan
	}
	oneRowOf := func(tables int) func(int, int) bool { return func(i, n int) bool { return i < tables && n == 0 } }
	mostRows := func(i, n int) bool { return n > 3 }
	for _, c := range []struct {
		name  string
		wrong func(table, row int) bool
		opts  mirror.ApplyOptions
		want  string
	}{
		{"five tables of nine", oneRowOf(5), mirror.ApplyOptions{}, ""},
		{"six tables of nine", oneRowOf(6), mirror.ApplyOptions{}, "tables 6 of 9"},
		{"six tables of nine, allowed", oneRowOf(6), mirror.ApplyOptions{MaxTableShare: 0.7}, ""},
		{"seven tables of nine, not allowed", oneRowOf(7), mirror.ApplyOptions{MaxTableShare: 0.7}, "tables 7 of 9"},
		{"all tables, allowed", oneRowOf(9), mirror.ApplyOptions{MaxTableShare: 1}, ""},
		{"five of them named", oneRowOf(9), mirror.ApplyOptions{Tables: names[:5]}, ""},
		{"six of them named", oneRowOf(9), mirror.ApplyOptions{Tables: names[:6]}, "tables 6 of 9"},
		{"three planned and three forced", oneRowOf(3), mirror.ApplyOptions{Tables: names[:6], Force: true}, "tables 6 of 9"},
		{"a dry run", oneRowOf(9), mirror.ApplyOptions{DryRun: true}, "tables 9 of 9"},
		{"most rows", mostRows, mirror.ApplyOptions{}, "rows 54 of 90"},
		{"most rows, and one table", mostRows, mirror.ApplyOptions{Tables: names[:1]}, "rows 54 of 90"},
		{"most rows, allowed", mostRows, mirror.ApplyOptions{MaxRowShare: 0.6, MaxTableShare: 1}, ""},
		{"most rows, allowed, but not the tables", mostRows, mirror.ApplyOptions{MaxRowShare: 1}, "tables 9 of 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, m, plan := build(c.wrong)
			before := mirrortest.Dump(t, store)
			receipt, err := m.Apply(t.Context(), plan, &c.opts)
			if c.want == "" {
				require.NoError(t, err)
				require.NoError(t, m.Undo(t.Context(), receipt))
				return
			}
			require.Nil(t, receipt)
			var limit *mirror.LimitError
			require.ErrorAs(t, err, &limit)
			require.Equal(t, c.want, fmt.Sprintf("%s %d of %d", limit.What, limit.Count, limit.Of))
			require.Equal(t, before, mirrortest.Dump(t, store))
		})
	}
	for _, share := range []float64{-0.1, math.NaN()} {
		_, m, plan := build(oneRowOf(1))
		_, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{MaxRowShare: share})
		require.ErrorContains(t, err, "MaxRowShare")
		_, err = heal.Run(t.Context(), m, memory.New(), &heal.Options{MaxTableShare: share})
		require.ErrorContains(t, err, "MaxTableShare")
	}
	for name, alter := range map[string]func(*mirror.Plan){
		"fewer differing rows": func(p *mirror.Plan) { p.DifferingRows = 0 },
		"more compared rows":   func(p *mirror.Plan) { p.ComparedRows = 1 << 40 },
		"more tables":          func(p *mirror.Plan) { p.ComparedTables = 99 },
		"no missing rows":      func(p *mirror.Plan) { p.MissingRows = -1 },
		"another time":         func(p *mirror.Plan) { p.Time = p.Time.Add(time.Second) },
		"no sum":               func(p *mirror.Plan) { p.FiguresSum = "" },
	} {
		t.Run("figures that were changed: "+name, func(t *testing.T) {
			store, m, plan := build(mostRows)
			alter(plan)
			before := mirrortest.Dump(t, store)
			_, err := m.Apply(t.Context(), plan, &mirror.ApplyOptions{MaxRowShare: 1, MaxTableShare: 1})
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			require.ErrorContains(t, err, "figures")
			require.Equal(t, before, mirrortest.Dump(t, store))
		})
	}
}

// crmTables are what the two generated customers have.
var crmTables = []string{"contact", "person", "appointment", "sale", "project", "country"}

// With another customer's database of the same shape every operation ends in an
// error, and nothing is changed.
func TestAnotherCustomersDatabase(t *testing.T) {
	ctx := t.Context()
	stores := map[string]func(t *testing.T) store.Store{
		"memory": func(*testing.T) store.Store { return memory.New() },
		"sqlite": func(t *testing.T) store.Store {
			st, err := sqlite.Create(ctx, filepath.Join(t.TempDir(), "a.db"))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			return st
		},
	}
	for engine, open := range stores {
		t.Run(engine, func(t *testing.T) {
			right, wrong, st := open(t), open(t), open(t)
			require.NoError(t, crm.Load(t.Context(), right, crm.Options{Contacts: 20, Seed: 1}, crmTables...))
			customers := cycle.NewCustomer(customer, right)
			_, err := (&cycle.Task{Customer: customers, Mirror: st}).Run(t.Context())
			require.NoError(t, err)
			// Where the other customer's changes are tracked from its first row on,
			// they all came after the mirror's LSN, so they look pending.
			later := cycle.NewCustomer(customer, wrong)
			require.NoError(t, crm.Load(t.Context(), later, crm.Options{Contacts: 20, Seed: 2}, crmTables...))
			sources := map[string]store.Source{
				"no change tracking":  through{wrong},
				"nothing changed":     still{wrong},
				"the LSN is ahead":    cycle.NewCustomer(customer, wrong),
				"everything changed":  later,
				"the LSN has expired": expired{still{wrong}},
				"changes are refused": &tracker{Customer: later, err: errBoom},
				"one table in common": only{still{wrong}, "contact"},
			}
			before := mirrortest.Dump(t, st)
			for name, source := range sources {
				for _, strategy := range []mirror.Strategy{mirror.StrategyStream, mirror.StrategyDigest} {
					for _, tables := range [][]string{nil, {"contact"}} {
						for _, most := range []int64{0, 30} {
							if engine == "sqlite" && (most > 0 || (tables == nil) != (strategy == mirror.StrategyDigest)) {
								continue // what is refused is not up to the engine: each strategy once
							}
							t.Run(fmt.Sprintf("%s, %s, %v, at most %d", name, strategy, tables, most), func(t *testing.T) {
								refuses(t, st, source, &mirror.CompareOptions{Strategy: strategy, Tables: tables, MaxDifferences: most})
								require.Equal(t, before, mirrortest.Dump(t, st))
							})
						}
					}
				}
			}
		})
	}
}

// refuses demands that every operation ends in an error.
func refuses(t *testing.T, store store.Store, source store.Source, opts *mirror.CompareOptions) {
	t.Helper()
	ctx := t.Context()
	clock := mirrortest.NewClockwork()
	m := newMirror(t, store, &mirror.Options{Clock: clock})
	mistaken := func(err error) {
		t.Helper()
		require.Error(t, err)
		require.True(t, errors.Is(err, mirror.ErrTooMuch) || errors.Is(err, mirror.ErrWrongDatabase), "%v", err)
	}
	report, err := m.Compare(ctx, source, opts)
	require.NoError(t, err)
	mistaken(report.Err())
	require.False(t, report.Identical())
	for _, o := range []mirror.ApplyOptions{
		{}, {Unknown: true}, {Unknown: true, HardReset: true, Confirm: customer}, {Tables: []string{"contact"}, Unknown: true, Force: true}, {SkipMoved: true, Unknown: true},
	} {
		receipt, err := m.Apply(ctx, report.Plan(), &o)
		require.Nil(t, receipt)
		if !errors.Is(err, mirror.ErrNothingToDo) { // nothing that needs no asking
			mistaken(err)
		}
	}
	again, err := m.Recheck(ctx, source, report, &mirror.RecheckOptions{After: 1})
	if err == nil {
		err = again.Err()
		receipt, applied := m.Apply(ctx, again.Plan(), &mirror.ApplyOptions{Unknown: true, Confirm: customer})
		require.Nil(t, receipt)
		mistaken(applied)
	}
	mistaken(err)
	h, err := heal.Run(ctx, m, source, &heal.Options{Compare: opts, Unknown: true})
	mistaken(err)
	require.False(t, h.Healed)
	require.Equal(t, noon, clock.Now(), "at once")
	fleet := &fleet.Fleet{Members: []fleet.Member{{ContextID: customer, Open: func(context.Context) (*fleet.Connection, error) {
		return &fleet.Connection{Mirror: m, Source: source}, nil
	}}}}
	for r := range fleet.Compare(ctx, opts) {
		mistaken(r.Err)
	}
}

// through hides everything of a store but that it can be read.
type through struct{ store.Source }

// expired is a source that has forgotten all changes.
type expired struct{ still }

func (expired) MinValidVersion(context.Context, store.Table) (store.LSN, error) {
	return math.MaxInt64, nil
}

// only is a source of which one table can be seen.
type only struct {
	still
	table string
}

func (s only) Tables(ctx context.Context) ([]store.Table, error) {
	all, err := s.still.Tables(ctx)
	for _, t := range all {
		if t.Name == s.table {
			return []store.Table{t}, err
		}
	}
	return nil, err
}

// An LSN that is ahead may be that of another customer: without rows that were
// compared nothing says that the source is the right one.
func TestAheadWithoutRows(t *testing.T) {
	for depth, want := range map[mirror.Depth]mirror.Step{
		mirror.DepthRows: mirror.StepReset, mirror.DepthCount: mirror.StepUnknown, mirror.DepthSchema: mirror.StepUnknown,
	} {
		report := measured(mirror.TableReport{Verdict: mirror.VerdictIdentical, LSNState: mirror.LSNAhead, SourceRows: 1, MirrorRows: 1})
		report.Depth = depth
		require.Equal(t, want, report.Plan().Tables[0].Step, depth)
		require.Equal(t, want == mirror.StepReset, len(report.Stale()) == 1, depth)
	}
}
