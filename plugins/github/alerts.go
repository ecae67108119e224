package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// severities are those of an advisory, the worst first.
var severities = []string{"critical", "high", "medium", "low"}

// Alerts asks whether security alerts are open.
type Alerts struct {
	repository *repository
	severity   string
	scanners   []string
}

var _ guard.Probe = (*Alerts)(nil)

// NewAlerts reads {severity, alerts} beside the keys of all probes. Severity is the lowest that counts: critical,
// high (unless said otherwise), medium or low. Alerts are the kinds to ask for: dependabot and code-scanning
// (unless said otherwise), and secret-scanning, of which every alert counts.
//
// The token needs a permission to read for each kind. The GITHUB_TOKEN of a workflow never has the one for
// Dependabot.
func NewAlerts(with guard.With) (guard.Probe, error) {
	config := struct {
		settings
		Severity string   `json:"severity"`
		Alerts   []string `json:"alerts"`
	}{settings: defaults(), Severity: "high", Alerts: []string{"dependabot", "code-scanning"}}
	mistakes := []error{with.Decode(&config)}
	if !slices.Contains(severities, config.Severity) {
		mistakes = append(mistakes, fmt.Errorf("severity: %q is none (write one of %s)", config.Severity, strings.Join(severities, ", ")))
	}
	if len(config.Alerts) == 0 {
		mistakes = append(mistakes, errors.New("alerts: without any kind there is nothing to ask"))
	}
	for i, kind := range config.Alerts {
		if _, known := scanners[kind]; !known || slices.Contains(config.Alerts[:i], kind) {
			mistakes = append(mistakes, fmt.Errorf("alerts[%d]: %q is unknown or there twice (write dependabot, code-scanning or secret-scanning)", i, kind))
		}
	}
	repository, err := config.open(alertPermissions(config.Alerts))
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Alerts{repository, config.Severity, config.Alerts}, nil
}

// alertPermissions are what an app needs for these kinds of alerts.
func alertPermissions(kinds []string) *github.InstallationPermissions {
	var p github.InstallationPermissions
	for _, kind := range kinds {
		switch kind {
		case "dependabot":
			p.VulnerabilityAlerts = github.String("read")
		case "code-scanning":
			p.SecurityEvents = github.String("read")
		case "secret-scanning":
			p.SecretScanningAlerts = github.String("read")
		}
	}
	return &p
}

// An alert is one that is open.
type alert struct {
	number         int
	severity, name string
}

// A scanner is one of the kinds of alerts.
type scanner struct {
	need need
	// levels are the severities to ask for, down to one of ours; empty: it knows none, and all its alerts count.
	levels func(down string) []string
	list   func(ctx context.Context, r *repository, level string, at place) ([]alert, *github.Response, error)
}

var scanners = map[string]scanner{
	"dependabot": {
		need: need{asked: "Dependabot alerts", permission: "Dependabot alerts: read", enable: "enable Dependabot alerts in the settings of the repository"},
		levels: func(down string) []string {
			return severities[:slices.Index(severities, down)+1]
		},
		list: dependabotAlerts,
	},
	"code-scanning": {
		need: need{asked: "code scanning alerts", permission: "Code scanning alerts: read", enable: "enable code scanning in the settings of the repository and let it run once"},
		levels: func(down string) []string {
			levels := severities[:slices.Index(severities, down)+1]
			// Rules that are not about security have another scale.
			return append(slices.Clip(levels), map[string][]string{"high": {"error"}, "medium": {"error", "warning"}, "low": {"error", "warning", "note"}}[down]...)
		},
		list: codeScanningAlerts,
	},
	"secret-scanning": {
		need:   need{asked: "secret scanning alerts", permission: "Secret scanning alerts: read", enable: "enable secret scanning in the settings of the repository"},
		levels: func(string) []string { return []string{""} },
		list:   secretScanningAlerts,
	},
}

// Each severity is asked for by itself: in the link to the next page, go-github takes the comma of a list for the
// end of the link.

func dependabotAlerts(ctx context.Context, r *repository, level string, at place) ([]alert, *github.Response, error) {
	o := &github.ListAlertsOptions{State: github.String("open"), Severity: &level}
	o.ListOptions.PerPage, o.ListOptions.Page, o.After = perPage, at.page, at.after
	list, response, err := r.api.Dependabot.ListRepoAlerts(ctx, r.owner, r.name, o)
	return alerts(list, func(a *github.DependabotAlert) alert {
		advisory := a.GetSecurityAdvisory()
		return alert{a.GetNumber(), advisory.GetSeverity(), a.GetDependency().GetPackage().GetName() + " " + cmp.Or(advisory.GetCVEID(), advisory.GetGHSAID())}
	}), response, err
}

