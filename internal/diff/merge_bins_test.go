package diff

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bins that are found apart become the same ones, in whatever pieces and whichever
// pieces are put together first.
func TestBinsInAnyPieces(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		spread := uint(r.IntN(64))
		var places []uint64
		for range 1 + r.IntN(400) {
			places = append(places, r.Uint64()>>spread)
		}
		one := func(places []uint64) (b Bins) {
			for _, place := range places {
				if bin := b.find(place); bin != nil {
					bin.Missing++
				} else {
					b.put(Bin{At: place, Missing: 1})
				}
			}
			return b
		}
		want := one(places)
		require.LessOrEqual(t, len(want.Bins), MaxBins)
		if want.Shift > 0 {
			narrower := map[uint64]bool{}
			for _, place := range places {
				narrower[place>>(want.Shift-1)] = true
			}
			require.Greater(t, len(narrower), MaxBins, "no wider than they have to be")
		}
		var pieces []Bins
		for rest := places; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			pieces, rest = append(pieces, one(rest[:n])), rest[n:]
		}
		for len(pieces) > 1 {
			i, j := r.IntN(len(pieces)), r.IntN(len(pieces)-1)
			if j >= i {
				j++
			}
			before := slices.Clone(pieces[j].Bins)
			pieces[i].add(pieces[j])
			require.Equal(t, before, pieces[j].Bins, "it is left alone")
			pieces = slices.Delete(pieces, j, j+1)
		}
		require.Equal(t, want, pieces[0], seed)
	}
}
