package mirror_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/so-mirror/mirror/fleet"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// hostileNames are names that a caller may be handed by somebody else.
var hostileNames = map[string]string{
	"a quote and SQL":        `'; DROP TABLE contact; --`,
	"a double quote and SQL": `contact"; DROP TABLE contact; --`,
	"brackets":               `contact]; DROP TABLE contact; --`,
	"all in brackets":        `[contact]`,
	"NUL":                    "contact\x00",
	"line breaks":            "contact\r\nlog",
	"terminal escapes":       "\x1b[2J\x1b]0;owned\x07contact\x9b31m",
	"no UTF-8":               "contact\xff\xfe\xc0\x80",
	"bidi controls":          "\u202etcatnoc\u2066\u200b",
	"a path":                 "../../../../etc/passwd",
	"percent and format":     "%s%n%!d(MISSING)%",
	"the marker, and more":   "\x00all ",
	"the marker's letters":   "all",
	"nothing":                "",
	"blanks":                 "   ",
	"long":                   strings.Repeat("x", 10<<20),
	"long and escaped":       strings.Repeat("\x1b\u202e", 16<<10),
	"a separator":            ".",
	"a schema and SQL":       `crm7"."contact`,
}

// maxMessage bounds the text of an error about one name, in bytes.
const maxMessage = 4 << 10

// plainError returns what is wrong with the text of an error, "" for nothing.
func plainError(err error) string {
	text := err.Error()
	if len(text) >= maxMessage {
		return fmt.Sprintf("the message has %d bytes: %.200q...", len(text), text)
	}
	return controls(text)
}

