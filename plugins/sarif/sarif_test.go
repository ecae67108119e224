package sarif

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "sarif",
	Probes: map[string]func(guard.With) (guard.Probe, error){"sarif": NewProbe},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// file is a report of a scanner with these results, in the shape in which Trivy and Grype write them.
func file(results ...string) string {
	return `{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[` + run("Trivy", results...) + `]}`
}

func run(tool string, results ...string) string {
	return `{"tool":{"driver":{"name":"` + tool + `","rules":[
		{"id":"CVE-1","defaultConfiguration":{"level":"note"},"properties":{"security-severity":"9.8"}},
		{"id":"CVE-2","defaultConfiguration":{"level":"error"},"properties":{"security-severity":5.5}},
		{"id":"style","defaultConfiguration":{"level":"error"}},
		{"id":"plain"},
		{"id":"odd","properties":{"security-severity":"high"}},
		{"id":"odder","properties":{"security-severity":["9.8"]}},
		{"id":"oddest","properties":{"security-severity":"NaN"}}
	]}},"results":[` + strings.Join(results, ",") + `]}`
}

// codeQL has its rules in an extension.
const codeQL = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL","rules":[]},"extensions":[
	{"name":"empty"},
	{"name":"codeql/go-queries","guid":"A-1","rules":[{"id":"go/other"},{"id":"go/sql-injection","defaultConfiguration":{"level":"error"},"properties":{"security-severity":"8.8"}}]}
]},"results":[{"ruleId":"go/sql-injection","ruleIndex":1,"rule":{"id":"go/sql-injection","index":1,"toolComponent":{%s}},
	"locations":[{"physicalLocation":{"artifactLocation":{"uri":"db/query.go"},"region":{"startLine":12}}}]}]}]}`

// write writes files into a new directory, and returns the pattern that fits all of them.
func write(t *testing.T, texts ...string) (pattern string) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.sarif", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*.sarif")
}

func ask(t *testing.T, pattern string, with guard.With) (guard.Finding, error) {
	t.Helper()
	all := guard.With{"file": pattern}
	for key, value := range with {
		all[key] = value
	}
	p, err := NewProbe(all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Probe(t.Context(), release)
	if err != nil && got.Verdict != guard.Unknown {
		t.Errorf("%s beside the error %v", got.Verdict, err)
	}
	return got, err
}

func TestWhatCounts(t *testing.T) {
	severity := func(s float64) guard.With { return guard.With{"security_severity": s} }
	level := func(l string) guard.With { return guard.With{"level": l} }
	const open = `{"ruleId":"style"%s}`
	for name, c := range map[string]struct {
		text   string
		with   guard.With
		reason string // empty: it passes
	}{
		"nothing":                         {file(), nil, ""},
		"a byte order mark":               {"\xef\xbb\xbf" + file(), nil, ""},
		"an error":                        {file(`{"ruleId":"x","level":"error"}`), nil, "x (error)"},
		"a warning":                       {file(`{"ruleId":"x","level":"warning"}`), nil, ""},
		"a warning is too much":           {file(`{"ruleId":"x","level":"warning"}`), level("warning"), "x (warning)"},
		"a note":                          {file(`{"ruleId":"x","level":"note"}`), level("warning"), ""},
		"a note is too much":              {file(`{"ruleId":"x","level":"note"}`), level("note"), "x (note)"},
		"nothing to say":                  {file(`{"ruleId":"x","level":"none"}`), level("note"), ""},
		"no level is a warning":           {file(`{"ruleId":"x"}`), level("warning"), "x (warning)"},
		"no level and no rule":            {file(`{}`), level("warning"), "a result without a rule (warning)"},
		"the level of the rule":           {file(`{"ruleId":"style"}`), nil, "style (error)"},
		"its own level":                   {file(`{"ruleId":"style","level":"note"}`), nil, ""},
		"a rule without a level":          {file(`{"ruleId":"plain"}`), level("warning"), "plain (warning)"},
		"a rule by its place":             {file(`{"ruleIndex":2}`), nil, "style (error)"},
		"a rule by a place that is none":  {file(`{"ruleId":"style","ruleIndex":-1}`), nil, "style (error)"},
		"a rule of the rule":              {file(`{"rule":{"id":"style"}}`), nil, "style (error)"},
		"a place of the rule":             {file(`{"rule":{"index":2}}`), nil, "style (error)"},
		"a name that goes on":             {file(`{"ruleId":"style/1/2"}`), nil, "style/1/2 (error)"},
		"a part by its name":              {file(`{"ruleId":"style","rule":{"toolComponent":{"name":"Trivy"}}}`), nil, "style (error)"},
		"severe":                          {file(`{"ruleId":"CVE-1"}`), severity(7), "CVE-1 (security severity 9.8)"},
		"severe, but by its level":        {file(`{"ruleId":"CVE-1"}`), nil, ""},
		"just as severe":                  {file(`{"ruleId":"CVE-2"}`), severity(5.5), "CVE-2 (security severity 5.5)"},
		"not so severe, whatever level":   {file(`{"ruleId":"CVE-2","level":"error"}`), severity(5.6), ""},
		"unrated, by level":               {file(`{"ruleId":"style"}`), severity(7), "style (error)"},
		"unrated, by a low level":         {file(`{"ruleId":"plain"}`), severity(7), ""},
		"in an extension":                 {fmt.Sprintf(codeQL, `"index":1`), severity(7), "go/sql-injection in db/query.go:12 (security severity 8.8)"},
		"in an extension, by its name":    {fmt.Sprintf(codeQL, `"name":"codeql/go-queries"`), severity(7), "go/sql-injection in db/query.go:12 (security severity 8.8)"},
		"in an extension, by its GUID":    {fmt.Sprintf(codeQL, `"guid":"a-1"`), severity(9), ""},
		"fail":                            {file(fmt.Sprintf(open, `,"kind":"fail"`)), nil, "style (error)"},
		"pass":                            {file(fmt.Sprintf(open, `,"kind":"pass"`)), nil, ""},
		"review":                          {file(fmt.Sprintf(open, `,"kind":"review"`)), nil, ""},
		"gone":                            {file(fmt.Sprintf(open, `,"baselineState":"absent"`)), nil, ""},
		"as before":                       {file(fmt.Sprintf(open, `,"baselineState":"unchanged"`)), nil, "style (error)"},
		"new":                             {file(fmt.Sprintf(open, `,"baselineState":"new"`)), nil, "style (error)"},
		"suppressed":                      {file(fmt.Sprintf(open, `,"suppressions":[{"kind":"inSource"}]`)), nil, ""},
		"suppressed and accepted":         {file(fmt.Sprintf(open, `,"suppressions":[{"kind":"external","status":"accepted"}]`)), nil, ""},
		"suppression under review":        {file(fmt.Sprintf(open, `,"suppressions":[{"status":"accepted"},{"status":"underReview"}]`)), nil, "style (error)"},
		"suppression rejected":            {file(fmt.Sprintf(open, `,"suppressions":[{"status":"rejected"}]`)), nil, "style (error)"},
		"not suppressed":                  {file(fmt.Sprintf(open, `,"suppressions":[]`)), nil, "style (error)"},
		"a run that succeeded":            {strings.Replace(file(), `"results"`, `"invocations":[{"executionSuccessful":true}],"results"`, 1), nil, ""},
		"the worst first":                 {file(`{"ruleId":"a","level":"warning"}`, `{"ruleId":"b","level":"error"}`, `{"ruleId":"CVE-2"}`, `{"ruleId":"CVE-1"}`, `{"ruleId":"c","level":"error"}`), level("note"), "CVE-1 (security severity 9.8); CVE-2 (security severity 5.5); b (error); and 2 more"},
		"a name that paints the terminal": {file(`{"ruleId":"\u001b[31mx\n","level":"error"}`), nil, "?[31mx (error)"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, write(t, c.text), c.with)
			if err != nil {
				t.Fatal(err)
			}
			if got.Reason != c.reason || (got.Verdict == guard.Pass) != (c.reason == "") {
				t.Errorf("%s because %q, want %q", got.Verdict, got.Reason, c.reason)
			}
			if (got.Remedy == "") != (c.reason == "") || got.Expected == "" || got.Observed == "" || len(got.Evidence) != 1 {
				t.Errorf("incomplete: %+v", got)
			}
		})
	}
}

// TestNeverAPass has files whose silence means nothing.
func TestNeverAPass(t *testing.T) {
	one := func(what string) string { return file(`{"ruleId":"style",` + what + `}`) }
	invoked := func(what string) string {
		return strings.Replace(file(), `"results"`, `"invocations":[`+what+`],"results"`, 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "is not SARIF: unexpected end of JSON input"},
		"null":               {"null", "is not SARIF: it has no version"},
		"a list":             {"[]", "is not SARIF: "},
		"something else":     {`{"findings":[]}`, "is not SARIF: it has no version"},
		"a page":             {"<html>", "is not SARIF: invalid character"},
		"half":               {file()[:200], "is not SARIF: unexpected end of JSON input"},
		"two":                {file() + file(), "is not SARIF: invalid character"},
		"of another version": {`{"version":"2.0.0","runs":[]}`, `is SARIF "2.0.0", and only 2.1.0 can be read`},
		"no runs":            {`{"version":"2.1.0"}`, "holds no run of a tool"},
		"an empty run list":  {`{"version":"2.1.0","runs":[]}`, "holds no run of a tool"},
		"an empty run":       {`{"version":"2.1.0","runs":[{}]}`, "runs[0]: does not name its tool"},
		"null for a run":     {`{"version":"2.1.0","runs":[null]}`, "runs[0]: does not name its tool"},
		"no tool":            {`{"version":"2.1.0","runs":[{"results":[]}]}`, "runs[0]: does not name its tool"},
		"no results":         {strings.Replace(file(), `"results":[]`, `"x":[]`, 1), "runs[0]: Trivy has no list of results, so it did not look for any"},
		"null for results":   {strings.Replace(file(), `"results":[]`, `"results":null`, 1), "has no list of results"},
		"a run that failed":  {invoked(`{"executionSuccessful":false}`), "runs[0]: Trivy says that it did not succeed"},
		"one of two failed":  {invoked(`{"executionSuccessful":true},{"executionSuccessful":false}`), "did not succeed"},
		"overrides":          {invoked(`{"ruleConfigurationOverrides":[{"configuration":{"level":"none"}}]}`), "overrides the levels of its rules"},
		"another kind":       {one(`"kind":"maybe"`), `runs[0]: results[0]: there is no kind "maybe"`},
		"another level":      {one(`"level":"critical"`), `there is no level "critical"`},
		"another baseline":   {one(`"baselineState":"gone"`), `there is no baselineState "gone"`},
		"a rule nowhere":     {one(`"ruleIndex":7`), `there is no rule 7 of "Trivy"`},
		"a part nowhere":     {one(`"rule":{"toolComponent":{"index":0}}`), "there is no extension 0 of the tool"},
		"a part of no name":  {one(`"rule":{"toolComponent":{"name":"x"}}`), `there is no part "x" of the tool`},
		"severity in words":  {file(`{"ruleId":"odd"}`), `the security-severity of its rule, "high", is not a number from 0 to 10`},
		"severities":         {file(`{"ruleId":"odder"}`), `the security-severity of its rule, "[9.8]", is not a number`},
		"no number":          {file(`{"ruleId":"oddest"}`), `the security-severity of its rule, "NaN", is not a number`},
		"from next year":     {invoked(`{"endTimeUtc":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`), "clock skew: "},
		"a time in words":    {invoked(`{"endTimeUtc":"yesterday"}`), "is not SARIF: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, write(t, c.text), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s because %q, error %v, want %s", got.Verdict, got.Reason, err, c.want)
			}
		})
	}
}

func TestAge(t *testing.T) {
	ended := func(agos ...time.Duration) string {
		var all []string
		for _, ago := range agos {
			all = append(all, `{"endTimeUtc":"`+time.Now().Add(-ago).UTC().Format(time.RFC3339)+`"}`)
		}
		return strings.Replace(file(), `"results"`, `"invocations":[`+strings.Join(all, ",")+`],"results"`, 1)
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		texts  []string
		file   time.Duration // how old it is
		maxAge string
		want   guard.Verdict
	}{
		"young file":               {[]string{file()}, 6 * day, "7d", guard.Pass},
		"old file":                 {[]string{file()}, 7*day + time.Minute, "7d", guard.Fail},
		"old enough for others":    {[]string{file()}, 8 * day, "9d", guard.Pass},
		"old scan in a young file": {[]string{ended(8 * day)}, 0, "7d", guard.Fail},
		"young scan in an old one": {[]string{ended(time.Hour)}, 8 * day, "7d", guard.Pass},
		"a part of it is old":      {[]string{ended(time.Hour, 8*day, time.Hour)}, 0, "7d", guard.Fail},
		"one of two is old":        {[]string{ended(time.Hour), ended(8 * day)}, 0, "7d", guard.Fail},
		"file of a hasty clock":    {[]string{file()}, -4 * time.Minute, "7d", guard.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			pattern := write(t, c.texts...)
			for i := range c.texts {
				at := time.Now().Add(-c.file)
				if err := os.Chtimes(filepath.Join(filepath.Dir(pattern), fmt.Sprintf("%d.sarif", i)), at, at); err != nil {
					t.Fatal(err)
				}
			}
			got, err := ask(t, pattern, guard.With{"max_age": c.maxAge})
			if err != nil || got.Verdict != c.want {
				t.Errorf("%s because %q, error %v, want %s", got.Verdict, got.Reason, err, c.want)
			}
			if c.want == guard.Fail && !strings.HasSuffix(got.Reason, " old, and may be 7d") {
				t.Errorf("reason %q", got.Reason)
			}
		})
	}
	p, err := NewProbe(guard.With{"file": "x"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	got, err := p.(*Probe).judge([]report{{file: "x", ended: now.Add(-7 * day)}}, now)
	if err != nil || got.Verdict != guard.Pass {
		t.Errorf("just as old as it may be: %s because %q, error %v", got.Verdict, got.Reason, err)
	}
}

func TestSeveralFiles(t *testing.T) {
	both := `{"version":"2.1.0","runs":[` + run("gosec", `{"ruleId":"style"}`) + "," + run("Trivy", `{"ruleId":"style","kind":"pass"}`, `{"ruleId":"plain"}`) + "]}"
	got, err := ask(t, write(t, both, file(`{"ruleId":"CVE-2"}`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "2 that count, of 3 open and 4 results by Trivy, gosec; the oldest report is "; !strings.HasPrefix(got.Observed, want) || got.Verdict != guard.Fail {
		t.Errorf("%s, observed %q, want %q", got.Verdict, got.Observed, want)
	}
	if want := "CVE-2 (security severity 5.5); style (error)"; got.Reason != want || len(got.Evidence) != 2 {
		t.Errorf("because %q, want %q; %d pieces of evidence", got.Reason, want, len(got.Evidence))
	}
	// One that cannot be read is not left out.
	if got, err := ask(t, write(t, file(), "half"), nil); err == nil || !strings.Contains(err.Error(), "1.sarif: is not SARIF") {
		t.Errorf("%s, error %v", got.Verdict, err)
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "dir.sarif"), 0o700); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		filepath.Join(dir, "scan.sarif"):         "no file fits " + filepath.Join(dir, "scan.sarif"),
		filepath.Join(dir, "dir.sarif"):          "dir.sarif: is not a file",
		filepath.Join(dir, "nowhere", "*.sarif"): "no such file or directory",
	} {
		if got, err := ask(t, pattern, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, error %v, want %s", pattern, got.Verdict, err, want)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	p, _ := NewProbe(guard.With{"file": write(t, file())})
	if _, err := p.Probe(over, release); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: error %v", err)
	}
}

func TestContract(t *testing.T) {
	with := guard.With{"file": write(t, file(`{"ruleId":"style"}`))}
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["sarif"], with), release, guard.Fail)
	})
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":    {nil, "file: missing (like reports/scan.sarif, or reports/*.sarif)"},
		"no pattern": {guard.With{"file": "[x"}, `file: "[x" is not a pattern (try reports/*.sarif)`},
		"no level":   {guard.With{"file": "x", "level": "critical"}, `level: "critical" is none (there are: note, warning, error)`},
		"none":       {guard.With{"file": "x", "level": "none"}, `level: "none" is none (there are: note, warning, error)`},
		"zero":       {guard.With{"file": "x", "security_severity": 0}, "security_severity: 0 is none (they go from 0.1 to 10, as those of CVSS)"},
		"eleven":     {guard.With{"file": "x", "security_severity": 11}, "security_severity: 11 is none (they go from 0.1 to 10, as those of CVSS)"},
		"never":      {guard.With{"file": "x", "max_age": "0s"}, "max_age: must be longer than nothing"},
		"slip":       {guard.With{"file": "x", "maxage": "1d"}, "maxage: there is no such key (did you mean max_age?)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewProbe(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}

// FuzzParse holds whatever a file holds to: an error, or a report of results that can be.
func FuzzParse(f *testing.F) {
	f.Add([]byte(file(`{"ruleId":"CVE-1","suppressions":[{}]}`, `{"ruleIndex":2}`)))
	f.Add([]byte(fmt.Sprintf(codeQL, `"index":1`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parse(text, func(result) bool { return true })
		if err == nil && (len(r.tools) == 0 || r.open > r.all || len(r.bad) != r.open) {
			t.Errorf("report %+v", r)
		}
		for _, bad := range r.bad {
			if text := bad.String(); len(text) > 2000 || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("a result reads %q", text)
			}
		}
	})
}
