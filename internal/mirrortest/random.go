package mirrortest

import (
	"database/sql/driver"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// randomSides makes a table and damages a copy of it.
func randomSides(r *rand.Rand, limits []Unfit) twoSides {
	unfit := func(typ store.Type, key bool, v driver.Value) bool {
		return slices.ContainsFunc(limits, func(unfit Unfit) bool { return unfit(typ, key, v) })
	}
	s := twoSides{source: memory.Table{Name: "t"}, mirror: memory.Table{Name: "T"}}
	var keyed []store.Row
	columns := 1 + r.IntN(5)
	s.at = r.Perm(columns)
	s.key = r.Perm(columns)[:min(columns, r.IntN(4))]
	loose := r.IntN(2) == 0 // the mirror has no key, so rows may repeat
	s.mirror.Columns = make([]string, columns)
	for i := range columns {
		typ := store.MustType(RandomTypes[r.IntN(len(RandomTypes))])
		for unfit(typ, slices.Contains(s.key, i), nil) {
			typ = store.MustType(RandomTypes[r.IntN(len(RandomTypes))])
		}
		s.types = append(s.types, typ)
		null := ""
		if slices.Contains(s.key, i) {
			null = " not null"
		}
		s.source.Columns = append(s.source.Columns, fmt.Sprintf("c%d %s%s", i, typ, null))
		// The order of columns and the case of their names do not count.
		s.mirror.Columns[s.at[i]] = fmt.Sprintf("C%d %s%s", i, typ, null)
	}
	for _, i := range s.key {
		s.source.Key = append(s.source.Key, fmt.Sprintf("c%d", i))
		if !loose {
			s.mirror.Key = append(s.mirror.Key, fmt.Sprintf("C%d", i))
		}
	}
	row := func() store.Row {
		row := make(store.Row, columns)
		for i, typ := range s.types {
			key := slices.Contains(s.key, i)
			if r.IntN(8) > 0 || key {
				row[i] = RandomValue(r, typ)
				for unfit(typ, key, row[i]) {
					row[i] = RandomValue(r, typ)
				}
			}
		}
		return row
	}
	damaged := func(old store.Row) store.Row {
		changed := old.Clone()
		i := r.IntN(columns)
		if !slices.Contains(s.key, i) || loose {
			changed[i] = row()[i]
		}
		return changed
	}
	taken := map[string]bool{}
	free := func(row store.Row) bool {
		if len(s.key) == 0 {
			return true
		}
		k := s.keyOf(row)
		if taken[k] {
			return false
		}
		taken[k] = true
		return true
	}
	for range r.IntN(60) {
		if row := row(); free(row) {
			s.source.Rows = append(s.source.Rows, row)
		}
	}
	harm := r.IntN(4) // from none to much
	for _, row := range s.source.Rows {
		switch n := r.IntN(12); {
		case n < harm: // lost
		case n < 2*harm:
			keyed = append(keyed, damaged(row))
		default:
			keyed = append(keyed, row)
		}
		for loose && harm > 0 && r.IntN(8) == 0 {
			keyed = append(keyed, [...]func(store.Row) store.Row{store.Row.Clone, damaged}[r.IntN(2)](row))
		}
	}
	for range harm * r.IntN(10) {
		if row := row(); loose || free(row) {
			keyed = append(keyed, row)
		}
	}
	r.Shuffle(len(keyed), func(i, j int) { keyed[i], keyed[j] = keyed[j], keyed[i] })
	for _, row := range keyed {
		moved := make(store.Row, columns)
		for i, v := range row {
			moved[s.at[i]] = v
		}
		s.mirror.Rows = append(s.mirror.Rows, moved)
	}
	return s
}

// RandomTypes has a type of every kind but KindOther.
var RandomTypes = []string{"bit", "tinyint", "bigint", "real", "float", "decimal(9,3)", "money", "nvarchar(20)", "char(5)", "xml",
	"varbinary(8)", "date", "smalldatetime", "datetime", "datetime2(7)", "time(3)", "datetimeoffset(0)", "uniqueidentifier"}

// RandomValue returns a value of a type as a Source delivers it. The values are
// few, so that many are the same, or hard to tell apart.
func RandomValue(r *rand.Rand, typ store.Type) driver.Value {
	pick := func(literals ...any) driver.Value {
		v, err := store.Normalize(typ, literals[r.IntN(len(literals))])
		if err != nil {
			panic(err)
		}
		return v
	}
	at := day.Add(time.Duration(r.IntN(8)) * 3_333_333)
	switch typ.Kind() {
	case store.KindBool:
		return pick(false, true)
	case store.KindInt:
		if typ.Name == "tinyint" {
			return pick(0, 1, 2, 255)
		}
		return pick(int64(math.MinInt64), -1, 0, 1, int64(math.MaxInt64), r.IntN(100), r.IntN(100), r.IntN(100))
	case store.KindFloat:
		return pick(-1.5, math.Copysign(0, -1), 0.0, 0.1, 1e30)
	case store.KindDecimal:
		return pick("-10", "-1.5", "-1.50", "-0", "0", "0.000", "0.001", "1", "01.0", "9.5", "+9.5", "10", "123456.789"[:5+r.IntN(5)])
	case store.KindString:
		return pick("", " ", "a", "A", "a ", "aa", "å", "Å", "\ufffd", "\U00010000", "a\x00")
	case store.KindBytes:
		return pick([]byte{}, []byte{0}, []byte{0, 0}, []byte{1}, []byte{0xff}, []byte("1.50"))
	case store.KindTimeOffset:
		return pick(at, at.In(east), at.Add(time.Second), at.Add(time.Second).In(time.FixedZone("", -5400)))
	case store.KindGUID:
		g := make([]byte, 16)
		g[[...]int{0, 3, 5, 8, 10, 15}[r.IntN(6)]] = byte(r.IntN(3))
		return pick(g)
	default:
		return pick(at, at.Add(time.Minute), at.AddDate(0, 0, -1))
	}
}

var east = time.FixedZone("", 2*60*60)
