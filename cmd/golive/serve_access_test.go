package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
)

// TestAccess reads who may call, from files and from the environment.
func TestAccess(t *testing.T) {
	const issuers = "issuers:\n- url: https://ci.example\n  audience: golive\n  grants:\n  - match: {sub: x*}\n    rights: [hook]\n"
	const token = "ci hook " + "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for _, c := range []struct {
		name    string
		listen  string
		oidc    string
		env     map[string]string
		open    bool
		problem string
	}{
		{name: "nobody on loopback", listen: "127.0.0.1:0", open: true},
		{name: "nobody beyond", listen: ":8457", problem: "would let everybody"},
		{name: "an issuer beyond", listen: ":8457", oidc: issuers},
		{name: "an issuer on loopback", listen: "127.0.0.1:0", oidc: issuers},
		{name: "a mistake in the issuers", listen: "127.0.0.1:0", oidc: strings.Replace(issuers, "[hook]", "[root]", 1), problem: `line 6 of the issuers: "root" is no right`},
		{name: "tokens of the environment", listen: ":8457", env: map[string]string{"GOLIVE_TOKENS": token}},
		{name: "a key that can be guessed", listen: "127.0.0.1:0", oidc: issuers, env: map[string]string{"GOLIVE_COOKIE_KEY": "hunter2"}, problem: "GOLIVE_COOKIE_KEY: a key of less"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := serving{listen: c.listen}
			if c.oidc != "" {
				o.oidc = filepath.Join(t.TempDir(), "oidc.yaml")
				if err := os.WriteFile(o.oidc, []byte(c.oidc), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			access, err := (&program{env: envconfig.MapLookuper(c.env)}).access(o)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error is %v, want %q", err, c.problem)
				}
				return
			}
			if err != nil || access.Guarded() == c.open {
				t.Errorf("open to everybody: %v (%v), want %v", !access.Guarded(), err, c.open)
			}
		})
	}
}

// TestTokenLines names the line of a mistake as it stands where the line is.
func TestTokenLines(t *testing.T) {
	const token = " hook sha256:0000000000000000000000000000000000000000000000000000000000000000\n"
	for _, c := range []struct{ name, env, file, problem string }{
		{"a mistake in the file", "", "# who\nci" + token + "oops\n", "tokens: line 3 of the tokens"},
		{"a mistake in the file, and good ones before", "a" + token + "b" + token, "oops\n", "tokens: line 1 of the tokens"},
		{"a mistake in the environment", "ci" + token + "oops\n", "a" + token, "GOLIVE_TOKENS: line 2 of the tokens"},
		{"one name twice", "ci" + token, "ci" + token, "both hold a token of ci"},
		{"none", "a" + token, "b" + token, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := serving{listen: "127.0.0.1:0", tokens: filepath.Join(t.TempDir(), "tokens")}
			if err := os.WriteFile(o.tokens, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			access, err := (&program{env: envconfig.MapLookuper(map[string]string{"GOLIVE_TOKENS": c.env})}).access(o)
			switch {
			case c.problem == "" && (err != nil || len(access.Tokens) != 2):
				t.Errorf("%d tokens (%v), want 2", len(access.Tokens), err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("the error is %v, want %q", err, c.problem)
			}
		})
	}
}

// TestServeFlags refuses what makes no sense before anything is opened.
func TestServeFlags(t *testing.T) {
	good := serving{listen: ":8457", ttl: 3 * time.Second, rate: 1}
	for problem, change := range map[string]func(*serving){
		"":                       func(*serving) {},
		"--listen is HOST:PORT":  func(o *serving) { o.listen = "localhost" },
		"such as 127.0.0.1:8457": func(o *serving) { o.listen = "127.0.0.1:" },
		"--ttl is 3s or more":    func(o *serving) { o.ttl = 2999 * time.Millisecond },
		"--rate is 1 or more":    func(o *serving) { o.rate = 0 },
	} {
		o := good
		change(&o)
		if err := o.check(); (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%+v: %v, want %q", o, err, problem)
		}
	}
}

// TestHookSecrets takes no secret that can be guessed, such as the pieces of one that holds a comma.
func TestHookSecrets(t *testing.T) {
	const long = "0123456789abcdef0123"
	for _, c := range []struct {
		value, problem string
		secrets        int
	}{
		{"", "", 0}, {long, "", 1}, {long + "," + long + "x", "", 2},
		{"x", "a secret of 1 characters", 0}, {long + ",hunter2", "a secret of 7 characters", 0}, {long + ",", "a secret of 0 characters", 0},
	} {
		for _, name := range []string{"GOLIVE_HOOK_SECRET", "GOLIVE_GITHUB_SECRET", "GOLIVE_GITHUB_APP_SECRET"} {
			var s settings
			if err := s.read(t.Context(), envconfig.MapLookuper(map[string]string{name: c.value})); err != nil {
				t.Fatal(err)
			}
			err := s.signed()
			switch {
			case c.problem == "" && (err != nil || len(s.HookSecrets)+len(s.GitHubSecrets)+len(s.GitHubAppSecrets) != c.secrets):
				t.Errorf("%s=%q: %q, %q (%v)", name, c.value, s.HookSecrets, s.GitHubSecrets, err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), name+" holds "+c.problem) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("%s=%q: %v, want %q", name, c.value, err, c.problem)
			}
		}
	}
}

// TestOpenedBy has the story begin with who asked for the rollout.
func TestOpenedBy(t *testing.T) {
	source, err := os.ReadFile("../../examples/kubernetes/golive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := guard.ParsePlan("golive.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	tell := func(by string) (text string) {
		opened := guard.Opened{Release: guard.Release{ID: "r", Service: plan.Service, Environment: plan.Environment, From: "v1", To: "v2"}, Purpose: guard.ToRollout, By: by}
		e := guard.Event{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Fact: opened}
		teller := story{plan: plan}
		for _, l := range teller.tell(e, guard.Next(plan, guard.State{}, e)) {
			text += l.text + "\n"
		}
		return text
	}
	if text := tell("ann@acme.example"); !strings.Contains(text, "opened by ann@acme.example\n") {
		t.Errorf("the story says\n%s", text)
	}
	if text := tell(""); strings.Contains(text, "opened by") || !strings.Contains(text, "v2") {
		t.Errorf("the story of the command line says\n%s", text)
	}
}
