package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestBackends lets a real golive move real traffic with real components, and lets each thing go wrong that goes
// wrong with them: golive is killed in the middle of a shift, the component dies when it is needed, somebody else
// moves the traffic.
func TestBackends(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes; make test runs it")
	}
	for name, build := range map[string]func(*testing.T, *storefront) rig{
		"haproxy": newHAProxyRig, "nginx": newNginxRig, "releases": newReleasesRig, "flagd": newFlagdRig,
	} {
		t.Run(name, func(t *testing.T) {
			slow := name == "releases" || name == "flagd"
			if slow {
				t.Parallel() // with each other: nobody's latency is measured here
			}
			for trial, test := range map[string]func(*testing.T, *storefront, rig){
				"killed in mid-shift":      killedInMidShift,
				"component comes back":     componentComesBack,
				"component stays dead":     componentStaysDead,
				"somebody moves it":        somebodyMovesIt,
				"somebody takes it away":   somebodyTakesItAway,
				"bad release goes back":    badReleaseGoesBack,
				"interrupted in mid-shift": interruptedInMidShift,
			} {
				if slow && trial == "bad release goes back" {
					continue // so it does once the component has come back
				}
				t.Run(trial, func(t *testing.T) {
					s := newStorefront(t)
					r := build(t, s)
					deadline := "60s" // of the way back
					if trial == "component stays dead" {
						deadline = "8s"
					}
					s.open(t, r, deadline)
					test(t, s, r)
				})
			}
		})
	}
}

// TestListedInstances lets a real golive find the instances to read where the backend has them.
func TestListedInstances(t *testing.T) {
	for name, build := range map[string]func(*testing.T, *storefront) rig{"haproxy": newHAProxyRig, "nginx": newNginxRig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorefront(t)
			s.targets = "{canary: ['backend+http:///metrics'], stable: ['backend+http:///metrics']}"
			s.open(t, build(t, s), "60s")
			s.errors.Store(30)
			s.start(t)
			s.end(t, exitRolledBack, guard.RolledBack)
			read := map[string]bool{}
			for _, e := range s.history(t).Events {
				if f, ok := e.Fact.(guard.Measured); ok {
					for _, series := range f.Reading.Series {
						read[string(series.Arm)+" "+series.Instance] = true
					}
				}
			}
			want := map[string]bool{"canary " + s.arms["v2"].address(): true, "baseline " + s.arms["v1"].address(): true}
			if !maps.Equal(read, want) {
				t.Errorf("it read %v, want %v", read, want)
			}
		})
	}
}

// A rig is a component that moves traffic, and the ways to disturb it.
type rig struct {
	backend string      // the part, as a plan has it
	stall   func()      // the next shift stops in the middle
	stalled func() bool // one has
	thaw    func()      // it goes on
	kill    func()      // the component dies
	revive  func()      // and is started again
	meddle  func(int)   // somebody gives the new version a share
}

// A storefront is two versions of a shop, customers, and golive.
type storefront struct {
	dir     string
	front   string                 // address of the component
	door    func() (string, error) // a customer goes in, and learns the version that serves him
	arms    map[string]*arm
	targets string       // what scrape reads, as a plan has it
	errors  atomic.Int64 // of v2, in percent

	chapters string   // of the plan, beside rollout and watch
	env      []string // of golive, beside what the test itself has
	story    safeBuffer
	command  *exec.Cmd
	ended    chan struct{} // closed when it has
}

// An arm is one version's server, which counts as applications do.
type arm struct {
	good, bad atomic.Int64
	server    *httptest.Server
}

