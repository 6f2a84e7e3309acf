package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// ErrOverdue is why [Watch] gave up, as the Err of a mirror.Error with the tables:
// the client did not begin to re-synchronize them, or did not go on.
var ErrOverdue = errors.New("the re-synchronization did not come to its end")

// WatchOptions configure [Watch]. The zero value of each field is its default.
type WatchOptions struct {
	// Check are the options of the check at the end. Its Tables are those that are
	// watched, its Clock is also that of the watch. Default: those of Check.
	Check *Options

	// Poll is the time between two looks, each of which counts the rows of the
	// tables. Default: 10 s.
	Poll time.Duration

	// Stall is how long no table may come any further, and Limit how long all of it
	// may take before the check. Default: 30 minutes and 12 hours.
	Stall, Limit time.Duration

	// Progress is called after each look. It must not block. Default: no progress.
	Progress func(*WatchReport)
}

const (
	defaultPoll  = 10 * time.Second
	defaultStall = 30 * time.Minute
	defaultLimit = 12 * time.Hour

	// retryEqual is the longest time between two comparisons of a table that is not
	// seen to be re-synchronized.
	retryEqual = 10 * time.Minute
)

func (o *WatchOptions) fill() error {
	if o.Poll < 0 || o.Stall < 0 || o.Limit < 0 {
		return errors.New("Poll, Stall and Limit cannot be negative: leave them 0 for their defaults")
	}
	o.Poll, o.Stall, o.Limit = cmp.Or(o.Poll, defaultPoll), cmp.Or(o.Stall, defaultStall), cmp.Or(o.Limit, defaultLimit)
	return nil
}

// Watch looks on while the client re-synchronizes the tables of r, until each is
// full, and checks these tables then: the Check of the report says whether they are
// equal, or what is still wrong. Call it when [Request.Resync] returned, or when the
// client's command did.
//
// A table counts as re-synchronized when it was seen empty, or with less than half
// of its rows, and has those of the reference again. One that was seen neither way
// has to be equal to the reference: a client that was done between two looks cannot
// be told from one that did not begin, but by that. What was full and is emptied
// again is waited for again.
//
// Lost connections are waited out. Tables that are not full in the time that opts
// allow are ErrOverdue, unless the check, which leaves out those that are empty or
// fill, finds them equal. That rows are still wrong is no error: see
// [WatchReport.Equal]. The report comes with every error but those about the
// options, the databases and the names, which are the errors of [Check].
func Watch(ctx context.Context, reference, replica store.Source, r *Resync, opts *WatchOptions) (*WatchReport, error) {
	w := &watching{reference: reference, replica: replica}
	if opts != nil {
		w.o = *opts
	}
	if err := w.o.fill(); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if r == nil || len(r.Tables) == 0 {
		return nil, fmt.Errorf("watch: %w: pass what was requested", mirror.ErrNoTables)
	}
	if w.o.Check != nil {
		w.check = *w.o.Check
	}
	w.check.Tables = nil
	if w.clock = w.check.Clock; w.clock == nil {
		w.clock = diff.SystemClock{}
	}
	for _, name := range r.Tables {
		bare := store.TrimPrefix(name, []string{superoffice.ReplicaSchema + "."})
		if !slices.Contains(w.check.Tables, bare) {
			w.check.Tables = append(w.check.Tables, bare)
			w.tables = append(w.tables, &watched{WatchTable: WatchTable{Table: bare, State: WatchRequested}})
		}
	}
	return w.run(ctx)
}

// watching is one run of Watch.
type watching struct {
	o                  WatchOptions
	check              Options // of the check at the end
	clock              mirror.Clock
	reference, replica store.Source
	matched            bool // the tables have their pairs
	tables             []*watched
	report             *WatchReport
	moved              time.Time // when a table last came further
}

// watched is a table that is watched.
type watched struct {
	WatchTable
	pair match.Pair

	looked bool  // its rows were counted
	peak   int64 // the most rows since it was last emptied

	filling   time.Time // since when it fills
	fillStart int64     // rows at that time

	same  time.Time // since when the number of rows is what it is
	tries time.Duration
	next  time.Time // when it is compared again
}

func (w *watching) now() time.Time { return w.clock.Now().UTC() }

