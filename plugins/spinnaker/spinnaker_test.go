package spinnaker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const plan = `
service: checkout
environment: prod
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

const payload = `{"service":"checkout","environment":"prod","from":"v41","to":"v42","purpose":"watch","execution":"01J"}`

// A stage of Spinnaker is what Orca does with a webhook stage that waits: it sends the payload, takes the status URL from
// the header Location, on the same host if that is a path, and asks it until the word at $.status is one of the lists. A
// status 5xx or 429 is tried again, every other one that is not 2xx ends the stage.
type orca struct {
	t        *testing.T
	base     string
	location string
}

func orcaOf(t *testing.T, desk guard.Desk) *orca {
	mux := http.NewServeMux()
	// The server strips the prefix, and keeps the request as it came in RequestURI.
	mux.Handle("/v1/hooks/spinnaker/", http.StripPrefix("/v1/hooks/spinnaker", NewHook(desk)))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &orca{t: t, base: s.URL}
}

func (o *orca) send(method, address, body string) (*http.Response, progress) {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	var p progress
	if err := json.Unmarshal(text, &p); err != nil {
		o.t.Fatalf("%s: %v in %s", response.Status, err, text)
	}
	return response, p
}

// create sends the payload, and keeps the status URL.
func (o *orca) create() progress {
	o.t.Helper()
	response, p := o.send("POST", o.base+"/v1/hooks/spinnaker/?token=hunter2", payload)
	if response.StatusCode != http.StatusAccepted {
		o.t.Fatalf("POST: %s, %+v", response.Status, p)
	}
	o.location = response.Header.Get("Location")
	if want := "/v1/hooks/spinnaker/" + p.ID; o.location != want || p.ID == "" {
		o.t.Fatalf("Location %q, want %q", o.location, want)
	}
	return p
}

// poll asks once, and says what Orca makes of it.
func (o *orca) poll() (state, progress string) {
	o.t.Helper()
	response, p := o.send("GET", o.base+o.location, "")
	switch code := response.StatusCode; {
	case code >= 500 || code == http.StatusTooManyRequests:
		return "again", ""
	case code/100 != 2:
		return "TERMINAL", response.Status
	}
	for state, words := range map[string][]string{
		"SUCCEEDED": {"HEALTHY"}, "CANCELED": {"CANCELED"}, "TERMINAL": {"REGRESSED", "INSUFFICIENT"},
	} {
		if slices.Contains(words, p.Status) {
			return state, p.Progress
		}
	}
	return p.Status, p.Progress
}

func (o *orca) wants(state, progress string) {
	o.t.Helper()
	if is, says := o.poll(); is != state || !strings.Contains(says, progress) {
		o.t.Errorf("the stage is %s: %q, want %s: %q", is, says, state, progress)
	}
}

// back takes all traffic from the new version.
func back(t *testing.T, d *plugintest.Desk, id string) {
	d.Happen(t, id, guard.Shifted{})
	d.Happen(t, id, guard.Verified{Standing: guard.Standing{Undo: guard.Undo{Open: true}}, Findings: []guard.Finding{{ID: "up", Verdict: guard.Pass}}})
}

func TestStage(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	o := orcaOf(t, d)
	id := o.create().ID
	o.wants("RUNNING", "checking, 0 % of the traffic")
	d.Watch(t, id, 10, judge.Continue)
	o.wants("RUNNING", "watching, 10 % of the traffic: v42 has 10 % of the traffic")

	d.Away(errors.New("the disk is full"))
	o.wants("again", "")
	d.Away(nil)
	if again := o.create().ID; again != id || len(d.Rollouts()) != 1 {
		t.Errorf("the repeat opened %s, after %s", again, id)
	}

	d.Watch(t, id, 10, judge.Regressed)
	o.wants("RUNNING", "restoring, 10 % of the traffic: the counts are regressed")
	back(t, d, id)
	o.wants("TERMINAL", "rolled back: the counts are regressed")
	if want := (guard.Release{ID: id, Service: "checkout", Environment: "prod", From: "v41", To: "v42"}); d.Rollouts()[0] != want {
		t.Errorf("opened %+v, want %+v", d.Rollouts()[0], want)
	}
	if o.create().ID != id {
		t.Error("the same execution may repeat its message after the end")
	}
	if text := string(d.Deliveries()[0].Body); text != payload {
		t.Errorf("recorded %s", text)
	}
}

func TestCancel(t *testing.T) {
	for _, method := range []string{"POST", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			o := orcaOf(t, d)
			id := o.create().ID
			d.Watch(t, id, 50, judge.Continue)
			for range 2 {
				if response, p := o.send(method, o.base+o.location+"/cancel", `{}`); response.StatusCode != http.StatusAccepted || p.Status != "RUNNING" {
					t.Fatalf("%s %+v", response.Status, p)
				}
			}
			want := guard.Ordered{Verb: guard.OrderRollback, By: "spinnaker", Why: "the stage was canceled"}
			if told := d.Told(id); len(told) != 1 || told[0] != want {
				t.Errorf("told %+v", told)
			}
			back(t, d, id)
			o.wants("CANCELED", "rolled back: spinnaker ordered rollback: the stage was canceled")
			if response, p := o.send(method, o.base+o.location+"/cancel", ""); response.StatusCode != http.StatusAccepted || p.Status != "CANCELED" {
				t.Errorf("what is back is canceled: %s %+v", response.Status, p)
			}
		})
	}
	t.Run("too late", func(t *testing.T) {
		d := plugintest.NewDesk(t, plan)
		o := orcaOf(t, d)
		id := o.create().ID
		d.Happen(t, id, guard.Elapsed{}) // overdue
		if response, _ := o.send("POST", o.base+o.location+"/cancel", ""); response.StatusCode != http.StatusConflict {
			t.Errorf("%s", response.Status)
		}
		if len(d.Told(id)) != 0 {
			t.Errorf("told %v", d.Told(id))
		}
	})
}

// Without the execution, a message that comes again after the end may be a new run, which has not been watched.
func TestWithoutExecution(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := NewHook(d)
	post := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(`{"service":"checkout","to":"v42","more":{"secret":"hunter2"}}`)))
		return w
	}
	for range 2 {
		if w := post(); w.Code != http.StatusAccepted || w.Header().Get("Location") != "/checkout-1" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	d.Happen(t, "checkout-1", guard.Elapsed{})
	if w := post(); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "${execution.id}") || len(d.Rollouts()) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if text := string(d.Deliveries()[0].Body); strings.Contains(text, "hunter2") {
		t.Errorf("recorded %s", text)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		state guard.State
		want  string
	}{
		{guard.State{}, "RUNNING"},
		{guard.State{Phase: guard.Restoring, Cause: guard.CauseRegressed}, "RUNNING"},
		{guard.State{Phase: guard.Over}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.Live}, "HEALTHY"},
		{guard.State{Phase: guard.Over, Outcome: guard.Unfinished}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.NoGo}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.Unknowable}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.Overdue}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.Stopped}, "CANCELED"},
		{guard.State{Phase: guard.Over, Outcome: guard.RollbackFailed, Cause: guard.CauseOrdered}, "REGRESSED"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseRegressed}, "REGRESSED"},
		{guard.State{Phase: guard.Over, Outcome: guard.WouldRollBack, Cause: guard.CauseRegressed}, "REGRESSED"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseBlind}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseScarce}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseStuck}, "INSUFFICIENT"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseOrdered}, "CANCELED"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseInterrupted}, "CANCELED"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack}, "CANCELED"},
		{guard.State{Phase: guard.Over, Outcome: guard.RolledBack, Cause: guard.CauseOrdered, Purpose: guard.ToRollback}, "HEALTHY"},
		{guard.State{Phase: guard.Over, Outcome: guard.RollbackFailed, Purpose: guard.ToRollback}, "REGRESSED"},
	} {
		if got := status(c.state); got != c.want {
			t.Errorf("%s, %s, for %s, is %s, want %s", c.state.Outcome, c.state.Cause, c.state.Purpose, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"nothing":        {"POST", "/", "", 400, "no JSON"},
		"null":           {"POST", "/", "null", 400, "service is missing"},
		"no version":     {"POST", "/", `{"service":"checkout"}`, 400, "to (the new version) is missing"},
		"wrong type":     {"POST", "/", `{"service":["checkout"],"to":"v2"}`, 400, "is of the JSON type array"},
		"purpose":        {"POST", "/", `{"service":"checkout","to":"v2","purpose":"deploy"}`, 400, `purpose is \"deploy\"`},
		"long execution": {"POST", "/", `{"service":"checkout","to":"v2","execution":"` + strings.Repeat("x", 201) + `"}`, 400, "execution is longer"},
		"no plan":        {"POST", "/", `{"service":"cart","to":"v2"}`, 404, "no plan is for this"},
		"too long":       {"POST", "/", strings.Repeat(" ", hook.BodyBytes+1), 413, "longer than"},
		"other":          {"POST", "/x/y", "", 404, "there is nothing here"},
		"unknown":        {"GET", "/checkout-9", "", 404, "there is no such rollout"},
		"cancel nothing": {"POST", "/checkout-9/cancel", "", 404, "there is no such rollout"},
		"get":            {"GET", "/", "", 405, "asked with POST"},
		"put":            {"PUT", "/checkout-9", "", 405, "asked with GET or HEAD"},
		"get cancel":     {"GET", "/checkout-9/cancel", "", 405, "asked with POST or DELETE"},
		"get judge":      {"GET", "/judge", "", 405, "asked with POST"},
	} {
		t.Run(name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			w := httptest.NewRecorder()
			NewHook(d).ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || (w.Header().Get("Allow") != "") != (c.status == 405) {
				t.Errorf("%d %s, Allow %q", w.Code, w.Body, w.Header().Get("Allow"))
			}
			if len(d.Rollouts()) != 0 {
				t.Errorf("opened %v", d.Rollouts())
			}
		})
	}
}

func TestUnderWay(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	o := orcaOf(t, d)
	id := o.create().ID
	w := httptest.NewRecorder()
	NewHook(d).ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(strings.ReplaceAll(payload, "v42", "v43"))))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), `"rollout":"`+id+`"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// While the desk is away, the tool is asked to come again, and the operator hears why.
func TestAway(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	d.Away(errors.New("the disk is full"))
	for _, c := range []struct{ method, path, body string }{{"POST", "/", payload}, {"GET", "/checkout-1", ""}, {"POST", "/checkout-1/cancel", ""}} {
		var reported []error
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r = r.WithContext(hook.WithReport(r.Context(), func(err error) { reported = append(reported, err) }))
		w := httptest.NewRecorder()
		NewHook(d).ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		if len(reported) != 1 || !strings.Contains(reported[0].Error(), "the disk is full") {
			t.Errorf("%s %s: reported %v", c.method, c.path, reported)
		}
	}
}

// TestMount keeps the status URL on this host, and tokens out of it.
func TestMount(t *testing.T) {
	for asked, want := range map[string]string{
		"/":                                   "",
		"/v1/hooks/spinnaker?token=hunter2":   "/v1/hooks/spinnaker",
		"/v1/hooks/a%20b/":                    "/v1/hooks/a%20b",
		"http://golive:8080/v1/hooks/x/?a=b":  "/v1/hooks/x",
		"http://golive:8080//evil.example/x/": "/evil.example/x",
	} {
		r := &http.Request{URL: &url.URL{Path: "/"}, RequestURI: asked}
		if got := mount(r); got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
}

func FuzzHook(f *testing.F) {
	f.Add("POST", "/", []byte(payload))
	f.Add("POST", "/judge", []byte(oneMetric(`{"critical":true,"effectSize":{"measure":"cles"},"outliers":{"strategy":"remove"}}`, series(1, 1, 8), series(2, 1, 8))))
	f.Add("POST", "/judge", []byte(metrics(`{"A":70,"B":30}`, "A=Pass", "B=High", "B=Nodata", "C=missing")))
	f.Add("DELETE", "/checkout-1/cancel", []byte(`{}`))
	f.Add("GET", "/checkout-1", []byte{})
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		d := plugintest.NewDesk(t, plan)
		r := &http.Request{Method: method, URL: &url.URL{Path: path}, RequestURI: path, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
		w := httptest.NewRecorder()
		NewHook(d).ServeHTTP(w, r.WithContext(t.Context()))
		judged := strings.Trim(path, "/") == "judge"
		if w.Code/100 == 2 && !judged && d.Asked() == 0 {
			t.Errorf("%d %s, and the desk was not asked", w.Code, w.Body)
		}
		if w.Code == http.StatusAccepted && len(d.Deliveries()) == 0 {
			t.Errorf("%d %s, and nothing is durable", w.Code, w.Body)
		}
		if w.Code/100 == 2 && len(body) > hook.BodyBytes {
			t.Errorf("%d for %d bytes", w.Code, len(body))
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("no JSON: %s", w.Body)
		}
		if judged && w.Code == http.StatusOK {
			var j judgement
			if err := json.Unmarshal(w.Body.Bytes(), &j); err != nil {
				t.Fatal(err)
			}
			passed := slices.ContainsFunc(j.Results, func(r result) bool { return r.Classification == pass && r.Experiment.Stats["count"] >= 2 })
			if j.Score.Classification == pass && !passed {
				t.Errorf("a pass from nothing: %s", fmt.Sprint(w.Body))
			}
		}
	})
}
