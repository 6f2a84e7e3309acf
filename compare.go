package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Depth says how far a comparison goes.
type Depth string

// The depths.
const (
	// DepthSchema compares which tables exist and their columns and keys.
	DepthSchema Depth = "schema"

	// DepthCount also compares numbers of rows.
	DepthCount Depth = "count"

	// DepthRows also compares every row by value. It is the default.
	DepthRows Depth = "rows"
)

// Strategy says how the rows of a table are compared.
type Strategy string

// The strategies.
const (
	// StrategyStream fetches all rows from both sides and compares them by
	// value. It is exact, and the default.
	StrategyStream Strategy = "stream"

	// StrategyDigest has both sides summarise ranges of rows where they are
	// stored and fetches only ranges that differ (see Digester). Differences
	// are found on rows, so they are exact; that a range is equal holds but for
	// a probability of 2^-64. Tables that cannot be digested are streamed.
	StrategyDigest Strategy = "digest"

	// StrategyAuto streams the first two seconds of a table, digests a part
	// of what follows, and goes on with what is faster.
	StrategyAuto Strategy = "auto"
)

// CompareOptions configure [Mirror.Compare]. The zero value of each field is
// its default.
type CompareOptions struct {
	// Tables are the tables to compare. A name that neither side has is
	// ErrTableNotFound, and an empty list that is not nil is ErrNoTables.
	// Default, and what AllTables() stands for: all tables of both sides, less
	// those that are never mirrored (see BlockedTables).
	Tables []string

	// SkipTables are tables that the customer excludes from mirroring: the
	// preference SkipTable in the section Mirroring. Default: none.
	SkipTables []string

	// IgnoreColumns are columns to leave out, as "column" for every table or
	// "table.column" for one. Default: none.
	IgnoreColumns []string

	// SchemaPrefixes are prefixes of table names that do not count when the
	// tables of the two sides are matched, such as "crm7." and "dbo.".
	// Default: none.
	SchemaPrefixes []string

	// SourceIsCopy says that the source is another copy of the customer's
	// database, a mirror or a replica. Default: a source that has a metadata
	// table or _ReplicationState is ErrWrongDatabase.
	SourceIsCopy bool

	// LooseTypes allows columns of the two sides to differ in type, length
	// and nullability as long as their values are of one Kind, as they do
	// between an old mirror and a replica. Default: such a difference is
	// VerdictSchemaDiffers.
	LooseTypes bool

	// Depth says how far to go. Default: DepthRows.
	Depth Depth

	// Strategy says how rows are compared. Default: StrategyStream.
	Strategy Strategy

	// DigestRows is how many rows one digest covers at first; a range that
	// differs is looked at in pieces of a 32nd of that. Default: 16,384.
	DigestRows int64

	// MaxDifferences stops the comparison of a table's rows after so many
	// that differ and are not Pending. The table's counts of differences are
	// then lower bounds (see TableReport.Truncated); its numbers of rows
	// stay exact. Default: no limit.
	MaxDifferences int64

	// MaxKeys is how many differing keys of a table the report keeps, for
	// Recheck; a negative number means none. Default: 1000.
	MaxKeys int

	// MaxSamples bounds the sample of differing rows of each table; a
	// negative number means no sample. Counts are always exact. Default: 10.
	MaxSamples int

	// Concurrency is how many tables are read at the same time, each with one
	// connection to either side. Default: 2.
	Concurrency int

	// SplitRows cuts a table into key ranges of so many rows, which are
	// compared at the same time as far as Concurrency leaves room. It pays
	// where both servers have cores to spare, and costs one more scan of the
	// source's keys. The source must be a Digester. Default: no splitting.
	SplitRows int64

	// MaxRowsPerSecond bounds how many rows a second are read from each side,
	// all tables together. Default: no limit.
	MaxRowsPerSecond int64

	// MaxDuration is how long the comparison may take. Tables that are not
	// compared by then are VerdictUnfinished, and the report's Checkpoint says
	// how to go on; up to CheckpointEvery of the work is done again. It is no
	// error of Compare, but one of [Report.Err], which wraps ErrTimeBudget.
	// Default: no limit.
	MaxDuration time.Duration

	// Resume continues a comparison that was stopped, from its Checkpoint. A
	// table whose LSN fell since then, or whose columns changed, starts anew.
	// Default: everything is compared.
	Resume *Checkpoint

	// OnCheckpoint is called about every CheckpointEvery with what a later
	// call can resume from, from one goroutine at a time. Default: not at all.
	OnCheckpoint func(*Checkpoint)

	// CheckpointEvery is the time between two checkpoints. Default: 10 s.
	CheckpointEvery time.Duration
}

