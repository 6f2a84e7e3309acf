package diff

import (
	"context"

	"github.com/so-mirror/mirror/store"
)

// tail is what no row was read of because both sides have it: the source's rows from a
// key to the end of the table, nil for all of them. What the mirror has behind its last
// one differs, and so was read.
type tail struct {
	from store.Row
	rows int64
}

// unread notes that the source has so many rows from a key to the end of the table, not
// all of which were read.
func (p *part) unread(from store.Row, rows int64) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.tail = tail{from, rows}
}

// reachEnd asks for the last key of a table that differs, unless it was come across.
// Nothing that differs depends on it, so an error only leaves the end unknown, unless
// the comparison was stopped and can go on here.
func (r *Run) reachEnd(ctx context.Context) error {
	if !r.Placed() || !r.differs() {
		return nil
	}
	p := r.parts[len(r.parts)-1]
	if p.tail.rows > 1 { // the first of them was come across
		var last store.Row
		err := Guard(func() (err error) {
			last, err = r.cutAt(ctx, p.tail.from, nil, p.tail.rows-1)
			return err
		})
		if err != nil || last == nil {
			return ctx.Err()
		}
		p.came(last)
	}
	r.whole = true
	return nil
}

func (r *Run) differs() bool {
	for _, p := range r.parts {
		if len(p.found.Bins.Bins) > 0 {
			return true
		}
	}
	return false
}

// Whole reports whether Ends are the table's. Of a table that does not differ it is not
// found out.
func (r *Run) Whole() bool { return r.whole }
