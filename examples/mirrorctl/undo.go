package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
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
	} else if undone := a.state().undone(t.context); len(undone) > 0 {
		return refusef("the last change of %s was already taken back: its receipt is %s", t.context, undone[len(undone)-1])
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
	if err := t.sameDatabase(cmd.Context(), path, a.state().databaseOf(receipt)); err != nil {
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
			a.really(p, t)
		}
		p.putBack(receipt, done)
	})
}

// putBack writes what undo put back, or would put back.
func (p *page) putBack(r *mirror.Receipt, done bool) {
	back, goes, title, lost := "is back", "goes", "WAS PUT BACK", "was"
	if !done {
		back, goes, title, lost = "would be back", "would go", "WOULD BE PUT BACK", "would be"
	}
	if r.Metadata != nil {
		p.line("The metadata table %s %s: the next cycle %s on as before.", r.MetadataTable, back, goes)
	}
	var rows []row
	for _, t := range r.Tables {
		what := "LSN"
		switch {
		case len(t.Metadata) == 0 || len(t.Actions) == 0 && r.Metadata == nil:
			continue
		case !slices.Contains(t.Actions, mirror.ActionResetLSN):
			what = "metadata row"
		}
		rows = append(rows, row{cells: []cell{plain(t.Table), plain(what), plain(store.FormatLSN(t.LSN))}})
	}
	if rows != nil {
		p.WriteString("\n")
		p.grid([]column{{title: "TABLE"}, {title: title}, {title: "LSN", number: true}}, rows)
	}
	for _, loss := range r.NotUndone {
		p.line("What %s not put back: %s.", lost, loss)
	}
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
