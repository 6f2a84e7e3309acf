package htmlreport

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

func TestJudge(t *testing.T) {
	lsn := store.LSN(5)
	table := func(v mirror.Verdict) mirror.TableReport {
		return mirror.TableReport{Table: string(v), Verdict: v, HasMetadata: true, MetadataRows: 1, LSN: &lsn, SourceRows: 40, MirrorRows: 40, Key: []string{"id"}}
	}
	identical, pending, failed := table(mirror.VerdictIdentical), table(mirror.VerdictPending), table(mirror.VerdictFailed)
	pending.Changed, pending.Pending = 2, 2
	failed.Reason = "disk on fire"
	diverged, unknown, many := table(mirror.VerdictDifferent), table(mirror.VerdictDifferent), table(mirror.VerdictDifferent)
	diverged.Changed, diverged.Diverged, unknown.Missing, many.Changed, many.Diverged = 1, 1, 2, 39, 39
	reset := diverged
	reset.Table = "reset"
	hidden := mirror.TableReport{Table: "login", Verdict: mirror.VerdictNotMirrored, Reason: "never mirrored: sensitive"}
	for _, c := range []struct {
		name    string
		report  mirror.Report
		level   level
		verdict string
		next    string // the first words of the steps
	}{
		{"identical", mirror.Report{Tables: []mirror.TableReport{identical, hidden}}, good, "The mirror is identical to its source", "Nothing"},
		{"numbers of rows", mirror.Report{Depth: mirror.DepthCount, Tables: []mirror.TableReport{identical}}, good, "The numbers of rows are the same", "Nothing"},
		{"definitions", mirror.Report{Depth: mirror.DepthSchema, Tables: []mirror.TableReport{identical}}, good, "The columns and keys are the same", "Nothing"},
		{"pending", mirror.Report{Tables: []mirror.TableReport{identical, pending}}, waiting, "The mirror is behind, and the next cycle brings it up to date", "Wait"},
		{"different", mirror.Report{Tables: []mirror.TableReport{identical, diverged}}, bad, "The mirror differs from its source", "Reset"},
		{"not known yet", mirror.Report{Tables: []mirror.TableReport{unknown}}, unsure, "The mirror differs, and the next cycle may mend that", "Find out"},
		{"failed", mirror.Report{Tables: []mirror.TableReport{identical, failed}}, unsure, "Not everything was compared", "No reset"},
		{"different and failed", mirror.Report{Tables: []mirror.TableReport{diverged, failed}}, bad, "The mirror differs, and not all of it was compared", "Reset, No reset"},
		{"stopped", mirror.Report{Incomplete: true, Tables: []mirror.TableReport{identical}}, unsure, "Not everything was compared", "Resume"},
		{"too much", mirror.Report{Tables: []mirror.TableReport{many}}, bad, "The mirror differs from its source", "Make sure, Reset"},
		{"wrong database", mirror.Report{Mistakes: []string{"it is a mirror"}, Tables: []mirror.TableReport{diverged}}, bad, "This is hardly the right database", "Find out which"},
		{"nothing", mirror.Report{Tables: []mirror.TableReport{hidden}}, unsure, "No table was compared", "Nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.report
			if r.Depth == "" {
				r.Depth = mirror.DepthRows
			}
			p := comparePage(&r, nil)
			require.Equal(t, c.level, p.Level)
			require.Equal(t, c.verdict, p.Verdict)
			var firsts []string
			for _, step := range p.Next {
				words, _, _ := strings.Cut(regexp.MustCompile(`^<b>([^<]*)</b>.*|^(Nothing|Find out which).*`).ReplaceAllString(string(step), "$1$2"), "\n")
				firsts = append(firsts, words)
			}
			require.Equal(t, c.next, strings.Join(firsts, ", "))
		})
	}
	t.Run("columns left out", func(t *testing.T) {
		out := identical
		out.NotCompared = []mirror.Omission{{Column: "version", Reason: "rowversion"}}
		p := comparePage(&mirror.Report{Depth: mirror.DepthRows, Scope: mirror.Scope{LeftOut: 1}, Tables: []mirror.TableReport{out}}, nil)
		require.Equal(t, unsure, p.Level)
		require.Equal(t, "What was compared is identical, and columns were left out", p.Verdict)
		require.Contains(t, string(p.Next[0]), `<a href="#not-compared">`)
	})
}
