package replica

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// check is one run of Check.
type check struct {
	o                  Options
	clock              mirror.Clock
	reference, replica store.Source
	engine             *diff.Engine
	slots              chan struct{}

	follows                        *follows // how the reference moves
	state                          *stateReader
	looking                        sync.Mutex // of glance
	looked                         time.Time  // when the state was read last
	tables                         []*table
	prefixes                       []string // of table names, which do not count
	joined                         store.Join
	lent                           map[string]bool // tables of the reference that have the replica's key
	referenceTables, replicaTables []store.Table
	report                         *Report

	progress sync.Mutex
	done     int
}

func (c *check) now() time.Time { return c.clock.Now().UTC() }

func newCheck(ctx context.Context, reference, replica store.Source, opts *Options) (*check, error) {
	if reference == nil || replica == nil {
		return nil, fmt.Errorf("check replica: a source is nil: pass the reference and the replica")
	}
	c := &check{reference: reference, replica: replica, report: &Report{Version: reportVersion}}
	if opts != nil {
		c.o = *opts
	}
	if err := c.o.fill(); err != nil {
		return nil, err
	}
	if c.clock = c.o.Clock; c.clock == nil {
		c.clock = diff.SystemClock{}
	}
	limit, err := store.ConnectionLimit(reference, replica)
	if err != nil {
		return nil, fmt.Errorf("check replica: %w", err)
	}
	c.slots = make(chan struct{}, min(c.o.Tuning.Concurrency, limit))
	noJoin := c.join(ctx)
	c.engine = diff.New(diff.Options{
		Source: reference, Mirror: replica, Join: c.joined, NoJoin: noJoin, Strategy: diff.Strategy(c.o.Strategy), DigestRows: c.o.Tuning.DigestRows,
		SplitRows: c.o.Tuning.SplitRows, RowsPerSecond: c.o.Tuning.MaxRowsPerSecond, Slots: c.slots, Clock: c.clock,
	})
	c.report.Started = c.now()
	if err := c.begin(ctx); err != nil {
		c.close()
		return nil, store.WrapError(ctx, err, "check replica")
	}
	return c, nil
}

// join connects to an engine that reads both sides, or says why it cannot: a check is
// right without it.
func (c *check) join(ctx context.Context) (why string) {
	if c.o.Strategy != mirror.StrategyJoin && c.o.Strategy != mirror.StrategyAuto {
		return ""
	}
	err := diff.Guard(func() (err error) {
		c.joined, err = store.JoinOf(ctx, c.reference, c.replica)
		return err
	})
	if err != nil {
		c.joined = nil
		return err.Error()
	}
	return ""
}

// close ends what newCheck began.
func (c *check) close() {
	if c.joined != nil {
		_ = c.joined.Close() // it was only read
	}
}

// begin finds out which databases the sides are, refuses the wrong ones, and
// pairs their tables.
func (c *check) begin(ctx context.Context) error {
	var err error
	if c.referenceTables, err = c.reference.Tables(ctx); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if c.replicaTables, err = c.replica.Tables(ctx); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if err := c.identify(ctx); err != nil {
		return err
	}
	return c.matchTables()
}

// describe notes what was checked, and why it ended if it was stopped.
func (c *check) describe(stopped error) {
	s := &c.report.Scope
	s.OnlyTables, s.SkipTables, s.IgnoreColumns = c.o.Tables, c.o.SkipTables, c.o.IgnoreColumns
	s.Stamps, s.RoundedTimes = c.o.Stamps, c.o.RoundedTimes
	s.Interval, s.MaxWait = c.o.Interval.Seconds(), max(0, c.maxWait()).Seconds()
	if stopped != nil {
		s.Stopped = text.Err(stopped).Error()
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		s.Program = strings.TrimSpace(info.Main.Path + " " + info.Main.Version)
	}
}

