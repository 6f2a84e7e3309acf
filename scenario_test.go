package mirror_test

import (
	"testing"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/internal/mirrortest"
	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/memory"
)

func TestScenarios(t *testing.T) {
	mirrortest.Run(t, func(testing.TB) store.Store { return memory.New() },
		mirrortest.Skip{Scenario: "spellings", Reason: "the fake holds values, and each has one spelling"})
}

func TestProperty(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 60
	}
	mirrortest.Property(t, func(testing.TB) store.Store { return memory.New() }, seeds, (*mirror.Mirror).SmallSteps)
}

func TestFaults(t *testing.T) {
	mirrortest.Faults(t, func(testing.TB) store.Store { return memory.New() })
}

func TestMistakes(t *testing.T) {
	mirrortest.Mistakes(t, func(testing.TB) store.Store { return memory.New() })
}
