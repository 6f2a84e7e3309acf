package storetest

import (
	"fmt"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// hostileDefaultList are texts that are more than a literal.
var hostileDefaultList = []string{
	`0); drop table people; --`,
	`((0)); drop table people; --`,
	`(0)) ; delete from people; --`,
	`'x'); drop table people; --`,
	`'`, `'x`, `'x''`, `('x')')`, `(0`, `0)`, `((0)`, `())(`,
	`0 --`, `0/*`, `/* */ 0`, "0\n; drop table people", `0;`,
	`(select 1)`, `(select count(*) from people)`, `1 + (select 1)`,
	`0 constraint c check (1=0)`, `0, extra int`, `0) , (extra int`,
	`N'x' collate nocase`, `'''`, `0 unique`, `"people"`, `[people]`, `people`,
}

func hostileDefault(t *env) {
	rows := peopleRows(3)
	bystander := t.load(people(), rows...)
	for _, text := range hostileDefaultList {
		for _, typ := range []string{"int", "nvarchar(50)"} {
			def := table("x", []string{"id"}, notNull("id", "int"), withDefault(nullable("v", typ), text))
			t.refused(fmt.Sprintf("the default %q of %s", text, typ), func(tx store.Tx) error { return tx.Create(t.Context(), def) })
			tables, err := t.st.Tables(t.Context())
			require.NoError(t, err)
			require.Len(t, tables, 1, "tables after the default %q was refused", text)
		}
	}
	expect(t, t.st, store.Query{Table: bystander, Key: []string{"id"}}, rows)
}

// insertDefaults: a default is judged by its effect, because databases spell
// it in their own ways.
func insertDefaults(t *env) {
	type column struct {
		typ, text string
		want      any
	}
	columns := []column{
		{"int", "((0))", int64(0)}, {"int", "(0)", int64(0)}, {"int", "42", int64(42)}, {"int", "((-1))", int64(-1)}, {"bigint", "((9223372036854775807))", int64(math.MaxInt64)},
		{"smallint", "((7))", int64(7)}, {"bit", "((1))", true}, {"bit", "((0))", false},
		{"nvarchar(50)", "('')", ""}, {"nvarchar(50)", "(' ')", " "}, {"nvarchar(50)", "(N'it''s')", "it's"}, {"nvarchar(50)", "'plain'", "plain"}, {"nvarchar(50)", "(N'Ærø')", "Ærø"},
		{"nvarchar(50)", "('0); drop table defaults; --')", "0); drop table defaults; --"}, {"varchar(20)", "('00')", "00"},
		{"float", "((0))", 0.0}, {"float", "((1.5))", 1.5}, {"decimal(9,2)", "((12.50))", []byte("12.50")}, {"decimal(9,2)", "((0))", []byte("0")}, {"money", "((0))", []byte("0")},
		{"int", "(NULL)", nil}, {"nvarchar(50)", "", nil},
	}
	def := table("defaults", []string{"id"}, notNull("id", "int"))
	want := store.Row{int64(1)}
	for i, c := range columns {
		col := withDefault(nullable(fmt.Sprintf("c%d", i), c.typ), c.text)
		col.Nullable = c.want == nil
		def.Columns = append(def.Columns, col)
		want = append(want, c.want)
	}
	tab := t.load(def)
	t.update(func(tx store.Tx) error { return tx.Insert(t.Context(), tab, []string{"id"}, []store.Row{{1}}) })
	requireRows(t, def.Columns, []store.Row{want}, t.read(store.Query{Table: tab}))
	// What the catalogue says of a default, Create takes.
	again := tab
	again.Name = "defaults2"
	tab = t.load(again)
	t.update(func(tx store.Tx) error { return tx.Insert(t.Context(), tab, []string{"id"}, []store.Row{{1}}) })
	requireRows(t, def.Columns, []store.Row{want}, t.read(store.Query{Table: tab}))
}

func insertColumns(t *env) {
	tab := t.load(table("named", []string{"id"}, notNull("id", "int"), withDefault(notNull("status", "int"), "((3))"), nullable("note", "nvarchar(20)"), withDefault(nullable("mark", "nvarchar(5)"), "('m')")))
	t.update(func(tx store.Tx) error {
		for _, in := range []struct {
			columns []string
			row     store.Row
		}{
			{[]string{"id"}, store.Row{1}},
			{[]string{"note", "id"}, store.Row{"two", 2}},
			{[]string{"mark", "note", "status", "id"}, store.Row{"x", "three", 30, 3}},
			{[]string{"id", "mark"}, store.Row{4, nil}},
		} {
			if err := tx.Insert(t.Context(), tab, in.columns, []store.Row{in.row}); err != nil {
				return err
			}
		}
		return nil
	})
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, []store.Row{
		{int64(1), int64(3), nil, "m"}, {int64(2), int64(3), "two", "m"}, {int64(3), int64(30), "three", "x"}, {int64(4), int64(3), nil, nil},
	})
}

