package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var errBoom = errors.New("boom")

// contacts are 20 companies, of which the first so many have another name.
func contacts(damage int) memory.Table {
	t := memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219)"}, Key: []string{"contact_id"}}
	for i := range 20 {
		name := fmt.Sprint("Company ", i)
		if i < damage {
			name += "!"
		}
		t.Rows = append(t.Rows, store.Row{i, name})
	}
	return t
}

// member is a customer whose contacts differ in so many rows.
func member(t *testing.T, id string, damage int, open, most *atomic.Int64) fleet.Member {
	return fleet.Member{ContextID: id, Open: func(context.Context) (*fleet.Connection, error) {
		now := open.Add(1)
		for {
			m := most.Load()
			if now <= m || most.CompareAndSwap(m, now) {
				break
			}
		}
		source, st := memory.New(contacts(0)), memory.New(contacts(damage), memory.Metadata(id, map[string]store.LSN{"contact": 812}))
		source.TrackChanges(812, 1)
		m, err := mirror.New(id, st, nil)
		return &fleet.Connection{Mirror: m, Source: source, Close: func() error { open.Add(-1); return nil }}, err
	}}
}

func TestFleet(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var open, most atomic.Int64
	all := &fleet.Fleet{Concurrency: 3}
	for i := range 30 {
		all.Members = append(all.Members, member(t, fmt.Sprint("Cust", i), i%3, &open, &most))
	}
	all.Members[7].Open = func(context.Context) (*fleet.Connection, error) { return nil, errBoom }
	all.Members[8].Open = func(context.Context) (*fleet.Connection, error) { panic("at the driver") }
	all.Members[9].Open = all.Members[10].Open
	all.Members = append(all.Members, all.Members[0])

	var summary fleet.Summary
	seen := map[string]int{}
	for r := range all.Compare(t.Context(), nil) {
		seen[r.ContextID]++
		if r.Err != nil {
			require.ErrorContains(t, r.Err, r.ContextID)
		}
		summary.Add(r)
		switch {
		case r.ContextID == "Cust7":
			require.ErrorIs(t, r.Err, errBoom)
		case r.ContextID == "Cust8":
			require.ErrorContains(t, r.Err, "at the driver")
		case r.ContextID == "Cust9":
			require.ErrorContains(t, r.Err, `"Cust10"`)
		case r.Err != nil:
			require.ErrorContains(t, r.Err, "twice")
		default:
			require.Equal(t, r.Report.Table("contact").Verdict == mirror.VerdictIdentical, r.Plan.Empty())
		}
	}
	require.Len(t, seen, 30)
	require.Equal(t, 2, seen["Cust0"])
	require.Zero(t, open.Load(), "all are closed")
	require.LessOrEqual(t, most.Load(), int64(3))
	require.Equal(t, []int{31, 4, 18}, []int{summary.Members, summary.Failed, summary.Repairable})
	require.Equal(t, 9, summary.Tables[mirror.VerdictIdentical])
	require.Equal(t, 18, summary.Tables[mirror.VerdictDifferent])
	require.Contains(t, summary.String(), "Members: 31, failed: 4, to reset: 18")
	require.Contains(t, summary.String(), "Cust7: open: boom")

	states := 0
	for r := range all.Status(t.Context()) {
		if r.Err == nil {
			require.Equal(t, mirror.TableSynced, r.Status.Tables[0].State)
			states++
		}
	}
	require.Equal(t, 27, states)
}

func TestFleetStops(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var open, most atomic.Int64
	all := &fleet.Fleet{}
	for i := range 20 {
		all.Members = append(all.Members, member(t, fmt.Sprint("Cust", i), 0, &open, &most))
	}
	for range all.Compare(t.Context(), nil) {
		break
	}
	require.Zero(t, open.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for r := range all.Status(ctx) {
		require.ErrorIs(t, r.Err, context.Canceled)
		require.ErrorContains(t, r.Err, r.ContextID)
		n++
	}
	require.Equal(t, 20, n, "each member gets its word")
	for range (&fleet.Fleet{}).Status(t.Context()) {
		require.Fail(t, "nobody is a member")
	}
}

func TestFleetTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := fleet.Member{ContextID: "Cust1", Open: func(ctx context.Context) (*fleet.Connection, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		fleet := &fleet.Fleet{Members: []fleet.Member{slow, {ContextID: "Cust2"}}, Timeout: time.Minute}
		for r := range fleet.Status(t.Context()) {
			if r.ContextID == "Cust1" {
				require.True(t, errors.Is(r.Err, context.DeadlineExceeded))
				require.Equal(t, time.Minute, r.Elapsed)
			} else {
				require.ErrorContains(t, r.Err, "no Open")
			}
		}
	})
}

