package mirror_test

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

const halfPair = "\xed\xa0\x80" // U+D800 as three bytes, which is no UTF-8

// halves is a source with half a surrogate pair for each "#".
type halves struct{ *memory.Store }

func (h halves) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) {
		for batch, err := range h.Store.Rows(ctx, q) {
			for _, row := range batch {
				for i, v := range row {
					if text, ok := v.(string); ok {
						row[i] = strings.ReplaceAll(text, "#", halfPair)
					}
				}
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// TestHalfPairsInReports: text that is no UTF-8 differs from what is shown for it,
// and goes through a report's forms as it is, also where a value is cut.
func TestHalfPairsInReports(t *testing.T) {
	for _, n := range []int{0, 1018, 1020, 1021, 1022, 1023, 1024} {
		long := strings.Repeat("x", n)
		wide := func(text string) memory.Table {
			return memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(max)"}, Key: []string{"contact_id"}, Rows: []store.Row{{1, text}}}
		}
		source := halves{memory.New(wide(long + "#" + long))}
		report, err := newMirror(t, memory.New(wide(long+"\ufffd"+long)), nil).Compare(t.Context(), source, nil)
		require.NoError(t, err)
		tr := report.Table("contact")
		require.EqualValues(t, 1, tr.Changed, "%s", report)
		cell := tr.Samples[0].Columns[0].Source
		value := cell.Value.(string)
		require.True(t, strings.HasPrefix(long+halfPair+long, value), "%q", value)
		if n <= 1021 { // there is room for the whole of it
			require.Contains(t, value, halfPair)
		}

		data, err := json.Marshal(report)
		require.NoError(t, err)
		var back mirror.Report
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, value, back.Table("contact").Samples[0].Columns[0].Source.Value)
		if n == 0 {
			require.Contains(t, report.String(), `\xed\xa0\x80`)
		}
	}
}
