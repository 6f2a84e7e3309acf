package mirrortest

import (
	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

// keyTraps are about which rows belong together.
func keyTraps() []trap {
	link := func(rows ...store.Row) table {
		return table{columns: []store.Column{notNull("a", "int"), col("v", "int"), notNull("b", "nvarchar(9)"), notNull("c", "int")},
			key: []string{"c", "b", "a"}, rows: rows}
	}
	links := []store.Row{{1, 0, "x", 3}, {2, 0, "x", 3}, {1, 0, "y", 2}, {3, 0, "B", 1}, {2, 0, "a", 1}, {1, 0, "x", 2}, {9, 0, "y", 1}}

	var words []any
	for _, a := range []string{"a", "B", "Z", "ä", "Å", "_", "-"} {
		for _, b := range []string{"a", "B", "c", "ä", "_", "-"} {
			for _, c := range []string{"z", "Y", "a-b", "ab", "é", "株"} {
				words = append(words, a+b+c)
			}
		}
	}
	skipped := append(append([]any{}, words[1:100]...), words[101:]...)

	return []trap{
		{
			name:   "text keys in the order of a collation",
			reason: "collations order 'a', 'B' and '-' differently, and two sides in two orders make missing and extra rows of equal ones",
			pairs: concat(
				without("nvarchar(20)", "a", "B", "Z", "ä", "Å", "_", "-", "a-b", "ab", "aC", "1", "10", "2", "é", "株", "\U0001F600", "\uffe0"),
				without("varchar(20)", "a", "B", "Z", "_", "-", "a-b", "ab")),
		},
		{
			name:   "ranges of text keys",
			reason: "a range that is cut at a key has other rows in another order",
			pairs: []pair{
				identical(keys("nvarchar(20)", words...)),
				{source: keys("nvarchar(20)", words...), mirror: keys("nvarchar(20)", skipped...), want: []diff{missing(words[0]), missing(words[100])}},
			},
		},
		{
			name:   "keys that differ in case",
			reason: "a mirror whose collation ignores case has one row for two of the source",
			pairs: concat(without("nvarchar(20)", "abc", "ABC", "aBc"),
				differentKeys("nvarchar(20)", two{"abc", "ABC"}, two{"ı", "I"}, two{"é", "É"}), differentKeys("varchar(20)", two{"abc", "Abc"})),
		},
		{
			name:   "keys that differ in a blank at the end, in one table",
			reason: "SQL compares 'a' and 'a ' as equal",
			pairs:  concat(without("nvarchar(20)", "a", "a ", "a  ", ""), without("varchar(20)", "a", "a ")),
		},
		{
			name:   "keys that differ in a blank at the end, one on either side",
			reason: "a mirror that pads keys, or cuts them, has another key and not a changed row",
			pairs:  concat(differentKeys("nvarchar(20)", two{"a", "a "}, two{"", " "}), differentKeys("varchar(20)", two{"a", "a "})),
		},
		{
			name:   "keys that differ in a zero at the end, in one table",
			reason: "SQL Server compares 0x01 and 0x0100 as equal",
			pairs:  without("varbinary(8)", []byte{1}, []byte{1, 0}, []byte{1, 0, 0}, []byte{}),
		},
		{
			name:   "keys that differ in a zero at the end, one on either side",
			reason: "SQL Server compares 0x01 and 0x0100 as equal",
			pairs:  differentKeys("varbinary(8)", two{[]byte{1}, []byte{1, 0}}, two{[]byte{}, []byte{0}}),
		},
		{
			name:   "keys that look alike",
			reason: "linguistic comparison takes different characters for one",
			pairs: differentKeys("nvarchar(20)", two{"\u00e9", "e\u0301"}, two{"ß", "ss"}, two{"İ", "I"}, two{"\uff41", "a"},
				two{"a\u200bb", "ab"}, two{"\U0001F600", "\U0001F601"}, two{"株", "式"}),
		},
		{
			name:   "GUID keys",
			reason: "SQL Server orders a uniqueidentifier by its last six bytes first, and the driver swaps the first eight",
			pairs: without("uniqueidentifier", "FF000000-0000-0000-0000-000000000000", "000000FF-0000-0000-0000-000000000000",
				"00000000-FF00-0000-0000-000000000000", "00000000-00FF-0000-0000-000000000000", "00000000-0000-FF00-0000-000000000000",
				"00000000-0000-0000-FF00-000000000000", "00000000-0000-0000-00FF-000000000000", "00000000-0000-0000-0000-FF0000000000",
				"00000000-0000-0000-0000-0000000000FF", "01020304-0506-0708-090A-0B0C0D0E0F10"),
		},
		{
			name:   "GUID values",
			reason: "the driver swaps bytes, and as text case does not count",
			pairs: differ("uniqueidentifier", two{"00000000-0000-0000-0000-000000000000", nil},
				two{"01020304-0506-0708-090A-0B0C0D0E0F10", "04030201-0605-0807-090A-0B0C0D0E0F10"}),
		},
		{
			name:   "composite keys whose order is not that of the columns",
			reason: "the key's order is key_ordinal, and a merge by the columns' order loses its way",
			pairs: []pair{
				identical(link(links...)),
				{source: link(links...), mirror: link(links[1:]...), want: []diff{missing(3, "x", 1)}},
				{source: link(links[:6]...), mirror: link(append(links[:5:5], store.Row{1, 5, "x", 2})...),
					want: []diff{{kind: mirror.DiffChanged, key: store.Row{2, "x", 1}, columns: []string{"v"}}}},
				{source: link(store.Row{1, 0, "x", 2}), mirror: link(store.Row{2, 0, "x", 1}), want: []diff{missing(2, "x", 1), extra(1, "x", 2)}},
			},
		},
	}
}
