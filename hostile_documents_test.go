package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
)

// edits returns a JSON document with one thing about it changed, for each thing
// and each way of changing it.
func edits(t testing.TB, document any) map[string][]byte {
	t.Helper()
	text, err := json.Marshal(document)
	require.NoError(t, err)
	values := map[string]any{
		"null": nil, "-1": -1, "huge": json.Number("9223372036854775807"), "least": json.Number("-9223372036854775808"), "beyond": json.Number("1e400"),
		"a fraction": 1.5, "true": true, "SQL": hostileNames["a double quote and SQL"], "escapes": hostileNames["terminal escapes"],
		"bidi": hostileNames["bidi controls"], "long": strings.Repeat("y", 8<<10), "a list": []any{}, "an object": map[string]any{},
		"a cell": map[string]any{"column": "LSN", "type": "int", "value": "x" + strings.Repeat("9", 8<<10)},
	}
	out := map[string][]byte{}
	var root any
	decode := func() {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		require.NoError(t, d.Decode(&root))
	}
	write := func(name string) {
		data, err := json.Marshal(root)
		require.NoError(t, err)
		out[name] = data
	}
	var walk func(path string, v any, set func(any))
	walk = func(path string, v any, set func(any)) {
		for kind, value := range values {
			set(value)
			write(path + " is " + kind)
		}
		set(v)
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				old := v[key]
				delete(v, key)
				write(path + "." + key + " is missing")
				v[key] = old
				walk(path+"."+key, old, func(x any) { v[key] = x })
			}
			evil := hostileNames["terminal escapes"]
			v[evil] = 1
			write(path + " has an unknown field")
			delete(v, evil)
			evil = strings.Repeat("z", 8<<10)
			v[evil] = 1
			write(path + " has a long unknown field")
			delete(v, evil)
		case []any:
			for i := range min(2, len(v)) { // one is like the other
				old := v[i]
				walk(fmt.Sprintf("%s[%d]", path, i), old, func(x any) { v[i] = x })
			}
			if len(v) > 0 {
				set(append(slices.Clone(v), v[0]))
				write(path + " has its first twice")
				set(v)
			}
		}
	}
	decode()
	walk("", root, func(x any) { root = x })
	return out
}

