package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

const (
	demoContext  = "Cust10195"
	demoContacts = 400
)

// demoTables are what the customer has.
var demoTables = []string{"contact", "person", "appointment", "sale", "document", "country"}

// demoWorld is a customer's database and its damaged mirror.
type demoWorld struct {
	customer *cycle.Customer
	closers
}

// newDemoWorld makes customer.db and mirror.db in a directory: the mirror is filled by a
// cycle and loses rows of one table, has old ones in another and one too many in a third.
// Then the customer works on.
func newDemoWorld(ctx context.Context, dir string) (_ *demoWorld, err error) {
	w := &demoWorld{}
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
	w.closers = append(w.closers, mirrored.Close)
	if err := crm.Load(ctx, source, crm.Options{Contacts: demoContacts}, demoTables...); err != nil {
		return nil, err
	}
	w.customer = cycle.NewCustomer(demoContext, source)
	if _, err := (&cycle.Task{Customer: w.customer, Mirror: mirrored}).Run(ctx); err != nil {
		return nil, err
	}
	if err := mirrored.Update(ctx, damageForDemo(ctx)); err != nil {
		return nil, err
	}
	return w, w.customer.Update(ctx, func(tx store.Tx) error {
		for i := range 12 {
			if err := setRow(ctx, tx, "document", i*7, "name", "Renamed.docx"); err != nil {
				return err
			}
		}
		return nil
	})
}

func damageForDemo(ctx context.Context) func(tx store.Tx) error {
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
		ghost := crm.Row(sale, 0, crm.Options{Contacts: demoContacts}).Clone()
		ghost[0] = int64(900_001)
		return tx.Insert(ctx, sale, sale.ColumnNames(), []store.Row{ghost})
	}
}

// keyOf is the key of the nth row of a table.
func keyOf(t store.Table, n int) []store.Cell {
	row := crm.Row(t, n, crm.Options{Contacts: demoContacts})
	return []store.Cell{{Column: t.Key[0], Value: row[0]}}
}

func setRow(ctx context.Context, tx store.Tx, table string, n int, column string, value any) error {
	t, _ := crm.Table(table)
	_, err := tx.Set(ctx, t, keyOf(t, n), []store.Cell{{Column: column, Value: value}})
	return err
}
