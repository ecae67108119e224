package plugins

import (
	"context"

	"github.com/golive-dev/golive/guard"
)

// The contracts of parts, and what they speak. Their documentation is that of package guard.
type (
	Backend  = guard.Backend
	Source   = guard.Source
	Notifier = guard.Notifier
	Probe    = guard.Probe
	Vault    = guard.Vault
	Prover   = guard.Prover
	Check    = guard.Check
	Fencer   = guard.Fencer

	With     = guard.With
	Duration = guard.Duration
	Release  = guard.Release
	Order    = guard.Order
	Standing = guard.Standing
	Undo     = guard.Undo
	Fence    = guard.Fence
	Query    = guard.Query
	Signal   = guard.Signal
	Sample   = guard.Sample
	Reading  = guard.Reading
	Series   = guard.Series
	Arm      = guard.Arm
	Notice   = guard.Notice
	Receipt  = guard.Receipt
	Backup   = guard.Backup
	Rung     = guard.Rung
	Proof    = guard.Proof
	Ascent   = guard.Ascent
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

// The fences of a backend.
const (
	FenceEnforced = guard.FenceEnforced
	FenceAdvisory = guard.FenceAdvisory
	FenceNone     = guard.FenceNone
)

// The rungs of the ladder of assurance.
const (
	RungNone     = guard.RungNone
	RungListed   = guard.RungListed
	RungChecked  = guard.RungChecked
	RungRead     = guard.RungRead
	RungRestored = guard.RungRestored
	RungVerified = guard.RungVerified
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

// Climb is what provers have in common; see guard.Climb.
func Climb(ctx context.Context, v Vault, want Rung, ascents []Ascent) (Proof, error) {
	return guard.Climb(ctx, v, want, ascents)
}
