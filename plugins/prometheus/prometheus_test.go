package prometheus

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:    "prometheus",
	Sources: map[string]func(guard.With) (guard.Source, error){"prometheus": NewSource},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var (
	release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}
	signals = []guard.Signal{
		{Name: "errors", Total: `http_requests_total{version="$version"}`, Bad: `http_requests_total{version="$version",code=~"5.."}`},
		{Name: "latency", Histogram: `http_request_duration_seconds{version="$version"}`},
		{Name: "queue", Value: `max(queue_depth{service="$service"})`},
	}
)

// A shop is a target whose metrics stand still, and that can vanish.
type shop struct {
	version, extra string
	down           atomic.Bool
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.down.Load() {
		w.WriteHeader(503)
		return
	}
	fmt.Fprintf(w, `# TYPE http_requests_total counter
http_requests_total{version="%[1]s",code="200"} 90
http_requests_total{version="%[1]s",code="404"} 5
http_requests_total{version="%[1]s",code="500"} 3
http_requests_total{version="%[1]s",code="503"} 2
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{version="%[1]s",le="0.1"} 80
http_request_duration_seconds_bucket{version="%[1]s",le="1"} 99
http_request_duration_seconds_bucket{version="%[1]s",le="+Inf"} 100
http_request_duration_seconds_sum{version="%[1]s"} 12.5
http_request_duration_seconds_count{version="%[1]s"} 100
queue_depth{service="shop"} 7
broken NaN
%[2]s`, s.version, s.extra)
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// startPrometheus runs a real server that scrapes the targets every second, and returns its address.
func startPrometheus(t *testing.T, targets ...string) string {
	t.Helper()
	return startPrometheusWith(t, nil, targets...)
}

func startPrometheusWith(t *testing.T, flags []string, targets ...string) string {
	t.Helper()
	return startConfigured(t, scrapes(targets...), flags...)
}

// scrapes is the configuration of a server that scrapes the targets every second.
func scrapes(targets ...string) string {
	return "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: shop\n  static_configs:\n  - targets: ['" +
		strings.Join(targets, "', '") + "']\n"
}

// startConfigured runs a real server with a configuration, and returns its address.
func startConfigured(t *testing.T, config string, flags ...string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("prometheus is not on PATH")
	} else if err != nil {
		t.Skip("prometheus is not on PATH (apt-get install -y --no-install-recommends prometheus)")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	flags = append(flags, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+host, "--log.level=error")
	cmd := exec.CommandContext(t.Context(), program, flags...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return "http://" + host
}

// eventually waits for another process, which no synctest bubble can hold.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !true(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60s: %s", what)
		}
	}
}

