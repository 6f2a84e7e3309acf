package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/so-mirror/mirror"
)

// The measurements of the part "curve".
const (
	curveFiles  = "curve of files"
	curveServer = "curve on the server"
	curveSince  = "curve of changes"
)

// curveTask is what the tasks of the part "curve" have besides.
type curveTask struct {
	Part    string `json:"part,omitempty"`
	Columns int    `json:"width,omitempty"` // of the table
	Step    int    `json:"step,omitempty"`  // each step-th row changes
}

// curveResult is what their results have besides.
type curveResult struct {
	Strategy string  `json:"strategy,omitempty"` // by which the table was compared
	Reason   string  `json:"reason,omitempty"`   // and why
	First    float64 `json:"first,omitempty"`    // seconds of the first time on new connections
	Carried  int64   `json:"carried,omitempty"`  // bytes between this process and the server
	Read     int64   `json:"read,omitempty"`     // rows, of both sides
	All      int64   `json:"all,omitempty"`      // rows that a comparison of all rows reads
	AllTime  float64 `json:"allTime,omitempty"`  // seconds that it takes
}

// The contestants of the curve, besides the strategies.
const (
	byDriver  = "driver"
	byStream  = string(mirror.StrategyStream)
	byDigest  = string(mirror.StrategyDigest)
	byJoin    = string(mirror.StrategyJoin)
	byAuto    = string(mirror.StrategyAuto)
	bySingle  = "auto, no join" // auto of two sides that cannot be joined
	byNaive   = "naive"
	bySqldiff = "sqldiff"
	byShell   = "EXCEPT, shell"
	byExcept  = "EXCEPT, driver"
)

// curveContestants are the lines of the plots and the tables.
func curveContestants() []string {
	return []string{byJoin, byAuto, byStream, byDigest, byDriver, byNaive, bySqldiff, byShell, byExcept}
}

const (
	// maxNaiveRows are the most rows that a machine with 8 GiB holds twice.
	maxNaiveRows = million

	maxJoinSqldiff  = 1.0
	maxJoinStream   = 0.4
	maxJoinExcept   = 0.33
	maxJoinBytes    = 0.01 // of streaming's
	maxSinceShare   = 0.01 // of a comparison of all rows
	maxSinceGrowth  = 1.5  // in a table of ten times the rows
	maxCurveDriver  = 1.10
	maxAutoOfStream = 1.03
)

// section is a table of figures without a judgement.
type section struct {
	title    string
	headings []string
	cells    [][]string
}

func (b *bench) addSection(title string, headings []string, cells [][]string) {
	b.sections = append(b.sections, section{title, headings, cells})
}

// curveSizes are the numbers of rows, each ten times the one before it.
func (o options) curveSizes() []int {
	var sizes []int
	for n := minRows; n <= o.upTo; n *= 10 {
		sizes = append(sizes, n)
	}
	return sizes
}

// curveRows is the number of rows that is judged.
func (o options) curveRows() int {
	sizes := slices.DeleteFunc(o.curveSizes(), func(n int) bool { return n > million })
	return sizes[len(sizes)-1]
}

// curveMiddle is the number of rows of the tables with fewer columns.
func (o options) curveMiddle() int {
	sizes := o.curveSizes()
	return sizes[(len(sizes)-1)/2]
}

// curve holds the strategies against each other and against what else one would
// take, over rows and over columns.
func (b *bench) curve(ctx context.Context) error {
	for _, p := range missingPeers() {
		b.add(line{what: "curve, " + p.name, rows: b.curveRows(), verdict: "not run: " + p.missing()})
	}
	if b.upTo > maxNaiveRows {
		b.add(line{what: "curve, " + byNaive, rows: b.upTo, verdict: "not run: it needs 4 GB for each million rows"})
	}
	return errors.Join(b.curveOfRows(ctx), b.curveOfColumns(ctx), b.curveOfChanges(ctx), b.curveOnServer(ctx))
}

// curveTasks are those of all contestants that are there.
func (b *bench) curveTasks(ctx context.Context, rows, columns int) ([]task, error) {
	source, mirrored, err := b.data.narrowPair(ctx, rows, columns)
	if err != nil {
		return nil, err
	}
	var tasks []task
	missing := missingPeers()
	for _, name := range curveContestants() {
		absent := slices.ContainsFunc(missing, func(p peer) bool { return p.name == name })
		if absent || name == byNaive && rows > maxNaiveRows {
			continue
		}
		tasks = append(tasks, task{Contestant: name, Rows: rows, Source: source, Mirror: mirrored, curveTask: curveTask{Part: curveFiles, Columns: columns}})
	}
	return tasks, nil
}

func (b *bench) curveOfRows(ctx context.Context) error {
	sizes, all := b.curveSizes(), len(contactTable().Columns)
	var turns []rounds
	for _, rows := range sizes {
		tasks, err := b.curveTasks(ctx, rows, all)
		if err != nil {
			return err
		}
		single, damaged := tasks[0], tasks[0]
		if rows == b.curveRows() {
			single.Contestant = bySingle
			damaged.Note = "1 % differ"
			if damaged.Mirror, err = b.data.damaged(ctx, rows, shares()["1 %"]); err != nil {
				return err
			}
			tasks = append(tasks, single, damaged)
		}
		times := b.pairs
		if rows > b.curveRows() {
			times = 1 // these are not judged
		}
		r, err := b.rounds(ctx, times, tasks...)
		if err != nil {
			return err
		}
		if err := r.allEqual(rows / shares()["1 %"]); err != nil {
			return err
		}
		turns = append(turns, r)
		for i, t := range r.tasks {
			if t.Note == "" && t.Contestant != bySingle {
				b.curves[t.Contestant] = append(b.curves[t.Contestant], point{rows, r.seconds(i), r.peak(i)})
			}
		}
		if rows == b.curveRows() {
			b.judgeFiles(r)
		}
	}
	b.addCurve("Rows, "+fmt.Sprint(all)+" columns", "rows", sizes, turns)
	return nil
}

