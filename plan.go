package mirror

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

const planVersion = 1

// Step is what a [Plan] does to a table, from mild to thorough.
type Step string

const (
	StepNone      Step = "none"           // nothing can or need be done; the Reason says why
	StepUnknown   Step = "not-known-yet"  // a cycle may mend it; the Reason says how to find out
	StepReset     Step = "reset"          // the LSN is set to -1
	StepTruncate  Step = "reset-truncate" // also, the rows are deleted: a large table takes long to wipe
	StepHardReset Step = "hard-reset"     // the metadata row is deleted, and with Drop the table
)

// actions returns what a step does.
func (s Step) actions(drop bool) []Action {
	switch {
	case s == StepReset:
		return []Action{ActionResetLSN}
	case s == StepTruncate:
		return []Action{ActionResetLSN, ActionTruncate}
	case s == StepHardReset && drop:
		return []Action{ActionDeleteMetadata, ActionDrop}
	case s == StepHardReset:
		return []Action{ActionDeleteMetadata}
	default:
		return nil
	}
}

// Plan is the smallest set of resets that repairs what a comparison found, by
// the policy of the package comment. It is data: it can be printed, kept as JSON,
// reviewed, and applied later.
type Plan struct {
	Version   int       `json:"version"`
	ContextID string    `json:"contextId"`
	Time      time.Time `json:"time"`               // when the comparison ended
	Mistakes  []string  `json:"mistakes,omitempty"` // of the report; a plan that has any is not applied

	// Mirror is the database that was compared, where it can be told. Apply refuses another
	// one, also a copy with the same metadata rows.
	Mirror store.Identity `json:"mirror,omitzero"`

	// ComparedRows of the mirror were compared, DifferingRows of them the source does
	// not have, or has otherwise, and MissingRows it has and the mirror does not.
	// ComparedTables have rows or a step. See ApplyOptions.MaxRowShare. Apply refuses a
	// plan whose figures do not fit FiguresSum.
	ComparedRows   int64  `json:"comparedRows"`
	DifferingRows  int64  `json:"differingRows"`
	MissingRows    int64  `json:"missingRows"`
	ComparedTables int64  `json:"comparedTables"`
	FiguresSum     string `json:"figuresSum"`

	Tables []PlanTable `json:"tables"` // by name, without identical, pending and never mirrored ones
}

// PlanTable is what a [Plan] does to one table. Whoever reviews a plan may change
// the Step; what a change makes of it is theirs.
type PlanTable struct {
	Table     string `json:"table"`
	Step      Step   `json:"step"`
	Reason    string `json:"reason"`
	Drop      bool   `json:"drop,omitempty"`      // a hard reset drops the table, too
	Schema    bool   `json:"schema,omitempty"`    // columns or the key differ: see ApplyOptions.HardReset
	Meanwhile string `json:"meanwhile,omitempty"` // what the table looks like until a cycle has populated it

	// LSN is for people to see. Metadata is a fingerprint of the metadata rows that the
	// comparison saw, LSN included: Apply leaves a table alone that has others now.
	LSN      *store.LSN `json:"lsn"`
	Metadata string     `json:"metadata,omitempty"`

	// The next Cycles cycles that begin send about so many Rows and Bytes, in Batches of
	// 1,000,000 bytes (the Mirroring Task's default).
	Rows    int64 `json:"rows"`
	Bytes   int64 `json:"bytes"`
	Batches int64 `json:"batches"`
	Cycles  int   `json:"cycles"`
}

const (
	// truncateRows is from how many rows on a plan truncates: SuperOffice
	// documentation, "Database mirroring", advises it where the wipe would
	// take very long, and names no number.
	truncateRows = 1_000_000

	// batchSize is the Mirroring Task's default, in bytes.
	batchSize = 1_000_000
)

