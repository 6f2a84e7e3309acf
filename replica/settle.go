package replica

import (
	"slices"
	"time"
)

// round is one reading of what is open: when it began, and what the reference's
// LSNs were before and after.
type round struct {
	began         time.Time
	before, after *mark
}

// settle decides what became of the keys of a table that differ as they did when
// they were read before. Of rows without stamps that is not more than it says: a
// value that changes there and back between the readings looks the same.
func (c *check) settle(t *table, r round) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.keys) == 0 {
		return
	}
	if t.own != nil {
		r = *t.own
	}
	// A mirror that lacks changes of a table for good lacks rows and keeps rows
	// of it, too.
	behind := t.over && t.found[Newer] > 0 || slices.ContainsFunc(t.keys, func(k *key) bool {
		return k.outcome != arrived && slices.ContainsFunc(k.differences, func(d difference) bool { return d.what == Newer })
	})
	still := c.follows.still(t.pair.Source, r.before, r.after)
	for _, k := range t.keys {
		if k.vanished && still { // and not because a cycle wiped the table
			k.outcome = arrived
		}
		k.vanished = false
		if again := k.again && k.outcome == open; !again {
			continue
		}
		k.again = false
		worst := arrived
		for i := range k.differences {
			d := &k.differences[i]
			if d.outcome = c.outcomeOf(t, k, *d, r, behind); d.outcome == open {
				worst = open
				break
			}
			worst = max(worst, d.outcome)
		}
		k.outcome = worst
	}
}

// outcomeOf is what a difference is by now. A replica that had more than its
// commit intervals has what was committed before the first reading; a mirror whose
// cycle began after it, too. Which of the two a difference waits for depends on
// which side is behind. When the client takes all rows again, nobody knows how long
// it needs, and until then its rows may be those of before, gone or late.
func (c *check) outcomeOf(t *table, k *key, d difference, r round, behind bool) outcome {
	if c.state.Resets > 0 {
		return open
	}
	patience := intervals * c.o.Interval
	replicaHad := r.began.Sub(k.since) >= patience
	mirrorHad := unknown
	if c.follows.still(t.pair.Source, r.before, r.after) {
		mirrorHad = c.follows.passed(t.pair.Source, k.mark, r.before)
	}
	backup := !c.o.AsOf.IsZero()
	switch d.what {
	case Older: // whatever the reference has by now, the replica had before
		if !replicaHad {
			return open
		}
		return newStale
	case Newer:
		switch {
		case !c.follows.cycles():
			// The customer's database went back, and the replica did not.
			if replicaHad && !backup {
				return newStale
			}
			return open
		case mirrorHad != unknown:
			return oldStale
		default:
			return open
		}
	}
	if !replicaHad || mirrorHad == unknown || mirrorHad == probably && behind {
		return open
	}
	if backup && (d.what == Missing || !d.dated) {
		return open // it may have been deleted since the backup, or written
	}
	switch d.what {
	case Missing:
		if t.thin || r.began.Sub(t.filled) < patience {
			return open // the client re-synchronizes the table
		}
		return newStale
	case Extra:
		return ghost
	case LargeNull, Placeholder, Rounded:
		return newStale
	default:
		return conflict
	}
}
