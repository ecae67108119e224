package server_test

import (
	"io"
	"net/http"
	"net/url"
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
		{"a note", "opi", "/notes", form("text", "asked <b>the</b>\ndatabase people", "seen", "9"), nil, 303, page + "?told=note"},
		{"the same note", "opi", "/notes", form("text", "asked <b>the</b>\ndatabase people", "seen", "9"), nil, 303, page + "?told=note"},
		{"mine", "opi", "/acknowledgement", form("seen", "9"), nil, 303, page + "?told=acknowledge"},
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
