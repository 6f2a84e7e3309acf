package mirror_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// unidentified is a store whose database cannot be asked which one it is.
type unidentified struct {
	*memory.Store
	err   error
	asked *int
}

func (u unidentified) Identity(ctx context.Context) (store.Identity, error) {
	*u.asked++
	if u.err != nil {
		return store.Identity{}, u.err
	}
	return u.Store.Identity(ctx)
}

// changes are the operations that need to know which database they change.
func changes(t *testing.T, s store.Store) map[string]func(ctx context.Context, m *mirror.Mirror) error {
	t.Helper()
	journal := &notes{}
	m := newMirror(t, s, &mirror.Options{Journal: journal})
	report, err := m.Compare(t.Context(), customerDatabase(), nil)
	require.NoError(t, err)
	plan := report.Plan()
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	return map[string]func(ctx context.Context, m *mirror.Mirror) error{
		"ResetTables": func(ctx context.Context, m *mirror.Mirror) error {
			_, err := m.ResetTables(ctx, []string{"person"}, nil)
			return err
		},
		"HardReset": func(ctx context.Context, m *mirror.Mirror) error {
			_, err := m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer})
			return err
		},
		"Apply": func(ctx context.Context, m *mirror.Mirror) error {
			_, err := m.Apply(ctx, plan, &mirror.ApplyOptions{Tables: []string{"person"}, Force: true})
			return err
		},
		"Undo": func(ctx context.Context, m *mirror.Mirror) error { return m.Undo(ctx, receipt) },
		"Reconcile": func(ctx context.Context, m *mirror.Mirror) error {
			_, err := m.Reconcile(ctx, journal.entries[:1])
			return err
		},
		"CheckDatabase": func(ctx context.Context, m *mirror.Mirror) error { return m.CheckDatabase(ctx, receipt.Mirror) },
	}
}

// TestIdentityFails: nothing is changed in a database of which the server does not
// say which one it is, although it could.
func TestIdentityFails(t *testing.T) {
	s := world()
	for name, run := range changes(t, s) {
		t.Run(name, func(t *testing.T) {
			asked := 0
			m := newMirror(t, unidentified{s, errBoom, &asked}, nil)
			before := mirrortest.Dump(t, s)
			require.ErrorIs(t, run(t.Context(), m), errBoom)
			require.Equal(t, 1, asked)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, run(ctx, newMirror(t, s, nil)), context.Canceled)
			require.Equal(t, before, mirrortest.Dump(t, s))
		})
	}
}

// TestIdentityIsAskedOnce: it is a round trip.
func TestIdentityIsAskedOnce(t *testing.T) {
	for name := range changes(t, world()) {
		t.Run(name, func(t *testing.T) {
			s := world()
			run, asked := changes(t, s)[name], 0
			require.NoError(t, run(t.Context(), newMirror(t, unidentified{s, nil, &asked}, nil)))
			require.Equal(t, 1, asked)
		})
	}
	t.Run("not for a receipt that does not tell", func(t *testing.T) {
		s, asked := world(), 0
		type plain struct{ store.Store }
		receipt, err := newMirror(t, plain{s}, nil).ResetTables(t.Context(), []string{"contact"}, nil)
		require.NoError(t, err)
		require.NoError(t, newMirror(t, unidentified{s, errBoom, &asked}, nil).Undo(t.Context(), receipt))
		require.Zero(t, asked)
	})
}

func TestFormerIDsAreCopied(t *testing.T) {
	s, other := world(), world()
	ids := []string{"x"}
	m := newMirror(t, s, &mirror.Options{FormerIDs: ids})
	id, err := other.Identity(t.Context())
	require.NoError(t, err)
	ids[0] = id.ID
	require.ErrorIs(t, m.CheckDatabase(t.Context(), id), mirror.ErrWrongDatabase)
}
