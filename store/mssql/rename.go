package mssql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// constraintsQuery lists the constraints that somebody gave a name. Names that
// the server made are never made twice.
const constraintsQuery = `SELECT CONVERT(nvarchar(128), c.name) FROM (
	SELECT name, parent_object_id, is_system_named FROM sys.key_constraints
	UNION ALL SELECT name, parent_object_id, is_system_named FROM sys.check_constraints
	UNION ALL SELECT name, parent_object_id, is_system_named FROM sys.default_constraints
	UNION ALL SELECT name, parent_object_id, is_system_named FROM sys.foreign_keys
) AS c WHERE c.parent_object_id = OBJECT_ID(@p1) AND c.is_system_named = 0 ORDER BY c.name`

const renameText = "EXEC sp_rename @p1, @p2, 'OBJECT'"

// maxIdentifier is SQL Server's limit for a name.
const maxIdentifier = 128

// rename renames a table and its constraints, whose names are unique in their
// schema: a table that is created anew may have constraints of these names.
func rename(ctx context.Context, tx sqlstore.Execer, t store.Table, table, name string) error {
	var constraints []string
	if err := sqlx.SelectContext(ctx, tx, &constraints, constraintsQuery, table); err != nil {
		return err
	}
	schema := strings.TrimSuffix(table, quote(t.Name))
	for _, c := range constraints {
		to := constraintName(c, t.Name, name)
		if utf8.RuneCountInString(to) > maxIdentifier {
			return fmt.Errorf("the name of constraint %s is too long: %w", c, errors.ErrUnsupported)
		}
		if err := execRename(ctx, tx, schema+quote(c), to); err != nil {
			return err
		}
	}
	return execRename(ctx, tx, table, name)
}

// constraintName marks a constraint with the name that its table gets. The mark
// that the table's old name left is taken away.
func constraintName(constraint, from, to string) string {
	if was, ok := strings.CutSuffix(constraint, "@"+from); ok && was != "" {
		return was
	}
	return constraint + "@" + to
}

func execRename(ctx context.Context, tx sqlstore.Execer, object, name string) error {
	_, err := tx.ExecContext(ctx, renameText, object, name)
	for _, e := range answers(err) {
		if e.SQLErrorNumber() == otherServer && strings.Contains(e.Error(), "not supported") {
			return fmt.Errorf("this server cannot rename %s: %w: %w", object, errors.ErrUnsupported, err)
		}
	}
	return err
}
