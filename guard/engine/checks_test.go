package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// What a check means to the plan is applied by the runner alone, so no check and no plugin can forget it.
func TestRunChecksByNeed(t *testing.T) {
	finds := func(v guard.Verdict) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(context.Context, guard.Scene) ([]guard.Finding, error) { return []guard.Finding{{Verdict: v}}, nil }
	}
	gone := func(context.Context, guard.Scene) ([]guard.Finding, error) { panic("oops") }
	checks := []guard.Check{
		{Code: "X1", Standard: guard.Off, Run: gone},
		{Code: "X2", Standard: guard.Advisory, Run: finds(guard.Fail)},
		{Code: "X3", Standard: guard.Advisory, Title: "all is well", Run: gone},
		{Code: "X4", Standard: guard.Advisory, Run: finds(guard.Pass)},
		{Code: "X5", Critical: guard.Off, Run: finds(guard.Fail)},
		{Code: "X6", Standard: guard.Off, Clauses: []guard.Clause{guard.ThirdParty}, Run: finds(guard.Fail)},
	}
	for _, test := range []struct {
		name string
		plan guard.Plan
		want []string
	}{
		{"standard", guard.Plan{Tier: guard.Standard}, []string{"X2 warn", "X3 warn", "X4 pass", "X5 fail"}},
		{"critical", guard.Plan{Tier: guard.Critical}, []string{"X1 unknown", "X2 fail", "X3 unknown", "X4 pass", "X6 fail"}},
		{"a clause", guard.Plan{Tier: guard.Standard, Clauses: []guard.Clause{guard.ThirdParty}}, []string{"X2 warn", "X3 warn", "X4 pass", "X5 fail", "X6 fail"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, f := range RunChecks(t.Context(), guard.Scene{Plan: &test.plan}, checks, nil) {
				got = append(got, f.Code+" "+f.Verdict.String())
				if f.Code == "X3" && (f.Title != "all is well" || f.Reason != "the check panicked: oops") {
					t.Errorf("X3: %q: %s", f.Title, f.Reason)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAskForFile(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ name, text, wrong string }{
		{"text.ics", "BEGIN:VCALENDAR\r\n", ""},
		{"full.ics", strings.Repeat("x", 1<<20), ""},
		{"long.ics", strings.Repeat("x", 1<<20+1), "is larger than 1 MiB"},
		{"binary.ics", "a\xff", "holds no text in UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.name)
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			holdsFile(t, path, test.text, test.wrong)
		})
	}
	t.Run("a directory", func(t *testing.T) { holdsFile(t, dir, "", "is not a file") })
	t.Run("nothing", func(t *testing.T) { holdsFile(t, filepath.Join(dir, "none.ics"), "", "none.ics") })
}

// holdsFile asks for a file as a check does.
func holdsFile(t *testing.T, path, text, wrong string) {
	t.Helper()
	a, err := Parts{}.Scene(t.Context(), &guard.Plan{}, guard.Release{}, time.Now()).Ask(t.Context(), guard.Question{File: path})
	switch {
	case wrong == "" && (err != nil || a.Text != text):
		t.Errorf("%d bytes, error %v", len(a.Text), err)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong) || a.Text != ""):
		t.Errorf("%d bytes, error %v, want one that says %q", len(a.Text), err, wrong)
	}
}

// ready is a restorer that could begin, or cannot say.
type ready struct {
	guard.Restorer
	err error
}

func (r ready) Ready(context.Context) (guard.Finding, error) {
	return guard.Finding{Verdict: guard.Pass, Observed: "it could begin"}, r.err
}

func TestAskForRestore(t *testing.T) {
	ask := func(r ready, made error) (guard.Answer, error) {
		parts := Parts{Restorer: func(part guard.Part) (guard.Restorer, error) {
			if part.Use != "command" {
				t.Errorf("made of %+v", part)
			}
			return r, made
		}}
		scene := parts.Scene(t.Context(), &guard.Plan{}, guard.Release{}, time.Now())
		return scene.Ask(t.Context(), guard.Question{Restore: &guard.Part{Use: "command"}})
	}
	if a, err := ask(ready{}, nil); err != nil || a.Finding.Observed != "it could begin" {
		t.Errorf("%+v, error %v", a.Finding, err)
	}
	if _, err := ask(ready{err: errors.New("no shell")}, nil); err == nil || err.Error() != "no shell" {
		t.Errorf("error %v, want no shell", err)
	}
	if _, err := ask(ready{}, errors.New("no such part")); err == nil || err.Error() != "no such part" {
		t.Errorf("error %v, want no such part", err)
	}
}
