package main

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store/sqlite"
)

func TestParse(t *testing.T) {
	t.Setenv(dsnVariable, "")
	o, err := parse([]string{"-dir", "x"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, options{
		dir: "x", rows: []int{100_000, 1_000_000, 10_000_000}, large: million, remote: million, check: 2 * million, upTo: million, pairs: 3, only: parts(),
	}, o)

	o, err = parse([]string{"-rows", " 20000, 10000,20000", "-only", "damage, naive"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []int{10_000, 20_000}, o.rows)
	require.Equal(t, []string{"damage", "naive"}, o.only)

	for name, c := range map[string]struct{ args, want string }{
		"rows that are no number": {"-rows 1e6", "-rows 1e6: want numbers from 10,000 to 100,000,000"},
		"few rows":                {"-rows 100000,9999", "want numbers from 10,000"},
		"no pairs":                {"-pairs 0", "-pairs 0: want at least 1"},
		"a short curve":           {"-curve-max 100", "-curve-max 100: want a number from 10,000"},
		"an unknown part":         {"-only stream,speed", "-only stream,speed: want some of stream,naive,damage,replica,curve,digest"},
		"an argument":             {"quick", `unexpected "quick"`},
		"an unknown flag":         {"-fast", "flag provided but not defined: -fast"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(c.args), io.Discard)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = parse([]string{"-h"}, io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
}

func TestDiskTooSmall(t *testing.T) {
	o := options{rows: []int{maxRows}, large: million, only: []string{"stream"}}
	d := data{dir: t.TempDir(), free: func(string) (int64, error) { return 3 << 30, nil }}
	require.ErrorContains(t, d.prepare(o), "where 3.0 GiB are free: name another directory with -dir")
	o.rows = []int{million}
	require.NoError(t, d.prepare(o))
}

// The files must have exactly the rows and the differences that the judgement
// takes for granted, and the driver must read what Compare reads.
func TestFiles(t *testing.T) {
	const rows = 1000
	ctx := t.Context()
	d := data{dir: t.TempDir()}
	source, mirrored, err := d.pair(ctx, rows)
	require.NoError(t, err)
	damaged, err := d.damaged(ctx, rows, 100)
	require.NoError(t, err)
	for _, c := range []struct {
		contestant, mirror string
		changed            int64
	}{
		{"driver", mirrored, 0}, {"compare", mirrored, 0}, {"naive", mirrored, 0}, {"compare", damaged, 10}, {"naive", damaged, 10},
	} {
		var r result
		require.NoError(t, measureFiles(ctx, task{Contestant: c.contestant, Rows: rows, Source: source, Mirror: c.mirror}, &r))
		require.Equal(t, c.changed, r.Changed, c)
		require.Positive(t, r.Seconds)
		require.Error(t, measureFiles(ctx, task{Contestant: c.contestant, Rows: rows + 1, Source: source, Mirror: c.mirror}, &r), c)
	}
	require.NoError(t, d.clean())
	require.NoFileExists(t, source)
}

func TestShifted(t *testing.T) {
	d := data{dir: t.TempDir()}
	path, _, err := d.pair(t.Context(), 100)
	require.NoError(t, err)
	st, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	defer st.Close()
	db := st.DB()
	_, err = db.Exec("CREATE TABLE copy AS SELECT * FROM contact WHERE 0; " + shifted(contactTable(), "copy", "contact", 1_000_000) + " LIMIT 70")
	require.NoError(t, err)
	var n int
	require.NoError(t, db.Get(&n, "SELECT COUNT(*) FROM copy JOIN contact ON copy.contact_id = contact.contact_id + 1000000 AND copy.name = contact.name"))
	require.Equal(t, 70, n)
}

func TestNaiveStructHasEveryColumn(t *testing.T) {
	var tags []string
	for f := range reflect.TypeFor[contact]().Fields() {
		tags = append(tags, f.Tag.Get("db"))
	}
	require.Equal(t, contactTable().ColumnNames(), tags)
}

func TestRounds(t *testing.T) {
	r := rounds{tasks: make([]task, 2), results: [][]result{
		{{Seconds: 1, PeakMiB: 5}, {Seconds: 10, PeakMiB: 9, Changed: 1}, {Seconds: 3, PeakMiB: 7}},
		{{Seconds: 2}, {Seconds: 12}, {Seconds: 3}},
	}}
	require.EqualValues(t, 3, r.seconds(0))
	require.EqualValues(t, 9, r.peak(0))
	require.InDelta(t, 1.2, r.ratio(1, 0), 1e-9, "of 2, 1.2 and 1")
	require.NoError(t, r.changed(1, 0))
	require.ErrorContains(t, r.changed(0, 0), "found 1 changed rows, not 0")
	require.EqualValues(t, 2.5, median([]float64{4, 1, 3, 2}, func(x float64) float64 { return x }))
}

func TestSlowLink(t *testing.T) {
	const (
		bits = 8_000_000
		size = 200_000
		// ideal is what the line needs for the bytes, and the delay of a
		// question and its answer.
		ideal = size*8*time.Second/bits + 2*delay
	)
	link, conn := linkTo(t, bits, func(c net.Conn) {
		question := make([]byte, 3)
		if _, err := io.ReadFull(c, question); err == nil {
			_, _ = c.Write([]byte(strings.Repeat(string(question[:1]), size)))
		}
	})
	started := time.Now()
	_, err := conn.Write([]byte("abc"))
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("a", size), string(answer))
	require.EqualValues(t, size+3, link.bytes())
	require.GreaterOrEqual(t, time.Since(started), ideal, "faster than the line")
	require.NoError(t, link.close())
}

const delay = 20 * time.Millisecond

// A connection that ends on one side ends on the other, and a link that is
// closed leaves no goroutine waiting.
func TestSlowLinkEnds(t *testing.T) {
	t.Run("by the client", func(t *testing.T) {
		ended := make(chan error, 1)
		_, conn := linkTo(t, 1_000_000, func(c net.Conn) {
			_, err := io.Copy(io.Discard, c)
			ended <- err
		})
		require.NoError(t, conn.Close())
		<-ended
	})
	t.Run("by the link", func(t *testing.T) {
		link, conn := linkTo(t, 1_000_000, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		require.NoError(t, link.close())
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
	})
	t.Run("nobody behind it", func(t *testing.T) {
		link, err := newSlowLink(t.Context(), "127.0.0.1:1", 1_000_000, 0)
		require.NoError(t, err)
		conn, err := net.Dial("tcp", link.addr())
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.NoError(t, link.close())
	})
}

// linkTo connects to a server through a slow link.
func linkTo(t *testing.T, bits int, serve func(net.Conn)) (*slowLink, net.Conn) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		c, err := server.Accept()
		if err != nil {
			return
		}
		serve(c)
		_ = c.Close()
	}()
	link, err := newSlowLink(context.Background(), server.Addr().String(), bits, delay)
	require.NoError(t, err)
	t.Cleanup(func() { _ = link.close() })
	conn, err := net.Dial("tcp", link.addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return link, conn
}

func TestTable(t *testing.T) {
	lines := []line{
		{"time", 1_000_000, "driver 4.00 s", "4.40 s", "1.10", "≤ 1.10", "ok"},
		{"a slow link", 20_000, "", "", "", "", "not run"},
	}
	require.Equal(t, `measurement       rows  against        Compare  ratio  wanted  result
time         1,000,000  driver 4.00 s  4.40 s   1.10   ≤ 1.10  ok
a slow link     20,000                                         not run
`, table(lines))
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		require.Equal(t, want, grouped(n))
	}
	require.Equal(t, "0.12 s", seconds(0.123))
	require.Equal(t, "12.3 s", seconds(12.34))
	require.Equal(t, "4,106 MiB", mib(4105.6))
	require.Equal(t, "1.5 MB", megabytes(1_500_000))
	require.Equal(t, "24 kB", megabytes(24_100))
}

func testSeries() map[string][]point {
	return map[string][]point{
		"driver":  {{100_000, 0.46, 27}, {1_000_000, 3.9, 27}, {10_000_000, 40, 28}},
		"compare": {{100_000, 0.5, 27}, {1_000_000, 4.6, 28}, {10_000_000, 47, 29}},
		"naive":   {{100_000, 1.9, 340}, {1_000_000, 25, 3900}},
	}
}

func TestPlot(t *testing.T) {
	for name, series := range map[string]map[string][]point{
		"all": testSeries(), "one point": {"compare": {{20_000, 0, 0}}}, "nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			svg := string(plot(series))
			require.NotContains(t, svg, "NaN")
			require.NotContains(t, svg, "Inf")
			require.NotContains(t, svg, "%!")
			dots := 0
			for d := xml.NewDecoder(strings.NewReader(svg)); ; {
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
			for _, points := range series {
				want += 2 * len(points) // one in each panel
			}
			require.Equal(t, want, dots)
		})
	}
}

func TestMarkdown(t *testing.T) {
	b := &bench{options: options{pairs: 3}, series: testSeries()}
	b.add(line{"time", 1_000_000, "driver 4.00 s", "4.40 s", "1.10", "≤ 1.10", "ok"})
	text := string(b.markdown([]fact{{"Go", "1.26.0"}}))
	require.Contains(t, text, "| time | 1,000,000 | driver 4.00 s | 4.40 s | 1.10 | ≤ 1.10 | ok |\n")
	require.Contains(t, text, "| Go | 1.26.0 |\n")
	require.Contains(t, text, "]("+plotFile+")")
	require.Contains(t, text, "the median of 3 rounds")
	require.NotContains(t, text, "%!")
}

// The two files of the part "replica" are a replica that is good, with all rows.
func TestReplicas(t *testing.T) {
	d := data{dir: t.TempDir(), free: freeBytes}
	older, newer, err := d.replicas(t.Context(), 2*replicaTables)
	require.NoError(t, err)
	var r result
	for _, contestant := range []string{"all tables", "check"} {
		require.NoError(t, measureReplica(t.Context(), task{Contestant: contestant, Rows: 2 * replicaTables, Source: older, Mirror: newer}, &r))
	}
	require.ErrorContains(t, measureReplica(t.Context(), task{Contestant: "all tables", Rows: 3, Source: older, Mirror: newer}, &r), "not 3")
}
