package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/golive-dev/golive/plugins/plugintest"
)

// servesRelease is the program of a release, on one machine. It hands on what it is asked to the server of its version,
// whose address is in the release, so that one counter counts for all machines, and outlives their restarts.
func servesRelease() {
	arm, err := os.ReadFile("arm")
	if err == nil {
		to := &url.URL{Scheme: "http", Host: string(arm)}
		err = http.ListenAndServe(os.Args[1], httputil.NewSingleHostReverseProxy(to)) //nolint:gosec // its clients are the test's
	}
	panic(err)
}

// A machine is a directory and a port of this one.
type machine struct {
	name    string
	weight  int // in percent of the customers
	root    string
	service string // directory
	address string
}

// release is the one that current points to.
func (m machine) release(t *testing.T) string {
	to, err := os.Readlink(filepath.Join(m.root, "current"))
	if err != nil {
		t.Error(err)
	}
	return filepath.Base(to)
}

// point lets current point to a release.
func (m machine) point(t *testing.T, release string) {
	next := filepath.Join(m.root, "next")
	if err := errors.Join(os.Symlink("releases/"+release, next), os.Rename(next, filepath.Join(m.root, "current"))); err != nil {
		t.Error(err)
	}
}

// newReleasesRig is three machines under a real runit, which gives the shares of the plan: 30, 80 and 100 %. Each customer
// goes to one of them, as their weights say.
func newReleasesRig(t *testing.T, s *storefront) rig {
	installed(t, "runsvdir", "runit")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var machines []machine
	var doors []string // of the machines, each so often as its weight says
	var hosts strings.Builder
	for i, weight := range []int{30, 50, 20} {
		name := fmt.Sprintf("web%d", i+1)
		m := machine{
			name: name, weight: weight, root: filepath.Join(dir, name), service: filepath.Join(dir, "services", name),
			address: fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)),
		}
		for version, arm := range s.arms {
			release := filepath.Join(m.root, "releases", version)
			write(t, filepath.Join(release, "arm"), arm.address())
			if err := errors.Join(os.Mkdir(filepath.Join(release, "bin"), 0o700), os.Symlink(program, filepath.Join(release, "bin", "shopd"))); err != nil {
				t.Fatal(err)
			}
		}
		m.point(t, "v1")
		run := filepath.Join(m.service, "run")
		write(t, run, fmt.Sprintf("#!/bin/sh\ncd %s/current && exec bin/shopd %s\n", m.root, m.address))
		if err := os.Chmod(run, 0o700); err != nil { //nolint:gosec // it is a program
			t.Fatal(err)
		}
		fmt.Fprintf(&hosts, "{name: %s, weight: %d, health: 'http://%s/healthz'}, ", name, weight, m.address)
		machines = append(machines, m)
		doors = append(doors, slices.Repeat([]string{m.address}, weight)...)
	}
	s.door = func() (string, error) { return plugintest.Visit(doors[rand.IntN(len(doors))]) }
	c := &component{args: []string{"runsvdir", filepath.Join(dir, "services")}}
	begin := func() {
		c.start(t, s)
		for _, m := range machines {
			eventually(t, m.name+" answers", func() bool { _, err := plugintest.Visit(m.address); return err == nil })
		}
	}
	begin()
	t.Cleanup(c.kill) // runit with all that it runs, as if the machines lost their power

	var before []string // to what current pointed
	releases := func() (all []string) {
		for _, m := range machines {
			all = append(all, m.release(t))
		}
		return all
	}
	var stopped []int
	return rig{
		backend: fmt.Sprintf("{use: releases, with: {root: '%[1]s/{{.Host}}', run: bin/shopd, supervisor: runit, service: '%[1]s/services/{{.Host}}', "+
			"hosts: [%[2]s], settle: 100ms, stop: 1s, timeout: 10s}}", dir, hosts.String()),
		// A supervisor that stands still takes the order to restart, and does nothing about it.
		stall: func() {
			before = releases()
			stopped = children(t, c.process.Process.Pid)
			for _, pid := range stopped {
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					t.Error(err)
				}
			}
		},
		stalled: func() bool { return !slices.Equal(releases(), before) },
		thaw: func() {
			for _, pid := range stopped {
				_ = syscall.Kill(pid, syscall.SIGCONT) // it may be dead
			}
		},
		kill:   c.kill,
		revive: begin,
		meddle: func(percent int) {
			sum := 0
			for _, m := range machines {
				version := "v1"
				if sum += m.weight; sum <= percent {
					version = "v2"
				}
				if m.release(t) == version {
					continue
				}
				m.point(t, version)
				if said, err := exec.Command("sv", "term", m.service).CombinedOutput(); err != nil {
					t.Errorf("meddling: %v: %s", err, said)
				}
			}
		},
	}
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if err != nil {
		t.Error(err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			t.Error(err)
		}
		pids = append(pids, child)
	}
	return pids
}
