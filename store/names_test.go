package store_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func TestFoldName(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"case", "Contact", "cONTACT", true},
		{"trailing blanks", "contact", "contact  ", true},
		{"leading blanks count", "contact", " contact", false},
		{"inner blanks count", "con tact", "contact", false},
		{"a trailing tab is no blank", "contact", "contact\t", false},
		{"nor is a no-break space", "contact", "contact\u00a0", false},
		{"Nordic", "ÆØÅÄÖÞÐ", "æøåäöþð", true},
		{"Nordic letters are no accents", "ø", "o", false},
		{"accents count", "café", "cafe", false},
		{"accents of either case", "CAFÉ", "café", true},
		{"composed and decomposed are two spellings", "\u00e9", "e\u0301", false},
		{"Kelvin sign", "\u212aunde", "kunde", true},
		{"Angstrom sign", "\u212bngström", "ångström", true},
		{"long s", "per\u017fon", "person", true},
		{"three sigmas", "Σσ", "ςΣ", true},
		{"capital sharp s", "STRA\u1e9eE", "straße", true},
		{"sharp s is no pair", "ß", "ss", false},
		{"ligature", "\ufb01le", "file", false},
		{"dotted capital I has an accent", "\u0130D", "id", false},
		{"dotless i is another letter", "\u0131d", "id", false},
		{"dotted and dotless", "\u0130", "\u0131", false},
		{"beyond 16 bits", "\U00010400", "\U00010428", true},
		{"digits and signs", "c_1-[x]", "C_1-[X]", true},
		{"empty and blank", "", " ", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.same, store.FoldName(c.a) == store.FoldName(c.b), "%q and %q", store.FoldName(c.a), store.FoldName(c.b))
		})
	}

	t.Run("every rune folds as its case variants do, and once", func(t *testing.T) {
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if !utf8.ValidRune(r) {
				continue
			}
			folded := store.FoldName(string(r))
			if store.FoldName(folded) != folded || store.FoldName(string(unicode.SimpleFold(r))) != folded ||
				!strings.EqualFold(folded, strings.TrimRight(string(r), " ")) {
				require.Fail(t, fmt.Sprintf("%U folds to %q", r, folded))
			}
		}
	})
}
