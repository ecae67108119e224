package judge

import (
	"fmt"
	"math"
	"strings"
	"time"
)

var logTen = math.Log(10)

const bothFailing = "; both arms are failing: not this release"

// say is a sentence of the form of section 7: always with numbers.
func (s *starve) say() string {
	answered, expected := s.recent()
	if expected < s.Silent {
		return fmt.Sprintf("the canary stopped answering: no request instead of about %s", number(s.Silent))
	}
	return fmt.Sprintf("the canary stopped answering: %s in %d ticks instead of about %s",
		plural(answered, "request"), len(s.Answered), number(expected))
}

func sayOverwhelmed(w *watch) string {
	both := w.Failing[0].add(w.Failing[1], 1)
	return fmt.Sprintf("%s: the canary fails %s in two ticks in a row, the baseline %s",
		w.Name, of(both.EC, both.NC), of(both.EB, both.NB))
}

func (l *ceiling) say(w *watch) string {
	limit := w.signal.Never
	never := percent(limit.Rate)
	if w.Kind == Latency {
		never = fmt.Sprintf("%s slower than %s", percent(1-limit.Quantile), seconds(l.Bound))
	}
	return fmt.Sprintf("%s: the canary has %s of late, the baseline %s; never more than %s",
		w.Name, percent(l.Late.canaryRate()), percent(l.Late.baselineRate()), never)
}

func (m *meter) sayBroken(s *Signal) string {
	never := "above " + decimal(s.Never.Above)
	if s.Never.Below != nil {
		never = "below " + decimal(*s.Never.Below)
	}
	return fmt.Sprintf("%s: %s on the canary since %s; never %s",
		s.Name, decimal(s.worse()*m.Canary), m.Over.UTC().Format(time.TimeOnly), never)
}

func (f *fast) say() string {
	return fmt.Sprintf("%s of the canary's requests end within %s (baseline %s): faster than real work; check the responses",
		percent(f.Sum.canaryRate()), seconds(f.Bound), percent(f.Sum.baselineRate()))
}

func sayBlind(w *watch, a Arm) string {
	if w.foreign() {
		return fmt.Sprintf("%s: the two versions have different histogram buckets, nothing can be compared", w.Name)
	}
	missed := w.Missed[0]
	if a == Baseline {
		missed = w.Missed[1]
	}
	if w.Meter != nil {
		missed = w.Meter.Missed
	}
	return fmt.Sprintf("%s: no new samples of the %s in %d readings", w.Name, a, missed)
}

func sayDegraded(w *watch, p *probe) string {
	return fmt.Sprintf("both arms degraded (%s of the baseline's %s, %s in its history): environment incident, not this release",
		percent(p.Late.baselineRate()), p.bad(w), percent(p.Past.EB/p.Past.NB))
}

// bad says what the bad requests of a probe are.
func (p *probe) bad(w *watch) string {
	if p.Bound == 0 {
		return w.Name
	}
	return fmt.Sprintf("%s slower than %s", w.Name, seconds(p.Bound))
}

// comparison is the counts of both arms in words.
func (p *probe) comparison(w *watch, c counts) string {
	other := "baseline " + of(c.EB, c.NB)
	if p.Alone != nil {
		other = "history " + percent(p.Alone.Model.Expected)
		c.EB, c.NB = p.Alone.Model.Expected, 1
	}
	text := fmt.Sprintf("%s: canary %s, %s", p.bad(w), of(c.EC, c.NC), other)
	if c.EB > 0 && c.NC > 0 {
		text += fmt.Sprintf(", x%.3g", c.EC/c.NC*c.NB/c.EB)
	}
	return text
}

