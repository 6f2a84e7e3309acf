package cycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/tracking"
)

// Customer is a customer's database with change tracking on: a [mirror.Store]
// that keeps in memory which keys its committed Updates changed. It is safe
// for concurrent use. Changes made to the database behind its back are not
// tracked.
//
// A table without a primary key cannot be tracked by row, so every write to
// one makes each mirror fetch all of it.
type Customer struct {
	mirror.Source // the database, for reading
	contextID     string
	db            mirror.Store

	commits sync.RWMutex // held for reading while a commit is not logged yet

	log *tracking.Log
}

var (
	_ mirror.Store         = (*Customer)(nil)
	_ mirror.Pool          = (*Customer)(nil)
	_ mirror.Isolator      = (*Customer)(nil)
	_ mirror.Identifier    = (*Customer)(nil)
	_ mirror.Digester      = (*Customer)(nil)
	_ mirror.AnyValuer     = (*Customer)(nil)
	_ mirror.ChangeTracker = (*Customer)(nil)
)

// NewCustomer turns on change tracking for the database of the customer with
// that context identifier. Its version and the oldest valid version of every
// table are 1, so a mirror that was filled from an earlier life of the
// database is wiped unless its LSN happens to be 1.
func NewCustomer(contextID string, db mirror.Store) *Customer {
	return &Customer{contextID: contextID, db: db, Source: db, log: tracking.New(1, 1)}
}

// ContextID returns the customer's context identifier.
func (c *Customer) ContextID() string { return c.contextID }

// PoolLimit implements mirror.Pool for the database.
func (c *Customer) PoolLimit() (pool any, connections int) {
	if p, ok := c.db.(mirror.Pool); ok {
		return p.PoolLimit()
	}
	return c, 0
}

// Identity implements mirror.Identifier for the database; it is empty where that
// cannot tell.
func (c *Customer) Identity(ctx context.Context) (mirror.Identity, error) {
	if i, ok := c.db.(mirror.Identifier); ok {
		return i.Identity(ctx)
	}
	return mirror.Identity{}, nil
}

// HoldsAnyValue implements mirror.AnyValuer for the database.
func (c *Customer) HoldsAnyValue() bool {
	a, ok := c.db.(mirror.AnyValuer)
	return ok && a.HoldsAnyValue()
}

// Isolation implements mirror.Isolator for the database; it is "" where that
// cannot tell.
func (c *Customer) Isolation(ctx context.Context) (string, error) {
	if i, ok := c.db.(mirror.Isolator); ok {
		return i.Isolation(ctx)
	}
	return "", nil
}

var errNoDigests = fmt.Errorf("the customer's database makes no digests: %w", errors.ErrUnsupported)

// DigestScheme implements mirror.Digester for the database; it is "" where that
// makes no digests.
func (c *Customer) DigestScheme() string {
	if d, ok := c.db.(mirror.Digester); ok {
		return d.DigestScheme()
	}
	return ""
}

// DigestEvery implements mirror.Digester for the database.
func (c *Customer) DigestEvery(ctx context.Context, q mirror.Query, n int64) ([]mirror.Digest, error) {
	if d, ok := c.db.(mirror.Digester); ok {
		return d.DigestEvery(ctx, q, n)
	}
	return nil, errNoDigests
}

// DigestAt implements mirror.Digester for the database.
func (c *Customer) DigestAt(ctx context.Context, q mirror.Query, cuts []mirror.Row) ([]mirror.Digest, error) {
	if d, ok := c.db.(mirror.Digester); ok {
		return d.DigestAt(ctx, q, cuts)
	}
	return nil, errNoDigests
}

// Version implements mirror.ChangeTracker, as SQL Server's
// CHANGE_TRACKING_CURRENT_VERSION does. Every Update that changed something
// raises it by one.
func (c *Customer) Version(ctx context.Context) (mirror.LSN, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.waitLogged()
	return mirror.LSN(c.log.Version()), nil
}

// MinValidVersion implements mirror.ChangeTracker, as SQL Server's
// CHANGE_TRACKING_MIN_VALID_VERSION does. A mirror whose LSN is less must fetch
// the whole table. The table is found by its name, as mirror.FoldName folds it.
func (c *Customer) MinValidVersion(ctx context.Context, t mirror.Table) (mirror.LSN, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.waitLogged()
	version, err := c.log.MinValidVersion(t)
	return mirror.LSN(version), err
}

// Changed implements mirror.ChangeTracker. Two keys are one as
// mirror.CompareKeys has it.
func (c *Customer) Changed(ctx context.Context, t mirror.Table, since mirror.LSN, keys []mirror.Row) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.waitLogged()
	return c.log.Changed(t, int64(since), keys)
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

