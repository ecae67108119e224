package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

// outputsIn reads a file as the runner of GitHub Actions does: NAME=VALUE, or NAME<<END and lines up to END; of a name the last
// value counts.
func outputsIn(text string) (map[string]string, error) {
	all := map[string]string{}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		equals, heredoc := strings.Index(lines[i], "="), strings.Index(lines[i], "<<")
		switch {
		case lines[i] == "":
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			all[lines[i][:equals]] = lines[i][equals+1:]
		case heredoc < 0:
			return nil, fmt.Errorf("the runner refuses %q", lines[i])
		default:
			name, end := lines[i][:heredoc], lines[i][heredoc+2:]
			var value []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				value = append(value, lines[i])
			}
			if i == len(lines) {
				return nil, fmt.Errorf("the runner finds no end of %s", name)
			}
			all[name] = strings.Join(value, "\n")
		}
	}
	return all, nil
}

// handedOn is a command: output NAME VALUE demands an output of the steps so far, as the runner reads it.
func handedOn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: output NAME VALUE")
	}
	all, err := outputsIn(ts.ReadFile(ts.Getenv("GITHUB_OUTPUT")))
	ts.Check(err)
	if got, there := all[args[0]]; !there || got != args[1] {
		ts.Fatalf("the output %s is %q, want %q", args[0], got, args[1])
	}
}

func newStep(t *testing.T) *step {
	t.Helper()
	dir := t.TempDir()
	return stepOf(envconfig.MapLookuper(map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": filepath.Join(dir, "output"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"),
	}))
}

func readOutputs(t *testing.T, s *step) map[string]string {
	t.Helper()
	text, err := os.ReadFile(s.outputs)
	if err != nil {
		t.Fatal(err)
	}
	all, err := outputsIn(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOnlyGoIsGo holds every ending to what the steps after it may make of it.
func TestOnlyGoIsGo(t *testing.T) {
	rollout := func(o guard.Outcome, purpose guard.Purpose) guard.State {
		return guard.State{Outcome: o, Purpose: purpose, Phase: guard.Over, Release: guard.Release{To: "v2"}}
	}
	for _, c := range []struct {
		name string
		tell func(*step) error
		code int
		want string
	}{
		{"nothing was decided", nil, exitOK, ""},
		{"a call that is wrong", nil, exitUsage, stepUndecidable},
		{"interrupted", nil, exitInterrupted, stepUndecidable},
		{"no-go without an answer", nil, exitNoGo, stepNoGo},
		{"a check", func(s *step) error { return s.checked(report.Assessment{Verdict: guard.Pass}, true) }, exitOK, stepGo},
		{"a check with warnings", func(s *step) error { return s.checked(report.Assessment{Verdict: guard.Warn}, true) }, exitOK, stepGo},
		{"a check that fails on warnings", func(s *step) error {
			return s.checked(report.Assessment{Verdict: guard.Warn, ExitCode: exitWarnings}, true)
		}, exitWarnings, stepNoGo},
		{"a check that observes", func(s *step) error {
			return s.checked(report.Assessment{Verdict: guard.Fail, Mode: guard.Observe}, true)
		}, exitOK, stepNoGo},
		{"a check that could not find out, and observes", func(s *step) error { return s.checked(report.Assessment{Mode: guard.Observe}, true) }, exitOK, stepUndecidable},
		{"a check that ran out of time", func(s *step) error {
			return s.checked(report.Assessment{Verdict: guard.Pass, ExitCode: exitDeadline}, true)
		}, exitDeadline, stepUndecidable},
		{"a check whose answer was not kept", func(s *step) error { return s.checked(report.Assessment{Verdict: guard.Pass}, true) }, exitInternal, stepUndecidable},
		{"live", func(s *step) error { return s.ended(&history{Name: "r"}, rollout(guard.Live, guard.ToRollout), exitOK) }, exitOK, stepGo},
		{"a go that the call does not keep to", func(s *step) error { return s.checked(report.Assessment{Verdict: guard.Pass}, true) }, exitWarnings, stepUndecidable},
		{"live, and nothing proves it", func(s *step) error {
			return s.ended(&history{Name: "r"}, rollout(guard.Live, guard.ToRollout), exitInternal)
		}, exitInternal, stepUndecidable},
		{"rolled back", func(s *step) error {
			return s.ended(&history{Name: "r"}, rollout(guard.RolledBack, guard.ToRollout), exitRolledBack)
		}, exitRolledBack, stepRolledBack},
		{"rolled back by hand", func(s *step) error {
			return s.ended(&history{Name: "r"}, rollout(guard.RolledBack, guard.ToRollback), exitOK)
		}, exitOK, stepRolledBack},
		{"live, where it should be rolled back", func(s *step) error {
			return s.ended(&history{Name: "r"}, rollout(guard.Live, guard.ToRollout), exitRollbackFailed)
		}, exitRollbackFailed, stepRollbackFailed},
		{"would roll back", func(s *step) error {
			return s.ended(&history{Name: "r"}, rollout(guard.WouldRollBack, guard.ToRollout), exitOK)
		}, exitOK, stepNoGo},
		{"killed", func(s *step) error { return s.began("r") }, exitTerminated, stepUndecidable},
		{"handed over", func(s *step) error { s.handed("r", "https://golive.test/rollouts/r"); return nil }, exitOK, stepHandedOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStep(t)
			if c.tell != nil {
				if err := c.tell(s); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.end(c.code); err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if _, err := os.Stat(s.outputs); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("outputs were written (%v)", err)
				}
				return
			}
			got := readOutputs(t, s)
			if got["verdict"] != c.want || got["exit-code"] != fmt.Sprint(c.code) || len(got) != len(stepOutputs) {
				t.Errorf("the outputs are %q, want the verdict %q", got, c.want)
			}
		})
	}
}

