//go:build !unix && !windows

package sqlite

import "os"

// fileID names a file: here only by its path, which is free of symbolic links.
func fileID(path string, _ os.FileInfo) string { return path }
