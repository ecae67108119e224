package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/generic"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// A fleet is many services that one process plays: where their traffic goes, and what their versions count. It is
// the only thing that remembers what servers have really done, and it holds them to the fence.
type fleet struct {
	web  *httptest.Server
	dir  string // of the plans
	rate float64

	mu       sync.Mutex
	services map[string]*shipped
}

// A shipped is one service of a fleet.
type shipped struct {
	to         string // the version that gets percent of the traffic
	percent    int
	fence, seq int64
	effects    []effect
	keys       map[string]int // effects by key
	stale      int            // calls that were refused
	seen       time.Time
	counts     map[string]*[2]float64 // requests and errors, by version
}

// An effect is a call that has changed where the traffic goes.
type effect struct {
	Fence, Seq int64
	To         string
	Percent    int
}

// harmful says that a version does harm.
func harmful(version string) bool { return strings.HasPrefix(version, "bad") }

func newFleet(t *testing.T, services int) *fleet {
	t.Helper()
	f := &fleet{dir: t.TempDir(), rate: 400, services: map[string]*shipped{}}
	f.web = httptest.NewServer(f)
	t.Cleanup(f.web.Close)
	for i := range services {
		f.add(t, fmt.Sprintf("svc%02d", i))
	}
	return f
}

// add writes the plan of a service.
func (f *fleet) add(t *testing.T, service string) {
	t.Helper()
	f.services[service] = &shipped{seen: time.Now(), counts: map[string]*[2]float64{}, keys: map[string]int{}}
	dir := filepath.Join(f.dir, service)
	plan := upToDate(`
service: ` + service + `
environment: test
rollout:
  backend:
    use: http
    with:
      inspect: {url: "` + f.web.URL + `/` + service + `/{{.To}}/standing"}
      shift: {url: "` + f.web.URL + `/` + service + `/{{.To}}/shift?percent={{.Percent}}&fence={{.Fence}}&seq={{.Seq}}&key={{.Key}}"}
  steps: [10, 30, 60, 100]
  bake: {for: 2s, hold_back: 20%}
  deadline: {shift: 60s, rollback: 120s}
  blind: {after: 60s}
watch:
  source:
    use: scrape
    with: {canary: ["` + f.web.URL + `/` + service + `/{{.To}}/metrics"], stable: ["` + f.web.URL + `/` + service + `/{{.From}}/metrics"]}
  every: 1s
  warmup: 0s
  episodes: 0s
  promote: {min_step: 2s, max_step: 10m, margin: 5pp}
  signals:
    - {name: errors, total: http_requests_total, bad: 'http_requests_total{code=~"5.."}', never: 40%}
    - {name: latency, histogram: http_request_duration_seconds}
` + ready)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "golive.yaml"), []byte(plan), 0o600), beginLedger(dir)); err != nil {
		t.Fatal(err)
	}
}

// ServeHTTP answers /SERVICE/VERSION/standing, shift and metrics.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.services[words[0]]
	if s == nil || len(words) != 3 {
		http.NotFound(w, r)
		return
	}
	version := words[1]
	s.count(f.rate)
	switch words[2] {
	case "standing":
		percent := 0
		if s.to == version {
			percent = s.percent
		}
		fmt.Fprintf(w, `{"percent": %d, "undo": {"open": true}}`, percent)
	case "shift":
		s.shift(w, r, version)
	case "metrics":
		c := s.counts[version]
		if c == nil {
			c = &[2]float64{}
		}
		all, errors := math.Floor(c[0]), math.Floor(c[1])
		fmt.Fprintf(w, `# TYPE http_requests_total counter
http_requests_total{code="200"} %.0f
http_requests_total{code="500"} %.0f
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.025"} %[3]f
http_request_duration_seconds_bucket{le="+Inf"} %[3]f
http_request_duration_seconds_sum %[4]f
http_request_duration_seconds_count %[3]f
`, all-errors, errors, all, 0.02*all)
	}
}

