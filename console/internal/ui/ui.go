// Package ui has what the components of the console's pages are executed with: the
// templates in console/templates.
package ui

import (
	"html/template"
	"slices"
	"strings"
	"unicode/utf8"
)

// Layout is what a page is executed with: templates/layout.gohtml.
type Layout struct {
	Title       string // of the window, without the console's name
	Nav         string // which item is current: mirrors, jobs, journal or none
	Base        string // before every path, without a slash at its end: empty or such as /mirrors
	Version     string
	Actor       string // who is logged in
	LogOut      bool   // there is a session to end
	ReadOnly    bool
	Bare        bool   // no navigation, as before a login
	Told        string // of a page that takes the place of another one, for who listens
	Refresh     int    // without scripts it is loaded again after so many seconds
	Flash       []Message
	Breadcrumbs []Link // the last has no URL
	Page        any    // what the page's "main" gets
}

// The types below are what the components in templates/parts.gohtml get. Texts are
// escaped there; what is template.HTML is not. Names from databases have gone through
// text.Name, which tells what cannot be seen. URLs are whole, with the base path.

type Link struct{ Name, URL string }

// Message is what happened, or what must not be overlooked.
type Message struct {
	Level string // good waiting unsure bad neutral
	Head  string
	Text  string
	Link  *Link
}

type Badge struct{ Class, Text string }

// Button is a link, or with Post a form that has nothing but this button.
type Button struct {
	Name   string
	ID     string // where it is to keep the focus when a list is read anew
	Of     string // heard after the name where many buttons have the same: "of contact"
	URL    string
	Post   bool
	Class  string // primary, danger, small, or several of them
	Hidden []Hidden
}

type Hidden struct{ Name, Value string }

// Head begins a page.
type Head struct {
	Title   string
	Badge   *Badge
	Lead    string
	Actions []Button
}

// Verdict begins a page that says how something ended.
type Verdict struct {
	Level   string
	Title   string
	Lead    []string
	Actions []Button
}

// Tabs are the pages of one thing, or as filters what a list can be narrowed to.
type Tabs struct {
	Label string
	Tabs  []Tab
}

type Tab struct {
	Name, URL string
	N         string
	Class     string // of a filter
	Current   bool
}

type Tile struct{ Class, N, Label, Note string }

type Fact struct {
	Name  string
	Value any // a string, or template.HTML
}

// Table is rows whose first cell is their name.
type Table struct {
	Label   string
	Columns []Column
	Rows    []Row
}

type Column struct {
	Name   string
	Number bool
	Wide   bool // a sentence, which gets a line of its own in a card
}

// Class is that of a cell in the column.
func (c Column) Class(of Cell) string {
	class := ""
	switch {
	case c.Number:
		class = "n"
	case c.Wide:
		class = "why"
	}
	if of.blank() {
		class += " blank" // which a card leaves out
	}
	if of.long() {
		class += " long" // which may break anywhere
	}
	return strings.TrimSpace(class)
}

type Row struct {
	Class string // marks the row
	Cells []Cell // as many as there are columns
}

// Cell has what is set, in this order.
type Cell struct {
	Check    *Check
	Text     string
	URL      string // of Text
	ID       string // of the link, where it is to keep the focus when a list is read anew
	Badge    *Badge
	Time     *Moment
	Progress *Progress
	Note     string
	Action   *Button
}

// Named reports whether a card says the name of the column before the cell: where
// there is something that does not speak for itself.
func (c Cell) Named() bool {
	return (c.Text != "" || c.Time != nil) && c.Badge == nil && c.Progress == nil && !c.blank()
}

// blank reports whether there is nothing in the cell but a dash.
func (c Cell) blank() bool {
	if c.Time != nil {
		return c.Time.Text == ""
	}
	return c.Text == "–" || c.Text == "-"
}

// maxWord is how long a word can be that a narrow column still has room for.
const maxWord = 18

// long reports whether a word of the cell is longer than a column should be wide.
func (c Cell) long() bool {
	return slices.ContainsFunc(strings.Fields(c.Text+" "+c.Note), func(word string) bool { return utf8.RuneCountInString(word) > maxWord })
}

type Check struct {
	Name, Value, Label string
	Heard              bool // the label is only heard, because what stands beside it says the same
	ID                 string
	Checked, Disabled  bool
}

// Progress is how far something is. With Max 0 nobody knows.
type Progress struct {
	Class      string
	Label      string // of what it is the progress
	Value, Max int64
	Text       string
}

type Search struct {
	Action string
	Label  string
	Value  string
	Keep   []Hidden // what else the address says
	Live   string   // the id of what is replaced while somebody types
}

type Pager struct {
	Label          string
	Text           string // which of how many are shown
	Previous, Next string // URLs
}

// Field is a label with its input, which is named f- and the field's name.
type Field struct {
	Name     string
	Type     string // of an input; or select, textarea, checkbox. Default: text
	Label    string
	Value    string
	Hint     string
	Error    string
	Required bool
	Checked  bool
	Complete string // what a browser may fill in, such as current-password. Default: off
	Choices  []Hidden
}

// Confirm is a form in which Word is typed as the field confirm.
type Confirm struct {
	URL    string
	Title  string
	Lead   []string
	Losses []string
	Word   string
	Error  string
	Button string
	Back   string // URL
	Hidden []Hidden
}

// Event is something that was done.
type Event struct {
	Class   string
	Time    Moment
	Actor   string
	Title   string
	URL     string
	Badge   *Badge
	Lines   []template.HTML
	More    string // what is read when asked for, under this
	Rest    template.HTML
	Actions []Button
}

type Step struct {
	Name          string
	Done, Current bool
}

type Empty struct {
	Title   string
	Lead    string
	Actions []Button
}

// Moment is a time for people, and its RFC 3339 form for programs.
type Moment struct{ Text, Stamp, Ago string }
