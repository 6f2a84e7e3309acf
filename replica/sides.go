package replica

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/metadata"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// The roles of a Side.
const (
	roleMirror   = "mirror"
	roleReplica  = "replica"
	roleCustomer = "customer"
	roleBackup   = "backup"
	roleUnknown  = "unknown"
)

// Side is one side of a check.
type Side struct {
	store.Identity

	// Role is what the database was found to be by its tables: "mirror", "replica",
	// or "customer" for a database with neither a metadata table nor
	// _ReplicationState, which is "backup" with Options.AsOf.
	Role string `json:"role"`

	// ContextID is the customer's context identifier, as far as the name of the
	// metadata table or the replica's offsets tell it.
	ContextID string `json:"contextId,omitempty"`
}

// String says which database it is.
func (s Side) String() string {
	what := map[string]string{
		roleMirror: "the old mirror", roleReplica: "the replica", roleCustomer: "a customer's database", roleBackup: "a backup",
		roleUnknown: "a database of unknown kind",
	}[s.Role]
	if s.ContextID != "" {
		what += " of " + text.Printable(s.ContextID)
	}
	for _, part := range []string{strings.TrimSpace(s.Engine + " " + s.Version), s.Server, s.Database, s.Schema} {
		if part != "" {
			what += ", " + text.Printable(part)
		}
	}
	return what
}

func wrongDatabase(format string, args ...any) error {
	return fmt.Errorf("%w: %s", mirror.ErrWrongDatabase, fmt.Sprintf(format, args...))
}

// identify finds out what the two databases are.
func (c *check) identify(ctx context.Context) error {
	r := c.report
	var err error
	if r.Reference.Identity, err = store.IdentityOf(ctx, c.reference); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if r.Replica.Identity, err = store.IdentityOf(ctx, c.replica); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if id := r.Reference.ID; id != "" && id == r.Replica.ID {
		return wrongDatabase("the reference and the replica are the same database, %s", text.Printable(r.Replica.Database))
	}
	state, tables := c.replica, c.replicaTables
	if c.o.State != nil {
		if tables, err = c.o.State.Tables(ctx); err != nil {
			return fmt.Errorf("state of the replica: %w", err)
		}
		state = c.o.State
	}
	c.state = newStateReader(state, tables)
	c.state.look(ctx)
	names := metadata.Names{ContextID: c.o.ContextID}.WithDefaults()
	reference, replica := names.Contents(c.referenceTables, nil), names.Contents(c.replicaTables, nil)
	r.Reference.Role, r.Replica.Role = roleCustomer, roleUnknown
	if !c.o.AsOf.IsZero() {
		r.Reference.Role = roleBackup
	}
	switch {
	case c.state.table != nil:
		r.Replica.Role, r.Replica.ContextID = roleReplica, c.state.contextID()
	case replica.Own != nil || len(replica.Others) > 0:
		return wrongDatabase("the database to check is an old mirror: pass the old mirror as the reference, and the replica as the second")
	default:
		r.Warnings = append(r.Warnings, "the replica: "+c.state.Unknown)
	}
	c.follows = newFollows(c.reference, names, c.referenceTables)
	if reference.Own != nil || len(reference.Others) > 0 {
		if err := c.chooseMirror(reference); err != nil {
			return err
		}
	} else if slices.ContainsFunc(c.referenceTables, func(t store.Table) bool { return isState(t.Name) }) {
		of := newStateReader(c.reference, c.referenceTables)
		of.look(ctx)
		r.Reference.Role, r.Reference.ContextID = roleReplica, of.contextID()
		if r.Replica.Role != roleReplica {
			return wrongDatabase("the reference is a replica by its table %s, and the database to check is none: exchange them, or serve the replica's state as Options.State", of.Table)
		}
	}
	for _, s := range []struct{ known, said string }{{r.Reference.ContextID, r.Replica.ContextID}, {c.o.ContextID, r.Replica.ContextID}} {
		if s.known != "" && s.said != "" && store.FoldName(s.known) != store.FoldName(s.said) {
			return wrongDatabase("the reference is of %q, and the replica's offsets are of %q", text.Name(s.known), text.Name(s.said))
		}
	}
	for _, id := range []string{c.o.ContextID, r.Reference.ContextID, r.Replica.ContextID} {
		if r.ContextID == "" {
			r.ContextID = id
		}
	}
	return nil
}

// chooseMirror finds the metadata table of the mirror that is the reference.
func (c *check) chooseMirror(contents metadata.Contents) error {
	id := c.o.ContextID
	switch {
	case contents.Own != nil && id != "":
	case len(contents.Others) == 1 && id == "":
		id = contents.ContextIDs[0]
	case id == "":
		return wrongDatabase("the reference has the metadata tables of several customers, %s: name the one that is meant in ContextID",
			strings.Join(contents.Others, ", "))
	default:
		return wrongDatabase("the reference has no metadata table of %q, but %s", text.Name(id), strings.Join(contents.Others, ", "))
	}
	c.follows.names = metadata.Names{ContextID: id}.WithDefaults()
	t, ok := c.follows.names.Find(c.referenceTables)
	if !ok {
		return wrongDatabase("the reference has no metadata table of %q", text.Name(id))
	}
	c.follows.table = &t
	c.report.Reference.Role, c.report.Reference.ContextID = roleMirror, id
	return nil
}

// isNoData reports whether a table is of the replicating itself.
func isNoData(name string) bool {
	folded := store.FoldName(name)
	return isState(name) || metadata.IsKept(name) || strings.HasSuffix(folded, store.FoldName(superoffice.MetadataSuffix))
}
