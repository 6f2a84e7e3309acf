package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// output runs the quickstart and returns what it prints.
func output(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	runErr := run(t.Context(), args, f)
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left, "the databases are removed")
	return string(text), runErr
}

func TestText(t *testing.T) {
	text, err := output(t, "-rows", "60")
	require.NoError(t, err)
	for _, want := range []string{
		"sale         absent",
		"contact      different",
		"person       different",
		"appointment  different",
		"project      schema-differs",
		"sale         missing",
		"schema: type name, source nvarchar(219), mirror nvarchar(500)",
		"4 identical, 3 different, 1 schema-differs, 1 missing, 1 not-mirrored.",
		"contact      wiped: the LSN is -1",
		"drop Cust10195_mirroring: the next cycle populates everything",
		"9 identical, 1 not-mirrored.",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "\r", "no progress line when piped")
}

func TestJSON(t *testing.T) {
	text, err := output(t, "-rows", "60", "-json")
	require.NoError(t, err)
	var identical []bool
	for dec := json.NewDecoder(strings.NewReader(text)); dec.More(); {
		var r mirror.Report
		require.NoError(t, dec.Decode(&r))
		identical = append(identical, r.Identical())
	}
	require.Equal(t, []bool{false, true, true}, identical)
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{"-rows", "0"}, {"-rows", "x"}, {"more"}} {
		_, err := output(t, args...)
		require.Error(t, err, args)
	}
}
