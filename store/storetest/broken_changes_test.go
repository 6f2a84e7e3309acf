package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenChanges are faults of a ChangeTracker.
var brokenChanges = []fault{
	{"every row changed", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			changed, err := c.Changed(ctx, t, since, keys)
			for i := range changed {
				changed[i] = true
			}
			return changed, err
		})
	}, []string{"changes/changed", "changes/rolled-back", "changes/composite-key"}},
	{"changes of a version count as those after it", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			least, err := c.MinValidVersion(ctx, t)
			if err != nil {
				return nil, err
			}
			return c.Changed(ctx, t, max(since-1, least), keys)
		})
	}, []string{"changes/changed"}},
	{"keys are told apart by their first column", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			changed, err := c.Changed(ctx, t, since, keys)
			for i := range changed {
				for j := range changed {
					if strings.EqualFold(fmt.Sprint(keys[i][0]), fmt.Sprint(keys[j][0])) {
						changed[i] = changed[i] || changed[j]
					}
				}
			}
			return changed, err
		})
	}, []string{"changes/composite-key"}},
	{"a version that is too old knows of no change", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			least, err := c.MinValidVersion(ctx, t)
			if err == nil && since < least {
				return make([]bool, len(keys)), nil
			}
			return c.Changed(ctx, t, since, keys)
		})
	}, []string{"changes/too-old"}},
	{"a table that is not tracked is an error like any other", func() store.Store {
		return &broken{Store: tracked(), least: func(c store.ChangeTracker, ctx context.Context, t store.Table) (store.LSN, error) {
			v, err := c.MinValidVersion(ctx, t)
			if err != nil {
				err = errors.New(err.Error())
			}
			return v, err
		}}
	}, []string{"changes/no-key"}},
	{"the version stands still", func() store.Store {
		return &broken{Store: tracked(), version: func(store.ChangeTracker, context.Context) (store.LSN, error) { return 7, nil }}
	}, []string{"changes/changed"}},
}

// tracked is a Store that tracks changes.
func tracked() *memory.Store {
	st := memory.New()
	st.TrackChanges(7, 5)
	return st
}

// tracking is a ChangeTracker with a fault in Changed.
func tracking(changed func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error)) *broken {
	return &broken{Store: tracked(), changed: changed}
}
