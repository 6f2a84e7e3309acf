package console

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
)

// load reads what the pages show of each member.
func (c *Console) load(ctx context.Context) error {
	looks, err := c.state.looks(ctx)
	if err != nil {
		return err
	}
	for key, l := range looks {
		if m := c.members[key]; m != nil {
			m.setLook(l)
		}
	}
	last, err := c.state.last(ctx)
	if err != nil {
		return err
	}
	for _, j := range last {
		if m := c.members[j.Member]; m != nil {
			m.ended(j)
		}
	}
	return c.recount(ctx, "")
}

// recount counts the changes of a member, or of all for "", of which nobody knows the end,
// and finds the last one that stands. One that is being made is neither.
func (c *Console) recount(ctx context.Context, member string) error {
	c.counting.Lock() // so that what was read first is not written last
	defer c.counting.Unlock()
	open, err := c.state.open(ctx, member)
	if err != nil {
		return err
	}
	last, err := c.state.standing(ctx, member)
	if err != nil {
		return err
	}
	n, changed := map[string]int{}, map[string]job{}
	for _, e := range open {
		if !c.jobs.running(e.Job) {
			n[fold(e.Entry.ContextID)]++
		}
	}
	for _, j := range last {
		changed[j.Member] = j
	}
	for key, m := range c.members {
		if member == "" || key == member {
			m.setChanges(n[key], changed[key])
		}
	}
	return nil
}

// background finds out what became of changes that an earlier process left open, looks at
// the mirrors, and cleans up, until ctx is done.
func (c *Console) background(ctx context.Context) {
	defer close(c.behind)
	var wg sync.WaitGroup
	wg.Go(func() { c.reconcileAll(ctx) })
	wg.Go(func() { c.every(ctx, time.Hour, c.cleanUp) })
	if c.opts.Look > 0 {
		wg.Go(func() { c.every(ctx, c.opts.Look, c.lookAtAll) })
	}
	wg.Wait()
}

// reconcileAll finds out what became of changes that an earlier process left open.
func (c *Console) reconcileAll(ctx context.Context) {
	for _, m := range c.order {
		if m.openChanges() == 0 {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, changeTimeout)
		if _, err := c.reconcile(bounded, m, "the console"); err != nil {
			c.log.Warn("changes without an end not reconciled", "mirror", m.ContextID, "error", err)
		}
		cancel()
	}
}

// every does something at once, and again after each d.
func (c *Console) every(ctx context.Context, d time.Duration, do func(context.Context)) {
	for {
		do(ctx)
		if c.opts.Clock.Sleep(ctx, d) != nil {
			return
		}
	}
}

// lookers is how many mirrors are looked at at once.
const lookers = 4

// lookAtAll looks at each mirror that nobody looked at meanwhile.
func (c *Console) lookAtAll(ctx context.Context) {
	todo := make(chan *member)
	var wg sync.WaitGroup
	for range min(lookers, len(c.order)) {
		wg.Go(func() {
			for m := range todo {
				if err := c.lookAt(ctx, m); err != nil && ctx.Err() == nil {
					c.log.Warn("mirror looked at", "mirror", m.ContextID, "error", err)
				}
			}
		})
	}
	for _, m := range c.order {
		if age := c.now().Sub(m.seen().Time); age >= 0 && age < c.opts.Look/2 { // a look of the future is by a clock that was wrong
			continue
		}
		select {
		case todo <- m:
		case <-ctx.Done():
		}
	}
	close(todo)
	wg.Wait()
}

// cleanUp removes what is older than the options say.
func (c *Console) cleanUp(ctx context.Context) {
	n, err := c.state.cleanUp(ctx, c.now().Add(-c.opts.Keep), c.opts.KeepReports)
	switch {
	case err != nil && ctx.Err() == nil:
		c.log.Warn("old jobs not removed", "error", err)
	case n > 0:
		c.log.Info("old jobs removed", "jobs", n)
	}
}

// reconcile asks the database of a mirror what became of changes of which the journal has
// no end.
func (c *Console) reconcile(ctx context.Context, m *member, actor string) (found []mirror.Reconciled, err error) {
	if m.busy(kindChange) != nil {
		return nil, errChanging
	}
	all, err := c.state.entries(ctx, m.key)
	if err != nil {
		return nil, err
	}
	entries, open := sinceOpen(all)
	maps.DeleteFunc(open, func(_ string, job int64) bool { return c.jobs.running(job) }) // it was begun meanwhile
	if len(open) == 0 {
		return nil, nil
	}
	conn, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	became, err := conn.Mirror.Reconcile(ctx, entries)
	if err != nil {
		return nil, err
	}
	if all, err = c.state.open(ctx, m.key); err != nil {
		return nil, err
	}
	outcomes, i := map[string]mirror.Outcome{}, 0
	jobs := map[int64]mirror.Outcome{}
	for _, e := range entries {
		if e.Event != mirror.JournalIntent {
			continue
		}
		still := slices.ContainsFunc(all, func(o journaled) bool { return o.Entry.ID == e.ID }) // it has no end since
		if job, is := open[e.ID]; is && still {
			found = append(found, became[i])
			if became[i].Outcome != mirror.OutcomeUnknown { // what was done to another database stays open for that one
				outcomes[e.ID] = became[i].Outcome
				jobs[job] = became[i].Outcome
			}
		}
		i++
	}
	if err := c.state.reconcile(ctx, outcomes, c.now()); err != nil {
		return nil, err
	}
	for id, outcome := range jobs {
		if err := c.settle(ctx, id, outcome); err != nil {
			return found, err
		}
		if j, err := c.state.job(ctx, id); err == nil {
			c.jobs.follow(ctx, j)
		}
	}
	c.log.Info("changes without an end reconciled", "mirror", m.ContextID, "actor", actor, "outcomes", outcomes)
	return found, c.recount(ctx, m.key)
}

// sinceOpen returns the entries of the operations from the first one on that has no end,
// and those without one with their jobs.
func sinceOpen(all []journaled) (entries []mirror.JournalEntry, open map[string]int64) {
	open = map[string]int64{}
	for _, e := range all {
		if e.Entry.Event == mirror.JournalIntent && e.Outcome == "" {
			open[e.Entry.ID] = e.Job
		}
	}
	for _, e := range all {
		if e.Entry.Event != mirror.JournalIntent {
			delete(open, e.Entry.ID)
		}
	}
	begun := map[string]bool{}
	for _, e := range all {
		_, isOpen := open[e.Entry.ID]
		switch {
		case e.Entry.Event == mirror.JournalIntent && (isOpen || len(begun) > 0):
			begun[e.Entry.ID] = true
		case !begun[e.Entry.ID]:
			continue
		}
		entries = append(entries, e.Entry)
	}
	return entries, open
}
