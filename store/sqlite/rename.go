package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// rename leaves views, and triggers of other tables, as they are: they mean the
// table that has the old name, now and when it is there again. SQLite does so
// only in its legacy mode, in which a broken view of somebody else's stops
// nothing either.
func rename(ctx context.Context, tx sqlstore.Execer, _ store.Table, table, name string) (err error) {
	quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	var legacy int
	if err := sqlx.GetContext(ctx, tx, &legacy, "PRAGMA legacy_alter_table"); err != nil {
		return err
	}
	if legacy == 0 {
		if _, err := tx.ExecContext(ctx, "PRAGMA legacy_alter_table = ON"); err != nil {
			return err
		}
		defer func() {
			// The setting is the connection's, and the transaction does not take it back.
			_, off := tx.ExecContext(context.WithoutCancel(ctx), "PRAGMA legacy_alter_table = OFF")
			if err == nil {
				err = off
			}
		}()
	}
	_, err = tx.ExecContext(ctx, "ALTER TABLE "+table+" RENAME TO "+quoted)
	return notRenamed(ctx, tx, name, err)
}

// notRenamed says what stands in the way of a rename, which only SQLite's text
// tells.
func notRenamed(ctx context.Context, tx sqlstore.Execer, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), " after rename: "):
		return fmt.Errorf("a CHECK in its definition names the table and would be wrong under another name: write its columns there without the table's name: %w: %w",
			errors.ErrUnsupported, err)
	case strings.Contains(err.Error(), "there is already another table or index with this name"):
		const query = "SELECT type || ' ' || name || CASE WHEN tbl_name = name THEN '' ELSE ' of table ' || tbl_name END FROM main.sqlite_schema" +
			" WHERE name = ?1 COLLATE NOCASE AND type <> 'trigger' LIMIT 1"
		var other string
		if sqlx.GetContext(ctx, tx, &other, query, name) != nil {
			return err
		}
		return fmt.Errorf("%s has the name that it would get: drop that, or give it another name: %w", other, err)
	}
	return err
}
