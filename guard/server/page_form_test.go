package server_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
)

// send sends a form as a browser does, and returns the status, where the browser is sent, and the page.
func (r *running) send(path, secret string, form url.Values, headers ...string) (int, string, string) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), "POST", r.web.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	if secret != "" {
		request.AddCookie(&http.Cookie{Name: server.CookieName, Value: secret})
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Location"), string(text)
}

// startGuarded starts a server that knows its callers.
func startGuarded(t *testing.T) (r *running, secrets map[string]string) {
	s := newSite(t)
	secrets = map[string]string{}
	var lines string
	for name, rights := range map[string][]server.Right{"vic": {server.View}, "opi": {server.View, server.Operate}, "ann": server.Rights} {
		secret, line := server.NewToken(name, rights)
		secrets[name], lines = secret, lines+line+"\n"
	}
	tokens, err := server.ParseTokens(lines)
	if err != nil {
		t.Fatal(err)
	}
	s.write("shop.yaml", strings.Replace(moodyPlan, "SERVICE", "shop", 1))
	return s.start("one", func(o *server.Options) { o.Access = server.Access{Tokens: tokens} }), secrets
}

func (r *running) openAs(secret string) string {
	r.Helper()
	text := r.want(201, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v2"}`, "Authorization: Bearer "+secret)
	id := strings.Split(text, `"`)[3]
	r.await(id, "watching", watching)
	return id
}

// TestForms takes what people decide on the page, once, from who may decide it.
func TestForms(t *testing.T) {
	r, secrets := startGuarded(t)
	id := r.openAs(secrets["ann"])
	form := func(pairs ...string) url.Values {
		f := url.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return f
	}
	page := "/rollouts/" + id
	for _, c := range []struct {
		name, who, path string
		form            url.Values
		headers         []string
		status          int
		location        string
	}{
		{"nobody", "", "/orders", form("verb", "rollback"), nil, 303, "/login"},
		{"no right", "vic", "/orders", form("verb", "rollback"), nil, 403, ""},
		{"no right to approve", "opi", "/orders", form("verb", "proceed"), nil, 403, ""},
		{"another site", "ann", "/orders", form("verb", "rollback"), []string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}, 403, ""},
		{"another site in an old browser", "ann", "/orders", form("verb", "rollback"), []string{"Origin", "null"}, 403, ""},
		{"no verb", "ann", "/orders", form("verb", "explode"), nil, 400, ""},
		{"no time", "ann", "/orders", form("verb", "extend", "for", "soon"), nil, 400, ""},
		{"too much time", "ann", "/orders", form("verb", "extend", "for", "1000h"), nil, 400, ""},
		{"an empty note", "ann", "/notes", form("text", " \n"), nil, 400, ""},
		{"a note", "opi", "/notes", form("text", "asked <b>the</b>\ndatabase people", "form", "9"), nil, 303, page + "?told=note"},
		{"the same note", "opi", "/notes", form("text", "asked <b>the</b>\ndatabase people", "form", "9"), nil, 303, page + "?told=note"},
		{"mine", "opi", "/acknowledgement", form("form", "9"), nil, 303, page + "?told=acknowledge"},
		{"hold", "opi", "/orders", form("verb", "hold", "why", "lunch"), nil, 303, page + "?told=hold"},
		{"more time", "opi", "/orders", form("verb", "extend", "for", "30m"), nil, 303, page + "?told=extend"},
	} {
		if status, location, text := r.send(page+c.path, secrets[c.who], c.form, c.headers...); status != c.status || location != c.location {
			t.Errorf("%s: %d to %q, want %d to %q\n%s", c.name, status, location, c.status, c.location, text)
		}
	}
	s := r.await(id, "held and given more time", func(s guard.State) bool { return s.Held != "" && s.Extra > 0 })
	if s.Held != "opi ordered hold: lunch" || s.Acknowledged != "opi" {
		t.Errorf("held: %q, acknowledged by %q", s.Held, s.Acknowledged)
	}
	events := r.want(200, "GET", "/v1/rollouts/"+id+"/events", "", "Authorization: Bearer "+secrets["vic"])
	if n := strings.Count(events, "database people"); n != 1 {
		t.Errorf("the note stands %d times in the journal", n)
	}
	if status, _, _ := r.send(page+"/orders", secrets["ann"], form("verb", "rollback")); status != 303 {
		t.Errorf("rollback: %d", status)
	}
	r.over(id, guard.RolledBack)
	for open := true; open; { // until then it can be told something, to no effect
		one, err := r.store.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		open = one.Open
		time.Sleep(10 * time.Millisecond)
	}
	if status, _, text := r.send(page+"/orders", secrets["ann"], form("verb", "hold")); status != 409 || !strings.Contains(text, "over") {
		t.Errorf("an order to what is over: %d\n%s", status, text)
	}
}

