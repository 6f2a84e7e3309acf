package main

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/examples/internal/spelling"
	"github.com/so-mirror/mirror/store"
)

// isPattern tells a pattern from a name.
func isPattern(s string) bool { return strings.ContainsAny(s, "*?[") }

// tables returns the tables that names and patterns mean, nil for no names. A name is
// passed through for the operation to find, a pattern is looked up in the databases.
func (t *target) tables(ctx context.Context, flag string, names []string) ([]string, error) {
	if !slices.ContainsFunc(names, isPattern) {
		return names, nil
	}
	known, err := t.names(ctx)
	if err != nil {
		return nil, err
	}
	return expand(flag, names, known)
}

// expand replaces patterns by the known names that they mean.
func expand(flag string, names, known []string) (all []string, err error) {
	for _, n := range names {
		if !isPattern(n) {
			all = append(all, n)
			continue
		}
		found, err := matching(n, known)
		if err != nil {
			return nil, usagef("%s %s: %w: write [[] where a bracket is meant", flag, n, err)
		}
		if found == nil {
			return nil, usagef("%s %s fits no table%s", flag, n, didYouMean(strings.Trim(n, "*?"), known))
		}
		all = append(all, found...)
	}
	return unique(all), nil
}

// names returns the names of the tables of both databases, as far as they are open, that
// can be mirrored.
func (t *target) names(ctx context.Context) ([]string, error) {
	blocked := mirror.BlockedTables()
	var names []string
	for _, s := range []store.Source{t.store, t.source} {
		if s == nil {
			continue
		}
		tables, err := s.Tables(ctx)
		if err != nil {
			return nil, err
		}
		for _, table := range tables {
			name := table.Name
			if t.source != nil { // a comparison knows tables by these names
				name = store.TrimPrefix(name, t.place.Compare.SchemaPrefixes)
			}
			if _, never := blocked[store.FoldName(name)]; !never && !isMetadata(name) {
				names = append(names, name)
			}
		}
	}
	return unique(names), nil
}

// areAll reports whether these are all tables that can be mirrored. It is taken for so where
// that cannot be found out.
func (t *target) areAll(ctx context.Context, tables []string) bool {
	all, err := t.names(ctx)
	return err != nil || len(tables) >= len(all)
}

func matching(pattern string, known []string) (found []string, err error) {
	for _, name := range known {
		fits, err := path.Match(store.FoldName(pattern), store.FoldName(name))
		if err != nil {
			return nil, err
		}
		if fits {
			found = append(found, name)
		}
	}
	return found, nil
}

// unique sorts names and drops those that mean the same.
func unique(names []string) []string {
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(store.FoldName(a), store.FoldName(b)) })
	return slices.CompactFunc(names, func(a, b string) bool { return store.FoldName(a) == store.FoldName(b) })
}

// didYouMean names the known word that is most like one, "" where none is.
func didYouMean(word string, known []string) string {
	best := spelling.Closest(word, known, len(word)/3+1)
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}
