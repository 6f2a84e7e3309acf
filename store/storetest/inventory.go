package storetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// Objects tells the suite how an engine that is a [store.Inventorier] makes an
// object. Make creates o in the database of st. What o is on, and what it uses, is
// there: a table with the columns id, name and age, or a view of it. A kind that
// the engine does not have is a contract to [Skip].
func Objects(make func(ctx context.Context, st store.Store, o store.Object) error) Option {
	return func(opts *options) { opts.object = make }
}

// objectContracts: a [store.Inventorier] lists what was made, each with what it is
// on and what it uses, and nothing else.
func objectContracts() []contract {
	return []contract{
		{"nothing", noObjects},
		{"view", listed(view)},
		{"view-uses", listedInFull(view)},
		{"view-of-views", viewOfViews},
		{"index", listedInFull(func(t store.ObjectName) store.Object {
			return store.Object{Kind: store.ObjectIndex, Name: "by_age", On: t, Detail: "(age desc, name)"}
		})},
		{"index-unique", listedInFull(func(t store.ObjectName) store.Object {
			return store.Object{Kind: store.ObjectIndex, Name: "one_name", On: t, Detail: "unique (name)"}
		})},
		{"trigger", listed(func(t store.ObjectName) store.Object {
			return store.Object{Kind: store.ObjectTrigger, Schema: t.Schema, Name: "on_insert", On: t, Detail: "after insert"}
		})},
		{"synonym", listedInFull(func(t store.ObjectName) store.Object {
			return store.Object{Kind: store.ObjectSynonym, Schema: t.Schema, Name: "persons", Uses: []store.ObjectName{t}}
		})},
		{"procedure", listed(procedure)},
		{"procedure-uses", listedInFull(procedure)},
		{"grant", listedInFull(func(t store.ObjectName) store.Object {
			return store.Object{Kind: store.ObjectGrant, Name: "reader", On: t, Detail: "grant select"}
		})},
		{"deny", listedInFull(func(t store.ObjectName) store.Object {
			return store.Object{Kind: store.ObjectGrant, Name: "reader", On: t, Detail: "deny update"}
		})},
		{"names", objectNames},
		{"hostile-names", objectsOfHostileNames},
		{"other-database", objectsOfAnother},
		{"cancelled", cancelledObjects},
	}
}

// noInventorier says why a Source is not held to the contracts of an Inventorier,
// "" if it is.
func noInventorier(t *env) string {
	i, ok := t.src.(store.Inventorier)
	if !ok {
		return "not an Inventorier"
	}
	if _, err := i.Objects(t.Context()); errors.Is(err, errors.ErrUnsupported) {
		return err.Error()
	}
	require.NotNil(t, t.object, "an Inventorier is tested with what it lists: give the option Objects")
	return ""
}

// make creates an object.
func (t *env) make(o store.Object) {
	t.Helper()
	require.NoError(t, t.object(t.Context(), t.st, o), "make %s %s", o.Kind, o)
}

// objects returns what the Source has besides tables.
func objects(t T, src store.Source) []store.Object {
	t.Helper()
	list, ok, err := store.ObjectsOf(t.Context(), src)
	require.NoError(t, err, "Objects")
	require.True(t, ok, "Objects says that it cannot tell")
	for i := range list {
		if len(list[i].Uses) == 0 {
			list[i].Uses = nil
		}
	}
	return list
}

// peopleTable creates the table that objects are about and returns its name.
func (t *env) peopleTable() store.ObjectName {
	t.Helper()
	tab := t.load(people(), peopleRows(3)...)
	return store.ObjectName{Schema: tab.Schema, Name: tab.Name}
}

// noObjects: tables with and without a key are no objects, nor is what the engine
// makes for them.
func noObjects(t *env) {
	require.Empty(t, objects(t, t.src), "an empty database")
	t.peopleTable()
	t.load(table("keyless", nil, nullable("a", "int")), store.Row{int64(1)})
	t.load(table("pairs", []string{"a", "b"}, notNull("a", "int"), notNull("b", "nvarchar(20)"), withDefault(nullable("c", "int"), "((7))")))
	require.Empty(t, objects(t, t.src), "a database of tables")
}

