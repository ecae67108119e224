package github

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what GitHub still sends, and the gate does not take
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/store"
	"github.com/golive-dev/golive/plugins/github/githubtest"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// protected is the message of testdata, as a hub sends it.
func protected(t testing.TB, h *githubtest.Hub) string {
	t.Helper()
	text, err := os.ReadFile("testdata/deployment_protection_rule.json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "https://api.github.com/repos/acme/shop/actions/runs/42/deployment_protection_rule", h.Callback(42))
}

// A world is a gate and all that is around it.
type world struct {
	hub   *githubtest.Hub
	desk  *plugintest.Desk
	gate  *Gate
	setup GateSetup
	store *store.Store

	mu       sync.Mutex
	problems []string
}

var shopPlan = strings.ReplaceAll(plan, "checkout", "shop")

// newWorld has a gate that waits for nothing, and asks often where it is told to wait.
func newWorld(t testing.TB, change func(*GateSetup)) *world {
	t.Helper()
	w := &world{hub: githubtest.New(t), desk: plugintest.NewDesk(t, shopPlan), store: openStore(t)}
	w.hub.Wait(42, "production")
	w.setup = GateSetup{
		Desk: w.desk, Secrets: [][]byte{[]byte(secret)}, App: App{ID: githubtest.AppID, Key: w.hub.Key()}, Address: w.hub.URL,
		Waits: w.store.Waits("here", ttl), Every: 5 * time.Millisecond, Claim: 50 * time.Millisecond, Sweep: time.Hour,
		Discreet: report.Discreet,
		Report: func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.problems = append(w.problems, err.Error())
		},
	}
	if change != nil {
		change(&w.setup)
	}
	w.open(t)
	return w
}

// ttl is how long a process that stands still keeps what it goes on with from others.
const ttl = time.Minute

// openStore is a real one.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	kept, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "golive.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() }) // a test may have closed it
	return kept
}

