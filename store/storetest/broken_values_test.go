package storetest

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenValues are faults of the values that are read.
var brokenValues = []fault{
	{"every value is NULL", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if c.Name == "v" || c.Name == "s" || c.Name == "n" {
				return nil
			}
			return v
		})
	}, []string{"values/*"}},
	{"integers of the driver's size", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if n, ok := v.(int64); ok && c.Type.Name != "bigint" {
				return int32(n)
			}
			return v
		})
	}, []string{"values/int", "values/smallint", "values/tinyint"}},
	{"bit as a number", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if b, ok := v.(bool); ok {
				return map[bool]int64{false: 0, true: 1}[b]
			}
			return v
		})
	}, []string{"values/bit", "values/literals", "write/defaults"}},
	{"bigint through float", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if n, ok := v.(int64); ok {
				return int64(float64(n))
			}
			return v
		})
	}, []string{"values/bigint"}},
	{"float as text of 15 digits", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok {
				v, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64)
			}
			return v
		})
	}, []string{"values/float"}},
	{"-0 becomes 0", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok && f == 0 {
				return 0.0
			}
			return v
		})
	}, []string{"values/negative-zero", "order/negative-zero"}},
	{"whole floats as integers", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok && f == float64(int64(f)) {
				return int64(f)
			}
			return v
		})
	}, []string{"values/float", "values/real", "write/defaults"}},
	{"decimal as string", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
				return string(b)
			}
			return v
		})
	}, []string{"values/decimal", "values/money"}},
	{"decimal through float", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
				f, _ := strconv.ParseFloat(string(b), 64)
				return strconv.AppendFloat(nil, f, 'f', -1, 64)
			}
			return v
		})
	}, []string{"values/decimal-*", "values/money"}},
	{"trailing blanks are trimmed", func() store.Store {
		return deliveringText(func(s string) driver.Value { return strings.TrimRight(s, " ") })
	}, []string{"values/nvarchar", "values/nvarchar-full", "values/varchar", "values/null-empty-blank", "order/trailing-blanks"}},
	{"empty text is NULL", func() store.Store {
		return deliveringText(func(s string) driver.Value {
			if s == "" {
				return nil
			}
			return s
		})
	}, []string{"values/nvarchar", "values/null-empty-blank", "write/set-null"}},
	{"empty text is a blank", func() store.Store {
		return deliveringText(func(s string) driver.Value { return cmp.Or(s, " ") })
	}, []string{"values/nvarchar", "values/null-empty-blank"}},
	{"empty bytes are NULL", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && len(b) == 0 {
				return nil
			}
			return v
		})
	}, []string{"values/varbinary", "values/null-empty-blank", "values/image"}},
	{"text in a code page", func() store.Store {
		return deliveringText(func(s string) driver.Value {
			return strings.Map(func(r rune) rune {
				if r > 0xff {
					return '?'
				}
				return r
			}, s)
		})
	}, []string{"values/nvarchar", "values/ntext", "values/nchar", "order/surrogates"}},
	{"text up to the first NUL", func() store.Store {
		return deliveringText(func(s string) driver.Value {
			s, _, _ = strings.Cut(s, "\x00")
			return s
		})
	}, []string{"values/nul-character", "order/nul-character"}},
	{"line ends are changed", func() store.Store {
		return deliveringText(func(s string) driver.Value { return strings.ReplaceAll(s, "\r\n", "\n") })
	}, []string{"values/nvarchar", "values/text"}},
	{"long text is cut", func() store.Store {
		return deliveringText(func(s string) driver.Value { return s[:min(len(s), 8000)] })
	}, []string{"values/large"}},
	{"text as bytes", func() store.Store { return deliveringText(func(s string) driver.Value { return []byte(s) }) },
		[]string{"values/nvarchar", "values/xml", "values/char"}},
	{"bytes as text", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok {
				return string(b)
			}
			return v
		})
	}, []string{"values/varbinary", "values/binary", "values/uniqueidentifier"}},
	{"GUID in the order of its text", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindGUID {
				b = slices.Clone(b)
				slices.Reverse(b[:4])
				slices.Reverse(b[4:6])
				slices.Reverse(b[6:8])
				return b
			}
			return v
		})
	}, []string{"values/uniqueidentifier"}},
	{"times cut to seconds", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time { return x.Truncate(time.Second) })
	}, []string{"values/datetime", "values/datetime2", "values/time", "values/datetimeoffset"}},
	{"times through nanoseconds since 1970", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time { return time.Unix(0, x.UnixNano()).In(x.Location()) })
	}, []string{"values/date", "values/datetime2", "order/datetime2"}},
	{"times in local time", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time { return x.In(time.FixedZone("local", 3600)) })
	}, []string{"values/datetime", "values/date", "values/time"}},
	{"times in an unnamed zone", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time {
			_, offset := x.Zone()
			return x.In(time.FixedZone("", offset))
		})
	}, []string{"values/datetime", "values/smalldatetime"}},
	{"datetimeoffset in UTC", func() store.Store { return deliveringTime(time.Time.UTC) },
		[]string{"values/datetimeoffset", "order/same-instant"}},
	{"time on the first day of 1970", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok && c.Type.Kind() == store.KindTimeOfDay {
				return x.AddDate(1969, 0, 0)
			}
			return v
		})
	}, []string{"values/time", "values/time-seconds"}},
	{"Insert cuts times where it should round", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			cut := make([]store.Row, len(rows))
			for i, r := range rows {
				cut[i] = slices.Clone(r)
				for j, v := range r {
					if x, ok := v.(time.Time); ok {
						c, _ := t.Column(columns[j])
						cut[i][j] = x.Truncate(map[string]time.Duration{"smalldatetime": time.Minute, "datetime": time.Millisecond}[c.Type.Name])
					}
				}
			}
			return tx.Insert(ctx, t, columns, cut)
		})
	}, []string{"values/smalldatetime"}},
	{"Insert takes only what a driver takes", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for _, r := range rows {
				for _, v := range r {
					if _, ok := v.(uint8); ok {
						return errors.New("unsupported type uint8")
					}
				}
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"values/literals"}},
	{"Insert writes when Update ends", func() store.Store {
		var late []func(tx store.Tx) error
		b := inserting(func(_ store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			late = append(late, func(tx store.Tx) error { return tx.Insert(ctx, t, columns, rows) })
			return nil
		})
		b.update = func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			return st.Update(ctx, func(tx store.Tx) error {
				late = nil
				if err := fn(tx); err != nil {
					return err
				}
				for _, insert := range late {
					if err := insert(tx); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return b
	}, []string{"values/insert-copies", "tx/reads-own-writes"}},
}

// delivering is a Source that delivers other values than it holds.
func delivering(change func(c store.Column, v driver.Value) driver.Value) *broken {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		columns := make([]store.Column, 0, len(q.Columns))
		for _, name := range q.Columns {
			c, _ := q.Table.Column(name)
			columns = append(columns, c)
		}
		if len(columns) == 0 {
			columns = q.Table.Columns
		}
		return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
			for i, r := range batch {
				batch[i] = r.Clone()
				for j, v := range r {
					batch[i][j] = change(columns[j], v)
				}
			}
			return batch
		})
	}}
}

func deliveringText(change func(s string) driver.Value) *broken {
	return delivering(func(_ store.Column, v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			return change(s)
		}
		return v
	})
}

func deliveringTime(change func(x time.Time) time.Time) *broken {
	return delivering(func(_ store.Column, v driver.Value) driver.Value {
		if x, ok := v.(time.Time); ok {
			return change(x)
		}
		return v
	})
}
