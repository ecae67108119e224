package scenario

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func plan(t testing.TB, file string) *guard.Plan {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	p, err := guard.ParsePlan(file, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func play(t testing.TB, p *guard.Plan, name string, o Options) Play {
	t.Helper()
	w, found := Of(name)
	if !found {
		t.Fatalf("there is no world for %s", name)
	}
	played, err := Run(p, w, start, o)
	if err != nil {
		t.Fatal(err)
	}
	return played
}

// TestWorlds has a world for every kind of trouble that golive knows, and in no other order.
func TestWorlds(t *testing.T) {
	var names []string
	for _, w := range Worlds {
		names = append(names, w.Name)
	}
	slices.Sort(names)
	want := slices.Sorted(slices.Values(guard.Classes))
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("worlds (-want +got):\n%s", diff)
	}
}

// TestTimelines plays every scenario by a plan that has an answer to each, and by one that has nearly none.
func TestTimelines(t *testing.T) {
	for _, c := range []struct {
		file    string
		options Options
	}{
		{file: "whole.yaml"},
		{file: "bare.yaml"},
	} {
		p := plan(t, c.file)
		for _, w := range Worlds {
			t.Run(c.file+" "+w.Name, func(t *testing.T) {
				golden(t, strings.TrimSuffix(c.file, ".yaml")+"_"+w.Name+".txt", play(t, p, w.Name, c.options).Text())
			})
		}
	}
}

// TestAbsent takes people and channels away.
func TestAbsent(t *testing.T) {
	p := plan(t, "whole.yaml")
	for name, o := range map[string]Options{
		"on_duty_absent": {Absent: []string{"on_duty"}},
		"nobody":         {Absent: []string{"on_duty", "commander", "deputy", "technical_lead", "comms"}},
		"dead_pager":     {Dead: []int{0}},
		"all_dead":       {Dead: []int{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, "without_"+name+".txt", play(t, p, "bad_release", o).Text())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestSeeds plays with other noise and slower people: the same seed has the same answer, and whatever it is, a play ends, in
// which obligations stand as their times say, and which is passed only if nothing speaks against it.
func TestSeeds(t *testing.T) {
	p := plan(t, "whole.yaml")
	for _, w := range Worlds {
		for seed := range uint64(4) {
			o := Options{Seed: seed}
			one := play(t, p, w.Name, o)
			if again := play(t, p, w.Name, o); one.Text() != again.Text() {
				t.Errorf("%s, seed %d: two plays differ (-one +two):\n%s", w.Name, seed, cmp.Diff(one.Text(), again.Text()))
			}
			if one.State.Incident.Began.IsZero() || !one.State.Ended() && one.State.Outcome != guard.RollbackFailed {
				t.Errorf("%s, seed %d: it is %s, and no incident came to its end:\n%s", w.Name, seed, one.State.Phase, one.Text())
			}
			worse := play(t, p, w.Name, Options{Seed: seed, Absent: []string{"on_duty", "commander", "deputy", "technical_lead", "comms", "executive"}})
			if verdict, _ := worse.Exercise.Result(); verdict == guard.Pass {
				t.Errorf("%s, seed %d: it is passed without anybody:\n%s", w.Name, seed, worse.Text())
			}
		}
	}
}
