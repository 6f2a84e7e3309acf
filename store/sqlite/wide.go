package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// SQLite makes UTF-8 of UTF-16 without looking whether two surrogates are a pair:
// it shows D800 0041, D800 DC41 and DC00 0041 as one character, which is none of
// a driver's U+FFFD, and takes half a pair for U+FFFD when it is written. So the
// text of a file in UTF-16 is read by its bytes.

// wide is a file's encoding of 16 bits, as the byte that stands for it before the
// letters of the kinds. 0 is UTF-8, or a file without tables.
type wide byte

const (
	littleEndian wide = '<'
	bigEndian    wide = '>'
)

var wides = map[string]wide{"UTF-16le": littleEndian, "UTF-16be": bigEndian}

func (f *file) wide() wide { return wide(f.units.Load()) }

// cutWide takes the encoding off the first argument of a function.
func cutWide(kinds string) (wide, string) {
	if kinds != "" && (wide(kinds[0]) == littleEndian || wide(kinds[0]) == bigEndian) {
		return wide(kinds[0]), kinds[1:]
	}
	return 0, kinds
}

// call returns the call of a function of this package: with the letters of the
// kinds, behind the encoding if that is one of 16 bits, and the values, swapped
// then.
func (f *file) call(function, kinds string, values ...string) string {
	if e := f.wide(); e != 0 {
		kinds = string(e) + kinds
		some := make([]string, len(values))
		for i, v := range values {
			some[i] = swapped(v)
		}
		values = some
	}
	return fmt.Sprintf("%s('%s', %s)", function, kinds, strings.Join(values, ", "))
}

// swapped delivers text as its bytes, and bytes as text.
func swapped(expr string) string {
	return fmt.Sprintf("CASE typeof(%[1]s) WHEN 'text' THEN CAST(%[1]s AS BLOB) WHEN 'blob' THEN hex(%[1]s) ELSE %[1]s END", expr)
}

// stored undoes swapped. Half a surrogate pair becomes the three bytes that UTF-8
// would have for it if it were a character, so that no two texts look alike.
func (e wide) stored(v driver.Value) driver.Value {
	switch v := v.(type) {
	case string:
		b, err := hex.DecodeString(v)
		if err != nil {
			return v
		}
		return b
	case []byte:
		return string(e.text(v))
	}
	return v
}

func (e wide) text(b []byte) []byte {
	unit := binary.LittleEndian.Uint16
	if e == bigEndian {
		unit = binary.BigEndian.Uint16
	}
	text := make([]byte, 0, len(b))
	for len(b) > 1 {
		r := rune(unit(b))
		b = b[2:]
		if utf16.IsSurrogate(r) {
			if len(b) > 1 {
				if pair := utf16.DecodeRune(r, rune(unit(b))); pair != unicode.ReplacementChar {
					text, b = utf8.AppendRune(text, pair), b[2:]
					continue
				}
			}
			text = append(text, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			continue
		}
		text = utf8.AppendRune(text, r)
	}
	if len(b) > 0 { // half a unit, in a damaged file
		text = append(text, 0xff, b[0])
	}
	return text
}

// checkWide refuses text for which SQLite would store U+FFFD, and which it would
// find where U+FFFD is stored.
func checkWide(bound any) error {
	s, ok := bound.(string)
	if ok && (!utf8.ValidString(s) || strings.ContainsAny(s, "\ufffe\uffff")) {
		return fmt.Errorf("the text %.60q cannot be written to a file in UTF-16, where SQLite puts U+FFFD in the place of what is no character: %w",
			s, errors.ErrUnsupported)
	}
	return nil
}
