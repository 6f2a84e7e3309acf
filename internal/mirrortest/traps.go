package mirrortest

import (
	"slices"
	"time"

	"github.com/so-mirror/mirror/store"
)

// values is a table with a key and one more column of that type.
func values(typ string, values ...any) table {
	tb := table{columns: []store.Column{notNull("id", "int"), col("v", typ)}, key: []string{"id"}}
	for i, v := range values {
		tb.rows = append(tb.rows, store.Row{i + 1, v})
	}
	return tb
}

// keys is a table whose key is one column of that type.
func keys(typ string, keys ...any) table {
	tb := table{columns: []store.Column{notNull("k", typ), col("v", "int")}, key: []string{"k"}}
	for _, k := range keys {
		tb.rows = append(tb.rows, store.Row{k, 7})
	}
	return tb
}

// two are values that only look alike.
type two = [2]any

// differ are pairs of tables for values that differ, and a pair of equal tables
// for all of them.
func differ(typ string, list ...two) []pair {
	return append(differing(typ, typ, list...), alike(typ, typ, twice(list)...))
}

// twice are the values of a list, each with itself.
func twice(list []two) []two {
	var all []two
	for _, v := range list {
		all = append(all, two{v[0], v[0]}, two{v[1], v[1]})
	}
	return all
}

func differing(source, mirror string, list ...two) []pair {
	var pairs []pair
	for _, v := range list {
		pairs = append(pairs, pair{source: values(source, v[0]), mirror: values(mirror, v[1]), want: []diff{changed(int64(1), "v")}})
	}
	return pairs
}

// alike is a pair of tables with equal values of two types.
func alike(source, mirror string, list ...two) pair {
	p := pair{source: values(source), mirror: values(mirror)}
	for i, v := range list {
		p.source.rows = append(p.source.rows, mirrorRow(i, v[0]))
		p.mirror.rows = append(p.mirror.rows, mirrorRow(i, v[1]))
	}
	return p
}

func mirrorRow(values ...any) store.Row {
	row := make(store.Row, len(values))
	for i, v := range values {
		row[i] = v
	}
	return row
}

// differentKeys are pairs of tables whose only key differs, and a pair of equal
// tables with those keys of the list that can stand in one table.
func differentKeys(typ string, list ...two) []pair {
	var pairs []pair
	for _, k := range list {
		pairs = append(pairs,
			pair{source: keys(typ, k[0]), mirror: keys(typ, k[1]), want: []diff{missing(k[0]), extra(k[1])}},
			identical(keys(typ, k[0])), identical(keys(typ, k[1])))
	}
	return pairs
}

// without are a pair of equal tables with these keys, and for each key a pair
// in which the mirror lacks it.
func without(typ string, all ...any) []pair {
	pairs := []pair{identical(keys(typ, all...))}
	for i, k := range all {
		rest := append(append([]any{}, all[:i]...), all[i+1:]...)
		pairs = append(pairs, pair{source: keys(typ, all...), mirror: keys(typ, rest...), want: []diff{missing(k)}})
	}
	return pairs
}

func concat(lists ...[]pair) (all []pair) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func utc(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// traps is the table of cases. Keys do not differ by blanks or zeros at their
// end, which SQL Server ignores, unless the case is about that.
func traps() []trap {
	return slices.Concat(keyTraps(), rowTraps(), valueTraps(), timeTraps())
}

// renamed returns the table with another name for a column.
func (tb table) renamed(from, to string) table {
	columns := make([]store.Column, len(tb.columns))
	for i, c := range tb.columns {
		if c.Name == from {
			c.Name = to
		}
		columns[i] = c
	}
	tb.columns = columns
	for i, name := range tb.key {
		if name == from {
			tb.key = slices.Clone(tb.key)
			tb.key[i] = to
		}
	}
	return tb
}

// and returns the table with one more column.
func (tb table) and(c store.Column) table {
	tb.columns = append(slices.Clone(tb.columns), c)
	return tb
}
