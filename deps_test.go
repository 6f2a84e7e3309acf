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

const module = "github.com/so-mirror/mirror"

// Imports go down: the packages of stores know the contract and not the library,
// and what runs over many mirrors or several cycles knows the library alone.
func TestImports(t *testing.T) {
	const text, facts, contract, sums = "/internal/text", "/internal/superoffice", "/store", "/internal/sum"
	root := []string{text, contract, facts, sums, "/internal/diff", "/internal/metadata"}
	above := append([]string{""}, root...)
	for pkg, allowed := range map[string][]string{
		"/internal/text":        nil,
		"/internal/superoffice": nil,
		"/internal/sum":         nil,
		"/internal/diff":        {text, contract, sums},
		"/internal/metadata":    {text, contract, facts, sums},
		"/store":                {text},
		"/store/sqlstore":       {text, contract},
		"/store/sqlite":         {text, contract, "/store/sqlstore"},
		"/store/mssql":          {text, contract, "/store/sqlstore", facts},
		"/store/memory":         {text, contract, "/internal/tracking", facts},
		"/store/cycle":          {text, contract, "/internal/tracking", facts},
		"/store/storetest":      {text, contract},
		"":                      root,
		"/journal":              above,
		"/heal":                 above,
		"/fleet":                above,
	} {
		t.Run("mirror"+pkg, func(t *testing.T) {
			for _, dep := range goList(t, "{{if not .Standard}}{{.ImportPath}}{{end}}", "."+pkg) {
				if own, ok := strings.CutPrefix(dep, module); ok && own != pkg {
					require.Contains(t, allowed, own)
				}
			}
		})
	}
}

// Whoever imports the library for its unit tests gets no driver and nothing
// else that it did not ask for.
func TestDependencies(t *testing.T) {
	for _, pkg := range []string{".", "./journal", "./heal", "./fleet", "./store", "./store/memory", "./store/cycle"} {
		t.Run(pkg, func(t *testing.T) {
			for _, dep := range goList(t, "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg) {
				require.True(t, dep == module || strings.HasPrefix(dep, module+"/"), dep)
			}
			all := goList(t, "{{.ImportPath}}", pkg)
			require.Contains(t, all, "database/sql/driver", "the list is real")
			require.NotContains(t, all, "database/sql")
		})
	}
}
