package console

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// event is one of a stream.
type event struct{ name, data string }

// events opens a job's stream.
func (w *world) events(ctx context.Context, id int64, header http.Header) (next func() (event, bool), resp *http.Response) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/jobs/%d/events", w.server.URL, id), nil)
	require.NoError(w.t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err = w.client.Do(req)
	require.NoError(w.t, err)
	lines := bufio.NewScanner(resp.Body)
	return func() (e event, ok bool) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case lines.Text() == "" && ok:
				return e, true
			case name == "event":
				e.name, ok = value, true
			case name == "data":
				e.data += value + "\n"
			case name != "":
				w.t.Errorf("a line of no meaning: %q", lines.Text())
			}
		}
		return e, false
	}, resp
}

// TestEvents reads a stream to its end, of a comparison whose tables have hostile names.
func TestEvents(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	reached, release := w.held("Cust1")
	id := jobAt(t, w.post("/mirrors/Cust1/comparisons", nil))
	<-reached
	next, resp := w.events(t.Context(), id, http.Header{"Last-Event-Id": {"7"}})
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	require.Equal(t, policy, resp.Header.Get("Content-Security-Policy"))
	expect := func(name, part string) {
		t.Helper()
		e, ok := next()
		require.True(t, ok)
		require.Equal(t, name, e.name)
		require.Contains(t, e.data, part)
		require.NotContains(t, e.data, "<script")
	}
	expect("progress", "The databases are opened")
	expect("said", "Comparison: it is running.")
	l := w.c.jobs.get(id)
	l.compared(mirror.Progress{Table: "<script>\r\ndata: x\revent: over\n\n\u2028", Rows: 5, Expected: 9, Tables: 3})
	expect("progress", "5 of about 9 rows")
	expect("said", "0 percent")
	for i := range int64(100) {
		l.compared(mirror.Progress{Table: "contact", Rows: i, Expected: 100, Tables: 3})
	}
	for e, ok := next(); ; e, ok = next() { // they are fewer than the observations, and the last one is told
		require.True(t, ok)
		require.Equal(t, "progress", e.name)
		if strings.Contains(e.data, "99 of about 100 rows") {
			break
		}
	}
	release()
	for {
		e, ok := next()
		require.True(t, ok)
		if e.name == "over" {
			break
		}
		require.Contains(t, []string{"progress", "said"}, e.name)
	}
	_, more := next()
	require.False(t, more, "nothing comes after the end")

	// What is over is said to be, to who asks later, whatever they saw last.
	next, resp = w.events(t.Context(), id, http.Header{"Last-Event-Id": {"-1"}})
	defer resp.Body.Close()
	expect("over", "")
	_, more = next()
	require.False(t, more)
	_, resp = w.events(t.Context(), 999, nil)
	defer resp.Body.Close()
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestSendLines(t *testing.T) {
	rec := httptest.NewRecorder()
	s := stream{w: rec, c: http.NewResponseController(rec)}
	require.NoError(t, s.send("progress", []byte("a\rb\r\nevent: over\n\nc")))
	require.Equal(t, "event: progress\ndata: a\ndata: b\ndata: \ndata: event: over\ndata: \ndata: c\n\n", rec.Body.String())
}

// TestClosedStream leaves nothing behind of pages that were closed.
func TestClosedStream(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	reached, release := w.held("Cust1")
	id := jobAt(t, w.post("/mirrors/Cust1/comparisons", nil))
	<-reached
	w.client.CloseIdleConnections()
	ignore := goleak.IgnoreCurrent()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		next, resp := w.events(ctx, id, nil)
		_, ok := next()
		require.True(t, ok)
		cancel()
		resp.Body.Close()
	}
	require.Eventually(t, func() bool { return w.c.streams.Load() == 0 }, 20*time.Second, time.Millisecond)
	w.client.CloseIdleConnections()
	goleak.VerifyNone(t, ignore)
	release()
	w.end(id)
}

// TestStreamEndsWithProcess ends streams without the event "over", so that pages take them
// up again.
func TestStreamEndsWithProcess(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	reached, release := w.held("Cust1")
	id := jobAt(t, w.post("/mirrors/Cust1/comparisons", nil))
	<-reached
	next, resp := w.events(t.Context(), id, nil)
	defer resp.Body.Close()
	_, ok := next()
	require.True(t, ok)
	require.NoError(t, w.c.Close())
	for e, ok := next(); ok; e, ok = next() {
		require.NotEqual(t, "over", e.name)
	}
	w.server.CloseClientConnections()
	w.server.Close()
	w.c = nil
	release()
}

// slowWriter takes nothing once its buffer is full, until its deadline.
type slowWriter struct {
	http.ResponseWriter
	deadline time.Time
	writes   int
}

func (s *slowWriter) SetWriteDeadline(t time.Time) error { s.deadline = t; return nil }
func (s *slowWriter) SetReadDeadline(time.Time) error    { return nil }
func (s *slowWriter) Flush()                             {}
func (s *slowWriter) Write(p []byte) (int, error) {
	if s.writes++; s.writes > 1 {
		return 0, &net.OpError{Op: "write", Err: context.DeadlineExceeded}
	}
	return len(p), nil
}

