package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/text"
)

// document is a result.
type document interface{ WriteJSON(w io.Writer) error }

// jsonOf makes a document of what has no WriteJSON of its own.
func jsonOf(v any) document { return asJSON{v} }

type asJSON struct{ v any }

func (d asJSON) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d.v)
}

// show writes a result: as JSON, or as the page that write fills.
func (a *app) show(d document, write func(p *page)) error {
	a.progress().end()
	if a.json() {
		return d.WriteJSON(a.out)
	}
	p := a.page()
	write(p)
	_, err := io.WriteString(a.out, p.String())
	return err
}

// page is text for people, fitted to a width.
type page struct {
	strings.Builder
	width int
	color bool
	clean func(string) string
}

func (a *app) page() *page {
	return &page{width: a.width, color: a.outTerm && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb", clean: a.printable}
}

// The meanings that have a colour.
var (
	good = text.Colors{text.FgGreen}
	bad  = text.Colors{text.FgRed, text.Bold}
	odd  = text.Colors{text.FgYellow}
	dim  = text.Colors{text.Faint}
	head = text.Colors{text.Bold}
)

// paint colours s where the page has colours.
func (p *page) paint(c text.Colors, s string) string {
	if !p.color || c == nil || s == "" {
		return s
	}
	return c.Sprint(s)
}

// heading begins a part.
func (p *page) heading(format string, args ...any) {
	if p.Len() > 0 {
		p.WriteString("\n")
	}
	p.wrap(head, "", fmt.Sprintf(format, args...))
}

// line writes a sentence, on as many lines as it takes.
func (p *page) line(format string, args ...any) { p.wrap(nil, "", fmt.Sprintf(format, args...)) }

// note writes a sentence that belongs to the line before it.
func (p *page) note(format string, args ...any) { p.wrap(dim, "    ", fmt.Sprintf(format, args...)) }

// warn writes a sentence that nobody should miss.
func (p *page) warn(format string, args ...any) {
	p.wrap(odd, "", "Warning: "+fmt.Sprintf(format, args...))
}

func (p *page) wrap(c text.Colors, indent, s string) {
	for line := range strings.SplitSeq(text.WrapSoft(p.clean(inFlags(s)), p.width-len(indent)), "\n") {
		p.WriteString(strings.TrimRight(indent+p.paint(c, strings.TrimRight(line, " ")), " ") + "\n")
	}
}

// fact writes what is known under a name, the values below each other.
func (p *page) fact(name, format string, args ...any) {
	const column = 10
	for i, line := range strings.Split(text.WrapSoft(p.clean(inFlags(fmt.Sprintf(format, args...))), p.width-column), "\n") {
		lead := ""
		if i == 0 {
			lead = name
		}
		p.WriteString(p.paint(dim, text.Pad(lead, column, ' ')) + strings.TrimRight(line, " ") + "\n")
	}
}

// cell is a value of a grid.
type cell struct {
	text  string
	color text.Colors
}

func plain(s string) cell { return cell{text: s} }

// column is one of a grid. Numbers stand on the right. Columns that are empty in all rows
// are left out if spare is set. Where the page is too narrow those with cut are cut, or
// the first one if there are none.
type column struct {
	title  string
	number bool
	spare  bool
	cut    bool
}

// row is one of a grid; its notes stand on lines of their own below it.
type row struct {
	cells []cell
	notes []string
}

// gap is between two columns.
const gap = "  "

// grid writes aligned columns.
func (p *page) grid(columns []column, rows []row) {
	shown := p.shown(columns, rows)
	widths := make([]int, len(columns))
	total := 0
	for _, i := range shown {
		widths[i] = text.StringWidth(columns[i].title)
		for _, r := range rows {
			widths[i] = max(widths[i], text.StringWidth(p.oneLine(r.cells[i].text)))
		}
		total += widths[i] + len(gap)
	}
	fit(columns, shown, widths, total-len(gap)-p.width)
	titles := make([]cell, len(columns))
	for i, c := range columns {
		titles[i] = cell{c.title, dim}
	}
	for _, r := range append([]row{{cells: titles}}, rows...) {
		p.gridLine(columns, shown, widths, r.cells)
		for _, n := range r.notes {
			p.note("%s", n)
		}
	}
}

// fit takes what is too much from the widest of the columns that may be cut.
func fit(columns []column, shown, widths []int, over int) {
	cut := slices.DeleteFunc(slices.Clone(shown), func(i int) bool { return !columns[i].cut })
	if len(cut) == 0 {
		cut = shown[:min(1, len(shown))]
	}
	const least = 12
	for ; over > 0 && len(cut) > 0; over-- {
		widest := slices.MaxFunc(cut, func(i, j int) int { return widths[i] - widths[j] })
		if widths[widest] <= least {
			return
		}
		widths[widest]--
	}
}

// shown are the columns that have something to say.
func (p *page) shown(columns []column, rows []row) (shown []int) {
	for i, c := range columns {
		used := !c.spare
		for _, r := range rows {
			used = used || r.cells[i].text != "" && r.cells[i].text != "-"
		}
		if used {
			shown = append(shown, i)
		}
	}
	return shown
}

// oneLine is a text that stays on its line, whatever is in it.
func (p *page) oneLine(s string) string { return p.clean(noBreaks(s)) }

// noBreaks spells out what breaks a line, so that the name of a table does not pass for a
// line of a report.
func noBreaks(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }

func (p *page) gridLine(columns []column, shown, widths []int, cells []cell) {
	var parts []string
	for _, i := range shown {
		s := text.Snip(p.oneLine(cells[i].text), widths[i], "…")
		align := text.AlignLeft
		if columns[i].number {
			align = text.AlignRight
		}
		padded := align.Apply(s, widths[i])
		parts = append(parts, strings.Replace(padded, s, p.paint(cells[i].color, s), 1))
	}
	p.WriteString(strings.TrimRight(strings.Join(parts, gap), " ") + "\n")
}

// count groups digits by thousands; 0 is a dash.
func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return number(n)
}

// number groups digits by thousands.
func number(n int64) string { return humanize.Comma(n) }

// plural counts things.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(int64(n)) + " " + what + "s"
}
