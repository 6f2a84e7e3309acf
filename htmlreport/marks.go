package htmlreport

import (
	"encoding/hex"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/so-mirror/mirror/store"
)

// maxWork bounds the product of the numbers of words that are held against each other.
// Longer texts are marked from the first difference to the last.
const maxWork = 250_000

// differ returns the parts of two texts that differ: words that the other does not have
// at that place, without the letters that they begin and end with alike.
func differ(a, b string) (am, bm []span) {
	if a == b {
		return nil, nil
	}
	at, bt := words(a), words(b)
	head := 0
	for head < min(len(at), len(bt)) && a[at[head].from:at[head].to] == b[bt[head].from:bt[head].to] {
		head++
	}
	tail := 0
	for tail < min(len(at), len(bt))-head && word(a, at, len(at)-1-tail) == word(b, bt, len(bt)-1-tail) {
		tail++
	}
	at, bt = at[head:len(at)-tail], bt[head:len(bt)-tail]
	add := func(x, y span) {
		x, y = trim(a, b, x, y)
		xs, ys := finer(a, b, x, y)
		am, bm = append(am, xs...), append(bm, ys...)
	}
	ends := func(s string, ws []span, all []span) span {
		if len(ws) > 0 {
			return span{ws[0].from, ws[len(ws)-1].to}
		}
		if head < len(all) {
			return span{all[head].from, all[head].from}
		}
		return span{len(s), len(s)}
	}
	if len(at) == 0 || len(bt) == 0 || len(at)*len(bt) > maxWork {
		add(ends(a, at, words(a)), ends(b, bt, words(b)))
		return am, bm
	}
	common := longest(a, b, at, bt)
	if !slices.ContainsFunc(common, func(c [2]int) bool { return strings.ContainsFunc(word(a, at, c[0]), isLetter) }) {
		common = nil // signs and blanks between other words say nothing
	}
	between(at, bt, common, add)
	return am, bm
}

// between calls add with the parts of both between those that they have in common.
func between(at, bt []span, common [][2]int, add func(x, y span)) {
	i, j := 0, 0
	for _, c := range append(common, [2]int{len(at), len(bt)}) {
		if i < c[0] || j < c[1] {
			add(part(at, i, c[0]), part(bt, j, c[1]))
		}
		i, j = c[0]+1, c[1]+1
	}
}

const maxFine = 64 // characters of a part that are held against each other

// finer returns the characters in which two parts differ, and the parts as they are where
// they have little in common, as marks of single letters in other words say nothing.
func finer(a, b string, x, y span) (xs, ys []span) {
	as, bs := clusters(a, x), clusters(b, y)
	if len(as) == 0 || len(bs) == 0 || len(as) > maxFine || len(bs) > maxFine {
		return []span{x}, []span{y}
	}
	common := longest(a, b, as, bs)
	if 10*len(common) < 6*max(len(as), len(bs)) {
		return []span{x}, []span{y}
	}
	between(as, bs, common, func(x, y span) { xs, ys = append(xs, x), append(ys, y) })
	return xs, ys
}

// codes names the characters of marks that can look the same on both sides: signs,
// letters of two scripts, and letters with accents of their own. It is "" where there
// are none.
func codes(a, b string, am, bm []span) (string, string) {
	var as, bs []string
	for i := range am {
		x, y := a[am[i].from:am[i].to], b[bm[i].from:bm[i].to]
		if alikes(x, y) {
			as, bs = append(as, code(x)), append(bs, code(y))
		}
	}
	return strings.Join(as, ", "), strings.Join(bs, ", ")
}

func alikes(x, y string) bool {
	if x == "" || y == "" || len(x) > 16 || len(y) > 16 || cluster(x) < len(x) || cluster(y) < len(y) {
		return false
	}
	r, _ := utf8.DecodeRuneInString(x)
	q, _ := utf8.DecodeRuneInString(y)
	sign := func(r rune) bool { return unicode.In(r, unicode.P, unicode.Sm, unicode.Sk) }
	accented := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.M, r) })
	}
	switch {
	case hidden(r) || hidden(q):
		return false // they are named
	case sign(r) && sign(q):
		return r > 0x7f || q > 0x7f
	case !unicode.IsLetter(r) || !unicode.IsLetter(q):
		return false
	}
	for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic} {
		if unicode.Is(script, r) != unicode.Is(script, q) {
			return true
		}
	}
	return accented(x) != accented(y)
}

