package mirror

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror/store"
)

// tableRun is the comparison of one table's rows, in one or several ranges of
// keys.
type tableRun struct {
	c        *comparison
	p        pair
	plan     tablePlan
	tracking *tracking // nil when differences cannot be classified
	expected int64     // rows, 0 when nobody asks
	started  time.Time
	rows     atomic.Int64 // of the source, compared so far

	lastKey   store.Row // that was read again, and what was found
	lastFound findings

	mu     sync.Mutex
	parts  []*part
	kept   int      // keys in the report
	chosen Strategy // what is left of StrategyAuto
	reason string
}

// part is a range of keys that is compared in key order by one goroutine.
type part struct {
	r *tableRun

	// The rest of the range, and what was found before it. All of it is
	// guarded by r.mu, and changed together: it is what a checkpoint holds.
	next, before store.Row
	ended        bool
	found        findings

	since store.LSN // with tracking: an LSN read before the rest of the range is
}

// errEnough ends a comparison that has found MaxDifferences.
var errEnough = errors.New("enough differences")

// compareRows compares the rows of a table by value.
func (c *comparison) compareRows(ctx context.Context, p pair, plan tablePlan, tr *TableReport) error {
	r := &tableRun{c: c, p: p, plan: plan, started: c.m.clock()}
	if c.m.progress != nil {
		n, err := c.source.Count(ctx, *p.source)
		if err != nil {
			return err
		}
		r.expected = n
	}
	r.chosen, r.reason = r.strategy()
	r.tracking = c.trackingOf(r, tr)
	if err := r.cut(ctx); err != nil {
		return store.WrapError(ctx, err, "source")
	}
	c.begin(r)
	err := r.compare(ctx)
	total := r.total()
	total.fill(tr, plan)
	tr.Strategy, tr.StrategyReason = r.chosen, r.reason
	if errors.Is(err, errEnough) {
		tr.Truncated, tr.Read = true, total.MirrorRows
		err = c.count(ctx, p, tr)
	}
	if err == nil && r.tracking != nil {
		err = r.tracking.finish(tr)
	}
	return err
}

// total sums up what all parts found.
func (r *tableRun) total() findings {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := findings{Columns: make([]int64, len(r.plan.source))}
	for _, p := range r.parts {
		total.add(p.found, r.c.opts.MaxSamples)
		r.c.held.Add(-sampleBytes(p.found.Samples))
	}
	r.c.held.Add(sampleBytes(total.Samples)) // each part had MaxSamples
	return total
}

// compare runs the parts: in this goroutine, and in as many others as there are
// tables less than Concurrency allows.
func (r *tableRun) compare(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(r.parts))
	run := func(i int) {
		if errs[i] = guard(func() error { return r.parts[i].compare(ctx) }); errs[i] != nil {
			cancel()
		}
	}
	var wg sync.WaitGroup
	for i := range r.parts {
		if i < len(r.parts)-1 {
			select {
			case r.c.slots <- struct{}{}:
				wg.Go(func() {
					defer func() { <-r.c.slots }()
					run(i)
				})
				continue
			default:
			}
		}
		if errs[i] = ctx.Err(); errs[i] == nil {
			run(i)
		}
	}
	wg.Wait()
	var cause error
	for _, err := range errs {
		// The others were only told to stop.
		if err != nil && (cause == nil || errors.Is(cause, context.Canceled)) {
			cause = err
		}
	}
	return cause
}

// guard turns a panic into an error: a Source that panics fails its table, not
// the whole service.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f()
}

func (p *part) compare(ctx context.Context) error {
	if p.ended {
		return nil
	}
	err := error(nil)
	switch p.r.choice() {
	case StrategyDigest:
		err = p.digest(ctx)
	case StrategyAuto:
		err = p.auto(ctx)
	default:
		return p.stream(ctx, p.before, time.Time{})
	}
	var none errNoDigest
	if errors.As(err, &none) {
		p.r.choose(StrategyStream, none.Error())
		return p.compare(ctx)
	}
	return err
}

// take adds what was found up to the key next, nil for the end of the table.
func (p *part) take(f findings, next store.Row) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.found.add(f, p.r.c.opts.MaxSamples)
	p.next = next
	p.ended = next == nil || p.before != nil && p.r.plan.order(next, p.before) >= 0
}

