package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// engines are the databases that need no server.
var engines = map[string]func(t *testing.T) store.Store{
	"memory": func(*testing.T) store.Store { return memory.New() },
	"sqlite": func(t *testing.T) store.Store {
		st, err := sqlite.Create(t.Context(), filepath.Join(t.TempDir(), "replica.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		return st
	},
}

// seed creates a table with rows. A "~" in a column's name stands for a blank.
func seed(t *testing.T, st store.Store, mt memory.Table) {
	t.Helper()
	def, _, _ := memory.New(mt).Table(mt.Name)
	for i := range def.Columns {
		def.Columns[i].Name = strings.ReplaceAll(def.Columns[i].Name, "~", " ")
	}
	def.Schema = ""
	if mt.Schema != "" {
		if _, ok := st.(*memory.Store); ok {
			def.Schema = mt.Schema
		}
	}
	require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.Create(t.Context(), def); err != nil {
			return err
		}
		if len(mt.Rows) == 0 {
			return nil
		}
		return tx.Insert(t.Context(), def, def.ColumnNames(), mt.Rows)
	}))
}

// set changes a value of the state.
func set(t *testing.T, st store.Store, table, column string, v any) {
	t.Helper()
	tables, err := st.Tables(t.Context())
	require.NoError(t, err)
	for _, def := range tables {
		if def.Name == table {
			require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
				_, err := tx.Set(t.Context(), def, []store.Cell{{Column: def.Columns[0].Name, Value: 1}}, []store.Cell{{Column: column, Value: v}})
				return err
			}))
			return
		}
	}
	t.Fatalf("there is no table %s", table)
}

const secret = "eyJhbGciOiJIUzI1NiJ9.SECRET.c2lnbmF0dXJl"

// hostileState has tokens under whatever names, beside offsets and among them.
func hostileState(name string) memory.Table {
	columns := []string{
		"id int", "topicOffset nvarchar(255) null", "Offset nvarchar(max) null", "token nvarchar(99) null", "x nvarchar(99) null", "offsetToken nvarchar(99) null",
		"Offset]~from~secrets;~-- nvarchar(99) null", "off~set nvarchar(99) null", "\"offset\" nvarchar(99) null", "sessionOffset nvarchar(99) null",
		"offsetsRaw varbinary(max) null",
	}
	row := store.Row{1, "cust6647-cdc:0:1", secret, secret, secret, secret, secret, secret, secret, secret, []byte(secret)}
	other := store.Row{2, nil, secret + "-cdc:0:1", nil, nil, nil, nil, nil, nil, nil, nil}
	return memory.Table{Schema: "sync", Name: name, Columns: columns, Key: []string{"id"}, Rows: []store.Row{row, other}}
}

// Nothing that could be a token is read, but where it stands among offsets, and
// nowhere is it shown; by StatusOf no more than by Check.
func TestNoTokenIsShown(t *testing.T) {
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			name := "_ReplicationState"
			if engine == "sqlite" {
				name = "sync._ReplicationState"
			}
			st := open(t)
			seed(t, st, replicated(store.Row{1, "Alfa", "long", at(1), 1}))
			own := open(t)
			seed(t, own, hostileState(name))
			watch := &reading{Source: own}
			o := &replica.Options{Clock: newClock(nil), State: watch}
			before, err := replica.StatusOf(t.Context(), st, nil, o)
			require.NoError(t, err)
			set(t, own, name, "topicOffset", "cust6647-cdc:0:2")
			s, err := replica.StatusOf(t.Context(), st, before, o)
			require.NoError(t, err)
			require.Equal(t, []string{"topicOffset", "Offset"}, s.State.Columns)
			require.Equal(t, 9, s.State.NotRead)
			require.Equal(t, []string{"cust6647-cdc:0:2"}, s.State.Offsets)
			require.Equal(t, replica.Moves, s.Life)
			report, err := replica.Check(t.Context(), memory.New(contact()), st, o)
			require.NoError(t, err)
			require.Equal(t, "cust6647", report.ContextID)
			require.NotEmpty(t, watch.columns)
			for _, c := range watch.columns {
				require.Equal(t, []string{"topicOffset", "Offset"}, c)
			}
			for _, shown := range []string{s.String(), asJSON(t, s), report.String(), asJSON(t, report)} {
				require.NotContains(t, shown, "SECRET")
				require.NotContains(t, shown, "eyJ")
				require.NotContains(t, shown, "from secrets", "names of columns that are not read are not shown either")
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

// A value of another type than its column's is not shown by the error about it.
func TestNoTokenInErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "replica.db")
	st, err := sqlite.Create(t.Context(), path)
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close()) }()
	seed(t, st, memory.Table{Name: "_ReplicationState", Columns: []string{"id int", "offset bigint null"}, Key: []string{"id"}, Rows: []store.Row{{1, nil}}})
	set(t, st, "_ReplicationState", "offset", store.Verbatim{Value: "SECRET"})
	src := &reading{Source: st}
	s, err := replica.StatusOf(t.Context(), src, nil, &replica.Options{Clock: newClock(nil)})
	require.NoError(t, err)
	require.False(t, src.typed)
	require.NotContains(t, s.String()+asJSON(t, s), "SECRET")
	require.Empty(t, s.State.Unknown)
	require.Contains(t, s.String(), "Offsets: not shown")
}

