package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
)

func (a *app) undoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "undo [RECEIPT.json]",
		GroupID: groupChange,
		Short:   "Take back what a receipt records, before the next cycle begins",
		Long: `Undo puts back the LSNs, the metadata rows or the metadata table that a receipt records, all
of it or nothing. Without a file it takes the last receipt of the customer that was not taken
back. What a cycle has begun to populate, and rows that were deleted, cannot be taken back: then
it refuses, and says why.`,
		Example: example("mirrorctl undo --mirror mirror.db --context Cust10195",
			"mirrorctl undo receipt.json --mirror mirror.db --context Cust10195 --dry-run"),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), need{change: true}, func(t *target) error { return a.undo(cmd, t, args) })
		},
	}
	a.confirmFlag(c)
	a.dryRunFlag(c)
	return c
}

func (a *app) undo(cmd *cobra.Command, t *target, args []string) error {
	path := ""
	if len(args) > 0 {
		path = args[0]
	} else if kept := a.state().kept(keptReceipts, t.context); len(kept) > 0 {
		path = kept[len(kept)-1]
		a.note("Receipt: %s", path)
	} else {
		return usagef("undo what? No receipt of %s is kept in %s: name its file", t.context, a.state().dir)
	}
	receipt, err := readDocument[mirror.Receipt](a, path, "receipt")
	if err != nil {
		return err
	}
	if err := t.m.CheckReceipt(receipt); err != nil {
		return err
	}
	if err := a.sameDatabase(cmd.Context(), t, path, receipt); err != nil {
		return err
	}
	if err := a.confirmed(cmd.Context(), t.context, consentNone, ""); err != nil {
		return err
	}
	done := !a.flags.dryRun
	if done {
		if err := t.m.Undo(cmd.Context(), receipt); err != nil {
			return unchanged(err)
		}
		path = a.takenBack(path)
	}
	return a.show(jsonOf(undoing{Done: done, Receipt: receipt, File: path}), func(p *page) {
		what := string(receipt.Operation) + " of " + receipt.Time.UTC().Format(timeFormat)
		if done {
			p.wrap(good, "", receipt.ContextID+": "+what+" was taken back.")
		} else {
			p.wrap(odd, "", receipt.ContextID+": "+what+" would be taken back, unless a cycle has begun since. Nothing was changed.")
		}
		p.receiptTables(receipt)
	})
}

// undoing is what undo did, as a document.
type undoing struct {
	Done    bool            `json:"done"` // false of a dry run
	Receipt *mirror.Receipt `json:"receipt"`
	File    string          `json:"receiptFile"`
}

// takenBack marks a kept receipt, so that undo does not take it again, and returns its path.
func (a *app) takenBack(path string) string {
	dir, err := filepath.Abs(filepath.Join(a.state().dir, keptReceipts))
	abs, aerr := filepath.Abs(path)
	if cmp.Or(err, aerr) != nil || filepath.Dir(abs) != dir || strings.HasSuffix(path, undoneSuffix+".json") {
		return path
	}
	marked := strings.TrimSuffix(path, ".json") + undoneSuffix + ".json"
	if err := os.Rename(path, marked); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.warn("the receipt cannot be marked as taken back: %v", err)
		return path
	}
	return marked
}
