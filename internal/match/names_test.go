package match_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/match"
)

func TestCutPrefix(t *testing.T) {
	for name, want := range map[string][2]string{
		"contact": {"", "contact"}, "dbo.contact": {"dbo.", "contact"}, "db.dbo.contact": {"db.dbo.", "contact"},
		".contact": {".", "contact"}, "contact.": {"", "contact."}, "": {"", ""}, ".": {"", "."},
	} {
		prefix, rest, ok := match.CutPrefix(name)
		require.Equal(t, want, [2]string{prefix, rest}, "%q", name)
		require.Equal(t, prefix != "", ok, "%q", name)
	}
}

func TestClosest(t *testing.T) {
	known := []string{"person", "Contact", "sale", "contactinterest", "appointment"}
	for name, want := range map[string]string{
		"contact":         "Contact", // names fold
		"cotnact":         "Contact",
		"contacts":        "Contact",
		"xcontact":        "Contact",
		"contct":          "Contact",
		"contactintrests": "contactinterest",
		"sail":            "sale",
		"pxrxoxn":         "person", // 3 of 7 letters may differ
		"xxrxoxn":         "",
		"x":               "",
		"":                "",
		"dbo.contact":     "Contact",
	} {
		require.Equal(t, want, match.Closest(name, known), "%q", name)
	}
	require.Equal(t, "ab", match.Closest("a", []string{"ac", "ab", "ad"}), "the first by name of those that are as close, whatever their order")
	require.Empty(t, match.Closest("contact", nil))
	require.Equal(t, "Contact", match.Closest("contact"+strings.Repeat(" ", 50), known), "trailing blanks do not count")
	require.Empty(t, match.Closest(strings.Repeat("contact", 1<<16), known))
}
