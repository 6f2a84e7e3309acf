package heal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var errBoom = errors.New("boom")

// steps has a cycle populate contact in steps, so that each is seen: it is
// wiped, filled with so many rows at a time, and gets its LSN last.
func steps(f *mirrortest.Follower, c *mirrortest.Clockwork, from time.Duration, lsn store.LSN, counts ...int) {
	_, all, _ := f.Store.Table("contact")
	for i, n := range counts {
		c.After(from+time.Duration(i)*time.Minute, func() { require.NoError(f.T, f.Store.Seed(mirrortest.Companies(all[:n]...))) })
	}
	c.After(from+time.Duration(len(counts))*time.Minute, func() { f.SetLSN(int64(lsn)) })
}

func TestWait(t *testing.T) {
	for _, c := range []struct {
		name     string
		truncate bool
		do       func(f *mirrortest.Follower, c *mirrortest.Clockwork)
		opts     func(f *mirrortest.Follower) *heal.WaitOptions

		want  string // state, rows and proof
		err   error
		after time.Duration // that it took
	}{
		{name: "a cycle is seen to populate it", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			steps(f, c, 10*time.Minute, 900, 0, 5, 10)
		}, want: "populated 10 it was seen being wiped", after: 13 * time.Minute},
		{name: "a cycle comes and goes between two looks", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(10*time.Minute, f.Cycle)
		}, want: "populated 10 ", after: 10 * time.Minute},
		{name: "at night", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(18*time.Hour, f.Cycle)
		}, want: "populated 10 ", after: 18 * time.Hour, opts: func(*mirrortest.Follower) *heal.WaitOptions {
			return &heal.WaitOptions{MaxCycles: 1, Schedule: heal.Schedule{NightFrom: 12 * time.Hour, NightTo: 6 * time.Hour}}
		}},
		{name: "it was emptied and is full again", truncate: true, do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(10*time.Minute, f.Cycle)
		}, want: "populated 10 it was emptied and is full again", after: 10 * time.Minute},
		{name: "a cycle that was running writes its LSN", truncate: true, do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() { f.Insert(f.Store, store.Row{3, "c"}); f.SetLSN(int64(850)) })
		}, want: "lost 1 it was emptied and has 1 row of 10", err: heal.ErrLostReset, after: time.Minute},
		{name: "a cycle that was running writes its LSN, and nothing was emptied", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() { f.SetLSN(int64(850)) })
		}, want: "lost 10 1 of 1 row that differed as before", err: heal.ErrLostReset, after: time.Minute, opts: func(f *mirrortest.Follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.Customer, Report: compare(f)}
		}},
		{name: "a lost reset is repeated", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() { f.SetLSN(int64(850)) })
			c.After(10*time.Minute, f.Cycle)
		}, want: "populated 10 a row that differed was read again, and is not as it was", after: 10 * time.Minute, opts: func(f *mirrortest.Follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.Customer, Report: compare(f), ResetAgain: 1}
		}},
		{name: "it is lost as often as it is repeated", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() { f.SetLSN(int64(850)) })
			c.After(2*time.Minute, func() { f.SetLSN(int64(851)) })
			c.After(3*time.Minute, func() { f.SetLSN(int64(852)) })
		}, want: "lost 10 1 of 1 row that differed as before", err: heal.ErrLostReset, after: 3 * time.Minute, opts: func(f *mirrortest.Follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.Customer, Report: compare(f), ResetAgain: 2}
		}},
		{name: "changes delete rows before a lost reset shows", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() { f.Remove(f.Store, 9) })
			c.After(2*time.Minute, func() { f.SetLSN(int64(850)) })
		}, want: "populated 9 ", after: 2 * time.Minute},
		{name: "it was emptied in the middle of being filled", truncate: true, do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() {
				for i := range 7 {
					f.Insert(f.Store, store.Row{i, "late"})
				}
				f.SetLSN(int64(850))
			})
		}, want: "populated 7 ", after: time.Minute},
		{name: "the source lost most of its rows", truncate: true, do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(10*time.Minute, func() {
				for i := range 8 {
					f.Remove(f.Customer, i)
				}
				f.Cycle()
			})
		}, want: "populated 2 it was emptied and is full again", after: 10 * time.Minute, opts: func(f *mirrortest.Follower) *heal.WaitOptions {
			return &heal.WaitOptions{Source: f.Customer}
		}},
		{name: "as many cycles as one likes", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(10*time.Minute, f.Cycle)
		}, want: "populated 10 ", after: 10 * time.Minute, opts: func(*mirrortest.Follower) *heal.WaitOptions {
			return &heal.WaitOptions{MaxCycles: math.MaxInt}
		}},
		{name: "no cycle comes", do: func(*mirrortest.Follower, *mirrortest.Clockwork) {}, want: "requested 10 ", err: heal.ErrOverdue, after: 80 * time.Minute,
			opts: func(*mirrortest.Follower) *heal.WaitOptions { return &heal.WaitOptions{MaxCycles: 1} }},
		{name: "no cycle comes, three times", do: func(*mirrortest.Follower, *mirrortest.Clockwork) {}, want: "requested 10 ", err: heal.ErrOverdue, after: 240 * time.Minute},
		{name: "a cycle begins and does not go on", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(10*time.Minute, func() { require.NoError(f.T, f.Store.Seed(mirrortest.Companies())) })
		}, want: "filling 0 ", err: heal.ErrOverdue, after: 90 * time.Minute,
			opts: func(*mirrortest.Follower) *heal.WaitOptions { return &heal.WaitOptions{MaxCycles: 1} }},
		{name: "the connection is lost for a while", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() {
				for n := range 8 {
					f.Store.FailAt(memory.Count, n+1, store.ErrConnection)
				}
			})
			c.After(10*time.Minute, f.Cycle)
		}, want: "populated 10 ", after: 10 * time.Minute},
		{name: "the database fails", do: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			c.After(time.Minute, func() { f.Store.FailTable(memory.Count, "contact", errBoom) })
		}, want: "requested 10 ", err: errBoom, after: time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			f := mirrortest.Follow(t)
			f.Touch(f.Store, "contact", 3, "tampered")
			clock := mirrortest.NewClockwork()
			var opts *heal.WaitOptions
			if c.opts != nil {
				opts = c.opts(f)
			}
			m := mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock})
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
			require.InDelta(t, c.after, clock.Now().Sub(mirrortest.Noon), float64(30*time.Second), "%s", clock.Now().Sub(mirrortest.Noon))
		})
	}
}