// Plan returns the smallest set of resets that repairs what was found.
func (r *Report) Plan() *Plan {
	p := &Plan{Version: planVersion, ContextID: r.ContextID, Time: r.Finished, Mistakes: r.Mistakes, Mirror: r.Mirror.Identity}
	for i := range r.Tables {
		t := &r.Tables[i]
		step, reason := r.step(i)
		p.measure(t, r.Depth == DepthSchema || step != "" && step != StepNone)
		if step == "" {
			continue
		}
		pt := PlanTable{Table: t.Table, Step: step, Reason: reason, LSN: t.lastLSN(), Metadata: t.trace.MetadataSum}
		pt.Schema = step != StepNone && t.Verdict == VerdictSchemaDiffers
		pt.Drop = step == StepHardReset && pt.Schema
		if step != StepNone {
			pt.Rows, pt.Bytes, pt.Cycles = t.SourceRows, t.SourceRows*t.RowBytes, 1
			pt.Batches = max(1, (pt.Bytes+batchSize-1)/batchSize)
		}
		switch {
		case step == StepNone:
		case step == StepUnknown:
			pt.Meanwhile = "as it is: it is left alone"
		case step == StepTruncate:
			pt.Meanwhile = "empty from now on, until the next cycle has populated it"
		case pt.Drop:
			pt.Meanwhile = "gone from now on, until the next cycle has created and populated it"
		case t.Verdict == VerdictMissing:
			pt.Meanwhile = "absent until the next cycle has created and populated it"
		default:
			pt.Meanwhile = "as it is until the next cycle, then empty until it is populated"
		}
		p.Tables = append(p.Tables, pt)
	}
	p.FiguresSum = p.fingerprint()
	return p
}

// step decides what repairs a table, "" for one that needs no word. The policy
// stands in the package comment.
func (r *Report) step(i int) (Step, string) {
	t := &r.Tables[i]
	switch t.Verdict {
	case VerdictNotMirrored, VerdictPending:
		return "", ""
	case VerdictIdentical:
		if t.LSNState != LSNAhead {
			return "", ""
		}
	case VerdictFailed, VerdictUnfinished, VerdictIncomparable:
		return StepNone, "it was not compared: " + t.Reason
	case VerdictExtra:
		if !t.HasMetadata {
			return StepNone, "neither the source nor the metadata table has it"
		}
		return StepNone, "the source does not have it: the next cycle drops it"
	}
	switch {
	case r.State == MirrorReplica:
		return StepNone, "a replica has no LSN: the newer client's own program re-synchronizes tables"
	case r.State == MirrorAwaitingFirstCycle:
		return StepNone, "there is no metadata table: the next cycle populates everything"
	case t.MetadataDoubt != "":
		return StepUnknown, t.MetadataDoubt
	case !t.HasMetadata:
		return StepNone, "it has no metadata row: the next cycle sends all of its rows"
	case t.ResetRequested():
		return StepNone, "its LSN is -1 already: the next cycle sends all of its rows"
	case t.MetadataRows > 1:
		return StepHardReset, fmt.Sprintf("it has %d metadata rows, and which one the Mirroring Task reads is not known", t.MetadataRows)
	case t.Verdict == VerdictSchemaDiffers:
		return t.schemaStep()
	case t.LSNState == LSNAhead && (r.Depth == DepthCount || r.Depth == DepthSchema):
		return StepUnknown, "its LSN is ahead of the source, which was restored or is another customer's: compare its rows"
	case t.LSNState == LSNAhead:
		return t.reset(), "its LSN is ahead of the source, which was restored"
	case t.Verdict == VerdictMissing:
		return t.reset(), "it has a metadata row, and the mirror does not have it"
	case t.LSNState == LSNExpired:
		return t.reset(), text.Rows(t.differences()-t.Pending) + " differing, and its LSN has expired: only a reset makes sure that the next cycle sends it"
	case t.Diverged > 0:
		return t.reset(), text.Rows(t.Diverged) + " diverged"
	default:
		return StepUnknown, text.Rows(t.unknown()) + " differing: " + t.findOut(r.Depth)
	}
}

