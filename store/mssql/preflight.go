package mssql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// target is what a permission is needed on.
type target uint8

const (
	allTables     target = iota // every table of the schema
	metadataTable               // the metadata table alone
	wholeSchema
)

// need is one permission, or one of two of which either will do.
type need struct {
	permission, or string
	on             target
}

// needs are the permissions of each operation, as the documentation of the
// T-SQL statements that it runs states them. A permission on the schema holds
// for all of its tables. Membership in db_datareader, db_datawriter and
// db_ddladmin covers them all and more.
//
//	Operation                    Statements                                GRANT
//	Status                       SELECT, SELECT COUNT                      SELECT ON SCHEMA::<schema>
//	Compare                      SELECT COUNT, SELECT, catalogue           SELECT, VIEW DEFINITION ON SCHEMA::<schema>, of both databases
//	ResetTables                  SELECT, UPDATE                            SELECT ON SCHEMA, UPDATE ON OBJECT::<metadata table>
//	ResetTables with Truncate    ... TRUNCATE TABLE, or DELETE             ... ALTER ON SCHEMA, or DELETE ON SCHEMA
//	HardReset                    SELECT, sp_rename <metadata table>        SELECT, ALTER ON SCHEMA
//	HardReset of Tables          SELECT, DELETE                            SELECT ON SCHEMA, DELETE ON OBJECT::<metadata table>
//	HardReset with DropData      ... DROP TABLE                            ... ALTER ON SCHEMA
//	Undo of ResetTables          SELECT, UPDATE                            SELECT ON SCHEMA, UPDATE ON OBJECT::<metadata table>
//	Undo of HardReset of Tables  SELECT, INSERT                            SELECT ON SCHEMA, INSERT ON OBJECT::<metadata table>
//	Undo of HardReset            SELECT, sp_rename <kept table>            SELECT, ALTER ON SCHEMA
//	change tracking              CHANGETABLE                               SELECT, VIEW CHANGE TRACKING ON SCHEMA, of the source
//
// The application lock of Updates needs no permission, and VIEW DEFINITION only
// makes column defaults visible. A dry run needs what the operation needs. A metadata
// table that cannot be renamed is dropped, and Undo then also needs INSERT and
// CREATE TABLE.
var needs = []struct {
	operation string
	needs     []need
}{
	{"Status", []need{{permission: "SELECT", on: allTables}}},
	{"Compare", []need{{permission: "SELECT", on: allTables}, {permission: "VIEW DEFINITION", on: allTables}}},
	{"ResetTables", []need{{permission: "SELECT", on: allTables}, {permission: "UPDATE", on: metadataTable}}},
	{"ResetTables with Truncate", []need{{permission: "SELECT", on: allTables}, {permission: "UPDATE", on: metadataTable}, {permission: "ALTER", or: "DELETE", on: allTables}}},
	{"HardReset", []need{{permission: "SELECT", on: allTables}, {permission: "ALTER", on: wholeSchema}}},
	{"HardReset of Tables", []need{{permission: "SELECT", on: allTables}, {permission: "DELETE", on: metadataTable}}},
	{"HardReset with DropData", []need{{permission: "SELECT", on: allTables}, {permission: "DELETE", on: metadataTable}, {permission: "ALTER", on: wholeSchema}}},
	{"Undo of ResetTables", []need{{permission: "SELECT", on: allTables}, {permission: "UPDATE", on: metadataTable}}},
	{"Undo of HardReset of Tables", []need{{permission: "SELECT", on: allTables}, {permission: "INSERT", on: metadataTable}}},
	{"Undo of HardReset", []need{{permission: "SELECT", on: allTables}, {permission: "ALTER", on: wholeSchema}}},
	{"change tracking", []need{{permission: "SELECT", on: allTables}, {permission: "VIEW CHANGE TRACKING", on: allTables}}},
}

// Lack is a permission that the login lacks for one operation.
type Lack struct {
	// Operation is the operation, such as "ResetTables with Truncate".
	Operation string

	// Permission is the permission, such as "UPDATE", and On what it is
	// needed on, such as "OBJECT::[dbo].[Cust10195_mirroring]".
	Permission, On string

	// Grant is the statement that an administrator of the database runs, or in
	// words what to do where none is enough.
	Grant string
}

// String says what is lacking and what to run.
func (l Lack) String() string {
	return fmt.Sprintf("%s needs %s on %s: %s", l.Operation, l.Permission, l.On, l.Grant)
}

// permissions are what was asked of one securable.
var tablePermissions = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "VIEW DEFINITION", "VIEW CHANGE TRACKING"}

type securable struct {
	Schema  *string `db:"schema_name"` // nil for the database, of which nothing was asked
	Table   *string `db:"table_name"`  // nil for the schema itself
	User    string  `db:"user_name"`
	Granted string  `db:"granted"` // one 0 or 1 for each permission
}

