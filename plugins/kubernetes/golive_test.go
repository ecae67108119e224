package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestClusterGolive lets a real golive, with this plugin as a program, move real traffic between Deployments, and lets
// each thing go wrong that goes wrong with them.
func TestClusterGolive(t *testing.T) {
	if os.Getenv("GOLIVE_KUBECONFIG") == "" {
		t.Skip("no cluster: make e2e-kube KUBECONFIG=FILE")
	}
	golive := filepath.Join(t.TempDir(), "golive")
	if said, err := exec.Command("go", "build", "-o", golive, "../../cmd/golive").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, said)
	}
	plugintest.Install(t, "kubernetes")

	t.Run("killed in mid-shift", func(t *testing.T) {
		s := newShop(t, golive, newWorld(t), "2s")
		s.begin(t)
		s.await(t, "watching for")
		eventually(t, "the next shift is under way", func() bool {
			object, err := s.admin.get(t.Context(), deployments, "shop-v2")
			if err != nil {
				return false
			}
			replicas, _, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
			return err == nil && replicas > 1
		})
		s.kill() // new pods take two seconds to become ready
		s.begin(t)
		s.end(t, 0, "v2")
	})
	t.Run("somebody moves it", func(t *testing.T) {
		s := newShop(t, golive, newWorld(t), "")
		s.begin(t)
		s.await(t, "watching for")
		s.patch(t, "Deployment", "shop-v2", `{"spec": {"replicas": 3}}`)
		s.await(t, "somebody moved v2 from 25 % to ")
		s.end(t, 0, "v2")
	})
	for name, comes := range map[string]bool{"the server comes back": true, "the server stays away": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			wire := newWire(t, w)
			s := newShop(t, golive, w, "", "kubeconfig", wire.kubeconfig, "timeout", "2s")
			s.begin(t)
			s.await(t, "watching for")
			wire.cut()
			s.errors.Store(60)
			s.await(t, "GOING BACK to v1")
			if !comes {
				s.end(t, 11, "")
				if strings.Count(s.story.String(), "connection refused") == 0 {
					t.Error("the story does not say why")
				}
				return
			}
			s.await(t, "connection refused")
			wire.mend(t)
			s.end(t, 10, "v1")
		})
	}
}

// A shop is the pair of Deployments, customers who count what becomes of them, and golive, which is told so.
type shop struct {
	*world
	golive, dir, address string
	errors               atomic.Int64 // of v2, in percent

	mu    sync.Mutex
	good  map[string]int // requests, by version
	bad   map[string]int
	story story
	run   *exec.Cmd
	ended chan struct{}
}

