package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/so-mirror/mirror/store"
)

// config is a file of --config: one customer, or with members a fleet of which it says
// what is common to all.
type config struct {
	file    string
	base    entry
	members []entry
	fleet   bool

	stateDir    scalar
	concurrency int
	timeout     time.Duration
}

// entry is what the file says of a customer, by key.
type entry struct {
	line     int
	settings map[string]setting
}

// setting is a value of the file as it is written there: variables are filled in when it
// is used, because not every machine has the secrets of all customers.
type setting []scalar

type scalar struct {
	text string
	line int
}

// kind is what a key's value is.
type kind int

const (
	word kind = iota
	list
	truth
)

// customerKeys are the keys of a customer, which all may also stand at the top of a
// fleet's file, but for the context.
var customerKeys = map[string]kind{
	"context": word, "source": word, "mirror": word, "source-schema": word, "mirror-schema": word,
	"schema-prefixes": list, "skip-tables": list, "ignore-columns": list, "source-is-copy": truth,
	"metadata-table": word, "table-column": word, "lsn-column": word,
}

// fileKeys are the keys that stand at the top alone.
var fileKeys = []string{"members", "state-dir", "concurrency", "timeout"}

const configHelp = `A file for --config is YAML, and says of one customer:

  context: Cust10195
  source: sqlserver://reader:${CRM_PASSWORD}@crm.example.com?database=Cust10195
  mirror: sqlserver://mirror:${MIRROR_PASSWORD}@db.example.com?database=Mirror_Cust10195

or of a fleet, where a member's own value goes before that of the top:

  source: sqlserver://reader:${CRM_PASSWORD}@crm.example.com?database={{context}}
  mirror: sqlserver://mirror:${MIRROR_PASSWORD}@db.example.com?database=Mirror_{{context}}
  members:
    - Cust10195
    - context: Cust10196
      skip-tables: [traveltransactionlog]

Its other keys are source-schema, mirror-schema, schema-prefixes, skip-tables, ignore-columns,
source-is-copy, metadata-table, table-column and lsn-column; and at the top state-dir, and of
a fleet concurrency and timeout. ${NAME} is a variable of the environment, which a URL gets
escaped as it needs; $$ is a dollar sign. The names of files are seen from the file's own
directory. Where a file has members, --context picks one.`

// loadConfig reads the file of --config, if there is one, once.
func (a *app) loadConfig() error {
	name := cmp.Or(a.flags.config, a.env(envConfig))
	if name == "" || a.config != nil {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return usageError{fmt.Errorf("--config: %w", err)}
	}
	c, err := parseConfig(name, data)
	if err != nil {
		return err
	}
	if c.stateDir.text, err = a.expand(c, c.stateDir, ""); err != nil {
		return err
	}
	a.config = c
	if line := c.literalPassword(); line > 0 && readByAll(name) {
		a.warn("%s:%d: everybody on this machine can read the password in it. Write ${NAME} and put it into the environment, or take the right to read the file from others: chmod 600 %s", name, line, quoted(name))
	}
	return nil
}

// readByAll reports whether every user of the machine may read a file.
func readByAll(name string) bool {
	info, err := os.Stat(name)
	return err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0
}

// literalPassword returns the first line with a password that is no variable, or 0.
func (c *config) literalPassword() (line int) {
	for _, e := range append([]entry{c.base}, c.members...) {
		for _, s := range e.settings {
			for _, v := range s {
				for _, secret := range secretsOf(v.text) {
					if variable.ReplaceAllString(secret, "") != "" && (line == 0 || v.line < line) {
						line = v.line
					}
				}
			}
		}
	}
	return line
}

// pick returns the entry of a customer.
func (c *config) pick(context string) (entry, error) {
	if !c.fleet {
		own := c.base.word("context")
		if own != "" && context != "" && store.FoldName(own) != store.FoldName(context) {
			return entry{}, usagef("%s is about %s, not %s", c.file, own, context)
		}
		return c.base, nil
	}
	if context == "" {
		return entry{}, usagef("which customer? %s has %d: name one by --context", c.file, len(c.members))
	}
	for _, m := range c.members {
		if store.FoldName(m.word("context")) == store.FoldName(context) {
			return m, nil
		}
	}
	return entry{}, usagef("%s has no member %s%s", c.file, context, nearest(context, c.contexts(), ": did you mean %s?"))
}

// contexts are the context identifiers of a file, in its order.
func (c *config) contexts() (ids []string) {
	if own := c.base.word("context"); own != "" {
		ids = append(ids, own)
	}
	for _, m := range c.members {
		ids = append(ids, m.word("context"))
	}
	return ids
}

func (e entry) word(key string) string {
	if s := e.settings[key]; len(s) == 1 {
		return s[0].text
	}
	return ""
}

// placeOf fills in a customer's place, but for what is said already.
func (a *app) placeOf(c *config, e entry, p place) (_ place, err error) {
	p.context = cmp.Or(e.word("context"), p.context) // as the file spells it
	word := func(to *string, key string) {
		if s := e.settings[key]; *to == "" && len(s) == 1 && err == nil {
			*to, err = a.expand(c, s[0], p.context)
		}
	}
	list := func(to *[]string, key string) {
		for _, s := range e.settings[key] {
			text, failed := a.expand(c, s, p.context)
			*to, err = append(*to, text), cmp.Or(err, failed)
		}
	}
	for key, to := range map[string]*string{"source": &p.source, "mirror": &p.mirror} {
		given := *to != ""
		if word(to, key); !given && *to != "" {
			*to = c.path(*to)
		}
	}
	word(&p.sourceSchema, "source-schema")
	word(&p.mirrorSchema, "mirror-schema")
	word(&p.names.MetadataTable, "metadata-table")
	word(&p.names.TableColumn, "table-column")
	word(&p.names.LSNColumn, "lsn-column")
	list(&p.compare.SchemaPrefixes, "schema-prefixes")
	list(&p.compare.SkipTables, "skip-tables")
	list(&p.compare.IgnoreColumns, "ignore-columns")
	p.compare.SourceIsCopy = e.word("source-is-copy") == "true"
	return p, err
}

// path is the name of a file as it is seen from the directory of the file that names it.
func (c *config) path(where string) string {
	if isURL(where) || filepath.IsAbs(where) {
		return where
	}
	return filepath.Join(filepath.Dir(c.file), where)
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
func (a *app) expand(c *config, s scalar, context string) (string, error) {
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
			value := a.env(name)
			if value == "" {
				return "", usagef("%s:%d: the environment has no %s, or it is empty", c.file, s.line, name)
			}
			escaped := escapedFor(s.text, at[0], at[1], value)
			if secretVar.MatchString(name) {
				a.keep(value, escaped)
			}
			b.WriteString(escaped)
		}
	}
	b.WriteString(s.text[end:])
	return b.String(), nil
}

// parseDuration and parseCount are what the file and its flags understand.
func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, errors.New("want a number from 1 on")
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errors.New("want a time such as 90s or 30m")
	}
	return d, nil
}

// nearest puts the known word that is most like one into a text; "" if none is like it.
func nearest(word string, known []string, format string) string {
	best := closest(word, slices.Sorted(slices.Values(known)), len(word)/2)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(format, best)
}
