package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/replica"
	"github.com/so-mirror/mirror/store/cycle"
)

// The world is what programs say of it: three tables are damaged, one waits, a reset and a
// cycle repair it, and the replica beside it is good.
func TestWorld(t *testing.T) {
	dir := t.TempDir()
	w, err := New(t.Context(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	m, err := mirror.New(Context, w.Mirror, nil)
	require.NoError(t, err)

	report, err := m.Compare(t.Context(), w.Customer, nil)
	require.NoError(t, err)
	var reset []string
	for _, t := range report.Plan().Tables {
		reset = append(reset, t.Table)
	}
	require.Equal(t, []string{"contact", "person", "sale"}, reset)
	_, err = m.Apply(t.Context(), report.Plan(), &mirror.ApplyOptions{Confirm: Context})
	require.NoError(t, err)
	_, err = (&cycle.Task{Customer: w.Customer, Mirror: w.Mirror}).Run(t.Context())
	require.NoError(t, err)
	report, err = m.Compare(t.Context(), w.Customer, nil)
	require.NoError(t, err)
	require.True(t, report.Plan().Empty())

	its, err := w.AddReplica(t.Context(), dir)
	require.NoError(t, err)
	checked, err := replica.Check(t.Context(), w.Mirror, its, &replica.Options{MaxWait: -1})
	require.NoError(t, err)
	require.Equal(t, replica.Go, checked.Decision, checked)
}

func TestWorldErrors(t *testing.T) {
	_, err := New(t.Context(), filepath.Join(t.TempDir(), "nowhere"))
	require.Error(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mirror.db"), []byte("mine"), 0o600))
	_, err = New(t.Context(), dir)
	require.Error(t, err)
	left, err := os.ReadFile(filepath.Join(dir, "mirror.db"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(left))
}
