package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// maxSize is what golive may weigh, in bytes: it is fetched by every CI run of everybody. Of it 13 million are the server's:
// its two databases, its metrics, its traces and the tokens that it verifies. One program to fetch is worth them.
const maxSize = 44_000_000

// BenchmarkCheck measures golive check with ten instant checks, from start to exit, beside an empty Go
// program: the two in turn, and their ratio.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	golive, empty := filepath.Join(dir, "golive"), filepath.Join(dir, "empty")
	if err := os.WriteFile(filepath.Join(dir, "empty.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	release(b, golive, ".")
	release(b, empty, filepath.Join(dir, "empty.go"))
	info, err := os.Stat(golive)
	if err != nil {
		b.Fatal(err)
	}
	if info.Size() > maxSize {
		b.Errorf("golive has %d bytes, and may have %d", info.Size(), maxSize)
	}
	run := benchShop(b, dir)
	run(golive, "check", "--from", "v1", "--to", "v2")
	var check, nothing time.Duration
	for b.Loop() {
		check += run(golive, "check", "--from", "v1", "--to", "v2")
		nothing += run(empty)
	}
	b.ReportMetric(float64(check.Microseconds())/1000/float64(b.N), "check-ms/op")
	b.ReportMetric(float64(nothing.Microseconds())/1000/float64(b.N), "empty-ms/op")
	b.ReportMetric(float64(check)/float64(nothing), "ratio")
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}

// BenchmarkPlugin measures golive check with a plugin in its plan beside the same check without, and beside the start
// of golive: the three in turn, and their ratios.
func BenchmarkPlugin(b *testing.B) {
	dir := b.TempDir()
	golive := filepath.Join(dir, "golive")
	release(b, golive, ".")
	release(b, filepath.Join(dir, "golive-plugin-flags"), filepath.Join(root, "examples/plugin-flags"))
	run := benchShop(b, dir)
	plan, err := os.ReadFile(filepath.Join(dir, "golive.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plugin.yaml"), append(plan, "\nplugins: [{name: flags}]\n"...), 0o600); err != nil {
		b.Fatal(err)
	}
	run(golive, "check", "--plan", "plugin.yaml", "--from", "v1", "--to", "v2")
	var with, without, start time.Duration
	for b.Loop() {
		with += run(golive, "check", "--plan", "plugin.yaml", "--from", "v1", "--to", "v2")
		without += run(golive, "check", "--from", "v1", "--to", "v2")
		start += run(golive, "version")
	}
	b.ReportMetric(float64(with.Microseconds())/1000/float64(b.N), "with-ms/op")
	b.ReportMetric(float64(without.Microseconds())/1000/float64(b.N), "without-ms/op")
	b.ReportMetric(float64(start.Microseconds())/1000/float64(b.N), "start-ms/op")
	b.ReportMetric(float64(with)/float64(start), "ratio")
}

// release builds a program as make build does.
func release(tb testing.TB, to, from string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", to, from)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
}

// benchShop opens a shop in a directory, with a plan whose checks are instant. What it returns runs a program there.
func benchShop(b *testing.B, dir string) (run func(name string, args ...string) time.Duration) {
	b.Helper()
	s := &shop{dir: dir, seen: time.Now(), visits: map[string]float64{}, errors: map[string]float64{}}
	if err := beginLedger(dir); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(s)
	b.Cleanup(server.Close)
	plan, err := os.ReadFile("testdata/golive.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"percent": "0", "errors": "0",
		// A limit is judged by two readings a tick apart, which is not instant.
		"golive.yaml": strings.Replace(upToDate(string(plan)), "      never: 40%\n", "", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return func(name string, args ...string) time.Duration {
		cmd := exec.CommandContext(b.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SHOP="+strings.TrimPrefix(server.URL, "http://"), "GOLIVE_LEDGER=golive.ledger")
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(began)
		if err != nil {
			b.Fatalf("%s: %v\n%s", name, err, out)
		}
		return took
	}
}
