package storetest

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// decodeContracts: values that come as they are stored become those of a Row by
// what decodes them, and no others come so.
func decodeContracts() []contract {
	return []contract{
		{"values", decodedValues},
		{"columns-asked-for", decodedColumns},
	}
}

func noDecoder(t *env) string {
	if d, ok := t.src.(store.Decoder); !ok || d.StoredForm() == "" {
		return "not a Decoder"
	}
	return ""
}

// decoded returns copies of rows in which the values of a column are decoded.
func (t *env) decoded(typ store.Type, column int, rows []store.Row) []store.Row {
	decode := t.src.(store.Decoder).Decoder(typ)
	if decode == nil {
		return rows
	}
	var plain []store.Row
	for _, r := range rows {
		r = r.Clone()
		if r[column] != nil {
			r[column] = decode(r[column])
		}
		plain = append(plain, r)
	}
	return plain
}

func decodedValues(t *env) {
	for i, c := range valueCases() {
		in, want := c.rows()
		def := c.table()
		def.Name = fmt.Sprint(def.Name, i)
		tab := t.load(def, in...)
		q := store.Query{Table: tab, Key: tab.Key, Stored: []string{"v"}}
		typ := def.Columns[1].Type
		requireRows(t, def.Columns, want, t.decoded(typ, 1, t.read(q)))
		t.update(func(tx store.Tx) error {
			requireRows(t, def.Columns, want, t.decoded(typ, 1, readFrom(t, tx, q)))
			return nil
		})
	}
}

func decodedColumns(t *env) {
	noon, one := at("2024-02-29T12:00:00Z"), at("2024-02-29T13:00:00Z")
	def := table("moments", []string{"a"}, notNull("a", "datetime"), nullable("b", "datetime"), nullable("c", "datetime"), nullable("d", "decimal(9,2)"))
	rows := []store.Row{{noon, noon, one, []byte("1.5")}, {one, nil, nil, nil}}
	tab := t.load(def, rows...)
	columns := []string{"d", "c", "b", "a"}
	want := []store.Row{{[]byte("1.5"), one, noon, noon}, {nil, nil, nil, one}}
	for _, stored := range [][]string{nil, {"c"}} {
		q := store.Query{Table: tab, Columns: columns, Key: tab.Key, Stored: stored}
		got := t.read(q)
		if stored != nil {
			got = t.decoded(def.Columns[2].Type, 1, got)
		}
		requireRows(t, columnsOf(t, tab, columns), want, got)
		q.From, q.Limit = store.Row{one}, 1
		requireRows(t, columnsOf(t, tab, columns), want[1:], t.read(q))
	}
	_, ok := t.src.(store.KeyReader)
	if !ok {
		return
	}
	q := store.Query{Table: tab, Columns: columns, Key: tab.Key, Stored: []string{"c"}}
	var got []store.Row
	for batch, err := range store.RowsAt(t.Context(), t.src, q, []store.Row{{noon}, {one}}) {
		require.NoError(t, err)
		got = append(got, t.decoded(def.Columns[2].Type, 1, batch)...)
	}
	requireRows(t, columnsOf(t, tab, columns), want, got)
}