// hostileDocuments are what a caller reads from files that others can edit. Use
// parses and uses one; it returns nil when the document is taken, and then what
// it did must be harmless.
var hostileDocuments = map[string]struct {
	document func(t testing.TB, store store.Store) any
	use      func(ctx context.Context, store store.Store, m *mirror.Mirror, data []byte) error
	writes   bool // a document that is taken may change the metadata table
}{
	"a receipt of a reset": {document: func(t testing.TB, store store.Store) any {
		receipt, err := newMirror(t, store, nil).ResetTables(t.Context(), []string{"contact", "log"}, nil)
		require.NoError(t, err)
		return receipt
	}, use: useReceipt, writes: true},
	"a receipt of a hard reset": {document: func(t testing.TB, store store.Store) any {
		receipt, err := newMirror(t, store, nil).HardReset(t.Context(), &mirror.HardResetOptions{Confirm: customer})
		require.NoError(t, err)
		return receipt
	}, use: useReceipt, writes: true},
	"a plan": {document: func(t testing.TB, store store.Store) any {
		report, err := newMirror(t, store, nil).Compare(t.Context(), customerDatabase(), nil)
		require.NoError(t, err)
		return report.Plan()
	}, use: func(ctx context.Context, _ store.Store, m *mirror.Mirror, data []byte) error {
		var plan mirror.Plan
		if err := json.Unmarshal(data, &plan); err != nil {
			return err
		}
		if bad := controls(strings.ReplaceAll(plan.String(), "\n", "")); bad != "" {
			return errors.New("text: " + bad + "\x00")
		}
		_, err := m.Apply(ctx, &plan, &mirror.ApplyOptions{Confirm: customer, DryRun: true})
		return err
	}},
	"a report": {document: func(t testing.TB, store store.Store) any {
		report, err := newMirror(t, store, nil).Compare(t.Context(), customerDatabase(), nil)
		require.NoError(t, err)
		return report
	}, use: func(ctx context.Context, _ store.Store, m *mirror.Mirror, data []byte) error {
		var report mirror.Report
		if err := readByJSON(json.Unmarshal(data, &report)); err != nil {
			return err
		}
		again, err := m.Recheck(ctx, customerDatabase(), &report, &mirror.RecheckOptions{After: 1})
		if err != nil {
			return err
		}
		if bad := controls(strings.ReplaceAll(again.String()+again.Plan().String(), "\n", "")); bad != "" {
			return errors.New("text: " + bad + "\x00")
		}
		return nil
	}},
	"a checkpoint": {document: func(t testing.TB, store store.Store) any { return checkpointOf(t, store) },
		use: func(ctx context.Context, _ store.Store, m *mirror.Mirror, data []byte) error {
			var cp mirror.Checkpoint
			if err := readByJSON(json.Unmarshal(data, &cp)); err != nil {
				return err
			}
			report, err := m.Compare(ctx, customerDatabase(), &mirror.CompareOptions{Resume: &cp})
			if err != nil {
				return err
			}
			if bad := controls(strings.ReplaceAll(report.String(), "\n", "")); bad != "" {
				return errors.New("text: " + bad + "\x00")
			}
			return nil
		}},
	"a journal's entries": {document: func(t testing.TB, store store.Store) any {
		journal := &notes{}
		_, err := newMirror(t, store, &mirror.Options{Journal: journal}).ResetTables(t.Context(), []string{"contact"}, nil)
		require.NoError(t, err)
		return journal.entries
	}, use: func(ctx context.Context, _ store.Store, m *mirror.Mirror, data []byte) error {
		var entries []mirror.JournalEntry
		if err := readByJSON(json.Unmarshal(data, &entries)); err != nil {
			return err
		}
		_, err := m.Reconcile(ctx, entries)
		return err
	}},
	"a receipt that is waited for": {document: func(t testing.TB, store store.Store) any {
		receipt, err := newMirror(t, store, nil).ResetTables(t.Context(), []string{"contact"}, nil)
		require.NoError(t, err)
		return receipt
	}, use: func(ctx context.Context, _ store.Store, m *mirror.Mirror, data []byte) error {
		var receipt mirror.Receipt
		if err := json.Unmarshal(data, &receipt); err != nil {
			return err
		}
		report, err := heal.Wait(ctx, m, &receipt, &heal.WaitOptions{MaxCycles: 1, Source: customerDatabase()})
		if err != nil {
			return err
		}
		return fmt.Errorf("no cycle came, and yet: %s", report)
	}},
}

func useReceipt(ctx context.Context, _ store.Store, m *mirror.Mirror, data []byte) error {
	var receipt mirror.Receipt
	if err := json.Unmarshal(data, &receipt); err != nil {
		return err
	}
	if bad := controls(strings.ReplaceAll(receipt.String(), "\n", "")); bad != "" {
		return errors.New("text: " + bad + "\x00")
	}
	return m.Undo(ctx, &receipt)
}

// checkpointOf is one of a comparison that was stopped in the middle of contact,
// when it was through with another table.
func checkpointOf(t testing.TB, store store.Store) *mirror.Checkpoint {
	t.Helper()
	m := newMirror(t, store, nil)
	m.SmallSteps(3)
	all := map[string]mirror.TableCheckpoint{}
	cp := mirror.Checkpoint{}
	_, err := m.Compare(t.Context(), customerDatabase(), &mirror.CompareOptions{Tuning: mirror.Tuning{CheckpointEvery: 1, Concurrency: 1}, OnCheckpoint: func(now *mirror.Checkpoint) {
		cp = *now
		for _, tc := range now.Tables() {
			if tc.Done != nil && tc.Table != "contact" || len(tc.Ranges) > 0 && tc.Ranges[0].Next != nil {
				all[tc.Table] = tc
			}
		}
	}})
	require.NoError(t, err)
	require.NotEmpty(t, all["contact"].Ranges)
	require.True(t, slices.ContainsFunc(slices.Collect(maps.Values(all)), func(tc mirror.TableCheckpoint) bool { return tc.Done != nil }))
	var tables []mirror.TableCheckpoint
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tables = append(tables, all[name])
	}
	cp.SetTables(tables)
	return &cp
}