const (
	defaultMaxSamples  = 10
	defaultConcurrency = 2
	defaultMaxKeys     = 1000
	defaultDigestRows  = 16 << 10
	maxDigestRows      = 1 << 40 // times the number of ranges it is still a number

	defaultCheckpointEvery = 10 * time.Second
)

// Compare compares the mirror with source, which is the customer's database or
// another copy of it, and writes to neither.
//
// Rows are compared by value, in key order, while both sides stream (see
// Strategy for another way). A table without a primary key is compared as a
// multiset: each row and how often it occurs. One table's failure is its verdict
// and does not stop the others.
//
// A mirror lags by design: a row that differs may be waiting for the next cycle.
// When source is a ChangeTracker, Compare tells such rows from those that no
// cycle repairs (see DiffState), also while a cycle runs. Without change tracking
// it cannot: see [Mirror.Recheck].
//
// Memory does not grow with the tables. Each of the Concurrency readings holds
// at most four batches of either side, which are 128 rows or 1 MiB and a row in
// the stores of this module, and 4 MiB of keys to be classified. The report holds
// at most 16 MiB of values of differing rows; further ones are only counted.
//
// A nil error does not mean that every table could be compared: see
// [Report.Err] and [Report.Identical]. When ctx is done Compare returns
// ctx.Err() together with a report of what is known; unless all was compared it
// is Incomplete, and the rest of the tables are VerdictUnfinished. A table of
// opts.Tables that neither side has is an *Error with ErrTableNotFound, an empty
// list ErrNoTables.
//
// Nothing is compared, and the error is ErrWrongDatabase, when both sides are the
// same database (see Identifier), the source is a mirror or a replica and
// opts.SourceIsCopy is not set, the source is the mirror of another customer, it
// has no tables, or the two sides have none in common. A mirror without tables
// that waits for its first cycle is no mistake.
func (m *Mirror) Compare(ctx context.Context, source store.Source, opts *CompareOptions) (*Report, error) {
	if source == nil {
		return nil, errors.New("compare: source is nil: pass the customer's database or another copy of it")
	}
	var o CompareOptions
	if opts != nil {
		o = *opts
	}
	if err := o.fill(); err != nil {
		return nil, err
	}
	limit, err := store.ConnectionLimit(source, m.store)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	if o.Resume != nil {
		if err := o.Resume.check(m.contextID); err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
	}
	caller := ctx
	if o.MaxDuration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.MaxDuration, fmt.Errorf("%w after %s", ErrTimeBudget, Duration(o.MaxDuration)))
		defer cancel()
	}
	c := m.newComparison(source, o)
	c.slots = make(chan struct{}, min(o.Concurrency, limit))
	report := &Report{
		Version: reportVersion, ContextID: m.contextID, Depth: o.Depth, Strategy: o.Strategy, Started: m.clock().UTC(), State: MirrorHasMetadata,
		IgnoreColumns: o.IgnoreColumns, SchemaPrefixes: o.SchemaPrefixes, LooseTypes: o.LooseTypes, SourceIsCopy: o.SourceIsCopy,
		Scope: Scope{SkipTables: o.SkipTables},
	}
	if o.named() {
		report.Scope.OnlyTables = o.Tables
	}
	pairs, err := c.pairs(ctx, report)
	if err == nil {
		err = c.readIsolation(ctx, report)
	}
	if err == nil {
		err = c.readVersion(ctx, report, pairs)
	}
	if err != nil {
		if ctx.Err() != nil {
			report.Incomplete, report.Checkpoint, report.Finished = true, c.snapshot(), m.clock().UTC()
			return report, caller.Err()
		}
		var refusal *Error
		if errors.As(err, &refusal) {
			return nil, err
		}
		return nil, store.WrapError(ctx, err, "compare "+m.contextID)
	}
	report.Tables = make([]TableReport, len(pairs))
	c.tables = len(pairs)
	var wg sync.WaitGroup
	for i, p := range pairs {
		c.slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-c.slots }()
			if err := guard(func() error {
				report.Tables[i] = c.compareTable(ctx, p)
				return nil
			}); err != nil {
				report.Tables[i] = TableReport{Table: p.name, LSN: p.lsn, HasMetadata: p.hasMetadata}
				report.Tables[i].fail(ctx, err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		report.Incomplete, report.Checkpoint = true, c.snapshot()
	} else {
		c.lastLSNs(ctx, report, pairs)
	}
	for _, t := range report.Tables {
		if t.Warning != "" {
			report.Warnings = append(report.Warnings, t.Table+": "+t.Warning)
		}
	}
	report.measure()
	report.Finished = m.clock().UTC()
	return report, caller.Err()
}

