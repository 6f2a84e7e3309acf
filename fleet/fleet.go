// Package fleet looks at the mirrors of many customers, a few at a time. It uses the
// exported API of package mirror alone.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Fleet is the mirrors of many customers. It is looked at a few at a time, and
// one that fails does not touch the others. It is safe for concurrent use.
type Fleet struct {
	// Members are the customers, each once.
	Members []Member

	// Concurrency is how many members are open at the same time. Each
	// comparison takes up to Tuning.Concurrency connections to either
	// side, so their product bounds the connections. Default: 4.
	Concurrency int

	// Timeout bounds the time that one member takes. Default: no limit.
	Timeout time.Duration
}

// Member is one customer of a [Fleet].
type Member struct {
	// ContextID is the customer's context identifier.
	ContextID string

	// Open connects to the member's databases when it is its turn.
	Open func(ctx context.Context) (*Connection, error)
}

// Connection is what a [Member] opened.
type Connection struct {
	// Mirror is the member's mirror, of the same ContextID.
	Mirror *mirror.Mirror

	// Source is what Compare compares it with. Status needs none.
	Source store.Source

	// Compare configures the comparison of this member, in place of the options of
	// [Fleet.Compare]. Default: those.
	Compare *mirror.CompareOptions

	// Close is called when the member's turn is over. Default: nothing to do.
	Close func() error
}

// Result is what was found out about one member.
type Result struct {
	ContextID string

	// Status is that of Fleet.Status, Report that of Fleet.Compare with the
	// Plan that it needs. They are nil where Err says why.
	Status *mirror.Status
	Report *mirror.Report
	Plan   *mirror.Plan

	// Err is why the member failed, or the error of Status.Err or Report.Err,
	// with which the Status or the Report comes along. Its text names the member.
	Err error

	Elapsed time.Duration
}

// Status reads the status of every member. Results come as they are ready, not
// in the order of Members. When the loop over them ends early, or ctx is done,
// the members that are being looked at are stopped and waited for.
func (f *Fleet) Status(ctx context.Context) iter.Seq[Result] {
	return f.each(ctx, func(ctx context.Context, c *Connection, r *Result) (err error) {
		if r.Status, err = c.Mirror.Status(ctx); err == nil {
			err = r.Status.Err()
		}
		return err
	})
}

// Compare compares every member's mirror with its source, and plans what it
// needs. For the order of results see [Fleet.Status].
func (f *Fleet) Compare(ctx context.Context, opts *mirror.CompareOptions) iter.Seq[Result] {
	return f.each(ctx, func(ctx context.Context, c *Connection, r *Result) (err error) {
		if c.Source == nil {
			return errors.New("the member has no source to compare with")
		}
		r.Report, err = c.Mirror.Compare(ctx, c.Source, cmp.Or(c.Compare, opts))
		if r.Report != nil && err == nil {
			r.Plan = r.Report.Plan()
			err = r.Report.Err()
		}
		return err
	})
}

const defaultFleetConcurrency = 4

// each runs do for every member and hands the results over in one goroutine.
func (f *Fleet) each(ctx context.Context, do func(context.Context, *Connection, *Result) error) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		concurrency := f.Concurrency
		if concurrency <= 0 {
			concurrency = defaultFleetConcurrency
		}
		members := make(chan Member)
		results := make(chan Result)
		var workers sync.WaitGroup
		for range min(concurrency, len(f.Members)) {
			workers.Go(func() {
				for m := range members {
					results <- f.one(ctx, m, do)
				}
			})
		}
		go func() {
			defer close(results)
			seen := map[string]bool{}
			for _, m := range f.Members {
				if folded := store.FoldName(m.ContextID); seen[folded] {
					results <- Result{ContextID: m.ContextID, Err: naming(m.ContextID, errors.New("it is a member twice"))}
					continue
				} else {
					seen[folded] = true
				}
				members <- m
			}
			close(members)
			workers.Wait()
		}()
		defer func() {
			cancel()
			for range results { // until all have stopped
			}
		}()
		for r := range results {
			if !yield(r) {
				return
			}
		}
	}
}

