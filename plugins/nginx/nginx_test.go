package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:     "nginx",
	Backends: map[string]func(guard.With) (guard.Backend, error){"nginx": NewBackend},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// A world is a real nginx in front of one server of each version.
type world struct {
	dir     string
	address string // of the site
	status  string
	served  map[string]*atomic.Int64
	servers map[string]*httptest.Server
	process *exec.Cmd
}

func newWorld(t *testing.T) *world {
	t.Helper()
	plugintest.Needs(t, "nginx", "apt-get install -y --no-install-recommends nginx-light")
	w := &world{
		dir: t.TempDir(), address: fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)), status: fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)),
		served: map[string]*atomic.Int64{}, servers: map[string]*httptest.Server{},
	}
	upstreams := ""
	for _, version := range []string{"v0", "v1", "v2"} {
		served := &atomic.Int64{}
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				served.Add(1)
			}
			fmt.Fprint(rw, version)
		}))
		t.Cleanup(server.Close)
		w.served[version], w.servers[version] = served, server
		upstreams += fmt.Sprintf("upstream shop-%s { server %s; }\n", version, server.Listener.Addr())
	}
	w.write(t, "nginx.conf", fmt.Sprintf(`daemon off;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log warn;
events {}
http {
access_log off;
client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
include %[1]s/golive/*.conf;
%[2]sserver { listen %[3]s; location / { proxy_pass http://$golive; } }
}
`, w.dir, upstreams, w.address))
	if err := os.Mkdir(filepath.Join(w.dir, "golive"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write(t, "golive/shop.conf", split{state{Percent: 0, Canary: "shop-v2", Stable: "shop-v1", Fence: 0, Seq: 0}, perRequest, "golive", w.status, "/healthz"}.String())
	w.start(t)
	t.Cleanup(w.stop)
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w *world) start(t *testing.T) {
	t.Helper()
	var said strings.Builder
	w.process = exec.Command("nginx", "-c", w.path("nginx.conf"))
	w.process.Stdout, w.process.Stderr = &said, &said
	if err := w.process.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, err := w.get(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.stop()
	t.Fatalf("nginx does not answer: %s", said.String())
}

// stop ends nginx and its workers, who would go on without it.
func (w *world) stop() {
	_ = w.process.Process.Signal(syscall.SIGTERM) // it may be gone already
	_ = w.process.Wait()
}

// reload waits until no worker is left that was there before.
func (w *world) reload(t *testing.T) {
	t.Helper()
	before := w.workers(t)
	if err := w.process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		now := w.workers(t)
		if len(now) > 0 && !slices.ContainsFunc(now, func(pid string) bool { return slices.Contains(before, pid) }) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the old workers do not end")
}

func (w *world) workers(t *testing.T) []string {
	t.Helper()
	pid := w.process.Process.Pid
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func (w *world) with(change ...string) guard.With {
	with := guard.With{
		"file": w.path("golive/shop.conf"), "canary": "shop-{{.To}}", "stable": "shop-{{.From}}", "status": w.status,
		"health": "/healthz", "config": w.path("nginx.conf"), "pid": w.path("nginx.pid"),
	}
	for i := 0; i < len(change); i += 2 {
		with[change[i]] = change[i+1]
	}
	return with
}

func (w *world) backend(t *testing.T, change ...string) *Backend {
	t.Helper()
	return plugintest.Make(t, NewBackend, w.with(change...)).(*Backend)
}

// get asks the site once, and returns the version that answers.
func (w *world) get() (string, error) { return plugintest.Visit(w.address) }

func order(seq int64) guard.Order { return guard.Order{Release: release, Fence: 1, Seq: seq} }

func inspect(t *testing.T, b *Backend) guard.Standing {
	t.Helper()
	s, err := b.Inspect(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shift(t *testing.T, b *Backend, seq int64, percent int) {
	t.Helper()
	if err := b.Shift(t.Context(), order(seq), percent); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		w := newWorld(t)
		plugintest.Backend(t, plugintest.Make(t, kit.Backends["nginx"], w.with()), plugintest.BackendCase{Fenced: true})
	})
}

// The clients get what was asked for.
func TestSharesAtTheClients(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	seq := int64(0)
	plugintest.Shares(t, []int{0, 1, 10, 33, 50, 90, 100}, func(percent int) {
		seq++
		shift(t, b, seq, percent)
	}, func() (bool, error) {
		version, err := w.get()
		return version == "v2", err
	})
}

// A way back in the middle of load: once it is reported, nobody meets the new version any more. Beside it, the same
// load under reloads that change nothing says what nginx loses by itself.
func TestRollbackUnderLoad(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	shift(t, b, 1, 50)
	lost := func(move func(step int)) (lost, asked int64) {
		var all, failed atomic.Int64
		var stop atomic.Bool
		var load sync.WaitGroup
		for range 8 {
			load.Go(func() {
				for !stop.Load() {
					all.Add(1)
					if _, err := w.get(); err != nil {
						failed.Add(1)
						t.Log(err)
					}
				}
			})
		}
		for step := range 5 {
			time.Sleep(200 * time.Millisecond)
			move(step)
		}
		stop.Store(true)
		load.Wait()
		return failed.Load(), all.Load()
	}
	own, _ := lost(func(int) { w.reload(t) })
	failed, asked := lost(func(step int) {
		shift(t, b, int64(2+step), []int{20, 80, 50, 100, 0}[step])
		if step < 4 {
			return
		}
		before := int64(-1)
		for before != w.served["v2"].Load() { // whatever was on its way is answered
			before = w.served["v2"].Load()
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond)
		if late := w.served["v2"].Load() - before; late > 0 {
			t.Errorf("%d requests met v2 after the way back", late)
		}
	})
	if failed > own+asked/100 || asked < 200 {
		t.Errorf("%d of %d requests failed, %d without golive", failed, asked, own)
	}
}

// A shift that was cut off before the reload is seen, and repeated.
func TestNotReloaded(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	shift(t, b, 1, 10)
	cut := split{state{Percent: 50, Canary: "shop-v2", Stable: "shop-v1", Fence: 1, Seq: 2}, perRequest, "golive", w.status, "/healthz"}
	w.write(t, "golive/shop.conf", cut.String())
	if s := inspect(t, b); s.Percent != 10 || !strings.Contains(s.Detail, "it was not reloaded") {
		t.Errorf("with a file that nginx has not read: %+v", s)
	}
	shift(t, b, 2, 50)
	if s := inspect(t, b); s.Percent != 50 || s.Detail != "" {
		t.Errorf("after the repeat: %+v", s)
	}
}

// Whatever somebody else does is seen.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	b, byClient := w.backend(t), w.backend(t, "key", "$remote_addr")
	shift(t, b, 1, 10)
	text := w.read(t, "golive/shop.conf")
	w.write(t, "golive/shop.conf", strings.Replace(text, "10% shop-v2", "50% shop-v2", 1))
	if s := inspect(t, b); s.Percent < 1 || s.Percent > 25 || !strings.Contains(s.Detail, "not as golive writes it") {
		t.Errorf("after somebody edited the file: %+v", s)
	}
	w.reload(t)
	if s := inspect(t, b); s.Percent < 35 || s.Percent > 65 {
		t.Errorf("and reloaded: %+v", s)
	}
	if s, err := byClient.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "the share is not known") {
		t.Errorf("where clients are divided: %+v, %v", s, err)
	}
	shift(t, b, 2, 10)
	if s := inspect(t, b); s.Percent != 10 || s.Detail != "" {
		t.Errorf("after setting it right: %+v", s)
	}
	w.write(t, "golive/shop.conf", strings.Replace(w.read(t, "golive/shop.conf"), "10% shop-v2", "50% shop-v0", 1))
	w.reload(t)
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), `traffic to "shop-v0", which is neither`) {
		t.Errorf("with a third version: %+v, %v", s, err)
	}
}

