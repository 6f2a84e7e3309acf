package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
)

func (a *app) preflightCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "preflight",
		GroupID: groupLook,
		Short:   "Say what the logins may not do, and which statement allows it",
		Long: `Preflight asks the databases of --mirror and --source what their logins may do, and lists what
is lacking for which command, with the statement that an administrator runs. It changes
nothing. Of a SQLite file it says whether this user may read it and, as a mirror, write it.

Exit code 6 says that something is lacking.`,
		Example: example("mirrorctl preflight --mirror mirror.db --source customer.db", "mirrorctl preflight --mirror mirror.db -o json"),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.preflight(cmd.Context()) },
	}
}

// preflightDocument says what the logins lack.
type preflightDocument struct {
	Sides []preflightSide `json:"sides"`
}

type preflightSide struct {
	Side     string         `json:"side"`     // mirror or source
	Database string         `json:"database"` // as it was named, without a password
	Lacks    []preflightGap `json:"lacks"`
}

// preflightGap is something that a login may not do.
type preflightGap struct {
	Permission string   `json:"permission"`
	On         string   `json:"on"`
	Do         string   `json:"do"` // the statement that allows it
	For        []string `json:"for"`
}

func (a *app) preflight(ctx context.Context) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	if p.Mirror.Where == "" && p.Source.Where == "" {
		return usagef("which databases? Name them by --mirror and --source, or by %s and %s", envMirror, envSource)
	}
	var d preflightDocument
	for _, side := range []struct {
		name string
		customers.Database
	}{{"mirror", p.Mirror}, {"source", p.Source}} {
		if side.Where == "" {
			continue
		}
		gaps, err := a.gaps(ctx, side.name, side.Database)
		if err != nil {
			return fmt.Errorf("%s: %w", side.name, err)
		}
		d.Sides = append(d.Sides, preflightSide{side.name, a.printable(side.Where), gaps})
	}
	if err := a.show(jsonOf(d), func(p *page) { p.preflight(d) }); err != nil {
		return err
	}
	return d.verdict()
}

// verdict is how the command ends.
func (d preflightDocument) verdict() error {
	if slices.ContainsFunc(d.Sides, func(s preflightSide) bool { return len(s.Lacks) > 0 }) {
		return verdict(exitRefused)
	}
	return nil
}

// gaps opens one side and asks it.
func (a *app) gaps(ctx context.Context, side string, where customers.Database) (_ []preflightGap, err error) {
	var t target
	defer func() { err = errors.Join(err, t.Close()) }()
	src, err := a.openSource(ctx, &t, where)
	if denied(err) && !where.IsURL() {
		return []preflightGap{{"read", where.Where, "let this user read the file", []string{"everything"}}}, nil
	}
	if err != nil {
		return nil, err
	}
	if asked, ok := src.(interface {
		Preflight(context.Context) ([]mssql.Lack, error)
	}); ok {
		lacks, err := asked.Preflight(ctx)
		return gapsOf(lacks, side), err
	}
	if _, err := src.Tables(ctx); err != nil {
		return nil, err
	}
	if side == "source" {
		return []preflightGap{}, nil
	}
	st, err := a.openMirror(ctx, &t, where)
	if err == nil {
		err = st.Update(ctx, func(store.Tx) error { return nil })
	}
	if denied(err) {
		return []preflightGap{{"write", where.Where, "let this user write the file, and to its directory", sqliteChanges}}, nil
	}
	return []preflightGap{}, err
}

func denied(err error) bool { return errors.Is(err, store.ErrPermission) }

// sqliteChanges are the commands that write to a mirror.
var sqliteChanges = []string{"apply", "reset", "hard-reset", "undo", "heal"}

// needed says which commands an operation of the library is for, on either side.
var needed = []struct {
	operation string
	source    []string
	mirror    []string
}{
	{"Status", nil, []string{"status", "wait"}},
	{"Compare", []string{"compare", "recheck", "plan", "heal"}, []string{"compare", "recheck", "plan", "heal"}},
	{"ResetTables", nil, []string{"apply", "reset", "heal"}},
	{"ResetTables with Truncate", nil, []string{"apply and heal of large tables", "reset that truncates"}},
	{"HardReset", nil, []string{"hard-reset of the whole mirror"}},
	{"HardReset of Tables", nil, []string{"hard-reset of tables"}},
	{"HardReset with DropData", nil, []string{"hard-reset that drops"}},
	{"Undo of ResetTables", nil, []string{"undo of a reset"}},
	{"Undo of HardReset of Tables", nil, []string{"undo of a hard-reset of tables"}},
	{"Undo of HardReset", nil, []string{"undo of a hard-reset"}},
	{"change tracking", []string{"compare, to tell what the next cycle brings"}, nil},
}

// gapsOf gathers what one statement allows: several operations can need it.
func gapsOf(lacks []mssql.Lack, side string) []preflightGap {
	gaps := []preflightGap{}
	for _, l := range lacks {
		uses := []string{l.Operation} // one that is newer than this program
		for _, n := range needed {
			if n.operation == l.Operation {
				uses = n.mirror
				if side == "source" {
					uses = n.source
				}
			}
		}
		if uses == nil {
			continue
		}
		at := slices.IndexFunc(gaps, func(g preflightGap) bool { return g.Do == l.Grant })
		if at < 0 {
			at = len(gaps)
			gaps = append(gaps, preflightGap{Permission: l.Permission, On: l.On, Do: l.Grant})
		}
		for _, use := range uses {
			if !slices.Contains(gaps[at].For, use) {
				gaps[at].For = append(gaps[at].For, use)
			}
		}
	}
	return gaps
}

func (p *page) preflight(d preflightDocument) {
	for _, s := range d.Sides {
		p.heading("%s: %s", strings.ToUpper(s.Side[:1])+s.Side[1:], s.Database)
		if len(s.Lacks) == 0 {
			p.line("Nothing is lacking.")
		}
		for _, g := range s.Lacks {
			p.line("%s on %s is lacking, for %s:", g.Permission, g.On, strings.Join(g.For, ", "))
			p.note("%s", g.Do)
		}
	}
}
