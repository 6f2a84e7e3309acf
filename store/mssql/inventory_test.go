package mssql

import (
	"testing"

	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// These rows are as SQL Server's documentation has them: Babelfish keeps no
// dependencies and no permissions, and has no synonyms and no triggers of a database.

func TestObjectRows(t *testing.T) {
	p := func(s string) *string { return &s }
	person := store.ObjectName{Schema: "dbo", Name: "person"}
	for name, c := range map[string]struct {
		row    objectRow
		uses   []useRow
		events []string
		want   store.Object
	}{
		"view": {
			row:  objectRow{Type: "V ", Schema: p("report"), Name: "Adults"},
			uses: []useRow{{Schema: p("dbo"), Name: "person", Found: true}, {Name: "gone"}},
			want: store.Object{Kind: store.ObjectView, Schema: "report", Name: "Adults", Uses: []store.ObjectName{person, {Name: "gone"}}},
		},
		"procedure that updates an alias": {
			row:  objectRow{Type: "P", Schema: p("dbo"), Name: "fix"},
			uses: []useRow{{Schema: p("dbo"), Name: "person", Found: true}, {Name: "p"}},
			want: store.Object{Kind: store.ObjectProcedure, Schema: "dbo", Name: "fix", Uses: []store.ObjectName{person}},
		},
		"function": {
			row:  objectRow{Type: "IF", Schema: p("dbo"), Name: "of_age"},
			want: store.Object{Kind: store.ObjectProcedure, Schema: "dbo", Name: "of_age"},
		},
		"trigger": {
			row:    objectRow{Type: "TR", Schema: p("dbo"), Name: "log_it", ParentSchema: p("dbo"), Parent: p("person")},
			events: []string{"update", "insert"},
			want:   store.Object{Kind: store.ObjectTrigger, Schema: "dbo", Name: "log_it", On: person, Detail: "after insert, update"},
		},
		"disabled trigger in place of what it is on": {
			row:    objectRow{Type: "TR", Schema: p("dbo"), Name: "log_it", ParentSchema: p("dbo"), Parent: p("person"), InsteadOf: true, Disabled: true},
			events: []string{"delete"},
			want:   store.Object{Kind: store.ObjectTrigger, Schema: "dbo", Name: "log_it", On: person, Detail: "instead of delete disabled"},
		},
		"trigger of the database": {
			row:    objectRow{Type: "TR", Name: "no_drop"},
			events: []string{"ddl_table_events"},
			want:   store.Object{Kind: store.ObjectTrigger, Name: "no_drop", Detail: "after ddl_table_events"},
		},
		"synonym": {
			row:  objectRow{Type: "SN", Schema: p("crm7"), Name: "person", Target: p("[dbo].[person]"), Database: "Mirror"},
			want: store.Object{Kind: store.ObjectSynonym, Schema: "crm7", Name: "person", Uses: []store.ObjectName{person}},
		},
		"synonym for another database": {
			row:  objectRow{Type: "SN", Schema: p("crm7"), Name: "person", Target: p("[Old].[dbo].[person]"), Database: "Mirror"},
			want: store.Object{Kind: store.ObjectSynonym, Schema: "crm7", Name: "person", Detail: "[Old].[dbo].[person]"},
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.row.object(c.uses, c.events)) })
	}
}

func TestIndexRows(t *testing.T) {
	filter := "([retired]=(0))"
	list := inventory{indexes: []indexRow{
		{Schema: "dbo", Table: "person", Name: "IX_1", Type: nonclustered, Unique: true, Filter: &filter, Column: "updated", Ordinal: 1, Descending: true},
		{Schema: "dbo", Table: "person", Name: "IX_1", Type: nonclustered, Unique: true, Filter: &filter, Column: "name", Ordinal: 2},
		{Schema: "dbo", Table: "person", Name: "IX_1", Type: nonclustered, Unique: true, Filter: &filter, Column: "year"},
		{Schema: "dbo", Table: "person", Name: "IX_1", Type: nonclustered, Unique: true, Filter: &filter, Column: "title", Included: true},
		{Schema: "dbo", Table: "person", Name: "IX_1", Type: nonclustered, Unique: true, Filter: &filter, Column: "mail", Included: true},
		{Schema: "dbo", Table: "sale", Name: "IX_1", Type: clustered, Column: "amount", Ordinal: 1, Disabled: true},
		{Schema: "crm7", Table: "sale", Name: "IX_1", Type: 6, TypeDesc: "NONCLUSTERED COLUMNSTORE", Column: "amount", Included: true},
		{Schema: "crm7", Table: "sale", Name: "IX_1", Type: 6, TypeDesc: "NONCLUSTERED COLUMNSTORE", Column: "year", Included: true},
	}}.list()
	require.Equal(t, []store.Object{
		{Kind: store.ObjectIndex, Name: "IX_1", On: store.ObjectName{Schema: "dbo", Name: "person"},
			Detail: "unique (updated desc, name) include (mail, title) where ([retired]=(0))"},
		{Kind: store.ObjectIndex, Name: "IX_1", On: store.ObjectName{Schema: "dbo", Name: "sale"}, Detail: "(amount) disabled"},
		{Kind: store.ObjectIndex, Name: "IX_1", On: store.ObjectName{Schema: "crm7", Name: "sale"}, Detail: "nonclustered columnstore (amount, year)"},
	}, list)
}

