package cdevents

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cdevents/sdk-go/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:      "cdevents",
	Notifiers: map[string]func(guard.With) (guard.Notifier, error){"cdevents": NewNotifier},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

// A broker takes events, and holds each to the published schema of its type.
type broker struct {
	t      *testing.T
	mu     sync.Mutex
	events []event
	auth   string
	refuse string // a type that it does not take
}

func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.auth = r.Header.Get("Authorization")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Error(err)
	}
	var cloud struct {
		SpecVersion, ID, Source, Type, Subject string
		Data                                   json.RawMessage
	}
	if err := json.Unmarshal(body, &cloud); err != nil {
		b.t.Errorf("%v in %s", err, body)
	}
	if got := r.Header.Get("Content-Type"); got != structured || cloud.SpecVersion != "1.0" {
		b.t.Errorf("no structured CloudEvent: %s, %s", got, body)
	}
	validate(b.t, cloud.Data)
	var e event
	if err := json.Unmarshal(cloud.Data, &e); err != nil {
		b.t.Error(err)
	}
	if cloud.ID != e.Context.ID || cloud.Source != e.Context.Source || cloud.Type != e.Context.Type || cloud.Subject != e.Subject.ID {
		b.t.Errorf("the envelope says something else: %s", body)
	}
	if e.Context.Type == b.refuse {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	b.events = append(b.events, e)
	w.WriteHeader(http.StatusAccepted)
}

// validate holds an event to the schema that the CDEvents project publishes in its SDK.
func validate(t *testing.T, data []byte) {
	t.Helper()
	var typed struct {
		Context struct{ Type string }
	}
	if err := json.Unmarshal(data, &typed); err != nil {
		t.Fatal(err)
	}
	kind, err := api.ParseType(typed.Context.Type)
	if err != nil {
		t.Errorf("type %q: %v", typed.Context.Type, err)
		return
	}
	_, schema, err := api.CompiledSchemas.GetBySpecSubjectPredicate("0.5.0", kind.Subject, kind.Predicate, kind.Custom)
	if err != nil {
		t.Errorf("type %q: %v", typed.Context.Type, err)
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%v in %s", err, data)
	}
}

func serve(t *testing.T) (*broker, string) {
	b := &broker{t: t}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	return b, s.URL
}

func TestNotifier(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		b, address := serve(t)
		n := plugintest.Make(t, kit.Notifiers["cdevents"], guard.With{"url": address})
		plugintest.Notifier(t, n, func() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.events) })
	})
}

func notice(title string) guard.Notice {
	return guard.Notice{
		Key: "r7/3", Release: guard.Release{ID: "r7", Service: "checkout", Environment: "prod", From: "v1", To: "sha256:ab"},
		Title: title, Text: "errors rose", At: time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC),
	}
}

