package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// Environment asks how an environment of GitHub is protected: who has to agree before a job may deploy to it.
type Environment struct {
	repository *repository
	name       guard.Template
	reviewers  int
	wait       time.Duration
	bypass     bool
	anyBranch  bool
	self       bool
}

var _ guard.Probe = (*Environment)(nil)

// NewEnvironment reads {environment, reviewers, self_review, wait, any_branch, bypass} beside the keys of all probes.
// Environment is the one on GitHub, {{.Environment}} unless said otherwise. It has to want the word of somebody out of so many
// reviewers (people or teams) as reviewers says, 1 unless said otherwise; 0 wants none. Wait is how long a job has to wait at
// least. It is a warning if whoever has begun a deployment may agree to it himself, unless self_review is true; if any
// branch may be deployed, unless any_branch is; and if administrators may go past all of it, unless bypass is.
//
// The token needs the permission to read actions.
func NewEnvironment(with guard.With) (guard.Probe, error) {
	config := struct {
		settings
		Environment guard.Template `json:"environment"`
		Reviewers   int            `json:"reviewers"`
		SelfReview  bool           `json:"self_review"`
		Wait        guard.Duration `json:"wait"`
		AnyBranch   bool           `json:"any_branch"`
		Bypass      bool           `json:"bypass"`
	}{settings: defaults(), Environment: "{{.Environment}}", Reviewers: 1}
	mistakes := []error{with.Decode(&config)}
	if _, err := guard.Fill(config.Environment, guard.Release{}.Words()); err != nil || config.Environment == "" {
		mistakes = append(mistakes, fmt.Errorf("environment: is empty, or %w", cmp.Or(err, errors.New("names nothing"))))
	}
	if config.Reviewers < 0 || config.Reviewers > 6 {
		mistakes = append(mistakes, errors.New("reviewers: must be between 0 and 6, which is as many as GitHub takes"))
	}
	if config.Wait < 0 || config.Wait.Std() > 30*24*time.Hour {
		mistakes = append(mistakes, errors.New("wait: must be between 0 and 30d, which is as long as GitHub waits"))
	}
	repository, err := config.open(&github.InstallationPermissions{Actions: github.String("read"), Metadata: github.String("read")})
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	return &Environment{repository, config.Environment, config.Reviewers, config.Wait.Std(), config.Bypass, config.AnyBranch, config.SelfReview}, nil
}

// Probe reads the environment and its rules. What GitHub does not say counts as what would be worse.
func (p *Environment) Probe(ctx context.Context, release guard.Release) (guard.Finding, error) {
	ctx, cancel := p.repository.bound(ctx)
	defer cancel()
	name, err := guard.Fill(p.name, release.Words())
	if err == nil && name == "" {
		err = errors.New("is empty in this release")
	}
	if err != nil {
		return guard.Finding{}, fmt.Errorf("environment: %w", err)
	}
	subject := fmt.Sprintf("%s in %s", brief(name), p.repository)
	finding := guard.Finding{
		Subject: subject, Verdict: guard.Fail, Title: "the environment " + subject + " is protected",
		Expected: p.expected(), Observed: "no such environment", Reason: "there is no such environment, and GitHub makes it, without any protection, for the first job that names it",
		Remedy: "make it in Settings, Environments, with required reviewers; or write under environment what it is called",
	}
	e, err := p.find(ctx, name)
	if err != nil {
		return guard.Finding{}, err
	}
	if e == nil {
		return finding, nil
	}
	s := stands(e)
	finding.Observed = s.String()
	finding.Evidence = []guard.Evidence{{Asked: p.repository.api.BaseURL.Host + ", environment " + brief(name), Answer: s.String()}}
	finding.Verdict, finding.Reason, finding.Remedy = p.judge(s)
	return finding, nil
}

