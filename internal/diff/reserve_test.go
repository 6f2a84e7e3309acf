package diff

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReserve: streams share one reserve, and a process in which none runs has none.
func TestReserve(t *testing.T) {
	a, b := holdReserve(), holdReserve()
	require.Same(t, a, b)
	runtime.GC()
	require.Same(t, a, reserved.Value(), "the collector took it from under a stream")
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	a, b = nil, nil
	runtime.GC()
	require.Nil(t, reserved.Value())
}
