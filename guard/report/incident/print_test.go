package incident_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/incident"
)

// needs skips a test where a program is missing, and fails it where it has to be there.
func needs(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing := program + " is not installed: apt-get install -y --no-install-recommends " + pkg
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return path
}

// Printed by a real browser, no row of a table and no picture is torn apart between two pages, and pages have numbers.
func TestPrint(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a browser twice")
	}
	chromium := needs(t, "chromium", "chromium")
	pdftotext := needs(t, "pdftotext", "poppler-utils")
	const notes, lines = 20, 9
	w := histories[0].world
	w.said = nil
	for n := range notes {
		var text strings.Builder
		for l := range lines {
			fmt.Fprintf(&text, "n%02dl%d\n", n, l)
		}
		w.said = append(w.said, after(5*time.Minute+time.Duration(n)*time.Second, guard.Noted{By: "Ada Obi", Text: text.String()}))
	}
	w.said = append(w.said, after(20*time.Minute, guard.Stated{What: guard.StateStandDown, Text: "quiet", By: "Wang Fang"}))
	plan, records := play(t, responding, opened(nil), &w)
	r, err := incident.New(incident.Account{Plan: plan, Records: records, Journal: "x.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range incident.Languages {
		t.Run(in, func(t *testing.T) {
			dir := t.TempDir()
			page, pdf := filepath.Join(dir, "report.html"), filepath.Join(dir, "report.pdf")
			f, err := os.Create(page)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Write(f, "html", in); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			print := exec.CommandContext(t.Context(), chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
				"--user-data-dir="+filepath.Join(dir, "home"), "--no-pdf-header-footer", "--print-to-pdf="+pdf, page)
			print.Env = append(os.Environ(), "HOME="+dir)
			if out, err := print.CombinedOutput(); err != nil {
				t.Fatalf("print: %v\n%s", err, out)
			}
			text, err := exec.CommandContext(t.Context(), pdftotext, "-layout", pdf, "-").Output()
			if err != nil {
				t.Fatal(err)
			}
			pages := strings.Split(strings.TrimSuffix(string(text), "\f"), "\f")
			if len(pages) < 6 || len(pages) > 60 {
				t.Errorf("%d pages", len(pages))
			}
			where := map[string]int{}
			for n, page := range pages {
				if !regexp.MustCompile(fmt.Sprintf(`\b%d / %d\b`, n+1, len(pages))).MatchString(page) {
					t.Errorf("page %d has no number:\n%s", n+1, page)
				}
				if legends, captions := strings.Count(page, "new version v2 (thick)"), strings.Count(page, "Share of bad requests of"); in == "en" && legends != captions {
					t.Errorf("page %d has %d pictures and %d captions", n+1, legends, captions)
				}
				// The notes stand in the timeline, and once more by themselves: each time as a whole.
				for _, mark := range regexp.MustCompile(`n\d\dl\d`).FindAllString(page, -1) {
					where[fmt.Sprintf("%s on page %d", mark[:3], n+1)]++
				}
			}
			rows := 0
			for row, seen := range where {
				rows += seen
				if seen%lines != 0 {
					t.Errorf("row %s has %d of its %d lines", row, seen, lines)
				}
			}
			if rows != 2*notes*lines {
				t.Errorf("%d lines of notes, want %d", rows, 2*notes*lines)
			}
		})
	}
}
