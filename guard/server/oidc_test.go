package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeIssuer is an OpenID Connect issuer on loopback.
type fakeIssuer struct {
	*httptest.Server
	fetched atomic.Int64 // its keys

	mu   sync.Mutex
	keys map[string]*rsa.PrivateKey // by their ID
	now  string                     // the ID of the one it signs with
	down bool
	// asked is what came to the authorization endpoint, by the code that was given for it.
	asked map[string]url.Values
	// person changes what is claimed of who signs in.
	person map[string]any
}

func newIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	i := &fakeIssuer{keys: map[string]*rsa.PrivateKey{}, asked: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.isDown() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}, // more than golive may take
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		if i.isDown() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		i.fetched.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		var set jose.JSONWebKeySet
		for id, key := range i.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: "RS256", Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	mux.HandleFunc("/authorize", i.authorize)
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { i.token(t, w, r) })
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	i.rotate(t, "first")
	return i
}

// authorize lets everybody in.
func (i *fakeIssuer) authorize(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	q := r.URL.Query()
	code := rand.Text()
	i.asked[code] = q
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusSeeOther)
}

// token takes a code back, once, from the client that it was given to.
func (i *fakeIssuer) token(t *testing.T, w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	asked := i.asked[r.FormValue("code")]
	delete(i.asked, r.FormValue("code"))
	person := i.person
	i.mu.Unlock()
	client, secret, _ := r.BasicAuth()
	if plain, err := url.QueryUnescape(secret); err == nil { // RFC 6749, 2.3.1
		secret = plain
	}
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if asked == nil || client != "page" || secret != "the secret of the client" || asked.Get("code_challenge_method") != "S256" ||
		asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) || asked.Get("redirect_uri") != r.FormValue("redirect_uri") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error": "invalid_grant"}`))
		return
	}
	claims := i.claims(map[string]any{
		"aud": "page", "nonce": asked.Get("nonce"), "sub": "7", "email": "ann@acme.example", "email_verified": true, "groups": []string{"oncall"}, "repository": nil,
	})
	maps.Copy(claims, person)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.sign(t, claims)})
}

func (i *fakeIssuer) isDown() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.down
}

func (i *fakeIssuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// rotate has the issuer sign with a new key, and publish only that.
func (i *fakeIssuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys, i.now = map[string]*rsa.PrivateKey{id: key}, id
}

// claims are those of a job that may deliver, with changes.
func (i *fakeIssuer) claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": "golive", "sub": "repo:acme/shop:ref:refs/heads/main", "repository": "acme/shop", "ref": "refs/heads/main",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (i *fakeIssuer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	i.mu.Lock()
	key, id := i.keys[i.now], i.now
	i.mu.Unlock()
	return signWith(t, jose.RS256, key, id, claims)
}

