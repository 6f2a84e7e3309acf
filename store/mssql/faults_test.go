package mssql_test

import (
	"testing"

	"github.com/so-mirror/mirror/internal/mirrortest"
)

// TestFaults is not recorded: its transcript would be larger than all others
// together.
func TestFaults(t *testing.T) {
	if *record {
		t.Skip("it is not recorded")
	}
	liveServer(t)
	mirrortest.Faults(t, open)
}
