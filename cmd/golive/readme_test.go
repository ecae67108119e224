package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
)

// TestReadme holds the README to what is true: its figures are those of the benchmark, its plan parses, and
// its commands exist.
func TestReadme(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme, results := read("README.md"), read("guard/judge/RESULTS.md")
	_, judged, _ := strings.Cut(readme, "## How well it judges")
	judged, _, _ = strings.Cut(judged, "![")
	rows := 0
	for line := range strings.Lines(judged) {
		if strings.HasPrefix(line, "| ") {
			rows++
			if !strings.Contains(results, line) {
				t.Errorf("RESULTS.md has no row like %s", line)
			}
		}
	}
	if rows != 6 {
		t.Errorf("%d rows of results, want a head and five", rows)
	}
	_, plan, _ := strings.Cut(readme, "```yaml\n")
	plan, _, _ = strings.Cut(plan, "```")
	if _, err := guard.ParsePlan("README.md", []byte(plan)); err != nil {
		t.Error(err)
	}
	program := &program{}
	for _, command := range regexp.MustCompile("`golive ([a-z-]+)").FindAllStringSubmatch(readme, -1) {
		if found, _, err := program.root().Find(command[1:]); err != nil || found.Name() == "golive" {
			t.Errorf("there is no command golive %s", command[1])
		}
	}
}
