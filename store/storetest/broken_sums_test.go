package storetest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenSums are faults of a Digester in what a sum depends on.
var brokenSums = []fault{
	{"no columns are all columns", func() store.Store {
		return digesting(func(q *store.Query) {
			if len(q.Columns) == 0 {
				q.Columns = nil
			}
		})
	}, []string{"digest/no-columns"}},
	{"all columns are the key", func() store.Store {
		return digesting(func(q *store.Query) {
			if q.Columns == nil {
				q.Columns = q.Key
			}
		})
	}, []string{"digest/columns"}},
	{"the last column is left out", func() store.Store {
		return summing(func(cols []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) string {
				row = row.Clone()
				row[len(row)-1] = nil
				return fmt.Sprintf("%q", row)
			})
		})
	}, []string{"digest/columns", "digest/wide-rows", "digest/types-apart", "digest/values-*"}},
	{"columns are joined", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) (s string) {
				for _, v := range row {
					if v != nil {
						s += valueText(v)
					}
				}
				return s
			})
		})
	}, []string{"digest/columns-apart", "digest/types-apart", "digest/values-text"}},
	{"columns are joined with a comma", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) (s string) {
				for _, v := range row {
					s += "," + showValue(v)
				}
				return strings.ReplaceAll(s, `"`, "")
			})
		})
	}, []string{"digest/columns-apart", "digest/values-text"}},
	{"hashes of columns are added", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			var sum uint64
			for _, row := range rows {
				for _, v := range row {
					sum += hashText(showValue(v))
				}
			}
			return fmt.Sprint(sum)
		})
	}, []string{"digest/columns-apart", "digest/wide-rows"}},
	{"rows cancel each other", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			var sum uint64
			for _, row := range rows {
				sum ^= hashText(show(row))
			}
			return fmt.Sprint(sum)
		})
	}, []string{"digest/repeated-rows"}},
	{"rows are hashed one after the other", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			s := ""
			for _, row := range rows {
				s += show(row)
			}
			return fmt.Sprint(hashText(s))
		})
	}, []string{"digest/order-of-rows"}},
	{"equal rows have other sums", func() store.Store {
		var n atomic.Int64
		return summing(func([]store.Column, []store.Row) string { return fmt.Sprint(n.Add(1)) })
	}, []string{"digest/every", "digest/order-of-rows", "digest/values-*", "digest/columns"}},
	{"text is cut after 255 characters", func() store.Store {
		return summingText(func(s string) driver.Value { return s[:min(len(s), 255)] })
	}, []string{"digest/long-values"}},
	{"a row is cut after 8,000 bytes", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) string {
				s := fmt.Sprintf("%#v", row)
				return s[:min(len(s), 8000)]
			})
		})
	}, []string{"digest/long-values"}},
	{"columns after the first 100 are left out", func() store.Store {
		return digesting(func(q *store.Query) { q.Columns = q.Columns[:min(len(q.Columns), 100)] })
	}, []string{"digest/wide-rows"}},
	{"NULL is empty text", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindString {
				return ""
			}
			return v
		})
	}, []string{"digest/values-text", "digest/columns-apart", "digest/values-nul-character"}},
	{"NULL is 0", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindInt {
				return int64(0)
			}
			return v
		})
	}, []string{"digest/values-numbers"}},
	{"blanks at the end do not count", func() store.Store {
		return summingText(func(s string) driver.Value { return strings.TrimRight(s, " ") })
	}, []string{"digest/values-text"}},
	{"case does not count", func() store.Store {
		return summingText(func(s string) driver.Value { return strings.ToLower(s) })
	}, []string{"digest/values-text", "digest/values-unicode"}},
	{"text is hashed in a code page", func() store.Store {
		return summingText(func(s string) driver.Value {
			return strings.Map(func(r rune) rune {
				if r > 0xff {
					return '?'
				}
				return r
			}, s)
		})
	}, []string{"digest/values-unicode"}},
	{"text ends with NUL", func() store.Store {
		return summingText(func(s string) driver.Value { s, _, _ = strings.Cut(s, "\x00"); return s })
	}, []string{"digest/values-nul-character"}},
	{"zeros at the end of bytes do not count", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindBytes {
				return bytes.TrimRight(b, "\x00")
			}
			return v
		})
	}, []string{"digest/values-bytes"}},
	{"-0 is 0", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok && f == 0 {
				return 0.0
			}
			return v
		})
	}, []string{"digest/values-floats"}},
	{"floats have 6 digits", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok {
				return strconv.FormatFloat(f, 'g', 6, 64)
			}
			return v
		})
	}, []string{"digest/values-floats"}},
	{"decimals are hashed as floats", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
				f, _ := strconv.ParseFloat(string(b), 64)
				return f
			}
			return v
		})
	}, []string{"digest/values-numbers"}},
	{"times are hashed by milliseconds", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok {
				return x.Truncate(time.Millisecond)
			}
			return v
		})
	}, []string{"digest/values-seventh-digit"}},
	{"the offset does not count", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok {
				return x.UTC()
			}
			return v
		})
	}, []string{"digest/values-times"}},
	{"GUIDs are hashed by their last groups", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindGUID {
				return b[8:]
			}
			return v
		})
	}, []string{"digest/values-guid"}},
}

