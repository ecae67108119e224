package guard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

func TestRemarks(t *testing.T) {
	got := guard.Remarks([]string{"", "odd\n\x1b[1m  text ", "odd ?[1m text", strings.Repeat("x", 1000)})
	want := []string{"odd ?[1m text", strings.Repeat("x", 299) + "…"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Remarks (-want +got):\n%s", diff)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("remark ", i))
	}
	if got := guard.Remarks(many); !slices.Equal(got, many[:10]) {
		t.Errorf("of a thousand remarks it keeps %q", got)
	}
}

// TestRemarksAreHeardOnce has a source that remarks the same at each tick and counts something besides. Which of it was
// told does not depend on what a journal holds: all remarks, or each once.
func TestRemarksAreHeardOnce(t *testing.T) {
	plan := shopPlan(t, "")
	for name, kept := range map[string]func(guard.State, []string) []string{
		"all are in the journal": func(_ guard.State, said []string) []string { return said },
		"each once":              guard.State.Unheard,
		"an old journal":         func(guard.State, []string) []string { return nil },
	} {
		tick := 0
		world := func(s guard.State, task guard.Task) (guard.Fact, time.Duration) {
			switch d := task.Deed.(type) {
			case guard.RunChecks:
				return guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}}}, 0
			case guard.Inspect:
				return guard.Inspected{Standing: guard.Standing{Percent: s.Aim, Undo: guard.Undo{Open: true}}}, 0
			case guard.Shift:
				return guard.Shifted(d), 0
			case guard.Measure:
				tick++
				said := []string{"always", fmt.Sprint("at tick ", tick)}
				return guard.Measured{Reading: guard.Reading{Remarks: kept(s, said)}}, time.Second
			}
			return guard.Elapsed{}, 0
		}
		open := guard.Opened{Release: guard.Release{ID: "1", From: "v1", To: "v2"}, Purpose: guard.ToRollout, Mode: guard.Enforce}
		history := guard.Rehearse(plan, open, time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), world)
		want := []string{"always"}
		for i := 1; i < 10; i++ {
			want = append(want, fmt.Sprint("at tick ", i))
		}
		if name == "an old journal" {
			want = nil
		}
		if tick < 15 {
			t.Fatalf("%s: only %d ticks", name, tick)
		}
		if diff := cmp.Diff(want, guard.Fold(plan, history).Remarks); diff != "" {
			t.Errorf("%s: remarks (-want +got):\n%s", name, diff)
		}
	}
}
