// Package tracking is the change tracking of SQL Server as a data structure: which
// keys of which tables changed last in which version of a database. The fake and
// the simulated customer share it.
package tracking

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror/store"
)

// Log holds the changes of one database. It is safe for concurrent use. Tables are
// found by their names, as store.FoldName folds them.
type Log struct {
	mu      sync.Mutex
	version int64
	min     int64 // of every table
	tables  map[string]*table
}

// table is the change table of one table.
type table struct {
	min     int64
	changes map[string]change // by KeyText
}

// change is the last change of one key.
type change struct {
	key     store.Row
	version int64
	deleted bool
}

// New returns a log without changes: those after version oldest would be known.
func New(version, oldest int64) *Log {
	return &Log{version: version, min: oldest, tables: map[string]*table{}}
}

// Event is one thing that a transaction did to a table. Without a key the tracking
// of the table starts anew.
type Event struct {
	Table   string
	Key     store.Row
	Deleted bool
}

// Add logs what one transaction did, as one version. No events are no version.
func (l *Log) Add(events []Event) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version++
	for _, e := range events {
		folded := store.FoldName(e.Table)
		t := l.tables[folded]
		if t == nil {
			t = &table{}
			l.tables[folded] = t
		}
		if e.Key == nil {
			*t = table{min: l.version}
			continue
		}
		if t.changes == nil {
			t.changes = map[string]change{}
		}
		t.changes[KeyText(e.Key)] = change{key: e.Key, version: l.version, deleted: e.Deleted}
	}
}

// Advance raises the version without a change. One that is not ahead changes nothing.
func (l *Log) Advance(version int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version = max(l.version, version)
}

// Version is the version of the last change.
func (l *Log) Version() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.version
}

// Oldest is the version from which on changes are known, but of tables whose
// tracking started anew later.
func (l *Log) Oldest() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.min
}

// MinValidVersion does what store.ChangeTracker says.
func (l *Log) MinValidVersion(t store.Table) (int64, error) {
	if len(t.Key) == 0 {
		return 0, untracked("read minimum valid version of", t)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.minValid(store.FoldName(t.Name)), nil
}

// Changed does what store.ChangeTracker says. Two keys are one as
// store.CompareKeys has it.
func (l *Log) Changed(t store.Table, since int64, keys []store.Row) ([]bool, error) {
	const doing = "read changes of"
	cols, err := knownKey(doing, t)
	if err != nil {
		return nil, err
	}
	asked := make([]store.Row, len(keys))
	for i, key := range keys {
		if asked[i], err = keyValues(doing, t, cols, key, store.Normalize); err != nil {
			return nil, err
		}
	}
	var later []change
	if err := l.later(doing, t, since, func(ch change) { later = append(later, ch) }); err != nil {
		return nil, err
	}
	slices.SortFunc(later, func(a, b change) int { return store.CompareKeys(cols, a.key, b.key) })
	changed := make([]bool, len(keys))
	for i, key := range asked {
		_, changed[i] = slices.BinarySearchFunc(later, key, func(ch change, key store.Row) int { return store.CompareKeys(cols, ch.key, key) })
	}
	return changed, nil
}

// ChangedKeys does what store.ChangeTracker says. Of spellings that CompareKeys
// holds for one key it lists that of the last change.
func (l *Log) ChangedKeys(t store.Table, since int64, after store.Row, n int) ([]store.Row, error) {
	const doing = "list changed keys of"
	cols, err := knownKey(doing, t)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("%s %s: asked for %d keys: ask for at least one", doing, t, n)
	}
	if after != nil {
		if after, err = keyValues(doing, t, cols, after, store.StoredValue); err != nil {
			return nil, err
		}
	}
	p := page{cols: cols, n: n}
	err = l.later(doing, t, since, func(ch change) {
		if after == nil || store.CompareKeys(cols, ch.key, after) > 0 {
			p.add(ch)
		}
	})
	if err != nil {
		return nil, err
	}
	p.cut()
	keys := make([]store.Row, len(p.first))
	for i, ch := range p.first {
		keys[i] = ch.key.Clone()
	}
	return keys, nil
}

// page finds the first n keys of many changes without sorting all of them.
type page struct {
	cols  []store.Column
	n     int
	first []change
	last  store.Row // the nth key so far, once there are n
}

func (p *page) add(ch change) {
	if p.last != nil && store.CompareKeys(p.cols, ch.key, p.last) > 0 {
		return
	}
	if p.first = append(p.first, ch); len(p.first)/2 >= p.n {
		p.cut()
	}
}

// cut leaves the last change of each of the first n keys, in order.
func (p *page) cut() {
	slices.SortFunc(p.first, func(a, b change) int {
		return cmp.Or(store.CompareKeys(p.cols, a.key, b.key), cmp.Compare(b.version, a.version), deletedFirst(b.deleted, a.deleted))
	})
	p.first = slices.CompactFunc(p.first, func(a, b change) bool { return store.CompareKeys(p.cols, a.key, b.key) == 0 })
	if len(p.first) >= p.n {
		p.first = p.first[:p.n]
		p.last = p.first[p.n-1].key
	}
}

// knownKey returns the columns of the primary key, all of which are there.
func knownKey(doing string, t store.Table) ([]store.Column, error) {
	if len(t.Key) == 0 {
		return nil, untracked(doing, t)
	}
	cols := KeyColumns(t)
	if i := slices.IndexFunc(cols, func(col store.Column) bool { return col.Name == "" }); i >= 0 {
		return nil, fmt.Errorf("%s %s: it has no column %q", doing, t, t.Key[i])
	}
	return cols, nil
}

