package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/htmlreport"
)

// comparison is how a comparison is made, besides what several commands share.
type comparison struct {
	skip, ignore, prefixes []string
	copy, looseTypes       bool
	save, since, resume    string
	sinceRows              int64
	maxDuration            time.Duration
	maxRowShare            float64
	tuning                 mirror.Tuning
}

// compareFlags adds the flags of a comparison.
func (a *app) compareFlags(c *cobra.Command) *comparison {
	how := a.compareManyFlags(c)
	f := c.Flags()
	f.StringVar(&how.since, "since", "", "read only what changed since the comparison of this `file`, where the source tracks changes")
	f.Int64Var(&how.sinceRows, "since-rows", 0, "with --since, also read so many `rows` of each table anew")
	f.StringVar(&how.resume, "resume", "", "go on with the comparison that was stopped, from its `file`")
	return how
}

// compareManyFlags adds those that also mean something when many mirrors are compared.
func (a *app) compareManyFlags(c *cobra.Command) *comparison {
	how := &comparison{}
	f := c.Flags()
	a.tableFlag(c, "compare these tables alone")
	f.StringArrayVar(&how.skip, "skip-table", nil, "leave out a table that the customer excludes from mirroring; `name` or pattern, may be repeated")
	f.StringArrayVar(&how.ignore, "ignore-column", nil, "leave out a `column`, such as updated or contact.updated, may be repeated")
	f.StringArrayVar(&how.prefixes, "schema-prefix", nil, "`prefix` of table names that does not count, such as crm7., may be repeated")
	f.BoolVar(&how.copy, "copy", false, "the source is another copy of the customer's database, a mirror or a replica")
	f.BoolVar(&how.looseTypes, "loose-types", false, "allow columns to differ in type and length as long as their values can be compared")
	f.StringVar(&a.flags.strategy, "strategy", string(mirror.StrategyAuto), "`strategy` by which rows are compared: auto, stream, digest or join")
	f.StringVar(&a.flags.depth, "depth", string(mirror.DepthRows), "what is compared, as the `depth`: schema, count or rows")
	f.DurationVar(&how.maxDuration, "max-duration", 0, "stop after this `duration`, such as 2h, and say how to go on")
	rowShareFlag(c, &how.maxRowShare)
	f.IntVar(&how.tuning.Concurrency, "tables-at-once", 0, "`number` of tables that are read at the same time: 2 unless set")
	f.Int64Var(&how.tuning.SplitRows, "split-rows", 0, "read tables in ranges of so many `rows` at the same time")
	f.Int64Var(&how.tuning.MaxRowsPerSecond, "max-rows-per-second", 0, "read at most so many `rows` a second of each side")
	f.DurationVar(&how.tuning.CheckpointEvery, "checkpoint-every", 0, "`duration` between two checkpoints: 10s unless set")
	return how
}

// notComparing refuses the flags of a comparison, but for some, where its result is named:
// what was asked for would not be done.
func notComparing(cmd *cobra.Command, what string, but ...string) (err error) {
	comparing := (&app{}).compareFlagNames()
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && comparing[f.Name] && !slices.Contains(but, f.Name) {
			err = usagef("--%s is for a comparison, and %s is of one that was made: leave it out, or compare with it", f.Name, what)
		}
	})
	return err
}

// compareFlagNames are the names of the flags of a comparison.
func (a *app) compareFlagNames() map[string]bool {
	names, c := map[string]bool{}, &cobra.Command{}
	a.compareFlags(c)
	c.Flags().VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
	return names
}

func (a *app) compareCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "compare",
		GroupID: groupLook,
		Short:   "Compare the mirror with the customer's database, row by row",
		Long: `Compare reads both databases and tells what differs: what the next cycle brings, what no
cycle repairs, and of what that is not known yet. It writes to neither.

The report is kept in the state directory for plan and recheck, or in the file of --save.
Ctrl-C ends it cleanly: it prints what was compared so far and how to go on.

When several exit codes apply it is the first one of 6, 1, 7, 3, 5, 4: a result that is not
to be trusted or not whole goes before what was found. 7 also stands for what would be 0
but for columns or tables that cannot be compared and that nobody asked to leave out.`,
		Example: example("mirrorctl compare --source customer.db --mirror mirror.db --context Cust10195",
			"mirrorctl compare --source customer.db --mirror mirror.db --table 'app*' --max-duration 2h"),
		Args: cobra.NoArgs,
	}
	how := a.compareFlags(c)
	c.Flags().StringVar(&how.save, "save", "", "keep the report in this `file`, for plan, recheck and --since")
	a.htmlFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.with(cmd.Context(), need{source: true}, func(t *target) error {
			report, err := a.compare(cmd.Context(), t, how)
			if err != nil {
				return err
			}
			return a.showReport(cmd, t, report, how)
		})
	}
	return c
}

