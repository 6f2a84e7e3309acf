package browsertest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/browsertest"
)

func TestViolations(t *testing.T) {
	b := browsertest.New(t)
	b.Open([]byte(`<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1><img src="data:,"><p style="color:#ccc">Pale</p></main>`))
	found := strings.Join(b.Violations(), "\n")
	require.Contains(t, found, "image-alt: ")
	require.Contains(t, found, "color-contrast: ")
	b.Open([]byte(`<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1></main>`))
	b.Axe("a page with nothing wrong")
}
