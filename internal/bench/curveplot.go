package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	curveTimeFile   = "benchmarks-curve-time.svg"
	curveMemoryFile = "benchmarks-curve-memory.svg"

	curveWidth, curveHeight = 790, 470
	curveLeft, curveRight   = 62, 610
	curveTop, curveBottom   = 56, 418
	labelLeft, labelHeight  = 636, 17
)

// colour is one contestant's, on a light and on a dark ground. What this library
// does not do by itself is dashed.
type colour struct {
	light, dark string
	dashed      bool
}

func curveColours() map[string]colour {
	return map[string]colour{
		byJoin:    {"#2a78d6", "#3987e5", false},
		byAuto:    {"#e87ba4", "#d55181", false},
		byStream:  {"#1baf7a", "#199e70", false},
		byDigest:  {"#d18e00", "#c98500", false},
		byDriver:  {"#eb6834", "#d95926", true},
		byNaive:   {"#4a3aa7", "#9085e9", true},
		bySqldiff: {"#e34948", "#e66767", true},
		byShell:   {"#008300", "#3fae3f", true},
		byExcept:  {"#6f6d67", "#a5a399", true},
	}
}

// curveClass is a contestant's name as a class of the style.
func curveClass(contestant string) string {
	return "c-" + strings.NewReplacer(", ", "-", " ", "-").Replace(contestant)
}

func curveStyle() string {
	var light, dark strings.Builder
	for _, name := range curveContestants() {
		c, class := curveColours()[name], curveClass(name)
		dash := ""
		if c.dashed {
			dash = " stroke-dasharray: 6 4;"
		}
		fmt.Fprintf(&light, ".line.%s { stroke: %s;%s } .lead.%[1]s { stroke: %[2]s; } .dot.%[1]s { fill: %[2]s; }\n", class, c.light, dash)
		fmt.Fprintf(&dark, ".line.%s, .lead.%[1]s { stroke: %s; } .dot.%[1]s { fill: %[2]s; }\n", class, c.dark)
	}
	return `
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #52514e; }
.title { font-size: 14px; font-weight: 600; fill: #0b0b0b; }
.label { font-size: 13px; fill: #0b0b0b; }
.surface { fill: #fcfcfb; }
.grid { stroke: #e4e3df; stroke-width: 1; }
.bound { stroke: #898781; stroke-width: 1; stroke-dasharray: 2 3; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.` + curveClass(byJoin) + ` { stroke-width: 5; }
.line.` + curveClass(byAuto) + ` { stroke-width: 1.5; }
.label .figure { fill: #52514e; }
.lead { fill: none; stroke-width: 1; opacity: 0.7; }
` + light.String() + `@media (prefers-color-scheme: dark) {
text { fill: #c3c2b7; }
.title, .label { fill: #ffffff; }
.label .figure { fill: #c3c2b7; }
.surface { fill: #1a1a19; }
.grid { stroke: #33332f; }
` + dark.String() + "}\n"
}

// curvePlot draws one line for each contestant over rows, both axes logarithmic, with
// its name at its end.
func curvePlot(title string, series map[string][]point, value func(point) float64, bound float64) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="%[3]s against rows">
<style>%[4]s</style>
<rect class="surface" width="100%%" height="100%%" rx="8"/>
<text class="title" x="%[5]d" y="32">%[3]s</text><text x="%[6]d" y="32" text-anchor="end">dashed: other programs</text>
`, curveWidth, curveHeight, title, curveStyle(), curveLeft, curveRight)
	xs, ys := extent{}, extent{}
	for _, points := range series {
		for _, p := range points {
			xs.include(float64(p.rows))
			ys.include(value(p))
		}
	}
	if bound > 0 {
		ys.include(bound)
	}
	ys.pad()
	px := func(rows int) float64 { return curveLeft + xs.at(float64(rows))*(curveRight-curveLeft) }
	py := func(v float64) float64 { return curveBottom - ys.at(v)*(curveBottom-curveTop) }
	for _, v := range ys.powers() {
		fmt.Fprintf(&w, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			curveLeft, py(v), curveRight, curveLeft-8, py(v)+4, tick(v))
	}
	for _, v := range xs.powers() {
		fmt.Fprintf(&w, `<path class="grid" d="M%.1f %dV%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			px(int(math.Round(v))), curveTop, curveBottom, px(int(math.Round(v))), curveBottom+20, tick(v))
	}
	fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="middle">rows</text>`+"\n", (curveLeft+curveRight)/2, curveBottom+38)
	if bound > 0 {
		fmt.Fprintf(&w, `<path class="bound" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">wanted of join: at most %g</text>`+"\n",
			curveLeft, py(bound), curveRight, curveRight-8, py(bound)-6, bound)
	}
	drawCurves(&w, series, px, func(p point) float64 { return py(value(p)) }, value)
	w.WriteString("</svg>\n")
	return w.Bytes()
}

