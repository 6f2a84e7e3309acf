package customers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecrets(t *testing.T) {
	var s Secrets
	require.Equal(t, "text", s.Hide("text"))
	s.Add("hem", "", "hemlig", "hem")
	require.Equal(t, "***, *** and ***x", s.Hide("hem, hemlig and hemx"), "nothing stays of the longer one")
	s.AddOf("sqlserver://u:p%40ss@h?database=d&client_secret=a+b")
	require.Equal(t, "*** *** *** *** database=d", s.Hide("p%40ss p@ss a+b a b database=d"))
}

func TestSecretsOf(t *testing.T) {
	for where, want := range map[string][]string{
		"mirror.db":                                 nil,
		"sqlserver://u@h?database=d":                nil,
		"sqlserver://u:a:b@c@h":                     {"a:b@c"},
		"sqlserver://h?Password=x;app name=y":       {"x"},
		"sqlserver://h?fedauth=y&AccessToken=%41":   {"%41", "A"},
		"Server=h; PWD = {a;b}":                     {"{a;b}"},
		`Data Source=h;Password="x"`:                {`"x"`},
		"sqlserver:/u:hemlig@h":                     {"hemlig"},
		"sqlserver://u:@h?password=&database=d":     nil,
		"sqlserver://u:%zz@h?database=d&password=%": {"%zz", "%"},
	} {
		require.Equal(t, want, SecretsOf(where), where)
	}
}
