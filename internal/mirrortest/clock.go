package mirrortest

import (
	"context"
	"time"
)

// Clock is a mirror.Clock of functions. Without Time it tells the time, and without
// Wait it waits.
type Clock struct {
	Time func() time.Time
	Wait func(context.Context, time.Duration) error
}

// Now implements mirror.Clock.
func (c Clock) Now() time.Time {
	if c.Time == nil {
		return time.Now()
	}
	return c.Time()
}

// Sleep implements mirror.Clock.
func (c Clock) Sleep(ctx context.Context, d time.Duration) error {
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
