package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenInventories are faults in what a store lists besides tables.
var brokenInventories = []fault{
	{"it lists nothing", func() store.Store {
		return listing(func(o store.Object) []store.Object { return nil })
	}, []string{
		"objects/view*", "objects/index*", "objects/trigger", "objects/synonym", "objects/procedure*", "objects/grant", "objects/deny",
		"objects/names", "objects/hostile-names", "objects/other-database",
	}},
	{"the index of a primary key is an index", func() store.Store {
		b := &broken{Store: memory.New()}
		b.objects = func(i store.Inventorier, ctx context.Context) ([]store.Object, error) {
			list, err := i.Objects(ctx)
			tables, _ := b.Store.Tables(ctx)
			for _, t := range tables {
				if len(t.Key) > 0 {
					list = append(list, store.Object{Kind: store.ObjectIndex, Name: "PK_" + t.Name, On: store.ObjectName{Name: t.Name}})
				}
			}
			return list, err
		}
		return b
	}, []string{"objects/nothing", "objects/view", "objects/index"}},
	{"the engine's own views are among them", func() store.Store {
		return &broken{Store: memory.New(), objects: func(i store.Inventorier, ctx context.Context) ([]store.Object, error) {
			list, err := i.Objects(ctx)
			return append(list, store.Object{Kind: store.ObjectView, Schema: "sys", Name: "objects"}), err
		}}
	}, []string{"objects/nothing", "objects/other-database"}},
	{"nothing uses anything", func() store.Store {
		return changing(func(o *store.Object) { o.Uses = nil })
	}, []string{"objects/view-*", "objects/synonym", "objects/procedure-uses", "objects/names", "objects/hostile-names"}},
	{"a view uses what its views use", func() store.Store {
		return changing(func(o *store.Object) {
			o.Uses = slices.DeleteFunc(o.Uses, func(n store.ObjectName) bool { return strings.HasSuffix(n.Name, "view") })
		})
	}, []string{"objects/view-of-views"}},
	{"what it is on is lost", func() store.Store {
		return changing(func(o *store.Object) { o.On = store.ObjectName{} })
	}, []string{"objects/index", "objects/trigger", "objects/grant"}},
	{"details are lost", func() store.Store {
		return changing(func(o *store.Object) { o.Detail = "" })
	}, []string{"objects/index*", "objects/trigger", "objects/names", "objects/grant", "objects/deny"}},
	{"an index is unique or not", func() store.Store {
		return changing(func(o *store.Object) { o.Detail = strings.TrimPrefix(o.Detail, "unique ") })
	}, []string{"objects/index-unique"}},
	{"a denial is a grant", func() store.Store {
		return changing(func(o *store.Object) { o.Detail = strings.Replace(o.Detail, "deny", "grant", 1) })
	}, []string{"objects/deny"}},
	{"names are folded", func() store.Store {
		return changing(func(o *store.Object) { o.Name = store.FoldName(o.Name) })
	}, []string{"objects/names", "objects/hostile-names"}},
	{"each use of a table is an object", func() store.Store {
		return listing(func(o store.Object) (list []store.Object) {
			for _, n := range o.Uses {
				p := o
				p.Uses = []store.ObjectName{n}
				list = append(list, p)
			}
			return list
		})
	}, []string{"objects/view-of-views"}},
	{"the second call lists more", func() store.Store {
		var n int
		return changing(func(o *store.Object) { n++; o.Name += fmt.Sprint(n) })
	}, []string{"objects/view"}},
	{"all databases list the same", func() store.Store { return &broken{Store: memory.New(), objects: sameObjects} }, []string{"objects/other-database"}},
	{"objects ignore their context", func() store.Store {
		return &broken{Store: memory.New(), objects: func(i store.Inventorier, ctx context.Context) ([]store.Object, error) {
			return i.Objects(context.WithoutCancel(ctx))
		}}
	}, []string{"objects/cancelled"}},
}

func sameObjects(store.Inventorier, context.Context) ([]store.Object, error) {
	return []store.Object{{Kind: store.ObjectView, Name: "adults"}}, nil
}

// listing is an Inventorier that lists other objects in place of each.
func listing(of func(o store.Object) []store.Object) *broken {
	return &broken{Store: memory.New(), objects: func(i store.Inventorier, ctx context.Context) ([]store.Object, error) {
		list, err := i.Objects(ctx)
		var changed []store.Object
		for _, o := range list {
			changed = append(changed, of(o)...)
		}
		return changed, err
	}}
}

// changing is an Inventorier that changes each object.
func changing(change func(o *store.Object)) *broken {
	return listing(func(o store.Object) []store.Object {
		change(&o)
		return []store.Object{o}
	})
}

// seedObject is the option Objects of stores over memory.
func seedObject(ctx context.Context, st store.Store, o store.Object) error {
	if b, ok := st.(*broken); ok {
		st = b.Store
	}
	m, ok := st.(*memory.Store)
	if !ok {
		return fmt.Errorf("%T is not in memory", st)
	}
	list, err := m.Objects(ctx)
	m.SetObjects(append(list, o)...)
	return err
}
