package htmlreport_test

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/htmlreport"
)

// TestParts holds the parts to what their pages have, and to what a page with a strict
// content security policy takes.
func TestParts(t *testing.T) {
	w := newWorld(t)
	w.breakDown()
	w.fallBehind()
	r := w.compare(nil)
	plan := r.Plan()
	next := 0
	evil := everywhere(t, small(), func() string { next++; return hostile[next%len(hostile)] })
	healed := &heal.Report{ContextID: customer, Started: noon, Finished: noon.Add(time.Hour), Rounds: []heal.Round{{Report: r, Plan: plan, Receipt: receipt(plan), Wait: waited(plan)}}}
	type writer = func(io.Writer) error
	for name, of := range map[string]struct{ page, part writer }{
		"compare": {
			func(w io.Writer) error { return htmlreport.WriteCompare(w, r, plan) },
			func(w io.Writer) error { return htmlreport.WriteComparePart(w, r, plan) },
		},
		"without a plan": {
			func(w io.Writer) error { return htmlreport.WriteCompare(w, r, nil) },
			func(w io.Writer) error { return htmlreport.WriteComparePart(w, r, nil) },
		},
		"hostile": {
			func(w io.Writer) error { return htmlreport.WriteCompare(w, evil, nil) },
			func(w io.Writer) error { return htmlreport.WriteComparePart(w, evil, nil) },
		},
		"empty": {
			func(w io.Writer) error { return htmlreport.WriteCompare(w, &mirror.Report{}, nil) },
			func(w io.Writer) error { return htmlreport.WriteComparePart(w, &mirror.Report{}, nil) },
		},
		"plan": {
			func(w io.Writer) error { return htmlreport.WritePlan(w, plan, r) },
			func(w io.Writer) error { return htmlreport.WritePlanPart(w, plan, r) },
		},
		"heal": {
			func(w io.Writer) error { return htmlreport.WriteHeal(w, healed) },
			func(w io.Writer) error { return htmlreport.WriteHealPart(w, healed) },
		},
		"validate": {
			func(w io.Writer) error { return htmlreport.WriteValidation(w, validation()) },
			func(w io.Writer) error { return htmlreport.WriteValidationPart(w, validation()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var page, part bytes.Buffer
			require.NoError(t, of.page(&page))
			require.NoError(t, of.part(&part))
			got := part.String()
			defs, main, ok := strings.Cut(got, "</svg>\n")
			require.True(t, ok)
			require.Contains(t, page.String(), "\n"+defs+"</svg>\n<header")
			require.Contains(t, page.String(), `<main id="main" tabindex="-1">`+"\n"+main+"</main>")
			require.True(t, strings.HasPrefix(defs, `<svg class="defs" `))
			require.Equal(t, 1, strings.Count(got, "<h1 "))
			for _, not := range []string{"<script", "<style", " style=", " on", "<main", "<html", "<body", "<img"} {
				require.Falsef(t, strings.Contains(tags(got), not), "%s in a tag", not)
			}
		})
	}
	require.ErrorIs(t, htmlreport.WriteComparePart(broken{}, r, nil), os.ErrClosed)
}

var between, quoted = regexp.MustCompile(`>[^<]*`), regexp.MustCompile(`"[^"]*"`)

// tags are the tags of a page, without what their attributes hold and what stands
// between them.
func tags(html string) string {
	return quoted.ReplaceAllString(between.ReplaceAllString(strings.ToLower(html), ">"), `""`)
}

// TestStyle is the style that every page has.
func TestStyle(t *testing.T) {
	var page bytes.Buffer
	require.NoError(t, htmlreport.WriteCompare(&page, small(), nil))
	require.Contains(t, page.String(), "<style>"+htmlreport.Style()+"</style>")
	require.Contains(t, htmlreport.Style(), "--ink")
}
