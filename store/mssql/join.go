package mssql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

var _ store.Joiner = (*Source)(nil)

// Join implements store.Joiner for a mirror in a database of the same server, or in
// another schema of the same database. The source's login reads both: it needs access
// to the mirror's database, SELECT on the tables there, and UNMASK where columns are
// masked. Reads are under snapshot isolation where both databases allow it, and else
// read committed. Memory-optimised tables are errors.ErrUnsupported.
func (s *Source) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	var other *Source
	switch m := mirror.(type) {
	case *Source:
		other = m
	case *Store:
		other = &m.Source
	default:
		return nil, fmt.Errorf("the mirror is not read by this package: %w", errors.ErrUnsupported)
	}
	want, err := other.place(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("the mirror's server: %w", err)
	}
	got, err := s.place(ctx, want.Database)
	if err == nil {
		err = want.proves(got)
	}
	if err != nil {
		return nil, fmt.Errorf("the source's server: %w", err)
	}
	return s.joinWith(other, want.Database)
}

// joinWith joins a database of the same server.
func (s *Source) joinWith(mirror *Source, database string) (store.Join, error) {
	level, err := jointLevel(s.server, mirror.server)
	if err != nil {
		return nil, err
	}
	d := dialect(s.server)
	d.AroundRead = func(store.Table) (before, behind string) { return s.server.around(level) }
	d.Joins = &sqlstore.Joins{Alike: alike, Equal: equalKeys}
	st, err := sqlstore.New(s.db, d)
	if err != nil {
		return nil, err
	}
	name := func(t store.Table) []string {
		return []string{database, cmp.Or(t.Schema, mirror.server.schema()), t.Name}
	}
	end := func() error { return nil } // the pool is the source's
	return join{sqlstore.NewJoin(st, name, end), s.server, mirror.server}, nil
}

// jointLevel is the isolation level of statements that read both databases.
func jointLevel(source, mirror *server) (string, error) {
	switch {
	case source.isolation() == "snapshot" && mirror.isolation() == "snapshot":
		return levelSnapshot, nil
	case source.opts.Isolation == IsolationSnapshot || mirror.opts.Isolation == IsolationSnapshot:
		return "", fmt.Errorf("only one of the two databases is read under snapshot isolation, which Options.Isolation asks for: %w", errors.ErrUnsupported)
	default:
		return levelReadCommitted, nil
	}
}

// join reads both databases through the source's connections.
type join struct {
	*sqlstore.Join
	source, mirror *server
}

// Suspects implements store.Join.
func (j join) Suspects(ctx context.Context, source, mirror store.Query, limit int) (store.Suspects, error) {
	if j.source.memoryOptimised(source.Table) || j.mirror.memoryOptimised(mirror.Table) {
		return store.Suspects{}, fmt.Errorf("table %s is memory-optimised, and no statement reads such a table together with another database: %w", source.Table, errors.ErrUnsupported)
	}
	return j.Join.Suspects(ctx, source, mirror, limit)
}

// place is what a connection says about a database of its server. Server is the name
// of the instance, and Started when it was started, which no two instances share that
// were copied from one another. A database is told from others by its number, its
// date and its GUID.
type place struct {
	Server   *string `db:"server_name"`
	Started  *string `db:"started"`
	Database string  `db:"database_name"`
	ID       int     `db:"database_id"`
	Created  *string `db:"created"`
	Broker   *string `db:"broker_guid"`
	Access   *int    `db:"has_access"`
	Unmask   *int    `db:"has_unmask"`

	masked, policies int // columns whose values, and policies whose tables' rows may be hidden
}

// placeQuery asks for a database by its name, and for the connection's own when that
// is empty.
const placeQuery = `SELECT CONVERT(nvarchar(128), COALESCE(SERVERPROPERTY('ServerName'), @@SERVERNAME)) AS server_name,
	(SELECT CONVERT(nvarchar(30), t.create_date, 126) FROM sys.databases AS t WHERE t.name = N'tempdb') AS started,
	CONVERT(nvarchar(128), d.name) AS database_name, CONVERT(int, d.database_id) AS database_id,
	CONVERT(nvarchar(30), d.create_date, 126) AS created, CONVERT(nvarchar(36), d.service_broker_guid) AS broker_guid,
	CONVERT(int, HAS_DBACCESS(d.name)) AS has_access, CONVERT(int, HAS_PERMS_BY_NAME(QUOTENAME(d.name), 'DATABASE', 'UNMASK')) AS has_unmask
FROM sys.databases AS d WHERE d.name = COALESCE(NULLIF(@p1, N''), DB_NAME())`

