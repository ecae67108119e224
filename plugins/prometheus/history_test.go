package prometheus

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// began is when the past of the tests began.
var began = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// past is a history that was scraped every 15 seconds for four minutes: a counter that was reset after a minute, an
// instance that was gone for the last two, and a gauge that was no number at first.
func past() string {
	var requests, seconds, depth strings.Builder
	for tick := range 17 {
		at := began.Unix() + int64(15*tick)
		n := 100 * (tick + 1)
		if tick > 4 {
			n = 100 * (tick - 4)
		}
		fmt.Fprintf(&requests, "http_requests_total{version=\"v1\",instance=\"a\",code=\"200\"} %d %d\n", n-1, at)
		fmt.Fprintf(&requests, "http_requests_total{version=\"v1\",instance=\"a\",code=\"500\"} 1 %d\n", at)
		if tick <= 8 {
			fmt.Fprintf(&requests, "http_requests_total{version=\"v1\",instance=\"b\",code=\"200\"} 50 %d\n", at)
		}
		fmt.Fprintf(&seconds, "http_request_duration_seconds_bucket{version=\"v1\",instance=\"a\",le=\"0.1\"} %d %d\n", n/2, at)
		fmt.Fprintf(&seconds, "http_request_duration_seconds_bucket{version=\"v1\",instance=\"a\",le=\"+Inf\"} %d %d\n", n, at)
		value := "NaN"
		if tick > 0 {
			value = fmt.Sprint(tick)
		}
		fmt.Fprintf(&depth, "queue_depth{service=\"shop\"} %s %d\n", value, at)
	}
	return "# TYPE http_requests counter\n" + sorted(requests.String()) + "# TYPE http_request_duration_seconds histogram\n" +
		sorted(seconds.String()) + "# TYPE queue_depth gauge\n" + depth.String() + "# EOF\n"
}

// sorted brings the lines of a series together, as the format demands.
func sorted(text string) string {
	var order []string
	bySeries := map[string]string{}
	for line := range strings.Lines(text) {
		series, _, _ := strings.Cut(line, "} ")
		if bySeries[series] == "" {
			order = append(order, series)
		}
		bySeries[series] += line
	}
	var b strings.Builder
	for _, series := range order {
		b.WriteString(bySeries[series])
	}
	return b.String()
}

