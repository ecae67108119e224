package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/golive-dev/golive/guard"
)

// same reports where what was read is not what should have been written.
func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func readJSON(t testing.TB, text string, a Assessment) {
	t.Helper()
	var got struct {
		Schema   string
		Verdict  guard.Verdict
		Findings []guard.Finding
		ExitCode int `json:"exit_code"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	s := a.sheet()
	same(t, "schema", "golive.check/1", got.Schema)
	same(t, "verdict", s.Verdict, got.Verdict)
	same(t, "exit code", a.ExitCode, got.ExitCode)
	same(t, "findings", findingsOf(s), got.Findings)
}

func findingsOf(s sheet) []guard.Finding {
	var all []guard.Finding
	for _, e := range s.entries {
		all = append(all, e.Finding)
	}
	return all
}

// readNDJSON reads line by line, as readers do for whom every line break of Unicode is one.
func readNDJSON(t testing.TB, text string, a Assessment) {
	t.Helper()
	var findings []guard.Finding
	answers := 0
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) }) {
		var got struct {
			Finding *guard.Finding
			Answer  *struct{ Verdict guard.Verdict }
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch {
		case answers > 0:
			t.Errorf("after the answer comes %s", line)
		case got.Finding != nil:
			findings = append(findings, *got.Finding)
		case got.Answer != nil:
			answers++
			same(t, "verdict", a.sheet().Verdict, got.Answer.Verdict)
		}
	}
	same(t, "answers", 1, answers)
	same(t, "findings", findingsOf(a.sheet()), findings)
}

func readShort(t testing.TB, text string, a Assessment) {
	t.Helper()
	lines := 1
	for _, e := range a.sheet().entries {
		if e.Verdict != guard.Pass && e.Waived == nil {
			lines++
		}
	}
	if a.BreakGlass != nil {
		lines++
	}
	same(t, "lines", lines, strings.Count(text, "\n"))
}

// junitShape is what the schema of Ant's JUnit reports (Windy Road's JUnit.xsd) and that of Jenkins' xUnit plugin
// (junit-10.xsd) both allow: the children of each element, and its attributes with their types. Those with ? may
// be missing.
var junitShape = map[string]struct {
	children   string
	attributes map[string]string
}{
	"testsuites": {`(testsuite )*`, nil},
	"testsuite": {`properties (testcase )*system-out system-err `, map[string]string{
		"name": `(?s).+`, "package": `(?s).*`, "id": `\d+`, "timestamp": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`, "hostname": `(?s).+`,
		"tests": `\d+`, "failures": `\d+`, "errors": `\d+`, "skipped": `\d+`, "time": `\d+(\.\d+)?`,
	}},
	"properties": {`(property )*`, nil},
	"property":   {``, map[string]string{"name": `(?s).+`, "value": `(?s).*`}},
	"testcase":   {`((skipped|error|failure) )?`, map[string]string{"name": `(?s).+`, "classname": `(?s).*`, "time": `\d+(\.\d+)?`}},
	"skipped":    {``, map[string]string{"message": `(?s).*`, "type?": `(?s).*`}},
	"error":      {``, map[string]string{"message": `(?s).*`, "type?": `(?s).*`}},
	"failure":    {``, map[string]string{"message": `(?s).*`, "type?": `(?s).*`}},
	"system-out": {``, nil},
	"system-err": {``, nil},
}

