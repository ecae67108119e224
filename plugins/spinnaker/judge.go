package spinnaker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/golive-dev/golive/guard"
)

// valuesMost is how many values one metric may have on one side: a week, a value each minute.
const valuesMost = 7 * 24 * 60

// A question is what Kayenta asks a remote judge.
type question struct {
	Config     config     `json:"canaryConfig"`
	Thresholds thresholds `json:"scoreThresholds"`
	Pairs      []pair     `json:"metricSetPairList"`
}

type config struct {
	Metrics    []metric `json:"metrics"`
	Classifier struct {
		GroupWeights map[string]float64 `json:"groupWeights"`
	} `json:"classifier"`
}

// thresholds are scores, 0 to 100. Nil: the question has none.
type thresholds struct {
	Pass     *float64 `json:"pass"`
	Marginal *float64 `json:"marginal"`
}

type metric struct {
	Name     string   `json:"name"`
	Groups   []string `json:"groups"`
	Analysis struct {
		Canary analysis `json:"canary"`
	} `json:"analysisConfigurations"`
}

// analysis is what a canary configuration says of one metric; its words are those of Kayenta.
type analysis struct {
	Direction    string `json:"direction"`   // increase, decrease, either: what harms
	NaNStrategy  string `json:"nanStrategy"` // remove, replace: with 0
	Critical     bool   `json:"critical"`
	MustHaveData bool   `json:"mustHaveData"`
	Muted        bool   `json:"muted"`
	Outliers     struct {
		Strategy string   `json:"strategy"` // keep, remove
		Factor   *float64 `json:"outlierFactor"`
	} `json:"outliers"`
	Effect struct {
		Measure          string   `json:"measure"` // meanRatio, cles
		AllowedIncrease  *float64 `json:"allowedIncrease"`
		AllowedDecrease  *float64 `json:"allowedDecrease"`
		CriticalIncrease *float64 `json:"criticalIncrease"`
		CriticalDecrease *float64 `json:"criticalDecrease"`
	} `json:"effectSize"`
}

type pair struct {
	Name   string            `json:"name"`
	ID     string            `json:"id"`
	Tags   map[string]string `json:"tags"`
	Values struct {
		Control    values `json:"control"`
		Experiment values `json:"experiment"`
	} `json:"values"`
}

// values are those of one side, one for each step. What is no number, which Kayenta writes as a string, is NaN.
type values []float64

func (v *values) UnmarshalJSON(text []byte) error {
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return errors.New("values: must be a list of numbers")
	}
	*v = make(values, len(all))
	for i, one := range all {
		switch string(one) {
		case `"NaN"`, `"Infinity"`, `"-Infinity"`, "null":
			(*v)[i] = math.NaN()
		default:
			if err := json.Unmarshal(one, &(*v)[i]); err != nil {
				return fmt.Errorf(`values: %s is neither a number nor "NaN"`, guard.Line(string(one), 40))
			}
		}
	}
	return nil
}

// A judgement is the answer to a question.
type judgement struct {
	Judge   string   `json:"judgeName"`
	Results []result `json:"results"`
	Groups  []score  `json:"groupScores"`
	Score   score    `json:"score"`
}

type score struct {
	Name           string  `json:"name,omitempty"`
	Score          float64 `json:"score"`
	Classification string  `json:"classification"`
	Reason         string  `json:"classificationReason"`
}

type result struct {
	Name           string             `json:"name"`
	ID             string             `json:"id"`
	Tags           map[string]string  `json:"tags"`
	Classification string             `json:"classification"`
	Reason         string             `json:"classificationReason"`
	Groups         []string           `json:"groups"`
	Experiment     statistics         `json:"experimentMetadata"`
	Control        statistics         `json:"controlMetadata"`
	Metadata       map[string]float64 `json:"resultMetadata"`
	Critical       bool               `json:"critical"` // it alone makes the score 0
	Muted          bool               `json:"muted"`
}

type statistics struct {
	Stats map[string]float64 `json:"stats"`
}

// The classes of a metric.
const (
	pass         = "Pass"
	high         = "High"
	low          = "Low"
	noData       = "Nodata"
	noDataFailed = "NodataFailMetric"
)

