package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/plugins/github/githubtest"
)

// TestGitHubStep brings the answer of golive check to GitHub, as a step of a workflow does.
func TestGitHubStep(t *testing.T) {
	h := githubtest.New(t)
	h.Pull(githubtest.Commit(2), "open")
	dir := t.TempDir()
	plan, sarif, markdown := filepath.Join(dir, "golive.yaml"), filepath.Join(dir, "golive.sarif"), filepath.Join(dir, "check.md")
	token := h.JobToken()
	env := map[string]string{
		"GITHUB_REPOSITORY": githubtest.Repository, "GITHUB_TOKEN": token, "GITHUB_API_URL": h.URL, "GITHUB_REF": "refs/heads/main", "GITHUB_SHA": githubtest.Commit(2),
	}
	call := func(want int, says string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &out, &errs, envconfig.MapLookuper(env), nil)
		if code != want || !strings.Contains(out.String()+errs.String(), says) || strings.Contains(out.String()+errs.String(), token) {
			t.Fatalf("golive %v: exit code %d, want %d and %q\n%s%s", args, code, want, says, &out, &errs)
		}
	}
	if err := os.WriteFile(plan, []byte(gitHubPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	call(exitNoGo, "no-go", "check", "-f", plan, "--journal", dir, "--from", "v1", "--to", "v2", "-o", "sarif="+sarif, "-o", "markdown="+markdown)
	call(exitOK, "GitHub has read", "github", "upload", sarif)
	for range 2 {
		call(exitOK, "commented on #1", "github", "comment", markdown)
	}
	if got := h.List("sarifs"); len(got) != 1 || !strings.Contains(got[0]["sarif"].(string), `"version"`) {
		t.Errorf("code scanning has %v", got)
	}
	if got := h.List("comments/1"); len(got) != 1 || !strings.Contains(got[0]["body"].(string), "no-go") {
		t.Errorf("the comments are %v", got)
	}
	call(exitUsage, "no such file", "github", "upload", filepath.Join(dir, "none"))
	h.Grant("security_events", "")
	env["GITHUB_TOKEN"] = h.JobToken()
	call(exitUnknown, "security-events: write", "github", "upload", sarif)
	env["GITHUB_SHA"] = githubtest.Commit(1)
	call(exitOK, "no pull request", "github", "comment", markdown)
	// Of pull_request_target ref and commit are those of the base.
	env["GITHUB_EVENT_PATH"] = filepath.Join(dir, "event.json")
	call(exitUsage, "GITHUB_EVENT_PATH: ", "github", "comment", markdown)
	if err := os.WriteFile(env["GITHUB_EVENT_PATH"], []byte(`{"number":1,"pull_request":{"number":1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	call(exitOK, "commented on #1", "github", "comment", markdown)
	delete(env, "GITHUB_TOKEN")
	call(exitUsage, "GITHUB_TOKEN not set", "github", "comment", markdown)
}

// hubs are the GitHubs of scripts, by their directories.
var hubs sync.Map

// hub is the command hub: it opens a GitHub with a pull request of v2, and a deployment of it, and sets HUB to its address and
// HUB_KEY to the key of the app. With KIND and FILE it writes what GitHub has of a kind into the file, or for asked what it
// was asked.
func hub(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		h := githubtest.New(t)
		h.Pull(githubtest.Commit(2), "merged")
		ts.Setenv("DEPLOYMENT", strconv.FormatInt(h.Deployed("test", githubtest.Commit(2), "pending"), 10))
		ts.Setenv("HUB", h.URL)
		ts.Setenv("HUB_KEY", h.Key())
		hubs.Store(ts.Getenv("WORK"), h)
		return
	}
	open, _ := hubs.Load(ts.Getenv("WORK"))
	h, _ := open.(*githubtest.Hub)
	if h == nil || len(args) != 2 {
		ts.Fatalf("usage: hub, then hub KIND FILE")
	}
	var what any = h.List(args[0])
	if args[0] == "asked" {
		what = h.Asked()
	}
	text, err := json.MarshalIndent(what, "", " ")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(text, '\n'), 0o600))
}

const gitHubPlan = `
service: shop
rollout:
  backend: {use: command, with: {inspect: "false", shift: "false"}}
  steps: [100]
watch:
  source: {use: scrape, with: {canary: ["http://127.0.0.1:1/metrics"], stable: ["http://127.0.0.1:1/metrics"]}}
  signals: [{name: errors, preset: promhttp, never: 5%}]
`