func code(s string) string {
	var parts []string
	for _, r := range s {
		parts = append(parts, fmt.Sprintf("U+%04X", r))
	}
	return strings.Join(parts, " ")
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func word(s string, ws []span, i int) string { return s[ws[i].from:ws[i].to] }

// part is the text of the words from i to before j, empty where there is none.
func part(ws []span, i, j int) span {
	switch {
	case i < j:
		return span{ws[i].from, ws[j-1].to}
	case i < len(ws):
		return span{ws[i].from, ws[i].from}
	default:
		return span{ws[len(ws)-1].to, ws[len(ws)-1].to}
	}
}

// longest returns the pairs of words of a longest common subsequence.
func longest(a, b string, at, bt []span) (pairs [][2]int) {
	width := len(bt) + 1
	n := make([]int32, (len(at)+1)*width)
	for i := len(at) - 1; i >= 0; i-- {
		for j := len(bt) - 1; j >= 0; j-- {
			if word(a, at, i) == word(b, bt, j) {
				n[i*width+j] = n[(i+1)*width+j+1] + 1
			} else {
				n[i*width+j] = max(n[(i+1)*width+j], n[i*width+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(at) && j < len(bt); {
		switch {
		case word(a, at, i) == word(b, bt, j):
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case n[(i+1)*width+j] >= n[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// words splits a text into runs of letters and digits, and single characters between.
func words(s string) (ws []span) {
	inWord := false
	for i := 0; i < len(s); {
		n := cluster(s[i:])
		r, _ := utf8.DecodeRuneInString(s[i:])
		is := isLetter(r)
		if is && inWord {
			ws[len(ws)-1].to = i + n
		} else {
			ws = append(ws, span{i, i + n})
		}
		inWord = is
		i += n
	}
	return ws
}

// cluster is how many bytes the first character of s has, with what belongs to it: a
// mark must not part a letter from its accents, or an emoji from its parts.
func cluster(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError {
		return n
	}
	if next, size := utf8.DecodeRuneInString(s[n:]); unicode.Is(unicode.Regional_Indicator, r) && unicode.Is(unicode.Regional_Indicator, next) {
		return n + size // a flag
	}
	for n < len(s) {
		next, size := utf8.DecodeRuneInString(s[n:])
		joins := unicode.Is(unicode.M, next) || next == 0x200d || next >= 0x1f3fb && next <= 0x1f3ff
		if !joins && !(r == 0x200d && next > 0x7f && next != utf8.RuneError) {
			break
		}
		r, n = next, n+size
	}
	return n
}

// trim takes off what both parts begin and end with.
func trim(a, b string, x, y span) (span, span) {
	as, bs := clusters(a, x), clusters(b, y)
	for len(as) > 0 && len(bs) > 0 && a[as[0].from:as[0].to] == b[bs[0].from:bs[0].to] {
		x.from, y.from = as[0].to, bs[0].to
		as, bs = as[1:], bs[1:]
	}
	for len(as) > 0 && len(bs) > 0 && word(a, as, len(as)-1) == word(b, bs, len(bs)-1) {
		x.to, y.to = as[len(as)-1].from, bs[len(bs)-1].from
		as, bs = as[:len(as)-1], bs[:len(bs)-1]
	}
	return x, y
}

func clusters(s string, x span) (cs []span) {
	for i := x.from; i < x.to; {
		n := min(cluster(s[i:x.to]), x.to-i)
		cs = append(cs, span{i, i + n})
		i += n
	}
	return cs
}

// elided is HTML of a marked text without most of what is alike in a long one.
func elided(s string, marks []span) string {
	if len(s) <= maxAlike {
		return pieces(s, marks)
	}
	w, at := newWriter(s), 0
	for _, m := range marks {
		if w.Len() > 8*maxText {
			break
		}
		from, to := at, m.from
		if at > 0 {
			from = edge(s, at+around)
		}
		if to = edge(s, m.from-around); to-from > maxAlike-2*around {
			w.plain(at, from)
			w.WriteString(cut(int64(to-from), "alike"))
			w.plain(to, m.from)
		} else {
			w.plain(at, m.from)
		}
		to = m.to
		if m.to-m.from > maxText {
			to = edge(s, m.from+maxText)
		}
		w.marked(m.from, to)
		if at = m.to; to < at {
			w.WriteString(cut(int64(at-to), "more"))
		}
	}
	to := len(s)
	if to-at > maxAlike {
		to = edge(s, at+around)
	}
	w.plain(at, to)
	if to < len(s) {
		w.WriteString(cut(int64(len(s)-to), "more"))
	}
	return w.String()
}

// edge is the beginning of the character at i.
func edge(s string, i int) int {
	i = max(0, min(i, len(s)))
	for i > 0 && i < len(s) && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

const (
	maxHex    = 64 // bytes of a binary value that are shown
	beforeHex = 8  // of them before the first that differs
)

// alikeBytes is how many bytes two values begin with alike.
func alikeBytes(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// hexMarks are the bytes that differ at the same place.
func hexMarks(a, b string) (am, bm []span) {
	add := func(ms []span, i int) []span {
		if len(ms) > 0 && ms[len(ms)-1].to == i {
			ms[len(ms)-1].to++
			return ms
		}
		return append(ms, span{i, i + 1})
	}
	for i := range max(len(a), len(b)) {
		if i < len(a) && i < len(b) && a[i] == b[i] {
			continue
		}
		if i < len(a) {
			am = add(am, i)
		}
		if i < len(b) {
			bm = add(bm, i)
		}
	}
	return am, bm
}

// hexOf is HTML of a binary value around the first byte that differs.
func hexOf(s string, marks []span, c store.Cell, alike int) template.HTML {
	from := 0
	if alike > maxHex/2 {
		from = min(alike-beforeHex, len(s))
	}
	to := min(len(s), from+maxHex)
	var b strings.Builder
	b.WriteString(`<bdi class="v">0x`)
	if from > 0 {
		b.WriteString(cut(int64(from), "alike"))
	}
	at := from
	for _, m := range marks {
		if m.from >= to {
			break
		}
		m.from, m.to = max(m.from, from), min(m.to, to)
		b.WriteString(hexOfBytes(s[at:m.from]) + "<mark>" + hexOfBytes(s[m.from:m.to]) + "</mark>")
		at = m.to
	}
	b.WriteString(hexOfBytes(s[at:to]) + `</bdi>`)
	if rest := max(c.Size, len(s)) - to; rest > 0 {
		b.WriteString(cut(int64(rest), "more"))
	}
	return template.HTML(b.String())
}

func hexOfBytes(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }
