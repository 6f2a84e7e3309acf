package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Basis says what the report of a table rests on, in a comparison with
// CompareOptions.Since.
type Basis struct {
	// AllRows is when all rows were compared last, in one comparison: samples do not
	// move it. Reason says why that was done now, "" when it was not.
	AllRows time.Time `json:"allRows"`
	Reason  string    `json:"reason,omitempty"`

	// Keys is how many keys were read by themselves: those that changed, and those
	// that differed. Sampled is how many rows of the source were read anew besides,
	// and NotSampled why none could be.
	Keys       int64  `json:"keys,omitempty"`
	Sampled    int64  `json:"sampled,omitempty"`
	NotSampled string `json:"notSampled,omitempty"`

	// MirrorTracked says that the mirror's own changes are tracked, too. Otherwise a
	// change that somebody made there after AllRows is not seen, unless its row was
	// sampled since or changed at the source; nor is a row that was lost when the table
	// was reset and filled between two comparisons.
	MirrorTracked bool `json:"mirrorTracked,omitempty"`
}

// standing is what a later comparison has to know of this one of a table, to read
// only what changed since.
type standing struct {
	Plan          string       `json:"plan,omitempty"`          // see planSum
	Version       *store.LSN   `json:"version,omitempty"`       // of the source, before its rows were read
	MirrorVersion *store.LSN   `json:"mirrorVersion,omitempty"` // nil when the mirror's changes are not tracked
	AllRows       time.Time    `json:"allRows,omitzero"`        // when all rows were read
	Sample        []store.Cell `json:"sample,omitempty"`        // the key at which the next sample begins; nil: the first
}

// stand notes what p was compared by, when all of its rows are.
func (c *comparison) stand(p pair, tr *TableReport) {
	if c.changes == nil || !p.Plan.Ranged {
		return
	}
	version := p.version
	tr.trace.standing = standing{Plan: c.planSum(p), Version: &version, AllRows: c.started}
	if c.mirrorChanges != nil {
		mirror := c.mirrorVersion
		tr.trace.MirrorVersion = &mirror
	}
}

// readMirrorVersion asks a mirror with change tracking for its version, before a row
// is read.
func (c *comparison) readMirrorVersion(ctx context.Context) {
	tracker, ok := c.m.store.(store.ChangeTracker)
	if !ok || c.changes == nil {
		return
	}
	if version, err := tracker.Version(ctx); err == nil {
		c.mirrorChanges, c.mirrorVersion = tracker, version
	}
}

// otherSides says why a report is not about these two databases, "" when it surely is.
func (c *comparison) otherSides(r *Report) string {
	for _, s := range []struct {
		name      string
		then, now Side
	}{{"source", r.Source, c.sourceSide}, {"mirror", r.Mirror, c.mirrorSide}} {
		switch {
		case s.then.ID == "" || s.now.ID == "":
			return fmt.Sprintf("it cannot be told whether the %s is the database of the earlier report", s.name)
		case s.then.ID != s.now.ID:
			return fmt.Sprintf("the earlier report is about another %s%s", s.name, s.then.where(": "))
		}
	}
	return ""
}

