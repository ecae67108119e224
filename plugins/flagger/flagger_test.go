package flagger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/golive-dev/golive/plugins/flagger"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const plan = `
service: podinfo
environment: test
mode: observe
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  every: 10s
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

// body is that of the contract.
const body = `{"name":"podinfo","namespace":"test","phase":"Progressing","checksum":"85d557f47b","metadata":{"token":"s3cret","plan":"checkout"}}`

var hooks = []string{
	"confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout", "rollback", "event",
}

func post(t testing.TB, h http.Handler, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
	return w
}

// bodyOf is what Flagger sends to a kind of hook.
func bodyOf(kind, checksum string) string {
	b := strings.Replace(body, "85d557f47b", checksum, 1)
	switch kind {
	case "event":
		return strings.Replace(b, `"plan"`, `"eventMessage":"Advance podinfo.test canary weight 10","eventType":"Normal","timestamp":"1767225600000","plan"`, 1)
	case "post-rollout":
		return strings.Replace(b, "Progressing", "Succeeded", 1)
	}
	return b
}

// TestAnswers is the table of the contract: which hook says go, in each state that a rollout can be in.
func TestAnswers(t *testing.T) {
	const yes, no, gone = 200, 403, 503
	for _, test := range []struct {
		name string
		make func(t *testing.T, d *plugintest.Desk, id string)
		want []int // in the order of hooks
	}{
		{"without any traffic", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 0, judge.Continue) },
			[]int{yes, yes, yes, yes, no, yes, no, yes}},
		{"not looked at", func(*testing.T, *plugintest.Desk, string) {},
			[]int{yes, yes, yes, no, no, yes, no, yes}},
		{"insufficient", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Continue) },
			[]int{yes, yes, yes, no, no, yes, no, yes}},
		{"blind", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Blind) },
			[]int{yes, yes, yes, no, no, yes, no, yes}},
		{"stale", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 10, judge.Healthy)
			time.Sleep(31 * time.Second)
		},
			[]int{yes, yes, yes, no, no, yes, no, yes}},
		{"healthy", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 10, judge.Healthy)
			time.Sleep(30 * time.Second)
		},
			[]int{yes, yes, yes, yes, yes, yes, no, yes}},
		{"held without any traffic", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 0, judge.Continue)
			d.Happen(t, id, guard.Ordered{Verb: guard.OrderHold, By: "ada"})
		}, []int{yes, yes, yes, no, no, yes, no, yes}},
		{"held", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 10, judge.Healthy)
			d.Happen(t, id, guard.Ordered{Verb: guard.OrderHold, By: "ada"})
		}, []int{yes, yes, yes, no, no, yes, no, yes}},
		{"regressed", func(t *testing.T, d *plugintest.Desk, id string) { d.Watch(t, id, 10, judge.Regressed) },
			[]int{yes, no, no, no, no, yes, yes, yes}},
		{"a person goes back", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 10, judge.Healthy)
			d.Happen(t, id, guard.Ordered{Verb: guard.OrderRollback, By: "ada"})
		}, []int{yes, no, no, no, no, yes, yes, yes}},
		{"somebody has taken the traffic away", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 10, judge.Healthy)
			d.Watch(t, id, 0, judge.Healthy)
		}, []int{yes, no, yes, no, no, yes, no, yes}},
		{"the desk is away", func(t *testing.T, d *plugintest.Desk, id string) {
			d.Watch(t, id, 10, judge.Regressed)
			d.Away(errors.New("no database"))
		}, []int{gone, gone, gone, gone, gone, gone, gone, gone}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := plugintest.NewDesk(t, plan)
				h := flagger.NewHook(d)
				if w := post(t, h, "/pre-rollout", body); w.Code != 200 {
					t.Fatalf("pre-rollout: %d %s", w.Code, w.Body)
				}
				id := d.Rollouts()[0].ID
				test.make(t, d, id)
				for i, kind := range hooks {
					w := post(t, h, "/"+kind, bodyOf(kind, "85d557f47b"))
					if w.Code != test.want[i] {
						t.Errorf("%s: %d %s, want %d", kind, w.Code, w.Body, test.want[i])
					}
					if strings.Contains(w.Body.String(), "s3cret") {
						t.Errorf("%s: the answer holds the token: %s", kind, w.Body)
					}
				}
				if n := len(d.Rollouts()); n != 1 {
					t.Errorf("there are %d rollouts", n)
				}
			})
		})
	}
}

