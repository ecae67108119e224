package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// servers are golive serve, as one call of the command line speaks to it: one server, or several that share a store, of
// which any will do.
type servers struct {
	addresses []string  // with no slash at the end
	token     string    // empty: there is none, and the identity is sent
	identity  *identity // of the job; nil: it has none, or a token
	web       *http.Client
	hide      func(string) string // takes secrets out of what a server says; nil: there are none
	tell      func(string)        // says that nobody answers, and that the call goes on trying
	at        int                 // the place of the one that is asked next
}

// servers reads --server, and the token from the environment: a flag would show it to whoever lists processes. A job of
// GitHub Actions needs none, if it may prove who it is.
func (p *program) servers() (*servers, error) {
	s := &servers{
		web:  &http.Client{Transport: transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		tell: func(text string) { fmt.Fprintf(p.err, "golive: %s\n", text) },
		hide: p.secrets.hide,
	}
	s.token, _ = p.secrets.from(p.env)("GOLIVE_TOKEN")
	s.token = strings.TrimSpace(s.token)
	if s.token == "" {
		var err error
		if s.identity, err = p.identity(s.web); err != nil {
			return nil, err
		}
	}
	for text := range strings.SplitSeq(p.settings.Server, ",") {
		address, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil, address.Host == "", address.Scheme != "http" && address.Scheme != "https", address.RawQuery != "":
			return nil, fail(exitUsage, "--server: each address is like https://golive.example.com, with commas between several")
		case address.User != nil:
			return nil, fail(exitUsage, "--server: put the token into GOLIVE_TOKEN, and not into the address, which is told in many places")
		case address.Scheme == "http" && (s.token != "" || s.identity != nil) && !local(address.Hostname()):
			fmt.Fprintf(p.err, "golive: %s is not spoken to with TLS: whoever is on the way there reads the token\n", address.Host)
		}
		s.addresses = append(s.addresses, strings.TrimRight(address.String(), "/"))
	}
	return s, nil
}

// local says that a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// How long a server may take.
const (
	answersIn  = 15 * time.Second // a whole answer, or the beginning of one that is followed
	connectsIn = 5 * time.Second
)

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	t.DialContext = (&net.Dialer{Timeout: connectsIn}).DialContext
	t.ResponseHeaderTimeout = answersIn
	return t
}

// An errand is something that a server is asked. One with a key may be repeated: the server knows it by that.
type errand struct {
	method, path string
	key          string
	body         any // nil: none
}

// A refusal is what a server has said instead of the answer.
type refusal struct {
	address string
	status  int
	text    string
	rollout string // that is in the way
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %s", r.address, r.text)
}

// passing says that another server, or the same one a little later, may answer.
func (r *refusal) passing() bool {
	switch r.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// largestAnswer is the most that is read of an answer that is no journal, in bytes.
const largestAnswer = 64 << 20

// request makes the request of an errand to the server whose turn it is.
func (s *servers) request(ctx context.Context, c errand) (*http.Request, error) {
	var body io.Reader
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, s.addresses[s.at]+c.path, body)
	if err != nil {
		return nil, err
	}
	token := s.token
	if s.identity != nil {
		if token, err = s.identity.get(ctx); err != nil {
			return nil, err
		}
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if c.key != "" {
		r.Header.Set("Idempotency-Key", c.key)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// once asks the server whose turn it is. The error is a refusal if it has answered. The caller closes the answer.
func (s *servers) once(r *http.Request) (io.ReadCloser, error) {
	address := s.addresses[s.at]
	response, err := s.web.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the address stands before it already
		}
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if response.StatusCode/100 == 2 {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	var said struct {
		Error   string `json:"error"`
		Rollout string `json:"rollout"`
	}
	no := &refusal{address: address, status: response.StatusCode}
	if json.Unmarshal(text, &said) == nil && said.Error != "" {
		no.text, no.rollout = s.line(said.Error, 1000), s.line(said.Rollout, 200)
	} else {
		no.text = fmt.Sprintf("it answers %s, and not as golive serve does (is this its address?)", response.Status)
		if to := response.Header.Get("Location"); to != "" && response.StatusCode/100 == 3 {
			no.text += "; it points to " + s.line(to, 200)
		}
	}
	return nil, no
}

// line is what a server says, as it is told.
func (s *servers) line(text string, most int) string {
	if s.hide != nil {
		text = s.hide(text)
	}
	return guard.Line(text, most)
}

// ask asks until a server answers, each in turn, for as long as patience lasts. Only an errand that may be repeated is to be
// asked so: one that reads, or has a key.
func (s *servers) ask(ctx context.Context, patience time.Duration, c errand, into any) error {
	return s.insist(ctx, patience, func(ctx context.Context) error { return s.try(ctx, answersIn, c, into) })
}

// try asks the server whose turn it is, once.
func (s *servers) try(ctx context.Context, within time.Duration, c errand, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("no answer within %s", within))
	defer cancel()
	r, err := s.request(ctx, c)
	if err != nil {
		return err
	}
	body, err := s.once(r)
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, largestAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s.addresses[s.at], err)
	case len(text) > largestAnswer:
		return &refusal{address: s.addresses[s.at], text: fmt.Sprintf("its answer has more than %d bytes", largestAnswer)}
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &refusal{address: s.addresses[s.at], text: "its answer cannot be read (is this the address of golive serve?): " + guard.Line(err.Error(), 200)}
	}
	return nil
}

