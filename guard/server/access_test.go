package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
)

// A caller's secrets, as they stand in no log, no record and no answer.
const (
	allSecret  = "glv_everything-may-be-done-with-this"
	viewSecret = "glv_somebody-who-reads-what-happens"
	hookSecret = "glv_a-deploy-tool-that-sends-messages"
	wrong      = "glv_nobody-knows-this-one-whatever-it-be"
)

// known lets in three callers.
func known(t *testing.T) server.Access {
	t.Helper()
	tokens, err := server.ParseTokens("ann view,hook,operate,approve " + allSecret + "\nwall view " + viewSecret + "\nflux hook " + hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	return server.Access{Tokens: tokens}
}

func as(secret string) string { return "Authorization: Bearer " + secret }

// hooks are two that open a rollout of the shop: one asks a token, one has its messages signed.
func hooks(r *server.Server) []server.Hook {
	open := func(signedBy string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			body, err := io.ReadAll(q.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			d := guard.Delivery{ID: signedBy + string(body), Source: "test", By: signedBy, Body: body}
			id, err := r.Desk().Open(q.Context(), d, guard.Release{Service: "shop", From: "v1", To: "v2"}, "")
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			_, _ = io.WriteString(w, id)
		})
	}
	return []server.Hook{{Name: "plain", Handler: open("")}, {Name: "signed", Signed: true, Handler: open("github")}}
}

func TestTokens(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) { o.Access = known(t) })
	for _, c := range []struct {
		status       int
		method, path string
		body         string
		headers      []string
	}{
		{200, "GET", "/healthz", "", nil},
		{200, "GET", "/v1/openapi.json", "", nil},
		{401, "GET", "/v1/rollouts", "", nil},
		{401, "GET", "/v1/rollouts", "", []string{as(wrong)}},
		{200, "GET", "/v1/rollouts", "", []string{as(viewSecret)}},
		{200, "GET", "/v1/rollouts", "", []string{"Authorization: bearer " + viewSecret}},
		{200, "GET", "/v1/rollouts?token=" + viewSecret, "", nil},
		{403, "GET", "/v1/rollouts", "", []string{as(hookSecret)}},
		{403, "GET", "/metrics", "", []string{as(hookSecret)}},
		{403, "POST", "/v1/rollouts", `{"service": "shop", "to": "v2"}`, []string{as(viewSecret)}},
		{401, "POST", "/v1/rollouts", `{"service": "shop", "to": "v2"}`, nil},
	} {
		if got, text := r.ask(c.method, c.path, c.body, c.headers...); got != c.status {
			t.Errorf("%s %s with %v: %d %s, want %d", c.method, c.path, c.headers, got, text, c.status)
		}
	}
}

// A host that guesses waits; a token that it has proved is good goes on.
func TestGuessesAreSlow(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) { o.Access = known(t) })
	r.Hooks = hooks(r.Server)
	r.web.Config.Handler = r.Handler()
	r.want(200, "GET", "/v1/rollouts", "", as(viewSecret))
	for n := range 10 {
		r.want(401, "GET", "/v1/rollouts", "", as(fmt.Sprint(wrong, n)))
	}
	text := r.want(429, "GET", "/v1/rollouts", "", as(wrong))
	if !strings.Contains(text, "wait a minute") {
		t.Errorf("it is told %s", text)
	}
	r.want(403, "GET", "/v1/rollouts", "", as(hookSecret)) // it is good, and was not seen before
	r.want(200, "GET", "/v1/rollouts", "", as(viewSecret))
	r.want(503, "POST", "/v1/hooks/plain", "an alert", as(wrong)) // after anything else Alertmanager does not try again
	r.want(200, "POST", "/v1/hooks/plain", "an alert", as(hookSecret))
	r.want(401, "GET", "/v1/rollouts", "")
}

// Without callers to know, a server is for programs and browsers of its own machine, which know it by that name.
func TestRebinding(t *testing.T) {
	s := newSite(t)
	open, guarded := s.start("open", nil).Handler(), server.New(server.Options{Store: s.store, Access: known(t)}).Handler()
	for _, c := range []struct {
		host    string
		handler http.Handler
		want    int
	}{
		{"localhost:8457", open, 200}, {"LocalHost", open, 200}, {"127.0.0.1:8457", open, 200}, {"[::1]:8457", open, 200}, {"[::1]", open, 200},
		{"evil.example:8457", open, 421}, {"localhost.evil.example", open, 421}, {"127.0.0.1.evil.example", open, 421}, {"", open, 421}, {"192.0.2.7", open, 421},
		{"golive.acme.example", guarded, 200},
	} {
		r := httptest.NewRequest("GET", "/v1/rollouts", nil)
		r.Host = c.host
		r.Header.Set("Authorization", "Bearer "+viewSecret)
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("Host %q: %d %s, want %d", c.host, w.Code, w.Body, c.want)
		}
	}
}

