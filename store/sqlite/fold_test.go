package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
)

// TestNamesThatFoldAlike: SQLite knows the case of ASCII alone, so it holds two
// tables that the library takes for one name. They cost each other, not the rest.
func TestNamesThatFoldAlike(t *testing.T) {
	const tables = `CREATE TABLE "Ål" (id int PRIMARY KEY); CREATE TABLE "ål" (id int PRIMARY KEY);
		CREATE TABLE contact (id int NOT NULL PRIMARY KEY); INSERT INTO contact VALUES (1);`
	_, source := database(t, tables)
	_, store := database(t, tables+`CREATE TABLE C1_mirroring (tablename nvarchar(128) PRIMARY KEY, LSN bigint);
		INSERT INTO C1_mirroring VALUES ('contact', 5), ('Ål', 5);`)
	m, err := mirror.New("C1", store, nil)
	require.NoError(t, err)

	st, err := m.Status(t.Context())
	require.NoError(t, err)
	states := map[string]mirror.TableState{}
	for _, ts := range st.Tables {
		states[ts.Table] = ts.State
	}
	require.Equal(t, map[string]mirror.TableState{"contact": mirror.TableSynced, "Ål": mirror.TableInvalid, "ål": mirror.TableInvalid}, states)

	r, err := m.Compare(t.Context(), source, nil)
	require.NoError(t, err)
	require.Equal(t, mirror.VerdictIdentical, r.Table("contact").Verdict)
	require.Equal(t, mirror.VerdictIncomparable, r.Table("ål").Verdict)
	require.ErrorContains(t, r.Err(), "the source has two tables of one name, Ål and ål")
	require.False(t, r.Identical())

	_, err = m.ResetTables(t.Context(), []string{"ål"}, nil)
	require.ErrorContains(t, err, "stands for both Ål and ål")
	receipt, err := m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true})
	require.NoError(t, err)
	actions := map[string][]mirror.Action{}
	for _, rt := range receipt.Tables {
		actions[rt.Table] = rt.Actions
	}
	require.Equal(t, map[string][]mirror.Action{"contact": {mirror.ActionResetLSN}, "Ål": nil}, actions)
	require.Contains(t, receipt.String(), "left alone: it stands for both Ål and ål")
	_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", DryRun: true})
	require.NoError(t, err)
}
