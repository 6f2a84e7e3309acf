package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/so-mirror/mirror/internal/diff"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// pair is a table of either side, or of both.
type pair struct {
	name           string // without prefix
	source, mirror *store.Table
	lsn            *store.LSN
	hasMetadata    bool // the metadata table has a row for it
	metadataRows   int
	unread         string // why the metadata table cannot be read, or ""
	metadataDoubt  string // why it is not known which rows are its own, or what they hold
	metadataSum    string
	version        store.LSN // of the source, read after lsn
	state          LSNState
	notMirrored    string // why it is not compared, or ""
	twins          string // why it is not known which tables are meant, or ""
}

// pairs matches the tables of the two sides by name.
func (c *comparison) pairs(ctx context.Context, report *Report) ([]pair, error) {
	var err error
	if report.Source, report.Mirror, err = c.m.identify(ctx, c.source); err != nil {
		return nil, err
	}
	var sourceTables, mirrorTables []store.Table
	var sourceErr, mirrorErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		sourceErr = diff.Guard(func() (err error) { sourceTables, err = c.source.Tables(ctx); return err })
	})
	wg.Go(func() {
		mirrorErr = diff.Guard(func() (err error) { mirrorTables, err = c.m.store.Tables(ctx); return err })
	})
	wg.Wait()
	if sourceErr != nil {
		return nil, fmt.Errorf("source: %w", sourceErr)
	}
	if mirrorErr != nil {
		return nil, fmt.Errorf("mirror: %w", mirrorErr)
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

	byName := c.match(sourceTables, mirrorTables)
	if err := c.inCommon(byName, mir); err != nil {
		return nil, err
	}
	selected, err := c.selectPairs(byName, report.State)
	if err != nil {
		return nil, err
	}
	report.Scope.Tables = len(byName)
	report.Warnings = append(report.Warnings, c.unusedOptions(byName)...)
	report.Mistakes = c.mistakes(md, mir, byName, selected)
	if report.State == MirrorAwaitingFirstCycle && report.Mistakes == nil {
		report.Warnings = append(report.Warnings, otherCustomers(mirrorTables)...)
		if len(mirrorTables) == 0 {
			report.Warnings = append(report.Warnings, "the mirror: "+noTables)
		}
	}
	for i := range selected {
		p := &selected[i]
		p.unread = c.unread
		p.describe(md)
		if p.metadataRows > 1 {
			t := p.inMirror()
			_, err := md.Row(t)
			report.Warnings = append(report.Warnings, t.Name+" "+err.Error())
		}
	}
	return selected, nil
}

// match pairs the tables of the two sides by their folded names.
func (c *comparison) match(sourceTables, mirrorTables []store.Table) map[string]*pair {
	byName := map[string]*pair{}
	add := func(side string, tables []store.Table, field func(*pair) **store.Table) {
		for i, t := range tables {
			name := c.trimPrefix(t.Name)
			folded := store.FoldName(name)
			if c.m.names.IsTable(name) || folded == store.FoldName(superoffice.ReplicaState) || metadata.IsKept(name) {
				continue
			}
			p := byName[folded]
			if p == nil {
				p = &pair{name: name}
				byName[folded] = p
			}
			if other := *field(p); other != nil && p.twins != "" {
				continue
			} else if other != nil {
				p.twins = fmt.Sprintf("the %s has two tables of one name, %s and %s: give the store one schema, or narrow SchemaPrefixes",
					side, text.Name(other.String()), text.Name(t.String()))
				continue
			}
			*field(p) = &tables[i]
		}
	}
	add("source", sourceTables, func(p *pair) **store.Table { return &p.source })
	add("mirror", mirrorTables, func(p *pair) **store.Table { return &p.mirror })
	return byName
}

// selectPairs picks the tables to report on, by name.
func (c *comparison) selectPairs(byName map[string]*pair, state MirrorState) ([]pair, error) {
	skipped := map[string]bool{}
	for _, s := range c.opts.SkipTables {
		skipped[store.FoldName(c.trimPrefix(s))] = true
	}
	var selected []pair
	if !c.opts.named() {
		for folded, p := range byName {
			if reason, ok := superoffice.BlockedReason(folded); ok {
				p.notMirrored = "never mirrored: " + reason
			}
			if state == MirrorReplica && folded == "binaryobject" {
				p.notMirrored = "not copied by the newer client: large binary content"
			}
			if skipped[folded] {
				p.notMirrored = "skipped by request"
			}
			selected = append(selected, *p)
		}
	} else {
		var known []string
		for _, p := range byName {
			known = append(known, p.name)
		}
		unknown := &Error{Op: "compare", ContextID: c.m.contextID, Err: store.ErrTableNotFound}
		seen := map[string]bool{}
		for _, name := range c.opts.Tables {
			folded := store.FoldName(c.trimPrefix(name))
			p := byName[folded]
			if p == nil {
				p = byString(byName, name)
			}
			if p == nil {
				unknown.Tables = append(unknown.Tables, c.m.unknownTable(name, known, "no comparison looks at it", "name the prefix in CompareOptions.SchemaPrefixes"))
				continue
			}
			if folded = store.FoldName(p.name); seen[folded] {
				continue
			}
			seen[folded] = true
			switch reason, blocked := superoffice.BlockedReason(folded); {
			case skipped[folded]:
				p.notMirrored = "skipped by request"
			case blocked && p.mirror == nil:
				p.notMirrored = "never mirrored: " + reason
			}
			selected = append(selected, *p)
		}
		if len(unknown.Tables) > 0 {
			return nil, unknown
		}
	}
	slices.SortFunc(selected, func(a, b pair) int { return strings.Compare(store.FoldName(a.name), store.FoldName(b.name)) })
	return selected, nil
}

// unusedOptions names the entries of IgnoreColumns and SkipTables that fit
// nothing, which may be slips.
func (c *comparison) unusedOptions(byName map[string]*pair) []string {
	var unused []string
	for _, name := range c.opts.SkipTables {
		if byName[store.FoldName(c.trimPrefix(name))] == nil {
			unused = append(unused, fmt.Sprintf("SkipTables: neither side has a table %q", text.Clip(name, text.MaxName)))
		}
	}
	for _, name := range c.opts.IgnoreColumns {
		used := false
		for _, p := range byName {
			for _, t := range []*store.Table{p.source, p.mirror} {
				used = used || t != nil && slices.ContainsFunc(t.Columns, func(col store.Column) bool { return c.ignores(name, p.name, col.Name) })
			}
		}
		if !used {
			unused = append(unused, fmt.Sprintf("IgnoreColumns: neither side has a column %q", text.Clip(name, 2*text.MaxName)))
		}
	}
	return unused
}

func (c *comparison) trimPrefix(name string) string {
	return store.TrimPrefix(name, c.opts.SchemaPrefixes)
}

// inMirror is the mirror's table, or its name where the mirror has none.
func (p *pair) inMirror() store.Table {
	if p.mirror == nil {
		return store.Table{Name: p.name}
	}
	return *p.mirror
}

// describe notes what the metadata table has for a table.
func (p *pair) describe(md *metadata.Table) {
	t := p.inMirror()
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

// omits reports whether a side cannot show a column.
func (p *pair) omits(column string) bool {
	s, _ := p.source.Column(column)
	m, _ := p.mirror.Column(column)
	return s.Omit != "" || m.Omit != ""
}

// requested reports whether the LSN asks the next cycle for the whole table.
func (p *pair) requested() bool { return p.lsn != nil && *p.lsn == store.ResendAll }
