package main

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/server"
	"github.com/golive-dev/golive/plugins/generic"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestHooksWithoutSecret: a hook whose secret is missing says which, and hears nobody; the secret of one is not that of
// the other.
func TestHooksWithoutSecret(t *testing.T) {
	const body = `{"action":"note","service":"shop","text":"here"}`
	ask := func(p *program, name string) *httptest.ResponseRecorder {
		t.Helper()
		for _, h := range p.hooks(plugintest.NewDesk(t), slog.New(slog.NewTextHandler(io.Discard, nil)), nil) {
			if h.Name == name {
				return answerOf(t, h, body)
			}
		}
		t.Fatalf("there is no hook %s", name)
		return nil
	}
	p := &program{}
	p.settings.HookSecrets = []string{""}
	for name, variable := range map[string]string{
		"generic": "GOLIVE_HOOK_SECRET", "github": "GOLIVE_GITHUB_SECRET", "github/deployment-protection": "GOLIVE_GITHUB_SECRET, GOLIVE_GITHUB_APP_ID",
	} {
		w := ask(p, name)
		if w.Code != 404 || !strings.Contains(w.Body.String(), `"error"`) || !strings.Contains(w.Body.String(), "set "+variable) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	p.settings.HookSecrets = []string{"s1", "s2"}
	if w := ask(p, "generic"); w.Code != 404 || !strings.Contains(w.Body.String(), "there is no such rollout") {
		t.Errorf("with a secret: %d %s", w.Code, w.Body)
	}
	if w := ask(p, "github"); w.Code != 404 || !strings.Contains(w.Body.String(), "set GOLIVE_GITHUB_SECRET") {
		t.Errorf("without its own: %d %s", w.Code, w.Body)
	}
}

// answerOf sends a hook a message that is signed with s2.
func answerOf(t *testing.T, h server.Hook, body string) *httptest.ResponseRecorder {
	t.Helper()
	if !h.Signed {
		t.Errorf("%s asks for a token", h.Name)
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set(generic.Signature, generic.Sign([]byte("s2"), time.Now(), []byte(body)))
	w := httptest.NewRecorder()
	h.Handler.ServeHTTP(w, r)
	return w
}