// TestPages answers every page with the policy that keeps texts of others from being more than texts.
func TestPages(t *testing.T) {
	r, secrets := startGuarded(t)
	id := r.openAs(secrets["ann"])
	for _, c := range []struct {
		who, path string
		status    int
		says      string
	}{
		{"ann", "/", 200, "/rollouts/" + id},
		{"ann", "/?show=open&service=shop", 200, "/rollouts/" + id},
		{"ann", "/?service=%3Cb%3E", 404, "There is no such service"},
		{"ann", "/?before=nonsense", 400, "not understood"},
		{"ann", "/rollouts/" + id, 200, "Roll back to v1"},
		{"ann", "/rollouts/" + id + "?told=hold", 200, "Recorded: hold."},
		{"vic", "/rollouts/" + id, 200, "You may look, and not act"},
		{"vic", "/rollouts/none", 404, "There is no such rollout"},
		{"", "/rollouts/" + id, 303, ""},
		{"", "/assets/none.js", 404, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", r.web.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.who != "" {
			request.AddCookie(&http.Cookie{Name: server.CookieName, Value: secrets[c.who]})
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != c.status || !strings.Contains(string(text), c.says) {
			t.Errorf("%s by %q: %d\n%s", c.path, c.who, response.StatusCode, text)
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: the policy is %q", c.path, policy)
		}
		if c.who == "vic" && strings.Contains(string(text), "Roll back") {
			t.Errorf("%s: who may only look is offered to act", c.path)
		}
	}
}

// TestFormsAgain sends what is shown: one form twice is one order, and the same words from another one are another.
func TestFormsAgain(t *testing.T) {
	r, secrets := startGuarded(t)
	id := r.openAs(secrets["ann"])
	number := regexp.MustCompile(`name="form" value="([^"]+)"`)
	show := func() string {
		found := number.FindStringSubmatch(r.want(200, "GET", "/rollouts/"+id, "", "Cookie: golive="+secrets["ann"]))
		if found == nil {
			t.Fatal("no form has a number")
		}
		return found[1]
	}
	order := func(verb, form string) {
		t.Helper()
		f := url.Values{"verb": {verb}, "why": {"lunch"}, "form": {form}}
		if status, _, text := r.send("/rollouts/"+id+"/orders", secrets["ann"], f); status != 303 {
			t.Fatalf("%s: %d %s", verb, status, text)
		}
	}
	first := show()
	order("hold", first)
	order("hold", first)
	order("resume", show())
	order("hold", show())
	pending, err := r.store.Pending(t.Context(), id)
	if err != nil || len(pending) != 3 {
		t.Errorf("hold, resume, hold have told it %d times (%v)", len(pending), err)
	}
}

// TestTokenInAddress opens a page by an address with a token: the browser keeps it, so that the page goes live.
func TestTokenInAddress(t *testing.T) {
	r, secrets := startGuarded(t)
	ask := func(path string, headers ...string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), "GET", r.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response
	}
	came := ask("/?show=open&token=" + secrets["vic"])
	if to := came.Header.Get("Location"); came.StatusCode != 303 || to != "/?show=open" || len(came.Cookies()) != 1 {
		t.Fatalf("it is sent to %q with %v (%s)", to, came.Cookies(), came.Status)
	}
	cookie := came.Cookies()[0]
	if cookie.Value != secrets["vic"] || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is %v", cookie)
	}
	if went := ask("/?show=open", "Cookie", cookie.Name+"="+cookie.Value); went.StatusCode != 200 {
		t.Errorf("without the token the page is answered %s", went.Status)
	}
	if other := ask("/?token="+secrets["ann"], "Cookie", cookie.Name+"="+cookie.Value); other.StatusCode != 303 || len(other.Cookies()) != 0 {
		t.Errorf("who is signed in becomes somebody else: %s %v", other.Status, other.Cookies())
	}
	if foreign := ask("/?token="+secrets["ann"], "Sec-Fetch-Site", "cross-site"); len(foreign.Cookies()) != 0 {
		t.Error("a page of another site signs somebody in")
	}
	if wrong := ask("/?token=glv_nobody-knows-this-token"); len(wrong.Cookies()) != 0 || wrong.Header.Get("Location") != "/login?next=%2F" {
		t.Errorf("a wrong token is sent to %s with %v", wrong.Header.Get("Location"), wrong.Cookies())
	}
	if asked := ask("/v1/rollouts").Header.Get("WWW-Authenticate"); !strings.Contains(asked, "Basic") {
		t.Errorf("a program is asked for %s", asked)
	}
	if asked := ask("/v1/rollouts", "Sec-Fetch-Mode", "cors").Header.Get("WWW-Authenticate"); strings.Contains(asked, "Basic") || asked == "" {
		t.Errorf("a browser is asked for %s", asked)
	}
}
