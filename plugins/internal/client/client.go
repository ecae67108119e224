// Package client sets up the HTTP clients of sources. Its settings are those of a Prometheus configuration, which
// people who run one know already.
package client

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/config"

	"github.com/golive-dev/golive/guard"
)

// Settings are the keys of a set-up that concern its client: timeout, headers, and those of a Prometheus scrape
// configuration, such as basic_auth, authorization, oauth2, tls_config and proxy_url.
type Settings struct {
	Timeout guard.Duration `json:"timeout"`
	config.HTTPClientConfig
	HTTPHeaders map[string]string `json:"headers"` // takes the place of http_headers, whose form is too long
}

// Defaults are the settings where a plan says nothing.
func Defaults() Settings {
	s := Settings{Timeout: guard.Duration(5 * time.Second), HTTPClientConfig: config.DefaultHTTPClientConfig}
	s.FollowRedirects = false // credentials never travel on
	return s
}

// Check says what is wrong with the timeout. It is not for the client, since it limits more than one request.
func (s Settings) Check() error {
	if s.Timeout <= 0 {
		return errors.New("timeout: must be longer than nothing")
	}
	return nil
}

// Client makes the client.
func (s Settings) Client() (*http.Client, error) {
	headers := make(map[string]config.Header)
	for name, value := range s.HTTPHeaders {
		headers[name] = config.Header{Secrets: []config.Secret{config.Secret(value)}}
	}
	s.HTTPClientConfig.HTTPHeaders = &config.Headers{Headers: headers}
	if err := s.HTTPClientConfig.Validate(); err != nil {
		return nil, err
	}
	return config.NewClientFromConfig(s.HTTPClientConfig, "golive")
}

// ParseURL reads the address of a server. Its errors do not quote it, since it may hold a password.
func ParseURL(text string) (*url.URL, error) {
	address, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	if address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("must begin with http:// or https:// and a host")
	}
	return address, nil
}

// Do sends a request. Its errors do not quote the address, which net/http puts around them.
func Do(c *http.Client, r *http.Request) (*http.Response, error) {
	response, err := c.Do(r)
	var addressed *url.Error
	if errors.As(err, &addressed) {
		err = addressed.Err
	}
	return response, err
}
