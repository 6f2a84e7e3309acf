package replica

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

func TestCheckSwap(t *testing.T) {
	side := func(role, database string) Side {
		return Side{Role: role, Identity: store.Identity{Engine: "sqlserver", Server: "S1", Database: database}}
	}
	report := func(reference, rep Side) *Report {
		return &Report{ContextID: "Cust1", Reference: reference, Replica: rep}
	}
	before := report(side("mirror", "Mirror"), side("replica", "Replica"))
	for name, tc := range map[string]struct {
		before, after *Report
		err           string // "" for a swap
	}{
		"swapped":         {before, report(side("mirror", "Replica"), side("replica", "Mirror")), ""},
		"not swapped":     {before, before, "not swapped: Mirror is still the old mirror"},
		"other names":     {before, report(side("mirror", "Mirror_old"), side("replica", "Replica")), "other databases than before"},
		"other roles":     {before, report(side("replica", "Replica"), side("mirror", "Mirror")), "want the old mirror and the replica"},
		"not of a mirror": {report(side("customer", "C"), side("replica", "Replica")), before, "only an old mirror and a replica"},
		"another customer": {before, &Report{ContextID: "Cust2", Reference: before.Replica, Replica: before.Reference},
			`of "Cust1", this one of "Cust2"`},
		"another server": {before, report(side("mirror", "Replica"), Side{Role: "replica", Identity: store.Identity{Engine: "sqlserver", Server: "S2", Database: "Mirror"}}),
			"other databases than before"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.after.CheckSwap(tc.before)
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.err)
		})
	}
}
