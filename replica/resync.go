package replica

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/so-mirror/mirror/internal/superoffice"
	"github.com/so-mirror/mirror/internal/text"
)

// Resync is what the newer client has to re-synchronize. The client truncates the
// tables at once and then sends all of their rows: until it has, they lack rows,
// and there is no undo.
type Resync struct {
	// Tables are the tables as the client wants them: "crm7.person".
	Tables []string `json:"tables"`

	// Rows and Bytes are about what it sends.
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`

	// Command is the client's own, "" when it can name none of the tables. It can
	// be pasted into any shell: NotInCommand are the tables whose names have other
	// characters than letters, digits and underscores, which only the request
	// names.
	Command      string   `json:"command,omitempty"`
	NotInCommand []string `json:"notInCommand,omitempty"`

	// Method, Path and Body are the request that does the same. Body is JSON of
	// printable ASCII characters without single quotes.
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   string `json:"body"`
}

// NewResync returns the re-synchronization of tables, which are named as the client
// wants them, "crm7.person". An empty contextID leaves a place for it in the path.
func NewResync(contextID string, tables []string) *Resync {
	r := &Resync{Tables: slices.Clone(tables), Method: http.MethodPost, Path: resyncPath(contextID), Body: resyncBody(tables)}
	var plain []string
	for _, name := range tables {
		if isPlain.MatchString(name) {
			plain = append(plain, name)
		} else {
			r.NotInCommand = append(r.NotInCommand, name)
		}
	}
	if len(plain) > 0 {
		r.Command = "resync-tables " + strings.Join(plain, " ")
	}
	return r
}

// isPlain matches the names that no shell takes for anything else. Quoting the
// others is no way: bash, PowerShell and cmd agree on no quotes.
var isPlain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$`)

// resyncBody is the body of the request. It is shown, and shown to be copied, so
// that nothing in it may need to be made printable or to be quoted.
func resyncBody(tables []string) string {
	body, _ := json.Marshal(map[string][]string{"tables": tables}) // strings marshal
	var b strings.Builder
	for _, r := range string(body) {
		switch {
		case r >= ' ' && r <= '~' && r != '\'':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// propose names the tables to re-synchronize.
func (c *check) propose() {
	var tables []string
	var rows, bytes int64
	for _, t := range c.tables {
		tr := t.report
		rounded := tr.Found[Rounded] > 0 && tr.NewStale > 0 && tr.NewStale == t.settledAs(newStale, Rounded)
		if tr.ReplicaName == "" || tr.Verdict == Excluded || tr.NewStale+tr.Ghosts+tr.Conflicts == 0 || rounded && tr.Ghosts+tr.Conflicts == 0 {
			continue
		}
		if !utf8.ValidString(tr.Table) {
			c.report.Warnings = append(c.report.Warnings, fmt.Sprintf("the client cannot be asked for %s: its name is not valid UTF-8", text.Name(tr.Table)))
			continue
		}
		tables = append(tables, c.clientName(t))
		rows += tr.ReferenceRows
		bytes += tr.ReferenceRows * tr.RowBytes
	}
	if len(tables) == 0 {
		return
	}
	r := NewResync(c.report.ContextID, tables)
	r.Rows, r.Bytes = rows, bytes
	c.report.Resync = r
}

// settledAs is how many rows with an outcome differ in a way.
func (t *table) settledAs(o outcome, w What) (n int64) {
	for _, k := range t.keys {
		if k.outcome == open || k.outcome == arrived {
			continue
		}
		for _, d := range k.differences {
			if d.outcome == o && d.what == w {
				n += d.rows
			}
		}
	}
	return n
}

// resyncPath is that of the client's endpoint. The client shows the context
// identifier in lower case.
func resyncPath(contextID string) string {
	if contextID == "" {
		contextID = "{contextIdentifier}"
	} else {
		contextID = strings.ReplaceAll(url.PathEscape(strings.ToLower(contextID)), "'", "%27")
	}
	return superoffice.ResyncPath(contextID)
}

// clientName is the name of a table as the client wants it: of the customer's
// database, whose schema is crm7.
func (c *check) clientName(t *table) string {
	return superoffice.ReplicaSchema + "." + strings.ToLower(t.report.Table)
}

// String says what to do.
func (r *Resync) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Re-synchronize %s, about %s, %s. ", tablesOf(len(r.Tables)), text.Rows(r.Rows), bytesOf(r.Bytes))
	switch {
	case r.Command == "":
		b.WriteString("The client's command cannot name them, its request can:\n")
	case len(r.NotInCommand) > 0:
		fmt.Fprintf(&b, "In the client, for all but %s, which only the request can name:\n  %s\nor\n", list(r.NotInCommand), text.Printable(r.Command))
	default:
		fmt.Fprintf(&b, "In the client:\n  %s\nor\n", text.Printable(r.Command))
	}
	fmt.Fprintf(&b, "  %s %s\n  %s\nThe client truncates the tables at once and sends them again; there is no undo.\n",
		text.Printable(r.Method), text.Printable(r.Path), text.Printable(r.Body))
	return b.String()
}

func bytesOf(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	value, suffix := float64(n)/unit, 0
	for value >= unit && suffix < 3 {
		value, suffix = value/unit, suffix+1
	}
	return fmt.Sprintf("%.1f %s", value, []string{"kB", "MB", "GB", "TB"}[suffix])
}
