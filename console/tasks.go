package console

import (
	"context"
	"errors"
	"fmt"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/replica"
)

// with opens the databases of a job's member, with the console's journal.
func (s *jobs) with(ctx context.Context, l *live, do func(m *mirror.Mirror, c *fleet.Connection) (ending, error)) (end ending, err error) {
	conn, err := s.c.members[l.member].open(ctx)
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	m := conn.Mirror.WithJournal(recorder{s.c.state, l.actor, l.id}).WithProgress(l.compared)
	return do(m, conn)
}

var errNoSource = errors.New("nothing is configured to compare this mirror with: give it a source")

// compare compares a mirror with its source, from where it was left.
func (s *jobs) compare(ctx context.Context, l *live) (ending, error) {
	return s.with(ctx, l, func(m *mirror.Mirror, c *fleet.Connection) (end ending, err error) {
		if c.Source == nil {
			return end, errNoSource
		}
		j, _ := l.now()
		opts := mirror.CompareOptions{}
		if c.Compare != nil {
			opts = *c.Compare
		}
		if len(j.Request.Tables) > 0 {
			opts.Tables = j.Request.Tables
		}
		if j.Request.Depth != "" {
			opts.Depth = j.Request.Depth
		}
		if opts.Resume, err = s.c.state.checkpoint(ctx, l.id); err != nil {
			return end, fmt.Errorf("read checkpoint: %w", err)
		}
		if j.Request.Of > 0 && opts.Resume == nil {
			if opts.Since, err = documentOf[mirror.Report](ctx, s.c.state, j.Request.Of); err != nil {
				return end, fmt.Errorf("read the comparison before: %w", err)
			}
		}
		opts.OnCheckpoint = func(p *mirror.Checkpoint) {
			if err := s.c.state.keepCheckpoint(context.WithoutCancel(ctx), l.id, p); err != nil {
				s.c.log.Warn("checkpoint not kept", "job", l.id, "error", err)
			}
		}
		report, err := m.Compare(ctx, c.Source, &opts)
		return endOf(report, opts.Resume, err)
	})
}

// endOf is how a comparison ended, with what can be gone on from. A comparison that was
// stopped before it read anything is gone on with where it was before.
func endOf(r *mirror.Report, resumed *mirror.Checkpoint, err error) (end ending, _ error) {
	if resumed != nil {
		end.checkpoint = resumed
	}
	if r != nil {
		end.document, end.tables, end.summary = r, tablesOf(r), summaryOf(r)
		end.checkpoint = nil
		if r.Checkpoint != nil {
			end.checkpoint = r.Checkpoint
		}
	}
	end.summary.Resumable = end.checkpoint != nil
	return end, err
}

// recheck reads what differed in a comparison once more.
func (s *jobs) recheck(ctx context.Context, l *live) (ending, error) {
	return s.with(ctx, l, func(m *mirror.Mirror, c *fleet.Connection) (end ending, err error) {
		if c.Source == nil {
			return end, errNoSource
		}
		j, _ := l.now()
		before, err := documentOf[mirror.Report](ctx, s.c.state, j.Request.Of)
		if err != nil {
			return end, fmt.Errorf("read the comparison before: %w", err)
		}
		report, err := m.Recheck(ctx, c.Source, before, nil)
		return endOf(report, nil, err)
	})
}

// validate checks a replica against its reference.
func (s *jobs) validate(ctx context.Context, l *live) (end ending, err error) {
	if s.c.opts.Replica == nil {
		return end, errNoReplica
	}
	conn, err := s.c.opts.Replica(ctx, s.c.members[l.member].ContextID)
	switch {
	case err != nil:
		return end, err
	case conn == nil:
		return end, errNoReplica
	}
	if conn.Close != nil {
		defer func() { err = errors.Join(err, conn.Close()) }()
	}
	opts := replica.Options{}
	if conn.Options != nil {
		opts = *conn.Options
	}
	opts.Progress = l.checked
	if opts.Clock == nil {
		opts.Clock = s.c.opts.Clock
	}
	report, err := replica.Check(ctx, conn.Reference, conn.Replica, &opts)
	if report != nil {
		end.document = report
		level, verdict := htmlreport.JudgeValidation(report)
		end.summary = summary{Level: level, Verdict: verdict, Incomplete: report.Scope.Stopped != ""}
	}
	return end, err
}

var errNoReplica = errors.New("no replica of this customer is configured")

