package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	markdownFile = "BENCHMARKS.md"
	plotFile     = "benchmarks.svg"
)

// line is one line of the result.
type line struct {
	what    string
	rows    int
	other   string // what Compare is held against
	compare string
	ratio   string
	wanted  string
	verdict string
}

func (l line) cells() []string {
	return []string{l.what, grouped(l.rows), l.other, l.compare, l.ratio, l.wanted, l.verdict}
}

func headings() []string {
	return []string{"measurement", "rows", "against", "Compare", "ratio", "wanted", "result"}
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "missed"
}

// table is the result for a terminal.
func table(lines []line) string {
	return aligned(append([][]string{headings()}, cellsOf(lines)...), "  ")
}

func cellsOf(lines []line) [][]string {
	var all [][]string
	for _, l := range lines {
		all = append(all, l.cells())
	}
	return all
}

// aligned puts cells into columns.
func aligned(rows [][]string, gap string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 1 { // numbers of rows
				cell, pad = pad+cell, ""
			}
			line.WriteString(cell + pad + gap)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// grouped writes 1000000 as 1,000,000.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func seconds(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.1f s", s)
}

func mib(m float64) string { return grouped(int(m+0.5)) + " MiB" }

func megabytes(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// write writes the result into the root of the repository.
func (b *bench) write(ctx context.Context, root string) error {
	if len(b.series) > 0 {
		if err := os.WriteFile(filepath.Join(root, plotFile), plot(b.series), 0o644); err != nil {
			return err
		}
	}
	if err := b.writeCurves(root); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, markdownFile), b.markdown(machine(ctx)), 0o644)
}

// fact is something that the figures depend on.
type fact struct{ name, value string }

// machine describes what ran the measurements.
func machine(ctx context.Context) []fact {
	facts := []fact{
		{"date", time.Now().UTC().Format(time.DateOnly)},
		{"processor", fmt.Sprintf("%s, %d cores", field("/proc/cpuinfo", "model name"), runtime.NumCPU())},
		{"memory", memory(field("/proc/meminfo", "MemTotal"))},
		{"system", runtime.GOOS + "/" + runtime.GOARCH},
		{"Go", strings.TrimPrefix(runtime.Version(), "go")},
	}
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		facts = append(facts, fact{"commit", string(bytes.TrimSpace(out))})
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains([]string{"modernc.org/sqlite", "github.com/microsoft/go-mssqldb", "github.com/jmoiron/sqlx"}, m.Path) {
				facts = append(facts, fact{m.Path, m.Version})
			}
		}
	}
	facts = append(facts, peerFacts(ctx)...)
	if dsn := os.Getenv(dsnVariable); dsn != "" {
		if version, err := serverVersion(ctx, dsn); err == nil {
			facts = append(facts, fact{"server behind the slow link", version})
		}
	}
	return facts
}

// field returns the value of a line such as "MemTotal: 1024 kB".
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memory(kib string) string {
	n, err := strconv.ParseInt(strings.TrimSuffix(kib, " kB"), 10, 64)
	if err != nil {
		return kib
	}
	return fmt.Sprintf("%.1f GiB", gib(n<<10))
}

func (b *bench) markdown(facts []fact) []byte {
	var w bytes.Buffer
	fmt.Fprint(&w, "# Benchmarks\n\nWhat `Compare` costs, measured by `internal/bench` on the machine below.\n\n")
	writeTable(&w, headings(), cellsOf(b.lines))
	if len(b.series) > 0 {
		fmt.Fprintf(&w, "\n![time and peak memory against rows](%s)\n", plotFile)
	}
	b.curveMarkdown(&w)
	fmt.Fprint(&w, "\n## The machine\n\n")
	var cells [][]string
	for _, f := range facts {
		cells = append(cells, []string{f.name, f.value})
	}
	writeTable(&w, []string{"", ""}, cells)
	fmt.Fprintf(&w, `
## What is measured

The table is `+"`contact`"+` with its %[1]d columns and generated rows, which repeat after the
first million under other keys. Each measurement is a process of its own. The contestants take turns; times are the median of %[2]s, ratios the
median of the ratios of each round, peaks the greatest `+"`VmHWM`"+` of all rounds. Files are
in the system's cache when they are read.

- **driver** reads the same two SQLite files at the same time through the driver alone, below
  `+"`database/sql`"+`, and throws the rows away.
- **naive** is the program that one would write instead: `+"`sqlx.Select`"+` of one table after the
  other into slices of structs, a map by key, `+"`==`"+` of the structs.
- **differ** is a mirror in which one column was changed in rows that are spread evenly.
- **replica** is `+"`replica.Check`"+` of an old mirror and a replica of the newer client, %[7]d
  tables of very different sizes together, against reading all of them on both sides once.
- **slow link** is a SQL Server source behind a TCP proxy with %[3]d Mbit/s in each direction and
  a round trip of %[4]d ms; the mirror is a schema of the same server and not behind it. Bytes
  are those that TCP carries, both directions together. It runs once. The server was no SQL
  Server but Babelfish for PostgreSQL, with the local changes that
  [store/mssql/testdata](store/mssql/testdata/README.md) lists.

## Once more

    go run ./internal/bench -quick    # small tables, about a minute
    go run ./internal/bench -write    # this file

The databases stay in the directory that -dir names, %[5]s GB with the default sizes; -clean
removes them. The naive program needs 4 GB of memory. The slow link needs
`+"`%[6]s=sqlserver://...`"+` with a login that may create databases.
`, len(contactTable().Columns), counted(b.pairs, "round"), linkBitsPerSecond/1_000_000, 2*linkDelay.Milliseconds(), diskNeed, dsnVariable, replicaTables)
	return w.Bytes()
}

// diskNeed is what the databases of a whole run take, in GB.
const diskNeed = "6"

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func writeTable(w *bytes.Buffer, headings []string, rows [][]string) {
	row := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	row(headings)
	row(slices.Repeat([]string{"---"}, len(headings)))
	for _, cells := range rows {
		row(cells)
	}
}
