package mssql

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// sqlServer is what SQL Server 2019 and later do with text.
var sqlServer = textRules{utf8: true, units: true}

// TestCodecText shows the SQL of each type of column, which is what SQL Server's
// documentation asks for and no other server can check in full.
func TestCodecText(t *testing.T) {
	type text struct {
		read, param, equal string
		order              []string
	}
	const c, p = "[c]", "@p1"
	plain := text{read: c, param: p, equal: "[c] = @p1", order: []string{c}}
	converted := func(typ string) text {
		param := "CONVERT(" + typ + ", @p1)"
		return text{read: c, param: param, equal: "[c] = " + param, order: []string{c}}
	}
	exact := func(column, param string) string {
		column, param = column+" COLLATE Latin1_General_BIN2", param+" COLLATE Latin1_General_BIN2"
		return column + " = " + param + " AND DATALENGTH(" + column + ") = DATALENGTH(" + param + ")"
	}
	utf8 := func(size, column string) []string {
		bytes := "CONVERT(varbinary(" + size + "), CONVERT(varchar(" + size + "), " + column + " COLLATE Latin1_General_100_BIN2_UTF8))"
		return []string{bytes, "DATALENGTH(" + bytes + ")"}
	}
	cases := map[string]text{
		"bit": plain, "tinyint": plain, "smallint": plain, "int": plain, "bigint": plain, "datetime": plain,
		"float":         {c, p, "[c] = @p1 AND CONVERT(binary(8), [c]) = CONVERT(binary(8), @p1)", []string{c}},
		"real":          {c, p, "[c] = @p1 AND CONVERT(binary(4), [c]) = CONVERT(binary(4), @p1)", []string{c}},
		"decimal(19,4)": converted("decimal(19,4)"), "money": converted("money"), "smallmoney": converted("smallmoney"),
		"date": converted("date"), "smalldatetime": converted("smalldatetime"), "datetime2(3)": converted("datetime2(3)"), "time(7)": converted("time(7)"),
		"datetimeoffset(7)": {c, "CONVERT(datetimeoffset(7), @p1)",
			"[c] = CONVERT(datetimeoffset(7), @p1) AND DATEPART(tzoffset, [c]) = DATEPART(tzoffset, CONVERT(datetimeoffset(7), @p1))", []string{c}},
		"uniqueidentifier": {"CONVERT(binary(16), [c])", "CONVERT(uniqueidentifier, @p1)", "[c] = CONVERT(uniqueidentifier, @p1)", []string{c}},
		"nvarchar(20)":     {c, p, "[c] = @p1 AND " + exact(c, p), utf8("60", c)},
		"nvarchar(4000)":   {c, p, "[c] = @p1 AND " + exact(c, p), utf8("max", c)},
		"nvarchar(max)":    {c, p, "[c] = @p1 AND " + exact(c, p), utf8("max", c)},
		"nchar(5)":         {c, p, "[c] = @p1 AND " + exact(c, p), utf8("15", c)},
		"varchar(20)":      {c, p, "[c] = @p1 AND " + exact("CONVERT(nvarchar(20), [c])", "CONVERT(nvarchar(20), @p1)"), utf8("60", "CONVERT(nvarchar(20), [c])")},
		"varchar(8000)":    {c, p, "[c] = @p1 AND " + exact("CONVERT(nvarchar(max), [c])", "CONVERT(nvarchar(max), @p1)"), utf8("max", "CONVERT(nvarchar(max), [c])")},
		"char(3)":          {c, p, "[c] = @p1 AND " + exact("CONVERT(nvarchar(3), [c])", "CONVERT(nvarchar(3), @p1)"), utf8("9", "CONVERT(nvarchar(3), [c])")},
		"text":             {c, p, exact("CONVERT(nvarchar(max), [c])", "CONVERT(nvarchar(max), @p1)"), utf8("max", "CONVERT(nvarchar(max), [c])")},
		"xml":              {c, p, exact("CONVERT(nvarchar(max), [c])", "CONVERT(nvarchar(max), @p1)"), utf8("max", "CONVERT(nvarchar(max), [c])")},
		"varbinary(20)": {c, "CONVERT(varbinary(20), @p1)",
			"[c] = CONVERT(varbinary(20), @p1) AND DATALENGTH([c]) = DATALENGTH(CONVERT(varbinary(20), @p1))", []string{c, "DATALENGTH([c])"}},
		"binary(2)": {c, "CONVERT(varbinary(2), @p1)",
			"[c] = CONVERT(varbinary(2), @p1) AND DATALENGTH([c]) = DATALENGTH(CONVERT(varbinary(2), @p1))", []string{c}},
		"image": {c, "CONVERT(varbinary(max), @p1)",
			"CONVERT(varbinary(max), [c]) = CONVERT(varbinary(max), @p1) AND DATALENGTH([c]) = DATALENGTH(CONVERT(varbinary(max), @p1))",
			[]string{"CONVERT(varbinary(max), [c])", "DATALENGTH(CONVERT(varbinary(max), [c]))"}},
	}
	for typ, want := range cases {
		t.Run(typ, func(t *testing.T) {
			k := codec(store.MustType(typ), sqlServer)
			got := text{read: c, param: p, order: []string{c}}
			if k.Select != nil {
				got.read = k.Select(c)
			}
			if k.Param != nil {
				got.param = k.Param(p)
			}
			got.equal = c + " = " + got.param
			if k.Equal != nil {
				got.equal = k.Equal(c, got.param)
			}
			if k.Order != nil {
				got.order = k.Order(c)
			}
			require.Equal(t, want, got)
			require.False(t, k.Unordered)
		})
	}
	t.Run("a server without UTF-8 collations", func(t *testing.T) {
		require.Equal(t, []string{"([c] + NCHAR(1)) COLLATE Latin1_General_BIN2"}, codec(store.MustType("nvarchar(20)"), textRules{}).Order(c))
		require.Equal(t, []string{"(CONVERT(nvarchar(20), [c]) + NCHAR(1)) COLLATE Latin1_General_BIN2"}, codec(store.MustType("varchar(20)"), textRules{}).Order(c))
	})
	t.Run("types without an order", func(t *testing.T) {
		for _, typ := range []string{"sql_variant", "geography", "geometry", "hierarchyid", "rowversion", "vector(3)", "json"} {
			require.True(t, codec(store.Type{Name: typ}, sqlServer).Unordered, typ)
		}
	})
}