// silentFor is how long a server that is listened to may say nothing. It says every 15 seconds that it is there.
const silentFor = 45 * time.Second

// events listens to the server whose turn it is, and hands on each event with a number above after, until an error comes or
// the connection ends. An error of hear ends it; errEnough is none.
func (s *servers) events(ctx context.Context, path string, after int64, hear func(kind string, data []byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(silentFor, func() { cancel(fmt.Errorf("%s was silent for %s", s.addresses[s.at], silentFor)) })
	defer silent.Stop()
	r, err := s.request(ctx, errand{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Last-Event-ID", strconv.FormatInt(after, 10))
	body, err := s.once(r)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 2*journal.MaxRecord)
	var kind string
	var data []byte // of an event that is not whole before an empty line
	for lines.Scan() {
		silent.Reset(silentFor)
		line := lines.Bytes()
		if name, found := bytes.CutPrefix(line, []byte("event: ")); found {
			kind = string(name)
		}
		if text, found := bytes.CutPrefix(line, []byte("data: ")); found {
			data = bytes.Clone(text)
		}
		if len(line) > 0 || data == nil {
			continue
		}
		err := hear(kind, data)
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		kind, data = "", nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", s.addresses[s.at], err)
	}
	return fmt.Errorf("%s has ended the connection", s.addresses[s.at])
}

// errEnough ends listening.
var errEnough = errors.New("nothing more is to be heard")

// How long to wait before all servers are asked again.
const (
	againAtFirst = 200 * time.Millisecond
	againAtMost  = 5 * time.Second
)

// insist does something with one server after the other until it is done, or a server has refused it for good.
func (s *servers) insist(ctx context.Context, patience time.Duration, do func(context.Context) error) error {
	until := time.Now().Add(patience)
	pause := againAtFirst
	for tries := 1; ; tries++ {
		err := do(ctx)
		var no *refusal
		var known *exit
		switch {
		case err == nil:
			return nil
		case errors.As(err, &known):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &no) && !no.passing():
			return err
		case time.Now().Add(pause).After(until):
			return err
		}
		if tries == len(s.addresses) {
			s.tell(fmt.Sprintf("no answer, trying again for %s: %v", spell(time.Until(until)), err))
		}
		s.next()
		if tries%len(s.addresses) > 0 {
			continue
		}
		if !waited(ctx, pause/2+rand.N(pause/2)) { // by chance, so that many do not come at once
			return context.Cause(ctx)
		}
		pause = min(2*pause, againAtMost)
	}
}

// next lets the next server have its turn.
func (s *servers) next() { s.at = (s.at + 1) % len(s.addresses) }

// waited waits, and says whether ctx goes on.
func waited(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// How long a call insists: reading is soon asked again by hand; what is to happen survives the restart of a server.
const (
	patienceToRead = 3 * time.Second
	patienceToAct  = 45 * time.Second
)

// mend says of an error from a server what to do about it.
func (s *servers) mend(err error) error {
	var known *exit
	var no *refusal
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case !errors.As(err, &no):
		return fail(exitUnknown, "no server answers: %w\nIs golive serve running there? --server (or GOLIVE_SERVER) says where", err)
	case no.status == http.StatusUnauthorized && s.identity != nil:
		return fail(exitUsage, "%w\nThe server does not take the identity token of this job: its file of --oidc names https://token.actions.githubusercontent.com with the audience %s (golive serve --help), which GOLIVE_AUDIENCE says to this call", err, guard.Line(s.identity.audience, 200))
	case no.status == http.StatusForbidden && s.identity != nil:
		return fail(exitUsage, "%w\nIn the file of --oidc of the server, write a grant that fits this job: its repository, ref, environment or job_workflow_ref, and the service (golive serve --help)", err)
	case no.status == http.StatusUnauthorized && s.token == "":
		return fail(exitUsage, "%w\nSet GOLIVE_TOKEN to a token that the server knows: golive serve token NAME RIGHT,RIGHT makes one", err)
	case no.status == http.StatusUnauthorized:
		return fail(exitUsage, "%w\nThe server does not know the token in GOLIVE_TOKEN: golive serve token NAME RIGHT,RIGHT makes one", err)
	case no.status == http.StatusForbidden:
		return fail(exitUsage, "%w\nUse the token of a caller who may: golive serve token NAME RIGHT,RIGHT makes one", err)
	case no.status == http.StatusConflict:
		return fail(exitNoGo, "%w", err)
	case no.status/100 == 4:
		return fail(exitUsage, "%w", err)
	case no.passing():
		return fail(exitUnknown, "%w", err)
	}
	return fail(exitInternal, "%w", err)
}
