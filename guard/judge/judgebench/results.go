package judgebench

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Results are the tables of a whole benchmark.
type Results struct {
	Runs   int
	Seed   uint64
	Tables []Table
	Dots   []Dot
}

// A Table is one table of RESULTS.md.
type Table struct {
	Title, Note string
	Head        []string
	Rows        [][]string
}

// A Dot is one rule in the picture.
type Dot struct {
	Name   string
	Alarms float64 // share of harmless watches rolled back
	Harm   float64 // of the requests that harmful releases could harm within the hour, the share they did
}

var (
	rates   = []float64{1, 10, 100, 1000} // requests per second
	weights = []float64{.01, .05, .25, .50}
)

// Measure runs the benchmark. Runs are per scenario; what it does is told as it goes.
func Measure(runs int, seed uint64, tell io.Writer) *Results {
	r := &Results{Runs: runs, Seed: seed}
	fmt.Fprintln(tell, "harmless releases, errors")
	alarms := r.falseRollbacks("False rollbacks, errors: % of harmless releases taken back within an hour",
		ErrorRules(), Harmless, Scenario{Sec: 10, T: 360, P: .001}, rates, weights)
	fmt.Fprintln(tell, "harmful releases, errors")
	harm := r.detection(ErrorRules())
	for i, c := range ErrorRules() {
		if c.Name != "" {
			r.Dots = append(r.Dots, Dot{c.Name, alarms[i], harm[i]})
		}
	}
	r.short()
	fmt.Fprintln(tell, "the bound of Wald")
	r.wald()
	fmt.Fprintln(tell, "harmless releases, latency")
	r.falseRollbacks("False rollbacks, errors and latency: % of harmless releases taken back within half an hour",
		LatencyRules(), HarmlessLatency, Scenario{Sec: 10, T: 180, P: .001}, []float64{10, 100, 1000}, []float64{.05, .50})
	fmt.Fprintln(tell, "harmful releases, latency")
	r.slowness()
	fmt.Fprintln(tell, "whole rollouts")
	r.rollouts()
	return r
}

// short makes the first table: what the dots stand for, and one regression that everybody knows.
func (r *Results) short() {
	s := Scenario{RPS: 1000, W: .05, Sec: 10, T: 360, P: .001, P1: .01}
	t := Table{
		Title: "In short",
		Note:  "Harm is the share of the requests that harmful releases could have harmed within the hour. The last column is a canary with 5 % of 1,000 requests a second whose errors are 1 % instead of 0.1 %.",
		Head:  []string{"rule", "harmless releases taken back", "harm let through", "0.1 % to 1 % errors: missed / found after / requests harmed"},
	}
	for i, o := range Watch(s, ErrorRules(), r.Runs, r.Seed) {
		if i < len(r.Dots) {
			d := r.Dots[i]
			t.Rows = append(t.Rows, []string{d.Name, fmt.Sprintf("%.2f %%", 100*d.Alarms), fmt.Sprintf("%.0f %%", 100*d.Harm), cell(o, &s)})
		}
	}
	r.Tables = append([]Table{t}, r.Tables...)
}

// falseRollbacks makes a table over all rates and weights, and returns the mean of each rule.
func (r *Results) falseRollbacks(title string, rules []Contender, family func(Scenario) []Scenario, base Scenario, rates, weights []float64) []float64 {
	mean, worst := make([]float64, len(rules)), make([]float64, len(rules))
	byName := map[string][]float64{}
	var names []string
	cells := float64(len(rates) * len(weights))
	for _, rps := range rates {
		for _, w := range weights {
			s := base
			s.RPS, s.W = rps, w
			for _, s := range family(s) {
				if byName[s.Name] == nil {
					byName[s.Name] = make([]float64, len(rules))
					names = append(names, s.Name)
				}
				for i, o := range Watch(s, rules, r.Runs, r.Seed) {
					share := o.RolledBack()
					byName[s.Name][i] += share / cells
					worst[i] = max(worst[i], share)
				}
			}
		}
	}
	t := Table{
		Title: title,
		Note: fmt.Sprintf("%d watches per rule, %s requests/s, weights %s.",
			r.Runs*len(names)*int(cells), list(rates, "%g"), list(weights, "%g")),
		Head: append([]string{"rule", "all", "worst cell"}, names...),
	}
	for i, c := range rules {
		row := []string{c.Name, "", percent(worst[i])}
		for _, name := range names {
			mean[i] += byName[name][i] / float64(len(names))
			row = append(row, percent(byName[name][i]))
		}
		row[1] = fmt.Sprintf("**%.2f**", 100*mean[i])
		if c.Name != "" {
			t.Rows = append(t.Rows, row)
		}
	}
	r.Tables = append(r.Tables, t)
	return mean
}