func newSource(t *testing.T, with guard.With) guard.Source {
	t.Helper()
	s, err := NewSource(with)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var ignoreTime = cmpopts.IgnoreFields(guard.Series{}, "At")

func value(f float64) *float64 { return &f }

func TestRealPrometheus(t *testing.T) {
	stable, canary := &shop{version: "v1"}, &shop{version: "v2", extra: "only_here_total 3\n"}
	stableHost, canaryHost := serve(t, stable), serve(t, canary)
	address := startPrometheus(t, stableHost, canaryHost)
	source := newSource(t, guard.With{"address": address})
	q := guard.Query{Release: release, Signals: signals}
	var got guard.Reading
	eventually(t, "Prometheus has scraped both targets", func() bool {
		var err error
		got, err = source.Read(t.Context(), q)
		return err == nil && len(got.Series) == 5
	})

	want := []guard.Series{
		{Signal: "errors", Arm: guard.Canary, Instance: canaryHost, Total: 100, Bad: 5},
		{Signal: "errors", Arm: guard.Baseline, Instance: stableHost, Total: 100, Bad: 5},
		{Signal: "latency", Arm: guard.Canary, Instance: canaryHost, Total: 100, Sum: 12.5, Bounds: []float64{0.1, 1}, Buckets: []float64{80, 99}},
		{Signal: "latency", Arm: guard.Baseline, Instance: stableHost, Total: 100, Sum: 12.5, Bounds: []float64{0.1, 1}, Buckets: []float64{80, 99}},
		{Signal: "queue", Arm: guard.Canary, Value: value(7)},
	}
	if diff := cmp.Diff(want, got.Series, ignoreTime); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
	for _, s := range got.Series {
		if age := got.At.Sub(s.At); age < 0 || age > 30*time.Second {
			t.Errorf("series of %s is from %v, the reading from %v", s.Signal, s.At, got.At)
		}
	}

	t.Run("contract", func(t *testing.T) {
		q := q
		q.Signals = signals[:2] // the third has no baseline
		plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
			source := plugintest.Make(t, kit.Sources["prometheus"], guard.With{"address": address})
			plugintest.Source(t, source, plugintest.SourceCase{Query: q})
		})
	})
	t.Run("times are those of scrapes", func(t *testing.T) {
		// Between two scrapes there are many readings, which all have the time of the first of the two.
		times := make(map[time.Time]int)
		for range 100 {
			r, err := source.Read(t.Context(), guard.Query{Release: release, Signals: signals[:1]})
			if err != nil || len(r.Series) != 2 {
				t.Fatalf("Read = %+v, %v", r, err)
			}
			times[r.Series[0].At]++
			if len(times) > 2 {
				break
			}
		}
		most := 0
		for _, n := range times {
			most = max(most, n)
		}
		if most < 2 {
			t.Errorf("every reading has a time of its own: %v", times)
		}
	})
	t.Run("no data", func(t *testing.T) {
		nothing := []guard.Signal{
			{Name: "missing", Total: "no_such_total"},
			{Name: "NaN", Value: "broken"},
			{Name: "native", Histogram: "only_native"},
			{Name: "not a histogram", Histogram: "http_requests_total"},
		}
		r, err := source.Read(t.Context(), guard.Query{Release: release, Signals: nothing})
		if err != nil || len(r.Series) > 0 {
			t.Errorf("Read = %+v, %v", r.Series, err)
		}
	})
	t.Run("first release", func(t *testing.T) {
		r, err := source.Read(t.Context(), guard.Query{Release: guard.Release{Service: "shop", To: "v2"}, Signals: signals[:1]})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[:1], r.Series, ignoreTime); diff != "" {
			t.Errorf("Read (-want +got):\n%s", diff)
		}
	})
	t.Run("by another label", func(t *testing.T) {
		signal := guard.Signal{Name: "s", Total: `http_requests_total{version="$version"}`, By: "code"}
		r, err := source.Read(t.Context(), guard.Query{Release: release, Signals: []guard.Signal{signal}})
		if err != nil || len(r.Series) != 8 || r.Series[0].Instance != "200" {
			t.Errorf("Read = %+v, %v", r.Series, err)
		}
	})
	t.Run("a target vanishes", func(t *testing.T) {
		canary.down.Store(true)
		eventually(t, "its series are stale, and no data", func() bool {
			r, err := source.Read(t.Context(), guard.Query{Release: release, Signals: signals[:1]})
			if err != nil {
				t.Fatal(err)
			}
			return len(r.Series) == 1 && r.Series[0].Arm == guard.Baseline
		})
	})
}

