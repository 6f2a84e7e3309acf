//go:build !unix

package sqlite_test

import "os/exec"

// runAs is not needed where root is nobody in particular.
func runAs(*exec.Cmd, uint32) {}
