package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/golive-dev/golive/guard"
)

func TestSchemaAcceptsExamples(t *testing.T) {
	schema := compiledSchema(t)
	var files []string
	for _, pattern := range []string{"../../examples/*/golive.yaml", "../../guard/testdata/plan/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, error %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document(t, source)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := guard.ParsePlan(file, source); err != nil {
			t.Error(err)
		}
	}
}

// TestSchemaIsTheLooser edits a good plan. What an editor marks as wrong, golive must not accept.
func TestSchemaIsTheLooser(t *testing.T) {
	const accepts, refuses = true, false
	schema := compiledSchema(t)
	full, err := os.ReadFile("../../guard/testdata/plan/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, old, new string
		schema, parse  bool
	}{
		{"short warm-up", "warmup: {for: 5m, ratio: 8}", "warmup: 90s", accepts, accepts},
		{"zero warm-up", "warmup: {for: 5m, ratio: 8}", "warmup: 0", accepts, accepts},
		{"long step", "    - 10\n", "    - {percent: 10}\n", accepts, accepts},
		{"file of shifts", "shifts:\n", "shifts: {file: rota.ics}\n  unread:\n", refuses, refuses},
		{"difference in points", "false_rollback: 0.5%", "false_rollback: 0.5 pp", accepts, accepts},
		{"days", "like: 1d", "like: 1w2d3h", accepts, accepts},
		{"unknown key", "mode: observe", "mood: observe", refuses, refuses},
		{"unknown key of a part", "{use: stdout}", "{use: stdout, when: now}", refuses, refuses},
		{"unknown word", "advance: time", "advance: clock", refuses, refuses},
		{"unknown policy", "then: rollback", "then: proceed", refuses, refuses},
		{"missing service", "service: checkout\n", "", refuses, refuses},
		{"missing backend", "  backend:\n    use: flags\n    with:", "  verify2:", refuses, refuses},
		{"empty use", "use: flags", `use: ""`, refuses, refuses},
		{"no value", "environment: staging", "environment:", refuses, refuses},
		{"step of nothing", "    - 10\n", "    - {name: ten}\n", refuses, refuses},
		{"step above 100", "    - 100\n", "    - 101\n", refuses, refuses},
		{"no steps", "    - {percent: 1, at_least: 2m, at_most: 30m}\n    - 10\n    - {percent: 50, name: one region, goal: payments work, risk: cold caches}\n    - 100\n", "    []\n", refuses, refuses},
		{"share without unit", "hold_back: 5%", "hold_back: 0.05", refuses, refuses},
		{"duration without unit", "every: 15s", "every: 15", refuses, refuses},
		{"duration in words", "every: 15s", "every: 15 seconds", refuses, refuses},
		{"date in words", "verified: 2026-11-01", "verified: 1 November 2026", refuses, refuses},
		{"text for truth", "critical: true", "critical: yes please", refuses, refuses},
		{"two ways in one", `{slack: "@ada"}`, `{slack: "@ada", phone: "1"}`, refuses, refuses},
		{"check that is switched off", "need: required", "need: off", refuses, refuses},
		{"waiver without a last day", "\n      expires: 2026-11-29", "", refuses, refuses},
		{"waiver without approval", "\n      approved_by: Wang Fang", "", refuses, refuses},
		{"waiver for too long", "expires: 2026-11-27", "expires: 2027-11-27", accepts, refuses},
		{"extra check that may fail", "with: {run: ./smoke.sh}", "required: false", accepts, accepts},
		{"rule beyond the schema", "every: 15s", "every: 90s", accepts, refuses},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := []byte(strings.Replace(string(full), test.old, test.new, 1))
			if bytes.Equal(source, full) {
				t.Fatal("the plan does not hold what is to be edited")
			}
			if err := schema.Validate(document(t, source)); (err == nil) != test.schema {
				t.Errorf("schema: %v", err)
			}
			if _, err := guard.ParsePlan("plan.yaml", source); (err == nil) != test.parse {
				t.Errorf("ParsePlan: %v", err)
			}
		})
	}
}

// TestSchemaSpeaks looks at what an editor shows.
func TestSchemaSpeaks(t *testing.T) {
	text, err := json.Marshal(planSchema())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"$schema":"https://json-schema.org/draft/2020-12/schema"`,
		`"description":"share kept on the old version, to have something to compare with"`,
		`"description":"A Signal is one thing to watch: errors (total and bad), latency (histogram) or a gauge (value). Selectors may hold $version, $service and $environment; $canary behind =~ is any text for the new version, and none for the old."`,
		`"default":"30m"`, // of rollout.bake.for
		`"default":"0.05%"`,
		`"default":"production"`,
		`"enum":["hold","rollback","ask"]`,
		`"additionalProperties":false`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the schema does not hold %s", want)
		}
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(planSchema())
	if err != nil {
		t.Fatal(err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("plan.json", resource); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("plan.json")
}

// document reads YAML as an editor does: a date is text.
func document(t *testing.T, source []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(source, &value); err != nil {
		t.Fatal(err)
	}
	return textDates(value)
}

func textDates(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			value[key] = textDates(v)
		}
	case []any:
		for i, v := range value {
			value[i] = textDates(v)
		}
	case time.Time:
		if value.Equal(value.Truncate(24*time.Hour)) && value.Location() == time.UTC {
			return value.Format(time.DateOnly)
		}
		return value.Format(time.RFC3339)
	}
	return value
}
