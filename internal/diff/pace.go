package diff

import (
	"context"
	"sync"
	"time"
)

// pace holds one side to a number of rows a second.
type pace struct {
	perSecond int64
	clock     Clock

	mu   sync.Mutex
	next time.Time // when more rows may follow
	last time.Time // that the clock told
}

// wait returns when rows more may pass.
func (p *pace) wait(ctx context.Context, rows int64) error {
	if p.perSecond <= 0 {
		return nil
	}
	p.mu.Lock()
	now := p.clock.Now()
	if p.next.Before(now) || now.Before(p.last) { // a clock can be set back
		p.next = now
	}
	p.last = now
	d := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(rows) / float64(p.perSecond) * float64(time.Second)))
	p.mu.Unlock()
	if d == 0 {
		return nil
	}
	return p.clock.Sleep(ctx, d)
}

// SystemClock is the system's clock.
type SystemClock struct{}

// Now returns the time.
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep waits on a timer.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