// TestUnknown is what is said of a canary that golive does not know: above all no rollback.
func TestUnknown(t *testing.T) {
	for _, test := range []struct {
		service string
		want    []int
	}{
		{"podinfo", []int{200, 200, 200, 403, 403, 200, 403, 200}},
		{"cart", []int{404, 404, 404, 404, 403, 200, 403, 200}},
	} {
		for i, kind := range hooks {
			d := plugintest.NewDesk(t, plan)
			sent := strings.Replace(bodyOf(kind, "85d557f47b"), "podinfo", test.service, 1)
			if w := post(t, flagger.NewHook(d), "/"+kind, sent); w.Code != test.want[i] {
				t.Errorf("%s of %s: %d %s, want %d", kind, test.service, w.Code, w.Body, test.want[i])
			}
		}
	}
}

func TestRelease(t *testing.T) {
	for _, test := range []struct {
		metadata string
		want     guard.Release
	}{
		{`null`, guard.Release{ID: "podinfo-1", Service: "podinfo", Environment: "test", From: "primary", To: "85d557f47b"}},
		{`{"from":"v1","to":"v2"}`, guard.Release{ID: "podinfo-1", Service: "podinfo", Environment: "test", From: "v1", To: "v2"}},
		{`{"service":"cart","environment":"prod"}`, guard.Release{ID: "cart-1", Service: "cart", Environment: "prod", From: "primary", To: "85d557f47b"}},
		{`{"environment":""}`, guard.Release{ID: "podinfo-1", Service: "podinfo", Environment: "test", From: "primary", To: "85d557f47b"}},
	} {
		d := plugintest.NewDesk(t, plan, strings.NewReplacer("service: podinfo", "service: cart", "test", "prod").Replace(plan))
		sent := strings.Replace(body, `{"token":"s3cret","plan":"checkout"}`, test.metadata, 1)
		if w := post(t, flagger.NewHook(d), "/rollout", sent); w.Code != 200 {
			t.Errorf("%s: %d %s", test.metadata, w.Code, w.Body)
		}
		if diff := cmp.Diff([]guard.Release{test.want}, d.Rollouts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.metadata, diff)
		}
	}
}

func TestChecks(t *testing.T) {
	for _, verdict := range []guard.Verdict{guard.Unknown, guard.Waiting, guard.Pass, guard.Warn, guard.Fail} {
		d := plugintest.NewDesk(t, plan)
		d.Say(guard.Finding{ID: "other", Verdict: guard.Pass}, guard.Finding{ID: "backup.age", Verdict: verdict, Reason: "it is old"})
		want := 403
		if verdict == guard.Pass || verdict == guard.Warn {
			want = 200
		}
		for _, kind := range []string{"/confirm-rollout", "/pre-rollout"} {
			w := post(t, flagger.NewHook(d), kind, body)
			if w.Code != want || want == 403 && !strings.Contains(w.Body.String(), "backup.age: "+verdict.String()+": it is old") {
				t.Errorf("%s with %s: %d %s, want %d", kind, verdict, w.Code, w.Body, want)
			}
		}
		if opened := len(d.Rollouts()) == 1; opened != (want == 200) {
			t.Errorf("with %s there are %d rollouts", verdict, len(d.Rollouts()))
		}
	}
	d := plugintest.NewDesk(t, plan)
	d.Say()
	if w := post(t, flagger.NewHook(d), "/confirm-rollout", body); w.Code != 403 {
		t.Errorf("without any finding: %d %s", w.Code, w.Body)
	}
}

