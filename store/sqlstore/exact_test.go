package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// lossy is a table of ids and texts whose driver puts U+FFFD in the place of
// "#" unless the column is read through EXACT.
type lossy struct {
	rows [][2]any // id and text, in key order
}

func (l lossy) query(_ context.Context, text string) (driver.Rows, error) {
	rows := l.rows
	var from int64
	if i := strings.Index(text, ">= "); i > 0 { // the fake's parameters are spelled out
		if _, err := fmt.Sscanf(text[i:], ">= ?%d", &from); err != nil {
			return nil, err
		}
	}
	exact := strings.Contains(text, "EXACT(")
	return &lossyRows{rows: slices.DeleteFunc(slices.Clone(rows), func(r [2]any) bool { return r[0].(int64) < from }), exact: exact}, nil
}

type lossyRows struct {
	rows  [][2]any
	exact bool
}

func (r *lossyRows) Columns() []string { return []string{"id", "s"} }
func (r *lossyRows) Close() error      { return nil }
func (r *lossyRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	text := r.rows[0][1].(string)
	if !r.exact {
		text = strings.ReplaceAll(text, "#", "\ufffd")
	}
	dest[0], dest[1] = r.rows[0][0], text
	r.rows = r.rows[1:]
	return nil
}

func newLossy(t *testing.T, f *fake, l lossy) *Store {
	f.query = l.query
	return newFake(t, f, func(d *Dialect) {
		d.Codec = func(typ store.Type) Codec {
			if typ.Kind() != store.KindString {
				// The value itself stands in the text, for the fake to see.
				return Codec{Encode: func(v driver.Value) any { bound = v.(int64); return v }}
			}
			return Codec{Exact: &Codec{
				Select: func(c string) string { return "EXACT(" + c + ")" },
				Decode: func(v driver.Value) (driver.Value, error) {
					return strings.ReplaceAll(v.(string), "#", "\xed\xa0\x80"), nil // U+D800
				},
			}}
		}
		d.Placeholder = func(int) string { return fmt.Sprint("?", bound) }
	})
}

// bound is the last value that was encoded.
var bound int64

func lossyTable(key ...string) store.Table {
	return store.Table{Name: "t", Key: key, Columns: []store.Column{{Name: "id", Type: store.MustType("int")}, {Name: "s", Type: store.MustType("nvarchar(9)")}}}
}

