package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/so-mirror/mirror"
)

// printer writes what a person reads and keeps the first error of writing. On a
// terminal it shows one line of progress, which it erases before anything else
// is written.
type printer struct {
	w        io.Writer
	terminal bool
	width    int // of the progress line that is shown
	err      error
}

// maxStatus keeps the progress line within one line of a narrow terminal.
const maxStatus = 39

func newPrinter(f *os.File, quiet bool) *printer {
	if quiet {
		return &printer{w: io.Discard}
	}
	info, err := f.Stat()
	return &printer{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *printer) print(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

func (p *printer) erase() {
	if p.width > 0 {
		p.print("\r" + strings.Repeat(" ", p.width) + "\r")
		p.width = 0
	}
}

func (p *printer) line(format string, args ...any) {
	p.erase()
	p.print(fmt.Sprintf(format, args...) + "\n")
}

func (p *printer) heading(s string) {
	p.line("\n%s\n%s", s, strings.Repeat("=", len(s)))
}

func (p *printer) text(s fmt.Stringer) {
	p.erase()
	p.print(s.String())
}

// status shows a line of progress on a terminal.
func (p *printer) status(format string, args ...any) {
	if !p.terminal {
		return
	}
	runes := []rune(fmt.Sprintf(format, args...))
	runes = runes[:min(len(runes), maxStatus)]
	p.print("\r" + string(runes) + strings.Repeat(" ", max(0, p.width-len(runes))))
	p.width = max(p.width, len(runes))
}

func (p *printer) progress(pr mirror.Progress) {
	p.status("comparing, %d of %d tables done", pr.TablesDone, pr.Tables)
}

// count groups the digits of n by thousands.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
