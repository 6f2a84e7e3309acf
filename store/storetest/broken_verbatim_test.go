package storetest

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// brokenVerbatims are faults of empty bytes, and of values that are not of their column's type.
var brokenVerbatims = []fault{
	// Empty bytes.
	{"empty bytes are a nil slice", func() store.Store { return nilBytes(true, true) }, []string{"values/empty-bytes"}},
	{"empty bytes are a nil slice in a transaction", func() store.Store { return nilBytes(false, true) }, []string{"values/empty-bytes"}},
	{"empty bytes are a nil slice outside of one", func() store.Store { return nilBytes(true, false) }, []string{"values/empty-bytes"}},

	// Values of other types.
	{"every value is a Verbatim", func() store.Store {
		return &broken{Store: anyValues(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				for _, r := range batch {
					for i, v := range r {
						if _, ok := v.(store.Verbatim); !ok && q.Verbatim {
							r[i] = store.Verbatim{Value: v}
						}
					}
				}
				return batch
			})
		}}
	}, []string{"verbatim/own-values", "verbatim/other-values"}},
	{"Verbatim is not asked for", func() store.Store {
		return &broken{Store: anyValues(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			q.Verbatim = false
			return src.Rows(ctx, q)
		}}
	}, []string{"verbatim/other-values"}},
	{"a Verbatim is what text becomes of it", func() store.Store {
		return asStored(func(v store.Verbatim) driver.Value { return store.Verbatim{Value: fmt.Sprint(v.Value)} })
	}, []string{"verbatim/other-values"}},
	{"a Verbatim is NULL", func() store.Store {
		return asStored(func(store.Verbatim) driver.Value { return nil })
	}, []string{"verbatim/other-values"}},
	{"the promise of any value is not kept", func() store.Store {
		return &broken{Store: memory.New(), anyValue: func(store.Source) bool { return true }}
	}, []string{"verbatim/other-values"}},
	{"nobody is told of other values", func() store.Store {
		return &broken{Store: anyValues(), anyValue: func(store.Source) bool { return false }}
	}, []string{"verbatim/other-values"}},
}

// nilBytes reads empty bytes as a nil slice.
func nilBytes(outside, inside bool) store.Store {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		if _, ok := src.(store.Tx); ok && !inside || !ok && !outside {
			return src.Rows(ctx, q)
		}
		return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
			for _, r := range batch {
				for i, v := range r {
					if b, ok := v.([]byte); ok && len(b) == 0 {
						r[i] = []byte(nil)
					}
				}
			}
			return batch
		})
	}}
}

// anyValues is a Store over an engine that holds any value in a column.
func anyValues() store.Store {
	db := sqlx.MustOpen("sqlite", ":memory:")
	db.SetMaxOpenConns(1)
	st, err := sqlite.New(db)
	if err != nil {
		panic(err)
	}
	return st
}

// asStored passes on what is read with Query.Verbatim in other words.
func asStored(change func(v store.Verbatim) driver.Value) *broken {
	return &broken{Store: anyValues(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
			for _, r := range batch {
				for i, v := range r {
					if as, ok := v.(store.Verbatim); ok {
						r[i] = change(as)
					}
				}
			}
			return batch
		})
	}}
}
