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

// maxSize is what golive may weigh, in bytes: it is fetched by every CI run of everybody.
const maxSize = 30_000_000

// BenchmarkCheck measures golive check with ten instant checks, from start to exit, beside an empty Go
// program: the two in turn, and their ratio.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	golive, empty := filepath.Join(dir, "golive"), filepath.Join(dir, "empty")
	if err := os.WriteFile(filepath.Join(dir, "empty.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, build := range [][]string{
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", golive, "."},
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", empty, filepath.Join(dir, "empty.go")},
	} {
		cmd := exec.CommandContext(b.Context(), "go", build...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	info, err := os.Stat(golive)
	if err != nil {
		b.Fatal(err)
	}
	if info.Size() > maxSize {
		b.Errorf("golive has %d bytes, and may have %d", info.Size(), maxSize)
	}
	s := &shop{dir: dir, seen: time.Now(), visits: map[string]float64{}, errors: map[string]float64{}}
	server := httptest.NewServer(s)
	defer server.Close()
	plan, err := os.ReadFile("testdata/golive.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"percent": "0", "errors": "0",
		// A limit is judged by two readings a tick apart, which is not instant.
		"golive.yaml": strings.Replace(string(plan), "      never: 40%\n", "", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name string, args ...string) time.Duration {
		cmd := exec.CommandContext(b.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SHOP="+strings.TrimPrefix(server.URL, "http://"))
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(began)
		if err != nil {
			b.Fatalf("%s: %v\n%s", name, err, out)
		}
		return took
	}
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
