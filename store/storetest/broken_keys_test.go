package storetest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenKeys are faults of a KeyReader.
var brokenKeys = []fault{
	{"the last key is left out", func() store.Store {
		return askingAt(func(_ *store.Query, keys []store.Row) []store.Row { return keys[:max(len(keys)-1, 0)] })
	}, []string{"keys/found", "keys/many", "keys/columns", "keys/composite", "keys/repeated", "keys/kind-*", "keys/index-*"}},
	{"the first key is left out", func() store.Store {
		return askingAt(func(_ *store.Query, keys []store.Row) []store.Row { return keys[min(len(keys), 1):] })
	}, []string{"keys/found", "keys/many", "keys/kept-batches", "keys/break"}},
	{"only 1,000 keys are taken", func() store.Store {
		return askingAt(func(_ *store.Query, keys []store.Row) []store.Row { return keys[:min(len(keys), 1000)] })
	}, []string{"keys/many", "keys/composite-many", "keys/kept-batches", "keys/break"}},
	{"a key where a statement ends is left out", func() store.Store {
		return askingAt(func(_ *store.Query, keys []store.Row) []store.Row {
			if len(keys) > 1024 {
				return slices.Delete(slices.Clone(keys), 1023, 1024)
			}
			return keys
		})
	}, []string{"keys/many", "keys/kept-batches"}},
	{"a key where a statement ends is read twice", func() store.Store {
		return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			n := min(len(keys), 896)
			return sequences(r.RowsAt(ctx, q, keys[:n]), r.RowsAt(ctx, q, keys[max(n-1, 0):]))
		}}
	}, []string{"keys/many", "keys/found", "keys/kind-int"}},
	{"no keys are all rows", func() store.Store {
		return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			if len(keys) == 0 {
				return r.(store.Source).Rows(ctx, q)
			}
			return r.RowsAt(ctx, q, keys)
		}}
	}, []string{"keys/none"}},
	{"a key that is not there is an error", func() store.Store {
		return readingAt(func(key []store.Column, rows, keys []store.Row) ([]store.Row, error) {
			if len(rows) == 0 && len(keys) > 0 {
				return nil, errors.New("no such row")
			}
			return rows, nil
		})
	}, []string{"keys/found", "keys/none"}},
	{"all rows from the first key to the last", func() store.Store {
		return matching(func(key []store.Column, row store.Row, keys []store.Row) bool {
			return store.CompareKeys(key, row, keys[0]) >= 0 && store.CompareKeys(key, row, keys[len(keys)-1]) <= 0
		})
	}, []string{"keys/found", "keys/many", "keys/columns", "keys/composite", "keys/repeated"}},
	{"each column is looked for by itself", func() store.Store {
		return matching(func(key []store.Column, row store.Row, keys []store.Row) bool {
			for i, c := range key {
				if !slices.ContainsFunc(keys, func(k store.Row) bool { return standard(c, row[i], k[i]) == 0 }) {
					return false
				}
			}
			return true
		})
	}, []string{"keys/composite", "keys/repeated"}},
	{"only the first column of a key counts", func() store.Store {
		return matching(func(key []store.Column, row store.Row, keys []store.Row) bool {
			return slices.ContainsFunc(keys, func(k store.Row) bool { return standard(key[0], row[0], k[0]) == 0 })
		})
	}, []string{"keys/composite", "keys/composite-many", "keys/repeated"}},
	{"a key has one row", func() store.Store {
		return readingAt(func(key []store.Column, rows, _ []store.Row) ([]store.Row, error) {
			return slices.CompactFunc(rows, func(a, b store.Row) bool { return store.CompareKeys(key, a, b) == 0 }), nil
		})
	}, []string{"keys/repeated", "keys/spelled", "keys/composite", "keys/kind-same-instant", "keys/index-same-instant"}},
	{"a key that is given twice counts twice", func() store.Store {
		return readingAt(func(key []store.Column, rows, keys []store.Row) (all []store.Row, err error) {
			for _, k := range keys {
				for _, r := range rows {
					if store.CompareKeys(key, r, k) == 0 {
						all = append(all, r)
					}
				}
			}
			return all, nil
		})
	}, []string{"keys/given-twice"}},
	{"rows with NULL belong to every key", func() store.Store {
		return matching(func(key []store.Column, row store.Row, keys []store.Row) bool {
			return slices.Contains(row[:len(key)], nil) || slices.ContainsFunc(keys, func(k store.Row) bool { return store.CompareKeys(key, row, k) == 0 })
		})
	}, []string{"keys/repeated", "keys/kind-int"}},
	{"rows in the order of the primary key", func() store.Store {
		return readingAt(func(key []store.Column, rows, _ []store.Row) ([]store.Row, error) {
			slices.SortStableFunc(rows, func(a, b store.Row) int {
				return store.CompareKeys([]store.Column{{Type: store.MustType("int")}}, a[len(key):], b[len(key):])
			})
			return rows, nil
		})
	}, []string{"keys/columns", "keys/composite", "keys/repeated", "keys/kind-int"}},
	{"rows of one statement come backwards", func() store.Store {
		return readingAt(func(_ []store.Column, rows, _ []store.Row) ([]store.Row, error) {
			slices.Reverse(rows)
			return rows, nil
		})
	}, []string{"keys/found", "keys/many", "keys/kind-int"}},
	{"RowsAt ignores what columns are asked for", func() store.Store {
		return askingAt(func(q *store.Query, keys []store.Row) []store.Row { q.Columns = nil; return keys })
	}, []string{"keys/columns"}},
	{"RowsAt has columns in the order of the table", func() store.Store {
		return askingAt(func(q *store.Query, keys []store.Row) []store.Row {
			q.Columns = slices.Clone(q.Columns)
			slices.SortFunc(q.Columns, func(a, b string) int {
				return slices.Index(q.Table.ColumnNames(), a) - slices.Index(q.Table.ColumnNames(), b)
			})
			return keys
		})
	}, []string{"keys/columns"}},
	{"RowsAt ignores Verbatim", func() store.Store {
		return &broken{Store: anyValues(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			q.Verbatim = false
			return r.RowsAt(ctx, q, keys)
		}}
	}, []string{"keys/verbatim"}},
	{"RowsAt decodes what is asked for as it is stored", func() store.Store {
		return &broken{Store: anyValues(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			q.Stored = nil
			return r.RowsAt(ctx, q, keys)
		}}
	}, []string{"keys/as-rows"}},
	{"RowsAt has decimals of another scale", func() store.Store {
		return readingAt(func(_ []store.Column, rows, _ []store.Row) ([]store.Row, error) {
			for _, row := range rows {
				for i, v := range row {
					if text, ok := v.([]byte); ok && bytes.HasPrefix(text, []byte("-12.5")) {
						row[i] = []byte("-12.500")
					}
				}
			}
			return rows, nil
		})
	}, []string{"keys/as-rows"}},

	// What the engine takes for equal.
	{"keys without case", func() store.Store { return likeText(strings.ToLower) },
		[]string{"keys/kind-case", "keys/index-case", "keys/kind-varchar", "keys/kind-nvarchar-max", "keys/kind-char", "keys/kind-punctuation", "keys/composite"}},
	{"keys without trailing blanks", func() store.Store { return likeText(func(s string) string { return strings.TrimRight(s, " ") }) },
		[]string{"keys/kind-trailing-blanks", "keys/index-trailing-blanks", "keys/kind-varchar", "keys/kind-nvarchar-max"}},
	{"keys without punctuation", func() store.Store { return likeText(strings.NewReplacer("-", "", "'", "").Replace) },
		[]string{"keys/kind-punctuation", "keys/index-punctuation"}},
	{"keys of a language", func() store.Store {
		return likeText(strings.NewReplacer("å", "aa", "Å", "aa", "\u212b", "Å", "ß", "ss", "ﬀ", "ff", "e\u0301", "é", "\u00ad", "", "\u200b", "").Replace)
	}, []string{"keys/kind-non-ascii", "keys/index-non-ascii"}},
	{"keys up to the first NUL", func() store.Store {
		return likeText(func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s })
	}, []string{"keys/kind-nul-character"}},
	{"keys by their first 1,000 characters", func() store.Store { return likeText(func(s string) string { return s[:min(len(s), 1000)] }) },
		[]string{"keys/kind-long-text"}},
	{"keys without trailing zeros", func() store.Store {
		return like(func(_ store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok {
				return bytes.TrimRight(b, "\x00")
			}
			return v
		})
	}, []string{"keys/kind-bytes-zeros", "keys/index-bytes-zeros"}},
	{"keys of decimals as they are spelled", func() store.Store {
		return &broken{Store: anyValues(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			return again(ctx, r.(store.Source), q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(row store.Row) bool {
					return !slices.ContainsFunc(keys, func(k store.Row) bool {
						return store.CompareKeys(key, row, k) == 0 && bytes.Equal(spelled(row[0]), spelled(k[0]))
					})
				})
			})
		}}
	}, []string{"keys/spelled"}},
	{"keys of datetimeoffset by the clock on the wall", func() store.Store {
		return like(func(c store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok && c.Type.Kind() == store.KindTimeOffset {
				return x.Format(time.RFC3339Nano)
			}
			return v
		})
	}, []string{"keys/kind-same-instant", "keys/index-same-instant", "keys/spelled"}},
	{"keys of float tell -0 from 0", func() store.Store {
		return matching(func(key []store.Column, row store.Row, keys []store.Row) bool {
			return slices.ContainsFunc(keys, func(k store.Row) bool {
				for i, c := range key {
					if standard(c, row[i], k[i]) != 0 || c.Type.Kind() == store.KindFloat && !store.EqualValues(c.Type, c.Type, row[i], k[i]) {
						return false
					}
				}
				return true
			})
		})
	}, []string{"keys/kind-negative-zero", "keys/index-negative-zero", "keys/spelled"}},
	{"keys of time by hundredths of a second", func() store.Store {
		return like(func(c store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok {
				return x.Round(10 * time.Millisecond)
			}
			return v
		})
	}, []string{"keys/kind-datetime", "keys/kind-datetime2", "keys/kind-time", "keys/index-datetime", "keys/index-time", "keys/kind-datetimeoffset"}},
	{"keys of bigint by float", func() store.Store {
		return like(func(c store.Column, v driver.Value) driver.Value {
			if n, ok := v.(int64); ok && c.Type.Name == "bigint" {
				return float64(n)
			}
			return v
		})
	}, []string{"keys/kind-bigint", "keys/index-bigint"}},

	// Errors and batches.
	{"keys are sorted by RowsAt", func() store.Store {
		return askingAt(func(q *store.Query, keys []store.Row) []store.Row {
			var key []store.Column
			for _, name := range q.Key {
				c, _ := q.Table.Column(name)
				key = append(key, c)
			}
			keys = slices.Clone(keys)
			slices.SortFunc(keys, func(a, b store.Row) int {
				if len(a) != len(key) || len(b) != len(key) {
					return 0
				}
				return store.CompareKeys(key, a, b)
			})
			return keys
		})
	}, []string{"keys/refused"}},
	{"a key that is NULL finds nothing", func() store.Store {
		return askingAt(func(_ *store.Query, keys []store.Row) []store.Row {
			return slices.DeleteFunc(slices.Clone(keys), func(k store.Row) bool { return slices.Contains(k, nil) })
		})
	}, []string{"keys/refused"}},
	{"RowsAt ignores bounds", func() store.Store {
		return askingAt(func(q *store.Query, keys []store.Row) []store.Row {
			q.From, q.Before, q.Limit = nil, nil, 0
			return keys
		})
	}, []string{"keys/refused"}},
	{"RowsAt of a missing table is none", func() store.Store {
		return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range r.RowsAt(ctx, q, keys) {
					if errors.Is(err, store.ErrTableNotFound) || !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"keys/missing-table"}},
	{"RowsAt ignores a column that does not exist", func() store.Store {
		return askingAt(func(q *store.Query, keys []store.Row) []store.Row {
			q.Columns = slices.Clone(q.Columns)
			for i, name := range q.Columns {
				if !slices.Contains(q.Table.ColumnNames(), name) {
					q.Columns[i] = q.Key[0]
				}
			}
			return keys
		})
	}, []string{"keys/unknown-column"}},
	{"RowsAt ignores its context", func() store.Store {
		return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			return r.RowsAt(context.WithoutCancel(ctx), q, keys)
		}}
	}, []string{"keys/cancelled", "keys/cancelled-midway"}},
	{"RowsAt uses its batches again in spite of its word", func() store.Store { return forgetful{memory.New()} },
		[]string{"keys/kept-batches"}},
	{"RowsAt keeps its lock when it stops early", func() store.Store {
		var locked atomic.Bool
		return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range r.RowsAt(ctx, q, keys) {
					if !yield(batch, err) {
						locked.Store(true)
						return
					}
				}
			}
		}, update: func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			if locked.Load() {
				return errBusy
			}
			return st.Update(ctx, fn)
		}}
	}, []string{"keys/break"}},
}