// TestEvents holds every notice that guard writes to an event of the standard.
func TestEvents(t *testing.T) {
	first := func(n guard.Notice) guard.Notice { n.Release.From = ""; return n }
	of := func(news guard.News, audience string, outcome guard.Outcome) guard.Notice {
		n := notice("live") // whatever its title says
		n.News, n.Audience, n.Level, n.Outcome = news, audience, 1, outcome
		return n
	}
	bare := notice("live")
	bare.Release = guard.Release{To: "v2"}
	named := notice("live")
	named.Release.To = "pkg:oci/checkout@sha256%3Aab"
	for name, c := range map[string]struct {
		notice guard.Notice
		want   []string // type, id, subject, artifact
	}{
		"live":            {notice("live"), []string{upgraded + " r7/3 checkout pkg:oci/checkout@sha256%3Aab"}},
		"first":           {first(notice("live")), []string{deployed + " r7/3 checkout pkg:oci/checkout@sha256%3Aab"}},
		"going back":      {notice("going back"), []string{detected + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"would":           {notice("would roll back"), []string{detected + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"rolled back":     {notice("rolled back"), []string{rolledBack + " r7/3 checkout pkg:oci/checkout@v1", resolved + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"first is back":   {first(notice("rolled back")), []string{removed + " r7/3 checkout ", resolved + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"not back":        {notice("rollback failed"), []string{detected + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"opened":          {of(guard.NewsOpened, "team", ""), []string{detected + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"update":          {of(guard.NewsUpdate, "team", ""), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"well again":      {of(guard.NewsRecovered, "team", guard.RolledBack), []string{rolledBack + " r7/3 checkout pkg:oci/checkout@v1"}},
		"first, and well": {first(of(guard.NewsRecovered, "team", guard.RolledBack)), []string{removed + " r7/3 checkout "}},
		"failed over":     {of(guard.NewsRecovered, "team", guard.Recovered), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"stood down":      {of(guard.NewsStoodDown, "team", guard.RolledBack), []string{resolved + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"others hear it":  {of(guard.NewsRecovered, "customer", guard.RolledBack), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"others hear end": {of(guard.NewsStoodDown, "management", guard.RolledBack), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"no way back":     {notice("forward only"), []string{detected + " r7/3/incident r7 pkg:oci/checkout@sha256%3Aab"}},
		"no-go":           {notice("no-go"), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"unfinished":      {notice("unfinished"), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"a person":        {notice("a person has to decide"), []string{noticed + " r7/3 r7 pkg:oci/checkout@sha256%3Aab"}},
		"nameless":        {bare, []string{deployed + " r7/3 unknown pkg:oci/checkout@v2"}},
		"a URL by itself": {named, []string{upgraded + " r7/3 checkout pkg:oci/checkout@sha256%3Aab"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, address := serve(t)
			n, err := NewNotifier(guard.With{"url": address, "token": "hunter2", "artifact": "pkg:oci/checkout@{{.To}}"})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // a repeat says the same again
				receipt, err := n.Notify(t.Context(), c.notice)
				if err != nil || strings.Contains(receipt.Detail, "hunter2") {
					t.Fatalf("receipt %+v, error %v", receipt, err)
				}
			}
			var got []string
			for _, e := range b.events {
				artifact, _ := e.Subject.Content["artifactId"].(string)
				got = append(got, e.Context.Type+" "+e.Context.ID+" "+e.Subject.ID+" "+artifact)
				if e.Context.SpecVersion != "0.5.1" || e.Context.Source != "/golive" || e.Context.ChainID != c.notice.Release.ID || !e.Context.Timestamp.Equal(c.notice.At) {
					t.Errorf("context %+v", e.Context)
				}
				if e.CustomData["rollout"] != c.notice.Release.ID || e.CustomData["text"] != "errors rose" {
					t.Errorf("custom data %v", e.CustomData)
				}
			}
			if diff := cmp.Diff(append(c.want, c.want...), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if b.auth != "Bearer hunter2" {
				t.Errorf("Authorization: %q", b.auth)
			}
		})
	}
}

// TestPartly tells an error when only one of two events was taken, so that both are sent again.
func TestPartly(t *testing.T) {
	b, address := serve(t)
	b.refuse = resolved
	n, err := NewNotifier(guard.With{"url": address + "/secret-path"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Notify(t.Context(), notice("rolled back"))
	host, _ := url.Parse(address)
	if want := "post " + resolved + " to " + host.Host + ": it answers status 503: not now"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	b.refuse = ""
	if _, err := n.Notify(t.Context(), notice("rolled back")); err != nil || len(b.events) != 3 {
		t.Errorf("%d events, error %v", len(b.events), err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":    {nil, "url: missing (where events are taken, like https://broker.example.org/default)"},
		"no host":    {guard.With{"url": "broker"}, "url: must begin with http:// or https:// and a host"},
		"no source":  {guard.With{"url": "http://a", "source": ""}, "source: must be a URI reference (like /golive)"},
		"artifact":   {guard.With{"url": "http://a", "artifact": "shop"}, "artifact: must be a package URL (like pkg:oci/shop@{{.To}})"},
		"slip":       {guard.With{"url": "http://a", "artifact": "pkg:{{.Two}}"}, "artifact: {{.Two}} means nothing here (did you mean To?)"},
		"two logins": {guard.With{"url": "http://a", "token": "t", "bearer_token": "u"}, "token: there is another way to log in too (keep one of them)"},
		"never":      {guard.With{"url": "http://a", "timeout": "0s"}, "timeout: must be longer than nothing"},
		"key":        {guard.With{"url": "http://a", "sorce": "/x"}, "sorce: there is no such key (did you mean source?)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewNotifier(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}
