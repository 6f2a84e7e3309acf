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

	mu      sync.Mutex
	found   map[What]int64 // rows, when all of the table was last compared
	keys    []*key
	byText  map[string]*key
	over    bool // more keys differ than are kept
	err     error
	scanned bool  // all of it was compared once
	leftOut bool  // a column that both sides have was not
	now     *key  // the key that is being read again
	gone    int64 // rows that differed and are equal by now, of keys that were forgotten
}

// key is a key whose rows differed when they were read last. All of a table
// without keys is one.
type key struct {
	row         store.Row
	differences []difference
	sum         [sha256.Size]byte // of the values of both sides
	since       time.Time         // when these were read first
	mark        *mark             // how far the reference had come then; nil: not known yet
	outcome     outcome
	samples     []Sample
}

// difference is what tells the rows of a key apart.
type difference struct {
	what    What
	rows    int64
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

// scan compares all of a table, and begins its keys anew.
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
	if again := t.reset(); again != nil {
		defer t.carry(again)
	}
	found, err := c.engine.Table(t.plan.Table).Compare(ctx)
	if err != nil {
		return err
	}
	t.scanned = true
	t.report.ReferenceRows, t.report.ReplicaRows = found.SourceRows, found.MirrorRows
	if found.Sampled > 0 {
		t.report.RowBytes = found.Bytes / found.Sampled
	}
	now := c.now()
	for _, k := range t.keys {
		k.since = now
	}
	return nil
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
	return nil
}

// reset forgets what a table's rows were found to be, and returns its keys.
func (t *table) reset() []*key {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := t.keys
	t.found, t.keys, t.byText, t.over = map[What]int64{}, nil, map[string]*key{}, false
	return keys
}

// carry lets keys that differ as they did before keep the time since when.
func (t *table) carry(before []*key) {
	byRow := map[string]*key{}
	for _, k := range before {
		byRow[t.text(k.row)] = k
		if t.byText[t.text(k.row)] == nil {
			t.gone += k.rows()
		}
	}
	for _, k := range t.keys {
		if b := byRow[t.text(k.row)]; b != nil && b.sum == k.sum {
			k.since, k.mark = b.since, b.mark
		}
	}
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
	t.found[d.what] += rows
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
	k := t.byText[t.text(row)]
	if k == nil {
		if len(t.keys) >= t.c.o.MaxKeys {
			t.over = true
			return
		}
		k = &key{row: row.Clone()}
		t.keys = append(t.keys, k)
		t.byText[t.text(row)] = k
	}
	k.add(d, one)
	if t.room() > 0 {
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
	if t.over && n == 0 && !t.proven() {
		n = 1 // the rest has to be compared again
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

// look reads the open keys of a table again, and settles what can be settled.
func (c *check) look(ctx context.Context, t *table) error {
	if !t.scanned {
		return c.scan(ctx, t)
	}
	stillOpen := slices.ContainsFunc(t.keys, func(k *key) bool { return k.outcome == open })
	if t.plan.Keyless || !t.readable() || t.over && !stillOpen {
		if err := c.scan(ctx, t); err != nil {
			return err
		}
		for _, k := range t.keys {
			c.settle(t, k)
		}
		return nil
	}
	for _, k := range t.keys {
		if k.outcome != open {
			continue
		}
		if err := c.lookAt(ctx, t, k); err != nil {
			return err
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
	_, err := t.run.CompareKey(ctx, k.row)
	t.mu.Lock()
	t.now = nil
	t.mu.Unlock()
	if err != nil {
		return fmt.Errorf("read a key again: %w", err)
	}
	now.differences = slices.DeleteFunc(now.differences, func(d difference) bool { return !d.what.counts(c) })
	switch {
	case len(now.differences) == 0:
		k.outcome = arrived
	case now.sum != k.sum:
		k.differences, k.sum, k.since, k.mark = now.differences, now.sum, c.now(), nil
	default:
		c.settle(t, k)
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
