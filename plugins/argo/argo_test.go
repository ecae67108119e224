package argo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/argo"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const plan = `
service: checkout
environment: prod
mode: observe
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  every: 10s
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

func do(t testing.TB, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

func begin(t testing.TB, d *plugintest.Desk, version string) string {
	t.Helper()
	id, err := d.Open(t.Context(), guard.Delivery{ID: version, Source: "test", At: time.Now()},
		guard.Release{Service: "checkout", From: "v1", To: version}, guard.ToWatch)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// states are those that a rollout can be in, and what golive answers in them.
var states = []struct {
	name    string
	make    func(t *testing.T, d *plugintest.Desk, id string)
	verdict string
	final   bool
	score   float64 // once it is complete, with thresholds of 75 and 95
}{
	{"not looked at", func(*testing.T, *plugintest.Desk, string) {}, "insufficient", false, 85},
	{"insufficient", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Continue) }, "insufficient", false, 85},
	{"blind", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Blind) }, "blind", false, 85},
	{"healthy", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Healthy) }, "healthy", false, 100},
	{"regressed", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Regressed) }, "regressed", true, 0},
	{"over without an answer", func(t *testing.T, d *plugintest.Desk, id string) {
		d.Watch(t, id, 10, judge.Healthy)
		d.Watch(t, id, 0, judge.Healthy)
	}, "unknown", true, 85},
	{"held", func(t *testing.T, d *plugintest.Desk, id string) {
		d.Watch(t, id, 10, judge.Healthy)
		d.Happen(t, id, guard.Ordered{Verb: guard.OrderHold, By: "ada"})
	}, "insufficient", false, 85},
}

