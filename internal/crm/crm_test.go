package crm_test

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

var update = flag.Bool("update", false, "write testdata/rows.golden")

func table(t testing.TB, name string) store.Table {
	t.Helper()
	tab, ok := crm.Table(name)
	require.True(t, ok, name)
	return tab
}

func TestTables(t *testing.T) {
	tables := crm.Tables()
	require.Len(t, tables, 22)
	require.Equal(t, "contact", tables[0].Name)
	columns := 0
	for _, tab := range tables {
		require.Len(t, tab.Key, 1, tab.Name)
		_, ok := tab.Column(tab.Key[0])
		require.True(t, ok, tab.Name)
		columns += len(tab.Columns)
	}
	require.Equal(t, 675, columns, "lines of schema.tsv without the heading")

	t.Run("spelling, types and nullability are the vendor's", func(t *testing.T) {
		tab := table(t, "SALEHIST")
		require.Equal(t, "saleHist", tab.Name)
		c, ok := table(t, "contact").Column("deleteddate")
		require.True(t, ok)
		require.Equal(t, store.Column{Name: "DeletedDate", Type: store.MustType("datetime"), Nullable: true}, c)
		require.Equal(t, []string{"Category_id"}, table(t, "category").Key)
		c, _ = table(t, "binaryobject").Column("binaryData")
		require.Equal(t, store.MustType("varbinary(max)"), c.Type)
	})
	t.Run("the caller owns what it gets", func(t *testing.T) {
		tables[0].Columns[0].Name = "changed"
		tables[0].Key[0] = "changed"
		require.Equal(t, "contact_id", crm.Tables()[0].Columns[0].Name)
		require.Equal(t, "contact_id", crm.Tables()[0].Key[0])
	})
	t.Run("unknown", func(t *testing.T) {
		_, ok := crm.Table("nope")
		require.False(t, ok)
	})
}

func TestOptionsRows(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  crm.Options
		table string
		want  int
	}{
		{"default", crm.Options{}, "contact", 1000},
		{"in proportion", crm.Options{}, "person", 2500},
		{"name is folded", crm.Options{}, "Person", 2500},
		{"many", crm.Options{Contacts: 1_000_000}, "appointment", 4_000_000},
		{"few", crm.Options{Contacts: 10}, "associate", 3},
		{"list", crm.Options{Contacts: 1_000_000}, "country", 40},
		{"capped", crm.Options{Contacts: 1_000_000}, "binaryobject", 500},
		{"empty", crm.Options{}, "saleHist", 0},
		{"unknown", crm.Options{}, "nope", 0},
		{"set", crm.Options{Counts: map[string]int{"SaleHist": 7}}, "salehist", 7},
		{"set to nothing", crm.Options{Counts: map[string]int{"contact": 0}}, "contact", 0},
		{"negative", crm.Options{Contacts: -1}, "person", 0},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.opts.Rows(c.table)) })
	}
	for _, tab := range crm.Tables() {
		if tab.Name != "saleHist" {
			require.Positive(t, crm.Options{}.Rows(tab.Name), tab.Name)
		}
	}
}

// everyTable has at least 100 rows in every table.
func everyTable() crm.Options {
	return crm.Options{Counts: map[string]int{
		"saleHist": 100, "associate": 100, "project": 100, "binaryobject": 100,
		"category": 100, "business": 100, "country": 100,
	}}
}

func TestGolden(t *testing.T) {
	var b strings.Builder
	for _, tab := range crm.Tables() {
		h := sha256.New()
		n := 0
		for row := range crm.Rows(tab, everyTable()) {
			for _, v := range row {
				h.Write(encode(t, v))
			}
			if n++; n == 100 {
				break
			}
		}
		fmt.Fprintf(&b, "%s %x\n", tab.Name, h.Sum(nil))
	}
	const file = "testdata/rows.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func encode(t *testing.T, v driver.Value) []byte {
	t.Helper()
	long := func(kind byte, s []byte) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{kind}, uint64(len(s))), s...)
	}
	switch x := v.(type) {
	case nil:
		return []byte{0}
	case int64:
		return binary.BigEndian.AppendUint64([]byte{1}, uint64(x))
	case float64:
		return binary.BigEndian.AppendUint64([]byte{2}, math.Float64bits(x))
	case string:
		return long(3, []byte(x))
	case []byte:
		return long(4, x)
	case time.Time:
		return long(5, []byte(x.Format(time.RFC3339Nano)))
	}
	require.FailNow(t, "unexpected type", "%T", v)
	return nil
}

