package diff

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/so-mirror/mirror/store"
)

// joinChunk is how many digests' rows are joined at once, and suspectShare which
// share of them may be suspect before all rows are read.
const (
	joinChunk    = 4
	suspectShare = 4 // one in

	// sizedRows is how many rows tell how many bytes a row has.
	sizedRows = 128

	// maxSuspects bounds the keys that are held of one chunk: a table that cannot be
	// cut is one chunk.
	maxSuspects = 1 << 16
)

// chunk is a range of keys that is joined at once.
type chunk struct {
	from, before store.Row
	found        store.Suspects
	err          error
	done         chan struct{}
	release      func()
}

// join has the engine find the keys that may differ, in chunks, as many at a time as
// there are slots, and compares their rows in key order.
func (p *part) join(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	var ahead []*chunk
	defer func() {
		cancel()
		for _, c := range ahead {
			<-c.done
			c.release()
		}
	}()
	if err := p.sizeRows(ctx); err != nil {
		return err
	}
	cuts := &cutter{p: p, from: p.next}
	own := true // the slot of this part is free
	for {
		for !cuts.ended {
			release := func() { own = true }
			if own {
				own = false
			} else if release = p.r.e.slot(); release == nil {
				break
			}
			c, err := cuts.next(ctx)
			if err != nil {
				release()
				return errNo{Join, err}
			}
			c.release = release
			ahead = append(ahead, c)
			go p.suspect(ctx, c)
		}
		if len(ahead) == 0 {
			return ctx.Err()
		}
		c := ahead[0]
		<-c.done
		err := p.compareChunk(ctx, c)
		ahead = ahead[1:]
		c.release()
		if err != nil {
			return err
		}
		p.r.e.save()
	}
}

// sizeRows takes the size of the first rows, which a join does not read.
func (p *part) sizeRows(ctx context.Context) error {
	r := p.r
	if p.found.Sampled > 0 {
		return nil
	}
	q := r.stored(r.query(r.Source, p.next, p.before))
	q.Limit = sizedRows
	m := newMerge(r.Table, 0)
	for rows, err := range r.e.o.Source.Rows(ctx, q) {
		if err != nil {
			return store.WrapError(ctx, err, "source")
		}
		m.measure(rows)
		for _, row := range rows {
			if len(row) == len(q.Columns) {
				p.came(row[:r.Key].Clone())
			}
		}
		break // as a stream does
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.found.add(m.found, 0)
	return nil
}

// slot takes one of the Slots, if one is free.
func (e *Engine) slot() (release func()) {
	select {
	case e.o.Slots <- struct{}{}:
		return func() { <-e.o.Slots }
	default:
		return nil
	}
}

// cutter cuts a part into chunks, from the first key on.
type cutter struct {
	p     *part
	from  store.Row
	ended bool
}

func (c *cutter) next(ctx context.Context) (*chunk, error) {
	p := c.p
	next := &chunk{from: c.from, before: p.before, done: make(chan struct{})}
	key, err := p.r.cutAt(ctx, c.from, p.before, p.r.chunkRows())
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	if key == nil {
		c.ended = true
		return next, nil
	}
	p.came(key)
	next.before, c.from = key, key
	return next, nil
}

func (r *Run) chunkRows() int64 { return joinChunk * r.e.o.DigestRows }

// suspect has the engine join one chunk.
func (p *part) suspect(ctx context.Context, c *chunk) {
	defer close(c.done)
	r := p.r
	c.err = Guard(func() (err error) {
		limit := int(min(maxSuspects, 1+r.chunkRows()/suspectShare))
		c.found, err = r.e.o.Join.Suspects(ctx, r.query(r.Source, c.from, c.before), r.query(r.Mirror, c.from, c.before), limit)
		if err == nil {
			err = r.checkSuspects(c)
		}
		if err == nil {
			err = r.e.sourcePace.wait(ctx, c.found.SourceRows)
		}
		if err == nil {
			err = r.e.mirrorPace.wait(ctx, c.found.MirrorRows)
		}
		return err
	})
}

// checkSuspects refuses keys that are not in order within the chunk.
func (r *Run) checkSuspects(c *chunk) error {
	last := c.from
	for i, key := range c.found.Keys {
		bad := len(key) != r.Key || slices.Contains(key, nil)
		if !bad && last != nil {
			n := r.Order(last, key)
			bad = n > 0 || i > 0 && n == 0
		}
		if bad || c.before != nil && r.Order(key, c.before) >= 0 {
			return fmt.Errorf("%w: suspect key %d of a chunk", store.ErrOrder, i+1)
		}
		last = key
	}
	return nil
}

// compareChunk compares the rows of the keys that the engine suspects, or all of
// the chunk.
func (p *part) compareChunk(ctx context.Context, c *chunk) error {
	if c.err != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		return errNo{Join, c.err}
	}
	if !c.found.Undecided {
		if err := p.compareSuspects(ctx, c.found, c.before); !errors.Is(err, errDoubt) {
			return err
		}
	}
	return p.stream(ctx, c.before)
}

