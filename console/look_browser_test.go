//go:build !race

package console_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/internal/browsertest"
)

var pictures = flag.String("pictures", "", "a directory for pictures of the samples, to look at")

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// serve serves the samples under their names, with the console's policy.
func serve(t *testing.T, more func(*http.ServeMux)) string {
	t.Helper()
	mux := http.NewServeMux()
	for name, s := range samples(t) {
		html := render(t, s)
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(html) })
	}
	mux.HandleFunc("GET /assets/report.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		_, _ = w.Write([]byte(htmlreport.Style()))
	})
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServer(http.Dir("assets"))))
	if more != nil {
		more(mux)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestLookInBrowser holds every sample to what people see and hear of it.
func TestLookInBrowser(t *testing.T) {
	t.Parallel()
	all, b := serve(t, nil), browsertest.New(t)
	for name := range samples(t) {
		t.Run(name, func(t *testing.T) {
			b := b.Of(t)
			b.Look(1024, 900, "light", "screen")
			b.Visit(all + "/" + name)
			b.Check("structure", name)
			for _, scheme := range []string{"light", "dark"} {
				b.Look(1024, 900, scheme, "screen")
				b.Check("contrast", scheme)
			}
			for _, width := range []int{320, 390, 740, 1024, 1600} {
				b.Look(width, 900, "light", "screen")
				b.Check("overflow", fmt.Sprintf("%s, %d px wide", name, width))
			}
			b.Look(720, 900, "dark", "print") // A4 within its margins
			b.Check("overflow", "printed")
			require.True(t, browsertest.Eval[bool](b, `[...document.querySelectorAll(".data, .facts, .crumbs")].every((el) => el.offsetHeight > 0)`), "printed")
			b.Quiet()
			if *pictures != "" {
				album(t, b, all, name)
			}
		})
	}
	t.Run("keyboard", func(t *testing.T) {
		b := b.Of(t)
		b.Look(1024, 900, "light", "screen")
		b.Visit(all + "/reset")
		press := func(key string) { b.Do(chromedp.KeyEvent(key)) }
		press(kb.Tab)
		require.Equal(t, "Skip to the page", browsertest.Eval[string](b, "document.activeElement.textContent"))
		require.Positive(t, browsertest.Eval[float64](b, "document.activeElement.getBoundingClientRect().left"), "it is seen when it has the focus")
		press(kb.Tab)
		want := browsertest.Eval[int](b, `document.querySelectorAll("main :is(a[href], button, input:not([type=hidden]), select, textarea, summary):not(:disabled)").length`)
		require.Greater(t, want, 15)
		reached := 0
		for range 100 {
			if browsertest.Eval[bool](b, "document.activeElement === document.body") {
				break
			}
			require.True(t, browsertest.Eval[bool](b, `(() => {
				const s = getComputedStyle(document.activeElement);
				return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
			})()`), "the focus is seen on %s", browsertest.Eval[string](b, "document.activeElement.outerHTML"))
			if browsertest.Eval[bool](b, `document.activeElement.closest("main") !== null`) {
				reached++
			}
			press(kb.Tab)
		}
		require.Equal(t, want, reached)
		b.Quiet()
	})
}

// TestScripts has htmx replace parts of a page, when asked and by events of the server,
// under the console's policy, and looks for what it keeps of a page.
func TestScripts(t *testing.T) {
	t.Parallel()
	layout := ui.Layout{Title: "Scripts", Page: "secret of a customer"}
	html := render(t, sample{`<h1>Scripts</h1><p>{{.}}</p><button class="button" id="ask" hx-get="/answer" hx-target="#answer" hx-push-url="true">Ask</button><p id="answer"></p>
<div hx-ext="sse" sse-connect="/events" sse-close="over"><p id="live" sse-swap="progress"></p><div hx-get="/over" hx-trigger="sse:over" hx-target="#main" hx-select="#main" hx-swap="outerHTML"></div></div>`, layout})
	evil := render(t, sample{`<h1>Evil</h1><button class="button" id="evil" hx-get="/answer" hx-vals="js:{x: window.hacked = 1}" hx-on:click="window.hacked = 1" hx-target="#answer">Evil</button><p id="answer"></p>`, layout})
	over := render(t, sample{`<h1>It is over</h1>`, layout})
	end := make(chan struct{})
	url := serve(t, func(mux *http.ServeMux) {
		mux.HandleFunc("GET /scripts", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(html) })
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(render(t, sample{`<h1>Found</h1><p id="found">{{.}}</p>`, ui.Layout{Page: r.URL.Query().Encode()}}))
		})
		mux.HandleFunc("GET /over", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(over) })
		mux.HandleFunc("GET /evil", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(evil) })
		mux.HandleFunc("GET /answer", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<b>answered</b>")) })
		mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte("event: progress\ndata: <b>7 of 9</b>\n\n"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-end:
			case <-r.Context().Done():
			}
			_, _ = w.Write([]byte("event: over\ndata:\n\n"))
		})
	})
	b := browsertest.New(t)
	b.Visit(url + "/scripts")
	until := func(expression string) {
		t.Helper()
		require.Eventually(t, func() bool { return browsertest.Eval[bool](b, expression) }, 20*time.Second, 20*time.Millisecond, expression)
	}
	require.Equal(t, "false false true 0", browsertest.Eval[string](b, "[htmx.config.allowEval, htmx.config.includeIndicatorStyles, htmx.config.selfRequestsOnly, htmx.config.historyCacheSize].join(' ')"))
	until(`document.querySelector("#live").innerHTML === "<b>7 of 9</b>"`)
	b.Do(chromedp.Click("#ask"))
	until(`document.querySelector("#answer").innerHTML === "<b>answered</b>" && location.pathname === "/answer"`)
	require.False(t, browsertest.Eval[bool](b, `[localStorage, sessionStorage].some((s) => JSON.stringify(s).includes("secret"))`), "nothing of a page is kept")
	close(end)
	until(`document.querySelector("h1").textContent === "It is over" && document.querySelectorAll("main").length === 1`)
	b.Quiet()

	b.Visit(url + "/mirrors")
	b.Do(chromedp.SendKeys("#c-search", "2")) // before what is there
	until(`document.querySelector("#found").textContent === "q=2Cust&state=bad" && location.search === "?state=bad&q=2Cust"`)
	require.Equal(t, "c-search", browsertest.Eval[string](b, "document.activeElement.id"), "who types goes on")
	b.Quiet()

	b.Visit(url + "/evil")
	b.Do(chromedp.Click("#evil"))
	until(`document.querySelector("#answer").innerHTML !== ""`)
	require.False(t, browsertest.Eval[bool](b, `"hacked" in window`), "no text of a page is run")
}

// album takes pictures of a sample.
func album(t *testing.T, b *browsertest.Browser, all, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(*pictures, 0o755))
	b.Visit(all + "/" + name)
	for _, width := range []int{390, 1024, 1600} {
		for _, scheme := range []string{"light", "dark"} {
			b.Look(width, 700, scheme, "screen")
			height := min(2600, browsertest.Eval[int](b, "document.scrollingElement.scrollHeight"))
			b.Look(width, height, scheme, "screen")
			file := fmt.Sprintf("%s-%d-%s.png", strings.ReplaceAll(name, "/", "-"), width, scheme)
			require.NoError(t, os.WriteFile(filepath.Join(*pictures, file), b.Picture(0, width, height), 0o600))
		}
	}
}