// What moved since an earlier status, which survives JSON.
func TestStatus(t *testing.T) {
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			st, c := open(t), newClock(nil)
			o := &replica.Options{Clock: c, ContextID: "CUST6647"}
			seed(t, st, replicated(store.Row{1, "Alfa", "long", at(1), 1}))
			seed(t, st, memory.Table{Name: "SALE", Columns: []string{"ID int"}, Key: []string{"ID"}, Rows: []store.Row{{1}, {2}}})
			seed(t, st, state("cust6647-cdc:0:1"))
			look := func(before *replica.Status) *replica.Status {
				t.Helper()
				c.now = c.now.Add(time.Minute)
				s, err := replica.StatusOf(t.Context(), st, before, o)
				require.NoError(t, err)
				var again replica.Status
				require.NoError(t, json.Unmarshal([]byte(asJSON(t, s)), &again))
				require.Equal(t, *s, again)
				return &again
			}
			first := look(nil)
			require.Equal(t, replica.LifeUnknown, first.Life)
			require.Equal(t, "replica", first.Replica.Role)
			require.Equal(t, "cust6647", first.Replica.ContextID)
			require.Len(t, first.Tables, 2)
			require.EqualValues(t, 2, *first.Tables[1].Rows)
			require.Nil(t, first.Tables[1].Change)
			require.Regexp(t, regexp.MustCompile(`SALE +2 +unknown`), first.String())

			second := look(first)
			require.Equal(t, replica.Still, second.Life, second)
			require.Equal(t, first.Time, second.Since)
			require.Zero(t, *second.Tables[1].Change)

			seed(t, st, memory.Table{Name: "NEW", Columns: []string{"ID int"}, Key: []string{"ID"}})
			set(t, st, "_ReplicationState", "accessToken", "another")
			third := look(second)
			require.Equal(t, replica.Still, third.Life, "only the offsets count")
			require.Nil(t, third.Tables[1].Change, "it was not there before")

			set(t, st, "_ReplicationState", "topicOffset", "cust6647-cdc:0:2")
			fourth := look(third)
			require.Equal(t, replica.Moves, fourth.Life)
			require.Equal(t, 1, fourth.State.Moves)
			require.Equal(t, "its offsets moved", fourth.LifeReason)
			require.Equal(t, replica.Still, look(fourth).Life)

			tables, err := st.Tables(t.Context())
			require.NoError(t, err)
			for _, def := range tables {
				if def.Name == "SALE" {
					require.NoError(t, st.Update(t.Context(), func(tx store.Tx) error {
						_, err := tx.Delete(t.Context(), def, []store.Cell{{Column: "ID", Value: 1}})
						return err
					}))
				}
			}
			fifth := look(fourth)
			require.Equal(t, replica.Moves, fifth.Life)
			require.Contains(t, fifth.LifeReason, "1 table")
			require.Regexp(t, regexp.MustCompile(`SALE +1 +-1`), fifth.String())
		})
	}
}

// Where nothing is known the status says so.
func TestStatusUnknown(t *testing.T) {
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		tables []memory.Table
		do     func(*memory.Store)
		want   string // in the text
	}{
		"no state":                      {nil, nil, "there is no table _ReplicationState"},
		"no offsets":                    {[]memory.Table{{Name: "_replicationSTATE", Columns: []string{"id int", "x nvarchar(9)"}, Key: []string{"id"}}}, nil, "no column of _replicationSTATE is named after offsets"},
		"two states":                    {[]memory.Table{state("cust1-cdc:0:1"), {Schema: "sync", Name: "_ReplicationState", Columns: []string{"id int", "offset int"}}}, nil, "there are 2 tables"},
		"a state behind another prefix": {[]memory.Table{{Name: "so_ReplicationState", Columns: []string{"id int", "offset int", "x int"}}}, nil, "not read: 2"},
		"an empty state":                {[]memory.Table{{Name: "_ReplicationState", Columns: []string{"id int", "offset int null"}, Rows: []store.Row{{1, nil}}}}, nil, "are empty"},
		"a state that is refused":       {[]memory.Table{state("cust1-cdc:0:1")}, func(st *memory.Store) { st.FailTable(memory.Rows, "crm7._ReplicationState", boom) }, "cannot be read: boom"},
		"a table that is refused":       {[]memory.Table{state("cust1-cdc:0:1")}, func(st *memory.Store) { st.FailTable(memory.Count, "crm7.CONTACT", boom) }, "unknown  unknown  boom"},
	} {
		t.Run(name, func(t *testing.T) {
			st := memory.New(append(tc.tables, replicated())...)
			if tc.do != nil {
				tc.do(st)
			}
			before, err := replica.StatusOf(t.Context(), st, nil, &replica.Options{Clock: newClock(nil)})
			require.NoError(t, err)
			s, err := replica.StatusOf(t.Context(), st, before, &replica.Options{Clock: newClock(nil)})
			require.NoError(t, err)
			require.Contains(t, s.String(), tc.want)
			if name != "a table that is refused" {
				require.NotEqual(t, replica.Moves, s.Life)
			}
			require.Len(t, s.Tables, 1, "the state is not among the tables")
			require.NoError(t, s.WriteJSON(&strings.Builder{}))
		})
	}
}

