package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// affinity is the word in a declared type that keeps SQLite from converting
// the values of a type.
func affinity(t store.Type) string {
	switch {
	case t.Kind() == store.KindDecimal, t.Name == "xml":
		return "_text"
	case t.Kind() == store.KindFloat, t.Kind() == store.KindAny:
		return "_blob"
	default:
		return ""
	}
}

// SQLite takes only numbers as the size of a type.
const (
	sizeMax     = "(max)"
	declaredMax = "(2147483647)"
)

func columnType(t store.Type) string {
	return t.Name + affinity(t) + strings.Replace(t.String()[len(t.Name):], sizeMax, declaredMax, 1)
}

// ownTypes are declared types, without a size, that mean something else to
// SQLite than to SQL Server: its integers have 64 bits, and text without a size
// has no limit.
var ownTypes = map[string]string{
	"integer": "bigint", "char": "varchar(max)", "varchar": "varchar(max)", "nchar": "nvarchar(max)", "nvarchar": "nvarchar(max)",
	"character": "varchar(max)", "binary": "varbinary(max)", "varbinary": "varbinary(max)",
	"boolean": "bit", "bool": "bit", "timestamp": "datetime2(7)",
}

// parseType is the inverse of columnType. What others declared is the type whose
// values it holds most likely. What holds anything is any: values that are not of
// the type are compared as they are stored.
func parseType(declared string) store.Type {
	name, size, sized := strings.Cut(strings.ToLower(strings.TrimSpace(declared)), "(")
	name = strings.TrimSpace(name)
	bare := name
	for _, word := range []string{"_text", "_blob"} {
		bare = strings.TrimSuffix(bare, word)
	}
	if sized {
		size = strings.Replace("("+size, declaredMax, sizeMax, 1)
	}
	if own, ok := ownTypes[name]; ok && !sized {
		return store.MustType(own)
	}
	if (name == "datetime" || name == "timestamp") && sized {
		if t, err := store.ParseType("datetime2" + size); err == nil {
			return t
		}
		return store.MustType("datetime2(7)")
	}
	t, err := store.ParseType(bare + size)
	switch {
	case err != nil:
		return byAffinity(name)
	case bare+affinity(t) == name, t.Kind() == store.KindDecimal, t.Name == "xml", t.Kind() == store.KindAny:
		return t
	default:
		return byAffinity(name)
	}
}

// byAffinity is the type of values in a column of a declared type that is no other's.
func byAffinity(name string) store.Type {
	switch affinityOf(name) {
	case "INTEGER":
		return store.MustType("bigint")
	case "TEXT":
		return store.MustType("nvarchar(max)")
	case "BLOB":
		if name != "" {
			return store.MustType("varbinary(max)")
		}
	case "REAL":
		return store.MustType("float")
	}
	return store.MustType("any")
}

// affinityOf goes by the rules of SQLite, in their order: see
// https://www.sqlite.org/datatype3.html#determination_of_column_affinity.
func affinityOf(declared string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(declared), w) })
	}
	switch {
	case has("int"):
		return "INTEGER"
	case has("char", "clob", "text"):
		return "TEXT"
	case has("blob") || declared == "":
		return "BLOB"
	case has("real", "floa", "doub"):
		return "REAL"
	default:
		return "NUMERIC"
	}
}

// nowExpr is the time as a column of type t stores it.
func nowExpr(t store.Type) string {
	const seconds = "strftime('%Y-%m-%d %H:%M:%f','now')" // with three digits of a fraction
	text, digits := seconds, t.Scale
	switch t.Name {
	case "date":
		return "strftime('%Y-%m-%d','now')"
	case "smalldatetime":
		return "strftime('%Y-%m-%d %H:%M:00','now')"
	case "time":
		text = "strftime('%H:%M:%f','now')"
	case "datetime2", "datetimeoffset":
	default:
		return seconds
	}
	switch whole := len(timeLayout(store.Type{Name: t.Name})); {
	case digits == 0:
		text = fmt.Sprintf("substr(%s,1,%d)", text, whole)
	case digits < 3:
		text = fmt.Sprintf("substr(%s,1,%d)", text, whole+1+digits)
	case digits > 3:
		text += "||'" + strings.Repeat("0", digits-3) + "'"
	}
	if t.Name == "datetimeoffset" {
		text += "||' +00:00'"
	}
	return text
}

