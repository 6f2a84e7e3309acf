package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

const (
	remotePrefix = "mirror_bench_" // of the databases that the server keeps
	sourceSchema = "crm7"
	mirrorSchema = "dbo"

	// remoteBase is how many rows are sent to the server, which multiplies
	// them by itself.
	remoteBase = 20_000
)

// remoteName names the server's database with both sides, each in a schema.
func remoteName(rows int) string { return fmt.Sprintf("%s%s_%d", remotePrefix, fingerprint(), rows) }

// openRemote opens a database of the server: the connection string's where
// database is "", by way of the slow link where link is its address.
func openRemote(dsn, database, link string) (*sqlx.DB, error) {
	config, err := msdsn.Parse(dsn)
	if err != nil {
		return nil, errors.New(dsnVariable + " is not a connection string") // the driver's error shows passwords
	}
	if database != "" {
		config.Database = database
	}
	connector := mssqldb.NewConnectorConfig(config)
	if link != "" {
		connector.Dialer = linkDialer(link)
	}
	return sqlx.NewDb(sql.OpenDB(connector), "sqlserver"), nil
}

// linkDialer reaches every server by way of the slow link. TLS goes on seeing
// the server's own name.
type linkDialer string

func (d linkDialer) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, string(d))
}

func remoteAddress(dsn string) (string, error) {
	config, err := msdsn.Parse(dsn)
	switch {
	case err != nil:
		return "", errors.New(dsnVariable + " is not a connection string")
	case config.Instance != "":
		return "", errors.New(dsnVariable + " names an instance: give the server's port")
	case config.Port == 0:
		config.Port = 1433
	}
	return net.JoinHostPort(config.Host, strconv.FormatUint(config.Port, 10)), nil
}

// prepareRemote makes the database with equal contact tables, unless an earlier
// run left it.
func (b *bench) prepareRemote(ctx context.Context, rows int) (err error) {
	admin, err := openRemote(b.dsn, "", "")
	if err != nil {
		return err
	}
	defer admin.Close()
	name := remoteName(rows)
	var found *int
	if err := admin.GetContext(ctx, &found, "SELECT DB_ID(@p1)", name); err != nil {
		return err
	}
	if found != nil {
		complete, err := b.remoteComplete(ctx, name, rows)
		if err != nil || complete {
			return err
		}
		if _, err := admin.ExecContext(ctx, "DROP DATABASE "+quote(name)); err != nil {
			return err
		}
	}
	fmt.Fprintf(b.progress, "making database %s on the server\n", name)
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+quote(name)); err != nil {
		return err
	}
	return b.fillRemote(ctx, name, rows)
}

func quote(name string) string { return mssqldb.TSQLQuoter{}.ID(name) }

// remoteComplete reports whether the mirror, which is filled last and in one
// statement, is there. It reads both tables, so that they are warm.
func (b *bench) remoteComplete(ctx context.Context, name string, rows int) (bool, error) {
	db, err := openRemote(b.dsn, name, "")
	if err != nil {
		return false, err
	}
	defer db.Close()
	for _, table := range []string{sourceSchema + ".contact", mirrorSchema + ".contact"} {
		var n int64
		if err := db.GetContext(ctx, &n, "SELECT COALESCE(MAX(LEN(name)), 0) * 0 + COUNT_BIG(*) FROM "+table); err != nil {
			return false, nil // no such table: an earlier run was stopped
		}
		if n != int64(rows) {
			return false, nil
		}
	}
	return true, nil
}

func (b *bench) fillRemote(ctx context.Context, name string, rows int) error {
	db, err := openRemote(b.dsn, name, "")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+sourceSchema); err != nil {
		return err
	}
	source, err := mssql.New(db, &mssql.Options{Schema: sourceSchema})
	if err != nil {
		return err
	}
	base := min(rows, remoteBase)
	if err := crm.Load(ctx, source, crm.Options{Contacts: base, Schema: sourceSchema}, "contact"); err != nil {
		return err
	}
	t := contactTable()
	from, to := sourceSchema+".contact", mirrorSchema+".contact"
	for have := base; have < rows; have *= 2 {
		var last int
		if err := db.GetContext(ctx, &last, "SELECT MAX(contact_id) FROM "+from); err != nil {
			return err
		}
		top := fmt.Sprintf("(SELECT TOP (%d) * FROM %s ORDER BY contact_id) AS base", min(have, rows-have), from)
		if _, err := db.ExecContext(ctx, shifted(t, from, top, last)); err != nil {
			return err
		}
	}
	t.Schema = mirrorSchema
	if err := source.Update(ctx, func(tx store.Tx) error { return tx.Create(ctx, t) }); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, shifted(t, to, from, 0)); err != nil {
		return err
	}
	if complete, err := b.remoteComplete(ctx, name, rows); err != nil || !complete {
		return errors.Join(err, errors.New("the server's tables are not complete"))
	}
	return nil
}

