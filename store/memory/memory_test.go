package memory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var errBoom = errors.New("boom")

// contact is a small keyed table with a column of each interesting kind.
func contact(rows ...store.Row) memory.Table {
	return memory.Table{
		Schema:  "crm7",
		Name:    "contact",
		Columns: []string{"contact_id int", "name nvarchar(20)", "logo varbinary(max)"},
		Key:     []string{"contact_id"},
		Rows:    rows,
	}
}

// numbered returns n rows of contact, last first.
func numbered(n int) []store.Row {
	rows := make([]store.Row, n)
	for i := range rows {
		id := n - i
		rows[i] = store.Row{id, fmt.Sprintf("name %d", id), []byte{byte(id)}}
	}
	return rows
}

func lookup(t *testing.T, s *memory.Store, name string) store.Table {
	t.Helper()
	def, _, ok := s.Table(name)
	require.True(t, ok, "table %s", name)
	return def
}

func stored(t *testing.T, s *memory.Store, name string) []store.Row {
	t.Helper()
	_, rows, ok := s.Table(name)
	require.True(t, ok, "table %s", name)
	return rows
}

// read collects the rows of q.
func read(t *testing.T, src store.Source, q store.Query) []store.Row {
	t.Helper()
	rows := []store.Row{}
	for batch, err := range src.Rows(t.Context(), q) {
		require.NoError(t, err)
		require.NotEmpty(t, batch)
		for _, row := range batch {
			rows = append(rows, row.Clone())
		}
	}
	return rows
}

// readErr returns the rows before the error that must end the reading.
func readErr(t *testing.T, ctx context.Context, src store.Source, q store.Query) (n int, err error) {
	t.Helper()
	for batch, e := range src.Rows(ctx, q) {
		require.NoError(t, err, "the iteration goes on after an error")
		n, err = n+len(batch), e
	}
	require.Error(t, err)
	return n, err
}

func update(t *testing.T, s *memory.Store, fn func(tx store.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), fn))
}

func TestReadSource(t *testing.T) {
	s := memory.New(contact(numbered(40)...), memory.Table{Name: "Area", Columns: []string{"id int"}})
	def := lookup(t, s, "contact")

	t.Run("tables with columns and key", func(t *testing.T) {
		tables, err := s.Tables(t.Context())
		require.NoError(t, err)
		require.Equal(t, []store.Table{
			{Name: "Area", Columns: []store.Column{{Name: "id", Type: store.MustType("int"), Nullable: true}}},
			{Schema: "crm7", Name: "contact", Key: []string{"contact_id"}, Columns: []store.Column{
				{Name: "contact_id", Type: store.MustType("int")},
				{Name: "name", Type: store.MustType("nvarchar(20)"), Nullable: true},
				{Name: "logo", Type: store.MustType("varbinary(max)"), Nullable: true},
			}},
		}, tables)
	})

	t.Run("what was returned is a copy", func(t *testing.T) {
		tables, err := s.Tables(t.Context())
		require.NoError(t, err)
		tables[1].Columns[0].Name = "changed"
		tables[1].Key[0] = "changed"
		stored(t, s, "contact")[0][2].([]byte)[0] = 99
		require.Equal(t, "contact_id", lookup(t, s, "contact").Columns[0].Name)
		require.Equal(t, "contact_id", lookup(t, s, "contact").Key[0])
		require.Equal(t, []byte{1}, stored(t, s, "contact")[0][2])
	})

	t.Run("count", func(t *testing.T) {
		n, err := s.Count(t.Context(), def)
		require.NoError(t, err)
		require.EqualValues(t, 40, n)
	})

	t.Run("all rows across batches", func(t *testing.T) {
		rows := read(t, s, store.Query{Table: def, Key: def.Key})
		require.Len(t, rows, 40)
		for i, row := range rows {
			require.Equal(t, store.Row{int64(i + 1), fmt.Sprintf("name %d", i+1), []byte{byte(i + 1)}}, row)
		}
	})

	ids := func(rows []store.Row) (ids []any) {
		for _, row := range rows {
			ids = append(ids, row[0])
		}
		return ids
	}
	id := []string{"contact_id"}
	for _, c := range []struct {
		name string
		q    store.Query
		want []any
	}{
		{"from includes its bound", store.Query{Columns: id, Key: id, From: store.Row{39}}, []any{int64(39), int64(40)}},
		{"before excludes its bound", store.Query{Columns: id, Key: id, Before: store.Row{3}}, []any{int64(1), int64(2)}},
		{"both bounds and a limit", store.Query{Columns: id, Key: id, From: store.Row{5}, Before: store.Row{9}, Limit: 2}, []any{int64(5), int64(6)}},
		{"NULL as bound", store.Query{Columns: id, Key: id, Before: store.Row{nil}}, nil},
		{"order by another column", store.Query{Columns: id, Key: []string{"name"}, Limit: 3}, []any{int64(1), int64(10), int64(11)}},
		{"composite key", store.Query{Columns: id, Key: []string{"name", "contact_id"}, From: store.Row{"name 2", 3}, Limit: 1}, []any{int64(20)}},
		{"columns in the order asked for", store.Query{Columns: []string{"name", "contact_id"}, Key: id, Limit: 1}, []any{"name 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Table = def
			require.Equal(t, c.want, ids(read(t, s, c.q)))
		})
	}

	for _, c := range []struct {
		name, want string
		q          store.Query
	}{
		{"unknown column", `no column "Name"`, store.Query{Columns: []string{"Name"}}},
		{"unknown key", `no column "x"`, store.Query{Key: []string{"x"}}},
		{"empty list of columns", "no columns to read", store.Query{Columns: []string{}}},
		{"bound of another length", "2 values for 1 key columns", store.Query{Key: id, From: store.Row{1, 2}}},
		{"bound of another type", "want an integer", store.Query{Key: id, Before: store.Row{"a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Table = def
			_, err := readErr(t, t.Context(), s, c.q)
			require.ErrorContains(t, err, c.want)
		})
	}

	for name, missing := range map[string]store.Table{
		"unknown table": {Name: "person"}, "other case": {Schema: "crm7", Name: "Contact"}, "without its schema": {Name: "contact"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Count(t.Context(), missing)
			require.ErrorIs(t, err, store.ErrTableNotFound)
			_, err = readErr(t, t.Context(), s, store.Query{Table: missing, Columns: id})
			require.ErrorIs(t, err, store.ErrTableNotFound)
		})
	}

	t.Run("empty table yields no batch", func(t *testing.T) {
		require.Empty(t, read(t, s, store.Query{Table: lookup(t, s, "Area")}))
	})
}

