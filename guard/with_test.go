package guard

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	environment := map[string]string{"TOKEN": "s3cret", "HOST": "db.test", "EMPTY": "", "NESTED": "${TOKEN}"}
	lookup := func(name string) (string, bool) { value, set := environment[name]; return value, set }
	for name, c := range map[string]struct {
		text string
		want string
		err  string
	}{
		"no name":              {text: "plain $HOME $1 $$ $", want: "plain $HOME $1 $$ $"},
		"one":                  {text: "Bearer ${TOKEN}", want: "Bearer s3cret"},
		"two":                  {text: "${HOST}:${TOKEN}", want: "db.test:s3cret"},
		"set, and empty":       {text: "<${EMPTY}>", want: "<>"},
		"not expanded twice":   {text: "${NESTED}", want: "${TOKEN}"},
		"left to the shell":    {text: "echo $${TOKEN} ${HOST}", want: "echo ${TOKEN} db.test"},
		"not set":              {text: "${TOKEM}", err: "key: ${TOKEM} is not set in the environment (write $${TOKEM} to leave it to a shell)"},
		"not a name":           {text: "${A:-b}", err: "key: ${A:-b} does not name an environment variable (write $${A:-b} to leave it to a shell)"},
		"begins with a number": {text: "${1A}", err: "key: ${1A} does not name an environment variable (write $${1A} to leave it to a shell)"},
		"not closed":           {text: "${TOKEN", err: "key: ${ has no } (write $${ for a plain ${)"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := With{"key": c.text}.Expand(lookup)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("Expand(%q): error %v, want %s", c.text, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Expand(%q): %v", c.text, err)
			}
			var config struct {
				Key string `json:"key"`
			}
			if err := got.Decode(&config); err != nil || config.Key != c.want {
				t.Errorf("Expand(%q) = %q, %v, want %q", c.text, config.Key, err, c.want)
			}
		})
	}
}