// What the last release has left behind is where the next one begins.
func TestNextRelease(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	before := guard.Release{From: "v0", To: "v1"}
	if err := b.Shift(t.Context(), guard.Order{Release: before, Fence: 1, Seq: 1}, 100); err != nil {
		t.Fatal(err)
	}
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("all is on v1: %+v", s)
	}
	if err := b.Finish(t.Context(), guard.Order{Release: before, Fence: 1, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("all is on v1, and v0 is retired: %+v", s)
	}
	if s, err := b.Inspect(t.Context(), before); err != nil || s.Percent != 100 || s.Undo.Open || !strings.Contains(s.Undo.Detail, "shop-v0 is retired") {
		t.Errorf("the release that is finished: %+v, %v", s, err)
	}
	if text := w.read(t, "golive/shop.conf"); strings.Contains(text, "http://shop-v0") {
		t.Errorf("v0 is retired, and nginx needs it still:\n%s", text)
	}
	w.servers["v1"].Close()
	if s := inspect(t, b); s.Undo.Open || !strings.Contains(s.Undo.Detail, "shop-v1 does not answer") {
		t.Errorf("v1 is dead: %+v", s)
	}
	if err := b.Shift(t.Context(), guard.Order{Release: before, Fence: 1, Seq: 2}, 30); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "between shop-v1 and shop-v0, and not shop-v2 and shop-v1") {
		t.Errorf("another release is under way: %+v, %v", s, err)
	}
	if err := b.Shift(t.Context(), guard.Order{Release: before, Fence: 1, Seq: 3}, 0); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "all traffic to shop-v0") {
		t.Errorf("all is on v0: %+v, %v", s, err)
	}
}

