package store

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

// TrimPrefix returns a name without the first of some prefixes, such as "crm7.",
// that it begins with and is more than.
func TrimPrefix(name string, prefixes []string) string {
	for _, prefix := range prefixes {
		if n := len(prefix); n > 0 && len(name) > n && FoldName(name[:n]) == FoldName(prefix) {
			return name[n:]
		}
	}
	return name
}
