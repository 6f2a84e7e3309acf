package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// timeoutError is what a statement ends with that took longer than
// Dialect.Timeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("no answer within the query timeout of %s: %v", e.after, context.DeadlineExceeded)
}

func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

// watchdog cancels a context when the answer to one statement, or to one wait
// for more of its rows, takes too long. A nil watchdog never does.
type watchdog struct {
	timer  *time.Timer
	limit  time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// watch returns a context that is cancelled by the returned watchdog, which is
// running.
func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	if limit <= 0 {
		return ctx, nil
	}
	w := &watchdog{limit: limit}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() { w.cancel(&timeoutError{limit}) })
	return w.ctx, w
}

func (w *watchdog) start() {
	if w != nil {
		w.timer.Reset(w.limit)
	}
}

func (w *watchdog) stop() {
	if w != nil {
		w.timer.Stop()
	}
}

// end frees what watch took and returns err, or that time ran out.
func (w *watchdog) end(err error) error {
	if w == nil {
		return err
	}
	w.timer.Stop()
	defer w.cancel(nil)
	var late *timeoutError
	if err != nil && errors.As(context.Cause(w.ctx), &late) {
		return late
	}
	return err
}

// limited runs one statement within the limit.
func limited(ctx context.Context, limit time.Duration, run func(ctx context.Context) error) error {
	ctx, w := watch(ctx, limit)
	return w.end(run(ctx))
}
