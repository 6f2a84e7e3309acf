package mirror_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
)

// clockwork is a clock that only sleeping moves. While it sleeps, things happen
// at their times.
type clockwork struct {
	t      *testing.T
	now    time.Time
	events []event
}

type event struct {
	at time.Time
	do func()
}

func (c *clockwork) options(o mirror.Options) *mirror.Options {
	o.Clock = c
	return &o
}

func (c *clockwork) Now() time.Time { return c.now }

func (c *clockwork) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	until := c.now.Add(d)
	for len(c.events) > 0 && !c.events[0].at.After(until) {
		e := c.events[0]
		c.events = c.events[1:]
		c.now = e.at
		e.do()
	}
	c.now = until
	return nil
}

// after has something happen some time after noon.
func (c *clockwork) after(d time.Duration, do func()) {
	c.events = append(c.events, event{noon.Add(d), do})
}

// steps has a cycle populate contact in steps, so that each is seen: it is
// wiped, filled with so many rows at a time, and gets its LSN last.
func (f *follower) steps(c *clockwork, from time.Duration, lsn store.LSN, counts ...int) {
	_, all, _ := f.store.Table("contact")
	for i, n := range counts {
		c.after(from+time.Duration(i)*time.Minute, func() { require.NoError(f.t, f.store.Seed(five(all[:n]...))) })
	}
	c.after(from+time.Duration(len(counts))*time.Minute, func() { f.lsn(int64(lsn)) })
}