// detection makes the table of delays and harm, and returns the mean share of the possible harm that each
// rule let happen.
func (r *Results) detection(rules []Contender) []float64 {
	t := Table{
		Title: "Delay and harm, errors rise from 0.1 % with the first request of a canary",
		Note:  "Cell: % missed within the hour / median delay / harmed requests.",
		Head:  []string{"errors", "requests/s", "weight"},
	}
	for _, c := range rules {
		t.Head = append(t.Head, c.Name)
	}
	t.Head = t.Head[:len(t.Head)-1]
	share, cells := make([]float64, len(rules)), 0.
	for _, p1 := range []float64{.002, .01, .05, .5} {
		for _, rps := range []float64{10, 100, 1000, 10000} {
			for _, w := range []float64{.05, .50} {
				s := Scenario{RPS: rps, W: w, Sec: 10, T: 360, P: .001, P1: p1}
				outcomes := Watch(s, rules, r.Runs, r.Seed)
				all := outcomes[len(rules)-1].Harm()
				row := []string{fmt.Sprintf("%g %%", 100*p1), fmt.Sprintf("%g", rps), fmt.Sprintf("%g %%", 100*w)}
				for i, o := range outcomes {
					share[i] += o.Harm() / all
					row = append(row, cell(o, &s))
				}
				cells++
				t.Rows = append(t.Rows, row[:len(row)-1])
			}
		}
	}
	for i := range share {
		share[i] /= cells
	}
	r.Tables = append(r.Tables, t)
	return share
}

// wald compares golive with the bound of Wald, log(1/alpha) over the divergence per tick, for rules that
// know both rates, or the ratio and that 1.25 is tolerated, and the moment of the onset.
func (r *Results) wald() {
	t := Table{
		Title: "Distance from the bound of Wald: errors rise 10 minutes into the watch",
		Note:  "Bounds and delays in ticks of 10 s. The bound knows both rates and the onset, and that there is no noise.",
		Head:  []string{"errors", "requests/s", "weight", "bound, both rates known", "bound, ratio above 1.25", "found %", "golive, median", "ratio"},
	}
	golive := ErrorRules()[:1]
	var ratios []float64
	for _, p1 := range []float64{.002, .01, .05, .5} {
		for _, rps := range []float64{10, 100, 1000, 10000} {
			for _, w := range []float64{.01, .05, .50} {
				s := Scenario{RPS: rps, W: w, Sec: 10, T: 360, P: .001, P1: p1, Onset: 60, ColdX: 10, ColdTau: 30}
				known := math.Log(100) / (rps * w * s.Sec * divergence(p1, s.P))
				events := rps * s.Sec * (w*p1 + (1-w)*s.P)
				share := func(ratio float64) float64 { return ratio * w / (ratio*w + 1 - w) }
				bound := math.Log(100) / (events * divergence(share(p1/s.P), share(1.25)))
				if bound > 200 {
					continue // not within the hour
				}
				o := Watch(s, golive, r.Runs, r.Seed)[0]
				delay := o.Delay(.5, s.Onset)
				ratio := delay / max(1, bound)
				if !math.IsInf(ratio, 0) {
					ratios = append(ratios, ratio)
				}
				t.Rows = append(t.Rows, []string{
					fmt.Sprintf("%g %%", 100*p1), fmt.Sprintf("%g", rps), fmt.Sprintf("%g %%", 100*w),
					short(known), short(bound), percent(o.RolledBack()), short(delay), short(ratio),
				})
			}
		}
	}
	t.Note += fmt.Sprintf(" Median ratio %s over %d cells.", short(median(ratios)), len(ratios))
	r.Tables = append(r.Tables, t)
}