// has reports whether a permission was granted.
func (s securable) has(permission string) bool {
	i := slices.Index(tablePermissions, permission)
	return i >= 0 && i < len(s.Granted) && s.Granted[i] == '1'
}

// granted returns the SQL that lists as zeros and ones which permissions the
// login has. HAS_PERMS_BY_NAME answers NULL for what does not exist.
func granted(securable, class string) string {
	parts := make([]string, len(tablePermissions))
	for i, p := range tablePermissions {
		parts[i] = fmt.Sprintf("CASE HAS_PERMS_BY_NAME(%s, '%s', '%s') WHEN 1 THEN '1' ELSE '0' END", securable, class, p)
	}
	return strings.Join(parts, " + ")
}

func permissionsQuery() string {
	return "SELECT CONVERT(nvarchar(128), NULL) AS schema_name, CONVERT(nvarchar(128), NULL) AS table_name, USER_NAME() AS user_name, '' AS granted" + `
UNION ALL
SELECT CONVERT(nvarchar(128), s.name), NULL, USER_NAME(), ` + granted("QUOTENAME(s.name)", "SCHEMA") + `
FROM sys.schemas AS s WHERE s.name = @p1
UNION ALL
SELECT CONVERT(nvarchar(128), s.name), CONVERT(nvarchar(128), t.name), USER_NAME(), ` + granted("CONCAT(QUOTENAME(s.name), '.', QUOTENAME(t.name))", "OBJECT") + `
FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE s.name = @p1 AND t.is_ms_shipped = 0`
}

// Preflight returns which permissions the login lacks for which operation, in
// the order of the operations. An empty list means that it lacks none. It
// changes nothing. Tables that the login has no permission on at all are
// invisible to it, so they are not seen here either; a SELECT on the schema
// makes sure that there are none.
//
// The metadata table is every table whose name ends in "_mirroring"; one of
// another name has to be checked by hand. At the end stands what hides values or
// rows from the login of Compare: UNMASK for masked columns, and every row of a table with
// a filter of row-level security. Policies are seen with VIEW DEFINITION alone.
func (s *Source) Preflight(ctx context.Context) ([]Lack, error) {
	var list []securable
	var columns []catalogueColumn
	err := s.sql.Query(ctx, "read permissions", func(ctx context.Context, q sqlx.QueryerContext) error {
		err := sqlx.SelectContext(ctx, q, &list, s.server.limitLocks()+permissionsQuery(), s.server.schema())
		if err == nil {
			columns, err = s.server.columns(ctx, q)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return append(lacks(list, s.server.schema()), hidden(columns, list[0].User)...), nil
}

// hidden lists what a login lacks to see all values and all rows.
func hidden(columns []catalogueColumn, user string) (lacks []Lack) {
	last := ""
	for _, c := range columns {
		table := "OBJECT::" + quote(c.Schema) + "." + quote(c.Table)
		if c.Policy != nil && table != last {
			lacks = append(lacks, Lack{Operation: "Compare", Permission: "every row", On: table,
				Grant: fmt.Sprintf("let the filter of security policy %s pass all rows to %s", *c.Policy, quote(user))})
		}
		last = table
		if c.Masked {
			lacks = append(lacks, Lack{Operation: "Compare", Permission: "UNMASK", On: table + " (" + quote(c.Name) + ")",
				Grant: "GRANT UNMASK TO " + quote(user)})
		}
	}
	return lacks
}

func lacks(list []securable, schema string) []Lack {
	var user string
	var whole securable
	var tables []securable
	for _, s := range list {
		user = s.User
		switch {
		case s.Table != nil:
			tables = append(tables, s)
		case s.Schema != nil:
			whole = s
		}
	}
	var lacks []Lack
	for _, op := range needs {
		for _, n := range op.needs {
			lack := func(on string) {
				lacks = append(lacks, Lack{Operation: op.operation, Permission: n.permission, On: on,
					Grant: fmt.Sprintf("GRANT %s ON %s TO %s", n.permission, on, quote(user))})
			}
			has := func(s securable) bool {
				return s.has(n.permission) || n.or != "" && s.has(n.or)
			}
			switch {
			case n.on == wholeSchema:
				if !has(whole) {
					lack("SCHEMA::" + quote(schema))
				}
			default:
				wanted := slices.DeleteFunc(slices.Clone(tables), func(s securable) bool {
					return n.on == metadataTable && !strings.HasSuffix(store.FoldName(*s.Table), superoffice.MetadataSuffix)
				})
				without := slices.DeleteFunc(slices.Clone(wanted), has)
				switch {
				case len(without) == 1 && n.on == metadataTable:
					lack("OBJECT::" + quote(schema) + "." + quote(*without[0].Table))
				case len(without) > 0 || len(wanted) == 0 && !has(whole):
					lack("SCHEMA::" + quote(schema))
				}
			}
		}
	}
	return lacks
}
