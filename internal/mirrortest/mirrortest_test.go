package mirrortest_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// TestTrapsOfTwoEngines: what two engines store in their own ways is compared
// by value.
func TestTrapsOfTwoEngines(t *testing.T) {
	mirrortest.RunTraps(t,
		func(testing.TB) store.Store { return memory.New() },
		openSQLite)
}

func openSQLite(t testing.TB) store.Store {
	t.Helper()
	st, err := sqlite.Create(context.Background(), filepath.Join(t.TempDir(), "mirror.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func TestMistakes(t *testing.T) {
	mirrortest.Mistakes(t, openSQLite)
}

func TestReplicaLives(t *testing.T) {
	mirrortest.ReplicaLives(t, func(testing.TB) store.Store { return memory.New() }, 60)
}

func TestReplicaChecks(t *testing.T) {
	mirrortest.ReplicaChecks(t, func(testing.TB) store.Store { return memory.New() })
}

func TestCheckProperty(t *testing.T) {
	mirrortest.CheckProperty(t, func(testing.TB) store.Store { return memory.New() }, 200)
}

func TestCheckSoak(t *testing.T) {
	mirrortest.CheckSoak(t, func(testing.TB) store.Store { return memory.New() }, mirrortest.SoakTime(t))
}
