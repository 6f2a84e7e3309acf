package superoffice

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ReplicaState is the table in which the newer client keeps its state. Source:
// SuperOffice documentation, the replication client of 2026.
const ReplicaState = "_ReplicationState"

// ReplicaSchema is the schema of a replica's tables unless its TablePrefix says
// otherwise, and what the newer client wants before the name of a table that it
// is to re-synchronize.
const ReplicaSchema = "crm7"

// Unavailable is what a change-capture pipeline can leave in a (max) column whose
// value did not change. Source: Debezium, option unavailable.value.placeholder.
const Unavailable = "__debezium_unavailable_value"

// ResyncPath is the path of the newer client's endpoint that re-synchronizes tables.
// Source: SuperOffice documentation, the replication client of 2026.
func ResyncPath(contextID string) string { return "/api/v1/replication/" + contextID + "/resync" }

// ResyncCommand says how the newer client repairs tables.
func ResyncCommand(contextID string, tables []string) string {
	if len(tables) == 0 {
		tables = []string{ReplicaSchema + ".person"}
	}
	list, _ := json.Marshal(tables)
	return fmt.Sprintf("resync-tables %s, or POST %s with {\"tables\": %s}", strings.Join(tables, " "), ResyncPath(contextID), list)
}
