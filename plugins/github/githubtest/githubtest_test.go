package githubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request as the token of the test, and returns what comes back.
func ask(t *testing.T, h *Hub, token, method, path string, body any) (*http.Response, string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(said)
}

// TestBounds holds the Hub to the limits of GitHub: what is as long as it may be is taken, and one more is not.
func TestBounds(t *testing.T) {
	const base = "/repos/acme/shop/"
	long := func(n int) string { return strings.Repeat("é", n) } // characters, and not bytes
	many := func(n int) (all []Object) {
		for range n {
			all = append(all, Object{
				"path": "golive.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "it is so",
				"label": "A", "description": "b", "identifier": "c", // a button has these instead
			})
		}
		return all
	}
	inputs := func(n int) Object {
		o := Object{}
		for i := range n {
			o[fmt.Sprint("input", i)] = "x"
		}
		return o
	}
	action := func(label, description, identifier string) Object {
		return Object{"name": "golive", "head_sha": Commit(1), "actions": []Object{{"label": label, "description": description, "identifier": identifier}}}
	}
	output := func(o Object) Object {
		for _, field := range []string{"title", "summary"} {
			if o[field] == nil {
				o[field] = "x"
			}
		}
		return Object{"name": "golive", "head_sha": Commit(1), "output": o}
	}
	run := func(status, conclusion string) Object {
		return Object{"name": "golive", "head_sha": Commit(1), "status": status, "conclusion": conclusion}
	}
	for name, c := range map[string]struct {
		method, path string
		body         Object
		status       int
	}{
		"status, 140":               {"POST", "deployments/7001/statuses", Object{"state": "success", "description": long(140)}, 201},
		"status, 141":               {"POST", "deployments/7001/statuses", Object{"state": "success", "description": long(141)}, 422},
		"status, no state":          {"POST", "deployments/7001/statuses", Object{"state": "waiting"}, 422},
		"status of nothing":         {"POST", "deployments/1/statuses", Object{"state": "success"}, 404},
		"deployment":                {"POST", "deployments", Object{"ref": "v1", "auto_merge": false, "required_contexts": []string{}}, 201},
		"deployment of a commit":    {"POST", "deployments", Object{"ref": Commit(1), "auto_merge": false, "required_contexts": []string{}}, 201},
		"deployment, checks":        {"POST", "deployments", Object{"ref": "v1", "auto_merge": false}, 409},
		"deployment, merged":        {"POST", "deployments", Object{"ref": "v1", "required_contexts": []string{}}, 202},
		"deployment, no ref":        {"POST", "deployments", Object{"ref": "v9", "auto_merge": false, "required_contexts": []string{}}, 422},
		"check run, 50":             {"POST", "check-runs", output(Object{"annotations": many(50)}), 201},
		"check run, 51":             {"POST", "check-runs", output(Object{"annotations": many(51)}), 422},
		"summary, 65535":            {"POST", "check-runs", output(Object{"summary": long(65535)}), 201},
		"summary, 65536":            {"POST", "check-runs", output(Object{"summary": long(65536)}), 422},
		"text, 65536":               {"POST", "check-runs", output(Object{"text": long(65536)}), 422},
		"three actions":             {"POST", "check-runs", Object{"name": "golive", "head_sha": Commit(1), "actions": many(3)}, 201},
		"four actions":              {"POST", "check-runs", Object{"name": "golive", "head_sha": Commit(1), "actions": many(4)}, 422},
		"actions, null":             {"POST", "check-runs", Object{"name": "golive", "head_sha": Commit(1), "actions": nil}, 422},
		"check run, no such commit": {"POST", "check-runs", Object{"name": "golive", "head_sha": "x"}, 422},
		"check run, no title":       {"POST", "check-runs", output(Object{"title": ""}), 422},
		"check run, bare note":      {"POST", "check-runs", output(Object{"annotations": []Object{{"path": "golive.yaml"}}}), 422},
		"check run, over":           {"POST", "check-runs", run("completed", "success"), 201},
		"check run, over somehow":   {"POST", "check-runs", run("completed", ""), 422},
		"check run, no conclusion":  {"POST", "check-runs", run("completed", "good"), 422},
		"check run, no status":      {"POST", "check-runs", run("going", ""), 422},
		"action, 20 40 20":          {"POST", "check-runs", action(long(20), long(40), long(20)), 201},
		"action, 21":                {"POST", "check-runs", action(long(21), "", ""), 422},
		"action, 41":                {"POST", "check-runs", action("", long(41), ""), 422},
		"action, identifier 21":     {"POST", "check-runs", action("", "", long(21)), 422},
		"dispatch, 10 inputs":       {"POST", "actions/workflows/deploy.yml/dispatches", Object{"ref": "main", "inputs": inputs(10)}, 204},
		"dispatch, 11 inputs":       {"POST", "actions/workflows/deploy.yml/dispatches", Object{"ref": "main", "inputs": inputs(11)}, 422},
		"dispatch of a commit":      {"POST", "actions/workflows/deploy.yml/dispatches", Object{"ref": Commit(1)}, 422},
		"issue, 65536":              {"POST", "issues", Object{"title": "x", "body": long(65536)}, 201},
		"issue, 65537":              {"POST", "issues", Object{"title": "x", "body": long(65537)}, 422},
		"issue, label 50":           {"POST", "issues", Object{"title": "x", "labels": []string{long(50)}}, 201},
		"issue, label 51":           {"POST", "issues", Object{"title": "x", "labels": []string{long(51)}}, 422},
		"comment":                   {"POST", "issues/1/comments", Object{"body": "x"}, 201},
		"comment, 65537":            {"POST", "issues/1/comments", Object{"body": long(65537)}, 422},
		"sarif":                     {"POST", "code-scanning/sarifs", Object{"commit_sha": "x", "ref": "refs/heads/main", "sarif": "H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA=="}, 202},
		"sarif, not packed":         {"POST", "code-scanning/sarifs", Object{"commit_sha": "x", "ref": "refs/heads/main", "sarif": "{}"}, 400},
		"environment, escaped":      {"GET", "environments/prod%2Feu", nil, 200},
		"environment, not escaped":  {"GET", "environments/prod/eu", nil, 404},
		"report, 1024":              {"POST", "actions/runs/42/deployment_protection_rule", Object{"environment_name": "production", "comment": long(1024)}, 204},
		"report, 1025":              {"POST", "actions/runs/42/deployment_protection_rule", Object{"environment_name": "production", "comment": long(1025)}, 422},
		"another environment's run": {"POST", "actions/runs/42/deployment_protection_rule", Object{"environment_name": "test", "state": "approved"}, 404},
		"no such thing":             {"GET", "nothing", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			h := New(t)
			h.Deployed("production", Commit(1), "success")
			h.Add("environments", Object{"name": "prod/eu"})
			h.Wait(42, "production")
			if response, said := ask(t, h, h.JobToken(), c.method, base+c.path, c.body); response.StatusCode != c.status {
				t.Errorf("status %d %s, want %d", response.StatusCode, said, c.status)
			}
		})
	}
}