// TestAnswers gives every kind of answer that is none.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		err    string // "": no data
	}{
		"empty":           {200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, ""},
		"remarks":         {200, `{"status":"success","warnings":["PromQL warning: x"],"infos":["PromQL info: x"],"data":{"resultType":"vector","result":[]}}`, ""},
		"odd remarks":     {200, `{"status":"success","warnings":"PromQL warning: x","data":{"resultType":"vector","result":[]}}`, "which is not the API of Prometheus"},
		"Thanos, partial": {200, `{"status":"success","warnings":["PromQL info: x","No StoreAPIs matched for this query"],"data":{"resultType":"vector","result":[]}}`, "it has only a part of the data: No StoreAPIs matched for this query"},
		"VM, partial":     {200, `{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}`, "it has only a part of the data"},
		"VM, whole":       {200, `{"status":"success","isPartial":false,"data":{"resultType":"vector","result":[]}}`, ""},
		"native":          {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"golive_time":"1"},"value":[1,"1"]},{"metric":{},"histogram":[1,{"count":"1","sum":"1","buckets":[]}]}]}}`, ""},
		"without time":    {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}`, "it does not say when"},
		"NaN":             {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"golive_time":"1"},"value":[1,"1"]},{"metric":{},"value":[1,"NaN"]}]}}`, ""},
		"null sample":     {200, `{"status":"success","data":{"resultType":"vector","result":[null]}}`, "a hole among the samples"},
		"null metric":     {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]}]}}`, "a hole among the samples"},
		"time is NaN":     {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"golive_time":"1"},"value":[1,"NaN"]},{"metric":{},"value":[1,"1"]}]}}`, "it does not say when"},
		"bad query":       {400, `{"status":"error","errorType":"bad_data","error":"parse error: x"}`, "it cannot read the query: parse error: x"},
		"too busy":        {503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "it gave up on the query: query timed out"},
		"error with 200":  {200, `{"status":"error","errorType":"execution","error":"many-to-many"}`, "it cannot answer the query: many-to-many"},
		"unauthorized":    {401, `Unauthorized`, "it answers status 401 (it does not let golive in"},
		"internal":        {500, `{"status":"error","errorType":"internal","error":"disk full"}`, "it is in trouble: disk full"},
		"bad gateway":     {502, `<html>`, "it answers status 502 (it is in trouble, or what stands before it)"},
		"too many":        {429, `slow down`, "it answers status 429 (it has too many queries)"},
		"not here":        {404, `404 page not found`, "it may need a path, such as /prometheus"},
		"a page":          {200, `<html>`, "which is not the API of Prometheus"},
		"a redirect":      {302, ``, "it answers status 302"},
		"matrix":          {200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "which is not the API of Prometheus"},
		"no status":       {200, `{}`, "which is not the API of Prometheus"},
		"value no number": {200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}`, "invalid syntax"},
		"too long":        {200, `{"status":"success",` + strings.Repeat(" ", bodyBytes), "it answers more than 16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			source := newSource(t, guard.With{"address": "http://" + host, "timeout": "1m"})
			got, err := source.Read(t.Context(), guard.Query{Release: release, Signals: []guard.Signal{{Name: "s", Total: "r"}}})
			if c.err == "" && (err != nil || len(got.Series) > 0 || got.At.IsZero()) {
				t.Errorf("Read = %+v, error %v, want no data", got, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "ask "+host)) {
				t.Errorf("Read = %+v, error %v, want %q", got, err, c.err)
			}
		})
	}
}

// TestOneInstant asks for everything as of the same time, by POST, and for nothing twice.
func TestOneInstant(t *testing.T) {
	asked := make(chan string, 100)
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- fmt.Sprint(r.Method, r.URL, " ", r.PostFormValue("partial_response"), " ", r.PostFormValue("time"), " ", r.PostFormValue("query"))
		io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	source := newSource(t, guard.With{
		"address": "http://" + host + "/select/0/prometheus/", "params": map[string]any{"partial_response": "false"},
	})
	got, err := source.Read(t.Context(), guard.Query{Release: release, Signals: append(signals, signals...)})
	if err != nil {
		t.Fatal(err)
	}
	close(asked)
	seen := make(map[string]bool)
	start := fmt.Sprintf("POST/select/0/prometheus/api/v1/query false %.3f ", float64(got.At.UnixMilli())/1000)
	for query := range asked {
		if seen[query] || !strings.HasPrefix(query, start) {
			t.Errorf("asked %s, want each once, beginning %s", query, start)
		}
		seen[query] = true
	}
	for _, selector := range []string{
		`http_requests_total{version="v1"}`, `http_requests_total{version="v2"}`,
		`http_request_duration_seconds{version="v1"}`, `http_request_duration_seconds{version="v2"}`,
		`http_request_duration_seconds_bucket{version="v1"}`, `http_request_duration_seconds_bucket{version="v2"}`,
		`http_request_duration_seconds_sum{version="v1"}`, `http_request_duration_seconds_sum{version="v2"}`,
		`queue_depth{service="shop"}`,
	} {
		query := start + selector + ` or label_replace(timestamp(` + selector + `),"golive_time","1","","")`
		if !seen[query] {
			t.Errorf("not asked: %s", query)
		}
		delete(seen, query)
	}
	if len(seen) > 0 { // not even for what is bad, which the total holds
		t.Errorf("asked for more than that: %v", seen)
	}
}