// TestRepeats sends everything twice, as a Flagger does that has lost the answer.
func TestRepeats(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := flagger.NewHook(d)
	for _, kind := range []string{"pre-rollout", "event", "post-rollout"} {
		for range 2 {
			if w := post(t, h, "/"+kind, bodyOf(kind, "85d557f47b")); w.Code != 200 {
				t.Errorf("%s: %d %s", kind, w.Code, w.Body)
			}
		}
	}
	post(t, h, "/event", strings.Replace(bodyOf("event", "85d557f47b"), "1767225600000", "1767225610000", 1))
	post(t, h, "/post-rollout", strings.Replace(body, "Progressing", "Failed", 1))
	event := guard.Noted{Text: "Flagger (Normal, phase Progressing): Advance podinfo.test canary weight 10", By: "flagger"}
	want := []guard.Fact{
		event, guard.Noted{Text: "Flagger has ended the canary: phase Succeeded", By: "flagger"},
		event, guard.Noted{Text: "Flagger has gone back by itself: phase Failed", By: "flagger"},
	}
	if diff := cmp.Diff(want, d.Told("podinfo-1")); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for _, delivery := range d.Deliveries() {
		if strings.Contains(string(delivery.Body), "s3cret") || !strings.Contains(string(delivery.Body), "85d557f47b") || delivery.By != "" {
			t.Errorf("kept: %+v %s", delivery, delivery.Body)
		}
	}
}

// TestSameVersionLater releases a version that was live, or taken back, once before.
func TestSameVersionLater(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := flagger.NewHook(d)
	begin := func(checksum string) string {
		t.Helper()
		if w := post(t, h, "/rollback", bodyOf("rollback", checksum)); w.Code != 403 {
			t.Errorf("before %s begins: %d %s", checksum, w.Code, w.Body)
		}
		if w := post(t, h, "/pre-rollout", bodyOf("pre-rollout", checksum)); w.Code != 200 {
			t.Fatalf("%s: %d %s", checksum, w.Code, w.Body)
		}
		all := d.Rollouts()
		return all[len(all)-1].ID
	}
	d.Watch(t, begin("b"), 10, judge.Regressed)
	if w := post(t, h, "/pre-rollout", bodyOf("pre-rollout", "b")); w.Code != 403 {
		t.Errorf("b again at once: %d %s", w.Code, w.Body)
	}
	d.Watch(t, begin("c"), 10, judge.Regressed)
	d.Watch(t, begin("b"), 10, judge.Healthy)
	if n := len(d.Rollouts()); n != 3 {
		t.Errorf("there are %d rollouts", n)
	}
	// Flagger begins the canary anew when another version comes in the middle of it.
	if w := post(t, h, "/pre-rollout", bodyOf("pre-rollout", "d")); w.Code != 200 || !strings.Contains(w.Body.String(), `"rollout":"podinfo-4"`) {
		t.Errorf("d while b is under way: %d %s", w.Code, w.Body)
	}
	if _, s, err := d.Get(t.Context(), "podinfo-3"); err != nil || s.Phase != guard.Over || s.Cause != "" {
		t.Errorf("b is %s because of %q, %v", s.Phase, s.Cause, err)
	}
	// What does not watch yet is in the way.
	if w := post(t, h, "/pre-rollout", bodyOf("pre-rollout", "e")); w.Code != 409 || !strings.Contains(w.Body.String(), `"rollout":"podinfo-4"`) {
		t.Errorf("e while d begins: %d %s", w.Code, w.Body)
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		body   string
		status int
		says   string
	}{
		{``, 400, "no JSON"},
		{`null`, 400, "name is missing"},
		{`{"name":1}`, 400, "has to be a string"},
		{strings.Replace(body, `"podinfo"`, `""`, 1), 400, "name is missing"},
		{strings.Replace(body, `"test"`, `null`, 1), 400, "namespace is missing"},
		{strings.Replace(body, `"85d557f47b"`, `""`, 1), 400, "checksum is missing"},
		{strings.Replace(body, `"checkout"`, `7`, 1), 400, "has to be a string"},
		{strings.Replace(body, `"plan"`, `"to":"primary","plan"`, 1), 400, "itself"},
		{strings.Replace(body, `podinfo`, strings.Repeat("x", 300), 1), 400, "longer"},
		{strings.Replace(body, `podinfo`, strings.Repeat("x", 1<<20), 1), 413, "longer"},
	} {
		for _, kind := range hooks {
			d := plugintest.NewDesk(t, plan)
			w := post(t, flagger.NewHook(d), "/"+kind, test.body)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || w.Body.Len() > 500 || d.Asked() > 0 {
				t.Errorf("%s %.200s: %d %.600s", kind, test.body, w.Code, w.Body)
			}
		}
	}
	for kind, says := range map[string]string{"event": "eventMessage is missing", "post-rollout": "phase is missing"} {
		w := post(t, flagger.NewHook(plugintest.NewDesk(t, plan)), "/"+kind, strings.Replace(body, "Progressing", "", 1))
		if w.Code != 400 || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: %d %s", kind, w.Code, w.Body)
		}
	}
	for _, kind := range append(hooks, "metrics/api/v1/query") {
		w := httptest.NewRecorder()
		flagger.NewHook(plugintest.NewDesk(t, plan)).ServeHTTP(w, httptest.NewRequest("DELETE", "/"+kind, nil))
		if w.Code != 405 || w.Header().Get("Allow") == "" {
			t.Errorf("DELETE %s: %d, Allow: %q", kind, w.Code, w.Header().Get("Allow"))
		}
	}
	if w := post(t, flagger.NewHook(plugintest.NewDesk(t, plan)), "/rollbacks", body); w.Code != 404 {
		t.Errorf("another path: %d", w.Code)
	}
}

