package store

import (
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/text"
)

// Cell is a value of a named column. Its JSON form names the type of the value,
// so that nothing is lost on the way: {"column":"LSN","type":"int","value":"812"}.
type Cell struct {
	// Column is the column's name.
	Column string

	// Value is the value, nil for NULL. In the samples of a Report, text and
	// binary values longer than 1,024 bytes are cut.
	Value driver.Value

	// Size is the length in bytes of a value that was cut, otherwise 0.
	Size int

	kind Kind
}

// NewCell returns a value of a column.
func NewCell(c Column, v driver.Value) Cell {
	return Cell{Column: c.Name, Value: v, kind: c.Type.Kind()}
}

// String returns "column=value" for people.
func (c Cell) String() string { return text.Printable(c.Column) + "=" + c.Text() }

// Text returns the value for people: text is quoted, binary values are hex.
func (c Cell) Text() string {
	const shown = 60
	more := ""
	if c.Size > 0 {
		more = fmt.Sprintf(" (%s bytes)", text.Count(int64(c.Size)))
	}
	switch v := c.Value.(type) {
	case nil:
		return "NULL"
	case string:
		if len(v) > shown && more == "" {
			more = fmt.Sprintf(" (%s bytes)", text.Count(int64(len(v))))
		}
		return strconv.Quote(text.Clip(v, shown)) + more
	case Verbatim:
		return Cell{Value: v.Value}.Text()
	case []byte:
		switch {
		case c.kind == KindDecimal && !isBlob(v):
			return text.Printable(string(v))
		case c.kind == KindGUID && len(v) == 16:
			return formatGUID(v)
		case len(v) > shown/2 && more == "":
			more = fmt.Sprintf(" (%s bytes)", text.Count(int64(len(v))))
		}
		dots := ""
		if len(v) > shown/2 {
			v, dots = v[:shown/2], "..."
		}
		return fmt.Sprintf("0x%X%s%s", v, dots, more)
	case time.Time:
		switch {
		case c.kind == KindTimeOfDay:
			return v.Format("15:04:05.9999999")
		case c.kind == KindTimeOffset:
			return v.Format("2006-01-02 15:04:05.9999999 -07:00")
		}
		return v.Format("2006-01-02 15:04:05.9999999")
	default:
		return text.Printable(fmt.Sprint(v))
	}
}

// FormatCells returns the cells for people: "contact_id=5, name=\"Alfa\"".
func FormatCells(cells []Cell) string {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = c.String()
	}
	return strings.Join(texts, ", ")
}

// cellJSON is the JSON form of a Cell.
type cellJSON struct {
	Column string  `json:"column"`
	Type   string  `json:"type"`
	Value  *string `json:"value,omitempty"`
	Size   int     `json:"size,omitempty"`

	// Verbatim says that the value is a Verbatim of this type.
	Verbatim bool `json:"verbatim,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (c Cell) MarshalJSON() ([]byte, error) {
	j := cellJSON{Column: c.Column, Size: c.Size}
	var text string
	value := c.Value
	if v, ok := value.(Verbatim); ok {
		value, c.kind, j.Verbatim = v.Value, KindOther, true
	}
	switch v := value.(type) {
	case nil:
		j.Type = "null"
		return json.Marshal(j)
	case int64:
		j.Type, text = "int", strconv.FormatInt(v, 10)
	case float64:
		j.Type, text = "float", strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		j.Type, text = "bool", strconv.FormatBool(v)
	case string:
		j.Type, text = "string", v
		if !utf8.ValidString(v) { // JSON cannot carry it as text
			j.Type, text = "base64-string", base64.StdEncoding.EncodeToString([]byte(v))
		}
	case time.Time:
		j.Type, text = "time", v.Format(time.RFC3339Nano)
	case []byte:
		switch {
		case c.kind == KindDecimal && !isBlob(v):
			j.Type, text = "decimal", string(v)
		case c.kind == KindGUID && len(v) == 16:
			j.Type, text = "guid", formatGUID(v)
		default:
			j.Type, text = "bytes", base64.StdEncoding.EncodeToString(v)
		}
	default:
		return nil, fmt.Errorf("column %s: cannot write a %T as JSON", c.Column, v)
	}
	j.Value = &text
	return json.Marshal(j)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Cell) UnmarshalJSON(data []byte) error {
	var j cellJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*c = Cell{Column: j.Column, Size: j.Size}
	if j.Type == "null" && j.Value == nil {
		return nil
	}
	if j.Value == nil {
		return fmt.Errorf("column %s: a value of type %q is missing", text.Clip(j.Column, text.MaxName), text.Clip(j.Type, 32))
	}
	var err error
	switch txt := *j.Value; j.Type {
	case "int":
		c.Value, err = strconv.ParseInt(txt, 10, 64)
	case "float":
		var f float64
		if f, err = strconv.ParseFloat(txt, 64); err == nil && math.IsNaN(f) {
			err = fmt.Errorf("not a number")
		}
		c.Value = f
	case "bool":
		c.Value, err = strconv.ParseBool(txt)
	case "string":
		c.Value = txt
	case "base64-string":
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(txt)
		c.Value = string(raw)
	case "time":
		var t time.Time
		t, err = time.Parse(time.RFC3339Nano, txt)
		if _, offset := t.Zone(); offset == 0 {
			t = t.UTC()
		}
		c.Value = t
	case "decimal":
		c.Value, c.kind = []byte(txt), KindDecimal
	case "guid":
		c.Value, err = parseGUID(txt)
		c.kind = KindGUID
	case "bytes":
		c.Value, err = base64.StdEncoding.DecodeString(txt)
	default:
		err = fmt.Errorf("unknown type %q", text.Clip(j.Type, 32))
	}
	if err != nil {
		return fmt.Errorf("column %s: %w", text.Name(j.Column), text.Err(err))
	}
	if j.Verbatim {
		c.Value, c.kind = Verbatim{c.Value}, KindOther
	}
	return nil
}
