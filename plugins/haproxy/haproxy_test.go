package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:     "haproxy",
	Backends: map[string]func(guard.With) (guard.Backend, error){"haproxy": NewBackend},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// A world is a real HAProxy in front of two servers of v1 and one of v2, which say their version.
type world struct {
	dir     string
	config  string
	address string // of the frontend
	servers map[string]*httptest.Server
	served  map[string]*atomic.Int64
	process *exec.Cmd
}

func newWorld(t *testing.T, balance string) *world {
	t.Helper()
	plugintest.Needs(t, "haproxy", "apt-get install -y --no-install-recommends haproxy")
	w := &world{dir: t.TempDir(), address: fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)), servers: map[string]*httptest.Server{}, served: map[string]*atomic.Int64{}}
	lines := ""
	for _, name := range []string{"v1-a", "v1-b", "v2-a"} {
		served := &atomic.Int64{}
		w.served[name[:2]] = orNew(w.served[name[:2]], served)
		version := name[:2]
		w.servers[name] = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			w.served[version].Add(1)
			fmt.Fprint(rw, version)
		}))
		t.Cleanup(w.servers[name].Close)
		weight := 0
		if version == "v1" {
			weight = 100
		}
		lines += fmt.Sprintf("  server %s %s weight %d check inter 100ms\n", name, w.servers[name].Listener.Addr(), weight)
	}
	w.config = fmt.Sprintf(`global
  stats socket %[1]s/admin mode 600 level admin
  stats socket %[1]s/operator mode 600 level operator
  stats socket ipv4@127.0.0.1:%[5]d level admin
  server-state-file %[1]s/state
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  retries 3
  option redispatch
  load-server-state-from-file global
frontend fe
  bind %[2]s
  default_backend be
backend be
  balance %[3]s
%[4]s`, w.dir, w.address, balance, lines, plugintest.Port(t))
	w.start(t)
	t.Cleanup(func() { w.stop() })
	return w
}

func orNew(old, fresh *atomic.Int64) *atomic.Int64 {
	if old != nil {
		return old
	}
	return fresh
}

func (w *world) start(t *testing.T) {
	t.Helper()
	path := filepath.Join(w.dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(w.config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	w.process = exec.Command("haproxy", "-db", "-f", path)
	w.process.Stdout, w.process.Stderr = &said, &said
	if err := w.process.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if answer, err := http.Get("http://" + w.address); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.stop()
	t.Fatalf("haproxy does not answer: %s", said.String())
}

func (w *world) stop() {
	_ = w.process.Process.Kill() // it may be gone already
	_ = w.process.Wait()
}

func (w *world) with(change ...string) guard.With {
	with := guard.With{"socket": w.dir + "/admin", "backend": "be", "canary": "{{.To}}-*", "stable": "{{.From}}-*"}
	for i := 0; i < len(change); i += 2 {
		with[change[i]] = change[i+1]
	}
	return with
}

func (w *world) backend(t *testing.T, change ...string) *Backend {
	t.Helper()
	return plugintest.Make(t, NewBackend, w.with(change...)).(*Backend)
}

// get asks the frontend once, and returns the version that answers.
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

func shift(t *testing.T, b *Backend, percent int) {
	t.Helper()
	if err := b.Shift(t.Context(), order(1), percent); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		w := newWorld(t, "roundrobin")
		plugintest.Backend(t, plugintest.Make(t, kit.Backends["haproxy"], w.with("finish", "drain")), plugintest.BackendCase{})
	})
}

// The same over TCP.
func TestContractOverTCP(t *testing.T) {
	w := newWorld(t, "roundrobin")
	_, rest, _ := strings.Cut(w.config, "ipv4@")
	address, _, _ := strings.Cut(rest, " ")
	plugintest.Backend(t, w.backend(t, "socket", address), plugintest.BackendCase{Shares: []int{3, 97}})
}