func TestAwayIsReported(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	gone := errors.New("no database at 10.0.0.7")
	d.Away(gone)
	var reports []error
	r := httptest.NewRequest("POST", "/rollback", strings.NewReader(body))
	w := httptest.NewRecorder()
	flagger.NewHook(d).ServeHTTP(w, r.WithContext(hook.WithReport(r.Context(), func(err error) { reports = append(reports, err) })))
	if len(reports) != 1 || !errors.Is(reports[0], gone) || strings.Contains(w.Body.String(), "10.0.0.7") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s, reported %v", w.Code, w.Body, reports)
	}
}

// scheduler is one tick of Flagger's, reduced to what its hooks decide: scheduler.go and webhook.go, where a status
// above 202 is an error, and the hooks are called in this order.
type scheduler struct {
	call                 func(kind, phase string) error
	weight, failedChecks int
	phase                string
}

const threshold, maxWeight, stepWeight = 5, 50, 10

func (s *scheduler) tick() string {
	if s.phase == "Initialized" {
		if s.call("confirm-rollout", s.phase) != nil {
			return "waits"
		}
		s.phase = "Progressing"
	}
	if s.call("rollback", s.phase) == nil || s.failedChecks >= threshold {
		s.phase, s.weight = "Failed", 0
		s.call("post-rollout", s.phase)
		return "rolled back"
	}
	if s.weight == 0 && s.call("pre-rollout", s.phase) != nil || s.weight > 0 && s.call("rollout", s.phase) != nil {
		s.failedChecks++
		return "failed check"
	}
	if s.weight < maxWeight {
		if s.call("confirm-traffic-increase", s.phase) != nil {
			return "holds"
		}
		s.weight += stepWeight
		return fmt.Sprintf("weight %d", s.weight)
	}
	if s.call("confirm-promotion", s.phase) != nil {
		s.phase = "WaitingPromotion"
		return "waits for promotion"
	}
	s.phase, s.weight = "Succeeded", 0
	s.call("post-rollout", s.phase)
	return "promoted"
}

