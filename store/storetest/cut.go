package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// cutContracts: a [store.Cutter] finds the key of the row behind so many others, in
// the order of CompareKeys.
func cutContracts() []contract {
	cs := []contract{
		{"rows", cutRows},
		{"bounds", cutBounds},
		{"query", cutQuery},
		{"composite", cutComposite},
		{"repeated", cutRepeated},
		{"refused", cutRefused},
		{"missing-table", cutMissing},
		{"unknown-column", cutUnknownColumn},
		{"cancelled", cutCancelled},
	}
	for _, c := range orderCases {
		cs = append(cs, contract{"key-" + c.name, c.checkCut})
	}
	return cs
}

// noCutter says why a Source is not held to the contracts of a Cutter, "" if it is.
func noCutter(t *env) string {
	if _, ok := t.src.(store.Cutter); !ok {
		return "not a Cutter"
	}
	return ""
}

// checkCut compares the cut behind n rows of q with rows, which are all of the table.
func checkCut(t *env, q store.Query, rows []store.Row, n int64) {
	t.Helper()
	columns, keys := keysIn(t, q, rows)
	about := fmt.Sprintf("behind %d rows of %s by %q from %s before %s", n, q.Table, q.Key, show(q.From), show(q.Before))
	got, err := t.src.(store.Cutter).Cut(t.Context(), q, n)
	if errors.Is(err, errors.ErrUnsupported) {
		t.skip(err.Error())
	}
	require.NoError(t, err, "Cut %s", about)
	if n >= int64(len(keys)) {
		require.Nil(t, got, "there is no row %s", about)
		return
	}
	require.NotNil(t, got, "there is a row %s: %s", about, show(keys[n]))
	require.Len(t, got, len(columns), "values of the key %s", about)
	require.Zero(t, store.CompareKeys(columns, keys[n], got), "got %s, want %s %s", show(got), show(keys[n]), about)
	for i, c := range columns {
		if store.OrderDecides(c.Type, c.Type) { // else it is the key of another row in the same place
			require.Empty(t, diffValue(c.Type, keys[n][i], got[i]), about)
		}
	}
}

func cutRows(t *env) {
	rows := gaps(40)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	for n := int64(1); n < 43; n++ {
		checkCut(t, q, rows, n)
	}
	checkCut(t, q, rows, 1<<62)
	empty := people()
	empty.Name = "empty"
	checkCut(t, store.Query{Table: t.load(empty), Key: []string{"id"}}, nil, 1)
}

func cutBounds(t *env) {
	rows := gaps(12)
	tab := t.load(people(), rows...)
	for _, from := range []store.Row{nil, {int64(1)}, {int64(6)}, {int64(7)}, {int64(99)}} {
		for _, before := range []store.Row{nil, {int64(25)}, {int64(12)}, {int64(7)}, {int64(1)}} {
			for _, n := range []int64{1, 2, 5, 12} {
				checkCut(t, store.Query{Table: tab, Key: []string{"id"}, From: from, Before: before}, rows, n)
			}
		}
	}
}

// cutQuery: what is asked for of the rows does not count.
func cutQuery(t *env) {
	rows := gaps(12)
	tab := t.load(people(), rows...)
	for _, q := range []store.Query{
		{Table: tab, Key: []string{"id"}, Limit: 3}, {Table: tab, Key: []string{"id"}, Columns: []string{"name"}},
		{Table: tab, Key: []string{"id"}, Columns: []string{}}, {Table: tab, Key: []string{"id"}, Verbatim: true},
	} {
		for _, n := range []int64{2, 3, 7, 11, 12} {
			checkCut(t, q, rows, n)
		}
	}
}

func cutComposite(t *env) {
	def := table("composite", []string{"a", "b"}, notNull("id", "int"), notNull("b", "int"), notNull("a", "int"))
	var rows []store.Row
	for i := range int64(49) {
		rows = append(rows, store.Row{i, 7 - i%7, i / 7})
	}
	tab := t.load(def, rows...)
	for _, key := range [][]string{{"a", "b"}, {"b", "a"}, {"a", "id"}} {
		q := store.Query{Table: tab, Key: key}
		for n := int64(1); n < 50; n += 4 {
			checkCut(t, q, rows, n)
		}
		_, keys := keysIn(t, q, rows)
		q.From, q.Before = keys[9], keys[40]
		for n := int64(1); n < 34; n += 4 {
			checkCut(t, q, rows, n)
		}
	}
}

// cutRepeated: rows count, not keys.
func cutRepeated(t *env) {
	var rows []store.Row
	for i := range int64(30) {
		rows = append(rows, store.Row{i, i / 7})
	}
	tab := t.load(table("repeated", []string{"id"}, notNull("id", "int"), notNull("k", "int")), rows...)
	for n := int64(1); n < 32; n++ {
		checkCut(t, store.Query{Table: tab, Key: []string{"k"}}, rows, n)
	}
}

// checkCut has the values of an order case as keys.
func (c orderCase) checkCut(t *env) {
	def := table("keys", []string{"id"}, notNull("id", "int"), notNull("k", c.typ))
	var rows []store.Row
	for i, literal := range c.values {
		rows = append(rows, store.Row{int64(i), normalize(t, def.Columns[1].Type, literal)})
	}
	tab := t.load(def, rows...)
	for n := range int64(len(rows) + 1) {
		if n > 0 {
			checkCut(t, store.Query{Table: tab, Key: []string{"k"}}, rows, n)
			checkCut(t, store.Query{Table: tab, Key: []string{"k", "id"}}, rows, n)
		}
	}
	_, keys := keysIn(t, store.Query{Table: tab, Key: []string{"k"}}, rows)
	checkCut(t, store.Query{Table: tab, Key: []string{"k"}, From: keys[1], Before: keys[len(keys)-1]}, rows, 1)
}

// refusedCut calls Cut, which has to fail.
func refusedCut(t *env, ctx context.Context, q store.Query, n int64) error {
	t.Helper()
	key, err := t.src.(store.Cutter).Cut(ctx, q, n)
	require.Error(t, err, "behind %d rows of %s by %q", n, q.Table, q.Key)
	require.Empty(t, key)
	return err
}

func cutRefused(t *env) {
	tab := t.load(people(), peopleRows(9)...)
	for _, n := range []int64{0, -1} {
		refusedCut(t, t.Context(), store.Query{Table: tab, Key: []string{"id"}}, n)
	}
	refusedCut(t, t.Context(), store.Query{Table: tab}, 3)
	refusedCut(t, t.Context(), store.Query{Table: tab, Key: []string{"id"}, From: store.Row{int64(1), int64(2)}}, 3)
}

func cutMissing(t *env) {
	t.load(people(), peopleRows(1)...)
	other := people()
	other.Name = "nobody"
	require.ErrorIs(t, refusedCut(t, t.Context(), store.Query{Table: other, Key: []string{"id"}}, 1), store.ErrTableNotFound)
}

func cutUnknownColumn(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	refusedCut(t, t.Context(), store.Query{Table: tab, Key: []string{"shoe"}}, 1)
}

func cutCancelled(t *env) {
	rows := peopleRows(3)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, refusedCut(t, ctx, q, 1), context.Canceled)
	checkCut(t, q, rows, 1)
}
