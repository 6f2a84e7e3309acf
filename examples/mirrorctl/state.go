package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
)

// state is the directory of what outlives a run: the journal, the receipts, and the
// reports, plans and checkpoints that the next command goes on from. Rows of customers
// are in it, so it is nobody else's to read.
type state struct{ dir string }

// The kinds of documents, which are the names of their directories.
const (
	keptReceipts    = "receipts"
	keptReports     = "reports"
	keptPlans       = "plans"
	keptCheckpoints = "checkpoints"
)

// keptMost is how many documents of a kind are kept of a customer. Receipts stay.
const keptMost = 10

func (a *app) state() state {
	said := cmp.Or(a.flags.stateDir, a.env(envState))
	return state{cmp.Or(said, a.stateDir, filepath.Join(xdg.StateHome, "mirrorctl"))}
}

func (a *app) now() time.Time { return a.systemClock().Now() }

func (s state) journalPath() string    { return filepath.Join(s.dir, "journal.jsonl") }
func (s state) reconciledPath() string { return filepath.Join(s.dir, "reconciled.jsonl") }

// record has a target's changes journaled, and says what an earlier one left open.
func (a *app) record(t *target, n need, opts *mirror.Options) error {
	s, changes := a.state(), n.change && !a.flags.dryRun
	if changes {
		file, err := opened(t, s.openJournal)
		if err != nil {
			return refusef("what is changed cannot be recorded in %s: %w: make it writable, or name another directory by --state-dir or %s", s.dir, err, envState)
		}
		opts.Journal = told{file, a}
	}
	if n.reconcile {
		return nil
	}
	return a.warnOfOpen(s, t.context, changes)
}

// told is a journal whose entries a command can be told.
type told struct {
	*journal.File
	a *app
}

// Append implements mirror.Journal.
func (t told) Append(ctx context.Context, e mirror.JournalEntry) error {
	err := t.File.Append(ctx, e)
	if err == nil && t.a.onChange != nil {
		t.a.onChange(e)
	}
	return err
}

// openJournal opens the journal, and makes sure that a receipt can be written.
func (s state) openJournal() (*journal.File, error) {
	dir := filepath.Join(s.dir, keptReceipts)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return nil, err
	}
	return journal.Open(s.journalPath())
}

// warnOfOpen says that operations began of which it is not known how they ended.
func (a *app) warnOfOpen(s state, contextID string, changes bool) error {
	open, err := s.open(contextID)
	switch {
	case err != nil && changes:
		return refusef("%w: move %s away if nobody needs it any more", err, s.journalPath())
	case err != nil:
		a.warn("%v", err)
	case len(open) > 0:
		last := open[len(open)-1]
		a.warn("what became of the %s of %s, %s, is not recorded: it was interrupted, or is still running. Find out by: %s",
			operationOf(last), last.ContextID, last.Time.UTC().Format(timeFormat), a.commandLine(a.where(contextID), "reconcile"))
	}
	return nil
}

// timeFormat is how people read a time.
const timeFormat = time.DateTime + " MST"

// operationOf names what an entry of the journal is about.
func operationOf(e mirror.JournalEntry) string {
	switch {
	case e.Receipt == nil:
		return "operation"
	case e.Undo:
		return "undo of " + string(e.Receipt.Operation)
	default:
		return string(e.Receipt.Operation)
	}
}