func TestDeterminism(t *testing.T) {
	opts := everyTable()
	for _, tab := range crm.Tables() {
		t.Run(tab.Name, func(t *testing.T) {
			g := crm.NewGenerator(tab, opts)
			n := 0
			for row := range crm.Rows(tab, opts) {
				if n%37 == 0 { // any row, alone
					require.Equal(t, row, g.Row(n))
				}
				n++
			}
			require.Equal(t, opts.Rows(tab.Name), n)
			require.Equal(t, n, g.Len())
			require.Equal(t, g.Row(99), crm.Row(tab, 99, opts))

			turned := tab
			turned.Schema, turned.Key = "crm7", nil
			turned.Columns = slices.Clone(tab.Columns)
			slices.Reverse(turned.Columns)
			row := crm.Row(turned, 42, opts)
			slices.Reverse(row)
			require.Equal(t, crm.Row(tab, 42, opts), row, "a value depends on names, not on places")

			other := opts
			other.Seed = 1
			require.NotEqual(t, crm.Row(tab, 42, opts), crm.Row(tab, 42, other))
		})
	}
}

func TestRowsStops(t *testing.T) {
	n := 0
	for range crm.Rows(table(t, "contact"), crm.Options{}) {
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n)
}

// TestValuesAreNormal: what Normalize would change, a store would too, and
// two databases made alike would differ.
func TestValuesAreNormal(t *testing.T) {
	opts := crm.Options{Contacts: 2000, Counts: everyTable().Counts}
	for _, tab := range crm.Tables() {
		t.Run(tab.Name, func(t *testing.T) {
			g := crm.NewGenerator(tab, opts)
			for i := range min(g.Len(), 4000) {
				for j, v := range g.Row(i) {
					c := tab.Columns[j]
					if v == nil {
						require.True(t, c.Nullable, "%s of row %d", c.Name, i)
						continue
					}
					n, err := store.Normalize(c.Type, v)
					require.NoError(t, err, "%s of row %d", c.Name, i)
					if !same(v, n) {
						require.Equal(t, n, v, "%s of row %d", c.Name, i)
						require.Fail(t, "not the same bits", "%s of row %d: %v", c.Name, i, v)
					}
				}
			}
		})
	}
}

// same is stricter than equality of values: the same Go value.
func same(a, b driver.Value) bool {
	switch x := a.(type) {
	case []byte:
		y, ok := b.([]byte)
		return ok && x != nil && string(x) == string(y)
	case float64:
		y, ok := b.(float64)
		return ok && math.Float64bits(x) == math.Float64bits(y)
	default:
		return a == b
	}
}

func TestKeys(t *testing.T) {
	opts := crm.Options{Contacts: 10_000}
	for _, tab := range crm.Tables() {
		t.Run(tab.Name, func(t *testing.T) {
			at := slices.Index(tab.ColumnNames(), tab.Key[0])
			last, gaps := int64(0), 0
			for row := range crm.Rows(tab, opts) {
				key, ok := row[at].(int64)
				require.True(t, ok)
				require.Greater(t, key, last)
				if key > last+1 {
					gaps++
				}
				last = key
			}
			switch n := opts.Rows(tab.Name); {
			case n >= 500:
				require.Greater(t, gaps, n/64/2, "rows that were deleted")
			case tab.Name == "country":
				require.Equal(t, int64(n), last, "a list has no gaps")
			}
		})
	}
}

