package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// golden compares what was written with a file of testdata.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b))
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "make it with: go test -run %s -update", t.Name())
	require.Equal(t, string(want), b.String(), "if it is meant: go test -run %s -update", t.Name())
}

// goldenJSON compares v as JSON with a golden, and demands that nothing is lost
// when it is read back into a T.
func goldenJSON[T any](t *testing.T, name string, v *T) {
	t.Helper()
	indented := func(v any) []byte {
		text, err := json.MarshalIndent(v, "", "  ")
		require.NoError(t, err)
		return append(text, '\n')
	}
	golden(t, name, func(w io.Writer) error {
		_, err := w.Write(indented(v))
		return err
	})
	var back T
	require.NoError(t, json.Unmarshal(indented(v), &back))
	require.Equal(t, string(indented(v)), string(indented(back)), "through JSON and back")
}

// ticking returns a clock that goes on by step whenever it is asked.
func ticking(step time.Duration) func() time.Time {
	now := noon
	return func() time.Time {
		now = now.Add(step)
		return now
	}
}

// fullReport returns a report with every verdict, every kind of difference and
// values of every kind. mark is part of every name and text.
func fullReport(t *testing.T, mark string) *mirror.Report {
	t.Helper()
	id := "[id" + strings.ReplaceAll(mark, "]", "]]") + "] int"
	column := func(name, rest string) string { return "[" + name + strings.ReplaceAll(mark, "]", "]]") + "] " + rest }
	only := func(name string, ids ...int) memory.Table {
		tb := memory.Table{Name: name + mark, Columns: []string{id}, Key: []string{"id" + mark}}
		for _, n := range ids {
			tb.Rows = append(tb.Rows, store.Row{n})
		}
		return tb
	}
	contact := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "contact" + mark, Key: []string{"id" + mark}, Rows: rows, Columns: []string{id,
			column("name", "nvarchar(max)"), column("active", "bit"), column("weight", "float"), column("turnover", "decimal(38,4)"),
			column("guid", "uniqueidentifier"), column("updated", "datetime2(7)"), column("sent", "datetimeoffset(0)"),
			column("opens", "time(0)"), column("logo", "varbinary(max)")}}
	}
	log := func(rows ...store.Row) memory.Table {
		return memory.Table{Name: "log" + mark, Columns: []string{column("what", "nvarchar(20)")}, Rows: rows}
	}
	basket := memory.Table{Name: "basket" + mark, Columns: []string{column("id", "sql_variant")}, Key: []string{"id" + mark}, Rows: []store.Row{{int64(1)}}}
	text, logo := strings.Repeat("ø", 700), bytes.Repeat([]byte{0xab}, 2000)
	source := memory.New(
		only("appointment", 1, 2, 3), basket,
		contact(store.Row{1, "Alfa" + mark, true, 1.5, "12345678901234567890.5", "6F9619FF-8B86-D011-B42D-00C04FC964FF", noon, noon, noon, []byte{1, 2}},
			store.Row{2, "same", nil, nil, nil, nil, nil, nil, nil, nil}, store.Row{3, "only here", nil, nil, nil, nil, nil, nil, nil, nil},
			store.Row{4, text, nil, nil, nil, nil, nil, nil, nil, logo}),
		only("document", 1, 2), only("email", 1), only("phone", 1, 2), only("sale", 1), only("text"),
		log(store.Row{"twice" + mark}, store.Row{"twice" + mark}, store.Row{"once"}),
		memory.Table{Name: "person" + mark, Key: []string{"id" + mark}, Rows: []store.Row{{1, "a", 1, 2, nil, nil, 3}},
			Columns: []string{id, column("name", "nvarchar(99) not null"), column("fax", "int"), column("sum", "int generated"),
				column("version", "rowversion"), column("variant", "sql_variant"), column("secret", "int")}},
		memory.Table{Name: "registry", Columns: []string{id}})
	store := memory.New(
		memory.Table{Name: "appointment" + mark, Columns: []string{column("note", "int")}}, basket,
		contact(store.Row{1, "alfa" + mark, false, -1.5, "12345678901234567890.25", "6F9619FF-8B86-D011-B42D-00C04FC964FE", noon.Add(100), noon.In(oslo), noon.Add(time.Second), []byte{}},
			store.Row{2, "same", nil, nil, nil, nil, nil, nil, nil, nil}, store.Row{4, nil, nil, nil, nil, nil, nil, nil, nil, nil},
			store.Row{1234567, "only there", nil, nil, nil, nil, nil, nil, nil, nil}),
		only("document", 1, 2), only("phone", 1, 2), only("project", 1, 2), only("text", 1),
		log(store.Row{"twice" + mark}, store.Row{"never" + mark}, store.Row{"never" + mark}, store.Row{nil}),
		memory.Table{Name: "person" + mark, Rows: []store.Row{{1, "a", "5", nil}, {1, "a", "5", 1}, {1, "b", "5", 1}},
			Columns: []string{id + " not null", column("name", "nvarchar(99) null"), column("fax", "nvarchar(9)"), column("own", "int")}},
		memory.Metadata(customer, map[string]store.LSN{"contact" + mark: 1234567, "text" + mark: store.ResendAll, "document" + mark: 5, "sale" + mark: 6,
			"log" + mark: 7, "LOG" + mark: 8, "person" + mark: 9}))
	source.FailAt(memory.Rows, 2, errors.New("disk on fire"+mark))
	report, err := newMirror(t, store, &mirror.Options{Clock: mirrortest.Clock{Time: ticking(130 * time.Millisecond)}}).Compare(t.Context(), source,
		&mirror.CompareOptions{Tuning: mirror.Tuning{Concurrency: 1}, MaxSamples: 4, SkipTables: []string{"EMAIL" + mark}, IgnoreColumns: []string{"person" + mark + ".secret" + mark}})
	require.NoError(t, err)
	report.Incomplete = true
	report.Source.ID, report.Mirror.ID = "the source"+mark, "the mirror"+mark // each store has one of its own
	return report
}

