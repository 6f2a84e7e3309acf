package match_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/store"
)

// table returns a table whose name may have a schema before a colon. Columns are
// "name type", with " null" for those that may be; key is names, separated by commas.
func table(name, key string, columns ...string) store.Table {
	t := store.Table{Name: name}
	if schema, bare, ok := strings.Cut(name, ":"); ok {
		t.Schema, t.Name = schema, bare
	}
	if key != "" {
		t.Key = strings.Split(key, ",")
	}
	for _, c := range columns {
		c, nullable := strings.CutSuffix(c, " null")
		name, typ, _ := strings.Cut(c, " ")
		t.Columns = append(t.Columns, store.Column{Name: name, Type: store.MustType(typ), Nullable: nullable})
	}
	return t
}

// named returns tables of one column.
func named(names ...string) []store.Table {
	var tables []store.Table
	for _, name := range names {
		tables = append(tables, table(name, "id", "id int"))
	}
	return tables
}

// spell writes a pair as "name source/mirror: why it is not compared".
func spell(p match.Pair) string {
	side := func(t *store.Table) string {
		if t == nil {
			return "-"
		}
		return t.String()
	}
	s := p.Name + " " + side(p.Source) + "/" + side(p.Mirror)
	if p.NotMirrored != "" {
		s += ": " + p.NotMirrored
	}
	if p.Twins != "" {
		s += ": " + p.Twins
	}
	return s
}

