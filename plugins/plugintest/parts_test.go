package plugintest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/command"
	"github.com/golive-dev/golive/plugins/file"
	parthttp "github.com/golive-dev/golive/plugins/http"
	"github.com/golive-dev/golive/plugins/plugintest"
	"github.com/golive-dev/golive/plugins/scrape"
	"github.com/golive-dev/golive/plugins/stdout"
	"github.com/golive-dev/golive/plugins/tail"
)

// all are the parts of this tree, which every test runs linked in and through a plugin's process.
var all = plugins.Kit{
	Name: "all",
	Backends: map[string]func(guard.With) (guard.Backend, error){
		"command": command.NewBackend,
		"http":    parthttp.NewBackend,
	},
	Sources: map[string]func(guard.With) (guard.Source, error){
		"scrape": scrape.NewSource,
	},
	Notifiers: map[string]func(guard.With) (guard.Notifier, error){
		"http":   parthttp.NewNotifier,
		"stdout": stdout.NewNotifier(os.Stderr),
	},
	Probes: map[string]func(guard.With) (guard.Probe, error){
		"command": command.NewProbe,
		"http":    parthttp.NewProbe,
	},
	Vaults: map[string]func(guard.With) (guard.Vault, error){
		"command": command.NewVault,
		"file":    file.NewVault,
	},
}

func TestMain(m *testing.M) { plugintest.Main(m, all) }

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

func TestCommand(t *testing.T) {
	plugintest.Both(t, all, func(t *testing.T, kit plugins.Kit) {
		dir := t.TempDir()
		// It keeps the share and the highest order in files, as a script for a real router would.
		b := plugintest.Make(t, kit.Backends["command"], guard.With{
			"inspect": `cd ` + dir + `; echo "{\"percent\":$(cat percent 2>/dev/null || echo 0),\"undo\":{\"open\":true}}"`,
			"shift": `cd ` + dir + `
				order=$((GOLIVE_FENCE * 1000000 + GOLIVE_SEQ))
				[ "$order" -ge "$(cat order 2>/dev/null || echo 0)" ] || { echo "an older order" >&2; exit 1; }
				echo $order >order; echo $GOLIVE_PERCENT >percent.part; mv percent.part percent`,
			"finish": `echo $GOLIVE_TO >` + dir + `/live`,
		})
		plugintest.Backend(t, b, plugintest.BackendCase{Fenced: true})
		fences(t, b, guard.FenceAdvisory)
		fences(t, plugintest.Make(t, kit.Backends["command"], guard.With{"inspect": "echo", "shift": "./shift $GOLIVE_PERCENT"}), guard.FenceNone)
		if live, err := os.ReadFile(filepath.Join(dir, "live")); err != nil || string(live) != "v2\n" {
			t.Errorf("after Finish the live version is %q, %v", live, err)
		}
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["command"], guard.With{"run": "echo $GOLIVE_FROM", "contains": "{{.From}}"}), release, guard.Pass)
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["command"], guard.With{"run": "exit 4"}), release, guard.Fail)
		plugintest.Vault(t, plugintest.Make(t, kit.Vaults["command"], guard.With{"list": "echo 2026-11-24T03:00:00Z full"}), 1)
	})
}

// fences wants a backend to say this of its fence, near and far.
func fences(t *testing.T, b guard.Backend, want guard.Fence) {
	t.Helper()
	if got := guard.FenceOf(b); got != want {
		t.Errorf("the fence is %q, want %q", got, want)
	}
}

// balancer is a small true router for the http backend.
type balancer struct {
	mu      sync.Mutex
	percent int
	fence   [2]int
	notices int
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	number := func(name string) int { n, _ := strconv.Atoi(r.FormValue(name)); return n }
	switch r.Method + " " + r.URL.Path {
	case "GET /versions/v2":
		fmt.Fprintf(w, `{"percent":%d,"undo":{"open":true},"shares":[0,5,100]}`, b.percent)
	case "PUT /versions/v2":
		order := [2]int{number("fence"), number("seq")}
		if order[0] < b.fence[0] || order[0] == b.fence[0] && order[1] < b.fence[1] {
			http.Error(w, "an older order", http.StatusConflict)
			return
		}
		b.fence, b.percent = order, number("percent")
	case "POST /versions/v2/finish":
	case "POST /notices":
		b.notices++
	default:
		http.NotFound(w, r)
	}
}

