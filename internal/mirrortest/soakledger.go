package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// actor is who a transaction belongs to: a cycle, or an operation, which can
// take another one back.
type actor struct{ cycle, op, undoes int }

type actorKey struct{}

func by(ctx context.Context, a actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

// deed is one thing that a transaction does to the mirror, of those that matter.
type deed struct {
	kind  deedKind
	table string    // folded
	lsn   store.LSN // of marked
}

type deedKind string

const (
	created   deedKind = "create"
	dropped   deedKind = "drop"
	emptied   deedKind = "truncate"
	marked    deedKind = "mark" // its metadata row has that LSN
	forgotten deedKind = "forget"
)

// transaction is what was committed, or not.
type transaction struct {
	actor
	deeds     []deed
	committed bool
}

func (tx transaction) String() string { return fmt.Sprintf("%+v %v", tx.actor, tx.deeds) }

// ledger has the transactions in the order of their commits.
type ledger struct {
	mu         sync.Mutex
	all        []*transaction
	operations int
}

// add is called at the end of a transaction, while it still holds its lock.
func (l *ledger) add(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, tx)
}

func (l *ledger) settle(tx *transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.committed = true
}

// now is a moment: the number of transactions. All of them have ended but the
// last one.
func (l *ledger) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func (l *ledger) operation() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.operations++
	return l.operations
}

// of returns what an operation committed.
func (l *ledger) of(op int) (made []transaction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tx := range l.all {
		if tx.op == op && tx.committed {
			made = append(made, *tx)
		}
	}
	return made
}

// text lists what was committed in between.
func (l *ledger) text(from, to int) string {
	var b strings.Builder
	for i := max(0, from-1); i < to && i < len(l.all); i++ {
		if tx := l.all[i]; tx.committed && len(tx.deeds) > 0 {
			fmt.Fprintf(&b, "  %d: %s\n", i, tx)
		}
	}
	return b.String()
}

// world is the mirror after a transaction.
type world struct {
	metadata bool
	tables   map[string]state
}

// state is what is known of a table.
type state struct {
	present, tracked bool
	lsn              store.LSN
	whole            bool // its rows are at least as new as its LSN
	filling          int  // the cycle that wiped it and has not ended it yet
	owed             bool // it was reset, and no cycle has wiped it since
	lost             bool // that was overwritten
	lostAt           int
}

func (s state) valid() bool { return s.tracked && s.lsn >= 0 }

// spoiled says that rows are missing which no cycle will send.
func (s state) spoiled() bool { return s.valid() && !s.whole }

// history returns the world before the first transaction and after each.
func (l *ledger) history() []*world {
	w := &world{tables: map[string]state{}}
	all := []*world{w}
	meta := store.FoldName(mirror.MetadataTableName(ContextID))
	for i, tx := range l.all {
		if tx.committed && len(tx.deeds) > 0 {
			w = &world{metadata: w.metadata, tables: maps.Clone(w.tables)}
			for _, d := range tx.deeds {
				if d.table == meta {
					w.metadata = d.kind == created
					if d.kind == dropped {
						for name, st := range w.tables {
							st.tracked, st.owed = false, false
							w.tables[name] = st
						}
					}
					continue
				}
				w.tables[d.table] = w.tables[d.table].after(tx, d, i)
			}
		}
		all = append(all, w)
	}
	return all
}

func (s state) after(tx *transaction, d deed, at int) state {
	switch d.kind {
	case created:
		s.present, s.whole, s.filling, s.owed = true, false, tx.cycle, false
	case dropped:
		s.present, s.whole, s.filling = false, false, 0
	case emptied:
		s.whole, s.filling = false, tx.cycle
		if tx.cycle > 0 {
			s.owed, s.lost = false, false
		}
	case forgotten:
		s.tracked, s.owed = false, false
	case marked:
		s.tracked, s.lsn = true, d.lsn
		if d.lsn < 0 {
			s.owed = s.owed || tx.op > 0
			break
		}
		if tx.cycle > 0 && s.owed {
			s.lost, s.lostAt = true, at
		}
		s.owed = false
		if tx.cycle > 0 && s.filling == tx.cycle {
			s.whole, s.filling = true, 0
		}
	}
	return s
}

