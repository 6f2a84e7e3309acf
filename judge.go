package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
)

// compareTable decides one table. It never fails: a failure is a verdict.
func (c *comparison) compareTable(ctx context.Context, p pair) TableReport {
	started := c.m.clock.Now()
	tr := TableReport{Table: p.Name, LSN: p.lsn, HasMetadata: p.hasMetadata, MetadataRows: p.metadataRows, MetadataDoubt: p.metadataDoubt, trace: trace{MetadataSum: p.metadataSum}}
	if p.Mirror != nil {
		tr.Table, tr.MirrorName = p.Mirror.Name, p.Mirror.String()
	}
	switch {
	case p.NotMirrored != "":
		tr.Verdict, tr.Reason = VerdictNotMirrored, p.NotMirrored
	case p.Twins != "":
		tr.Verdict, tr.Reason = VerdictIncomparable, p.Twins
	case p.Mirror != nil && p.Source != nil:
		tr = c.compareBoth(ctx, p, tr)
	default:
		tr.Verdict = VerdictMissing
		if p.Source == nil {
			tr.Verdict = VerdictExtra
		}
		if c.opts.Depth != DepthSchema {
			tr.fail(ctx, c.count(ctx, p, &tr))
		}
	}
	tr.Elapsed = c.m.clock.Now().Sub(started)
	c.mu.Lock()
	c.done++
	c.mu.Unlock()
	c.report(Progress{Table: p.Name, Rows: tr.SourceRows, Expected: tr.SourceRows})
	return tr
}

// compareBoth compares a table that both sides have. One that a cycle populated
// anew meanwhile is compared once more.
func (c *comparison) compareBoth(ctx context.Context, p pair, blank TableReport) (tr TableReport) {
	for range 2 {
		tr = blank
		tr.describe(p.Plan)
		if t := c.previous(p); t != nil && t.Done != nil {
			tr = *t.Done
			c.end(p, &tr)
			return tr
		}
		var err error
		if p.state, err = c.lsnState(ctx, p); err != nil && ctx.Err() == nil {
			tr.warn(fmt.Sprintf("the source's change tracking cannot be read: %v", err))
		}
		tr.LSNState = p.state
		err = c.compareDepth(ctx, p, &tr)
		if err == nil {
			tr.decide()
		}
		if err == nil && (tr.Verdict == VerdictDifferent || tr.Verdict == VerdictSchemaDiffers) {
			// A plan is for the metadata row as it is now that the rows were read.
			after := p
			if err = c.describeNow(ctx, &after); err == nil {
				tr.HasMetadata, tr.MetadataRows, tr.trace.MetadataSum, tr.MetadataDoubt = after.hasMetadata, after.metadataRows, after.metadataSum, after.metadataDoubt
			}
		}
		tr.fail(ctx, err)
		c.end(p, &tr)
		if !errors.Is(err, errPopulated) || ctx.Err() != nil {
			return tr
		}
		if err := c.refresh(ctx, &p); err != nil {
			tr.fail(ctx, err)
			return tr
		}
		blank.LSN, blank.HasMetadata, blank.MetadataRows, blank.trace.MetadataSum, blank.MetadataDoubt = p.lsn, p.hasMetadata, p.metadataRows, p.metadataSum, p.metadataDoubt
	}
	return tr
}

// describeNow reads a table's metadata rows again.
func (c *comparison) describeNow(ctx context.Context, p *pair) error {
	md, err := c.metadataNow(ctx)
	if err == nil {
		p.describe(md)
	}
	return err
}

// refresh reads a table's metadata rows again, and then the source's version.
func (c *comparison) refresh(ctx context.Context, p *pair) error {
	err := c.describeNow(ctx, p)
	if err == nil && c.changes != nil {
		p.version, err = c.changes.Version(ctx)
	}
	return err
}

// compareDepth compares as far as Depth goes.
func (c *comparison) compareDepth(ctx context.Context, p pair, tr *TableReport) error {
	switch {
	case unreadable(*p.Source) || unreadable(*p.Mirror): // not even its columns
	case c.opts.Depth == DepthSchema:
		return nil
	case c.opts.Depth == DepthCount && p.Source.Omit == "" && p.Mirror.Omit == "":
		return c.count(ctx, p, tr)
	}
	reason := p.Plan.Incomparable
	if reason == "" {
		err := c.compareRows(ctx, p, tr)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		reason = err.Error()
	}
	tr.forgetRows()
	tr.Verdict, tr.Reason = VerdictIncomparable, reason
	for _, col := range p.Plan.Source.Columns {
		tr.NotCompared = append(tr.NotCompared, Omission{Column: col.Name, Reason: rowsNotCompared})
	}
	if unreadable(*p.Source) || unreadable(*p.Mirror) {
		return nil
	}
	return c.count(ctx, p, tr)
}

