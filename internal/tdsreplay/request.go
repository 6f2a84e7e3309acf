package tdsreplay

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The kinds of requests, as a transcript names them.
const (
	kindPrelogin = "prelogin"
	kindLogin    = "login"
	kindBatch    = "batch"
	kindRPC      = "rpc"
	kindTran     = "transaction"
	kindBulk     = "bulk"
)

// request is a client's message as it is matched and shown: text holds all
// that has to be the same.
type request struct {
	kind string
	text string
}

// describe fails for types of messages that are not supported, such as those
// of an integrated login.
func describe(m message) (request, error) {
	switch m.typ {
	case typePrelogin:
		return request{kind: kindPrelogin}, nil
	case typeLogin:
		l, ok := readLogin(m.data)
		if !ok {
			return request{kindLogin, digest(m.data)}, nil
		}
		return request{kindLogin, l.text()}, nil
	case typeBatch:
		return request{kindBatch, shorten(batchText(m.data))}, nil
	case typeRPC:
		return request{kindRPC, shorten(rpcText(m.data))}, nil
	case typeTran:
		return request{kindTran, shorten(tranText(m.data))}, nil
	case typeBulk:
		return request{kindBulk, fmt.Sprintf("%d bytes %s", len(m.data), digest(m.data))}, nil
	}
	return request{}, fmt.Errorf("a message of type %#x is not supported", m.typ)
}

const (
	// maxText is the length of a request's text from which on only keepText
	// of it and a digest are kept.
	maxText  = 4 << 10
	keepText = 2 << 10
	// maxHex is the same for one value that is not text.
	maxHex = 512
)

func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	head := text[:keepText]
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	for !utf8.ValidString(head) && len(head) > 0 && len(head) > keepText-utf8.UTFMax {
		head = head[:len(head)-1]
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s\n... of %d bytes, sha256 %x", head, len(text), sum)
}

func digest(b []byte) string {
	if len(b) <= maxHex {
		return "0x" + hex.EncodeToString(b)
	}
	return fmt.Sprintf("0x%x... of %d bytes, sha256 %x", b[:16], len(b), sha256.Sum256(b))
}

