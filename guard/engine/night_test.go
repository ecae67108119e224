package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// hours is the plan of a night that takes hours: whom it calls by when, and a channel for the team and one for vendors.
const hours = `
service: shop
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
  deadline: {shift: 1m, rollback: 3m}
  verify: [{use: http, with: {url: "http://shop/version"}}]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
severity: [{level: 2, when: "true", activate: 15m, lead: commander, update: 30m}]
escalate:
  - {after: 15m, to: deputy, unless: acknowledged}
  - {after: 30m, to: expert, unless: acknowledged}
  - {after: 60m, to: PayCo, unless: cause_known}
recovery: {soak: 1m}
roster:
  people:
    - {name: Mei, role: on_duty, reach: [{email: mei@shop.test}]}
    - {name: Wang, role: commander, reach: [{email: wang@shop.test}]}
    - {name: Ada, role: deputy, reach: [{email: ada@shop.test}]}
    - {name: Luis, role: expert, reach: [{email: luis@shop.test}]}
  vendors: [{name: PayCo, reach: [{email: help@payco.test}]}]
notify: [{use: stdout, for: [team]}, {use: stdout, for: [vendor]}]
`

// said is what a person says so many minutes after it was detected.
type said struct {
	minute int
	fact   guard.Fact
}

// TestNightOfHours keeps a whole night, from three o'clock, with people who answer late, or never, and wants everything to
// happen at its minute, counted from detection: also where the process that keeps the time is another one every few minutes.
func TestNightOfHours(t *testing.T) {
	for _, tt := range []struct {
		name   string
		broken bool // going back does not help, so that it goes on
		people []said
		filed  time.Duration // after standing down; 0: never
		told   []string      // minute, audience, news
		owed   []string
	}{
		{
			name: "nobody answers for an hour",
			people: []said{
				{70, guard.Acknowledged{By: "Ada"}},
				{72, guard.Stated{What: guard.StateContacted, Subject: "PayCo", Text: "T-1", By: "Ada"}},
				{75, guard.Stated{What: guard.StateCause, Text: "the index was missing", By: "Ada"}},
				{120, guard.Stated{What: guard.StateStandDown, Text: "all is well", By: "Wang"}},
			},
			filed: 23 * time.Hour,
			told: []string{
				"000 team opened",
				"001 team recovered",
				"015 team breached: activate", "015 team escalated to deputy",
				"030 team escalated to expert",
				"060 team breached: vendor", "060 vendor escalated to PayCo",
				"120 team stood_down", "120 vendor stood_down",
			},
			owed: []string{
				"activate by 015: met late at 070",
				"contain by 002: met at 000",
				"initial_report by 015: met at 000",
				"update by 030: waived", // the service was well again before
				"vendor by 060: met late at 072",
				"recovery_notice by 150: met at 120",
				"report_filed by 1560: met at 1500",
				"learned by 21660: open",
			},
		},
		{
			name: "it does not get better", broken: true,
			people: []said{
				{10, guard.Acknowledged{By: "Wang"}},
				{50, guard.Stated{What: guard.StateCause, Text: "the index was missing", By: "Wang"}},
				{130, guard.Stated{What: guard.StateStandDown, Text: "mended by hand", By: "Wang"}},
			},
			filed: 25 * time.Hour,
			told: []string{
				"000 team opened", "003 team failed",
				"029 team update", "058 team update", "087 team update", "116 team update", // a minute before each is due
				"130 team stood_down",
			},
			owed: []string{
				"activate by 015: met at 010",
				"contain by 002: met at 000",
				"initial_report by 015: met at 000",
				"update by 030: met at 029",
				"vendor by 060: waived", // the cause was known before
				"update by 059: met at 058",
				"update by 088: met at 087",
				"update by 117: met at 116",
				"update by 146: waived",
				"recovery_notice by 160: met at 130",
				"report_filed by 1570: met late at 1630",
				"learned by 21790: open",
			},
		},
		{
			name: "nobody writes the report",
			people: []said{
				{1, guard.Acknowledged{By: "Mei"}},
				{16, guard.Stated{What: guard.StateContacted, Subject: "PayCo", Text: "T-2", By: "Mei"}},
				{61, guard.Stated{What: guard.StateStandDown, Text: "all is well", By: "Wang"}},
			},
			told: []string{
				"000 team opened",
				"001 team recovered",
				"060 vendor escalated to PayCo", // nobody knows the cause yet
				"061 team stood_down", "061 vendor stood_down",
			},
			owed: []string{
				"activate by 015: met at 001",
				"contain by 002: met at 000",
				"initial_report by 015: met at 000",
				"update by 030: waived",
				"vendor by 060: met at 016",
				"recovery_notice by 091: met at 061",
				"report_filed by 1501: breached",
			},
		},
	} {
		night := func(lasts time.Duration) func(t *testing.T) {
			return func(t *testing.T) {
				p, err := guard.ParsePlan("shop.yaml", []byte(hours))
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(3*time.Hour - time.Minute) // it is midnight when such a test begins
				var mu sync.Mutex
				heard := map[time.Time][]string{}
				channel := notifier(func(n guard.Notice) (guard.Receipt, error) {
					name := fmt.Sprintf("%s %s", n.Audience, n.News)
					switch n.News {
					case guard.NewsEscalated:
						name += " to " + strings.Join(n.Roles, ",")
					case guard.NewsBreached:
						name += ": " + n.About
					}
					mu.Lock()
					defer mu.Unlock()
					if n.Audience != "" { // the others are about the rollout
						heard[time.Now()] = append(heard[time.Now()], name)
					}
					return guard.Receipt{}, nil
				})
				verdict := guard.Pass
				if tt.broken {
					verdict = guard.Fail
				}
				w, m, outside := &world{errors: .5}, &memory{}, make(chan guard.Fact)
				var began time.Time
				var people sync.WaitGroup
				defer people.Wait()
				saw := func(_ guard.Event, s guard.State) {
					if s.Incident.Began.IsZero() || !began.IsZero() {
						return
					}
					began = s.Incident.Began
					people.Go(func() {
						for _, says := range tt.people {
							select {
							case <-time.After(time.Until(began.Add(time.Duration(says.minute) * time.Minute))):
							case <-t.Context().Done():
								return
							}
							select {
							case outside <- says.fact:
							case <-t.Context().Done():
								return
							}
						}
					})
				}
				var s guard.State
				for begin := guard.Fact(openedAt(hours)); !s.Ended(); begin = (guard.Resumed{}) {
					r := rollout(t, w, m)
					r.Plan, r.Stay, r.Outside, r.Saw = p, true, outside, saw
					r.Parts.Notifiers = []guard.Notifier{channel, channel}
					r.Parts.Verify = []guard.Probe{asked(func(context.Context) (guard.Finding, error) {
						return guard.Finding{Verdict: verdict, Reason: "the pages are empty"}, nil
					})}
					ctx, cancel := context.WithTimeout(t.Context(), lasts)
					s, err = r.Run(ctx, slices.Clone(m.events), begin)
					cancel()
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Fatal(err)
					}
				}
				// The report is written on another day, and no process has stayed for that.
				now := s.Incident.StoodDown.Add(48 * time.Hour)
				if tt.filed > 0 {
					now = s.Incident.StoodDown.Add(tt.filed)
					s = guard.Next(p, s, guard.Event{At: now, Fact: guard.Stated{What: guard.StateFiled, By: "Wang"}})
				}

				minute := func(at time.Time) int { return int(at.Sub(began) / time.Minute) }
				var told, owed []string
				for at, names := range heard {
					for _, name := range names {
						told = append(told, fmt.Sprintf("%03d %s", minute(at), name))
					}
				}
				slices.Sort(told)
				for _, o := range s.Incident.Owed {
					line := fmt.Sprintf("%s by %03d: %s", o.Kind, minute(o.Until), o.Standing(now))
					if !o.Met.IsZero() {
						line += fmt.Sprintf(" at %03d", minute(o.Met))
					}
					owed = append(owed, line)
				}
				if diff := cmp.Diff(tt.told, told); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.owed, owed); diff != "" {
					t.Errorf("owed (-want +got):\n%s", diff)
				}
				if w.percent != 0 || w.overlap {
					t.Errorf("%d %% are left, two moves at once: %v", w.percent, w.overlap)
				}
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			for _, lasts := range []time.Duration{24 * time.Hour, 7*time.Minute + 13*time.Second} {
				synctest.Test(t, night(lasts))
			}
		})
	}
}
