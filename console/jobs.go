package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/so-mirror/mirror/store"
)

// jobs runs the jobs of a console.
type jobs struct {
	c     *Console
	slots chan struct{} // of heavy jobs

	mu     sync.Mutex
	live   map[int64]*live
	closed bool
	wg     sync.WaitGroup
}

// Why a job's context is done.
var (
	errStopped = errors.New("stopped")
	errClosing = errors.New("the console is closing")
)

// The times that are given to what cannot be waited for without end.
const (
	changeTimeout = 5 * time.Minute
	closeTimeout  = 30 * time.Second // for changes that are being made
	maxResumed    = 3                // restarts that go on with a job
)

func newJobs(c *Console, concurrency int) *jobs {
	return &jobs{c: c, slots: make(chan struct{}, cmp.Or(max(concurrency, 0), 4)), live: map[int64]*live{}}
}

// errBusy: a job of the kind is there already.
type errBusy struct{ job }

func (e errBusy) Error() string {
	return fmt.Sprintf("a %s of this mirror is there already", e.Kind)
}

// errAsked: the form that asks for the job has asked for one before.
type errAsked struct{ job }

func (e errAsked) Error() string { return "this form was sent before" }

// start keeps a new job and runs it. Of each kind a mirror has one at a time; asking for
// another is an errBusy with the one that is there, and asking twice with one form an
// errAsked with that of the first time.
func (s *jobs) start(ctx context.Context, j job) (job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return job{}, errClosing
	}
	if j.Request.Once != "" {
		switch was, err := s.c.state.asked(ctx, j.Member, j.Request.Once); {
		case err == nil:
			return was, errAsked{was}
		case !errors.Is(err, errNotFound):
			return job{}, fmt.Errorf("read jobs: %w", err)
		}
	}
	if is, busy := s.alike(j); busy {
		return is, errBusy{is}
	}
	j.Status, j.Asked = statusQueued, s.c.now()
	if err := s.c.state.add(context.WithoutCancel(ctx), &j); err != nil {
		return job{}, fmt.Errorf("keep job: %w", err)
	}
	s.launch(j)
	return j, nil
}

// resume goes on with a job that was stopped.
func (s *jobs) resume(ctx context.Context, id int64) (job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return job{}, errClosing
	}
	j, err := s.c.state.job(ctx, id)
	if err != nil {
		return job{}, err
	}
	if is, busy := s.alike(j); busy {
		return is, errBusy{is}
	}
	if !j.resumable() {
		return j, errNotResumable
	}
	j.Status, j.Ended, j.Error = statusQueued, time.Time{}, ""
	if err := s.c.state.update(context.WithoutCancel(ctx), &j); err != nil {
		return job{}, fmt.Errorf("keep job: %w", err)
	}
	s.launch(j)
	return j, nil
}

var errNotResumable = errors.New("this job cannot be gone on with")

// alike returns the job of the same kind and mirror that is queued or running; s.mu is held.
func (s *jobs) alike(j job) (is job, busy bool) {
	for _, l := range s.live {
		if is, _ := l.now(); is.Member == j.Member && is.Kind == j.Kind && !is.Status.over() {
			return is, true
		}
	}
	return job{}, false
}

// launch runs a job; s.mu is held.
func (s *jobs) launch(j job) {
	ctx, cancel := context.WithCancelCause(context.Background())
	l := newLive(j, cancel)
	s.live[j.ID] = l
	s.c.members[j.Member].running(l)
	s.wg.Go(func() {
		defer cancel(nil)
		s.run(ctx, l)
		s.mu.Lock()
		if s.live[j.ID] == l && !l.unkept { // somebody may have gone on with it already
			delete(s.live, j.ID)
		}
		s.mu.Unlock()
		s.c.members[j.Member].over(l)
		close(l.done)
	})
}

// get returns a job that is queued or running.
func (s *jobs) get(id int64) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id]
}

// running reports whether a job is queued or running.
func (s *jobs) running(id int64) bool {
	l := s.get(id)
	if l == nil {
		return false
	}
	j, _ := l.now()
	return !j.Status.over()
}

// stop stops a job; a change is not stopped, because it is a moment's work that is done
// whole or not at all.
func (s *jobs) stop(id int64) bool {
	l := s.get(id)
	if l == nil || l.kind == kindChange {
		return false
	}
	l.cancel(errStopped)
	return true
}

// run runs a job to its end, and keeps that.
func (s *jobs) run(ctx context.Context, l *live) {
	if l.kind.heavy() {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-ctx.Done():
		}
	}
	log := s.c.log.With("job", l.id, "kind", string(l.kind), "mirror", s.c.members[l.member].ContextID, "actor", l.actor)
	var end ending
	err := context.Cause(ctx)
	if err == nil {
		j := l.set(func(j *job) { j.Status, j.Started = statusRunning, s.c.now() })
		if err = s.c.state.update(context.WithoutCancel(ctx), &j); err == nil {
			log.Info("job begins")
			end, err = s.work(ctx, l)
		}
	}
	s.finish(ctx, l, end, err, log)
}

// ending is what a job left.
type ending struct {
	document   any
	checkpoint any
	tables     []tableSummary
	status     status // Default: done without an error, failed with one
	summary    summary
}

// work does a job. A panic of it is its error: other jobs and pages go on.
func (s *jobs) work(ctx context.Context, l *live) (end ending, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.c.log.Error("job panicked", "job", l.id, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v: the log has more", r)
		}
	}()
	switch l.kind {
	case kindComparison:
		return s.compare(ctx, l)
	case kindRecheck:
		return s.recheck(ctx, l)
	case kindValidation:
		return s.validate(ctx, l)
	case kindWaiting:
		return s.wait(ctx, l)
	case kindChange:
		return s.change(ctx, l)
	default:
		return end, fmt.Errorf("unknown kind of job %q", l.kind)
	}
}

