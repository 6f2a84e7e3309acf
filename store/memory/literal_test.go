package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestColumnLiterals(t *testing.T) {
	for text, want := range map[string]store.Column{
		"id int":                  {Name: "id", Type: store.MustType("int"), Nullable: true},
		"id int not null":         {Name: "id", Type: store.MustType("int")},
		"  id   INT  NOT  NULL  ": {Name: "id", Type: store.MustType("int")},
		"n decimal(19, 4) null":   {Name: "n", Type: store.MustType("decimal(19,4)"), Nullable: true},
		"n double precision":      {Name: "n", Type: store.MustType("float"), Nullable: true},
		"k int":                   {Name: "k", Type: store.MustType("int")},
		"k int not null":          {Name: "k", Type: store.MustType("int")},
		"[my ]] col] nvarchar(max)": {
			Name: "my ] col", Type: store.MustType("nvarchar(max)"), Nullable: true},
		"x datetime not null default (getdate())": {
			Name: "x", Type: store.MustType("datetime"), Default: "(getdate())"},
		"s nvarchar(9) DEFAULT N'a  not null b'": {
			Name: "s", Type: store.MustType("nvarchar(9)"), Nullable: true, Default: "N'a  not null b'"},
		"s nvarchar(9) default(N'a  b')": {
			Name: "s", Type: store.MustType("nvarchar(9)"), Nullable: true, Default: "(N'a  b')"},
		"s int default null":         {Name: "s", Type: store.MustType("int"), Nullable: true, Default: "null"},
		"default_id int":             {Name: "default_id", Type: store.MustType("int"), Nullable: true},
		"sum int generated":          {Name: "sum", Type: store.MustType("int"), Nullable: true, Generated: true},
		"sum int generated not null": {Name: "sum", Type: store.MustType("int"), Generated: true},
	} {
		t.Run(text, func(t *testing.T) {
			lit := memory.Table{Name: "t", Columns: []string{text}}
			if want.Name == "k" {
				lit.Key = []string{"k"}
			}
			require.Equal(t, []store.Column{want}, lookup(t, memory.New(lit), "t").Columns)
		})
	}
}

func TestWrongLiterals(t *testing.T) {
	cols := func(columns ...string) memory.Table { return memory.Table{Name: "t", Columns: columns} }
	rows := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "t", Columns: []string{"k int", "s nvarchar(3) not null"}, Key: []string{"k"}, Rows: rows}
	}
	for _, c := range []struct {
		name, want string
		table      memory.Table
	}{
		{"unknown type", `seed t: column c: parse type "foo": not a SQL Server type`, cols("c foo")},
		{"no type", "column c: it has no type", cols("c not null")},
		{"no name", "it has no name", cols("")},
		{"open bracket", "a ']' is missing", cols("[c int")},
		{"not without null", `"not" without "null"`, cols("c int not")},
		{"null twice", "there twice", cols("c int null not null")},
		{"word after null", `"unique" is not`, cols("c int null unique")},
		{"default without a value", "the default is missing", cols("c int default")},
		{"null after the default", `write "null" before it`, cols("c int default (0) not null")},
		{"column twice", `column "C"`, cols("c int", "C int")},
		{"no columns", "no columns", cols()},
		{"no table name", "no name", memory.Table{Columns: []string{"c int"}}},
		{"key that is no column", `primary key: table t has no column "x"`, memory.Table{Name: "t", Columns: []string{"c int"}, Key: []string{"x"}}},
		{"key twice", `column "c" is there twice`, memory.Table{Name: "t", Columns: []string{"c int"}, Key: []string{"c", "c"}}},
		{"null in the key", "primary key cannot be null", memory.Table{Name: "t", Columns: []string{"c int null"}, Key: []string{"c"}}},
		{"short row", "row 1: 1 values for 2 columns", rows(store.Row{1, "a"}, store.Row{2})},
		{"value that does not fit", "row 0: column s: value abcd does not fit nvarchar(3)", rows(store.Row{1, "abcd"})},
		{"NULL", "row 0: refused by a constraint: column s: NULL is not allowed", rows(store.Row{1, nil})},
		{"repeated key", "primary key [1]", rows(store.Row{1, "a"}, store.Row{2, "b"}, store.Row{1, "c"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memory.New()
			require.ErrorContains(t, s.Seed(cols("fine int"), c.table), c.want)
			_, _, ok := s.Table("t")
			require.False(t, ok)
			require.Panics(t, func() { memory.New(c.table) })
		})
	}
}

func TestSeed(t *testing.T) {
	first := memory.Table{Name: "t", Columns: []string{"a int"}, Rows: []store.Row{{1}}}

	t.Run("adds and replaces", func(t *testing.T) {
		s := memory.New(first)
		require.NoError(t, s.Seed(
			memory.Table{Name: "T", Columns: []string{"b int"}},
			memory.Table{Name: "u", Columns: []string{"c int"}},
		))
		tables, err := s.Tables(t.Context())
		require.NoError(t, err)
		require.Len(t, tables, 2)
		require.Equal(t, "T", tables[0].Name)
		require.Empty(t, stored(t, s, "t"))
	})

	t.Run("waits for an Update", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			update(t, s, func(store.Tx) error {
				go func() {
					if err := s.Seed(first); err != nil {
						t.Error(err)
					}
				}()
				synctest.Wait()
				return nil
			})
			synctest.Wait()
			require.Len(t, stored(t, s, "t"), 1)
		})
	})

	t.Run("a table twice", func(t *testing.T) {
		require.ErrorContains(t, memory.New().Seed(first, memory.Table{Name: "T", Columns: []string{"b int"}}), "given twice")
	})

	t.Run("the literal can be used again", func(t *testing.T) {
		lit := contact(numbered(3)...)
		s := memory.New(lit)
		lit.Rows[0][1] = "changed"
		lit.Rows[0][2].([]byte)[0] = 99
		lit.Key[0] = "changed"
		require.Equal(t, store.Row{int64(3), "name 3", []byte{3}}, stored(t, s, "contact")[2])
		require.Equal(t, []string{"contact_id"}, lookup(t, s, "contact").Key)
	})

	t.Run("a name in two schemas", func(t *testing.T) {
		s := memory.New(contact(), memory.Table{Schema: "dbo", Name: "contact", Columns: []string{"a int"}})
		_, _, ok := s.Table("contact")
		require.False(t, ok)
		require.Equal(t, "dbo", lookup(t, s, "DBO.Contact").Schema)
	})
}

