package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
)

const (
	// minRows is a row that differs for the smallest share.
	minRows = 10_000
	maxRows = 100_000_000

	// rowBytes is what a row of contact takes in a file, rounded up.
	rowBytes = 200
)

// data keeps SQLite files with equal contact tables. A file is complete as soon
// as it has its name.
type data struct {
	dir  string
	free func(dir string) (int64, error)
}

// fingerprint changes with what package crm generates, so that files of another
// version are not taken for these.
func fingerprint() string {
	h := fnv.New32a()
	t := contactTable()
	fmt.Fprintf(h, "%v", t)
	g := crm.NewGenerator(t, crm.Options{Contacts: minRows})
	for i := range 100 {
		fmt.Fprintf(h, "%v", g.Row(i))
	}
	return fmt.Sprintf("%08x", h.Sum32())
}

func contactTable() store.Table {
	t, ok := crm.Table("contact")
	if !ok {
		panic("package crm has no table contact")
	}
	return t
}

func (d data) path(kind string, rows int) string {
	return filepath.Join(d.dir, fmt.Sprintf("contact-%s-%d-%s.db", fingerprint(), rows, kind))
}

func (d data) damagedPath(rows, step int) string { return d.path(fmt.Sprintf("every%d", step), rows) }

// prepare makes the directory and sees to it that what is missing fits.
func (d data) prepare(o options) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	wanted := map[string]int{}
	add := func(rows int) {
		for _, kind := range []string{"source", "mirror"} {
			wanted[d.path(kind, rows)] = rows
		}
	}
	local := slices.ContainsFunc(o.only, func(part string) bool { return part != "digest" && part != "replica" && part != "curve" })
	if local && slices.Contains(o.only, "stream") {
		for _, rows := range o.rows {
			add(rows)
			add(min(rows, million)) // more rows are multiplied from these
		}
	}
	if local {
		add(o.large)
	}
	if slices.Contains(o.only, "damage") {
		for _, step := range shares() {
			wanted[d.damagedPath(o.large, step)] = o.large
		}
	}
	if slices.Contains(o.only, "replica") {
		wanted[d.replicaPath("old", o.check)] = o.check
		wanted[d.replicaPath("new", o.check)] = o.check
	}
	if slices.Contains(o.only, "curve") {
		maps.Copy(wanted, d.curveFiles(o))
	}
	need, largest := int64(0), int64(0)
	for path, rows := range wanted {
		if _, err := os.Stat(path); err != nil {
			size := int64(rows) * rowBytes
			need, largest = need+size, max(largest, size)
		}
	}
	if need == 0 {
		return nil
	}
	need += largest // to work in
	free, err := d.free(d.dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", d.dir, err)
	}
	if free < need {
		return fmt.Errorf("the databases need %.1f GiB in %s, where %.1f GiB are free: name another directory with -dir, or fewer rows with -rows",
			gib(need), d.dir, gib(free))
	}
	return nil
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }

func (d data) clean() error {
	var paths []string
	for _, pattern := range []string{"contact-*.db*", "replica-*.db*"} {
		found, err := filepath.Glob(filepath.Join(d.dir, pattern))
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	var err error
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// pair returns two files with the same rows, warm in the system's cache.
func (d data) pair(ctx context.Context, rows int) (source, mirrored string, err error) {
	source, mirrored = d.path("source", rows), d.path("mirror", rows)
	err = d.ensure(source, func(path string) error { return d.generate(ctx, path, rows) })
	if err == nil {
		err = d.ensure(mirrored, func(path string) error { return copyFile(path, source) })
	}
	return source, mirrored, errors.Join(err, warm(source), warm(mirrored))
}

// damaged returns a mirror in which each step-th row has another name.
func (d data) damaged(ctx context.Context, rows, step int) (string, error) {
	path := d.damagedPath(rows, step)
	err := d.ensure(path, func(path string) error {
		if err := copyFile(path, d.path("mirror", rows)); err != nil {
			return err
		}
		return scratch(ctx, path, func(st *sqlite.Store, db *sqlx.DB) error {
			r, err := db.ExecContext(ctx, `UPDATE contact SET name = 'changed ' || contact_id WHERE contact_id IN (
				SELECT contact_id FROM (SELECT contact_id, row_number() OVER (ORDER BY contact_id) AS n FROM contact) WHERE n % ? = 0)`, step)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil || n != int64(rows/step) {
				return errors.Join(err, fmt.Errorf("%d rows were changed, not %d", n, rows/step))
			}
			return vacuum(ctx, db)
		})
	})
	return path, errors.Join(err, warm(path))
}

// ensure makes a file under another name first.
func (d data) ensure(path string, make func(path string) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "making", path)
	unfinished := path + ".unfinished"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(unfinished + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := make(unfinished); err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", path, err), os.Remove(unfinished))
	}
	return os.Rename(unfinished, path)
}

// scratch opens a file that nobody needs unless fn ends well.
func scratch(ctx context.Context, path string, fn func(st *sqlite.Store, db *sqlx.DB) error) (err error) {
	open := sqlite.Open
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		open = sqlite.Create
	}
	st, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	db := st.DB()
	db.SetMaxOpenConns(1) // the pragmas are a connection's
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"); err != nil {
		return err
	}
	return fn(st, db)
}

// vacuum fills the pages as well as they can be, in all files alike: how an
// update left them would cost reading time of its own.
func vacuum(ctx context.Context, db *sqlx.DB) error {
	_, err := db.ExecContext(ctx, "VACUUM")
	return err
}

// generate makes a file of so many contacts. Beyond a million they repeat, under
// keys of their own.
func (d data) generate(ctx context.Context, path string, rows int) error {
	if rows <= million {
		return scratch(ctx, path, func(st *sqlite.Store, db *sqlx.DB) error {
			if err := crm.Load(ctx, st, crm.Options{Contacts: rows}, "contact"); err != nil {
				return err
			}
			return vacuum(ctx, db)
		})
	}
	base, _, err := d.pair(ctx, million)
	if err != nil {
		return err
	}
	return scratch(ctx, path, func(st *sqlite.Store, db *sqlx.DB) error {
		t := contactTable()
		if err := st.Update(ctx, func(tx store.Tx) error { return tx.Create(ctx, t) }); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "ATTACH ? AS base", base); err != nil {
			return err
		}
		var last int
		if err := db.GetContext(ctx, &last, "SELECT MAX(contact_id) FROM base.contact"); err != nil {
			return err
		}
		for have := 0; have < rows; have += million {
			insert := shifted(t, "main.contact", "base.contact", have/million*last)
			if _, err := db.ExecContext(ctx, fmt.Sprintf("%s LIMIT %d", insert, rows-have)); err != nil {
				return err
			}
		}
		return nil
	})
}

// shifted returns the statement that copies contacts under keys that are greater
// by shift.
func shifted(t store.Table, to, from string, shift int) string {
	names := quotedColumns(t)
	values := slices.Clone(names)
	values[0] = fmt.Sprintf("%s + %d", names[0], shift)
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s ORDER BY %s",
		to, strings.Join(names, ", "), strings.Join(values, ", "), from, names[0])
}

func quotedColumns(t store.Table) []string {
	names := t.ColumnNames()
	for i, name := range names {
		names[i] = `"` + name + `"`
	}
	return names
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// warm reads a file, so that the first contestant does not pay for the disk.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(struct{ io.Writer }{io.Discard}, f)
	return err
}