func TestWait(t *testing.T) {
	for _, c := range []struct {
		name     string
		truncate bool
		do       func(f *follower, c *clockwork)
		opts     func(f *follower) *heal.WaitOptions

		want  string // state, rows and proof
		err   error
		after time.Duration // that it took
	}{
		{name: "a cycle is seen to populate it", do: func(f *follower, c *clockwork) {
			f.steps(c, 10*time.Minute, 900, 0, 5, 10)
		}, want: "populated 10 it was seen being wiped", after: 13 * time.Minute},
		{name: "a cycle comes and goes between two looks", do: func(f *follower, c *clockwork) {
			c.after(10*time.Minute, f.cycle)
		}, want: "populated 10 ", after: 10 * time.Minute},
		{name: "at night", do: func(f *follower, c *clockwork) {
			c.after(18*time.Hour, f.cycle)
		}, want: "populated 10 ", after: 18 * time.Hour, opts: func(*follower) *heal.WaitOptions {
			return &heal.WaitOptions{MaxCycles: 1, Schedule: heal.Schedule{NightFrom: 12 * time.Hour, NightTo: 6 * time.Hour}}
		}},
		{name: "it was emptied and is full again", truncate: true, do: func(f *follower, c *clockwork) {
			c.after(10*time.Minute, f.cycle)
		}, want: "populated 10 it was emptied and is full again", after: 10 * time.Minute},
		{name: "a cycle that was running writes its LSN", truncate: true, do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() { f.insert(f.store, store.Row{3, "c"}); f.lsn(int64(850)) })
		}, want: "lost 1 it was emptied and has 1 row of 10", err: mirror.ErrLostReset, after: time.Minute},
		{name: "a cycle that was running writes its LSN, and nothing was emptied", do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() { f.lsn(int64(850)) })
		}, want: "lost 10 1 of 1 row that differed as before", err: mirror.ErrLostReset, after: time.Minute, opts: func(f *follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.customer, Report: f.compare()}
		}},
		{name: "a lost reset is repeated", do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() { f.lsn(int64(850)) })
			c.after(10*time.Minute, f.cycle)
		}, want: "populated 10 1 row that differed changed", after: 10 * time.Minute, opts: func(f *follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.customer, Report: f.compare(), ResetAgain: 1}
		}},
		{name: "it is lost as often as it is repeated", do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() { f.lsn(int64(850)) })
			c.after(2*time.Minute, func() { f.lsn(int64(851)) })
			c.after(3*time.Minute, func() { f.lsn(int64(852)) })
		}, want: "lost 10 1 of 1 row that differed as before", err: mirror.ErrLostReset, after: 3 * time.Minute, opts: func(f *follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.customer, Report: f.compare(), ResetAgain: 2}
		}},
		{name: "changes delete rows before a lost reset shows", do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() { f.remove(f.store, 9) })
			c.after(2*time.Minute, func() { f.lsn(int64(850)) })
		}, want: "populated 9 ", after: 2 * time.Minute},
		{name: "it was emptied in the middle of being filled", truncate: true, do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() {
				for i := range 7 {
					f.insert(f.store, store.Row{i, "late"})
				}
				f.lsn(int64(850))
			})
		}, want: "populated 7 ", after: time.Minute},
		{name: "the source lost most of its rows", truncate: true, do: func(f *follower, c *clockwork) {
			c.after(10*time.Minute, func() {
				for i := range 8 {
					f.remove(f.customer, i)
				}
				f.cycle()
			})
		}, want: "populated 2 it was emptied and is full again", after: 10 * time.Minute, opts: func(f *follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.customer}
		}},
		{name: "as many cycles as one likes", do: func(f *follower, c *clockwork) {
			c.after(10*time.Minute, f.cycle)
		}, want: "populated 10 ", after: 10 * time.Minute, opts: func(*follower) *heal.WaitOptions {
			return &heal.WaitOptions{MaxCycles: math.MaxInt}
		}},
		{name: "no cycle comes", do: func(*follower, *clockwork) {}, want: "requested 10 ", err: mirror.ErrOverdue, after: 80 * time.Minute,
			opts: func(*follower) *heal.WaitOptions { return &heal.WaitOptions{MaxCycles: 1} }},
		{name: "no cycle comes, three times", do: func(*follower, *clockwork) {}, want: "requested 10 ", err: mirror.ErrOverdue, after: 240 * time.Minute},
		{name: "a cycle begins and does not go on", do: func(f *follower, c *clockwork) {
			c.after(10*time.Minute, func() { require.NoError(f.t, f.store.Seed(five())) })
		}, want: "filling 0 ", err: mirror.ErrOverdue, after: 90 * time.Minute,
			opts: func(*follower) *heal.WaitOptions { return &heal.WaitOptions{MaxCycles: 1} }},
		{name: "the connection is lost for a while", do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() {
				for n := range 8 {
					f.store.FailAt(memory.Count, n+1, store.ErrConnection)
				}
			})
			c.after(10*time.Minute, f.cycle)
		}, want: "populated 10 ", after: 10 * time.Minute},
		{name: "the database fails", do: func(f *follower, c *clockwork) {
			c.after(time.Minute, func() { f.store.FailTable(memory.Count, "contact", errBoom) })
		}, want: "requested 10 ", err: errBoom, after: time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			f := follow(t)
			f.touch(f.store, "contact", 3, "tampered")
			clock := &clockwork{t: t, now: noon}
			var opts *heal.WaitOptions
			if c.opts != nil {
				opts = c.opts(f)
			}
			m := newMirror(t, f.store, clock.options(mirror.Options{}))
			receipt, err := m.ResetTables(t.Context(), []string{"contact"}, &mirror.ResetOptions{Truncate: c.truncate})
			require.NoError(t, err)
			c.do(f, clock)
			report, err := heal.Wait(t.Context(), m, receipt, opts)
			if c.err == nil {
				require.NoError(t, err, "%s", report)
			} else {
				require.ErrorIs(t, err, c.err)
			}
			tr := report.Tables[0]
			require.Equal(t, c.want, fmt.Sprintf("%s %d %s", tr.State, tr.Rows, tr.Proof))
			require.InDelta(t, c.after, clock.now.Sub(noon), float64(30*time.Second), "%s", clock.now.Sub(noon))
		})
	}
}

