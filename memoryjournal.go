package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// MemoryJournal is a Journal in memory, for tests. Its zero value is empty and ready to use.
// It is safe for concurrent use.
type MemoryJournal struct {
	mu      sync.Mutex
	lines   [][]byte // as JSON, as a file has them
	appends int
	faults  []journalFault
}

type journalFault struct {
	call  int // counted from the beginning of the journal
	err   error
	after bool // err comes after the entry was written
}

var _ Journal = (*MemoryJournal)(nil)

// Append implements Journal.
func (j *MemoryJournal) Append(_ context.Context, e JournalEntry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.appends++
	var due journalFault
	if i := slices.IndexFunc(j.faults, func(f journalFault) bool { return f.call == j.appends }); i >= 0 {
		due = j.faults[i]
	}
	if due.err == nil || due.after {
		j.lines = append(j.lines, line)
	}
	return due.err
}

// Entries returns what was written, for [Mirror.Reconcile].
func (j *MemoryJournal) Entries() ([]JournalEntry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entries := make([]JournalEntry, len(j.lines))
	for i, line := range j.lines {
		if err := json.Unmarshal(line, &entries[i]); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
	}
	return entries, nil
}

// FailAt makes the nth Append from now, counted from 1, return err and write
// nothing. An operation appends its intent, and then how it ended. Like the
// methods of memory.Store that prepare faults it panics when nothing would ever happen.
func (j *MemoryJournal) FailAt(n int, err error) { j.prepare("FailAt", n, err, false) }

// FailAfter makes the nth Append from now, counted from 1, write its entry and
// return err nevertheless, as when a disk does not answer.
func (j *MemoryJournal) FailAfter(n int, err error) { j.prepare("FailAfter", n, err, true) }

func (j *MemoryJournal) prepare(caller string, n int, err error, after bool) {
	if n < 1 || err == nil {
		panic(fmt.Sprintf("mirror.MemoryJournal.%s: call %d with error %v: nothing would ever happen", caller, n, err))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = append(j.faults, journalFault{call: j.appends + n, err: err, after: after})
}
