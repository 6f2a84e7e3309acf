package mirror_test

import (
	"github.com/so-mirror/mirror/internal/mirrortest"

	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// undoable are the operations that Undo takes back, on receiptWorld.
func undoable() []func(context.Context, *mirror.Mirror) (*mirror.Receipt, error) {
	return []func(context.Context, *mirror.Mirror) (*mirror.Receipt, error){
		func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.ResetTables(ctx, nil, &mirror.ResetOptions{All: true})
		},
		func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer, Tables: []string{"contact", "sale"}})
		},
		func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer})
		},
	}
}

// afterOperation returns receiptWorld after the nth of undoable, and its receipt
// as JSON.
func afterOperation(t testing.TB, n int) (*memory.Store, []byte) {
	t.Helper()
	store := receiptWorld("")
	receipt, err := undoable()[n](context.Background(), newMirror(t, store, nil))
	require.NoError(t, err)
	text, err := json.Marshal(receipt)
	require.NoError(t, err)
	return store, text
}

func TestUndoReadsWhatJSONKept(t *testing.T) {
	for n := range undoable() {
		store, text := afterOperation(t, n)
		var receipt mirror.Receipt
		require.NoError(t, json.Unmarshal(text, &receipt))
		require.NoError(t, newMirror(t, store, nil).Undo(t.Context(), &receipt))
		require.Equal(t, mirrortest.Dump(t, receiptWorld("")), mirrortest.Dump(t, store), "operation %d", n)
	}
}

// A receipt comes from a file that may be damaged or forged. Whatever it says,
// Undo changes the metadata table only, only in tables that the receipt names,
// and nothing at all when it refuses.
func FuzzReceipt(f *testing.F) {
	for n := range undoable() {
		_, text := afterOperation(f, n)
		for state := range undoable() {
			f.Add(text, byte(state))
		}
		for old, forged := range map[string]string{
			`"contextId":"Cust10195"`: `"contextId":"Cust10196"`,
			`"version":1`:             `"version":1,"dryRun":true`,
			`"metadata":[[`:           `"other":[[`,
			`"value":"contact"`:       `"value":"log"`,
			`"column":"LSN"`:          `"column":"lsn"`,
			`"lsn":1234567`:           `"lsn":1234568`,
		} {
			f.Add(bytes.Replace(text, []byte(old), []byte(forged), 1), byte(n))
		}
	}
	row := `[[{"column":"tablename","type":"string","value":"contact"},{"column":"LSN","type":"int","value":"5"}]]`
	for _, s := range []string{`null`, `{}`, `{"version":1,"contextId":"Cust10195","operation":"hard reset","tables":[{}]}`,
		`{"version":1,"contextId":"Cust10195","operation":"reset tables","tables":[{"table":"contact","lsn":5,"actions":["reset-lsn"],"metadata":` + row + `}]}`,
		`{"version":1,"contextId":"Cust10195","operation":"hard reset","tables":[{"table":"contact","lsn":5,"actions":["delete-metadata"],"metadata":` + row + `}]}`,
		`{"version":1,"contextId":"Cust10195","operation":"hard reset","metadata":{"name":"cust10195_MIRRORING","columns":[{"name":"x","type":"int"}]},"tables":[]}`,
		`{"version":1,"contextId":"Cust10195","operation":"hard reset","metadata":{"schema":"a","name":"Cust10195_mirroring","columns":[{"name":"LSN","type":"geometry"}]},"tables":[]}`,
	} {
		for state := range undoable() {
			f.Add([]byte(s), byte(state))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, state byte) {
		var receipt mirror.Receipt
		if err := json.Unmarshal(text, &receipt); err != nil {
			t.Skip("no receipt")
		}
		st, _ := afterOperation(t, int(state)%len(undoable()))
		before := mirrortest.Dump(t, st)
		err := newMirror(t, st, nil).Undo(t.Context(), &receipt)
		after := mirrortest.Dump(t, st)
		if err != nil {
			require.Equal(t, before, after, "refused with %v", err)
			return
		}
		require.Equal(t, mirror.MetadataTableName(receipt.ContextID), "Cust10195_mirroring")
		require.False(t, receipt.DryRun)
		const metadata = "Cust10195_mirroring"
		for name := range after {
			old, existed := before[name]
			switch {
			case !existed:
				require.NotNil(t, receipt.Metadata, "%s was created", name)
				require.Equal(t, store.FoldName(receipt.Metadata.String()), store.FoldName(name))
			case name != metadata:
				require.Equal(t, old, after[name], "the data of %s", name)
			default:
				require.Equal(t, old[0], after[name][0], "the columns of the metadata table")
			}
		}
		for name, old := range before {
			if name == "before_hard_reset_Cust10195" && receipt.Kept != "" {
				require.Equal(t, old[1:], after[metadata][1:], "the metadata table has its name again")
				continue
			}
			require.Contains(t, after, name, "nothing is dropped")
		}
		for _, rt := range receipt.Tables {
			lsn, ok := st.LSN(customer, rt.Table)
			if slices.Contains(rt.Actions, mirror.ActionResetLSN) && rt.LSN != nil {
				require.True(t, ok)
				require.Equal(t, *rt.LSN, lsn, "the LSN of %s is that of the receipt", rt.Table)
			}
		}
	})
}

// What was not done, or undone already, is said to be so.
func TestUndoOfWhatIsNotThere(t *testing.T) {
	store := world()
	m := newMirror(t, store, nil)
	receipt, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.NoError(t, m.Undo(t.Context(), receipt))
	err = m.Undo(t.Context(), receipt)
	require.ErrorIs(t, err, mirror.ErrCannotUndo)
	require.ErrorContains(t, err, "nothing to undo")
}
