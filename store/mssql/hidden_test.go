package mssql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// allFacts are those of SQL Server 2022.
var allFacts = catalogueFacts{Periods: 1, Encrypted: 1, Graphs: 1, Masks: 1, Ledgers: 1, Memory: 1, Temporal: 1, Policies: 1, Edges: 1, Depends: 1}

// TestExactText: bytes without a letter in their code page are converted by the
// server, and half a surrogate pair is seen in the bytes alone.
func TestExactText(t *testing.T) {
	for _, c := range []struct{ typ, exact, converted string }{
		{"char(3)", "CONVERT(nvarchar(3), [c])", "CONVERT(nvarchar(3), [c])"},
		{"varchar(20)", "CONVERT(nvarchar(20), [c])", "CONVERT(nvarchar(20), [c])"},
		{"varchar(8000)", "CONVERT(nvarchar(max), [c])", "CONVERT(nvarchar(max), [c])"},
		{"text", "CONVERT(nvarchar(max), [c])", "CONVERT(nvarchar(max), [c])"},
		{"nchar(5)", "CONVERT(varbinary(10), [c])", ""},
		{"nvarchar(4000)", "CONVERT(varbinary(8000), [c])", ""},
		{"nvarchar(max)", "CONVERT(varbinary(max), [c])", ""},
		{"ntext", "CONVERT(varbinary(max), CONVERT(nvarchar(max), [c]))", ""},
		{"xml", "", ""}, {"int", "", ""}, {"varbinary(9)", "", ""},
	} {
		t.Run(c.typ, func(t *testing.T) {
			k := codec(store.MustType(c.typ), sqlServer)
			require.Nil(t, k.Select, "it costs nothing where there is no such text")
			if c.exact == "" {
				require.Nil(t, k.Exact)
			} else {
				require.Equal(t, c.exact, k.Exact.Select("[c]"))
				require.Equal(t, isNational(store.MustType(c.typ)), k.Exact.Decode != nil)
			}
			// Babelfish sends varchar by a code page that it has converted to.
			k = codec(store.MustType(c.typ), textRules{converted: true})
			require.Nil(t, k.Exact)
			if c.converted == "" {
				require.Nil(t, k.Select)
			} else {
				require.Equal(t, c.converted, k.Select("[c]"))
			}
		})
	}
	question, replaced := "?", "\ufffd"
	for _, c := range []struct {
		facts facts
		want  textRules
	}{
		{facts{UTF8: 65001, Undefined: &replaced, UnitBytes: 2}, sqlServer},
		{facts{Undefined: &question, UnitBytes: 1}, textRules{converted: true}},
		{facts{UnitBytes: 2}, textRules{units: true}},
	} {
		srv := &server{}
		srv.facts.Store(&c.facts)
		require.Equal(t, c.want, srv.text())
	}
	require.Equal(t, "CONVERT(nvarchar(20), MAX(CASE WHEN x THEN g.k0 END))", firstExpr(store.MustType("varchar(20)"), "x", "g.k0"))
	require.Equal(t, "CONVERT(nvarchar(20), MAX(CASE WHEN x THEN g.k0 END))", firstExpr(store.MustType("nvarchar(20)"), "x", "g.k0"))
}