func (f *follower) compare() *mirror.Report {
	f.t.Helper()
	report, err := newMirror(f.t, f.store, nil).Compare(f.t.Context(), f.customer, nil)
	require.NoError(f.t, err)
	return report
}

func TestWaitReportsProgress(t *testing.T) {
	f := follow(t)
	clock := &clockwork{t: t, now: noon}
	m := newMirror(t, f.store, clock.options(mirror.Options{}))
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	f.steps(clock, 10*time.Minute, 900, 0, 5, 10)
	var seen []string
	_, err = heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{Poll: time.Minute, Progress: func(r *heal.WaitReport) {
		tr := r.Tables[0]
		seen = append(seen, fmt.Sprintf("%s %d/%d %s", tr.State, tr.Rows, tr.Expected, tr.Remaining))
		require.NotEmpty(t, r.String())
	}})
	require.NoError(t, err)
	require.Equal(t, []string{"requested 10/10 0s", "filling 0/10 0s", "filling 5/10 1m0s", "filling 10/10 1m0s", "populated 10/10 0s"}, seen[9:])
}

func TestWaitRefuses(t *testing.T) {
	f := follow(t)
	m := newMirror(t, f.store, nil)
	for name, c := range map[string]struct {
		receipt *mirror.Receipt
		opts    *heal.WaitOptions
		want    string
	}{
		"nothing to wait for": {nil, nil, "no tables named"},
		"another's receipt":   {&mirror.Receipt{Version: 1, ContextID: "Cust2"}, nil, `"Cust2"`},
		"negative":            {nil, &heal.WaitOptions{Tables: []string{"contact"}, Poll: -1}, "negative"},
		"a night of 25 hours": {nil, &heal.WaitOptions{Tables: []string{"contact"}, Schedule: heal.Schedule{NightTo: 25 * time.Hour}}, "24:00"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := heal.Wait(t.Context(), m, c.receipt, c.opts)
			require.ErrorContains(t, err, c.want)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, f.store.Seed(memory.Metadata(customer, map[string]store.LSN{"contact": -1})))
	clock := &clockwork{t: t, now: noon}
	clock.after(time.Minute, cancel)
	report, err := heal.Wait(ctx, newMirror(t, f.store, clock.options(mirror.Options{})), nil, &heal.WaitOptions{Tables: []string{"Contact"}})
	require.Equal(t, context.Canceled, err)
	require.Equal(t, heal.WaitRequested, report.Tables[0].State)
}

// Names that mean the metadata table are refused before anything is read, whatever
// the source has.
func TestWaitRefusesTheMetadataTable(t *testing.T) {
	f := follow(t)
	f.store.FailTable(memory.Count, "contact", errBoom)
	f.store.FailAt(memory.Tables, 1, store.ErrConnection)
	for _, name := range []string{customer + "_mirroring", "dbo." + customer + "_MIRRORING "} {
		for _, source := range []store.Source{nil, f.customer} {
			_, err := heal.Wait(t.Context(), newMirror(t, f.store, nil), nil, &heal.WaitOptions{Tables: []string{name}, Source: source})
			require.ErrorIs(t, err, store.ErrTableNotFound)
			require.ErrorContains(t, err, "wait of "+customer)
			require.ErrorContains(t, err, "is the metadata table: no cycle populates it")
		}
		_, err := newMirror(t, f.store, nil).StatusOf(t.Context(), []string{name})
		require.ErrorIs(t, err, store.ErrTableNotFound)
	}
}

// What keeps one table from being looked at does not hide what became of another.
func TestWaitLooksAtTheOthers(t *testing.T) {
	f := follow(t)
	m := newMirror(t, f.store, nil)
	receipt, err := m.ResetTables(t.Context(), []string{"contact", "person"}, nil)
	require.NoError(t, err)
	f.cycle()
	f.store.FailTable(memory.Count, "person", errBoom)
	report, err := heal.Wait(t.Context(), m, receipt, nil)
	require.ErrorIs(t, err, errBoom)
	require.ErrorContains(t, err, "person")
	require.Equal(t, "contact", report.Tables[0].Table)
	require.Equal(t, heal.WaitPopulated, report.Tables[0].State)
	require.Equal(t, heal.WaitRequested, report.Tables[1].State)
}

func TestStatusOf(t *testing.T) {
	only := func(name string, rows ...store.Row) memory.Table {
		return memory.Table{Name: name, Columns: []string{"id int"}, Rows: rows}
	}
	st := memory.New(only("contact", store.Row{1}), only("person"), only("own"),
		memory.Metadata(customer, map[string]store.LSN{"contact": 5, "person": -1, "gone": 7}))
	m := newMirror(t, st, nil)
	status, err := m.StatusOf(t.Context(), []string{"PERSON", "contact ", "gone", "never", "own"})
	require.NoError(t, err)
	lsn := func(n store.LSN) *store.LSN { return &n }
	require.Equal(t, []mirror.TableStatus{
		{Table: "PERSON", State: mirror.TableResetRequested, LSN: lsn(-1)},
		{Table: "contact ", State: mirror.TableSynced, Rows: 1, LSN: lsn(5)},
		{Table: "gone", State: mirror.TableAbsent, LSN: lsn(7)},
		{Table: "never", State: mirror.TableAbsent},
		{Table: "own", State: mirror.TableNoMetadata},
	}, status.Tables)

	st.FailTable(memory.Count, "contact", errBoom)
	status, err = m.StatusOf(t.Context(), []string{"contact", "person"})
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, "person", status.Tables[0].Table)
	require.Len(t, status.Tables, 1)

	for name, call := range map[string]func() error{
		"no source":       func() error { _, err := m.CheckSource(t.Context(), nil, nil); return err },
		"keys, no source": func() error { _, _, err := m.Unchanged(t.Context(), nil, &mirror.Report{}, "contact", 1); return err },
		"keys, no report": func() error { _, _, err := m.Unchanged(t.Context(), st, nil, "contact", 1); return err },
		"another customer": func() error {
			_, _, err := m.Unchanged(t.Context(), st, &mirror.Report{ContextID: "X"}, "contact", 1)
			return err
		},
	} {
		require.Error(t, call(), name)
	}
}