// keyValues returns a key that was asked for with its values normalised.
func keyValues(doing string, t store.Table, cols []store.Column, key store.Row, normalize func(store.Type, any) (driver.Value, error)) (store.Row, error) {
	if len(key) != len(cols) {
		return nil, fmt.Errorf("%s %s: key has %d values for %d columns", doing, t, len(key), len(cols))
	}
	values := make(store.Row, len(cols))
	for i, col := range cols {
		var err error
		if values[i], err = normalize(col.Type, key[i]); err != nil {
			return nil, fmt.Errorf("%s %s: column %s: %w", doing, t, col.Name, err)
		}
	}
	return values, nil
}

// later calls add with each change of a table after a version, in no order.
func (l *Log) later(doing string, t store.Table, since int64, add func(change)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	folded := store.FoldName(t.Name)
	if least := l.minValid(folded); since < least {
		return fmt.Errorf("%s %s: version %d is older than the oldest that is known, %d: read the table anew", doing, t, since, least)
	}
	if tracked := l.tables[folded]; tracked != nil {
		for _, ch := range tracked.changes {
			if len(ch.key) != len(t.Key) {
				return fmt.Errorf("%s %s: %s", doing, t, keyChanges)
			}
			if ch.version > since {
				add(ch)
			}
		}
	}
	return nil
}

// Quiet reports whether no change of a table after a version is known. It asks
// nothing about whether one could be: see MinValidVersion.
func (l *Log) Quiet(t store.Table, since int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	tracked := l.tables[store.FoldName(t.Name)]
	if tracked == nil {
		return true
	}
	if tracked.min > since {
		return false // it was truncated, or created anew
	}
	for _, ch := range tracked.changes {
		if ch.version > since {
			return false
		}
	}
	return true
}

func untracked(doing string, t store.Table) error {
	return fmt.Errorf("%s %s: %w: changes are tracked by primary key, and it has none", doing, t, errors.ErrUnsupported)
}

const keyChanges = "the primary key is being changed"

func (l *Log) minValid(folded string) int64 {
	if t := l.tables[folded]; t != nil {
		return max(l.min, t.min)
	}
	return l.min
}

// Forget drops the changes up to and including a version, as the end of the
// retention period does. A version ahead of the current one means the current one.
func (l *Log) Forget(version int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.min = max(l.min, min(version, l.version))
	for _, t := range l.tables {
		for k, ch := range t.changes {
			if ch.version <= l.min {
				delete(t.changes, k)
			}
		}
	}
}

// Restore sets the version to what it is after a restore of a backup that was made
// at that version. A version ahead of the current one starts the tracking of every
// table anew there.
func (l *Log) Restore(version int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if version > l.version {
		l.min = version
		clear(l.tables)
	}
	l.version = version
	l.min = min(l.min, version)
	for _, t := range l.tables {
		t.min = min(t.min, version)
		for k, ch := range t.changes {
			// An earlier change of the same key may hide behind this one, so
			// it stays, at a version that a mirror ahead never asks for.
			ch.version = min(ch.version, version)
			t.changes[k] = ch
		}
	}
}

// Changed is a key that changed. Keys that only CompareKeys holds for the same,
// such as one instant with two offsets, are one with several spellings.
type Changed struct {
	Spellings []store.Row
	Deleted   bool // the last that is known; the rows themselves decide
}

// Since returns the keys of a table that changed after an LSN, or the reason why
// they cannot be had and everything must be sent. Deleted keys come first, so
// that a key whose case alone changed meets no duplicate in a mirror that
// ignores case.
func (l *Log) Since(t store.Table, at store.LSN) (version int64, keys []Changed, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	folded := store.FoldName(t.Name)
	lsn, oldest := int64(at), l.minValid(folded)
	switch {
	case at == store.ResendAll:
		return l.version, nil, "the LSN is -1"
	case lsn > l.version:
		return l.version, nil, fmt.Sprintf("the LSN %d is ahead of the source, which is at %d", lsn, l.version)
	case lsn < oldest:
		return l.version, nil, fmt.Sprintf("the LSN %d is older than the tracked changes, which begin at %d", lsn, oldest)
	}
	tracked := l.tables[folded]
	if tracked == nil {
		return l.version, nil, ""
	}
	var changes []change
	for _, ch := range tracked.changes {
		if len(ch.key) != len(t.Key) {
			return l.version, nil, keyChanges
		}
		if ch.version > lsn {
			changes = append(changes, ch)
		}
	}
	key := KeyColumns(t)
	slices.SortFunc(changes, func(a, b change) int { return store.CompareKeys(key, a.key, b.key) })
	for i, ch := range changes {
		if i == 0 || store.CompareKeys(key, changes[i-1].key, ch.key) != 0 {
			keys = append(keys, Changed{Deleted: true})
		}
		last := &keys[len(keys)-1]
		last.Spellings = append(last.Spellings, ch.key)
		last.Deleted = last.Deleted && ch.deleted
	}
	slices.SortStableFunc(keys, func(a, b Changed) int { return deletedFirst(a.Deleted, b.Deleted) })
	return l.version, keys, ""
}

func deletedFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// KeyText tells keys apart at least as far as EqualValues does.
func KeyText(key store.Row) string {
	var b strings.Builder
	for _, v := range key {
		if t, ok := v.(time.Time); ok {
			v = t.Format(time.RFC3339Nano) // %#v leaves an offset without a name out
		}
		fmt.Fprintf(&b, "%#v,", v)
	}
	return b.String()
}

// KeyColumns returns the columns of the primary key; one that is not there has no
// name.
func KeyColumns(t store.Table) []store.Column {
	cols := make([]store.Column, len(t.Key))
	for i, name := range t.Key {
		cols[i], _ = t.Column(name)
	}
	return cols
}
