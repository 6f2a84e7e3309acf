package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
)

func (a *app) resetCommand() *cobra.Command {
	opts := &mirror.ResetOptions{}
	c := &cobra.Command{
		Use:     "reset TABLE...",
		GroupID: groupChange,
		Short:   "Restart the synchronization of tables",
		Long: `Reset sets the LSN of tables to -1, all of them or none, so that the next cycle of the
Mirroring Task wipes and repopulates them. A table is a name or a pattern such as 'app*'.
--truncate also empties them at once, which spares the cycle a long wipe, and cannot be undone.

--all, patterns that mean all tables, and --truncate want to be confirmed, on a terminal or by
--confirm. The receipt is kept in the state directory: undo takes it back until the next cycle
begins.`,
		Example: example("mirrorctl reset contact person --mirror mirror.db --context Cust10195",
			"mirrorctl reset --all --mirror mirror.db --context Cust10195 --dry-run"),
		ValidArgsFunction: a.completeTables,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.reset(cmd, args, opts) },
	}
	c.Args = func(_ *cobra.Command, args []string) error {
		if opts.All == (len(args) > 0) {
			return usagef("which tables? Name them, or all of them by --all")
		}
		return nil
	}
	c.Flags().BoolVar(&opts.All, "all", false, "reset every table that has a metadata row")
	c.Flags().BoolVar(&opts.Truncate, "truncate", false, "also delete the rows at once, which undo cannot bring back")
	a.confirmFlag(c)
	a.dryRunFlag(c)
	return c
}

func (a *app) reset(cmd *cobra.Command, args []string, opts *mirror.ResetOptions) error {
	ctx := cmd.Context()
	return a.with(ctx, need{change: true}, func(t *target) error {
		tables, err := t.tables(ctx, "reset", args)
		if err != nil {
			return err
		}
		opts.DryRun = a.flags.dryRun
		want, what := consentNone, ""
		switch {
		case opts.Truncate:
			want, what = consentTyped, "The rows of these tables of "+t.context+" are deleted, and the next cycle sends them anew"
		case opts.All || slices.ContainsFunc(args, isPattern) && t.areAll(ctx, tables):
			want, what = consentYes, "All tables of "+t.context+" are reset, and the next cycle sends them anew"
		}
		if want != consentNone && a.inTerm && !opts.DryRun && a.flags.confirm == "" {
			try := *opts
			try.DryRun = true
			receipt, err := t.m.ResetTables(ctx, tables, &try)
			if err != nil {
				return err
			}
			a.preview(t, receipt)
		}
		if err := a.confirmed(ctx, t.context, want, what); err != nil {
			return err
		}
		receipt, err := t.m.ResetTables(ctx, tables, opts)
		return a.changed(t, nil, receipt, err)
	})
}

func (a *app) hardResetCommand() *cobra.Command {
	opts := &mirror.HardResetOptions{}
	c := &cobra.Command{
		Use:     "hard-reset",
		GroupID: groupChange,
		Short:   "Make the next cycle start from nothing",
		Long: `Hard-reset takes the metadata table away, so that the next cycle creates it anew and
populates the whole mirror. The table is renamed, so that undo can bring it back. With --table
it deletes the metadata rows of these tables alone, and with --drop-data drops them, too, which
cannot be undone.

It wants the context identifier typed, or --confirm.`,
		Example: example("mirrorctl hard-reset --mirror mirror.db --context Cust10195 --dry-run",
			"mirrorctl hard-reset --table contact --drop-data --mirror mirror.db --context Cust10195 --confirm Cust10195"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.hardReset(cmd, opts) },
	}
	a.tableFlag(c, "hard reset these tables alone")
	f := c.Flags()
	f.BoolVar(&opts.All, "all", false, "delete the metadata rows of all tables, and keep the metadata table")
	f.BoolVar(&opts.DropData, "drop-data", false, "also drop the tables of --table or --all with their rows, which undo cannot bring back")
	f.BoolVar(&opts.NoUndo, "no-undo", false, "allow a hard reset that undo could not take back at all")
	a.confirmFlag(c)
	a.dryRunFlag(c)
	return c
}

func (a *app) hardReset(cmd *cobra.Command, opts *mirror.HardResetOptions) error {
	switch {
	case opts.All && len(a.flags.tables) > 0:
		return usagef("--all and --table: want one of them")
	case opts.DropData && !opts.All && len(a.flags.tables) == 0:
		return usagef("--drop-data drops the tables of --table, or all with --all: say which")
	}
	ctx := cmd.Context()
	return a.with(ctx, need{change: true}, func(t *target) (err error) {
		if opts.Tables, err = t.tables(ctx, "--table", a.flags.tables); err != nil {
			return err
		}
		opts.DryRun = a.flags.dryRun
		if a.inTerm && !opts.DryRun && a.flags.confirm == "" {
			try := *opts
			try.DryRun = true
			receipt, err := t.m.HardReset(ctx, &try)
			if err != nil {
				return err
			}
			a.preview(t, receipt)
		}
		what := "The mirror of " + t.context + " is populated anew by the next cycle"
		if opts.DropData {
			what = "Tables of " + t.context + " are dropped with their rows, and created anew by the next cycle"
		}
		if err := a.confirmed(ctx, t.context, consentTyped, what); err != nil {
			return err
		}
		opts.Confirm = t.context
		receipt, err := t.m.HardReset(ctx, opts)
		return a.changed(t, nil, receipt, err)
	})
}
