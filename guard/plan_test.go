package guard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/golive-dev/golive/guard"
)

func TestParsePlanGolden(t *testing.T) {
	for _, name := range []string{"small", "full"} {
		t.Run(name, func(t *testing.T) {
			plan := parse(t, readPlan(t, name))
			got, err := json.MarshalIndent(plan, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "plan", name+".json"), string(got)+"\n")

			var far guard.Plan // as a plugin sees it
			if err := json.Unmarshal(got, &far); err != nil {
				t.Fatal(err)
			}
			if far.Digest() != plan.Digest() {
				t.Error("a plan that went through JSON has another digest")
			}
		})
	}
}

// TestMistakes edits the full plan in one place per case. A case has the old text behind <, the new text
// behind >, and below them what ParsePlan says to it.
func TestMistakes(t *testing.T) {
	full := readPlan(t, "full")
	file := filepath.Join("testdata", "plan", "mistakes.txtar")
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range archive.Files {
		t.Run(c.Name, func(t *testing.T) {
			source, edit := edited(t, full, string(c.Data))
			_, err := guard.ParsePlan("plan.yaml", []byte(source))
			if err == nil {
				t.Fatal("the plan was accepted")
			}
			got := edit + err.Error() + "\n"
			if guard.Update() {
				archive.Files[i].Data = []byte(got)
			} else if diff := cmp.Diff(string(c.Data), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if guard.Update() {
		if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// edited applies a case of mistakes.txtar. It returns the edit as well, without what is expected of it.
func edited(t *testing.T, plan, text string) (source, edit string) {
	t.Helper()
	var old, new strings.Builder
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "< "); ok {
			old.WriteString(rest)
		} else if rest, ok := strings.CutPrefix(line, "> "); ok {
			new.WriteString(rest)
		} else {
			continue
		}
		edit += line
	}
	if strings.Count(plan, old.String()) != 1 {
		t.Fatalf("the full plan holds this %d times, not once:\n%s", strings.Count(plan, old.String()), old.String())
	}
	return strings.Replace(plan, old.String(), new.String(), 1), edit
}

func TestWholeFileMistakes(t *testing.T) {
	small := readPlan(t, "small")
	for _, test := range []struct{ name, source, want string }{
		{"nothing", "", "p:1:1: the plan is empty (golive init writes a first one)"},
		{"only a comment", "# soon\n", "p:1:1: the plan is empty (golive init writes a first one)"},
		{"only a marker", "---\n", "p:1:1: the plan is empty (golive init writes a first one)"},
		{"a list", "- service\n", "p:1:1: this is a list, and has to be a mapping (write key: value)"},
		{"two plans", small + "---\n" + small, "p:10:1: a file holds one plan only (put the next document into a file of its own)"},
		{"tab", "service: shop\nrollout:\n\tsteps: [1]\n", "p:3:1: this is not YAML: found character that cannot start any token (indent with spaces, never with tabs)"},
		{"open bracket", small + "notify: [\n", "p:10:1: this is not YAML: did not find expected node content (check the indentation and the quotes)"},
		{"unknown alias", "service: *shop\n", "p:1:1: this is not YAML: unknown anchor 'shop' referenced (aliases are not followed: write the value out)"},
		{"three chapters missing", "mode: observe\n", "" +
			"p:1:1: rollout: this is missing (add rollout: to the plan)\n" +
			"p:1:1: service: this is missing (add service: to the plan)\n" +
			"p:1:1: watch: this is missing (add watch: to the plan)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := guard.ParsePlan("p", []byte(test.source))
			if diff := cmp.Diff(test.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestAliasesAreCheap holds a plan that would be a billion words long if its aliases were followed.
func TestAliasesAreCheap(t *testing.T) {
	source := "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 9 {
		source += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	if _, err := guard.ParsePlan("p", []byte(source)); err == nil {
		t.Error("the plan was accepted")
	}
}

func TestDepthIsBounded(t *testing.T) {
	small := readPlan(t, "small")
	source := strings.Replace(small, "./inspect", strings.Repeat("[", 5000)+strings.Repeat("]", 5000), 1)
	_, err := guard.ParsePlan("p", []byte(source))
	if want := "this is nested too deeply (write it flatter)"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDefaultsThatDependOnOthers(t *testing.T) {
	small := readPlan(t, "small")
	for _, test := range []struct {
		name, old, new string
		got            func(*guard.Plan) any
		want           any
	}{
		{"explicit zero warm-up", "watch:", "watch:\n  warmup: 0", func(p *guard.Plan) any { return p.Watch.Warmup.For }, guard.Duration(0)},
		{"warm-up that names only its ratio", "watch:", "watch:\n  warmup: {ratio: 8}", func(p *guard.Plan) any { return p.Watch.Warmup }, guard.Warmup{For: duration("1m"), Ratio: 8}},
		{"explicit zero tolerance", "name: errors,", "name: errors, max_increase: 0%,", func(p *guard.Plan) any { return p.Watch.Signals[0].MaxIncrease }, guard.Share(0)},
		{"errors tolerate 25%", "", "", func(p *guard.Plan) any { return p.Watch.Signals[0].MaxIncrease }, guard.Share(0.25)},
		{"latency tolerates 10%", "", "", func(p *guard.Plan) any { return p.Watch.Signals[1].MaxIncrease }, guard.Share(0.10)},
		{"at_least as in promote", "", "", func(p *guard.Plan) any { return p.Rollout.Steps[0].AtLeast }, duration("30s")},
		{"at_least longer than max_step", "[10,", "[{percent: 10, at_least: 1h},", func(p *guard.Plan) any { return p.Rollout.Steps[0].AtMost }, duration("1h")},
		{"at_most shorter than min_step", "[10,", "[{percent: 10, at_most: 5s},", func(p *guard.Plan) any { return p.Rollout.Steps[0].AtLeast }, duration("5s")},
		{"min_step longer than max_step", "watch:", "watch:\n  promote: {min_step: 1h}", func(p *guard.Plan) any { return p.Watch.Promote.MaxStep }, duration("1h")},
		{"max_step shorter than min_step", "watch:", "watch:\n  promote: {max_step: 5s}", func(p *guard.Plan) any { return p.Watch.Promote.MinStep }, duration("5s")},
		{"early stays on", "watch:", "watch:\n  promote: {patience: 0}", func(p *guard.Plan) any { return p.Watch.Promote.Early }, true},
		{"early switched off", "watch:", "watch:\n  promote: {early: false}", func(p *guard.Plan) any { return p.Watch.Promote.Early }, false},
		{"a fallback", "watch:", "watch:\n  fallback: {use: scrape, with: {a: b}}", func(p *guard.Plan) any { return *p.Watch.Fallback }, guard.Part{Use: "scrape", With: guard.With{"a": "b"}}},
		{"the unit of a preset", "name: latency, preset: promhttp", "name: latency, preset: istio", func(p *guard.Plan) any { return p.Watch.Signals[1].Unit }, "milliseconds"},
		{"own total beside a preset", "name: errors,", "name: errors, total: hits_total,", func(p *guard.Plan) any { return p.Watch.Signals[0].Total }, "hits_total"},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan := parse(t, strings.Replace(small, test.old, test.new, 1))
			if diff := cmp.Diff(test.want, test.got(plan)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	small := readPlan(t, "small")
	digest := parse(t, small).Digest()
	for _, same := range []struct{ name, source string }{
		{"a comment", "# hello\n" + small},
		{"a default written down", small + "mode: enforce\n"},
		{"another way to write a step", strings.Replace(small, "[10,", "[{percent: 10},", 1)},
	} {
		if got := parse(t, same.source).Digest(); got != digest {
			t.Errorf("%s changes the digest to %s", same.name, got)
		}
	}
	if got := parse(t, strings.Replace(small, "[10,", "[11,", 1)).Digest(); got == digest {
		t.Error("another step does not change the digest")
	}
}

func TestPosition(t *testing.T) {
	plan := parse(t, readPlan(t, "small"))
	for _, test := range []struct {
		path string
		want guard.Position
	}{
		{"", guard.Position{Line: 1, Column: 1}},
		{"service", guard.Position{Line: 1, Column: 10}},
		{"rollout.steps[1]", guard.Position{Line: 4, Column: 15}},
		{"rollout.steps[1].percent", guard.Position{Line: 4, Column: 15}},
		{"rollout.steps[1].at_most", guard.Position{Line: 4, Column: 15}},
		{"rollout.backend.with.shift", guard.Position{Line: 3, Column: 61}},
		{"rollout.bake.for", guard.Position{Line: 3, Column: 3}},
		{"roster.vendors[3].reach", guard.Position{Line: 1, Column: 1}},
	} {
		if got := plan.Position(test.path); got != test.want {
			t.Errorf("Position(%q) = %v, want %v", test.path, got, test.want)
		}
	}
}

// TestWithIsWhatJSONHolds makes sure that a part that is linked in sees what a plugin would see.
func TestWithIsWhatJSONHolds(t *testing.T) {
	near := parse(t, readPlan(t, "full")).Rollout.Backend.With
	text, err := json.Marshal(near)
	if err != nil {
		t.Fatal(err)
	}
	var far guard.With
	if err := json.Unmarshal(text, &far); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(far, near); diff != "" {
		t.Errorf("(-far +near)\n%s", diff)
	}
}

func FuzzParsePlan(f *testing.F) {
	for _, name := range []string{"small", "full"} {
		f.Add(readPlan(f, name))
	}
	f.Add("a: &a [*a]\n")
	f.Add("service: !!binary x\n? [k]\n: v\n")
	f.Add("service: |\n\t\n\"")
	f.Add("!%0a x")          // a tag that holds the end of a line
	f.Add("\xfe\xff )1\x9b") // UTF-16, whose lines are counted otherwise
	f.Fuzz(func(t *testing.T, source string) {
		plan, err := guard.ParsePlan("p", []byte(source))
		if err == nil {
			again, err := guard.ParsePlan("q", []byte(source))
			if err != nil || plan.Digest() != again.Digest() {
				t.Fatalf("read again, the plan has another digest (error: %v)", err)
			}
			return
		}
		var mistakes *guard.PlanError
		if !errors.As(err, &mistakes) || len(mistakes.Mistakes) == 0 || plan != nil {
			t.Fatalf("plan %v with error %#v", plan, err)
		}
		lines := 1 + strings.Count(source, "\n") + strings.Count(source, "\r") + strings.Count(source, "\u0085") +
			strings.Count(source, "\u2028") + strings.Count(source, "\u2029") // all that YAML takes for the end of a line
		last := guard.Position{Line: 1, Column: 1}
		for _, m := range mistakes.Mistakes {
			if m.Line < 1 || m.Column < 1 || m.Line > lines {
				t.Errorf("%+v is not in the file", m)
			}
			if m.Line < last.Line || m.Line == last.Line && m.Column < last.Column {
				t.Errorf("%+v comes after %v", m, last)
			}
			if strings.ContainsAny(m.Text, "\n\r") {
				t.Errorf("%+v has more than one line", m)
			}
			last = m.Position
		}
	})
}

func parse(t *testing.T, source string) *guard.Plan {
	t.Helper()
	plan, err := guard.ParsePlan("plan.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// duration is for durations that are right.
func duration(s string) guard.Duration {
	d, err := guard.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func readPlan(t testing.TB, name string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", "plan", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if guard.Update() {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