func TestHeal(t *testing.T) {
	for _, c := range []struct {
		name    string
		damage  func(f *follower, c *clockwork)
		opts    *heal.Options
		source  func(f *follower) store.Source
		healed  bool
		rounds  int
		resets  int
		err     error
		inspect func(t *testing.T, f *follower, h *heal.Report)
	}{
		{name: "nothing is wrong", damage: func(*follower, *clockwork) {}, healed: true, rounds: 1},
		{name: "only pending rows", damage: func(f *follower, _ *clockwork) {
			f.touch(f.customer, "contact", 3, "renamed")
		}, healed: true, rounds: 1},
		{name: "a row diverged", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			c.after(10*time.Minute, f.cycle)
		}, healed: true, rounds: 2, resets: 1},
		{name: "the first reset is lost", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			c.after(time.Minute, func() { f.lsn(int64(2)) })
			c.after(10*time.Minute, f.cycle)
		}, healed: true, rounds: 2, resets: 1, inspect: func(t *testing.T, _ *follower, h *heal.Report) {
			require.Len(t, h.Rounds[0].Wait.Receipts, 1)
		}},
		{name: "somebody tampers with it again and again", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			for i := range 5 {
				c.after(time.Duration(i+1)*10*time.Minute, func() { f.cycle(); f.touch(f.store, "contact", 3, fmt.Sprint("tampered ", i)) })
			}
		}, rounds: 3, resets: 2},
		{name: "the columns differ, and no cycle comes", damage: func(f *follower, _ *clockwork) {
			f.widen()
		}, rounds: 1, inspect: func(t *testing.T, f *follower, h *heal.Report) {
			require.Equal(t, mirror.StepUnknown, h.Rounds[0].Plan.Tables[0].Step)
			lsn, _ := f.store.LSN(customer, "contact")
			require.Positive(t, lsn)
		}},
		{name: "the columns differ, and a cycle mends that", damage: func(f *follower, c *clockwork) {
			f.widen()
			c.after(10*time.Minute, f.cycle)
		}, healed: true, rounds: 2},
		{name: "the columns differ, and a reset mends that", damage: func(f *follower, c *clockwork) {
			f.widen()
			for i := range 2 { // cycles that do not notice
				c.after(time.Duration(i)*20*time.Minute+time.Minute, func() { f.lsn(int64(100 + i)) })
			}
			c.after(50*time.Minute, f.cycle)
		}, healed: true, rounds: 2, resets: 1},
		{name: "the columns differ, and not even a reset mends that", damage: func(f *follower, c *clockwork) {
			f.widen()
			for i := range 20 {
				c.after(time.Duration(i)*20*time.Minute+time.Minute, func() { f.lsn(int64(100 + i)) })
			}
		}, rounds: 2, resets: 1, inspect: func(t *testing.T, f *follower, h *heal.Report) {
			require.Equal(t, mirror.StepHardReset, h.Rounds[1].Plan.Tables[0].Step)
			require.Contains(t, h.Stopped, "needs a hard reset")
			lsn, _ := f.store.LSN(customer, "contact")
			require.Positive(t, lsn, "a hard reset is the operator's decision")
		}},
		{name: "the LSN has expired", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			f.forget()
			c.after(10*time.Minute, f.cycle)
		}, healed: true, rounds: 2, resets: 1},
		{name: "the LSN has expired, and no cycle comes", damage: func(f *follower, _ *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			f.forget()
		}, rounds: 1, resets: 1, err: mirror.ErrOverdue},
		{name: "somebody reset it, and a cycle populates it", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			f.lsn(int64(-1))
			c.after(10*time.Minute, f.cycle)
		}, healed: true, rounds: 2},
		{name: "somebody reset it, and a running cycle writes its LSN over that", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			f.lsn(int64(-1))
			c.after(10*time.Minute, func() { f.lsn(int64(1)) })
			c.after(30*time.Minute, f.cycle)
		}, healed: true, rounds: 3, resets: 1},
		{name: "somebody resets it again and again", damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			f.lsn(int64(-1))
			for i := range 9 { // no cycle sees the -1
				c.after(time.Duration(i+1)*10*time.Minute, func() { f.lsn(int64(2)) })
			}
		}, opts: &heal.Options{Rounds: 1}, rounds: 2, source: func(f *follower) store.Source {
			return reading{noTracking{f.customer}, func() { f.lsn(int64(-1)) }}
		}, inspect: func(t *testing.T, _ *follower, h *heal.Report) {
			require.Contains(t, h.Stopped, "the LSN of contact is -1, and no cycle has populated it yet")
		}},
		{name: "somebody reset it, and no cycle comes", damage: func(f *follower, _ *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			f.lsn(int64(-1))
		}, rounds: 1, err: mirror.ErrOverdue},
		{name: "a table that the source lacks", damage: func(f *follower, _ *clockwork) {
			require.NoError(f.t, f.store.Seed(memory.Table{Name: "more", Columns: []string{"id int"}}, memory.Metadata(customer, map[string]store.LSN{"contact": 1, "person": 1, "more": 1})))
		}, rounds: 1, inspect: func(t *testing.T, _ *follower, h *heal.Report) {
			require.Contains(t, h.Stopped, "more has a metadata row, and is not at the source")
		}},
		{name: "without change tracking", source: func(f *follower) store.Source { return noTracking{f.customer} }, damage: func(f *follower, c *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
			for i := range 6 {
				c.after(time.Duration(i)*20*time.Minute+time.Minute, func() {
					f.touch(f.customer, "contact", 7, fmt.Sprint("moves the LSN ", i))
					f.cycle()
				})
			}
		}, healed: true, rounds: 2, resets: 1},
		{name: "no cycle comes", damage: func(f *follower, _ *clockwork) {
			f.touch(f.store, "contact", 3, "tampered")
		}, rounds: 1, resets: 1, err: mirror.ErrOverdue},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			f := follow(t)
			clock := &clockwork{t: t, now: noon}
			c.damage(f, clock)
			source := store.Source(f.customer)
			if c.source != nil {
				source = c.source(f)
			}
			h, err := heal.Run(t.Context(), newMirror(t, f.store, clock.options(mirror.Options{})), source, c.opts)
			if c.err == nil {
				require.NoError(t, err, "%s", h)
			} else {
				require.ErrorIs(t, err, c.err)
			}
			require.Equal(t, c.healed, h.Healed, "%s", h)
			require.Len(t, h.Rounds, c.rounds, "%s", h)
			resets := 0
			for _, r := range h.Rounds {
				if r.Receipt != nil {
					resets++
				}
			}
			require.Equal(t, c.resets, resets)
			if c.inspect != nil {
				c.inspect(t, f, h)
			}
			require.NotEmpty(t, h.String())
		})
	}
}