// since returns the earlier report of a table, and what changed in the mirror after it,
// or why all rows have to be compared.
func (c *comparison) since(ctx context.Context, p pair) (then *TableReport, mirrored list, why string, err error) {
	r := c.opts.Since
	if why := c.otherSides(r); why != "" {
		return nil, nil, why, nil
	}
	if then = r.Table(p.Name); then == nil && p.Mirror != nil {
		then = r.Table(p.Mirror.Name)
	}
	if then == nil {
		return nil, nil, "the earlier report does not have the table", nil
	}
	kept := int64(0)
	for _, d := range then.Differences {
		kept += d.Rows
	}
	was := then.trace.standing
	switch {
	case c.changes == nil:
		return nil, nil, c.untracked, nil
	case !p.Plan.Ranged:
		return nil, nil, p.Plan.Unranged(), nil
	case !sameTables(p, then):
		return nil, nil, "the earlier report is of another table of that name", nil
	case !slices.Contains([]Verdict{VerdictIdentical, VerdictDifferent, VerdictPending, VerdictSchemaDiffers}, then.Verdict) || then.Truncated || was.Version == nil:
		return nil, nil, "the earlier report is not of all rows", nil
	case was.Plan != c.planSum(p):
		return nil, nil, "its columns, its key or the options changed", nil
	case kept < then.DifferingRows():
		return nil, nil, "the earlier report does not have all keys that differ: raise MaxKeys", nil
	case !sameKey(p.Source.Key, p.Mirror.Key):
		return nil, nil, "the mirror's table does not have the primary key", nil
	case *was.Version > p.version:
		return nil, nil, "the source was restored: its version is before that of the earlier report", nil
	case c.sentAnew(p, then):
		return nil, nil, sentAnew, nil
	}
	least, err := c.changes.MinValidVersion(ctx, *p.Source)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, nil, untracked, nil
	case err != nil:
		return nil, nil, "", err
	case *was.Version < least:
		return nil, nil, "the changes since the earlier report are no longer known", nil
	case then.LSN != nil && *then.LSN < least && *p.lsn > *then.LSN: // a cycle that finds it so wipes the table
		return nil, nil, sentAnew + ", as its LSN was too old", nil
	}
	if mirrored, why, err = c.mirrorListing(ctx, p, was.MirrorVersion); why != "" || err != nil {
		return nil, nil, why, err
	}
	return then, mirrored, "", nil
}

const (
	sentAnew  = "the table is or was sent anew"
	untracked = "the source does not track its changes"
)

// sentAnew reports whether all of a table may have been sent since an earlier report,
// or is being sent: a cycle can stop in the middle of that.
func (c *comparison) sentAnew(p pair, then *TableReport) bool {
	if p.lsn == nil && (c.metadata != nil || c.unread != "") { // a replica has none
		return true
	}
	return p.populated || p.requested() || then.ResetRequested() || then.fellBehind(p.lsn)
}

// fellBehind reports whether the LSN of now cannot have come by changes alone from that
// of the report.
func (t *TableReport) fellBehind(now *store.LSN) bool {
	return t.requested() || (t.LSN == nil) != (now == nil) || now != nil && *now < *t.LSN
}

// requested reports whether the LSN asked for the whole table when it was compared.
func (t *TableReport) requested() bool { return t.LSN != nil && *t.LSN == store.ResendAll }

// sameTables reports whether an earlier report is of the mirror's table: of two that
// differ in their prefix one can be gone by now.
func sameTables(p pair, then *TableReport) bool {
	return store.FoldName(then.MirrorName) == store.FoldName(p.Mirror.String())
}

// sameKey reports whether two tables have one primary key.
func sameKey(a, b []string) bool {
	return slices.EqualFunc(a, b, func(a, b string) bool { return store.FoldName(a) == store.FoldName(b) })
}

// mirrorListing lists what changed in the mirror, nil where that was not tracked then.
func (c *comparison) mirrorListing(ctx context.Context, p pair, since *store.LSN) (changed list, why string, err error) {
	if since == nil {
		return nil, "", nil
	}
	why = "the changes in the mirror since the earlier report are no longer known"
	if c.mirrorChanges == nil || *since > c.mirrorVersion {
		return nil, why, nil
	}
	least, err := c.mirrorChanges.MinValidVersion(ctx, *p.Mirror)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, why, nil
	case err != nil:
		return nil, "", fmt.Errorf("mirror: %w", err)
	case *since < least:
		return nil, why, nil
	}
	return listing(c.mirrorChanges, *p.Mirror, *since), "", nil
}

type list = func(ctx context.Context, after store.Row, n int) ([]store.Row, error)

func listing(tracker store.ChangeTracker, t store.Table, since store.LSN) list {
	return func(ctx context.Context, after store.Row, n int) ([]store.Row, error) {
		return tracker.ChangedKeys(ctx, t, since, after, n)
	}
}

