package cycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/store"
)

// ReplicaOptions tune a [Replica]. nil means the defaults.
type ReplicaOptions struct {
	// Schema is the schema of the replica's tables. Default: none with a
	// TablePrefix, otherwise the one that the database serves, or "crm7" where
	// it cannot tell.
	Schema string

	// TablePrefix begins the name of every table. Default: none with a Schema,
	// otherwise "crm7." on SQLite, which has no schemas.
	TablePrefix string

	// KeepCase spells names of tables and columns as the customer's database
	// does. Default: they are in upper case.
	KeepCase bool

	// SkipTables are tables that are not copied, besides those that the client
	// never copies. Default: none.
	SkipTables []string

	// Delay is the number of Steps by which a change arrives later than with the
	// Step after it. Default: 0.
	Delay int

	// SnapshotRows is how many rows of a snapshot one Step brings.
	// Default: 10,000.
	SnapshotRows int

	// TransactionEvents is the most events that are written in one transaction.
	// Default: 10,000.
	TransactionEvents int

	// Partitions is the number of partitions of the topic, each with an offset
	// of its own. Default: 1.
	Partitions int

	// FirstOffset is the offset of a new replica's partitions, as of a topic that was
	// there for long. After RestoreTenant they begin at 0. Default: 0.
	FirstOffset int64

	// RoundTimes cuts times to multiples of it, as timestamps of Kafka Connect cut
	// them to milliseconds; times in keys stay as they are. At a millisecond a
	// datetime2(7) shows it, but a datetime, whose steps are 1/300 s, is written as
	// the value that it was. Default: times stay as they are.
	RoundTimes time.Duration

	// NullLarge and PlaceholderLarge say of a column of type (max) whether a value
	// arrives as NULL, where that is allowed, or as "__debezium_unavailable_value"
	// when its row changed and it did not. In snapshots values arrive.
	// Names are those of the customer's database. Default: values arrive.
	NullLarge, PlaceholderLarge func(table, column string) bool

	// State names the columns of the table _ReplicationState, which is in Schema.
	State StateColumns

	// Token is what the state's columns for tokens hold. Default: a text with
	// "simulated-token" in it.
	Token string
}

// Replica is the vendor's newer client, simulated: it keeps a database a replica
// of a customer's by change data capture. Nothing happens by itself; each call of
// [Replica.Step] plays one commit interval. It is safe for concurrent use.
//
// Like the client it sends a snapshot as upserts, without deletes, and applies
// changes at least once. It leaves out binary objects, the tables of the
// dictionary, and those that are never mirrored; ntext becomes nvarchar(max); and
// every table gets a primary key, the first column where the customer's has none.
// Rows are captured as they are at the Step, so a key that changed several times
// since the one before arrives once.
type Replica struct {
	customer *Customer
	db       store.Store
	opts     ReplicaOptions

	mu        sync.Mutex
	state     store.Table // without a name: not provisioned
	session   int
	tables    map[string]*copied // by folded name at the customer
	snapshots []*snapshot        // in their order
	topic     topic
	steps     int
	failAfter int // -1: never
}

// NewReplica returns a client that keeps db a replica of the customer's database.
// It does nothing before Provision.
func NewReplica(customer *Customer, db store.Store, opts *ReplicaOptions) *Replica {
	r := &Replica{customer: customer, db: db, tables: map[string]*copied{}, failAfter: -1}
	if opts != nil {
		r.opts = *opts
	}
	const events = 10_000 // the client's largest transaction
	r.opts.SnapshotRows = cmp.Or(max(r.opts.SnapshotRows, 0), events)
	r.opts.TransactionEvents = cmp.Or(max(r.opts.TransactionEvents, 0), events)
	r.opts.Partitions = max(r.opts.Partitions, 1)
	r.opts.Token = cmp.Or(r.opts.Token, "CfDJ8-simulated-token-of-"+strings.ToLower(customer.contextID))
	r.opts.State.setDefaults()
	r.topic = newTopic(strings.ToLower(customer.contextID)+"-cdc", r.opts.Partitions, max(r.opts.FirstOffset, 0))
	return r
}