func (m *Mirror) newComparison(source store.Source, o CompareOptions) *comparison {
	return &comparison{
		m: m, source: source, opts: o, saved: m.clock(), runs: map[string]*tableRun{},
		sourcePace: &pace{perSecond: o.MaxRowsPerSecond, clock: m.clock, sleep: m.sleep},
		mirrorPace: &pace{perSecond: o.MaxRowsPerSecond, clock: m.clock, sleep: m.sleep},
	}
}

// readIsolation notes how both sides are read.
func (c *comparison) readIsolation(ctx context.Context, report *Report) (err error) {
	if report.SourceIsolation, err = store.IsolationOf(ctx, c.source); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if report.MirrorIsolation, err = store.IsolationOf(ctx, c.m.store); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	return nil
}

// readVersion asks a source with change tracking for its version. That comes
// after the LSNs were read, so that a valid LSN is never ahead.
func (c *comparison) readVersion(ctx context.Context, report *Report, pairs []pair) error {
	tracker, ok := c.source.(store.ChangeTracker)
	if !ok {
		return nil
	}
	version, err := tracker.Version(ctx)
	switch {
	case err == nil:
		c.changes = tracker
		for i := range pairs {
			pairs[i].version = version
		}
	case errors.Is(err, errors.ErrUnsupported):
	case ctx.Err() != nil || errors.Is(err, store.ErrConnection):
		return fmt.Errorf("source: %w", err)
	default:
		report.Warnings = append(report.Warnings, fmt.Sprintf("the source's change tracking cannot be read, so pending rows are not told from others: %v", err))
	}
	return nil
}

// lastLSNs notes the LSNs after the last row was read, from which Recheck counts
// the cycles. Without them it begins to count at its first call.
func (c *comparison) lastLSNs(ctx context.Context, report *Report, pairs []pair) {
	repairable := func(t TableReport) bool {
		switch t.Verdict {
		case VerdictDifferent, VerdictSchemaDiffers, VerdictMissing, VerdictPending:
			return true
		default:
			return t.LSNState == LSNAhead
		}
	}
	if c.metadata == nil || !slices.ContainsFunc(report.Tables, repairable) {
		return
	}
	md, err := c.m.readMetadataFrom(ctx, c.m.store, *c.metadata, c.catalogue)
	if err != nil {
		report.Warnings = append(report.Warnings, fmt.Sprintf("Recheck has to wait for one cycle more: %v", err))
		return
	}
	for i := range report.Tables {
		t := &report.Tables[i]
		last := pairs[i]
		last.describe(md)
		t.LastLSN = last.lsn
		if t.Verdict == VerdictDifferent && t.ResetRequested() {
			t.decide()
		}
	}
}

// metadataNow reads the metadata table again, nil when there is none.
func (c *comparison) metadataNow(ctx context.Context) (*metadata, error) {
	if c.metadata == nil {
		return nil, nil
	}
	md, err := c.m.readMetadataFrom(ctx, c.m.store, *c.metadata, c.catalogue)
	_, err = stateWithout(err)
	return md, err
}

// lsnOf reads a table's LSN; nil when it has none.
func (c *comparison) lsnOf(ctx context.Context, p pair) (*store.LSN, error) {
	md, err := c.metadataNow(ctx)
	return md.lsnOf(p.inMirror()), err
}