func TestReferences(t *testing.T) {
	opts := crm.Options{Contacts: 500}
	for _, c := range []struct{ table, column, to string }{
		{"contact", "associate_id", "associate"},
		{"contact", "country_id", "country"},
		{"contact", "category_idx", "category"},
		{"contact", "mother_id", "contact"},
		{"contact", "updated_associate_id", "associate"},
		{"person", "contact_id", "contact"},
		{"person", "userdef_id", "udpersonsmall"},
		{"appointment", "invitedPersonId", "person"},
		{"appointment", "agenda_text_id", "text"},
		{"sale", "nddAppointment_id", "appointment"},
		{"ticket", "cust_id", "person"},
		{"ej_message", "ticket_id", "ticket"},
		{"selectionmember", "targetRecordId", "contact"},
		{"address", "owner_id", "contact"},
	} {
		t.Run(c.table+"."+c.column, func(t *testing.T) {
			keys := map[int64]bool{0: true} // 0 is none
			for row := range column(t, c.to, table(t, c.to).Key[0], opts) {
				keys[row.(int64)] = true
			}
			distinct := map[int64]bool{}
			for v := range column(t, c.table, c.column, opts) {
				if v != nil {
					require.True(t, keys[v.(int64)], "%v is no key of %s", v, c.to)
					distinct[v.(int64)] = true
				}
			}
			require.Greater(t, len(distinct), 2)
		})
	}
	t.Run("to an empty table", func(t *testing.T) {
		opts := crm.Options{Counts: map[string]int{"contact": 0, "country": 0}}
		for v := range column(t, "address", "owner_id", opts) {
			require.Equal(t, int64(0), v)
		}
		for v := range column(t, "person", "country_id", opts) {
			require.Equal(t, int64(0), v)
		}
	})
	t.Run("columns of a row agree", func(t *testing.T) {
		member := table(t, "selectionmember")
		names := member.ColumnNames()
		owner, target := slices.Index(names, "contact_id"), slices.Index(names, "targetRecordId")
		for row := range crm.Rows(member, opts) {
			if row[target] != nil {
				require.Equal(t, row[owner], row[target])
			}
		}
		object := table(t, "binaryobject")
		names = object.ColumnNames()
		size, data := slices.Index(names, "blobSize"), slices.Index(names, "binaryData")
		for row := range crm.Rows(object, crm.Options{Contacts: 10_000}) {
			b, _ := row[data].([]byte)
			require.Equal(t, int64(len(b)), row[size])
		}
		contact, names := table(t, "contact"), table(t, "contact").ColumnNames()
		flag, when := slices.Index(names, "deleted"), slices.Index(names, "DeletedDate")
		for row := range crm.Rows(contact, opts) {
			if row[flag] != nil {
				require.Equal(t, row[when] != nil, row[flag] == int64(1))
			}
		}
		made, changed, later := slices.Index(names, "registered"), slices.Index(names, "updated"), 0
		for row := range crm.Rows(contact, opts) {
			later += btoi(row[changed].(time.Time).After(row[made].(time.Time)))
		}
		require.Greater(t, later, 450, "but for edges, contacts are changed after they were made")
		phone := table(t, "phone")
		names = phone.ColumnNames()
		number, search := slices.Index(names, "phone"), slices.Index(names, "searchPhoneNumber")
		for row := range crm.Rows(phone, opts) {
			if row[search] != nil {
				require.Equal(t, strings.ReplaceAll(row[number].(string), " ", ""), row[search])
			}
		}
	})
}

// column yields one column of a table.
func column(t *testing.T, name, col string, opts crm.Options) iter.Seq[driver.Value] {
	t.Helper()
	tab := table(t, name)
	c, ok := tab.Column(col)
	require.True(t, ok, "%s.%s", name, col)
	tab.Columns = []store.Column{c}
	return func(yield func(driver.Value) bool) {
		for row := range crm.Rows(tab, opts) {
			if !yield(row[0]) {
				return
			}
		}
	}
}

