package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror/internal/tracking"
	"github.com/so-mirror/mirror/store"
)

var _ store.ChangeTracker = (*Store)(nil)

var errNotTracking = fmt.Errorf("change tracking is off (see TrackChanges): %w", errors.ErrUnsupported)

// TrackChanges turns change tracking on, as it is on in a customer's database, and
// sets the version of the last change. Nothing is taken to have changed since
// version oldest, so a row that a mirror with an LSN from oldest on lacks is one
// that no cycle will bring. Each Update that changes something from now on raises
// the version by one; Seed is no change. Called again it starts anew, for
// instance at a version before the mirror's LSN, as a restored backup does. It
// panics when oldest is after version.
func (s *Store) TrackChanges(version, oldest store.LSN) {
	if oldest > version || oldest < 0 {
		panic(fmt.Sprintf("memory.TrackChanges: the oldest version %d is not between 0 and %d", oldest, version))
	}
	s.writer <- struct{}{}
	defer func() { <-s.writer }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = tracking.New(int64(version), int64(oldest))
}

// ForgetChanges makes the changes up to and including a version unknown, as the
// end of the retention period does: an LSN before it proves nothing any more. It
// panics when tracking is off.
func (s *Store) ForgetChanges(version store.LSN) {
	log := s.tracked()
	if log == nil {
		panic("memory.ForgetChanges: " + errNotTracking.Error())
	}
	log.Forget(int64(version))
}

func (s *Store) tracked() *tracking.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

// track begins one call of a method of store.ChangeTracker.
func (s *Store) track(ctx context.Context, table string) (*tracking.Log, error) {
	log := s.tracked()
	if log == nil {
		return nil, errNotTracking
	}
	_, err := s.begin(ctx, Track, table)
	return log, err
}

// Version implements store.ChangeTracker.
func (s *Store) Version(ctx context.Context) (store.LSN, error) {
	log, err := s.track(ctx, "")
	if err != nil {
		return 0, err
	}
	return store.LSN(log.Version()), nil
}

// MinValidVersion implements store.ChangeTracker.
func (s *Store) MinValidVersion(ctx context.Context, t store.Table) (store.LSN, error) {
	log, err := s.track(ctx, t.String())
	if err != nil {
		return 0, err
	}
	version, err := log.MinValidVersion(t)
	return store.LSN(version), err
}

// Changed implements store.ChangeTracker.
func (s *Store) Changed(ctx context.Context, t store.Table, since store.LSN, keys []store.Row) ([]bool, error) {
	log, err := s.track(ctx, t.String())
	if err != nil {
		return nil, err
	}
	return log.Changed(t, int64(since), keys)
}

// ChangedKeys implements store.ChangeTracker.
func (s *Store) ChangedKeys(ctx context.Context, t store.Table, since store.LSN, after store.Row, n int) ([]store.Row, error) {
	log, err := s.track(ctx, t.String())
	if err != nil {
		return nil, err
	}
	return log.ChangedKeys(t, int64(since), after, n)
}

// events returns what became of the rows between two versions of a database, as
// far as their tracking does not begin anew. A row that was written is changed, be
// it to the values that it had.
func events(before, after database, anew map[tableID]bool) []tracking.Event {
	var all []tracking.Event
	for id, was := range before {
		if after[id] == nil {
			all = append(all, tracking.Event{Table: was.def.Name})
		}
	}
	for id, is := range after {
		was := before[id]
		switch {
		case was == is:
		case was == nil, anew[id], len(is.key.index) == 0: // without a key no row is told from another
			all = append(all, tracking.Event{Table: is.def.Name})
		default:
			all = append(all, changes(was, is)...)
		}
	}
	return all
}

// changes merges two versions of a table, whose rows are in the order of the key.
func changes(was, is *table) []tracking.Event {
	var all []tracking.Event
	add := func(row store.Row, deleted bool) {
		key := make(store.Row, len(is.key.index))
		for i, n := range is.key.index {
			key[i] = row[n]
		}
		all = append(all, tracking.Event{Table: is.def.Name, Key: key, Deleted: deleted})
	}
	old, now := was.rows, is.rows
	for len(old) > 0 || len(now) > 0 {
		order := 0
		switch {
		case len(old) == 0:
			order = 1
		case len(now) == 0:
			order = -1
		default:
			order = is.key.compare(old[0], now[0])
		}
		switch {
		case order < 0:
			add(old[0], true)
			old = old[1:]
		case order > 0:
			add(now[0], false)
			now = now[1:]
		default:
			if &old[0][0] != &now[0][0] { // rows are never changed in place
				add(now[0], false)
			}
			old, now = old[1:], now[1:]
		}
	}
	return all
}
