package heal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// The errors of waiting, as the Err of a mirror.Error with the tables.
var (
	// ErrLostReset: a cycle that was running while tables were reset wrote its own LSN
	// over the -1, so they were not populated. Reset them again.
	ErrLostReset = errors.New("reset was overwritten by a running cycle")
	// ErrOverdue: no cycle came in the time in which one should have.
	ErrOverdue = errors.New("no cycle came")
)

// WaitOptions configure [Wait]. The zero value of each field is its
// default.
type WaitOptions struct {
	// Tables are the tables to wait for. Default: those of the receipt.
	Tables []string

	// Source is the customer's database. With it the expected numbers of rows
	// are those of the source, and a lost reset is found by Report. Default:
	// the numbers are those of the receipt.
	Source store.Source

	// Report is the comparison that led to the reset: keys that had diverged
	// and still have the same difference prove that a reset was lost.
	// Default: only what Wait sees itself counts.
	Report *mirror.Report

	// Schedule says when cycles begin. Default: what SuperOffice documents.
	Schedule Schedule

	// Poll is the time between two looks at the mirror, each of which counts
	// the rows of the tables that are still waited for. Default: 30 s.
	Poll time.Duration

	// MaxCycles is how many cycles may fail to come, each as late as Schedule
	// allows, before a table is ErrOverdue. Default: 3.
	MaxCycles int

	// ResetAgain is how often a lost reset is repeated. Default: not at all;
	// a lost reset is ErrLostReset.
	ResetAgain int

	// Progress is called after each look. It must not block. Default: no
	// progress.
	Progress func(*WaitReport)
}

// waited is a table that is waited for.
type waited struct {
	WaitTable
	truncated bool  // its rows were deleted with the reset
	named     bool  // by the options alone: no receipt says that it was reset
	first     int64 // rows at the first look, -1 before it
	shrank    bool  // a cycle was seen to wipe it

	filling   time.Time // when the filling was first seen
	fillStart int64     // rows at that time
}

// Wait follows tables that were reset from their LSN of -1, through being wiped
// and filled, until each has a valid LSN again, and returns what became of them.
// Receipt may be nil when opts names the tables: one that nobody reset is
// WaitNotRequested. Cycles may come late, or not at
// night (see Schedule); a connection that is lost between two looks is waited
// for, too.
//
// A cycle that was running while a table was reset can write its own LSN over
// the -1: then the table is not populated, and nothing shows it. Wait tells by
// keys of opts.Report that have the same difference as before, and after a
// truncation by rows that are missing. Such a table is reset again as often as
// ResetAgain says; after that it is an *Error with ErrLostReset. A table that no
// cycle reaches in time is ErrOverdue. A source that Compare would refuse is
// ErrWrongDatabase. The report comes with these errors, and
// with that of a context that is done.
func Wait(ctx context.Context, m *mirror.Mirror, receipt *mirror.Receipt, opts *WaitOptions) (*WaitReport, error) {
	var o WaitOptions
	if opts != nil {
		o = *opts
	}
	doing := "wait for " + m.ContextID()
	o.Poll, o.MaxCycles = cmp.Or(o.Poll, 30*time.Second), cmp.Or(o.MaxCycles, 3)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if receipt != nil {
		if err := m.CheckReceipt(receipt); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
	}
	w := &waiting{m: m, o: o, last: m.Clock().Now(), report: &WaitReport{ContextID: m.ContextID(), Started: m.Clock().Now().UTC()}}
	w.add(receipt)
	if len(w.tables) == 0 {
		return nil, fmt.Errorf("%s: %w: pass the receipt of a reset, or name tables", doing, mirror.ErrNoTables)
	}
	if err := w.m.CheckNames("wait", w.names()); err != nil {
		return nil, err
	}
	if receipt == nil {
		if err := w.known(ctx); err != nil {
			return nil, store.WrapError(ctx, err, doing)
		}
	}
	for {
		err := w.look(ctx)
		w.publish()
		if err != nil && !store.IsTransient(err) {
			return w.report, store.WrapError(ctx, err, doing)
		}
		if verdict := w.verdict(); verdict != nil || w.done() {
			if errors.Is(verdict, ErrOverdue) && err != nil {
				verdict = errors.Join(verdict, err) // perhaps nobody could look
			}
			return w.report, verdict
		}
		if err := m.Clock().Sleep(ctx, o.Poll); err != nil {
			return w.report, err
		}
	}
}

func (o *WaitOptions) check() error {
	if o.Poll < 0 || o.MaxCycles < 0 || o.ResetAgain < 0 {
		return errors.New("options: Poll, MaxCycles and ResetAgain cannot be negative")
	}
	return o.Schedule.check()
}

// waiting is one run of Wait.
type waiting struct {
	m      *mirror.Mirror
	o      WaitOptions
	tables []*waited
	report *WaitReport
	last   time.Time     // when anything was last seen to change
	source []store.Table // the source's catalogue, read once a look; nil before that

	checked bool // the source is not another database than it should be
}