// check says all that is wrong with a question.
func (q question) check() error {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	switch p, m := q.Thresholds.Pass, q.Thresholds.Marginal; {
	case p == nil || m == nil:
		wrong("scoreThresholds: pass and marginal are missing")
	case *m < 0 || *m > *p || *p > 100:
		wrong("scoreThresholds: must be 0 <= marginal <= pass <= 100")
	case *p == 0:
		wrong("scoreThresholds.pass: 0 would pass everything")
	}
	sum := 0.
	for _, weight := range q.Config.Classifier.GroupWeights {
		if weight < 0 {
			wrong("canaryConfig.classifier.groupWeights: a weight is negative")
			break
		}
		sum += weight
	}
	if sum > 100.001 {
		wrong("canaryConfig.classifier.groupWeights: add up to %g, more than 100", sum)
	}
	known := map[string]bool{}
	for _, m := range q.Config.Metrics {
		known[m.Name] = true
		a := m.Analysis.Canary
		for key, word := range map[string]struct {
			is  string
			may []string
		}{
			"direction":          {a.Direction, []string{"", "increase", "decrease", "either"}},
			"nanStrategy":        {a.NaNStrategy, []string{"", "remove", "replace"}},
			"outliers.strategy":  {a.Outliers.Strategy, []string{"", "keep", "remove"}},
			"effectSize.measure": {a.Effect.Measure, []string{"", "meanRatio", "cles"}},
		} {
			if !slices.Contains(word.may, word.is) {
				wrong("metric %s: %s: there is no %q, only %q", guard.Line(m.Name, 40), key, guard.Line(word.is, 20), word.may[1:])
			}
		}
	}
	for _, p := range q.Pairs {
		if !known[p.Name] {
			wrong("metricSetPairList: %q is no metric of canaryConfig.metrics", guard.Line(p.Name, 40))
		}
		if len(p.Values.Control) > valuesMost || len(p.Values.Experiment) > valuesMost {
			wrong("metric %s: has more than %d values (take a longer step)", guard.Line(p.Name, 40), valuesMost)
		}
	}
	return errors.Join(mistakes...)
}

// judge answers a question that is right. A metric of the configuration without values counts as one without data.
func (q question) judge(ctx context.Context) (judgement, error) {
	j := judgement{Judge: "golive", Results: []result{}, Groups: []score{}}
	for _, m := range q.Config.Metrics {
		asked := false
		for _, p := range q.Pairs {
			if p.Name == m.Name {
				if err := context.Cause(ctx); err != nil {
					return judgement{}, err
				}
				asked = true
				j.Results = append(j.Results, m.judge(p))
			}
		}
		if !asked {
			j.Results = append(j.Results, m.judge(pair{Name: m.Name}))
		}
	}
	j.Groups, j.Score = q.score(j.Results)
	return j, nil
}

// judge classifies one metric as Kayenta's NetflixACAJudge does, but for this: without data, or with too little to
// tell harm from its absence, it never passes.
func (m metric) judge(p pair) result {
	a := m.Analysis.Canary
	x, y := a.prepare(p.Values.Experiment), a.prepare(p.Values.Control)
	r := result{
		Name: p.Name, ID: p.ID, Tags: p.Tags, Groups: m.Groups, Muted: a.Muted,
		Experiment: describe(x), Control: describe(y), Metadata: map[string]float64{},
	}
	if r.Tags == nil {
		r.Tags = map[string]string{}
	}
	if r.Groups == nil {
		r.Groups = []string{}
	}
	if !decidable(len(x), len(y)) {
		r.Classification, r.Critical = noData, a.Critical
		r.Reason = fmt.Sprintf("%d values of the experiment and %d of the control are too few to tell them apart with 98 %% confidence", len(x), len(y))
		if a.MustHaveData && !a.Critical {
			r.Classification = noDataFailed
		}
		return r
	}
	effect, equal := a.effect(x, y)
	if !math.IsNaN(effect) && !math.IsInf(effect, 0) {
		r.Metadata["ratio"] = effect
	}
	shift := shiftOf(x, y)
	bound := math.Abs(shift.estimate) / 4
	beyond := func(limit *float64, increase bool) bool {
		least := equal
		if limit != nil {
			least = *limit
		}
		return math.IsNaN(effect) || increase && effect >= least || !increase && effect <= least
	}
	up, down := a.Direction != "decrease", a.Direction != "increase"
	switch {
	case up && shift.low > bound && beyond(a.Effect.AllowedIncrease, true):
		r.Classification, r.Critical = high, a.Critical && beyond(a.Effect.CriticalIncrease, true)
		r.Reason = fmt.Sprintf("the experiment is higher, by %.4g to %.4g", shift.low, shift.high)
	case down && shift.high < -bound && beyond(a.Effect.AllowedDecrease, false):
		r.Classification, r.Critical = low, a.Critical && beyond(a.Effect.CriticalDecrease, false)
		r.Reason = fmt.Sprintf("the experiment is lower, by %.4g to %.4g", -shift.high, -shift.low)
	default:
		r.Classification = pass
		r.Reason = fmt.Sprintf("no harm shown: the experiment differs by %.4g to %.4g", shift.low, shift.high)
	}
	return r
}

