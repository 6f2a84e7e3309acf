package sqlite

import (
	"context"
	"os"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// identity asks SQLite for its file. That is the same one whatever path or link
// leads to it. Which database in memory it is cannot be told: several pools can
// share one, and SQLite does not say so.
func identity(ctx context.Context, q sqlx.QueryerContext) (store.Identity, error) {
	var is struct {
		Version string `db:"version"`
		File    string `db:"file"`
	}
	err := sqlx.GetContext(ctx, q, &is,
		"SELECT sqlite_version() AS version, COALESCE(file, '') AS file FROM pragma_database_list WHERE name = 'main'")
	if err != nil {
		return store.Identity{}, err
	}
	id := store.Identity{Engine: "SQLite", Version: is.Version, Database: is.File}
	if is.File == "" {
		id.Database = ":memory:"
		return id, nil
	}
	info, err := os.Stat(is.File)
	if err != nil {
		return id, nil //nolint:nilerr // the file was moved away: it cannot be told
	}
	id.ID = "sqlite-file:" + fileID(is.File, info)
	return id, nil
}
