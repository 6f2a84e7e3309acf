package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
)

// The exit codes, which scripts rely on.
const (
	exitDone       = 0 // identical, or done
	exitError      = 1
	exitUsage      = 2 // wrong arguments
	exitDiffers    = 3 // differences that no cycle mends are proven
	exitPending    = 4 // what differs is known to come with the next cycle
	exitUnknown    = 5 // what differs may come with the next cycle
	exitRefused    = 6 // nothing was changed, because something speaks against it
	exitIncomplete = 7 // not everything was compared
)

// exitCodes is the table that people read.
const exitCodes = `Exit codes:
  0  identical, or done
  1  an error, or interrupted
  2  wrong arguments
  3  it is proven that the copies differ
  4  they differ, and the next cycle brings what is missing
  5  they differ, and whether the next cycle brings it is not known yet
  6  refused: nothing was changed, and the message says why
  7  not everything was compared`

// verdict is a result that is no error, with an exit code of its own: the output says
// what it is.
type verdict int

func (v verdict) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

// usageError says that the arguments are wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// refusedError says that nothing was changed, because something speaks against it.
type refusedError struct{ error }

func refusef(format string, args ...any) error { return refusedError{fmt.Errorf(format, args...)} }

func (e refusedError) Unwrap() error { return e.error }

// refusals are the errors with which nothing was changed, because something speaks
// against it.
var refusals = []error{
	mirror.ErrWrongDatabase, mirror.ErrNoMetadata, mirror.ErrMetadata, mirror.ErrReplica, mirror.ErrTooMuch,
	mirror.ErrInvalidDocument, mirror.ErrNoTables, mirror.ErrNotPlanned, mirror.ErrNotConfirmed, mirror.ErrMoved,
	mirror.ErrCannotUndo, store.ErrBusy, replica.ErrRefused,
}

// exitCode prints an error and returns its exit code.
func (a *app) exitCode(err error) int {
	var v verdict
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &v):
		return int(v)
	}
	code := codeOf(err)
	a.complain(err)
	if code == exitUsage && !strings.Contains(err.Error(), "--help") {
		fmt.Fprintln(a.err, "Run it with --help to see how it is used.")
	}
	return code
}

// complain says what went wrong, and what to do about it.
func (a *app) complain(err error) {
	fmt.Fprintln(a.err, "mirrorctl: "+a.harmless(err))
	if advice := adviceOf(err); advice != "" {
		fmt.Fprintln(a.err, advice)
	}
}

// adviceOf says what to do about an error, in terms of the command line.
func adviceOf(err error) string {
	limit := (*mirror.LimitError)(nil)
	switch {
	case errors.As(err, &limit) && limit.What == "tables":
		return "To reset so many tables all the same: --max-table-share 1"
	case errors.As(err, &limit):
		return "If the source is the right database: --max-row-share 1"
	case errors.Is(err, mirror.ErrMoved):
		return "Compare again, or leave these tables alone: --skip-moved"
	case errors.Is(err, mirror.ErrNotPlanned):
		return "To reset these tables all the same: --force"
	case errors.Is(err, store.ErrOutcomeUnknown):
		return "Find out what happened: mirrorctl reconcile"
	case errors.Is(err, store.ErrBusy):
		return "Nothing was changed: try again when the other operation is through."
	default:
		return ""
	}
}

// codeOf returns the exit code of an error.
func codeOf(err error) int {
	if usage := (usageError{}); errors.As(err, &usage) || errors.As(err, &customers.Mistake{}) || errors.Is(err, mirror.ErrInvalidContextID) {
		return exitUsage
	}
	if slip := (*mirror.Error)(nil); errors.As(err, &slip) && errors.Is(err, store.ErrTableNotFound) {
		return exitUsage // a name that no table has
	}
	if refused := (refusedError{}); errors.As(err, &refused) {
		return exitRefused
	}
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			return exitRefused
		}
	}
	if errors.Is(err, heal.ErrLostReset) {
		return exitDiffers
	}
	if errors.Is(err, mirror.ErrTimeBudget) || errors.Is(err, heal.ErrOverdue) {
		return exitIncomplete
	}
	return exitError
}

// harmless is the text of an error without what must not be seen: no password, and
// nothing that steers a terminal.
func (a *app) harmless(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted: " + a.printable(inFlags(err.Error()))
	}
	return a.printable(inFlags(err.Error()))
}