// add puts the tables together.
func (w *waiting) add(receipt *mirror.Receipt) {
	wanted := map[string]bool{}
	for _, name := range w.o.Tables {
		wanted[store.FoldName(name)] = true
	}
	if receipt != nil {
		for _, rt := range receipt.Tables {
			if len(rt.Actions) == 0 || w.o.Tables != nil && !wanted[store.FoldName(rt.Table)] {
				continue
			}
			delete(wanted, store.FoldName(rt.Table))
			w.tables = append(w.tables, &waited{
				WaitTable: WaitTable{Table: rt.Table, State: WaitRequested, Expected: rt.Rows}, first: -1,
				truncated: slices.Contains(rt.Actions, mirror.ActionTruncate) || slices.Contains(rt.Actions, mirror.ActionDrop),
			})
		}
	}
	for _, name := range w.o.Tables {
		if wanted[store.FoldName(name)] {
			delete(wanted, store.FoldName(name))
			w.tables = append(w.tables, &waited{WaitTable: WaitTable{Table: name, State: WaitRequested}, named: true, first: -1})
		}
	}
}

func (w *waiting) names() []string {
	names := make([]string, len(w.tables))
	for i, t := range w.tables {
		names[i] = t.Table
	}
	return names
}

// publish tells how far the tables have come.
func (w *waiting) publish() {
	now := w.m.Clock().Now()
	r := *w.report
	r.Time, r.Next, r.Tables = now.UTC(), w.o.Schedule.NextCycle(w.last).UTC(), nil
	for _, t := range w.tables {
		r.Tables = append(r.Tables, t.WaitTable)
	}
	w.report = &r
	if w.o.Progress != nil {
		w.o.Progress(w.report)
	}
}

func (w *waiting) done() bool {
	return !slices.ContainsFunc(w.tables, func(t *waited) bool { return t.State == WaitRequested || t.State == WaitFilling })
}

// verdict returns an error when waiting longer is of no use.
func (w *waiting) verdict() error {
	overdue := &mirror.Error{Op: "wait", ContextID: w.m.ContextID(), Err: ErrOverdue}
	lost := &mirror.Error{Op: "wait", ContextID: w.m.ContextID(), Err: ErrLostReset}
	for _, t := range w.tables {
		switch t.State {
		case WaitLost:
			lost.Tables = append(lost.Tables, mirror.TableError{Table: t.Table, Reason: t.Proof})
		case WaitRequested, WaitFilling:
			limit := w.last
			for n := 0; n < w.o.MaxCycles && !limit.After(w.m.Clock().Now()); n++ {
				limit = w.o.Schedule.overdue(limit)
			}
			if !w.m.Clock().Now().Before(limit) {
				overdue.Tables = append(overdue.Tables, mirror.TableError{Table: t.Table,
					Reason: "is still " + string(t.State) + ", and nothing moved for " + text.Duration(w.m.Clock().Now().Sub(w.last)) + ": is the Mirroring Task running?"})
			}
		}
	}
	switch {
	case len(overdue.Tables) > 0:
		return overdue
	case len(lost.Tables) > 0 && w.done():
		return lost
	default:
		return nil
	}
}

// look reads the LSNs, and counts the rows of tables that are waited for.
func (w *waiting) look(ctx context.Context) error {
	w.source = nil
	var names []string
	var open []*waited
	for _, t := range w.tables {
		if t.State == WaitRequested || t.State == WaitFilling {
			names, open = append(names, t.Table), append(open, t)
		}
	}
	status, failed := w.m.StatusOf(ctx, names)
	if status == nil {
		return failed
	}
	progress := false
	for _, t := range open {
		i := slices.IndexFunc(status.Tables, func(ts mirror.TableStatus) bool { return ts.Table == t.Table })
		if i < 0 {
			continue // it could not be counted, and the others can be looked at all the same
		}
		before := t.WaitTable
		first := t.first < 0
		if err := w.lookAt(ctx, t, status.Tables[i]); err != nil {
			err = fmt.Errorf("%s: %w", text.Name(t.Table), err)
			if !store.IsTransient(err) {
				return err
			}
			if failed == nil {
				failed = err
			}
		}
		progress = progress || !first && (t.State != before.State || t.Rows != before.Rows)
	}
	if progress { // a cycle is running: it comes to one table after the other
		w.last = w.m.Clock().Now()
	}
	return failed
}

// known refuses tables that the source does not have: no cycle brings them.
func (w *waiting) known(ctx context.Context) error {
	if w.o.Source == nil {
		return nil
	}
	refused := &mirror.Error{Op: "wait", ContextID: w.m.ContextID(), Err: store.ErrTableNotFound}
	for _, t := range w.tables {
		_, ok, err := w.sourceTable(ctx, t.Table)
		if err != nil {
			return err
		}
		if !ok {
			refused.Tables = append(refused.Tables, mirror.TableError{Table: t.Table, Reason: "is not at the source: no cycle will bring it"})
		}
	}
	if len(refused.Tables) > 0 {
		return refused
	}
	return nil
}