func insertNothing(t *env) {
	tab := t.load(people())
	t.update(func(tx store.Tx) error { return tx.Insert(t.Context(), tab, tab.ColumnNames(), nil) })
	require.Zero(t, count(t, t.st, tab))
}

// insertMany has more values than any engine takes parameters.
func insertMany(t *env) {
	def := table("many", []string{"id"}, notNull("id", "int"),
		nullable("a", "int"), nullable("b", "nvarchar(20)"), nullable("c", "float"), nullable("d", "bit"), nullable("e", "nvarchar(20)"), nullable("f", "bigint"))
	rows := make([]store.Row, 5000)
	for i := range rows {
		rows[i] = store.Row{int64(i), int64(-i), fmt.Sprint("b", i), float64(i) / 2, i%2 == 0, nil, int64(i) << 32}
	}
	tab := t.load(def, rows...)
	require.EqualValues(t, len(rows), count(t, t.st, tab))
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

func insertWide(t *env) {
	def := table("wide", []string{"id"}, notNull("id", "int"))
	for i := range 99 {
		def.Columns = append(def.Columns, nullable(fmt.Sprintf("column%02d", i), []string{"int", "nvarchar(30)", "float"}[i%3]))
	}
	rows := make([]store.Row, 400)
	for i := range rows {
		rows[i] = store.Row{int64(i)}
		for j := range 99 {
			rows[i] = append(rows[i], []any{int64(i * j), fmt.Sprint(i, " ", j), float64(j) + 0.5}[j%3])
		}
	}
	tab := t.load(def, rows...)
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

func insertRefuses(t *env) {
	tab := t.load(table("strict", []string{"id"}, notNull("id", "int"), notNull("must", "int"), nullable("may", "int")), store.Row{1, 1, 1})
	for name, in := range map[string]struct {
		columns []string
		row     store.Row
	}{
		"NULL in a column that forbids it":  {[]string{"id", "must"}, store.Row{2, nil}},
		"no value and no default":           {[]string{"id"}, store.Row{2}},
		"NULL in a key":                     {[]string{"id", "must"}, store.Row{nil, 2}},
		"a column that does not exist":      {[]string{"id", "must", "nope"}, store.Row{2, 2, 2}},
		"a column twice":                    {[]string{"id", "must", "must"}, store.Row{2, 2, 2}},
		"a row with too few values":         {[]string{"id", "must", "may"}, store.Row{2, 2}},
		"a row with too many values":        {[]string{"id", "must"}, store.Row{2, 2, 2}},
		"a column's name that is statement": {[]string{"id", "must) select 2, 2 --"}, store.Row{2, 2}},
	} {
		t.refused("Insert of "+name, func(tx store.Tx) error {
			return tx.Insert(t.Context(), tab, in.columns, []store.Row{in.row})
		})
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, []store.Row{{int64(1), int64(1), int64(1)}})
	}
}

func duplicateKey(t *env) {
	def := table("unique", []string{"b", "a"}, notNull("id", "int"), notNull("a", "int"), notNull("b", "nvarchar(10)"))
	rows := []store.Row{{int64(1), int64(1), "x"}, {int64(2), int64(1), "y"}, {int64(3), int64(2), "x"}}
	tab := t.load(def, rows...)
	t.refused("Insert of a key that exists", func(tx store.Tx) error {
		return tx.Insert(t.Context(), tab, def.ColumnNames(), []store.Row{{4, 9, "z"}, {5, 2, "x"}})
	})
	t.refused("Insert of a key twice", func(tx store.Tx) error {
		return tx.Insert(t.Context(), tab, def.ColumnNames(), []store.Row{{4, 9, "z"}, {5, 9, "z"}})
	})
	t.refused("Set of a key that exists", func(tx store.Tx) error {
		_, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell("b", "y")))
		return err
	})
	expect(t, t.st, store.Query{Table: tab, Key: tab.Key}, rows)
}

