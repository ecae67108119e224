package guard_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/golive-dev/golive/guard"
)

func TestParseSelector(t *testing.T) {
	type matchers = []guard.Matcher
	for _, test := range []struct {
		text string
		want guard.Selector
		back string // how String writes it
	}{
		{"up", guard.Selector{Name: "up"}, "up"},
		{" up{} ", guard.Selector{Name: "up"}, "up"},
		{`job:errors:sum{a="b"}`, guard.Selector{Name: "job:errors:sum", Matchers: matchers{{Label: "a", Op: "=", Value: "b"}}}, `job:errors:sum{a="b"}`},
		{
			`hits{ a = "b", c!="d",e=~"f.*" ,g!~"h|i", }`,
			guard.Selector{Name: "hits", Matchers: matchers{
				{Label: "a", Op: "=", Value: "b"}, {Label: "c", Op: "!=", Value: "d"},
				{Label: "e", Op: "=~", Value: "f.*"}, {Label: "g", Op: "!~", Value: "h|i"},
			}},
			`hits{a="b",c!="d",e=~"f.*",g!~"h|i"}`,
		},
		{"sum(up)", guard.Selector{Aggregation: "sum", Name: "up"}, "sum(up)"},
		{"max ( up{a='b'} )", guard.Selector{Aggregation: "max", Name: "up", Matchers: matchers{{Label: "a", Op: "=", Value: "b"}}}, `max(up{a="b"})`},
		{`up{a="}\"\\,"}`, guard.Selector{Name: "up", Matchers: matchers{{Label: "a", Op: "=", Value: `}"\,`}}}, `up{a="}\"\\,"}`},
		{"up{a=~`\\d+`}", guard.Selector{Name: "up", Matchers: matchers{{Label: "a", Op: "=~", Value: `\d+`}}}, `up{a=~"\\d+"}`},
		{`up{a="\xe4ü"}`, guard.Selector{Name: "up", Matchers: matchers{{Label: "a", Op: "=", Value: "\xe4ü"}}}, `up{a="\xe4ü"}`},
		{`up{v="$version-${service}"}`, guard.Selector{Name: "up", Matchers: matchers{{Label: "v", Op: "=", Value: "$version-${service}"}}}, `up{v="$version-${service}"}`},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, err := guard.ParseSelector(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(guard.Matcher{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if got.String() != test.back {
				t.Errorf("it is written as %s, want %s", got, test.back)
			}
		})
	}
}

func TestParseSelectorRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `it has to begin with the name of a metric (try name{label="value"})`},
		{"{a=\"b\"}", `it has to begin with the name of a metric (try name{label="value"})`},
		{"up{a=b}", "label a: the value has to be quoted"},
		{"up{a}", `there is no label="value" at "a}"`},
		{"up{a==\"b\"}", "label a: the value has to be quoted"},
		{`up{a="b" c="d"}`, `a comma or } is missing at "c=\"d\"}"`},
		{`up{a="b"`, `a comma or } is missing at ""`},
		{`up{a="b`, `label a: the closing " is missing`},
		{"up{a=`b", "label a: the closing ` is missing"},
		{`up{a=~"\d"}`, `label a: "\\d\"}" is not a string (in a regular expression write \\ for \)`},
		{`up{__name__="down"}`, "the name of the metric stands before the brace"},
		{"up[5m]", `golive cannot use "[5m]" after the selector (write the bare counter, without ranges and arithmetic)`},
		{"sum(up) / sum(down)", `golive cannot use ") / sum(down" after the selector (write the bare counter, without ranges and arithmetic)`},
		{"rate(up[5m])", "there is no place for rate here (write the bare counter, at most within sum, min, max or avg)"},
		{`up{a=~"("}`, "label a: error parsing regexp: missing closing ): `(`"},
		{`up{a="$realm"}`, "label a: there is no variable $realm (use $version, $service, $environment, or $canary behind =~)"},
		{`up{a="$canary"}`, "label a: there is no variable $canary (use $version, $service, $environment, or $canary behind =~)"},
		{`up{a="${}"}`, "label a: there is no variable ${} (use $version, $service, $environment, or $canary behind =~)"},
	} {
		t.Run(test.text, func(t *testing.T) {
			_, err := guard.ParseSelector(test.text)
			if diff := cmp.Diff(test.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSelectorMatches(t *testing.T) {
	labels := map[string]string{"code": "503", "version": "1.2.3", "path": "a\nb"}
	for _, test := range []struct {
		selector string
		want     bool
	}{
		{"hits", true},
		{"hit", false},
		{`hits{code="503"}`, true},
		{`hits{code="50"}`, false},
		{`hits{code!="503"}`, false},
		{`hits{code=~"5.."}`, true},
		{`hits{code=~"5."}`, false}, // the whole of it, as in Prometheus
		{`hits{code=~"03"}`, false},
		{`hits{code=~"4..|5.."}`, true},
		{`hits{code=~"5|503"}`, true},
		{`hits{code!~"5.."}`, false},
		{`hits{code!~"5"}`, true},
		{`hits{path=~"a.b"}`, true}, // a dot is any character, as in Prometheus
		{`hits{other=""}`, true},    // a label that is not there is empty, as in Prometheus
		{`hits{other!=""}`, false},
		{`hits{other=~".*"}`, true},
		{`hits{other=~".+"}`, false},
		{`hits{code=~"5..",version="2"}`, false},
	} {
		s, err := guard.ParseSelector(test.selector)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Matches("hits", labels); got != test.want {
			t.Errorf("%s: %v, want %v", test.selector, got, test.want)
		}
	}
	if (guard.Selector{}).Matches("", nil) {
		t.Error("the zero selector matches")
	}
	if (guard.Selector{Name: "hits", Matchers: []guard.Matcher{{Label: "code", Op: "!~", Value: "4.."}}}).Matches("hits", labels) {
		t.Error("a matcher that was not parsed matches")
	}
}

func TestSelect(t *testing.T) {
	signal := guard.Signal{
		Name:  "errors",
		Total: `sum(hits{version="$version",service="$service"})`,
		Bad:   `hits{version=~"$version|${version}-hotfix",environment="$environment",code=~"5..$"}`,
	}
	release := guard.Release{Service: "shop", Environment: "test", From: "1.2.3", To: `v"2+x`}
	for _, test := range []struct {
		arm        guard.Arm
		total, bad string
	}{
		{guard.Canary, `sum(hits{version="v\"2+x",service="shop"})`, `hits{version=~"v\"2\\+x|v\"2\\+x-hotfix",environment="test",code=~"5..$"}`},
		{guard.Baseline, `sum(hits{version="1.2.3",service="shop"})`, `hits{version=~"1\\.2\\.3|1\\.2\\.3-hotfix",environment="test",code=~"5..$"}`},
	} {
		got, err := signal.Select(release, test.arm)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{test.total, test.bad, "", ""}, []string{got.Total.String(), got.Bad.String(), got.Histogram.String(), got.Value.String()}); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.arm, diff)
		}
	}
	baseline, err := signal.Select(release, guard.Baseline)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"version": "1x2x3", "environment": "test", "code": "500"}
	if baseline.Bad.Matches("hits", labels) {
		t.Error("the dots of a version match anything")
	}
	labels["version"] = "1.2.3-hotfix"
	if !baseline.Bad.Matches("hits", labels) {
		t.Error("a version in a regular expression does not match itself")
	}

	for arm, want := range map[guard.Arm]map[string]bool{
		guard.Canary:   {"": false, "shop-v2-80": true},
		guard.Baseline: {"": true, "shop-v2-80": false},
	} {
		marked, err := guard.Signal{Name: "errors", Total: `hits{canary=~"$canary"}`}.Select(release, arm)
		if err != nil {
			t.Fatal(err)
		}
		for label, matches := range want {
			if marked.Total.Matches("hits", map[string]string{"canary": label}) != matches {
				t.Errorf("%s: canary=%q is selected: %v, want %v", arm, label, !matches, matches)
			}
		}
	}

	release.From = ""
	first, err := signal.Select(release, guard.Baseline)
	if err != nil || first.Total.Name != "" || first.Bad.Name != "" {
		t.Errorf("the baseline of a first release selects %v, error %v", first, err)
	}

	_, err = guard.Signal{Name: "errors", Total: "hits", Bad: "rate(hits)"}.Select(release, guard.Canary)
	if want := "signal errors: bad: there is no place for rate here (write the bare counter, at most within sum, min, max or avg)"; fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPerVersion(t *testing.T) {
	for text, want := range map[string]bool{
		"up": false, `up{a="$service"}`: false, `up{a="$version"}`: true, `up{a=~"x-${version}"}`: true, `up{a=~"$canary"}`: true,
	} {
		s, err := guard.ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.PerVersion(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// FuzzParseSelector reads what String writes, and it is the same.
func FuzzParseSelector(f *testing.F) {
	f.Add("sum(hits{a=\"b\",c!~'d|e',f=~`g`})")
	f.Add(`up{a="\xff\u00e4$version"}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := guard.ParseSelector(text)
		if err != nil {
			return
		}
		again, err := guard.ParseSelector(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%q is written as %s and read as %s (error %v)", text, s, again, err)
		}
	})
}
