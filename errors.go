package mirror

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/match"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// The sentinels. Errors wrap them, so test with errors.Is. Errors of a done
// context are passed through untouched.
var (
	// ErrWrongDatabase: a database is not the one that the operation needs, such as
	// the same one on both sides, the two sides swapped, the mirror of another customer,
	// or not the one that a plan or a receipt is of. The message says which, and what to
	// do. Nothing was changed.
	ErrWrongDatabase = errors.New("wrong database")
	// ErrNoMetadata: the mirror has no metadata table. The next cycle creates it and
	// populates every table, so there is nothing to reset.
	ErrNoMetadata = errors.New("no metadata table")
	// ErrMetadata: the metadata table is not what this library may write to: a column
	// is missing, or a table has several rows.
	ErrMetadata = metadata.ErrUnexpected
	// ErrReplica: a replica has no LSN. Its own program re-synchronizes tables.
	ErrReplica = errors.New("this is a replica of the newer client")
	// ErrTooMuch: more would be reset than a real incident damages, so the source may
	// be the wrong database. Nothing was changed. It comes as a [LimitError].
	ErrTooMuch = errors.New("too much would be reset")
	// ErrJournal: the journal could not be written. Nothing was changed, unless the
	// message says that it was done: then the journal alone lacks that it was, and the
	// Receipt comes along.
	ErrJournal = errors.New("journal not written")
	// ErrInvalidDocument: a receipt, plan, report, checkpoint or journal is of another
	// customer or another version, or was damaged.
	ErrInvalidDocument = errors.New("invalid document")

	ErrInvalidContextID = errors.New("invalid context identifier")                 // it breaks the rule of New
	ErrNoTables         = errors.New("no tables named")                            // ResetOptions.All means all of them
	ErrNothingToDo      = errors.New("nothing to do")                              // a plan has no step to do
	ErrNotPlanned       = errors.New("not in the plan")                            // a table was asked for that the plan has no step for
	ErrNotConfirmed     = errors.New("not confirmed")                              // Confirm is not the context identifier
	ErrMoved            = errors.New("metadata row moved since the plan was made") // it is no longer what the plan saw
	ErrCannotUndo       = errors.New("cannot undo")                                // what a receipt records can no longer be undone
	ErrTimeBudget       = errors.New("time budget used up")                        // that is CompareOptions.MaxDuration
)

// The documents that come back from outside. Their errors are ErrInvalidDocument.
const (
	errInvalidReceipt = document("invalid receipt")
	errInvalidPlan    = document("invalid plan")
	errInvalidJournal = document("invalid journal")
)

// document is an ErrInvalidDocument with a text of its own.
type document string

func (d document) Error() string { return string(d) }

func (d document) Is(target error) bool { return target == ErrInvalidDocument }

// Error is what an operation returns when it refused because of particular
// tables. Nothing was changed: an operation changes all of its tables or none.
type Error struct {
	Op        string // "reset tables", "hard reset", "apply plan", "undo", "compare" or "wait"
	ContextID string
	Err       error        // the sentinel that says what kind of refusal this is
	Tables    []TableError // all that stood in the way
}

// TableError is one table's part of an [Error].
type TableError struct {
	Table   string // as the caller gave it
	Reason  string // what is wrong with it and what to do
	Closest string // with store.ErrTableNotFound: the known table whose name is most like Table, or ""
}

// Error names every table with its reason.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s: %v", e.Op, e.ContextID, e.Err)
	for i, t := range e.Tables {
		shared := i > 0 && t.sharesReason(e.Tables[i-1])
		switch {
		case i == 0:
			b.WriteString(": ")
		case shared:
			b.WriteString(", ")
		default:
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%q", text.Clip(t.Table, text.MaxName))
		if i+1 < len(e.Tables) && t.sharesReason(e.Tables[i+1]) {
			continue // the reason follows the last of those that share it
		}
		if shared {
			b.WriteString(" each")
		}
		if t.Reason != "" {
			b.WriteString(" " + t.Reason)
		}
		if t.Closest != "" {
			fmt.Fprintf(&b, " (did you mean %q?)", t.Closest)
		}
	}
	return b.String()
}

func (t TableError) sharesReason(o TableError) bool {
	return t.Reason != "" && t.Reason == o.Reason && t.Closest+o.Closest == ""
}

// refuse adds a table that stands in the way.
func (e *Error) refuse(table, reason string) {
	e.Tables = append(e.Tables, TableError{Table: table, Reason: reason})
}

// orNil returns e when tables stand in the way.
func (e *Error) orNil() error {
	if len(e.Tables) == 0 {
		return nil
	}
	return e
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// unknownTable says why a name that a caller gave is not that of a table. Loses is
// why the metadata table cannot be meant, prefixed what to do about a prefix.
func (m *Mirror) unknownTable(name string, known []string, loses, prefixed string) TableError {
	e := TableError{Table: name, Closest: match.Closest(name, known)}
	_, bare, _ := match.CutPrefix(name)
	switch i := slices.IndexFunc(known, func(k string) bool { return store.FoldName(k) == store.FoldName(bare) }); {
	case m.meansMetadata(name):
		e.Closest, e.Reason = "", "is the metadata table: "+loses
	case i >= 0 && bare != name:
		e.Closest, e.Reason = known[i], "has a schema or a prefix: leave it out, or "+prefixed
	}
	return e
}

// meansMetadata reports whether a caller's name can only be that of the metadata
// table, with a prefix or without.
func (m *Mirror) meansMetadata(name string) bool {
	_, bare, _ := match.CutPrefix(name)
	return m.names.IsTable(name) || m.names.IsTable(bare)
}
