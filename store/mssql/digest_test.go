package mssql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// TestHashText shows the values of each type that a hash is made of.
func TestHashText(t *testing.T) {
	const start, end = "CONVERT(bigint, SUBSTRING(HASHBYTES('SHA2_256', CONCAT(", ")), 1, 8))"
	bits := func(expr string) string {
		return "CONVERT(bigint, SUBSTRING(HASHBYTES('SHA2_256', " + expr + "), 1, 8))"
	}
	for typ, want := range map[string]string{
		"bit":               "CONVERT(int, [c]), N'b'",
		"tinyint":           "[c], N'i'",
		"bigint":            "[c], N'i'",
		"float":             "CONVERT(bigint, CONVERT(binary(8), CONVERT(float, [c]))), N'f'",
		"real":              "CONVERT(bigint, CONVERT(binary(8), CONVERT(float, [c]))), N'f'",
		"decimal(38,10)":    "CONVERT(varchar(41), [c]), N'd'",
		"money":             "CONVERT(varchar(41), CONVERT(decimal(19,4), [c])), N'd'",
		"nvarchar(20)":      "DATALENGTH([c]), N's', [c] COLLATE Latin1_General_BIN2",
		"varchar(20)":       "DATALENGTH(CONVERT(nvarchar(20), [c])), N's', CONVERT(nvarchar(20), [c]) COLLATE Latin1_General_BIN2",
		"nvarchar(max)":     "CONVERT(nvarchar(max), N''), DATALENGTH([c]), N's', [c] COLLATE Latin1_General_BIN2",
		"varchar(8000)":     "CONVERT(nvarchar(max), N''), DATALENGTH(CONVERT(nvarchar(max), [c])), N's', CONVERT(nvarchar(max), [c]) COLLATE Latin1_General_BIN2",
		"xml":               "CONVERT(nvarchar(max), N''), DATALENGTH(CONVERT(nvarchar(max), [c])), N's', CONVERT(nvarchar(max), [c]) COLLATE Latin1_General_BIN2",
		"binary(2)":         bits("[c]") + ", N'x'",
		"varbinary(8000)":   bits("[c]") + ", N'x'",
		"image":             "CONVERT(nvarchar(max), N''), " + bits("CONVERT(varbinary(max), [c])") + ", N'x'",
		"date":              "DATEDIFF(day, '19000101', [c]), N't'",
		"datetime":          "DATEDIFF(day, '19000101', [c]), N'.', DATEDIFF(millisecond, CONVERT(date, [c]), [c]), N't'",
		"smalldatetime":     "DATEDIFF(day, '19000101', [c]), N'.', DATEDIFF(millisecond, CONVERT(date, [c]), [c]), N't'",
		"datetime2(7)":      "DATEDIFF(day, '19000101', [c]), N'.', DATEDIFF(second, CONVERT(date, [c]), [c]), N'.', DATEPART(nanosecond, [c]), N't'",
		"time(7)":           "CONVERT(varchar(16), [c], 121), N'o'",
		"datetimeoffset(7)": "CONVERT(varchar(34), [c], 121), N'z'",
		"uniqueidentifier":  "CONVERT(varchar(36), [c]), N'g'",
	} {
		t.Run(typ, func(t *testing.T) {
			got, err := hashExpr([]store.Column{{Type: store.MustType(typ)}}, []string{"[c]"}, true)
			require.NoError(t, err)
			require.Equal(t, start+want+end, got)
		})
	}
	columns := func(n int, typ string) (cols []store.Column, names []string) {
		for i := range n {
			cols = append(cols, store.Column{Name: "c", Type: store.MustType(typ)})
			names = append(names, fmt.Sprint("c", i))
		}
		return cols, names
	}
	t.Run("many columns", func(t *testing.T) {
		cols, names := columns(17, "int")
		got, err := hashExpr(cols, names, false)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(got, start+"CONCAT(c0, N'i', c1, N'i', "), got)
		require.True(t, strings.HasSuffix(got, "c15, N'i'), CONCAT(c16, N'i')"+end), got)
	})
	t.Run("a row longer than 4,000 characters has no limit", func(t *testing.T) {
		cols, names := columns(190, "int")
		got, err := hashExpr(cols, names, true)
		require.NoError(t, err)
		require.NotContains(t, got, "max")
		cols, names = columns(191, "int")
		got, err = hashExpr(cols, names, true)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(got, start+"CONVERT(nvarchar(max), N''), CONCAT(c0"), got)
	})
	t.Run("a server that hashes 8,000 bytes", func(t *testing.T) {
		for typ, ok := range map[string]bool{"nvarchar(3989)": true, "nvarchar(3990)": false, "varchar(3989)": true, "text": false,
			"nvarchar(max)": false, "varbinary(max)": false, "varbinary(8000)": true, "image": false, "xml": false} {
			_, err := hashExpr([]store.Column{{Type: store.MustType(typ)}}, []string{"[c]"}, false)
			require.Equal(t, !ok, errors.Is(err, errors.ErrUnsupported), "%s: %v", typ, err)
		}
	})
	t.Run("types without a digest", func(t *testing.T) {
		for _, typ := range []string{"sql_variant", "geography", "geometry", "hierarchyid", "rowversion", "vector(3)", "json"} {
			_, err := hashExpr([]store.Column{{Name: "v", Type: store.Type{Name: typ}}}, []string{"[c]"}, true)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, "column v")
		}
	})
}

