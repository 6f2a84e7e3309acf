package crm_test

import (
	"database/sql/driver"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/crm"
)

// TestEdges: each class of values that comparisons get wrong is there in
// 10,000 rows.
func TestEdges(t *testing.T) {
	opts := crm.Options{Contacts: 10_000, Counts: map[string]int{
		"sale": 10_000, "text": 10_000, "ej_message": 10_000, "binaryobject": 10_000,
	}}
	text := func(f func(s string) bool) func(driver.Value) bool {
		return func(v driver.Value) bool { s, ok := v.(string); return ok && f(s) }
	}
	date := func(layout string) func(driver.Value) bool {
		return func(v driver.Value) bool {
			x, ok := v.(time.Time)
			return ok && strings.HasPrefix(x.Format("2006-01-02 15:04:05.000"), layout)
		}
	}
	millis := func(ms int) func(driver.Value) bool {
		return func(v driver.Value) bool { x, ok := v.(time.Time); return ok && x.Nanosecond() == ms*1e6 }
	}
	float := func(want float64) func(driver.Value) bool {
		return func(v driver.Value) bool {
			x, ok := v.(float64)
			return ok && math.Float64bits(x) == math.Float64bits(want)
		}
	}
	size := func(want int) func(driver.Value) bool {
		return func(v driver.Value) bool { b, ok := v.([]byte); return ok && len(b) == want }
	}
	number := func(want int64) func(driver.Value) bool {
		return func(v driver.Value) bool { return v == want }
	}
	units := func(s string) int { return len(utf16.Encode([]rune(s))) }
	for _, c := range []struct {
		name, table, column string
		is                  func(driver.Value) bool
	}{
		{"NULL", "contact", "department", func(v driver.Value) bool { return v == nil }},
		{"empty string", "contact", "name", func(v driver.Value) bool { return v == "" }},
		{"apostrophe", "contact", "name", text(func(s string) bool { return strings.Contains(s, "O'") })},
		{"Nordic", "contact", "name", text(func(s string) bool { return strings.HasPrefix(s, "Ærlig Øl ") })},
		{"Polish", "contact", "name", text(func(s string) bool { return strings.Contains(s, "Łódź") })},
		{"Greek", "contact", "name", text(func(s string) bool { return strings.Contains(s, "Ελλάδα") })},
		{"Japanese", "contact", "name", text(func(s string) bool { return strings.Contains(s, "株式会社") })},
		{"surrogate pair", "contact", "name", text(func(s string) bool { return strings.Contains(s, "𝒳") })},
		{"emoji", "contact", "name", text(func(s string) bool { return strings.Contains(s, "🚀") })},
		{"trailing blank", "contact", "name", text(func(s string) bool { return strings.HasSuffix(s, " ") })},
		{"upper case", "contact", "name", text(func(s string) bool { return strings.HasPrefix(s, "ÆRLIG") })},
		{"lower case", "contact", "name", text(func(s string) bool { return strings.HasPrefix(s, "ærlig") })},
		{"full column", "contact", "name", text(func(s string) bool { return units(s) == 219 && strings.HasSuffix(s, "😀") })},
		{"full 4000", "text", "text", text(func(s string) bool { return units(s) == 4000 })},
		{"line break", "text", "text", text(func(s string) bool { return strings.Contains(s, "\r\n") })},
		{"10 kB", "ej_message", "body", text(func(s string) bool { return len(s) > 10_000 })},
		{"more than 8,000 bytes", "text", "html_text", text(func(s string) bool { return len(s) > 8000 })},
		{".000", "contact", "registered", millis(0)},
		{".003", "contact", "registered", millis(3)},
		{".007", "contact", "registered", millis(7)},
		{".997", "contact", "registered", millis(997)},
		{"leap day", "contact", "registered", date("2024-02-29")},
		{"first datetime", "contact", "registered", date("1753-01-01 00:00:00.000")},
		{"last datetime", "contact", "registered", date("9999-12-31 23:59:59.997")},
		{"no date", "contact", "dbi_last_modified", date("1760-01-01 00:00:00.000")},
		{"no date in a time stamp", "contact", "registered", date("1760-01-01 00:00:00.000")},
		{"before 1970", "contact", "registered", date("1969-12-31 23:59:59.997")},
		{"-0", "sale", "amount", float(math.Copysign(0, -1))},
		{"0", "sale", "amount", float(0)},
		{"0.1", "sale", "amount", float(0.1)},
		{"next to 0.3", "sale", "amount", float(math.Nextafter(0.3, 1))},
		{"1e-300", "sale", "amount", float(1e-300)},
		{"half", "sale", "amount", float(2.5)},
		{"largest float", "sale", "amount", float(math.MaxFloat64)},
		{"no bytes", "binaryobject", "binaryData", size(0)},
		{"one byte", "binaryobject", "binaryData", size(1)},
		{"8,001 bytes", "binaryobject", "binaryData", size(8001)},
		{"64 kB", "binaryobject", "binaryData", size(1 << 16)},
		{"false", "contact", "xstop", number(0)},
		{"true", "contact", "xstop", number(1)},
		{"no key", "sale", "project_id", number(0)},
		{"least smallint", "contact", "source", number(math.MinInt16)},
		{"greatest smallint", "contact", "source", number(math.MaxInt16)},
		{"greatest int", "ej_message", "time_spent", number(math.MaxInt32)},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, 10_000, opts.Rows(c.table))
			n := 0
			for v := range column(t, c.table, c.column, opts) {
				if c.is(v) {
					n++
				}
			}
			require.Positive(t, n)
			require.Less(t, n, 9999, "not everything")
		})
	}

	twins := func(name string, fold func(string) string) {
		t.Run(name, func(t *testing.T) {
			first, n := map[string]string{}, 0
			for v := range column(t, "contact", "name", opts) {
				s := v.(string)
				if other, ok := first[fold(s)]; !ok {
					first[fold(s)] = s
				} else if other != s {
					n++
				}
			}
			require.Greater(t, n, 10)
		})
	}
	twins("twins by case", strings.ToLower)
	twins("twins by blanks at the end", func(s string) string { return strings.TrimRight(s, " ") })
	t.Run("twins of the row before", func(t *testing.T) {
		var before string
		upper, lower, blank, blanks := 0, 0, 0, 0
		for v := range column(t, "contact", "name", opts) {
			s := v.(string)
			upper += btoi(s != before && s == strings.ToUpper(before))
			lower += btoi(s != before && s == strings.ToLower(before))
			blank += btoi(s == before+" ")
			blanks += btoi(strings.HasSuffix(s, "  "))
			before = s
		}
		for _, n := range []int{upper, lower, blank, blanks} {
			require.Greater(t, n, 10)
		}
	})
	t.Run("much has no date", func(t *testing.T) {
		none, all := 0, 0
		for v := range column(t, "appointment", "done", crm.Options{}) {
			none += btoi(v.(time.Time).Year() == 1760)
			all++
		}
		require.Greater(t, none, all/3)
	})
	t.Run("twins of their first 8,000 characters", func(t *testing.T) {
		heads, n := map[string]int{}, 0
		for v := range column(t, "ej_message", "body", opts) {
			if s, ok := v.(string); ok && len(s) > 8000 {
				heads[s[:8000]]++
				n++
			}
		}
		require.Greater(t, n, 10)
		require.Len(t, heads, 1)
	})
	t.Run("sizes are moderate", func(t *testing.T) {
		total := 0
		for v := range column(t, "binaryobject", "binaryData", crm.Options{Contacts: 1_000_000}) {
			b, _ := v.([]byte)
			total += len(b)
		}
		require.Less(t, total, 4<<20)
	})
	t.Run("Bool is 0 or 1", func(t *testing.T) {
		for v := range column(t, "appointment", "hasAlarm", opts) {
			require.Contains(t, []driver.Value{nil, int64(0), int64(1)}, v)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
