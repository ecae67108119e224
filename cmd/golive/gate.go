package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/store"
	"github.com/golive-dev/golive/plugins/github"
)

var _ github.Waits = (*store.Waits)(nil)

// waitsOf are what deploy tools wait for, as this server goes on with it.
func waitsOf(kept *store.Store, o serving) *store.Waits {
	return kept.Waits(guard.Line("the gate of "+o.node, store.MaxText/2), o.ttl)
}

// gate opens the gate of GitHub's deployments if golive is an app there; nil: it is none.
func (p *program) gate(desk guard.Desk, waits *store.Waits, ttl time.Duration, log *slog.Logger) (*github.Gate, error) {
	if p.settings.GitHubApp == 0 && p.settings.GitHubKey == "" {
		return nil, nil
	}
	secrets := bytesOf(p.settings.GitHubAppSecrets)
	if len(secrets) == 0 {
		secrets = bytesOf(p.settings.GitHubSecrets)
	}
	gate, err := github.OpenGate(github.GateSetup{
		Desk: desk, Secrets: secrets, Address: p.settings.GitHubAPI,
		App:   github.App{ID: p.settings.GitHubApp, Key: p.settings.GitHubKey},
		Waits: waits, Claim: ttl / 4, MaxWait: p.settings.GitHubWait, Discreet: report.Discreet,
		Report: func(err error) { log.Warn("a deployment of GitHub waits in vain for now", "error", err) },
	})
	if err != nil {
		return nil, fail(exitUsage, "the gate of GitHub (GOLIVE_GITHUB_SECRET or _APP_SECRET, _APP_ID, _APP_KEY, _API, _MAX_WAIT): %w", err)
	}
	return gate, nil
}

// goodbyeWithin bounds leaving what deploy tools wait for to other servers.
const goodbyeWithin = 2 * time.Second

// gated lets a gate work until ctx is over, and leaves what waits then to other servers. The channel is closed when it has
// stopped.
func gated(ctx context.Context, gate *github.Gate, waits *store.Waits, log *slog.Logger) <-chan struct{} {
	stopped := make(chan struct{})
	if gate == nil {
		close(stopped)
		return stopped
	}
	go func() {
		defer close(stopped)
		gate.Run(ctx)
		goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), goodbyeWithin)
		defer done()
		if err := waits.Leave(goodbye); err != nil {
			log.Warn("left without a goodbye to the store: other servers wait before they go on with what GitHub waits for", "error", err)
		}
	}()
	return stopped
}