func TestMetadata(t *testing.T) {
	lit := memory.Metadata("Cust10195", map[string]store.LSN{"person": 7, "Contact": store.ResendAll})
	s := memory.New(lit)

	t.Run("table", func(t *testing.T) {
		def, rows, ok := s.Table("Cust10195_mirroring")
		require.True(t, ok)
		require.Equal(t, []store.Column{
			{Name: "tablename", Type: store.MustType("nvarchar(128)")},
			{Name: "LSN", Type: store.MustType("bigint"), Nullable: true},
			{Name: "schemahash", Type: store.MustType("nvarchar(64)"), Nullable: true},
		}, def.Columns)
		require.Len(t, rows, 2)
		require.Equal(t, store.Row{"Contact", int64(-1)}, rows[0][:2])
		require.Equal(t, store.Row{"person", int64(7)}, rows[1][:2])
		require.NotEqual(t, rows[0][2], rows[1][2])
	})

	t.Run("LSN", func(t *testing.T) {
		lsn, ok := s.LSN("Cust10195", "contact")
		require.True(t, ok)
		require.Equal(t, store.ResendAll, lsn)
		lsn, ok = s.LSN("cust10195", "PERSON")
		require.True(t, ok)
		require.Equal(t, store.LSN(7), lsn)
	})

	t.Run("no LSN", func(t *testing.T) {
		_, ok := s.LSN("Cust10195", "sale")
		require.False(t, ok)
		_, ok = s.LSN("Cust2", "contact")
		require.False(t, ok)
		lit.Rows[0][1] = nil
		_, ok = memory.New(lit).LSN("Cust10195", "contact")
		require.False(t, ok)
		_, ok = memory.New(memory.Table{Name: "Cust10195_mirroring", Columns: []string{"LSN bigint"}}).LSN("Cust10195", "contact")
		require.False(t, ok)
	})
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		typ, expr string
		want      any
	}{
		{"int", "((-5))", int64(-5)},
		{"int", "('')", int64(0)},
		{"int", "((1.9))", int64(1)},
		{"bigint", "9223372036854775807", int64(9223372036854775807)},
		{"bit", "((1))", true},
		{"bit", "((0))", false},
		{"float", "((1.5e+001))", 15.0},
		{"decimal(9,2)", "(12.50)", []byte("12.50")},
		{"nvarchar(9)", "(N'it''s')", "it's"},
		{"nvarchar(9)", "((0))", "0"},
		{"nvarchar(9)", "('')", ""},
		{"nvarchar(9)", "(NULL)", nil},
		{"nvarchar(9)", "(user_name())", nil},
		{"uniqueidentifier", "(newid())", nil},
		{"uniqueidentifier", "'00000000-0000-0000-0000-000000000001'", []byte{15: 1}},
		{"datetime", "('2024-02-29 10:20:30.5')", time.Date(2024, 2, 29, 10, 20, 30, 500e6, time.UTC)},
		{"date", "'20240229'", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		{"time", "'10:20'", time.Date(1, 1, 1, 10, 20, 0, 0, time.UTC)},
	} {
		t.Run(c.typ+" "+c.expr, func(t *testing.T) {
			s := memory.New(memory.Table{Name: "t", Columns: []string{"id int", "c " + c.typ + " default " + c.expr}})
			def := lookup(t, s, "t")
			update(t, s, func(tx store.Tx) error {
				return tx.Insert(t.Context(), def, []string{"id"}, []store.Row{{1}})
			})
			require.Equal(t, []store.Row{{int64(1), c.want}}, stored(t, s, "t"))
		})
	}
	for _, c := range []struct{ typ, expr, want string }{
		{"int", "'abc'", "not a number"},
		{"tinyint", "256", "from 0 to 255"},
		{"nvarchar(2)", "'abc'", "at most 2"},
		{"datetime", "0", "cannot make a value of datetime"},
		{"datetime", "'soon'", "cannot make a value of datetime"},
		{"varbinary(9)", "'abc'", "cannot make a value of varbinary(9)"},
	} {
		t.Run(c.typ+" "+c.expr, func(t *testing.T) {
			s := memory.New(memory.Table{Name: "t", Columns: []string{"id int", "c " + c.typ + " default " + c.expr}})
			def := lookup(t, s, "t")
			err := s.Update(t.Context(), func(tx store.Tx) error {
				return tx.Insert(t.Context(), def, []string{"id"}, []store.Row{{1}})
			})
			require.ErrorContains(t, err, c.want)
		})
	}
}