func TestReportGolden(t *testing.T) {
	report := fullReport(t, "")
	for _, v := range []mirror.Verdict{mirror.VerdictIdentical, mirror.VerdictDifferent, mirror.VerdictMissing, mirror.VerdictExtra,
		mirror.VerdictSchemaDiffers, mirror.VerdictNotMirrored, mirror.VerdictIncomparable, mirror.VerdictFailed} {
		require.Contains(t, report.Summary(), string(v), "the golden has everything")
	}
	golden(t, "report.txt", report.WriteText)
	goldenJSON(t, "report.json", report)
	golden(t, "report.json", report.WriteJSON)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Equal(t, text.String(), report.String())

	t.Run("nothing", func(t *testing.T) {
		report, err := newMirror(t, memory.New(), &mirror.Options{Clock: mirrortest.Clock{Time: ticking(time.Minute)}}).Compare(t.Context(),
			memory.New(memory.Table{Name: "activeuser", Columns: []string{"id int"}}), nil)
		require.NoError(t, err)
		report.Source.ID, report.Mirror.ID = "the source", "the mirror"
		golden(t, "report-empty.txt", report.WriteText)
		goldenJSON(t, "report-empty.json", report)
	})
}

// named is a store whose database has an ID that is the same in each run.
type named struct {
	store.Store
	id string
}

func (n named) Identity(context.Context) (store.Identity, error) {
	return store.Identity{Engine: "memory", ID: n.id}, nil
}

