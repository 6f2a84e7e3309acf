package storetest

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// listed asks for one page, which may not be longer than asked for.
func (t *env) listed(tab store.Table, since store.LSN, after store.Row, n int) []store.Row {
	t.Helper()
	keys, err := t.src.(store.ChangeTracker).ChangedKeys(t.Context(), tab, since, after, n)
	require.NoError(t, err, "ChangedKeys of %s since %d behind %s", tab, since, show(after))
	require.LessOrEqual(t, len(keys), n, "a page of %s", tab)
	return keys
}

// expectListed asks for all keys in pages of n and compares them with want, which
// is in order. Between is called at each border of two pages.
func (t *env) expectListed(tab store.Table, since store.LSN, n int, want []store.Row, between func()) {
	t.Helper()
	var got []store.Row
	var after store.Row
	for {
		page := t.listed(tab, since, after, n)
		got = append(got, page...)
		if len(page) < n {
			break
		}
		require.LessOrEqual(t, len(got), len(want), "keys of %s", tab)
		after = page[n-1].Clone()
		if between != nil {
			between()
		}
	}
	requireRows(t, columnsOf(t, tab, tab.Key), want, got)
}

func keysOf(keys ...int64) []store.Row {
	rows := make([]store.Row, len(keys))
	for i, k := range keys {
		rows[i] = store.Row{k}
	}
	return rows
}

// changedKeys: a key is there once, whatever happened to its row and how often.
func changedKeys(t *env) {
	tab, other := t.load(people(), slices.Delete(peopleRows(6), 3, 4)...), people()
	other.Name = "others"
	other = t.load(other, peopleRows(3)...)
	before := t.version()
	t.expectListed(tab, before, 9, nil, nil)
	t.update(func(tx store.Tx) error { return write(t, tx, tab) })
	after := t.version()
	t.expectListed(tab, before, 9, keysOf(1, 2, 4), nil)
	t.expectListed(tab, after, 9, nil, nil)
	t.expectListed(other, before, 9, nil, nil)

	t.update(func(tx store.Tx) error {
		for _, change := range [][2]int64{{1, 1}, {3, 30}, {5, 3}} { // their keys, before and after
			if _, err := tx.Set(t.Context(), tab, cells(cell("id", change[0])), cells(cell("id", change[1]), cell("age", 77))); err != nil {
				return err
			}
		}
		return nil
	})
	t.expectListed(tab, before, 9, keysOf(1, 2, 3, 4, 5, 30), nil)
	t.expectListed(tab, after, 9, keysOf(1, 3, 5, 30), nil)
	t.update(func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), tab, cells(cell("id", 30)))
		return err
	})
	t.expectListed(tab, after, 9, keysOf(1, 3, 5, 30), nil)
	for _, n := range []int{0, -1} {
		_, err := t.src.(store.ChangeTracker).ChangedKeys(t.Context(), tab, before, nil, n)
		require.Error(t, err, "a page of %d keys has to be refused", n)
	}
}

