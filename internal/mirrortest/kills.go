package mirrortest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/journal"
	"github.com/so-mirror/mirror/store"
)

// OpenFile opens or creates the database in the file at path, checks that it is
// whole, and returns with its store what closes it.
type OpenFile func(t testing.TB, path string) (store store.Store, end func())

// jobVariable has a test binary do one killJob and nothing else.
const jobVariable = "MIRROR_TEST_KILL"

// fewestKills are what fewestFaults are for Faults.
var fewestKills = map[string]int{
	"killed before the effect":     180,
	"killed after the effect":      165,
	"killed with the journal torn": 160,
	"killed at any moment":         40,
}

// killJob is what a process does until it is killed.
type killJob struct {
	Dir  string // of the database and the journal
	Op   string // "" for operations without end
	At   int
	Mode string
}

func (j killJob) database() string { return filepath.Join(j.Dir, "mirror.db") }
func (j killJob) journal() string  { return filepath.Join(j.Dir, "journal") }

// Kills runs operations in processes of their own, which are killed before and
// after each call, in the middle of writing to the journal, and at any moment.
// What such a process leaves behind must be what Faults demands. The calling
// test must not do anything else, because the processes run it again.
func Kills(t *testing.T, open OpenFile) {
	if text := os.Getenv(jobVariable); text != "" {
		var job killJob
		require.NoError(t, json.Unmarshal([]byte(text), &job))
		job.do(t, open)
		return
	}
	if runtime.GOOS == "windows" {
		t.Skip("a process that was killed looks like any other here")
	}
	kinds := map[string]int{}
	for _, op := range faultOps() {
		t.Run(op.name, func(t *testing.T) { killAtEachCall(t, open, op, kinds) })
	}
	t.Run("at any moment", func(t *testing.T) { killAtAnyMoment(t, open, 40, kinds) })
	if !t.Failed() {
		requireFaults(t, kinds, fewestKills)
	}
}

// killModes are those of a process that kills itself.
func killModes() []faultMode {
	ended := func(c faultCall) bool { return c.method == string(mirror.JournalDone) }
	modes := []faultMode{{
		kind:   "killed before the effect",
		expect: func(c faultCall) (faultOutcome, bool) { return faultOutcome{done: ended(c)}, true },
		strike: func(*fault, faultCall, func() error) error { return killSelf() },
	}, {
		kind: "killed after the effect",
		expect: func(c faultCall) (faultOutcome, bool) {
			return faultOutcome{done: ended(c) || c.method == endUpdate}, c.method != beginUpdate
		},
		strike: func(f *fault, c faultCall, effect func() error) error {
			if c.method == endUpdate {
				f.afterCommit = func(error) error { return killSelf() }
				return nil
			}
			if err := effect(); err != nil {
				return err
			}
			return killSelf()
		},
	}}
	for _, torn := range tears() {
		modes = append(modes, faultMode{
			kind: "killed with the journal torn", name: torn.name,
			expect: func(c faultCall) (faultOutcome, bool) { return faultOutcome{done: ended(c)}, c.part == ofJournal },
			strike: func(f *fault, c faultCall, effect func() error) error {
				if err := tear(torn, nil)(f, c, effect); err != nil {
					return err
				}
				return killSelf()
			},
		})
	}
	return modes
}

// killSelf ends the process as a crash does: nothing is closed or written.
func killSelf() error {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		return err
	}
	select {}
}

func killAtEachCall(t *testing.T, open OpenFile, op faultOp, kinds map[string]int) {
	// The database file of the state before the operation is copied.
	path := filepath.Join(t.TempDir(), "mirror.db")
	store, end := open(t, path)
	s := newStand(t, store, op)
	s.prepare(t, store)
	end()
	database, err := os.ReadFile(path)
	require.NoError(t, err)
	for n, call := range s.calls {
		for _, mode := range killModes() {
			want, possible := mode.expect(call)
			if !possible {
				continue
			}
			t.Run(fmt.Sprintf("%d %s, %s", n+1, call, mode), func(t *testing.T) {
				job := killJob{Dir: journalDir(t), Op: op.name, At: n + 1, Mode: mode.String()}
				require.NoError(t, os.WriteFile(job.database(), database, 0o600))
				require.NoError(t, os.WriteFile(job.journal(), s.journal, 0o600))
				job.start(t)(0)
				store, end := open(t, job.database())
				defer end()
				s.verify(t, store, job.journal(), want.done)
				kinds[mode.kind]++
			})
		}
	}
}

// start runs the job in a process. What it returns waits for that long once the
// process has begun, kills it unless it does so itself, and waits for its end.
func (j killJob) start(t *testing.T) func(time.Duration) {
	t.Helper()
	text, err := json.Marshal(j)
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+topName(t)+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	return func(d time.Duration) {
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan())
		require.Equal(t, jobBegins, lines.Text())
		if j.Op == "" {
			time.Sleep(d)
			require.NoError(t, cmd.Process.Kill())
		}
		var rest []string
		for lines.Scan() {
			rest = append(rest, lines.Text())
		}
		_ = cmd.Wait() // that it was killed
		require.False(t, cmd.ProcessState.Exited(), "it was to be killed: %q", rest)
	}
}

