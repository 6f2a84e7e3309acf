package sqlite_test

import (
	"testing"

	"github.com/so-mirror/mirror/store/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Bench(b, open) }
