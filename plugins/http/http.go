// Package http makes parts of HTTP requests: a backend, a probe and a notifier.
//
// The URL, the body and the headers of a request may hold {{.ID}}, {{.Service}}, {{.Environment}}, {{.From}}
// and {{.To}} of the release, {{.Fence}}, {{.Seq}} and {{.Key}} of an order, and {{.Percent}} of a shift.
package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Backend moves traffic with three requests.
type Backend struct {
	inspect, shift, finish request
	client                 *client
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
)

// NewBackend reads {inspect, shift, finish, headers, timeout}, where the first three are
// {method, url, body, headers, expect}. The answer to inspect is a standing as JSON, like
// {"percent":10,"undo":{"open":true}}; without a finish request there is nothing to finish.
func NewBackend(with guard.With) (guard.Backend, error) {
	config := struct {
		Inspect request                   `json:"inspect"`
		Shift   request                   `json:"shift"`
		Finish  request                   `json:"finish"`
		Headers map[string]guard.Template `json:"headers"`
		Timeout guard.Duration            `json:"timeout"`
	}{
		Inspect: request{Method: http.MethodGet},
		Shift:   request{Method: http.MethodPost},
		Finish:  request{Method: http.MethodPost},
		Timeout: guard.Duration(10 * time.Second),
	}
	err := errors.Join(with.Decode(&config), positive(config.Timeout))
	b := &Backend{
		inspect: config.Inspect.with(config.Headers),
		shift:   config.Shift.with(config.Headers),
		finish:  config.Finish.with(config.Headers),
		client:  newClient(config.Timeout),
	}
	err = errors.Join(err,
		b.inspect.check("inspect.", guard.Release{}.Words()),
		b.shift.check("shift.", shiftWords(guard.Order{}, 0)))
	if b.finish.URL != "" {
		err = errors.Join(err, b.finish.check("finish.", guard.Order{}.Words()))
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Inspect asks where the traffic is, and believes nothing that is not a standing.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	body, err := b.ask(ctx, "inspect", b.inspect, r.Words())
	if err != nil {
		return guard.Standing{}, err
	}
	standing, err := guard.ParseStanding(body)
	if err != nil {
		return guard.Standing{}, fmt.Errorf("inspect: the answer is nonsense: %w", err)
	}
	return standing, nil
}

// Shift sends the shift request.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	_, err := b.ask(ctx, "shift", b.shift, shiftWords(o, percent))
	return err
}

// Finish sends the finish request, if there is one.
func (b *Backend) Finish(ctx context.Context, o guard.Order) error {
	if b.finish.URL == "" {
		return nil
	}
	_, err := b.ask(ctx, "finish", b.finish, o.Words())
	return err
}

// Fences is advisory where the shift request tells both the fence and the seq of its order, for whoever answers it to
// refuse a pair that is too low; else it is none.
func (b *Backend) Fences() guard.Fence {
	if b.shift.tells("Fence") && b.shift.tells("Seq") {
		return guard.FenceAdvisory
	}
	return guard.FenceNone
}

// ask sends a request that has to be answered as expected.
func (b *Backend) ask(ctx context.Context, verb string, r request, words map[string]string) ([]byte, error) {
	filled, err := r.fill(ctx, words)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	a, err := b.client.send(filled)
	if err == nil && !a.as(r.Expect) {
		err = fmt.Errorf("it answers %v", a)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s %s: %w", verb, filled.Method, public(filled.URL), err)
	}
	return a.body, nil
}

func shiftWords(o guard.Order, percent int) map[string]string {
	words := o.Words()
	words["Percent"] = strconv.Itoa(percent)
	return words
}

// Probe asks whether an address answers as it should.
type Probe struct {
	request  request
	contains guard.Template
	client   *client
}

var _ guard.Probe = (*Probe)(nil)

// NewProbe reads {url, status, contains, headers, timeout}. The probe passes if the address answers with that
// status (any 2xx, if none is given) and, where contains is given, with a body that holds that text.
func NewProbe(with guard.With) (guard.Probe, error) {
	config := struct {
		URL      guard.Template            `json:"url"`
		Status   int                       `json:"status"`
		Contains guard.Template            `json:"contains"`
		Headers  map[string]guard.Template `json:"headers"`
		Timeout  guard.Duration            `json:"timeout"`
	}{Timeout: guard.Duration(10 * time.Second)}
	err := errors.Join(with.Decode(&config), positive(config.Timeout))
	asked := request{Method: http.MethodGet, URL: config.URL, Headers: config.Headers, Expect: config.Status}
	err = errors.Join(err, asked.check("", guard.Release{}.Words()))
	if _, mistake := guard.Fill(config.Contains, guard.Release{}.Words()); mistake != nil {
		err = errors.Join(err, fmt.Errorf("contains: %w", mistake))
	}
	if err != nil {
		return nil, err
	}
	return &Probe{asked, config.Contains, newClient(config.Timeout)}, nil
}

