package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenTables are faults of the catalogue and of Count.
var brokenTables = []fault{
	{"Tables lists an engine's own table", func() store.Store {
		return &broken{Store: memory.New(), tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
			tables, err := src.Tables(ctx)
			return append(tables, store.Table{Name: "sys_internal"}), err
		}}
	}, []string{"tables/empty-database", "tables/types"}},
	{"Tables says varchar for nvarchar", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i, c := range t.Columns {
				t.Columns[i].Type.Name = strings.TrimPrefix(c.Type.Name, "n")
			}
		})
	}, []string{"tables/types"}},
	{"Tables doubles the length", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Type.Length *= 2
			}
		})
	}, []string{"tables/types"}},
	{"Tables allows NULL everywhere", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Nullable = true
			}
		})
	}, []string{"tables/types", "tables/columns"}},
	{"Tables sorts columns by name", func() store.Store {
		return catalogue(func(t *store.Table) {
			slices.SortFunc(t.Columns, func(a, b store.Column) int { return cmp.Compare(a.Name, b.Name) })
		})
	}, []string{"tables/columns"}},
	{"Tables has the key in column order", func() store.Store {
		return catalogue(func(t *store.Table) {
			at := func(name string) int {
				return slices.IndexFunc(t.Columns, func(c store.Column) bool { return c.Name == name })
			}
			slices.SortFunc(t.Key, func(a, b string) int { return cmp.Compare(at(a), at(b)) })
		})
	}, []string{"tables/keys"}},
	{"Tables loses defaults", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Default = ""
			}
		})
	}, []string{"tables/defaults"}},
	{"Tables lowers names", func() store.Store {
		return catalogue(func(t *store.Table) { t.Name = strings.ToLower(t.Name) })
	}, []string{"tables/case-of-names"}},
	{"Tables lowers names of columns", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Name = strings.ToLower(t.Columns[i].Name)
			}
		})
	}, []string{"tables/case-of-names"}},
	{"Tables returns what it keeps", func() store.Store {
		var mu sync.Mutex
		var kept []store.Table
		return &broken{Store: memory.New(), tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
			mu.Lock()
			defer mu.Unlock()
			tables, err := src.Tables(ctx)
			if len(tables) != len(kept) {
				kept = tables
			}
			return kept, err
		}}
	}, []string{"tables/own-copy"}},
	{"Tables remembers a table that was dropped", func() store.Store {
		var mu sync.Mutex
		kept := map[string]store.Table{}
		return catalogue(func(t *store.Table) {
			mu.Lock()
			defer mu.Unlock()
			if old, ok := kept[t.Name]; ok {
				*t = old
			}
			kept[t.Name] = *t
		})
	}, []string{"write/create-again"}},
	{"a bracket in a name is not escaped", func() store.Store {
		return &broken{Store: memory.New(), create: func(tx store.Tx, ctx context.Context, t store.Table) error {
			if strings.Contains(t.Name, "]") {
				return errors.New("syntax error near ]")
			}
			return tx.Create(ctx, t)
		}}
	}, []string{"tables/hostile-names"}},
	{"a colon in a name becomes a parameter", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if strings.HasPrefix(t.Name, ":") {
				return 0, errors.New("could not find name named")
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"tables/hostile-names"}},
	{"Count is an estimate", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			return n / 100 * 100, err
		}}
	}, []string{"tables/count"}},
	{"Count of a missing table is 0", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			if errors.Is(err, store.ErrTableNotFound) {
				return 0, nil
			}
			return n, err
		}}
	}, []string{"tables/missing-table", "write/drop"}},
	{"Count of a missing table is an error of the engine", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			if errors.Is(err, store.ErrTableNotFound) {
				err = errors.New("no such table: " + t.Name)
			}
			return n, err
		}}
	}, []string{"tables/missing-table"}},
}

// catalogue is a Source whose Tables describes tables in other words.
func catalogue(change func(t *store.Table)) *broken {
	return &broken{Store: memory.New(), tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
		tables, err := src.Tables(ctx)
		for i := range tables {
			change(&tables[i])
		}
		return tables, err
	}}
}
