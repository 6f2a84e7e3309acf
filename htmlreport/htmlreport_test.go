package htmlreport_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/internal/browsertest"
)

var pictures = flag.String("pictures", "", "a directory for pictures of all pages, to look at")

// TestPictures takes the pictures.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("takes pictures with -pictures DIR")
	}
	b := browsertest.New(t)
	all := pages(t)
	var evil bytes.Buffer
	next := 0
	require.NoError(t, htmlreport.WriteCompare(&evil, everywhere(t, small(), func() string { next++; return hostile[next%len(hostile)] }), nil))
	all["hostile"] = evil.Bytes()
	for name, html := range all {
		b.Open(html)
		album(t, b, *pictures, name)
		b.Look(794, 3000, "dark", "print")
		require.NoError(t, os.WriteFile(filepath.Join(*pictures, name+"-print.png"), b.Picture(0, 794, 3000), 0o600))
	}
	b.Quiet()
}

// TestDocs makes the pictures that README shows: how a report begins, and rows side by
// side. They are not compared, as other fonts draw other letters.
func TestDocs(t *testing.T) {
	if !*update {
		t.Skip("makes the pictures in docs with -update")
	}
	w := newWorld(t)
	w.fallBehind()
	r := w.compare(&mirror.CompareOptions{SkipTables: []string{"tag"}})
	var html bytes.Buffer
	require.NoError(t, htmlreport.WriteCompare(&html, r, nil))
	b := browsertest.New(t)
	b.Open(html.Bytes())
	for _, scheme := range []string{"light", "dark"} {
		b.Look(1100, 3000, scheme, "screen")
		bottom := browsertest.Eval[int](b, `(() => {
			const person = [...document.querySelectorAll("article")].find((a) => a.querySelector("h3").textContent === "person");
			for (const t of document.querySelectorAll(".t")) t.style.contentVisibility = "visible";
			person.querySelector("details").open = true;
			return person.querySelectorAll("tbody")[4].getBoundingClientRect().bottom | 0;
		})()`)
		small := browsertest.Quantized(t, b.Picture(0, 1100, bottom))
		require.Less(t, len(small), 150_000)
		require.NoError(t, os.WriteFile("../docs/report-"+scheme+".png", small, 0o644))
	}
	b.Quiet()
}

// album takes pictures of all of a page, in pieces that can be looked at.
func album(t *testing.T, b *browsertest.Browser, dir, name string) {
	t.Helper()
	const step = 1150
	for _, width := range []int{390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			for _, open := range []bool{false, true} {
				b.Look(width, 900, scheme, "screen")
				browsertest.Eval[int](b, fmt.Sprintf(`(()=>{for (const d of document.querySelectorAll("details")) d.open = %v; return 1})()`, open))
				b.Look(width, 15000, scheme, "screen") // what is not in sight is not drawn
				height := browsertest.Eval[int](b, "document.querySelector('main').getBoundingClientRect().bottom | 0")
				for y := 0; y < min(height, 9000); y += step {
					png := b.Picture(y, width, min(step, height-y))
					file := fmt.Sprintf("%s-%d-%s-%v-%d.png", name, width, scheme, open, y/step)
					require.NoError(t, os.WriteFile(filepath.Join(dir, file), png, 0o600))
				}
			}
		}
	}
}