// The clients get what was asked for.
func TestSharesAtTheClients(t *testing.T) {
	w := newWorld(t, "roundrobin")
	b := w.backend(t)
	plugintest.Shares(t, []int{0, 1, 10, 33, 50, 90, 100}, func(percent int) {
		shift(t, b, percent)
	}, func() (bool, error) {
		version, err := w.get()
		return version == "v2", err
	})
}

// A way back in the middle of load loses nothing, and afterwards nobody meets the new version any more.
func TestRollbackUnderLoad(t *testing.T) {
	w := newWorld(t, "roundrobin")
	b := w.backend(t)
	shift(t, b, 50)
	var asked, failed atomic.Int64
	var stop atomic.Bool
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for !stop.Load() {
				asked.Add(1)
				if _, err := w.get(); err != nil {
					failed.Add(1)
					t.Log(err)
				}
			}
		})
	}
	for seq, percent := range []int{20, 80, 50, 100, 0} {
		time.Sleep(200 * time.Millisecond)
		if err := b.Shift(t.Context(), order(int64(seq)), percent); err != nil {
			t.Error(err)
		}
	}
	before := int64(-1)
	for before != w.served["v2"].Load() { // whatever was on its way is answered
		before = w.served["v2"].Load()
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	stop.Store(true)
	load.Wait()
	if failed.Load() > 0 || asked.Load() < 200 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	if late := w.served["v2"].Load() - before; late > 0 {
		t.Errorf("%d requests met v2 after the way back", late)
	}
}

// Weights outlive a restart by the state file, and only by that.
func TestStateFile(t *testing.T) {
	w := newWorld(t, "roundrobin")
	kept, forgot := w.backend(t, "state_file", w.dir+"/state"), w.backend(t)
	shift(t, kept, 30)
	w.stop()
	w.start(t)
	if s := inspect(t, kept); s.Percent != 30 {
		t.Errorf("after a restart: %+v", s)
	}
	shift(t, forgot, 60)
	w.stop()
	w.start(t)
	if s := inspect(t, forgot); s.Percent != 30 {
		t.Errorf("after a restart without writing the state: %+v", s)
	}
	if err := w.backend(t, "state_file", w.dir+"/nowhere/state").Shift(t.Context(), order(1), 40); err == nil || !strings.Contains(err.Error(), "a reload would forget them") {
		t.Errorf("a state file that cannot be written: %v", err)
	}
}

// Whatever somebody else does is seen.
func TestDrift(t *testing.T) {
	w := newWorld(t, "roundrobin")
	b := w.backend(t)
	shift(t, b, 10)
	if err := b.api.order(t.Context(), "set server be/v2-a weight 256"); err != nil {
		t.Fatal(err)
	}
	if s := inspect(t, b); s.Percent < 20 || !strings.Contains(s.Detail, "not weights that golive set") {
		t.Errorf("after somebody set a weight: %+v", s)
	}
	shift(t, b, 10)
	if s := inspect(t, b); s.Percent != 10 || strings.Contains(s.Detail, "not weights") {
		t.Errorf("after setting it right: %+v", s)
	}
}

