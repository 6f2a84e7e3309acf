package mirrortest

import (
	"math"
	"strings"
)

// valueTraps are about one value, besides times.
func valueTraps() []trap {
	rep := strings.Repeat
	minusZero := math.Copysign(0, -1)

	text := []two{
		{"株", "式"}, {"株", "?"}, {"ÿ", "?"}, {"\u00e9", "e\u0301"}, {"\u00c5", "\u212b"}, {"\U0001F600", "\U0001F601"},
		{"\U0001F600", "\ufffd"}, {"İ", "I"}, {"ı", "i"}, {"ß", "ss"}, {"ß", "\u1e9e"}, {"ﬁ", "fi"}, {"か", "カ"}, {"\uff41", "a"},
		{"a\u00adb", "ab"}, {"a\u200bb", "ab"}, {"σ", "ς"}, {"é", "e"}, {"Æ", "AE"},
	}

	return []trap{
		{
			name:   "float bits",
			reason: "as text a float keeps 6 digits, and 0 = -0",
			pairs: concat(
				differ("float", two{0.0, minusZero}, two{0.1, math.Nextafter(0.1, 1)}, two{1.0, math.Nextafter(1, 2)}, two{1e300, math.Nextafter(1e300, math.Inf(1))},
					two{-1e-300, math.Nextafter(-1e-300, 0)}, two{float64(1 << 53), float64(1<<53 + 2)}, two{0.0, nil}, two{1234567.0, 1234567.5}),
				differ("real", two{float32(0.1), math.Nextafter32(0.1, 1)}, two{float32(0), float32(minusZero)}, two{float32(16777215), float32(16777216)})),
		},
		{
			name:   "float keys",
			reason: "0 and -0 are one key, and yet not the same",
			pairs: concat(without("float", 0.1, math.Nextafter(0.1, 1), -0.1, 1e300, -1e300, 0.0),
				[]pair{identical(keys("float", minusZero)), {source: keys("float", 0.0), mirror: keys("float", minusZero), want: []diff{changed(0.0, "k")}}}),
		},
		{
			name:   "integers at their limits",
			reason: "as floats 2^53 and 2^53 + 1 are one number, and a hash of 32 bits knows no bigint",
			pairs: concat(
				differ("bigint", two{int64(math.MaxInt64), int64(math.MaxInt64 - 1)}, two{int64(math.MinInt64), int64(math.MinInt64 + 1)},
					two{int64(math.MinInt64), int64(math.MaxInt64)}, two{int64(1 << 53), int64(1<<53 + 1)}, two{int64(1 << 32), 0}, two{-1, int64(math.MaxUint32)}, two{0, nil}),
				differ("int", two{math.MaxInt32, math.MinInt32}, two{math.MaxInt32, math.MaxInt32 - 1}, two{-1, 0}, two{-1, 1}),
				differ("smallint", two{math.MaxInt16, math.MinInt16}, two{-1, 255}),
				differ("tinyint", two{255, 0}, two{128, 127}, two{0, nil}),
				without("bigint", int64(math.MinInt64), int64(math.MinInt64+1), -1, 0, int64(1<<53), int64(1<<53+1), int64(math.MaxInt64-1), int64(math.MaxInt64)),
				without("tinyint", 0, 127, 128, 255)),
		},
		{
			name:   "decimals that differ in the last digit",
			reason: "a float holds 15 digits of the 38",
			pairs: concat(
				differ("decimal(19,0)", two{"9223372036854775807", "9223372036854775808"}, two{"9999999999999999999", "9999999999999999998"}),
				differ("decimal(38,0)", two{rep("9", 38), rep("9", 37) + "8"}, two{"-" + rep("9", 38), rep("9", 38)}, two{"0", nil}),
				differ("decimal(38,38)", two{"0." + rep("9", 38), "0." + rep("9", 37) + "8"}, two{"0." + rep("0", 37) + "1", "0"}),
				differ("decimal(38,10)", two{"1234567890123456789012345678.0000000001", "1234567890123456789012345678.0000000002"}),
				differ("money", two{"922337203685477.5807", "922337203685477.5806"}, two{"-0.0001", "0.0001"}),
				without("decimal(20,3)", "-10.500", "-9.000", "0.000", "0.001", "9.500", "10.000", "12345678901234567.123", "12345678901234567.124")),
		},
		{
			name:   "decimals of two scales",
			reason: "as text 1.5 and 1.50 differ, as floats numbers that differ are equal",
			loose:  true,
			pairs: concat(
				[]pair{
					alike("decimal(9,1)", "decimal(9,2)", two{"1.5", "1.50"}, two{"-0.1", "-0.10"}, two{"0.0", "0.00"}, two{"10", "10"}, two{nil, nil}),
					alike("decimal(38,0)", "decimal(19,0)", two{"9999999999999999999", "9999999999999999999"}),
					alike("money", "decimal(38,10)", two{"922337203685477.5807", "922337203685477.5807"}),
				},
				differing("decimal(9,1)", "decimal(9,2)", two{"1.5", "1.51"}, two{"1.5", "-1.50"}, two{"0.0", nil}),
				differing("decimal(38,0)", "decimal(38,2)", two{rep("9", 36), rep("9", 35) + "8.99"}),
				differing("decimal(19,4)", "decimal(38,18)", two{"123456789012345.6789", "123456789012345.678900000000000001"})),
		},
		{
			name:   "NULL, empty and blank",
			reason: "NULL = '' for a digest that joins texts, '' = ' ' for SQL Server, and a word for NULL can be data",
			pairs: concat(
				differ("nvarchar(20)", two{nil, ""}, two{"", " "}, two{" ", "  "}, two{nil, " "}, two{nil, "NULL"}, two{nil, "<null>"}, two{"a", "a "}, two{"a", " a"}, two{nil, "0"}),
				differ("varchar(20)", two{nil, ""}, two{"", " "}, two{"a", "a "}),
				differ("nvarchar(max)", two{nil, ""}, two{"", " "}, two{"a", "a "}),
				differ("varbinary(20)", two{nil, []byte{}}, two{[]byte{}, []byte{0}}, two{[]byte{1}, []byte{1, 0}}, two{[]byte{' '}, []byte{}}),
				differ("varbinary(max)", two{nil, []byte{}}, two{[]byte{1}, []byte{1, 0}})),
		},
		{
			name:   "bit",
			reason: "NULL is neither true nor false",
			pairs:  differ("bit", two{nil, false}, two{true, false}, two{nil, true}),
		},
		{
			name:   "text that only looks alike",
			reason: "a code page turns what it lacks into '?', and collations fold case, width, accents and combining characters",
			pairs:  concat(differ("nvarchar(20)", text...), differ("nvarchar(max)", text[:6]...)),
		},
		{
			name:   "text that differs in case",
			reason: "'A' = 'a' in SQL",
			pairs:  concat(differ("nvarchar(20)", two{"abc", "ABC"}, two{"å", "Å"}), differ("varchar(20)", two{"abc", "aBc"})),
		},
		{
			name:   "differences beyond 8,000 bytes",
			reason: "HASHBYTES of older servers takes 8,000 bytes, and CHECKSUM cuts text at 255 and leaves text, image and xml out",
			pairs: concat(
				differ("nvarchar(max)", two{rep("x", 9000) + "a", rep("x", 9000) + "b"}, two{rep("x", 9000), rep("x", 9001)}, two{rep("å", 4000) + "a", rep("å", 4000) + "b"},
					two{rep("x", 300) + "a", rep("x", 300) + "b"}, two{rep("x", 100_000) + "a", rep("x", 100_000) + "b"}, two{rep("x", 9000), rep("x", 9000) + " "}),
				differ("varchar(max)", two{rep("x", 9000) + "a", rep("x", 9000) + "A"}),
				differ("text", two{rep("x", 9000) + "a", rep("x", 9000) + "b"}, two{"a", "b"}, two{nil, ""}),
				differ("ntext", two{rep("x", 9000) + "株", rep("x", 9000) + "式"}, two{"a", "b"}),
				differ("xml", two{"<a>" + rep("x", 9000) + "a</a>", "<a>" + rep("x", 9000) + "b</a>"}, two{"<a/>", "<b/>"}),
				differ("image", two{append(make([]byte, 9000), 1), append(make([]byte, 9000), 2)}, two{[]byte{1}, []byte{2}}),
				differ("varbinary(max)", two{append(make([]byte, 9000), 1), append(make([]byte, 9000), 2)}, two{make([]byte, 9000), make([]byte, 9001)},
					two{append(make([]byte, 100_000), 1), append(make([]byte, 100_000), 2)})),
		},
		{
			name:   "keys with a long equal prefix",
			reason: "a key that is cut, in a sample or an index, is another key",
			pairs: concat(without("nvarchar(400)", rep("x", 399)+"a", rep("x", 399)+"b", rep("x", 399)+"C", rep("x", 398)),
				without("varbinary(400)", append(make([]byte, 399), 1), append(make([]byte, 399), 2))),
		},
	}
}
