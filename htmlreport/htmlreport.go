package htmlreport

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"sync"
	"time"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/replica"
)

// WriteCompare writes a comparison with what is to be done about it. Plan may be nil:
// then it is r.Plan().
func WriteCompare(w io.Writer, r *mirror.Report, plan *mirror.Plan) error {
	return write(w, comparePage(r, plan))
}

// WritePlan writes a plan. With the report that it was made from, which may be nil,
// the tables that it names come with what was found about them.
func WritePlan(w io.Writer, plan *mirror.Plan, r *mirror.Report) error {
	return write(w, planPage(plan, r))
}

// WriteHeal writes what healing a mirror did, round by round, and its last comparison.
func WriteHeal(w io.Writer, r *heal.Report) error { return write(w, healPage(r)) }

// WriteValidation writes the check of a replica against its reference.
func WriteValidation(w io.Writer, r *replica.Report) error { return write(w, validationPage(r)) }

// WriteFleet writes what was found about the mirrors of many customers, those first that
// need attention. Summary may be nil: then it is that of the results.
func WriteFleet(w io.Writer, results []fleet.Result, summary *fleet.Summary) error {
	return write(w, fleetPage(results, summary))
}

// Style is the style sheet of the pages and their parts.
func Style() string { return string(assets().css) }

// WriteComparePart writes what [WriteCompare] writes without the document around it, and
// without script or style. The page around it has the style sheet [Style], and a main
// element that the part goes into; it has no other heading of the first level, and no
// second part.
func WriteComparePart(w io.Writer, r *mirror.Report, plan *mirror.Plan) error {
	return writePart(w, comparePage(r, plan))
}

// WritePlanPart writes what [WritePlan] writes without the document around it, as
// [WriteComparePart] does.
func WritePlanPart(w io.Writer, plan *mirror.Plan, r *mirror.Report) error {
	return writePart(w, planPage(plan, r))
}

// WriteHealPart writes what [WriteHeal] writes without the document around it, as
// [WriteComparePart] does.
func WriteHealPart(w io.Writer, r *heal.Report) error { return writePart(w, healPage(r)) }

// WriteValidationPart writes what [WriteValidation] writes without the document around
// it, as [WriteComparePart] does.
func WriteValidationPart(w io.Writer, r *replica.Report) error {
	return writePart(w, validationPage(r))
}

// level says how good or bad something is.
type level string

const (
	good    level = "good"
	waiting level = "waiting" // nothing is wrong, and it is not over
	unsure  level = "unsure"
	bad     level = "bad"
	todo    level = "todo"
	neutral level = "neutral"
)

// page is a document.
type page struct {
	Title   string // of the window
	Kind    string // of the report
	Subject template.HTML
	Level   level
	Verdict string
	Lead    []template.HTML // what else is to be known at once

	Alerts   []alert
	Tiles    []tile
	Parts    *parts
	Next     []template.HTML
	Sides    []side
	Facts    []fact
	Sections []section
	Legend   []kind // of the strips, none where there are none

	CSS template.CSS
	CSP string
}

// alert is what must not be overlooked.
type alert struct {
	Level level
	Head  string
	Text  template.HTML
}

// tile is a number that is read first.
type tile struct {
	Class string
	N     string
	Label string
	Where template.HTML // in a table, or what the label means
}

// parts are the parts of a whole, as a bar and a legend.
type parts struct {
	Label string
	Parts []partOf
}

type partOf struct {
	Class    string
	N        string
	Name     string
	X, Width string
}

type side struct {
	Name  string
	Title template.HTML
	Facts []fact
}

type fact struct {
	Name  string
	Value template.HTML
}

// section is a part of the document with a heading. One of its contents is set.
type section struct {
	ID, Head string
	Plan     *planView
	Tables   *tablesView
	Lists    []list
	Rounds   []roundView
	Members  *membersView
}

// list is a closed list of names or sentences.
type list struct {
	Head  string
	N     string
	Open  bool
	Wide  bool // of sentences
	Dense bool // of keys
	Items []item
	More  string
}

type item struct {
	Name template.HTML
	Note template.HTML
}

//go:embed page.gohtml style.css
var files embed.FS

// asset is what is the same on every page.
type asset struct {
	page *template.Template
	css  template.CSS
	csp  string
}

var assets = sync.OnceValue(func() asset {
	css, err := files.ReadFile("style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	hash := sha256.Sum256(css)
	return asset{
		page: template.Must(template.New("page.gohtml").ParseFS(files, "page.gohtml")),
		css:  template.CSS(css),
		// No script, and no resource but the style that has this hash.
		csp: "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'",
	}
})

func write(w io.Writer, p *page) error {
	p.CSS, p.CSP = assets().css, assets().csp
	return execute(w, "page.gohtml", p)
}

func writePart(w io.Writer, p *page) error { return execute(w, "part", p) }

func execute(w io.Writer, name string, p *page) error {
	b := bufio.NewWriter(w)
	if err := assets().page.ExecuteTemplate(b, name, p); err != nil {
		return err
	}
	return b.Flush()
}

// moment is a time as HTML.
func moment(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format(time.DateTime+" MST") + `</time>`)
}