func TestFirstText(t *testing.T) {
	for typ, want := range map[string]string{
		"int":              "CONVERT(int, MAX(CASE WHEN x THEN k END))",
		"bit":              "CONVERT(bit, MAX(CASE WHEN x THEN CONVERT(int, k) END))",
		"nvarchar(20)":     "CONVERT(nvarchar(20), MAX(CASE WHEN x THEN k END))",
		"decimal(9,2)":     "CONVERT(decimal(9,2), MAX(CASE WHEN x THEN CONVERT(varchar(41), k) END))",
		"money":            "CONVERT(money, MAX(CASE WHEN x THEN CONVERT(varchar(41), CONVERT(decimal(19,4), k)) END))",
		"uniqueidentifier": "CONVERT(binary(16), MAX(CASE WHEN x THEN k END))",
		"datetime":         "CONVERT(datetime, MAX(CASE WHEN x THEN k END))",
	} {
		require.Equal(t, want, firstExpr(store.MustType(typ), "x", "k"), typ)
	}
}

// TestDigestKey: what cannot be a key, by the server.
func TestDigestKey(t *testing.T) {
	for _, c := range []struct {
		name      string
		utf8      int
		facts     *digestFacts
		text, big bool
	}{
		{"not asked yet", 0, nil, false, false},
		{"SQL Server 2019 and later", 65001, nil, true, true},
		{"SQL Server 2016 and 2017", 0, &digestFacts{HashBytes: 32}, false, true},
		{"SQL Server 2014 and older", 0, &digestFacts{}, false, false},
		{"Babelfish", 0, &digestFacts{CodePoints: 1, HashBytes: 32}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := &server{}
			srv.facts.Store(&facts{UTF8: c.utf8})
			srv.digest.Store(c.facts)
			for _, typ := range []string{"nvarchar(20)", "char(3)"} {
				require.Equal(t, c.text, srv.digestKey(store.MustType(typ)) == nil, typ)
			}
			for _, typ := range []string{"int", "uniqueidentifier", "decimal(9,2)", "datetime", "varbinary(20)", "bit"} {
				require.NoError(t, srv.digestKey(store.MustType(typ)), typ)
			}
			for _, typ := range []string{"text", "ntext", "xml", "image"} {
				require.ErrorIs(t, srv.digestKey(store.MustType(typ)), errors.ErrUnsupported, typ)
			}
			_, err := srv.digests().Hash([]store.Column{{Type: store.MustType("nvarchar(max)")}}, []string{"[c]"})
			require.Equal(t, c.big, err == nil)
		})
	}
}

func TestTotalText(t *testing.T) {
	total := (&server{}).digests().Total
	require.Equal(t, "CONVERT(varchar(20), COUNT_BIG(*))", total(""))
	require.Equal(t, "CONVERT(varchar(20), COUNT_BIG(*)) + ' ' + CONVERT(varchar(40), SUM(CONVERT(decimal(38,0), g.h)))", total("g.h"))
}