// Probe asks. An address that refuses or stays silent is a finding, as that is what was asked; if the way to
// it is not found or not trusted, the question could not be put.
func (p *Probe) Probe(ctx context.Context, r guard.Release) (guard.Finding, error) {
	contains, err := guard.Fill(p.contains, r.Words())
	if err != nil {
		return guard.Finding{}, fmt.Errorf("contains: %w", err)
	}
	if contains == "" && p.contains != "" {
		return guard.Finding{}, fmt.Errorf("contains: %s is empty in this release, and every answer would contain it", p.contains)
	}
	asked, err := p.request.fill(ctx, r.Words())
	if err != nil {
		return guard.Finding{}, err
	}
	address := public(asked.URL)
	finding := guard.Finding{Subject: address, Verdict: guard.Fail, Expected: p.expected(contains)}
	finding.Title = fmt.Sprintf("%s answers with %s", address, finding.Expected)

	a, err := p.client.send(asked)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errSlow):
		finding.Observed = err.Error()
		finding.Reason = "it does not answer: " + finding.Observed
	case err != nil:
		return guard.Finding{}, fmt.Errorf("GET %s: %w", address, err)
	case !a.as(p.request.Expect):
		finding.Observed = a.String()
		finding.Reason = "it answers " + finding.Observed
	case !bytes.Contains(a.body, []byte(contains)):
		finding.Observed = a.String()
		finding.Reason = fmt.Sprintf("its answer does not contain %q", contains)
	default:
		finding.Verdict = guard.Pass
		finding.Observed = a.String()
	}
	finding.Evidence = []guard.Evidence{{Asked: "GET " + address, Answer: finding.Observed}}
	return finding, nil
}

func (p *Probe) expected(contains string) string {
	expected := "a 2xx status"
	if p.request.Expect != 0 {
		expected = fmt.Sprintf("status %d", p.request.Expect)
	}
	if contains != "" {
		expected += fmt.Sprintf(" and %q", contains)
	}
	return expected
}

// Notifier posts notices to an address.
type Notifier struct {
	request request
	people  bool // the addresses of recipients may be told
	client  *client
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier reads {url, headers, people, timeout}. A notice is posted as JSON; any 2xx status says that it arrived. Of its
// recipients it has names and roles, and their addresses only if people says so.
func NewNotifier(with guard.With) (guard.Notifier, error) {
	config := struct {
		URL     guard.Template            `json:"url"`
		Headers map[string]guard.Template `json:"headers"`
		People  bool                      `json:"people"`
		Timeout guard.Duration            `json:"timeout"`
	}{Timeout: guard.Duration(10 * time.Second)}
	err := errors.Join(with.Decode(&config), positive(config.Timeout))
	post := request{Method: http.MethodPost, URL: config.URL, Headers: config.Headers}
	err = errors.Join(err, post.check("", guard.Release{}.Words()))
	if err != nil {
		return nil, err
	}
	return &Notifier{post, config.People, newClient(config.Timeout)}, nil
}

// Notify posts a notice. What it tells of the address is the host alone, because the path of a webhook is
// often its password.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	filled, err := n.request.fill(ctx, notice.Release.Words())
	if err != nil {
		return guard.Receipt{}, err
	}
	if !n.people {
		notice.To = slices.Clone(notice.To)
		for i := range notice.To {
			notice.To[i].Reach = nil
		}
	}
	text, err := json.Marshal(notice)
	if err != nil {
		return guard.Receipt{}, err
	}
	filled.Body = io.NopCloser(bytes.NewReader(text))
	filled.ContentLength = int64(len(text))
	if filled.Header.Get("Content-Type") == "" {
		filled.Header.Set("Content-Type", "application/json")
	}
	a, err := n.client.send(filled)
	if err == nil && !a.as(n.request.Expect) {
		err = fmt.Errorf("it answers %v", a)
	}
	if err != nil {
		return guard.Receipt{}, fmt.Errorf("post to %s: %w", filled.URL.Host, err)
	}
	return guard.Receipt{Detail: fmt.Sprintf("%s answers status %d", filled.URL.Host, a.status)}, nil
}

func positive(timeout guard.Duration) error {
	if timeout <= 0 {
		return errors.New("timeout: must be longer than nothing")
	}
	return nil
}
