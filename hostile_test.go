package mirror_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
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
