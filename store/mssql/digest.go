package mssql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// DigestScheme implements store.Digester.
func (s *Source) DigestScheme() string { return s.sql.DigestScheme() }

// DigestEvery implements store.Digester. It is one statement, which scans the
// rows once on the server. It returns errors.ErrUnsupported for text keys on
// servers without UTF-8 collations (SQL Server 2017 and older), and for rows
// that can be longer than 8,000 bytes on SQL Server 2014 and older.
func (s *Source) DigestEvery(ctx context.Context, q store.Query, n int64) ([]store.Digest, error) {
	return s.sql.DigestEvery(ctx, q, n)
}

// DigestAt implements store.Digester, for what DigestEvery can. Each range is a
// seek. About a thousand
// ranges are one statement, which sees the table at one moment under snapshot
// isolation.
func (s *Source) DigestAt(ctx context.Context, q store.Query, cuts []store.Row) ([]store.Digest, error) {
	return s.sql.DigestAt(ctx, q, cuts)
}

// digestFacts is what has to be known of a server before digests.
type digestFacts struct {
	CodePoints int `db:"code_points"` // text is ordered by code point
	HashBytes  int `db:"hash_bytes"`  // the hash of more than 8,000 bytes has a length
}

const (
	// codePointsQuery compares U+FFFD with a character of two UTF-16 units.
	codePointsQuery = "SELECT CASE WHEN N'\ufffd' COLLATE " + binaryCollation + " < N'\U0001f600' COLLATE " + binaryCollation +
		" THEN 1 ELSE 0 END AS code_points"

	// digestFactsQuery is an error on servers whose HASHBYTES takes 8,000
	// bytes: SQL Server 2014 and older.
	digestFactsQuery = codePointsQuery +
		", DATALENGTH(HASHBYTES('SHA2_256', REPLICATE(CONVERT(varchar(max), 'x'), 8001))) AS hash_bytes"

	truncated = 8152 // string or binary data would be truncated
)

// prepareDigest asks only servers without UTF-8 collations, which all newer ones have.
func (s *server) prepareDigest(ctx context.Context, q sqlx.QueryerContext) error {
	if s.utf8() || s.digest.Load() != nil {
		return nil
	}
	var f digestFacts
	err := sqlx.GetContext(ctx, q, &f, digestFactsQuery)
	if slices.ContainsFunc(answers(err), func(e numbered) bool { return e.SQLErrorNumber() == truncated }) {
		f = digestFacts{}
		err = sqlx.GetContext(ctx, q, &f, codePointsQuery)
	}
	if err == nil {
		s.digest.Store(&f)
	}
	return err
}

func (s *server) codePoints() bool {
	f := s.digest.Load()
	return s.utf8() || f != nil && f.CodePoints == 1
}

func (s *server) longHash() bool {
	f := s.digest.Load()
	return s.utf8() || f != nil && f.HashBytes > 0
}

func (s *server) digests() *sqlstore.Digests {
	return &sqlstore.Digests{
		Scheme:  "sqlserver-sha256-1",
		Prepare: s.prepareDigest,
		Key:     s.digestKey,
		Hash:    func(cols []store.Column, names []string) (string, error) { return hashExpr(cols, names, s.longHash()) },
		Total: func(hash string) string {
			rows := "CONVERT(varchar(20), COUNT_BIG(*))"
			if hash == "" {
				return rows
			}
			// A decimal holds the sum of as many numbers of 64 bits as there
			// can be rows. SUM of bigint would overflow.
			return fmt.Sprintf("%s + ' ' + CONVERT(varchar(40), SUM(CONVERT(decimal(38,0), %s)))", rows, hash)
		},
		First: firstExpr,
	}
}

// firstExpr takes a detour where there is no MAX of a type: SQL Server has none
// of bit, and Babelfish crashes over that of decimal. What Babelfish has as MAX
// of text is of another type until it is converted back.
func firstExpr(t store.Type, condition, column string) string {
	to := t.String()
	switch t.Kind() {
	case store.KindBool:
		column = "CONVERT(int, " + column + ")"
	case store.KindDecimal:
		column = decimalText(t, column)
	case store.KindGUID:
		to = "binary(16)" // as it is read
	case store.KindString:
		if !isNational(t) { // the driver has no letter for some bytes
			to = "nvarchar(" + size(t.Length, maxNational) + ")"
		}
	}
	return fmt.Sprintf("CONVERT(%s, MAX(CASE WHEN %s THEN %s END))", to, condition, column)
}

// decimalText returns all digits of a number as text.
func decimalText(t store.Type, c string) string {
	if t.Name != "decimal" { // CONVERT rounds money to 2 digits
		c = "CONVERT(decimal(19,4), " + c + ")"
	}
	return "CONVERT(varchar(41), " + c + ")"
}

