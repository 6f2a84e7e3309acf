package replica

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// State is what a replica's table _ReplicationState tells about it. The columns of
// that table are documented nowhere, and some hold tokens. So only those that are
// named after offsets are read, and of their values only those that are offsets are
// shown.
type State struct {
	// Table is the table's name with its schema, "" when there is none.
	Table string `json:"table,omitempty"`

	// Columns are the columns that were read, NotRead is how many were not.
	Columns []string `json:"columns,omitempty"`
	NotRead int      `json:"notRead,omitempty"`

	// Offsets are the values that are an offset of a topic's partition, such as
	// "cust6647-cdc:0:19420".
	Offsets []string `json:"offsets,omitempty"`

	// Moves is the sign of life: how often the offsets were seen to be others than
	// before.
	Moves int `json:"moves"`

	// Unknown says why nothing is known, "" when something is.
	Unknown string `json:"unknown,omitempty"`

	sum string // of all values that were read
}

// stateReader reads the state of a replica again and again.
type stateReader struct {
	src   store.Source
	table *store.Table
	read  []string // columns
	State
}

// An offset, as the newer client is known to write it: topic, partition, offset.
var isOffset = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}:[0-9]{1,9}:[0-9]{1,19}$`)

// newStateReader finds the table and the columns of it that may be read.
func newStateReader(src store.Source, tables []store.Table) *stateReader {
	s := &stateReader{src: src}
	i := slices.IndexFunc(tables, func(t store.Table) bool { return isState(t.Name) })
	if i < 0 {
		s.Unknown = "there is no table " + superoffice.ReplicaState + ": name its schema, if it is in another one"
		return s
	}
	s.table, s.Table = &tables[i], tables[i].String()
	for _, c := range s.table.Columns {
		if c.Omit == "" && isOffsetColumn(c) {
			s.read = append(s.read, c.Name)
		} else {
			s.NotRead++
		}
	}
	if s.Columns = s.read; len(s.read) == 0 {
		s.Unknown = "no column of " + s.Table + " is named after offsets"
	}
	return s
}

// isState reports whether a table is that of the client's state, in whatever
// schema.
func isState(name string) bool {
	folded, want := store.FoldName(name), store.FoldName(superoffice.ReplicaState)
	return folded == want || strings.HasSuffix(folded, "."+want)
}

// isOffsetColumn reports whether a column is named after offsets, and after
// nothing that could be a secret.
func isOffsetColumn(c store.Column) bool {
	name := store.FoldName(c.Name)
	if k := c.Type.Kind(); k != store.KindString && k != store.KindInt || !strings.Contains(name, "offset") {
		return false
	}
	return !slices.ContainsFunc([]string{"token", "secret", "password", "auth", "session", "cert", "cipher", "crypt", "key", "hash", "credential", "tenant"},
		func(word string) bool { return strings.Contains(name, word) })
}

// look reads the offsets. What cannot be read is unknown and no error.
func (s *stateReader) look(ctx context.Context) {
	if len(s.read) == 0 {
		return
	}
	var offsets, all []string
	for batch, err := range s.src.Rows(ctx, store.Query{Table: *s.table, Columns: s.read}) {
		if err != nil {
			s.Unknown = fmt.Sprintf("%s cannot be read: %v", s.Table, text.Err(err))
			return
		}
		for _, row := range batch {
			for _, v := range row {
				all = append(all, fingerprint(v))
				if o, ok := v.(string); ok && isOffset.MatchString(o) {
					offsets = append(offsets, o)
				}
			}
		}
	}
	slices.Sort(offsets)
	slices.Sort(all)
	h := sha256.Sum256([]byte(strings.Join(all, "|")))
	now := hex.EncodeToString(h[:16])
	if s.sum != "" && s.sum != now {
		s.Moves++
	}
	s.sum, s.Offsets, s.Unknown = now, offsets, ""
}

func fingerprint(v driver.Value) string {
	h := sha256.New()
	sum.Value(h, v)
	return sum.Hex(h)
}

// contextID is the customer whose topics the offsets are of, "" when they do not
// tell.
func (s *State) contextID() string {
	id := ""
	for _, o := range s.Offsets {
		topic, _, _ := strings.Cut(o, ":")
		of, ok := strings.CutSuffix(topic, "-cdc")
		if !ok || id != "" && store.FoldName(id) != store.FoldName(of) {
			return ""
		}
		id = of
	}
	return id
}