// drawCurves draws the lines, join at the bottom, and names each with its last figure:
// at its end, or at the margin.
func drawCurves(w *bytes.Buffer, series map[string][]point, px func(int) float64, py func(point) float64, value func(point) float64) {
	type label struct {
		name, figure string
		x, y         float64
	}
	var labels []label
	end := 0
	for _, points := range series {
		end = max(end, points[len(points)-1].rows)
	}
	for _, name := range curveContestants() {
		points, class := series[name], curveClass(name)
		if len(points) == 0 {
			continue
		}
		var path, dots strings.Builder
		for i, p := range points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], px(p.rows), py(p))
			fmt.Fprintf(&dots, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.5"><title>%s, %s rows: %.3g</title></circle>`,
				class, px(p.rows), py(p), name, grouped(p.rows), value(p))
		}
		fmt.Fprintf(w, `<path class="line %s" d="%s"/>%s`+"\n", class, path.String(), dots.String())
		last := points[len(points)-1]
		l := label{name, curveFigure(value(last)), px(last.rows), py(last)}
		if last.rows < end {
			fmt.Fprintf(w, `<text class="label" x="%.1f" y="%.1f">%s <tspan class="figure">%s</tspan></text>`+"\n", l.x+9, l.y+4, l.name, l.figure)
			continue
		}
		labels = append(labels, l)
	}
	slices.SortStableFunc(labels, func(a, b label) int { return int(math.Copysign(1, a.y-b.y)) })
	var at []float64
	for _, l := range labels {
		at = append(at, l.y)
	}
	for i, y := range apart(at, labelHeight, curveTop, curveBottom) {
		l := labels[i]
		fmt.Fprintf(w, `<path class="lead %s" d="M%.1f %.1fL%d %.1fH%d"/><text class="label" x="%d" y="%.1f">%s <tspan class="figure">%s</tspan></text>`+"\n",
			curveClass(l.name), l.x+4, l.y, labelLeft-10, y, labelLeft-2, labelLeft+2, y+4, l.name, l.figure)
	}
}

// curveFigure writes three digits, or all of a greater number.
func curveFigure(v float64) string {
	if v >= 1000 {
		return grouped(int(math.Round(v)))
	}
	return fmt.Sprintf("%.3g", v)
}

// apart moves ascending places apart by at least gap, as little as it can.
func apart(places []float64, gap, low, high float64) []float64 {
	type block struct {
		sum float64 // of the places that their first would have
		n   int
	}
	first := func(b block) float64 {
		return max(low, min(b.sum/float64(b.n), high-gap*float64(b.n-1)))
	}
	var blocks []block
	for _, y := range places {
		blocks = append(blocks, block{y, 1})
		for k := len(blocks) - 1; k > 0 && first(blocks[k-1])+gap*float64(blocks[k-1].n) > first(blocks[k]); k-- {
			a, b := blocks[k-1], blocks[k]
			blocks = append(blocks[:k-1], block{a.sum + b.sum - gap*float64(a.n*b.n), a.n + b.n})
		}
	}
	var moved []float64
	for _, b := range blocks {
		for i := range b.n {
			moved = append(moved, first(b)+gap*float64(i))
		}
	}
	return moved
}

// extent is a logarithmic axis that ends where the figures do.
type extent struct {
	low, high float64 // exponents
	any       bool
}

func (e *extent) include(v float64) {
	v = math.Log10(max(v, 1e-3))
	if !e.any {
		e.low, e.high, e.any = v, v, true
	}
	e.low, e.high = min(e.low, v), max(e.high, v)
}

// pad leaves some room, and at least the room for one power of ten.
func (e *extent) pad() {
	e.low, e.high = e.low-0.08, e.high+0.08
	if math.Ceil(e.low) > math.Floor(e.high) {
		e.low = math.Floor(e.low)
	}
}

// at returns where v is, from 0 to 1.
func (e *extent) at(v float64) float64 {
	return (math.Log10(max(v, 1e-3)) - e.low) / max(1e-9, e.high-e.low)
}

func (e *extent) powers() []float64 {
	var powers []float64
	for n := math.Ceil(e.low - 1e-9); e.any && n <= e.high+1e-9; n++ {
		powers = append(powers, math.Pow(10, n))
	}
	return powers
}
