package cycle

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

// Customer is a customer's database with change tracking on: a [store.Store]
// that keeps in memory which keys its committed Updates changed. It is safe
// for concurrent use. Changes made to the database behind its back are not
// tracked.
//
// A table without a primary key cannot be tracked by row, so every write to
// one makes each mirror fetch all of it.
type Customer struct {
	store.Source // the database, for reading
	contextID    string
	db           store.Store

	commits sync.RWMutex // held for reading while a commit is not logged yet

	log *tracking.Log
}

var (
	_ store.Store         = (*Customer)(nil)
	_ store.Pool          = (*Customer)(nil)
	_ store.Isolator      = (*Customer)(nil)
	_ store.Identifier    = (*Customer)(nil)
	_ store.Inventorier   = (*Customer)(nil)
	_ store.Digester      = (*Customer)(nil)
	_ store.KeyReader     = (*Customer)(nil)
	_ store.AnyValuer     = (*Customer)(nil)
	_ store.ChangeTracker = (*Customer)(nil)
)

// NewCustomer turns on change tracking for the database of the customer with
// that context identifier. Its version and the oldest valid version of every
// table are 1, so a mirror that was filled from an earlier life of the
// database is wiped unless its LSN happens to be 1.
func NewCustomer(contextID string, db store.Store) *Customer {
	return &Customer{contextID: contextID, db: db, Source: db, log: tracking.New(1, 1)}
}

// ContextID returns the customer's context identifier.
func (c *Customer) ContextID() string { return c.contextID }

// PoolLimit implements store.Pool for the database.
func (c *Customer) PoolLimit() (pool any, connections int) {
	if p, ok := c.db.(store.Pool); ok {
		return p.PoolLimit()
	}
	return c, 0
}

// Identity implements store.Identifier for the database; it is empty where that
// cannot tell.
func (c *Customer) Identity(ctx context.Context) (store.Identity, error) {
	if i, ok := c.db.(store.Identifier); ok {
		return i.Identity(ctx)
	}
	return store.Identity{}, nil
}

// HoldsAnyValue implements store.AnyValuer for the database.
func (c *Customer) HoldsAnyValue() bool {
	a, ok := c.db.(store.AnyValuer)
	return ok && a.HoldsAnyValue()
}

// StoredForm implements store.Decoder for the database; it is "" where that is none.
func (c *Customer) StoredForm() string {
	if d, ok := c.db.(store.Decoder); ok {
		return d.StoredForm()
	}
	return ""
}

// Decoder implements store.Decoder for the database.
func (c *Customer) Decoder(t store.Type) func(stored driver.Value) driver.Value {
	if d, ok := c.db.(store.Decoder); ok {
		return d.Decoder(t)
	}
	return nil
}

// Isolation implements store.Isolator for the database; it is "" where that
// cannot tell.
func (c *Customer) Isolation(ctx context.Context) (string, error) {
	if i, ok := c.db.(store.Isolator); ok {
		return i.Isolation(ctx)
	}
	return "", nil
}

// Objects implements store.Inventorier for the database.
func (c *Customer) Objects(ctx context.Context) ([]store.Object, error) {
	if i, ok := c.db.(store.Inventorier); ok {
		return i.Objects(ctx)
	}
	return nil, fmt.Errorf("the customer's database does not list what it has besides tables: %w", errors.ErrUnsupported)
}

var errNoDigests = fmt.Errorf("the customer's database makes no digests: %w", errors.ErrUnsupported)

// DigestScheme implements store.Digester for the database; it is "" where that
// makes no digests.
func (c *Customer) DigestScheme() string {
	if d, ok := c.db.(store.Digester); ok {
		return d.DigestScheme()
	}
	return ""
}

// DigestEvery implements store.Digester for the database.
func (c *Customer) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	if d, ok := c.db.(store.Digester); ok {
		return d.DigestEvery(ctx, q, n)
	}
	return nil, errNoDigests
}

// DigestAt implements store.Digester for the database.
func (c *Customer) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	if d, ok := c.db.(store.Digester); ok {
		return d.DigestAt(ctx, q, cuts)
	}
	return nil, errNoDigests
}

// Cut implements store.Cutter for the database.
func (c *Customer) Cut(ctx context.Context, q store.Query, n int64) (store.Row, error) {
	if d, ok := c.db.(store.Cutter); ok {
		return d.Cut(ctx, q, n)
	}
	return nil, fmt.Errorf("the customer's database makes no cuts: %w", errors.ErrUnsupported)
}

// Join implements store.Joiner for the database.
func (c *Customer) Join(ctx context.Context, mirror store.Source) (store.Join, error) {
	return store.JoinOf(ctx, c.db, mirror)
}

