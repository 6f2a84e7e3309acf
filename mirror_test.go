package mirror_test

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

const customer = mirrortest.ContextID

var (
	noon = mirrortest.Noon
	oslo = time.FixedZone("", 3600)
)

// newMirror returns the mirror of customer in a store.
func newMirror(t testing.TB, store store.Store, opts *mirror.Options) *mirror.Mirror {
	t.Helper()
	return mirrortest.NewMirror(t, store, opts)
}

func TestNewContextID(t *testing.T) {
	longest := strings.Repeat("c", 128-len("_mirroring"))
	for _, id := range []string{customer, "c", "Z9", "Cust_1-a", longest} {
		m, err := mirror.New(id, memory.New(), nil)
		require.NoError(t, err, id)
		require.Equal(t, id, m.ContextID())
		require.Equal(t, id+"_mirroring", mirror.MetadataTableName(id))
	}
	for _, c := range []struct{ name, id, rule string }{
		{"empty", "", "it is empty"},
		{"one too long", longest + "c", `it has 119 characters, and at most 118 fit into a table's name with "_mirroring"`},
		{"far too long", strings.Repeat("c", 1<<20), "at most 118"},
		{"a digit first", "10195", "does not start with a letter"},
		{"an underscore first", "_Cust", "does not start with a letter"},
		{"a letter that is not ASCII first", "Ålesund", "does not start with a letter"},
		{"a letter that is not ASCII", "Malmö", `'ö' is not a letter`},
		{"a letter that looks like ASCII", "\u0421ust", "does not start with a letter"},
		{"a letter whose low byte is ASCII", "Cust\u0141", `'Ł' is not a letter`},
		{"the Kelvin sign", "Cust\u212a", `is not a letter`},
		{"a blank", "Cust 1", `' ' is not a letter`},
		{"a blank behind", "Cust1 ", `' ' is not a letter`},
		{"a line break", "Cust1\n", `'\n' is not a letter`},
		{"NUL", "Cust\x00", `'\x00' is not a letter`},
		{"no UTF-8", "Cust\xff", "is not a letter"},
		{"a bracket", "Cust]1", `']' is not a letter`},
		{"SQL", "Cust1;drop table contact", `';' is not a letter`},
		{"a quote", "Cust'1", `is not a letter`},
		{"a schema", "dbo.Cust1", `'.' is not a letter`},
		{"a path", "Cust/../1", `'/' is not a letter`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := mirror.New(c.id, memory.New(), nil)
			require.Nil(t, m)
			require.ErrorIs(t, err, mirror.ErrInvalidContextID)
			require.ErrorContains(t, err, c.rule)
			require.Less(t, len(err.Error()), 400, "the message stays short")
			require.NotContains(t, err.Error(), "\n")
			if len(c.id) <= 128 {
				require.ErrorContains(t, err, strconv.Quote(c.id), "the value is named")
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Run("no store", func(t *testing.T) {
		m, err := mirror.New(customer, nil, nil)
		require.Nil(t, m)
		require.ErrorContains(t, err, "store is nil")
	})

	t.Run("it touches nothing", func(t *testing.T) {
		store := memory.New()
		newMirror(t, store, &mirror.Options{})
		require.Empty(t, store.Calls())
	})

	t.Run("the options are copied", func(t *testing.T) {
		store := memory.New(memory.Metadata(customer, nil))
		opts := &mirror.Options{}
		m := newMirror(t, store, opts)
		opts.MetadataTable = "other"
		st, err := m.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Cust10195_mirroring", st.MetadataTable)
	})

	t.Run("the zero options are no options", func(t *testing.T) {
		store := world()
		with, err := newMirror(t, store, &mirror.Options{}).Status(t.Context())
		require.NoError(t, err)
		without, err := newMirror(t, store, nil).Status(t.Context())
		require.NoError(t, err)
		with.Time, without.Time = time.Time{}, time.Time{}
		require.Equal(t, without, with)
	})

	t.Run("the clock tells every time, in UTC", func(t *testing.T) {
		local := noon.In(oslo)
		m := newMirror(t, world(), &mirror.Options{Clock: mirrortest.Clock{Time: func() time.Time { return local }}})
		st, err := m.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, noon, st.Time)
		report, err := m.Compare(t.Context(), customerDatabase(), nil)
		require.NoError(t, err)
		require.Equal(t, noon, report.Started)
		require.Equal(t, noon, report.Finished)
		require.Zero(t, report.Tables[0].Elapsed)
		receipt, err := m.ResetTables(t.Context(), nil, &mirror.ResetOptions{All: true})
		require.NoError(t, err)
		require.Equal(t, noon, receipt.Time)
	})

	t.Run("without a clock it is now", func(t *testing.T) {
		before := time.Now()
		st, err := newMirror(t, world(), nil).Status(t.Context())
		require.NoError(t, err)
		require.False(t, st.Time.Before(before.Truncate(time.Microsecond)) || st.Time.After(time.Now()))
		require.Equal(t, time.UTC, st.Time.Location())
	})

	t.Run("one log record for each attempt to change the mirror", func(t *testing.T) {
		var log bytes.Buffer
		st := world()
		m := newMirror(t, st, &mirror.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		logged := func() string {
			text := log.String()
			log.Reset()
			require.LessOrEqual(t, strings.Count(text, "\n"), 1)
			_, message, _ := strings.Cut(strings.TrimSpace(text), "level=")
			return message
		}
		ctx := t.Context()
		_, err := m.Status(ctx)
		require.NoError(t, err)
		_, err = m.Compare(ctx, customerDatabase(), nil)
		require.NoError(t, err)
		_, err = m.ResetTables(ctx, nil, &mirror.ResetOptions{All: true, DryRun: true})
		require.NoError(t, err)
		require.Empty(t, logged(), "reading and dry runs change nothing")
		_, err = m.ResetTables(ctx, []string{"nothing"}, nil)
		require.ErrorIs(t, err, store.ErrTableNotFound)
		require.Equal(t, `WARN msg="reset tables" context_id=Cust10195 outcome=refused error="reset tables of Cust10195: table not found: \"nothing\""`, logged())
		_, err = m.HardReset(ctx, nil)
		require.ErrorIs(t, err, mirror.ErrNotConfirmed)
		require.Contains(t, logged(), `WARN msg="hard reset" context_id=Cust10195 outcome=refused error=`)
		_, err = m.Apply(ctx, nil, nil)
		require.ErrorIs(t, err, mirror.ErrInvalidDocument)
		require.Contains(t, logged(), `WARN msg="apply plan" context_id=Cust10195 outcome=refused error=`)
		require.ErrorIs(t, m.Undo(ctx, nil), mirror.ErrInvalidDocument)
		require.Contains(t, logged(), `WARN msg=undo context_id=Cust10195 outcome=refused error=`)
		st.FailAt(memory.Commit, 1, errBoom)
		_, err = m.ResetTables(ctx, nil, &mirror.ResetOptions{All: true})
		require.ErrorIs(t, err, errBoom)
		require.Equal(t, `ERROR msg="reset tables" context_id=Cust10195 outcome=failed error="reset tables of Cust10195: boom"`, logged())
		st.FailAfterCommit(1, store.ErrOutcomeUnknown)
		receipt, err := m.ResetTables(ctx, nil, &mirror.ResetOptions{All: true})
		require.ErrorIs(t, err, store.ErrOutcomeUnknown)
		require.Contains(t, logged(), `ERROR msg="reset tables" context_id=Cust10195 outcome=unknown receipt=`+receipt.ID+` tables=3`)
		require.NoError(t, m.Undo(ctx, receipt))
		logged()
		receipt, err = m.ResetTables(ctx, nil, &mirror.ResetOptions{All: true})
		require.NoError(t, err)
		require.Equal(t, `INFO msg="reset tables" context_id=Cust10195 outcome=done receipt=`+receipt.ID+` tables=3 metadata_dropped=false`, logged())
		require.NoError(t, m.Undo(ctx, receipt))
		require.Equal(t, `INFO msg=undo context_id=Cust10195 outcome=done receipt=`+receipt.ID+` tables=3 metadata_dropped=false`, logged())
		receipt, err = m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer})
		require.NoError(t, err)
		require.Equal(t, `INFO msg="hard reset" context_id=Cust10195 outcome=done receipt=`+receipt.ID+` tables=3 metadata_dropped=true`, logged())
	})

	t.Run("progress comes from one goroutine at a time and reaches the end", func(t *testing.T) {
		var seen []mirror.Progress // the race detector watches it
		m := newMirror(t, world(), &mirror.Options{Progress: func(p mirror.Progress) { seen = append(seen, p) }})
		report, err := m.Compare(t.Context(), customerDatabase(), &mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 4}})
		require.NoError(t, err)
		require.NotEmpty(t, seen)
		last := map[string]mirror.Progress{}
		for i, p := range seen {
			require.GreaterOrEqual(t, p.Rows, last[p.Table].Rows, "rows of %s", p.Table)
			require.LessOrEqual(t, p.Rows, p.Expected, "rows of %s", p.Table)
			require.Equal(t, len(report.Tables), p.Tables)
			if i > 0 {
				require.GreaterOrEqual(t, p.TablesDone, seen[i-1].TablesDone)
			}
			last[p.Table] = p
		}
		for _, tr := range report.Tables {
			require.Equal(t, tr.SourceRows, last[tr.Table].Rows, tr.Table)
		}
		require.Equal(t, len(report.Tables), seen[len(seen)-1].TablesDone)
	})

	t.Run("no source", func(t *testing.T) {
		_, err := newMirror(t, world(), nil).Compare(context.Background(), nil, nil)
		require.ErrorContains(t, err, "source is nil")
	})
}