// TestExact: from the first text on that the driver cannot deliver, rows are
// read in another way, and none is delivered twice or not at all.
func TestExact(t *testing.T) {
	many := func(n int, id func(i int) int64, bad ...int) (rows [][2]any, want []store.Row) {
		for i := range n {
			text := fmt.Sprint("s", i)
			if slices.Contains(bad, i) {
				text = "#" + text
			}
			rows = append(rows, [2]any{id(i), text})
			want = append(want, store.Row{id(i), strings.ReplaceAll(text, "#", "\xed\xa0\x80")})
		}
		return rows, want
	}
	single := func(i int) int64 { return int64(i) }
	for _, c := range []struct {
		name  string
		n     int
		id    func(i int) int64
		key   []string // of the table
		by    []string // of the query
		bad   []int
		reads int
	}{
		{"nothing to see", 300, single, []string{"id"}, []string{"id"}, nil, 1},
		{"in the first row", 300, single, []string{"id"}, []string{"id"}, []int{0}, 2},
		{"in the first batch", 300, single, []string{"id"}, []string{"id"}, []int{100, 299}, 2},
		{"at the beginning of a batch", 300, single, []string{"id"}, []string{"id"}, []int{128}, 2},
		{"in a later batch", 300, single, []string{"id"}, []string{"id"}, []int{200, 256}, 2},
		{"in the last row", 300, single, []string{"id"}, []string{"id"}, []int{299}, 2},
		{"keys that repeat", 300, func(i int) int64 { return int64(i / 7) }, nil, []string{"id"}, []int{133}, 2},
		{"one key for all rows", 300, func(int) int64 { return 5 }, nil, []string{"id"}, []int{290}, 2},
		{"without a key there is no place to go on from", 300, single, nil, nil, []int{200}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, want := many(c.n, c.id, c.bad...)
			f := &fake{}
			st := newLossy(t, f, lossy{rows})
			q := store.Query{Table: lossyTable(c.key...), Key: c.by}
			for run, reads := range []int{c.reads, 1} { // the second time it is known
				f.log = nil
				var got []store.Row
				for batch, err := range st.Rows(t.Context(), q) {
					require.NoError(t, err)
					for _, r := range batch {
						got = append(got, r.Clone())
					}
				}
				require.Equal(t, want, got)
				selects := slices.DeleteFunc(slices.Clone(f.log), func(s string) bool { return !strings.HasPrefix(s, "SELECT") })
				require.Len(t, selects, reads, "run %d", run)
				if len(c.bad) == 0 {
					require.NotContains(t, selects[0], "EXACT")
				} else {
					require.Contains(t, selects[reads-1], `EXACT("s")`)
				}
			}
		})
	}
	t.Run("more rows of one key than are remembered", func(t *testing.T) {
		rows, want := many(maxTail+300, func(int) int64 { return 5 }, maxTail+290)
		st := newLossy(t, &fake{}, lossy{rows})
		q := store.Query{Table: lossyTable(), Key: []string{"id"}}
		var last error
		for _, err := range st.Rows(t.Context(), q) {
			last = err
		}
		require.ErrorContains(t, last, "read the table again")
		var got []store.Row
		for batch, err := range st.Rows(t.Context(), q) {
			require.NoError(t, err)
			for _, r := range batch {
				got = append(got, r.Clone())
			}
		}
		require.Equal(t, want, got, "then it is known")
	})
	t.Run("in a key", func(t *testing.T) {
		st := newLossy(t, &fake{}, lossy{[][2]any{{int64(1), "a#b"}}})
		var last error
		for _, err := range st.Rows(t.Context(), store.Query{Table: lossyTable(), Key: []string{"s", "id"}}) {
			last = err
		}
		require.ErrorIs(t, last, errors.ErrUnsupported)
		require.ErrorContains(t, last, `column s: the key "a\xed\xa0\x80b" holds half a surrogate pair`)
	})
	t.Run("a limit", func(t *testing.T) {
		rows, want := many(300, single, 200)
		f := &fake{}
		st := newLossy(t, f, lossy{rows})
		var got []store.Row
		for batch, err := range st.Rows(t.Context(), store.Query{Table: lossyTable("id"), Key: []string{"id"}, Limit: 300}) {
			require.NoError(t, err)
			for _, r := range batch {
				got = append(got, r.Clone())
			}
		}
		require.Equal(t, want, got)
		require.Contains(t, strings.Join(f.log, "\n"), "LIMIT 173", "172 rows are left, and the last one before them")
	})
}

// BenchmarkExact reads rows whose text is looked through for U+FFFD, and rows
// whose text is not.
func BenchmarkExact(b *testing.B) {
	rows := make([][2]any, 10_000)
	for i := range rows {
		rows[i] = [2]any{int64(i), fmt.Sprintf("Customer number %d of Ærøskøbing", i)}
	}
	exact := &Codec{Select: func(c string) string { return c }}
	for _, c := range []struct {
		name  string
		codec Codec
	}{{"plain", Codec{}}, {"exact", Codec{Exact: exact}}} {
		b.Run(c.name, func(b *testing.B) {
			f := &fake{query: lossy{rows}.query}
			db := sqlx.NewDb(sql.OpenDB(f), "fake")
			b.Cleanup(func() { require.NoError(b, db.Close()) })
			st, err := New(db, &Dialect{
				Tables:     func(context.Context, sqlx.QueryerContext) ([]store.Table, error) { return nil, nil },
				ColumnType: store.Type.String,
				Codec: func(t store.Type) Codec {
					if t.Kind() == store.KindString {
						return c.codec
					}
					return Codec{}
				},
			})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range st.Rows(b.Context(), store.Query{Table: lossyTable("id"), Key: []string{"id"}}) {
					require.NoError(b, err)
				}
				f.log = nil
			}
		})
	}
}
