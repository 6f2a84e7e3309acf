package tdsreplay

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// closest returns the exchange whose request is most like req, of the same
// kind, or nil when there is none.
func closest(req request, exchanges []*exchange) *exchange {
	want := words(req.text)
	var best *exchange
	score := -1.0
	for _, e := range exchanges {
		if e.kind != req.kind {
			continue
		}
		if s := likeness(want, words(e.text)); s > score {
			best, score = e, s
		}
	}
	return best
}

func words(text string) map[string]int {
	m := map[string]int{}
	for _, w := range strings.Fields(text) {
		m[w]++
	}
	return m
}

// likeness is the share of words that two texts have in common.
func likeness(a, b map[string]int) float64 {
	common, all := 0, 0
	for w, n := range a {
		common += min(n, b[w])
		all += max(n, b[w])
	}
	for w, n := range b {
		if a[w] == 0 {
			all += n
		}
	}
	if all == 0 {
		return 1
	}
	return float64(common) / float64(all)
}

// diffLines shows was and is line by line: what is only in was behind '-', what
// is only in is behind '+', and below a changed line a mark where it differs.
func diffLines(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	// common[i][j] is the length of the longest common part of a[i:], b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			fmt.Fprintf(&out, "    %s\n", a[i])
			i, j = i+1, j+1
		case i < len(a) && j < len(b) && common[i+1][j+1] == common[i][j]:
			at := firstDifference(a[i], b[j])
			fmt.Fprintf(&out, "  - %s\n  + %s\n    %s^\n", a[i], b[j], strings.Repeat(" ", at))
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintf(&out, "  - %s\n", a[i])
			i++
		default:
			fmt.Fprintf(&out, "  + %s\n", b[j])
			j++
		}
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// firstDifference counts the characters that a and b begin with in common.
func firstDifference(a, b string) int {
	n := 0
	for a != "" && b != "" {
		r, size := utf8.DecodeRuneInString(a)
		if s, _ := utf8.DecodeRuneInString(b); s != r {
			break
		}
		a, b = a[size:], b[size:]
		n++
	}
	return n
}
