// Package github asks GitHub about a release: which security alerts are open (alerts.go), what was run on its
// commit (status.go), and who has approved it (reviews.go). It also hears of deployments (deployments.go). It is the
// only package that knows go-github.
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

// settings are the keys that all probes have: the repository as OWNER/NAME, a token, the address of the API where
// it is not https://api.github.com, and the client settings of a Prometheus configuration, such as tls_config and
// proxy_url. The timeout is for all requests of one probe together.
type settings struct {
	Repository string `json:"repository"`
	Token      string `json:"token"`
	Address    string `json:"address"`
	client.Settings
}

func defaults() settings {
	s := settings{Address: "https://api.github.com", Settings: client.Defaults()}
	s.Timeout = guard.Duration(10 * time.Second)
	return s
}

// A repository is one on GitHub, and the way to ask about it.
type repository struct {
	owner, name string
	token       string
	timeout     time.Duration
	api         *github.Client
}

func (r *repository) String() string { return r.owner + "/" + r.name }

// fullName is what GitHub allows; above all, it holds nothing that an address would be read by.
var fullName = regexp.MustCompile(`^([A-Za-z0-9_-]+)/([A-Za-z0-9._-]+)$`)

// open makes the client of a repository. It follows no redirect, and the token goes to one address alone.
func (s settings) open() (*repository, error) {
	var mistakes []error
	parts := fullName.FindStringSubmatch(s.Repository)
	switch {
	case s.Repository == "":
		mistakes = append(mistakes, errors.New("repository: missing (write OWNER/NAME)"))
	case parts == nil || strings.Trim(parts[2], ".") == "":
		mistakes = append(mistakes, errors.New("repository: is not of the form OWNER/NAME"))
	}
	if s.Token == "" {
		mistakes = append(mistakes, errors.New("token: missing (write ${GITHUB_TOKEN}, and set that in the environment)"))
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
	s.Authorization = &config.Authorization{Type: "Bearer", Credentials: config.Secret(s.Token)}
	made, err := s.Client()
	if err != nil {
		return nil, err
	}
	own := *made // all who are set up alike share what was made
	own.Transport = bounded{own.Transport}
	api, err := github.NewClient(&own).WithEnterpriseURLs(s.Address, s.Address)
	if err != nil {
		return nil, errors.New("address: cannot be read")
	}
	api.UserAgent = "golive"
	return &repository{owner: parts[1], name: parts[2], token: s.Token, timeout: s.Timeout.Std(), api: api}, nil
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
