package mirror

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// FoldName returns the form in which names of tables and columns are compared:
// without regard to case and trailing blanks, as SQL Server's default
// collation compares them. Accents count.
func FoldName(name string) string {
	name = strings.TrimRight(name, " ")
	for i := 0; i < len(name); i++ {
		if c := name[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return strings.Map(foldRune, name)
		}
	}
	return name
}

// foldRune maps every rune that differs only by case to the same rune.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	least := r
	for n := unicode.SimpleFold(r); n != r; n = unicode.SimpleFold(n) {
		least = min(least, n)
	}
	if unicode.SimpleFold(r) == r {
		return r // the dotted capital I, whose lower case has lost its accent
	}
	return unicode.ToLower(least)
}

// closestName returns the known name that is most like name, or "" when none is
// close enough to be meant.
func closestName(name string, known []string) string {
	folded := []rune(FoldName(clip(name, maxNameLength)))
	best, bestDistance := "", len(folded)/3+2
	for _, k := range known {
		if d := editDistance(folded, []rune(FoldName(k))); d < bestDistance || d == bestDistance && best != "" && k < best {
			best, bestDistance = k, d
		}
	}
	return best
}

// editDistance is the number of insertions, deletions and substitutions that
// turn a into b.
func editDistance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, ra := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, rb := range b {
			cost := diagonal
			if ra != rb {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// clip shortens s to about n bytes for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// shown returns a name from outside as a message may show it.
func shown(name string) string { return clip(printable(name), maxNameLength) }

// shownError is an error over input from outside, whose message is fit to be
// shown.
type shownError struct{ error }

const maxShownError = 512

func (e shownError) Error() string { return clip(printable(e.error.Error()), maxShownError) }

func (e shownError) Unwrap() error { return e.error }
