package htmlreport

import (
	"database/sql/driver"
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// span is a part of a text, in bytes.
type span struct{ from, to int }

const (
	maxText  = 4096 // bytes of a value that are shown
	maxName  = 1024 // bytes of a name or a sentence
	maxMarks = 8    // accents of one letter that are drawn: a line cannot break between them
	maxAlike = 240  // bytes of text between two marks that are shown whole
	around   = 60   // bytes of it that stay before and after a mark
)

// names of characters that cannot be seen, or that look like another.
var names = map[rune]string{
	'\t': "tab", '\n': "line feed", '\r': "carriage return", 0: "NUL", 0x1b: "ESC", 0x7f: "DEL",
	0x00a0: "no-break space", 0x00ad: "soft hyphen", 0x061c: "ALM", 0x200b: "zero-width space", 0x200c: "ZWNJ", 0x200d: "ZWJ",
	0x200e: "LRM", 0x200f: "RLM", 0x2028: "line separator", 0x2029: "paragraph separator",
	0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x202f: "narrow no-break space",
	0x2060: "word joiner", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0x3000: "wide space",
	0xfeff: "BOM", 0xfffd: "replacement character",
}

// hidden reports whether a character has to be named to be seen.
func hidden(r rune) bool {
	switch {
	case r == ' ', r >= 0xfe00 && r <= 0xfe0f: // variation selectors belong to their letter
		return false
	case r == utf8.RuneError:
		return true
	default:
		return !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r) || r == 0x3164 || r == 0x115f || r == 0x1160 || r == 0xffa0
	}
}

// box is HTML of what stands for a character that cannot be seen.
func box(r rune, raw string) string {
	label := names[r]
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		label = fmt.Sprintf("byte %02X", raw[0])
	case label == "":
		label = fmt.Sprintf("U+%04X", r)
	}
	return `<span class="box">` + template.HTMLEscapeString(label) + `</span>`
}

// shown is a name or a sentence from outside as HTML, set apart from the direction of
// the text around it.
func shown(s string) template.HTML {
	s, more := clip(s, maxName)
	html := pieces(s, nil)
	if strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) {
		html = "<bdi>" + html + "</bdi>"
	}
	return template.HTML(html + more)
}

// plain is a text from outside for an attribute, a title or a label.
func plain(s string) string {
	accents := 0
	return strings.Map(func(r rune) rune {
		if accents++; !unicode.Is(unicode.M, r) {
			accents = 0
		}
		if accents > maxMarks {
			return -1
		}
		return r
	}, text.Name(s))
}

// clip shortens a text to what is shown of it.
func clip(s string, n int) (string, string) {
	if len(s) <= n {
		return s, ""
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], cut(int64(len(s)-n), "more")
}

// cut says how many bytes are not shown.
func cut(n int64, what string) string {
	return `<span class="cut">` + text.Count(n) + " " + plural(n, "byte", "bytes") + " " + what + `</span>`
}

// writer takes a text from outside into HTML. Nothing else in this package
// makes HTML of such a text.
type writer struct {
	strings.Builder

	s           string
	lead, trail int // where the first and the last blanks of it end and begin
}

func newWriter(s string) *writer {
	return &writer{s: s, lead: len(s) - len(strings.TrimLeft(s, " ")), trail: len(strings.TrimRight(s, " "))}
}

// pieces is HTML of a text with its marks, which are in order and begin and end where
// characters do.
func pieces(s string, marks []span) string {
	w, at := newWriter(s), 0
	for _, m := range marks {
		w.plain(at, m.from)
		w.marked(m.from, m.to)
		at = m.to
	}
	w.plain(at, len(s))
	return w.String()
}

func (w *writer) marked(from, to int) {
	w.WriteString("<mark>")
	w.part(from, to, true)
	w.WriteString("</mark>")
}

func (w *writer) plain(from, to int) { w.part(from, to, false) }