func TestVerdict(t *testing.T) {
	const path = "/verdict?service=checkout&environment=prod&version=7f9"
	for _, test := range states {
		t.Run(test.name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			h := argo.NewHook(d)
			if w := do(t, h, "GET", path, ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"verdict":"unknown"`) {
				t.Errorf("before it begins: %d %s", w.Code, w.Body)
			}
			test.make(t, d, begin(t, d, "7f9"))
			for _, path := range []string{path, "/verdict?service=checkout&version=7f9", "/verdict/checkout/7f9", "/verdict/checkout/prod/7f9"} {
				w := do(t, h, "GET", path, "")
				var got map[string]any
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
					t.Fatalf("%s: %d %s", path, w.Code, w.Body)
				}
				reason, _ := got["reason"].(string)
				want := map[string]any{
					"verdict": test.verdict, "regressed": test.verdict == "regressed", "reason": reason, "release": "checkout-1",
					"enough": test.verdict == "healthy" || test.verdict == "regressed",
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
				if test.name == "held" && !strings.Contains(reason, "ada") || test.name == "regressed" && reason != "the counts are regressed" {
					t.Errorf("the reason is %q", reason)
				}
			}
			for _, path := range []string{"/verdict/checkout/8a0", "/verdict/cart/7f9", "/verdict/checkout/staging/7f9"} {
				if w := do(t, h, "GET", path, ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"verdict":"unknown"`) {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
			}
			d.Away(errors.New("no database"))
			if w := do(t, h, "GET", path, ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Errorf("away: %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestStale: a golive that watched once and does not any more says healthy of nothing.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plugintest.NewDesk(t, plan)
		d.Watch(t, begin(t, d, "7f9"), 10, judge.Healthy)
		for _, want := range []string{"healthy", "blind"} {
			if w := do(t, argo.NewHook(d), "GET", "/verdict/checkout/7f9", ""); !strings.Contains(w.Body.String(), `"verdict":"`+want+`"`) {
				t.Errorf("%s, want %s", w.Body, want)
			}
			time.Sleep(31 * time.Second)
		}
	})
}

// TestSameVersionLater: what became of a version before another one says nothing about its coming again.
func TestSameVersionLater(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := argo.NewHook(d)
	d.Watch(t, begin(t, d, "b"), 10, judge.Regressed)
	d.Watch(t, begin(t, d, "c"), 10, judge.Regressed)
	if w := do(t, h, "GET", "/verdict/checkout/b", ""); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// webMetric is the web provider of Argo Rollouts with the conditions of the contract: a status that is not 2xx is an
// error, and so many errors in a row are the end.
func webMetric(t *testing.T, address string, consecutive *int) string {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	var result struct{ Verdict string }
	switch {
	case err != nil || answer.StatusCode < 200 || answer.StatusCode > 299:
		if *consecutive++; *consecutive > 4 {
			return "aborted"
		}
		return "Error"
	case json.Unmarshal(body, &result) != nil:
		return "a string"
	}
	*consecutive = 0
	switch result.Verdict {
	case "healthy":
		return "Successful"
	case "regressed":
		return "Failed"
	}
	return "Inconclusive"
}

func TestWebMetric(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	server := httptest.NewServer(argo.NewHook(d))
	defer server.Close()
	errorsInARow := 0
	expect := func(want string) {
		t.Helper()
		if got := webMetric(t, server.URL+"/verdict/checkout/prod/7f9", &errorsInARow); got != want {
			t.Errorf("Argo makes %q of it, want %q", got, want)
		}
	}
	expect("Error")
	id := begin(t, d, "7f9")
	expect("Inconclusive")
	d.Watch(t, id, 10, judge.Blind)
	expect("Inconclusive")
	d.Away(errors.New("restarting"))
	for range 4 {
		expect("Error")
	}
	d.Away(nil)
	expect("Inconclusive")
	d.Watch(t, id, 10, judge.Healthy)
	expect("Successful")
	d.Watch(t, id, 10, judge.Regressed)
	expect("Failed")
}

// analysis is the body of the contract.
func analysis(from, to string, start, end time.Time) string {
	scope := func(version string) string {
		return fmt.Sprintf(`{"scope":%q,"location":"all","step":60,"start":%q,"end":%q}`, version, start.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	return `{"scopes":{"default":{"controlScope":` + scope(from) + `,"experimentScope":` + scope(to) + `}},"thresholds":{"pass":95,"marginal":75}}`
}

// kayenta is the kayenta provider of Argo Rollouts: it looks for the configuration, starts an execution, and asks for its
// score, which has to be there when it is complete.
type kayenta struct {
	t    *testing.T
	h    http.Handler
	name string // of the configuration
	id   string // of the execution
}

func (k *kayenta) run(body string) int {
	k.t.Helper()
	w := do(k.t, k.h, "GET", "/canaryConfig?application=checkout&configurationAccountName=prod", "")
	var configs []struct{ ID, Name string }
	if err := json.Unmarshal(w.Body.Bytes(), &configs); err != nil || w.Code != 200 {
		k.t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, c := range configs {
		if c.Name == k.name {
			path := "/canary/" + url.PathEscape(c.ID) + "?application=checkout&metricsAccountName=a&configurationAccountName=prod&storageAccountName=b"
			w := do(k.t, k.h, "POST", path, body)
			var started struct{ CanaryExecutionID string }
			if json.Unmarshal(w.Body.Bytes(), &started); w.Code == 200 && started.CanaryExecutionID == "" {
				k.t.Fatalf("no execution: %s", w.Body)
			}
			k.id = started.CanaryExecutionID
			return w.Code
		}
	}
	k.t.Fatalf("no configuration is called %s: %s", k.name, w.Body)
	return 0
}

// resume returns the score, or false while it is not complete.
func (k *kayenta) resume() (float64, bool) {
	k.t.Helper()
	w := do(k.t, k.h, "GET", "/canary/"+k.id, "")
	var answer struct {
		Complete *bool
		Result   struct {
			JudgeResult struct {
				Score struct{ Score *float64 }
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || answer.Complete == nil {
		k.t.Fatalf("%d %s", w.Code, w.Body)
	}
	score := answer.Result.JudgeResult.Score.Score
	if *answer.Complete != (score != nil) {
		k.t.Fatalf("complete without a score, or the other way round: %s", w.Body)
	}
	if score == nil {
		return 0, false
	}
	return *score, true
}

func TestKayenta(t *testing.T) {
	for _, name := range []string{"checkout", "checkout~prod"} {
		for _, test := range states {
			t.Run(name+" "+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := plugintest.NewDesk(t, plan)
					k := &kayenta{t: t, h: argo.NewHook(d), name: name}
					start := time.Now()
					for range 2 {
						if status := k.run(analysis("v1", "7f9", start, start.Add(time.Minute))); status != 200 {
							t.Fatalf("status %d", status)
						}
					}
					want := []guard.Release{{ID: "checkout-1", Service: "checkout", Environment: "prod", From: "v1", To: "7f9"}}
					if diff := cmp.Diff(want, d.Rollouts()); diff != "" {
						t.Errorf("opened (-want +got):\n%s", diff)
					}
					if score, complete := k.resume(); complete {
						t.Errorf("complete at once, with %v", score)
					}
					test.make(t, d, "checkout-1")
					time.Sleep(15 * time.Second)
					if score, complete := k.resume(); complete != test.final || complete && score != test.score {
						t.Errorf("on the way: %v, complete %t, want %t", score, complete, test.final)
					}
					time.Sleep(44 * time.Second)
					if _, complete := k.resume(); complete != test.final {
						t.Errorf("just before the end: complete %t, want %t", complete, test.final)
					}
					if !test.final { // golive looks once more, so that it is not stale
						test.make(t, d, "checkout-1")
					}
					time.Sleep(time.Second)
					if score, complete := k.resume(); !complete || score != test.score {
						t.Errorf("at the end: %v, complete %t, want %v", score, complete, test.score)
					}
				})
			})
		}
	}
}

func TestKayentaAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plugintest.NewDesk(t, plan)
		k := &kayenta{t: t, h: argo.NewHook(d), name: "checkout"}
		begun := time.Now()
		k.run(analysis("v1", "v2", begun, begun.Add(time.Minute)))
		if status := k.run(analysis("v1", "v3", begun, begun.Add(time.Minute))); status != 409 {
			t.Errorf("another version meanwhile: %d", status)
		}
		time.Sleep(time.Second)
		d.Watch(t, "checkout-1", 10, judge.Regressed)
		k.run(analysis("v1", "v2", begun, begun.Add(time.Minute))) // a second metric of the same analysis
		if score, complete := k.resume(); !complete || score != 0 || len(d.Rollouts()) != 1 {
			t.Errorf("%v, complete %t, and there are %d rollouts", score, complete, len(d.Rollouts()))
		}
		time.Sleep(time.Minute)
		k.run(analysis("v1", "v2", time.Now(), time.Now().Add(time.Minute)))
		if _, complete := k.resume(); complete || len(d.Rollouts()) != 2 {
			t.Errorf("tried again: complete %t, and there are %d rollouts", complete, len(d.Rollouts()))
		}
	})
}

func TestKayentaRefused(t *testing.T) {
	at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	good := analysis("v1", "v2", at, at.Add(time.Hour))
	change := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	var one struct{ Scopes map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(good), &one); err != nil {
		t.Fatal(err)
	}
	another := strings.Replace(string(one.Scopes["default"]), `"v2"`, `"v3"`, 1)
	for _, test := range []struct{ body, says string }{
		{"", "no JSON"},
		{"{}", "scopes is missing"},
		{`{"scopes":[]}`, "has to be an object"},
		{change(`"v2"`, `""`), "new version"},
		{change(`"v2"`, `"v1"`), "itself"},
		{change(`"v2"`, `2`), "has to be a string"},
		{strings.ReplaceAll(good, at.Format(time.RFC3339), "now"), "start of the experimentScope"},
		{strings.ReplaceAll(good, at.Add(time.Hour).Format(time.RFC3339), ""), "end of the experimentScope"},
		{strings.ReplaceAll(good, at.Add(time.Hour).Format(time.RFC3339), "2020-01-01T00:00:00Z"), "end of the experimentScope"},
		{strings.ReplaceAll(good, at.Add(time.Hour).Format(time.RFC3339), "9999-12-31T23:59:59-05:00"), "end of the experimentScope"},
		{change(`"scopes":{`, `"scopes":{"more":`+another+`,`), "more than one version"},
		{change(`"thresholds":{"pass":95,"marginal":75}`, `"x":1`), "0 < marginal < pass <= 100"},
		{change(`"marginal":75`, `"marginal":0`), "0 < marginal < pass <= 100"},
		{change(`"marginal":75`, `"marginal":95`), "0 < marginal < pass <= 100"},
		{change(`"pass":95`, `"pass":101`), "0 < marginal < pass <= 100"},
	} {
		d := plugintest.NewDesk(t, plan)
		w := do(t, argo.NewHook(d), "POST", "/canary/checkout", test.body)
		// In JSON, Go writes < as an escape.
		if said := strings.ReplaceAll(w.Body.String(), `\u003c`, "<"); w.Code != 400 || !strings.Contains(said, test.says) || d.Asked() > 0 {
			t.Errorf("%.300s: %d %s, want %q", test.body, w.Code, said, test.says)
		}
	}
	h := argo.NewHook(plugintest.NewDesk(t, plan))
	for _, path := range []string{"/canary/x", "/canary/e30", "/canary/01J", "/canary/" + strings.Repeat("A", 5000)} {
		if w := do(t, h, "GET", path, ""); w.Code != 404 || w.Body.Len() > 500 {
			t.Errorf("%.50s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := do(t, h, "POST", "/canary/cart", good); w.Code != 404 {
		t.Errorf("no plan: %d %s", w.Code, w.Body)
	}
}

func TestArgoCD(t *testing.T) {
	body := func(revision, phase, health string) string {
		return fmt.Sprintf(`{"app":"checkout","revision":%q,"phase":%q,"health":%q}`, revision, phase, health)
	}
	d := plugintest.NewDesk(t, plan)
	h := argo.NewHook(d)
	expect := func(body string, status int, says string) {
		t.Helper()
		if w := do(t, h, "POST", "/argocd", body); w.Code != status || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: %d %s, want %d with %s", body, w.Code, w.Body, status, says)
		}
	}
	expect(body("abc", "Running", "Progressing"), 200, `"did":"nothing`)
	expect(body("abc", "Succeeded", "Degraded"), 200, `"did":"nothing`)
	expect(body("abc", "Succeeded", "Healthy"), 200, `{"rollout":"checkout-1","did":"opened"}`)
	for range 2 {
		expect(body("abc", "Succeeded", "Healthy"), 200, `{"rollout":"checkout-1","did":"noted"}`)
		expect(body("abc", "Failed", "Degraded"), 200, `{"rollout":"checkout-1","did":"noted"}`)
	}
	expect(body("def", "Failed", "Degraded"), 200, `"did":"nothing`)
	expect(body("def", "Succeeded", "Healthy"), 409, `"rollout":"checkout-1"`)
	want := []guard.Fact{
		guard.Noted{Text: "Argo CD: checkout at revision abc is Succeeded, and its health is Healthy", By: "argo"},
		guard.Noted{Text: "Argo CD: checkout at revision abc is Failed, and its health is Degraded", By: "argo"},
	}
	if diff := cmp.Diff(want, d.Told("checkout-1")); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	d.Watch(t, "checkout-1", 10, judge.Regressed)
	expect(body("abc", "Failed", "Degraded"), 200, `noted`) // a repeat of what was kept before the end
	expect(body("abc", "Error", "Degraded"), 200, `the rollout is over`)
	expect(`{"app":"app-of-checkout","service":"checkout","environment":"prod","from":"abc","revision":"ghi","phase":"Succeeded","health":"Healthy"}`, 200, "checkout-2")
	releases := []guard.Release{
		{ID: "checkout-1", Service: "checkout", Environment: "prod", To: "abc"},
		{ID: "checkout-2", Service: "checkout", Environment: "prod", From: "abc", To: "ghi"},
	}
	if diff := cmp.Diff(releases, d.Rollouts()); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}

	for _, test := range []struct{ body, says string }{
		{"", "no JSON"},
		{`{}`, "app is missing"},
		{body("", "Succeeded", "Healthy"), "revision is missing"},
		{body("<no value>", "Succeeded", "Healthy"), "take another field in the template"},
		{body("abc", "", "Healthy"), "phase is missing"},
		{`{"app":"checkout","revision":7,"phase":"Succeeded","health":"Healthy"}`, "has to be a string"},
	} {
		expect(test.body, 400, test.says)
	}
	expect(strings.Replace(body("abc", "Succeeded", "Healthy"), "checkout", "cart", 1), 404, "no plan")
	d.Away(errors.New("no database at 10.0.0.7"))
	expect(body("xyz", "Succeeded", "Healthy"), 503, "try again")
}

// TestFrom: what golive saw go live is the old version of what comes next.
func TestFrom(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := argo.NewHook(d)
	deployed := func(revision string) {
		t.Helper()
		if w := do(t, h, "POST", "/argocd", `{"app":"checkout","revision":"`+revision+`","phase":"Succeeded","health":"Healthy"}`); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		deployed("v2")
		d.Watch(t, "checkout-1", 100, judge.Healthy)
		p, _, err := d.Get(t.Context(), "checkout-1")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(p.Rollout.Bake.For.Std() + time.Second)
		if s := d.Watch(t, "checkout-1", 100, judge.Healthy); s.Outcome != guard.Live {
			t.Fatalf("%s %s %s", s.Phase, s.Outcome, s.Why)
		}
		deployed("v3")
	})
	if all := d.Rollouts(); len(all) != 2 || all[1].From != "v2" {
		t.Errorf("opened %+v", all)
	}
}

func TestMethods(t *testing.T) {
	h := argo.NewHook(plugintest.NewDesk(t, plan))
	for path, allow := range map[string]string{
		"/verdict": "GET", "/verdict/a/b": "GET", "/verdict/a/b/c": "GET", "/canaryConfig": "GET", "/canary/x": "GET, POST", "/argocd": "POST",
	} {
		if w := do(t, h, "DELETE", path, ""); w.Code != 405 || w.Header().Get("Allow") != allow {
			t.Errorf("DELETE %s: %d, Allow: %q, want %q", path, w.Code, w.Header().Get("Allow"), allow)
		}
	}
	if w := do(t, h, "GET", "/argocd", ""); w.Code != 405 { // what Argo CD sends when the template has no method
		t.Errorf("GET /argocd: %d", w.Code)
	}
	for _, path := range []string{"/verdict", "/verdict?service=checkout", "/verdict?version=v2", "/canaryConfig", "/verdict?service=a&version=" + strings.Repeat("x", 300)} {
		if w := do(t, h, "GET", path, ""); w.Code != 400 {
			t.Errorf("%.60s: %d %s", path, w.Code, w.Body)
		}
	}
}

// FuzzHook: whatever comes, golive does not panic, and calls nothing healthy or opened that the desk has not been asked
// about.
func FuzzHook(f *testing.F) {
	at := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	f.Add(uint8(0), "checkout", "7f9", []byte(nil))
	f.Add(uint8(1), "checkout~prod", "", []byte(analysis("v1", "v2", at, at.Add(time.Hour))))
	f.Add(uint8(2), "eyJyIjoiY2hlY2tvdXQtMSIsImUiOiIyMDI2LTExLTMwVDAzOjAwOjAwWiIsInQiOnsicGFzcyI6OTUsIm1hcmdpbmFsIjo3NX19", "", []byte(nil))
	f.Add(uint8(3), "", "", []byte(`{"app":"checkout","revision":"abc","phase":"Succeeded","health":"Healthy"}`))
	f.Add(uint8(4), "checkout", "prod", []byte(nil))
	f.Fuzz(func(t *testing.T, kind uint8, one, two string, body []byte) {
		d := plugintest.NewDesk(t, plan)
		d.Watch(t, begin(t, d, "7f9"), 10, judge.Continue)
		asked := d.Asked()
		method, path := "GET", "/verdict?service="+url.QueryEscape(one)+"&version="+url.QueryEscape(two)
		switch kind % 5 {
		case 1:
			method, path = "POST", "/canary/"+url.PathEscape(one)
		case 2:
			path = "/canary/" + url.PathEscape(one)
		case 3:
			method, path = "POST", "/argocd"
		case 4:
			path = "/canaryConfig?application=" + url.QueryEscape(one) + "&configurationAccountName=" + url.QueryEscape(two)
		}
		w := do(t, argo.NewHook(d), method, path, string(body))
		switch {
		case w.Code == 200 && d.Asked() == asked && kind%5 != 4:
			t.Errorf("%s %s: answered without asking: %s", method, path, w.Body)
		case kind%5 != 4 && strings.Contains(w.Body.String(), `"healthy"`):
			t.Errorf("%s %s: healthy: %s", method, path, w.Body)
		case w.Code >= 500:
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	})
}
