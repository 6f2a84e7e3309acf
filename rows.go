package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/store"
)

// running is the comparison of a table's rows while it goes on.
type running struct {
	p        pair
	run      *diff.Run
	tracking *tracking // nil when differences cannot be classified
}

// compareRows compares the rows of a table by value: of those that changed since an
// earlier report, or all.
func (c *comparison) compareRows(ctx context.Context, p pair, tr *TableReport) error {
	plan := p.Plan.Table
	if err := c.countProgress(ctx, p, &plan); err != nil {
		return err
	}
	if !p.requested() {
		plan.MaxDifferences = c.opts.MaxDifferences
	}
	if c.opts.Since != nil {
		then, mirrored, why, err := c.since(ctx, p)
		if then != nil {
			err = c.compareSince(ctx, c.running(p, plan, tr), then, mirrored, tr)
		}
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, store.ErrConnection) || errors.Is(err, errPopulated)):
			return err
		case err != nil:
			why = err.Error()
		case then != nil:
			return nil
		}
		tr.forgetRows()
		tr.Basis = &Basis{AllRows: c.started, Reason: why}
	}
	return c.compareAll(ctx, c.running(p, plan, tr), tr)
}

// running begins the comparison of a table's rows. Nothing is read yet.
func (c *comparison) running(p pair, plan diff.Table, tr *TableReport) *running {
	r := &running{p: p, tracking: c.trackingOf(p, tr)}
	if r.tracking != nil {
		plan.Settler = r.tracking.settler
	}
	r.run = c.engine.Table(plan)
	if r.tracking != nil {
		r.tracking.run = r.run
	}
	return r
}

// compareAll compares all rows of a table.
func (c *comparison) compareAll(ctx context.Context, r *running, tr *TableReport) error {
	p, resumed := r.p, false
	if t := c.previous(p); t != nil {
		resumed = r.run.Resume(t.Ranges)
	}
	c.begin(r)
	found, err := r.run.Compare(ctx)
	tr.fill(found, p.Plan.Source.Columns)
	tr.locate(r.run, nil)
	strategy, reason := r.run.Strategy()
	tr.Strategy, tr.StrategyReason = Strategy(strategy), reason
	if errors.Is(err, diff.ErrEnough) {
		tr.Truncated, tr.trace.Read = true, found.MirrorRows
		err = c.count(ctx, p, tr)
	}
	if err == nil && !resumed { // of what was compared before, nobody knows by which version
		c.stand(p, tr)
	}
	return r.finish(tr, err)
}

// finish puts what became of the tracking into the report.
func (r *running) finish(tr *TableReport, err error) error {
	if err != nil || r.tracking == nil {
		return err
	}
	return r.tracking.finish(tr)
}

// countProgress counts the rows that the user's progress function expects, and
// has it called while they are compared.
func (c *comparison) countProgress(ctx context.Context, p pair, t *diff.Table) error {
	if c.m.progress == nil {
		return nil
	}
	started := c.m.clock.Now()
	expected, err := c.source.Count(ctx, *p.Source)
	if err != nil {
		return err
	}
	t.Progress = func(rows int64) {
		o := Progress{Table: p.Name, Rows: rows, Expected: max(rows, expected)}
		if elapsed := c.m.clock.Now().Sub(started); rows > 0 {
			o.Remaining = time.Duration(float64(elapsed) * float64(o.Expected-rows) / float64(rows))
		}
		c.report(o)
	}
	return nil
}