func codeScanningAlerts(ctx context.Context, r *repository, level string, at place) ([]alert, *github.Response, error) {
	o := &github.AlertListOptions{State: "open", Severity: level}
	o.ListOptions.PerPage, o.ListOptions.Page, o.After = perPage, at.page, at.after
	list, response, err := r.api.CodeScanning.ListAlertsForRepo(ctx, r.owner, r.name, o)
	return alerts(list, func(a *github.Alert) alert {
		name := cmp.Or(a.GetRule().GetID(), a.GetRule().GetDescription())
		if path := a.GetMostRecentInstance().GetLocation().GetPath(); path != "" {
			name += " in " + path
		}
		return alert{a.GetNumber(), cmp.Or(a.GetRule().GetSecuritySeverityLevel(), a.GetRule().GetSeverity()), name}
	}), response, err
}

// secretScanningAlerts tells the kinds of the secrets; the answer holds the secrets too.
func secretScanningAlerts(ctx context.Context, r *repository, _ string, at place) ([]alert, *github.Response, error) {
	o := &github.SecretScanningAlertListOptions{State: "open"}
	o.ListOptions.PerPage, o.ListOptions.Page, o.After = perPage, at.page, at.after
	list, response, err := r.api.SecretScanning.ListAlertsForRepo(ctx, r.owner, r.name, o)
	return alerts(list, func(a *github.SecretScanningAlert) alert {
		return alert{a.GetNumber(), "", cmp.Or(a.GetSecretTypeDisplayName(), a.GetSecretType())}
	}), response, err
}

// alerts keeps of a list what is told of it, and leaves nil what is nil.
func alerts[A any](list []A, read func(A) alert) []alert {
	if list == nil {
		return nil
	}
	kept := make([]alert, 0, len(list))
	for _, a := range list {
		kept = append(kept, read(a))
	}
	return kept
}

// Probe counts the open alerts. They are those of the default branch, whatever the release is.
func (p *Alerts) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	ctx, cancel := p.repository.bound(ctx)
	defer cancel()
	finding := guard.Finding{
		Subject:  p.repository.String(),
		Verdict:  guard.Pass,
		Title:    fmt.Sprintf("%s has no open security alert of severity %s", p.repository, p.threshold()),
		Expected: "no open alert of " + strings.Join(p.scanners, ", "),
	}
	var observed, reasons []string
	for _, kind := range p.scanners {
		open, err := p.open(ctx, scanners[kind])
		if err != nil {
			return guard.Finding{}, err
		}
		seen := kind + ": " + tally(open)
		observed = append(observed, seen)
		if len(open) > 0 {
			finding.Verdict = guard.Fail
			reasons = append(reasons, fmt.Sprintf("%s: %s", seen, some(names(open))))
		}
		finding.Evidence = append(finding.Evidence, guard.Evidence{Asked: p.repository.api.BaseURL.Host + ", " + scanners[kind].need.asked, Answer: seen})
	}
	finding.Observed = strings.Join(observed, "; ")
	if finding.Verdict == guard.Fail {
		finding.Reason = strings.Join(reasons, "; ")
		finding.Remedy = fmt.Sprintf("fix these alerts, or dismiss them with a reason, in the security tab of %s", p.repository)
	}
	return finding, nil
}

// threshold is the severity that counts, in words.
func (p *Alerts) threshold() string {
	if p.severity == severities[0] {
		return p.severity
	}
	return p.severity + " or above"
}

// open lists the open alerts of one kind, the worst first. One that is listed under two severities counts once.
func (p *Alerts) open(ctx context.Context, s scanner) ([]alert, error) {
	var open []alert
	seen := make(map[int]bool)
	for _, level := range s.levels(p.severity) {
		list, err := all(func(at place) ([]alert, *github.Response, error) { return s.list(ctx, p.repository, level, at) })
		for _, a := range list {
			if a.number <= 0 {
				err = fmt.Errorf("%w: it lists an alert without a number", errNonsense)
			}
			if !seen[a.number] {
				seen[a.number] = true
				open = append(open, a)
			}
		}
		if err != nil {
			return nil, p.repository.explain(ctx, s.need, err)
		}
	}
	return open, nil
}

// tally counts alerts by their severity.
func tally(open []alert) string {
	if len(open) == 0 {
		return "none"
	}
	var words []string
	counts := make(map[string]int)
	for _, a := range open {
		word := brief(a.severity)
		if counts[word]++; counts[word] == 1 {
			words = append(words, word)
		}
	}
	for i, word := range words {
		words[i] = strings.TrimSpace(fmt.Sprintf("%d %s", counts[word], word))
	}
	return strings.Join(words, ", ")
}

func names(open []alert) []string {
	var names []string
	for _, a := range open {
		names = append(names, fmt.Sprintf("#%d %s", a.number, brief(a.name)))
	}
	return names
}