func TestDecodeUnits(t *testing.T) {
	for _, c := range []struct {
		name  string
		units []uint16
		want  string
	}{
		{"nothing", nil, ""},
		{"letters", []uint16{'a', 0xe6, 0x540d}, "aæ名"},
		{"U+FFFD itself", []uint16{0xfffd}, "\ufffd"},
		{"a pair", []uint16{0xd83d, 0xde00}, "\U0001f600"},
		{"the first half", []uint16{0xd800, 'x'}, "\xed\xa0\x80x"},
		{"the first half at the end", []uint16{'x', 0xdbff}, "x\xed\xaf\xbf"},
		{"the second half", []uint16{0xdfff, 'x'}, "\xed\xbf\xbfx"},
		{"halves the wrong way round", []uint16{0xde00, 0xd83d}, "\xed\xb8\x80\xed\xa0\xbd"},
		{"a half before a pair", []uint16{0xd83d, 0xd83d, 0xde00}, "\xed\xa0\xbd\U0001f600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bytes := []byte{}
			for _, u := range c.units {
				bytes = append(bytes, byte(u), byte(u>>8))
			}
			got, err := decodeUnits(bytes)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	_, err := decodeUnits([]byte{1})
	require.Error(t, err)
	_, err = decodeUnits("x")
	require.Error(t, err)
}

// TestHiddenColumns: what the catalogue says of a column that the login cannot
// see as it is, or that the server fills.
func TestHiddenColumns(t *testing.T) {
	policy := "only_mine"
	for name, c := range map[string]struct {
		in   catalogueColumn
		want store.Column
	}{
		"row start":        {catalogueColumn{GeneratedAlways: 1}, store.Column{Omit: "period column of a temporal table, which the server fills", Generated: true}},
		"row end":          {catalogueColumn{GeneratedAlways: 2}, store.Column{Omit: "period column of a temporal table, which the server fills", Generated: true}},
		"transaction":      {catalogueColumn{GeneratedAlways: 7}, store.Column{Omit: "ledger column, which the server fills", Generated: true}},
		"sequence":         {catalogueColumn{GeneratedAlways: 10}, store.Column{Omit: "ledger column, which the server fills", Generated: true}},
		"a dropped column": {catalogueColumn{Dropped: true}, store.Column{Omit: "dropped column of a ledger table", Generated: true}},
		"a node's id":      {catalogueColumn{Graph: true}, store.Column{Omit: "pseudo-column of a graph table", Generated: true}},
		"encrypted":        {catalogueColumn{Encrypted: true}, store.Column{Omit: "encrypted by Always Encrypted"}},
		"masked":           {catalogueColumn{Masked: true}, store.Column{Omit: "masked, and the login lacks UNMASK"}},
		"plain":            {catalogueColumn{}, store.Column{}},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Type, c.want.Type = "int", store.MustType("int")
			require.Equal(t, c.want, c.in.column())
		})
	}
	tables := catalogue([]catalogueColumn{{Schema: "dbo", Table: "a", Name: "id", Type: "int", Policy: &policy}, {Schema: "dbo", Table: "b", Name: "id", Type: "int"}})
	require.Equal(t, "security policy only_mine may hide rows from this login", tables[0].Omit)
	require.Empty(t, tables[1].Omit)
}

// TestTablesText: a version is not asked for what its catalogue does not have.
func TestTablesText(t *testing.T) {
	const head = `SELECT CONVERT(nvarchar(128), s.name) AS schema_name, CONVERT(nvarchar(128), t.name) AS table_name,
	CONVERT(nvarchar(128), c.name) AS column_name,
	CONVERT(nvarchar(128), COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id), '')) AS type_name,
	c.max_length, c.precision, c.scale, c.is_nullable, c.is_computed,
	CONVERT(nvarchar(max), d.definition) AS default_text, COALESCE(k.key_ordinal, 0) AS key_ordinal,
	`
	const from = `
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.columns AS c ON c.object_id = t.object_id
LEFT JOIN sys.default_constraints AS d ON d.object_id = c.default_object_id
LEFT JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.is_primary_key = 1
LEFT JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.column_id = c.column_id
`
	const where = `WHERE s.name = @p1 AND t.is_ms_shipped = 0
ORDER BY t.object_id, c.column_id`
	require.Equal(t, head+`0 AS generated_always,
	0 AS is_encrypted,
	0 AS is_graph,
	0 AS is_dropped,
	0 AS is_masked,
	0 AS in_memory,
	CONVERT(nvarchar(128), NULL) AS policy`+from+where, tablesText(catalogueFacts{}), "SQL Server 2012")
	require.Equal(t, head+`c.generated_always_type AS generated_always,
	CASE WHEN c.encryption_type IS NULL THEN 0 ELSE 1 END AS is_encrypted,
	CASE WHEN c.graph_type IS NULL THEN 0 ELSE 1 END AS is_graph,
	CASE WHEN c.is_dropped_ledger_column = 1 THEN 1 ELSE 0 END AS is_dropped,
	CASE WHEN c.is_masked = 1 AND COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK'), 0) = 0
		AND COALESCE(HAS_PERMS_BY_NAME(CONCAT(QUOTENAME(s.name), '.', QUOTENAME(t.name)), 'OBJECT', 'UNMASK', c.name, 'COLUMN'), 0) = 0 THEN 1 ELSE 0 END AS is_masked,
	CASE WHEN t.is_memory_optimized = 1 THEN 1 ELSE 0 END AS in_memory,
	CONVERT(nvarchar(128), p.policy) AS policy`+from+`LEFT JOIN (SELECT q.target_object_id, MIN(CONVERT(nvarchar(128), y.name)) AS policy
	FROM sys.security_predicates AS q JOIN sys.security_policies AS y ON y.object_id = q.object_id
	WHERE q.predicate_type = 0 AND y.is_enabled = 1 GROUP BY q.target_object_id) AS p ON p.target_object_id = t.object_id
`+where, tablesText(allFacts), "SQL Server 2022")
}

