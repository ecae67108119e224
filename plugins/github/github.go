// Package github asks GitHub about a release: which security alerts are open (alerts.go), what was run on its
// commit (status.go), who has approved it (reviews.go), and who has to agree before it is deployed (environment.go). It
// deploys (backend.go), shows how a rollout stands (notifier.go), hears of deployments (deployments.go) and of people who
// press a button (buttons.go), and is a gate of deployments (gate.go). For steps of a workflow it hands over reports
// (step.go). It proves who it is by a token, or as an app (app.go). It is the only package that knows go-github.
//
// A probe of this package passes only on a complete answer. Pages that cannot be followed, an empty body, a limit
// of requests and a permission that the token lacks are errors, for GitHub hides what one may not see.
package github

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
	"github.com/prometheus/common/config"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

const (
	bodyBytes = 16 << 20 // of one answer
	perPage   = 100      // the most that GitHub gives
	pagesMost = 100      // of one list; a longer one is an error
	named     = 3        // how many of a list are told by their names
)

// settings are the keys that all parts have: the repository as OWNER/NAME, a token, or an app (app_id, private_key, and
// installation_id, which GitHub is asked for where it is missing), the address of the API where it is not
// https://api.github.com, and the client settings of a Prometheus configuration, such as tls_config and proxy_url. The
// timeout is for all requests of one probe together.
type settings struct {
	Repository     string `json:"repository"`
	Token          string `json:"token"`
	AppID          int64  `json:"app_id"`
	InstallationID int64  `json:"installation_id"`
	PrivateKey     string `json:"private_key"`
	Address        string `json:"address"`
	client.Settings

	spares bool // it leaves the end of a quota to others
}

func defaults() settings {
	s := settings{Address: "https://api.github.com", Settings: client.Defaults()}
	s.Timeout = guard.Duration(10 * time.Second)
	return s
}

// A repository is one on GitHub, and the way to ask about it.
type repository struct {
	owner, name string
	timeout     time.Duration
	api         *github.Client
	proofs      *noting
	app         App // the zero value: it proves who it is by a token
}

func (r *repository) String() string { return r.owner + "/" + r.name }

// fullName is what GitHub allows; above all, it holds nothing that an address would be read by.
var fullName = regexp.MustCompile(`^([A-Za-z0-9_-]+)/([A-Za-z0-9._-]+)$`)

// open makes the client of a repository. It follows no redirect, and what it proves itself with goes to one address
// alone. An app asks for the permissions that are given, and for no others; a token has those that it has.
func (s settings) open(permissions *github.InstallationPermissions) (*repository, error) {
	var mistakes []error
	parts := fullName.FindStringSubmatch(s.Repository)
	switch {
	case s.Repository == "":
		mistakes = append(mistakes, errors.New("repository: missing (write OWNER/NAME)"))
	case parts == nil || strings.Trim(parts[2], ".") == "":
		mistakes = append(mistakes, errors.New("repository: is not of the form OWNER/NAME"))
	}
	app, isApp := s.app()
	switch {
	case isApp && s.Token != "":
		mistakes = append(mistakes, errors.New("token: there is an app too (keep the token, or app_id with private_key)"))
	case isApp:
		mistakes = append(mistakes, app.check())
	case s.Token == "":
		mistakes = append(mistakes, errors.New("token: missing (write ${GITHUB_TOKEN}, and set that in the environment; or app_id and private_key of a GitHub App)"))
	}
	if err := checkAddress(s.Address); err != nil {
		mistakes = append(mistakes, fmt.Errorf("address: %w", err))
	}
	if s.Authorization != nil || s.BasicAuth != nil || s.OAuth2 != nil || s.BearerToken != "" || s.BearerTokenFile != "" {
		mistakes = append(mistakes, errors.New("token: there is another way to log in too (keep the token alone)"))
	}
	if s.FollowRedirects {
		mistakes = append(mistakes, errors.New("follow_redirects: the token would travel on (remove it)"))
	}
	if err := errors.Join(append(mistakes, s.Check())...); err != nil {
		return nil, err
	}
	if !isApp {
		s.Authorization = &config.Authorization{Type: "Bearer", Credentials: config.Secret(s.Token)}
	}
	made, err := s.Client()
	if err != nil {
		return nil, err
	}
	proofs := &noting{next: patient{bounded{made.Transport}}}
	own := *made // all who are set up alike share what was made
	own.Transport = proofs
	r := &repository{owner: parts[1], name: parts[2], timeout: s.Timeout.Std(), proofs: proofs}
	if r.api, err = enterprise(&own, s.Address); err != nil {
		return nil, err
	}
	if isApp {
		r.app = app
		own.Transport = app.installed(r.api.BaseURL.String(), r.owner, r.name, permissions, proofs)
	} else {
		proofs.seen = []string{s.Token}
	}
	if s.spares {
		own.Transport = &sparing{next: own.Transport}
	}
	if r.api, err = enterprise(&own, s.Address); err != nil {
		return nil, err
	}
	return r, nil
}

// app is the app of the settings, if they have one.
func (s settings) app() (App, bool) {
	return App{ID: s.AppID, Key: s.PrivateKey, Installation: s.InstallationID}, s.AppID != 0 || s.InstallationID != 0 || s.PrivateKey != ""
}

// checkAddress refuses to send the token through an open network.
func checkAddress(text string) error {
	address, err := client.ParseURL(text)
	if err != nil {
		return err
	}
	ip := net.ParseIP(address.Hostname())
	switch near := address.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); {
	case address.Scheme != "https" && !near:
		return errors.New("must begin with https://, for the token travels with every request")
	case address.User != nil:
		return errors.New("holds a user (use the key token)")
	case address.RawQuery != "" || address.Fragment != "":
		return errors.New("must end with its path")
	}
	return nil
}

// bounded ends every answer that is longer than bodyBytes, for go-github reads them whole.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, bodyBytes)
	return response, nil
}
