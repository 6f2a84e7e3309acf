package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

// curveWidths are the numbers of columns, ascending.
func curveWidths() []int { return []int{1, 6, len(contactTable().Columns)} }

// curveTable is contact with its key alone, with some columns, or with all.
func curveTable(columns int) store.Table {
	t := contactTable()
	kept := t.Columns
	switch columns {
	case 1:
		kept = kept[:1]
	case 6:
		names := []string{"contact_id", "name", "category_idx", "registered", "updated", "orgNr"}
		kept = slices.DeleteFunc(slices.Clone(kept), func(c store.Column) bool { return !slices.Contains(names, c.Name) })
	}
	t.Columns = kept
	return t
}

// curveFiles are the files that the part "curve" needs, with their numbers of rows.
func (d data) curveFiles(o options) map[string]int {
	files := map[string]int{d.damagedPath(o.curveRows(), shares()["1 %"]): o.curveRows()}
	for _, rows := range o.curveSizes() {
		for _, kind := range []string{"source", "mirror"} {
			files[d.path(kind, rows)] = rows
		}
	}
	for _, columns := range curveWidths() {
		for _, kind := range []string{"source", "mirror"} {
			files[d.narrowPath(kind, o.curveMiddle(), columns)] = o.curveMiddle()
		}
	}
	for _, kind := range []string{"source", "mirror"} {
		files[d.path("since-"+kind, o.curveRows())] = o.curveRows() // never kept
	}
	return files
}

func (d data) narrowPath(kind string, rows, columns int) string {
	if columns == len(contactTable().Columns) {
		return d.path(kind, rows)
	}
	return d.path(fmt.Sprintf("%s%d", kind, columns), rows)
}

// narrowPair returns two files with the same rows of so many columns.
func (d data) narrowPair(ctx context.Context, rows, columns int) (source, mirrored string, err error) {
	base, mirrored, err := d.pair(ctx, rows)
	if err != nil || columns == len(contactTable().Columns) {
		return base, mirrored, err
	}
	source, mirrored = d.narrowPath("source", rows, columns), d.narrowPath("mirror", rows, columns)
	err = d.ensure(source, func(path string) error {
		return scratch(ctx, path, func(st *sqlite.Store, db *sqlx.DB) error {
			t := curveTable(columns)
			if err := st.Update(ctx, func(tx store.Tx) error { return tx.Create(ctx, t) }); err != nil {
				return err
			}
			if _, err := db.ExecContext(ctx, "ATTACH ? AS base", base); err != nil {
				return err
			}
			_, err := db.ExecContext(ctx, shifted(t, "main.contact", "base.contact", 0))
			return err
		})
	})
	if err == nil {
		err = d.ensure(mirrored, func(path string) error { return copyFile(path, source) })
	}
	return source, mirrored, errors.Join(err, warm(source), warm(mirrored))
}

