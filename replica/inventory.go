package replica

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/store"
)

// Lack is an object that the reference's database has and the replica's does not.
type Lack struct {
	store.Object

	// Without are the tables and views that the object uses and the replica's
	// database does not have: it cannot be created there as it is.
	Without []string `json:"without,omitempty"`

	// Broken says that the replica's database has the object, and lacks what it
	// uses.
	Broken bool `json:"broken,omitempty"`
}

// String names the object.
func (l Lack) String() string {
	name := l.Name
	switch l.Kind {
	case store.ObjectIndex, store.ObjectTrigger:
		name += " on " + l.On.Name
	case store.ObjectGrant:
		switch {
		case strings.HasPrefix(l.Detail, "member of "):
			name += ", " + l.Detail
		case l.On.Name != "":
			name = fmt.Sprintf("%s on %s to %s", l.Detail, l.On.Name, l.Name)
		case l.On.Schema != "":
			name = fmt.Sprintf("%s on schema %s to %s", l.Detail, l.On.Schema, l.Name)
		default:
			name = l.Detail + " to " + l.Name
		}
	}
	if len(l.Without) > 0 {
		name += " (uses " + list(l.Without) + ", which the replica does not have)"
	}
	return name
}

// inventory finds the objects that the replica's database lacks.
func (c *check) inventory(ctx context.Context) error {
	// What readers use is in the old mirror's database, and not in the customer's.
	if ctx.Err() != nil || c.report.Reference.Role == roleCustomer || c.report.Reference.Role == roleBackup {
		return nil
	}
	reference, known, err := store.ObjectsOf(ctx, c.reference)
	var replica []store.Object
	if err == nil && known {
		replica, known, err = store.ObjectsOf(ctx, c.replica)
	}
	if c.report.InventoryKnown = known && err == nil; !c.report.InventoryKnown {
		return err
	}
	has := map[string]bool{}
	for _, o := range replica {
		has[c.identity(o)] = true
	}
	names := map[string]bool{}
	for _, t := range c.replicaTables {
		names[c.bare(t.Name)] = true
	}
	add := func(objects []store.Object) {
		for _, o := range objects {
			if o.Kind != store.ObjectGrant && o.Kind != store.ObjectIndex {
				names[c.bare(o.Name)] = true
			}
		}
	}
	without := func(o store.Object) (lacking []string) {
		for _, use := range o.Uses {
			if !names[c.bare(use.Name)] {
				lacking = append(lacking, use.Name)
			}
		}
		return lacking
	}
	add(replica)
	for _, o := range replica {
		if lacking := without(o); lacking != nil {
			c.report.Lacks = append(c.report.Lacks, Lack{Object: o, Without: lacking, Broken: true})
		}
	}
	add(reference)                // what is created on the way
	excluded := map[string]bool{} // tables that the newer client does not have by intent
	for _, t := range c.tables {
		excluded[c.bare(t.report.Table)] = t.report.Verdict == Excluded
	}
	for _, o := range reference {
		if has[c.identity(o)] || isNoData(o.On.Name) || excluded[c.bare(o.On.Name)] {
			continue
		}
		c.report.Lacks = append(c.report.Lacks, Lack{Object: o, Without: without(o)})
	}
	return nil
}

// identity is what an object is known by in both databases: schemas do not count,
// and an index is known by what it does and not by its name.
func (c *check) identity(o store.Object) string {
	on := c.bare(o.On.Name)
	switch o.Kind {
	case store.ObjectIndex:
		return fmt.Sprintf("%s|%s|%s", o.Kind, on, store.FoldName(o.Detail))
	case store.ObjectGrant:
		return fmt.Sprintf("%s|%s|%s|%t|%s", o.Kind, store.FoldName(o.Name), on, o.On.Schema != "", store.FoldName(o.Detail))
	default:
		return fmt.Sprintf("%s|%s", o.Kind, c.bare(o.Name))
	}
}

func (c *check) bare(name string) string { return store.FoldName(store.TrimPrefix(name, c.prefixes)) }

// kinds are the kinds of objects that are lacking, each once.
func kinds(lacks []Lack) (found []store.ObjectKind) {
	for _, k := range []store.ObjectKind{store.ObjectView, store.ObjectSynonym, store.ObjectProcedure, store.ObjectTrigger, store.ObjectGrant, store.ObjectIndex} {
		if slices.ContainsFunc(lacks, func(l Lack) bool { return l.Kind == k }) {
			found = append(found, k)
		}
	}
	return found
}
