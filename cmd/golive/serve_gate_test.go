//go:build unix

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what GitHub still sends, and golive does not take
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/store"
	"github.com/golive-dev/golive/plugins/github/githubtest"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// gateSecret is with what GitHub signs.
const gateSecret = "a secret of the webhook of the app"

// A gated world is a GitHub whose run 42 waits for golive, a plan of what it deploys, and what lies between them.
type gatedWorld struct {
	hub   *githubtest.Hub
	web   *httptest.Server // at which golive reaches the hub
	fleet *fleet
	ready string // a file, without which the plan's own check fails

	mu     sync.Mutex
	before func() // a verdict reaches the hub
	after  func() // it was answered
}

// newGatedWorld has a plan with a check of its own, and more keys of its gate.
func newGatedWorld(t *testing.T, more string) *gatedWorld {
	t.Helper()
	w := &gatedWorld{hub: githubtest.New(t), fleet: newFleet(t, 0), ready: filepath.Join(t.TempDir(), "ready")}
	at, err := url.Parse(w.hub.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(at)
	w.web = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body, r.Host = io.NopCloser(bytes.NewReader(body)), at.Host
		var said struct {
			State string `json:"state"`
		}
		verdict := strings.HasSuffix(r.URL.Path, "/deployment_protection_rule") && json.Unmarshal(body, &said) == nil && said.State != ""
		w.mu.Lock()
		before, after := w.before, w.after
		w.mu.Unlock()
		if verdict && before != nil {
			before()
			panic(http.ErrAbortHandler)
		}
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r)
		if verdict && after != nil {
			after()
			panic(http.ErrAbortHandler)
		}
		for name, values := range answer.Header() {
			out.Header()[name] = values
		}
		out.WriteHeader(answer.Code)
		_, _ = answer.Body.WriteTo(out)
	}))
	t.Cleanup(w.web.Close)
	w.hub.Wait(42, "production")
	w.fleet.add(t, "shop")
	file := filepath.Join(w.fleet.dir, "shop", "golive.yaml")
	plan, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(plan), "environment: test", "environment: production", 1) + fmt.Sprintf(`
checks:
  extra:
    - {id: shop.ready, use: command, with: {run: "test -e %s"}, title: the shop is ready, fix: see runbook 12}
gate: {repositories: [acme/shop]%s}
`, w.ready, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// getReady lets the plan's own check pass from now on.
func (w *gatedWorld) getReady(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(w.ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve starts a server that is the app of the hub.
func (w *gatedWorld) serve(t *testing.T, store, node string, env ...string) *station {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t))
	s := &station{
		args: []string{"serve", "--listen", address, "--plans", w.fleet.dir, "--store", store, "--node", node, "--ttl", "3s"},
		env: append(append(os.Environ(), "GOLIVE_JOURNAL="+t.TempDir(), "GOLIVE_GITHUB_SECRET="+gateSecret, "GOLIVE_GITHUB_API="+w.web.URL,
			fmt.Sprintf("GOLIVE_GITHUB_APP_ID=%d", githubtest.AppID), "GOLIVE_GITHUB_APP_KEY="+w.hub.Key()), env...),
		url: "http://" + address,
		log: &safeBuffer{},
	}
	s.start(t)
	t.Cleanup(func() {
		s.kill()
		text := s.log.String()
		if t.Failed() {
			reports, _, comment := w.hub.Said(42, "production")
			t.Logf("GitHub has heard %q %s; the log of %s ends:\n%s", reports, comment, node, text[max(0, len(text)-6000):])
		}
		if strings.Contains(text, gateSecret) || strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "ghs_of_the_installation") {
			t.Error("the log holds a secret")
		}
	})
	eventually(t, node+" is ready", s.ready)
	return s
}

// message is the one of testdata, as the hub sends it.
func (w *gatedWorld) message(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../plugins/github/testdata/deployment_protection_rule.json")
	if err != nil {
		t.Fatal(err)
	}
	// What there was before the deployment says itself: it is what the traffic of the fleet goes to.
	return strings.NewReplacer(`"payload": {}`, `"payload": {"from": "v1"}`,
		"https://api.github.com/repos/acme/shop/actions/runs/42/deployment_protection_rule", w.callback()).Replace(string(text))
}

func (w *gatedWorld) callback() string {
	return strings.Replace(w.hub.Callback(42), w.hub.URL, w.web.URL, 1)
}

