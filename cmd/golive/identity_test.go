package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/sethvargo/go-envconfig"
)

// runnerBearer is with what a job asks its runner.
const runnerBearer = "the-bearer-that-the-runner-gave-the-job"

// actions is what GitHub has for the identity of jobs: an issuer of OpenID Connect, and the endpoint at which the runner
// lets its job ask for a token.
type actions struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex
	job    map[string]any // what is claimed of the job that asks
	life   time.Duration  // of a token
	given  []string
	broken func(http.ResponseWriter) // answers instead, where it is set
}

func newActions(t *testing.T) *actions {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	a := &actions{key: key, life: 5 * time.Minute}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": a.URL, "jwks_uri": a.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case a.broken != nil:
			a.broken(w)
			return
		case r.Header.Get("Authorization") != "Bearer "+runnerBearer || r.URL.Query().Get("api-version") != "2":
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		token := a.sign(t, map[string]any{"aud": r.URL.Query().Get("audience")})
		a.given = append(a.given, token)
		_ = json.NewEncoder(w).Encode(map[string]any{"count": len(token), "value": token})
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	a.job = map[string]any{
		"sub": "repo:acme/shop:environment:production", "repository": "acme/shop", "environment": "production", "ref": "refs/heads/main",
		"job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main", "actor": "ann",
	}
	return a
}

// sign makes a token for the job, with changes.
func (a *actions) sign(t *testing.T, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": a.URL, "aud": "golive", "iat": time.Now().Unix(), "exp": time.Now().Add(a.life).Unix(), "jti": rand.Text()}
	maps.Copy(claims, a.job)
	maps.Copy(claims, changes)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: a.key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// tokens are those that were given.
func (a *actions) tokens() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.given)
}

// env is the environment of a job.
func (a *actions) env(server string) map[string]string {
	return map[string]string{
		"GOLIVE_SERVER": server, "LANG": "C.UTF-8",
		"ACTIONS_ID_TOKEN_REQUEST_URL": a.URL + "/token?api-version=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": runnerBearer,
	}
}

