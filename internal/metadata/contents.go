package metadata

import (
	"fmt"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// Contents is what the names of a database's tables tell about it.
type Contents struct {
	Own        *store.Table // the metadata table of this mirror
	Others     []string     // the metadata tables of other customers, and
	ContextIDs []string     // their context identifiers
	Kept       string       // a metadata table that a hard reset kept
	Replica    bool         // it has superoffice.ReplicaState
	Never      []string     // tables that are never mirrored
	Tables     int          // without all of these that a cycle does not send
}

// Contents looks through the tables of a database. Trim takes prefixes off their
// names; nil takes off none.
func (n Names) Contents(tables []store.Table, trim func(string) string) Contents {
	var c Contents
	for i, t := range tables {
		if trim != nil {
			t.Name = trim(t.Name)
		}
		id, own, ok := n.isMetadata(t)
		folded := store.FoldName(t.Name)
		_, never := superoffice.BlockedReason(folded)
		switch {
		case own:
			c.Own = &tables[i]
		case ok:
			c.Others, c.ContextIDs = append(c.Others, text.Name(tables[i].Name)), append(c.ContextIDs, id)
		case IsKept(t.Name):
			c.Kept = text.Name(tables[i].Name)
		case folded == store.FoldName(superoffice.ReplicaState):
			c.Replica = true
		default:
			c.Tables++
			if never {
				c.Never = append(c.Never, text.Name(tables[i].Name))
			}
		}
	}
	return c
}

// isMetadata reports whether a table is a metadata table, and whose: the
// mirror's own by its name, any other one by its name and its columns.
func (n Names) isMetadata(t store.Table) (contextID string, own, ok bool) {
	if n.IsTable(t.Name) || store.FoldName(t.Name) == store.FoldName(superoffice.MetadataTable(n.ContextID)) {
		return n.ContextID, true, true
	}
	_, hasName := t.Column(n.TableColumn)
	_, hasLSN := t.Column(n.LSNColumn)
	if !strings.HasSuffix(store.FoldName(t.Name), superoffice.MetadataSuffix) || !hasName || !hasLSN {
		return "", false, false
	}
	id := strings.TrimRight(t.Name, " ")
	return id[:len(id)-len(superoffice.MetadataSuffix)], false, true
}

// Mistakes are sentences that say why a database with these contents is hardly the
// mirror that is meant.
func (n Names) Mistakes(c Contents) []string {
	switch {
	case c.Own != nil:
		return nil
	case len(c.Others) > 0:
		return []string{fmt.Sprintf("the mirror has no metadata table %s, but %s: is the context identifier right?",
			text.Name(n.Table), strings.Join(c.Others, ", "))}
	case len(c.Never) > 0 && !c.Replica && c.Kept == "":
		return []string{fmt.Sprintf("the mirror has no metadata table, but tables that are never mirrored, such as %s: is it the customer's own database?",
			strings.Join(c.Never[:min(len(c.Never), 3)], ", "))}
	default:
		return nil
	}
}
