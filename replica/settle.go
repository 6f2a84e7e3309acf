package replica

// settle decides what became of a key that differs as it did when it was read
// before.
func (c *check) settle(t *table, k *key) {
	worst := arrived
	for _, d := range k.differences {
		o := c.outcomeOf(t, k, d.what)
		if o == open {
			return
		}
		worst = max(worst, o)
	}
	k.outcome = worst
}

// outcomeOf is what a difference is by now. A replica that had more than its
// commit intervals has what was committed before the first reading; a mirror whose
// cycle began after it, too. Which of the two a difference waits for depends on
// which side is behind.
func (c *check) outcomeOf(t *table, k *key, w What) outcome {
	replicaHad := c.now().Sub(k.since) >= intervals*c.o.Interval
	referenceHad := c.follows.passed(t.pair.Source, k.mark)
	switch w {
	case Older: // whatever the reference has by now, the replica had before
		if replicaHad {
			return newStale
		}
		return open
	case Newer:
		switch {
		case !c.follows.cycles():
			// The customer's database went back, and the replica did not.
			if replicaHad && c.o.AsOf.IsZero() {
				return newStale
			}
			return open
		case referenceHad:
			return oldStale
		default:
			return open
		}
	}
	if !replicaHad || !referenceHad {
		return open
	}
	if backup := !c.o.AsOf.IsZero(); backup && (w == Missing || !t.timed()) {
		return open // it may have been deleted since the backup, or written
	}
	switch w {
	case Missing:
		return newStale
	case Extra:
		return ghost
	case LargeNull, Placeholder, Rounded:
		return newStale
	default:
		return conflict
	}
}
