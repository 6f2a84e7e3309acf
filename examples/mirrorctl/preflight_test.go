package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/examples/internal/spelling"
	"github.com/so-mirror/mirror/store/mssql"
)

// TestGaps: what one statement allows is said once, and only for the side that needs it.
func TestGaps(t *testing.T) {
	lack := func(operation, permission string) mssql.Lack {
		return mssql.Lack{Operation: operation, Permission: permission, On: "SCHEMA::[dbo]", Grant: "GRANT " + permission + " ON SCHEMA::[dbo] TO [writer]"}
	}
	lacks := []mssql.Lack{lack("Status", "SELECT"), lack("Compare", "SELECT"), lack("Compare", "VIEW DEFINITION"),
		lack("HardReset", "ALTER"), lack("change tracking", "VIEW CHANGE TRACKING"), lack("Later", "SELECT")}

	d := preflightDocument{Sides: []preflightSide{
		{Side: "mirror", Database: "m", Lacks: gapsOf(lacks, "mirror")},
		{Side: "source", Database: "s", Lacks: gapsOf(lacks, "source")},
	}}
	require.Equal(t, verdict(exitRefused), d.verdict())
	require.NoError(t, preflightDocument{Sides: []preflightSide{{Lacks: gapsOf(nil, "mirror")}}}.verdict())

	p := &page{width: 80, clean: spelling.Printable}
	p.preflight(d)
	require.Equal(t, `Mirror: m
SELECT on SCHEMA::[dbo] is lacking, for status, wait, compare, recheck, plan,
heal, Later:
    GRANT SELECT ON SCHEMA::[dbo] TO [writer]
VIEW DEFINITION on SCHEMA::[dbo] is lacking, for compare, recheck, plan, heal:
    GRANT VIEW DEFINITION ON SCHEMA::[dbo] TO [writer]
ALTER on SCHEMA::[dbo] is lacking, for hard-reset of the whole mirror:
    GRANT ALTER ON SCHEMA::[dbo] TO [writer]

Source: s
SELECT on SCHEMA::[dbo] is lacking, for compare, recheck, plan, heal, Later:
    GRANT SELECT ON SCHEMA::[dbo] TO [writer]
VIEW DEFINITION on SCHEMA::[dbo] is lacking, for compare, recheck, plan, heal:
    GRANT VIEW DEFINITION ON SCHEMA::[dbo] TO [writer]
VIEW CHANGE TRACKING on SCHEMA::[dbo] is lacking, for compare, to tell what the
next cycle brings:
    GRANT VIEW CHANGE TRACKING ON SCHEMA::[dbo] TO [writer]
`, p.String())
}
