package github

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what GitHub still sends, and the hook does not take
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const (
	secret = "it is a secret of the hook"
	plan   = `
service: checkout
environment: production
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
gate: {repositories: [acme/checkout]}
`
)

func mac(of func() hash.Hash, key, body string) string {
	m := hmac.New(of, []byte(key))
	m.Write([]byte(body))
	return hex.EncodeToString(m.Sum(nil))
}

// statusOf writes the event of a deployment's status, number n.
func statusOf(n int, state, payload string) string {
	return fmt.Sprintf(`{"action":"created","deployment_status":{"id":%d,"state":%q,"environment":"production","description":"job 7","log_url":"https://ci"},
		"deployment":{"id":145988746,"sha":%q,"ref":"main","environment":"production","task":"deploy","payload":%s},
		"repository":{"name":"checkout","full_name":"acme/checkout"},"sender":{"login":"ada"}}`, n, state, sha, payload)
}

// A message is what GitHub sends; a header without a value is left out.
type message struct{ event, body, sha256, sha1, contentType string }

func signedMessage(event, body string) message {
	return message{event, body, "sha256=" + mac(sha256.New, secret, body), "sha1=" + mac(sha1.New, secret, body), "application/json"}
}

func (m message) send(t testing.TB, d guard.Desk, secrets ...string) (*httptest.ResponseRecorder, []error) {
	t.Helper()
	var keys [][]byte
	for _, s := range secrets {
		keys = append(keys, []byte(s))
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(m.body))
	for name, value := range map[string]string{
		"X-GitHub-Event": m.event, "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "Content-Type": m.contentType,
		"X-Hub-Signature-256": m.sha256, "X-Hub-Signature": m.sha1,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	var reported []error
	r = r.WithContext(hook.WithReport(r.Context(), func(err error) { reported = append(reported, err) }))
	w := httptest.NewRecorder()
	NewHook(d, keys...).ServeHTTP(w, r)
	return w, reported
}

// TestDeployment follows one deployment from its creation to the end of its rollout.
func TestDeployment(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	say := func(event, body, want string) {
		t.Helper()
		for range 2 { // GitHub may send everything again
			if w, _ := signedMessage(event, body).send(t, d, "an old one", secret); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
				t.Fatalf("%d %s, want %s", w.Code, w.Body, want)
			}
		}
	}
	const none = `{"did":"nothing: no rollout of it is under way"}`
	say("ping", `{"zen":"Keep it logically awesome."}`, `{"did":"pong"}`)
	created := strings.Replace(statusOf(0, "", "{}"), `"deployment_status"`, `"unused"`, 1)
	say("deployment", created, none)
	say("deployment_status", statusOf(1, "in_progress", "{}"), none)
	say("deployment_status", statusOf(2, "success", `{"from":"8c1f0a6","password":"hunter2"}`), `{"did":"watching","rollout":"checkout-1"}`)
	want := guard.Release{ID: "checkout-1", Service: "checkout", Environment: "production", From: "8c1f0a6", To: sha}
	if got := d.Rollouts(); len(got) != 1 || got[0] != want {
		t.Errorf("opened %+v, want %+v", got, want)
	}
	if _, s, err := d.Get(t.Context(), "checkout-1"); err != nil || s.Purpose != guard.ToWatch {
		t.Errorf("opened to %s, %v", s.Purpose, err)
	}
	if text := string(d.Deliveries()[0].Body); strings.Contains(text, "hunter2") || !strings.Contains(text, sha) {
		t.Errorf("recorded %s", text)
	}
	d.Watch(t, "checkout-1", 10, judge.Continue)
	say("deployment_status", statusOf(3, "success", "{}"), `{"did":"watching","rollout":"checkout-1"}`)
	say("deployment_status", statusOf(4, "failure", "{}"), `{"did":"noted","rollout":"checkout-1"}`)
	say("deployment", created, `{"did":"noted","rollout":"checkout-1"}`)
	facts := []guard.Fact{
		guard.Noted{Text: "GitHub says that the deployment has succeeded", By: "github"},
		guard.Noted{Text: "GitHub says that the deployment 145988746 is failure: job 7", By: "github"},
		guard.Noted{Text: "GitHub has the deployment 145988746 of " + sha, By: "github"},
	}
	if diff := cmp.Diff(facts, d.Told("checkout-1")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	d.Watch(t, "checkout-1", 10, judge.Regressed)
	d.Happen(t, "checkout-1", guard.Shifted{})
	d.Happen(t, "checkout-1", guard.Verified{Findings: []guard.Finding{{ID: "up", Verdict: guard.Pass}}})
	say("deployment_status", statusOf(5, "inactive", "{}"), none)
}

func TestPayload(t *testing.T) {
	for name, c := range map[string]struct{ payload, service, from, refused string }{
		"none":             {`{}`, "checkout", "", ""},
		"null":             {`null`, "checkout", "", ""},
		"a list":           {`[]`, "checkout", "", ""},
		"a text":           {`"deploy it"`, "checkout", "", ""},
		"an object":        {`{"service":"cart","from":"v1","other":7}`, "cart", "v1", ""},
		"a text of one":    {`"{\"service\":\"cart\"}"`, "cart", "", ""},
		"another type":     {`{"service":7}`, "", "", "has to be a string"},
		"from the same":    {`{"from":"` + sha + `"}`, "", "", "would take the place of itself"},
		"a rude service":   {`{"service":"a\nb"}`, "", "", "holds characters that no name has"},
		"a lengthy origin": {`{"from":"` + strings.Repeat("x", 201) + `"}`, "", "", "from is longer than 200 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan, strings.Replace(plan, "checkout", "cart", 1))
			w, _ := signedMessage("deployment_status", statusOf(1, "success", c.payload)).send(t, d, secret)
			if c.refused != "" {
				if w.Code != 400 || !strings.Contains(w.Body.String(), c.refused) || len(d.Rollouts()) != 0 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				return
			}
			if got := d.Rollouts(); w.Code != 200 || len(got) != 1 || got[0].Service != c.service || got[0].From != c.from {
				t.Errorf("%d %s, opened %+v", w.Code, w.Body, got)
			}
		})
	}
}