// witnessed is a store whose transactions are taken down.
type witnessed struct {
	through
	log *ledger
}

func (s witnessed) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	var made *transaction
	err := s.through.Update(ctx, func(tx store.Tx) error {
		w := &witness{Tx: tx}
		if err := fn(w); err != nil {
			return err
		}
		who, _ := ctx.Value(actorKey{}).(actor)
		made = &transaction{actor: who, deeds: w.deeds}
		s.log.add(made)
		return nil
	})
	if made != nil && err == nil {
		s.log.settle(made)
	}
	return err
}

// witness takes down what a transaction does.
type witness struct {
	store.Tx
	deeds []deed
}

func (w *witness) did(err error, kind deedKind, table string, lsn store.LSN) {
	if err == nil {
		w.deeds = append(w.deeds, deed{kind, store.FoldName(table), lsn})
	}
}

func isMetadata(t store.Table) bool {
	return store.FoldName(t.Name) == store.FoldName(mirror.MetadataTableName(ContextID))
}

// named returns the table and the LSN that cells of the metadata table name.
func named(cells []store.Cell) (table string, lsn store.LSN, hasLSN bool) {
	lsn = store.ResendAll - 1 // NULL
	for _, c := range cells {
		switch store.FoldName(c.Column) {
		case "tablename":
			table, _ = c.Value.(string)
		case "lsn":
			hasLSN = true
			if n, ok := c.Value.(int64); ok {
				lsn = store.LSN(n)
			}
		}
	}
	return table, lsn, hasLSN
}

func (w *witness) Create(ctx context.Context, t store.Table) error {
	err := w.Tx.Create(ctx, t)
	w.did(err, created, t.Name, 0)
	return err
}

func (w *witness) Drop(ctx context.Context, t store.Table) error {
	err := w.Tx.Drop(ctx, t)
	if store.FoldName(t.Name) != keptName {
		w.did(err, dropped, t.Name, 0)
	}
	return err
}

// Rename is to the metadata table's name, or from it.
func (w *witness) Rename(ctx context.Context, t store.Table, name string) error {
	err := w.Tx.(store.Renamer).Rename(ctx, t, name)
	if isMetadata(t) {
		w.did(err, dropped, t.Name, 0)
		return err
	}
	t.Name = name
	w.did(err, created, name, 0)
	for batch, failed := range w.Rows(ctx, store.Query{Table: t}) {
		err = errors.Join(err, failed)
		for _, row := range batch {
			cells := make([]store.Cell, len(row))
			for i, c := range t.Columns {
				cells[i] = store.Cell{Column: c.Name, Value: row[i]}
			}
			table, lsn, _ := named(cells)
			w.did(err, marked, table, lsn)
		}
	}
	return err
}

func (w *witness) Truncate(ctx context.Context, t store.Table) error {
	err := w.Tx.Truncate(ctx, t)
	w.did(err, emptied, t.Name, 0)
	return err
}

func (w *witness) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	err := w.Tx.Insert(ctx, t, columns, rows)
	if isMetadata(t) {
		for _, row := range rows {
			cells := make([]store.Cell, len(columns))
			for i, c := range columns {
				cells[i] = store.Cell{Column: c, Value: row[i]}
			}
			table, lsn, _ := named(cells)
			w.did(err, marked, table, lsn)
		}
	}
	return err
}

func (w *witness) Set(ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
	n, err := w.Tx.Set(ctx, t, where, set)
	if isMetadata(t) && n > 0 {
		table, _, _ := named(where)
		if _, lsn, ok := named(set); ok {
			w.did(err, marked, table, lsn)
		}
	}
	return n, err
}

func (w *witness) Delete(ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
	n, err := w.Tx.Delete(ctx, t, where)
	if isMetadata(t) && n > 0 {
		table, _, _ := named(where)
		w.did(err, forgotten, table, 0)
	}
	return n, err
}
