package storetest

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
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

	identity func(i store.Identifier, ctx context.Context) (store.Identity, error)
	anyValue func(src store.Source) bool
	version  func(c store.ChangeTracker, ctx context.Context) (store.LSN, error)
	least    func(c store.ChangeTracker, ctx context.Context, t store.Table) (store.LSN, error)
	changed  func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error)

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

func (b *broken) Identity(ctx context.Context) (store.Identity, error) {
	if b.identity != nil {
		return b.identity(b.Store.(store.Identifier), ctx)
	}
	return b.Store.(store.Identifier).Identity(ctx)
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

// again reads all rows that q asks for, in full, and hands over in small
// batches what change makes of them. Change gets the columns of q.Key and rows
// whose first values are those of the key.
func again(ctx context.Context, src store.Source, q store.Query, change func(key []store.Column, rows []store.Row) []store.Row) rowSeq {
	columns := q.Columns
	if len(columns) == 0 {
		columns = q.Table.ColumnNames()
	}
	limit := q.Limit
	q.Columns, q.Limit = append(slices.Clone(q.Key), columns...), 0
	return func(yield func([]store.Row, error) bool) {
		rows, err := collect(ctx, src, q)
		if err != nil {
			yield(nil, err)
			return
		}
		key := make([]store.Column, len(q.Key))
		for i, name := range q.Key {
			key[i], _ = q.Table.Column(name)
		}
		rows = change(key, rows)
		if limit > 0 && limit < int64(len(rows)) {
			rows = rows[:limit]
		}
		for i := range rows {
			rows[i] = rows[i][len(q.Key):]
		}
		for batch := range slices.Chunk(rows, 7) {
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// sorted is a Source that orders values by a rule of its own.
func sorted(compare func(c store.Column, a, b driver.Value) int) *broken {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
			slices.SortStableFunc(rows, func(a, b store.Row) int {
				for i, c := range key {
					if n := compare(c, a[i], b[i]); n != 0 {
						return n
					}
				}
				return 0
			})
			return rows
		})
	}}
}

// sortedText orders text by a rule of its own.
func sortedText(compare func(a, b string) int) *broken {
	return sorted(func(c store.Column, a, b driver.Value) int {
		x, ok := a.(string)
		y, ok2 := b.(string)
		if !ok || !ok2 {
			return standard(c, a, b)
		}
		return compare(x, y)
	})
}

// sortedBytes orders the values of one kind, which are bytes, by a rule of its own.
func sortedBytes(kind store.Kind, compare func(a, b []byte) int) *broken {
	return sorted(func(c store.Column, a, b driver.Value) int {
		x, ok := a.([]byte)
		y, ok2 := b.([]byte)
		if !ok || !ok2 || c.Type.Kind() != kind {
			return standard(c, a, b)
		}
		return compare(x, y)
	})
}

func standard(c store.Column, a, b driver.Value) int {
	return store.CompareKeys([]store.Column{c}, store.Row{a}, store.Row{b})
}

// delivering is a Source that delivers other values than it holds.
func delivering(change func(c store.Column, v driver.Value) driver.Value) *broken {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		columns := make([]store.Column, 0, len(q.Columns))
		for _, name := range q.Columns {
			c, _ := q.Table.Column(name)
			columns = append(columns, c)
		}
		if len(columns) == 0 {
			columns = q.Table.Columns
		}
		return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
			for i, r := range batch {
				batch[i] = r.Clone()
				for j, v := range r {
					batch[i][j] = change(columns[j], v)
				}
			}
			return batch
		})
	}}
}

func deliveringText(change func(s string) driver.Value) *broken {
	return delivering(func(_ store.Column, v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			return change(s)
		}
		return v
	})
}

func deliveringTime(change func(x time.Time) time.Time) *broken {
	return delivering(func(_ store.Column, v driver.Value) driver.Value {
		if x, ok := v.(time.Time); ok {
			return change(x)
		}
		return v
	})
}

// nilBytes reads empty bytes as a nil slice.
func nilBytes(outside, inside bool) store.Store {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		if _, ok := src.(store.Tx); ok && !inside || !ok && !outside {
			return src.Rows(ctx, q)
		}
		return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
			for _, r := range batch {
				for i, v := range r {
					if b, ok := v.([]byte); ok && len(b) == 0 {
						r[i] = []byte(nil)
					}
				}
			}
			return batch
		})
	}}
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

// asking is a Source that reads something else than it is asked for.
func asking(change func(q *store.Query)) *broken {
	return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		change(&q)
		return src.Rows(ctx, q)
	}}
}

// catalogue is a Source whose Tables describes tables in other words.
func catalogue(change func(t *store.Table)) *broken {
	return &broken{Store: memory.New(), tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
		tables, err := src.Tables(ctx)
		for i := range tables {
			change(&tables[i])
		}
		return tables, err
	}}
}

// updating is a Store with a fault in Update.
func updating(update func(st store.Store, ctx context.Context, fn func(store.Tx) error) error) *broken {
	return &broken{Store: memory.New(), update: update}
}

func inserting(insert func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error) *broken {
	return &broken{Store: memory.New(), insert: insert}
}

func creating(change func(t *store.Table)) *broken {
	return &broken{Store: memory.New(), create: func(tx store.Tx, ctx context.Context, t store.Table) error {
		t.Columns, t.Key = slices.Clone(t.Columns), slices.Clone(t.Key)
		change(&t)
		return tx.Create(ctx, t)
	}}
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

// renaming is a Store with a fault in Rename.
func renaming(rename func(tx store.Tx, ctx context.Context, t store.Table, name string) error) *broken {
	return &broken{Store: memory.New(), rename: rename}
}

// identifying is an Identifier that changes its answers.
func identifying(change func(id *store.Identity)) *broken {
	return &broken{Store: memory.New(), identity: func(i store.Identifier, ctx context.Context) (store.Identity, error) {
		id, err := i.Identity(ctx)
		change(&id)
		return id, err
	}}
}

// tracked is a Store that tracks changes.
func tracked() *memory.Store {
	st := memory.New()
	st.TrackChanges(7, 5)
	return st
}

// tracking is a ChangeTracker with a fault in Changed.
func tracking(changed func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error)) *broken {
	return &broken{Store: tracked(), changed: changed}
}

// anyValues is a Store over an engine that holds any value in a column.
func anyValues() store.Store {
	db := sqlx.MustOpen("sqlite", ":memory:")
	db.SetMaxOpenConns(1)
	st, err := sqlite.New(db)
	if err != nil {
		panic(err)
	}
	return st
}

// asStored passes on what is read with Query.Verbatim in other words.
func asStored(change func(v store.Verbatim) driver.Value) *broken {
	return &broken{Store: anyValues(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
		return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
			for _, r := range batch {
				for i, v := range r {
					if as, ok := v.(store.Verbatim); ok {
						r[i] = change(as)
					}
				}
			}
			return batch
		})
	}}
}

// digesting is a Digester that is asked for something else.
func digesting(change func(q *store.Query)) *broken {
	return &broken{Store: memory.New(),
		every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			change(&q)
			return d.DigestEvery(ctx, q, n)
		},
		at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			change(&q)
			return d.DigestAt(ctx, q, cuts)
		}}
}

// answering is a Digester that changes its answers, those of DigestAt too.
func answering(change func(d *store.Digest)) *broken {
	b := digesting(func(*store.Query) {})
	each := func(digests []store.Digest, err error) ([]store.Digest, error) {
		for i := range digests {
			change(&digests[i])
		}
		return digests, err
	}
	every, at := b.every, b.at
	b.every = func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
		return each(every(d, ctx, q, n))
	}
	b.at = func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
		return each(at(d, ctx, q, cuts))
	}
	return b
}

