package main

import "strings"

// flagWords puts what the command line calls an option or an operation in the place of
// what the library calls it in its texts.
var flagWords = strings.NewReplacer(
	"(MaxWait)", "(--max-wait)",
	"(RoundedTimes)", "(--rounded-times)",
	"Recheck after the next cycle", "run mirrorctl recheck after the next cycle",
	"(Recheck)", "(mirrorctl recheck)",
	"Recheck has to wait", "mirrorctl recheck has to wait",
	"Resume it from its Checkpoint", "Go on with it by --resume",
	"set Unknown", "say --unknown",
	"set Force", "say --force",
	"set NoUndo", "say --no-undo",
	"set All", "say --all",
	"DropData drops the tables in Tables", "--drop-data drops the tables of --table",
	"leave Tables nil", "leave out --table",
	"unless ApplyOptions.Unknown is set", "unless apply is told --unknown",
	"see Plan.Empty", "no table has a step",
	"into Options.FormerIDs", "under former-ids in the file of --config",
	"ApplyOptions.Confirm", "--confirm",
	"HardResetOptions.Confirm", "--confirm",
	"name it in CompareOptions.SchemaPrefixes", "name it by --schema-prefix",
	"name the prefix in CompareOptions.SchemaPrefixes", "name the prefix by --schema-prefix",
	"narrow SchemaPrefixes", "narrow --schema-prefix",
	"set CompareOptions.SourceIsCopy", "say --copy",
	"in IgnoreColumns", "by --ignore-column",
	"(see IgnoreColumns)", "(see --ignore-column)",
	"IgnoreColumns: neither", "--ignore-column: neither",
	"SkipTables: neither", "--skip-table: neither",
	"set Options.ContextID of the check", "say --context",
	"in ContextID", "by --context",
	"raise MaxKeys", "compare once without --since",
	"stopped at MaxDifferences", "stopped at a limit",
	"Interval and MaxKeys cannot be negative: leave them 0 for their defaults", "--interval cannot be negative",
	"MaxRowShare", "--max-row-share",
	"MaxTableShare", "--max-table-share",
	"MaxDuration", "--max-duration",
	"SinceRows", "--since-rows",
	"CheckpointEvery", "--checkpoint-every",
	"Poll, MaxCycles and ResetAgain", "--poll, --max-cycles and --reset-again",
	"IgnoreColumns", "--ignore-column", // in lines that were wrapped
	"SchemaPrefixes", "--schema-prefix",
	"HardReset without Tables", "hard-reset without --table",
	"HardReset of", "hard reset of",
	"kept for Undo", "kept for undo",
	"so Undo creates", "so undo creates",
	"read Status before", "run mirrorctl status before",
)

// inFlags is a text of the library in the words of the command line.
func inFlags(s string) string { return flagWords.Replace(s) }
