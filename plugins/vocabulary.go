package plugins

import "github.com/golive-dev/golive/guard"

// The contracts of parts, and what they speak. Their documentation is that of package guard.
type (
	Backend  = guard.Backend
	Source   = guard.Source
	Notifier = guard.Notifier
	Probe    = guard.Probe
	Vault    = guard.Vault
	Check    = guard.Check

	With     = guard.With
	Duration = guard.Duration
	Release  = guard.Release
	Order    = guard.Order
	Standing = guard.Standing
	Undo     = guard.Undo
	Query    = guard.Query
	Signal   = guard.Signal
	Sample   = guard.Sample
	Reading  = guard.Reading
	Series   = guard.Series
	Arm      = guard.Arm
	Notice   = guard.Notice
	Receipt  = guard.Receipt
	Backup   = guard.Backup
	Scene    = guard.Scene
	Plan     = guard.Plan
	Finding  = guard.Finding
	Evidence = guard.Evidence
	Verdict  = guard.Verdict
)

// The verdicts of a finding.
const (
	Unknown = guard.Unknown
	Waiting = guard.Waiting
	Pass    = guard.Pass
	Warn    = guard.Warn
	Fail    = guard.Fail
)

// The arms of a comparison.
const (
	Canary   = guard.Canary
	Baseline = guard.Baseline
)

// Fill replaces every {{.Word}} in a text; see guard.Fill.
func Fill(template string, words map[string]string) (string, error) {
	return guard.Fill(guard.Template(template), words)
}