// TestParameterTypes: a parameter has the type of its column, so that the server
// seeks.
func TestParameterTypes(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC)
	for _, c := range []struct {
		typ      string
		in, want any
	}{
		{"tinyint", 255, uint8(255)},
		{"smallint", -32768, int16(-32768)},
		{"int", -1, int32(-1)},
		{"bigint", int64(math.MaxInt64), int64(math.MaxInt64)},
		{"bit", true, true},
		{"real", 0.1, float32(0.1)},
		{"float", 0.1, 0.1},
		{"decimal(9,2)", "-1.50", mssqldb.VarChar("-1.50")},
		{"nvarchar(9)", "abc", "abc"},
		{"varchar(9)", "abc", mssqldb.VarChar("abc")},
		{"char(3)", "", mssqldb.VarChar("")},
		{"varchar(9)", "æ", "æ"},
		{"text", "abc", mssqldb.VarChar("abc")},
		{"datetime", at, mssqldb.DateTime1(at)},
		{"datetime2(3)", at, at},
		{"time(7)", at, time.Date(2001, 1, 1, 4, 5, 6, 7e6, time.UTC)},
		{"varbinary(9)", []byte{0}, []byte{0}},
		{"uniqueidentifier", make([]byte, 16), make([]byte, 16)},
	} {
		t.Run(c.typ, func(t *testing.T) {
			typ := store.MustType(c.typ)
			v, err := store.Normalize(typ, c.in)
			require.NoError(t, err)
			var got any = v
			if encode := codec(typ, sqlServer).Encode; encode != nil {
				got = encode(v)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestDecodeTime(t *testing.T) {
	oslo := time.FixedZone("Oslo", 3600)
	v, err := decodeTime(time.Date(2026, 2, 3, 4, 5, 6, 7, oslo))
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC), v, "the wall clock of the column, whatever the driver's time zone")
	_, err = decodeTime("x")
	require.ErrorContains(t, err, "string is not a time")
}

func TestServerText(t *testing.T) {
	srv := &server{opts: Options{LockTimeout: 1500 * time.Millisecond}}
	before, behind := srv.aroundRead(store.Table{Name: "t"})
	require.Equal(t, "SET LOCK_TIMEOUT 1500; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ", before)
	require.Equal(t, "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED", behind)
	srv.facts.Store(&facts{Snapshot: snapshotOn})
	before, _ = srv.aroundRead(store.Table{Name: "t"})
	require.Equal(t, "SET LOCK_TIMEOUT 1500; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; ", before)
	require.Equal(t, `SET XACT_ABORT ON; SET LOCK_TIMEOUT 1500; SET DEADLOCK_PRIORITY LOW; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @resource nvarchar(255) = N'github.com/so-mirror/mirror ' + DB_NAME(), @result int;
EXEC @result = sp_getapplock @Resource = @resource, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 1500;
SELECT @result`, srv.setupText())
	srv.opts.LockTimeout = time.Microsecond
	require.EqualValues(t, 1, srv.lockTimeout(), "0 would mean not to wait at all")

	for _, text := range []string{before, behind, srv.setupText(), tablesText(allFacts), factsQuery, identityQuery, srv.hint(store.Table{Name: "t"}, true), permissionsQuery()} {
		require.NotContains(t, strings.ToUpper(text), "NOLOCK")
		require.NotContains(t, strings.ToUpper(text), "UNCOMMITTED")
	}
}

func TestIsolationOfReads(t *testing.T) {
	for _, c := range []struct {
		name   string
		option Isolation
		facts  facts
		want   string
	}{
		{"snapshot is allowed", IsolationAuto, facts{Snapshot: snapshotOn, ReadSnapshot: true}, "snapshot"},
		{"snapshot is off", IsolationAuto, facts{}, "read committed"},
		{"snapshot is on its way to on", IsolationAuto, facts{Snapshot: 3}, "read committed"},
		{"row versions", IsolationAuto, facts{ReadSnapshot: true}, "read committed snapshot"},
		{"asked for snapshot", IsolationSnapshot, facts{}, "snapshot"},
		{"asked for read committed", IsolationReadCommitted, facts{Snapshot: snapshotOn}, "read committed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := &server{opts: Options{Isolation: c.option}}
			srv.facts.Store(&c.facts)
			require.Equal(t, c.want, srv.isolation())
		})
	}
}

func TestSchema(t *testing.T) {
	crm7 := "crm7"
	srv := &server{}
	require.Equal(t, "dbo", srv.schema())
	srv.facts.Store(&facts{Schema: &crm7})
	require.Equal(t, "crm7", srv.schema())
	srv.opts.Schema = "other"
	require.Equal(t, "other", srv.schema())
}

func TestOptions(t *testing.T) {
	db := sqlx.NewDb(nil, "sqlserver")
	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"isolation": {Options{Isolation: "nolock"}, `unknown isolation "nolock"`},
		"timeout":   {Options{QueryTimeout: -1}, "a timeout is not negative"},
		"lock":      {Options{LockTimeout: -1}, "a timeout is not negative"},
		"collation": {Options{Collation: "x; drop"}, "is not a collation's name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(db, &c.opts)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := New(nil, nil)
	require.ErrorContains(t, err, "db is nil")
	o, err := (*Options)(nil).check()
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, o.LockTimeout)
}

// TestCatalogue: the rows of sys.columns as SQL Server documents them.
func TestCatalogue(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		in   catalogueColumn
		want store.Column
	}{
		{catalogueColumn{Type: "int", MaxLength: 4, Precision: 10}, store.Column{Type: store.MustType("int")}},
		{catalogueColumn{Type: "nvarchar", MaxLength: 438, Nullable: true}, store.Column{Type: store.MustType("nvarchar(219)"), Nullable: true}},
		{catalogueColumn{Type: "nvarchar", MaxLength: -1}, store.Column{Type: store.MustType("nvarchar(max)")}},
		{catalogueColumn{Type: "sysname", MaxLength: 256}, store.Column{Type: store.MustType("nvarchar(128)")}},
		{catalogueColumn{Type: "varchar", MaxLength: 8000}, store.Column{Type: store.MustType("varchar(8000)")}},
		{catalogueColumn{Type: "varchar", MaxLength: -1}, store.Column{Type: store.MustType("varchar(max)")}},
		{catalogueColumn{Type: "nchar", MaxLength: 20}, store.Column{Type: store.MustType("nchar(10)")}},
		{catalogueColumn{Type: "binary", MaxLength: 16}, store.Column{Type: store.MustType("binary(16)")}},
		{catalogueColumn{Type: "varbinary", MaxLength: -1}, store.Column{Type: store.MustType("varbinary(max)")}},
		{catalogueColumn{Type: "xml", MaxLength: -1}, store.Column{Type: store.MustType("xml")}},
		{catalogueColumn{Type: "ntext", MaxLength: 16}, store.Column{Type: store.MustType("ntext")}},
		{catalogueColumn{Type: "numeric", MaxLength: 17, Precision: 38, Scale: 10}, store.Column{Type: store.MustType("decimal(38,10)")}},
		{catalogueColumn{Type: "money", MaxLength: 8, Precision: 19, Scale: 4}, store.Column{Type: store.MustType("money")}},
		{catalogueColumn{Type: "float", MaxLength: 8, Precision: 53}, store.Column{Type: store.MustType("float")}},
		{catalogueColumn{Type: "real", MaxLength: 4, Precision: 24}, store.Column{Type: store.MustType("real")}},
		{catalogueColumn{Type: "datetime2", MaxLength: 8, Precision: 27, Scale: 7}, store.Column{Type: store.MustType("datetime2(7)")}},
		{catalogueColumn{Type: "time", MaxLength: 3, Precision: 8}, store.Column{Type: store.MustType("time(0)")}},
		{catalogueColumn{Type: "datetimeoffset", MaxLength: 9, Precision: 30, Scale: 3}, store.Column{Type: store.MustType("datetimeoffset(3)")}},
		{catalogueColumn{Type: "timestamp", MaxLength: 8, Default: text("CAST(x)")}, store.Column{Type: store.MustType("rowversion"), Generated: true}},
		{catalogueColumn{Type: "int", MaxLength: 4, Computed: true}, store.Column{Type: store.MustType("int"), Generated: true}},
		{catalogueColumn{Type: "int", MaxLength: 4, Default: text("((0))")}, store.Column{Type: store.MustType("int"), Default: "((0))"}},
		{catalogueColumn{Type: "sql_variant", MaxLength: 8016}, store.Column{Type: store.MustType("sql_variant")}},
		{catalogueColumn{Type: "hierarchyid", MaxLength: 892}, store.Column{Type: store.MustType("hierarchyid")}},
		{catalogueColumn{Type: "geography", MaxLength: -1}, store.Column{Type: store.Type{Name: "geography", Length: 0}}},
		{catalogueColumn{Type: "json", MaxLength: -1}, store.Column{Type: store.Type{Name: "json"}}},
		{catalogueColumn{Type: "Point", MaxLength: 20}, store.Column{Type: store.Type{Name: "Point"}}},
	} {
		t.Run(c.in.Type, func(t *testing.T) { require.Equal(t, c.want, c.in.column()) })
	}
	t.Run("tables and keys", func(t *testing.T) {
		col := func(table, name string, key int) catalogueColumn {
			return catalogueColumn{Schema: "crm7", Table: table, Name: name, Type: "int", MaxLength: 4, Key: key}
		}
		got := catalogue([]catalogueColumn{col("a", "x", 2), col("a", "y", 0), col("a", "z", 1), col("B", "x", 0)})
		require.Len(t, got, 2)
		require.Equal(t, "crm7.a", got[0].String())
		require.Equal(t, []string{"x", "y", "z"}, got[0].ColumnNames())
		require.Equal(t, []string{"z", "x"}, got[0].Key, "in the order of the key")
		require.Equal(t, "crm7.B", got[1].String())
		require.Empty(t, got[1].Key)
		require.Empty(t, catalogue(nil))
	})
}

