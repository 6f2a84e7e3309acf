package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// The roles of a Side.
const (
	roleCustomer = "customer"
	roleMirror   = "mirror"
	roleReplica  = "replica"
	roleUnknown  = "unknown"
)

// identify asks both sides which database they serve, and refuses one database
// on both sides.
func (m *Mirror) identify(ctx context.Context, source store.Source) (src, mir Side, err error) {
	if src.Identity, err = store.IdentityOf(ctx, source); err != nil {
		return src, mir, fmt.Errorf("source: %w", err)
	}
	if mir.Identity, err = store.IdentityOf(ctx, m.store); err != nil {
		return src, mir, fmt.Errorf("mirror: %w", err)
	}
	src.Role, mir.Role = roleUnknown, roleUnknown
	if src.ID == "" && mir.ID == "" && !sameValue(source, m.store) || src.ID != mir.ID {
		return src, mir, nil
	}
	return src, mir, errSameDatabase(mir)
}

func errSameDatabase(mir Side) error {
	return wrongDatabase("the source and the mirror are the same database%s: pass the customer's database as the source", mir.where(" "))
}

// sameValue reports whether two Sources are one and the same.
func sameValue(a, b store.Source) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}

func wrongDatabase(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWrongDatabase, fmt.Sprintf(format, args...))
}

// wrong returns ErrWrongDatabase with sentences about mistakes, nil for none.
func wrong(mistakes []string) error {
	if len(mistakes) == 0 {
		return nil
	}
	return wrongDatabase("%s", strings.Join(mistakes, "; "))
}

// describe says what a side with these contents is.
func (s *Side) describe(c metadata.Contents, contextID string) {
	switch {
	case c.Own != nil:
		s.Role, s.ContextID = roleMirror, contextID
	case c.Replica:
		s.Role = roleReplica
	case len(c.Others) > 0:
		s.Role, s.ContextID = roleMirror, c.ContextIDs[0]
	case len(c.Never) > 0:
		s.Role = roleCustomer
	default:
		s.Role = roleUnknown
	}
}

// findMetadata returns the metadata table among tables, or why there is none.
func (m *Mirror) findMetadata(tables []store.Table) (store.Table, error) {
	if t, ok := m.names.Find(tables); ok {
		return t, nil
	}
	there := m.names.Contents(tables, nil)
	mistake := wrong(m.names.Mistakes(there))
	switch name := text.Name(m.names.Table); {
	case there.Replica:
		return store.Table{}, fmt.Errorf("%w: it has no LSN to set; use its own program: %s", ErrReplica, superoffice.ResyncCommand(m.contextID, nil))
	case len(tables) == 0:
		return store.Table{}, fmt.Errorf("%w %q: %s", ErrNoMetadata, name, noTables)
	case mistake != nil:
		return store.Table{}, fmt.Errorf("%w %q: %w", ErrNoMetadata, name, mistake)
	default:
		return store.Table{}, fmt.Errorf("%w %q: the next cycle of the Mirroring Task creates it and populates every table", ErrNoMetadata, name)
	}
}

// noTables is said of a mirror in which nothing is to be seen.
const noTables = "there are no tables at all: unless the mirror is new, check the database, the schema and the login's permissions"

// readMetadata reads the whole metadata table through src, which is the store
// or a transaction of it. Its rows are matched with tables, the catalogue.
func (m *Mirror) readMetadata(ctx context.Context, src store.Source, tables []store.Table) (*metadata.Table, error) {
	t, err := m.findMetadata(tables)
	if err != nil {
		return nil, err
	}
	return m.readMetadataFrom(ctx, src, t, tables)
}

func (m *Mirror) readMetadataFrom(ctx context.Context, src store.Source, t store.Table, tables []store.Table) (*metadata.Table, error) {
	md, err := m.names.Read(ctx, src, t, tables)
	if errors.Is(err, store.ErrTableNotFound) { // dropped since the catalogue was read
		_, err = m.findMetadata(nil)
		err = store.WrapError(ctx, err, "read metadata")
	}
	return md, err
}

// otherCustomers warns of metadata tables of other customers, which suggest
// that the context identifier is wrong.
func otherCustomers(tables []store.Table) []string {
	var warnings []string
	for _, t := range tables {
		if strings.HasSuffix(store.FoldName(t.Name), superoffice.MetadataSuffix) {
			warnings = append(warnings, fmt.Sprintf("there is a table %s: is the context identifier right?", t.Name))
		}
	}
	return warnings
}

