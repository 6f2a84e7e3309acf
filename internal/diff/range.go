package diff

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/so-mirror/mirror/store"
)

// part is a range of keys that is compared in key order by one goroutine.
type part struct {
	r *Run

	// The rest of the range, and what was found before it. All of it is
	// guarded by r.mu, and changed together: it is what a Range holds.
	next, before store.Row
	ended        bool
	found        Findings
	first, last  store.Row // that were come across, of the keys of tables that are Placed
	tail         tail      // that ends the table

	settler Settler // nil when nothing is settled
}

func (r *Run) newPart(next, before store.Row) *part {
	p := &part{r: r, next: next, before: before}
	if r.Settler != nil {
		p.settler = r.Settler()
	}
	return p
}

func (p *part) compare(ctx context.Context) error {
	if p.ended {
		return nil
	}
	err := error(nil)
	switch p.r.choice() {
	case Digest:
		err = p.digest(ctx)
	case Join:
		err = p.join(ctx)
	case Auto:
		err = p.auto(ctx)
	default:
		return p.stream(ctx, p.before)
	}
	var none errNo
	if errors.As(err, &none) {
		p.r.without(none)
		return p.compare(ctx)
	}
	return err
}

// take adds what was found up to the key next, nil for the end of the table.
func (p *part) take(f Findings, next store.Row) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.found.add(f, p.r.e.o.MaxSamples)
	if len(f.Bins.Bins) > 0 {
		p.r.coarsen()
	}
	p.next = next
	p.ended = next == nil || p.before != nil && p.r.Order(next, p.before) >= 0
}

// stream compares the rows from p.next up to the key before. It leaves p.next at
// what is not compared yet.
func (p *part) stream(ctx context.Context, before store.Row) error {
	for {
		m, err := p.segment(ctx, before)
		if err != nil {
			return err
		}
		if len(m.open) > 0 {
			if err := p.settler.Settle(ctx, &m.found, m.open); err != nil {
				return err
			}
		}
		next := m.next
		if next == nil {
			next = before
		}
		p.take(m.found, next)
		if err := ctx.Err(); err != nil {
			return err
		}
		p.r.e.save()
		if p.r.enough(0) {
			return ErrEnough
		}
		if m.next == nil {
			return nil
		}
	}
}

// enough reports whether the table has as many differences as one wants to
// know, with others that were found.
func (r *Run) enough(others int64) bool {
	if r.MaxDifferences <= 0 {
		return false
	}
	total := others
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		total += p.found.Different()
	}
	return total >= r.MaxDifferences
}

// segment walks from p.next to the key before, as far as it comes without
// settling what differs.
func (p *part) segment(ctx context.Context, before store.Row) (*merge, error) {
	r, tune := p.r, p.r.e.o.Steps
	m := newMerge(r.Table, max(0, r.e.o.MaxSamples-len(p.found.Samples)))
	m.keep, m.room, m.settles, m.sized = r.keep, r.e.room, r.Settler != nil, p.found.Sampled > 0
	var checked, counted, noted int64
	var held *reserve
	began := r.e.o.Clock.Now()
	saved := began
	source, mirror := r.cursors(m)
	progress := func() {
		done := source.decided()
		r.progress(done - counted)
		counted = done
	}
	m.stop = func(rows int64) bool {
		if m.full(tune) {
			return true
		}
		if n := m.found.Different(); n > noted && !m.settles {
			noted = n
			if r.enough(n) {
				return true
			}
		}
		if rows-checked < tune.CheckEvery {
			return false
		}
		checked = rows
		if held == nil {
			held = holdReserve()
		}
		progress()
		now := r.e.o.Clock.Now()
		if ctx.Err() != nil {
			return true
		}
		if len(m.open) > 0 {
			// What differs has to be settled before it can be saved.
			return now.Sub(began) >= r.e.o.SaveEvery
		}
		if r.Ranged && now.Sub(saved) >= tune.NoteEvery {
			saved = now
			m.count(source, mirror)
			// The walk goes on, so its findings begin anew behind this key.
			p.take(m.found, m.nextKey(source, mirror))
			m.restart(source, mirror)
			checked, counted, noted = source.rows+mirror.rows, 0, 0
			r.e.save()
		}
		return false
	}
	err := r.walk(ctx, m, source, mirror, r.e.o.Source, r.e.o.Mirror, p.next, before)
	runtime.KeepAlive(held)
	p.came(source.first, source.last, mirror.first, mirror.last)
	m.count(source, mirror)
	progress()
	return m, err
}

// cursors returns the cursors of both sides.
func (r *Run) cursors(m *merge) (source, mirror *cursor) {
	source = &cursor{key: r.Source.Columns[:r.Key], order: m.orderSource, bytes: r.bytesColumns(r.Source), onBatch: r.e.sourcePace.wait}
	mirror = &cursor{key: r.Mirror.Columns[:r.Key], order: m.orderMirror, bytes: r.bytesColumns(r.Mirror), onBatch: r.e.mirrorPace.wait}
	return source, mirror
}

