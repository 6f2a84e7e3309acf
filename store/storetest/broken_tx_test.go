package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// brokenTransactions are faults of Update and of the Tx that it hands over.
var brokenTransactions = []fault{
	{"every write is a transaction of its own", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(autocommit{st})
		})
	}, []string{"tx/rollback", "tx/rollback-of-failed-write", "tx/panic", "tx/goexit", "tx/use-after-return", "tx/cancelled-inside", "write/create-existing", "concurrent/readers-and-writer"}},
	{"the function's error is wrapped", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			if err := st.Update(ctx, fn); err != nil {
				return fmt.Errorf("update: %w", err)
			}
			return nil
		})
	}, []string{"tx/rollback", "concurrent/readers-and-writer"}},
	{"a rollback commits", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) (err error) {
			if cerr := st.Update(ctx, func(tx store.Tx) error { err = fn(tx); return nil }); err == nil {
				err = cerr
			}
			return err
		})
	}, []string{"tx/rollback", "concurrent/readers-and-writer"}},
	{"a panic becomes an error", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			return st.Update(ctx, fn)
		})
	}, []string{"tx/panic"}},
	{"a panic commits", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			var p any
			err := st.Update(ctx, func(tx store.Tx) error {
				defer func() { p = recover() }()
				return fn(tx)
			})
			if p != nil {
				panic(p)
			}
			return err
		})
	}, []string{"tx/panic"}},
	{"Goexit commits", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			return st.Update(ctx, func(tx store.Tx) (err error) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					err = fn(tx)
				}()
				<-done
				return err
			})
		})
	}, []string{"tx/goexit"}},
	{"a transaction reads from outside", func() store.Store {
		b := &broken{Store: memory.New()}
		b.tables = func(_ store.Source, ctx context.Context) ([]store.Table, error) { return b.Store.Tables(ctx) }
		b.rows = func(_ store.Source, ctx context.Context, q store.Query) rowSeq { return b.Store.Rows(ctx, q) }
		return b
	}, []string{"tx/reads-own-writes", "tx/reads-in-order", "write/create-again"}},
	{"a constraint is an error like any other", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			if err := tx.Insert(ctx, t, columns, rows); err != nil {
				return errors.New(err.Error())
			}
			return nil
		})
	}, []string{"write/constraints"}},
	{"every error is a constraint's", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			if err := tx.Insert(ctx, t, columns, rows); err != nil {
				return fmt.Errorf("%w: %w", store.ErrConstraint, err)
			}
			return nil
		})
	}, []string{"write/constraints"}},
	{"what was written before a constraint refused stays", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			return fn(autocommit{st})
		})
	}, []string{"write/constraints", "rename/refuses", "rename/rollback"}},

	{"a Tx goes on to read", func() store.Store {
		b := &broken{Store: memory.New()}
		b.count = func(_ store.Source, ctx context.Context, t store.Table) (int64, error) {
			return b.Store.Count(ctx, t)
		}
		return b
	}, []string{"tx/use-after-return"}},
	{"Update runs although its context is done", func() store.Store {
		return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			return st.Update(context.WithoutCancel(ctx), fn)
		})
	}, []string{"tx/cancelled-before", "tx/cancelled-at-the-end"}},
}

// updating is a Store with a fault in Update.
func updating(update func(st store.Store, ctx context.Context, fn func(store.Tx) error) error) *broken {
	return &broken{Store: memory.New(), update: update}
}

// autocommit is a Tx whose every write is a transaction of its own.
type autocommit struct{ store.Store }

func (a autocommit) Create(ctx context.Context, t store.Table) error {
	return a.Update(ctx, func(tx store.Tx) error { return tx.Create(ctx, t) })
}

func (a autocommit) Drop(ctx context.Context, t store.Table) error {
	return a.Update(ctx, func(tx store.Tx) error { return tx.Drop(ctx, t) })
}

func (a autocommit) Truncate(ctx context.Context, t store.Table) error {
	return a.Update(ctx, func(tx store.Tx) error { return tx.Truncate(ctx, t) })
}

func (a autocommit) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	return a.Update(ctx, func(tx store.Tx) error { return tx.Insert(ctx, t, columns, rows) })
}

func (a autocommit) Set(ctx context.Context, t store.Table, where, set []store.Cell) (n int64, err error) {
	err = a.Update(ctx, func(tx store.Tx) error {
		n, err = tx.Set(ctx, t, where, set)
		return err
	})
	return n, err
}

func (a autocommit) Delete(ctx context.Context, t store.Table, where []store.Cell) (n int64, err error) {
	err = a.Update(ctx, func(tx store.Tx) error {
		n, err = tx.Delete(ctx, t, where)
		return err
	})
	return n, err
}

func (a autocommit) Rename(ctx context.Context, t store.Table, name string) error {
	return a.Update(ctx, func(tx store.Tx) error { return rename(ctx, tx, t, name) })
}

// lostUpdateStore reads outside of the transaction that writes. Its first
// increment waits until the second one has read.
func lostUpdateStore() store.Store {
	var increments atomic.Int32
	second := make(chan struct{})
	return updating(func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
		var writes []func(tx store.Tx) error
		if err := fn(queueTx{autocommit{st}, &writes}); err != nil {
			return err
		}
		if len(writes) == 1 {
			switch increments.Add(1) {
			case 1:
				<-second
			case 2:
				close(second)
			}
		}
		return st.Update(ctx, func(tx store.Tx) error {
			for _, write := range writes {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// queueTx keeps what Set is to do for later.
type queueTx struct {
	autocommit
	writes *[]func(tx store.Tx) error
}

func (x queueTx) Set(ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
	*x.writes = append(*x.writes, func(tx store.Tx) error {
		_, err := tx.Set(ctx, t, where, set)
		return err
	})
	return 1, nil
}