// metrics are those of a server that answers everything within 25 ms.
func (a *arm) metrics(w io.Writer) {
	good, bad := a.good.Load(), a.bad.Load()
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

func (a *arm) address() string { return a.server.Listener.Addr().String() }

type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // not embedded: who copies into it would pass the lock by, with its ReadFrom
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newStorefront(t *testing.T) *storefront {
	t.Helper()
	s := &storefront{chapters: ready, dir: t.TempDir(), front: fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)), arms: map[string]*arm{}}
	s.door = func() (string, error) { return plugintest.Visit(s.front) }
	for _, version := range []string{"v1", "v2"} {
		a := &arm{}
		a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/healthz":
			case r.URL.Path == "/metrics":
				a.metrics(w)
			case version == "v2" && rand.Int64N(100) < s.errors.Load():
				a.bad.Add(1)
				http.Error(w, "broken", http.StatusInternalServerError)
			default:
				a.good.Add(1)
				fmt.Fprint(w, version)
			}
		}))
		t.Cleanup(a.server.Close)
		s.arms[version] = a
	}
	s.targets = fmt.Sprintf("{canary: ['http://%s/metrics'], stable: ['http://%s/metrics']}", s.arms["v2"].address(), s.arms["v1"].address())
	return s
}

// open writes the plan, and lets the customers in.
func (s *storefront) open(t *testing.T, r rig, deadline string) {
	t.Helper()
	plan := upToDate(`
service: shop
rollout:
  backend: ` + r.backend + `
  steps: [30, 100]
  bake: {for: 3s, hold_back: 20%} # it may last three times as long: enough for two looks of a machine that is busy
  deadline: {shift: 60s, rollback: ` + deadline + `}
watch:
  source:
    use: scrape
    with: ` + s.targets + `
  every: 1s
  warmup: 0s
  episodes: 0s
  promote: {min_step: 2s, max_step: 60s, margin: 5pp}
  signals:
    - {name: errors, total: http_requests_total, bad: 'http_requests_total{code=~"5.."}', never: 40%}
    - {name: latency, histogram: http_request_duration_seconds}
` + s.chapters)
	if err := errors.Join(os.WriteFile(filepath.Join(s.dir, "golive.yaml"), []byte(plan), 0o600), beginLedger(s.dir)); err != nil {
		t.Fatal(err)
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
	t.Cleanup(func() { closed.Store(true); customers.Wait() })
	eventually(t, "customers are served", func() bool { return s.arms["v1"].good.Load() > 100 })
	t.Cleanup(func() {
		if s.command != nil {
			s.kill()
		}
		if t.Failed() {
			t.Logf("the story:\n%s", s.story.String())
		}
	})
}

// visit is one customer. It returns the version that served him; empty: none did.
func (s *storefront) visit() string {
	version, err := s.door()
	if err != nil {
		return ""
	}
	return version
}

// start starts golive on the rollout, or lets it go on.
func (s *storefront) start(t *testing.T) {
	t.Helper()
	s.run(t, "rollout", "--from", "v1", "--to", "v2")
}

// run starts a command of golive beside the test.
func (s *storefront) run(t *testing.T, args ...string) {
	t.Helper()
	s.command = s.golive(args...)
	s.command.Stdout, s.command.Stderr = &s.story, &s.story
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func() {
		_ = s.command.Wait() // its exit code tells
		close(s.ended)
	}()
}

// golive is a command of golive that is still to be started.
func (s *storefront) golive(args ...string) *exec.Cmd {
	c := exec.Command("golive", args...)
	c.Dir, c.Env = s.dir, append(os.Environ(), s.env...)
	return c
}

func (s *storefront) kill() {
	_ = s.command.Process.Kill() // it may have ended
	<-s.ended
}

// end waits for golive, and wants its exit code and its last share.
func (s *storefront) end(t *testing.T, exit int, outcome guard.Outcome) {
	t.Helper()
	<-s.ended
	if got := s.command.ProcessState.ExitCode(); got != exit {
		t.Errorf("exit code %d, want %d", got, exit)
	}
	h := s.history(t)
	if h == nil {
		t.Fatal("there is no journal")
	}
	if h.State.Outcome != outcome {
		t.Errorf("the rollout is %s, want %s", h.State.Outcome, outcome)
	}
	if _, err := journal.Verify(h.Path); err != nil {
		t.Error(err)
	}
}

// serves wants all customers served by one version.
func (s *storefront) serves(t *testing.T, version string) {
	t.Helper()
	for range 50 {
		if got := s.visit(); got != version {
			t.Fatalf("a customer met %q, want %s", got, version)
		}
	}
}

// history is what the journal holds by now; nil before it holds anything.
func (s *storefront) history(t *testing.T) *history {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, ".golive", "*"+journal.Extension))
	if err != nil || len(found) > 1 {
		t.Fatalf("%d journals (%v), want one", len(found), err)
	}
	if len(found) == 0 {
		return nil
	}
	h, err := readHistory(found[0])
	if err != nil {
		return nil // it is just being opened
	}
	return h
}

