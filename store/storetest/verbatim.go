package storetest

import (
	"database/sql/driver"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// verbatimContracts: a value that is not of its column's type is read, found and
// written back as it is, or refused; others come as without Query.Verbatim.
func verbatimContracts() []contract {
	return []contract{
		{"own-values", ownValues},
		{"other-values", otherValues},
	}
}

func holdsAnyValue(src store.Source) bool {
	a, ok := src.(store.AnyValuer)
	return ok && a.HoldsAnyValue()
}

func ownValues(t *env) {
	def := table("own", []string{"id"}, notNull("id", "int"))
	row, none := store.Row{int64(1)}, store.Row{int64(2)}
	for _, c := range []struct {
		typ     string
		literal any
	}{
		{"bit", true}, {"bigint", int64(1) << 60}, {"float", 0.1}, {"decimal(9,2)", "-12.5"}, {"decimal(9,0)", 7}, {"money", 1},
		{"nvarchar(20)", "2024-01-01 "}, {"varchar(20)", "1"}, {"varbinary(9)", []byte("1")}, {"uniqueidentifier", "6F9619FF-8B86-D011-B42D-00C04FC964FF"},
		{"date", at("2024-02-29T00:00:00Z")}, {"time(0)", timeOfDay("12:34:56")}, {"datetime", at("2024-02-29T12:34:56.79Z")},
		{"datetime2(3)", at("2024-02-29T12:34:56Z")}, {"smalldatetime", at("2024-02-29T12:34:00Z")}, {"datetimeoffset(3)", at("2024-02-29T12:34:56.5+01:00")},
	} {
		col := nullable(fmt.Sprintf("c%d", len(def.Columns)), c.typ)
		def.Columns = append(def.Columns, col)
		row, none = append(row, normalize(t, col.Type, c.literal)), append(none, nil)
	}
	tab := t.load(def, row, none)
	requireRows(t, tab.Columns, []store.Row{row, none}, t.read(store.Query{Table: tab, Key: tab.Key, Verbatim: true}))
}

func otherValues(t *env) {
	for i, c := range []struct {
		typ           string
		stored, plain driver.Value // as Row has it
	}{
		{"bigint", "five", "five"}, {"bigint", 5.5, 5.5}, {"bigint", []byte("5"), []byte("5")}, {"bit", int64(7), int64(7)},
		{"decimal(9,2)", "no", "no"}, {"decimal(9,2)", []byte("1.5"), []byte("\x001.5")}, {"datetime", int64(1577836800), int64(1577836800)}, {"datetime", "never", "never"},
		{"varbinary(9)", "text", "text"}, {"bigint", []byte{}, []byte{}}, {"nvarchar(9)", []byte{}, []byte{}},
	} {
		what := fmt.Sprintf("%T %v in a column of type %s", c.stored, c.stored, c.typ)
		value := store.Verbatim{Value: c.stored}
		tab := t.load(table(fmt.Sprint("other", i), []string{"id"}, notNull("id", "int"), nullable("v", c.typ)), store.Row{1, nil})
		insert := func(tx store.Tx) error {
			return tx.Insert(t.Context(), tab, tab.ColumnNames(), []store.Row{{2, value}})
		}
		change := func(n *int64, where, set store.Cell) func(tx store.Tx) error {
			return func(tx store.Tx) (err error) {
				*n, err = tx.Set(t.Context(), tab, cells(where), cells(set))
				return err
			}
		}
		var set, found, deleted int64
		remove := func(tx store.Tx) (err error) {
			deleted, err = tx.Delete(t.Context(), tab, cells(cell("v", value)))
			return err
		}
		setIt, findIt := change(&set, cell("id", 1), cell("v", value)), change(&found, cell("v", value), cell("v", value))
		verbatim, plain := store.Query{Table: tab, Key: tab.Key, Verbatim: true}, store.Query{Table: tab, Key: tab.Key}
		if !holdsAnyValue(t.st) {
			for name, fn := range map[string]func(tx store.Tx) error{"Insert": insert, "Set": setIt, "Set where": findIt, "Delete": remove} {
				t.refused(name+" of "+what, fn)
			}
			requireRows(t, tab.Columns, []store.Row{{int64(1), nil}}, t.read(verbatim))
			continue
		}
		require.True(t, holdsAnyValue(t.src), "the Source has to hold any value, as the Store does")
		t.update(insert)
		t.update(setIt)
		t.update(findIt)
		require.Equal(t, []int64{1, 2}, []int64{set, found}, "rows that Set returns: %s", what)
		require.Equal(t, []store.Row{{int64(1), value}, {int64(2), value}}, t.read(verbatim), what)
		require.Equal(t, []store.Row{{int64(1), c.plain}, {int64(2), c.plain}}, t.read(plain), what)
		t.update(remove)
		require.EqualValues(t, 2, deleted, "rows that Delete returns: %s", what)
	}
}