// TestPersonsHaveNoCheckRuns: the token of a person makes none.
func TestPersonsHaveNoCheckRuns(t *testing.T) {
	h := New(t)
	body := Object{"name": "golive", "head_sha": Commit(1)}
	if response, said := ask(t, h, Token, "POST", "/repos/acme/shop/check-runs", body); response.StatusCode != 403 {
		t.Errorf("status %d %s, want 403", response.StatusCode, said)
	}
}

// TestCheckRunGrows: annotations are added, and only counted in answers; what is not said stays.
func TestCheckRunGrows(t *testing.T) {
	h := New(t)
	note := Object{"path": "golive.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "it is so"}
	output := Object{"title": "x", "summary": "y", "annotations": []Object{note}}
	_, said := ask(t, h, h.JobToken(), "POST", "/repos/acme/shop/check-runs", Object{"name": "golive", "head_sha": Commit(1), "output": output, "actions": []Object{}})
	var made struct{ ID int64 }
	if err := json.Unmarshal([]byte(said), &made); err != nil {
		t.Fatal(err)
	}
	output["text"] = "z"
	path := fmt.Sprintf("/repos/acme/shop/check-runs/%d", made.ID)
	ask(t, h, h.JobToken(), "PATCH", path, Object{"output": output})
	delete(output, "text")
	_, said = ask(t, h, h.JobToken(), "PATCH", path, Object{"output": output})
	if !strings.Contains(said, `"annotations_count":3`) || strings.Contains(said, "it is so") || !strings.Contains(said, `"text":"z"`) {
		t.Errorf("it answers %s", said)
	}
}

// TestOneVerdict: ten reports, then the verdict, and never another.
func TestOneVerdict(t *testing.T) {
	h := New(t)
	h.Wait(42, "production")
	say := func(state string, status int) {
		t.Helper()
		body := Object{"environment_name": "production", "comment": "so far"}
		if state != "" {
			body["state"] = state
		}
		if response, said := ask(t, h, Token, "POST", "/repos/acme/shop/actions/runs/42/deployment_protection_rule", body); response.StatusCode != status {
			t.Errorf("%q: status %d %s, want %d", state, response.StatusCode, said, status)
		}
	}
	for range 10 {
		say("", 204)
	}
	say("", 422)
	say("perhaps", 422)
	say("rejected", 204)
	say("approved", 422)
	if reports, state, _ := h.Said(42, "production"); len(reports) != 10 || state != "rejected" {
		t.Errorf("%d reports and %q", len(reports), state)
	}
}

// TestPages follows the links to the end.
func TestPages(t *testing.T) {
	h := New(t)
	for range 7 {
		h.Deployed("production", Commit(1), "success")
	}
	h.Pages(3)
	var seen int
	for page, size := range []int{3, 3, 1} {
		response, said := ask(t, h, Token, "GET", fmt.Sprintf("/repos/acme/shop/deployments?per_page=100&page=%d", page+1), nil)
		var list []Object
		if err := json.Unmarshal([]byte(said), &list); err != nil || len(list) != size {
			t.Fatalf("page %d: %d entries, %v", page+1, len(list), err)
		}
		seen += len(list)
		if next := strings.Contains(response.Header.Get("Link"), `rel="next"`); next != (seen < 7) {
			t.Errorf("page %d: Link %q", page+1, response.Header.Get("Link"))
		}
	}
}

func TestLimits(t *testing.T) {
	for kind, c := range map[Limit]struct {
		status int
		header string
	}{Primary: {403, "X-RateLimit-Reset"}, Secondary: {403, "Retry-After"}, TooMany: {429, "Retry-After"}} {
		h := New(t)
		h.Limit("GET", "/repos/acme/shop/deployments", kind, 1, 30*time.Second)
		response, _ := ask(t, h, Token, "GET", "/repos/acme/shop/deployments", nil)
		if response.StatusCode != c.status || response.Header.Get(c.header) == "" {
			t.Errorf("kind %d: status %d, %v", kind, response.StatusCode, response.Header)
		}
		if response, _ := ask(t, h, Token, "GET", "/repos/acme/shop/deployments", nil); response.StatusCode != 200 {
			t.Errorf("kind %d, the second time: status %d", kind, response.StatusCode)
		}
	}
}

// TestTokens lets nobody in who is not known, and the app only with its signature.
func TestTokens(t *testing.T) {
	h := New(t)
	for name, c := range map[string]struct{ token, method, path string }{
		"nobody":           {"", "GET", "/repos/acme/shop/deployments"},
		"somebody":         {"ghp_other", "GET", "/repos/acme/shop/deployments"},
		"no signature":     {Token, "POST", "/app/installations/99/access_tokens"},
		"no JWT":           {"a.b.c", "GET", "/repos/acme/shop/installation"},
		"an unsigned JWT":  {"eyJhbGciOiJub25lIn0.eyJpc3MiOiI3In0.", "GET", "/repos/acme/shop/installation"},
		"a key of another": {"eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiI3In0.c2ln", "GET", "/repos/acme/shop/installation"},
	} {
		if response, said := ask(t, h, c.token, c.method, c.path, Object{}); response.StatusCode != 401 {
			t.Errorf("%s: status %d %s, want 401", name, response.StatusCode, said)
		}
	}
}