// kept is what the gate has written down of run 42; nil: nothing.
func (w *world) kept(t testing.TB) *asked {
	t.Helper()
	version, text, err := w.setup.Waits.Read(t.Context(), (&asked{Repository: githubtest.Repository, Run: 42, Environment: "production"}).key())
	if err != nil {
		t.Fatal(err)
	}
	if version == 0 {
		return nil
	}
	a, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// open makes the gate anew, as a restart does.
func (w *world) open(t testing.TB) {
	t.Helper()
	var err error
	if w.gate, err = OpenGate(w.setup); err != nil {
		t.Fatal(err)
	}
}

// run lets the gate work until the test has seen enough.
func (w *world) run(t *testing.T, until func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	var running sync.WaitGroup
	running.Go(func() { w.gate.Run(ctx) })
	defer running.Wait()
	defer stop()
	for !until() {
		if ctx.Err() != nil {
			reports, state, comment := w.hub.Said(42, "production")
			t.Fatalf("a minute is over: reports %q, state %q, comment %q, problems %q", reports, state, comment, w.trouble())
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

func (w *world) trouble() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.problems)
}

func (w *world) state() string {
	_, state, _ := w.hub.Said(42, "production")
	return state
}

// settled says that the gate has written down that it has answered.
func (w *world) settled(t testing.TB) func() bool {
	return func() bool {
		a := w.kept(t)
		return a != nil && a.Answered
	}
}

// request is the message as it comes over the network.
func request(body string, headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "deployment_protection_rule")
	r.Header.Set("X-GitHub-Delivery", "6a1f")
	r.Header.Set("X-Hub-Signature-256", "sha256="+mac(sha256.New, secret, body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return r
}

func (w *world) hears(t testing.TB, r *http.Request, status int, says string) {
	t.Helper()
	answer := httptest.NewRecorder()
	w.gate.ServeHTTP(answer, r)
	if answer.Code != status || !strings.Contains(answer.Body.String(), says) || strings.Contains(answer.Body.String(), secret) {
		t.Errorf("%d %s, want %d and %q", answer.Code, answer.Body, status, says)
	}
}

var (
	passes = guard.Finding{Code: "GL101", ID: "plan.valid", Verdict: guard.Pass}
	stale  = guard.Finding{Code: "GL102", ID: "backup.age", Subject: "orders", Verdict: guard.Fail, Reason: "the last backup is 30h old", Remedy: "run the backup, then check again"}
	absent = guard.Finding{Code: "GL301", ID: "roster.reach", Verdict: guard.Unknown, Reason: "the rota does not answer", Remedy: "ask the rota"}
)

// TestGate goes all the way, from the message of GitHub to the verdict.
func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		findings []guard.Finding
		stage    stage
		state    string
		says     []string
	}{
		"approved":    {[]guard.Finding{passes}, approved, "approved", []string{"**golive: go**", "1 checks, and nothing is in the way"}},
		"a warning":   {[]guard.Finding{passes, {Code: "GL203", ID: "undo", Verdict: guard.Warn, Reason: "slow"}}, approved, "approved", []string{"**GL203 undo** warn: slow"}},
		"rejected":    {[]guard.Finding{absent, passes, stale}, rejected, "rejected", []string{"**golive: no-go**", "**GL102 backup.age** fail: orders the last backup is 30h old", "**Remedy:** run the backup, then check again", "**GL301 roster.reach** unknown"}},
		"unknown":     {[]guard.Finding{passes, absent}, expired, "rejected", []string{"no-go", "could not be found out", "GL301"}},
		"no findings": {[]guard.Finding{}, expired, "rejected", nil},
		"markdown": {[]guard.Finding{{Code: "GL1", ID: "x", Verdict: guard.Fail, Reason: "@ada [click](https://evil.test) <img src=x> #1 `rm`\n## heading"}}, rejected, "rejected",
			[]string{"@<!-- -->ada", "&#91;click&#93;(https:<!-- -->//evil.test)", "&#60;img src=x&#62;", "#<!-- -->1 &#96;rm&#96;"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.desk.Say(c.findings...)
			w.hears(t, request(protected(t, w.hub)), 202, "asking the checks")
			w.run(t, w.settled(t))
			_, state, comment := w.hub.Said(42, "production")
			if state != c.state {
				t.Errorf("GitHub heard %q, want %q (%q)", state, c.state, w.trouble())
			}
			for _, text := range c.says {
				if !strings.Contains(comment, text) {
					t.Errorf("comment %q, want %q", comment, text)
				}
			}
			if a := w.kept(t); a.Stage != c.stage || a.Run != 42 || a.Installation != githubtest.Installation {
				t.Errorf("kept %+v", a)
			}
		})
	}
}

// TestGateWaits for what is not ready, tells of it once, and approves when it is.
func TestGateWaits(t *testing.T) {
	w := newWorld(t, func(s *GateSetup) { s.MaxWait = time.Hour })
	w.desk.Say(stale)
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	asked := 0
	w.run(t, func() bool {
		if w.desk.Asked() > 5 { // it has asked several times, and nothing has changed
			w.desk.Say(passes)
		}
		asked = max(asked, w.desk.Asked())
		return w.settled(t)()
	})
	reports, state, _ := w.hub.Said(42, "production")
	if len(reports) != 1 || state != "approved" || !strings.Contains(reports[0], "not ready, asked again until") || !strings.Contains(reports[0], "GL102") {
		t.Errorf("after %d questions: reports %q, state %q", asked, reports, state)
	}
}

// TestGateReports never more than GitHub takes, whatever changes while it waits.
func TestGateReports(t *testing.T) {
	w := newWorld(t, func(s *GateSetup) { s.MaxWait = time.Hour })
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	n := 0
	w.run(t, func() bool {
		n++
		f := stale
		f.Reason = fmt.Sprintf("the backup is %dh old", n)
		w.desk.Say(f)
		if w.desk.Asked() > 200 {
			w.desk.Say(passes)
		}
		return w.settled(t)()
	})
	reports, state, _ := w.hub.Said(42, "production")
	if len(reports) != reportsMost || state != "approved" || len(w.trouble()) != 0 {
		t.Errorf("%d reports, state %q, problems %q", len(reports), state, w.trouble())
	}
}

// TestGateUnknown: whatever goes wrong, nothing is approved.
func TestGateUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(w *world)
		says   string
	}{
		"the desk is away": {func(w *world) { w.desk.Away(errors.New("the disk of hunter2 is full")) }, "the checks cannot be asked at the moment"},
		"no plan":          {func(w *world) { *w.desk = *plugintest.NewDesk(t) }, "golive has no plan for the service shop and the environment production"},
		"GitHub hides what was deployed before": {func(w *world) {
			w.hub.Break("GET", "/repos/acme/shop/deployments", -1, func(w http.ResponseWriter) { http.Error(w, "down", 500) })
		}, "GitHub does not say what was deployed before"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			c.break_(w)
			w.hears(t, request(protected(t, w.hub)), 202, "asking")
			w.run(t, func() bool { return w.settled(t)() && len(w.trouble()) > 0 })
			_, state, comment := w.hub.Said(42, "production")
			if state != "rejected" || !strings.Contains(comment, c.says) || strings.Contains(comment, "hunter2") {
				t.Errorf("state %q, comment %q, problems %q", state, comment, w.trouble())
			}
		})
	}
}

