// Command bench measures what Compare costs, side by side with what else reads
// the same rows, and says where it misses what was asked for.
//
//	go run ./internal/bench -quick
//	go run ./internal/bench -write
//
// Every measurement is a process of its own, so that its peak of memory is its
// own, too. Contestants take turns, and a figure is the median of all rounds.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// dsnVariable names the SQL Server of the part "digest".
const dsnVariable = "MIRROR_TEST_SQLSERVER_DSN"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == measureCommand {
		return measure(ctx, args[1], os.Stdout)
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	if o.clean {
		return clean(ctx, o)
	}
	if o.write {
		if _, err := os.Stat("go.mod"); err != nil {
			return errors.New("-write writes to the root of the repository: start it there")
		}
	}
	b := &bench{options: o, data: data{dir: o.dir, free: freeBytes}, progress: os.Stderr}
	err = b.run(ctx)
	if len(b.lines) > 0 {
		fmt.Print(table(b.lines)) // what was measured before it failed, too
		for _, s := range b.sections {
			fmt.Print("\n" + s.title + "\n" + aligned(append([][]string{s.headings}, s.cells...), "  "))
		}
	}
	if err == nil && o.write {
		err = b.write(ctx, ".")
	}
	return err
}

// options are what the flags say.
type options struct {
	dir    string
	rows   []int    // sizes of the part "stream", ascending
	large  int      // rows of the parts "naive" and "damage"
	remote int      // rows of the part "digest"
	check  int      // rows of all tables of the part "replica"
	pairs  int      // rounds of every measurement but those over the slow link
	only   []string // parts to run
	upTo   int      // the most rows of the part "curve"
	write  bool
	clean  bool
	dsn    string
}

// parts are what -only chooses from.
func parts() []string { return []string{"stream", "naive", "damage", "replica", "curve", "digest"} }

const million = 1_000_000

func parse(args []string, output io.Writer) (options, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	o := options{large: million, remote: million, check: 2 * million, dsn: os.Getenv(dsnVariable)}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&o.dir, "dir", filepath.Join(cache, "mirror-bench"), "`directory` that keeps the databases for the next run")
	rows := f.String("rows", "100000,1000000,10000000", "`numbers` of rows to stream")
	only := f.String("only", strings.Join(parts(), ","), "`parts` to run")
	f.IntVar(&o.pairs, "pairs", 3, "`number` of times that each contestant runs")
	f.IntVar(&o.upTo, "curve-max", million, "most `rows` of the part curve")
	quick := f.Bool("quick", false, "small tables, once: about a minute")
	f.BoolVar(&o.write, "write", false, "write "+markdownFile+" and "+plotFile)
	f.BoolVar(&o.clean, "clean", false, "remove the databases of earlier runs, and nothing else")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q: it takes flags only", f.Arg(0))
	}
	if *quick {
		*rows, o.large, o.remote, o.check, o.pairs = "20000,100000", 100_000, 20_000, 100_000, 1
		o.upTo = min(o.upTo, 100_000)
	}
	for s := range strings.SplitSeq(*rows, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < minRows || n > maxRows {
			return o, fmt.Errorf("-rows %s: want numbers from %s to %s, with commas between them", *rows, grouped(minRows), grouped(maxRows))
		}
		o.rows = append(o.rows, n)
	}
	slices.Sort(o.rows)
	o.rows = slices.Compact(o.rows)
	if o.upTo < minRows || o.upTo > maxRows {
		return o, fmt.Errorf("-curve-max %d: want a number from %s to %s", o.upTo, grouped(minRows), grouped(maxRows))
	}
	if o.pairs < 1 {
		return o, fmt.Errorf("-pairs %d: want at least 1", o.pairs)
	}
	for part := range strings.SplitSeq(*only, ",") {
		part = strings.TrimSpace(part)
		if !slices.Contains(parts(), part) {
			return o, fmt.Errorf("-only %s: want some of %s", *only, strings.Join(parts(), ","))
		}
		o.only = append(o.only, part)
	}
	return o, nil
}

// clean removes what earlier runs left behind.
func clean(ctx context.Context, o options) error {
	if err := (data{dir: o.dir}).clean(); err != nil {
		return err
	}
	if o.dsn == "" {
		return nil
	}
	return dropRemote(ctx, o.dsn)
}

// bench is one run.
type bench struct {
	options
	data     data
	progress io.Writer
	lines    []line
	series   map[string][]point // by contestant, for the plot
	curves   map[string][]point // of the part "curve"
	sections []section
}