// widen gives the mirror's contact a longer name.
func (f *follower) widen() {
	f.t.Helper()
	_, rows, _ := f.store.Table("contact")
	other := five(rows...)
	other.Columns[1] = "name nvarchar(40)"
	require.NoError(f.t, f.store.Seed(other))
}

func TestHealRefuses(t *testing.T) {
	f := follow(t)
	m := newMirror(t, f.store, nil)
	_, err := heal.Run(t.Context(), m, nil, nil)
	require.ErrorContains(t, err, "source is nil")
	_, err = heal.Run(t.Context(), m, f.customer, &heal.Options{Rounds: -1})
	require.ErrorContains(t, err, "negative")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h, err := heal.Run(ctx, m, f.customer, nil)
	require.Equal(t, context.Canceled, err)
	require.NotNil(t, h)
	require.False(t, h.Healed)
}

var _ store.ChangeTracker = (*cycle.Customer)(nil)

// A cycle that takes long with one table is not overdue for the next.
func TestWaitForATableBehindALongOne(t *testing.T) {
	f := follow(t)
	clock := &clockwork{t: t, now: noon}
	m := newMirror(t, f.store, clock.options(mirror.Options{}))
	receipt, err := m.ResetTables(t.Context(), []string{"contact", "person"}, nil)
	require.NoError(t, err)
	_, all, _ := f.store.Table("contact")
	for i := range all { // a row an hour
		clock.after(time.Duration(i+1)*time.Hour, func() { require.NoError(t, f.store.Seed(five(all[:i]...))) })
	}
	clock.after(11*time.Hour, f.cycle)
	report, err := heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{
		MaxCycles: 1, Schedule: heal.Schedule{NightFrom: time.Hour, NightTo: time.Hour},
	})
	require.NoError(t, err, "%s", report)
	require.Equal(t, heal.WaitPopulated, report.Tables[1].State)
}

