package storetest

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenJoins are faults of a Joiner.
var brokenJoins = slices.Concat(brokenJoinRows, brokenJoinValues)

var wereSources sync.Map

var brokenJoinRows = []fault{
	{"rows of the source alone are left out", func() store.Store {
		return picking(func(_, extra, changed []store.Row) []store.Row { return slices.Concat(extra, changed) })
	}, []string{"join/different", "join/few", "join/empty", "join/bounds", "join/limit", "join/both-ways", "join/sees-changes", "join/holds-nothing", "join/that-mirror", "join/concurrent", "join/key-*"}},
	{"rows of the mirror alone are left out", func() store.Store {
		return picking(func(missing, _, changed []store.Row) []store.Row { return slices.Concat(missing, changed) })
	}, []string{"join/different", "join/few", "join/empty", "join/bounds", "join/key-*"}},
	{"changed rows are left out", func() store.Store {
		return picking(func(missing, extra, _ []store.Row) []store.Row { return slices.Concat(missing, extra) })
	}, []string{"join/different", "join/few", "join/columns", "join/names", "join/composite", "join/nearly-all", "join/values-*"}},
	{"rows of the mirror alone are looked for when the numbers of rows differ", func() store.Store {
		return joiningBy(func(j *scan) {
			j.pick = func(missing, extra, changed []store.Row) []store.Row {
				if len(missing) == len(extra) {
					extra = nil
				}
				return slices.Concat(missing, extra, changed)
			}
		})
	}, []string{"join/different", "join/few", "join/bounds", "join/key-*"}},
	{"a key of many is left out", func() store.Store {
		return joiningBy(func(j *scan) {
			j.answer = func(found *store.Suspects, limit int) {
				if found.Undecided = len(found.Keys) > limit; found.Undecided || len(found.Keys) > 1000 {
					found.Keys = found.Keys[:min(len(found.Keys), 1000)]
				}
			}
		})
	}, []string{"join/nearly-all"}},
	{"the last column is not compared", func() store.Store {
		return askingBoth(func(s, m *store.Query, _ *int) {
			if n := len(s.Columns) - 1; n == len(m.Columns)-1 && n > len(s.Key) {
				s.Columns, m.Columns = s.Columns[:n], m.Columns[:n]
			}
		})
	}, []string{"join/different", "join/columns", "join/names"}},
	{"all columns are compared, in the order of the tables", func() store.Store {
		return askingBoth(func(s, m *store.Query, _ *int) { s.Columns, m.Columns = s.Table.ColumnNames(), m.Table.ColumnNames() })
	}, []string{"join/unknown-column"}},
	{"columns of the mirror go by the names of the source", func() store.Store {
		return askingBoth(func(s, m *store.Query, _ *int) { m.Columns, m.Key = s.Columns, s.Key })
	}, []string{"join/names"}},
	{"the first column is the key", func() store.Store {
		return joiningBy(func(j *scan) {
			j.fold = func(c store.Column, v driver.Value) driver.Value {
				if c.Name == "b" || c.Name == "c" {
					return nil
				}
				return v
			}
		})
	}, []string{"join/composite", "join/columns"}},
	{"a range begins with the first row", func() store.Store {
		return askingBoth(func(s, m *store.Query, _ *int) { s.From, m.From = nil, nil })
	}, []string{"join/bounds", "join/composite", "join/concurrent"}},
	{"a range has no end", func() store.Store {
		return askingBoth(func(s, m *store.Query, _ *int) { s.Before, m.Before = nil, nil })
	}, []string{"join/bounds", "join/composite", "join/concurrent"}},
	{"a range of the mirror is all rows", func() store.Store {
		return askingBoth(func(_, m *store.Query, _ *int) { m.From, m.Before = nil, nil })
	}, []string{"join/bounds", "join/composite"}},
	{"rows are counted of the source alone", func() store.Store {
		return telling(func(found *store.Suspects) { found.MirrorRows = found.SourceRows })
	}, []string{"join/different", "join/empty", "join/bounds"}},
	{"only suspects are counted", func() store.Store {
		return telling(func(found *store.Suspects) {
			found.SourceRows, found.MirrorRows = int64(len(found.Keys)), int64(len(found.Keys))
		})
	}, []string{"join/equal", "join/different"}},
	{"keys descend", func() store.Store { return telling(func(found *store.Suspects) { slices.Reverse(found.Keys) }) },
		[]string{"join/different", "join/composite"}},
	{"a key comes twice", func() store.Store {
		return telling(func(found *store.Suspects) {
			if len(found.Keys) > 0 {
				found.Keys = slices.Insert(found.Keys, 0, found.Keys[0])
			}
		})
	}, []string{"join/different", "join/composite"}},
	{"keys are text", func() store.Store {
		return telling(func(found *store.Suspects) {
			for i, k := range found.Keys {
				found.Keys[i] = store.Row{fmt.Sprint(k[0])}
			}
		})
	}, []string{"join/different"}},
	{"a key has its row behind it", func() store.Store {
		return telling(func(found *store.Suspects) {
			for i, k := range found.Keys {
				found.Keys[i] = append(slices.Clone(k), "value")
			}
		})
	}, []string{"join/different"}},
	{"a key out of the range is suspect", func() store.Store {
		return telling(func(found *store.Suspects) {
			if !found.Undecided {
				found.Keys = append(found.Keys, store.Row{int64(6000)})
			}
		})
	}, []string{"join/bounds", "join/equal"}},
	{"no key is NULL, and yet one is suspect", func() store.Store {
		return telling(func(found *store.Suspects) {
			if !found.Undecided {
				found.Keys = append([]store.Row{{nil}}, found.Keys...)
			}
		})
	}, []string{"join/different", "join/equal"}},
	{"as many keys as asked for are all", func() store.Store {
		return joiningBy(func(j *scan) {
			j.answer = func(found *store.Suspects, limit int) { found.Keys = found.Keys[:min(len(found.Keys), limit)] }
		})
	}, []string{"join/limit", "join/nearly-all"}},
	{"there is no limit", func() store.Store {
		return joiningBy(func(j *scan) { j.answer = func(*store.Suspects, int) {} })
	}, []string{"join/limit", "join/nearly-all"}},
	{"nothing is ever decided", func() store.Store {
		return telling(func(found *store.Suspects) { found.Keys, found.Undecided = nil, true })
	}, []string{"join/equal", "join/different", "join/empty"}},
	{"rows are read once", func() store.Store {
		return joiningBy(func(j *scan) {
			known := map[string][]store.Row{}
			j.read = func(src store.Source, ctx context.Context, q store.Query) ([]store.Row, error) {
				name := fmt.Sprintf("%p %s %v %v %v", src, q.Table, q.Columns, q.From, q.Before)
				if rows, ok := known[name]; ok {
					return rows, nil
				}
				rows, err := collect(ctx, src, q)
				known[name] = rows
				return rows, err
			}
		})
	}, []string{"join/sees-changes", "join/holds-nothing"}},
	{"a mirror is the one of the first join", func() store.Store {
		var first store.Source
		return joiningBy(func(j *scan) {
			if first == nil {
				first = j.mirror
			}
			j.mirror = first
		})
	}, []string{"join/that-mirror"}},
	{"a source cannot be a mirror", func() store.Store {
		return joiningBy(func(j *scan) {
			wereSources.Store(j.source, true)
			j.read = func(src store.Source, ctx context.Context, q store.Query) ([]store.Row, error) {
				if _, was := wereSources.Load(src); was && src == j.mirror {
					return nil, errBusy
				}
				return collect(ctx, src, q)
			}
		})
	}, []string{"join/both-ways"}},
	{"an answer is that of the first call", func() store.Store {
		return joiningBy(func(j *scan) {
			var mu sync.Mutex
			var first *store.Suspects
			j.answer = func(found *store.Suspects, limit int) {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = found
				}
				*found = *first
			}
		})
	}, []string{"join/concurrent", "join/sees-changes", "join/limit"}},
	{"what cannot be compared is equal", func() store.Store { return joiningBy(func(j *scan) { j.lax = true }) },
		[]string{"join/refused"}},
	{"a missing table has no rows", func() store.Store {
		return joiningBy(func(j *scan) {
			j.read = func(src store.Source, ctx context.Context, q store.Query) ([]store.Row, error) {
				rows, err := collect(ctx, src, q)
				if errors.Is(err, store.ErrTableNotFound) {
					err = nil
				}
				return rows, err
			}
		})
	}, []string{"join/missing-table", "join/holds-nothing"}},
	{"a missing table cannot be joined", func() store.Store {
		return joiningBy(func(j *scan) {
			j.failed = func(err error) error {
				if errors.Is(err, store.ErrTableNotFound) {
					return fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
				}
				return err
			}
		})
	}, []string{"join/missing-table"}},
	{"a join ignores its context", func() store.Store {
		return joiningBy(func(j *scan) {
			j.read = func(src store.Source, ctx context.Context, q store.Query) ([]store.Row, error) {
				return collect(context.WithoutCancel(ctx), src, q)
			}
		})
	}, []string{"join/cancelled"}},
	{"any Source is joined", func() store.Store {
		return &broken{Store: memory.New(), unknown: func(mirror store.Source) (*broken, error) {
			return &broken{Store: memory.New()}, nil
		}}
	}, []string{"join/another-kind"}},
}

