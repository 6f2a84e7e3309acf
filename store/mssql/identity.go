package mssql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
)

// identityQuery asks for what every login may see of its own database. The GUIDs
// of sys.database_recovery_status are no help: who may not see them would be told
// another identity, and a copy made of the files shares them.
const identityQuery = `SELECT CONVERT(nvarchar(300), @@VERSION) AS version_text,
	CONVERT(nvarchar(128), COALESCE(SERVERPROPERTY('ServerName'), @@SERVERNAME)) AS server_name,
	CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS product_version,
	CONVERT(int, SERVERPROPERTY('EngineEdition')) AS edition,
	CONVERT(nvarchar(128), DB_NAME()) AS database_name, CONVERT(int, DB_ID()) AS database_id,
	CONVERT(nvarchar(36), d.service_broker_guid) AS broker_guid, CONVERT(nvarchar(30), d.create_date, 126) AS created,
	COALESCE(SCHEMA_ID(@p1), 0) AS schema_id
FROM sys.databases AS d WHERE d.database_id = DB_ID()`

type identityRow struct {
	VersionText string  `db:"version_text"`
	Server      *string `db:"server_name"`
	Version     *string `db:"product_version"`
	Edition     *int    `db:"edition"`
	Database    string  `db:"database_name"`
	DatabaseID  int     `db:"database_id"`
	Broker      *string `db:"broker_guid"`
	Created     *string `db:"created"`
	SchemaID    int64   `db:"schema_id"`
}

// The editions of SERVERPROPERTY('EngineEdition') that have a name of their own.
const (
	azureDatabase = 5
	azureInstance = 8
)

func (s *server) identity(ctx context.Context, q sqlx.QueryerContext) (store.Identity, error) {
	var r identityRow
	if err := sqlx.GetContext(ctx, q, &r, s.limitLocks()+identityQuery, s.schema()); err != nil {
		return store.Identity{}, err
	}
	return r.identity(s.schema()), nil
}

// identity tells databases of one server apart by their number, and a database
// from one that is restored in its place by the date and the GUID. The server's
// name tells it from copies elsewhere. Each schema has tables of its own.
func (r identityRow) identity(schema string) store.Identity {
	id := store.Identity{Engine: "sqlserver", Version: orEmpty(r.Version), Server: orEmpty(r.Server), Database: r.Database, Schema: schema}
	switch {
	case strings.Contains(r.VersionText, "Babelfish"):
		id.Engine = "babelfish"
	case r.Edition != nil && (*r.Edition == azureDatabase || *r.Edition == azureInstance):
		id.Engine = "azuresql"
	}
	if id.Server == "" {
		return id // which database of which server cannot be told
	}
	h := sha256.New()
	for _, part := range []string{strings.ToUpper(id.Server), fmt.Sprint(r.DatabaseID), r.Database, orEmpty(r.Created), orEmpty(r.Broker), fmt.Sprint(r.SchemaID)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	id.ID = "sqlserver:" + hex.EncodeToString(h.Sum(nil)[:16])
	return id
}
