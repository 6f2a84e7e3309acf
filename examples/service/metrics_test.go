package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/so-mirror/mirror"
)

func TestMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		worlds := []*world{newWorld(t, "Cust1"), newWorld(t, "Cust2"), newWorld(t, "Cust3")}
		worlds[0].damage("contact", "name", 3)
		worlds[2].failOpen = lost
		b := serve(t, nil, worlds...)
		problems, err := testutil.GatherAndLint(b.metrics.registry)
		require.NoError(t, err)
		require.Empty(t, problems)
		series, err := testutil.GatherAndCount(b.metrics.registry)
		require.NoError(t, err)
		require.Less(t, series, 3*25)

		require.InDelta(t, 2, testutil.ToFloat64(b.metrics.tables.WithLabelValues("Cust2", "identical")), 0)
		require.InDelta(t, 0, testutil.ToFloat64(b.metrics.when.WithLabelValues("Cust3")), 0, "never")
		text := b.get("/metrics").Body.String()
		require.Contains(t, text, `mirror_stale_tables{mirror="Cust1"} 1`)
		require.Contains(t, text, `mirror_errors_total{mirror="Cust3",reason="connection"} 1`)
		require.Contains(t, text, `mirror_comparison_duration_seconds_count{rows="all"} 2`)
		require.NotContains(t, text, "contact", "no table is a label")
	})
}

// Every verdict and kind that there is has a series, so that one that is new is not left out.
func TestMetricsKnowAllVerdicts(t *testing.T) {
	var source []byte
	for _, name := range []string{"report.go", "verdict.go", "rows.go", "compare.go"} {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		require.NoError(t, err)
		source = append(source, data...)
	}
	for prefix, known := range map[string]int{"Verdict": len(verdicts), "Diff": len(kinds)} {
		kind := map[string]string{"Verdict": "Verdict", "Diff": "DiffKind"}[prefix]
		require.Len(t, regexp.MustCompile(`(?m)^\t`+prefix+`\w+ +`+kind+` +=`).FindAll(source, -1), known)
	}
	require.Contains(t, verdicts, mirror.VerdictDifferent)
}

// names are the metrics that there are, with their labels.
func names(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	descs := make(chan *prometheus.Desc, 100)
	newMetrics().registry.Describe(descs)
	close(descs)
	for d := range descs {
		m := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`).FindStringSubmatch(d.String())
		require.NotNil(t, m, d.String())
		found[m[1]] = strings.Split(m[2], ",")
	}
	require.Greater(t, len(found), 5)
	return found
}

var (
	metricName = regexp.MustCompile(`mirror_[a-z_]+`)
	labelNames = regexp.MustCompile(`by \(([^)]+)\)|\{\{([a-z]+)\}\}|\$labels\.([a-z]+)|([a-z]+)(?:=~|!~|!=|=)"`)
)

// requireKnown fails for an expression that names a metric or a label that is not there, and
// returns the names of the metrics.
func requireKnown(t *testing.T, expr string, others ...string) (used []string) {
	t.Helper()
	all := names(t)
	labels := []string{"le"}
	for _, name := range metricName.FindAllString(expr, -1) {
		name = strings.TrimSuffix(name, "_bucket")
		require.Contains(t, all, name, expr)
		used, labels = append(used, name), append(labels, all[name]...)
	}
	for _, text := range append(others, expr) {
		for _, m := range labelNames.FindAllStringSubmatch(text, -1) {
			for label := range strings.SplitSeq(strings.Join(m[1:], ""), ",") {
				require.Contains(t, labels, strings.TrimSpace(label), text)
			}
		}
	}
	return used
}

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	Targets     []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("grafana/dashboard.json")
	require.NoError(t, err)
	var d struct {
		Inputs        []struct{ Name, Type, PluginID string } `json:"__inputs"`
		ID            any
		UID, Title    string
		SchemaVersion int
		Templating    struct {
			List []struct {
				Name       string
				Datasource struct{ UID string }
				Query      struct{ Query string }
			}
		}
		Panels []panel
	}
	require.NoError(t, json.Unmarshal(data, &d))
	require.Equal(t, "DS_PROMETHEUS", d.Inputs[0].Name)
	require.Equal(t, "datasource", d.Inputs[0].Type)
	require.Nil(t, d.ID, "Grafana gives one")
	require.NotEmpty(t, d.UID)
	require.Greater(t, d.SchemaVersion, 30)
	const uid = "${DS_PROMETHEUS}"
	variables := []string{"$__rate_interval"}
	for _, v := range d.Templating.List {
		require.Equal(t, uid, v.Datasource.UID)
		requireKnown(t, v.Query.Query)
		variables = append(variables, "$"+v.Name)
	}
	used, taken, ids := map[string]bool{}, map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		require.NotEmpty(t, p.Title)
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.Equal(t, uid, p.Datasource.UID)
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], "%s lies over it", p.Title)
				taken[at] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			require.False(t, refs[q.RefID])
			refs[q.RefID] = true
			require.Equal(t, uid, q.Datasource.UID)
			for _, name := range requireKnown(t, q.Expr, q.LegendFormat) {
				used[name] = true
			}
			for _, v := range regexp.MustCompile(`\$\w+`).FindAllString(q.Expr, -1) {
				require.Contains(t, variables, v, q.Expr)
			}
		}
		require.NotEmpty(t, refs, p.Title)
	}
	for name := range names(t) {
		require.True(t, used[name], "no panel shows %s", name)
	}
}

func TestAlertRules(t *testing.T) {
	data, err := os.ReadFile("prometheus/rules.yml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &file))
	alerts := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			t.Run(r.Alert, func(t *testing.T) {
				require.False(t, alerts[r.Alert], "it is there twice")
				alerts[r.Alert] = true
				require.NotEmpty(t, requireKnown(t, r.Expr, r.Annotations["summary"], r.Annotations["description"]))
				require.Contains(t, []string{"warning", "critical"}, r.Labels["severity"])
				require.NotEmpty(t, r.Annotations["summary"])
				require.NotEmpty(t, r.Annotations["description"])
			})
		}
	}
	require.Len(t, alerts, 6)
	t.Run("promtool", func(t *testing.T) {
		promtool, err := exec.LookPath("promtool")
		if err != nil {
			t.Skip("promtool is not installed: it plays rules_test.yml")
		}
		for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}} {
			cmd := exec.CommandContext(t.Context(), promtool, args...)
			cmd.Dir = "prometheus"
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
	})
}

func TestReasons(t *testing.T) {
	require.Equal(t, "wrong_database", reason(fmt.Errorf("x: %w", mirror.ErrWrongDatabase)))
	require.Equal(t, "too_much", reason(&mirror.LimitError{}))
	require.Equal(t, "other", reason(os.ErrNotExist))
}

func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for name := range names(t) {
		require.Contains(t, string(readme), "`"+name, "it is not told of")
	}
	for _, name := range regexp.MustCompile("`(mirror_[a-z_]+)").FindAllStringSubmatch(string(readme), -1) {
		require.Contains(t, names(t), name[1])
	}
}