// TestGateLooksBack asks GitHub what there was before where the deployment does not say it.
func TestGateLooksBack(t *testing.T) {
	w := newWorld(t, nil)
	w.hub.Deployed("production", githubtest.Commit(3), "success")
	w.hub.Deployed("production", githubtest.Commit(1), "success")
	w.hub.Deployed("production", githubtest.Commit(4), "failure")
	w.hub.Deployed("test", githubtest.Commit(5), "success")
	w.hub.Deployed("production", githubtest.Commit(2), "success")
	r, _, err := w.gate.ways(asked{Repository: githubtest.Repository})
	if err != nil {
		t.Fatal(err)
	}
	last, err := r.lastSuccess(t.Context(), "production", githubtest.Commit(2))
	if err != nil || last == nil || last.sha != githubtest.Commit(1) {
		t.Errorf("%+v, %v", last, err)
	}
	if last, err := r.lastSuccess(t.Context(), "staging", ""); err != nil || last != nil {
		t.Errorf("of an environment that never was: %+v, %v", last, err)
	}
}

// TestGateQuota: that GitHub has heard enough reports keeps no verdict back.
func TestGateQuota(t *testing.T) {
	for name, kind := range map[string]githubtest.Limit{"primary": githubtest.Primary, "secondary": githubtest.Secondary, "429": githubtest.TooMany} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *GateSetup) { s.MaxWait = time.Hour })
			w.hub.Limit("POST", "/repos/acme/shop/actions/runs/42/", kind, 1, time.Hour)
			w.desk.Say(stale)
			w.hears(t, request(protected(t, w.hub)), 202, "asking")
			w.run(t, func() bool {
				if len(w.trouble()) > 0 { // the report was refused
					w.desk.Say(passes)
				}
				return w.settled(t)()
			})
			if reports, state, _ := w.hub.Said(42, "production"); state != "approved" || len(reports) != 0 {
				t.Errorf("reports %q, state %q", reports, state)
			}
		})
	}
}

// TestGateRestart goes on with what was received, also where the verdict was made and GitHub has not heard it: then it is
// made anew.
func TestGateRestart(t *testing.T) {
	w := newWorld(t, nil)
	w.hub.Break("POST", "/repos/acme/shop/actions/runs/42/", -1, func(w http.ResponseWriter) { http.Error(w, "down", 502) })
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	w.open(t)
	w.run(t, func() bool { return len(w.trouble()) > 0 }) // approved, and not heard
	w.hub.Mend()
	w.desk.Say(stale)
	w.open(t)
	w.run(t, w.settled(t))
	if state := w.state(); state != "rejected" {
		t.Errorf("what was true before the restart was told after it: %q", state)
	}
	w.open(t)
	w.hears(t, request(protected(t, w.hub)), 202, before)
}

// TestGateTakesOver: what one server has taken on, another that shares the store goes on with once the first is gone; while
// both are there, each deployment has one of them, and GitHub hears one verdict.
func TestGateTakesOver(t *testing.T) {
	w := newWorld(t, func(s *GateSetup) { s.MaxWait = time.Hour })
	w.desk.Say(stale)
	first := w.gate
	gone, leave := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { first.Run(gone) })
	defer running.Wait()
	defer leave()
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	own := w.setup.Waits
	w.setup.Waits = w.store.Waits("there", ttl)
	w.open(t)
	looked := 0 // by the second, while the first lives
	w.run(t, func() bool {
		if w.desk.Asked() < 3 {
			return false
		}
		looked++
		return looked > 20
	})
	if a := w.kept(t); a.Stage != waiting && a.Stage != evaluating || w.state() != "" {
		t.Errorf("kept %+v, and GitHub heard %q", a, w.state())
	}
	if reports, _, _ := w.hub.Said(42, "production"); len(reports) != 1 {
		t.Errorf("both have reported: %q", reports)
	}
	leave()
	running.Wait()
	w.desk.Say(passes)
	if err := own.(*store.Waits).Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.run(t, w.settled(t))
	if reports, state, _ := w.hub.Said(42, "production"); state != "approved" || len(reports) != 1 {
		t.Errorf("reports %q, state %q", reports, state)
	}
	if n := w.hub.Count("POST /repos/acme/shop/actions/runs/42/"); n != 2 {
		t.Errorf("GitHub was told %d times, want one report and one verdict", n)
	}
}

