package mirror

import (
	"time"

	"github.com/so-mirror/mirror/internal/diff"
)

// SmallSteps makes comparisons check, save and classify after so many rows or
// keys, so that small tables see what large ones do.
func (m *Mirror) SmallSteps(n int) {
	m.steps = diff.Steps{Open: n, OpenBytes: 1 << 20, CheckEvery: int64(n), NoteEvery: time.Nanosecond, Probe: int64(n), Try: int64(n)}
}

// TableCheckpoint lets the tests damage checkpoints in every part.
type TableCheckpoint = tableCheckpoint

// Tables is what a Checkpoint keeps to itself.
func (c *Checkpoint) Tables() []TableCheckpoint { return c.tables }

// SetTables replaces it.
func (c *Checkpoint) SetTables(tables []TableCheckpoint) { c.tables = tables }

// The tests make reports with what a TableReport keeps to itself.

// ForgetLastLSN leaves out when the LSN was last looked at.
func (t *TableReport) ForgetLastLSN() { t.trace.LastLSN = nil }

// SetMetadataSum says that the metadata rows are those with that fingerprint.
func (t *TableReport) SetMetadataSum(sum string) { t.trace.MetadataSum = sum }

// SetRead says how many rows of the mirror were compared.
func (t *TableReport) SetRead(rows int64) { t.trace.Read = rows }