// sourceTables reads the source's catalogue. That it is a source that Compare
// would take is checked once.
func (w *waiting) sourceTables(ctx context.Context) ([]store.Table, error) {
	if !w.checked {
		tables, err := w.m.CheckSource(ctx, w.o.Source, w.o.Report)
		w.checked = err == nil
		return tables, err
	}
	tables, err := w.o.Source.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	return tables, nil
}

// sourceTable finds a table of the mirror at the source, whatever its schema.
func (w *waiting) sourceTable(ctx context.Context, name string) (store.Table, bool, error) {
	if w.source == nil {
		tables, err := w.sourceTables(ctx)
		if err != nil {
			return store.Table{}, false, err
		}
		w.source = tables
	}
	var prefixes []string
	if w.o.Report != nil {
		prefixes = w.o.Report.SchemaPrefixes
	}
	folded := store.FoldName(store.TrimPrefix(name, prefixes))
	for _, t := range w.source {
		if store.FoldName(store.TrimPrefix(t.Name, prefixes)) == folded || store.FoldName(t.String()) == store.FoldName(name) {
			return t, true, nil
		}
	}
	return store.Table{}, false, nil
}

func (w *waiting) lookAt(ctx context.Context, t *waited, now mirror.TableStatus) error {
	rows, first := now.Rows, t.first < 0
	if err := w.expect(ctx, t); err != nil {
		return err
	}
	if first {
		t.first = rows
	} else if rows != t.Rows {
		t.shrank = t.shrank || 2*rows < t.first // changes delete rows, too
		if t.State == WaitRequested {
			t.State, t.filling, t.fillStart = WaitFilling, w.m.Clock().Now(), rows
		}
	}
	t.Rows, t.LSN = rows, now.LSN
	if elapsed := w.m.Clock().Now().Sub(t.filling); t.State == WaitFilling && rows > t.fillStart && t.Expected > rows {
		t.Remaining = time.Duration(float64(elapsed) * float64(t.Expected-rows) / float64(rows-t.fillStart))
	}
	if now.State == mirror.TableAbsent || t.LSN == nil || *t.LSN < 0 {
		return nil
	}
	t.Remaining = 0
	if err := w.settle(ctx, t); err != nil {
		return err
	}
	if first && t.named && t.Resets == 0 && t.State == WaitPopulated && t.Proof == "" {
		t.State = WaitNotRequested
	}
	if t.State != WaitLost || t.Resets >= w.o.ResetAgain {
		return nil
	}
	receipt, err := w.m.ResetTables(ctx, []string{t.Table}, &mirror.ResetOptions{Truncate: t.truncated})
	if receipt != nil {
		w.report.Receipts = append(w.report.Receipts, receipt)
	}
	if err != nil {
		t.State = WaitRequested // it will be seen to be lost again
		return err
	}
	t.State, t.first, t.shrank, t.Proof = WaitRequested, -1, false, ""
	t.Resets++
	return nil
}

// expect counts the rows of the source, once.
func (w *waiting) expect(ctx context.Context, t *waited) error {
	if w.o.Source == nil || t.first >= 0 {
		return nil
	}
	_, err := w.count(ctx, t)
	return err
}

// count counts the rows of the source, and reports whether it has the table.
func (w *waiting) count(ctx context.Context, t *waited) (bool, error) {
	if w.o.Source == nil {
		return false, nil
	}
	def, ok, err := w.sourceTable(ctx, t.Table)
	if err != nil || !ok {
		return false, err
	}
	if t.Expected, err = w.o.Source.Count(ctx, def); err != nil {
		return false, fmt.Errorf("source: %w", err)
	}
	return true, nil
}

// settle decides whether a table with a valid LSN was populated.
func (w *waiting) settle(ctx context.Context, t *waited) error {
	t.State, t.Proof = WaitPopulated, ""
	if t.shrank {
		t.Proof = "it was seen being wiped"
		return nil
	}
	checked, same := 0, 0
	if w.o.Source != nil && w.o.Report != nil {
		var err error
		if checked, same, err = w.m.Unchanged(ctx, w.o.Source, w.o.Report, t.Table, witnesses); err != nil {
			t.State = WaitRequested
			return err
		}
	}
	switch {
	case same > 0:
		t.State, t.Proof = WaitLost, fmt.Sprintf("%d of %s that differed as before", same, text.Rows(int64(checked)))
		return nil
	case checked > 0:
		t.Proof = "a sample was read again: none of " + text.Rows(int64(checked)) + " that differed is as it was"
		if checked == 1 {
			t.Proof = "a row that differed was read again, and is not as it was"
		}
		return nil
	case !t.truncated:
		return nil
	}
	counted, err := w.count(ctx, t) // the source may have lost rows since
	switch {
	case err != nil:
		t.State = WaitRequested
		return err
	case 2*t.Rows < t.Expected:
		t.State, t.Proof = WaitLost, fmt.Sprintf("it was emptied and has %s of %s", text.Rows(t.Rows), text.Count(t.Expected))
	case t.Expected > 0 && t.Rows == t.Expected && (counted || w.o.Source == nil):
		t.Proof = "it was emptied and is full again"
	}
	return nil
}

// witnesses is how many keys that have diverged are read again, at most.
const witnesses = 20
