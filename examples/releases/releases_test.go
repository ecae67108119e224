//go:build linux

// Package releases_test runs the plan of this directory with real services under runit.
package releases_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestPlan(t *testing.T) {
	plugintest.Needs(t, "runsvdir", "apt-get install -y --no-install-recommends runit")
	dir := t.TempDir()
	for _, program := range []string{"cmd/golive", "examples/shop"} {
		run(t, 0, "../..", "go", "build", "-o", filepath.Join(dir, "bin")+"/", "./"+program)
	}
	golive, shop := filepath.Join(dir, "bin", "golive"), filepath.Join(dir, "bin", "shop")
	web := map[string]string{"web1": address(t), "web2": address(t)}
	for host, listen := range web {
		for version, faults := range map[string]string{"v1": "", "v2": "", "v3": "--errors 40%"} {
			release := filepath.Join(dir, host, "releases", version)
			write(t, filepath.Join(release, "options"), "--version "+version+" "+faults, 0o644)
			if err := os.Mkdir(filepath.Join(release, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(shop, filepath.Join(release, "bin", "shop")); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("releases/v1", filepath.Join(dir, host, "current")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "services", host, "run"), fmt.Sprintf("#!/bin/sh\ncd '%s/%s/current' && exec bin/shop serve --listen %s $(cat options)\n", dir, host, listen), 0o755)
	}
	start(t, func(p *os.Process) {
		_ = p.Signal(syscall.SIGHUP) // it leaves its children, which end before the directory does
		_ = exec.Command("sv", "-w5", "force-shutdown", filepath.Join(dir, "services", "web1"), filepath.Join(dir, "services", "web2")).Run()
	}, "runsvdir", "-P", filepath.Join(dir, "services"))
	for _, listen := range web {
		eventually(t, listen, "v1")
		start(t, func(p *os.Process) { _ = p.Kill() }, shop, "load", "--url", "http://"+listen, "--rate", "100", "--for", "5m")
	}

	plan, err := os.ReadFile("golive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	today := time.Now().Format(time.DateOnly)
	work := filepath.Join(dir, "work")
	write(t, filepath.Join(work, "golive.yaml"), strings.ReplaceAll(string(plan), "2026-11-24", today), 0o644)
	write(t, filepath.Join(work, "backups", "orders.dump"), "INSERT INTO orders VALUES (1, 'one pot, two cups');\n", 0o644)
	t.Setenv("SHOP", dir)
	t.Setenv("WEB1", web["web1"])
	t.Setenv("WEB2", web["web2"])

	const live, rolledBack = 0, 10
	run(t, 0, work, golive, "ledger", "init")
	run(t, live, work, golive, "rollout", "--from", "v1", "--to", "v2")
	for host, listen := range web {
		if got := version(listen); got != "v2" {
			t.Errorf("%s runs %q after a good release, want v2", host, got)
		}
	}
	run(t, rolledBack, work, golive, "rollout", "--from", "v2", "--to", "v3")
	for host, listen := range web {
		if got := version(listen); got != "v2" {
			t.Errorf("%s runs %q after a bad release, want v2", host, got)
		}
	}
}

// run wants a program to end with a status.
func run(t *testing.T, want int, dir, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	said, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	if got := command.ProcessState.ExitCode(); got != want {
		t.Fatalf("%s %v: exit status %d, want %d\n%s", name, args, got, want, said)
	}
}

// start runs a program until the test ends.
func start(t *testing.T, end func(*os.Process), name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end(command.Process)
		_ = command.Wait()
	})
}

// version is what a host says that it runs.
func version(listen string) string {
	answer, err := http.Get("http://" + listen + "/version")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

func eventually(t *testing.T, listen, want string) {
	t.Helper()
	for range 500 {
		if version(listen) == want {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not answer with %s: %s", listen, want, version(listen))
}

// address is one at which nobody listens, and that no client picks by itself.
func address(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
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
