//go:build !race

package console

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/browsertest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// reader uses the pages by the keyboard alone.
type reader struct {
	t *testing.T
	b *browsertest.Browser
}

// focus is what has the focus: the words of a link or a button, the label of a field.
const focus = `((e) => (e.labels?.[0] ?? e).textContent.trim().replace(/\s+/g, " "))(document.activeElement ?? document.documentElement)`

// to moves the focus by the tab key to what is called so.
func (r reader) to(name string) {
	r.t.Helper()
	var seen []string
	for range 120 {
		r.b.Do(chromedp.KeyEvent(kb.Tab))
		is := browsertest.Eval[string](r.b, focus)
		if is == name {
			require.True(r.t, browsertest.Eval[bool](r.b, `(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 })()`), "the focus on %q is seen", name)
			return
		}
		seen = append(seen, is)
	}
	require.Failf(r.t, "not reached", "%q is not among %q", name, seen)
}

// press goes to a link or a button and presses it.
func (r reader) press(name string) {
	r.t.Helper()
	r.to(name)
	r.b.Do(chromedp.KeyEvent(kb.Enter))
}

// enter goes to a field and types into it.
func (r reader) enter(label, text string) {
	r.t.Helper()
	r.to(label)
	r.b.Do(chromedp.KeyEvent(text))
}

// sees waits for a page whose heading has these words.
func (r reader) sees(words string) {
	r.t.Helper()
	r.waits(`document.querySelector("h1")?.textContent ?? ""`, words)
}

// reads waits for a page that has these words.
func (r reader) reads(words string) {
	r.t.Helper()
	r.waits(`document.querySelector("main")?.innerText ?? ""`, words)
}

func (r reader) waits(text, words string) {
	r.t.Helper()
	for range 1000 {
		if strings.Contains(browsertest.Eval[string](r.b, text), words) {
			return
		}
		r.b.Do(chromedp.Sleep(30 * time.Millisecond))
	}
	require.Failf(r.t, "not seen", "%q is not on the page: %s", words, browsertest.Eval[string](r.b, "document.body?.innerText ?? ''"))
}

// TestStoryInBrowser is what an operator does with a mirror that lost rows, by the keyboard
// alone, with scripts and without: log in, compare, reset, undo, reset for good, wait for
// the cycle, and compare again.
func TestStoryInBrowser(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := withLogin(t)
			b := browsertest.New(t)
			b.Look(1280, 900, "light", "screen")
			if !scripts {
				b.Do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
					_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
					return err
				}))
			}
			customer := w.customers["Cust1"]
			customer.lose(t, "contact", 3)
			lsn := func() int64 {
				lsn, ok := customer.mirror.LSN("Cust1", "contact")
				require.True(t, ok)
				return int64(lsn)
			}
			before := lsn()
			r := reader{t, b}

			b.Visit(w.server.URL + "/mirrors/Cust1")
			r.sees("Log in")
			r.enter("Token", adasToken)
			b.Do(chromedp.KeyEvent(kb.Enter))
			r.sees("Cust1")
			r.press("Compare")
			r.sees("The mirror differs from its source")
			r.press("Reset what differs")
			r.sees("Reset")
			r.press("Go on to confirm")
			r.sees("Reset 1 table")
			require.Equal(t, before, lsn(), "nothing is done before it is confirmed")
			r.press("Reset 1 table")
			r.reads("Undo")
			require.EqualValues(t, -1, lsn())
			r.press("Undo")
			r.sees("The change is undone")
			require.Equal(t, before, lsn())

			r.press("Mirrors")
			r.sees("Mirrors")
			r.press("Cust1")
			r.sees("Cust1")
			r.press("Reset what differs")
			r.sees("Reset")
			r.press("Go on to confirm")
			r.sees("Reset 1 table")
			r.press("Reset 1 table")
			r.reads("Undo")
			customer.cycle(t)
			r.press("Wait for the cycle")
			r.reads("populated")
			r.press("Comparisons")
			r.sees("Comparisons")
			r.press("Compare")
			r.sees("The mirror is identical to its source")
			r.press("Log out")
			r.sees("Log in")
			if scripts {
				b.Quiet()
			}
			entries, err := w.c.state.entries(t.Context(), fold("Cust1"))
			require.NoError(t, err)
			require.Len(t, entries, 6)
			for _, e := range entries {
				require.Equal(t, "ada", e.Actor)
			}
		})
	}
}