// await waits until the journal holds what is wanted.
func (s *storefront) await(t *testing.T, what string, done func(*history) bool) *history {
	t.Helper()
	for {
		over := s.over()
		if h := s.history(t); h != nil && done(h) {
			return h
		}
		if over {
			t.Fatalf("golive ended before this: %s", what)
		}
	}
}

// over waits a moment, and says whether golive has ended.
func (s *storefront) over() bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(50 * time.Millisecond):
		return false
	}
}

// failures are so many that something could not be done.
func failures(h *history) (n int) {
	for _, e := range h.Events {
		if _, ok := e.Fact.(guard.Failed); ok {
			n++
		}
	}
	return n
}

func (s *storefront) awaitWatching(t *testing.T) {
	t.Helper()
	s.await(t, "the first step is watched", func(h *history) bool { return h.State.Phase == guard.Watching && h.State.Seen == 30 })
}

// awaitStalled waits until a shift stands still.
func (s *storefront) awaitStalled(t *testing.T, r rig) {
	t.Helper()
	for !r.stalled() {
		if s.over() {
			t.Fatal("golive ended without another shift")
		}
	}
}

func killedInMidShift(t *testing.T, s *storefront, r rig) {
	s.start(t)
	s.awaitWatching(t)
	r.stall()
	s.awaitStalled(t, r) // on the way to 80 %
	s.kill()
	r.thaw()
	s.start(t)
	s.end(t, exitOK, guard.Live)
	s.serves(t, "v2")
	if !slices.ContainsFunc(s.history(t).Events, shiftedTo(80)) {
		t.Error("the shift that was cut short was not done again")
	}
}

// shiftedTo finds that a share was given.
func shiftedTo(percent int) func(guard.Event) bool {
	return func(e guard.Event) bool {
		shifted, ok := e.Fact.(guard.Shifted)
		return ok && shifted.Percent == percent
	}
}

func interruptedInMidShift(t *testing.T, s *storefront, r rig) {
	s.start(t)
	s.awaitWatching(t)
	r.stall()
	s.awaitStalled(t, r)
	if err := s.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r.thaw()
	s.end(t, exitInterrupted, guard.RolledBack)
	s.serves(t, "v1")
}

func badReleaseGoesBack(t *testing.T, s *storefront, _ rig) {
	s.errors.Store(50)
	s.start(t)
	s.end(t, exitRolledBack, guard.RolledBack)
	s.serves(t, "v1")
}

// tripped starts a bad release, and returns when the way back is stuck in the middle.
func tripped(t *testing.T, s *storefront, r rig) {
	t.Helper()
	s.start(t)
	s.awaitWatching(t)
	r.stall()
	s.errors.Store(60)
	s.awaitStalled(t, r)
	r.kill()
	r.thaw()
}

func componentComesBack(t *testing.T, s *storefront, r rig) {
	tripped(t, s, r)
	h := s.await(t, "going back fails", func(h *history) bool {
		return failures(h) > 0
	})
	t.Log("the trouble:", h.State.Trouble)
	r.revive()
	s.end(t, exitRolledBack, guard.RolledBack)
	s.serves(t, "v1")
}

