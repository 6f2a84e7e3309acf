package crm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

// recorder is a Store that keeps what Load writes.
type recorder struct {
	store.Store
	created []store.Table
	chunks  map[string][][]store.Row // kept, not copied
	updates int
	chunk   int // most rows of one Insert
	bytes   int // most bytes of binaryData of one Insert
	fail    error
	before  func()
}

func (r *recorder) Update(_ context.Context, fn func(store.Tx) error) error {
	r.updates++
	return fn(recorderTx{r: r})
}

func (r *recorder) rows(table string) []store.Row { return slices.Concat(r.chunks[table]...) }

type recorderTx struct {
	store.Tx
	r *recorder
}

func (tx recorderTx) Create(_ context.Context, t store.Table) error {
	tx.r.created = append(tx.r.created, t)
	return nil
}

func (tx recorderTx) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	if tx.r.before != nil {
		tx.r.before()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("insert: %w", ctx.Err())
	}
	if tx.r.fail != nil {
		return tx.r.fail
	}
	if !slices.Equal(columns, t.ColumnNames()) || len(rows) == 0 {
		return errors.New("unexpected insert")
	}
	tx.r.chunks[t.Name] = append(tx.r.chunks[t.Name], rows)
	tx.r.chunk = max(tx.r.chunk, len(rows))
	bytes := 0
	for _, row := range rows {
		for _, v := range row {
			b, _ := v.([]byte)
			bytes += len(b)
		}
	}
	tx.r.bytes = max(tx.r.bytes, bytes)
	return nil
}

func TestLoad(t *testing.T) {
	opts := crm.Options{Contacts: 1234, Schema: "crm7", Counts: map[string]int{"binaryobject": 2000}}
	newRecorder := func() *recorder { return &recorder{chunks: map[string][][]store.Row{}} }

	t.Run("all tables", func(t *testing.T) {
		r := newRecorder()
		require.NoError(t, crm.Load(t.Context(), r, opts))
		tables := crm.Tables()
		for i := range tables {
			tables[i].Schema = "crm7"
		}
		require.Equal(t, tables, r.created)
		require.Equal(t, len(tables), r.updates)
		for _, tab := range tables {
			require.Len(t, r.rows(tab.Name), opts.Rows(tab.Name), tab.Name)
			for i, row := range r.rows(tab.Name) {
				if i%100 == 0 {
					require.Equal(t, crm.Row(tab, i, opts), row)
				}
			}
		}
		require.Equal(t, 500, r.chunk)
		require.Less(t, r.bytes, 1<<20+1<<16, "a chunk of large rows has fewer")
		require.Greater(t, r.bytes, 1<<19)
	})
	t.Run("named tables", func(t *testing.T) {
		r := newRecorder()
		require.NoError(t, crm.Load(t.Context(), r, opts, "SaleHist", "Contact"))
		require.Len(t, r.created, 2)
		require.Equal(t, "saleHist", r.created[0].Name)
		require.Equal(t, 2, r.updates)
		require.Len(t, r.rows("contact"), 1234)
	})
	t.Run("unknown table", func(t *testing.T) {
		r := newRecorder()
		require.ErrorIs(t, crm.Load(t.Context(), r, opts, "contact", "nope"), store.ErrTableNotFound)
		require.Zero(t, r.updates)
	})
	t.Run("failed insert", func(t *testing.T) {
		r := newRecorder()
		r.fail = errors.New("disk full")
		err := crm.Load(t.Context(), r, opts, "contact", "person")
		require.ErrorIs(t, err, r.fail)
		require.EqualError(t, err, "load table crm7.contact: disk full")
		require.Equal(t, 1, r.updates)
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newRecorder()
		r.before = cancel
		require.Equal(t, context.Canceled, crm.Load(ctx, r, opts))
		require.Empty(t, r.chunks)
	})
}
