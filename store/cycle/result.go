package cycle

import (
	"fmt"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// Action is what a cycle did to a table.
type Action string

// The actions.
const (
	Unchanged Action = "unchanged" // nothing to send; the LSN did not move
	Changes   Action = "changes"   // the changes since the LSN were sent
	Wiped     Action = "wiped"     // truncated, all rows were sent
	Created   Action = "created"   // created, all rows were sent
	Recreated Action = "recreated" // dropped, created anew, all rows were sent
	Dropped   Action = "dropped"   // dropped with its metadata row
)

// Result is what one cycle did.
type Result struct {
	// ContextID is the customer's context identifier.
	ContextID string

	// MetadataCreated says that there was no metadata table.
	MetadataCreated bool

	// Tables are the tables that were finished, in the order of their names.
	Tables []TableResult
}

// TableResult is what one cycle did to one table.
type TableResult struct {
	// Table is the name as the customer's database spells it.
	Table string

	// Action is what was done, Reason why everything had to be sent, or the
	// table dropped. Reason is empty for Unchanged and Changes.
	Action Action
	Reason string

	// Before and After are the LSN of the table at the beginning and the end,
	// -1 for none.
	Before, After store.LSN

	// Inserted, Updated and Deleted count rows of the mirror. The rows that a
	// wipe truncated are not counted.
	Inserted, Updated, Deleted int64

	// Batches is the number of transactions that rows were sent in.
	Batches int
}

// Table returns the result of a table, found as store.FoldName folds names.
func (r *Result) Table(name string) (TableResult, bool) {
	for _, t := range r.Tables {
		if sameName(t.Table, name) {
			return t, true
		}
	}
	return TableResult{}, false
}

// Totals returns the numbers of rows over all tables.
func (r *Result) Totals() (inserted, updated, deleted int64) {
	for _, t := range r.Tables {
		inserted += t.Inserted
		updated += t.Updated
		deleted += t.Deleted
	}
	return inserted, updated, deleted
}

// String returns one line for each table that was not Unchanged, and the
// totals.
func (r *Result) String() string {
	var b strings.Builder
	quiet := 0
	for _, t := range r.Tables {
		if t.Action == Unchanged {
			quiet++
			continue
		}
		fmt.Fprintf(&b, "%s\n", t)
	}
	inserted, updated, deleted := r.Totals()
	fmt.Fprintf(&b, "replication of %s completed: %d inserted, %d updated, %d deleted; %d of %d tables unchanged",
		r.ContextID, inserted, updated, deleted, quiet, len(r.Tables))
	return b.String()
}

// String returns one line such as "contact wiped (the LSN is -1): 3 inserted,
// 0 updated, 0 deleted, batches: 1, LSN 7".
func (t TableResult) String() string {
	s := fmt.Sprintf("%s %s", t.Table, t.Action)
	if t.Reason != "" {
		s += " (" + t.Reason + ")"
	}
	if t.Action == Unchanged || t.Action == Dropped {
		return s
	}
	return fmt.Sprintf("%s: %d inserted, %d updated, %d deleted, batches: %d, LSN %d",
		s, t.Inserted, t.Updated, t.Deleted, t.Batches, t.After)
}