func signWith(t *testing.T, algorithm jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", id))
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

func (i *fakeIssuer) trusted(t *testing.T) Issuers {
	t.Helper()
	issuers, err := ParseIssuers(fmt.Appendf(nil, `
issuers:
  - url: %s
    audience: golive
    client_id: page
    client_secret_env: CLIENT_SECRET
    title: Acme
    grants:
      - match: {repository: acme/shop, ref: refs/heads/*}
        rights: [hook]
        name: repository
      - match: {groups: oncall}
        rights: [view, operate]
`, i.URL), func(name string) (string, bool) { return "the secret of the client", name == "CLIENT_SECRET" })
	if err != nil {
		t.Fatal(err)
	}
	return issuers
}

func nothing(string) (string, bool) { return "", false }

func TestIdentity(t *testing.T) {
	i := newIssuer(t)
	other := newIssuer(t)
	trusted := i.trusted(t)
	b64 := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload, err := json.Marshal(i.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	published := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&i.keys["first"].PublicKey)})
	symmetric := func() string {
		signed := b64(`{"alg":"HS256","kid":"first"}`) + "." + b64(string(payload))
		mac := hmac.New(sha256.New, published)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	now := time.Now()
	for _, c := range []struct {
		name, token string
		want        Caller
		problem     string // part of it
	}{
		{"good", i.sign(t, i.claims(nil)), Caller{Name: "acme/shop", Rights: []Right{Deliver}}, ""},
		{"several audiences", i.sign(t, i.claims(map[string]any{"aud": []string{"x", "golive"}})), Caller{Name: "acme/shop", Rights: []Right{Deliver}}, ""},
		{"just expired, for another clock", i.sign(t, i.claims(map[string]any{"exp": now.Add(-10 * time.Second).Unix()})), Caller{Name: "acme/shop", Rights: []Right{Deliver}}, ""},
		{"two grants", i.sign(t, i.claims(map[string]any{"groups": []string{"all", "oncall"}})), Caller{Name: "acme/shop", Rights: []Right{Deliver, View, Operate}}, ""},
		{"a person", i.sign(t, i.claims(map[string]any{"repository": nil, "groups": "oncall", "email": "ann@acme.example", "email_verified": true})), Caller{Name: "ann@acme.example", Rights: []Right{View, Operate}}, ""},
		{"a person's own word for the address", i.sign(t, i.claims(map[string]any{"repository": nil, "groups": "oncall", "email": "ann@acme.example", "email_verified": false, "sub": "7"})), Caller{Name: "7", Rights: []Right{View, Operate}}, ""},
		{"other repository", i.sign(t, i.claims(map[string]any{"repository": "acme/shop2", "sub": "s"})), Caller{Name: "s", Rights: nil}, ""},
		{"pull request", i.sign(t, i.claims(map[string]any{"ref": "refs/pull/7/merge", "sub": "s"})), Caller{Name: "s", Rights: nil}, ""},
		{"missing claim", i.sign(t, i.claims(map[string]any{"ref": nil, "sub": "s"})), Caller{Name: "s", Rights: nil}, ""},
		{"expired", i.sign(t, i.claims(map[string]any{"exp": now.Add(-time.Minute).Unix()})), Caller{}, "has expired"},
		{"without an end", i.sign(t, i.claims(map[string]any{"exp": nil})), Caller{}, "has expired"},
		{"not yet", i.sign(t, i.claims(map[string]any{"nbf": now.Add(2 * time.Minute).Unix()})), Caller{}, "does not hold yet"},
		{"wrong audience", i.sign(t, i.claims(map[string]any{"aud": "elsewhere"})), Caller{}, "audience"},
		{"no audience", i.sign(t, i.claims(map[string]any{"aud": nil})), Caller{}, "audience"},
		{"wrong issuer", other.sign(t, other.claims(nil)), Caller{}, ErrUnknownToken.Error()},
		{"wrong issuer, signed here", i.sign(t, i.claims(map[string]any{"iss": i.URL + "/"})), Caller{}, ErrUnknownToken.Error()},
		{"wrong key", other.sign(t, i.claims(nil)), Caller{}, "signature"},
		{"alg none", b64(`{"alg":"none"}`) + "." + b64(string(payload)) + ".", Caller{}, "unexpected signature algorithm"},
		{"alg HS256 with the public key", symmetric(), Caller{}, "unexpected signature algorithm"},
		{"no token", "glv_" + strings.Repeat("x", 43), Caller{}, ErrUnknownToken.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := trusted.Identity(t.Context(), c.token)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) || errors.Is(err, ErrIssuerAway) {
					t.Fatalf("got %v and the error %v, want one with %q", got, err, c.problem)
				}
				if len(got.Rights) > 0 || strings.Contains(err.Error(), c.token) {
					t.Errorf("it may %v; the error is %v", got.Rights, err)
				}
				return
			}
			if err != nil || got.Name != c.want.Name || !slices.Equal(got.Rights, c.want.Rights) {
				t.Errorf("got %v and the error %v, want %v", got, err, c.want)
			}
		})
	}
}