func readJUnit(t testing.TB, text string, a Assessment) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	type element struct{ name, children string }
	open := []element{{}}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			open[len(open)-1].children += token.Name.Local + " "
			open = append(open, element{name: token.Name.Local})
			shape, known := junitShape[token.Name.Local]
			if !known {
				t.Fatalf("there is no element %s", token.Name.Local)
			}
			there := map[string]string{}
			for _, attribute := range token.Attr {
				there[attribute.Name.Local] = attribute.Value
			}
			for name, pattern := range shape.attributes {
				name, optional := strings.CutSuffix(name, "?")
				value, is := there[name]
				if !is && !optional {
					t.Errorf("%s has no %s", token.Name.Local, name)
				}
				if is && !regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(value) {
					t.Errorf("%s has %s=%q", token.Name.Local, name, value)
				}
				delete(there, name)
			}
			for name := range there {
				t.Errorf("%s may not have %s", token.Name.Local, name)
			}
		case xml.EndElement:
			last := open[len(open)-1]
			open = open[:len(open)-1]
			if !regexp.MustCompile(`^` + junitShape[last.name].children + `$`).MatchString(last.children) {
				t.Errorf("%s may not hold %q", last.name, last.children)
			}
		}
	}
	same(t, "root", "testsuites ", open[0].children)

	var got struct {
		Suites []struct {
			Name                             string `xml:"name,attr"`
			Tests, Failures, Errors, Skipped int
			Counts                           []xml.Attr `xml:",any,attr"`
			Cases                            []struct {
				Name    string  `xml:"name,attr"`
				Skipped *string `xml:"skipped"`
				Error   *string `xml:"error"`
				Failure *string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	var failures, broken, skipped, cases int
	var texts []string
	for _, suite := range got.Suites {
		counts := map[string]int{}
		for _, c := range suite.Cases {
			cases++
			counts["tests"]++
			for kind, result := range map[string]*string{"failures": c.Failure, "errors": c.Error, "skipped": c.Skipped} {
				if result != nil {
					counts[kind]++
					texts = append(texts, *result)
				}
			}
		}
		failures, broken, skipped = failures+counts["failures"], broken+counts["errors"], skipped+counts["skipped"]
		for _, attribute := range suite.Counts {
			if n := attribute.Name.Local; slices.Contains([]string{"tests", "failures", "errors", "skipped"}, n) {
				same(t, suite.Name+" "+n, fmt.Sprint(counts[n]), attribute.Value)
			}
		}
	}
	s := a.sheet()
	tally := s.tally()
	same(t, "cases", len(s.entries)+len(a.Skipped), cases)
	same(t, "failures", tally.By[guard.Fail], failures)
	same(t, "errors", tally.By[guard.Unknown]+tally.By[guard.Waiting], broken)
	same(t, "skipped", tally.Waived+len(a.Skipped), skipped)
	for _, e := range s.entries {
		if e.Verdict == guard.Fail || e.Verdict == guard.Unknown {
			want := xmlText(strings.Join(append([]string{e.Title}, e.details()...), "\n"))
			if !slices.Contains(texts, want) {
				t.Errorf("no case says %q, there are %q", want, texts)
			}
		}
	}
}

// xmlText is a text without what XML cannot hold at all.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xfffe || r == 0xffff {
			return '\ufffd'
		}
		return r
	}, s)
}

var sarifSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	file, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("sarif.json", doc); err != nil {
		return nil, err
	}
	return compiler.Compile("sarif.json")
})

func readSARIF(t testing.TB, text string, a Assessment) {
	t.Helper()
	schema, err := sarifSchema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("not SARIF 2.1.0: %v\n%s", err, text)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	var want []entry
	for _, e := range a.sheet().entries {
		if e.Verdict != guard.Pass {
			want = append(want, e)
		}
	}
	if len(run.Results) != len(want) {
		t.Fatalf("%d results, want %d", len(run.Results), len(want))
	}
	for i, r := range run.Results {
		if rule := run.Tool.Driver.Rules[r.RuleIndex].ID; rule != r.RuleID {
			t.Errorf("result %d says %s, and its rule is %s", i, r.RuleID, rule)
		}
		same(t, "waived", want[i].Waived != nil, len(r.Suppressions) == 1)
		if strings.Contains(r.Message.Text, "](") {
			t.Errorf("%q holds a link", r.Message.Text)
		}
		if !strings.HasPrefix(r.Message.Text, unlinked(want[i].Title)) {
			t.Errorf("%q does not begin with %q", r.Message.Text, want[i].Title)
		}
	}
	notifications := len(a.Skipped)
	if a.BreakGlass != nil {
		notifications++
	}
	same(t, "notifications", notifications, len(run.Invocations[0].Notifications))
}

// command is how the runner of GitHub Actions finds a workflow command in a line: up to the second :: all is
// properties, divided by commas.
var command = regexp.MustCompile(`^::([a-z]+) (.*?)::(.*)$`)

