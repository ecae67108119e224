package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// The elements below are what the schemas of Ant and of Jenkins both allow. How long a check took is not known
// here, and neither is the machine, so both have the value that the schemas have for that.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []*junitSuite
	}
	junitSuite struct {
		XMLName    xml.Name        `xml:"testsuite"`
		Name       string          `xml:"name,attr"`
		Package    string          `xml:"package,attr"`
		ID         int             `xml:"id,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out"`
		Err        string          `xml:"system-err"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		Time    string       `xml:"time,attr"`
		Skipped *junitResult `xml:"skipped"`
		Error   *junitResult `xml:"error"`
		Failure *junitResult `xml:"failure"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a suite for each category and a case for each finding. A case can only pass, fail, break or be
// skipped: what could not be found out breaks, what is waived is skipped, and a warning passes and is said in the
// output of its suite.
func writeJUnit(w io.Writer, s sheet) error {
	all := &junitSuites{}
	suite := func(id string) *junitSuite {
		name := cmp.Or(category(id), "golive")
		at := slices.IndexFunc(all.Suites, func(suite *junitSuite) bool { return suite.Name == name })
		if at < 0 {
			at = len(all.Suites)
			properties := []junitProperty{
				{"service", s.Release.Service}, {"environment", s.Release.Environment},
				{"from", s.Release.From}, {"to", s.Release.To}, {"verdict", s.Verdict.String()},
			}
			if s.BreakGlass != nil {
				properties = append(properties, junitProperty{"break_glass", s.BreakGlass.String()})
			}
			all.Suites = append(all.Suites, &junitSuite{
				Name: name, Package: "golive", ID: at, Hostname: "localhost", Time: "0",
				Timestamp:  s.latest().UTC().Format("2006-01-02T15:04:05"),
				Properties: properties,
			})
		}
		return all.Suites[at]
	}
	for _, e := range s.entries {
		suite := suite(e.ID)
		name := e.name()
		if e.Subject != "" {
			name += ": " + e.Subject
		}
		c := junitCase{Name: name, Class: suite.Name, Time: "0"}
		result := &junitResult{Message: e.Reason, Type: e.Code, Text: strings.Join(append([]string{e.Title}, e.details()...), "\n")}
		switch {
		case e.Waived != nil:
			result.Message, result.Type = e.Waived.String(), "waived"
			c.Skipped = result
			suite.Skipped++
		case e.Verdict == guard.Pass:
		case e.Verdict == guard.Warn:
			suite.Out += fmt.Sprintf("warning: %s: %s\n", name, result.Text)
		case e.Verdict == guard.Fail:
			c.Failure = result
			suite.Failures++
		default:
			c.Error = result
			suite.Errors++
		}
		suite.Tests++
		suite.Cases = append(suite.Cases, c)
	}
	for _, id := range s.Skipped {
		suite := suite(id)
		suite.Tests++
		suite.Skipped++
		suite.Cases = append(suite.Cases, junitCase{
			Name: nameOf(s.codeOf(id), id), Class: suite.Name, Time: "0", Skipped: &junitResult{Message: "not asked"},
		})
	}
	p := &printer{w: w}
	p.printf("%s", xml.Header)
	if p.err != nil {
		return p.err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	p.printf("\n")
	return p.err
}

// codeOf is the code of the check with this ID.
func (s sheet) codeOf(id string) string {
	for _, c := range s.Checks {
		if c.ID == id {
			return clean(c.Code)
		}
	}
	return ""
}

// latest is when the last of the findings was made.
func (s sheet) latest() (at time.Time) {
	for _, e := range s.entries {
		if e.At.After(at) {
			at = e.At
		}
	}
	return at
}