// TestHardResetInBrowser types a wrong word first.
func TestHardResetInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "Cust1").open()
	b := browsertest.New(t)
	require.NoError(t, w.c.lookAt(t.Context(), w.c.order[0]))
	has := func() bool {
		_, ok := w.customers["Cust1"].mirror.LSN("Cust1", "contact")
		return ok
	}
	r := reader{t, b}
	b.Look(1280, 900, "light", "screen")
	b.Visit(w.server.URL + "/mirrors/Cust1/reset")
	r.enter("What", "Hard")
	r.press("Go on to confirm")
	r.reads("Type Cust1 to confirm")
	w.look(t, b, "confirm")
	b.Look(1280, 900, "light", "screen")
	for _, wrong := range []string{"cust1", "Сust1", "Cust1.", "Cust10195"} { // the second begins with a Cyrillic letter
		r.enter("Type Cust1 to confirm", wrong)
		b.Do(chromedp.KeyEvent(kb.Enter))
		require.Eventually(t, func() bool {
			return browsertest.Eval[bool](b, `document.querySelector("#f-confirm")?.getAttribute("aria-invalid") === "true" && document.querySelector("#f-confirm").value !== "`+wrong+`"`)
		}, 30*time.Second, 30*time.Millisecond)
		require.True(t, has(), "nothing was done after %q was typed", wrong)
	}
	w.look(t, b, "confirm-wrong")
	b.Look(1280, 900, "light", "screen")
	r.enter("Type Cust1 to confirm", "Cust1")
	b.Do(chromedp.KeyEvent(kb.Enter))
	r.reads("Undo")
	require.False(t, has())
	w.look(t, b, "receipt")
	b.Look(1280, 900, "light", "screen")
	r.press("Undo")
	r.sees("The change is undone")
	require.True(t, has())
	w.look(t, b, "undone")
}

// TestPagesInBrowser holds every page to what people see and hear of it, over a mirror whose
// names are hostile, and looks for what read-only must not offer.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	const hostile = `<img src=x onerror="hacked=1">'"&--><script>hacked=1</script>` + "\u202e"
	w := newWorld(t, "Cust1", "Cust2")
	c := w.customers["Cust1"]
	table := memory.Table{Name: hostile, Columns: []string{"id int", "text nvarchar(200)"}, Key: []string{"id"}, Rows: []store.Row{{1, hostile}, {2, hostile}}}
	require.NoError(t, c.source.Seed(table))
	c.cycle(t)
	require.NoError(t, c.mirror.Update(t.Context(), func(tx store.Tx) error {
		def, _, _ := c.mirror.Table(hostile)
		_, err := tx.Delete(t.Context(), def, []store.Cell{{Column: "id", Value: int64(2)}})
		return err
	}))
	w.open()
	m := w.c.members[fold("Cust1")]
	compared := w.run(job{Member: "Cust1", Kind: kindComparison, Actor: hostile})
	w.run(job{Member: "Cust1", Kind: kindComparison, Actor: hostile})
	changed := w.run(job{Member: "Cust1", Kind: kindChange, Actor: hostile, Request: request{Of: compared.ID, Change: change{Operation: opApply}}})
	require.NoError(t, w.c.lookAt(t.Context(), m))
	w.customers["Cust2"].onOpen(func(context.Context) error { return errors.New(hostile) })
	w.run(job{Member: "Cust2", Kind: kindComparison})
	require.Error(t, w.c.lookAt(t.Context(), w.c.members[fold("Cust2")]))
	pages := []string{
		"/", "/jobs", "/journal", "/mirrors/Cust1", "/mirrors/Cust2", "/mirrors/Cust1/comparisons", "/mirrors/Cust1/comparisons/1", "/mirrors/Cust1/comparisons/2/since/1",
		"/mirrors/Cust1/reset?of=1", fmt.Sprintf("/mirrors/Cust1/changes/%d", changed.ID), "/mirrors/Cust1/waiting", "/mirrors/Cust1/journal", "/mirrors/Cust1/validation",
		"/nothing", "/?q=" + url.QueryEscape(hostile),
	}
	b := browsertest.New(t)
	for _, path := range pages {
		t.Run(path, func(t *testing.T) {
			b := b.Of(t)
			b.Visit(w.server.URL + path)
			w.look(t, b, "page"+strings.NewReplacer("/", "-", "?", "-").Replace(path)[:min(len(path), 30)])
			require.False(t, browsertest.Eval[bool](b, `"hacked" in window || document.querySelector("img[onerror], main script") !== null`), "text of a database is run")
		})
	}
	w.close()
	w.opts.ReadOnly = true
	w.open()
	for _, path := range pages {
		b.Visit(w.server.URL + path)
		require.Empty(t, browsertest.Eval[[]string](b, `[...document.forms].map((f) => f.method + " " + new URL(f.action).pathname).filter((a) => /^post .*(reset|undo|reconcile)$/.test(a))`), path)
	}
}