func TestOrderOfKeys(t *testing.T) {
	s := memory.New(memory.Table{
		Name:    "t",
		Columns: []string{"s nvarchar(9)", "d decimal(9,2)", "g uniqueidentifier"},
		Rows: []store.Row{
			{"a", "10", "00000000-0000-0000-0000-000000000001"},
			{nil, "9.5", "FF000000-0000-0000-0000-000000000000"},
			{"B", "-1", nil},
		},
	})
	def := lookup(t, s, "t")
	for column, want := range map[string][]any{
		"s": {nil, "B", "a"}, "d": {"B", nil, "a"}, "g": {"B", nil, "a"},
	} {
		t.Run(column, func(t *testing.T) {
			got := []any{}
			for _, row := range read(t, s, store.Query{Table: def, Columns: []string{"s", "d"}, Key: []string{column}}) {
				got = append(got, row[0])
			}
			require.Equal(t, want, got)
			require.Equal(t, "a", stored(t, s, "t")[0][0], "reading moved the rows")
		})
	}
}

func TestRowsAreValidForOneIteration(t *testing.T) {
	s := memory.New(contact(numbered(20)...))
	q := store.Query{Table: lookup(t, s, "contact"), Key: []string{"contact_id"}}

	t.Run("a kept row is overwritten", func(t *testing.T) {
		var first, last store.Row
		var logo []byte
		for batch, err := range s.Rows(t.Context(), q) {
			require.NoError(t, err)
			if first == nil {
				first = batch[0]
			}
			last, logo = batch[len(batch)-1], batch[len(batch)-1][2].([]byte)
			require.Equal(t, []byte{byte(last[0].(int64))}, logo)
		}
		require.NotEqual(t, int64(1), first[0])
		require.NotEqual(t, int64(20), last[0])
		require.NotEqual(t, []byte{20}, logo)
		require.Equal(t, []byte{20}, stored(t, s, "contact")[19][2])
	})

	t.Run("after a break the last batch stays", func(t *testing.T) {
		var row store.Row
		for batch := range s.Rows(t.Context(), q) {
			row = batch[0]
			break
		}
		require.Equal(t, store.Row{int64(1), "name 1", []byte{1}}, row)
	})

	t.Run("an empty value is not NULL", func(t *testing.T) {
		s := memory.New(contact(store.Row{1, "", []byte{}}, store.Row{2, nil, nil}))
		require.Equal(t, []store.Row{{int64(1), "", []byte{}}, {int64(2), nil, nil}}, read(t, s, q))
		for batch := range s.Rows(t.Context(), q) {
			require.NotNil(t, batch[0][2])
			require.Nil(t, batch[1][2])
		}
	})

	t.Run("a consumer cannot change the table", func(t *testing.T) {
		for batch := range s.Rows(t.Context(), q) {
			batch[0][0] = int64(-1)
			batch[0][2].([]byte)[0] = 0
		}
		require.Equal(t, store.Row{int64(1), "name 1", []byte{1}}, stored(t, s, "contact")[0])
	})
}

