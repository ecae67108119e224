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
	"maps"
	"net"
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
	canary, stable whereabouts
	resolver       *net.Resolver
	timeout        time.Duration
	client         *http.Client
	backend        guard.Lister // nil: it lists nothing
}

var (
	_ guard.Source   = (*Source)(nil)
	_ guard.Follower = (*Source)(nil)
)

// NewSource reads {canary, stable, canary_file, stable_file, timeout, headers} and the client settings of a Prometheus
// scrape configuration: basic_auth, authorization, oauth2, tls_config, proxy_url and the like. Canary and stable are
// lists of addresses. One like dns+http://shop-v2.internal:9090/metrics stands for every address that the name has,
// dnssrv+http://_metrics._tcp.shop-v2.internal/metrics for every host and port of its SRV records, and
// backend+http://:9090/metrics for every instance of that arm which the backend of the plan lists, at this port;
// backend+http:///metrics is each at the port where it serves. Canary_file and
// stable_file are files in the format of Prometheus' file_sd, JSON or YAML, whose labels every sample is given. Names are
// looked up and files read at each reading. All may hold {{.To}}, {{.From}} and the other words of a release.
func NewSource(with guard.With) (guard.Source, error) {
	settings := struct {
		Canary     []guard.Template `json:"canary"`
		Stable     []guard.Template `json:"stable"`
		CanaryFile guard.Template   `json:"canary_file"`
		StableFile guard.Template   `json:"stable_file"`
		client.Settings
	}{Settings: client.Defaults()}
	err := with.Decode(&settings)
	canary, stable := whereabouts{settings.Canary, settings.CanaryFile}, whereabouts{settings.Stable, settings.StableFile}
	if err := errors.Join(err, canary.check("canary"), stable.check("stable"), settings.Check()); err != nil {
		return nil, err
	}
	made, err := settings.Client()
	if err != nil {
		return nil, err
	}
	return &Source{canary: canary, stable: stable, resolver: net.DefaultResolver, timeout: settings.Timeout.Std(), client: made}, nil
}

// Read reads all instances at once. One that does not answer has no data; that none answers is an error, and so is
// that it cannot be found out which there are.
func (s *Source) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	targets, err := s.targets(ctx, q.Release)
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
	if len(targets) == 0 {
		return guard.Reading{}, errors.New("no instance is known: the names have no addresses, and neither the files nor the backend list any")
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
			maps.Copy(sample.Labels, t.labels)
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
