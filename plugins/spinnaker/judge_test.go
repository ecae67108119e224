package spinnaker

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestRankSum holds the statistic to the example of wilcox.test in R, from Hollander and Wolfe, "Nonparametric Statistical
// Methods", 1973, page 69: W = 35.
func TestRankSum(t *testing.T) {
	x := []float64{.80, .83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, .73, 1.46}
	y := []float64{1.15, .88, .90, .74, 1.21}
	if w, ties := exceed(x, y, 0); w != 35 || ties != 0 {
		t.Errorf("W = %g, ties %g", w, ties)
	}
	if w, ties := exceed([]float64{1, 2, 2}, []float64{2, 3}, 0); w != 1 || ties != 24 { // two halves; 3³-3
		t.Errorf("W = %g, ties %g", w, ties)
	}
}

// TestShift holds the estimate to the median of all differences, which is what it stands for, and the interval to its
// confidence: at 98 %, about 2 of 100 miss the truth.
func TestShift(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	missed, runs := 0, 1000
	for range runs {
		x, y := make([]float64, 20), make([]float64, 25)
		for i := range x {
			x[i] = random.NormFloat64() + 3
		}
		for i := range y {
			y[i] = random.NormFloat64()
		}
		var all []float64
		for _, x := range x {
			for _, y := range y {
				all = append(all, x-y)
			}
		}
		slices.Sort(all)
		got := shiftOf(x, y)
		if got.estimate < all[len(all)/2-5] || got.estimate > all[len(all)/2+5] {
			t.Fatalf("the estimate is %g, the median %g", got.estimate, all[len(all)/2])
		}
		if !(got.low <= got.estimate && got.estimate <= got.high) {
			t.Fatalf("out of order: %+v", got)
		}
		if got.low > 3 || got.high < 3 {
			missed++
		}
	}
	if missed == 0 || missed > 40 {
		t.Errorf("%d of %d intervals miss the shift", missed, runs)
	}
}

// A verdict may not depend on the unit of the metric.
func TestShiftHasNoUnit(t *testing.T) {
	x, y := []float64{5, 6, 7, 8, 9, 11}, []float64{1, 2, 3, 4, 5, 6}
	one := shiftOf(x, y)
	for _, unit := range []float64{1e-9, 1e9} {
		scale := func(v []float64) (scaled []float64) {
			for _, v := range v {
				scaled = append(scaled, v*unit)
			}
			return scaled
		}
		got := shiftOf(scale(x), scale(y))
		for _, pair := range [][2]float64{{got.low, one.low}, {got.estimate, one.estimate}, {got.high, one.high}} {
			if math.Abs(pair[0]/unit-pair[1]) > 1e-6 {
				t.Errorf("in units of %g: %+v, else %+v", unit, got, one)
			}
		}
	}
}

func TestDecidable(t *testing.T) {
	for _, c := range []struct {
		n, m int
		want bool
	}{{0, 0, false}, {0, 1000, false}, {4, 4, false}, {5, 5, true}, {2, 1000, true}, {1, 1000, false}, {60, 60, true}} {
		if got := decidable(c.n, c.m); got != c.want {
			t.Errorf("%d and %d values: %v", c.n, c.m, got)
		}
	}
}

func TestOutliers(t *testing.T) {
	// A few values lie within the middle 98 %, so that there have to be many for one to be out.
	many := make([]float64, 300)
	for i := range many {
		many[i] = float64(i % 10)
	}
	many[7] = 1e6
	if got := withoutOutliers(many, 3); len(got) != 299 || slices.Max(got) != 9 {
		t.Errorf("%d values up to %g are left", len(got), slices.Max(got))
	}
	if got := withoutOutliers([]float64{1, 1, 1, 1, 9}, 3); len(got) != 4 {
		t.Errorf("%v is left", got)
	}
}

func series(from, step float64, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(from+step*float64(i)))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// ask sends Kayenta's question.
func ask(t *testing.T, body string) (int, judgement, string) {
	t.Helper()
	w := httptest.NewRecorder()
	NewHook(plugintest.NewDesk(t)).ServeHTTP(w, httptest.NewRequest("POST", "/judge", strings.NewReader(body)))
	var j judgement
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &j); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, j, w.Body.String()
}

func oneMetric(canary, control, experiment string) string {
	return fmt.Sprintf(`{"canaryConfig":{"metrics":[{"name":"errors","groups":["Errors"],"analysisConfigurations":{"canary":%s}}]},
		"scoreThresholds":{"pass":95.0,"marginal":75.0},
		"metricSetPairList":[{"name":"errors","id":"m1","tags":{},"values":{"control":%s,"experiment":%s},
		"scopes":{"control":{"startTimeIso":"2026-01-01T00:00:00Z","startTimeMillis":1767225600000,"stepMillis":60000}},"attributes":{}}]}`, canary, control, experiment)
}

