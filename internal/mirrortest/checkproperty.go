package mirrortest

import (
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// CheckProperty checks random replicas with random damage, which both sides keep,
// and demands that counts and verdicts are those that brute force finds in memory,
// whatever the options.
func CheckProperty(t *testing.T, open Open, seeds int, limits ...Unfit) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
	found, verdicts := map[replica.What]int64{}, map[replica.Verdict]int{}
	over := 0
	var joins atomic.Int64
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newFrozen(t, rand.New(rand.NewPCG(seed, 11)), open, limits)
			report, err := replica.Check(t.Context(), joinCounted{through{p.reference}, func() { joins.Add(1) }}, p.replica, &p.opts)
			require.NoError(t, err)
			for what, n := range p.judge(t, report) {
				found[what] += n
			}
			tr := report.Table("stock")
			verdicts[tr.Verdict]++
			if p.keys > p.opts.MaxKeys {
				over++
			}
		})
	}
	t.Logf("%d seeds: %v, %v, %d with more keys than are read again, %d ranges joined", seeds, found, verdicts, over, joins.Load())
	if canJoin(t, open, open) {
		require.Greater(t, joins.Load(), int64(seeds/8))
	}
	if seeds < 200 { // too few to play everything
		return
	}
	for _, what := range []replica.What{replica.Missing, replica.Extra, replica.Older, replica.Newer, replica.LargeNull, replica.Placeholder,
		replica.Rounded, replica.Changed, replica.AfterBackup} {
		require.Greater(t, found[what], int64(seeds/20), what)
	}
	for _, v := range []replica.Verdict{replica.Equal, replica.NewStale, replica.OldStale, replica.Ghosts, replica.Undecided} {
		require.Positive(t, verdicts[v], v)
	}
	require.Greater(t, over, seeds/10)
}

// frozen is a replica beside a reference, neither of which changes.
type frozen struct {
	reference, replica store.Store
	opts               replica.Options
	mirror             bool // the reference is an old mirror
	moves              int  // cycles that it is seen to have
	quiet              bool // which send another table

	types        []store.Type // of the reference's columns
	names        []string
	key          []string
	replicaTypes []string
	sides        [2][]store.Row // rows of both sides, in the order of names, as the stores have them
	keys         int            // that differ and have to be explained
}

// stockTypes are types that the two sides may give a column.
var stockTypes = [][2]string{
	{"int", "int"}, {"smallint", "int"}, {"nvarchar(20)", "nvarchar(30)"}, {"float", "float"}, {"bit", "bit"}, {"decimal(9,3)", "decimal(12,4)"},
	{"datetime", "datetime"}, {"datetime2(7)", "datetime2(7)"}, {"varbinary(8)", "varbinary(9)"},
	{"ntext", "nvarchar(max)"}, {"nvarchar(max)", "nvarchar(max)"}, {"varbinary(max)", "varbinary(max)"},
}

