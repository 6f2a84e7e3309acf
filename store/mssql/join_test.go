package mssql

import (
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

// TestAlikeText shows how the values of each type are compared.
func TestAlikeText(t *testing.T) {
	const bin = " COLLATE Latin1_General_BIN2"
	for _, c := range []struct{ source, mirror, want string }{
		{"bit", "", "s.c = m.c"},
		{"int", "bigint", "s.c = m.c"},
		{"decimal(38,10)", "", "s.c = m.c"},
		{"money", "", "s.c = m.c"},
		{"float", "", "CONVERT(binary(8), s.c) = CONVERT(binary(8), m.c)"},
		{"real", "", "CONVERT(binary(4), s.c) = CONVERT(binary(4), m.c)"},
		{"nvarchar(20)", "nvarchar(30)", "s.c" + bin + " = m.c" + bin + " AND DATALENGTH(s.c) = DATALENGTH(m.c)"},
		{"nvarchar(max)", "", "s.c" + bin + " = m.c" + bin + " AND DATALENGTH(s.c) = DATALENGTH(m.c)"},
		{"nchar(5)", "", "s.c" + bin + " = m.c" + bin + " AND DATALENGTH(s.c) = DATALENGTH(m.c)"},
		{"varchar(20)", "", "CONVERT(nvarchar(20), s.c)" + bin + " = CONVERT(nvarchar(20), m.c)" + bin +
			" AND DATALENGTH(CONVERT(nvarchar(20), s.c)) = DATALENGTH(CONVERT(nvarchar(20), m.c))"},
		{"text", "nvarchar(max)", "CONVERT(nvarchar(max), s.c)" + bin + " = m.c" + bin + " AND DATALENGTH(CONVERT(nvarchar(max), s.c)) = DATALENGTH(m.c)"},
		{"varchar(8000)", "ntext", "CONVERT(nvarchar(max), s.c)" + bin + " = CONVERT(nvarchar(max), m.c)" + bin +
			" AND DATALENGTH(CONVERT(nvarchar(max), s.c)) = DATALENGTH(CONVERT(nvarchar(max), m.c))"},
		{"xml", "", "CONVERT(nvarchar(max), s.c)" + bin + " = CONVERT(nvarchar(max), m.c)" + bin +
			" AND DATALENGTH(CONVERT(nvarchar(max), s.c)) = DATALENGTH(CONVERT(nvarchar(max), m.c))"},
		{"binary(2)", "varbinary(9)", "s.c = m.c AND DATALENGTH(s.c) = DATALENGTH(m.c)"},
		{"image", "varbinary(max)", "CONVERT(varbinary(max), s.c) = m.c AND DATALENGTH(CONVERT(varbinary(max), s.c)) = DATALENGTH(m.c)"},
		{"date", "", "s.c = m.c"},
		{"datetime", "", "s.c = m.c"},
		{"datetime2(7)", "", "s.c = m.c"},
		{"time(7)", "", "s.c = m.c"},
		{"datetimeoffset(7)", "", "s.c = m.c AND DATEPART(tzoffset, s.c) = DATEPART(tzoffset, m.c)"},
		{"uniqueidentifier", "", "s.c = m.c"},
	} {
		t.Run(c.source+" "+c.mirror, func(t *testing.T) {
			source := store.MustType(c.source)
			mirror := source
			if c.mirror != "" {
				mirror = store.MustType(c.mirror)
			}
			got, err := alike(source, mirror, "s.c", "m.c")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for _, typ := range []string{"sql_variant", "geography", "geometry", "hierarchyid", "rowversion", "vector(3)", "json"} {
		_, err := alike(store.Type{Name: typ}, store.Type{Name: typ}, "s.c", "m.c")
		require.ErrorIs(t, err, errors.ErrUnsupported, typ)
	}
	require.Equal(t, "s.k = m.k", equalKeys(store.MustType("float"), store.MustType("float"), "s.k", "m.k"), "an index has 0 and -0 in one place")
	require.Equal(t, "CONVERT(nvarchar(9), s.k)"+bin+" = CONVERT(nvarchar(9), m.k)"+bin, equalKeys(store.MustType("varchar(9)"), store.MustType("varchar(9)"), "s.k", "m.k"))
}

// joined returns the join of two scripted databases of one server, and both queries
// of a table with these columns, of which the first is the key and v is nullable.
func joined(t *testing.T, s *script, change func(source, mirror *Source), key string, types ...string) (j store.Join, source, mirror store.Query) {
	t.Helper()
	src, mir := scripted(t, s), scripted(t, s)
	mir.server.opts.Schema = "dbo"
	if change != nil {
		change(src, mir)
	}
	j, err := src.joinWith(mir, "Mirror_Cust1")
	require.NoError(t, err)
	tab := keyed("contact", []string{"a"}, append([]string{key}, types...)...)
	for i := range tab.Columns {
		tab.Columns[i].Nullable = i > 0
	}
	source = store.Query{Table: tab, Columns: tab.ColumnNames(), Key: tab.Key}
	mirror = source
	mirror.Table.Schema = ""
	return j, source, mirror
}

// found is what SQL Server answers: the numbers of rows, then the keys.
func found(source, mirror int64, keys ...[]driver.Value) answer {
	return answer{sets: [][][]driver.Value{{{source, mirror}}, keys}}
}

// TestJoinText shows the statements of a join.
func TestJoinText(t *testing.T) {
	const (
		head   = "SET LOCK_TIMEOUT 30000; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; "
		tail   = "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
		mine   = "[crm7].[contact] AS s"
		theirs = "[Mirror_Cust1].[dbo].[contact] AS m"
	)
	t.Run("all rows", func(t *testing.T) {
		s := &script{answers: []answer{found(7, 6, []driver.Value{int64(3), nil}, []driver.Value{int64(1), int64(1)})}}
		j, source, mirror := joined(t, s, nil, "int", "int")
		got, err := j.Suspects(t.Context(), source, mirror, 9)
		require.NoError(t, err)
		require.Equal(t, store.Suspects{SourceRows: 7, MirrorRows: 6, Keys: []store.Row{{int64(1)}, {int64(3)}}}, got)
		require.Equal(t, []question{{head +
			"SELECT (SELECT COUNT(*) FROM " + mine + "), (SELECT COUNT(*) FROM " + theirs + "); " +
			"SELECT TOP (10) s.[a], m.[a] FROM (SELECT s.[a], s.[b] FROM " + mine + ") AS s FULL JOIN (SELECT m.[a], m.[b] FROM " + theirs + ") AS m ON s.[a] = m.[a] " +
			"WHERE s.[a] IS NULL OR m.[a] IS NULL OR CASE WHEN s.[a] = m.[a] AND (s.[b] = m.[b] OR s.[b] IS NULL AND m.[b] IS NULL) THEN 0 ELSE 1 END = 1" + tail, []any{int64(0)}}}, s.asked)
		require.NoError(t, j.Close())
	})
	t.Run("a range, a column that one side does not let be NULL, read committed", func(t *testing.T) {
		s := &script{answers: []answer{found(2, 2)}}
		j, source, mirror := joined(t, s, func(_, mirror *Source) { mirror.server.facts.Store(&facts{Snapshot: 0, UTF8: 65001}) }, "int", "float")
		mirror.Table.Columns = append([]store.Column{}, mirror.Table.Columns...)
		mirror.Table.Columns[1].Nullable = false
		source.From, source.Before = store.Row{int64(5)}, store.Row{int64(8)}
		mirror.From, mirror.Before = source.From, source.Before
		got, err := j.Suspects(t.Context(), source, mirror, 1)
		require.NoError(t, err)
		require.Equal(t, store.Suspects{SourceRows: 2, MirrorRows: 2}, got)
		require.Equal(t, []question{{"SET LOCK_TIMEOUT 30000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; " +
			"SELECT (SELECT COUNT(*) FROM " + mine + " WHERE (s.[a] >= @p1) AND (s.[a] < @p2)), (SELECT COUNT(*) FROM " + theirs + " WHERE (m.[a] >= @p3) AND (m.[a] < @p4)); " +
			"SELECT TOP (2) s.[a], m.[a] FROM (SELECT s.[a], s.[b] FROM " + mine + " WHERE (s.[a] >= @p5) AND (s.[a] < @p6)) AS s " +
			"FULL JOIN (SELECT m.[a], m.[b] FROM " + theirs + " WHERE (m.[a] >= @p7) AND (m.[a] < @p8)) AS m ON s.[a] = m.[a] " +
			"WHERE s.[a] IS NULL OR m.[a] IS NULL OR CASE WHEN s.[a] = m.[a] AND CONVERT(binary(8), s.[b]) = CONVERT(binary(8), m.[b]) THEN 0 ELSE 1 END = 1" + tail,
			[]any{int32(5), int32(8), int32(5), int32(8), int32(5), int32(8), int32(5), int32(8)}}}, s.asked)
	})
	t.Run("a key of text", func(t *testing.T) {
		s := &script{answers: []answer{found(2, 1, []driver.Value{"å", nil}), found(1, 1, []driver.Value{"\ufffd", nil})}}
		j, source, mirror := joined(t, s, nil, "nvarchar(20)")
		got, err := j.Suspects(t.Context(), source, mirror, 9)
		require.NoError(t, err)
		require.Equal(t, store.Suspects{SourceRows: 2, MirrorRows: 1, Keys: []store.Row{{"å"}}}, got)
		const bin = " COLLATE Latin1_General_BIN2"
		require.Contains(t, s.asked[0].text, "ON s.[a]"+bin+" = m.[a]"+bin+" WHERE s.[a] IS NULL OR m.[a] IS NULL OR CASE WHEN s.[a]"+bin+" = m.[a]"+bin+" AND DATALENGTH(s.[a]) = DATALENGTH(m.[a]) THEN 0 ELSE 1 END = 1")
		_, err = j.Suspects(t.Context(), source, mirror, 9)
		require.ErrorIs(t, err, errors.ErrUnsupported, "a key that the driver cannot deliver")
	})
}

// TestJoinAnswers: what cannot be trusted is undecided, or an error.
func TestJoinAnswers(t *testing.T) {
	one := []driver.Value{int64(1), nil}
	for _, c := range []struct {
		name   string
		answer answer
		want   store.Suspects
	}{
		{"as many as are wanted", found(2, 0, one, []driver.Value{int64(2), nil}), store.Suspects{SourceRows: 2, Keys: []store.Row{{int64(1)}, {int64(2)}}}},
		{"more than are wanted", found(3, 0, one, []driver.Value{int64(2), nil}, []driver.Value{int64(3), nil}), store.Suspects{SourceRows: 3, Undecided: true}},
		{"rows that came in between", found(2, 2, one), store.Suspects{SourceRows: 2, MirrorRows: 2, Undecided: true}},
		{"a key of either side for one row", found(5, 5, []driver.Value{int64(1), int64(1)}), store.Suspects{SourceRows: 5, MirrorRows: 5, Keys: []store.Row{{int64(1)}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, source, mirror := joined(t, &script{answers: []answer{c.answer}}, nil, "int")
			got, err := j.Suspects(t.Context(), source, mirror, 2)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	cut := found(1, 1)
	cut.sets = cut.sets[:1]
	broken := errors.New("the server is gone")
	for name, c := range map[string]struct {
		answer answer
		want   string
	}{
		"no answer":           {answer{err: broken}, "the server is gone"},
		"an end in the midst": {answer{sets: found(1, 1).sets, err: broken}, "the server is gone"},
		"half of it":          {cut, "1 of 2 answers came"},
		"no number":           {answer{sets: [][][]driver.Value{{{"1", int64(1)}}, {}}}, "the number of rows is of Go type string"},
	} {
		t.Run(name, func(t *testing.T) {
			j, source, mirror := joined(t, &script{answers: []answer{c.answer}}, nil, "int")
			_, err := j.Suspects(t.Context(), source, mirror, 2)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "join crm7.contact: ")
		})
	}
	t.Run("a memory-optimised table", func(t *testing.T) {
		for i := range 2 {
			j, source, mirror := joined(t, &script{}, func(source, mirror *Source) {
				in := []*Source{source, mirror}[i].server
				in.inMemory.Store(in.tableName(store.Table{Schema: []string{"crm7", "dbo"}[i], Name: "contact"}), true)
			}, "int")
			_, err := j.Suspects(t.Context(), source, mirror, 2)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, "memory-optimised")
		}
	})
}

// TestJointLevel: snapshot needs both databases.
func TestJointLevel(t *testing.T) {
	side := func(option Isolation, allowed int) *server {
		s := &server{opts: Options{Isolation: option}}
		s.facts.Store(&facts{Snapshot: allowed})
		return s
	}
	auto, on, off, rc := side(IsolationAuto, snapshotOn), side(IsolationSnapshot, snapshotOn), side(IsolationAuto, 0), side(IsolationReadCommitted, snapshotOn)
	for _, c := range []struct {
		source, mirror *server
		want           string // "": refused
	}{
		{auto, auto, "SNAPSHOT"}, {on, auto, "SNAPSHOT"}, {on, on, "SNAPSHOT"},
		{auto, off, "READ COMMITTED"}, {off, auto, "READ COMMITTED"}, {rc, auto, "READ COMMITTED"}, {off, off, "READ COMMITTED"},
		{on, off, ""}, {off, on, ""}, {on, rc, ""},
	} {
		got, err := jointLevel(c.source, c.mirror)
		require.Equal(t, c.want, got)
		require.Equal(t, c.want == "", errors.Is(err, errors.ErrUnsupported))
	}
}

// TestJoinProves: it is the mirror's database, or it is not joined.
func TestJoinProves(t *testing.T) {
	some := func(s string) *string { return &s }
	yes, no := 1, 0
	of := func(change func(p *place)) place {
		p := place{Server: some("SQL1"), Started: some("2026-11-27T02:37:01.003"), Database: "Mirror_Cust1", ID: 7,
			Created: some("2026-01-01T00:00:00.000"), Broker: some("6F9619FF-8B86-D011-B42D-00C04FC964FF"), Access: &yes, Unmask: &no}
		if change != nil {
			change(&p)
		}
		return p
	}
	require.NoError(t, of(nil).proves(of(nil)))
	require.NoError(t, of(func(p *place) { p.Broker = nil }).proves(of(func(p *place) { p.Broker = nil })), "which Babelfish does not tell")
	require.NoError(t, of(func(p *place) { p.Access = nil }).proves(of(nil)), "the mirror's own login is in it")
	require.NoError(t, of(nil).proves(of(func(p *place) { p.masked, p.Unmask = 1, &yes })))
	for name, c := range map[string]struct {
		change func(p *place)
		want   string
	}{
		"another server":                     {func(p *place) { p.Server = some("SQL2") }, "the name is SQL2, on the mirror's server SQL1"},
		"a server that does not say":         {func(p *place) { p.Server = nil }, "the name cannot be told"},
		"a copy of the server":               {func(p *place) { p.Started = some("2026-11-27T02:37:01.006") }, "the time of its start is 2026-11-27T02:37:01.006"},
		"a start that may not be seen":       {func(p *place) { p.Started = nil }, "the time of its start cannot be told"},
		"a database of another date":         {func(p *place) { p.Created = some("2026-01-01T00:00:00.003") }, "the date of the database is"},
		"a date that may not be seen":        {func(p *place) { p.Created = nil }, "the date of the database cannot be told"},
		"another number":                     {func(p *place) { p.ID = 8 }, "its database Mirror_Cust1 is another one than the mirror's"},
		"another GUID":                       {func(p *place) { p.Broker = some("x") }, "is another one"},
		"no GUID":                            {func(p *place) { p.Broker = nil }, "is another one"},
		"a name that is another by its case": {func(p *place) { p.Database = "mirror_cust1" }, "is another one"},
		"no access":                          {func(p *place) { p.Access = &no }, "the source's login has no access to the mirror's database Mirror_Cust1"},
		"access that cannot be told":         {func(p *place) { p.Access = nil }, "has no access"},
		"masked columns":                     {func(p *place) { p.masked = 1 }, "lacks UNMASK there"},
		"masked columns, and nobody knows":   {func(p *place) { p.masked, p.Unmask = 1, nil }, "lacks UNMASK there"},
		"a security policy":                  {func(p *place) { p.policies = 1 }, "may hide rows"},
	} {
		t.Run(name, func(t *testing.T) {
			err := of(nil).proves(of(c.change))
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestJoinHiddenText: a version is not asked for what its catalogue does not have.
func TestJoinHiddenText(t *testing.T) {
	const head, tail = "; IF HAS_DBACCESS(@p1) = 1 EXEC (N'SELECT ", "') ELSE SELECT 0, 0"
	require.Equal(t, head+"0, 0"+tail, hiddenText("m", catalogueFacts{}))
	require.Equal(t, head+"(SELECT COUNT(*) FROM [it''s].sys.columns AS x WHERE x.is_masked = 1), "+
		"(SELECT COUNT(*) FROM [it''s].sys.security_policies AS x WHERE x.is_enabled = 1)"+tail, hiddenText("it's", allFacts))
}

// TestJoinOfOthers: nothing is asked where nothing can come of it.
func TestJoinOfOthers(t *testing.T) {
	_, err := scripted(t, &script{}).Join(t.Context(), memory.New())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "not read by this package")
}
