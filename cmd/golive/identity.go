package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

// An identity is who a job of GitHub Actions is, as its runner lets it prove by tokens of OpenID Connect. Each holds for
// some minutes, and a rollout takes longer: another is asked for before the last one ends.
type identity struct {
	audience string   // for whom its tokens are
	ask      *url.URL // of the runner, which names whatever host it likes
	bearer   string   // of the runner, for ask alone
	web      *http.Client
	remember func(token string) // so that nothing tells it

	mu    sync.Mutex
	token string
	until time.Time // when another is asked for
}

// Bounds of an identity.
const (
	identityIn      = 10 * time.Second // the runner's answer
	identityLongest = 64 << 10         // bytes of it
	identityRest    = time.Minute      // of a token that is not used any more: a request takes its time, and clocks differ
)

// identity is that of a job which may ask for identity tokens (permissions: id-token: write); nil: it is none.
func (p *program) identity(web *http.Client) (*identity, error) {
	lookup := p.secrets.from(p.env)
	bearer, _ := lookup("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	ask, _ := p.env.Lookup("ACTIONS_ID_TOKEN_REQUEST_URL")
	if bearer == "" || ask == "" {
		return nil, nil
	}
	at, err := url.Parse(ask)
	switch {
	case err != nil, at.Host == "", at.User != nil:
		return nil, fail(exitUsage, "ACTIONS_ID_TOKEN_REQUEST_URL is no address: let the runner of GitHub Actions set it, or set GOLIVE_TOKEN")
	case at.Scheme != "https" && !(at.Scheme == "http" && local(at.Hostname())):
		return nil, fail(exitUsage, "ACTIONS_ID_TOKEN_REQUEST_URL does not begin with https://, and whoever is on the way there could take the identity of this job: let the runner of GitHub Actions set it, or set GOLIVE_TOKEN")
	}
	query := at.Query()
	query.Set("audience", p.settings.Audience)
	at.RawQuery = query.Encode()
	return &identity{audience: p.settings.Audience, ask: at, bearer: bearer, web: web, remember: func(token string) { p.secrets.remember("the identity token", token) }}, nil
}

// get is a token that holds for some time yet. The error is an exit where asking again does not help.
func (i *identity) get(ctx context.Context) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.token != "" && time.Now().Before(i.until) {
		return i.token, nil
	}
	token, err := i.fetch(ctx)
	if err != nil {
		return "", err
	}
	i.remember(token)
	i.token, i.until = token, expiryOf(token).Add(-identityRest)
	return token, nil
}

// fetch asks the runner for a token. No error holds what the runner was asked with.
func (i *identity) fetch(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, identityIn, fmt.Errorf("no answer within %s", identityIn))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, i.ask.String(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+i.bearer)
	r.Header.Set("Accept", "application/json")
	response, err := i.web.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // which holds the address, and that a part of the proof
			err = failed.Err
		}
		return "", fmt.Errorf("ask %s for an identity token: %w", i.ask.Host, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, identityLongest+1))
	if err != nil {
		return "", fmt.Errorf("ask %s for an identity token: %w", i.ask.Host, err)
	}
	var said struct {
		Value string `json:"value"`
	}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status >= 500:
		return "", fmt.Errorf("ask %s for an identity token: it answers %s", i.ask.Host, response.Status)
	case status != http.StatusOK:
		return "", fail(exitUsage, "%s gives no identity token: it answers %s\nGive the job permissions: {id-token: write}, or set GOLIVE_TOKEN", i.ask.Host, guard.Line(response.Status, 60))
	case len(text) > identityLongest, json.Unmarshal(text, &said) != nil, strings.Count(said.Value, ".") != 2, strings.ContainsAny(said.Value, " \r\n\t"):
		return "", fail(exitUsage, "%s answers something else than an identity token: let the runner of GitHub Actions set ACTIONS_ID_TOKEN_REQUEST_URL, or set GOLIVE_TOKEN", i.ask.Host)
	}
	return said.Value, nil
}

// expiryOf is when a token ends, as it says itself: whoever is asked with it proves it. One that does not say is used once.
func expiryOf(token string) time.Time {
	var claims struct {
		Expires float64 `json:"exp"`
	}
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return time.Time{}
	}
	return time.Unix(int64(claims.Expires), 0)
}
