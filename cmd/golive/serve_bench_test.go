package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/golive-dev/golive/plugins/generic"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// BenchmarkServe measures a golive server that watches many rollouts, with three signals every ten seconds: its cores,
// its memory, how late its ticks are, and how fast it takes hooks meanwhile. The metrics of a thousand come from a real
// Prometheus, those of ten thousand from a stand-in that answers its API from memory; the first is measured with both,
// to tell what the stand-in hides. make bench-server runs it; on a machine that is busy its figures say little.
func BenchmarkServe(b *testing.B) {
	for _, load := range []struct {
		rollouts int
		real     bool
	}{{1000, true}, {1000, false}, {10_000, false}} {
		from := "stand-in"
		if load.real {
			from = "Prometheus"
		}
		b.Run(fmt.Sprintf("%d from %s", load.rollouts, from), func(b *testing.B) {
			for b.Loop() {
				measureServe(b, load.rollouts, load.real)
			}
		})
	}
}

// for how long a server is measured.
const (
	servesFor = 60 * time.Second
	hooksFor  = 10 * time.Second
)

func measureServe(b *testing.B, rollouts int, real bool) {
	b.Helper()
	m := &metropolis{began: time.Now(), services: rollouts}
	web := httptest.NewServer(m)
	defer web.Close()
	prometheus := web.URL
	if real {
		prometheus = startPrometheus(b, web.Listener.Addr().String())
	}
	s, stop := m.serve(b, web.URL, prometheus)
	defer stop()

	var opening sync.WaitGroup
	ids := make([]string, rollouts)
	for worker := range 16 {
		opening.Go(func() {
			for i := worker; i < rollouts; i += 16 {
				ids[i] = openWatch(b, s.url, m.name(i))
			}
		})
	}
	opening.Wait()
	for gauges(b, s.url)["golive_verdict_seconds_count"] < 2*float64(rollouts) {
		time.Sleep(time.Second)
	}
	before, cpu, began := gauges(b, s.url), cpuOf(b, s.command.Process.Pid), time.Now()
	time.Sleep(servesFor)
	after, elapsed := gauges(b, s.url), time.Since(began).Seconds()
	used := cpuOf(b, s.command.Process.Pid) - cpu
	ticks := after["golive_tick_late_seconds_count"] - before["golive_tick_late_seconds_count"]
	late := ticks - (after[`golive_tick_late_seconds_bucket{le="1"}`] - before[`golive_tick_late_seconds_bucket{le="1"}`])
	verdicts := after["golive_verdict_seconds_sum"] - before["golive_verdict_seconds_sum"]
	b.ReportMetric(used.Seconds()/elapsed, "cores")
	b.ReportMetric(after["process_resident_memory_bytes"]/1e6, "MB")
	b.ReportMetric(ticks/elapsed, "ticks/s")
	b.ReportMetric(100*late/ticks, "%late>1s")
	b.ReportMetric(1000*verdicts/ticks, "verdict-ms")
	b.ReportMetric(after["golive_source_errors_total"]-before["golive_source_errors_total"], "source-errors")

	taken, times := sendHooks(b, s.url, ids)
	b.ReportMetric(float64(taken)/hooksFor.Seconds(), "hooks/s")
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "hook-p99-ms")
}

