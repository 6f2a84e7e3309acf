package mirrortest

import (
	"math"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// compareAlikeScenarios are about values and keys that only look alike.
func compareAlikeScenarios() []scenario {
	var list []scenario
	for _, c := range []struct {
		name string
		typ  string
		a, b any
	}{
		{"case", "nvarchar(20)", "abc", "ABC"},
		{"trailing blank", "nvarchar(20)", "abc", "abc "},
		{"NULL and empty", "nvarchar(20)", nil, ""},
		{"empty and blank", "nvarchar(20)", "", " "},
		{"surrogates", "nvarchar(20)", "\U0001F600", "\U0001F601"},
		{"composed", "nvarchar(20)", "\u00e9", "e\u0301"},
		{"float bits", "float", 0.1, math.Nextafter(0.1, 1)},
		{"zeros", "float", 0.0, math.Copysign(0, -1)},
		{"datetime step", "datetime", day, day.Add(3 * time.Millisecond)},
		{"decimal", "decimal(38,10)", "1234567890123456789012345678.0000000001", "1234567890123456789012345678.0000000002"},
		{"bytes", "varbinary(10)", []byte{0}, []byte{0, 0}},
		{"NULL and no byte", "varbinary(10)", nil, []byte{}},
		{"offset", "datetimeoffset(0)", day.Truncate(time.Second), day.Truncate(time.Second).In(time.FixedZone("", 3600))},
		{"past 255", "nvarchar(max)", strings.Repeat("x", 9000) + "a", strings.Repeat("x", 9000) + "b"},
		{"no code page", "nvarchar(20)", "株", "式"},
	} {
		list = append(list, scenario{name: "values that only look alike, " + c.name, run: func(t *env) {
			value := func(v any) table {
				return table{name: "v", columns: []store.Column{notNull("id", "int"), col("v", c.typ)}, key: []string{"id"}, rows: []store.Row{{1, v}}}
			}
			t.load(t.store, value(c.a))
			require.Equal(t, mirror.VerdictIdentical, t.compare(t.source(value(c.a)), nil).Table("v").Verdict)
			require.Equal(t, counts{changed: 1}, countsOf(t.compare(t.source(value(c.b)), nil).Table("v")))
		}})
	}
	// SQL Server pads keys with blanks or zeros, so those differ by more.
	for _, c := range []struct {
		name string
		typ  string
		keys []any
	}{
		{"strings", "nvarchar(20)", []any{"a", "A", "á", "Z", "z", "", "\uFF21", "\U0001F600", "ß", "ss"}},
		{"bytes", "varbinary(8)", []any{[]byte{}, []byte{1}, []byte{1, 1}, []byte{0xff}, []byte("a")}},
		{"decimals", "decimal(20,3)", []any{"-10.5", "-9", "0", "0.001", "9.5", "10", "12345678901234567.123"}},
		{"GUIDs", "uniqueidentifier", []any{"00000000-0000-0000-0000-0000000000FF", "FF000000-0000-0000-0000-000000000000",
			"00000000-0000-0000-FF00-000000000000", "00000000-FF00-0000-0000-000000000001"}},
		{"times", "datetime", []any{day, day.Add(3 * time.Millisecond), day.AddDate(-200, 0, 0)}},
	} {
		list = append(list, scenario{name: "keys that only look alike, " + c.name, run: func(t *env) {
			keys := func(keys []any) table {
				tb := table{name: "k", columns: []store.Column{notNull("k", c.typ), col("v", "int")}, key: []string{"k"}}
				for i, k := range keys {
					tb.rows = append(tb.rows, store.Row{k, i})
				}
				return tb
			}
			t.load(t.store, keys(c.keys))
			tr := t.compare(t.source(keys(c.keys)), nil).Table("k")
			require.Equal(t, mirror.VerdictIdentical, tr.Verdict, tr.Reason)
			less := keys(c.keys)
			less.rows = less.rows[1:]
			require.Equal(t, counts{extra: 1}, countsOf(t.compare(t.source(less), nil).Table("k")))
		}})
	}
	return list
}