// receiptWorld is a mirror whose metadata table has columns of many types and a
// row of every sort. mark is part of every name.
func receiptWorld(mark string) *memory.Store {
	return memory.New(
		memory.Table{Name: "contact" + mark, Columns: []string{"contact_id int"}, Key: []string{"contact_id"}, Rows: []store.Row{{1}, {2}}},
		memory.Table{Name: "log" + mark, Columns: []string{"what nvarchar(20)"}},
		memory.Table{Name: "own_notes" + mark, Columns: []string{"id int"}, Rows: []store.Row{{1}}},
		memory.Table{Name: "Cust10195_mirroring", Columns: []string{"tablename nvarchar(128) not null", "LSN bigint null",
			"schemahash varbinary(32)", "share decimal(9,2) default ((0.5))", "id uniqueidentifier", "checked datetimeoffset(0)", "quick bit", "weight float"},
			Rows: []store.Row{
				{"contact" + mark, 1234567, []byte{0xff, 0}, "0.50", "6F9619FF-8B86-D011-B42D-00C04FC964FF", noon.In(oslo), true, -1.5},
				{"LOG" + mark, nil, nil, nil, nil, nil, nil, nil},
				{"sale" + mark, -1, []byte{}, "-12.00", nil, noon, false, 0.0},
			}})
}

func TestReceiptGolden(t *testing.T) {
	clock := &mirror.Options{Clock: mirrortest.Clock{Time: func() time.Time { return noon }}}
	for name, do := range map[string]func(context.Context, *mirror.Mirror) (*mirror.Receipt, error){
		"receipt-reset": func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.ResetTables(ctx, []string{"contact", "log", "sale", "own_notes"}, &mirror.ResetOptions{Truncate: true})
		},
		"receipt-hard-reset": func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer})
		},
		"receipt-dry-run": func(ctx context.Context, m *mirror.Mirror) (*mirror.Receipt, error) {
			return m.HardReset(ctx, &mirror.HardResetOptions{All: true, DropData: true, DryRun: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			receipt, err := do(t.Context(), newMirror(t, named{receiptWorld(""), "the mirror"}, clock))
			require.NoError(t, err)
			golden(t, name+".txt", receipt.WriteText)
			goldenJSON(t, name+".json", receipt)
		})
	}
}

func TestStatusGolden(t *testing.T) {
	clock := mirrortest.Clock{Time: func() time.Time { return noon }}
	only := func(name string, rows ...store.Row) memory.Table {
		return memory.Table{Name: name, Columns: []string{"id int"}, Rows: rows}
	}
	many := only("contact")
	for i := range 1234 {
		many.Rows = append(many.Rows, store.Row{i})
	}
	metadata := memory.Metadata(customer, map[string]store.LSN{"contact": 1234567, "person": -1, "sale": -1, "document": 5, "phone": -7, "text": 1, "TEXT": 2})
	metadata.Rows = append(metadata.Rows, store.Row{"email", nil, nil})
	status, err := newMirror(t, memory.New(many, only("person"), only("sale", store.Row{1}), only("own_notes"), only("phone"), only("text"), only("email"), metadata),
		&mirror.Options{Clock: clock}).Status(t.Context())
	require.NoError(t, err)
	states := map[mirror.TableState]bool{}
	for _, ts := range status.Tables {
		states[ts.State] = true
	}
	require.Len(t, states, 5, "the golden has every state")
	golden(t, "status.txt", status.WriteText)
	goldenJSON(t, "status.json", status)

	status, err = newMirror(t, memory.New(only("contact")), &mirror.Options{Clock: clock}).Status(t.Context())
	require.NoError(t, err)
	golden(t, "status-awaiting.txt", status.WriteText)
	goldenJSON(t, "status-awaiting.json", status)
}

// hostile clears a terminal, breaks lines, and turns the direction of writing.
const hostile = "\x1b[2J\r\n\u202e\x9b]0;x\a\u2028"