func TestContext(t *testing.T) {
	s := memory.New(contact(numbered(40)...))
	def := lookup(t, s, "contact")
	done, cancel := context.WithCancel(t.Context())
	cancel()

	t.Run("done before the call", func(t *testing.T) {
		_, err := s.Tables(done)
		require.Equal(t, context.Canceled, err)
		_, err = s.Count(done, def)
		require.Equal(t, context.Canceled, err)
		n, err := readErr(t, done, s, store.Query{Table: def})
		require.Equal(t, context.Canceled, err)
		require.Zero(t, n)
		err = s.Update(done, func(store.Tx) error { t.Error("fn was run"); return nil })
		require.Equal(t, context.Canceled, err)
	})

	t.Run("done between batches", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		batches, err := 0, error(nil)
		for batch, e := range s.Rows(ctx, store.Query{Table: def}) {
			cancel()
			if batch != nil {
				batches++
			}
			err = e
		}
		require.Equal(t, 1, batches)
		require.Equal(t, context.Canceled, err)
	})

	t.Run("done at commit", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := s.Update(ctx, func(tx store.Tx) error {
			require.NoError(t, tx.Truncate(ctx, def))
			cancel()
			return nil
		})
		require.Equal(t, context.Canceled, err)
		require.Len(t, stored(t, s, "contact"), 40)
	})

	t.Run("done, and its error ignored", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.ResetCalls()
		err := s.Update(ctx, func(tx store.Tx) error {
			cancel()
			_ = tx.Truncate(ctx, def)
			return nil
		})
		require.Equal(t, context.Canceled, err)
		require.NotContains(t, s.Calls(), memory.Call{Method: memory.Commit})
	})

	t.Run("done while waiting for another Update", func(t *testing.T) {
		update(t, s, func(store.Tx) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			err := s.Update(ctx, func(store.Tx) error { t.Error("fn was run"); return nil })
			require.Equal(t, context.DeadlineExceeded, err)
			return nil
		})
	})
}

