package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// stopped is a clock that stands still.
type stopped struct{ at time.Time }

func (s stopped) Now() time.Time { return s.at }

func (s stopped) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// runAt runs mirrorctl at a fixed time, as wide as that, and returns its exit code and
// results.
func runAt(t *testing.T, width int, args ...string) (int, string) {
	t.Helper()
	var out, stderr bytes.Buffer
	a := &app{
		in: strings.NewReader(""), out: &out, err: &stderr, env: func(string) string { return "" },
		clock: stopped{time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)}, width: width,
	}
	code := a.run(t.Context(), append(args, "--state-dir", "state", "-q"))
	t.Log(stderr.String())
	return code, out.String()
}

// TestPages: what people read fits the width of their terminal.
func TestPages(t *testing.T) {
	golden, err := filepath.Abs(filepath.Join("testdata", "golden"))
	require.NoError(t, err)
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, makeWorld(t.Context(), dir, []string{"lost", "old"}))
	execute(t, dir, `UPDATE person SET firstname = 'Ingeborg Margarethe', lastname = 'with a'||char(9)||'tab, and a name that is longer than what fits into a column of a table, whatever the width' WHERE person_id IN (9, 10, 11, 12, 13, 14)`,
		`UPDATE person SET lastname = '日本語の名前' WHERE person_id = 8`, `DROP TABLE appointment`, `ALTER TABLE contact ADD COLUMN surplus int`)
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"compare", exitDiffers, []string{"compare", "--source", "customer.db", "--mirror", "mirror.db", "--save", "report.json"}},
		{"compare-count", exitDiffers, []string{"compare", "--source", "customer.db", "--mirror", "mirror.db", "--depth", "count"}},
		{"plan", exitDiffers, []string{"plan", "report.json", "--mirror", "mirror.db", "--save", "plan.json"}},
		{"apply", exitDone, []string{"apply", "plan.json", "--mirror", "mirror.db", "--context", "Cust1", "--dry-run"}},
		{"hard-reset", exitDone, []string{"hard-reset", "--mirror", "mirror.db", "--context", "Cust1", "--dry-run"}},
	} {
		for _, width := range []int{80, 120} {
			t.Run(fmt.Sprintf("%s-%d", c.name, width), func(t *testing.T) {
				code, page := runAt(t, width, c.args...)
				require.Equal(t, c.code, code)
				for line := range strings.Lines(page) {
					require.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), width, line)
				}
				path := filepath.Join(golden, fmt.Sprintf("%s-%d.txt", c.name, width))
				if *update {
					require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
				}
				want, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, string(want), page)
			})
		}
	}
}

// TestJudge: the exit code of a report, where several could be meant.
func TestJudge(t *testing.T) {
	table := func(name string, v mirror.Verdict) mirror.TableReport {
		return mirror.TableReport{Table: name, Verdict: v, HasMetadata: true, MetadataRows: 1, SourceRows: 1, MirrorRows: 1}
	}
	diverged := table("a", mirror.VerdictDifferent)
	diverged.Changed, diverged.Diverged = 1, 1
	unknown := table("b", mirror.VerdictDifferent)
	unknown.Changed = 1
	pending := table("c", mirror.VerdictPending)
	pending.Changed, pending.Pending = 1, 1
	failed := table("d", mirror.VerdictFailed)
	failed.Reason, failed.Err = "connection lost", errors.New("connection lost")
	unfinished := table("e", mirror.VerdictUnfinished)
	unfinished.Reason = "the time is up"
	incomparable := table("f", mirror.VerdictIncomparable)
	incomparable.Reason = "its values have no order"
	stray := table("g", mirror.VerdictExtra)
	stray.HasMetadata = false
	identical := table("h", mirror.VerdictIdentical)
	for _, c := range []struct {
		name   string
		code   int
		tables []mirror.TableReport
		change func(r *mirror.Report)
		says   string
	}{
		{"identical", exitDone, []mirror.TableReport{identical}, nil, "Cust1: identical, row by row, in 1 table."},
		{"diverged before pending and unknown", exitDiffers, []mirror.TableReport{diverged, unknown, pending, incomparable}, nil, "1 table differs, and no cycle repairs that: a."},
		{"unknown before pending", exitUnknown, []mirror.TableReport{unknown, pending, identical}, nil, "1 table differs, and whether a cycle brings that is not known yet: b."},
		{"pending before what cannot be compared", exitPending, []mirror.TableReport{pending, incomparable}, nil, "1 table differs, and the next cycle brings what is missing: c."},
		{"what cannot be compared", exitIncomplete, []mirror.TableReport{identical, incomparable}, nil, "nothing differs, but not everything could be compared"},
		{"a table of nobody", exitUnknown, []mirror.TableReport{identical, stray}, nil, "1 table differs, and whether"},
		{"unfinished before diverged", exitIncomplete, []mirror.TableReport{diverged, unfinished}, func(r *mirror.Report) { r.Incomplete = true }, "not everything was compared: it was stopped after 1 of 2 tables."},
		{"failed before unfinished", exitError, []mirror.TableReport{diverged, unfinished, failed}, nil, "1 table was not compared, because reading failed: d."},
		{"the wrong database before all", exitRefused, []mirror.TableReport{diverged, failed}, func(r *mirror.Report) { r.Mistakes = []string{"it is another one"} }, "do nothing by this result."},
		{"a replica", exitUnknown, []mirror.TableReport{unknown}, func(r *mirror.Report) { r.State = mirror.MirrorReplica }, "A replica is re-synchronized by the newer client's own program."},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &mirror.Report{Version: 1, ContextID: "Cust1", Depth: mirror.DepthRows, State: mirror.MirrorHasMetadata, Tables: c.tables}
			r.Scope.Tables, r.Scope.Compared = len(c.tables), 1
			if c.change != nil {
				c.change(r)
			}
			code, reason := judge(r, 0)
			require.Equal(t, c.code, code)
			require.Equal(t, code == exitRefused || code == exitError || code == exitIncomplete, reason != nil)
			a := &app{env: func(string) string { return "" }, width: 200}
			cmd := a.root()
			p := a.page()
			(&view{a: a, cmd: cmd, r: r, plan: r.Plan(), code: code, context: "Cust1"}).write(p)
			require.Contains(t, p.String(), c.says)
		})
	}
}
