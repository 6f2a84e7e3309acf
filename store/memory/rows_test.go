package memory_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

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