// TestEdges: each class of values that comparisons get wrong is there in
// 10,000 rows.
func TestEdges(t *testing.T) {
	opts := crm.Options{Contacts: 10_000, Counts: map[string]int{
		"sale": 10_000, "text": 10_000, "ej_message": 10_000, "binaryobject": 10_000,
	}}
	text := func(f func(s string) bool) func(driver.Value) bool {
		return func(v driver.Value) bool { s, ok := v.(string); return ok && f(s) }
	}
	date := func(layout string) func(driver.Value) bool {
		return func(v driver.Value) bool {
			x, ok := v.(time.Time)
			return ok && strings.HasPrefix(x.Format("2006-01-02 15:04:05.000"), layout)
		}
	}
	millis := func(ms int) func(driver.Value) bool {
		return func(v driver.Value) bool { x, ok := v.(time.Time); return ok && x.Nanosecond() == ms*1e6 }
	}
	float := func(want float64) func(driver.Value) bool {
		return func(v driver.Value) bool {
			x, ok := v.(float64)
			return ok && math.Float64bits(x) == math.Float64bits(want)
		}
	}
	size := func(want int) func(driver.Value) bool {
		return func(v driver.Value) bool { b, ok := v.([]byte); return ok && len(b) == want }
	}
	number := func(want int64) func(driver.Value) bool {
		return func(v driver.Value) bool { return v == want }
	}
	units := func(s string) int { return len(utf16.Encode([]rune(s))) }
	for _, c := range []struct {
		name, table, column string
		is                  func(driver.Value) bool
	}{
		{"NULL", "contact", "department", func(v driver.Value) bool { return v == nil }},
		{"empty string", "contact", "name", func(v driver.Value) bool { return v == "" }},
		{"apostrophe", "contact", "name", text(func(s string) bool { return strings.Contains(s, "O'") })},
		{"Nordic", "contact", "name", text(func(s string) bool { return strings.HasPrefix(s, "Ærlig Øl ") })},
		{"Polish", "contact", "name", text(func(s string) bool { return strings.Contains(s, "Łódź") })},
		{"Greek", "contact", "name", text(func(s string) bool { return strings.Contains(s, "Ελλάδα") })},
		{"Japanese", "contact", "name", text(func(s string) bool { return strings.Contains(s, "株式会社") })},
		{"surrogate pair", "contact", "name", text(func(s string) bool { return strings.Contains(s, "𝒳") })},
		{"emoji", "contact", "name", text(func(s string) bool { return strings.Contains(s, "🚀") })},
		{"trailing blank", "contact", "name", text(func(s string) bool { return strings.HasSuffix(s, " ") })},
		{"upper case", "contact", "name", text(func(s string) bool { return strings.HasPrefix(s, "ÆRLIG") })},
		{"lower case", "contact", "name", text(func(s string) bool { return strings.HasPrefix(s, "ærlig") })},
		{"full column", "contact", "name", text(func(s string) bool { return units(s) == 219 && strings.HasSuffix(s, "😀") })},
		{"full 4000", "text", "text", text(func(s string) bool { return units(s) == 4000 })},
		{"line break", "text", "text", text(func(s string) bool { return strings.Contains(s, "\r\n") })},
		{"10 kB", "ej_message", "body", text(func(s string) bool { return len(s) > 10_000 })},
		{"more than 8,000 bytes", "text", "html_text", text(func(s string) bool { return len(s) > 8000 })},
		{".000", "contact", "registered", millis(0)},
		{".003", "contact", "registered", millis(3)},
		{".007", "contact", "registered", millis(7)},
		{".997", "contact", "registered", millis(997)},
		{"leap day", "contact", "registered", date("2024-02-29")},
		{"first datetime", "contact", "registered", date("1753-01-01 00:00:00.000")},
		{"last datetime", "contact", "registered", date("9999-12-31 23:59:59.997")},
		{"no date", "contact", "dbi_last_modified", date("1760-01-01 00:00:00.000")},
		{"no date in a time stamp", "contact", "registered", date("1760-01-01 00:00:00.000")},
		{"before 1970", "contact", "registered", date("1969-12-31 23:59:59.997")},
		{"-0", "sale", "amount", float(math.Copysign(0, -1))},
		{"0", "sale", "amount", float(0)},
		{"0.1", "sale", "amount", float(0.1)},
		{"next to 0.3", "sale", "amount", float(math.Nextafter(0.3, 1))},
		{"1e-300", "sale", "amount", float(1e-300)},
		{"half", "sale", "amount", float(2.5)},
		{"largest float", "sale", "amount", float(math.MaxFloat64)},
		{"no bytes", "binaryobject", "binaryData", size(0)},
		{"one byte", "binaryobject", "binaryData", size(1)},
		{"8,001 bytes", "binaryobject", "binaryData", size(8001)},
		{"64 kB", "binaryobject", "binaryData", size(1 << 16)},
		{"false", "contact", "xstop", number(0)},
		{"true", "contact", "xstop", number(1)},
		{"no key", "sale", "project_id", number(0)},
		{"least smallint", "contact", "source", number(math.MinInt16)},
		{"greatest smallint", "contact", "source", number(math.MaxInt16)},
		{"greatest int", "ej_message", "time_spent", number(math.MaxInt32)},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, 10_000, opts.Rows(c.table))
			n := 0
			for v := range column(t, c.table, c.column, opts) {
				if c.is(v) {
					n++
				}
			}
			require.Positive(t, n)
			require.Less(t, n, 9999, "not everything")
		})
	}

	twins := func(name string, fold func(string) string) {
		t.Run(name, func(t *testing.T) {
			first, n := map[string]string{}, 0
			for v := range column(t, "contact", "name", opts) {
				s := v.(string)
				if other, ok := first[fold(s)]; !ok {
					first[fold(s)] = s
				} else if other != s {
					n++
				}
			}
			require.Greater(t, n, 10)
		})
	}
	twins("twins by case", strings.ToLower)
	twins("twins by blanks at the end", func(s string) string { return strings.TrimRight(s, " ") })
	t.Run("twins of the row before", func(t *testing.T) {
		var before string
		upper, lower, blank, blanks := 0, 0, 0, 0
		for v := range column(t, "contact", "name", opts) {
			s := v.(string)
			upper += btoi(s != before && s == strings.ToUpper(before))
			lower += btoi(s != before && s == strings.ToLower(before))
			blank += btoi(s == before+" ")
			blanks += btoi(strings.HasSuffix(s, "  "))
			before = s
		}
		for _, n := range []int{upper, lower, blank, blanks} {
			require.Greater(t, n, 10)
		}
	})
	t.Run("much has no date", func(t *testing.T) {
		none, all := 0, 0
		for v := range column(t, "appointment", "done", crm.Options{}) {
			none += btoi(v.(time.Time).Year() == 1760)
			all++
		}
		require.Greater(t, none, all/3)
	})
	t.Run("twins of their first 8,000 characters", func(t *testing.T) {
		heads, n := map[string]int{}, 0
		for v := range column(t, "ej_message", "body", opts) {
			if s, ok := v.(string); ok && len(s) > 8000 {
				heads[s[:8000]]++
				n++
			}
		}
		require.Greater(t, n, 10)
		require.Len(t, heads, 1)
	})
	t.Run("sizes are moderate", func(t *testing.T) {
		total := 0
		for v := range column(t, "binaryobject", "binaryData", crm.Options{Contacts: 1_000_000}) {
			b, _ := v.([]byte)
			total += len(b)
		}
		require.Less(t, total, 4<<20)
	})
	t.Run("Bool is 0 or 1", func(t *testing.T) {
		for v := range column(t, "appointment", "hasAlarm", opts) {
			require.Contains(t, []driver.Value{nil, int64(0), int64(1)}, v)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestOtherTables(t *testing.T) {
	t.Run("shorter text", func(t *testing.T) {
		short := store.Table{Name: "contact", Columns: []store.Column{{Name: "name", Type: store.MustType("nvarchar(5)")}}}
		for row := range crm.Rows(short, crm.Options{}) {
			n, err := store.Normalize(short.Columns[0].Type, row[0])
			require.NoError(t, err)
			require.Equal(t, n, row[0])
		}
	})
	t.Run("unknown columns", func(t *testing.T) {
		tab := store.Table{Name: "y_car"}
		for _, s := range []string{"smallint", "int", "bigint", "float", "nvarchar(1)", "varbinary(10)", "datetime", "datetime2(3)"} {
			tab.Columns = append(tab.Columns, store.Column{Name: "x_" + s, Type: store.MustType(s), Nullable: true})
		}
		n := 0
		for row := range crm.Rows(tab, crm.Options{Counts: map[string]int{"y_car": 300}}) {
			n++
			for i, v := range row {
				want, err := store.Normalize(tab.Columns[i].Type, v)
				require.NoError(t, err)
				require.Equal(t, want, v)
			}
		}
		require.Equal(t, 300, n)
	})
	for _, typ := range []string{"decimal(9,2)", "datetime2(2)", "tinyint"} {
		t.Run("no values of "+typ, func(t *testing.T) {
			tab := store.Table{Name: "contact", Columns: []store.Column{{Name: "x", Type: store.MustType(typ)}}}
			require.Panics(t, func() { crm.NewGenerator(tab, crm.Options{}) })
		})
	}
}

// recorder is a Store that keeps what Load writes.
type recorder struct {
	store.Store
	created []store.Table
	chunks  map[string][][]store.Row // kept, not copied
	updates int
	chunk   int // most rows of one Insert
	bytes   int // most bytes of binaryData of one Insert
	fail    error
	before  func()
}

func (r *recorder) Update(_ context.Context, fn func(store.Tx) error) error {
	r.updates++
	return fn(recorderTx{r: r})
}

func (r *recorder) rows(table string) []store.Row { return slices.Concat(r.chunks[table]...) }

type recorderTx struct {
	store.Tx
	r *recorder
}

func (tx recorderTx) Create(_ context.Context, t store.Table) error {
	tx.r.created = append(tx.r.created, t)
	return nil
}

func (tx recorderTx) Insert(ctx context.Context, t store.Table, columns []string, rows []store.Row) error {
	if tx.r.before != nil {
		tx.r.before()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("insert: %w", ctx.Err())
	}
	if tx.r.fail != nil {
		return tx.r.fail
	}
	if !slices.Equal(columns, t.ColumnNames()) || len(rows) == 0 {
		return errors.New("unexpected insert")
	}
	tx.r.chunks[t.Name] = append(tx.r.chunks[t.Name], rows)
	tx.r.chunk = max(tx.r.chunk, len(rows))
	bytes := 0
	for _, row := range rows {
		for _, v := range row {
			b, _ := v.([]byte)
			bytes += len(b)
		}
	}
	tx.r.bytes = max(tx.r.bytes, bytes)
	return nil
}

func TestLoad(t *testing.T) {
	opts := crm.Options{Contacts: 1234, Schema: "crm7", Counts: map[string]int{"binaryobject": 2000}}
	newRecorder := func() *recorder { return &recorder{chunks: map[string][][]store.Row{}} }

	t.Run("all tables", func(t *testing.T) {
		r := newRecorder()
		require.NoError(t, crm.Load(t.Context(), r, opts))
		tables := crm.Tables()
		for i := range tables {
			tables[i].Schema = "crm7"
		}
		require.Equal(t, tables, r.created)
		require.Equal(t, len(tables), r.updates)
		for _, tab := range tables {
			require.Len(t, r.rows(tab.Name), opts.Rows(tab.Name), tab.Name)
			for i, row := range r.rows(tab.Name) {
				if i%100 == 0 {
					require.Equal(t, crm.Row(tab, i, opts), row)
				}
			}
		}
		require.Equal(t, 500, r.chunk)
		require.Less(t, r.bytes, 1<<20+1<<16, "a chunk of large rows has fewer")
		require.Greater(t, r.bytes, 1<<19)
	})
	t.Run("named tables", func(t *testing.T) {
		r := newRecorder()
		require.NoError(t, crm.Load(t.Context(), r, opts, "SaleHist", "Contact"))
		require.Len(t, r.created, 2)
		require.Equal(t, "saleHist", r.created[0].Name)
		require.Equal(t, 2, r.updates)
		require.Len(t, r.rows("contact"), 1234)
	})
	t.Run("unknown table", func(t *testing.T) {
		r := newRecorder()
		require.ErrorIs(t, crm.Load(t.Context(), r, opts, "contact", "nope"), store.ErrTableNotFound)
		require.Zero(t, r.updates)
	})
	t.Run("failed insert", func(t *testing.T) {
		r := newRecorder()
		r.fail = errors.New("disk full")
		err := crm.Load(t.Context(), r, opts, "contact", "person")
		require.ErrorIs(t, err, r.fail)
		require.EqualError(t, err, "load table crm7.contact: disk full")
		require.Equal(t, 1, r.updates)
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newRecorder()
		r.before = cancel
		require.Equal(t, context.Canceled, crm.Load(ctx, r, opts))
		require.Empty(t, r.chunks)
	})
}

func BenchmarkRows(b *testing.B) {
	for _, name := range []string{"contact", "person", "appointment", "ej_message", "phone", "udpersonsmall", "binaryobject"} {
		b.Run(name, func(b *testing.B) {
			g := crm.NewGenerator(table(b, name), crm.Options{Contacts: 1_000_000})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				g.Row(i)
				i++
			}
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkRow(b *testing.B) {
	t := table(b, "contact")
	b.ReportAllocs()
	for b.Loop() {
		crm.Row(t, 12345, crm.Options{})
	}
}
