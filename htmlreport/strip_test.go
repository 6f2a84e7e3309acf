package htmlreport

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

func TestStrip(t *testing.T) {
	key := func(id int) []store.Cell { return []store.Cell{{Column: "id", Value: int64(id)}} }
	// missing has a stretch of missing rows for each pair of keys, of 1 to 1,000.
	missing := func(keys ...int) (all []mirror.Stretch) {
		for i := 0; i < len(keys); i += 2 {
			from, to := keys[i], keys[i+1]
			all = append(all, mirror.Stretch{First: key(from), Last: key(to), From: float64(from-1) / 999, To: float64(to-1) / 999, Missing: int64(to - from + 1)})
		}
		return all
	}
	for _, c := range []struct {
		name      string
		strategy  mirror.Strategy
		stretches []mirror.Stretch
		where     string
		bars      []bar
	}{
		{"one row", mirror.StrategyStream, missing(500, 500), "at id 500", []bar{{"49.950%", "0.200%", 7, 7}}},
		{"the last row", mirror.StrategyStream, missing(1000, 1000), "at id 1000", []bar{{"99.800%", "0.200%", 7, 7}}},
		{"the end", mirror.StrategyStream, missing(901, 1000), "from id 901 to the end", []bar{{"90.090%", "9.910%", 3, 11}}},
		{"the end of a table that was digested", mirror.StrategyDigest, missing(901, 1000), "from id 901 to the end", []bar{{"90.090%", "9.910%", 3, 11}}},
		{"the beginning", mirror.StrategyStream, missing(1, 10), "from the beginning to id 10", []bar{{"0.000%", "0.901%", 5, 9}}},
		{"a hole", mirror.StrategyStream, missing(301, 400), "between id 301 and 400", []bar{{"30.030%", "9.910%", 3, 11}}},
		{"a hole of several stretches", mirror.StrategyStream, missing(301, 340, 345, 400), "between id 301 and 400", []bar{{"30.030%", "9.910%", 3, 11}}},
		{"everything", mirror.StrategyStream, missing(1, 1000), "across the whole range", []bar{{"0.000%", "100.000%", 0, 14}}},
		{"two places", mirror.StrategyStream, missing(10, 10, 500, 501), "in 2 places between id 10 and 501", []bar{{"0.901%", "0.200%", 7, 7}, {"49.950%", "0.200%", 7, 7}}},
		{"somewhere in a stretch", mirror.StrategyStream, []mirror.Stretch{{First: key(1), Last: key(10), To: 0.01, Missing: 1, Changed: 9}}, "between id 1 and 10", []bar{{"0.000%", "1.000%", 7, 7}}},
		{"nowhere", mirror.StrategyStream, []mirror.Stretch{{First: key(1), Last: key(1), From: math.NaN(), To: math.Inf(1), Missing: 1}}, "at id 1", []bar{{"0.000%", "100.000%", 7, 7}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stripOf(&mirror.TableReport{Table: "contact", Strategy: c.strategy, Range: &mirror.KeyRange{First: key(1), Last: key(1000)}, Stretches: c.stretches})
			require.Equal(t, "missing", s.Lanes[0].Kind.Name)
			require.Equal(t, c.bars, s.Lanes[0].Bars)
			require.Len(t, s.Stretches, len(c.bars))
			bare := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(s.where["missing"]), "")
			require.Equal(t, c.where, regexp.MustCompile(`&nbsp;`).ReplaceAllString(bare, " "))
			require.Regexp(t, `^Where rows of contact differ, from id=1 to id=1000\. missing: [\d,]+ rows? .*\.$`, s.Label)
		})
	}
	t.Run("each kind has its lane", func(t *testing.T) {
		s := stripOf(&mirror.TableReport{Range: &mirror.KeyRange{First: key(1), Last: key(9)}, Stretches: []mirror.Stretch{
			{First: key(1), Last: key(4), To: 0.4, Missing: 1, Extra: 2, Changed: 3, Duplicate: 4, Pending: 5}}})
		require.Len(t, s.Lanes, len(kinds))
		require.Equal(t, []string{"1", "2", "3", "4", "5"}, s.Stretches[0].Counts)
	})
	t.Run("the table's range is not known", func(t *testing.T) {
		table := &mirror.TableReport{Table: "contact", Verdict: mirror.VerdictDifferent, Strategy: mirror.StrategyJoin, Missing: 340, Stretches: missing(1, 340)}
		table.Stretches[0].To = 1
		s := stripOf(table)
		require.Equal(t, "Where rows of contact differ, from id=1 to id=340. The table may have other keys before and behind. missing: 340 rows between id=1 and id=340.", s.Label)
		require.Empty(t, s.Stretches[0].Place)
		var page strings.Builder
		require.NoError(t, WriteCompare(&page, &mirror.Report{Depth: mirror.DepthRows, Tables: []mirror.TableReport{*table}}, nil))
		require.Contains(t, page.String(), "from the first that differs to the last</span>")
		require.NotContains(t, page.String(), ">Place</th>")
	})
	t.Run("nothing is known", func(t *testing.T) {
		require.Nil(t, stripOf(&mirror.TableReport{Missing: 5}))
	})
}
