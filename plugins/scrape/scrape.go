// Package scrape makes a source that reads /metrics of every instance by itself, so that a first rollout needs
// no metrics server. Where Prometheus is, use plugins/prometheus.
package scrape

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

const (
	bodyBytes = 16 << 20        // of an unpacked exposition
	staleness = 5 * time.Minute // a sample with an older time of its own is no data, as in Prometheus
)

// Source reads the instances of both arms.
type Source struct {
	canary, stable []guard.Template // addresses
	timeout        time.Duration
	client         *http.Client
}

var _ guard.Source = (*Source)(nil)

// NewSource reads {canary: [URL...], stable: [URL...], timeout, headers} and the client settings of a Prometheus
// scrape configuration: basic_auth, authorization, oauth2, tls_config, proxy_url and the like. A URL may hold
// {{.To}}, {{.From}} and the other words of a release.
func NewSource(with guard.With) (guard.Source, error) {
	settings := struct {
		Canary []guard.Template `json:"canary"`
		Stable []guard.Template `json:"stable"`
		client.Settings
	}{Settings: client.Defaults()}
	err := errors.Join(with.Decode(&settings), checkURLs("canary", settings.Canary), checkURLs("stable", settings.Stable), settings.Check())
	if err != nil {
		return nil, err
	}
	made, err := settings.Client()
	if err != nil {
		return nil, err
	}
	return &Source{settings.Canary, settings.Stable, settings.Timeout.Std(), made}, nil
}

func checkURLs(key string, addresses []guard.Template) error {
	if len(addresses) == 0 {
		return fmt.Errorf("%s: missing (a list of addresses like http://10.0.0.7:9090/metrics)", key)
	}
	sample := make(map[string]string)
	for name := range (guard.Release{}).Words() {
		sample[name] = "x"
	}
	var mistakes []error
	for i, address := range addresses {
		if _, err := parseURL(address, sample); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s[%d]: %w", key, i, err))
		}
	}
	return errors.Join(mistakes...)
}

func parseURL(template guard.Template, words map[string]string) (*url.URL, error) {
	address, err := guard.FillURL(template, words)
	if err != nil {
		return nil, err
	}
	return client.ParseURL(address)
}

// A target is one instance to read, and what came of it.
type target struct {
	arm     guard.Arm
	address *url.URL
	samples []guard.Sample
	err     error
}

// instance names a target as Prometheus does, by host and port; with the path, where that is not the usual one.
func (t *target) instance() string {
	if t.address.Path == "/metrics" {
		return t.address.Host
	}
	return t.address.Host + t.address.Path
}

// Read reads all instances at once. One that does not answer has no data; that none answers is an error.
func (s *Source) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	targets, err := s.targets(q.Release)
	if err != nil {
		return guard.Reading{}, err
	}
	at := time.Now()
	var group sync.WaitGroup
	for _, t := range targets {
		group.Go(func() { t.samples, t.err = s.scrape(ctx, t, at) })
	}
	group.Wait()

	var down []error
	samples := make(map[guard.Arm][]guard.Sample)
	for _, t := range targets {
		if t.err != nil {
			down = append(down, fmt.Errorf("%s: %w", t.instance(), t.err))
		}
		samples[t.arm] = append(samples[t.arm], t.samples...)
	}
	if len(down) == len(targets) {
		return guard.Reading{}, fmt.Errorf("no instance could be read: %w", errors.Join(down...))
	}
	reading := guard.Reading{At: at}
	for _, signal := range q.Signals {
		for _, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
			selection, err := signal.Select(q.Release, arm)
			if err != nil {
				return guard.Reading{}, err
			}
			reading.Series = append(reading.Series, signal.Assemble(selection, arm, samples[arm])...)
		}
	}
	return reading, nil
}

// targets are the instances of a release. The first release has no baseline.
func (s *Source) targets(r guard.Release) ([]*target, error) {
	var targets []*target
	add := func(arm guard.Arm, templates []guard.Template) error {
		seen := make(map[string]bool)
		for i, template := range templates {
			address, err := parseURL(template, r.Words())
			if err != nil {
				return fmt.Errorf("%s[%d]: %w", arm, i, err)
			}
			t := &target{arm: arm, address: address}
			if seen[t.instance()] {
				return fmt.Errorf("%s[%d]: %s is listed twice", arm, i, t.instance())
			}
			seen[t.instance()] = true
			targets = append(targets, t)
		}
		return nil
	}
	err := add(guard.Canary, s.canary)
	if err == nil && !r.First() {
		err = add(guard.Baseline, s.stable)
	}
	return targets, err
}

// scrape reads one instance. Its errors do not tell the address, which may hold a password.
func (s *Source) scrape(ctx context.Context, t *target, at time.Time) ([]guard.Sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %v", s.timeout))
	defer cancel()
	contentType, body, err := s.get(ctx, t.address)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	samples, err := parse(contentType, body, at)
	if err != nil {
		return nil, err
	}
	kept := samples[:0]
	for _, sample := range samples {
		if at.Sub(sample.At) <= staleness {
			sample.Labels["instance"] = t.instance()
			kept = append(kept, sample)
		}
	}
	return kept, nil
}

func (s *Source) get(ctx context.Context, address *url.URL) (contentType string, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return "", nil, errors.New("its address cannot be read")
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := client.Do(s.client, request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("it answers status %d", response.StatusCode)
	}
	var unpacked io.Reader = response.Body
	if response.Header.Get("Content-Encoding") == "gzip" {
		if unpacked, err = gzip.NewReader(response.Body); err != nil {
			return "", nil, err
		}
	}
	body, err = client.ReadAll(unpacked, bodyBytes)
	return cmp.Or(response.Header.Get("Content-Type"), "text/plain"), body, err
}