func TestHTTP(t *testing.T) {
	plugintest.Both(t, all, func(t *testing.T, kit plugins.Kit) {
		router := &balancer{}
		s := httptest.NewServer(router)
		defer s.Close()
		b := plugintest.Make(t, kit.Backends["http"], guard.With{
			"inspect": map[string]any{"url": s.URL + "/versions/{{.To}}"},
			"shift":   map[string]any{"method": "PUT", "url": s.URL + "/versions/{{.To}}?percent={{.Percent}}&fence={{.Fence}}&seq={{.Seq}}"},
			"finish":  map[string]any{"url": s.URL + "/versions/{{.To}}/finish"},
		})
		plugintest.Backend(t, b, plugintest.BackendCase{Fenced: true})
		fences(t, b, guard.FenceAdvisory)
		fences(t, plugintest.Make(t, kit.Backends["http"], guard.With{
			"inspect": map[string]any{"url": s.URL}, "shift": map[string]any{"url": s.URL + "?fence={{.Fence}}&key={{.Key}}"},
		}), guard.FenceNone)
		plugintest.Notifier(t, plugintest.Make(t, kit.Notifiers["http"], guard.With{"url": s.URL + "/notices"}), func() int {
			router.mu.Lock()
			defer router.mu.Unlock()
			return router.notices
		})
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["http"], guard.With{"url": s.URL + "/versions/v2", "contains": "percent"}), release, guard.Pass)
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["http"], guard.With{"url": s.URL + "/versions/v3"}), release, guard.Fail)
	})
}

func TestFile(t *testing.T) {
	plugintest.Both(t, all, func(t *testing.T, kit plugins.Kit) {
		dir := t.TempDir()
		for _, name := range []string{"a.dump", "b.dump", "c.dump.part"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		plugintest.Vault(t, plugintest.Make(t, kit.Vaults["file"], guard.With{"path": dir + "/*"}), 2)
		plugintest.Vault(t, plugintest.Make(t, kit.Vaults["file"], guard.With{"path": dir + "/*.tar"}), 0)
	})
}

func TestStdout(t *testing.T) {
	plugintest.Both(t, all, func(t *testing.T, kit plugins.Kit) {
		plugintest.Notifier(t, plugintest.Make(t, kit.Notifiers["stdout"], nil), nil)
	})
}

func TestScrape(t *testing.T) {
	plugintest.Both(t, all, func(t *testing.T, kit plugins.Kit) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			version := strings.TrimPrefix(r.URL.Path, "/")
			io.WriteString(w, strings.ReplaceAll(exposition, "VERSION", version))
		}))
		defer s.Close()
		source := plugintest.Make(t, kit.Sources["scrape"], guard.With{"canary": []any{s.URL + "/{{.To}}"}, "stable": []any{s.URL + "/{{.From}}"}})
		plugintest.Source(t, source, plugintest.SourceCase{Query: query})
	})
}

// query and exposition are one service, asked of every source.
var query = guard.Query{Release: release, Signals: []guard.Signal{
	{Name: "errors", Total: `http_requests_total{version="$version"}`, Bad: `http_requests_total{version="$version",code=~"5.."}`},
	{Name: "latency", Histogram: `http_request_duration_seconds{version="$version"}`},
	{Name: "queue", Value: `max(queue_depth{version="$version"})`},
}}

const exposition = `# TYPE http_requests_total counter
http_requests_total{version="VERSION",code="200"} 90
http_requests_total{version="VERSION",code="500"} 10
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{version="VERSION",le="0.1"} 80
http_request_duration_seconds_bucket{version="VERSION",le="1"} 99
http_request_duration_seconds_bucket{version="VERSION",le="+Inf"} 100
http_request_duration_seconds_sum{version="VERSION"} 12.5
http_request_duration_seconds_count{version="VERSION"} 100
# TYPE queue_depth gauge
queue_depth{version="VERSION"} 7
`

// TestCollectors holds those that come with golive to their contract. They are near only.
func TestCollectors(t *testing.T) {
	log := filepath.Join(t.TempDir(), "shop.log")
	if err := os.WriteFile(log, []byte("the shop is closed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Collector(t, plugintest.Make(t, command.NewCollector, guard.With{"run": "echo of $GOLIVE_TO"}), release, "of v2")
	plugintest.Collector(t, plugintest.Make(t, tail.NewCollector, guard.With{"path": log}), release, "the shop is closed")
}
