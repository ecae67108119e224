package guard

import (
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard/judge"
)

const (
	second = Duration(time.Second)
	minute = Duration(time.Minute)
	hour   = Duration(time.Hour)
	day    = 24 * hour
)

// Defaults is a plan that says nothing yet: what holds for every key that a file leaves out. A zero that a file
// does hold stays a zero.
func Defaults() Plan {
	return Plan{
		Environment: "production",
		Tier:        Standard,
		Mode:        Enforce,
		Roster:      Roster{MinOnDuty: 1},
		Language:    "en",
		Evidence:    Preserve{Budget: minute},
		Recovery: Recovery{
			StandDown: "commander",
			Deadline:  Terms{Contain: 2 * minute, Report: 15 * minute, Vendor: hour, Notice: 30 * minute, File: day, Learn: 14 * day},
		},
		Rollout: Rollout{
			Advance:      OnEvidence,
			Bake:         Bake{For: 30 * minute},
			Blind:        Blind{After: minute, Then: ThenHold},
			Scarce:       Scarce{Then: ThenHold},
			Alert:        Alerts{Then: ThenHold},
			Deadline:     Deadlines{Shift: 2 * minute, Rollback: 5 * minute},
			OnNewRelease: "refuse",
		},
		Watch: Watch{
			Every:          10 * second,
			Warmup:         Warmup{For: minute},
			FalseRollback:  0.01,
			Split:          "request",
			Instances:      "uniform",
			Episodes:       50 * second,
			OnAbsoluteOnly: "rollback",
			OnTooFast:      "hold",
			Promote: Promote{
				Early:      true,
				Confidence: 0.95,
				Patience:   2 * minute,
				Margin:     0.0005,
				MinStep:    30 * second,
				MaxStep:    10 * minute,
			},
		},
	}
}

// tolerated is what a signal may be worse than the old version, unless the plan says otherwise.
var tolerated = map[judge.Kind]struct{ maxIncrease, ignoreBelow Share }{
	judge.Errors:  {0.25, 0.0002},
	judge.Latency: {0.10, 0.002},
}

// maxAge is how old the newest backup may be, unless the plan says otherwise.
const maxAge = day

// complete fills in the defaults that depend on other values, and those of list items.
func (p *Plan) complete() {
	promote := &p.Watch.Promote
	if !p.Writes("watch.promote.min_step") {
		promote.MinStep = min(promote.MinStep, promote.MaxStep)
	}
	if !p.Writes("watch.promote.max_step") {
		promote.MaxStep = max(promote.MinStep, promote.MaxStep)
	}
	for i := range p.Rollout.Steps {
		s, path := &p.Rollout.Steps[i], fmt.Sprintf("rollout.steps[%d]", i)
		least, most := p.Writes(path+".at_least"), p.Writes(path+".at_most")
		switch {
		case least && !most:
			s.AtMost = max(s.AtLeast, promote.MaxStep)
		case most && !least:
			s.AtLeast = min(s.AtMost, promote.MinStep)
		case !least && !most:
			s.AtLeast, s.AtMost = min(promote.MinStep, promote.MaxStep), promote.MaxStep
		}
	}
	for i := range p.Watch.Signals {
		s, path := &p.Watch.Signals[i], fmt.Sprintf("watch.signals[%d]", i)
		s.take(presets[s.Preset])
		if !p.Writes(path + ".max_increase") {
			s.MaxIncrease = tolerated[s.Kind()].maxIncrease
		}
		if !p.Writes(path + ".ignore_below") {
			s.IgnoreBelow = tolerated[s.Kind()].ignoreBelow
		}
	}
	for i := range p.Tools {
		if t := &p.Tools[i]; t.Print == "" {
			t.Print = t.Name + " --version"
		}
	}
	for i := range p.Severity {
		if !p.Writes(fmt.Sprintf("severity[%d].activate", i)) {
			p.Severity[i].Activate = activation[p.Severity[i].Level]
		}
	}
	for i := range p.Severity {
		if l := &p.Severity[i]; !p.Writes(fmt.Sprintf("severity[%d].update", i)) {
			l.Update = updates[min(l.Level, len(updates))]
		}
	}
	for i := range p.Recovery.Resorts {
		if !p.Writes(fmt.Sprintf("recovery.resorts[%d].within", i)) {
			p.Recovery.Resorts[i].Within = 5 * minute
		}
	}
	for i := range p.Attestations {
		if !p.Writes(fmt.Sprintf("attestations[%d].within", i)) {
			p.Attestations[i].Within = 183 * day
		}
	}
	for i := range p.Checks.Extra {
		if p.Checks.Extra[i].Required == nil {
			p.Checks.Extra[i].Required = new(true)
		}
	}
	for i, store := range p.Data {
		for j := range store.Backups {
			if !p.Writes(fmt.Sprintf("data[%d].backups[%d].max_age", i, j)) {
				store.Backups[j].MaxAge = maxAge
			}
		}
	}
}
