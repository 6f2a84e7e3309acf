package metadata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

const customer = "Cust10195"

var names = Names{ContextID: customer}.WithDefaults()

// catalogue returns tables of these names, each with a column. "a.b" is b in schema a.
func catalogue(tables ...string) []store.Table {
	var all []store.Table
	for _, name := range tables {
		schema, bare, found := strings.Cut(name, ".")
		if !found {
			schema, bare = "", name
		}
		all = append(all, store.Table{Schema: schema, Name: bare, Columns: []store.Column{{Name: "id", Type: store.MustType("int")}}})
	}
	return all
}

// table returns a metadata table whose columns have these types.
func table(name, lsn string) memory.Table {
	return memory.Table{Name: names.Table, Columns: []string{"tablename " + name, "LSN " + lsn, "schemahash nvarchar(64) null"}}
}

// read reads a metadata table of these rows: a name and an LSN in turn.
func read(t *testing.T, tables []store.Table, rows ...any) *Table {
	t.Helper()
	def := table("nvarchar(128) null", "bigint null")
	for i := 0; i < len(rows); i += 2 {
		def.Rows = append(def.Rows, store.Row{rows[i], rows[i+1], "hash"})
	}
	return readFrom(t, memory.New(def), tables)
}

func readFrom(t *testing.T, src store.Source, tables []store.Table) *Table {
	t.Helper()
	md, err := names.Read(t.Context(), src, define(t, src), tables)
	require.NoError(t, err)
	return md
}

func define(t *testing.T, src store.Source) store.Table {
	t.Helper()
	all, err := src.Tables(t.Context())
	require.NoError(t, err)
	def, ok := names.Find(all)
	require.True(t, ok)
	return def
}

func TestNames(t *testing.T) {
	require.Equal(t, Names{ContextID: customer, Table: "Cust10195_mirroring", TableColumn: "tablename", LSNColumn: "LSN"}, names)
	own := Names{ContextID: customer, Table: "m", TableColumn: "t", LSNColumn: "l"}
	require.Equal(t, own, own.WithDefaults())
	require.True(t, names.IsTable("CUST10195_Mirroring "))
	require.False(t, names.IsTable("dbo.Cust10195_mirroring"))

	_, ok := names.Find(catalogue("contact", "Cust1_mirroring"))
	require.False(t, ok)
	found, ok := names.Find(catalogue("contact", "dbo.cust10195_MIRRORING"))
	require.True(t, ok)
	require.Equal(t, "dbo.cust10195_MIRRORING", found.String(), "as the catalogue spells it")
}

func TestKeptName(t *testing.T) {
	kept := names.Kept()
	require.Equal(t, "before_hard_reset_Cust10195", kept)
	require.True(t, IsKept(strings.ToUpper(kept)))
	require.False(t, strings.HasSuffix(kept, superoffice.MetadataSuffix), "nobody takes it for a metadata table")
	_, ok := names.FindKept(catalogue("contact", "before_hard_reset_Cust1"))
	require.False(t, ok, "that of another customer")
	_, ok = names.FindKept(catalogue("contact", strings.ToLower(kept)))
	require.True(t, ok)

	long := Names{ContextID: "C" + strings.Repeat("u", 116)}
	other := Names{ContextID: long.ContextID + "s"}
	require.Len(t, long.Kept(), text.MaxName)
	require.True(t, IsKept(long.Kept()))
	require.NotEqual(t, long.Kept(), other.Kept())
	require.Equal(t, store.FoldName(long.Kept()), store.FoldName(Names{ContextID: strings.ToUpper(long.ContextID)}.Kept()), "case is no difference")
}