// finish keeps the end of a job.
func (s *jobs) finish(ctx context.Context, l *live, end ending, err error, log *slog.Logger) {
	cause := context.Cause(ctx)
	j, _ := l.now()
	j.Summary, j.Ended = end.summary, s.c.now()
	switch {
	case end.status != "":
		j.Status = end.status
	case err == nil:
		j.Status = statusDone
	case errors.Is(cause, errClosing):
		j.Status, j.Ended = statusQueued, time.Time{} // the next process goes on with it
	case errors.Is(cause, errStopped):
		j.Status = statusStopped
	default:
		j.Status = statusFailed
	}
	if err != nil && j.Status != statusQueued && !errors.Is(cause, errStopped) {
		j.Error = err.Error()
	}
	if kept := s.c.state.finish(context.WithoutCancel(ctx), &j, end.document, end.checkpoint, end.tables); kept != nil {
		log.Error("end of job not kept", "error", kept)
		l.unkept = true // the state says that it still runs
		if j.Kind != kindChange {
			j.Status, j.Summary = statusFailed, summary{} // what it found is gone; of a change the journal knows
		}
		j.Error = errors.Join(err, fmt.Errorf("what came of it could not be kept: %w", kept)).Error()
	}
	l.set(func(to *job) { *to = j })
	s.c.members[j.Member].ended(j)
	if j.Kind == kindChange {
		if err := s.c.recount(context.WithoutCancel(ctx), j.Member); err != nil {
			log.Error("changes without a known end not counted", "error", err)
		}
	}
	s.follow(ctx, j)
	logEnd(ctx, log, &j)
}

// logEnd logs how a job ended, or that the next process goes on with it.
func logEnd(ctx context.Context, log *slog.Logger, j *job) {
	if j.Status == statusQueued {
		log.Info("job interrupted: it goes on at the next start")
		return
	}
	level := slog.LevelInfo
	if j.Status == statusFailed || j.Status == statusUnknown {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("status", string(j.Status))}
	if !j.Started.IsZero() { // it was stopped before it began
		attrs = append(attrs, slog.Duration("elapsed", j.Ended.Sub(j.Started)))
	}
	if j.Summary.Verdict != "" {
		attrs = append(attrs, slog.String("verdict", j.Summary.Verdict))
	}
	if j.Error != "" {
		attrs = append(attrs, slog.Any("error", errors.New(j.Error))) // loggers that hide secrets look for errors
	}
	log.LogAttrs(ctx, level, "job ends", attrs...)
}

// restart goes on with the jobs of an earlier process, and has its changes without an end
// reconciled.
func (s *jobs) restart(ctx context.Context) error {
	all, err := s.c.state.jobs(ctx, jobQuery{States: unfinished})
	if err != nil {
		return err
	}
	if err := s.again(ctx, all); err != nil {
		return err
	}
	for _, j := range all {
		if j.Kind == kindChange {
			if j, err = s.c.state.job(ctx, j.ID); err != nil {
				return err
			}
			s.follow(ctx, j)
		}
	}
	return s.c.recount(ctx, "")
}

// again launches what an earlier process left.
func (s *jobs) again(ctx context.Context, all []job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range slices.Backward(all) {
		switch {
		case j.Kind == kindChange:
			if err := s.c.ended(ctx, j); err != nil {
				return err
			}
			continue
		case s.c.members[j.Member] == nil:
			j.Status, j.Ended, j.Error = statusFailed, s.c.now(), "This mirror is no longer one of the console's."
		case j.Kind == kindRecheck:
			j.Status, j.Ended, j.Error = statusFailed, s.c.now(), "The process ended before the recheck did: ask for it again."
		case j.Status == statusRunning && j.Resumed >= maxResumed:
			j.Status, j.Ended, j.Error = statusStopped, s.c.now(), fmt.Sprintf("The process ended %d times while it ran, so it is not gone on with by itself.", j.Resumed+1)
			point, err := s.c.state.checkpoint(ctx, j.ID)
			if err != nil {
				return err
			}
			j.Summary.Resumable = point != nil
		default:
			if j.Status == statusRunning {
				j.Resumed++
			}
			j.Status = statusQueued
			if err := s.c.state.update(ctx, &j); err != nil {
				return err
			}
			s.launch(j)
			continue
		}
		if err := s.c.state.update(ctx, &j); err != nil {
			return err
		}
	}
	return nil
}

// close stops the jobs and waits for them. Changes that are being made have some time to
// come to their end. It reports whether all have ended: a driver may not do what it is told.
func (s *jobs) close() bool {
	s.mu.Lock()
	s.closed = true
	var changes []*live
	for _, l := range s.live {
		if l.kind == kindChange {
			changes = append(changes, l)
			continue
		}
		l.cancel(errClosing)
	}
	s.mu.Unlock()
	timer := time.AfterFunc(s.c.opts.grace, func() {
		for _, l := range changes {
			l.cancel(errClosing)
		}
	})
	defer timer.Stop()
	ended := make(chan struct{})
	go func() { s.wg.Wait(); close(ended) }()
	select {
	case <-ended:
		return true
	case <-time.After(2 * s.c.opts.grace):
		return false
	}
}

// isUnknown reports whether it is not known whether a change was made.
func isUnknown(err error) bool { return errors.Is(err, store.ErrOutcomeUnknown) }
