package htmlreport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/internal/browsertest"
	"github.com/so-mirror/mirror/store"
)

// hostile are texts that a page must show and not follow.
var hostile = []string{
	`<script>window.hacked = 1</script>`, `"><img src=x onerror="window.hacked = 1">`, `' onmouseover='window.hacked = 1`,
	`</style></title></svg><script>window.hacked = 1</script>`, `javascript:window.hacked=1`, `{{.CSP}} {{template "page"}}`, `<!--`, `]]>`, `&lt;b&gt; &#x3c;`,
	"\u202egnp.exe\u2066\u2069", "a\x00b\x1b[31m\x7f", "\xff\xfe\xed\xa0\x80", strings.Repeat("W", 100_000), strings.Repeat("<a> \u202e", 12_500),
	strings.Repeat("e\u0301\u0327", 30_000), "\u200b\u2060\ufeff", `url(//example.com/x)`, "a\nb\r\n<c>", strings.Repeat("\u0488", 200),
}

// everywhere puts texts in turn into every text of a value's JSON form that is not one of
// a few.
func everywhere[T any](t *testing.T, v *T, evil func() string) *T {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var tree any
	require.NoError(t, json.Unmarshal(data, &tree))
	keep := map[string]bool{"type": true, "started": true, "finished": true, "time": true, "rechecked": true, "nextCycle": true, "asOf": true,
		"verdict": true, "step": true, "depth": true, "kind": true, "strategy": true, "state": true, "decision": true, "what": true}
	var walk func(key string, v any) any
	walk = func(key string, v any) any {
		switch v := v.(type) {
		case string:
			if keep[key] {
				return v
			}
			return evil()
		case []any:
			for i := range v {
				v[i] = walk(key, v[i])
			}
		case map[string]any:
			if v["type"] == "string" {
				v["value"] = evil()
			} else if v["type"] != nil && v["value"] != nil {
				v["type"], v["value"] = "string", evil()
			}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if k != "value" {
					v[k] = walk(k, v[k])
				}
			}
		}
		return v
	}
	data, err = json.Marshal(walk("", tree))
	require.NoError(t, err)
	out := new(T)
	require.NoError(t, json.Unmarshal(data, out))
	return out
}

// small is a report with all that a page can show, written by hand.
func small() *mirror.Report {
	cell := func(column string, v any) store.Cell { return store.Cell{Column: column, Value: v} }
	key := func(id int64) []store.Cell { return []store.Cell{cell("contact_id", id)} }
	lsn := store.LSN(4711)
	return &mirror.Report{
		Version: 1, ContextID: customer, Depth: mirror.DepthRows, Strategy: mirror.StrategyStream, Started: noon, Finished: noon.Add(9e9), State: mirror.MirrorHasMetadata,
		Source:          mirror.Side{Role: "customer", Identity: store.Identity{Engine: "SQL Server", Version: "16.0.4165", Server: "db-online-7.example", Database: "Cust10195", Schema: "crm7"}},
		Mirror:          mirror.Side{Role: "mirror", ContextID: customer, Identity: store.Identity{Engine: "SQLite", Database: "/var/lib/mirror/cust10195.db"}},
		SourceIsolation: "snapshot", MirrorIsolation: "read committed", Rechecked: noon.Add(1e12), Incomplete: true,
		Scope:    mirror.Scope{Tables: 12, Compared: 3, LeftOut: 1, SkipTables: []string{"email"}},
		Mistakes: []string{"the mirror lacks 4 of the 9 tables that its metadata table lists"}, Warnings: []string{"the source's change tracking cannot be read"},
		IgnoreColumns: []string{"contact.soundEx"}, LooseTypes: true, SourceIsCopy: true,
		Tables: []mirror.TableReport{
			{Table: "associate", Verdict: mirror.VerdictIdentical, SourceRows: 30, MirrorRows: 30},
			{Table: "contact", MirrorName: "dbo.contact", Verdict: mirror.VerdictDifferent, Warning: "nothing is known to be pending", LSN: &lsn, LSNState: mirror.LSNExpired,
				HasMetadata: true, MetadataRows: 1, RowBytes: 400, Key: []string{"contact_id"}, SourceRows: 1200, MirrorRows: 1102, Missing: 100, Extra: 1, Changed: 2, Duplicate: 1, Pending: 1, Diverged: 3,
				Strategy: mirror.StrategyStream, StrategyReason: "it was asked for",
				ChangedColumns: []mirror.ColumnCount{{Column: "name", Rows: 2}}, NotCompared: []mirror.Omission{{Column: "soundEx", Reason: "left out", Requested: true}, {Column: "version", Reason: "rowversion"}},
				Samples: []mirror.Difference{
					{Kind: mirror.DiffChanged, Key: key(7), Rows: 1, State: mirror.DiffPending, Columns: []mirror.ChangedColumn{{Column: "name", Source: cell("name", "Sørensen & Sønner"), Mirror: cell("name", "Sorensen & Sønner ")}}},
					{Kind: mirror.DiffChanged, Key: key(9), Rows: 1, Columns: []mirror.ChangedColumn{{Column: "name", Source: cell("name", nil), Mirror: cell("name", "NULL")}, {Column: "logo", Source: cell("logo", []byte{1, 2, 3}), Mirror: cell("logo", []byte{1, 2, 4})}}},
					{Kind: mirror.DiffExtra, Key: key(31), Rows: 1}, {Kind: mirror.DiffDuplicate, Key: key(32), Rows: 1, State: mirror.DiffDiverged},
					{Kind: mirror.DiffMissing, Key: key(1101), Rows: 1, State: mirror.DiffDiverged}, {Kind: mirror.DiffMissing, Key: key(1102), Rows: 1, State: mirror.DiffDiverged},
				},
				Differences: []mirror.Difference{
					{Kind: mirror.DiffChanged, Key: key(7), Rows: 1}, {Kind: mirror.DiffChanged, Key: key(9), Rows: 1}, {Kind: mirror.DiffExtra, Key: key(31), Rows: 1}, {Kind: mirror.DiffDuplicate, Key: key(32), Rows: 1},
					{Kind: mirror.DiffMissing, Key: key(1101), Rows: 1}, {Kind: mirror.DiffMissing, Key: key(1102), Rows: 1}, {Kind: mirror.DiffMissing, Key: key(1103), Rows: 1},
				},
				Range: &mirror.KeyRange{First: key(1), Last: key(1200)},
				Stretches: []mirror.Stretch{
					{First: key(7), Last: key(32), From: 0.005, To: 0.0267, Changed: 2, Extra: 1, Duplicate: 1, Pending: 1}, {First: key(1101), Last: key(1200), From: 0.917, To: 1, Missing: 100},
				}},
			{Table: "document", Verdict: mirror.VerdictUnfinished, Reason: "context canceled"},
			{Table: "project", MirrorName: "dbo.project", Verdict: mirror.VerdictSchemaDiffers, HasMetadata: true, MetadataRows: 2, SourceRows: 60, MirrorRows: 60, Key: []string{"project_id"},
				Schema: []mirror.SchemaDifference{{Column: "name", What: "type", Source: "nvarchar(219)", Mirror: "nvarchar(60)"}, {What: "primary key", Source: "project_id"}}},
			{Table: "sale", Verdict: mirror.VerdictMissing, HasMetadata: true, MetadataRows: 1, SourceRows: 480},
			{Table: "traveller", Verdict: mirror.VerdictNotMirrored, Reason: "never mirrored: Travel"},
		},
	}
}

