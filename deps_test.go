package mirror_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goList returns the packages that a build of pkg needs, without its tests.
// With format it lists only those for which that is not empty.
func goList(t *testing.T, format, pkg string) []string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, pkg)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return strings.Fields(string(out))
}

// Whoever imports the library for its unit tests gets no driver and nothing
// else that it did not ask for.
func TestDependencies(t *testing.T) {
	const module = "github.com/so-mirror/mirror"
	const foreign = "{{if not .Standard}}{{.ImportPath}}{{end}}"

	t.Run("the root needs the standard library only", func(t *testing.T) {
		require.Equal(t, []string{module}, goList(t, foreign, "."))
	})

	t.Run("the fake needs the root, and the change tracking that it shares with the simulated customer", func(t *testing.T) {
		require.Equal(t, []string{module, module + "/internal/tracking", module + "/store/memory"}, goList(t, foreign, "./store/memory"))
	})

	for _, pkg := range []string{".", "./store/memory"} {
		t.Run("no SQL in "+pkg, func(t *testing.T) {
			all := goList(t, "{{.ImportPath}}", pkg)
			require.Contains(t, all, "database/sql/driver", "the list is real")
			for _, dep := range all {
				require.NotEqual(t, "database/sql", dep)
				require.NotContains(t, dep, "modernc")
				require.NotContains(t, dep, "mssql")
			}
		})
	}
}