func TestTables(t *testing.T) {
	prefixes := []string{"crm7.", "dbo."}
	for name, c := range map[string]struct {
		source, mirror []string
		o              match.Options
		want           []string
		unknown        []string
	}{
		"neither case nor trailing blanks count, and pairs are sorted": {
			source: []string{"sale", "Contact", "appointment"}, mirror: []string{"CONTACT ", "Sale"},
			want: []string{"appointment appointment/-", "Contact Contact/CONTACT ", "sale sale/Sale"},
		},
		"accents count": {
			source: []string{"sale", "café"}, mirror: []string{"sale", "cafe"},
			want: []string{"cafe -/cafe", "café café/-", "sale sale/sale"},
		},
		"prefixes count unless they are named": {
			source: []string{"crm7.contact", "a"}, mirror: []string{"contact", "a"},
			want: []string{"a a/a", "contact -/contact", "crm7.contact crm7.contact/-"},
		},
		"prefixes that are named do not count, in any case": {
			source: []string{"CRM7.contact", "sale"}, mirror: []string{"contact", "dbo.sale"}, o: match.Options{SchemaPrefixes: prefixes},
			want: []string{"contact CRM7.contact/contact", "sale sale/dbo.sale"},
		},
		"a schema is no part of the name": {
			source: []string{"crm7:contact"}, mirror: []string{"dbo:contact"},
			want: []string{"contact crm7.contact/dbo.contact"},
		},
		"twins at the source": {
			source: []string{"crm7:contact", "dbo:Contact", "x:contact", "sale"}, mirror: []string{"contact", "sale"},
			want: []string{"contact crm7.contact/contact: the source has two tables of one name, crm7.contact and dbo.Contact: give the store one schema, or narrow SchemaPrefixes", "sale sale/sale"},
		},
		"twins in the mirror, by their prefixes": {
			source: []string{"contact"}, mirror: []string{"crm7.contact", "dbo.contact"}, o: match.Options{SchemaPrefixes: prefixes},
			want: []string{"contact contact/crm7.contact: the mirror has two tables of one name, crm7.contact and dbo.contact: give the store one schema, or narrow SchemaPrefixes"},
		},
		"tables of the mirroring itself are none of data": {
			source: []string{"contact"}, mirror: []string{"contact", "dbo.Cust1_mirroring"},
			o:    match.Options{SchemaPrefixes: prefixes, NotData: func(name string) bool { return name == "Cust1_mirroring" }},
			want: []string{"contact contact/contact"},
		},
		"what is never mirrored is not compared, wherever it is": {
			source: []string{"contact", "Credentials", "login"}, mirror: []string{"contact", "credentials"},
			want: []string{"contact contact/contact", "Credentials Credentials/credentials: never mirrored: credentials", "login login/-: never mirrored: sensitive session info"},
		},
		"what is never mirrored is compared if it was asked for and the mirror has it": {
			source: []string{"credentials", "login"}, mirror: []string{"credentials"}, o: match.Options{Tables: []string{"login", "CREDENTIALS"}},
			want: []string{"credentials credentials/credentials", "login login/-: never mirrored: sensitive session info"},
		},
		"binary objects are in a mirror": {
			source: []string{"binaryobject"}, mirror: []string{"binaryobject"},
			want: []string{"binaryobject binaryobject/binaryobject"},
		},
		"and not in a replica": {
			source: []string{"BinaryObject", "contact"}, mirror: []string{"contact"}, o: match.Options{Replica: true},
			want: []string{"BinaryObject BinaryObject/-: not copied by the newer client: large binary content", "contact contact/contact"},
		},
		"they are compared with a replica if they are asked for": {
			source: []string{"binaryobject"}, mirror: []string{"binaryobject"}, o: match.Options{Replica: true, Tables: []string{"binaryobject"}},
			want: []string{"binaryobject binaryobject/binaryobject"},
		},
		"skipped, whatever else there is to say": {
			source: []string{"crm7.contact", "login", "sale"}, mirror: []string{"contact", "sale"},
			o:    match.Options{SchemaPrefixes: prefixes, SkipTables: []string{"CONTACT", "dbo.login"}},
			want: []string{"contact crm7.contact/contact: skipped by request", "login login/-: skipped by request", "sale sale/sale"},
		},
		"skipped although it was asked for": {
			source: []string{"contact", "login"}, mirror: []string{"contact"}, o: match.Options{Tables: []string{"login", "contact"}, SkipTables: []string{"contact", "login"}},
			want: []string{"contact contact/contact: skipped by request", "login login/-: skipped by request"},
		},
		"asked for in several spellings": {
			source: []string{"crm7.sale", "contact", "person"}, mirror: []string{"sale", "contact"}, o: match.Options{SchemaPrefixes: prefixes, Tables: []string{"SALE", "dbo.sale", "person"}},
			want: []string{"person person/-", "sale crm7.sale/sale"},
		},
		"asked for by the schema of either side": {
			source: []string{"crm7:sale", "crm7:person"}, mirror: []string{"dbo:sale", "dbo:person"}, o: match.Options{Tables: []string{"CRM7.sale", "dbo.person", "crm7.person"}},
			want: []string{"person crm7.person/dbo.person", "sale crm7.sale/dbo.sale"},
		},
		"asked for by the schema of both sides": {
			source: []string{"dbo:sale", "dbo:person"}, mirror: []string{"dbo:sale"}, o: match.Options{Tables: []string{"dbo.sale"}},
			want: []string{"sale dbo.sale/dbo.sale"},
		},
		"asked for by a name of two tables": {
			source: []string{"a:b.c"}, mirror: []string{"a.b:c"}, o: match.Options{Tables: []string{"a.b.c"}},
			unknown: []string{"a.b.c"},
		},
		"asked for what neither side has": {
			source: []string{"contact", "sale"}, mirror: []string{"contact", "sale"}, o: match.Options{Tables: []string{"Sales", "contact", "pe\x00rson"}},
			want: []string{"contact contact/contact"}, unknown: []string{"Sales", "pe\x00rson"},
		},
		"asked for nothing": {
			source: []string{"contact"}, mirror: []string{"contact"}, o: match.Options{Tables: []string{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, mirror := named(c.source...), named(c.mirror...)
			r := match.Tables(source, mirror, c.o)
			var got []string
			for _, p := range r.Pairs {
				got = append(got, spell(p))
				require.Equal(t, p.Source != nil && p.Mirror != nil, p.Plan != nil, "%s has a plan", p.Name)
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.unknown, r.Unknown)
			require.Empty(t, r.Unused)
			require.Equal(t, named(c.source...), source, "the catalogues stay as they are")
			require.Equal(t, named(c.mirror...), mirror)
		})
	}
}

func TestNames(t *testing.T) {
	r := match.Tables(named("crm7.contact", "sale"), named("Contact", "person"), match.Options{SchemaPrefixes: []string{"crm7."}, Tables: []string{"sale"}})
	require.Len(t, r.Pairs, 1)
	require.ElementsMatch(t, []string{"contact", "sale", "person"}, r.Names, "of all tables, not only those asked for")
}

func TestApart(t *testing.T) {
	for name, c := range map[string]struct {
		source, mirror []string
		o              match.Options
		apart          bool
		prefix         string
	}{
		"one in common":                  {source: []string{"a", "x.b"}, mirror: []string{"A", "b"}},
		"none in common":                 {source: []string{"a"}, mirror: []string{"b"}, apart: true},
		"a prefix at the source":         {source: []string{"crm7.a", "crm7.b"}, mirror: []string{"a"}, apart: true, prefix: "crm7."},
		"a prefix in the mirror":         {source: []string{"a"}, mirror: []string{"dbo.A"}, apart: true, prefix: "dbo."},
		"prefixes on both sides":         {source: []string{"z.a"}, mirror: []string{"b.a"}, apart: true, prefix: "b."},
		"a prefix of two parts":          {source: []string{"db.dbo.a"}, mirror: []string{"a"}, apart: true, prefix: "db.dbo."},
		"prefixes of one side":           {source: []string{"crm7.a", "b.a"}, mirror: []string{"c"}, apart: true},
		"a dot at the end is no prefix":  {source: []string{"a."}, mirror: []string{"b"}, apart: true},
		"the prefix is named":            {source: []string{"crm7.a"}, mirror: []string{"a"}, o: match.Options{SchemaPrefixes: []string{"crm7."}}},
		"in common, but not asked for":   {source: []string{"a", "b"}, mirror: []string{"a"}, o: match.Options{Tables: []string{"b"}}},
		"a mirror without a table":       {source: []string{"x.a"}, apart: true},
		"in common is only what is data": {source: []string{"state", "a"}, mirror: []string{"state", "b"}, o: match.Options{NotData: func(name string) bool { return name == "state" }}, apart: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := match.Tables(named(c.source...), named(c.mirror...), c.o)
			require.Equal(t, c.apart, r.Apart)
			require.Equal(t, c.prefix, r.Prefix)
		})
	}
}

