package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// customer makes ID.source.db and ID.mirror.db of the world that there is, and damages the
// mirror in the ways that are named.
func customer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: customer ID [DAMAGE ...]")
	}
	ts.Check(makeCustomer(context.Background(), ts.MkAbs("."), args[0], args[1:]))
}

func makeCustomer(ctx context.Context, dir, id string, damages []string) error {
	for from, to := range map[string]string{"customer.db": id + ".source.db", "mirror.db": id + ".mirror.db"} {
		data, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o600); err != nil {
			return err
		}
	}
	s, err := sqlite.Open(ctx, filepath.Join(dir, id+".mirror.db"))
	if err != nil {
		return err
	}
	defer s.Close()
	for _, d := range damages {
		if err := damage(ctx, s, d); err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
	}
	if id == "Cust1" {
		return nil
	}
	_, err = s.DB().ExecContext(ctx, fmt.Sprintf(`ALTER TABLE "Cust1_mirroring" RENAME TO "%s_mirroring"`, id))
	return err
}

// tookTime is how long a customer took, at the end of a line.
var tookTime = regexp.MustCompile(`(?m) +(<1s|(\d+m)?\d+s)$`)

// looks compares the output with a file of testdata/golden, but for how long things took.
func looks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: looks FILE")
	}
	path := filepath.Join("testdata", "golden", args[0])
	got := tookTime.ReplaceAllString(ts.ReadFile("stdout"), "     <1s")
	if *update {
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755)) //nolint:gosec // everybody may read it
		ts.Check(os.WriteFile(path, []byte(got), 0o644)) //nolint:gosec // everybody may read it
	}
	want, err := os.ReadFile(path)
	ts.Check(err)
	if string(want) != got {
		ts.Fatalf("not as in %s:\n%s", path, got)
	}
}

// The part of a fleet that a customer is in must never change: two versions of the
// program may share the work. These were computed by another program.
func TestShardsStay(t *testing.T) {
	for id, want := range map[string][3]int{ // of 2, 8 and 1000, from 0 on
		"Cust10195": {0, 2, 66}, "cust10195": {0, 2, 66}, "CUST1": {0, 4, 756}, "Cust2": {1, 7, 655}, "Cust3": {0, 2, 186}, "a": {0, 2, 250}, "Demo-7_x": {0, 2, 690},
	} {
		var got [3]int
		for i, of := range []int{2, 8, 1000} {
			for index := range of {
				if (shard{index, of}).has(id) {
					got[i] = index
				}
			}
		}
		require.Equal(t, want, got, id)
	}
}

// Every customer is in one part, and the parts are of about one size.
func TestShardsShare(t *testing.T) {
	sizes := make([]int, 8)
	for i := range 8000 {
		in := 0
		for index := range sizes {
			if (shard{index, len(sizes)}).has(fmt.Sprint("Cust", i)) {
				sizes[index]++
				in++
			}
		}
		require.Equal(t, 1, in)
	}
	for _, n := range sizes {
		require.InDelta(t, 1000, n, 100)
	}
}

func TestShardIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		flag string
		env  map[string]string
		want shard
		err  string
	}{
		"nothing":                 {want: shard{0, 1}},
		"a flag":                  {flag: "3/8", want: shard{2, 8}},
		"a job":                   {env: map[string]string{envJobIndex: "0", envShards: "4"}, want: shard{0, 4}},
		"a flag before a job":     {flag: "1/1", env: map[string]string{envJobIndex: "3", envShards: "4"}, want: shard{0, 1}},
		"a job of nobody knows":   {env: map[string]string{envJobIndex: "3"}, err: "JOB_COMPLETION_INDEX is set, so this is one of several: say of how many by MIRRORCTL_SHARDS, or which by --shard; --shard 1/1 is all of the fleet"},
		"nobody knows which":      {env: map[string]string{envShards: "3"}, err: "MIRRORCTL_SHARDS is set, but not which one this is: say it by JOB_COMPLETION_INDEX, from 0 on, or by --shard"},
		"a job beyond the last":   {env: map[string]string{envJobIndex: "4", envShards: "4"}, err: `JOB_COMPLETION_INDEX="4" and MIRRORCTL_SHARDS="4": want a number from 0 on, and one that is greater`},
		"a job that is no number": {env: map[string]string{envJobIndex: "x", envShards: "4"}, err: `JOB_COMPLETION_INDEX="x" and MIRRORCTL_SHARDS="4": want a number from 0 on, and one that is greater`},
		"the zeroth":              {flag: "0/8", err: `--shard "0/8": want such as 3/8, the third of eight`},
		"beyond the last":         {flag: "9/8", err: `--shard "9/8": want such as 3/8, the third of eight`},
		"no number":               {flag: "x/8", err: `--shard "x/8": want such as 3/8, the third of eight`},
		"one number":              {flag: "3", err: `--shard "3": want such as 3/8, the third of eight`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := configApp(c.env).shard(c.flag)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				require.Equal(t, exitUsage, codeOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// The manifest agrees with the program: its file is one, its arguments are understood, and
// there are as many parts as pods.
func TestKubernetes(t *testing.T) {
	data, err := os.ReadFile("kubernetes.yaml")
	require.NoError(t, err)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var file struct{ Data map[string]string }
	require.NoError(t, dec.Decode(&file))
	c, err := customers.Parse("fleet.yaml", []byte(file.Data["fleet.yaml"]))
	require.NoError(t, err)
	require.Len(t, c.Entries(), 3)

	var cron struct {
		Spec struct {
			JobTemplate struct {
				Spec struct {
					CompletionMode           string `yaml:"completionMode"`
					Completions, Parallelism int
					PodFailurePolicy         struct {
						Rules []struct {
							OnExitCodes struct{ Values []int } `yaml:"onExitCodes"`
						}
					} `yaml:"podFailurePolicy"`
					Template struct {
						Spec struct {
							Containers []struct {
								Args []string
								Env  []struct{ Name, Value string }
							}
						}
					}
				}
			} `yaml:"jobTemplate"`
		}
	}
	require.NoError(t, dec.Decode(&cron))
	job := cron.Spec.JobTemplate.Spec
	require.Equal(t, "Indexed", job.CompletionMode)
	require.NotContains(t, job.PodFailurePolicy.Rules[0].OnExitCodes.Values, exitError)
	container := job.Template.Spec.Containers[0]
	env := map[string]string{envJobIndex: fmt.Sprint(job.Completions - 1)}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	a := configApp(env)
	part, err := a.shard("")
	require.NoError(t, err)
	require.Equal(t, shard{job.Completions - 1, job.Completions}, part)

	cmd, rest, err := a.root().Find(container.Args)
	require.NoError(t, err)
	require.Equal(t, "mirrorctl fleet compare", cmd.CommandPath())
	require.NoError(t, cmd.ParseFlags(rest))
	require.True(t, a.flags.quiet)
	require.Equal(t, "/config/fleet.yaml", a.flags.config)
}

// Of two processes that carry out one plan, the second one finds that the mirror has moved.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, makeWorld(t.Context(), dir, []string{"old"}))
	plan := start(t, dir, "plan", "--source", "customer.db", "--mirror", "mirror.db", "--save", "plan.json")
	require.Equal(t, exitUnknown, plan.wait(), plan.said.String())
	apply := func(state string) *process {
		return start(t, dir, "apply", "plan.json", "--mirror", "mirror.db", "--context", "Cust1", "--unknown", "--confirm", "Cust1", "--state-dir", state)
	}
	both := []*process{apply("one"), apply("two")}
	var codes []int
	for _, p := range both {
		codes = append(codes, p.wait())
	}
	require.ElementsMatch(t, []int{exitDone, exitRefused}, codes, "%s%s", &both[0].said, &both[1].said)
}

func TestBusyIsRefused(t *testing.T) {
	require.Equal(t, exitRefused, codeOf(fmt.Errorf("apply: %w", store.ErrBusy)))
}

// Who ends a fleet is told how many customers were not looked at, in either form.
func TestFleetInterrupted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet.yaml")
	require.NoError(t, os.WriteFile(path, []byte("mirror: '{{context}}.db'\nmembers: [Cust1, Cust2]\n"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	run := func(args ...string) string {
		var out, errs bytes.Buffer
		a := &app{out: &out, err: &errs, env: func(string) string { return "" }, width: 80}
		require.Equal(t, exitIncomplete, a.run(ctx, append([]string{"fleet", "status", "--config", path}, args...)), &errs)
		return out.String()
	}
	require.Contains(t, run(), "2 customers: nothing was found out.\nWarning: interrupted: 2 customers not looked at.")
	document := run("-o", "json")
	require.Contains(t, document, `"notLookedAt": 2`)
	require.Contains(t, document, `"result": "not-looked-at"`)
}

// configApp is a run in an environment.
func configApp(env map[string]string) *app {
	return &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}, env: func(name string) string { return env[name] }}
}
