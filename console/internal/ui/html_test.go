package ui_test

import (
	"html/template"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/so-mirror/mirror/console/internal/ui"
)

const hostile = `x"><script>hacked=1</script>' onmouseover=hacked=1 &amp;` + "\x00"

// fill puts a text into every string of a component, however deep.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}

// TestHTML holds what writes itself to show every text as text.
func TestHTML(t *testing.T) {
	for _, component := range []interface{ HTML() template.HTML }{&ui.Table{}, &ui.Badge{}, &ui.Moment{}, &ui.Progress{}, &ui.Button{}} {
		name := reflect.TypeOf(component).Elem().Name()
		t.Run(name, func(t *testing.T) {
			fill(reflect.ValueOf(component).Elem(), hostile)
			written := string(component.HTML())
			require.Contains(t, written, template.HTMLEscapeString(hostile))
			doc, err := html.Parse(strings.NewReader(written))
			require.NoError(t, err)
			for n := range doc.Descendants() {
				require.NotEqual(t, "script", n.Data)
				for _, a := range n.Attr {
					require.False(t, strings.HasPrefix(a.Key, "on") || strings.ContainsAny(a.Key, `"'<>`), "%s of %s", a.Key, n.Data)
					if a.Key == "href" || a.Key == "action" {
						require.Equal(t, "#", a.Val)
					}
				}
			}
		})
	}
	for _, url := range []string{"javascript:alert(1)", "//evil.example", `/\evil.example`, "https://evil.example", "data:text/html,x"} {
		require.Contains(t, ui.Button{Name: "Go", URL: url}.HTML(), `href="#"`, url)
	}
	require.Contains(t, ui.Button{Name: "Go", URL: "/mirrors/Cust1?q=a&b=c"}.HTML(), `href="/mirrors/Cust1?q=a&amp;b=c"`)
}