// TestSlowReader gives up on a page that does not read, after a time.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	reached, release := w.held("Cust1")
	id := jobAt(t, w.post("/mirrors/Cust1/comparisons", nil))
	<-reached
	slow := &slowWriter{ResponseWriter: httptest.NewRecorder()}
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	req.SetPathValue("job", fmt.Sprint(id))
	require.NoError(t, w.c.events(&visit{Request: req, w: slow, actor: "ada"}))
	require.Equal(t, 2, slow.writes)
	require.WithinDuration(t, time.Now().Add(eventsTimeout), slow.deadline, eventsTimeout)
	require.Zero(t, w.c.streams.Load())
	release()
	w.end(id)
}

// plain is a source that has nothing but its rows, and waits before those of a table.
type plain struct {
	store.Source
	at     string
	begun  chan struct{}
	paused atomic.Bool
}

func (s *plain) Rows(ctx context.Context, q store.Query) iter.Seq2[[]store.Row, error] {
	rows := s.Source.Rows(ctx, q)
	return func(yield func([]store.Row, error) bool) {
		if q.Table.Name == s.at && s.paused.Load() {
			select {
			case s.begun <- struct{}{}:
			default:
			}
			<-ctx.Done()
			yield(nil, ctx.Err())
			return
		}
		rows(yield)
	}
}

// plainly opens a customer whose source tracks no changes.
func (w *world) plainly(id, at string) *plain {
	c := w.customers[id]
	s := &plain{Source: c.source, at: at, begun: make(chan struct{}, 1)}
	w.fleet.Members[0].Open = func(context.Context) (*fleet.Connection, error) {
		m, err := mirror.New(id, c.mirror, nil)
		return &fleet.Connection{Mirror: m, Source: s}, err
	}
	return s
}

// TestStopAndGoOn stops a comparison in the middle, looks at what it found, and goes on.
func TestStopAndGoOn(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.customers["Cust1"].lose(t, "contact", 7)
	source := w.plainly("Cust1", "sale")
	source.paused.Store(true)
	w.open()
	path := w.post("/mirrors/Cust1/comparisons", nil)
	id := jobAt(t, path)
	<-source.begun
	l := w.c.jobs.get(id)
	require.Eventually(t, func() bool { _, p := l.now(); return p.TablesDone == len(worldTables)-1 }, 20*time.Second, time.Millisecond)
	html := w.get(path)
	require.Contains(t, html, "4 of 5 tables done")
	w.post(fmt.Sprintf("/jobs/%d/stop", id), nil)
	html = w.get(path)
	require.Contains(t, html, "It was stopped.")
	require.Contains(t, html, "4 of 5 tables were compared to the end")
	require.Contains(t, html, "begins where it was")
	require.Contains(t, html, "not all of it was compared")
	require.Contains(t, html, fmt.Sprintf(`action="/jobs/%d/resume"`, id))
	require.Equal(t, 1, strings.Count(html, "<h1"))
	source.paused.Store(false)
	require.Equal(t, path, w.post(fmt.Sprintf("/jobs/%d/resume", id), nil))
	require.Equal(t, statusDone, w.end(id).Status)
	html = w.get(path)
	require.NotContains(t, html, "/resume")
	require.Contains(t, html, "5 of 5 tables")
	require.Equal(t, "that comparison was stopped before the end of the table", whyOf(difference{Became: becameOnlyNow, Before: &mirror.TableReport{Verdict: mirror.VerdictUnfinished, Reason: "context canceled"}}))
}

// TestRecheckPage rechecks what a source without change tracking leaves unknown.
func TestRecheckPage(t *testing.T) {
	w := newWorld(t, "Cust1")
	w.customers["Cust1"].lose(t, "contact", 7)
	w.plainly("Cust1", "")
	w.open()
	first := w.end(jobAt(t, w.post("/mirrors/Cust1/comparisons", nil)))
	path := fmt.Sprintf("/mirrors/Cust1/comparisons/%d", first.ID)
	require.Contains(t, w.get(path), fmt.Sprintf(`action="%s/recheck"`, path))
	at := w.post(path+"/recheck", nil)
	second := w.end(jobAt(t, at))
	require.Equal(t, kindRecheck, second.Kind)
	require.Equal(t, first.ID, second.Request.Of)
	require.Equal(t, statusDone, second.Status, second.Error)
	html := w.get(at)
	require.Contains(t, html, fmt.Sprintf("Recheck of %d", first.ID))
	require.Contains(t, html, fmt.Sprintf(`action="%s/recheck"`, at), "it is rechecked after each cycle")
	require.Contains(t, w.get("/mirrors/Cust1/comparisons"), fmt.Sprintf("Recheck of %d", first.ID))
	require.Contains(t, w.get(fmt.Sprintf("%s/since/%d", at, first.ID)), "Nothing changed")
	require.Equal(t, http.StatusConflict, w.do(w.request("POST", fmt.Sprintf("/jobs/%d/resume", second.ID), url.Values{})).code)
}

