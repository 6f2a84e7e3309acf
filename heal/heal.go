// Package heal is what takes several cycles of the Mirroring Task: waiting until
// they have populated what was reset, and repairing a mirror until nothing is left
// to repair. It uses the exported API of package mirror alone.
package heal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Options configure [Run]. The zero value of each field is its
// default.
type Options struct {
	// Compare configures the comparisons.
	Compare *mirror.CompareOptions

	// Wait configures the waiting; its Tables, Source and Report are set by
	// Run. Default: ResetAgain is 1. Whoever sets Wait sets ResetAgain, too,
	// or a lost reset is not repeated.
	Wait *WaitOptions

	// Rounds bounds how often tables are reset. Default: 2.
	Rounds int

	// Rechecks bounds how many cycles are waited for in a round, to find out
	// what the cycles mend by themselves: columns that differ, and rows when the
	// source does not track changes. Default: 4.
	Rechecks int

	// Unknown also resets the tables of which it is not known by then whether
	// they need it. Default: they are left alone.
	Unknown bool

	// MaxRowShare and MaxTableShare are those of ApplyOptions.
	MaxRowShare, MaxTableShare float64
}

// Report is what [Run] found and did.
type Report struct {
	ContextID string    `json:"contextId"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished"`

	// Healed says that the last comparison compared every table, and found
	// rows that are equal, or that changed at the source after the LSN.
	Healed bool `json:"healed"`

	// Stopped says why it ended before that: the error, if there was one.
	Stopped string `json:"stopped,omitempty"`

	// Rounds are in the order of time. The last one has a comparison and
	// nothing else, unless an error ended it.
	Rounds []Round `json:"rounds"`
}

// Round is one round of a [Report].
type Round struct {
	Report  *mirror.Report  `json:"report"`
	Plan    *mirror.Plan    `json:"plan,omitempty"`
	Receipt *mirror.Receipt `json:"receipt,omitempty"`
	Wait    *WaitReport     `json:"wait,omitempty"`
}

// Run compares the mirror with source, resets what the [mirror.Plan] resets without
// being asked for more, waits until the Mirroring Task has populated that and
// what others reset, and compares again, until nothing is left to repair or the rounds are used up. It
// never makes a hard reset: tables that need one stay in the last round's Plan,
// Healed is false and Stopped says why.
//
// When so much differs that the source may be the wrong database, Run changes
// nothing and returns a [mirror.LimitError].
//
// The report comes with every error but one about the options, so what was done
// is always known.
func Run(ctx context.Context, m *mirror.Mirror, source store.Source, opts *Options) (*Report, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	doing := "heal " + m.ContextID()
	if source == nil {
		return nil, errors.New("heal: source is nil: pass the customer's database")
	}
	if o.Rounds < 0 || o.Rechecks < 0 {
		return nil, fmt.Errorf("%s: Rounds and Rechecks cannot be negative", doing)
	}
	if err := (&mirror.ApplyOptions{MaxRowShare: o.MaxRowShare, MaxTableShare: o.MaxTableShare}).Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	o.Rounds, o.Rechecks = cmp.Or(o.Rounds, 2), cmp.Or(o.Rechecks, 4)
	wait := WaitOptions{ResetAgain: 1}
	if o.Wait != nil {
		wait = *o.Wait
	}
	if err := wait.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	h := &Report{ContextID: m.ContextID(), Started: m.Clock().Now().UTC()}
	err := run(ctx, m, source, o, wait, h)
	if err != nil {
		h.Stopped = text.Err(err).Error()
	}
	h.Finished = m.Clock().Now().UTC()
	return h, err
}

func run(ctx context.Context, m *mirror.Mirror, source store.Source, o Options, wait WaitOptions, h *Report) error {
	populated := map[string]int{} // how often Run saw a table populated after its reset, by folded name
	for n := 0; ; n++ {
		report, err := m.Compare(ctx, source, o.Compare)
		if report != nil {
			h.Rounds = append(h.Rounds, Round{Report: report})
		}
		if err != nil {
			return err
		}
		round := &h.Rounds[len(h.Rounds)-1]
		if err := report.Wrong(); err != nil {
			return fmt.Errorf("heal %s: %w", m.ContextID(), err)
		}
		for i := range report.Tables {
			report.Tables[i].Populated = populated[store.FoldName(report.Tables[i].Table)]
		}
		round.Plan = report.Plan()
		if err := round.Plan.CheckRows("heal", o.MaxRowShare); err != nil {
			return err // at once, and not when enough is known to reset it
		}
		if err := findOut(ctx, m, source, o, wait.Schedule, round); err != nil {
			return err
		}
		round.Plan = round.Report.Plan()
		if !round.Report.Incomplete && moved(round.Report) && n < o.Rounds {
			continue
		}
		mild, asked := mildSteps(round.Plan, o.Unknown), requested(round.Report)
		if len(mild) == 0 && len(asked) > 0 && n < o.Rounds {
			wait.Tables, wait.Source, wait.Report = asked, source, round.Report
			round.Wait, err = Wait(ctx, m, nil, &wait)
			if err != nil && !errors.Is(err, ErrLostReset) {
				return err
			}
			continue
		}
		if len(mild) == 0 {
			h.Stopped = unhealed(round.Report, round.Plan, o)
			h.Healed = h.Stopped == ""
			return nil
		}
		if n == o.Rounds {
			h.Stopped = fmt.Sprintf("tables still differ after %d rounds", o.Rounds)
			return nil
		}
		round.Receipt, err = m.Apply(ctx, round.Plan, &mirror.ApplyOptions{
			Tables: mild, Unknown: o.Unknown, SkipMoved: true, MaxRowShare: o.MaxRowShare, MaxTableShare: o.MaxTableShare,
		})
		if errors.Is(err, mirror.ErrMoved) {
			continue // all of them were sent or reset meanwhile
		}
		if err != nil {
			return err
		}
		wait.Tables, wait.Source, wait.Report = nil, source, round.Report
		round.Wait, err = Wait(ctx, m, round.Receipt, &wait)
		if err != nil && !errors.Is(err, ErrLostReset) {
			return err // a lost reset is for the next round
		}
		for _, t := range round.Wait.Tables {
			if t.State == WaitPopulated {
				populated[store.FoldName(t.Table)]++
			}
		}
	}
}

