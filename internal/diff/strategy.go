package diff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// strategy returns how a table is compared, and why if not as asked for.
func (r *Run) strategy() (Strategy, string) {
	asked := r.e.o.Strategy
	if asked == Stream {
		return Stream, ""
	}
	if asked != Digest {
		why := r.noJoin()
		switch {
		case why != "" && asked == Join:
			return Stream, why
		case why == "" && asked == Auto:
			return Join, "one engine reads both sides"
		case why == "":
			return Join, ""
		}
		r.noJoined = why
	}
	return r.withoutJoin()
}

// withoutJoin is strategy where the engine cannot join the sides.
func (r *Run) withoutJoin() (Strategy, string) {
	asked := r.e.o.Strategy
	if asked == Join {
		asked = Stream
	}
	if why := r.noDigests(); why != "" {
		return Stream, why
	}
	return asked, ""
}

// noDigests says why the rows cannot be compared by digests, "" if they can.
func (r *Run) noDigests() string {
	source, ok := r.e.o.Source.(store.Digester)
	mirror, also := r.e.o.Mirror.(store.Digester)
	switch {
	case !ok || source.DigestScheme() == "":
		return "the source makes no digests"
	case !also || mirror.DigestScheme() == "":
		return "the mirror makes no digests"
	case source.DigestScheme() != mirror.DigestScheme():
		return fmt.Sprintf("the digests of the two sides cannot be compared: %s and %s", source.DigestScheme(), mirror.DigestScheme())
	case !r.Ranged:
		return r.Unranged()
	}
	return r.otherTypes()
}

// noJoin says why the engine cannot join the sides of the table, "" if it can.
func (r *Run) noJoin() string {
	switch {
	case r.e.o.Join == nil:
		return cmp.Or(r.e.o.NoJoin, "nobody asked for one engine for both sides")
	case !r.Ranged:
		return r.Unranged()
	case !unique(r.Source, r.Key) || !unique(r.Mirror, r.Key):
		return "the mirror's table does not have the primary key"
	}
	return r.otherTypes()
}

// unique reports whether a side has a key once.
func unique(s Side, key int) bool {
	return len(s.Table.Key) == key && !slices.ContainsFunc(s.Columns[:key], func(c store.Column) bool {
		return !slices.Contains(s.Table.Key, c.Name)
	})
}

// otherTypes names a column whose values look different to the two sides although
// they are equal, "" for none.
func (r *Run) otherTypes() string {
	for i, s := range r.Source.Columns {
		m := r.Mirror.Columns[i]
		switch k := s.Type.Kind(); {
		case s.Type == m.Type:
		case k == m.Type.Kind() && (k == store.KindInt || k == store.KindString || k == store.KindBytes):
		default:
			return fmt.Sprintf("column %s has two types, %s and %s", s.Name, s.Type, m.Type)
		}
	}
	return ""
}

// choice is the strategy for the next part.
func (r *Run) choice() Strategy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chosen
}

// choose settles the strategy for the parts to come.
func (r *Run) choose(s Strategy, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chosen != Stream || r.reason == "" { // that digests cannot be had stands
		r.chosen, r.reason = s, why
	}
}

// errNo says that a side, or the engine, cannot do after all what a strategy needs.
type errNo struct {
	what Strategy
	error
}

func (e errNo) Unwrap() error { return e.error }

// without goes on by another strategy than one that cannot be had.
func (r *Run) without(e errNo) {
	next, why := Stream, e.Error()
	if e.what == Join {
		next, why = r.withoutJoin()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.what == Join {
		r.noJoined = e.Error()
	}
	if r.chosen == e.what || r.chosen == Auto { // or another part has found out
		r.chosen, r.reason = next, why
	}
}

// Auto streams in ranges until it knows how long a row takes, digests a few rows,
// and goes on with what was faster. It reads nothing that it does not use.
const (
	// probeAfter is how long Auto streams before it digests, and so is twice as long
	// the time between two tries.
	probeAfter = 500 * time.Millisecond

	// probeFactor is how many times the rows of one try the next one has.
	probeFactor = 4

	// probeShare bounds what digests may cost until it is known whether they pay: one
	// part in so many of the time so far.
	probeShare = 40

	// digestGain is how much faster than rows digests must be: what differs is fetched
	// all the same.
	digestGain = 2
)

// probe is what Auto knows of a part.
type probe struct {
	rows     int64         // streamed
	streamed time.Duration // in what time
	trip     time.Duration // to the source and back, for little
	tries    []try
}

// try is one range that was digested.
type try struct {
	rows int64
	took time.Duration
}

// auto finds out what is faster, and goes on with that.
func (p *part) auto(ctx context.Context) error {
	r := p.r
	var known probe
	for size := r.e.o.Steps.Probe; ; size *= 2 {
		if s := r.choice(); s != Auto { // another part has found out
			return p.compare(ctx)
		}
		asked := r.e.o.Clock.Now()
		cut, err := r.cutAt(ctx, p.next, p.before, size)
		known.trip = r.e.o.Clock.Now().Sub(asked)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			r.choose(Stream, "the table cannot be tried in parts")
			return p.compare(ctx)
		case err != nil:
			return err
		}
		started, before := r.e.o.Clock.Now(), p.found.SourceRows
		if err := p.stream(ctx, orElse(cut, p.before)); err != nil {
			return err
		}
		known.rows += p.found.SourceRows - before
		known.streamed += r.e.o.Clock.Now().Sub(started)
		if p.ended {
			r.choose(Stream, known.figures(r.e.o.DigestRows))
			return nil
		}
		if n := known.next(r.e.o.Steps.Try); n > 0 {
			if err := p.try(ctx, &known, n); err != nil {
				return err
			}
		}
		if s := known.verdict(r.e.o.DigestRows); s != Auto {
			r.choose(s, known.figures(r.e.o.DigestRows))
		}
	}
}