func changedKeysInPages(t *env) {
	tab := t.load(people())
	before := t.version()
	rows := peopleRows(12)
	slices.Reverse(rows) // as they change is not their order
	for _, part := range [][]store.Row{rows[5:], rows[:5]} {
		t.update(func(tx store.Tx) error { return tx.Insert(t.Context(), tab, tab.ColumnNames(), part) })
	}
	all := keysOf(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	for n := range len(all) + 1 {
		t.expectListed(tab, before, n+1, all, nil)
	}
	columns := columnsOf(t, tab, tab.Key)
	requireRows(t, columns, all[6:9], t.listed(tab, before, store.Row{6}, 3))
	requireRows(t, columns, all[:3], t.listed(tab, before, store.Row{-5}, 3))
	require.Empty(t, t.listed(tab, before, store.Row{12}, 3), "behind the last key")
	require.Empty(t, t.listed(tab, before, store.Row{99}, 3), "behind a key that is none")
	_, err := t.src.(store.ChangeTracker).ChangedKeys(t.Context(), tab, before, store.Row{1, 2}, 3)
	require.Error(t, err, "a key of two values for one column has to be refused")
}

// changedKeysComposite: the order is that of the key, column by column, whatever
// the collation and the order of the table's columns.
func changedKeysComposite(t *env) {
	tab := t.load(table("links", []string{"s", "d", "n"}, nullable("v", "int"), notNull("n", "int"), notNull("d", "decimal(9,2)"), notNull("s", "nvarchar(10)")))
	before := t.version()
	var rows, keys []store.Row
	for _, s := range []string{"b", "C", "a", "é", "\uffee", "\U0001f600"} {
		for _, d := range []string{"10.00", "9.00", "-1.50"} {
			for n := range int64(2) {
				rows = append(rows, store.Row{nil, n, []byte(d), s})
				keys = append(keys, store.Row{s, []byte(d), n})
			}
		}
	}
	t.update(func(tx store.Tx) error { return tx.Insert(t.Context(), tab, tab.ColumnNames(), rows) })
	columns := columnsOf(t, tab, tab.Key)
	slices.SortFunc(keys, func(a, b store.Row) int { return store.CompareKeys(columns, a, b) })
	for _, n := range []int{1, 2, 5, len(keys)} {
		t.expectListed(tab, before, n, keys, nil)
	}
}

// changedKeysOfTypes: keys of every type come in the order of CompareKeys and as
// Rows delivers them.
func changedKeysOfTypes(t *env) {
	cases := slices.Concat(primaryKeyCases, []orderCase{
		{"varchar", "varchar(20)", []any{"b", "A", "C", "f", "Z", "10", "9", "_x", "-y"}},
		{"char", "char(2)", []any{"bb", "Ac", "Cc", "10", "_x"}},
		{"tinyint", "tinyint", []any{128, 0, 255, 1}},
		{"bigint", "bigint", []any{int64(9223372036854775807), int64(-9223372036854775808), 0, int64(9007199254740993), int64(9007199254740992)}},
		{"bool", "bit", []any{true, false}},
		{"float", "float", []any{1.5, -1.5, 0.0, 1e300, 0.1, 10.0, 9.0}},
		{"real", "real", []any{float32(0.1), float32(-0.1), float32(0), 10, 9}},
		{"money", "money", []any{"922337203685477.5807", "-922337203685477.5808", "10", "9.99", "0"}},
		{"binary", "binary(2)", []any{[]byte{0, 0}, []byte{0xff, 0}, []byte{0, 0xff}, []byte("aa"), []byte("aA")}},
		{"date", "date", []any{at("2024-02-29T00:00:00Z"), at("0001-01-01T00:00:00Z"), at("9999-12-31T00:00:00Z"), at("1969-12-31T00:00:00Z")}},
		{"smalldatetime", "smalldatetime", []any{at("1900-01-01T00:00:00Z"), at("2079-06-06T23:59:00Z"), at("1969-12-31T23:59:00Z")}},
		{"datetime", "datetime", []any{at("1753-01-01T00:00:00Z"), at("2024-01-01T00:00:00Z"), at("2024-01-01T00:00:00.003Z"), at("2024-01-01T00:00:00.007Z")}},
		{"datetime2", "datetime2(7)", []any{at("0001-01-01T00:00:00Z"), at("2024-01-01T00:00:00.0000001Z"), at("2024-01-01T00:00:00Z"), at("1969-12-31T23:59:59.5Z")}},
		{"time", "time(7)", []any{timeOfDay("23:59:59.9999999"), timeOfDay("00:00:00"), timeOfDay("09:00:00.1")}},
	})
	for i, c := range cases {
		def := table(fmt.Sprintf("keys %d", i), []string{"k"}, nullable("v", "int"), notNull("k", c.typ))
		tab := t.load(def)
		before := t.version()
		var rows []store.Row
		for _, literal := range c.values {
			rows = append(rows, store.Row{nil, normalize(t, def.Columns[1].Type, literal)})
		}
		t.update(func(tx store.Tx) error { return tx.Insert(t.Context(), tab, tab.ColumnNames(), rows) })
		want := t.read(store.Query{Table: tab, Columns: tab.Key, Key: tab.Key})
		require.Len(t, want, len(rows), c.typ)
		for _, n := range []int{1, 2, len(want)} {
			t.expectListed(tab, before, n, want, nil)
		}
	}
}

// changedKeysWhileOthersWrite: what had changed before the first page was asked
// for is in one page, whatever is written meanwhile, and what comes meanwhile is
// there for who asks since the version from before the first page.
func changedKeysWhileOthersWrite(t *env) {
	tab := t.load(people(), peopleRows(10)...)
	before := t.version()
	t.update(func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), tab, nil, cells(cell("age", 7)))
		return err
	})
	first := t.version()
	set := func(tx store.Tx, id int64, column string, value any) error {
		_, err := tx.Set(t.Context(), tab, cells(cell("id", id)), cells(cell(column, value)))
		return err
	}
	borders := 0
	t.expectListed(tab, before, 3, keysOf(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), func() {
		borders++
		t.update(func(tx store.Tx) error {
			switch borders {
			case 1: // keys behind this border and before it change again, move and go
				if _, err := tx.Delete(t.Context(), tab, cells(cell("id", 4))); err != nil {
					return err
				}
				if err := set(tx, 9, "id", -9); err != nil {
					return err
				}
				return set(tx, 2, "name", "again")
			case 2:
				if err := set(tx, 5, "id", -5); err != nil {
					return err
				}
				return tx.Insert(t.Context(), tab, []string{"id"}, []store.Row{{0}, {4}})
			default:
				return set(tx, 10, "name", "again")
			}
		})
	})
	require.Equal(t, 3, borders)
	t.expectListed(tab, first, 3, keysOf(-9, -5, 0, 2, 4, 5, 9, 10), nil)
}

// changesTruncated: who asks since before all rows went is not told that few did.
func changesTruncated(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	before := t.version()
	t.update(func(tx store.Tx) error {
		if err := tx.Truncate(t.Context(), tab); err != nil {
			return err
		}
		return tx.Insert(t.Context(), tab, tab.ColumnNames(), peopleRows(1))
	})
	keys, err := t.src.(store.ChangeTracker).ChangedKeys(t.Context(), tab, before, nil, 9)
	if err == nil { // the engine tracks each row that goes
		requireRows(t, columnsOf(t, tab, tab.Key), keysOf(1, 2, 3), keys)
	}
	t.expectListed(tab, t.version(), 9, nil, nil)
}
