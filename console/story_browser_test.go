package console

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/browsertest"
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
	b.Look(1280, 900, "light", "screen")
	require.NoError(t, w.c.lookAt(t.Context(), w.c.order[0]))
	r := reader{t, b}
	b.Visit(w.server.URL + "/mirrors/Cust1/reset?mode=all-hard")
	_ = r
	_ = mirror.OutcomeDone
}
