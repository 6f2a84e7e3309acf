package storetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// tableContracts: the catalogue says of every table what Create was told.
func tableContracts() []contract {
	return []contract{
		{"empty-database", emptyDatabase},
		{"types", catalogueTypes},
		{"columns", catalogueColumns},
		{"keys", catalogueKeys},
		{"defaults", catalogueDefaults},
		{"case-of-names", caseOfNames},
		{"hostile-names", hostileNames},
		{"count", countRows},
		{"missing-table", countMissing},
		{"own-copy", ownCopy},
	}
}

func emptyDatabase(t *env) {
	tables, err := t.src.Tables(t.Context())
	require.NoError(t, err)
	require.Empty(t, tables, "the database that open returns has to be without tables")
}

// types are all types that a column of a mirror can have, with the edges of
// their sizes.
var types = []string{
	"bit", "tinyint", "smallint", "int", "bigint", "real", "float",
	"decimal(18,0)", "decimal(19,4)", "decimal(38,0)", "decimal(38,38)", "decimal(1,1)", "money", "smallmoney",
	"char(1)", "char(8000)", "varchar(1)", "varchar(8000)", "varchar(max)", "text",
	"nchar(1)", "nchar(4000)", "nvarchar(219)", "nvarchar(4000)", "nvarchar(max)", "ntext", "xml",
	"binary(1)", "binary(16)", "varbinary(900)", "varbinary(8000)", "varbinary(max)", "image",
	"date", "smalldatetime", "datetime", "datetime2(0)", "datetime2(3)", "datetime2(7)",
	"time(0)", "time(3)", "time(7)", "datetimeoffset(0)", "datetimeoffset(3)", "datetimeoffset(7)",
	"uniqueidentifier",
}

func catalogueTypes(t *env) {
	for i, typ := range types {
		def := table(fmt.Sprintf("t%d", i), []string{"id"},
			notNull("id", "int"), notNull("must", typ), nullable("may", typ))
		got := t.load(def)
		require.Equal(t, def.ColumnNames(), got.ColumnNames(), typ)
		for j, c := range got.Columns[1:] {
			want := def.Columns[j+1]
			require.Equal(t, want.Type, c.Type, "type of %q, created as %s", c.Name, typ)
			require.Equal(t, want.Nullable, c.Nullable, "NULL allowed in %q, created as %s", c.Name, typ)
			require.Empty(t, c.Default, "default of %q, created as %s", c.Name, typ)
			require.False(t, c.Generated, "generated %q, created as %s", c.Name, typ)
		}
	}
	tables, err := t.src.Tables(t.Context())
	require.NoError(t, err)
	require.Len(t, tables, len(types), "Tables lists each table once and nothing else")
}

func catalogueColumns(t *env) {
	def := table("columns", []string{"m"},
		nullable("z", "int"), notNull("m", "int"), nullable("a", "nvarchar(10)"), notNull("B", "bit"))
	got := t.load(def)
	require.Equal(t, []string{"z", "m", "a", "B"}, got.ColumnNames(), "columns in the order of the table")
	for i, c := range got.Columns {
		require.Equal(t, def.Columns[i].Nullable, c.Nullable, "NULL allowed in %q", c.Name)
	}
}

func catalogueKeys(t *env) {
	abcd := []store.Column{notNull("a", "int"), notNull("b", "nvarchar(20)"), notNull("c", "int"), notNull("d", "bit")}
	for _, c := range []struct {
		name string
		key  []string
	}{
		{"none", nil},
		{"single", []string{"b"}},
		{"backwards", []string{"c", "a"}},
		{"three", []string{"b", "d", "a"}},
		{"all", []string{"d", "c", "b", "a"}},
	} {
		got := t.load(table(c.name, c.key, abcd...))
		if c.key == nil {
			require.Empty(t, got.Key, "a table without a primary key")
			continue
		}
		require.Equal(t, c.key, got.Key, "primary key in key order")
	}
}

func catalogueDefaults(t *env) {
	got := t.load(table("defaults", []string{"id"},
		notNull("id", "int"),
		withDefault(notNull("number", "int"), "((0))"),
		withDefault(notNull("text", "nvarchar(20)"), "('x')"),
		nullable("none", "int")))
	for i, has := range []bool{false, true, true, false} {
		require.Equal(t, has, got.Columns[i].Default != "",
			"default of %q is reported as %q", got.Columns[i].Name, got.Columns[i].Default)
	}
}

