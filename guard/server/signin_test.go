package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const personSecret = "glv_the-token-that-a-person-types-in"

// text is a log that may be written to while it is read.
type text struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *text) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func (l *text) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// A visitor is a browser at the page of a server.
type visitor struct {
	*testing.T
	http.Client
	web *httptest.Server
	log *text
	got http.Header // of the latest answer
}

// visit serves a page that knows an issuer and one token, to a browser.
func visit(t *testing.T, i *fakeIssuer, key string) *visitor {
	t.Helper()
	tokens, err := ParseTokens("bob view " + personSecret)
	if err != nil {
		t.Fatal(err)
	}
	log := &text{}
	s := New(Options{Log: slog.New(slog.NewTextHandler(log, nil)), Access: Access{Tokens: tokens, Issuers: i.trusted(t), CookieKey: key}})
	v := &visitor{T: t, web: httptest.NewServer(s.Handler()), log: log}
	t.Cleanup(v.web.Close)
	if v.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return v
}

// get asks, follows where it is sent, and wants a status.
func (v *visitor) get(want int, path string) string {
	v.Helper()
	response, err := v.Get(v.web.URL + path)
	return v.read(want, path, response, err)
}

func (v *visitor) post(want int, path string, form url.Values) string {
	v.Helper()
	response, err := v.PostForm(v.web.URL+path, form)
	return v.read(want, path, response, err)
}

func (v *visitor) read(want int, path string, response *http.Response, err error) string {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		v.Fatalf("%s: %d %s (%v), want %d", path, response.StatusCode, body, err, want)
	}
	v.got = response.Header
	return string(body)
}

// stay has the browser not go where it is sent.
func (v *visitor) stay() {
	v.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

func (v *visitor) cookies(path string) map[string]string {
	v.Helper()
	at, err := url.Parse(v.web.URL + path)
	if err != nil {
		v.Fatal(err)
	}
	all := map[string]string{}
	for _, c := range v.Jar.Cookies(at) {
		all[c.Name] = c.Value
	}
	return all
}

func TestSignInWithToken(t *testing.T) {
	v := visit(t, newIssuer(t), "")
	page := v.get(200, "/login?next=/rollouts/7%3Fa=b")
	if !strings.Contains(page, `value="/rollouts/7?a=b"`) || !strings.Contains(page, "Sign in with Acme") {
		t.Errorf("the page is %s", page)
	}
	if v.got.Get("Content-Security-Policy") == "" || v.got.Get("Cache-Control") != "no-store" {
		t.Errorf("the headers are %v", v.got)
	}
	v.get(401, "/metrics")
	v.stay()
	v.post(400, "/login", url.Values{})
	if page := v.post(401, "/login", url.Values{"token": {"glv_nobody-knows-this-token"}}); strings.Contains(page, "glv_nobody") {
		t.Errorf("the page shows the token: %s", page)
	}
	v.post(303, "/login", url.Values{"token": {" " + personSecret + "\n"}, "next": {"/rollouts/7?a=b"}})
	if to := v.got.Get("Location"); to != "/rollouts/7?a=b" {
		t.Errorf("it goes on to %s", to)
	}
	cookie := v.got.Get("Set-Cookie")
	for _, want := range []string{"golive=" + personSecret, "Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %s has no %s", cookie, want)
		}
	}
	v.get(200, "/metrics")
	v.post(303, "/logout", nil)
	v.get(401, "/metrics")
	v.post(413, "/login", url.Values{"token": {strings.Repeat("x", 2<<20)}})
	if strings.Contains(v.log.said(), "glv_") {
		t.Errorf("the log holds a token:\n%s", v.log.said())
	}
}

// Under TLS no cookie goes over a line that everybody can read.
func TestCookiesAreSecure(t *testing.T) {
	v := visit(t, newIssuer(t), "")
	v.stay()
	for path, form := range map[string]string{"/login": "token=" + personSecret, "/logout": ""} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.web.URL+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("X-Forwarded-Proto", "https")
		response, err := v.Do(request)
		v.read(303, path, response, err)
		if !strings.Contains(v.got.Get("Set-Cookie"), "Secure") {
			t.Errorf("%s sets %s", path, v.got.Get("Set-Cookie"))
		}
	}
}

// A page of another site can sign nobody in, as somebody else, and nobody out.
func TestSignInFromElsewhere(t *testing.T) {
	v := visit(t, newIssuer(t), "")
	for _, path := range []string{"/login", "/logout"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.web.URL+path, strings.NewReader("token="+personSecret))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", "https://evil.example")
		response, err := v.Do(request)
		v.read(403, path, response, err)
	}
}

func with(i *fakeIssuer) string {
	return "/login/with?" + url.Values{"issuer": {i.URL}, "next": {"/rollouts/7"}}.Encode()
}

