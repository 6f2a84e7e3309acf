package sqlite

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
)

// held keeps what may not be closed yet. POSIX frees all locks that a process has
// on a file as soon as it closes the file, whoever took them. SQLite sees to that
// among its connections with locks; what is opened without must stay open until
// those are closed.
var held heldFiles

type heldFiles struct {
	mu    sync.Mutex
	files []*heldFile
}

// heldFile is a file on which somebody may hold a lock.
type heldFile struct {
	info    os.FileInfo
	locking int // connections that may hold locks
	kept    []kept
}

// kept has files open, of them without locks, and may be closed when nobody else
// holds one on those.
type kept struct {
	of     []os.FileInfo
	closer io.Closer
	then   []func() error // is run when it is closed, and may free locks of its own
}

func (k kept) end() error {
	var errs []error
	for _, then := range k.then {
		errs = append(errs, then())
	}
	return errors.Join(errs...)
}

// find returns the file, nil when no connection may hold a lock on it.
func (h *heldFiles) find(info os.FileInfo) *heldFile {
	for _, f := range h.files {
		if os.SameFile(f.info, info) {
			return f
		}
	}
	return nil
}

// lock counts a connection that may hold locks until release is called.
func (h *heldFiles) lock(info os.FileInfo) (release func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.find(info)
	if f == nil {
		f = &heldFile{info: info}
		h.files = append(h.files, f)
	}
	f.locking++
	return sync.OnceValue(func() error { return h.release(f) })
}

func (h *heldFiles) release(f *heldFile) error {
	h.mu.Lock()
	if f.locking--; f.locking > 0 {
		h.mu.Unlock()
		return nil
	}
	h.files = slices.DeleteFunc(h.files, func(g *heldFile) bool { return g == f })
	var closed []kept
	var errs []error
	for _, k := range f.kept {
		if h.keep(k) { // for another of its files
			continue
		}
		closed, errs = append(closed, k), append(errs, k.closer.Close())
	}
	h.mu.Unlock()
	for _, k := range closed {
		errs = append(errs, k.end())
	}
	return errors.Join(errs...)
}

// keep takes k if it may not be closed now.
func (h *heldFiles) keep(k kept) bool {
	for _, info := range k.of {
		if f := h.find(info); f != nil {
			f.kept = append(f.kept, k)
			return true
		}
	}
	return false
}

// close closes k as soon as it may.
func (h *heldFiles) close(k kept) error {
	if len(k.of) == 0 { // it may wait, for SQLite to take up a log
		return errors.Join(k.closer.Close(), k.end())
	}
	h.mu.Lock()
	if h.keep(k) {
		h.mu.Unlock()
		return nil
	}
	err := k.closer.Close() // before anybody takes a lock
	h.mu.Unlock()
	return errors.Join(err, k.end())
}
