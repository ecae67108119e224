package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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

// TestNeeds sees that a check whose need found nothing to pass is not asked, and that it is told why.
func TestNeeds(t *testing.T) {
	finds := func(all ...guard.Verdict) func(context.Context, guard.Scene) ([]guard.Finding, error) {
		return func(context.Context, guard.Scene) (findings []guard.Finding, _ error) {
			for _, v := range all {
				findings = append(findings, guard.Finding{Verdict: v})
			}
			return findings, nil
		}
	}
	for _, test := range []struct {
		name string
		need guard.Check
		want string // what the check that needs it comes to
	}{
		{"pass", guard.Check{Run: finds(guard.Pass)}, "pass "},
		{"warning", guard.Check{Run: finds(guard.Warn)}, "pass "},
		{"fail", guard.Check{Run: finds(guard.Fail, guard.Waiting)}, "unknown not asked, because a.need (A1) did not pass"},
		{"unknown", guard.Check{Run: finds(guard.Unknown)}, "unknown not asked, because a.need (A1) did not pass"},
		{"panic", guard.Check{Run: func(context.Context, guard.Scene) ([]guard.Finding, error) { panic("oops") }},
			"unknown not asked, because a.need (A1) did not pass"},
		{"advisory", guard.Check{Standard: guard.Advisory, Run: finds(guard.Fail)}, "unknown not asked, because a.need (A1) did not pass"},
		{"one of two", guard.Check{Run: finds(guard.Fail, guard.Pass)}, "pass "},
		{"off", guard.Check{Standard: guard.Off, Run: finds(guard.Fail)}, "pass "},
		{"not itself asked", guard.Check{Needs: []string{"a.first"}, Run: finds(guard.Pass)}, "unknown not asked, because a.need (A1) did not pass"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.need.Code, test.need.ID = "A1", "a.need"
			asked := false
			checks := []guard.Check{
				{Code: "A3", ID: "a.last", Title: "all is well", Path: "watch", Needs: []string{"a.need", "a.left_out"}, Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
					asked = true
					return []guard.Finding{{Verdict: guard.Pass}}, nil
				}},
				test.need,
				{Code: "A0", ID: "a.first", Standard: guard.Advisory, Run: finds(guard.Fail)},
			}
			findings := RunChecks(t.Context(), guard.Scene{Plan: &guard.Plan{Tier: guard.Standard}}, checks, nil)
			last := findings[0]
			if got := last.Verdict.String() + " " + last.Reason; got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
			if asked != (test.want == "pass ") {
				t.Errorf("asked: %t", asked)
			}
			if last.Code != "A3" || last.Title != "all is well" || last.Path != "watch" {
				t.Errorf("it is not named: %+v", last)
			}
		})
	}
}

// TestTimeForAll sees that what has no answer when the time for all is over is a finding of its own, whether it was
// asked, waited for its turn, or waited for what it needs; and that an answer that comes later is not heard.
func TestTimeForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(context.Context, guard.Scene) ([]guard.Finding, error) {
			time.Sleep(8 * time.Second)
			return []guard.Finding{{Verdict: guard.Pass}}, nil
		}
		listens := func(ctx context.Context, _ guard.Scene) ([]guard.Finding, error) {
			<-ctx.Done()
			return []guard.Finding{{Verdict: guard.Fail, Reason: "whatever"}}, nil
		}
		checks := []guard.Check{{ID: "a.listens", Run: listens}}
		for i := range checksAtOnce {
			checks = append(checks, guard.Check{ID: fmt.Sprintf("a.late%d", i), Run: late})
		}
		checks = append(checks, guard.Check{ID: "a.needs", Needs: []string{"a.late0"}, Run: late})
		ctx, cancel := context.WithTimeoutCause(t.Context(), 7*time.Second, errors.New("the checks were not over after 7s"))
		defer cancel()
		began := time.Now()
		got := map[string]int{}
		for _, f := range RunChecks(ctx, guard.Scene{Plan: &guard.Plan{}}, checks, nil) {
			got[f.Verdict.String()+" "+f.Reason]++
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("it took %s", took)
		}
		want := map[string]int{
			"unknown no answer yet: the checks were not over after 7s": checksAtOnce,
			"unknown not asked: the checks were not over after 7s":     2,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		time.Sleep(time.Minute) // until the late ones are done
	})
}

