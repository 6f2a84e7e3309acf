package mirrortest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/so-mirror/mirror/fleet"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/heal"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
)

// Mistakes makes every mistake about the databases with every operation. Each
// cell is an error or a refusal that names the mistake, or a reason why the
// operation cannot know; in each of them both databases stay as they were.
func Mistakes(t *testing.T, open Open) {
	cells, refused, cannot := 0, 0, 0
	for _, mk := range mistakes() {
		t.Run(mk.name, func(t *testing.T) {
			w := newMistaken(t, open)
			mk.make(w)
			for _, op := range operations() {
				want, ok := mk.want[op.name]
				require.True(t, ok, "no expectation of %s", op.name)
				cells++
				if want.reason == "" {
					refused++
				} else {
					cannot++
				}
				t.Run(op.name, func(t *testing.T) { w.try(t, op, want) })
			}
			require.Len(t, mk.want, len(operations()))
		})
	}
	t.Logf("%d cells: %d end in an error that names the mistake, %d cannot know", cells, refused, cannot)
}

// mistake is one way of having the wrong databases at hand.
type mistake struct {
	name string
	make func(w *mistaken)
	want map[string]outcome
}

// outcome is what an operation comes to: an error, or a reason why it cannot know.
type outcome struct {
	is     error
	text   string
	reason string
}

// mistaken is a mirror with one lost row, its customer, and another customer.
type mistaken struct {
	*testing.T
	store           store.Store // the mirror's
	customer, other store.Store
	contextID       string         // given to New
	asStore         store.Store    // given as the mirror's
	asSource        store.Source   // given as the source
	mirrorIsRight   bool           // and so a reset of it would be right
	report          *mirror.Report // of the right databases
	plan            *mirror.Plan
}

var mistakenTables = []string{"contact", "person", "sale", "appointment", "project", "document", "associate", "text"}

func newMistaken(t *testing.T, open Open) *mistaken {
	t.Helper()
	w := &mistaken{T: t, store: open(t), customer: open(t), other: open(t), contextID: ContextID, mirrorIsRight: true}
	mir := &env{T: t, store: w.store}
	never := table{columns: []store.Column{notNull("id", "int")}}
	for i, s := range []store.Store{w.customer, w.other} {
		require.NoError(t, crm.Load(t.Context(), s, crm.Options{Seed: uint64(i + 1), Contacts: 12}, mistakenTables...))
		for _, name := range []string{"registry", "login", "locking"} {
			never.name = name
			mir.load(s, never)
		}
	}
	require.NoError(t, crm.Load(t.Context(), w.store, crm.Options{Seed: 1, Contacts: 12}, mistakenTables...))
	var lsns []any
	for _, name := range mistakenTables {
		lsns = append(lsns, name, 5)
	}
	mir.load(w.store, metadata(lsns...))
	first := mir.rows("contact")[0]
	require.NoError(t, w.store.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Delete(t.Context(), mir.table("contact"), []store.Cell{{Column: "contact_id", Value: first[0]}})
		return err
	}))
	var err error
	w.report, err = w.open(w.contextID, w.store).Compare(t.Context(), w.customer, nil)
	require.NoError(t, err)
	require.NoError(t, w.report.Err())
	require.EqualValues(t, 1, w.report.Table("contact").Missing)
	w.report.Table("contact").Diverged, w.report.Table("contact").Differences[0].State = 1, mirror.DiffDiverged
	w.plan = w.report.Plan()
	require.False(t, w.plan.Empty())
	w.asStore, w.asSource = w.store, w.customer
	return w
}

// try runs an operation. Nothing is changed, so the next one can have the same
// databases.
func (w mistaken) try(t *testing.T, op operation, want outcome) {
	w.T = t
	all := func() (dumps []map[string][]store.Row) {
		for _, s := range []store.Store{w.store, w.customer, w.other} {
			dumps = append(dumps, (&env{T: t, store: s}).dump())
		}
		return dumps
	}
	before := all()
	err := op.run(&w, w.open(w.contextID, w.asStore))
	require.Equal(t, before, all(), "nothing is changed")
	if want.reason != "" {
		require.NoError(t, err, want.reason)
		return
	}
	require.Error(t, err)
	if want.is != nil {
		require.ErrorIs(t, err, want.is)
	}
	require.ErrorContains(t, err, want.text)
}

func (w *mistaken) open(contextID string, store store.Store) *mirror.Mirror {
	w.Helper()
	m, err := mirror.New(contextID, store, &mirror.Options{Clock: Clock{
		Time: func() time.Time { return day },
		Wait: func(context.Context, time.Duration) error { return errors.New("there is nothing to wait for") },
	}})
	require.NoError(w, err)
	return m
}

// operation is one that somebody gives the wrong databases to.
type operation struct {
	name string
	run  func(w *mistaken, m *mirror.Mirror) error
}