// running is the comparison of a table's rows while it goes on.
type running struct {
	p        pair
	run      *diff.Run
	tracking *tracking // nil when differences cannot be classified
}

// compareRows compares the rows of a table by value.
func (c *comparison) compareRows(ctx context.Context, p pair, tr *TableReport) error {
	plan := p.Plan.Table
	if err := c.countProgress(ctx, p, &plan); err != nil {
		return err
	}
	if !p.requested() {
		plan.MaxDifferences = c.opts.MaxDifferences
	}
	r := &running{p: p, tracking: c.trackingOf(p, tr)}
	if r.tracking != nil {
		plan.Settler = r.tracking.settler
	}
	r.run = c.engine.Table(plan)
	if r.tracking != nil {
		r.tracking.run = r.run
	}
	if t := c.previous(p); t != nil {
		r.run.Resume(t.Ranges)
	}
	c.begin(r)
	found, err := r.run.Compare(ctx)
	tr.fill(found, plan.Source.Columns)
	strategy, reason := r.run.Strategy()
	tr.Strategy, tr.StrategyReason = Strategy(strategy), reason
	if errors.Is(err, diff.ErrEnough) {
		tr.Truncated, tr.trace.Read = true, found.MirrorRows
		err = c.count(ctx, p, tr)
	}
	if err == nil && r.tracking != nil {
		err = r.tracking.finish(tr)
	}
	return err
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

// differences is how many rows differ; at DepthCount it is by how many rows the
// sides differ at least.
func (t *TableReport) differences() int64 {
	n := t.Missing + t.Extra + t.Changed + t.Duplicate
	if n == 0 && t.SourceRows != t.MirrorRows {
		n = max(t.SourceRows-t.MirrorRows, t.MirrorRows-t.SourceRows)
	}
	return n
}

// decide draws the verdict from what was found.
func (t *TableReport) decide() {
	n := t.differences()
	if t.ResetRequested() {
		t.setStates(DiffPending)
		t.Pending, t.Diverged = n, 0
	}
	switch {
	case len(t.Schema) > 0:
		t.Verdict = VerdictSchemaDiffers
	case t.Verdict == VerdictIncomparable:
	case n == 0:
		t.Verdict = VerdictIdentical
	case t.Pending == n && (!t.Truncated || t.ResetRequested()):
		t.Verdict = VerdictPending
	default:
		t.Verdict = VerdictDifferent
	}
}

// count counts the rows of the sides that exist.
func (c *comparison) count(ctx context.Context, p pair, tr *TableReport) error {
	var sourceErr, mirrorErr error
	if p.Source != nil {
		tr.SourceRows, sourceErr = c.source.Count(ctx, *p.Source)
	}
	if p.Mirror != nil && sourceErr == nil {
		tr.MirrorRows, mirrorErr = c.m.store.Count(ctx, *p.Mirror)
	}
	return errors.Join(sourceErr, mirrorErr)
}

// fail makes an error the table's verdict.
func (t *TableReport) fail(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err = ctx.Err()
		if cause := context.Cause(ctx); errors.Is(cause, ErrTimeBudget) {
			err = cause
		}
	}
	t.Verdict, t.Err, t.Reason = VerdictFailed, err, err.Error()
	if ctx.Err() != nil {
		t.Verdict = VerdictUnfinished
	}
	t.forgetRows()
}

// forgetRows takes back what was counted before the rows could not be compared
// to the end: half of a count is a wrong count.
func (t *TableReport) forgetRows() {
	t.SourceRows, t.MirrorRows = 0, 0
	t.Missing, t.Extra, t.Changed, t.Duplicate = 0, 0, 0, 0
	t.Pending, t.Diverged, t.Truncated, t.trace.Read = 0, 0, false, 0
	t.ChangedColumns, t.Samples, t.Differences = nil, nil, nil
}
