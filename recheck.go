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

// RecheckOptions configure [Mirror.Recheck]. Zero values are defaults.
type RecheckOptions struct {
	// Cycles is how many cycles must be seen to end after the comparison before a
	// difference that is still the same has diverged: by the table's own LSN, or by one
	// other's that moved once more often, because a cycle sends one table after the
	// other. Default: 2, as the first may have begun before the rows were read.
	Cycles int

	// After is the time since the comparison after which a difference that is still
	// the same has diverged, whether cycles were seen or not. Default: no such time,
	// because the Mirroring Task rests at night and during maintenance.
	After time.Duration
}

const defaultCycles = 2

// Recheck reads the keys that differed in report once more and returns a report
// with what is known by now; report itself stays as it is. It is for sources
// without change tracking, where Compare cannot tell what is pending; where the
// source tracks changes they are asked for at once. Call it after each cycle until
// [Report.Unknown] is 0.
//
// A key whose rows are equal by now was pending. One with the same difference has
// diverged when enough cycles or time passed since the comparison (see RecheckOptions);
// in a table whose LSN has expired it stays unknown, until a cycle moved that. Columns
// or a key that differ as before have stayed then (see TableReport.Stayed). Keys beyond
// CompareOptions.MaxKeys stay unknown, and what was pending because the LSN was -1 is
// unknown again as soon as the LSN is another, whoever wrote that.
//
// Counts and samples of differing rows stay those of the comparison; their states,
// Pending, Diverged and the verdicts follow what was found out. A table that is there
// by now, or has other columns, is VerdictUnfinished: compare it again. A report of
// another customer, or one that was damaged, is ErrInvalidDocument; a source that the
// report is not about, as far as it is a [store.Identifier], is ErrWrongDatabase, and
// so is what Compare refuses.
func (m *Mirror) Recheck(ctx context.Context, source store.Source, report *Report, opts *RecheckOptions) (*Report, error) {
	if source == nil || report == nil {
		return nil, errors.New("recheck: source or report is nil: pass those of the comparison")
	}
	if !sameCustomer(report.ContextID, m.contextID) {
		return nil, document(fmt.Sprintf("recheck: the report is of %q, not of %q", text.Clip(report.ContextID, text.MaxName), m.contextID))
	}
	if report.Version != reportVersion {
		return nil, document(fmt.Sprintf("recheck: the report has version %d, want %d: compare again", report.Version, reportVersion))
	}
	seen := map[string]bool{}
	for i := range report.Tables {
		err := report.Tables[i].check()
		if folded := store.FoldName(report.Tables[i].Table); err == nil && seen[folded] {
			err = errors.New("it is there twice")
		} else {
			seen[folded] = true
		}
		if err != nil {
			return nil, document(fmt.Sprintf("recheck: the report of table %q was damaged: %v: compare again", text.Clip(report.Tables[i].Table, text.MaxName), err))
		}
	}
	var o RecheckOptions
	if opts != nil {
		o = *opts
	}
	if o.Cycles < 0 || o.After < 0 {
		return nil, errors.New("recheck: Cycles and After cannot be negative")
	}
	if o.Cycles == 0 {
		o.Cycles = defaultCycles
	}
	if _, err := store.ConnectionLimit(source, m.store); err != nil {
		return nil, fmt.Errorf("recheck: %w", err)
	}
	out := report.clone()
	c, pairs, now, err := m.revisit(ctx, source, report)
	if err == nil {
		err = c.readVersion(ctx, out, pairs)
	}
	if err != nil {
		return nil, store.WrapError(ctx, err, "recheck "+m.contextID)
	}
	out.Source, out.Mirror, out.Mistakes = now.Source, now.Mirror, now.Mistakes
	for i := range out.Tables {
		t := &out.Tables[i]
		p, _ := c.pairOf(pairs, t)
		t.look(p.lsn)
		t.LSN, t.HasMetadata, t.MetadataRows, t.trace.MetadataSum, t.MetadataDoubt = p.lsn, p.hasMetadata, p.metadataRows, p.metadataSum, p.metadataDoubt
	}
	late := o.After > 0 && m.clock.Now().Sub(report.Finished) >= o.After
	for i := range out.Tables {
		t := &out.Tables[i]
		p, ok := c.pairOf(pairs, t)
		if !ok || p.Source == nil || p.Mirror == nil {
			continue
		}
		stays := late || out.cycles(i) >= o.Cycles
		if recheckSchema(p, t, stays); !t.open() {
			continue
		}
		err := c.recheckTable(ctx, p, t, stays)
		if errors.Is(err, errPopulated) {
			t.Warning = err.Error() + ": compare it again"
			t.forgetStates()
			t.decide()
			continue
		}
		if err != nil {
			return nil, store.WrapError(ctx, err, "recheck "+t.Table)
		}
	}
	out.Rechecked = m.clock.Now().UTC()
	return out, nil
}

