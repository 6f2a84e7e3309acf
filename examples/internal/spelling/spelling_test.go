package spelling

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClosest(t *testing.T) {
	known := []string{"contact", "Person", "sale"}
	require.Equal(t, "contact", Closest("contcat", known, 3))
	require.Equal(t, "Person", Closest("PERSON", known, 0), "case does not count")
	require.Empty(t, Closest("appointment", known, 3))
	require.Empty(t, Closest("contact", nil, 3))
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"Ångström\nÅ":          "Ångström\nÅ",
		"a\x1b[31mred":         `a\x1b[31mred`,
		"a\rb\tc":              `a\rb\tc`,
		"left\u202eright":      `left\u202eright`,
		"a\u2028b":             `a\u2028b`,
		"not UTF-8: \xff":      `not UTF-8: \ufffd`,
		"a name with a \u00a0": "a name with a \u00a0",
	} {
		require.Equal(t, want, Printable(text))
	}
}
