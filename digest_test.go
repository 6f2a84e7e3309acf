package mirror_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// digester is a source whose digests are tampered with.
type digester struct {
	*memory.Store
	every func(d []store.Digest) []store.Digest
	at    func(d []store.Digest) []store.Digest
}

func (s digester) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	d, err := s.Store.DigestEvery(ctx, q, n)
	if s.every != nil {
		d = s.every(d)
	}
	return d, err
}

func (s digester) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	d, err := s.Store.DigestAt(ctx, q, cuts)
	if s.at != nil {
		d = s.at(d)
	}
	return d, err
}

// Digests of ranges that are not those of the table would compare something
// else: its rows are compared instead, and a side that panics fails the table.
func TestDigestsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		every, at func(d []store.Digest) []store.Digest
	}{
		"no first key":        {every: func(d []store.Digest) []store.Digest { d[0].First = nil; return d }},
		"a key too long":      {every: func(d []store.Digest) []store.Digest { d[0].First = store.Row{int64(1), int64(2)}; return d }},
		"a key that is NULL":  {every: func(d []store.Digest) []store.Digest { d[0].First = store.Row{nil}; return d }},
		"twice":               {every: func(d []store.Digest) []store.Digest { return append(d, d...) }},
		"backwards":           {every: func(d []store.Digest) []store.Digest { slices.Reverse(d); return d }},
		"no rows":             {every: func(d []store.Digest) []store.Digest { d[0].Rows = 0; return d }},
		"panic":               {every: func([]store.Digest) []store.Digest { panic("at the driver") }},
		"one range less":      {at: func(d []store.Digest) []store.Digest { return d[1:] }},
		"panic of the mirror": {at: func([]store.Digest) []store.Digest { panic("at the driver") }},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			source, store := twins(100, every(50))
			for _, opts := range []mirror.CompareOptions{{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 10}}, {Strategy: mirror.StrategyStream, Tuning: mirror.Tuning{SplitRows: 10}}} {
				if c.at != nil && opts.Tuning.SplitRows > 0 {
					continue
				}
				report, err := newMirror(t, digester{store, nil, c.at}, nil).Compare(t.Context(), digester{source, c.every, nil}, &opts)
				require.NoError(t, err)
				tr := report.Table("contact")
				if strings.HasPrefix(name, "panic") {
					require.Equal(t, mirror.VerdictFailed, tr.Verdict, "%s", report)
					continue
				}
				require.Equal(t, mirror.VerdictDifferent, tr.Verdict, "%s", report)
				require.Equal(t, []int64{2, 100, 100}, []int64{tr.Changed, tr.SourceRows, tr.MirrorRows})
				require.Equal(t, mirror.StrategyStream, tr.Strategy)
				require.Contains(t, tr.StrategyReason, "digests that contradict themselves")
				require.Contains(t, report.String(), "digests that contradict themselves")
			}
		})
	}
}

func TestDigestsFallBack(t *testing.T) {
	source, st := twins(100, every(50))
	for name, c := range map[string]struct {
		source store.Source
		want   string
	}{
		"a source without digests": {struct{ store.Source }{source}, "the source makes no digests"},
		"another scheme":           {otherScheme{source}, "cannot be compared"},
		"no scheme":                {noScheme{source}, "the source makes no digests"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := newMirror(t, st, nil).Compare(t.Context(), c.source, &mirror.CompareOptions{Strategy: mirror.StrategyDigest})
			require.NoError(t, err)
			tr := report.Table("contact")
			require.Equal(t, mirror.StrategyStream, tr.Strategy)
			require.Contains(t, tr.StrategyReason, c.want)
			require.Contains(t, report.String(), c.want)
			require.EqualValues(t, 2, tr.Changed)
		})
	}
}

type otherScheme struct{ *memory.Store }

func (otherScheme) DigestScheme() string { return "other" }

type noScheme struct{ *memory.Store }

func (noScheme) DigestScheme() string { return "" }

// A number of rows that nothing has leaves nothing out.
func TestDigestRowsWithoutBounds(t *testing.T) {
	source, st := twins(100, every(200))
	require.NoError(t, st.Seed(mirrortest.Companies(store.Row{0, "Company 0"})))
	for _, n := range []int64{1, 1 << 40, 1 << 59, 1<<63 - 1} {
		report, err := newMirror(t, st, nil).Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: n}})
		require.NoError(t, err)
		require.EqualValues(t, 99, report.Table("contact").Missing, "%d", n)
	}
}