func TestWidest(t *testing.T) {
	all := make(map[string]guard.Selector)
	for _, text := range []string{`r{a="b"}`, `r{a="b",c="d"}`, `r{c="d",a="b",e="f"}`, `r{e=~"f"}`, `q{a="b",c="d"}`, `r{a!="b",c="d"}`} {
		s, err := guard.ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		all[s.String()] = s
	}
	for query, want := range map[string]string{
		`r{a="b"}`: `r{a="b"}`, `r{a="b",c="d"}`: `r{a="b"}`, `r{c="d",a="b",e="f"}`: `r{a="b"}`,
		`r{e=~"f"}`: `r{e=~"f"}`, `q{a="b",c="d"}`: `q{a="b",c="d"}`, `r{a!="b",c="d"}`: `r{a!="b",c="d"}`,
	} {
		if got := widest(all, query); got != want {
			t.Errorf("widest of %s is %s, want %s", query, got, want)
		}
	}
}

func TestBudget(t *testing.T) {
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // reading the body lets the server notice that the client has gone
		<-r.Context().Done()
	}))
	source := newSource(t, guard.With{"address": "http://" + host, "timeout": "100ms"})
	start := time.Now()
	_, err := source.Read(t.Context(), guard.Query{Release: release, Signals: signals})
	if err == nil || err.Error() != "ask "+host+": no answer within 100ms" || time.Since(start) > 5*time.Second {
		t.Errorf("Read: error %v after %v", err, time.Since(start))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Read(ctx, guard.Query{Release: release, Signals: signals}); err == nil {
		t.Error("Read with a context that is over: no error")
	}
}

