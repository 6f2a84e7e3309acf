package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/fleet"
	"github.com/so-mirror/mirror/internal/crm"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/cycle"
	"github.com/so-mirror/mirror/store/memory"
	"github.com/so-mirror/mirror/store/sqlite"
)

// moment is when a process is killed that makes a change.
type moment string

const (
	beforeIntent moment = "before its intent is in the journal"
	beforeCommit moment = "before the commit"
	inCommit     moment = "in the commit"
	afterCommit  moment = "after the commit"
	beforeEnd    moment = "before its end is kept"
)

// killedEnv has the request of the child, as JSON.
const killedEnv = "CONSOLE_TEST_KILLED"

// killed is what a child does until it is killed.
type killed struct {
	Dir     string
	At      moment
	Request request
}

// TestKilled kills the process in each phase of a change: the mirror is as it was before or
// as it is after it, and the page says which.
func TestKilled(t *testing.T) {
	if asked := os.Getenv(killedEnv); asked != "" {
		var k killed
		require.NoError(t, json.Unmarshal([]byte(asked), &k))
		k.child(t)
		return
	}
	truncate := request{Tables: []string{"contact", "sale"}, Change: change{Operation: opReset, Truncate: true}}
	hard := request{Change: change{Operation: opHardReset, Confirm: "Cust1"}}
	for _, q := range []struct {
		name    string
		request request
		after   string // what the mirror holds when it was made
	}{
		{"reset", truncate, "Cust1_mirroring 3, contact -1, person 1, sale -1, contact 0, person 12, sale 0"},
		{"hard reset", hard, "before_hard_reset_Cust1 3, contact 5, person 12, sale 2"},
	} {
		for _, at := range []moment{beforeIntent, beforeCommit, inCommit, afterCommit, beforeEnd} {
			t.Run(q.name+" "+string(at), func(t *testing.T) {
				t.Parallel()
				killed{t.TempDir(), at, q.request}.parent(t, q.after)
			})
		}
	}
}

// child makes a change, and comes to the moment at which it waits to be killed.
func (k killed) child(t *testing.T) {
	its, err := sqlite.Open(t.Context(), filepath.Join(k.Dir, "mirror.db"))
	require.NoError(t, err)
	if k.At == inCommit { // who reads keeps the writer from its commit
		rows, err := its.DB().QueryContext(t.Context(), "SELECT * FROM contact")
		require.NoError(t, err)
		require.True(t, rows.Next())
		defer rows.Close()
	}
	f := &fleet.Fleet{Members: []fleet.Member{{ContextID: "Cust1", Open: func(context.Context) (*fleet.Connection, error) {
		m, err := mirror.New("Cust1", held{its, k.At}, nil)
		return &fleet.Connection{Mirror: m, Close: func() error { k.At.reached(beforeEnd); return nil }}, err
	}}}}
	c, err := Open(filepath.Join(k.Dir, "console.db"), f, &Options{Look: -1})
	require.NoError(t, err)
	_, err = c.jobs.start(t.Context(), job{Member: "cust1", Kind: kindChange, Actor: "ada", Request: k.Request})
	require.NoError(t, err)
	time.Sleep(time.Minute) // or nobody kills it
}

// reached tells the parent when the moment is there, and goes no further.
func (at moment) reached(is moment) {
	if at != is {
		return
	}
	fmt.Println("reached")
	if at != inCommit {
		time.Sleep(time.Minute)
	}
}

// held is a mirror's database that stops at a moment of a change.
type held struct {
	*sqlite.Store
	at moment
}

func (h held) Update(ctx context.Context, fn func(tx store.Tx) error) error {
	err := h.Store.Update(ctx, func(tx store.Tx) error {
		h.at.reached(beforeIntent)
		if err := fn(tx); err != nil {
			return err
		}
		h.at.reached(beforeCommit)
		h.at.reached(inCommit)
		return nil
	})
	h.at.reached(afterCommit)
	return err
}