func TestColumnType(t *testing.T) {
	srv := &server{}
	require.Equal(t, "nvarchar(max)", srv.columnType(store.MustType("nvarchar(max)")))
	srv.opts.Collation = "Danish_Norwegian_CI_AS"
	require.Equal(t, "varchar(9) COLLATE Danish_Norwegian_CI_AS", srv.columnType(store.MustType("varchar(9)")))
	require.Equal(t, "xml", srv.columnType(store.MustType("xml")))
	require.Equal(t, "int", srv.columnType(store.MustType("int")))
}

// TestChangesText: no server but SQL Server has change tracking.
func TestChangesText(t *testing.T) {
	src, err := NewSource(sqlx.NewDb(nil, "sqlserver"), &Options{Schema: "crm7"})
	require.NoError(t, err)
	tab := store.Table{Schema: "crm7", Name: "link", Key: []string{"b", "id"}, Columns: []store.Column{
		{Name: "id", Type: store.MustType("int")}, {Name: "b", Type: store.MustType("decimal(9,2)")}}}
	text, args, err := src.changesText(tab, 41, []store.Row{{"1.50", 7}, {"2", 8}})
	require.NoError(t, err)
	require.Equal(t, "SELECT k.n FROM (VALUES (0, CONVERT(decimal(9,2), @p2), @p3), (1, CONVERT(decimal(9,2), @p4), @p5)) AS k (n, k0, k1) "+
		"WHERE EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES [crm7].[link], @p1) AS c WHERE c.[b] = k.k0 AND c.[id] = k.k1)", text)
	require.Equal(t, []any{int64(41), mssqldb.VarChar("1.50"), int32(7), mssqldb.VarChar("2"), int32(8)}, args)

	_, _, err = src.changesText(tab, 41, []store.Row{{"1.50"}})
	require.ErrorContains(t, err, "key has 1 values for 2 columns")
	_, _, err = src.changesText(tab, 41, []store.Row{{"1.50", "x"}})
	require.ErrorContains(t, err, "column id")
	_, err = src.Changed(context.Background(), store.Table{Name: "heap"}, 1, nil)
	require.ErrorContains(t, err, "it has none")
	require.Equal(t, "[crm7].[a]]b]", src.server.tableName(store.Table{Name: "a]b"}))
}

