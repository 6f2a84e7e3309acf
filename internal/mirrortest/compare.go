package mirrortest

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// compare compares source with the store and demands that the counts add up.
func (t *env) compare(source store.Source, opts *mirror.CompareOptions) *mirror.Report {
	t.Helper()
	m := t.mirror(nil)
	r, err := m.Compare(t.Context(), source, opts)
	require.NoError(t, err)
	if opts == nil && joinable(t, source, t.store) {
		t.joins.add(oneReport(t, m, source, mirror.CompareOptions{Tuning: mirror.Tuning{DigestRows: 100}}))
	}
	for _, tr := range r.Tables {
		if tr.Verdict == mirror.VerdictDifferent && r.Depth == mirror.DepthRows {
			require.Equal(t, tr.SourceRows-tr.Missing, tr.MirrorRows-tr.Extra-tr.Duplicate, "counts of %s add up", tr.Table)
		}
	}
	return r
}

type counts struct{ missing, extra, changed, duplicate int64 }

func countsOf(tr *mirror.TableReport) counts {
	return counts{tr.Missing, tr.Extra, tr.Changed, tr.Duplicate}
}

func verdicts(r *mirror.Report) map[string]mirror.Verdict {
	m := map[string]mirror.Verdict{}
	for _, tr := range r.Tables {
		m[tr.Table] = tr.Verdict
	}
	return m
}

func steps(p *mirror.Plan) map[string]mirror.Step {
	m := map[string]mirror.Step{}
	for _, t := range p.Tables {
		m[t.Table] = t.Step
	}
	return m
}

func compareScenarios() []scenario {
	return slices.Concat(compareRowScenarios(), compareTableScenarios(), compareFailureScenarios(), compareAlikeScenarios(), tieScenarios())
}
