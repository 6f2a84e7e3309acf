package mssql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	mssqldb "github.com/microsoft/go-mssqldb"
	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror/store"
)

// script is a server whose answers a test writes down: no server but SQL Server
// has change tracking.
type script struct {
	answers []answer
	asked   []question
}

type question struct {
	text string
	args []any
}

// answer is the result sets of a batch, of one row a driver.Value slice, behind
// the last of which err comes.
type answer struct {
	sets [][][]driver.Value
	err  error
}

// keysAnswer is what SQL Server answers: the keys, then the minimum valid version.
func keysAnswer(least driver.Value, keys ...[]driver.Value) answer {
	return answer{sets: [][][]driver.Value{keys, {{least}}}}
}

func (s *script) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s *script) Driver() driver.Driver                        { return nil }
func (s *script) Close() error                                 { return nil }
func (s *script) Begin() (driver.Tx, error)                    { panic("nothing is written") }
func (s *script) Prepare(string) (driver.Stmt, error)          { panic("not used") }
func (s *script) CheckNamedValue(*driver.NamedValue) error     { return nil } // as go-mssqldb takes them

func (s *script) QueryContext(_ context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	q := question{text: text}
	for _, a := range args {
		q.args = append(q.args, a.Value)
	}
	s.asked = append(s.asked, q)
	if len(s.answers) == 0 {
		return nil, errors.New("script: nothing more is to be asked")
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if len(a.sets) == 0 {
		return nil, a.err
	}
	return &scriptRows{answer: a}, nil
}

type scriptRows struct{ answer }

func (r *scriptRows) Close() error           { return nil }
func (r *scriptRows) HasNextResultSet() bool { return len(r.sets) > 1 }
func (r *scriptRows) NextResultSet() error   { r.sets = r.sets[1:]; return nil }
func (r *scriptRows) Columns() (names []string) {
	for _, set := range r.sets {
		if len(set) > 0 {
			return make([]string, len(set[0]))
		}
	}
	return nil
}

func (r *scriptRows) Next(dest []driver.Value) error {
	if len(r.sets[0]) > 0 {
		copy(dest, r.sets[0][0])
		r.sets[0] = r.sets[0][1:]
		return nil
	}
	if len(r.sets) == 1 && r.err != nil {
		return r.err
	}
	return io.EOF
}

// scripted returns a Source of SQL Server 2019 that answers by s.
func scripted(t *testing.T, s *script) *Source {
	t.Helper()
	db := sqlx.NewDb(sql.OpenDB(s), "sqlserver")
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	src, err := NewSource(db, &Options{Schema: "crm7"})
	require.NoError(t, err)
	src.server.facts.Store(&facts{Snapshot: snapshotOn, UTF8: 65001, UnitBytes: 2, SchemaID: 5})
	return src
}

func keyed(name string, key []string, types ...string) store.Table {
	t := store.Table{Schema: "crm7", Name: name, Key: key}
	for i, typ := range types {
		t.Columns = append(t.Columns, store.Column{Name: string(rune('a' + i)), Type: store.MustType(typ)})
	}
	return t
}

// around is the batch of one page. The version is asked for behind the keys.
func around(page, version string) string {
	return "SET LOCK_TIMEOUT 30000; SET TRANSACTION ISOLATION LEVEL SNAPSHOT; " + page +
		"; SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(" + version + ")); SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
}

func TestChangedKeysText(t *testing.T) {
	const name = "[crm7].[t]"
	utf8 := func(expr string) string {
		return "CONVERT(varbinary(30), CONVERT(varchar(30), " + expr + " COLLATE Latin1_General_100_BIN2_UTF8))"
	}
	bytes := utf8("[b]")
	for _, c := range []struct {
		name  string
		table store.Table
		after store.Row
		want  string
		args  []any
	}{
		{"first page", keyed("t", []string{"a"}, "int"), nil,
			around("SELECT TOP (3) [a] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c ORDER BY [a]", "@p2"),
			[]any{int64(41), name}},
		{"next page", keyed("t", []string{"a"}, "int"), store.Row{int64(7)},
			around("SELECT TOP (4) [a] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c WHERE ([a] >= @p2) ORDER BY [a]", "@p3"),
			[]any{int64(41), int32(7), name}},
		{"composite key", keyed("t", []string{"c", "a"}, "int", "nvarchar(9)", "decimal(9,2)"), store.Row{[]byte("1.50"), int64(7)},
			around("SELECT TOP (4) [c], [a] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c "+
				"WHERE ([c] >= CONVERT(decimal(9,2), @p2) AND ([c] > CONVERT(decimal(9,2), @p3) OR ([c] = CONVERT(decimal(9,2), @p4) AND ([a] >= @p5)))) "+
				"ORDER BY [c], [a]", "@p6"),
			[]any{int64(41), mssqldb.VarChar("1.50"), mssqldb.VarChar("1.50"), mssqldb.VarChar("1.50"), int32(7), name}},
		{"uniqueidentifier", keyed("t", []string{"a"}, "uniqueidentifier"), nil,
			around("SELECT TOP (3) CONVERT(binary(16), [a]) FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c ORDER BY [a]", "@p2"),
			[]any{int64(41), name}},
		{"text, whose spelling may be another one now", keyed("t", []string{"a", "b"}, "int", "nvarchar(10)"), nil,
			around("SELECT TOP (3) [a], [b] FROM (SELECT c.[a], c.[b] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c "+
				"UNION ALL SELECT r.[a], r.[b] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c JOIN [crm7].[t] AS r ON r.[a] = c.[a] AND r.[b] = c.[b] "+
				"WHERE NOT (r.[b] = c.[b] AND r.[b] COLLATE Latin1_General_BIN2 = c.[b] COLLATE Latin1_General_BIN2 AND "+
				"DATALENGTH(r.[b] COLLATE Latin1_General_BIN2) = DATALENGTH(c.[b] COLLATE Latin1_General_BIN2))) AS c "+
				"ORDER BY [a], "+bytes+", DATALENGTH("+bytes+")", "@p2"),
			[]any{int64(41), name}},
		{"bytes, which are padded with zeros", keyed("t", []string{"a"}, "varbinary(4)"), store.Row{[]byte{1}},
			around("SELECT TOP (4) [a] FROM (SELECT c.[a] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c "+
				"UNION ALL SELECT r.[a] FROM CHANGETABLE(CHANGES [crm7].[t], @p1) AS c JOIN [crm7].[t] AS r ON r.[a] = c.[a] "+
				"WHERE NOT (r.[a] = c.[a] AND DATALENGTH(r.[a]) = DATALENGTH(c.[a]))) AS c "+
				"WHERE ([a] >= CONVERT(varbinary(4), @p2) AND ([a] > CONVERT(varbinary(4), @p3) OR ([a] = CONVERT(varbinary(4), @p4) AND "+
				"(DATALENGTH([a]) >= DATALENGTH(CONVERT(varbinary(4), @p5)))))) ORDER BY [a], DATALENGTH([a])", "@p6"),
			[]any{int64(41), []byte{1}, []byte{1}, []byte{1}, []byte{1}, name}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{answers: []answer{keysAnswer(int64(41))}}
			keys, err := scripted(t, s).ChangedKeys(t.Context(), c.table, 41, c.after, 3)
			require.NoError(t, err)
			require.Empty(t, keys)
			require.Equal(t, []question{{c.want, c.args}}, s.asked)
		})
	}
	t.Run("a table in another schema, with a bracket", func(t *testing.T) {
		s := &script{answers: []answer{keysAnswer(int64(41))}}
		tab := keyed("a]b", []string{"a"}, "int")
		tab.Schema = ""
		_, err := scripted(t, s).ChangedKeys(t.Context(), tab, 41, nil, 3)
		require.NoError(t, err)
		require.Contains(t, s.asked[0].text, "CHANGETABLE(CHANGES [crm7].[a]]b], @p1)")
		require.Equal(t, []any{int64(41), "[crm7].[a]]b]"}, s.asked[0].args)
	})
}