func (j *Judge) sayHarm(w *watch, p *probe, total float64) string {
	against := fmt.Sprintf("; odds %s, limit %s; %s into the %s step", odds(total), odds(j.limit()), j.clock(), percent(j.Step.Weight))
	if p == nil {
		return fmt.Sprintf("%s: worse than tolerated in %s", w.Name,
			of(w.Meter.All.EC, w.Meter.All.NC)) + against
	}
	rho0 := p.Harm.Model.Rho0
	if p.Alone != nil {
		rho0 = p.Alone.Model.Rho0
		against += "; without a baseline a bad day looks the same"
	}
	return p.comparison(w, p.All) + fmt.Sprintf(" against at most x%.3g", rho0) + against
}

func (j *Judge) sayLeaning(w *watch, p *probe) string {
	if p == nil {
		return fmt.Sprintf("%s leans towards harm, short of the limit %s", w.Name, odds(j.limit()))
	}
	text := p.comparison(w, p.Step) + fmt.Sprintf(" in this step: leans towards harm, odds %s of the limit %s",
		odds(j.logE()), odds(j.limit()))
	if rho0 := p.Harm.Model.Rho0; p.Luck && p.Step.canaryRate() <= rho0*p.Step.baselineRate() {
		text += fmt.Sprintf("; within what identical instances differ by (x%.3g): more time will not decide it, more canary instances will", rho0)
	}
	return text
}

func (j *Judge) sayHealthy(m int) string {
	var n float64
	var parts []string
	for _, w := range j.Signals {
		if w.Meter != nil {
			parts = append(parts, w.Name+" worse than tolerated half of the time")
			continue
		}
		n = max(n, w.requests())
		p := w.Probes[len(w.Probes)-1]
		if w.Kind == Errors {
			parts = append(parts, fmt.Sprintf("more than +%s %s", points(p.Out[m].Delta), w.Name))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s slower than %s more than x%.3g or +%s as often",
			w.Name, seconds(p.Bound), p.Out[m].Ratio, points(p.Out[m].Delta)))
	}
	return fmt.Sprintf("excluded with %s confidence: %s (%s, %s)",
		percent(j.cfg.Confidence), strings.Join(parts, ", "), plural(n, "canary request"), j.clock())
}

// requests is how many the canary has served in this step.
func (w *watch) requests() float64 {
	if len(w.Probes) == 0 {
		return 0
	}
	return w.Probes[0].Step.NC
}

func (j *Judge) sayInconclusive(v verdict) string {
	if v.rule != TooFew {
		return fmt.Sprintf("%s in this step, and still: %s", j.clock(), v.why)
	}
	for _, w := range j.Signals {
		if len(w.Probes) > 0 && w.Kind == Errors {
			p := w.Probes[0]
			text := fmt.Sprintf("%s in %s", plural(p.Step.NC, "canary request"), j.clock())
			if d := smallestVisible(p.base(), p.Step.NC); d > 0 {
				return text + fmt.Sprintf(" can only show %s at %s more of the requests or above; raise the weight or wait longer", w.Name, points(d))
			}
			return text + fmt.Sprintf(" can show no difference in %s; raise the weight or wait longer", w.Name)
		}
	}
	return fmt.Sprintf("%s in this step and still: %s", j.clock(), v.why)
}

