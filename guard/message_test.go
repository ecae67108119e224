package guard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// theNews lists all kinds of news.
var theNews = []guard.News{
	guard.NewsOpened, guard.NewsEscalated, guard.NewsLevel, guard.NewsUpdate, guard.NewsBreached, guard.NewsForward, guard.NewsFailed,
	guard.NewsRecovered, guard.NewsStoodDown, guard.NewsTest,
}

// badNight is an incident as it stands when there is such news, at that time.
func badNight(news guard.News) (s guard.State, now time.Time) {
	began := time.Date(2026, 11, 23, 18, 50, 0, 0, time.UTC)
	after := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	s = guard.State{
		Release: guard.Release{ID: "20261123-1840-v2.7.1", Service: "shop", Environment: "production", From: "v2.6.9", To: "v2.7.1"},
		Why:     "errors are worse on v2.7.1", Seen: 25, Peak: 25,
		Incident: guard.Incident{
			Began: began, Scenario: "bad_release", Level: 1,
			Grades: []guard.Grade{{At: began, Level: 1, Why: "errors > 5%"}},
			Owed:   []guard.Obligation{{Kind: guard.DueActivate, Role: "commander", Since: began, Until: after(10)}},
		},
	}
	i := &s.Incident
	if news == guard.NewsOpened || news == guard.NewsTest {
		return s, began
	}
	if news == guard.NewsBreached {
		i.Owed[0].Passed = true
		return s, after(11)
	}
	s.Seen, i.Activated, i.Contained, i.Reverted, i.Lead = 0, after(5), after(6), after(7), "Ada Obi"
	i.Owed[0].Met = after(5)
	i.Owed = append(i.Owed, guard.Obligation{Kind: guard.DueUpdate, Role: "scribe", Since: after(20), Until: after(35)})
	i.Contacts = map[string]string{"Cloud Ltd": "ticket 4711"}
	i.Heard = map[string][]string{"team": {"commander"}, "customer": {"customer"}, "vendor": {"Cloud Ltd"}}
	switch news {
	case guard.NewsForward:
		s.Outcome, i.Reverted, s.Trouble = guard.ForwardOnly, time.Time{}, "the schema has changed for good"
	case guard.NewsFailed:
		s.Outcome, s.Seen, s.Trouble = guard.RollbackFailed, 25, "the proxy cannot be reached"
		i.Contained, i.Reverted = time.Time{}, time.Time{}
	case guard.NewsRecovered:
		s.Outcome, i.Restored, i.Steady, i.Owed[1].Waived = guard.RolledBack, after(9), after(19), "the service is well again"
	case guard.NewsStoodDown:
		s.Outcome, i.Restored, i.Steady, i.StoodDown, i.Cause = guard.RolledBack, after(9), after(19), after(29), "a query without an index"
		i.Owed[1].Waived = "the service is well again"
	}
	return s, after(21)
}

