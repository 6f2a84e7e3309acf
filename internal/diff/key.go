package diff

import (
	"context"
	"iter"

	"github.com/so-mirror/mirror/store"
)

// single reads the rows of one key.
type single struct {
	store.Source
	order func(a, b store.Row) int
	key   store.Row
}

// Rows implements Source. Two rows are enough to see that the key does not
// repeat, and spare the server a query that is broken off.
func (s single) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		q.From, q.Limit = s.key, 2
		var rows []store.Row
		for batch, err := range s.Source.Rows(ctx, q) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range batch {
				if s.order(s.key, row) == 0 {
					rows = append(rows, row.Clone())
				}
			}
		}
		if len(rows) < 2 {
			if len(rows) > 0 {
				yield(rows, nil)
			}
			return
		}
		q.Limit = 0
		for batch, err := range s.Source.Rows(ctx, q) {
			n := 0
			for n < len(batch) && s.order(s.key, batch[n]) == 0 {
				n++
			}
			if err != nil || n > 0 {
				if !yield(batch[:n], err) {
					return
				}
			}
			if n < len(batch) {
				return
			}
		}
	}
}

// CompareKey compares the rows of one key, all of which it keeps.
func (r *Run) CompareKey(ctx context.Context, key store.Row) (Findings, error) {
	m := newMerge(r.Table, 0)
	m.keep, m.room = func() bool { return true }, func(int) bool { return true }
	src, mir := r.cursors(m)
	err := r.walk(ctx, m, src, mir, single{r.e.o.Source, m.orderSource, key}, single{r.e.o.Mirror, m.orderMirror, key}, key, nil)
	if err != nil {
		return Findings{}, err
	}
	m.count(src, mir)
	return m.found, nil
}
