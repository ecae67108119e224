package http

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: `v2 "/?&x=`}

var order = guard.Order{Release: release, Fence: 3, Seq: 4, Key: "r7/4"}

// router writes down what it is asked, and gives one answer.
type router struct {
	*httptest.Server
	status int
	answer string
	asked  []string
}

func newRouter(t *testing.T, status int, answer string) *router {
	t.Helper()
	r := &router{status: status, answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.asked = append(r.asked, fmt.Sprintf("%s %s|%s|%s|%s", req.Method, req.RequestURI, req.Header.Get("Content-Type"), req.Header.Get("X-Token"), body))
		w.WriteHeader(r.status)
		io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestBackendAsks(t *testing.T) {
	r := newRouter(t, 200, `{"percent":10,"undo":{"open":true,"detail":"v1 answers"}}`)
	b, err := NewBackend(guard.With{
		"inspect": map[string]any{"url": r.URL + "/versions/{{.To}}?from={{.From}}"},
		"shift": map[string]any{"method": "PUT", "url": r.URL + "/versions/{{.To}}/percent",
			"body": `{"to": "{{.To}}", "percent": {{.Percent}}, "order": [{{.Fence}}, {{.Seq}}, "{{.Key}}"]}`},
		"finish": map[string]any{"url": r.URL + "/finish", "body": "{{.To}}",
			"headers": map[string]any{"Content-Type": "text/plain", "X-Token": "{{.Service}}"}},
		"headers": map[string]any{"X-Token": "common"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Inspect(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(guard.Standing{Percent: 10, Undo: guard.Undo{Open: true, Detail: "v1 answers"}}, got); diff != "" {
		t.Errorf("Inspect (-want +got):\n%s", diff)
	}
	if err := b.Shift(t.Context(), order, 25); err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`GET /versions/v2%20%22%2F%3F%26x%3D?from=v1||common|`,
		`PUT /versions/v2%20%22%2F%3F%26x%3D/percent|application/json|common|{"to": "v2 \"/?\u0026x=", "percent": 25, "order": [3, 4, "r7/4"]}`,
		`POST /finish|text/plain|shop|v2 "/?&x=`,
	}
	if diff := cmp.Diff(want, r.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestInspectBelievesNoNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		err    string
	}{
		"percent too high": {200, `{"percent":400}`, "a share of 400% cannot be"},
		"no percent":       {200, `{"undo":{"open":true}}`, "has no percent"},
		"a page":           {200, `<html>`, "is not a standing"},
		"empty":            {204, ``, "is not a standing"},
		"unauthorized":     {401, `{"percent":10}`, `it answers status 401: {"percent":10}`},
		"a redirect":       {301, `{"percent":10}`, "it answers status 301"},
		"too long":         {200, `{"percent":10}` + strings.Repeat(" ", bodyBytes), "the answer has more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, c.status, c.answer)
			b, err := NewBackend(guard.With{"inspect": map[string]any{"url": r.URL}, "shift": map[string]any{"url": r.URL}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Inspect(t.Context(), release)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Inspect = %v, error %v, want an error with %q", got, err, c.err)
			}
		})
	}
}

func TestExpectedStatus(t *testing.T) {
	r := newRouter(t, 202, "")
	for expect, ok := range map[int]bool{0: true, 202: true, 200: false, 204: false} {
		b, err := NewBackend(guard.With{
			"inspect": map[string]any{"url": r.URL},
			"shift":   map[string]any{"url": r.URL, "expect": expect},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Shift(t.Context(), order, 10); (err == nil) != ok {
			t.Errorf("expect %d, status 202: error %v", expect, err)
		}
	}
}

// TestRedirects holds the client to its rule: a question may be answered elsewhere on the host, an order never.
func TestRedirects(t *testing.T) {
	elsewhere := newRouter(t, 200, `{"percent":10}`)
	mux := http.NewServeMux()
	mux.HandleFunc("/near", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/here", http.StatusFound) })
	mux.HandleFunc("/far", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"percent":20}`) })
	s := httptest.NewServer(mux)
	defer s.Close()
	for path, want := range map[string]struct{ inspect, shift string }{
		"/here":  {"", ""},
		"/near":  {"", "it answers status 302"},
		"/far":   {"it redirects to another place, " + elsewhere.URL, "it answers status 302"},
		"/round": {"it redirects in circles", "it answers status 302"},
	} {
		b, err := NewBackend(guard.With{
			"inspect": map[string]any{"url": s.URL + path, "headers": map[string]any{"X-Token": "s3cret"}},
			"shift":   map[string]any{"url": s.URL + path, "body": "{}"},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Inspect(t.Context(), release)
		if !says(err, want.inspect) {
			t.Errorf("inspect %s: error %v, want %q", path, err, want.inspect)
		}
		if err := b.Shift(t.Context(), order, 10); !says(err, want.shift) {
			t.Errorf("shift %s: error %v, want %q", path, err, want.shift)
		}
	}
	if len(elsewhere.asked) > 0 {
		t.Errorf("the other host was asked: %q", elsewhere.asked)
	}
}

// says holds an error to what it should say; "" is no error.
func says(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), want)
}

// closedPort is an address that nobody listens at.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestNoSecretsInErrors breaks calls in many ways, with a secret in every place of the address and the headers.
func TestNoSecretsInErrors(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hang.Close()
	denied := newRouter(t, 403, "denied")
	redirecting := httptest.NewServer(http.RedirectHandler("http://other.test/x?token=hunter2", http.StatusFound))
	defer redirecting.Close()
	for name, host := range map[string]string{
		"refused":    closedPort(t),
		"hanging":    hang.Listener.Addr().String(),
		"denied":     denied.Listener.Addr().String(),
		"redirected": redirecting.Listener.Addr().String(),
		"not a host": "[::1",
		"not a port": "127.0.0.1:hunter2",
	} {
		address := "http://hunter2:hunter2@" + host + "/path/?token=hunter2&hunter2"
		call := map[string]any{"url": address, "headers": map[string]any{"Authorization": "hunter2"}}
		var errs []error
		b, err := NewBackend(guard.With{"inspect": call, "shift": call, "timeout": "50ms"})
		errs = append(errs, err)
		if err == nil {
			_, err := b.Inspect(t.Context(), release)
			errs = append(errs, err, b.Shift(t.Context(), order, 1))
		}
		n, err := NewNotifier(guard.With{"url": "http://" + host + "/hunter2", "timeout": "50ms"})
		errs = append(errs, err)
		if err == nil && host != redirecting.Listener.Addr().String() {
			_, err := n.Notify(t.Context(), guard.Notice{})
			if err == nil {
				t.Errorf("%s: Notify does not fail", name)
			}
			errs = append(errs, err)
		}
		p, err := NewProbe(guard.With{"url": address, "timeout": "50ms"})
		errs = append(errs, err)
		if err == nil {
			f, err := p.Probe(t.Context(), release)
			text, _ := json.Marshal(f)
			errs = append(errs, err, errors.New(string(text)))
		}
		if errors.Join(errs...) == nil {
			t.Errorf("%s: nothing fails", name)
		}
		for _, err := range errs {
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		with   guard.With
		want   guard.Verdict
		reason string
	}{
		"answers":            {200, "ok", guard.With{}, guard.Pass, ""},
		"answers 503":        {503, "overloaded", guard.With{}, guard.Fail, "it answers status 503: overloaded"},
		"other 2xx":          {204, "", guard.With{}, guard.Pass, ""},
		"wanted status":      {404, "", guard.With{"status": 404}, guard.Pass, ""},
		"not wanted status":  {200, "", guard.With{"status": 404}, guard.Fail, "it answers status 200"},
		"contains":           {200, "it is v1!", guard.With{"contains": "is {{.From}}"}, guard.Pass, ""},
		"contains not":       {200, "it is v2", guard.With{"contains": "is {{.From}}"}, guard.Fail, `its answer does not contain "is v1"`},
		"contains, but fail": {500, "it is v1", guard.With{"contains": "v1"}, guard.Fail, "it answers status 500: it is v1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, c.status, c.answer)
			c.with["url"] = r.URL + "/{{.From}}"
			p, err := NewProbe(c.with)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Probe(t.Context(), release)
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != c.want || got.Reason != c.reason || got.Subject != r.URL+"/v1" {
				t.Errorf("Probe = %s: %v because %q, want %v because %q", got.Subject, got.Verdict, got.Reason, c.want, c.reason)
			}
		})
	}
}

// TestProbeWithoutAnswer tells apart what was found out from what could not be.
func TestProbeWithoutAnswer(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		url     string
		timeout string
		want    guard.Verdict // Unknown: an error
	}{
		"refused":        {t.Context(), "http://" + closedPort(t), "10s", guard.Fail},
		"silent":         {t.Context(), hang.URL, "200ms", guard.Fail},
		"not trusted":    {t.Context(), tls.URL, "10s", guard.Unknown},
		"no such host":   {t.Context(), "http://no-such-host.invalid", "10s", guard.Unknown},
		"not asked, end": {over, hang.URL, "10s", guard.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewProbe(guard.With{"url": c.url, "timeout": c.timeout})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Probe(c.ctx, release)
			if got.Verdict != c.want || (err != nil) != (c.want == guard.Unknown) {
				t.Errorf("Probe = %v because %q, error %v, want %v", got.Verdict, got.Reason, err, c.want)
			}
		})
	}
	p, err := NewProbe(guard.With{"url": hang.URL, "contains": "{{.From}}"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Probe(t.Context(), guard.Release{To: "v1"}); err == nil {
		t.Errorf("Probe for an empty text = %v", got)
	}
}

func TestNotify(t *testing.T) {
	var got guard.Notice
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer x" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	n, err := NewNotifier(guard.With{"url": s.URL + "/hook", "headers": map[string]any{"Authorization": "Bearer x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := guard.Notice{Key: "r7/9", Release: release, Title: "{{.Nonsense}}", Text: "<&>", At: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	receipt, err := n.Notify(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notice (-sent +received):\n%s", diff)
	}
	if receipt.Detail != s.Listener.Addr().String()+" answers status 200" {
		t.Errorf("receipt %q", receipt.Detail)
	}
}

// TestNotifyOfIncident tells everything but how people are reached, unless the plan says so.
func TestNotifyOfIncident(t *testing.T) {
	var got guard.Notice
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = guard.Notice{}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	sent := guard.Notice{
		Key: "r7/9", Release: release, Title: "t", News: guard.NewsOpened, About: "errors", Audience: "team", Roles: []string{"commander"}, Level: 1,
		Ends: true, Reply: "https://golive.test/ack", To: []guard.Recipient{{Name: "Ada", Role: "commander", Reach: []guard.Reach{{"phone": "+34 1"}}}},
	}
	for _, people := range []bool{false, true} {
		n, err := NewNotifier(guard.With{"url": s.URL, "people": people})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Notify(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		want := sent
		if !people {
			want.To = []guard.Recipient{{Name: "Ada", Role: "commander"}}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("people: %v (-want +got):\n%s", people, diff)
		}
	}
	if sent.To[0].Reach == nil {
		t.Error("the notice of the caller has lost its addresses")
	}
}

// TestCompressedBomb holds the limit to what the body unpacks to.
func TestCompressedBomb(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 64 {
			z.Write(zeros)
		}
		z.Close()
	}))
	defer s.Close()
	p, err := NewProbe(guard.With{"url": s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Probe(t.Context(), release); !says(err, "the answer has more than 1048576 bytes") {
		t.Errorf("Probe = %v, error %v", got.Verdict, err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		make func(guard.With) error
		with guard.With
		err  string
	}{
		"backend, nothing": {backend, nil,
			"inspect.url: missing (an address like https://router.test/weights)\nshift.url: missing (an address like https://router.test/weights)"},
		"backend, slips": {backend, guard.With{
			"inspect": map[string]any{"url": "http://x/{{.Too}}", "methd": "GET"},
			"shift":   map[string]any{"url": "http://x", "body": "{{.Percnt}}", "headers": map[string]any{}},
		}, "inspect.methd: there is no such key (did you mean method?)\ninspect.url: {{.Too}} means nothing here (did you mean To?)\nshift.body: {{.Percnt}} means nothing here (did you mean Percent?)"},
		"inspect has no percent": {backend, guard.With{
			"inspect": map[string]any{"url": "http://x/{{.Percent}}"}, "shift": map[string]any{"url": "http://x"},
		}, "inspect.url: {{.Percent}} means nothing here (there are: Environment, From, ID, Service, To)"},
		"bad method": {backend, guard.With{
			"inspect": map[string]any{"url": "http://x"}, "shift": map[string]any{"url": "http://x", "method": "P T"},
		}, `shift.method: "P T" is none (try GET, PUT or POST)`},
		"probe, no host":     {probe, guard.With{"url": "x.test/health"}, "url: must begin with http:// or https:// and a host"},
		"probe, no http":     {probe, guard.With{"url": "ftp://x.test"}, "url: must begin with http:// or https:// and a host"},
		"probe, contains":    {probe, guard.With{"url": "http://x", "contains": "{{From}}"}, "contains: {{From}} means nothing here (did you mean From?)"},
		"probe, never":       {probe, guard.With{"url": "http://x", "timeout": "0s"}, "timeout: must be longer than nothing"},
		"notifier, nothing":  {notifier, nil, "url: missing (an address like https://router.test/weights)"},
		"notifier, two urls": {notifier, guard.With{"url": []any{"a"}}, "url: [\"a\"] is not text (put it in quotes)\nurl: missing (an address like https://router.test/weights)"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.make(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}

func backend(with guard.With) error  { _, err := NewBackend(with); return err }
func probe(with guard.With) error    { _, err := NewProbe(with); return err }
func notifier(with guard.With) error { _, err := NewNotifier(with); return err }
