package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// Backend deploys a commit to an environment of GitHub, and goes back by deploying the one that was there before, all or
// nothing. What is deployed is what GitHub's deployments say.
type Backend struct {
	way         *repository // what moves the traffic
	reports     *repository // what people look at; that GitHub has heard enough of it keeps no way back
	environment guard.Template
	commit      guard.Template
	workflow    *workflow // nil: somebody else hears of a deployment, and deploys
	wait, every time.Duration
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
)

// A workflow is one that deploys when it is dispatched.
type workflow struct {
	File   string                    `json:"file"` // "deploy.yml"
	Ref    string                    `json:"ref"`  // the branch or tag whose workflow it is
	Inputs map[string]guard.Template `json:"inputs"`
}

const inputsMost = 9 // GitHub takes ten, and golive_id is one

// NewBackend reads {environment, commit, workflow, wait, every} beside the keys of all parts. Environment is the one on
// GitHub, {{.Environment}} unless said otherwise; commit names the commit of a version, {{.To}} unless said otherwise: on the
// way back that is the old version. A deployment may take as long as wait (30m), and is looked at every 5s.
//
// With workflow {file, ref, inputs}, golive dispatches that workflow for each deployment. Its run has to be called after
// it, for GitHub does not say which run was begun:
//
//	run-name: golive ${{ inputs.golive_id }}
//
// Inputs are {commit: "{{.Commit}}", environment: "{{.Environment}}"} unless said otherwise, and golive_id. They may name
// {{.Version}} too, the version that is deployed. A run that is still under way when golive goes the other way is cancelled;
// a workflow should deploy one after another (concurrency). Without workflow, whoever deploys on the event deployment says
// in its statuses what became of it.
//
// A token needs the permissions to read contents and to write deployments, and with workflow to write actions.
func NewBackend(with guard.With) (guard.Backend, error) {
	config := struct {
		settings
		Environment guard.Template `json:"environment"`
		Commit      guard.Template `json:"commit"`
		Workflow    *workflow      `json:"workflow"`
		Wait        guard.Duration `json:"wait"`
		Every       guard.Duration `json:"every"`
	}{settings: defaults(), Environment: "{{.Environment}}", Commit: "{{.To}}", Wait: guard.Duration(30 * time.Minute), Every: guard.Duration(5 * time.Second)}
	mistakes := []error{with.Decode(&config), checkCommit(config.Commit)}
	if _, err := guard.Fill(config.Environment, guard.Release{}.Words()); err != nil || config.Environment == "" {
		mistakes = append(mistakes, fmt.Errorf("environment: is empty, or %w", cmp.Or(err, errors.New("names nothing"))))
	}
	if config.Wait <= 0 || config.Every <= 0 {
		mistakes = append(mistakes, errors.New("wait, every: must be longer than nothing"))
	}
	needed := &github.InstallationPermissions{Contents: github.String("read"), Deployments: github.String("write")}
	if w := config.Workflow; w != nil {
		mistakes = append(mistakes, w.check())
		needed.Actions = github.String("write")
	}
	way, err := config.open(needed)
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, err
	}
	reports, err := config.open(needed)
	if err != nil {
		return nil, err
	}
	return &Backend{way, reports, config.Environment, config.Commit, config.Workflow, config.Wait.Std(), config.Every.Std()}, nil
}

// check finds what is wrong with a workflow, and sets its inputs where there are none.
func (w *workflow) check() error {
	var mistakes []error
	if w.Inputs == nil {
		w.Inputs = map[string]guard.Template{"commit": "{{.Commit}}", "environment": "{{.Environment}}"}
	}
	if !strings.HasSuffix(w.File, ".yml") && !strings.HasSuffix(w.File, ".yaml") || strings.Contains(w.File, "/") {
		mistakes = append(mistakes, fmt.Errorf("workflow.file: %q is not the name of a file in .github/workflows, such as deploy.yml", w.File))
	}
	if w.Ref == "" || commitID.MatchString(w.Ref) {
		mistakes = append(mistakes, errors.New("workflow.ref: must be a branch or a tag, such as main: GitHub begins no workflow of a commit"))
	}
	if len(w.Inputs) > inputsMost || w.Inputs["golive_id"] != "" {
		mistakes = append(mistakes, fmt.Errorf("workflow.inputs: may be %d, beside golive_id, which golive sets", inputsMost))
	}
	for name, input := range w.Inputs {
		if _, err := guard.Fill(input, inputWords(guard.Release{}, "", "")); err != nil {
			mistakes = append(mistakes, fmt.Errorf("workflow.inputs.%s: %w", name, err))
		}
	}
	return errors.Join(mistakes...)
}

