package guard_test

import (
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
)

func TestGrade(t *testing.T) {
	for _, c := range []struct {
		name, when string
		situation  guard.Situation
		level      int
	}{
		{"a share as per cent", "errors > 20%", guard.Situation{Signals: map[string]float64{"errors": 0.21}}, 1},
		{"exactly at it", "errors > 20%", guard.Situation{Signals: map[string]float64{"errors": 0.2}}, 2},
		{"a share as a number", "errors > 0.2", guard.Situation{Signals: map[string]float64{"errors": 0.21}}, 1},
		{"with a fraction", "errors >= 0.5% and percent > 10", guard.Situation{Signals: map[string]float64{"errors": 0.005}, Percent: 11}, 1},
		{"a remainder stays one", "percent % 3 == 2", guard.Situation{Percent: 11}, 1},
		{"a remainder of a number", "(11 % 3) == 2", guard.Situation{}, 1},
		{"one of two", "errors > 20% or down", guard.Situation{Down: true}, 1},
		{"by name", `signals["errors"] > 1%`, guard.Situation{Signals: map[string]float64{"errors": 0.02}}, 1},
		{"words", `scenario == "data_leak"`, guard.Situation{Scenario: "data_leak"}, 1},
		{"not", "not acknowledged and minutes >= 15", guard.Situation{Minutes: 15}, 1},
		{"nothing holds but the last", "rolled_back", guard.Situation{}, 2},
		{"what cannot be told holds", `{"a": 1}[scenario] > 0`, guard.Situation{}, 1},
		{"nor what is still to be written", "TODO", guard.Situation{}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := shopPlan(t, " | severity: [{level: 1, when: '"+strings.ReplaceAll(c.when, "'", "''")+"'}, {level: 2, when: \"true\"}]\n")
			level, why, found := p.Grade(c.situation)
			if !found || level.Level != c.level || why == "" {
				t.Errorf("the level is %d (%s), want %d", level.Level, why, c.level)
			}
			bare := *p
			if again, _, _ := (&guard.Plan{Severity: bare.Severity, Watch: bare.Watch}).Grade(c.situation); again.Level != level.Level {
				t.Errorf("of a plan that was not parsed the level is %d, want %d", again.Level, level.Level)
			}
		})
	}
	if _, _, found := shopPlan(t, "").Grade(guard.Situation{}); found {
		t.Error("a plan without levels has one")
	}
}
