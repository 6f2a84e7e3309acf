package mirror_test

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
	"github.com/so-mirror/mirror/store/memory"
)

// member is a customer whose contacts differ in so many rows.
func member(t *testing.T, id string, damage int, open, most *atomic.Int64) mirror.Member {
	return mirror.Member{ContextID: id, Open: func(context.Context) (*mirror.Connection, error) {
		now := open.Add(1)
		for {
			m := most.Load()
			if now <= m || most.CompareAndSwap(m, now) {
				break
			}
		}
		source, store := twins(20, func(i int) bool { return i < damage })
		require.NoError(t, store.Seed(memory.Metadata(id, map[string]mirror.LSN{"contact": 812})))
		m, err := mirror.New(id, store, nil)
		return &mirror.Connection{Mirror: m, Source: still{source}, Close: func() error { open.Add(-1); return nil }}, err
	}}
}

func TestFleet(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var open, most atomic.Int64
	fleet := &mirror.Fleet{Concurrency: 3}
	for i := range 30 {
		fleet.Members = append(fleet.Members, member(t, fmt.Sprint("Cust", i), i%3, &open, &most))
	}
	fleet.Members[7].Open = func(context.Context) (*mirror.Connection, error) { return nil, errBoom }
	fleet.Members[8].Open = func(context.Context) (*mirror.Connection, error) { panic("at the driver") }
	fleet.Members[9].Open = fleet.Members[10].Open
	fleet.Members = append(fleet.Members, fleet.Members[0])

	var summary mirror.FleetSummary
	seen := map[string]int{}
	for r := range fleet.Compare(t.Context(), nil) {
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
	for r := range fleet.Status(t.Context()) {
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
	fleet := &mirror.Fleet{}
	for i := range 20 {
		fleet.Members = append(fleet.Members, member(t, fmt.Sprint("Cust", i), 0, &open, &most))
	}
	for range fleet.Compare(t.Context(), nil) {
		break
	}
	require.Zero(t, open.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for r := range fleet.Status(ctx) {
		require.ErrorIs(t, r.Err, context.Canceled)
		require.ErrorContains(t, r.Err, r.ContextID)
		n++
	}
	require.Equal(t, 20, n, "each member gets its word")
	for range (&mirror.Fleet{}).Status(t.Context()) {
		require.Fail(t, "nobody is a member")
	}
}

func TestFleetTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := mirror.Member{ContextID: "Cust1", Open: func(ctx context.Context) (*mirror.Connection, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		fleet := &mirror.Fleet{Members: []mirror.Member{slow, {ContextID: "Cust2"}}, Timeout: time.Minute}
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
	fleet := &mirror.Fleet{Members: []mirror.Member{{ContextID: "Cust1", Open: func(context.Context) (*mirror.Connection, error) {
		return &mirror.Connection{Close: func() error { closed = true; return nil }}, nil
	}}}}
	for r := range fleet.Status(t.Context()) {
		require.ErrorContains(t, r.Err, "no mirror")
	}
	require.True(t, closed)
}

func TestFleetNamesTheMember(t *testing.T) {
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}, Rows: []mirror.Row{{1}}}
	source := memory.New(contact)
	m, err := mirror.New("Cust1", memory.New(contact, memory.Metadata("Cust1", map[string]mirror.LSN{"contact": 812})), nil)
	require.NoError(t, err)
	closing := func(failure error, m *mirror.Mirror, source mirror.Source) func(context.Context) (*mirror.Connection, error) {
		return func(context.Context) (*mirror.Connection, error) {
			return &mirror.Connection{Mirror: m, Source: source, Close: func() error { return failure }}, nil
		}
	}
	for name, c := range map[string]struct {
		open func(context.Context) (*mirror.Connection, error)
		want string
	}{
		"an error of Open":          {func(context.Context) (*mirror.Connection, error) { return nil, errBoom }, "Cust1: open: boom"},
		"of another customer alike": {func(context.Context) (*mirror.Connection, error) { return nil, errors.New("no Cust10") }, "Cust1: open: no Cust10"},
		"one that names it":         {func(context.Context) (*mirror.Connection, error) { return nil, errors.New("Cust1, no") }, "open: Cust1, no"},
		"an error of Close":         {closing(errBoom, m, source), "Cust1: close: boom"},
		"Close after another error": {closing(errBoom, m, nil), "Cust1: the member has no source to compare with; close: boom"},
		"no mirror":                 {closing(nil, nil, source), "Cust1: open: it returned no mirror"},
		"a panic":                   {func(context.Context) (*mirror.Connection, error) { panic("at the driver") }, "Cust1: panic: at the driver"},
		"no Open":                   {nil, "Cust1: the member has no Open"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := &mirror.Fleet{Members: []mirror.Member{{ContextID: "Cust1", Open: c.open}}}
			var summary mirror.FleetSummary
			for r := range fleet.Compare(t.Context(), nil) {
				require.EqualError(t, r.Err, c.want)
				summary.Add(r)
			}
			require.Len(t, summary.Attention, 1)
			require.Equal(t, "Cust1: "+strings.TrimPrefix(c.want, "Cust1: "), summary.Attention[0])
		})
	}
}
