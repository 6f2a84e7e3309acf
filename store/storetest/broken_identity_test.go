package storetest

import (
	"context"
	"fmt"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenIdentities are faults in which database a store says it is.
var brokenIdentities = []fault{
	{"each call says another database", func() store.Store {
		var n int
		return identifying(func(id *store.Identity) { n++; id.ID += fmt.Sprint(n) })
	}, []string{"identity/same-database", "identity/other-database"}},
	{"the identity is that of the tables", func() store.Store {
		b := &broken{Store: memory.New()}
		b.identity = func(i store.Identifier, ctx context.Context) (store.Identity, error) {
			id, err := i.Identity(ctx)
			tables, _ := b.Store.Tables(ctx)
			id.ID += fmt.Sprint(len(tables))
			return id, err
		}
		return b
	}, []string{"identity/same-database"}},
	{"all databases of an engine are one", func() store.Store {
		return identifying(func(id *store.Identity) { id.ID = id.Engine })
	}, []string{"identity/other-database"}},
	{"the identity ignores its context", func() store.Store {
		return &broken{Store: memory.New(), identity: func(i store.Identifier, ctx context.Context) (store.Identity, error) {
			return i.Identity(context.WithoutCancel(ctx))
		}}
	}, []string{"identity/cancelled"}},
}

// identifying is an Identifier that changes its answers.
func identifying(change func(id *store.Identity)) *broken {
	return &broken{Store: memory.New(), identity: func(i store.Identifier, ctx context.Context) (store.Identity, error) {
		id, err := i.Identity(ctx)
		change(&id)
		return id, err
	}}
}
