package mirror

// Checkpoint is a comparison that was stopped, as data: its JSON form can be
// kept and given to a later Compare as CompareOptions.Resume.
type Checkpoint struct{}
