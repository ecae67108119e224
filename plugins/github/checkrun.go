package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
)

// Bounds that GitHub has.
const (
	annotationsMost = 50    // in one request
	annotatedMost   = 1000  // findings that are noted on lines
	messageMost     = 60000 // bytes of an annotation; it takes 64 KiB
	statusMost      = 140   // characters of a description
)

// checkName is what a check run is called, for people and for the rules of a branch.
func checkName(r guard.Release) string {
	return guard.Line("golive: "+strings.TrimSpace(r.Service+" "+r.Environment), 100)
}

// conclusions are how a check run ends, by the outcome of the rollout. Only what earned its traffic is a success, and
// nothing is neutral: GitHub counts that as passed.
var conclusions = map[guard.Outcome]string{
	guard.Live:           "success",
	guard.Unfinished:     "success", // the new version has the traffic, and earned it
	guard.Stopped:        "cancelled",
	guard.Overdue:        "timed_out",
	guard.ForwardOnly:    "action_required",
	guard.RollbackFailed: "action_required",
}

// state is the status of a check run, and its conclusion once it is completed.
func (a about) state() (status, conclusion string) {
	switch {
	case a.over():
		return "completed", cmp.Or(conclusions[a.Progress.Outcome], "failure")
	case a.Progress.Phase == guard.Checking:
		return "queued", ""
	}
	return "in_progress", ""
}

// checkRun shows the state on the commit.
func (n *Notifier) checkRun(ctx context.Context, a about) (string, error) {
	status, conclusion := a.state()
	change := checkChange{
		Name: checkName(a.Release), ExternalID: a.Release.ID, DetailsURL: a.link, Status: status, Conclusion: conclusion, Actions: []*github.CheckRunAction{},
	}
	if err := n.put(ctx, a, change, n.annotations(a)); err != nil {
		return "", err
	}
	return "check run " + cmp.Or(conclusion, status), nil
}

// What a button does, as GitHub tells golive who has pressed it.
const (
	pressRollback  = "rollback"
	pressExtend    = "extend"
	pressStandDown = "stand-down"
)

// pressedFor is how much more time one press of the button gives.
const pressedFor = "10m"

var theButtons = []*github.CheckRunAction{
	{Identifier: pressRollback, Label: "Roll back now", Description: "Take all traffic from the new version"},
	{Identifier: pressExtend, Label: "Extend watch", Description: "Give this step " + pressedFor + " more"},
	{Identifier: pressStandDown, Label: "Stand down", Description: "Say that the incident is over"},
}

// buttons shows what people can do now, on a check run of its own: GitHub shows buttons on completed ones alone.
func (n *Notifier) buttons(ctx context.Context, a about) (string, error) {
	actions := []*github.CheckRunAction{} // and not nil, for GitHub takes no null
	for _, b := range theButtons {
		if a.offers(b.Identifier) {
			actions = append(actions, b)
		}
	}
	change := checkChange{
		Name: guard.Line(checkName(a.Release)+", to act", 100), ExternalID: a.Release.ID, DetailsURL: a.link, Status: "completed", Conclusion: "neutral", Actions: actions,
	}
	return fmt.Sprintf("%d buttons", len(actions)), n.put(ctx, a, change, nil)
}

// offers says whether a button has a meaning where the rollout stands.
func (a about) offers(button string) bool {
	switch p := a.Progress; button {
	case pressRollback:
		return p.Phase == guard.Checking || p.Phase == guard.Shifting || p.Phase == guard.Watching || p.Phase == guard.Baking
	case pressExtend:
		return p.Phase == guard.Watching || p.Phase == guard.Baking
	case pressStandDown:
		return p.Phase == guard.Over && p.Incident
	}
	return false
}

