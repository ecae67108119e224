package judge

import (
	"fmt"
	"math"
	"strings"
)

// The first release of a service has nothing to be compared with: Config.LimitsOnly says so, and only the
// ceilings of the plan judge it. To be healthy it has to be shown to keep every one of them.

// below is the evidence that the canary keeps a ceiling in this step: the mean odds of three shares well below
// the ceiling against the ceiling itself, as in the absolute test of section 6. Each is at most 1 on average
// for every share at or above the ceiling, however often one looks.
func (l *ceiling) below() float64 {
	limit := l.Stream.Model.Expected
	if !(0 < limit && limit < 1) {
		return impossible
	}
	sum := impossible
	for _, q := range [...]float64{limit / 2, limit / 4, limit / 10} {
		sum = logAdd(sum, l.Step.EC*math.Log(q/limit)+(l.Step.NC-l.Step.EC)*math.Log((1-q)/(1-limit)))
	}
	return sum - math.Log(3)
}

// kept says how a ceiling fares.
func (l *ceiling) kept(w *watch) string {
	if w.Kind == Errors {
		return fmt.Sprintf("%s: %s, limit %s", w.Name, of(l.Step.EC, l.Step.NC), percent(l.Stream.Model.Expected))
	}
	return fmt.Sprintf("%s slower than %s: %s, limit %s", w.Name, seconds(l.Bound), of(l.Step.EC, l.Step.NC), percent(l.Stream.Model.Expected))
}

// advanceByLimits says whether a step may end when only ceilings judge.
func (j *Judge) advanceByLimits() verdict {
	var kept []string
	for _, w := range j.Signals {
		switch l := w.Ceiling; {
		case w.signal.Never == nil || w.Meter != nil:
		case l == nil || l.Step.NC == 0:
			return verdict{Continue, Collecting, w.Name, fmt.Sprintf("%s: no request of the canary yet", w.Name)}
		case l.below() < j.confident():
			return verdict{Continue, Collecting, w.Name, fmt.Sprintf("%s; not yet certain, odds %s of %s", l.kept(w), odds(l.below()), odds(j.confident()))}
		default:
			kept = append(kept, l.kept(w))
		}
	}
	switch {
	case len(kept) == 0:
		return verdict{Continue, Collecting, "", "no signal of errors or latency has a limit, and there is nothing to compare with"}
	case j.elapsed() < j.Step.AtLeast.Seconds() || !j.complete():
		return verdict{Continue, Collecting, "", "within every limit so far: " + strings.Join(kept, ", ")}
	}
	return verdict{Healthy, WithinLimits, "", fmt.Sprintf("within every limit with %s confidence: %s", percent(j.cfg.Confidence), strings.Join(kept, ", "))}
}

// sight is what was seen of a ceiling.
func (l *ceiling) sight(w *watch, confident float64) Sight {
	s := Sight{
		Signal: w.Name, Slower: l.Bound, Step: tallies(l.Step), All: tallies(l.All),
		LogOdds: l.Stream.logE(false), Margin: l.Stream.Model.Expected, Excluded: l.below() >= confident,
	}
	if said := l.below(); !s.Excluded && said > 0 && l.Step.NC > 0 {
		s.Requests = math.Ceil(l.Step.NC * (confident - said) / said)
	}
	return s
}