// prepare takes out what is no number. Values so great that their differences are none count as such.
func (a analysis) prepare(v values) []float64 {
	kept := slices.DeleteFunc(slices.Clone([]float64(v)), func(v float64) bool { return math.IsNaN(v) || math.Abs(v) > 1e100 })
	if a.NaNStrategy == "replace" && len(kept) > 0 {
		kept = append(kept, make([]float64, len(v)-len(kept))...)
	}
	if a.Outliers.Strategy == "remove" {
		factor := 3.
		if a.Outliers.Factor != nil {
			factor = *a.Outliers.Factor
		}
		kept = withoutOutliers(kept, factor)
	}
	return kept
}

// effect is how great the difference is, and what it is between equals; NaN if that cannot be said.
func (a analysis) effect(x, y []float64) (effect, equal float64) {
	if a.Effect.Measure == "cles" {
		u, _ := exceed(x, y, 0)
		return u / float64(len(x)) / float64(len(y)), .5
	}
	above, below := mean(x), mean(y)
	if above == 0 || below == 0 {
		return math.NaN(), 1
	}
	return above / below, 1
}

func describe(v []float64) statistics {
	s := map[string]float64{"count": float64(len(v))}
	if len(v) > 0 {
		m, squares := mean(v), 0.
		for _, v := range v {
			squares += (v - m) * (v - m)
		}
		s["mean"], s["min"], s["max"] = m, slices.Min(v), slices.Max(v)
		s["std"] = math.Sqrt(squares / float64(max(1, len(v)-1)))
	}
	return statistics{s}
}

// score weighs the groups. Muted metrics do not count. A group of which nothing is known is left out, and the others
// share its weight; with half of the metrics unknown, or a critical one that does not pass, the score is 0.
func (q question) score(results []result) (groups []score, all score) {
	groups = []score{}
	counted, unknown, critical := 0, 0, ""
	passed, judged := map[string]float64{}, map[string]float64{}
	var names []string
	for _, r := range results {
		if r.Muted {
			continue
		}
		counted++
		if r.Classification == noData {
			unknown++
		}
		if r.Critical && critical == "" {
			critical = r.Name
		}
		for _, name := range r.Groups {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if r.Classification != noData {
				judged[name]++
			}
			if r.Classification == pass {
				passed[name]++
			}
		}
	}
	sum, weights := 0., 0.
	free := q.unweighted(names)
	for _, name := range names {
		g := score{Name: name}
		if judged[name] == 0 {
			g.Reason = "no data"
			groups = append(groups, g)
			continue
		}
		g.Score = 100 * passed[name] / judged[name]
		weight, given := q.Config.Classifier.GroupWeights[name]
		if !given {
			weight = free
		}
		sum, weights = sum+weight*g.Score, weights+weight
		g.Score = round(g.Score)
		groups = append(groups, g)
	}
	why := ""
	switch {
	case counted == 0:
		why = "there is no metric that counts"
	case critical != "":
		why = "the critical metric " + guard.Line(critical, 80) + " does not pass"
	case 2*unknown >= counted:
		why = fmt.Sprintf("%d of %d metrics have too little data", unknown, counted)
	case weights == 0:
		why = "no group with data has a weight"
	default:
		all.Score = round(sum / weights)
	}
	switch {
	case why != "":
		all.Classification, all.Reason = "Fail", why
	case all.Score >= *q.Thresholds.Pass:
		all.Classification = pass
	case all.Score >= *q.Thresholds.Marginal:
		all.Classification = "Marginal"
	default:
		all.Classification = "Fail"
	}
	if all.Reason == "" {
		all.Reason = fmt.Sprintf("the score is %g; %g passes, %g is marginal", all.Score, *q.Thresholds.Pass, *q.Thresholds.Marginal)
	}
	return groups, all
}

// unweighted is the weight of each group that the configuration gives none: they share what is left of 100.
func (q question) unweighted(names []string) float64 {
	left, without := 100., 0.
	for _, weight := range q.Config.Classifier.GroupWeights {
		left -= weight
	}
	for _, name := range names {
		if _, given := q.Config.Classifier.GroupWeights[name]; !given {
			without++
		}
	}
	if without == 0 {
		return 0
	}
	return max(0, left) / without
}

func round(score float64) float64 { return math.Round(score*100) / 100 }
