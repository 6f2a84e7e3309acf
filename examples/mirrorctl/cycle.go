package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

func (a *app) cycleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "cycle",
		GroupID: groupTry,
		Short:   "Play one cycle of the Mirroring Task on two files",
		Long: `Cycle does to a mirror what the vendor's Mirroring Task does every 20 minutes, so that a
procedure can be tried out on SQLite files: it populates the tables whose LSN is -1 and
creates those that are missing. It is a simulation and writes to the mirror's file; a
server's mirror gets its cycles from the vendor.

A file tracks no changes. So the cycle takes it that the customer has worked on the tables
of --table, and sends all of their rows; without it, on one row of the smallest table, whose
LSN then tells that a cycle has been. --dry-run plays it on a copy of the mirror.`,
		Example: example("mirrorctl cycle --source customer.db --mirror mirror.db --context Cust10195",
			"mirrorctl cycle --source customer.db --mirror mirror.db --context Cust10195 --table contact"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.cycle(cmd.Context()) },
	}
	a.tableFlag(c, "what the customer has worked on since the last cycle")
	a.dryRunFlag(c)
	return c
}

func (a *app) cycle(ctx context.Context) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	if p.Source.IsURL() || p.Mirror.IsURL() {
		return usagef("cycle is a simulation for SQLite files. The mirror of a server gets its cycles from the vendor's Mirroring Task: see how far it is with mirrorctl status, or mirrorctl wait")
	}
	if sameFile(p.Source.Where, p.Mirror.Where) {
		return fmt.Errorf("--source and --mirror are the same file: %w", mirror.ErrWrongDatabase)
	}
	return a.with(ctx, need{source: true}, func(t *target) error {
		s, err := t.m.Status(ctx)
		if err == nil {
			err = s.Err()
		}
		if err != nil {
			return err
		}
		customer, live := t.source.(*cycle.Customer)
		sign := ""
		if !live {
			if customer, sign, err = a.customer(ctx, t, s); err != nil {
				return err
			}
		}
		played := t.store
		if a.flags.dryRun {
			dir, err := os.MkdirTemp("", "mirrorctl-cycle-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			file, err := copyOf(ctx, t.store, dir)
			if err != nil {
				return fmt.Errorf("copy the mirror: %w", err)
			}
			defer file.Close()
			played = file
		}
		result, err := (&cycle.Task{Customer: customer, Mirror: played}).Run(ctx)
		if err != nil {
			return err
		}
		d := cycleOf(result)
		d.DryRun = a.flags.dryRun
		return a.show(jsonOf(d), func(p *page) {
			if d.DryRun {
				p.line("Dry run: this is what a cycle would do, and the mirror was not changed.")
			}
			p.cycle(result, sign)
		})
	})
}

// copyOf copies a mirror into a file of a directory.
func copyOf(ctx context.Context, s store.Store, dir string) (*sqlite.Store, error) {
	file, ok := s.(*sqlite.Store)
	if !ok {
		return nil, fmt.Errorf("%T is no SQLite file", s)
	}
	path := filepath.Join(dir, "mirror.db")
	if _, err := file.DB().ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, path)
}

// sameFile reports whether two names are of one file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}

// customer returns a customer whose database is where the mirror is, and has changed
// since. Sign is the table of which one row is sent so that something moves.
func (a *app) customer(ctx context.Context, t *target, s *mirror.Status) (_ *cycle.Customer, sign string, err error) {
	tables, err := t.source.Tables(ctx)
	if err != nil {
		return nil, "", err
	}
	c := cycle.NewCustomer(t.context, frozen{t.source.(*sqlite.Source)})
	var names []string
	for _, table := range tables {
		names = append(names, table.Name)
	}
	worked, err := chosen(a.flags.tables, names)
	if err != nil {
		return nil, "", err
	}
	rows := -1
	if len(a.flags.tables) == 0 {
		if sign = smallest(s, tables); sign == "" {
			worked = nil
		} else {
			worked, rows = []string{sign}, 1
		}
	}
	for _, table := range s.Tables {
		if table.LSN != nil {
			c.Advance(int64(*table.LSN))
		}
	}
	for _, table := range tables {
		if len(table.Key) > 0 && slices.Contains(worked, table.Name) {
			keys, err := keysOf(ctx, t.source, table, rows)
			if err != nil {
				return nil, "", err
			}
			c.Touch(table, keys...)
		}
	}
	return c, sign, nil
}