// TestExpandCopies holds Expand to its first word: the plan that a With belongs to is not touched, at any depth.
func TestExpandCopies(t *testing.T) {
	source := func() With {
		return With{
			"list":  []any{"${A}", map[string]any{"deep": "${A}"}},
			"table": map[string]any{"${A}": "${A}", "n": 7, "on": true, "none": nil},
		}
	}
	plan := source()
	got, err := plan.Expand(func(string) (string, bool) { return "x", true })
	if err != nil {
		t.Fatal(err)
	}
	want := With{
		"list":  []any{"x", map[string]any{"deep": "x"}},
		"table": map[string]any{"${A}": "x", "n": 7, "on": true, "none": nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Expand (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(source(), plan); diff != "" {
		t.Errorf("Expand changed what it was given (-before +after):\n%s", diff)
	}
	_, err = plan.Expand(func(string) (string, bool) { return "", false })
	for _, place := range []string{"list[0]: ", "list[1].deep: ", `table["${A}"]: `} {
		if err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("Expand without environment: error %v does not say %q", err, place)
		}
	}
}

func TestDecode(t *testing.T) {
	type request struct {
		Method string            `json:"method"`
		Header map[string]string `json:"header"`
		Expect int               `json:"expect"`
	}
	type config struct {
		Inspect request   `json:"inspect"`
		Undo    *request  `json:"undo"`
		Steps   []request `json:"steps"`
		Timeout Duration  `json:"timeout"`
		Loud    bool      `json:"loud"`
		Ratio   float64   `json:"ratio"`
		Hidden  string    `json:"-"`
		hidden  string    //nolint:unused // a field that nothing may set
	}
	defaults := config{Timeout: Duration(time.Second), Inspect: request{Method: "GET"}}
	for name, c := range map[string]struct {
		with With
		want config
		errs []string
	}{
		"nothing keeps the defaults": {with: nil, want: defaults},
		"everything": {
			with: With{
				"inspect": map[string]any{"expect": 204, "header": map[string]any{"A": "b"}},
				"undo":    map[string]any{"method": "PUT"},
				"steps":   []any{map[string]any{"method": "POST"}, map[string]any{}},
				"timeout": "1d", "loud": true, "ratio": 2,
			},
			want: config{
				Inspect: request{Method: "GET", Expect: 204, Header: map[string]string{"A": "b"}},
				Undo:    &request{Method: "PUT"},
				Steps:   []request{{Method: "POST"}, {}},
				Timeout: Duration(24 * time.Hour), Loud: true, Ratio: 2,
			},
		},
		"numbers from JSON": {
			with: With{"inspect": map[string]any{"expect": 204.0}},
			want: config{Timeout: Duration(time.Second), Inspect: request{Method: "GET", Expect: 204}},
		},
		"every mistake at once": {
			with: With{
				"inspect": map[string]any{"metod": "PUT", "expect": "many"},
				"steps":   []any{map[string]any{"zzzzzzzz": 1}, "x"},
				"timeout": "soon", "loud": "yes", "Hidden": "x", "hidden": "x", "ratio": "half",
			},
			errs: []string{
				`Hidden: there is no such key (there are: inspect, loud, ratio, steps, timeout, undo)`,
				`hidden: there is no such key (there are: inspect, loud, ratio, steps, timeout, undo)`,
				`inspect.expect: "many" is not a whole number`,
				`inspect.metod: there is no such key (did you mean method?)`,
				`loud: "yes" is not true or false`,
				`ratio: "half" is not a number`,
				`steps[0].zzzzzzzz: there is no such key (there are: expect, header, method)`,
				`steps[1]: "x" is not a mapping of keys to values`,
				`timeout: "soon" is not a duration (try 30s, 10m, 2h, 7d)`,
			},
		},
		"shapes": {
			with: With{"steps": "x", "undo": []any{}, "inspect": map[string]any{"method": 2, "header": "x", "expect": 1.5}},
			errs: []string{
				`inspect.expect: 1.5 is not a whole number`,
				`inspect.header: "x" is not a mapping of keys to values`,
				`inspect.method: 2 is not text (put it in quotes)`,
				`steps: "x" is not a list`,
				`undo: [] is not a mapping of keys to values`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := defaults
			err := c.with.Decode(&got)
			var errs []string
			if err != nil {
				errs = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(c.errs, errs); diff != "" {
				t.Fatalf("errors (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(config{})); diff != "" {
				t.Errorf("Decode (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFill(t *testing.T) {
	words := Order{
		Release: Release{ID: "r7", Service: "shop", Environment: "production", From: "v1", To: "v2"},
		Fence:   3, Seq: 4, Key: "r7/4",
	}.Words()
	words["Percent"] = "10"
	for template, want := range map[Template]string{
		"":                                   "",
		"http://x/versions/{{.To}}/percent":  "http://x/versions/v2/percent",
		`{"percent": {{ .Percent }}}`:        `{"percent": 10}`,
		"{{.From}}{{.To}} {{.ID}}":           "v1v2 r7",
		"{{.Service}} {{.Environment}}":      "shop production",
		"{{.Fence}} {{.Seq}} {{.Key}} } {}}": "3 4 r7/4 } {}}",
	} {
		got, err := Fill(template, words)
		if err != nil || got != want {
			t.Errorf("Fill(%q) = %q, %v, want %q", template, got, err, want)
		}
	}
	for template, want := range map[Template]string{
		"{{.Too}}":      "{{.Too}} means nothing here (did you mean To?)",
		"{{.Password}}": "{{.Password}} means nothing here (there are: Environment, Fence, From, ID, Key, Percent, Seq, Service, To)",
		"{{To}}":        "{{To}} means nothing here (did you mean To?)",
		"{{}}":          "{{}} means nothing here (there are: Environment, Fence, From, ID, Key, Percent, Seq, Service, To)",
		"a {{.To":       "{{ has no }}",
		"{{.To}} {{":    "{{ has no }}",
	} {
		if got, err := Fill(template, words); err == nil || err.Error() != want {
			t.Errorf("Fill(%q) = %q, error %v, want %s", template, got, err, want)
		}
	}
}

// TestValuesAreNoTemplates takes texts from the environment that look like templates, alone and together with
// what the plan says around them, through everything that a part does with its set-up.
func TestValuesAreNoTemplates(t *testing.T) {
	environment := map[string]string{"HOLE": "{{.To}}", "OPEN": "{{", "HALF": "{.To}}"}
	plan := With{
		"filled": "{{.To}} ${HOLE} {${HALF} ${OPEN}",
		"header": map[string]any{"A": "${HOLE}{{.To}}"},
		"list":   []any{"${OPEN} {{.To}}"},
		"plain":  "{{.To}} ${HOLE}",
		"table":  map[string]any{"a": []any{"${OPEN}"}},
	}
	with, err := plan.Expand(func(name string) (string, bool) { value, set := environment[name]; return value, set })
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Filled Template            `json:"filled"`
		Header map[string]Template `json:"header"`
		List   []Template          `json:"list"`
		Plain  string              `json:"plain"`
		Table  map[string][]string `json:"table"`
	}
	if err := with.Decode(&config); err != nil {
		t.Fatal(err)
	}
	fill := func(template Template) string {
		text, err := Fill(template, map[string]string{"To": "v2"})
		if err != nil {
			t.Errorf("Fill: %v", err)
		}
		return text
	}
	got := []string{fill(config.Filled), fill(config.Header["A"]), fill(config.List[0]), config.Plain, config.Table["a"][0]}
	want := []string{"v2 {{.To}} {{.To}} {{", "{{.To}}v2", "{{ v2", "{{.To}} {{.To}}", "{{"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what a part makes of it (-want +got):\n%s", diff)
	}
	wire, err := json.Marshal(Part{Use: "x", With: With{"table": with["table"], "plain": with["plain"]}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"use":"x","with":{"plain":"{{.To}} {{.To}}","table":{"a":["{{"]}}}`, string(wire)); diff != "" {
		t.Errorf("what a plugin is sent (-want +got):\n%s", diff)
	}
}

func ExampleWith_Decode() {
	config := struct {
		URL     string   `json:"url"`
		Timeout Duration `json:"timeout"`
	}{Timeout: Duration(10 * time.Second)}
	err := With{"url": "http://shop.test", "timout": "5s"}.Decode(&config)
	fmt.Println(err)
	// Output: timout: there is no such key (did you mean timeout?)
}
