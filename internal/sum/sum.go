// Package sum identifies rows and definitions by hashes. Its imports are of the
// standard library alone.
package sum

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"time"
)

// Hex returns the first 16 bytes of a hash, which are enough to identify.
func Hex(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:16]) }

// Value writes a value to a hash so that different values are written differently.
func Value(h hash.Hash, v driver.Value) {
	var head [9]byte
	number := func(tag byte, n uint64) {
		head[0] = tag
		binary.BigEndian.PutUint64(head[1:], n)
		h.Write(head[:])
	}
	switch x := v.(type) {
	case nil:
		number('n', 0)
	case int64:
		number('i', uint64(x))
	case float64:
		number('f', math.Float64bits(x))
	case bool:
		number('b', map[bool]uint64{true: 1}[x])
	case time.Time:
		_, offset := x.Zone()
		number('t', uint64(x.Unix()))
		number('o', uint64(x.Nanosecond())<<32|uint64(uint32(offset)))
	case string:
		number('s', uint64(len(x)))
		io.WriteString(h, x)
	case []byte:
		number('x', uint64(len(x)))
		h.Write(x)
	default:
		text := fmt.Sprintf("%T %v", x, x)
		number('?', uint64(len(text)))
		io.WriteString(h, text)
	}
}
