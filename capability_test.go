package mirror_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// isolated is a store that can tell its isolation.
type isolated struct {
	store.Store
	level string
	err   error
}

func (i isolated) Isolation(context.Context) (string, error) { return i.level, i.err }

func TestReportSaysTheIsolation(t *testing.T) {
	contact := memory.Table{Name: "contact", Columns: []string{"contact_id int"}}
	m, err := mirror.New("C1", memory.New(), nil)
	require.NoError(t, err)
	report, err := m.Compare(t.Context(), isolated{Store: memory.New(contact), level: "snapshot"}, nil)
	require.NoError(t, err)
	require.Equal(t, "snapshot", report.SourceIsolation)
	require.Contains(t, report.String(), "Read under: source snapshot, mirror unknown\n")

	boom := errors.New("boom")
	_, err = m.Compare(t.Context(), isolated{Store: memory.New(contact), err: boom}, nil)
	require.ErrorIs(t, err, boom)
}
