package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/store"
)

// completionTime is how long a shell waits for names, unless the environment says another
// time. A slow database has none.
func (a *app) completionTime() time.Duration {
	if d, err := time.ParseDuration(a.env(envCompletion)); err == nil {
		return d
	}
	return 500 * time.Millisecond
}

const envCompletion = "MIRRORCTL_COMPLETION_TIME"

// completeTables completes the names of tables, those of the mirror before those of the
// source. What goes wrong is not said: a shell has no room for it.
func (a *app) completeTables(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range a.quickTables(cmd.Context()) {
		if strings.HasPrefix(store.FoldName(t), store.FoldName(begun)) && !isMetadata(t) {
			names = append(names, t)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeContexts completes context identifiers: those of the file of --config, or those
// that the names of metadata tables tell.
func (a *app) completeContexts(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if a.loadConfig() == nil && a.config != nil {
		for _, id := range a.config.Contexts() {
			if strings.HasPrefix(store.FoldName(id), store.FoldName(begun)) {
				ids = append(ids, id)
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
	for _, t := range a.quickTables(cmd.Context()) {
		if id, ok := ownerOf(t); ok && strings.HasPrefix(store.FoldName(id), store.FoldName(begun)) {
			ids = append(ids, id)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// ownerOf returns the context identifier that the name of a metadata table tells.
func ownerOf(table string) (id string, ok bool) {
	id, ok = strings.CutSuffix(table, metadataSuffix)
	return id, ok && mirror.MetadataTableName(id) == table
}

func isMetadata(table string) bool {
	_, ok := ownerOf(table)
	return ok
}

// quickTables lists the tables of the mirror, or of the source where no mirror is named,
// as far as they can be had at once.
func (a *app) quickTables(ctx context.Context) []string {
	if a.loadConfig() != nil {
		return nil
	}
	p, err := a.place()
	where := p.Mirror
	if where.Where == "" {
		where = p.Source
	}
	if err != nil || where.Where == "" {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := context.WithTimeout(ctx, a.completionTime())
	found := make(chan []string, 1)
	go func() { // a driver may take its time to notice that nobody waits any more
		defer stop()
		found <- a.tableNames(ctx, where)
	}()
	select {
	case names := <-found:
		return names
	case <-ctx.Done():
		return nil
	}
}

func (a *app) tableNames(ctx context.Context, where customers.Database) (names []string) {
	var t target
	defer t.Close()
	src, err := a.openSource(ctx, &t, where)
	if err != nil {
		return nil
	}
	tables, err := src.Tables(ctx)
	if err != nil {
		return nil
	}
	for _, t := range tables {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}

// completions has the shell complete what databases know, and the few words that flags
// take.
func (a *app) completions(c *cobra.Command) {
	words := func(list ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"context": a.completeContexts, "confirm": a.completeContexts, "table": a.completeTables, "skip-table": a.completeTables,
		"output":   words("text", "json"),
		"strategy": words(string(mirror.StrategyAuto), string(mirror.StrategyJoin), string(mirror.StrategyDigest), string(mirror.StrategyStream)),
		"depth":    words(string(mirror.DepthRows), string(mirror.DepthCount), string(mirror.DepthSchema)),
	} {
		f := c.LocalFlags().Lookup(flag)
		if f == nil {
			continue
		}
		if _, there := c.GetFlagCompletionFunc(flag); !there {
			_ = c.RegisterFlagCompletionFunc(flag, complete) // it fails for flags that are not there alone
		}
	}
	if strings.Contains(c.Use, "TABLE") && c.ValidArgsFunction == nil {
		c.ValidArgsFunction = a.completeTables
	}
	for _, sub := range c.Commands() {
		a.completions(sub)
	}
}