// one opens a member, runs do, and closes it again.
func (f *Fleet) one(ctx context.Context, m Member, do func(context.Context, *Connection, *Result) error) (r Result) {
	started := time.Now()
	r.ContextID = m.ContextID
	defer func() {
		// A driver that panics fails its member, not the whole fleet.
		if v := recover(); v != nil {
			r.Err = fmt.Errorf("panic: %v", v)
		}
		r.Err = naming(m.ContextID, r.Err)
		r.Elapsed = time.Since(started)
	}()
	if r.Err = ctx.Err(); r.Err != nil {
		return r
	}
	if m.Open == nil {
		r.Err = errors.New("the member has no Open")
		return r
	}
	if f.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.Timeout)
		defer cancel()
	}
	c, err := m.Open(ctx)
	if err != nil {
		if r.Err = ctx.Err(); r.Err == nil || !errors.Is(err, r.Err) {
			r.Err = fmt.Errorf("open: %w", err)
		}
		return r
	}
	if c == nil {
		r.Err = errors.New("open: it returned no connection")
		return r
	}
	defer func() {
		if c.Close == nil {
			return
		}
		if err := c.Close(); err != nil && r.Err != nil {
			r.Err = fmt.Errorf("%w; close: %w", r.Err, err)
		} else if err != nil {
			r.Err = fmt.Errorf("close: %w", err)
		}
	}()
	if c.Mirror == nil {
		r.Err = errors.New("open: it returned no mirror")
		return r
	}
	if c.Mirror.ContextID() != m.ContextID {
		r.Err = fmt.Errorf("open: it returned the mirror of %q", text.Name(c.Mirror.ContextID()))
		return r
	}
	r.Err = do(ctx, c, &r)
	return r
}

// naming returns err with the member before it, unless its text names the member
// already.
func naming(contextID string, err error) error {
	if err == nil {
		return nil
	}
	words := strings.FieldsFunc(err.Error(), func(r rune) bool { return strings.ContainsRune(" :;,\"'\n", r) })
	if slices.Contains(words, contextID) {
		return err
	}
	return fmt.Errorf("%s: %w", text.Name(contextID), err)
}

// Summary counts the results of a fleet. Its zero value is ready to use.
type Summary struct {
	// Members were looked at: Failed of them failed, Repairable need a reset.
	// A failed one can be repairable, too.
	Members    int `json:"members"`
	Failed     int `json:"failed"`
	Repairable int `json:"repairable"`

	// Tables counts the tables of all members by their verdicts.
	Tables map[mirror.Verdict]int `json:"tables,omitempty"`

	// Attention has a line for each member that failed or needs a reset.
	Attention []string `json:"attention,omitempty"`
}

// Add counts a result.
func (s *Summary) Add(r Result) {
	s.Members++
	var notes []string
	if r.Err != nil {
		s.Failed++
		notes = append(notes, strings.TrimPrefix(r.Err.Error(), text.Name(r.ContextID)+": "))
	}
	if r.Report != nil {
		if s.Tables == nil {
			s.Tables = map[mirror.Verdict]int{}
		}
		for _, t := range r.Report.Tables {
			s.Tables[t.Verdict]++
		}
	}
	if r.Report != nil && r.Report.State == mirror.MirrorAwaitingFirstCycle && r.Report.Mistakes == nil {
		notes = append(append(notes, "there is no metadata table"), r.Report.Warnings...)
	}
	if r.Plan != nil && !r.Plan.Empty() {
		s.Repairable++
		var tables []string
		for _, t := range r.Plan.Tables {
			if t.Step.Acts() {
				tables = append(tables, t.Table)
			}
		}
		notes = append(notes, "to reset: "+strings.Join(tables, ", "))
	}
	if r.Plan != nil && r.Plan.Has(mirror.StepUnknown) {
		var tables []string
		for _, t := range r.Plan.Tables {
			if t.Step == mirror.StepUnknown {
				tables = append(tables, t.Table)
			}
		}
		notes = append(notes, "not known yet: "+strings.Join(tables, ", "))
	}
	if notes != nil {
		s.Attention = append(s.Attention, r.ContextID+": "+strings.Join(notes, "; "))
	}
}

// String returns the text that WriteText writes.
func (s *Summary) String() string { return text.Of(s) }

// WriteJSON writes the summary as indented JSON.
func (s *Summary) WriteJSON(w io.Writer) error { return text.WriteJSON(w, s) }

// WriteText writes the summary for people.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Members: %d, failed: %d, to reset: %d\n", s.Members, s.Failed, s.Repairable)
	if len(s.Tables) > 0 {
		fmt.Fprintf(&b, "Tables: %s\n", mirror.SummarizeVerdicts(s.Tables))
	}
	for _, line := range s.Attention {
		fmt.Fprintf(&b, "  %s\n", text.Printable(line))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
