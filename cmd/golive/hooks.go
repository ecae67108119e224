package main

import (
	"log/slog"
	"net/http"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
	"github.com/golive-dev/golive/plugins/alertmanager"
	"github.com/golive-dev/golive/plugins/argo"
	"github.com/golive-dev/golive/plugins/cdevents"
	"github.com/golive-dev/golive/plugins/flagger"
	"github.com/golive-dev/golive/plugins/generic"
	"github.com/golive-dev/golive/plugins/github"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/spinnaker"
)

// hooks is the table of what deploy tools call, under /v1/hooks. Those that sign their messages are heard only where
// their secret is known, and say so where it is not; the gate of GitHub, where golive is an app there (nil: it is none).
func (p *program) hooks(desk guard.Desk, log *slog.Logger, gate *github.Gate) []server.Hook {
	hooks := []server.Hook{
		{Name: "alertmanager", Handler: alertmanager.NewHook(desk)},
		{Name: "argo", Handler: argo.NewHook(desk)},
		{Name: "cdevents", Handler: cdevents.NewHook(desk)},
		{Name: "flagger", Handler: flagger.NewHook(desk)},
		{Name: "spinnaker", Handler: spinnaker.NewHook(desk)},
	}
	for _, signed := range []struct {
		name, variable string
		secrets        []string
		make           func(guard.Desk, ...[]byte) http.Handler
	}{
		{"generic", "GOLIVE_HOOK_SECRET", p.settings.HookSecrets, generic.NewHook},
		{"github", "GOLIVE_GITHUB_SECRET", p.settings.GitHubSecrets, github.NewHook},
	} {
		handler := deaf(signed.variable)
		if secrets := bytesOf(signed.secrets); len(secrets) > 0 {
			handler = signed.make(desk, secrets...)
		}
		hooks = append(hooks, server.Hook{Name: signed.name, Signed: true, Handler: handler})
	}
	protection := server.Hook{Name: "github/deployment-protection", Signed: true, Handler: deaf("GOLIVE_GITHUB_SECRET, GOLIVE_GITHUB_APP_ID and GOLIVE_GITHUB_APP_KEY")}
	if gate != nil {
		protection.Handler = gate
	}
	hooks = append(hooks, protection)
	for i, h := range hooks {
		hooks[i].Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := hook.WithReport(r.Context(), func(err error) {
				log.Warn("a message of a deploy tool came to nothing", "hook", h.Name, "error", err)
			})
			h.Handler.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	return hooks
}

// deaf answers for a hook whose secret is not set.
func deaf(variable string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hook.Fail(w, r, hook.Refuse(http.StatusNotFound, "this hook hears nothing without a secret: set %s where golive serve runs", variable))
	})
}

// bytesOf leaves out what is empty, with which everybody could sign.
func bytesOf(texts []string) (all [][]byte) {
	for _, text := range texts {
		if text != "" {
			all = append(all, []byte(text))
		}
	}
	return all
}
