package mirror

import (
	"cmp"
	"fmt"
	"math"

	"github.com/so-mirror/mirror/internal/text"
)

// LimitError is what Apply, package heal and [Report.Err] return with ErrTooMuch. For
// the rule see ApplyOptions.MaxRowShare.
type LimitError struct {
	Op        string // "compare", "apply plan" or "heal"
	ContextID string
	What      string  // "rows" of the mirror that are not so at the source, or "tables" to reset
	Count, Of int64   // so many of so many
	Limit     float64 // the largest share of Of that is allowed
}

// Error says how much is concerned, and which option allows it.
func (e *LimitError) Error() string {
	what, option := "of the mirror's compared rows are not so at the source", "MaxRowShare"
	if e.What == "tables" {
		what, option = "tables would be reset", "MaxTableShare"
	}
	return fmt.Sprintf("%s of %s: %v: %s of %s %s, more than %.4g %%: is the source the right database? If it is, %s of the options allows it",
		e.Op, e.ContextID, ErrTooMuch, text.Count(e.Count), text.Count(e.Of), what, 100*e.Limit, option)
}

// Unwrap returns ErrTooMuch.
func (e *LimitError) Unwrap() error { return ErrTooMuch }

// The limits, and what never reaches them: so little that a share of it says
// nothing.
const (
	defaultMaxShare = 0.5
	fewRows         = 10
	fewTables       = 6
)

// measure adds a compared table to the figures. Counted says that it counts
// although it may have no rows.
func (p *Plan) measure(t *TableReport, counted bool) {
	switch t.Verdict {
	case VerdictIdentical, VerdictPending, VerdictDifferent, VerdictMissing, VerdictSchemaDiffers:
	default:
		return // it was not compared, or there is nothing to compare it with
	}
	if counted || t.SourceRows+t.MirrorRows > 0 {
		p.ComparedTables++
	}
	if t.Reason != "" { // its rows were counted and not compared
		return
	}
	// Rows that were not read are taken to differ as those that were: the limit at
	// which reading stopped must not hide how many there are.
	of := func(n int64) int64 {
		if !t.Truncated || t.trace.Read == 0 || t.trace.Read >= t.MirrorRows {
			return n
		}
		return int64(math.Round(float64(n) * float64(t.MirrorRows) / float64(t.trace.Read)))
	}
	p.ComparedRows += t.MirrorRows
	p.DifferingRows += of(t.Extra + t.Changed + t.Duplicate)
	p.MissingRows += of(t.Missing)
	if t.Missing+t.Extra+t.Changed+t.Duplicate == 0 { // by numbers of rows
		p.DifferingRows += max(0, t.MirrorRows-t.SourceRows)
		p.MissingRows += max(0, t.SourceRows-t.MirrorRows)
	}
}

// CheckRows returns a [LimitError] when more than a share of the compared rows
// differ, so that the source may be the wrong database. The share is that of
// [ApplyOptions].MaxRowShare. Op is the operation that asks.
func (p *Plan) CheckRows(op string, maxShare float64) error { return p.limit(op, 0, maxShare, 1) }

// limit holds the figures, and a number of tables that would be reset, against
// shares that are the options' or 0. Nothing to reset is never too much.
func (p *Plan) limit(op string, resets int64, rowShare, tableShare float64) error {
	refuse := func(what string, count, of int64, share float64) error {
		return &LimitError{Op: op, ContextID: p.ContextID, What: what, Count: count, Of: of, Limit: share}
	}
	rowShare, tableShare = cmp.Or(rowShare, defaultMaxShare), cmp.Or(tableShare, defaultMaxShare)
	switch {
	case p.DifferingRows+p.MissingRows >= fewRows && over(p.DifferingRows, p.ComparedRows, rowShare):
		return refuse("rows", p.DifferingRows, p.ComparedRows, rowShare)
	case resets >= fewTables && over(resets, p.ComparedTables, tableShare):
		return refuse("tables", resets, p.ComparedTables, tableShare)
	default:
		return nil
	}
}

func over(n, of int64, share float64) bool { return share < 1 && float64(n) > share*float64(of) }

// suspicion returns what Apply would refuse by default, nil when it would not.
func (p *Plan) suspicion() error {
	resets := int64(0)
	for _, t := range p.Tables {
		if t.Step.Acts() {
			resets++
		}
	}
	return p.limit("compare", resets, 0, 0)
}

// checkShares refuses what is no share.
func checkShares(shares ...float64) error {
	for _, s := range shares {
		if !(s >= 0) {
			return fmt.Errorf("MaxRowShare and MaxTableShare cannot be %v: 0.5 is half, 1 is everything", s)
		}
	}
	return nil
}
