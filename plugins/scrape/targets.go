package scrape

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

// whereabouts say where the instances of an arm are.
type whereabouts struct {
	addresses []guard.Template
	file      guard.Template
}

// A target is one instance to read, and what came of it.
type target struct {
	arm     guard.Arm
	address *url.URL
	labels  map[string]string // that its samples are given
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

// The beginnings of addresses that stand for what a name server or the backend knows.
const (
	addressRecords = "dns+"     // one instance for each address of the host
	serviceRecords = "dnssrv+"  // one for each SRV record
	backendList    = "backend+" // one for each instance of the arm that the backend lists
)

// check tries the addresses of an arm, and says what is wrong with them.
func (w whereabouts) check(key string) error {
	if len(w.addresses) == 0 && w.file == "" {
		return fmt.Errorf("%s: missing (a list of addresses like http://10.0.0.7:9090/metrics)", key)
	}
	sample := make(map[string]string)
	for name := range (guard.Release{}).Words() {
		sample[name] = "x"
	}
	var mistakes []error
	for i, template := range w.addresses {
		if _, _, err := parseURL(template, sample); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s[%d]: %w", key, i, err))
		}
	}
	if _, err := guard.Fill(w.file, sample); err != nil {
		mistakes = append(mistakes, fmt.Errorf("%s_file: %w", key, err))
	}
	return errors.Join(mistakes...)
}

