// Package journal keeps the journal of operations, from which
// [mirror.Mirror.Reconcile] tells after a crash what happened: [File] on disk, and
// [Memory] for unit tests. It uses the exported API of package mirror alone, so a
// journal elsewhere, in a queue or a database, is made in the same way.
package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/text"
)

// File is a [mirror.Journal] in a file: one line of JSON for each event, on disk
// before Append returns. Several processes may append to one file. It is safe
// for concurrent use.
type File struct {
	mu   sync.Mutex
	file *os.File
}

var _ mirror.Journal = (*File)(nil)

// Open opens or creates the journal at path. The caller closes it.
//
// A line that a crash left unfinished is closed, so that the next one begins on
// a line of its own.
func Open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	err = endLine(file)
	if err == nil {
		err = syncDir(filepath.Dir(path)) // a file that was just created is in no directory yet
	}
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, errors.Join(err, file.Close()))
	}
	return &File{file: file}, nil
}

// endLine ends a last line that has no end.
func endLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.Write([]byte("\n"))
	return err
}

// syncDir makes the names in a directory survive a crash of the machine. Not
// every file system can.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = dir.Sync()
	return dir.Close()
}

// fileLine is a line of the file.
type fileLine struct {
	Entry json.RawMessage `json:"entry"`

	// Sum is the CRC-32 of Entry: it tells a line that was edited.
	Sum uint32 `json:"crc32"`
}

// Append implements mirror.Journal.
func (f *File) Append(_ context.Context, e mirror.JournalEntry) error {
	entry, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	line, err := json.Marshal(fileLine{Entry: entry, Sum: crc32.ChecksumIEEE(entry)})
	if err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// What another writer left unfinished must not swallow this line.
	if err := endLine(f.file); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	// A single write: what other processes append stands before or behind it.
	if _, err := f.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	return nil
}

// Entries reads the journal from its beginning, for [mirror.Mirror.Reconcile].
func (f *File) Entries() ([]mirror.JournalEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := f.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return Read(io.NewSectionReader(f.file, 0, info.Size()))
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// maxLine bounds a line, in bytes: a receipt of 10,000 tables fits.
const maxLine = 64 << 20

// Read reads the entries of a file that a [File] wrote. A line that
// a crash tore is passed over: its Append had not returned, so its transaction
// was not committed, or its outcome is not recorded and Reconcile asks the
// database. A line that is whole and not as it was written is mirror.ErrInvalidDocument,
// and so is one with a field that this version does not know.
func Read(r io.Reader) ([]mirror.JournalEntry, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var entries []mirror.JournalEntry
	for n := 1; lines.Scan(); n++ {
		refuse := func(reason string) ([]mirror.JournalEntry, error) {
			return nil, &damagedError{line: n, reason: reason}
		}
		data := bytes.TrimSpace(lines.Bytes())
		if !json.Valid(data) {
			switch {
			case len(data) > 0 && data[0] != '{':
				return refuse("is not one of a journal")
			case bytes.HasSuffix(data, []byte("}")) && bytes.Contains(data, []byte(`"crc32":`)):
				return refuse("has its end and is damaged all the same")
			}
			continue // torn, or empty
		}
		var line fileLine
		if err := text.ParseJSON(data, &line); err != nil {
			return refuse(err.Error())
		}
		if line.Sum != crc32.ChecksumIEEE(line.Entry) {
			return refuse("was edited: its checksum is another one")
		}
		var e mirror.JournalEntry
		if err := text.ParseJSON(line.Entry, &e); err != nil {
			return refuse(err.Error())
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return entries, nil
}

// damagedError is the mirror.ErrInvalidDocument of a line that is not as it was
// written.
type damagedError struct {
	line   int // counted from 1
	reason string
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("invalid journal: line %d %s", e.line, e.reason)
}

func (e *damagedError) Is(target error) bool { return target == mirror.ErrInvalidDocument }
