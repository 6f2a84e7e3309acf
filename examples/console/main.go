// Console serves the pages of package console for the mirrors of a file, the same one that
// mirrorctl reads with --config.
//
//	go run ./examples/console demo                       # a damaged mirror, at http://127.0.0.1:8080
//	go install github.com/so-mirror/mirror/examples/console@latest
//	console --config fleet.yaml                          # for this machine alone
//	console --config fleet.yaml --listen :8443 --token-file tokens.yaml --tls-cert c.pem --tls-key k.pem
//
// It answers only this machine unless there is a login. It is built on the library's
// exported API alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/so-mirror/mirror/examples/internal/customers"
	"github.com/so-mirror/mirror/examples/internal/spelling"
)

func main() {
	// The first signal ends the program cleanly, the second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(newProgram(os.Stdout, os.Stderr, os.Getenv).run(ctx, os.Args[1:]))
}

// program is one run of the program, and what it meets outside.
type program struct {
	out, err io.Writer // where the console is, and its log
	env      func(string) string

	flags   flags
	secrets customers.Secrets // that neither may show
	log     *slog.Logger
}

// flags are what the command line says.
type flags struct {
	config      string
	listen      string
	tokenFile   string
	proxyHeader string
	trusted     []string
	cert, key   string
	secure      bool
	basePath    string
	readOnly    bool
	state       string
	keep, look  time.Duration
	concurrency int
	level       slog.Level

	cycle time.Duration // of the demo
}

func newProgram(out, errOut io.Writer, env func(string) string) *program {
	return &program{out: out, err: errOut, env: env}
}

// The exit codes.
const (
	exitDone  = 0 // stopped, or help
	exitError = 1
	exitUsage = 2 // wrong arguments, or a file with mistakes
)

// usageError says that the arguments, or files that they name, are wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// run runs the command of the arguments and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	says := spelling.Printable(p.secrets.Hide(err.Error()))
	if errors.Is(err, context.Canceled) {
		says = "interrupted: " + says
	}
	fmt.Fprintln(p.err, "console: "+says)
	if errors.As(err, &usageError{}) || errors.As(err, &customers.Mistake{}) {
		fmt.Fprintln(p.err, "Run it with --help to see how it is used.")
		return exitUsage
	}
	return exitError
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "console",
		Short: "Serve pages that show mirrors of SuperOffice CRM Online, and repair them",
		Long: `Console serves pages that compare mirrors with the customers' databases, show what differs,
and reset what has to be. Which mirrors says the file of --config, the same that mirrorctl
reads: "console help config" says what stands in it, "console help login" how one logs in to
SQL Server.

It listens on this machine alone, and asks nobody who they are, unless there is a login:
--token-file, or --proxy-header with --proxy-trusted where a proxy logs people in. Only with
one of them can it listen to other machines. A file of tokens is

  ada: 0c6f...   # made by: openssl rand -hex 24
  grace: 51d8...

and nobody else may read it: chmod 600. What is found out and done is kept in the file of
--state. A signal stops it: what is being compared goes on where it was at the next start.`,
		Example: `  console demo
  console --config fleet.yaml
  console --config fleet.yaml --listen :8443 --token-file tokens.yaml --tls-cert c.pem --tls-key k.pem
  console --config fleet.yaml --proxy-header X-Forwarded-User --proxy-trusted 127.0.0.1 --secure`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageOf(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return p.serveFile(cmd.Context()) },

		PersistentPreRun: func(*cobra.Command, []string) { p.log = p.logger() },
	}
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.Flags().StringVar(&p.flags.config, "config", "", "YAML `file` that says where databases are")
	p.serveFlags(root)
	root.AddCommand(p.demoCommand(),
		&cobra.Command{Use: "config", Short: "The file that says where databases are", Long: customers.Help},
		&cobra.Command{Use: "login", Short: "The ways to log in to SQL Server", Long: customers.LoginHelp("console")},
	)
	return root
}

// serveFlags are those of both commands.
func (p *program) serveFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&p.flags.listen, "listen", net.JoinHostPort("127.0.0.1", "8080"), "`address` to listen on; one that other machines reach needs a login")
	f.StringVar(&p.flags.tokenFile, "token-file", "", "`file` with the tokens by which people log in")
	f.StringVar(&p.flags.proxyHeader, "proxy-header", "", "`header` in which a proxy says who somebody is; it must remove it from what it is sent")
	f.StringSliceVar(&p.flags.trusted, "proxy-trusted", nil, "`addresses` of that proxy, such as 10.0.0.5 or 10.0.0.0/24")
	f.StringVar(&p.flags.cert, "tls-cert", "", "`file` with the certificate, and those up to the root, to serve by TLS")
	f.StringVar(&p.flags.key, "tls-key", "", "`file` with the key of the certificate")
	f.BoolVar(&p.flags.secure, "secure", false, "send cookies by TLS alone, where a proxy ends TLS before the console")
	f.StringVar(&p.flags.basePath, "base-path", "/", "`path` that the pages are below, such as /mirrors")
	f.BoolVar(&p.flags.readOnly, "read-only", false, "have no page that changes a mirror")
	f.StringVar(&p.flags.state, "state", "", "SQLite `file` of jobs, reports and the journal (default: mirror-console/console.db in the system's directory for state)")
	f.DurationVar(&p.flags.keep, "keep", 0, "how long finished jobs are kept (default 2160h, 90 days)")
	f.DurationVar(&p.flags.look, "look", 0, "time between two looks at each mirror; a negative one looks only when asked (default 5m)")
	f.IntVar(&p.flags.concurrency, "concurrency", 0, "`number` of comparisons that run at once (default: what the file says, or 4)")
	f.TextVar(&p.flags.level, "log-level", slog.LevelInfo, "`level` from which on is logged: debug, info, warn or error")
}

// usageOf makes what is wrong with arguments an error of usage.
func usageOf(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
