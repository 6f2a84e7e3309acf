package mirror

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// textWriter is what the library returns for people to read.
type textWriter interface{ WriteText(w io.Writer) error }

func textOf(t textWriter) string {
	var b strings.Builder
	_ = t.WriteText(&b) // a Builder cannot fail
	return b.String()
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// grid lays out text in aligned columns.
type grid struct{ rows [][]string }

func (g *grid) row(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	g.rows = append(g.rows, cells)
}

// drop takes out those columns from one to before another in which all cells
// but the first are empty, and returns how many it took.
func (g *grid) drop(from, before int, empty string) int {
	dropped := 0
	for i := before - 1; i >= from; i-- {
		if slices.ContainsFunc(g.rows[1:], func(r []string) bool { return r[i] != empty }) {
			continue
		}
		for n := range g.rows {
			g.rows[n] = slices.Delete(g.rows[n], i, i+1)
		}
		dropped++
	}
	return dropped
}

// text returns the rows, each behind indent. The nth letter of align says
// whether the column after the first n+1 is aligned left or right; columns
// without a letter are aligned left.
func (g *grid) text(indent, align string) string {
	var widths []int
	for _, r := range g.rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], displayWidth(c))
		}
	}
	var b strings.Builder
	for _, r := range g.rows {
		line := indent
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-displayWidth(c))
			if i > 0 {
				line += "  "
			}
			if i > 0 && i <= len(align) && align[i-1] == 'r' {
				line += pad + c
			} else {
				line += c + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// wide are the letters that take two cells of a terminal: East Asian ones and
// emoji, after Unicode's East Asian Width.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0xa4cf, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

// displayWidth returns how many cells of a terminal s takes.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// formatCount groups digits by thousands: 1,234,567.
func formatCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// formatRows returns a number of rows: "1 row", "1,000 rows".
func formatRows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return formatCount(n) + " rows"
}