// collecting says what is still missing.
func (j *Judge) collecting() verdict {
	for _, w := range j.Signals {
		if w.Kind == Gauge || len(w.Probes) > 0 {
			continue
		}
		if w.Survival != nil {
			return verdict{Continue, StillLearning, w.Name, fmt.Sprintf("%s: no bound of the histogram tells slow requests from normal ones (%s exceed the last, %s)",
				w.Name, percent(w.Survival.share[len(w.Survival.share)-1]), seconds(w.Survival.Bounds[len(w.Survival.Bounds)-1]))}
		}
		if w.Kind == Latency && !w.Given && w.Past.Total < youngest {
			return verdict{Continue, StillLearning, w.Name, fmt.Sprintf("%s: learning what is normal from the baseline, %s of %d requests so far",
				w.Name, number(w.Past.Total), youngest)}
		}
		return verdict{Continue, Collecting, w.Name, fmt.Sprintf("%s: no request of the canary yet that the baseline could be compared with", w.Name)}
	}
	m := j.patience()
	for _, w := range j.Signals {
		if w.excluded(m, j.confident()) {
			continue
		}
		if w.Meter != nil {
			return verdict{Continue, Collecting, w.Name, fmt.Sprintf("%s: %s so far, worse than tolerated in %s; evidence against harm %s of %s",
				w.Name, plural(w.Meter.Step.NC, "observation"), number(w.Meter.Step.EC), odds(w.Meter.safe()), odds(j.confident()))}
		}
		for _, p := range w.Probes {
			if e := p.Out[m].logE(); e < j.confident() {
				return verdict{Continue, Collecting, w.Name, fmt.Sprintf("%s in this step; +%s not excluded yet, odds %s of %s",
					p.comparison(w, p.Step), points(p.Out[m].Delta), odds(e), odds(j.confident()))}
			}
		}
	}
	return verdict{Continue, Collecting, "", fmt.Sprintf("no sign of harm; the step lasts at least %v", j.Step.AtLeast)}
}

// patience is the margin that has to be excluded now.
func (j *Judge) patience() int {
	if j.Seen.Sub(j.Step.At) >= j.cfg.Patience {
		return loose
	}
	return tight
}

// blind is the first signal that cannot be read, and the arm that is missing.
func (j *Judge) blind() (*watch, Arm) {
	most := max(2, int(j.cfg.BlindAfter/j.cfg.Every)) // one reading may always be lost
	for _, w := range j.Signals {
		alone := w.alone(&j.Step)
		switch {
		case w.Meter != nil && w.Meter.Missed >= most, w.Meter == nil && w.Missed[0] >= most:
			return w, Canary
		case w.Meter == nil && !alone && w.Missed[1] >= 2*most, w.foreign():
			return w, Baseline
		}
	}
	return nil, ""
}

// ruling adds the numbers to a verdict.
func (j *Judge) ruling(v verdict) Ruling {
	r := Ruling{
		At: j.Seen, Call: v.call, Why: v.why, Rule: v.rule, Signal: v.signal, Limit: j.limit(),
	}
	if j.Steps == 0 {
		return r
	}
	r.LogOdds, r.InStep = j.logE(), j.elapsed()
	r.Signals = j.sights()
	r.Warnings = j.warnings()
	if v.call != Healthy && v.call != Regressed {
		r.Missing, r.Remain = j.missing(r.Signals)
	}
	return r
}

// warnings are what a person should look at.
func (j *Judge) warnings() (all []string) {
	if w := j.tooFast(); w != nil {
		all = append(all, w.Fast.say())
	}
	if j.cfg.Split == SplitByRequest && j.Share.byClient() {
		all = append(all, "the plan says that requests are split one by one, but the canary's share varies as if they were split by client")
	}
	if w := j.traffic(); w != nil && j.byClient() && j.Share.Ticks > 0 && j.Step.Weight*j.Share.Total/j.Share.Ticks < 100 {
		all = append(all, "requests are split by client and few clients are on the canary: small changes of the errors cannot be judged")
	}
	return all
}

// missing says what the slowest signal still needs, and for about how many seconds.
func (j *Judge) missing(sights []Sight) (text string, remain float64) {
	var slowest Sight
	for _, s := range sights {
		if !s.Excluded && s.Requests >= 1 && s.Seconds >= slowest.Seconds {
			slowest = s
		}
	}
	if slowest.Requests >= 1 {
		text = fmt.Sprintf("about %s to exclude +%s of %s", plural(slowest.Requests, "more canary request"), points(slowest.Margin), slowest.Signal)
		if slowest.Slower > 0 {
			text += " slower than " + seconds(slowest.Slower)
		}
	}
	return text, max(slowest.Seconds, j.Step.AtLeast.Seconds()-j.elapsed(), 0)
}