func TestCredentials(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		with   guard.With
		header string
		want   string
	}{
		"basic":      {guard.With{"basic_auth": map[string]any{"username": "u", "password": "hunter2"}}, "Authorization", "Basic dTpodW50ZXIy"},
		"bearer":     {guard.With{"authorization": map[string]any{"credentials": "hunter2"}}, "Authorization", "Bearer hunter2"},
		"token file": {guard.With{"bearer_token_file": token}, "Authorization", "Bearer hunter2"},
		"header":     {guard.With{"headers": map[string]any{"X-Scope-OrgID": "hunter2"}}, "X-Scope-Orgid", "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 100)
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got <- r.Header.Get(c.header)
				w.WriteHeader(403)
			}))
			c.with["address"] = "http://" + host + "/?token=hunter2"
			_, err := newSource(t, c.with).Read(t.Context(), guard.Query{Release: release, Signals: signals[:1]})
			if header := <-got; header != c.want {
				t.Errorf("%s: %q, want %q", c.header, header, c.want)
			}
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	q := guard.Query{Release: release, Signals: signals[:1]}
	source := newSource(t, guard.With{"address": s.URL, "tls_config": map[string]any{"insecure_skip_verify": true}})
	if _, err := source.Read(t.Context(), q); err != nil {
		t.Errorf("without verifying: %v", err)
	}
	if _, err := newSource(t, guard.With{"address": s.URL}).Read(t.Context(), q); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with a certificate that nobody signed: error %v", err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":   {nil, "address: missing (like http://127.0.0.1:9090)"},
		"no scheme": {guard.With{"address": "localhost:9090"}, "address: must begin with http:// or https:// and a host"},
		"password":  {guard.With{"address": "http://u:hunter2/"}, "address: cannot be read"},
		"slip":      {guard.With{"address": "http://a", "basic_aut": 1}, "basic_aut: there is no such key (did you mean basic_auth?)"},
		"params":    {guard.With{"address": "http://a", "params": map[string]any{"dedup": "true", "time": "0", "query": "up"}}, "params: \"query\" is set by golive itself (remove it)\nparams: \"time\" is set by golive itself (remove it)"},
		"never":     {guard.With{"address": "http://a", "timeout": "0s"}, "timeout: must be longer than nothing"},
		"two":       {guard.With{"address": "http://a", "bearer_token": "a", "bearer_token_file": "b"}, "at most one of bearer_token & bearer_token_file must be configured"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewSource(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}

// FuzzParse holds whatever a server answers to: an error, or series that are possible.
func FuzzParse(f *testing.F) {
	const begin, end = `{"status":"success","data":{"resultType":"vector","result":[`, `]}}`
	for _, body := range []string{
		``, `{}`, `null`, begin + `null` + end, begin + `{"value":[1,"Inf"]}` + end, begin + `{"histogram":[1,{}]}` + end,
		begin + `{"metric":{"golive_time":"1"},"value":[1,"1"]},{"metric":{},"histogram":[1,{"count":"3","sum":"1","buckets":[[0,"0.5","1","2"],[0,"1","1.1","1"]]}]}` + end,
		begin + `{"metric":{"golive_time":"1"},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}` + end,
		begin + `{"metric":{"golive_time":"1","le":"1"},"value":[1,"1"]},{"metric":{"le":"1"},"value":[1,"-2"]}` + end,
		begin + `{"metric":{"golive_time":"1","le":"+Inf"},"value":[1,"NaN"]},{"metric":{"le":"+Inf"},"value":[1,"2"]}` + end,
	} {
		f.Add([]byte(body))
	}
	q := guard.Query{Release: guard.Release{To: "v2"}, Signals: []guard.Signal{
		{Name: "r", Total: "r", Bad: "r"}, {Name: "h", Histogram: "h"}, {Name: "g", Value: "g"},
	}}
	f.Fuzz(func(t *testing.T, body []byte) {
		reading := guard.Reading{At: time.Unix(1764000000, 0)}
		for _, signal := range q.Signals {
			selection, err := signal.Select(q.Release, guard.Canary)
			if err != nil {
				t.Fatal(err)
			}
			for _, selector := range selection.Names() {
				vector, _, err := parse(200, body) // join takes it apart
				if err != nil {
					return
				}
				samples, err := join(selector, vector)
				if err != nil {
					return
				}
				for _, sample := range samples {
					if sample.At.IsZero() {
						t.Errorf("%q gives a sample without time: %+v", body, sample)
					}
				}
				reading.Series = append(reading.Series, signal.Assemble(selection, guard.Canary, slices.Collect(maps.Values(samples)))...)
			}
		}
		if err := guard.CheckReading(q, reading); err != nil {
			t.Errorf("%q gives %+v: %v", body, reading, err)
		}
	})
}

// TestTurns lets many rollouts ask one server at once: it never has more than a few readings to answer, all get their
// answer, and who has no time to wait says why.
func TestTurns(t *testing.T) {
	var now, most atomic.Int64
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-hold
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	defer server.Close()
	query := guard.Query{Release: guard.Release{From: "v1", To: "v2"}, Signals: []guard.Signal{{Name: "errors", Total: `all{version="$version"}`, Bad: `bad{version="$version"}`}}}
	const rollouts, bound = 30, 3 * 4 // three readings at once, of four queries each
	failures := make(chan error, rollouts)
	for range rollouts {
		go func() {
			source, err := NewSource(guard.With{"address": server.URL, "timeout": "1m"})
			if err == nil {
				_, err = source.Read(t.Context(), query)
			}
			failures <- err
		}()
	}
	for most.Load() < bound {
		time.Sleep(time.Millisecond)
	}
	hurried, err := NewSource(guard.With{"address": server.URL, "timeout": "10ms"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hurried.Read(t.Context(), query); err == nil {
		t.Error("an answer came from a server that gives none")
	}
	close(hold)
	for range rollouts {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if most.Load() != bound {
		t.Errorf("%d queries were under way at once, want %d", most.Load(), bound)
	}
}
