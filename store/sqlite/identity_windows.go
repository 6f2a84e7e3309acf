package sqlite

import (
	"fmt"
	"os"
	"syscall"
)

// fileID names a file so that all of its links have the same name.
func fileID(path string, _ os.FileInfo) string {
	file, err := os.Open(path)
	if err != nil {
		return path
	}
	defer file.Close()
	var st syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(file.Fd()), &st); err != nil {
		return path
	}
	return fmt.Sprintf("%x-%x%08x", st.VolumeSerialNumber, st.FileIndexHigh, st.FileIndexLow)
}
