package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/sqlite"
)

var update = flag.Bool("update", false, "write what the scripts expect anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mirrorctl": main})
}

// TestScripts runs testdata/script: each is a story of commands, their output and their
// exit codes. The command "exits CODE mirrorctl ..." runs one that must end with a code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("COLUMNS", "80")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "world": world, "customer": customer, "sql": statement, "replicas": replicas,
			"looks": looks, "forget": forget, "unmark": unmark,
		},
	})
}

// exits runs a program that must end with an exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok { //nolint:errorlint // testscript returns it as it is
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

// world makes customer.db and mirror.db of the customer Cust1, after a cycle, and damages
// the mirror in the ways that are named: lost, old, extra, reset, expired.
func world(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: world [DAMAGE ...]")
	}
	ts.Check(makeWorld(context.Background(), ts.MkAbs("."), args))
}

// smallWorld are the files of a world, which is made once.
var smallWorld = sync.OnceValues(func() (files map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "mirrorctl")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := makeWorldOf(context.Background(), dir, 60); err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for _, name := range []string{"customer.db", "mirror.db"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

func makeWorld(ctx context.Context, dir string, damages []string) error {
	files, err := smallWorld()
	if err != nil {
		return err
	}
	for _, name := range []string{"customer.db", "mirror.db", "old.db", "new.db"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if files[name] == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o600); err != nil {
			return err
		}
	}
	mirrored, err := sqlite.Open(ctx, filepath.Join(dir, "mirror.db"))
	if err != nil {
		return err
	}
	defer mirrored.Close()
	for _, d := range damages {
		if err := damage(ctx, mirrored, d); err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
	}
	return nil
}

// makeWorldOf makes one with so many contacts, and 6.5 times as many rows besides.
func makeWorldOf(ctx context.Context, dir string, contacts int) error {
	source, err := sqlite.Create(ctx, filepath.Join(dir, "customer.db"))
	if err != nil {
		return err
	}
	defer source.Close()
	mirrored, err := sqlite.Create(ctx, filepath.Join(dir, "mirror.db"))
	if err != nil {
		return err
	}
	defer mirrored.Close()
	for _, t := range []string{"contact", "person", "appointment", "traveltransactionlog"} {
		if err := crm.Load(ctx, source, crm.Options{Contacts: contacts}, t); err != nil {
			return err
		}
	}
	task := &cycle.Task{Customer: cycle.NewCustomer("Cust1", source), Mirror: mirrored}
	_, err = task.Run(ctx)
	return err
}

func damage(ctx context.Context, s store.Store, what string) error {
	tables, err := s.Tables(ctx)
	if err != nil {
		return err
	}
	find := func(name string) store.Table {
		for _, t := range tables {
			if t.Name == name {
				return t
			}
		}
		panic("no table " + name)
	}
	cells := func(name string, v any) []store.Cell { return []store.Cell{{Column: name, Value: v}} }
	return s.Update(ctx, func(tx store.Tx) error {
		var done int64
		var err error
		switch what {
		case "lost":
			done, err = tx.Delete(ctx, find("contact"), cells("contact_id", int64(7)))
		case "old":
			done, err = tx.Set(ctx, find("person"), cells("person_id", int64(5)), cells("lastname", "Old"))
		case "reset":
			done, err = tx.Set(ctx, find("Cust1_mirroring"), cells("tablename", "contact"), cells("LSN", int64(-1)))
		case "ahead":
			done, err = tx.Set(ctx, find("Cust1_mirroring"), cells("tablename", "contact"), cells("LSN", int64(999999)))
		default:
			return fmt.Errorf("unknown damage %q", what)
		}
		if err == nil && done != 1 {
			err = fmt.Errorf("%d rows were changed, not 1", done)
		}
		return err
	})
}

// statement runs a statement on the database of a file, to damage it in a way of its own.
// \n in it is a line break.
func statement(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	s, err := sqlite.Open(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer s.Close()
	_, err = s.DB().Exec(strings.ReplaceAll(args[1], `\n`, "\n"))
	ts.Check(err)
}

// replicas makes customer.db, and of it the old mirror old.db and the replica new.db, and
// damages the replica in the ways that are named: lost, dropped.
func replicas(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: replicas [DAMAGE ...]")
	}
	ctx, dir := context.Background(), ts.MkAbs(".")
	ts.Check(makeWorld(ctx, dir, nil))
	ts.Check(os.Rename(filepath.Join(dir, "mirror.db"), filepath.Join(dir, "old.db")))
	ts.Check(makeReplica(ctx, dir, args))
}

func makeReplica(ctx context.Context, dir string, damages []string) error {
	source, err := sqlite.Open(ctx, filepath.Join(dir, "customer.db"))
	if err != nil {
		return err
	}
	defer source.Close()
	its, err := sqlite.Create(ctx, filepath.Join(dir, "new.db"))
	if err != nil {
		return err
	}
	defer its.Close()
	client := cycle.NewReplica(cycle.NewCustomer("Cust1", source), its, nil)
	if err := client.Provision(ctx); err != nil {
		return err
	}
	if err := client.CatchUp(ctx); err != nil {
		return err
	}
	for _, d := range damages {
		err := its.Update(ctx, func(tx store.Tx) error {
			contact, _ := client.Table("contact")
			person, _ := client.Table("person")
			switch d {
			case "lost":
				_, err := tx.Delete(ctx, contact, []store.Cell{{Column: contact.Key[0], Value: int64(7)}})
				return err
			case "dropped":
				return tx.Drop(ctx, person)
			default:
				return fmt.Errorf("unknown damage %q", d)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
