package storetest

import (
	"context"
	"errors"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenCuts are faults of a Cutter.
var brokenCuts = []fault{
	{"a cut is one row too early", func() store.Store {
		return cutting(func(q *store.Query, n *int64) {
			if *n > 1 {
				*n--
			}
		})
	}, []string{"cut/rows", "cut/bounds", "cut/query", "cut/composite", "cut/repeated", "cut/key-*"}},
	{"a cut is one row too late", func() store.Store {
		return cutting(func(q *store.Query, n *int64) { *n++ })
	}, []string{"cut/rows", "cut/key-*"}},
	{"a cut begins with the first row", func() store.Store {
		return cutting(func(q *store.Query, n *int64) { q.From = nil })
	}, []string{"cut/bounds", "cut/composite", "cut/key-int"}},
	{"a cut has no end", func() store.Store {
		return cutting(func(q *store.Query, n *int64) { q.Before = nil })
	}, []string{"cut/bounds", "cut/composite"}},
	{"a cut keeps to the limit", func() store.Store {
		return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
			if q.Limit > 0 && n >= q.Limit {
				return nil, nil
			}
			return c.Cut(ctx, q, n)
		}}
	}, []string{"cut/query"}},
	{"a cut goes by the first column of the key", func() store.Store {
		return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
			key, err := c.Cut(ctx, q, n)
			for i := range key {
				if i > 0 {
					key[i] = int64(0)
				}
			}
			return key, err
		}}
	}, []string{"cut/composite"}},
	{"a cut counts keys", func() store.Store {
		return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
			q.Columns, q.Limit = q.Key, 0
			rows, err := collect(ctx, c.(store.Source), q)
			var last store.Row
			for _, r := range rows {
				if last != nil && show(last) == show(r) {
					continue
				}
				if last = r; n == 0 {
					return r, err
				}
				n--
			}
			return nil, err
		}}
	}, []string{"cut/repeated"}},
	{"a cut behind all rows is the last one", func() store.Store {
		return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
			key, err := c.Cut(ctx, q, n)
			if err != nil || key != nil {
				return key, err
			}
			q.Columns, q.Limit = q.Key, 0
			rows, err := collect(ctx, c.(store.Source), q)
			if len(rows) == 0 {
				return nil, err
			}
			return rows[len(rows)-1], err
		}}
	}, []string{"cut/rows", "cut/bounds", "cut/key-int"}},
	{"a cut behind no rows is the first one", func() store.Store {
		return cutting(func(q *store.Query, n *int64) { *n = max(*n, 1) })
	}, []string{"cut/refused"}},
	{"no cut in a missing table", func() store.Store {
		return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
			key, err := c.Cut(ctx, q, n)
			if errors.Is(err, store.ErrTableNotFound) {
				return nil, nil
			}
			return key, err
		}}
	}, []string{"cut/missing-table"}},
	{"a cut goes by another column than one that does not exist", func() store.Store {
		return cutting(func(q *store.Query, n *int64) {
			if len(q.Key) == 1 && q.Key[0] == "shoe" {
				q.Key = []string{"id"}
			}
		})
	}, []string{"cut/unknown-column"}},
	{"a cut ignores its context", func() store.Store {
		return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
			return c.Cut(context.WithoutCancel(ctx), q, n)
		}}
	}, []string{"cut/cancelled"}},
}

// cutting is a Cutter that cuts at another place than it is asked for.
func cutting(change func(q *store.Query, n *int64)) *broken {
	return &broken{Store: memory.New(), cut: func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error) {
		change(&q, &n)
		return c.Cut(ctx, q, n)
	}}
}