func caseOfNames(t *env) {
	got := t.load(table("ContactInterest_TEST", []string{"Contact_ID"},
		notNull("Contact_ID", "int"), nullable("lowerUPPER", "int")))
	require.Equal(t, []string{"Contact_ID", "lowerUPPER"}, got.ColumnNames())
	require.Equal(t, []string{"Contact_ID"}, got.Key)
}

// hostileNameList are names that go wrong where a name is not quoted, quoted in one
// way too few, or taken for a parameter or a format.
var hostileNameList = []string{
	`we]ird`, `we[ird`, `[weird]`, `select`, `order`, `quote"d`, `it's`, "back`tick", `back\slash`,
	`semi;colon -- x`, `x"; drop table people; --`, `x]; drop table people; --`, `/* comment`,
	`with blank`, ` leading blank`, `dot.ted`, `:named`, `@at`, `$1`, `?`, `%s%d`, `{{x}}`, `#hash`,
	`Kjøretøy`, `ÆØÅ æøå`, `Größe`, `名前`, `😀`, "tab\tand\nline", `0digit`, `a,b`, `(a)`,
	strings.Repeat("x", 128),
}

func hostileNames(t *env) {
	bystander := t.load(people(), peopleRows(3)...)
	for _, name := range hostileNameList {
		def := table(name, []string{name}, notNull(name, "int"), withDefault(notNull(name+"2", "int"), "((7))"))
		if len(name) == 128 {
			def.Columns[1].Name = name[:127] + "y"
		}
		other := def.Columns[1].Name
		tab := t.load(def)
		require.Equal(t, def.ColumnNames(), tab.ColumnNames())
		require.Equal(t, def.Key, tab.Key)
		t.update(func(tx store.Tx) error {
			if err := tx.Insert(t.Context(), tab, []string{name}, []store.Row{{1}, {2}, {3}}); err != nil {
				return err
			}
			n, err := tx.Set(t.Context(), tab, cells(cell(name, 2)), cells(cell(other, 8)))
			if err != nil {
				return err
			}
			require.EqualValues(t, 1, n, "rows set in %q", name)
			n, err = tx.Delete(t.Context(), tab, cells(cell(name, 3), cell(other, 7)))
			require.EqualValues(t, 1, n, "rows deleted from %q", name)
			return err
		})
		require.EqualValues(t, 2, count(t, t.src, tab))
		got := t.read(store.Query{Table: tab, Columns: []string{other, name}, Key: []string{other, name}, From: store.Row{int64(7), int64(1)}})
		requireRows(t, columnsOf(t, tab, []string{other, name}), []store.Row{{int64(7), int64(1)}, {int64(8), int64(2)}}, got)
		t.update(func(tx store.Tx) error {
			if err := tx.Truncate(t.Context(), tab); err != nil {
				return err
			}
			return tx.Drop(t.Context(), tab)
		})
		missing(t, t.src, name)
		_, err := t.src.Count(t.Context(), tab)
		require.ErrorIs(t, err, store.ErrTableNotFound, "Count of %q, which was dropped", name)
	}
	require.EqualValues(t, 3, count(t, t.src, bystander), "rows of a table that no one touched")
}

func countRows(t *env) {
	tab := t.load(people())
	require.Zero(t, count(t, t.src, tab))
	t.update(func(tx store.Tx) error {
		return tx.Insert(t.Context(), tab, tab.ColumnNames(), peopleRows(1234))
	})
	require.EqualValues(t, 1234, count(t, t.src, tab))
}

func countMissing(t *env) {
	t.load(people(), peopleRows(1)...)
	other := people()
	other.Name = "nobody"
	_, err := t.src.Count(t.Context(), other)
	require.ErrorIs(t, err, store.ErrTableNotFound)
	missing(t, t.src, "nobody")
}

// ownCopy: whoever gets a catalogue may sort or change it.
func ownCopy(t *env) {
	tab := t.load(people())
	want := slices.Clone(tab.Columns)
	for i := range tab.Columns {
		tab.Columns[i] = store.Column{Name: "spoiled"}
	}
	tab.Key[0] = "spoiled"
	again := t.find("people")
	require.Equal(t, want, again.Columns)
	require.Equal(t, []string{"id"}, again.Key)
}
