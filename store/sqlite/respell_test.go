package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

// respellings are expressions for other spellings of a column's values.
func respellings(typ store.Type) []string {
	const bare = "CASE WHEN %[1]s LIKE '%%.%%' THEN rtrim(rtrim(%[1]s, '0'), '.') ELSE %[1]s END"
	switch typ.Kind() {
	case store.KindDecimal:
		return []string{bare, "%[1]s || CASE WHEN %[1]s LIKE '%%.%%' THEN '0' ELSE '.0' END", "CASE WHEN %[1]s LIKE '-%%' THEN %[1]s ELSE '+' || %[1]s END",
			"CASE WHEN %[1]s LIKE '-%%' THEN %[1]s ELSE '00' || %[1]s END"}
	case store.KindTime:
		if typ.Name == "date" {
			return []string{"%[1]s || ' 00:00:00'", "%[1]s || 'T00:00:00.0Z'"}
		}
		return []string{bare, "replace(%[1]s, ' ', 'T')", "%[1]s || 'Z'", "replace(%[1]s, ' ', 'T') || 'Z'"}
	case store.KindTimeOfDay:
		return []string{bare, "%[1]s || '00'"}
	case store.KindTimeOffset:
		return []string{"replace(replace(%[1]s, ' +', '.00 +'), ' -', '.00 -')", "substr(%[1]s, 1, 10) || 'T' || substr(%[1]s, 12)"}
	case store.KindGUID:
		text := "substr(%[1]s,7,2)||substr(%[1]s,5,2)||substr(%[1]s,3,2)||substr(%[1]s,1,2)||'-'||substr(%[1]s,11,2)||substr(%[1]s,9,2)||'-'||" +
			"substr(%[1]s,15,2)||substr(%[1]s,13,2)||'-'||substr(%[1]s,17,4)||'-'||substr(%[1]s,21)"
		text = strings.ReplaceAll(text, "%[1]s", "hex(%[1]s)")
		return []string{text, "lower(" + text + ")"}
	default:
		return nil
	}
}

func respell(t *testing.T, st store.Store, table store.Table, r *rand.Rand) {
	t.Helper()
	for _, c := range table.Columns {
		ways := respellings(c.Type)
		if len(ways) == 0 || r.IntN(4) == 0 {
			continue
		}
		name := `"` + c.Name + `"`
		way := fmt.Sprintf(ways[r.IntN(len(ways))], name)
		// Some of the values, and the same ones whenever the test runs.
		_, err := st.(*sqlite.Store).DB().Exec(fmt.Sprintf(`UPDATE "%s" SET %s = %s WHERE (so_mirror_hash('g', %s) + %d) & 3 > 0`, table.Name, name, way, name, r.IntN(4)))
		require.NoError(t, err)
	}
}

// Whatever the spellings, a report is what brute force finds.
func TestPropertyOfSpellings(t *testing.T) {
	mirrortest.PropertyRespelled(t, open, 150, respell, nil)
}
