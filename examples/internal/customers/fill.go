package customers

import (
	"cmp"
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/so-mirror/mirror"
)

// Customer is where one customer's databases are, and what else is particular to it.
type Customer struct {
	Context string // its context identifier
	Source  Database
	Mirror  Database
	Replica Database       // that the newer client fills; only FillReplica completes it
	Names   mirror.Options // of the metadata table and its columns
	Compare mirror.CompareOptions
}

// Environment is what variables of a file mean.
type Environment struct {
	Get     func(name string) string // such as os.Getenv
	Secrets *Secrets                 // gets the values of those that are secrets
}

// Fill completes a customer by what the file says of it. What the customer has already goes
// before that, but for how its context identifier is spelled.
func (e Entry) Fill(c *Customer, env Environment) error {
	c.Context = cmp.Or(e.Context(), c.Context)
	f := filling{Entry: e, env: env, context: c.Context}
	f.database(&c.Source, "source")
	f.database(&c.Mirror, "mirror")
	f.fill(&c.Names.MetadataTable, "metadata-table")
	f.fill(&c.Names.TableColumn, "table-column")
	f.fill(&c.Names.LSNColumn, "lsn-column")
	f.list(&c.Names.FormerIDs, "former-ids")
	f.list(&c.Compare.SchemaPrefixes, "schema-prefixes")
	f.list(&c.Compare.SkipTables, "skip-tables")
	f.list(&c.Compare.IgnoreColumns, "ignore-columns")
	c.Compare.SourceIsCopy = e.word("source-is-copy") == "true"
	return f.err
}

// FillReplica completes a customer by its replica, as Fill does by the rest. Only a few look
// at replicas, and nobody else needs the secrets for it.
func (e Entry) FillReplica(c *Customer, env Environment) error {
	f := filling{Entry: e, env: env, context: cmp.Or(e.Context(), c.Context)}
	f.database(&c.Replica, "replica")
	return f.err
}

// StateDir is the directory that the file names for what programs keep, "" if it names none.
func (f *File) StateDir(env Environment) (string, error) {
	if f.stateDir.text == "" {
		return "", nil
	}
	dir, err := expand(f.Name, f.stateDir, "", env)
	if err != nil {
		return "", err
	}
	return seenFrom(f.Name, dir), nil
}

// filling fills values in, until one cannot be.
type filling struct {
	Entry
	env     Environment
	context string
	err     error
}

func (f *filling) expand(s scalar) string {
	if f.err != nil {
		return ""
	}
	var text string
	text, f.err = expand(f.file, s, f.context, f.env)
	return text
}

func (f *filling) fill(to *string, key string) {
	if s := f.settings[key]; *to == "" && len(s) == 1 {
		*to = f.expand(s[0])
	}
}

func (f *filling) list(to *[]string, key string) {
	for _, s := range f.settings[key] {
		*to = append(*to, f.expand(s))
	}
}

func (f *filling) database(to *Database, key string) {
	if to.Where == "" {
		if f.fill(&to.Where, key); to.Where != "" {
			to.Where = seenFrom(f.file, to.Where)
		}
	}
	f.fill(&to.Schema, key+"-schema")
}

// What stands for something else in a value. Any other dollar sign is a mistake.
var (
	variable  = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)
	standsFor = regexp.MustCompile(`\$\$|` + variable.String() + `|\$|\{\{[^{}]*\}\}`)
	secretVar = regexp.MustCompile(`(?i)pass|pwd?|secret|token|key`)
)

// checkScalar finds what cannot be filled in, whatever the environment is.
func checkScalar(s string) error {
	for _, m := range standsFor.FindAllString(s, -1) {
		switch {
		case m == "$":
			return errors.New("a dollar sign that begins no ${NAME} is written $$")
		case strings.HasPrefix(m, "{{") && strings.TrimSpace(strings.Trim(m, "{}")) != "context":
			return errors.New("only {{context}} can be filled in")
		}
	}
	return nil
}

// expand fills in what stands for something else.
func expand(file string, s scalar, context string, env Environment) (string, error) {
	var b strings.Builder
	end := 0
	for _, at := range standsFor.FindAllStringIndex(s.text, -1) {
		b.WriteString(s.text[end:at[0]])
		end = at[1]
		switch m := s.text[at[0]:at[1]]; {
		case m == "$$":
			b.WriteString("$")
		case strings.HasPrefix(m, "{{"):
			b.WriteString(context)
		default:
			name := m[2 : len(m)-1]
			value := env.Get(name)
			if value == "" {
				return "", mistakef("%s:%d: the environment has no %s, or it is empty", file, s.line, name)
			}
			escaped := escapedFor(s.text, at[0], at[1], value)
			if secretVar.MatchString(name) {
				env.Secrets.Add(value, escaped)
			}
			b.WriteString(escaped)
		}
	}
	b.WriteString(s.text[end:])
	return b.String(), nil
}

// escapedFor is the value of a variable as its place in a text needs it: in a URL the
// user, the password and what follows the question mark are escaped.
func escapedFor(text string, from, to int, value string) string {
	before, after := text[:from], text[to:]
	_, inURL, ok := strings.Cut(before, "://")
	if !ok {
		return value
	}
	rest, _, _ := strings.Cut(after, "/")
	switch {
	case strings.Contains(inURL, "?"):
		return url.QueryEscape(value)
	case !strings.Contains(inURL, "@") && strings.Contains(strings.SplitN(rest, "?", 2)[0], "@"):
		return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	}
	return value
}
