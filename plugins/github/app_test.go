package github

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v60/github"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/github/githubtest"
)

// asApp are the settings of an app of a hub.
func asApp(h *githubtest.Hub) settings {
	s := defaults()
	s.Repository, s.Address = githubtest.Repository, h.URL
	s.AppID, s.PrivateKey = githubtest.AppID, h.Key()
	return s
}

var reading = &github.InstallationPermissions{Deployments: github.String("read")}

// list asks for the deployments, as any part does.
func list(t *testing.T, s settings, permissions *github.InstallationPermissions) error {
	t.Helper()
	r, err := s.open(permissions)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := r.bound(t.Context())
	defer cancel()
	if _, _, err = r.api.Repositories.ListDeployments(ctx, r.owner, r.name, nil); err != nil {
		return r.explain(ctx, need{asked: "deployments", permission: "Deployments: read"}, err)
	}
	return nil
}

// TestApp asks for no more than it needs: one repository, and the permissions of the part.
func TestApp(t *testing.T) {
	for name, change := range map[string]func(*settings){
		"finds the installation": func(*settings) {},
		"knows the installation": func(s *settings) { s.InstallationID = githubtest.Installation },
		"a key in one line":      func(s *settings) { s.PrivateKey = strings.ReplaceAll(s.PrivateKey, "\n", `\n`) },
	} {
		h := githubtest.New(t)
		s := asApp(h)
		change(&s)
		if err := list(t, s, reading); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := []githubtest.Object{{"permissions": githubtest.Object{"deployments": "read"}, "repositories": []any{"shop"}}}
		if diff := cmp.Diff(want, h.List("tokens")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestAppRefused(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)}))
	for name, c := range map[string]struct {
		set  func(*settings)
		hub  func(*githubtest.Hub)
		says string
	}{
		"another key":            {func(s *settings) { s.PrivateKey = foreign }, nil, "the app gets no token: it answers status 401"},
		"another app":            {func(s *settings) { s.AppID = 8 }, nil, "app_id and private_key belong together"},
		"not installed":          {func(s *settings) { s.Repository = "acme/other" }, nil, "install the app in acme/other"},
		"another installation":   {func(s *settings) { s.InstallationID = 98 }, nil, "install the app in acme/shop"},
		"not permitted":          {nil, func(h *githubtest.Hub) { h.Grant("deployments", "") }, `give the app the permission "Deployments: read", and accept that`},
		"limited before a token": {nil, func(h *githubtest.Hub) { h.Limit("POST", "/app/", githubtest.TooMany, -1, time.Hour) }, "GitHub wants fewer requests, and none before"},
	} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			s := asApp(h)
			if c.set != nil {
				c.set(&s)
			}
			if c.hub != nil {
				c.hub(h)
			}
			err := list(t, s, reading)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "ghs_") || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}

func TestAppMistakes(t *testing.T) {
	h := githubtest.New(t)
	for name, c := range map[string]struct {
		with guard.With
		says string
	}{
		"no key":    {guard.With{"app_id": 7}, "private_key: missing (write ${GITHUB_APP_KEY}"},
		"no app":    {guard.With{"private_key": h.Key()}, "app_id: missing"},
		"no PEM":    {guard.With{"app_id": 7, "private_key": "hunter2"}, "private_key: is not an RSA key in PEM"},
		"half":      {guard.With{"app_id": 7, "private_key": h.Key()[:400]}, "private_key: is not an RSA key in PEM"},
		"both":      {guard.With{"app_id": 7, "private_key": h.Key(), "token": token}, "token: there is an app too"},
		"below 0":   {guard.With{"app_id": 7, "private_key": h.Key(), "installation_id": -1}, "installation_id: must be"},
		"no number": {guard.With{"app_id": "seven", "private_key": h.Key()}, "app_id"},
	} {
		c.with["repository"] = "acme/shop"
		_, err := NewStatus(c.with)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "MII") || strings.Contains(err.Error(), token) {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
}

// TestLimitsOfAllKinds waits where there is time, and says until when where there is none. All kinds are one error.
func TestLimitsOfAllKinds(t *testing.T) {
	for name, kind := range map[string]githubtest.Limit{"primary": githubtest.Primary, "secondary": githubtest.Secondary, "429": githubtest.TooMany} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := githubtest.New(t)
			h.Limit("GET", "/repos/acme/shop/deployments", kind, 2, time.Second)
			s := asApp(h)
			s.Timeout = guard.Duration(time.Minute)
			if err := list(t, s, reading); err != nil || h.Count("GET /repos/acme/shop/deployments") != 3 {
				t.Errorf("asked %d times, and then %v", h.Count("GET /repos/acme/shop/deployments"), err)
			}

			h.Limit("GET", "/repos/acme/shop/deployments", kind, -1, time.Hour)
			began := time.Now()
			err := list(t, s, reading)
			var limited *LimitError
			if !errors.As(err, &limited) || limited.Until.Before(began.Add(59*time.Minute)) || limited.Until.After(time.Now().Add(61*time.Minute)) {
				t.Errorf("error %v, want one that says to come back in an hour", err)
			}
			if h.Count("GET /repos/acme/shop/deployments") != 4 {
				t.Errorf("asked %d times: there is no time to wait, and nothing to ask again", h.Count("GET /repos/acme/shop/deployments"))
			}
		})
	}
}