// revisit begins a comparison with the options of report, of which single keys
// are read again. Now is what is known before the first row is read.
func (m *Mirror) revisit(ctx context.Context, source store.Source, report *Report) (c *comparison, pairs []pair, now Report, err error) {
	c = m.newComparison(source, CompareOptions{
		IgnoreColumns: report.IgnoreColumns, SchemaPrefixes: report.SchemaPrefixes, LooseTypes: report.LooseTypes,
		SourceIsCopy: report.SourceIsCopy,
	}, nil)
	c.chosen = map[string]bool{}
	for _, t := range report.Tables {
		c.chosen[store.FoldName(c.trimPrefix(t.Table))] = t.Verdict != VerdictNotMirrored
	}
	if pairs, err = c.match(ctx, &now); err == nil {
		err = report.sameSides(now.Source, now.Mirror)
	}
	return c, pairs, now, err
}

// Unchanged reads up to limit keys of a table that had diverged in report once
// more, and counts those that it could read and those that still have the same
// difference: a table that a cycle has populated since has none of them.
func (m *Mirror) Unchanged(ctx context.Context, source store.Source, report *Report, table string, limit int) (read, same int, err error) {
	if source == nil || report == nil {
		return 0, 0, errors.New("read keys again: source or report is nil: pass those of the comparison")
	}
	if !sameCustomer(report.ContextID, m.contextID) {
		return 0, 0, document(fmt.Sprintf("read keys again: the report is of %q, not of %q", text.Name(report.ContextID), m.contextID))
	}
	defer func() { err = store.WrapError(ctx, err, "read keys again") }()
	tr := report.Table(table)
	if tr == nil {
		return 0, 0, nil
	}
	c, pairs, _, err := m.revisit(ctx, source, report)
	if err != nil {
		return 0, 0, err
	}
	p, ok := c.pairOf(pairs, tr)
	if !ok || p.Source == nil || p.Mirror == nil {
		return 0, 0, nil
	}
	r := c.rereadOf(p)
	if r == nil {
		return 0, 0, nil
	}
	for i := range tr.Differences {
		if tr.Differences[i].State != DiffDiverged || read >= limit {
			continue
		}
		key, _, still, err := r.again(ctx, &tr.Differences[i])
		if err != nil {
			return 0, 0, err
		}
		if key == nil {
			continue
		}
		read++
		if still {
			same++
		}
	}
	return read, same, nil
}

// pairOf finds the pair of a table's report.
func (c *comparison) pairOf(pairs []pair, t *TableReport) (pair, bool) {
	folded := store.FoldName(c.trimPrefix(t.Table))
	i := slices.IndexFunc(pairs, func(p pair) bool { return store.FoldName(p.Name) == folded })
	if i < 0 {
		return pair{}, false
	}
	return pairs[i], true
}

// rereadOf returns what reads single keys of a table again, nil when its keys do not
// mean the same on both sides.
func (c *comparison) rereadOf(p pair) *reread {
	if !p.Plan.Ranged || p.Plan.Incomparable != "" {
		return nil
	}
	return &reread{table: &p.Plan.Table, run: c.engine.Table(p.Plan.Table)}
}

// reread reads single keys of a table again.
type reread struct {
	table *diff.Table
	run   *diff.Run

	last  store.Row // that was read, and what was found
	found diff.Findings
}

// again reads a key that differed once more: whether it differs by now, and
// whether it does as before. The key is nil when the table has another one now.
func (r *reread) again(ctx context.Context, d *Difference) (key store.Row, differs, same bool, err error) {
	key, err = r.table.KeyOf(d.Key)
	if err != nil || key == nil {
		return nil, false, false, nil //nolint:nilerr // it is no error that a key changed
	}
	// Many differences can share a key, which is then read once.
	if r.last == nil || r.table.Order(r.last, key) != 0 {
		found, err := compareAgain(ctx, r.run, key)
		if err != nil {
			return key, false, false, err
		}
		r.last, r.found = key, found
	}
	same = slices.ContainsFunc(r.found.Keys, func(f diff.Difference) bool { return f.Kind == diff.Kind(d.Kind) && f.Sum == d.Sum })
	return key, len(r.found.Keys) > 0, same, nil
}

// clone returns a copy whose tables can be changed.
func (r *Report) clone() *Report {
	out := *r
	out.Tables, out.Warnings = slices.Clone(r.Tables), slices.Clone(r.Warnings)
	for i := range out.Tables {
		t := &out.Tables[i]
		t.Differences, t.Samples, t.Stretches = slices.Clone(t.Differences), slices.Clone(t.Samples), slices.Clone(t.Stretches)
	}
	return &out
}

// look notes the LSN of now. The first look only begins the counting, and an LSN
// that comes from -1, or goes there, tells of a reset and not of a cycle that
// came by itself. What the -1 promised is unknown again when it is gone: a cycle
// may have populated the table, or written its own LSN over it.
func (t *TableReport) look(now *store.LSN) {
	was := t.trace.LastLSN
	t.trace.LastLSN = now
	if t.fellBehind(now) {
		t.trace.standing = standing{} // what was compared is sent anew
	}
	switch {
	case was == nil || now == nil:
	case *was >= 0 && *now > *was:
		t.trace.Moves++
	case *was >= 0 && *now == store.ResendAll:
		t.trace.ResetFrom = was
	case *was == store.ResendAll && *now >= 0:
		if t.trace.ResetFrom != nil && *now > *t.trace.ResetFrom { // not by an Undo
			t.Populated++
		}
		t.trace.ResetFrom = nil
		switch t.Verdict {
		case VerdictDifferent, VerdictPending, VerdictSchemaDiffers:
			t.forgetStates()
			t.decide()
		}
	}
}

