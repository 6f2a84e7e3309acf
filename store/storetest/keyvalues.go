package storetest

import (
	"fmt"
	"math"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// keysSpelled: values that CompareKeys calls equal are one key, though they
// differ or the engine takes them for two.
func keysSpelled(t *env) {
	def := table("spelled", []string{"id"}, notNull("id", "int"), notNull("o", "datetimeoffset(3)"), notNull("f", "float"))
	noon := at("2024-01-01T12:00:00Z")
	rows := []store.Row{
		{int64(1), noon, 0.0}, {int64(2), at("2024-01-01T14:00:00+02:00"), math.Copysign(0, -1)}, {int64(3), at("2024-01-01T12:00:00.001Z"), 1.0}, {int64(4), at("2024-01-01T11:00:00-01:00"), -1.0},
	}
	tab := t.load(def, rows...)
	for _, r := range rows {
		t.expectAt(store.Query{Table: tab, Key: []string{"o"}}, rows, r[1:2])
		t.expectAt(store.Query{Table: tab, Key: []string{"f"}}, rows, r[2:])
		t.expectAt(store.Query{Table: tab, Key: []string{"f", "o"}}, rows, store.Row{r[2], noon})
	}
	if !holdsAnyValue(t.src) {
		return
	}
	tab = t.load(table("spelled numbers", []string{"k"}, notNull("k", "decimal(9,2)"), nullable("v", "int")))
	t.update(func(tx store.Tx) error {
		var rows []store.Row
		for i, text := range []string{"1", "2", "2.0", "3", "4", "4.0", "4.00", "5", "5.0", "6"} {
			rows = append(rows, store.Row{store.Verbatim{Value: text}, i})
		}
		return tx.Insert(t.Context(), tab, tab.ColumnNames(), rows)
	})
	got, err := t.collectAt(t.Context(), store.Query{Table: tab, Columns: []string{"v"}, Key: tab.Key}, store.Row{[]byte("2.00")}, store.Row{[]byte("4")}, store.Row{[]byte("6.0")}, store.Row{[]byte("7")})
	require.NoError(t, err)
	var numbers []int64
	for _, r := range got {
		numbers = append(numbers, r[0].(int64))
	}
	slices.Sort(numbers)
	require.Equal(t, []int64{1, 2, 4, 5, 6, 9}, numbers, "rows of the keys 2, 4 and 6, however they are spelled")
}

// keysVerbatim: Query.Verbatim counts, and a key that is not of its column's
// type finds its row.
func keysVerbatim(t *env) {
	rows := peopleRows(3)
	tab := t.load(people(), rows...)
	q := store.Query{Table: tab, Key: []string{"id"}, Verbatim: true}
	t.expectAt(q, rows, ids(1, 3)...)
	if !holdsAnyValue(t.src) {
		return
	}
	tab = t.load(table("verbatim", []string{"k"}, notNull("k", "bigint"), nullable("v", "int")))
	t.update(func(tx store.Tx) error {
		return tx.Insert(t.Context(), tab, tab.ColumnNames(), []store.Row{
			{store.Verbatim{Value: "five"}, 1}, {5, store.Verbatim{Value: "six"}}, {store.Verbatim{Value: []byte("five")}, 3},
		})
	})
	q = store.Query{Table: tab, Key: tab.Key}
	want := []store.Row{{int64(5), "six"}, {"five", int64(1)}, {[]byte("five"), int64(3)}}
	for i, row := range want {
		got, err := t.collectAt(t.Context(), q, row[:1])
		require.NoError(t, err)
		require.Equal(t, want[i:i+1], got)
	}
	q.Verbatim = true
	got, err := t.collectAt(t.Context(), q, want[0][:1], want[1][:1], want[2][:1])
	require.NoError(t, err)
	require.Equal(t, []store.Row{{int64(5), store.Verbatim{Value: "six"}}, {store.Verbatim{Value: "five"}, int64(1)}, {store.Verbatim{Value: []byte("five")}, int64(3)}}, got)
}

// keysAsRows: a row is what Rows makes of it, whatever Query asks for.
func keysAsRows(t *env) {
	def := table("values", []string{"id"}, notNull("id", "int"))
	row := store.Row{int64(1)}
	for _, c := range []struct {
		typ     string
		literal any
	}{
		{"bit", true}, {"bigint", int64(1) << 60}, {"float", 0.1}, {"decimal(9,2)", "-12.5"}, {"money", 1}, {"nvarchar(20)", "æ "}, {"varchar(20)", "1"}, {"nvarchar(max)", ""},
		{"varbinary(9)", []byte{}}, {"varbinary(max)", []byte("1")}, {"uniqueidentifier", "6F9619FF-8B86-D011-B42D-00C04FC964FF"}, {"date", at("2024-02-29T00:00:00Z")},
		{"time(0)", timeOfDay("12:34:56")}, {"datetime", at("2024-02-29T12:34:56.79Z")}, {"datetime2(3)", at("2024-02-29T12:34:56Z")}, {"datetimeoffset(3)", at("2024-02-29T12:34:56.5+01:00")},
	} {
		col := nullable(fmt.Sprintf("c%d", len(def.Columns)), c.typ)
		def.Columns = append(def.Columns, col)
		row = append(row, normalize(t, col.Type, c.literal))
	}
	null := make(store.Row, len(row))
	null[0] = int64(2)
	tab := t.load(def, row, null)
	for _, q := range []store.Query{{}, {Stored: tab.ColumnNames()[1:]}, {Stored: []string{"c4", "c11"}}, {Verbatim: true}, {Columns: []string{"c14", "id", "c4"}, Stored: []string{"c14"}}} {
		q.Table, q.Key = tab, tab.Key
		got, err := t.collectAt(t.Context(), q, ids(0, 1, 2, 3)...)
		require.NoError(t, err)
		require.Equal(t, t.read(q), got, "rows of their keys, of columns %q, stored %q", q.Columns, q.Stored)
	}
}

// checkKeys has the values of an order case in a column without an index.
func (c orderCase) checkKeys(t *env) {
	c.checkKeysOf(t, table("kinds", []string{"id"}, notNull("id", "int"), nullable("k", c.typ)))
}

// checkIndexedKeys has an index over them in the database's own order, which must
// not decide what is found.
func (c orderCase) checkIndexedKeys(t *env) {
	c.checkKeysOf(t, table("indexed", []string{"k", "id"}, notNull("id", "int"), notNull("k", c.typ)))
}

// checkKeysOf looks for each of the values alone and for all at once, of which
// every third is not there.
func (c orderCase) checkKeysOf(t *env, def store.Table) {
	t.Helper()
	var rows, keys []store.Row
	if def.Columns[1].Nullable {
		rows = append(rows, store.Row{int64(-1), nil})
	}
	for i, literal := range c.values {
		v := normalize(t, def.Columns[1].Type, literal)
		keys = append(keys, store.Row{v})
		if i%3 != 2 {
			rows = append(rows, store.Row{int64(i), v})
		}
	}
	tab := t.load(def, rows...)
	q := store.Query{Table: tab, Key: []string{"k"}}
	for _, key := range keys {
		t.expectAt(q, rows, key)
	}
	t.expectAt(q, rows, keys...)
	for i := range keys {
		keys[i] = append(keys[i], int64(i))
	}
	t.expectAt(store.Query{Table: tab, Columns: []string{"id"}, Key: []string{"k", "id"}}, rows, keys...)
}
