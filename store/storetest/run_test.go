package storetest

import (
	"testing"

	"github.com/so-mirror/mirror"
	"github.com/so-mirror/mirror/store/memory"
)

func TestMemory(t *testing.T) {
	Run(t, func(testing.TB) mirror.Store { return memory.New() })
}
