package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// measureCommand makes this program measure one task and print its result.
const measureCommand = "measure"

// task is one measurement.
type task struct {
	Contestant string `json:"contestant"`
	Rows       int    `json:"rows"`
	Source     string `json:"source,omitempty"` // file, or schema on the server
	Mirror     string `json:"mirror,omitempty"`
	Link       string `json:"link,omitempty"` // address of the slow link, for the source on the server
	Note       string `json:"-"`
	curveTask
}

func (t task) String() string { return strings.TrimSpace(t.Contestant + " " + t.Note) }

// result is what a measurement found.
type result struct {
	curveResult
	Seconds float64 `json:"seconds"`
	PeakMiB float64 `json:"peakMiB"`
	Changed int64   `json:"changed"`
	CPU     float64 `json:"-"` // seconds of all cores, start and end of the process included
	Bytes   int64   `json:"-"` // over the slow link
}

// measure carries a task out in this process.
func measure(ctx context.Context, arg string, w io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(arg), &t); err != nil {
		return fmt.Errorf("task: %w", err)
	}
	var r result
	var err error
	switch cmp.Or(t.Part, t.Contestant) {
	case curveFiles, curveServer, curveSince:
		err = measureCurve(ctx, t, &r)
	case "driver", "compare", "naive":
		err = measureFiles(ctx, t, &r)
	case "all tables", "check":
		err = measureReplica(ctx, t, &r)
	case string(mirror.StrategyStream), string(mirror.StrategyDigest):
		err = measureRemote(ctx, t, &r)
	default:
		err = fmt.Errorf("unknown contestant %q", t.Contestant)
	}
	if err != nil {
		return err
	}
	if r.PeakMiB == 0 {
		if r.PeakMiB, err = peakMiB("self"); err != nil {
			return err
		}
	}
	return json.NewEncoder(w).Encode(r)
}

