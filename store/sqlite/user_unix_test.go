//go:build unix

package sqlite_test

import (
	"os/exec"
	"syscall"
)

// runAs makes a command run as another user.
func runAs(cmd *exec.Cmd, uid uint32) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
}