func (w *watching) run(ctx context.Context) (*WatchReport, error) {
	w.moved = w.now()
	w.report = &WatchReport{Started: w.moved}
	var lost error // why nobody could look
	for {
		err := w.look(ctx)
		switch {
		case err == nil:
			lost = nil
		case ctx.Err() != nil || !store.IsTransient(err):
			if !w.matched && ctx.Err() == nil {
				return nil, err // the options, the databases or the names are wrong
			}
			w.publish()
			return w.report, store.WrapError(ctx, err, "watch")
		default:
			lost = err
		}
		w.publish()
		if err == nil && !slices.ContainsFunc(w.tables, func(t *watched) bool { return t.State != WatchFull }) {
			if err = w.finish(ctx, w.tables); err == nil || !store.IsTransient(err) {
				return w.report, store.WrapError(ctx, err, "watch")
			}
			lost = err
		}
		if w.overdue() {
			return w.report, w.giveUp(ctx, lost)
		}
		if err := w.clock.Sleep(ctx, w.o.Poll); err != nil {
			return w.report, err
		}
	}
}

// match finds the tables of both sides, as Check does.
func (w *watching) match(ctx context.Context) error {
	c, err := newCheck(ctx, w.reference, w.replica, &w.check)
	if err != nil {
		return err
	}
	defer c.close()
	w.report.ContextID = c.report.ContextID
	for _, t := range w.tables {
		i := slices.IndexFunc(c.tables, func(of *table) bool {
			for _, name := range []string{of.report.Table, of.pair.Name, of.report.ReferenceName, of.report.ReplicaName} {
				if name != "" && store.FoldName(name) == store.FoldName(t.Table) {
					return true
				}
			}
			return false
		})
		if i < 0 {
			return fmt.Errorf("watch %s: %w: %s", text.Name(t.Table), store.ErrTableNotFound, "it is more than one table, or of the replicating itself")
		}
		if of := c.tables[i].report; of.Verdict == Excluded {
			return fmt.Errorf("watch %s: it is not checked: %s", text.Name(t.Table), of.Reason)
		} else {
			t.pair, t.Table = c.tables[i].pair, of.Table
		}
	}
	w.matched = true
	return nil
}

// look counts the rows of all tables.
func (w *watching) look(ctx context.Context) error {
	again := w.matched && slices.ContainsFunc(w.tables, func(t *watched) bool { return t.pair.Mirror == nil })
	if !w.matched || again {
		if err := w.match(ctx); err != nil {
			return err
		}
	}
	var failed error
	for _, t := range w.tables {
		err := w.lookAt(ctx, t)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrTableNotFound):
			t.pair.Mirror = nil // it is dropped and created anew: the catalogue is read again
		case err != nil && !store.IsTransient(err):
			return fmt.Errorf("%s: %w", text.Name(t.Table), err)
		case err != nil && failed == nil:
			failed = fmt.Errorf("%s: %w", text.Name(t.Table), err)
		}
	}
	return failed
}

// lookAt counts the rows of a table and says how far it has come.
func (w *watching) lookAt(ctx context.Context, t *watched) error {
	if t.pair.Mirror == nil {
		return nil
	}
	rows, err := w.replica.Count(ctx, *t.pair.Mirror)
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if !t.looked || rows >= t.Expected || rows == t.Rows {
		if err := w.expect(ctx, t); err != nil {
			return err
		}
	}
	now := w.now()
	if !t.looked || rows != t.Rows {
		t.same = now
	}
	t.looked, t.Rows, t.Remaining = true, rows, 0
	peak := t.peak
	t.peak = max(peak, rows)
	switch {
	case rows == 0:
		if t.Expected > 0 || now.Sub(t.same) < w.interval() {
			w.empties(t, WatchEmpty, "it was seen empty")
		} else {
			t.State = WatchFull // there is nothing to send
		}
		return nil
	case 2*rows < peak: // by less than that changes shrink it
		w.empties(t, WatchFilling, "it was seen with much fewer rows")
	case t.State == WatchRequested:
		return w.compare(ctx, t)
	case rows > peak:
		w.moved = now
	}
	switch {
	case t.State == WatchFull:
		return nil
	case rows >= t.Expected || nearly(rows, t.Expected) && now.Sub(t.same) >= intervals*w.interval():
		t.State = WatchFull
		return nil
	}
	t.State = WatchFilling
	if sent := rows - t.fillStart; sent > 0 && now.After(t.filling) {
		t.Remaining = time.Duration(float64(now.Sub(t.filling)) * float64(t.Expected-rows) / float64(sent))
	}
	return nil
}

// nearly reports whether a table may have all of its rows, although the reference
// has more: both sides move, and an old mirror keeps what it failed to delete.
func nearly(rows, expected int64) bool { return rows >= expected-expected/100 }

