package mirrortest

import (
	"fmt"
	"strings"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/stretchr/testify/require"
)

// client is a customer with a replica in the scenario's store.
type client struct {
	*env
	db       *memory.Store
	customer *cycle.Customer
	replica  *cycle.Replica
}

func (t *env) client(opts *cycle.ReplicaOptions, tables ...memory.Table) *client {
	t.Helper()
	p := &client{env: t, db: memory.New(tables...)}
	p.customer = cycle.NewCustomer(ContextID, p.db)
	p.replica = cycle.NewReplica(p.customer, t.store, opts)
	require.NoError(t, p.replica.Provision(t.Context()))
	return p
}

func (p *client) step() {
	p.Helper()
	require.NoError(p, p.replica.Step(p.Context()))
}

func (p *client) catchUp() {
	p.Helper()
	require.NoError(p, p.replica.CatchUp(p.Context()))
}

// change runs fn in a transaction of the customer.
func (p *client) change(table string, fn func(tx store.Tx, def store.Table) error) {
	p.Helper()
	def := Definition(p.T, p.db, table)
	require.NoError(p, p.customer.Update(p.Context(), func(tx store.Tx) error { return fn(tx, def) }))
}

func (p *client) insert(table string, rows ...store.Row) {
	p.Helper()
	p.change(table, func(tx store.Tx, def store.Table) error { return tx.Insert(p.Context(), def, def.ColumnNames(), rows) })
}

func (p *client) set(table, column string, id, value any) {
	p.Helper()
	p.change(table, func(tx store.Tx, def store.Table) error {
		_, err := tx.Set(p.Context(), def, []store.Cell{{Column: def.Key[0], Value: id}}, []store.Cell{{Column: column, Value: value}})
		return err
	})
}

func (p *client) delete(table string, id any) {
	p.Helper()
	p.change(table, func(tx store.Tx, def store.Table) error {
		_, err := tx.Delete(p.Context(), def, []store.Cell{{Column: def.Columns[0].Name, Value: id}})
		return err
	})
}

// has demands that the replica's table has these rows, in key order.
func (p *client) has(table string, rows ...string) {
	p.Helper()
	def, ok := p.replica.Table(table)
	require.True(p, ok, table)
	require.Equal(p, rows, p.texts(def, nil))
}

// texts returns the rows of a table of the replica, in key order.
func (p *client) texts(def store.Table, columns []string) []string {
	p.Helper()
	var all []string
	for batch, err := range p.store.Rows(p.Context(), store.Query{Table: def, Columns: columns, Key: def.Key}) {
		require.NoError(p, err)
		for _, row := range batch {
			values := make([]any, len(row))
			for i, v := range row {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				values[i] = v
			}
			all = append(all, strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
		}
	}
	return all
}

// offset returns the offset of the first partition.
func (p *client) offset() string {
	p.Helper()
	return p.texts(p.table(superoffice.ReplicaState), []string{"TopicOffset"})[0]
}
