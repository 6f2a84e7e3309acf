package storetest

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// page is what ChangedKeys is asked for.
type page struct {
	c     store.ChangeTracker
	ctx   context.Context
	t     store.Table
	since store.LSN
	after store.Row
	n     int
}

func (p page) ask() ([]store.Row, error) { return p.c.ChangedKeys(p.ctx, p.t, p.since, p.after, p.n) }

// all is the list as one page.
func (p page) all() ([]store.Row, error) { return p.c.ChangedKeys(p.ctx, p.t, p.since, nil, 1<<20) }

func (p page) compare(a, b store.Row) int {
	key := make([]store.Column, len(p.t.Key))
	for i, name := range p.t.Key {
		key[i], _ = p.t.Column(name)
	}
	return store.CompareKeys(key, a, b)
}

// of cuts the page out of a list that is in its order.
func (p page) of(list []store.Row, order func(a, b store.Row) int) []store.Row {
	list = slices.DeleteFunc(list, func(key store.Row) bool { return p.after != nil && order(key, p.after) <= 0 })
	return list[:min(p.n, len(list))]
}

// listingKeys is a ChangeTracker with a fault in ChangedKeys.
func listingKeys(listed func(p page) ([]store.Row, error)) *broken {
	return &broken{Store: tracked(), listed: func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, after store.Row, n int) ([]store.Row, error) {
		return listed(page{c, ctx, t, since, after, n})
	}}
}

