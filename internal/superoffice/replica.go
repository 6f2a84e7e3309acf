package superoffice

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ReplicaState is the table in which the newer client keeps its state. Source:
// SuperOffice documentation, the replication client of 2026.
const ReplicaState = "_ReplicationState"

// ResyncCommand says how the newer client repairs tables.
func ResyncCommand(contextID string, tables []string) string {
	if len(tables) == 0 {
		tables = []string{"crm7.person"}
	}
	list, _ := json.Marshal(tables)
	return fmt.Sprintf("resync-tables %s, or POST /api/v1/replication/%s/resync with {\"tables\": %s}",
		strings.Join(tables, " "), contextID, list)
}
