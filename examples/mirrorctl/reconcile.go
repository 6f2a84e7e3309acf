package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
)

func (a *app) reconcileCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "reconcile",
		GroupID: groupChange,
		Short:   "Find out, after a crash, what became of changes",
		Long: `Reconcile reads the journal in the state directory and says for each change of the mirror
whether it happened. Where the process was killed before it knew, the mirror's metadata table
tells. It writes nothing to the mirror; a receipt that was not written any more it writes now.

Exit codes: 0 everything is known, 5 a cycle has written since, so that nobody can tell, or a
change was of another mirror of the customer, of which only its own reconcile can tell.`,
		Example: example("mirrorctl reconcile --mirror mirror.db --context Cust10195",
			"mirrorctl reconcile --mirror mirror.db -o json"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), need{reconcile: true}, func(t *target) error { return a.reconcile(cmd.Context(), t) })
		},
	}
	a.dryRunFlag(c)
	return c
}

// reconciliation is the document of reconcile.
type reconciliation struct {
	Operations []happened `json:"operations"`
}

// happened is a change of the journal, and what became of it.
type happened struct {
	ID        string           `json:"id"`
	Time      time.Time        `json:"time"`
	Operation mirror.Operation `json:"operation"`
	Undo      bool             `json:"undo,omitempty"`
	Tables    []string         `json:"tables"`
	Outcome   mirror.Outcome   `json:"outcome"`
	Proof     string           `json:"proof"`                 // journal, database, or reconcile: an earlier one; "" where another mirror tells
	WasOpen   bool             `json:"wasOpen,omitempty"`     // the journal does not say how it ended, and nobody had found out
	File      string           `json:"receiptFile,omitempty"` // of one that was open and happened, or had none

	receipt *mirror.Receipt
}

func (a *app) reconcile(ctx context.Context, t *target) error {
	s := a.state()
	entries, err := s.entries(t.context)
	if err != nil {
		return refusef("%w: move it away if nobody needs it any more", err)
	}
	found, err := t.m.Reconcile(ctx, entries)
	if err != nil {
		return err
	}
	known, err := s.reconciled()
	if err != nil {
		return err
	}
	all := happenings(entries, found, known)
	if err := a.missingReceipts(all); err != nil {
		return err
	}
	unknown := false
	var closed []reconciled
	for i := range all {
		h := &all[i]
		if !h.WasOpen {
			continue
		}
		unknown = unknown || h.Outcome == mirror.OutcomeOvertaken || h.Outcome == mirror.OutcomeUnknown
		if h.Outcome == mirror.OutcomeUnknown { // it stays open for the mirror that it is of
			continue
		}
		closed = append(closed, reconciled{ID: h.ID, Outcome: h.Outcome, Time: a.now().UTC()})
		if h.Outcome == mirror.OutcomeDone && !a.flags.dryRun {
			if err := a.catchUp(h); err != nil {
				return err
			}
		}
	}
	if !a.flags.dryRun {
		if err := s.close(closed); err != nil {
			return refusef("what was found out cannot be kept: %w: make it writable, or name another directory by --state-dir", err)
		}
	}
	if err := a.show(jsonOf(reconciliation{all}), func(p *page) { a.reconciledPage(p, t, all) }); err != nil {
		return err
	}
	if unknown {
		return verdict(exitUnknown)
	}
	return nil
}

// happenings puts what was found beside the entries that it is of. What an earlier
// reconcile found out goes before what the database tells by now.
func happenings(entries []mirror.JournalEntry, found []mirror.Reconciled, known map[string]mirror.Outcome) []happened {
	all := []happened{}
	for _, e := range entries {
		if e.Event != mirror.JournalIntent {
			continue
		}
		f := found[len(all)]
		h := happened{ID: e.ID, Time: f.Time, Operation: f.Receipt.Operation, Undo: f.Undo, Outcome: f.Outcome, Proof: f.Proof, receipt: e.Receipt}
		for _, rt := range f.Receipt.Tables {
			h.Tables = append(h.Tables, rt.Table)
		}
		if f.Proof != "journal" {
			if outcome, ok := known[e.ID]; ok {
				h.Outcome, h.Proof = outcome, "reconcile"
			} else {
				h.WasOpen = true
			}
		}
		all = append(all, h)
	}
	return all
}

// catchUp does what the process that was killed did not come to: it keeps the receipt, or
// marks the one that was taken back.
func (a *app) catchUp(h *happened) (err error) {
	if path := a.state().receiptOf(h.receipt); path != "" {
		if h.File = path; h.Undo {
			h.File = a.takenBack(path)
		}
		return nil
	}
	if !h.Undo {
		h.File, err = a.receipt(h.receipt)
	}
	return err
}