// A story is what a program says while it runs.
type story struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *story) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// newShop opens a shop of four pods. Those of v2 take so long to become ready.
func newShop(t *testing.T, golive string, w *world, slow string, change ...any) *shop {
	t.Helper()
	if !w.inside {
		t.Skip("customers cannot reach the pods from here")
	}
	s := &shop{world: w, golive: golive, dir: t.TempDir(), address: w.pair(t, 4, slow), good: map[string]int{}, bad: map[string]int{}}
	metrics := httptest.NewServer(http.HandlerFunc(s.metrics))
	t.Cleanup(metrics.Close)
	with, err := json.Marshal(w.pairWith(4, change...))
	if err != nil {
		t.Fatal(err)
	}
	deadline := "60s"
	if strings.Contains(t.Name(), "stays_away") {
		deadline = "10s"
	}
	plan := fmt.Sprintf(`
service: shop
plugins: [{name: kubernetes}]
rollout:
  backend: {use: kubernetes-replicas, with: %s}
  steps: [25, 100]
  bake: {for: 3s, hold_back: 25%%}
  deadline: {shift: 60s, rollback: %s}
watch:
  source: {use: scrape, with: {canary: ["%[3]s/v2"], stable: ["%[3]s/v1"]}}
  every: 1s
  warmup: 0s
  episodes: 0s
  promote: {min_step: 2s, max_step: 60s, margin: 5pp}
  signals:
    - {name: errors, total: http_requests_total, bad: 'http_requests_total{code=~"5.."}', never: 40%%}
    - {name: latency, histogram: http_request_duration_seconds}
data: []
roster:
  people:
    - {name: A, role: commander, reach: [{phone: "+44 20 7946 0001"}, {email: a@shop.test}]}
    - {name: B, role: deputy, reach: [{phone: "+44 20 7946 0002"}, {email: b@shop.test}]}
    - {name: C, role: technical_lead, reach: [{phone: "+44 20 7946 0003"}, {email: c@shop.test}]}
    - {name: D, role: on_duty, reach: [{phone: "+44 20 7946 0004"}, {email: d@shop.test}]}
    - {name: E, role: comms, reach: [{phone: "+44 20 7946 0005"}, {email: e@shop.test}]}
  verified: %[4]s
  shifts: [{name: D, when: 24x7}]
  vendors: []
severity:
  - {level: 1, when: errors > 20%%, lead: commander, page: everyone}
  - {level: 2, when: errors > 5%%, lead: technical_lead, page: on_duty}
  - {level: 3, when: "true", lead: on_duty, page: on_duty}
escalate: [{after: 60m, to: [customer, management]}]
calendar: {allowed: [24x7]}
`, with, deadline, metrics.URL, time.Now().UTC().Format(time.DateOnly))
	if err := os.WriteFile(filepath.Join(s.dir, "golive.yaml"), []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := s.command("ledger", "init").CombinedOutput(); err != nil {
		t.Fatalf("golive ledger init: %v: %s", err, said)
	}
	var customers sync.WaitGroup
	var closed atomic.Bool
	for range 6 {
		customers.Go(func() {
			for !closed.Load() {
				s.visit()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	t.Cleanup(func() {
		closed.Store(true)
		customers.Wait()
		if t.Failed() {
			t.Logf("the story:\n%s", s.story.String())
		}
	})
	return s
}

// visit is one customer. It returns the version that served him; empty: none did.
func (s *shop) visit() string {
	version, err := plugintest.Visit(s.address)
	if err != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if version == "v2" && rand.Int64N(100) < s.errors.Load() {
		s.bad[version]++
	} else {
		s.good[version]++
	}
	return version
}

// metrics are what the customers of a version have counted, each of whom waited for 20 ms as they say.
func (s *shop) metrics(w http.ResponseWriter, r *http.Request) {
	version := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	good, bad := s.good[version], s.bad[version]
	s.mu.Unlock()
	fmt.Fprintf(w, `# TYPE http_requests_total counter
http_requests_total{code="200"} %d
http_requests_total{code="500"} %d
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.025"} %[3]d
http_request_duration_seconds_bucket{le="0.5"} %[3]d
http_request_duration_seconds_bucket{le="+Inf"} %[3]d
http_request_duration_seconds_sum %[4]f
http_request_duration_seconds_count %[3]d
`, good, bad, good+bad, 0.02*float64(good+bad))
}

func (s *shop) command(args ...string) *exec.Cmd {
	command := exec.Command(s.golive, args...)
	command.Dir = s.dir
	return command
}

// begin starts golive on the rollout, or lets it go on.
func (s *shop) begin(t *testing.T) {
	t.Helper()
	run := s.command("rollout", "--from", release.From, "--to", release.To)
	run.Stdout, run.Stderr = &s.story, &s.story
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = run.Wait() // its exit code tells
		close(ended)
	}()
	s.run, s.ended = run, ended
	t.Cleanup(s.kill)
}

func (s *shop) kill() {
	_ = s.run.Process.Kill() // it may have ended
	<-s.ended
}

// await waits until golive says something.
func (s *shop) await(t *testing.T, what string) {
	t.Helper()
	for !strings.Contains(s.story.String(), what) {
		select {
		case <-s.ended:
			t.Fatalf("golive ended without saying %q", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// end waits for golive, and wants its exit code and, unless it is empty, all customers with one version.
func (s *shop) end(t *testing.T, exit int, version string) {
	t.Helper()
	<-s.ended
	if got := s.run.ProcessState.ExitCode(); got != exit {
		t.Errorf("exit code %d, want %d", got, exit)
	}
	for range 50 {
		if got := s.visit(); version != "" && got != version {
			t.Fatalf("a customer met %q, want %s", got, version)
		}
	}
}