// Digests fetch only what differs.
func TestDigestReadsLittle(t *testing.T) {
	source, store := twins(1000, func(i int) bool { return i == 500 })
	report, err := newMirror(t, store, nil).Compare(t.Context(), source, &mirror.CompareOptions{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: 320}})
	require.NoError(t, err)
	tr := report.Table("contact")
	require.Equal(t, []int64{1, 1000, 1000}, []int64{tr.Changed, tr.SourceRows, tr.MirrorRows})
	reads, digests := 0, 0
	for _, c := range source.Calls() {
		switch c.Method {
		case memory.Rows:
			reads++
		case memory.Digest:
			digests++
		}
	}
	require.Equal(t, []int{1, 2}, []int{reads, digests}, "one scan, one closer look, and the rows of one range")
}

// Auto goes on with what was faster, by the clock.
func TestAuto(t *testing.T) {
	for _, c := range []struct {
		name        string
		row, digest time.Duration // how long they take, and a digest of as many
		want        mirror.Strategy
		wantReasons string
	}{
		{"digests are faster", 10 * time.Millisecond, 0, mirror.StrategyDigest, " rows/s streamed"},
		{"rows are faster", 10 * time.Millisecond, 6 * time.Millisecond, mirror.StrategyStream, " digested"},
		{"digests are so slow that one try says it", 10 * time.Millisecond, time.Hour, mirror.StrategyStream, " 0 digested"},
		{"it is over before that", 0, 0, mirror.StrategyStream, "it was done before digests were tried"},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, st := twins(2000, every(100))
			var passed, rows atomic.Int64
			m := newMirror(t, st, &mirror.Options{
				Clock:    mirrortest.Clock{Time: func() time.Time { return noon.Add(time.Duration(passed.Load())) }},
				Progress: func(p mirror.Progress) { passed.Add(int64(c.row) * (p.Rows - rows.Swap(p.Rows))) },
			})
			m.SmallSteps(20)
			slow := digester{Store: source, every: func(d []store.Digest) []store.Digest {
				for _, d := range d {
					passed.Add(int64(c.digest) * d.Rows)
				}
				return d
			}}
			report, err := m.Compare(t.Context(), slow, &mirror.CompareOptions{Strategy: mirror.StrategyAuto, Tuning: mirror.Tuning{DigestRows: 10, Concurrency: 1}})
			require.NoError(t, err)
			tr := report.Table("contact")
			require.Equal(t, c.want, tr.Strategy)
			require.Contains(t, tr.StrategyReason, c.wantReasons)
			require.EqualValues(t, 20, tr.Changed)
			require.EqualValues(t, 2000, tr.SourceRows)
		})
	}
}

// twice is a source that has one key in two spellings, and cuts between them: the
// first range counts the second row, which the next one begins with.
type twice struct {
	digester
	key int64
}

func (s twice) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range s.Store.Rows(ctx, q) {
			batch = slices.Clone(batch)
			if i := slices.IndexFunc(batch, func(r store.Row) bool { return r[0] == s.key }); i >= 0 {
				batch = slices.Insert(batch, i, batch[i])
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// A row that the mirror lacks is missing even when the source's digests are cut
// between two rows that Compare cannot tell apart by their key: at every size, so
// that rows are compared at once, and after a closer look.
func TestDigestsCutWithinAKey(t *testing.T) {
	for _, n := range []int64{1, 10, 320} {
		source, st := twins(1000, func(int) bool { return false })
		first := true
		cut := twice{digester{source, func(d []store.Digest) []store.Digest {
			if first && len(d) > 1 {
				d[0].Rows++
				d[0].Sum += "0"
				first = false
			}
			return d
		}, nil}, n}
		report, err := newMirror(t, st, nil).Compare(t.Context(), cut, &mirror.CompareOptions{Strategy: mirror.StrategyDigest, Tuning: mirror.Tuning{DigestRows: n}})
		require.NoError(t, err)
		tr := report.Table("contact")
		require.False(t, first)
		require.Equal(t, []int64{1, 1001, 1000}, []int64{tr.Missing, tr.SourceRows, tr.MirrorRows}, "%d rows a digest: %s", n, report)
		require.Equal(t, mirror.StrategyDigest, tr.Strategy)
	}
}
