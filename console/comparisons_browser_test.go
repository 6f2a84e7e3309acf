//go:build !race

package console

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/browsertest"
)

// at has the console answer at an address, as a process that is started there does.
func (w *world) at(address string) (stop func(), bound string) {
	w.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", address)
	require.NoError(w.t, err)
	s := &http.Server{Handler: w.c, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	w.t.Cleanup(func() { _ = s.Close() })
	return func() { _ = s.Close() }, l.Addr().String()
}

// until waits for an expression to be true.
func until(t *testing.T, b *browsertest.Browser, expression string) {
	t.Helper()
	require.Eventually(t, func() bool { return browsertest.Eval[bool](b, expression) }, 30*time.Second, 20*time.Millisecond, expression)
}

// look holds a page to what people see and hear of it, and takes its picture where
// CONSOLE_PICTURES names a directory for that.
func (w *world) look(t *testing.T, b *browsertest.Browser, name string) {
	t.Helper()
	b.Look(1024, 900, "light", "screen")
	b.Check("structure", name)
	b.Axe(name)
	for _, width := range []int{390, 1600} {
		for _, scheme := range []string{"light", "dark"} {
			b.Look(width, 900, scheme, "screen")
			b.Check("overflow", fmt.Sprintf("%s, %d px wide", name, width))
			if dir := os.Getenv("CONSOLE_PICTURES"); dir != "" {
				height := min(2400, browsertest.Eval[int](b, "document.scrollingElement.scrollHeight"))
				b.Look(width, height, scheme, "screen")
				require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), b.Picture(0, width, height), 0o600))
			}
		}
		b.Check("contrast", name)
	}
}

// TestComparisonInBrowser follows a comparison to its end.
func TestComparisonInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "Cust1").open()
	b := browsertest.New(t)
	w.customers["Cust1"].lose(t, "contact", 3)
	first := w.run(job{Member: "Cust1", Kind: kindComparison})
	w.customers["Cust1"].lose(t, "person", 7)
	reached, release := w.held("Cust1")

	b.Visit(w.server.URL + "/mirrors/Cust1/comparisons")
	b.Do(chromedp.Click("form.form .primary"))
	<-reached
	until(t, b, `document.querySelector("[sse-connect]") !== null`)
	id := first.ID + 1
	l := w.c.jobs.get(id)
	for i := range 20 {
		l.compared(mirror.Progress{Table: fmt.Sprintf("table%02d", i), Rows: 50, Expected: 50, TablesDone: i + 1, Tables: 40})
	}
	l.compared(mirror.Progress{Table: "contact", Rows: 1234567, Expected: 4800000, Remaining: 3 * time.Minute, TablesDone: 20, Tables: 40})
	l.compared(mirror.Progress{Table: "person", Rows: 12, TablesDone: 20, Tables: 40})
	until(t, b, `document.querySelector("#moving").textContent.includes("1,234,567 of about 4,800,000 rows, about 3 minutes left")`)
	until(t, b, `document.querySelector("[role=status]").textContent === "Comparison: 50 percent of the tables are done."`)
	w.look(t, b, "comparison-running")
	require.EqualValues(t, 1, w.c.streams.Load())
	release()
	until(t, b, `document.querySelector("h1").textContent === "The mirror differs from its source"`)
	until(t, b, `document.querySelector("[sse-connect]") === null`)
	until(t, b, `document.querySelector("#told").textContent === "Comparison 2 is over: The mirror differs from its source."`)
	require.Eventually(t, func() bool { return w.c.streams.Load() == 0 }, 20*time.Second, 10*time.Millisecond, "the stream is closed")
	w.look(t, b, "comparison-report")
	b.Quiet()

	b.Visit(w.server.URL + fmt.Sprintf("/mirrors/Cust1/comparisons/%d/since/%d", id, first.ID))
	w.look(t, b, "comparison-since")
	w.run(job{Member: "Cust1", Kind: kindComparison})
	w.customers["Cust1"].onOpen(func(context.Context) error { return fmt.Errorf("login failed for user 'mirror_reader'") })
	failed := w.run(job{Member: "Cust1", Kind: kindComparison})
	b.Visit(w.server.URL + fmt.Sprintf("/mirrors/Cust1/comparisons/%d", failed.ID))
	w.look(t, b, "comparison-failed")
	b.Visit(w.server.URL + "/mirrors/Cust1/comparisons")
	w.look(t, b, "comparisons")
	b.Do(chromedp.SendKeys("#f-tables", "contcat"), chromedp.Click("form.form .primary"))
	until(t, b, `document.querySelector(".error") !== null`)
	b.Check("structure", "a wrong table")
	b.Axe("a wrong table")
}

// TestRestartInBrowser has a stream that ended with the process taken up again.
func TestRestartInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "Cust1").open()
	b := browsertest.New(t)
	stop, address := w.at("127.0.0.1:0")
	reached, release := w.held("Cust1")
	path := w.post("/mirrors/Cust1/comparisons", nil)
	<-reached
	b.Visit("http://" + address + path)
	require.Eventually(t, func() bool { return w.c.streams.Load() == 1 }, 20*time.Second, 10*time.Millisecond)
	w.close()
	stop()
	w.open()
	<-reached
	_, _ = w.at(address)
	require.Eventually(t, func() bool { return w.c.streams.Load() == 1 }, 30*time.Second, 10*time.Millisecond, "the stream is taken up again")
	w.c.jobs.get(jobAt(t, path)).compared(mirror.Progress{Table: "contact", Rows: 7, Expected: 9, Tables: 5})
	until(t, b, `document.querySelector("#moving").textContent.includes("7 of about 9 rows")`)
	release()
	until(t, b, `document.querySelector("h1").textContent === "The mirror is identical to its source"`)
}

// TestNoScriptsInBrowser has the page of a running comparison loaded again by itself.
func TestNoScriptsInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "Cust1").open()
	b := browsertest.New(t)
	b.Do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	reached, release := w.held("Cust1")
	path := w.post("/mirrors/Cust1/comparisons", nil)
	<-reached
	b.Visit(w.server.URL + path)
	require.Zero(t, w.c.streams.Load(), "no script runs")
	release()
	until(t, b, `document.querySelector("h1")?.textContent === "The mirror is identical to its source"`)
	b.Quiet()
}