func topName(t *testing.T) string {
	name, _, _ := strings.Cut(t.Name(), "/")
	return name
}

const jobBegins = "the job begins"

// do runs in the process that is killed.
func (j killJob) do(t *testing.T, open OpenFile) {
	store, end := open(t, j.database())
	defer end()
	fmt.Println(jobBegins)
	withJournal(t, j.journal(), func(journal *journal.File) {
		if j.Op == "" {
			resetForever(t, store, journal)
			return
		}
		s := &stand{}
		for _, op := range faultOps() {
			if op.name == j.Op {
				s.op = op
			}
		}
		if s.op.undoes {
			entries, err := journal.Entries()
			require.NoError(t, err)
			s.receipt = entries[0].Receipt
		} else {
			s.plan = faultPlan(t, store)
		}
		f := &fault{at: j.At, path: j.journal()}
		for _, m := range killModes() {
			if m.String() == j.Mode {
				f.mode = m
			}
		}
		_, err := s.run(t, store, journal, f)
		require.NoError(t, err)
	})
}

// endless are the operations that a process does and takes back in turn until it
// is killed.
func endless() []faultOp {
	return slices.DeleteFunc(faultOps(), func(op faultOp) bool {
		return !slices.Contains([]string{"reset all", "hard reset", "hard reset of tables"}, op.name)
	})
}

func resetForever(t *testing.T, store store.Store, journal *journal.File) {
	m, err := mirror.New(ContextID, copied{store}, &mirror.Options{Journal: journal})
	require.NoError(t, err)
	for t.Context().Err() == nil {
		for _, op := range endless() {
			receipt, err := op.do(t.Context(), m, nil)
			require.NoError(t, err)
			require.NoError(t, m.Undo(t.Context(), receipt))
		}
	}
}

// killAtAnyMoment kills processes that work on one database, one after the other.
func killAtAnyMoment(t *testing.T, open OpenFile, kills int, kinds map[string]int) {
	r := rand.New(rand.NewPCG(20260203, 1))
	job := killJob{Dir: t.TempDir()}
	store, end := open(t, job.database())
	ops := endless()
	stands := make([]*stand, len(ops))
	for i, op := range ops {
		stands[i] = newStand(t, store, op)
	}
	world := stands[0].before
	fill(t, store, ops[0].tables())
	end()
	undecided := 0
	for n := range kills {
		require.NoError(t, os.RemoveAll(job.journal()))
		job.start(t)(time.Duration(r.IntN(40_000)) * time.Microsecond)
		store, end := open(t, job.database())
		withJournal(t, job.journal(), func(journal *journal.File) {
			got := takeSnapshot(t, store)
			found := reconcile(t, store, journal)
			if len(found) == 0 {
				require.Equal(t, world, got)
				return
			}
			for i, f := range found[:len(found)-1] {
				require.Equal(t, mirror.OutcomeDone, f.Outcome, "operation %d, after which others came", i+1)
			}
			// The operations come in turn, so the place of the last one says
			// what it was.
			i, last := len(found)-1, found[len(found)-1]
			require.Equal(t, i%2 == 1, last.Undo)
			s := stands[i/2%len(stands)]
			require.Equal(t, world, s.before)
			require.Equal(t, s.op.unnamed(world), s.op.unnamed(got))
			before, after := s.before, s.after
			if last.Undo {
				before, after = after, before
			}
			if last.Outcome == mirror.OutcomeDone {
				require.Equal(t, after, got, "kill %d, operation %d: done, known from the %s", n+1, i+1, last.Proof)
			} else {
				require.Equal(t, mirror.OutcomeNotDone, last.Outcome)
				require.Equal(t, before, got, "kill %d, operation %d: not done, known from the %s", n+1, i+1, last.Proof)
			}
			if last.Proof == "database" {
				undecided++
			}
			isReset := last.Undo != (last.Outcome == mirror.OutcomeDone)
			if isReset {
				require.NoError(t, s.undo(t, store, journal, last.Receipt, &fault{}))
			}
			require.Equal(t, world, takeSnapshot(t, store))
			receipt, err := s.do(t, store, journal, &fault{})
			require.NoError(t, err)
			require.Equal(t, s.after, takeSnapshot(t, store))
			require.NoError(t, s.undo(t, store, journal, receipt, &fault{}))
			require.Equal(t, world, takeSnapshot(t, store))
		})
		checkPool(t, store)
		end()
		kinds["killed at any moment"]++
	}
	t.Logf("of %d kills, %d left it to the database what had happened", kills, undecided)
}