// TestHostile shows what is hostile as text, wherever it comes from.
func TestHostile(t *testing.T) {
	t.Parallel()
	b := browsertest.New(t)
	b.Look(390, 900, "light", "screen")
	for turn := range 4 { // each text comes to stand in other places
		next := turn * 5
		evil := func() string {
			next++
			return hostile[next%len(hostile)]
		}
		r, plan := everywhere(t, small(), evil), everywhere(t, small().Plan(), evil)
		healed := &heal.Report{ContextID: evil(), Started: noon, Finished: noon, Stopped: evil(),
			Rounds: []heal.Round{{Report: r, Plan: plan, Receipt: everywhere(t, receipt(plan), evil), Wait: everywhere(t, waited(plan), evil)}}}
		fleet := []fleet.Result{{ContextID: evil(), Report: r, Plan: plan, Err: errors.New(evil())}, {ContextID: evil(), Err: errors.New(evil())}}
		for name, write := range map[string]func(io.Writer) error{
			"compare":  func(w io.Writer) error { return htmlreport.WriteCompare(w, r, plan) },
			"plan":     func(w io.Writer) error { return htmlreport.WritePlan(w, plan, r) },
			"heal":     func(w io.Writer) error { return htmlreport.WriteHeal(w, healed) },
			"validate": func(w io.Writer) error { return htmlreport.WriteValidation(w, everywhere(t, validation(), evil)) },
			"fleet":    func(w io.Writer) error { return htmlreport.WriteFleet(w, fleet, nil) },
		} {
			t.Run(fmt.Sprint(name, " ", turn), func(t *testing.T) {
				b := b.Of(t)
				var html bytes.Buffer
				require.NoError(t, write(&html))
				require.Less(t, html.Len(), 1_500_000, "what is too long is cut")
				b.Open(html.Bytes())
				b.Check("structure", name)
				b.Check("overflow", name)
				require.True(t, browsertest.Eval[bool](b, "window.hacked === undefined"))
				require.False(t, browsertest.Eval[bool](b, `/[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff\u0000]/.test(document.documentElement.textContent)`), "what steers text, or hides, is named")
				b.Quiet()
			})
		}
	}
	t.Run("is read as it was written", func(t *testing.T) {
		b := b.Of(t)
		var html bytes.Buffer
		require.NoError(t, htmlreport.WriteCompare(&html, everywhere(t, small(), func() string { return hostile[0] }), nil))
		b.Open(html.Bytes())
		for _, place := range []string{"article h3", ".rows td .v", ".eyebrow strong"} {
			require.Equal(t, hostile[0], browsertest.Eval[string](b, "document.querySelector('"+place+"').textContent"))
		}
	})
}
