package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

// serverColumns is how many columns the server's tables have.
const serverColumns = 6

// curveDatabase names the server's database of a side.
func curveDatabase(rows int, side string) string {
	return fmt.Sprintf("%scurve_%s_%d_%s", remotePrefix, fingerprint(), rows, side)
}

// carried counts the bytes of all connections that it makes, both directions
// together.
type carried struct{ bytes atomic.Int64 }

func (c *carried) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return carriedConn{conn, &c.bytes}, err
}

type carriedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c carriedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c carriedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// openCurve opens a database of the server, as mssql.Open does.
func openCurve(dsn, database string, count *carried) (*sqlx.DB, error) {
	config, err := msdsn.Parse(dsn)
	if err != nil {
		return nil, errors.New(dsnVariable + " is not a connection string") // the driver's error shows passwords
	}
	config.Database, config.PacketSize = database, 8000
	connector := mssqldb.NewConnectorConfig(config)
	connector.Dialer = count
	db := sqlx.NewDb(sql.OpenDB(connector), "sqlserver")
	db.SetMaxIdleConns(8)
	return db, nil
}

// curveOnServer holds the strategies against each other where one server has both
// databases.
func (b *bench) curveOnServer(ctx context.Context) error {
	rows := b.remote
	if b.dsn == "" {
		b.add(line{what: "curve on a T-SQL server", rows: rows, verdict: "not run: set " + dsnVariable})
		return nil
	}
	if err := b.prepareCurve(ctx, rows); err != nil {
		return err
	}
	names := []string{byDriver, byStream, byDigest, byJoin, byAuto, bySingle, byExcept}
	var tasks []task
	for _, name := range names {
		tasks = append(tasks, task{Contestant: name, Rows: rows, curveTask: curveTask{Part: curveServer}})
	}
	r, err := b.rounds(ctx, b.pairs, tasks...)
	if err != nil {
		return err
	}
	var cells [][]string
	for i, name := range names {
		if err := r.changed(i, 0); err != nil {
			return err
		}
		x := r.results[i][0]
		note := x.Strategy
		if x.Reason != "" {
			note += ": " + x.Reason
		}
		first := median(r.results[i], func(x result) float64 { return x.First })
		cells = append(cells, []string{name, brief(first), brief(r.seconds(i)), brief(r.cpu(i)), mib(r.peak(i)), megabytes(x.Carried), note})
	}
	b.addSection(fmt.Sprintf("A T-SQL server, %s rows, %d columns", grouped(rows), serverColumns),
		[]string{"", "first", "again", "CPU time of both", "peak memory", "bytes", "compared by"}, cells)
	b.judgeServer(r)
	return nil
}

func (b *bench) judgeServer(r rounds) {
	join, stream := r.of(byJoin), r.of(byStream)
	if x := r.results[join][0]; x.Strategy != byJoin {
		b.add(line{what: "time, join on a T-SQL server", rows: r.tasks[join].Rows, verdict: "not run: " + x.Reason})
	} else {
		b.judgeTime(r, "join on a T-SQL server", byJoin, byStream, maxJoinStream)
		b.judgeTime(r, "join on a T-SQL server", byJoin, byExcept, maxJoinExcept)
		joined, streamed := x.Carried, r.results[stream][0].Carried
		share := float64(joined) / float64(streamed)
		b.add(line{"bytes, join on a T-SQL server", r.tasks[join].Rows, "stream " + megabytes(streamed), megabytes(joined),
			fmt.Sprintf("%.2f %%", 100*share), fmt.Sprintf("< %.0f %%", 100*maxJoinBytes), verdict(share < maxJoinBytes)})
	}
	b.judgeTime(r, "stream on a T-SQL server", byStream, byDriver, maxCurveDriver)
	b.judgeTime(r, "auto on a T-SQL server where it cannot join", bySingle, byStream, maxAutoOfStream)
}

// measureCurveServer compares or reads the server's two databases.
func measureCurveServer(ctx context.Context, t task, r *result) error {
	dsn := os.Getenv(dsnVariable)
	var count carried
	var dbs [2]*sqlx.DB
	for i, side := range []string{"source", "mirror"} {
		db, err := openCurve(dsn, curveDatabase(t.Rows, side), &count)
		if err != nil {
			return err
		}
		defer db.Close()
		dbs[i] = db
	}
	source, err := mssql.NewSource(dbs[0], &mssql.Options{Schema: sourceSchema})
	if err != nil {
		return err
	}
	mirrored, err := mssql.New(dbs[1], &mssql.Options{Schema: mirrorSchema})
	if err != nil {
		return err
	}
	contestant := func() (err error) {
		switch t.Contestant {
		case byDriver:
			table := curveTable(serverColumns)
			return readTwo(t.Rows, func(i int) (int, error) {
				query := fmt.Sprintf("SELECT %s FROM %s.contact ORDER BY contact_id", strings.Join(quotedColumns(table), ", "), []string{sourceSchema, mirrorSchema}[i])
				return readServer(ctx, dbs[i], query)
			})
		case byExcept:
			r.Changed, err = exceptByDriver(ctx, dbs[0], "", exceptOnServer(t.Rows))
			return err
		case bySingle:
			return r.compareBy(ctx, unjoinedServer{source}, mirrored, byAuto, t.Rows)
		}
		return r.compareBy(ctx, source, mirrored, t.Contestant, t.Rows)
	}
	// What comes first in a session may cost the server a second of its own, whoever
	// asks, so all do it twice on the same connections.
	for _, taken := range []*float64{&r.First, &r.Seconds} {
		count.bytes.Store(0)
		started := time.Now()
		if err := contestant(); err != nil {
			return err
		}
		*taken, r.Carried = time.Since(started).Seconds(), count.bytes.Load()
	}
	return nil
}

