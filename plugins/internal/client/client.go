// Package client sets up the HTTP clients of sources. Its settings are those of a Prometheus configuration, which
// people who run one know already.
package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"slices"
	"sync"
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

// made are clients that there are already. Rollouts of many services ask one server, which a connection of each to keep
// would be too many for: Prometheus takes 512, and lets the rest wait for ever.
var made struct {
	sync.Mutex
	clients []madeClient // the oldest first
}

type madeClient struct {
	by     Settings
	client *http.Client
}

// mostMade is how many different settings are remembered.
const mostMade = 100

// Client makes the client, or returns the one that was made by the same settings before: both use the same connections.
func (s Settings) Client() (*http.Client, error) {
	s.Timeout = 0                        // is not the client's
	if err := s.Validate(); err != nil { // which also gives each set-up the one form it has
		return nil, err
	}
	made.Lock()
	defer made.Unlock()
	for _, m := range made.clients {
		if reflect.DeepEqual(m.by, s) { // and not by their text, in which all secrets look alike
			return m.client, nil
		}
	}
	client, err := s.make()
	if err != nil {
		return nil, err
	}
	made.clients = append(made.clients, madeClient{s, client})
	if len(made.clients) > mostMade {
		made.clients = slices.Delete(made.clients, 0, 1)
	}
	return client, nil
}

func (s Settings) make() (*http.Client, error) {
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

// ReadAll reads an answer to its end; one of more bytes is an error.
func ReadAll(answer io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(answer, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > most {
		return nil, fmt.Errorf("it answers more than %d bytes", most)
	}
	return body, nil
}

// tick is how exactly the header Date tells the time. It leaves out the fraction, so that on average half of it
// is missing.
const tick = time.Second

// Skew sends a request, and compares the time at which its answer was made with ours. Any status will do, but not
// an answer that a cache had kept. The connection has to stand before the time counts, since making one takes long.
func Skew(c *http.Client, r *http.Request) (guard.Skew, error) {
	sent := time.Now()
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent = time.Now() },
	}))
	r.Header.Set("Cache-Control", "no-cache")
	response, err := Do(c, r)
	if err != nil {
		return guard.Skew{}, err
	}
	trip := time.Since(sent)
	defer response.Body.Close()
	told, err := http.ParseTime(response.Header.Get("Date"))
	switch {
	case err != nil:
		return guard.Skew{}, errors.New("its answer does not tell the time (header Date)")
	case response.Header.Get("Age") != "":
		return guard.Skew{}, errors.New("its answer comes from a cache, and so does the time that it tells")
	}
	return guard.Skew{
		Ahead:  told.Add(tick / 2).Sub(sent.Add(trip / 2)),
		Within: (tick + trip) / 2,
	}, nil
}