// requireTame demands that text has nothing that steers a terminal and as many
// lines as it should.
func requireTame(t *testing.T, write func(io.Writer) error, lines int) {
	t.Helper()
	var b strings.Builder
	require.NoError(t, write(&b))
	for _, r := range b.String() {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%U in %q", r, b.String())
	}
	require.Equal(t, lines, strings.Count(b.String(), "\n"), "%s", b.String())
}

func lines(t *testing.T, write func(io.Writer) error) int {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b))
	return bytes.Count(b.Bytes(), []byte("\n"))
}

func TestHostileNamesStayOutOfTheText(t *testing.T) {
	// Names in a database are valid UTF-8, so this has no lone byte.
	mark := strings.ReplaceAll(hostile, "\x9b", "\u009b")

	t.Run("report", func(t *testing.T) {
		requireTame(t, fullReport(t, mark).WriteText, lines(t, fullReport(t, "").WriteText))
	})

	t.Run("status and receipt", func(t *testing.T) {
		texts := func(mark string) []func(io.Writer) error {
			ctx := t.Context()
			store := receiptWorld(mark)
			m := newMirror(t, store, nil)
			status, err := m.Status(ctx)
			require.NoError(t, err)
			awaiting, err := newMirror(t, store, &mirror.Options{MetadataTable: "sync" + mark}).Status(ctx)
			require.NoError(t, err)
			reset, err := m.ResetTables(ctx, []string{"contact" + mark, "own_notes" + mark}, nil)
			require.NoError(t, err)
			dropped, err := m.HardReset(ctx, &mirror.HardResetOptions{Confirm: customer})
			require.NoError(t, err)
			return []func(io.Writer) error{status.WriteText, awaiting.WriteText, reset.WriteText, dropped.WriteText}
		}
		tame := texts("")
		for i, write := range texts(mark) {
			requireTame(t, write, lines(t, tame[i]))
		}
	})

	// A report, a status or a receipt may come from a file that anybody wrote.
	t.Run("every text of them", func(t *testing.T) {
		for _, v := range []interface{ WriteText(io.Writer) error }{&mirror.Report{}, &mirror.Receipt{}, &mirror.Status{}} {
			fill(reflect.ValueOf(v).Elem(), "x")
			want := lines(t, v.WriteText)
			fill(reflect.ValueOf(v).Elem(), hostile)
			requireTame(t, v.WriteText, want)
		}
		report := mirror.Report{State: mirror.MirrorAwaitingFirstCycle, Tables: []mirror.TableReport{{Verdict: mirror.VerdictFailed, Reason: hostile}}}
		requireTame(t, report.WriteText, 8)
		status := mirror.Status{State: mirror.MirrorAwaitingFirstCycle, MetadataTable: hostile}
		requireTame(t, status.WriteText, 2)
	})

	t.Run("errors", func(t *testing.T) {
		_, err := newMirror(t, receiptWorld(mark), nil).ResetTables(t.Context(), []string{"contakt" + mark, hostile}, nil)
		require.ErrorIs(t, err, store.ErrTableNotFound)
		requireTame(t, func(w io.Writer) error { _, e := io.WriteString(w, err.Error()); return e }, 0)
	})
}

// fill gives every text in v a value, and every list and pointer an element.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int64:
		v.SetInt(2)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(text))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	}
}

// The text says how many tables were compared in which way, where it was not one way.
func TestReportTells(t *testing.T) {
	r := mirror.Report{Strategy: mirror.StrategyAuto}
	for strategy, n := range map[mirror.Strategy]int{mirror.StrategyJoin: 2, mirror.StrategyDigest: 1, mirror.StrategyStream: 3} {
		for range n {
			r.Tables = append(r.Tables, mirror.TableReport{Table: "t", Verdict: mirror.VerdictIdentical, Strategy: strategy})
		}
	}
	require.Contains(t, r.String(), "\nTables: 2 joined in one engine, 1 digested, 3 streamed\n")
	r.Strategy = mirror.StrategyJoin
	require.NotContains(t, r.String(), "Tables: ")
}
