package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

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

	// Command is the client's own, and Method, Path and Body are the request that
	// does the same.
	Command string `json:"command"`
	Method  string `json:"method"`
	Path    string `json:"path"`
	Body    string `json:"body"`
}

// propose names the tables to re-synchronize.
func (c *check) propose() {
	r := &Resync{}
	for _, t := range c.tables {
		tr := t.report
		rounded := tr.Found[Rounded] > 0 && tr.NewStale > 0 && tr.NewStale == t.settledAs(newStale, Rounded)
		if tr.ReplicaName == "" || tr.Verdict == Excluded || tr.NewStale+tr.Ghosts+tr.Conflicts == 0 || rounded && tr.Ghosts+tr.Conflicts == 0 {
			continue
		}
		r.Tables = append(r.Tables, c.clientName(t))
		r.Rows += tr.ReferenceRows
		r.Bytes += tr.ReferenceRows * tr.RowBytes
	}
	if len(r.Tables) == 0 {
		return
	}
	id := c.report.ContextID
	body, _ := json.Marshal(map[string][]string{"tables": r.Tables})
	r.Command = "resync-tables " + strings.Join(r.Tables, " ")
	r.Method, r.Path, r.Body = http.MethodPost, resyncPath(id), string(body)
	c.report.Resync = r
}

// settledAs is how many rows of keys with an outcome differ in a way.
func (t *table) settledAs(o outcome, w What) (n int64) {
	for _, k := range t.keys {
		if k.outcome != o {
			continue
		}
		for _, d := range k.differences {
			if d.what == w {
				n += d.rows
			}
		}
	}
	return n
}

// resyncPath is that of the client's endpoint. Source: SuperOffice documentation,
// the replication client of 2026, which shows the context identifier in lower case.
func resyncPath(contextID string) string {
	if contextID == "" {
		contextID = "{contextIdentifier}"
	} else {
		contextID = url.PathEscape(strings.ToLower(contextID))
	}
	return "/api/v1/replication/" + contextID + "/resync"
}

// clientName is the name of a table as the client wants it: of the customer's
// database, whose schema is crm7.
func (c *check) clientName(t *table) string { return "crm7." + strings.ToLower(t.report.Table) }

// String says what to do.
func (r *Resync) String() string {
	return fmt.Sprintf(`Re-synchronize %s, about %s, %s. In the client:
  %s
or
  %s %s
  %s
The client truncates the tables at once and sends them again; there is no undo.
`, tablesOf(len(r.Tables)), text.Rows(r.Rows), bytesOf(r.Bytes), text.Printable(r.Command), r.Method, text.Printable(r.Path), text.Printable(r.Body))
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

// Request is how the client is asked over HTTP.
type Request struct {
	// BaseURL is that of the client's API, such as "https://host:5001".
	BaseURL string

	// Token is sent as a bearer token, as it is. How the endpoint authenticates is
	// not documented. Default: none is sent.
	Token string

	// Client sends the request. Default: http.DefaultClient.
	Client *http.Client
}

// ErrRefused: the client did not answer a request with 2xx.
var ErrRefused = errors.New("resync refused")

// Resync asks the newer client to re-synchronize the tables of r. A nil error says
// that it was requested, and never that it is done: see [Watch]. The token is in no
// error. After an error that is not ErrRefused the client may have got the request.
func (q *Request) Resync(ctx context.Context, r *Resync) error {
	if r == nil || len(r.Tables) == 0 {
		return errors.New("request resync: there is nothing to re-synchronize")
	}
	if strings.Contains(r.Path, "{") {
		return errors.New("request resync: the context identifier is not known: set Options.ContextID of the check")
	}
	base, err := url.Parse(q.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return errors.New(`request resync: BaseURL is no URL of a server: want "https://host:port"`)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, strings.TrimRight(base.String(), "/")+r.Path, bytes.NewReader([]byte(r.Body)))
	if err != nil {
		return errors.New("request resync: BaseURL makes no valid request")
	}
	req.Header.Set("Content-Type", "application/json")
	if q.Token != "" {
		req.Header.Set("Authorization", "Bearer "+q.Token)
	}
	client := q.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its URL can hold a password
			err = u.Err
		}
		return fmt.Errorf("request resync: %w", err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		answer := string(said)
		if q.Token != "" {
			answer = strings.ReplaceAll(answer, q.Token, "***")
		}
		return fmt.Errorf("%w: %s: %s", ErrRefused, resp.Status, text.Printable(text.Clip(answer, 200)))
	}
	return nil
}