// RowsAt implements store.KeyReader for the database.
func (c *Customer) RowsAt(ctx context.Context, q store.Query, keys []store.Row) iter.Seq2[[]store.Row, error] {
	return store.RowsAt(ctx, c.db, q, keys)
}

// Version implements store.ChangeTracker, as SQL Server's
// CHANGE_TRACKING_CURRENT_VERSION does. Every Update that changed something
// raises it by one.
func (c *Customer) Version(ctx context.Context) (store.LSN, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.waitLogged()
	return store.LSN(c.log.Version()), nil
}

// MinValidVersion implements store.ChangeTracker, as SQL Server's
// CHANGE_TRACKING_MIN_VALID_VERSION does. A mirror whose LSN is less must fetch
// the whole table. The table is found by its name, as store.FoldName folds it.
func (c *Customer) MinValidVersion(ctx context.Context, t store.Table) (store.LSN, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.waitLogged()
	version, err := c.log.MinValidVersion(t)
	return store.LSN(version), err
}

// Changed implements store.ChangeTracker. Two keys are one as
// store.CompareKeys has it.
func (c *Customer) Changed(ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.waitLogged()
	return c.log.Changed(t, int64(since), keys)
}

// ChangedKeys implements store.ChangeTracker. Of spellings that
// store.CompareKeys holds for one key it lists that of the last change.
func (c *Customer) ChangedKeys(ctx context.Context, t store.Table, since store.LSN, after store.Row, n int) ([]store.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.waitLogged()
	return c.log.ChangedKeys(t, int64(since), after, n)
}

// waitLogged returns when every row that could be read before is logged.
func (c *Customer) waitLogged() {
	c.commits.Lock()
	c.commits.Unlock() //nolint:staticcheck // it was only waited for
}

// Forget drops the changes up to and including a version, as the end of the
// retention period does after 7 days. Every table whose LSN is less than that
// is wiped by the next cycle, and so is a quiet one. A version ahead of the
// current one means the current one.
func (c *Customer) Forget(version int64) { c.log.Forget(version) }

// Restore sets the version to what it is after a restore of a backup that was
// made at that version; the caller puts the rows back, in the database below
// the Customer. LSNs of the mirror can then be ahead of the Customer. The next
// cycle notices that unless enough changes came after the restore.
//
// A version ahead of the current one starts the tracking of every table anew
// there.
func (c *Customer) Restore(version int64) { c.log.Restore(version) }

// Advance raises the version without a change, as work on what nobody mirrors does.
// A version that is not ahead of the current one changes nothing.
func (c *Customer) Advance(version int64) { c.log.Advance(version) }

// Touch logs a change of rows that was made in the database behind the Customer's
// back, as one version: the next cycle sends the rows that are there, and deletes the
// others. Keys are in the order of t.Key. No keys are no change.
func (c *Customer) Touch(t store.Table, keys ...store.Row) {
	events := make([]tracking.Event, len(keys))
	for i, key := range keys {
		events[i] = tracking.Event{Table: t.Name, Key: key.Clone()}
	}
	c.log.Add(events)
}

// Update runs fn in one transaction of the database and logs what it changed
// when that is committed.
func (c *Customer) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	var rec *recorder
	committing := false
	settle := func() {
		if committing {
			committing = false
			c.commits.RUnlock()
		}
	}
	defer settle()
	err := c.db.Update(ctx, func(tx store.Tx) error {
		settle() // the first try was rolled back
		rec = &recorder{Tx: tx}
		err := fn(rec)
		if err == nil {
			committing = true
			c.commits.RLock()
		}
		return err
	})
	// A change that did not happen costs one row too many, a change that is
	// not logged is never sent: so an unknown outcome counts as a commit.
	if rec != nil && (err == nil || errors.Is(err, store.ErrOutcomeUnknown)) {
		c.log.Add(rec.events)
	}
	return err
}

// recorder is a transaction that takes down the keys it changes.
type recorder struct {
	store.Tx
	tables map[string]store.Table // by folded name; nil: not read yet
	events []tracking.Event
}

// table returns the table as the database knows it, since a caller's Table may
// have nothing but a name.
func (r *recorder) table(ctx context.Context, t store.Table) (store.Table, error) {
	if r.tables == nil {
		all, err := r.Tx.Tables(ctx)
		if err != nil {
			return store.Table{}, err
		}
		r.tables = make(map[string]store.Table, len(all))
		for _, t := range all {
			r.tables[store.FoldName(t.Name)] = t
		}
	}
	return r.tables[store.FoldName(t.Name)], nil
}

func (r *recorder) add(t store.Table, key store.Row, deleted bool) {
	r.events = append(r.events, tracking.Event{Table: t.Name, Key: key, Deleted: deleted})
}

// restart starts the tracking of t anew.
func (r *recorder) restart(t store.Table) { r.add(t, nil, false) }

func (r *recorder) Create(ctx context.Context, t store.Table) error {
	r.tables = nil
	r.restart(t)
	return r.Tx.Create(ctx, t)
}