func TestFleetClosesWhatHasNoMirror(t *testing.T) {
	closed := false
	fleet := &fleet.Fleet{Members: []fleet.Member{{ContextID: "Cust1", Open: func(context.Context) (*fleet.Connection, error) {
		return &fleet.Connection{Close: func() error { closed = true; return nil }}, nil
	}}}}
	for r := range fleet.Status(t.Context()) {
		require.ErrorContains(t, r.Err, "no mirror")
	}
	require.True(t, closed)
}

func TestFleetNamesTheMember(t *testing.T) {
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}, Rows: []store.Row{{1}}}
	source := memory.New(contact)
	m, err := mirror.New("Cust1", memory.New(contact, memory.Metadata("Cust1", map[string]store.LSN{"contact": 812})), nil)
	require.NoError(t, err)
	closing := func(failure error, m *mirror.Mirror, source store.Source) func(context.Context) (*fleet.Connection, error) {
		return func(context.Context) (*fleet.Connection, error) {
			return &fleet.Connection{Mirror: m, Source: source, Close: func() error { return failure }}, nil
		}
	}
	for name, c := range map[string]struct {
		open func(context.Context) (*fleet.Connection, error)
		want string
	}{
		"an error of Open":          {func(context.Context) (*fleet.Connection, error) { return nil, errBoom }, "Cust1: open: boom"},
		"of another customer alike": {func(context.Context) (*fleet.Connection, error) { return nil, errors.New("no Cust10") }, "Cust1: open: no Cust10"},
		"one that names it":         {func(context.Context) (*fleet.Connection, error) { return nil, errors.New("Cust1, no") }, "open: Cust1, no"},
		"an error of Close":         {closing(errBoom, m, source), "Cust1: close: boom"},
		"Close after another error": {closing(errBoom, m, nil), "Cust1: the member has no source to compare with; close: boom"},
		"no mirror":                 {closing(nil, nil, source), "Cust1: open: it returned no mirror"},
		"a panic":                   {func(context.Context) (*fleet.Connection, error) { panic("at the driver") }, "Cust1: panic: at the driver"},
		"no Open":                   {nil, "Cust1: the member has no Open"},
	} {
		t.Run(name, func(t *testing.T) {
			all := &fleet.Fleet{Members: []fleet.Member{{ContextID: "Cust1", Open: c.open}}}
			var summary fleet.Summary
			for r := range all.Compare(t.Context(), nil) {
				require.EqualError(t, r.Err, c.want)
				summary.Add(r)
			}
			require.Len(t, summary.Attention, 1)
			require.Equal(t, "Cust1: "+strings.TrimPrefix(c.want, "Cust1: "), summary.Attention[0])
		})
	}
}

func TestFleetComparesEachInItsWay(t *testing.T) {
	var open, most atomic.Int64
	all := &fleet.Fleet{Members: []fleet.Member{member(t, "Cust1", 1, &open, &most), member(t, "Cust2", 1, &open, &most)}}
	whole := all.Members[1].Open
	all.Members[1].Open = func(ctx context.Context) (*fleet.Connection, error) {
		c, err := whole(ctx)
		c.Compare = &mirror.CompareOptions{SkipTables: []string{"contact"}}
		return c, err
	}
	found := map[string]mirror.Verdict{}
	for r := range all.Compare(t.Context(), &mirror.CompareOptions{Depth: mirror.DepthRows}) {
		found[r.ContextID] = r.Report.Table("contact").Verdict
	}
	require.Equal(t, map[string]mirror.Verdict{"Cust1": mirror.VerdictDifferent, "Cust2": mirror.VerdictNotMirrored}, found)
}