// constraints: what a table's own constraint refuses is told from all other
// errors, and ends the transaction.
func constraints(t *env) {
	tab := t.load(table("strict", []string{"id"}, notNull("id", "int"), notNull("must", "int")), store.Row{1, 1}, store.Row{2, 2})
	insert := func(row store.Row) func(tx store.Tx) error {
		return func(tx store.Tx) error { return tx.Insert(t.Context(), tab, tab.ColumnNames(), []store.Row{row}) }
	}
	change := func(column string, v any) func(tx store.Tx) error {
		return func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell(column, v)))
			return err
		}
	}
	for name, fn := range map[string]func(tx store.Tx) error{
		"Insert of a key that exists": insert(store.Row{2, 3}),
		"Set of a key that exists":    change("id", 2),
		"Insert of NULL":              insert(store.Row{3, nil}),
		"Set to NULL":                 change("must", nil),
	} {
		err := t.refused(name, func(tx store.Tx) error {
			if err := insert(store.Row{9, 9})(tx); err != nil {
				return fmt.Errorf("the write before: %w", err)
			}
			require.ErrorIs(t, fn(tx), store.ErrConstraint, name)
			return nil
		})
		require.ErrorIs(t, err, store.ErrConstraint, "Update after %s, when its function makes nothing of the error", name)
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, []store.Row{{int64(1), int64(1)}, {int64(2), int64(2)}})
	}
	err := t.refused("Insert of text", insert(store.Row{3, "x"}))
	require.NotErrorIs(t, err, store.ErrConstraint, "a value of the wrong type is no matter of a constraint")
}

// wrongValues: a value that its column cannot hold is refused, not converted.
func wrongValues(t *env) {
	for _, c := range []struct {
		typ    string
		values []any
	}{
		{"bit", []any{2, "true", 0.0}},
		{"tinyint", []any{-1, 256, "1", 1.0}},
		{"smallint", []any{40000}},
		{"int", []any{int64(1) << 31, "1", 1.5, true, []byte("1")}},
		{"bigint", []any{uint64(1) << 63, "1", 1e18}},
		{"float", []any{"1.5", math.NaN(), math.Inf(1), true}},
		{"decimal(5,2)", []any{"1000", "1.234", "abc", "", "1e2", 1.5, "NaN", "--1", "1.2.3", "0x10"}},
		{"nvarchar(3)", []any{"abcd", "😀😀", 1, []byte("abc"), "\xff", true}},
		{"varbinary(2)", []any{[]byte{1, 2, 3}, "ab", 1}},
		{"datetime", []any{"2024-01-01", int64(0), 1.0}},
		{"date", []any{"2024-01-01"}},
		{"time(0)", []any{"12:00:00", int64(3600)}},
		{"datetimeoffset(0)", []any{"2024-01-01T00:00:00Z"}},
		{"uniqueidentifier", []any{"nope", []byte{1, 2, 3}, 1, "{6F9619FF-8B86-D011-B42D-00C04FC964FF}", make([]byte, 17)}},
	} {
		tab := t.load(table("wrong "+c.typ, []string{"id"}, notNull("id", "int"), nullable("v", c.typ)), store.Row{1, nil})
		for _, v := range c.values {
			what := fmt.Sprintf("%T %v for %s", v, v, c.typ)
			t.refused("Insert of "+what, func(tx store.Tx) error {
				return tx.Insert(t.Context(), tab, []string{"id", "v"}, []store.Row{{2, nil}, {3, v}})
			})
			t.refused("Set of "+what, func(tx store.Tx) error {
				_, err := tx.Set(t.Context(), tab, cells(cell("id", 1)), cells(cell("v", v)))
				return err
			})
		}
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, []store.Row{{int64(1), nil}})
	}
}