// nightPlan is a plan that says all that a message can tell of.
func nightPlan(t *testing.T, language, more string) *guard.Plan {
	t.Helper()
	text := `
service: shop
environment: production
language: ` + language + `
objectives: {rto: 30m}
rollout: {backend: {use: b}, steps: [5, 25, 100]}
watch: {source: {use: s}, signals: [{name: errors, total: a, bad: b}]}
severity: [{level: 1, when: "errors > 5%", lead: commander}]
recovery: {sign_off: owner, stand_down: commander}
roster:
  people:
    - {name: Ada Obi, role: commander, tz: Asia/Shanghai, reach: [{email: ada@shop.test}, {phone: "+86 1"}]}
    - {name: Luis Vega, role: scribe, tz: Asia/Shanghai, reach: [{email: luis@shop.test}, {phone: "+86 2"}]}
    - {name: Mei Lin, role: owner, tz: Europe/Madrid, reach: [{email: mei@shop.test}, {phone: "+34 3"}]}
  vendors:
    - {name: Cloud Ltd, reach: [{phone: "+1 2"}], contract: {id: C-2024-7, until: 2027-01-01}, sla: {respond: 1h}}
` + more
	p, err := guard.ParsePlan("golive.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMessages shows every news for every audience in both languages; the diff of the golden files is the review.
func TestMessages(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		t.Run(language, func(t *testing.T) {
			p := nightPlan(t, language, "")
			var b strings.Builder
			for _, news := range theNews {
				s, now := badNight(news)
				about := s.Why
				switch news {
				case guard.NewsBreached:
					about = string(guard.DueActivate)
				case guard.NewsTest:
					about = ""
				}
				for _, audience := range guard.Audiences {
					title, text := p.Message(s, now, audience, news, about)
					fmt.Fprintf(&b, "=== %s, %s\n%s\n\n%s\n\n", news, audience, title, text)
				}
			}
			file := filepath.Join("testdata", "messages."+language+".txt")
			if guard.Update() {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNothingInsideGoesOut: neither customers nor vendors hear versions, reasons, names or commands, whatever the trouble
// is called; and a customer hears of no contract.
func TestNothingInsideGoesOut(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		p := nightPlan(t, language, "scenarios: [{name: secret_project, action: pray, owner: commander}]\n")
		for _, news := range theNews {
			for _, scenario := range append(slices.Clone(guard.Classes), "", "secret_project") {
				s, now := badNight(news)
				s.Incident.Scenario, s.Trouble = scenario, "password of the database is wrong"
				for _, audience := range []string{"customer", "vendor", "Cloud Ltd"} {
					title, text := p.Message(s, now, audience, news, "errors are worse on v2.7.1")
					inside := []string{"v2.", s.Release.ID, "Ada", "errors", "golive", "password", "secret_project", "index", "4711", "production"}
					if audience == "customer" {
						inside = append(inside, "C-2024-7", "Cloud")
					}
					for _, word := range inside {
						if strings.Contains(title+text, word) {
							t.Errorf("%s, %s of %q, to %s: it tells %q:\n%s\n%s", language, news, scenario, audience, word, title, text)
						}
					}
				}
			}
		}
	}
}

// TestOwnWords: what was agreed on is said, in the language of the plan, and for the scenario before any.
func TestOwnWords(t *testing.T) {
	const all = "{{.Nature}}|{{.Scope}}|{{.Progress}}|{{.ETA}}|{{.NextUpdate}}"
	p := nightPlan(t, "en", `
scenarios: [{name: bad_release, action: go back, owner: commander}, {name: crash, action: go back, owner: commander}]
messages:
  - {scenario: any, audience: customer, text: "any: `+all+`"}
  - {scenario: bad_release, audience: customer, language: zh, text: "Chinese: `+all+`"}
  - {scenario: bad_release, audience: customer, text: "release: `+all+`"}
  - {scenario: any, audience: Cloud Ltd, text: "dear Cloud: `+all+`"}
  - {scenario: any, audience: management, text: "boss: {{.Service}} `+all+`"}
`)
	s, now := badNight(guard.NewsUpdate)
	for _, c := range []struct{ audience, scenario, want string }{
		{"customer", "bad_release", "release: a disruption of the service|some users of the service shop|the change was taken back; whether all is well again is being verified|" +
			"2026-11-24 03:20 Asia/Shanghai (2026-11-23 19:20 UTC)|2026-11-24 03:25 Asia/Shanghai (2026-11-23 19:25 UTC)"},
		{"customer", "crash", "any: an interruption of the service|the service shop|"},
		{"Cloud Ltd", "crash", "dear Cloud: "},
		{"management", "crash", "What is new: why\nboss: shop a crash"},
		{"team", "crash", "What is new: why\nNature: a crash of the service\n"},
	} {
		s.Incident.Scenario = c.scenario
		if _, text := p.Message(s, now, c.audience, guard.NewsUpdate, "why"); !strings.HasPrefix(text, c.want) {
			t.Errorf("to %s of %s: %q, want %q", c.audience, c.scenario, text, c.want)
		}
	}
}

// TestWordsThatFail: a text that cannot be filled in, or that says nothing, stops no message.
func TestWordsThatFail(t *testing.T) {
	for _, broken := range []guard.Template{"{{.Hope}}", "{{.ETA", "  ", "{{.From}}"} {
		p := nightPlan(t, "en", "")
		p.Messages = []guard.Message{{Scenario: "any", Audience: "customer", Text: broken}}
		s, now := badNight(guard.NewsUpdate)
		s.Release.From = ""
		_, text := p.Message(s, now, "customer", guard.NewsUpdate, "")
		if !strings.HasPrefix(text, "Nature: a disruption of the service\n") {
			t.Errorf("%q: %s", broken, text)
		}
		if _, text := p.Message(s, now, "team", guard.NewsUpdate, ""); !strings.Contains(text, "Remark: messages[0] of the plan cannot be filled in (") {
			t.Errorf("%q: the team does not hear of it:\n%s", broken, text)
		}
	}
}

// TestNobodyKnows: what is not known is said to be unknown, in either language, and nothing is invented.
func TestNobodyKnows(t *testing.T) {
	for language, unknown := range map[string]string{"en": "unknown", "zh": "未知"} {
		p := nightPlan(t, language, "")
		p.Objectives.RTO = 0
		_, text := p.Message(guard.State{Release: guard.Release{ID: "r", To: "v2"}}, time.Time{}, "team", guard.NewsOpened, "")
		if n := strings.Count(text, unknown); n != 4 { // nature, recovery, next update and cause
			t.Errorf("%s: %d things are unknown, want 4:\n%s", language, n, text)
		}
	}
}

// TestReason: what the judge says is English, so that a Chinese message says its counts instead, and keeps the rest.
func TestReason(t *testing.T) {
	const why = "errors: canary 12 of 200 (6 %), baseline 3 of 900 (0.33 %), x18; odds 99:1, limit 20:1"
	errors := judge.Sight{Signal: "errors", Step: judge.Counts{
		Canary: judge.Tally{Requests: 200, Bad: 12, Rate: .06}, Baseline: judge.Tally{Requests: 900, Bad: 3, Rate: 3. / 900},
	}}
	slow, alone := errors, errors
	slow.Slower = .25
	alone.Step.Baseline = judge.Tally{}
	for _, tt := range []struct {
		name, language string
		signals        []judge.Sight
		says           string
	}{
		{"English as it is", "en", []judge.Sight{errors}, "What is new: " + why + "; it could not be contained: no answer\n"},
		{"counts in Chinese", "zh", []judge.Sight{{Signal: "other"}, errors}, "最新情况：errors：新版本异常 6 %（12/200），旧版本 0.333 %（3/900）; it could not be contained: no answer\n"},
		{"slow requests", "zh", []judge.Sight{slow}, "errors：新版本耗时超过 250ms 的占 6 %（12/200），旧版本 0.333 %（3/900）;"},
		{"a first release", "zh", []judge.Sight{alone}, "errors：新版本异常 6 %（12/200）;"},
		{"all of them", "zh", []judge.Sight{{Signal: "errors", Step: judge.Counts{Canary: judge.Tally{Requests: 20, Bad: 20, Rate: 1}}}}, "新版本异常 100 %（20/20）"},
		{"no counts", "zh", nil, "最新情况：" + why + ";"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, now := badNight(guard.NewsOpened)
			s.Ruling = judge.Ruling{Call: judge.Regressed, Why: why, Signal: "errors", Signals: tt.signals}
			s.Why = why + "; it could not be contained: no answer"
			_, text := nightPlan(t, tt.language, "").Message(s, now, "team", guard.NewsOpened, s.Why)
			if !strings.Contains(text, tt.says) {
				t.Errorf("it does not say %q:\n%s", tt.says, text)
			}
		})
	}
}
