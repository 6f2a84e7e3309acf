package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlite"
	"github.com/so-mirror/mirror/store/storetest"
)

// ownObjects has the suite make the objects that SQLite has.
func ownObjects() []storetest.Option {
	opts := []storetest.Option{storetest.Objects(makeObject)}
	for _, kind := range []string{"synonym", "procedure", "procedure-uses", "grant", "deny"} {
		opts = append(opts, storetest.Skip("objects/"+kind, "SQLite has no such thing"))
	}
	return opts
}

func makeObject(ctx context.Context, st store.Store, o store.Object) error {
	quote := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	var sql string
	switch o.Kind {
	case store.ObjectView:
		var tables []string
		for _, n := range o.Uses {
			tables = append(tables, quote(n.Name))
		}
		sql = fmt.Sprintf("CREATE VIEW %s AS SELECT 1 AS one FROM %s", quote(o.Name), strings.Join(tables, ", "))
	case store.ObjectIndex:
		unique, columns := "", o.Detail
		if rest, ok := strings.CutPrefix(columns, "unique "); ok {
			unique, columns = "UNIQUE ", rest
		}
		sql = fmt.Sprintf("CREATE %sINDEX %s ON %s %s", unique, quote(o.Name), quote(o.On.Name), columns)
	case store.ObjectTrigger:
		sql = fmt.Sprintf("CREATE TRIGGER %s %s ON %s BEGIN SELECT 1; END", quote(o.Name), o.Detail, quote(o.On.Name))
	default:
		return errors.ErrUnsupported
	}
	_, err := st.(*sqlite.Store).DB().ExecContext(ctx, sql)
	return err
}

// objectTexts returns what a database has besides tables, as text.
func objectTexts(t *testing.T, script string) []string {
	t.Helper()
	_, st := database(t, script)
	list, ok, err := store.ObjectsOf(t.Context(), st)
	require.NoError(t, err)
	require.True(t, ok)
	var texts []string
	for _, o := range list {
		text := strings.Join(strings.Fields(fmt.Sprint(o.Kind, " ", o.Name, " ", o.On)), " ")
		if o.Detail != "" {
			text += " " + o.Detail
		}
		for _, u := range o.Uses {
			text += " <" + u.String() + ">"
		}
		texts = append(texts, text)
	}
	return texts
}

func TestIndexDetails(t *testing.T) {
	const tables = `CREATE TABLE person (id INTEGER PRIMARY KEY, name text UNIQUE, "a ""b"", c" int, retired int);`
	for sql, want := range map[string]string{
		`CREATE INDEX i ON person (name)`:                                           `(name)`,
		`CREATE INDEX i ON PERSON (NAME DESC, "Retired")`:                           `(name desc, retired)`,
		`CREATE UNIQUE INDEX IF NOT EXISTS main.i ON person(name COLLATE NOCASE)`:   `unique (name collate nocase)`,
		`CREATE INDEX i ON person (name) WHERE retired=0 -- living`:                 `(name) where retired = 0`,
		`CREATE INDEX i ON person (substr(name, 1) desc, id) WHERE (id IN (1,  2))`: `(substr (name, 1) desc, id) where (id IN (1, 2))`,
		"CREATE INDEX i ON person (\"a \"\"b\"\", c\", [name])":                     `(a "b", c, name)`,
		`CREATE INDEX i ON person (name || ' where, ' || name)`:                     `(name || ' where, ' || name)`,
	} {
		t.Run(sql, func(t *testing.T) {
			require.Equal(t, []string{"index i person " + want}, objectTexts(t, tables+sql))
		})
	}
}

func TestTriggerDetails(t *testing.T) {
	const tables = `CREATE TABLE person (id INTEGER PRIMARY KEY, name text, retired int); CREATE TABLE log (what); CREATE TABLE name (x);
		CREATE VIEW people AS SELECT * FROM person;`
	const people = "view people <person>"
	for sql, want := range map[string]string{
		`CREATE TRIGGER t AFTER INSERT ON person BEGIN INSERT INTO Log VALUES (new.name); END`:                                         "person after insert <log>",
		`CREATE TRIGGER t UPDATE OF name, "retired" ON Person BEGIN UPDATE OR IGNORE log SET what = 1; END`:                            "person before update of (name, retired) <log>",
		`CREATE TRIGGER IF NOT EXISTS main.t INSTEAD OF DELETE ON people BEGIN DELETE FROM person WHERE id = old.id; END`:              "people instead of delete <person>",
		`CREATE TRIGGER after AFTER DELETE ON person WHEN EXISTS (SELECT 1 FROM log) BEGIN SELECT 1; END`:                              "person after delete <log>",
		`CREATE TRIGGER t BEFORE UPDATE ON person BEGIN INSERT INTO person VALUES (1,2,3) ON CONFLICT DO UPDATE SET name = 'log'; END`: "person before update <person>",
	} {
		t.Run(sql, func(t *testing.T) {
			name := "t"
			if strings.HasPrefix(sql, "CREATE TRIGGER after") {
				name = "after"
			}
			require.Equal(t, []string{"trigger " + name + " " + want, people}, objectTexts(t, tables+sql))
		})
	}
}