func TestWayBack(t *testing.T) {
	w := newWorld(t)
	if s := inspect(t, w.backend(t)); !s.Undo.Open {
		t.Errorf("all is well, and the way back is closed: %+v", s)
	}
	closed := func(want string, change ...string) {
		t.Helper()
		if s := inspect(t, w.backend(t, change...)); s.Undo.Open || !strings.Contains(s.Undo.Detail, want) {
			t.Errorf("want %q: %+v", want, s)
		}
	}
	w.write(t, "other.pid", "7654321")
	w.write(t, "none.pid", "")
	closed("process 7654321) takes no signal", "pid", w.path("other.pid"))
	closed("not the number of a process", "pid", w.path("none.pid"))
	closed("no such file", "pid", w.path("nowhere"))
	if err := os.Mkdir(w.path("golive/shop.conf.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	closed("shop.conf.lock")
	if err := os.Remove(w.path("golive/shop.conf.lock")); err != nil {
		t.Fatal(err)
	}
	config := w.read(t, "nginx.conf")
	w.write(t, "nginx.conf", config+"}")
	closed("nginx would refuse to reload")
	w.write(t, "nginx.conf", strings.Replace(config, "upstream shop-v1", "upstream shop-v3", 1))
	closed("nginx would refuse to reload")
	w.write(t, "nginx.conf", config)
	w.servers["v1"].Close()
	closed("the old upstream shop-v1 does not answer /healthz: status 502")
}

// Whoever takes the new upstream away in haste does not bar the way back.
func TestCanaryGone(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	shift(t, b, 1, 30)
	if err := b.Finish(t.Context(), order(2)); err == nil || !strings.Contains(err.Error(), "shop-v1 has traffic still") {
		t.Errorf("Finish in the middle: %v", err)
	}
	w.write(t, "nginx.conf", strings.Replace(w.read(t, "nginx.conf"), "upstream shop-v2", "upstream shop-v3", 1))
	shift(t, b, 3, 0)
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("back: %+v", s)
	}
}

// A file with which nginx could not start does not stay.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	shift(t, b, 1, 10)
	before := w.read(t, "golive/shop.conf")
	other := guard.Order{Release: guard.Release{From: "v1", To: "v9"}, Fence: 1, Seq: 2}
	if err := b.Shift(t.Context(), other, 50); err == nil || !strings.Contains(err.Error(), "refuse to reload") {
		t.Errorf("with an upstream that there is not: %v", err)
	}
	if got := w.read(t, "golive/shop.conf"); got != before {
		t.Errorf("the file is now\n%s", got)
	}
	other.To = "v2 a; } evil"
	if err := b.Shift(t.Context(), other, 50); err == nil || !strings.Contains(err.Error(), "not the name of an upstream") {
		t.Errorf("with configuration for a version: %v", err)
	}
	b = w.backend(t, "file", w.path("nginx.conf"))
	if err := b.Shift(t.Context(), order(3), 50); err == nil || !strings.Contains(err.Error(), "does not write over it") {
		t.Errorf("with a file that is not golive's: %v", err)
	}
}

func TestDead(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t, "timeout", "1s")
	w.stop()
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "nginx does not say what it runs") {
		t.Errorf("nginx is dead, and Inspect says %+v, %v", s, err)
	}
	if err := b.Shift(t.Context(), order(1), 10); err == nil {
		t.Error("nginx is dead, and Shift says that all is well")
	}
	w.start(t)
	shift(t, b, 2, 20)
	if s := inspect(t, b); s.Percent != 20 {
		t.Errorf("after a new start: %+v", s)
	}
}

