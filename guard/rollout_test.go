package guard_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// TestStories tells every story of testdata/rollout: what happens stands at the beginning of a line, what
// the machine makes of it below, indented. `go test -update` writes the indented lines.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/rollout/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(want))
			if guard.Update() {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// shop is the plan of all stories; a story may add chapters to it.
const shop = `
service: shop
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  KEYS
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

// tell plays a story and returns it with what really happens.
func tell(t *testing.T, story string) string {
	t.Helper()
	var (
		out   strings.Builder
		plan  = shopPlan(t, "")
		now   = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
		start = now
		state guard.State
	)
	lines := bufio.NewScanner(strings.NewReader(story))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, " ") {
			continue // what happened last time
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if words[0] == "plan" {
			plan = shopPlan(t, strings.TrimPrefix(line, "plan "))
			continue
		}
		if later, ok := strings.CutPrefix(words[0], "+"); ok {
			d, err := guard.ParseDuration(later)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			now, words = now.Add(d.Std()), words[1:]
		}
		e := parseEvent(t, line, words, state, now)
		e.At = now
		before := fmt.Sprintf("%+v", state)
		next := guard.Next(plan, state, e)
		if after := fmt.Sprintf("%+v", state); before != after {
			t.Errorf("%s: Next changed its input:\n%s\n%s", line, before, after)
		}
		state = next
		fmt.Fprintln(&out, describe(state, start))
	}
	return out.String()
}

func shopPlan(t *testing.T, keys string) *guard.Plan {
	t.Helper()
	keys, notify, _ := strings.Cut(keys, " | ")
	notify = strings.ReplaceAll(strings.ReplaceAll(notify, "RESPONDING ", responding), "RECOVERING", recovering)
	notify = strings.ReplaceAll(notify, " ;; ", "\n") // between chapters
	notify = strings.ReplaceAll(notify, " | ", "\n")
	if !strings.Contains(keys, "steps:") {
		keys += "; steps: [10, 50, 100]"
	}
	if !strings.Contains(keys, "bake:") {
		keys += "; bake: {for: 10m, hold_back: 5%}"
	}
	source := strings.Replace(shop, "KEYS", strings.ReplaceAll(strings.TrimPrefix(keys, "; "), "; ", "\n  "), 1) + notify
	plan, err := guard.ParsePlan("shop.yaml", []byte(source))
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return plan
}

// parseEvent reads one line of a story: a fact, which answers the first task that it can answer.
func parseEvent(t *testing.T, line string, words []string, s guard.State, now time.Time) guard.Event {
	t.Helper()
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	number := func(i int) int {
		n, err := strconv.Atoi(strings.TrimSuffix(word(i), "%"))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return n
	}
	rest := func(i int) string { return strings.Join(words[min(i, len(words)):], " ") }
	verdict := func(i int) (v guard.Verdict) {
		if err := v.UnmarshalText([]byte(word(i))); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return v
	}
	answer := func(f guard.Fact, deed string) guard.Event {
		for _, task := range s.Todo {
			if strings.HasPrefix(deedName(task.Deed), deed) {
				return guard.Event{Task: task.ID, Fact: f}
			}
		}
		return guard.Event{Task: 9999, Fact: f} // too late
	}
	switch word(0) {
	case "open": // open rollout v1 v2 [observe] [force] [none]
		r := guard.Release{ID: "1", Service: "shop", From: word(2), To: word(3)}
		if r.From == "-" {
			r.From = ""
		}
		return guard.Event{Fact: guard.Opened{
			Release: r, Purpose: guard.Purpose(word(1)), Mode: guard.Mode(word(4)), Force: slices.Contains(words, "force"), NoIncident: slices.Contains(words, "none"),
		}}
	case "resume": // resume [unmoved]
		return guard.Event{Fact: guard.Resumed{Unmoved: word(1) == "unmoved"}}
	case "order": // order extend ada 10m, order rollback ada [force] why
		if word(1) == string(guard.OrderExtend) {
			more, err := guard.ParseDuration(word(3))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return guard.Event{Fact: guard.Ordered{Verb: guard.OrderExtend, By: word(2), For: more}}
		}
		if word(3) == "none" { // order rollback ada none why: it is no incident
			return guard.Event{Fact: guard.Ordered{Verb: guard.Verb(word(1)), By: word(2), Why: rest(4), NoIncident: true}}
		}
		if word(3) == "force" {
			return guard.Event{Fact: guard.Ordered{Verb: guard.Verb(word(1)), By: word(2), Why: rest(4), Force: true}}
		}
		return guard.Event{Fact: guard.Ordered{Verb: guard.Verb(word(1)), By: word(2), Why: rest(3)}}
	case "vote": // vote [by=SYSTEM] [group=GROUP] [more=2] NAME NAME@5s NAME:ended: fires since now, fires for 5s, fires no more
		var f guard.Voted
		for _, w := range words[1:] {
			if more, ok := strings.CutPrefix(w, "more="); ok {
				f.Unseen, _ = strconv.Atoi(more)
				continue
			}
			if by, ok := strings.CutPrefix(w, "by="); ok {
				f.By = by
				continue
			}
			if group, ok := strings.CutPrefix(w, "group="); ok {
				f.Group = group
				continue
			}
			name, ended := strings.CutSuffix(w, ":ended")
			name, ago, old := strings.Cut(name, "@")
			a := guard.Alert{Key: name, Name: name, Since: now, Ended: ended, Summary: "customers notice"}
			if old {
				d, err := guard.ParseDuration(ago)
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				a.Since = now.Add(-d.Std())
			}
			f.Alerts = append(f.Alerts, a)
		}
		return guard.Event{Fact: f}
	case "note":
		return guard.Event{Fact: guard.Noted{By: word(1), Text: rest(2)}}
	case "acknowledge":
		return guard.Event{Fact: guard.Acknowledged{By: word(1)}}
	case "state": // state severity ada 1 why, state sign-off ada business, state contacted ada PayCo ticket 7, state cause ada text
		f := guard.Stated{What: guard.Statement(word(1)), By: word(2), Text: rest(3)}
		switch f.What {
		case guard.StateCause: // state cause ada [class=data_leak] text
			if class, ok := strings.CutPrefix(word(3), "class="); ok {
				f.Class, f.Text = class, rest(4)
			}
		case guard.StateSeverity:
			f.Level, f.Text = number(3), rest(4)
		case guard.StateSignOff, guard.StateContacted, guard.StateAnswer, guard.StateAction, guard.StateFiled:
			f.Subject, f.Text = word(3), rest(4)
		}
		return guard.Event{Fact: f}
	case "signal":
		return guard.Event{Fact: guard.Interrupted{Signal: word(1)}}
	case "checks":
		return answer(guard.Checked{Findings: []guard.Finding{{ID: "some.check", Verdict: verdict(1), Reason: "so it is"}}}, "checks")
	case "inspect": // inspect 10% [closed] [only 0,100]
		st := guard.Standing{Percent: number(1), Undo: guard.Undo{Open: !slices.Contains(words, "closed"), Detail: "no permission"}}
		if slices.Contains(words, "only") {
			st.Shares = []int{0, 100}
		}
		return answer(guard.Inspected{Standing: st}, "inspect")
	case "shifted":
		return answer(guard.Shifted{Percent: number(1)}, "shift")
	case "measure": // measure healthy 10% [why]
		var call judge.Call
		if err := call.UnmarshalText([]byte(word(1))); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		m := guard.Measured{Standing: &guard.Standing{Percent: s.Seen}, Ruling: judge.Ruling{Call: call, Why: "the counts are " + word(1)}}
		switch word(2) {
		case "":
		case "unseen":
			m.Standing, m.Unseen = nil, "connection refused"
		default:
			m.Standing.Percent = number(2)
		}
		return answer(m, "measure")
	case "verified": // verified 0% [fail]
		f := guard.Verified{Standing: guard.Standing{Percent: number(1)}}
		if word(2) != "" {
			f.Findings = []guard.Finding{{ID: "probe", Verdict: verdict(2), Reason: "the page is not there"}}
		}
		return answer(f, "verify")
	case "finished":
		return answer(guard.Finished{}, "finish")
	case "told": // told [TITLE] [problem], told TITLE partly problem
		told := guard.Told{}
		switch {
		case word(2) == "partly":
			told.Receipt.Handed = []guard.Handed{{Name: "Wang Fang", Way: "email"}, {Name: "Ada Obi", Way: "email", Problem: rest(3)}}
		case word(2) != "":
			told.Receipt.Handed = []guard.Handed{{Name: "Ada Obi", Way: "email", Problem: rest(2)}}
		}
		if word(1) == "" {
			return answer(told, "tell")
		}
		return answer(told, fmt.Sprintf("tell %q", word(1)))
	case "intervened": // intervened contain pass
		return answer(guard.Intervened{Findings: []guard.Finding{{ID: word(1), Verdict: verdict(2), Reason: "so it is"}}}, word(1))
	case "gathered":
		return answer(guard.Gathered{Exhibits: []guard.Exhibit{{Name: word(1)}}}, "gather")
	case "soaked": // soaked healthy [10% | unseen]
		var call judge.Call
		if err := call.UnmarshalText([]byte(word(1))); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		f := guard.Soaked{Standing: &guard.Standing{}, Ruling: judge.Ruling{Call: call, Why: "the counts are " + word(1)}}
		switch word(2) {
		case "":
		case "unseen":
			f.Standing, f.Unseen = nil, "connection refused"
		default:
			f.Standing.Percent = number(2)
		}
		return answer(f, "soak")
	case "due": // due DEED: its time has come
		return answer(guard.Elapsed{}, rest(1))
	case "elapsed":
		return answer(guard.Elapsed{}, "wait")
	case "failed": // failed DEED why
		return answer(guard.Failed{Error: rest(2)}, word(1))
	case "nonsense": // nonsense DEED: an answer to something else
		return answer(guard.Told{}, word(1))
	}
	t.Fatalf("nothing like %q can happen", line)
	return guard.Event{}
}

// describe is a state in two lines: where it stands, and what it asks for.
func describe(s guard.State, start time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s: aim %d%%, seen %d%%", s.Phase, s.Aim, s.Seen)
	for _, part := range []struct{ name, value string }{
		{"outcome", string(s.Outcome)}, {"cause", string(s.Cause)}, {"why", s.Why}, {"held", s.Held}, {"alarm", s.Alarm}, {"acknowledged", s.Acknowledged}, {"trouble", s.Trouble},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, "; %s: %s", part.name, part.value)
		}
	}
	if i := s.Incident; !i.Began.IsZero() {
		fmt.Fprintf(&b, "\n  incident since %s, level %d", guard.Duration(i.Began.Sub(start)), i.Level)
		for _, part := range []struct{ name, value string }{
			{"lead", i.Lead}, {"cause", i.Cause}, {"stood down by", i.StoodBy}, {"unreached", strings.Join(i.Unreached, ", ")},
			{"kind", strings.TrimPrefix(i.Scenario, "bad_release")},
		} {
			if part.value != "" {
				fmt.Fprintf(&b, "; %s: %s", part.name, part.value)
			}
		}
		for _, o := range i.Owed {
			fmt.Fprintf(&b, "\n    %s by %s: %s (%s)", o.Kind, guard.Duration(o.Until.Sub(start)), o.Standing(s.At), o.Role)
		}
	}
	for _, task := range s.Todo {
		if d, timer := task.Deed.(guard.Remind); timer && !d.Until.IsZero() {
			continue // there is one for each obligation
		}
		fmt.Fprintf(&b, "\n    %s", deedName(task.Deed))
		if d := task.NotBefore.Sub(start); !task.NotBefore.IsZero() {
			fmt.Fprintf(&b, " at %s", guard.Duration(d))
		}
	}
	return b.String()
}

func deedName(d guard.Deed) string {
	switch d := d.(type) {
	case guard.RunChecks:
		return "checks"
	case guard.Inspect:
		return "inspect"
	case guard.Shift:
		return fmt.Sprintf("shift %d%%", d.Percent)
	case guard.Measure:
		kind := ""
		if d.Step.Absolute {
			kind = " absolute"
		}
		if d.Step.Last {
			kind += " last"
		}
		return fmt.Sprintf("measure %g%%%s", d.Step.Weight*100, kind)
	case guard.Verify:
		return "verify"
	case guard.Finish:
		return "finish"
	case guard.Tell:
		if d.Notice.News != "" {
			only := ""
			if len(d.Notice.Only) > 0 {
				only = fmt.Sprintf(", only %v", d.Notice.Only)
			}
			return fmt.Sprintf("tell %q to %s %v by %d%s", d.Notice.News, d.Notice.Audience, d.Notice.Roles, d.Channel, only)
		}
		return fmt.Sprintf("tell %q", d.Notice.Title)
	case guard.Wait:
		return "wait"
	case guard.Intervene:
		return fmt.Sprintf("%s %d", d.Move, d.N)
	case guard.Gather:
		return "gather"
	case guard.Soak:
		return "soak"
	case guard.Remind:
		return "remind " + string(d.Kind)
	case guard.Regrade:
		return "regrade"
	case guard.Escalate:
		return fmt.Sprintf("escalate %d", d.N)
	}
	return fmt.Sprintf("%T", d)
}
