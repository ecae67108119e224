package incident

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// Impact is what the release cost, as far as the counts of the journal tell. Users, regions and the error budget are in no
// count, and so they are not known.
type Impact struct {
	Signals  []Harmed       `json:"signals,omitempty"`
	Exposed  guard.Duration `json:"exposed,omitempty"` // from the first traffic on the new version until it was contained
	Known    bool           `json:"exposed_known"`
	Peak     int            `json:"peak_percent"` // the greatest share that the new version was seen to have
	Until    time.Time      `json:"counted_until,omitzero"`
	Estimate *Estimate      `json:"avoided_estimate,omitempty"`
}

// Harmed is the excess of bad requests of one signal: Excess = max(0, Bad - BaselineRate x Requests), all of the new version.
type Harmed struct {
	Signal       string  `json:"signal"`
	Slower       float64 `json:"slower_than,omitempty"` // of latency: bad are requests that took longer (seconds)
	Requests     float64 `json:"requests"`
	Bad          float64 `json:"bad"`
	Baseline     float64 `json:"baseline_requests"`
	BaselineBad  float64 `json:"baseline_bad"`
	BaselineRate float64 `json:"baseline_rate"`
	Excess       float64 `json:"excess"`
	Compared     bool    `json:"compared"` // there was an old version to compare with; without one the excess is not known
	Gauge        bool    `json:"gauge,omitempty"`
}

// An Estimate is what the rest of the rollout would have cost, had it gone on as the plan has it at the quickest: of all
// further steps their shortest time, and the bake, with the traffic and the excess of the step that decided.
// Excess = Worse x Rate x the sum over what was left of share x seconds.
type Estimate struct {
	Signal  string  `json:"signal"`
	Worse   float64 `json:"worse"`                    // share of bad requests on the new version, minus that on the old
	Rate    float64 `json:"requests_per_second"`      // on both versions together
	Seconds float64 `json:"share_weighted_seconds"`   // of the whole traffic
	Excess  float64 `json:"additional_bad_requests"`  // the estimate
	Steps   []int   `json:"further_steps,omitempty"`  // in percent
	Bake    string  `json:"bake_at_full_traffic_for"` // of the plan
}

// counted are the sights of requests, the most telling one of each signal.
func counted(all []judge.Sight) (some []judge.Sight) {
	for _, s := range all {
		at := slices.IndexFunc(some, func(old judge.Sight) bool { return old.Signal == s.Signal })
		switch {
		case at < 0:
			some = append(some, s)
		case s.LogOdds > some[at].LogOdds:
			some[at] = s
		}
	}
	return some
}

// harmed says that requests were counted to be answered worse on the new version than on the old one.
func (i Impact) harmed() bool {
	return slices.ContainsFunc(i.Signals, func(h Harmed) bool { return h.Compared && !h.Gauge && h.Excess >= 1 })
}

func (b *builder) impact() Impact {
	plan, ruling := b.account.Plan, b.lastMeasured
	i := Impact{Peak: b.state.Peak, Until: ruling.At}
	from, to := b.at["introduced"].At, b.at["contained"].At
	if !from.IsZero() && !to.IsZero() {
		i.Known, i.Exposed = true, about(to.Sub(from))
	}
	gauges := map[string]bool{}
	for _, s := range plan.Watch.Signals {
		gauges[s.Name] = s.Kind() == judge.Gauge
	}
	for _, s := range counted(ruling.Signals) {
		h := Harmed{
			Signal: s.Signal, Slower: s.Slower, Requests: s.All.Canary.Requests, Bad: s.All.Canary.Bad,
			Baseline: s.All.Baseline.Requests, BaselineBad: s.All.Baseline.Bad, Gauge: gauges[s.Signal],
		}
		if h.Baseline > 0 {
			h.Compared, h.BaselineRate = true, h.BaselineBad/h.Baseline
			h.Excess = math.Max(0, h.Bad-h.BaselineRate*h.Requests)
		}
		i.Signals = append(i.Signals, h)
	}
	if b.decided && b.Purpose == guard.ToRollout && b.Mode != guard.Observe {
		i.Estimate = b.avoided(ruling, gauges)
	}
	return i
}

// avoided estimates what the rest of the rollout would have cost; nil: nobody can tell.
func (b *builder) avoided(r judge.Ruling, gauges map[string]bool) *Estimate {
	sights := slices.DeleteFunc(counted(r.Signals), func(s judge.Sight) bool {
		return gauges[s.Signal] || s.Step.Baseline.Requests == 0 || s.Step.Canary.Requests == 0
	})
	if len(sights) == 0 || r.InStep <= 0 {
		return nil
	}
	worst := slices.MaxFunc(sights, func(x, y judge.Sight) int {
		return cmp.Compare(x.Step.Canary.Rate-x.Step.Baseline.Rate, y.Step.Canary.Rate-y.Step.Baseline.Rate)
	})
	e := &Estimate{
		Signal: worst.Signal, Worse: worst.Step.Canary.Rate - worst.Step.Baseline.Rate,
		Rate: (worst.Step.Canary.Requests + worst.Step.Baseline.Requests) / r.InStep,
	}
	if e.Worse <= 0 {
		return nil
	}
	plan := b.account.Plan.Rollout
	for _, step := range plan.Steps[min(b.state.Step+1, len(plan.Steps)):] {
		e.Steps = append(e.Steps, step.Percent)
		if step.Percent < 100 {
			e.Seconds += float64(step.Percent) / 100 * step.AtLeast.Std().Seconds()
		}
	}
	e.Bake = plan.Bake.For.String()
	e.Seconds += plan.Bake.For.Std().Seconds()
	e.Excess = e.Worse * e.Rate * e.Seconds
	return e
}