func TestUnused(t *testing.T) {
	source := []store.Table{table("crm7.contact", "id", "id int", "Name int", "only_source int")}
	mirror := []store.Table{table("contact", "id", "id int", "name int", "only_mirror int"), table("extra", "id", "id int")}
	long := strings.Repeat("x", 300)
	r := match.Tables(source, mirror, match.Options{
		SchemaPrefixes: []string{"crm7."},
		SkipTables:     []string{"Extra", "sale", "crm7.contact", long},
		IgnoreColumns: []string{
			"NAME", "only_mirror", "contact.only_source", "CRM7.Contact.only_mirror", // they fit
			"nmae", "extra.name", "sale.id", "dbo.contact.name", long,
		},
	})
	require.Equal(t, []string{
		`SkipTables: neither side has a table "sale"`,
		`SkipTables: neither side has a table "` + long[:128] + `..."`,
		`IgnoreColumns: neither side has a column "nmae"`,
		`IgnoreColumns: neither side has a column "extra.name"`,
		`IgnoreColumns: neither side has a column "sale.id"`,
		`IgnoreColumns: neither side has a column "dbo.contact.name"`,
		`IgnoreColumns: neither side has a column "` + long[:256] + `..."`,
	}, r.Unused)
	require.Equal(t, r.Unused, match.Tables(source, mirror, match.Options{
		Tables: []string{"contact"}, SchemaPrefixes: []string{"crm7."}, SkipTables: []string{"extra", "sale", long}, IgnoreColumns: []string{"nmae", "extra.name", "sale.id", "dbo.contact.name", long},
	}).Unused, "of tables that were not asked for, too")
}

// column edits the columns of one name.
func column(name string, edit func(*store.Column)) func(*store.Table) {
	return func(t *store.Table) {
		i := slices.IndexFunc(t.Columns, func(c store.Column) bool { return c.Name == name })
		edit(&t.Columns[i])
	}
}