// TestNoStep: outside of GitHub Actions nothing is written, whatever is told.
func TestNoStep(t *testing.T) {
	s := stepOf(envconfig.MapLookuper(map[string]string{"GITHUB_OUTPUT": filepath.Join(t.TempDir(), "output")}))
	if s != nil {
		t.Fatal("a call without GITHUB_ACTIONS is a step")
	}
	s.wrote("sarif", "x")
	s.handed("r", "")
	if err := errors.Join(s.began("r"), s.checked(report.Assessment{}, true), s.ended(&history{}, guard.State{}, 0)); err != nil {
		t.Error(err)
	}
}

// TestSummaryFits: GitHub shows nothing of a summary that is too large, so what is there already is not spoiled.
func TestSummaryFits(t *testing.T) {
	s := newStep(t)
	there := strings.Repeat("x", largestSummary-100)
	if err := os.WriteFile(s.summaries, []byte(there), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.checked(report.Assessment{}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.end(exitUnknown); err == nil || !strings.Contains(err.Error(), "GITHUB_STEP_SUMMARY") {
		t.Errorf("the error is %v", err)
	}
	text, err := os.ReadFile(s.summaries)
	if err != nil || string(text) != there {
		t.Errorf("the summary has %d bytes now (%v)", len(text), err)
	}
	if got := readOutputs(t, s)["verdict"]; got != stepUndecidable {
		t.Errorf("the verdict is %q", got)
	}
}

// TestLines: what stands on a line is one argument, and what was meant to be two is refused.
func TestLines(t *testing.T) {
	got, err := lines("--fail-on=warn\n\n  --why=it's $HOME; \"really\"  \r\n--wait=10m\nNAME of it\n")
	if diff := cmp.Diff([]string{"--fail-on=warn", `--why=it's $HOME; "really"`, "--wait=10m", "NAME of it"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := lines("--fail-on warn"); err == nil || !strings.Contains(err.Error(), "write --flag=VALUE") {
		t.Errorf("the error is %v", err)
	}
}
