package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// TestDigestsFindTheChange: of two databases that differ in one row, exactly the
// ranges that hold the row have other digests, whatever the cuts and bounds, and
// the numbers of rows are those that Rows delivers.
func TestDigestsFindTheChange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		n := 1 + r.IntN(200)
		var script strings.Builder
		script.WriteString("CREATE TABLE t (a nvarchar(9), b int, v nvarchar(9), PRIMARY KEY (a, b)) WITHOUT ROWID; ")
		for i := range n {
			fmt.Fprintf(&script, "INSERT INTO t VALUES ('%c', %d, 'x%d'); ", "aAb "[i%4], i/4*3, r.IntN(5))
		}
		_, same := database(t, script.String())
		change := [...]string{"UPDATE t SET v = 'y' WHERE a = '%c' AND b = %d", "DELETE FROM t WHERE a = '%c' AND b = %d"}[round%2]
		victim := r.IntN(n)
		_, other := database(t, script.String()+fmt.Sprintf(change, "aAb "[victim%4], victim/4*3))
		tables, err := same.Tables(t.Context())
		require.NoError(t, err)
		q := store.Query{Table: tables[0], Key: tables[0].Key}
		key := tables[0].Columns[:2]
		random := func() store.Row { return store.Row{string("aAb "[r.IntN(4)]), int64(r.IntN(n))} }
		if r.IntN(2) == 0 {
			q.From = random()
		}
		if r.IntN(2) == 0 {
			q.Before = random()
		}
		var cuts []store.Row
		for range r.IntN(12) {
			cuts = append(cuts, random())
		}
		slices.SortFunc(cuts, func(a, b store.Row) int { return store.CompareKeys(key, a, b) })
		row := store.Row{string("aAb "[victim%4]), int64(victim / 4 * 3)}
		hit := len(slices.DeleteFunc(slices.Clone(cuts), func(c store.Row) bool { return store.CompareKeys(key, c, row) > 0 }))
		inside := (q.From == nil || store.CompareKeys(key, row, q.From) >= 0) && (q.Before == nil || store.CompareKeys(key, row, q.Before) < 0)

		a, err := same.(store.Digester).DigestAt(t.Context(), q, cuts)
		require.NoError(t, err)
		b, err := other.(store.Digester).DigestAt(t.Context(), q, cuts)
		require.NoError(t, err)
		require.Len(t, a, len(cuts)+1)
		counts := make([]int64, len(a))
		for batch, err := range same.Rows(t.Context(), q) {
			require.NoError(t, err)
			for _, got := range batch {
				counts[len(slices.DeleteFunc(slices.Clone(cuts), func(c store.Row) bool { return store.CompareKeys(key, c, got[:2]) > 0 }))]++
			}
		}
		for i := range a {
			require.Equal(t, counts[i], a[i].Rows, "rows of range %d", i)
			require.Equal(t, inside && i == hit, a[i].Sum != b[i].Sum, "round %d: range %d between %v, row %v", round, i, cuts, row)
		}
	}
}

// A text with a NUL is hashed to its end.
func TestDigestOfTextWithNUL(t *testing.T) {
	const create = "CREATE TABLE t (id int PRIMARY KEY, v nvarchar(9)); "
	sum := func(value string) string {
		_, st := database(t, create+"INSERT INTO t VALUES (1, "+value+")")
		tables, err := st.Tables(t.Context())
		require.NoError(t, err)
		digests, err := st.(store.Digester).DigestEvery(t.Context(), store.Query{Table: tables[0], Key: []string{"id"}}, 1)
		require.NoError(t, err)
		return digests[0].Sum
	}
	require.NotEqual(t, sum("'a' || char(0) || 'b'"), sum("'a' || char(0) || 'c'"))
	require.NotEqual(t, sum("'1'"), sum("x'31'"), "what is stored as bytes is not text")
}
