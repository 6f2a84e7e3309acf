package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// apply carries out what the receipt says.
func (m *Mirror) apply(ctx context.Context, r *resync, tx store.Tx, receipt *Receipt) error {
	t, err := m.findMetadata(r.tables)
	if err != nil {
		return err
	}
	if receipt.Metadata != nil {
		return m.takeAway(ctx, r, tx, t, receipt)
	}
	md, err := m.names.Define(t)
	if err != nil {
		return err
	}
	// What a constraint can refuse comes first: the rest takes long.
	for _, rt := range receipt.Tables {
		for _, a := range rt.Actions {
			var err error
			refused := ""
			switch a {
			case ActionResetLSN:
				err = md.RequestAll(ctx, tx, rt.Metadata[0])
				refused = "cannot get LSN -1: %v: HardReset of that table deletes its metadata row instead, and the next cycle sends all of it"
			case ActionDeleteMetadata:
				err = md.Delete(ctx, tx, rt.Metadata)
				refused = "cannot lose its metadata row: %v: HardReset of the whole mirror takes the metadata table away instead"
			}
			if errors.Is(err, store.ErrConstraint) {
				return &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMetadata,
					Tables: []TableError{{Table: rt.Table, Reason: fmt.Sprintf(refused, text.Err(err))}}}
			}
			if err != nil {
				return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
			}
		}
	}
	if r.dryRun {
		return m.checkWritten(ctx, r, tx, receipt)
	}
	for _, rt := range receipt.Tables {
		if len(rt.Actions) == 0 {
			continue
		}
		data, _, err := findTable(r.tables, rt.Table)
		if err != nil {
			return err
		}
		for _, a := range rt.Actions {
			var err error
			switch a {
			case ActionTruncate:
				err = tx.Truncate(ctx, data)
			case ActionDrop:
				err = tx.Drop(ctx, data)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", text.Name(rt.Table), err)
			}
		}
	}
	return m.checkWritten(ctx, r, tx, receipt)
}

// checkWritten reads the metadata rows once more, because a trigger may have
// changed what was written.
func (m *Mirror) checkWritten(ctx context.Context, r *resync, tx store.Tx, receipt *Receipt) error {
	if !slices.ContainsFunc(receipt.Tables, func(rt ReceiptTable) bool { return len(rt.Actions) > 0 }) {
		return nil
	}
	md, err := m.readMetadata(ctx, tx, r.tables)
	if err != nil {
		return err
	}
	refused := &Error{Op: string(r.op), ContextID: m.contextID, Err: ErrMetadata}
	for _, rt := range receipt.Tables {
		reason := ""
		switch {
		case slices.Contains(rt.Actions, ActionResetLSN):
			reason = md.NotWritten(rt.Table, m.names.Reset(rt.Metadata))
		case slices.Contains(rt.Actions, ActionDeleteMetadata):
			reason = md.NotWritten(rt.Table, nil)
		}
		if reason != "" {
			refused.refuse(rt.Table, reason)
		}
	}
	return refused.orNil()
}

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