// copied is a table that the client keeps.
type copied struct {
	reader
	writer
	partition int
	captured  int64                  // the version up to which changes are in the topic
	large     map[string]largeValues // by the key's text
	gone      bool                   // replaced by another, or the customer's is no more
}

// snapshot is one that has not been read to its end.
type snapshot struct {
	table *copied
	last  store.Row // the key that was read last; nil: none
}

// Table returns the replica's table of a customer's table, by its name there. It
// returns false for one that is not copied, and before Provision.
func (r *Replica) Table(name string) (store.Table, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tables[store.FoldName(name)]; t != nil {
		return t.target, true
	}
	return store.Table{}, false
}

// Provision creates the tables and the state that are missing, and requests a
// snapshot of each new table, which the following Steps bring. A table whose
// columns or key the customer changed since is dropped and created anew: called
// again it is the client's command update-schema. A table that the customer no
// longer has stays as it is.
func (r *Replica) Provision(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.place(ctx); err != nil {
		return err
	}
	source, err := r.customer.Tables(ctx)
	if err != nil {
		return store.WrapError(ctx, err, "list the customer's tables")
	}
	have, err := r.listReplica(ctx)
	if err != nil {
		return err
	}
	source = slices.DeleteFunc(slices.Clone(source), func(t store.Table) bool { return r.leftOut(t.Name) })
	slices.SortFunc(source, func(a, b store.Table) int { return strings.Compare(a.Name, b.Name) })
	wanted := make([]store.Table, len(source))
	for i, t := range source {
		if i > 0 && sameName(source[i-1].Name, t.Name) {
			return fmt.Errorf("the customer has two tables named %q", t.Name)
		}
		if wanted[i] = r.replicated(t); len(wanted[i].Columns) == 0 {
			return fmt.Errorf("table %s has no column that can be copied", t)
		}
	}
	version := r.customer.log.Version() // before any row is read
	created := make([]bool, len(source))
	err = r.db.Update(ctx, func(tx store.Tx) error {
		for i, want := range wanted {
			old, exists := find(have, want)
			created[i] = !exists || difference(want, old) != ""
			if !created[i] {
				continue
			}
			if exists {
				if err := tx.Drop(ctx, old); err != nil {
					return err
				}
			}
			if err := tx.Create(ctx, want); err != nil {
				return err
			}
		}
		return r.provisionState(ctx, tx, have, wanted)
	})
	if err != nil {
		return store.WrapError(ctx, err, "provision the replica")
	}
	if have, err = r.listReplica(ctx); err != nil {
		return err
	}
	state, ok := find(have, r.stateTable())
	if !ok {
		return fmt.Errorf("the database does not list the table %s that was created: %w", r.stateTable(), store.ErrTableNotFound)
	}
	for i, t := range source {
		target, ok := find(have, wanted[i])
		if !ok {
			return fmt.Errorf("the database does not list the table %s that was created: %w", wanted[i], store.ErrTableNotFound)
		}
		r.follow(t, target, created[i], version, i%r.opts.Partitions)
	}
	r.state = state
	return nil
}

// follow makes the client keep a table.
func (r *Replica) follow(source, target store.Table, created bool, version int64, partition int) {
	folded := store.FoldName(source.Name)
	old := r.tables[folded]
	if old != nil && !created {
		return
	}
	if old != nil {
		old.gone = true
		r.snapshots = slices.DeleteFunc(r.snapshots, func(s *snapshot) bool { return s.table == old })
	}
	t := &copied{partition: partition, captured: version}
	columns := mirrored(source).Columns
	for _, c := range columns {
		its, _ := target.Column(c.Name)
		t.into = append(t.into, its.Name)
	}
	t.reader = newReader(r.customer, source, columns, target.Key)
	t.target, t.at = target, t.key
	if r.opts.NullLarge != nil || r.opts.PlaceholderLarge != nil {
		t.large = map[string]largeValues{}
	}
	r.tables[folded] = t
	r.snapshots = append(r.snapshots, &snapshot{table: t})
}

