package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/store"
)

// errFollowed: a newer job waits for what this one waited for.
var errFollowed = errors.New("what it waited for is waited for together with what was reset since")

// follow has somebody wait for what a change has reset. A mirror has one job that waits: the
// newer one takes over what the one before it has not seen populated.
func (s *jobs) follow(ctx context.Context, j job) {
	ctx = context.WithoutCancel(ctx)
	if j.Kind != kindChange || j.Status != statusDone || j.Request.Change.Operation == opUndo || j.Summary.Undone > 0 || s.c.members[j.Member] == nil {
		return
	}
	receipt, err := s.c.receipt(ctx, j)
	if err != nil || !resets(receipt) {
		return
	}
	next := job{Member: j.Member, Kind: kindWaiting, Actor: j.Actor, Request: request{Of: j.ID}}
	if l := s.c.members[j.Member].busy(kindWaiting); l != nil {
		was, at := l.now()
		if slices.Contains(was.Request.changes(), j.ID) {
			return
		}
		if isWaiting(at.Wait) {
			next.Request.Also, next.Request.Tables = was.Request.changes(), was.Request.Tables
		}
		l.cancel(errFollowed)
		<-l.done
	}
	_, err = s.start(ctx, next)
	if errors.Is(err, errClosing) { // the next process waits
		next.Status, next.Asked = statusQueued, s.c.now()
		err = s.c.state.add(ctx, &next)
	}
	if err != nil && !errors.As(err, &errBusy{}) {
		s.c.log.Warn("nobody waits for what was reset", "mirror", j.Member, "job", j.ID, "error", err)
	}
}

// resets reports whether there is something to wait for after a change.
func resets(r *mirror.Receipt) bool {
	return r != nil && (r.Metadata != nil || len(acted(r)) > 0)
}

// acted are the tables of a receipt to which something was done.
func acted(r *mirror.Receipt) (all []mirror.ReceiptTable) {
	for _, t := range r.Tables {
		if len(t.Actions) > 0 {
			all = append(all, t)
		}
	}
	return all
}

func tableName(t mirror.ReceiptTable) string { return t.Table }

// isWaiting reports whether a table is still waited for, as far as it is known.
func isWaiting(r *heal.WaitReport) bool {
	return r == nil || slices.ContainsFunc(r.Tables, func(t heal.WaitTable) bool { return t.State == heal.WaitRequested || t.State == heal.WaitFilling })
}

// changes are those that a job waits for, the newest first.
func (r request) changes() (all []int64) {
	if r.Of > 0 {
		all = append(all, r.Of)
	}
	return append(all, r.Also...)
}

// letGo stops waiting for a change that was taken back.
func (s *jobs) letGo(member string, change int64) {
	l := s.c.members[member].busy(kindWaiting)
	if l == nil {
		return
	}
	was, _ := l.now()
	if !slices.Contains(was.Request.changes(), change) {
		return
	}
	l.cancel(errStopped)
	<-l.done
	left := slices.DeleteFunc(was.Request.changes(), func(id int64) bool { return id == change })
	next := job{Member: member, Kind: kindWaiting, Actor: was.Actor, Request: request{Tables: was.Request.Tables}}
	switch {
	case len(left) > 0:
		next.Request.Of, next.Request.Also = left[0], left[1:]
	case len(was.Request.Tables) == 0:
		return
	}
	if _, err := s.start(context.Background(), next); err != nil {
		s.c.log.Warn("nobody waits for what was reset", "mirror", member, "error", err)
	}
}

// awaited is one receipt that a job waits for, or tables that no receipt tells of.
type awaited struct {
	receipt *mirror.Receipt
	report  *mirror.Report
	tables  []string
}