func componentStaysDead(t *testing.T, s *storefront, r rig) {
	tripped(t, s, r)
	s.end(t, exitRollbackFailed, guard.RollbackFailed)
	h := s.history(t)
	if tries := failures(h); tries < 2 {
		t.Errorf("it was tried %d times", tries)
	}
	if !strings.Contains(s.story.String(), h.State.Trouble) || h.State.Trouble == "" {
		t.Errorf("the trouble %q is not told", h.State.Trouble)
	}
}

func somebodyMovesIt(t *testing.T, s *storefront, r rig) {
	s.start(t)
	s.awaitWatching(t)
	before := len(s.history(t).Events)
	r.meddle(80)
	h := s.await(t, "the share is put back", func(h *history) bool {
		return strings.Contains(s.story.String(), "somebody moved v2 from 30 % to ") && slices.ContainsFunc(h.Events[before:], shiftedTo(30))
	})
	ticks := 0
	for _, e := range h.Events[before:] {
		if shiftedTo(30)(e) {
			break
		}
		if measured, ok := e.Fact.(guard.Measured); ok && measured.Standing != nil { // nil: the component could not say yet
			ticks++
		}
	}
	if ticks > 2 { // one may be under way when it happens
		t.Errorf("it was seen after %d ticks", ticks)
	}
	s.end(t, exitOK, guard.Live)
	s.serves(t, "v2")
}

func somebodyTakesItAway(t *testing.T, s *storefront, r rig) {
	s.start(t)
	s.awaitWatching(t)
	r.meddle(0)
	s.end(t, exitRolledBack, guard.RolledBack)
	s.serves(t, "v1")
}

// A component is the process of one, with its children.
type component struct {
	args    []string
	process *exec.Cmd
}

func (c *component) start(t *testing.T, s *storefront) {
	t.Helper()
	var said safeBuffer
	c.process = exec.Command(c.args[0], c.args[1:]...)
	c.process.Stdout, c.process.Stderr = &said, &said
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if s.visit() != "" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.kill()
	t.Fatalf("%s does not answer: %s", c.args[0], said.String())
}

func (c *component) kill() {
	_ = syscall.Kill(-c.process.Process.Pid, syscall.SIGKILL) // it may be gone already
	_ = c.process.Wait()
}

// newHAProxyRig is an HAProxy behind a relay that can stop in the middle of two commands.
func newHAProxyRig(t *testing.T, s *storefront) rig {
	installed(t, "haproxy", "haproxy")
	dir := t.TempDir()
	config := fmt.Sprintf(`global
  stats socket %[1]s/real mode 600 level admin
  server-state-file %[1]s/state
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  load-server-state-from-file global
frontend fe
  bind %[2]s
  default_backend be
backend be
  balance roundrobin
  server v1 %[3]s weight 100
  server v2 %[4]s weight 0
`, dir, s.front, s.arms["v1"].address(), s.arms["v2"].address())
	if err := os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &component{args: []string{"haproxy", "-db", "-f", filepath.Join(dir, "haproxy.cfg")}}
	c.start(t, s)
	t.Cleanup(c.kill)

	tell := func(command string) ([]byte, error) {
		conn, err := net.Dial("unix", dir+"/real")
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, command)
		answer, mistake := io.ReadAll(conn)
		return answer, errors.Join(err, mistake)
	}
	var (
		sets    atomic.Int64 // since it was to stall; negative: it is not to
		waiting atomic.Bool
		mu      sync.Mutex
		gate    = make(chan struct{})
	)
	sets.Store(-1 << 40)
	relay, err := net.Listen("unix", dir+"/admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	go func() {
		for {
			conn, err := relay.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				command, err := bufio.NewReader(conn).ReadString('\n')
				if err != nil {
					return
				}
				if strings.HasPrefix(command, "set server") && sets.Add(1) > 1 {
					waiting.Store(true)
					mu.Lock()
					wait := gate
					mu.Unlock()
					<-wait
					return // whoever gave this order is gone, or will give it again
				}
				if answer, err := tell(command); err == nil {
					_, _ = conn.Write(answer)
				}
			}()
		}
	}()
	return rig{
		backend: fmt.Sprintf("{use: haproxy, with: {socket: %[1]s/admin, backend: be, canary: '{{.To}}', stable: '{{.From}}', state_file: %[1]s/state}}", dir),
		stall:   func() { sets.Store(0) },
		stalled: waiting.Load,
		thaw: func() {
			sets.Store(-1 << 40)
			mu.Lock()
			defer mu.Unlock()
			close(gate)
			gate = make(chan struct{})
		},
		kill:   c.kill,
		revive: func() { c.start(t, s) },
		meddle: func(percent int) {
			for version, weight := range map[string]int{"v1": 100 - percent, "v2": percent} {
				if answer, err := tell(fmt.Sprintf("set server be/%s weight %d\n", version, weight)); err != nil || len(bytes.TrimSpace(answer)) > 0 {
					t.Errorf("meddling: %s, %v", answer, err)
				}
			}
		},
	}
}