// A checkChange is a check run as it is to be. It is written out, for go-github cannot say that there are no buttons any more.
type checkChange struct {
	Name       string                   `json:"name"`
	HeadSHA    string                   `json:"head_sha,omitempty"`
	ExternalID string                   `json:"external_id"`
	DetailsURL string                   `json:"details_url,omitempty"`
	Status     string                   `json:"status"`
	Conclusion string                   `json:"conclusion,omitempty"`
	StartedAt  *github.Timestamp        `json:"started_at,omitempty"`
	Completed  *github.Timestamp        `json:"completed_at,omitempty"`
	Output     *github.CheckRunOutput   `json:"output"`
	Actions    []*github.CheckRunAction `json:"actions"` // empty, and not nil: none
}

// put makes the check run of a rollout with this name, or changes it. GitHub adds annotations to those that are there, and
// takes fifty at a time: what was cut off is gone on with behind those that have arrived.
func (n *Notifier) put(ctx context.Context, a about, change checkChange, notes []*github.CheckRunAnnotation) error {
	r := n.repository
	m := a.mark(markOf("check", a.Release.ID))
	old, err := r.checkRun(ctx, a.sha, change.Name, change.ExternalID)
	if err != nil {
		return err
	}
	if was, ok := readMark(old.GetOutput().GetSummary()); ok && was.shows(m) && (was.at.After(m.at) || old.GetOutput().GetAnnotationsCount() >= len(notes)) {
		return nil
	}
	at := &github.Timestamp{Time: a.At}
	if change.Conclusion != "" {
		change.Completed = at
	}
	address, method := fmt.Sprintf("repos/%s/%s/check-runs", r.owner, r.name), http.MethodPost
	if old != nil {
		address, method = fmt.Sprintf("%s/%d", address, old.GetID()), http.MethodPatch
	} else {
		change.HeadSHA, change.StartedAt = a.sha, at
	}
	for from := min(old.GetOutput().GetAnnotationsCount(), len(notes)); ; {
		batch := notes[from:min(from+annotationsMost, len(notes))]
		change.Output = &github.CheckRunOutput{Title: github.String(a.headline()), Summary: github.String(m.String() + a.body()), Annotations: batch}
		if pressed := old.GetOutput().GetText(); pressed != "" {
			change.Output.Text = &pressed
		}
		made, err := r.writeCheck(ctx, method, address, change)
		if err != nil {
			return err
		}
		if from += len(batch); from >= len(notes) {
			return nil
		}
		if method == http.MethodPost {
			address, method = fmt.Sprintf("%s/%d", address, made.GetID()), http.MethodPatch
			change.HeadSHA, change.StartedAt = "", nil
		}
	}
}

var writeChecks = need{asked: "a check run", permission: "Checks: write", missing: "see that the commit is in the repository"}

func (r *repository) writeCheck(ctx context.Context, method, address string, change checkChange) (*github.CheckRun, error) {
	request, err := r.api.NewRequest(method, address, change)
	if err != nil {
		return nil, err
	}
	made := new(github.CheckRun)
	if _, err = r.api.Do(ctx, request, made); err == nil && made.GetID() <= 0 {
		err = fmt.Errorf("%w: the check run has no number", errNonsense)
	}
	if err != nil {
		return nil, r.explain(ctx, writeChecks, err)
	}
	return made, nil
}

// checkRun finds the check run of a rollout by its name and by what golive calls it; nil: there is none. Others cannot make
// one in the name of the app.
func (r *repository) checkRun(ctx context.Context, sha, name, id string) (*github.CheckRun, error) {
	options := &github.ListCheckRunsOptions{CheckName: &name, Filter: github.String("all")}
	if r.app.ID != 0 {
		options.AppID = &r.app.ID
	}
	list, err := all(func(at place) ([]*github.CheckRun, *github.Response, error) {
		options.ListOptions = github.ListOptions{Page: at.page, PerPage: perPage}
		runs, response, err := r.api.Checks.ListCheckRunsForRef(ctx, r.owner, r.name, sha, options)
		if err != nil || runs == nil || runs.Total == nil { // nil: of an empty body
			return nil, response, err
		}
		return append([]*github.CheckRun{}, runs.CheckRuns...), response, nil
	})
	if err != nil {
		return nil, r.explain(ctx, need{asked: "check runs", permission: "Checks: write"}, err)
	}
	for _, run := range list {
		if run.GetName() == name && run.GetExternalID() == id {
			return run, nil
		}
	}
	return nil, nil
}

