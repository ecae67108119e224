package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

// A Gate is a custom deployment protection rule: a job of GitHub Actions that deploys to a protected environment waits
// until golive has asked its checks, and goes on if they pass. What is not ready yet is waited for and asked again, for so
// long as the gate may wait; what could not be found out is never approved.
//
// Make a GitHub App (Settings, Developer settings, GitHub Apps):
//
//	Webhook URL   https://golive.example.org/v1/hooks/github/deployment-protection/
//	Secret        one of those in GOLIVE_GITHUB_APP_SECRET where golive serve runs, or without that in GOLIVE_GITHUB_SECRET
//	Permissions   Actions: read, Deployments: read and write; for buttons (see NewNotifier) Checks: write
//	Events        Deployment protection rule, Deployment, Deployment status; for buttons Check run
//
// Install it in the repository, and switch it on in the environment (Settings, Environments, Deployment protection rules).
// golive serve has to know the app: GOLIVE_GITHUB_APP_ID, and its private key in GOLIVE_GITHUB_APP_KEY. An app has one
// address for all of its events, so those about deployments are heard here as well (see NewHook).
//
// The plan has to name the repository (gate: {repositories: [OWNER/NAME]}), and may name the branches that deploy (refs);
// jobs that the event pull_request or pull_request_target has begun are refused unless it says pull_requests: true. Which
// service and which version there was before is as with NewHook; if the deployment does not say the latter, it is
// the last other commit that was deployed to the environment with success.
type Gate struct {
	setup GateSetup
	base  *url.URL // of the API
	news  chan struct{}
	few   chan struct{} // holds a place for each who asks the checks
	app   *github.Client

	mu   sync.Mutex
	busy map[string]bool // by their keys, those that this process goes on with
}

// GateSetup is what a gate needs.
type GateSetup struct {
	Desk    guard.Desk
	Secrets [][]byte // that GitHub signs with; several while one takes the place of another
	App     App
	Address string        // of the API; empty: https://api.github.com
	Waits   Waits         // where it is kept what GitHub waits for
	MaxWait time.Duration // how long what is not ready is waited for at most, also where a plan says more; 0: not at all
	Every   time.Duration // how often the checks are asked meanwhile; 0: every 30 seconds
	Claim   time.Duration // how often it is looked for what another process has left; 0: every 3 seconds
	Sweep   time.Duration // how often it is looked for what GitHub could not deliver; 0: every 5 minutes
	Report  func(error)   // lets the operator know; nil: nobody
	// Discreet takes out of a finding what a plan does not publish, such as phone numbers: the comments of the gate are
	// for all who may see the run.
	Discreet func(*guard.Plan) func(guard.Finding) guard.Finding
}

// Bounds of a gate.
const (
	longestWait = 29 * 24 * time.Hour // GitHub gives a job up after 30 days
	remembered  = 31 * 24 * time.Hour // for what was answered: so long a message may come again
	settled     = 5 * time.Minute     // before that "no such request" may mean that GitHub has not written its own down yet
	reportsMost = 9                   // GitHub takes ten; one is left for a person who wants to know
	commentMost = 1024                // bytes, which are no more characters than GitHub takes
	callWithin  = 30 * time.Second    // a verdict
	tellWithin  = 5 * time.Second     // a report, which nobody waits for
	keepWithin  = 5 * time.Second     // writing down, of which GitHub waits for the first
	acceptTries = 5                   // while others write under the same key
	asksAtOnce  = 8                   // deployments whose checks are asked at the same time
	sweepBack   = 72 * time.Hour      // as long as GitHub can redeliver
	sweepStatus = 6 * time.Hour
	sweepPress  = 10 * time.Minute
	sweepPages  = 10
	sweepTries  = 10 // deliveries of one message, after which it is tried once an hour
)