// TestMemoryOptimised: a table in memory is read in an isolation that it allows.
func TestMemoryOptimised(t *testing.T) {
	src, err := NewSource(sqlx.NewDb(nil, "sqlserver"), &Options{Schema: "crm7", LockTimeout: 1500e6})
	require.NoError(t, err)
	srv := src.server
	srv.facts.Store(&facts{Snapshot: snapshotOn})
	srv.inMemory.Store("[crm7].[fast]", true)
	for _, tab := range []store.Table{{Name: "fast"}, {Schema: "crm7", Name: "fast"}} {
		before, behind := srv.aroundRead(tab)
		require.Equal(t, "SET LOCK_TIMEOUT 1500; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ", before)
		require.Equal(t, "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED", behind)
		require.Equal(t, " WITH (SNAPSHOT)", srv.hint(tab, false))
		require.Equal(t, " WITH (SERIALIZABLE)", srv.hint(tab, true))
	}
	for _, tab := range []store.Table{{Name: "slow"}, {Schema: "dbo", Name: "fast"}} {
		before, _ := srv.aroundRead(tab)
		require.Contains(t, before, "ISOLATION LEVEL SNAPSHOT")
		require.Empty(t, srv.hint(tab, false))
		require.Equal(t, " WITH (UPDLOCK, HOLDLOCK)", srv.hint(tab, true))
	}
	require.Contains(t, advice(sqlstore.ErrorOther, mssqldb.Error{Number: 41332}), "call Tables before")
}

func TestTruncateText(t *testing.T) {
	require.Equal(t, `IF EXISTS (SELECT 1 FROM sys.foreign_keys WHERE referenced_object_id = OBJECT_ID(@p1) AND parent_object_id <> referenced_object_id)
	OR EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(@p1) AND (is_replicated = 1 OR is_merge_published = 1 OR is_tracked_by_cdc = 1))
	OR HAS_PERMS_BY_NAME(@p1, 'OBJECT', 'ALTER') = 0
	DELETE FROM [dbo].[a]]b]
ELSE
	TRUNCATE TABLE [dbo].[a]]b]`, truncateText("[dbo].[a]]b]", catalogueFacts{}), "SQL Server 2012")
	require.Equal(t, `IF EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(@p1) AND is_memory_optimized = 1)
	EXEC (N'DELETE FROM [dbo].[it''s] WITH (SNAPSHOT)')
ELSE IF EXISTS (SELECT 1 FROM sys.foreign_keys WHERE referenced_object_id = OBJECT_ID(@p1) AND parent_object_id <> referenced_object_id)
	OR EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(@p1) AND (is_replicated = 1 OR is_merge_published = 1 OR is_tracked_by_cdc = 1 OR temporal_type = 2))
	OR EXISTS (SELECT 1 FROM sys.sql_dependencies AS d JOIN sys.indexes AS i ON i.object_id = d.object_id
		JOIN sys.views AS v ON v.object_id = d.object_id WHERE d.referenced_major_id = OBJECT_ID(@p1))
	OR EXISTS (SELECT 1 FROM sys.edge_constraint_clauses WHERE OBJECT_ID(@p1) IN (from_object_id, to_object_id))
	OR HAS_PERMS_BY_NAME(@p1, 'OBJECT', 'ALTER') = 0
	DELETE FROM [dbo].[it's]
ELSE
	TRUNCATE TABLE [dbo].[it's]`, truncateText("[dbo].[it's]", allFacts), "SQL Server 2022")
}