// summing is a Digester that makes sums of its own. It reads the rows of each
// range; the counts and the keys are right.
func summing(sum func(cols []store.Column, rows []store.Row) string) *broken {
	st := memory.New()
	sumOf := func(ctx context.Context, q store.Query) (string, error) {
		if q.Columns == nil {
			q.Columns = q.Table.ColumnNames()
		}
		if len(q.Columns) == 0 {
			return "", nil
		}
		cols := make([]store.Column, len(q.Columns))
		for i, name := range q.Columns {
			cols[i], _ = q.Table.Column(name)
		}
		rows, err := collect(ctx, st, q)
		if err != nil || len(rows) == 0 {
			return "", err
		}
		return sum(cols, rows), nil
	}
	return &broken{Store: st,
		every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			for i := range digests {
				part := q
				part.Limit = digests[i].Rows
				part.From = digests[i].First
				if digests[i].Sum, err = sumOf(ctx, part); err != nil {
					return nil, err
				}
			}
			return digests, err
		},
		at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			for i := range digests {
				part := q
				part.Limit = digests[i].Rows
				if i > 0 {
					key := make([]store.Column, len(q.Key))
					for j, name := range q.Key {
						key[j], _ = q.Table.Column(name)
					}
					if q.From == nil || store.CompareKeys(key, cuts[i-1], q.From) > 0 {
						part.From = cuts[i-1]
					}
				}
				if digests[i].Rows == 0 {
					digests[i].Sum = ""
				} else if digests[i].Sum, err = sumOf(ctx, part); err != nil {
					return nil, err
				}
			}
			return digests, err
		}}
}

// summingValues is a Digester whose sums depend on what change makes of the values.
func summingValues(change func(c store.Column, v driver.Value) driver.Value) *broken {
	return summing(func(cols []store.Column, rows []store.Row) string {
		return addHashes(rows, func(row store.Row) string {
			var b strings.Builder
			for i, v := range row {
				if v = change(cols[i], v); v != nil {
					text := valueText(v)
					fmt.Fprintf(&b, "%d:%d:%s", cols[i].Type.Kind(), len(text), text)
				}
				b.WriteString(";")
			}
			return b.String()
		})
	})
}

// summingText is a Digester whose sums depend on what change makes of text.
func summingText(change func(s string) driver.Value) *broken {
	return summingValues(func(_ store.Column, v driver.Value) driver.Value {
		if s, ok := v.(string); ok {
			return change(s)
		}
		return v
	})
}

func valueText(v driver.Value) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatUint(math.Float64bits(v), 16)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

