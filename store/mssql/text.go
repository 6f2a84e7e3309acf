package mssql

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	mssqldb "github.com/microsoft/go-mssqldb"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// textRules is what a server does with text.
type textRules struct {
	utf8      bool // it has UTF-8 collations
	units     bool // CONVERT(varbinary, ...) of nvarchar has its UTF-16
	converted bool // varchar is converted before it is sent, and loses letters
}

// textCodec compares text by its characters, whatever the collation of its
// column. SQL Server pads with blanks before it compares, so equality asks for
// the length, too, and order for a length or for a character behind the last
// one that comes before all others.
func textCodec(t store.Type, rules textRules) sqlstore.Codec {
	national := national(t)
	exact := func(expr string) string { return national(expr) + " COLLATE " + binaryCollation }
	equal := func(column, param string) string {
		return fmt.Sprintf("%[1]s = %[2]s AND DATALENGTH(%[1]s) = DATALENGTH(%[2]s)", exact(column), exact(param))
	}
	c := sqlstore.Codec{Equal: equal}
	if t.Name != "text" && t.Name != "ntext" && t.Name != "xml" {
		// What is exactly equal is equal by the column's collation, too, and
		// by that the server can seek.
		c.Equal = func(column, param string) string {
			return fmt.Sprintf("%s = %s AND %s", column, param, equal(column, param))
		}
		c.Alike = true
	}
	if rules.utf8 {
		length := size(3*t.Length, 8000) // bytes of UTF-8 for each unit of UTF-16
		c.Order = func(expr string) []string {
			bytes := fmt.Sprintf("CONVERT(varbinary(%[1]s), CONVERT(varchar(%[1]s), %[2]s COLLATE %[3]s))", length, national(expr), utf8Collation)
			return []string{bytes, "DATALENGTH(" + bytes + ")"}
		}
	} else {
		c.Order = func(expr string) []string {
			return []string{fmt.Sprintf("(%s + NCHAR(1)) COLLATE %s", national(expr), binaryCollation)}
		}
	}
	switch {
	case t.Name == "xml": // always well formed
	case isNational(t):
		if rules.units {
			c.Exact = &sqlstore.Codec{Select: unitBytes(t), Decode: decodeUnits}
		}
	case rules.converted:
		c.Select = national
	default:
		c.Exact = &sqlstore.Codec{Select: national}
	}
	if !isNational(t) && t.Name != "xml" {
		c.Encode = encodeVarchar
	}
	return c
}

func isNational(t store.Type) bool {
	return t.Name == "nchar" || t.Name == "nvarchar" || t.Name == "ntext"
}

// unitBytes returns what makes the bytes of nvarchar's units of 16 bits.
func unitBytes(t store.Type) func(expr string) string {
	if t.Name == "ntext" { // which cannot be converted to bytes
		return func(expr string) string { return "CONVERT(varbinary(max), CONVERT(nvarchar(max), " + expr + "))" }
	}
	return convert("varbinary(" + size(2*t.Length, 2*maxNational) + ")")
}

// decodeUnits makes text of UTF-16, little-endian. Half a surrogate pair becomes
// the three bytes that UTF-8 would have for it if it were a character, so that no
// two texts look alike.
func decodeUnits(v driver.Value) (driver.Value, error) {
	b, ok := v.([]byte)
	if !ok || len(b)%2 != 0 {
		return nil, fmt.Errorf("%T is not UTF-16", v)
	}
	text := make([]byte, 0, len(b))
	for len(b) > 0 {
		r := rune(binary.LittleEndian.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) {
			if len(b) > 0 {
				if pair := utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b))); pair != unicode.ReplacementChar {
					text, b = utf8.AppendRune(text, pair), b[2:]
					continue
				}
			}
			text = append(text, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			continue
		}
		text = utf8.AppendRune(text, r)
	}
	return string(text), nil
}

// national returns what makes nvarchar of text.
func national(t store.Type) func(expr string) string {
	if t.Name == "nchar" || t.Name == "nvarchar" {
		return func(expr string) string { return expr }
	}
	return convert("nvarchar(" + size(t.Length, maxNational) + ")")
}

// encodeVarchar sends ASCII, which is the same in every code page, as varchar.
// Other text goes as nvarchar: the server alone knows the column's code page.
func encodeVarchar(v driver.Value) any {
	s := v.(string)
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return s
		}
	}
	return mssqldb.VarChar(s)
}
