package storetest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenContexts are faults of contexts, and of readers that stop or come together.
var brokenContexts = []fault{
	{"contexts are ignored", func() store.Store {
		return &broken{Store: memory.New(),
			tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
				return src.Tables(context.WithoutCancel(ctx))
			},
			rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
				return src.Rows(context.WithoutCancel(ctx), q)
			}}
	}, []string{"cancel/cancelled", "cancel/deadline", "cancel/midway"}},
	{"a done context ends Rows without an error", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if errors.Is(err, ctx.Err()) || !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"cancel/cancelled", "cancel/deadline", "cancel/midway"}},
	{"a done context is an error of the engine", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			if ctx.Err() != nil {
				err = errors.New("interrupted")
			}
			return n, err
		}, update: func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			err := st.Update(ctx, fn)
			if ctx.Err() != nil {
				err = errors.New("interrupted")
			}
			return err
		}}
	}, []string{"cancel/*ed", "cancel/deadline", "tx/cancelled-*"}},
	{"Rows reads all before it looks at its context", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(context.WithoutCancel(ctx), q) {
					if !yield(batch, err) {
						return
					}
				}
				if err := ctx.Err(); err != nil {
					yield(nil, err)
				}
			}
		}}
	}, []string{"cancel/midway"}},
	{"a cancelled reader takes the connection along", func() store.Store {
		var gone atomic.Bool
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				if gone.Load() && ctx.Err() == nil {
					yield(nil, errors.New("connection is closed"))
					return
				}
				for batch, err := range src.Rows(ctx, q) {
					if err != nil {
						gone.Store(ctx.Err() != nil)
					}
					if !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"cancel/usable-afterwards"}},
	{"a reader that stops early leaves a goroutine", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) {
						forever := make(chan struct{})
						go func() { <-forever }()
						return
					}
				}
			}
		}}
	}, []string{"cancel/goroutines"}},
	{"two readers at once are one too many", func() store.Store {
		var reading atomic.Int32
		second := make(chan struct{})
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				switch reading.Add(1) {
				case 1:
					<-second // stays until it is not alone
				case 2:
					close(second)
					yield(nil, errBusy)
					return
				}
				src.Rows(ctx, q)(yield)
			}
		}}
	}, []string{"concurrent/*"}},
}
