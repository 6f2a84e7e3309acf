package metadata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// A metadata row means a table or none: never two, and never one that somebody
// else could take for another's.
func TestMatch(t *testing.T) {
	for name, c := range map[string]struct {
		tables []store.Table
		rows   []string // LSNs count from 1
		want   map[string]store.LSN
		doubt  map[string]string // tables, and the rows that they may have
	}{
		"as the catalogue spells it":     {catalogue("contact"), []string{"CONTACT "}, map[string]store.LSN{"contact": 1}, nil},
		"with the table's schema":        {catalogue("crm7.contact"), []string{"CRM7.Contact"}, map[string]store.LSN{"contact": 1}, nil},
		"with the source's schema":       {catalogue("dbo.contact"), []string{"crm7.contact"}, map[string]store.LSN{"contact": 1}, nil},
		"in brackets":                    {catalogue("contact"), []string{" [x] . [Contact] "}, map[string]store.LSN{"contact": 1}, nil},
		"in quotes":                      {catalogue("contact"), []string{`"contact"`}, map[string]store.LSN{"contact": 1}, nil},
		"four parts":                     {catalogue("contact"), []string{"srv.db..contact"}, map[string]store.LSN{"contact": 1}, nil},
		"a table that is absent":         {nil, []string{"project"}, map[string]store.LSN{"project": 1}, nil},
		"one that is absent, its schema": {nil, []string{"crm7.project"}, map[string]store.LSN{"project": 1}, nil},
		"a dot in the table's name":      {[]store.Table{{Name: "a.b"}}, []string{"a.b"}, map[string]store.LSN{"a.b": 1}, nil},
		"a name and its twin": {catalogue("contact"), []string{"contact", "crm7.contact"}, map[string]store.LSN{"contact": 1},
			map[string]string{"contact": `"crm7.contact"`}},
		"two schemas": {catalogue("contact"), []string{"crm7.contact", "[other].contact"}, nil,
			map[string]string{"contact": `"crm7.contact", "[other].contact"`}},
		"two tables of one bare name": {catalogue("a.contact", "b.contact"), []string{"c.contact"}, nil,
			map[string]string{"contact": `"c.contact"`}},
		"no name of T-SQL": {catalogue("contact", "person"), []string{"[contact", "a.b.c.d.contact", "person"}, map[string]store.LSN{"person": 3},
			map[string]string{"contact": `"[contact", "a.b.c.d.contact"`}},
		"many": {catalogue("contact"), []string{"a.contact", "b.contact", "c.contact", "d.contact", "e.contact"}, nil,
			map[string]string{"contact": `"a.contact", "b.contact", "c.contact", 2 more`}},
		"no name at all":   {catalogue("contact"), []string{""}, nil, nil},
		"what was kept":    {catalogue("before_hard_reset_Cust1"), []string{"x.before_hard_reset_Cust1"}, map[string]store.LSN{"before_hard_reset_cust1": 1}, nil},
		"words at its end": {catalogue("person"), []string{"crm7-person"}, nil, map[string]string{"person": `"crm7-person"`}},
		"another word":     {catalogue("person"), []string{"salesperson"}, map[string]store.LSN{"salesperson": 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var rows []any
			for i, row := range c.rows {
				rows = append(rows, row, i+1)
			}
			md := read(t, c.tables, rows...)
			for table, lsn := range c.want {
				require.Len(t, md.Of(store.Table{Name: table}), 1, table)
				require.Equal(t, &lsn, md.LSN(store.Table{Name: table}), table)
				row, err := md.Row(store.Table{Name: table})
				require.NoError(t, err)
				require.Equal(t, store.FoldName(table), store.FoldName(row.Means.Name))
				require.Equal(t, !hasTable(c.tables, row.Means), row.IsAbsent())
				meant, ok := md.Meant(row.Name)
				require.True(t, ok)
				require.Equal(t, row.Means, meant)
			}
			bound := 0
			for _, table := range c.tables {
				bound += len(md.Of(table))
				if rows, ok := c.doubt[table.Name]; ok {
					require.Contains(t, md.Doubt(table), "may be what the metadata row named "+rows+" means")
				} else {
					require.Empty(t, md.Doubt(table))
				}
			}
			require.LessOrEqual(t, bound, len(c.want))
			for _, row := range md.Rows {
				if row.Name == "" || row.Means.Name != "" {
					continue
				}
				require.Contains(t, md.Stray(row), "is a metadata row that may mean ")
			}
		})
	}
}

func hasTable(tables []store.Table, t store.Table) bool {
	for _, known := range tables {
		if known.Name == t.Name && known.Columns != nil && !IsKept(t.Name) {
			return true
		}
	}
	return false
}

func TestSeveralRows(t *testing.T) {
	md := read(t, catalogue("contact"), "crm7.contact", 1, "CRM7.Contact", 2)
	contact := store.Table{Name: "contact"}
	require.Len(t, md.Of(contact), 2, "of one spelling they are the table's, all of them")
	require.Nil(t, md.LSN(contact))
	require.Empty(t, md.Doubt(contact))
	_, err := md.Row(contact)
	require.EqualError(t, err, "has 2 rows in the metadata table: HardReset of that table deletes them all")
}

func TestMetadataTableThatIsNotThere(t *testing.T) {
	var md *Table
	contact := store.Table{Name: "contact"}
	require.Empty(t, md.Of(contact))
	require.Nil(t, md.LSN(contact))
	require.Empty(t, md.Doubt(contact))
	require.Empty(t, md.Cells("contact"))
	row, err := md.Row(contact)
	require.NoError(t, err)
	require.Nil(t, row)
}

func TestNameParts(t *testing.T) {
	for name, want := range map[string][]string{
		"contact":                {"contact"},
		" crm7 . contact ":       {"crm7", "contact"},
		"[crm7].[contact]":       {"crm7", "contact"},
		`"a.b".c`:                {"a.b", "c"},
		"[a]]b]":                 {"a]b"},
		`"a""b"`:                 {`a"b`},
		"srv.db..contact":        {"srv", "db", "", "contact"},
		"":                       nil,
		"crm7.":                  nil,
		"[contact":               nil,
		"contact]":               nil,
		"[a]b":                   nil,
		"a.b.c.d.e":              nil,
		strings.Repeat(".", 300): nil,
	} {
		require.Equal(t, want, nameParts(name), "%q", name)
	}
	require.Equal(t, "contact", bareName("[crm7].contact"))
	require.Equal(t, "[contact", bareName("[contact"), "what has no parts is what it is")
}

// What T-SQL would be given for a table is read as that table.
func FuzzNameParts(f *testing.F) {
	for _, s := range []string{"contact", "a]b", `a"b`, "a.b", " ", "]", "[[", "\u200b"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, schema, name string) {
		nameParts(name)
		if name == "" {
			return
		}
		bracketed := "[" + strings.ReplaceAll(schema, "]", "]]") + "].[" + strings.ReplaceAll(name, "]", "]]") + "]"
		require.Equal(t, []string{schema, name}, nameParts(bracketed))
		quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		require.Equal(t, name, bareName(quoted))
	})
}
