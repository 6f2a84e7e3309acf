package customers

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// environment are variables, and what is to be kept secret of them.
func environment(vars map[string]string) Environment {
	return Environment{Get: func(name string) string { return vars[name] }, Secrets: &Secrets{}}
}

// filled is a customer by a file.
func filled(env Environment, text, context string) (Customer, error) {
	customer := Customer{Context: context}
	f, err := Parse("file.yaml", []byte(text))
	if err != nil {
		return customer, err
	}
	e, err := f.Pick(context)
	if err != nil {
		return customer, err
	}
	err = e.Fill(&customer, env)
	return customer, err
}

const fleetFile = `source: sqlserver://reader:${CRM_PW}@crm.example.com?database={{context}}
mirror: sqlserver://mirror:${MIRROR_PW}@db.example.com?database=Mirror_{{ context }}
skip-tables: [document, login]
members:
  - Cust1
  - context: Cust2
    mirror: mirrors/{{context}}.db
    skip-tables: traveltransactionlog
    source-is-copy: true
    schema-prefixes: [crm7., dbo.]
`

func TestFileOfAFleet(t *testing.T) {
	env := environment(map[string]string{"CRM_PW": "p@ss/w:rd ?", "MIRROR_PW": "$$x"})
	p, err := filled(env, fleetFile, "cust1")
	require.NoError(t, err)
	require.Equal(t, "sqlserver://reader:p%40ss%2Fw%3Ard%20%3F@crm.example.com?database=Cust1", p.Source.Where)
	require.Equal(t, "sqlserver://mirror:%24%24x@db.example.com?database=Mirror_Cust1", p.Mirror.Where)
	require.Equal(t, []string{"document", "login"}, p.Compare.SkipTables)
	require.NotContains(t, env.Secrets.Hide("no login: p@ss/w:rd ?, p%40ss%2Fw%3Ard%20%3F"), "ss")

	p, err = filled(env, fleetFile, "Cust2")
	require.NoError(t, err)
	require.Equal(t, "mirrors/Cust2.db", p.Mirror.Where)
	require.Equal(t, []string{"traveltransactionlog"}, p.Compare.SkipTables, "a member's list takes the place of the one above")
	require.Equal(t, []string{"crm7.", "dbo."}, p.Compare.SchemaPrefixes)
	require.True(t, p.Compare.SourceIsCopy)
}

func TestFileReplica(t *testing.T) {
	const text = "mirror: m.db\nreplica: sqlserver://r:${NEW_PW}@h?database={{context}}\nreplica-schema: crm7\n" +
		"members:\n- Cust1\n- context: Cust2\n  replica: r.db\n"
	f, err := Parse(filepath.Join("dir", "file.yaml"), []byte(text))
	require.NoError(t, err)
	unset, env := environment(nil), environment(map[string]string{"NEW_PW": "hem/lig"})

	e, err := f.Pick("cust1")
	require.NoError(t, err)
	var c Customer
	require.NoError(t, e.Fill(&c, unset), "who does not look at replicas needs no secret of them")
	require.Zero(t, c.Replica)
	require.EqualError(t, e.FillReplica(&c, unset), filepath.Join("dir", "file.yaml")+":2: the environment has no NEW_PW, or it is empty")
	require.NoError(t, e.FillReplica(&c, env))
	require.Equal(t, Database{"sqlserver://r:hem%2Flig@h?database=Cust1", "crm7"}, c.Replica)
	require.Equal(t, "***", env.Secrets.Hide("hem/lig"))
	var alone Customer
	require.NoError(t, e.FillReplica(&alone, env))
	require.Equal(t, c.Replica, alone.Replica, "whatever else is filled in")

	c = Customer{Replica: Database{Where: "said.db"}}
	require.NoError(t, e.FillReplica(&c, unset))
	require.Equal(t, "said.db", c.Replica.Where, "what is said goes before the file")

	e, err = f.Pick("Cust2")
	require.NoError(t, err)
	c = Customer{}
	require.NoError(t, e.FillReplica(&c, unset))
	require.Equal(t, filepath.Join("dir", "r.db"), c.Replica.Where)

	c = Customer{}
	require.NoError(t, Entry{}.FillReplica(&c, unset))
	require.Zero(t, c)
}

