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
//	Secret        one of those in GOLIVE_GITHUB_SECRET where golive serve runs
//	Permissions   Actions: read, Deployments: read and write; for buttons (see NewNotifier) Checks: write
//	Events        Deployment protection rule, Deployment, Deployment status; for buttons Check run
//
// Install it in the repository, and switch it on in the environment (Settings, Environments, Deployment protection rules).
// golive serve has to know the app: GOLIVE_GITHUB_APP_ID, and its private key in GOLIVE_GITHUB_APP_KEY. An app has one
// address for all of its events, so those about deployments are heard here as well (see NewHook).
//
// Which service and which version there was before is as with NewHook; if the deployment does not say the latter, it is
// the last other commit that was deployed to the environment with success.
type Gate struct {
	setup GateSetup
	base  *url.URL // of the API
	news  chan struct{}
	few   chan struct{} // holds a place for each who asks the checks
	app   *github.Client

	mu    sync.Mutex
	known map[string]*asked
	busy  map[string]bool // somebody goes on with it
}

// GateSetup is what a gate needs.
type GateSetup struct {
	Desk    guard.Desk
	Secrets [][]byte // that GitHub signs with; several while one takes the place of another
	App     App
	Address string        // of the API; empty: https://api.github.com
	Dir     string        // where it is kept what GitHub waits for
	MaxWait time.Duration // how long what is not ready is waited for; 0: not at all
	Every   time.Duration // how often the checks are asked meanwhile; 0: every 30 seconds
	Sweep   time.Duration // how often it is looked for what GitHub could not deliver; 0: every 5 minutes
	Report  func(error)   // lets the operator know; nil: nobody
}

// Bounds of a gate.
const (
	longestWait = 29 * 24 * time.Hour // GitHub gives a job up after 30 days
	remembered  = 31 * 24 * time.Hour // for what was answered: so long a message may come again
	reportsMost = 9                   // GitHub takes ten; one is left for a person who wants to know
	commentMost = 1024                // bytes, which are no more characters than GitHub takes
	callWithin  = 30 * time.Second    // a verdict
	tellWithin  = 5 * time.Second     // a report, which nobody waits for
	asksAtOnce  = 8                   // deployments whose checks are asked at the same time
	sweepBack   = 72 * time.Hour      // as long as GitHub can redeliver
	sweepPages  = 10
	sweepTries  = 10 // deliveries of one message, after which it is tried once an hour
)