// TestGateReplaced: whoever was replaced while the checks were asked says nothing.
func TestGateReplaced(t *testing.T) {
	w := newWorld(t, nil)
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	var mine []*claimed
	take := func(_ string, version int64, text []byte) {
		a, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		mine = append(mine, &claimed{asked: *a, version: version})
	}
	free := func(string) bool { return false }
	if err := w.setup.Waits.Claim(t.Context(), free, take); err != nil {
		t.Fatal(err)
	}
	if err := w.setup.Waits.Claim(t.Context(), free, take); err != nil { // as after an answer of the store that was lost
		t.Fatal(err)
	}
	if len(mine) != 2 {
		t.Fatalf("claimed %d times", len(mine))
	}
	if again, err := w.gate.step(t.Context(), mine[0]); !errors.Is(err, errLost) || again != 0 {
		t.Errorf("the one that was replaced goes on: %v, %v", again, err)
	}
	if n := w.hub.Count("POST /repos/acme/shop/actions/runs/42/"); n != 0 {
		t.Errorf("and has told GitHub %d times", n)
	}
	if _, err := w.gate.step(t.Context(), mine[1]); err != nil || w.state() != "approved" {
		t.Errorf("the other one: %v, GitHub heard %q", err, w.state())
	}
}

// TestGatePlanWait: a plan says how long is waited for its service, and no plan makes it longer than the server allows.
func TestGatePlanWait(t *testing.T) {
	release := guard.Release{Service: "shop", Environment: "production"}
	for _, c := range []struct{ plan, server, want time.Duration }{
		{0, time.Hour, time.Hour},
		{time.Minute, time.Hour, time.Minute},
		{2 * time.Hour, time.Hour, time.Hour},
		{time.Hour, 0, 0},
	} {
		text := shopPlan
		if c.plan > 0 {
			text = strings.Replace(text, "gate: {", "gate: {max_wait: "+c.plan.String()+", ", 1)
		}
		desk := plugintest.NewDesk(t, text)
		plan, err := desk.Plan(release)
		if err != nil {
			t.Fatal(err)
		}
		g := &Gate{setup: GateSetup{Desk: desk, MaxWait: c.server}}
		if got := g.wait(plan); got != c.want {
			t.Errorf("the plan says %s, the server %s: %s, want %s", c.plan, c.server, got, c.want)
		}
	}
	w := newWorld(t, func(s *GateSetup) {
		s.MaxWait, s.Desk = time.Hour, plugintest.NewDesk(t, strings.Replace(shopPlan, "gate: {", "gate: {max_wait: 1s, ", 1))
	})
	w.setup.Desk.(*plugintest.Desk).Say(stale)
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	w.run(t, w.settled(t))
	if a := w.kept(t); a.Stage != rejected || w.state() != "rejected" {
		t.Errorf("kept %+v", a)
	}
}

// TestGateHearsOnce is about messages that come again: the same one, the same under another name that nobody signs, and
// the next deployment of the same run.
func TestGateHearsOnce(t *testing.T) {
	w := newWorld(t, nil)
	body := protected(t, w.hub)
	w.hears(t, request(body), 202, "asking")
	w.hears(t, request(body), 202, before)
	w.hears(t, request(body, "X-GitHub-Delivery", "another"), 202, before)
	w.run(t, w.settled(t))
	w.hears(t, request(body, "X-GitHub-Delivery", "a third"), 202, before)
	w.hub.Wait(42, "production") // it was run again
	w.desk.Say(stale)
	w.hears(t, request(strings.ReplaceAll(body, "9001", "9002"), "X-GitHub-Delivery", "a fourth"), 202, "asking")
	w.run(t, w.settled(t))
	if state := w.state(); state != "rejected" {
		t.Errorf("the second deployment: %q", state)
	}
	w.hears(t, request(body, "X-GitHub-Delivery", "a fifth"), 202, before)
}

// age has the gate believe that it has heard of run 42 so long ago.
func (w *world) age(t *testing.T, by time.Duration) {
	t.Helper()
	a := w.kept(t)
	version, _, err := w.setup.Waits.Read(t.Context(), a.key())
	if err != nil {
		t.Fatal(err)
	}
	a.Received = a.Received.Add(-by)
	if kept, err := w.setup.Waits.Offer(t.Context(), a.key(), version, a.text()); err != nil || !kept {
		t.Fatal(kept, err)
	}
}