// summing is a Digester that makes sums of its own. It reads the rows of each
// range; the counts and the keys are right.
func summing(sum func(cols []store.Column, rows []store.Row) string) *broken {
	st := memory.New()
	sumOf := func(ctx context.Context, q store.Query) (string, error) {
		if q.Columns == nil {
			q.Columns = q.Table.ColumnNames()
		}
		if len(q.Columns) == 0 {
			return "", nil
		}
		cols := make([]store.Column, len(q.Columns))
		for i, name := range q.Columns {
			cols[i], _ = q.Table.Column(name)
		}
		rows, err := collect(ctx, st, q)
		if err != nil || len(rows) == 0 {
			return "", err
		}
		return sum(cols, rows), nil
	}
	return &broken{Store: st,
		every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			for i := range digests {
				part := q
				part.Limit = digests[i].Rows
				part.From = digests[i].First
				if digests[i].Sum, err = sumOf(ctx, part); err != nil {
					return nil, err
				}
			}
			return digests, err
		},
		at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			for i := range digests {
				part := q
				part.Limit = digests[i].Rows
				if i > 0 {
					key := make([]store.Column, len(q.Key))
					for j, name := range q.Key {
						key[j], _ = q.Table.Column(name)
					}
					if q.From == nil || store.CompareKeys(key, cuts[i-1], q.From) > 0 {
						part.From = cuts[i-1]
					}
				}
				if digests[i].Rows == 0 {
					digests[i].Sum = ""
				} else if digests[i].Sum, err = sumOf(ctx, part); err != nil {
					return nil, err
				}
			}
			return digests, err
		}}
}

// summingValues is a Digester whose sums depend on what change makes of the values.
func summingValues(change func(c store.Column, v driver.Value) driver.Value) *broken {
	return summing(func(cols []store.Column, rows []store.Row) string {
		return addHashes(rows, func(row store.Row) string {
			var b strings.Builder
			for i, v := range row {
				if v = change(cols[i], v); v != nil {
					text := valueText(v)
					fmt.Fprintf(&b, "%d:%d:%s", cols[i].Type.Kind(), len(text), text)
				}
				b.WriteString(";")
			}
			return b.String()
		})
	})
}

// summingText is a Digester whose sums depend on what change makes of text.
func summingText(change func(s string) driver.Value) *broken {
	return summingValues(func(_ store.Column, v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			return change(s)
		}
		return v
	})
}

func valueText(v driver.Value) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatUint(math.Float64bits(v), 16)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

func hashText(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

func addHashes(rows []store.Row, text func(row store.Row) string) string {
	var sum uint64
	for _, row := range rows {
		sum += hashText(text(row))
	}
	return fmt.Sprint(sum)
}