func TestWayBack(t *testing.T) {
	w := newWorld(t, "roundrobin")
	if s := inspect(t, w.backend(t)); !s.Undo.Open {
		t.Errorf("all is well, and the way back is closed: %+v", s)
	}
	if s := inspect(t, w.backend(t, "socket", w.dir+"/operator")); s.Undo.Open || !strings.Contains(s.Undo.Detail, "level operator") {
		t.Errorf("without the right to set weights: %+v", s)
	}
	if err := w.backend(t, "socket", w.dir+"/operator").Shift(t.Context(), order(1), 5); err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("Shift without the right: %v", err)
	}
	w.servers["v1-a"].Close()
	w.servers["v1-b"].Close()
	b := w.backend(t)
	for range 100 {
		if s := inspect(t, b); !s.Undo.Open {
			if !strings.Contains(s.Undo.Detail, "no server of v1 is up: v1-a 100 (down), v1-b 100 (down)") {
				t.Errorf("with the old servers gone: %+v", s)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the old servers are gone, and the way back is open")
}

func TestBalance(t *testing.T) {
	w := newWorld(t, "leastconn")
	if s := inspect(t, w.backend(t)); len(s.Shares) != 1 || s.Shares[0] != 100 || !strings.Contains(s.Detail, "balance leastconn does not keep to weights") {
		t.Errorf("leastconn: %+v", s)
	}
}

// Who has met the new version stays with it, so there is no way back.
func TestCookies(t *testing.T) {
	w := newWorld(t, "roundrobin\n  cookie SRV insert")
	w.stop()
	w.config = regexp.MustCompile(`(server (\S+) .*)`).ReplaceAllString(w.config, "$1 cookie $2")
	w.start(t)
	if s := inspect(t, w.backend(t)); s.Undo.Open || !strings.Contains(s.Undo.Detail, "stays with it") {
		t.Errorf("with cookies: %+v", s)
	}
}

// A share that is hardly there is there.
func TestAlmost(t *testing.T) {
	for _, p := range []pool{{repeat(1, 1), repeat(1, 256)}, {repeat(1, 256), repeat(1, 1)}} {
		if percent, _ := p.percent(); percent != 1 && percent != 99 {
			t.Errorf("weights of %d and %d are %d%%", p.canary.sum(), p.stable.sum(), percent)
		}
	}
}

func TestTrouble(t *testing.T) {
	w := newWorld(t, "roundrobin")
	for name, c := range map[string]struct {
		change []string
		want   string
	}{
		"no such socket":   {[]string{"socket", w.dir + "/nowhere"}, "no such file"},
		"nobody listens":   {[]string{"socket", "127.0.0.1:9"}, "connection refused"},
		"no such backend":  {[]string{"backend", "other"}, "Can't find backend"},
		"no such server":   {[]string{"canary", "v3"}, "the backend be has no server v3"},
		"no old server":    {[]string{"stable", "v0"}, "the server v1-a is of neither version and has the weight 100"},
		"of both versions": {[]string{"stable", "*"}, "is of both versions"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.backend(t, c.change...).Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Inspect: %v, want %q", err, c.want)
			}
		})
	}
	w.stop()
	if err := w.backend(t).Shift(t.Context(), order(1), 0); err == nil {
		t.Error("haproxy is dead, and Shift says that all is well")
	}
}