// annotations note on the lines of the plan what keeps the gate shut.
func (n *Notifier) annotations(a about) (notes []*github.CheckRunAnnotation) {
	for _, blocker := range a.Blockers[:min(len(a.Blockers), annotatedMost)] {
		f, line := blocker.Finding, max(blocker.Line, 1)
		level := "failure"
		if f.Counts() != guard.Fail {
			level = "warning"
		}
		message := strings.TrimSpace(guard.Printable(f.Subject + " " + f.Reason))
		if f.Remedy != "" {
			message += "\n" + guard.Printable(f.Remedy)
		}
		notes = append(notes, &github.CheckRunAnnotation{
			Path: &n.plan, StartLine: &line, EndLine: &line, AnnotationLevel: &level,
			Title: github.String(guard.Line(cmp.Or(strings.TrimSpace(f.Code+" "+f.ID), "golive"), 200)), Message: github.String(clip(cmp.Or(message, f.Counts().String()), messageMost)),
		})
	}
	return notes
}

// ownWords begin the description of every status that golive gives a deployment: the hook does not hear itself.
const ownWords = "golive: "

// deploymentStates are what becomes of a deployment, by the outcome of the rollout; any other is an error.
var deploymentStates = map[guard.Outcome]string{
	guard.Live: "success", guard.Unfinished: "success",
	guard.NoGo: "failure", guard.RolledBack: "failure", guard.Recovered: "failure", guard.WouldRollBack: "failure",
}

// deployment shows the state on the latest deployment of the commit to the environment. A deployment that somebody has
// called a success stays one until the rollout has gone wrong, for what is deployed is read from that.
func (n *Notifier) deployment(ctx context.Context, a about) (string, error) {
	r := n.repository
	environment, err := guard.Fill(n.env, a.Release.Words())
	if err == nil && environment == "" {
		err = fmt.Errorf("is empty in this release")
	}
	if err != nil {
		return "", fmt.Errorf("environment: %w", err)
	}
	list, _, err := r.api.Repositories.ListDeployments(ctx, r.owner, r.name, &github.DeploymentsListOptions{
		SHA: a.sha, Environment: environment, ListOptions: github.ListOptions{PerPage: 1},
	})
	if err != nil {
		return "", r.explain(ctx, readDeployments, err)
	}
	if len(list) == 0 {
		return fmt.Sprintf("no deployment of %s to %s", short(a.sha), guard.Line(environment, 80)), nil
	}
	p := past{id: list[0].GetID()}
	if err := r.became(ctx, &p); err != nil {
		return "", err
	}
	did := fmt.Sprintf("deployment %d is ", p.id)
	state := "in_progress"
	switch {
	case a.over():
		state = cmp.Or(deploymentStates[a.Progress.Outcome], "error")
	case a.Progress.Phase == guard.Checking:
		state = "queued"
	}
	rank := map[string]int{"": 0, "pending": 0, "waiting": 0, "queued": 1, "in_progress": 2}
	was, under := rank[p.state]
	undecided := a.Progress.Outcome == guard.Overdue || a.Progress.Outcome == guard.Stopped
	switch next, going := rank[state]; {
	case p.state == state, going && !under, going && next < was, undecided && !under:
		return did + p.state, nil
	}
	_, _, err = r.api.Repositories.CreateDeploymentStatus(ctx, r.owner, r.name, p.id, &github.DeploymentStatusRequest{
		State: &state, LogURL: optional(a.link), Description: github.String(guard.Line(ownWords+a.headline()+": "+a.Text, statusMost)),
	})
	if err != nil {
		return "", r.explain(ctx, need{asked: "a status of deployment " + fmt.Sprint(p.id), permission: "Deployments: write"}, err)
	}
	return did + state, nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
