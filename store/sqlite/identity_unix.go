//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"syscall"
)

// fileID names a file so that all of its links have the same name.
func fileID(path string, info os.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%x-%x", st.Dev, st.Ino)
	}
	return path
}