func TestChangedKeysAnswers(t *testing.T) {
	row := func(values ...driver.Value) []driver.Value { return values }
	ints := func(keys ...int64) (rows [][]driver.Value) {
		for _, k := range keys {
			rows = append(rows, row(k))
		}
		return rows
	}
	number, text := keyed("t", []string{"a"}, "bigint"), keyed("t", []string{"a"}, "nvarchar(9)")
	oslo := time.FixedZone("Oslo", 3600)
	for _, c := range []struct {
		name    string
		table   store.Table
		after   store.Row
		answers []answer
		want    []store.Row
		limits  []string
	}{
		{"none", number, nil, []answer{keysAnswer(int64(41))}, nil, []string{"TOP (3)"}},
		{"fewer than asked for", number, nil, []answer{keysAnswer(int64(41), ints(1, 2)...)}, []store.Row{{int64(1)}, {int64(2)}}, []string{"TOP (3)"}},
		{"as many as asked for", number, nil, []answer{keysAnswer(int64(0), ints(1, 2, 3)...)}, []store.Row{{int64(1)}, {int64(2)}, {int64(3)}}, []string{"TOP (3)"}},
		{"the key after comes first", number, store.Row{int64(3)}, []answer{keysAnswer(int64(41), ints(3, 4, 5, 6)...)},
			[]store.Row{{int64(4)}, {int64(5)}, {int64(6)}}, []string{"TOP (4)"}},
		{"the key after is none", number, store.Row{int64(3)}, []answer{keysAnswer(int64(41), ints(4, 5, 6, 7)...)},
			[]store.Row{{int64(4)}, {int64(5)}, {int64(6)}}, []string{"TOP (4)"}},
		{"nothing behind the key after", number, store.Row{int64(3)}, []answer{keysAnswer(int64(41), ints(3)...)}, nil, []string{"TOP (4)"}},
		{"a key that the server tells apart and CompareKeys does not", number, nil,
			[]answer{keysAnswer(int64(41), ints(1, 1, 1)...), keysAnswer(int64(41), ints(1, 1, 1, 2, 2)...), keysAnswer(int64(41), ints(2, 2, 9)...)},
			[]store.Row{{int64(1)}, {int64(2)}, {int64(9)}}, []string{"TOP (3)", "TOP (5)", "TOP (3)"}},
		{"uniqueidentifier", keyed("t", []string{"a"}, "uniqueidentifier"), nil, []answer{keysAnswer(int64(1), row([]byte("0123456789abcdef")))},
			[]store.Row{{[]byte("0123456789abcdef")}}, []string{"TOP (3)"}},
		{"a time in the driver's zone", keyed("t", []string{"a"}, "datetime2(3)"), nil, []answer{keysAnswer(int64(1), row(time.Date(2026, 2, 3, 4, 5, 6, 0, oslo)))},
			[]store.Row{{time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}}, []string{"TOP (3)"}},
		{"no byte", keyed("t", []string{"a"}, "varbinary(3)"), nil, []answer{keysAnswer(int64(1), row([]byte(nil)))}, []store.Row{{[]byte{}}}, []string{"TOP (3)"}},
		{"text that the driver cannot deliver is read by its bytes", text, nil,
			[]answer{keysAnswer(int64(1), row("a"), row("\ufffd")), keysAnswer(int64(1), row([]byte("a\x00")), row([]byte("\xfd\xff")))},
			[]store.Row{{"a"}, {"\ufffd"}}, []string{"TOP (3) [a]", "TOP (3) CONVERT(varbinary(18), [a])"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{answers: c.answers}
			keys, err := scripted(t, s).ChangedKeys(t.Context(), c.table, 41, c.after, 3)
			require.NoError(t, err)
			require.Equal(t, c.want, keys)
			require.Len(t, s.asked, len(c.limits))
			for i, limit := range c.limits {
				require.Contains(t, s.asked[i].text, "SELECT "+limit)
			}
		})
	}
}

