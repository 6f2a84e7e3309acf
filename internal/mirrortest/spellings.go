package mirrortest

import (
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// spelled is the SQL of a value of a row, which is stored as it stands there and
// not as the store would write it.
type spelled string

// insertSpelled inserts rows whose values are all integers, nil or spelled.
func (t *env) insertSpelled(store store.Store, tb table) {
	t.Helper()
	db, ok := store.(interface{ DB() *sqlx.DB })
	require.True(t, ok, "%T takes no SQL: skip the spellings with the reason", store)
	for _, row := range tb.rows {
		texts := make([]string, len(row))
		for i, v := range row {
			if texts[i] = fmt.Sprint(v); v == nil {
				texts[i] = "NULL"
			}
		}
		_, err := db.DB().ExecContext(t.Context(), fmt.Sprintf("INSERT INTO %s VALUES (%s)", tb.name, strings.Join(texts, ", ")))
		require.NoError(t, err)
	}
}

// isSpelled reports whether the rows hold values as SQL.
func (tb table) isSpelled() bool {
	for _, row := range tb.rows {
		for _, v := range row {
			if _, ok := v.(spelled); ok {
				return true
			}
		}
	}
	return false
}

// spelling is a value, as a report shows that of the source, and how two sides
// spell it.
type spelling struct {
	value          any
	source, mirror spelled
}

// respelled are pairs of tables of a type with these values in other spellings on
// either side: as values, as keys, and as keys one of which the mirror lacks.
// Every value differs from the next one.
func respelled(typ string, list ...spelling) []pair {
	var both []two
	var ofSource, ofMirror []any
	for _, s := range list {
		both = append(both, two{s.source, s.mirror})
		ofSource, ofMirror = append(ofSource, s.source), append(ofMirror, s.mirror)
	}
	pairs := []pair{alike(typ, typ, append(both, two{nil, nil})...), {source: keys(typ, ofSource...), mirror: keys(typ, ofMirror...)}}
	for i, s := range list {
		rest := append(append([]any{}, ofMirror[:i]...), ofMirror[i+1:]...)
		pairs = append(pairs, pair{source: keys(typ, ofSource...), mirror: keys(typ, rest...), want: []diff{missing(s.value)}})
		if i > 0 {
			pairs = append(pairs, differing(typ, typ, two{list[i-1].source, s.mirror})...)
		}
	}
	return pairs
}

// spellings are traps for stores that hold one value in several spellings.
func spellings() []trap {
	return []trap{
		{
			name:   "times with and without a fraction",
			reason: "as text '04:05:06' comes before '04:05:06.000', and a blank before a T",
			pairs: concat(
				respelled("datetime",
					spelling{utc("2026-02-03T04:05:06Z"), "'2026-02-03 04:05:06.000'", "'2026-02-03T04:05:06'"},
					spelling{utc("2026-02-03T04:05:06.003Z"), "'2026-02-03T04:05:06.003Z'", "'2026-02-03 04:05:06.003'"},
					spelling{utc("2026-02-03T05:00:00Z"), "'2026-02-03 05:00:00'", "'2026-02-03T05:00:00.0Z'"}),
				respelled("datetime2(3)",
					spelling{utc("2026-02-03T04:05:06.1Z"), "'2026-02-03T04:05:06.1'", "'2026-02-03 04:05:06.100'"},
					spelling{utc("2026-02-03T04:05:06.11Z"), "'2026-02-03 04:05:06.11'", "'2026-02-03T04:05:06.110Z'"},
					spelling{utc("2026-02-03T04:05:07Z"), "'2026-02-03 04:05:07'", "'2026-02-03 04:05:07Z'"}),
				respelled("smalldatetime",
					spelling{utc("2026-02-03T04:05:00Z"), "'2026-02-03T04:05:00'", "'2026-02-03 04:05:00.000'"},
					spelling{utc("2026-02-03T04:06:00Z"), "'2026-02-03 04:06:00'", "'2026-02-03 04:06:00Z'"}),
				respelled("time(3)",
					spelling{utc("0001-01-01T04:05:06Z"), "'04:05:06'", "'04:05:06.000'"},
					spelling{utc("0001-01-01T04:05:06.5Z"), "'04:05:06.500'", "'04:05:06.5'"})),
		},
		{
			name:   "instants with an offset",
			reason: "as text the fraction and the offset stand against each other, and a blank comes before a T",
			pairs: respelled("datetimeoffset(3)",
				spelling{utc("2026-02-03T04:05:06+02:00"), "'2026-02-03 02:05:06.000 +02:00'", "'2026-02-03T02:05:06 +02:00'"},
				spelling{utc("2026-02-03T03:05:06Z"), "'2026-02-03T03:05:06.0 +00:00'", "'2026-02-03 03:05:06 +00:00'"},
				spelling{utc("2026-02-03T01:05:06.5-02:00"), "'2026-02-03 03:05:06.5 -02:00'", "'2026-02-03 03:05:06.500 -02:00'"}),
		},
		{
			name:   "GUIDs as text",
			reason: "it is in one case or the other, and not in the order of the bytes",
			pairs: respelled("uniqueidentifier",
				spelling{"0A0B0C0D-0506-0708-090A-0B0C0D0E0F10", "'0a0b0c0d-0506-0708-090a-0b0c0d0e0f10'", "'0A0B0C0D-0506-0708-090A-0B0C0D0E0F10'"},
				spelling{"0D0C0B0A-0506-0708-090A-0B0C0D0E0F10", "x'0A0B0C0D06050807090A0B0C0D0E0F10'", "'0d0c0b0a-0506-0708-090a-0b0c0d0e0f10'"},
				spelling{"F0000000-0506-0708-090A-0B0C0D0E0F00", "'F0000000-0506-0708-090A-0B0C0D0E0F00'", "x'000000F006050807090A0B0C0D0E0F00'"}),
		},
		{
			name:   "decimals with and without zeros",
			reason: "as text 1.5 and 1.50 differ, and 10 comes before 9",
			pairs: respelled("decimal(9,2)",
				spelling{"-10.5", "'-10.5'", "'-10.50'"}, spelling{"-9", "'-9'", "'-09.00'"}, spelling{"0", "'0'", "'-0.00'"},
				spelling{"1.50", "'+1.50'", "'1.5'"}, spelling{"9.0", "'9.0'", "'9'"}, spelling{"10.00", "'10.00'", "'010'"}),
		},
		{
			name:   "values that are not of their type",
			reason: "one way of comparing takes them for values of the type, and another fails the table",
			pairs: concat(
				differ("datetime", two{spelled("1577836800"), spelled("'2020-01-01 00:00:00'")}, two{spelled("'2026-02-31'"), spelled("'2026-03-03'")}, two{spelled("''"), nil}),
				differ("bit", two{spelled("'true'"), spelled("1")}, two{spelled("2"), spelled("1")}),
				differ("decimal(9,2)", two{spelled("'1.5x'"), spelled("'1.5'")}, two{spelled("x'312e35'"), spelled("'1.5'")}),
				differ("uniqueidentifier", two{spelled("'no GUID'"), spelled("x'00'")}),
				differ("int", two{spelled("1.5"), spelled("1")}, two{spelled("'x'"), spelled("x'78'")}),
				differ("nvarchar(2)", two{spelled("'abc'"), spelled("'ab'")}, two{spelled("CAST(x'ff' AS TEXT)"), spelled("CAST(x'fe' AS TEXT)")})),
		},
	}
}
