package sqlite

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// rename leaves views, and triggers of other tables, as they are: they mean the
// table that has the old name, now and when it is there again. SQLite does so
// only in its legacy mode, in which a broken view of somebody else's stops
// nothing either.
func rename(ctx context.Context, tx sqlstore.Execer, _ mirror.Table, table, name string) (err error) {
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
	return err
}
