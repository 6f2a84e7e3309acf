package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// consent is what somebody has to say before something is done.
type consent int

const (
	consentNone  consent = iota // it was asked for by name, and can be taken back
	consentYes                  // y on a terminal, --confirm elsewhere
	consentTyped                // the context identifier on a terminal, --confirm elsewhere
)

// confirmed returns nil if what is about to be done was agreed to: by --confirm, or now.
func (a *app) confirmed(ctx context.Context, contextID string, want consent, what string) error {
	given := a.flags.confirm
	switch {
	case given != "" && given != contextID:
		return refusef("--confirm %s is not the context identifier of this mirror, %s: nothing was changed", given, contextID)
	case given != "", want == consentNone, a.flags.dryRun:
		return nil
	case !a.inTerm:
		return refusef("this wants to be confirmed, by --confirm %s: nothing was changed", contextID)
	}
	question, answers := "Go on? [y/N] ", []string{"y", "yes", "Y", "Yes", "YES"}
	if want == consentTyped {
		question, answers = "Type "+contextID+" to go on: ", []string{contextID}
	}
	answer, err := a.ask(ctx, what+".\n"+question)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if !slices.Contains(answers, answer) {
		return refusef("not confirmed: nothing was changed")
	}
	return nil
}

// ask asks on the terminal. Ctrl-C is an answer, too.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(a.err, a.printable(question))
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n') // the end of input is an empty answer
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.err) // the question has no end of line
		return "", ctx.Err()
	case line := <-answer:
		return line, nil
	}
}

// change is what a command did, as a document.
type change struct {
	Plan    *mirror.Plan    `json:"plan,omitempty"`
	Receipt *mirror.Receipt `json:"receipt"`               // nil when nothing was to be done
	File    string          `json:"receiptFile,omitempty"` // where the receipt is kept
}

// changed keeps the receipt of what was done, and shows it; err is how that ended.
func (a *app) changed(t *target, plan *mirror.Plan, r *mirror.Receipt, err error) error {
	if r == nil {
		return unchanged(err)
	}
	path, kerr := a.receipt(r)
	if serr := a.show(jsonOf(change{Plan: plan, Receipt: r, File: path}), func(p *page) { a.receiptPage(p, t, r, path) }); serr != nil {
		return errors.Join(err, kerr, serr)
	}
	return errors.Join(err, kerr)
}

// unchanged says of an error what an operation leaves behind that was interrupted.
func unchanged(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return err
}

// preview shows what is about to be done.
func (a *app) preview(t *target, r *mirror.Receipt) {
	p := a.page()
	p.color = a.errTerm && p.color
	a.receiptPage(p, t, r, "")
	fmt.Fprint(a.err, p.String())
}

// receiptPage writes what was done, and how it is taken back.
func (a *app) receiptPage(p *page, t *target, r *mirror.Receipt, path string) {
	acted := 0
	for _, rt := range r.Tables {
		if len(rt.Actions) > 0 {
			acted++
		}
	}
	what := plural(acted, "table")
	if r.Metadata != nil {
		what = "the whole mirror"
	}
	name := map[mirror.Operation]string{mirror.OperationReset: "reset of " + what, mirror.OperationHardReset: "hard reset of " + what, mirror.OperationApply: "plan applied to " + what}[r.Operation]
	switch {
	case r.DryRun && acted == 0 && r.Metadata == nil:
		p.wrap(good, "", r.ContextID+": nothing would be done.")
	case r.DryRun:
		would := map[mirror.Operation]string{mirror.OperationReset: " would be reset", mirror.OperationHardReset: " would be hard reset", mirror.OperationApply: " would be changed by the plan"}[r.Operation]
		p.wrap(odd, "", r.ContextID+": "+what+would+". Nothing was changed.")
		a.really(p, t)
	case r.Outcome == mirror.OutcomeUnknown:
		p.wrap(bad, "", r.ContextID+": "+name+": it is not known whether it was done, as the connection was lost.")
		a.todo(p, "Find out:", a.commandLine(a.where(t.context), "reconcile"))
	case acted == 0 && r.Metadata == nil:
		p.wrap(good, "", r.ContextID+": nothing was to be done.")
	default:
		p.wrap(good, "", r.ContextID+": "+name+". The next cycle of the Mirroring Task populates what was reset.")
		a.afterwards(p, t, r, path)
	}
	p.receiptTables(r)
}

// really says how one does what a dry run showed. What is shown before a question is
// asked of is none.
func (a *app) really(p *page, t *target) {
	if !a.flags.dryRun || a.running == nil {
		return
	}
	words := append(strings.Fields(a.running.CommandPath())[1:], a.running.Flags().Args()...)
	a.todo(p, "Do it:", append(a.commandLine(a.where(t.context), words...), a.again(a.running, "dry-run")...))
}

// afterwards says how one goes on from a change, and how it is taken back.
func (a *app) afterwards(p *page, t *target, r *mirror.Receipt, path string) {
	if path == "" {
		return
	}
	where := a.where(t.context)
	a.todo(p, "Wait for that:", a.commandLine(where, "wait", path))
	if undoable(r) {
		a.todo(p, "Take it back, as long as no cycle has begun:", a.commandLine(where, "undo", path))
	}
}

// undoable reports whether nothing of what was done is beyond Undo.
func undoable(r *mirror.Receipt) bool {
	for _, rt := range r.Tables {
		if slices.Contains(rt.Actions, mirror.ActionTruncate) || slices.Contains(rt.Actions, mirror.ActionDrop) {
			return false
		}
	}
	return true
}

// receiptTables writes what was there before.
func (p *page) receiptTables(r *mirror.Receipt) {
	if r.Metadata != nil {
		was := "was"
		if r.DryRun {
			was = "would be"
		}
		taken := was + " dropped"
		if r.Kept != "" {
			taken = was + " renamed to " + r.Kept
		}
		p.line("The metadata table %s %s, so that the next cycle creates it anew and populates everything.", r.MetadataTable, taken)
	}
	var rows []row
	for _, t := range r.Tables {
		var actions []string
		for _, action := range t.Actions {
			actions = append(actions, string(action))
		}
		line := row{cells: []cell{plain(t.Table), plain(strings.Join(actions, ", ")), plain(number(t.Rows)), plain(store.FormatLSN(t.LSN))}}
		if t.Note != "" {
			line.notes = append(line.notes, t.Note)
		}
		rows = append(rows, line)
	}
	if rows != nil {
		p.WriteString("\n")
		p.grid([]column{{title: "TABLE"}, {title: "ACTIONS", spare: true}, {title: "ROWS", number: true}, {title: "PREVIOUS LSN", number: true}}, rows)
	}
	for _, loss := range r.NotUndone {
		p.warn("undo does not bring back: %s", loss)
	}
}

// tableShareFlag adds --max-table-share.
func tableShareFlag(c *cobra.Command, share *float64) {
	c.Flags().Float64Var(share, "max-table-share", 0, "`share` of the tables above which nothing is reset: 0.5 unless set, 1 allows all; fewer than 6 tables never count")
}

// rowShareFlag adds --max-row-share.
func rowShareFlag(c *cobra.Command, share *float64) {
	c.Flags().Float64Var(share, "max-row-share", 0, "`share` of the mirror's rows above which it is taken for the wrong one: 0.5 unless set, 1 allows all; fewer than 10 rows never count")
}