func readGitHub(t testing.TB, text string, a Assessment) {
	t.Helper()
	unescapeMessage := func(s string) string {
		for _, pair := range [][2]string{{"%0D", "\r"}, {"%0A", "\n"}, {"%25", "%"}} {
			s = strings.ReplaceAll(s, pair[0], pair[1])
		}
		return s
	}
	unescapeProperty := func(s string) string {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "%3A", ":"), "%2C", ",")
		return unescapeMessage(s)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if last := lines[len(lines)-1]; strings.HasPrefix(last, "::") || !strings.Contains(last, "go") {
		t.Errorf("the last line is %q", last)
	}
	count := map[string]int{}
	var said []string
	for _, line := range lines[:len(lines)-1] {
		m := command.FindStringSubmatch(line)
		if m == nil || strings.Contains(line, "\r") {
			t.Fatalf("%q is no command", line)
		}
		count[m[1]]++
		properties := map[string]string{}
		for property := range strings.SplitSeq(m[2], ",") {
			key, value, _ := strings.Cut(property, "=")
			properties[key] = unescapeProperty(value)
		}
		for key := range properties {
			if !slices.Contains([]string{"file", "line", "col", "title"}, key) {
				t.Errorf("%q has a property %q", line, key)
			}
		}
		said = append(said, m[1]+" "+properties["title"]+"\n"+unescapeMessage(m[3]))
	}
	said = slices.DeleteFunc(said, func(s string) bool { return strings.Contains(s, " golive\nand ") })
	var want []string
	kinds := map[string]int{}
	if a.BreakGlass != nil {
		kinds["warning"] = 1
		glass := "warning golive\n" + shorten(a.sheet().BreakGlass.String(), 4000)
		if !slices.Contains(said, glass) {
			t.Errorf("there is no annotation %q", glass)
		}
		said = slices.DeleteFunc(said, func(s string) bool { return s == glass })
	}
	for _, e := range a.sheet().gravestFirst() {
		kind := map[string]string{"error": "error", "warning": "warning", "note": "notice"}[e.level()]
		if e.Verdict == guard.Pass && e.Waived == nil {
			continue
		}
		if kinds[kind]++; kinds[kind] <= 9 {
			want = append(want, kind+" "+e.title()+"\n"+shorten(strings.Join(append([]string{e.Title}, e.details()...), "\n"), 4000))
		}
	}
	for kind, n := range kinds {
		same(t, kind, min(n, 10), count[kind])
	}
	same(t, "annotations", want, said)
}

func readPrometheus(t testing.TB, text string, a Assessment) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	s := a.sheet()
	sum := 0.
	seen := map[string]bool{}
	for _, metric := range families["golive_check_finding"].GetMetric() {
		labels := map[string]string{}
		for _, label := range metric.GetLabel() {
			labels[label.GetName()] = label.GetValue()
		}
		key := fmt.Sprintf("%q", []string{labels["code"], labels["id"], labels["subject"], labels["verdict"], labels["waived"]})
		if seen[key] {
			t.Errorf("the series %s comes twice", key)
		}
		seen[key] = true
		sum += metric.GetGauge().GetValue()
		same(t, "service", s.Release.Service, labels["service"])
	}
	same(t, "findings", float64(len(s.entries)), sum)
	for _, e := range s.entries {
		key := fmt.Sprintf("%q", []string{e.Code, e.ID, e.Subject, e.Verdict.String(), fmt.Sprint(e.Waived != nil)})
		if !seen[key] {
			t.Errorf("there is no series %s", key)
		}
	}
	for _, metric := range families["golive_check_verdict"].GetMetric() {
		for _, label := range metric.GetLabel() {
			if label.GetName() == "verdict" {
				same(t, "verdict "+label.GetValue(), label.GetValue() == s.Verdict.String(), metric.GetGauge().GetValue() == 1)
			}
		}
	}
}

// readMarkdown reads as GitHub does: tables, with a row of four cells for each finding, and no markup in them.
func readMarkdown(t testing.TB, source string, a Assessment) {
	t.Helper()
	if len(source) > 900<<10 {
		t.Errorf("%d bytes", len(source))
	}
	raw := []byte(source)
	document := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(raw))
	rows := 0
	err := ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *extast.TableRow:
			rows++
			if n.ChildCount() != 4 {
				t.Errorf("a row has %d cells", n.ChildCount())
			}
		case *ast.Emphasis, *ast.Link, *ast.Image, *extast.Strikethrough, *ast.FencedCodeBlock, *ast.CodeBlock, *ast.Blockquote, *ast.List:
			t.Errorf("a text became %s:\n%s", n.Kind(), source)
		case *ast.RawHTML:
			if html := string(n.Segments.Value(raw)); html != "<br>" && html != "<!-- -->" {
				t.Errorf("a text became HTML: %s", html)
			}
		case *ast.HTMLBlock:
			if html := string(n.Lines().Value(raw)); !strings.HasPrefix(html, "<details>") && !strings.HasPrefix(html, "</details>") {
				t.Errorf("a text became HTML: %s", html)
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	if m := regexp.MustCompile(`(\d+) more do not fit here`).FindStringSubmatch(source); m != nil {
		fmt.Sscan(m[1], &left)
	}
	same(t, "rows", len(a.sheet().entries), rows+left)
	same(t, "folds", strings.Count(source, "<details>"), strings.Count(source, "</details>"))
}
