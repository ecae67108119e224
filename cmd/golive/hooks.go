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
// their secret is known.
func (p *program) hooks(desk guard.Desk, log *slog.Logger) []server.Hook {
	hooks := []server.Hook{
		{Name: "alertmanager", Handler: alertmanager.NewHook(desk)},
		{Name: "argo", Handler: argo.NewHook(desk)},
		{Name: "cdevents", Handler: cdevents.NewHook(desk)},
		{Name: "flagger", Handler: flagger.NewHook(desk)},
		{Name: "spinnaker", Handler: spinnaker.NewHook(desk)},
	}
	if secrets := p.settings.HookSecrets; len(secrets) > 0 {
		hooks = append(hooks, server.Hook{Name: "generic", Signed: true, Handler: generic.NewHook(desk, bytesOf(secrets)...)})
	}
	if secrets := p.settings.GitHubSecrets; len(secrets) > 0 {
		hooks = append(hooks, server.Hook{Name: "github", Signed: true, Handler: github.NewHook(desk, bytesOf(secrets)...)})
	}
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

func bytesOf(texts []string) (all [][]byte) {
	for _, text := range texts {
		all = append(all, []byte(text))
	}
	return all
}