func inputWords(r guard.Release, version, commit string) map[string]string {
	words := r.Words()
	words["Version"], words["Commit"] = version, commit
	return words
}

// Fences is advisory where somebody else deploys, for the payload of a deployment tells the fence and the seq of its order.
func (b *Backend) Fences() guard.Fence {
	if b.workflow == nil {
		return guard.FenceAdvisory
	}
	return guard.FenceNone
}

// scene is what GitHub says of an environment, as far as a release is concerned.
type scene struct {
	environment string
	to          string // its commit
	back        string // the commit to go back to; empty: there is none
	version     string // of back, or its commit
	newest      *past  // nil: nothing was ever deployed
	current     *past  // the newest that succeeded
	under       []past // those that somebody may still be at, the newest first
	tried       bool   // the new version was begun after current, and may be there in part
}

// look reads as much of the past as it takes to know where the traffic is, and what there is to go back to.
func (b *Backend) look(ctx context.Context, r guard.Release) (*scene, error) {
	environment, err := guard.Fill(b.environment, r.Words())
	if err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	if environment == "" {
		return nil, errors.New("environment: is empty in this release, and would mean every one")
	}
	s := &scene{environment: environment}
	if s.to, err = b.way.commit(ctx, b.commit, r); err != nil {
		return nil, err
	}
	from := ""
	if r.From != "" {
		old := r
		old.To = r.From
		if from, err = b.way.commit(ctx, b.commit, old); err != nil {
			return nil, err
		}
	}
	var ran error
	err = b.way.past(ctx, environment, func(p past) bool {
		if p.under() {
			if ran = b.ran(ctx, &p); ran != nil {
				return true
			}
		}
		if s.newest == nil {
			s.newest = &p
		}
		if p.under() && s.current == nil {
			s.under = append(s.under, p)
		}
		if p.succeeded.IsZero() {
			s.tried = s.tried || s.current == nil && p.sha == s.to
			return false
		}
		if s.current == nil {
			s.current = &p
		}
		if p.sha != s.to && (from == "" || p.sha == from) && s.back == "" {
			s.back, s.version = p.sha, cmp.Or(r.From, p.sha)
		}
		return s.back != ""
	})
	if err = cmp.Or(err, ran); err != nil {
		return nil, err
	}
	return s, nil
}

// Inspect says whether the new version is what was last deployed with success. The way back is open if a deployment of
// the old version to the environment has succeeded.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	ctx, cancel := b.way.bound(ctx)
	defer cancel()
	s, err := b.look(ctx, r)
	if err != nil {
		return guard.Standing{}, err
	}
	standing := guard.Standing{Shares: []int{0, 100}, Detail: "nothing was deployed to " + s.environment + " with success"}
	if s.current != nil {
		standing.Detail = fmt.Sprintf("deployment %d to %s is %s", s.current.id, s.environment, short(s.current.sha))
		if s.current.sha == s.to {
			standing.Percent = 100
		}
	}
	if s.newest != nil && s.newest.succeeded.IsZero() {
		standing.Detail += fmt.Sprintf("; deployment %d of %s after it: %s", s.newest.id, short(s.newest.sha), cmp.Or(s.newest.state, "nobody has begun"))
	}
	switch {
	case s.back != "":
		standing.Undo = guard.Undo{Open: true, Detail: "deploy " + short(s.back) + " again"}
	default:
		standing.Undo.Detail = fmt.Sprintf("of the last %d deployments to %s none of an older version has succeeded: there is nothing that is known to work", mostPast, s.environment)
	}
	return standing, nil
}