// allEqual is an error unless equal files were found to be so, and the others to
// have so many changed rows.
func (r rounds) allEqual(changed int) error {
	for i, t := range r.tasks {
		want := int64(0)
		if t.Note != "" {
			want = int64(changed)
		}
		if err := r.changed(i, want); err != nil {
			return err
		}
		if got := r.results[i][0].Strategy; t.Contestant == byJoin && got != byJoin {
			return fmt.Errorf("two files were not joined but compared by %s: %s", got, r.results[i][0].Reason)
		}
	}
	return nil
}

// of returns the index of a contestant, -1 when it did not run.
func (r rounds) of(contestant string) int {
	return slices.IndexFunc(r.tasks, func(t task) bool { return t.Contestant == contestant && t.Note == "" })
}

// judgeTime adds a line about two contestants' times, if both ran.
func (b *bench) judgeTime(r rounds, what, contestant, other string, most float64) {
	i, j := r.of(contestant), r.of(other)
	if i < 0 || j < 0 {
		return
	}
	ratio := r.ratio(i, j)
	b.add(line{"time, " + what, r.tasks[i].Rows, other + " " + seconds(r.seconds(j)), seconds(r.seconds(i)),
		fmt.Sprintf("%.2f", ratio), fmt.Sprintf("≤ %.2f", most), verdict(ratio <= most)})
}

func (b *bench) judgeFiles(r rounds) {
	join := r.of(byJoin)
	b.judgeTime(r, "join", byJoin, bySqldiff, maxJoinSqldiff)
	b.add(line{"peak memory, join", r.tasks[join].Rows, "", mib(r.peak(join)), "",
		fmt.Sprintf("≤ %d MiB", maxPeakMiB), verdict(r.peak(join) <= maxPeakMiB)})
	for i, t := range r.tasks {
		if t.Note != "" {
			ratio := r.ratio(i, join)
			b.add(line{"time, join, " + t.Note, t.Rows, "equal " + seconds(r.seconds(join)), seconds(r.seconds(i)),
				fmt.Sprintf("%.2f", ratio), fmt.Sprintf("≤ %.2f", maxDamageRatio), verdict(ratio <= maxDamageRatio)})
		}
	}
	b.judgeTime(r, "stream", byStream, byDriver, maxCurveDriver)
	b.judgeTime(r, "auto where it cannot join", bySingle, byStream, maxAutoOfStream)
}

func (b *bench) curveOfColumns(ctx context.Context) error {
	var turns []rounds
	for _, columns := range curveWidths() {
		tasks, err := b.curveTasks(ctx, b.curveMiddle(), columns)
		if err != nil {
			return err
		}
		r, err := b.rounds(ctx, b.pairs, tasks...)
		if err == nil {
			err = r.allEqual(0)
		}
		if err != nil {
			return err
		}
		turns = append(turns, r)
	}
	b.addCurve("Columns, "+grouped(b.curveMiddle())+" rows", "columns", curveWidths(), turns)
	return nil
}

// addCurve adds tables of all contestants by size.
func (b *bench) addCurve(title, unit string, sizes []int, turns []rounds) {
	for _, figure := range []struct {
		name string
		of   func(r rounds, i int) string
	}{
		{"time", func(r rounds, i int) string { return brief(r.seconds(i)) }},
		{"CPU time", func(r rounds, i int) string { return brief(r.cpu(i)) }},
		{"peak memory", func(r rounds, i int) string { return mib(r.peak(i)) }},
	} {
		headings := []string{figure.name}
		for _, n := range sizes {
			headings = append(headings, grouped(n)+" "+unit)
		}
		if unit == "columns" {
			headings[1] = "1 column"
		}
		var cells [][]string
		for _, name := range append(curveContestants(), bySingle) {
			if row := curveRow(name, turns, figure.of); row != nil {
				cells = append(cells, row)
			}
		}
		b.addSection(title+": "+figure.name, headings, cells)
	}
}

// curveRow is a contestant's row of a table, nil when it is in none of the turns and
// need not be.
func curveRow(name string, turns []rounds, figure func(r rounds, i int) string) []string {
	row := []string{name}
	ran := false
	for _, r := range turns {
		i := r.of(name)
		if i < 0 {
			row = append(row, "–")
			continue
		}
		ran = true
		row = append(row, figure(r, i))
	}
	if ran {
		return row
	}
	for _, p := range missingPeers() {
		if p.name == name {
			row[1] = p.missing()
			return row
		}
	}
	return nil
}

// cpu is the median of a task's CPU times.
func (r rounds) cpu(task int) float64 {
	return median(r.results[task], func(x result) float64 { return x.CPU })
}

// brief writes a time that may be short.
func brief(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.3g ms", 1000*s)
	}
	return seconds(s)
}
