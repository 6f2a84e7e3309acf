package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/so-mirror/mirror"
)

// Memory is a [mirror.Journal] in memory, for tests. Its zero value is empty and ready to use.
// It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	lines   [][]byte // as JSON, as a file has them
	appends int
	faults  []fault
}

type fault struct {
	call  int // counted from the beginning of the journal
	err   error
	after bool // err comes after the entry was written
}

var _ mirror.Journal = (*Memory)(nil)

// Append implements mirror.Journal.
func (m *Memory) Append(_ context.Context, e mirror.JournalEntry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.appends++
	var due fault
	if i := slices.IndexFunc(m.faults, func(f fault) bool { return f.call == m.appends }); i >= 0 {
		due = m.faults[i]
	}
	if due.err == nil || due.after {
		m.lines = append(m.lines, line)
	}
	return due.err
}

// Entries returns what was written, for [mirror.Mirror.Reconcile].
func (m *Memory) Entries() ([]mirror.JournalEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries := make([]mirror.JournalEntry, len(m.lines))
	for i, line := range m.lines {
		if err := json.Unmarshal(line, &entries[i]); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
	}
	return entries, nil
}

// FailAt makes the nth Append from now, counted from 1, return err and write
// nothing. An operation appends its intent, and then how it ended. Like the
// methods of memory.Store that prepare faults it panics when nothing would ever happen.
func (m *Memory) FailAt(n int, err error) { m.prepare("FailAt", n, err, false) }

// FailAfter makes the nth Append from now, counted from 1, write its entry and
// return err nevertheless, as when a disk does not answer.
func (m *Memory) FailAfter(n int, err error) { m.prepare("FailAfter", n, err, true) }

func (m *Memory) prepare(caller string, n int, err error, after bool) {
	if n < 1 || err == nil {
		panic(fmt.Sprintf("journal.Memory.%s: call %d with error %v: nothing would ever happen", caller, n, err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, fault{call: m.appends + n, err: err, after: after})
}