func TestChangedKeysOfManyBatches(t *testing.T) {
	var rows [][]driver.Value
	var want []store.Row
	for i := range int64(2000) {
		rows, want = append(rows, []driver.Value{i}), append(want, store.Row{i})
	}
	keys, err := scripted(t, &script{answers: []answer{keysAnswer(int64(1), rows...)}}).ChangedKeys(t.Context(), keyed("t", []string{"a"}, "bigint"), 41, nil, 5000)
	require.NoError(t, err)
	require.Equal(t, want, keys)
}

func TestChangedKeysRemembersExactText(t *testing.T) {
	row := func(v driver.Value) []driver.Value { return []driver.Value{v} }
	s := &script{answers: []answer{keysAnswer(int64(1), row("\ufffd")), keysAnswer(int64(1), row([]byte("\xfd\xff"))), keysAnswer(int64(1), row([]byte("a\x00")), row([]byte{0, 0xd8}))}}
	src, tab := scripted(t, s), keyed("t", []string{"a"}, "nvarchar(9)")
	keys, err := src.ChangedKeys(t.Context(), tab, 41, nil, 3)
	require.NoError(t, err)
	require.Equal(t, []store.Row{{"\ufffd"}}, keys)
	keys, err = src.ChangedKeys(t.Context(), tab, 41, nil, 3)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "half a surrogate pair")
	require.Nil(t, keys)
	require.Len(t, s.asked, 3)
}