// Shifts at once end in one of them, and never in the lower order.
func TestTogether(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for seq := range 4 {
		group.Go(func() {
			_ = w.backend(t).Shift(t.Context(), order(int64(seq)), 10*(seq+1)) // a lower one may come too late
		})
	}
	group.Wait()
	if s := inspect(t, w.backend(t)); s.Percent != 40 {
		t.Errorf("after four orders at once: %+v", s)
	}
}

// Whatever answers in the place of nginx, it is no standing.
func TestGarbage(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":    "",
		"a page":     "<html>Welcome to nginx!</html>",
		"no state":   `{"arm":"shop-v1"}`,
		"no arm":     `{"state":{"percent":10,"canary":"shop-v2","stable":"shop-v1"}}`,
		"400%":       `{"state":{"percent":400,"canary":"shop-v2","stable":"shop-v1"},"arm":"shop-v1"}`,
		"one name":   `{"state":{"percent":10,"canary":"shop-v1","stable":"shop-v1"},"arm":"shop-v1"}`,
		"too much":   strings.Repeat("x", 1<<20),
		"no answers": "wait",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body == "wait" {
					<-r.Context().Done()
				}
				_, _ = io.WriteString(w, body)
			}))
			defer server.Close()
			b := plugintest.Make(t, NewBackend, guard.With{
				"file": filepath.Join(t.TempDir(), "x"), "canary": "shop-v2", "stable": "shop-v1",
				"status": server.Listener.Addr().String(), "timeout": "200ms",
			})
			if s, err := b.Inspect(context.WithoutCancel(t.Context()), release); err == nil || errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is taken for %+v, %v", s, err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	good := guard.With{"file": "/etc/nginx/golive/shop.conf", "canary": "shop-v2", "stable": "shop-v1"}
	for want, change := range map[string]guard.With{
		"file: missing":                     {"file": ""},
		"canary: missing":                   {"canary": ""},
		"canary: {{.Tu}} means nothing":     {"canary": "{{.Tu}}"},
		`stable: "a b" is not the name`:     {"stable": "a b"},
		"the upstream of both versions":     {"canary": "shop-v1"},
		`key: "user" does not divide`:       {"key": "user"},
		`key: "$a\"; evil" does not divide`: {"key": `$a"; evil`},
		`variable: "A" is no name`:          {"variable": "A"},
		`status: "0.0.0.0:80" is no host`:   {"status": "0.0.0.0:80"},
		`health: "/; }" is no path`:         {"health": "/; }"},
		"timeout: must be longer":           {"timeout": "0"},
		"weight":                            {"weight": 3},
	} {
		with := guard.With{}
		for key, value := range good {
			with[key] = value
		}
		for key, value := range change {
			with[key] = value
		}
		if _, err := NewBackend(with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", change, err, want)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(`{"state":{"percent":10,"canary":"shop-v2","stable":"shop-v1","fence":1,"seq":2},"arm":"shop-v1"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := parseAnswer([]byte(text)); err == nil {
			if p, err := a.share(a.Canary, a.Stable); err != nil || p != a.Percent || a.Arm == "" {
				t.Errorf("%q is taken for %+v", text, a)
			}
		}
	})
}

// The example begins as golive writes it, and nginx can read it.
func TestExample(t *testing.T) {
	first := split{state{Percent: 0, Canary: "shop-v2", Stable: "shop-v1", Fence: 0, Seq: 0}, perRequest, "golive", "127.0.0.1:8458", "/healthz"}
	text, err := os.ReadFile("../../examples/nginx/golive.conf")
	if err != nil || string(text) != first.String() {
		t.Errorf("examples/nginx/golive.conf is not (%v)\n%s", err, first)
	}
	plugintest.Needs(t, "nginx", "apt-get install -y --no-install-recommends nginx-light")
	config, err := os.ReadFile("../../examples/nginx/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: t.TempDir()}
	if err := os.Mkdir(w.path("golive"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write(t, "nginx.conf", string(config))
	w.write(t, "golive/golive.conf", string(text))
	said, err := exec.Command("nginx", "-t", "-c", w.path("nginx.conf"), "-g", fmt.Sprintf("error_log stderr; pid %s/nginx.pid;", w.dir)).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}