// unjoinedServer is a source of which no engine reads the mirror, too.
type unjoinedServer struct{ *mssql.Source }

func (unjoinedServer) Join(context.Context, store.Source) (store.Join, error) {
	return nil, fmt.Errorf("this contestant does not join: %w", errors.ErrUnsupported)
}

// exceptOnServer compares text by its bytes: the server's own comparison is blind to
// case and trailing blanks.
func exceptOnServer(rows int) []string {
	t := curveTable(serverColumns)
	names := quotedColumns(t)
	for i, c := range t.Columns {
		if c.Type.Kind() == store.KindString {
			names[i] = fmt.Sprintf("CAST(%s AS varbinary(8000)) AS %[1]s", names[i])
		}
	}
	columns := strings.Join(names, ", ")
	table := func(side, schema string) string { return quote(curveDatabase(rows, side)) + "." + schema + ".contact" }
	return exceptBothWays(t, [2]string{columns, columns}, [2]string{table("source", sourceSchema), table("mirror", mirrorSchema)})
}

// readServer reads an answer below database/sql's Scan and throws it away.
func readServer(ctx context.Context, db *sqlx.DB, query string) (n int, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = conn.Raw(func(dc any) error {
		stmt, err := dc.(driver.ConnPrepareContext).PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer stmt.Close()
		rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
		if err != nil {
			return err
		}
		dest := make([]driver.Value, len(rows.Columns()))
		for err = rows.Next(dest); err == nil; err = rows.Next(dest) {
			n++
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
	return n, err
}

// prepareCurve makes the two databases with equal tables, unless an earlier run
// left them.
func (b *bench) prepareCurve(ctx context.Context, rows int) error {
	admin, err := openRemote(b.dsn, "", "")
	if err != nil {
		return err
	}
	defer admin.Close()
	complete, err := curveComplete(ctx, admin, rows)
	if err != nil || complete {
		return err
	}
	var dbs [2]*sqlx.DB
	for i, side := range []string{"source", "mirror"} {
		name := curveDatabase(rows, side)
		fmt.Fprintf(b.progress, "making database %s on the server\n", name)
		if _, err := admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+quote(name)); err != nil {
			return err
		}
		if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+quote(name)); err != nil {
			return err
		}
		if dbs[i], err = openCurve(b.dsn, name, new(carried)); err != nil {
			return err
		}
		defer dbs[i].Close()
	}
	if err := fillCurve(ctx, dbs, rows); err != nil {
		return err
	}
	if complete, err := curveComplete(ctx, admin, rows); err != nil || !complete {
		return errors.Join(err, errors.New("the server's tables are not complete"))
	}
	return nil
}

// curveComplete reports whether both tables are there; it reads them, so that they
// are warm.
func curveComplete(ctx context.Context, admin *sqlx.DB, rows int) (bool, error) {
	for side, schema := range map[string]string{"source": sourceSchema, "mirror": mirrorSchema} {
		name := curveDatabase(rows, side)
		var found *int
		if err := admin.GetContext(ctx, &found, "SELECT DB_ID(@p1)", name); err != nil {
			return false, err
		}
		if found == nil {
			return false, nil
		}
		var n int64
		query := fmt.Sprintf("SELECT COALESCE(MAX(LEN(name)), 0) * 0 + COUNT_BIG(*) FROM %s.%s.contact", quote(name), schema)
		if err := admin.GetContext(ctx, &n, query); err != nil || n != int64(rows) {
			return false, nil //nolint:nilerr // no such table: an earlier run was stopped
		}
	}
	return true, nil
}

// fillCurve sends few rows, which the server multiplies and copies by itself.
func fillCurve(ctx context.Context, dbs [2]*sqlx.DB, rows int) error {
	t := curveTable(serverColumns)
	if _, err := dbs[0].ExecContext(ctx, "CREATE SCHEMA "+sourceSchema); err != nil {
		return err
	}
	base := min(rows, remoteBase)
	g := crm.NewGenerator(t, crm.Options{Contacts: base})
	for i, schema := range []string{sourceSchema, mirrorSchema} {
		st, err := mssql.New(dbs[i], &mssql.Options{Schema: schema})
		if err != nil {
			return err
		}
		t.Schema = schema
		err = st.Update(ctx, func(tx store.Tx) error {
			if err := tx.Create(ctx, t); err != nil || i == 1 {
				return err
			}
			for batch := range slices.Chunk(slices.Collect(g.All()), 1000) {
				if err := tx.Insert(ctx, t, t.ColumnNames(), batch); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	from := sourceSchema + ".contact"
	for have := base; have < rows; have *= 2 {
		var last int
		if err := dbs[0].GetContext(ctx, &last, "SELECT MAX(contact_id) FROM "+from); err != nil {
			return err
		}
		top := fmt.Sprintf("(SELECT TOP (%d) * FROM %s ORDER BY contact_id) AS base", min(have, rows-have), from)
		if _, err := dbs[0].ExecContext(ctx, shifted(t, from, top, last)); err != nil {
			return err
		}
	}
	_, err := dbs[1].ExecContext(ctx, shifted(t, mirrorSchema+".contact", quote(curveDatabase(rows, "source"))+"."+from, 0))
	return err
}