func (o *CompareOptions) fill() error {
	o.Depth = cmp.Or(o.Depth, DepthRows)
	o.MaxSamples = max(0, cmp.Or(o.MaxSamples, defaultMaxSamples))
	o.Concurrency = cmp.Or(o.Concurrency, defaultConcurrency)
	o.Strategy = cmp.Or(o.Strategy, StrategyStream)
	o.DigestRows = min(cmp.Or(o.DigestRows, defaultDigestRows), maxDigestRows)
	o.MaxKeys = max(0, cmp.Or(o.MaxKeys, defaultMaxKeys))
	o.CheckpointEvery = cmp.Or(o.CheckpointEvery, defaultCheckpointEvery)
	if !slices.Contains([]Strategy{StrategyStream, StrategyDigest, StrategyAuto}, o.Strategy) {
		return fmt.Errorf("compare: unknown strategy %q: want %q, %q or %q", text.Name(string(o.Strategy)), StrategyStream, StrategyDigest, StrategyAuto)
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"DigestRows", o.DigestRows}, {"MaxDifferences", o.MaxDifferences}, {"SplitRows", o.SplitRows}, {"MaxRowsPerSecond", o.MaxRowsPerSecond},
		{"MaxDuration", int64(o.MaxDuration)}, {"CheckpointEvery", int64(o.CheckpointEvery)},
	} {
		if limit.value < 0 {
			return fmt.Errorf("compare: %s is negative: leave it 0 for its default", limit.name)
		}
	}
	if o.Depth != DepthSchema && o.Depth != DepthCount && o.Depth != DepthRows {
		return fmt.Errorf("compare: unknown depth %q: want %q, %q or %q", text.Name(string(o.Depth)), DepthSchema, DepthCount, DepthRows)
	}
	if o.Tables != nil && len(o.Tables) == 0 {
		return fmt.Errorf("compare: %w: name them, or leave Tables nil for all", ErrNoTables)
	}
	if o.Concurrency < 0 {
		return fmt.Errorf("compare: concurrency is %d: want at least 1", o.Concurrency)
	}
	return nil
}

// comparison is one run of Compare.
type comparison struct {
	m       *Mirror
	source  store.Source
	opts    CompareOptions
	tables  int
	changes store.ChangeTracker // of the source; nil when it has none

	metadata  *store.Table    // nil when there is none, or none that can be read
	unread    string          // why the one that is there cannot be read
	catalogue []store.Table   // the mirror's, when the comparison began
	chosen    map[string]bool // folded names of the tables that a report is about; nil: those of opts

	slots                  chan struct{} // one for each range of keys that is read
	sourcePace, mirrorPace *pace
	held                   atomic.Int64 // bytes of differing rows in the report

	mu    sync.Mutex
	done  int
	runs  map[string]*tableRun // tables being compared, by folded name
	ended []TableCheckpoint    // tables that are

	saving sync.Mutex
	saved  time.Time // when OnCheckpoint was called
}

// pair is a table of either side, or of both.
type pair struct {
	name           string // without prefix
	source, mirror *store.Table
	lsn            *store.LSN
	hasMetadata    bool // the metadata table has a row for it
	metadataRows   int
	unread         string // why the metadata table cannot be read, or ""
	metadataDoubt  string // why it is not known which rows are its own, or what they hold
	metadataSum    string
	version        store.LSN // of the source, read after lsn
	state          LSNState
	notMirrored    string // why it is not compared, or ""
	twins          string // why it is not known which tables are meant, or ""
}

// pairs matches the tables of the two sides by name.
func (c *comparison) pairs(ctx context.Context, report *Report) ([]pair, error) {
	var err error
	if report.Source, report.Mirror, err = c.m.identify(ctx, c.source); err != nil {
		return nil, err
	}
	var sourceTables, mirrorTables []store.Table
	var sourceErr, mirrorErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		sourceErr = guard(func() (err error) { sourceTables, err = c.source.Tables(ctx); return err })
	})
	wg.Go(func() {
		mirrorErr = guard(func() (err error) { mirrorTables, err = c.m.store.Tables(ctx); return err })
	})
	wg.Wait()
	if sourceErr != nil {
		return nil, fmt.Errorf("source: %w", sourceErr)
	}
	if mirrorErr != nil {
		return nil, fmt.Errorf("mirror: %w", mirrorErr)
	}
	src, mir := c.m.contentsOf(sourceTables, c.trimPrefix), c.m.contentsOf(mirrorTables, c.trimPrefix)
	src.describe(&report.Source, c.m.contextID)
	mir.describe(&report.Mirror, c.m.contextID)
	if report.Source.ID+report.Mirror.ID == "" && samePool(c.source, c.m.store, sourceTables, mirrorTables) {
		return nil, errSameDatabase(report.Mirror)
	}
	if err := c.m.checkSource(src, mir, c.opts.SourceIsCopy); err != nil {
		return nil, err
	}
	md, err := c.m.readMetadata(ctx, c.m.store, mirrorTables)
	report.State, err = stateWithout(err)
	switch {
	case errors.Is(err, ErrMetadata):
		// Rows can be compared all the same; only resets need the table.
		report.Warnings = append(report.Warnings, err.Error())
		c.unread = err.Error()
	case err != nil:
		return nil, err
	}

	c.catalogue = mirrorTables
	if md != nil {
		c.metadata = &md.table
	}

	byName := c.match(sourceTables, mirrorTables)
	if err := c.inCommon(byName, mir); err != nil {
		return nil, err
	}
	selected, err := c.selectPairs(byName, report.State)
	if err != nil {
		return nil, err
	}
	report.Scope.Tables = len(byName)
	report.Warnings = append(report.Warnings, c.unusedOptions(byName)...)
	report.Mistakes = c.mistakes(md, mir, byName, selected)
	if report.State == MirrorAwaitingFirstCycle && report.Mistakes == nil {
		report.Warnings = append(report.Warnings, otherCustomers(mirrorTables)...)
		if len(mirrorTables) == 0 {
			report.Warnings = append(report.Warnings, "the mirror: "+noTables)
		}
	}
	for i := range selected {
		p := &selected[i]
		p.unread = c.unread
		p.describe(md)
		if p.metadataRows > 1 {
			t := p.inMirror()
			_, err := md.row(t)
			report.Warnings = append(report.Warnings, t.Name+" "+err.Error())
		}
	}
	return selected, nil
}