// Pages of other sites change nothing; deploy tools and programs with a token are heard whatever they say of an origin.
func TestOrigins(t *testing.T) {
	s := newSite(t)
	const evil, cross = "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"
	body := `{"service": "shop", "from": "v1", "to": "v2"}`
	open := s.start("open", func(o *server.Options) {})
	open.want(403, "POST", "/v1/rollouts", body, evil)
	open.want(403, "POST", "/v1/rollouts", body, cross)
	open.want(403, "POST", "/v1/rollouts", body, "Sec-Fetch-Site: same-site", "Origin: http://localhost:1")
	open.want(200, "GET", "/v1/rollouts", "", evil, cross)
	open.want(201, "POST", "/v1/rollouts", body, "Sec-Fetch-Site: same-origin")
	open.end()

	guarded := &running{site: s, Server: server.New(server.Options{Store: s.store, Plans: open.Plans, Access: known(t)})}
	guarded.Hooks = hooks(guarded.Server)
	guarded.web = httptest.NewServer(guarded.Handler())
	defer guarded.web.Close()
	cookie := "Cookie: golive=" + allSecret
	basic := "Authorization: Basic eDpnbHZfZXZlcnl0aGluZy1tYXktYmUtZG9uZS13aXRoLXRoaXM="
	guarded.want(403, "POST", "/v1/rollouts", body, evil, cross, cookie)
	guarded.want(403, "POST", "/v1/rollouts", body, evil, cross, basic)
	guarded.want(201, "POST", "/v1/rollouts", body, basic)
	guarded.want(201, "POST", "/v1/rollouts", body, evil, cross, as(allSecret))
	guarded.want(403, "POST", "/v1/hooks/plain", "a page", evil, cross, cookie)
	guarded.want(401, "POST", "/v1/hooks/plain", "nobody")
	guarded.want(200, "POST", "/v1/hooks/plain", "a tool", as(hookSecret))
	guarded.want(200, "POST", "/v1/hooks/plain", "a tool behind a browser", as(hookSecret), evil)
	guarded.want(200, "POST", "/v1/hooks/signed", "GitHub")
}

func TestTooLarge(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) { o.Access = known(t) })
	large := `{"service": "` + strings.Repeat("x", 2<<20) + `"}`
	r.want(413, "POST", "/v1/rollouts", large, as(allSecret))
	r.want(413, "POST", "/v1/rollouts/x/notes", large, as(allSecret))
	r.want(401, "POST", "/v1/rollouts", large)
}

// Who sends slowly, or too much before it says what it wants, holds nobody up.
func TestSlowCallers(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) { o.Access = known(t) })
	web := server.HTTP(r.Handler())
	if web.ReadHeaderTimeout <= 0 || web.ReadTimeout <= 0 || web.IdleTimeout <= 0 {
		t.Fatalf("a connection may last for ever: %+v", web)
	}
	web.ReadHeaderTimeout, web.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	defer func() { _ = web.Close(); <-ended }()
	for name, begin := range map[string]string{
		"half a header": "GET /v1/rollouts HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"half a body":   "POST /v1/rollouts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + allSecret + "\r\nContent-Length: 1000\r\n\r\n{",
		"much header":   "GET /v1/rollouts HTTP/1.1\r\nHost: x\r\nX-Much: " + strings.Repeat("x", 80<<10) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, begin) // it may be cut off already
		text, _ := io.ReadAll(bufio.NewReader(conn))
		_ = conn.Close()
		if strings.HasPrefix(string(text), "HTTP/1.1 2") {
			t.Errorf("%s: %s", name, text)
		}
		if name == "much header" && !strings.HasPrefix(string(text), "HTTP/1.1 431") {
			t.Errorf("%s: %s, want 431", name, text)
		}
	}
	r.want(200, "GET", "/v1/rollouts", "", as(viewSecret))
}

// However many send half of something, who brings a token is heard at the same time, and none of them lasts.
func TestManySlowCallers(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) { o.Access, o.PerSecond = known(t), 10_000 })
	id := strings.Split(r.want(201, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v2"}`, as(allSecret)), `"`)[3]
	const many = 560
	var conns []net.Conn
	for range many {
		conn, err := net.Dial("tcp", r.web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ntoken="); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	r.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "rollback"}`, as(allSecret))
	for _, conn := range conns {
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode/100 < 4 {
			t.Fatalf("half a form is answered %v (%v)", answer, err)
		}
	}
}

// A copy of the store holds everything, so that it takes the rights to see and to approve, and no page can ask for it.
func TestBackupRights(t *testing.T) {
	tokens, err := server.ParseTokens("ann view,approve " + allSecret + "\nopi view,operate " + viewSecret + "\napp approve " + hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := newSite(t).start("one", func(o *server.Options) { o.Access = server.Access{Tokens: tokens} })
	r.want(403, "POST", "/v1/backup", "", as(viewSecret))
	r.want(403, "POST", "/v1/backup", "", as(hookSecret))
	r.want(405, "GET", "/v1/backup", "", as(allSecret))
	if text := r.want(200, "POST", "/v1/backup", "", as(allSecret)); !strings.HasPrefix(text, "SQLite format 3") {
		t.Errorf("the copy begins with %.20q", text)
	}
	open := newSite(t).start("open", nil)
	open.want(403, "POST", "/v1/backup", "", "Sec-Fetch-Site: cross-site")
	open.want(200, "POST", "/v1/backup", "")
}
