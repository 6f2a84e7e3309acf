package replica

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/store"
)

// table is one table of the check.
type table struct {
	c      *check
	pair   match.Pair
	plan   *match.Plan // nil when rows are not compared
	stamps []int       // columns that tell which of two rows is newer
	report *TableReport
	run    *diff.Run // reads single keys again

	mu       sync.Mutex
	err      error
	scanned  bool // all of it was compared once
	unproven bool // and it is not known yet whether a cycle wiped it meanwhile
	leftOut  bool // a column that both sides have was not
	reading       // what differed when all of the table was last compared

	scanning *reading // what differs so far of a comparison that runs
	now      *key     // the key that is being read again
	moved    bool     // a cycle may have wiped the table while it was compared
	own      *round   // when all of it was compared again
	refill            // of the replica's table
	gone     int64    // rows that differed and are equal by now, of keys that were forgotten
}

// refill is what is seen of a client that re-synchronizes a table while the check
// looks on: it truncates the table at once, and can be long in coming to fill it.
type refill struct {
	peak, rows int64     // the most rows of the replica, and those of now
	thin       bool      // the table lost most of its rows, and does not have them again
	filled     time.Time // when it was last seen to fill
}

// look takes the number of rows that the table has at a time, and reports whether
// missing rows begin anew because it was emptied, or is full again.
func (f *refill) look(rows int64, now time.Time) (anew bool) {
	was := f.thin
	f.peak = max(f.peak, rows)
	switch {
	case 2*rows < f.peak: // by less than that changes shrink it
		f.thin = true
	case rows >= f.peak-f.peak/100:
		f.thin = false
	}
	if rows > f.rows && f.thin || f.thin != was {
		f.filled = now
	}
	f.rows = rows
	return f.thin != was
}

// reading is what one comparison of all of a table found.
type reading struct {
	found  map[What]int64 // rows
	keys   []*key
	byText map[string]*key
	over   bool // more keys differ than are kept
	fresh  int  // keys that did not differ before

	// before are the keys that differed before and were not seen to be equal since.
	// They have their places.
	before map[string]*key
}

// key is a key whose rows differed when they were read last. All of a table
// without keys is one.
type key struct {
	row         store.Row
	differences []difference
	sum         [sha256.Size]byte // of the values of both sides
	since       time.Time         // when these were read first
	mark        *mark             // how far the reference had come then; nil: not known yet
	again       bool              // they were the same when they were last read, and nothing is concluded yet
	vanished    bool              // neither side had the key when it was last read, and nothing is concluded yet
	outcome     outcome
	samples     []Sample
}

// difference is what tells the rows of a key apart.
type difference struct {
	what    What
	rows    int64
	dated   bool // the replica's rows tell when they were written
	outcome outcome
	columns []string
}

// outcome is what became of a key.
type outcome int

const (
	open outcome = iota
	arrived
	oldStale
	newStale
	ghost
	conflict
)

// scan compares all of a table for the first time, or counts its rows.
func (c *check) scan(ctx context.Context, t *table) error {
	defer func() {
		c.progress.Lock()
		c.done = min(c.done+1, len(c.tables))
		c.progress.Unlock()
		c.tell(t.openKeys(), time.Time{})
	}()
	if t.plan == nil {
		err := c.countRows(ctx, t)
		t.scanned = err == nil
		return err
	}
	r, found, err := c.compare(ctx, t)
	if err == nil {
		t.unproven = true
		t.accept(r, found, c.now())
	}
	return err
}

// rescan is a scan between two looks of its own at the LSNs: the more tables are read
// between two, the more of them a cycle has sent. What it sees of a table that a
// cycle may have wiped is not accepted.
func (c *check) rescan(ctx context.Context, t *table) error {
	own := &round{began: c.now()}
	var err error
	if own.before, err = c.follows.look(ctx); err != nil {
		return err
	}
	r, found, err := c.compare(ctx, t)
	if err != nil {
		return err
	}
	if own.after, err = c.follows.look(ctx); err != nil {
		return err
	}
	if t.moved = c.follows.mayHaveWiped(t.pair.Source, *own); !t.moved {
		t.own = own
		t.accept(r, found, c.now())
	}
	return nil
}

// compare compares all of a table.
func (c *check) compare(ctx context.Context, t *table) (*reading, diff.Findings, error) {
	r := &reading{found: map[What]int64{}, byText: map[string]*key{}, before: map[string]*key{}}
	for text, k := range t.byText {
		if k.outcome != arrived { // one that was equal meanwhile differs for another reason
			r.before[text] = k
		}
	}
	t.mu.Lock()
	t.scanning = r
	t.mu.Unlock()
	found, err := c.engine.Table(t.plan.Table).Compare(ctx)
	t.mu.Lock()
	t.scanning = nil
	t.mu.Unlock()
	return r, found, err
}