// measureCurve carries out a task of the part "curve" in this process.
func measureCurve(ctx context.Context, t task, r *result) error {
	switch {
	case t.Part == curveServer:
		return measureCurveServer(ctx, t, r)
	case t.Part == curveSince:
		return measureSince(ctx, t, r)
	case t.Contestant == bySqldiff || t.Contestant == byShell:
		return runPeer(ctx, t, r)
	}
	source, err := sqlite.Open(ctx, t.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	mirrored, err := sqlite.Open(ctx, t.Mirror)
	if err != nil {
		return err
	}
	defer mirrored.Close()
	started := time.Now()
	defer func() { r.Seconds = time.Since(started).Seconds() }()
	switch t.Contestant {
	case byDriver:
		query := contactQueryOf(curveTable(t.Columns))
		return readTwo(t.Rows, func(i int) (int, error) {
			return readAll(ctx, []*sqlx.DB{source.DB(), mirrored.DB()}[i], query)
		})
	case byNaive:
		r.Changed, err = naiveOf(t.Columns)(ctx, source.DB(), mirrored.DB(), t.Rows)
		return err
	case byExcept:
		r.Changed, err = exceptByDriver(ctx, source.DB(), t.Mirror, exceptOfFiles(curveTable(t.Columns)))
		return err
	case bySingle:
		return r.compareBy(ctx, unjoined{source}, mirrored, byAuto, t.Rows)
	}
	return r.compareBy(ctx, source, mirrored, t.Contestant, t.Rows)
}

// compareBy compares by one strategy.
func (r *result) compareBy(ctx context.Context, source store.Source, mirrored store.Store, strategy string, rows int) error {
	report, err := compareTable(ctx, source, mirrored, &mirror.CompareOptions{Strategy: mirror.Strategy(strategy)}, rows)
	if err != nil {
		return err
	}
	t := report.Tables[0]
	r.Changed, r.Strategy, r.Reason = t.Changed, string(t.Strategy), t.StrategyReason
	return nil
}

// unjoined is a file of which no engine reads the mirror, too.
type unjoined struct{ *sqlite.Store }

func (unjoined) Join(context.Context, store.Source) (store.Join, error) {
	return nil, fmt.Errorf("this contestant does not join: %w", errors.ErrUnsupported)
}

// readTwo reads both sides at the same time.
func readTwo(want int, read func(side int) (rows int, err error)) error {
	var wg sync.WaitGroup
	var errs [2]error
	for i := range errs {
		wg.Go(func() {
			n, err := read(i)
			if err == nil && n != want {
				err = fmt.Errorf("read %d rows, not %d", n, want)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// curveOfChanges compares what changed since a comparison of all rows.
func (b *bench) curveOfChanges(ctx context.Context) error {
	rows := b.curveRows()
	few := rows / 10
	tasks := []task{
		{Rows: rows, Note: "of 0.001 %", curveTask: curveTask{Step: 100_000}},
		{Rows: rows, Note: "of 0.1 %", curveTask: curveTask{Step: 1000}},
		{Rows: rows, Note: "of 10 %", curveTask: curveTask{Step: 10}},
		{Rows: few, Note: "of 1 %", curveTask: curveTask{Step: 100}}, // as many as 0.1 % of ten times the rows
	}
	for i := range tasks {
		t := &tasks[i]
		t.Contestant, t.Part = "since", curveSince
		var err error
		if t.Source, t.Mirror, err = b.data.pair(ctx, t.Rows); err != nil {
			return err
		}
	}
	r, err := b.rounds(ctx, b.pairs, tasks...)
	if err != nil {
		return err
	}
	var cells [][]string
	for i, t := range tasks {
		x := r.results[i][0]
		cells = append(cells, []string{grouped(t.Rows / t.Step), grouped(t.Rows), brief(r.seconds(i)), grouped(int(x.Read)),
			brief(median(r.results[i], func(x result) float64 { return x.AllTime })), grouped(int(x.All)), mib(r.peak(i))})
	}
	b.addSection("Changes since an earlier report", []string{"changed rows", "of rows", "since", "rows read", "all rows", "rows read ", "peak memory"}, cells)
	x, share := r.results[1][0], median(r.results[1], func(x result) float64 { return x.Seconds / x.AllTime })
	read := float64(x.Read) / float64(x.All)
	growth := r.ratio(1, 3)
	b.add(
		line{"time, since, 0.1 % changed", rows, "all rows " + brief(median(r.results[1], func(x result) float64 { return x.AllTime })), brief(r.seconds(1)),
			fmt.Sprintf("%.2f %%", 100*share), fmt.Sprintf("≤ %.0f %%", 100*maxSinceShare), verdict(share <= maxSinceShare)},
		line{"rows read, since, 0.1 % changed", rows, "all rows " + grouped(int(x.All)), grouped(int(x.Read)),
			fmt.Sprintf("%.2f %%", 100*read), fmt.Sprintf("≤ %.0f %%", 100*maxSinceShare), verdict(read <= maxSinceShare)},
		line{"time, since, as many changes", rows, "of " + grouped(few) + " rows " + brief(r.seconds(3)), brief(r.seconds(1)),
			fmt.Sprintf("%.2f", growth), fmt.Sprintf("≤ %.1f", maxSinceGrowth), verdict(growth <= maxSinceGrowth)})
	return nil
}

// tallied counts the rows that are read of a file.
type tallied struct {
	*sqlite.Store
	read *atomic.Int64
}

func (s tallied) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return s.count(s.Store.Rows(ctx, q))
}

func (s tallied) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return s.count(s.Store.RowsAt(ctx, q, keys))
}

func (s tallied) count(all iter.Seq2[[]store.Row, error]) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		for rows, err := range all {
			s.read.Add(int64(len(rows)))
			if !yield(rows, err) {
				return
			}
		}
	}
}

// measureSince compares all rows, changes some of them at the customer's and in the
// mirror, as a cycle does, and compares what changed.
func measureSince(ctx context.Context, t task, r *result) error {
	var read atomic.Int64
	var sides [2]tallied
	for i, path := range []string{t.Source, t.Mirror} {
		f, err := os.CreateTemp(filepath.Dir(path), "contact-since-*.db")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		if err := errors.Join(f.Close(), copyFile(f.Name(), path)); err != nil {
			return err
		}
		st, err := sqlite.Open(ctx, f.Name())
		if err != nil {
			return err
		}
		defer st.Close()
		sides[i] = tallied{st, &read}
	}
	source, mirrored := sides[0], sides[1]
	customer := cycle.NewCustomer(curveCustomer, source)
	opts := mirror.CompareOptions{Strategy: mirror.StrategyStream}
	started := time.Now()
	all, err := compareTable(ctx, customer, mirrored, &opts, t.Rows)
	if err != nil {
		return err
	}
	r.AllTime, r.All = time.Since(started).Seconds(), read.Swap(0)
	changed, err := changeRows(ctx, customer, mirrored, source.DB(), t.Step)
	if err != nil {
		return err
	}
	read.Store(0)
	opts.Since = all
	started = time.Now()
	report, err := compareTable(ctx, customer, mirrored, &opts, t.Rows)
	if err != nil {
		return err
	}
	r.Seconds, r.Read = time.Since(started).Seconds(), read.Load()
	switch basis := report.Tables[0].Basis; {
	case basis == nil || basis.Reason != "" || basis.Keys != int64(changed):
		return fmt.Errorf("the report of %d changes rests on %+v", changed, basis)
	case !report.Identical():
		return fmt.Errorf("unexpected report:\n%s", report)
	}
	return nil
}

// curveCustomer is the customer's context identifier.
const curveCustomer = "Cust10195"

// changeRows gives each step-th row another name on both sides.
func changeRows(ctx context.Context, customer, mirrored store.Store, db *sqlx.DB, step int) (changed int, err error) {
	var keys []int64
	err = db.SelectContext(ctx, &keys, `SELECT contact_id FROM (
		SELECT contact_id, row_number() OVER (ORDER BY contact_id) AS n FROM contact) WHERE n % ? = 0`, step)
	if err != nil {
		return 0, err
	}
	t := contactTable()
	for _, side := range []store.Store{customer, mirrored} {
		err := side.Update(ctx, func(tx store.Tx) error {
			for _, key := range keys {
				n, err := tx.Set(ctx, t, []store.Cell{{Column: t.Key[0], Value: key}}, []store.Cell{{Column: "name", Value: fmt.Sprintf("changed %d", key)}})
				if err != nil || n != 1 {
					return errors.Join(err, fmt.Errorf("%d rows were changed, not 1", n))
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
