package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror/examples/internal/demo"
	"github.com/so-mirror/mirror/store/cycle"
)

// demonstration is a walk through the commands, on a mirror that is made for it.
type demonstration struct {
	*app
	dir   string
	pause bool // for Enter before each command
	live  *cycle.Customer
}

func (a *app) demoCommand() *cobra.Command {
	var keep string
	var pause bool
	c := &cobra.Command{
		Use:     "demo",
		GroupID: groupTry,
		Short:   "Make a damaged mirror, and walk through what one does about it",
		Long: `Demo makes a customer's database and its mirror in a temporary directory, damages the mirror,
and runs on it what an operator would: status, compare, plan, apply, cycle. It takes seconds,
needs no server, and leaves nothing behind; --keep leaves the damaged files to try it oneself.`,
		Example: example("mirrorctl demo", "mirrorctl demo --keep /tmp/mirror-demo"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json() {
				return usagef("demo is for people to read: each command that it shows takes -o json")
			}
			d := &demonstration{app: a, pause: pause && a.inTerm}
			return d.run(cmd.Context(), keep)
		},
	}
	c.Flags().StringVar(&keep, "keep", "", "make the damaged files in this new `directory`, and leave them there")
	c.Flags().BoolVar(&pause, "pause", false, "on a terminal, wait for Enter before each command")
	return c
}

// run makes the directory, works in it, so that names of files are short, and goes back.
func (d *demonstration) run(ctx context.Context, keep string) (err error) {
	d.dir = keep
	if keep != "" {
		err = os.Mkdir(keep, 0o777)
		if errors.Is(err, fs.ErrExist) {
			return refusef("%s is there already: --keep makes a new directory", keep)
		}
	} else if d.dir, err = os.MkdirTemp("", "mirrorctl-demo-"); err == nil {
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	if err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	w, err := demo.New(ctx, d.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if keep != "" {
		return d.leave()
	}
	back, err := os.Getwd()
	if err == nil {
		err = os.Chdir(d.dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(os.Chdir(back), err) }()
	d.live = w.Customer
	return d.walk(ctx)
}

// step is a command of the walk, with what is said before it.
type step struct {
	says string
	args []string
	code int // that it must end with
}

var walk = []step{
	{"The mirror's own database looks healthy: every table has an LSN, so each cycle sends its changes.",
		[]string{"status"}, exitDone},
	{"Compared with the customer's database, row by row, it is not. What the next cycle brings is no fault; what no cycle brings is.",
		[]string{"compare"}, exitDiffers},
	{"The plan is the smallest set of resets that repairs it. Tables that only wait are not in it.",
		[]string{"plan"}, exitDiffers},
	{"Apply sets their LSN to -1. The receipt tells what was there before, and mirrorctl undo takes it back until the next cycle.",
		[]string{"apply", "--confirm", demo.Context}, exitDone},
	{"The next cycle of the Mirroring Task wipes and populates these tables. Here it is simulated; on a server one waits for it: mirrorctl wait.",
		[]string{"cycle"}, exitDone},
	{"And once more:", []string{"compare"}, exitDone},
}

func (d *demonstration) walk(ctx context.Context) error {
	p := d.page()
	p.heading("A customer's database and its mirror, on which somebody lost and changed rows")
	p.line("All commands find them by what is set here:")
	p.WriteString("\n")
	for _, v := range d.environ() {
		p.WriteString(p.paint(head, "$ export "+v[0]+"="+v[1]) + "\n")
	}
	if d.pause {
		p.WriteString("\n")
		p.line("Enter runs the command that is shown.")
	}
	if err := d.print(p); err != nil {
		return err
	}
	for _, s := range walk {
		if err := d.step(ctx, s); err != nil {
			return err
		}
	}
	p = d.page()
	p.WriteString("\n")
	p.wrap(head, "", "Where to go next")
	p.line("mirrorctl demo --keep DIR    leaves a damaged mirror to try this on")
	p.line("mirrorctl --help             all commands; each has a --help with examples")
	p.line("mirrorctl preflight          what your logins need on your own servers")
	return d.print(p)
}

func (d *demonstration) environ() [][2]string {
	return [][2]string{{envSource, "customer.db"}, {envMirror, "mirror.db"}, {envContext, demo.Context}}
}

// step says what is done and why, and does it.
func (d *demonstration) step(ctx context.Context, s step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := d.page()
	p.WriteString("\n")
	p.line("%s", s.says)
	p.WriteString("\n" + p.paint(head, "$ mirrorctl "+strings.Join(s.args, " ")))
	if !d.pause {
		p.WriteString("\n")
	}
	if err := d.print(p); err != nil {
		return err
	}
	if d.pause {
		if _, err := d.ask(ctx, ""); err != nil {
			return err
		}
	}
	code := d.nested().run(ctx, s.args)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if code != s.code {
		return fmt.Errorf("mirrorctl %s ended with exit code %d, not %d: report it, it is a fault of the demo", s.args[0], code, s.code)
	}
	p = d.page()
	if code != exitDone {
		p.WriteString(p.paint(dim, fmt.Sprintf("(exit code %d)", code)) + "\n")
	}
	return d.print(p)
}

func (d *demonstration) print(p *page) error {
	_, err := io.WriteString(d.out, p.String())
	return err
}

// nested is a run of the program inside of this one, with the same writers.
func (d *demonstration) nested() *app {
	set := map[string]string{envState: "state", envConfig: ""}
	for _, v := range d.environ() {
		set[v[0]] = v[1]
	}
	return &app{
		in: strings.NewReader(""), out: d.out, err: d.err, clock: d.clock, live: d.live,
		outTerm: d.outTerm, errTerm: d.errTerm, width: d.width,
		env: func(name string) string {
			if v, ok := set[name]; ok {
				return v
			}
			return d.env(name)
		},
	}
}

// leave says what to do with the files that are kept.
func (d *demonstration) leave() error {
	p := d.page()
	p.heading("A customer's database and its damaged mirror are in %s", d.dir)
	p.line("Files track no changes between programs: what mirrorctl demo shows as proven is not known yet here (exit code 5), until cycles have been.")
	p.WriteString("\n" + p.paint(head, "$ cd "+quoted(d.dir)) + "\n")
	for _, v := range d.environ() {
		p.WriteString(p.paint(head, "$ export "+v[0]+"="+v[1]) + "\n")
	}
	p.WriteString("\n")
	p.WriteString(p.paint(head, "$ mirrorctl compare") + "\n\n")
	p.line("It says what to run next, and so do the commands after it. A cycle is told what the customer worked on,")
	p.WriteString("\n" + p.paint(head, "$ mirrorctl cycle --table document") + "\n\n")
	p.line("and it takes three of them, each with a recheck after it, until it is known what no cycle brings.")
	p.line("Or heal it, with a cycle played in another terminal whenever it waits for one; wait takes these flags, too:")
	p.WriteString("\n" + p.paint(head, "$ mirrorctl heal --every 5s --late 5s --night none") + "\n")
	return d.print(p)
}
