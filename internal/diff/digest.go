package diff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// digestBatch is how many ranges are asked for at once, and how many pieces a range
// that differs is cut into.
const digestBatch = 32

// window is a range of keys with the digests of both sides.
type window struct {
	from, before   store.Row
	last           bool // nothing of the part follows
	source, mirror []store.Digest
	took           time.Duration // by the side that took longer
	err            error
}

// cutsOf returns the keys between ranges.
func cutsOf(digests []store.Digest) (cuts []store.Row) {
	for _, d := range digests[min(1, len(digests)):] {
		cuts = append(cuts, d.First)
	}
	return cuts
}

func digestedRows(digests []store.Digest) (rows int64) {
	for _, d := range digests {
		rows += d.Rows
	}
	return rows
}

// sourceWindow has the source cut and digest the next ranges of n rows.
func (p *part) sourceWindow(ctx context.Context, from, before store.Row, n, ranges int64) (w window) {
	r := p.r
	w.from, w.before, w.last = from, before, true
	started := r.e.o.Clock.Now()
	q := r.query(r.Source, from, before)
	if ranges > 0 {
		q.Limit = n*ranges + 1 // one more: its key is where the next window begins
	}
	w.source, w.err = r.e.o.Source.(store.Digester).DigestEvery(ctx, q, n)
	if w.err != nil {
		w.err = store.WrapError(ctx, w.err, "source")
		return w
	}
	if w.err = r.checkDigests(w.source, from, before); w.err != nil {
		return w
	}
	rows := digestedRows(w.source)
	if q.Limit > 0 && rows >= q.Limit { // the last range may go on
		n := len(w.source) - 1
		if n == 0 {
			w.err = errNo{Digest, fmt.Errorf("source: digests that contradict themselves: a range of more than %s rows", text.Count(rows))}
			return w
		}
		w.before, w.last = w.source[n].First, false
		rows -= w.source[n].Rows
		w.source = w.source[:n]
	}
	w.took = r.e.o.Clock.Now().Sub(started)
	w.err = r.e.sourcePace.wait(ctx, rows)
	return w
}

// checkDigests refuses digests of the source that are not of ranges in ascending
// order between two keys: what is compared would not be the whole table. It is an
// errNo, because rows can be compared all the same.
func (r *Run) checkDigests(digests []store.Digest, from, before store.Row) error {
	last := from
	for i, d := range digests {
		bad := len(d.First) != r.Key || d.Rows < 1 || slices.Contains(d.First, nil)
		if !bad && last != nil {
			n := r.Order(last, d.First)
			bad = n > 0 || i > 0 && n == 0
		}
		if bad || before != nil && r.Order(d.First, before) >= 0 {
			return errNo{Digest, fmt.Errorf("source: digests that contradict themselves: %w: digest %d", store.ErrOrder, i+1)}
		}
		last = d.First
	}
	return nil
}

// mirrorWindow has the mirror digest the same ranges.
func (p *part) mirrorWindow(ctx context.Context, w *window) {
	r := p.r
	if w.err != nil {
		return
	}
	started := r.e.o.Clock.Now()
	cuts := cutsOf(w.source)
	q := r.query(r.Mirror, w.from, w.before)
	w.mirror, w.err = r.e.o.Mirror.(store.Digester).DigestAt(ctx, q, cuts)
	if w.err == nil && len(w.mirror) != len(cuts)+1 {
		w.err = errNo{Digest, fmt.Errorf("mirror: digests that contradict themselves: %d came for %d ranges", len(w.mirror), len(cuts)+1)}
		return
	}
	if w.err != nil {
		w.err = store.WrapError(ctx, w.err, "mirror")
		return
	}
	if len(w.source) == 0 {
		w.source = []store.Digest{{}}
	}
	w.took = max(w.took, r.e.o.Clock.Now().Sub(started))
	w.err = r.e.mirrorPace.wait(ctx, digestedRows(w.mirror))
}

// digest compares the rest of the part by digests. While the mirror makes those
// of one window, the source makes those of the next.
func (p *part) digest(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	windows := make(chan window)
	go func() {
		defer close(windows)
		from := p.next
		for {
			var w window
			if err := Guard(func() error {
				w = p.sourceWindow(ctx, from, p.before, p.r.e.o.DigestRows, digestBatch)
				return nil
			}); err != nil {
				w.err = fmt.Errorf("source: %w", err)
			}
			select {
			case windows <- w:
			case <-ctx.Done():
				return
			}
			if w.err != nil || w.last {
				return
			}
			from = w.before
		}
	}()
	defer func() {
		cancel()
		for range windows { // until the goroutine has ended
		}
	}()
	for w := range windows {
		p.mirrorWindow(ctx, &w)
		if errors.Is(w.err, errors.ErrUnsupported) {
			return errNo{Digest, w.err}
		}
		if err := p.compareWindow(ctx, w, true); err != nil {
			return err
		}
		p.r.e.save()
	}
	return ctx.Err()
}

// compareWindow takes over the ranges whose digests are the same. In the others
// it looks closer when drill is true, and compares rows when not, or when most of
// the ranges differ anyway.
//
// When a range turns out to have other rows than its digest counted, one of them
// may be in a later range: one with the key that the range ends before, which the
// source's digests cut apart. So rows are compared until the numbers agree.
func (p *part) compareWindow(ctx context.Context, w window, drill bool) error {
	if w.err != nil {
		return w.err
	}
	same := func(i int) bool {
		s, m := w.source[i], w.mirror[i]
		return s.Rows == m.Rows && s.Sum == m.Sum
	}
	end := func(i int) store.Row {
		if i == len(w.source)-1 {
			return w.before
		}
		return w.source[i+1].First
	}
	differing := 0
	for i := range w.source {
		if !same(i) {
			differing++
		}
	}
	drill = drill && (2*differing <= len(w.source) || len(w.source) == 1)
	piece := max(1, p.r.e.o.DigestRows/digestBatch)
	astray := int64(0) // rows of digests that the ranges did not have, so far
	for i := 0; i < len(w.source); {
		first := i
		i++
		switch {
		case astray == 0 && same(first):
			p.came(w.source[first].First)
			if end(first) == nil {
				p.unread(w.source[first].First, w.source[first].Rows)
			}
			p.take(Findings{SourceRows: w.source[first].Rows, MirrorRows: w.mirror[first].Rows}, end(first))
			p.r.progress(w.source[first].Rows)
		case drill && astray == 0 && w.source[first].Rows > 2*piece:
			closer := p.sourceWindow(ctx, p.next, end(first), piece, 0)
			astray = w.source[first].Rows - digestedRows(closer.source)
			p.mirrorWindow(ctx, &closer)
			if err := p.compareWindow(ctx, closer, false); err != nil {
				return err
			}
		default:
			for !drill && i < len(w.source) && !same(i) {
				i++
			}
			before := p.found.SourceRows
			if err := p.stream(ctx, end(i-1)); err != nil {
				return err
			}
			astray += digestedRows(w.source[first:i]) - (p.found.SourceRows - before)
		}
	}
	return nil
}