func compare(f *mirrortest.Follower) *mirror.Report {
	f.T.Helper()
	report, err := mirrortest.NewMirror(f.T, f.Store, nil).Compare(f.T.Context(), f.Customer, nil)
	require.NoError(f.T, err)
	return report
}

func TestWaitReportsProgress(t *testing.T) {
	f := mirrortest.Follow(t)
	clock := mirrortest.NewClockwork()
	m := mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock})
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	steps(f, clock, 10*time.Minute, 900, 0, 5, 10)
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
	f := mirrortest.Follow(t)
	m := mirrortest.NewMirror(t, f.Store, nil)
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
	require.NoError(t, f.Store.Seed(memory.Metadata(mirrortest.ContextID, map[string]store.LSN{"contact": -1})))
	clock := mirrortest.NewClockwork()
	clock.After(time.Minute, cancel)
	report, err := heal.Wait(ctx, mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock}), nil, &heal.WaitOptions{Tables: []string{"Contact"}})
	require.Equal(t, context.Canceled, err)
	require.Equal(t, heal.WaitRequested, report.Tables[0].State)
}

// A table that nobody is known to have reset is not called populated.
func TestWaitNotRequested(t *testing.T) {
	f := mirrortest.Follow(t)
	require.NoError(t, f.Store.Seed(memory.Metadata(mirrortest.ContextID, map[string]store.LSN{"contact": 7})))
	report, err := heal.Wait(t.Context(), mirrortest.NewMirror(t, f.Store, nil), nil, &heal.WaitOptions{Tables: []string{"contact"}})
	require.NoError(t, err)
	require.Equal(t, heal.WaitNotRequested, report.Tables[0].State)
}

// Names that mean the metadata table are refused before anything is read, whatever
// the source has.
func TestWaitRefusesTheMetadataTable(t *testing.T) {
	f := mirrortest.Follow(t)
	f.Store.FailTable(memory.Count, "contact", errBoom)
	f.Store.FailAt(memory.Tables, 1, store.ErrConnection)
	for _, name := range []string{mirrortest.ContextID + "_mirroring", "dbo." + mirrortest.ContextID + "_MIRRORING "} {
		for _, source := range []store.Source{nil, f.Customer} {
			_, err := heal.Wait(t.Context(), mirrortest.NewMirror(t, f.Store, nil), nil, &heal.WaitOptions{Tables: []string{name}, Source: source})
			require.ErrorIs(t, err, store.ErrTableNotFound)
			require.ErrorContains(t, err, "wait of "+mirrortest.ContextID)
			require.ErrorContains(t, err, "is the metadata table: no cycle populates it")
		}
		_, err := mirrortest.NewMirror(t, f.Store, nil).StatusOf(t.Context(), []string{name})
		require.ErrorIs(t, err, store.ErrTableNotFound)
	}
}