// samePool reports whether two Sources that cannot tell which database they serve
// read the same tables through one pool of connections.
func samePool(source, mirror store.Source, sourceTables, mirrorTables []store.Table) bool {
	pool, _ := store.PoolLimit(source)
	other, _ := store.PoolLimit(mirror)
	if pool == nil || pool != other {
		return false
	}
	return slices.ContainsFunc(sourceTables, func(s store.Table) bool {
		return slices.ContainsFunc(mirrorTables, func(m store.Table) bool { return s.Schema == m.Schema && s.Name == m.Name })
	})
}

// CheckSource refuses what Compare would refuse as source, and, unless report is
// nil, a source or a mirror that the report is not about: ErrWrongDatabase. It
// returns the source's tables.
func (m *Mirror) CheckSource(ctx context.Context, source store.Source, report *Report) ([]store.Table, error) {
	if source == nil {
		return nil, errors.New("check source: it is nil: pass the customer's database")
	}
	tables, err := source.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	src, mir, err := m.identify(ctx, source)
	var prefixes []string
	isCopy := false
	if report != nil {
		prefixes, isCopy = report.SchemaPrefixes, report.SourceIsCopy
		if err == nil {
			err = report.sameSides(src, mir)
		}
	}
	if err != nil {
		return nil, err
	}
	inMirror, err := m.store.Tables(ctx)
	if err != nil {
		return nil, err
	}
	trim := func(name string) string { return store.TrimPrefix(name, prefixes) }
	if err := m.checkSource(m.names.Contents(tables, trim), m.names.Contents(inMirror, trim), isCopy); err != nil {
		return nil, err
	}
	return tables, nil
}

// checkSource refuses a source that a mirror is not compared with: a copy that
// nobody called one, or one of another customer.
func (m *Mirror) checkSource(src, mir metadata.Contents, isCopy bool) error {
	what := ""
	switch {
	case src.Own != nil:
		what = "the metadata table " + text.Name(src.Own.Name)
	case len(src.Others) > 0:
		return wrongDatabase("the source has the metadata table %s, so it is the mirror of another customer than %s", src.Others[0], m.contextID)
	case src.Kept != "":
		what = "a metadata table that a hard reset kept, " + src.Kept
	case src.Replica:
		what = "a table " + superoffice.ReplicaState
	case src.Tables == 0:
		return wrongDatabase("the source has no tables: check the database, the schema and the login's permissions")
	}
	switch {
	case what == "" || isCopy:
		return nil
	case mir.Own == nil && mir.Kept == "" && !mir.Replica && mir.Tables > 0:
		return wrongDatabase("the two sides are swapped: the source has %s and the mirror has none: pass the customer's database as the source", what)
	default:
		return wrongDatabase("the source has %s, so it is a copy and not the customer's database: set CompareOptions.SourceIsCopy if it is meant", what)
	}
}

// A side that lacks many of the tables that the metadata table lists is hardly
// the right one, or read by a login that may not see all: at least a quarter of
// them, and at least lackingTables, which keeps the few tables that come and go
// with a new version from looking like that.
const (
	lackingTables = 3
	lackingShare  = 4 // one in
)

// lacking returns what is to be said about a side that lacks tables of listed,
// "" for nothing.
func lacking(side string, listed int, lacks []string) string {
	if len(lacks) < lackingTables || len(lacks)*lackingShare < listed {
		return ""
	}
	slices.Sort(lacks)
	some := make([]string, 0, lackingTables)
	for _, name := range lacks[:lackingTables] {
		some = append(some, text.Name(name))
	}
	return fmt.Sprintf("the %s lacks %d of the %d tables that the metadata table lists, such as %s: is it the right database, and may the login see all tables?",
		side, len(lacks), listed, strings.Join(some, ", "))
}