// dropRemote drops the databases of earlier runs.
func dropRemote(ctx context.Context, dsn string) error {
	admin, err := openRemote(dsn, "", "")
	if err != nil {
		return err
	}
	defer admin.Close()
	var names []string
	if err := admin.SelectContext(ctx, &names, "SELECT CONVERT(nvarchar(128), name) FROM sys.databases"); err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, remotePrefix) {
			if _, err := admin.ExecContext(ctx, "DROP DATABASE "+quote(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// overSlowLink compares equal tables of which the source is behind the slow
// link: once with all rows, once with digests.
func (b *bench) overSlowLink(ctx context.Context) error {
	target, err := remoteAddress(b.dsn)
	if err != nil {
		return err
	}
	if err := b.prepareRemote(ctx, b.remote); err != nil {
		return err
	}
	var got [2]result
	for i, strategy := range []mirror.Strategy{mirror.StrategyStream, mirror.StrategyDigest} {
		link, err := newSlowLink(ctx, target, linkBitsPerSecond, linkDelay)
		if err != nil {
			return err
		}
		t := task{Contestant: string(strategy), Rows: b.remote, Link: link.addr()}
		got[i], err = start(ctx, t)
		got[i].Bytes = link.bytes()
		if err := errors.Join(err, link.close()); err != nil {
			return err
		}
		fmt.Fprintf(b.progress, "%s rows over the slow link, %s: %s, %s\n", grouped(b.remote), t, seconds(got[i].Seconds), megabytes(got[i].Bytes))
		if got[i].Changed != 0 {
			return fmt.Errorf("%s found %d changed rows in equal tables", t, got[i].Changed)
		}
	}
	stream, digest := got[0], got[1]
	share, ratio := float64(digest.Bytes)/float64(stream.Bytes), digest.Seconds/stream.Seconds
	b.add(
		line{"bytes over a slow link, digest", b.remote, "stream " + megabytes(stream.Bytes), megabytes(digest.Bytes),
			fmt.Sprintf("%.2f %%", 100*share), fmt.Sprintf("≤ %.0f %%", 100*maxDigestBytes), verdict(share <= maxDigestBytes)},
		line{"time over a slow link, digest", b.remote, "stream " + seconds(stream.Seconds), seconds(digest.Seconds),
			fmt.Sprintf("%.2f", ratio), "", ""})
	return nil
}

// measureRemote compares the server's tables; the source is behind the link.
func measureRemote(ctx context.Context, t task, r *result) error {
	dsn := os.Getenv(dsnVariable)
	far, err := openRemote(dsn, remoteName(t.Rows), t.Link)
	if err != nil {
		return err
	}
	defer far.Close()
	near, err := openRemote(dsn, remoteName(t.Rows), "")
	if err != nil {
		return err
	}
	defer near.Close()
	source, err := mssql.NewSource(far, &mssql.Options{Schema: sourceSchema})
	if err != nil {
		return err
	}
	mirrored, err := mssql.New(near, &mssql.Options{Schema: mirrorSchema})
	if err != nil {
		return err
	}
	started := time.Now()
	r.Changed, err = compare(ctx, source, mirrored, &mirror.CompareOptions{Strategy: mirror.Strategy(t.Contestant)}, t.Rows)
	r.Seconds = time.Since(started).Seconds()
	return err
}

// serverVersion returns the first line of what the server says it is.
func serverVersion(ctx context.Context, dsn string) (string, error) {
	db, err := openRemote(dsn, "", "")
	if err != nil {
		return "", err
	}
	defer db.Close()
	var version string
	err = db.GetContext(ctx, &version, "SELECT @@VERSION")
	version, _, _ = strings.Cut(version, "\n")
	return version, err
}
