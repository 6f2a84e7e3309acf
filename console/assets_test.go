package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var recorded = regexp.MustCompile(`(?m)^    ([0-9a-f]{64})  (\S+)$`)

// TestAssets holds what was taken from elsewhere to what was taken.
func TestAssets(t *testing.T) {
	readme, err := os.ReadFile("assets/README.md")
	require.NoError(t, err)
	taken := map[string]bool{"README.md": true, "console.css": true, "icon.svg": true}
	for _, m := range recorded.FindAllStringSubmatch(string(readme), -1) {
		taken[m[2]] = true
		data, err := os.ReadFile(filepath.Join("assets", m[2]))
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		require.Equal(t, m[1], hex.EncodeToString(sum[:]), "%s is not what README.md says: take it again, or write down what it is now", m[2])
	}
	entries, err := os.ReadDir("assets")
	require.NoError(t, err)
	for _, e := range entries {
		require.True(t, taken[e.Name()], "README.md does not say where %s is from", e.Name())
	}
	for _, licence := range []string{"htmx.LICENSE", "sse.LICENSE"} {
		require.True(t, taken[licence])
		text, err := os.ReadFile(filepath.Join("assets", licence))
		require.NoError(t, err)
		require.Contains(t, string(text), "Permission to use, copy, modify, and/or distribute this software")
	}
}