// hiddenText asks, where the login has access to the database of the parameter, for
// what it may not see there, as far as the server knows of such things.
func hiddenText(database string, has catalogueFacts) string {
	count := func(known int, view, condition string) string {
		if known == 0 {
			return "0"
		}
		return fmt.Sprintf("(SELECT COUNT(*) FROM %s.sys.%s AS x WHERE x.%s = 1)", quote(database), view, condition)
	}
	text := "SELECT " + count(has.Masks, "columns", "is_masked") + ", " + count(has.Policies, "security_policies", "is_enabled")
	return "; IF HAS_DBACCESS(@p1) = 1 EXEC (N'" + strings.ReplaceAll(text, "'", "''") + "') ELSE SELECT 0, 0"
}

// place asks for a database; for one with a name also for what is hidden there.
func (s *Source) place(ctx context.Context, database string) (p place, err error) {
	err = s.sql.Query(ctx, "find the mirror's database", func(ctx context.Context, q sqlx.QueryerContext) error {
		text := s.server.limitLocks() + placeQuery
		if database != "" {
			text += hiddenText(database, s.server.catalogue())
		}
		rows, err := q.QueryxContext(ctx, text, database)
		if err != nil {
			return err
		}
		defer rows.Close()
		if !rows.Next() {
			return cmp.Or(rows.Err(), fmt.Errorf("there is no database %q, or the login may not see it: %w", database, errors.ErrUnsupported))
		}
		if err := rows.StructScan(&p); err != nil || database == "" {
			return err
		}
		for rows.Next() { // to the end, behind which the driver looks for more
		}
		if !rows.NextResultSet() || !rows.Next() {
			return cmp.Or(rows.Err(), io.ErrUnexpectedEOF)
		}
		return rows.Scan(&p.masked, &p.policies)
	})
	return p, err
}

// proves reports that the source's server found, by its name, the database that the
// mirror's connection is in, and that the source's login sees all that is there.
func (p place) proves(found place) error {
	for _, fact := range []struct {
		what       string
		want, have *string
	}{
		{"name", p.Server, found.Server},
		{"time of its start", p.Started, found.Started},
		{"date of the database", p.Created, found.Created},
	} {
		if fact.want == nil || fact.have == nil {
			return fmt.Errorf("the %s cannot be told: %w", fact.what, errors.ErrUnsupported)
		}
		if *fact.want != *fact.have {
			return fmt.Errorf("the %s is %s, on the mirror's server %s: %w", fact.what, *fact.have, *fact.want, errors.ErrUnsupported)
		}
	}
	if p.Database != found.Database || p.ID != found.ID || orEmpty(p.Broker) != orEmpty(found.Broker) {
		return fmt.Errorf("its database %s is another one than the mirror's: %w", found.Database, errors.ErrUnsupported)
	}
	switch {
	case found.Access == nil || *found.Access != 1:
		return fmt.Errorf("the source's login has no access to the mirror's database %s: %w", found.Database, errors.ErrUnsupported)
	case found.masked > 0 && (found.Unmask == nil || *found.Unmask != 1):
		return fmt.Errorf("columns of the mirror's database %s are masked, and the source's login lacks UNMASK there: %w", found.Database, errors.ErrUnsupported)
	case found.policies > 0:
		return fmt.Errorf("a security policy of the mirror's database %s may hide rows from the source's login: %w", found.Database, errors.ErrUnsupported)
	default:
		return nil
	}
}

// alike compares as [sqlstore.Joins] demands. Text is compared by its units, as it is
// in nvarchar, whatever the collations of its columns. SQL Server pads text with
// blanks and bytes with zeros, so their lengths are compared, too; it calls 0 and -0
// equal, and two times that are the same instant.
func alike(source, mirror store.Type, s, m string) (string, error) {
	switch k := source.Kind(); k {
	case store.KindBool, store.KindInt, store.KindDecimal, store.KindTime, store.KindTimeOfDay, store.KindGUID:
		return s + " = " + m, nil
	case store.KindFloat:
		return floatBits(source)(s) + " = " + floatBits(mirror)(m), nil
	case store.KindTimeOffset:
		return fmt.Sprintf("%[1]s = %[2]s AND DATEPART(tzoffset, %[1]s) = DATEPART(tzoffset, %[2]s)", s, m), nil
	case store.KindString:
		s, m := national(source)(s), national(mirror)(m)
		return equalUnits(s, m) + sameLength(s, m), nil
	case store.KindBytes:
		s, m := plainBytes(source)(s), plainBytes(mirror)(m)
		return s + " = " + m + sameLength(s, m), nil
	default:
		return "", fmt.Errorf("values of type %s: %w", source, errors.ErrUnsupported)
	}
}

// equalKeys joins text by its units: no collation of the two sides is the other's.
func equalKeys(source, mirror store.Type, s, m string) string {
	if source.Kind() == store.KindString {
		return equalUnits(national(source)(s), national(mirror)(m))
	}
	return s + " = " + m
}

func equalUnits(a, b string) string {
	return fmt.Sprintf("%[1]s COLLATE %[3]s = %[2]s COLLATE %[3]s", a, b, binaryCollation)
}

func sameLength(a, b string) string { return fmt.Sprintf(" AND DATALENGTH(%s) = DATALENGTH(%s)", a, b) }