// withoutHeaders drops ALL_HEADERS, MS-TDS 2.2.5.3: it holds the transaction
// descriptor.
func withoutHeaders(b []byte) ([]byte, bool) {
	if len(b) < 4 {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 4 || uint64(n) > uint64(len(b)) {
		return nil, false
	}
	return b[n:], true
}

func batchText(data []byte) string {
	if body, ok := withoutHeaders(data); ok {
		if s, ok := decodeUTF16(body); ok {
			return s
		}
	}
	return digest(data)
}

// tranText describes a request of the transaction manager, MS-TDS 2.2.6.9.
func tranText(data []byte) string {
	body, ok := withoutHeaders(data)
	if !ok {
		return digest(data)
	}
	c := cursor{b: body}
	text := ""
	switch typ := c.u16(); typ {
	case 5:
		level := c.u8()
		text = fmt.Sprintf("begin isolation=%d", level)
		if name, ok := c.utf16(int(c.u8())); ok && name != "" {
			text += " name=" + strconv.Quote(name)
		}
	case 7, 8:
		text = map[uint16]string{7: "commit", 8: "rollback"}[typ]
		if name, ok := c.utf16(int(c.u8())); ok && name != "" {
			text += " name=" + strconv.Quote(name)
		}
		if flags := c.u8(); flags != 0 {
			text += fmt.Sprintf(" flags=%d", flags)
		}
	default:
		return digest(body)
	}
	if c.bad {
		return digest(body)
	}
	if len(c.b) > 0 {
		text += " " + digest(c.b)
	}
	return text
}

// rpcText describes a call of a procedure, MS-TDS 2.2.6.6: a line with its
// name, and one or more for each parameter.
func rpcText(data []byte) string {
	body, ok := withoutHeaders(data)
	if !ok {
		return digest(data)
	}
	c := cursor{b: body}
	var b strings.Builder
	n := c.u16()
	if n == 0xFFFF {
		id := c.u16()
		if name, ok := procs[id]; ok {
			b.WriteString(name)
		} else {
			fmt.Fprintf(&b, "procedure %d", id)
		}
	} else {
		name, ok := c.utf16(int(n))
		if !ok {
			return digest(body)
		}
		b.WriteString(oneLine(name))
	}
	if flags := c.u16(); flags != 0 {
		fmt.Fprintf(&b, " flags=%d", flags)
	}
	for len(c.b) > 0 && !c.bad {
		name, ok := c.utf16(int(c.u8()))
		flags := c.u8()
		value, known := paramText(&c)
		if !ok || !known || c.bad {
			return digest(body)
		}
		b.WriteString("\n  ")
		if name != "" {
			b.WriteString(oneLine(name) + " ")
		}
		if flags != 0 {
			fmt.Fprintf(&b, "flags=%d ", flags)
		}
		b.WriteString(value)
	}
	if c.bad {
		return digest(body)
	}
	return b.String()
}

var procs = map[uint16]string{10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 14: "sp_prepexecrpc", 15: "sp_unprepare"}

// valueForm is how the length of a value stands before it.
type valueForm int

const (
	fixed valueForm = iota
	byteLen
	shortLen
	longLen
	chunked
)

// paramText reads TYPE_INFO and the value after it, MS-TDS 2.2.5.6, and
// reports whether it knows the type.
func paramText(c *cursor) (string, bool) {
	typ := c.u8()
	t, ok := types[typ]
	if !ok {
		return "", false
	}
	name, form, size := t.name, t.form, t.size
	switch {
	case t.scaled:
		name += fmt.Sprintf("(%d)", c.u8())
	case form == byteLen && !t.sizeless:
		size = int(c.u8())
		name += fmt.Sprintf("(%d", size)
		if t.decimal {
			name += fmt.Sprintf(",%d,%d", c.u8(), c.u8())
		}
		name += ")"
	case form == shortLen:
		size = int(c.u16())
		if size == 0xFFFF {
			form = chunked
			name += "(max)"
		} else {
			name += fmt.Sprintf("(%d)", size)
		}
	case form == longLen:
		name += fmt.Sprintf("(%d)", c.u32())
	case typ == 0xF1:
		if c.u8() != 0 {
			return "", false
		}
	}
	if t.collated {
		if coll := c.take(5); !c.bad && (binary.LittleEndian.Uint32(coll) != 0 || coll[4] != 0) {
			name += fmt.Sprintf(" collation=%x", coll)
		}
	}
	value, null := readValue(c, form, size)
	if c.bad {
		return "", true
	}
	if null {
		return name + " NULL", true
	}
	return name + " " + valueText(t, value), true
}

func readValue(c *cursor, form valueForm, size int) (value []byte, null bool) {
	switch form {
	case fixed:
		return c.take(size), size == 0
	case byteLen:
		value = c.take(int(c.u8()))
		return value, len(value) == 0
	case shortLen:
		n := c.u16()
		if n == 0xFFFF {
			return nil, true
		}
		return c.take(int(n)), false
	case longLen:
		pointer := c.u8()
		if pointer == 0 {
			return nil, true
		}
		// go-mssqldb sends 16 bytes of text pointer and 8 of time stamp.
		c.take(int(pointer) + 8)
		return c.take(int(min(c.u32(), maxMessage+1))), false
	}
	if c.u64() == math.MaxUint64 {
		return nil, true
	}
	for {
		n := c.u32()
		if n == 0 || c.bad {
			return value, false
		}
		value = append(value, c.take(int(min(n, maxMessage+1)))...)
	}
}

type typeInfo struct {
	name string
	form valueForm
	// size is that of a fixed type.
	size int
	show func([]byte) (string, bool)
	// What follows the type's number: nothing, a scale, precision and scale,
	// a collation.
	sizeless, scaled, decimal, collated bool
}

// types are those that a parameter can have; the numbers are those of MS-TDS
// 2.2.5.4.
var types = map[byte]typeInfo{
	0x1F: {name: "null", form: fixed},
	0x30: {name: "tinyint", form: fixed, size: 1, show: showInt},
	0x32: {name: "bit", form: fixed, size: 1, show: showInt},
	0x34: {name: "smallint", form: fixed, size: 2, show: showInt},
	0x38: {name: "int", form: fixed, size: 4, show: showInt},
	0x7F: {name: "bigint", form: fixed, size: 8, show: showInt},
	0x3A: {name: "smalldatetime", form: fixed, size: 4},
	0x3D: {name: "datetime", form: fixed, size: 8},
	0x3B: {name: "real", form: fixed, size: 4, show: showFloat},
	0x3E: {name: "float", form: fixed, size: 8, show: showFloat},
	0x3C: {name: "money", form: fixed, size: 8},
	0x7A: {name: "smallmoney", form: fixed, size: 4},
	0x26: {name: "intn", form: byteLen, show: showInt},
	0x68: {name: "bitn", form: byteLen, show: showInt},
	0x6D: {name: "floatn", form: byteLen, show: showFloat},
	0x6E: {name: "moneyn", form: byteLen},
	0x6F: {name: "datetimn", form: byteLen},
	0x24: {name: "uniqueidentifier", form: byteLen},
	0x6A: {name: "decimaln", form: byteLen, decimal: true},
	0x6C: {name: "numericn", form: byteLen, decimal: true},
	0x28: {name: "date", form: byteLen, sizeless: true},
	0x29: {name: "time", form: byteLen, scaled: true},
	0x2A: {name: "datetime2", form: byteLen, scaled: true},
	0x2B: {name: "datetimeoffset", form: byteLen, scaled: true},
	0xA5: {name: "varbinary", form: shortLen},
	0xAD: {name: "binary", form: shortLen},
	0xA7: {name: "varchar", form: shortLen, show: showBytes, collated: true},
	0xAF: {name: "char", form: shortLen, show: showBytes, collated: true},
	0xE7: {name: "nvarchar", form: shortLen, show: showUTF16, collated: true},
	0xEF: {name: "nchar", form: shortLen, show: showUTF16, collated: true},
	0xF1: {name: "xml", form: chunked, show: showUTF16},
	0x22: {name: "image", form: longLen},
	0x23: {name: "text", form: longLen, show: showBytes, collated: true},
	0x63: {name: "ntext", form: longLen, show: showUTF16, collated: true},
}

func valueText(t typeInfo, value []byte) string {
	if t.show != nil {
		if s, ok := t.show(value); ok {
			return s
		}
	}
	return digest(value)
}

func showInt(b []byte) (string, bool) {
	switch len(b) {
	case 1:
		return strconv.Itoa(int(b[0])), true
	case 2:
		return strconv.Itoa(int(int16(binary.LittleEndian.Uint16(b)))), true
	case 4:
		return strconv.Itoa(int(int32(binary.LittleEndian.Uint32(b)))), true
	case 8:
		return strconv.FormatInt(int64(binary.LittleEndian.Uint64(b)), 10), true
	}
	return "", false
}

func showFloat(b []byte) (string, bool) {
	var f float64
	bits := 8 * len(b)
	switch len(b) {
	case 4:
		f = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case 8:
		f = math.Float64frombits(binary.LittleEndian.Uint64(b))
	default:
		return "", false
	}
	if math.IsNaN(f) {
		return "", false
	}
	return strconv.FormatFloat(f, 'g', -1, bits), true
}

func showUTF16(b []byte) (string, bool) {
	s, ok := decodeUTF16(b)
	if !ok {
		return "", false
	}
	return quoteLines(s), true
}

func showBytes(b []byte) (string, bool) {
	if !utf8.Valid(b) {
		return "", false
	}
	return quoteLines(string(b)), true
}

// quoteLines quotes s with a line for each of its lines, so that a diff shows
// which line of a statement differs.
func quoteLines(s string) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(s, "\n") {
		if b.Len() > 0 {
			if line == "" {
				break
			}
			b.WriteString(" +\n    ")
		}
		b.WriteString(strconv.Quote(line))
	}
	return b.String()
}

// oneLine keeps a name apart from what follows it.
func oneLine(name string) string {
	if q := strconv.Quote(name); len(q) != len(name)+2 || strings.Contains(name, " ") {
		return q
	}
	return name
}
