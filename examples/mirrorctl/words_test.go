package main

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
)

// goNames are the options of the library of which no sentence of the command line may
// speak: what is one word in English is looked for as a whole phrase.
func goNames() *regexp.Regexp {
	names := []string{`\b\w+Options\.\w+`, `\bPlan\.Empty\b`, `\bRecheck\b`, `\bHardReset\b`, `\bset (Unknown|Force|All)\b`, `\bTables nil\b`, ` -max-wait`}
	twoWords := regexp.MustCompile(`^[A-Z][a-z]+([A-Z][a-z]*)+$`)
	for _, options := range []any{mirror.CompareOptions{}, mirror.Tuning{}, mirror.ApplyOptions{}, mirror.ResetOptions{}, mirror.HardResetOptions{},
		mirror.RecheckOptions{}, heal.Options{}, heal.WaitOptions{}, replica.Options{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(options)) {
			if twoWords.MatchString(f.Name) {
				names = append(names, `\b`+f.Name+`\b`)
			}
		}
	}
	return regexp.MustCompile(strings.Join(names, "|"))
}

// TestInFlags: no sentence of the library names an option of Go when mirrorctl shows it.
func TestInFlags(t *testing.T) {
	named, found := goNames(), 0
	for _, dir := range []string{".", "heal", "replica", "fleet", "store", "internal/metadata", "internal/match"} {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				s, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				if strings.Contains(s, " ") && named.MatchString(s) {
					found++
					if left := inFlags(s); named.MatchString(left) {
						t.Errorf("%s: %s", file, left)
					}
				}
				return true
			})
		}
	}
	require.NotZero(t, found)
}
