package htmlreport_test

import (
	_ "embed"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

//go:embed check.js
var checks string

// check demands that one of the checks in check.js finds nothing.
func (b *browser) check(name, what string) {
	b.t.Helper()
	eval[bool](b, checks)
	require.Empty(b.t, eval[[]string](b, "check."+name+"()"), what)
}

// TestBrowser holds every page to what people see and hear of it.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b, all := newBrowser(t), pages(t)
	for name, html := range all {
		t.Run(name, func(t *testing.T) {
			b := b.of(t)
			b.look(1280, 900, "light", "screen")
			b.open(html)
			b.check("structure", name)
			for _, scheme := range []string{"light", "dark"} {
				b.look(1280, 900, scheme, "screen")
				b.check("contrast", scheme)
			}
			for _, width := range []int{320, 390, 1600} {
				b.look(width, 900, "light", "screen")
				b.check("overflow", name)
			}
			b.look(720, 900, "light", "print") // A4 within its margins
			b.check("overflow", "printed")
			b.quiet()
		})
	}
	t.Run("print", func(t *testing.T) {
		b := b.of(t)
		b.open(all["compare"])
		b.look(1280, 900, "dark", "print")
		b.check("closed", "what is closed on the screen is printed")
		require.Equal(t, "rgb(255, 255, 255)", eval[string](b, "getComputedStyle(document.body).backgroundColor"), "a dark scheme is not printed")
		b.check("contrast", "printed")
		b.quiet()
	})
	t.Run("keyboard", func(t *testing.T) {
		b := b.of(t)
		b.look(1280, 900, "light", "screen")
		b.open(all["compare"])
		press := func(key string) { b.do(chromedp.KeyEvent(key)) }
		press(kb.Tab)
		require.Equal(t, "Skip to the report", eval[string](b, "document.activeElement.textContent"))
		require.Positive(t, eval[float64](b, "document.activeElement.getBoundingClientRect().left"), "it is seen when it has the focus")
		press(kb.Enter)
		require.Equal(t, "main", eval[string](b, "document.activeElement.id"))

		want := eval[int](b, `[...document.querySelectorAll("summary")].filter((s) => s.checkVisibility()).length`)
		require.Greater(t, want, 10)
		reached := 0
		for range 300 {
			press(kb.Tab)
			if eval[bool](b, "document.activeElement === document.body") {
				break
			}
			require.True(t, eval[bool](b, `(() => {
				const s = getComputedStyle(document.activeElement);
				return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
			})()`), "the focus is seen")
			if eval[bool](b, `document.activeElement.tagName === "SUMMARY"`) {
				reached++
			}
		}
		require.Equal(t, want, reached)

		eval[bool](b, `(() => { document.querySelector("article details > summary").focus(); return true })()`)
		require.False(t, eval[bool](b, "document.activeElement.parentElement.open"))
		press(kb.Enter)
		require.True(t, eval[bool](b, "document.activeElement.parentElement.open"))
		press(" ")
		require.False(t, eval[bool](b, "document.activeElement.parentElement.open"))
		b.quiet()
	})
}