// smallest returns the customer's table that has the fewest rows of those that a cycle
// sends changes of, "" for none.
func smallest(s *mirror.Status, tables []store.Table) string {
	var best *mirror.TableStatus
	name := ""
	for i := range s.Tables {
		t := &s.Tables[i]
		at := slices.IndexFunc(tables, func(c store.Table) bool {
			return len(c.Key) > 0 && store.FoldName(c.Name) == store.FoldName(t.Table)
		})
		if at >= 0 && t.State == mirror.TableSynced && t.Rows > 0 && (best == nil || t.Rows < best.Rows) {
			best, name = t, tables[at].Name
		}
	}
	return name
}

// keysOf returns the first keys of a table, all with a negative number.
func keysOf(ctx context.Context, s store.Source, t store.Table, most int) (keys []store.Row, err error) {
	for batch, err := range s.Rows(ctx, store.Query{Table: t, Columns: t.Key, Key: t.Key}) {
		if err != nil {
			return nil, err
		}
		for _, row := range batch {
			if len(keys) == most {
				return keys, nil
			}
			keys = append(keys, row.Clone())
		}
	}
	return keys, nil
}

// frozen is the customer's database, which a cycle only reads.
type frozen struct{ *sqlite.Source }

// Update implements store.Store.
func (frozen) Update(context.Context, func(store.Tx) error) error {
	return fmt.Errorf("the customer's database is only read")
}

// cycleDocument is what a cycle did, as JSON.
type cycleDocument struct {
	ContextID string       `json:"contextId"`
	DryRun    bool         `json:"dryRun,omitempty"`
	Inserted  int64        `json:"inserted"`
	Updated   int64        `json:"updated"`
	Deleted   int64        `json:"deleted"`
	Tables    []cycleTable `json:"tables"`
}

type cycleTable struct {
	Table    string    `json:"table"`
	Action   string    `json:"action"`
	Reason   string    `json:"reason,omitempty"`
	Inserted int64     `json:"inserted"`
	Updated  int64     `json:"updated"`
	Deleted  int64     `json:"deleted"`
	LSN      store.LSN `json:"lsn"`
}

func cycleOf(r *cycle.Result) cycleDocument {
	d := cycleDocument{ContextID: r.ContextID, Tables: []cycleTable{}}
	d.Inserted, d.Updated, d.Deleted = r.Totals()
	for _, t := range r.Tables {
		d.Tables = append(d.Tables, cycleTable{t.Table, string(t.Action), t.Reason, t.Inserted, t.Updated, t.Deleted, t.After})
	}
	return d
}

func (p *page) cycle(r *cycle.Result, sign string) {
	p.heading("Cycle of the Mirroring Task of %s", r.ContextID)
	var rows []row
	quiet := 0
	for _, t := range r.Tables {
		if t.Action == cycle.Unchanged {
			quiet++
			continue
		}
		line := row{cells: []cell{plain(t.Table), plain(string(t.Action)),
			plain(count(t.Inserted)), plain(count(t.Updated)), plain(count(t.Deleted)), plain(store.FormatLSN(&t.After))}}
		switch {
		case t.Reason != "":
			line.notes = append(line.notes, t.Reason)
		case t.Table == sign:
			line.notes = append(line.notes, "sent as a sign that a cycle has been")
		}
		rows = append(rows, line)
	}
	if rows != nil {
		p.grid([]column{{title: "TABLE"}, {title: "ACTION"}, {title: "INSERTED", number: true},
			{title: "UPDATED", number: true}, {title: "DELETED", number: true}, {title: "LSN", number: true}}, rows)
	}
	if quiet > 0 {
		p.line("%s had nothing to send.", plural(quiet, "table"))
	}
}
