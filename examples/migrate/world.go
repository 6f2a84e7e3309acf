package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

const (
	contextID = "Cust10195"
	contacts  = 100

	// A cycle of the Mirroring Task, and a commit interval of the newer client.
	cycleEvery, stepEvery = 20 * time.Minute, time.Minute
)

// tables are what the customer has. The newer client does not copy binary objects,
// and nobody copies the last one.
var tables = []string{"contact", "person", "appointment", "sale", "project", "document", "text", "country", "category", "binaryobject", "traveltransactionlog"}

// world is a customer with an old mirror and a replica that run side by side. It is
// a clock: only waiting moves it, and meanwhile all three live.
type world struct {
	now      time.Time
	customer *cycle.Customer
	below    *sqlite.Store // the customer's database, without the tracking of changes
	old, new *file
	task     *cycle.Task
	client   *cycle.Replica
	losing   bool // the client loses large values
	stopped  bool // neither the task nor the client runs
	worked   int
}

// file is a database that can be closed, renamed and opened again while whoever
// writes to it keeps it.
type file struct {
	*sqlite.Store
	path string
}

func newWorld(ctx context.Context, dir string) (_ *world, err error) {
	w := &world{now: time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.below, err = sqlite.Create(ctx, filepath.Join(dir, "customer.db")); err != nil {
		return nil, err
	}
	if err := crm.Load(ctx, w.below, crm.Options{Contacts: contacts}, tables...); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		to   **file
		name string
	}{{&w.old, "Mirror_Cust10195.db"}, {&w.new, "Replica_Cust10195.db"}} {
		path := filepath.Join(dir, f.name)
		st, err := sqlite.Create(ctx, path)
		if err != nil {
			return nil, err
		}
		*f.to = &file{st, path}
	}
	w.customer = cycle.NewCustomer(contextID, w.below)
	w.task = &cycle.Task{Customer: w.customer, Mirror: w.old}
	w.client = cycle.NewReplica(w.customer, w.new, &cycle.ReplicaOptions{
		SnapshotRows: 300, // so that one takes minutes
		NullLarge:    func(string, string) bool { return w.losing },
	})
	if _, err := w.task.Run(ctx); err != nil {
		return nil, err
	}
	if err := w.client.Provision(ctx); err != nil {
		return nil, err
	}
	return w, w.client.CatchUp(ctx)
}

func (w *world) close() error {
	var errs []error
	for _, f := range []*file{w.old, w.new} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if w.below != nil {
		errs = append(errs, w.below.Close())
	}
	return errors.Join(errs...)
}

// Now implements mirror.Clock.
func (w *world) Now() time.Time { return w.now }

// Sleep implements mirror.Clock.
func (w *world) Sleep(ctx context.Context, d time.Duration) error {
	for end := w.now.Add(d); ; {
		next := w.now.Truncate(stepEvery).Add(stepEvery)
		if next.After(end) {
			w.now = end
			return ctx.Err()
		}
		w.now = next
		if err := w.live(ctx); err != nil {
			return err
		}
	}
}

// live plays what happens at this minute: every three minutes the customer changes
// something, every minute the client commits, and every 20 minutes there is a cycle.
func (w *world) live(ctx context.Context) error {
	minute := int(w.now.Unix() / 60)
	if minute%3 == 0 {
		w.worked++
		if err := w.change(ctx, "contact", w.worked%contacts, "name", fmt.Sprintf("Customer %d AS", w.worked)); err != nil {
			return err
		}
	}
	if w.stopped {
		return ctx.Err()
	}
	if err := w.client.Step(ctx); err != nil {
		return err
	}
	if w.now.Truncate(cycleEvery).Equal(w.now) {
		if _, err := w.task.Run(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// change sets a column of the nth row of a table, as the customer's users do.
func (w *world) change(ctx context.Context, table string, n int, column string, value driver.Value) error {
	t, _ := crm.Table(table)
	row := crm.Row(t, n, crm.Options{Contacts: contacts})
	return w.customer.Update(ctx, func(tx store.Tx) error {
		n, err := tx.Set(ctx, t, []store.Cell{{Column: t.Key[0], Value: row[0]}}, []store.Cell{
			{Column: column, Value: value}, {Column: "updated", Value: w.now}, {Column: "updatedCount", Value: 100 + w.worked},
		})
		if err == nil && n != 1 {
			err = fmt.Errorf("%s has no row %v", table, row[0])
		}
		return err
	})
}

// restore adds rows to a table, and then has the customer's database restored from a
// backup that was made before.
func (w *world) restore(ctx context.Context, table string, rows int) error {
	backup, err := w.customer.Version(ctx)
	if err != nil {
		return err
	}
	t, _ := crm.Table(table)
	var last store.Row
	for last = range crm.Rows(t, crm.Options{Contacts: contacts}) {
	}
	var added [][]store.Cell // keys
	for i := range rows {
		row := slices.Clone(last)
		row[0] = row[0].(int64) + int64(i) + 1
		added = append(added, []store.Cell{{Column: t.Key[0], Value: row[0]}})
		err := w.customer.Update(ctx, func(tx store.Tx) error { return tx.Insert(ctx, t, t.ColumnNames(), []store.Row{row}) })
		if err != nil {
			return err
		}
	}
	// A cycle brings them to the old mirror, and leaves it with LSNs that the backup
	// does not know: by these the next one notices.
	if err := w.Sleep(ctx, cycleEvery); err != nil {
		return err
	}
	err = w.below.Update(ctx, func(tx store.Tx) error {
		for _, key := range added {
			if _, err := tx.Delete(ctx, t, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.customer.Restore(int64(backup))
	return w.client.RestoreTenant(ctx)
}

// swap closes both databases, exchanges their names, and opens them again.
func (w *world) swap(ctx context.Context) error {
	for _, f := range []*file{w.old, w.new} {
		if err := f.Close(); err != nil {
			return err
		}
		for _, beside := range []string{"-wal", "-journal"} {
			if _, err := os.Stat(f.path + beside); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s has %s beside it: somebody still has it open, and a rename would tear them apart", f.path, beside)
			}
		}
	}
	aside := w.old.path + ".swap"
	for _, move := range [][2]string{{w.old.path, aside}, {w.new.path, w.old.path}, {aside, w.new.path}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			return err
		}
	}
	w.old.path, w.new.path = w.new.path, w.old.path
	for _, f := range []*file{w.old, w.new} {
		st, err := sqlite.Open(ctx, f.path)
		if err != nil {
			return err
		}
		f.Store = st
	}
	return nil
}

// own has a database do statements of its partner's, which no client does.
func own(ctx context.Context, f *file, statements ...string) error {
	_, err := f.DB().ExecContext(ctx, strings.Join(statements, ";"))
	return err
}