// remember runs a real server that scrapes nothing, and remembers this.
func remember(t *testing.T, openMetrics string) string {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") != "" {
			t.Fatal(program + " is not on PATH")
		} else if err != nil {
			t.Skip(program + " is not on PATH (apt-get install -y --no-install-recommends prometheus)")
		}
	}
	dir := t.TempDir()
	text, data, config := filepath.Join(dir, "past.txt"), filepath.Join(dir, "data"), filepath.Join(dir, "prometheus.yml")
	for path, content := range map[string]string{text: openMetrics, config: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", text, data).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+config, "--storage.tsdb.path="+data,
		"--storage.tsdb.retention.time=100y", "--web.listen-address="+host, "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "Prometheus is ready", func() bool {
		answer, err := http.Get("http://" + host + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return "http://" + host
}

func TestHistory(t *testing.T) {
	source := newSource(t, guard.With{"address": remember(t, past())}).(guard.Historian)
	release := guard.Release{Service: "shop", From: "v1", To: "v2"}
	q := guard.Query{Release: release, Signals: signals}
	at := func(tick int) time.Time { return began.Add(time.Duration(15*tick) * time.Second) }

	got, err := source.History(t.Context(), q, began.Add(-time.Minute), began.Add(time.Minute), 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	errors := func(instance string, tick int, total, bad float64) guard.Series {
		return guard.Series{Signal: "errors", Arm: guard.Baseline, Instance: instance, At: at(tick), Total: total, Bad: bad}
	}
	latency := func(tick int, total float64) guard.Series {
		return guard.Series{Signal: "latency", Arm: guard.Baseline, Instance: "a", At: at(tick), Total: total, Bounds: []float64{.1}, Buckets: []float64{total / 2}}
	}
	queue := func(tick int) guard.Series {
		return guard.Series{Signal: "queue", Arm: guard.Canary, At: at(tick), Value: value(float64(tick))}
	}
	want := []guard.Reading{
		{At: at(-4)}, {At: at(-2)}, // before anything was scraped
		{At: at(0), Series: []guard.Series{errors("a", 0, 100, 1), errors("b", 0, 50, 0), latency(0, 100)}},
		{At: at(2), Series: []guard.Series{errors("a", 2, 300, 1), errors("b", 2, 50, 0), latency(2, 300), queue(2)}},
		{At: at(4), Series: []guard.Series{errors("a", 4, 500, 1), errors("b", 4, 50, 0), latency(4, 500), queue(4)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("History (-want +got):\n%s", diff)
	}
	for _, reading := range got {
		if err := guard.CheckReading(q, reading); err != nil {
			t.Error(err)
		}
	}

	t.Run("scrapes are told apart from looks", func(t *testing.T) {
		got, err := source.History(t.Context(), guard.Query{Release: release, Signals: signals[:1]}, at(0), at(4), time.Second)
		if err != nil || len(got) != 61 {
			t.Fatalf("%d readings, error %v", len(got), err)
		}
		for i, reading := range got {
			if scraped := reading.Series[0].At; !scraped.Equal(at(i / 15)) {
				t.Errorf("%d s after the beginning the latest scrape was at %v", i, scraped)
			}
		}
	})
	t.Run("in pieces", func(t *testing.T) {
		const before = pointsAtOnce + pointsAtOnce/2 // so that what there is belongs to the second of three answers
		got, err := source.History(t.Context(), guard.Query{Release: release, Signals: signals[:1]}, at(-before), at(before), 15*time.Second)
		if err != nil || len(got) != 2*before+1 {
			t.Fatalf("%d readings, error %v", len(got), err)
		}
		last := got[before+16]
		if len(last.Series) != 2 || last.Series[0].Total != 1200 || !last.Series[1].At.Equal(at(8)) {
			t.Errorf("at the last scrape: %+v", last.Series)
		}
	})
	t.Run("impossible", func(t *testing.T) {
		for name, c := range map[string]struct {
			to   time.Time
			step time.Duration
		}{"backwards": {at(-1), time.Minute}, "too fine": {at(1), time.Millisecond}, "too long": {at(1 << 20), time.Second}} {
			if got, err := source.History(t.Context(), q, began, c.to, c.step); err == nil {
				t.Errorf("%s: %d readings and no error", name, len(got))
			}
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := source.History(ctx, q, began, at(1), time.Second); err == nil {
			t.Error("no error with a context that is over")
		}
	})
}

// TestHistoryAnswers gives answers that are none, and some that are.
func TestHistoryAnswers(t *testing.T) {
	const begin, end = `{"status":"success","data":{"resultType":"matrix","result":[`, `]}}`
	stamp := fmt.Sprint(began.Unix())
	for name, c := range map[string]struct {
		body string
		err  string // "": no data
	}{
		"empty":        {begin + end, ""},
		"without time": {begin + `{"metric":{},"values":[[` + stamp + `,"1"]]}` + end, ""},
		"NaN": {begin + `{"metric":{"golive_time":"1"},"values":[[` + stamp + `,"` + stamp + `"]]},
			{"metric":{},"values":[[` + stamp + `,"NaN"]]}` + end, ""},
		"time is NaN": {begin + `{"metric":{"golive_time":"1"},"values":[[` + stamp + `,"NaN"]]},
			{"metric":{},"values":[[` + stamp + `,"1"]]}` + end, ""},
		"without value": {begin + `{"metric":{"golive_time":"1"},"values":[[` + stamp + `,"` + stamp + `"]]}` + end, ""},
		"native":        {begin + `{"metric":{"a":"b"},"histograms":[[` + stamp + `,{"count":"1","sum":"1","buckets":[]}]]}` + end, ""},
		"a hole":        {begin + `null` + end, "a hole among the samples"},
		"another time":  {begin + `{"metric":{},"values":[[1,"1"]]}` + end, "about a time that nobody asked for"},
		"a vector":      {`{"status":"success","data":{"resultType":"vector","result":[]}}`, "which is not the API of Prometheus"},
		"too many":      {`{"status":"error","error":"exceeded maximum resolution"}`, "exceeded maximum resolution"},
		"a broken page": {`<html>`, "which is not the API of Prometheus"},
	} {
		t.Run(name, func(t *testing.T) {
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.body) }))
			source := newSource(t, guard.With{"address": "http://" + host}).(guard.Historian)
			q := guard.Query{Release: release, Signals: []guard.Signal{{Name: "s", Total: "r", Bad: "r"}}}
			got, err := source.History(t.Context(), q, began, began.Add(time.Minute), time.Minute)
			if c.err == "" && (err != nil || len(got) != 2 || len(got[0].Series)+len(got[1].Series) > 0) {
				t.Errorf("History = %+v, error %v, want no data", got, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "ask "+host)) {
				t.Errorf("History = %+v, error %v, want %q", got, err, c.err)
			}
		})
	}
}
