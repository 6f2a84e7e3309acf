package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync"

	"github.com/so-mirror/mirror/htmlreport"
)

// download answers with the document of a job that is over, as a file.
func download[D any](c *Console, ext string, write func(w io.Writer, d *D) error, kinds ...kind) func(*visit) error {
	return func(v *visit) error {
		m, j, err := c.jobOf(v, "job", kinds...)
		if err != nil {
			return err
		}
		if !j.Status.over() {
			return httpError{http.StatusNotFound, "The " + string(j.Kind) + " is not over, so it has no report yet."}
		}
		d, err := documentOf[D](v.Context(), c.state, j.ID)
		if errors.Is(err, errNoDocument) {
			return httpError{http.StatusNotFound, "This " + string(j.Kind) + " has no report, or it was cleaned up."}
		}
		if err != nil {
			return err
		}
		return keep(v, m, j, ext, func(w io.Writer) error { return write(w, d) })
	}
}

// keep answers with a file to keep. Who opens it at once gets no more than the style of
// its own that it says it has.
func keep(v *visit, m *member, j job, ext string, write func(w io.Writer) error) error {
	var b bytes.Buffer // so that an error is a page of its own
	if err := write(&b); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	if ext == "html" {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", reportPolicy())
	}
	name := fmt.Sprintf("%s-%s-%d.%s", m.ContextID, j.Kind, j.ID, ext) // the identifier of a customer has no other characters than letters, digits, _ and -
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = v.w.Write(b.Bytes()) // who went away needs no answer
	return nil
}

// reportPolicy is the policy of a report as a file.
var reportPolicy = sync.OnceValue(func() string {
	hash := sha256.Sum256([]byte(htmlreport.Style()))
	return "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
})
