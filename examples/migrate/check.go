package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
	"github.com/so-mirror/mirror/store/sqlite"
)

const envReference, envReplica, envToken = "MIGRATE_REFERENCE", "MIGRATE_REPLICA", "MIGRATE_TOKEN"

// command is a check of two databases.
type command struct {
	*program
	reference, replica string // a file or a connection string, which no output may hold
	client             string // base URL of its API
	json, before       string // files
	opts               *replica.Options
}

func (c *command) run(ctx context.Context) error {
	var before *replica.Report
	if c.before != "" {
		var err error
		if before, err = readReport(c.before); err != nil {
			return err
		}
	}
	if c.json != "" { // before hours are spent on what cannot be kept
		if err := canWrite(c.json); err != nil {
			return err
		}
	}
	c.opts.Clock, c.opts.Progress = c.clock, c.progress
	report, err := check(ctx, c.reference, c.replica, c.opts)
	if report == nil {
		return err
	}
	if err == nil && before != nil {
		if err := report.CheckSwap(before); err != nil {
			return err // and no report, which could be read as a go for this
		}
		fmt.Fprint(c.out, "The names were swapped.\n\n")
	}
	if werr := report.WriteText(c.out); werr != nil {
		return errors.Join(err, werr)
	}
	if err != nil { // what was stopped is no evidence
		return err
	}
	if c.json != "" {
		if err := writeReport(c.json, report); err != nil {
			return err
		}
	}
	if c.client != "" && report.Resync != nil {
		if err := c.resync(ctx, report.Resync); err != nil {
			return err
		}
		fmt.Fprintln(c.out, "These tables are equal now. Check again.")
	}
	switch report.Decision {
	case replica.Go:
		return nil
	case replica.NoGo:
		return errNoGo
	default:
		return errNotYet
	}
}

// progress shows where a check is, a line whenever it waits.
func (c *command) progress(p replica.Progress) {
	switch {
	case !p.Next.IsZero():
		fmt.Fprintf(c.errOut, "%d rows differ; reading them again at %s\n", p.Open, p.Next.Local().Format("15:04:05"))
	case p.TablesDone == p.Tables || p.TablesDone%50 == 0:
		fmt.Fprintf(c.errOut, "compared %d of %d tables\n", p.TablesDone, p.Tables)
	}
}

// check compares two databases.
func check(ctx context.Context, reference, rep string, opts *replica.Options) (report *replica.Report, err error) {
	err = read(ctx, reference, rep, func(old, its store.Source) (err error) {
		report, err = replica.Check(ctx, old, its, opts)
		return err
	})
	return report, err
}

// read opens both databases for reading while do runs.
func read(ctx context.Context, reference, rep string, do func(old, its store.Source) error) error {
	old, err := open(ctx, reference)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	defer old.Close()
	its, err := open(ctx, rep)
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	defer its.Close()
	return do(old, its)
}

// resync has the client do what a report says, and looks on until it is done.
func (c *command) resync(ctx context.Context, r *replica.Resync) error {
	request := &replica.Request{BaseURL: c.client, Token: c.env(envToken)}
	if err := request.Resync(ctx, r); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\nThe client was asked to re-synchronize. Looking on:\n")
	return read(ctx, c.reference, c.replica, func(old, its store.Source) error {
		said := ""
		watched, err := replica.Watch(ctx, old, its, r, &replica.WatchOptions{
			Check: c.opts, Poll: c.opts.Interval / 2,
			Progress: func(r *replica.WatchReport) {
				var tables []string
				for _, t := range r.Tables {
					tables = append(tables, fmt.Sprintf("%s %s, %d of %d rows", t.Table, t.State, t.Rows, t.Expected))
				}
				if now := strings.Join(tables, "; "); now != said {
					said = now
					fmt.Fprintf(c.out, "%s  %s\n", r.Time.UTC().Format("15:04:05"), now)
				}
			},
		})
		if err == nil && !watched.Equal() {
			err = fmt.Errorf("the tables are not equal after their re-synchronization:\n%s", watched)
		}
		return err
	})
}

// database is one that is only read.
type database interface {
	store.Source
	io.Closer
}

// open opens a file of SQLite or a database of SQL Server. What is no file and looks
// like a connection string is taken for one, because its errors hold no password.
func open(ctx context.Context, name string) (database, error) {
	if _, err := os.Stat(name); err != nil && strings.ContainsAny(name, "=@") || strings.Contains(name, "://") {
		return mssql.OpenSource(ctx, name, nil)
	}
	return sqlite.OpenSource(ctx, name)
}

func readReport(path string) (*replica.Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the report before the swap: %w", err)
	}
	var r replica.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read the report before the swap: %s is no report that -json wrote: %w", path, err)
	}
	return &r, nil
}

// writeReport keeps a report, and replaces no other one.
// canWrite refuses a file that writeReport would refuse.
func canWrite(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("keep the report: %s is there already: name another file", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("keep the report: there is no directory %s", filepath.Dir(path))
	}
	return nil
}

func writeReport(path string, r *replica.Report) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.WriteJSON(f)
}
