package mirrortest

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// shuffled is a store that serves the rows of each key in an order that is another
// one each time, as an engine may.
type shuffled struct {
	through
	seed uint64
	read *atomic.Uint64
}

func newShuffled(st store.Store, seed uint64) shuffled {
	return shuffled{through{st}, seed, new(atomic.Uint64)}
}

// Isolation implements store.Isolator.
func (s shuffled) Isolation(ctx context.Context) (string, error) {
	return store.IsolationOf(ctx, s.Store)
}

// Rows implements store.Source.
func (s shuffled) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	limit := q.Limit
	q.Limit = 0 // the last of so many rows may be one of several
	return s.shuffle(q, limit, s.Store.Rows(ctx, q))
}

// RowsAt implements store.KeyReader.
func (s shuffled) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return s.shuffle(q, 0, s.through.RowsAt(ctx, q, keys))
}

func (s shuffled) shuffle(q store.Query, limit int64, rows iter.Seq2[[]store.Row, error]) iter.Seq2[[]store.Row, error] {
	names := q.Columns
	if names == nil {
		names = q.Table.ColumnNames()
	}
	var at []int
	var key []store.Column
	for _, name := range q.Key {
		c, _ := q.Table.Column(name)
		at, key = append(at, slices.Index(names, name)), append(key, c)
	}
	keyOf := func(row store.Row) (k store.Row) {
		for _, i := range at {
			k = append(k, row[i])
		}
		return k
	}
	return func(yield func([]store.Row, error) bool) {
		r := rand.New(rand.NewPCG(s.seed, s.read.Add(1)))
		var ready, group []store.Row
		served := int64(0)
		end := func() {
			r.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
			ready, group = append(ready, group...), nil
		}
		// serve says whether more rows are wanted.
		serve := func() bool {
			batch := ready
			if limit > 0 {
				batch = batch[:min(int64(len(batch)), limit-served)]
			}
			served, ready = served+int64(len(batch)), nil
			return (len(batch) == 0 || yield(batch, nil)) && (limit == 0 || served < limit)
		}
		for batch, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range batch {
				if len(group) > 0 && len(key) > 0 && store.CompareKeys(key, keyOf(group[0]), keyOf(row)) != 0 {
					if end(); len(ready) > 50 && !serve() {
						return
					}
				}
				group = append(group, row.Clone())
			}
		}
		end()
		serve()
	}
}

// tieScenarios are about keys that a side has several times, whose rows an engine
// delivers in any order.
func tieScenarios() []scenario {
	var contacts, log, other []store.Row
	zeros := []float64{0, math.Copysign(0, -1), 1}
	for id := range 12 {
		for n := range id % 5 {
			contacts = append(contacts, store.Row{id, string(rune('a' + (n*n+id)%7)), day.Add(time.Duration(n%3) * time.Hour)})
			log = append(log, store.Row{"a", zeros[(n+id)%3]})
			other = append(other, store.Row{"a", zeros[n*id%3]})
		}
	}
	loose := contact(contacts...)
	loose.key = nil
	keyless := func(rows ...store.Row) table {
		return table{name: "log", columns: []store.Column{col("what", "nvarchar(20)"), col("weight", "float")}, rows: rows}
	}
	var source []store.Row
	for id := range 9 {
		source = append(source, store.Row{id, "c", day.Add(time.Hour)})
	}
	return []scenario{{name: "rows of one key in any order", run: func(t *env) {
		t.load(t.store, loose, keyless(other...))
		src := t.source(contact(source...), keyless(log...))
		for _, few := range []mirror.CompareOptions{{}, {MaxKeys: 5, MaxSamples: 3}} {
			want := ""
			for seed, strategy := range slices.Concat(strategiesOf(t, src, t.store), strategies[:2]) {
				opts := few
				opts.Strategy, opts.Tuning = strategy, mirror.Tuning{DigestRows: 2}
				m, shuffledSource := NewMirror(t, newShuffled(t.store, uint64(seed)), nil), newShuffled(src, uint64(seed))
				r, err := m.Compare(t.Context(), shuffledSource, &opts)
				require.NoError(t, err)
				tr := r.Table("contact")
				require.Positive(t, min(tr.Missing, tr.Extra, tr.Changed, tr.Duplicate, r.Table("log").Missing, r.Table("log").Extra), r)
				text := ReportText(t, r, false)
				if want == "" {
					want = text
				}
				require.Equal(t, want, text, "%s", strategy)
				if opts.MaxKeys > 0 || seed > 0 {
					continue
				}
				again, err := m.Recheck(t.Context(), shuffledSource, r, &mirror.RecheckOptions{After: 1})
				require.NoError(t, err)
				require.Equal(t, tr.Missing+tr.Extra+tr.Changed+tr.Duplicate, again.Table("contact").Diverged, "the same rows differ as before: %s", again)
			}
		}
	}}}
}
