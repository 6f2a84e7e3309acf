package heal_test

import (
	"context"
	"fmt"
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

func TestHeal(t *testing.T) {
	for _, c := range []struct {
		name    string
		damage  func(f *mirrortest.Follower, c *mirrortest.Clockwork)
		opts    *heal.Options
		source  func(f *mirrortest.Follower) store.Source
		healed  bool
		rounds  int
		resets  int
		err     error
		inspect func(t *testing.T, f *mirrortest.Follower, h *heal.Report)
	}{
		{name: "nothing is wrong", damage: func(*mirrortest.Follower, *mirrortest.Clockwork) {}, healed: true, rounds: 1},
		{name: "only pending rows", damage: func(f *mirrortest.Follower, _ *mirrortest.Clockwork) {
			f.Touch(f.Customer, "contact", 3, "renamed")
		}, healed: true, rounds: 1},
		{name: "a row diverged", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			c.After(10*time.Minute, f.Cycle)
		}, healed: true, rounds: 2, resets: 1},
		{name: "the first reset is lost", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			c.After(time.Minute, func() { f.SetLSN(int64(2)) })
			c.After(10*time.Minute, f.Cycle)
		}, healed: true, rounds: 2, resets: 1, inspect: func(t *testing.T, _ *mirrortest.Follower, h *heal.Report) {
			require.Len(t, h.Rounds[0].Wait.Receipts, 1)
		}},
		{name: "somebody tampers with it again and again", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			for i := range 5 {
				c.After(time.Duration(i+1)*10*time.Minute, func() { f.Cycle(); f.Touch(f.Store, "contact", 3, fmt.Sprint("tampered ", i)) })
			}
		}, rounds: 3, resets: 2},
		{name: "the columns differ, and no cycle comes", damage: func(f *mirrortest.Follower, _ *mirrortest.Clockwork) {
			widen(f)
		}, rounds: 1, inspect: func(t *testing.T, f *mirrortest.Follower, h *heal.Report) {
			require.Equal(t, mirror.StepUnknown, h.Rounds[0].Plan.Tables[0].Step)
			lsn, _ := f.Store.LSN(mirrortest.ContextID, "contact")
			require.Positive(t, lsn)
		}},
		{name: "the columns differ, and a cycle mends that", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			widen(f)
			c.After(10*time.Minute, f.Cycle)
		}, healed: true, rounds: 2},
		{name: "the columns differ, and a reset mends that", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			widen(f)
			for i := range 2 { // cycles that do not notice
				c.After(time.Duration(i)*20*time.Minute+time.Minute, func() { f.SetLSN(int64(100 + i)) })
			}
			c.After(50*time.Minute, f.Cycle)
		}, healed: true, rounds: 2, resets: 1},
		{name: "the columns differ, and not even a reset mends that", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			widen(f)
			for i := range 20 {
				c.After(time.Duration(i)*20*time.Minute+time.Minute, func() { f.SetLSN(int64(100 + i)) })
			}
		}, rounds: 2, resets: 1, inspect: func(t *testing.T, f *mirrortest.Follower, h *heal.Report) {
			require.Equal(t, mirror.StepHardReset, h.Rounds[1].Plan.Tables[0].Step)
			require.Contains(t, h.Stopped, "needs a hard reset")
			lsn, _ := f.Store.LSN(mirrortest.ContextID, "contact")
			require.Positive(t, lsn, "a hard reset is the operator's decision")
		}},
		{name: "the LSN has expired", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.Forget()
			c.After(10*time.Minute, f.Cycle)
		}, healed: true, rounds: 2, resets: 1},
		{name: "the LSN has expired, and no cycle comes", damage: func(f *mirrortest.Follower, _ *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.Forget()
		}, rounds: 1, resets: 1, err: heal.ErrOverdue},
		{name: "somebody reset it, and a cycle populates it", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.SetLSN(int64(-1))
			c.After(10*time.Minute, f.Cycle)
		}, healed: true, rounds: 2},
		{name: "somebody reset it, and a running cycle writes its LSN over that", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.SetLSN(int64(-1))
			c.After(10*time.Minute, func() { f.SetLSN(int64(1)) })
			c.After(30*time.Minute, f.Cycle)
		}, healed: true, rounds: 3, resets: 1},
		{name: "somebody resets it again and again", damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.SetLSN(int64(-1))
			for i := range 9 { // no cycle sees the -1
				c.After(time.Duration(i+1)*10*time.Minute, func() { f.SetLSN(int64(2)) })
			}
		}, opts: &heal.Options{Rounds: 1}, rounds: 2, source: func(f *mirrortest.Follower) store.Source {
			return mirrortest.Reading{NoTracking: mirrortest.NoTracking{Customer: f.Customer}, Do: func() { f.SetLSN(int64(-1)) }}
		}, inspect: func(t *testing.T, _ *mirrortest.Follower, h *heal.Report) {
			require.Contains(t, h.Stopped, "the LSN of contact is -1, and no cycle has populated it yet")
		}},
		{name: "somebody reset it, and no cycle comes", damage: func(f *mirrortest.Follower, _ *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			f.SetLSN(int64(-1))
		}, rounds: 1, err: heal.ErrOverdue},
		{name: "a table that the source lacks", damage: func(f *mirrortest.Follower, _ *mirrortest.Clockwork) {
			require.NoError(f.T, f.Store.Seed(memory.Table{Name: "more", Columns: []string{"id int"}}, memory.Metadata(mirrortest.ContextID, map[string]store.LSN{"contact": 1, "person": 1, "more": 1})))
		}, rounds: 1, inspect: func(t *testing.T, _ *mirrortest.Follower, h *heal.Report) {
			require.Contains(t, h.Stopped, "more has a metadata row, and is not at the source")
		}},
		{name: "without change tracking", source: func(f *mirrortest.Follower) store.Source { return mirrortest.NoTracking{Customer: f.Customer} }, damage: func(f *mirrortest.Follower, c *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
			for i := range 6 {
				c.After(time.Duration(i)*20*time.Minute+time.Minute, func() {
					f.Touch(f.Customer, "contact", 7, fmt.Sprint("moves the LSN ", i))
					f.Cycle()
				})
			}
		}, healed: true, rounds: 2, resets: 1},
		{name: "no cycle comes", damage: func(f *mirrortest.Follower, _ *mirrortest.Clockwork) {
			f.Touch(f.Store, "contact", 3, "tampered")
		}, rounds: 1, resets: 1, err: heal.ErrOverdue},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			f := mirrortest.Follow(t)
			clock := mirrortest.NewClockwork()
			c.damage(f, clock)
			source := store.Source(f.Customer)
			if c.source != nil {
				source = c.source(f)
			}
			h, err := heal.Run(t.Context(), mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock}), source, c.opts)
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
func widen(f *mirrortest.Follower) {
	f.T.Helper()
	_, rows, _ := f.Store.Table("contact")
	other := mirrortest.Companies(rows...)
	other.Columns[1] = "name nvarchar(40)"
	require.NoError(f.T, f.Store.Seed(other))
}

