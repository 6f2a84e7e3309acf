package storetest

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf16"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenRows are faults of reading, and of the order in which rows come.
var brokenRows = []fault{
	{"Rows loses the last row of a batch", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				if len(batch) == 1 {
					return nil
				}
				return batch[:len(batch)-1]
			})
		}}
	}, []string{"rows/batches", "rows/unordered", "rows/columns", "rows/lifetime", "concurrent/readers", "cancel/usable-afterwards"}},
	{"Rows repeats a row between batches", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			var last store.Row
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				if last != nil {
					batch = append([]store.Row{last}, batch...)
				}
				last = batch[len(batch)-1].Clone()
				return batch
			})
		}}
	}, []string{"rows/batches", "rows/unordered"}},
	{"Rows ends with an empty batch", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) || err != nil {
						return
					}
				}
				yield(nil, nil)
			}
		}}
	}, []string{"rows/empty-table", "rows/batches"}},
	{"Rows goes on after an error", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) || err != nil && !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"rows/missing-table", "cancel/cancelled"}},
	{"Rows of a missing table are none", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if errors.Is(err, store.ErrTableNotFound) || !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"rows/missing-table", "write/drop", "cancel/goroutines"}},
	{"Rows in the order of the table's columns", func() store.Store {
		return asking(func(q *store.Query) {
			slices.SortFunc(q.Columns, func(a, b string) int {
				return cmp.Compare(slices.Index(q.Table.ColumnNames(), a), slices.Index(q.Table.ColumnNames(), b))
			})
		})
	}, []string{"rows/columns"}},
	{"Rows orders only by what it reads", func() store.Store {
		return asking(func(q *store.Query) {
			if len(q.Columns) > 0 && q.From == nil && q.Before == nil {
				q.Key = slices.DeleteFunc(slices.Clone(q.Key), func(name string) bool { return !slices.Contains(q.Columns, name) })
			}
		})
	}, []string{"rows/columns", "order/int"}},
	{"Rows ignores a column that does not exist", func() store.Store {
		return asking(func(q *store.Query) {
			q.Key = slices.DeleteFunc(slices.Clone(q.Key), func(name string) bool { return !slices.Contains(q.Table.ColumnNames(), name) })
		})
	}, []string{"rows/unknown-column"}},
	{"From is exclusive", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool { return q.From != nil && store.CompareKeys(key, r, q.From) == 0 })
			})
		}}
	}, []string{"rows/from", "rows/from-and-before", "rows/composite-bounds", "rows/null-bounds", "rows/limit", "rows/resume", "order/*", "tx/reads-in-order"}},
	{"Before is inclusive", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			before := q.Before
			q.Before = nil
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool { return before != nil && store.CompareKeys(key, r, before) > 0 })
			})
		}}
	}, []string{"rows/before", "rows/from-and-before", "rows/composite-bounds", "rows/null-bounds", "order/case", "tx/reads-in-order"}},
	{"From binds every column by itself", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool {
					for i, c := range key {
						if q.From != nil && standard(c, r[i], q.From[i]) < 0 {
							return true
						}
					}
					return false
				})
			})
		}}
	}, []string{"rows/composite-bounds", "rows/null-bounds", "order/composite", "tx/reads-in-order"}},
	{"NULL in Before is no bound", func() store.Store {
		return asking(func(q *store.Query) {
			if len(q.Before) > 0 && q.Before[0] == nil {
				q.Before = nil
			}
		})
	}, []string{"rows/null-bounds", "order/int"}},
	{"rows with NULL are beyond every bound", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool {
					return (q.From != nil || q.Before != nil) && slices.Contains(r[:len(key)], nil)
				})
			})
		}}
	}, []string{"rows/null-bounds", "order/composite"}},
	{"Limit is ignored", func() store.Store { return asking(func(q *store.Query) { q.Limit = 0 }) },
		[]string{"rows/limit", "rows/composite-bounds"}},
	{"Limit is one less", func() store.Store { return asking(func(q *store.Query) { q.Limit = max(q.Limit-1, 0) }) },
		[]string{"rows/limit", "rows/composite-bounds"}},
	{"Limit ends with the batch", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			q.Limit = (q.Limit + 99) / 100 * 100
			return src.Rows(ctx, q)
		}}
	}, []string{"rows/limit"}},
	{"Limit leaves the order to chance", func() store.Store {
		return asking(func(q *store.Query) {
			if q.Limit > 0 && q.From == nil && q.Before == nil {
				q.Key = nil
				q.Table.Key = nil
			}
		})
	}, []string{"rows/limit"}},
	{"rows of a batch share their bytes", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				buf := make([]byte, 0, 1<<16)
				for i, r := range batch {
					batch[i] = r.Clone()
					for j, v := range r {
						if b, ok := v.([]byte); ok && len(b) < cap(buf) {
							batch[i][j] = append(buf[:0], b...)
						}
					}
				}
				return batch
			})
		}}
	}, []string{"rows/lifetime", "concurrent/readers"}},
	{"batches that are promised to stay do not", func() store.Store { return forgetful{memory.New()} }, []string{"rows/kept-batches"}},
	{"a reader that stops early keeps its lock", func() store.Store {
		var locked atomic.Bool
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
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
	}, []string{"rows/break"}},

	// The order.
	{"order without case", func() store.Store {
		return sortedText(func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	}, []string{"order/case", "order/varchar", "order/nvarchar-max", "order/char", "order/long-text", "order/primary-key", "order/composite", "tx/reads-in-order"}},
	{"order with trailing blanks in front", func() store.Store {
		return sortedText(func(a, b string) int {
			return cmp.Or(cmp.Compare(strings.TrimRight(a, " "), strings.TrimRight(b, " ")), len(b)-len(a))
		})
	}, []string{"order/trailing-blanks", "order/varchar", "order/nvarchar-max"}},
	{"bounds without trailing blanks", func() store.Store {
		trim := func(r store.Row) store.Row {
			r = slices.Clone(r)
			for i, v := range r {
				if s, ok := v.(string); ok {
					r[i] = strings.TrimRight(s, " ")
				}
			}
			return r
		}
		return asking(func(q *store.Query) { q.From, q.Before = trim(q.From), trim(q.Before) })
	}, []string{"order/trailing-blanks"}},
	{"order without punctuation", func() store.Store {
		return sortedText(func(a, b string) int {
			word := strings.NewReplacer("-", "", "'", "").Replace
			return cmp.Or(cmp.Compare(word(a), word(b)), cmp.Compare(a, b))
		})
	}, []string{"order/punctuation", "order/varchar", "order/char"}},
	{"order of a language", func() store.Store {
		return sortedText(func(a, b string) int {
			spell := strings.NewReplacer("å", "aa", "ø", "oe", "é", "e", "ß", "ss").Replace
			return cmp.Or(cmp.Compare(spell(a), spell(b)), cmp.Compare(a, b))
		})
	}, []string{"order/non-ascii", "order/primary-key"}},
	{"order by UTF-16 units", func() store.Store {
		return sortedText(func(a, b string) int { return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) })
	}, []string{"order/surrogates", "order/nvarchar-max", "order/primary-key", "tx/reads-in-order"}},
	{"order up to the first NUL", func() store.Store {
		return sortedText(func(a, b string) int {
			a, restA, _ := strings.Cut(a, "\x00")
			b, restB, _ := strings.Cut(b, "\x00")
			return cmp.Or(cmp.Compare(a, b), cmp.Compare(restB, restA))
		})
	}, []string{"order/nul-character"}},
	{"order by the first 1,000 characters", func() store.Store {
		return sortedText(func(a, b string) int {
			return cmp.Or(cmp.Compare(a[:min(len(a), 1000)], b[:min(len(b), 1000)]), cmp.Compare(b, a))
		})
	}, []string{"order/long-text"}},
	{"order of GUIDs by bytes", func() store.Store { return sortedBytes(store.KindGUID, bytes.Compare) },
		[]string{"order/guid", "order/primary-key"}},
	{"order of decimals by text", func() store.Store { return sortedBytes(store.KindDecimal, bytes.Compare) },
		[]string{"order/decimal", "order/decimal-integer", "order/money", "order/primary-key", "order/composite"}},
	{"order of decimals by float", func() store.Store {
		return sortedBytes(store.KindDecimal, func(a, b []byte) int {
			x, _ := strconv.ParseFloat(string(a), 64)
			y, _ := strconv.ParseFloat(string(b), 64)
			return cmp.Or(cmp.Compare(x, y), bytes.Compare(b, a))
		})
	}, []string{"order/decimal", "order/decimal-integer"}},
	{"order of bytes by length", func() store.Store {
		return sortedBytes(store.KindBytes, func(a, b []byte) int { return cmp.Or(len(a)-len(b), bytes.Compare(a, b)) })
	}, []string{"order/bytes", "order/bytes-zeros", "order/primary-key"}},
	{"order of bytes without trailing zeros", func() store.Store {
		return sortedBytes(store.KindBytes, func(a, b []byte) int {
			return cmp.Or(bytes.Compare(bytes.TrimRight(a, "\x00"), bytes.TrimRight(b, "\x00")), len(b)-len(a))
		})
	}, []string{"order/bytes-zeros"}},
	{"order of datetimeoffset by the clock on the wall", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int {
			if c.Type.Kind() != store.KindTimeOffset || a == nil || b == nil {
				return standard(c, a, b)
			}
			return cmp.Compare(a.(time.Time).Format(time.RFC3339Nano), b.(time.Time).Format(time.RFC3339Nano))
		})
	}, []string{"order/datetimeoffset", "order/same-instant", "order/primary-key"}},
	{"order of times by seconds", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int {
			x, ok := a.(time.Time)
			y, ok2 := b.(time.Time)
			if !ok || !ok2 {
				return standard(c, a, b)
			}
			return cmp.Or(cmp.Compare(x.Unix(), y.Unix()), y.Compare(x))
		})
	}, []string{"order/datetime", "order/datetime2", "order/time"}},
	{"order with NULL last", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int {
			if (a == nil) != (b == nil) {
				return -standard(c, a, b)
			}
			return standard(c, a, b)
		})
	}, []string{"rows/null-bounds", "order/int", "order/bool", "order/same-instant", "tx/reads-in-order"}},
	{"order backwards", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int { return -standard(c, a, b) })
	}, []string{"order/*", "rows/batches"}},
	{"order by the key's columns as the table has them", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				at := make([]int, len(key))
				for i := range at {
					at[i] = i
				}
				names := q.Table.ColumnNames()
				slices.SortFunc(at, func(i, j int) int {
					return cmp.Compare(slices.Index(names, key[i].Name), slices.Index(names, key[j].Name))
				})
				slices.SortStableFunc(rows, func(a, b store.Row) int {
					for _, i := range at {
						if n := standard(key[i], a[i], b[i]); n != 0 {
							return n
						}
					}
					return 0
				})
				return rows
			})
		}}
	}, []string{"order/composite", "rows/composite-bounds"}},
}

