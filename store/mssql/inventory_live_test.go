package mssql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func quoted(schema, name string) string {
	q := mssqldb.TSQLQuoter{}
	return q.ID(schema) + "." + q.ID(name)
}

// makeObject is the option storetest.Objects.
func makeObject(ctx context.Context, st store.Store, o store.Object) error {
	id := mssqldb.TSQLQuoter{}.ID
	var from []string
	for _, n := range o.Uses {
		from = append(from, quoted(n.Schema, n.Name))
	}
	query := "SELECT 1 AS one FROM " + strings.Join(from, ", ")
	name, on := quoted(o.Schema, o.Name), quoted(o.On.Schema, o.On.Name)
	var statements []string
	switch o.Kind {
	case store.ObjectView:
		statements = []string{"CREATE VIEW " + name + " AS " + query}
	case store.ObjectProcedure:
		statements = []string{"CREATE PROCEDURE " + name + " AS " + query}
	case store.ObjectIndex:
		unique, columns := "", o.Detail
		if rest, ok := strings.CutPrefix(columns, "unique "); ok {
			unique, columns = "UNIQUE ", rest
		}
		statements = []string{fmt.Sprintf("CREATE %sINDEX %s ON %s %s", unique, id(o.Name), on, columns)}
	case store.ObjectTrigger:
		statements = []string{fmt.Sprintf("CREATE TRIGGER %s ON %s %s AS SELECT 1", name, on, o.Detail)}
	case store.ObjectSynonym:
		statements = []string{"CREATE SYNONYM " + name + " FOR " + from[0]}
	case store.ObjectGrant:
		statements = []string{"CREATE ROLE " + id(o.Name), fmt.Sprintf("%s ON %s TO %s", o.Detail, on, id(o.Name))}
	default:
		return errors.ErrUnsupported
	}
	for _, s := range statements {
		if _, err := st.(interface{ DB() *sqlx.DB }).DB().ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// dropObjects drops what would outlive its tables.
func dropObjects(db *sqlx.DB) error {
	var drops []struct{ Kind, Schema, Name string }
	err := db.Select(&drops, `SELECT CASE o.type WHEN 'V' THEN 'VIEW' WHEN 'P' THEN 'PROCEDURE' WHEN 'SN' THEN 'SYNONYM' ELSE 'FUNCTION' END AS kind,
			CONVERT(nvarchar(128), s.name) AS [schema], CONVERT(nvarchar(128), o.name) AS name
		FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id WHERE o.type IN ('V', 'P', 'SN', 'FN') AND o.is_ms_shipped = 0
		ORDER BY o.object_id DESC`) // a view is younger than what it uses
	if err != nil {
		return err
	}
	for _, d := range drops {
		if _, err := db.Exec("DROP " + d.Kind + " " + quoted(d.Schema, d.Name)); err != nil {
			return err
		}
	}
	var roles []string
	if err := db.Select(&roles, "SELECT CONVERT(nvarchar(128), name) FROM sys.database_principals WHERE type = 'R' AND is_fixed_role = 0 AND name <> 'public'"); err != nil {
		return err
	}
	for _, r := range roles {
		if _, err := db.Exec("DROP ROLE " + mssqldb.TSQLQuoter{}.ID(r)); err != nil {
			return err
		}
	}
	return nil
}

// TestObjects: what the suite leaves to each engine. Babelfish adds to the names of
// indexes, so they are told by how they begin.
func TestObjects(t *testing.T) {
	db := openDB(t)
	st := newStore(t, db, nil)
	for _, stmt := range []string{
		"CREATE TABLE person (id int NOT NULL PRIMARY KEY, name nvarchar(50) UNIQUE, age int, updated datetime)",
		"CREATE UNIQUE INDEX first_index ON person (age DESC, name)",
		"CREATE INDEX second_index ON person (updated) INCLUDE (name, age)",
		"CREATE TRIGGER on_change ON person AFTER UPDATE, INSERT AS SELECT 1",
		"CREATE FUNCTION twice(@n int) RETURNS int AS BEGIN RETURN 2 * @n END",
		"CREATE VIEW adults AS SELECT id FROM person",
	} {
		_, err := db.Exec(stmt)
		require.NoError(t, err, stmt)
	}
	list, ok, err := store.ObjectsOf(t.Context(), st)
	require.NoError(t, err)
	require.True(t, ok)
	person := store.ObjectName{Schema: "dbo", Name: "person"}
	for i, o := range list {
		list[i].Uses = nil
		for _, name := range []string{"first_index", "second_index"} {
			if strings.HasPrefix(o.Name, name) {
				list[i].Name = name
			}
		}
	}
	require.Equal(t, []store.Object{
		{Kind: store.ObjectIndex, Name: "first_index", On: person, Detail: "unique (age desc, name)"},
		{Kind: store.ObjectIndex, Name: "second_index", On: person, Detail: "(updated) include (age, name)"},
		{Kind: store.ObjectProcedure, Schema: "dbo", Name: "twice"},
		{Kind: store.ObjectTrigger, Schema: "dbo", Name: "on_change", On: person, Detail: "after insert, update"},
		{Kind: store.ObjectView, Schema: "dbo", Name: "adults"},
	}, list)
}