func (w *writer) part(from, to int, marked bool) {
	before := rune(-1)
	blank := marked && strings.Trim(w.s[from:to], " ") == ""
	accents := 0
	for i := from; i < to; {
		r, n := utf8.DecodeRuneInString(w.s[i:])
		raw := w.s[i : i+n]
		if accents++; !unicode.Is(unicode.M, r) {
			accents = 0
		}
		switch {
		case accents > maxMarks:
			w.WriteString(box(r, raw))
		case r == ' ' && (blank || i < w.lead || i >= w.trail || i > 0 && w.s[i-1] == ' ' || i+1 < len(w.s) && w.s[i+1] == ' '):
			w.WriteString(`<span class="sp">␣</span>`)
		case (r == 0x200c || r == 0x200d) && (!marked || unicode.Is(unicode.So, before)) && before > 0x7f && i+n < len(w.s) && w.s[i+n] > 0x7f:
			w.WriteString(raw) // it joins letters of a script that needs it, or parts of an emoji
		case hidden(r):
			w.WriteString(box(r, raw))
			if r == '\n' {
				w.WriteString("\n")
			}
		default:
			w.WriteString(template.HTMLEscapeString(raw))
		}
		before = r
		i += n
	}
}

// value is a value as HTML.
func value(c store.Cell) template.HTML {
	a, _ := values(c, c, false)
	return a
}

// pair is two values that differ, as HTML, with the characters marked in which they do.
func pair(source, mirror store.Cell) (template.HTML, template.HTML) {
	return values(source, mirror, true)
}

func values(a, b store.Cell, compare bool) (template.HTML, template.HTML) {
	at, an := textOf(a)
	bt, bn := textOf(b)
	var am, bm []span
	alike := 0
	switch {
	case !compare:
	case an == isBytes && bn == isBytes:
		alike = alikeBytes(at, bt)
		am, bm = hexMarks(at, bt)
	case an != isNull && bn != isNull:
		am, bm = differ(at, bt)
	}
	as, bs := html(at, an, am, a, alike), html(bt, bn, bm, b, alike)
	if an == isText && bn == isText {
		if x, y := codes(at, bt, am, bm); x != "" {
			as, bs = as+label(x), bs+label(y)
		}
	}
	if compare && at == bt && an != isNull && bn != isNull { // what is shown does not tell them apart
		if a.Size <= 0 && b.Size <= 0 {
			return as + label(typeOf(a.Value)), bs + label(typeOf(b.Value))
		}
		const note = `<span class="cut">they differ in what is not shown</span>`
		return as + note, bs + note
	}
	return as, bs
}

func label(s string) template.HTML {
	return template.HTML(` <span class="cut">` + template.HTMLEscapeString(s) + `</span>`)
}

// typeOf names the type of a value for people.
func typeOf(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case store.Verbatim:
		return typeOf(v.Value) + ", as it is stored"
	case string:
		return "text"
	case []byte:
		return "binary"
	case bool:
		return "true or false"
	case int64:
		return "whole number"
	case float64:
		return "floating-point number"
	default:
		return "time"
	}
}

// form is how a value is shown.
type form int

const (
	isText   form = iota
	isNull        // nothing
	isBytes       // hex
	isNumber      // and whatever else has a spelling of its own
)

// textOf is the text of a value, in hex for binary ones.
func textOf(c store.Cell) (string, form) {
	v := c.Value
	if verbatim, ok := v.(store.Verbatim); ok {
		v = verbatim.Value
	}
	switch v := v.(type) {
	case nil:
		return "", isNull
	case string:
		return v, isText
	case []byte:
		if s := c.Text(); !strings.HasPrefix(s, "0x") {
			return s, isNumber
		}
		return string(v), isBytes
	default:
		return c.Text(), isNumber
	}
}

// html is a text of a form with its marks. Alike is how many bytes at its beginning are
// those of the other side.
func html(s string, f form, marks []span, c store.Cell, alike int) template.HTML {
	more := ""
	switch {
	case f == isNull:
		return `<span class="null">NULL</span>`
	case f == isText && s == "":
		return `<span class="null">empty text</span>`
	case f == isBytes && s == "":
		return `<span class="null">no bytes</span>`
	case f == isBytes:
		return hexOf(s, marks, c, alike)
	}
	out := ""
	if len(marks) > 0 {
		out = elided(s, marks)
	} else {
		s, more = clip(s, maxText)
		out = pieces(s, nil)
	}
	if rest := c.Size - len(s); c.Size > 0 && rest > 0 {
		more += cut(int64(rest), "more")
	}
	return template.HTML(`<bdi class="v">` + out + `</bdi>` + more)
}
