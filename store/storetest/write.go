package storetest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// writeContracts: the writes of [store.Tx], the numbers they return and what
// they refuse.
func writeContracts() []contract {
	cs := []contract{
		{"create-existing", createExisting},
		{"create-refuses", createRefuses},
		{"hostile-default", hostileDefault},
		{"hostile-type", hostileType},
		{"defaults", insertDefaults},
		{"drop", drop},
		{"create-again", createAgain},
		{"truncate", truncate},
		{"insert-columns", insertColumns},
		{"insert-nothing", insertNothing},
		{"insert-many", insertMany},
		{"insert-wide", insertWide},
		{"insert-refuses", insertRefuses},
		{"duplicate-key", duplicateKey},
		{"constraints", constraints},
		{"wrong-values", wrongValues},
		{"missing-table", writeMissing},
		{"set", set},
		{"set-null", setNull},
		{"set-refuses", setRefuses},
		{"delete", deleteRows},
		{"delete-null", deleteNull},
		{"delete-without-where", deleteWithoutWhere},
		{"delete-refuses", deleteRefuses},
		{"where-is-exact", whereIsExact},
	}
	for _, c := range valueCases() {
		if !c.noWhere {
			cs = append(cs, contract{"where-" + c.name, c.checkWhere})
		}
	}
	return cs
}

func createExisting(t *env) {
	rows := peopleRows(3)
	tab := t.load(people(), rows...)
	t.refused("Create of a table that exists", func(tx store.Tx) error { return tx.Create(t.Context(), people()) })
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
	t.refused("Create of a table that this transaction created", func(tx store.Tx) error {
		other := people()
		other.Name = "others"
		if err := tx.Create(t.Context(), other); err != nil {
			return fmt.Errorf("the first Create: %w", err)
		}
		require.NotEmpty(t, findIn(t, tx, "others").Columns)
		return tx.Create(t.Context(), other)
	})
	missing(t, t.st, "others")
}

func createRefuses(t *env) {
	id, a := notNull("id", "int"), nullable("a", "int")
	for name, def := range map[string]store.Table{
		"no columns":                 table("refused", nil),
		"no name":                    table("", []string{"id"}, id),
		"a column twice":             table("refused", []string{"id"}, id, a, a),
		"a key that is not a column": table("refused", []string{"nope"}, id, a),
		"a column without a name":    table("refused", []string{"id"}, id, store.Column{Type: store.MustType("int")}),
	} {
		t.refused(name, func(tx store.Tx) error { return tx.Create(t.Context(), def) })
		missing(t, t.st, def.Name)
	}
}

func hostileType(t *env) {
	rows := peopleRows(3)
	bystander := t.load(people(), rows...)
	for _, name := range []string{
		"", "integers", "int); drop table people; --", "int primary key", "int default 0", "int, extra int", "int not null", "select",
	} {
		def := table("x", []string{"id"}, notNull("id", "int"), store.Column{Name: "v", Type: store.Type{Name: name}, Nullable: true})
		t.refused(fmt.Sprintf("the type %q", name), func(tx store.Tx) error { return tx.Create(t.Context(), def) })
		tables, err := t.st.Tables(t.Context())
		require.NoError(t, err)
		require.Len(t, tables, 1, "tables after the type %q was refused", name)
	}
	expect(t, t.st, store.Query{Table: bystander, Key: []string{"id"}}, rows)
}

func drop(t *env) {
	rows := peopleRows(3)
	tab := t.load(people(), rows...)
	other := people()
	other.Name = "others"
	other = t.load(other, rows...)
	t.update(func(tx store.Tx) error { return tx.Drop(t.Context(), tab) })
	missing(t, t.st, "people")
	_, err := t.st.Count(t.Context(), tab)
	require.ErrorIs(t, err, store.ErrTableNotFound, "Count after Drop")
	_, err = collect(t.Context(), t.st, store.Query{Table: tab})
	require.ErrorIs(t, err, store.ErrTableNotFound, "Rows after Drop")
	expect(t, t.st, store.Query{Table: other, Key: []string{"id"}}, rows)
}

// createAgain: nothing remembers what a table of that name looked like before.
func createAgain(t *env) {
	tab := t.load(people(), peopleRows(3)...)
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, peopleRows(3))
	changed := table("people", []string{"name"}, notNull("id", "bigint"), nullable("age", "nvarchar(10)"), notNull("name", "nvarchar(20)"))
	rows := []store.Row{{int64(math.MaxInt64), "old", "b"}, {int64(1), nil, "a"}}
	t.update(func(tx store.Tx) error {
		if err := tx.Drop(t.Context(), tab); err != nil {
			return err
		}
		missing(t, tx, "people")
		return create(t.Context(), tx, changed, rows)
	})
	tab = t.find("people")
	require.Equal(t, changed.ColumnNames(), tab.ColumnNames())
	require.Equal(t, changed.Key, tab.Key)
	expect(t, t.st, store.Query{Table: tab, Key: tab.Key}, rows)
}