func TestMetrics(t *testing.T) {
	worse, same := series(2, .01, 30), series(1, .01, 30)
	gone := `["NaN","NaN","NaN","NaN","NaN","NaN"]`
	for name, c := range map[string]struct {
		canary, control, experiment string
		class, summary              string
		critical                    bool
	}{
		"the same":                   {`{}`, same, same, pass, "Pass", false},
		"nothing but zeros":          {`{}`, series(0, 0, 10), series(0, 0, 10), pass, "Pass", false},
		"higher":                     {`{}`, same, worse, high, "Fail", false},
		"higher, critical":           {`{"critical":true}`, same, worse, high, "Fail", true},
		"higher, but not critically": {`{"critical":true,"effectSize":{"criticalIncrease":3}}`, same, worse, high, "Fail", false},
		"higher, as allowed":         {`{"effectSize":{"allowedIncrease":2.5}}`, same, worse, pass, "Pass", false},
		"higher is better":           {`{"direction":"decrease"}`, same, worse, pass, "Pass", false},
		"lower":                      {`{"direction":"decrease"}`, worse, same, low, "Fail", false},
		"lower is better":            {`{"direction":"increase"}`, worse, same, pass, "Pass", false},
		"by order":                   {`{"effectSize":{"measure":"cles","allowedIncrease":0.9}}`, same, worse, high, "Fail", false},
		"constants":                  {`{}`, series(1, 0, 10), series(2, 0, 10), high, "Fail", false},
		"out of nothing":             {`{}`, series(0, 0, 10), series(2, .1, 10), high, "Fail", false},
		"no values":                  {`{}`, `[]`, `[]`, noData, "Fail", false},
		"no values, to be replaced":  {`{"nanStrategy":"replace"}`, gone, gone, noData, "Fail", false},
		"the experiment is silent":   {`{}`, same, gone, noData, "Fail", false},
		"the control is silent":      {`{"critical":true}`, gone, same, noData, "Fail", true},
		"it must have data":          {`{"mustHaveData":true}`, same, `[]`, noDataFailed, "Fail", false},
		"too few":                    {`{}`, series(1, 1, 4), series(1, 1, 4), noData, "Fail", false},
		"too few, and worse":         {`{}`, series(1, 1, 4), series(100, 1, 4), noData, "Fail", false},
		"holes":                      {`{}`, `[1,2,"NaN",3,4,5,null,6]`, `["NaN",11,12,13,14,15,"Infinity",16]`, high, "Fail", false},
		"holes are zeros":            {`{"nanStrategy":"replace"}`, `["NaN","NaN","NaN","NaN","NaN",0]`, series(1, 1, 10), high, "Fail", false},
		"muted":                      {`{"muted":true}`, same, same, pass, "Fail", false},
	} {
		t.Run(name, func(t *testing.T) {
			status, j, text := ask(t, oneMetric(c.canary, c.control, c.experiment))
			if status != http.StatusOK || len(j.Results) != 1 {
				t.Fatalf("%d %s", status, text)
			}
			if r := j.Results[0]; r.Classification != c.class || r.Critical != c.critical || r.Reason == "" {
				t.Errorf("classified as %s, critical %v: %s", r.Classification, r.Critical, r.Reason)
			}
			if j.Score.Classification != c.summary || j.Score.Reason == "" {
				t.Errorf("judged %+v", j.Score)
			}
			if c.class != pass && j.Score.Score != 0 {
				t.Errorf("the score is %g", j.Score.Score)
			}
		})
	}
}

// TestAnswer holds the answer to the words that Kayenta and Orca read.
func TestAnswer(t *testing.T) {
	status, _, text := ask(t, oneMetric(`{"critical":true}`, series(1, 0, 10), series(2, 0, 10)))
	var got any
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	want := `{"groupScores":[{"classification":"","classificationReason":"","name":"Errors","score":0}],"judgeName":"golive",` +
		`"results":[{"classification":"High","classificationReason":"the experiment is higher, by 1 to 1",` +
		`"controlMetadata":{"stats":{"count":10,"max":1,"mean":1,"min":1,"std":0}},"critical":true,` +
		`"experimentMetadata":{"stats":{"count":10,"max":2,"mean":2,"min":2,"std":0}},"groups":["Errors"],"id":"m1","muted":false,` +
		`"name":"errors","resultMetadata":{"ratio":2},"tags":{}}],` +
		`"score":{"classification":"Fail","classificationReason":"the critical metric errors does not pass","score":0}}`
	sorted, err := json.Marshal(got)
	if err != nil || string(sorted) != want {
		t.Errorf("%s\nwant %s", sorted, want)
	}
}