func newFrozen(t *testing.T, r *rand.Rand, open Open, limits []Unfit) *frozen {
	p := &frozen{}
	unfit := func(typ store.Type, key bool, v driver.Value) bool {
		return slices.ContainsFunc(limits, func(unfit Unfit) bool { return unfit(typ, key, v) })
	}
	type column struct {
		name        string
		types       [2]string
		key         bool
		stamp, null bool
	}
	columns := []column{{name: "id", types: [][2]string{{"int", "int"}, {"bigint", "bigint"}, {"int", "bigint"}, {"smallint", "int"}}[r.IntN(4)], key: true}}
	if r.IntN(3) == 0 {
		columns = append(columns, column{name: "line", types: [2]string{"nvarchar(8)", "nvarchar(8)"}, key: true})
	}
	if r.IntN(4) > 0 {
		columns = append(columns, column{name: "updated", types: [2]string{"datetime", "datetime"}, stamp: true, null: true})
	}
	if r.IntN(3) > 0 {
		columns = append(columns, column{name: "updatedCount", types: [2]string{"smallint", "smallint"}, stamp: true, null: true})
	}
	for i := range 1 + r.IntN(4) {
		c := column{name: fmt.Sprint("c", i), types: stockTypes[r.IntN(len(stockTypes))], null: true}
		if !unfit(store.MustType(c.types[0]), false, nil) {
			columns = append(columns, c)
		}
	}
	columns = append(columns, column{name: "big", types: stockTypes[len(stockTypes)-1-r.IntN(3)], null: true}, column{name: "at", types: [2]string{"datetime", "datetime"}, null: true})
	var keyed [2]bool
	switch r.IntN(8) {
	case 0: // neither
	case 1, 2:
		keyed[1] = true // only the replica declares it
	case 3:
		keyed[0] = true
	default:
		keyed = [2]bool{true, true}
	}
	sides := [2]memory.Table{{Name: "stock"}, {Name: "STOCK"}}
	for _, c := range columns {
		p.names = append(p.names, c.name)
		p.types = append(p.types, store.MustType(c.types[0]))
		p.replicaTypes = append(p.replicaTypes, c.types[1])
		null := " not null"
		if c.null {
			null = " null"
		}
		sides[0].Columns = append(sides[0].Columns, c.name+" "+c.types[0]+null)
		sides[1].Columns = append(sides[1].Columns, strings.ToUpper(c.name)+" "+c.types[1]+null)
		if c.key && (keyed[0] || keyed[1]) {
			p.key = append(p.key, c.name)
		}
	}
	for side := range sides {
		for _, k := range p.key {
			if keyed[side] {
				sides[side].Key = append(sides[side].Key, [...]func(string) string{func(s string) string { return s }, strings.ToUpper}[side](k))
			}
		}
	}

	value := func(i int) driver.Value {
		c, typ := columns[i], p.types[i]
		if c.null && r.IntN(8) == 0 {
			return nil
		}
		switch {
		case c.name == "updated":
			return day.Add(time.Duration(r.IntN(6)) * time.Second)
		case c.name == "updatedCount":
			return r.IntN(3)
		case typ.Name == "smallint":
			return r.IntN(9)
		case typ.Name == "int":
			return r.IntN(1000)
		}
		for {
			if v := RandomValue(r, typ); !unfit(typ, false, v) {
				return v
			}
		}
	}
	taken := map[string]bool{}
	fresh := func() store.Row {
		for {
			row := store.Row{r.IntN(300)}
			for i := 1; i < len(columns); i++ {
				row = append(row, value(i))
				if columns[i].key {
					row[i] = []string{"a", "b", "å"}[r.IntN(3)]
				}
			}
			k := fmt.Sprint(row[:1+boolInt(columns[1].key)])
			if !taken[k] {
				taken[k] = true
				return row
			}
		}
	}
	at := func(name string) int { return slices.Index(p.names, name) }
	harm := [...]int{0, 1, 2, 3, 6}[r.IntN(5)]
	only := -1
	if r.IntN(2) == 0 {
		only = []int{0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8}[r.IntN(11)]
	}
	for range 20 + r.IntN(60) {
		row := fresh()
		its := row.Clone()
		kind := -1
		if harm > 0 && r.IntN(12) < harm {
			if kind = r.IntN(9); only >= 0 {
				kind = only
			}
		}
		switch {
		case kind == 0:
			its = nil
		case kind == 1:
			row = nil
		case kind == 2 || kind == 3: // older, or newer
			if i := at("updatedCount"); i >= 0 && (at("updated") < 0 || r.IntN(2) == 0) {
				row[i], its[i] = 5, []int{0, 9}[kind-2]
				if u := at("updated"); u >= 0 {
					row[u], its[u] = day, day
				}
			} else if i := at("updated"); i >= 0 {
				row[i], its[i] = day, day.Add(time.Duration(2*kind-5)*time.Minute)
			}
		case kind == 4:
			its[at("big")] = nil
		case kind == 5:
			if its[at("big")] = any(superoffice.Unavailable); p.types[at("big")].Kind() == store.KindBytes {
				its[at("big")] = []byte(superoffice.Unavailable)
			}
		case kind == 6:
			row[at("at")], its[at("at")] = day, day.Add(time.Duration(r.IntN(7)-3)*time.Second/300)
		case kind == 7:
			i := 2 + r.IntN(len(columns)-2)
			its[i] = value(i)
			if columns[i].key {
				its[i] = row[i]
			}
		case kind == 8: // several at once
			its[at("big")], its[at("at")] = nil, value(at("at"))
		}
		if row != nil {
			sides[0].Rows = append(sides[0].Rows, row)
			if !keyed[0] && harm > 0 && only < 0 && r.IntN(20) == 0 { // a key that repeats
				sides[0].Rows = append(sides[0].Rows, row)
			}
		}
		if its != nil {
			sides[1].Rows = append(sides[1].Rows, its)
			if !keyed[1] && harm > 0 && only < 0 && r.IntN(20) == 0 {
				sides[1].Rows = append(sides[1].Rows, its)
			}
		}
	}
	r.Shuffle(len(sides[1].Rows), func(i, j int) { sides[1].Rows[i], sides[1].Rows[j] = sides[1].Rows[j], sides[1].Rows[i] })

	p.opts = replica.Options{
		MaxKeys: []int{1, 2, 5, 1000, 1000}[r.IntN(5)], MaxSamples: r.IntN(4) - 1, RoundedTimes: r.IntN(4) == 0,
		Strategy: strategies[r.IntN(len(strategies))],
		Tuning:   mirror.Tuning{Concurrency: r.IntN(4), DigestRows: 1 + r.Int64N(40), SplitRows: max(0, r.Int64N(40)-10)},
	}
	switch r.IntN(4) {
	case 0:
		p.opts.AsOf = day.Add(time.Duration(r.IntN(4)) * time.Second)
	case 1:
	default:
		p.mirror, p.moves, p.quiet = true, []int{0, 1, 2, 3, 4, 4}[r.IntN(6)], r.IntN(2) == 0
	}
	p.load(t, open, sides)
	return p
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// load creates both sides, and takes over what the stores made of the values.
func (p *frozen) load(t *testing.T, open Open, sides [2]memory.Table) {
	t.Helper()
	stores := [2]store.Store{open(t), open(t)}
	p.reference, p.replica = stores[0], stores[1]
	other := memory.Table{Name: "pulse", Columns: []string{"id int"}, Key: []string{"id"}}
	for side, st := range stores {
		tables := []memory.Table{sides[side], other}
		if side == 0 && p.mirror {
			tables = append(tables, memory.Table{Name: superoffice.MetadataTable(ContextID), Columns: []string{"tablename nvarchar(128)", "LSN bigint"},
				Rows: []store.Row{{"stock", 10}, {"pulse", 10}}})
		}
		source := memory.New(tables...)
		for _, lit := range tables {
			def, rows, ok := source.Table(lit.Name)
			require.True(t, ok)
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				if err := tx.Create(t.Context(), def); err != nil || len(rows) == 0 {
					return err
				}
				return tx.Insert(t.Context(), def, def.ColumnNames(), rows)
			}))
		}
		def := Definition(t, st, sides[side].Name)
		for batch, err := range st.Rows(t.Context(), store.Query{Table: def}) {
			require.NoError(t, err)
			for _, row := range batch {
				p.sides[side] = append(p.sides[side], row.Clone())
			}
		}
	}
	clock := NewClockwork()
	for n := range p.moves {
		clock.After(time.Duration(n+1)*20*time.Minute-time.Second, func() {
			name := "stock"
			if p.quiet {
				name = "pulse"
			}
			md := Definition(t, p.reference, superoffice.MetadataTable(ContextID))
			require.NoError(t, p.reference.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Set(t.Context(), md, cells("tablename", name), cells("LSN", 11+n))
				return err
			}))
		})
	}
	p.opts.Clock = clock
}