func TestDefine(t *testing.T) {
	for name, c := range map[string]struct {
		columns []string
		wrong   string // of the error, "" for none
	}{
		"usual":                   {[]string{"tablename nvarchar(128)", "LSN bigint"}, ""},
		"another case":            {[]string{"TableName nvarchar(128)", "lsn bigint"}, ""},
		"names as bytes":          {[]string{"tablename varbinary(128)", "LSN bigint"}, ""},
		"LSN as numeric":          {[]string{"tablename nvarchar(128)", "LSN numeric(18,0)"}, ""},
		"no name":                 {[]string{"name nvarchar(128)", "LSN bigint"}, `no column "tablename" among name, LSN`},
		"no LSN":                  {[]string{"tablename nvarchar(128)", "version bigint"}, `no column "LSN" among tablename, version`},
		"name is a number":        {[]string{"tablename int", "LSN bigint"}, `column "tablename" is int, not text`},
		"LSN is text":             {[]string{"tablename nvarchar(128)", "LSN nvarchar(20)"}, `column "LSN" is nvarchar(20), not an integer`},
		"LSN with a fraction":     {[]string{"tablename nvarchar(128)", "LSN decimal(18,2)"}, `column "LSN" is decimal(18,2), not an integer`},
		"LSN in floating point":   {[]string{"tablename nvarchar(128)", "LSN float"}, `column "LSN" is float, not an integer`},
		"LSN is a type not known": {[]string{"tablename nvarchar(128)", "LSN geometry"}, `column "LSN" is geometry, not an integer`},
	} {
		t.Run(name, func(t *testing.T) {
			src := memory.New(memory.Table{Name: names.Table, Columns: c.columns})
			d, err := names.Define(define(t, src))
			if c.wrong != "" {
				require.ErrorIs(t, err, ErrUnexpected)
				require.ErrorContains(t, err, `unexpected metadata table "Cust10195_mirroring": `+c.wrong)
				_, err = names.Read(t.Context(), src, define(t, src), nil)
				require.ErrorIs(t, err, ErrUnexpected)
				return
			}
			require.NoError(t, err)
			require.Equal(t, d.Columns[0], d.TableColumn)
			require.Equal(t, d.Columns[1], d.LSNColumn)
		})
	}
}

func TestContents(t *testing.T) {
	foreign := store.Table{Name: "Cust7_mirroring ", Columns: []store.Column{{Name: "TABLENAME"}, {Name: "lsn"}}}
	noColumns := store.Table{Name: "own_mirroring", Columns: []store.Column{{Name: "id"}}}
	for name, c := range map[string]struct {
		tables  []store.Table
		want    Contents
		mistake string
	}{
		"nothing":                       {nil, Contents{}, ""},
		"a mirror":                      {catalogue("contact", "cust10195_mirroring", "login"), Contents{Never: []string{"login"}, Tables: 2}, ""},
		"before the first cycle":        {catalogue("contact", "person"), Contents{Tables: 2}, ""},
		"another customer's":            {append(catalogue("contact"), foreign), Contents{Others: []string{"Cust7_mirroring "}, ContextIDs: []string{"Cust7"}, Tables: 1}, "is the context identifier right?"},
		"a table that only sounds like": {append(catalogue("contact"), noColumns), Contents{Tables: 2}, ""},
		"the customer's own":            {catalogue("contact", "login"), Contents{Never: []string{"login"}, Tables: 2}, "such as login: is it the customer's own database?"},
		"after a hard reset":            {catalogue("contact", "login", "before_hard_reset_Cust10195"), Contents{Kept: "before_hard_reset_Cust10195", Never: []string{"login"}, Tables: 2}, ""},
		"a replica":                     {catalogue("CONTACT", "LOGIN", "_REPLICATIONSTATE"), Contents{Replica: true, Never: []string{"LOGIN"}, Tables: 2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := names.Contents(c.tables, nil)
			require.Equal(t, name == "a mirror", got.Own != nil)
			got.Own = nil
			require.Equal(t, c.want, got)
			got = names.Contents(c.tables, nil)
			if c.mistake == "" {
				require.Empty(t, names.Mistakes(got))
				return
			}
			require.Len(t, names.Mistakes(got), 1)
			require.Contains(t, names.Mistakes(got)[0], c.mistake)
		})
	}
	t.Run("with a prefix", func(t *testing.T) {
		tables := []store.Table{{Name: "x_Cust10195_mirroring"}, {Name: "x_login"}}
		trimmed := names.Contents(tables, func(name string) string { return strings.TrimPrefix(name, "x_") })
		require.Equal(t, "x_Cust10195_mirroring", trimmed.Own.Name, "the table itself keeps its name")
		require.Equal(t, []string{"x_login"}, trimmed.Never)
		require.Nil(t, names.Contents(tables, nil).Own)
	})
}
