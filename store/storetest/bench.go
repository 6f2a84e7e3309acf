package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

const benchRows = 100_000

// Bench measures reading 100,000 rows of a number, a text, a time and an
// amount: in key order, and in none, and by digests of 1,000 rows where the
// Store is a Digester. It reports rows a second beside the allocations of
// reading them all.
func Bench(b *testing.B, open func(t testing.TB) store.Store) {
	st := open(b)
	def := table("bench", []string{"id"}, notNull("id", "int"), notNull("name", "nvarchar(100)"), notNull("registered", "datetime"), nullable("amount", "decimal(19,4)"))
	registered := at("2024-02-29T12:34:56Z")
	err := st.Update(b.Context(), func(tx store.Tx) error {
		if err := tx.Create(b.Context(), def); err != nil {
			return err
		}
		const chunk = 5000
		rows := make([]store.Row, chunk)
		for from := 0; from < benchRows; from += chunk {
			for i := range rows {
				id := from + i
				rows[i] = store.Row{id, fmt.Sprintf("Customer number %d of Ærøskøbing", id), registered, fmt.Sprintf("%d.25", id%10_000)}
			}
			if err := tx.Insert(b.Context(), def, def.ColumnNames(), rows); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(b, err)
	tab := findIn(b, st, "bench")
	for _, bm := range []struct {
		name string
		key  []string
	}{{"key-order", tab.Key}, {"no-order", nil}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			var rows int
			for b.Loop() {
				n := 0
				for batch, err := range st.Rows(b.Context(), store.Query{Table: tab, Key: bm.key}) {
					require.NoError(b, err)
					n += len(batch)
				}
				require.Equal(b, benchRows, n)
				rows += n
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	d, ok := st.(store.Digester)
	if !ok || noDigester(&env{src: st}) != "" {
		return
	}
	q := store.Query{Table: tab, Key: tab.Key}
	var cuts []store.Row
	digests, err := d.DigestEvery(b.Context(), q, 1000)
	require.NoError(b, err)
	for _, digest := range digests[1:] {
		cuts = append(cuts, digest.First)
	}
	for _, bm := range []struct {
		name   string
		digest func() ([]store.Digest, error)
	}{
		{"digest-every", func() ([]store.Digest, error) { return d.DigestEvery(b.Context(), q, 1000) }},
		{"digest-at", func() ([]store.Digest, error) { return d.DigestAt(b.Context(), q, cuts) }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			var rows int64
			for b.Loop() {
				digests, err := bm.digest()
				require.NoError(b, err)
				rows += total(digests)
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