// TestWorkflow is about tokens as GitHub gives them to the jobs of a workflow: who may do what, and for which service.
func TestWorkflow(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	trusted, err := ParseIssuers(fmt.Appendf(nil, `
issuers:
  - url: %s
    audience: golive
    grants:
      - match: {repository: acme/shop, environment: production, job_workflow_ref: acme/shop/.github/workflows/deploy.yml@refs/heads/main}
        rights: [operate, hook]
        services: [shop/production]
        name: repository
      - match: {repository: acme/shop, ref: refs/heads/main}
        rights: [operate]
        services: [shop/staging, preview-*]
        name: repository
      - match: {repository: acme/shop}
        rights: [view]
        name: repository
      - match: {repository: acme/platform}
        rights: [operate]
        services: [shop]
        name: repository
      - match: {repository: acme/platform, actor: ann}
        rights: [operate]
        name: repository
`, i.URL), nothing)
	if err != nil {
		t.Fatal(err)
	}
	job := func(changes map[string]any) map[string]any {
		claims := i.claims(map[string]any{
			"sub": "repo:acme/shop:environment:production", "environment": "production", "actor": "bob", "event_name": "push", "runner_environment": "github-hosted",
			"job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main", "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
		})
		maps.Copy(claims, changes)
		return claims
	}
	type may map[Right][]string // targets, of those below
	targets := []string{"shop/production", "shop/staging", "preview-7/test", "shopping/production", "other/production"}
	for _, c := range []struct {
		name    string
		claims  map[string]any
		may     may
		problem string
	}{
		{"the job", job(nil), may{Operate: {"shop/production", "shop/staging", "preview-7/test"}, Deliver: {"shop/production"}, View: targets}, ""},
		{"another environment", job(map[string]any{"environment": "test"}), may{Operate: {"shop/staging", "preview-7/test"}, View: targets}, ""},
		{"another workflow", job(map[string]any{"job_workflow_ref": "acme/shop/.github/workflows/evil.yml@refs/heads/main"}), may{Operate: {"shop/staging", "preview-7/test"}, View: targets}, ""},
		{"the workflow of a branch", job(map[string]any{"job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/x", "ref": "refs/heads/x"}), may{View: targets}, ""},
		{"a pull request", job(map[string]any{"ref": "refs/pull/7/merge", "environment": nil}), may{View: targets}, ""},
		{"a repository beside it", job(map[string]any{"repository": "acme/shop2"}), may{}, ""},
		{"a fork", job(map[string]any{"repository": "mallory/shop"}), may{}, ""},
		{"all environments", job(map[string]any{"repository": "acme/platform"}), may{Operate: {"shop/production", "shop/staging"}}, ""},
		{"limited and not", job(map[string]any{"repository": "acme/platform", "actor": "ann"}), may{Operate: targets}, ""},
		{"another audience", job(map[string]any{"aud": "https://github.com/acme"}), nil, "audience"},
		{"expired", job(map[string]any{"exp": time.Now().Add(-5 * time.Minute).Unix()}), nil, "has expired"},
		{"another issuer", job(map[string]any{"iss": "https://token.actions.githubusercontent.com/acme"}), nil, ErrUnknownToken.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := trusted.Identity(t.Context(), i.sign(t, c.claims))
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) || len(caller.Rights) > 0 {
					t.Fatalf("got %v and the error %v, want one with %q", caller, err, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, right := range Rights {
				var got []string
				for _, target := range targets {
					if caller.MayFor(right, target) {
						got = append(got, target)
					}
				}
				if !slices.Equal(got, c.may[right]) || caller.May(right) != (len(got) > 0) || caller.MayForAll(right) != (len(got) == len(targets)) {
					t.Errorf("%s: %v (for all: %v), want %v", right, got, caller.MayForAll(right), c.may[right])
				}
			}
		})
	}
	// The right key under a name that nobody knows, and a foreign key under a name that is known.
	for name, token := range map[string]string{
		"unknown kid": signWith(t, jose.RS256, i.keys["first"], "nobody knows it", job(nil)),
		"foreign key": signWith(t, jose.RS256, other.keys["first"], "first", job(nil)),
	} {
		if caller, err := trusted.Identity(t.Context(), token); err == nil || errors.Is(err, ErrIssuerAway) || len(caller.Rights) > 0 {
			t.Errorf("%s: got %v and the error %v", name, caller, err)
		}
	}
}