func TestGrantRows(t *testing.T) {
	p := func(s string) *string { return &s }
	person := store.ObjectName{Schema: "dbo", Name: "person"}
	for name, c := range map[string]struct {
		row    grantRow
		on     store.ObjectName
		detail string
	}{
		"on a table":                   {grantRow{State: "GRANT", Permission: "SELECT", Schema: p("dbo"), Name: p("person")}, person, "grant select"},
		"on a column":                  {grantRow{State: "DENY", Permission: "SELECT", Schema: p("dbo"), Name: p("person"), Column: p("Mail")}, person, "deny select (Mail)"},
		"that the grantee may pass on": {grantRow{State: "GRANT_WITH_GRANT_OPTION", Permission: "UPDATE", Schema: p("dbo"), Name: p("person"), Column: p("Mail")}, person, "grant update (Mail) with grant option"},
		"on a schema":                  {grantRow{State: "GRANT", Permission: "VIEW DEFINITION", Schema: p("crm7")}, store.ObjectName{Schema: "crm7"}, "grant view definition"},
		"on the database":              {grantRow{State: "GRANT", Permission: "CONNECT"}, store.ObjectName{}, "grant connect"},
		"by a role":                    {grantRow{State: memberOf, Permission: "db_datareader"}, store.ObjectName{}, "member of db_datareader"},
	} {
		t.Run(name, func(t *testing.T) {
			c.row.Grantee = "reader"
			require.Equal(t, store.Object{Kind: store.ObjectGrant, Name: "reader", On: c.on, Detail: c.detail}, c.row.object())
		})
	}
}

func TestSynonymTargets(t *testing.T) {
	for target, want := range map[string]store.ObjectName{
		"[dbo].[person]":              {Schema: "dbo", Name: "person"},
		"person":                      {Name: "person"},
		`dbo."per.son"`:               {Schema: "dbo", Name: "per.son"},
		"[a]]b].[c.d]":                {Schema: "a]b", Name: "c.d"},
		"[mirror].[dbo].[person]":     {Schema: "dbo", Name: "person"},
		"Mirror..person":              {Name: "person"},
		"[Other].[dbo].[person]":      {},
		"[srv].[Mirror].[dbo].[pers]": {},
		"":                            {},
		"[unfinished":                 {Name: "unfinished"},
	} {
		name, ok := nameIn("Mirror", target)
		require.Equal(t, want, name, target)
		require.Equal(t, want != store.ObjectName{}, ok, target)
	}
}

// TestUsesWithoutPermission: only db_owner may read the dependencies by name unless
// somebody granted it; those by number are for everybody.
func TestUsesWithoutPermission(t *testing.T) {
	denied := mssqldb.Error{Number: 229, Message: "The SELECT permission was denied on the object 'sql_expression_dependencies'"}
	for name, c := range map[string]struct {
		facts   catalogueFacts
		refused error
		want    []string
		err     error
	}{
		"allowed":                        {allFacts, nil, []string{objectsQuery, eventsQuery, usesQuery, indexesQuery, grantsQuery}, nil},
		"denied":                         {allFacts, denied, []string{objectsQuery, eventsQuery, usesQuery, oldUsesQuery, indexesQuery, grantsQuery}, nil},
		"denied, and no other catalogue": {catalogueFacts{}, denied, []string{objectsQuery, eventsQuery, usesQuery}, denied},
		"another error":                  {allFacts, mssqldb.Error{Number: 1205}, []string{objectsQuery, eventsQuery, usesQuery}, mssqldb.Error{Number: 1205}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &server{}
			srv.facts.Store(&facts{catalogueFacts: c.facts})
			var asked []string
			_, err := srv.inventory(func(_ any, query string, _ ...any) error {
				asked = append(asked, query)
				if query == usesQuery {
					return c.refused
				}
				return nil
			})
			require.Equal(t, c.err, err)
			require.Equal(t, c.want, asked)
		})
	}
}