// count lets the customers of the time since the last look be served.
func (s *shipped) count(rate float64) {
	now := time.Now()
	n := rate * now.Sub(s.seen).Seconds()
	s.seen = now
	for version, share := range map[string]float64{s.to: float64(s.percent) / 100, "v1": 1 - float64(s.percent)/100} {
		if version == "" {
			continue
		}
		c := s.counts[version]
		if c == nil {
			c = &[2]float64{}
			s.counts[version] = c
		}
		c[0] += n * share
		if harmful(version) {
			c[1] += n * share * .3
		}
	}
}

// shift is what a backend does that enforces the fence: whoever has acted in a higher place is never overruled.
func (s *shipped) shift(w http.ResponseWriter, r *http.Request, version string) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return n
	}
	fence, seq, percent, key := number("fence"), number("seq"), int(number("percent")), r.URL.Query().Get("key")
	if fence < s.fence || fence == s.fence && seq < s.seq {
		s.stale++
		http.Error(w, "a later owner has acted", http.StatusConflict)
		return
	}
	s.fence, s.seq = fence, seq
	if percent > s.percent && rand.IntN(4) == 0 {
		http.Error(w, "not just now", http.StatusServiceUnavailable) // so that a retry is often under way
		return
	}
	if s.to != version && percent == 0 || s.to == version && s.percent == percent {
		return
	}
	s.to, s.percent = version, percent
	s.keys[key]++
	s.effects = append(s.effects, effect{fence, seq, version, percent})
}

// reset gives v1 all of the traffic of a service, as before any rollout.
func (f *fleet) reset(service string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.services[service]
	s.count(f.rate)
	s.to, s.percent = "", 0
}

// standing is where the traffic of a service goes.
func (f *fleet) standing(service string) (to string, percent int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.services[service].to, f.services[service].percent
}

// twice are the calls that have had an effect more than once, and the number of those that were refused.
func (f *fleet) twice() (twice []string, stale int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for service, s := range f.services {
		stale += s.stale
		for key, n := range s.keys {
			if n > 1 {
				twice = append(twice, fmt.Sprintf("%s: %s had an effect %d times: %v", service, key, n, s.effects))
			}
		}
	}
	return twice, stale
}

// A station is one golive serve.
type station struct {
	args    []string
	env     []string
	url     string
	log     *safeBuffer
	command *exec.Cmd
	ended   chan struct{}
}

const hookSecret = "a secret of the generic hook"

// station starts a golive server for the fleet.
func (f *fleet) station(t *testing.T, store, node string) *station {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t))
	s := &station{
		args: []string{"serve", "--listen", address, "--plans", f.dir, "--store", store, "--node", node, "--ttl", "3s", "--rate", "10000"},
		env:  append(os.Environ(), "GOLIVE_JOURNAL="+t.TempDir(), "GOLIVE_HOOK_SECRET="+hookSecret),
		url:  "http://" + address,
		log:  &safeBuffer{},
	}
	s.start(t)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text := s.log.String()
			t.Logf("the log of %s ends:\n%s", node, text[max(0, len(text)-6000):])
		}
	})
	return s
}

func (s *station) start(t *testing.T) {
	t.Helper()
	s.command = exec.Command("golive", s.args...)
	s.command.Env, s.command.Stdout, s.command.Stderr = s.env, s.log, s.log
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait() // its exit code tells
		close(ended)
	}(s.command, s.ended)
}

func (s *station) kill() {
	_ = s.command.Process.Kill() // it may have ended
	<-s.ended
}

func (s *station) signal(sig syscall.Signal) { _ = s.command.Process.Signal(sig) }