// schemaStep decides what is done about columns or a key that differ. The next
// cycle mends them without a reset if it notices, and only a table that even a
// reset did not mend is dropped.
func (t *TableReport) schemaStep() (Step, string) {
	switch {
	case t.Populated > 0:
		return StepHardReset, "columns or key differ, and a reset did not mend that"
	case t.Stayed:
		return t.reset(), "columns or key differ, and the cycles since then did not mend that"
	default:
		return StepUnknown, "columns or key differ: Recheck after the next cycle, which may mend that"
	}
}

// findOut says how to learn whether a cycle brings what differs.
func (t *TableReport) findOut(d Depth) string {
	switch {
	case d != DepthRows:
		return "compare its rows"
	case slices.ContainsFunc(t.Differences, func(d Difference) bool { return d.State == DiffUnknown }):
		return "Recheck after the next cycle, which may bring that"
	default: // no keys are known: it has none, or too many differ
		return "compare it again after the next cycle, which may bring that"
	}
}

// reset returns the mildest step that sets the LSN to -1.
func (t *TableReport) reset() Step {
	if t.MirrorRows >= truncateRows {
		return StepTruncate
	}
	return StepReset
}

// Acts reports whether Apply does the step, with Confirm if it needs that.
func (s Step) Acts() bool { return s == StepReset || s == StepTruncate || s == StepHardReset }

// Empty reports whether there is nothing to do, as far as it is known.
func (p *Plan) Empty() bool {
	return !slices.ContainsFunc(p.Tables, func(t PlanTable) bool { return t.Step.Acts() })
}

// Has reports whether a table has that step.
func (p *Plan) Has(s Step) bool {
	return slices.ContainsFunc(p.Tables, func(t PlanTable) bool { return t.Step == s })
}

// String returns the text that WriteText writes.
func (p *Plan) String() string { return text.Of(p) }

// WriteJSON writes the plan as indented JSON.
func (p *Plan) WriteJSON(w io.Writer) error { return text.WriteJSON(w, p) }

