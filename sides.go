package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/match"
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

// pair is a table of either side, or of both, with what the metadata table has for it.
type pair struct {
	match.Pair

	lsn           *store.LSN
	hasMetadata   bool // the metadata table has a row for it
	metadataRows  int
	unread        string // why the metadata table cannot be read, or ""
	metadataDoubt string // why it is not known which rows are its own, or what they hold
	metadataSum   string
	version       store.LSN // of the source, read after lsn
	state         LSNState
	populated     bool // a cycle did so while it was compared
}

// match finds out which databases the two sides are, refuses the wrong ones, and
// pairs their tables.
func (c *comparison) match(ctx context.Context, report *Report) ([]pair, error) {
	var err error
	if report.Source, report.Mirror, err = c.m.identify(ctx, c.source); err != nil {
		return nil, err
	}
	c.sourceSide, c.mirrorSide = report.Source, report.Mirror
	if r := c.opts.Resume; r != nil {
		if err := sameSides("checkpoint", "start without it", r.source, r.mirror, report.Source, report.Mirror); err != nil {
			return nil, err
		}
	}
	sourceTables, mirrorTables, err := c.catalogues(ctx)
	if err != nil {
		return nil, err
	}
	src, mir := c.m.names.Contents(sourceTables, c.trimPrefix), c.m.names.Contents(mirrorTables, c.trimPrefix)
	report.Source.describe(src, c.m.contextID)
	report.Mirror.describe(mir, c.m.contextID)
	if report.Source.ID+report.Mirror.ID == "" && samePool(c.source, c.m.store, sourceTables, mirrorTables) {
		return nil, errSameDatabase(report.Mirror)
	}
	if err := c.m.checkSource(src, mir, c.opts.SourceIsCopy); err != nil {
		return nil, err
	}
	md, err := c.m.readMetadata(ctx, c.m.store, mirrorTables)
	report.State, err = stateWithout(err)
	switch {
	case errors.Is(err, ErrMetadata):
		// Rows can be compared all the same; only resets need the table.
		report.Warnings = append(report.Warnings, err.Error())
		c.unread = err.Error()
	case err != nil:
		return nil, err
	}
	c.catalogue = mirrorTables
	if md != nil {
		c.metadata = &md.Table
	}
	matched := c.matchTables(sourceTables, mirrorTables, report.State)
	if err := c.refuse(matched, mir); err != nil {
		return nil, err
	}
	report.Scope.Tables = len(matched.Names)
	report.Warnings = append(report.Warnings, matched.Unused...)
	report.Mistakes = c.mistakes(md, mir, matched.Pairs)
	if report.State == MirrorAwaitingFirstCycle && report.Mistakes == nil {
		report.Warnings = append(report.Warnings, otherCustomers(mirrorTables)...)
		if len(mirrorTables) == 0 {
			report.Warnings = append(report.Warnings, "the mirror: "+noTables)
		}
	}
	pairs := make([]pair, len(matched.Pairs))
	for i := range pairs {
		p := &pairs[i]
		p.Pair, p.unread = matched.Pairs[i], c.unread
		p.describe(md)
		if p.metadataRows > 1 {
			t := inMirror(p.Pair)
			_, err := md.Row(t)
			report.Warnings = append(report.Warnings, t.Name+" "+err.Error())
		}
	}
	return pairs, nil
}

// catalogues reads the tables of both sides at the same time.
func (c *comparison) catalogues(ctx context.Context) (source, mirror []store.Table, err error) {
	var sourceErr, mirrorErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		sourceErr = diff.Guard(func() (err error) { source, err = c.source.Tables(ctx); return err })
	})
	wg.Go(func() {
		mirrorErr = diff.Guard(func() (err error) { mirror, err = c.m.store.Tables(ctx); return err })
	})
	wg.Wait()
	if sourceErr != nil {
		return nil, nil, fmt.Errorf("source: %w", sourceErr)
	}
	if mirrorErr != nil {
		return nil, nil, fmt.Errorf("mirror: %w", mirrorErr)
	}
	return source, mirror, nil
}

