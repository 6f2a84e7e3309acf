package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/htmlreport"
	"github.com/so-mirror/mirror/replica"
)

// route is a page or an action.
type route struct {
	method, path string
	do           func(*visit) error
	public       bool // without a login
	changes      bool // a mirror, so it does not exist read-only
}

// visit is a request that may be answered.
type visit struct {
	*http.Request
	w     http.ResponseWriter
	actor string
}

// routeTable lists the pages and actions. What a path has in braces is checked before.
func (c *Console) routeTable() []route {
	return []route{
		{method: "GET", path: "/login", do: c.loginPage, public: true},
		{method: "POST", path: "/login", do: c.logIn, public: true},
		{method: "POST", path: "/logout", do: c.logOut},
		{method: "GET", path: "/assets/{file}", do: c.asset, public: true},

		{method: "GET", path: "/{$}", do: c.overviewPage},
		{method: "POST", path: "/comparisons", do: c.startComparisons},
		{method: "GET", path: "/jobs", do: c.jobsPage},
		{method: "GET", path: "/jobs/{job}", do: c.jobPage},
		{method: "GET", path: "/jobs/{job}/events", do: c.events},
		{method: "POST", path: "/jobs/{job}/stop", do: c.stopJob},
		{method: "POST", path: "/jobs/{job}/resume", do: c.resumeJob},
		{method: "GET", path: "/journal", do: c.journalPage},

		{method: "GET", path: "/mirrors/{mirror}", do: c.mirrorPage},
		{method: "POST", path: "/mirrors/{mirror}/look", do: c.lookNow},
		{method: "GET", path: "/mirrors/{mirror}/comparisons", do: c.comparisonsPage},
		{method: "POST", path: "/mirrors/{mirror}/comparisons", do: c.startComparison},
		{method: "GET", path: "/mirrors/{mirror}/comparisons/{job}", do: c.comparisonPage},
		{method: "GET", path: "/mirrors/{mirror}/comparisons/{job}/report.html", do: download(c, "html", func(w io.Writer, r *mirror.Report) error { return htmlreport.WriteCompare(w, r, nil) }, comparisons...)},
		{method: "GET", path: "/mirrors/{mirror}/comparisons/{job}/report.json", do: download(c, "json", func(w io.Writer, r *mirror.Report) error { return r.WriteJSON(w) }, comparisons...)},
		{method: "GET", path: "/mirrors/{mirror}/comparisons/{job}/since/{before}", do: c.sincePage},
		{method: "POST", path: "/mirrors/{mirror}/comparisons/{job}/recheck", do: c.startRecheck},

		{method: "GET", path: "/mirrors/{mirror}/reset", do: c.resetPage},
		{method: "POST", path: "/mirrors/{mirror}/reset", do: c.startReset, changes: true},
		{method: "GET", path: "/mirrors/{mirror}/changes/{job}", do: c.changePage},
		{method: "GET", path: "/mirrors/{mirror}/changes/{job}/receipt.json", do: c.receiptJSON},
		{method: "POST", path: "/mirrors/{mirror}/changes/{job}/undo", do: c.startUndo, changes: true},
		{method: "GET", path: "/mirrors/{mirror}/waiting", do: c.waitingPage},
		{method: "POST", path: "/mirrors/{mirror}/waiting", do: c.startWaiting},
		{method: "GET", path: "/mirrors/{mirror}/journal", do: c.mirrorJournalPage},
		{method: "POST", path: "/mirrors/{mirror}/reconcile", do: c.reconcileNow, changes: true},
		{method: "GET", path: "/mirrors/{mirror}/validation", do: c.validationPage},
		{method: "POST", path: "/mirrors/{mirror}/validation", do: c.startValidation},
		{method: "GET", path: "/mirrors/{mirror}/validation/{job}", do: c.validationReportPage},
		{method: "GET", path: "/mirrors/{mirror}/validation/{job}/report.html", do: download(c, "html", htmlreport.WriteValidation, kindValidation)},
		{method: "GET", path: "/mirrors/{mirror}/validation/{job}/report.json", do: download(c, "json", func(w io.Writer, r *replica.Report) error { return r.WriteJSON(w) }, kindValidation)},
	}
}

// routes is the handler of all pages and actions of a table.
func (c *Console) routes(table []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range table {
		if r.changes && c.opts.ReadOnly {
			continue
		}
		h := http.Handler(c.handle(r))
		if r.method == "POST" && r.path == "/login" {
			h = limited(h, func(w http.ResponseWriter, r *http.Request) {
				c.fail(&visit{Request: r, w: w}, httpError{http.StatusTooManyRequests, "Too many logins were tried from this address. Wait for a minute."})
			})
		}
		mux.Handle(r.method+" "+c.base+r.path, h)
	}
	mux.HandleFunc(c.base+"/", func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Request: r, w: w}
		if v.actor = c.logins.actor(r); v.actor == "" {
			c.toLogin(v)
			return
		}
		// Another method of a page that there is.
		get := r.Clone(r.Context())
		get.Method = http.MethodGet
		if _, pattern := mux.Handler(get); pattern != c.base+"/" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			c.fail(v, httpError{http.StatusMethodNotAllowed, "This page does not take that."})
			return
		}
		c.fail(v, errNotFound)
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(&visit{Request: r, w: w}, httpError{http.StatusForbidden, "This request came from a page of another site, so it was refused."})
	}))
	return headers(c.local(bounded(c.logins.with(c.recovered(guard.Handler(mux))))))
}

