package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"

	modernc "modernc.org/sqlite" // registers the driver "sqlite"
)

// purpose is what a file is opened for.
type purpose uint8

const (
	toRead purpose = iota
	toWrite
	toCreate // write, into a file that was just made
)

// way is how a file can be read without a trace.
type way uint8

const (
	// locked: SQLite's own locks are enough.
	locked way = iota

	// logged: in WAL mode, with a log and its index beside it.
	logged

	// frozen: in WAL mode, with no log. SQLite would make one, unless it is told
	// that the file does not change.
	frozen
)

// look is a file at one moment.
type look struct {
	info os.FileInfo
	way  way
}

func (l look) sameFile(info os.FileInfo) bool {
	return os.SameFile(l.info, info) && l.info.Size() == info.Size() && l.info.ModTime().Equal(info.ModTime())
}

var errNoPath = errors.New("open database: the path is empty: name the file of the database")

// statFile refuses what is no file.
func statFile(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open %s: %w: check the path", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open %s: %w: this user may not look into its directory", path, store.ErrPermission)
	case err != nil:
		return nil, fmt.Errorf("open database: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("open %s: it is a directory: name the file of the database", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("open %s: it is no regular file: name the file of the database", path)
	}
	return info, nil
}

// The beginning of every database that is not empty.
const (
	magic       = "SQLite format 3\x00"
	headerSize  = 100
	readVersion = 19 // where the header says how the file is read
	walVersion  = 2
)

// lookAt finds out how the file can be read. What was known before is not looked
// up again when the file is the same.
func lookAt(path string, before *look) (look, error) {
	info, err := statFile(path)
	if err != nil {
		return look{}, err
	}
	l := look{info: info}
	wal := before != nil && before.way != locked
	if before == nil || !before.sameFile(info) {
		if wal, err = isWAL(path, info); err != nil {
			return look{}, err
		}
	}
	if !wal {
		return l, nil
	}
	log, index := sizeOf(path+"-wal"), sizeOf(path+"-shm")
	switch {
	case log > 0 && index < 0:
		return look{}, fmt.Errorf("open %s: beside it lies a write-ahead log, %s, but not its index: "+
			"open it once with a program that may write, such as sqlite3, which takes the log up", path, filepath.Base(path)+"-wal")
	case log >= 0 && index >= 0:
		l.way = logged
	default:
		l.way = frozen
		if err := noJournal(path); err != nil {
			return look{}, err
		}
	}
	return l, nil
}

// sizeOf returns the size of a file, -1 when there is none.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

const leftJournal = "a writer died in the middle of a change and left a journal beside the file: " +
	"open it once with a program that may write, such as sqlite3, which takes the change back"

// noJournal refuses a file with a journal that has to be played back. SQLite does
// so itself for a file that it may lock.
func noJournal(path string) error {
	journal, err := os.Open(path + "-journal")
	if err != nil {
		return nil //nolint:nilerr // there is none
	}
	defer journal.Close()
	first := make([]byte, 1)
	if _, err := journal.Read(first); err != nil || first[0] == 0 { // empty, or done with
		return nil //nolint:nilerr // as the comment says
	}
	return fmt.Errorf("open %s: %s", path, leftJournal)
}

// isWAL reads from the file's header whether it is in WAL mode.
func isWAL(path string, info os.FileInfo) (bool, error) {
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return false, fmt.Errorf("open %s: %w: this user may not read the file", path, store.ErrPermission)
	case err != nil:
		return false, fmt.Errorf("open database: %w", err)
	}
	header := make([]byte, headerSize)
	n, err := io.ReadFull(file, header)
	if cerr := held.close(kept{of: []os.FileInfo{info}, closer: file}); cerr != nil {
		return false, fmt.Errorf("open database: %w", cerr)
	}
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return false, nil // a database without a table
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("open database: %w", err)
	case n < headerSize || !strings.HasPrefix(string(header), magic):
		return false, fmt.Errorf("open %s: it is no SQLite database, or an encrypted one: check the path", path)
	}
	return header[readVersion] == walVersion, nil
}

// connector opens each connection of a pool in the way that fits the file then.
type connector struct {
	path    string // absolute, without links: SQLite's other files lie beside this one
	purpose purpose
	foreign *foreignFile // a pool of the caller's has it open; nil: it does not
	same    os.FileInfo  // the only file that may be at the path; nil: any
	joined  *connector   // to read another file, too; nil for none
}

func newConnector(path string, p purpose) (*connector, error) {
	if path == "" {
		return nil, errNoPath
	}
	if _, err := statFile(path); err != nil {
		return nil, err
	}
	full, err := filepath.Abs(path)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &connector{path: full, purpose: p}, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &modernc.Driver{} }