// accept takes what a comparison of all of the table found for what is known of it.
// Keys that differ as they did before go on as they are, all others begin anew.
func (t *table) accept(r *reading, found diff.Findings, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scanned, t.report.Counted = true, true
	t.report.ReferenceRows, t.report.ReplicaRows = found.SourceRows, found.MirrorRows
	t.refill.look(found.MirrorRows, now)
	if found.Sampled > 0 {
		t.report.RowBytes = found.Bytes / found.Sampled
	}
	for text, k := range r.byText {
		k.since = now
		if b := r.before[text]; b != nil && b.sum == k.sum {
			k.since, k.mark, k.outcome, k.differences, k.again = b.since, b.mark, b.outcome, b.differences, true
		}
	}
	// A key of before has its place, so one that does not differ now is equal. Of
	// rows whose keys were not kept some are equal if now less differ than then.
	kept, fresh := int64(0), t.explain(r.found)
	for text, k := range t.byText {
		if kept += k.rows(); r.byText[text] == nil {
			t.gone += k.rows()
		}
	}
	for text := range r.before {
		if k := r.byText[text]; k != nil {
			fresh -= k.rows()
		}
	}
	if t.over {
		t.gone += max(0, t.explain(t.found)-kept-fresh)
	}
	r.before = nil
	t.reading = *r
}

// countRows counts the rows of a table that is not compared.
func (c *check) countRows(ctx context.Context, t *table) (err error) {
	if t.report.Verdict == Excluded && t.pair.NotMirrored != "" {
		return nil
	}
	if t.pair.Source != nil {
		if t.report.ReferenceRows, err = c.reference.Count(ctx, *t.pair.Source); err != nil {
			return fmt.Errorf("reference: %w", err)
		}
	}
	if t.pair.Mirror != nil {
		if t.report.ReplicaRows, err = c.replica.Count(ctx, *t.pair.Mirror); err != nil {
			return fmt.Errorf("replica: %w", err)
		}
	}
	t.report.Counted = true
	return nil
}

// explain is how many of the rows that differ have to be explained.
func (t *table) explain(found map[What]int64) (n int64) {
	for w, rows := range found {
		if w.counts(t.c) {
			n += rows
		}
	}
	return n
}

func (k *key) rows() (n int64) {
	for _, d := range k.differences {
		n += d.rows
	}
	return n
}

// text identifies a key.
func (t *table) text(row store.Row) string {
	h := sha256.New()
	for _, v := range row {
		sum.Value(h, v)
	}
	return string(h.Sum(nil))
}

// differs is told by the engine of each difference.
func (t *table) differs(kind diff.Kind, reference, replica store.Row, rows int64) {
	d := t.classify(kind, reference, replica)
	d.rows = rows
	one := sumOf(kind, reference, replica, rows)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now != nil {
		t.now.add(d, one)
		if d.what.counts(t.c) {
			t.now.samples = append(t.now.samples, t.sample(d, reference, replica))
		}
		return
	}
	r := t.scanning
	r.found[d.what] += rows
	if !d.what.counts(t.c) {
		return
	}
	var row store.Row
	if !t.plan.Keyless {
		if row = reference; row == nil {
			row = replica
		}
		row = row[:t.plan.Key]
	}
	text := t.text(row)
	k := r.byText[text]
	if k == nil {
		if r.before[text] == nil {
			if r.fresh+len(r.before) >= t.c.o.MaxKeys {
				r.over = true
				return
			}
			r.fresh++
		}
		k = &key{row: row.Clone()}
		r.keys = append(r.keys, k)
		r.byText[text] = k
	}
	k.add(d, one)
	if r.room(t.c.o.MaxSamples) > 0 {
		k.samples = append(k.samples, t.sample(d, reference, replica))
	}
}

// add adds a difference, in any order.
func (k *key) add(d difference, one [sha256.Size]byte) {
	i := slices.IndexFunc(k.differences, func(e difference) bool { return e.what == d.what })
	if i < 0 {
		k.differences = append(k.differences, d)
	} else {
		k.differences[i].rows += d.rows
		k.differences[i].dated = k.differences[i].dated && d.dated
	}
	carry := uint64(0)
	for i := 0; i < len(k.sum); i += 8 {
		a, b := binary.LittleEndian.Uint64(k.sum[i:]), binary.LittleEndian.Uint64(one[i:])
		s := a + b + carry
		carry = 0
		if s < a || s == a && b > 0 {
			carry = 1
		}
		binary.LittleEndian.PutUint64(k.sum[i:], s)
	}
}

