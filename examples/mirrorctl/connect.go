package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/mssql"
	"github.com/so-mirror/mirror/store/sqlite"
)

// place is where one customer's databases are, and what a file says besides.
type place struct {
	context                    string
	source, mirror             string
	sourceSchema, mirrorSchema string
	member                     bool                  // of a fleet that is looked at
	names                      mirror.Options        // of the metadata table and its columns
	compare                    mirror.CompareOptions // what is particular to the customer
}

// place returns what the flags, the environment, and the file say, in this order.
func (a *app) place() (place, error) {
	p := place{
		context: cmp.Or(a.flags.context, a.env(envContext)),
		source:  cmp.Or(a.flags.source, a.env(envSource)),
		mirror:  cmp.Or(a.flags.mirror, a.env(envMirror)),
	}
	if a.config == nil || a.flags.config == "" && a.config.fleet && p.context == "" && p.mirror != "" {
		return p, nil
	}
	e, err := a.config.pick(p.context)
	if err != nil {
		return p, err
	}
	return a.placeOf(a.config, e, p)
}

// need is what a command works on.
type need struct {
	source    bool // the customer's database
	change    bool // the mirror is written to
	reconcile bool // whether changes were interrupted is what is asked
}

// target is one customer's databases, open.
type target struct {
	context string
	m       *mirror.Mirror
	store   store.Store
	source  store.Source
	place   place // its compare is for a command to add to

	closers
}

// closers close what was opened.
type closers []func() error

// Close closes all of it.
func (all closers) Close() (err error) {
	for _, c := range all {
		err = errors.Join(err, c())
	}
	return err
}

