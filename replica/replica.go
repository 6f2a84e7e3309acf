// Package replica checks whether a replica of SuperOffice's newer client is good:
// before it takes the place of an old mirror, after that, and after each restore of
// the customer's database.
//
// [Check] compares the replica with a reference, which is the old mirror, the
// customer's database, or a restored backup. Both sides keep moving meanwhile, each
// at its own delay, so a key whose rows differ is read again until both sides are
// equal, until one of them has had the time that it needs and is proven stale, or
// until the time is up. What comes of it is a [Report]: go, no-go or not yet, with
// the reasons, and the tables that the client has to re-synchronize. [Request] asks
// the client for that, and [Watch] looks on until the tables are equal. [StatusOf]
// says what a replica's database tells by itself, without a reference.
//
// Nothing in this package writes to a database.
//
// It may import the root, store, and the internal packages that match and compare
// tables; no store and no driver.
package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// Options configure [Check], the check at the end of [Watch], and [StatusOf]. The
// zero value of each field is its default.
type Options struct {
	// ContextID is the customer's context identifier. It is needed where the
	// reference holds the mirrors of several customers. Default: the one that the
	// name of the reference's metadata table tells.
	ContextID string

	// State serves the table _ReplicationState where that is in another schema
	// than the replica's tables. Default: the replica itself.
	State store.Source

	// Tables are the tables to check; a name that neither side has is
	// store.ErrTableNotFound. SkipTables are tables that the customer excludes,
	// IgnoreColumns columns to leave out, as "column" or "table.column". Default:
	// all tables and columns.
	Tables, SkipTables, IgnoreColumns []string

	// SchemaPrefixes are prefixes of table names that do not count, besides "dbo."
	// and "crm7." and the one that all tables of the replica share.
	SchemaPrefixes []string

	// Stamps are the columns by which the newer of two rows is known, the first one
	// that differs. Default: updated, updatedCount.
	Stamps []string

	// AsOf says that the reference is a backup of that time, in UTC, as SuperOffice
	// stores its times. Rows of the replica that were updated later are as they
	// should be. Default: the reference is followed as it moves.
	AsOf time.Time

	// Interval is the replica's commit interval. A replica that is behind for
	// twice as long is stale. Default: 60 s, the client's own default.
	Interval time.Duration

	// MaxWait is how long rows that differ are read again. A negative one reads
	// them once, and proves nothing stale. Default: 90 minutes beside an old
	// mirror, which is four cycles of 20 minutes and one that comes late, and five
	// intervals beside any other reference.
	MaxWait time.Duration

	// MaxKeys is how many differing keys of a table are read again; with more, the
	// table is compared again as a whole. Default: 1,000.
	MaxKeys int

	// MaxSamples is how many differing rows of a table the report shows; a negative
	// number means none. Default: 5.
	MaxSamples int

	// RoundedTimes accepts times that differ by the rounding of milliseconds, which
	// no re-synchronization mends. Default: they make a table stale.
	RoundedTimes bool

	// Strategy and Tuning are those of [mirror.CompareOptions].
	Strategy mirror.Strategy
	Tuning   mirror.Tuning

	// Clock tells the time, and waits. Default: the system's.
	Clock mirror.Clock

	// Progress is told where the check is, from one goroutine at a time. It must
	// not block. Default: no progress.
	Progress func(Progress)
}

// Progress is one observation of a running check.
type Progress struct {
	// TablesDone of Tables were compared for the first time.
	TablesDone, Tables int

	// Open is how many keys differ and are read again, the next time at Next.
	Open int
	Next time.Time
}

const (
	defaultInterval   = 60 * time.Second
	defaultMaxWait    = 90 * time.Minute
	defaultMaxKeys    = 1000
	defaultMaxSamples = 5
	defaultDigestRows = 16 << 10

	// intervals is how many commit intervals a replica may be behind: the one that
	// is running, and one.
	intervals = 2
)

func (o *Options) fill() error {
	if o.Interval < 0 || o.MaxKeys < 0 {
		return errors.New("check replica: Interval and MaxKeys cannot be negative: leave them 0 for their defaults")
	}
	if o.Tables != nil && len(o.Tables) == 0 {
		return fmt.Errorf("check replica: %w: name them, or leave Tables nil for all", mirror.ErrNoTables)
	}
	o.Interval = cmp.Or(o.Interval, defaultInterval)
	o.MaxKeys = cmp.Or(o.MaxKeys, defaultMaxKeys)
	o.MaxSamples = max(0, cmp.Or(o.MaxSamples, defaultMaxSamples))
	o.Strategy = cmp.Or(o.Strategy, mirror.StrategyStream)
	o.Tuning.Concurrency = cmp.Or(o.Tuning.Concurrency, 2)
	o.Tuning.DigestRows = cmp.Or(o.Tuning.DigestRows, defaultDigestRows)
	if o.Tuning.Concurrency < 0 || o.Tuning.DigestRows < 0 || o.Tuning.SplitRows < 0 || o.Tuning.MaxRowsPerSecond < 0 {
		return errors.New("check replica: Tuning has a negative number: leave it 0 for its default")
	}
	if o.Stamps == nil {
		o.Stamps = []string{"updated", "updatedCount"}
	}
	return nil
}

// Check compares a replica with a reference and says whether it is good. The
// reference is the old mirror, the customer's database or, with Options.AsOf, a
// backup; it is found out by its tables which.
//
// Tables are matched without regard to case, to the schemas dbo and crm7 and to the
// prefix that the replica's tables share, columns without regard to case and type as
// long as both hold the same kind of value. A table whose key only one side declares
// is compared by that. What the newer client does not copy is excluded.
//
// A table that the client is seen to empty meanwhile is Undecided until it is filled
// again; one that it was filling when the check began can be NewStale: see [Watch].
//
// When the client's offsets are seen to begin anew meanwhile, as after a restore or a
// resume of the tenant, the client takes all rows again, and nobody knows how long that
// takes: nothing is proven from then on, and the check is no go. One that begins before
// the client has all rows cannot know of it, and finds what lags NewStale: check after it.
//
// An old mirror is believed as far as it goes. Rows that it lost for good look like
// ghosts, and rows that it failed to delete like missing ones. After a restore of the
// customer's database it is ahead until a cycle has wiped it: check after that cycle.
//
// The report comes with every error but one about the options and the databases:
// mirror.ErrWrongDatabase when both sides are the same database, when they are
// exchanged, of two customers, or without a table in common;
// store.ErrTableNotFound for names that neither side has. When ctx is done the
// report says what is known by then, and is not a go.
func Check(ctx context.Context, reference, replica store.Source, opts *Options) (*Report, error) {
	c, err := newCheck(ctx, reference, replica, opts)
	if err != nil {
		return nil, err
	}
	defer c.close()
	err = c.run(ctx)
	c.report.Finished = c.now()
	err = c.conclude(ctx, err)
	c.describe(err)
	return c.report, err
}
