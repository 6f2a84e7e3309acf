package match_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/store"
)

func computed(name string) func(*store.Table) {
	return column(name, func(c *store.Column) { c.Generated = true })
}

func omitted(name, reason string) func(*store.Table) {
	return column(name, func(c *store.Column) { c.Omit = reason })
}

func hidden(reason string) func(*store.Table) {
	return func(t *store.Table) { t.Omit = reason }
}

func names(columns []store.Column) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.Name)
	}
	return out
}

// want is a plan in short: columns are those of the source.
type want struct {
	columns, mirrored []string // mirrored is nil where the mirror spells them alike
	key               int
	keyless, ranged   bool
	incomparable      string
	schema            []match.Difference
	notCompared       []match.Omission
	warnings          []string
}

func TestPlan(t *testing.T) {
	ignored := func(column string) match.Omission {
		return match.Omission{Column: column, Reason: "ignored by request", Requested: true}
	}
	contact := table("contact", "id", "id int", "name nvarchar(20)")
	for name, c := range map[string]struct {
		source, mirror         store.Table
		editSource, editMirror func(*store.Table)
		o                      match.Options
		want                   want
	}{
		"alike": {
			source: contact, mirror: contact,
			want: want{columns: []string{"id", "name"}, key: 1, ranged: true},
		},
		"columns are found by name, the key comes first and in its order": {
			source: table("contact", "b,a", "a int", "name nvarchar(20)", "b int", "x int"),
			mirror: table("contact", "B,A", "X int", "B int", "NAME nvarchar(20)", "A int"),
			want:   want{columns: []string{"b", "a", "name", "x"}, mirrored: []string{"B", "A", "NAME", "X"}, key: 2, ranged: true},
		},
		"a column of exactly that name comes before one that folds alike": {
			source: table("contact", "id", "id int", "Name int", "name int"),
			mirror: table("contact", "id", "id int", "name int", "NAME int"),
			want: want{
				columns: []string{"id", "name"}, key: 1, ranged: true,
				schema:      []match.Difference{{Column: "Name", What: "missing column", Source: "int not null"}, {Column: "NAME", What: "extra column", Mirror: "int not null"}},
				notCompared: []match.Omission{{Column: "Name", Reason: "not in the mirror"}, {Column: "NAME", Reason: "not at the source"}},
			},
		},
		"also when the other one stands before it": {
			source: table("contact", "id", "id int", "Name int", "name int"), mirror: table("contact", "id", "id int", "name int"),
			want: want{
				columns: []string{"id", "name"}, key: 1, ranged: true,
				schema:      []match.Difference{{Column: "Name", What: "missing column", Source: "int not null"}},
				notCompared: []match.Omission{{Column: "Name", Reason: "not in the mirror"}},
			},
		},
		"a column of the mirror is used once": {
			source: table("contact", "id", "id int", "Name int", "NAME int"),
			mirror: table("contact", "id", "id int", "name int"),
			want: want{
				columns: []string{"id", "Name"}, mirrored: []string{"id", "name"}, key: 1, ranged: true,
				schema:      []match.Difference{{Column: "NAME", What: "missing column", Source: "int not null"}},
				notCompared: []match.Omission{{Column: "NAME", Reason: "not in the mirror"}},
			},
		},
		"columns that one side lacks": {
			source: table("contact", "id", "id int", "old nvarchar(20) null"), mirror: table("contact", "id", "id int", "new datetime"),
			want: want{
				columns: []string{"id"}, key: 1, ranged: true,
				schema:      []match.Difference{{Column: "old", What: "missing column", Source: "nvarchar(20) null"}, {Column: "new", What: "extra column", Mirror: "datetime not null"}},
				notCompared: []match.Omission{{Column: "old", Reason: "not in the mirror"}, {Column: "new", Reason: "not at the source"}},
			},
		},
		"ignored columns are no differences, wherever they are": {
			source: table("crm7.contact", "id", "id int", "a int", "b int", "c int"), mirror: table("contact", "id", "id int", "a nvarchar(20)", "b int", "d int"),
			o: match.Options{SchemaPrefixes: []string{"crm7."}, IgnoreColumns: []string{"A", "Contact.c", "crm7.contact.D", "sale.b"}},
			want: want{
				columns: []string{"id", "b"}, key: 1, ranged: true,
				notCompared: []match.Omission{ignored("a"), ignored("c"), ignored("d")},
			},
		},
		"computed columns and rowversions": {
			source: table("contact", "id", "id int", "a int", "b int", "v rowversion"), mirror: table("contact", "id", "id int", "a int", "b int", "v binary(8)"),
			editSource: computed("a"), editMirror: computed("b"),
			want: want{
				columns: []string{"id"}, key: 1, ranged: true,
				notCompared: []match.Omission{
					{Column: "a", Reason: "computed at the source"}, {Column: "b", Reason: "computed in the mirror"}, {Column: "v", Reason: "rowversion differs in every database"},
				},
			},
		},
		"columns that a side cannot show": {
			source: table("contact", "id", "id int", "a int", "b int"), mirror: table("contact", "id", "id int", "a int", "b int"),
			editSource: omitted("a", "masked"), editMirror: omitted("b", "encrypted"),
			want: want{
				columns: []string{"id"}, key: 1, ranged: true,
				notCompared: []match.Omission{{Column: "a", Reason: "masked, at the source"}, {Column: "b", Reason: "encrypted, in the mirror"}},
			},
		},
		"a column that only the mirror has and cannot show is no difference": {
			source: contact, mirror: table("contact", "id", "id int", "name nvarchar(20)", "g int"), editMirror: omitted("g", "hidden"),
			want: want{columns: []string{"id", "name"}, key: 1, ranged: true, notCompared: []match.Omission{{Column: "g", Reason: "hidden, in the mirror"}}},
		},
		"types and nullability of one kind are differences, and compared": {
			source: table("contact", "id", "id int", "name nvarchar(20)"), mirror: table("contact", "id", "id bigint", "name varchar(20) null"),
			want: want{
				columns: []string{"id", "name"}, key: 1,
				schema: []match.Difference{
					{Column: "id", What: "type", Source: "int", Mirror: "bigint"},
					{Column: "name", What: "type", Source: "nvarchar(20)", Mirror: "varchar(20)"}, {Column: "name", What: "nullability", Source: "not null", Mirror: "null"},
				},
			},
		},
		"and no differences with loose types": {
			source: table("contact", "id", "id int", "name nvarchar(20)"), mirror: table("contact", "id", "id bigint", "name varchar(20) null"),
			o:    match.Options{LooseTypes: true},
			want: want{columns: []string{"id", "name"}, key: 1},
		},
		"types of two kinds are not compared, loose or not": {
			source: contact, mirror: table("contact", "id", "id int", "name float"), o: match.Options{LooseTypes: true},
			want: want{
				columns: []string{"id"}, key: 1, ranged: true,
				schema:      []match.Difference{{Column: "name", What: "type", Source: "nvarchar(20)", Mirror: "float"}},
				notCompared: []match.Omission{{Column: "name", Reason: "nvarchar(20) cannot be compared with float"}},
			},
		},
		"a type that cannot be compared": {
			source: table("contact", "id", "id int", "place geography"), mirror: table("contact", "id", "id int", "place geography"),
			want: want{columns: []string{"id"}, key: 1, ranged: true, notCompared: []match.Omission{{Column: "place", Reason: "type geography cannot be compared"}}},
		},
		"times of two precisions": {
			source: table("contact", "id", "id int", "at datetime"), mirror: table("contact", "id", "id int", "at datetime2(7)"), o: match.Options{LooseTypes: true},
			want: want{
				columns: []string{"id", "at"}, key: 1, ranged: true,
				warnings: []string{"column at is datetime at the source and datetime2(7) in the mirror: it is compared in steps of 1/300 s, and a smaller difference is not seen"},
			},
		},
		"the key differs": {
			source: contact, mirror: table("contact", "name,id", "id int", "name nvarchar(20)"),
			want: want{columns: []string{"id", "name"}, key: 1, ranged: true, schema: []match.Difference{{What: "primary key", Source: "id", Mirror: "name, id"}}},
		},
		"only the mirror has a key": {
			source: table("contact", "", "id int", "name nvarchar(20)"), mirror: contact,
			want: want{columns: []string{"id", "name"}, key: 2, keyless: true, schema: []match.Difference{{What: "primary key", Mirror: "id"}}},
		},
		"a key that may be null at the source has no ranges": {
			source: table("contact", "id", "id int null", "name nvarchar(20)"), mirror: contact, o: match.Options{LooseTypes: true},
			want: want{columns: []string{"id", "name"}, key: 1},
		},
		"a key that may be null in the mirror has none": {
			source: table("contact", "id", "id int", "name nvarchar(20)"), mirror: table("contact", "id", "id int null", "name nvarchar(20)"), o: match.Options{LooseTypes: true},
			want: want{columns: []string{"id", "name"}, key: 1},
		},
		"keyless": {
			source: table("log", "", "a int", "b int", "c int"), mirror: table("log", "", "c int", "a int"),
			want: want{
				columns: []string{"a", "c"}, key: 2, keyless: true,
				schema:      []match.Difference{{Column: "b", What: "missing column", Source: "int not null"}},
				notCompared: []match.Omission{{Column: "b", Reason: "not in the mirror"}},
			},
		},
		"keyless without a column in common": {
			source: table("log", "", "a int"), mirror: table("log", "", "b int"),
			want: want{
				keyless: true, incomparable: "the two sides have no comparable column in common",
				schema:      []match.Difference{{Column: "a", What: "missing column", Source: "int not null"}, {Column: "b", What: "extra column", Mirror: "int not null"}},
				notCompared: []match.Omission{{Column: "a", Reason: "not in the mirror"}, {Column: "b", Reason: "not at the source"}},
			},
		},
		"a column of the key is missing": {
			source: table("contact", "a,b", "name int", "b int", "a int"), mirror: table("contact", "a,b", "name int", "a int"),
			want: want{
				columns: []string{"a", "name"}, incomparable: "key column b is not comparable on both sides",
				schema:      []match.Difference{{Column: "b", What: "missing column", Source: "int not null"}},
				notCompared: []match.Omission{{Column: "b", Reason: "not in the mirror"}},
			},
		},
		"two columns of the key are missing": {
			source: table("contact", "b,a,c", "a int", "b int", "c int", "name int"), mirror: table("contact", "b,a,c", "c int", "name int"),
			want: want{
				columns: []string{"c", "name"}, incomparable: "key column b is not comparable on both sides",
				schema:      []match.Difference{{Column: "a", What: "missing column", Source: "int not null"}, {Column: "b", What: "missing column", Source: "int not null"}},
				notCompared: []match.Omission{{Column: "a", Reason: "not in the mirror"}, {Column: "b", Reason: "not in the mirror"}},
			},
		},
		"a column of the key cannot be shown": {
			source: contact, mirror: contact, editSource: omitted("name", "masked"), editMirror: omitted("id", "encrypted"),
			want: want{
				incomparable: "key column id is not comparable on both sides: encrypted, in the mirror",
				notCompared:  []match.Omission{{Column: "id", Reason: "encrypted, in the mirror"}, {Column: "name", Reason: "masked, at the source"}},
			},
		},
		"a column of the key is ignored": {
			source: contact, mirror: contact, o: match.Options{IgnoreColumns: []string{"id"}},
			want: want{columns: []string{"name"}, incomparable: "key column id is not comparable on both sides", notCompared: []match.Omission{ignored("id")}},
		},
		"a key that names a column twice": {
			source: table("contact", "id,id", "id int", "name int"), mirror: table("contact", "id,id", "id int", "name int"),
			want: want{columns: []string{"id", "name"}, incomparable: "key column id is not comparable on both sides"},
		},
		"times of two precisions are the whole key": {
			source: table("log", "at", "at datetime", "n int"), mirror: table("log", "at", "at datetime2(7)", "n int"), o: match.Options{LooseTypes: true},
			want: want{
				columns: []string{"at", "n"}, key: 1,
				warnings: []string{"column at is datetime at the source and datetime2(7) in the mirror: it is compared in steps of 1/300 s, and a smaller difference is not seen"},
			},
		},
		"times of two precisions are a part of the key": {
			source: table("log", "at,n", "at date", "n int", "x int"), mirror: table("log", "at,n", "at datetime", "n int", "x int"), o: match.Options{LooseTypes: true},
			want: want{
				columns: []string{"at", "n", "x"}, key: 2, incomparable: "column at of the key is date at the source and datetime in the mirror",
				warnings: []string{"column at is date at the source and datetime in the mirror: it is compared in steps of a day, and a smaller difference is not seen"},
			},
		},
		"numbers of two precisions are a part of the key": {
			source: table("log", "d,n", "d decimal(10,2)", "n int"), mirror: table("log", "d,n", "d decimal(12,4)", "n int"), o: match.Options{LooseTypes: true},
			want: want{columns: []string{"d", "n"}, key: 2},
		},
		"rows that the source hides": {
			source: contact, mirror: contact, editSource: hidden("a policy hides rows"), editMirror: hidden("too"),
			want: want{columns: []string{"id", "name"}, incomparable: "source: a policy hides rows"},
		},
		"rows that the mirror hides": {
			source: table("contact", "", "id int"), mirror: table("contact", "", "id int"), editMirror: hidden("a policy hides rows"),
			want: want{columns: []string{"id"}, incomparable: "mirror: a policy hides rows"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, mirror := c.source, c.mirror
			source.Columns, mirror.Columns = append([]store.Column(nil), source.Columns...), append([]store.Column(nil), mirror.Columns...)
			if c.editSource != nil {
				c.editSource(&source)
			}
			if c.editMirror != nil {
				c.editMirror(&mirror)
			}
			r := match.Tables([]store.Table{source}, []store.Table{mirror}, c.o)
			require.Len(t, r.Pairs, 1)
			p := r.Pairs[0].Plan
			require.Equal(t, source, p.Source.Table)
			require.Equal(t, mirror, p.Mirror.Table)
			mirrored := c.want.mirrored
			if mirrored == nil {
				mirrored = c.want.columns
			}
			require.Equal(t, mirrored, names(p.Mirror.Columns))
			require.Equal(t, c.want, want{
				columns: names(p.Source.Columns), mirrored: c.want.mirrored, key: p.Key, keyless: p.Keyless, ranged: p.Ranged,
				incomparable: p.Incomparable, schema: p.Schema, notCompared: p.NotCompared, warnings: p.Warnings,
			})
			require.False(t, p.AnyValue)
		})
	}
	t.Run("stores that hold any value", func(t *testing.T) {
		r := match.Tables([]store.Table{contact}, []store.Table{contact}, match.Options{AnyValue: true})
		require.True(t, r.Pairs[0].Plan.AnyValue)
	})
}