// differed lists the keys that differed then.
func differed(run *diff.Run, then *TableReport) (list, error) {
	var keys []store.Row
	for _, d := range then.Differences {
		key, err := run.KeyOf(d.Key)
		if err != nil {
			return nil, document(fmt.Sprintf("since: the report of table %q was damaged: %v: compare without it", text.Clip(then.Table, text.MaxName), err))
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, run.Order)
	return func(_ context.Context, after store.Row, n int) ([]store.Row, error) {
		for len(keys) > 0 && after != nil && run.Order(keys[0], after) <= 0 {
			keys = keys[1:]
		}
		page := keys[:min(n, len(keys))]
		keys = keys[len(page):]
		return page, nil
	}, nil
}

// compareSince compares the rows of a table that may have changed since an earlier
// report, and takes over the rest of that.
func (c *comparison) compareSince(ctx context.Context, r *running, then *TableReport, mirrored list, tr *TableReport) error {
	p, was := r.p, then.trace.standing
	old, err := differed(r.run, then)
	if err != nil {
		return err
	}
	from, err := r.run.KeyOf(was.Sample)
	if err != nil {
		from = nil // the key has another type by now: the pass begins anew
	}
	s := diff.Since{Listings: []list{listing(c.changes, *p.Source, *was.Version), old}, From: from, Rows: c.opts.SinceRows}
	if mirrored != nil {
		s.Listings = append(s.Listings, mirrored)
	}
	found, err := r.run.CompareSince(ctx, s)
	if err != nil && !errors.Is(err, diff.ErrEnough) {
		return err
	}
	tr.fill(found.Findings, p.Plan.Source.Columns)
	tr.locate(r.run, then.Range)
	tr.Truncated = errors.Is(err, diff.ErrEnough)
	tr.RowBytes = then.RowBytes
	tr.SourceRows, tr.MirrorRows = then.SourceRows, then.SourceRows
	if tr.DifferingRows() > 0 {
		// What share of the rows differs decides whether anything is repaired.
		if err := c.count(ctx, p, tr); err != nil {
			return err
		}
		tr.SourceRows = max(tr.SourceRows, tr.Missing+tr.Changed) // they are counted later than the differences
		tr.MirrorRows = max(tr.MirrorRows, tr.Extra+tr.Changed+tr.Duplicate)
	}
	tr.Basis = &Basis{AllRows: was.AllRows, Keys: found.Keys, Sampled: found.Rows, NotSampled: found.NoRange, MirrorTracked: mirrored != nil}
	c.stand(p, tr)
	tr.trace.AllRows, tr.trace.Sample = was.AllRows, nil
	if found.Next != nil {
		tr.trace.Sample = r.run.KeyCells(found.Next)
	} else if c.opts.SinceRows == 0 {
		tr.trace.Sample = was.Sample
	}
	if mirrored == nil {
		// What changed there until now stays unknown, also to who asks next time.
		tr.trace.MirrorVersion = nil
	}
	return r.finish(tr, nil)
}

// checkSince refuses a report that a comparison cannot go by.
func (r *Report) checkSince(contextID string) error {
	switch {
	case r.Version != reportVersion:
		return document(fmt.Sprintf("since: the report has version %d, want %d: compare without it", r.Version, reportVersion))
	case !sameCustomer(r.ContextID, contextID):
		return document(fmt.Sprintf("since: the report is of %q, not of %q", text.Clip(r.ContextID, text.MaxName), contextID))
	}
	for i := range r.Tables {
		if err := r.Tables[i].check(); err != nil {
			return document(fmt.Sprintf("since: the report of table %q was damaged: %v: compare without it", text.Clip(r.Tables[i].Table, text.MaxName), err))
		}
	}
	return nil
}

// warnSince says once what the report does not see.
func (r *Report) warnSince() {
	n := 0
	var first time.Time
	for _, t := range r.Tables {
		if b := t.Basis; b != nil && b.Reason == "" && !b.MirrorTracked {
			n++
			if first.IsZero() || b.AllRows.Before(first) {
				first = b.AllRows
			}
		}
	}
	if n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("of %s only the rows were read that changed at the source: a change that was made in the mirror itself since %s would not be seen there, unless its row was sampled",
			plural(n, "table", "tables"), first.UTC().Format(time.DateTime+" UTC")))
	}
}