// with opens what a command needs, runs it, and closes that again.
func (a *app) with(ctx context.Context, n need, run func(t *target) error) (err error) {
	p, err := a.place()
	if err != nil {
		return err
	}
	t, err := a.open(ctx, p, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	defer a.progress().end()
	return run(t)
}

// open opens the databases of one customer.
func (a *app) open(ctx context.Context, p place, n need) (*target, error) {
	switch {
	case p.mirror == "":
		return nil, usagef("which mirror? Name its database by --mirror or %s", envMirror)
	case n.source && p.source == "":
		return nil, usagef("compare with what? Name the customer's database by --source or %s", envSource)
	case n.change && p.context == "":
		return nil, usagef("a command that changes a mirror wants to be told whose it is: --context or %s", envContext)
	}
	t := &target{context: p.context, place: p}
	if err := a.fill(ctx, t, p, n); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// fill opens what is needed of a target; it is the caller's to close, whatever fails.
func (a *app) fill(ctx context.Context, t *target, p place, n need) (err error) {
	if t.store, err = a.openMirror(ctx, t, p.mirror); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	if n.source {
		if t.source, err = a.openSource(ctx, t, p.source); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if t.context == "" {
		if t.context, err = contextOf(ctx, t.store); err != nil {
			return err
		}
	}
	opts := &p.names
	opts.Clock = a.clock
	if n.source && !a.flags.quiet { // it costs a count of each table's rows
		opts.Progress = a.comparing()
		if p.member {
			opts.Progress = a.comparingMember(p.context)
		}
	}
	if err := a.record(ctx, t, n, opts); err != nil {
		return err
	}
	t.m, err = mirror.New(t.context, t.store, opts)
	return err
}

func (a *app) openMirror(ctx context.Context, t *target, where string) (store.Store, error) {
	a.keepSecret(where)
	schema := t.place.mirrorSchema
	if isURL(where) {
		return sqlServer(ctx, t, where, &mssql.Options{Schema: schema})
	}
	if err := checkFile(where, schema); err != nil {
		return nil, err
	}
	return opened(t, func() (*sqlite.Store, error) { return sqlite.Open(ctx, where) })
}

func (a *app) openSource(ctx context.Context, t *target, where string) (store.Source, error) {
	if a.live != nil {
		return a.live, nil
	}
	a.keepSecret(where)
	schema := t.place.sourceSchema
	if isURL(where) {
		s, err := sqlServer(ctx, t, where, &mssql.Options{Schema: schema})
		if err != nil {
			return nil, err
		}
		return &s.Source, nil // which cannot be written to
	}
	if err := checkFile(where, schema); err != nil {
		return nil, err
	}
	return opened(t, func() (*sqlite.Source, error) { return sqlite.OpenSource(ctx, where) })
}

// checkFile refuses what cannot be the name of a SQLite file.
func checkFile(where, schema string) error {
	switch {
	case len(secretsOf(where)) > 0:
		return errNoURL
	case schema != "":
		return usagef("a SQLite file has no schema %s", schema)
	default:
		return nil
	}
}

// errNoURL says how a connection string is written. Its text may be a password.
var errNoURL = usagef("with a password in it this is no file, and no URL: write it such as sqlserver://user:password@host?database=name")

// opened opens a database that the target closes.
func opened[D interface{ Close() error }](t *target, open func() (D, error)) (D, error) {
	d, err := open()
	if err == nil {
		t.closers = append(t.closers, d.Close)
	}
	return d, err
}

// isURL tells a connection string from the name of a file.
func isURL(where string) bool { return strings.Contains(where, "://") }

// metadataSuffix ends the name of a mirror's metadata table.
const metadataSuffix = "_mirroring"

// contextOf returns whose mirror a database holds, if that is one customer's.
func contextOf(ctx context.Context, s store.Store) (string, error) {
	tables, err := s.Tables(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range tables {
		if id, ok := ownerOf(t.Name); ok {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", usagef("whose mirror is this? It has no table such as Cust10195%s yet: name the customer by --context", metadataSuffix)
	case 1:
		return found[0], nil
	default:
		return "", usagef("whose mirror is meant? This database has those of %s: name one by --context", strings.Join(found, ", "))
	}
}

// keepSecret remembers the password of a connection string, so that no message shows it.
func (a *app) keepSecret(where string) {
	a.keep(secretsOf(where)...)
}

func (a *app) keep(secrets ...string) {
	a.secretsLock.Lock()
	defer a.secretsLock.Unlock()
	for _, s := range secrets {
		if !slices.Contains(a.secrets, s) {
			a.secrets = append(a.secrets, s)
		}
	}
}

// secretsOf returns what must not be seen of a connection string, as it is written and as
// it is meant.
func secretsOf(where string) (secrets []string) {
	if !isURL(where) {
		return secretsOfNoURL(where)
	}
	if _, rest, ok := strings.Cut(where, "://"); ok {
		if i := strings.LastIndex(rest, "@"); i >= 0 {
			if _, password, ok := strings.Cut(rest[:i], ":"); ok && password != "" {
				secrets = append(secrets, password)
				if plain, err := url.PathUnescape(password); err == nil && plain != password {
					secrets = append(secrets, plain)
				}
			}
		}
	}
	_, query, _ := strings.Cut(where, "?")
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		if isSecret.MatchString(name) && value != "" {
			secrets = append(secrets, value)
			if plain, err := url.QueryUnescape(value); err == nil && plain != value {
				secrets = append(secrets, plain)
			}
		}
	}
	return secrets
}

// secretsOfNoURL are those of what is no URL, though it was meant as a connection string:
// as ADO or ODBC write it, or with a slip in it.
func secretsOfNoURL(where string) (secrets []string) {
	for _, m := range settingOfADO.FindAllStringSubmatch(where, -1) {
		if value := strings.TrimSpace(m[2]); isSecret.MatchString(strings.TrimSpace(m[1])) && value != "" {
			secrets = append(secrets, value)
		}
	}
	if m := slippedURL.FindStringSubmatch(where); m != nil {
		secrets = append(secrets, m[1])
	}
	return secrets
}

var (
	settingOfADO = regexp.MustCompile(`([^;:?&={}]+)=\s*(\{[^}]*\}|"[^"]*"|'[^']*'|[^;]*)`)
	slippedURL   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:[^@]*?:(.+)@`)
)

var isSecret = regexp.MustCompile(`(?i)^(password|pwd|.*secret|.*token|.*assertion)$`)

// warnOfPasswords says of a flag that holds a password which way is better.
func (a *app) warnOfPasswords(cmd *cobra.Command) {
	better := map[string]string{
		"source": envSource + ", or in a file with --config", "mirror": envMirror + ", or in a file with --config",
		"reference": envReference, "replica": envReplica,
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if where := f.Value.String(); better[f.Name] != "" && len(secretsOf(where)) > 0 {
			a.keepSecret(where)
			fmt.Fprintf(a.err, "Warning: the password in --%s can be read by everybody on this machine. Put the URL in %s.\n", f.Name, better[f.Name])
		}
	})
}

// printable is a text as a terminal may get it: without passwords, and with everything
// that steers a terminal spelled out.
func (a *app) printable(s string) string {
	a.secretsLock.RLock()
	defer a.secretsLock.RUnlock()
	for _, secret := range a.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return printable(s)
}

func printable(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if steers(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// steers reports whether a terminal does something else with a character than to show it.
func steers(r rune) bool {
	return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar)
}