// TestFlagger lets that scheduler and golive work on one canary, with a true HTTP server between them.
func TestFlagger(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	server := httptest.NewServer(flagger.NewHook(d))
	defer server.Close()
	canary := func(checksum string) *scheduler {
		return &scheduler{phase: "Initialized", call: func(kind, phase string) error {
			sent := strings.Replace(bodyOf(kind, checksum), "Progressing", phase, 1)
			answer, err := http.Post(server.URL+"/"+kind, "application/json", strings.NewReader(sent))
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.StatusCode == http.StatusNoContent || answer.StatusCode > 202 {
				return fmt.Errorf("status %d", answer.StatusCode)
			}
			return nil
		}}
	}
	expect := func(s *scheduler, want string) {
		t.Helper()
		if got := s.tick(); got != want {
			t.Fatalf("Flagger %s, want %s", got, want)
		}
	}

	d.Say(guard.Finding{ID: "backup.age", Verdict: guard.Fail})
	good := canary("v2")
	expect(good, "waits")
	d.Say(guard.Finding{ID: "backup.age", Verdict: guard.Pass})
	expect(good, "holds") // golive has begun, and not yet looked
	d.Watch(t, "podinfo-1", 0, judge.Continue)
	expect(good, "weight 10")
	good.weight = 0
	expect(good, "holds") // the first step is given once
	good.weight = 10
	for weight := 10; weight < 50; weight += 10 {
		d.Watch(t, "podinfo-1", weight, judge.Continue)
		expect(good, "holds")
		d.Watch(t, "podinfo-1", weight, judge.Blind)
		expect(good, "holds")
		d.Watch(t, "podinfo-1", weight, judge.Healthy)
		expect(good, fmt.Sprintf("weight %d", weight+10))
	}
	d.Watch(t, "podinfo-1", 50, judge.Continue)
	expect(good, "waits for promotion")
	d.Watch(t, "podinfo-1", 50, judge.Healthy)
	expect(good, "promoted")
	if good.failedChecks != 0 {
		t.Errorf("%d failed checks", good.failedChecks)
	}
	if _, state, err := d.Get(t.Context(), "podinfo-1"); err != nil || state.Outcome != guard.Live {
		t.Errorf("promoted, and it is %q: %v", state.Outcome, err)
	}

	bad := canary("v3")
	expect(bad, "holds")
	d.Watch(t, "podinfo-2", 0, judge.Continue)
	expect(bad, "weight 10")
	d.Watch(t, "podinfo-2", 10, judge.Continue)
	expect(bad, "holds")
	d.Away(errors.New("restarting"))
	expect(bad, "failed check")
	d.Away(nil)
	d.Watch(t, "podinfo-2", 10, judge.Regressed)
	expect(bad, "rolled back")
}

// TestFirstTraffic: a second go needs a look that is later than Flagger's move.
func TestFirstTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plugintest.NewDesk(t, plan)
		h := flagger.NewHook(d)
		ask := func(want int) {
			t.Helper()
			if w := post(t, h, "/confirm-traffic-increase", body); w.Code != want {
				t.Errorf("%d %s, want %d", w.Code, w.Body, want)
			}
		}
		ask(403)
		d.Watch(t, "podinfo-1", 0, judge.Continue)
		ask(200)
		time.Sleep(9 * time.Second)
		d.Watch(t, "podinfo-1", 0, judge.Continue)
		ask(403)
		time.Sleep(2 * time.Second)
		ask(403)
		d.Watch(t, "podinfo-1", 0, judge.Continue)
		ask(200) // Flagger could not move the traffic: golive has looked since, and there is none
	})
}

