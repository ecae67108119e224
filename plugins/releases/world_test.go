//go:build linux

package releases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}

var kit = plugins.Kit{
	Name:     "releases",
	Backends: map[string]func(guard.With) (guard.Backend, error){"releases": NewBackend},
}

// The test's own binary is the plugin, the program of every release, and a golive that can be killed.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "shop":
		shop(os.Args[1])
	case "shifter":
		shifter()
	default:
		plugintest.Main(m, kit)
	}
}

// shop is the program of a release, and serves the version that stands in VERSION. MOOD in a release makes it
// stubborn, broken or sick.
func shop(address string) {
	here, err := os.Executable()
	if err != nil {
		panic(err)
	}
	dir := filepath.Dir(filepath.Dir(here))
	version, _ := os.ReadFile(filepath.Join(dir, "VERSION"))
	mood, _ := os.ReadFile(filepath.Join(dir, "MOOD"))
	if string(mood) == "broken" {
		time.Sleep(300 * time.Millisecond)
		os.Exit(1)
	}
	server := http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if string(mood) == "sick" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(version)
	})}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		for range ended {
			if string(mood) != "stubborn" {
				_ = server.Shutdown(context.Background())
			}
		}
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		panic(err)
	}
	time.Sleep(20 * time.Millisecond) // the last answers are on their way
}

// shifter gives one order, for a test to kill it in the middle, or to have it given by somebody else.
func shifter() {
	plan, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var with guard.With
	if err := json.Unmarshal(plan, &with); err != nil {
		panic(err)
	}
	b, err := NewBackend(with)
	if err != nil {
		panic(err)
	}
	seq, _ := strconv.ParseInt(os.Args[2], 10, 64)
	percent, _ := strconv.Atoi(os.Args[3])
	if percent >= 0 {
		err = b.Shift(context.Background(), order(seq), percent)
	}
	if err == nil {
		var s guard.Standing
		s, err = b.Inspect(context.Background(), release)
		fmt.Printf("%d %t %s\n", s.Percent, s.Undo.Open, s.Undo.Detail)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func order(seq int64) guard.Order { return guard.Order{Release: release, Fence: 1, Seq: seq} }

// A world is some hosts, each a directory and a port of this machine, under a real supervisor.
type world struct {
	dir        string
	hosts      []string
	port       map[string]int
	supervisor string
	ssh        string // the configuration of a client that is let in; empty: the hosts are this machine
}

func newWorld(t *testing.T, supervisor string, hosts int) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("real supervisors take their time: make test runs it")
	}
	// A name that a shell would love to make something of.
	dir := filepath.Join(t.TempDir(), `it's a "$(touch pwned)" & <dir>`)
	w := &world{dir: dir, port: map[string]int{}, supervisor: supervisor}
	for i := range hosts {
		name := fmt.Sprintf("web%d", i+1)
		w.hosts = append(w.hosts, name)
		w.port[name] = plugintest.Port(t)
		for _, version := range []string{"v1", "v2"} {
			w.unpack(t, name, version, "")
		}
		symlink(t, "releases/v1", w.root(name, "current"))
		w.define(t, name)
	}
	w.begin(t)
	for _, name := range w.hosts {
		w.eventually(t, name, "v1")
	}
	t.Cleanup(func() {
		if found, _ := filepath.Glob("pwned"); len(found) > 0 {
			t.Error("a shell took a value for a command")
		}
	})
	return w
}

func (w *world) root(host string, below ...string) string {
	return filepath.Join(append([]string{w.dir, host}, below...)...)
}

func (w *world) service(host string) string { return filepath.Join(w.dir, "services", host) }

// unpack puts a release on a host.
func (w *world) unpack(t *testing.T, host, version, mood string) {
	t.Helper()
	dir := w.root(host, "releases", version)
	write(t, filepath.Join(dir, "VERSION"), version, 0o644)
	write(t, filepath.Join(dir, "MOOD"), mood, 0o644)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "bin", "shop")
	if os.Link(self, program) != nil {
		content, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		write(t, program, string(content), 0o755)
	}
}