// An issuer that cannot be asked makes its tokens unknown, and lets nobody in; those whose keys are known still hold.
func TestIssuerAway(t *testing.T) {
	i := newIssuer(t)
	trusted := i.trusted(t)
	good := i.sign(t, i.claims(nil))
	i.setDown(true)
	if c, err := trusted.Identity(t.Context(), good); !errors.Is(err, ErrIssuerAway) || len(c.Rights) > 0 {
		t.Fatalf("got %v and the error %v before it was known, want %v", c, err, ErrIssuerAway)
	}
	i.setDown(false)
	if _, err := trusted.Identity(t.Context(), good); !errors.Is(err, ErrIssuerAway) {
		t.Errorf("it was asked again at once: %v", err)
	}
	trusted[0].failed = trusted[0].failed.Add(-issuerAgain)
	if _, err := trusted.Identity(t.Context(), good); err != nil {
		t.Fatalf("the issuer is back, and the token is not good: %v", err)
	}
	// The library answers before it has put a fetch away: its keys are known once a call fetches none.
	for known := false; !known; {
		before := i.fetched.Load()
		if _, err := trusted.Identity(t.Context(), good); err != nil {
			t.Fatalf("the issuer is there, and the token is not good: %v", err)
		}
		known = i.fetched.Load() == before
	}
	i.setDown(true)
	if _, err := trusted.Identity(t.Context(), good); err != nil {
		t.Errorf("the keys were known, and the token is not good: %v", err)
	}
	i.rotate(t, "second")
	rotated := i.sign(t, i.claims(nil))
	if c, err := trusted.Identity(t.Context(), rotated); !errors.Is(err, ErrIssuerAway) || len(c.Rights) > 0 {
		t.Errorf("got %v and the error %v for a key that cannot be fetched, want %v", c, err, ErrIssuerAway)
	}
	i.setDown(false)
	// So it is with a fetch that has failed, which a call may share for a moment, and with the keys that new ones replace.
	var err error
	ask := func(token string, settled func() bool) {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if _, err = trusted.Identity(t.Context(), token); settled() {
				return
			}
		}
	}
	ask(rotated, func() bool { return err == nil })
	if err != nil {
		t.Errorf("the new key can be fetched, and the token is not good: %v", err)
	}
	ask(good, func() bool { return err != nil })
	if err == nil || errors.Is(err, ErrIssuerAway) {
		t.Errorf("the old key is not published any more: got %v", err)
	}
}

func TestKeysAreKept(t *testing.T) {
	i := newIssuer(t)
	trusted := i.trusted(t)
	for range 50 {
		if _, err := trusted.Identity(t.Context(), i.sign(t, i.claims(nil))); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.fetched.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times for 50 good tokens", n)
	}
}

