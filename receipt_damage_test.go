package mirror_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// damages calls do with the JSON of v, each time with another one of its values
// changed or left out, and puts it right again.
func damages(doc any, do func(what string)) {
	switch v := doc.(type) {
	case map[string]any:
		for name, old := range v {
			delete(v, name)
			do("without " + name)
			v[name] = damaged(old)
			do("another " + name)
			v[name] = old
			damages(old, func(what string) { do(name + ": " + what) })
		}
	case []any:
		for i, old := range v {
			v[i] = damaged(old)
			do(fmt.Sprint("another ", i))
			v[i] = old
			damages(old, func(what string) { do(fmt.Sprint(i, ": ", what)) })
		}
	}
}

func damaged(v any) any {
	switch v := v.(type) {
	case string:
		return v + "0"
	case json.Number:
		if v == "99" {
			return 98
		}
		return 99
	case bool:
		return !v
	case []any:
		return append(append([]any{}, v...), v...)
	case nil:
		return 7
	default:
		return nil
	}
}

// A receipt that was damaged in any of its values is not taken back.
func TestDamagedReceipt(t *testing.T) {
	for name, do := range map[string]func(m *mirror.Mirror) (*mirror.Receipt, error){
		"reset": func(m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.ResetTables(t.Context(), []string{"contact"}, nil)
		},
		"hard reset of a table": func(m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1", Tables: []string{"contact"}})
		},
		"hard reset": func(m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: "C1"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := memory.New(memory.Table{Name: "contact", Columns: []string{"contact_id int"}, Key: []string{"contact_id"}, Rows: []store.Row{{1}}},
				memory.Table{Name: "C1_mirroring", Columns: []string{"tablename nvarchar(128)", "LSN bigint", "hash varbinary(9) null"},
					Rows: []store.Row{{"contact", 812, []byte("x\xff")}, {"lost \ufffd", 3, nil}}})
			m, err := mirror.New("C1", st, nil)
			require.NoError(t, err)
			receipt, err := do(m)
			require.NoError(t, err)
			text, err := json.Marshal(receipt)
			require.NoError(t, err)

			dec := json.NewDecoder(bytes.NewReader(text))
			dec.UseNumber()
			var doc any
			require.NoError(t, dec.Decode(&doc))
			n := 0
			damages(doc, func(what string) {
				n++
				other, err := json.Marshal(doc)
				require.NoError(t, err)
				var read mirror.Receipt
				if err = json.Unmarshal(other, &read); err == nil {
					if back, _ := json.Marshal(read); bytes.Equal(back, text) {
						return // null for what is absent
					}
					err = m.Undo(t.Context(), &read)
				}
				require.ErrorIs(t, err, mirror.ErrInvalidDocument, what)
			})
			require.Greater(t, n, 40)

			var read mirror.Receipt
			require.NoError(t, json.Unmarshal(text, &read))
			require.NoError(t, m.Undo(t.Context(), &read))
		})
	}
}
