package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
)

const (
	bodyBytes  = 1 << 20 // of an answer; a longer one is an error
	storyBytes = 300     // of an answer that an error tells
)

// A request is one HTTP request with holes for the words of a release.
type request struct {
	Method  string                    `json:"method"`
	URL     guard.Template            `json:"url"`
	Body    guard.Template            `json:"body"`
	Headers map[string]guard.Template `json:"headers"`
	Expect  int                       `json:"expect"` // status of the answer; 0: any 2xx
}

// check fills every hole once, so that a mistake is found when the part is made. Key is the request's place
// in the plan.
func (r request) check(key string, words map[string]string) error {
	if r.URL == "" {
		return fmt.Errorf("%surl: missing (an address like https://router.test/weights)", key)
	}
	sample := make(map[string]string)
	for name := range words {
		sample[name] = "x"
	}
	_, err := r.fill(context.Background(), sample)
	if err != nil {
		return fmt.Errorf("%s%w", key, err)
	}
	return nil
}

// tells says whether the request holds a word of its order. A request that can do without the word does not.
func (r request) tells(word string) bool {
	without := shiftWords(guard.Order{}, 0)
	delete(without, word)
	return r.check("", without) != nil
}

// with adds headers that the request does not have itself.
func (r request) with(headers map[string]guard.Template) request {
	merged := maps.Clone(headers)
	if merged == nil {
		merged = make(map[string]guard.Template)
	}
	maps.Copy(merged, r.Headers)
	r.Headers = merged
	return r
}

// fill makes the request for certain words. In the URL and in a JSON body they are escaped, so that the name
// of a version can never change the meaning of what surrounds it.
func (r request) fill(ctx context.Context, words map[string]string) (*http.Request, error) {
	address, err := guard.FillURL(r.URL, words)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	body, err := r.fillBody(words)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("url: cannot be read") // err would quote a part of it, which may be a password
	}
	if parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, errors.New("url: must begin with http:// or https:// and a host")
	}
	filled, err := http.NewRequestWithContext(ctx, r.Method, address, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("method: %q is none (try GET, PUT or POST)", r.Method)
	}
	if body != "" {
		filled.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.Headers {
		value, err := guard.Fill(value, words)
		if err != nil {
			return nil, fmt.Errorf("headers.%s: %w", name, err)
		}
		if strings.EqualFold(name, "Host") {
			filled.Host = value
		}
		filled.Header.Set(name, value)
	}
	return filled, nil
}

// fillBody escapes words for the quotes of a JSON string, unless a header says that the body is none.
func (r request) fillBody(words map[string]string) (string, error) {
	for name, value := range r.Headers {
		if strings.EqualFold(name, "Content-Type") && !strings.Contains(string(value), "json") {
			return guard.Fill(r.Body, words)
		}
	}
	escaped := make(map[string]string, len(words))
	for name, word := range words {
		quoted, err := json.Marshal(word)
		if err != nil {
			return "", err
		}
		escaped[name] = string(quoted[1 : len(quoted)-1])
	}
	return guard.Fill(r.Body, escaped)
}

// An answer is what came back.
type answer struct {
	status int
	body   []byte
}

// as says whether the status is the expected one; 0 expects any 2xx.
func (a answer) as(expect int) bool {
	return a.status == expect || expect == 0 && a.status/100 == 2
}

func (a answer) String() string {
	body := bytes.TrimSpace(a.body)
	if len(body) > storyBytes {
		body = append(body[:storyBytes:storyBytes], "..."...)
	}
	text := fmt.Sprintf("status %d", a.status)
	if len(body) > 0 {
		text += ": " + strings.ToValidUTF8(string(body), "?")
	}
	return text
}

// errSlow is the cause of a call that was not answered in its time.
var errSlow = errors.New("no answer in time")

// A client sends requests.
type client struct {
	timeout time.Duration
	http    *http.Client
}

// transport keeps the connections of all parts: many rollouts may ask one server.
var transport = sync.OnceValue(func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 1000, 32
	return t
})

func newClient(timeout guard.Duration) *client {
	return &client{
		timeout: timeout.Std(),
		http: &http.Client{
			Transport:     transport(),
			CheckRedirect: checkRedirect,
		},
	}
}

// checkRedirect lets a question be answered elsewhere on the same host. An order is never redirected, since
// Go would turn it into a question; and credentials never travel to another host.
func checkRedirect(next *http.Request, before []*http.Request) error {
	first := before[0]
	switch {
	case first.Method != http.MethodGet:
		return http.ErrUseLastResponse
	case next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("it redirects to another place, %s://%s", next.URL.Scheme, next.URL.Host)
	case len(before) >= 5:
		return errors.New("it redirects in circles")
	}
	return nil
}

// send sends a request and reads the answer, whatever its status. Its errors do not tell the address; where
// the caller does, public leaves out what must stay secret.
func (c *client) send(r *http.Request) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), c.timeout, fmt.Errorf("%w (%v)", errSlow, c.timeout))
	defer cancel()
	a, err := c.receive(r.WithContext(ctx))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return a, withoutURL(err)
}

func (c *client) receive(r *http.Request) (answer, error) {
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyBytes+1))
	if err != nil {
		return answer{}, err
	}
	if len(body) > bodyBytes {
		return answer{}, fmt.Errorf("the answer has more than %d bytes", bodyBytes)
	}
	return answer{response.StatusCode, body}, nil
}

// public is an address as it may be told: without user, and without the values of its query.
func public(address *url.URL) string {
	told := url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path}
	if address.RawQuery != "" {
		told.RawQuery = "..."
	}
	return told.String()
}

// withoutURL takes off what net/http and net/url put around an error: the whole address.
func withoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}