// defaultFunctions are the functions for the time, and what the catalogue gives
// them back as.
func defaultFunctions() map[string]string {
	now := "(" + nowExpr(store.Type{}) + ")"
	known := map[string]string{"current_timestamp": now}
	for _, f := range []string{"getdate()", "getutcdate()", "sysdatetime()", "sysutcdatetime()"} {
		known[f] = now
	}
	for _, name := range []string{"date", "smalldatetime", "datetime", "time", "datetime2", "datetimeoffset"} {
		for scale := range 8 {
			expr := nowExpr(store.Type{Name: name, Scale: scale})
			known[strings.ToLower(expr)] = "(" + expr + ")"
		}
	}
	return known
}

// tables reads the catalogue. A virtual table whose module this program lacks
// has no columns, and the reason for that.
func tables(ctx context.Context, q sqlx.QueryerContext) ([]store.Table, error) {
	const plain = "m.sql NOT LIKE 'CREATE VIRTUAL %'"
	list, err := tablesWhere(ctx, q, plain)
	if err != nil {
		return nil, err
	}
	var virtual []string
	err = sqlx.SelectContext(ctx, q, &virtual, "SELECT m.name FROM main.sqlite_schema AS m WHERE m.type = 'table' AND NOT "+plain+" ORDER BY m.name")
	if err != nil {
		return nil, err
	}
	for _, name := range virtual {
		found, err := tablesWhere(ctx, q, "m.name = ?1", name)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			found = []store.Table{{Name: name, Omit: "a virtual table that cannot be read: " + err.Error()}}
		}
		list = append(list, found...)
	}
	return list, nil
}

func tablesWhere(ctx context.Context, q sqlx.QueryerContext, condition string, args ...any) ([]store.Table, error) {
	var columns []struct {
		Table    string  `db:"table_name"`
		Name     string  `db:"name"`
		Type     string  `db:"type"`
		NotNull  bool    `db:"notnull"`
		Default  *string `db:"dflt_value"`
		Key      int     `db:"pk"`
		IsHidden int     `db:"hidden"`
		IsRowID  bool    `db:"is_rowid"`
	}
	// A key without an index of its own is the row's number, which is never NULL
	// whatever the catalogue says.
	err := sqlx.SelectContext(ctx, q, &columns, `
		SELECT m.name AS table_name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden,
			c.pk > 0 AND m.sql NOT LIKE 'CREATE VIRTUAL %'
				AND NOT EXISTS (SELECT 1 FROM pragma_index_list(m.name, 'main') AS i WHERE i.origin = 'pk') AS is_rowid
		FROM main.sqlite_schema AS m, pragma_table_xinfo(m.name, 'main') AS c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND `+condition+`
		ORDER BY m.name, c.cid`, args...)
	if err != nil {
		return nil, err
	}
	var list []store.Table
	var keys []map[int]string
	for _, c := range columns {
		if len(list) == 0 || list[len(list)-1].Name != c.Table {
			list = append(list, store.Table{Name: c.Table})
			keys = append(keys, map[int]string{})
		}
		if c.IsHidden == 1 { // of a virtual table: a parameter, no value of the row
			continue
		}
		t := &list[len(list)-1]
		col := store.Column{
			Name:      c.Name,
			Type:      parseType(c.Type),
			Nullable:  !c.NotNull && !c.IsRowID,
			Generated: c.IsHidden > 1, // 2 and 3 are generated columns
		}
		if c.Default != nil {
			col.Default = *c.Default
		}
		t.Columns = append(t.Columns, col)
		if c.Key > 0 {
			keys[len(keys)-1][c.Key] = c.Name
		}
	}
	for i := range list {
		for n := 1; n <= len(keys[i]); n++ {
			list[i].Key = append(list[i].Key, keys[i][n])
		}
	}
	return list, nil
}
