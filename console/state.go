package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver of the state's file

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// state is the SQLite file with what outlives the process: jobs with their reports and
// checkpoints, the journal, and what each mirror said of itself. Rows of customers are in
// it, so it is nobody else's to read.
type state struct {
	// db writes; what it wrote outlives the process, and is on disk a little later.
	db *sqlx.DB

	// durable writes the journal, and what was written before it: on disk when it returns.
	durable *sqlx.DB

	// reads waits for neither.
	reads *sqlx.DB

	lock *flock.Flock
}

// The pools of the file. A disk takes its time to have written something down, and a page
// does not wait for that.
const (
	stateReaders = 4
	stateWait    = 10 * time.Second // for the other writer
)

// errInUse: two processes would both go on with the jobs.
var errInUse = errors.New("another process has it open: a console keeps its state to itself")

// openState opens or creates the file at path. One process has it at a time.
func openState(ctx context.Context, path string) (_ *state, err error) {
	if path == "" {
		return nil, errors.New("it has no name")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let everybody read it
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	s := &state{lock: flock.New(path+".lock", flock.SetPermissions(0o600))}
	switch locked, err := s.lock.TryLock(); {
	case err != nil:
		return nil, err
	case !locked:
		return nil, errInUse
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := checkOurs(ctx, path); err != nil {
		return nil, err
	}
	for _, pool := range []struct {
		db        **sqlx.DB
		most      int
		pragmas   []string
		immediate bool
	}{
		{&s.db, 1, []string{"journal_mode(wal)", "synchronous(normal)"}, true},
		{&s.durable, 1, []string{"synchronous(full)"}, true},
		{&s.reads, stateReaders, []string{"query_only(on)"}, false},
	} {
		if *pool.db, err = sqlx.Open("sqlite", stateDSN(path, pool.immediate, pool.pragmas...)); err != nil {
			return nil, err
		}
		(*pool.db).SetMaxOpenConns(pool.most)
		(*pool.db).SetMaxIdleConns(pool.most)
		if pool.db == &s.db {
			if err := s.migrate(ctx); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// stateDSN is how the driver opens the file, whose name may have a question mark in it.
func stateDSN(path string, immediate bool, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", stateWait.Milliseconds())}, pragmas...)}
	if immediate {
		q.Set("_txlock", "immediate")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// migrate brings the file to the form that this version knows.
func (s *state) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.db.DB, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	has, known, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return err
	case has > known:
		return fmt.Errorf("it was written by a newer version (%d, this one knows %d)", has, known)
	}
	_, err = p.Up(ctx)
	return err
}

// checkOurs refuses the database of another program, such as a mirror, before anything of it
// is changed.
func checkOurs(ctx context.Context, path string) error {
	db, err := sqlx.Open("sqlite", stateDSN(path, false, "query_only(on)"))
	if err != nil {
		return err
	}
	defer db.Close()
	var tables, ours int
	if err := db.QueryRowxContext(ctx, "SELECT count(*), count(CASE WHEN name='goose_db_version' THEN 1 END) FROM sqlite_schema WHERE type='table'").Scan(&tables, &ours); err != nil {
		return err
	}
	if tables > 0 && ours == 0 {
		return errors.New("it is a database of something else: name another file")
	}
	return nil
}

// close closes what was opened.
func (s *state) close() (err error) {
	for _, db := range []*sqlx.DB{s.reads, s.durable, s.db} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return errors.Join(err, s.lock.Close())
}

// millis is how the file has a time; 0 is no time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// packed is a document as the file has it.
func packed(document any) ([]byte, error) {
	if document == nil {
		return nil, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.NewEncoder(z).Encode(document), z.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// errNoDocument: the job has none, or it was cleaned up.
var errNoDocument = errors.New("there is no document")

func unpacked[D any](data []byte) (*D, error) {
	if len(data) == 0 {
		return nil, errNoDocument
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	d := new(D)
	if err := json.NewDecoder(z).Decode(d); err != nil {
		return nil, err
	}
	return d, z.Close()
}

// jobRow is a job as the file has it.
type jobRow struct {
	ID      int64  `db:"id"`
	Member  string `db:"member"`
	Kind    kind   `db:"kind"`
	State   status `db:"state"`
	Actor   string `db:"actor"`
	Asked   int64  `db:"asked"`
	Started int64  `db:"started"`
	Ended   int64  `db:"ended"`
	Resumed int    `db:"resumed"`
	Request []byte `db:"request"`
	Summary []byte `db:"summary"`
	Error   string `db:"error"`
}

const jobColumns = "id, member, kind, state, actor, asked, started, ended, resumed, request, summary, error"

func (r jobRow) job() (j job, err error) {
	j = job{
		ID: r.ID, Member: r.Member, Kind: r.Kind, Status: r.State, Actor: r.Actor, Resumed: r.Resumed, Error: r.Error,
		Asked: timeOf(r.Asked), Started: timeOf(r.Started), Ended: timeOf(r.Ended),
	}
	if err := json.Unmarshal(r.Request, &j.Request); err != nil {
		return j, fmt.Errorf("job %d: %w", r.ID, err)
	}
	if len(r.Summary) > 0 {
		if err := json.Unmarshal(r.Summary, &j.Summary); err != nil {
			return j, fmt.Errorf("job %d: %w", r.ID, err)
		}
	}
	return j, nil
}

// add keeps a new job and gives it its ID.
func (s *state) add(ctx context.Context, j *job) error {
	request, err := json.Marshal(j.Request)
	if err != nil {
		return err
	}
	summary, err := json.Marshal(j.Summary)
	if err != nil {
		return err
	}
	result, err := s.db.ExecContext(ctx, "INSERT INTO job (member, kind, state, actor, asked, started, ended, request, summary, error) VALUES (?,?,?,?,?,?,?,?,?,?)",
		j.Member, j.Kind, j.Status, j.Actor, millis(j.Asked), millis(j.Started), millis(j.Ended), request, summary, j.Error)
	if err != nil {
		return err
	}
	j.ID, err = result.LastInsertId()
	return err
}

// update keeps what became of a job, but for its documents.
func (s *state) update(ctx context.Context, j *job) error {
	summary, err := json.Marshal(j.Summary)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "UPDATE job SET state=?, started=?, ended=?, resumed=?, summary=?, error=? WHERE id=?",
		j.Status, millis(j.Started), millis(j.Ended), j.Resumed, summary, j.Error, j.ID)
	return err
}

// finish keeps the end of a job with its document, and its checkpoint where it can be
// gone on with.
func (s *state) finish(ctx context.Context, j *job, document, checkpoint any, tables []tableSummary) error {
	summary, err := json.Marshal(j.Summary)
	if err != nil {
		return err
	}
	doc, err := packed(document)
	if err != nil {
		return err
	}
	point, err := packed(checkpoint)
	if err != nil {
		return err
	}
	list, err := json.Marshal(tables)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "UPDATE job SET state=?, started=?, ended=?, resumed=?, summary=?, error=?, document=coalesce(?, document), checkpoint=?, tables=? WHERE id=?",
		j.Status, millis(j.Started), millis(j.Ended), j.Resumed, summary, j.Error, doc, point, list, j.ID)
	return err
}

// tables returns what lists show of the tables of a comparison.
func (s *state) tables(ctx context.Context, id int64) (all []tableSummary, err error) {
	var data []byte
	err = s.reads.GetContext(ctx, &data, "SELECT tables FROM job WHERE id=?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return all, json.Unmarshal(data, &all)
}

func (s *state) keepCheckpoint(ctx context.Context, id int64, c *mirror.Checkpoint) error {
	point, err := packed(c)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "UPDATE job SET checkpoint=? WHERE id=?", point, id)
	return err
}

// checkpoint returns where a job is gone on with, nil for its beginning.
func (s *state) checkpoint(ctx context.Context, id int64) (*mirror.Checkpoint, error) {
	var data []byte
	if err := s.reads.GetContext(ctx, &data, "SELECT checkpoint FROM job WHERE id=?", id); err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, nil
	}
	return unpacked[mirror.Checkpoint](data)
}

// job returns one job; errNotFound when there is none.
func (s *state) job(ctx context.Context, id int64) (job, error) {
	var r jobRow
	err := s.reads.GetContext(ctx, &r, "SELECT "+jobColumns+" FROM job WHERE id=?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return job{}, errNotFound
	}
	if err != nil {
		return job{}, err
	}
	return r.job()
}

// asked returns the job that a form has asked for, errNotFound for none.
func (s *state) asked(ctx context.Context, member, once string) (job, error) {
	var r jobRow
	err := s.reads.GetContext(ctx, &r, "SELECT "+jobColumns+" FROM job WHERE member=? AND json_extract(request, '$.once')=? ORDER BY id LIMIT 1", member, once)
	if errors.Is(err, sql.ErrNoRows) {
		return job{}, errNotFound
	}
	if err != nil {
		return job{}, err
	}
	return r.job()
}

// jobQuery says which jobs are wanted; zero values are all of them.
type jobQuery struct {
	Member string
	Kinds  []kind
	States []status
	Before int64 // its ID is less
	Limit  int
}

// jobs returns jobs, the newest first.
func (s *state) jobs(ctx context.Context, q jobQuery) ([]job, error) {
	where, args := "WHERE 1=1", []any{}
	if q.Member != "" {
		where, args = where+" AND member=?", append(args, q.Member)
	}
	if len(q.Kinds) > 0 {
		where, args = where+" AND kind IN (?)", append(args, q.Kinds)
	}
	if len(q.States) > 0 {
		where, args = where+" AND state IN (?)", append(args, q.States)
	}
	if q.Before > 0 {
		where, args = where+" AND id<?", append(args, q.Before)
	}
	where += " ORDER BY id DESC"
	if q.Limit > 0 {
		where, args = where+" LIMIT ?", append(args, q.Limit)
	}
	where, args, err := sqlx.In(where, args...)
	if err != nil {
		return nil, err
	}
	return s.selectJobs(ctx, where, args...)
}

// selectJobs returns the jobs that a clause of SQL chooses.
func (s *state) selectJobs(ctx context.Context, where string, args ...any) ([]job, error) {
	var rows []jobRow
	if err := s.reads.SelectContext(ctx, &rows, "SELECT "+jobColumns+" FROM job "+where, args...); err != nil {
		return nil, err
	}
	all := make([]job, 0, len(rows))
	for _, r := range rows {
		j, err := r.job()
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, nil
}

// documentOf returns the document of a job.
func documentOf[D any](ctx context.Context, s *state, id int64) (*D, error) {
	var data []byte
	err := s.reads.GetContext(ctx, &data, "SELECT document FROM job WHERE id=?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, err
	}
	return unpacked[D](data)
}

// fold is the form in which the file has a context identifier.
func fold(contextID string) string { return store.FoldName(contextID) }