func controls(text string) string {
	if !utf8.ValidString(text) {
		return fmt.Sprintf("no UTF-8: %.300q", text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		return fmt.Sprintf("a control character at %d: %.300q", i, text)
	}
	return ""
}

// requirePlain demands that an error can be shown to people as it is.
func requirePlain(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.Empty(t, plainError(err))
}

// requirePlainText demands the same of a text of lines.
func requirePlainText(t *testing.T, text fmt.Stringer) {
	t.Helper()
	require.Empty(t, controls(strings.ReplaceAll(text.String(), "\n", "")))
}

// onStores runs a test with the tables of a fake in the fake and on real SQL.
func onStores(t *testing.T, from func() *memory.Store, run func(t *testing.T, store store.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { run(t, from()) })
	t.Run("sqlite", func(t *testing.T) { run(t, inSQL(t, from())) })
}

// inSQL copies a fake into an embedded database.
func inSQL(t testing.TB, from *memory.Store) store.Store {
	t.Helper()
	ctx := context.Background()
	st, err := sqlite.Create(ctx, filepath.Join(t.TempDir(), "mirror.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	defs, err := from.Tables(ctx)
	require.NoError(t, err)
	require.NoError(t, st.Update(ctx, func(tx store.Tx) error {
		for _, def := range defs {
			_, rows, _ := from.Table(def.String())
			if err := errors.Join(tx.Create(ctx, def), tx.Insert(ctx, def, def.ColumnNames(), rows)); err != nil {
				return err
			}
		}
		return nil
	}))
	return st
}

// rushed are options of a mirror whose time passes as it is waited for.
func rushed() *mirror.Options {
	now := noon
	return &mirror.Options{Clock: mirrortest.Clock{
		Time: func() time.Time { return now },
		Wait: func(ctx context.Context, d time.Duration) error {
			now = now.Add(d + 10*time.Minute)
			return ctx.Err()
		},
	}}
}

// hostileAttempts give a name to each entry that takes one. They return the
// error, and what is to be shown to people.
var hostileAttempts = map[string]func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error){
	"ResetTables": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.ResetTables(ctx, []string{"contact", name}, nil)
		return nil, err
	},
	"ResetTables, dry run": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.ResetTables(ctx, []string{name}, &mirror.ResetOptions{Truncate: true, DryRun: true})
		return nil, err
	},
	"HardReset": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer, Tables: []string{"contact", name}, DropData: true})
		return nil, err
	},
	"HardResetOptions.Confirm": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.HardReset(ctx, &mirror.HardResetOptions{Confirm: name})
		return nil, err
	},
	"ApplyOptions.Tables": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Apply(ctx, hostilePlan("contact"), &mirror.ApplyOptions{Tables: []string{name}})
		return nil, err
	},
	"ApplyOptions.Tables, forced": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Apply(ctx, hostilePlan("contact"), &mirror.ApplyOptions{Tables: []string{name}, Force: true})
		return nil, err
	},
	"ApplyOptions.Confirm": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Apply(ctx, hostilePlan("contact"), &mirror.ApplyOptions{Confirm: name})
		return nil, err
	},
	"Apply of a plan": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		plan := hostilePlan(name)
		_, err := m.Apply(ctx, plan, &mirror.ApplyOptions{Confirm: customer})
		return plan, err
	},
	"Apply of a plan of somebody else": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		plan := hostilePlan("contact")
		plan.ContextID = name
		_, err := m.Apply(ctx, plan, nil)
		return plan, err
	},
	"CompareOptions.Tables": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Compare(ctx, customerDatabase(), &mirror.CompareOptions{Tables: []string{"contact", name}})
		return nil, err
	},
	"CompareOptions.Strategy": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Compare(ctx, customerDatabase(), &mirror.CompareOptions{Strategy: mirror.Strategy(name + "!")})
		return nil, err
	},
	"CompareOptions.Depth": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Compare(ctx, customerDatabase(), &mirror.CompareOptions{Depth: mirror.Depth(name + "!")})
		return nil, err
	},
	"CompareOptions.Resume of somebody else": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Compare(ctx, customerDatabase(), &mirror.CompareOptions{Resume: &mirror.Checkpoint{Version: 1, ContextID: name}})
		return nil, err
	},
	"Heal": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		report, err := heal.Run(ctx, m, customerDatabase(), &heal.Options{Compare: &mirror.CompareOptions{Tables: []string{name}}})
		return report, err
	},
	"Recheck": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		report := &mirror.Report{Version: 1, ContextID: name}
		_, err := m.Recheck(ctx, customerDatabase(), report, nil)
		return report, err
	},
	"WaitOptions.Tables": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		report, err := heal.Wait(ctx, m, nil, &heal.WaitOptions{Tables: []string{name}, MaxCycles: 1})
		return report, err
	},
	"Wait for a receipt": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		receipt := hostileReceipt(name)
		_, err := heal.Wait(ctx, m, receipt, &heal.WaitOptions{MaxCycles: 1})
		return receipt, err
	},
	"Undo": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		receipt := hostileReceipt(name)
		return receipt, m.Undo(ctx, receipt)
	},
	"Undo of somebody else": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		receipt := hostileReceipt("contact")
		receipt.ContextID = name
		return receipt, m.Undo(ctx, receipt)
	},
	"Reconcile": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		receipt := hostileReceipt(name)
		receipt.Operation = mirror.Operation(name)
		_, err := m.Reconcile(ctx, []mirror.JournalEntry{{Version: 1, ContextID: customer, Event: mirror.JournalIntent, ID: name + "x", Receipt: receipt}})
		return receipt, err
	},
	"Reconcile, an event": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := m.Reconcile(ctx, []mirror.JournalEntry{{Version: 1, ContextID: customer, Event: mirror.JournalEvent(name), ID: "x"}})
		return nil, err
	},
	"journal.Read": func(_ context.Context, _ *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := journal.Read(strings.NewReader(name + "!"))
		return nil, err
	},
	"journal.Read, a field": func(_ context.Context, _ *mirror.Mirror, name string) (fmt.Stringer, error) {
		field, _ := json.Marshal(name + "!")
		_, err := journal.Read(strings.NewReader(`{"entry":{},` + string(field) + `:1}`))
		return nil, err
	},
	"journal.Open": func(_ context.Context, _ *mirror.Mirror, name string) (fmt.Stringer, error) {
		_, err := journal.Open("/nowhere/" + name)
		var path *fs.PathError
		if errors.As(err, &path) {
			// The path is the operator's own, and the system names it.
			return nil, fmt.Errorf("%s %w", path.Op, path.Err)
		}
		return nil, err
	},
	"Fleet": func(ctx context.Context, m *mirror.Mirror, name string) (fmt.Stringer, error) {
		open := func(context.Context) (*fleet.Connection, error) { return &fleet.Connection{Mirror: m}, nil }
		all := &fleet.Fleet{Members: []fleet.Member{{ContextID: name, Open: open}, {ContextID: name, Open: open}}}
		summary := &fleet.Summary{}
		var errs []error
		for r := range all.Status(ctx) {
			summary.Add(r)
			errs = append(errs, r.Err)
		}
		if len(errs) == 2 && errs[0] != nil && errs[1] != nil {
			return summary, cmp.Or(plainOr(errs[0]), errs[1])
		}
		return summary, nil
	},
}

