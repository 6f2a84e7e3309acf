package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeCurves writes the plots of the part "curve".
func (b *bench) writeCurves(root string) error {
	if len(b.curves) == 0 {
		return nil
	}
	seconds := curvePlot("Time, seconds", b.curves, func(p point) float64 { return p.seconds }, 0)
	memory := curvePlot("Peak memory, MiB", b.curves, func(p point) float64 { return p.mib }, maxPeakMiB)
	return errors.Join(
		os.WriteFile(filepath.Join(root, curveTimeFile), seconds, 0o644),
		os.WriteFile(filepath.Join(root, curveMemoryFile), memory, 0o644))
}

// curveMarkdown is the section about the part "curve".
func (b *bench) curveMarkdown(w *bytes.Buffer) {
	if len(b.sections) == 0 {
		return
	}
	fmt.Fprint(w, "\n## The curve\n")
	if len(b.curves) > 0 {
		fmt.Fprintf(w, "\n![time against rows, one line for each contestant](%s)\n\n![peak memory against rows, one line for each contestant](%s)\n", curveTimeFile, curveMemoryFile)
	}
	fmt.Fprintf(w, `
Two equal files with the table `+"`contact`"+`, at growing numbers of rows and, at %[1]s rows,
of columns: the key alone, six columns, all of them. All contestants of a size take turns in
one run, each in a process of its own; times and CPU times are medians of %[2]s, or those of
the one round of tables beyond %[5]s rows, peaks the greatest. CPU time is that of all cores
and of the whole process. The lines of other programs are dashed.

- **join**, **auto**, **stream** and **digest** are `+"`Compare`"+` with that `+"`Strategy`"+`. **%[3]s**
  is auto of a source of which no engine reads the mirror, too.
- **driver** reads both sides at the same time, in key order, below `+"`database/sql`"+`, and throws
  the rows away.
- **naive** is the program of the table above, with a struct of the table's columns; it is not
  run beyond %[4]s rows.
- **sqldiff** is `+"`sqldiff --primarykey --table contact mirror source`"+`, of Debian's package
  sqlite3-tools.
- **EXCEPT** asks for the keys of the rows that only the source has, and of those that only
  the mirror has, on one connection that has attached the other file: in the **shell** of
  Debian's package sqlite3, or by the **driver** that the store uses. On the server the
  connection reads both databases, and text is compared by its bytes, as varbinary: the
  server's own comparison is blind to case and trailing blanks.
- **since** is `+"`Compare`"+` with `+"`CompareOptions.Since`"+`: the source is a
  `+"`cycle.Customer`"+` over a file; some rows, spread evenly, were changed there and in the mirror
  after a comparison of all rows, with which it shares a process. Rows read are those of both
  sides.
- On the **server** source and mirror are two databases of one server, over the loopback.
  A contestant runs twice in its process, on the same connections, and is judged by the
  second time: what comes first in a session costs this server up to a second, whoever asks.
  Bytes are those that TCP carries then on all connections, both directions together. CPU
  time is the client's. The server is that of the slow link.
`, grouped(b.curveMiddle()), counted(b.pairs, "round"), bySingle, grouped(maxNaiveRows), grouped(b.curveRows()))
	for _, p := range missingPeers() {
		fmt.Fprintf(w, "\nMissing: %s.\n", p.missing())
	}
	for _, s := range b.sections {
		fmt.Fprintf(w, "\n### %s\n\n", s.title)
		writeTable(w, s.headings, s.cells)
	}
	fmt.Fprintf(w, "\nOnce more, with the table of this run's greatest size:\n\n    go run ./internal/bench -only curve -curve-max %d -pairs %d\n", b.upTo, b.pairs)
}