// TestOneSilentVault sees that a question without an answer does not spoil what the check knows of the others.
func TestOneSilentVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parts := Parts{Vault: func(p guard.Part) (guard.Vault, error) {
			if p.Use == "silent" {
				return silentVault{}, nil
			}
			return nil, errors.New("no such vault")
		}}
		check := guard.Check{ID: "a.b", Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			_, silent := s.Ask(ctx, guard.Question{Backups: &guard.Part{Use: "silent"}})
			_, none := s.Ask(ctx, guard.Question{Backups: &guard.Part{Use: "none"}})
			return []guard.Finding{{Reason: silent.Error()}, {Reason: none.Error()}}, nil
		}}
		p := &guard.Plan{}
		var got []string
		for _, f := range RunChecks(t.Context(), parts.Scene(t.Context(), p, guard.Release{}, time.Now()), []guard.Check{check}, nil) {
			got = append(got, f.Reason)
		}
		want := []string{"gave no answer in time: context deadline exceeded", "no such vault"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestPartsThatMayTakeLong sees that a part has the time that the plan gives it, and that a check which waits for
// nobody has no more than ever.
func TestPartsThatMayTakeLong(t *testing.T) {
	kept := guard.Part{Use: "journal"}
	plan := &guard.Plan{Evidence: guard.Preserve{Budget: guard.Duration(time.Minute), Collect: []guard.Part{kept}}}
	patient := func(timeout string) *guard.Part {
		return &guard.Part{Use: "slow", With: guard.With{"timeout": timeout}}
	}
	for _, test := range []struct {
		name     string
		question guard.Question
		takes    time.Duration // until the part answers
		want     string
		ends     time.Duration
	}{
		{"no timeout", guard.Question{Backups: &guard.Part{}}, 25 * time.Second, "gave no answer in time: context deadline exceeded", 10 * time.Second},
		{"a timeout of a vault", guard.Question{Backups: patient("5m")}, 25 * time.Second, "answered", 25 * time.Second},
		{"a timeout of a probe", guard.Question{Probe: patient("5m")}, 25 * time.Second, "answered", 25 * time.Second},
		{"a timeout of a restorer", guard.Question{Restore: patient("5m")}, 25 * time.Second, "answered", 25 * time.Second},
		{"a timeout that is not kept", guard.Question{Backups: patient("30s")}, time.Hour, "gave no answer in time: context deadline exceeded", 31 * time.Second},
		{"a short timeout", guard.Question{Backups: patient("1s")}, 9 * time.Second, "answered", 9 * time.Second},
		{"no timeout at all", guard.Question{Backups: patient("${SOON}")}, 9 * time.Second, "answered", 9 * time.Second},
		{"what is kept", guard.Question{Probe: &kept}, 50 * time.Second, "answered", 50 * time.Second},
		{"what is not kept", guard.Question{Probe: &guard.Part{Use: "other"}}, 50 * time.Second, "gave no answer in time: context deadline exceeded", 10 * time.Second},
		{"nobody is asked", guard.Question{}, time.Hour, "the check gave no answer in time", 11 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := slowPart{takes: test.takes}
				parts := Parts{
					Vault:    func(guard.Part) (guard.Vault, error) { return slow, nil },
					Probe:    func(guard.Part) (guard.Probe, error) { return slow, nil },
					Restorer: func(guard.Part) (guard.Restorer, error) { return slow, nil },
				}
				check := guard.Check{ID: "a.b", Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
					if test.question == (guard.Question{}) {
						return nil, slow.sleep(ctx)
					}
					if _, err := s.Ask(ctx, test.question); err != nil {
						return nil, err
					}
					return []guard.Finding{{Verdict: guard.Pass, Reason: "answered"}}, nil
				}}
				began := time.Now()
				f := RunChecks(t.Context(), parts.Scene(t.Context(), plan, guard.Release{}, began), []guard.Check{check}, nil)[0]
				if f.Reason != test.want || time.Since(began) != test.ends {
					t.Errorf("%s after %s", f.Reason, time.Since(began))
				}
			})
		})
	}
}

// slowPart answers after a while.
type slowPart struct {
	guard.Restorer
	takes time.Duration
}

func (s slowPart) sleep(ctx context.Context) error {
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slowPart) Backups(ctx context.Context) ([]guard.Backup, error) { return nil, s.sleep(ctx) }
func (s slowPart) Ready(ctx context.Context) (guard.Finding, error) {
	return guard.Finding{}, s.sleep(ctx)
}
func (s slowPart) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	return guard.Finding{}, s.sleep(ctx)
}

// silentVault never answers.
type silentVault struct{}

func (silentVault) Backups(ctx context.Context) ([]guard.Backup, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// BenchmarkInstantChecks measures how long 90 checks take that answer at once, or almost: beside the slowest, of
// 100 ms, and beside the bound of 1.2 times the slowest and 20 ms more.
func BenchmarkInstantChecks(b *testing.B) {
	const slowest = 100 * time.Millisecond
	checks := make([]guard.Check, 90)
	for i := range checks {
		checks[i] = sleeper(i, slowest*time.Duration(i%10)/90)
	}
	checks[0] = sleeper(0, slowest)
	all := timeChecks(b, checks)
	b.ReportMetric(float64(all)/float64(slowest), "of-slowest")
	b.ReportMetric(float64(all)/float64(slowest*12/10+20*time.Millisecond), "of-bound")
}

// BenchmarkSlowChecks measures how long 200 checks take of which each takes a second, beside the bound of 8 s.
func BenchmarkSlowChecks(b *testing.B) {
	checks := make([]guard.Check, 200)
	for i := range checks {
		checks[i] = sleeper(i, time.Second)
	}
	b.ReportMetric(float64(timeChecks(b, checks))/float64(8*time.Second), "of-bound")
}

func sleeper(i int, takes time.Duration) guard.Check {
	return guard.Check{Code: "B1", ID: fmt.Sprintf("b.sleep%d", i), Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
		time.Sleep(takes)
		return []guard.Finding{{Verdict: guard.Pass}}, nil
	}}
}

// timeChecks is how long all checks take together, on average.
func timeChecks(b *testing.B, checks []guard.Check) time.Duration {
	for b.Loop() {
		if v := guard.Worst(RunChecks(b.Context(), guard.Scene{Plan: &guard.Plan{}}, checks, nil)); v != guard.Pass {
			b.Fatalf("the verdict is %s", v)
		}
	}
	return b.Elapsed() / time.Duration(b.N)
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
