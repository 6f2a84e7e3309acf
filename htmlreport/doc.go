// Package htmlreport writes reports as HTML for people to look at: one file that needs
// no other, has no script, and can be mailed, kept and printed.
//
//	f, err := os.Create("report.html")
//	...
//	err = htmlreport.WriteCompare(f, report, report.Plan())
//
// A service shows reports inside its own pages with [WriteComparePart] and its like, and
// the style sheet [Style].
//
// What comes from databases is shown as text, whatever it holds: characters that cannot
// be seen, or that steer the direction of text, stand as boxes with their names. The same
// report gives the same bytes. How many rows and names a page shows is bounded, and what
// is left out is said; the JSON form of the reports has all.
package htmlreport
