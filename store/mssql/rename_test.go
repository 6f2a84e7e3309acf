package mssql

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A constraint is marked while its table has another name, and has its own name
// again when the table has.
func TestConstraintName(t *testing.T) {
	const table, kept = "Cust1_mirroring", "before_hard_reset_Cust1"
	for _, name := range []string{"PK_mirroring", "CK@home", "@" + kept, "PK@" + table + "x"} {
		marked := constraintName(name, table, kept)
		require.Equal(t, name+"@"+kept, marked)
		require.Equal(t, name, constraintName(marked, kept, table))
	}
}