// recheckSchema looks at the definitions of a table once more.
func recheckSchema(p pair, t *TableReport, stays bool) {
	again := func(why string) {
		t.Verdict, t.Reason = VerdictUnfinished, why+": compare it again"
	}
	switch t.Verdict {
	case VerdictMissing:
		again("it is there by now")
	case VerdictSchemaDiffers:
		if !slices.Equal(schemaOf(p.Plan), t.Schema) {
			again("its columns or key are others by now")
			return
		}
		t.Stayed = t.Stayed || stays && !t.ResetRequested()
	}
}

// cycles returns how many cycles have certainly sent table i since the
// comparison, the one that may have begun before it included.
func (r *Report) cycles(i int) int {
	n := r.Tables[i].trace.Moves
	for j, t := range r.Tables {
		if j != i {
			n = max(n, t.trace.Moves-1)
		}
	}
	return n
}

// open reports whether there are differences that nothing is known about.
func (t *TableReport) open() bool {
	switch t.Verdict {
	case VerdictDifferent, VerdictPending, VerdictSchemaDiffers:
		return slices.ContainsFunc(t.Differences, func(d Difference) bool { return d.State == DiffUnknown })
	default:
		return false
	}
}

// Waits reports whether a Recheck may find out what the table needs.
func (t *TableReport) Waits() bool {
	if !t.HasMetadata || t.MetadataRows > 1 || t.ResetRequested() {
		return false
	}
	switch t.Verdict {
	case VerdictDifferent:
		return t.Diverged == 0 && t.LSNState == "" && t.open()
	case VerdictSchemaDiffers:
		return !t.Stayed && t.Populated == 0
	default:
		return false
	}
}

// recheckTable reads the keys of unknown state again. Stays says that the same
// difference has diverged.
func (c *comparison) recheckTable(ctx context.Context, p pair, t *TableReport, stays bool) error {
	r := c.rereadOf(p)
	if r == nil {
		return nil
	}
	var err error
	if p.state, err = c.lsnState(ctx, p); err != nil {
		return err
	}
	t.LSNState = p.state
	k := c.trackingOf(p, t)
	found := diff.Findings{Keys: make([]diff.Difference, len(t.Differences))}
	var open, unchanged []diff.Open
	for i := range t.Differences {
		d := &t.Differences[i]
		found.Keys[i] = diff.Difference{Kind: diff.Kind(d.Kind), State: diff.State(d.State), Rows: d.Rows}
		if d.State != DiffUnknown {
			continue
		}
		key, differs, same, err := r.again(ctx, d)
		if err != nil {
			return err
		}
		switch o := found.OpenKey(i, key); {
		case key == nil: // the table has another one by now
		case !differs:
			found.Settle(o, diff.Arrived)
		case k != nil:
			open = append(open, o)
		case same && stays && t.LSNState != LSNExpired:
			unchanged = append(unchanged, o)
		}
	}
	if len(unchanged) > 0 {
		settled, err := c.settled(ctx, p)
		if err != nil {
			return err
		}
		for _, o := range unchanged {
			if settled {
				found.Settle(o, diff.Diverged)
			}
		}
	}
	if k != nil {
		k.run = r.run
		if err := k.settler().Settle(ctx, &found, open); err != nil {
			return err
		}
	}
	before := make([]DiffState, len(t.Differences))
	for i, d := range found.Keys {
		before[i], t.Differences[i].State = t.Differences[i].State, DiffState(d.State)
	}
	t.settleStretches(r.table, before)
	t.Pending += found.Pending
	t.Diverged += found.Diverged
	if k != nil {
		if err := k.finish(t); err != nil {
			return err
		}
	}
	for i := range t.Samples {
		s := &t.Samples[i]
		// Samples are cut, so two of them can look alike: the sum tells.
		for _, d := range t.Differences {
			if d.Kind == s.Kind && d.Sum == s.Sum {
				s.State = d.State
			}
		}
	}
	t.decide()
	return nil
}

// settled reports whether the table was in nobody's hands while its keys were
// read: its LSN is valid, and the one from before. Without one the next cycle
// sends all of it. A replica has no LSNs at all.
func (c *comparison) settled(ctx context.Context, p pair) (bool, error) {
	if p.metadataDoubt != "" {
		return false, nil
	}
	if c.metadata == nil {
		return true, nil
	}
	if p.lsn == nil || *p.lsn < 0 {
		return false, nil
	}
	lsn, err := c.lsnOf(ctx, p)
	return lsn != nil && *lsn == *p.lsn, err
}