func (b *bench) run(ctx context.Context) error {
	if err := b.data.prepare(b.options); err != nil {
		return err
	}
	b.series, b.curves = map[string][]point{}, map[string][]point{}
	for _, part := range parts() {
		if !slices.Contains(b.only, part) {
			continue
		}
		err := map[string]func(context.Context) error{
			"stream": b.stream, "naive": b.naive, "damage": b.damage, "replica": b.replica, "curve": b.curve, "digest": b.digest,
		}[part](ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	for _, points := range b.series {
		slices.SortFunc(points, func(x, y point) int { return cmp.Compare(x.rows, y.rows) })
	}
	return nil
}

// What was asked for.
const (
	maxStreamRatio = 1.10
	maxPeakMiB     = 64
	maxPeakGrowth  = 1.25 // what counts as flat
	minNaiveTime   = 3
	minNaiveMemory = 50
	maxDamageRatio = 1.3
	maxDigestBytes = 0.01
)

// stream holds Compare against reading the same rows and throwing them away.
func (b *bench) stream(ctx context.Context) error {
	peaks := map[int]float64{}
	for _, rows := range b.rows {
		src, tgt, err := b.data.pair(ctx, rows)
		if err != nil {
			return err
		}
		r, err := b.rounds(ctx, b.pairs,
			task{Contestant: "driver", Rows: rows, Source: src, Mirror: tgt},
			task{Contestant: "compare", Rows: rows, Source: src, Mirror: tgt})
		if err != nil {
			return err
		}
		if err := r.changed(1, 0); err != nil {
			return err
		}
		for i, name := range []string{"driver", "compare"} {
			b.series[name] = append(b.series[name], point{rows, r.seconds(i), r.peak(i)})
		}
		ratio := r.ratio(1, 0)
		peaks[rows] = r.peak(1)
		b.add(
			line{"time", rows, "driver " + seconds(r.seconds(0)), seconds(r.seconds(1)), fmt.Sprintf("%.2f", ratio),
				fmt.Sprintf("≤ %.2f", maxStreamRatio), verdict(ratio <= maxStreamRatio)},
			line{"peak memory", rows, "driver " + mib(r.peak(0)), mib(r.peak(1)), "",
				fmt.Sprintf("< %d MiB", maxPeakMiB), verdict(r.peak(1) < maxPeakMiB)})
	}
	if few, most := b.rows[0], b.rows[len(b.rows)-1]; few < most {
		growth := peaks[most] / peaks[few]
		b.add(line{"peak memory, growth", most, grouped(few) + " rows " + mib(peaks[few]), mib(peaks[most]),
			fmt.Sprintf("%.2f", growth), fmt.Sprintf("≤ %.2f", maxPeakGrowth), verdict(growth <= maxPeakGrowth)})
	}
	return nil
}

// naive holds Compare against the program that one would write in its place.
func (b *bench) naive(ctx context.Context) error {
	sizes := []int{b.large}
	for _, rows := range b.rows {
		if rows < b.large {
			sizes = append(sizes, rows) // for the plot
		}
	}
	slices.Sort(sizes)
	for _, rows := range sizes {
		src, tgt, err := b.data.pair(ctx, rows)
		if err != nil {
			return err
		}
		r, err := b.rounds(ctx, b.pairs,
			task{Contestant: "naive", Rows: rows, Source: src, Mirror: tgt},
			task{Contestant: "compare", Rows: rows, Source: src, Mirror: tgt})
		if err != nil {
			return err
		}
		if err := errors.Join(r.changed(0, 0), r.changed(1, 0)); err != nil {
			return err
		}
		b.series["naive"] = append(b.series["naive"], point{rows, r.seconds(0), r.peak(0)})
		if rows < b.large {
			continue
		}
		faster, less := r.ratio(0, 1), r.peak(0)/r.peak(1)
		b.add(
			line{"time, naive program", rows, "naive " + seconds(r.seconds(0)), seconds(r.seconds(1)), fmt.Sprintf("%.1f × faster", faster),
				fmt.Sprintf("≥ %d ×", minNaiveTime), verdict(faster >= minNaiveTime)},
			line{"peak memory, naive program", rows, "naive " + mib(r.peak(0)), mib(r.peak(1)), fmt.Sprintf("%.0f × less", less),
				fmt.Sprintf("≥ %d ×", minNaiveMemory), verdict(less >= minNaiveMemory)})
	}
	return nil
}

// shares maps a share of rows to the step between two rows that differ.
func shares() map[string]int { return map[string]int{"0.01 %": 10_000, "1 %": 100, "50 %": 2} }

// damage holds Compare of tables that differ against Compare of equal ones.
func (b *bench) damage(ctx context.Context) error {
	src, tgt, err := b.data.pair(ctx, b.large)
	if err != nil {
		return err
	}
	steps := shares()
	names := slices.SortedFunc(maps.Keys(steps), func(x, y string) int { return cmp.Compare(steps[y], steps[x]) })
	tasks := []task{{Contestant: "compare", Rows: b.large, Source: src, Mirror: tgt}}
	for _, name := range names {
		path, err := b.data.damaged(ctx, b.large, steps[name])
		if err != nil {
			return err
		}
		tasks = append(tasks, task{Contestant: "compare", Rows: b.large, Source: src, Mirror: path, Note: name + " differ"})
	}
	r, err := b.rounds(ctx, b.pairs, tasks...)
	if err != nil {
		return err
	}
	if err := r.changed(0, 0); err != nil {
		return err
	}
	for i, name := range names {
		want, got := b.large/steps[name], r.results[i+1][0].Changed
		ratio := r.ratio(i+1, 0)
		b.add(line{"time, " + name + " of the rows differ", b.large, "equal " + seconds(r.seconds(0)), seconds(r.seconds(i + 1)),
			fmt.Sprintf("%.2f", ratio), fmt.Sprintf("≤ %.1f", maxDamageRatio), verdict(ratio <= maxDamageRatio)})
		exact := r.changed(i+1, int64(want)) == nil
		b.add(line{"rows found, " + name + " differ", b.large, "made " + grouped(want), grouped(int(got)), "", "all", verdict(exact)})
	}
	return nil
}

// digest holds the digests of SQL Server against streaming over a slow link.
func (b *bench) digest(ctx context.Context) error {
	if b.dsn == "" {
		b.add(line{what: "bytes and time over a slow link", rows: b.remote, verdict: "not run: set " + dsnVariable})
		return nil
	}
	return b.overSlowLink(ctx)
}

func (b *bench) add(lines ...line) { b.lines = append(b.lines, lines...) }