func hashText(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

func addHashes(rows []store.Row, text func(row store.Row) string) string {
	var sum uint64
	for _, row := range rows {
		sum += hashText(text(row))
	}
	return fmt.Sprint(sum)
}

// has reports whether all cells name columns of t.
func has(t store.Table, cells []store.Cell) bool {
	return !slices.ContainsFunc(cells, func(c store.Cell) bool {
		_, ok := t.Column(c.Column)
		return !ok
	})
}

func hasNull(cells []store.Cell) bool {
	return slices.ContainsFunc(cells, func(c store.Cell) bool { return c.Value == nil })
}

// mapText returns a copy of cells in which fn changed the text values.
func mapText(cells []store.Cell, fn func(string) string) []store.Cell {
	cells = slices.Clone(cells)
	for i := range cells {
		if s, ok := cells[i].Value.(string); ok {
			cells[i].Value = fn(s)
		}
	}
	return cells
}

var errBusy = errors.New("database is locked")

// brokenStores are the faults, each with the contracts that must find it.
var brokenStores = []struct {
	name  string
	open  func() store.Store
	fails []string
}{
	// The catalogue.
	{"Tables lists an engine's own table", func() store.Store {
		return &broken{Store: memory.New(), tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
			tables, err := src.Tables(ctx)
			return append(tables, store.Table{Name: "sys_internal"}), err
		}}
	}, []string{"tables/empty-database", "tables/types"}},
	{"Tables says varchar for nvarchar", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i, c := range t.Columns {
				t.Columns[i].Type.Name = strings.TrimPrefix(c.Type.Name, "n")
			}
		})
	}, []string{"tables/types"}},
	{"Tables doubles the length", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Type.Length *= 2
			}
		})
	}, []string{"tables/types"}},
	{"Tables allows NULL everywhere", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Nullable = true
			}
		})
	}, []string{"tables/types", "tables/columns"}},
	{"Tables sorts columns by name", func() store.Store {
		return catalogue(func(t *store.Table) {
			slices.SortFunc(t.Columns, func(a, b store.Column) int { return cmp.Compare(a.Name, b.Name) })
		})
	}, []string{"tables/columns"}},
	{"Tables has the key in column order", func() store.Store {
		return catalogue(func(t *store.Table) {
			at := func(name string) int {
				return slices.IndexFunc(t.Columns, func(c store.Column) bool { return c.Name == name })
			}
			slices.SortFunc(t.Key, func(a, b string) int { return cmp.Compare(at(a), at(b)) })
		})
	}, []string{"tables/keys"}},
	{"Tables loses defaults", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Default = ""
			}
		})
	}, []string{"tables/defaults"}},
	{"Tables lowers names", func() store.Store {
		return catalogue(func(t *store.Table) { t.Name = strings.ToLower(t.Name) })
	}, []string{"tables/case-of-names"}},
	{"Tables lowers names of columns", func() store.Store {
		return catalogue(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Name = strings.ToLower(t.Columns[i].Name)
			}
		})
	}, []string{"tables/case-of-names"}},
	{"Tables returns what it keeps", func() store.Store {
		var mu sync.Mutex
		var kept []store.Table
		return &broken{Store: memory.New(), tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
			mu.Lock()
			defer mu.Unlock()
			tables, err := src.Tables(ctx)
			if len(tables) != len(kept) {
				kept = tables
			}
			return kept, err
		}}
	}, []string{"tables/own-copy"}},
	{"Tables remembers a table that was dropped", func() store.Store {
		var mu sync.Mutex
		kept := map[string]store.Table{}
		return catalogue(func(t *store.Table) {
			mu.Lock()
			defer mu.Unlock()
			if old, ok := kept[t.Name]; ok {
				*t = old
			}
			kept[t.Name] = *t
		})
	}, []string{"write/create-again"}},
	{"a bracket in a name is not escaped", func() store.Store {
		return &broken{Store: memory.New(), create: func(tx store.Tx, ctx context.Context, t store.Table) error {
			if strings.Contains(t.Name, "]") {
				return errors.New("syntax error near ]")
			}
			return tx.Create(ctx, t)
		}}
	}, []string{"tables/hostile-names"}},
	{"a colon in a name becomes a parameter", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if strings.HasPrefix(t.Name, ":") {
				return 0, errors.New("could not find name named")
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"tables/hostile-names"}},
	{"Count is an estimate", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			return n / 100 * 100, err
		}}
	}, []string{"tables/count"}},
	{"Count of a missing table is 0", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			if errors.Is(err, store.ErrTableNotFound) {
				return 0, nil
			}
			return n, err
		}}
	}, []string{"tables/missing-table", "write/drop"}},
	{"Count of a missing table is an error of the engine", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			if errors.Is(err, store.ErrTableNotFound) {
				err = errors.New("no such table: " + t.Name)
			}
			return n, err
		}}
	}, []string{"tables/missing-table"}},

	// Reading.
	{"Rows loses the last row of a batch", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				if len(batch) == 1 {
					return nil
				}
				return batch[:len(batch)-1]
			})
		}}
	}, []string{"rows/batches", "rows/unordered", "rows/columns", "rows/lifetime", "concurrent/readers", "cancel/usable-afterwards"}},
	{"Rows repeats a row between batches", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			var last store.Row
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				if last != nil {
					batch = append([]store.Row{last}, batch...)
				}
				last = batch[len(batch)-1].Clone()
				return batch
			})
		}}
	}, []string{"rows/batches", "rows/unordered"}},
	{"Rows ends with an empty batch", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) || err != nil {
						return
					}
				}
				yield(nil, nil)
			}
		}}
	}, []string{"rows/empty-table", "rows/batches"}},
	{"Rows goes on after an error", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) || err != nil && !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"rows/missing-table", "cancel/cancelled"}},
	{"Rows of a missing table are none", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if errors.Is(err, store.ErrTableNotFound) || !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"rows/missing-table", "write/drop", "cancel/goroutines"}},
	{"Rows in the order of the table's columns", func() store.Store {
		return asking(func(q *store.Query) {
			slices.SortFunc(q.Columns, func(a, b string) int {
				return cmp.Compare(slices.Index(q.Table.ColumnNames(), a), slices.Index(q.Table.ColumnNames(), b))
			})
		})
	}, []string{"rows/columns"}},
	{"Rows orders only by what it reads", func() store.Store {
		return asking(func(q *store.Query) {
			if len(q.Columns) > 0 && q.From == nil && q.Before == nil {
				q.Key = slices.DeleteFunc(slices.Clone(q.Key), func(name string) bool { return !slices.Contains(q.Columns, name) })
			}
		})
	}, []string{"rows/columns", "order/int"}},
	{"Rows ignores a column that does not exist", func() store.Store {
		return asking(func(q *store.Query) {
			q.Key = slices.DeleteFunc(slices.Clone(q.Key), func(name string) bool { return !slices.Contains(q.Table.ColumnNames(), name) })
		})
	}, []string{"rows/unknown-column"}},
	{"From is exclusive", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool { return q.From != nil && store.CompareKeys(key, r, q.From) == 0 })
			})
		}}
	}, []string{"rows/from", "rows/from-and-before", "rows/composite-bounds", "rows/null-bounds", "rows/limit", "rows/resume", "order/*", "tx/reads-in-order"}},
	{"Before is inclusive", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			before := q.Before
			q.Before = nil
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool { return before != nil && store.CompareKeys(key, r, before) > 0 })
			})
		}}
	}, []string{"rows/before", "rows/from-and-before", "rows/composite-bounds", "rows/null-bounds", "order/case", "tx/reads-in-order"}},
	{"From binds every column by itself", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool {
					for i, c := range key {
						if q.From != nil && standard(c, r[i], q.From[i]) < 0 {
							return true
						}
					}
					return false
				})
			})
		}}
	}, []string{"rows/composite-bounds", "rows/null-bounds", "order/composite", "tx/reads-in-order"}},
	{"NULL in Before is no bound", func() store.Store {
		return asking(func(q *store.Query) {
			if len(q.Before) > 0 && q.Before[0] == nil {
				q.Before = nil
			}
		})
	}, []string{"rows/null-bounds", "order/int"}},
	{"rows with NULL are beyond every bound", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				return slices.DeleteFunc(rows, func(r store.Row) bool {
					return (q.From != nil || q.Before != nil) && slices.Contains(r[:len(key)], nil)
				})
			})
		}}
	}, []string{"rows/null-bounds", "order/composite"}},
	{"Limit is ignored", func() store.Store { return asking(func(q *store.Query) { q.Limit = 0 }) },
		[]string{"rows/limit", "rows/composite-bounds"}},
	{"Limit is one less", func() store.Store { return asking(func(q *store.Query) { q.Limit = max(q.Limit-1, 0) }) },
		[]string{"rows/limit", "rows/composite-bounds"}},
	{"Limit ends with the batch", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			q.Limit = (q.Limit + 99) / 100 * 100
			return src.Rows(ctx, q)
		}}
	}, []string{"rows/limit"}},
	{"Limit leaves the order to chance", func() store.Store {
		return asking(func(q *store.Query) {
			if q.Limit > 0 && q.From == nil && q.Before == nil {
				q.Key = nil
				q.Table.Key = nil
			}
		})
	}, []string{"rows/limit"}},
	{"rows of a batch share their bytes", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				buf := make([]byte, 0, 1<<16)
				for i, r := range batch {
					batch[i] = r.Clone()
					for j, v := range r {
						if b, ok := v.([]byte); ok && len(b) < cap(buf) {
							batch[i][j] = append(buf[:0], b...)
						}
					}
				}
				return batch
			})
		}}
	}, []string{"rows/lifetime", "concurrent/readers"}},
	{"batches that are promised to stay do not", func() store.Store { return forgetful{memory.New()} }, []string{"rows/kept-batches"}},
	{"a reader that stops early keeps its lock", func() store.Store {
		var locked atomic.Bool
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) {
						locked.Store(true)
						return
					}
				}
			}
		}, update: func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			if locked.Load() {
				return errBusy
			}
			return st.Update(ctx, fn)
		}}
	}, []string{"rows/break"}},

	// The order.
	{"order without case", func() store.Store {
		return sortedText(func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	}, []string{"order/case", "order/varchar", "order/nvarchar-max", "order/char", "order/long-text", "order/primary-key", "order/composite", "tx/reads-in-order"}},
	{"order with trailing blanks in front", func() store.Store {
		return sortedText(func(a, b string) int {
			return cmp.Or(cmp.Compare(strings.TrimRight(a, " "), strings.TrimRight(b, " ")), len(b)-len(a))
		})
	}, []string{"order/trailing-blanks", "order/varchar", "order/nvarchar-max"}},
	{"bounds without trailing blanks", func() store.Store {
		trim := func(r store.Row) store.Row {
			r = slices.Clone(r)
			for i, v := range r {
				if s, ok := v.(string); ok {
					r[i] = strings.TrimRight(s, " ")
				}
			}
			return r
		}
		return asking(func(q *store.Query) { q.From, q.Before = trim(q.From), trim(q.Before) })
	}, []string{"order/trailing-blanks"}},
	{"order without punctuation", func() store.Store {
		return sortedText(func(a, b string) int {
			word := strings.NewReplacer("-", "", "'", "").Replace
			return cmp.Or(cmp.Compare(word(a), word(b)), cmp.Compare(a, b))
		})
	}, []string{"order/punctuation", "order/varchar", "order/char"}},
	{"order of a language", func() store.Store {
		return sortedText(func(a, b string) int {
			spell := strings.NewReplacer("å", "aa", "ø", "oe", "é", "e", "ß", "ss").Replace
			return cmp.Or(cmp.Compare(spell(a), spell(b)), cmp.Compare(a, b))
		})
	}, []string{"order/non-ascii", "order/primary-key"}},
	{"order by UTF-16 units", func() store.Store {
		return sortedText(func(a, b string) int { return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) })
	}, []string{"order/surrogates", "order/nvarchar-max", "order/primary-key", "tx/reads-in-order"}},
	{"order up to the first NUL", func() store.Store {
		return sortedText(func(a, b string) int {
			a, restA, _ := strings.Cut(a, "\x00")
			b, restB, _ := strings.Cut(b, "\x00")
			return cmp.Or(cmp.Compare(a, b), cmp.Compare(restB, restA))
		})
	}, []string{"order/nul-character"}},
	{"order by the first 1,000 characters", func() store.Store {
		return sortedText(func(a, b string) int {
			return cmp.Or(cmp.Compare(a[:min(len(a), 1000)], b[:min(len(b), 1000)]), cmp.Compare(b, a))
		})
	}, []string{"order/long-text"}},
	{"order of GUIDs by bytes", func() store.Store { return sortedBytes(store.KindGUID, bytes.Compare) },
		[]string{"order/guid", "order/primary-key"}},
	{"order of decimals by text", func() store.Store { return sortedBytes(store.KindDecimal, bytes.Compare) },
		[]string{"order/decimal", "order/decimal-integer", "order/money", "order/primary-key", "order/composite"}},
	{"order of decimals by float", func() store.Store {
		return sortedBytes(store.KindDecimal, func(a, b []byte) int {
			x, _ := strconv.ParseFloat(string(a), 64)
			y, _ := strconv.ParseFloat(string(b), 64)
			return cmp.Or(cmp.Compare(x, y), bytes.Compare(b, a))
		})
	}, []string{"order/decimal", "order/decimal-integer"}},
	{"order of bytes by length", func() store.Store {
		return sortedBytes(store.KindBytes, func(a, b []byte) int { return cmp.Or(len(a)-len(b), bytes.Compare(a, b)) })
	}, []string{"order/bytes", "order/bytes-zeros", "order/primary-key"}},
	{"order of bytes without trailing zeros", func() store.Store {
		return sortedBytes(store.KindBytes, func(a, b []byte) int {
			return cmp.Or(bytes.Compare(bytes.TrimRight(a, "\x00"), bytes.TrimRight(b, "\x00")), len(b)-len(a))
		})
	}, []string{"order/bytes-zeros"}},
	{"order of datetimeoffset by the clock on the wall", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int {
			if c.Type.Kind() != store.KindTimeOffset || a == nil || b == nil {
				return standard(c, a, b)
			}
			return cmp.Compare(a.(time.Time).Format(time.RFC3339Nano), b.(time.Time).Format(time.RFC3339Nano))
		})
	}, []string{"order/datetimeoffset", "order/same-instant", "order/primary-key"}},
	{"order of times by seconds", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int {
			x, ok := a.(time.Time)
			y, ok2 := b.(time.Time)
			if !ok || !ok2 {
				return standard(c, a, b)
			}
			return cmp.Or(cmp.Compare(x.Unix(), y.Unix()), y.Compare(x))
		})
	}, []string{"order/datetime", "order/datetime2", "order/time"}},
	{"order with NULL last", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int {
			if (a == nil) != (b == nil) {
				return -standard(c, a, b)
			}
			return standard(c, a, b)
		})
	}, []string{"rows/null-bounds", "order/int", "order/bool", "order/same-instant", "tx/reads-in-order"}},
	{"order backwards", func() store.Store {
		return sorted(func(c store.Column, a, b driver.Value) int { return -standard(c, a, b) })
	}, []string{"order/*", "rows/batches"}},
	{"order by the key's columns as the table has them", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return again(ctx, src, q, func(key []store.Column, rows []store.Row) []store.Row {
				at := make([]int, len(key))
				for i := range at {
					at[i] = i
				}
				names := q.Table.ColumnNames()
				slices.SortFunc(at, func(i, j int) int {
					return cmp.Compare(slices.Index(names, key[i].Name), slices.Index(names, key[j].Name))
				})
				slices.SortStableFunc(rows, func(a, b store.Row) int {
					for _, i := range at {
						if n := standard(key[i], a[i], b[i]); n != 0 {
							return n
						}
					}
					return 0
				})
				return rows
			})
		}}
	}, []string{"order/composite", "rows/composite-bounds"}},

	// Values.
	{"every value is NULL", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if c.Name == "v" || c.Name == "s" || c.Name == "n" {
				return nil
			}
			return v
		})
	}, []string{"values/*"}},
	{"integers of the driver's size", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if n, ok := v.(int64); ok && c.Type.Name != "bigint" {
				return int32(n)
			}
			return v
		})
	}, []string{"values/int", "values/smallint", "values/tinyint"}},
	{"bit as a number", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if b, ok := v.(bool); ok {
				return map[bool]int64{false: 0, true: 1}[b]
			}
			return v
		})
	}, []string{"values/bit", "values/literals", "write/defaults"}},
	{"bigint through float", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if n, ok := v.(int64); ok {
				return int64(float64(n))
			}
			return v
		})
	}, []string{"values/bigint"}},
	{"float as text of 15 digits", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok {
				v, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64)
			}
			return v
		})
	}, []string{"values/float"}},
	{"-0 becomes 0", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok && f == 0 {
				return 0.0
			}
			return v
		})
	}, []string{"values/negative-zero", "order/negative-zero"}},
	{"whole floats as integers", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok && f == float64(int64(f)) {
				return int64(f)
			}
			return v
		})
	}, []string{"values/float", "values/real", "write/defaults"}},
	{"decimal as string", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
				return string(b)
			}
			return v
		})
	}, []string{"values/decimal", "values/money"}},
	{"decimal through float", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
				f, _ := strconv.ParseFloat(string(b), 64)
				return strconv.AppendFloat(nil, f, 'f', -1, 64)
			}
			return v
		})
	}, []string{"values/decimal-*", "values/money"}},
	{"trailing blanks are trimmed", func() store.Store {
		return deliveringText(func(s string) driver.Value { return strings.TrimRight(s, " ") })
	}, []string{"values/nvarchar", "values/nvarchar-full", "values/varchar", "values/null-empty-blank", "order/trailing-blanks"}},
	{"empty text is NULL", func() store.Store {
		return deliveringText(func(s string) driver.Value {
			if s == "" {
				return nil
			}
			return s
		})
	}, []string{"values/nvarchar", "values/null-empty-blank", "write/set-null"}},
	{"empty text is a blank", func() store.Store {
		return deliveringText(func(s string) driver.Value { return cmp.Or(s, " ") })
	}, []string{"values/nvarchar", "values/null-empty-blank"}},
	{"empty bytes are NULL", func() store.Store {
		return delivering(func(_ store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && len(b) == 0 {
				return nil
			}
			return v
		})
	}, []string{"values/varbinary", "values/null-empty-blank", "values/image"}},
	{"text in a code page", func() store.Store {
		return deliveringText(func(s string) driver.Value {
			return strings.Map(func(r rune) rune {
				if r > 0xff {
					return '?'
				}
				return r
			}, s)
		})
	}, []string{"values/nvarchar", "values/ntext", "values/nchar", "order/surrogates"}},
	{"text up to the first NUL", func() store.Store {
		return deliveringText(func(s string) driver.Value {
			s, _, _ = strings.Cut(s, "\x00")
			return s
		})
	}, []string{"values/nul-character", "order/nul-character"}},
	{"line ends are changed", func() store.Store {
		return deliveringText(func(s string) driver.Value { return strings.ReplaceAll(s, "\r\n", "\n") })
	}, []string{"values/nvarchar", "values/text"}},
	{"long text is cut", func() store.Store {
		return deliveringText(func(s string) driver.Value { return s[:min(len(s), 8000)] })
	}, []string{"values/large"}},
	{"text as bytes", func() store.Store { return deliveringText(func(s string) driver.Value { return []byte(s) }) },
		[]string{"values/nvarchar", "values/xml", "values/char"}},
	{"bytes as text", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok {
				return string(b)
			}
			return v
		})
	}, []string{"values/varbinary", "values/binary", "values/uniqueidentifier"}},
	{"GUID in the order of its text", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindGUID {
				b = slices.Clone(b)
				slices.Reverse(b[:4])
				slices.Reverse(b[4:6])
				slices.Reverse(b[6:8])
				return b
			}
			return v
		})
	}, []string{"values/uniqueidentifier"}},
	{"times cut to seconds", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time { return x.Truncate(time.Second) })
	}, []string{"values/datetime", "values/datetime2", "values/time", "values/datetimeoffset"}},
	{"times through nanoseconds since 1970", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time { return time.Unix(0, x.UnixNano()).In(x.Location()) })
	}, []string{"values/date", "values/datetime2", "order/datetime2"}},
	{"times in local time", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time { return x.In(time.FixedZone("local", 3600)) })
	}, []string{"values/datetime", "values/date", "values/time"}},
	{"times in an unnamed zone", func() store.Store {
		return deliveringTime(func(x time.Time) time.Time {
			_, offset := x.Zone()
			return x.In(time.FixedZone("", offset))
		})
	}, []string{"values/datetime", "values/smalldatetime"}},
	{"datetimeoffset in UTC", func() store.Store { return deliveringTime(time.Time.UTC) },
		[]string{"values/datetimeoffset", "order/same-instant"}},
	{"time on the first day of 1970", func() store.Store {
		return delivering(func(c store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok && c.Type.Kind() == store.KindTimeOfDay {
				return x.AddDate(1969, 0, 0)
			}
			return v
		})
	}, []string{"values/time", "values/time-seconds"}},
	{"Insert cuts times where it should round", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			cut := make([]store.Row, len(rows))
			for i, r := range rows {
				cut[i] = slices.Clone(r)
				for j, v := range r {
					if x, ok := v.(time.Time); ok {
						c, _ := t.Column(columns[j])
						cut[i][j] = x.Truncate(map[string]time.Duration{"smalldatetime": time.Minute, "datetime": time.Millisecond}[c.Type.Name])
					}
				}
			}
			return tx.Insert(ctx, t, columns, cut)
		})
	}, []string{"values/smalldatetime"}},
	{"Insert takes only what a driver takes", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for _, r := range rows {
				for _, v := range r {
					if _, ok := v.(uint8); ok {
						return errors.New("unsupported type uint8")
					}
				}
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"values/literals"}},
	{"Insert writes when Update ends", func() store.Store {
		var late []func(tx store.Tx) error
		b := inserting(func(_ store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			late = append(late, func(tx store.Tx) error { return tx.Insert(ctx, t, columns, rows) })
			return nil
		})
		b.update = func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			return st.Update(ctx, func(tx store.Tx) error {
				late = nil
				if err := fn(tx); err != nil {
					return err
				}
				for _, insert := range late {
					if err := insert(tx); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return b
	}, []string{"values/insert-copies", "tx/reads-own-writes"}},

	// Writing.
	{"Create replaces a table", func() store.Store {
		return &broken{Store: memory.New(), create: func(tx store.Tx, ctx context.Context, t store.Table) error {
			tables, err := tx.Tables(ctx)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(tables, func(old store.Table) bool { return old.Name == t.Name }) {
				if err := tx.Drop(ctx, t); err != nil {
					return err
				}
			}
			return tx.Create(ctx, t)
		}}
	}, []string{"write/create-existing"}},
	{"Create ignores a key that is not a column", func() store.Store {
		return creating(func(t *store.Table) {
			t.Key = slices.DeleteFunc(t.Key, func(name string) bool { return !slices.Contains(t.ColumnNames(), name) })
		})
	}, []string{"write/create-refuses"}},
	{"Create runs what a default says", func() store.Store {
		return creating(func(t *store.Table) {
			for i, c := range t.Columns {
				if strings.Contains(c.Default, "drop") {
					t.Columns[i].Default = ""
				}
			}
		})
	}, []string{"write/hostile-default", "write/defaults"}},
	{"Create makes text of what it does not know", func() store.Store {
		return creating(func(t *store.Table) {
			for i, c := range t.Columns {
				if c.Type.Kind() == store.KindOther {
					t.Columns[i].Type = store.MustType("nvarchar(max)")
				}
			}
		})
	}, []string{"write/hostile-type"}},
	{"Create ignores defaults", func() store.Store {
		return creating(func(t *store.Table) {
			for i := range t.Columns {
				t.Columns[i].Default = ""
				t.Columns[i].Nullable = !slices.Contains(t.Key, t.Columns[i].Name)
			}
		})
	}, []string{"tables/defaults", "write/defaults", "write/insert-columns"}},
	{"Drop keeps the table", func() store.Store {
		return &broken{Store: memory.New(), drop: func(tx store.Tx, ctx context.Context, t store.Table) error { return tx.Truncate(ctx, t) }}
	}, []string{"write/drop", "write/create-again", "tx/commit", "tx/reads-own-writes"}},
	{"Truncate does nothing", func() store.Store {
		return &broken{Store: memory.New(), truncate: func(store.Tx, context.Context, store.Table) error { return nil }}
	}, []string{"write/truncate", "tx/commit"}},
	{"Insert goes by the order of the table", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			return tx.Insert(ctx, t, t.ColumnNames()[:min(len(columns), len(t.Columns))], rows)
		})
	}, []string{"write/insert-columns"}},
	{"Insert makes NULL of a column that is not named", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			columns = slices.Clone(columns)
			for _, c := range t.Columns {
				if c.Nullable && !slices.Contains(columns, c.Name) {
					columns = append(columns, c.Name)
				}
			}
			wide := make([]store.Row, len(rows))
			for i, r := range rows {
				wide[i] = append(slices.Clone(r), make(store.Row, max(len(columns)-len(r), 0))...)
			}
			return tx.Insert(ctx, t, columns, wide)
		})
	}, []string{"write/insert-columns"}},
	{"Insert of no rows is an error", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			if len(rows) == 0 {
				return errors.New("syntax error at end of input")
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/insert-nothing"}},
	{"Insert binds all values at once", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			if len(rows)*len(columns) > 32_766 {
				return errors.New("too many parameters")
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/insert-many", "write/insert-wide"}},
	{"Insert loses rows after the first 1,000", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			return tx.Insert(ctx, t, columns, rows[:min(len(rows), 1000)])
		})
	}, []string{"write/insert-many"}},
	{"Insert fills up short rows", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for i, r := range rows {
				if len(r) < len(columns) {
					rows[i] = append(slices.Clone(r), make(store.Row, len(columns)-len(r))...)
				}
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/insert-refuses"}},
	{"Insert replaces a row of the same key", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for _, r := range rows {
				var where []store.Cell
				for _, k := range t.Key {
					if i := slices.Index(columns, k); i >= 0 && i < len(r) {
						where = append(where, cell(k, r[i]))
					}
				}
				if len(where) > 0 {
					if _, err := tx.Delete(ctx, t, where); err != nil {
						return err
					}
				}
				if err := tx.Insert(ctx, t, columns, []store.Row{r}); err != nil {
					return err
				}
			}
			return nil
		})
	}, []string{"write/duplicate-key"}},
	{"Insert makes numbers of text", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			for _, r := range rows {
				for i, name := range columns {
					c, _ := t.Column(name)
					if s, ok := r[i].(string); ok && c.Type.Kind() == store.KindInt {
						r[i], _ = strconv.Atoi(s)
					}
				}
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/wrong-values"}},
	{"writes to a missing table are lost", func() store.Store {
		return inserting(func(tx store.Tx, ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
			tables, err := tx.Tables(ctx)
			if err != nil || !slices.ContainsFunc(tables, func(old store.Table) bool { return old.Name == t.Name }) {
				return err
			}
			return tx.Insert(ctx, t, columns, rows)
		})
	}, []string{"write/missing-table"}},
	{"Set returns 0", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			_, err := tx.Set(ctx, t, where, set)
			return 0, err
		}}
	}, []string{"write/set", "write/set-null", "write/where-*", "tx/lost-updates"}},
	{"Set counts only rows that change", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if !has(t, where) || !has(t, set) {
				return tx.Set(ctx, t, where, set)
			}
			same, err := tx.Set(ctx, t, slices.Concat(where, set), set)
			if err != nil {
				return 0, err
			}
			n, err := tx.Set(ctx, t, where, set)
			return n - same, err
		}}
	}, []string{"write/set"}},
	{"Set without a condition changes nothing", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if len(where) == 0 {
				return 0, nil
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"write/set", "concurrent/readers-and-writer"}},
	{"Set compares with NULL as SQL does", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if hasNull(where) {
				return 0, nil
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"write/set-null", "write/where-int", "values/null-empty-blank"}},
	{"Set ignores a column that does not exist", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			if !has(t, set) {
				return 0, nil
			}
			return tx.Set(ctx, t, where, set)
		}}
	}, []string{"write/set-refuses"}},
	{"Delete compares with NULL as SQL does", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			if hasNull(where) {
				return 0, nil
			}
			return tx.Delete(ctx, t, where)
		}}
	}, []string{"write/delete-null", "write/where-int"}},
	{"Delete takes NULL for no condition", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			given := slices.DeleteFunc(slices.Clone(where), func(c store.Cell) bool { return c.Value == nil })
			if len(given) == 0 {
				given = where
			}
			return tx.Delete(ctx, t, given)
		}}
	}, []string{"write/delete-null"}},
	{"Delete without a condition deletes all", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			if len(where) == 0 {
				return 0, tx.Truncate(ctx, t)
			}
			return tx.Delete(ctx, t, where)
		}}
	}, []string{"write/delete-without-where"}},
	{"Delete returns at most 1", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			n, err := tx.Delete(ctx, t, where)
			return min(n, 1), err
		}}
	}, []string{"write/delete"}},
	{"Delete ignores a column that does not exist", func() store.Store {
		return &broken{Store: memory.New(), delete: func(tx store.Tx, ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
			if !has(t, where) {
				return 0, nil
			}
			return tx.Delete(ctx, t, where)
		}}
	}, []string{"write/delete-refuses"}},
	{"a condition without case", func() store.Store {
		return &broken{Store: memory.New(), set: func(tx store.Tx, ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
			n, err := tx.Set(ctx, t, where, set)
			if err != nil || len(where) != 1 || where[0].Column == set[0].Column {
				return n, err
			}
			for _, fold := range []func(string) string{strings.ToLower, strings.ToUpper} {
				other := mapText(where, fold)
				if fmt.Sprint(other) != fmt.Sprint(where) {
					more, err := tx.Set(ctx, t, other, set)
					if err != nil {
						return 0, err
					}
					n += more
				}
			}
			return n, nil
		}}
	}, []string{"write/where-is-exact"}},

	// Digests.
	{"a scheme without a name", func() store.Store {
		return &broken{Store: memory.New(), scheme: func(store.Digester) string { return "" }}
	}, []string{"digest/scheme"}},
	{"no rows are one digest", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			if err == nil && len(digests) == 0 {
				digests = make([]store.Digest, 1)
			}
			return digests, err
		}}
	}, []string{"digest/empty-table", "digest/bounds"}},
	{"ranges have one row more", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			if n > 1 {
				n++
			}
			return d.DigestEvery(ctx, q, n)
		}}
	}, []string{"digest/every", "digest/limit", "digest/bounds", "digest/no-columns", "digest/many-cuts", "digest/key-[c-z]*"}},
	{"a range is counted to the next hundred", func() store.Store {
		return answering(func(d *store.Digest) { d.Rows = (d.Rows + 99) / 100 * 100 })
	}, []string{"digest/every", "digest/cuts", "digest/no-columns"}},
	{"the last range is left out", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			return digests[:max(len(digests)-1, 0)], err
		}}
	}, []string{"digest/every", "digest/order-of-rows"}},
	{"a range begins with the key behind its first", func() store.Store {
		return answering(func(d *store.Digest) {
			if len(d.First) == 1 {
				if n, ok := d.First[0].(int64); ok {
					d.First[0] = n + 1
				}
			}
		})
	}, []string{"digest/every", "digest/key-int"}},
	{"First is the greatest key as text", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				if s, ok := v.(string); ok {
					d.First[i] = strings.TrimRight(strings.ToUpper(s), " ")
				}
			}
		})
	}, []string{"digest/key-case", "digest/key-varchar", "digest/key-trailing-blanks", "digest/key-composite"}},
	{"First is in a code page", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				if s, ok := v.(string); ok {
					d.First[i] = strings.Map(func(r rune) rune {
						if r > 0xff {
							return '?'
						}
						return r
					}, s)
				}
			}
		})
	}, []string{"digest/key-non-ascii", "digest/key-surrogates"}},
	{"First of bit is a number", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				if v, ok := v.(bool); ok {
					d.First[i] = map[bool]int64{true: 1}[v]
				}
			}
		})
	}, []string{"digest/key-bool", "digest/key-composite"}},
	{"First has 2 digits behind the point", func() store.Store {
		return answering(func(d *store.Digest) {
			for i, v := range d.First {
				switch v := v.(type) {
				case []byte:
					integer, fraction, _ := strings.Cut(string(v), ".")
					d.First[i] = []byte(integer + "." + (fraction + "00")[:2])
				case float64:
					d.First[i] = math.Round(v*100) / 100
				case time.Time:
					d.First[i] = v.Truncate(time.Second / 100)
				}
			}
		})
	}, []string{"digest/key-decimal", "digest/key-float", "digest/key-datetime", "digest/key-datetimeoffset", "digest/key-guid", "digest/key-bytes-zeros"}},
	{"DigestAt names the first keys", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			for i := range digests {
				if i > 0 {
					digests[i].First = cuts[i-1]
				}
			}
			return digests, err
		}}
	}, []string{"digest/cuts", "digest/every"}},
	{"a cut belongs to the range before it", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			next := make([]store.Row, len(cuts))
			for i, cut := range cuts {
				next[i] = slices.Clone(cut)
				last := len(cut) - 1
				if n, ok := cut[last].(int64); ok {
					next[i][last] = n + 1
				}
			}
			return d.DigestAt(ctx, q, next)
		}}
	}, []string{"digest/cuts", "digest/every", "digest/bounds", "digest/many-cuts", "digest/no-columns", "digest/key-int"}},
	{"only 500 cuts are taken", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts[:min(len(cuts), 500)])
			return append(digests, make([]store.Digest, max(len(cuts)-500, 0))...), err
		}}
	}, []string{"digest/many-cuts"}},
	{"ranges without rows are left out", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			return slices.DeleteFunc(digests, func(d store.Digest) bool { return d.Rows == 0 }), err
		}}
	}, []string{"digest/cuts", "digest/empty-table", "digest/no-columns"}},
	{"cuts are sorted", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			cuts = slices.Clone(cuts)
			slices.SortFunc(cuts, func(a, b store.Row) int { return cmp.Compare(fmt.Sprintf("%20v", a), fmt.Sprintf("%20v", b)) })
			return d.DigestAt(ctx, q, cuts)
		}}
	}, []string{"digest/cuts"}},
	{"digests know no From", func() store.Store { return digesting(func(q *store.Query) { q.From = nil }) },
		[]string{"digest/bounds", "digest/cuts", "digest/key-int", "digest/key-composite"}},
	{"digests know no Before", func() store.Store { return digesting(func(q *store.Query) { q.Before = nil }) },
		[]string{"digest/bounds", "digest/cuts", "digest/key-int", "digest/key-composite"}},
	{"digests know no Limit", func() store.Store { return digesting(func(q *store.Query) { q.Limit = 0 }) },
		[]string{"digest/limit", "digest/no-columns"}},
	{"DigestAt knows a Limit", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			digests, err := d.DigestAt(ctx, q, cuts)
			left := q.Limit
			for i := range digests {
				if q.Limit > 0 {
					digests[i].Rows = min(digests[i].Rows, left)
					left -= digests[i].Rows
				}
			}
			return digests, err
		}}
	}, []string{"digest/limit", "digest/no-columns"}},
	{"digests are by the first column of the key", func() store.Store {
		b := digesting(func(*store.Query) {})
		at := b.at
		b.at = func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			if len(q.Key) > 1 && q.From == nil && q.Before == nil {
				q.Key, cuts = q.Key[:1], slices.Clone(cuts)
				for i := range cuts {
					cuts[i] = cuts[i][:1]
				}
			}
			return at(d, ctx, q, cuts)
		}
		return b
	}, []string{"digest/key-composite", "digest/many-cuts"}},
	{"digests of a missing table are none", func() store.Store {
		return &broken{Store: memory.New(), every: func(d store.Digester, ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
			digests, err := d.DigestEvery(ctx, q, n)
			if errors.Is(err, store.ErrTableNotFound) {
				err = nil
			}
			return digests, err
		}}
	}, []string{"digest/missing-table"}},
	{"digests ignore a column that does not exist", func() store.Store {
		return digesting(func(q *store.Query) {
			q.Columns = slices.DeleteFunc(slices.Clone(q.Columns), func(name string) bool { _, ok := q.Table.Column(name); return !ok })
		})
	}, []string{"digest/unknown-column"}},
	{"digests ignore their context", func() store.Store {
		return &broken{Store: memory.New(), at: func(d store.Digester, ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
			return d.DigestAt(context.WithoutCancel(ctx), q, cuts)
		}}
	}, []string{"digest/cancelled"}},
	{"no columns are all columns", func() store.Store {
		return digesting(func(q *store.Query) {
			if len(q.Columns) == 0 {
				q.Columns = nil
			}
		})
	}, []string{"digest/no-columns"}},
	{"all columns are the key", func() store.Store {
		return digesting(func(q *store.Query) {
			if q.Columns == nil {
				q.Columns = q.Key
			}
		})
	}, []string{"digest/columns"}},
	{"the last column is left out", func() store.Store {
		return summing(func(cols []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) string {
				row = row.Clone()
				row[len(row)-1] = nil
				return fmt.Sprintf("%q", row)
			})
		})
	}, []string{"digest/columns", "digest/wide-rows", "digest/types-apart", "digest/values-*"}},
	{"columns are joined", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) (s string) {
				for _, v := range row {
					if v != nil {
						s += valueText(v)
					}
				}
				return s
			})
		})
	}, []string{"digest/columns-apart", "digest/types-apart", "digest/values-text"}},
	{"columns are joined with a comma", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) (s string) {
				for _, v := range row {
					s += "," + showValue(v)
				}
				return strings.ReplaceAll(s, `"`, "")
			})
		})
	}, []string{"digest/columns-apart", "digest/values-text"}},
	{"hashes of columns are added", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			var sum uint64
			for _, row := range rows {
				for _, v := range row {
					sum += hashText(showValue(v))
				}
			}
			return fmt.Sprint(sum)
		})
	}, []string{"digest/columns-apart", "digest/wide-rows"}},
	{"rows cancel each other", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			var sum uint64
			for _, row := range rows {
				sum ^= hashText(show(row))
			}
			return fmt.Sprint(sum)
		})
	}, []string{"digest/repeated-rows"}},
	{"rows are hashed one after the other", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			s := ""
			for _, row := range rows {
				s += show(row)
			}
			return fmt.Sprint(hashText(s))
		})
	}, []string{"digest/order-of-rows"}},
	{"equal rows have other sums", func() store.Store {
		var n atomic.Int64
		return summing(func([]store.Column, []store.Row) string { return fmt.Sprint(n.Add(1)) })
	}, []string{"digest/every", "digest/order-of-rows", "digest/values-*", "digest/columns"}},
	{"text is cut after 255 characters", func() store.Store {
		return summingText(func(s string) driver.Value { return s[:min(len(s), 255)] })
	}, []string{"digest/long-values"}},
	{"a row is cut after 8,000 bytes", func() store.Store {
		return summing(func(_ []store.Column, rows []store.Row) string {
			return addHashes(rows, func(row store.Row) string {
				s := fmt.Sprintf("%#v", row)
				return s[:min(len(s), 8000)]
			})
		})
	}, []string{"digest/long-values"}},
	{"columns after the first 100 are left out", func() store.Store {
		return digesting(func(q *store.Query) { q.Columns = q.Columns[:min(len(q.Columns), 100)] })
	}, []string{"digest/wide-rows"}},
	{"NULL is empty text", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindString {
				return ""
			}
			return v
		})
	}, []string{"digest/values-text", "digest/columns-apart", "digest/values-nul-character"}},
	{"NULL is 0", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if v == nil && c.Type.Kind() == store.KindInt {
				return int64(0)
			}
			return v
		})
	}, []string{"digest/values-numbers"}},
	{"blanks at the end do not count", func() store.Store {
		return summingText(func(s string) driver.Value { return strings.TrimRight(s, " ") })
	}, []string{"digest/values-text"}},
	{"case does not count", func() store.Store {
		return summingText(func(s string) driver.Value { return strings.ToLower(s) })
	}, []string{"digest/values-text", "digest/values-unicode"}},
	{"text is hashed in a code page", func() store.Store {
		return summingText(func(s string) driver.Value {
			return strings.Map(func(r rune) rune {
				if r > 0xff {
					return '?'
				}
				return r
			}, s)
		})
	}, []string{"digest/values-unicode"}},
	{"text ends with NUL", func() store.Store {
		return summingText(func(s string) driver.Value { s, _, _ = strings.Cut(s, "\x00"); return s })
	}, []string{"digest/values-nul-character"}},
	{"zeros at the end of bytes do not count", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindBytes {
				return bytes.TrimRight(b, "\x00")
			}
			return v
		})
	}, []string{"digest/values-bytes"}},
	{"-0 is 0", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok && f == 0 {
				return 0.0
			}
			return v
		})
	}, []string{"digest/values-floats"}},
	{"floats have 6 digits", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if f, ok := v.(float64); ok {
				return strconv.FormatFloat(f, 'g', 6, 64)
			}
			return v
		})
	}, []string{"digest/values-floats"}},
	{"decimals are hashed as floats", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindDecimal {
				f, _ := strconv.ParseFloat(string(b), 64)
				return f
			}
			return v
		})
	}, []string{"digest/values-numbers"}},
	{"times are hashed by milliseconds", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok {
				return x.Truncate(time.Millisecond)
			}
			return v
		})
	}, []string{"digest/values-seventh-digit"}},
	{"the offset does not count", func() store.Store {
		return summingValues(func(_ store.Column, v driver.Value) driver.Value {
			if x, ok := v.(time.Time); ok {
				return x.UTC()
			}
			return v
		})
	}, []string{"digest/values-times"}},
	{"GUIDs are hashed by their last groups", func() store.Store {
		return summingValues(func(c store.Column, v driver.Value) driver.Value {
			if b, ok := v.([]byte); ok && c.Type.Kind() == store.KindGUID {
				return b[8:]
			}
			return v
		})
	}, []string{"digest/values-guid"}},

	// Transactions.
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

	// Names.
	{"Rename makes a copy", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			rows, err := collect(ctx, tx, store.Query{Table: t})
			if err != nil {
				return err
			}
			t.Name = name
			return create(ctx, tx, t, rows)
		})
	}, []string{"rename/table", "rename/names"}},
	{"Rename loses the key", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			rows, err := collect(ctx, tx, store.Query{Table: t})
			if err == nil {
				err = tx.Drop(ctx, t)
			}
			if err != nil {
				return err
			}
			t.Name, t.Key = name, nil
			return create(ctx, tx, t, rows)
		})
	}, []string{"rename/table"}},
	{"Rename loses the rows", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return errors.Join(tx.Truncate(ctx, t), rename(ctx, tx, t, name))
		})
	}, []string{"rename/table", "rename/names"}},
	{"Rename quotes a quote in one way too few", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return rename(ctx, tx, t, strings.ReplaceAll(name, "'", "''"))
		})
	}, []string{"rename/names"}},
	{"Rename takes a code page", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return rename(ctx, tx, t, strings.ReplaceAll(name, "名", "?"))
		})
	}, []string{"rename/names"}},
	{"Rename lowers names", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			return rename(ctx, tx, t, strings.ToLower(name))
		})
	}, []string{"rename/names-in-capitals"}},
	{"Rename takes a name from another table", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			if err := tx.Drop(ctx, store.Table{Name: name}); err != nil && !errors.Is(err, store.ErrTableNotFound) {
				return err
			}
			return rename(ctx, tx, t, name)
		})
	}, []string{"rename/refuses"}},
	{"Rename of a missing table does nothing", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			if t.Name == "nobody" {
				return nil
			}
			return rename(ctx, tx, t, name)
		})
	}, []string{"rename/missing-table"}},
	{"a Rename that failed does not end the transaction", func() store.Store {
		return renaming(func(tx store.Tx, ctx context.Context, t store.Table, name string) error {
			if _, err := tx.Count(ctx, t); err == nil && name == "taken" {
				return errors.New("the name is taken")
			}
			return rename(ctx, tx, t, name)
		})
	}, []string{"rename/refuses"}},

	{"an update is lost", lostUpdateStore, []string{"tx/lost-updates"}},
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

	// Which database it is.
	{"each call says another database", func() store.Store {
		var n int
		return identifying(func(id *store.Identity) { n++; id.ID += fmt.Sprint(n) })
	}, []string{"identity/same-database", "identity/other-database"}},
	{"the identity is that of the tables", func() store.Store {
		b := &broken{Store: memory.New()}
		b.identity = func(i store.Identifier, ctx context.Context) (store.Identity, error) {
			id, err := i.Identity(ctx)
			tables, _ := b.Store.Tables(ctx)
			id.ID += fmt.Sprint(len(tables))
			return id, err
		}
		return b
	}, []string{"identity/same-database"}},
	{"all databases of an engine are one", func() store.Store {
		return identifying(func(id *store.Identity) { id.ID = id.Engine })
	}, []string{"identity/other-database"}},
	{"the identity ignores its context", func() store.Store {
		return &broken{Store: memory.New(), identity: func(i store.Identifier, ctx context.Context) (store.Identity, error) {
			return i.Identity(context.WithoutCancel(ctx))
		}}
	}, []string{"identity/cancelled"}},

	// Empty bytes.
	{"empty bytes are a nil slice", func() store.Store { return nilBytes(true, true) }, []string{"values/empty-bytes"}},
	{"empty bytes are a nil slice in a transaction", func() store.Store { return nilBytes(false, true) }, []string{"values/empty-bytes"}},
	{"empty bytes are a nil slice outside of one", func() store.Store { return nilBytes(true, false) }, []string{"values/empty-bytes"}},

	// Values of other types.
	{"every value is a Verbatim", func() store.Store {
		return &broken{Store: anyValues(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return eachBatch(src.Rows(ctx, q), func(batch []store.Row) []store.Row {
				for _, r := range batch {
					for i, v := range r {
						if _, ok := v.(store.Verbatim); !ok && q.Verbatim {
							r[i] = store.Verbatim{Value: v}
						}
					}
				}
				return batch
			})
		}}
	}, []string{"verbatim/own-values", "verbatim/other-values"}},
	{"Verbatim is not asked for", func() store.Store {
		return &broken{Store: anyValues(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			q.Verbatim = false
			return src.Rows(ctx, q)
		}}
	}, []string{"verbatim/other-values"}},
	{"a Verbatim is what text becomes of it", func() store.Store {
		return asStored(func(v store.Verbatim) driver.Value { return store.Verbatim{Value: fmt.Sprint(v.Value)} })
	}, []string{"verbatim/other-values"}},
	{"a Verbatim is NULL", func() store.Store {
		return asStored(func(store.Verbatim) driver.Value { return nil })
	}, []string{"verbatim/other-values"}},
	{"the promise of any value is not kept", func() store.Store {
		return &broken{Store: memory.New(), anyValue: func(store.Source) bool { return true }}
	}, []string{"verbatim/other-values"}},
	{"nobody is told of other values", func() store.Store {
		return &broken{Store: anyValues(), anyValue: func(store.Source) bool { return false }}
	}, []string{"verbatim/other-values"}},

	// Changes.
	{"every row changed", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			changed, err := c.Changed(ctx, t, since, keys)
			for i := range changed {
				changed[i] = true
			}
			return changed, err
		})
	}, []string{"changes/changed", "changes/rolled-back", "changes/composite-key"}},
	{"changes of a version count as those after it", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			least, err := c.MinValidVersion(ctx, t)
			if err != nil {
				return nil, err
			}
			return c.Changed(ctx, t, max(since-1, least), keys)
		})
	}, []string{"changes/changed"}},
	{"keys are told apart by their first column", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			changed, err := c.Changed(ctx, t, since, keys)
			for i := range changed {
				for j := range changed {
					if strings.EqualFold(fmt.Sprint(keys[i][0]), fmt.Sprint(keys[j][0])) {
						changed[i] = changed[i] || changed[j]
					}
				}
			}
			return changed, err
		})
	}, []string{"changes/composite-key"}},
	{"a version that is too old knows of no change", func() store.Store {
		return tracking(func(c store.ChangeTracker, ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
			least, err := c.MinValidVersion(ctx, t)
			if err == nil && since < least {
				return make([]bool, len(keys)), nil
			}
			return c.Changed(ctx, t, since, keys)
		})
	}, []string{"changes/too-old"}},
	{"a table that is not tracked is an error like any other", func() store.Store {
		return &broken{Store: tracked(), least: func(c store.ChangeTracker, ctx context.Context, t store.Table) (store.LSN, error) {
			v, err := c.MinValidVersion(ctx, t)
			if err != nil {
				err = errors.New(err.Error())
			}
			return v, err
		}}
	}, []string{"changes/no-key"}},
	{"the version stands still", func() store.Store {
		return &broken{Store: tracked(), version: func(store.ChangeTracker, context.Context) (store.LSN, error) { return 7, nil }}
	}, []string{"changes/changed"}},

	// Contexts.
	{"contexts are ignored", func() store.Store {
		return &broken{Store: memory.New(),
			tables: func(src store.Source, ctx context.Context) ([]store.Table, error) {
				return src.Tables(context.WithoutCancel(ctx))
			},
			rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
				return src.Rows(context.WithoutCancel(ctx), q)
			}}
	}, []string{"cancel/cancelled", "cancel/deadline", "cancel/midway"}},
	{"a done context ends Rows without an error", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if errors.Is(err, ctx.Err()) || !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"cancel/cancelled", "cancel/deadline", "cancel/midway"}},
	{"a done context is an error of the engine", func() store.Store {
		return &broken{Store: memory.New(), count: func(src store.Source, ctx context.Context, t store.Table) (int64, error) {
			n, err := src.Count(ctx, t)
			if ctx.Err() != nil {
				err = errors.New("interrupted")
			}
			return n, err
		}, update: func(st store.Store, ctx context.Context, fn func(store.Tx) error) error {
			err := st.Update(ctx, fn)
			if ctx.Err() != nil {
				err = errors.New("interrupted")
			}
			return err
		}}
	}, []string{"cancel/*ed", "cancel/deadline", "tx/cancelled-*"}},
	{"Rows reads all before it looks at its context", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(context.WithoutCancel(ctx), q) {
					if !yield(batch, err) {
						return
					}
				}
				if err := ctx.Err(); err != nil {
					yield(nil, err)
				}
			}
		}}
	}, []string{"cancel/midway"}},
	{"a cancelled reader takes the connection along", func() store.Store {
		var gone atomic.Bool
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				if gone.Load() && ctx.Err() == nil {
					yield(nil, errors.New("connection is closed"))
					return
				}
				for batch, err := range src.Rows(ctx, q) {
					if err != nil {
						gone.Store(ctx.Err() != nil)
					}
					if !yield(batch, err) {
						return
					}
				}
			}
		}}
	}, []string{"cancel/usable-afterwards"}},
	{"a reader that stops early leaves a goroutine", func() store.Store {
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				for batch, err := range src.Rows(ctx, q) {
					if !yield(batch, err) {
						forever := make(chan struct{})
						go func() { <-forever }()
						return
					}
				}
			}
		}}
	}, []string{"cancel/goroutines"}},
	{"two readers at once are one too many", func() store.Store {
		var reading atomic.Int32
		second := make(chan struct{})
		return &broken{Store: memory.New(), rows: func(src store.Source, ctx context.Context, q store.Query) rowSeq {
			return func(yield func([]store.Row, error) bool) {
				switch reading.Add(1) {
				case 1:
					<-second // stays until it is not alone
				case 2:
					close(second)
					yield(nil, errBusy)
					return
				}
				src.Rows(ctx, q)(yield)
			}
		}}
	}, []string{"concurrent/*"}},
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

// forgetful is a store that uses its batches again in spite of its word.
type forgetful struct{ *memory.Store }

func (forgetful) KeepsBatches() int { return 1 }