// brokenChangedKeys are faults of ChangedKeys.
var brokenChangedKeys = []fault{
	{"a page begins with the key that it is to be behind", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.all()
			list = slices.DeleteFunc(list, func(key store.Row) bool { return p.after != nil && p.compare(key, p.after) < 0 })
			return list[:max(0, min(p.n, len(list)))], err
		})
	}, []string{"changes/keys-pages", "changes/keys-composite", "changes/keys-types", "changes/keys-writes"}},
	{"a page is cut before it is sorted", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.all()
			list = slices.DeleteFunc(list, func(key store.Row) bool { return p.after != nil && p.compare(key, p.after) <= 0 })
			return list[max(0, len(list)-p.n):], err
		})
	}, []string{"changes/keys-pages", "changes/keys-composite", "changes/keys-types", "changes/keys-writes"}},
	{"a page is one key too long", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			if p.n > 0 {
				p.n++
			}
			return p.ask()
		})
	}, []string{"changes/keys-pages"}},
	{"the last key is left out", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.ask()
			if len(list) > 0 && len(list) < p.n {
				list = list[:len(list)-1]
			}
			return list, err
		})
	}, []string{"changes/keys", "changes/keys-pages", "changes/keys-composite", "changes/keys-types", "changes/keys-writes"}},
	{"keys whose rows are gone are left out", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.all()
			if err != nil || p.n < 1 {
				return p.ask()
			}
			there, err := collect(p.ctx, p.c.(store.Source), store.Query{Table: p.t, Columns: p.t.Key})
			list = slices.DeleteFunc(list, func(key store.Row) bool {
				return !slices.ContainsFunc(there, func(row store.Row) bool { return p.compare(key, row) == 0 })
			})
			return p.of(list, p.compare), err
		})
	}, []string{"changes/keys", "changes/keys-writes"}},
	{"a key comes as often as it changed", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.ask()
			for i := 0; i < len(list) && len(list) < p.n; i += 2 {
				list = slices.Insert(list, i, list[i])
			}
			return list, err
		})
	}, []string{"changes/keys", "changes/keys-composite"}},
	{"changes of a version are listed as those after it", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			least, err := p.c.MinValidVersion(p.ctx, p.t)
			if err == nil && p.since > least {
				p.since--
			}
			return p.ask()
		})
	}, []string{"changes/keys"}},
	{"a version that is too old lists what is left", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			if least, err := p.c.MinValidVersion(p.ctx, p.t); err == nil {
				p.since = max(p.since, least)
			}
			return p.ask()
		})
	}, []string{"changes/too-old", "changes/truncated"}},
	{"the version is checked for the first page", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			if least, err := p.c.MinValidVersion(p.ctx, p.t); err == nil && p.after != nil {
				p.since = max(p.since, least)
			}
			return p.ask()
		})
	}, []string{"changes/too-old"}},
	{"the changes of another table are listed", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			if p.t.Name == "others" {
				p.t.Name = "people"
			}
			return p.ask()
		})
	}, []string{"changes/keys"}},
	{"a list is never empty", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.ask()
			if err == nil && len(list) == 0 {
				list = keysOf(1)
			}
			return list, err
		})
	}, []string{"changes/keys", "changes/rolled-back", "changes/keys-pages", "changes/truncated"}},
	{"keys are sorted without case", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			folded := func(a, b store.Row) int {
				for i := range a {
					x, text := a[i].(string)
					y, also := b[i].(string)
					c, _ := p.t.Column(p.t.Key[i])
					n := store.CompareValues(c.Type, c.Type, a[i], b[i])
					if text && also {
						n = cmp.Or(strings.Compare(strings.ToLower(x), strings.ToLower(y)), n)
					}
					if n != 0 {
						return n
					}
				}
				return 0
			}
			list, err := p.all()
			if err != nil || p.n < 1 {
				return p.ask()
			}
			slices.SortFunc(list, folded)
			return p.of(list, folded), nil
		})
	}, []string{"changes/keys-composite", "changes/keys-types"}},
	{"the values of a key are in the order of the table", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.ask()
			for _, key := range list {
				slices.Reverse(key)
			}
			return list, err
		})
	}, []string{"changes/keys-composite"}},
	{"decimals come as text", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.ask()
			for _, key := range list {
				for i, v := range key {
					if c, _ := p.t.Column(p.t.Key[i]); c.Type.Kind() == store.KindDecimal {
						key[i] = driver.Value(fmt.Sprintf("%s", v))
					}
				}
			}
			return list, err
		})
	}, []string{"changes/keys-composite", "changes/keys-types"}},
	{"pages go by the number of keys before them", func() store.Store {
		before := 0
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.all()
			if err != nil || p.n < 1 {
				return p.ask()
			}
			if p.after == nil {
				before = 0
			}
			list = list[min(before, len(list)):]
			list = list[:min(p.n, len(list))]
			before += len(list)
			return list, nil
		})
	}, []string{"changes/keys-writes", "changes/keys-pages"}},
	{"a key that changes again between two pages is left to the next list", func() store.Store {
		var first store.LSN
		return listingKeys(func(p page) ([]store.Row, error) {
			list, err := p.all()
			if err != nil || p.n < 1 {
				return p.ask()
			}
			if p.after == nil {
				if first, err = p.c.Version(p.ctx); err != nil {
					return nil, err
				}
			}
			again, err := p.c.ChangedKeys(p.ctx, p.t, first, nil, 1<<20)
			list = slices.DeleteFunc(list, func(key store.Row) bool {
				return slices.ContainsFunc(again, func(row store.Row) bool { return p.compare(key, row) == 0 })
			})
			return p.of(list, p.compare), err
		})
	}, []string{"changes/keys-writes"}},
	{"a page of no keys is a page", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			if p.n < 1 {
				return nil, nil
			}
			return p.ask()
		})
	}, []string{"changes/keys"}},
	{"a key of too many values is cut", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			p.after = p.after[:min(len(p.after), len(p.t.Key))]
			return p.ask()
		})
	}, []string{"changes/keys-pages"}},
	{"a table that is not tracked has no changes", func() store.Store {
		return listingKeys(func(p page) ([]store.Row, error) {
			if len(p.t.Key) == 0 {
				return nil, nil
			}
			return p.ask()
		})
	}, []string{"changes/no-key"}},
}