// metrics writes a question of several metrics: GROUP=class, with the values that make each class.
func metrics(weights string, all ...string) string {
	var configs, pairs []string
	for i, one := range all {
		group, class, _ := strings.Cut(one, "=")
		control, experiment := series(1, .01, 20), series(1, .01, 20)
		switch class {
		case high:
			experiment = series(2, .01, 20)
		case noData:
			experiment = "[]"
		}
		configs = append(configs, fmt.Sprintf(`{"name":"m%d","groups":["%s"],"analysisConfigurations":{"canary":{}}}`, i, group))
		if class != "missing" {
			pairs = append(pairs, fmt.Sprintf(`{"name":"m%d","id":"%d","values":{"control":%s,"experiment":%s}}`, i, i, control, experiment))
		}
	}
	return fmt.Sprintf(`{"canaryConfig":{"metrics":[%s],"classifier":{"groupWeights":%s}},"scoreThresholds":{"pass":95,"marginal":50},"metricSetPairList":[%s]}`,
		strings.Join(configs, ","), weights, strings.Join(pairs, ","))
}

func TestScore(t *testing.T) {
	for name, c := range map[string]struct {
		question string
		score    float64
		class    string
	}{
		"all pass":                       {metrics(`{"A":70,"B":30}`, "A=Pass", "B=Pass"), 100, "Pass"},
		"by weight":                      {metrics(`{"A":70,"B":30}`, "A=Pass", "B=High"), 70, "Marginal"},
		"by the other weight":            {metrics(`{"A":70,"B":30}`, "A=High", "B=Pass"), 30, "Fail"},
		"without weights":                {metrics(`{}`, "A=Pass", "B=High", "C=Pass"), 66.67, "Marginal"},
		"what is left of the weights":    {metrics(`{"A":40}`, "A=Pass", "B=High", "C=Pass"), 70, "Marginal"},
		"half a group":                   {metrics(`{"A":100}`, "A=Pass", "A=High"), 50, "Marginal"},
		"a group without data":           {metrics(`{"A":50,"B":50}`, "A=Pass", "A=High", "A=Pass", "B=Nodata"), 66.67, "Marginal"},
		"no data never raises the score": {metrics(`{"A":10,"B":90}`, "A=High", "A=High", "B=Nodata"), 0, "Fail"},
		"half without data":              {metrics(`{}`, "A=Pass", "B=Nodata"), 0, "Fail"},
		"half is not there":              {metrics(`{}`, "A=Pass", "B=missing"), 0, "Fail"},
		"only what weighs nothing":       {metrics(`{"A":0,"B":100}`, "A=Pass", "A=Pass", "B=Nodata"), 0, "Fail"},
		"no metrics":                     {metrics(`{}`), 0, "Fail"},
	} {
		t.Run(name, func(t *testing.T) {
			status, j, text := ask(t, c.question)
			if status != http.StatusOK || j.Score.Score != c.score || j.Score.Classification != c.class {
				t.Errorf("%d %s\nwant %g, %s", status, text, c.score, c.class)
			}
		})
	}
}

func TestQuestionsRefused(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"nothing":       {"", "the message is no JSON"},
		"null":          {"null", "scoreThresholds: pass and marginal are missing"},
		"no thresholds": {`{"canaryConfig":{}}`, "scoreThresholds: pass and marginal are missing"},
		"upside down":   {`{"scoreThresholds":{"pass":50,"marginal":75}}`, "scoreThresholds: must be 0"},
		"all pass":      {`{"scoreThresholds":{"pass":0,"marginal":0}}`, "0 would pass everything"},
		"a word":        {oneMetric(`{}`, `["x"]`, `[]`), `values: \"x\" is neither a number nor \"NaN\"`},
		"no list":       {oneMetric(`{}`, `{}`, `[]`), "values: must be a list of numbers"},
		"direction":     {oneMetric(`{"direction":"up"}`, `[]`, `[]`), `direction: there is no \"up\"`},
		"wrong type":    {oneMetric(`{"critical":"yes"}`, `[]`, `[]`), "is of the JSON type string"},
		"unknown":       {strings.Replace(oneMetric(`{}`, `[]`, `[]`), `"name":"errors"`, `"name":"other"`, 1), `\"errors\" is no metric`},
		"too heavy":     {metrics(`{"A":70,"B":40}`, "A=Pass"), "add up to 110"},
		"below nothing": {metrics(`{"A":-1}`, "A=Pass"), "a weight is negative"},
		"too many":      {oneMetric(`{}`, series(1, 1, valuesMost+1), `[]`), "more than 10080 values"},
		"too long":      {oneMetric(`{}`, `[`+strings.Repeat(" ", 1<<20)+`]`, `[]`), "longer than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, text := ask(t, c.body); status/100 != 4 || !strings.Contains(text, c.want) || len(text) > 300 {
				t.Errorf("%d %s, want %s", status, text, c.want)
			}
		})
	}
}