func (r *recorder) Drop(ctx context.Context, t store.Table) error {
	r.tables = nil
	r.restart(t)
	return r.Tx.Drop(ctx, t)
}

func (r *recorder) Truncate(ctx context.Context, t store.Table) error {
	r.restart(t)
	return r.Tx.Truncate(ctx, t)
}

func (r *recorder) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	if len(rows) == 0 {
		return r.Tx.Insert(ctx, t, columns, rows)
	}
	known, err := r.table(ctx, t)
	if err != nil {
		return err
	}
	if err := r.Tx.Insert(ctx, t, columns, rows); err != nil {
		return err
	}
	key := tracking.KeyColumns(known)
	at := make([]int, len(key))
	for i, c := range key {
		at[i] = slices.IndexFunc(columns, func(name string) bool { return sameName(name, c.Name) })
	}
	if len(key) == 0 || slices.Contains(at, -1) { // no key, or one that the database chose
		r.restart(t)
		return nil
	}
	for _, row := range rows {
		k := make(store.Row, len(key))
		for i, c := range key {
			if k[i], err = store.Normalize(c.Type, row[at[i]]); err != nil {
				return err
			}
		}
		r.add(t, k, false)
	}
	return nil
}

func (r *recorder) Set(ctx context.Context, t store.Table, where, set []store.Cell) (int64, error) {
	known, keys, err := r.affected(ctx, t, where)
	if err != nil {
		return 0, err
	}
	n, err := r.Tx.Set(ctx, t, where, set)
	if err != nil || n == 0 {
		return n, err
	}
	if int64(len(keys)) != n {
		r.restart(t)
		return n, nil
	}
	cols := tracking.KeyColumns(known)
	for _, k := range keys {
		moved := k.Clone()
		changed := false
		for i, c := range cols {
			if v, ok := cell(set, c.Name); ok {
				if moved[i], err = store.Normalize(c.Type, v); err != nil {
					return n, err
				}
				changed = changed || !store.EqualValues(c.Type, c.Type, k[i], moved[i])
			}
		}
		if changed {
			r.add(t, k, true)
		}
		r.add(t, moved, false)
	}
	return n, nil
}

func (r *recorder) Delete(ctx context.Context, t store.Table, where []store.Cell) (int64, error) {
	_, keys, err := r.affected(ctx, t, where)
	if err != nil {
		return 0, err
	}
	n, err := r.Tx.Delete(ctx, t, where)
	if err != nil || n == 0 {
		return n, err
	}
	if int64(len(keys)) != n {
		r.restart(t)
		return n, nil
	}
	for _, k := range keys {
		r.add(t, k, true)
	}
	return n, nil
}

// affected returns the keys of the rows that have all values of where. It
// returns none when they cannot be known; whoever then changes rows has to
// restart the tracking.
func (r *recorder) affected(ctx context.Context, t store.Table, where []store.Cell) (store.Table, []store.Row, error) {
	known, err := r.table(ctx, t)
	if err != nil || len(known.Key) == 0 {
		return known, nil, err
	}
	key := tracking.KeyColumns(known)
	exact := make(store.Row, len(key))
	whole := true
	for i, c := range key {
		v, ok := cell(where, c.Name)
		if ok {
			exact[i], err = store.Normalize(c.Type, v)
		}
		whole = whole && ok && err == nil
	}
	if whole {
		return known, []store.Row{exact}, nil
	}
	columns := slices.Clone(known.Key)
	cond := make([]store.Column, len(where))
	at := make([]int, len(where))
	want := make(store.Row, len(where))
	for i, w := range where {
		c, ok := known.Column(w.Column)
		if !ok {
			return known, nil, nil // the store's own error is the better one
		}
		if want[i], err = store.Normalize(c.Type, w.Value); err != nil {
			return known, nil, nil
		}
		cond[i] = c
		if at[i] = slices.Index(columns, c.Name); at[i] < 0 {
			at[i] = len(columns)
			columns = append(columns, c.Name)
		}
	}
	var keys []store.Row
	for rows, err := range r.Tx.Rows(ctx, store.Query{Table: known, Columns: columns}) {
		if err != nil {
			return known, nil, err
		}
	rows:
		for _, row := range rows {
			for i, c := range cond {
				if !store.EqualValues(c.Type, c.Type, row[at[i]], want[i]) {
					continue rows
				}
			}
			keys = append(keys, row[:len(key)].Clone())
		}
	}
	return known, keys, nil
}

func cell(cells []store.Cell, column string) (any, bool) {
	for _, c := range cells {
		if sameName(c.Column, column) {
			return c.Value, true
		}
	}
	return nil, false
}

func sameName(a, b string) bool { return a == b || store.FoldName(a) == store.FoldName(b) }
