package mirror

import (
	"errors"
	"fmt"
)

// ErrTooMuch: more of a mirror would be reset than a real incident damages, so
// the source may be the wrong database. Nothing was changed. It comes as a
// [LimitError].
var ErrTooMuch = errors.New("too much would be reset")

// LimitError is what Apply, Heal and [Report.Err] return with ErrTooMuch. It
// carries the figures; for the rule see ApplyOptions.MaxRowShare.
type LimitError struct {
	// Op is "apply plan" or "compare".
	Op string

	// ContextID is the customer's context identifier.
	ContextID string

	// What is "rows" or "tables".
	What string

	// Count of Of are concerned: rows of the mirror that the source does not
	// have, or has otherwise, or tables that would be reset.
	Count, Of int64

	// Limit is the largest share of Of that is allowed.
	Limit float64
}

// Error says how much is concerned, and which option allows it.
func (e *LimitError) Error() string {
	what, option := "of the mirror's compared rows are not so at the source", "MaxRowShare"
	if e.What == "tables" {
		what, option = "tables would be reset", "MaxTableShare"
	}
	return fmt.Sprintf("%s of %s: %v: %s of %s %s, more than %.4g %%: is the source the right database? If it is, %s of ApplyOptions or HealOptions allows it",
		e.Op, e.ContextID, ErrTooMuch, formatCount(e.Count), formatCount(e.Of), what, 100*e.Limit, option)
}

// Unwrap returns ErrTooMuch.
func (e *LimitError) Unwrap() error { return ErrTooMuch }

// The limits, and what never reaches them: so little that a share of it says
// nothing.
const (
	defaultMaxShare = 0.5
	fewRows         = 10
	fewTables       = 4
)
