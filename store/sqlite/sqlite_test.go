package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
	"github.com/so-mirror/mirror/store/storetest"
)

func open(t testing.TB) store.Store {
	t.Helper()
	st, err := sqlite.Create(context.Background(), filepath.Join(t.TempDir(), "it's 100% a #mirror?.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func TestConformance(t *testing.T) { storetest.Run(t, open, ownObjects()...) }

// A Source opens the file by itself, as somebody does who only reads it.
func TestConformanceOfSource(t *testing.T) {
	storetest.RunSource(t, func(t testing.TB) (store.Source, store.Store) {
		path := filepath.Join(t.TempDir(), "read.db")
		st, err := sqlite.Create(t.Context(), path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		src, err := sqlite.OpenSource(t.Context(), path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, src.Close()) })
		return src, st
	}, ownObjects()...)
}

func TestScenarios(t *testing.T) { mirrortest.Run(t, open) }

func TestProperty(t *testing.T) { mirrortest.Property(t, open, 60, nil) }

func TestSteps(t *testing.T) { mirrortest.Steps(t, open) }

func TestReplicaLives(t *testing.T) { mirrortest.ReplicaLives(t, open, 10) }

func TestReplicaChecks(t *testing.T) { mirrortest.ReplicaChecks(t, open) }

func TestCheckProperty(t *testing.T) { mirrortest.CheckProperty(t, open, 60) }

func TestCheckSoak(t *testing.T) { mirrortest.CheckSoak(t, open, mirrortest.SoakTime(t)) }