func TestFileFillsIn(t *testing.T) {
	env := map[string]string{"HOST": "db.example.com:1433", "URL": "sqlserver://u:p@h?database=d", "PW": "a b&c", "DIR": "/srv/x y", "USER": "d\\me"}
	for name, c := range map[string]struct{ text, want string }{
		"a whole URL is left as it is":     {"${URL}", "sqlserver://u:p@h?database=d"},
		"a host is left as it is":          {"sqlserver://u@${HOST}?database=d", "sqlserver://u@db.example.com:1433?database=d"},
		"a host without a user":            {"sqlserver://${HOST}?database=d", "sqlserver://db.example.com:1433?database=d"},
		"a user and a password":            {"sqlserver://${USER}:${PW}@h", "sqlserver://d%5Cme:a%20b%26c@h"},
		"a part of the query":              {"sqlserver://h?password=${PW}&database=d", "sqlserver://h?password=a+b%26c&database=d"},
		"a file is left as it is":          {"${DIR}/m.db", "/srv/x y/m.db"},
		"a dollar sign":                    {"/srv/a$$b${PW}.db", "/srv/a$ba b&c.db"},
		"what a variable holds is not it":  {"/srv/{{context}}", "/srv/Cust1"},
		"a query with an @ is no user":     {"sqlserver://${HOST}?database=a@b", "sqlserver://db.example.com:1433?database=a@b"},
		"a name of a file may hold a dash": {"m-{{context}}.db", "m-Cust1.db"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := filled(environment(env), "context: Cust1\nmirror: "+c.text+"\n", "")
			require.NoError(t, err)
			require.Equal(t, c.want, p.Mirror.Where)
		})
	}
	// What a variable holds is not looked at again.
	p, err := filled(environment(map[string]string{"A": "${B}{{context}}$"}), "mirror: ${A}\n", "")
	require.NoError(t, err)
	require.Equal(t, "${B}{{context}}$", p.Mirror.Where)
}

func TestFileErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, context, want string }{
		"an empty file":               {"", "", "1: the file is empty"},
		"no YAML":                     {"a: b: c\n", "", "1: this is no YAML: mapping values are not allowed in this context"},
		"an alias":                    {"\nmirror: *hemlig\n", "", "1: this is no YAML: an alias has no anchor: put a value that begins with * into quotes"},
		"a list":                      {"- a\n", "", `1: want lines such as "mirror: mirror.db"`},
		"two documents":               {"mirror: a\n---\nmirror: b\n", "", "2: a second document begins: a file has one"},
		"a key with a slip":           {"context: Cust1\nmiror: a\n", "", "2: unknown key miror: did you mean mirror?"},
		"a key of another case":       {"Mirror: a\n", "", "1: unknown key Mirror: did you mean mirror?"},
		"a key of its own":            {"frobnicate: a\n", "", "1: unknown key frobnicate: known are concurrency, context, former-ids, ignore-columns, lsn-column, members, metadata-table, mirror, mirror-schema, replica, replica-schema, schema-prefixes, skip-tables, source, source-is-copy, source-schema, state-dir, table-column, timeout"},
		"a key that may be a secret":  {"sqlserver://u:hemlig@h: x\n", "", "1: this is no key: known are concurrency, context, former-ids, ignore-columns, lsn-column, members, metadata-table, mirror, mirror-schema, replica, replica-schema, schema-prefixes, skip-tables, source, source-is-copy, source-schema, state-dir, table-column, timeout"},
		"a key twice":                 {"mirror: a\nmirror: b\n", "", "2: mirror is there twice"},
		"no value":                    {"mirror:\n", "", "1: mirror has no value"},
		"a list as a value":           {"mirror: [a, b]\n", "", "1: mirror: want one value"},
		"no quotes":                   {"mirror: {{context}}\n", "", "1: mirror: put a value that begins with {{ into quotes"},
		"no truth":                    {"source-is-copy: hemlig\n", "", "1: source-is-copy: want true or false"},
		"no number":                   {"members: [A]\nconcurrency: hemlig\n", "", "2: concurrency: want a number from 1 on"},
		"no time":                     {"members: [A]\ntimeout: hemlig\n", "", "2: timeout: want a time such as 90s or 30m"},
		"a dollar sign":               {"mirror: hemlig$x\n", "", "1: mirror: a dollar sign that begins no ${NAME} is written $$"},
		"another template":            {"mirror: '{{hemlig}}'\n", "", "1: mirror: only {{context}} can be filled in"},
		"an unset variable":           {"context: Cust1\nmirror: hemlig${NOWHERE}\n", "", "2: the environment has no NOWHERE, or it is empty"},
		"no context identifier":       {"context: 1st\n", "", "1: this is no context identifier: it is letters, digits, '_' and '-', and starts with a letter, such as Cust10195"},
		"members that are no list":    {"members: Cust1\n", "", "1: members: want a list of context identifiers, or of what is known of each"},
		"no members":                  {"members: []\n", "", "1: members: there is none"},
		"a member without a name":     {"members:\n  - mirror: a\n", "", "2: a member has no context"},
		"a member with a bad name":    {"members:\n  - ''\n", "", "2: this is no context identifier: it is letters, digits, '_' and '-', and starts with a letter, such as Cust10195"},
		"a member twice":              {"members:\n  - Cust1\n  - cust1\n", "", "3: cust1 is a member twice, first in line 2"},
		"a key of the top":            {"members:\n  - context: A\n    timeout: 3s\n", "", "3: timeout stands at the top of the file, not at a member"},
		"a context of all":            {"context: A\nmembers: [B]\n", "", "1: each of the members has a context of its own, and the top has none"},
		"no member of that name":      {"members: [Cust1, Cust2]\n", "Cust11", "file.yaml has no member Cust11: did you mean Cust1?"},
		"none that is like it":        {"members: [Cust1, Cust2]\n", "Other", "file.yaml has no member Other"},
		"no name of one":              {"members: [Cust1, Cust2]\n", "", "which customer? file.yaml has 2: name one by --context"},
		"another customer":            {"context: Cust1\n", "Cust2", "file.yaml is about Cust1, not Cust2"},
		"an alias of itself":          {"members: &m [*m]\n", "", "1: want lines such as \"mirror: mirror.db\""},
		"an unset variable in a list": {"skip-tables:\n - ${NOWHERE}\n", "", "2: the environment has no NOWHERE, or it is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := filled(environment(nil), c.text, c.context)
			want := c.want
			if !strings.Contains(want, "file.yaml") {
				want = "file.yaml:" + want
			}
			require.EqualError(t, err, want)
			require.NotContains(t, err.Error(), "hemlig")
			require.ErrorAs(t, err, &Mistake{})
		})
	}
}

