package htmlreport_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var pictures = flag.String("pictures", "", "a directory for pictures of all pages, to look at")

// TestPictures takes the pictures.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("takes pictures with -pictures DIR")
	}
	b := newBrowser(t)
	for name, html := range pages(t) {
		b.open(html)
		b.album(*pictures, name)
	}
	b.quiet()
}

// album takes pictures of all of a page, in pieces that can be looked at.
func (b *browser) album(dir, name string) {
	b.t.Helper()
	const step = 1150
	for _, width := range []int{390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			for _, open := range []bool{false, true} {
				b.look(width, 900, scheme, "screen")
				eval[int](b, fmt.Sprintf(`(()=>{for (const d of document.querySelectorAll("details")) d.open = %v; return 1})()`, open))
				b.look(width, 15000, scheme, "screen") // what is not in sight is not drawn
				height := eval[int](b, "document.querySelector('main').getBoundingClientRect().bottom | 0")
				for y := 0; y < min(height, 9000); y += step {
					png := b.picture(y, width, min(step, height-y))
					file := fmt.Sprintf("%s-%d-%s-%v-%d.png", name, width, scheme, open, y/step)
					require.NoError(b.t, os.WriteFile(filepath.Join(dir, file), png, 0o600))
				}
			}
		}
	}
}
