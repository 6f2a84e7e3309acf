package store

import (
	"context"
	"errors"
	"fmt"
)

// The sentinels of databases. Errors wrap them, so test with errors.Is; their
// messages say what to do. Errors of a done context are passed through untouched.
var (
	// ErrTableNotFound: a table that was named does not exist.
	ErrTableNotFound = errors.New("table not found")

	// ErrConstraint: the database refused a write because of a constraint of
	// the table, which the message names.
	ErrConstraint = errors.New("refused by a constraint")

	// ErrOrder: a Source delivered rows out of the order of [CompareKeys].
	ErrOrder = errors.New("rows out of key order")

	// ErrBusy: another operation of this library is changing the same mirror,
	// and did not end in time. Nothing was changed.
	ErrBusy = errors.New("another operation is changing this mirror")

	// ErrOutcomeUnknown: the connection was lost while a transaction was being
	// committed. Read the mirror's Status before doing anything else.
	ErrOutcomeUnknown = errors.New("outcome of the commit is unknown: read Status before doing anything else")

	// ErrConnection: the server could not be reached or closed the connection.
	ErrConnection = errors.New("no connection to the database")

	// ErrLogin: the server refused the login, or the login may not open the
	// database.
	ErrLogin = errors.New("login refused")

	// ErrPermission: the login lacks a permission.
	ErrPermission = errors.New("permission denied")

	// ErrLockTimeout: another transaction kept a lock for too long. Nothing
	// was changed.
	ErrLockTimeout = errors.New("lock timeout")

	// ErrDeadlock: the server chose this transaction to end a deadlock, in
	// every try. Nothing was changed.
	ErrDeadlock = errors.New("deadlock")
)

// IsTransient reports whether an error is one that a later try may not meet: a
// lost connection, a lock, a deadlock, or another operation.
func IsTransient(err error) bool {
	return errors.Is(err, ErrConnection) || errors.Is(err, ErrLockTimeout) || errors.Is(err, ErrDeadlock) || errors.Is(err, ErrBusy)
}

// WrapError adds what was being done to err, and leaves the errors of a done
// context as they are. That a commit may have happened is worth more than why
// its answer was not waited for.
func WrapError(ctx context.Context, err error, doing string) error {
	if err == nil {
		return nil
	}
	done := ctx.Err()
	if done != nil && (errors.Is(err, done) || errors.Is(err, context.Canceled)) && !errors.Is(err, ErrOutcomeUnknown) {
		return done
	}
	return fmt.Errorf("%s: %w", doing, err)
}
