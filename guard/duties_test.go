package guard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// answered is a plan by which somebody answers for it when it goes wrong.
func answered(t *testing.T) *guard.Plan {
	t.Helper()
	plan, err := guard.ParsePlan("golive.yaml", []byte(`
service: shop
objectives: {rto: 20m}
rollout: {backend: {use: http}, steps: [10, 100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: requests, bad: failures}]}
roster:
  people:
    - {name: Wang Fang, role: commander}
    - {name: Ada Obi, role: deputy}
    - {name: Mei Lin, role: on_duty}
  vendors: [{name: PayCo}]
severity:
  - {level: 1, when: errors > 20%, lead: commander}
  - {level: 2, when: "true", lead: on_duty}
`))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// told is an entry in one line.
func told(e guard.Entry) string {
	text := fmt.Sprintf("%s %s %s", e.At.Format("15:04"), e.Act, e.Kind)
	for _, w := range []struct{ name, value string }{{"id", e.ID}, {"settles", e.Settles}, {"about", e.Subject}, {"by", e.By}, {"says", e.Says}} {
		if w.value != "" {
			text += " " + w.name + "=" + w.value
		}
	}
	if !e.Until.IsZero() {
		text += " until=" + e.Until.Format("02 15:04")
	}
	return text
}

// A ledger learns of an incident what the checks ask it about, each once, however often a process begins anew.
func TestLedgerOf(t *testing.T) {
	plan := answered(t)
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	s := guard.State{Release: guard.Release{ID: "r1", Service: "shop", Environment: "production", From: "v1", To: "v2"}}
	learned := guard.Obligation{Kind: guard.DueLearned, Role: "commander", Since: at(60), Until: at(90)}
	steps := []struct {
		name   string
		change func(*guard.State)
		want   []string
	}{
		{"nothing has happened", func(*guard.State) {}, nil},
		{"it begins", func(s *guard.State) {
			s.Phase, s.Cause, s.Incident.Began, s.Incident.Level = guard.Restoring, guard.CauseRegressed, at(0), 2
		}, []string{"12:00 obligation incident id=incident-r1 about=r1 by=on_duty says=the incident that v2 has become until=24 12:20"}},
		{"the traffic is back", func(s *guard.State) {
			s.Phase, s.Outcome, s.Why, s.Since = guard.Over, guard.RolledBack, "errors", at(3)
		}, []string{"12:03 result rollout id=rollout-r1 about=v2 by=golive says=r1, rolled back: errors"}},
		{"something is to be done", func(s *guard.State) {
			s.Incident.Actions = append(s.Incident.Actions, guard.Action{ID: "1", Text: "raise the limit", Class: "prevent", Owner: "deputy", Due: at(600)})
		}, []string{"12:10 obligation action id=action-r1-1 about=r1 by=deputy says=to prevent: raise the limit until=24 22:00"}},
		{"and something else", func(s *guard.State) {
			s.Incident.Actions = append(s.Incident.Actions, guard.Action{ID: "2", Text: "an alert", Class: "detect", Owner: "on_duty", Due: at(700)})
		}, []string{"12:10 obligation action id=action-r1-2 about=r1 by=on_duty says=to detect: an alert until=24 23:40"}},
		{"stood down", func(s *guard.State) {
			s.Incident.StoodDown, s.Incident.StoodBy = at(30), "Li"
			s.Incident.Owed = append(s.Incident.Owed, guard.Obligation{Kind: guard.DueFiled, Role: "commander", Since: at(30), Until: at(90)})
		}, []string{
			"12:30 settled incident settles=incident-r1 about=r1 by=Li",
			"12:30 obligation report id=report-r1 about=r1 by=commander says=the report on the incident that v2 became until=24 13:30",
		}},
		{"filed", func(s *guard.State) {
			s.Incident.Filed, s.Incident.FiledBy = at(60), "Mei Lin"
			s.Incident.Owed = append(s.Incident.Owed, learned)
		}, []string{
			"13:00 settled report settles=report-r1 about=r1 by=Mei Lin",
			"13:00 obligation lesson id=lesson-r1 about=r1 by=commander says=what is changed in the plan because of the incident, or why nothing need be until=24 13:30",
		}},
		{"learned", func(s *guard.State) {
			done := learned
			done.Met, done.By = at(70), "Wang Fang"
			s.Incident.Owed = append(s.Incident.Owed[:len(s.Incident.Owed)-1:len(s.Incident.Owed)-1], done)
		}, []string{"13:10 settled lesson settles=lesson-r1 about=r1 by=Wang Fang"}},
	}
	var l guard.Ledger
	for _, step := range steps {
		was := s
		s.At = at(10)
		s.Incident.Owed = append([]guard.Obligation{}, s.Incident.Owed...)
		s.Incident.Actions = append([]guard.Action{}, s.Incident.Actions...)
		step.change(&s)
		var got []string
		for _, e := range guard.LedgerOf(plan, was, s) {
			if err := e.Check(); err != nil {
				t.Errorf("%s: %s: %v", step.name, told(e), err)
			}
			if l.Has(e) {
				t.Errorf("%s: the ledger has %s before it is there", step.name, told(e))
			}
			got = append(got, told(e))
			l.Entries = append(l.Entries, e)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		for _, e := range guard.LedgerOf(plan, guard.State{}, s) { // a process that begins anew
			if !l.Has(e) {
				t.Errorf("%s: a second process would write %s", step.name, told(e))
			}
		}
	}
	var owed []string
	for _, e := range l.Owed("shop") {
		owed = append(owed, e.ID)
	}
	if diff := cmp.Diff([]string{"action-r1-1", "action-r1-2"}, owed); diff != "" {
		t.Errorf("owed at the end (-want +got):\n%s", diff)
	}
	if all := guard.LedgerOf(plan, guard.State{}, s); len(all) != len(l.Entries) {
		t.Errorf("from nothing %d entries, step by step %d", len(all), len(l.Entries))
	}
}

// A launch with broken glass that has had traffic owes a report of its own, whatever else becomes of it.
func TestLedgerOfBrokenGlass(t *testing.T) {
	plan := answered(t)
	s := guard.State{Release: guard.Release{ID: "r1", Service: "shop", To: "v2"}, Opened: noon, BreakGlass: &guard.BreakGlass{By: "Mei Lin"}}
	texts := func(was, now guard.State) (all []string) {
		for _, e := range guard.LedgerOf(plan, was, now) {
			all = append(all, told(e))
		}
		return all
	}
	if got := texts(guard.State{}, s); got != nil {
		t.Errorf("before it has traffic: %v", got)
	}
	moved := s
	moved.Peak = 10
	owed := "12:00 obligation report id=report-glass-r1 about=r1 by=Mei Lin says=the incident report of r1, which was launched by break-glass until=25 12:00"
	if diff := cmp.Diff([]string{owed}, texts(s, moved)); diff != "" {
		t.Errorf("with traffic (-want +got):\n%s", diff)
	}
	filed := moved
	filed.Incident.Filed, filed.Incident.FiledBy = noon.Add(time.Hour), "Ada Obi"
	settled := "13:00 settled report settles=report-glass-r1 about=r1 by=Ada Obi"
	if diff := cmp.Diff([]string{settled}, texts(moved, filed)); diff != "" {
		t.Errorf("filed (-want +got):\n%s", diff)
	}
	filed.Incident.Began = noon
	if got := texts(moved, filed); !slices.Contains(got, settled) || !slices.Contains(got, "13:00 settled report settles=report-r1 about=r1 by=Ada Obi") {
		t.Errorf("filed, and it was an incident: %v", got)
	}
	back := moved
	back.Purpose = guard.ToRollback
	if got := texts(s, back); got != nil {
		t.Errorf("a way back with broken glass: %v", got)
	}
}

// Only harm makes a version one that needs a reason to be tried again.
func TestLedgerOfVersions(t *testing.T) {
	plan := answered(t)
	for _, tc := range []struct {
		cause   guard.Cause
		outcome guard.Outcome
		want    bool
	}{
		{guard.CauseRegressed, guard.RolledBack, true},
		{guard.CauseRegressed, guard.RollbackFailed, true},
		{guard.CauseRegressed, guard.Recovered, true},
		{guard.CauseRegressed, guard.ForwardOnly, true},
		{guard.CauseAlert, guard.RolledBack, true},
		{guard.CauseRegressed, guard.WouldRollBack, false},
		{guard.CauseOrdered, guard.RolledBack, true},
		{guard.CauseWithdrawn, guard.RolledBack, false},
		{guard.CauseInterrupted, guard.RolledBack, false},
		{guard.CauseDrift, guard.RolledBack, false},
		{guard.CauseBlind, guard.RolledBack, false},
		{guard.CauseScarce, guard.RolledBack, false},
		{"", guard.Live, false},
	} {
		now := guard.State{Release: guard.Release{ID: "r1", Service: "shop", To: "v2"}, Phase: guard.Over, Cause: tc.cause, Outcome: tc.outcome, Since: noon}
		if entries := guard.LedgerOf(plan, guard.State{}, now); (len(entries) == 1) != tc.want {
			t.Errorf("%s because of %q: %v", tc.outcome, tc.cause, entries)
		}
	}
}

// What is said of an incident is held against the plan, and a mistake is said with a way out.
func TestStatedCheck(t *testing.T) {
	plan := answered(t)
	for _, tc := range []struct {
		name  string
		says  guard.Stated
		wrong string // part of the error; empty: it is right
	}{
		{"a cause", guard.Stated{What: guard.StateCause, Text: "a full disk"}, ""},
		{"a cause, and what kind of trouble it is", guard.Stated{What: guard.StateCause, Text: "a full disk", Class: "data_loss"}, ""},
		{"trouble that nobody knows", guard.Stated{What: guard.StateCause, Text: "a full disk", Class: "dataloss"}, `knows no trouble of the kind "dataloss" (say one of bad_release, crash`},
		{"no cause", guard.Stated{What: guard.StateCause, Text: " "}, "does not say what made it happen"},
		{"a level", guard.Stated{What: guard.StateSeverity, Level: 1, Text: "nobody can pay"}, ""},
		{"a level that is not there", guard.Stated{What: guard.StateSeverity, Level: 3, Text: "x"}, "3 is no level of the plan (say one of 1, 2;"},
		{"a level without a reason", guard.Stated{What: guard.StateSeverity, Level: 1}, "does not say why"},
		{"agreed", guard.Stated{What: guard.StateSignOff, Subject: "commander"}, ""},
		{"agreed by nobody", guard.Stated{What: guard.StateSignOff}, "for which role (say one of commander, deputy, on_duty)"},
		{"over", guard.Stated{What: guard.StateStandDown, Text: "quiet for an hour"}, ""},
		{"over for no reason", guard.Stated{What: guard.StateStandDown}, "does not say why"},
		{"a vendor", guard.Stated{What: guard.StateContacted, Subject: "PayCo", Text: "T-1"}, ""},
		{"the customer", guard.Stated{What: guard.StateContacted, Subject: "customer"}, ""},
		{"a stranger", guard.Stated{What: guard.StateContacted, Subject: "PayPal"}, `no "PayPal" whom somebody could call (say one of PayCo, customer)`},
		{"an action", guard.Stated{What: guard.StateAction, Text: "x", Class: "detect", Subject: "deputy", Due: noon}, ""},
		{"an action of no class", guard.Stated{What: guard.StateAction, Text: "x", Class: "hope", Subject: "deputy", Due: noon}, "say one of prevent, detect, mitigate, process"},
		{"an action of nobody", guard.Stated{What: guard.StateAction, Text: "x", Class: "detect", Subject: "chef", Due: noon}, `has the role "chef"`},
		{"an action some day", guard.Stated{What: guard.StateAction, Text: "x", Class: "detect", Subject: "deputy"}, "by when"},
		{"an action to do nothing", guard.Stated{What: guard.StateAction, Class: "detect", Subject: "deputy", Due: noon}, "what has to be done"},
		{"an answer", guard.Stated{What: guard.StateAnswer, Subject: "lucky", Text: "it was night"}, ""},
		{"an answer to nothing", guard.Stated{What: guard.StateAnswer, Subject: "weather", Text: "x"}, "no field \"weather\" (say one of summary,"},
		{"no answer", guard.Stated{What: guard.StateAnswer, Subject: "lucky"}, "it says nothing about lucky"},
		{"filed", guard.Stated{What: guard.StateFiled, Subject: "ab"}, ""},
		{"filed nothing", guard.Stated{What: guard.StateFiled}, "does not name the report"},
		{"learned", guard.Stated{What: guard.StateLearned, Text: "a limit"}, ""},
		{"learned nothing", guard.Stated{What: guard.StateLearned}, "does not say why"},
		{"nothing that can be said", guard.Stated{What: "sorry"}, `"sorry" cannot be stated (say one of cause, severity,`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.says.Check(plan)
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%v, want %q", err, tc.wrong)
			}
		})
	}
	for _, what := range guard.Statements {
		if err := (guard.Stated{What: what}).Check(plan); err == nil && what != guard.StateContacted {
			t.Errorf("%s says nothing, and that is right", what)
		}
	}
}

