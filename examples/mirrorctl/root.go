package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/so-mirror/mirror/examples/internal/customers"
)

// flags are those that several commands take.
type flags struct {
	source, mirror, context string
	config, stateDir        string
	output                  string
	quiet                   bool

	tables          []string
	strategy, depth string
	html            string
	confirm         string
	dryRun          bool
}

// The names of the environment. A flag goes before it, and it before the file of
// --config.
const (
	envSource  = "MIRRORCTL_SOURCE"
	envMirror  = "MIRRORCTL_MIRROR"
	envContext = "MIRRORCTL_CONTEXT"
	envConfig  = "MIRRORCTL_CONFIG"
	envState   = "MIRRORCTL_STATE_DIR"
)

// The groups of commands, in the order of --help.
const (
	groupLook   = "look"
	groupChange = "change"
	groupMany   = "many"
	groupTry    = "try"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mirrorctl",
		Short: "Find out what is wrong with a mirror of SuperOffice CRM Online, and repair it",
		Long: `Mirrorctl compares a mirror with the customer's database row by row, tells what the next
cycle brings from what no cycle repairs, and resets the tables that need it.

A database is a SQLite file, or such as sqlserver://user@host?database=name. Name them by
--source and --mirror, by ` + envSource + ` and ` + envMirror + `, or in a file with --config.
Keep passwords out of the command line, where everybody on the machine reads them.
"mirrorctl help config" and "mirrorctl help login" say more.

` + exitCodes,
		Example: `  mirrorctl demo
  mirrorctl compare --source customer.db --mirror mirror.db --context Cust10195`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVar(&a.flags.source, "source", "", "the customer's `database`, or another copy of it; only read")
	f.StringVar(&a.flags.mirror, "mirror", "", "the mirror's `database`")
	f.StringVar(&a.flags.context, "context", "", "context `identifier` of the customer, such as Cust10195")
	f.StringVar(&a.flags.config, "config", "", "YAML `file` that says where databases are")
	f.StringVar(&a.flags.stateDir, "state-dir", "", "`directory` of the journal and the receipts (default: the system's directory for state)")
	f.StringVarP(&a.flags.output, "output", "o", "text", "`format` of results: text or json")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "show no progress")
	root.AddGroup(
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupChange, Title: "Change:"},
		&cobra.Group{ID: groupMany, Title: "Many customers:"},
		&cobra.Group{ID: groupTry, Title: "Try it out:"},
	)
	root.AddCommand(a.commands()...)
	root.AddCommand(
		&cobra.Command{Use: "config", Short: "The file that says where databases are", Long: configHelp},
		&cobra.Command{Use: "login", Short: "The ways to log in to SQL Server", Long: customers.LoginHelp("mirrorctl")},
	)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.check(cmd) }
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		wrapArgs(c)
		if c.Name() == "help" {
			c.Run, c.RunE = nil, help
		}
	}
	a.completions(root)
	return root
}

// commands returns all commands, in the order of their groups.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.demoCommand(),
		a.statusCommand(),
		a.waitCommand(),
		a.healCommand(),
		a.preflightCommand(),
		a.validateCommand(),
		a.compareCommand(),
		a.recheckCommand(),
		a.planCommand(),
		a.applyCommand(),
		a.resetCommand(),
		a.hardResetCommand(),
		a.undoCommand(),
		a.reconcileCommand(),
		a.cycleCommand(),
		a.fleetCommand(),
		a.versionCommand(),
	}
}

// knownCommand refuses a word that is no command below this one.
func knownCommand(c *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	meant := ""
	if near := c.SuggestionsFor(words[0]); len(near) > 0 {
		meant = " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return usagef("unknown command %q for %q%s", words[0], c.CommandPath(), meant)
}

// help is the command, which knows a slip for what it is.
func help(c *cobra.Command, words []string) error {
	found, rest, err := c.Root().Find(words)
	if err != nil {
		return usageError{err}
	}
	if found.HasSubCommands() {
		if err := knownCommand(found, rest); err != nil {
			return err
		}
	}
	found.InitDefaultHelpFlag()
	return found.Help()
}

// wrapArgs makes what is wrong with the arguments of a command, and of those below it, an
// error of usage.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// check refuses flags that mean nothing.
func (a *app) check(cmd *cobra.Command) error {
	if a.flags.output != "text" && a.flags.output != "json" {
		return usagef("--output %q: want text or json", a.flags.output)
	}
	a.running = cmd
	a.warnOfPasswords(cmd)
	for _, name := range []string{"save", "html"} { // before hours are spent on what cannot be kept
		if f := cmd.Flags().Lookup(name); f != nil {
			if err := replaceable(f.Value.String()); err != nil {
				return fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	return a.loadConfig()
}

// json says that the result is wanted as one document.
func (a *app) json() bool { return a.flags.output == "json" }

// note writes a line for people, besides the result.
func (a *app) note(format string, args ...any) {
	if !a.flags.quiet {
		fmt.Fprintln(a.progress(), a.printable(inFlags(fmt.Sprintf(format, args...))))
	}
}

// warn writes what nobody should miss, besides the result.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintln(a.progress(), a.printable("Warning: "+inFlags(fmt.Sprintf(format, args...))))
}

// columns is the width of the terminal, or what COLUMNS says.
func (a *app) columns() int {
	var n int
	if _, err := fmt.Sscan(a.env("COLUMNS"), &n); err == nil && n >= 40 {
		return n
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width >= 40 {
		return width
	}
	return 100
}

// tableFlag adds --table, which is repeatable and takes patterns.
func (a *app) tableFlag(c *cobra.Command, what string) {
	c.Flags().StringArrayVarP(&a.flags.tables, "table", "t", nil, what+"; `name` or pattern such as 'app*', may be repeated")
}

// dryRunFlag adds --dry-run.
func (a *app) dryRunFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.flags.dryRun, "dry-run", false, "say what would be done, and do nothing")
}

// confirmFlag adds --confirm.
func (a *app) confirmFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.flags.confirm, "confirm", "", "context `identifier`, in place of typing it")
}

// example formats the lines of a command's examples.
func example(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