// reportOf returns the comparison that a change was made from, nil for none.
func (s *jobs) reportOf(ctx context.Context, id int64) (*mirror.Report, error) {
	made, err := s.c.state.job(ctx, id)
	if err != nil || made.Kind != kindChange || made.Request.Of == 0 {
		return nil, err
	}
	r, err := documentOf[mirror.Report](ctx, s.c.state, made.Request.Of)
	if errors.Is(err, errNotFound) || errors.Is(err, errNoDocument) { // it was cleaned up
		return nil, nil
	}
	return r, err
}

// change does one change, whole or not at all.
func (s *jobs) change(ctx context.Context, l *live) (end ending, err error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	begun := false
	end, err = s.with(ctx, l, func(m *mirror.Mirror, c *fleet.Connection) (end ending, err error) {
		begun = true
		j, _ := l.now()
		receipt, err := s.do(ctx, m, j, false)
		if receipt == nil {
			end.summary.Refused, end.tables = refusalOf(err), refusedTablesOf(err)
		}
		if receipt != nil {
			end.document = receipt
			end.summary.Receipt, end.summary.Outcome = receipt.ID, mirror.OutcomeDone
		}
		switch {
		case isUnknown(err):
			end.status, end.summary.Outcome = statusUnknown, mirror.OutcomeUnknown
		case err != nil && receipt != nil && errors.Is(err, mirror.ErrJournal):
			end.status = statusDone // the error says so
		case errors.Is(err, mirror.ErrJournal) && s.intended(ctx, l.id): // its end alone is not in the journal
			end.status, end.summary.Outcome, end.summary.Refused = statusUnknown, mirror.OutcomeUnknown, ""
		case err != nil:
			end.summary.Outcome = mirror.OutcomeNotDone
		case j.Request.Change.Operation == opUndo:
			end.document, end.summary.Outcome = nil, mirror.OutcomeDone
			if err = s.c.undone(ctx, j.Request.Of, l.id); err != nil {
				end.status, err = statusDone, fmt.Errorf("it was undone, but what it took back is not marked so: %w", err)
			}
		}
		return end, err
	})
	if err != nil && !begun { // the databases could not be opened
		end.summary.Outcome = mirror.OutcomeNotDone
	}
	return end, err
}

// intended reports whether the journal has that a change was begun, and not how it ended.
func (s *jobs) intended(ctx context.Context, id int64) bool {
	event, err := s.c.state.lastEvent(context.WithoutCancel(ctx), id)
	return err == nil && event == mirror.JournalIntent
}

// do makes a change of a mirror, or dry only tries it.
func (s *jobs) do(ctx context.Context, m *mirror.Mirror, j job, dry bool) (*mirror.Receipt, error) {
	q := j.Request.Change
	confirm := q.Confirm
	if confirm == s.c.members[j.Member].ContextID { // as the page had it typed
		confirm = m.ContextID()
	}
	switch q.Operation {
	case opApply:
		report, err := documentOf[mirror.Report](ctx, s.c.state, j.Request.Of)
		if err != nil {
			return nil, fmt.Errorf("read the comparison: %w", err)
		}
		opts := &mirror.ApplyOptions{
			Tables: j.Request.Tables, Unknown: q.Unknown, HardReset: q.HardReset, SkipMoved: q.SkipMoved, Confirm: confirm, DryRun: dry,
		}
		if q.TooMuch {
			opts.MaxRowShare, opts.MaxTableShare = 1, 1
		}
		return m.Apply(ctx, report.Plan(), opts)
	case opReset:
		return m.ResetTables(ctx, j.Request.Tables, &mirror.ResetOptions{All: q.All, Truncate: q.Truncate, DryRun: dry})
	case opHardReset:
		return m.HardReset(ctx, &mirror.HardResetOptions{Confirm: confirm, Tables: j.Request.Tables, All: q.All, DryRun: dry})
	case opUndo:
		receipt, err := s.c.receipt(ctx, job{ID: j.Request.Of})
		if err != nil {
			return nil, fmt.Errorf("read receipt: %w", err)
		}
		s.letGo(j.Member, j.Request.Of) // who waits would take it for a reset that was lost
		if err = m.Undo(ctx, receipt); err != nil {
			if of, failed := s.c.state.job(ctx, j.Request.Of); failed == nil {
				s.follow(ctx, of)
			}
		}
		return nil, err
	default:
		return nil, fmt.Errorf("unknown operation %q", q.Operation)
	}
}
