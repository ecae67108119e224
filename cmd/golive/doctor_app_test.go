package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/github/githubtest"
)

// TestAppFindings says what the app lacks for the gate; what cannot be found out is no pass.
func TestAppFindings(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(h *githubtest.Hub, p *program)
		verdict guard.Verdict
		says    string // in what was observed, or in the reason
	}{
		"all is there": {func(*githubtest.Hub, *program) {}, guard.Pass, "all of it"},
		"read is less": {func(h *githubtest.Hub, _ *program) { h.Grant("deployments", "read") }, guard.Fail, "not the permission Deployments: read and write"},
		"no actions":   {func(h *githubtest.Hub, _ *program) { h.Grant("actions", "") }, guard.Fail, "the permission Actions: read"},
		"no event":     {func(h *githubtest.Hub, _ *program) { h.Hears("push") }, guard.Fail, "the event Deployment protection rule"},
		"another app":  {func(_ *githubtest.Hub, p *program) { p.settings.GitHubApp++ }, guard.Unknown, "no answer"},
		"no key":       {func(_ *githubtest.Hub, p *program) { p.settings.GitHubKey = "hunter2" }, guard.Unknown, "private_key"},
		"GitHub is off": {func(h *githubtest.Hub, _ *program) {
			h.Break("GET", "/app", -1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
		}, guard.Unknown, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			h, p := githubtest.New(t), &program{}
			p.settings.GitHubApp, p.settings.GitHubKey, p.settings.GitHubAPI = githubtest.AppID, h.Key(), h.URL
			c.change(h, p)
			all := p.appFindings(t.Context())
			if len(all) != 1 {
				t.Fatalf("%d findings", len(all))
			}
			f := all[0]
			if f.Verdict != c.verdict || !strings.Contains(f.Observed+f.Reason, c.says) || (f.Verdict != guard.Pass) != (f.Remedy != "") ||
				strings.Contains(f.Reason, "PRIVATE KEY") || strings.Contains(f.Reason, "hunter2") {
				t.Errorf("%+v, want %v and %q", f, c.verdict, c.says)
			}
		})
	}
	if all := (&program{}).appFindings(t.Context()); len(all) > 0 {
		t.Errorf("of no app: %+v", all)
	}
}
