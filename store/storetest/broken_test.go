package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/so-mirror/mirror/store"
)

type rowSeq = iter.Seq2[[]store.Row, error]

// broken is a Store with a fault: a hook takes the place of the method of its
// name. Hooks of Source strike inside of a transaction too.
type broken struct {
	store.Store
	tables func(src store.Source, ctx context.Context) ([]store.Table, error)
	count  func(src store.Source, ctx context.Context, t store.Table) (int64, error)
	rows   func(src store.Source, ctx context.Context, q store.Query) rowSeq
	update func(st store.Store, ctx context.Context, fn func(store.Tx) error) error

	scheme func(d store.Digester) string
	every  func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error)
	at     func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error)

	cut     func(c store.Cutter, ctx context.Context, q store.Query, n int64) (store.Row, error)
	joining func(j *scan) // changes how a join compares
	unknown func(mirror store.Source) (*broken, error)

	rowsAt func(r store.KeyReader, ctx context.Context, q store.Query, keys []store.Row) rowSeq

	identity func(i store.Identifier, ctx context.Context) (store.Identity, error)
	objects  func(i store.Inventorier, ctx context.Context) ([]store.Object, error)
	anyValue func(src store.Source) bool
	version  func(c store.ChangeTracker, ctx context.Context) (store.LSN, error)
	least    func(c store.ChangeTracker, ctx context.Context, t store.Table) (store.LSN, error)
	changed  func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error)
	listed   func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, after store.Row, n int) ([]store.Row, error)

	create   func(tx store.Tx, ctx context.Context, t store.Table) error
	drop     func(tx store.Tx, ctx context.Context, t store.Table) error
	truncate func(tx store.Tx, ctx context.Context, t store.Table) error
	insert   func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error
	set      func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error)
	delete   func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error)
	rename   func(tx store.Tx, ctx context.Context, t store.Table, name string) error
}

func (b *broken) Tables(ctx context.Context) ([]store.Table, error) { return b.tablesOf(b.Store, ctx) }
func (b *broken) Count(ctx context.Context, t store.Table) (int64, error) {
	return b.countOf(b.Store, ctx, t)
}
func (b *broken) Rows(ctx context.Context, q store.Query) rowSeq { return b.rowsOf(b.Store, ctx, q) }

func (b *broken) digester() store.Digester { return b.Store.(store.Digester) }

func (b *broken) DigestScheme() string {
	if b.scheme != nil {
		return b.scheme(b.digester())
	}
	return b.digester().DigestScheme()
}

func (b *broken) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	if b.every != nil {
		return b.every(b.digester(), ctx, q, n)
	}
	return b.digester().DigestEvery(ctx, q, n)
}

func (b *broken) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	if b.at != nil {
		return b.at(b.digester(), ctx, q, cuts)
	}
	return b.digester().DigestAt(ctx, q, cuts)
}

func (b *broken) RowsAt(ctx context.Context, q store.Query, keys []store.Row) rowSeq {
	if b.rowsAt != nil {
		return b.rowsAt(b.Store.(store.KeyReader), ctx, q, keys)
	}
	return b.Store.(store.KeyReader).RowsAt(ctx, q, keys)
}

func (b *broken) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	if b.cut != nil {
		return b.cut(b.Store.(store.Cutter), ctx, q, n)
	}
	return b.Store.(store.Cutter).Cut(ctx, q, n)
}

func (b *broken) Identity(ctx context.Context) (store.Identity, error) {
	if b.identity != nil {
		return b.identity(b.Store.(store.Identifier), ctx)
	}
	return b.Store.(store.Identifier).Identity(ctx)
}

func (b *broken) Objects(ctx context.Context) ([]store.Object, error) {
	if b.objects != nil {
		return b.objects(b.Store.(store.Inventorier), ctx)
	}
	return b.Store.(store.Inventorier).Objects(ctx)
}

func (b *broken) HoldsAnyValue() bool {
	if b.anyValue != nil {
		return b.anyValue(b.Store)
	}
	return holdsAnyValue(b.Store)
}

func (b *broken) tracker() store.ChangeTracker { return b.Store.(store.ChangeTracker) }

func (b *broken) Version(ctx context.Context) (store.LSN, error) {
	if b.version != nil {
		return b.version(b.tracker(), ctx)
	}
	return b.tracker().Version(ctx)
}

func (b *broken) MinValidVersion(ctx context.Context, t store.Table) (store.LSN, error) {
	if b.least != nil {
		return b.least(b.tracker(), ctx, t)
	}
	return b.tracker().MinValidVersion(ctx, t)
}

