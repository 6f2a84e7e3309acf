package mirrortest

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
)

// ReportText is all of a report that does not depend on the strategy and the clock.
// How many bytes a row has is taken from the first rows of each range that is read.
func ReportText(t testing.TB, r *mirror.Report, rowBytes bool) string {
	t.Helper()
	c := *r
	c.Strategy, c.Started, c.Finished, c.Tables = "", time.Time{}, time.Time{}, nil
	for _, tr := range r.Tables {
		tr.Strategy, tr.StrategyReason, tr.Elapsed = "", "", 0
		if !rowBytes {
			tr.RowBytes = 0
		}
		c.Tables = append(c.Tables, tr)
	}
	text, err := json.MarshalIndent(c, "", " ")
	require.NoError(t, err)
	return readAt.ReplaceAllString(string(text), "")
}

// LeaveRanges takes the ranges of keys out of two reports where one of them does not
// know it: a source that cannot seek by a key does not say the last one.
func LeaveRanges(a, b *mirror.Report) {
	for i := range a.Tables {
		if ta, tb := &a.Tables[i], &b.Tables[i]; (ta.Range == nil) != (tb.Range == nil) {
			*ta, *tb = WithoutRange(*ta), WithoutRange(*tb)
		}
	}
}

// WithoutRange returns the report of a table without the range of its keys and the
// places in it.
func WithoutRange(t mirror.TableReport) mirror.TableReport {
	t.Range, t.Stretches = nil, slices.Clone(t.Stretches)
	for i := range t.Stretches {
		t.Stretches[i].From, t.Stretches[i].To = 0, 0
	}
	return t
}

// readAt is when all rows of a table were read.
var readAt = regexp.MustCompile(`"allRows": "[^"]*"`)

// Joined is how many tables of a report one engine joined.
func Joined(r *mirror.Report) (n int) {
	for _, tr := range r.Tables {
		if tr.Strategy == mirror.StrategyJoin {
			n++
		}
	}
	return n
}

// oneReport compares once more, by all rows and by one engine that reads both sides, and
// demands one report of the two. It returns that of the engine.
func oneReport(t testing.TB, m *mirror.Mirror, source store.Source, opts mirror.CompareOptions) *mirror.Report {
	t.Helper()
	opts.Strategy = mirror.StrategyJoin
	joined, err := m.Compare(t.Context(), source, &opts)
	require.NoError(t, err)
	opts.Strategy, opts.Tuning.SplitRows = mirror.StrategyStream, 0
	streamed, err := m.Compare(t.Context(), source, &opts)
	require.NoError(t, err)
	rowBytes := Joined(joined) == len(joined.Tables)
	LeaveRanges(streamed, joined)
	require.Equal(t, ReportText(t, streamed, rowBytes), ReportText(t, joined, rowBytes), "%+v\n%s\n%s", opts, streamed, joined)
	return joined
}

// joins counts what one engine compared.
type joins struct{ scenarios, tables, joined int }

func (j *joins) add(r *mirror.Report) {
	if j == nil {
		return
	}
	j.tables += len(r.Tables)
	j.joined += Joined(r)
}

// require demands of an area of which all scenarios were run that one engine was of
// use, where the stores have one.
func (j *joins) require(t *testing.T, a area, source, target Open) {
	t.Helper()
	if j.tables == 0 || j.scenarios < len(a.scenarios) || t.Failed() {
		return
	}
	t.Logf("%s: %d of %d tables joined in one engine", a.name, j.joined, j.tables)
	if canJoin(t, source, target) {
		require.Greater(t, j.joined, j.tables/4)
	}
}

// canJoin reports whether one engine can read databases of these kinds.
func canJoin(t testing.TB, source, target Open) bool {
	t.Helper()
	join, err := store.JoinOf(t.Context(), source(t), target(t))
	if errors.Is(err, errors.ErrUnsupported) {
		t.Logf("not joined: %v", err)
		return false
	}
	require.NoError(t, err)
	require.NoError(t, join.Close())
	return true
}

// Join implements store.Joiner. A store that is wrapped is joined as what it is.
func (s through) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	return store.JoinOf(ctx, s.Store, unwrapped(mirror))
}

// Cut implements store.Cutter.
func (s through) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	if c, ok := s.Store.(store.Cutter); ok {
		return c.Cut(ctx, q, n)
	}
	return nil, errors.ErrUnsupported
}

func (s through) within() store.Store { return s.Store }

// joinCounted is a store that counts the ranges that it joins.
type joinCounted struct {
	through
	count func()
}

func (s joinCounted) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	join, err := s.through.Join(ctx, mirror)
	if err != nil {
		return nil, err
	}
	return countedJoin{join, s.count}, nil
}

type countedJoin struct {
	store.Join
	count func()
}

func (j countedJoin) Suspects(ctx context.Context, source, mirror store.Query, limit int) (store.Suspects, error) {
	found, err := j.Join.Suspects(ctx, source, mirror, limit)
	if err == nil {
		j.count()
	}
	return found, err
}

// reaching is a customer whose engine reaches a mirror that is wrapped.
type reaching struct{ *cycle.Customer }

func (s reaching) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	return s.Customer.Join(ctx, unwrapped(mirror))
}

func unwrapped(s store.Source) store.Source {
	for {
		w, ok := s.(interface{ within() store.Store })
		if !ok {
			return s
		}
		s = w.within()
	}
}
