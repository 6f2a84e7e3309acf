// Package match finds out what is to be compared: from the catalogues of two
// databases and the caller's options, which tables belong together (match.go), and
// for each such pair in what its two definitions differ and by which columns its rows
// are compared (plan.go). Of a name that fits no table it says which one is most like
// it (names.go). It reads no database, and knows nothing of metadata rows and reports.
//
// It may import store, internal/diff, internal/superoffice and internal/text.
package match

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Options say which tables are meant, and what of them counts.
type Options struct {
	Tables         []string // that were asked for; nil: all
	SkipTables     []string // that are not compared
	IgnoreColumns  []string // "column" or "table.column"
	SchemaPrefixes []string // that do not count in names of tables
	LooseTypes     bool     // that columns differ in type or nullability is fine as long as their Kind is the same

	AnyValue bool // a value of either side need not be of its column's type
	Replica  bool // the mirror is filled by the newer client

	// NotData reports whether a name without prefix is that of a table which is of
	// the mirroring itself. Nil: none is.
	NotData func(name string) bool
}

// Result is what becomes of two catalogues.
type Result struct {
	Pairs   []Pair   // of the tables that were asked for, by name
	Names   []string // of all tables of both sides, without prefix
	Unknown []string // names in Options.Tables that neither side has, as they were given
	Unused  []string // warnings: entries of Options that fit nothing, which may be slips

	// Apart says that the two sides have no table in common. Prefix is then one of a
	// name, if names of both sides are alike but for prefixes, or "".
	Apart  bool
	Prefix string
}

// Pair is a table of either side, or of both.
type Pair struct {
	Name           string // without prefix
	Source, Mirror *store.Table
	NotMirrored    string // why it is not compared, or ""
	Twins          string // why it is not known which tables are meant, or ""
	Plan           *Plan  // nil unless both sides have the table
}

// Tables pairs the tables of the two sides by their folded names.
func Tables(source, mirror []store.Table, o Options) Result {
	all := pairs{o: &o, byName: map[string]*Pair{}}
	all.add("source", source, func(p *Pair) **store.Table { return &p.Source })
	all.add("mirror", mirror, func(p *Pair) **store.Table { return &p.Mirror })
	var r Result
	for _, folded := range slices.Sorted(maps.Keys(all.byName)) {
		r.Names = append(r.Names, all.byName[folded].Name)
	}
	r.Apart, r.Prefix = all.apart()
	r.Unused = append(all.unusedSkips(), all.unusedIgnores()...)
	if o.Tables == nil {
		r.Pairs = all.mirrored()
	} else {
		r.Pairs, r.Unknown = all.named()
	}
	slices.SortFunc(r.Pairs, func(a, b Pair) int { return strings.Compare(store.FoldName(a.Name), store.FoldName(b.Name)) })
	for i := range r.Pairs {
		if p := &r.Pairs[i]; p.Source != nil && p.Mirror != nil {
			p.Plan = o.plan(p)
		}
	}
	return r
}

// pairs are all tables of both sides, by folded name.
type pairs struct {
	o      *Options
	byName map[string]*Pair
}

func (o *Options) trim(name string) string { return store.TrimPrefix(name, o.SchemaPrefixes) }

// add adds the tables of a side, which field is.
func (a pairs) add(side string, tables []store.Table, field func(*Pair) **store.Table) {
	for i, t := range tables {
		name := a.o.trim(t.Name)
		if a.o.NotData != nil && a.o.NotData(name) {
			continue
		}
		folded := store.FoldName(name)
		p := a.byName[folded]
		if p == nil {
			p = &Pair{Name: name}
			a.byName[folded] = p
		}
		other := *field(p)
		switch {
		case other == nil:
			*field(p) = &tables[i]
		case p.Twins == "":
			p.Twins = fmt.Sprintf("the %s has two tables of one name, %s and %s: give the store one schema, or narrow SchemaPrefixes",
				side, text.Name(other.String()), text.Name(t.String()))
		}
	}
}

