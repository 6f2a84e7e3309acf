package mssql

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// tablesText reads everything by object and column numbers: some servers fold
// the case of names in one view and not in another. Identifiers are converted,
// because some servers deliver them in a code page. It asks for what hides values
// or rows as far as the server knows of it.
func tablesText(has catalogueFacts) string {
	column := func(known int, expr, name string) string {
		if known == 0 {
			expr = "0"
		}
		return ",\n\t" + expr + " AS " + name
	}
	policy, policies := "NULL", ""
	if has.Policies > 0 {
		policy = "p.policy"
		policies = `
LEFT JOIN (SELECT q.target_object_id, MIN(CONVERT(nvarchar(128), y.name)) AS policy
	FROM sys.security_predicates AS q JOIN sys.security_policies AS y ON y.object_id = q.object_id
	WHERE q.predicate_type = 0 AND y.is_enabled = 1 GROUP BY q.target_object_id) AS p ON p.target_object_id = t.object_id`
	}
	return tablesSelect +
		column(has.Periods, "c.generated_always_type", "generated_always") +
		column(has.Encrypted, "CASE WHEN c.encryption_type IS NULL THEN 0 ELSE 1 END", "is_encrypted") +
		column(has.Graphs, "CASE WHEN c.graph_type IS NULL THEN 0 ELSE 1 END", "is_graph") +
		column(has.Ledgers, "CASE WHEN c.is_dropped_ledger_column = 1 THEN 1 ELSE 0 END", "is_dropped") +
		column(has.Masks, `CASE WHEN c.is_masked = 1 AND COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK'), 0) = 0
		AND COALESCE(HAS_PERMS_BY_NAME(CONCAT(QUOTENAME(s.name), '.', QUOTENAME(t.name)), 'OBJECT', 'UNMASK', c.name, 'COLUMN'), 0) = 0 THEN 1 ELSE 0 END`, "is_masked") +
		column(has.Memory, "CASE WHEN t.is_memory_optimized = 1 THEN 1 ELSE 0 END", "in_memory") +
		",\n\tCONVERT(nvarchar(128), " + policy + ") AS policy" + tablesFrom + policies + tablesWhere
}

const tablesSelect = `SELECT CONVERT(nvarchar(128), s.name) AS schema_name, CONVERT(nvarchar(128), t.name) AS table_name,
	CONVERT(nvarchar(128), c.name) AS column_name,
	CONVERT(nvarchar(128), COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id), '')) AS type_name,
	c.max_length, c.precision, c.scale, c.is_nullable, c.is_computed,
	CONVERT(nvarchar(max), d.definition) AS default_text, COALESCE(k.key_ordinal, 0) AS key_ordinal`

const tablesFrom = `
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.columns AS c ON c.object_id = t.object_id
LEFT JOIN sys.default_constraints AS d ON d.object_id = c.default_object_id
LEFT JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.is_primary_key = 1
LEFT JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.column_id = c.column_id`

const tablesWhere = `
WHERE s.name = @p1 AND t.is_ms_shipped = 0
ORDER BY t.object_id, c.column_id`

type catalogueColumn struct {
	Schema    string  `db:"schema_name"`
	Table     string  `db:"table_name"`
	Name      string  `db:"column_name"`
	Type      string  `db:"type_name"`
	MaxLength int     `db:"max_length"`
	Precision int     `db:"precision"`
	Scale     int     `db:"scale"`
	Nullable  bool    `db:"is_nullable"`
	Computed  bool    `db:"is_computed"`
	Default   *string `db:"default_text"`
	Key       int     `db:"key_ordinal"`

	GeneratedAlways int     `db:"generated_always"`
	Encrypted       bool    `db:"is_encrypted"`
	Graph           bool    `db:"is_graph"`
	Dropped         bool    `db:"is_dropped"`
	Masked          bool    `db:"is_masked"`
	InMemory        bool    `db:"in_memory"`
	Policy          *string `db:"policy"`
}

// maxPeriod is the greatest generated_always_type of a temporal table's period;
// what is greater belongs to a ledger.
const maxPeriod = 2

// omit says why the column cannot be compared, and whether the server fills it.
func (c catalogueColumn) omit() (reason string, generated bool) {
	switch {
	case c.Dropped:
		return "dropped column of a ledger table", true
	case c.Graph:
		return "pseudo-column of a graph table", true
	case c.GeneratedAlways > maxPeriod:
		return "ledger column, which the server fills", true
	case c.GeneratedAlways > 0:
		return "period column of a temporal table, which the server fills", true
	case c.Encrypted:
		return "encrypted by Always Encrypted", false
	case c.Masked:
		return "masked, and the login lacks UNMASK", false
	default:
		return "", false
	}
}

func (s *server) tables(ctx context.Context, q sqlx.QueryerContext) ([]store.Table, error) {
	columns, err := s.columns(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, c := range columns {
		name := s.tableName(store.Table{Schema: c.Schema, Name: c.Table})
		if c.InMemory {
			s.inMemory.Store(name, true)
		} else if s.catalogue().Memory > 0 {
			s.inMemory.Delete(name)
		}
	}
	return catalogue(columns), nil
}

func (s *server) columns(ctx context.Context, q sqlx.QueryerContext) (columns []catalogueColumn, err error) {
	err = sqlx.SelectContext(ctx, q, &columns, s.limitLocks()+tablesText(s.catalogue()), s.schema())
	return columns, err
}

// catalogue makes tables of columns that are grouped by table.
func catalogue(columns []catalogueColumn) []store.Table {
	var tables []store.Table
	for len(columns) > 0 {
		first := columns[0]
		end := slices.IndexFunc(columns, func(c catalogueColumn) bool { return c.Table != first.Table })
		if end < 0 {
			end = len(columns)
		}
		t := store.Table{Schema: first.Schema, Name: first.Table}
		if first.Policy != nil {
			t.Omit = fmt.Sprintf("security policy %s may hide rows from this login", *first.Policy)
		}
		keys := 0
		for _, c := range columns[:end] {
			t.Columns = append(t.Columns, c.column())
			keys = max(keys, c.Key)
		}
		t.Key = make([]string, keys)
		for _, c := range columns[:end] {
			if c.Key > 0 {
				t.Key[c.Key-1] = c.Name
			}
		}
		tables = append(tables, t)
		columns = columns[end:]
	}
	return tables
}

func (c catalogueColumn) column() store.Column {
	col := store.Column{Name: c.Name, Type: c.columnType(), Nullable: c.Nullable, Generated: c.Computed}
	var filled bool
	col.Omit, filled = c.omit()
	if filled || col.Type.Name == "rowversion" {
		col.Generated = true
	} else if c.Default != nil && !c.Computed {
		col.Default = *c.Default
	}
	return col
}

func (c catalogueColumn) columnType() store.Type {
	t, err := store.ParseType(c.Type)
	if err != nil {
		return store.Type{Name: c.Type}
	}
	const noLimit = -1 // the max_length of varchar(max) and its like
	switch t.Name {
	case "decimal":
		t.Precision, t.Scale = c.Precision, c.Scale
	case "time", "datetime2", "datetimeoffset":
		t.Scale = c.Scale
	case "char", "varchar", "binary", "varbinary":
		t.Length = c.MaxLength
	case "nchar", "nvarchar":
		t.Length = c.MaxLength / 2 // of bytes
	default:
		return t
	}
	if c.MaxLength == noLimit {
		t.Length = store.MaxLength
	}
	return t
}
