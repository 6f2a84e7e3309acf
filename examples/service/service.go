package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-co-op/gocron/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
)

// service compares each mirror of a fleet after every cycle of the Mirroring Task.
type service struct {
	fleet    *fleet.Fleet
	schedule heal.Schedule
	poll     time.Duration // between two looks at a mirror
	full     time.Duration // after so long all rows are compared again, and not only what changed
	maxAge   time.Duration // an older comparison says nothing any more
	journal  mirror.Journal
	repair   bool // resets what is proven stale; it needs a journal
	record   func(context.Context, *mirror.Report) error
	log      *slog.Logger
	tracer   trace.Tracer
	metrics  *metrics
	members  []*member
}

// maxRechecks is after how many cycles what is still not known is compared anew.
const maxRechecks = 4

var errRecord = errors.New("record the report")

// start looks at each mirror at once, and again after every poll, until the scheduler
// is shut down. A look that takes longer is not begun twice.
func (s *service) start() (gocron.Scheduler, error) {
	jobs, err := gocron.NewScheduler(gocron.WithLogger(s.log), gocron.WithStopTimeout(stopTimeout))
	if err != nil {
		return nil, err
	}
	// A limit of the scheduler's own would either queue a look at every poll or pass
	// over the same mirrors each time; waiting inside of a singleton does neither.
	slots := make(chan struct{}, cmp.Or(max(0, s.fleet.Concurrency), 4))
	for _, f := range s.fleet.Members {
		m := &member{Member: f}
		s.members = append(s.members, m)
		s.metrics.add(m.ContextID)
		_, err = jobs.NewJob(gocron.DurationJob(s.poll), gocron.NewTask(func(ctx context.Context) {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				s.look(ctx, m)
			case <-ctx.Done():
			}
		}), gocron.WithName(m.ContextID), gocron.WithSingletonMode(gocron.LimitModeReschedule),
			gocron.WithStartAt(gocron.WithStartImmediately()))
		if err != nil {
			return nil, errors.Join(err, jobs.Shutdown())
		}
	}
	jobs.Start()
	return jobs, nil
}

// look is one turn of a member, whose failure touches no other.
func (s *service) look(ctx context.Context, m *member) {
	ctx, span := s.tracer.Start(ctx, "look", trace.WithAttributes(attribute.String("mirror", m.ContextID)))
	defer span.End()
	log := s.log.With("mirror", m.ContextID)
	if trace := span.SpanContext().TraceID(); trace.IsValid() {
		log = log.With("trace", trace.String())
	}
	err := s.turn(ctx, m, log)
	if ctx.Err() != nil {
		return // the service is stopping, which is nobody's failure
	}
	m.set(func() { m.err = err })
	if err != nil {
		why := reason(err)
		s.metrics.errors.WithLabelValues(m.ContextID, why).Inc()
		log.Error("look failed", "reason", why, "error", err)
		span.SetStatus(codes.Error, why) // the text is for the log alone: see mirrorHealth
	}
}

// turn sees whether a cycle has been, and compares the mirror if one has.
func (s *service) turn(ctx context.Context, m *member, log *slog.Logger) error {
	one := &fleet.Fleet{Members: []fleet.Member{m.Member}, Timeout: s.fleet.Timeout} // with its time limit, and its guard against panics
	for r := range one.Status(ctx) {
		if r.Err != nil {
			return r.Err
		}
		if m.sees(r.Status) {
			s.metrics.cycle.WithLabelValues(m.ContextID).SetToCurrentTime()
		}
	}
	why := m.due(s.schedule, time.Now())
	if why == "" {
		return nil
	}
	var err error
	if why == dueCycle && m.report.Unknown() > 0 && m.rechecks < maxRechecks {
		err = s.recheck(ctx, m, log)
	} else {
		err = s.compare(ctx, m, log, why)
	}
	m.set(func() { m.failed = err })
	return err
}