// tuning are the sizes of steps, which tests make small.
type tuning struct {
	// A stream ends early to classify what differs when it holds so many keys
	// or so many bytes of them.
	maxOpen, maxOpenBytes int

	// checkEvery is after how many rows of both sides a stream looks at the
	// clock, saveEvery after what time it notes how far it has come.
	checkEvery int64
	saveEvery  time.Duration
}

func defaultTuning() tuning {
	return tuning{maxOpen: 16 << 10, maxOpenBytes: 4 << 20, checkEvery: 1024, saveEvery: 100 * time.Millisecond}
}

// stream compares the rows from p.next up to the key before, or until a point in
// time. It leaves p.next at what is not compared yet.
func (p *part) stream(ctx context.Context, before store.Row, until time.Time) error {
	for {
		m, err := p.segment(ctx, before, until)
		if err != nil {
			return err
		}
		if len(m.open) > 0 {
			if err := p.r.tracking.classify(ctx, p, m); err != nil {
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
		p.r.c.checkpoint()
		if p.r.enough(findings{}) {
			return errEnough
		}
		if m.next == nil || !until.IsZero() && !p.r.c.m.clock().Before(until) {
			return nil
		}
	}
}

// enough reports whether the table has as many differences as one wants to
// know, those of f included.
func (r *tableRun) enough(f findings) bool {
	limit := r.c.opts.MaxDifferences
	if limit <= 0 || r.p.requested() {
		return false
	}
	total := f.different()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		total += p.found.different()
	}
	return total >= limit
}

// segment walks from p.next to the key before, as far as it comes without
// classifying.
func (p *part) segment(ctx context.Context, before store.Row, until time.Time) (*merge, error) {
	r, tune := p.r, p.r.c.m.tuning
	m := newMerge(r.plan, max(0, r.c.opts.MaxSamples-len(p.found.Samples)))
	m.keep, m.room, m.classifies = r.keep, r.c.room, r.tracking != nil
	var checked, counted, noted int64
	began := r.c.m.clock()
	saved := began
	source, mirror := r.cursors(m)
	progress := func() {
		done := source.decided()
		r.progress(done - counted)
		counted = done
	}
	m.stop = func(rows int64) bool {
		if len(m.open) >= tune.maxOpen || m.openBytes >= tune.maxOpenBytes {
			return true
		}
		if n := m.found.different(); n > noted && !m.classifies {
			noted = n
			if r.enough(m.found) {
				return true
			}
		}
		if rows-checked < tune.checkEvery {
			return false
		}
		checked = rows
		progress()
		now := r.c.m.clock()
		if ctx.Err() != nil || !until.IsZero() && !now.Before(until) {
			return true
		}
		if len(m.open) > 0 {
			// What differs has to be classified before it can be saved.
			return now.Sub(began) >= r.c.opts.CheckpointEvery
		}
		if r.plan.ranged && now.Sub(saved) >= tune.saveEvery {
			saved = now
			m.count(source, mirror)
			// The walk goes on, so its findings begin anew behind this key.
			p.take(m.found, m.nextKey(source, mirror))
			m.restart(source, mirror)
			checked, counted, noted = source.rows+mirror.rows, 0, 0
			r.c.checkpoint()
		}
		return false
	}
	err := r.walk(ctx, m, source, mirror, r.c.source, r.c.m.store, p.next, before)
	m.count(source, mirror)
	progress()
	return m, err
}

// cursors returns the cursors of both sides.
func (r *tableRun) cursors(m *merge) (source, mirror *cursor) {
	source = &cursor{key: r.plan.source[:r.plan.key], order: m.orderSource, bytes: bytesColumns(r.plan.source), onBatch: r.c.sourcePace.wait}
	mirror = &cursor{key: r.plan.mirror[:r.plan.key], order: m.orderMirror, bytes: bytesColumns(r.plan.mirror), onBatch: r.c.mirrorPace.wait}
	return source, mirror
}

// walk merges the rows of both sides from one key to before another.
func (r *tableRun) walk(ctx context.Context, m *merge, src, mir *cursor, source, mirror store.Source, from, before store.Row) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	startSource := func() error {
		q := r.query(*r.p.source, r.plan.source, from, before)
		return store.WrapError(ctx, src.start(ctx, &readers, source, q), "source")
	}
	startMirror := func() error {
		q := r.query(*r.p.mirror, r.plan.mirror, from, before)
		return store.WrapError(ctx, mir.start(ctx, &readers, mirror, q), "mirror")
	}
	// The second side starts when the first one has brought a batch. Taking
	// connections in one order keeps comparisons that share two small pools
	// from waiting for each other.
	first, second := startSource, startMirror
	if store.PoolOrder(r.c.m.store) < store.PoolOrder(r.c.source) {
		first, second = second, first
	}
	err := first()
	if err == nil {
		err = second()
	}
	if err == nil {
		m.measure(src)
		err = m.run(src, mir)
	}
	return err
}

