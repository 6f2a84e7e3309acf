package mirror

import (
	"context"
	"errors"
	"fmt"
)

// Verdict is what Compare found about one table.
type Verdict string

const (
	VerdictIdentical     Verdict = "identical"      // both sides are the same, as far as Depth goes
	VerdictPending       Verdict = "pending"        // rows differ, and the next cycle sends them or the whole table
	VerdictDifferent     Verdict = "different"      // rows differ, and not all are known to be pending
	VerdictMissing       Verdict = "missing"        // only the source has the table
	VerdictExtra         Verdict = "extra"          // only the mirror has the table; the next cycle drops it
	VerdictSchemaDiffers Verdict = "schema-differs" // columns or keys differ; rows are compared by what both sides have
	VerdictNotMirrored   Verdict = "not-mirrored"   // never mirrored, or skipped by request
	VerdictIncomparable  Verdict = "incomparable"   // rows cannot be compared; the Reason says why
	VerdictFailed        Verdict = "failed"         // reading failed; Err and Reason say why
	VerdictUnfinished    Verdict = "unfinished"     // stopped before the table's end; Err and Reason say by what
)

// LSNState is what a source's change tracking makes of a table's LSN.
type LSNState string

// The states of an LSN; "" is a valid one, or one that nothing is known about.
const (
	// LSNExpired: the changes since the LSN are no longer known. What differs is unknown
	// until a cycle was seen to populate the table, which only a reset makes sure of.
	LSNExpired LSNState = "expired"
	// LSNAhead: the source has not got that far, so it was restored from an older
	// backup. The table needs a reset: once the source has passed the LSN, the
	// Mirroring Task no longer notices.
	LSNAhead LSNState = "ahead"
)

var verdicts = []Verdict{VerdictIdentical, VerdictPending, VerdictDifferent, VerdictSchemaDiffers, VerdictMissing,
	VerdictExtra, VerdictIncomparable, VerdictFailed, VerdictUnfinished, VerdictNotMirrored}

// Identical reports whether every table that is mirrored was compared to the end
// and found identical, as far as Depth goes. It is false when no table was
// compared, with Mistakes, and when at DepthRows a column was left out that
// IgnoreColumns does not name: of a type that cannot be compared, computed by the
// database, or a rowversion.
func (r *Report) Identical() bool {
	return r.verdictsIdentical() && r.leftOut() == 0
}

// leftOut is how many columns were left out that nobody asked to leave out.
func (r *Report) leftOut() (n int) {
	for i := range r.Tables {
		if t := &r.Tables[i]; r.Depth == DepthRows && t.compared() {
			for _, o := range t.NotCompared {
				if !o.Requested {
					n++
				}
			}
		}
	}
	return n
}

// compared reports whether a table was compared to the end on both sides.
func (t *TableReport) compared() bool {
	switch t.Verdict {
	case VerdictIdentical, VerdictPending, VerdictDifferent:
		return true
	case VerdictSchemaDiffers:
		return t.Reason == ""
	default:
		return false
	}
}

// measure sums up what was compared.
func (r *Report) measure() {
	r.Scope.Compared, r.Scope.LeftOut = 0, r.leftOut()
	for i := range r.Tables {
		if r.Tables[i].compared() {
			r.Scope.Compared++
		}
	}
}

// verdictsIdentical reports whether every verdict is that nothing differs.
func (r *Report) verdictsIdentical() bool {
	identical := false
	for _, t := range r.Tables {
		switch t.Verdict {
		case VerdictIdentical:
			identical = true
		case VerdictNotMirrored:
		default:
			return false
		}
	}
	return identical && !r.Incomplete && len(r.Mistakes) == 0
}

// Err returns an error that names every mistake about the databases (see
// Mistakes), which is ErrWrongDatabase, and every table that could not be compared,
// wrapping its error, or how many there are that one reason kept from it; nil when
// there is none. It is a [LimitError] as well when so much differs that the source may
// be the wrong database. Stale says nothing about such tables.
//
// A side that lacks at least a quarter of the tables that the metadata table lists
// and the other side has, and at least 3, is such a mistake. Tables that are left out
// by Tables or SkipTables do not count.
func (r *Report) Err() error { return r.ErrWith(r.Plan().suspicion()) }

// Wrong returns the part of Err that is ErrWrongDatabase, nil for none.
func (r *Report) Wrong() error {
	if err := wrong(r.Mistakes); err != nil {
		return fmt.Errorf("comparison of %s: %w", r.ContextID, err)
	}
	return nil
}

// ErrWith is Err with what [Plan.CheckRows] found by other limits than the default,
// which may be nil.
func (r *Report) ErrWith(tooMuch error) error {
	var all error
	for _, err := range []error{r.Wrong(), tooMuch, r.failed()} {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// failed names the tables that could not be compared.
func (r *Report) failed() error {
	var errs, stops []error
	stopped := map[string][]string{} // tables, by why they were not reached
	for _, t := range r.Tables {
		switch {
		case t.Verdict == VerdictUnfinished:
			err := t.Err
			if err == nil {
				err = errors.New(t.Reason)
			}
			if stopped[err.Error()] == nil {
				stops = append(stops, err)
			}
			stopped[err.Error()] = append(stopped[err.Error()], t.Table)
		case t.Err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", t.Table, t.Err))
		case t.Verdict == VerdictFailed, t.Verdict == VerdictIncomparable:
			errs = append(errs, fmt.Errorf("%s: %s", t.Table, t.Reason))
		}
	}
	failed := len(errs)
	for _, err := range stops {
		tables := stopped[err.Error()]
		failed += len(tables)
		if len(tables) > 1 {
			errs = append(errs, fmt.Errorf("%d unfinished: %w", len(tables), err))
		} else {
			errs = append(errs, fmt.Errorf("%s: %w", tables[0], err))
		}
	}
	switch {
	case errs != nil:
		return fmt.Errorf("comparison of %s: %d of %d tables were not compared: %w",
			r.ContextID, failed, len(r.Tables), errors.Join(errs...))
	case r.Incomplete:
		return fmt.Errorf("comparison of %s was stopped before any table was compared", r.ContextID)
	default:
		return nil
	}
}

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
		p.populated = true
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

// differences is how many rows differ; at DepthCount it is by how many rows the
// sides differ at least.
func (t *TableReport) differences() int64 {
	n := t.DifferingRows()
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
	t.ChangedColumns, t.Samples, t.Differences, t.Stretches, t.Range = nil, nil, nil, nil, nil
}