func TestMetrics(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := flagger.NewHook(d)
	type answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     []struct {
				Metric map[string]string
				Value  []any
			}
		}
	}
	ask := func(query string) (int, answer) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics/api/v1/query?query="+url.QueryEscape(query), nil))
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		return w.Code, a
	}
	value := func(query string) string {
		t.Helper()
		code, a := ask(query)
		if code != 200 || a.Status != "success" || a.Data.ResultType != "vector" || a.Data.Result == nil || len(a.Data.Result) > 1 {
			t.Fatalf("%s: %d %+v", query, code, a)
		}
		if len(a.Data.Result) == 0 {
			return "none"
		}
		if at, ok := a.Data.Result[0].Value[0].(float64); !ok || time.Since(time.UnixMilli(int64(at*1000))).Abs() > time.Hour {
			t.Errorf("%s: the time is %v", query, a.Data.Result[0].Value[0])
		}
		return a.Data.Result[0].Value[1].(string)
	}
	const query = `golive_verdict{service="podinfo", environment="test"}`
	expect := func(query, want string) {
		t.Helper()
		if got := value(query); got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
	}
	expect("vector(1)", "1")
	expect(query, "none")
	post(t, h, "/pre-rollout", body)
	d.Watch(t, "podinfo-1", 10, judge.Continue)
	expect(query, "0.5")
	d.Watch(t, "podinfo-1", 10, judge.Blind)
	expect(query, "0.25")
	d.Watch(t, "podinfo-1", 10, judge.Healthy)
	expect("\n"+`golive_verdict { version="85d557f47b",service="podinfo", } `, "1")
	expect(`golive_verdict{service="podinfo",version="v9"}`, "none")
	d.Watch(t, "podinfo-1", 10, judge.Regressed)
	expect(query, "0")

	for _, query := range []string{
		"", "up", "golive_verdict", "golive_verdict{}", `golive_verdict{service=""}`, `golive_verdict{service=~"podinfo"}`,
		`golive_verdict{service="podinfo",pod="x"}`, `golive_verdict{service="a",service="b"}`, `golive_verdict{service="a" version="b"}`,
		`golive_verdict{service="a}`, `sum(golive_verdict{service="a"})`,
	} {
		if code, a := ask(query); code != 400 || a.Status != "error" || a.Error == "" {
			t.Errorf("%q: %d %+v", query, code, a)
		}
	}
	d.Away(errors.New("restarting"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics/api/v1/query?query="+url.QueryEscape(query), nil))
	if w.Code != 503 {
		t.Errorf("away: %d %s", w.Code, w.Body)
	}
}

// FuzzHook: whatever comes, golive does not panic, says go only if it was asked with a proper message, and rolls back
// only what it knows to do harm.
func FuzzHook(f *testing.F) {
	for i, kind := range hooks {
		f.Add(uint8(i), []byte(bodyOf(kind, "85d557f47b")), "golive_verdict{}")
	}
	f.Add(uint8(8), []byte(nil), `golive_verdict{service="podinfo",version="v2"}`)
	f.Fuzz(func(t *testing.T, kind uint8, body []byte, query string) {
		d := plugintest.NewDesk(t, plan)
		h := flagger.NewHook(d)
		method, path := "POST", "/metrics/api/v1/query"
		if int(kind) < len(hooks) {
			path = "/" + hooks[kind]
		} else {
			method, path = "GET", path+"?query="+url.QueryEscape(query)
		}
		r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(string(body)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case 200:
			if d.Asked() == 0 && strings.TrimSpace(query) != "vector(1)" {
				t.Errorf("%s %s: a go without asking: %s", path, body, w.Body)
			}
			if path == "/rollback" {
				t.Errorf("rolls back what nobody knows: %s", body)
			}
		case 400, 403, 404, 413:
		default:
			t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("no JSON: %s", w.Body)
		}
	})
}
