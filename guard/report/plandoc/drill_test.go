package plandoc

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report/page"
)

const minute = guard.Duration(time.Minute)

// rehearsed is a drill that has everything, and was passed but for one inject.
func rehearsed(s Source) guard.Entry {
	began := now.AddDate(0, 0, -2)
	at := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	x := guard.Exercise{
		ID: "d-17", Kind: "rollback", Scenario: "bad_release", Objectives: []string{"the way back takes 5 minutes at most", "the deputy can lead"},
		Scope: "5 % of the traffic of the rehearsal site", By: "Wang Fang", Version: "v1.2.3", Began: began, Ended: at(20),
		Before: []guard.Finding{{Title: "errors stay below 5 %", Verdict: guard.Pass, Observed: "0.1 %"}},
		After:  []guard.Finding{{Title: "errors stay below 5 %", Verdict: guard.Pass, Observed: "0.2 %"}},
		Injects: []guard.Inject{
			{After: 0, What: "the new version answers 500", Expected: "an alarm within 1m", Observed: "an alarm after 40s", Met: true},
			{After: 4 * minute, What: "the commander does not answer +86 138 1234 5678", Expected: "the deputy is called", Observed: "nobody was called"},
		},
		Timeline: []guard.Moment{{At: began, What: "5 % shifted"}, {At: at(3), Who: "on_duty", What: "took it on"}, {At: at(4), What: "traffic back, verified"}},
		Took:     guard.Spans{Detect: guard.Duration(40 * time.Second), Activate: 3 * minute, Recover: 4 * minute},
		Targets:  guard.Spans{Activate: 10 * minute, Recover: 15 * minute, Lost: 60 * minute},
		Owed: []guard.Obligation{
			{Kind: guard.DueActivate, Role: "commander", Since: began, Until: at(10), Met: at(3), By: "Mei Lin"},
			{Kind: guard.DueContain, Role: "commander", Since: at(3), Until: at(5), Met: at(4)},
		},
		Undone:       []guard.Finding{{Title: "the rehearsal site is as before", Verdict: guard.Pass}},
		Participants: []guard.Participant{{Role: "on_duty", Name: "Mei Lin", Acked: at(3)}, {Role: "deputy", Name: "Ada Obi"}},
		Deviations:   []string{"the switch was thrown by hand"}, Findings: []string{"the rota has a gap at lunch"}, Feedback: []string{"shorter messages, please"},
	}
	return guard.Entry{
		At: at(21), Act: guard.Result, Kind: "drill.rollback", Service: s.Plan.Service, Environment: s.Plan.Environment, By: "Mei Lin",
		Outcome: guard.Fail, Took: 20 * minute, Method: s.Plan.Method("drill.rollback", ""), Plan: s.Plan.Digest(), Exercise: &x,
		Evidence: []guard.Evidence{{Asked: "journal", Answer: "17 records", Digest: strings.Repeat("ab", 32)}},
	}
}

func TestDrillGolden(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		for _, form := range page.Forms() {
			name := "drill." + language + "." + form
			t.Run(name, func(t *testing.T) {
				s := source(t)
				s.Language = language
				var got bytes.Buffer
				if err := page.Write(&got, form, Drill(s, rehearsed(s))); err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", name)
				if *update {
					if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// What a record says of a drill is what was seen, whatever the ledger says.
func TestDrillOutcome(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*guard.Entry)
		says   string
		not    string
	}{
		{"an inject was not met", func(*guard.Entry) {}, "Outcome: fail", "no longer counts"},
		{"all was well", func(e *guard.Entry) { e.Exercise.Injects, e.Outcome = e.Exercise.Injects[:1], guard.Pass }, "Outcome: pass", "speaks against"},
		{"declared a pass", func(e *guard.Entry) { e.Outcome = guard.Pass }, "the ledger says pass, which what was seen does not bear out", "Outcome: pass"},
		{"too slow", func(e *guard.Entry) { e.Exercise.Took.Recover = 16 * minute }, "it took 16m until the service was well again, and may take 15m", ""},
		{"aborted", func(e *guard.Entry) { e.Exercise.Aborted = "the site was not steady" }, "aborted, which is no pass", "Outcome: fail"},
		{"of another method", func(e *guard.Entry) { e.Method = "another" }, "this drill no longer counts", ""},
		{"no record of it", func(e *guard.Entry) { e.Exercise = nil }, "what was seen was not written down", "speaks against"},
		{"no record of a flaw", func(e *guard.Entry) { e.Exercise, e.Says = nil, "half of the rows are missing" }, "- half of the rows are missing", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := source(t)
			e := rehearsed(s)
			tc.change(&e)
			var b bytes.Buffer
			if err := page.Write(&b, "markdown", Drill(s, e)); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), tc.says) || tc.not != "" && strings.Contains(b.String(), tc.not) {
				t.Errorf("the record has to say %q and not %q:\n%s", tc.says, tc.not, b.String())
			}
			if strings.Contains(b.String(), "1234 5678") {
				t.Error("the record holds a phone number")
			}
		})
	}
}