func sumOf(kind diff.Kind, reference, replica store.Row, rows int64) (out [sha256.Size]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d", kind, rows)
	for _, row := range []store.Row{reference, replica} {
		fmt.Fprintf(h, "|%d", len(row))
		for _, v := range row {
			sum.Value(h, v)
		}
	}
	copy(out[:], h.Sum(nil))
	return out
}

func (t *table) openKeys() (n int) {
	if t.unclear() {
		return 0 // nothing depends on it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil && store.IsTransient(t.err) {
		return 1 // it is tried again
	}
	for _, k := range t.keys {
		if k.outcome == open {
			n++
		}
	}
	if (t.over || t.moved) && n == 0 && !t.proven() {
		n = 1 // all of it has to be compared again
	}
	return n
}

// proven reports whether a key is known to be wrong in the replica.
func (t *table) proven() bool {
	return slices.ContainsFunc(t.keys, func(k *key) bool { return k.outcome == newStale || k.outcome == ghost || k.outcome == conflict })
}

func (t *table) anchor(m *mark) int {
	t.mu.Lock()
	for _, k := range t.keys {
		if k.mark == nil {
			k.mark = m
		}
	}
	t.mu.Unlock()
	return t.openKeys()
}

// look reads the open keys of a table again. It concludes nothing.
func (c *check) look(ctx context.Context, t *table) error {
	if !t.scanned || t.plan == nil {
		return c.scan(ctx, t)
	}
	stillOpen := slices.ContainsFunc(t.keys, func(k *key) bool { return k.outcome == open })
	if err := c.lookAtRefill(ctx, t); err != nil {
		return err
	}
	if whole := t.plan.Keyless || !t.readable() || (t.over || t.moved) && !stillOpen; whole {
		if t.moved && !c.follows.isValid(t.pair.Source) {
			return nil // it is being filled
		}
		return c.rescan(ctx, t)
	}
	for _, k := range t.keys {
		if k.outcome != open {
			continue
		}
		c.glance(ctx)
		if err := c.lookAt(ctx, t, k); err != nil {
			return err
		}
	}
	return nil
}

// lookAtRefill counts the replica's rows where some are missing.
func (c *check) lookAtRefill(ctx context.Context, t *table) error {
	missing := func(k *key) bool {
		return k.outcome == open && slices.ContainsFunc(k.differences, func(d difference) bool { return d.what == Missing })
	}
	if !slices.ContainsFunc(t.keys, missing) {
		return nil
	}
	rows, err := c.replica.Count(ctx, *t.pair.Mirror)
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if now := c.now(); t.refill.look(rows, now) {
		for _, k := range t.keys {
			if missing(k) {
				k.since, k.mark = now, nil
			}
		}
	}
	return nil
}

// lookAt reads the rows of a key again.
func (c *check) lookAt(ctx context.Context, t *table, k *key) error {
	now := &key{row: k.row}
	t.mu.Lock()
	t.now = now
	t.mu.Unlock()
	found, err := t.run.CompareKey(ctx, k.row)
	t.mu.Lock()
	t.now = nil
	t.mu.Unlock()
	if err != nil {
		return fmt.Errorf("read a key again: %w", err)
	}
	now.differences = slices.DeleteFunc(now.differences, func(d difference) bool { return !d.what.counts(c) })
	switch {
	case len(now.differences) == 0 && found.SourceRows+found.MirrorRows == 0:
		k.vanished = true
	case len(now.differences) == 0:
		if slices.ContainsFunc(k.differences, func(d difference) bool { return d.what == Missing }) {
			t.filled = c.now()
		}
		k.outcome = arrived
	case now.sum != k.sum:
		k.differences, k.sum, k.since, k.mark = now.differences, now.sum, c.now(), nil
	default:
		k.again = true
	}
	t.resample(k, now.samples)
	return nil
}

// readable reports whether a key means the same place on both sides, so that it
// can be read by itself.
func (t *table) readable() bool {
	for i := range t.plan.Key {
		s, m := t.plan.Source.Columns[i], t.plan.Mirror.Columns[i]
		if (s.Type != m.Type && s.Type.Kind() != store.KindInt) || s.Nullable || m.Nullable {
			return false
		}
	}
	return true
}
