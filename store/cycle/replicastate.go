package cycle

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// StateColumns names the columns of the table _ReplicationState. The vendor
// documents none: these are invented. There is a row for each partition of the
// topic, with a session, a tenant, a token and an offset, and one for each table,
// with its name and a hash of its columns.
type StateColumns struct {
	ID         string // Default: "Id", an int and the key
	Session    string // Default: "SessionId"
	Tenant     string // Default: "TenantId"
	Token      string // Default: "EncryptedToken"
	Offset     string // Default: "TopicOffset", such as "cust6647-cdc:0:19420"
	Table      string // Default: "TableName"
	SchemaHash string // Default: "SchemaHash"
}

func (c *StateColumns) setDefaults() {
	c.ID = cmp.Or(c.ID, "Id")
	c.Session = cmp.Or(c.Session, "SessionId")
	c.Tenant = cmp.Or(c.Tenant, "TenantId")
	c.Token = cmp.Or(c.Token, "EncryptedToken")
	c.Offset = cmp.Or(c.Offset, "TopicOffset")
	c.Table = cmp.Or(c.Table, "TableName")
	c.SchemaHash = cmp.Or(c.SchemaHash, "SchemaHash")
}

// stateTable is the table of the state. Its name is spelled as it is whatever the
// options say of others.
func (r *Replica) stateTable() store.Table {
	c := r.opts.State
	text := func(name, typ string) store.Column {
		return store.Column{Name: name, Type: store.MustType(typ), Nullable: true}
	}
	return store.Table{
		Schema: r.opts.Schema,
		Name:   superoffice.ReplicaState,
		Columns: []store.Column{
			{Name: c.ID, Type: store.MustType("int")},
			text(c.Session, "nvarchar(64)"), text(c.Tenant, "nvarchar(64)"), text(c.Token, "nvarchar(max)"),
			text(c.Offset, "nvarchar(255)"), text(c.Table, "nvarchar(128)"), text(c.SchemaHash, "nvarchar(64)"),
		},
		Key: []string{c.ID},
	}
}

// provisionState creates the table of the state with the first offsets unless it is
// there, and writes the tables' hashes.
func (r *Replica) provisionState(ctx context.Context, tx store.Tx, have, tables []store.Table) error {
	c := r.opts.State
	t, exists := find(have, r.stateTable())
	if !exists {
		t = r.stateTable()
		if err := tx.Create(ctx, t); err != nil {
			return err
		}
		var rows []store.Row
		for p := range r.opts.Partitions {
			rows = append(rows, store.Row{p + 1, sessionID(r.session), "tenant-" + strings.ToLower(r.customer.contextID), r.opts.Token, r.topic.text(p, r.topic.first[p])})
		}
		if err := tx.Insert(ctx, t, []string{c.ID, c.Session, c.Tenant, c.Token, c.Offset}, rows); err != nil {
			return err
		}
	}
	ids := map[string]int64{} // of the rows of tables
	last := int64(r.opts.Partitions)
	for batch, err := range tx.Rows(ctx, store.Query{Table: t, Columns: []string{c.ID, c.Table}}) {
		if err != nil {
			return err
		}
		for _, row := range batch {
			id, _ := row[0].(int64)
			last = max(last, id)
			if name, ok := row[1].(string); ok {
				ids[name] = id
			}
		}
	}
	var rows []store.Row
	for _, table := range tables {
		hash := schemaHash(table)
		if id, ok := ids[table.String()]; ok {
			if _, err := tx.Set(ctx, t, stateRow(c, id), []store.Cell{{Column: c.SchemaHash, Value: hash}}); err != nil {
				return err
			}
			continue
		}
		last++
		rows = append(rows, store.Row{last, table.String(), hash})
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.Insert(ctx, t, []string{c.ID, c.Table, c.SchemaHash}, rows)
}

func sessionID(n int) string { return fmt.Sprintf("session-%d", n+1) }

func stateRow(c StateColumns, id int64) []store.Cell { return []store.Cell{{Column: c.ID, Value: id}} }

// readOffsets returns the offset of each partition, -1 for one that there is not.
func (r *Replica) readOffsets(ctx context.Context) ([]int64, error) {
	offsets := make([]int64, r.opts.Partitions)
	for p := range offsets {
		offsets[p] = -1
	}
	q := store.Query{Table: r.state, Columns: []string{r.opts.State.ID, r.opts.State.Offset}}
	for batch, err := range r.db.Rows(ctx, q) {
		if err != nil {
			return nil, store.WrapError(ctx, err, "read the offsets")
		}
		for _, row := range batch {
			id, _ := row[0].(int64)
			text, _ := row[1].(string)
			if id < 1 || id > int64(len(offsets)) {
				continue
			}
			if n, ok := strings.CutPrefix(text, r.topic.text(int(id-1), -1)); ok {
				if offset, err := strconv.ParseInt(n, 10, 64); err == nil {
					offsets[id-1] = offset
				}
			}
		}
	}
	return offsets, nil
}

// moveOffsets writes the offsets of the partitions.
func (r *Replica) moveOffsets(ctx context.Context, tx store.Tx, offsets map[int]int64) error {
	for p := range r.opts.Partitions {
		offset, ok := offsets[p]
		if !ok {
			continue
		}
		set := []store.Cell{{Column: r.opts.State.Offset, Value: r.topic.text(p, offset)}}
		if _, err := tx.Set(ctx, r.state, stateRow(r.opts.State, int64(p+1)), set); err != nil {
			return err
		}
	}
	return nil
}

// resetState begins a new session, whose offsets are 0. Rows that somebody
// deleted come back.
func (r *Replica) resetState(ctx context.Context, tx store.Tx) error {
	c := r.opts.State
	session := sessionID(r.session + 1)
	for p := range r.opts.Partitions {
		where := stateRow(c, int64(p+1))
		set := []store.Cell{{Column: c.Session, Value: session}, {Column: c.Offset, Value: r.topic.text(p, 0)}}
		n, err := tx.Set(ctx, r.state, where, set)
		if err != nil {
			return err
		}
		if n == 0 {
			columns, row := []string{c.ID, c.Session, c.Offset}, store.Row{p + 1, session, r.topic.text(p, 0)}
			if err := tx.Insert(ctx, r.state, columns, []store.Row{row}); err != nil {
				return err
			}
		}
	}
	return nil
}
