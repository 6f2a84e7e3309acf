package mirror_test

import (
	"testing"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store/memory"
)

func TestSoak(t *testing.T) {
	mirrortest.Soak(t, func(testing.TB) mirror.Store { return memory.New() }, mirrortest.SoakTime(t))
}