func TestWaitForWhatTheSourceDoesNotHave(t *testing.T) {
	f := follow(t)
	clock := &clockwork{t: t, now: noon}
	m := newMirror(t, f.store, clock.options(mirror.Options{}))
	_, err := heal.Wait(t.Context(), m, nil, &heal.WaitOptions{Tables: []string{"nothing"}, Source: f.customer})
	require.ErrorIs(t, err, store.ErrTableNotFound)
	require.Equal(t, noon, clock.now, "at once")
}

// What was not done, or undone already, is said to be so.
func TestUndoOfWhatIsNotThere(t *testing.T) {
	store := world()
	m := newMirror(t, store, nil)
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.NoError(t, m.Undo(t.Context(), receipt))
	err = m.Undo(t.Context(), receipt)
	require.ErrorIs(t, err, mirror.ErrCannotUndo)
	require.ErrorContains(t, err, "nothing to undo")
}

// What differs at the first look and has arrived since is no witness; what has
// diverged is.
func TestWaitAsksWhatHasDiverged(t *testing.T) {
	f := follow(t)
	for i := range 9 {
		f.touch(f.customer, "contact", i, "renamed")
	}
	for i := range 20 {
		f.insert(f.customer, store.Row{-1 - i, "new"})
	}
	f.touch(f.store, "contact", 9, "tampered")
	clock := &clockwork{t: t, now: noon}
	m := newMirror(t, f.store, clock.options(mirror.Options{}))
	report, err := m.Compare(t.Context(), noTracking{f.customer}, nil)
	require.NoError(t, err)
	f.cycle()
	report, err = m.Recheck(t.Context(), noTracking{f.customer}, report, &mirror.RecheckOptions{Cycles: 1})
	require.NoError(t, err)
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	clock.after(time.Minute, func() { f.lsn(int64(850)) })
	waited, err := heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{Source: f.customer, Report: report})
	require.ErrorIs(t, err, mirror.ErrLostReset, "%s", waited)
}