// plainOr returns err when something is wrong with its text.
func plainOr(err error) error {
	if plainError(err) != "" {
		return err
	}
	return nil
}

// reachesSQL are the entries whose names can come to a store.
var reachesSQL = map[string]bool{
	"ResetTables": true, "HardReset": true, "Apply of a plan": true, "CompareOptions.Tables": true, "Undo": true, "WaitOptions.Tables": true,
	"Wait for a receipt": true,
}

// hostilePlan hard-resets one table, which has a name that a plan can have.
func hostilePlan(table string) *mirror.Plan {
	plan := (&mirror.Report{ContextID: customer}).Plan()
	plan.Tables = []mirror.PlanTable{{Table: table, Step: mirror.StepHardReset, Drop: true, Metadata: "sha256:00", Reason: table, Meanwhile: table}}
	return plan
}

// hostileReceipt is of a hard reset of one table that is still there.
func hostileReceipt(table string) *mirror.Receipt {
	lsn := store.LSN(812)
	return &mirror.Receipt{Version: 1, ContextID: customer, Operation: mirror.OperationHardReset, MetadataTable: table, Lost: []string{table},
		Tables: []mirror.ReceiptTable{{
			Table: table, Actions: []mirror.Action{mirror.ActionDeleteMetadata}, LSN: &lsn, Note: table, Schema: table,
			Metadata: [][]store.Cell{{{Column: "tablename", Value: table}, {Column: "LSN", Value: int64(812)}, {Column: table, Value: table}}},
		}}}
}

// Whatever name the library is given, it is refused in a short line that cannot
// steer a terminal, and nothing happens.
func TestHostileNames(t *testing.T) {
	onStores(t, world, func(t *testing.T, store store.Store) {
		before := mirrortest.Dump(t, store)
		_, fake := store.(*memory.Store)
		for _, entry := range slices.Sorted(maps.Keys(hostileAttempts)) {
			if !fake && !reachesSQL[entry] {
				continue
			}
			t.Run(entry, func(t *testing.T) {
				for _, kind := range slices.Sorted(maps.Keys(hostileNames)) {
					if !fake && len(hostileNames[kind]) > 1<<20 {
						continue // the fake has seen it
					}
					t.Run(kind, func(t *testing.T) {
						ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
						defer cancel()
						shown, err := hostileAttempts[entry](ctx, newMirror(t, store, rushed()), hostileNames[kind])
						require.NoError(t, ctx.Err())
						requirePlain(t, err)
						if shown != nil && len(hostileNames[kind]) < maxMessage {
							requirePlainText(t, shown)
						}
						require.Equal(t, before, mirrortest.Dump(t, store))
					})
				}
			})
		}
	})
}

// Names that only choose what is left out are harmless: what fits nothing is a
// warning.
func TestHostileNamesThatLeaveOut(t *testing.T) {
	onStores(t, world, func(t *testing.T, store store.Store) {
		before := mirrortest.Dump(t, store)
		source := customerDatabase()
		m := newMirror(t, store, nil)
		want, err := m.Compare(t.Context(), source, nil)
		require.NoError(t, err)
		for _, kind := range slices.Sorted(maps.Keys(hostileNames)) {
			t.Run(kind, func(t *testing.T) {
				list := []string{hostileNames[kind]}
				report, err := m.Compare(t.Context(), source, &mirror.CompareOptions{SkipTables: list, IgnoreColumns: list, SchemaPrefixes: list})
				require.NoError(t, err)
				require.Len(t, report.Tables, len(want.Tables))
				for i, tr := range report.Tables {
					require.Equal(t, want.Tables[i].Verdict, tr.Verdict, tr.Table)
				}
				for _, w := range report.Warnings {
					require.Less(t, len(w), maxMessage)
					require.Empty(t, controls(w))
				}
				requirePlainText(t, report)
				again, err := m.Recheck(t.Context(), source, report, nil)
				require.NoError(t, err)
				requirePlainText(t, again)
				require.Equal(t, before, mirrortest.Dump(t, store))
			})
		}
	})
}

