package mssql_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
	"github.com/so-mirror/mirror/store/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Bench(b, open) }

const benchmarkRows = 100_000

// BenchmarkRead reads the same rows in key order from the driver's rows and
// through the store. The store may cost 1.15 times what the driver costs.
func BenchmarkRead(b *testing.B) {
	db := openDB(b)
	st := newStore(b, db, nil)
	tab := benchmarkTable(b, st)
	query := "SELECT [contact_id], [name], [registered], [balance], [active] FROM [dbo].[contact] ORDER BY [contact_id]"
	for _, side := range []struct {
		name string
		read func(ctx context.Context) (int, error)
	}{
		{"driver", func(ctx context.Context) (int, error) { return readDriver(ctx, db, query, len(tab.Columns)) }},
		{"store", func(ctx context.Context) (n int, err error) {
			for batch, err := range st.Rows(ctx, store.Query{Table: tab, Key: tab.Key}) {
				if err != nil {
					return n, err
				}
				n += len(batch)
			}
			return n, nil
		}},
	} {
		b.Run(side.name, func(b *testing.B) {
			b.ReportAllocs()
			total := 0
			for b.Loop() {
				n, err := side.read(b.Context())
				require.NoError(b, err)
				require.Equal(b, benchmarkRows, n)
				total += n
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func benchmarkTable(b *testing.B, st *mssql.Store) store.Table {
	b.Helper()
	def := store.Table{Schema: "dbo", Name: "contact", Key: []string{"contact_id"}, Columns: []store.Column{
		{Name: "contact_id", Type: store.MustType("int")}, {Name: "name", Type: store.MustType("nvarchar(219)")},
		{Name: "registered", Type: store.MustType("datetime")}, {Name: "balance", Type: store.MustType("decimal(19,4)"), Nullable: true},
		{Name: "active", Type: store.MustType("bit")},
	}}
	registered := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	require.NoError(b, st.Update(b.Context(), func(tx store.Tx) error {
		if err := tx.Create(b.Context(), def); err != nil {
			return err
		}
		rows := make([]store.Row, 10_000)
		for from := 0; from < benchmarkRows; from += len(rows) {
			for i := range rows {
				n := from + i
				rows[i] = store.Row{n, fmt.Sprintf("Customer number %d of Ærøskøbing", n), registered, fmt.Sprintf("%d.25", n%10_000), n%2 == 0}
			}
			if err := tx.Insert(b.Context(), def, def.ColumnNames(), rows); err != nil {
				return err
			}
		}
		return nil
	}))
	return def
}

// readDriver reads a query's rows as the driver delivers them.
func readDriver(ctx context.Context, db *sqlx.DB, query string, width int) (n int, err error) {
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
		rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
		if err != nil {
			return err
		}
		dest := make([]driver.Value, width)
		for {
			if err = rows.Next(dest); err != nil {
				break
			}
			n++
		}
		if err == io.EOF {
			err = nil
		}
		return errors.Join(err, rows.Close(), stmt.Close())
	})
	return n, err
}
