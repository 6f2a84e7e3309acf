// Package customers reads the file that says who the customers are and where their
// databases are, and opens these. The programs beside it share that file.
package customers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/spelling"
	"github.com/so-mirror/mirror/store"
)

// Help says what stands in a file, for the help of a program.
const Help = `A file for --config is YAML, and says of one customer:

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

The replica that the newer client fills is the database under replica, with replica-schema.
Its other keys are source-schema, mirror-schema, schema-prefixes, skip-tables, ignore-columns,
source-is-copy, metadata-table, table-column, lsn-column and former-ids, the IDs that the
mirror's database had before it was renamed or moved; and at the top state-dir, and of a fleet
concurrency and timeout. ${NAME} is a variable of the environment, which a URL gets escaped as
it needs; $$ is a dollar sign. The names of files are seen from the file's own directory.`

// Mistake is an error in what somebody wrote: in the file, or as the name of a database.
type Mistake struct{ error }

func mistakef(format string, args ...any) error { return Mistake{fmt.Errorf(format, args...)} }

// Unwrap returns the error itself.
func (m Mistake) Unwrap() error { return m.error }

// File is a file that was read. It says of one customer, or of a fleet, where the
// databases are. It is read alone once it was parsed, so it is safe for concurrent use.
type File struct {
	// Name is the file's name, as it was given.
	Name string

	// Fleet says that the file has members.
	Fleet bool

	// Concurrency and Timeout are how a fleet is looked at, 0 where nothing is said.
	Concurrency int
	Timeout     time.Duration

	base     Entry
	members  []Entry
	stateDir scalar
}

// Entry is what the file says of a customer.
type Entry struct {
	file     string
	line     int
	settings map[string]setting // by key
}

// setting is a value of the file as it is written there: variables are filled in when it
// is used, because not every machine has the secrets of all customers.
type setting []scalar

type scalar struct {
	text string
	line int
}

// Read reads a file.
func Read(name string) (*File, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, Mistake{fmt.Errorf("--config: %w", err)}
	}
	return Parse(name, data)
}

// Entries are what the file says of each customer, in its order.
func (f *File) Entries() []Entry {
	if !f.Fleet {
		return []Entry{f.base}
	}
	return f.members
}

// Pick returns the entry of a customer.
func (f *File) Pick(context string) (Entry, error) {
	if !f.Fleet {
		own := f.base.Context()
		if own != "" && context != "" && store.FoldName(own) != store.FoldName(context) {
			return Entry{}, mistakef("%s is about %s, not %s", f.Name, own, context)
		}
		return f.base, nil
	}
	if context == "" {
		return Entry{}, mistakef("which customer? %s has %d: name one by --context", f.Name, len(f.members))
	}
	for _, m := range f.members {
		if store.FoldName(m.Context()) == store.FoldName(context) {
			return m, nil
		}
	}
	return Entry{}, mistakef("%s has no member %s%s", f.Name, context, nearest(context, f.Contexts(), ": did you mean %s?"))
}

// Contexts are the context identifiers of a file, in its order.
func (f *File) Contexts() (ids []string) {
	for _, e := range f.Entries() {
		if id := e.Context(); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// Context is the customer's context identifier, "" where the file does not tell it.
func (e Entry) Context() string { return e.word("context") }

// Errorf is an error about an entry, which tells where it stands.
func (e Entry) Errorf(format string, args ...any) error {
	return mistakef("%s:%d: %w", e.file, e.line, fmt.Errorf(format, args...))
}

func (e Entry) word(key string) string {
	if s := e.settings[key]; len(s) == 1 {
		return s[0].text
	}
	return ""
}

// PasswordForAll returns the first line with a password that is no variable, in a file that
// every user of the machine may read, or 0.
func (f *File) PasswordForAll() (line int) {
	info, err := os.Stat(f.Name)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o004 == 0 {
		return 0
	}
	return f.literalPassword()
}

// literalPassword returns the first line with a password that is no variable, or 0.
func (f *File) literalPassword() (line int) {
	for _, e := range append([]Entry{f.base}, f.members...) {
		for _, s := range e.settings {
			for _, v := range s {
				for _, secret := range SecretsOf(v.text) {
					if variable.ReplaceAllString(secret, "") != "" && (line == 0 || v.line < line) {
						line = v.line
					}
				}
			}
		}
	}
	return line
}

// IsContext reports whether a text is a context identifier, which is safe in the name of a
// file.
func IsContext(s string) bool {
	_, err := mirror.New(s, nil, nil)
	return !errors.Is(err, mirror.ErrInvalidContextID)
}

// seenFrom is the name of a file as it is seen from the directory of the file that names it.
func seenFrom(file, where string) string {
	if (Database{Where: where}).IsURL() || filepath.IsAbs(where) {
		return where
	}
	return filepath.Join(filepath.Dir(file), where)
}

// nearest puts the known word that is most like one into a text; "" if none is like it.
func nearest(word string, known []string, format string) string {
	best := spelling.Closest(word, slices.Sorted(slices.Values(known)), len(word)/2)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(format, best)
}
