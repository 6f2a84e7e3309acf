package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Depth says how far a comparison goes.
type Depth string

const (
	DepthSchema Depth = "schema" // which tables exist, and their columns and keys
	DepthCount  Depth = "count"  // also numbers of rows
	DepthRows   Depth = "rows"   // also every row by value: the default
)

// Strategy says how the rows of a table are compared.
type Strategy string

const (
	// StrategyStream fetches all rows from both sides and compares them by value. It
	// is exact.
	StrategyStream Strategy = "stream"
	// StrategyDigest has both sides summarise ranges of rows (see [store.Digester]) and
	// fetches only those that differ. Differences are exact; that a range is equal holds
	// but for a probability of 2^-64. Tables that cannot be digested are streamed.
	StrategyDigest Strategy = "digest"
	// StrategyJoin has one engine that reads both sides find the keys that may differ
	// (see [store.Joiner]), and fetches only their rows. It is exact. Tables that cannot
	// be joined are streamed.
	StrategyJoin Strategy = "join"
	// StrategyAuto joins where it can. Where it cannot it streams some ranges of a table,
	// digests rows for a 40th of the time that these took, and goes on with what is
	// faster. It is the default.
	StrategyAuto Strategy = "auto"
)

// CompareOptions configure [Mirror.Compare]. Zero values are defaults.
type CompareOptions struct {
	// Tables are the tables to compare. A name that neither side has is
	// store.ErrTableNotFound, and an empty list that is not nil is ErrNoTables.
	// Default: all of both sides, less those that are never mirrored (BlockedTables).
	Tables []string

	// SkipTables are tables that the customer excludes from mirroring: the preference
	// SkipTable in the section Mirroring. Default: none.
	SkipTables []string

	// IgnoreColumns are columns to leave out, as "column" or "table.column".
	IgnoreColumns []string

	// SchemaPrefixes are prefixes of table names that do not count when the tables of
	// the two sides are matched, such as "crm7." and "dbo.". Default: none.
	SchemaPrefixes []string

	// SourceIsCopy says that the source is another copy of the customer's database, a
	// mirror or a replica. Default: a source that has a metadata table or
	// _ReplicationState is ErrWrongDatabase.
	SourceIsCopy bool

	// LooseTypes allows columns to differ in type, length and nullability as long as
	// their values are of one Kind, as they do between an old mirror and a replica.
	// Default: such a difference is VerdictSchemaDiffers.
	LooseTypes bool

	Depth    Depth    // Default: DepthRows.
	Strategy Strategy // Default: StrategyAuto.

	// MaxDifferences stops the comparison of a table's rows after so many that differ
	// and are not Pending: see TableReport.Truncated. Default: no limit.
	MaxDifferences int64

	// MaxKeys is how many differing keys of a table the report keeps, for Recheck, and
	// MaxSamples how many differing rows; a negative number means none. Counts are
	// exact all the same. Default: 1000 keys and 10 samples.
	MaxKeys, MaxSamples int

	// MaxDuration is how long the comparison may take. Tables that are not compared by
	// then are VerdictUnfinished, and the report's Checkpoint says how to go on. It is
	// no error of Compare, but of [Report.Err]: ErrTimeBudget. Default: no limit.
	MaxDuration time.Duration

	// Resume continues a comparison that was stopped, from its Checkpoint; that of
	// other databases is ErrWrongDatabase. A table whose LSN fell, or whose columns
	// changed, starts anew. Default: everything is compared.
	Resume *Checkpoint

	// Since is an earlier report of this comparison. Of a table that was compared to the
	// end then, only those keys are read that changed since by the source's change
	// tracking and, where it has one, the mirror's, and those that differed: see
	// [Basis]. The rows of a table are counted if some differ; otherwise SourceRows and
	// MirrorRows stay what they were. All rows are compared, by Strategy, where that is
	// not possible: what changed is no longer known, the table was sent anew, its columns
	// or the options changed, the earlier report kept not all keys that differ (see
	// MaxKeys), or is about other databases. Default: all rows are compared.
	Since *Report

	// SinceRows is how many rows of each table of which not all are compared are read
	// anew besides, from where the comparison before it ended: n comparisons read all of
	// a table with n times as many. Default: none.
	SinceRows int64

	// OnCheckpoint is called about every Tuning.CheckpointEvery with what a later call
	// can resume from, from one goroutine at a time. Default: not at all.
	OnCheckpoint func(*Checkpoint)

	Tuning Tuning
}

