package cdevents

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const plan = `
service: checkout
environment: prod
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

// eventOf writes a CDEvent of a service, as the standard has it.
func eventOf(kind, artifact, customData string) string {
	return fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"e1","chainId":"c1","source":"/ci/shop","type":%q,"timestamp":"2026-11-30T01:02:03Z"},
		"subject":{"id":"checkout","source":"/ci","content":{"environment":{"id":"prod"},"artifactId":%q}}%s}`, kind, artifact, customData)
}

const purl = "pkg:oci/checkout@sha256%3Aab?repository_url=registry.example.org/shop"

// A transport says how an event comes in.
type transport func(id, kind, data string) (header map[string]string, body string)

func binary(id, kind, data string) (map[string]string, string) {
	return map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": id, "Ce-Source": "/ci/shop", "Ce-Type": kind, "Content-Type": "application/json",
	}, data
}

func whole(id, kind, data string) (map[string]string, string) {
	return map[string]string{"Content-Type": "application/cloudevents+json; charset=UTF-8"},
		fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/ci/shop","type":%q,"datacontenttype":"application/json","data":%s}`, id, kind, data)
}

func inBase64(id, kind, data string) (map[string]string, string) {
	return map[string]string{"Content-Type": "application/cloudevents+json"},
		fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/ci/shop","type":%q,"data_base64":%q}`, id, kind, base64.StdEncoding.EncodeToString([]byte(data)))
}

func post(t testing.TB, d guard.Desk, header map[string]string, body string) (*httptest.ResponseRecorder, []error) {
	t.Helper()
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	var reported []error
	r = r.WithContext(hook.WithReport(r.Context(), func(err error) { reported = append(reported, err) }))
	w := httptest.NewRecorder()
	NewHook(d).ServeHTTP(w, r)
	return w, reported
}

// TestWatch opens a rollout for what was deployed, in every way that an event may come in, and once.
func TestWatch(t *testing.T) {
	for name, how := range map[string]transport{"binary": binary, "structured": whole, "base64": inBase64} {
		for _, kind := range []string{deployed, upgraded, "dev.cdevents.service.upgraded.0.2.0"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				d := plugintest.NewDesk(t, plan)
				data := eventOf(kind, purl, `,"customData":{"from":"v41","password":"hunter2"},"customDataContentType":"application/json"`)
				if kind != "dev.cdevents.service.upgraded.0.2.0" {
					validate(t, []byte(data))
				}
				for range 2 {
					header, body := how("e1", kind, data)
					w, _ := post(t, d, header, body)
					if want := `{"did":"watching","rollout":"checkout-1"}`; w.Code != 202 || strings.TrimSpace(w.Body.String()) != want {
						t.Fatalf("%d %s", w.Code, w.Body)
					}
				}
				want := guard.Release{ID: "checkout-1", Service: "checkout", Environment: "prod", From: "v41", To: "sha256:ab"}
				if got := d.Rollouts(); len(got) != 1 || got[0] != want {
					t.Errorf("opened %+v, want %+v", got, want)
				}
				if _, s, err := d.Get(t.Context(), "checkout-1"); err != nil || s.Purpose != guard.ToWatch {
					t.Errorf("opened to %s, %v", s.Purpose, err)
				}
				if text := string(d.Deliveries()[0].Body); strings.Contains(text, "hunter2") || !strings.Contains(text, "sha256%3Aab") {
					t.Errorf("recorded %s", text)
				}
				header, body := how("e2", kind, data) // another event of the same deployment
				if w, _ := post(t, d, header, body); w.Code != 202 || len(d.Told("checkout-1")) != 1 || len(d.Rollouts()) != 1 {
					t.Errorf("%d %s, told %v", w.Code, w.Body, d.Told("checkout-1"))
				}
			})
		}
	}
}