func truncate(t *env) {
	tab := t.load(people(), peopleRows(1000)...)
	t.update(func(tx store.Tx) error {
		if err := tx.Truncate(t.Context(), tab); err != nil {
			return err
		}
		require.Zero(t, count(t, tx, tab), "rows after Truncate")
		return tx.Insert(t.Context(), tab, tab.ColumnNames(), peopleRows(2))
	})
	require.Equal(t, tab, t.find("people"), "the table after Truncate")
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, peopleRows(2))
	t.update(func(tx store.Tx) error { return tx.Truncate(t.Context(), tab) })
	t.update(func(tx store.Tx) error { return tx.Truncate(t.Context(), tab) })
	require.Zero(t, count(t, t.st, tab))
}

func writeMissing(t *env) {
	t.load(people(), peopleRows(1)...)
	nobody := people()
	nobody.Name = "nobody"
	for name, fn := range map[string]func(tx store.Tx) error{
		"Drop":     func(tx store.Tx) error { return tx.Drop(t.Context(), nobody) },
		"Truncate": func(tx store.Tx) error { return tx.Truncate(t.Context(), nobody) },
		"Insert": func(tx store.Tx) error {
			return tx.Insert(t.Context(), nobody, []string{"id"}, []store.Row{{1}})
		},
		"Set": func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), nobody, cells(cell("id", 1)), cells(cell("age", 1)))
			return err
		},
		"Delete": func(tx store.Tx) error {
			_, err := tx.Delete(t.Context(), nobody, cells(cell("id", 1)))
			return err
		},
	} {
		t.refused(name+" of a table that does not exist", fn)
	}
	missing(t, t.st, "nobody")
}

// states returns a table with rows that share values:
// (id, name, age) 1 a 1, 2 a 2, 3 b 1, 4 NULL 1, 5 NULL NULL.
func states(t *env) (store.Table, []store.Row) {
	t.Helper()
	rows := []store.Row{
		{int64(1), "a", int64(1)}, {int64(2), "a", int64(2)}, {int64(3), "b", int64(1)}, {int64(4), nil, int64(1)}, {int64(5), nil, nil},
	}
	return t.load(people(), rows...), rows
}

func set(t *env) {
	tab, rows := states(t)
	name, age := 1, 2
	for _, c := range []struct {
		what       string
		where, set []store.Cell
		want       int64
		change     func()
	}{
		{"by key", cells(cell("id", 2)), cells(cell("age", 20)), 1, func() { rows[1][age] = int64(20) }},
		{"no row", cells(cell("id", 99)), cells(cell("age", 20)), 0, func() {}},
		{"several rows", cells(cell("age", 1)), cells(cell("name", "c")), 3, func() { rows[0][name], rows[2][name], rows[3][name] = "c", "c", "c" }},
		{"two conditions", cells(cell("age", 1), cell("id", 3)), cells(cell("name", "d")), 1, func() { rows[2][name] = "d" }},
		{"conditions that exclude each other", cells(cell("age", 1), cell("id", 2)), cells(cell("name", "d")), 0, func() {}},
		{"two columns", cells(cell("id", 1)), cells(cell("name", "e"), cell("age", nil)), 1, func() { rows[0][name], rows[0][age] = "e", nil }},
		{"the values it has already", cells(cell("id", 1)), cells(cell("name", "e"), cell("age", nil)), 1, func() {}},
		{"the column of the condition", cells(cell("age", 20)), cells(cell("age", 21)), 1, func() { rows[1][age] = int64(21) }},
		{"no condition, so all rows", nil, cells(cell("name", "z")), 5, func() {
			for i := range rows {
				rows[i][name] = "z"
			}
		}},
		{"a key", cells(cell("id", 5)), cells(cell("id", 50)), 1, func() { rows[4][0] = int64(50) }},
	} {
		t.update(func(tx store.Tx) error {
			n, err := tx.Set(t.Context(), tab, c.where, c.set)
			require.Equal(t, c.want, n, "rows that Set returns: %s", c.what)
			return err
		})
		c.change()
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
	}
}

