package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/github"
)

// gate opens the gate of GitHub's deployments if golive is an app there; nil: it is none.
func (p *program) gate(desk guard.Desk, log *slog.Logger) (*github.Gate, error) {
	if p.settings.GitHubApp == 0 && p.settings.GitHubKey == "" {
		return nil, nil
	}
	gate, err := github.OpenGate(github.GateSetup{
		Desk: desk, Secrets: bytesOf(p.settings.GitHubSecrets), Address: p.settings.GitHubAPI,
		App: github.App{ID: p.settings.GitHubApp, Key: p.settings.GitHubKey},
		Dir: filepath.Join(p.settings.Journal, "github"), MaxWait: p.settings.GitHubWait,
		Report: func(err error) { log.Warn("a deployment of GitHub waits in vain for now", "error", err) },
	})
	if err != nil {
		return nil, fail(exitUsage, "the gate of GitHub (GOLIVE_GITHUB_SECRET, _APP_ID, _APP_KEY, _API, _MAX_WAIT): %w", err)
	}
	return gate, nil
}

// gated lets a gate work until ctx is over. The channel is closed when it has stopped.
func gated(ctx context.Context, gate *github.Gate) <-chan struct{} {
	stopped := make(chan struct{})
	if gate == nil {
		close(stopped)
		return stopped
	}
	go func() {
		defer close(stopped)
		gate.Run(ctx)
	}()
	return stopped
}
