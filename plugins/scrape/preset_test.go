package scrape

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// signalsOf are the signals errors and latency that a plan with a preset has.
func signalsOf(t *testing.T, preset string, names ...string) (signals []guard.Signal) {
	t.Helper()
	text := "service: shop\nrollout: {backend: {use: http}, steps: [100]}\nwatch:\n  source: {use: scrape}\n  signals:\n"
	for _, name := range names {
		text += fmt.Sprintf("    - {name: %s, preset: %s}\n", name, preset)
	}
	plan, err := guard.ParsePlan("golive.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return plan.Watch.Signals
}

// exposition serves a file of testdata/presets.
func exposition(t *testing.T, file string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "presets", file))
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
}

// TestPresets reads what each component exposes, with the selectors of its preset. In all of them the old version
// has answered 6 requests, one of them with 503, and the new one 8, two of them with 5xx: what belongs to another
// service, or to what the service itself asks, must not be counted. The first line of each file says where it is from.
func TestPresets(t *testing.T) {
	for preset, c := range map[string]struct {
		one     bool // one instance exposes both versions, for it stands before them
		old     float64
		oldBad  float64
		version float64
		bad     float64
		bound   float64 // in seconds
		within  [2]float64
		bounds  int
	}{
		"promhttp":      {within: [2]float64{4, 5}, bound: .025, bounds: 4},
		"otel-http":     {within: [2]float64{4, 5}, bound: .025, bounds: 14},
		"micrometer":    {within: [2]float64{4, 5}, bound: .033554431, bounds: 68},
		"istio":         {within: [2]float64{3, 4}, bound: .025, bounds: 19},
		"linkerd":       {within: [2]float64{4, 5}, bound: .03, bounds: 25},
		"envoy":         {one: true, within: [2]float64{3, 4}, bound: .025, bounds: 19},
		"nginx-ingress": {one: true, within: [2]float64{3, 4}, bound: .025, bounds: 11},
		"traefik":       {one: true, within: [2]float64{5, 6}, bound: .1, bounds: 4},
		"haproxy":       {one: true, old: 45, oldBad: 6, version: 13, bad: 2},
	} {
		t.Run(preset, func(t *testing.T) {
			names := []string{"errors", "latency"}
			if c.bounds == 0 {
				names = names[:1]
			}
			if c.old == 0 {
				c.old, c.oldBad, c.version, c.bad = 6, 1, 8, 2
			}
			file := func(version string) string {
				if c.one {
					return preset + ".txt"
				}
				return preset + "-" + version + ".txt"
			}
			wantOrigin(t, preset, file("v1"), file("v2"))
			canary, stable := exposition(t, file("v2")), exposition(t, file("v1"))
			q := guard.Query{Release: release, Signals: signalsOf(t, preset, names...)}
			got, err := newSource(t, guard.With{"canary": list(canary), "stable": list(stable)}).Read(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if err := guard.CheckReading(q, got); err != nil {
				t.Error(err)
			}
			type count struct{ total, bad, within float64 }
			counts, want := map[string]count{}, map[string]count{
				"errors canary " + canary:   {total: c.version, bad: c.bad},
				"errors baseline " + stable: {total: c.old, bad: c.oldBad},
			}
			if c.bounds > 0 {
				want["latency canary "+canary] = count{total: c.version, within: c.within[1]}
				want["latency baseline "+stable] = count{total: c.old, within: c.within[0]}
			}
			for _, s := range got.Series {
				n := count{total: s.Total, bad: s.Bad}
				for i, bound := range s.Bounds {
					if bound == c.bound {
						n.within = s.Buckets[i]
					}
				}
				if s.Signal == "latency" && (len(s.Bounds) != c.bounds || s.Sum < .1 || s.Sum > 3) {
					t.Errorf("%d bounds, a sum of %v: %v", len(s.Bounds), s.Sum, s.Bounds)
				}
				counts[fmt.Sprint(s.Signal, " ", s.Arm, " ", s.Instance)] = n
			}
			if diff := cmp.Diff(want, counts, cmp.AllowUnexported(count{})); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
		})
	}
}

// wantOrigin holds the last column of the README's table to the first line of a preset's files.
func wantOrigin(t *testing.T, preset string, files ...string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `" + preset + "` \\|.*\\| (recorded|documentation) \\|$").FindSubmatch(readme)
	if row == nil {
		t.Fatalf("the table in plugins/README.md does not say whether %s is recorded or from documentation", preset)
	}
	begin := map[string]string{"recorded": "# Recorded from ", "documentation": "# Written from "}[string(row[1])]
	for _, file := range files {
		body, err := os.ReadFile(filepath.Join("testdata", "presets", file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(body, []byte(begin)) {
			t.Errorf("plugins/README.md says %s for %s, and %s does not begin with %q", row[1], preset, file, begin)
		}
	}
}