func divergence(p, q float64) float64 { return p*math.Log(p/q) + (1-p)*math.Log((1-p)/(1-q)) }

func (r *Results) slowness() {
	rules := LatencyRules()
	rules = rules[:len(rules)-1]
	t := Table{
		Title: "Delay and harm, errors and latency watched together",
		Note:  "Cell: % missed within half an hour / median delay / harmed requests.",
		Head:  []string{"regression", "requests/s", "weight"},
	}
	for _, c := range rules {
		t.Head = append(t.Head, c.Name)
	}
	for _, rps := range []float64{10, 100, 1000} {
		for _, w := range []float64{.05, .50} {
			for _, s := range HarmfulLatency(Scenario{RPS: rps, W: w, Sec: 10, T: 180, P: .001}) {
				row := []string{s.Name, fmt.Sprintf("%g", rps), fmt.Sprintf("%g %%", 100*w)}
				for _, o := range Watch(s, rules, max(1, r.Runs/2), r.Seed) {
					row = append(row, cell(o, &s))
				}
				t.Rows = append(t.Rows, row)
			}
		}
	}
	r.Tables = append(r.Tables, t)
}

func (r *Results) rollouts() {
	drivers := Drivers()
	head := []string{"requests/s", "release"}
	for _, d := range drivers {
		head = append(head, d.Name)
	}
	up := Table{
		Title: "Time to a promotion: harmless releases, errors and latency",
		Note:  "Cell: median minutes to 100 % / % falsely rolled back. golive takes steps of 5, 25 and 50 %, at most 5 minutes each.",
		Head:  head,
	}
	down := Table{
		Title: "Harmful releases, errors and latency, within the hour",
		Note:  "Cell: % promoted / median minutes to the rollback / harmed requests, also after a wrong promotion.",
		Head:  head,
	}
	for _, rps := range []float64{1, 10, 100, 1000, 10000} {
		harmless, harmful := Rollouts(Scenario{RPS: rps, Sec: 10, T: 360, P: .001})
		for _, s := range harmless {
			row := []string{fmt.Sprintf("%g", rps), s.Name}
			for _, endings := range Rollout(s, drivers, r.Runs, r.Seed) {
				e := summary(endings)
				row = append(row, fmt.Sprintf("%s / %s", short(e.MinutesUp), percent(e.RolledBack)))
			}
			up.Rows = append(up.Rows, row)
		}
		if rps != 100 && rps != 1000 {
			continue
		}
		for _, s := range harmful {
			row := []string{fmt.Sprintf("%g", rps), s.Name}
			for _, endings := range Rollout(s, drivers, r.Runs, r.Seed) {
				e := summary(endings)
				row = append(row, fmt.Sprintf("%s / %s / %s", percent(e.Promoted), short(e.MinutesBack), short(e.Harm)))
			}
			down.Rows = append(down.Rows, row)
		}
	}
	r.Tables = append(r.Tables, up, down)
}

func cell(o Outcomes, s *Scenario) string {
	delay := "-"
	switch d := o.Delay(.5, s.Onset); {
	case math.IsInf(d, 0):
	case d < 0:
		delay = "before it began"
	default:
		delay = short(d*s.Sec) + " s"
	}
	return fmt.Sprintf("%s / %s / %s", percent(1-o.RolledBack()), delay, short(o.Harm()))
}

func percent(share float64) string { return fmt.Sprintf("%.3g", 100*share) }

func short(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case v >= 1e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func list(values []float64, format string) string {
	var text []string
	for _, v := range values {
		text = append(text, fmt.Sprintf(format, v))
	}
	return strings.Join(text, ", ")
}

// Markdown writes the tables.
func (r *Results) Markdown(to io.Writer, command string) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Results

How golive's judge compares with the rules of other tools, on the same made-up traffic. Written by

    %s

with seed %d and %d runs per scenario. The rules are in `+"`judgebench/rules.go`"+`, the traffic in
`+"`judgebench/traffic.go`"+`. All watches are of a service with 0.1 %% errors and a 99th percentile of 128 ms,
read every 10 s.

![harm against false alarms](results.svg)
`, command, r.Seed, r.Runs)
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", t.Title, t.Note)
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(t.Head, " | "), strings.Repeat("---|", len(t.Head)))
		for _, row := range t.Rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
