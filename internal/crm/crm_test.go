package crm_test

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"flag"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

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
