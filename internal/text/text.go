// Package text is what messages and reports need to be read by people: names from
// outside made harmless, numbers, aligned columns. It imports the standard library
// alone.
package text

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Grid lays out text in aligned columns.
type Grid struct{ rows [][]string }

// Len returns the number of rows.
func (g *Grid) Len() int { return len(g.rows) }

// Row adds a row.
func (g *Grid) Row(cells ...string) {
	for i, c := range cells {
		cells[i] = Printable(c)
	}
	g.rows = append(g.rows, cells)
}

// Drop takes out those columns from one to before another in which all cells
// but the first are empty, and returns how many it took.
func (g *Grid) Drop(from, before int, empty string) int {
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

// Text returns the rows, each behind indent. The nth letter of align says
// whether the column after the first n+1 is aligned left or right; columns
// without a letter are aligned left.
func (g *Grid) Text(indent, align string) string {
	var widths []int
	for _, r := range g.rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(c))
		}
	}
	var b strings.Builder
	for _, r := range g.rows {
		line := indent
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-Width(c))
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

// MaxName is SQL Server's limit for a name, in characters.
const MaxName = 128

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

// Width returns how many cells of a terminal s takes.
func Width(s string) int {
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

// Count groups digits by thousands: 1,234,567.
func Count(n int64) string {
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

// Seconds returns the duration that a number of seconds in JSON stands for.
func Seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Duration returns a duration in a unit that suits its size: "1.24s".
func Duration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return d.String()
}

// Dash is Count, and "-" for 0.
func Dash(n int64) string {
	if n == 0 {
		return "-"
	}
	return Count(n)
}

// Rows returns a number of rows: "1 row", "1,000 rows".
func Rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return Count(n) + " rows"
}

// Printable replaces what could steer a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Clip shortens s to about n bytes for a message.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// Name returns a name from outside as a message may show it.
func Name(name string) string { return Clip(Printable(name), MaxName) }

// shownError is an error over input from outside, whose message is fit to be
// shown.
type shownError struct{ error }

// Err makes a message fit to be shown.
func Err(err error) error { return shownError{err} }

const maxShownError = 512

func (e shownError) Error() string { return Clip(Printable(e.error.Error()), maxShownError) }

func (e shownError) Unwrap() error { return e.error }
