package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard/report"
)

var update = flag.Bool("update", false, "write what is kept current anew")

// TestChecksInReadme keeps the table of the README: it is what golive checks -o markdown prints.
func TestChecksInReadme(t *testing.T) {
	const begin, end = "<!-- checks -->\n", "<!-- /checks -->"
	path := filepath.Join(root, "README.md")
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(readme), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("README.md has no %s and %s", strings.TrimSpace(begin), end)
	}
	want := report.Checks(checks.All())
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of checks in README.md (-want +got):\n%s\nput it right with: go test ./cmd/golive -run ChecksInReadme -update", diff)
	}
}