// TestGateStrangers: only the repositories that the plan names are judged by it, and only the jobs that it admits.
func TestGateStrangers(t *testing.T) {
	for name, c := range map[string]struct{ plan, old, new, says string }{
		"another repository":    {strings.Replace(shopPlan, "acme/shop", "acme/web", 1), "", "", "does not speak for this service"},
		"no repository named":   {strings.Replace(shopPlan, "gate:", "tools: []\n#", 1), "", "", "does not speak for this service"},
		"a pull request":        {shopPlan, `"event": "push"`, `"event": "pull_request_target"`, "the event pull_request_target has begun the job"},
		"another branch":        {strings.Replace(shopPlan, "shop]", "shop], refs: [release/*]", 1), "", "", "none of the branches and tags that may deploy"},
		"an admitted one":       {strings.Replace(shopPlan, "shop]", "shop], refs: [main], pull_requests: true", 1), `"event": "push"`, `"event": "pull_request"`, ""},
		"however it is written": {strings.Replace(shopPlan, "acme/shop", "Acme/Shop", 1), "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			desk := plugintest.NewDesk(t, c.plan)
			w := newWorld(t, func(s *GateSetup) { s.Desk, s.MaxWait = desk, time.Hour })
			body := protected(t, w.hub)
			if !strings.Contains(body, c.old) {
				t.Fatal("the fixture has another form")
			}
			w.hears(t, request(strings.Replace(body, c.old, c.new, 1)), 202, "asking")
			w.run(t, w.settled(t))
			want := "approved"
			if c.says != "" {
				want = "rejected"
			}
			if _, state, comment := w.hub.Said(42, "production"); state != want || !strings.Contains(comment, c.says) {
				t.Errorf("%s: %s", state, comment)
			}
		})
	}
}

// TestGateIsDiscreet: a comment at GitHub shows no contact of the roster.
func TestGateIsDiscreet(t *testing.T) {
	desk := plugintest.NewDesk(t, staffed)
	desk.Say(guard.Finding{Code: "GL301", ID: "contact.reachable", Verdict: guard.Fail, Reason: "nobody answers at +8613800000001"})
	w := newWorld(t, func(s *GateSetup) { s.Desk = desk })
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	w.run(t, w.settled(t))
	if _, _, comment := w.hub.Said(42, "production"); strings.Contains(comment, "13800000001") || !strings.Contains(comment, "nobody answers at") {
		t.Errorf("comment %s", comment)
	}
}

// TestGateTooEarly: GitHub may not know its own request yet, which is asked again.
func TestGateTooEarly(t *testing.T) {
	w := newWorld(t, nil)
	w.hub.Break("POST", "/repos/acme/shop/actions/runs/42/", 2, func(w http.ResponseWriter) {
		w.WriteHeader(422)
		io.WriteString(w, `{"message":"No pending deployment requests to approve or reject"}`)
	})
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	w.run(t, w.settled(t))
	if state := w.state(); state != "approved" {
		t.Errorf("GitHub has heard %q, and the gate calls it answered", state)
	}
}

// TestGateEnds where GitHub has given the job up, also if the app is gone.
func TestGateEnds(t *testing.T) {
	w := newWorld(t, nil)
	w.hub.Break("POST", "/app/installations/", -1, func(w http.ResponseWriter) {
		w.WriteHeader(404)
		io.WriteString(w, `{"message":"Not Found"}`)
	})
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	w.age(t, longestWait)
	w.run(t, func() bool { return w.settled(t)() && len(w.trouble()) > 0 })
	if a := w.kept(t); a.Stage != expired || !strings.Contains(strings.Join(w.trouble(), ""), "has given the job up") || w.hub.Count("POST /app/installations/") != 0 {
		t.Errorf("kept %+v, problems %q", a, w.trouble())
	}
}

// TestGateLooksOnce: what there was before is asked once, with one token, however often the checks are.
func TestGateLooksOnce(t *testing.T) {
	w := newWorld(t, func(s *GateSetup) { s.MaxWait = time.Hour })
	w.desk.Say(stale)
	w.hub.Deployed("production", githubtest.Commit(99), "success")
	for i := range 5 {
		w.hub.Deployed("production", githubtest.Commit(100+i), "failure")
	}
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	rounds := w.desk.Asked() + 40
	w.run(t, func() bool { return w.desk.Asked() >= rounds })
	asked, tokens := w.hub.Count("GET /repos/acme/shop/deployments"), w.hub.Count("POST /app/installations/")
	if a := w.kept(t); asked != 1+6 || tokens > 2 || !a.Looked || a.Release.From != githubtest.Commit(99) {
		t.Errorf("%d requests, %d tokens, kept %s", asked, tokens, a.text())
	}
}