func TestNoted(t *testing.T) {
	incident := func(kind, service string) string {
		return `{"context":{"specversion":"0.5.1","id":"e1","source":"/pager","type":"` + kind + `","timestamp":"2026-11-30T01:02:03Z"},
			"subject":{"id":"inc-7","content":{"environment":{"id":"prod"},` + service + `"description":"customers\ncannot pay"}}}`
	}
	for name, c := range map[string]struct{ kind, data, note, says string }{
		"rolled back":    {rolledBack, eventOf(rolledBack, "pkg:oci/checkout@v41", ""), "/ci/shop says service.rolledback", "noted"},
		"removed":        {removed, eventOf(removed, "pkg:oci/checkout@v41", ""), "/ci/shop says service.removed", "noted"},
		"an incident":    {detected, incident(detected, `"service":{"id":"checkout"},`), "/ci/shop says incident.detected: customers cannot pay", "noted"},
		"of no service":  {detected, incident(detected, ""), "", "the event names no service"},
		"of another":     {detected, incident(detected, `"service":{"id":"cart"},`), "", "no rollout of the service is under way"},
		"of a producer":  {rolledBack, eventOf(rolledBack, purl, `,"customData":{"producer":{"name":"golive"}}`), "/ci/shop says service.rolledback", "noted"},
		"a build":        {"dev.cdevents.build.finished.0.3.0", "{}", "", "golive does not use events of this type"},
		"of others":      {"com.example.service.deployed.1", "no JSON", "", "golive does not use events of this type"},
		"a short type":   {"dev.cdevents.service", "{}", "", "golive does not use events of this type"},
		"of golive":      {upgraded, eventOf(upgraded, purl, `,"customData":{"producer":"golive"}`), "", "golive sent it"},
		"a custom event": {noticed, "{}", "", "golive does not use events of this type"},
	} {
		t.Run(name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			id, err := d.Open(t.Context(), guard.Delivery{ID: "0", Source: "test", At: time.Now()}, guard.Release{Service: "checkout", From: "v41", To: "v42"}, guard.ToWatch)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				header, body := binary("e1", c.kind, c.data)
				if w, _ := post(t, d, header, body); w.Code != 202 || !strings.Contains(w.Body.String(), c.says) {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			var want []guard.Fact
			if c.note != "" {
				want = []guard.Fact{guard.Noted{Text: c.note, By: "cdevents"}}
			}
			if diff := cmp.Diff(want, d.Told(id)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if len(d.Rollouts()) != 1 {
				t.Errorf("opened %v", d.Rollouts())
			}
			d.Happen(t, id, guard.Elapsed{})
			header, body := binary("e2", c.kind, c.data)
			if w, _ := post(t, d, header, body); w.Code != 202 || strings.Contains(w.Body.String(), "noted") {
				t.Errorf("after the end: %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestOwn sends what golive says to its own hook, which may come about behind a broker: no rollout follows from that.
func TestOwn(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	s := httptest.NewServer(NewHook(d))
	defer s.Close()
	n, err := NewNotifier(guard.With{"url": s.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"live", "going back", "rolled back", "no-go"} {
		if _, err := n.Notify(t.Context(), notice(title)); err != nil {
			t.Errorf("%s: %v", title, err)
		}
	}
	if d.Asked() != 0 {
		t.Errorf("the desk was asked %d times", d.Asked())
	}
}

func TestVersion(t *testing.T) {
	for artifact, want := range map[string]string{
		"pkg:oci/checkout@sha256%3Aab":            "sha256:ab",
		"pkg:oci/checkout@sha256%3Aab?tag=v1#cmd": "sha256:ab",
		"pkg:golang/example.org/a/b@v1.2.3":       "v1.2.3",
		"pkg:npm/%40shop/checkout@1.0.0?x=@y":     "1.0.0",
		"pkg:npm/@shop/checkout":                  "pkg:npm/@shop/checkout",
		"pkg:oci/checkout":                        "pkg:oci/checkout",
		"pkg:oci/checkout@":                       "pkg:oci/checkout@",
		"pkg:oci/checkout@%zz":                    "pkg:oci/checkout@%zz",
		"registry.example.org/checkout@sha256:ab": "registry.example.org/checkout@sha256:ab",
		"v42": "v42",
		"":    "",
	} {
		if got := version(artifact); got != want {
			t.Errorf("%s: %q, want %q", artifact, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	good := eventOf(deployed, purl, "")
	send := func(how transport, data string) (header map[string]string, body string) {
		return how("e1", deployed, data)
	}
	without := func(name string) map[string]string {
		header, _ := send(binary, good)
		delete(header, name)
		return header
	}
	bin, _ := send(binary, good)
	structuredHeader, _ := send(whole, good)
	for name, c := range map[string]struct {
		header map[string]string
		body   string
		status int
		says   string
	}{
		"no event":       {nil, good, 400, "the attribute specversion is missing"},
		"no id":          {without("Ce-Id"), good, 400, "the attribute id is missing"},
		"no source":      {without("Ce-Source"), good, 400, "the attribute source is missing"},
		"no type":        {without("Ce-Type"), good, 400, "the attribute type is missing"},
		"version 2":      {map[string]string{"Ce-Specversion": "2.0", "Ce-Id": "a", "Ce-Source": "b", "Ce-Type": deployed}, good, 400, "specversion is"},
		"a batch":        {map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "[]", 415, "one event at a time"},
		"no JSON":        {structuredHeader, "x", 400, "no JSON"},
		"no data":        {structuredHeader, fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"s","type":%q}`, deployed), 400, "no JSON"},
		"two types":      {bin, eventOf(upgraded, purl, ""), 400, "the type of the CloudEvent"},
		"no service":     {bin, strings.Replace(good, `"checkout"`, `""`, 1), 400, "the id of the service is missing"},
		"no environment": {bin, strings.Replace(good, `{"id":"prod"}`, `null`, 1), 400, "subject.content.environment.id is missing"},
		"no artifact":    {bin, eventOf(deployed, "", ""), 400, "to (the new version) is missing"},
		"wrong type":     {bin, strings.Replace(good, `{"id":"prod"}`, `"prod"`, 1), 400, "is of the JSON type string"},
		"wrong from":     {bin, eventOf(deployed, purl, `,"customData":{"from":41}`), 400, "is of the JSON type number"},
		"the same":       {bin, eventOf(deployed, purl, `,"customData":{"from":"sha256:ab"}`), 400, "would take the place of itself"},
		"no plan":        {bin, strings.Replace(good, "prod", "test", 1), 404, "no plan is for this"},
		"too long":       {bin, good + strings.Repeat(" ", hook.BodyBytes), 413, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			w, reported := post(t, d, c.header, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || len(w.Body.String()) > 300 || len(d.Rollouts()) != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if (len(reported) == 1) != (c.status == 404) { // that nobody watches
				t.Errorf("reported %v", reported)
			}
		})
	}
	w := httptest.NewRecorder()
	NewHook(plugintest.NewDesk(t)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestInTheWay(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	header, body := binary("e1", deployed, eventOf(deployed, purl, ""))
	post(t, d, header, body)
	d.Watch(t, "checkout-1", 10, judge.Continue)
	header, body = binary("e2", upgraded, eventOf(upgraded, "pkg:oci/checkout@v43", ""))
	if w, reported := post(t, d, header, body); w.Code != 202 || !strings.Contains(w.Body.String(), `"rollout":"checkout-2"`) || len(reported) != 0 {
		t.Errorf("the next version: %d %s, reported %v", w.Code, w.Body, reported)
	}
	header, body = binary("e4", upgraded, eventOf(upgraded, "pkg:oci/checkout@v44", ""))
	if w, reported := post(t, d, header, body); w.Code != 409 || !strings.Contains(w.Body.String(), `"rollout":"checkout-2"`) || len(reported) != 1 {
		t.Errorf("before that is watched: %d %s, reported %v", w.Code, w.Body, reported)
	}
	d.Away(errors.New("the disk is full"))
	for _, kind := range []string{upgraded, rolledBack} {
		header, body = binary("e3", kind, eventOf(kind, purl, ""))
		w, reported := post(t, d, header, body)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || len(reported) != 1 || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s: %d %s, reported %v", kind, w.Code, w.Body, reported)
		}
	}
}

func FuzzHook(f *testing.F) {
	_, body := whole("e1", deployed, eventOf(deployed, purl, ""))
	f.Add(deployed, "application/json", []byte(eventOf(deployed, purl, `,"customData":{"from":"v1"}`)))
	f.Add(rolledBack, "", []byte(eventOf(rolledBack, purl, `,"customData":"aGVsbG8="`)))
	f.Add("", structured, []byte(body))
	f.Fuzz(func(t *testing.T, kind, contentType string, body []byte) {
		d := plugintest.NewDesk(t, plan)
		r := httptest.NewRequest("POST", "/", nil)
		r.Body = io.NopCloser(bytes.NewReader(body))
		header, _ := binary("e1", kind, "")
		header["Content-Type"] = contentType
		for name, value := range header {
			r.Header[name] = []string{value}
		}
		w := httptest.NewRecorder()
		NewHook(d).ServeHTTP(w, r)
		var answer heard
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Errorf("no JSON: %s", w.Body)
		}
		did := answer.Did == watching || answer.Did == "noted"
		if did != (len(d.Deliveries()) > 0) || did && w.Code != 202 || w.Code == 202 && answer.Did == "" {
			t.Errorf("%d %s, durable %d", w.Code, w.Body, len(d.Deliveries()))
		}
		if w.Code == 202 && len(body) > hook.BodyBytes {
			t.Errorf("heard %d bytes", len(body))
		}
	})
}