// match pairs the tables of the two sides by their folded names.
func (c *comparison) match(sourceTables, mirrorTables []store.Table) map[string]*pair {
	byName := map[string]*pair{}
	add := func(side string, tables []store.Table, field func(*pair) **store.Table) {
		for i, t := range tables {
			name := c.trimPrefix(t.Name)
			folded := store.FoldName(name)
			if folded == store.FoldName(c.m.names.table) || folded == store.FoldName(replicaState) || isKept(name) {
				continue
			}
			p := byName[folded]
			if p == nil {
				p = &pair{name: name}
				byName[folded] = p
			}
			if other := *field(p); other != nil && p.twins != "" {
				continue
			} else if other != nil {
				p.twins = fmt.Sprintf("the %s has two tables of one name, %s and %s: give the store one schema, or narrow SchemaPrefixes",
					side, text.Name(other.String()), text.Name(t.String()))
				continue
			}
			*field(p) = &tables[i]
		}
	}
	add("source", sourceTables, func(p *pair) **store.Table { return &p.source })
	add("mirror", mirrorTables, func(p *pair) **store.Table { return &p.mirror })
	return byName
}

// selectPairs picks the tables to report on, by name.
func (c *comparison) selectPairs(byName map[string]*pair, state MirrorState) ([]pair, error) {
	skipped := map[string]bool{}
	for _, s := range c.opts.SkipTables {
		skipped[store.FoldName(c.trimPrefix(s))] = true
	}
	var selected []pair
	if !c.opts.named() {
		for folded, p := range byName {
			if reason, ok := superoffice.BlockedReason(folded); ok {
				p.notMirrored = "never mirrored: " + reason
			}
			if state == MirrorReplica && folded == "binaryobject" {
				p.notMirrored = "not copied by the newer client: large binary content"
			}
			if skipped[folded] {
				p.notMirrored = "skipped by request"
			}
			selected = append(selected, *p)
		}
	} else {
		var known []string
		for _, p := range byName {
			known = append(known, p.name)
		}
		unknown := &Error{Op: "compare", ContextID: c.m.contextID, Err: store.ErrTableNotFound}
		seen := map[string]bool{}
		for _, name := range c.opts.Tables {
			folded := store.FoldName(c.trimPrefix(name))
			p := byName[folded]
			if p == nil {
				p = byString(byName, name)
			}
			if p == nil {
				unknown.Tables = append(unknown.Tables, c.m.unknownTable(name, known, "no comparison looks at it", "name the prefix in CompareOptions.SchemaPrefixes"))
				continue
			}
			if folded = store.FoldName(p.name); seen[folded] {
				continue
			}
			seen[folded] = true
			switch reason, blocked := superoffice.BlockedReason(folded); {
			case skipped[folded]:
				p.notMirrored = "skipped by request"
			case blocked && p.mirror == nil:
				p.notMirrored = "never mirrored: " + reason
			}
			selected = append(selected, *p)
		}
		if len(unknown.Tables) > 0 {
			return nil, unknown
		}
	}
	slices.SortFunc(selected, func(a, b pair) int { return strings.Compare(store.FoldName(a.name), store.FoldName(b.name)) })
	return selected, nil
}

// unusedOptions names the entries of IgnoreColumns and SkipTables that fit
// nothing, which may be slips.
func (c *comparison) unusedOptions(byName map[string]*pair) []string {
	var unused []string
	for _, name := range c.opts.SkipTables {
		if byName[store.FoldName(c.trimPrefix(name))] == nil {
			unused = append(unused, fmt.Sprintf("SkipTables: neither side has a table %q", text.Clip(name, text.MaxName)))
		}
	}
	for _, name := range c.opts.IgnoreColumns {
		used := false
		for _, p := range byName {
			for _, t := range []*store.Table{p.source, p.mirror} {
				used = used || t != nil && slices.ContainsFunc(t.Columns, func(col store.Column) bool { return c.ignores(name, p.name, col.Name) })
			}
		}
		if !used {
			unused = append(unused, fmt.Sprintf("IgnoreColumns: neither side has a column %q", text.Clip(name, 2*text.MaxName)))
		}
	}
	return unused
}