// skips are the folded names of the tables to skip.
func (o *Options) skips() map[string]bool {
	skips := map[string]bool{}
	for _, s := range o.SkipTables {
		skips[store.FoldName(o.trim(s))] = true
	}
	return skips
}

// Skipped is why a table of SkipTables is not compared.
const Skipped = "skipped by request"

// mirrored returns all tables, those that are not mirrored with the reason.
func (a pairs) mirrored() []Pair {
	var all []Pair
	skips := a.o.skips()
	for folded, p := range a.byName {
		if reason, ok := superoffice.BlockedReason(folded); ok {
			p.NotMirrored = "never mirrored: " + reason
		}
		if a.o.Replica && folded == "binaryobject" {
			p.NotMirrored = "not copied by the newer client: large binary content"
		}
		if skips[folded] {
			p.NotMirrored = Skipped
		}
		all = append(all, *p)
	}
	return all
}

// named returns the tables that were asked for, each once. One that is never
// mirrored is compared all the same if the mirror has it.
func (a pairs) named() (found []Pair, unknown []string) {
	skips, seen := a.o.skips(), map[string]bool{}
	for _, name := range a.o.Tables {
		p := a.find(name)
		if p == nil {
			unknown = append(unknown, name)
			continue
		}
		folded := store.FoldName(p.Name)
		if seen[folded] {
			continue
		}
		seen[folded] = true
		switch reason, blocked := superoffice.BlockedReason(folded); {
		case skips[folded]:
			p.NotMirrored = Skipped
		case blocked && p.Mirror == nil:
			p.NotMirrored = "never mirrored: " + reason
		}
		found = append(found, *p)
	}
	return found, unknown
}

// find returns the pair of that name, or else the one of which a side has that
// name with its schema; nil when there is none or there are two.
func (a pairs) find(name string) *Pair {
	if p := a.byName[store.FoldName(a.o.trim(name))]; p != nil {
		return p
	}
	folded := store.FoldName(name)
	var found *Pair
	for _, p := range a.byName {
		for _, t := range []*store.Table{p.Source, p.Mirror} {
			if t == nil || store.FoldName(t.String()) != folded || p == found {
				continue
			}
			if found != nil {
				return nil
			}
			found = p
		}
	}
	return found
}

// apart reports whether the sides have no table in common, and a prefix that
// may be why.
func (a pairs) apart() (apart bool, prefix string) {
	const inSource, inMirror = 1, 2
	bare := map[string]int{} // which sides have a name that is left when a prefix is cut off
	prefixes := map[string]bool{}
	for _, p := range a.byName {
		side := inSource
		switch {
		case p.Source != nil && p.Mirror != nil:
			return false, ""
		case p.Source == nil:
			side = inMirror
		}
		prefix, name, ok := CutPrefix(p.Name)
		if bare[store.FoldName(name)] |= side; ok {
			prefixes[prefix] = true
		}
	}
	for _, sides := range bare {
		if sides == inSource|inMirror {
			return true, slices.Sorted(maps.Keys(prefixes))[0]
		}
	}
	return true, ""
}

func (a pairs) unusedSkips() (unused []string) {
	for _, name := range a.o.SkipTables {
		if a.byName[store.FoldName(a.o.trim(name))] == nil {
			unused = append(unused, fmt.Sprintf("SkipTables: neither side has a table %q", text.Clip(name, text.MaxName)))
		}
	}
	return unused
}

func (a pairs) unusedIgnores() (unused []string) {
	for _, entry := range a.o.IgnoreColumns {
		if !a.fits(entry) {
			unused = append(unused, fmt.Sprintf("IgnoreColumns: neither side has a column %q", text.Clip(entry, 2*text.MaxName)))
		}
	}
	return unused
}

// fits reports whether an entry of IgnoreColumns means a column of either side.
func (a pairs) fits(entry string) bool {
	for _, p := range a.byName {
		for _, t := range []*store.Table{p.Source, p.Mirror} {
			if t != nil && slices.ContainsFunc(t.Columns, func(c store.Column) bool { return a.o.ignores(entry, p.Name, c.Name) }) {
				return true
			}
		}
	}
	return false
}
