//go:build linux

package releases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

func TestContract(t *testing.T) {
	for supervisor, hosts := range map[string]int{"runit": 2, "supervisor": 1, "s6": 1, "command": 1} {
		t.Run(supervisor, func(t *testing.T) {
			plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
				w := newWorld(t, supervisor, hosts)
				plugintest.Backend(t, plugintest.Make(t, kit.Backends["releases"], w.with()), plugintest.BackendCase{Fenced: true})
			})
		})
	}
}

// The same over SSH, in short: each of its connections takes half a second of a processor.
func TestOverSSH(t *testing.T) {
	w := newWorld(t, "runit", 1)
	w.behind(t, "")
	b := w.backend(t, "timeout", "60s")
	if s := inspect(t, b); s.Percent != 0 || !s.Undo.Open {
		t.Errorf("at first: %+v", s)
	}
	shift(t, b, 100)
	w.serves(t, "v2")
	if err := b.Shift(t.Context(), order(seq-1), 0); err == nil || !strings.Contains(err.Error(), "comes too late") {
		t.Errorf("Shift with a late order: %v", err)
	}
	if err := b.Finish(t.Context(), order(seq)); err != nil {
		t.Error(err)
	}
	shift(t, b, 0)
	w.serves(t, "v1")
}

// No systemd runs in a container, where it is not process 1. So this is a stand-in for systemctl, which does what the
// four commands that golive gives to the real one do.
func TestContractWithAStandInForSystemctl(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	w := newWorld(t, "systemd", 1)
	write(t, filepath.Join(dir, "systemctl"), fmt.Sprintf(`#!/bin/sh
case "$*" in
"show --property=LoadState --value -- web1.service") echo loaded ;;
"show --property=LoadState --value -- "*) echo not-found ;;
"show --property=MainPID --value -- web1.service") cat %[1]s/pid ;;
"--no-block restart -- web1.service") %[1]s/restart ;;
*) echo "systemctl does not know $*" >&2; exit 1 ;;
esac
`, quote(w.root("web1"))), 0o755)
	plugintest.Backend(t, w.backend(t), plugintest.BackendCase{Fenced: true})
	if _, err := w.backend(t, "service", "other.service").Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "systemd cannot be asked for other.service: not-found") {
		t.Errorf("a unit that there is not: %v", err)
	}
}