// Tuning changes how fast a comparison is and what it costs, and nothing of what it
// finds. Zero values are defaults.
type Tuning struct {
	// Concurrency is how many tables are read at the same time, each with one
	// connection to either side. Default: 2.
	Concurrency int

	// SplitRows cuts a table into key ranges of so many rows, which are compared at
	// the same time as far as Concurrency leaves room, and costs one more scan of the
	// source's keys. The source must be a [store.Digester]. Default: no splitting.
	SplitRows int64

	// MaxRowsPerSecond bounds how many rows a second are read from each side, all
	// tables together. Default: no limit.
	MaxRowsPerSecond int64

	// DigestRows is how many rows one digest covers at first; a range that differs is
	// looked at in pieces of a 32nd of that. Default: 16,384.
	DigestRows int64

	// CheckpointEvery is the time between two checkpoints. Up to so much of the work
	// is done again by who resumes. Default: 10 s.
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
// Rows are compared by value, in key order, while both sides stream. A table without
// a primary key is compared as a multiset: each row and how often it occurs. One
// table's failure is its verdict and does not stop the others.
//
// A row that differs may be waiting for the next cycle. When source is a
// [store.ChangeTracker], Compare tells such rows from those that no cycle repairs (see
// DiffState), also while a cycle runs; otherwise [Mirror.Recheck] does.
//
// Memory does not grow with the tables. Each of the Concurrency readings holds
// at most four batches of either side, which are 128 rows or 1 MiB and a row in
// the stores of this module, and 4 MiB of keys to be classified. The report holds
// at most 16 MiB of values of differing rows; further ones are only counted, and 64
// stretches of keys of a table say where they are.
//
// A nil error does not mean that every table could be compared: see [Report.Err]
// and [Report.Identical]. When ctx is done Compare returns ctx.Err() together with
// a report of what is known, which is Incomplete unless all was compared. A table of
// opts.Tables that neither side has is an *Error with store.ErrTableNotFound, an
// empty list ErrNoTables.
//
// Nothing is compared, and the error is ErrWrongDatabase, when both sides are the
// same database (see [store.Identifier]), the source is a mirror or a replica and
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
	if o.Since != nil {
		if err := o.Since.checkSince(m.contextID); err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
	}
	caller := ctx
	if o.MaxDuration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.MaxDuration, fmt.Errorf("%w after %s", ErrTimeBudget, text.Duration(o.MaxDuration)))
		defer cancel()
	}
	slots := make(chan struct{}, min(o.Tuning.Concurrency, limit))
	c := m.newComparison(source, o, slots)
	defer c.close()
	report := c.newReport()
	c.started = report.Started
	pairs, err := c.match(ctx, report)
	if err == nil {
		err = c.readIsolation(ctx, report)
	}
	if err == nil {
		err = c.readVersion(ctx, report, pairs)
	}
	if err != nil {
		if ctx.Err() != nil {
			report.Incomplete, report.Checkpoint, report.Finished = true, c.snapshot(), m.clock.Now().UTC()
			return report, caller.Err()
		}
		var refusal *Error
		if errors.As(err, &refusal) {
			return nil, err
		}
		return nil, store.WrapError(ctx, err, "compare "+m.contextID)
	}
	c.join(ctx)
	c.compareTables(ctx, pairs, report, slots)
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
	report.warnSince()
	report.measure()
	report.Finished = m.clock.Now().UTC()
	return report, caller.Err()
}

// newComparison begins a comparison. Each range of keys that is read beside
// another takes one of slots.
func (m *Mirror) newComparison(source store.Source, o CompareOptions, slots chan struct{}) *comparison {
	c := &comparison{m: m, source: source, opts: o, saved: m.clock.Now(), runs: map[string]*running{}, slots: slots}
	c.engine = c.newEngine(nil, "")
	return c
}

// newEngine returns an engine that joins by join, or says why not.
func (c *comparison) newEngine(join store.Join, noJoin string) *diff.Engine {
	o, m := &c.opts, c.m
	return diff.New(diff.Options{
		Source: c.source, Mirror: m.store, Join: join, NoJoin: noJoin, Strategy: diff.Strategy(o.Strategy), DigestRows: o.Tuning.DigestRows, SplitRows: o.Tuning.SplitRows,
		MaxKeys: o.MaxKeys, MaxSamples: o.MaxSamples, RowsPerSecond: o.Tuning.MaxRowsPerSecond,
		Slots: c.slots, Save: c.checkpoint, SaveEvery: o.Tuning.CheckpointEvery, Clock: m.clock, Steps: m.steps,
	})
}

// join connects to an engine that reads both sides, where the rows are compared by
// one. A comparison is right without it, so its errors are only told.
func (c *comparison) join(ctx context.Context) {
	if c.opts.Depth != DepthRows || c.opts.Strategy != StrategyJoin && c.opts.Strategy != StrategyAuto {
		return
	}
	err := diff.Guard(func() (err error) {
		c.joined, err = store.JoinOf(ctx, c.source, c.m.store)
		return err
	})
	if err != nil {
		c.joined, c.engine = nil, c.newEngine(nil, strings.TrimSuffix(err.Error(), ": "+errors.ErrUnsupported.Error()))
		return
	}
	c.engine = c.newEngine(c.joined, "")
}

// close ends what join began.
func (c *comparison) close() {
	if c.joined != nil {
		_ = c.joined.Close() // it was only read
	}
}