// OpenGate makes a gate. Run goes on with what was asked before.
func OpenGate(s GateSetup) (*Gate, error) {
	s.Address, s.Every, s.Sweep = cmp.Or(s.Address, "https://api.github.com"), cmp.Or(s.Every, 30*time.Second), cmp.Or(s.Sweep, 5*time.Minute)
	s.Claim = cmp.Or(s.Claim, 3*time.Second)
	if s.Report == nil {
		s.Report = func(error) {}
	}
	var mistakes []error
	if len(s.Secrets) == 0 || slices.ContainsFunc(s.Secrets, func(secret []byte) bool { return len(secret) == 0 }) {
		mistakes = append(mistakes, errors.New("secret: empty or missing, and everybody could sign (openssl rand -hex 32 makes one)"))
	}
	if s.MaxWait < 0 || s.MaxWait > longestWait {
		mistakes = append(mistakes, fmt.Errorf("max_wait: must be between 0 and %s, for GitHub gives a job up after 30 days", longestWait))
	}
	if s.Every <= 0 || s.Sweep <= 0 || s.Claim <= 0 {
		mistakes = append(mistakes, errors.New("every, sweep, claim: must be longer than nothing"))
	}
	if s.Waits == nil {
		mistakes = append(mistakes, errors.New("waits: missing, and what GitHub waits for has to outlast a restart"))
	}
	if s.Discreet == nil {
		mistakes = append(mistakes, errors.New("discreet: missing, and comments would show phone numbers and addresses"))
	}
	mistakes = append(mistakes, s.App.check())
	if err := checkAddress(s.Address); err != nil {
		mistakes = append(mistakes, fmt.Errorf("address: %w", err))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	g := &Gate{setup: s, news: make(chan struct{}, 1), few: make(chan struct{}, asksAtOnce), busy: map[string]bool{}}
	var err error
	if g.app, err = s.App.client(s.Address); err != nil {
		return nil, err
	}
	g.base = g.app.BaseURL
	return g, nil
}

// protection is what is read of the event deployment_protection_rule.
type protection struct {
	Action      string `json:"action"`
	Event       string `json:"event"` // that has begun the run: "push"
	Environment string `json:"environment"`
	Callback    string `json:"deployment_callback_url"`
	delivery
	Installation *struct {
		ID int64 `json:"id"`
	} `json:"installation"`
}

// ServeHTTP hears GitHub, and answers once it is written down what was asked: GitHub gives up after ten seconds, and what
// checks need is longer.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !hook.Method(w, r, http.MethodPost) {
		return
	}
	answer, err := g.hear(w, r)
	if err != nil {
		hook.Fail(w, r, err)
		return
	}
	hook.Answer(w, http.StatusAccepted, answer)
}

const before = "heard before"

func (g *Gate) hear(w http.ResponseWriter, r *http.Request) (heard, error) {
	body, err := authentic(w, r, g.setup.Secrets)
	if err != nil {
		return heard{}, err
	}
	switch github.WebHookType(r) {
	case "deployment_protection_rule":
	case "check_run":
		return g.press(r, body)
	default:
		return heed(r, body, g.setup.Desk, g.setup.App.ID)
	}
	var m protection
	if err := hook.Decode(body, &m); err != nil {
		return heard{}, err
	}
	if m.Action != "requested" {
		return heard{Did: nothing}, nil
	}
	a, err := g.read(m)
	if err != nil {
		return heard{}, err
	}
	if id := github.DeliveryID(r); id != "" {
		a.Deliveries = []string{hook.Cut(id, 80)}
	}
	fresh, err := g.accept(r.Context(), a)
	switch {
	case err != nil:
		return heard{}, err
	case !fresh:
		return heard{Did: before}, nil
	}
	return heard{Did: "asking the checks"}, nil
}