// receiptsMatter is how long a receipt is of use, with room to spare: cycles begin sooner.
const receiptsMatter = 24 * time.Hour

// missingReceipts writes receipts that could not be written when the journal was told that
// the change is done, so that undo has them.
func (a *app) missingReceipts(all []happened) error {
	takenBack := map[string]bool{}
	for _, h := range all {
		takenBack[h.receipt.ID] = takenBack[h.receipt.ID] || h.Undo && h.Outcome == mirror.OutcomeDone
	}
	for i := range all {
		h := &all[i]
		if h.WasOpen || h.Undo || h.Outcome != mirror.OutcomeDone || takenBack[h.receipt.ID] ||
			a.flags.dryRun || a.now().Sub(h.Time) > receiptsMatter || a.state().receiptOf(h.receipt) != "" {
			continue
		}
		var err error
		if h.File, err = a.receipt(h.receipt); err != nil {
			return err
		}
	}
	return nil
}

// receiptOf returns the file of a receipt, "" if there is none.
func (s state) receiptOf(of *mirror.Receipt) string {
	return receiptIn(s.kept(keptReceipts, of.ContextID), of.ID)
}

// receiptIn returns which of some files has the receipt of an ID, "" for none.
func receiptIn(paths []string, id string) string {
	for _, path := range paths {
		var r struct{ ID string }
		if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &r) == nil && r.ID == id {
			return path
		}
	}
	return ""
}

// reconciledShown is how many changes are shown besides those that were open.
const reconciledShown = 20

func (a *app) reconciledPage(p *page, t *target, all []happened) {
	open := 0
	for _, h := range all {
		if h.WasOpen {
			open++
		}
	}
	switch {
	case len(all) == 0:
		p.wrap(good, "", t.context+": the journal in "+a.state().dir+" has no change of this mirror.")
		return
	case open == 0:
		p.wrap(good, "", t.context+": nothing is open. Of every change it is known what became of it.")
	}
	for _, h := range all {
		if h.WasOpen {
			a.foundOut(p, t, h)
		}
	}
	p.WriteString("\n")
	var rows []row
	for i, h := range all {
		if !h.WasOpen && i < len(all)-reconciledShown {
			continue
		}
		rows = append(rows, row{cells: []cell{plain(h.Time.UTC().Format(time.DateTime)), plain(h.name()), {string(h.Outcome), outcomeColors[h.Outcome]}, plain(h.proof()), plain(few(h.Tables))}})
	}
	p.grid([]column{{title: "TIME (UTC)"}, {title: "CHANGE"}, {title: "OUTCOME"}, {title: "SAYS"}, {title: "TABLES", cut: true}}, rows)
	if hidden := len(all) - len(rows); hidden > 0 {
		p.line("and %s before these", plural(hidden, "change"))
	}
}

var outcomeColors = map[mirror.Outcome]text.Colors{mirror.OutcomeDone: good, mirror.OutcomeNotDone: dim, mirror.OutcomeOvertaken: bad}

func (h *happened) name() string {
	if h.Undo {
		return "undo of " + string(h.Operation)
	}
	return string(h.Operation)
}

func (h *happened) proof() string {
	if h.Proof == "" {
		return "-"
	}
	return "the " + h.Proof
}

// foundOut says what became of a change that was interrupted, and what to do.
func (a *app) foundOut(p *page, t *target, h happened) {
	what := t.context + ": " + h.name() + " of " + h.Time.UTC().Format(timeFormat) + " "
	where := a.where(t.context)
	switch h.Outcome {
	case mirror.OutcomeDone:
		p.wrap(odd, "", what+"was done.")
		if !h.Undo && h.File != "" && undoable(h.receipt) {
			a.todo(p, "Take it back, as long as no cycle has begun:", a.commandLine(where, "undo", h.File))
		}
	case mirror.OutcomeNotDone:
		p.wrap(odd, "", what+"was not done: the mirror is as it was before.")
	case mirror.OutcomeUnknown:
		p.wrap(odd, "", what+"is of another mirror, "+side(mirror.Side{Identity: h.receipt.Mirror, Role: "mirror", ContextID: t.context}, "")+": reconcile that one, which tells whether it was done.")
	default:
		p.wrap(bad, "", what+"may have been done: a cycle has written since, so that nobody can tell.")
		a.todo(p, "Compare, to see what the mirror needs now:", a.commandLine(where, "compare"))
	}
}
