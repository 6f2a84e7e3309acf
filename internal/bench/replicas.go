package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// replicaTables is how many tables a customer's database has that the newer client
// replicates, as the vendor's page counts them.
const replicaTables = 413

const (
	maxCheckRatio = 1.3 // of reading all tables of both sides once
	maxCheckMiB   = 96  // with the definitions of all tables, twice
)

// replica holds Check against reading all tables of both sides once.
func (b *bench) replica(ctx context.Context) error {
	older, newer, err := b.data.replicas(ctx, b.check)
	if err != nil {
		return err
	}
	r, err := b.rounds(ctx, b.pairs,
		task{Contestant: "all tables", Rows: b.check, Source: older, Mirror: newer},
		task{Contestant: "check", Rows: b.check, Source: older, Mirror: newer})
	if err != nil {
		return err
	}
	if err := r.changed(1, 0); err != nil {
		return err
	}
	ratio := r.ratio(1, 0)
	b.add(
		line{fmt.Sprintf("time, replica of %d tables", replicaTables), b.check, "driver " + seconds(r.seconds(0)), seconds(r.seconds(1)),
			fmt.Sprintf("%.2f", ratio), fmt.Sprintf("≤ %.1f", maxCheckRatio), verdict(ratio <= maxCheckRatio)},
		line{fmt.Sprintf("peak memory, replica of %d tables", replicaTables), b.check, "driver " + mib(r.peak(0)), mib(r.peak(1)), "",
			fmt.Sprintf("< %d MiB", maxCheckMiB), verdict(r.peak(1) < maxCheckMiB)})
	return nil
}

func (d data) replicaPath(kind string, rows int) string {
	return filepath.Join(d.dir, fmt.Sprintf("replica-%s-%d-%s.db", fingerprint(), rows, kind))
}

// replicas returns an old mirror and an equal replica, warm in the system's cache.
func (d data) replicas(ctx context.Context, rows int) (older, newer string, err error) {
	older, newer = d.replicaPath("old", rows), d.replicaPath("new", rows)
	err = errors.Join(
		d.ensure(older, func(path string) error {
			return scratch(ctx, path, func(st *sqlite.Store, db *sqlx.DB) error {
				metadata := store.Table{Name: "Cust10195_mirroring", Columns: []store.Column{
					{Name: "tablename", Type: store.MustType("nvarchar(128)")}, {Name: "LSN", Type: store.MustType("bigint")},
				}, Key: []string{"tablename"}}
				return fillTables(ctx, st, rows, []store.Table{metadata}, func(t store.Table) store.Table { return t })
			})
		}),
		d.ensure(newer, func(path string) error {
			return scratch(ctx, path, func(st *sqlite.Store, db *sqlx.DB) error {
				state := store.Table{Name: superoffice.ReplicaSchema + "." + superoffice.ReplicaState, Columns: []store.Column{
					{Name: "id", Type: store.MustType("int")}, {Name: "topicOffset", Type: store.MustType("nvarchar(99)")},
				}, Key: []string{"id"}}
				return fillTables(ctx, st, rows, []store.Table{state}, func(t store.Table) store.Table {
					t.Name = superoffice.ReplicaSchema + "." + strings.ToUpper(t.Name)
					return t
				})
			})
		}),
		warm(older), warm(newer))
	return older, newer, err
}

// fillTables makes the tables and their rows: half of all rows in the first table,
// half of the rest in the second, and at least one in each.
func fillTables(ctx context.Context, st *sqlite.Store, rows int, more []store.Table, named func(store.Table) store.Table) error {
	t := contactTable()
	g := crm.NewGenerator(t, crm.Options{Contacts: rows})
	for i, left := 0, rows; i < replicaTables; i++ {
		n := max(1, left/2, (left-(replicaTables-i-1))/(replicaTables-i))
		if i == replicaTables-1 {
			n = left
		}
		n = min(n, left-(replicaTables-i-1))
		left -= n
		own := t
		own.Name = fmt.Sprintf("%s%03d", t.Name, i)
		own = named(own)
		err := st.Update(ctx, func(tx store.Tx) error {
			if err := tx.Create(ctx, own); err != nil {
				return err
			}
			batch := make([]store.Row, 0, 1000)
			for row := range n {
				if batch = append(batch, g.Row(row)); len(batch) == cap(batch) || row == n-1 {
					if err := tx.Insert(ctx, own, own.ColumnNames(), batch); err != nil {
						return err
					}
					batch = batch[:0]
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return st.Update(ctx, func(tx store.Tx) error {
		for _, t := range more {
			if err := tx.Create(ctx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

func measureReplica(ctx context.Context, t task, r *result) error {
	older, err := sqlite.Open(ctx, t.Source)
	if err != nil {
		return err
	}
	defer older.Close()
	newer, err := sqlite.Open(ctx, t.Mirror)
	if err != nil {
		return err
	}
	defer newer.Close()
	started := time.Now()
	defer func() { r.Seconds = time.Since(started).Seconds() }()
	if t.Contestant == "all tables" {
		var wg sync.WaitGroup
		var errs [2]error
		for i, side := range []*sqlite.Store{older, newer} {
			wg.Go(func() { errs[i] = readTables(ctx, side, t.Rows) })
		}
		wg.Wait()
		return errors.Join(errs[:]...)
	}
	report, err := replica.Check(ctx, older, newer, &replica.Options{MaxWait: -1})
	if err != nil {
		return err
	}
	if report.Decision != replica.Go || len(report.Tables) != replicaTables {
		return fmt.Errorf("unexpected report:\n%s", report)
	}
	return nil
}

// readTables reads all tables of a side that have contacts, and throws the rows away.
func readTables(ctx context.Context, side *sqlite.Store, want int) error {
	tables, err := side.Tables(ctx)
	if err != nil {
		return err
	}
	rows := 0
	for _, t := range tables {
		if len(t.Columns) < 5 {
			continue
		}
		n, err := readAll(ctx, side.DB(), contactQueryOf(t))
		if err != nil {
			return err
		}
		rows += n
	}
	if rows != want {
		return fmt.Errorf("read %d rows, not %d", rows, want)
	}
	return nil
}