// Update runs fn in one transaction of the database and logs what it changed
// when that is committed.
func (c *Customer) Update(ctx context.Context, fn func(tx mirror.Tx) error) error {
	var rec *recorder
	committing := false
	settle := func() {
		if committing {
			committing = false
			c.commits.RUnlock()
		}
	}
	defer settle()
	err := c.db.Update(ctx, func(tx mirror.Tx) error {
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
	if rec != nil && (err == nil || errors.Is(err, mirror.ErrOutcomeUnknown)) {
		c.log.Add(rec.events)
	}
	return err
}

// recorder is a transaction that takes down the keys it changes.
type recorder struct {
	mirror.Tx
	tables map[string]mirror.Table // by folded name; nil: not read yet
	events []tracking.Event
}

// table returns the table as the database knows it, since a caller's Table may
// have nothing but a name.
func (r *recorder) table(ctx context.Context, t mirror.Table) (mirror.Table, error) {
	if r.tables == nil {
		all, err := r.Tx.Tables(ctx)
		if err != nil {
			return mirror.Table{}, err
		}
		r.tables = make(map[string]mirror.Table, len(all))
		for _, t := range all {
			r.tables[mirror.FoldName(t.Name)] = t
		}
	}
	return r.tables[mirror.FoldName(t.Name)], nil
}

func (r *recorder) add(t mirror.Table, key mirror.Row, deleted bool) {
	r.events = append(r.events, tracking.Event{Table: t.Name, Key: key, Deleted: deleted})
}

// restart starts the tracking of t anew.
func (r *recorder) restart(t mirror.Table) { r.add(t, nil, false) }

func (r *recorder) Create(ctx context.Context, t mirror.Table) error {
	r.tables = nil
	r.restart(t)
	return r.Tx.Create(ctx, t)
}

func (r *recorder) Drop(ctx context.Context, t mirror.Table) error {
	r.tables = nil
	r.restart(t)
	return r.Tx.Drop(ctx, t)
}

func (r *recorder) Truncate(ctx context.Context, t mirror.Table) error {
	r.restart(t)
	return r.Tx.Truncate(ctx, t)
}

func (r *recorder) Insert(ctx context.Context, t mirror.Table, columns []string, rows []mirror.Row) error {
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
		k := make(mirror.Row, len(key))
		for i, c := range key {
			if k[i], err = mirror.Normalize(c.Type, row[at[i]]); err != nil {
				return err
			}
		}
		r.add(t, k, false)
	}
	return nil
}

func (r *recorder) Set(ctx context.Context, t mirror.Table, where, set []mirror.Cell) (int64, error) {
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
				if moved[i], err = mirror.Normalize(c.Type, v); err != nil {
					return n, err
				}
				changed = changed || !mirror.EqualValues(c.Type, c.Type, k[i], moved[i])
			}
		}
		if changed {
			r.add(t, k, true)
		}
		r.add(t, moved, false)
	}
	return n, nil
}

func (r *recorder) Delete(ctx context.Context, t mirror.Table, where []mirror.Cell) (int64, error) {
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
func (r *recorder) affected(ctx context.Context, t mirror.Table, where []mirror.Cell) (mirror.Table, []mirror.Row, error) {
	known, err := r.table(ctx, t)
	if err != nil || len(known.Key) == 0 {
		return known, nil, err
	}
	key := tracking.KeyColumns(known)
	exact := make(mirror.Row, len(key))
	whole := true
	for i, c := range key {
		v, ok := cell(where, c.Name)
		if ok {
			exact[i], err = mirror.Normalize(c.Type, v)
		}
		whole = whole && ok && err == nil
	}
	if whole {
		return known, []mirror.Row{exact}, nil
	}
	columns := slices.Clone(known.Key)
	cond := make([]mirror.Column, len(where))
	at := make([]int, len(where))
	want := make(mirror.Row, len(where))
	for i, w := range where {
		c, ok := known.Column(w.Column)
		if !ok {
			return known, nil, nil // the store's own error is the better one
		}
		if want[i], err = mirror.Normalize(c.Type, w.Value); err != nil {
			return known, nil, nil
		}
		cond[i] = c
		if at[i] = slices.Index(columns, c.Name); at[i] < 0 {
			at[i] = len(columns)
			columns = append(columns, c.Name)
		}
	}
	var keys []mirror.Row
	for rows, err := range r.Tx.Rows(ctx, mirror.Query{Table: known, Columns: columns}) {
		if err != nil {
			return known, nil, err
		}
	rows:
		for _, row := range rows {
			for i, c := range cond {
				if !mirror.EqualValues(c.Type, c.Type, row[at[i]], want[i]) {
					continue rows
				}
			}
			keys = append(keys, row[:len(key)].Clone())
		}
	}
	return known, keys, nil
}

func cell(cells []mirror.Cell, column string) (any, bool) {
	for _, c := range cells {
		if sameName(c.Column, column) {
			return c.Value, true
		}
	}
	return nil, false
}

func sameName(a, b string) bool { return a == b || mirror.FoldName(a) == mirror.FoldName(b) }