// read makes of a message what is asked.
func (g *Gate) read(m protection) (*asked, error) {
	m.Status = nil // no part of this event
	release, err := m.release("deployment")
	if err != nil {
		return nil, err
	}
	if err := hook.Name("environment", m.Environment, false); err != nil {
		return nil, err
	}
	release.Environment = m.Environment
	if !fullName.MatchString(m.Repository.FullName) || m.Deployment.ID <= 0 {
		return nil, hook.Refuse(http.StatusBadRequest, "repository.full_name or deployment.id is missing or no name, no number")
	}
	run, err := g.runOf(m.Callback, m.Repository.FullName)
	if err != nil {
		return nil, err
	}
	a := &asked{
		Repository: m.Repository.FullName, Run: run, Environment: m.Environment, Deployment: m.Deployment.ID,
		Event: m.Event, Ref: m.Deployment.Ref, Release: release, Received: time.Now().UTC(), Stage: received, Since: time.Now().UTC(),
	}
	if m.Installation != nil {
		a.Installation = max(m.Installation.ID, 0)
	}
	return a, nil
}

var digits = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)

// runOf reads the number of a run from the address that the answer is to be sent to. It has to be the one that golive
// would make itself, of the API that it was set up with and of the repository that the message is about: whoever gets the
// answer gets a token with it.
func (g *Gate) runOf(callback, repository string) (int64, error) {
	address, err := url.Parse(callback)
	if err == nil && address.Scheme == g.base.Scheme && strings.EqualFold(address.Host, g.base.Host) &&
		address.User == nil && address.RawQuery == "" && !address.ForceQuery && address.Fragment == "" && address.RawPath == "" {
		rest, ours := strings.CutPrefix(address.Path, g.base.Path+"repos/"+repository+"/actions/runs/")
		number, whole := strings.CutSuffix(rest, "/deployment_protection_rule")
		if ours && whole && digits.MatchString(number) {
			return strconv.ParseInt(number, 10, 64)
		}
	}
	return 0, hook.Refuse(http.StatusBadRequest, "deployment_callback_url is not the address of a run of %s at %s", hook.Quote(repository), g.base.Host)
}

// accept writes down what is asked, unless it was heard before: by the same delivery, or in another about the same
// deployment, here or by another server that shares the store. A later deployment of the same run is asked anew.
func (g *Gate) accept(ctx context.Context, a *asked) (fresh bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, keepWithin, fmt.Errorf("no answer within %v", keepWithin))
	defer cancel()
	for range acceptTries {
		version, text, err := g.setup.Waits.Read(ctx, a.key())
		if err != nil {
			return false, err
		}
		if version > 0 {
			old, err := parse(text)
			if err != nil {
				return false, err
			}
			if old.Deployment >= a.Deployment || len(a.Deliveries) > 0 && slices.Contains(old.Deliveries, a.Deliveries[0]) {
				return false, nil
			}
			a.Reports = 0
			if !old.Answered { // GitHub counts the reports of both together
				a.Reports = old.Reports
			}
		}
		kept, err := g.setup.Waits.Offer(ctx, a.key(), version, a.text())
		if err != nil {
			return false, err
		}
		if kept {
			g.wake()
			return true, nil
		}
	}
	return false, errors.New("others write down the same at the same time")
}

// wake lets Run look again.
func (g *Gate) wake() {
	select {
	case g.news <- struct{}{}:
	default: // it will
	}
}

