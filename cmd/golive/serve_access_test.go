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
