package console

import (
	"cmp"
	"errors"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// refusal is why a change was not begun, "" where it was.
type refusal string

const (
	refusedMoved       refusal = "moved"       // tables are not what the plan saw
	refusedTooMuch     refusal = "too-much"    // the source may be the wrong database
	refusedDatabase    refusal = "database"    // one of the databases is the wrong one
	refusedUnconfirmed refusal = "unconfirmed" // what was typed is not the context identifier
	refusedUndo        refusal = "undo"        // it can no longer be undone
	refusedNothing     refusal = "nothing"     // there is nothing to do
	refusedTables      refusal = "tables"      // some tables stand in the way
	refusedMetadata    refusal = "no-metadata" // there is no metadata table
	refusedReplica     refusal = "replica"     // it is fed by the newer client
	refusedDocument    refusal = "document"    // the plan or the receipt is not one
	refusedJournal     refusal = "journal"     // the journal could not be written
)

// refusalOf tells refusals, after which nothing was changed, from failures.
func refusalOf(err error) refusal {
	for _, r := range []struct {
		err error
		as  refusal
	}{
		{mirror.ErrMoved, refusedMoved}, {mirror.ErrTooMuch, refusedTooMuch}, {mirror.ErrWrongDatabase, refusedDatabase},
		{mirror.ErrNotConfirmed, refusedUnconfirmed}, {mirror.ErrCannotUndo, refusedUndo}, {mirror.ErrNothingToDo, refusedNothing},
		{mirror.ErrNoMetadata, refusedMetadata}, {mirror.ErrReplica, refusedReplica}, {mirror.ErrInvalidDocument, refusedDocument},
		{mirror.ErrNotPlanned, refusedTables}, {mirror.ErrMetadata, refusedTables}, {mirror.ErrNoTables, refusedTables}, {store.ErrTableNotFound, refusedTables},
		{mirror.ErrJournal, refusedJournal},
	} {
		if errors.Is(err, r.err) && !isUnknown(err) {
			return r.as
		}
	}
	return ""
}

// refusedTablesOf are those that stood in the way, each with its reason.
func refusedTablesOf(err error) (all []tableSummary) {
	var refused *mirror.Error
	if !errors.As(err, &refused) {
		return nil
	}
	for _, t := range refused.Tables {
		reason := cmp.Or(t.Reason, "there is no such table")
		if t.Closest != "" {
			reason += " (is " + t.Closest + " meant?)"
		}
		all = append(all, tableSummary{Table: t.Table, Reason: reason})
	}
	return all
}

// refusalWords are a refusal for who reads it, and what to do about it.
type refusalWords struct{ title, next string }

// refusalText says why a change was refused.
func refusalText(r refusal) refusalWords {
	switch r {
	case refusedMoved:
		return refusalWords{"The mirror is no longer what the plan saw", "A cycle or somebody else has written since. Compare again, and take the plan from that."}
	case refusedTooMuch:
		return refusalWords{"More differs than an incident damages", "The source may be the wrong database. Check it, and compare again."}
	case refusedDatabase:
		return refusalWords{"A database is the wrong one", "Check which databases are configured for this mirror, and compare again."}
	case refusedUnconfirmed:
		return refusalWords{"It was not confirmed", "Type the context identifier exactly as it is spelled."}
	case refusedUndo:
		return refusalWords{"It can no longer be undone", "A cycle has begun, or somebody else changed the mirror. Compare it to see how it is."}
	case refusedNothing:
		return refusalWords{"There is nothing to do", "Compare again: what differed may be mended."}
	case refusedMetadata:
		return refusalWords{"The mirror has no metadata table", "The next cycle creates it and populates everything: there is nothing to reset."}
	case refusedReplica:
		return refusalWords{"This database is a replica of the newer client", "It has no LSN. Its own program re-synchronizes tables."}
	case refusedDocument:
		return refusalWords{"What it was made from is not valid for this mirror", "Compare again, and take the plan from that."}
	case refusedJournal:
		return refusalWords{"The journal could not be written", "Nothing is changed without its entry. Check the file of the console's state, and try again."}
	default:
		return refusalWords{"Some tables stand in the way", "The list says why for each."}
	}
}