// Each sentinel says what happened without the words around it.
func TestSentinels(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{mirror.ErrJournal, "journal not written"},
		{mirror.ErrTimeBudget, "time budget used up"},
		{mirror.ErrMoved, "metadata row moved since the plan was made"},
		{heal.ErrLostReset, "reset was overwritten by a running cycle"},
	} {
		require.EqualError(t, c.err, c.want)
	}
}

func TestWithJournal(t *testing.T) {
	was, is := &notes{}, &notes{}
	store := world()
	m := newMirror(t, store, &mirror.Options{Journal: was, Clock: mirrortest.Clock{Time: func() time.Time { return noon }}})
	with, without := m.WithJournal(is), m.WithJournal(nil)

	receipt, err := with.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.Equal(t, noon, receipt.Time, "the rest of the options is the same")
	require.Equal(t, "intent done", is.events())
	require.Empty(t, was.entries)

	require.NoError(t, without.Undo(t.Context(), receipt), "it is the same mirror")
	require.Len(t, is.entries, 2)
	require.Empty(t, was.entries)

	_, err = m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.Equal(t, "intent done", was.events(), "the Mirror itself is as it was")
	require.Len(t, is.entries, 2)
}

func TestWithProgress(t *testing.T) {
	var was, is int
	m := newMirror(t, world(), &mirror.Options{Progress: func(mirror.Progress) { was++ }})
	compare := func(m *mirror.Mirror) {
		t.Helper()
		_, err := m.Compare(t.Context(), customerDatabase(), nil)
		require.NoError(t, err)
	}
	compare(m.WithProgress(func(mirror.Progress) { is++ }))
	require.Positive(t, is)
	require.Zero(t, was)
	seen := is

	compare(m.WithProgress(nil))
	compare(m)
	require.Positive(t, was, "the Mirror itself is as it was")
	require.Equal(t, seen, is)
}
