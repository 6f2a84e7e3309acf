package mirror_test

import (
	"testing"

	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestSoak(t *testing.T) {
	mirrortest.Soak(t, func(testing.TB) store.Store { return memory.New() }, mirrortest.SoakTime(t))
}