// signature is a header by which GitHub signs.
func signature(name string, sum func() hash.Hash, secret, body string) string {
	mac := hmac.New(sum, []byte(secret))
	mac.Write([]byte(body))
	return name + "=" + hex.EncodeToString(mac.Sum(nil))
}

// deliver sends a message, with other headers where they are given; an empty one is left out.
func deliver(t *testing.T, s *station, body string, headers ...string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url+"/v1/hooks/github/deployment-protection/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "deployment_protection_rule")
	r.Header.Set("X-GitHub-Delivery", "6a1f")
	r.Header.Set("X-Hub-Signature-256", signature("sha256", sha256.New, gateSecret, body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// taken delivers the message, and wants it to be taken.
func (w *gatedWorld) taken(t *testing.T, s *station, says string) {
	t.Helper()
	if status, answer := deliver(t, s, w.message(t)); status != http.StatusAccepted || !strings.Contains(answer, says) {
		t.Fatalf("%d %s, want 202 and %q", status, answer, says)
	}
}

// answered waits for the verdict, and returns it.
func (w *gatedWorld) answered(t *testing.T) (state, comment string) {
	t.Helper()
	eventually(t, "GitHub has heard a verdict", func() bool {
		_, state, comment = w.hub.Said(42, "production")
		return state != ""
	})
	return state, comment
}

// at stops the first verdict, either before it reaches the hub or after that: reached waits until it is there, and goOn
// ends the connection.
func (w *gatedWorld) at(t *testing.T, when *func()) (reached, goOn func()) {
	t.Helper()
	there, done := make(chan struct{}), make(chan struct{})
	goOn = sync.OnceFunc(func() { close(done) })
	t.Cleanup(goOn)
	w.mu.Lock()
	defer w.mu.Unlock()
	*when = func() {
		w.mu.Lock()
		*when = nil
		w.mu.Unlock()
		close(there)
		<-done
	}
	return func() {
		t.Helper()
		select {
		case <-there:
		case <-time.After(patience):
			t.Fatalf("no verdict within %s", patience)
		}
	}, goOn
}

func sqlite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "golive.db") }

// TestServeGate goes all the way with the real server: from the message of GitHub to its one verdict.
func TestServeGate(t *testing.T) {
	t.Run("approved", func(t *testing.T) {
		w := newGatedWorld(t, "")
		w.getReady(t)
		s := w.serve(t, sqlite(t), "one")
		w.taken(t, s, "asking the checks")
		if state, comment := w.answered(t); state != "approved" || !strings.Contains(comment, "**golive: go**") {
			t.Errorf("%s: %s", state, comment)
		}
		w.taken(t, s, "heard before") // it is replayed
		if n := w.hub.Count("POST /repos/acme/shop/actions/runs/42/"); n != 1 {
			t.Errorf("GitHub was told %d times", n)
		}
	})
	t.Run("rejected, once the plan has it wait no longer", func(t *testing.T) {
		w := newGatedWorld(t, ", max_wait: 1s")
		w.taken(t, w.serve(t, sqlite(t), "one"), "asking the checks")
		state, comment := w.answered(t)
		for _, says := range []string{"**golive: no-go**", "shop.ready** fail", "**Remedy:** see runbook 12"} {
			if state != "rejected" || !strings.Contains(comment, says) {
				t.Errorf("%s: %s, want %q", state, comment, says)
			}
		}
	})
	// What kills it between the answer and the verdict, or between the verdict and what it writes down of that, makes it
	// neither silent nor tell two.
	for name, c := range map[string]struct {
		when  func(w *gatedWorld) *func()
		first string // that GitHub has heard when it dies
		state string
		posts int
	}{
		"killed before the verdict": {func(w *gatedWorld) *func() { return &w.before }, "", "rejected", 1},
		"killed after the verdict":  {func(w *gatedWorld) *func() { return &w.after }, "approved", "approved", 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newGatedWorld(t, "")
			w.getReady(t)
			s := w.serve(t, sqlite(t), "one")
			reached, goOn := w.at(t, c.when(w))
			w.taken(t, s, "asking the checks")
			reached()
			s.kill()
			goOn()
			if _, state, _ := w.hub.Said(42, "production"); state != c.first {
				t.Fatalf("GitHub has heard %q, want %q", state, c.first)
			}
			if err := os.Remove(w.ready); err != nil { // what was true before is not true after
				t.Fatal(err)
			}
			s.env = append(s.env, "GOLIVE_GITHUB_MAX_WAIT=0s")
			s.start(t)
			eventually(t, "it has told GitHub again", func() bool { return w.hub.Count("POST /repos/acme/shop/actions/runs/42/") == c.posts })
			if state, _ := w.answered(t); state != c.state {
				t.Errorf("GitHub has heard %s", state)
			}
			eventually(t, "it is answered", func() bool {
				_, answer := deliver(t, s, w.message(t))
				return strings.Contains(answer, "heard before")
			})
			s.kill()
			s.start(t)
			eventually(t, "it is ready", s.ready)
			if n := w.hub.Count("POST /repos/acme/shop/actions/runs/42/"); n != c.posts {
				t.Errorf("GitHub was told %d times, want %d", n, c.posts)
			}
		})
	}
}

