package console

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/so-mirror/mirror/console/internal/ui"
	"github.com/so-mirror/mirror/htmlreport"
)

//go:embed templates/*.gohtml
var templates embed.FS

//go:embed assets
var assets embed.FS

// pages are the templates of the pages, by the name of their file.
type pages struct {
	byName map[string]*template.Template
	parts  *template.Template
}

// Templates that are no page.
const (
	layoutFile = "layout.gohtml"
	partsFile  = "parts.gohtml"
	liveFile   = "live.gohtml"
)

func newPages() (*pages, error) {
	common, err := template.New("").ParseFS(templates, "templates/"+layoutFile, "templates/"+partsFile, "templates/"+liveFile)
	if err != nil {
		return nil, err
	}
	p := &pages{byName: map[string]*template.Template{}, parts: common}
	files, err := fs.Glob(templates, "templates/*.gohtml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := path.Base(file)
		if name == layoutFile || name == partsFile || name == liveFile {
			continue
		}
		page, err := common.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(templates, file); err != nil {
			return nil, err
		}
		p.byName[strings.TrimSuffix(name, ".gohtml")] = page
	}
	return p, nil
}

// page is what a page is made from.
type page struct {
	name   string // of its template
	title  string
	nav    string
	crumbs []ui.Link // with paths below the base
	data   any
	code   int // Default: 200
	bare   bool
	told   string // how what the page showed ended, for who listens. Default: the title
	moves  bool   // it is loaded again and again where there are no scripts
}

// refreshEvery is how many seconds a page that moves is shown where there are no scripts.
const refreshEvery = 3

// show writes a page.
func (c *Console) show(v *visit, p page) error {
	t := c.pages.byName[p.name]
	if t == nil {
		return fmt.Errorf("there is no template %q", p.name)
	}
	for i := range p.crumbs {
		if p.crumbs[i].URL != "" {
			p.crumbs[i].URL = c.base + p.crumbs[i].URL
		}
	}
	l := ui.Layout{
		Title: p.title, Nav: p.nav, Base: c.base, Version: version(), Actor: v.actor, ReadOnly: c.opts.ReadOnly, Bare: p.bare,
		Breadcrumbs: p.crumbs, Page: p.data,
	}
	if v.Header.Get("HX-Request") != "" {
		l.Told = cmp.Or(p.told, p.title)
	}
	if p.moves {
		l.Refresh = refreshEvery
	}
	l.LogOut = c.logins.required && c.logins.proxied(v.Request) == ""
	if v.actor != "" && v.Header.Get("HX-Request") == "" { // a part of a page does not show it
		if text := c.logins.popFlash(v.Request); text != "" {
			l.Flash = []ui.Message{{Level: "good", Text: text}}
		}
	}
	var b bytes.Buffer // so that an error is a page of its own
	if err := t.ExecuteTemplate(&b, layoutFile, l); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.code != 0 {
		v.w.WriteHeader(p.code)
	}
	_, _ = v.w.Write(b.Bytes()) // who went away needs no answer
	return nil
}

// errorPage is what the page of an error shows.
type errorPage struct{ Verdict ui.Verdict }

// fail answers with an error, in words for who reads the page.
func (c *Console) fail(v *visit, err error) {
	var known httpError
	switch {
	case errors.As(err, &known):
	case errors.Is(err, errClosing):
		known = httpError{http.StatusServiceUnavailable, "The console is being stopped. Try again when it is back."}
	default:
		known = httpError{http.StatusInternalServerError, err.Error()}
		level := c.log.Error
		if v.Context().Err() != nil {
			level = c.log.Info // the page was closed, or took too long
		}
		level("page failed", "method", v.Method, "path", v.URL.Path, "actor", v.actor, "error", err)
	}
	title := http.StatusText(known.code)
	p := errorPage{ui.Verdict{Level: "bad", Title: title, Lead: []string{known.text}}}
	if known.code < 500 {
		p.Verdict.Level = "unsure"
	}
	if v.actor != "" {
		p.Verdict.Actions = []ui.Button{{Name: "All mirrors", URL: c.base + "/"}}
	}
	if err := c.show(v, page{name: "error", title: title, code: known.code, data: p, bare: v.actor == ""}); err != nil {
		http.Error(v.w, known.text, known.code)
	}
}

// assetTypes are the types of the files that are served.
var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// served is a file that pages need besides.
type served struct {
	data      []byte
	kind, tag string
}

// servedAssets are those files by their names.
var servedAssets = sync.OnceValue(func() map[string]served {
	all := map[string]served{}
	add := func(name string, data []byte) {
		if kind := assetTypes[path.Ext(name)]; kind != "" {
			all[name] = served{data, kind, fmt.Sprintf(`"%x"`, sha256.Sum256(data))}
		}
	}
	files, err := assets.ReadDir("assets")
	for _, file := range files {
		var data []byte
		if data, err = assets.ReadFile("assets/" + file.Name()); err != nil {
			break
		}
		add(file.Name(), data)
	}
	if err != nil {
		panic(err) // they are embedded
	}
	add("report.css", []byte(htmlreport.Style()))
	return all
})

// asset serves what pages need besides.
func (c *Console) asset(v *visit) error {
	name := v.PathValue("file")
	file, ok := servedAssets()[name]
	if !ok {
		return errNotFound
	}
	h := v.w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "private, no-cache") // it is asked for again, and mostly not sent
	h.Set("ETag", file.tag)
	http.ServeContent(v.w, v.Request, name, time.Time{}, bytes.NewReader(file.data))
	return nil
}

// version is that of the module.
var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if strings.HasPrefix(info.Main.Path, modulePath) {
		return info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == modulePath {
			return d.Version
		}
	}
	return ""
})

const modulePath = "github.com/so-mirror/mirror"