// keep takes a place for a key in the report and says whether there was one.
func (r *tableRun) keep() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept >= r.c.opts.MaxKeys {
		return false
	}
	r.kept++
	return true
}

// maxHeld bounds what a report holds of differing rows, in bytes of their values.
const maxHeld = 16 << 20

// room takes room in the report and says whether there was enough.
func (c *comparison) room(bytes int) bool {
	if c.held.Add(int64(bytes)) <= maxHeld {
		return true
	}
	c.held.Add(-int64(bytes))
	return false
}

// progress adds rows of the source and tells the user's function.
func (r *tableRun) progress(rows int64) {
	done := r.rows.Add(rows)
	if r.c.m.progress == nil {
		return
	}
	o := Progress{Table: r.p.name, Rows: done, Expected: max(done, r.expected)}
	if elapsed := r.c.m.clock().Sub(r.started); done > 0 {
		o.Remaining = time.Duration(float64(elapsed) * float64(o.Expected-done) / float64(done))
	}
	r.c.report(o)
}

// cut makes the parts: those of the checkpoint, or key ranges of SplitRows rows,
// or one for the whole table.
func (r *tableRun) cut(ctx context.Context) error {
	opts := r.c.opts
	since := store.ResendAll
	if r.p.lsn != nil {
		since = *r.p.lsn
	}
	if resumed, ok := r.c.resume(r); ok {
		r.parts = resumed
		for _, p := range r.parts {
			p.since = since
			r.kept += len(p.found.Keys)
			r.rows.Add(p.found.SourceRows)
		}
		return nil
	}
	digester, ok := r.c.source.(store.Digester)
	var cuts []store.Row
	if opts.SplitRows > 0 && ok && r.plan.ranged {
		q := r.query(*r.p.source, r.plan.source, nil, nil)
		q.Columns = []string{}
		digests, err := digester.DigestEvery(ctx, q, opts.SplitRows)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if err := r.checkDigests(digests, nil, nil); err != nil {
			// One part for the whole table, and no digests for it either.
			r.choose(StrategyStream, err.Error())
		} else {
			cuts = cutsOf(digests)
		}
	}
	var from store.Row
	for _, key := range append(cuts, nil) {
		r.parts = append(r.parts, &part{r: r, next: from, before: key, since: since})
		from = key
	}
	return nil
}

// single reads the rows of one key.
type single struct {
	store.Source
	order func(a, b store.Row) int
	key   store.Row
}

// Rows implements Source. Two rows are enough to see that the key does not
// repeat, and spare the server a query that is broken off.
func (s single) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		q.From, q.Limit = s.key, 2
		var rows []store.Row
		for batch, err := range s.Source.Rows(ctx, q) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range batch {
				if s.order(s.key, row) == 0 {
					rows = append(rows, row.Clone())
				}
			}
		}
		if len(rows) < 2 {
			if len(rows) > 0 {
				yield(rows, nil)
			}
			return
		}
		q.Limit = 0
		for batch, err := range s.Source.Rows(ctx, q) {
			n := 0
			for n < len(batch) && s.order(s.key, batch[n]) == 0 {
				n++
			}
			if err != nil || n > 0 {
				if !yield(batch[:n], err) {
					return
				}
			}
			if n < len(batch) {
				return
			}
		}
	}
}

// compareKey reads the rows of one key again, on both sides.
func (r *tableRun) compareKey(ctx context.Context, key store.Row) (findings, error) {
	m := newMerge(r.plan, 0)
	m.keep, m.room = func() bool { return true }, func(int) bool { return true }
	src, mir := r.cursors(m)
	err := r.walk(ctx, m, src, mir, single{r.c.source, m.orderSource, key}, single{r.c.m.store, m.orderMirror, key}, key, nil)
	if err != nil {
		return findings{}, fmt.Errorf("read a key again: %w", err)
	}
	m.count(src, mir)
	return m.found, nil
}
