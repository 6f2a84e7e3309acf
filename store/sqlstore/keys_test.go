package sqlstore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func rowsAt(t *testing.T, st *Store, q store.Query, keys ...store.Row) []store.Row {
	t.Helper()
	var got []store.Row
	for batch, err := range st.RowsAt(t.Context(), q, keys) {
		require.NoError(t, err)
		for _, r := range batch {
			got = append(got, r.Clone())
		}
	}
	return got
}

func TestKeyStatements(t *testing.T) {
	one, two := keyTable("id"), keyTable("a", "b")
	text := store.Table{Name: "t", Columns: []store.Column{{Name: "s", Type: store.MustType("nvarchar(9)")}, {Name: "id", Type: store.MustType("int")}}}
	ordered := func(alike bool) func(d *Dialect) {
		return func(d *Dialect) {
			d.MaxParams = 20
			d.Codec = func(typ store.Type) Codec {
				if typ.Name == "int" {
					return Codec{}
				}
				return Codec{
					Param: func(p string) string { return "P(" + p + ")" },
					Order: func(e string) []string { return []string{"A(" + e + ")", "B(" + e + ")"} },
					Alike: alike,
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(d *Dialect)
		q      store.Query
		keys   []store.Row
		want   []string
	}{
		{"no keys", nil, store.Query{Table: one, Key: one.Key}, nil, nil},
		{"one key", nil, store.Query{Table: one, Key: one.Key, Columns: []string{"v"}}, []store.Row{{5}}, []string{
			`SET x; SELECT t."v" FROM "t" AS t JOIN (VALUES (0, @1), (1, @2), (2, @3), (3, @4)) AS r (n, k0) ON r.n < @5 AND t."id" = r.k0 ORDER BY t."id"; SET y [5 5 5 5 1]`}},
		{"a key that is given twice", nil, store.Query{Table: one, Key: one.Key, Columns: []string{"v"}}, []store.Row{{5}, {5}, {6}}, []string{
			`SET x; SELECT t."v" FROM "t" AS t JOIN (VALUES (0, @1), (1, @2), (2, @3), (3, @4)) AS r (n, k0) ON r.n < @5 AND t."id" = r.k0 ORDER BY t."id"; SET y [5 6 6 6 2]`}},
		{"as many keys as a statement has parameters", nil, store.Query{Table: two, Key: two.Key, Columns: []string{"v"}}, []store.Row{{1, 1}, {1, 2}, {2, 1}, {3, 0}}, []string{
			`SET x; SELECT t."v" FROM "t" AS t JOIN (VALUES (0, @1, @2), (1, @3, @4), (2, @5, @6)) AS r (n, k0, k1) ON r.n < @7 AND t."a" = r.k0 AND t."b" = r.k1 ORDER BY t."a", t."b"; SET y [1 1 1 2 2 1 3]`,
			`SET x; SELECT t."v" FROM "t" AS t JOIN (VALUES (0, @1, @2), (1, @3, @4), (2, @5, @6)) AS r (n, k0, k1) ON r.n < @7 AND t."a" = r.k0 AND t."b" = r.k1 ORDER BY t."a", t."b"; SET y [3 0 3 0 3 0 1]`}},
		{"by what orders the key", ordered(false), store.Query{Table: text, Key: []string{"id", "s"}, Columns: []string{"id"}}, []store.Row{{1, "x"}}, []string{
			`SET x; SELECT t."id" FROM "t" AS t JOIN (VALUES (0, @1, P(@2)), (1, @3, P(@4)), (2, @5, P(@6)), (3, @7, P(@8))) AS r (n, k0, k1) ON r.n < @9 AND t."id" = r.k0 AND A(t."s") = A(r.k1) AND B(t."s") = B(r.k1)` +
				` ORDER BY t."id", A(t."s"), B(t."s"); SET y [1 x 1 x 1 x 1 x 1]`}},
		{"by what the engine can seek by", ordered(true), store.Query{Table: text, Key: []string{"s"}, Columns: []string{"id"}}, []store.Row{{"x"}, {"y"}}, []string{
			`SET x; SELECT t."id" FROM "t" AS t JOIN (VALUES (0, P(@1)), (1, P(@2)), (2, P(@3)), (3, P(@4))) AS r (n, k0) ON r.n < @5 AND A(t."s") = A(r.k0) AND B(t."s") = B(r.k0)` +
				` AND t."s" IN (P(@6), P(@7), P(@8), P(@9)) ORDER BY A(t."s"), B(t."s"); SET y [x y y y 2 x y y y]`}},
		{"a table of the engine's own", func(d *Dialect) {
			d.Values = func(alias string, names []string, rows string) string {
				return "ROWS " + rows + " OF " + strings.Join(names, " ") + " AS " + alias
			}
			d.Hint = func(store.Table, bool) string { return " HINT" }
		}, store.Query{Table: one, Key: one.Key, Columns: []string{"v"}}, []store.Row{{5}}, []string{
			`SET x; SELECT t."v" FROM "t" AS t HINT JOIN ROWS (0, @1), (1, @2), (2, @3), (3, @4) OF n k0 AS r ON r.n < @5 AND t."id" = r.k0 ORDER BY t."id"; SET y [5 5 5 5 1]`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, sent(t, c.change, func(st *Store) { require.Empty(t, rowsAt(t, st, c.q, c.keys...)) }))
		})
	}
}

// What is wrong with a key is found where its statement would begin, and between
// two of them.
func TestKeysRefused(t *testing.T) {
	two := keyTable("a", "b") // three keys are one statement
	for _, c := range []struct {
		name       string
		keys       []store.Row
		statements int
		want       string
	}{
		{"in the first statement", []store.Row{{1, 1}, {1, 0}, {2, 2}}, 0, "read rows of t by their keys: key 1: the keys are not in ascending order"},
		{"at the end of a statement", []store.Row{{1, 1}, {1, 2}, {1, 3}, {1, 2}}, 1, "key 3: the keys are not in ascending order"},
		{"behind a key that is given twice", []store.Row{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 2}, {1, 0}}, 1, "key 5: the keys are not in ascending order"},
		{"NULL", []store.Row{{1, 1}, {1, 2}, {1, 3}, {2, nil}}, 1, "key 3: column b: a key that is NULL"},
		{"a value too many", []store.Row{{1, 1, 1}}, 0, "key 0: 3 values for 2 key columns"},
		{"what the column cannot hold", []store.Row{{1, int64(1) << 40}}, 0, "key 0: column b: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := sent(t, nil, func(st *Store) {
				var last error
				for _, err := range st.RowsAt(t.Context(), store.Query{Table: two, Key: two.Key}, c.keys) {
					last = err
				}
				require.ErrorContains(t, last, c.want)
			})
			require.Equal(t, c.statements, len(log), "statements")
		})
	}
}

