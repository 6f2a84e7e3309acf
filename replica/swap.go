package replica

import (
	"fmt"
	"strings"
)

// CheckSwap reports with an error when the two databases of r do not have each other's
// names since an earlier report. The server's own identity of a database is no help: it
// can change with the name. What a database is, is told by its tables.
func (r *Report) CheckSwap(before *Report) error {
	old, its := before.Reference, before.Replica
	switch {
	case old.Role != roleMirror || its.Role != roleReplica:
		return fmt.Errorf("the earlier report compares %s with %s: only an old mirror and a replica swap their names", old.kind(), its.kind())
	case before.ContextID != r.ContextID:
		return fmt.Errorf("the earlier report is of %q, this one of %q", before.ContextID, r.ContextID)
	case r.Reference.Role != roleMirror || r.Replica.Role != roleReplica:
		return fmt.Errorf("the reference is %s and the database to check %s: want the old mirror and the replica", r.Reference.kind(), r.Replica.kind())
	case sameName(r.Reference, old) && sameName(r.Replica, its):
		return fmt.Errorf("the names were not swapped: %s is still the old mirror, and %s the replica", old.Database, its.Database)
	case !sameName(r.Reference, its) || !sameName(r.Replica, old):
		return fmt.Errorf("these are other databases than before: the replica was %s and is %s, the old mirror was %s and is %s",
			its.Database, r.Replica.Database, old.Database, r.Reference.Database)
	}
	return nil
}

// kind names what a database was found to be.
func (s Side) kind() string {
	switch s.Role {
	case roleMirror:
		return "an old mirror"
	case roleReplica:
		return "a replica"
	default:
		return "a database that is neither an old mirror nor a replica"
	}
}

func sameName(a, b Side) bool {
	return a.Engine == b.Engine && strings.EqualFold(a.Server, b.Server) && a.Database == b.Database
}