// start is the shell command that runs the service of a host.
func (w *world) start(host string) string {
	return fmt.Sprintf("cd %s && exec bin/shop 127.0.0.1:%d", quote(w.root(host, "current")), w.port[host])
}

// define tells the supervisor of a host's service.
func (w *world) define(t *testing.T, host string) {
	t.Helper()
	switch w.supervisor {
	case "runit", "s6":
		write(t, filepath.Join(w.service(host), "run"), "#!/bin/sh\n"+w.start(host)+"\n", 0o755)
	case "supervisor":
		write(t, w.root(host, "run"), "#!/bin/sh\n"+w.start(host)+"\n", 0o755)
	case "command", "systemd":
		write(t, w.root(host, "restart"), fmt.Sprintf(`#!/bin/sh
cd %s
[ ! -e pid ] || kill "$(cat pid)" 2>/dev/null
while [ -e pid ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$(cat pid)/stat" 2>/dev/null || echo Z)" != Z ]; do sleep 0.05; done
(%s) >/dev/null 2>&1 &
echo $! >pid
`, quote(w.root(host)), w.start(host)), 0o755)
	}
}

// begin starts the supervisor, until the test ends.
func (w *world) begin(t *testing.T) {
	t.Helper()
	var supervise *exec.Cmd
	stop := func() { _ = supervise.Process.Signal(syscall.SIGTERM) }
	switch w.supervisor {
	case "runit":
		supervise = program(t, "runsvdir", "runit", "-P", filepath.Join(w.dir, "services"))
		stop = func() {
			_ = supervise.Process.Signal(syscall.SIGHUP) // it leaves its children, which end before the directory does
			args := []string{"-w5", "force-shutdown"}
			for _, host := range w.hosts {
				args = append(args, w.service(host))
			}
			_ = exec.Command("sv", args...).Run()
		}
	case "s6":
		supervise = program(t, "s6-svscan", "s6", filepath.Join(w.dir, "services"))
	case "supervisor":
		// Its configuration knows no quotes that a name like ours would survive.
		dir := t.TempDir()
		config := fmt.Sprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%[1]s/pid\n"+
			"[unix_http_server]\nfile=%[1]s/sock\n[supervisorctl]\nserverurl=unix://%[1]s/sock\n"+
			"[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n", dir)
		for _, host := range w.hosts {
			link := filepath.Join(dir, host)
			symlink(t, w.root(host, "run"), link)
			config += fmt.Sprintf("[program:%s]\ncommand=%s\nstartsecs=0\nautorestart=true\n", host, link)
		}
		write(t, w.config(), config, 0o600)
		supervise = program(t, "supervisord", "supervisor", "-c", w.config())
	case "command", "systemd":
		for _, host := range w.hosts {
			if said, err := exec.Command(w.root(host, "restart")).CombinedOutput(); err != nil {
				t.Fatalf("start %s: %v: %s", host, err, said)
			}
			t.Cleanup(func() {
				if pid, err := os.ReadFile(w.root(host, "pid")); err == nil {
					_ = exec.Command("kill", "-KILL", strings.TrimSpace(string(pid))).Run()
				}
			})
		}
		return
	}
	if err := supervise.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = supervise.Wait()
		for _, host := range w.hosts {
			w.gone(host)
		}
	})
}

// gone waits for the end of a host's service, and helps it along.
func (w *world) gone(host string) {
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", w.port[host]))
		if err == nil {
			l.Close()
			return
		}
		_ = exec.Command("fuser", "-k", fmt.Sprintf("%d/tcp", w.port[host])).Run()
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *world) config() string { return filepath.Join(w.dir, "supervisord.conf") }