// leftOut reports whether a table of the customer is not copied.
func (r *Replica) leftOut(name string) bool {
	folded := store.FoldName(name)
	_, blocked := superoffice.BlockedReason(folded)
	_, not := superoffice.NotCopied(folded)
	return blocked || not || slices.ContainsFunc(r.opts.SkipTables, func(skip string) bool {
		return store.FoldName(strings.TrimSpace(skip)) == folded
	})
}

// place decides where the tables are.
func (r *Replica) place(ctx context.Context) error {
	if r.opts.Schema != "" || r.opts.TablePrefix != "" {
		return nil
	}
	id, err := store.IdentityOf(ctx, r.db)
	if err != nil {
		return store.WrapError(ctx, err, "identify the replica's database")
	}
	if id.Engine == "SQLite" {
		r.opts.TablePrefix = superoffice.ReplicaSchema + "."
		return nil
	}
	r.opts.Schema = cmp.Or(id.Schema, superoffice.ReplicaSchema)
	return nil
}

// replicated returns a table of the customer as the replica holds it.
func (r *Replica) replicated(source store.Table) store.Table {
	spell := strings.ToUpper
	if r.opts.KeepCase {
		spell = func(name string) string { return name }
	}
	t := mirrored(source)
	t.Schema, t.Name, t.Key = r.opts.Schema, r.opts.TablePrefix+spell(source.Name), nil
	key := source.Key
	if len(key) == 0 && len(t.Columns) > 0 {
		key = []string{t.Columns[0].Name}
	}
	for _, name := range key {
		t.Key = append(t.Key, spell(name))
	}
	t.Columns = slices.Clone(t.Columns)
	for i, c := range t.Columns {
		if c.Type.Name == "ntext" {
			c.Type = store.MustType("nvarchar(max)")
		}
		if slices.ContainsFunc(key, func(name string) bool { return sameName(name, c.Name) }) {
			c.Nullable = false
		}
		c.Name = spell(c.Name)
		t.Columns[i] = c
	}
	return t
}

func (r *Replica) listReplica(ctx context.Context) ([]store.Table, error) {
	tables, err := r.db.Tables(ctx)
	if err != nil {
		return nil, store.WrapError(ctx, err, "list the replica's tables")
	}
	return tables, nil
}

// find returns the table of that name and, where the database says it, schema.
func find(tables []store.Table, want store.Table) (store.Table, bool) {
	for _, t := range tables {
		if sameName(t.Name, want.Name) && (want.Schema == "" || t.Schema == "" || sameName(t.Schema, want.Schema)) {
			return t, true
		}
	}
	return store.Table{}, false
}

var errNotProvisioned = errors.New("the replica has no state: call Provision first")

// Step plays one commit interval: what the customer changed since the last Step
// enters the topic, as does the next part of a snapshot; what is due of the topic
// is written, and the offset moves with it.
//
// An offset that the topic does not have, and a customer whose changes since the
// last Step are no longer known, or who is at an earlier version, reset the
// offsets as RestoreTenant does. It is ErrInterrupted when FailAfterRows strikes.
func (r *Replica) Step(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.step(ctx)
}

func (r *Replica) step(ctx context.Context) error {
	if r.state.Name == "" {
		return errNotProvisioned
	}
	r.steps++
	offsets, err := r.readOffsets(ctx)
	if err != nil {
		return err
	}
	if !r.topic.reaches(offsets) || r.lostChanges() {
		if err := r.reset(ctx); err != nil {
			return err
		}
	} else {
		r.topic.drop(offsets)
	}
	if err := r.capture(ctx); err != nil {
		return err
	}
	return r.apply(ctx)
}