// What keeps one table from being looked at does not hide what became of another.
func TestWaitLooksAtTheOthers(t *testing.T) {
	f := mirrortest.Follow(t)
	m := mirrortest.NewMirror(t, f.Store, nil)
	receipt, err := m.ResetTables(t.Context(), []string{"contact", "person"}, nil)
	require.NoError(t, err)
	f.Cycle()
	f.Store.FailTable(memory.Count, "person", errBoom)
	report, err := heal.Wait(t.Context(), m, receipt, nil)
	require.ErrorIs(t, err, errBoom)
	require.ErrorContains(t, err, "person")
	require.Equal(t, "contact", report.Tables[0].Table)
	require.Equal(t, heal.WaitPopulated, report.Tables[0].State)
	require.Equal(t, heal.WaitRequested, report.Tables[1].State)
}

// A cycle that takes long with one table is not overdue for the next.
func TestWaitForATableBehindALongOne(t *testing.T) {
	f := mirrortest.Follow(t)
	clock := mirrortest.NewClockwork()
	m := mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock})
	receipt, err := m.ResetTables(t.Context(), []string{"contact", "person"}, nil)
	require.NoError(t, err)
	_, all, _ := f.Store.Table("contact")
	for i := range all { // a row an hour
		clock.After(time.Duration(i+1)*time.Hour, func() { require.NoError(t, f.Store.Seed(mirrortest.Companies(all[:i]...))) })
	}
	clock.After(11*time.Hour, f.Cycle)
	report, err := heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{
		MaxCycles: 1, Schedule: heal.Schedule{NightFrom: time.Hour, NightTo: time.Hour},
	})
	require.NoError(t, err, "%s", report)
	require.Equal(t, heal.WaitPopulated, report.Tables[1].State)
}

func TestWaitForWhatTheSourceDoesNotHave(t *testing.T) {
	f := mirrortest.Follow(t)
	clock := mirrortest.NewClockwork()
	m := mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock})
	_, err := heal.Wait(t.Context(), m, nil, &heal.WaitOptions{Tables: []string{"nothing"}, Source: f.Customer})
	require.ErrorIs(t, err, store.ErrTableNotFound)
	require.Equal(t, mirrortest.Noon, clock.Now(), "at once")
}

// What differs at the first look and has arrived since is no witness; what has
// diverged is.
func TestWaitAsksWhatHasDiverged(t *testing.T) {
	f := mirrortest.Follow(t)
	for i := range 9 {
		f.Touch(f.Customer, "contact", i, "renamed")
	}
	for i := range 20 {
		f.Insert(f.Customer, store.Row{-1 - i, "new"})
	}
	f.Touch(f.Store, "contact", 9, "tampered")
	clock := mirrortest.NewClockwork()
	m := mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock})
	report, err := m.Compare(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, nil)
	require.NoError(t, err)
	f.Cycle()
	report, err = m.Recheck(t.Context(), mirrortest.NoTracking{Customer: f.Customer}, report, &mirror.RecheckOptions{Cycles: 1})
	require.NoError(t, err)
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	clock.After(time.Minute, func() { f.SetLSN(int64(850)) })
	waited, err := heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{Source: f.Customer, Report: report})
	require.ErrorIs(t, err, heal.ErrLostReset, "%s", waited)
}

// The connection is down from the first look on: that is why nothing moved.
func TestWaitSaysWhyItCouldNotLook(t *testing.T) {
	f := mirrortest.Follow(t)
	clock := mirrortest.NewClockwork()
	m := mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock})
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	f.Store.FailTable(memory.Count, "contact", store.ErrConnection)
	_, err = heal.Wait(t.Context(), m, receipt, &heal.WaitOptions{MaxCycles: 1})
	require.ErrorIs(t, err, heal.ErrOverdue)
	require.ErrorIs(t, err, store.ErrConnection)
}

func TestWaitTableJSON(t *testing.T) {
	for name, c := range map[string]struct {
		table heal.WaitTable
		want  string
	}{
		"filling":   {heal.WaitTable{Table: "contact", State: heal.WaitFilling, Rows: 5, Expected: 10, Remaining: 1500 * time.Millisecond}, `{"table":"contact","state":"filling","lsn":null,"rows":5,"expected":10,"remaining":1.5}`},
		"requested": {heal.WaitTable{Table: "contact", State: heal.WaitRequested}, `{"table":"contact","state":"requested","lsn":null,"rows":0,"expected":0}`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(c.table)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(text))
			var back heal.WaitTable
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, c.table, back)
		})
	}
}