// OpenGate reads what was asked before. Run goes on with it.
func OpenGate(s GateSetup) (*Gate, error) {
	s.Address, s.Every, s.Sweep = cmp.Or(s.Address, "https://api.github.com"), cmp.Or(s.Every, 30*time.Second), cmp.Or(s.Sweep, 5*time.Minute)
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
	if s.Every <= 0 || s.Sweep <= 0 {
		mistakes = append(mistakes, errors.New("every, sweep: must be longer than nothing"))
	}
	if s.Dir == "" {
		mistakes = append(mistakes, errors.New("directory: missing, and what GitHub waits for has to outlast a restart"))
	}
	mistakes = append(mistakes, s.App.check())
	if err := checkAddress(s.Address); err != nil {
		mistakes = append(mistakes, fmt.Errorf("address: %w", err))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	g := &Gate{setup: s, news: make(chan struct{}, 1), few: make(chan struct{}, asksAtOnce), busy: map[string]bool{}}
	set := defaults()
	made, err := set.Client()
	if err != nil {
		return nil, err
	}
	signs, err := s.App.sign(patient{bounded{made.Transport}})
	if err != nil {
		return nil, err
	}
	own := *made
	own.Transport = signs
	if g.app, err = enterprise(&own, s.Address); err != nil {
		return nil, err
	}
	g.base = g.app.BaseURL
	if g.known, err = kept(s.Dir); err != nil {
		return nil, fmt.Errorf("read what GitHub waits for: %w", err)
	}
	return g, nil
}

// protection is what is read of the event deployment_protection_rule.
type protection struct {
	Action      string `json:"action"`
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
	if github.WebHookType(r) != "deployment_protection_rule" {
		return heed(r, body, g.setup.Desk, g.remark)
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
	fresh, err := g.accept(a)
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
		Release: release, Received: time.Now().UTC(), Stage: received, Since: time.Now().UTC(),
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
// deployment. A later deployment of the same run is asked anew.
func (g *Gate) accept(a *asked) (fresh bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.known[a.key()]; old != nil {
		if old.Deployment >= a.Deployment || len(a.Deliveries) > 0 && slices.Contains(old.Deliveries, a.Deliveries[0]) {
			return false, nil
		}
		if !old.Answered { // GitHub counts the reports of both together
			a.Reports = old.Reports
		}
	}
	if err := keep(g.setup.Dir, a); err != nil {
		return false, err
	}
	g.known[a.key()] = a
	g.wake()
	return true, nil
}

// wake lets Run look again.
func (g *Gate) wake() {
	select {
	case g.news <- struct{}{}:
	default: // it will
	}
}

// Run answers what is asked until ctx is over, also what was asked before golive was started. What is not answered then is
// gone on with the next time.
func (g *Gate) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { g.sweeps(ctx) })
	for ctx.Err() == nil {
		for _, key := range g.idle() {
			all.Go(func() { g.settle(ctx, key) })
		}
		select {
		case <-g.news:
		case <-ctx.Done():
		}
	}
}

// idle are those that are not answered, and that nobody goes on with; whoever gets them does.
func (g *Gate) idle() (keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, a := range g.known {
		if !a.Answered && !g.busy[key] {
			g.busy[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// settle goes on with one until it is answered.
func (g *Gate) settle(ctx context.Context, key string) {
	defer func() {
		g.mu.Lock()
		delete(g.busy, key)
		g.mu.Unlock()
		if ctx.Err() == nil {
			g.wake() // another deployment may have taken its place
		}
	}()
	said := "" // the same problem is told once
	for {
		again, err := g.step(ctx, key)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			g.setup.Report(err)
		}
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

// look is a copy of what is known under a key.
func (g *Gate) look(key string) asked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *g.known[key]
}

// note writes down how far it is with a deployment, unless a later one has taken its place.
func (g *Gate) note(a asked) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.known[a.key()]
	if now.Deployment != a.Deployment {
		return nil
	}
	if now.Stage != a.Stage {
		a.Since = time.Now().UTC()
	}
	if err := keep(g.setup.Dir, &a); err != nil {
		return err
	}
	g.known[a.key()] = &a
	return nil
}

// step asks the checks once, and tells GitHub what came of it. It says when to go on; 0: it is answered. A verdict that
// GitHub has not heard is made anew, for what was true then may not be true now.
func (g *Gate) step(ctx context.Context, key string) (again time.Duration, err error) {
	a := g.look(key)
	if a.Answered {
		return 0, nil
	}
	a.Stage = evaluating
	if err := g.note(a); err != nil {
		return g.setup.Every, err
	}
	verdict, reports, err := g.ways(a)
	if err != nil {
		return g.setup.Every, err
	}
	result := g.evaluate(ctx, verdict, a)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	problem := result.problem
	left := time.Until(a.Received.Add(g.setup.MaxWait))
	switch {
	case result.worst == guard.Pass || result.worst == guard.Warn:
		a.Stage = approved
	case left > 0:
		a.Stage = waiting
		if err := g.report(ctx, reports, &a, result.comment(a, g.setup.MaxWait)); err != nil {
			problem = errors.Join(problem, fmt.Errorf("report on %s: %w", &a, err))
		}
		return min(left, g.setup.Every), errors.Join(problem, g.note(a))
	case result.worst == guard.Fail:
		a.Stage = rejected
	default:
		a.Stage = expired
	}
	a.Said = result.comment(a, g.setup.MaxWait)
	if err := g.note(a); err != nil { // what is not written down is not said
		return g.setup.Every, errors.Join(problem, err)
	}
	state := "rejected"
	if a.Stage == approved {
		state = "approved"
	}
	err = g.review(ctx, verdict, a, state, a.Said, callWithin)
	var limited *LimitError
	var refused *finalError
	switch {
	case err == nil, errors.As(err, &refused):
		a.Answered = true
		return 0, errors.Join(problem, err, g.note(a))
	case errors.As(err, &limited):
		again = max(time.Until(limited.Until), g.setup.Every)
	default:
		again = g.setup.Every
	}
	return again, errors.Join(problem, err)
}

// ways are two clients: reports have one of their own, so that GitHub's having heard enough of them keeps no verdict back.
func (g *Gate) ways(a asked) (verdict, reports *repository, err error) {
	s := defaults()
	s.Repository, s.Address, s.Timeout = a.Repository, g.setup.Address, guard.Duration(callWithin)
	s.AppID, s.PrivateKey, s.InstallationID = g.setup.App.ID, g.setup.App.Key, cmp.Or(a.Installation, g.setup.App.Installation)
	needed := &github.InstallationPermissions{Actions: github.String("read"), Deployments: github.String("write")}
	verdict, err = s.open(needed)
	if err == nil {
		reports, err = s.open(needed)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("answer %s: %w", &a, err)
	}
	return verdict, reports, nil
}

// report says what is being waited for, if that is something new and GitHub still listens.
func (g *Gate) report(ctx context.Context, r *repository, a *asked, text string) error {
	if text == a.Said || a.Reports >= reportsMost {
		return nil
	}
	a.Reports, a.Said = a.Reports+1, text
	if err := g.note(*a); err != nil { // first, so that a crash cannot make it say more than it may
		return err
	}
	return g.review(ctx, r, *a, "", text, tellWithin)
}

// A finalError is a no of GitHub that asking again does not change.
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
