package mssql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

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
		return nil, err
	}
	got, err := s.place(ctx, want.Database)
	if err == nil {
		err = want.proves(got)
	}
	if err == nil {
		err = s.seesAll(ctx, got)
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
}

// placeQuery asks for a database by its name, and for the connection's own when that
// is empty.
const placeQuery = `SELECT CONVERT(nvarchar(128), COALESCE(SERVERPROPERTY('ServerName'), @@SERVERNAME)) AS server_name,
	(SELECT CONVERT(nvarchar(30), t.create_date, 126) FROM sys.databases AS t WHERE t.name = N'tempdb') AS started,
	CONVERT(nvarchar(128), d.name) AS database_name, CONVERT(int, d.database_id) AS database_id,
	CONVERT(nvarchar(30), d.create_date, 126) AS created, CONVERT(nvarchar(36), d.service_broker_guid) AS broker_guid,
	CONVERT(int, HAS_DBACCESS(d.name)) AS has_access, CONVERT(int, HAS_PERMS_BY_NAME(QUOTENAME(d.name), 'DATABASE', 'UNMASK')) AS has_unmask
FROM sys.databases AS d WHERE d.name = COALESCE(NULLIF(@p1, N''), DB_NAME())`

func (s *Source) place(ctx context.Context, database string) (p place, err error) {
	err = s.sql.Query(ctx, "find the mirror's database", func(ctx context.Context, q sqlx.QueryerContext) error {
		return sqlx.GetContext(ctx, q, &p, s.server.limitLocks()+placeQuery, database)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("it has no database %q, or the login may not see it: %w", database, errors.ErrUnsupported)
	}
	return p, err
}

// proves reports that the source's server found, by its name, the database that the
// mirror's connection is in, and that the source's login may use it.
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
	if found.Access == nil || *found.Access != 1 {
		return fmt.Errorf("the source's login has no access to the mirror's database %s: %w", found.Database, errors.ErrUnsupported)
	}
	return nil
}

// unseen is what there is in the mirror that the source's login may not see.
type unseen struct {
	Masked   int `db:"masked"`
	Policies int `db:"policies"`
}

// hiddenText asks for that, as far as the server knows of it; "" asks nothing.
func (p place) hiddenText(has catalogueFacts) string {
	count := func(known bool, view, condition, name string) string {
		if !known {
			return "0 AS " + name
		}
		return fmt.Sprintf("(SELECT COUNT(*) FROM %s.sys.%s AS x WHERE x.%s = 1) AS %s", quote(p.Database), view, condition, name)
	}
	masks, policies := has.Masks > 0 && (p.Unmask == nil || *p.Unmask != 1), has.Policies > 0
	if !masks && !policies {
		return ""
	}
	return "SELECT " + count(masks, "columns", "is_masked", "masked") + ", " + count(policies, "security_policies", "is_enabled", "policies")
}

func (h unseen) refuse() error {
	switch {
	case h.Masked > 0:
		return fmt.Errorf("columns of the mirror are masked, and the source's login lacks UNMASK there: %w", errors.ErrUnsupported)
	case h.Policies > 0:
		return fmt.Errorf("a security policy of the mirror may hide rows from the source's login: %w", errors.ErrUnsupported)
	default:
		return nil
	}
}

// seesAll refuses a database of which the source's login is shown masked values, or
// only some rows, unlike the mirror's own.
func (s *Source) seesAll(ctx context.Context, p place) error {
	text := p.hiddenText(s.server.catalogue())
	if text == "" {
		return nil
	}
	var h unseen
	err := s.sql.Query(ctx, "look for what is hidden in the mirror", func(ctx context.Context, q sqlx.QueryerContext) error {
		return sqlx.GetContext(ctx, q, &h, s.server.limitLocks()+text, p.Database) // a parameter, for limitLocks
	})
	if err != nil {
		return err
	}
	return h.refuse()
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
