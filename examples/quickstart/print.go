package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/so-mirror/mirror"
)

// printer writes what a person reads. On a terminal it keeps one line of
// progress, which it erases before anything else is written.
type printer struct {
	w        io.Writer
	terminal bool
	width    int // of the progress line that is shown
}

func newPrinter(f *os.File, quiet bool) *printer {
	if quiet {
		return &printer{w: io.Discard}
	}
	info, err := f.Stat()
	return &printer{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *printer) erase() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

func (p *printer) line(format string, args ...any) {
	p.erase()
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *printer) heading(s string) {
	p.line("\n%s\n%s", s, strings.Repeat("=", len(s)))
}

func (p *printer) text(t interface{ WriteText(io.Writer) error }) {
	p.erase()
	_ = t.WriteText(p.w)
}

// status shows a line of progress on a terminal.
func (p *printer) status(format string, args ...any) {
	if !p.terminal {
		return
	}
	s := fmt.Sprintf(format, args...)
	fmt.Fprintf(p.w, "\r%-*s", p.width, s)
	p.width = max(p.width, len(s))
}

func (p *printer) progress(pr mirror.Progress) {
	if pr.Expected > 0 {
		p.status("compare: %s, %d%% (%d of %d tables done)", pr.Table, 100*pr.Rows/pr.Expected, pr.TablesDone, pr.Tables)
	}
}
