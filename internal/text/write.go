package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Writer is what the library returns for people to read.
type Writer interface{ WriteText(w io.Writer) error }

func Of(t Writer) string {
	var b strings.Builder
	_ = t.WriteText(&b) // a Builder cannot fail
	return b.String()
}

func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// ParseJSON parses what WriteJSON wrote and refuses fields that v does not have:
// they are of another version, or of another document.
func ParseJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Err(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}
