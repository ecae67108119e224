package judgebench

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

var (
	update     = flag.Bool("update", false, "measure, and write RESULTS.md and results.svg")
	runs       = flag.Int("runs", 20, "runs per scenario")
	seed       = flag.Uint64("seed", 20260301, "of the random numbers")
	recordings = flag.String("experiments", "", "directory of recordings of real traffic to judge as well")
)

// TestResults is the benchmark. It takes minutes, so it runs only when it is asked to write its results.
func TestResults(t *testing.T) {
	if !*update {
		t.Skip("run with -update")
	}
	r := Measure(*runs, *seed, os.Stderr)
	command := fmt.Sprintf("go test ./guard/judge/judgebench -run TestResults -update -runs %d -seed %d -timeout 1h", *runs, *seed)
	if *recordings != "" {
		if err := r.Experiments(*recordings); err != nil {
			t.Fatal(err)
		}
		command += " -experiments DIR"
	}
	for file, write := range map[string]func(*os.File) error{
		"../RESULTS.md":  func(f *os.File) error { return r.Markdown(f, command) },
		"../results.svg": func(f *os.File) error { return r.Picture(f) },
	} {
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClaims holds the README to what it says, on a few scenarios.
func TestClaims(t *testing.T) {
	base := Scenario{RPS: 1000, W: .05, Sec: 10, T: 60, P: .001}
	rules := ErrorRules()
	for _, s := range Harmless(base) {
		if share := Watch(s, rules[:1], 5, 1)[0].RolledBack(); share > 0 {
			t.Errorf("%s: golive took back %g of the harmless releases", s.Name, share)
		}
	}
	for _, s := range Harmful(base) {
		if s.P1 < .01 || s.Onset > 0 {
			continue
		}
		o := Watch(s, rules[:1], 5, 1)[0]
		if o.RolledBack() < 1 || o.Delay(.5, 0) > 12 {
			t.Errorf("%s: golive found %g, after %g ticks", s.Name, o.RolledBack(), o.Delay(.5, 0))
		}
	}
}
