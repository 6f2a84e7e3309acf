package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// forget takes the last line of a file away, which a process that was killed did not come
// to write.
func forget(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: forget FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	lines := bytes.SplitAfter(bytes.TrimRight(data, "\n"), []byte("\n"))
	ts.Check(os.WriteFile(path, bytes.Join(lines[:len(lines)-1], nil), 0o600))
}

// unmark gives receipts that were taken back the names that they had before.
func unmark(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unmark DIRECTORY")
	}
	paths, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"+undoneSuffix+".json"))
	ts.Check(err)
	for _, path := range paths {
		ts.Check(os.Rename(path, strings.Replace(path, undoneSuffix, "", 1)))
	}
}
