package store

import (
	"database/sql/driver"
	"strconv"
)

// Table describes one table.
type Table struct {
	// Schema is the schema prefix, such as "dbo" or "crm7". It is empty for
	// engines without schemas.
	Schema string `json:"schema,omitempty"`

	// Name is the name without its schema, as the database spells it.
	Name string `json:"name"`

	// Columns are in the order of the table. Nothing depends on that order.
	Columns []Column `json:"columns"`

	// Key names the columns of the primary key in key order. It is empty for
	// a table without one.
	Key []string `json:"key,omitempty"`

	// Omit says why the rows that can be read are not all there are, such as a
	// policy that hides some from this login, or a virtual table whose module is
	// missing. Such a table is not comparable. It is "" for all others.
	Omit string `json:"omit,omitempty"`
}

// String returns the name with its schema: "crm7.contact".
func (t Table) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// Column returns the column of exactly that name, or else the only one whose
// name [FoldName] folds alike.
func (t Table) Column(name string) (Column, bool) {
	folded := FoldName(name)
	var alike []Column
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
		if FoldName(c.Name) == folded {
			alike = append(alike, c)
		}
	}
	if len(alike) != 1 {
		return Column{}, false
	}
	return alike[0], true
}

// ColumnNames returns the names of all columns in the order of the table.
func (t Table) ColumnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Column describes one column of a table.
type Column struct {
	// Name is the name as the database spells it.
	Name string `json:"name"`

	// Type is the SQL Server type, whatever the engine: "nvarchar(219)".
	Type Type `json:"type"`

	// Nullable says whether NULL is allowed.
	Nullable bool `json:"nullable,omitempty"`

	// Default is the default expression as the database spells it, or "".
	Default string `json:"default,omitempty"`

	// Generated is true for computed columns, whose values the database
	// makes. They are reported but not compared, and never written; Create
	// takes them for plain columns, because their expression is not known.
	Generated bool `json:"generated,omitempty"`

	// Omit says why the values that this login reads cannot be compared: they
	// are masked or encrypted, or the server fills the column by itself. It is
	// "" for all others.
	Omit string `json:"omit,omitempty"`
}

// Row holds the values of one row in the order of [Query.Columns]. Each value
// is nil for NULL or has the one Go type that [Kind] documents for its column.
//
// SQLite lets a column hold values that are not of its type, such as the number
// 1577836800 in a datetime. They come as they are stored: int64, float64, string
// or []byte (in a decimal column []byte behind one byte of 0).
type Row []driver.Value

// Clone returns a copy that stays valid after the batch of r is gone.
func (r Row) Clone() Row {
	c := make(Row, len(r))
	for i, v := range r {
		if b, ok := v.([]byte); ok {
			v = append(make([]byte, 0, len(b)), b...)
		}
		c[i] = v
	}
	return c
}

// LSN is the change-tracking version of the last change that was written to a
// table of a mirror. The mirror alone stores it.
type LSN int64

// ResendAll is the LSN that asks the next cycle to wipe and repopulate a table.
const ResendAll LSN = -1

// FormatLSN returns an LSN for people, "-" for none.
func FormatLSN(lsn *LSN) string {
	if lsn == nil {
		return "-"
	}
	return strconv.FormatInt(int64(*lsn), 10)
}