// matchTables pairs the tables by the options of the comparison.
func (c *comparison) matchTables(source, mirror []store.Table, state MirrorState) match.Result {
	return match.Tables(source, mirror, match.Options{
		Tables: c.opts.Tables, SkipTables: c.opts.SkipTables, IgnoreColumns: c.opts.IgnoreColumns,
		SchemaPrefixes: c.opts.SchemaPrefixes, LooseTypes: c.opts.LooseTypes,
		AnyValue: store.HoldsAnyValue(c.source) || store.HoldsAnyValue(c.m.store), Replica: state == MirrorReplica,
		NotData: func(name string) bool {
			return c.m.names.IsTable(name) || metadata.IsKept(name) || store.FoldName(name) == store.FoldName(superoffice.ReplicaState)
		},
	})
}

// refuse refuses sides that have no table in common, of which nothing can be
// compared, and names that neither side has. A mirror without tables waits for its
// first cycle, or lacks all of them.
func (c *comparison) refuse(r match.Result, mir metadata.Contents) error {
	if r.Apart && mir.Tables > 0 {
		hint := ""
		if r.Prefix != "" {
			hint = fmt.Sprintf(" If names differ by a prefix, name it in CompareOptions.SchemaPrefixes, such as %q", r.Prefix)
		}
		return wrongDatabase("the source and the mirror have no table in common: is it the right database, and may the login see all tables?%s", hint)
	}
	unknown := &Error{Op: "compare", ContextID: c.m.contextID, Err: store.ErrTableNotFound}
	for _, name := range r.Unknown {
		unknown.Tables = append(unknown.Tables, c.m.unknownTable(name, r.Names, "no comparison looks at it", "name the prefix in CompareOptions.SchemaPrefixes"))
	}
	return unknown.orNil()
}

func (c *comparison) trimPrefix(name string) string {
	return store.TrimPrefix(name, c.opts.SchemaPrefixes)
}

// inMirror is the mirror's table, or its name where the mirror has none.
func inMirror(p match.Pair) store.Table {
	if p.Mirror == nil {
		return store.Table{Name: p.Name}
	}
	return *p.Mirror
}

// describe notes what the metadata table has for a table.
func (p *pair) describe(md *metadata.Table) {
	t := inMirror(p.Pair)
	p.lsn, p.metadataSum, p.metadataDoubt = md.LSN(t), "", ""
	if doubt := md.Doubt(t); doubt != "" {
		p.lsn, p.metadataDoubt = nil, "it "+doubt
	} else if p.unread != "" {
		p.metadataDoubt = "its metadata row cannot be read: " + p.unread
	}
	p.metadataRows = len(md.Of(t))
	if p.hasMetadata = p.metadataRows > 0; p.hasMetadata && p.metadataDoubt == "" {
		p.metadataSum = md.Sum(t)
	}
}

// requested reports whether the LSN asks the next cycle for the whole table.
func (p *pair) requested() bool { return p.lsn != nil && *p.lsn == store.ResendAll }

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
func (c *comparison) mistakes(md *metadata.Table, mir metadata.Contents, pairs []match.Pair) []string {
	all := c.m.names.Mistakes(mir)
	if md == nil {
		return all
	}
	listed := 0
	var noSource, noMirror []string
	for _, p := range pairs {
		chosen := p.NotMirrored == ""
		if c.chosen != nil {
			chosen = c.chosen[store.FoldName(p.Name)]
		}
		if !chosen || len(md.Of(inMirror(p))) == 0 {
			continue
		}
		listed++
		if p.Source == nil {
			noSource = append(noSource, p.Name)
		}
		if p.Mirror == nil {
			noMirror = append(noMirror, p.Name)
		}
	}
	for _, s := range []string{lacking("source", listed, noSource), lacking("mirror", listed, noMirror)} {
		if s != "" {
			all = append(all, s)
		}
	}
	return all
}

// sameSides refuses sides that are not those that a report is about.
func (r *Report) sameSides(source, mirror Side) error {
	return sameSides("report", "compare again", r.Source, r.Mirror, source, mirror)
}

// sameSides refuses sides that are not those that a document is about, and says
// what to do.
func sameSides(document, advice string, thenSource, thenMirror, source, mirror Side) error {
	for _, s := range []struct {
		name      string
		then, now Side
	}{{"source", thenSource, source}, {"mirror", thenMirror, mirror}} {
		if s.then.ID != "" && s.now.ID != "" && s.then.ID != s.now.ID {
			return wrongDatabase("the %s is about another %s%s, not%s: %s", document, s.name, s.then.where(" "), s.now.where(" "), advice)
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
	role := "a database that its tables do not identify"
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
