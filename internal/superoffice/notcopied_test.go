package superoffice

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNotCopied(t *testing.T) {
	for _, name := range []string{
		"binaryobject", "ConceptualDatabase", "ConceptualTable", "ConceptualField", "PhysicalSchema", "PhysicalDatabase",
		"PhysicalTable", "PhysicalField", "Relationship", "DicIndex", "IndexField",
	} {
		reason, ok := NotCopied(strings.ToLower(name))
		require.True(t, ok, name)
		require.NotEmpty(t, reason, name)
		require.False(t, UnclearCopy(strings.ToLower(name)), name)
	}
	for _, name := range []string{"dictionary", "dictionary_base", "databasemodel"} {
		_, ok := NotCopied(name)
		require.False(t, ok, name)
		require.True(t, UnclearCopy(name), name)
	}
	_, ok := NotCopied("person")
	require.False(t, ok || UnclearCopy("person"))
	for name := range NotCopiedTables() {
		_, blocked := BlockedReason(name)
		require.False(t, blocked, "%s has two reasons", name)
	}
}
