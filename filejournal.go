package mirror

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

	"github.com/so-mirror/mirror/internal/text"
)

// FileJournal is a [Journal] in a file: one line of JSON for each event, on disk
// before Append returns. Several processes may append to one file. It is safe
// for concurrent use.
type FileJournal struct {
	mu   sync.Mutex
	file *os.File
}

var _ Journal = (*FileJournal)(nil)

// OpenJournal opens or creates the journal at path. The caller closes it.
//
// A line that a crash left unfinished is closed, so that the next one begins on
// a line of its own.
func OpenJournal(path string) (*FileJournal, error) {
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
	return &FileJournal{file: file}, nil
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

// journalLine is a line of the file.
type journalLine struct {
	Entry json.RawMessage `json:"entry"`

	// Sum is the CRC-32 of Entry: it tells a line that was edited.
	Sum uint32 `json:"crc32"`
}

// Append implements Journal.
func (j *FileJournal) Append(_ context.Context, e JournalEntry) error {
	entry, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	line, err := json.Marshal(journalLine{Entry: entry, Sum: crc32.ChecksumIEEE(entry)})
	if err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	// What another writer left unfinished must not swallow this line.
	if err := endLine(j.file); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	// A single write: what other processes append stands before or behind it.
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("append to journal: %w", err)
	}
	return nil
}

// Entries reads the journal from its beginning, for [Mirror.Reconcile].
func (j *FileJournal) Entries() ([]JournalEntry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	info, err := j.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return ReadJournal(io.NewSectionReader(j.file, 0, info.Size()))
}

// Close closes the file.
func (j *FileJournal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

// maxJournalLine bounds a line, in bytes: a receipt of 10,000 tables fits.
const maxJournalLine = 64 << 20

// ReadJournal reads the entries of a file that a [FileJournal] wrote. A line that
// a crash tore is passed over: its Append had not returned, so its transaction
// was not committed, or its outcome is not recorded and Reconcile asks the
// database. A line that is whole and not as it was written is ErrInvalidDocument,
// and so is one with a field that this version does not know.
func ReadJournal(r io.Reader) ([]JournalEntry, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxJournalLine)
	var entries []JournalEntry
	for n := 1; lines.Scan(); n++ {
		refuse := func(reason string) ([]JournalEntry, error) {
			return nil, fmt.Errorf("%w: line %d %s", errInvalidJournal, n, reason)
		}
		text := bytes.TrimSpace(lines.Bytes())
		if !json.Valid(text) {
			switch {
			case len(text) > 0 && text[0] != '{':
				return refuse("is not one of a journal")
			case bytes.HasSuffix(text, []byte("}")) && bytes.Contains(text, []byte(`"crc32":`)):
				return refuse("has its end and is damaged all the same")
			}
			continue // torn, or empty
		}
		var line journalLine
		if err := strictJSON(text, &line); err != nil {
			return refuse(err.Error())
		}
		if line.Sum != crc32.ChecksumIEEE(line.Entry) {
			return refuse("was edited: its checksum is another one")
		}
		var e JournalEntry
		if err := strictJSON(line.Entry, &e); err != nil {
			return refuse(err.Error())
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return entries, nil
}

// strictJSON parses JSON and refuses fields that v does not have.
func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return text.Err(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}
