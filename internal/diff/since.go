package diff

import (
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror/store"
)

// Since says which rows may differ from what is known of a table: those of some keys,
// and a range that is looked at whatever is known.
type Since struct {
	// Listings return the keys behind a key, in ascending order, at most n; fewer
	// than n are the last.
	Listings []func(ctx context.Context, after store.Row, n int) ([]store.Row, error)

	// From is where the range begins, nil for the first key, and Rows how many rows
	// of the source it has, 0 for no range.
	From store.Row
	Rows int64
}

// SinceFindings are what was found in those rows. Their numbers of rows are of what
// was read.
type SinceFindings struct {
	Findings
	Keys int64     // that were looked at by themselves
	Rows int64     // of the source, in the range
	Next store.Row // where the range ended, nil for the end of the table

	NoRange string // why the range was not looked at, or ""
}

// maxListed is how many keys of a listing are held.
const maxListed = 16 << 10

// CompareSince compares the rows that s names, in key order.
func (r *Run) CompareSince(ctx context.Context, s Since) (SinceFindings, error) {
	p := r.newPart(nil, nil)
	r.partial = true
	r.begin([]*part{p})
	p.found.Sampled = 1 // how many bytes a row has is known
	var out SinceFindings
	err := p.since(ctx, s, &out)
	out.Findings = r.total()
	return out, err
}

func (p *part) since(ctx context.Context, s Since, out *SinceFindings) error {
	r := p.r
	listed := make([]*listing, len(s.Listings))
	for i, list := range s.Listings {
		listed[i] = &listing{list: list}
	}
	from := s.From
	if s.Rows == 0 {
		return p.listed(ctx, listed, nil, out)
	}
	next, err := r.cutAt(ctx, from, nil, s.Rows)
	if errors.Is(err, errors.ErrUnsupported) {
		out.NoRange = err.Error()
		return p.listed(ctx, listed, nil, out)
	}
	if err != nil {
		return err
	}
	if from != nil {
		if err := p.listed(ctx, listed, from, out); err != nil {
			return err
		}
	}
	before := p.found.SourceRows
	if err := p.stream(ctx, next); err != nil {
		return err
	}
	out.Rows, out.Next = p.found.SourceRows-before, next
	if next == nil {
		return nil
	}
	for _, l := range listed {
		if err := l.skip(ctx, r, next); err != nil {
			return err
		}
	}
	return p.listed(ctx, listed, nil, out)
}

// listed compares the rows of the keys before one, nil for all.
func (p *part) listed(ctx context.Context, lists []*listing, before store.Row, out *SinceFindings) error {
	r := p.r
	for {
		var keys []store.Row
		for len(keys) < maxListed {
			var least store.Row
			for _, l := range lists {
				key, err := l.peek(ctx, r)
				if err != nil {
					return err
				}
				if key != nil && (least == nil || r.Order(key, least) < 0) {
					least = key
				}
			}
			if least == nil || before != nil && r.Order(least, before) >= 0 {
				break
			}
			keys = append(keys, least)
			for _, l := range lists {
				if err := l.skip(ctx, r, least); err != nil {
					return err
				}
				for {
					key, err := l.peek(ctx, r)
					if err != nil {
						return err
					}
					if key == nil || r.Order(key, least) != 0 {
						break
					}
					l.keys = l.keys[1:]
				}
			}
		}
		if len(keys) == 0 {
			p.take(Findings{Columns: make([]int64, len(r.Source.Columns))}, before)
			return nil
		}
		out.Keys += int64(len(keys))
		if err := p.compareSuspects(ctx, store.Suspects{Keys: keys}, keys[len(keys)-1]); err != nil {
			return err
		}
	}
}

// listing is a listing of keys that is read in pages.
type listing struct {
	list  func(ctx context.Context, after store.Row, n int) ([]store.Row, error)
	keys  []store.Row // listed, and not looked at
	last  store.Row
	ended bool
}

// peek returns the next key, nil for none.
func (l *listing) peek(ctx context.Context, r *Run) (store.Row, error) {
	if len(l.keys) == 0 && !l.ended {
		keys, err := l.list(ctx, l.last, maxListed)
		if err != nil {
			return nil, err
		}
		for i, key := range keys {
			n := 1
			if l.last != nil {
				n = r.Order(key, l.last)
			}
			if len(key) != r.Key || n < 0 || n == 0 && i == 0 || i >= maxListed { // or the same page would come forever
				return nil, fmt.Errorf("%w: key %d of the keys that changed", store.ErrOrder, i+1)
			}
			l.last = key
		}
		l.keys, l.ended = keys, len(keys) < maxListed
	}
	if len(l.keys) == 0 {
		return nil, nil
	}
	return l.keys[0], nil
}

// skip leaves out the keys before one.
func (l *listing) skip(ctx context.Context, r *Run, before store.Row) error {
	for {
		key, err := l.peek(ctx, r)
		if err != nil || key == nil || r.Order(key, before) >= 0 {
			return err
		}
		l.keys = l.keys[1:]
	}
}