// requested returns the tables that differ and whose reset was requested: by somebody
// else, or in an earlier round in vain.
func requested(r *mirror.Report) []string {
	var names []string
	for i := range r.Tables {
		switch t := &r.Tables[i]; t.Verdict {
		case mirror.VerdictDifferent, mirror.VerdictPending, mirror.VerdictMissing, mirror.VerdictSchemaDiffers:
			if t.ResetRequested() {
				names = append(names, t.Table)
			}
		}
	}
	return names
}

// moved reports whether a Recheck found a table that has to be compared again.
func moved(r *mirror.Report) bool {
	return slices.ContainsFunc(r.Tables, func(t mirror.TableReport) bool { return t.Verdict == mirror.VerdictUnfinished })
}

// findOut reads what nothing is known about again after each cycle, until
// something is.
func findOut(ctx context.Context, m *mirror.Mirror, source store.Source, o Options, s Schedule, round *Round) error {
	for range o.Rechecks {
		if !slices.ContainsFunc(round.Report.Tables, func(t mirror.TableReport) bool { return t.Waits() }) {
			return nil
		}
		now := m.Clock().Now()
		if err := m.Clock().Sleep(ctx, s.NextCycle(now).Sub(now)); err != nil {
			return err
		}
		report, err := m.Recheck(ctx, source, round.Report, nil)
		if err != nil {
			return err
		}
		round.Report = report
	}
	return nil
}

// mildSteps returns the tables that a plan resets without a hard reset.
func mildSteps(p *mirror.Plan, unknown bool) []string {
	var names []string
	for _, t := range p.Tables {
		if t.Step == mirror.StepReset || t.Step == mirror.StepTruncate || unknown && t.Step == mirror.StepUnknown {
			names = append(names, t.Table)
		}
	}
	return names
}

// unhealed says why a mirror that nothing is reset in is not healed, "" if it is.
func unhealed(r *mirror.Report, p *mirror.Plan, o Options) string {
	if err := r.ErrWith(p.CheckRows("heal", o.MaxRowShare)); err != nil {
		return text.Err(err).Error()
	}
	if p.Has(mirror.StepHardReset) {
		return "what is left needs a hard reset, which healing leaves to you: see the last plan"
	}
	if asked := requested(r); len(asked) > 0 {
		return "the LSN of " + text.Name(asked[0]) + " is -1, and no cycle has populated it yet"
	}
	for _, t := range r.Tables {
		switch {
		case t.Verdict == mirror.VerdictExtra && t.HasMetadata:
			return text.Name(t.Table) + " has a metadata row, and is not at the source: see the last plan"
		case t.Verdict == mirror.VerdictDifferent, t.Verdict == mirror.VerdictSchemaDiffers, t.Verdict == mirror.VerdictMissing:
			return "what differs is not known to need a reset, or a reset would not repair it: see the last plan"
		}
	}
	return ""
}

// String returns the text that WriteText writes.
func (h *Report) String() string { return text.Of(h) }

// WriteJSON writes the report as indented JSON.
func (h *Report) WriteJSON(w io.Writer) error { return text.WriteJSON(w, h) }

// WriteText writes the report for people.
func (h *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Healing of %s, took %s\n", text.Printable(h.ContextID), text.Duration(h.Finished.Sub(h.Started)))
	for i, r := range h.Rounds {
		fmt.Fprintf(&b, "\nRound %d\n", i+1)
		parts := []fmt.Stringer{r.Report}
		if r.Plan != nil {
			parts = append(parts, r.Plan)
		}
		if r.Receipt != nil {
			parts = append(parts, r.Receipt)
		}
		if r.Wait != nil {
			parts = append(parts, r.Wait)
		}
		for _, p := range parts {
			for line := range strings.Lines(p.String()) {
				b.WriteString("  " + line)
			}
		}
	}
	if h.Healed {
		b.WriteString("\nNothing is left to repair.\n")
	} else {
		fmt.Fprintf(&b, "\nNot everything is repaired: %s\n", text.Printable(h.Stopped))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
