package store_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

var typeCases = []struct {
	text, want string
	kind       store.Kind
}{
	{"bit", "bit", store.KindBool},
	{"tinyint", "tinyint", store.KindInt},
	{"smallint", "smallint", store.KindInt},
	{"INT", "int", store.KindInt},
	{"integer", "int", store.KindInt},
	{"bigint", "bigint", store.KindInt},
	{"real", "real", store.KindFloat},
	{"float", "float", store.KindFloat},
	{"float(1)", "real", store.KindFloat},
	{"float(24)", "real", store.KindFloat},
	{"float(25)", "float", store.KindFloat},
	{"float(53)", "float", store.KindFloat},
	{"Double \t Precision", "float", store.KindFloat},
	{"decimal", "decimal(18,0)", store.KindDecimal},
	{"decimal(5)", "decimal(5,0)", store.KindDecimal},
	{"decimal( 19 , 4 )", "decimal(19,4)", store.KindDecimal},
	{"numeric(38,38)", "decimal(38,38)", store.KindDecimal},
	{"dec(4,2)", "decimal(4,2)", store.KindDecimal},
	{"money", "money", store.KindDecimal},
	{"smallmoney", "smallmoney", store.KindDecimal},
	{"char", "char(1)", store.KindString},
	{"character(3)", "char(3)", store.KindString},
	{"varchar(8000)", "varchar(8000)", store.KindString},
	{"varchar(max)", "varchar(max)", store.KindString},
	{"text", "text", store.KindString},
	{"nchar(12)", "nchar(12)", store.KindString},
	{"nvarchar", "nvarchar(1)", store.KindString},
	{" nvarchar ( 219 ) ", "nvarchar(219)", store.KindString},
	{"NVARCHAR(MAX)", "nvarchar(max)", store.KindString},
	{"sysname", "nvarchar(128)", store.KindString},
	{"ntext", "ntext", store.KindString},
	{"xml", "xml", store.KindString},
	{"binary", "binary(1)", store.KindBytes},
	{"binary(16)", "binary(16)", store.KindBytes},
	{"varbinary(max)", "varbinary(max)", store.KindBytes},
	{"image", "image", store.KindBytes},
	{"date", "date", store.KindTime},
	{"smalldatetime", "smalldatetime", store.KindTime},
	{"datetime", "datetime", store.KindTime},
	{"datetime2", "datetime2(7)", store.KindTime},
	{"datetime2(0)", "datetime2(0)", store.KindTime},
	{"time", "time(7)", store.KindTimeOfDay},
	{"time(3)", "time(3)", store.KindTimeOfDay},
	{"datetimeoffset", "datetimeoffset(7)", store.KindTimeOffset},
	{"datetimeoffset(2)", "datetimeoffset(2)", store.KindTimeOffset},
	{"uniqueidentifier", "uniqueidentifier", store.KindGUID},
	{"timestamp", "rowversion", store.KindOther},
	{"sql_variant", "sql_variant", store.KindOther},
	{"geography", "geography", store.KindOther},
	{"hierarchyid", "hierarchyid", store.KindOther},
}

var notTypes = []struct{ text, reason string }{
	{"", "not a SQL Server type"},
	{"foo", "not a SQL Server type"},
	{"sysname(5)", "not a SQL Server type"},
	{"int; drop table contact", "not a SQL Server type"},
	{"int(4)", "no size"},
	{"text(5)", "no size"},
	{"geography(1)", "no size"},
	{"nvarchar(", "')' is missing"},
	{"nvarchar(10", "')' is missing"},
	{"nvarchar(10) null", "')' is missing"},
	{"nvarchar()", "not a number"},
	{"nvarchar(-1)", "not a number"},
	{"nvarchar(8001)", "not a number"},
	{"nvarchar(99999999999999999999)", "not a number"},
	{"nvarchar(0)", "length of 0"},
	{"nvarchar(1,2)", "one number"},
	{"char(max)", "not a number"},
	{"decimal(max)", "not a number"},
	{"decimal(0)", "precision of 1 to 38"},
	{"decimal(39)", "precision of 1 to 38"},
	{"decimal(5,6)", "scale within it"},
	{"decimal(5,2,1)", "precision of 1 to 38"},
	{"datetime2(8)", "at most 7"},
	{"float(0)", "1 to 53 bits"},
	{"float(54)", "1 to 53 bits"},
}

func TestParseType(t *testing.T) {
	for _, c := range typeCases {
		t.Run(c.text, func(t *testing.T) {
			typ, err := store.ParseType(c.text)
			require.NoError(t, err)
			require.Equal(t, c.want, typ.String())
			require.Equal(t, c.kind, typ.Kind())
			again, err := store.ParseType(typ.String())
			require.NoError(t, err)
			require.Equal(t, typ, again)
		})
	}
	for _, c := range notTypes {
		t.Run("refused: "+c.text, func(t *testing.T) {
			_, err := store.ParseType(c.text)
			require.ErrorContains(t, err, c.reason)
			require.ErrorContains(t, err, fmt.Sprintf("%q", c.text))
			require.Panics(t, func() { store.MustType(c.text) })
		})
	}

	t.Run("text that is no type survives as one of KindOther", func(t *testing.T) {
		var typ store.Type
		require.NoError(t, json.Unmarshal([]byte(`"dbo.phone_number"`), &typ))
		require.Equal(t, store.Type{Name: "dbo.phone_number"}, typ)
		require.Equal(t, store.KindOther, typ.Kind())
		text, err := json.Marshal(typ)
		require.NoError(t, err)
		require.Equal(t, `"dbo.phone_number"`, string(text))
	})
}

func FuzzParseType(f *testing.F) {
	for _, c := range typeCases {
		f.Add(c.text)
	}
	for _, c := range notTypes {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		typ, err := store.ParseType(text)
		if err != nil {
			return
		}
		again, err := store.ParseType(typ.String())
		require.NoError(t, err, "%q became %q", text, typ)
		require.Equal(t, typ, again)
	})
}