func TestSignInWithIssuer(t *testing.T) {
	i := newIssuer(t)
	const key = "a key that two servers share, long enough"
	v := visit(t, i, key)
	if text := v.get(200, with(i)); !strings.Contains(text, "ann@acme.example") {
		t.Errorf("it says %s", text)
	}
	if to := v.got.Get("Refresh"); to != "0; url=/rollouts/7" {
		t.Errorf("it goes on to %s", to)
	}
	v.get(200, "/metrics")
	if left := v.cookies("/login")[leavingCookie]; left != "" {
		t.Errorf("the cookie for the way there is still there: %s", left)
	}
	sealed := v.cookies("/")[CookieName]
	if !strings.HasPrefix(sealed, sealedBy) || strings.Contains(sealed, "ann") {
		t.Errorf("the cookie is %s", sealed)
	}
	for name, c := range map[string]struct {
		key, cookie string
		want        int
	}{
		"another server with the key": {key, sealed, 200},
		"another key":                 {"", sealed, 401},
		"changed":                     {key, sealed[:len(sealed)-2] + "AA", 401},
		"not sealed":                  {key, sealedBy + "e30", 401},
	} {
		request := httptest.NewRequest("GET", "/metrics", nil)
		request.AddCookie(&http.Cookie{Name: CookieName, Value: c.cookie})
		w := httptest.NewRecorder()
		New(Options{Access: Access{Issuers: i.trusted(t), CookieKey: c.key}}).Handler().ServeHTTP(w, request)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
	if !strings.Contains(v.log.said(), `msg="signed in" by=ann@acme.example`) || strings.Contains(v.log.said(), sealed) {
		t.Errorf("the log:\n%s", v.log.said())
	}
}

// Who is signed in is so for twelve hours at most, and as long as the issuer is trusted.
func TestSignedInEnds(t *testing.T) {
	i := newIssuer(t)
	trusted := i.trusted(t)
	a := Access{Issuers: trusted, sealer: newSealer("")}
	sealed, err := a.sealer.seal(sessions, signedIn{map[string]any{"sub": "ann", "groups": "oncall"}, i.URL, time.Now().Add(signedInFor)})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := a.person(sealedBy+sealed, time.Now().Add(signedInFor-time.Minute)); err != nil || !c.May(View) {
		t.Errorf("got %v and the error %v", c, err)
	}
	if c, err := a.person(sealedBy+sealed, time.Now().Add(signedInFor+time.Minute)); err == nil || c.May(View) {
		t.Error("it lasts for longer")
	}
	a.Issuers = nil
	if c, err := a.person(sealedBy+sealed, time.Now()); err == nil || c.May(View) {
		t.Error("its issuer is not trusted any more, and it lasts")
	}
	a.Issuers = trusted
	if sealed, err = a.sealer.seal("login", signedIn{map[string]any{"sub": "ann", "groups": "oncall"}, i.URL, time.Now().Add(signedInFor)}); err != nil {
		t.Fatal(err)
	}
	if c, err := a.person(sealedBy+sealed, time.Now()); err == nil || c.May(View) {
		t.Error("a cookie for another purpose lets somebody in")
	}
}

// What a person may do is what the grants of today say of what the issuer said of him.
func TestSignedInByGrantsOfToday(t *testing.T) {
	i := newIssuer(t)
	trusted := i.trusted(t)
	trusted[0].Grants = append(trusted[0].Grants, Grant{Match: map[string]string{"groups": "team-*"}, Rights: []Right{View}})
	a := Access{Issuers: trusted, sealer: newSealer("")}
	var groups []any
	for n := range 1000 {
		groups = append(groups, fmt.Sprint("group-", n))
	}
	groups = append(groups, "oncall", "team-shop", "team-shop", map[string]any{"odd": []any{1.0}})
	claims := trusted[0].asked(map[string]any{"sub": "7", "email": "ann@acme.example", "email_verified": true, "groups": groups, "picture": "x"})
	if diff := cmp.Diff(map[string]any{"sub": "7", "email": "ann@acme.example", "email_verified": true, "groups": []any{"oncall", "team-shop"}}, claims); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	sealed, err := a.sealer.seal(sessions, signedIn{claims, i.URL, time.Now().Add(signedInFor)})
	if err != nil || len(sealed) > largestCookie {
		t.Fatalf("%d characters (%v)", len(sealed), err)
	}
	for _, c := range []struct {
		name   string
		change func(*Issuer)
		want   []Right
	}{
		{"as they were", func(*Issuer) {}, []Right{View, Operate}},
		{"with a right more", func(i *Issuer) { i.Grants[1].Rights = []Right{View, Operate, Approve} }, []Right{View, Operate, Approve}},
		{"with a right less", func(i *Issuer) { i.Grants[1].Rights = []Right{View} }, []Right{View}},
		{"without that of the group", func(i *Issuer) { i.Grants = slices.Delete(i.Grants, 1, 2) }, []Right{View}},
		{"without any", func(i *Issuer) { i.Grants = i.Grants[:1] }, nil},
	} {
		c.change(trusted[0])
		got, err := a.person(sealedBy+sealed, time.Now())
		if !slices.Equal(got.Rights, c.want) || (err == nil) != (c.want != nil) || c.want != nil && got.Name != "ann@acme.example" {
			t.Errorf("grants %s: %+v (%v), want %v", c.name, got, err, c.want)
		}
	}
}

func TestSignInRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		want   int
		person map[string]any
		change func(*visitor, url.Values) // of what the issuer sends the browser back with
	}{
		{"another state", 400, nil, func(_ *visitor, q url.Values) { q.Set("state", "x") }},
		{"no state", 400, nil, func(_ *visitor, q url.Values) { q.Del("state") }},
		{"another issuer", 400, nil, func(_ *visitor, q url.Values) { q.Set("iss", "https://elsewhere.example") }},
		{"another browser", 400, nil, func(v *visitor, _ url.Values) { v.Jar, _ = cookiejar.New(nil) }},
		{"another code", 403, nil, func(_ *visitor, q url.Values) { q.Set("code", "x") }},
		{"the person says no", 403, nil, func(_ *visitor, q url.Values) { q.Set("error", "access_denied") }},
		{"another nonce", 403, map[string]any{"nonce": "x"}, nil},
		{"a token for jobs", 403, map[string]any{"aud": "golive"}, nil},
		{"no grant", 403, map[string]any{"groups": []string{"sales"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newIssuer(t)
			i.person = c.person
			v := visit(t, i, "")
			v.stay()
			v.get(303, with(i))
			response, err := v.Get(v.got.Get("Location"))
			v.read(303, "/authorize", response, err)
			back, err := url.Parse(v.got.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			q := back.Query()
			if c.change != nil {
				c.change(v, q)
			}
			v.get(c.want, back.Path+"?"+q.Encode())
			if cookie := v.cookies("/")[CookieName]; cookie != "" {
				t.Errorf("it is signed in: %s", cookie)
			}
			v.get(401, "/metrics")
			if code := q.Get("code"); code != "x" && strings.Contains(v.log.said(), code) {
				t.Errorf("the log holds the code:\n%s", v.log.said())
			}
		})
	}
}

// A sign-in is not used twice, nor with an issuer that cannot be asked.
func TestSignInAgain(t *testing.T) {
	i := newIssuer(t)
	v := visit(t, i, "")
	v.stay()
	v.get(303, with(i))
	response, err := v.Get(v.got.Get("Location"))
	v.read(303, "/authorize", response, err)
	back := strings.TrimPrefix(v.got.Get("Location"), v.web.URL)
	v.get(200, back)
	v.get(400, back)

	away := newIssuer(t)
	away.setDown(true)
	v = visit(t, away, "")
	v.get(503, with(away))
	v.get(400, "/login/with?issuer=https://elsewhere.example")
}

func TestWithin(t *testing.T) {
	for next, want := range map[string]string{
		"/rollouts/7?a=b": "/rollouts/7?a=b", "": "/", "rollouts": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/",
		"/\t/evil.example": "/", "javascript:alert(1)": "/", "/%2Fevil.example": "/", "https:/x": "/", "/a;url=//evil": "/a;url=//evil",
	} {
		if got := within(next); got != want {
			t.Errorf("within(%q) is %q, want %q", next, got, want)
		}
	}
}

// However next is written, the browser stays on this server.
func FuzzWithin(f *testing.F) {
	f.Add("/rollouts/7?a=b#c")
	f.Add("//evil.example")
	f.Add("/%5cevil")
	f.Fuzz(func(t *testing.T, next string) {
		base, _ := url.Parse("https://golive.example/login")
		got := within(next)
		to, err := base.Parse(got)
		if err != nil || to.Host != "golive.example" || to.Scheme != "https" || !strings.HasPrefix(got, "/") || len(got) > 1 && (got[1] == '/' || got[1] == '\\') {
			t.Errorf("within(%q) is %q, which leads to %v (%v)", next, got, to, err)
		}
	})
}

// Whatever comes as a cookie, nobody is let in, and nothing panics.
func FuzzPerson(f *testing.F) {
	everybody := []Grant{{Match: map[string]string{"iss": "x"}, Rights: Rights}}
	a := Access{Issuers: Issuers{{URL: "x", Grants: everybody}}, sealer: newSealer("")}
	sealed, err := newSealer("").seal(sessions, signedIn{map[string]any{"iss": "x", "sub": "ann"}, "x", time.Now().Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealedBy + sealed)
	f.Add(sealedBy)
	f.Fuzz(func(t *testing.T, cookie string) {
		if c, err := a.person(cookie, time.Now()); err == nil || len(c.Rights) > 0 {
			t.Errorf("%q lets %v in", cookie, c)
		}
	})
}

func TestCookieKey(t *testing.T) {
	for key, good := range map[string]bool{"": true, "short": false, strings.Repeat("k", 44): true} {
		if err := CheckCookieKey(key); (err == nil) != good {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// A token of an issuer that is away is answered so that a tool sends again, and is no guess.
func TestIssuerAwayOverHTTP(t *testing.T) {
	i := newIssuer(t)
	good := i.sign(t, i.claims(map[string]any{"groups": "oncall"}))
	i.setDown(true)
	h := New(Options{Access: Access{Issuers: i.trusted(t)}}).Handler()
	for n := range 2 * triesPerMinute {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Authorization", "Bearer "+good)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), i.URL) {
			t.Fatalf("request %d: %d %s %v", n, w.Code, w.Body, w.Header())
		}
	}
}
