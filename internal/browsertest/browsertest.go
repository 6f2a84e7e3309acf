// Package browsertest looks at pages in a Chromium without a window.
package browsertest

import (
	"context"
	_ "embed"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Browser is a Chromium without a window that holds what it complained about.
type Browser struct {
	t   *testing.T
	ctx context.Context

	*complaints
}

type complaints struct {
	mu  sync.Mutex
	all []string
}

// Of is the browser for a subtest.
func (b *Browser) Of(t *testing.T) *Browser {
	sub := *b
	sub.t = t
	return &sub
}

// New starts a browser that ends with the test.
func New(t *testing.T) *Browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("needs Chromium, such as Debian's package chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // its sandbox does not work for root
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, done := chromedp.NewContext(ctx)
	t.Cleanup(done)
	b := &Browser{t: t, ctx: ctx, complaints: &complaints{}}
	b.Do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, log.Enable, cdp.Empty{})
		return err
	}))
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.complain(e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			var text string
			for _, a := range e.Args {
				text += " " + string(a.Value) + a.Description
			}
			b.complain("console: " + string(e.Type) + text)
		case *log.EventEntryAdded:
			b.complain(e.Entry.Text)
		}
	}))
	return b
}

func (c *complaints) complain(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, what)
}

// Quiet demands that the browser had nothing to complain about.
func (b *Browser) Quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.all)
}

func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// Open shows a page, which is written to a file first.
func (b *Browser) Open(html []byte) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "report.html")
	require.NoError(b.t, os.WriteFile(path, html, 0o600))
	b.Visit((&url.URL{Scheme: "file", Path: path}).String())
}

// Visit shows the page at an address.
func (b *Browser) Visit(address string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(address)) // which waits for the load event
}

// Look sets what the page is looked at with.
func (b *Browser) Look(width, height int, scheme, media string) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Eval returns the value of an expression. A page that is left meanwhile is no reason to
// fail: the next one is asked.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	for tries := 0; ; tries++ {
		v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
		if err != nil && tries < 20 && left.MatchString(err.Error()) {
			continue
		}
		require.NoError(b.t, err)
		return v
	}
}

// left is what Chromium says of a page that is no longer there.
var left = regexp.MustCompile(`navigated or closed|Cannot find (default execution )?context|Execution context was destroyed`)

// Picture takes a picture of a part of what is looked at.
func (b *Browser) Picture(y, width, height int) (png []byte) {
	b.t.Helper()
	b.Do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		shot, err := cdp.Call(ctx, tab, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Clip: &page.Viewport{Y: float64(y), Width: float64(width), Height: float64(height), Scale: 1},
		})
		png = shot.Data
		return err
	}))
	return png
}

//go:embed check.js
var checks string

// Check demands that one of the checks in check.js finds nothing.
func (b *Browser) Check(name, what string) {
	b.t.Helper()
	Eval[bool](b, checks)
	require.Empty(b.t, Eval[[]string](b, "check."+name+"()"), what)
}

//go:embed axe/axe.min.js
var axe string

// Axe demands that axe-core finds nothing.
func (b *Browser) Axe(what string) {
	b.t.Helper()
	require.Empty(b.t, b.Violations(), what)
}

// Violations are what axe-core finds that keeps people from using the page.
func (b *Browser) Violations() []string {
	b.t.Helper()
	Eval[bool](b, axe+"; true")
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"]}).then((r) =>
		r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + v.help + ": " + n.html.slice(0, 200))))`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return found
}
