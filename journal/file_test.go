package journal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

const customer = "Cust10195"

// world is a mirror's database: log has no key, and the metadata row of person is
// spelled in its own way.
func world() *memory.Store {
	return memory.New(
		memory.Table{Name: "contact", Columns: []string{"contact_id int", "name nvarchar(219) null"}, Key: []string{"contact_id"}, Rows: []store.Row{{1, "Company 1"}, {2, nil}}},
		memory.Table{Name: "log", Columns: []string{"what nvarchar(20)", "weight float"}, Rows: []store.Row{{"call", 0.5}}},
		memory.Table{Name: "person", Columns: []string{"person_id int", "lastname nvarchar(99)"}, Key: []string{"person_id"}, Rows: []store.Row{{1, "Åse"}}},
		memory.Metadata(customer, map[string]store.LSN{"contact": 812, "log": 900, "PERSON": 7}))
}

func newMirror(t testing.TB, st store.Store, opts *mirror.Options) *mirror.Mirror {
	t.Helper()
	m, err := mirror.New(customer, st, opts)
	require.NoError(t, err)
	return m
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	file, err := journal.Open(path)
	require.NoError(t, err)
	store := world()
	m := newMirror(t, store, &mirror.Options{Journal: file})
	receipt, err := m.ResetTables(t.Context(), []string{"contact", "log"}, nil)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	again, err := journal.Open(path)
	require.NoError(t, err)
	defer again.Close()
	entries, err := again.Entries()
	require.NoError(t, err)
	require.Len(t, entries, 2)
	found, err := m.Reconcile(t.Context(), entries[:1])
	require.NoError(t, err)
	require.Equal(t, mirror.OutcomeDone, found[0].Outcome)
	require.Equal(t, receipt.String(), found[0].Receipt.String())
	require.NoError(t, newMirror(t, store, nil).Undo(t.Context(), found[0].Receipt))

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "rows of customers may be in it")
}

// A line may be torn anywhere: what stands before and behind it is read.
func TestFileTornAnywhere(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	file, err := journal.Open(whole)
	require.NoError(t, err)
	m := newMirror(t, world(), &mirror.Options{Journal: file})
	_, err = m.ResetTables(t.Context(), []string{"contact"}, nil)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	data, err := os.ReadFile(whole)
	require.NoError(t, err)
	first := bytes.IndexByte(data, '\n') + 1
	for cut := range len(data) {
		path := filepath.Join(dir, fmt.Sprint(cut))
		require.NoError(t, os.WriteFile(path, data[:cut], 0o600))
		file, err := journal.Open(path)
		require.NoError(t, err)
		require.NoError(t, file.Append(t.Context(), mirror.JournalEntry{Version: 1, ContextID: customer, Event: mirror.JournalIntent, ID: "next"}))
		entries, err := file.Entries()
		require.NoError(t, err, "cut at %d", cut)
		want := 1
		if cut >= first-1 {
			want = 2
		}
		if cut == len(data)-1 { // only the end of the line is missing
			want = 3
		}
		require.Len(t, entries, want, "cut at %d of %d", cut, len(data))
		require.Equal(t, "next", entries[want-1].ID)
		require.NoError(t, file.Close())
	}
}

// A line that could not be finished, as on a full disk, does not swallow the next
// one, whoever writes it.
func TestFileAfterATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	file, err := journal.Open(path)
	require.NoError(t, err)
	defer file.Close()
	torn, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = torn.WriteString(`{"entry":{"version":1,`)
	require.NoError(t, err)
	require.NoError(t, torn.Close())
	require.NoError(t, file.Append(t.Context(), mirror.JournalEntry{Version: 1, ContextID: customer, Event: mirror.JournalIntent, ID: "next"}))
	entries, err := file.Entries()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "next", entries[0].ID)
}

func TestReadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	file, err := journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, file.Append(t.Context(), mirror.JournalEntry{Version: 1, ContextID: customer, Event: mirror.JournalDone, ID: "x"}))
	require.NoError(t, file.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	line := string(data)
	for name, c := range map[string]struct{ text, want string }{
		"edited":             {strings.Replace(line, customer, "Cust10196", 1), "checksum"},
		"edited, not JSON":   {strings.Replace(line, `"`+customer+`"`, customer, 1), "damaged"},
		"an unknown field":   {strings.Replace(line, `"crc32"`, `"more":1,"crc32"`, 1), `"more"`},
		"something else":     {"hello\n", "not one of a journal"},
		"behind a good line": {line + "hello\n", "invalid journal: line 2 is not one of a journal"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := journal.Read(strings.NewReader(c.text))
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = journal.Open(t.TempDir())
	require.ErrorContains(t, err, "open journal")
}

func FuzzRead(f *testing.F) {
	entry, err := json.Marshal(mirror.JournalEntry{Version: 1, ContextID: customer, Event: mirror.JournalIntent, ID: "x", Receipt: &mirror.Receipt{}})
	require.NoError(f, err)
	f.Add([]byte(`{"entry":` + string(entry) + `,"crc32":1}` + "\n"))
	f.Add([]byte("{\n\n{}\n{\"entry\":null,\"crc32\":0}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := journal.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		m := newMirror(t, world(), nil)
		_, err = m.Reconcile(t.Context(), entries)
		if err != nil {
			require.ErrorIs(t, err, mirror.ErrInvalidDocument)
		}
	})
}
