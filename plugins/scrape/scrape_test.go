package scrape

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:    "scrape",
	Sources: map[string]func(guard.With) (guard.Source, error){"scrape": NewSource},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var (
	release   = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}
	errorRate = guard.Signal{Name: "errors", Total: `http_requests_total{version="$version"}`, Bad: `http_requests_total{version="$version",code=~"5.."}`}
	latency   = guard.Signal{Name: "latency", Histogram: "http_request_duration_seconds"}
	queue     = guard.Signal{Name: "queue", Value: "queue_depth"}
)

// A shop exposes real metrics through the real client library.
type shop struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	queue    *prometheus.GaugeVec
	handler  http.Handler
}

func newShop(version string, openMetrics bool) *shop {
	registry := prometheus.NewRegistry()
	s := &shop{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"version", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Buckets: []float64{0.01, 0.1, 1}}, []string{"handler"}),
		queue:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "queue_depth"}, []string{"queue"}),
	}
	registry.MustRegister(s.requests, s.duration, s.queue)
	s.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: openMetrics})
	for code, n := range map[string]float64{"200": 90, "404": 5, "500": 3, "503": 2} {
		s.requests.WithLabelValues(version, code).Add(n)
	}
	for _, seconds := range []float64{0.005, 0.05, 0.5, 5} {
		s.duration.WithLabelValues("/").(prometheus.ExemplarObserver).ObserveWithExemplar(seconds, prometheus.Labels{"trace": `}" # {`})
		s.duration.WithLabelValues("/cart").Observe(seconds)
	}
	s.queue.WithLabelValues("a").Set(7)
	s.queue.WithLabelValues("b").Set(5)
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// openMetricsOnly asks a handler for OpenMetrics, whatever the client would rather have.
func openMetricsOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		h.ServeHTTP(w, r)
	})
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func newSource(t *testing.T, with guard.With) guard.Source {
	t.Helper()
	s, err := NewSource(with)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(hosts ...string) (addresses []any) {
	for _, host := range hosts {
		addresses = append(addresses, "http://"+host+"/metrics")
	}
	return addresses
}

var ignoreTime = cmpopts.IgnoreFields(guard.Series{}, "At")

func value(f float64) *float64 { return &f }

// TestRead reads real expositions, in text from one arm and in OpenMetrics with exemplars from the other.
func TestRead(t *testing.T) {
	canary, stable := serve(t, newShop("v2", false)), serve(t, openMetricsOnly(newShop("v1", true)))
	s := newSource(t, guard.With{"canary": list(canary), "stable": list(stable)})
	before := time.Now()
	got, err := s.Read(t.Context(), guard.Query{Release: release, Signals: []guard.Signal{errorRate, latency, queue}})
	if err != nil {
		t.Fatal(err)
	}
	var want []guard.Series
	for _, arm := range []struct {
		arm      guard.Arm
		instance string
	}{{guard.Canary, canary}, {guard.Baseline, stable}} {
		want = append(want,
			guard.Series{Signal: "errors", Arm: arm.arm, Instance: arm.instance, Total: 100, Bad: 5},
			guard.Series{Signal: "latency", Arm: arm.arm, Instance: arm.instance, Total: 8, Sum: 11.11,
				Bounds: []float64{0.01, 0.1, 1}, Buckets: []float64{2, 4, 6}},
			guard.Series{Signal: "queue", Arm: arm.arm, Instance: arm.instance, Value: value(12)},
		)
	}
	sorted := cmpopts.SortSlices(func(a, b guard.Series) bool { return fmt.Sprint(a.Signal, a.Arm) < fmt.Sprint(b.Signal, b.Arm) })
	if diff := cmp.Diff(want, got.Series, sorted, ignoreTime, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
	for _, series := range got.Series {
		if !series.At.Equal(got.At) || series.At.Before(before) {
			t.Errorf("series of %s is from %v, the reading from %v, the test from %v", series.Signal, series.At, got.At, before)
		}
	}
	if err := guard.CheckReading(guard.Query{Signals: []guard.Signal{errorRate, latency, queue}}, got); err != nil {
		t.Error(err)
	}
}

func TestContract(t *testing.T) {
	canary, stable := serve(t, newShop("v2", false)), serve(t, openMetricsOnly(newShop("v1", true)))
	first := guard.Release{ID: "r1", Service: "shop", Environment: "test", To: "v2"} // which has no baseline
	for name, r := range map[string]guard.Release{"an update": release, "the first release": first} {
		t.Run(name, func(t *testing.T) {
			plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
				source := plugintest.Make(t, kit.Sources["scrape"], guard.With{"canary": list(canary), "stable": list(stable)})
				plugintest.Source(t, source, plugintest.SourceCase{Query: guard.Query{Release: r, Signals: []guard.Signal{errorRate, latency, queue}}})
			})
		})
	}
}

