// Package diff finds the rows in which two tables differ.
//
// An [Engine] holds what the comparisons of many tables share: two Sources,
// limits, and slots to read in. A [Run] is the comparison of one [Table], in one
// range of keys or several (range.go). The rows of both sides are read ahead
// (cursor.go) and merged in key order (merge.go, group.go), or summed up where
// they are stored (digest.go). What comes of it are [Findings]. Of differences
// that may go away by themselves a [Settler] is asked; what that depends on is
// not known here.
//
// It may import store and internal/text.
package diff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror/store"
)

// Strategy says how the rows of a table are compared.
type Strategy string

// The strategies.
const (
	Stream Strategy = "stream"
	Digest Strategy = "digest"
	Join   Strategy = "join"
	Auto   Strategy = "auto"
)

// Options are what the comparisons of an Engine share.
type Options struct {
	Source, Mirror store.Source

	Strategy Strategy

	// Join reads both sides in one engine; nil: NoJoin says why not.
	Join   store.Join
	NoJoin string

	DigestRows int64 // of one digest at first
	SplitRows  int64 // of a range; 0: one range a table
	MaxKeys    int   // that are kept of a table
	MaxSamples int   // that are kept of a table

	RowsPerSecond int64 // of each side, all tables together; 0: no limit

	// Slots is taken up by each range that is read besides the first of its table.
	Slots chan struct{}

	// Save is called from time to time, when [Run.Ranges] has something new to
	// tell; SaveEvery bounds how long it has not.
	Save      func()
	SaveEvery time.Duration

	Clock Clock
	Steps Steps
}

// Clock tells the time, and waits by it until ctx is done.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Steps are the sizes of steps, which tests make small. The zero value is the
// default.
type Steps struct {
	// A stream ends early to settle what differs when it holds so many keys, or
	// so many bytes of them.
	Open, OpenBytes int

	// CheckEvery is after how many rows of both sides a stream looks at the
	// clock, NoteEvery after what time it notes how far it has come.
	CheckEvery int64
	NoteEvery  time.Duration

	// Probe is how many rows Auto streams before it looks at the clock, and Try how
	// many it digests first.
	Probe, Try int64
}

func (s *Steps) fill() {
	s.Open = cmp.Or(s.Open, 16<<10)
	s.OpenBytes = cmp.Or(s.OpenBytes, 4<<20)
	s.CheckEvery = cmp.Or(s.CheckEvery, 1024)
	s.Probe = cmp.Or(s.Probe, 4<<10)
	s.Try = cmp.Or(s.Try, 256)
	s.NoteEvery = cmp.Or(s.NoteEvery, 100*time.Millisecond)
}

// Engine compares tables of two Sources. It is safe for concurrent use.
type Engine struct {
	o                      Options
	sourcePace, mirrorPace *pace
	held                   atomic.Int64 // bytes of differing rows in all findings
}

// New returns an engine that keeps to o.
func New(o Options) *Engine {
	o.Steps.fill()
	newPace := func() *pace { return &pace{perSecond: o.RowsPerSecond, clock: o.Clock} }
	return &Engine{o: o, sourcePace: newPace(), mirrorPace: newPace()}
}

// maxHeld bounds what all findings hold of differing rows, in bytes of their
// values.
const maxHeld = 16 << 20

// Run is the comparison of one table's rows.
type Run struct {
	*Table
	e    *Engine
	rows atomic.Int64 // of the source, compared so far

	mu     sync.Mutex
	parts  []*part
	kept   int      // keys in the findings
	chosen Strategy // what is left of Auto
	reason string

	noJoined string // why the sides were not joined
	partial  bool   // not all rows are looked at
	whole    bool   // the first and the last key of either side were come across
}

// Table begins the comparison of a table. Nothing is read yet.
func (e *Engine) Table(t Table) *Run {
	t.decode = decoders(&t, e.o.Source, e.o.Mirror)
	r := &Run{Table: &t, e: e}
	r.chosen, r.reason = r.strategy()
	return r
}

// ErrEnough ends a comparison that has found MaxDifferences.
var ErrEnough = errors.New("enough differences")

// Compare compares the rows of the table. With an error the findings are those
// of the ranges that were compared until then.
func (r *Run) Compare(ctx context.Context) (Findings, error) {
	if err := r.cut(ctx); err != nil {
		return Findings{}, store.WrapError(ctx, err, "source")
	}
	err := r.compare(ctx)
	if err == nil {
		err = r.reachEnd(ctx)
	}
	return r.total(), err
}

// Strategy is how the table was compared, and why if not as it was asked for.
func (r *Run) Strategy() (chosen Strategy, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	chosen, reason = r.chosen, r.reason
	if chosen == Auto {
		chosen, reason = Stream, "it was done before digests were tried"
	}
	switch {
	case r.noJoined == "":
		return chosen, reason
	case reason == "" || reason == r.noJoined:
		return chosen, r.noJoined
	default:
		return chosen, r.noJoined + "; " + reason
	}
}

// total sums up what all parts found.
func (r *Run) total() Findings {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := Findings{Columns: make([]int64, len(r.Source.Columns))}
	for _, p := range r.parts {
		total.add(p.found, r.e.o.MaxSamples)
		r.e.held.Add(-sampleBytes(p.found.Samples))
	}
	r.e.held.Add(sampleBytes(total.Samples)) // each part had MaxSamples
	total.Keys = joined(total.Keys)
	return total
}

// compare runs the parts: in this goroutine, and in as many others as there are
// Slots free.
func (r *Run) compare(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(r.parts))
	run := func(i int) {
		if errs[i] = Guard(func() error { return r.parts[i].compare(ctx) }); errs[i] != nil {
			cancel()
		}
	}
	var wg sync.WaitGroup
	for i := range r.parts {
		if i < len(r.parts)-1 {
			select {
			case r.e.o.Slots <- struct{}{}:
				wg.Go(func() {
					defer func() { <-r.e.o.Slots }()
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

// Guard turns a panic into an error: a Source that panics fails its table, not
// the whole service.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return f()
}

// cut makes the parts: those that were resumed, or key ranges of SplitRows rows,
// or one for the whole table.
func (r *Run) cut(ctx context.Context) error {
	if r.parts != nil {
		return nil
	}
	digester, ok := r.e.o.Source.(store.Digester)
	var cuts []store.Row
	if r.e.o.SplitRows > 0 && ok && r.Ranged && r.chosen != Join {
		q := r.query(r.Source, nil, nil)
		q.Columns = []string{}
		digests, err := digester.DigestEvery(ctx, q, r.e.o.SplitRows)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if err := r.checkDigests(digests, nil, nil); err != nil {
			// One part for the whole table, and no digests for it either.
			r.choose(Stream, err.Error())
		} else {
			cuts = cutsOf(digests)
		}
	}
	var parts []*part
	var from store.Row
	for _, key := range append(cuts, nil) {
		parts = append(parts, r.newPart(from, key))
		from = key
	}
	r.begin(parts)
	return nil
}

// begin makes parts known to [Run.Ranges].
func (r *Run) begin(parts []*part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = parts
}

// room takes room in the findings and says whether there was enough.
func (e *Engine) room(bytes int) bool {
	if e.held.Add(int64(bytes)) <= maxHeld {
		return true
	}
	e.held.Add(-int64(bytes))
	return false
}

// save calls the user's function.
func (e *Engine) save() {
	if e.o.Save != nil {
		e.o.Save()
	}
}