// TestSignature hears nothing that SHA-256 and one of the secrets do not vouch for.
func TestSignature(t *testing.T) {
	good := signedMessage("deployment_status", statusOf(1, "success", "{}"))
	with := func(change func(*message)) message { m := good; change(&m); return m }
	for name, c := range map[string]struct {
		message message
		secrets []string
		status  int
		says    string
	}{
		"good":            {good, []string{secret}, 200, "watching"},
		"the new of two":  {good, []string{"old", secret}, 200, "watching"},
		"none":            {with(func(m *message) { m.sha256, m.sha1 = "", "" }), []string{secret}, 401, "X-Hub-Signature-256 is missing"},
		"only SHA-1":      {with(func(m *message) { m.sha256 = "" }), []string{secret}, 401, "X-Hub-Signature-256 is missing"},
		"SHA-1 inside":    {with(func(m *message) { m.sha256 = m.sha1 }), []string{secret}, 401, "the signature is not of the secret"},
		"another secret":  {good, []string{"another"}, 401, "the signature is not of the secret"},
		"another body":    {with(func(m *message) { m.body += " " }), []string{secret}, 401, "the signature is not of the secret"},
		"no hex":          {with(func(m *message) { m.sha256 = "sha256=zz" }), []string{secret}, 401, "the signature is not of the secret"},
		"half":            {with(func(m *message) { m.sha256 = m.sha256[:20] }), []string{secret}, 401, "the signature is not of the secret"},
		"no secrets":      {good, nil, 401, "the signature is not of the secret"},
		"an empty secret": {with(func(m *message) { m.sha256 = "sha256=" + mac(sha256.New, "", m.body) }), []string{""}, 401, "the signature is not of the secret"},
		"a form":          {with(func(m *message) { m.contentType = "application/x-www-form-urlencoded; charset=utf-8" }), []string{secret}, 415, "set the content type of the webhook to application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			w, _ := c.message.send(t, d, c.secrets...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), secret) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if (d.Asked() > 0) != (c.status == 200) {
				t.Errorf("the desk was asked %d times", d.Asked())
			}
		})
	}
}