// TestMoving holds what moves of each kind of job.
func TestMoving(t *testing.T) {
	w := newWorld(t, "Cust1").open()
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	lsn := store.LSN(-1)
	for name, c := range map[string]struct {
		job      job
		progress progress
		want     []string
	}{
		"queued":             {job{Kind: kindComparison, Status: statusQueued}, progress{}, []string{"waits for its turn"}},
		"beginning":          {job{Kind: kindComparison, Status: statusRunning}, progress{}, []string{"databases are opened"}},
		"recheck":            {job{Kind: kindRecheck, Status: statusRunning}, progress{}, []string{"read once more"}},
		"more rows than due": {job{Kind: kindComparison, Status: statusRunning}, progress{Tables: 1, Reading: []reading{{"x", 12, 9, 0}}}, []string{`max="9" value="9"`, "12 of about 9 rows"}},
		"time so far":        {job{Kind: kindComparison, Status: statusRunning, Started: w.c.now().Add(-5 * time.Minute)}, progress{Tables: 4, TablesDone: 2}, []string{"5 minutes so far", "about 5 minutes left"}},
		"validation begins":  {job{Kind: kindValidation, Status: statusRunning}, progress{}, []string{"databases are opened"}},
		"validation":         {job{Kind: kindValidation, Status: statusRunning}, progress{Tables: 4, TablesDone: 1, Check: &replica.Progress{}}, []string{"1 of 4 tables compared"}},
		"validation waits":   {job{Kind: kindValidation, Status: statusRunning}, progress{Tables: 4, TablesDone: 4, Check: &replica.Progress{Open: 3, Next: at}}, []string{"3 keys to be read again", "2026-11-27 12:00 UTC"}},
		"waiting begins":     {job{Kind: kindWaiting, Status: statusRunning}, progress{}, []string{"mirror is looked at"}},
		"waiting": {job{Kind: kindWaiting, Status: statusRunning}, progress{Wait: &heal.WaitReport{Next: at, Tables: []heal.WaitTable{
			{Table: "contact", State: heal.WaitFilling, LSN: &lsn, Rows: 7, Expected: 40, Remaining: 3 * time.Minute}, {Table: "<i>", State: heal.WaitRequested},
			{Table: "sale", State: heal.WaitPopulated, Rows: 9, Expected: 9}, {Table: "x", State: heal.WaitLost}, {Table: "y", State: heal.WaitNotRequested}, {Table: "z", State: "<b>"},
		}}}, []string{"2 of 6 tables populated", "filling", "waits for a cycle", "populated", "reset lost", "was not reset", "7 of about 40 rows, about 3 minutes left", "2026-11-27 12:00 UTC", "&lt;i&gt;", "&lt;b&gt;"}},
		"change": {job{Kind: kindChange, Status: statusRunning}, progress{}, []string{"whole or not at all"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, w.c.renderLive(&b, c.job, c.progress))
			for _, want := range c.want {
				require.Contains(t, b.String(), want)
			}
			require.NotContains(t, b.String(), "role=\"status\"")
			require.NotEmpty(t, said(c.job, c.progress))
		})
	}
}

// largeReport has 300 tables with 10,000 rows that differ.
func largeReport(t testing.TB) *mirror.Report {
	t.Helper()
	r := &mirror.Report{Version: 1, ContextID: "Cust1", Depth: mirror.DepthRows}
	for i := range 300 {
		tr := mirror.TableReport{Table: fmt.Sprintf("table%03d", i), Verdict: mirror.VerdictIdentical, SourceRows: 10000, MirrorRows: 10000, Key: []string{"id"}, HasMetadata: true, MetadataRows: 1}
		if i%3 == 0 {
			tr.Verdict, tr.MirrorRows, tr.Missing = mirror.VerdictDifferent, 9900, 100
			for k := range 100 {
				d := mirror.Difference{Kind: mirror.DiffMissing, State: mirror.DiffDiverged, Rows: 1, Key: []store.Cell{store.NewCell(store.Column{Name: "id", Type: store.Type{Name: "int"}}, int64(k*37))}}
				tr.Differences = append(tr.Differences, d)
				if k < 10 {
					tr.Samples = append(tr.Samples, d)
				}
			}
			tr.Diverged = 100
		}
		r.Tables = append(r.Tables, tr)
	}
	return r
}

// BenchmarkReportPage is the page of a report of 300 tables with 10,000 rows that differ.
func BenchmarkReportPage(b *testing.B) {
	w := newWorld(b, "Cust1").open()
	r := largeReport(b)
	r.Finished = time.Now()
	require.NoError(b, w.c.Record(b.Context(), r))
	require.NoError(b, w.c.Record(b.Context(), r))
	for _, path := range []string{"/mirrors/Cust1/comparisons/1", "/mirrors/Cust1/comparisons/2/since/1", "/mirrors/Cust1/comparisons"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(float64(len(w.get(path)))/1e3, "kB")
			}
		})
	}
}