// WriteText writes the plan for people.
func (p *Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Plan for %s, from the comparison of %s\n", text.Printable(p.ContextID), p.Time.Format(time.DateTime+" MST"))
	for _, mistake := range p.Mistakes {
		fmt.Fprintf(&b, "Wrong database: %s\n", text.Printable(mistake))
	}
	switch {
	case p.Empty() && p.Has(StepUnknown):
		b.WriteString("Nothing to do yet.\n")
	case p.Empty():
		b.WriteString("Nothing to do.\n")
	}
	var g text.Grid
	g.Row("TABLE", "STEP", "ROWS", "MB", "BATCHES", "CYCLES", "REASON")
	for _, t := range p.Tables {
		step := string(t.Step)
		if t.Drop {
			step += ", drop"
		}
		size, batches := text.Dash((t.Bytes+batchSize/2)/batchSize), text.Dash(t.Batches)
		switch {
		case t.Rows > 0 && t.Bytes == 0: // none was read
			size, batches = "?", "?"
		case t.Bytes > 0 && t.Bytes < batchSize/2:
			size = "<1"
		}
		g.Row(t.Table, step, text.Dash(t.Rows), size, batches, text.Dash(int64(t.Cycles)), t.Reason)
	}
	if len(p.Tables) > 0 {
		b.WriteString(g.Text("  ", "lrrrr"))
	}
	p.writeMeanwhile(&b)
	if p.Has(StepUnknown) {
		b.WriteString("What is not known yet is left alone unless ApplyOptions.Unknown is set.\n")
	}
	if p.Has(StepHardReset) {
		b.WriteString("The hard resets need ApplyOptions.Confirm. What is dropped or truncated cannot be undone.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMeanwhile says once what tables look like meanwhile that look alike.
func (p *Plan) writeMeanwhile(b *strings.Builder) {
	var order []string
	tables := map[string][]string{}
	for _, t := range p.Tables {
		if t.Meanwhile == "" || t.Step == StepUnknown {
			continue
		}
		if tables[t.Meanwhile] == nil {
			order = append(order, t.Meanwhile)
		}
		tables[t.Meanwhile] = append(tables[t.Meanwhile], t.Table)
	}
	if order != nil {
		b.WriteString("Meanwhile\n")
	}
	for _, meanwhile := range order {
		fmt.Fprintf(b, "  %s: %s\n", text.Printable(strings.Join(tables[meanwhile], ", ")), text.Printable(meanwhile))
	}
}

// table finds a table of the plan, nil when it has none of that name.
func (p *Plan) table(name string) *PlanTable {
	i := slices.IndexFunc(p.Tables, func(t PlanTable) bool { return store.FoldName(t.Table) == store.FoldName(name) })
	if i < 0 {
		return nil
	}
	return &p.Tables[i]
}

// names are the names of the plan's tables.
func (p *Plan) names() []string {
	names := make([]string, len(p.Tables))
	for i, t := range p.Tables {
		names[i] = t.Table
	}
	return names
}

// UnmarshalJSON refuses fields that this version does not know.
func (p *Plan) UnmarshalJSON(data []byte) error {
	type plain Plan
	if err := text.ParseJSON(data, (*plain)(p)); err != nil {
		return fmt.Errorf("%w: %w", errInvalidPlan, err)
	}
	return nil
}

// check refuses a plan that is not of this customer, or that nobody can have
// made.
func (p *Plan) check(contextID string) error {
	switch {
	case p == nil:
		return fmt.Errorf("%w: it is nil", errInvalidPlan)
	case p.Version != planVersion:
		return fmt.Errorf("%w: its version is %d, this library knows %d", errInvalidPlan, p.Version, planVersion)
	case !sameCustomer(p.ContextID, contextID):
		return fmt.Errorf("%w: it is of customer %q", errInvalidPlan, text.Clip(p.ContextID, text.MaxName))
	}
	seen := map[string]bool{}
	for _, t := range p.Tables {
		folded := store.FoldName(t.Table)
		switch {
		case !slices.Contains([]Step{StepNone, StepUnknown, StepReset, StepTruncate, StepHardReset}, t.Step):
			return fmt.Errorf("%w: unknown step %q", errInvalidPlan, text.Clip(string(t.Step), text.MaxName))
		case folded == "" || seen[folded]:
			return fmt.Errorf("%w: table %q is there twice, or has no name", errInvalidPlan, text.Clip(t.Table, text.MaxName))
		case t.Step.Acts() && t.Metadata == "":
			return fmt.Errorf("%w: the fingerprint of the metadata row of %q is missing", errInvalidPlan, text.Clip(t.Table, text.MaxName))
		case t.Drop && t.Step != StepHardReset:
			return fmt.Errorf("%w: only a hard reset drops %q", errInvalidPlan, text.Clip(t.Table, text.MaxName))
		}
		seen[folded] = true
	}
	if p.FiguresSum != p.fingerprint() {
		return fmt.Errorf("%w: its figures of what was compared are missing or were changed: compare again", errInvalidPlan)
	}
	return nil
}

// fingerprint identifies the figures, and the comparison that they are of.
func (p *Plan) fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %s %q %d %d %d %d", p.ContextID, p.Time.UTC().Format(time.RFC3339Nano), p.Mistakes,
		p.ComparedRows, p.DifferingRows, p.MissingRows, p.ComparedTables))
	if p.Mirror.ID != "" {
		sum = sha256.Sum256(fmt.Appendf(sum[:], "%q", p.Mirror.ID))
	}
	return "sha256:" + hex.EncodeToString(sum[:16])
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
	if t.DifferingRows() == 0 { // by numbers of rows
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