func TestChangedKeysErrors(t *testing.T) {
	number, text := keyed("t", []string{"a"}, "bigint"), keyed("t", []string{"a"}, "nvarchar(9)")
	one := []driver.Value{int64(1)}
	for _, c := range []struct {
		name   string
		table  store.Table
		after  store.Row
		answer answer
		want   string
		is     error
	}{
		{"expired", number, nil, keysAnswer(int64(42), one),
			"list changed keys of crm7.t: version 41 is older than the oldest that is known, 42: read the table anew", nil},
		{"expired, behind the last key", number, store.Row{1}, keysAnswer(int64(42)), "version 41 is older than the oldest that is known, 42", nil},
		{"no version", number, nil, keysAnswer(nil, one), "change tracking is off for the table, or the login lacks VIEW CHANGE TRACKING", errors.ErrUnsupported},
		{"not tracked", number, nil, answer{err: mssqldb.Error{Number: notTracked, Message: "Change tracking is not enabled on table 't'."}},
			"list changed keys of crm7.t: unsupported operation: ", errors.ErrUnsupported},
		{"a secondary", number, nil, answer{err: mssqldb.Error{Number: secondary}}, "connect to the primary", nil},
		{"no permission", number, nil, answer{err: mssqldb.Error{Number: 229}}, "list changed keys of crm7.t", store.ErrPermission},
		{"the keys break off", number, nil, answer{sets: [][][]driver.Value{{one}}, err: mssqldb.Error{Number: 1205}}, "list changed keys", store.ErrDeadlock},
		{"the version does not come", number, nil, answer{sets: [][][]driver.Value{{one}}}, "did not come", nil},
		{"the version is an error", number, nil, answer{sets: [][][]driver.Value{{one}, {}}, err: mssqldb.Error{Number: 1222}}, "list changed keys", store.ErrLockTimeout},
		{"what follows the version is an error", number, nil, answer{sets: [][][]driver.Value{{one}, {one}}, err: mssqldb.Error{Number: 1222}}, "list changed keys", store.ErrLockTimeout},
		{"out of order", text, store.Row{"\ue000"}, keysAnswer(int64(1), []driver.Value{"\U0001f600"}, []driver.Value{"\uf8ff"}), "list changed keys", store.ErrOrder},
		{"a type without an order", store.Table{Schema: "crm7", Name: "t", Key: []string{"a"}, Columns: []store.Column{{Name: "a", Type: store.Type{Name: "hierarchyid"}}}},
			nil, answer{}, "type hierarchyid has no order here", errors.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := scripted(t, &script{answers: []answer{c.answer}}).ChangedKeys(t.Context(), c.table, 41, c.after, 3)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, keys)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Equal(t, 1, strings.Count(err.Error(), "list changed keys"), "%v", err)
		})
	}
	t.Run("what cannot be asked", func(t *testing.T) {
		s := &script{}
		src := scripted(t, s)
		_, err := src.ChangedKeys(t.Context(), store.Table{Name: "heap"}, 1, nil, 1)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = src.ChangedKeys(t.Context(), number, 1, nil, 0)
		require.ErrorContains(t, err, "ask for at least one")
		_, err = src.ChangedKeys(t.Context(), store.Table{Name: "t", Key: []string{"a"}}, 1, nil, 1)
		require.ErrorContains(t, err, `it has no column "a"`)
		_, err = src.ChangedKeys(t.Context(), number, 1, store.Row{1, 2}, 1)
		require.ErrorContains(t, err, "bound has 2 values for 1 key columns")
		require.Empty(t, s.asked)
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := scripted(t, &script{}).ChangedKeys(ctx, number, 1, nil, 1)
		require.Equal(t, context.Canceled, err)
	})
}
