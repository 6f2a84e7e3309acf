package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// point is one contestant's figures at one number of rows.
type point struct {
	rows    int
	seconds float64
	mib     float64
}

// contestants are the lines of the plot, in the order of its legend.
func contestants() []string { return []string{"compare", "driver", "naive"} }

const (
	plotWidth, plotHeight = 790, 330
	panelWidth            = 300
	panelTop, panelBottom = 84, 282
)

const plotStyle = `
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #52514e; }
.title { font-size: 14px; font-weight: 600; fill: #0b0b0b; }
.surface { fill: #fcfcfb; }
.grid { stroke: #e4e3df; stroke-width: 1; }
.bound { stroke: #898781; stroke-width: 1; stroke-dasharray: 4 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.compare { stroke: #2a78d6; } .driver { stroke: #eb6834; } .naive { stroke: #4a3aa7; }
.dot.compare { fill: #2a78d6; } .dot.driver { fill: #eb6834; } .dot.naive { fill: #4a3aa7; }
.dot { stroke-width: 0; }
@media (prefers-color-scheme: dark) {
text { fill: #c3c2b7; }
.title { fill: #ffffff; }
.surface { fill: #1a1a19; }
.grid { stroke: #33332f; }
.compare { stroke: #3987e5; } .driver { stroke: #d95926; } .naive { stroke: #9085e9; }
.dot.compare { fill: #3987e5; } .dot.driver { fill: #d95926; } .dot.naive { fill: #9085e9; }
}
`

// plot draws time and peak memory against rows. All axes are logarithmic, so
// that a cost of so much for each row is a straight line.
func plot(series map[string][]point) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="Time and peak memory of Compare against rows">
<style>%[3]s</style>
<rect class="surface" width="100%%" height="100%%" rx="8"/>
`, plotWidth, plotHeight, plotStyle)
	x := 62
	for _, name := range contestants() {
		if len(series[name]) == 0 {
			continue
		}
		fmt.Fprintf(&w, `<path class="line %s" d="M%d 22h22"/><circle class="dot %s" cx="%d" cy="22" r="4"/><text x="%d" y="26">%s</text>`+"\n",
			name, x, name, x+11, x+30, legend(name))
		x += 56 + 6*len(legend(name))
	}
	panel{left: 62, title: "Time, seconds", value: func(p point) float64 { return p.seconds }}.draw(&w, series)
	panel{left: 62 + panelWidth + 76, title: "Peak memory, MiB", value: func(p point) float64 { return p.mib }, bound: maxPeakMiB}.draw(&w, series)
	w.WriteString("</svg>\n")
	return w.Bytes()
}

func legend(contestant string) string {
	switch contestant {
	case "driver":
		return "reading both sides, nothing else"
	case "naive":
		return "select, map and =="
	default:
		return "Compare"
	}
}

// panel is one pair of axes.
type panel struct {
	left  int
	title string
	value func(point) float64
	bound float64 // a line across, 0 for none
}

func (p panel) draw(w *bytes.Buffer, series map[string][]point) {
	xs, ys := newAxis(), newAxis()
	for _, points := range series {
		for _, pt := range points {
			xs.include(float64(pt.rows))
			ys.include(p.value(pt))
		}
	}
	if p.bound > 0 {
		ys.include(p.bound)
	}
	right := float64(p.left + panelWidth)
	px := func(v float64) float64 { return float64(p.left) + xs.at(v)*panelWidth }
	py := func(v float64) float64 { return panelBottom - ys.at(v)*(panelBottom-panelTop) }
	fmt.Fprintf(w, `<text class="title" x="%d" y="64">%s</text>`+"\n", p.left, p.title)
	for _, v := range ys.ticks() {
		fmt.Fprintf(w, `<path class="grid" d="M%d %.1fH%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			p.left, py(v), right, p.left-8, py(v)+4, tick(v))
	}
	for _, v := range xs.ticks() {
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", px(v), panelBottom+20, tick(v))
	}
	fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle">rows</text>`+"\n", float64(p.left)+panelWidth/2, panelBottom+38)
	if p.bound > 0 {
		fmt.Fprintf(w, `<path class="bound" d="M%d %.1fH%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">wanted: below %g</text>`+"\n",
			p.left, py(p.bound), right, right, py(p.bound)+14, p.bound)
	}
	names := contestants()
	for i := range names { // the first on top
		name := names[len(names)-1-i]
		var path strings.Builder
		var dots strings.Builder
		for j, pt := range series[name] {
			x, y := px(float64(pt.rows)), py(p.value(pt))
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], x, y)
			fmt.Fprintf(&dots, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="4"><title>%s, %s rows: %.3g</title></circle>`,
				name, x, y, legend(name), grouped(pt.rows), p.value(pt))
		}
		if path.Len() > 0 {
			fmt.Fprintf(w, `<path class="line %s" d="%s"/>%s`+"\n", name, path.String(), dots.String())
		}
	}
}

// axis is logarithmic and ends at powers of ten.
type axis struct{ low, high float64 } // exponents

func newAxis() *axis { return &axis{low: math.Inf(1), high: math.Inf(-1)} }

func (a *axis) include(v float64) {
	v = math.Log10(max(v, 1e-3))
	a.low, a.high = min(a.low, math.Floor(v)), max(a.high, math.Ceil(v))
}

// at returns where v is, from 0 to 1.
func (a *axis) at(v float64) float64 {
	return (math.Log10(max(v, 1e-3)) - a.low) / max(1, a.high-a.low)
}

func (a *axis) ticks() []float64 {
	var ticks []float64
	for e := a.low; e <= a.high; e++ {
		ticks = append(ticks, math.Pow(10, e))
	}
	return ticks
}

// tick writes a power of ten.
func tick(v float64) string {
	switch {
	case v >= million:
		return fmt.Sprintf("%s million", grouped(int(math.Round(v/million))))
	case v >= 1:
		return grouped(int(math.Round(v)))
	default:
		return fmt.Sprintf("%g", v)
	}
}
