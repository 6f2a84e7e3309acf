package match

import (
	"strings"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// CutPrefix cuts a name behind its last dot.
func CutPrefix(name string) (prefix, rest string, ok bool) {
	i := strings.LastIndex(name, ".")
	if i < 0 || i == len(name)-1 {
		return "", name, false
	}
	return name[:i+1], name[i+1:], true
}

// Closest returns the known name that is most like name, or "" when none is
// close enough to be meant.
func Closest(name string, known []string) string {
	folded := []rune(store.FoldName(text.Clip(name, text.MaxName)))
	best, bestDistance := "", len(folded)/3+2
	for _, k := range known {
		if d := editDistance(folded, []rune(store.FoldName(k))); d < bestDistance || d == bestDistance && k < best {
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