func measureFiles(ctx context.Context, t task, r *result) error {
	source, err := sqlite.Open(ctx, t.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	mirrored, err := sqlite.Open(ctx, t.Mirror)
	if err != nil {
		return err
	}
	defer mirrored.Close()
	started := time.Now()
	defer func() { r.Seconds = time.Since(started).Seconds() }()
	switch t.Contestant {
	case "driver":
		return readBoth(ctx, source.DB(), mirrored.DB(), t.Rows)
	case "naive":
		r.Changed, err = compareNaively(ctx, source.DB(), mirrored.DB(), t.Rows)
		return err
	}
	r.Changed, err = compare(ctx, source, mirrored, &mirror.CompareOptions{Strategy: mirror.StrategyStream}, t.Rows)
	return err
}

// compare runs Compare and returns how many rows are changed.
func compare(ctx context.Context, source store.Source, mirrored store.Store, opts *mirror.CompareOptions, rows int) (int64, error) {
	report, err := compareTable(ctx, source, mirrored, opts, rows)
	if err != nil {
		return 0, err
	}
	return report.Tables[0].Changed, nil
}

// compareTable runs Compare of one table.
func compareTable(ctx context.Context, source store.Source, mirrored store.Store, opts *mirror.CompareOptions, rows int) (*mirror.Report, error) {
	m, err := mirror.New("Cust10195", mirrored, nil)
	if err != nil {
		return nil, err
	}
	report, err := m.Compare(ctx, source, opts)
	if err != nil {
		return nil, err
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	if len(report.Tables) != 1 {
		return nil, fmt.Errorf("%d tables were compared, not 1", len(report.Tables))
	}
	t := report.Tables[0]
	if t.SourceRows != int64(rows) || t.MirrorRows != int64(rows) || t.Missing+t.Extra+t.Duplicate+int64(len(t.Schema)+len(t.NotCompared)) > 0 {
		return nil, fmt.Errorf("unexpected report:\n%s", report)
	}
	return report, nil
}

// readBoth reads both sides at the same time below database/sql's Scan and
// throws the rows away: less than that nobody who compares can do.
func readBoth(ctx context.Context, source, mirrored *sqlx.DB, rows int) error {
	var wg sync.WaitGroup
	var errs [2]error
	for i, db := range []*sqlx.DB{source, mirrored} {
		wg.Go(func() {
			n, err := readAll(ctx, db, contactQuery())
			if err == nil && n != rows {
				err = fmt.Errorf("read %d rows, not %d", n, rows)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// contactQuery is the text that the store sends: times as text, in key order.
func contactQuery() string { return contactQueryOf(contactTable()) }

// contactQueryOf is the same for a table of another name.
func contactQueryOf(t store.Table) string {
	names := quotedColumns(t)
	for i, c := range t.Columns {
		if c.Type.Kind() == store.KindTime {
			names[i] = "+" + names[i]
		}
	}
	return fmt.Sprintf(`SELECT %s FROM "%s" ORDER BY %s`, strings.Join(names, ", "), t.Name, quotedColumns(t)[0])
}

func readAll(ctx context.Context, db *sqlx.DB, query string) (n int, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = conn.Raw(func(dc any) error {
		rows, err := dc.(driver.QueryerContext).QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		dest := make([]driver.Value, len(rows.Columns()))
		for err = rows.Next(dest); err == nil; err = rows.Next(dest) {
			n++
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
	return n, err
}

// peakMiB returns the greatest amount of memory that a process had at a time.
func peakMiB(pid string) (float64, error) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, fmt.Errorf("peak memory, which only Linux tells: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("peak memory: no VmHWM in /proc/self/status")
}

// start runs a task in a process of its own.
func start(ctx context.Context, t task) (result, error) {
	var r result
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	arg, err := json.Marshal(t)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, measureCommand, string(arg))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("%s of %s rows: %w: %s", t, grouped(t.Rows), err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return r, fmt.Errorf("result of %s: %w", t, err)
	}
	r.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return r, nil
}

// rounds are the results of tasks that took turns: by task, then by round.
type rounds struct {
	tasks   []task
	results [][]result
}

// rounds runs the tasks n times. Each round begins with another one, so that
// none is always the first.
func (b *bench) rounds(ctx context.Context, n int, tasks ...task) (rounds, error) {
	r := rounds{tasks: tasks, results: make([][]result, len(tasks))}
	for round := range n {
		for i := range tasks {
			i = (i + round) % len(tasks)
			got, err := start(ctx, tasks[i])
			if err != nil {
				return r, err
			}
			fmt.Fprintf(b.progress, "%s rows, round %d of %d, %s: %s, %s of CPU time, %s\n",
				grouped(tasks[i].Rows), round+1, n, tasks[i], seconds(got.Seconds), seconds(got.CPU), mib(got.PeakMiB))
			r.results[i] = append(r.results[i], got)
		}
	}
	return r, nil
}

// seconds is the median of a task's times.
func (r rounds) seconds(task int) float64 {
	return median(r.results[task], func(x result) float64 { return x.Seconds })
}

// peak is the greatest of a task's peaks: what must not be exceeded.
func (r rounds) peak(task int) float64 {
	peak := 0.0
	for _, x := range r.results[task] {
		peak = max(peak, x.PeakMiB)
	}
	return peak
}

// ratio is the median of the ratios of two tasks' times in each round, which a
// machine that is slow for a while does not move.
func (r rounds) ratio(task, other int) float64 {
	var ratios []float64
	for i, x := range r.results[task] {
		ratios = append(ratios, x.Seconds/r.results[other][i].Seconds)
	}
	return median(ratios, func(x float64) float64 { return x })
}

// changed is an error unless every run of a task found want rows.
func (r rounds) changed(task int, want int64) error {
	for _, x := range r.results[task] {
		if x.Changed != want {
			return fmt.Errorf("%s found %d changed rows, not %d", r.tasks[task], x.Changed, want)
		}
	}
	return nil
}

func median[T any](list []T, value func(T) float64) float64 {
	values := make([]float64, len(list))
	for i, x := range list {
		values[i] = value(x)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