// try digests n rows.
func (p *part) try(ctx context.Context, known *probe, n int64) error {
	w := p.sourceWindow(ctx, p.next, p.before, n, 1)
	p.mirrorWindow(ctx, &w)
	if errors.Is(w.err, errors.ErrUnsupported) {
		return errNo{Digest, w.err}
	}
	rows := digestedRows(w.source)
	if err := p.compareWindow(ctx, w, false); err != nil {
		return err
	}
	known.tries = append(known.tries, try{rows, w.took})
	return nil
}

// next is how many rows to digest by now, 0 for none.
func (k *probe) next(first int64) int64 {
	n, after, cost := first, probeAfter, 2*k.trip
	for _, t := range k.tries {
		n, after, cost = n*probeFactor, after*2, cost+t.took
	}
	if len(k.tries) > 0 {
		cost += probeFactor * k.tries[len(k.tries)-1].took
	}
	if k.streamed < after || cost > k.streamed/probeShare {
		return 0
	}
	return n
}

// row is how many seconds a row takes that is streamed.
func (k *probe) row() float64 { return k.streamed.Seconds() / float64(max(1, k.rows)) }

// digested is how many seconds a row takes that is digested: what more rows cost more,
// and the way to the server and back once for each batch.
func (k *probe) digested(digestRows int64) float64 {
	last := k.tries[len(k.tries)-1]
	perRow := last.took.Seconds() / float64(max(1, last.rows))
	if len(k.tries) > 1 {
		before := k.tries[len(k.tries)-2]
		perRow = max(0, last.took-before.took).Seconds() / float64(max(1, last.rows-before.rows))
		perRow += max(0, last.took.Seconds()-perRow*float64(last.rows)) / float64(digestBatch*digestRows)
	}
	return perRow
}

// verdict is Auto as long as too little is known.
func (k *probe) verdict(digestRows int64) Strategy {
	switch {
	case len(k.tries) < 2:
		return Auto
	case k.digested(digestRows)*digestGain < k.row():
		return Digest
	default:
		return Stream
	}
}

// figures are for people.
func (k *probe) figures(digestRows int64) string {
	if len(k.tries) == 0 {
		return "it was done before digests were tried"
	}
	return fmt.Sprintf("%s rows/s streamed, %s digested", text.Count(perSecond(k.row())), text.Count(perSecond(k.digested(digestRows))))
}

// perSecond is how many rows come in a second of which each takes that long.
func perSecond(row float64) int64 { return int64(1 / max(row, 1e-9)) }

// cutAt returns the key n rows of the source behind from, nil when before comes
// first.
func (r *Run) cutAt(ctx context.Context, from, before store.Row, n int64) (store.Row, error) {
	c, ok := r.e.o.Source.(store.Cutter)
	if !ok {
		return nil, fmt.Errorf("the source makes no cuts: %w", errors.ErrUnsupported)
	}
	key, err := c.Cut(ctx, r.query(r.Source, from, before), n)
	if err != nil || key == nil {
		return nil, store.WrapError(ctx, err, "source")
	}
	if len(key) != r.Key || from != nil && r.Order(from, key) >= 0 || before != nil && r.Order(key, before) >= 0 {
		return nil, fmt.Errorf("source: %w: a cut is not behind the key before it: %w", store.ErrOrder, errors.ErrUnsupported)
	}
	return key, nil
}

// orElse returns the bound of a range that may be cut.
func orElse(cut, before store.Row) store.Row {
	if cut == nil {
		return before
	}
	return cut
}