// awaited returns what a job waits for, each table once: as the newest change left it.
func (s *jobs) awaited(ctx context.Context, j job) ([]awaited, error) {
	var all []awaited
	seen := map[string]bool{}
	fresh := func(names []string) (tables []string) {
		for _, name := range names {
			if !seen[store.FoldName(name)] {
				seen[store.FoldName(name)] = true
				tables = append(tables, name)
			}
		}
		return tables
	}
	for _, id := range j.Request.changes() {
		of, err := s.c.state.job(ctx, id)
		if err == nil && of.Summary.Undone > 0 {
			continue
		}
		receipt, err := s.c.receipt(ctx, job{ID: id})
		if errors.Is(err, errNotFound) || errors.Is(err, errNoDocument) { // it was cleaned up
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read receipt: %w", err)
		}
		a := awaited{receipt: receipt, tables: fresh(each(acted(receipt), tableName))}
		if len(a.tables) == 0 {
			continue
		}
		if a.report, err = s.reportOf(ctx, id); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if tables := fresh(j.Request.Tables); len(tables) > 0 {
		all = append(all, awaited{tables: tables})
	}
	return all, nil
}

// wait follows tables that were reset until a cycle has populated them.
func (s *jobs) wait(ctx context.Context, l *live) (end ending, err error) {
	defer func() {
		if errors.Is(context.Cause(ctx), errFollowed) { // also while its mirror is being opened
			end.status, err = statusStopped, errFollowed
		}
	}()
	j, _ := l.now()
	all, err := s.awaited(ctx, j)
	if err != nil {
		return ending{}, err
	}
	if len(all) == 0 {
		return ending{}, fmt.Errorf("wait: %w: nothing that was reset is waited for", mirror.ErrNoTables)
	}
	m := s.c.members[j.Member]
	s.look(ctx, m) // so that pages say at once that the tables wait, and at last that they do no longer
	defer s.look(ctx, m)
	poll := cmp.Or(s.c.opts.poll, waitPoll)
	for until := s.c.now().Add(waitToOpen); ; {
		opened := false
		end, err := s.with(ctx, l, func(m *mirror.Mirror, c *fleet.Connection) (ending, error) {
			opened = true
			return s.waitFor(ctx, l, all, m, c)
		})
		if err == nil || opened || ctx.Err() != nil || !s.c.now().Before(until) {
			return end, err
		}
		if failed := s.c.opts.Clock.Sleep(ctx, poll); failed != nil {
			return end, failed
		}
	}
}

// look reads the status of a mirror that a job has something to say of.
func (s *jobs) look(ctx context.Context, m *member) {
	if err := s.c.lookAt(ctx, m); err != nil && ctx.Err() == nil {
		s.c.log.Warn("mirror looked at", "mirror", m.ContextID, "error", err)
	}
}

// A mirror that cannot be opened is waited for, too, as it is between two looks.
const (
	waitPoll   = 30 * time.Second
	waitToOpen = time.Hour
)

// waitFor follows each receipt until its tables are populated.
func (s *jobs) waitFor(ctx context.Context, l *live, all []awaited, m *mirror.Mirror, c *fleet.Connection) (end ending, err error) {
	var mu sync.Mutex
	reports, errs := make([]*heal.WaitReport, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for i, a := range all {
		opts := heal.WaitOptions{Tables: a.tables, Source: c.Source, Report: a.report, Schedule: s.c.opts.Schedule, Poll: s.c.opts.poll}
		opts.Progress = func(r *heal.WaitReport) {
			mu.Lock()
			defer mu.Unlock()
			reports[i] = r
			l.waited(joined(reports))
		}
		wg.Go(func() {
			r, err := heal.Wait(ctx, m, a.receipt, &opts)
			mu.Lock()
			defer mu.Unlock()
			if r != nil {
				reports[i] = r
			}
			errs[i] = err
		})
	}
	wg.Wait()
	err = errors.Join(errs...)
	if report := joined(reports); report != nil {
		end.document, end.summary = report, waitSummary(report, err)
	}
	return end, err
}

// joined is what several reports say, each of tables of its own.
func joined(all []*heal.WaitReport) *heal.WaitReport {
	var one *heal.WaitReport
	for _, r := range all {
		switch {
		case r == nil:
		case one == nil:
			of := *r
			of.Tables, of.Receipts = slices.Clone(r.Tables), slices.Clone(r.Receipts)
			one = &of
		default:
			if r.Started.Before(one.Started) {
				one.Started = r.Started
			}
			if r.Time.After(one.Time) {
				one.Time = r.Time
			}
			if one.Next.IsZero() || r.Next.Before(one.Next) && !r.Next.IsZero() {
				one.Next = r.Next
			}
			one.Tables, one.Receipts = append(one.Tables, r.Tables...), append(one.Receipts, r.Receipts...)
		}
	}
	if one != nil {
		slices.SortStableFunc(one.Tables, func(x, y heal.WaitTable) int { return cmp.Compare(store.FoldName(x.Table), store.FoldName(y.Table)) })
	}
	return one
}

// receipt returns what a change recorded: its own document, or what the journal has of a
// change whose process ended. It is errNoDocument where there is neither.
func (c *Console) receipt(ctx context.Context, j job) (*mirror.Receipt, error) {
	r, err := documentOf[mirror.Receipt](ctx, c.state, j.ID)
	if !errors.Is(err, errNoDocument) {
		return r, err
	}
	if r, err = c.state.receiptOf(ctx, j.ID); err == nil && r == nil {
		err = errNoDocument
	}
	return r, err
}