// Shift deploys, and returns when the deployment has succeeded. One of the same commit that is under way, of an earlier call
// that was cut off, is waited for.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	if percent != 0 && percent != 100 {
		return fmt.Errorf("shift to %d%%: a deployment of GitHub is all or nothing (0 or 100)", percent)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.wait, fmt.Errorf("the deployment is not over within %v", b.wait))
	defer cancel()
	s, err := b.look(ctx, o.Release)
	if err != nil {
		return err
	}
	sha, version := s.to, o.To
	if percent == 0 {
		sha, version = s.back, s.version
		if !s.tried && (s.current == nil || s.current.sha != s.to) {
			return nil // the new version was never there, or is there no more
		}
		if sha == "" {
			return fmt.Errorf("shift to 0%%: no older deployment to %s has succeeded, and there is nothing to go back to", s.environment)
		}
	}
	if s.newest != nil && s.newest.sha == sha {
		switch {
		case !s.newest.succeeded.IsZero() && s.newest.state != "inactive":
			return nil
		case s.newest.under():
			return b.see(ctx, o, s, *s.newest, version)
		}
	}
	if err := b.clear(ctx, s.under); err != nil {
		return err
	}
	made, err := b.deploy(ctx, o, s, sha)
	if err != nil {
		return err
	}
	return b.see(ctx, o, s, *made, version)
}

// Finish does nothing: what was deployed before stays in the list, and can be deployed again.
func (b *Backend) Finish(context.Context, guard.Order) error { return nil }

// ours is what golive writes into the payload of its deployments.
type ours struct {
	Service string `json:"service"`
	Golive  struct {
		Key   string `json:"key"`
		Fence int64  `json:"fence"`
		Seq   int64  `json:"seq"`
	} `json:"golive"`
}

// keyOf is the key of the order that a deployment was made by; empty: it was made by somebody else.
func (p past) keyOf() string {
	var o ours
	if json.Unmarshal(p.payload, &o) != nil {
		return ""
	}
	return o.Golive.Key
}

