package github

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/go-github/v60/github"
)

// A past is a deployment to an environment, and what became of it.
type past struct {
	id        int64
	sha       string
	task      string
	state     string    // the newest; empty: nobody has said anything
	succeeded time.Time // zero: never, or it was taken back since
	payload   json.RawMessage
}

// under says that somebody may still be at it.
func (p past) under() bool {
	return p.state == "" || p.state == "pending" || p.state == "queued" || p.state == "in_progress" || p.state == "waiting"
}

// mostPast is how many deployments are looked at: each is a request of its own.
const mostPast = 50

var readDeployments = need{asked: "deployments", permission: "Deployments: read", missing: "see that repository is right"}

// past goes through the deployments to an environment, the newest first, until look has seen enough.
func (r *repository) past(ctx context.Context, environment string, look func(past) (enough bool)) error {
	list, err := all(func(at place) ([]*github.Deployment, *github.Response, error) {
		page, response, err := r.api.Repositories.ListDeployments(ctx, r.owner, r.name, &github.DeploymentsListOptions{
			Environment: environment, ListOptions: github.ListOptions{Page: at.page, PerPage: mostPast},
		})
		if response != nil && len(page) == mostPast {
			response.NextPage = 0 // the rest is too old to matter
			response.Header.Del("Link")
		}
		return page, response, err
	})
	if err != nil {
		return r.explain(ctx, readDeployments, err)
	}
	for _, d := range list[:min(len(list), mostPast)] {
		p := past{id: d.GetID(), sha: d.GetSHA(), task: d.GetTask(), payload: d.Payload}
		if p.id <= 0 || p.sha == "" {
			return r.explain(ctx, readDeployments, fmt.Errorf("%w: it lists a deployment without number or commit", errNonsense))
		}
		if err := r.became(ctx, &p); err != nil {
			return err
		}
		if look(p) {
			break
		}
	}
	return nil
}

// became asks what became of a deployment.
func (r *repository) became(ctx context.Context, p *past) error {
	list, err := all(func(at place) ([]*github.DeploymentStatus, *github.Response, error) {
		return r.api.Repositories.ListDeploymentStatuses(ctx, r.owner, r.name, p.id, &github.ListOptions{Page: at.page, PerPage: perPage})
	})
	if err != nil {
		return r.explain(ctx, need{asked: fmt.Sprintf("statuses of deployment %d", p.id), permission: "Deployments: read"}, err)
	}
	for i, s := range list { // the newest first
		if i == 0 {
			p.state = s.GetState()
		}
		if s.GetState() == "success" && s.GetCreatedAt().After(p.succeeded) {
			p.succeeded = s.GetCreatedAt().Time
		}
	}
	if p.state != "success" && p.state != "inactive" { // what was called a failure later on is nothing to go back to
		p.succeeded = time.Time{}
	}
	return nil
}

// lastSuccess is the last deployment to an environment that succeeded, was not taken back since, and is of another commit. It is what there was
// before that commit, and what to go back to; nil: there is none.
func (r *repository) lastSuccess(ctx context.Context, environment, but string) (*past, error) {
	var found *past
	err := r.past(ctx, environment, func(p past) bool {
		if p.sha != but && !p.succeeded.IsZero() {
			found = &p
		}
		return found != nil
	})
	return found, err
}