var brokenJoinValues = []fault{
	{"a join goes without case", func() store.Store { return foldingText(strings.ToLower) },
		[]string{"join/key-case", "join/key-varchar", "join/key-nvarchar-max", "join/key-char", "join/key-punctuation", "join/values-text", "join/values-unicode"}},
	{"a join goes without trailing blanks", func() store.Store { return foldingText(func(s string) string { return strings.TrimRight(s, " ") }) },
		[]string{"join/key-trailing-blanks", "join/key-varchar", "join/key-nvarchar-max", "join/values-text"}},
	{"a join goes without punctuation", func() store.Store { return foldingText(strings.NewReplacer("-", "", "'", "").Replace) },
		[]string{"join/key-punctuation"}},
	{"a join goes by a language", func() store.Store {
		return foldingText(strings.NewReplacer("å", "aa", "Å", "aa", "\u212b", "Å", "ß", "ss", "ﬀ", "ff", "e\u0301", "é", "\u00ad", "", "\u200b", "").Replace)
	}, []string{"join/key-non-ascii", "join/values-unicode"}},
	{"a join goes by a code page", func() store.Store {
		return foldingText(func(s string) string {
			return strings.Map(func(r rune) rune {
				if r > 0xff {
					return '?'
				}
				return r
			}, s)
		})
	}, []string{"join/key-surrogates", "join/key-non-ascii", "join/values-unicode"}},
	{"a join goes up to the first NUL", func() store.Store {
		return foldingText(func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s })
	}, []string{"join/key-nul-character", "join/values-nul-character"}},
	{"a join goes by the first 1,000 characters", func() store.Store { return foldingText(func(s string) string { return s[:min(len(s), 1000)] }) },
		[]string{"join/key-long-text"}},
	{"in a join NULL is empty text", func() store.Store {
		return folding(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindString {
				return ""
			}
			return v
		})
	}, []string{"join/values-text", "join/values-nul-character"}},
	{"in a join NULL is 0", func() store.Store {
		return folding(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindInt {
				return int64(0)
			}
			return v
		})
	}, []string{"join/values-numbers"}},
	{"in a join NULL is no bytes", func() store.Store {
		return folding(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindBytes {
				return []byte{}
			}
			return v
		})
	}, []string{"join/values-bytes"}},
	{"in a join -0 is 0", func() store.Store {
		return foldingFloats(func(f float64) driver.Value { return f + 0 })
	}, []string{"join/key-negative-zero", "join/values-floats"}},
	{"a join goes by 6 digits of a float", func() store.Store {
		return foldingFloats(func(f float64) driver.Value { return strconv.FormatFloat(f, 'g', 6, 64) })
	}, []string{"join/key-float", "join/values-floats"}},
	{"a join goes by whole floats", func() store.Store {
		return foldingFloats(func(f float64) driver.Value { return strconv.FormatFloat(f/8, 'f', 0, 64) })
	}, []string{"join/key-float", "join/key-real"}},
	{"a join goes by integers as floats", func() store.Store {
		return foldingInts(func(n int64) driver.Value { return float64(n) })
	}, []string{"join/key-bigint", "join/values-numbers"}},
	{"a join goes by the low bits of an integer", func() store.Store {
		return foldingInts(func(n int64) driver.Value { return n & 0x7f })
	}, []string{"join/key-tinyint", "join/key-int", "join/values-numbers"}},
	{"a join does not look at bits", func() store.Store {
		return folding(func(_ store.Column, v driver.Value) driver.Value {
			if _, ok := v.(bool); ok {
				return true
			}
			return v
		})
	}, []string{"join/key-bool", "join/values-numbers"}},
	{"a join goes by decimals as floats", func() store.Store {
		return foldingDecimals(func(text string) driver.Value { f, _ := strconv.ParseFloat(text, 64); return f })
	}, []string{"join/key-decimal", "join/key-decimal-integer", "join/values-numbers"}},
	{"a join goes by decimals without a fraction", func() store.Store {
		return foldingDecimals(func(text string) driver.Value { text, _, _ = strings.Cut(text, "."); return text })
	}, []string{"join/key-decimal", "join/key-money", "join/values-numbers"}},
	{"a join goes without trailing zeros", func() store.Store {
		return foldingBytes(func(_ store.Column, b []byte) []byte { return bytes.TrimRight(b, "\x00") })
	}, []string{"join/key-bytes-zeros", "join/values-bytes"}},
	{"a join goes by bytes as text", func() store.Store {
		return foldingBytes(func(_ store.Column, b []byte) []byte { return bytes.ToLower(b) })
	}, []string{"join/key-bytes", "join/key-binary", "join/values-bytes"}},
	{"a join goes by the last bytes of a GUID", func() store.Store {
		return foldingBytes(func(c store.Column, b []byte) []byte {
			if c.Type.Kind() == store.KindGUID {
				return b[8:]
			}
			return b
		})
	}, []string{"join/key-guid", "join/values-guid"}},
	{"a join goes by milliseconds", func() store.Store {
		return foldingTimes(func(x time.Time) time.Time { return x.Truncate(time.Millisecond) })
	},
		[]string{"join/key-datetime2", "join/key-time", "join/key-datetimeoffset", "join/values-seventh-digit"}},
	{"a join goes by hours", func() store.Store { return foldingTimes(func(x time.Time) time.Time { return x.Truncate(time.Hour) }) },
		[]string{"join/key-datetime", "join/key-datetime2", "join/values-times"}},
	{"a join goes by days of the year", func() store.Store {
		return foldingTimes(func(x time.Time) time.Time { return x.AddDate(2000-x.Year(), 0, 0) })
	}, []string{"join/key-date"}},
	{"a join goes by instants", func() store.Store { return foldingTimes(time.Time.UTC) },
		[]string{"join/key-same-instant", "join/values-times"}},
	{"a join goes by the clock on the wall", func() store.Store {
		return foldingTimes(func(x time.Time) time.Time {
			_, offset := x.Zone()
			return x.UTC().Add(time.Duration(offset) * time.Second)
		})
	}, []string{"join/values-times"}},
	{"in a join a number is its text", func() store.Store {
		b := folding(func(_ store.Column, v driver.Value) driver.Value {
			if v == nil {
				return nil
			}
			return fmt.Sprint(v)
		})
		b.Store = anyValues()
		return b
	}, []string{"join/any-value"}},
}

