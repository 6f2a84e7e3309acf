package console_test

import (
	"bytes"
	"flag"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/htmlreport"
)

var previews = flag.String("previews", "", "a directory for pages with every component, to look at")

// sample is a page that shows components: its "main", and what it gets.
type sample struct {
	main   string
	layout ui.Layout
}

// render executes a sample within the layout.
func render(t *testing.T, s sample) []byte {
	t.Helper()
	all := template.Must(template.ParseGlob("templates/layout.gohtml"))
	template.Must(all.ParseFiles("templates/parts.gohtml"))
	template.Must(all.New("sample").Parse(`{{define "main"}}` + s.main + `{{end}}`))
	var b bytes.Buffer
	require.NoError(t, all.ExecuteTemplate(&b, "layout.gohtml", s.layout))
	return b.Bytes()
}

// TestLook renders every component.
func TestLook(t *testing.T) {
	for name, s := range samples(t) {
		html := render(t, s)
		require.Equal(t, 1, bytes.Count(html, []byte("<h1")), name)
		for _, not := range []string{"<img", " style=", "<style", "javascript:", "<no value>"} {
			require.Falsef(t, bytes.Contains(html, []byte(not)), "%s in %s", not, name)
		}
		require.False(t, bytes.Contains(html, []byte("ZgotmplZ")), "an address was left out")
		if *previews != "" {
			require.NoError(t, os.MkdirAll(filepath.Join(*previews, "assets"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(*previews, name+".html"), html, 0o644))
			require.NoError(t, os.WriteFile(filepath.Join(*previews, "assets", "report.css"), []byte(htmlreport.Style()), 0o644))
			for _, f := range []string{"console.css", "icon.svg", "htmx.min.js", "sse.js"} {
				data, err := os.ReadFile("assets/" + f)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(*previews, "assets", f), data, 0o644))
			}
		}
	}
}

// TestHostileAddress leaves out what runs something.
func TestHostileAddress(t *testing.T) {
	html := render(t, sample{`{{template "tabs" .}}`, ui.Layout{Page: ui.Tabs{Tabs: []ui.Tab{{Name: "x", URL: "javascript:alert(1)"}}}}})
	require.NotContains(t, string(html), "javascript:")
	require.Contains(t, string(html), ">x</a>")
}

func part(t *testing.T, write func(io.Writer) error) template.HTML {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b))
	return template.HTML(b.String())
}