// sights are what was seen of each signal.
func (j *Judge) sights() []Sight {
	n := 0
	for _, w := range j.Signals {
		n += max(1, len(w.Probes))
	}
	all, byClient, m := make([]Sight, 0, n), j.byClient(), j.patience()
	for _, w := range j.Signals {
		if w.Meter != nil {
			all = append(all, w.Meter.sight(w.Name, j.confident()))
			continue
		}
		switch {
		case j.cfg.LimitsOnly && w.Ceiling != nil:
			s := w.Ceiling.sight(w, j.confident())
			if t := j.elapsed(); t > 0 && w.Ceiling.Step.NC > 0 {
				s.Seconds = s.Requests / (w.Ceiling.Step.NC / t)
			}
			all = append(all, s)
		case len(w.Probes) == 0:
			all = append(all, Sight{Signal: w.Name})
		}
		for _, p := range w.Probes {
			s := p.sight(m, j.confident())
			s.Signal = w.Name
			s.LogOdds = p.logE(byClient, w.signal.IgnoreBelow)
			if t := j.elapsed(); t > 0 && p.Step.NC > 0 {
				s.Seconds = s.Requests / (p.Step.NC / t)
			}
			all = append(all, s)
		}
	}
	return all
}

func (m *meter) sight(name string, confident float64) Sight {
	return Sight{
		Signal: name, Step: tallies(m.Step), All: tallies(m.All), LogOdds: m.logE(), Excluded: m.safe() >= confident,
	}
}

func (p *probe) sight(m int, confident float64) Sight {
	out := &p.Out[m]
	s := Sight{
		Slower: p.Bound, Step: tallies(p.Step), All: tallies(p.All), Tolerated: p.Harm.Model.Rho0,
		Margin: out.Delta, Excluded: out.logE() >= confident, Smallest: smallestVisible(p.base(), p.Step.NC),
	}
	s.Low, s.High = difference(p.Step)
	if said := p.evidence(m, p.Step.weight()); !s.Excluded && said > 1e-12 {
		s.Requests = max(0, (confident+spared)/said-p.Step.NC)
	}
	return s
}

func tallies(c counts) Counts {
	return Counts{
		Canary:   Tally{c.NC, c.EC, c.canaryRate()},
		Baseline: Tally{c.NB, c.EB, c.baselineRate()},
	}
}

// clock is how long the step has run.
func (j *Judge) clock() string {
	return time.Duration(j.elapsed() * float64(time.Second)).Round(time.Second).String()
}

// odds renders a log e-value as odds for it.
func odds(logE float64) string {
	switch {
	case logE > math.Log(1e6):
		return "over 1,000,000:1"
	case logE >= math.Log(10):
		return number(math.Exp(logE)) + ":1"
	case logE >= 0:
		return fmt.Sprintf("%.2g:1", math.Exp(logE))
	case logE < -math.Log(1e6):
		return "under 1:1,000,000"
	}
	return "1:" + number(math.Exp(-logE))
}

// of is a share of requests: 47 of 9,800 (0.48 %).
func of(bad, n float64) string {
	if n == 0 {
		return "0 of 0"
	}
	return fmt.Sprintf("%s of %s (%s)", number(bad), number(n), percent(bad/n))
}

func percent(share float64) string {
	p := 100 * share
	switch {
	case p == 0 || p >= 10:
		return fmt.Sprintf("%.0f %%", p)
	case p >= .095:
		return trim(fmt.Sprintf("%.2f", p)) + " %"
	}
	return fmt.Sprintf("%.2g %%", p)
}

// points is a difference of shares, in percentage points.
func points(delta float64) string { return decimal(100*delta) + " pp" }

func decimal(v float64) string { return fmt.Sprintf("%.3g", v) }

func seconds(s float64) string {
	if s < 1 {
		return decimal(1000*s) + " ms"
	}
	return decimal(s) + " s"
}

func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

func plural(n float64, noun string) string {
	switch math.Round(n) {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number is a whole number with commas.
func number(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
