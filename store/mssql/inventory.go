package mssql

import (
	"context"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// objectsQuery lists what is in schemas, and the triggers of the database itself.
// Left out is what the server or its tools made: what is shipped, the functions of
// change data capture, and the procedures behind Management Studio's diagrams.
const objectsQuery = `SELECT o.object_id AS id, CONVERT(nvarchar(2), o.type) AS type, CONVERT(nvarchar(128), s.name) AS schema_name, CONVERT(nvarchar(128), o.name) AS name,
	CONVERT(nvarchar(128), ps.name) AS parent_schema, CONVERT(nvarchar(128), p.name) AS parent_name,
	CONVERT(nvarchar(1035), y.base_object_name) AS target, CONVERT(nvarchar(128), DB_NAME()) AS database_name,
	COALESCE(g.is_instead_of_trigger, 0) AS instead_of, COALESCE(g.is_disabled, 0) AS is_disabled
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN sys.objects AS p ON p.object_id = o.parent_object_id
LEFT JOIN sys.schemas AS ps ON ps.schema_id = p.schema_id
LEFT JOIN sys.synonyms AS y ON y.object_id = o.object_id
LEFT JOIN sys.triggers AS g ON g.object_id = o.object_id
WHERE o.is_ms_shipped = 0 AND s.name <> @p1 AND o.type IN ('V', 'TR', 'TA', 'SN', 'P', 'PC', 'FN', 'IF', 'TF', 'FS', 'FT', 'AF')
	AND NOT EXISTS (SELECT 1 FROM sys.extended_properties AS e
		WHERE e.class = 1 AND e.major_id = o.object_id AND e.minor_id = 0 AND e.name = 'microsoft_database_tools_support')
UNION ALL
SELECT g.object_id, CONVERT(nvarchar(2), g.type), NULL, CONVERT(nvarchar(128), g.name), NULL, NULL, NULL, CONVERT(nvarchar(128), DB_NAME()), 0, g.is_disabled
FROM sys.triggers AS g WHERE g.is_ms_shipped = 0 AND g.parent_class = 0`

// captureSchema is the schema that change data capture makes for itself.
const captureSchema = "cdc"

type objectRow struct {
	ID           int64   `db:"id"`
	Type         string  `db:"type"`
	Schema       *string `db:"schema_name"` // a trigger of the database is in none
	Name         string  `db:"name"`
	ParentSchema *string `db:"parent_schema"`
	Parent       *string `db:"parent_name"`
	Target       *string `db:"target"`
	Database     string  `db:"database_name"`
	InsteadOf    bool    `db:"instead_of"`
	Disabled     bool    `db:"is_disabled"`
}

// eventsQuery lists what triggers fire on. A group of events of the database
// counts as one.
const eventsQuery = `SELECT DISTINCT e.object_id AS id, CONVERT(nvarchar(128), COALESCE(e.event_group_type_desc, e.type_desc)) AS event
FROM sys.trigger_events AS e JOIN sys.triggers AS g ON g.object_id = e.object_id WHERE g.is_ms_shipped = 0`

type eventRow struct {
	ID    int64  `db:"id"`
	Event string `db:"event"`
}

// usesQuery asks for the dependencies that the server keeps by name. An entry that
// may as well be a method of a column's value is none.
const usesQuery = `SELECT DISTINCT d.referencing_id AS id, CONVERT(nvarchar(128), COALESCE(rs.name, d.referenced_schema_name)) AS schema_name,
	CONVERT(nvarchar(128), COALESCE(r.name, d.referenced_entity_name)) AS name, CASE WHEN r.object_id IS NULL THEN 0 ELSE 1 END AS is_found
FROM sys.sql_expression_dependencies AS d
LEFT JOIN sys.objects AS r ON r.object_id = d.referenced_id
LEFT JOIN sys.schemas AS rs ON rs.schema_id = r.schema_id
WHERE d.referencing_class IN (1, 12) AND d.referenced_class = 1 AND d.referenced_server_name IS NULL
	AND (d.referenced_database_name IS NULL OR d.referenced_database_name = DB_NAME())
	AND (d.is_ambiguous = 0 OR r.object_id IS NOT NULL)`

// oldUsesQuery asks for the dependencies by number alone, which every login may
// see: those of dropped tables are gone.
const oldUsesQuery = `SELECT DISTINCT d.object_id AS id, CONVERT(nvarchar(128), rs.name) AS schema_name, CONVERT(nvarchar(128), r.name) AS name, 1 AS is_found
FROM sys.sql_dependencies AS d
JOIN sys.objects AS r ON r.object_id = d.referenced_major_id
JOIN sys.schemas AS rs ON rs.schema_id = r.schema_id
WHERE d.class IN (0, 1)`

type useRow struct {
	ID     int64   `db:"id"`
	Schema *string `db:"schema_name"`
	Name   string  `db:"name"`
	Found  bool    `db:"is_found"`
}

// indexesQuery lists the indexes that are not those of a constraint, with one row
// for each column.
const indexesQuery = `SELECT CONVERT(nvarchar(128), s.name) AS schema_name, CONVERT(nvarchar(128), t.name) AS table_name, CONVERT(nvarchar(128), i.name) AS name,
	i.type, CONVERT(nvarchar(60), i.type_desc) AS type_desc, i.is_unique, i.is_disabled, CONVERT(nvarchar(max), i.filter_definition) AS filter,
	CONVERT(nvarchar(128), c.name) AS column_name, k.key_ordinal, k.is_descending_key AS is_descending, k.is_included_column AS is_included
FROM sys.indexes AS i
JOIN sys.objects AS t ON t.object_id = i.object_id
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE t.is_ms_shipped = 0 AND t.type IN ('U', 'V') AND s.name <> @p1 AND i.type > 0 AND i.name IS NOT NULL
	AND i.is_primary_key = 0 AND i.is_unique_constraint = 0 AND i.is_hypothetical = 0
ORDER BY i.object_id, i.index_id, k.key_ordinal, k.index_column_id`

type indexRow struct {
	Schema     string  `db:"schema_name"`
	Table      string  `db:"table_name"`
	Name       string  `db:"name"`
	Type       int     `db:"type"`
	TypeDesc   string  `db:"type_desc"`
	Unique     bool    `db:"is_unique"`
	Disabled   bool    `db:"is_disabled"`
	Filter     *string `db:"filter"`
	Column     string  `db:"column_name"`
	Ordinal    int     `db:"key_ordinal"`
	Descending bool    `db:"is_descending"`
	Included   bool    `db:"is_included"`
}

// grantsQuery lists the permissions on the database, its schemas and what is in
// them, and who is member of a role. Fixed roles have their own by nature, and dbo
// has all; each database lets everybody see two kinds of keys.
const grantsQuery = `SELECT CONVERT(nvarchar(128), g.name) AS grantee, CONVERT(nvarchar(60), p.state_desc) AS state, CONVERT(nvarchar(128), p.permission_name) AS permission,
	CONVERT(nvarchar(128), COALESCE(os.name, ps.name)) AS schema_name, CONVERT(nvarchar(128), o.name) AS name, CONVERT(nvarchar(128), c.name) AS column_name
FROM sys.database_permissions AS p
JOIN sys.database_principals AS g ON g.principal_id = p.grantee_principal_id
LEFT JOIN sys.objects AS o ON p.class = 1 AND o.object_id = p.major_id
LEFT JOIN sys.schemas AS os ON os.schema_id = o.schema_id
LEFT JOIN sys.columns AS c ON p.class = 1 AND c.object_id = p.major_id AND c.column_id = p.minor_id AND p.minor_id > 0
LEFT JOIN sys.schemas AS ps ON p.class = 3 AND ps.schema_id = p.major_id
WHERE g.is_fixed_role = 0 AND g.name <> @p1 AND g.name NOT LIKE '##%'
	AND (p.class = 0 OR p.class = 1 AND o.is_ms_shipped = 0 AND os.name <> @p2 OR p.class = 3 AND ps.name <> @p2)
	AND NOT (p.class = 0 AND g.name = 'public' AND p.permission_name IN ('VIEW ANY COLUMN MASTER KEY DEFINITION', 'VIEW ANY COLUMN ENCRYPTION KEY DEFINITION'))
UNION ALL
SELECT CONVERT(nvarchar(128), u.name), 'MEMBER OF', CONVERT(nvarchar(128), r.name), NULL, NULL, NULL
FROM sys.database_role_members AS m
JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id
WHERE u.is_fixed_role = 0 AND u.name <> @p1`

// owner is the user that owns every database.
const owner = "dbo"

const memberOf = "MEMBER OF"

type grantRow struct {
	Grantee    string  `db:"grantee"`
	State      string  `db:"state"`
	Permission string  `db:"permission"` // of a member the role
	Schema     *string `db:"schema_name"`
	Name       *string `db:"name"`
	Column     *string `db:"column_name"`
}

// inventory is what the catalogue says of all that is no table.
type inventory struct {
	objects []objectRow
	events  []eventRow
	uses    []useRow
	indexes []indexRow
	grants  []grantRow
}

func (s *server) objects(ctx context.Context, q sqlx.QueryerContext) ([]store.Object, error) {
	v, err := s.inventory(func(rows any, query string, args ...any) error {
		return sqlx.SelectContext(ctx, q, rows, s.limitLocks()+query, args...)
	})
	if err != nil {
		return nil, err
	}
	return v.list(), nil
}

func (s *server) inventory(read func(rows any, query string, args ...any) error) (v inventory, err error) {
	const unused = 0 // a parameter makes a call of the batch, see limitLocks
	if err := read(&v.objects, objectsQuery, captureSchema); err != nil {
		return v, err
	}
	if err := read(&v.events, eventsQuery, unused); err != nil {
		return v, err
	}
	err = read(&v.uses, usesQuery, unused)
	if err != nil && classify(err) == sqlstore.ErrorPermission && s.catalogue().Depends > 0 {
		err = read(&v.uses, oldUsesQuery, unused)
	}
	if err != nil {
		return v, err
	}
	if err := read(&v.indexes, indexesQuery, captureSchema); err != nil {
		return v, err
	}
	return v, read(&v.grants, grantsQuery, owner, captureSchema)
}

func (v inventory) list() []store.Object {
	uses, events := map[int64][]useRow{}, map[int64][]string{}
	for _, u := range v.uses {
		uses[u.ID] = append(uses[u.ID], u)
	}
	for _, e := range v.events {
		events[e.ID] = append(events[e.ID], strings.ToLower(e.Event))
	}
	var list []store.Object
	for _, o := range v.objects {
		list = append(list, o.object(uses[o.ID], events[o.ID]))
	}
	for rows := v.indexes; len(rows) > 0; {
		first := rows[0]
		end := slices.IndexFunc(rows, func(r indexRow) bool {
			return r.Name != first.Name || r.Table != first.Table || r.Schema != first.Schema
		})
		if end < 0 {
			end = len(rows)
		}
		list = append(list, store.Object{Kind: store.ObjectIndex, Name: first.Name, On: store.ObjectName{Schema: first.Schema, Name: first.Table}, Detail: indexDetail(rows[:end])})
		rows = rows[end:]
	}
	for _, g := range v.grants {
		list = append(list, g.object())
	}
	return list
}

func (o objectRow) object(uses []useRow, events []string) store.Object {
	obj := store.Object{Schema: orEmpty(o.Schema), Name: o.Name}
	switch strings.TrimSpace(o.Type) {
	case "V":
		obj.Kind = store.ObjectView
	case "TR", "TA":
		obj.Kind, obj.On, obj.Detail = store.ObjectTrigger, store.ObjectName{Schema: orEmpty(o.ParentSchema), Name: orEmpty(o.Parent)}, o.fires(events)
	case "SN":
		obj.Kind = store.ObjectSynonym
		if name, ok := nameIn(o.Database, orEmpty(o.Target)); ok {
			obj.Uses = []store.ObjectName{name}
		} else {
			obj.Detail = orEmpty(o.Target)
		}
	default:
		obj.Kind = store.ObjectProcedure
	}
	for _, u := range uses {
		// An UPDATE or DELETE of an alias is kept as the use of a table of that
		// name. A view has neither, so what it names and is not found is missing.
		if u.Found || obj.Kind == store.ObjectView {
			obj.Uses = append(obj.Uses, store.ObjectName{Schema: orEmpty(u.Schema), Name: u.Name})
		}
	}
	return obj
}

// fires returns when a trigger does: "after insert, update".
func (o objectRow) fires(events []string) string {
	slices.Sort(events)
	detail := "after "
	if o.InsteadOf {
		detail = "instead of "
	}
	detail += strings.Join(events, ", ")
	if o.Disabled {
		detail += " disabled"
	}
	return detail
}

// The types of sys.indexes that are as every engine has them.
const (
	clustered    = 1
	nonclustered = 2
)

// indexDetail describes the index of rows, which are its columns.
func indexDetail(rows []indexRow) string {
	var keys, included []string
	plain := rows[0].Type == clustered || rows[0].Type == nonclustered
	for _, r := range rows {
		switch {
		case r.Descending && r.Ordinal > 0:
			keys = append(keys, r.Column+" desc")
		case r.Ordinal > 0 || !plain: // a columnstore has no keys, and includes all its columns
			keys = append(keys, r.Column)
		case r.Included:
			included = append(included, r.Column)
		} // what is left is a column that only partitions
	}
	slices.Sort(included) // their order means nothing
	first := rows[0]
	detail := "(" + strings.Join(keys, ", ") + ")"
	if !plain {
		detail = strings.ToLower(first.TypeDesc) + " " + detail
	}
	if first.Unique {
		detail = "unique " + detail
	}
	if len(included) > 0 {
		detail += " include (" + strings.Join(included, ", ") + ")"
	}
	if first.Filter != nil {
		detail += " where " + *first.Filter
	}
	if first.Disabled {
		detail += " disabled"
	}
	return detail
}

func (g grantRow) object() store.Object {
	o := store.Object{Kind: store.ObjectGrant, Name: g.Grantee, On: store.ObjectName{Schema: orEmpty(g.Schema), Name: orEmpty(g.Name)}}
	if g.State == memberOf {
		o.Detail = "member of " + g.Permission
		return o
	}
	state, option := g.State, ""
	if rest, ok := strings.CutSuffix(state, "_WITH_GRANT_OPTION"); ok {
		state, option = rest, " with grant option"
	}
	o.Detail = strings.ToLower(state + " " + g.Permission)
	if g.Column != nil {
		o.Detail += " (" + *g.Column + ")"
	}
	o.Detail += option
	return o
}

// nameIn returns what a synonym stands for, such as "[crm7].[person]", and false
// when that is in another database or on another server.
func nameIn(database, target string) (store.ObjectName, bool) {
	parts := nameParts(target)
	if len(parts) == 0 || len(parts) > 3 {
		return store.ObjectName{}, false
	}
	if len(parts) == 3 && parts[0] != "" && store.FoldName(parts[0]) != store.FoldName(database) {
		return store.ObjectName{}, false
	}
	name := store.ObjectName{Name: parts[len(parts)-1]}
	if len(parts) > 1 {
		name.Schema = parts[len(parts)-2]
	}
	return name, name.Name != ""
}

// nameParts splits a name at the points outside of brackets and quotes.
func nameParts(name string) (parts []string) {
	var part strings.Builder
	for i := 0; i < len(name); i++ {
		closing := map[byte]byte{'[': ']', '"': '"'}[name[i]]
		switch {
		case name[i] == '.':
			parts = append(parts, part.String())
			part.Reset()
		case closing != 0 && part.Len() == 0:
			for i++; i < len(name); i++ {
				if name[i] == closing {
					if i+1 == len(name) || name[i+1] != closing {
						break
					}
					i++
				}
				part.WriteByte(name[i])
			}
		default:
			part.WriteByte(name[i])
		}
	}
	return append(parts, part.String())
}

func orEmpty(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