// Whoever gives up does not take the answer from others.
func TestIdentityWithoutPatience(t *testing.T) {
	i := newIssuer(t)
	trusted := i.trusted(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if c, err := trusted.Identity(gone, i.sign(t, i.claims(nil))); err != nil && !errors.Is(err, ErrIssuerAway) || err != nil && len(c.Rights) > 0 {
		t.Errorf("got %v and the error %v", c, err)
	}
	if _, err := trusted.Identity(t.Context(), i.sign(t, i.claims(nil))); err != nil {
		t.Error(err)
	}
}

func TestParseIssuers(t *testing.T) {
	const good = "issuers:\n- url: https://ci.example\n  audience: golive\n  grants:\n  - match: {sub: x*}\n    rights: [hook]\n"
	if all, err := ParseIssuers([]byte(good), nothing); err != nil || len(all) != 1 || all[0].Title != "ci.example" {
		t.Fatalf("got %v and the error %v", all, err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"none", "issuers: []\n", "there are none"},
		{"nothing", "issuers:\n-\n", "line 2 of the issuers: an issuer has"},
		{"unknown word", strings.Replace(good, "audience:", "audiences:", 1), "line 3: field audiences is not known"},
		{"two documents", good + "---\nx: y\n", "goes on"},
		{"plain http", strings.Replace(good, "https:", "http:", 1), "line 2 of the issuers: url begins with https://"},
		{"no address", strings.Replace(good, "https://ci.example", "ci", 1), "line 2 of the issuers: url is"},
		{"no audience", strings.Replace(good, "  audience: golive\n", "", 1), "line 2 of the issuers: audience is missing"},
		{"lets everybody in", strings.Replace(good, "match: {sub: x*}\n    ", "", 1), "line 5 of the issuers: match is missing"},
		{"star alone", strings.Replace(good, "x*", `"*"`, 1), "line 5 of the issuers: sub: write the value"},
		{"star within", strings.Replace(good, "x*", `"a*b"`, 1), "line 5 of the issuers: sub: write the value"},
		{"no rights", strings.Replace(good, "[hook]", "[]", 1), "line 5 of the issuers: rights are missing"},
		{"unknown right", strings.Replace(good, "[hook]", "[hook, root]", 1), `line 6 of the issuers: "root" is no right`},
		{"services to view", strings.Replace(good, "[hook]", "[hook, view]\n    services: [shop]", 1), "line 6 of the issuers: view is for all services"},
		{"every service, by a star", strings.Replace(good, "[hook]", "[hook]\n    services: [shop, '*']", 1), `line 7 of the issuers: "*": write SERVICE`},
		{"a service with a star within", strings.Replace(good, "[hook]", "[hook]\n    services: ['a*/prod']", 1), `line 7 of the issuers: "a*/prod": write SERVICE`},
		{"no grants", good[:strings.Index(good, "  grants")], "line 2 of the issuers: grants are missing"},
		{"twice", good + strings.TrimPrefix(good, "issuers:\n"), "line 7 of the issuers: there is another"},
		{"no secret", strings.Replace(good, "  grants", "  client_id: golive\n  client_secret_env: NOWHERE\n  grants", 1), "line 5 of the issuers: the variable NOWHERE"},
		{"no client", strings.Replace(good, "  grants", "  client_secret_env: NOWHERE\n  grants", 1), "line 4 of the issuers: client_secret_env goes with client_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseIssuers([]byte(c.text), nothing)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, and has no %q", err, c.want)
			}
		})
	}
}

// Whatever comes as a token, nobody is let in who has none of the issuer, and nothing panics.
func FuzzIdentity(f *testing.F) {
	b64 := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{"iss":"http://127.0.0.1:1"}`) + ".")
	f.Add("a.b.c")
	f.Add(b64(`{"alg":"RS256"}`) + "." + b64(`{"iss":"http://127.0.0.1:1","aud":"golive","sub":"x"}`) + ".AAAA")
	i := &Issuer{URL: "http://127.0.0.1:1", Audience: "golive", Grants: []Grant{{Match: map[string]string{"sub": "x*"}, Rights: Rights}}, discovery: &discovery{}}
	i.failed, i.problem = time.Now().Add(time.Hour), ErrIssuerAway
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := (Issuers{i}).Identity(t.Context(), token); err == nil || len(c.Rights) > 0 {
			t.Errorf("%q lets %v in", token, c)
		}
	})
}

// TestActionsGrants: all of GitHub has one issuer, and a grant to its jobs has to say whose they are.
func TestActionsGrants(t *testing.T) {
	for match, wrong := range map[string]string{
		`{repository: acme/shop}`: "", `{repository: acme/*, environment: production}`: "", `{repository_id: "7"}`: "", `{repository_owner_id: "7"}`: "",
		`{repository_owner: acme, ref: refs/heads/*}`: "", `{sub: "repo:acme/shop:*"}`: "", `{sub: "repo:acme/*"}`: "", `{sub: "repo:acme/shop:ref:refs/heads/main"}`: "",
		`{environment: production}`: "of every repository", `{ref: refs/heads/main}`: "of every repository", `{sub: environment:production}`: "of every repository",
		`{iss: "https://token.actions.githubusercontent.com"}`: "of every repository", `{}`: "repository_id",
		`{repository: acme/shop*}`: "a * stands behind", `{repository: acme*}`: "a * stands behind", `{sub: "repo:acme*"}`: "a * stands behind",
		`{sub: "repo:*"}`: "a * stands behind", `{repository_owner: acme*}`: "write all of it", `{repository_id: "7*"}`: "write all of it",
	} {
		_, err := ParseIssuers([]byte("issuers:\n- url: https://token.actions.githubusercontent.com\n  audience: golive\n  grants:\n  - match: "+match+"\n    rights: [operate]\n"), nothing)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: error %v, want %q", match, err, wrong)
		}
	}
}
