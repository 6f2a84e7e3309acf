package replica

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror/internal/sum"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// State is what a replica's table _ReplicationState tells about it. The columns of
// that table are documented nowhere, and some hold tokens. So only those whose names
// say offsets and nothing else that is unknown are read, and of their values only
// those are shown that are spelled as the client is known to spell an offset.
type State struct {
	// Table is the table's name with its schema, "" when there is none.
	Table string `json:"table,omitempty"`

	// Columns are the columns that are read, NotRead is how many are not.
	Columns []string `json:"columns,omitempty"`
	NotRead int      `json:"notRead,omitempty"`

	// Offsets are the values that are an offset of a topic's partition, such as
	// "cust6647-cdc:0:19420".
	Offsets []string `json:"offsets,omitempty"`

	// Moves is the sign of life: how often the values were seen to be others than
	// before.
	Moves int `json:"moves"`

	// Resets is how often an offset was seen to be less than before. After one the
	// client takes all rows again, and what was on its way to it is lost. One that
	// is as far as before by the next look is not seen.
	Resets int `json:"resets,omitempty"`

	// Unknown says why nothing is known, "" when something is.
	Unknown string `json:"unknown,omitempty"`

	sum string // tells the values that were read apart from others, and tells nothing of them
}

// stateReader reads the state of a replica again and again.
type stateReader struct {
	src   store.Source
	table *store.Table
	read  []string // columns
	State

	last map[string]uint64 // the offset of each partition
}

// isOffset matches an offset as the newer client is known to write it: the topic of
// a context identifier, the partition, the offset. It is narrow, because what else
// stands in the column may be anything.
var isOffset = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}-cdc:[0-9]{1,9}:[0-9]{1,19}$`)

// newStateReader finds the table and the columns of it that may be read.
func newStateReader(src store.Source, tables []store.Table) *stateReader {
	s := &stateReader{src: src}
	found, rank := 0, 0
	for i, t := range tables {
		switch r := stateRank(t.Name); {
		case r > rank:
			s.table, rank, found = &tables[i], r, 1
		case r == rank && r > 0:
			found++
		}
	}
	if s.table == nil {
		s.Unknown = "there is no table " + superoffice.ReplicaState + ": name its schema, if it is in another one"
		return s
	}
	s.Table = s.table.String()
	if found > 1 {
		s.NotRead = len(s.table.Columns)
		s.Unknown = fmt.Sprintf("there are %d tables %s: serve the schema of the one that is meant", found, superoffice.ReplicaState)
		return s
	}
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

// isState reports whether a table is that of the client's state, in whatever schema
// and behind whatever prefix. None such is compared or counted.
func isState(name string) bool { return stateRank(name) > 0 }

// stateRank is how sure it is that a table of that name is that of the client's
// state, 0 for one that is not.
func stateRank(name string) int {
	folded, want := store.FoldName(name), store.FoldName(superoffice.ReplicaState)
	switch {
	case folded == want:
		return 3
	case strings.HasSuffix(folded, "."+want):
		return 2
	case strings.HasSuffix(folded, want):
		return 1
	default:
		return 0
	}
}

// beside are the words that may stand in the name of a column beside "offset". A
// name with any other, such as "offsetToken", is unknown. The longer of two comes
// first.
var beside = strings.NewReplacer(func() (words []string) {
	for _, w := range []string{
		"offsets", "offset", "topics", "topic", "partitions", "partition", "kafka", "cdc", "committed", "commit", "consumer", "consumed",
		"current", "latest", "last", "next", "start", "stored", "processed", "applied", "source", "stream", "position", "number", "value",
		"text", "json", "list", "_", "-", " ", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
	} {
		words = append(words, w, "")
	}
	return words
}()...)

// isOffsetColumn reports whether a column is named after offsets and after nothing
// that is unknown.
func isOffsetColumn(c store.Column) bool {
	name := store.FoldName(c.Name)
	if k := c.Type.Kind(); k != store.KindString && k != store.KindInt {
		return false
	}
	return strings.Contains(name, "offset") && beside.Replace(name) == ""
}

// stateRows is more rows than a state has: one for each partition, and one for each
// table.
const stateRows = 100_000

// look reads the offsets. What cannot be read is unknown and no error.
func (s *stateReader) look(ctx context.Context) {
	if len(s.read) == 0 {
		return
	}
	var offsets, all []string
	rows := 0
	// Verbatim, because the error about a value of another type could show it.
	for batch, err := range s.src.Rows(ctx, store.Query{Table: *s.table, Columns: s.read, Limit: stateRows, Verbatim: true}) {
		if err != nil {
			s.Unknown = fmt.Sprintf("%s cannot be read: %v", s.Table, text.Err(err))
			return
		}
		if rows += len(batch); rows >= stateRows {
			s.Unknown = fmt.Sprintf("%s has %s or more, which no state has", s.Table, text.Rows(stateRows))
			return
		}
		for _, row := range batch {
			for _, v := range row {
				if v == nil { // the row of a table
					continue
				}
				all = append(all, fingerprint(v))
				if o, ok := v.(string); ok && isOffset.MatchString(o) {
					offsets = append(offsets, strings.Clone(o))
				}
			}
		}
	}
	slices.Sort(offsets)
	slices.Sort(all)
	h := sha256.Sum256([]byte(strings.Join(all, "|")))
	now := hex.EncodeToString(h[:4])
	if s.sum != "" && s.sum != now {
		s.Moves++
	}
	s.sum, s.Offsets, s.Unknown = now, offsets, ""
	if s.wentBack() {
		s.Resets++
	}
	if len(all) == 0 {
		s.Unknown = "the columns of " + s.Table + " that are named after offsets are empty"
	}
}

// wentBack reports whether the offset of a topic's partition is less than it was
// when there was one last. Of several, such as those of old sessions, the greatest
// counts.
func (s *stateReader) wentBack() (back bool) {
	now := map[string]uint64{}
	for _, o := range s.Offsets {
		at := strings.LastIndexByte(o, ':')
		n, _ := strconv.ParseUint(o[at+1:], 10, 64) // isOffset: 19 digits at most
		now[o[:at]] = max(now[o[:at]], n)
	}
	for partition, n := range now {
		back = back || n < s.last[partition]
	}
	if s.last == nil {
		s.last = map[string]uint64{}
	}
	maps.Copy(s.last, now)
	return back
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
