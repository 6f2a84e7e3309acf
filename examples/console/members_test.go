package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/replica"
)

func TestReplicas(t *testing.T) {
	config := world(t, "")
	dir := filepath.Dir(config)
	data, err := os.ReadFile(filepath.Join(dir, "mirror.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "there.db"), data, 0o600))
	env := customers.Environment{Get: func(string) string { return "hemlig" }, Secrets: &customers.Secrets{}}
	parse := func(text string) *customers.File {
		file, err := customers.Parse(config, []byte(text))
		require.NoError(t, err)
		return file
	}

	open, err := replicas(parse("context: Cust1\nsource: customer.db\nmirror: mirror.db\n"), env)
	require.NoError(t, err)
	require.Nil(t, open, "there is no page for it")

	open, err = replicas(parse("source: customer.db\nmirror: mirror.db\nskip-tables: [document]\nmembers:\n"+
		"- Cust1\n- {context: Cust2, replica: there.db}\n- {context: Cust3, replica: '${PASSWORD}.db'}\n- {context: Cust4, mirror: nowhere.db, replica: there.db}\n"), env)
	require.NoError(t, err)
	none, err := open(t.Context(), "Cust1")
	require.NoError(t, err)
	require.Nil(t, none)
	r, err := open(t.Context(), "cust2")
	require.NoError(t, err)
	require.Equal(t, &replica.Options{ContextID: "Cust2", SkipTables: []string{"document"}}, r.Options)
	tables, err := r.Replica.Tables(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	require.NoError(t, r.Close())
	_, err = r.Reference.Tables(t.Context())
	require.Error(t, err, "it is closed")
	_, err = open(t.Context(), "Cust3")
	require.ErrorContains(t, err, "replica: ")
	require.NotContains(t, err.Error(), "hemlig")
	_, err = open(t.Context(), "Cust4")
	require.ErrorContains(t, err, "reference: ")

	env.Get = func(string) string { return "" }
	_, err = replicas(parse("context: Cust1\nreplica: ${NEW_PASSWORD}\n"), env)
	require.ErrorAs(t, err, &customers.Mistake{})
	require.ErrorContains(t, err, ":2: the environment has no NEW_PASSWORD, or it is empty")
}