func TestPreflightHidden(t *testing.T) {
	policy := "only_mine"
	col := func(table, name string, masked bool, policy *string) catalogueColumn {
		return catalogueColumn{Schema: "crm7", Table: table, Name: name, Masked: masked, Policy: policy}
	}
	got := hidden([]catalogueColumn{col("contact", "id", false, &policy), col("contact", "phone", true, &policy), col("person", "id", false, nil), col("person", "mail", true, nil)}, "svc]x")
	var lines []string
	for _, l := range got {
		lines = append(lines, l.String())
	}
	require.Equal(t, []string{
		"Compare needs every row on OBJECT::[crm7].[contact]: let the filter of security policy only_mine pass all rows to [svc]]x]",
		"Compare needs UNMASK on OBJECT::[crm7].[contact] ([phone]): GRANT UNMASK TO [svc]]x]",
		"Compare needs UNMASK on OBJECT::[crm7].[person] ([mail]): GRANT UNMASK TO [svc]]x]",
	}, lines)
	require.Empty(t, hidden([]catalogueColumn{col("person", "id", false, nil)}, "x"))
}

// TestIdentity: two databases of one server differ, and so do two schemas; who
// asks makes no difference.
func TestIdentityOfDatabases(t *testing.T) {
	text := func(s string) *string { return &s }
	edition := 3
	base := identityRow{VersionText: "Microsoft SQL Server 2022 (RTM-CU14)", Server: text("DB1\\CRM"), Version: text("16.0.4135.4"), Edition: &edition,
		Database: "Mirror_Cust1", DatabaseID: 7, Broker: text("5F0A1B2C-0000-0000-0000-000000000001"), Created: text("2026-01-01T00:00:00"), SchemaID: 1}
	id := base.identity("dbo")
	require.Equal(t, store.Identity{Engine: "sqlserver", Version: "16.0.4135.4", Server: "DB1\\CRM", Database: "Mirror_Cust1", Schema: "dbo", ID: id.ID}, id)
	require.NotEmpty(t, id.ID)
	same := base
	same.Server = text("db1\\crm")
	require.Equal(t, id.ID, same.identity("DBO").ID, "a name is a name in either case")
	for name, change := range map[string]func(r *identityRow){
		"another database":      func(r *identityRow) { r.DatabaseID, r.Database = 8, "Mirror_Cust2" },
		"another server":        func(r *identityRow) { r.Server = text("DB2") },
		"restored in its place": func(r *identityRow) { r.Created = text("2026-02-01T00:00:00") },
		"another broker":        func(r *identityRow) { r.Broker = text("5F0A1B2C-0000-0000-0000-000000000002") },
		"another schema":        func(r *identityRow) { r.SchemaID = 5 },
	} {
		r := base
		change(&r)
		require.NotEqual(t, id.ID, r.identity("dbo").ID, name)
	}
	azure, noServer, babelfish := base, base, base
	edition5 := azureDatabase
	azure.Edition, noServer.Server = &edition5, nil
	babelfish.VersionText, babelfish.Broker = "Babelfish for PostgreSQL with SQL Server Compatibility", nil
	require.Equal(t, "azuresql", azure.identity("dbo").Engine)
	require.Equal(t, "babelfish", babelfish.identity("dbo").Engine)
	require.NotEmpty(t, babelfish.identity("dbo").ID)
	require.Empty(t, noServer.identity("dbo").ID, "it cannot be told")
}

// TestErrorsThatSayWhat: what a server cannot do, and where to go instead.
func TestErrorsThatSayWhat(t *testing.T) {
	secondaryError := mssqldb.Error{Number: 22117, Message: "For databases that are members of a secondary availability replica, change tracking is not supported."}
	require.NotErrorIs(t, unsupported(secondaryError), errors.ErrUnsupported, "tracking is there, but not here")
	require.Contains(t, advice(classify(secondaryError), secondaryError), "connect to the primary")
	for _, number := range []int32{511, 1540, 8618} {
		err := fmt.Errorf("x: %w", mssqldb.Error{Number: number})
		require.Equal(t, sqlstore.ErrorUnsupported, classify(err))
		require.True(t, strings.Contains(advice(classify(err), err), "8,060 bytes"))
	}
}
