package mirrortest

import (
	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// rowTraps are about rows as a whole: several columns, several rows, schemas.
func rowTraps() []trap {
	ab := func(typ string, rows ...store.Row) table {
		return table{columns: []store.Column{notNull("id", "int"), col("a", typ), col("b", typ)}, key: []string{"id"}, rows: rows}
	}
	bag := func(rows ...store.Row) table {
		return table{columns: []store.Column{col("what", "nvarchar(20)"), col("n", "int")}, rows: rows}
	}
	solid := func(all ...any) table { // without NULL, so that even such rows can have digests
		tb := table{columns: []store.Column{notNull("what", "nvarchar(20)")}}
		for _, v := range all {
			tb.rows = append(tb.rows, store.Row{v})
		}
		return tb
	}
	keyless := func(tb table) table {
		tb.key = nil
		return tb
	}
	lostKey := []mirror.SchemaDifference{{What: "primary key", Source: "id"}}

	var hundreds, shifted []store.Row // shifted lacks the ends and a row between, and has others
	for i := range 700 {
		hundreds = append(hundreds, store.Row{10 * i, i % 7, i % 5})
		switch i {
		case 0, 350, 699:
		case 100:
			shifted = append(shifted, store.Row{10 * i, i%7 + 1, i % 5})
		default:
			shifted = append(shifted, store.Row{10 * i, i % 7, i % 5})
		}
	}
	shifted = append(shifted, store.Row{-1, 0, 0}, store.Row{2001, 0, 0}, store.Row{9999, 0, 0})

	computed := func(rows ...store.Row) table {
		return table{columns: []store.Column{notNull("id", "int"), col("total", "int"), col("stamp", "varbinary(8)"), col("v", "int")},
			key: []string{"id"}, rows: rows}
	}

	return []trap{
		{
			name:   "columns whose texts run together",
			reason: "'ab' and 'c' joined are 'a' and 'bc' joined, and NULL joined to anything vanishes",
			pairs: concat([]pair{identical(ab("nvarchar(20)", store.Row{1, nil, "x"}, store.Row{2, "x", nil}, store.Row{3, "", nil}))},
				columns(ab, "nvarchar(20)", [2]two{{"ab", "c"}, {"a", "bc"}}, [2]two{{nil, "x"}, {"x", nil}}, [2]two{{"", nil}, {nil, ""}},
					[2]two{{"a|", "b"}, {"a", "|b"}}, [2]two{{"a", "b,c"}, {"a,b", "c"}}, [2]two{{"1a", ""}, {"", "1a"}}),
				columns(ab, "varbinary(20)", [2]two{{[]byte{1, 0}, []byte{2}}, {[]byte{1}, []byte{0, 2}}}, [2]two{{[]byte{}, nil}, {nil, []byte{}}})),
		},
		{
			name:   "values that swap between columns",
			reason: "a XOR or a sum of the columns is the same",
			pairs: concat([]pair{identical(ab("int", store.Row{1, 1, 2}, store.Row{2, 2, 1}))},
				columns(ab, "int", [2]two{{1, 2}, {2, 1}}, [2]two{{1, 3}, {2, 2}}, [2]two{{nil, 0}, {0, nil}}, [2]two{{5, 5}, {6, 6}}),
				columns(ab, "nvarchar(20)", [2]two{{"x", "y"}, {"y", "x"}}),
				columns(ab, "float", [2]two{{1.0, 2.0}, {2.0, 1.0}}),
				columns(ab, "bit", [2]two{{true, false}, {false, true}})),
		},
		{
			name:   "values that swap between rows",
			reason: "a XOR or a sum of the rows is the same, and so is their number",
			pairs: []pair{
				identical(values("int", 1, 2, 3)),
				{source: values("int", 1, 2), mirror: values("int", 2, 1), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("int", 1, 2, 3), mirror: values("int", 2, 3, 1), want: []diff{changed(1, "v"), changed(2, "v"), changed(3, "v")}},
				{source: values("int", 1, 3), mirror: values("int", 2, 2), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("int", 5, 5), mirror: values("int", 6, 6), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("nvarchar(9)", "x", "y"), mirror: values("nvarchar(9)", "y", "x"), want: []diff{changed(1, "v"), changed(2, "v")}},
				{source: values("int", 1), mirror: values("int", 1).with(store.Row{2, 1}), want: []diff{missing(1), extra(2)}},
			},
		},
		{
			name:   "no primary key",
			reason: "rows without a key come in any order and more than once, and an even number of equal rows cancels in a XOR",
			pairs: []pair{
				identical(bag(store.Row{"b", 2}, store.Row{"a", 1}, store.Row{"a", 1}, store.Row{nil, nil}, store.Row{nil, nil}, store.Row{"", nil})),
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}), mirror: bag(store.Row{"a", 1}), want: []diff{missing("a", 1)}},
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}, store.Row{"b", 2}), mirror: bag(store.Row{"b", 2}), want: []diff{missing("a", 1).times(2)}},
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}), mirror: bag(store.Row{"b", 2}, store.Row{"b", 2}),
					want: []diff{missing("a", 1).times(2), extra("b", 2).times(2)}},
				{source: bag(store.Row{"a", 1}, store.Row{"a", 1}, store.Row{"b", 2}), mirror: bag(store.Row{"a", 1}, store.Row{"b", 2}, store.Row{"b", 2}),
					want: []diff{missing("a", 1), extra("b", 2)}},
				{source: bag(store.Row{nil, 1}), mirror: bag(store.Row{"", 1}), want: []diff{missing(nil, 1), extra("", 1)}},
				{source: bag(store.Row{"a", nil}, store.Row{"b", 1}), mirror: bag(store.Row{"a", 1}, store.Row{"b", nil}),
					want: []diff{missing("a", nil), missing("b", 1), extra("a", 1), extra("b", nil)}},
				{source: solid("a", "a", "c"), mirror: solid("b", "b", "c"), want: []diff{missing("a").times(2), extra("b").times(2)}},
				{source: solid("a", "a", "c"), mirror: solid("a", "c", "c"), want: []diff{missing("a"), extra("c")}},
				identical(solid("b", "a", "a", "b", "c")),
				{source: bag(), mirror: bag(store.Row{nil, nil}), want: []diff{extra(nil, nil)}},
				{source: bag(store.Row{"a", 1}), mirror: bag(store.Row{"A", 1}), want: []diff{missing("a", 1), extra("A", 1)}},
				{source: bag(store.Row{"a", 1}), mirror: bag(store.Row{"a ", 1}), want: []diff{missing("a", 1), extra("a ", 1)}},
			},
		},
		{
			name:   "duplicate keys in the mirror",
			reason: "a mirror that lost its key can have a row three times, which a XOR takes for once",
			pairs: []pair{
				{source: values("int", 1, 2), mirror: keyless(values("int", 1, 2)), schema: lostKey, oneWay: true},
				{source: values("int", 1, 2), mirror: keyless(values("int", 1, 2).with(store.Row{1, 1}, store.Row{1, 1}, store.Row{1, 1}, store.Row{2, 2})),
					schema: lostKey, oneWay: true, want: []diff{{kind: mirror.DiffDuplicate, key: store.Row{1}, rows: 2}}},
				{source: values("int", 1), mirror: keyless(values("int", 1).with(store.Row{1, 9}, store.Row{1, 1})),
					schema: lostKey, oneWay: true, want: []diff{{kind: mirror.DiffDuplicate, key: store.Row{1}}}},
				{source: values("int", 1), mirror: keyless(values("int", 1).with(store.Row{2, 9}, store.Row{1, 1}, store.Row{2, 9})),
					schema: lostKey, oneWay: true, want: []diff{extra(2).times(2)}},
			},
		},
		{
			name:   "computed columns and rowversion",
			reason: "every database makes their values by itself, so they differ in mirrors that are right",
			catalogue: func(c *store.Column) {
				switch c.Name {
				case "total":
					c.Generated = true
				case "stamp":
					c.Type = store.MustType("rowversion")
				}
			},
			pairs: []pair{
				{source: computed(store.Row{1, 10, []byte{1}, 5}), mirror: computed(store.Row{1, 20, []byte{2}, 5}), notCompared: leftOut},
				{source: computed(store.Row{1, 10, []byte{1}, 5}), mirror: computed(store.Row{1, 10, []byte{1}, 6}), notCompared: leftOut, want: []diff{changed(1, "v")}},
			},
		},
		{
			name:   "a column on one side",
			reason: "a comparison of all columns would differ in every row, one of the common columns in none",
			pairs: []pair{
				{
					source: ab("int", store.Row{1, 1, 2}), mirror: values("int", 1).renamed("v", "a"), oneWay: true,
					schema:      []mirror.SchemaDifference{{Column: "b", What: "missing column", Source: "int null"}},
					notCompared: []mirror.Omission{{Column: "b", Reason: "not in the mirror"}},
				},
				{
					source: values("int", 1).renamed("v", "a"), mirror: ab("int", store.Row{1, 3, 2}), oneWay: true,
					schema:      []mirror.SchemaDifference{{Column: "b", What: "extra column", Mirror: "int null"}},
					notCompared: []mirror.Omission{{Column: "b", Reason: "not at the source"}},
					want:        []diff{changed(1, "a")},
				},
			},
		},
		{
			name:   "columns in another order and another case",
			reason: "a comparison by position takes a for b",
			pairs: []pair{
				{source: ab("int", store.Row{1, 1, 2}), mirror: reordered(store.Row{2, 1, 1})},
				{source: ab("int", store.Row{1, 1, 2}), mirror: reordered(store.Row{1, 2, 1}), want: []diff{changed(1, "a", "b")}},
				{source: ab("int", store.Row{1, 1, 2}), mirror: values("int").renamed("id", "ID").renamed("v", "B").and(col("A", "int")).with(store.Row{1, 1, 2}),
					want: []diff{changed(1, "a", "b")}},
			},
		},
		{
			name:   "a few of many rows",
			reason: "ranges that are cut by the keys of one side have no place for what the other side has at their ends",
			pairs: []pair{
				identical(ab("int", hundreds...)),
				{source: ab("int", hundreds...), mirror: ab("int", shifted...),
					want: []diff{missing(0), missing(3500), missing(6990), changed(1000, "a"), extra(-1), extra(2001), extra(9999)}},
				{source: ab("int", hundreds...), mirror: ab("int"), want: missingAll(hundreds)},
				{source: ab("int", hundreds...), mirror: ab("int", hundreds[:350]...), want: missingAll(hundreds[350:])},
				{source: ab("int", hundreds...), mirror: ab("int", hundreds[1:]...), want: missingAll(hundreds[:1])},
				{source: ab("int"), mirror: ab("int")},
			},
		},
	}
}

var leftOut = []mirror.Omission{{Column: "total", Reason: "computed at the source"}, {Column: "stamp", Reason: "rowversion differs in every database"}}

func missingAll(rows []store.Row) []diff {
	list := make([]diff, len(rows))
	for i, r := range rows {
		list[i] = missing(r[0])
	}
	return list
}

// columns are pairs of tables with one row, whose columns a and b differ.
func columns(ab func(typ string, rows ...store.Row) table, typ string, list ...[2]two) []pair {
	var pairs []pair
	for _, v := range list {
		p := pair{source: ab(typ, store.Row{1, v[0][0], v[0][1]}), mirror: ab(typ, store.Row{1, v[1][0], v[1][1]}), want: []diff{changed(1, "a", "b")}}
		pairs = append(pairs, p)
	}
	return pairs
}

// reordered has the columns id, a and b in another order and another case.
func reordered(rows ...store.Row) table {
	return table{columns: []store.Column{col("B", "int"), col("A", "int"), notNull("ID", "int")}, key: []string{"ID"}, rows: rows}
}