// A server that keeps a plan for each text keeps few.
func TestKeyStatementsAreFew(t *testing.T) {
	f := &fake{}
	st := newFake(t, f, func(d *Dialect) { d.MaxParams = 2098 })
	tab := keyTable("id")
	texts := map[string]bool{}
	most := 0
	for n := 1; n < 2500; n += 7 {
		keys := make([]store.Row, n)
		for i := range keys {
			keys[i] = store.Row{i}
		}
		f.log = nil
		rowsAt(t, st, store.Query{Table: tab, Key: tab.Key}, keys...)
		for _, line := range f.log {
			if text, _, ok := strings.Cut(line, " ["); ok {
				texts[text] = true
				most = max(most, strings.Count(text, "?"))
			}
		}
	}
	require.Equal(t, 5, len(texts))
	require.Equal(t, maxKeys+1, most)
}

func TestKeysAtOnce(t *testing.T) {
	for _, c := range []struct {
		params, columns int
		alike, sorts    bool
		want            int
	}{
		{2098, 1, false, false, 1024}, {2098, 2, false, false, 1024}, {2098, 3, false, false, 640}, {2098, 1, true, false, 1024}, {2098, 2, true, false, 640},
		{900, 1, false, false, 896}, {900, 2, false, false, 384}, {32766, 1, false, false, 1024}, {200, 2, false, false, 99}, {8, 3, false, false, 2}, {2, 3, false, false, 1}, {32766, 1, false, true, 16384}, {32766, 3, false, true, 10880}, {2098, 1, true, true, 1024},
	} {
		key := make([]column, c.columns)
		key[0].Alike = c.alike
		if c.sorts {
			key[0].Order = func(expr string) []string { return []string{expr} }
		}
		require.Equal(t, c.want, (&Dialect{MaxParams: c.params}).keysAtOnce(key), "%+v", c)
	}
}

var keyTuple = regexp.MustCompile(`\(\d+, \?(\d+)\)`)

// queryAt has the rows of the keys that stand in the text.
func (l lossy) queryAt(ctx context.Context, text string) (driver.Rows, error) {
	wanted := map[int64]bool{}
	for _, m := range keyTuple.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, err
		}
		wanted[n] = true
	}
	some := slices.DeleteFunc(slices.Clone(l.rows), func(r [2]any) bool { return !wanted[r[0].(int64)] })
	return &lossyRows{rows: some, exact: strings.Contains(text, "EXACT(")}, nil
}

// TestExactAt: as TestExact, for the rows of keys.
func TestExactAt(t *testing.T) {
	for _, c := range []struct {
		name   string
		unique bool
		bad    int // -1: none
		reads  int
	}{
		{"nothing to see", true, -1, 2}, {"in the first row", true, 0, 3}, {"in the second batch", true, 200, 3}, {"behind the first statement", true, 1500, 3},
		{"keys that repeat", false, 300, 3}, {"keys that repeat, behind the first statement", false, 2997, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l lossy
			var want, keys []store.Row
			for i := range 3000 {
				id := int64(i)
				if !c.unique {
					id = int64(i / 2)
				}
				text := fmt.Sprint("s", i)
				if i == c.bad {
					text = "#" + text
				}
				l.rows = append(l.rows, [2]any{id, text})
				if id%2 == 0 {
					want = append(want, store.Row{id, strings.ReplaceAll(text, "#", "\xed\xa0\x80")})
				}
			}
			for id := int64(0); id < 3000; id += 2 {
				keys = append(keys, store.Row{id})
			}
			f := &fake{}
			st := newLossy(t, f, l)
			st.d.MaxParams = 2098
			f.query = l.queryAt
			q := store.Query{Table: lossyTable("id"), Key: []string{"id"}}
			if !c.unique {
				q.Table.Key = nil
			}
			for run, reads := range []int{c.reads, 2} {
				f.log = nil
				require.Equal(t, want, rowsAt(t, st, q, keys...))
				selects := slices.DeleteFunc(slices.Clone(f.log), func(s string) bool { return !strings.HasPrefix(s, "SELECT") })
				require.Equal(t, reads, len(selects), "statements of run %d", run)
			}
		})
	}
}