// Follow takes the backend that the addresses of backend+ ask.
func (s *Source) Follow(l guard.Lister) error {
	s.backend = l
	if l != nil {
		return nil
	}
	var mistakes []error
	for key, side := range map[string]whereabouts{"canary": s.canary, "stable": s.stable} {
		for i, template := range side.addresses {
			if strings.HasPrefix(string(template), backendList) {
				mistakes = append(mistakes, fmt.Errorf("%s[%d]: the backend of the plan does not list its instances (haproxy and nginx do; name the instances, or use dns+, dnssrv+ or a file)", key, i))
			}
		}
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(mistakes...)
}

// anyHost stands for the host in an address of backend+ until the backend says which.
const anyHost = "backend"

// parseURL returns the address that a template becomes, and what it stands for: "" if it is one instance.
func parseURL(template guard.Template, words map[string]string) (address *url.URL, records string, err error) {
	for _, records = range []string{addressRecords, serviceRecords, backendList, ""} {
		rest, found := strings.CutPrefix(string(template), records)
		if !found {
			continue
		}
		text, err := guard.FillURL(guard.Template(rest), words)
		if err != nil {
			return nil, "", err
		}
		if records == backendList {
			scheme, place, _ := strings.Cut(text, "://")
			if !strings.HasPrefix(place, ":") && !strings.HasPrefix(place, "/") {
				return nil, "", errors.New("backend+ learns the host from the backend (write backend+http://:9090/metrics, or backend+http:///metrics for the ports where the instances serve)")
			}
			text = scheme + "://" + anyHost + place
		}
		if address, err = client.ParseURL(text); err != nil {
			return nil, "", err
		}
		break
	}
	if records == serviceRecords && address.Port() != "" {
		return nil, "", errors.New("dnssrv+ learns the port from the name server (leave it out)")
	}
	return address, records, nil
}

// targets finds the instances of a release. The first release has no baseline. An instance that is found twice is
// read once; one that the plan lists twice is a mistake.
func (s *Source) targets(ctx context.Context, r guard.Release) (targets []*target, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %v", s.timeout))
	defer cancel()
	listed := sync.OnceValues(func() ([]guard.Instance, error) { return s.list(ctx, r) })
	for _, side := range []struct {
		arm guard.Arm
		key string
		whereabouts
	}{{guard.Canary, "canary", s.canary}, {guard.Baseline, "stable", s.stable}} {
		if side.arm == guard.Baseline && r.First() {
			continue
		}
		seen := make(map[string]bool)
		add := func(t *target) (first bool) {
			first = !seen[t.instance()]
			seen[t.instance()] = true
			if first {
				t.arm = side.arm
				targets = append(targets, t)
			}
			return first
		}
		for i, template := range side.addresses {
			address, records, err := parseURL(template, r.Words())
			if err != nil {
				return nil, fmt.Errorf("%s[%d]: %w", side.key, i, err)
			}
			if t := (&target{address: address}); records == "" && !add(t) {
				return nil, fmt.Errorf("%s[%d]: %s is listed twice", side.key, i, t.instance())
			}
			var hosts []string
			if records == backendList {
				hosts, err = hostsOf(listed, side.arm, address.Port())
			} else {
				hosts, err = s.lookUp(ctx, records, address)
			}
			if err != nil {
				return nil, fmt.Errorf("%s[%d]: %w", side.key, i, err)
			}
			for _, host := range hosts {
				found := *address
				found.Host = host
				add(&target{address: &found})
			}
		}
		listed, err := side.read(r)
		if err != nil {
			return nil, fmt.Errorf("%s_file: %w", side.key, err)
		}
		for _, t := range listed {
			add(t)
		}
	}
	return targets, nil
}

// list asks the backend which instances there are.
func (s *Source) list(ctx context.Context, r guard.Release) ([]guard.Instance, error) {
	if s.backend == nil {
		return nil, errors.New("there is no backend that lists its instances")
	}
	all, err := s.backend.Instances(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the backend for its instances: %w", err)
	}
	return all, nil
}

// hostsOf are the listed instances of an arm, at a port of their own or, if port is not "", at that one.
func hostsOf(listed func() ([]guard.Instance, error), arm guard.Arm, port string) (hosts []string, err error) {
	all, err := listed()
	if err != nil {
		return nil, err
	}
	for _, instance := range all {
		if instance.Arm != arm {
			continue
		}
		host, own, err := net.SplitHostPort(instance.Address)
		if err != nil || net.ParseIP(host) == nil {
			return nil, fmt.Errorf("the backend lists an instance at %.100q, which is no IP address with a port", instance.Address)
		}
		hosts = append(hosts, net.JoinHostPort(host, cmp.Or(port, own)))
	}
	return hosts, nil
}

// lookUp asks the name server for the records of an address. A name that there is not has none: its instances are
// gone, or not there yet.
func (s *Source) lookUp(ctx context.Context, records string, address *url.URL) (hosts []string, err error) {
	switch records {
	case addressRecords:
		var found []net.IPAddr
		found, err = s.resolver.LookupIPAddr(ctx, address.Hostname())
		for _, ip := range found {
			host := ip.String()
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			if port := address.Port(); port != "" {
				host += ":" + port
			}
			hosts = append(hosts, host)
		}
	case serviceRecords:
		var found []*net.SRV
		_, found, err = s.resolver.LookupSRV(ctx, "", "", address.Hostname())
		for _, record := range found {
			hosts = append(hosts, net.JoinHostPort(strings.TrimSuffix(record.Target, "."), strconv.Itoa(int(record.Port))))
		}
	}
	var missing *net.DNSError
	if errors.As(err, &missing) && missing.IsNotFound {
		return nil, nil
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", address.Hostname(), err)
	}
	return hosts, nil
}

// read reads the file of an arm, if it has one.
func (w whereabouts) read(r guard.Release) (targets []*target, err error) {
	if w.file == "" {
		return nil, nil
	}
	path, err := guard.Fill(w.file, r.Words())
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var groups []struct {
		Targets []string          `yaml:"targets"`
		Labels  map[string]string `yaml:"labels"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text)) // which JSON is, too
	decoder.KnownFields(true)
	if err := decoder.Decode(&groups); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is not in the format of file_sd: %w", path, err)
	}
	for i, group := range groups {
		labels, scheme, metrics := make(map[string]string), "http", "/metrics"
		for name, value := range group.Labels {
			switch {
			case name == "__scheme__":
				scheme = value
			case name == "__metrics_path__":
				metrics = value
			case !strings.HasPrefix(name, "__"): // a note for the relabelling of Prometheus
				labels[name] = value
			}
		}
		for _, host := range group.Targets {
			address, err := client.ParseURL(scheme + "://" + host + metrics)
			if err != nil || address.Host != host {
				return nil, fmt.Errorf("%s: the target %q of group %d is not a host and a port", path, host, i+1)
			}
			targets = append(targets, &target{address: address, labels: labels})
		}
	}
	return targets, nil
}
