package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Inventorier is an optional capability of a [Source] that can tell what its
// database has besides tables. With it a check before two databases change places
// finds what readers would miss afterwards.
type Inventorier interface {
	// Objects lists what the whole database has besides tables, in whatever
	// schema, in any order. What the engine owns is not among it: its own views
	// and permissions, and the indexes of primary keys and constraints. What the
	// login may not see is not there, which is no error. It returns an error that
	// wraps errors.ErrUnsupported when it cannot tell.
	Objects(ctx context.Context) ([]Object, error)
}

// ObjectsOf returns what the database that s serves has besides tables, ordered by
// kind and name, and false when it cannot tell.
func ObjectsOf(ctx context.Context, s Source) ([]Object, bool, error) {
	i, ok := s.(Inventorier)
	if !ok {
		return nil, false, nil
	}
	objects, err := i.Objects(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	objects = slices.Clone(objects)
	for i, o := range objects {
		uses := slices.Clone(o.Uses)
		slices.SortFunc(uses, ObjectName.compare)
		objects[i].Uses = slices.Compact(uses)
	}
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name),
			a.On.compare(b.On), cmp.Compare(a.Detail, b.Detail))
	})
	return objects, true, nil
}

// Object is something that a database has besides tables.
type Object struct {
	Kind ObjectKind `json:"kind"`

	// Schema is empty for engines without schemas and for what is in none, such
	// as an index or a grant.
	Schema string `json:"schema,omitempty"`

	// Name is the name without its schema, for a grant that of the grantee. Like
	// the names of tables it is compared as [FoldName] folds it.
	Name string `json:"name"`

	// On is the table or view of an index or a trigger, and what a grant is for:
	// the zero ObjectName is the whole database, one without Name a schema.
	On ObjectName `json:"on,omitzero"`

	// Uses are the tables, views, synonyms and procedures of the same database that
	// a view, a procedure, a trigger or a synonym names, each once and not what
	// those use in turn. The schema is empty where none is known. A table that a
	// view names need not exist any more. What a statement makes up while it runs
	// is not among them, and neither is what the engine keeps no record of.
	Uses []ObjectName `json:"uses,omitempty"`

	// Detail tells objects of one name apart, without names of schemas. For an
	// index it is the key columns in order, with what else it is: "unique
	// (updated desc) include (name) where retired = 0"; for a trigger when it
	// fires: "after insert, update"; for a synonym what it stands for where that
	// is in another database; for a grant its state and permission: "grant select
	// (name)", "deny update", "member of db_datareader". Conditions are spelled as
	// the database does.
	Detail string `json:"detail,omitempty"`
}

// String returns the name as [Table.String] does: "crm7.contact".
func (o Object) String() string { return ObjectName{o.Schema, o.Name}.String() }

// ObjectKind is what an [Object] is.
type ObjectKind string

// The kinds.
const (
	ObjectView      ObjectKind = "view"
	ObjectIndex     ObjectKind = "index"
	ObjectTrigger   ObjectKind = "trigger"
	ObjectSynonym   ObjectKind = "synonym"
	ObjectProcedure ObjectKind = "procedure" // or a function
	ObjectGrant     ObjectKind = "grant"     // or a denial, or the membership in a role
)

// ObjectName is the name of an object or a table, with its schema apart: two
// databases seldom have the same schemas.
type ObjectName struct {
	Schema string `json:"schema,omitempty"`
	Name   string `json:"name,omitempty"`
}

// String returns the name as [Table.String] does: "crm7.contact".
func (n ObjectName) String() string {
	if n.Schema == "" || n.Name == "" {
		return n.Schema + n.Name
	}
	return n.Schema + "." + n.Name
}

func (n ObjectName) compare(m ObjectName) int {
	return cmp.Or(cmp.Compare(n.Schema, m.Schema), cmp.Compare(n.Name, m.Name))
}
