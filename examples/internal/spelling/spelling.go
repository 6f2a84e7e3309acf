// Package spelling has what a program needs to know of how words are spelled before it
// shows them to people, and after people typed them.
package spelling

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/agext/levenshtein"

	"github.com/so-mirror/mirror/store"
)

// Closest returns the first of the known words that are most like one, "" where none is so
// within that many changes.
func Closest(word string, known []string, within int) (best string) {
	for _, k := range known {
		if d := levenshtein.Distance(store.FoldName(word), store.FoldName(k), nil); d <= within {
			best, within = k, d-1
		}
	}
	return best
}

// Printable is a text as a terminal may get it: with everything that steers a terminal
// spelled out.
func Printable(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if steers(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// steers reports whether a terminal does something else with a character than to show it.
func steers(r rune) bool {
	return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar)
}