// joiningBy is a Joiner with a fault.
func joiningBy(change func(j *scan)) *broken { return &broken{Store: memory.New(), joining: change} }

// picking is a Joiner that leaves suspects out.
func picking(pick func(missing, extra, changed []store.Row) []store.Row) *broken {
	return joiningBy(func(j *scan) { j.pick = pick })
}

// askingBoth is a Joiner that compares something else than it is asked for.
func askingBoth(change func(source, mirror *store.Query, limit *int)) *broken {
	return joiningBy(func(j *scan) { j.ask = change })
}

// telling is a Joiner that tells something else than it found.
func telling(change func(found *store.Suspects)) *broken {
	return joiningBy(func(j *scan) {
		j.answer = func(found *store.Suspects, limit int) {
			if found.Undecided = len(found.Keys) > limit; found.Undecided {
				found.Keys = nil
			}
			change(found)
		}
	})
}

// folding is a Joiner for which values are alike that become alike by fold.
func folding(fold func(c store.Column, v driver.Value) driver.Value) *broken {
	return joiningBy(func(j *scan) { j.fold = fold })
}

func foldingText(fold func(s string) string) *broken {
	return folding(func(_ store.Column, v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			return fold(s)
		}
		return v
	})
}

func foldingFloats(fold func(f float64) driver.Value) *broken {
	return folding(func(_ store.Column, v driver.Value) driver.Value {
		if f, ok := v.(float64); ok {
			return fold(f)
		}
		return v
	})
}

func foldingInts(fold func(n int64) driver.Value) *broken {
	return folding(func(c store.Column, v driver.Value) driver.Value {
		if n, ok := v.(int64); ok && c.Name != "id" {
			return fold(n)
		}
		return v
	})
}

func foldingDecimals(fold func(text string) driver.Value) *broken {
	return folding(func(c store.Column, v driver.Value) driver.Value {
		if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
			return fold(string(b))
		}
		return v
	})
}

func foldingBytes(fold func(c store.Column, b []byte) []byte) *broken {
	return folding(func(c store.Column, v driver.Value) driver.Value {
		if b, ok := v.([]byte); ok && c.Type.Kind() != store.KindDecimal {
			return fold(c, b)
		}
		return v
	})
}

func foldingTimes(fold func(x time.Time) time.Time) *broken {
	return folding(func(_ store.Column, v driver.Value) driver.Value {
		if x, ok := v.(time.Time); ok {
			return fold(x)
		}
		return v
	})
}
