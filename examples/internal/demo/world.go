// Package demo makes a customer's database and its damaged mirror, for programs to show what
// they do about it.
package demo

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

// Context is the customer's context identifier.
const Context = "Cust10195"

const contacts = 400

// tables are what the customer has.
var tables = []string{"contact", "person", "appointment", "sale", "document", "country"}

// World is a customer's database and its damaged mirror.
type World struct {
	Customer *cycle.Customer
	Mirror   store.Store

	closers []func() error
}

// Close closes both databases.
func (w *World) Close() (err error) {
	for _, c := range w.closers {
		err = errors.Join(err, c())
	}
	return err
}

// New makes customer.db and mirror.db in a directory: the mirror is filled by a
// cycle and loses rows of one table, has old ones in another and one too many in a third.
// Then the customer works on.
func New(ctx context.Context, dir string) (_ *World, err error) {
	w := &World{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	source, err := sqlite.Create(ctx, filepath.Join(dir, "customer.db"))
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, source.Close)
	mirrored, err := sqlite.Create(ctx, filepath.Join(dir, "mirror.db"))
	if err != nil {
		return nil, err
	}
	w.closers, w.Mirror = append(w.closers, mirrored.Close), mirrored
	if err := crm.Load(ctx, source, crm.Options{Contacts: contacts}, tables...); err != nil {
		return nil, err
	}
	w.Customer = cycle.NewCustomer(Context, source)
	if _, err := (&cycle.Task{Customer: w.Customer, Mirror: mirrored}).Run(ctx); err != nil {
		return nil, err
	}
	if err := mirrored.Update(ctx, damage(ctx)); err != nil {
		return nil, err
	}
	return w, w.Customer.Update(ctx, func(tx store.Tx) error {
		for i := range 12 {
			if err := setRow(ctx, tx, "document", i*7, "name", "Renamed.docx"); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddReplica makes replica.db in a directory: what the newer client of the vendor fills, as
// it is beside an old mirror that somebody damaged.
func (w *World) AddReplica(ctx context.Context, dir string) (store.Source, error) {
	its, err := sqlite.Create(ctx, filepath.Join(dir, "replica.db"))
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, its.Close)
	client := cycle.NewReplica(w.Customer, its, nil)
	if err := client.Provision(ctx); err != nil {
		return nil, err
	}
	return its, client.CatchUp(ctx)
}

func damage(ctx context.Context) func(tx store.Tx) error {
	return func(tx store.Tx) error {
		contact, _ := crm.Table("contact")
		for i := range 25 {
			if _, err := tx.Delete(ctx, contact, keyOf(contact, 100+i)); err != nil {
				return err
			}
		}
		for i := range 40 {
			if err := setRow(ctx, tx, "person", i*11, "title", "Trainee"); err != nil {
				return err
			}
		}
		sale, _ := crm.Table("sale")
		ghost := crm.Row(sale, 0, crm.Options{Contacts: contacts}).Clone()
		ghost[0] = int64(900_001)
		return tx.Insert(ctx, sale, sale.ColumnNames(), []store.Row{ghost})
	}
}

// keyOf is the key of the nth row of a table.
func keyOf(t store.Table, n int) []store.Cell {
	row := crm.Row(t, n, crm.Options{Contacts: contacts})
	return []store.Cell{{Column: t.Key[0], Value: row[0]}}
}

func setRow(ctx context.Context, tx store.Tx, table string, n int, column string, value any) error {
	t, _ := crm.Table(table)
	_, err := tx.Set(ctx, t, keyOf(t, n), []store.Cell{{Column: column, Value: value}})
	return err
}