// One thing about a document is changed by hand: it is refused in a short line,
// or it is harmless.
func TestHostileDocuments(t *testing.T) {
	const metadata, kept = "Cust10195_mirroring", "before_hard_reset_Cust10195"
	onEach := func(t *testing.T, name string, build func(t *testing.T) store.Store) {
		t.Helper()
		d := hostileDocuments[name]
		store := build(t)
		all := edits(t, d.document(t, store))
		before := mirrortest.Dump(t, store)
		problems, taken := map[string]string{}, 0
		for _, edit := range slices.Sorted(maps.Keys(all)) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := caught(func() error { return d.use(ctx, store, newMirror(t, store, rushed()), all[edit]) })
			cancel()
			after := mirrortest.Dump(t, store)
			if err != nil {
				if bad := plainError(err); bad != "" {
					problems[edit] = bad
				}
				require.Equal(t, before, after, edit)
				continue
			}
			taken++
			if !d.writes {
				require.Equal(t, before, after, edit)
				continue
			}
			for table := range before {
				switch {
				case table == kept && after[kept] == nil: // it has its name again
					require.Equal(t, before[kept][1:], after[metadata][1:], edit)
				case table != metadata:
					require.Equal(t, before[table], after[table], "%s: only metadata", edit)
				}
			}
			for table := range after {
				if table != metadata {
					require.Contains(t, before, table, edit)
				}
			}
			store = build(t)
			d.document(t, store)
			before = mirrortest.Dump(t, store)
		}
		t.Logf("%d documents, %d of them taken", len(all), taken)
		shapes := map[string]bool{}
		for _, edit := range slices.Sorted(maps.Keys(problems)) {
			bad, _, _ := strings.Cut(problems[edit], `\"`)
			if shape := digits.ReplaceAllString(bad, "n"); !shapes[shape] {
				shapes[shape] = true
				t.Logf("%s: %s", edit, problems[edit])
			}
		}
		require.Zero(t, len(problems), "documents whose error is not fit to be shown, one of each kind is above")
	}
	for _, name := range slices.Sorted(maps.Keys(hostileDocuments)) {
		t.Run(name, func(t *testing.T) {
			onEach(t, name, func(*testing.T) store.Store { return world() })
		})
	}
	// What can reach SQL.
	t.Run("a receipt of a hard reset, on real SQL", func(t *testing.T) {
		onEach(t, "a receipt of a hard reset", func(t *testing.T) store.Store { return inSQL(t, world()) })
	})
}

// digits matches what differs between messages of one kind.
var digits = regexp.MustCompile(`[0-9]+`)

// readByJSON hides the error of a time that encoding/json itself reads, and the
// library has no say in.
func readByJSON(err error) error {
	var at *time.ParseError
	if errors.As(err, &at) {
		return errors.New("not a time")
	}
	return err
}

// caught makes a panic an error that is not fit to be shown.
func caught(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic\x00: %v", v)
		}
	}()
	return do()
}

// counted demands of a table's counts what no edited document may break.
func counted(t *testing.T, tr mirror.TableReport) {
	t.Helper()
	for _, n := range []int64{tr.SourceRows, tr.MirrorRows, tr.Missing, tr.Extra, tr.Changed, tr.Duplicate, tr.Pending, tr.Diverged} {
		require.GreaterOrEqual(t, n, int64(0), "%+v", tr)
	}
	if tr.Verdict == mirror.VerdictIdentical {
		require.Zero(t, tr.Missing+tr.Extra+tr.Changed+tr.Duplicate, "%+v", tr)
	}
}
