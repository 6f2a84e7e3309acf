package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
)

// tracking tells the differences of one table that wait for the next cycle from
// those that no cycle repairs, by the change tracking of the source.
//
// An LSN is read, then the rows of both sides, then which of the keys that
// differ were changed since that LSN. A key that was not is sent by no cycle, so
// its difference stays; one that was is sent by the next. Two things could
// fool this. A cycle that ended meanwhile may have sent the key already: when
// the LSN moved, the rows are read again, and judged by the new LSN. And a cycle
// that populated the table anew may have been caught in the middle of it, with an
// LSN that is in the end the same: so keys that seem to stay are read again, too.
type tracking struct {
	c       *comparison
	p       pair
	run     *diff.Run // reads single keys again
	changes store.ChangeTracker

	mu        sync.Mutex
	rereads   int   // how many keys may still be read again
	confirms  int   // how many keys that seem to stay are still read again
	populated bool  // the table was populated anew while it was read
	expired   bool  // the changes since the LSN are no longer known
	lost      error // why nothing more is known
}

// The most keys of a table that are read again: because a cycle ended while the
// table was compared, and to confirm that differences stay.
const (
	maxRereads  = 1000
	maxConfirms = 100

	// maxRounds is how many cycles that end while a key is looked at are
	// waited out.
	maxRounds = 3
)

// trackingOf returns what classifies the differences of a table, nil when
// nothing can: no change tracking, no key, or no valid LSN.
func (c *comparison) trackingOf(p pair, tr *TableReport) *tracking {
	if c.changes == nil || !p.Plan.Ranged || tr.LSNState != "" || p.lsn == nil || *p.lsn < 0 {
		return nil
	}
	return &tracking{c: c, p: p, changes: c.changes, rereads: maxRereads, confirms: maxConfirms}
}

// settler settles the differences of one range of keys.
type settler struct {
	*tracking
	since store.LSN // read before the rest of the range is
}

func (k *tracking) settler() diff.Settler { return &settler{tracking: k, since: *k.p.lsn} }

// lsnState asks the change tracking what it makes of a table's LSN.
func (c *comparison) lsnState(ctx context.Context, p pair) (LSNState, error) {
	if c.changes == nil || p.Source == nil || p.lsn == nil || *p.lsn < 0 {
		return "", nil
	}
	if *p.lsn > p.version {
		return LSNAhead, nil
	}
	least, err := c.changes.MinValidVersion(ctx, *p.Source)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return "", nil
	case err != nil:
		return "", err
	case *p.lsn < least:
		return LSNExpired, nil
	default:
		return "", nil
	}
}

// Settle implements diff.Settler. It has no connection open while it asks.
func (k *settler) Settle(ctx context.Context, found *diff.Findings, all []diff.Open) error {
	var open []diff.Open
	for _, d := range all {
		if d.Kind == diff.Duplicate {
			found.Settle(d, diff.Diverged) // the source has no such row to send
			continue
		}
		open = append(open, d)
	}
	for round := 0; len(open) > 0 && round < maxRounds; round++ {
		next, err := k.round(ctx, found, open)
		if errors.Is(err, context.Canceled) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			k.lose(ctx, k.since, err)
			return nil
		}
		open = next
	}
	if len(open) > 0 {
		return ctx.Err()
	}
	return nil
}

// round settles what can be settled by k.since, moves k.since to the LSN of
// now, and returns what has to be judged by that.
func (k *settler) round(ctx context.Context, found *diff.Findings, open []diff.Open) (again []diff.Open, err error) {
	if k.given() {
		return nil, nil
	}
	keys := make([]store.Row, len(open))
	for i, d := range open {
		keys[i] = d.Key
	}
	changed, err := k.changes.Changed(ctx, *k.p.Source, k.since, keys)
	if err != nil {
		return nil, err
	}
	if len(changed) != len(keys) {
		return nil, fmt.Errorf("changes of %d keys were asked for, %d came", len(keys), len(changed))
	}
	lsn, err := k.c.lsnOf(ctx, k.p)
	if err != nil {
		return nil, err
	}
	if lsn == nil || *lsn < 0 {
		k.repopulate() // the next cycle sends all of it, or one is doing so
		return nil, nil
	}
	moved := *lsn != k.since
	k.since = *lsn
	for i, d := range open {
		if k.given() {
			return nil, nil
		}
		limit := &k.confirms
		if changed[i] {
			if !moved {
				found.Settle(d, diff.Pending)
				continue
			}
			limit = &k.rereads
		}
		if !k.take(limit) {
			// Of an LSN that moved nobody knows by what.
			if !changed[i] && !moved {
				found.Settle(d, diff.Diverged)
			}
			continue
		}
		now, err := compareAgain(ctx, k.run, d.Key)
		if err != nil {
			return nil, err
		}
		switch {
		case now.Different() == 0 && changed[i]:
			found.Settle(d, diff.Arrived)
		case now.Different() == 0:
			k.repopulate()
		case !changed[i]:
			found.Settle(d, diff.Diverged)
		default:
			again = append(again, d)
		}
	}
	return again, nil
}

// compareAgain reads the rows of a key once more.
func compareAgain(ctx context.Context, run *diff.Run, key store.Row) (diff.Findings, error) {
	found, err := run.CompareKey(ctx, key)
	if err != nil {
		err = fmt.Errorf("read a key again: %w", err)
	}
	return found, err
}

// repopulate notes that the table is not what it was when its LSN was read.
func (k *tracking) repopulate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.populated = true
}

// take takes one of a limited number.
func (k *tracking) take(n *int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if *n == 0 {
		return false
	}
	*n--
	return true
}

// given reports whether classifying was given up.
func (k *tracking) given() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.populated || k.expired || k.lost != nil
}

// lose gives up: because the changes since the LSN are no longer known, or for
// another reason.
func (k *tracking) lose(ctx context.Context, since store.LSN, err error) {
	least, merr := k.changes.MinValidVersion(ctx, *k.p.Source)
	k.mu.Lock()
	defer k.mu.Unlock()
	if merr == nil && since < least {
		k.expired = true
	} else {
		k.lost = err
	}
}

// errPopulated says that a cycle populated the table while it was compared.
var errPopulated = errors.New("the table was populated anew while it was compared")

// finish puts what became of the tracking into the report.
func (k *tracking) finish(tr *TableReport) error {
	switch {
	case k.populated:
		return errPopulated
	case k.expired:
		tr.LSNState = LSNExpired
		tr.forgetStates()
	case k.lost != nil:
		tr.warn(fmt.Sprintf("differences are not known to be pending or not: %v", k.lost))
	}
	return nil
}

// forgetStates makes all differences unknown that were not seen to be gone.
func (t *TableReport) forgetStates() {
	t.Pending, t.Diverged = 0, 0
	for i := range t.Stretches {
		t.Stretches[i].Pending = 0
	}
	for i := range t.Differences {
		if d := &t.Differences[i]; d.State == DiffArrived {
			t.Pending += d.Rows
		} else {
			d.State = DiffUnknown
		}
	}
	for i := range t.Samples {
		if s := &t.Samples[i]; s.State != DiffArrived {
			s.State = DiffUnknown
		}
	}
}

// setStates gives all differences one state.
func (t *TableReport) setStates(state DiffState) {
	for i := range t.Samples {
		t.Samples[i].State = state
	}
	for i := range t.Differences {
		t.Differences[i].State = state
	}
	for i := range t.Stretches {
		t.Stretches[i].Pending = 0
		if state == DiffPending {
			t.Stretches[i].Pending = t.Stretches[i].Rows()
		}
	}
}