// find asks for an environment by its name; nil: there is none. GitHub answers 404 to what a token may not see as well, so
// that only the list of all says that it is not there.
func (p *Environment) find(ctx context.Context, name string) (*github.Environment, error) {
	r := p.repository
	n := need{asked: "environments", permission: "Actions: read", missing: "see that repository is right"}
	e, _, err := r.api.Repositories.GetEnvironment(ctx, r.owner, r.name, url.PathEscape(name)) // which go-github does not do
	var refused *github.ErrorResponse
	switch {
	case err == nil && !strings.EqualFold(e.GetName(), name):
		return nil, r.explain(ctx, n, fmt.Errorf("%w: it answers with the environment %.80q", errNonsense, e.GetName()))
	case err == nil:
		return e, nil
	case !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusNotFound:
		return nil, r.explain(ctx, n, err)
	}
	total := 0
	list, err := all(func(at place) ([]*github.Environment, *github.Response, error) {
		page, response, err := r.api.Repositories.ListEnvironments(ctx, r.owner, r.name, &github.EnvironmentListOptions{ListOptions: github.ListOptions{Page: at.page, PerPage: perPage}})
		if err != nil || page == nil || page.TotalCount == nil { // nil: of an empty body
			return nil, response, err
		}
		total = page.GetTotalCount()
		return append([]*github.Environment{}, page.Environments...), response, nil
	})
	if err == nil && len(list) < total {
		err = fmt.Errorf("%w: it counts %d, and lists %d", errNonsense, total, len(list))
	}
	if err != nil {
		return nil, r.explain(ctx, n, err)
	}
	for _, e := range list {
		if strings.EqualFold(e.GetName(), name) {
			return nil, r.explain(ctx, n, fmt.Errorf("%w: it lists the environment, and does not find it", errNonsense))
		}
	}
	return nil, nil
}

// A protections is what stands between a job and an environment.
type protections struct {
	reviewers int
	self      bool // whoever has begun a deployment may agree to it
	wait      time.Duration
	branches  string // which may be deployed; empty: any
	bypass    bool   // administrators may go past all
}

// stands reads the rules of an environment.
func stands(e *github.Environment) protections {
	s := protections{self: true, bypass: e.CanAdminsBypass == nil || *e.CanAdminsBypass}
	for _, rule := range e.ProtectionRules {
		switch rule.GetType() {
		case "required_reviewers":
			s.reviewers += len(rule.Reviewers)
			s.self = !rule.GetPreventSelfReview()
		case "wait_timer":
			s.wait = time.Duration(rule.GetWaitTimer()) * time.Minute
		}
	}
	switch policy := e.GetDeploymentBranchPolicy(); {
	case policy.GetProtectedBranches():
		s.branches = "protected branches"
	case policy.GetCustomBranchPolicies():
		s.branches = "branches that are named"
	}
	return s
}

func (s protections) String() string {
	parts := []string{fmt.Sprintf("%d reviewers", s.reviewers), cmp.Or(s.branches, "any branch"), "administrators cannot go past it"}
	if s.bypass {
		parts[2] = "administrators can go past it"
	}
	if s.wait > 0 {
		parts = append(parts, "waits "+guard.Duration(s.wait).String())
	}
	if s.reviewers > 0 && s.self {
		parts = append(parts, "people may agree to their own")
	}
	return strings.Join(parts, ", ")
}

func (p *Environment) expected() string {
	parts := []string{fmt.Sprintf("at least %d reviewers", p.reviewers)}
	if p.wait > 0 {
		parts = append(parts, "a wait of "+guard.Duration(p.wait).String())
	}
	if !p.anyBranch {
		parts = append(parts, "only some branches")
	}
	if !p.bypass {
		parts = append(parts, "nobody goes past it")
	}
	return strings.Join(parts, ", ")
}

// judge weighs what there is: what is missing before what can be gone around.
func (p *Environment) judge(s protections) (verdict guard.Verdict, reason, remedy string) {
	const settings = " in Settings, Environments"
	switch {
	case s.reviewers < p.reviewers:
		return guard.Fail, fmt.Sprintf("it has %d of %d required reviewers", s.reviewers, p.reviewers), "add required reviewers" + settings
	case s.wait < p.wait:
		return guard.Fail, fmt.Sprintf("a job waits %s, and not %s", guard.Duration(s.wait), guard.Duration(p.wait)), "set the wait timer" + settings
	case s.bypass && !p.bypass:
		return guard.Warn, "administrators can go past its protection", "take away \"Allow administrators to bypass\"" + settings + "; or write bypass: true"
	case s.reviewers > 0 && s.self && !p.self:
		return guard.Warn, "whoever has begun a deployment may agree to it himself", "switch on \"Prevent self-review\"" + settings + "; or write self_review: true"
	case s.branches == "" && !p.anyBranch:
		return guard.Warn, "any branch may be deployed", "choose the branches that may be" + settings + "; or write any_branch: true"
	}
	return guard.Pass, "", ""
}
