package accesslog

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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// startNginx runs a real nginx before two instances, and returns its address, its process and its log.
func startNginx(t *testing.T, stable, canary string) (address string, process *os.Process, logPath string) {
	t.Helper()
	plugintest.Needs(t, "nginx", "apt-get install -y --no-install-recommends nginx-light")
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	logPath = filepath.Join(dir, "access.log")
	config := fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s/pid; error_log stderr error;
events {}
http {
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	log_format counts escape=json '{"at":"$time_iso8601","uri":"$request_uri","upstream":"$upstream_addr","status":"$upstream_status","request_time":$request_time}';
	access_log %[2]s counts;
	upstream shop { server %[3]s weight=3 max_fails=0; server %[4]s weight=1 max_fails=0; keepalive 8; }
	upstream v2 { server %[4]s down; }
	server {
		listen %[5]s;
		location = /down { proxy_pass http://v2; }
		location = /old { return 301 /; }
		location / { proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_next_upstream off; }
	}
}
`, dir, logPath, stable, canary, address)
	if os.Geteuid() == 0 {
		config = "user root;\n" + config // the directory of a test is for nobody else
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-c", file, "-p", dir, "-e", "stderr")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	eventually(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address, cmd.Process, logPath
}

// eventually waits for another process, which no synctest bubble can hold.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60s: %s", what)
		}
	}
}

// TestRealNginx counts at the clients, while nginx is told again and again that its log was renamed, and answers many
// a request by itself.
func TestRealNginx(t *testing.T) {
	instance := func(version string, failing int64) string {
		var n atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Version", version)
			if n.Add(1)%failing == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	stable, canary := instance("v1", 50), instance("v2", 7)
	address, nginx, logPath := startNginx(t, stable, canary)
	source := newSource(t, guard.With{
		"files": []any{logPath}, "format": "json", "fields": map[string]any{"arm": "upstream", "seconds": "request_time"},
		"canary": []any{canary}, "stable": []any{stable},
	})
	counts(t, source)

	var mu sync.Mutex
	type answers struct{ total, bad float64 }
	seen := make(map[string]answers) // at the clients
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var load sync.WaitGroup
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for range 2 {
		load.Go(func() {
			for ctx.Err() == nil {
				answer, err := client.Get("http://" + address + "/old")
				if err != nil || answer.StatusCode != http.StatusMovedPermanently {
					t.Errorf("%+v, error %v", answer, err)
					return
				}
				answer.Body.Close()
			}
		})
	}
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				answer, err := http.Get("http://" + address + "/?x=%22y")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				mu.Lock()
				a := seen[answer.Header.Get("X-Version")]
				a.total++
				if answer.StatusCode >= 500 {
					a.bad++
				}
				seen[answer.Header.Get("X-Version")] = a
				mu.Unlock()
			}
		})
	}
	rotations := 0
	for ; ctx.Err() == nil; rotations++ {
		if err := os.Rename(logPath, fmt.Sprintf("%s.%d", logPath, rotations)); err != nil {
			t.Fatal(err)
		}
		counts(t, source) // there is none now
		if err := nginx.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nginx has a log again", func() bool { _, err := os.Stat(logPath); return err == nil })
		counts(t, source)
		time.Sleep(100 * time.Millisecond)
	}
	load.Wait()

	say := func(a answers) string { return fmt.Sprintf("%v/%v", a.total, a.bad) }
	want := map[string]string{"canary " + canary: say(seen["v2"]), "baseline " + stable: say(seen["v1"])}
	var got map[string]string
	deadline := time.Now().Add(10 * time.Second)
	for got = counts(t, source); !cmp.Equal(want, got) && time.Now().Before(deadline); got = counts(t, source) {
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%d rotations: %v", rotations, got)
	if diff := cmp.Diff(want, got); diff != "" || rotations < 5 || seen["v2"].bad == 0 {
		t.Errorf("after %d rotations (-clients +log)\n%s", rotations, diff)
	}
}

// TestGroupDown asks nginx for a group all of whose servers are down: then it logs the name of the group.
func TestGroupDown(t *testing.T) {
	const canary = "127.0.0.1:1"
	address, _, logPath := startNginx(t, canary, canary)
	source := newSource(t, guard.With{
		"files": []any{logPath}, "format": "json", "fields": map[string]any{"arm": "upstream", "seconds": "request_time"},
		"canary": []any{"127.0.0.1:*", "{{.To}}"}, "stable": []any{"{{.From}}"},
	})
	counts(t, source)
	for range 3 {
		answer, err := http.Get("http://" + address + "/down")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	want := map[string]string{"canary v2": "3/3"}
	var got map[string]string
	deadline := time.Now().Add(10 * time.Second)
	for got = counts(t, source); !cmp.Equal(want, got) && time.Now().Before(deadline); got = counts(t, source) {
		time.Sleep(50 * time.Millisecond)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