func setNull(t *env) {
	tab, rows := states(t)
	t.update(func(tx store.Tx) error {
		n, err := tx.Set(t.Context(), tab, cells(cell("name", nil), cell("age", nil)), cells(cell("age", 7)))
		require.EqualValues(t, 1, n, "rows where name and age are NULL")
		return err
	})
	rows[4][2] = int64(7)
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
	t.update(func(tx store.Tx) error {
		n, err := tx.Set(t.Context(), tab, cells(cell("name", nil)), cells(cell("name", "")))
		require.EqualValues(t, 2, n, "rows where name is NULL")
		if err != nil {
			return err
		}
		n, err = tx.Set(t.Context(), tab, cells(cell("name", nil)), cells(cell("name", "x")))
		require.Zero(t, n, "rows where name is NULL, after it became empty")
		return err
	})
	rows[3][1], rows[4][1] = "", ""
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

func setRefuses(t *env) {
	tab, rows := states(t)
	for name, c := range map[string]struct{ where, set []store.Cell }{
		"a column that does not exist":      {cells(cell("id", 1)), cells(cell("nope", 1))},
		"a condition that does not exist":   {cells(cell("nope", 1)), cells(cell("age", 1))},
		"NULL in a column that forbids it":  {cells(cell("id", 1)), cells(cell("id", nil))},
		"a condition of the wrong type":     {cells(cell("id", "1")), cells(cell("age", 1))},
		"a column's name that is statement": {cells(cell("id", 1)), cells(cell("age = 1 --", 1))},
	} {
		t.refused("Set with "+name, func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), tab, c.where, c.set)
			return err
		})
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
	}
}

func deleteRows(t *env) {
	tab, rows := states(t)
	for _, c := range []struct {
		what  string
		where []store.Cell
		want  int64
		left  []store.Row
	}{
		{"no row", cells(cell("id", 99)), 0, rows},
		{"conditions that exclude each other", cells(cell("name", "a"), cell("id", 3)), 0, rows},
		{"two conditions", cells(cell("age", 1), cell("name", "a")), 1, rows[1:]},
		{"by key", cells(cell("id", 5)), 1, rows[1:4]},
		{"several rows", cells(cell("age", 1)), 2, rows[1:2]},
		{"the last row", cells(cell("name", "a")), 1, nil},
	} {
		t.update(func(tx store.Tx) error {
			n, err := tx.Delete(t.Context(), tab, c.where)
			require.Equal(t, c.want, n, "rows that Delete returns: %s", c.what)
			return err
		})
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, c.left)
	}
}

func deleteNull(t *env) {
	tab, rows := states(t)
	t.update(func(tx store.Tx) error {
		n, err := tx.Delete(t.Context(), tab, cells(cell("name", nil), cell("age", 1)))
		require.EqualValues(t, 1, n, "rows where name is NULL and age 1")
		return err
	})
	left := append(rows[:3:3], rows[4])
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, left)
	t.update(func(tx store.Tx) error {
		n, err := tx.Delete(t.Context(), tab, cells(cell("name", nil)))
		require.EqualValues(t, 1, n, "rows where name is NULL")
		return err
	})
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows[:3])
}

func deleteWithoutWhere(t *env) {
	tab, rows := states(t)
	for _, where := range [][]store.Cell{nil, {}} {
		t.refused("Delete without a condition", func(tx store.Tx) error {
			_, err := tx.Delete(t.Context(), tab, where)
			return err
		})
	}
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
}

func deleteRefuses(t *env) {
	tab, rows := states(t)
	for name, where := range map[string][]store.Cell{
		"a column that does not exist":      cells(cell("nope", 1)),
		"a value of the wrong type":         cells(cell("age", "1")),
		"a time for a text":                 cells(cell("name", time.Unix(0, 0))),
		"a text that cannot be there":       cells(cell("name", strings.Repeat("x", 51))),
		"a column's name that is statement": cells(cell("1=1 or age", 1)),
	} {
		t.refused("Delete with "+name, func(tx store.Tx) error {
			_, err := tx.Delete(t.Context(), tab, where)
			return err
		})
		expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
	}
}

// whereIsExact: two texts that a collation takes for the same are two.
func whereIsExact(t *env) {
	var rows []store.Row
	texts := []string{"a", "A", "a ", "á", "a\u0301", "ａ", "", " "}
	for i, s := range texts {
		rows = append(rows, store.Row{int64(i), s, int64(0)})
	}
	tab := t.load(people(), rows...)
	for i, s := range texts {
		t.update(func(tx store.Tx) error {
			n, err := tx.Set(t.Context(), tab, cells(cell("name", s)), cells(cell("age", i+1)))
			require.EqualValues(t, 1, n, "rows whose name is %+q", s)
			return err
		})
		rows[i][2] = int64(i + 1)
	}
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows)
	t.update(func(tx store.Tx) error {
		n, err := tx.Delete(t.Context(), tab, cells(cell("name", "a")))
		require.EqualValues(t, 1, n, "rows whose name is a")
		return err
	})
	expect(t, t.st, store.Query{Table: tab, Key: []string{"id"}}, rows[1:])
}