func TestHostileContextID(t *testing.T) {
	for kind, name := range hostileNames {
		t.Run(kind, func(t *testing.T) {
			if kind == "the marker's letters" {
				t.Log("it is a context identifier")
				return
			}
			for _, id := range []string{name, "Cust" + name + "1"} {
				if id == "Cust1" {
					continue
				}
				m, err := mirror.New(id, memory.New(), nil)
				require.Nil(t, m)
				require.ErrorIs(t, err, mirror.ErrInvalidContextID)
				requirePlain(t, err)
			}
		})
	}
}

// The names in Options come from a configuration.
func TestHostileOptions(t *testing.T) {
	onStores(t, world, func(t *testing.T, st store.Store) {
		before := mirrortest.Dump(t, st)
		for kind, name := range hostileNames {
			if name == "" {
				continue // the default
			}
			for field, o := range map[string]*mirror.Options{
				"MetadataTable": {MetadataTable: name}, "TableColumn": {TableColumn: name}, "LSNColumn": {LSNColumn: name},
			} {
				t.Run(field+", "+kind, func(t *testing.T) {
					m := newMirror(t, st, o)
					_, err := m.ResetTables(t.Context(), []string{"contact"}, nil)
					requirePlain(t, err)
					_, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: customer})
					requirePlain(t, err)
					receipt := hostileReceipt("contact")
					receipt.Metadata = &store.Table{Name: "Cust10195_mirroring"}
					requirePlain(t, m.Undo(t.Context(), receipt))
					if status, err := m.Status(t.Context()); err != nil {
						requirePlain(t, err)
					} else {
						requirePlainText(t, status)
					}
					if report, err := m.Compare(t.Context(), customerDatabase(), nil); err != nil {
						requirePlain(t, err)
					} else {
						requirePlainText(t, report)
					}
					require.Equal(t, before, mirrortest.Dump(t, st))
				})
			}
		}
	})
}

