package storetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// identityContracts: a [store.Identifier] says the same of one database for ever,
// and of two never.
func identityContracts() []contract {
	return []contract{
		{"same-database", sameDatabase},
		{"other-database", otherDatabase},
		{"cancelled", cancelledIdentity},
	}
}

// noIdentifier says why a Source is not held to the contracts of an Identifier, ""
// if it is.
func noIdentifier(t *env) string {
	i, ok := t.src.(store.Identifier)
	if !ok {
		return "not an Identifier"
	}
	id, err := i.Identity(t.Context())
	if errors.Is(err, errors.ErrUnsupported) {
		return err.Error()
	}
	require.NoError(t, err, "Identity")
	if id.ID == "" {
		return "it cannot be told which database this is"
	}
	return ""
}

func identity(t T, src store.Source) store.Identity {
	t.Helper()
	id, err := src.(store.Identifier).Identity(t.Context())
	require.NoError(t, err, "Identity")
	require.NotEmpty(t, id.Engine)
	require.NotEmpty(t, id.ID)
	return id
}

func sameDatabase(t *env) {
	want := identity(t, t.src)
	tab := t.load(people(), peopleRows(3)...)
	require.Equal(t, want, identity(t, t.src), "the identity of a database that was written to")
	t.update(func(tx store.Tx) error { return tx.Drop(t.Context(), tab) })
	require.Equal(t, want, identity(t, t.src))
	if _, ok := t.st.(store.Identifier); ok {
		require.Equal(t, want.ID, identity(t, t.st).ID, "the Source and the Store are of one database")
	}
}

func otherDatabase(t *env) {
	other, _ := t.other()
	require.NotEqual(t, identity(t, t.src).ID, identity(t, other).ID, "two databases")
	require.Equal(t, identity(t, other), identity(t, other))
}

func cancelledIdentity(t *env) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := t.src.(store.Identifier).Identity(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