// ready says whether the server takes rollouts on.
func (s *station) ready() bool {
	response, err := (&http.Client{Timeout: time.Second}).Get(s.url + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// A client sends to any of the stations until one has taken it.
type client struct {
	stations []*station
	http     http.Client
}

func newClient(stations ...*station) *client {
	return &client{stations: stations, http: http.Client{Timeout: 5 * time.Second}}
}

// send asks again, of any station, until the answer is not that of a server that is down or busy with itself.
func (c *client) send(t *testing.T, method, path, key, body string) (status int, answer []byte) {
	t.Helper()
	for try := 0; ; try++ {
		s := c.stations[rand.IntN(len(c.stations))]
		request, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case path == "/v1/hooks/generic":
			request.Header.Set(generic.Delivery, key)
			request.Header.Set(generic.Signature, generic.Sign([]byte(hookSecret), time.Now(), []byte(body)))
		case key != "":
			request.Header.Set("Idempotency-Key", key)
		}
		response, err := c.http.Do(request)
		if err == nil {
			answer, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		if err == nil && response.StatusCode < 500 {
			return response.StatusCode, answer
		}
		if t.Context().Err() != nil {
			t.Fatal("the test is over")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// rollout asks how a rollout stands.
func (c *client) rollout(t *testing.T, id string) (r struct {
	Phase   guard.Phase   `json:"phase"`
	Outcome guard.Outcome `json:"outcome"`
	Open    bool          `json:"open"`
	Why     string        `json:"why"`
	Guard   string        `json:"guard"`
	Percent int           `json:"percent"`
}) {
	t.Helper()
	status, body := c.send(t, "GET", "/v1/rollouts/"+id, "", "")
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", id, status, body)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// open opens a rollout, once, however often it has to be asked for.
func (c *client) open(t *testing.T, service, from, to string) string {
	t.Helper()
	body := fmt.Sprintf(`{"service": %q, "environment": "test", "from": %q, "to": %q}`, service, from, to)
	status, answer := c.send(t, "POST", "/v1/rollouts", "open "+service+" "+to, body)
	var o struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &o); status != http.StatusCreated || err != nil || o.ID == "" {
		t.Fatalf("open %s of %s: %d %s", to, service, status, answer)
	}
	return o.ID
}

// standDown ends the incident that a rollout has become, if it has, so that the next of its service may begin.
func (c *client) standDown(t *testing.T, id string) {
	t.Helper()
	if !c.rollout(t, id).Open {
		return
	}
	status, answer := c.send(t, "POST", "/v1/rollouts/"+id+"/statements", "stand down "+id, `{"what": "stand-down", "text": "it is over"}`)
	if status != http.StatusAccepted && status != http.StatusOK {
		t.Fatalf("stand %s down: %d %s", id, status, answer)
	}
	eventually(t, id+" is stood down", func() bool { return !c.rollout(t, id).Open })
}

// facts reads the journal of a rollout, which has to be whole.
func (c *client) facts(t *testing.T, id string) []guard.Event {
	t.Helper()
	status, body := c.send(t, "GET", "/v1/rollouts/"+id+"/journal", "", "")
	if status != http.StatusOK {
		t.Fatalf("journal of %s: %d %s", id, status, body)
	}
	path := filepath.Join(t.TempDir(), id+".jsonl")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := readHistory(path)
	if err != nil {
		t.Fatalf("%s: %v\n%s", id, err, bytes.TrimSpace(body))
	}
	return h.Events
}

// A database is a PostgreSQL of its own for a store, which refuses one that does not write to the disk.
type database struct {
	postgres
	port int
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	d := &database{initPostgres(t), plugintest.Port(t)}
	d.start(t)
	t.Cleanup(func() { d.stop(t) })
	return d
}

func (d *database) start(t *testing.T) {
	d.run(t, "pg_ctl", "start", "-w", "-D", d.data, "-l", filepath.Join(d.dir, "log"), "-o",
		fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%d -c max_connections=200 -c unix_socket_directories=%s", d.port, d.dir))
}

func (d *database) stop(t *testing.T) {
	d.run(t, "pg_ctl", "stop", "-w", "-m", "immediate", "-D", d.data)
}

// address is that of a store on the database, at the port of its own or of a wire to it.
func (d *database) address(port int) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", port)
}

// A wire is the network between a server and its database. While it is cut nothing comes through and nobody is told.
type wire struct {
	port  int
	mu    sync.Mutex
	whole *sync.Cond
	cut   bool
}

func (d *database) wire(t *testing.T) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	w := &wire{port: listener.Addr().(*net.TCPAddr).Port}
	w.whole = sync.NewCond(&w.mu)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.port))
			if err != nil {
				_ = near.Close()
				continue
			}
			go w.carry(near, far)
			go w.carry(far, near)
		}
	}()
	return w
}

// carry takes what comes on one side to the other, as long as the wire is whole.
func (w *wire) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		for w.cut {
			w.whole.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// set cuts the wire, or makes it whole.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	w.whole.Broadcast()
}
