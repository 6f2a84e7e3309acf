package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	runErr := run(t.Context(), args, f, io.Discard)
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
		"never mirrored: traveltransactionlog",
		"document     pending",
		"3 identical, 1 pending, 3 different, 1 schema-differs, 1 missing, 1 not-mirrored.",
		"project      not-known-yet",
		"Undo: the metadata table is back",
		"contact      wiped: the LSN is -1",
		"rename Cust10195_mirroring to before_hard_reset_Cust10195: the next cycle creates it anew and populates everything",
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
	for _, args := range [][]string{{"-rows", "49"}, {"-rows", "x"}, {"more"}} {
		_, err := output(t, args...)
		require.ErrorIs(t, err, errUsage, args)
	}
	_, err := output(t, "-h")
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Equal(t, 0, exitCode(flag.ErrHelp))
	require.Equal(t, 2, exitCode(errUsage))
	require.Equal(t, 130, exitCode(errors.Join(context.Canceled)))
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv("TMPDIR", t.TempDir())
	require.ErrorIs(t, run(ctx, nil, os.Stdout, io.Discard), context.Canceled)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	require.ErrorIs(t, run(t.Context(), []string{"-rows", "50"}, full, io.Discard), syscall.ENOSPC)
}
