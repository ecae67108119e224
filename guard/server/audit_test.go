package server_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
)

// Whoever changes a rollout stands in its journal and in the log, whoever is refused stands in the log, and no secret
// stands in either, or in an answer.
func TestAudit(t *testing.T) {
	s := newSite(t)
	r := s.start("one", func(o *server.Options) { o.Access = known(t) })
	r.Hooks = hooks(r.Server)
	r.web.Close()
	r.web = httptest.NewServer(r.Handler())
	t.Cleanup(r.web.Close)
	var answers bytes.Buffer
	ask := func(want int, method, path, body string, headers ...string) string {
		t.Helper()
		text := r.want(want, method, path, body, headers...)
		answers.WriteString(text)
		return text
	}

	id := ask(200, "POST", "/v1/hooks/signed", "one message")
	if again := ask(200, "POST", "/v1/hooks/signed", "one message"); again != id {
		t.Errorf("a repeat has opened %s, and the first %s", again, id)
	}
	path := "/v1/rollouts/" + id
	ask(202, "POST", path+"/orders", `{"verb": "hold", "why": "lunch"}`, as(allSecret))
	ask(202, "POST", path+"/notes?token="+url.QueryEscape(allSecret), `{"text": "the cook is ill"}`)
	ask(202, "POST", path+"/acknowledgement", "", "Cookie: golive="+allSecret)
	ask(403, "POST", path+"/orders", `{"verb": "rollback"}`, as(viewSecret))
	ask(401, "POST", path+"/orders?token="+wrong, `{"verb": "rollback"}`)
	ask(401, "POST", path+"/orders", `{"verb": "rollback"}`, as(wrong))
	r.await(id, "everything was heard", func(st guard.State) bool { return st.Held != "" && st.Acknowledged != "" })
	r.await(id, "the note is in the journal", func(guard.State) bool {
		return strings.Contains(r.want(200, "GET", path+"/journal", "", as(viewSecret)), "the cook is ill")
	})
	ask(202, "POST", path+"/orders", `{"verb": "rollback"}`, as(allSecret))
	journal := ask(200, "GET", path+"/journal", "", as(viewSecret))
	for _, want := range []string{`"by":"github"`, `"by":"ann"`} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal has no %s", want)
		}
	}
	for _, want := range []string{
		`msg=changed node=one rollout=` + id + ` what=opened by=github right="" remote=127.0.0.1:`,
		`repeated=true`,
		`what=ordered by=ann right=operate remote=127.0.0.1:`,
		`what=noted by=ann right=operate remote=127.0.0.1:`,
		`what=acknowledged by=ann right=operate remote=127.0.0.1:`,
		`msg=refused node=one method=POST path=` + path + `/orders by=wall remote=127.0.0.1:`,
		`msg=refused node=one method=POST path=` + path + `/orders by="" remote=127.0.0.1:`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %s", want)
		}
	}
	ask(200, "GET", path, "", as(viewSecret))
	ask(200, "GET", path+"/events", "", as(viewSecret))
	ask(200, "GET", "/v1/rollouts", "", as(viewSecret))
	ask(200, "GET", "/metrics", "", as(viewSecret))
	for where, text := range map[string]string{"log": s.log.String(), "journal": journal, "answers": answers.String()} {
		for _, secret := range []string{allSecret, viewSecret, hookSecret, wrong} {
			if strings.Contains(text, secret) || strings.Contains(text, secret[4:]) {
				t.Errorf("the %s holds a secret:\n%s", where, text)
			}
		}
	}
}

// An attack fills neither the log nor the disk, and what the log leaves out is counted.
func TestRefusalsInTheLog(t *testing.T) {
	s := newSite(t)
	h := server.New(server.Options{Store: s.store, Access: known(t), Log: slog.New(slog.NewTextHandler(s.log, nil))}).Handler()
	const asked = 150 // fewer than the pace of a host lets through
	for range asked {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/rollouts?token="+wrong, http.NoBody))
		_, _ = io.Copy(io.Discard, w.Result().Body)
	}
	if n := strings.Count(s.log.String(), "msg=refused"); n == 0 || n > asked/2 {
		t.Errorf("%d of %d refusals are in the log", n, asked)
	}
}
