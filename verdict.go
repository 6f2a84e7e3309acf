package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/so-mirror/mirror/internal/text"
)

// Verdict is what Compare found about one table.
type Verdict string

const (
	VerdictIdentical     Verdict = "identical"      // both sides are the same, as far as Depth goes
	VerdictPending       Verdict = "pending"        // rows differ, and the next cycle sends them or the whole table
	VerdictDifferent     Verdict = "different"      // rows differ, and not all are known to be pending
	VerdictMissing       Verdict = "missing"        // only the source has the table
	VerdictExtra         Verdict = "extra"          // only the mirror has the table; the next cycle drops it
	VerdictSchemaDiffers Verdict = "schema-differs" // columns or keys differ; rows are compared by what both sides have
	VerdictNotMirrored   Verdict = "not-mirrored"   // never mirrored, or skipped by request
	VerdictIncomparable  Verdict = "incomparable"   // rows cannot be compared; the Reason says why
	VerdictFailed        Verdict = "failed"         // reading failed; Err and Reason say why
	VerdictUnfinished    Verdict = "unfinished"     // stopped before the table's end; Err and Reason say by what
)

// LSNState is what a source's change tracking makes of a table's LSN.
type LSNState string

// The states of an LSN; "" is a valid one, or one that nothing is known about.
const (
	// LSNExpired: the changes since the LSN are no longer known. What differs is unknown
	// until a cycle was seen to populate the table, which only a reset makes sure of.
	LSNExpired LSNState = "expired"
	// LSNAhead: the source has not got that far, so it was restored from an older
	// backup. The table needs a reset: once the source has passed the LSN, the
	// Mirroring Task no longer notices.
	LSNAhead LSNState = "ahead"
)

var verdicts = []Verdict{VerdictIdentical, VerdictPending, VerdictDifferent, VerdictSchemaDiffers, VerdictMissing,
	VerdictExtra, VerdictIncomparable, VerdictFailed, VerdictUnfinished, VerdictNotMirrored}

// Identical reports whether every table that is mirrored was compared to the end
// and found identical, as far as Depth goes. It is false when no table was
// compared, with Mistakes, and when at DepthRows a column was left out that
// IgnoreColumns does not name: of a type that cannot be compared, computed by the
// database, or a rowversion.
func (r *Report) Identical() bool {
	return r.verdictsIdentical() && r.leftOut() == 0
}

// leftOut is how many columns were left out that nobody asked to leave out.
func (r *Report) leftOut() (n int) {
	for i := range r.Tables {
		if t := &r.Tables[i]; r.Depth == DepthRows && t.compared() {
			for _, o := range t.NotCompared {
				if !o.Requested {
					n++
				}
			}
		}
	}
	return n
}

// compared reports whether a table was compared to the end on both sides.
func (t *TableReport) compared() bool {
	switch t.Verdict {
	case VerdictIdentical, VerdictPending, VerdictDifferent:
		return true
	case VerdictSchemaDiffers:
		return t.Reason == ""
	default:
		return false
	}
}

// measure sums up what was compared.
func (r *Report) measure() {
	r.Scope.Compared, r.Scope.LeftOut = 0, r.leftOut()
	for i := range r.Tables {
		if r.Tables[i].compared() {
			r.Scope.Compared++
		}
	}
}

// verdictsIdentical reports whether every verdict is that nothing differs.
func (r *Report) verdictsIdentical() bool {
	identical := false
	for _, t := range r.Tables {
		switch t.Verdict {
		case VerdictIdentical:
			identical = true
		case VerdictNotMirrored:
		default:
			return false
		}
	}
	return identical && !r.Incomplete && len(r.Mistakes) == 0
}

// Err returns an error that names every mistake about the databases (see
// Mistakes), which is ErrWrongDatabase, and every table that could not be compared,
// wrapping its error, or how many there are that one reason kept from it; nil when
// there is none. It is a [LimitError] as well when so much differs that the source may
// be the wrong database. Stale says nothing about such tables.
//
// A side that lacks at least a quarter of the tables that the metadata table lists
// and the other side has, and at least 3, is such a mistake. Tables that are left out
// by Tables or SkipTables do not count.
func (r *Report) Err() error { return r.ErrWith(r.Plan().suspicion()) }

// Wrong returns the part of Err that is ErrWrongDatabase, nil for none.
func (r *Report) Wrong() error {
	if err := wrong(r.Mistakes); err != nil {
		return fmt.Errorf("comparison of %s: %w", r.ContextID, err)
	}
	return nil
}

// ErrWith is Err with what [Plan.CheckRows] found by other limits than the default,
// which may be nil.
func (r *Report) ErrWith(tooMuch error) error {
	var all error
	for _, err := range []error{r.Wrong(), tooMuch, r.failed()} {
		switch {
		case err == nil:
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// failed names the tables that could not be compared.
func (r *Report) failed() error {
	var errs, stops []error
	stopped := map[string][]string{} // tables, by why they were not reached
	for _, t := range r.Tables {
		switch {
		case t.Verdict == VerdictUnfinished:
			err := t.Err
			if err == nil {
				err = errors.New(t.Reason)
			}
			if stopped[err.Error()] == nil {
				stops = append(stops, err)
			}
			stopped[err.Error()] = append(stopped[err.Error()], t.Table)
		case t.Err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", t.Table, t.Err))
		case t.Verdict == VerdictFailed, t.Verdict == VerdictIncomparable:
			errs = append(errs, fmt.Errorf("%s: %s", t.Table, t.Reason))
		}
	}
	failed := len(errs)
	for _, err := range stops {
		tables := stopped[err.Error()]
		failed += len(tables)
		if len(tables) > 1 {
			errs = append(errs, fmt.Errorf("%d unfinished: %w", len(tables), err))
		} else {
			errs = append(errs, fmt.Errorf("%s: %w", tables[0], err))
		}
	}
	switch {
	case errs != nil:
		return fmt.Errorf("comparison of %s: %d of %d tables were not compared: %w",
			r.ContextID, failed, len(r.Tables), errors.Join(errs...))
	case r.Incomplete:
		return fmt.Errorf("comparison of %s was stopped before any table was compared", r.ContextID)
	default:
		return nil
	}
}

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