// deploy makes a deployment. It says that nothing has to have passed, for the checks of golive have, and that nothing is to
// be merged: on the way back both would be in the way.
func (b *Backend) deploy(ctx context.Context, o guard.Order, s *scene, sha string) (*past, error) {
	payload := ours{Service: o.Service}
	payload.Golive.Key, payload.Golive.Fence, payload.Golive.Seq = o.Key, o.Fence, o.Seq
	d, _, err := b.way.api.Repositories.CreateDeployment(ctx, b.way.owner, b.way.name, &github.DeploymentRequest{
		Ref: &sha, Environment: &s.environment, AutoMerge: github.Bool(false), RequiredContexts: &[]string{}, Payload: payload,
		Description: github.String(guard.Line("golive: "+o.Service+" "+o.ID, 140)),
	})
	if err == nil && d.GetID() <= 0 {
		err = fmt.Errorf("%w: the deployment has no number", errNonsense)
	}
	if err != nil {
		return nil, b.way.explain(ctx, need{asked: "a deployment of " + short(sha), permission: "Deployments: write", missing: "see that the commit is in the repository"}, err)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	return &past{id: d.GetID(), sha: sha, payload: text}, nil
}

// see waits until a deployment is over. It has the workflow begun that is to do it, if there is one.
func (b *Backend) see(ctx context.Context, o guard.Order, s *scene, p past, version string) error {
	if b.workflow != nil && p.keyOf() != "" {
		if err := b.begin(ctx, o, s, p, version); err != nil {
			return err
		}
	}
	timer := time.NewTicker(b.every)
	defer timer.Stop()
	for {
		if err := b.way.became(ctx, &p); err != nil {
			return err
		}
		if p.under() {
			if err := b.ran(ctx, &p); err != nil {
				return err
			}
		}
		switch {
		case p.state == "success":
			b.report(ctx, p, "success")
			return nil
		case !p.under():
			b.report(ctx, p, p.state)
			return fmt.Errorf("deployment %d of %s to %s: %s (%s)", p.id, short(p.sha), s.environment, p.state, "its log at GitHub says why")
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for deployment %d of %s to %s: %w", p.id, short(p.sha), s.environment, context.Cause(ctx))
		}
	}
}

// report has people see what became of a deployment whose workflow golive has begun. Nobody waits for it: what is deployed
// is known by the run.
func (b *Backend) report(ctx context.Context, p past, state string) {
	if b.workflow == nil || p.keyOf() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	_, _, _ = b.reports.api.Repositories.CreateDeploymentStatus(ctx, b.reports.owner, b.reports.name, p.id, &github.DeploymentStatusRequest{
		State: &state, AutoInactive: github.Bool(true), Description: github.String(ownWords + "the run has ended"),
	}) // the run itself is what counts
}

// begin dispatches the workflow of a deployment, unless its run is there already.
func (b *Backend) begin(ctx context.Context, o guard.Order, s *scene, p past, version string) error {
	run, err := b.run(ctx, p.keyOf())
	if err != nil || run != nil {
		return err
	}
	inputs := map[string]any{"golive_id": p.keyOf()}
	words := inputWords(o.Release, version, p.sha)
	for name, input := range b.workflow.Inputs {
		if inputs[name], err = guard.Fill(input, words); err != nil {
			return fmt.Errorf("workflow.inputs.%s: %w", name, err)
		}
	}
	_, err = b.way.api.Actions.CreateWorkflowDispatchEventByFileName(ctx, b.way.owner, b.way.name, b.workflow.File,
		github.CreateWorkflowDispatchEventRequest{Ref: b.workflow.Ref, Inputs: inputs})
	if err != nil {
		return b.way.explain(ctx, need{asked: "a run of " + b.workflow.File + " to " + s.environment, permission: "Actions: write",
			missing: "the workflow needs on.workflow_dispatch with the inputs golive_id and those of workflow.inputs, in " + b.workflow.Ref}, err)
	}
	return nil
}

// run finds the run of a key by its title; nil: there is none yet.
func (b *Backend) run(ctx context.Context, key string) (*github.WorkflowRun, error) {
	const latest = 2 // pages: what was begun before that is long over
	o := &github.ListWorkflowRunsOptions{Event: "workflow_dispatch", ListOptions: github.ListOptions{PerPage: perPage}}
	for range latest {
		runs, response, err := b.way.api.Actions.ListWorkflowRunsByFileName(ctx, b.way.owner, b.way.name, b.workflow.File, o)
		if err == nil && runs.TotalCount == nil {
			err = errNonsense
		}
		if err != nil {
			return nil, b.way.explain(ctx, need{asked: "runs of " + b.workflow.File, permission: "Actions: read", missing: "see that workflow.file is right"}, err)
		}
		for _, run := range runs.WorkflowRuns {
			if title := run.GetDisplayTitle(); title == key || strings.HasSuffix(title, " "+key) {
				return run, nil
			}
		}
		if response.NextPage == 0 {
			break
		}
		o.Page = response.NextPage
	}
	return nil, nil
}

// ran asks the run of a deployment what became of it, where golive has begun one.
func (b *Backend) ran(ctx context.Context, p *past) error {
	if b.workflow == nil || p.keyOf() == "" {
		return nil
	}
	run, err := b.run(ctx, p.keyOf())
	if err != nil || run == nil || run.GetStatus() != "completed" {
		return err
	}
	if p.state = "failure"; run.GetConclusion() == "success" {
		p.state, p.succeeded = "success", cmp.Or(run.GetUpdatedAt().Time, run.GetCreatedAt().Time, time.Now())
	}
	return nil
}

// clear cancels runs that are under way and not wanted any more, and waits until they are over: one that ends after the
// next has ended would have the last word.
func (b *Backend) clear(ctx context.Context, under []past) error {
	if b.workflow == nil {
		return nil
	}
	for _, p := range under {
		if p.keyOf() == "" {
			continue
		}
		for asked := false; ; {
			run, err := b.run(ctx, p.keyOf())
			if err != nil {
				return err
			}
			if run == nil || run.GetStatus() == "completed" {
				break
			}
			if !asked {
				_, err := b.way.api.Actions.CancelWorkflowRunByID(ctx, b.way.owner, b.way.name, run.GetID())
				var accepted *github.AcceptedError // which is what GitHub answers
				var refused *github.ErrorResponse
				over := errors.As(err, &refused) && refused.Response.StatusCode == 409 // it has ended meanwhile
				if err != nil && !errors.As(err, &accepted) && !over {
					return b.way.explain(ctx, need{asked: fmt.Sprintf("an end of run %d", run.GetID()), permission: "Actions: write"}, err)
				}
				asked = true
				continue
			}
			select {
			case <-time.After(b.every):
			case <-ctx.Done():
				return fmt.Errorf("wait for the end of run %d, which was cancelled: %w", run.GetID(), context.Cause(ctx))
			}
		}
		b.report(ctx, p, "failure")
	}
	return nil
}
