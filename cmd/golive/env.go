package main

import (
	"cmp"
	"context"
	"fmt"
	"os/user"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// settings are what the environment says, once, at the start. Flags go over it.
type settings struct {
	Plan    string `env:"GOLIVE_PLAN, default=golive.yaml"`
	Journal string `env:"GOLIVE_JOURNAL, default=.golive"`
	Ledger  string `env:"GOLIVE_LEDGER"` // default: beside the plan
	Store   string `env:"GOLIVE_STORE"`  // of golive serve; default: golive.db in the directory of the journals
	Server  string `env:"GOLIVE_SERVER"` // one address of golive serve, or several with commas

	// Audience is for whom a job of GitHub Actions asks identity tokens. The file of --oidc of the server names the same. A
	// server can use what it is shown wherever the audience is the same, so that servers of others have one each.
	Audience string `env:"GOLIVE_AUDIENCE, default=golive"`
	// HookSecrets and GitHubSecrets are what messages to golive serve are signed with; several while one takes the place of another.
	HookSecrets   []string `env:"GOLIVE_HOOK_SECRET"`
	GitHubSecrets []string `env:"GOLIVE_GITHUB_SECRET"`
	// GitHubApp and GitHubKey are those of the app that the gate of GitHub's deployments is.
	GitHubApp int64  `env:"GOLIVE_GITHUB_APP_ID"`
	GitHubKey string `env:"GOLIVE_GITHUB_APP_KEY"`
	// GitHubAppSecrets sign at the webhook of the app; default: GitHubSecrets.
	GitHubAppSecrets []string      `env:"GOLIVE_GITHUB_APP_SECRET"`
	GitHubAPI        string        `env:"GOLIVE_GITHUB_API"` // default: https://api.github.com
	GitHubWait       time.Duration `env:"GOLIVE_GITHUB_MAX_WAIT, default=1h"`
	Output           output        `env:"GOLIVE_OUTPUT, default=text"`
	By               string        `env:"GOLIVE_BY"` // who gives orders; default the user's name
	From             string        `env:"GOLIVE_FROM"`
	To               string        `env:"GOLIVE_TO"`
	NoColor          string        `env:"NO_COLOR"`
	// Command, Args and ReportDir are the inputs of the action that golive step reads.
	Command   string `env:"GOLIVE_COMMAND"`
	Args      string `env:"GOLIVE_ARGS"`
	ReportDir string `env:"GOLIVE_REPORT_DIR"`
}

// given is an environment in which an empty variable says nothing: an action hands on every input, also one that nobody gave.
type given struct{ envconfig.Lookuper }

func (g given) Lookup(name string) (string, bool) {
	value, set := g.Lookuper.Lookup(name)
	return value, set && value != ""
}

func (s *settings) read(ctx context.Context, env envconfig.Lookuper) error {
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: s, Lookuper: given{env}}); err != nil {
		return fail(exitUsage, "environment: %w", err)
	}
	if s.By == "" {
		if u, err := user.Current(); err == nil {
			s.By = u.Username
		}
	}
	return nil
}

// leastSecret is how many characters a secret has that signs messages and cannot be guessed.
const leastSecret = 20

// signed says which secrets of the environment can be guessed. Its error holds none of them.
func (s *settings) signed() error {
	for _, v := range []struct {
		name    string
		secrets []string
	}{{"GOLIVE_HOOK_SECRET", s.HookSecrets}, {"GOLIVE_GITHUB_SECRET", s.GitHubSecrets}, {"GOLIVE_GITHUB_APP_SECRET", s.GitHubAppSecrets}} {
		for _, secret := range v.secrets {
			if len(secret) < leastSecret {
				return fail(exitUsage, "%s holds a secret of %d characters, and one of less than %d can be guessed: openssl rand -hex 32 makes one (a comma stands between two secrets, and is part of none)", v.name, len(secret), leastSecret)
			}
		}
	}
	return nil
}

// output is the form of an answer.
type output string

const (
	asText output = "text"
	asJSON output = "json"
)

func (o *output) Set(s string) error {
	if s != string(asText) && s != string(asJSON) {
		return fmt.Errorf("%q is neither text nor json", s)
	}
	*o = output(s)
	return nil
}

func (o *output) String() string { return string(*o) }
func (o *output) Type() string   { return "form" }

// EnvDecode checks what the environment says as if it were a flag. An empty variable says nothing.
func (o *output) EnvDecode(s string) error {
	s = cmp.Or(s, string(asText))
	if err := o.Set(s); err != nil {
		return fmt.Errorf("GOLIVE_OUTPUT: %w", err)
	}
	return nil
}