// empties notes that a table was emptied, by what was seen.
func (w *watching) empties(t *watched, s WatchState, proof string) {
	if t.State == WatchEmpty && s == WatchEmpty {
		return // it was before
	}
	t.State, t.Proof, t.peak = s, proof, t.Rows
	t.filling, t.fillStart, w.moved = w.now(), t.Rows, w.now()
}

// expect counts the rows of the reference.
func (w *watching) expect(ctx context.Context, t *watched) (err error) {
	if t.pair.Source == nil {
		return nil
	}
	if t.Expected, err = w.reference.Count(ctx, *t.pair.Source); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	return nil
}

func (w *watching) interval() time.Duration { return cmp.Or(w.check.Interval, defaultInterval) }

// compare compares a table that was not seen to be re-synchronized and has about the
// rows of the reference, ever more seldom.
func (w *watching) compare(ctx context.Context, t *watched) error {
	if now := w.now(); now.Before(t.next) || !nearly(t.Rows, t.Expected) {
		return nil
	}
	o := w.check
	o.Tables, o.MaxWait, o.Progress = []string{t.Table}, -1, nil
	report, err := Check(ctx, w.reference, w.replica, &o)
	if err != nil {
		return err
	}
	t.tries = min(max(2*t.tries, w.o.Poll), retryEqual)
	t.next = w.now().Add(t.tries)
	if tr := report.Table(t.Table); tr != nil && tr.Verdict == Equal {
		t.State, t.Proof = WatchFull, "its rows are those of the reference"
	}
	return nil
}

// finish checks tables that are full.
func (w *watching) finish(ctx context.Context, tables []*watched) error {
	o := w.check
	o.Tables = nil
	for _, t := range tables {
		o.Tables = append(o.Tables, t.Table)
	}
	report, err := Check(ctx, w.reference, w.replica, &o)
	w.report.Check = report
	if report != nil {
		for _, t := range tables {
			tr := report.Table(t.Table)
			if tr == nil {
				continue
			}
			t.Verdict, t.Reason = tr.Verdict, tr.Reason
			t.Rows, t.Expected = tr.ReplicaRows, tr.ReferenceRows
			if tr.Verdict == Equal || tr.Verdict == EqualAfterLag {
				t.State = WatchEqual
			}
		}
	}
	w.publish()
	return err
}

// overdue reports whether waiting longer is of no use.
func (w *watching) overdue() bool {
	return w.now().Sub(w.moved) >= w.o.Stall || w.now().Sub(w.report.Started) >= w.o.Limit
}

// giveUp checks the tables that may be good all the same, and says what the others
// lack. Lost is why nobody could look.
func (w *watching) giveUp(ctx context.Context, lost error) error {
	stalled := w.now().Sub(w.moved)
	var perhaps []*watched
	for _, t := range w.tables {
		if t.looked && t.pair.Mirror != nil && (t.State == WatchFull || t.State == WatchRequested) {
			perhaps = append(perhaps, t)
		}
	}
	if lost == nil && len(perhaps) > 0 {
		lost = w.finish(ctx, perhaps)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	err := &mirror.Error{Op: "watch", ContextID: w.report.ContextID, Err: ErrOverdue}
	for _, t := range w.tables {
		reason := fmt.Sprintf("is still %s with %s of %s", t.State, text.Rows(t.Rows), text.Count(t.Expected))
		switch {
		case t.State == WatchEqual, t.State == WatchFull && t.Verdict != "":
			continue
		case !t.looked:
			reason = "could not be looked at"
			if t.pair.Source != nil && t.pair.Mirror == nil {
				reason = "is not in the replica"
			}
		case t.State == WatchRequested:
			reason = "was not seen to be emptied, and is not equal: did the client get the request?"
		}
		if stalled >= w.o.Stall {
			reason += "; nothing moved for " + text.Duration(stalled) + ": is the client running?"
		}
		err.Tables = append(err.Tables, mirror.TableError{Table: t.Table, Reason: reason})
	}
	switch {
	case len(err.Tables) == 0:
		return store.WrapError(ctx, lost, "watch")
	case lost != nil:
		return errors.Join(err, lost)
	default:
		return err
	}
}

// publish tells how far the tables have come.
func (w *watching) publish() {
	r := *w.report
	r.Time, r.Tables = w.now(), nil
	for _, t := range w.tables {
		r.Tables = append(r.Tables, t.WatchTable)
	}
	slices.SortFunc(r.Tables, func(a, b WatchTable) int { return strings.Compare(store.FoldName(a.Table), store.FoldName(b.Table)) })
	w.report = &r
	if w.o.Progress != nil {
		w.o.Progress(w.report)
	}
}