func (b *broken) Changed(ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
	if b.changed != nil {
		return b.changed(b.tracker(), ctx, t, since, keys)
	}
	return b.tracker().Changed(ctx, t, since, keys)
}

func (b *broken) ChangedKeys(ctx context.Context, t store.Table, since store.LSN, after store.Row, n int) ([]store.Row, error) {
	if b.listed != nil {
		return b.listed(b.tracker(), ctx, t, since, after, n)
	}
	return b.tracker().ChangedKeys(ctx, t, since, after, n)
}

func (b *broken) Update(ctx context.Context, fn func(store.Tx) error) error {
	inner := func(tx store.Tx) error { return fn(brokenTx{tx, b}) }
	if b.update != nil {
		return b.update(b.Store, ctx, inner)
	}
	return b.Store.Update(ctx, inner)
}

func (b *broken) tablesOf(src store.Source, ctx context.Context) ([]store.Table, error) {
	if b.tables != nil {
		return b.tables(src, ctx)
	}
	return src.Tables(ctx)
}

func (b *broken) countOf(src store.Source, ctx context.Context, t store.Table) (int64, error) {
	if b.count != nil {
		return b.count(src, ctx, t)
	}
	return src.Count(ctx, t)
}

func (b *broken) rowsOf(src store.Source, ctx context.Context, q store.Query) rowSeq {
	if b.rows != nil {
		return b.rows(src, ctx, q)
	}
	return src.Rows(ctx, q)
}

type brokenTx struct {
	store.Tx
	b *broken
}

func (x brokenTx) Tables(ctx context.Context) ([]store.Table, error) { return x.b.tablesOf(x.Tx, ctx) }
func (x brokenTx) Count(ctx context.Context, t store.Table) (int64, error) {
	return x.b.countOf(x.Tx, ctx, t)
}
func (x brokenTx) Rows(ctx context.Context, q store.Query) rowSeq { return x.b.rowsOf(x.Tx, ctx, q) }

func (x brokenTx) Create(ctx context.Context, t store.Table) error {
	if x.b.create != nil {
		return x.b.create(x.Tx, ctx, t)
	}
	return x.Tx.Create(ctx, t)
}

func (x brokenTx) Drop(ctx context.Context, t store.Table) error {
	if x.b.drop != nil {
		return x.b.drop(x.Tx, ctx, t)
	}
	return x.Tx.Drop(ctx, t)
}

func (x brokenTx) Truncate(ctx context.Context, t store.Table) error {
	if x.b.truncate != nil {
		return x.b.truncate(x.Tx, ctx, t)
	}
	return x.Tx.Truncate(ctx, t)
}

func (x brokenTx) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	if x.b.insert != nil {
		return x.b.insert(x.Tx, ctx, t, columns, rows)
	}
	return x.Tx.Insert(ctx, t, columns, rows)
}

func (x brokenTx) Set(ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
	if x.b.set != nil {
		return x.b.set(x.Tx, ctx, t, where, set)
	}
	return x.Tx.Set(ctx, t, where, set)
}

func (x brokenTx) Delete(ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
	if x.b.delete != nil {
		return x.b.delete(x.Tx, ctx, t, where)
	}
	return x.Tx.Delete(ctx, t, where)
}

func (x brokenTx) Rename(ctx context.Context, t store.Table, name string) error {
	if x.b.rename != nil {
		return x.b.rename(x.Tx, ctx, t, name)
	}
	return rename(ctx, x.Tx, t, name)
}

// eachBatch changes batches on their way. A batch that becomes nil is left out.
func eachBatch(seq rowSeq, change func(batch []store.Row) []store.Row) rowSeq {
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range seq {
			if err == nil {
				if batch = change(batch); batch == nil {
					continue
				}
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

var errBusy = errors.New("database is locked")

// fault is a store that breaks contracts, which have to find it. Fails are their
// names, as patterns of [path.Match].
type fault struct {
	name  string
	open  func() store.Store
	fails []string
}

// brokenStores are the faults, each with the contracts that must find it.
var brokenStores = slices.Concat(brokenTables, brokenRows, brokenValues, brokenDecoders, brokenWrites, brokenRanges, brokenSums, brokenKeys, brokenCuts, brokenJoins, brokenTransactions, brokenRenames, brokenIdentities, brokenInventories, brokenVerbatims, brokenChanges, brokenChangedKeys, brokenContexts)
