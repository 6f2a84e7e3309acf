package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCurveSizes(t *testing.T) {
	o := options{upTo: 10 * million}
	require.Equal(t, []int{10_000, 100_000, million, 10 * million}, o.curveSizes())
	require.Equal(t, million, o.curveRows())
	require.Equal(t, 100_000, o.curveMiddle())
	o.upTo = 250_000
	require.Equal(t, []int{10_000, 100_000}, o.curveSizes())
	require.Equal(t, 100_000, o.curveRows())
}

// All contestants find the same: nothing in equal files, and all rows that differ.
func TestCurveFiles(t *testing.T) {
	const rows = 1000
	d := data{dir: t.TempDir()}
	missing := missingPeers()
	for _, columns := range curveWidths() {
		source, mirrored, err := d.narrowPair(t.Context(), rows, columns)
		require.NoError(t, err)
		equal := task{Rows: rows, Source: source, Mirror: mirrored, curveTask: curveTask{Part: curveFiles, Columns: columns}}
		for _, name := range append(curveContestants(), bySingle) {
			t.Run(fmt.Sprintf("%d columns, %s", columns, name), func(t *testing.T) {
				for _, p := range missing {
					if p.name == name {
						t.Skip(p.missing())
					}
				}
				equal := equal
				equal.Contestant = name
				r := runCurve(t, equal)
				require.Zero(t, r.Changed)
				if name == byJoin || name == byStream || name == byDigest {
					require.Equal(t, name, r.Strategy, r.Reason)
				}
				if name == bySingle {
					require.NotEqual(t, byJoin, r.Strategy)
				}
				if columns == len(contactTable().Columns) && name != byDriver {
					equal.Mirror, err = d.damaged(t.Context(), rows, 100)
					require.NoError(t, err)
					require.EqualValues(t, 10, runCurve(t, equal).Changed)
				}
			})
		}
	}
}

func runCurve(t *testing.T, task task) (r result) {
	t.Helper()
	require.NoError(t, measureCurve(t.Context(), task, &r))
	require.Positive(t, r.Seconds)
	return r
}

// What is read since an earlier report is what changed, on both sides.
func TestCurveSince(t *testing.T) {
	const rows = 1000
	d := data{dir: t.TempDir()}
	source, mirrored, err := d.pair(t.Context(), rows)
	require.NoError(t, err)
	r := runCurve(t, task{Contestant: "since", Rows: rows, Source: source, Mirror: mirrored, curveTask: curveTask{Part: curveSince, Step: 100}})
	require.EqualValues(t, 2*rows, r.All)
	require.EqualValues(t, 20, r.Read)
	require.Positive(t, r.AllTime)
	left, err := os.ReadDir(d.dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "its copies are gone")
}

// On the server EXCEPT sees what Compare sees: case and trailing blanks.
func TestCurveServer(t *testing.T) {
	dsn := os.Getenv(dsnVariable)
	if dsn == "" {
		t.Skip("set " + dsnVariable)
	}
	const rows = 50
	b := &bench{options: options{dsn: dsn}, progress: io.Discard}
	require.NoError(t, b.prepareCurve(t.Context(), rows))
	admin, err := openCurve(dsn, "", new(carried))
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, side := range []string{"source", "mirror"} {
			_, err := admin.ExecContext(context.Background(), "DROP DATABASE "+quote(curveDatabase(rows, side)))
			require.NoError(t, err)
		}
		require.NoError(t, admin.Close())
	})
	contestants := []string{byDriver, byStream, byDigest, byJoin, byAuto, bySingle, byExcept}
	for _, name := range contestants {
		r := runCurve(t, task{Contestant: name, Rows: rows, curveTask: curveTask{Part: curveServer}})
		require.Zero(t, r.Changed, name)
		require.Positive(t, r.Carried, name)
	}
	table := quote(curveDatabase(rows, "mirror")) + "." + mirrorSchema + ".contact"
	for i, name := range []string{"UPPER(name)", "name + ' '"} {
		_, err := admin.ExecContext(t.Context(), fmt.Sprintf("UPDATE %s SET name = %s WHERE contact_id = (SELECT MIN(contact_id) + %d FROM %[1]s)", table, name, i))
		require.NoError(t, err)
	}
	for _, name := range contestants[1:] {
		require.EqualValues(t, 2, runCurve(t, task{Contestant: name, Rows: rows, curveTask: curveTask{Part: curveServer}}).Changed, name)
	}
}

