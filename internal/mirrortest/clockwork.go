package mirrortest

import (
	"context"
	"time"
)

// Noon is when a [Clockwork] begins.
var Noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// Clockwork is a clock that only sleeping moves. While it sleeps, things happen
// at their times.
type Clockwork struct {
	now    time.Time
	events []event
}

type event struct {
	at time.Time
	do func()
}

// NewClockwork returns one at noon.
func NewClockwork() *Clockwork { return &Clockwork{now: Noon} }

// Now implements mirror.Clock.
func (c *Clockwork) Now() time.Time { return c.now }

// Sleep implements mirror.Clock.
func (c *Clockwork) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	until := c.now.Add(d)
	for len(c.events) > 0 && !c.events[0].at.After(until) {
		e := c.events[0]
		c.events = c.events[1:]
		c.now = e.at
		e.do()
	}
	c.now = until
	return nil
}

// After has something happen some time after noon.
func (c *Clockwork) After(d time.Duration, do func()) {
	c.events = append(c.events, event{Noon.Add(d), do})
}