// with is the set-up for the world.
func (w *world) with(change ...any) guard.With {
	var hosts []any
	for _, host := range w.hosts {
		h := map[string]any{"name": host, "health": fmt.Sprintf("http://127.0.0.1:%d/", w.port[host])}
		if w.ssh != "" {
			h["ssh"] = host
		}
		hosts = append(hosts, h)
	}
	with := guard.With{
		"root": w.dir + "/{{.Host}}", "run": "bin/shop", "files": []any{"VERSION"}, "supervisor": w.supervisor,
		"hosts": hosts, "settle": "100ms", "stop": "1s", "timeout": "30s",
	}
	switch w.supervisor {
	case "runit", "s6":
		with["service"] = w.dir + "/services/{{.Host}}"
	case "supervisor":
		with["service"], with["config"] = "{{.Host}}", w.config()
	case "systemd":
		with["service"] = "{{.Host}}.service"
	case "command": // of one host only: it does not learn its name
		with["restart"], with["pid"] = quote(w.root(w.hosts[0], "restart")), "cat "+quote(w.root(w.hosts[0], "pid"))
	}
	if w.ssh != "" {
		with["ssh_config"] = w.ssh
	}
	for i := 0; i < len(change); i += 2 {
		with[change[i].(string)] = change[i+1]
	}
	return with
}

func (w *world) backend(t *testing.T, change ...any) *Backend {
	t.Helper()
	return plugintest.Make(t, NewBackend, w.with(change...)).(*Backend)
}

// get asks a host once, over a connection of its own, and returns the version that answers.
func (w *world) get(host string) (string, error) { return get(w.port[host]) }

func get(port int) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return string(text), err
}

// eventually waits until a host answers with a version.
func (w *world) eventually(t *testing.T, host, version string) {
	t.Helper()
	var got string
	var err error
	for range 500 {
		if got, err = w.get(host); got == version {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s answers %q, %v, want %s", host, got, err, version)
}

// serves wants a version of each host, at once.
func (w *world) serves(t *testing.T, versions ...string) {
	t.Helper()
	for i, host := range w.hosts {
		if got, err := w.get(host); got != versions[i] {
			t.Errorf("%s answers %q, %v, want %s", host, got, err, versions[i])
		}
	}
}

// behind puts the hosts of a world behind a real SSH server each, which lets in whoever has the key.
func (w *world) behind(t *testing.T, options string) []*exec.Cmd {
	t.Helper()
	const path = "/usr/sbin/sshd"
	program(t, path, "openssh-server")
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		if said, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, said)
		}
	}
	if os.Geteuid() == 0 {
		_ = os.MkdirAll("/run/sshd", 0o755) // where sshd wants to be rid of its rights
	}
	public, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	var daemons []*exec.Cmd
	known, client := "", ""
	for _, host := range w.hosts {
		port := plugintest.Port(t)
		file := filepath.Join(dir, host+".conf")
		write(t, file, fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\n"+
			"UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n", port, dir, dir), 0o600)
		daemon := exec.Command(path, "-D", "-e", "-f", file)
		if err := daemon.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = daemon.Process.Kill()
			_ = daemon.Wait()
		})
		daemons = append(daemons, daemon)
		known += fmt.Sprintf("[127.0.0.1]:%d %s", port, public)
		client += fmt.Sprintf("Host %s\n  HostName 127.0.0.1\n  Port %d\n", host, port)
		for range 200 {
			if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				conn.Close()
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	write(t, filepath.Join(dir, "known"), known, 0o600)
	client += fmt.Sprintf("Host *\n  IdentityFile %s/user\n  IdentitiesOnly yes\n  UserKnownHostsFile %s/known\n%s", dir, dir, options)
	w.ssh = filepath.Join(dir, "config")
	write(t, w.ssh, client, 0o600)
	return daemons
}

// program is a command that a package brings.
func program(t *testing.T, name, from string, args ...string) *exec.Cmd {
	t.Helper()
	plugintest.Needs(t, name, "apt-get install -y --no-install-recommends "+from)
	return exec.Command(name, args...)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// symlink puts a link in the place of another.
func symlink(t *testing.T, to, at string) {
	t.Helper()
	_ = os.Remove(at)
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func inspect(t *testing.T, b *Backend) guard.Standing {
	t.Helper()
	s, err := b.Inspect(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var seq int64 = 1000

func shift(t *testing.T, b *Backend, percent int) {
	t.Helper()
	seq++
	if err := b.Shift(t.Context(), order(seq), percent); err != nil {
		t.Fatal(err)
	}
}