func (c *connector) look() (look, error) {
	if c.foreign != nil {
		return look{}, c.foreign.check(c.path)
	}
	if c.purpose == toRead {
		l, err := lookAt(c.path, nil)
		if err == nil && c.same != nil && !os.SameFile(l.info, c.same) {
			err = errReplaced(c.path)
		}
		return l, err
	}
	info, err := statFile(c.path)
	if err == nil {
		_, err = isWAL(c.path, info) // for what it refuses
	}
	return look{info: info}, err
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	l, err := c.look()
	if err != nil {
		return nil, err
	}
	inner, err := modernc.NewConnector(c.dsn(l.way))
	if err != nil {
		return nil, err
	}
	release := c.lock(l)
	dc, err := inner.Connect(ctx)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	opened, ok := dc.(driverConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection lacks a method"), dc.Close(), release())
	}
	conn := &conn{driverConn: opened, opened: []openedFile{{c, l, release}}}
	if c.joined != nil {
		if err := conn.attach(ctx, c.joined); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if c.purpose == toRead {
		return conn, nil
	}
	readOnly, err := opened.IsReadOnly("main")
	if err == nil && readOnly {
		err = fmt.Errorf("%w: this user may not write the file: to only read it there is OpenSource", store.ErrPermission)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// lock counts a connection that may hold locks on the file.
func (c *connector) lock(l look) (release func() error) {
	if l.way == frozen || c.foreign != nil {
		return func() error { return nil }
	}
	return held.lock(l.info)
}

func (c *connector) dsn(w way) string {
	path := filepath.ToSlash(c.path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/mirror.db
	}
	query := url.Values{"_pragma": {"busy_timeout(10000)"}, "mode": {"rw"}}
	switch {
	case c.purpose == toCreate:
		query["_pragma"] = append(query["_pragma"], "journal_mode(WAL)", "synchronous(NORMAL)")
	case c.purpose == toRead && w == frozen:
		query.Set("mode", "ro")
		query.Set("immutable", "1")
	case c.purpose == toRead:
		query.Set("mode", "ro")
		query.Set("readonly_shm", "1") // or SQLite makes the log's index
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}).String()
}

// driverConn is what the driver's connection can do.
type driverConn interface {
	driver.Conn
	driver.Pinger
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	IsReadOnly(schema string) (bool, error)
}

// conn is a connection that knows how its files were when they were opened.
type conn struct {
	driverConn
	opened []openedFile
}

// openedFile is a file that a connection has open.
type openedFile struct {
	connector *connector
	look      look
	release   func() error
}

// attach opens another file beside the first one.
func (c *conn) attach(ctx context.Context, other *connector) error {
	l, err := other.look()
	if err != nil {
		return err
	}
	c.opened = append(c.opened, openedFile{other, l, other.lock(l)})
	_, err = c.ExecContext(ctx, "ATTACH ?1 AS "+joinedSchema, []driver.NamedValue{{Ordinal: 1, Value: other.dsn(l.way)}})
	if err != nil && strings.Contains(err.Error(), "same text encoding") {
		return fmt.Errorf("one file holds text in another encoding than the other: %w", errors.ErrUnsupported)
	}
	return err
}

// Close implements driver.Conn. What was opened without locks is closed when that
// frees none of others.
func (c *conn) Close() error {
	k := kept{closer: c.driverConn}
	for _, f := range c.opened {
		k.then = append(k.then, f.release)
		if f.look.way == frozen {
			k.of = append(k.of, f.look.info)
		}
	}
	return held.close(k)
}

// ResetSession implements driver.SessionResetter: a connection that could not see
// what was written since it was opened, or would leave a file behind, is not used
// again.
func (c *conn) ResetSession(ctx context.Context) error {
	for i := range c.opened {
		f := &c.opened[i]
		if f.connector.purpose != toRead || f.connector.foreign != nil {
			continue
		}
		now, err := lookAt(f.connector.path, &f.look)
		if err != nil || now.way != f.look.way || !os.SameFile(now.info, f.look.info) ||
			f.look.way == frozen && !f.look.sameFile(now.info) {
			return driver.ErrBadConn
		}
		f.look = now
	}
	return c.driverConn.ResetSession(ctx)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.driverConn.QueryContext(ctx, query, args)
	if !slices.ContainsFunc(c.opened, func(f openedFile) bool { return f.look.way == frozen }) {
		return rows, err
	}
	if err != nil {
		if changed := c.changed(); changed != nil {
			return nil, changed
		}
		return nil, err
	}
	return &frozenRows{Rows: rows, conn: c}, nil
}

// changed returns an error when a file that was read without locks is no longer
// as it was.
func (c *conn) changed() error {
	for _, f := range c.opened {
		if f.look.way != frozen {
			continue
		}
		info, err := os.Stat(f.connector.path)
		if err != nil || !f.look.sameFile(info) {
			return fmt.Errorf("%s was changed while it was read: read it again", f.connector.path)
		}
	}
	return nil
}

// frozenRows are rows that count only if the file did not change meanwhile.
type frozenRows struct {
	driver.Rows
	conn *conn
	told bool
}

func (r *frozenRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil {
		if changed := r.conn.changed(); changed != nil {
			r.told = true
			return changed
		}
	}
	return err
}

func (r *frozenRows) Close() error {
	err := r.Rows.Close()
	if changed := r.conn.changed(); changed != nil && !r.told {
		return changed
	}
	return err
}
