package mirror_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	root := []string{text, contract, facts, sums, "/internal/diff", "/internal/match", "/internal/metadata"}
	above := append([]string{""}, root...)
	for pkg, allowed := range map[string][]string{
		"/internal/text":        nil,
		"/internal/superoffice": nil,
		"/internal/sum":         nil,
		"/internal/diff":        {text, contract, sums},
		"/internal/match":       {text, contract, facts, sums, "/internal/diff"},
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
		"/replica":              above,
		"/htmlreport":           append([]string{"/heal", "/fleet", "/replica"}, above...),
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
	for _, pkg := range []string{".", "./journal", "./heal", "./fleet", "./replica", "./htmlreport", "./store", "./store/memory", "./store/cycle"} {
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

// Whoever imports the store of SQL Server gets its driver, and none of the ways to log in
// that bring the software of a cloud along.
func TestDriverAlone(t *testing.T) {
	all := goList(t, "{{with .Module}}{{.Path}}{{end}}", "./store/mssql")
	require.Contains(t, all, "github.com/microsoft/go-mssqldb", "the list is real")
	for _, dep := range all {
		require.NotContains(t, dep, "Azure")
		require.NotContains(t, dep, "krb5")
	}
}

// Whoever imports the library and the fake, builds and tests with them, has one
// line in go.mod for it, and go.sum is not even written. This is not said of go mod
// tidy: it adds the checksums of what the tests of the imported packages import,
// among that a driver, though nothing of it is built.
func TestImporter(t *testing.T) {
	library, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoError(t, err, "go %s: %s", args, stderr.String())
		return string(out)
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	version := goList(t, "{{with .Module}}{{.GoVersion}}{{end}}", "./store")[0]
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("module example.com/service\n\ngo %s\n\nreplace %s => %q\n", version, module, library),
		"service.go": `package service

import (
	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/memory"
)

func New() (*mirror.Mirror, error) { return mirror.New("Cust1", memory.New(), nil) }
`,
		"service_test.go": `package service

import "testing"

func TestNew(t *testing.T) {
	if _, err := New(); err != nil {
		t.Fatal(err)
	}
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	run("build", "./...")
	run("vet", "./...")
	run("test", "./...")

	var file struct{ Require []struct{ Path string } }
	require.NoError(t, json.Unmarshal([]byte(run("mod", "edit", "-json")), &file))
	require.Len(t, file.Require, 1)
	require.Equal(t, module, file.Require[0].Path)
	require.NoFileExists(t, filepath.Join(dir, "go.sum"))
	built := strings.Fields(run("list", "-deps", "-test", "-f", "{{with .Module}}{{.Path}}{{end}}", "./..."))
	require.Subset(t, []string{module, "example.com/service"}, built)
	require.Contains(t, built, module, "the list is real")
}