// checkWords refuses a --depth or --strategy that there is not.
func (a *app) checkWords() error {
	switch mirror.Depth(a.flags.depth) {
	case mirror.DepthSchema, mirror.DepthCount, mirror.DepthRows:
	default:
		return usagef("--depth %q: want schema, count or rows", a.flags.depth)
	}
	switch mirror.Strategy(a.flags.strategy) {
	case mirror.StrategyAuto, mirror.StrategyStream, mirror.StrategyDigest, mirror.StrategyJoin:
	default:
		return usagef("--strategy %q: want auto, stream, digest or join", a.flags.strategy)
	}
	return nil
}

// options returns what a comparison is told.
func (a *app) options(ctx context.Context, t *target, how *comparison) (*mirror.CompareOptions, error) {
	said := t.place.Compare // by the file, which flags go before
	t.place.Compare.SchemaPrefixes = either(how.prefixes, said.SchemaPrefixes)
	o := &mirror.CompareOptions{
		IgnoreColumns: either(how.ignore, said.IgnoreColumns), SchemaPrefixes: t.place.Compare.SchemaPrefixes,
		SourceIsCopy: how.copy || said.SourceIsCopy, LooseTypes: how.looseTypes,
		Depth: mirror.Depth(a.flags.depth), Strategy: mirror.Strategy(a.flags.strategy),
		MaxDuration: how.maxDuration, SinceRows: how.sinceRows, Tuning: how.tuning,
	}
	if err := a.checkWords(); err != nil {
		return nil, err
	}
	var err error
	if o.Tables, err = t.tables(ctx, "--table", a.flags.tables); err != nil {
		return nil, err
	}
	if o.SkipTables, err = t.tables(ctx, "--skip-table", either(how.skip, said.SkipTables)); err != nil {
		return nil, err
	}
	if how.since != "" {
		if o.Since, err = readReport(a, how.since); err != nil {
			return nil, err
		}
	}
	if how.resume != "" {
		if o.Resume, err = readCheckpoint(a, how.resume); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// either is the list of the flags, or else that of the file.
func either(flags, file []string) []string {
	if flags != nil {
		return flags
	}
	return file
}

// compare compares. A comparison that was stopped is a report, too.
func (a *app) compare(ctx context.Context, t *target, how *comparison) (*mirror.Report, error) {
	o, err := a.options(ctx, t, how)
	if err != nil {
		return nil, err
	}
	if how.resume == "" {
		a.offerResume(t)
	}
	kept := &rollingCheckpoint{a: a, contextID: t.context}
	o.OnCheckpoint = kept.write
	report, err := t.m.Compare(ctx, t.source, o)
	if report == nil || err != nil && ctx.Err() == nil {
		return nil, err
	}
	if report.Incomplete {
		a.stopped = *kept // until its last checkpoint is kept as well
	} else {
		kept.done()
	}
	if how.resume != "" && !report.Incomplete {
		a.resumed(t, how.resume)
	}
	return report, nil
}

// offerFor is how long a comparison that was stopped is offered to go on with.
const offerFor = 7 * 24 * time.Hour

// offerResume says that an earlier comparison was stopped, which may have been killed.
func (a *app) offerResume(t *target) {
	kept := a.state().kept(keptCheckpoints, t.context)
	if len(kept) == 0 {
		return
	}
	last := kept[len(kept)-1]
	if info, err := os.Stat(last); err == nil && info.Size() > 0 && a.now().Sub(info.ModTime()) < offerFor {
		a.note("An earlier comparison of %s did not end. To go on with it: --resume %s", t.context, quoted(last))
	}
}

// resumed removes a checkpoint of which nothing is left to do, if it is one that was kept.
func (a *app) resumed(t *target, path string) {
	abs, err := filepath.Abs(path)
	for _, k := range a.state().kept(keptCheckpoints, t.context) {
		if is, kerr := filepath.Abs(k); err == nil && kerr == nil && is == abs {
			removeQuietly(k)
		}
	}
}

// rollingCheckpoint is the file from which a comparison goes on whose process died.
type rollingCheckpoint struct {
	a         *app
	contextID string
	path      string
	failed    bool
}

func (r *rollingCheckpoint) write(cp *mirror.Checkpoint) {
	if r.failed {
		return
	}
	var err error
	if r.path == "" {
		r.path, err = r.a.state().keep(keptCheckpoints, r.contextID, "compare", cp.Time, cp)
	} else {
		err = writeFile(r.path, cp)
	}
	if err != nil {
		r.failed = true
		r.a.warn("no checkpoints can be kept, so a comparison that is killed starts anew: %v", err)
	}
}

// done leaves it to the report to say how to go on.
func (r *rollingCheckpoint) done() {
	if r.path != "" {
		removeQuietly(r.path)
	}
}

// The documents of package mirror, by a field that tells them apart.
var documentMarks = []struct{ kind, field string }{
	{"plan", "figuresSum"}, {"receipt", "operation"}, {"report", "depth"}, {"checkpoint", "tables"},
}

// kindOf says what a document is, "" when it is none.
func kindOf(data []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return ""
	}
	for _, mark := range documentMarks {
		if _, ok := fields[mark.field]; ok {
			return mark.kind
		}
	}
	return ""
}

func isMarked(kind string) bool {
	for _, mark := range documentMarks {
		if mark.kind == kind {
			return true
		}
	}
	return false
}

func readReport(a *app, path string) (*mirror.Report, error) {
	return readDocument[mirror.Report](a, path, "report")
}

// readCheckpoint reads a checkpoint, or that of a report of a comparison that was stopped.
func readCheckpoint(a *app, path string) (*mirror.Checkpoint, error) {
	data, err := a.readFile(path, "checkpoint")
	if err != nil {
		return nil, err
	}
	if kindOf(data) != "report" {
		return parseDocument[mirror.Checkpoint](data, path, "checkpoint")
	}
	report, err := parseDocument[mirror.Report](data, path, "report")
	switch {
	case err != nil:
		return nil, err
	case report.Checkpoint == nil:
		return nil, refusef("%s is the report of a comparison that was not stopped: there is nothing to resume", path)
	default:
		return report.Checkpoint, nil
	}
}

// judge says what a report amounts to: an exit code, and the error that explains it where
// the report is not to be trusted or not whole.
func judge(r *mirror.Report, maxRowShare float64) (code int, err error) {
	plan := r.Plan()
	err = r.ErrWith(plan.CheckRows("compare", maxRowShare))
	r = byNow(r)
	has := map[mirror.Verdict]bool{}
	unknown, diverged := plan.Has(mirror.StepUnknown), false
	for i := range r.Tables {
		t := &r.Tables[i]
		has[t.Verdict] = true
		diverged = diverged || t.Diverged > 0
		differs := t.Verdict == mirror.VerdictDifferent || t.Verdict == mirror.VerdictSchemaDiffers || t.Verdict == mirror.VerdictMissing || t.Verdict == mirror.VerdictExtra
		// No cycle is known of that brings these.
		unknown = unknown || differs && r.State == mirror.MirrorReplica || t.Verdict == mirror.VerdictExtra && !t.HasMetadata
	}
	switch {
	case errors.Is(err, mirror.ErrWrongDatabase), errors.Is(err, mirror.ErrTooMuch):
		return exitRefused, err
	case has[mirror.VerdictFailed]:
		return exitError, err
	case r.Incomplete, has[mirror.VerdictUnfinished]:
		return exitIncomplete, err
	case !plan.Empty(), diverged:
		return exitDiffers, nil
	case unknown:
		return exitUnknown, nil
	case has[mirror.VerdictPending], has[mirror.VerdictDifferent], has[mirror.VerdictSchemaDiffers], has[mirror.VerdictMissing], has[mirror.VerdictExtra]:
		return exitPending, nil
	case !r.Identical():
		return exitIncomplete, err
	default:
		return exitDone, nil
	}
}

// showReport keeps a report, shows it, and ends with its exit code.
func (a *app) showReport(cmd *cobra.Command, t *target, r *mirror.Report, how *comparison) error {
	code, reason := judge(r, how.maxRowShare)
	v := &view{a: a, cmd: cmd, r: r, plan: r.Plan(), code: code, context: t.context}
	saved := a.saveReport(v, how.save)
	if err := a.show(r, v.write); err != nil {
		return err
	}
	if err := errors.Join(saved, a.writeHTML(func(w io.Writer) error { return htmlreport.WriteCompare(w, r, v.plan) })); err != nil {
		return err
	}
	return a.ended(code, reason)
}

// saveReport keeps a report that something follows from, and how far a comparison came
// that was stopped.
func (a *app) saveReport(v *view, save string) (err error) {
	if v.r.Incomplete && v.r.Checkpoint != nil && v.r.Scope.Tables > 0 {
		v.checkpoint, err = a.state().keep(keptCheckpoints, v.context, "compare", v.r.Checkpoint.Time, v.r.Checkpoint)
		switch {
		case err == nil:
			a.stopped.done()
		case a.stopped.path != "":
			a.warn("the last checkpoint cannot be kept, so the comparison goes on from the one before it: %v", err)
			v.checkpoint = a.stopped.path
		default:
			a.warn("the checkpoint cannot be kept, so the comparison starts anew: %v", err)
		}
	}
	switch {
	case save != "":
		if err := writeFile(save, v.r); err != nil {
			return fmt.Errorf("save the report: %w", err)
		}
		v.report = save
	case v.code == exitDiffers || v.code == exitUnknown:
		if v.report, err = a.state().keep(keptReports, v.context, "report", a.now(), v.r); err != nil {
			a.warn("the report cannot be kept: %v", err)
		}
	}
	return nil
}