func (c *comparison) trimPrefix(name string) string {
	return store.TrimPrefix(name, c.opts.SchemaPrefixes)
}

// compareTable decides one table. It never fails: a failure is a verdict.
func (c *comparison) compareTable(ctx context.Context, p pair) TableReport {
	started := c.m.clock()
	tr := TableReport{Table: p.name, LSN: p.lsn, HasMetadata: p.hasMetadata, MetadataRows: p.metadataRows, MetadataSum: p.metadataSum, MetadataDoubt: p.metadataDoubt}
	if p.mirror != nil {
		tr.Table, tr.MirrorName = p.mirror.Name, p.mirror.String()
	}
	switch {
	case p.notMirrored != "":
		tr.Verdict, tr.Reason = VerdictNotMirrored, p.notMirrored
	case p.twins != "":
		tr.Verdict, tr.Reason = VerdictIncomparable, p.twins
	case p.mirror != nil && p.source != nil:
		tr = c.compareBoth(ctx, p, tr)
	default:
		tr.Verdict = VerdictMissing
		if p.source == nil {
			tr.Verdict = VerdictExtra
		}
		if c.opts.Depth != DepthSchema {
			tr.fail(ctx, c.count(ctx, p, &tr))
		}
	}
	tr.Elapsed = Duration(c.m.clock().Sub(started))
	c.mu.Lock()
	c.done++
	c.mu.Unlock()
	c.report(Progress{Table: p.name, Rows: tr.SourceRows, Expected: tr.SourceRows})
	return tr
}