// walk merges the rows of both sides from one key to before another.
func (r *Run) walk(ctx context.Context, m *merge, src, mir *cursor, source, mirror store.Source, from, before store.Row) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	startSource := func() error {
		q := r.stored(r.query(r.Source, from, before))
		return store.WrapError(ctx, src.start(ctx, &readers, source, q), "source")
	}
	startMirror := func() error {
		q := r.stored(r.query(r.Mirror, from, before))
		return store.WrapError(ctx, mir.start(ctx, &readers, mirror, q), "mirror")
	}
	// The second side starts when the first one has brought a batch. Taking
	// connections in one order keeps comparisons that share two small pools
	// from waiting for each other.
	first, second := startSource, startMirror
	if store.PoolOrder(r.e.o.Mirror) < store.PoolOrder(r.e.o.Source) {
		first, second = second, first
	}
	err := first()
	if err == nil {
		err = second()
	}
	if err == nil {
		if src.batch != nil && !m.sized {
			m.measure(src.batch.rows)
		}
		src.note(&src.first)
		mir.note(&mir.first)
		err = m.run(src, mir)
		src.note(&src.last)
		mir.note(&mir.last)
	}
	return err
}

// came notes keys that were come across; nil is none.
func (p *part) came(keys ...store.Row) {
	r := p.r
	if !r.Placed() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if key == nil {
			continue
		}
		if p.first == nil || r.Order(key, p.first) < 0 {
			p.first = key
		}
		if p.last == nil || r.Order(key, p.last) > 0 {
			p.last = key
		}
	}
}

// Ends returns the first and the last key that was come across, nil for none. They are
// the table's if it is Whole.
func (r *Run) Ends() (first, last store.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		if p.first != nil && (first == nil || r.Order(p.first, first) < 0) {
			first = p.first
		}
		if p.last != nil && (last == nil || r.Order(p.last, last) > 0) {
			last = p.last
		}
	}
	return first, last
}

// keep takes a place for a key in the report and says whether there was one.
func (r *Run) keep() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept >= r.e.o.MaxKeys {
		return false
	}
	r.kept++
	return true
}

// progress adds rows of the source and tells the user's function.
func (r *Run) progress(rows int64) {
	done := r.rows.Add(rows)
	if r.Progress != nil {
		r.Progress(done)
	}
}

// Range is how far the comparison of a range of keys has come.
type Range struct {
	// Next is the first key that is not compared yet, Before the key that
	// ends the range; none is the table's own end.
	Next   []store.Cell `json:"next,omitempty"`
	Before []store.Cell `json:"before,omitempty"`

	// Ended says that all of the range is compared.
	Ended bool `json:"ended,omitempty"`

	// Found is what was found before Next, First and Last are the first and the last
	// key that was come across.
	Found Findings     `json:"found"`
	First []store.Cell `json:"first,omitempty"`
	Last  []store.Cell `json:"last,omitempty"`

	// Tail is the key from which on the source has TailRows to the end of the table,
	// of which those that are the mirror's, too, were not read.
	Tail     []store.Cell `json:"tail,omitempty"`
	TailRows int64        `json:"tailRows,omitempty"`
}

// Ranges returns how far the comparison has come, nil when that cannot be
// continued.
func (r *Run) Ranges() []Range {
	if !r.Ranged || r.partial {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var ranges []Range
	for _, p := range r.parts {
		ranges = append(ranges, Range{Next: r.KeyCells(p.next), Before: r.KeyCells(p.before), Ended: p.ended, Found: p.found.clone(),
			First: r.KeyCells(p.first), Last: r.KeyCells(p.last), Tail: r.KeyCells(p.tail.from), TailRows: p.tail.rows})
	}
	return ranges
}

// Resume continues from ranges, before Compare, and says whether it can: they
// must be of the table as it is, and follow each other from its first key to its
// last.
func (r *Run) Resume(ranges []Range) bool {
	if len(ranges) == 0 || !r.Ranged {
		return false
	}
	var parts []*part
	for i, rc := range ranges {
		next, err := r.KeyOf(rc.Next)
		if err != nil {
			return false
		}
		before, err := r.KeyOf(rc.Before)
		if err != nil {
			return false
		}
		p := r.newPart(next, before)
		p.ended, p.found = rc.Ended, rc.Found.clone()
		if p.first, err = r.KeyOf(rc.First); err != nil {
			return false
		}
		if p.last, err = r.KeyOf(rc.Last); err != nil {
			return false
		}
		if p.tail.from, err = r.KeyOf(rc.Tail); err != nil {
			return false
		}
		p.tail.rows = rc.TailRows
		first, last := i == 0, i == len(ranges)-1
		switch {
		case !first && parts[i-1].before == nil, len(rc.Found.Keys) > r.e.o.MaxKeys,
			len(rc.Found.Columns) > 0 && len(rc.Found.Columns) != len(r.Source.Columns),
			last != (before == nil),
			!first && !rc.Ended && next == nil,
			!first && !rc.Ended && r.Order(next, parts[i-1].before) < 0,
			!first && !last && r.Order(before, parts[i-1].before) <= 0,
			!rc.Ended && next != nil && before != nil && r.Order(next, before) > 0,
			(p.first == nil) != (p.last == nil), p.first != nil && r.Order(p.first, p.last) > 0, !r.fit(rc.Found.Bins):
			return false
		}
		parts = append(parts, p)
	}
	for _, p := range parts {
		r.kept += len(p.found.Keys)
		r.rows.Add(p.found.SourceRows)
	}
	r.begin(parts)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coarsen()
	return true
}