// mistakes are sentences that say why the two sides are hardly those that are
// meant: Compare goes on with them, and Report.Err is ErrWrongDatabase.
func (c *comparison) mistakes(md *metadata.Table, mir metadata.Contents, byName map[string]*pair, selected []pair) []string {
	all := c.m.names.Mistakes(mir)
	if md == nil {
		return all
	}
	chosen := c.chosen
	if chosen == nil {
		chosen = map[string]bool{}
		for _, p := range selected {
			chosen[store.FoldName(p.name)] = p.notMirrored == ""
		}
	}
	listed := 0
	var noSource, noMirror []string
	for folded, p := range byName {
		if !chosen[folded] || len(md.Of(p.inMirror())) == 0 {
			continue
		}
		listed++
		if p.source == nil {
			noSource = append(noSource, p.name)
		}
		if p.mirror == nil {
			noMirror = append(noMirror, p.name)
		}
	}
	for _, s := range []string{lacking("source", listed, noSource), lacking("mirror", listed, noMirror)} {
		if s != "" {
			all = append(all, s)
		}
	}
	return all
}

// named reports whether single tables were asked for.
func (o *CompareOptions) named() bool {
	return o.Tables != nil
}

// byString finds the one pair of which a side has that name with its schema.
func byString(byName map[string]*pair, name string) *pair {
	folded := store.FoldName(name)
	var found *pair
	for _, p := range byName {
		for _, t := range []*store.Table{p.source, p.mirror} {
			if t == nil || t.Schema == "" || store.FoldName(t.String()) != folded || p == found {
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

// inCommon refuses sides that have no table in common: nothing can be compared.
// A mirror without tables waits for its first cycle, or lacks all of them.
func (c *comparison) inCommon(byName map[string]*pair, mir metadata.Contents) error {
	if mir.Tables == 0 {
		return nil
	}
	bare := map[string]int{} // which sides have a name that is left when a prefix is taken off
	prefixes := map[string]bool{}
	for _, p := range byName {
		if p.source != nil && p.mirror != nil {
			return nil
		}
		side := 1
		if p.source == nil {
			side = 2
		}
		prefix, name, ok := cutPrefix(p.name)
		if bare[store.FoldName(name)] |= side; ok {
			prefixes[prefix] = true
		}
	}
	hint := ""
	for _, sides := range bare {
		if sides == 3 {
			hint = fmt.Sprintf(" If names differ by a prefix, name it in CompareOptions.SchemaPrefixes, such as %q", slices.Sorted(maps.Keys(prefixes))[0])
		}
	}
	return wrongDatabase("the source and the mirror have no table in common: is it the right database, and may the login see all tables?%s", hint)
}

// cutPrefix cuts a name behind its last dot.
func cutPrefix(name string) (prefix, rest string, ok bool) {
	i := strings.LastIndex(name, ".")
	if i < 0 || i == len(name)-1 {
		return "", name, false
	}
	return name[:i+1], name[i+1:], true
}

// sameSides refuses sides that are not those that a report is about.
func (r *Report) sameSides(source, mirror Side) error {
	for _, s := range []struct {
		name      string
		then, now Side
	}{{"source", r.Source, source}, {"mirror", r.Mirror, mirror}} {
		if s.then.ID != "" && s.now.ID != "" && s.then.ID != s.now.ID {
			return wrongDatabase("the report is about another %s%s, not%s: compare again", s.name, s.then.where(" "), s.now.where(" "))
		}
	}
	return nil
}

// where names the database of a side for people, behind lead; "" when nothing
// is known.
func (s Side) where(lead string) string {
	var parts []string
	for _, part := range []string{s.Server, s.Database, s.Schema} {
		if part != "" {
			parts = append(parts, text.Name(part))
		}
	}
	line := strings.TrimSpace(text.Name(s.Engine) + " " + strings.Join(parts, ", "))
	if line == "" {
		return ""
	}
	return lead + line
}

// text says for people what a side is.
func (s Side) text() string {
	role := "unknown by its tables"
	switch s.Role {
	case roleCustomer:
		role = "a customer's database"
	case roleMirror:
		role = "the mirror of " + text.Name(s.ContextID)
	case roleReplica:
		role = "a replica of the newer client"
	}
	engine := strings.TrimSpace(text.Name(s.Engine) + " " + text.Name(s.Version))
	var parts []string
	for _, part := range []struct{ what, name string }{{"", engine}, {"server ", s.Server}, {"", s.Database}, {"schema ", s.Schema}} {
		if part.name != "" {
			parts = append(parts, part.what+text.Name(part.name))
		}
	}
	if parts == nil {
		return role
	}
	return role + ", " + strings.Join(parts, ", ")
}
