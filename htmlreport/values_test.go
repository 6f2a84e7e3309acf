package htmlreport

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// brief is HTML as these tests write it: [marked], <box>, {said}.
func brief(html string) string {
	for _, r := range []struct{ pattern, to string }{
		{`<bdi class="v">`, ""}, {`<mark>`, "["}, {`</mark>`, "]"}, {`<span class="box">([^<]*)</span>`, "‹$1›"},
		{`<span class="sp">([^<]*)</span>`, "$1"}, {`<span class="(?:cut|null)">([^<]*)</span>`, "{$1}"}, {`</bdi>`, ""},
	} {
		html = regexp.MustCompile(r.pattern).ReplaceAllString(html, r.to)
	}
	return html
}

func TestPair(t *testing.T) {
	long := strings.Repeat("x", 500)
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name           string
		source, mirror any
		left, right    string
	}{
		{"a letter", "Sørensen", "Sorensen", "S[ø]rensen", "S[o]rensen"},
		{"added at the end", "Ødegård-Berg", "Ødegård", "Ødegård[-Berg]", "Ødegård[]"},
		{"added at the beginning", "Berg", "Vold-Berg", "[]Berg", "[Vold-]Berg"},
		{"two words of many", "Call Kari on Monday at noon", "Call Ole on Friday at noon", "Call [Kari] on [Mon]day at noon", "Call [Ole] on [Fri]day at noon"},
		{"nothing in common", "Trainee", "山田", "[Trainee]", "[山田]"},
		{"only signs in common", "Renamed.docx", "Offer 2011.msg", "[Renamed.docx]", "[Offer 2011.msg]"},
		{"a blank at the end", "Berg ", "Berg", "Berg[␣]", "Berg[]"},
		{"two blanks for one", "a  b", "a b", "a␣[␣]b", "a []b"},
		{"a zero-width space", "ab\u200bc", "abc", "ab[‹zero-width space›]c", "ab[]c"},
		{"a direction", "abc\u202e", "abc", "abc[‹RLO›]", "abc[]"},
		{"a line feed", "a\nb", "a b", "a[‹line feed›\n]b", "a[␣]b"},
		{"NUL", "a\x00b", "ab", "a[‹NUL›]b", "a[]b"},
		{"not UTF-8", "a\xffb", "ab", "a[‹byte FF›]b", "a[]b"},
		{"a flag", "a🇳🇴", "a🇳🇪", "a[🇳🇴]", "a[🇳🇪]"},
		{"an accent of its own", "Nguy\u1ec5n", "Nguye\u0302\u0303n", "Nguy[\u1ec5]n {U+1EC5}", "Nguy[e\u0302\u0303]n {U+0065 U+0302 U+0303}"},
		{"another script", "Pаul", "Paul", "P[а]ul {U+0430}", "P[a]ul {U+0061}"},
		{"another hyphen", "A-1", "A‑1", "A[-]1 {U+002D}", "A[‑]1 {U+2011}"},
		{"another case", "straße", "STRASSE", "[straße]", "[STRASSE]"},
		{"NULL and its letters", nil, "NULL", "{NULL}", "NULL"},
		{"NULL and nothing", nil, "", "{NULL}", "{empty text}"},
		{"nothing and a blank", "", " ", "{empty text}", "[␣]"},
		{"markup", "<b>&amp;", "<i>&amp;", "&lt;[b]&gt;&amp;amp;", "&lt;[i]&gt;&amp;amp;"},
		{"numbers", int64(1985), int64(1959), "19[85]", "19[59]"},
		{"a number and its text", int64(5), "5", "5 {whole number}", "5 {text}"},
		{"times", at, at.Add(time.Second), "2026-11-27 12:00:0[0]", "2026-11-27 12:00:0[1]"},
		{"bytes", []byte{1, 0xab, 3}, []byte{1, 0xac, 3, 4}, "0x01[AB]03", "0x01[AC]03[04]"},
		{"no bytes", []byte{}, []byte{0}, "{no bytes}", "0x[00]"},
		{"far in bytes", []byte(strings.Repeat("\x00", 900) + "\x01"), []byte(strings.Repeat("\x00", 900) + "\x02"),
			"0x{892 bytes alike}0000000000000000[01]", "0x{892 bytes alike}0000000000000000[02]"},
		{"far in a text", long + "a" + long, long + "b" + long,
			"{440 bytes alike}" + long[:60] + "[a]" + long[:60] + "{440 bytes more}", "{440 bytes alike}" + long[:60] + "[b]" + long[:60] + "{440 bytes more}"},
		{"Arabic", "محمد", "محمود", "محم[]د", "محم[و]د"},
		{"a joiner of Persian", "می\u200cخواهم", "می\u200cخواهیم", "می\u200cخواه[]م", "می\u200cخواه[ی]م"},
		{"a family", "👨‍👩‍👧", "👨‍👩‍👦", "[👨‍👩‍👧]", "[👨‍👩‍👦]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			left, right := pair(store.Cell{Value: c.source}, store.Cell{Value: c.mirror})
			require.Equal(t, c.left, brief(string(left)))
			require.Equal(t, c.right, brief(string(right)))
		})
	}
}

func TestPairBeyondTheSample(t *testing.T) {
	cell := store.Cell{Value: strings.Repeat("x", 1024), Size: 5000}
	left, right := pair(cell, cell)
	require.Contains(t, string(left), "3,976 bytes more")
	require.Contains(t, string(right), "they differ in what is not shown")
}

// However long and different values are, a page has only so much of them.
func TestPairIsBounded(t *testing.T) {
	var a, b strings.Builder
	for range 20_000 {
		a.WriteString("<a> ")
		b.WriteString("\u202e&b ")
	}
	for _, c := range []struct{ source, mirror string }{
		{a.String(), b.String()}, {a.String(), ""}, {strings.Repeat("\x00", 100_000), strings.Repeat("\u202e", 100_000)},
		{strings.Repeat("ab ", 30_000), strings.Repeat("ac ", 30_000)},
	} {
		left, right := pair(store.Cell{Value: c.source}, store.Cell{Value: c.mirror})
		require.Less(t, len(left)+len(right), 40*maxText)
	}
}

func FuzzPair(f *testing.F) {
	f.Add("Sørensen", "Sorensen ")
	f.Add("a\x00\xff\u202e<", "\u200b&\"'")
	f.Fuzz(func(t *testing.T, a, b string) {
		left, right := pair(store.Cell{Value: a}, store.Cell{Value: b})
		for i, html := range []string{string(left), string(right)} {
			require.Equal(t, strings.Count(html, "<span"), strings.Count(html, "</span>"))
			require.Equal(t, strings.Count(html, "<mark>"), strings.Count(html, "</mark>"))
			bare := regexp.MustCompile(`</?(?:span|bdi)[^<>]*>|</?mark>`).ReplaceAllString(html, "")
			require.NotContains(t, bare, "<", []string{a, b}[i])
			require.False(t, strings.ContainsFunc(strings.ReplaceAll(html, "\n", ""), func(r rune) bool { return hidden(r) && r != 0x200c && r != 0x200d }), "%q", html)
		}
		if a != b {
			require.NotEqual(t, left, right)
		}
	})
}
