package storetest

import (
	"context"
	"errors"
	"strings"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenRenames are faults of Rename.
var brokenRenames = []fault{
	{"Rename makes a copy", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			rows, err := collect(ctx, tx, store.Query{Table: t})
			if err != nil {
				return err
			}
			t.Name = name
			return create(ctx, tx, t, rows)
		})
	}, []string{"rename/table", "rename/names"}},
	{"Rename loses the key", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			rows, err := collect(ctx, tx, store.Query{Table: t})
			if err == nil {
				err = tx.Drop(ctx, t)
			}
			if err != nil {
				return err
			}
			t.Name, t.Key = name, nil
			return create(ctx, tx, t, rows)
		})
	}, []string{"rename/table"}},
	{"Rename loses the rows", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return errors.Join(tx.Truncate(ctx, t), rename(ctx, tx, t, name))
		})
	}, []string{"rename/table", "rename/names"}},
	{"Rename quotes a quote in one way too few", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return rename(ctx, tx, t, strings.ReplaceAll(name, "'", "''"))
		})
	}, []string{"rename/names"}},
	{"Rename takes a code page", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return rename(ctx, tx, t, strings.ReplaceAll(name, "名", "?"))
		})
	}, []string{"rename/names"}},
	{"Rename lowers names", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return rename(ctx, tx, t, strings.ToLower(name))
		})
	}, []string{"rename/names-in-capitals"}},
	{"Rename takes a name from another table", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			if err := tx.Drop(ctx, store.Table{Name: name}); err != nil && !errors.Is(err, store.ErrTableNotFound) {
				return err
			}
			return rename(ctx, tx, t, name)
		})
	}, []string{"rename/refuses"}},
	{"Rename of a missing table does nothing", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			if t.Name == "nobody" {
				return nil
			}
			return rename(ctx, tx, t, name)
		})
	}, []string{"rename/missing-table"}},
	{"a Rename that failed does not end the transaction", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			if _, err := tx.Count(ctx, t); err == nil && name == "taken" {
				return errors.New("the name is taken")
			}
			return rename(ctx, tx, t, name)
		})
	}, []string{"rename/refuses"}},

	{"an update is lost", lostUpdateStore, []string{"tx/lost-updates"}},
}

// renaming is a Store with a fault in Rename.
func renaming(rename func(tx store.Tx, ctx context.Context, t store.Table, name string) error) *broken {
	return &broken{Store: memory.New(), rename: rename}
}
