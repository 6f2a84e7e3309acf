package mirror_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// prepared is a store whose rows cost nothing to read.
type prepared struct {
	store.Store
	table   store.Table
	batches [][]store.Row
}

func prepare(rows int) prepared {
	literal := memory.Table{
		Name:    "contact",
		Columns: []string{"contact_id int", "name nvarchar(219)", "updated datetime", "logo varbinary(8)", "turnover decimal(19,4)"},
		Key:     []string{"contact_id"},
	}
	st := memory.New(literal)
	p := prepared{Store: st}
	p.table, _, _ = st.Table("contact")
	var batch []store.Row
	for i := range rows {
		batch = append(batch, store.Row{int64(i), fmt.Sprint("Company ", i), noon.Add(time.Duration(i) * time.Second), []byte{1, 2}, []byte("12.50")})
		if len(batch) == 250 {
			p.batches = append(p.batches, batch)
			batch = nil
		}
	}
	return p
}

func (p prepared) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	if q.Table.Name != "contact" {
		return p.Store.Rows(ctx, q)
	}
	return func(yield func([]store.Row, error) bool) {
		for _, batch := range p.batches {
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// Equal rows cost no allocation, however many there are.
func TestCompareAllocatesNothingPerEqualRow(t *testing.T) {
	allocations := func(rows int) float64 {
		source, store := prepare(rows), prepare(rows)
		m := newMirror(t, store, nil)
		return testing.AllocsPerRun(1, func() {
			report, err := m.Compare(context.Background(), source, nil)
			if err != nil || !report.Identical() || report.Tables[0].SourceRows != int64(rows) {
				panic(fmt.Sprint(err, report))
			}
		})
	}
	few, many := allocations(1_000), allocations(101_000)
	// The buffers grow a few more times.
	require.InDelta(t, few, many, 50, "100,000 rows more")
}