// serve starts a server, built as it is released, with a plan for each service.
func (m *metropolis) serve(b *testing.B, world, prometheus string) (*station, func()) {
	b.Helper()
	dir := b.TempDir()
	for i := range m.services {
		plan := fmt.Sprintf(`
service: %[1]s
environment: bench
rollout:
  backend: {use: http, with: {inspect: {url: "%[2]s/standing"}, shift: {url: "%[2]s/shift"}}}
  steps: [10, 100]
watch:
  source: {use: prometheus, with: {address: "%[3]s"}}
  every: 10s
  promote: {max_step: 12h}
  signals:
    - {name: errors, total: 'http_requests_total{service="%[1]s",version="$version"}', bad: 'http_requests_total{service="%[1]s",version="$version",code="500"}'}
    - {name: latency, histogram: 'http_request_duration_seconds{service="%[1]s",version="$version"}'}
    - {name: queue, value: 'queue_depth{service="%[1]s",version="$version"}', never: {above: 1000, for: 1m}}
`, m.name(i), world, prometheus)
		if err := os.WriteFile(filepath.Join(dir, m.name(i)+".yaml"), []byte(plan), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	golive := filepath.Join(b.TempDir(), "golive")
	release(b, golive, ".")
	address := fmt.Sprintf("127.0.0.1:%d", plugintest.Port(b))
	s := &station{url: "http://" + address, log: &safeBuffer{}}
	s.command = exec.Command(golive, "serve", "--listen", address, "--plans", dir, "--rate", "1000000",
		"--store", "sqlite:"+filepath.Join(b.TempDir(), "golive.db"))
	s.command.Env = append(os.Environ(), "GOLIVE_JOURNAL="+b.TempDir(), "GOLIVE_HOOK_SECRET="+hookSecret)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		b.Fatal(err)
	}
	stop := func() {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		_ = s.command.Wait() // its exit code says nothing about its speed
	}
	for !s.ready() {
		time.Sleep(50 * time.Millisecond)
	}
	return s, stop
}

// A metropolis is many services whose counters are a function of the time, each with two instances of either version.
type metropolis struct {
	began    time.Time
	services int
}

func (*metropolis) name(i int) string { return fmt.Sprintf("svc%05d", i) }

// ServeHTTP is the backend, the target of a Prometheus, and the API of one.
func (m *metropolis) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/standing":
		fmt.Fprint(w, `{"percent": 10, "undo": {"open": true}}`)
	case "/metrics":
		for i := range m.services {
			for _, version := range []string{"v1", "v2"} {
				for _, point := range m.points(m.name(i), version) {
					fmt.Fprintf(w, "%s{service=%q,version=%q,instance_name=%q%s} %.0f\n", point.name, m.name(i), version, point.instance, point.label, point.value)
				}
			}
		}
	case "/api/v1/query":
		m.query(w, r)
	case "/api/v1/query_range":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	default:
		http.NotFound(w, r)
	}
}

type point struct {
	name, instance, label string
	value                 float64
}

func (m *metropolis) points(_, version string) (all []point) {
	rate := 90.
	if version == "v2" {
		rate = 10
	}
	seconds := time.Since(m.began).Seconds()
	for _, instance := range []string{"a", "b"} {
		n := math.Floor(rate / 2 * seconds)
		all = append(all,
			point{"http_requests_total", instance, `,code="200"`, n - math.Floor(n/1000)},
			point{"http_requests_total", instance, `,code="500"`, math.Floor(n / 1000)},
			point{"http_request_duration_seconds_sum", instance, "", n * .02},
			point{"http_request_duration_seconds_count", instance, "", n},
			point{"queue_depth", instance, "", 3},
		)
		for i, le := range []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"} {
			all = append(all, point{"http_request_duration_seconds_bucket", instance, fmt.Sprintf(`,le=%q`, le), math.Floor(n * (1 - math.Pow(.3, float64(i+1))))})
		}
	}
	return all
}

var instant = regexp.MustCompile(`^(\w+)\{([^}]*)\}`)