func TestUpdate(t *testing.T) {
	s := memory.New(contact(numbered(20)...))
	def := lookup(t, s, "contact")
	before := stored(t, s, "contact")
	wreck := func(t *testing.T, tx store.Tx) {
		t.Helper()
		_, err := tx.Set(t.Context(), def, nil, []store.Cell{{Column: "name", Value: "wrecked"}})
		require.NoError(t, err)
		_, err = tx.Delete(t.Context(), def, []store.Cell{{Column: "contact_id", Value: 3}})
		require.NoError(t, err)
		require.NoError(t, tx.Insert(t.Context(), def, []string{"contact_id"}, []store.Row{{99}}))
		require.NoError(t, tx.Create(t.Context(), store.Table{Name: "new", Columns: def.Columns}))
	}

	t.Run("rolled back on an error", func(t *testing.T) {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			wreck(t, tx)
			return errBoom
		})
		require.Equal(t, errBoom, err)
		require.Equal(t, before, stored(t, s, "contact"))
		_, _, ok := s.Table("new")
		require.False(t, ok)
	})

	t.Run("rolled back on a panic", func(t *testing.T) {
		require.PanicsWithValue(t, "oops", func() {
			_ = s.Update(t.Context(), func(tx store.Tx) error {
				wreck(t, tx)
				panic("oops")
			})
		})
		require.Equal(t, before, stored(t, s, "contact"))
		update(t, s, func(store.Tx) error { return nil }) // the lock is free
	})

	t.Run("refused after a failed method", func(t *testing.T) {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			wreck(t, tx)
			_ = tx.Drop(t.Context(), store.Table{Name: "missing"})
			return nil
		})
		require.ErrorIs(t, err, store.ErrTableNotFound)
		require.Equal(t, before, stored(t, s, "contact"))
	})

	t.Run("reads in it see its writes, others do not", func(t *testing.T) {
		update(t, s, func(tx store.Tx) error {
			require.NoError(t, tx.Insert(t.Context(), def, []string{"contact_id"}, []store.Row{{21}}))
			n, err := tx.Count(t.Context(), def)
			require.NoError(t, err)
			require.EqualValues(t, 21, n)
			require.Len(t, read(t, tx, store.Query{Table: def}), 21)
			require.Len(t, read(t, s, store.Query{Table: def}), 20)

			require.NoError(t, tx.Create(t.Context(), store.Table{Name: "new", Columns: def.Columns}))
			tables, err := tx.Tables(t.Context())
			require.NoError(t, err)
			require.Len(t, tables, 2)
			require.NoError(t, tx.Drop(t.Context(), store.Table{Name: "new"}))
			return nil
		})
		require.Len(t, stored(t, s, "contact"), 21)
	})

	t.Run("a reader keeps its snapshot", func(t *testing.T) {
		s := memory.New(contact(numbered(40)...))
		n := 0
		for batch, err := range s.Rows(t.Context(), store.Query{Table: def}) {
			require.NoError(t, err)
			for _, row := range batch {
				require.Equal(t, fmt.Sprintf("name %d", row[0]), row[1])
			}
			if n == 0 {
				update(t, s, func(tx store.Tx) error { wreck(t, tx); return nil })
			}
			n += len(batch)
		}
		require.Equal(t, 40, n)
		require.Equal(t, "wrecked", stored(t, s, "contact")[0][1])
	})

	t.Run("a reader of the transaction keeps its snapshot", func(t *testing.T) {
		s := memory.New(contact(numbered(40)...))
		update(t, s, func(tx store.Tx) error {
			n := 0
			for batch, err := range tx.Rows(t.Context(), store.Query{Table: def}) {
				require.NoError(t, err)
				if n == 0 {
					wreck(t, tx)
				}
				n += len(batch)
			}
			require.Equal(t, 40, n)
			return nil
		})
	})

	t.Run("used after its end", func(t *testing.T) {
		var tx store.Tx
		update(t, s, func(x store.Tx) error { tx = x; return nil })
		ctx, cell := t.Context(), []store.Cell{{Column: "contact_id", Value: 1}}
		s.ResetCalls()
		_, err := tx.Tables(ctx)
		require.ErrorContains(t, err, "after Update returned")
		_, err = tx.Count(ctx, def)
		require.ErrorContains(t, err, "after Update returned")
		_, err = readErr(t, ctx, tx, store.Query{Table: def})
		require.ErrorContains(t, err, "after Update returned")
		_, err = tx.Set(ctx, def, cell, cell)
		require.ErrorContains(t, err, "after Update returned")
		_, err = tx.Delete(ctx, def, cell)
		require.ErrorContains(t, err, "after Update returned")
		require.ErrorContains(t, tx.Create(ctx, store.Table{Name: "x", Columns: def.Columns}), "after Update returned")
		require.ErrorContains(t, tx.Drop(ctx, def), "after Update returned")
		require.ErrorContains(t, tx.Truncate(ctx, def), "after Update returned")
		require.ErrorContains(t, tx.Insert(ctx, def, []string{"contact_id"}, []store.Row{{77}}), "after Update returned")
		require.Empty(t, s.Calls())
	})

	t.Run("a reader of the transaction ends with it", func(t *testing.T) {
		s := memory.New(contact(numbered(40)...))
		batches, err := 0, error(nil)
		release, ended := make(chan struct{}), make(chan struct{})
		update(t, s, func(tx store.Tx) error {
			first := make(chan struct{})
			go func() {
				defer close(ended)
				for _, e := range tx.Rows(t.Context(), store.Query{Table: def}) {
					if err = e; e == nil {
						batches++
					}
					if batches == 1 && e == nil {
						close(first)
						<-release
					}
				}
			}()
			<-first
			return nil
		})
		close(release)
		<-ended
		require.Equal(t, 1, batches)
		require.ErrorContains(t, err, "after Update returned")
	})

	t.Run("one at a time", func(t *testing.T) {
		s := memory.New(memory.Table{Name: "n", Columns: []string{"n int"}, Rows: []store.Row{{0}}})
		def := lookup(t, s, "n")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					err := s.Update(t.Context(), func(tx store.Tx) error {
						var n int64
						for batch, err := range tx.Rows(t.Context(), store.Query{Table: def}) {
							if err != nil {
								return err
							}
							n = batch[0][0].(int64)
						}
						_, err := tx.Set(t.Context(), def, nil, []store.Cell{{Column: "n", Value: n + 1}})
						return err
					})
					if err != nil {
						t.Error(err)
					}
					for batch := range s.Rows(t.Context(), store.Query{Table: def}) {
						if len(batch) != 1 {
							t.Errorf("%d rows", len(batch))
						}
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, []store.Row{{int64(160)}}, stored(t, s, "n"))
	})
}

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