// TestServeGateRefuses hears nothing on the real server that may be of somebody else, and asks GitHub nothing because of it.
func TestServeGateRefuses(t *testing.T) {
	w := newGatedWorld(t, "")
	s := w.serve(t, sqlite(t), "one")
	eventually(t, "it has looked for what was not delivered", func() bool { return len(w.hub.Asked()) > 0 })
	whole := w.message(t)
	elsewhere := strings.Replace(whole, w.callback(), "https://evil.test/api/v3/repos/acme/shop/actions/runs/42/deployment_protection_rule", 1)
	const sha256Header, sha1Header = "X-Hub-Signature-256", "X-Hub-Signature"
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
		says    string
	}{
		"unsigned":          {whole, []string{sha256Header, ""}, 401, "is missing"},
		"forged":            {whole, []string{sha256Header, signature("sha256", sha256.New, "guessed", whole)}, 401, "not of the secret"},
		"changed":           {strings.Replace(whole, `"ada"`, `"eve"`, 1), []string{sha256Header, signature("sha256", sha256.New, gateSecret, whole)}, 401, "not of the secret"},
		"SHA-1 alone":       {whole, []string{sha256Header, "", sha1Header, signature("sha1", sha1.New, gateSecret, whole)}, 401, "is missing"},
		"SHA-1 inside":      {whole, []string{sha256Header, signature("sha1", sha1.New, gateSecret, whole)}, 401, "not of the secret"},
		"truncated":         {whole[:900], []string{sha256Header, signature("sha256", sha256.New, gateSecret, whole)}, 401, "not of the secret"},
		"truncated, signed": {whole[:900], nil, 400, "no JSON"},
		"another host":      {elsewhere, nil, 400, "is not the address of a run"},
		"oversized":         {whole + strings.Repeat(" ", hook.BodyBytes), nil, 413, "longer than"},
		"another event":     {whole, []string{"X-GitHub-Event", "totally_new_event"}, 202, "not handled"},
	} {
		if status, answer := deliver(t, s, c.body, c.headers...); status != c.status || !strings.Contains(answer, c.says) || strings.Contains(answer, gateSecret) {
			t.Errorf("%s: %d %s, want %d and %q", name, status, answer, c.status, c.says)
		}
	}
	// What comes after is heard: the reports and the verdict are all that GitHub is told.
	w.getReady(t)
	w.taken(t, s, "asking the checks")
	if state, _ := w.answered(t); state != "approved" || w.hub.Count("POST /repos/acme/shop/actions/runs/42/") != 1 {
		t.Errorf("%s; GitHub was asked %q", state, w.hub.Asked())
	}
}

// TestGateSecret: where the app has a secret of its own, one that repositories know opens nothing at its webhook.
func TestGateSecret(t *testing.T) {
	const own, shared = "a secret of the app alone", "a secret of some repositories"
	kept, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "golive.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	for _, c := range []struct {
		app         []string
		own, shared int
	}{{[]string{own}, 202, 401}, {nil, 401, 202}} {
		p := &program{}
		p.settings.GitHubApp, p.settings.GitHubKey = githubtest.AppID, githubtest.New(t).Key()
		p.settings.GitHubSecrets, p.settings.GitHubAppSecrets = []string{shared}, c.app
		gate, err := p.gate(plugintest.NewDesk(t), kept.Waits("here", time.Minute), time.Minute, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		for secret, want := range map[string]int{own: c.own, shared: c.shared} {
			sum := hmac.New(sha256.New, []byte(secret))
			sum.Write([]byte("{}"))
			r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
			r.Header.Set("X-GitHub-Event", "ping")
			r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
			w := httptest.NewRecorder()
			if gate.ServeHTTP(w, r); w.Code != want {
				t.Errorf("own %q, signed with %q: %d, want %d", c.app, secret, w.Code, want)
			}
		}
	}
}

