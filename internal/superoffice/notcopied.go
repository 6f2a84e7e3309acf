package superoffice

import "maps"

// notCopied are the tables that the newer client does not copy although the
// Mirroring Task sends them, with the reason. Source: SuperOffice documentation,
// the replication client of 2026.
var notCopied = map[string]string{
	"binaryobject":       "binary objects",
	"conceptualdatabase": dictionaryTable,
	"conceptualtable":    dictionaryTable,
	"conceptualfield":    dictionaryTable,
	"physicalschema":     dictionaryTable,
	"physicaldatabase":   dictionaryTable,
	"physicaltable":      dictionaryTable,
	"physicalfield":      dictionaryTable,
	"relationship":       dictionaryTable,
	"dicindex":           dictionaryTable,
	"indexfield":         dictionaryTable,
}

const dictionaryTable = "dictionary of the data model"

// unclear are tables of which the documentation of the newer client does not say
// whether they count as dictionary tables.
var unclear = map[string]bool{"dictionary": true, "dictionary_base": true, "databasemodel": true}

// NotCopiedTables returns the tables that the newer client does not copy, each with
// the reason, besides those that are never mirrored at all (see Blocked). Names
// are folded (see store.FoldName).
func NotCopiedTables() map[string]string { return maps.Clone(notCopied) }

// NotCopied returns the reason why the newer client does not copy a table whose
// name is folded, and whether there is one. Blocked tables are not among them.
func NotCopied(folded string) (reason string, ok bool) {
	reason, ok = notCopied[folded]
	return reason, ok
}

// UnclearCopy reports whether the newer client may or may not copy a table whose
// name is folded: a replica is right with it and without it.
func UnclearCopy(folded string) bool { return unclear[folded] }