// TestStrangers: whoever may write in another repository speaks for nobody's service but that of plans that name it.
func TestStrangers(t *testing.T) {
	whole := statusOf(1, "success", `{"service":"checkout","from":"bad"}`)
	d := plugintest.NewDesk(t, plan, strings.Replace(strings.Replace(plan, "checkout", "bare", 1), "gate:", "#", 1))
	for name, body := range map[string]string{
		"of the same name": strings.ReplaceAll(whole, "acme/checkout", "evil/checkout"),
		"of another name":  strings.ReplaceAll(strings.ReplaceAll(whole, "acme/checkout", "evil/toy"), `"name":"checkout"`, `"name":"toy"`),
		"without a name":   strings.ReplaceAll(whole, "full_name", "unused"),
		"no plan says who": strings.ReplaceAll(whole, `"service":"checkout"`, `"service":"bare"`),
		"a note":           strings.ReplaceAll(strings.ReplaceAll(whole, "acme/checkout", "evil/checkout"), "success", "failure"),
	} {
		w, reported := signedMessage("deployment_status", body).send(t, d, secret)
		if w.Code != 403 || !strings.Contains(w.Body.String(), "gate: {repositories: [OWNER/NAME]}") || len(reported) != 1 {
			t.Errorf("%s: %d %s, reported %v", name, w.Code, w.Body, reported)
		}
	}
	if len(d.Deliveries()) != 0 {
		t.Errorf("heard %v", d.Deliveries())
	}
}

