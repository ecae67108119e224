package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// Status asks what was run on the commit of a release, and how it ended.
type Status struct {
	repository *repository
	commit     guard.Template
	required   []string
	ignore     []string
}

var _ guard.Probe = (*Status)(nil)

// NewStatus reads {commit, required, ignore} beside the keys of all probes. Commit names the commit of a release,
// {{.To}} unless said otherwise. Required are the names of checks that must have run; one that was skipped has not.
// Ignore are the names of those that do not count: the job in which golive itself runs is one, for it is never
// over while golive asks.
//
// The token needs the permissions to read contents, commit statuses and checks.
func NewStatus(with guard.With) (guard.Probe, error) {
	config := struct {
		settings
		Commit   guard.Template `json:"commit"`
		Required []string       `json:"required"`
		Ignore   []string       `json:"ignore"`
	}{settings: defaults(), Commit: "{{.To}}"}
	mistakes := []error{with.Decode(&config), checkCommit(config.Commit)}
	for i, name := range config.Required {
		if name == "" || slices.Contains(config.Ignore, name) {
			mistakes = append(mistakes, fmt.Errorf("required[%d]: %q is empty or ignored as well", i, name))
		}
	}
	repository, err := config.open(&github.InstallationPermissions{
		Contents: github.String("read"), Statuses: github.String("read"), Checks: github.String("read"),
	})
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Status{repository, config.Commit, config.Required, config.Ignore}, nil
}

// An outcome is how one run ended.
type outcome struct {
	name  string
	state string // in GitHub's words
}

// GitHub's words for how a run ended. Any other word is a failure, one that we do not know included.
var (
	passing = []string{"success", "neutral"}
	skipped = "skipped"
	pending = []string{"pending", "queued", "in_progress", "waiting", "requested"}
)

// Probe reads the commit statuses and the check runs, for a commit may have only one of the two. GitHub's own
// summary is not asked: of a commit on which nothing was run, it says that it is pending.
func (p *Status) Probe(ctx context.Context, release guard.Release) (guard.Finding, error) {
	ctx, cancel := p.repository.bound(ctx)
	defer cancel()
	sha, err := p.repository.commit(ctx, p.commit, release)
	if err != nil {
		return guard.Finding{}, err
	}
	statuses, err := p.statuses(ctx, sha)
	if err != nil {
		return guard.Finding{}, err
	}
	runs, err := p.checkRuns(ctx, sha)
	if err != nil {
		return guard.Finding{}, err
	}
	host := p.repository.api.BaseURL.Host
	finding := p.judge(append(statuses, runs...))
	finding.Subject = fmt.Sprintf("%s@%s", p.repository, short(sha))
	finding.Title = "all checks of " + finding.Subject + " have passed"
	finding.Evidence = []guard.Evidence{
		{Asked: host + ", commit statuses", Answer: told(statuses)},
		{Asked: host + ", check runs", Answer: told(runs)},
	}
	return finding, nil
}

// judge weighs the outcomes: what has failed before what is under way, and that before what is missing.
func (p *Status) judge(outcomes []outcome) guard.Finding {
	var passed, failed, waiting []string
	for _, o := range outcomes {
		switch {
		case slices.Contains(p.ignore, o.name) || o.state == skipped:
		case slices.Contains(passing, o.state):
			passed = append(passed, o.name)
		case slices.Contains(pending, o.state):
			waiting = append(waiting, fmt.Sprintf("%s (%s)", brief(o.name), o.state))
		default:
			failed = append(failed, fmt.Sprintf("%s (%s)", brief(o.name), brief(o.state)))
		}
	}
	var missing []string
	for _, name := range p.required {
		if !slices.Contains(passed, name) {
			missing = append(missing, name)
		}
	}
	finding := guard.Finding{Verdict: guard.Fail, Expected: "all passed, and at least one", Observed: told(outcomes)}
	if len(p.required) > 0 {
		finding.Expected = "all passed, " + some(p.required) + " among them"
	}
	switch {
	case len(failed) > 0:
		finding.Reason = "not passed: " + some(failed)
		finding.Remedy = "mend what has failed, or run it again"
	case len(waiting) > 0:
		finding.Verdict = guard.Waiting
		finding.Reason = "not over yet: " + some(waiting)
		finding.Remedy = "wait for it, then check again; the job in which golive itself runs belongs under ignore"
	case len(missing) > 0:
		finding.Reason = "required, and not run: " + some(missing)
		finding.Remedy = "run it on this commit, then check again"
	case len(passed) == 0:
		finding.Reason = "nothing was run on this commit"
		finding.Remedy = "run the checks on this commit, then check again"
	default:
		finding.Verdict = guard.Pass
	}
	return finding
}

// told counts outcomes by their states.
func told(outcomes []outcome) string {
	counts := make(map[string]int)
	for _, o := range outcomes {
		counts[brief(o.state)]++
	}
	var words []string
	for state, count := range counts {
		words = append(words, fmt.Sprintf("%d %s", count, state))
	}
	slices.Sort(words)
	if words == nil {
		return "none"
	}
	return strings.Join(words, ", ")
}

// statuses lists the newest commit status of each context.
func (p *Status) statuses(ctx context.Context, sha string) ([]outcome, error) {
	var total int
	outcomes, err := all(func(at place) ([]outcome, *github.Response, error) {
		combined, response, err := p.repository.api.Repositories.GetCombinedStatus(ctx, p.repository.owner, p.repository.name, sha,
			&github.ListOptions{Page: at.page, PerPage: perPage})
		if err != nil || combined.TotalCount == nil {
			return nil, response, err
		}
		total = combined.GetTotalCount()
		page := []outcome{}
		for _, s := range combined.Statuses {
			page = append(page, outcome{s.GetContext(), s.GetState()})
		}
		return page, response, nil
	})
	return p.complete(ctx, need{asked: "commit statuses", permission: "Commit statuses: read"}, outcomes, total, err)
}

// checkRuns lists the newest run of each check.
func (p *Status) checkRuns(ctx context.Context, sha string) ([]outcome, error) {
	var total int
	outcomes, err := all(func(at place) ([]outcome, *github.Response, error) {
		runs, response, err := p.repository.api.Checks.ListCheckRunsForRef(ctx, p.repository.owner, p.repository.name, sha,
			&github.ListCheckRunsOptions{ListOptions: github.ListOptions{Page: at.page, PerPage: perPage}})
		if err != nil || runs == nil || runs.Total == nil { // nil: of an empty body
			return nil, response, err
		}
		total = *runs.Total
		page := []outcome{}
		for _, run := range runs.CheckRuns {
			o := outcome{run.GetName(), run.GetStatus()}
			if o.state == "completed" {
				o.state = run.GetConclusion()
			}
			page = append(page, o)
		}
		return page, response, nil
	})
	return p.complete(ctx, need{asked: "check runs", permission: "Checks: read"}, outcomes, total, err)
}

// complete holds a list to the number that GitHub says it has.
func (p *Status) complete(ctx context.Context, n need, outcomes []outcome, total int, err error) ([]outcome, error) {
	if err == nil && len(outcomes) < total {
		err = fmt.Errorf("%w: it counts %d, and lists %d", errNonsense, total, len(outcomes))
	}
	for _, o := range outcomes {
		if err == nil && (o.name == "" || o.state == "") {
			err = fmt.Errorf("%w: the check %q has the state %q", errNonsense, o.name, o.state)
		}
	}
	if err != nil {
		return nil, p.repository.explain(ctx, n, err)
	}
	return outcomes, nil
}