// run compares all tables, and reads what differs again until it is settled.
func (c *check) run(ctx context.Context) error {
	deadline := time.Time{}
	again, read := c.tables, c.scan
	for {
		r, err := c.round(ctx, again, read)
		if err != nil {
			return err
		}
		open := 0
		for _, t := range c.tables {
			c.settle(t, r)
			// The LSNs after the rows were read: a cycle that moves them from here on
			// may have begun before, the next one has not.
			open += t.anchor(r.after)
			t.own = nil
		}
		if deadline.IsZero() {
			deadline = c.now().Add(c.maxWait())
		}
		wait := min(c.o.Interval, deadline.Sub(c.now()))
		if open == 0 || c.o.MaxWait < 0 || wait <= 0 {
			return ctx.Err()
		}
		c.tell(open, c.now().Add(wait))
		if err := c.clock.Sleep(ctx, wait); err != nil {
			return err
		}
		again, read = slices.DeleteFunc(slices.Clone(c.tables), func(t *table) bool { return t.openKeys() == 0 }), c.look
	}
}

// round reads tables, between two looks at the LSNs.
func (c *check) round(ctx context.Context, tables []*table, read func(context.Context, *table) error) (r round, err error) {
	if r.before, err = c.follows.look(ctx); err != nil {
		return r, store.WrapError(ctx, err, "reference")
	}
	c.state.look(ctx)
	r.began = c.now()
	c.looked = r.began
	if err := c.each(ctx, tables, read); err != nil {
		return r, err
	}
	if r.after, err = c.follows.look(ctx); err != nil {
		return r, store.WrapError(ctx, err, "reference")
	}
	c.state.look(ctx)
	for _, t := range tables {
		if t.unproven {
			t.unproven, t.moved = false, c.follows.mayHaveWiped(t.pair.Source, r)
		}
	}
	return r, nil
}

// glance looks at the state once an interval while tables are read: where that takes
// long, offsets that began anew can be as far as before in the end.
func (c *check) glance(ctx context.Context) {
	if !c.looking.TryLock() {
		return
	}
	defer c.looking.Unlock()
	if now := c.now(); now.Sub(c.looked) >= c.o.Interval {
		c.looked = now
		c.state.look(ctx)
	}
}

func (c *check) maxWait() time.Duration {
	switch {
	case c.o.MaxWait != 0:
		return c.o.MaxWait
	case c.follows.cycles():
		return defaultMaxWait
	default:
		return 5 * c.o.Interval
	}
}

// each runs f for tables, as many at the same time as there are slots. What fails
// one table is its verdict; only the end of ctx is an error.
func (c *check) each(ctx context.Context, tables []*table, f func(context.Context, *table) error) error {
	var wg sync.WaitGroup
	for _, t := range tables {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return ctx.Err()
		}
		wg.Go(func() {
			defer func() { <-c.slots }()
			c.glance(ctx)
			err := diff.Guard(func() error { return f(ctx, t) })
			if ctx.Err() == nil {
				t.err = err
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (c *check) tell(open int, next time.Time) {
	if c.o.Progress == nil {
		return
	}
	c.progress.Lock()
	defer c.progress.Unlock()
	c.o.Progress(Progress{TablesDone: c.done, Tables: len(c.tables), Open: open, Next: next})
}

func (c *check) matchTables() error {
	c.prefixes = append([]string{"dbo.", superoffice.ReplicaSchema + "."}, c.o.SchemaPrefixes...)
	c.prefixes = append(c.prefixes, sharedPrefixes(c.referenceTables, c.replicaTables, c.prefixes)...)
	reference, replica, lent := withKeys(c.referenceTables, c.replicaTables, c.prefixes)
	c.lent = lent
	matched := match.Tables(reference, replica, match.Options{
		Tables: c.o.Tables, SkipTables: c.o.SkipTables, IgnoreColumns: c.o.IgnoreColumns, SchemaPrefixes: c.prefixes, LooseTypes: true,
		AnyValue: store.HoldsAnyValue(c.reference) || store.HoldsAnyValue(c.replica), NotData: isNoData,
	})
	if matched.Apart && len(matched.Names) > 0 {
		return wrongDatabase("the reference and the replica have no table in common")
	}
	if len(matched.Unknown) > 0 {
		err := &mirror.Error{Op: "check replica", ContextID: c.report.ContextID, Err: store.ErrTableNotFound}
		for _, name := range matched.Unknown {
			err.Tables = append(err.Tables, mirror.TableError{Table: name, Reason: "neither side has it"})
		}
		return err
	}
	c.report.Warnings = append(c.report.Warnings, matched.Unused...)
	for _, p := range matched.Pairs {
		c.tables = append(c.tables, c.newTable(p))
	}
	return nil
}