// TestInstancesApart reads several instances, one of which is down, and one that exposes several.
func TestInstancesApart(t *testing.T) {
	text := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) })
	}
	a, b := serve(t, text("r 1\n")), serve(t, text("r 2\n"))
	many := serve(t, text(`r{pod="x"} 3`+"\n"+`r{pod="y",code="200"} 4`+"\n"+`r{pod="y",code="500"} 5`+"\n"+"r 6\n"))
	down := serve(t, http.NotFoundHandler())
	s := newSource(t, guard.With{
		"canary": append(list(a, down, b), "http://"+a+"/other/{{.To}}?token=x"),
		"stable": list(many),
	})
	for by, want := range map[string][]guard.Series{
		"": {
			{Signal: "s", Arm: guard.Canary, Instance: a, Total: 1},
			{Signal: "s", Arm: guard.Canary, Instance: a + "/other/v2", Total: 1},
			{Signal: "s", Arm: guard.Canary, Instance: b, Total: 2},
			{Signal: "s", Arm: guard.Baseline, Instance: many, Total: 18},
		},
		"pod": {
			{Signal: "s", Arm: guard.Canary, Instance: a, Total: 1},
			{Signal: "s", Arm: guard.Canary, Instance: a + "/other/v2", Total: 1},
			{Signal: "s", Arm: guard.Canary, Instance: b, Total: 2},
			{Signal: "s", Arm: guard.Baseline, Instance: many, Total: 6},
			{Signal: "s", Arm: guard.Baseline, Instance: "x", Total: 3},
			{Signal: "s", Arm: guard.Baseline, Instance: "y", Total: 9},
		},
	} {
		got, err := s.Read(t.Context(), guard.Query{Release: release, Signals: []guard.Signal{{Name: "s", Total: "r", By: by}}})
		if err != nil {
			t.Fatal(err)
		}
		sorted := cmpopts.SortSlices(func(a, b guard.Series) bool { return string(a.Arm)+a.Instance < string(b.Arm)+b.Instance })
		if diff := cmp.Diff(want, got.Series, ignoreTime, sorted); diff != "" {
			t.Errorf("by %q (-want +got):\n%s", by, diff)
		}
	}
}