// compare reads what changed since the last comparison, where the source tracks that, and
// now and then everything: what was damaged in the mirror itself is found no other way.
func (s *service) compare(ctx context.Context, m *member, log *slog.Logger, why string) error {
	since := m.report
	if time.Since(m.full) >= s.full {
		since = nil
	}
	ctx, span := s.tracer.Start(ctx, "compare", trace.WithAttributes(attribute.String("why", why), attribute.Bool("since", since != nil)))
	defer span.End()
	tables := newTableSpans(span, since)
	one := &fleet.Fleet{Timeout: s.fleet.Timeout, Members: []fleet.Member{{ContextID: m.ContextID, Open: func(ctx context.Context) (*fleet.Connection, error) {
		c, err := m.Open(ctx)
		if err != nil || c == nil {
			return c, err
		}
		how := mirror.CompareOptions{}
		if c.Compare != nil {
			how = *c.Compare
		}
		how.Since, how.Resume = since, m.checkpoint
		c.Compare = &how
		if tables != nil && c.Mirror != nil {
			c.Mirror = c.Mirror.WithProgress(tables.progress)
		}
		return c, nil
	}}}}
	for r := range one.Compare(ctx, nil) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tables.end(ctx, s.tracer, r.Report)
		s.metrics.took(since, r)
		if errors.Is(r.Err, mirror.ErrWrongDatabase) || errors.Is(r.Err, mirror.ErrInvalidDocument) {
			m.checkpoint = nil // which may be what is of another database: it is not tried for ever
		}
		if err := s.take(ctx, m, r.Report, r.Err, since == nil, log.With("why", why)); err != nil {
			return err
		}
		if s.repair && !r.Plan.Empty() {
			return s.apply(ctx, m, r.Plan, log)
		}
	}
	return nil
}

// recheck asks for what a comparison left open, where the source tracks no changes.
func (s *service) recheck(ctx context.Context, m *member, log *slog.Logger) error {
	ctx, span := s.tracer.Start(ctx, "recheck")
	defer span.End()
	m.rechecks++
	return s.with(ctx, m, func(ctx context.Context, c *fleet.Connection) error {
		report, err := c.Mirror.Recheck(ctx, c.Source, m.report, nil)
		if err == nil {
			err = report.Err()
		}
		if err = s.take(ctx, m, report, err, false, log.With("why", "recheck")); err != nil || !s.repair || report.Plan().Empty() {
			return err
		}
		return s.apply(ctx, m, report.Plan(), log)
	})
}

// take judges a report, which may come with an error. All says that it is about all rows.
func (s *service) take(ctx context.Context, m *member, report *mirror.Report, err error, all bool, log *slog.Logger) error {
	if report == nil {
		return err
	}
	if failed := s.record(ctx, report); failed != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", errRecord, failed))
	}
	if errors.Is(err, mirror.ErrWrongDatabase) || errors.Is(err, mirror.ErrTooMuch) {
		return err // what it found is hardly about this mirror
	}
	stale := staleTables(report, m.stale)
	m.set(func() { m.found(report, stale, all, err) })
	s.metrics.found(report, stale)
	log.Info("compared", "summary", report.Summary(), "stale", stale, "seconds", report.Finished.Sub(report.Started).Seconds())
	return err
}

// apply resets what is proven to need it; the next cycle sends it anew.
func (s *service) apply(ctx context.Context, m *member, plan *mirror.Plan, log *slog.Logger) error {
	ctx, span := s.tracer.Start(ctx, "repair")
	defer span.End()
	return s.with(ctx, m, func(ctx context.Context, c *fleet.Connection) error {
		receipt, err := c.Mirror.WithJournal(tracedJournal{s.journal, log}).Apply(ctx, plan, nil)
		if errors.Is(err, mirror.ErrNothingToDo) || errors.Is(err, mirror.ErrNotConfirmed) {
			log.Warn("a hard reset is left to a person", "error", err)
			return nil
		}
		if receipt != nil {
			s.metrics.resets.WithLabelValues(m.ContextID).Add(float64(m.wasReset(receipt)))
		}
		return err
	})
}

// with opens a member for what package fleet has no call for.
func (s *service) with(ctx context.Context, m *member, do func(context.Context, *fleet.Connection) error) (err error) {
	if s.fleet.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.fleet.Timeout)
		defer cancel()
	}
	defer func() {
		if v := recover(); v != nil { // as package fleet does: a driver's panic is its member's failure
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	c, err := m.Open(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", m.ContextID, err)
	}
	if c.Close != nil {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	return do(ctx, c)
}
