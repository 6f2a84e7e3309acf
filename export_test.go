package mirror

import "time"

// SmallSteps makes comparisons check, save and classify after so many rows or
// keys, so that small tables see what large ones do.
func (m *Mirror) SmallSteps(n int) {
	m.tuning = tuning{maxOpen: n, maxOpenBytes: 1 << 20, checkEvery: int64(n), saveEvery: time.Nanosecond}
}

// TableCheckpoint lets the tests damage checkpoints in every part.
type TableCheckpoint = tableCheckpoint

// Tables is what a Checkpoint keeps to itself.
func (c *Checkpoint) Tables() []TableCheckpoint { return c.tables }

// SetTables replaces it.
func (c *Checkpoint) SetTables(tables []TableCheckpoint) { c.tables = tables }
