package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// The types below are the part of SARIF 2.1.0 that golive has something to say in.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string        `json:"id"`
		Name  string        `json:"name,omitempty"`
		Short *sarifMessage `json:"shortDescription,omitempty"`
		Full  *sarifMessage `json:"fullDescription,omitempty"`
		Help  *sarifMessage `json:"help,omitempty"`
	}
	sarifMessage struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		ExitCode      int                 `json:"exitCode"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions"`
		Properties   sarifProperties    `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifProperties struct {
		Verdict string `json:"verdict"`
		Subject string `json:"subject,omitempty"`
	}
)

// writeSARIF writes what code scanning shows as alerts: each finding that is not a pass, at its place in the plan.
// Scanners take an alert that is gone for one that was mended, so what passed is left out, and what was not asked
// is said.
func writeSARIF(w io.Writer, s sheet) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "golive", Version: s.Version, URI: "https://github.com/golive-dev/golive"}},
		Automation:  sarifAutomation{strings.Join([]string{"golive", s.Release.Service, s.Release.Environment, ""}, "/")},
		Invocations: []sarifInvocation{{Successful: true, ExitCode: s.ExitCode, Notifications: []sarifNotification{}}},
		ColumnKind:  "unicodeCodePoints",
		Results:     []sarifResult{},
	}
	for _, id := range s.Skipped {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{
			"warning", sarifMessage{Text: nameOf(s.codeOf(id), id) + " was not asked"},
		})
	}
	if s.BreakGlass != nil {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{
			"warning", sarifMessage{Text: unlinked(s.BreakGlass.String())},
		})
	}
	rules, place := s.rules()
	run.Tool.Driver.Rules = rules
	for _, e := range s.entries {
		if e.Verdict == guard.Pass {
			continue
		}
		r := sarifResult{
			RuleID:       ruleOf(e),
			RuleIndex:    place[ruleOf(e)],
			Level:        e.level(),
			Message:      sarifMessage{Text: unlinked(strings.Join(append([]string{e.Title}, e.details()...), "\n"))},
			Suppressions: []sarifSuppression{},
			Properties:   sarifProperties{e.Verdict.String(), e.Subject},
		}
		if s.file != "" {
			r.Locations = []sarifLocation{{sarifPhysical{
				sarifArtifact{fileURI(s.file)},
				sarifRegion{max(1, e.at.Line), max(1, e.at.Column)},
			}}}
		}
		// An alert stays the same when its line moves; GitHub looks at the first of the two keys only.
		print := fmt.Sprintf("%x", sha256.Sum256([]byte(ruleOf(e)+"\x00"+e.Subject)))
		r.Fingerprints = map[string]string{"primaryLocationLineHash": print, "golive/v1": print}
		if e.Waived != nil {
			r.Suppressions = []sarifSuppression{{"external", "accepted", e.Waived.String()}}
		}
		run.Results = append(run.Results, r)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

// rules are one for each check, and for each code that no check has; place says where each stands.
func (s sheet) rules() (rules []sarifRule, place map[string]int) {
	rules, place = []sarifRule{}, map[string]int{}
	add := func(r sarifRule) {
		if _, known := place[r.ID]; !known {
			place[r.ID] = len(rules)
			rules = append(rules, r)
		}
	}
	for _, c := range s.Checks {
		r := sarifRule{ID: ruleOf(entry{Finding: guard.Finding{Code: clean(c.Code), ID: clean(c.ID)}}), Name: clean(c.ID)}
		if doc := strings.TrimSpace(clean(c.Doc)); doc != "" {
			asks, _, _ := strings.Cut(doc, "\n\n")
			r.Short = &sarifMessage{Text: Asks(c)}
			r.Full = &sarifMessage{Text: oneLine(asks)}
			r.Help = &sarifMessage{Text: doc, Markdown: doc}
		}
		add(r)
	}
	for _, e := range s.entries {
		add(sarifRule{ID: ruleOf(e), Name: e.ID})
	}
	return rules, place
}

// ruleOf names the rule that an entry comes from.
func ruleOf(e entry) string { return cmp.Or(e.Code, e.ID, "golive") }

// unlinked breaks what a reader of SARIF would take for a link.
func unlinked(text string) string { return strings.ReplaceAll(text, "](", "] (") }

// fileURI is the name of a file as a URI, relative if the name is.
func fileURI(file string) string {
	return (&url.URL{Path: strings.ReplaceAll(file, `\`, "/")}).String()
}
