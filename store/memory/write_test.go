package memory_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestInsert(t *testing.T) {
	lit := memory.Table{
		Name: "t",
		Columns: []string{
			"id int", "name nvarchar(5) not null default (N'it''s')", "n int not null default ((7))",
			"free varchar(9)", "sum int generated not null", "at datetime default (getdate())",
		},
		Key:  []string{"id"},
		Rows: []store.Row{{5, "five", 5, nil, 10, nil}},
	}
	insert := func(t *testing.T, s *memory.Store, columns []string, rows ...store.Row) error {
		t.Helper()
		return s.Update(t.Context(), func(tx store.Tx) error {
			return tx.Insert(t.Context(), lookup(t, s, "t"), columns, rows)
		})
	}

	t.Run("defaults and NULL fill what is not named", func(t *testing.T) {
		s := memory.New(lit)
		require.NoError(t, insert(t, s, []string{"free", "id"}, store.Row{"x", 1}, store.Row{nil, 9}))
		require.Equal(t, []store.Row{
			{int64(1), "it's", int64(7), "x", nil, nil},
			{int64(5), "five", int64(5), nil, int64(10), nil},
			{int64(9), "it's", int64(7), nil, nil, nil},
		}, stored(t, s, "t"))
	})

	for _, c := range []struct {
		name, want string
		columns    []string
		rows       []store.Row
	}{
		{"key that is there", "primary key [5]", []string{"id"}, []store.Row{{4}, {5}}},
		{"key twice", "primary key [6]", []string{"id"}, []store.Row{{6}, {6}}},
		{"key twice before others", "primary key [1]", []string{"id"}, []store.Row{{1}, {1}}},
		{"NULL", "column name: NULL is not allowed", []string{"id", "name"}, []store.Row{{1, nil}}},
		{"no value", "column id: NULL is not allowed", []string{"name"}, []store.Row{{"a"}}},
		{"value that does not fit", "row 1: column name: value", []string{"id", "name"}, []store.Row{{1, "a"}, {2, "abcdef"}}},
		{"generated column", "column sum: the database generates", []string{"id", "sum"}, []store.Row{{1, 2}}},
		{"column of another case", `no column "ID"`, []string{"ID"}, []store.Row{{1}}},
		{"column twice", "column id: named twice", []string{"id", "id"}, []store.Row{{1, 1}}},
		{"short row", "row 0: 1 values for 2 columns", []string{"id", "n"}, []store.Row{{1}}},
		{"no columns", "no columns named", nil, []store.Row{{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memory.New(lit)
			require.ErrorContains(t, insert(t, s, c.columns, c.rows...), c.want)
			require.Len(t, stored(t, s, "t"), 1)
		})
	}

	t.Run("no rows", func(t *testing.T) {
		s := memory.New(lit)
		require.NoError(t, insert(t, s, []string{"n"}))
		require.Len(t, stored(t, s, "t"), 1)
	})

	t.Run("keys in any order and in many calls", func(t *testing.T) {
		s := memory.New(contact())
		def := lookup(t, s, "contact")
		update(t, s, func(tx store.Tx) error {
			for i := range 50 {
				rows := []store.Row{{(i*37)%100 + 1}, {100 - (i*37)%100 + 100}}
				if err := tx.Insert(t.Context(), def, []string{"contact_id"}, rows); err != nil {
					return err
				}
			}
			return nil
		})
		rows := stored(t, s, "contact")
		require.Len(t, rows, 100)
		for i := 1; i < len(rows); i++ {
			require.Less(t, rows[i-1][0], rows[i][0])
		}
	})

	t.Run("without a key rows repeat", func(t *testing.T) {
		s := memory.New(memory.Table{Name: "t", Columns: []string{"id int"}, Rows: []store.Row{{2}, {1}}})
		require.NoError(t, insert(t, s, []string{"id"}, store.Row{2}))
		require.Equal(t, []store.Row{{int64(2)}, {int64(1)}, {int64(2)}}, stored(t, s, "t"))
	})

	t.Run("what was inserted is a copy", func(t *testing.T) {
		s := memory.New(memory.Table{Name: "t", Columns: []string{"v sql_variant", "b varbinary(9)"}})
		v, b := []byte("v"), []byte("b")
		require.NoError(t, insert(t, s, []string{"v", "b"}, store.Row{v, b}))
		v[0], b[0] = 'x', 'x'
		require.Equal(t, []store.Row{{[]byte("v"), []byte("b")}}, stored(t, s, "t"))
	})

	t.Run("NOT NULL with a default that is a function", func(t *testing.T) {
		s := memory.New(memory.Table{Name: "t", Columns: []string{"id int", "at datetime not null default (getdate())"}})
		require.ErrorContains(t, insert(t, s, []string{"id"}, store.Row{1}), "no literal as its default")
	})
}

func TestCreateDropTruncate(t *testing.T) {
	s := memory.New(contact(numbered(3)...))
	def := lookup(t, s, "contact")
	column := func(typ, dflt string) []store.Column {
		return []store.Column{{Name: "c", Type: store.Type{Name: typ}, Default: dflt}}
	}

	t.Run("a dropped table can be created again", func(t *testing.T) {
		update(t, s, func(tx store.Tx) error {
			require.NoError(t, tx.Drop(t.Context(), def))
			_, err := tx.Tables(t.Context())
			require.NoError(t, err)
			return tx.Create(t.Context(), def)
		})
		require.Equal(t, def, lookup(t, s, "contact"))
		require.Empty(t, stored(t, s, "contact"))
	})

	t.Run("truncate deletes all rows", func(t *testing.T) {
		s := memory.New(contact(numbered(3)...))
		update(t, s, func(tx store.Tx) error { return tx.Truncate(t.Context(), def) })
		require.Empty(t, stored(t, s, "contact"))
	})

	t.Run("drop removes the table", func(t *testing.T) {
		s := memory.New(contact(numbered(3)...))
		update(t, s, func(tx store.Tx) error { return tx.Drop(t.Context(), def) })
		_, _, ok := s.Table("contact")
		require.False(t, ok)
	})

	t.Run("defaults and types that are refused by no engine", func(t *testing.T) {
		update(t, s, func(tx store.Tx) error {
			for i, dflt := range []string{"", "((0))", "(-1.5)", "((1.0e+000))", "(N'it''s')", "'x'", "(NULL)", "(getdate())"} {
				if err := tx.Create(t.Context(), store.Table{Name: fmt.Sprint("t", i), Columns: column("ntext", dflt)}); err != nil {
					return err
				}
			}
			return tx.Create(t.Context(), store.Table{Name: "other", Columns: column("hierarchyid", "")})
		})
	})

	for _, c := range []struct {
		name, want string
		table      store.Table
	}{
		{"existing name", "table crm7.contact exists", store.Table{Schema: "CRM7", Name: "Contact", Columns: def.Columns}},
		{"unknown type", "not a SQL Server type", store.Table{Name: "n", Columns: column("int) drop", "")}},
		{"type without its length", "length of 0", store.Table{Name: "n", Columns: column("nvarchar", "")}},
		{"default that is no literal", "neither a literal", store.Table{Name: "n", Columns: column("int", "0) drop table t --")}},
		{"default of two literals", "neither a literal", store.Table{Name: "n", Columns: column("int", "('a'+'b')")}},
		{"no columns", "no columns", store.Table{Name: "n"}},
		{"no name", "no name", store.Table{Columns: def.Columns}},
		{"key that is no column", `no column "id"`, store.Table{Name: "n", Columns: def.Columns, Key: []string{"id"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Create(t.Context(), c.table) })
			require.ErrorContains(t, err, c.want)
		})
	}

	t.Run("the key is NOT NULL", func(t *testing.T) {
		nullable := def
		nullable.Name = "nullable"
		nullable.Columns = []store.Column{{Name: "contact_id", Type: store.MustType("int"), Nullable: true}}
		update(t, s, func(tx store.Tx) error { return tx.Create(t.Context(), nullable) })
		require.False(t, lookup(t, s, "nullable").Columns[0].Nullable)
		require.True(t, nullable.Columns[0].Nullable, "the caller's table was changed")
	})

	t.Run("unknown table", func(t *testing.T) {
		missing, cell := store.Table{Name: "missing"}, []store.Cell{{Column: "c", Value: 1}}
		for name, call := range map[string]func(tx store.Tx) error{
			"drop":     func(tx store.Tx) error { return tx.Drop(t.Context(), missing) },
			"truncate": func(tx store.Tx) error { return tx.Truncate(t.Context(), missing) },
			"insert":   func(tx store.Tx) error { return tx.Insert(t.Context(), missing, []string{"c"}, nil) },
			"set":      func(tx store.Tx) error { _, err := tx.Set(t.Context(), missing, cell, cell); return err },
			"delete":   func(tx store.Tx) error { _, err := tx.Delete(t.Context(), missing, cell); return err },
			"count":    func(tx store.Tx) error { _, err := tx.Count(t.Context(), missing); return err },
		} {
			require.ErrorIs(t, s.Update(t.Context(), call), store.ErrTableNotFound, name)
		}
	})
}

