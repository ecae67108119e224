package sarif

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A report is what counts of one file.
type report struct {
	file      string
	tools     []string
	ended     time.Time // when the first of its runs ended; zero if it does not say
	open, all int       // results
	bad       []result  // those of the open ones that are bad enough
}

func (r report) String() string {
	return fmt.Sprintf("%d that count, of %d open and %d results by %s", len(r.bad), r.open, r.all, guard.Line(strings.Join(r.tools, ", "), 200))
}

// A result is one thing that a tool found.
type result struct {
	rule, place string
	level       string
	severity    float64
	rated       bool // it has a severity
}

func (r result) String() string {
	text := cmp.Or(guard.Line(r.rule, 100), "a result without a rule")
	if r.place != "" {
		text += " in " + guard.Line(r.place, 150)
	}
	if r.rated {
		return text + " (security severity " + number(r.severity) + ")"
	}
	return text + " (" + r.level + ")"
}

// These are the parts of SARIF 2.1.0 that count. Whatever else a file holds is not looked at.
type (
	document struct {
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver     component   `json:"driver"`
			Extensions []component `json:"extensions"`
		} `json:"tool"`
		Invocations []struct {
			Successful *bool      `json:"executionSuccessful"`
			Ended      *time.Time `json:"endTimeUtc"`
			Overrides  []struct{} `json:"ruleConfigurationOverrides"`
		} `json:"invocations"`
		Results []sarifResult `json:"results"`
	}
	component struct {
		Name  string `json:"name"`
		GUID  string `json:"guid"`
		Rules []rule `json:"rules"`
	}
	rule struct {
		ID      string `json:"id"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
		Properties struct {
			Severity any `json:"security-severity"` // of most tools text, of some a number
		} `json:"properties"`
	}
	sarifResult struct {
		RuleID    string `json:"ruleId"`
		RuleIndex *int   `json:"ruleIndex"`
		Rule      struct {
			ID        string `json:"id"`
			Index     *int   `json:"index"`
			Component struct {
				Name  string `json:"name"`
				Index *int   `json:"index"`
				GUID  string `json:"guid"`
			} `json:"toolComponent"`
		} `json:"rule"`
		Kind         string `json:"kind"`
		Level        string `json:"level"`
		Baseline     string `json:"baselineState"`
		Suppressions []struct {
			Status string `json:"status"`
		} `json:"suppressions"`
		Locations []struct {
			Physical struct {
				Artifact struct {
					URI string `json:"uri"`
				} `json:"artifactLocation"`
				Region struct {
					Line int `json:"startLine"`
				} `json:"region"`
			} `json:"physicalLocation"`
		} `json:"locations"`
	}
)

// parse reads a file, and keeps those of its open results that count.
func parse(text []byte, counts func(result) bool) (report, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // which some tools on Windows write
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return report{}, fmt.Errorf("is not SARIF: %w", err)
	}
	switch {
	case d.Version == "":
		return report{}, errors.New("is not SARIF: it has no version")
	case d.Version != "2.1.0":
		return report{}, fmt.Errorf("is SARIF %.20q, and only 2.1.0 can be read", d.Version)
	case len(d.Runs) == 0:
		return report{}, errors.New("holds no run of a tool")
	}
	var r report
	for i, run := range d.Runs {
		if err := r.add(run, counts); err != nil {
			return report{}, fmt.Errorf("runs[%d]: %w", i, err)
		}
	}
	return r, nil
}

// add adds a run. One that did not go well is an error.
func (r *report) add(run sarifRun, counts func(result) bool) error {
	name := guard.Line(run.Tool.Driver.Name, 80)
	if name == "" {
		return errors.New("does not name its tool")
	}
	for _, invocation := range run.Invocations {
		switch {
		case invocation.Successful != nil && !*invocation.Successful:
			return fmt.Errorf("%s says that it did not succeed", name)
		case len(invocation.Overrides) > 0:
			return fmt.Errorf("%s overrides the levels of its rules for one run (ruleConfigurationOverrides), which cannot be read", name)
		case invocation.Ended != nil && (r.ended.IsZero() || invocation.Ended.Before(r.ended)):
			r.ended = *invocation.Ended
		}
	}
	if run.Results == nil {
		return fmt.Errorf("%s has no list of results, so it did not look for any", name)
	}
	r.tools = append(r.tools, name)
	for i, found := range run.Results {
		open, err := found.open()
		if err != nil {
			return fmt.Errorf("results[%d]: %w", i, err)
		}
		r.all++
		if !open {
			continue
		}
		made, err := found.result(run)
		if err != nil {
			return fmt.Errorf("results[%d]: %w", i, err)
		}
		r.open++
		if counts(made) {
			r.bad = append(r.bad, made)
		}
	}
	return nil
}

// open says whether somebody has to do something about a result. What it does not understand is an error.
func (r sarifResult) open() (bool, error) {
	switch r.Kind {
	case "", "fail":
	case "pass", "open", "informational", "notApplicable", "review":
		return false, nil
	default:
		return false, fmt.Errorf("there is no kind %.40q", r.Kind)
	}
	switch r.Baseline {
	case "", "new", "unchanged", "updated":
	case "absent":
		return false, nil
	default:
		return false, fmt.Errorf("there is no baselineState %.40q", r.Baseline)
	}
	// One that was refused, or is still being looked at, keeps all others from counting.
	for _, s := range r.Suppressions {
		if s.Status != "" && s.Status != "accepted" {
			return true, nil
		}
	}
	return len(r.Suppressions) == 0, nil
}

// result is what counts of an open result, of which its rule may know more than it says itself.
func (r sarifResult) result(run sarifRun) (result, error) {
	of, err := r.rule(run)
	if err != nil {
		return result{}, err
	}
	made := result{
		rule:  cmp.Or(r.RuleID, r.Rule.ID, of.ID),
		level: cmp.Or(r.Level, of.Default.Level, "warning"),
	}
	if !slices.Contains(levels, made.level) {
		return result{}, fmt.Errorf("there is no level %.40q", made.level)
	}
	if len(r.Locations) > 0 {
		at := r.Locations[0].Physical
		made.place = at.Artifact.URI
		if at.Region.Line > 0 {
			made.place += fmt.Sprintf(":%d", at.Region.Line)
		}
	}
	made.severity, made.rated, err = of.severity()
	return made, err
}

// rule finds the rule of a result: by its place in the list of a component, or by its name. A result may be of no
// rule that the file describes.
func (r sarifResult) rule(run sarifRun) (rule, error) {
	all := append([]component{run.Tool.Driver}, run.Tool.Extensions...)
	part := r.Rule.Component
	if part.Index != nil && *part.Index >= 0 { // -1 stands for none
		if *part.Index >= len(run.Tool.Extensions) {
			return rule{}, fmt.Errorf("there is no extension %d of the tool", *part.Index)
		}
		all = run.Tool.Extensions[*part.Index:][:1]
	} else if part.GUID != "" || part.Name != "" {
		all = slices.DeleteFunc(all, func(c component) bool {
			return part.GUID != "" && !strings.EqualFold(c.GUID, part.GUID) || part.Name != "" && c.Name != part.Name
		})
		if len(all) == 0 {
			return rule{}, fmt.Errorf("there is no part %.80q of the tool", cmp.Or(part.Name, part.GUID))
		}
	}
	if index := cmp.Or(r.Rule.Index, r.RuleIndex); index != nil && *index >= 0 {
		if *index >= len(all[0].Rules) {
			return rule{}, fmt.Errorf("there is no rule %d of %.80q", *index, all[0].Name)
		}
		return all[0].Rules[*index], nil
	}
	// A name may go on behind that of its rule: CA1000/1.
	for id := cmp.Or(r.RuleID, r.Rule.ID); id != ""; {
		for _, c := range all {
			if i := slices.IndexFunc(c.Rules, func(of rule) bool { return of.ID == id }); i >= 0 {
				return c.Rules[i], nil
			}
		}
		id = id[:max(0, strings.LastIndex(id, "/"))]
	}
	return rule{}, nil
}

// severity is the security-severity of a rule, if it has one.
func (of rule) severity() (severity float64, rated bool, err error) {
	switch property := of.Properties.Severity.(type) {
	case nil:
		return 0, false, nil
	case float64:
		severity = property
	case string:
		severity, err = strconv.ParseFloat(strings.TrimSpace(property), 64)
	default:
		err = errors.New("it is neither text nor a number")
	}
	if err != nil || !(severity >= 0 && severity <= 10) {
		return 0, false, fmt.Errorf("the security-severity of its rule, %.40q, is not a number from 0 to 10", fmt.Sprint(of.Properties.Severity))
	}
	return severity, true, nil
}