// TestServeGateTakesOver: what a server has taken on that then dies, another one goes on with that shares its database.
func TestServeGateTakesOver(t *testing.T) {
	w, d := newGatedWorld(t, ""), newDatabase(t)
	w.getReady(t)
	one, two := w.serve(t, d.address(d.port), "one"), w.serve(t, d.address(d.port), "two")
	reached, goOn := w.at(t, &w.before)
	w.taken(t, one, "asking the checks")
	reached() // mostly by one, who has heard of it first
	one.kill()
	goOn()
	if state, _ := w.answered(t); state != "approved" {
		t.Errorf("GitHub has heard %s", state)
	}
	w.taken(t, two, "heard before")
	if n := w.hub.Count("POST /repos/acme/shop/actions/runs/42/"); n != 1 {
		t.Errorf("GitHub was told %d times", n)
	}
}

// TestServeIdentity lets the jobs of a workflow in on the real server, each to what a grant gives it.
func TestServeIdentity(t *testing.T) {
	a, f := newActions(t), newFleet(t, 2)
	s := f.station(t, sqlite(t), "one")
	s.kill()
	s.args = append(s.args, "--oidc", a.issuers(t))
	s.start(t)
	eventually(t, "the server is ready", s.ready)
	open := func(token, service string) (status int, answer string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, s.url+"/v1/rollouts", strings.NewReader(fmt.Sprintf(`{"service": %q, "from": "v1", "to": "v2"}`, service)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", "k")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	other := newActions(t)
	for name, c := range map[string]struct {
		token, service string
		status         int
	}{
		"another service":       {a.sign(t, nil), "svc01", 403},
		"another environment":   {a.sign(t, map[string]any{"environment": "test"}), "svc00", 403},
		"no environment":        {a.sign(t, map[string]any{"environment": nil}), "svc00", 403},
		"another workflow":      {a.sign(t, map[string]any{"job_workflow_ref": "acme/shop/.github/workflows/x.yml@refs/heads/main"}), "svc00", 403},
		"another repository":    {a.sign(t, map[string]any{"repository": "mallory/shop"}), "svc00", 403},
		"another audience":      {a.sign(t, map[string]any{"aud": "https://github.com/acme"}), "svc00", 401},
		"expired":               {a.sign(t, map[string]any{"exp": 1}), "svc00", 401},
		"another issuer":        {other.sign(t, nil), "svc00", 401},
		"signed by another":     {other.sign(t, map[string]any{"iss": a.URL}), "svc00", 401},
		"what the runner knows": {runnerBearer, "svc00", 401},
	} {
		if status, answer := open(c.token, c.service); status != c.status || strings.Contains(answer, c.token) {
			t.Errorf("%s: %d %s, want %d", name, status, answer, c.status)
		}
	}
	code, out, told := calls(t, a.env(s.url), "rollout", "--service", "svc01", "--from", "v1", "--to", "v2", "--detach")
	if code != exitUsage || !strings.Contains(told, "write a grant that fits this job") {
		t.Errorf("exit code %d: %s%s", code, out, told)
	}
	code, out, told = calls(t, a.env(s.url), "rollout", "--service", "svc00", "--from", "v1", "--to", "v2", "--detach")
	if code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, out, told)
	}
	if code, out, told = calls(t, a.env(s.url), "status"); code != exitOK || !strings.Contains(out, "svc00") || strings.Contains(out, "svc01") {
		t.Errorf("exit code %d: %s%s", code, out, told)
	}
	if status, answer := open(a.sign(t, nil), "svc00"); status == 401 || status == 403 {
		t.Errorf("the good job by hand: %d %s", status, answer)
	}
	for _, token := range append(a.tokens(), runnerBearer) {
		if strings.Contains(s.log.String(), token) {
			t.Error("the log of the server holds a token")
		}
	}
	if !strings.Contains(s.log.String(), `"by":"acme/shop"`) {
		t.Error("the log does not say who has opened it")
	}
}