// parent has a child killed, and looks at what it left.
func (k killed) parent(t *testing.T, after string) {
	k.prepare(t)
	before := k.contents(t)
	k.kill(t)
	is := k.contents(t)
	committed := k.At == afterCommit || k.At == beforeEnd
	if committed {
		require.Equal(t, after, is)
	} else {
		require.Equal(t, before, is, "nothing is half done")
	}

	away := atomic.Bool{} // the mirror's database is
	away.Store(true)
	w := &world{t: t, path: filepath.Join(k.Dir, "console.db"), opts: Options{Look: -1}}
	w.fleet = &fleet.Fleet{Members: []fleet.Member{{ContextID: "Cust1", Open: func(ctx context.Context) (*fleet.Connection, error) {
		if away.Load() {
			return nil, errors.New("no route to host")
		}
		its, err := sqlite.Open(ctx, filepath.Join(k.Dir, "mirror.db"))
		if err != nil {
			return nil, err
		}
		m, err := mirror.New("Cust1", its, nil)
		return &fleet.Connection{Mirror: m, Close: its.Close}, err
	}}}}
	w.open()
	page := "/mirrors/Cust1/changes/1"
	body := w.get(page)
	switch k.At {
	case beforeIntent:
		require.Contains(t, body, "Failed: nothing was changed")
		require.Contains(t, body, "The process ended before the change was begun: nothing was changed.")
	case beforeEnd:
		require.Contains(t, body, "The database says that it was done.")
	default:
		require.Contains(t, body, "Not known yet whether it was done")
		require.Contains(t, body, "Find out")
		require.NotContains(t, body, "/undo", "what is not known is not undone")
	}
	away.Store(false)
	w.post("/mirrors/Cust1/reconcile", nil)
	body = w.get(page)
	j, err := w.c.state.job(t.Context(), 1)
	require.NoError(t, err)
	if !committed {
		require.Equal(t, statusFailed, j.Status)
		require.Equal(t, mirror.OutcomeNotDone, j.Summary.Outcome)
		require.Contains(t, body, "Failed: nothing was changed")
		require.Nil(t, w.c.members["cust1"].busy(kindWaiting))
	} else {
		require.Equal(t, statusDone, j.Status, j.Error)
		require.Contains(t, body, "What was done")
		require.Contains(t, body, "The database says that it was done.")
		require.Equal(t, int64(1), w.waiting("Cust1").Request.Of, "it is waited for all the same")
	}
	require.Contains(t, body, "ada")
	require.Equal(t, is, k.contents(t), "to find out changes nothing")
}

// prepare makes a mirror that is as it should be.
func (k killed) prepare(t *testing.T) {
	source := memory.New()
	require.NoError(t, crm.Load(t.Context(), source, crm.Options{Contacts: 5}, "contact", "person", "sale"))
	its, err := sqlite.Create(t.Context(), filepath.Join(k.Dir, "mirror.db"))
	require.NoError(t, err)
	_, err = (&cycle.Task{Customer: cycle.NewCustomer("Cust1", source), Mirror: its}).Run(t.Context())
	require.NoError(t, err)
	_, err = its.DB().ExecContext(t.Context(), "PRAGMA journal_mode = DELETE") // so that who reads keeps a writer from its commit
	require.NoError(t, err)
	require.NoError(t, its.Close())
}

// kill runs the child up to its moment.
func (k killed) kill(t *testing.T) {
	asked, err := json.Marshal(k)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), killedEnv+"="+string(asked))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said, reached := "", false
	for lines := bufio.NewScanner(out); !reached && lines.Scan(); {
		reached = lines.Text() == "reached"
		said += lines.Text() + "\n"
	}
	if k.At == inCommit {
		_, err := os.Stat(filepath.Join(k.Dir, "mirror.db-journal"))
		require.NoError(t, err, "the commit has begun")
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	require.True(t, reached, said)
}

// contents is what a mirror holds: the rows of its tables and their LSNs.
func (k killed) contents(t *testing.T) string {
	its, err := sqlite.Open(t.Context(), filepath.Join(k.Dir, "mirror.db"))
	require.NoError(t, err)
	defer its.Close()
	tables, err := its.Tables(t.Context())
	require.NoError(t, err)
	var all []string
	for _, table := range tables {
		n, err := its.Count(t.Context(), table)
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%s %d", table.Name, n))
		if table.Name == "Cust1_mirroring" {
			var lsns []string
			require.NoError(t, its.DB().SelectContext(t.Context(), &lsns, "SELECT tablename || ' ' || LSN FROM Cust1_mirroring ORDER BY tablename"))
			all = append(all, lsns...)
		}
	}
	return strings.Join(all, ", ")
}