// errDoubt says that the rows of suspect keys are not those that the engine saw: they
// changed meanwhile, or a side does not find by its key what it has.
var errDoubt = errors.New("the rows of suspect keys are others than the engine saw")

// compareSuspects compares the rows of suspect keys, which are all that can differ
// before a key. What was found is taken at once: between two of the keys nobody
// knows how many rows there are. It is errDoubt, and nothing is taken, when the rows
// are not those of s, as far as s has their numbers.
func (p *part) compareSuspects(ctx context.Context, s store.Suspects, before store.Row) error {
	r := p.r
	total := Findings{Columns: make([]int64, len(r.Source.Columns))}
	counted := s.SourceRows > 0 || s.MirrorRows > 0
	doubt := func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.kept -= len(total.Keys)
		return errDoubt
	}
	for keys := s.Keys; len(keys) > 0; {
		seen := newDelivered(keys)
		m, err := p.walkKeys(ctx, keys, seen, max(0, r.e.o.MaxSamples-len(p.found.Samples)-len(total.Samples)), total.Different())
		if err != nil {
			return err
		}
		if len(m.open) > 0 {
			if err := p.settler.Settle(ctx, &m.found, m.open); err != nil {
				return err
			}
		}
		total.add(m.found, r.e.o.MaxSamples)
		if err := ctx.Err(); err != nil {
			return err
		}
		done := len(keys)
		if m.next != nil {
			done, _ = slices.BinarySearchFunc(keys, m.next, r.Order)
		}
		if counted && !seen.all(done) {
			return doubt()
		}
		keys = keys[done:]
		if r.enough(total.Different()) {
			// About as many of the other rows lie before the last of these keys.
			n, of := int64(len(s.Keys)-len(keys)), int64(len(s.Keys))
			total.SourceRows = max(total.SourceRows, s.SourceRows*n/of)
			total.MirrorRows = max(total.MirrorRows, s.MirrorRows*n/of)
			p.take(total, orElse(m.next, before))
			return ErrEnough
		}
	}
	// The other rows are equal, so there are as many on both sides.
	if counted {
		equal := s.SourceRows - total.SourceRows
		if equal < 0 || equal != s.MirrorRows-total.MirrorRows {
			return doubt()
		}
		total.SourceRows, total.MirrorRows = s.SourceRows, s.MirrorRows
	}
	if before == nil {
		p.unread(p.next, s.SourceRows)
	}
	p.take(total, before)
	r.progress(total.SourceRows)
	return nil
}

// walkKeys compares the rows of keys, as far as it comes without settling what
// differs. Before is how many rows of the chunk were found to differ already.
func (p *part) walkKeys(ctx context.Context, keys []store.Row, seen *delivered, samples int, before int64) (*merge, error) {
	r := p.r
	m := newMerge(r.Table, samples)
	m.keep, m.room, m.settles, m.sized = r.keep, r.e.room, r.Settler != nil, true
	noted := int64(0)
	m.stop = func(int64) bool {
		if m.full(r.e.o.Steps) {
			return true
		}
		if n := m.found.Different(); n > noted && !m.settles {
			noted = n
			return r.enough(before + n)
		}
		return false
	}
	source, mirror := r.cursors(m)
	err := r.walk(ctx, m, source, mirror, someRows{r.e.o.Source, m.orderSource, keys, seen.source}, someRows{r.e.o.Mirror, m.orderMirror, keys, seen.mirror}, nil, nil)
	p.came(source.first, source.last, mirror.first, mirror.last)
	m.count(source, mirror)
	return m, err
}

// delivered notes which of some keys had a row, on either side.
type delivered struct{ source, mirror []bool }

func newDelivered(keys []store.Row) *delivered {
	return &delivered{make([]bool, len(keys)), make([]bool, len(keys))}
}

// all reports whether each of the first n keys had a row.
func (d *delivered) all(n int) bool {
	for i := range n {
		if !d.source[i] && !d.mirror[i] {
			return false
		}
	}
	return true
}

// someRows reads the rows of some keys, and notes which had one.
type someRows struct {
	store.Source
	order func(a, b store.Row) int
	keys  []store.Row
	seen  []bool
}

// Rows implements Source.
func (s someRows) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(to func([]store.Row, error) bool) {
		next := 0
		yield := func(batch []store.Row, err error) bool {
			for _, row := range batch {
				for next < len(s.keys) && s.order(s.keys[next], row) < 0 {
					next++
				}
				if next < len(s.keys) && s.order(s.keys[next], row) == 0 {
					s.seen[next] = true
				}
			}
			return to(batch, err)
		}
		began, unsupported := false, false
		for batch, err := range store.RowsAt(ctx, s.Source, q, s.keys) {
			if unsupported = !began && errors.Is(err, errors.ErrUnsupported); unsupported {
				break
			}
			if began = true; !yield(batch, err) || err != nil {
				return
			}
		}
		if !unsupported {
			return
		}
		for _, key := range s.keys {
			for batch, err := range (single{s.Source, s.order, key}).Rows(ctx, q) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}