// balancer is a real HAProxy in front of the hosts, which sends to each the part that is its weight.
// It uses no connection twice: what is lost on one that a host closes just then, HAProxy does not try again, but closes
// that of its client without a word.
func balancer(t *testing.T, w *world, weights ...int) (port int) {
	t.Helper()
	port = plugintest.Port(t)
	config := fmt.Sprintf("defaults\n  mode http\n  timeout connect 1s\n  timeout client 20s\n  timeout server 20s\n  retries 15\n  retry-on all-retryable-errors\n  http-reuse never\n"+
		"frontend fe\n  bind 127.0.0.1:%d\n  default_backend be\nbackend be\n  balance roundrobin\n", port)
	for i, host := range w.hosts {
		config += fmt.Sprintf("  server %s 127.0.0.1:%d weight %d\n", host, w.port[host], weights[i])
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	write(t, path, config, 0o600)
	proxy := program(t, "haproxy", "haproxy", "-db", "-f", path)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Kill()
		_ = proxy.Wait()
	})
	for range 200 {
		if _, err := get(port); err == nil {
			return port
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("haproxy does not answer")
	return 0
}

// The clients get what was asked for. Chi-square with one degree of freedom: fair hosts are refused once in a million
// runs.
func TestSharesAtTheClients(t *testing.T) {
	const refused, n = 23.9, 600
	w := newWorld(t, "runit", 3)
	with := w.with()
	for i, weight := range []int{1, 2, 5} {
		with["hosts"].([]any)[i].(map[string]any)["weight"] = weight
	}
	b := plugintest.Make(t, NewBackend, with).(*Backend)
	port := balancer(t, w, 1, 2, 5)
	for _, share := range []struct {
		percent int
		exact   float64
	}{{0, 0}, {13, 1. / 8}, {38, 3. / 8}, {100, 1}, {13, 1. / 8}} {
		shift(t, b, share.percent)
		seen := map[string]float64{}
		for range n {
			version, err := get(port)
			if err != nil {
				t.Fatal(err)
			}
			seen[version]++
		}
		want := n * share.exact
		if want == 0 || want == n {
			if seen["v2"] != want {
				t.Errorf("at %d%% the new version got %v of %d requests", share.percent, seen["v2"], n)
			}
			continue
		}
		chi := (seen["v2"]-want)*(seen["v2"]-want)/want + (seen["v1"]-(n-want))*(seen["v1"]-(n-want))/(n-want)
		if chi > refused {
			t.Errorf("at %d%% the new version got %v of %d requests (chi-square %.1f)", share.percent, seen["v2"], n, chi)
		}
	}
	if s := inspect(t, b); fmt.Sprint(s.Shares) != "[13 38 100]" {
		t.Errorf("three hosts of weights 1, 2 and 5: %+v", s)
	}
	if err := b.Shift(t.Context(), order(5000), 50); err == nil || !strings.Contains(err.Error(), "50% cannot be had of these hosts, only [13 38 100]") {
		t.Errorf("a share that cannot be had: %v", err)
	}
}

// A way back in the middle of load, in which all hosts restart at once, loses nothing if the proxy tries again for as
// long as that takes.
func TestRollbackUnderLoad(t *testing.T) {
	w := newWorld(t, "runit", 2)
	b := w.backend(t)
	port := balancer(t, w, 1, 1)
	var asked, failed atomic.Int64
	var stop atomic.Bool
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				asked.Add(1)
				if _, err := get(port); err != nil {
					failed.Add(1)
					t.Log(err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for i, percent := range []int{50, 100, 0} {
		for asked.Load() < int64(30*(i+1)) { // there is load, however slow the machine is
			time.Sleep(time.Millisecond)
		}
		shift(t, b, percent)
	}
	w.serves(t, "v1", "v1")
	stop.Store(true)
	load.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
}

// Golive is killed at many places of a Shift. Whatever it leaves, Inspect can tell, and the same order again ends right.
func TestKilled(t *testing.T) {
	w := newWorld(t, "runit", 2)
	b := w.backend(t)
	plan := filepath.Join(t.TempDir(), "plan")
	text, err := json.Marshal(w.with())
	if err != nil {
		t.Fatal(err)
	}
	write(t, plan, string(text), 0o600)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	shifter := filepath.Join(t.TempDir(), "shifter")
	symlink(t, self, shifter)
	percent, stopped := 100, 0
	for _, after := range []time.Duration{100, 250, 500, 800, 1200} {
		seq++
		child := exec.Command(shifter, plan, fmt.Sprint(seq), fmt.Sprint(percent))
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		_ = child.Process.Kill()
		if child.Wait() != nil {
			stopped++
		}
		time.Sleep(100 * time.Millisecond) // the last words to a host take effect without golive
		for try := 0; ; try++ {
			s, err := b.Inspect(t.Context(), release)
			if err == nil {
				if s.Percent%50 != 0 || !s.Undo.Open {
					t.Errorf("killed after %v ms: %+v", int64(after), s)
				}
				break
			}
			if try == 50 { // a process that is just being started is none of a release yet
				t.Fatalf("killed after %v ms: %v", int64(after), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := b.Shift(t.Context(), order(seq), percent); err != nil {
			t.Fatal(err)
		}
		if s := inspect(t, b); s.Percent != percent {
			t.Errorf("killed after %v ms, and once more: %+v", int64(after), s)
		}
		want := map[int]string{0: "v1", 100: "v2"}[percent]
		w.serves(t, want, want)
		percent = 100 - percent
	}
	if stopped == 0 {
		t.Error("golive was never killed in the middle")
	}
}

// A host that cannot be reached is an error that names it, and keeps no other host from going back.
func TestHostDies(t *testing.T) {
	w := newWorld(t, "runit", 2)
	daemons := w.behind(t, "")
	b := w.backend(t, "timeout", "60s")
	shift(t, b, 50)
	_ = daemons[1].Process.Kill()
	_ = daemons[1].Wait()
	seq++
	err := b.Shift(t.Context(), order(seq), 100)
	if err == nil || !strings.Contains(err.Error(), "web2: ssh web2: ") || !strings.Contains(err.Error(), "Connection refused") || !strings.Contains(err.Error(), "web1 runs v2; web2 is not known") {
		t.Errorf("up, with a dead host: %v", err)
	}
	if s, err := b.Inspect(t.Context(), release); err == nil {
		t.Errorf("Inspect does not miss a host: %+v", s)
	}
	seq++
	if err = b.Shift(t.Context(), order(seq), 0); err == nil || !strings.Contains(err.Error(), "web1 runs v1; web2 is not known") {
		t.Errorf("back, with a dead host: %v", err)
	}
	w.serves(t, "v1", "v1")
}

// A host that hangs, and refuses nothing, keeps no other host from going back at once.
func TestHostHangs(t *testing.T) {
	program(t, "ssh", "openssh-client")
	w := newWorld(t, "runit", 2)
	shift(t, w.backend(t), 100)
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, "Host web2\n  ProxyCommand sleep 60\n", 0o600)
	with := w.with("ssh_config", config)
	with["hosts"].([]any)[1].(map[string]any)["ssh"] = "web2"
	b := plugintest.Make(t, NewBackend, with).(*Backend)
	limited, cancel := context.WithTimeout(t.Context(), 5*time.Second) // ssh itself gives up after 10
	defer cancel()
	seq++
	if err := b.Shift(limited, order(seq), 0); err == nil || !strings.Contains(err.Error(), "web2: switch to v1: ") || strings.Contains(err.Error(), "web1: ") {
		t.Errorf("back, with a host that hangs: %v", err)
	}
	w.serves(t, "v1", "v2")
}

// A restart that hangs on another machine, where golive cannot end it, keeps no later order waiting, and does not outlive
// its time.
func TestRestartHangs(t *testing.T) {
	w := newWorld(t, "command", 1)
	w.behind(t, "")
	hangs, restart := filepath.Join(w.dir, "hangs"), quote(w.root("web1", "restart"))
	slow := w.backend(t, "timeout", "20s", "restart", fmt.Sprintf("echo $$ >%s; sleep 90; %s", quote(hangs), restart))
	impatient, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	done := make(chan error)
	seq++
	go func() { done <- slow.Shift(impatient, order(seq), 100) }()
	var pid []byte
	for range 200 {
		if pid, _ = os.ReadFile(hangs); len(pid) > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	lock, err := os.Open(w.root("web1", ".golive-lock"))
	if err != nil {
		t.Fatalf("the restart was never reached: %v", err)
	}
	defer lock.Close()
	if err := errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.Flock(int(lock.Fd()), syscall.LOCK_UN)); err != nil {
		t.Errorf("the lock is held while a restart hangs: %v", err)
	}
	giveUp()
	if err := <-done; err == nil || len(pid) == 0 {
		t.Fatalf("the restart hangs as the process %q, and Shift says: %v", pid, err)
	}
	if to, err := os.Readlink(w.root("web1", "current")); to != "releases/v2" {
		t.Fatalf("current points to %s, %v", to, err)
	}
	shift(t, w.backend(t), 0)
	w.serves(t, "v1")
	for range 300 {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the restart is still there, 30 seconds after its time")
}

// A host whose key is not known, or is another, is not talked to, whatever the configuration says.
func TestUnknownHost(t *testing.T) {
	w := newWorld(t, "runit", 1)
	w.behind(t, "  StrictHostKeyChecking no\n")
	config, err := os.ReadFile(w.ssh)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.ssh, strings.Replace(string(config), "/known\n", "/nowhere\n", 1), 0o600)
	if _, err := w.backend(t).Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "Host key verification failed") {
		t.Errorf("a host that nobody knows: %v", err)
	}
}

// Whatever somebody else does is seen.
func TestDrift(t *testing.T) {
	w := newWorld(t, "s6", 2)
	b := w.backend(t)
	for _, host := range w.hosts {
		w.unpack(t, host, "v3", "")
	}
	restart := func(host string) {
		t.Helper()
		if said, err := exec.Command("s6-svc", "-r", w.service(host)).CombinedOutput(); err != nil {
			t.Fatalf("s6-svc: %v: %s", err, said)
		}
	}
	symlink(t, "releases/v2", w.root("web2", "current"))
	if s := inspect(t, b); s.Percent != 50 || !strings.Contains(s.Detail, "web2 runs v1, current points to v2") || !strings.Contains(s.Detail, "golive would have chosen other hosts") {
		t.Errorf("somebody switched a link: %+v", s)
	}
	restart("web2")
	w.eventually(t, "web2", "v2")
	if s := inspect(t, b); s.Percent != 50 || !strings.Contains(s.Detail, "web1 runs v1; web2 runs v2;") {
		t.Errorf("somebody switched a link and restarted: %+v", s)
	}
	symlink(t, w.root("web2", "releases", "v3"), w.root("web2", "current"))
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "web2: it has to do with v3, which is neither v1 nor v2") {
		t.Errorf("somebody switched to a third version: %+v, %v", s, err)
	}
	symlink(t, "/tmp", w.root("web2", "current"))
	if s, err := b.Inspect(t.Context(), release); err == nil || !strings.Contains(err.Error(), "web2: it has to do with /tmp") {
		t.Errorf("somebody switched to elsewhere: %+v, %v", s, err)
	}
	shift(t, b, 0)
	w.serves(t, "v1", "v1")
	if s := inspect(t, b); s.Percent != 0 || s.Detail != "web1 runs v1; web2 runs v1" {
		t.Errorf("after setting it right: %+v", s)
	}
	// A process that outlived its own release is not of it.
	if err := os.RemoveAll(w.root("web1", "releases", "v1")); err != nil {
		t.Fatal(err)
	}
	w.unpack(t, "web1", "v1", "")
	if s := inspect(t, b); !strings.Contains(s.Detail, "web1 runs v1, whose program was deleted") {
		t.Errorf("a program that is no more: %+v", s)
	}
	shift(t, b, 0)
	if s := inspect(t, b); strings.Contains(s.Detail, "deleted") {
		t.Errorf("after a restart: %+v", s)
	}
	if err := exec.Command("s6-svc", "-d", w.service("web1")).Run(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if s := inspect(t, b); strings.Contains(s.Detail, "web1 runs nothing, current points to v1") {
			shift(t, b, 0)
			w.serves(t, "v1", "v1")
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a service is down, and Inspect does not see it")
}

func TestWayBack(t *testing.T) {
	w := newWorld(t, "runit", 2)
	b := w.backend(t)
	if s := inspect(t, b); !s.Undo.Open {
		t.Errorf("all is well, and the way back is closed: %+v", s)
	}
	shift(t, b, 100)
	old := w.root("web2", "releases", "v1")
	for what, c := range map[string]struct {
		path, want string
	}{
		"no file":      {filepath.Join(old, "VERSION"), "VERSION is not there, or may not be read"},
		"no program":   {filepath.Join(old, "bin"), "bin/shop is not there, or may not be executed"},
		"no directory": {old, "releases/v1 is not there"},
		"no control":   {filepath.Join(w.service("web2"), "supervise", "control"), "supervise/control may not be written"},
	} {
		t.Run(what, func(t *testing.T) {
			if err := os.Rename(c.path, c.path+".away"); err != nil {
				t.Fatal(err)
			}
			defer os.Rename(c.path+".away", c.path)
			if s := inspect(t, b); s.Undo.Open || !strings.Contains(s.Undo.Detail, "web2: ") || !strings.Contains(s.Undo.Detail, c.want) {
				t.Errorf("%+v, want %q", s, c.want)
			}
		})
	}
	for _, fence := range []string{"garbage\n", "", "1 x\n"} {
		write(t, w.root("web2", ".golive-fence"), fence, 0o644)
		if s := inspect(t, b); s.Undo.Open || !strings.Contains(s.Undo.Detail, "web2: ") || !strings.Contains(s.Undo.Detail, ".golive-fence ") {
			t.Errorf("a fence that holds %q: %+v", fence, s)
		}
	}
	write(t, w.root("web2", ".golive-fence"), "1 1\n", 0o644)
	if s := inspect(t, b); !s.Undo.Open {
		t.Errorf("all is well again, and the way back is closed: %+v", s)
	}
	if s, err := b.Inspect(t.Context(), guard.Release{To: "v2"}); err != nil || s.Undo.Open || s.Percent != 100 {
		t.Errorf("the first release: %+v, %v", s, err)
	}
}

// Whatever sudo would be needed for on the way back, it is asked about. The real one can only be told by files of root's,
// so this is a stand-in, which allows all but what DENIED begins with.
func TestWayBackWithAStandInForSudo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	write(t, filepath.Join(dir, "sudo"), `#!/bin/sh
[ "$1" = -n ] || exit 1
shift
list=
if [ "$1" = -l ]; then list=yes; shift; fi
case "$*" in "$DENIED"*) echo "sudo: a password is required" >&2; exit 1 ;; esac
[ -n "$list" ] || exec "$@"
`, 0o755)
	w := newWorld(t, "runit", 1)
	b := w.backend(t, "sudo", true)
	for _, denied := range []string{"sv term ", "sv cont ", "sv up ", "kill -KILL "} {
		t.Setenv("DENIED", denied)
		if s := inspect(t, b); s.Undo.Open || !strings.Contains(s.Undo.Detail, "web1: sudo does not allow "+denied) {
			t.Errorf("without %s: %+v", denied, s)
		}
	}
	// Without its answer nobody knows what runs.
	t.Setenv("DENIED", "readlink ")
	if s, err := b.Inspect(t.Context(), release); err == nil {
		t.Errorf("without readlink: %+v", s)
	}
	t.Setenv("DENIED", "nothing")
	if s := inspect(t, b); !s.Undo.Open {
		t.Errorf("sudo allows all: %+v", s)
	}
	shift(t, b, 100)
	w.serves(t, "v2")
}

// Another user may look, and may not go back.
func TestWayBackOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	w := newWorld(t, "command", 1)
	open(t, w.dir)
	plan := filepath.Join(w.dir, "plan")
	with := w.with()
	with["pid"] = "echo 0" // nobody may see what root runs
	text, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	write(t, plan, string(text), 0o644)
	child := exec.Command(w.root("web1", "releases", "v1", "bin", "shop"), plan, "1", "-1")
	child.Args[0] = "shifter"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, err := child.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "0 false ") || !strings.Contains(string(said), "may not be written, and current is in it") {
		t.Errorf("another user: %v: %s", err, said)
	}
}

// open lets everybody into the directories above.
func open(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// What does not come up is seen, and stops the way up at its host; the way back goes on.
func TestBadRelease(t *testing.T) {
	w := newWorld(t, "runit", 2)
	b := w.backend(t, "timeout", "6s", "settle", "1s")
	for mood, want := range map[string]string{"broken": "web1: switch to v2: not done after 6s: ", "sick": "health: it answers 503 Service Unavailable"} {
		for _, host := range w.hosts {
			write(t, w.root(host, "releases", "v2", "MOOD"), mood, 0o644)
		}
		seq++
		err := b.Shift(t.Context(), order(seq), 100)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "web2 runs v1)") {
			t.Errorf("a %s release: %v, want %q", mood, err, want)
		}
		shift(t, b, 0)
		w.serves(t, "v1", "v1")
	}
	if err := os.RemoveAll(w.root("web2", "releases", "v2")); err != nil {
		t.Fatal(err)
	}
	seq++
	if err := b.Shift(t.Context(), order(seq), 100); err == nil || !strings.Contains(err.Error(), "web2: ") || !strings.Contains(err.Error(), "releases/v2 is not there") {
		t.Errorf("a release that one host lacks: %v", err)
	}
	w.serves(t, "v1", "v1")
}

// A restart that began before the order brings up what current pointed to then, after the order has seen that all is
// well; so it is restarted once more.
func TestOvertaken(t *testing.T) {
	w := newWorld(t, "command", 1)
	pid, begun := w.root("web1", "pid"), w.root("web1", "begun")
	const restart = `cd %s || exit
new=$(readlink -f current)
[ ! -e slow ] || { >begun; rm slow; sleep 3; }
kill "$(cat pid)"
while [ -e "/proc/$(cat pid)/exe" ]; do sleep 0.05; done
cd "$new" && { bin/shop 127.0.0.1:%d >/dev/null 2>&1 & }
echo $! >%s
`
	script := fmt.Sprintf(restart, quote(w.root("web1")), w.port["web1"], quote(pid))
	b := w.backend(t, "restart", script, "settle", "5s", "timeout", "20s")
	symlink(t, "releases/v2", w.root("web1", "current"))
	write(t, w.root("web1", "slow"), "", 0o644)
	other := exec.Command("sh", "-c", script)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	for range 500 {
		if _, err := os.Stat(begun); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	shift(t, b, 0)
	w.serves(t, "v1")
}

// A process that does not heed the restart is killed.
func TestStubborn(t *testing.T) {
	w := newWorld(t, "s6", 1)
	b := w.backend(t)
	write(t, w.root("web1", "releases", "v2", "MOOD"), "stubborn", 0o644)
	shift(t, b, 100)
	shift(t, b, 0)
	w.serves(t, "v1")
}

// An order that was overtaken changes nothing, neither does one while another is carried out.
func TestFence(t *testing.T) {
	w := newWorld(t, "s6", 1)
	b := w.backend(t)
	shift(t, b, 100)
	late := order(seq - 1)
	if err := b.Shift(t.Context(), late, 0); err == nil || !strings.Contains(err.Error(), "comes too late") {
		t.Errorf("Shift with a late order: %v", err)
	}
	if err := b.Finish(t.Context(), late); err == nil || !strings.Contains(err.Error(), "comes too late") {
		t.Errorf("Finish with a late order: %v", err)
	}
	w.serves(t, "v2")
	write(t, w.root("web1", ".golive-fence"), "garbage\n", 0o644)
	seq++
	if err := b.Shift(t.Context(), order(seq), 0); err == nil || !strings.Contains(err.Error(), "holds no two numbers") {
		t.Errorf("Shift with a fence that cannot be read: %v", err)
	}
	if err := os.Remove(w.root("web1", ".golive-fence")); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(w.root("web1", ".golive-lock"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	seq++
	go func() { done <- b.Shift(t.Context(), order(seq), 0) }()
	select {
	case err := <-done:
		t.Errorf("while another held the lock, Shift ended: %v", err)
	case <-time.After(4 * time.Second):
		if to, err := os.Readlink(w.root("web1", "current")); to != "releases/v2" {
			t.Errorf("while another held the lock, current was pointed to %s, %v", to, err)
		}
		lock.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	w.serves(t, "v1")
}

func TestPrune(t *testing.T) {
	w := newWorld(t, "command", 1)
	b := w.backend(t, "keep", 2)
	shift(t, b, 100)
	age := func(version string, hours int) {
		t.Helper()
		when := time.Now().Add(-time.Duration(hours) * time.Hour)
		if err := os.Chtimes(w.root("web1", "releases", version), when, when); err != nil {
			t.Fatal(err)
		}
	}
	for i, version := range []string{"v2", "v9", "-rf", "v0 and more", "v1", "v00"} {
		if version != "v1" && version != "v2" { // which are there
			w.unpack(t, "web1", version, "")
		}
		age(version, i)
	}
	seq++
	for range 2 {
		if err := b.Finish(t.Context(), order(seq)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		entries, err := os.ReadDir(w.root("web1", "releases"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	if got := left(); got != "v1 v2 v9" {
		t.Errorf("the two newest releases are v2 and v9, the way back is v1; left are: %s", got)
	}
	// What is in use stays, whatever the order says.
	seq++
	next := guard.Order{Release: guard.Release{From: "v9", To: "v10"}, Fence: 1, Seq: seq}
	w.unpack(t, "web1", "v10", "")
	age("v2", 9)
	if err := b.Finish(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if got := left(); got != "v10 v2 v9" {
		t.Errorf("v2 is in use, and left are: %s", got)
	}
}

func TestConfig(t *testing.T) {
	good := guard.With{"root": "/srv/shop", "run": "bin/shop", "supervisor": "systemd", "service": "shop"}
	if _, err := NewBackend(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want   string
		change guard.With
	}{
		{"root: missing", guard.With{"root": ""}},
		{`root: "srv" is not the path`, guard.With{"root": "srv"}},
		{"root: {{.Hist}} means nothing here", guard.With{"root": "/srv/{{.Hist}}"}},
		{"run: missing", guard.With{"run": "../bin/shop"}},
		{`files[1]: "/etc/passwd" is not in the release`, guard.With{"files": []any{"a", "/etc/passwd"}}},
		{`supervisor: "upstart" is none of command, runit, s6, supervisor, systemd`, guard.With{"supervisor": "upstart"}},
		{"service: missing", guard.With{"service": ""}},
		{`service: "--now" is no service`, guard.With{"service": "--now"}},
		{"restart: the supervisor command needs it", guard.With{"supervisor": "command", "service": ""}},
		{"pid: the supervisor command needs it, and no other", guard.With{"pid": "cat pid"}},
		{"config: it is for the supervisor called supervisor", guard.With{"config": "/etc/s.conf"}},
		{"settle: must be longer than nothing", guard.With{"settle": "0"}},
		{"keep: must be 1 or more", guard.With{"keep": 0}},
		{"health: must begin with http:// or https://", guard.With{"health": "localhost"}},
		{`hosts[0].name: "" is missing, or not one word`, guard.With{"hosts": []any{map[string]any{}}}},
		{`hosts[1].name: "a" is taken`, guard.With{"hosts": []any{map[string]any{"name": "a"}, map[string]any{"name": "a"}}}},
		{`hosts[0].ssh: "-oProxyCommand=x" is no destination`, guard.With{"hosts": []any{map[string]any{"name": "a", "ssh": "-oProxyCommand=x"}}}},
		{"hosts[0].weight: must be 1 or more", guard.With{"hosts": []any{map[string]any{"name": "a", "weight": 0}}}},
		{"hosts[0].health: {{.To}} means nothing here", guard.With{"hosts": []any{map[string]any{"name": "a", "health": "http://{{.To}}"}}}},
		{"there is no such key", guard.With{"symlink": "current"}},
	} {
		with := guard.With{}
		for key, value := range good {
			with[key] = value
		}
		for key, value := range c.change {
			with[key] = value
		}
		if _, err := NewBackend(with); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.change, err, c.want)
		}
	}
	b := plugintest.Make(t, NewBackend, guard.With{"root": "/srv/{{.Host}}", "run": "x", "supervisor": "runit", "service": "shop"}).(*Backend)
	if h := b.hosts[0]; h.root != "/srv/localhost" || h.service != "/etc/service/shop" {
		t.Errorf("the host is %+v", h)
	}
}

func TestVersions(t *testing.T) {
	b := plugintest.Make(t, NewBackend, guard.With{"root": "/nowhere", "run": "x", "supervisor": "runit", "service": "shop"})
	for _, version := range []string{"", ".", "..", "../v1", "-v", "a b", "v1\n@pid 1", "a/b"} {
		if _, err := b.Inspect(t.Context(), guard.Release{From: "v1", To: version}); err == nil || !strings.Contains(err.Error(), "cannot be the name of a directory") {
			t.Errorf("the version %q: %v", version, err)
		}
	}
	if _, err := b.Inspect(t.Context(), guard.Release{From: "v1", To: "v1"}); err == nil || !strings.Contains(err.Error(), "to itself") {
		t.Errorf("no change: %v", err)
	}
	if _, err := b.Inspect(t.Context(), release); err == nil || err.Error() != "localhost: /nowhere/releases is not there, or may not be entered (now localhost is not known)" {
		t.Errorf("no releases: %v", err)
	}
	if err := b.Shift(t.Context(), guard.Order{Release: guard.Release{To: "v1"}}, 0); err == nil || !strings.Contains(err.Error(), "the first release") {
		t.Errorf("back from the first release: %v", err)
	}
}

// A value is one word for any shell, whatever it holds.
func FuzzQuote(f *testing.F) {
	f.Add("it's")
	f.Add("$(touch pwned) `id` \\ \n \" & ; | < > * ? ~ ! #")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") {
			t.Skip("no argument holds a NUL")
		}
		out, err := exec.Command("sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q arrives as %q, %v", text, out, err)
		}
	})
}

// An answer is taken only when it is whole, whatever a login prints around it.
func TestParse(t *testing.T) {
	s, err := parse("Welcome to web1!\n@pid 666\n@begin\n@link v1\nnoise\n@pid 12\n@start 3\n@runs v1\n@deleted \n@saw a in b\n@lacks v2 it is not there\n@bar one\n@bar two\n@end\n")
	if err != nil || !s.on("v1") || s.pid != "12" || s.lacks["v2"] != "it is not there" || len(s.bars) != 2 {
		t.Errorf("parse = %+v, %v", s, err)
	}
	for _, part := range []string{"", "@begin\n@pid 12\n", "@end\n", "Permission denied"} {
		if s, err := parse(part); err == nil {
			t.Errorf("%q is taken for %+v", part, s)
		}
	}
}

// Each number of hosts can be had, and what can be had is read back.
func TestShares(t *testing.T) {
	for _, weights := range [][]int{{1}, {1, 1}, {1, 1, 1}, {1, 2, 3}, {1, 1000}, {1000, 1}} {
		b := &Backend{}
		for _, weight := range weights {
			b.hosts = append(b.hosts, host{weight: weight})
		}
		shares := b.shares()
		if len(shares) != len(weights) || shares[len(shares)-1] != 100 {
			t.Errorf("shares of %v: %v", weights, shares)
		}
		for i, percent := range append([]int{0}, shares...) {
			if hosts, can := b.choose(percent); !can || hosts != i {
				t.Errorf("%d%% of %v: %d hosts, %t", percent, weights, hosts, can)
			}
		}
		if _, can := b.choose(42); can {
			t.Errorf("42%% of %v can be had", weights)
		}
	}
	var many Backend
	for range 300 {
		many.hosts = append(many.hosts, host{weight: 1})
	}
	if hosts, can := many.choose(1); !can || hosts != 1 {
		t.Errorf("1%% of 300 hosts: %d, %t", hosts, can)
	}
}

// A secret in an address for health is in no error.
func TestQuietHealth(t *testing.T) {
	b := &Backend{health: http.DefaultClient}
	err := b.well(t.Context(), host{health: "http://me:hunter2@127.0.0.1:9/?token=hunter2"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("nobody listens: %v", err)
	}
	if errors.Unwrap(err) == nil {
		t.Errorf("%v does not say why", err)
	}
}