func operations() []operation {
	compare := func(w *mistaken, m *mirror.Mirror) (*mirror.Report, error) {
		r, err := m.Compare(w.Context(), w.asSource, nil)
		if err != nil {
			return nil, err
		}
		require.False(w, r.Identical())
		return r, nil
	}
	all := func(w *mistaken, m *mirror.Mirror) *fleet.Fleet {
		return &fleet.Fleet{Members: []fleet.Member{{ContextID: m.ContextID(), Open: func(context.Context) (*fleet.Connection, error) {
			return &fleet.Connection{Mirror: m, Source: w.asSource}, nil
		}}}}
	}
	one := func(results iter.Seq[fleet.Result]) (err error) {
		for r := range results {
			err = r.Err
		}
		return err
	}
	return []operation{
		{"Status", func(w *mistaken, m *mirror.Mirror) error {
			st, err := m.Status(w.Context())
			if err != nil {
				return err
			}
			return st.Err()
		}},
		{"Compare", func(w *mistaken, m *mirror.Mirror) error {
			r, err := compare(w, m)
			if err != nil {
				return err
			}
			return r.Err()
		}},
		{"Recheck", func(w *mistaken, m *mirror.Mirror) error {
			r, err := m.Recheck(w.Context(), w.asSource, w.report, nil)
			if err != nil {
				return err
			}
			return r.Err()
		}},
		{"Plan", func(w *mistaken, m *mirror.Mirror) error {
			r, err := compare(w, m)
			if err != nil {
				return err
			}
			_, err = m.Apply(w.Context(), r.Plan(), &mirror.ApplyOptions{Unknown: true, DryRun: true, Confirm: m.ContextID()})
			return err
		}},
		{"Apply", func(w *mistaken, m *mirror.Mirror) error {
			if r, err := compare(w, m); err == nil {
				_, err = m.Apply(w.Context(), r.Plan(), &mirror.ApplyOptions{Unknown: true, Confirm: m.ContextID()})
				return err
			}
			// Of no report there is no plan. One that was made rightly is right
			// for the right mirror.
			_, err := m.Apply(w.Context(), w.plan, &mirror.ApplyOptions{DryRun: w.mirrorIsRight, Confirm: m.ContextID()})
			return err
		}},
		{"Heal", func(w *mistaken, m *mirror.Mirror) error {
			h, err := heal.Run(w.Context(), m, w.asSource, &heal.Options{Unknown: true})
			if err == nil {
				require.False(w, h.Healed)
			}
			return err
		}},
		{"ResetTables", func(w *mistaken, m *mirror.Mirror) error {
			_, err := m.ResetTables(w.Context(), mistakenTables, &mirror.ResetOptions{DryRun: w.mirrorIsRight})
			return err
		}},
		{"HardReset", func(w *mistaken, m *mirror.Mirror) error {
			_, err := m.HardReset(w.Context(), &mirror.HardResetOptions{Confirm: m.ContextID(), DryRun: w.mirrorIsRight})
			return err
		}},
		{"Fleet.Status", func(w *mistaken, m *mirror.Mirror) error { return one(all(w, m).Status(w.Context())) }},
		{"Fleet.Compare", func(w *mistaken, m *mirror.Mirror) error { return one(all(w, m).Compare(w.Context(), nil)) }},
	}
}

const (
	noSource = "it has no source, and the mirror is the right one"
	noReport = "Compare gave no report, and so no plan; one that was made rightly is right for this mirror"
	asNew    = "a mirror that was just made has no tables either, and awaits its first cycle"
	hadAgain = "a table that was dropped is had again by a reset; Status names those that are gone"
)

// sourceMistake is what comes of a source that Compare refuses.
func sourceMistake(is error, text string) map[string]outcome {
	refusal, cannot := outcome{is: is, text: text}, outcome{reason: noSource}
	return map[string]outcome{
		"Status": cannot, "Compare": refusal, "Recheck": refusal, "Plan": refusal, "Apply": {reason: noReport}, "Heal": refusal,
		"ResetTables": cannot, "HardReset": cannot, "Fleet.Status": cannot, "Fleet.Compare": refusal,
	}
}

func everywhere(is error, text string) map[string]outcome {
	want := map[string]outcome{}
	for _, op := range operations() {
		want[op.name] = outcome{is: is, text: text}
	}
	return want
}

// but changes single outcomes.
func but(want map[string]outcome, other outcome, ops ...string) map[string]outcome {
	for _, op := range ops {
		want[op] = other
	}
	return want
}