// digestKey refuses text keys on servers that sort by UTF-16 units. Rows may
// meet no key that is misplaced there; a range's rows would be those of another
// range, unnoticed.
func (s *server) digestKey(t store.Type) error {
	switch {
	case t.Name == "text", t.Name == "ntext", t.Name == "image", t.Name == "xml":
		return fmt.Errorf("SQL Server has no MAX of %s: %w", t, errors.ErrUnsupported)
	case t.Kind() == store.KindString && !s.codePoints():
		return fmt.Errorf("this server cannot order %s by code point: %w", t, errors.ErrUnsupported)
	default:
		return nil
	}
}

// concatColumns is how many columns one CONCAT joins. It takes 254 values, 100
// on Babelfish, and a column has up to 6.
const concatColumns = 16

// hashExpr hashes the text of a row. In it each value ends with a letter for its
// kind, or has its length before that letter, so that columns do not run
// together; NULL has nothing before the letter but points. The text is nvarchar, and values
// are hashed as they are and not by CONVERT(varbinary, ...), which some servers
// do by code page.
func hashExpr(cols []store.Column, names []string, long bool) (string, error) {
	var groups []string
	total := 0
	for len(cols) > 0 {
		n := min(len(cols), concatColumns)
		var parts []string
		length := 0
		for i, c := range cols[:n] {
			part, size := hashPart(c.Type, names[i])
			if size == 0 {
				return "", fmt.Errorf("column %s: values of type %s have no digest: %w", c.Name, c.Type, errors.ErrUnsupported)
			}
			parts = append(parts, part)
			length += size
		}
		groups = append(groups, concat(parts, length))
		total += length
		cols, names = cols[n:], names[n:]
	}
	if total > maxNational && !long {
		return "", fmt.Errorf("this server hashes at most 8,000 bytes, and rows can have more: %w", errors.ErrUnsupported)
	}
	row := groups[0]
	if len(groups) > 1 {
		row = concat(groups, total)
	}
	return hashBits(row), nil
}

// hashBits are the first 64 of a hash.
func hashBits(expr string) string {
	return "CONVERT(bigint, SUBSTRING(HASHBYTES('SHA2_256', " + expr + "), 1, 8))"
}

// concat joins text that has up to that length. CONCAT cuts what is longer than
// 4,000 characters unless one of its values has no limit.
func concat(parts []string, length int) string {
	if length > maxNational {
		parts = append([]string{"CONVERT(nvarchar(max), N'')"}, parts...)
	}
	return "CONCAT(" + strings.Join(parts, ", ") + ")"
}

// hashPart returns the values for CONCAT of one column and the greatest length
// of their text, 0 for a type without a digest. The text is exact and depends
// neither on the session's language nor on the database's compatibility level.
// Points in time are numbers because Babelfish is slow in making text of them;
// in style 121 a time has all its digits and its offset.
func hashPart(t store.Type, c string) (values string, length int) {
	switch t.Kind() {
	case store.KindBool:
		return "CONVERT(int, " + c + "), N'b'", 2
	case store.KindInt:
		return c + ", N'i'", 21
	case store.KindFloat:
		return "CONVERT(bigint, CONVERT(binary(8), CONVERT(float, " + c + "))), N'f'", 21
	case store.KindDecimal:
		return decimalText(t, c) + ", N'd'", 42
	case store.KindString:
		length = t.Length
		if length == 0 {
			length = store.MaxLength
		}
		c = national(t)(c)
		return "DATALENGTH(" + c + "), N's', " + c + " COLLATE " + binaryCollation, length + 11
	case store.KindBytes:
		length = 21
		if t.Name == "image" {
			c = "CONVERT(varbinary(max), " + c + ")"
		}
		if t.Name == "image" || t.Length == store.MaxLength {
			length = maxNational + 1 // its own hash has the server's limit, too
		}
		return hashBits(c) + ", N'x'", length
	case store.KindTime:
		values = "DATEDIFF(day, '19000101', " + c + ")"
		switch t.Name {
		case "date":
		case "datetime2":
			values += fmt.Sprintf(", N'.', DATEDIFF(second, CONVERT(date, %[1]s), %[1]s), N'.', DATEPART(nanosecond, %[1]s)", c)
		default:
			values += fmt.Sprintf(", N'.', DATEDIFF(millisecond, CONVERT(date, %[1]s), %[1]s)", c)
		}
		return values + ", N't'", 25
	case store.KindTimeOfDay:
		return "CONVERT(varchar(16), " + c + ", 121), N'o'", 17
	case store.KindTimeOffset:
		return "CONVERT(varchar(34), " + c + ", 121), N'z'", 35
	case store.KindGUID:
		return "CONVERT(varchar(36), " + c + "), N'g'", 37
	default:
		return "", 0
	}
}