// compareBoth compares a table that both sides have. One that a cycle populated
// anew meanwhile is compared once more.
func (c *comparison) compareBoth(ctx context.Context, p pair, blank TableReport) (tr TableReport) {
	for range 2 {
		tr = blank
		plan := c.planTable(p, &tr)
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
		err = c.compareDepth(ctx, p, plan, &tr)
		if err == nil {
			tr.decide()
		}
		if err == nil && (tr.Verdict == VerdictDifferent || tr.Verdict == VerdictSchemaDiffers) {
			// A plan is for the metadata row as it is now that the rows were read.
			after := p
			if err = c.describeNow(ctx, &after); err == nil {
				tr.HasMetadata, tr.MetadataRows, tr.MetadataSum, tr.MetadataDoubt = after.hasMetadata, after.metadataRows, after.metadataSum, after.metadataDoubt
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
		blank.LSN, blank.HasMetadata, blank.MetadataRows, blank.MetadataSum, blank.MetadataDoubt = p.lsn, p.hasMetadata, p.metadataRows, p.metadataSum, p.metadataDoubt
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

// inMirror is the mirror's table, or its name where the mirror has none.
func (p *pair) inMirror() store.Table {
	if p.mirror == nil {
		return store.Table{Name: p.name}
	}
	return *p.mirror
}

// describe notes what the metadata table has for a table.
func (p *pair) describe(md *metadata) {
	t := p.inMirror()
	p.lsn, p.metadataSum, p.metadataDoubt = md.lsnOf(t), "", ""
	if doubt := md.doubt(t); doubt != "" {
		p.lsn, p.metadataDoubt = nil, "it "+doubt
	} else if p.unread != "" {
		p.metadataDoubt = "its metadata row cannot be read: " + p.unread
	}
	p.metadataRows = len(md.rowsOf(t))
	if p.hasMetadata = p.metadataRows > 0; p.hasMetadata && p.metadataDoubt == "" {
		p.metadataSum = md.fingerprint(t)
	}
}

// compareDepth compares as far as Depth goes.
func (c *comparison) compareDepth(ctx context.Context, p pair, plan tablePlan, tr *TableReport) error {
	switch {
	case unreadable(*p.source) || unreadable(*p.mirror): // not even its columns
	case c.opts.Depth == DepthSchema:
		return nil
	case c.opts.Depth == DepthCount && p.source.Omit == "" && p.mirror.Omit == "":
		return c.count(ctx, p, tr)
	}
	if plan.incomparable == "" {
		err := c.compareRows(ctx, p, plan, tr)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		plan.incomparable = err.Error()
	}
	tr.forgetRows()
	tr.Verdict, tr.Reason = VerdictIncomparable, plan.incomparable
	for _, col := range append(plan.source, plan.unread...) {
		tr.NotCompared = append(tr.NotCompared, Omission{Column: col.Name, Reason: rowsNotCompared})
	}
	if unreadable(*p.source) || unreadable(*p.mirror) {
		return nil
	}
	return c.count(ctx, p, tr)
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
	if p.source != nil {
		tr.SourceRows, sourceErr = c.source.Count(ctx, *p.source)
	}
	if p.mirror != nil && sourceErr == nil {
		tr.MirrorRows, mirrorErr = c.m.store.Count(ctx, *p.mirror)
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
	t.Pending, t.Diverged, t.Truncated, t.Read = 0, 0, false, 0
	t.ChangedColumns, t.Samples, t.Differences = nil, nil, nil
}

// report calls the user's progress function, one call at a time.
func (c *comparison) report(o Progress) {
	if c.m.progress == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o.TablesDone, o.Tables = c.done, c.tables
	c.m.progress(o)
}

// tablePlan says how the rows of a table are compared.
type tablePlan struct {
	source, mirror []store.Column // compared columns of either side, key first
	key            int            // how many of them are the key
	keyless        bool           // the key is all columns
	ranged         bool           // a key means the same place on both sides
	anyValue       bool           // a value need not be of its column's type
	unread         []store.Column // comparable columns of an incomparable table
	incomparable   string         // why rows cannot be compared, or ""
}

// planTable compares the schemas and picks the columns to compare.
func (c *comparison) planTable(p pair, tr *TableReport) tablePlan {
	differ := func(column, what, source, mirror string) {
		tr.Schema = append(tr.Schema, SchemaDifference{Column: column, What: what, Source: source, Mirror: mirror})
	}
	leaveOut := func(column, reason string) {
		tr.NotCompared = append(tr.NotCompared, Omission{Column: column, Reason: reason})
	}
	var source, mirror []store.Column
	used := map[string]bool{} // columns of the mirror
	for _, s := range p.source.Columns {
		m, ok := p.mirror.Column(s.Name)
		// A column of exactly that name elsewhere in the source comes first.
		ok = ok && !used[m.Name] && (m.Name == s.Name || !hasColumn(p.source, m.Name))
		used[m.Name] = used[m.Name] || ok
		switch {
		case c.ignored(p.name, s.Name):
			tr.NotCompared = append(tr.NotCompared, ignoredColumn(s.Name))
			continue
		case s.Omit != "":
			leaveOut(s.Name, s.Omit+", at the source")
			continue
		case s.Generated:
			leaveOut(s.Name, "computed at the source")
			continue
		case s.Type.Name == "rowversion":
			leaveOut(s.Name, "rowversion differs in every database")
			continue
		case !ok:
			differ(s.Name, "missing column", describe(s), "")
			leaveOut(s.Name, "not in the mirror")
			continue
		case m.Omit != "":
			leaveOut(s.Name, m.Omit+", in the mirror")
			continue
		case m.Generated:
			leaveOut(s.Name, "computed in the mirror")
			continue
		}
		ks, km := s.Type.Kind(), m.Type.Kind()
		if s.Type != m.Type && (ks != km || !c.opts.LooseTypes) {
			differ(s.Name, "type", s.Type.String(), m.Type.String())
		}
		if s.Nullable != m.Nullable && !c.opts.LooseTypes {
			differ(s.Name, "nullability", nullability(s), nullability(m))
		}
		switch {
		case ks == store.KindOther || km == store.KindOther:
			leaveOut(s.Name, "type "+s.Type.String()+" cannot be compared")
		case ks != km:
			leaveOut(s.Name, fmt.Sprintf("%s cannot be compared with %s", s.Type, m.Type))
		default:
			if coarser, ok := store.CoarserTime(s.Type, m.Type); ok {
				tr.warn(fmt.Sprintf("column %s is %s at the source and %s in the mirror: it is compared in steps of %s, and a smaller difference is not seen",
					s.Name, s.Type, m.Type, coarser))
			}
			source, mirror = append(source, s), append(mirror, m)
		}
	}
	for _, m := range p.mirror.Columns {
		switch {
		case used[m.Name]:
		case c.ignored(p.name, m.Name):
			tr.NotCompared = append(tr.NotCompared, ignoredColumn(m.Name))
		case m.Omit != "":
			leaveOut(m.Name, m.Omit+", in the mirror")
		default:
			differ(m.Name, "extra column", "", describe(m))
			leaveOut(m.Name, "not at the source")
		}
	}
	if !slices.EqualFunc(p.source.Key, p.mirror.Key, func(a, b string) bool { return store.FoldName(a) == store.FoldName(b) }) {
		differ("", "primary key", strings.Join(p.source.Key, ", "), strings.Join(p.mirror.Key, ", "))
	}
	plan := tablePlan{keyless: len(p.source.Key) == 0, anyValue: store.HoldsAnyValue(c.source) || store.HoldsAnyValue(c.m.store)}
	if reason := hiddenRows(p); reason != "" {
		plan.incomparable, plan.unread = reason, source
		return plan
	}
	if plan.keyless {
		plan.source, plan.mirror, plan.key = source, mirror, len(source)
		if len(source) == 0 {
			plan.incomparable = "the two sides have no comparable column in common"
		}
	} else {
		for _, k := range p.source.Key {
			i := slices.IndexFunc(source, func(s store.Column) bool { return s.Name == k })
			if i < 0 {
				plan.incomparable = fmt.Sprintf("key column %s is not comparable on both sides", k)
				for _, o := range tr.NotCompared {
					if o.Column == k && p.omits(k) {
						plan.incomparable += ": " + o.Reason
					}
				}
				plan.unread = source
				return plan
			}
			plan.source, plan.mirror = append(plan.source, source[i]), append(plan.mirror, mirror[i])
			source, mirror = slices.Delete(source, i, i+1), slices.Delete(mirror, i, i+1)
		}
		plan.key = len(plan.source)
		plan.source, plan.mirror = append(plan.source, source...), append(plan.mirror, mirror...)
	}
	for i, col := range plan.source[:plan.key] {
		tr.Key = append(tr.Key, col.Name)
		// Rounding makes neighbours equal, and the columns behind them would
		// then be in no common order.
		if mir := plan.mirror[i]; plan.key > 1 && store.TimeStep(col.Type) != store.TimeStep(mir.Type) && store.IsTime(col.Type) {
			plan.incomparable = fmt.Sprintf("column %s of the key is %s at the source and %s in the mirror", col.Name, col.Type, mir.Type)
		}
	}
	tr.Keyless = plan.keyless
	plan.ranged = !plan.keyless
	for i, col := range plan.source[:plan.key] {
		plan.ranged = plan.ranged && col.Type == plan.mirror[i].Type && !col.Nullable && !plan.mirror[i].Nullable
	}
	return plan
}

// omits reports whether a side cannot show a column.
func (p *pair) omits(column string) bool {
	s, _ := p.source.Column(column)
	m, _ := p.mirror.Column(column)
	return s.Omit != "" || m.Omit != ""
}

// hiddenRows says why a side does not show all rows, "" when both do.
func hiddenRows(p pair) string {
	switch {
	case p.source.Omit != "":
		return "source: " + p.source.Omit
	case p.mirror.Omit != "":
		return "mirror: " + p.mirror.Omit
	default:
		return ""
	}
}

func ignoredColumn(name string) Omission {
	return Omission{Column: name, Reason: "ignored by request", Requested: true}
}

func (c *comparison) ignored(table, column string) bool {
	return slices.ContainsFunc(c.opts.IgnoreColumns, func(entry string) bool { return c.ignores(entry, table, column) })
}

// ignores reports whether an entry of IgnoreColumns means that column.
func (c *comparison) ignores(entry, table, column string) bool {
	column = store.FoldName(column)
	return store.FoldName(entry) == column || store.FoldName(c.trimPrefix(entry)) == store.FoldName(table)+"."+column
}

func hasColumn(t *store.Table, name string) bool {
	return slices.ContainsFunc(t.Columns, func(c store.Column) bool { return c.Name == name })
}

func nullability(c store.Column) string {
	if c.Nullable {
		return "null"
	}
	return "not null"
}

func describe(c store.Column) string { return c.Type.String() + " " + nullability(c) }

// bytesColumns returns the columns whose values are []byte.
func bytesColumns(cols []store.Column) []int {
	var at []int
	for i, c := range cols {
		switch c.Type.Kind() {
		case store.KindBytes, store.KindDecimal, store.KindGUID, store.KindAny:
			at = append(at, i)
		}
	}
	return at
}

// query reads the rows of a side from one key to before another.
func (r *tableRun) query(t store.Table, cols []store.Column, from, before store.Row) store.Query {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	return store.Query{Table: t, Columns: names, Key: names[:r.plan.key], From: from, Before: before}
}