// query answers the one form of query that golive puts: the values of a selector, and their times.
func (m *metropolis) query(w http.ResponseWriter, r *http.Request) {
	selector := instant.FindStringSubmatch(r.FormValue("query"))
	if selector == nil {
		http.Error(w, "not such a query", http.StatusBadRequest)
		return
	}
	now := float64(time.Now().UnixMilli()) / 1000
	version := "v1"
	if strings.Contains(selector[2], `version="v2"`) {
		version = "v2"
	}
	var text bytes.Buffer
	text.WriteString(`{"status":"success","data":{"resultType":"vector","result":[`)
	for i, p := range m.points("", version) {
		if p.name != selector[1] {
			continue
		}
		if i > 0 && text.Bytes()[text.Len()-1] != '[' {
			text.WriteByte(',')
		}
		label := ""
		if name, value, found := strings.Cut(strings.TrimPrefix(p.label, ","), "="); found {
			label = fmt.Sprintf(",%q:%s", name, value)
		}
		fmt.Fprintf(&text, `{"metric":{"__name__":%q,"version":%q,"instance":%q%s},"value":[%.3f,"%.0f"]},`, p.name, version, p.instance, label, now, p.value)
		fmt.Fprintf(&text, `{"metric":{"golive_time":"1","version":%q,"instance":%q%s},"value":[%.3f,"%.3f"]}`, version, p.instance, label, now, now)
	}
	text.WriteString("]}}")
	_, _ = w.Write(text.Bytes())
}

// startPrometheus starts a real one that scrapes an address every ten seconds.
func startPrometheus(b *testing.B, target string) (url string) {
	b.Helper()
	plugintest.Needs(b, "prometheus", "prometheus")
	dir, port := b.TempDir(), plugintest.Port(b)
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 10s, scrape_timeout: 9s}\nscrape_configs: [{job_name: all, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	command := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	for {
		response, err := http.Get(url + "/api/v1/query?query=count(http_requests_total)")
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if bytes.Contains(body, []byte(`"value"`)) {
				return url
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func openWatch(b *testing.B, url, service string) string {
	b.Helper()
	body := fmt.Sprintf(`{"service": %q, "from": "v1", "to": "v2", "purpose": "watch"}`, service)
	response, err := http.Post(url+"/v1/rollouts", "application/json", strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return ""
	}
	defer response.Body.Close()
	var o struct{ ID string }
	if err := json.NewDecoder(response.Body).Decode(&o); err != nil || o.ID == "" {
		b.Errorf("%s: %s, %v", service, response.Status, err)
	}
	return o.ID
}

// sendHooks sends signed notes as fast as they are taken, 32 at once, and says how long each took.
func sendHooks(b *testing.B, url string, ids []string) (taken int, times []time.Duration) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	var mu sync.Mutex
	var sending sync.WaitGroup
	end := time.Now().Add(hooksFor)
	for sender := range 32 {
		sending.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				body := fmt.Sprintf(`{"action": "note", "rollout": %q, "text": "note %d of %d"}`, ids[(n*32+sender)%len(ids)], n, sender)
				request, err := http.NewRequest(http.MethodPost, url+"/v1/hooks/generic", strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				began := time.Now()
				request.Header.Set(generic.Signature, generic.Sign([]byte(hookSecret), began, []byte(body)))
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				mu.Lock()
				times = append(times, time.Since(began))
				if response.StatusCode == http.StatusOK {
					taken++
				}
				mu.Unlock()
			}
		})
	}
	sending.Wait()
	if taken == 0 {
		b.Fatal("no hook was taken")
	}
	return taken, times
}

// gauges reads the metrics of a server; those of one name are added up, and a bucket has its bound in its name.
func gauges(b testing.TB, url string) map[string]float64 {
	b.Helper()
	response, err := http.Get(url + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	all := map[string]float64{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			all[name] += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			if h := metric.GetHistogram(); h != nil {
				all[name+"_count"] += float64(h.GetSampleCount())
				all[name+"_sum"] += h.GetSampleSum()
				for _, bucket := range h.GetBucket() {
					all[fmt.Sprintf(`%s_bucket{le="%s"}`, name, strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))] += float64(bucket.GetCumulativeCount())
				}
			}
		}
	}
	return all
}

// cpuOf is the time that a process has had, as user and in the system.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skipf("the cores of a process cannot be read here: %v", err)
	}
	_, behind, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(behind)
	var ticks float64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, which Linux shows on all its machines
	return time.Duration(ticks / perSecond * float64(time.Second))
}