func TestStatusOfWrongDatabases(t *testing.T) {
	o := &replica.Options{Clock: newClock(nil)}
	rep := memory.New(replicated(), state("cust6647-cdc:0:1"))
	s, err := replica.StatusOf(t.Context(), rep, nil, o)
	require.NoError(t, err)
	for name, f := range map[string]func() error{
		"an old mirror": func() error {
			_, err := replica.StatusOf(t.Context(), memory.New(contact(), metadataTable(1)), nil, o)
			return err
		},
		"another customer": func() error {
			_, err := replica.StatusOf(t.Context(), rep, nil, &replica.Options{ContextID: "Cust1"})
			return err
		},
		"another database than before": func() error {
			_, err := replica.StatusOf(t.Context(), memory.New(replicated(), state("cust6647-cdc:0:1")), s, o)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, f(), mirror.ErrWrongDatabase) })
	}
	_, err = replica.StatusOf(t.Context(), nil, nil, nil)
	require.ErrorContains(t, err, "nil")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = replica.StatusOf(ctx, rep, nil, o)
	require.Equal(t, context.Canceled, err)
	rep.FailAt(memory.Tables, 1, store.ErrConnection)
	_, err = replica.StatusOf(t.Context(), rep, nil, o)
	require.ErrorIs(t, err, store.ErrConnection)
}

func FuzzIsOffset(f *testing.F) {
	for _, s := range []string{"cust6647-cdc:0:19420", secret, secret + ":0:1", "a:b@c:0:1", "CfDJ8-simulated-token:0:1", "-cdc:0:1", "cust-cdc:0:1\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !replica.IsOffset.MatchString(s) {
			return
		}
		topic, rest, ok := strings.Cut(s, "-cdc:")
		require.True(t, ok)
		require.LessOrEqual(t, len(topic), 32)
		require.NotContains(t, topic, ".")
		require.Regexp(t, `\A[0-9]+:[0-9]+\z`, rest)
	})
}

func FuzzIsRead(f *testing.F) {
	for _, s := range []string{"offset", "TopicOffset", "offset_token", "Offsets2", "o f f s e t", "offset' or 1=1", "ĸafkaOffset", "OFFSET "} {
		f.Add(s)
	}
	letters := regexp.MustCompile(`\A[a-z0-9_\- ]*\z`)
	f.Fuzz(func(t *testing.T, name string) {
		if !replica.IsRead(name, "nvarchar(99)") {
			return
		}
		folded := store.FoldName(name)
		require.Contains(t, folded, "offset")
		require.Regexp(t, letters, folded)
		for _, word := range []string{"token", "secret", "pass", "pwd", "auth", "session", "tenant", "key", "hash", "cert", "cipher", "crypt", "cred", "jwt", "bearer", "refresh", "login", "user", "sign", "blob", "data"} {
			require.NotContains(t, folded, word)
		}
	})
}

// The names under which offsets may be, and some that are unknown.
func TestColumnsOfTheState(t *testing.T) {
	for _, name := range []string{"offset", "Offsets", "TopicOffset", "topic_partition_offset", "LastCommittedOffset", "KAFKA-OFFSET", "Offset2"} {
		require.True(t, replica.IsRead(name, "nvarchar(max)"), name)
		require.True(t, replica.IsRead(name, "bigint"), name)
		require.False(t, replica.IsRead(name, "varbinary(max)"), name)
	}
	for _, name := range []string{"", "topic", "offsetToken", "OffsetKey", "sessionOffset", "offset.x", "xoffset", "offset;"} {
		require.False(t, replica.IsRead(name, "nvarchar(max)"), name)
	}
}