func mistakes() []mistake {
	wrong := mirror.ErrWrongDatabase
	return []mistake{
		{"the same database", func(w *mistaken) { w.asSource = w.store },
			sourceMistake(wrong, "the source and the mirror are the same database")},
		{"the two sides swapped", func(w *mistaken) { w.asSource, w.asStore, w.mirrorIsRight = w.store, w.customer, false },
			but(but(but(everywhere(wrong, "is it the customer's own database?"),
				outcome{is: wrong, text: "the two sides are swapped"}, "Compare", "Plan", "Heal", "Recheck", "Fleet.Compare"),
				outcome{is: mirror.ErrNoMetadata, text: "is it the customer's own database?"}, "ResetTables", "HardReset"),
				outcome{is: wrong, text: "the plan is of another database"}, "Apply")},
		{"the wrong context identifier", func(w *mistaken) { w.contextID, w.mirrorIsRight = "Cust9", false },
			but(everywhere(wrong, "Cust10195_mirroring: is the context identifier right?"),
				outcome{text: `the report is of "Cust10195", not of "Cust9"`}, "Recheck")},
		{"another customer's database", func(w *mistaken) { w.asSource = w.other },
			but(but(sourceMistake(mirror.ErrTooMuch, "is the source the right database?"),
				outcome{is: wrong, text: "the report is about another source"}, "Recheck"),
				outcome{is: mirror.ErrTooMuch, text: "is the source the right database?"}, "Apply")},
		{"a source without tables", func(w *mistaken) { w.asSource = seeing{w.customer, nothing} },
			sourceMistake(wrong, "the source has no tables: check the database, the schema and the login's permissions")},
		{"a source that has other tables", func(w *mistaken) { w.asSource = seeing{w.customer, neverMirrored} },
			sourceMistake(wrong, "the source and the mirror have no table in common: is it the right database, and may the login see all tables?")},
		{"a source without permission", func(w *mistaken) { w.asSource = forbidden{w.customer} },
			sourceMistake(store.ErrPermission, "source: list tables: permission denied")},
		{"a mirror without permission", func(w *mistaken) { w.asStore, w.mirrorIsRight = forbidden{w.store}, false },
			everywhere(store.ErrPermission, "permission denied")},
		{"a mirror without tables", func(w *mistaken) { w.asStore, w.mirrorIsRight = seeing{w.store, nothing}, false },
			but(but(everywhere(mirror.ErrNoMetadata, "there are no tables at all: unless the mirror is new, check the database, the schema and the login's permissions"),
				outcome{reason: asNew}, "Status", "Compare", "Recheck", "Heal", "Fleet.Status", "Fleet.Compare"),
				outcome{is: mirror.ErrNothingToDo, text: "nothing to do"}, "Plan", "Apply")},
		{"a source that sees half the tables", func(w *mistaken) { w.asSource = seeing{w.customer, half} },
			but(sourceMistake(wrong, "the source lacks 4 of the 8 tables that the metadata table lists"),
				outcome{is: wrong, text: "the source lacks 4 of the 8 tables that the metadata table lists"}, "Apply")},
		{"a mirror that sees half the tables", func(w *mistaken) { w.asStore = seeing{w.store, half} },
			but(everywhere(wrong, "the mirror lacks 4 of the 8 tables that the metadata table lists"),
				outcome{reason: hadAgain}, "ResetTables", "HardReset")},
	}
}

func nothing(string) bool { return false }

func neverMirrored(name string) bool {
	return slices.Contains([]string{"registry", "login", "locking"}, name)
}

func half(name string) bool { return !slices.Contains(mistakenTables[4:], name) }

// seeing is a store of which a login sees only some tables.
type seeing struct {
	store.Store
	sees func(name string) bool
}

func (s seeing) Tables(ctx context.Context) ([]store.Table, error) {
	tables, err := s.Store.Tables(ctx)
	return slices.DeleteFunc(tables, func(t store.Table) bool { return !s.sees(store.FoldName(t.Name)) }), err
}

func (s seeing) Identity(ctx context.Context) (store.Identity, error) {
	return identityOf(ctx, s.Store)
}

// identityOf passes on what a store that is wrapped tells about its database.
func identityOf(ctx context.Context, s store.Source) (store.Identity, error) {
	if i, ok := s.(store.Identifier); ok {
		return i.Identity(ctx)
	}
	return store.Identity{}, errors.ErrUnsupported
}

// forbidden is a store that a login may do nothing in.
type forbidden struct{ store.Store }

func (f forbidden) denied(what string) error {
	return fmt.Errorf("%s: %w: ask for the role db_datareader", what, store.ErrPermission)
}

func (f forbidden) Tables(context.Context) ([]store.Table, error) {
	return nil, f.denied("list tables")
}

func (f forbidden) Count(context.Context, store.Table) (int64, error) { return 0, f.denied("count") }

func (f forbidden) Rows(context.Context, store.Query) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) { yield(nil, f.denied("read")) }
}

func (f forbidden) Update(context.Context, func(store.Tx) error) error { return f.denied("begin") }