// TestNotOwnWords: the words of golive switch no watch off in the mouth of others.
func TestNotOwnWords(t *testing.T) {
	const own = `"description":"golive: live"`
	say := func(d *plugintest.Desk, app int64, body string) heard {
		t.Helper()
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("X-GitHub-Event", "deployment_status")
		got, err := heed(r, []byte(body), d, app)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	body := strings.Replace(statusOf(1, "success", "{}"), `"description":"job 7"`, own, 1)
	via := func(app int) string {
		return strings.Replace(body, own, fmt.Sprintf(`%s,"performed_via_github_app":{"id":%d}`, own, app), 1)
	}
	if d := plugintest.NewDesk(t, plan); say(d, 0, body).Did != watching || say(d, 0, strings.Replace(body, `"id":1`, `"id":2`, 1)).Did == watching {
		t.Error("of a version that golive does not know the words are not its own, and of one that it knows they are")
	}
	if d := plugintest.NewDesk(t, plan); say(d, 7, via(7)).Did == watching || say(d, 7, via(8)).Did != watching {
		t.Error("the words are of the app that GitHub says")
	}
}

// TestLate: a status that arrives late ends no watch of what was deployed since.
func TestLate(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	signedMessage("deployment_status", statusOf(1, "success", "{}")).send(t, d, secret)
	d.Watch(t, "checkout-1", 10, judge.Continue)
	old := strings.Replace(strings.Replace(statusOf(2, "success", "{}"), sha, "8c1f0a6", 1), `"id":2`, `"id":2,"created_at":"2026-01-02T03:04:05Z"`, 1)
	if w, _ := signedMessage("deployment_status", old).send(t, d, secret); w.Code != 200 || !strings.Contains(w.Body.String(), "a later deployment is known") || len(d.Rollouts()) != 1 {
		t.Errorf("%d %s, opened %v", w.Code, w.Body, d.Rollouts())
	}
}

// A message that was overheard is no other message because a header that nobody signs says so.
func TestReplay(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	m := signedMessage("deployment_status", statusOf(1, "success", "{}"))
	m.send(t, d, secret)
	d.Happen(t, "checkout-1", guard.Elapsed{})
	r := httptest.NewRequest("POST", "/", strings.NewReader(m.body))
	r.Header.Set("X-GitHub-Event", m.event)
	r.Header.Set("X-GitHub-Delivery", "another")
	r.Header.Set("X-Hub-Signature-256", m.sha256)
	w := httptest.NewRecorder()
	NewHook(d, []byte(secret)).ServeHTTP(w, r)
	if w.Code != 200 || len(d.Rollouts()) != 1 {
		t.Errorf("%d %s, opened %v", w.Code, w.Body, d.Rollouts())
	}
}

func TestMessagesRefused(t *testing.T) {
	whole := statusOf(1, "success", "{}")
	for name, c := range map[string]struct {
		event, body string
		status      int
		says        string
	}{
		"unknown event":  {"totally_new_event", `{}`, 200, `{"did":"not handled"}`},
		"the gate":       {"deployment_protection_rule", `{"action":"requested"}`, 200, `{"did":"not handled"}`},
		"no event":       {"", whole, 200, `{"did":"not handled"}`},
		"nothing":        {"deployment_status", "", 400, "no JSON"},
		"null":           {"deployment_status", "null", 400, "deployment is missing"},
		"no status":      {"deployment_status", strings.Replace(whole, "deployment_status", "status", 1), 400, "deployment_status.state is missing"},
		"no repository":  {"deployment_status", strings.Replace(whole, "repository", "repo", 1), 400, "repository.name is missing"},
		"no commit":      {"deployment_status", strings.Replace(whole, sha, "", 1), 400, "to (the new version) is missing"},
		"no environment": {"deployment_status", strings.ReplaceAll(whole, "production", ""), 400, "deployment.environment is missing"},
		"wrong type":     {"deployment_status", strings.Replace(whole, `"success"`, `7`, 1), 400, "is of the JSON type number"},
		"no plan":        {"deployment_status", strings.ReplaceAll(whole, "production", "staging"), 404, "no plan is for this"},
		"too long":       {"deployment_status", whole + strings.Repeat(" ", hook.BodyBytes), 413, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			w, reported := signedMessage(c.event, c.body).send(t, d, secret)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || len(d.Rollouts()) != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if (len(reported) == 1) != (c.status == 404) { // that nobody watches
				t.Errorf("reported %v", reported)
			}
		})
	}
	w := httptest.NewRecorder()
	NewHook(plugintest.NewDesk(t), []byte(secret)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestInTheWay(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	first := statusOf(1, "success", "{}")
	signedMessage("deployment_status", first).send(t, d, secret)
	w, reported := signedMessage("deployment_status", strings.Replace(first, sha, "8c1f0a6", 1)).send(t, d, secret)
	if w.Code != 409 || !strings.Contains(w.Body.String(), `"rollout":"checkout-1"`) || len(reported) != 1 {
		t.Errorf("%d %s, reported %v", w.Code, w.Body, reported)
	}
	d.Away(errors.New("the disk is full"))
	for _, state := range []string{"success", "failure"} {
		w, reported = signedMessage("deployment_status", statusOf(9, state, "{}")).send(t, d, secret)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || len(reported) != 1 || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s: %d %s, reported %v", state, w.Code, w.Body, reported)
		}
	}
}

func FuzzHook(f *testing.F) {
	f.Add("deployment_status", []byte(statusOf(1, "success", `{"service":"checkout"}`)))
	f.Add("deployment_status", []byte(statusOf(1, "failure", `"{\"from\":\"v1\"}"`)))
	f.Add("deployment", []byte(statusOf(1, "", `[]`)))
	f.Add("ping", []byte(`{}`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d := plugintest.NewDesk(t, plan)
		r := httptest.NewRequest("POST", "/", nil)
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header["X-Github-Event"] = []string{event}
		r.Header.Set("X-Hub-Signature-256", "sha256="+mac(sha256.New, secret, string(body)))
		w := httptest.NewRecorder()
		NewHook(d, []byte(secret)).ServeHTTP(w, r)
		var answer heard
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Errorf("no JSON: %s", w.Body)
		}
		did := answer.Did == watching || answer.Did == "noted"
		if did != (len(d.Deliveries()) > 0) || did && w.Code != 200 {
			t.Errorf("%d %s, durable %d", w.Code, w.Body, len(d.Deliveries()))
		}
		if w.Code == 200 && len(body) > hook.BodyBytes {
			t.Errorf("heard %d bytes", len(body))
		}
		r.Header.Set("X-Hub-Signature-256", "sha256="+mac(sha256.New, "another", string(body)))
		r.Body = io.NopCloser(bytes.NewReader(body))
		forged := httptest.NewRecorder()
		NewHook(d, []byte(secret)).ServeHTTP(forged, r)
		if forged.Code/100 != 4 {
			t.Errorf("forged: %d %s", forged.Code, forged.Body)
		}
	})
}
