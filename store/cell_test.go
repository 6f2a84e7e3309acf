package store_test

import (
	"database/sql/driver"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
)

// identical is equality without any rule: not even a time's offset may change.
func identical(a, b driver.Value) bool {
	x, ok := a.(time.Time)
	y, ok2 := b.(time.Time)
	if ok && ok2 {
		_, ox := x.Zone()
		_, oy := y.Zone()
		return x.Equal(y) && ox == oy
	}
	plain := store.Type{Name: "sql_variant"}
	return store.EqualValues(plain, plain, a, b)
}

func TestCellJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := []driver.Value{nil, "\x00\n\"\u2028", "a\xed\xa0\x80b", "\x1b[31m", math.SmallestNonzeroFloat64, math.Copysign(0, -1), []byte{}, []byte{0xff, 0xfe},
		int64(math.MinInt64), noon.Add(1), noon.In(time.FixedZone("", -34200)), time.Date(1, 1, 1, 23, 59, 59, 999999900, time.UTC)}
	for _, name := range mirrortest.RandomTypes {
		for range 20 {
			values = append(values, mirrortest.RandomValue(r, store.MustType(name)))
		}
	}
	for _, v := range values {
		text, err := json.Marshal(store.Cell{Column: "navn å", Value: v, Size: 3})
		require.NoError(t, err)
		var back store.Cell
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, "navn å", back.Column)
		require.Equal(t, 3, back.Size)
		require.True(t, identical(v, back.Value), "%#v became %#v through %s", v, back.Value, text)
	}
	for _, c := range []struct{ text, want string }{
		{`{"column":"a","type":"int","value":"812"}`, "a=812"},
		{`{"column":"a","type":"null"}`, "a=NULL"},
		{`{"column":"a","type":"string","value":"NULL"}`, `a="NULL"`},
		{`{"column":"a","type":"decimal","value":"-12.50"}`, "a=-12.50"},
		{`{"column":"a","type":"guid","value":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}`, "a=6F9619FF-8B86-D011-B42D-00C04FC964FF"},
		{`{"column":"a","type":"bytes","value":"AAH/"}`, "a=0x0001FF"},
		{`{"column":"a","type":"float","value":"-0"}`, "a=-0"},
	} {
		var cell store.Cell
		require.NoError(t, json.Unmarshal([]byte(c.text), &cell), c.text)
		require.Equal(t, c.want, cell.String())
		again, err := json.Marshal(cell)
		require.NoError(t, err)
		require.Equal(t, c.text, string(again))
	}
	for _, bad := range []string{`{"column":"a","type":"int","value":"1.5"}`, `{"column":"a","type":"int"}`, `{"column":"a","type":"null","value":""}`,
		`{"column":"a","type":"float","value":"NaN"}`, `{"column":"a","type":"float","value":"1e999"}`, `{"column":"a","type":"bytes","value":"*"}`,
		`{"column":"a","type":"time","value":"noon"}`, `{"column":"a","type":"guid","value":"6F96"}`, `{"column":"a","type":"xml","value":""}`,
		`{"column":"a","type":"bool","value":"maybe"}`, `{"column":"a"}`, `[]`, `{"column":1}`} {
		var cell store.Cell
		require.Error(t, json.Unmarshal([]byte(bad), &cell), bad)
	}
	_, err := json.Marshal(store.Cell{Column: "a", Value: 5})
	require.ErrorContains(t, err, "column a: cannot write a int as JSON")
}

func FuzzCellJSON(f *testing.F) {
	for _, s := range []string{
		`{"column":"LSN","type":"int","value":"812"}`, `{"column":"a","type":"null"}`, `{"column":"a","type":"float","value":"-0"}`,
		`{"column":"a","type":"bool","value":"true"}`, `{"column":"a","type":"string","value":"\u0000\ud83d\ude00"}`,
		`{"column":"a","type":"time","value":"2026-02-03T04:05:06.0066667-09:30"}`, `{"column":"a","type":"decimal","value":"-12.50"}`,
		`{"column":"a","type":"guid","value":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}`, `{"column":"a","type":"bytes","value":"AAH/"}`,
		`{"column":"a","type":"string","value":"x","size":6000}`, `{"column":"a","type":"xml","value":"x"}`, `null`, `{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var cell store.Cell
		if err := json.Unmarshal(data, &cell); err != nil {
			return
		}
		require.NotEmpty(t, cell.String())
		text, err := json.Marshal(cell)
		require.NoError(t, err)
		var back store.Cell
		require.NoError(t, json.Unmarshal(text, &back), "%s", text)
		require.Equal(t, cell.Column, back.Column)
		require.Equal(t, cell.Size, back.Size)
		require.Equal(t, cell.String(), back.String())
		require.True(t, identical(cell.Value, back.Value), "%#v became %#v through %s", cell.Value, back.Value, text)
	})
}