// lostChanges reports whether changes after those captured may be unknown.
func (r *Replica) lostChanges() bool {
	version, oldest := r.customer.log.Version(), r.customer.log.Oldest()
	for _, t := range r.tables {
		if t.captured > version || t.captured < oldest {
			return true
		}
	}
	return false
}

// CatchUp plays Steps until all that the customer had committed before the call,
// and every snapshot, has arrived.
func (r *Replica) CatchUp(ctx context.Context) error {
	for last := 0; ; {
		r.mu.Lock()
		err := r.step(ctx)
		switch {
		case len(r.snapshots) > 0: // the next Step reads on
			last = r.steps + 1 + r.opts.Delay
		case last == 0:
			last = r.steps + r.opts.Delay
		}
		arrived := r.steps >= last
		r.mu.Unlock()
		if err != nil || arrived {
			return err
		}
	}
}

// Resync truncates tables at once and has the following Steps bring a snapshot of
// each. Tables are named as the client wants them, "crm7.person"; when one of them
// is not copied nothing happens.
func (r *Replica) Resync(ctx context.Context, tables ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Name == "" {
		return errNotProvisioned
	}
	asked, err := r.asked(tables)
	if err != nil {
		return err
	}
	err = r.db.Update(ctx, func(tx store.Tx) error {
		for _, t := range asked {
			if err := tx.Truncate(ctx, t.target); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrOutcomeUnknown) {
		return store.WrapError(ctx, err, "truncate the tables to re-synchronize")
	}
	for _, t := range asked { // also when it may be truncated
		r.snapshots = slices.DeleteFunc(r.snapshots, func(s *snapshot) bool { return s.table == t })
		r.snapshots = append(r.snapshots, &snapshot{table: t})
	}
	return err
}

var errBadTables = fmt.Errorf("name tables of this replica as in %q", superoffice.ReplicaSchema+".person")

// asked returns the tables that are named as the client wants them.
func (r *Replica) asked(names []string) ([]*copied, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("re-synchronize no tables: %w", errBadTables)
	}
	var asked []*copied
	for _, name := range names {
		bare := store.TrimPrefix(name, []string{superoffice.ReplicaSchema + "."})
		t := r.tables[store.FoldName(bare)]
		if bare == name || t == nil {
			return nil, fmt.Errorf("re-synchronize %q: %w", name, errBadTables)
		}
		asked = append(asked, t)
	}
	return asked, nil
}

// RestoreTenant plays what follows a restore, a move, a suspension or a resume of
// the tenant: the offsets begin anew, what was on its way is lost, and a snapshot
// of every table arrives as upserts. Rows that the customer lost meanwhile
// survive. The customer's side of a restore, its rows and [Customer.Restore], comes
// first.
//
// A table without a primary key whose rows change later, and one that the
// customer truncates, arrives whole: such rows of it vanish then.
func (r *Replica) RestoreTenant(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Name == "" {
		return errNotProvisioned
	}
	return r.reset(ctx)
}

func (r *Replica) reset(ctx context.Context) error {
	err := r.db.Update(ctx, func(tx store.Tx) error { return r.resetState(ctx, tx) })
	if err != nil {
		return store.WrapError(ctx, err, "reset the offsets")
	}
	r.topic = newTopic(r.topic.name, r.opts.Partitions, 0)
	r.session++
	r.snapshots = nil
	version := r.customer.log.Version()
	for _, folded := range sortedKeys(r.tables) {
		t := r.tables[folded]
		t.captured = version
		r.snapshots = append(r.snapshots, &snapshot{table: t})
	}
	return nil
}

// FailAfterRows makes the next Step that has anything to write stop with
// ErrInterrupted after n keys, or all if there are fewer. What it wrote stays, but
// the offset has not moved past the last transaction, so the next Step writes that
// again. It panics when n is negative.
func (r *Replica) FailAfterRows(n int) {
	if n < 0 {
		panic("cycle: FailAfterRows of a negative number")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failAfter = n
}
