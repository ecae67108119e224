package server

import (
	"fmt"
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
		m.begin(id, guard.State{})
	}
	for _, id := range []string{"a", "b"} {
		state := guard.State{Release: guard.Release{Service: id, Environment: "test"}}
		m.saw(id, &guard.Plan{}, guard.Event{At: time.Now(), Fact: guard.Measured{}}, guard.State{}, state)
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

// TestIncidentMetrics counts what is open now, and each thing that was not done in time once.
func TestIncidentMetrics(t *testing.T) {
	m := newMetrics(New(Options{Version: "test"}))
	at := midnight
	owes := func(passed ...bool) guard.State {
		s := guard.State{At: at, Release: guard.Release{Service: "shop", Environment: "live"}, Incident: guard.Incident{Began: at, Level: 1}}
		for i, p := range passed {
			s.Incident.Owed = append(s.Incident.Owed, guard.Obligation{Kind: []guard.Due{guard.DueActivate, guard.DueUpdate}[min(i, 1)], Until: at.Add(time.Hour), Passed: p})
		}
		return s
	}
	over := owes(true, true, true)
	over.Incident.StoodDown = at
	read := func() string {
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range families {
			if name := f.GetName(); name != "golive_incidents_open" && name != "golive_obligations_breached_total" {
				continue
			}
			for _, one := range f.GetMetric() {
				value := one.GetGauge().GetValue() + one.GetCounter().GetValue()
				var labels []string
				for _, l := range one.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				if value > 0 {
					lines = append(lines, fmt.Sprintf("%s %s %g", f.GetName(), strings.Join(labels, "/"), value))
				}
			}
		}
		return strings.Join(lines, "\n")
	}
	saw := func(was, now guard.State) {
		m.saw("a", &guard.Plan{}, guard.Event{At: at, Fact: guard.Elapsed{}}, was, now)
	}
	m.begin("a", owes(true))
	for _, c := range []struct {
		name     string
		was, now guard.State
		want     string
	}{
		{"one was breached before this server", owes(true), owes(true), "golive_incidents_open live/1/shop 1"},
		{"an update is late", owes(true, false), owes(true, true), "golive_incidents_open live/1/shop 1\ngolive_obligations_breached_total update 1"},
		{"it stays late", owes(true, true), owes(true, true, false), "golive_incidents_open live/1/shop 1\ngolive_obligations_breached_total update 1"},
		{"and the next one", owes(true, true, false), owes(true, true, true), "golive_incidents_open live/1/shop 1\ngolive_obligations_breached_total update 2"},
		{"stood down", owes(true, true, true), over, "golive_obligations_breached_total update 2"},
	} {
		saw(c.was, c.now)
		if got := read(); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
	m.begin("b", owes(false))
	m.end("b")
	if got := read(); strings.Contains(got, "incidents_open") {
		t.Errorf("an incident that another server guards is still shown:\n%s", got)
	}
}