func TestFirstReleaseHasNoBaseline(t *testing.T) {
	canary := serve(t, newShop("v1", false))
	s := newSource(t, guard.With{"canary": list(canary), "stable": []any{"http://127.0.0.1:1/{{.From}}"}})
	got, err := s.Read(t.Context(), guard.Query{Release: guard.Release{To: "v1"}, Signals: []guard.Signal{errorRate}})
	if err != nil {
		t.Fatal(err)
	}
	want := []guard.Series{{Signal: "errors", Arm: guard.Canary, Instance: canary, Total: 100, Bad: 5}}
	if diff := cmp.Diff(want, got.Series, ignoreTime); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// TestTargetsThatFail breaks the canary in many ways: it has no data then, and the reading says nothing else.
func TestTargetsThatFail(t *testing.T) {
	stable := serve(t, newShop("v1", false))
	answer := func(contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, text)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.WriteString(z, strings.Repeat("#\n", bodyBytes/2+1))
	z.Close()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		err     string
	}{
		"status":       {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, "it answers status 503"},
		"redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://"+stable, 302) }, "it answers status 302"},
		"a page":       {answer("text/html", "<p>"), "it answers text/html, which are no metrics that golive reads"},
		"protobuf":     {answer("application/vnd.google.protobuf", ""), "which are no metrics that golive reads"},
		"OpenMetrics2": {answer("application/openmetrics-text; version=2.0.0", "# EOF\n"), "which are no metrics that golive reads"},
		"nonsense":     {answer("text/plain", "hello world\n"), "text format parsing error"},
		"twice":        {answer("text/plain", "r{a=\"b\",c=\"d\"} 1\nr{c=\"d\",a=\"b\"} 2\n"), "it exposes rmap[a:b c:d] twice"},
		"no EOF":       {answer("application/openmetrics-text", "r 1\n"), "does not end with # EOF"},
		"hangs":        {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer within 300ms"},
		"hangs in the middle": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "r 1\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "no answer within 300ms"},
		"breaks off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "r 1\n")
		}, "unexpected EOF"},
		"bomb": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		}, "it answers more than 16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := serve(t, c.handler)
			timeout := "10s"
			if strings.HasPrefix(name, "hangs") {
				timeout = "300ms"
			}
			q := guard.Query{Release: release, Signals: []guard.Signal{{Name: "s", Total: "http_requests_total"}}}
			s := newSource(t, guard.With{"canary": list(broken), "stable": list(stable), "timeout": timeout})
			got, err := s.Read(t.Context(), q)
			if err != nil {
				t.Fatalf("one of two is down, and Read fails: %v", err)
			}
			want := []guard.Series{{Signal: "s", Arm: guard.Baseline, Instance: stable, Total: 100}}
			if diff := cmp.Diff(want, got.Series, ignoreTime); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
			s = newSource(t, guard.With{"canary": list(broken), "stable": list(broken), "timeout": timeout})
			_, err = s.Read(t.Context(), q)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("all are down: error %v, want %q", err, c.err)
			}
		})
	}
}

