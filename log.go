package mirror

import (
	"context"
	"errors"
	"log/slog"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// logChange writes the record of an attempt to change the mirror: done, refused
// before anything was touched, failed and rolled back, or unknown. A dry run is
// no attempt. Names and errors are what the caller gets anyway; values of rows
// and connection strings are in neither.
func (m *Mirror) logChange(ctx context.Context, operation string, dryRun bool, receipt *Receipt, err error) {
	if dryRun {
		return
	}
	level, outcome := slog.LevelInfo, "done"
	switch {
	case err == nil:
	case errors.Is(err, store.ErrOutcomeUnknown):
		level, outcome = slog.LevelError, "unknown"
	case errors.Is(err, errUnrecorded):
		level = slog.LevelWarn
	case refused(err):
		level, outcome = slog.LevelWarn, "refused"
	default:
		level, outcome = slog.LevelError, "failed"
	}
	attrs := []slog.Attr{slog.String("context_id", m.contextID), slog.String("outcome", outcome)}
	if receipt != nil {
		attrs = append(attrs, slog.String("receipt", text.Clip(receipt.ID, text.MaxName)), slog.Int("tables", len(receipt.Tables)), slog.Bool("metadata_dropped", receipt.Metadata != nil))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", text.Err(err).Error()))
	}
	m.log.LogAttrs(context.WithoutCancel(ctx), level, operation, attrs...)
}

// refused reports whether an operation was not begun.
func refused(err error) bool {
	var refusal *Error
	if errors.As(err, &refusal) {
		return true
	}
	for _, sentinel := range []error{ErrTooMuch, ErrNotConfirmed, ErrNoTables, ErrNothingToDo, errInvalidPlan, errInvalidReceipt, ErrNoMetadata, ErrReplica, ErrMetadata} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}