func TestHealRefuses(t *testing.T) {
	f := mirrortest.Follow(t)
	m := mirrortest.NewMirror(t, f.Store, nil)
	_, err := heal.Run(t.Context(), m, nil, nil)
	require.ErrorContains(t, err, "source is nil")
	_, err = heal.Run(t.Context(), m, f.Customer, &heal.Options{Rounds: -1})
	require.ErrorContains(t, err, "negative")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h, err := heal.Run(ctx, m, f.Customer, nil)
	require.Equal(t, context.Canceled, err)
	require.NotNil(t, h)
	require.False(t, h.Healed)
}

// Heal touches nothing of which it is not known that it diverged.
func TestHealLeavesTheUnknownAlone(t *testing.T) {
	keyless := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "log", Columns: []string{"what nvarchar(20)"}, Rows: rows}
	}
	for name, st := range map[string]*memory.Store{
		"a table without a key":  memory.New(keyless(store.Row{"a"}), memory.Metadata(mirrortest.ContextID, map[string]store.LSN{"log": 1})),
		"a replica":              memory.New(keyless(store.Row{"a"}), memory.Table{Name: "_ReplicationState", Columns: []string{"id int"}, Key: []string{"id"}}),
		"before the first cycle": memory.New(keyless(store.Row{"a"})),
	} {
		t.Run(name, func(t *testing.T) {
			clock := mirrortest.NewClockwork()
			before := mirrortest.Dump(t, st)
			h, err := heal.Run(t.Context(), mirrortest.NewMirror(t, st, &mirror.Options{Clock: clock}), memory.New(keyless(store.Row{"a"}, store.Row{"b"})), nil)
			require.NoError(t, err)
			require.False(t, h.Healed, "%s", h)
			require.NotEmpty(t, h.Stopped)
			require.Equal(t, before, mirrortest.Dump(t, st))
		})
	}
	t.Run("a row that changes between any two cycles", func(t *testing.T) {
		f := mirrortest.Follow(t)
		clock := mirrortest.NewClockwork()
		f.Touch(f.Customer, "contact", 3, "renamed")
		for i := range 20 {
			clock.After(time.Duration(i)*20*time.Minute+time.Minute, func() {
				f.Cycle()
				f.Touch(f.Customer, "contact", 3, fmt.Sprint("renamed ", i))
			})
		}
		h, err := heal.Run(t.Context(), mirrortest.NewMirror(t, f.Store, &mirror.Options{Clock: clock}), mirrortest.NoTracking{Customer: f.Customer}, nil)
		require.NoError(t, err)
		require.Nil(t, h.Rounds[0].Receipt, "%s", h)
	})
}
