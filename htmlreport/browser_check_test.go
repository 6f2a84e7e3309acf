package htmlreport_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/browsertest"
)

// TestBrowser holds every page to what people see and hear of it.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b, all := browsertest.New(t), pages(t)
	for name, html := range all {
		t.Run(name, func(t *testing.T) {
			b := b.Of(t)
			b.Look(1280, 900, "light", "screen")
			b.Open(html)
			b.Check("structure", name)
			b.Check("alone", name)
			b.Axe(name)
			for _, scheme := range []string{"light", "dark"} {
				b.Look(1280, 900, scheme, "screen")
				b.Check("contrast", scheme)
			}
			for _, width := range []int{320, 390, 1600} {
				b.Look(width, 900, "light", "screen")
				b.Check("overflow", name)
			}
			b.Look(720, 900, "light", "print") // A4 within its margins
			b.Check("overflow", "printed")
			b.Quiet()
		})
	}
	t.Run("print", func(t *testing.T) {
		b := b.Of(t)
		b.Open(all["compare"])
		b.Look(1280, 900, "dark", "print")
		b.Check("closed", "what is closed on the screen is printed")
		require.Equal(t, "rgb(255, 255, 255)", browsertest.Eval[string](b, "getComputedStyle(document.body).backgroundColor"), "a dark scheme is not printed")
		b.Check("contrast", "printed")
		b.Quiet()
	})
	t.Run("keyboard", func(t *testing.T) {
		b := b.Of(t)
		b.Look(1280, 900, "light", "screen")
		b.Open(all["compare"])
		press := func(key string) { b.Do(chromedp.KeyEvent(key)) }
		press(kb.Tab)
		require.Equal(t, "Skip to the report", browsertest.Eval[string](b, "document.activeElement.textContent"))
		require.Positive(t, browsertest.Eval[float64](b, "document.activeElement.getBoundingClientRect().left"), "it is seen when it has the focus")
		press(kb.Enter)
		require.Equal(t, "main", browsertest.Eval[string](b, "document.activeElement.id"))

		want := browsertest.Eval[int](b, `[...document.querySelectorAll("summary")].filter((s) => s.checkVisibility()).length`)
		require.Greater(t, want, 10)
		reached := 0
		for range 300 {
			press(kb.Tab)
			if browsertest.Eval[bool](b, "document.activeElement === document.body") {
				break
			}
			require.True(t, browsertest.Eval[bool](b, `(() => {
				const s = getComputedStyle(document.activeElement);
				return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
			})()`), "the focus is seen")
			if browsertest.Eval[bool](b, `document.activeElement.tagName === "SUMMARY"`) {
				reached++
			}
		}
		require.Equal(t, want, reached)

		browsertest.Eval[bool](b, `(() => { document.querySelector("article details > summary").focus(); return true })()`)
		require.False(t, browsertest.Eval[bool](b, "document.activeElement.parentElement.open"))
		press(kb.Enter)
		require.True(t, browsertest.Eval[bool](b, "document.activeElement.parentElement.open"))
		press(" ")
		require.False(t, browsertest.Eval[bool](b, "document.activeElement.parentElement.open"))
		b.Quiet()
	})
}