// entries returns what the journal has of a customer.
func (s state) entries(contextID string) (entries []mirror.JournalEntry, err error) {
	file, err := os.Open(s.journalPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer file.Close()
	all, err := journal.Read(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.journalPath(), err)
	}
	for _, e := range all {
		if sameContext(e.ContextID, contextID) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// open returns the intents of a customer that have no end, and that were not reconciled.
func (s state) open(contextID string) ([]mirror.JournalEntry, error) {
	entries, err := s.entries(contextID)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	known, err := s.reconciled()
	if err != nil {
		return nil, err
	}
	ended := map[string]bool{}
	for _, e := range entries {
		ended[e.ID] = ended[e.ID] || e.Event != mirror.JournalIntent
	}
	return slices.DeleteFunc(entries, func(e mirror.JournalEntry) bool {
		_, found := known[e.ID]
		return ended[e.ID] || found
	}), nil
}

// reconciled is what was found out of an operation that the journal has no end of.
type reconciled struct {
	ID      string         `json:"id"`
	Outcome mirror.Outcome `json:"outcome"`
	Time    time.Time      `json:"time"`
}

// reconciled returns what was found out, by the ID of the operation.
func (s state) reconciled() (map[string]mirror.Outcome, error) {
	lines, err := linesOf[reconciled](s.reconciledPath()) // a torn one is found out once more
	if err != nil {
		return nil, err
	}
	found := map[string]mirror.Outcome{}
	for _, r := range lines {
		found[r.ID] = r.Outcome
	}
	return found, nil
}

// close keeps what was found out.
func (s state) close(found []reconciled) error {
	if len(found) == 0 {
		return nil
	}
	return addLines(s.reconciledPath(), found...)
}

// linesOf reads a file of one JSON document a line, none where there is no file. Lines that
// are none are passed over.
func linesOf[D any](path string) (all []D, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		var d D
		if json.Unmarshal([]byte(line), &d) == nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// addLines adds documents to such a file. They are on disk when it returns.
func addLines[D any](path string, all ...D) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(file)
	for _, d := range all {
		err = errors.Join(err, lines.Encode(d))
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// keep writes a document where later commands find it, and returns the path.
func (s state) keep(kind, contextID, what string, at time.Time, d document) (string, error) {
	if !customers.IsContext(contextID) {
		return "", refusef("%q is no context identifier, so it names no file", contextID)
	}
	dir := filepath.Join(s.dir, kind)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path, err := reserve(dir, fmt.Sprintf("%s-%s", contextID, at.UTC().Format(stampFormat)), what)
	if err != nil {
		return "", err
	}
	if err := writeFile(path, d); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	if kind != keptReceipts {
		s.prune(kind, contextID)
	}
	return path, nil
}

const stampFormat = "20060102T150405.000Z"

// reserve makes an empty file under a name that nothing has yet.
func reserve(dir, name, what string) (string, error) {
	for n := 1; ; n++ {
		path := filepath.Join(dir, name)
		if n > 1 {
			path += fmt.Sprintf("-%d", n)
		}
		path += "-" + what + ".json"
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			return path, file.Close()
		case !errors.Is(err, fs.ErrExist):
			return "", err
		}
	}
}

// writeFile writes a document as a whole, or not at all.
func writeFile(path string, d document) error { return writeWhole(path, d.WriteJSON) }

func writeWhole(path string, write func(w io.Writer) error) error {
	if err := replaceable(path); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		if !info.Mode().IsRegular() { // such as a pipe or /dev/null, which stays what it is
			return writeInto(path, write)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

func writeInto(path string, write func(w io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// replaceable refuses a file that is no document and no page of ours, such as the
// customer's database, so that a slip of a file's name destroys nothing.
func replaceable(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil // writing finds out what else is wrong
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	start := make([]byte, 16)
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	start = bytes.ToLower(start[:n])
	if bytes.HasPrefix(start, []byte("{")) || bytes.HasPrefix(start, []byte("<!doctype html>")) {
		return nil
	}
	return refusef("%s is there already, and is no file of mirrorctl: name another file", path)
}

// keptName takes the name of a kept document apart: whose it is, when it was made and as
// which one of that millisecond, and what it is.
var keptName = regexp.MustCompile(`^(.+)-(\d{8}T\d{6}\.\d{3}Z)(?:-(\d+))?-([a-z-]+)\.json$`)

// kept returns the documents of a customer, from old to new, but for receipts that were
// taken back.
func (s state) kept(kind, contextID string) []string {
	return s.documents(kind, contextID, false)
}

// undone returns the receipts of a customer that were taken back, from old to new.
func (s state) undone(contextID string) []string { return s.documents(keptReceipts, contextID, true) }

func (s state) documents(kind, contextID string, undone bool) (paths []string) {
	entries, _ := os.ReadDir(filepath.Join(s.dir, kind))
	type found struct{ path, stamp, n string }
	var all []found
	for _, e := range entries {
		m := keptName.FindStringSubmatch(e.Name())
		if info, err := e.Info(); err != nil || info.Size() == 0 {
			continue // it is being written, or its writer died
		}
		if m != nil && sameContext(m[1], contextID) && strings.HasSuffix(m[4], undoneSuffix) == undone {
			all = append(all, found{filepath.Join(s.dir, kind, e.Name()), m[2], m[3]})
		}
	}
	slices.SortFunc(all, func(x, y found) int {
		return cmp.Or(strings.Compare(x.stamp, y.stamp), len(x.n)-len(y.n), strings.Compare(x.n, y.n))
	})
	for _, f := range all {
		paths = append(paths, f.path)
	}
	return paths
}

// prune removes the oldest documents where there are more than anyone needs.
func (s state) prune(kind, contextID string) {
	paths := s.kept(kind, contextID)
	for _, path := range paths[:max(0, len(paths)-keptMost)] {
		removeQuietly(path)
	}
}

// undoneSuffix marks a receipt that was taken back.
const undoneSuffix = "-undone"

// receipt keeps what was done, and says where.
func (a *app) receipt(r *mirror.Receipt) (path string, err error) {
	if r == nil || r.DryRun {
		return "", nil
	}
	what := strings.ReplaceAll(string(r.Operation), " ", "-")
	if path, err = a.state().keep(keptReceipts, r.ContextID, what, r.Time, r); err != nil {
		return "", fmt.Errorf("it was done, but its receipt cannot be written: %w: the journal has it, too: run mirrorctl reconcile", err)
	}
	fmt.Fprintln(a.err, a.printable("Receipt: "+path))
	return path, nil
}

// readFile reads a document, "-" from the standard input.
func (a *app) readFile(path, kind string) (data []byte, err error) {
	if path == "-" {
		data, err = io.ReadAll(a.in)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	return data, nil
}

// readDocument reads a document of a kind from a file.
func readDocument[D any](a *app, path, kind string) (*D, error) {
	data, err := a.readFile(path, kind)
	if err != nil {
		return nil, err
	}
	return parseDocument[D](data, path, kind)
}

func parseDocument[D any](data []byte, path, kind string) (*D, error) {
	if is := kindOf(data); is != kind && isMarked(kind) {
		if is == "" {
			return nil, refusef("read %s %s: it is none, or was damaged", kind, path)
		}
		return nil, refusef("%s is a %s, and a %s is wanted", path, is, kind)
	}
	d := new(D)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, refusef("read %s %s: it is none, or was damaged: %w", kind, path, err)
	}
	return d, nil
}

// removeQuietly removes a file of the state: what stays costs nothing but room.
func removeQuietly(path string) { _ = os.Remove(path) }

// sameContext reports whether two context identifiers are one customer's.
func sameContext(a, b string) bool { return sameName(a, b) }

func sameName(a, b string) bool { return store.FoldName(a) == store.FoldName(b) }