func TestLimits(t *testing.T) {
	d := dialect(&server{})
	head, tail := d.Limit(7)
	require.Equal(t, "TOP (7) ", head)
	require.Empty(t, tail)
	require.Equal(t, "@p12", d.Placeholder(12))
	require.LessOrEqual(t, d.MaxParams+2, 2100, "sp_executesql takes two parameters itself")
	require.LessOrEqual(t, d.MaxRows, 1000)
	require.Equal(t, sqlstore.ErrorOther, d.Classify(context.Canceled))
}

func TestPreflightLacks(t *testing.T) {
	name := func(s string) *string { return &s }
	const all, none = "1111111", "0000000"
	only := func(permissions ...string) string {
		s := ""
		for _, p := range tablePermissions {
			granted := "0"
			for _, q := range permissions {
				if p == q {
					granted = "1"
				}
			}
			s += granted
		}
		return s
	}
	database := securable{User: "svc]x"}
	schema := func(granted string) securable {
		return securable{Schema: name("crm7"), User: "svc]x", Granted: granted}
	}
	table := func(tab, granted string) securable {
		return securable{Schema: name("crm7"), Table: name(tab), User: "svc]x", Granted: granted}
	}
	operations := func(lacks []Lack) (names []string) {
		for _, l := range lacks {
			if len(names) == 0 || names[len(names)-1] != l.Operation {
				names = append(names, l.Operation)
			}
		}
		return names
	}
	t.Run("everything", func(t *testing.T) {
		require.Empty(t, lacks([]securable{database, schema(all), table("contact", all)}, "crm7"))
	})
	t.Run("nothing", func(t *testing.T) {
		got := lacks([]securable{database, schema(none)}, "crm7")
		require.Len(t, operations(got), len(needs))
		require.Equal(t, Lack{"Status", "SELECT", "SCHEMA::[crm7]", "GRANT SELECT ON SCHEMA::[crm7] TO [svc]]x]"}, got[0])
	})
	t.Run("a reader", func(t *testing.T) {
		read := only("SELECT", "VIEW DEFINITION")
		got := lacks([]securable{database, schema(read), table("contact", read), table("Cust1_Mirroring", read)}, "crm7")
		require.Equal(t, []string{"ResetTables", "ResetTables with Truncate", "HardReset", "HardReset of Tables", "HardReset with DropData",
			"Undo of ResetTables", "Undo of HardReset of Tables", "Undo of HardReset", "change tracking"}, operations(got))
		require.Equal(t, "ResetTables needs UPDATE on OBJECT::[crm7].[Cust1_Mirroring]: GRANT UPDATE ON OBJECT::[crm7].[Cust1_Mirroring] TO [svc]]x]", got[0].String())
	})
	t.Run("the metadata table alone", func(t *testing.T) {
		got := lacks([]securable{database, schema(only("SELECT", "VIEW DEFINITION", "VIEW CHANGE TRACKING")),
			table("contact", only("SELECT", "VIEW DEFINITION", "VIEW CHANGE TRACKING")),
			table("Cust1_mirroring", only("SELECT", "VIEW DEFINITION", "VIEW CHANGE TRACKING", "UPDATE", "DELETE", "INSERT"))}, "crm7")
		require.Equal(t, []string{"ResetTables with Truncate", "HardReset", "HardReset with DropData", "Undo of HardReset"}, operations(got))
		require.Contains(t, got, Lack{"Undo of HardReset", "ALTER", "SCHEMA::[crm7]", "GRANT ALTER ON SCHEMA::[crm7] TO [svc]]x]"})
	})
	t.Run("DELETE stands in for ALTER", func(t *testing.T) {
		write := only("SELECT", "VIEW DEFINITION", "VIEW CHANGE TRACKING", "UPDATE", "DELETE", "INSERT")
		got := lacks([]securable{database, schema(write), table("contact", write)}, "crm7")
		require.Equal(t, []string{"HardReset", "HardReset with DropData", "Undo of HardReset"}, operations(got))
	})
	t.Run("one table is denied", func(t *testing.T) {
		got := lacks([]securable{database, schema(only()), table("contact", all), table("person", none), table("x_mirroring", all)}, "crm7")
		require.Contains(t, got, Lack{"Compare", "SELECT", "SCHEMA::[crm7]", "GRANT SELECT ON SCHEMA::[crm7] TO [svc]]x]"})
		require.Contains(t, operations(got), "Status", "it counts the rows of every table")
		denied := lacks([]securable{database, schema(all), table("contact", all), table("person", none), table("x_mirroring", all)}, "crm7")
		require.Contains(t, operations(denied), "Status", "a DENY on a table outweighs the schema's GRANT")
	})
}
