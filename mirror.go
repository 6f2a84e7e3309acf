package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// unreadable reports whether the catalogue has the table's name and nothing else.
func unreadable(t store.Table) bool { return t.Omit != "" && len(t.Columns) == 0 }

// Options configure a [Mirror]. The zero value of each field is its default.
type Options struct {
	// Logger receives one record for each reset and each Undo that was tried, with
	// its outcome: done, refused, failed or unknown. Default: no logging.
	Logger *slog.Logger

	// Progress is called while Compare reads, from one goroutine at a time. It must
	// not block. Default: no progress.
	Progress func(Progress)

	MetadataTable string // Default: "<context identifier>_mirroring".
	TableColumn   string // its column with the table's name. Default: "tablename".
	LSNColumn     string // its column with the LSN. Default: "LSN".

	// Journal is given the Receipt of each change right before it is committed, and
	// told afterwards how that ended. One that fails before the commit stops the
	// operation with ErrJournal. Default: no journal.
	Journal Journal

	// FormerIDs are IDs (see [store.Identity]) that the mirror's database had before it
	// was renamed or moved, or has on another server of a cluster: plans, receipts and
	// journals of them are of this mirror. Default: none.
	FormerIDs []string

	Clock Clock // Default: the system's.
}

// Clock tells the time and waits. It is called from several goroutines.
type Clock interface {
	Now() time.Time
	// Sleep waits for d and returns nil, or ctx.Err() as soon as ctx is done.
	Sleep(ctx context.Context, d time.Duration) error
}

// Progress is one observation of a running comparison.
type Progress struct {
	Table              string        // that is being compared, as the mirror names it
	Rows, Expected     int64         // of the source: compared so far, and counted before reading began
	Remaining          time.Duration // about what the rest of the table takes; 0 when there is nothing to go by
	TablesDone, Tables int           // how many are finished, and how many there are
}

// Mirror is one customer's mirror. It is safe for concurrent use.
type Mirror struct {
	contextID string
	store     store.Store
	log       *slog.Logger
	progress  func(Progress)
	journal   Journal
	formerIDs []string
	clock     Clock
	names     metadata.Names
	steps     diff.Steps
}

// New returns the mirror of the customer with that context identifier, such as
// "Cust10195", that lives in store, which stays the caller's to close. It touches
// nothing: whether the metadata table exists is for [Mirror.Status] to say.
//
// A context identifier is letters, digits, '_' and '-', starts with a letter, and
// fits into 128 characters together with "_mirroring" (SQL Server's limit for a
// table's name); anything else is ErrInvalidContextID.
func New(contextID string, store store.Store, opts *Options) (*Mirror, error) {
	if err := checkContextID(contextID); err != nil {
		return nil, err
	}
	if store == nil {
		return nil, errors.New("new mirror: store is nil: pass the store of the mirror's database")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	m := &Mirror{
		contextID: contextID,
		store:     store,
		log:       o.Logger,
		progress:  o.Progress,
		journal:   o.Journal,
		formerIDs: slices.Clone(o.FormerIDs),
		names:     metadata.Names{ContextID: contextID, Table: o.MetadataTable, TableColumn: o.TableColumn, LSNColumn: o.LSNColumn}.WithDefaults(),
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.clock = o.Clock; m.clock == nil {
		m.clock = diff.SystemClock{}
	}
	return m, nil
}

// WithJournal returns a copy of the Mirror whose changes go to j, and to no other
// journal. With nil they go to none. It is for code that is given a Mirror.
func (m *Mirror) WithJournal(j Journal) *Mirror {
	c := *m
	c.journal = j
	return &c
}

// WithProgress returns a copy of the Mirror whose comparisons call f as
// [Options].Progress says, and no other function. With nil they call none.
func (m *Mirror) WithProgress(f func(Progress)) *Mirror {
	c := *m
	c.progress = f
	return &c
}

// sameCustomer reports whether two context identifiers are one customer's. Tables
// named after them have one name, so case does not count.
func sameCustomer(a, b string) bool { return store.FoldName(a) == store.FoldName(b) }

// Clock returns the clock of the Options.
func (m *Mirror) Clock() Clock { return m.clock }

// ContextID returns the customer's context identifier.
func (m *Mirror) ContextID() string { return m.contextID }

// MetadataTableName returns "Cust10195_mirroring" for "Cust10195": the default.
func MetadataTableName(contextID string) string { return superoffice.MetadataTable(contextID) }

// BlockedTables returns the tables that are never mirrored, each with the
// vendor's reason. Names are folded (see [store.FoldName]).
func BlockedTables() map[string]string { return superoffice.Blocked() }

func checkContextID(id string) error {
	reason := ""
	switch {
	case id == "":
		reason = "it is empty"
	case len(id) > text.MaxName-len(superoffice.MetadataSuffix):
		reason = fmt.Sprintf("it has %d characters, and at most %d fit into a table's name with %q",
			len(id), text.MaxName-len(superoffice.MetadataSuffix), superoffice.MetadataSuffix)
	case !isLetter(id[0]):
		reason = "it does not start with a letter"
	default:
		for _, r := range id {
			if r > 127 || !isLetter(byte(r)) && (r < '0' || r > '9') && r != '_' && r != '-' {
				reason = fmt.Sprintf("%q is not a letter, a digit, '_' or '-'", r)
				break
			}
		}
	}
	if reason == "" {
		return nil
	}
	if len(id) > text.MaxName {
		id = id[:text.MaxName] + "..."
	}
	return fmt.Errorf("%w %q: %s", ErrInvalidContextID, id, reason)
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }
