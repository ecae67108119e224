package github

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/github/githubtest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// deploying are the settings of a backend on a hub where v1 runs.
func deploying(h *githubtest.Hub, more guard.With) guard.With {
	h.Deployed("test", githubtest.Commit(1), "success")
	with := guard.With{"repository": githubtest.Repository, "address": h.URL, "app_id": githubtest.AppID, "private_key": h.Key(), "every": "5ms"}
	for key, value := range more {
		with[key] = value
	}
	return with
}

var byWorkflow = guard.With{"workflow": map[string]any{"file": "deploy.yml", "ref": "main"}}

// arm lets whatever is begun on a hub succeed, in the way that the settings have it deployed.
func arm(h *githubtest.Hub) {
	h.Deploys(func(d githubtest.Object) string { return "success" })
	h.Conclude("success")
}

func backendOf(t *testing.T, h *githubtest.Hub, more guard.With) *Backend {
	t.Helper()
	return plugintest.Make(t, NewBackend, deploying(h, more)).(*Backend)
}

func order(key string) guard.Order {
	return guard.Order{Release: release, Fence: 3, Seq: 4, Key: key}
}

// ways are the two in which a deployment is done.
var ways = map[string]struct {
	with guard.With
	arm  func(h *githubtest.Hub)
}{
	"by whoever hears of it": {nil, func(h *githubtest.Hub) { h.Deploys(func(githubtest.Object) string { return "success" }) }},
	"by a workflow":          {byWorkflow, func(h *githubtest.Hub) { h.Conclude("success") }},
}

func TestBackend(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			way.arm(h)
			plugintest.Backend(t, backendOf(t, h, way.with), plugintest.BackendCase{})
		})
	}
}

func TestBackendFar(t *testing.T) {
	h := githubtest.New(t)
	arm(h)
	far := plugintest.Open(t, kit.Name, plugins.Options{})
	plugintest.Backend(t, plugintest.Make(t, far.Backends["github"], deploying(h, nil)), plugintest.BackendCase{})
}

// TestBackOnItsOwn: that GitHub wants no reports any more, in whatever words, keeps no way back.
func TestBackOnItsOwn(t *testing.T) {
	for name, kind := range map[string]githubtest.Limit{"primary": githubtest.Primary, "secondary": githubtest.Secondary, "429": githubtest.TooMany} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			h.Conclude("success")
			b := backendOf(t, h, byWorkflow)
			h.Limit("POST", "/repos/acme/shop/deployments/", kind, -1, time.Hour) // the statuses
			for _, percent := range []int{100, 0} {
				if err := b.Shift(t.Context(), order(fmt.Sprint("r7/", percent)), percent); err != nil {
					t.Fatalf("shift to %d%%: %v", percent, err)
				}
				if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != percent {
					t.Errorf("after the shift to %d%%: %+v, %v", percent, s, err)
				}
			}
			if n := h.Count("POST /repos/acme/shop/deployments/"); n == 0 {
				t.Error("no report was tried, and so nothing was tested")
			}
			for _, d := range h.List("deployments")[1:] {
				if said := h.List(fmt.Sprintf("statuses/%d", int(d["id"].(float64)))); len(said) != 0 {
					t.Errorf("a report came through: %v", said)
				}
			}
		})
	}
}

// TestBackendDeploys looks at what is sent: what has to be said, so that neither checks nor a merge are in the way, and to
// whom the inputs go.
func TestBackendDeploys(t *testing.T) {
	h := githubtest.New(t)
	h.Conclude("success")
	b := backendOf(t, h, guard.With{"workflow": map[string]any{"file": "deploy.yml", "ref": "main", "inputs": map[string]any{"version": "{{.Version}}", "sha": "{{.Commit}}"}}})
	if err := b.Shift(t.Context(), order("r7/1"), 100); err != nil {
		t.Fatal(err)
	}
	if err := b.Shift(t.Context(), order("r7/2"), 0); err != nil {
		t.Fatal(err)
	}
	runs := h.List("runs")
	want := []githubtest.Object{
		{"golive_id": "r7/1", "version": "v2", "sha": githubtest.Commit(2)},
		{"golive_id": "r7/2", "version": "v1", "sha": githubtest.Commit(1)},
	}
	if len(runs) != len(want) {
		t.Fatalf("%d runs, want %d: %v", len(runs), len(want), runs)
	}
	for i, run := range runs {
		if fmt.Sprint(run["inputs"]) != fmt.Sprint(want[i]) {
			t.Errorf("run %d has the inputs %v, want %v", i, run["inputs"], want[i])
		}
	}
	golive, _ := h.List("deployments")[2]["payload"].(githubtest.Object)["golive"].(githubtest.Object)
	if golive["key"] != "r7/2" || golive["fence"] != 3.0 || golive["seq"] != 4.0 {
		t.Errorf("the payload says %v", golive)
	}
	for _, token := range h.List("tokens") {
		permissions := token["permissions"].(githubtest.Object)
		if len(permissions) != 3 || permissions["actions"] != "write" || permissions["contents"] != "read" || permissions["deployments"] != "write" {
			t.Errorf("asked for %v", permissions)
		}
	}
}

// TestBackendGoesOn is about calls that were cut off: what was begun is not begun again.
func TestBackendGoesOn(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			b := backendOf(t, h, way.with)
			ctx, cancel := context.WithCancel(t.Context())
			begun := "POST /repos/acme/shop/deployments"
			if way.with != nil {
				begun = "POST /repos/acme/shop/actions/workflows/"
			}
			ended := make(chan error)
			go func() { ended <- b.Shift(ctx, order("r7/1"), 100) }()
			await(t, h, func() bool { return h.Count(begun) == 1 })
			cancel()
			if err := <-ended; err == nil {
				t.Error("it has ended well, and nobody has deployed")
			}
			if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != 0 || !s.Undo.Open {
				t.Errorf("meanwhile: %+v, %v", s, err)
			}
			go func() { ended <- b.Shift(t.Context(), order("r7/1"), 100) }()
			looks := h.Count("GET /repos/acme/shop/deployments/")
			await(t, h, func() bool { return h.Count("GET /repos/acme/shop/deployments/") > looks+3 })
			finish(h, way.with != nil)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if n := h.Count(begun); n != 1 {
				if way.with != nil || len(h.List("deployments")) != 2 {
					t.Errorf("it was begun %d times", n)
				}
			}
		})
	}
}

// finish ends all that is under way with success.
func finish(h *githubtest.Hub, run bool) {
	if run {
		h.Finish("success")
		return
	}
	all := h.List("deployments")
	h.Status(int64(all[len(all)-1]["id"].(float64)), "success")
}

// await waits for a fact.
func await(t *testing.T, h *githubtest.Hub, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !fact(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a minute is over; GitHub was asked %q", h.Asked())
		}
	}
}

// TestBackendCancels what is still under way before it goes the other way.
func TestBackendCancels(t *testing.T) {
	h := githubtest.New(t)
	b := backendOf(t, h, byWorkflow)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Shift(ctx, order("r7/1"), 100) }()
	await(t, h, func() bool { return len(h.List("runs")) == 1 })
	cancel()
	<-ended
	h.Conclude("success")
	if err := b.Shift(t.Context(), order("r7/2"), 0); err != nil {
		t.Fatal(err)
	}
	runs := h.List("runs")
	if len(runs) != 2 || runs[0]["conclusion"] != "cancelled" || runs[1]["conclusion"] != "success" {
		t.Errorf("runs %v", runs)
	}
	if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestBackendUndo says when there is a way back, and by what.
func TestBackendUndo(t *testing.T) {
	type past struct {
		commit int
		state  string
	}
	for name, c := range map[string]struct {
		past    []past
		from    string
		percent int
		open    bool
		detail  string
	}{
		"the old one runs":         {[]past{{1, "success"}}, "v1", 0, true, "deploy " + short(githubtest.Commit(1)) + " again"},
		"the new one runs":         {[]past{{1, "success"}, {2, "success"}}, "v1", 100, true, "deploy " + short(githubtest.Commit(1))},
		"nothing ran":              {nil, "v1", 0, false, "none of an older version has succeeded"},
		"the old one never worked": {[]past{{1, "failure"}, {2, "success"}}, "v1", 100, false, "none of an older version has succeeded"},
		"only the new one":         {[]past{{2, "success"}, {2, "success"}}, "v1", 100, false, "none of an older version has succeeded"},
		"another one ran":          {[]past{{9, "success"}}, "v1", 0, false, "none of an older version has succeeded"},
		"whatever was there":       {[]past{{9, "success"}, {2, "success"}}, "", 100, true, "deploy " + short(githubtest.Commit(9))},
		"the new one failed":       {[]past{{1, "success"}, {2, "failure"}}, "v1", 0, true, "deploy " + short(githubtest.Commit(1))},
	} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			h.Tag("v9", githubtest.Commit(9))
			arm(h)
			b := plugintest.Make(t, NewBackend, guard.With{"repository": githubtest.Repository, "address": h.URL, "token": githubtest.Token, "every": "5ms"})
			for _, p := range c.past {
				h.Deployed("test", githubtest.Commit(p.commit), p.state)
			}
			r := release
			r.From = c.from
			s, err := b.Inspect(t.Context(), r)
			if err != nil || s.Percent != c.percent || s.Undo.Open != c.open || !strings.Contains(s.Undo.Detail, c.detail) {
				t.Errorf("%+v, %v", s, err)
			}
			asked := len(h.List("deployments"))
			err = b.Shift(t.Context(), guard.Order{Release: r, Key: "r7/1"}, 0)
			if c.percent == 100 && !c.open && (err == nil || !strings.Contains(err.Error(), "nothing to go back to")) {
				t.Errorf("shift to 0%%: %v", err)
			}
			if c.open && err != nil {
				t.Errorf("shift to 0%%: %v", err)
			}
			if !c.open && len(h.List("deployments")) != asked {
				t.Error("it has deployed, and there is nothing that is known to work")
			}
		})
	}
}

// TestBackAfterHalf: a deployment that has failed may be there in part, so the way back deploys.
func TestBackAfterHalf(t *testing.T) {
	h := githubtest.New(t)
	b := backendOf(t, h, nil)
	h.Deploys(func(githubtest.Object) string { return "failure" })
	if err := b.Shift(t.Context(), order("r7/1"), 100); err == nil || !strings.Contains(err.Error(), "failure") {
		t.Errorf("error %v, want the failure", err)
	}
	arm(h)
	if err := b.Shift(t.Context(), order("r7/2"), 0); err != nil {
		t.Fatal(err)
	}
	all := h.List("deployments")
	if len(all) != 3 || all[2]["sha"] != githubtest.Commit(1) {
		t.Errorf("deployments %v", all)
	}
}

// TestBackendErrors wants each to say what to do.
func TestBackendErrors(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		hub  func(h *githubtest.Hub)
		says string
	}{
		"a share":          {nil, nil, "all or nothing"},
		"no permission":    {nil, func(h *githubtest.Hub) { h.Grant("deployments", "read") }, `give the app the permission`},
		"not dispatchable": {byWorkflow, breaks("POST", "/repos/acme/shop/actions/workflows/", 422, `{"message":"Workflow does not have 'workflow_dispatch' trigger"}`), "the workflow needs on.workflow_dispatch"},
		"run fails":        {byWorkflow, func(h *githubtest.Hub) { h.Conclude("failure") }, "failure (its log at GitHub says why)"},
		"too slow":         {guard.With{"wait": "300ms"}, nil, "the deployment is not over within 300ms"},
		"untitled run":     {guard.With{"wait": "300ms", "workflow": byWorkflow["workflow"]}, func(h *githubtest.Hub) { h.Untitled(); h.Conclude("success") }, "not over within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			b := backendOf(t, h, c.with)
			if c.hub != nil {
				c.hub(h)
			}
			percent := 100
			if name == "a share" {
				percent = 10
			}
			if err := b.Shift(t.Context(), order("r7/1"), percent); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "ghs_") {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}

func breaks(method, path string, status int, body string) func(h *githubtest.Hub) {
	return func(h *githubtest.Hub) {
		h.Break(method, path, -1, func(w http.ResponseWriter) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
}

func TestBackendMistakes(t *testing.T) {
	inputs := map[string]any{}
	for i := range 10 {
		inputs[fmt.Sprint("i", i)] = "x"
	}
	for name, c := range map[string]struct {
		with guard.With
		says string
	}{
		"no file":          {guard.With{"workflow": map[string]any{"ref": "main"}}, "workflow.file"},
		"a path":           {guard.With{"workflow": map[string]any{"file": ".github/workflows/deploy.yml", "ref": "main"}}, "workflow.file"},
		"no ref":           {guard.With{"workflow": map[string]any{"file": "deploy.yml"}}, "workflow.ref"},
		"a commit":         {guard.With{"workflow": map[string]any{"file": "deploy.yml", "ref": githubtest.Commit(1)}}, "workflow.ref"},
		"too many inputs":  {guard.With{"workflow": map[string]any{"file": "deploy.yml", "ref": "main", "inputs": inputs}}, "workflow.inputs: may be 9"},
		"an unknown word":  {guard.With{"workflow": map[string]any{"file": "deploy.yml", "ref": "main", "inputs": map[string]any{"x": "{{.Percent}}"}}}, "workflow.inputs.x"},
		"no environment":   {guard.With{"environment": ""}, "environment:"},
		"environment word": {guard.With{"environment": "{{.Where}}"}, "environment:"},
		"no time":          {guard.With{"wait": "0s"}, "wait, every"},
		"no login":         {guard.With{"token": ""}, "token: missing"},
	} {
		with := guard.With{"repository": "acme/shop", "token": token}
		for key, value := range c.with {
			with[key] = value
		}
		if _, err := NewBackend(with); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
}

// TestTakenBack: a deployment that was called a success, and a failure since, is not where the traffic is, and nothing to go
// back to.
func TestTakenBack(t *testing.T) {
	h := githubtest.New(t)
	b := backendOf(t, h, nil) // with a deployment before those of the test
	good, bad := githubtest.Commit(6), githubtest.Commit(7)
	h.Deployed("test", good, "success")
	taken := h.Deployed("test", bad, "success")
	h.Status(taken, "failure") // as the notifier says when golive has rolled back
	r := release
	r.From = ""
	s, err := b.Inspect(t.Context(), r)
	if err != nil || !s.Undo.Open || !strings.Contains(s.Undo.Detail, short(good)) || !strings.Contains(s.Detail, "is "+short(good)) {
		t.Errorf("%+v, %v", s, err)
	}
	if last, err := b.way.lastSuccess(t.Context(), "test", githubtest.Commit(8)); err != nil || last == nil || last.sha != good {
		t.Errorf("the last success is %+v, %v", last, err)
	}
}