// askingAt is a KeyReader that looks for something else than it is asked for.
func askingAt(change func(q *store.Query, keys []store.Row) []store.Row) *broken {
	return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
		keys = change(&q, keys)
		return r.RowsAt(ctx, q, keys)
	}}
}

// readingAt is a KeyReader that delivers what change makes of its rows, whose
// first values are those of the key.
func readingAt(change func(key []store.Column, rows, keys []store.Row) ([]store.Row, error)) *broken {
	return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
		return func(yield func([]store.Row, error) bool) {
			var failed error
			for batch, err := range again(ctx, keyed{r.(store.Source), keys}, q, func(key []store.Column, rows []store.Row) []store.Row {
				rows, failed = change(key, rows, keys)
				return rows
			}) {
				if !yield(batch, err) {
					return
				}
			}
			if failed != nil {
				yield(nil, failed)
			}
		}
	}}
}

// matching is a KeyReader that looks through all rows by a rule of its own.
func matching(match func(key []store.Column, row store.Row, keys []store.Row) bool) *broken {
	return &broken{Store: memory.New(), rowsAt: func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq {
		if len(keys) == 0 {
			return r.RowsAt(ctx, q, keys)
		}
		return again(ctx, r.(store.Source), q, func(key []store.Column, rows []store.Row) []store.Row {
			return slices.DeleteFunc(rows, func(row store.Row) bool { return !match(key, row, keys) })
		})
	}}
}

// like is a KeyReader that takes values for equal that become equal by fold.
func like(fold func(c store.Column, v driver.Value) driver.Value) *broken {
	return matching(func(key []store.Column, row store.Row, keys []store.Row) bool {
		return slices.ContainsFunc(keys, func(k store.Row) bool {
			for i, c := range key {
				if store.CompareKeys([]store.Column{c}, store.Row{fold(c, row[i])}, store.Row{fold(c, k[i])}) != 0 {
					return false
				}
			}
			return true
		})
	})
}

func likeText(fold func(s string) string) *broken {
	return like(func(_ store.Column, v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			return fold(s)
		}
		return v
	})
}

func spelled(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}

// sequences are several iterations, one after the other.
func sequences(all ...rowSeq) rowSeq {
	return func(yield func([]store.Row, error) bool) {
		for _, seq := range all {
			for batch, err := range seq {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}
