package diff

import (
	"sync"
	"weak"
)

// reserve is memory that nobody writes to. While streams hold one the collector
// counts it as in use and lets more garbage come together before it runs: a stream
// leaves much and holds little, and in a small program the collector would run every
// 4 MiB. The system gives no pages for it.
type reserve [8 << 20]byte

// reserved is the reserve of all streams of the process, until none holds it and the
// collector has run.
var reserved struct {
	sync.Mutex
	weak.Pointer[reserve]
}

// holdReserve returns the reserve, to be kept alive as long as a stream runs.
func holdReserve() *reserve {
	reserved.Lock()
	defer reserved.Unlock()
	held := reserved.Value()
	if held == nil {
		held = new(reserve)
		reserved.Pointer = weak.Make(held)
	}
	return held
}