// A view uses what stands where a table stands. That it names a column, an alias or
// a string like a table is no use, and part of a name is none.
func TestUsesOfViews(t *testing.T) {
	const tables = `CREATE TABLE person (id INTEGER PRIMARY KEY, sale int, contact int); CREATE TABLE contact (id int, person int);
		CREATE TABLE sale (id int, name text); CREATE TABLE "from, sale" (id int); CREATE TABLE persons (id int); CREATE TABLE "it's ""x""" (id int);`
	for sql, want := range map[string]string{
		`SELECT * FROM person`:                                                      "<person>",
		`SELECT * FROM PERSON, main."Contact"`:                                      "<contact> <person>",
		`SELECT sale, contact.person FROM person AS contact`:                        "<person>",
		`SELECT 'FROM sale', "contact" FROM person -- FROM sale`:                    "<person>",
		`SELECT 1 /* FROM sale, contact */ FROM [persons]`:                          "<persons>",
		"SELECT 1 FROM `from, sale` AS x, persons":                                  "<from, sale> <persons>",
		`SELECT 1 FROM "it's ""x""" AS a, 'sale' AS b`:                              `<it's "x"> <sale>`,
		`SELECT 1 FROM (person JOIN (contact NATURAL LEFT JOIN sale))`:              "<contact> <person> <sale>",
		`SELECT 1 FROM person p JOIN contact c ON (p.id IN (c.id, 1)), sale s`:      "<contact> <person> <sale>",
		`SELECT 1 FROM (SELECT id, sale FROM person), (VALUES (1, 2))`:              "<person>",
		`SELECT (SELECT max(id) FROM sale) FROM person ORDER BY sale, contact`:      "<person> <sale>",
		`SELECT 1 FROM person WHERE id IN contact AND sale IS NOT DISTINCT FROM id`: "<contact> <person>",
		`WITH sale AS (SELECT 1 AS id FROM person) SELECT * FROM sale, main.sale x`: "<person> <sale>",
		`WITH RECURSIVE a(x, y) AS (SELECT 1, 2 UNION SELECT x + 1, y FROM a, b), b AS NOT MATERIALIZED (SELECT id FROM sale) SELECT * FROM a`: "<sale>",
		`SELECT 1 FROM (WITH sale AS (SELECT 1) SELECT * FROM sale) UNION ALL SELECT id FROM sale`:                                             "<sale>",
		`SELECT 1 FROM (WITH sale AS (SELECT 1) SELECT * FROM sale) UNION ALL SELECT id FROM contact`:                                          "<contact>",
		`SELECT name FROM sqlite_schema, json_each('[1]'), pragma_table_list`:                                                                  "",
		`SELECT 1 FROM gone, main.[Gone too]`: "<Gone too> <gone>",
		`SELECT sum(sale) OVER w FROM person, persons WINDOW w AS (PARTITION BY contact ORDER BY id)`:                       "<person> <persons>",
		`SELECT 1 FROM person LEFT JOIN contact USING (id, person) CROSS JOIN sale GROUP BY 1, persons HAVING 1 LIMIT 1, 2`: "<contact> <person> <sale>",
		`SELECT CASE WHEN id = 1 THEN sale ELSE contact END FROM person EXCEPT SELECT 1 FROM contact`:                       "<contact> <person>",
	} {
		t.Run(sql, func(t *testing.T) {
			require.Equal(t, []string{strings.TrimSpace("view v " + want)}, objectTexts(t, tables+"CREATE VIEW v AS "+sql))
		})
	}
}

// Only what a statement made is an index, and a virtual table brings its own.
func TestObjectsOfConstraints(t *testing.T) {
	require.Empty(t, objectTexts(t, `CREATE TABLE a (id int PRIMARY KEY, b int UNIQUE, UNIQUE (id, b));
		CREATE TABLE w (id text PRIMARY KEY, b int UNIQUE) WITHOUT ROWID; CREATE TABLE n (id integer PRIMARY KEY AUTOINCREMENT);
		CREATE VIRTUAL TABLE f USING fts5(text); INSERT INTO f VALUES ('x');`))
}