// newNginxRig is an nginx whose master can be stopped, so that a reload does not come.
func newNginxRig(t *testing.T, s *storefront) rig {
	installed(t, "nginx", "nginx-light")
	dir, status := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t))
	file := filepath.Join(dir, "golive.conf")
	content := func(percent int) string {
		return fmt.Sprintf(`# Written by golive, which moves traffic by it: {"percent":0,"canary":"v2","stable":"v1","fence":0,"seq":0}
split_clients "$request_id" $golive {
	%d%% v2;
	* v1;
}
server {
	listen %s;
	location = /state { return 200 '{"state":{"percent":0,"canary":"v2","stable":"v1","fence":0,"seq":0},"arm":"$golive"}'; }
	location = /stable { proxy_pass http://v1/healthz; }
}
`, percent, status)
	}
	at := func(percent int) []byte {
		if percent == 0 {
			return []byte(strings.Replace(content(0), "\t0% v2;\n", "", 1))
		}
		return []byte(content(percent))
	}
	config := fmt.Sprintf(`daemon off;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log warn;
events {}
http {
access_log off;
client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
include %[2]s;
upstream v1 { server %[3]s; }
upstream v2 { server %[4]s max_fails=0; }
server { listen %[5]s; location / { proxy_pass http://$golive; } }
}
`, dir, file, s.arms["v1"].address(), s.arms["v2"].address(), s.front)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600), os.WriteFile(file, at(0), 0o600)); err != nil {
		t.Fatal(err)
	}
	c := &component{args: []string{"nginx", "-c", filepath.Join(dir, "nginx.conf")}}
	c.start(t, s)
	t.Cleanup(c.kill)
	signal := func(signal syscall.Signal) { _ = syscall.Kill(c.process.Process.Pid, signal) } // it may be dead
	var before []byte
	return rig{
		backend: fmt.Sprintf("{use: nginx, with: {file: %s, canary: '{{.To}}', stable: '{{.From}}', status: %q, health: /healthz, config: %[3]s/nginx.conf, pid: %[3]s/nginx.pid, timeout: 5s}}", file, status, dir),
		stall: func() {
			before, _ = os.ReadFile(file)
			signal(syscall.SIGSTOP)
		},
		stalled: func() bool {
			now, _ := os.ReadFile(file)
			return !bytes.Equal(now, before)
		},
		thaw:   func() { signal(syscall.SIGCONT) },
		kill:   c.kill,
		revive: func() { c.start(t, s) },
		meddle: func(percent int) {
			if err := os.WriteFile(file, at(percent), 0o600); err != nil {
				t.Error(err)
			}
			signal(syscall.SIGHUP)
		},
	}
}