// TestGateSecondVerdict ends where somebody else has answered.
func TestGateSecondVerdict(t *testing.T) {
	w := newWorld(t, nil)
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	w.age(t, settled)
	w.hub.Break("POST", "/repos/acme/shop/actions/runs/42/", 1, func(w http.ResponseWriter) {
		w.WriteHeader(422)
		io.WriteString(w, `{"message":"it is approved already"}`)
	})
	w.run(t, func() bool { return w.settled(t)() && len(w.trouble()) > 0 })
	if said := strings.Join(w.trouble(), "\n"); !strings.Contains(said, "somebody has answered already, or the run has ended") {
		t.Errorf("problems %q", said)
	}
	if n := w.hub.Count("POST /repos/acme/shop/actions/runs/42/"); n != 1 {
		t.Errorf("GitHub was asked %d times", n)
	}
}

// TestGateRefuses hears nothing that may be of somebody else, and sends nothing to where it was not set up to.
func TestGateRefuses(t *testing.T) {
	const callback = `"deployment_callback_url": "`
	w := newWorld(t, nil)
	whole := protected(t, w.hub)
	at := func(address string) string { return strings.Replace(whole, w.hub.Callback(42), address, 1) }
	for name, c := range map[string]struct {
		r      *http.Request
		status int
		says   string
	}{
		"unsigned":              {request(whole, "X-Hub-Signature-256", ""), 401, "X-Hub-Signature-256 is missing"},
		"SHA-1 alone":           {request(whole, "X-Hub-Signature-256", "", "X-Hub-Signature", "sha1="+mac(sha1.New, secret, whole)), 401, "X-Hub-Signature-256 is missing"},
		"SHA-1 inside":          {request(whole, "X-Hub-Signature-256", "sha1="+mac(sha1.New, secret, whole)), 401, "not of the secret"},
		"forged":                {request(whole, "X-Hub-Signature-256", "sha256="+mac(sha256.New, "guessed", whole)), 401, "not of the secret"},
		"changed":               {request(strings.Replace(whole, "production", "prod", 1), "X-Hub-Signature-256", "sha256="+mac(sha256.New, secret, whole)), 401, "not of the secret"},
		"truncated, signed":     {request(whole[:900]), 400, "no JSON"},
		"truncated":             {request(whole[:900], "X-Hub-Signature-256", "sha256="+mac(sha256.New, secret, whole)), 401, "not of the secret"},
		"oversized":             {request(whole + strings.Repeat(" ", hook.BodyBytes)), 413, "longer than"},
		"a form":                {request(whole, "Content-Type", "application/x-www-form-urlencoded"), 415, "application/json"},
		"another host":          {request(at("https://evil.test/api/v3/repos/acme/shop/actions/runs/42/deployment_protection_rule")), 400, "is not the address of a run"},
		"another scheme":        {request(at(strings.Replace(w.hub.Callback(42), "http:", "https:", 1))), 400, "is not the address of a run"},
		"a user":                {request(at(strings.Replace(w.hub.Callback(42), "//", "//me@", 1))), 400, "is not the address of a run"},
		"another port":          {request(at(strings.Replace(w.hub.Callback(42), "/api", "0/api", 1))), 400, "is not the address of a run"},
		"another repository":    {request(at(strings.Replace(w.hub.Callback(42), "shop", "other", 1))), 400, "is not the address of a run"},
		"up and down":           {request(at(strings.Replace(w.hub.Callback(42), "/runs/", "/runs/../runs/", 1))), 400, "is not the address of a run"},
		"escaped":               {request(at(strings.Replace(w.hub.Callback(42), "/runs/", "%2Fruns/", 1))), 400, "is not the address of a run"},
		"a query":               {request(at(w.hub.Callback(42) + "?x=1")), 400, "is not the address of a run"},
		"a fragment":            {request(at(w.hub.Callback(42) + "#x")), 400, "is not the address of a run"},
		"no number":             {request(at(strings.Replace(w.hub.Callback(42), "42", "4x", 1))), 400, "is not the address of a run"},
		"a number of 30 digits": {request(at(strings.Replace(w.hub.Callback(42), "42", strings.Repeat("9", 30), 1))), 400, "is not the address of a run"},
		"no address":            {request(strings.Replace(whole, callback, `"unused": "`, 1)), 400, "is not the address of a run"},
		"no deployment":         {request(strings.Replace(whole, `"deployment":`, `"unused":`, 1)), 400, "deployment is missing"},
		"no repository":         {request(strings.Replace(whole, `"repository":`, `"unused":`, 1)), 400, "repository.name is missing"},
		"a strange repository":  {request(strings.Replace(whole, `"full_name": "acme/shop"`, `"full_name": "acme/.."`, 1)), 400, "is not the address of a run"},
		"no environment":        {request(strings.ReplaceAll(whole, `"production"`, `""`)), 400, "environment is missing"},
		"another action":        {request(strings.Replace(whole, `"requested"`, `"created"`, 1)), 202, nothing},
		"a new event":           {request(whole, "X-GitHub-Event", "totally_new_event"), 202, nothing},
		"ping":                  {request(`{}`, "X-GitHub-Event", "ping"), 202, "pong"},
		"GET":                   {httptest.NewRequest("GET", "/", nil), 405, "POST"},
	} {
		t.Run(name, func(t *testing.T) {
			w.hears(t, c.r, c.status, c.says)
			if a := w.kept(t); a != nil {
				t.Errorf("kept %+v", a)
			}
		})
	}
	if n := len(w.hub.Asked()); n != 0 || w.desk.Asked() != 0 {
		t.Errorf("GitHub was asked %d times, and the desk %d times", n, w.desk.Asked())
	}
}