// issuers is a file of --oidc in which the jobs of acme/shop may deploy svc00 from main to production, and look.
func (a *actions) issuers(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "oidc.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `
issuers:
  - url: %s
    audience: golive
    grants:
      - match: {repository: acme/shop, environment: production, job_workflow_ref: acme/shop/.github/workflows/deploy.yml@refs/heads/main}
        rights: [operate, hook]
        services: [svc00]
        name: repository
      - match: {repository: acme/shop, ref: refs/heads/*}
        rights: [view]
        name: repository
`, a.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestIdentity has a job prove who it is by itself, with as few tokens as it takes, and tells none of them.
func TestIdentity(t *testing.T) {
	a := newActions(t)
	var mu sync.Mutex
	var got []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		switch len(got) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable) // it is asked again
		case 2:
			fmt.Fprint(w, `{"rollouts": []}`)
		default: // a server that tells what it should not
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error": "%s with %s is nobody"}`, got[len(got)-1], runnerBearer)
		}
	}))
	defer web.Close()
	secret := func(texts ...string) {
		t.Helper()
		for _, token := range append(a.tokens(), runnerBearer) {
			if strings.Contains(strings.Join(texts, ""), token) {
				t.Errorf("a token is told: %s", texts)
			}
		}
	}
	code, out, told := calls(t, a.env(web.URL), "status")
	if code != exitOK || len(a.tokens()) != 1 || !slices.Equal(got, []string{a.tokens()[0], a.tokens()[0]}) {
		t.Fatalf("exit code %d, %d tokens were given, and the server got %d: %s%s", code, len(a.tokens()), len(got), out, told)
	}
	secret(out, told)
	code, out, told = calls(t, a.env(web.URL), "status")
	if code != exitUsage || !strings.Contains(told, "does not take the identity token of this job") || !strings.Contains(told, "is nobody") {
		t.Errorf("exit code %d: %s%s", code, out, told)
	}
	secret(out, told)
	// A token of golive goes before, and the runner is not asked.
	env := a.env(web.URL)
	env["GOLIVE_TOKEN"] = "a-token-of-the-test"
	if code, _, told = calls(t, env, "status"); code != exitUsage || got[len(got)-1] != "a-token-of-the-test" || len(a.tokens()) != 2 {
		t.Errorf("exit code %d, the server got %q: %s", code, got[len(got)-1], told)
	}
}

// TestIdentityAudience: one server cannot use with another what it is shown, where each is named as the audience.
func TestIdentityAudience(t *testing.T) {
	a := newActions(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer web.Close()
	for _, c := range []struct{ set, want string }{{"", "golive"}, {"https://golive.example.com", "https://golive.example.com"}} {
		env := a.env(web.URL)
		env["GOLIVE_AUDIENCE"] = c.set
		code, out, told := calls(t, env, "status")
		if code != exitUsage || !strings.Contains(told, "with the audience "+c.want+" ") {
			t.Errorf("%q: exit code %d: %s%s", c.set, code, out, told)
		}
		given := a.tokens()
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(given[len(given)-1], ".")[1])
		var claims struct {
			Audience string `json:"aud"`
		}
		if err := errors.Join(err, json.Unmarshal(payload, &claims)); err != nil || claims.Audience != c.want {
			t.Errorf("%q: the token is for %q (%v), want %q", c.set, claims.Audience, err, c.want)
		}
	}
}

// TestIdentityEnds: a token is used for as long as it holds, and another is asked for before its end.
func TestIdentityEnds(t *testing.T) {
	for _, c := range []struct {
		life time.Duration
		want int
	}{{time.Hour, 1}, {identityRest / 2, 3}, {-time.Hour, 3}} {
		a := newActions(t)
		a.life = c.life
		p := &program{env: envconfig.MapLookuper(a.env(""))}
		i, err := p.identity(http.DefaultClient)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := i.get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(a.tokens()); n != c.want {
			t.Errorf("%d tokens that live for %s were given for three requests, want %d", n, c.life, c.want)
		}
	}
}

// TestIdentityMissing says what a job lacks, and does not try for long what cannot come.
func TestIdentityMissing(t *testing.T) {
	asked := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Header.Get("Authorization") != "" {
			t.Error("a token came that nobody had")
		}
		http.Error(w, "{}", http.StatusUnauthorized)
	}))
	defer web.Close()
	for name, c := range map[string]struct {
		change func(a *actions, env map[string]string)
		says   string
		asks   bool // the server
	}{
		"no permission": {func(a *actions, _ map[string]string) {
			a.broken = func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }
		}, "permissions: {id-token: write}", false},
		"a wrong bearer": {func(_ *actions, env map[string]string) { env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "another-bearer" }, "gives no identity token: it answers 401", false},
		"no token": {func(a *actions, _ map[string]string) {
			a.broken = func(w http.ResponseWriter) { fmt.Fprint(w, `{"value": "x"}`) }
		}, "something else than an identity token", false},
		"two lines": {func(a *actions, _ map[string]string) {
			a.broken = func(w http.ResponseWriter) { fmt.Fprint(w, `{"value": "a.b.c\r\nX: y"}`) }
		}, "something else than an identity token", false},
		"a redirect": {func(a *actions, _ map[string]string) {
			a.broken = func(w http.ResponseWriter) { w.Header().Set("Location", web.URL); w.WriteHeader(http.StatusFound) }
		}, "it answers 302", false},
		"no address": {func(_ *actions, env map[string]string) { env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "here" }, "is no address", false},
		"an open network": {func(_ *actions, env map[string]string) {
			env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "http://runner.test/token"
		}, "does not begin with https://", false},
		"no job": {func(_ *actions, env map[string]string) { delete(env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN") }, "Set GOLIVE_TOKEN", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newActions(t)
			env := a.env(web.URL)
			c.change(a, env)
			asked = 0
			code, out, told := calls(t, env, "status")
			if code != exitUsage || !strings.Contains(told, c.says) || (asked > 0) != c.asks {
				t.Errorf("exit code %d, the server was asked %d times: %s%s, want %q", code, asked, out, told, c.says)
			}
			for _, bearer := range []string{runnerBearer, "another-bearer"} {
				if strings.Contains(out+told, bearer) {
					t.Errorf("the bearer is told: %s%s", out, told)
				}
			}
		})
	}
}
