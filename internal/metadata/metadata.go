// Package metadata reads, understands and writes the metadata table of a mirror:
// where it is, which of its rows mean which table, when two rows are the same, and
// how one is changed only as long as nobody else did. What is done to which table is
// its caller's to decide: it knows no operation and no receipt. It imports package
// store, the facts in internal/superoffice, internal/sum and internal/text.
package metadata

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
	"github.com/so-mirror/mirror/store"
)

// ErrUnexpected is the root's ErrMetadata.
var ErrUnexpected = errors.New("unexpected metadata table")

// Names are the names of a customer's metadata table and of the two columns that
// the vendor documents. All other columns are carried along untouched.
type Names struct{ ContextID, Table, TableColumn, LSNColumn string }

// WithDefaults fills in the vendor's names where there are none.
func (n Names) WithDefaults() Names {
	n.Table = cmp.Or(n.Table, superoffice.MetadataTable(n.ContextID))
	n.TableColumn = cmp.Or(n.TableColumn, "tablename")
	n.LSNColumn = cmp.Or(n.LSNColumn, "LSN")
	return n
}

// IsTable reports whether a name is that of the metadata table.
func (n Names) IsTable(name string) bool { return store.FoldName(name) == store.FoldName(n.Table) }

// Find returns the metadata table among tables.
func (n Names) Find(tables []store.Table) (store.Table, bool) { return find(tables, n.Table) }

func find(tables []store.Table, name string) (store.Table, bool) {
	folded := store.FoldName(name)
	i := slices.IndexFunc(tables, func(t store.Table) bool { return store.FoldName(t.Name) == folded })
	if i < 0 {
		return store.Table{}, false
	}
	return tables[i], true
}

// keptPrefix begins the name of what a hard reset made of the metadata table.
// Such a name does not end as that of a metadata table does, whoever looks for
// one.
const keptPrefix = "before_hard_reset_"

// IsKept reports whether a table is a metadata table that a hard reset kept.
func IsKept(table string) bool { return strings.HasPrefix(store.FoldName(table), keptPrefix) }

// Kept is the name that a hard reset gives to the metadata table.
func (n Names) Kept() string {
	name := keptPrefix + n.ContextID
	if len(name) > text.MaxName {
		sum := sha256.Sum256([]byte(store.FoldName(n.ContextID)))
		end := "_" + hex.EncodeToString(sum[:8])
		name = name[:text.MaxName-len(end)] + end
	}
	return name
}

// FindKept returns what a hard reset of this mirror kept.
func (n Names) FindKept(tables []store.Table) (store.Table, bool) { return find(tables, n.Kept()) }

// Definition is a metadata table with the two columns that the vendor documents.
type Definition struct {
	store.Table
	TableColumn, LSNColumn store.Column
}

// Define finds the two columns. That one is missing or of another type is
// ErrUnexpected.
func (n Names) Define(t store.Table) (Definition, error) {
	d := Definition{Table: t}
	var err error
	d.TableColumn, err = column(t, n.TableColumn, "text", func(typ store.Type) bool {
		return typ.Kind() == store.KindString || typ.Kind() == store.KindBytes || typ.Kind() == store.KindAny
	})
	if err == nil {
		d.LSNColumn, err = column(t, n.LSNColumn, "an integer", func(typ store.Type) bool {
			return typ.Kind() == store.KindInt || typ.Kind() == store.KindAny || typ.Name == "decimal" && typ.Scale == 0
		})
	}
	return d, err
}

func column(t store.Table, name, want string, ok func(store.Type) bool) (store.Column, error) {
	c, found := t.Column(name)
	if !found {
		return c, fmt.Errorf("%w %q: no column %q among %s: name the right one in Options",
			ErrUnexpected, text.Name(t.Name), text.Name(name), text.Clip(text.Printable(strings.Join(t.ColumnNames(), ", ")), 4*text.MaxName))
	}
	if !ok(c.Type) {
		return c, fmt.Errorf("%w %q: column %q is %s, not %s: name the right one in Options",
			ErrUnexpected, text.Name(t.Name), text.Name(c.Name), text.Name(c.Type.String()), want)
	}
	return c, nil
}
