package customers

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/store/sqlite"
)

func fleetOf(t *testing.T, name, text string) (*fleet.Fleet, error) {
	t.Helper()
	file, err := Parse(name, []byte(text))
	require.NoError(t, err)
	return file.OpenFleet(Environment{Get: func(name string) string { return "of " + name }, Secrets: &Secrets{}})
}

func TestOpenFleet(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"crm.db", "Cust1.db"} {
		s, err := sqlite.Create(t.Context(), filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	all, err := fleetOf(t, filepath.Join(dir, "fleet.yaml"), `
source: crm.db
mirror: "{{context}}.db"
concurrency: 3
timeout: 1h
members:
  - context: Cust1
    skip-tables: [document]
  - Cust2
`)
	require.NoError(t, err)
	require.Equal(t, 3, all.Concurrency)
	require.Equal(t, time.Hour, all.Timeout)
	require.Len(t, all.Members, 2)
	c, err := all.Members[0].Open(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Cust1", c.Mirror.ContextID())
	require.Equal(t, []string{"document"}, c.Compare.SkipTables)
	require.NoError(t, c.Close())
	_, err = c.Source.Tables(t.Context())
	require.Error(t, err, "it is closed")

	_, err = all.Members[1].Open(t.Context())
	require.ErrorContains(t, err, "mirror: ")
}

func TestOpenFleetShowsNoSecret(t *testing.T) {
	all, err := fleetOf(t, "fleet.yaml", "context: Cust1\nsource: x.db\nmirror: ${CRM_PASSWORD}.db\n")
	require.NoError(t, err)
	_, err = all.Members[0].Open(t.Context())
	require.ErrorContains(t, err, "***")
	require.NotContains(t, err.Error(), "of CRM_PASSWORD")
	require.NotNil(t, err.(interface{ Unwrap() error }).Unwrap())
}

func TestOpenFleetRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no customer": {"source: a.db\nmirror: b.db\n", "fleet.yaml:1: whose mirror is this?"},
		"no mirror":   {"source: a.db\nmembers: [Cust1]\n", "Cust1 has no mirror"},
		"no source":   {"mirror: a.db\nmembers: [Cust1]\n", "Cust1 has no source to compare with"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fleetOf(t, "fleet.yaml", c.text)
			require.ErrorContains(t, err, c.want)
			require.ErrorAs(t, err, &Mistake{})
		})
	}
}