// TestGateIsDurable: what cannot be kept is not heard, and GitHub is told to try again.
func TestGateIsDurable(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.hears(t, request(protected(t, w.hub)), 503, "try again")
}

func TestGateMistakes(t *testing.T) {
	h := githubtest.New(t)
	for name, c := range map[string]struct {
		change func(*GateSetup)
		says   string
	}{
		"no secret":    {func(s *GateSetup) { s.Secrets = nil }, "secret: empty or missing"},
		"empty secret": {func(s *GateSetup) { s.Secrets = [][]byte{[]byte(secret), {}} }, "secret: empty or missing"},
		"no app":       {func(s *GateSetup) { s.App = App{} }, "app_id: missing"},
		"no key":       {func(s *GateSetup) { s.App.Key = "hunter2" }, "private_key: is not an RSA key"},
		"no store":     {func(s *GateSetup) { s.Waits = nil }, "waits: missing"},
		"a long wait":  {func(s *GateSetup) { s.MaxWait = 30 * 24 * time.Hour }, "max_wait: must be between"},
		"open network": {func(s *GateSetup) { s.Address = "http://ghe.acme.test" }, "address: must begin with https://"},
	} {
		s := GateSetup{Desk: plugintest.NewDesk(t), Secrets: [][]byte{[]byte(secret)}, App: App{ID: 7, Key: h.Key()}, Address: h.URL, Waits: new(store.Waits)}
		c.change(&s)
		_, err := OpenGate(s)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
}

// TestGateSweep has redelivered what never arrived, and nothing else.
func TestGateSweep(t *testing.T) {
	w := newWorld(t, nil)
	w.hub.Pages(2)
	add := func(id int64, guid, event string, status int, ago time.Duration) {
		w.hub.Add("deliveries", githubtest.Object{"id": id, "guid": guid, "event": event, "status_code": status, "delivered_at": time.Now().Add(-ago).UTC().Format(time.RFC3339)})
	}
	const event = "deployment_protection_rule"
	add(1, "too old", event, 502, 80*time.Hour)
	add(2, "lost", event, 502, 3*time.Hour)
	add(3, "came later", event, 502, 2*time.Hour)
	add(4, "came later", event, 202, time.Hour)
	add(5, "lost", event, 0, time.Hour)
	add(6, "of another kind", "push", 502, time.Hour)
	for i := range int64(10) {
		add(10+i, "hopeless", event, 400, 30*time.Minute)
	}
	press := func(id int64, guid, action string, status int, ago time.Duration) {
		w.hub.Add("deliveries", githubtest.Object{"id": id, "guid": guid, "event": "check_run", "action": action, "status_code": status, "delivered_at": time.Now().Add(-ago).UTC().Format(time.RFC3339)})
	}
	press(30, "an old press", "requested_action", 502, time.Hour)
	add(40, "a lost status", "deployment_status", 502, 20*time.Minute)
	add(41, "an old status", "deployment_status", 502, 20*time.Hour)
	add(42, "a refused status", "deployment_status", 404, 20*time.Minute)
	press(50, "a press", "requested_action", 502, time.Minute)
	press(60, "no press", "completed", 502, time.Minute)
	if err := w.gate.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var again []int64
	for _, o := range w.hub.List("redelivered") {
		again = append(again, int64(o["id"].(float64)))
	}
	if slices.Sort(again); !slices.Equal(again, []int64{5, 40, 50}) {
		t.Errorf("redelivered %v", again)
	}
	w.hub.Limit("GET", "/app/hook/deliveries", githubtest.TooMany, -1, time.Hour)
	var limited *LimitError
	if err := w.gate.sweep(t.Context()); !errors.As(err, &limited) {
		t.Errorf("error %v, want the limit", err)
	}
}

// TestGateForgets what no run can wait for any more, and nothing else. What is kept says itself when it changed last, so
// that the store is asked for a time to come.
func TestGateForgets(t *testing.T) {
	w := newWorld(t, nil)
	w.hears(t, request(protected(t, w.hub)), 202, "asking")
	forget := func(before time.Time) {
		if err := w.setup.Waits.Forget(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	if forget(time.Now().Add(time.Hour)); w.kept(t) == nil {
		t.Error("forgot what is not answered")
	}
	w.run(t, w.settled(t))
	if err := w.gate.forget(t.Context()); err != nil || w.kept(t) == nil {
		t.Errorf("forgot what was answered just now: %v", err)
	}
	if forget(time.Now().Add(time.Hour)); w.kept(t) != nil {
		t.Error("knows what was answered")
	}
}

// TestComment fits into what GitHub takes, on a whole character, and keeps the worst.
func TestComment(t *testing.T) {
	for _, n := range []int{1, 3, 30, 300} {
		for _, text := range []string{"é", "<*_&>", "word ", "\U0001F600"} {
			j := judgement{worst: guard.Fail}
			for i := range n {
				j.findings = append(j.findings, guard.Finding{Code: fmt.Sprintf("GL%d", i), ID: "x", Verdict: guard.Warn, Reason: strings.Repeat(text, 300), Remedy: strings.Repeat(text, 300)})
			}
			j.findings = append(j.findings, stale)
			got := j.comment(asked{Stage: rejected, Release: release})
			if len(got) > commentMost || !utf8.ValidString(got) || !strings.Contains(got, "GL102") {
				t.Errorf("%d findings of %q: %d bytes: %s", n, text, len(got), got)
			}
			if n == 300 && !strings.Contains(got, " more") {
				t.Errorf("nothing counts what is left out: %s", got)
			}
		}
	}
	for most := range 12 {
		if got := clip("aé\U0001F600éé", max(most, 3)); len(got) > max(most, 3) || !utf8.ValidString(got) {
			t.Errorf("clip to %d: %q", most, got)
		}
	}
}

func FuzzGate(f *testing.F) {
	// Without an app, whose key takes longer to make and to read than all the rest.
	base := &url.URL{Scheme: "https", Host: "api.github.com", Path: "/"}
	text, err := os.ReadFile("testdata/deployment_protection_rule.json")
	if err != nil {
		f.Fatal(err)
	}
	whole := string(text)
	f.Add("deployment_protection_rule", []byte(whole))
	f.Add("deployment_protection_rule", []byte(strings.ReplaceAll(whole, "api.github.com", "evil.test")))
	f.Add("deployment_protection_rule", []byte(`{"action":"requested"}`))
	f.Add("deployment", []byte(whole))
	f.Add("ping", []byte(`{}`))
	kept := openStore(f).Waits("here", ttl)
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		g := &Gate{
			setup: GateSetup{Desk: plugintest.NewDesk(t, shopPlan), Secrets: [][]byte{[]byte(secret)}, Waits: kept},
			base:  base, news: make(chan struct{}, 1),
		}
		var all []*asked
		claim := func() {
			all = nil
			if err := kept.Claim(t.Context(), func(string) bool { return false }, func(key string, version int64, text []byte) {
				a, err := parse(text)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, a)
				if done, err := kept.Keep(t.Context(), key, version, text, true); err != nil || !done {
					t.Fatalf("%v, %v", done, err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := kept.Forget(t.Context(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		send := func(key string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			r.Header["X-Github-Event"] = []string{event}
			r.Header.Set(github.SHA256SignatureHeader, "sha256="+mac(sha256.New, key, string(body)))
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			claim()
			return w
		}
		if w := send("another"); w.Code/100 != 4 || len(all) > 0 {
			t.Errorf("forged: %d %s", w.Code, w.Body)
		}
		w := send(secret)
		if !json.Valid(w.Body.Bytes()) || w.Code/100 == 5 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		for _, a := range all {
			if w.Code != 202 || a.Run <= 0 || a.Deployment <= 0 || !fullName.MatchString(a.Repository) || a.Release.To == "" {
				t.Errorf("%d %s, kept %+v", w.Code, w.Body, a)
			}
		}
	})
}
