package github

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/github/githubtest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// guarded is an environment as it should be: two reviewers, protected branches, and nobody goes past.
func guarded(name string, more githubtest.Object) githubtest.Object {
	e := githubtest.Object{
		"name": name, "can_admins_bypass": false, "deployment_branch_policy": githubtest.Object{"protected_branches": true, "custom_branch_policies": false},
		"protection_rules": []any{required(2, true), githubtest.Object{"id": 2, "type": "branch_policy"}, githubtest.Object{"id": 3, "type": "wait_timer", "wait_timer": 30}},
	}
	maps.Copy(e, more)
	return e
}

func required(people int, notOneself bool) githubtest.Object {
	reviewers := []any{}
	for i := range people {
		reviewers = append(reviewers, githubtest.Object{"type": "User", "reviewer": user(i)})
	}
	return githubtest.Object{"id": 1, "type": "required_reviewers", "prevent_self_review": notOneself, "reviewers": reviewers}
}

func environmentOf(t *testing.T, h *githubtest.Hub, more guard.With) guard.Probe {
	t.Helper()
	with := guard.With{"repository": githubtest.Repository, "address": h.URL, "app_id": githubtest.AppID, "private_key": h.Key()}
	maps.Copy(with, more)
	return plugintest.Make(t, NewEnvironment, with)
}

func TestEnvironment(t *testing.T) {
	rules := func(all ...githubtest.Object) githubtest.Object {
		list := []any{}
		for _, one := range all {
			list = append(list, one)
		}
		return githubtest.Object{"protection_rules": list}
	}
	for name, c := range map[string]struct {
		more    githubtest.Object
		with    guard.With
		verdict guard.Verdict
		reason  string
	}{
		"as it should be":      {nil, nil, guard.Pass, ""},
		"three reviewers":      {nil, guard.With{"reviewers": 3}, guard.Fail, "it has 2 of 3 required reviewers"},
		"no rules":             {rules(), nil, guard.Fail, "it has 0 of 1 required reviewers"},
		"nothing said":         {githubtest.Object{"protection_rules": nil}, nil, guard.Fail, "it has 0 of 1 required reviewers"},
		"no reviewers wanted":  {rules(), guard.With{"reviewers": 0}, guard.Pass, ""},
		"wait long enough":     {nil, guard.With{"wait": "30m"}, guard.Pass, ""},
		"wait too short":       {nil, guard.With{"wait": "31m"}, guard.Fail, "a job waits 30m, and not 31m"},
		"administrators":       {githubtest.Object{"can_admins_bypass": true}, nil, guard.Warn, "administrators can go past"},
		"nobody says":          {githubtest.Object{"can_admins_bypass": nil}, nil, guard.Warn, "administrators can go past"},
		"administrators may":   {githubtest.Object{"can_admins_bypass": true}, guard.With{"bypass": true}, guard.Pass, ""},
		"oneself":              {rules(required(1, false)), nil, guard.Warn, "may agree to it himself"},
		"oneself may":          {rules(required(1, false)), guard.With{"self_review": true}, guard.Pass, ""},
		"any branch":           {githubtest.Object{"deployment_branch_policy": nil}, nil, guard.Warn, "any branch"},
		"any branch may":       {githubtest.Object{"deployment_branch_policy": nil}, guard.With{"any_branch": true}, guard.Pass, ""},
		"named branches":       {githubtest.Object{"deployment_branch_policy": githubtest.Object{"protected_branches": false, "custom_branch_policies": true}}, nil, guard.Pass, ""},
		"a rule of the future": {rules(required(1, true), githubtest.Object{"id": 9, "type": "something_new"}), nil, guard.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			h.Add("environments", guarded("test", c.more))
			f, err := environmentOf(t, h, c.with).Probe(t.Context(), release)
			if err != nil || f.Verdict != c.verdict || !strings.Contains(f.Reason, c.reason) || (f.Verdict != guard.Pass) != (f.Remedy != "") {
				t.Errorf("%s %q (%v), want %s %q: %+v", f.Verdict, f.Reason, err, c.verdict, c.reason, f)
			}
		})
	}
}

// TestEnvironmentNames: a name is one part of an address, whatever it holds.
func TestEnvironmentNames(t *testing.T) {
	for _, name := range []string{"prod/eu", "prod eu", "a?b#c", "100%", "..", "prod%2Feu", "生产"} {
		h := githubtest.New(t)
		h.Add("environments", githubtest.Object{"name": "prod"})
		h.Add("environments", guarded(name, nil))
		r := release
		r.Environment = name
		f, err := environmentOf(t, h, nil).Probe(t.Context(), r)
		if name == ".." { // which no server takes as a name
			if err == nil && f.Verdict == guard.Pass {
				t.Errorf("%q: %+v", name, f)
			}
			continue
		}
		if err != nil || f.Verdict != guard.Pass {
			t.Errorf("%q: %s %s (%v)", name, f.Verdict, f.Reason, err)
		}
	}
}

// TestNoEnvironment is a no only where the whole list says so.
func TestNoEnvironment(t *testing.T) {
	h := githubtest.New(t)
	h.Pages(2)
	for i := range 5 {
		h.Add("environments", guarded(fmt.Sprint("other", i), nil))
	}
	f, err := environmentOf(t, h, nil).Probe(t.Context(), release)
	if err != nil || f.Verdict != guard.Fail || !strings.Contains(f.Reason, "no such environment") {
		t.Errorf("%+v (%v)", f, err)
	}
	h.Add("environments", guarded("test", nil))
	h.Break("GET", "/repos/acme/shop/environments/test", -1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
	if f, err := environmentOf(t, h, nil).Probe(t.Context(), release); err == nil {
		t.Errorf("what is listed and not found is %s", f.Verdict)
	}
	h.Grant("actions", "")
	if _, err := environmentOf(t, h, nil).Probe(t.Context(), release); err == nil || !strings.Contains(err.Error(), "Actions: read") {
		t.Errorf("without the permission: %v", err)
	}
	h = githubtest.New(t)
	h.Break("GET", "/repos/acme/shop/environments", -1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
	if f, err := environmentOf(t, h, nil).Probe(t.Context(), release); err == nil {
		t.Errorf("a token that sees nothing: %s", f.Verdict)
	}
}

func TestEnvironmentContract(t *testing.T) {
	h := githubtest.New(t)
	h.Add("environments", guarded("test", nil))
	plugintest.Probe(t, environmentOf(t, h, nil), release, guard.Pass)
}

func TestEnvironmentMistakes(t *testing.T) {
	h := githubtest.New(t)
	for key, value := range map[string]any{"environment": "", "reviewers": 7, "wait": "31d", "branches": true} {
		with := guard.With{"repository": githubtest.Repository, "address": h.URL, "token": "x", key: value}
		if _, err := NewEnvironment(with); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