func TestFilePasswords(t *testing.T) {
	for text, line := range map[string]int{
		"mirror: a.db\n":                                             0,
		"mirror: sqlserver://u:${PW}@h\n":                            0,
		"mirror: sqlserver://u@h\n":                                  0,
		"source: a\nmirror: sqlserver://u:hemlig@h\n":                2,
		"source: a\nmirror: sqlserver://h?password=x${Y}\n":          2,
		"members:\n- context: A\n  source: sqlserver://u:hemlig@h\n": 3,
	} {
		c, err := Parse("file.yaml", []byte(text))
		require.NoError(t, err)
		require.Equal(t, line, c.literalPassword(), text)
	}
}

// FuzzFile: no file makes the parser panic, and no error gives a secret away.
func FuzzFile(f *testing.F) {
	const secret = "Zw7/hemlig%41"
	f.Add(fleetFile, "Cust1")
	f.Add("context: Cust1\nmirror: sqlserver://u:"+secret+"@h?database=x\n", "")
	for _, s := range []string{
		"mirror: &x ${PW}\nsource: *x\n", "mirror: {{context}}", "a: *b", "? [a]\n: b\n", "!!binary aGVq: x", "<<: {mirror: a}\n", "%YAML 9\n---\n",
		"mirror: \"\\q" + secret + "\"\n", "mirror: |\n " + secret + "\n  x\n\t" + secret, "members: [" + secret + "]", secret + ": " + secret, "concurrency: " + secret,
		"*" + secret, "mirror: !" + secret + " x", "&" + secret, "timeout: ${PW}\nmembers: [A]", "members:\n- context: A\n  " + secret + ": x",
	} {
		f.Add(s, "A")
	}
	f.Fuzz(func(t *testing.T, text, context string) {
		env := environment(map[string]string{"PW": secret})
		p, err := filled(env, text, context)
		if err != nil {
			env.Secrets.AddOf(p.Source.Where)
			if message := env.Secrets.Hide(err.Error()); !strings.Contains(context, secret) {
				require.NotContains(t, message, secret)
			}
		}
	})
}