func TestMaySay(t *testing.T) {
	over, agrees := guard.Stated{What: guard.StateStandDown, Text: "x"}, guard.Stated{What: guard.StateSignOff, Subject: "on_duty"}
	for _, tc := range []struct {
		name string
		role string // recovery.stand_down
		says guard.Stated
		by   string
		want string // part of the error
	}{
		{"the commander", "", over, "Wang Fang", ""},
		{"the deputy", "", over, "Ada Obi", ""},
		{"somebody else", "", over, "Mei Lin", `not for "Mei Lin" to say: Wang Fang (commander), Ada Obi (deputy) may`},
		{"a stranger", "", over, "root", `not for "root" to say`},
		{"the role of the plan", "on_duty", over, "Mei Lin", ""},
		{"no more the commander", "on_duty", over, "Wang Fang", "Ada Obi (deputy), Mei Lin (on_duty) may"},
		{"the role that is asked", "", agrees, "Mei Lin", ""},
		{"the deputy for it", "", agrees, "Ada Obi", ""},
		{"not the commander", "", agrees, "Wang Fang", "not for"},
		{"anybody says why", "", guard.Stated{What: guard.StateCause, Text: "x"}, "root", ""},
		{"anybody of the roster files", "", guard.Stated{What: guard.StateFiled, Subject: "ab"}, "Mei Lin", ""},
		{"a stranger files", "", guard.Stated{What: guard.StateFiled, Subject: "ab"}, "root", `filed: "root" is not in the roster (say which of them you are: Wang Fang, `},
		{"nobody files", "", guard.Stated{What: guard.StateFiled, Subject: "ab"}, "", `"" is not in the roster`},
		{"anybody of the roster has learned", "", guard.Stated{What: guard.StateLearned, Text: "x"}, "Mei Lin", ""},
		{"a stranger has learned", "", guard.Stated{What: guard.StateLearned, Text: "nothing"}, "stranger", `learned: "stranger" is not in the roster`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan := answered(t)
			plan.Recovery.StandDown = tc.role
			err := plan.MaySay(tc.says, tc.by)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	plan := answered(t)
	plan.Roster.People = plan.Roster.People[2:]
	if err := plan.MaySay(over, "Mei Lin"); err == nil || !strings.Contains(err.Error(), "write somebody there") {
		t.Errorf("a roster without anybody who may say it: %v", err)
	}
	plan.Roster.People = nil
	filed := guard.Stated{What: guard.StateFiled, Subject: "ab"}
	if err := plan.MaySay(filed, "root"); err != nil {
		t.Errorf("where there is no roster: %v", err)
	}
	if err := plan.MaySay(filed, " "); err == nil || !strings.Contains(err.Error(), "say a name") {
		t.Errorf("nobody, where there is no roster: %v", err)
	}
}

// What is said at the wrong time is refused with what has to come first, instead of being lost in silence.
func TestTimely(t *testing.T) {
	plan := answered(t)
	plan.Recovery.SignOff = "on_duty"
	going := guard.State{Phase: guard.Watching, Purpose: guard.ToRollout, Release: guard.Release{To: "v2"}}
	calm, open := going, going
	calm.Phase = guard.Over
	open.Phase, open.Incident.Began = guard.Over, noon
	agreed := open
	agreed.Incident.Signed = map[string]string{"on_duty": "Mei Lin"}
	down := agreed
	down.Incident.StoodDown = noon
	filed := down
	filed.Incident.Filed = noon
	action := guard.Stated{What: guard.StateAction, Due: noon.Add(time.Hour)}
	say := func(what guard.Statement) guard.Stated { return guard.Stated{What: what} }
	for _, tc := range []struct {
		name  string
		says  guard.Stated
		state guard.State
		wrong string // part of the error; empty: it makes sense
	}{
		{"a cause while all is well", say(guard.StateCause), going, "the rollout of v2 has become no incident, so there is nothing to say cause of"},
		{"a cause of what went live", say(guard.StateCause), calm, "has become no incident"},
		{"a cause", say(guard.StateCause), open, ""},
		{"a cause that is found late", say(guard.StateCause), filed, ""},
		{"a level of nothing", say(guard.StateSeverity), calm, "has become no incident"},
		{"a level", say(guard.StateSeverity), open, ""},
		{"a level of what is over", say(guard.StateSeverity), down, "no open incident"},
		{"a sign-off while it goes on", guard.Stated{What: guard.StateSignOff, Subject: "on_duty"}, going, "there is nothing that on_duty can agree to now"},
		{"a sign-off of what went live", guard.Stated{What: guard.StateSignOff, Subject: "on_duty"}, calm, "there is nothing that on_duty can agree to now"},
		{"a sign-off", guard.Stated{What: guard.StateSignOff, Subject: "on_duty"}, open, ""},
		{"over, where nothing is", say(guard.StateStandDown), calm, "there is no open incident"},
		{"over, too early", say(guard.StateStandDown), open, "on_duty has not signed off yet"},
		{"over", say(guard.StateStandDown), agreed, ""},
		{"over twice", say(guard.StateStandDown), down, "there is no open incident"},
		{"an action while nobody knows the end", action, going, "has become no incident"},
		{"an action after a launch", action, calm, ""},
		{"an action of the past", guard.Stated{What: guard.StateAction, Due: noon}, open, "2026-11-24 12:00 UTC is in the past"},
		{"an answer after a launch", say(guard.StateAnswer), calm, ""},
		{"a report of what goes on", say(guard.StateFiled), open, "stand it down first"},
		{"a report of a launch", say(guard.StateFiled), calm, ""},
		{"learned before the report", say(guard.StateLearned), down, "once the report is filed"},
		{"learned", say(guard.StateLearned), filed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.says.Timely(plan, tc.state, noon)
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%v, want %q", err, tc.wrong)
			}
		})
	}
}
