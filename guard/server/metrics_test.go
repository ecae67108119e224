package server

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/golive-dev/golive/guard"
)

// What the dashboard and the alerts in examples/server ask for is what a server says, to the letter: a name that is
// wrong is an alert that never fires.
func TestMetricsOfExamples(t *testing.T) {
	m := New(Options{}).metrics
	known := map[string]bool{}
	described := make(chan *prometheus.Desc)
	go func() { m.registry.Describe(described); close(described) }()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range described {
		known[name.FindStringSubmatch(d.String())[1]] = true
	}
	if !known["golive_rollouts_guarded"] || !known["go_goroutines"] {
		t.Fatalf("the registry knows %v", known)
	}
	asked := map[string]bool{}
	for _, file := range []string{"alerts.yaml", "alerts_test.yaml", "dashboard.json"} {
		text, err := os.ReadFile("../../examples/server/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`\b(golive|process|go)_[a-z_]+\b`).FindAllString(string(text), -1) {
			metric := strings.TrimSuffix(found, "_bucket")
			asked[metric] = true
			if !known[metric] {
				t.Errorf("%s asks for %s, which no server says", file, found)
			}
		}
	}
	for metric := range known {
		if strings.HasPrefix(metric, "golive_") && !asked[metric] {
			t.Errorf("nothing in examples/server shows %s", metric)
		}
	}
}

// The first rollback that fails has to be an increase.
func TestOutcomesBeginAtZero(t *testing.T) {
	families, err := New(Options{}).metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "golive_rollouts_over_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == "rollback failed" && m.GetCounter().GetValue() == 0 {
				return
			}
		}
	}
	t.Error(`there is no golive_rollouts_over_total{outcome="rollback failed"} before one has failed`)
}

// Evidence is of a rollout that is guarded here: it goes with it, and that of others stays.
func TestEvidenceEnds(t *testing.T) {
	m := New(Options{}).metrics
	shown := func() (n int) {
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "golive_evidence_log_odds") {
				n += len(f.GetMetric())
			}
		}
		return n
	}
	for _, id := range []string{"a", "b", "unmeasured"} {
		m.begin(id)
	}
	for _, id := range []string{"a", "b"} {
		state := guard.State{Release: guard.Release{Service: id, Environment: "test"}}
		m.saw(id, &guard.Plan{}, guard.Event{At: time.Now(), Fact: guard.Measured{}}, state)
	}
	for _, c := range []struct {
		ends string
		want int
	}{{"none", 4}, {"a", 2}, {"unmeasured", 2}, {"b", 0}} {
		m.end(c.ends)
		if n := shown(); n != c.want {
			t.Errorf("after %s has ended %d values are shown, want %d", c.ends, n, c.want)
		}
	}
}