func TestMissingPeer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	require.Len(t, missingPeers(), len(peers()))
	for _, f := range peerFacts(t.Context()) {
		require.Contains(t, f.value, "missing: "+f.name+" is not installed (Debian's package sqlite3")
	}
	require.Equal(t, []string{bySqldiff, "sqldiff is not installed (Debian's package sqlite3-tools)"}, curveRow(bySqldiff, make([]rounds, 1), nil))
	require.Nil(t, curveRow(bySingle, make([]rounds, 1), nil))
	b := &bench{options: options{upTo: million, pairs: 3}}
	b.addSection("Rows", []string{"time", "10,000 rows"}, [][]string{{byJoin, "20 ms"}})
	text := string(b.markdown(nil))
	require.Contains(t, text, "Missing: sqldiff is not installed")
	require.Contains(t, text, "### Rows\n\n| time | 10,000 rows |\n")
	require.Contains(t, text, "-only curve -curve-max 1000000 -pairs 3\n")
	require.NotContains(t, text, "%!")
}

func testCurves() map[string][]point {
	curve := func(figures ...point) []point { return figures }
	return map[string][]point{
		byJoin:    curve(point{10_000, 0.031, 24}, point{100_000, 0.26, 38}, point{million, 2.4, 38}, point{10 * million, 24, 39}),
		byAuto:    curve(point{10_000, 0.032, 25}, point{100_000, 0.27, 38}, point{million, 2.4, 38}, point{10 * million, 24.5, 39}),
		byStream:  curve(point{10_000, 0.06, 26}, point{100_000, 0.48, 28}, point{million, 4.8, 28}, point{10 * million, 47, 29}),
		byDigest:  curve(point{10_000, 0.07, 26}, point{100_000, 0.5, 30}, point{million, 4.2, 30}, point{10 * million, 41, 31}),
		byDriver:  curve(point{10_000, 0.05, 25}, point{100_000, 0.45, 27}, point{million, 4.3, 27}, point{10 * million, 43, 27}),
		byNaive:   curve(point{10_000, 0.2, 58}, point{100_000, 2.1, 380}, point{million, 24, 3900}),
		bySqldiff: curve(point{10_000, 0.03, 7}, point{100_000, 0.25, 7}, point{million, 2.5, 7}, point{10 * million, 26, 7}),
		byShell:   curve(point{10_000, 0.06, 9}, point{100_000, 0.6, 10}, point{million, 6.4, 10}, point{10 * million, 81, 10}),
		byExcept:  curve(point{10_000, 0.05, 20}, point{100_000, 0.58, 21}, point{million, 6.2, 21}, point{10 * million, 79, 21}),
	}
}

func TestCurvePlot(t *testing.T) {
	for name, series := range map[string]map[string][]point{
		"all": testCurves(), "one point": {byJoin: {{20_000, 0, 0}}}, "nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			svg := curvePlot("Time, seconds", series, func(p point) float64 { return p.seconds }, 0)
			for _, bad := range []string{"NaN", "Inf", "%!"} {
				require.NotContains(t, string(svg), bad)
			}
			dots := 0
			for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
					dots++
				}
			}
			want := 0
			for name, points := range series {
				want += len(points)
				require.Contains(t, string(svg), ">"+name+" <tspan", "its name at its end")
			}
			require.Equal(t, want, dots)
		})
	}
	for _, name := range curveContestants() {
		require.Contains(t, curveColours(), name)
		require.NotContains(t, curveClass(name), " ")
	}
}

func TestApart(t *testing.T) {
	for name, c := range map[string]struct{ places, want []float64 }{
		"none":                   {nil, nil},
		"far":                    {[]float64{10, 50}, []float64{10, 50}},
		"near":                   {[]float64{50, 52}, []float64{46, 56}},
		"near one that is moved": {[]float64{50, 52, 57}, []float64{43, 53, 63}},
		"two that move a third":  {[]float64{40, 50, 52}, []float64{112. / 3, 142. / 3, 172. / 3}},
		"at the top":             {[]float64{1, 2}, []float64{0, 10}},
		"at the bottom":          {[]float64{99, 99, 99}, []float64{80, 90, 100}},
	} {
		t.Run(name, func(t *testing.T) { require.InDeltaSlice(t, c.want, apart(c.places, 10, 0, 100), 1e-9) })
	}
}

// Both plots are written beside the page.
func TestWriteCurves(t *testing.T) {
	b := &bench{curves: testCurves()}
	dir := t.TempDir()
	require.NoError(t, b.writeCurves(dir))
	for _, name := range []string{curveTimeFile, curveMemoryFile} {
		svg, err := os.ReadFile(dir + "/" + name)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(svg), "<svg "))
	}
}
