package text

import (
	"encoding/json"
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