func TestReadEndsWithContext(t *testing.T) {
	hang := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	s := newSource(t, guard.With{"canary": list(hang), "stable": list(hang), "timeout": "1h"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Read(ctx, guard.Query{Release: release}); err == nil || !strings.Contains(err.Error(), "context deadline exceeded") {
		t.Errorf("Read: error %v", err)
	}
}

// TestCredentials sends what the plan holds, and tells nobody.
func TestCredentials(t *testing.T) {
	var got http.Header
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.WriteHeader(403)
	}))
	addresses := []any{"http://" + host + "/metrics?token=hunter2"}
	for name, c := range map[string]struct {
		with   guard.With
		header string
		want   string
	}{
		"basic":  {guard.With{"basic_auth": map[string]any{"username": "u", "password": "hunter2"}}, "Authorization", "Basic dTpodW50ZXIy"},
		"bearer": {guard.With{"authorization": map[string]any{"credentials": "hunter2"}}, "Authorization", "Bearer hunter2"},
		"header": {guard.With{"headers": map[string]any{"X-Scope-OrgID": "hunter2"}}, "X-Scope-Orgid", "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			c.with["canary"], c.with["stable"] = addresses, addresses
			_, err := newSource(t, c.with).Read(t.Context(), guard.Query{Release: guard.Release{To: "v2"}})
			if got.Get(c.header) != c.want {
				t.Errorf("%s: %q, want %q", c.header, got.Get(c.header), c.want)
			}
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	urls := []any{"http://a/metrics"}
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":     {nil, "canary: missing (a list of addresses like http://10.0.0.7:9090/metrics)\nstable: missing (a list of addresses like http://10.0.0.7:9090/metrics)"},
		"template":    {guard.With{"canary": []any{"http://{{.Too}}/"}, "stable": urls}, "canary[0]: {{.Too}} means nothing here (did you mean To?)"},
		"no scheme":   {guard.With{"canary": urls, "stable": []any{"http://b/", "a:9090/metrics"}}, "stable[1]: must begin with http:// or https:// and a host"},
		"password":    {guard.With{"canary": urls, "stable": []any{"http://u:hunter2/"}}, "stable[0]: cannot be read"},
		"slip":        {guard.With{"canary": urls, "stable": urls, "basic_aut": 1}, "basic_aut: there is no such key (did you mean basic_auth?)"},
		"deep slip":   {guard.With{"canary": urls, "stable": urls, "tls_config": map[string]any{"ca_fil": "x"}}, "tls_config.ca_fil: there is no such key (did you mean ca_file?)"},
		"port":        {guard.With{"canary": []any{"dnssrv+http://a:1/"}, "stable": []any{"dns+a:9090"}}, "canary[0]: dnssrv+ learns the port from the name server (leave it out)\nstable[0]: must begin with http:// or https:// and a host"},
		"file":        {guard.With{"canary_file": "/{{.Too}}", "stable_file": "b"}, "canary_file: {{.Too}} means nothing here (did you mean To?)"},
		"two secrets": {guard.With{"canary": urls, "stable": urls, "bearer_token": "a", "bearer_token_file": "b"}, "at most one of bearer_token & bearer_token_file must be configured"},
		"never":       {guard.With{"canary": urls, "stable": urls, "timeout": "0"}, "timeout: must be longer than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewSource(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
	s := newSource(t, guard.With{"canary": []any{"http://a/metrics", "http://a/metrics?x=1"}, "stable": urls})
	if _, err := s.Read(t.Context(), guard.Query{Release: release}); err == nil || err.Error() != "canary[1]: a is listed twice" {
		t.Errorf("Read of one instance twice: error %v", err)
	}
}

func TestParse(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	sample := func(name string, value float64, at time.Time, labels ...string) guard.Sample {
		s := guard.Sample{Name: name, Value: value, At: at, Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			s.Labels[labels[i]] = labels[i+1]
		}
		return s
	}
	const text, openMetrics = "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0; charset=utf-8"
	for name, c := range map[string]struct {
		contentType string
		body        string
		want        []guard.Sample
		err         string
	}{
		"empty":               {text, "", nil, ""},
		"no newline":          {text, "a 1", []guard.Sample{sample("a", 1, at)}, ""},
		"own time":            {text, "a 1 1764000000123\n", []guard.Sample{sample("a", 1, time.UnixMilli(1764000000123))}, ""},
		"hash in a label":     {text, `a{b="x # y"} 1`, []guard.Sample{sample("a", 1, at, "b", "x # y")}, ""},
		"names in quotes":     {text, `{"a.b",c="d"} 1`, []guard.Sample{sample("a.b", 1, at, "c", "d")}, ""},
		"not a number":        {text, "a NaN\nb +Inf\n", []guard.Sample{sample("a", math.NaN(), at), sample("b", math.Inf(1), at)}, ""},
		"types do not matter": {text, "# TYPE a histogram\na_bucket{le=\"1\"} NaN\n", []guard.Sample{sample("a_bucket", math.NaN(), at, "le", "1")}, ""},
		"torn":                {text, "a 1\nb{c=", nil, "text format parsing error in line 2"},
		"time in seconds":     {openMetrics, "a 1 1764000000.1234\n# EOF\n", []guard.Sample{sample("a", 1, time.UnixMilli(1764000000123))}, ""},
		"exemplar":            {openMetrics, `a_bucket{le="1.0",b="} # \" {"} 17 1764000000 # {trace="x}"} 0.5 1.2` + "\n# EOF", []guard.Sample{sample("a_bucket", 17, time.UnixMilli(1764000000000), "le", "1.0", "b", `} # " {`)}, ""},
		"exemplar, no labels": {openMetrics, "a_total 5 # {} 1\n# EOF\n", []guard.Sample{sample("a_total", 5, at)}, ""},
		"unknown types":       {openMetrics, "# TYPE a stateset\n# UNIT a x\na{a=\"on\"} 1\n# EOF\n", []guard.Sample{sample("a", 1, at, "a", "on")}, ""},
		"cut off":             {openMetrics, "a 1\nb 2\n", nil, "does not end with # EOF"},
		"cut off in a sample": {openMetrics, "a 1\nb{c=\"", nil, `line 2: "b{c=\"" is not a sample`},
		"three numbers":       {openMetrics, "a 1 2 3\n# EOF\n", nil, `line 1: "a 1 2 3" is not a sample`},
		"no time":             {openMetrics, "a 1 soon\n# EOF\n", nil, `line 1: "soon" is not a time in seconds`},
		"no number":           {openMetrics, "a\n# EOF\n", nil, `line 1: "a" is not a sample`},
		"no content type":     {"", "a 1", nil, "its content type \"\" cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(c.contentType, []byte(c.body), at)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("parse = %v, error %v, want %q", got, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sorted := cmpopts.SortSlices(func(a, b guard.Sample) bool { return a.Name < b.Name })
			if diff := cmp.Diff(c.want, got, sorted, cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("parse (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOldSamplesAreNoData leaves out what carries a time of its own that is long past.
func TestOldSamplesAreNoData(t *testing.T) {
	now := time.Now()
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "fresh 1 %d\nold 1 %d\n", now.Add(-time.Minute).UnixMilli(), now.Add(-10*time.Minute).UnixMilli())
	}))
	s := newSource(t, guard.With{"canary": list(host), "stable": list(host)})
	got, err := s.Read(t.Context(), guard.Query{Release: guard.Release{To: "v2"}, Signals: []guard.Signal{{Name: "f", Total: "fresh"}, {Name: "o", Total: "old"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []guard.Series{{Signal: "f", Arm: guard.Canary, Instance: host, Total: 1, At: time.UnixMilli(now.Add(-time.Minute).UnixMilli())}}
	if diff := cmp.Diff(want, got.Series); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// FuzzParse holds whatever a target answers, and whatever a plan selects of it, to: an error, or series that are
// possible.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		"", "r 1\n", "r NaN", "# TYPE h histogram\nr_bucket{le=\"1\"} 2\nr_bucket{le=\"+Inf\"} 3\nr_sum 1\nr_count 3\n",
		"r_bucket{le=\"NaN\"} 1\nr_bucket{le=\"+Inf\"} -1\n", "r -1\n", "r 1e308\nr{a=\"b\"} 1e308\n", "r +Inf 9\n",
		"r_bucket{le=\"1\"} 1 # {a=\"}\"} 1\nr_bucket{le=\"+Inf\"} 1 1.5\n# EOF\n", "{\"r\"} 1\n", "{", "r{", "r 1 99999999999999999999\n# EOF",
	} {
		f.Add(body, "r", true)
		f.Add(body, `max(r{a!="c",instance=~".*",le!~"2|3"})`, false)
	}
	f.Fuzz(func(t *testing.T, body, selector string, openMetrics bool) {
		contentType := "text/plain"
		if openMetrics {
			contentType = "application/openmetrics-text; version=1.0.0"
		}
		at := time.Unix(1764000000, 0)
		samples, err := parse(contentType, []byte(body), at)
		if err != nil {
			return
		}
		q := guard.Query{Release: release, Signals: []guard.Signal{
			{Name: "count", Total: selector, Bad: selector}, {Name: "histogram", Histogram: selector, By: "a"}, {Name: "gauge", Value: selector},
		}}
		reading := guard.Reading{At: at}
		for _, signal := range q.Signals {
			selection, err := signal.Select(q.Release, guard.Canary)
			if err != nil {
				return
			}
			reading.Series = append(reading.Series, signal.Assemble(selection, guard.Canary, samples)...)
		}
		if err := guard.CheckReading(q, reading); err != nil {
			t.Errorf("%s of %q gives %+v: %v", selector, body, reading, err)
		}
	})
}