// The connection is down from the first look on: that is why nothing moved.
func TestWaitSaysWhyItCouldNotLook(t *testing.T) {
	f := follow(t)
	clock := &clockwork{t: t, now: noon}
	m := newMirror(t, f.store, clock.options(mirror.Options{}))
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	f.store.FailTable(memory.Count, "contact", store.ErrConnection)
	_, err = heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{MaxCycles: 1})
	require.ErrorIs(t, err, mirror.ErrOverdue)
	require.ErrorIs(t, err, store.ErrConnection)
}

// Heal touches nothing of which it is not known that it diverged.
func TestHealLeavesTheUnknownAlone(t *testing.T) {
	keyless := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "log", Columns: []string{"what nvarchar(20)"}, Rows: rows}
	}
	for name, st := range map[string]*memory.Store{
		"a table without a key":  memory.New(keyless(store.Row{"a"}), memory.Metadata(customer, map[string]store.LSN{"log": 1})),
		"a replica":              memory.New(keyless(store.Row{"a"}), memory.Table{Name: "_ReplicationState", Columns: []string{"id int"}, Key: []string{"id"}}),
		"before the first cycle": memory.New(keyless(store.Row{"a"})),
	} {
		t.Run(name, func(t *testing.T) {
			clock := &clockwork{t: t, now: noon}
			before := dump(t, st)
			h, err := heal.Run(t.Context(), newMirror(t, st, clock.options(mirror.Options{})), memory.New(keyless(store.Row{"a"}, store.Row{"b"})), nil)
			require.NoError(t, err)
			require.False(t, h.Healed, "%s", h)
			require.NotEmpty(t, h.Stopped)
			require.Equal(t, before, dump(t, st))
		})
	}
	t.Run("a row that changes between any two cycles", func(t *testing.T) {
		f := follow(t)
		clock := &clockwork{t: t, now: noon}
		f.touch(f.customer, "contact", 3, "renamed")
		for i := range 20 {
			clock.after(time.Duration(i)*20*time.Minute+time.Minute, func() {
				f.cycle()
				f.touch(f.customer, "contact", 3, fmt.Sprint("renamed ", i))
			})
		}
		h, err := heal.Run(t.Context(), newMirror(t, f.store, clock.options(mirror.Options{})), noTracking{f.customer}, nil)
		require.NoError(t, err)
		require.Nil(t, h.Rounds[0].Receipt, "%s", h)
	})
}