// again reads all rows that q asks for, in full, and hands over in small
// batches what change makes of them. Change gets the columns of q.Key and rows
// whose first values are those of the key.
func again(ctx context.Context, src store.Source, q store.Query, change func(key []store.Column, rows []store.Row) []store.Row) rowSeq {
	columns := q.Columns
	if len(columns) == 0 {
		columns = q.Table.ColumnNames()
	}
	limit := q.Limit
	q.Columns, q.Limit = append(slices.Clone(q.Key), columns...), 0
	return func(yield func([]store.Row, error) bool) {
		rows, err := collect(ctx, src, q)
		if err != nil {
			yield(nil, err)
			return
		}
		key := make([]store.Column, len(q.Key))
		for i, name := range q.Key {
			key[i], _ = q.Table.Column(name)
		}
		rows = change(key, rows)
		if limit > 0 && limit < int64(len(rows)) {
			rows = rows[:limit]
		}
		for i := range rows {
			rows[i] = rows[i][len(q.Key):]
		}
		for batch := range slices.Chunk(rows, 7) {
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// sorted is a Source that orders values by a rule of its own.
func sorted(compare func(c store.Column, a, b driver.Value) int) *broken {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
			slices.SortStableFunc(rows, func(a, b store.Row) int {
				for i, c := range key {
					if n := compare(c, a[i], b[i]); n != 0 {
						return n
					}
				}
				return 0
			})
			return rows
		})
	}}
}

// sortedText orders text by a rule of its own.
func sortedText(compare func(a, b string) int) *broken {
	return sorted(func(c store.Column, a, b driver.Value) int {
		x, ok := a.(string)
		y, ok2 := b.(string)
		if !ok || !ok2 {
			return standard(c, a, b)
		}
		return compare(x, y)
	})
}

// sortedBytes orders the values of one kind, which are bytes, by a rule of its own.
func sortedBytes(kind store.Kind, compare func(a, b []byte) int) *broken {
	return sorted(func(c store.Column, a, b driver.Value) int {
		x, ok := a.([]byte)
		y, ok2 := b.([]byte)
		if !ok || !ok2 || c.Type.Kind() != kind {
			return standard(c, a, b)
		}
		return compare(x, y)
	})
}

func standard(c store.Column, a, b driver.Value) int {
	return store.CompareKeys([]store.Column{c}, store.Row{a}, store.Row{b})
}

// asking is a Source that reads something else than it is asked for.
func asking(change func(q *store.Query)) *broken {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		change(&q)
		return src.Rows(ctx, q)
	}}
}

// forgetful is a store that uses its batches again in spite of its word.
type forgetful struct{ *memory.Store }

func (forgetful) KeepsBatches() int { return 1 }