// A table that has such a name is a table like any other.
func TestHostileTables(t *testing.T) {
	for kind, name := range hostileNames {
		if strings.TrimSpace(name) == "" || len(name) > 100 || !utf8.ValidString(name) || strings.Contains(name, "\x00") {
			continue // no database has such tables
		}
		build := func() *memory.Store {
			st := world()
			tb := memory.Table{Name: name, Columns: []string{"id int", "name nvarchar(20) null"}, Key: []string{"id"}, Rows: []store.Row{{1, "a"}, {2, nil}}}
			md := memory.Metadata(customer, map[string]store.LSN{"contact": 812, "log": 900, "PERSON": 7, name: 5})
			require.NoError(t, st.Seed(tb, md))
			return st
		}
		t.Run(kind, func(t *testing.T) {
			onStores(t, build, func(t *testing.T, st store.Store) {
				before := mirrortest.Dump(t, st)
				m := newMirror(t, st, nil)
				others := func() {
					t.Helper()
					now := mirrortest.Dump(t, st)
					for table := range before {
						if table != name && table != "Cust10195_mirroring" {
							require.Equal(t, before[table], now[table])
						}
					}
				}
				receipt, err := m.ResetTables(t.Context(), []string{name}, nil)
				require.NoError(t, err)
				require.Len(t, receipt.Tables, 1)
				requirePlainText(t, receipt)
				others()
				require.NoError(t, m.Undo(t.Context(), receipt))
				require.Equal(t, before, mirrortest.Dump(t, st))

				status, err := m.Status(t.Context())
				require.NoError(t, err)
				requirePlainText(t, status)
				source := customerDatabase()
				require.NoError(t, source.Seed(memory.Table{Name: name, Columns: []string{"id int", "name nvarchar(20) null"}, Key: []string{"id"}, Rows: []store.Row{{1, "b"}}}))
				report, err := m.Compare(t.Context(), source, nil)
				require.NoError(t, err)
				requirePlainText(t, report)
				require.Equal(t, mirror.VerdictDifferent, report.Table(name).Verdict)
				require.EqualValues(t, 1, report.Table(name).Changed)
				receipt, err = m.Apply(t.Context(), report.Plan(), &mirror.ApplyOptions{Tables: []string{name}, Unknown: true})
				require.NoError(t, err)
				require.NoError(t, m.Undo(t.Context(), receipt))
				require.Equal(t, before, mirrortest.Dump(t, st))

				receipt, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: customer})
				require.NoError(t, err)
				require.NoError(t, m.Undo(t.Context(), receipt))
				require.Equal(t, before, mirrortest.Dump(t, st))

				receipt, err = m.HardReset(t.Context(), &mirror.HardResetOptions{Confirm: customer, Tables: []string{name}, DropData: true})
				require.NoError(t, err)
				others()
				require.NotContains(t, mirrortest.Dump(t, st), name)
				requirePlain(t, m.Undo(t.Context(), receipt))
			})
		})
	}
}

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
	_, err := m.Compare(t.Context(), customerDatabase(), &mirror.CompareOptions{CheckpointEvery: 1, Concurrency: 1, OnCheckpoint: func(now *mirror.Checkpoint) {
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

// A checkpoint comes from a file. Whatever it says, a comparison that resumes
// from it ends, changes nothing and counts no less than nothing.
func FuzzCheckpoint(f *testing.F) {
	text, err := json.Marshal(checkpointOf(f, world()))
	require.NoError(f, err)
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte(`"missing"`), []byte(`"extra"`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var cp mirror.Checkpoint
		if err := json.Unmarshal(data, &cp); err != nil {
			return
		}
		store := world()
		before := mirrortest.Dump(t, store)
		m := newMirror(t, store, nil)
		m.SmallSteps(3)
		report, err := m.Compare(t.Context(), customerDatabase(), &mirror.CompareOptions{Resume: &cp})
		require.Equal(t, before, mirrortest.Dump(t, store))
		if err != nil {
			return
		}
		require.NotEmpty(t, report.String())
		for _, tr := range report.Tables {
			counted(t, tr)
		}
		_, err = json.Marshal(report)
		require.NoError(t, err)
	})
}

// A report comes from a file. Whatever it says, Recheck ends and changes nothing.
func FuzzRecheck(f *testing.F) {
	report, err := newMirror(f, world(), nil).Compare(context.Background(), customerDatabase(), nil)
	require.NoError(f, err)
	text, err := json.Marshal(report)
	require.NoError(f, err)
	f.Add(text, int64(1))
	f.Add(bytes.ReplaceAll(text, []byte(`"rows":1`), []byte(`"rows":-1`)), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, after int64) {
		var report mirror.Report
		if err := json.Unmarshal(data, &report); err != nil {
			return
		}
		store := world()
		before := mirrortest.Dump(t, store)
		again, err := newMirror(t, store, nil).Recheck(t.Context(), customerDatabase(), &report, &mirror.RecheckOptions{After: time.Duration(after)})
		require.Equal(t, before, mirrortest.Dump(t, store))
		_ = report.String()
		if err != nil {
			return
		}
		_ = again.Plan().String()
		_, err = json.Marshal(again)
		require.NoError(t, err)
		require.Empty(t, controls(strings.ReplaceAll(again.String(), "\n", "")))
	})
}

// The entries of a journal without the checksums that FuzzRead of package journal
// seldom guesses.
func FuzzReconcile(f *testing.F) {
	journal := &notes{}
	m := newMirror(f, world(), &mirror.Options{Journal: journal})
	receipt, err := m.ResetTables(context.Background(), []string{"contact"}, nil)
	require.NoError(f, err)
	require.NoError(f, m.Undo(context.Background(), receipt))
	text, err := json.Marshal(journal.entries)
	require.NoError(f, err)
	f.Add(text)
	text, err = json.Marshal(journal.entries[:1])
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) {
		var entries []mirror.JournalEntry
		if err := json.Unmarshal(data, &entries); err != nil {
			return
		}
		store := world()
		before := mirrortest.Dump(t, store)
		found, err := newMirror(t, store, nil).Reconcile(t.Context(), entries)
		require.Equal(t, before, mirrortest.Dump(t, store))
		if err != nil {
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			return
		}
		for _, r := range found {
			require.NotNil(t, r.Receipt)
			require.Contains(t, []mirror.Outcome{mirror.OutcomeDone, mirror.OutcomeNotDone, mirror.OutcomeOvertaken}, r.Outcome)
		}
	})
}