func TestSetAndDelete(t *testing.T) {
	lit := memory.Table{
		Name:    "t",
		Columns: []string{"id int", "s nvarchar(9)", "d decimal(9,2)", "g int generated"},
		Key:     []string{"id"},
		Rows:    []store.Row{{1, "a", "1.50", 1}, {2, "A", nil, 2}, {3, "a ", "1.5", 3}, {4, nil, "2", 4}},
	}
	cells := func(pairs ...any) (cells []store.Cell) {
		for i := 0; i < len(pairs); i += 2 {
			cells = append(cells, store.Cell{Column: pairs[i].(string), Value: pairs[i+1]})
		}
		return cells
	}
	for _, c := range []struct {
		name  string
		where []store.Cell
		want  []int64 // ids
	}{
		{"exact text", cells("s", "a"), []int64{1}},
		{"NULL", cells("s", nil), []int64{4}},
		{"equal numbers", cells("d", "01.5"), []int64{1, 3}},
		{"all cells", cells("d", "1.5", "s", "a "), []int64{3}},
		{"generated column", cells("g", 2), []int64{2}},
		{"no row", cells("id", 9), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memory.New(lit)
			def := lookup(t, s, "t")
			update(t, s, func(tx store.Tx) error {
				n, err := tx.Set(t.Context(), def, c.where, cells("s", "hit", "d", 7))
				require.EqualValues(t, len(c.want), n)
				return err
			})
			var hit []int64
			for _, row := range stored(t, s, "t") {
				if row[1] == "hit" {
					hit = append(hit, row[0].(int64))
					require.Equal(t, []byte("7"), row[2])
				}
			}
			require.Equal(t, c.want, hit)

			s = memory.New(lit)
			update(t, s, func(tx store.Tx) error {
				n, err := tx.Delete(t.Context(), def, c.where)
				require.EqualValues(t, len(c.want), n)
				return err
			})
			left := stored(t, s, "t")
			require.Len(t, left, 4-len(c.want))
			for _, row := range left {
				require.NotContains(t, c.want, row[0])
			}
		})
	}

	t.Run("set of the key keeps the order", func(t *testing.T) {
		s := memory.New(lit)
		def := lookup(t, s, "t")
		update(t, s, func(tx store.Tx) error {
			_, err := tx.Set(t.Context(), def, cells("id", 1), cells("id", 9))
			return err
		})
		require.Equal(t, int64(9), stored(t, s, "t")[3][0])
		require.Equal(t, int64(9), read(t, s, store.Query{Table: def, Key: def.Key})[3][0])
	})

	for _, c := range []struct {
		name, want string
		where, set []store.Cell
	}{
		{"set without cells", "no columns named", cells("id", 1), nil},
		{"set of a generated column", "column g: the database generates", cells("id", 1), cells("g", 1)},
		{"set of a NOT NULL column", "column id: NULL", cells("id", 1), cells("id", nil)},
		{"set of a key that is there", "primary key [2]", cells("id", 1), cells("id", 2)},
		{"set of a value that does not fit", "column s: value", nil, cells("s", "0123456789")},
		{"set where a column is unknown", `no column "x"`, cells("x", 1), cells("s", "")},
		{"delete without a condition", "Truncate", nil, nil},
		{"delete where a column is unknown", `no column "x"`, cells("x", 1), nil},
		{"delete where a value does not fit", "column id: value", cells("id", "1"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memory.New(lit)
			before := stored(t, s, "t")
			def := lookup(t, s, "t")
			err := s.Update(t.Context(), func(tx store.Tx) (err error) {
				var n int64
				if c.name[:3] == "set" {
					n, err = tx.Set(t.Context(), def, c.where, c.set)
				} else {
					n, err = tx.Delete(t.Context(), def, c.where)
				}
				require.Zero(t, n)
				return err
			})
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, stored(t, s, "t"))
		})
	}
}

func TestRename(t *testing.T) {
	s := memory.New(memory.Table{Name: "t", Columns: []string{"id int"}, Key: []string{"id"}, Rows: []store.Row{{1}}},
		memory.Table{Name: "taken", Columns: []string{"id int"}})
	rename := func(from, to string) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			return tx.(store.Renamer).Rename(t.Context(), store.Table{Name: from}, to)
		})
	}
	require.NoError(t, rename("t", "u"))
	def, rows, ok := s.Table("u")
	require.True(t, ok)
	require.Equal(t, []string{"id"}, def.Key)
	require.Len(t, rows, 1)
	_, _, ok = s.Table("t")
	require.False(t, ok)
	require.ErrorIs(t, rename("t", "v"), store.ErrTableNotFound)
	require.ErrorContains(t, rename("u", "TAKEN"), "exists")
	require.ErrorContains(t, rename("u", " "), "empty")
	s.FailAt(memory.Rename, 1, errors.New("no"))
	require.ErrorContains(t, rename("u", "v"), "no")
}
