package replica_test

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// reading notes which columns of the state are read.
type reading struct {
	store.Source
	columns [][]string
	typed   bool // some of it was read in a way that can fail on a value
}

func (r *reading) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if strings.HasSuffix(q.Table.Name, "_ReplicationState") {
		r.columns = append(r.columns, q.Columns)
		r.typed = r.typed || !q.Verbatim
	}
	return r.Source.Rows(ctx, q)
}

// faulty fails the nth call of a method, counted from 1.
type faulty struct {
	store.Source
	method memory.Method
	n      int64
	err    error
	calls  atomic.Int64
}

func (f *faulty) fails(method memory.Method) error {
	if method != f.method || f.calls.Add(1) != f.n {
		return nil
	}
	return f.err
}

func (f *faulty) Tables(ctx context.Context) ([]store.Table, error) {
	if err := f.fails(memory.Tables); err != nil {
		return nil, err
	}
	return f.Source.Tables(ctx)
}

func (f *faulty) Count(ctx context.Context, t store.Table) (int64, error) {
	if err := f.fails(memory.Count); err != nil {
		return 0, err
	}
	return f.Source.Count(ctx, t)
}

func (f *faulty) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if err := f.fails(memory.Rows); err != nil {
		return func(yield func([]store.Row, error) bool) { yield(nil, err) }
	}
	return f.Source.Rows(ctx, q)
}