func view(t store.ObjectName) store.Object {
	return store.Object{Kind: store.ObjectView, Schema: t.Schema, Name: "adults", Uses: []store.ObjectName{t}}
}

func procedure(t store.ObjectName) store.Object {
	return store.Object{Kind: store.ObjectProcedure, Schema: t.Schema, Name: "count_people", Uses: []store.ObjectName{t}}
}

// listed makes an object for a table and finds it, with whatever it uses.
func listed(of func(t store.ObjectName) store.Object) func(*env) {
	return func(t *env) {
		o := of(t.peopleTable())
		t.make(o)
		o.Uses = nil
		for _, when := range []string{"listed", "listed again"} {
			list := objects(t, t.src)
			for i := range list {
				list[i].Uses = nil
			}
			require.Equal(t, []store.Object{o}, list, when)
		}
	}
}

// listedInFull makes an object for a table and finds it, with what it uses.
func listedInFull(of func(t store.ObjectName) store.Object) func(*env) {
	return func(t *env) {
		o := of(t.peopleTable())
		t.make(o)
		require.Equal(t, []store.Object{o}, objects(t, t.src))
	}
}

// objectNames: a name is listed as it was written.
func objectNames(t *env) {
	tab := t.peopleTable()
	want := []store.Object{
		{Kind: store.ObjectIndex, Name: "By age", On: tab, Detail: "(age)"},
		{Kind: store.ObjectView, Schema: tab.Schema, Name: "All_Adults", Uses: []store.ObjectName{tab}},
		{Kind: store.ObjectView, Schema: tab.Schema, Name: "the others", Uses: []store.ObjectName{tab}},
	}
	for _, o := range want {
		t.make(o)
	}
	require.Equal(t, want, objects(t, t.src))
}

func viewOfViews(t *env) {
	tab := t.peopleTable()
	pets := t.load(table("pets", []string{"id"}, notNull("id", "int"), nullable("name", "nvarchar(50)"), nullable("age", "int")))
	other := store.ObjectName{Schema: pets.Schema, Name: pets.Name}
	inner := store.Object{Kind: store.ObjectView, Schema: tab.Schema, Name: "inner view", Uses: []store.ObjectName{tab}}
	outer := store.Object{Kind: store.ObjectView, Schema: tab.Schema, Name: "outer view", Uses: []store.ObjectName{
		{Schema: tab.Schema, Name: inner.Name}, tab, other,
	}}
	t.make(inner)
	t.make(outer)
	require.Equal(t, []store.Object{inner, outer}, objects(t, t.src), "a view uses what it names, not what that uses")
}

// objectsOfHostileNames: names are data, in the catalogue as in what a view says.
func objectsOfHostileNames(t *env) {
	var want []store.Object
	for i, name := range hostileNameList {
		if len(name) == 128 { // no room for a suffix
			continue
		}
		tab := t.load(table(name, []string{"id"}, notNull("id", "int"), nullable("name", "nvarchar(50)"), nullable("age", "int")))
		on := store.ObjectName{Schema: tab.Schema, Name: tab.Name}
		for _, o := range []store.Object{
			{Kind: store.ObjectView, Schema: tab.Schema, Name: name + "v", Uses: []store.ObjectName{on}},
			{Kind: store.ObjectIndex, Name: name + "i", On: on, Detail: "(name)"},
		} {
			t.make(o)
			want = append(want, o)
		}
		require.ElementsMatch(t, want, objects(t, t.src), "name %d: %q", i+1, name)
	}
}

func objectsOfAnother(t *env) {
	tab := t.peopleTable()
	other, _ := t.other()
	t.make(view(tab))
	require.Empty(t, objects(t, other), "what another database has")
	require.Len(t, objects(t, t.src), 1)
}

func cancelledObjects(t *env) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := t.src.(store.Inventorier).Objects(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