// newReport begins the report of the comparison.
func (c *comparison) newReport() *Report {
	report := &Report{
		Version: reportVersion, ContextID: c.m.contextID, Depth: c.opts.Depth, Strategy: c.opts.Strategy, Started: c.m.clock.Now().UTC(), State: MirrorHasMetadata,
		IgnoreColumns: c.opts.IgnoreColumns, SchemaPrefixes: c.opts.SchemaPrefixes, LooseTypes: c.opts.LooseTypes, SourceIsCopy: c.opts.SourceIsCopy,
		Scope: Scope{SkipTables: c.opts.SkipTables},
	}
	if c.opts.Tables != nil {
		report.Scope.OnlyTables = c.opts.Tables
	}
	return report
}

// compareTables compares the tables, each in a slot.
func (c *comparison) compareTables(ctx context.Context, pairs []pair, report *Report, slots chan struct{}) {
	report.Tables = make([]TableReport, len(pairs))
	c.tables = len(pairs)
	var wg sync.WaitGroup
	for i, p := range pairs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := diff.Guard(func() error {
				report.Tables[i] = c.compareTable(ctx, p)
				return nil
			}); err != nil {
				report.Tables[i] = TableReport{Table: p.Name, LSN: p.lsn, HasMetadata: p.hasMetadata}
				report.Tables[i].fail(ctx, err)
			}
		})
	}
	wg.Wait()
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
	c.untracked = untracked
	tracker, ok := c.source.(store.ChangeTracker)
	if !ok {
		return nil
	}
	version, err := tracker.Version(ctx)
	switch {
	case err == nil:
		c.changes = tracker
		c.readMirrorVersion(ctx)
		for i := range pairs {
			pairs[i].version = version
		}
	case errors.Is(err, errors.ErrUnsupported):
	case ctx.Err() != nil || errors.Is(err, store.ErrConnection):
		return fmt.Errorf("source: %w", err)
	default:
		c.untracked = "the source's change tracking cannot be read"
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
		t.trace.LastLSN = last.lsn
		if t.Verdict == VerdictDifferent && t.ResetRequested() {
			t.decide()
		}
	}
}

// metadataNow reads the metadata table again, nil when there is none.
func (c *comparison) metadataNow(ctx context.Context) (*metadata.Table, error) {
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
	return md.LSN(inMirror(p.Pair)), err
}

func (o *CompareOptions) fill() error {
	o.Depth = cmp.Or(o.Depth, DepthRows)
	o.MaxSamples = max(0, cmp.Or(o.MaxSamples, defaultMaxSamples))
	o.Tuning.Concurrency = cmp.Or(o.Tuning.Concurrency, defaultConcurrency)
	o.Strategy = cmp.Or(o.Strategy, StrategyAuto)
	o.Tuning.DigestRows = min(cmp.Or(o.Tuning.DigestRows, defaultDigestRows), maxDigestRows)
	o.MaxKeys = max(0, cmp.Or(o.MaxKeys, defaultMaxKeys))
	o.Tuning.CheckpointEvery = cmp.Or(o.Tuning.CheckpointEvery, defaultCheckpointEvery)
	if !slices.Contains([]Strategy{StrategyStream, StrategyDigest, StrategyJoin, StrategyAuto}, o.Strategy) {
		return fmt.Errorf("compare: unknown strategy %q: want %q, %q, %q or %q", text.Name(string(o.Strategy)), StrategyStream, StrategyDigest, StrategyJoin, StrategyAuto)
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"DigestRows", o.Tuning.DigestRows}, {"MaxDifferences", o.MaxDifferences}, {"SplitRows", o.Tuning.SplitRows}, {"MaxRowsPerSecond", o.Tuning.MaxRowsPerSecond},
		{"MaxDuration", int64(o.MaxDuration)}, {"SinceRows", o.SinceRows}, {"CheckpointEvery", int64(o.Tuning.CheckpointEvery)},
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
	if o.Tuning.Concurrency < 0 {
		return fmt.Errorf("compare: concurrency is %d: want at least 1", o.Tuning.Concurrency)
	}
	return nil
}

// comparison is one run of Compare.
type comparison struct {
	m       *Mirror
	source  store.Source
	opts    CompareOptions
	tables  int
	started time.Time
	changes store.ChangeTracker // of the source; nil when it has none

	untracked string // why there is none

	mirrorChanges store.ChangeTracker // nil when the mirror has none
	mirrorVersion store.LSN

	metadata  *store.Table    // nil when there is none, or none that can be read
	unread    string          // why the one that is there cannot be read
	catalogue []store.Table   // the mirror's, when the comparison began
	chosen    map[string]bool // folded names of the tables that a report is about; nil: those of opts

	engine *diff.Engine
	slots  chan struct{}
	joined store.Join // nil without one engine for both sides

	sourceSide, mirrorSide Side // which databases they are, for checkpoints

	mu    sync.Mutex
	done  int
	runs  map[string]*running // tables being compared, by folded name
	ended []tableCheckpoint   // tables that are

	saving sync.Mutex
	saved  time.Time // when OnCheckpoint was called
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