// Whatever answers in the place of HAProxy, it is no standing.
func TestGarbage(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":      "",
		"another text": "HTTP/1.1 400 Bad request\r\n\r\n",
		"half a list":  "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight srv_addr srv_port\n3 be 1 v1-a 2 0\n",
		"no number":    "1\n# be_name srv_name srv_op_state srv_admin_state srv_uweight srv_addr srv_port\nbe v1-a 2 0 many 127.0.0.1 80\n",
		"no columns":   "1\n# be_name srv_name\nbe v1-a\n",
		"too much":     strings.Repeat("x", mostAnswer+10),
		"silence":      "wait",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						_, _ = conn.Read(make([]byte, 100))
						if answer == "wait" {
							time.Sleep(time.Second)
							return
						}
						_, _ = io.WriteString(conn, answer)
					}()
				}
			}()
			with := guard.With{"socket": l.Addr().String(), "backend": "be", "canary": "v2-*", "stable": "v1-*", "timeout": "200ms"}
			b := plugintest.Make(t, NewBackend, with)
			start := time.Now()
			if s, err := b.Inspect(context.WithoutCancel(t.Context()), release); err == nil {
				t.Errorf("it is taken for %+v", s)
			}
			if took := time.Since(start); took > 900*time.Millisecond {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	good := guard.With{"socket": "/run/haproxy.sock", "backend": "be", "canary": "v2", "stable": "v1"}
	for want, change := range map[string]guard.With{
		"socket: missing":               {"socket": ""},
		"backend: missing":              {"backend": "be;shutdown"},
		"canary: missing":               {"canary": ""},
		"canary: {{.Tu}} means nothing": {"canary": "{{.Tu}}"},
		`stable: "[" is not a pattern`:  {"stable": "["},
		`finish: "stop" is neither`:     {"finish": "stop"},
		"timeout: must be longer":       {"timeout": "0"},
		"weight":                        {"weight": 3},
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

// The weights of any share and any number of servers are those that HAProxy knows, come within half a
// percent, and are read back as the share they were made for.
func TestWeights(t *testing.T) {
	for canaries := 1; canaries <= 12; canaries++ {
		for stables := 1; stables <= 12; stables++ {
			for percent := 0; percent <= 100; percent++ {
				c, s, near := weights(percent, canaries, stables)
				if !near {
					least := 100 * float64(canaries) / float64(canaries+mostWeight*stables)
					most := 100 - 100*float64(stables)/float64(mostWeight*canaries+stables)
					if float64(percent) > least && float64(percent) < most {
						t.Errorf("%d%% of %d and %d servers cannot be had", percent, canaries, stables)
					}
					continue
				}
				if c < 0 || s < 0 || c > mostWeight || s > mostWeight || (c == 0) != (percent == 0) || (s == 0) != (percent == 100) {
					t.Fatalf("%d%% of %d and %d servers: weights %d and %d", percent, canaries, stables, c, s)
				}
				share := 100 * float64(c*canaries) / float64(c*canaries+s*stables)
				if off := abs(share - float64(percent)); off > 0.5 {
					t.Errorf("%d%% of %d and %d servers: weights %d and %d give %.2f%%", percent, canaries, stables, c, s, share)
				}
				p := pool{repeat(canaries, c), repeat(stables, s)}
				if got, exact := p.percent(); got != percent || !exact {
					t.Errorf("%d%% of %d and %d servers is read back as %d%% (%t)", percent, canaries, stables, got, exact)
				}
			}
		}
	}
}

func repeat(n, weight int) (all servers) {
	for range n {
		all = append(all, server{weight: weight})
	}
	return all
}

func FuzzParseState(f *testing.F) {
	f.Add("1\n# be_name srv_name srv_op_state srv_admin_state srv_uweight srv_addr srv_port\nbe v1-a 2 0 100 127.0.0.1 80\n")
	f.Add("Can't find backend.\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseState(text, "be")
		for _, s := range all {
			if err == nil && (s.weight < 0 || s.name == "") {
				t.Errorf("%q is taken for %+v", text, s)
			}
		}
	})
}

// TestInstances sees where HAProxy has its servers, also when it was told another address while it runs.
func TestInstances(t *testing.T) {
	w := newWorld(t, "roundrobin")
	b := w.backend(t)
	list := func() []guard.Instance {
		t.Helper()
		all, err := b.Instances(t.Context(), release)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	at := func(name string) string { return w.servers[name].Listener.Addr().String() }
	want := []guard.Instance{{Arm: guard.Canary, Address: at("v2-a")}, {Arm: guard.Baseline, Address: at("v1-a")}, {Arm: guard.Baseline, Address: at("v1-b")}}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	tell := func(command string) {
		t.Helper()
		if _, err := b.api.ask(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	tell("set server be/v1-a state drain") // it still answers
	tell("set server be/v1-b state maint")
	tell("set server be/v2-a addr 127.0.0.9 port 9001")
	want = []guard.Instance{{Arm: guard.Canary, Address: "127.0.0.9:9001"}, {Arm: guard.Baseline, Address: at("v1-a")}}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	w.stop()
	if all, err := b.Instances(t.Context(), release); err == nil {
		t.Errorf("a dead HAProxy lists %v", all)
	}
}

// TestNoAddress has a server at a socket, of which nobody else can read anything.
func TestNoAddress(t *testing.T) {
	w := newWorld(t, "roundrobin")
	w.stop()
	w.config = strings.Replace(w.config, w.servers["v2-a"].Listener.Addr().String(), "unix@"+w.dir+"/v2.sock", 1)
	w.start(t)
	all, err := w.backend(t).Instances(t.Context(), release)
	if err == nil || !strings.Contains(err.Error(), "haproxy lists the server v2-a at ") {
		t.Errorf("it lists %v, error %v", all, err)
	}
}