// Run answers what is asked until ctx is over, also what was asked before golive was started, and what another process
// has left that shares the store and stands still. What is not answered when ctx is over is gone on with the next time.
func (g *Gate) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { g.sweeps(ctx) })
	again := time.NewTicker(g.setup.Claim)
	defer again.Stop()
	said := "" // the same problem is told once
	for ctx.Err() == nil {
		err := g.claim(ctx, &all)
		if ctx.Err() == nil {
			said = g.tell(said, err)
		}
		select {
		case <-g.news:
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// tell reports a problem that is another than the one before, and returns what was told last.
func (g *Gate) tell(said string, err error) string {
	if err == nil {
		return ""
	}
	if err.Error() != said {
		g.setup.Report(err)
	}
	return err.Error()
}

// claim goes on with all that nobody does.
func (g *Gate) claim(ctx context.Context, all *sync.WaitGroup) error {
	limited, cancel := context.WithTimeoutCause(ctx, keepWithin, fmt.Errorf("no answer within %v", keepWithin))
	defer cancel()
	var problems []error
	err := g.setup.Waits.Claim(limited, g.goesOn, func(key string, version int64, text []byte) {
		a, err := parse(text)
		if err != nil { // it stays claimed, and is told again when it comes again
			problems = append(problems, err)
			return
		}
		g.mu.Lock()
		g.busy[key] = true
		g.mu.Unlock()
		all.Go(func() { g.settle(ctx, &claimed{asked: *a, version: version}) })
	})
	return errors.Join(append(problems, err)...)
}

// goesOn says whether this process goes on with what has a key.
func (g *Gate) goesOn(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busy[key]
}

// settle goes on with one until it is answered, or somebody else does.
func (g *Gate) settle(ctx context.Context, c *claimed) {
	said, lost := "", false
	defer func() {
		g.mu.Lock()
		delete(g.busy, c.key())
		g.mu.Unlock()
		if lost {
			g.wake() // another deployment may have taken its place
		}
	}()
	for {
		again, err := g.step(ctx, c)
		lost = errors.Is(err, errLost)
		if ctx.Err() != nil || lost {
			return
		}
		said = g.tell(said, err)
		if again <= 0 {
			return
		}
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// A claimed is what this process goes on with, as far as it was written down.
type claimed struct {
	asked
	version         int64
	verdict, others *repository // the ways to GitHub, kept so that each has one token an hour; nil: not made yet
}

// errLost says that another process goes on with what is asked, or that a later deployment has taken its place.
var errLost = errors.New("somebody else goes on with it")

// note writes down how far it is with a deployment. The error is errLost if that is not for this process to say any more;
// after another one it is not known what was written, and what is asked has to be claimed again.
func (g *Gate) note(ctx context.Context, c *claimed, a asked) error {
	if c.Stage != a.Stage {
		a.Since = time.Now().UTC()
	}
	// What was said to GitHub is written down also where golive is being stopped.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), keepWithin, fmt.Errorf("no answer within %v", keepWithin))
	defer cancel()
	kept, err := g.setup.Waits.Keep(ctx, a.key(), c.version, a.text(), a.Answered)
	if err == nil && !kept {
		err = errLost
	}
	if err != nil {
		return &notKept{err}
	}
	c.asked, c.version = a, c.version+1
	return nil
}

// A notKept says that something is not written down, or that it is not known whether it is.
type notKept struct{ error }

func (e *notKept) Unwrap() error { return e.error }

// step asks the checks once, and tells GitHub what came of it. It says when to go on; 0: it is answered, or has to be
// claimed again. A verdict that GitHub has not heard is made anew, for what was true then may not be true now.
func (g *Gate) step(ctx context.Context, c *claimed) (again time.Duration, err error) {
	defer func() {
		var lost *notKept
		if errors.As(err, &lost) {
			again = 0
		}
	}()
	a := c.asked
	if time.Since(a.Received) > longestWait { // the run is over, and the app may be gone
		a.Stage, a.Answered = expired, true
		return 0, errors.Join(fmt.Errorf("%s: GitHub has waited for %v, and has given the job up", &a, longestWait), g.note(ctx, c, a))
	}
	a.Stage = evaluating
	if err := g.note(ctx, c, a); err != nil {
		return 0, err
	}
	if c.verdict == nil {
		if c.verdict, c.others, err = g.ways(a); err != nil {
			return g.setup.Every, err
		}
	}
	result := g.evaluate(ctx, c.others, &a)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	problem := result.problem
	left := time.Until(a.Received.Add(result.wait))
	switch {
	case result.worst == guard.Pass || result.worst == guard.Warn:
		a.Stage = approved
	case left > 0:
		a.Stage = waiting
		if err := g.report(ctx, c.others, c, &a, result.comment(a)); err != nil {
			problem = errors.Join(problem, fmt.Errorf("report on %s: %w", &a, err))
		}
		return min(left, g.setup.Every), errors.Join(problem, g.note(ctx, c, a))
	case result.worst == guard.Fail:
		a.Stage = rejected
	default:
		a.Stage = expired
	}
	a.Said = result.comment(a)
	// What is not written down is not said; and whoever was replaced in the meantime says nothing.
	if err := g.note(ctx, c, a); err != nil {
		return 0, errors.Join(problem, err)
	}
	state := "rejected"
	if a.Stage == approved {
		state = "approved"
	}
	err = g.review(ctx, c.verdict, a, state, a.Said, callWithin)
	var limited *LimitError
	var refused *finalError
	switch {
	case err == nil, errors.As(err, &refused) && time.Since(a.Received) > settled:
		a.Answered = true
		return 0, errors.Join(problem, err, g.note(ctx, c, a))
	case errors.As(err, &limited):
		again = max(time.Until(limited.Until), g.setup.Every)
	default:
		again = g.setup.Every
	}
	return again, errors.Join(problem, err)
}

// ways are two clients. Reports and look-ups have one of their own, so that GitHub's having heard enough of them keeps no
// verdict back; and they leave the end of the quota to the way back, which may be of the same installation.
func (g *Gate) ways(a asked) (verdict, others *repository, err error) {
	s := defaults()
	s.Repository, s.Address, s.Timeout = a.Repository, g.setup.Address, guard.Duration(callWithin)
	s.AppID, s.PrivateKey, s.InstallationID = g.setup.App.ID, g.setup.App.Key, cmp.Or(a.Installation, g.setup.App.Installation)
	needed := &github.InstallationPermissions{Actions: github.String("read"), Deployments: github.String("write")}
	verdict, err = s.open(needed)
	if err == nil {
		s.spares = true
		others, err = s.open(needed)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("answer %s: %w", &a, err)
	}
	return verdict, others, nil
}

// report says what is being waited for, if that is something new and GitHub still listens.
func (g *Gate) report(ctx context.Context, r *repository, c *claimed, a *asked, text string) error {
	if text == a.Said || a.Reports >= reportsMost {
		return nil
	}
	a.Reports, a.Said = a.Reports+1, text
	if err := g.note(ctx, c, *a); err != nil { // first, so that a crash cannot make it say more than it may
		return err
	}
	return g.review(ctx, r, *a, "", text, tellWithin)
}

// A finalError is a no of GitHub that asking again does not change, once the request is not quite new.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// review sends a verdict, or with no state a report. go-github has no method for it.
func (g *Gate) review(ctx context.Context, r *repository, a asked, state, comment string, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("no answer within %v", within))
	defer cancel()
	body := struct {
		Environment string `json:"environment_name"`
		State       string `json:"state,omitempty"`
		Comment     string `json:"comment"`
	}{a.Environment, state, clip(comment, commentMost)}
	request, err := r.api.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/%s/actions/runs/%d/deployment_protection_rule", r.owner, r.name, a.Run), body)
	if err != nil {
		return err
	}
	if _, err = r.api.Do(ctx, request, nil); err == nil {
		return nil
	}
	var said *github.ErrorResponse
	var untrusted *tokenError
	final := errors.As(err, &said) && !errors.As(err, &untrusted) &&
		(said.Response.StatusCode == http.StatusUnprocessableEntity || said.Response.StatusCode == http.StatusNotFound)
	err = r.explain(ctx, need{asked: fmt.Sprintf("a review of %s", &a), permission: "Deployments: write", missing: "somebody has answered already, or the run has ended"}, err)
	if final {
		return &finalError{err}
	}
	return err
}
