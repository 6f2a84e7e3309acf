package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenRanges are faults of a Digester in what belongs to a range.
var brokenRanges = []fault{
	{"a scheme without a name", func() store.Store {
		return &broken{Store: memory.New(), scheme: func(store.Digester) string { return "" }}
	}, []string{"digest/scheme"}},
	{"no rows are one digest", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			if err == nil && len(digests) == 0 {
				digests = make([]store.Digest, 1)
			}
			return digests, err
		}}
	}, []string{"digest/empty-table", "digest/bounds"}},
	{"ranges have one row more", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			if n > 1 {
				n++
			}
			return d.DigestEvery(ctx, q, n)
		}}
	}, []string{"digest/every", "digest/limit", "digest/bounds", "digest/no-columns", "digest/many-cuts", "digest/key-[c-z]*"}},
	{"a range is counted to the next hundred", func() store.Store {
		return answering(func(d *store.Digest) { d.Rows = (d.Rows + 99) / 100 * 100 })
	}, []string{"digest/every", "digest/cuts", "digest/no-columns"}},
	{"the last range is left out", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			return digests[:max(len(digests)-1, 0)], err
		}}
	}, []string{"digest/every", "digest/order-of-rows"}},
	{"a range begins with the key behind its first", func() store.Store {
		return answering(func(d *store.Digest) {
			if len(d.First) == 1 {
				if n, ok := d.First[0].(int64); ok {
					d.First[0] = n + 1
				}
			}
		})
	}, []string{"digest/every", "digest/key-int"}},
	{"First is the greatest key as text", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				if s, ok := v.(string); ok {
					d.First[i] = strings.TrimRight(strings.ToUpper(s), " ")
				}
			}
		})
	}, []string{"digest/key-case", "digest/key-varchar", "digest/key-trailing-blanks", "digest/key-composite"}},
	{"First is in a code page", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				if s, ok := v.(string); ok {
					d.First[i] = strings.Map(func(r rune) rune {
						if r > 0xff {
							return '?'
						}
						return r
					}, s)
				}
			}
		})
	}, []string{"digest/key-non-ascii", "digest/key-surrogates"}},
	{"First of bit is a number", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				if v, ok := v.(bool); ok {
					d.First[i] = map[bool]int64{true: 1}[v]
				}
			}
		})
	}, []string{"digest/key-bool", "digest/key-composite"}},
	{"First has 2 digits behind the point", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				switch v := v.(type) {
				case []byte:
					integer, fraction, _ := strings.Cut(string(v), ".")
					d.First[i] = []byte(integer + "." + (fraction + "00")[:2])
				case float64:
					d.First[i] = math.Round(v*100) / 100
				case time.Time:
					d.First[i] = v.Truncate(time.Second / 100)
				}
			}
		})
	}, []string{"digest/key-decimal", "digest/key-float", "digest/key-datetime", "digest/key-datetimeoffset", "digest/key-guid", "digest/key-bytes-zeros"}},
	{"DigestAt names the first keys", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			for i := range digests {
				if i > 0 {
					digests[i].First = cuts[i-1]
				}
			}
			return digests, err
		}}
	}, []string{"digest/cuts", "digest/every"}},
	{"a cut belongs to the range before it", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			next := make([]store.Row, len(cuts))
			for i, cut := range cuts {
				next[i] = slices.Clone(cut)
				last := len(cut) - 1
				if n, ok := cut[last].(int64); ok {
					next[i][last] = n + 1
				}
			}
			return d.DigestAt(ctx, q, next)
		}}
	}, []string{"digest/cuts", "digest/every", "digest/bounds", "digest/many-cuts", "digest/no-columns", "digest/key-int"}},
	{"only 500 cuts are taken", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts[:min(len(cuts), 500)])
			return append(digests, make([]store.Digest, max(len(cuts)-500, 0))...), err
		}}
	}, []string{"digest/many-cuts"}},
	{"ranges without rows are left out", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			return slices.DeleteFunc(digests, func(d store.Digest) bool { return d.Rows == 0 }), err
		}}
	}, []string{"digest/cuts", "digest/empty-table", "digest/no-columns"}},
	{"cuts are sorted", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			cuts = slices.Clone(cuts)
			slices.SortFunc(cuts, func(a, b store.Row) int { return cmp.Compare(fmt.Sprintf("%20v", a), fmt.Sprintf("%20v", b)) })
			return d.DigestAt(ctx, q, cuts)
		}}
	}, []string{"digest/cuts"}},
	{"digests know no From", func() store.Store { return digesting(func(q *store.Query) { q.From = nil }) },
		[]string{"digest/bounds", "digest/cuts", "digest/key-int", "digest/key-composite"}},
	{"digests know no Before", func() store.Store { return digesting(func(q *store.Query) { q.Before = nil }) },
		[]string{"digest/bounds", "digest/cuts", "digest/key-int", "digest/key-composite"}},
	{"digests know no Limit", func() store.Store { return digesting(func(q *store.Query) { q.Limit = 0 }) },
		[]string{"digest/limit", "digest/no-columns"}},
	{"DigestAt knows a Limit", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			left := q.Limit
			for i := range digests {
				if q.Limit > 0 {
					digests[i].Rows = min(digests[i].Rows, left)
					left -= digests[i].Rows
				}
			}
			return digests, err
		}}
	}, []string{"digest/limit", "digest/no-columns"}},
	{"digests are by the first column of the key", func() store.Store {
		b := digesting(func(*store.Query) {})
		at := b.at
		b.at = func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			if len(q.Key) > 1 && q.From == nil && q.Before == nil {
				q.Key, cuts = q.Key[:1], slices.Clone(cuts)
				for i := range cuts {
					cuts[i] = cuts[i][:1]
				}
			}
			return at(d, ctx, q, cuts)
		}
		return b
	}, []string{"digest/key-composite", "digest/many-cuts"}},
	{"digests of a missing table are none", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			if errors.Is(err, store.ErrTableNotFound) {
				err = nil
			}
			return digests, err
		}}
	}, []string{"digest/missing-table"}},
	{"digests ignore a column that does not exist", func() store.Store {
		return digesting(func(q *store.Query) {
			q.Columns = slices.DeleteFunc(slices.Clone(q.Columns), func(name string) bool { _, ok := q.Table.Column(name); return !ok })
		})
	}, []string{"digest/unknown-column"}},
	{"digests ignore their context", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			return d.DigestAt(context.WithoutCancel(ctx), q, cuts)
		}}
	}, []string{"digest/cancelled"}},
}

// digesting is a Digester that is asked for something else.
func digesting(change func(q *store.Query)) *broken {
	return &broken{Store: memory.New(),
		every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			change(&q)
			return d.DigestEvery(ctx, q, n)
		},
		at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			change(&q)
			return d.DigestAt(ctx, q, cuts)
		}}
}

// answering is a Digester that changes its answers, those of DigestAt too.
func answering(change func(d *store.Digest)) *broken {
	b := digesting(func(*store.Query) {})
	each := func(digests []store.Digest, err error) ([]store.Digest, error) {
		for i := range digests {
			change(&digests[i])
		}
		return digests, err
	}
	every, at := b.every, b.at
	b.every = func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
		return each(every(d, ctx, q, n))
	}
	b.at = func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
		return each(at(d, ctx, q, cuts))
	}
	return b
}
