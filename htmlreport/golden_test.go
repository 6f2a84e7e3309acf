package htmlreport_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/internal/browsertest"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

var hash = regexp.MustCompile(`sha256-[^&]*`)

func TestGolden(t *testing.T) {
	r := small()
	plan := r.Plan()
	for name, write := range map[string]func(io.Writer) error{
		"compare":  func(w io.Writer) error { return htmlreport.WriteCompare(w, r, nil) },
		"plan":     func(w io.Writer) error { return htmlreport.WritePlan(w, plan, nil) },
		"validate": func(w io.Writer) error { return htmlreport.WriteValidation(w, validation()) },
		"heal": func(w io.Writer) error {
			return htmlreport.WriteHeal(w, &heal.Report{ContextID: customer, Started: noon, Finished: noon, Healed: true, Rounds: []heal.Round{{Report: r, Plan: plan, Receipt: receipt(plan), Wait: waited(plan)}}})
		},
		"fleet": func(w io.Writer) error {
			return htmlreport.WriteFleet(w, []fleet.Result{{ContextID: "Cust2", Report: r, Plan: plan}, {ContextID: "Cust1", Status: &mirror.Status{
				State: mirror.MirrorHasMetadata, Tables: []mirror.TableStatus{{Table: "sale", State: mirror.TableAbsent}, {Table: "contact", State: mirror.TableSynced}}}}}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b, again bytes.Buffer
			require.NoError(t, write(&b))
			require.NoError(t, write(&again))
			require.Equal(t, b.String(), again.String())
			// The style is the same on all of them, and read where it stands.
			css, err := os.ReadFile("style.css")
			require.NoError(t, err)
			require.Contains(t, b.String(), "<style>"+string(css)+"</style>")
			got := bytes.ReplaceAll(b.Bytes(), css, nil)
			got = hash.ReplaceAll(got, []byte("sha256-…"))

			path := filepath.Join("testdata", name+".golden.html")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(path, got, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err, "make it with: go test -run TestGolden -update")
			require.Equal(t, string(want), string(got), "if it is meant: go test -run TestGolden -update")
		})
	}
}

// TestEmpty writes what little there is.
func TestEmpty(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"compare":  func(w io.Writer) error { return htmlreport.WriteCompare(w, &mirror.Report{}, nil) },
		"plan":     func(w io.Writer) error { return htmlreport.WritePlan(w, &mirror.Plan{}, nil) },
		"heal":     func(w io.Writer) error { return htmlreport.WriteHeal(w, &heal.Report{}) },
		"rounds":   func(w io.Writer) error { return htmlreport.WriteHeal(w, &heal.Report{Rounds: []heal.Round{{}}}) },
		"validate": func(w io.Writer) error { return htmlreport.WriteValidation(w, &replica.Report{}) },
		"fleet":    func(w io.Writer) error { return htmlreport.WriteFleet(w, nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, write(&b))
			require.Contains(t, b.String(), "<h1")
		})
	}
}

// TestWriteFails passes on what the writer says.
func TestWriteFails(t *testing.T) {
	require.ErrorIs(t, htmlreport.WriteCompare(broken{}, small(), nil), os.ErrClosed)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

// large is a report of 300 tables and 10,000 differing rows.
func large() *mirror.Report {
	r := &mirror.Report{Version: 1, ContextID: customer, Depth: mirror.DepthRows, Started: noon, Finished: noon, State: mirror.MirrorHasMetadata, Scope: mirror.Scope{Tables: 300, Compared: 300}}
	for i := range 300 {
		t := mirror.TableReport{Table: fmt.Sprintf("table%03d", i), Verdict: mirror.VerdictIdentical, SourceRows: 10_000, MirrorRows: 10_000, Key: []string{"id"}, HasMetadata: true, MetadataRows: 1}
		cell := func(name string, v any) store.Cell { return store.Cell{Column: name, Value: v} }
		key := func(id int) []store.Cell { return []store.Cell{cell("id", int64(id))} }
		if i%3 == 0 {
			t.Verdict, t.Changed, t.Range = mirror.VerdictDifferent, 100, &mirror.KeyRange{First: key(1), Last: key(10_000)}
			for n := range 100 {
				at := float64(n) / 100
				d := mirror.Difference{Kind: mirror.DiffChanged, Rows: 1, Key: key(n * 100), State: mirror.DiffDiverged}
				t.Differences = append(t.Differences, d)
				d.Columns = []mirror.ChangedColumn{
					{Column: "name", Source: cell("name", fmt.Sprintf("Sørensen & Sønner %d AS", n)), Mirror: cell("name", fmt.Sprintf("Sorensen & Sønner %d", n))},
					{Column: "updatedCount", Source: cell("updatedCount", int64(n+1)), Mirror: cell("updatedCount", int64(n))},
				}
				t.Samples = append(t.Samples, d)
				if n%2 == 0 {
					t.Stretches = append(t.Stretches, mirror.Stretch{First: key(n * 100), Last: key(n*100 + 100), From: at, To: at + 0.01, Changed: 2})
				}
			}
		}
		r.Tables = append(r.Tables, t)
	}
	return r
}

// TestManyMembers bounds what a page of thousands of mirrors weighs.
func TestManyMembers(t *testing.T) {
	r := small()
	plan := r.Plan()
	results := make([]fleet.Result, 1100)
	for i := range results {
		results[i] = fleet.Result{ContextID: fmt.Sprintf("Cust%05d", i), Report: r, Plan: plan}
	}
	var html bytes.Buffer
	require.NoError(t, htmlreport.WriteFleet(&html, results, nil))
	require.Less(t, html.Len(), 5_000_000)
	require.Contains(t, html.String(), "1,100 mirrors need attention")
	require.Contains(t, html.String(), "and 100 more")
}

// TestLarge bounds what a page of 10,000 differences weighs, and what of it a browser
// lays out before somebody opens it.
func TestLarge(t *testing.T) {
	t.Parallel()
	var html bytes.Buffer
	require.NoError(t, htmlreport.WriteCompare(&html, large(), nil))
	require.Less(t, html.Len(), 10_000*800)
	t.Logf("%d bytes", html.Len())
	b := browsertest.New(t)
	b.Look(1280, 900, "light", "screen")
	b.Open(html.Bytes())
	t.Logf("loaded after %.0f ms", browsertest.Eval[float64](b, "performance.getEntriesByType('navigation')[0].loadEventEnd"))
	require.Equal(t, 10_000, browsertest.Eval[int](b, "document.querySelectorAll('.rows tbody').length"))
	require.Zero(t, browsertest.Eval[int](b, "[...document.querySelectorAll('.rows')].filter((r) => r.checkVisibility({contentVisibilityAuto: true})).length"), "closed")
	require.Less(t, browsertest.Eval[int](b, "[...document.querySelectorAll('.t summary')].filter((r) => r.checkVisibility({contentVisibilityAuto: true})).length"), 30, "out of sight")
	b.Quiet()
}