// local refuses requests of other machines where nobody can log in.
func (c *Console) local(next http.Handler) http.Handler {
	if c.logins.required {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r) {
			http.Error(w, "This console has no login, so it answers only this machine, at an address such as localhost.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// recovered answers with an error where a page panics.
func (c *Console) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if e := recover(); e != nil && e != http.ErrAbortHandler {
				c.log.Error("page panicked", "path", r.URL.Path, "panic", e, "stack", string(debug.Stack()))
				http.Error(w, "Internal error: the log has more.", http.StatusInternalServerError)
			} else if e != nil {
				panic(e)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// handle answers a request of a route.
func (c *Console) handle(r route) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		v := &visit{Request: req, w: w, actor: c.logins.actor(req)}
		if v.actor == "" && !r.public {
			c.toLogin(v)
			return
		}
		if req.Method == http.MethodPost {
			if err := req.ParseForm(); err != nil {
				c.fail(v, formError(err))
				return
			}
		}
		if err := r.do(v); err != nil {
			c.fail(v, err)
		}
	}
}

// formError is why a form could not be read.
func formError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("What was sent is larger than %d bytes.", tooLarge.Limit)}
	}
	return httpError{http.StatusBadRequest, "What was sent is no form."}
}

// httpError is an answer that says what is wrong with a request.
type httpError struct {
	code int
	text string
}

func (e httpError) Error() string { return e.text }

var errNotFound = httpError{http.StatusNotFound, "There is no such page. It may have been cleaned up."}

func badRequest(format string, args ...any) error {
	return httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// toLogin sends somebody to the page where they log in, and back afterwards.
func (c *Console) toLogin(v *visit) {
	switch {
	case len(c.logins.tokens) == 0:
		c.fail(v, httpError{http.StatusForbidden, "Log in at the proxy: it did not say who you are."})
	case v.Method != http.MethodGet && v.Method != http.MethodHead || v.Header.Get("HX-Request") != "" || strings.HasSuffix(v.URL.Path, "/events"):
		c.fail(v, httpError{http.StatusUnauthorized, "Log in first."})
	default:
		http.Redirect(v.w, v.Request, c.base+"/login?to="+url.QueryEscape(strings.TrimPrefix(v.URL.RequestURI(), c.base)), http.StatusSeeOther)
	}
}

// member returns the mirror that a path names.
func (c *Console) member(v *visit) (*member, error) {
	m := c.members[fold(v.PathValue("mirror"))]
	if m == nil {
		return nil, errNotFound
	}
	return m, nil
}

// jobID returns a job that a path names.
func jobID(v *visit, name string) (int64, error) {
	id, err := strconv.ParseInt(v.PathValue(name), 10, 64)
	if err != nil || id < 1 {
		return 0, errNotFound
	}
	return id, nil
}

// jobOf returns the mirror and the job that a path names, which is one of that mirror and
// of one of the kinds.
func (c *Console) jobOf(v *visit, name string, kinds ...kind) (*member, job, error) {
	m, err := c.member(v)
	if err != nil {
		return nil, job{}, err
	}
	id, err := jobID(v, name)
	if err != nil {
		return nil, job{}, err
	}
	j, err := c.job(v.Context(), id)
	if err != nil {
		return nil, job{}, err
	}
	for _, k := range kinds {
		if j.Kind == k && j.Member == m.key {
			return m, j, nil
		}
	}
	return nil, job{}, errNotFound
}

// job returns a job as it is now.
func (c *Console) job(ctx context.Context, id int64) (job, error) {
	if l := c.jobs.get(id); l != nil {
		j, _ := l.now()
		return j, nil
	}
	return c.state.job(ctx, id)
}

// see sends somebody to another page after an action.
func (c *Console) see(v *visit, path, flash string) error {
	if flash != "" {
		c.logins.flash(v.Request, flash)
	}
	http.Redirect(v.w, v.Request, c.base+path, http.StatusSeeOther)
	return nil
}

// path returns the path of a mirror's page below the base.
func (m *member) path(rest string, args ...any) string {
	return "/mirrors/" + url.PathEscape(m.ContextID) + fmt.Sprintf(rest, args...)
}

// path returns the path of a job's page below the base.
func (c *Console) path(j job) string {
	m := c.members[j.Member]
	if m == nil {
		return "/jobs"
	}
	switch j.Kind {
	case kindComparison, kindRecheck:
		return m.path("/comparisons/%d", j.ID)
	case kindValidation:
		return m.path("/validation/%d", j.ID)
	case kindChange:
		return m.path("/changes/%d", j.ID)
	default:
		return m.path("/waiting")
	}
}
