// Package superoffice holds the facts about SuperOffice's Database mirroring that
// the library and its simulated task share. It imports the standard library alone.
package superoffice

import "maps"

// MetadataSuffix ends the name of every metadata table.
const MetadataSuffix = "_mirroring"

// MetadataTable returns the default name of a customer's metadata table.
func MetadataTable(contextID string) string { return contextID + MetadataSuffix }

// blocked are the tables that the Mirroring Task never sends, with the
// vendor's reason. Source: SuperOffice documentation, "Database mirroring",
// list of blocked tables.
var blocked = map[string]string{
	"activeuser":                 "unused in Online",
	"area":                       "Travel",
	"areauserassignment":         "Travel",
	"areauserinclusion":          "Travel",
	"audienceconfig":             "Audience",
	"audiencelayout":             "Audience",
	"audiencelayoutlink":         "Audience",
	"audiencevisibility":         "Audience",
	"batchtask":                  "internal",
	"batchtaskdefinition":        "internal",
	"cacheinvalidation":          "internal",
	"cachetables":                "internal",
	"cc_template":                "configuration",
	"config":                     "internal",
	"configurablescreendelta":    "internal",
	"connectionconfigfield":      "internal",
	"countervalue":               "large SAINT data",
	"credentials":                "credentials",
	"cust_config":                "configuration",
	"dashboard":                  "configuration",
	"dashboard_theme":            "configuration",
	"dashboard_tile":             "configuration",
	"dashboard_tile_definition":  "configuration",
	"dashboard_tile_field":       "configuration",
	"dbi_agent":                  "unused in Online",
	"dbi_agent_field":            "unused in Online",
	"dbi_agent_schedule":         "unused in Online",
	"email_account":              "private",
	"email_attachment":           "private",
	"email_folder":               "private",
	"email_item":                 "private",
	"erpsynclog":                 "configuration",
	"foreignapp":                 "internal",
	"foreigndevice":              "internal",
	"foreignkey":                 "internal",
	"form_keys":                  "internal",
	"freetextindex":              "search index",
	"freetextstopwords":          "search index",
	"freetextwords":              "search index",
	"history":                    "user state",
	"importdefault":              "internal configuration",
	"importfield":                "internal configuration",
	"importobject":               "internal configuration",
	"importrelation":             "internal configuration",
	"inbox":                      "internal",
	"item_config":                "internal configuration",
	"kb_entry_words":             "internal",
	"licenseassoclink":           "internal configuration",
	"licenssatllink":             "internal configuration",
	"locking":                    "internal",
	"log_events":                 "internal",
	"login":                      "sensitive session info",
	"login_customer":             "sensitive session info",
	"mergemovelog":               "internal operation tracking",
	"message":                    "internal configuration",
	"messagehandler":             "internal configuration",
	"modulelicense":              "internal configuration",
	"moduleowner":                "internal configuration",
	"notice_frame":               "internal",
	"notify":                     "internal",
	"olefield":                   "internal configuration",
	"olefieldtext":               "internal configuration",
	"olesubject":                 "internal configuration",
	"olesubjecttext":             "internal configuration",
	"oleview":                    "internal configuration",
	"oleviewtext":                "internal configuration",
	"outbox":                     "internal",
	"prefdesc":                   "internal configuration",
	"prefdescline":               "internal configuration",
	"registry":                   "internal",
	"satellite":                  "Travel",
	"script_trace_run":           "debug info",
	"searchcriteria":             "internal configuration",
	"searchcriteriagroup":        "internal configuration",
	"searchcriterion":            "internal configuration",
	"searchcriterionvalue":       "internal configuration",
	"sequence":                   "primary-key counters",
	"service_auth":               "mail authentication",
	"session_object":             "internal",
	"sorcriteria":                "internal configuration",
	"sorfct":                     "internal configuration",
	"sorfield":                   "internal configuration",
	"sorlabellayout":             "internal configuration",
	"soroperators":               "internal configuration",
	"sorpublish":                 "internal configuration",
	"sorpublishgrouplink":        "internal configuration",
	"sorsection":                 "internal configuration",
	"sortemplate":                "internal configuration",
	"statusvalue":                "large SAINT data",
	"superlistcolumnsize":        "internal configuration",
	"systemevent":                "internal configuration",
	"taborder":                   "internal configuration",
	"timestamps":                 "internal configuration",
	"travelcurrent":              "Travel",
	"travelgenerateddatabase":    "Travel",
	"travelgeneratedtransaction": "Travel",
	"travelidmapping":            "Travel",
	"traveller":                  "Travel",
	"traveltransactionlog":       "Travel",
	"trayapp":                    "internal configuration",
	"udtemplarge":                "temporary udef data",
	"udtempsmall":                "temporary udef data",
	"usagestats":                 "internal",
	"user_attribute":             "internal configuration",
	"user_candidate":             "internal configuration",
	"userpreference":             "high volume, internal",
	"webappusage":                "internal configuration",
	"webhook":                    "internal configuration",
	"winpossize":                 "internal configuration",
	"word_relations":             "internal configuration",
}

// Blocked returns the tables that are never mirrored, each with the vendor's
// reason. Names are folded (see store.FoldName).
func Blocked() map[string]string { return maps.Clone(blocked) }

// BlockedReason returns the vendor's reason for not mirroring a table whose name
// is folded, and whether there is one.
func BlockedReason(folded string) (reason string, ok bool) {
	reason, ok = blocked[folded]
	return reason, ok
}
