package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const planVersion = 1

// Step is what a [Plan] does to a table.
type Step string

// The steps, from the mildest to the most thorough.
const (
	// StepNone: nothing can or need be done; the Reason says why.
	StepNone Step = "none"

	// StepUnknown: it is not known yet whether the next cycle mends what
	// differs. The Reason says how to find out.
	StepUnknown Step = "not-known-yet"

	// StepReset: the LSN is set to -1.
	StepReset Step = "reset"

	// StepTruncate: the LSN is set to -1 and the rows are deleted, which
	// spares the next cycle the wipe of a large table.
	StepTruncate Step = "reset-truncate"

	// StepHardReset: the metadata row is deleted, and the table dropped when
	// its columns are not those of the source.
	StepHardReset Step = "hard-reset"
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

// Plan is the smallest set of resets that repairs what a comparison found. It is
// data: it can be printed, kept as JSON, reviewed, and applied later.
type Plan struct {
	Version   int    `json:"version"`
	ContextID string `json:"contextId"`

	// Time is when the comparison ended.
	Time time.Time `json:"time"`

	// Mistakes are those of the report. A plan that has any is not applied.
	Mistakes []string `json:"mistakes,omitempty"`

	// Tables are sorted by name. Tables that are identical, pending or never
	// mirrored are not among them.
	Tables []PlanTable `json:"tables"`
}

// PlanTable is what a [Plan] does to one table.
type PlanTable struct {
	Table  string `json:"table"`
	Step   Step   `json:"step"`
	Reason string `json:"reason"`

	// Drop says that a hard reset drops the table, too.
	Drop bool `json:"drop,omitempty"`

	// Meanwhile is what the table looks like until a cycle has populated it.
	Meanwhile string `json:"meanwhile,omitempty"`

	// LSN is for people. Metadata is a fingerprint of the metadata rows that
	// the comparison saw, LSN included: Apply leaves a table alone that has
	// others now.
	LSN      *LSN   `json:"lsn"`
	Metadata string `json:"metadata,omitempty"`

	// Rows is how many rows the next cycle sends, Bytes about how much that
	// is, from the rows that were read, and Batches in how many batches of
	// 1,000,000 bytes (the Mirroring Task's default). All of them come in
	// Cycles cycles, the first of which is the next one that begins.
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
	p := &Plan{Version: planVersion, ContextID: r.ContextID, Time: r.Finished, Mistakes: r.Mistakes}
	for i := range r.Tables {
		t := &r.Tables[i]
		step, reason := r.step(t)
		if step == "" {
			continue
		}
		pt := PlanTable{Table: t.Table, Step: step, Reason: reason, LSN: t.lastLSN(), Metadata: t.MetadataSum}
		switch step {
		case StepReset:
			pt.Meanwhile = "as it is until the next cycle, then empty until it is populated"
			if t.Verdict == VerdictMissing {
				pt.Meanwhile = "absent until the next cycle has created and populated it"
			}
		case StepTruncate:
			pt.Meanwhile = "empty from now on, until the next cycle has populated it"
		case StepHardReset:
			pt.Drop = t.Verdict == VerdictSchemaDiffers
			pt.Meanwhile = "as it is until the next cycle, then empty until it is populated"
			if pt.Drop {
				pt.Meanwhile = "gone from now on, until the next cycle has created and populated it"
			}
		}
		if step != StepNone {
			pt.Rows, pt.Bytes, pt.Cycles = t.SourceRows, t.SourceRows*t.RowBytes, 1
			pt.Batches = max(1, (pt.Bytes+batchSize-1)/batchSize)
		}
		p.Tables = append(p.Tables, pt)
	}
	return p
}

// step decides what repairs a table, "" for one that needs no word.
func (r *Report) step(t *TableReport) (Step, string) {
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
		if !t.Tracked {
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
	case !t.Tracked:
		return StepNone, "it has no metadata row: the next cycle sends all of its rows"
	case t.requested():
		return StepNone, "its LSN is -1 already: the next cycle sends all of its rows"
	case t.LSNState == LSNExpired:
		return StepNone, "its LSN has expired: the next cycle sends all of its rows"
	case t.MetadataRows > 1:
		return StepHardReset, fmt.Sprintf("it has %d metadata rows, and which one the Mirroring Task reads is not known", t.MetadataRows)
	case t.Verdict == VerdictSchemaDiffers:
		return StepHardReset, "columns or key differ: the next cycle mends that by itself if the source changed"
	}
	reason := ""
	switch n := t.differences(); {
	case t.LSNState == LSNAhead:
		reason = "its LSN is ahead of the source, which was restored"
	case t.Verdict == VerdictMissing:
		reason = "the mirror does not have it"
	case t.Diverged == 0:
		reason = formatRows(n-t.Pending) + " differing, not known to be pending or not"
	default:
		reason = formatRows(t.Diverged) + " diverged"
	}
	if t.MirrorRows >= truncateRows {
		return StepTruncate, reason
	}
	return StepReset, reason
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool {
	return !slices.ContainsFunc(p.Tables, func(t PlanTable) bool { return t.Step != StepNone })
}

// String returns the text that WriteText writes.
func (p *Plan) String() string { return textOf(p) }

// WriteJSON writes the plan as indented JSON.
func (p *Plan) WriteJSON(w io.Writer) error { return writeJSON(w, p) }

// WriteText writes the plan for people.
func (p *Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Plan for %s, from the comparison of %s\n", printable(p.ContextID), p.Time.Format(time.DateTime+" MST"))
	for _, mistake := range p.Mistakes {
		fmt.Fprintf(&b, "Wrong database: %s\n", printable(mistake))
	}
	if p.Empty() {
		b.WriteString("Nothing to do.\n")
	}
	var g grid
	g.row("TABLE", "STEP", "ROWS", "MB", "BATCHES", "CYCLES", "REASON")
	for _, t := range p.Tables {
		step := string(t.Step)
		if t.Drop {
			step += ", drop"
		}
		size, batches := dash((t.Bytes+batchSize/2)/batchSize), dash(t.Batches)
		switch {
		case t.Rows > 0 && t.Bytes == 0: // none was read
			size, batches = "?", "?"
		case t.Bytes > 0 && t.Bytes < batchSize/2:
			size = "<1"
		}
		g.row(t.Table, step, dash(t.Rows), size, batches, dash(int64(t.Cycles)), t.Reason)
	}
	if len(p.Tables) > 0 {
		b.WriteString(g.text("  ", "lrrrr"))
	}
	for _, t := range p.Tables {
		if t.Meanwhile != "" {
			fmt.Fprintf(&b, "  %s will be %s.\n", printable(t.Table), printable(t.Meanwhile))
		}
	}
	if slices.ContainsFunc(p.Tables, func(t PlanTable) bool { return t.Step == StepHardReset }) {
		b.WriteString("The hard resets need ApplyOptions.Confirm. What is dropped or truncated cannot be undone.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// UnmarshalJSON parses what WriteJSON writes. A field that this version does not
// know is an error.
func (p *Plan) UnmarshalJSON(data []byte) error {
	type plain Plan
	if err := strictJSON(data, (*plain)(p)); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidPlan, err)
	}
	return nil
}

// check refuses a plan that is not of this customer, or that nobody can have
// made.
func (p *Plan) check(contextID string) error {
	switch {
	case p == nil:
		return fmt.Errorf("%w: it is nil", ErrInvalidPlan)
	case p.Version != planVersion:
		return fmt.Errorf("%w: its version is %d, this library knows %d", ErrInvalidPlan, p.Version, planVersion)
	case p.ContextID != contextID:
		return fmt.Errorf("%w: it is of customer %q", ErrInvalidPlan, clip(p.ContextID, maxNameLength))
	}
	seen := map[string]bool{}
	for _, t := range p.Tables {
		folded := FoldName(t.Table)
		switch {
		case !slices.Contains([]Step{StepNone, StepReset, StepTruncate, StepHardReset}, t.Step):
			return fmt.Errorf("%w: unknown step %q", ErrInvalidPlan, clip(string(t.Step), maxNameLength))
		case folded == "" || seen[folded]:
			return fmt.Errorf("%w: table %q is there twice, or has no name", ErrInvalidPlan, clip(t.Table, maxNameLength))
		case t.Step != StepNone && t.Metadata == "":
			return fmt.Errorf("%w: the fingerprint of the metadata row of %q is missing", ErrInvalidPlan, clip(t.Table, maxNameLength))
		case t.Drop && t.Step != StepHardReset:
			return fmt.Errorf("%w: only a hard reset drops %q", ErrInvalidPlan, clip(t.Table, maxNameLength))
		}
		seen[folded] = true
	}
	return nil
}

// ApplyOptions configure [Mirror.Apply]. The zero value of each field is its
// default.
type ApplyOptions struct {
	// Tables are the tables to take from the plan. One that the plan has no
	// step for is refused, unless Force is set.
	// Default: every table that the plan has a step for.
	Tables []string

	// Force resets tables of Tables that the plan has no step for: because
	// they are identical or pending, for instance.
	Force bool

	// SkipMoved leaves a table alone whose metadata row is no longer what the
	// plan saw, and does the rest. Default: such a table is ErrMoved, and
	// nothing is changed.
	SkipMoved bool

	// Confirm must be the context identifier when the plan has hard resets.
	Confirm string

	// Unknown resets what is not known yet, too (see StepUnknown).
	Unknown bool

	// MaxRowShare and MaxTableShare are the most that may be wrong with a
	// mirror before Apply takes the source for the wrong database and refuses
	// with a LimitError.
	MaxRowShare, MaxTableShare float64

	// DryRun returns the Receipt of what would be done and does nothing. It
	// needs no confirmation.
	DryRun bool
}

// Apply carries out a plan, in one transaction, and returns its Receipt. A table
// whose metadata row is no longer what the plan saw was sent, reset or created
// anew since then: the plan is ErrMoved, which names every such table, and
// nothing is changed (see ApplyOptions.SkipMoved). A plan of another customer or
// version, or one that was damaged, is ErrInvalidPlan; one that was made with a
// mistake about the databases is ErrWrongDatabase; hard resets without
// Confirm are ErrNotConfirmed; nothing to do is ErrNoTables.
func (m *Mirror) Apply(ctx context.Context, plan *Plan, opts *ApplyOptions) (*Receipt, error) {
	var o ApplyOptions
	if opts != nil {
		o = *opts
	}
	doing := "apply plan of " + m.contextID
	if err := plan.check(m.contextID); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := wrong(plan.Mistakes); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	steps := map[string]PlanTable{}
	for _, t := range plan.Tables {
		if t.Step != StepNone {
			steps[FoldName(t.Table)] = t
		}
	}
	chosen := steps
	if o.Tables != nil {
		chosen = map[string]PlanTable{}
		refused := &Error{Op: "apply plan", ContextID: m.contextID, Err: ErrNotPlanned}
		for _, name := range o.Tables {
			t, ok := steps[FoldName(name)]
			switch {
			case name == allTables:
				refused.Tables = append(refused.Tables, TableError{Table: "AllTables()", Reason: "stands for no table of a plan: name them, or leave Tables nil for all steps"})
			case FoldName(name) == FoldName(m.names.table):
				refused.Tables = append(refused.Tables, TableError{Table: name, Reason: "is the metadata table: HardReset without Tables drops it"})
			case !ok && !o.Force:
				refused.Tables = append(refused.Tables, TableError{Table: name, Reason: "has no step in the plan: set Force to reset it all the same"})
			case !ok:
				t = PlanTable{Table: name, Step: StepReset}
			}
			chosen[FoldName(name)] = t
		}
		if len(refused.Tables) > 0 {
			return nil, refused
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%s: %w: there is nothing to do", doing, ErrNoTables)
	}
	r := &resync{op: OperationApply, steps: chosen, skipMoved: o.SkipMoved, dryRun: o.DryRun}
	for _, t := range chosen {
		if t.Step == StepHardReset && !o.DryRun && o.Confirm != m.contextID {
			return nil, fmt.Errorf("%s: %w: it has hard resets, ApplyOptions.Confirm is %q and must be %q",
				doing, ErrNotConfirmed, clip(o.Confirm, maxNameLength), m.contextID)
		}
		r.names = append(r.names, t.Table)
	}
	slices.SortFunc(r.names, func(a, b string) int { return cmp.Compare(FoldName(a), FoldName(b)) })
	return m.resync(ctx, r)
}
