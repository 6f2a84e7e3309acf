package mirror_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadme builds every program of the README and runs every test of it.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	programs, tests := 0, 0
	for _, block := range regexp.MustCompile("(?s)```go\n(package .*?)```").FindAllStringSubmatch(string(text), -1) {
		dir := t.TempDir()
		name, build := "main.go", []string{"build"}
		isTest := strings.Contains(block[1], "testing.T")
		if isTest {
			name, build = "readme_test.go", []string{"test", "-c", "-vet=off"}
		}
		file, program := filepath.Join(dir, name), filepath.Join(dir, "program")
		require.NoError(t, os.WriteFile(file, []byte(block[1]), 0o600))
		// The file stands in the module without being there.
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "internal", "readme", name): file}})
		require.NoError(t, err)
		list := filepath.Join(dir, "overlay.json")
		require.NoError(t, os.WriteFile(list, overlay, 0o600))
		run(t, "go", append(build, "-overlay", list, "-o", program, "./internal/readme")...)
		if isTest {
			tests++
			require.Contains(t, run(t, program, "-test.v"), "--- PASS: ")
		} else {
			programs++
		}
	}
	require.Equal(t, 1, programs)
	require.Equal(t, 1, tests)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
