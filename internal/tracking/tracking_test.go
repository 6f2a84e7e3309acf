package tracking

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// TestChangedKeysInPages: pages that are picked from many changes are those of the
// whole list, sorted, in which each key has the spelling of its last change.
func TestChangedKeysInPages(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tab := store.Table{Name: "t", Key: []string{"at"}, Columns: []store.Column{{Name: "at", Type: store.MustType("datetimeoffset(0)")}}}
	cols := KeyColumns(tab)
	noon := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	zones := []*time.Location{time.UTC, time.FixedZone("", 3600), time.FixedZone("", 7200), time.FixedZone("", -3600)}
	for range 2000 {
		log := New(1, 1)
		var done []change
		for range r.IntN(60) {
			at := noon.Add(time.Duration(r.IntN(20)) * time.Second).In(zones[r.IntN(len(zones))])
			log.Add([]Event{{Table: "T", Key: store.Row{at}, Deleted: r.IntN(2) == 0}})
			done = append(done, change{key: store.Row{at}, version: log.Version()})
		}
		since := int64(1 + r.IntN(10))
		done = slices.DeleteFunc(done, func(ch change) bool { return ch.version <= since })
		slices.SortFunc(done, func(a, b change) int {
			return cmp.Or(store.CompareKeys(cols, a.key, b.key), cmp.Compare(b.version, a.version))
		})
		done = slices.CompactFunc(done, func(a, b change) bool { return store.CompareKeys(cols, a.key, b.key) == 0 })

		n := 1 + r.IntN(8)
		var after store.Row
		for {
			page, err := log.ChangedKeys(tab, since, after, n)
			require.NoError(t, err)
			require.Len(t, page, min(n, len(done)))
			for i, key := range page {
				require.Equal(t, done[i].key, key)
			}
			done = done[len(page):]
			if len(page) < n {
				break
			}
			after = page[n-1]
		}
		require.Empty(t, done)
	}
}
